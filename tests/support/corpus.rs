//! The messages of RFC 4475 and RFC 5118.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::PathBuf;

use subrosa::wire::sip::{Frame, Message, ParseError, StreamFramer};

pub fn path(name: &str) -> PathBuf {
    let corpora = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpora");
    let in_4475 = corpora.join("rfc4475").join(name);
    if in_4475.exists() { in_4475 } else { corpora.join("rfc5118").join(name) }
}

pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(&format!("{name}.dat"))).unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub fn message(name: &str) -> Message {
    Message::parse(&bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub fn error(name: &str) -> ParseError {
    Message::parse(&bytes(name)).expect_err(name)
}

/// The first frame that is no keep-alive, and the framer after all bytes.
pub fn first_frame(name: &str, step: usize) -> (Option<Frame>, StreamFramer) {
    let mut framer = StreamFramer::new();
    let mut first = None;
    for chunk in bytes(name).chunks(step) {
        framer.push(chunk);
        for frame in framer.by_ref() {
            if !matches!(frame, Frame::KeepAlivePing | Frame::KeepAlivePong) {
                first.get_or_insert(frame);
            }
        }
    }
    (first, framer)
}
