//! How long to wait before a failed flow is opened again (RFC 5626 §4.5).

use crate::time::Duration;
use crate::util::{Rng, RngExt};

/// Every flow of the account has failed.
const BASE_ALL_FAILED: Duration = Duration::from_secs(30);
/// Another flow still serves.
const BASE_OTHERS_SERVE: Duration = Duration::from_secs(90);
const MAX: Duration = Duration::from_secs(1800);

/// Consecutive failures to keep a flow registered, and the wait that follows each: the base time
/// doubled per failure, half an hour at most, of which 50 to 100 % by chance, so that the phones
/// of a failed server do not come back at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Counts a failure and says how long to wait. `all_failed`: no other flow of the account
    /// serves.
    pub fn failed(&mut self, all_failed: bool, rng: &mut dyn Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let base = if all_failed { BASE_ALL_FAILED } else { BASE_OTHERS_SERVE };
        // Seven doublings of 30 s pass the maximum.
        let longest = base.saturating_mul(1 << self.failures.min(7)).min(MAX);
        let half = longest / 2;
        let span = u32::try_from(half.as_millis()).unwrap_or(u32::MAX);
        half + Duration::from_millis(u64::from(rng.below(span.saturating_add(1))))
    }

    /// The registration on the flow succeeded.
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
    use crate::util::SeededRng;

    /// Always the same byte.
    struct Constant(u8);
    impl Rng for Constant {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn the_waits_are_those_of_the_table_in_rfc_5626() {
        // Minutes in the RFC: failures, all failed, others serve.
        let table = [
            (1, (30, 60), (90, 180)),
            (2, (60, 120), (180, 360)),
            (3, (120, 240), (360, 720)),
            (4, (240, 480), (720, 1440)),
            (5, (480, 960), (900, 1800)),
            (6, (900, 1800), (900, 1800)),
            (7, (900, 1800), (900, 1800)),
        ];
        for (all_failed, pick) in [(true, 0), (false, 1)] {
            let (mut low, mut high) = (Backoff::new(), Backoff::new());
            for (failures, all, others) in table {
                let (least, most) = if pick == 0 { all } else { others };
                assert_eq!(low.failed(all_failed, &mut Constant(0)).as_secs(), least);
                let highest = high.failed(all_failed, &mut Constant(255));
                assert_eq!(highest, Duration::from_secs(most));
                assert_eq!(low.failures(), failures);
            }
        }
    }

    #[test]
    fn it_stays_bounded_and_success_starts_it_over() {
        let (mut backoff, mut rng) = (Backoff { failures: u32::MAX - 1 }, SeededRng::new(1));
        for _ in 0..100 {
            let wait = backoff.failed(true, &mut rng);
            assert!(wait >= MAX / 2 && wait <= MAX, "{wait:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed(true, &mut rng) <= Duration::from_secs(60));
    }
}
