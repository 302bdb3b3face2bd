//! The grammar looks at each byte of a message a bounded number of times, whatever was put into it:
//! counted, not timed.

use super::{HeaderName, Message, StreamFramer, parts};
use crate::util::{hostile_shapes as shapes, work};

/// Bytes looked at while a message is parsed and everything in it is read once.
fn looked_at(text: &str) -> u64 {
    work::during(|| {
        if let Ok(message) = Message::parse(text.as_bytes()) {
            read(&message);
        }
    })
}

/// How often each byte may be looked at.
const BOUND: u64 = 10;

fn read(message: &Message) {
    let names = [
        HeaderName::Require,
        HeaderName::Supported,
        HeaderName::Accept,
        HeaderName::Contact,
        HeaderName::Route,
        HeaderName::RecordRoute,
    ];
    let length = message.as_bytes().len();
    for name in names {
        assert!(message.list(name).count() <= length);
    }
    for address in message.contacts() {
        let _ = (address.uri().user_unescaped(), address.display(), address.uri().transport());
    }
    let _ = (message.from().display(), message.to().tag(), parts(message).len());
}

#[test]
fn the_grammar_looks_at_each_byte_a_bounded_number_of_times() {
    for (name, shape) in shapes::SHAPES {
        for size in [8_000, 64_500] {
            let text = shape(size);
            let (seen, length) = (looked_at(&text), text.len() as u64);
            assert!(seen <= BOUND * length + 4_000, "{name}: {seen} of {length} bytes");
        }
    }
}

/// The stream brings it a byte at a time: what came before is not searched again.
#[test]
fn the_framer_looks_at_each_byte_a_bounded_number_of_times() {
    for (name, shape) in shapes::SHAPES {
        let text = shape(8_000);
        let seen = work::during(|| {
            let mut framer = StreamFramer::new();
            for byte in text.as_bytes() {
                framer.push(&[*byte]);
                while framer.next().is_some() {}
            }
        });
        let length = text.len() as u64;
        assert!(seen <= BOUND * length + 4_000, "{name}: {seen} of {length} bytes");
    }
}
