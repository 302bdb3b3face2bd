//! Small tools that every layer uses: generational ids, injected randomness, bounded queues,
//! secrets that are zeroized and never printed.

mod arena;
#[cfg(test)]
#[path = "../../tests/support/hostile_shapes.rs"]
pub(crate) mod hostile_shapes;
mod queue;
mod rng;
mod secret;
#[cfg(test)]
pub(crate) mod work;

pub use arena::{Arena, Id};
pub use queue::BoundedQueue;
pub use rng::{Rng, RngExt, SeededRng};
pub use secret::Secret;
pub(crate) use secret::{reserve_wiped, wipe};

/// One more of what a counter counts.
#[cfg(feature = "std")]
pub(crate) const fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
