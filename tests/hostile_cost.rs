//! What a hostile message costs the engine, from its first byte to the end of the drain: work is
//! counted in allocations and allocated bytes, which for twice the message may be twice as many, and
//! never more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/hostile_engine.rs"]
mod hostile_engine;
#[path = "support/hostile_shapes.rs"]
mod hostile_shapes;

use counting::{allocated, allocations};
use hostile_engine::Victim;
use hostile_shapes::SHAPES;

/// Allocations and allocated bytes.
fn cost(message: &str) -> (u64, u64) {
    let mut victim = Victim::new();
    let before = (allocations(), allocated());
    victim.take(message.as_bytes());
    (allocations() - before.0, allocated() - before.1)
}

/// What every message may cost that leads to a call: handshakes to be made, sockets, a session.
const CALL: (u64, u64) = (600, 400_000);

#[test]
fn twice_a_hostile_message_costs_at_most_twice_as_much() {
    assert!(SHAPES.len() >= 40);
    for (name, shape) in SHAPES {
        for size in [7_500, 15_000, 30_000] {
            let (one, two) = (cost(&shape(size)), cost(&shape(2 * size)));
            let fits = two.0 <= 2 * one.0 + CALL.0 && two.1 <= 2 * one.1 + CALL.1;
            assert!(fits, "{name}, {size} bytes: {one:?}, twice: {two:?}");
        }
    }
}

#[test]
fn no_message_of_64_kib_costs_more_than_a_bounded_multiple_of_its_bytes() {
    for (name, shape) in SHAPES {
        let message = shape(64_500);
        let (count, bytes) = cost(&message);
        let length = message.len() as u64;
        assert!(bytes <= 24 * length + CALL.1, "{name}: {bytes} bytes for {length}");
        assert!(count <= length / 2 + CALL.0, "{name}: {count} allocations for {length}");
    }
}
