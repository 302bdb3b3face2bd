//! How long to wait before something that failed is tried again (RFC 5626 §4.5).

use crate::time::Duration;
use crate::util::{Rng, RngExt};

/// Consecutive failures, and the wait that follows each: the base time doubled per failure up to a
/// maximum, of which 50 to 100 % by chance, so that the phones of a failed server do not come back
/// at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet. After the first one the wait is at most twice `base`.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, failures: 0 }
    }

    /// Counts a failure and says how long to wait.
    pub fn failed(&mut self, rng: &mut dyn Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let longest = self.base.saturating_mul(1 << self.failures.min(16)).min(self.max);
        let half = longest / 2;
        let span = u32::try_from(half.as_millis()).unwrap_or(u32::MAX);
        half + Duration::from_millis(u64::from(rng.below(span.saturating_add(1))))
    }

    /// It worked: the next failure is the first again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always the same byte.
    struct Constant(u8);
    impl Rng for Constant {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn waits_double_from_the_base_to_the_maximum_and_are_half_chance() {
        let (base, max) = (Duration::from_secs(30), Duration::from_secs(1800));
        let (mut low, mut high) = (Backoff::new(base, max), Backoff::new(base, max));
        let pairs: alloc::vec::Vec<_> = (0..8)
            .map(|_| {
                let shortest = low.failed(&mut Constant(0)).as_secs();
                (shortest, high.failed(&mut Constant(0xff)).as_millis())
            })
            .collect();
        let longest = [60, 120, 240, 480, 960, 1800, 1800, 1800];
        for ((shortest, longer), longest) in pairs.into_iter().zip(longest) {
            assert_eq!(shortest, longest / 2);
            assert!(longer <= u128::from(longest) * 1000 && longer > u128::from(shortest) * 1000);
        }
        low.succeeded();
        assert_eq!(low.failed(&mut Constant(0)).as_secs(), 30);
    }

    #[test]
    fn any_number_of_failures_is_bounded() {
        let mut backoff =
            Backoff { failures: u32::MAX, ..Backoff::new(Duration::MAX, Duration::from_secs(5)) };
        assert!(backoff.failed(&mut Constant(7)) <= Duration::from_secs(5));
        assert_eq!(backoff.failures(), u32::MAX);
    }
}
