//! SIP streams: the same frames come out however the bytes are cut, and each message is one that
//! a datagram would give too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::wire::sip::{Frame, Message, StreamFramer};

fn frames(data: &[u8], step: usize) -> (Vec<Vec<u8>>, usize, bool) {
    let mut framer = StreamFramer::new();
    let mut out: Vec<Vec<u8>> = Vec::new();
    for chunk in data.chunks(step) {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            match frame {
                Frame::Message(message) => {
                    assert_eq!(Message::parse(message.as_bytes()).expect("it was framed"), message);
                    out.push(message.as_bytes().to_vec());
                }
                // A pong may have been the first half of a ping.
                Frame::KeepAlivePing => {
                    out.pop_if(|last| last == b"pong");
                    out.push(b"ping".to_vec());
                }
                Frame::KeepAlivePong => out.push(b"pong".to_vec()),
                Frame::Malformed(error) | Frame::Broken(error) => {
                    out.push(error.to_string().into_bytes());
                }
            }
        }
    }
    (out, framer.pending(), framer.is_broken())
}

fuzz_target!(|data: &[u8]| {
    let whole = frames(data, usize::MAX);
    assert_eq!(frames(data, 1), whole);
    assert_eq!(frames(data, 1 + data.len() / 3), whole);
});
