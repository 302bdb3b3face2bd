//! The whole engine under any sequence of inputs and commands. The far end is made of templates
//! that answer what the engine sent and carry the ids of its live dialogs, so that bytes reach
//! deep states; `engine/world.rs` says what must hold after each of them.
#![no_main]

#[path = "engine/bytes.rs"]
mod bytes;
#[path = "engine/peer.rs"]
mod peer;
#[path = "engine/secure.rs"]
mod secure;
#[path = "engine/steps.rs"]
mod steps;
#[path = "engine/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;

/// Steps of one run at most.
const STEPS: usize = 256;

fuzz_target!(|data: &[u8]| {
    let mut bytes = bytes::Bytes(data);
    let mut world = world::World::new(bytes.u8());
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        steps::step(&mut world, &mut bytes);
    }
    world.finish();
});
