//! A description is read with bounded work for each of its bytes: counted, not timed.

use super::*;
use crate::util::{hostile_shapes as shapes, work};

#[test]
fn each_byte_of_a_description_is_looked_at_a_bounded_number_of_times() {
    let mut most = 0;
    for (name, shape) in shapes::SHAPES {
        for size in [8_000, 64_500] {
            let message = shape(size);
            let Some((_, body)) = message.split_once("\r\n\r\n") else { continue };
            let seen = work::during(|| drop(SessionDescription::parse(body.as_bytes())));
            let length = body.len() as u64;
            assert!(seen <= 8 * length + 1_000, "{name}: {seen} of {length} bytes");
            most = most.max(seen);
        }
    }
    assert!(most > 20_000, "nothing was counted");
}
