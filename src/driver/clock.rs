//! The platform's clocks and its cryptographic generator: the only place that reads them.

use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

use crate::time::{Duration, Instant, UnixTime};
use crate::util::Rng;

/// The monotonic clock as the engine counts it: microseconds since this clock was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: StdInstant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { origin: StdInstant::now() }
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        self.at(StdInstant::now())
    }

    /// The same point in time on this clock; the origin if it lies before that.
    pub fn at(&self, instant: StdInstant) -> Instant {
        let elapsed = instant.saturating_duration_since(self.origin);
        Instant::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
    }
}

/// The wall clock of the platform; the epoch itself if the clock is set before it.
pub fn wall_clock() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// The operating system's cryptographic generator.
#[derive(Clone, Debug)]
pub struct OsRng(SystemRandom);

impl OsRng {
    /// The platform's generator.
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for OsRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for OsRng {
    fn fill(&mut self, out: &mut [u8]) {
        if self.0.fill(out).is_err() {
            // Going on would mean guessable keys, and there is nobody to ask: end the process.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards_and_the_generator_does_not_repeat() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(wall_clock().as_secs() > 1_600_000_000);
        let (mut a, mut b) = ([0; 32], [0; 32]);
        OsRng::new().fill(&mut a);
        OsRng::new().fill(&mut b);
        assert_ne!(a, b);
    }
}
