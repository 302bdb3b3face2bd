//! How often a delay occurs: a histogram that forgets, in whole numbers.
#![deny(clippy::arithmetic_side_effects)]

/// Delays are told apart by this much, in µs.
const BIN_US: i64 = 5_000;
/// The first bin is shorter: a network without jitter to speak of is not waited for.
const FIRST_US: i64 = 2_500;
/// Longer delays count as the longest.
pub(super) const BINS: usize = 128;
/// All of the mass, spread over the bins.
const WHOLE: u32 = 1 << 24;

/// Shares of the delays seen, the newest weighing most.
#[derive(Debug)]
pub(super) struct Histogram {
    mass: [u32; BINS],
    /// Of the old mass, this much of 2^15 stays when something new comes.
    keep: u32,
    seen: u32,
}

/// The bin of a delay in µs.
pub(super) fn bin(delay_us: i64) -> usize {
    let from = delay_us.saturating_add(BIN_US).saturating_sub(FIRST_US);
    usize::try_from(from / BIN_US).unwrap_or(0).min(BINS.saturating_sub(1))
}

/// Where a bin ends, in µs.
pub(super) fn end_us(bin: usize) -> i64 {
    i64::try_from(bin).unwrap_or(0).saturating_mul(BIN_US).saturating_add(FIRST_US)
}

impl Histogram {
    /// An empty one that keeps `keep` / 2^15 of the old at each addition.
    pub(super) const fn new(keep: u32) -> Self {
        Self { mass: [0; BINS], keep, seen: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.mass = [0; BINS];
        self.seen = 0;
    }

    /// Makes room for the next addition; returns the mass that it has. All additions weigh the
    /// same until there are enough of them to forget the oldest.
    fn forget(&mut self) -> u32 {
        let even = (1u32 << 15)
            .saturating_sub((1u32 << 15).checked_div(self.seen.saturating_add(1)).unwrap_or(0));
        let keep = u64::from(even.min(self.keep));
        let mut left = WHOLE;
        for mass in &mut self.mass {
            *mass = (u64::from(*mass).saturating_mul(keep) >> 15) as u32;
            left = left.saturating_sub(*mass);
        }
        self.seen = self.seen.saturating_add(1);
        left
    }

    /// Counts one delay.
    pub(super) fn add(&mut self, bin: usize) {
        let left = self.forget();
        if let Some(mass) = self.mass.get_mut(bin) {
            *mass = mass.saturating_add(left);
        }
    }

    /// The last bin such that no more than `share` (in 2^24) lies above it.
    pub(super) fn quantile(&self, share: u32) -> usize {
        let mut above = 0u32;
        for (bin, mass) in self.mass.iter().enumerate().rev() {
            above = above.saturating_add(*mass);
            if above > share {
                return bin;
            }
        }
        0
    }

    /// What waiting to the end of a bin costs, in µs, where each percent that comes later costs as
    /// much as waiting for `percent_us`: the bin that costs least and its cost, and the cost of
    /// the bin `of`.
    pub(super) fn costs(&self, percent_us: u64, of: usize) -> (usize, u64, u64) {
        let mut above = 0u32;
        let (mut best, mut at_of) = ((0, u64::MAX), 0);
        for (bin, mass) in self.mass.iter().enumerate().rev() {
            let wait = end_us(bin).cast_unsigned();
            let lost = u64::from(above).saturating_mul(percent_us).saturating_mul(100) >> 24;
            let cost = wait.saturating_add(lost);
            if cost <= best.1 {
                best = (bin, cost);
            }
            if bin == of {
                at_of = cost;
            }
            above = above.saturating_add(*mass);
        }
        (best.0, best.1, at_of)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    #[test]
    fn the_mass_is_always_whole_and_old_delays_are_forgotten() {
        let mut h = Histogram::new(31_457);
        h.add(30);
        assert_eq!(h.quantile(WHOLE / 20), 30, "the first counts for all");
        for _ in 0..200 {
            h.add(3);
            assert_eq!(h.mass.iter().sum::<u32>(), WHOLE);
        }
        assert_eq!(h.quantile(WHOLE / 20), 3);
        // One addition weighs 4 %: less than 5 % may lie above the quantile.
        h.add(30);
        assert_eq!((h.quantile(WHOLE / 20), h.quantile(WHOLE / 50)), (3, 30));
        h.add(30);
        assert_eq!(h.quantile(WHOLE / 20), 30);
    }

    #[test]
    fn waiting_is_worth_it_when_enough_comes_later() {
        let with = |late: u32| {
            let mut h = Histogram::new(32_768);
            (0..100).for_each(|i| h.add(if i < late { 20 } else { 0 }));
            h.costs(20_000, 0)
        };
        // Waiting for 102.5 ms instead of 2.5 ms saves 4 % or 6 % of the packets, at 20 ms a percent.
        assert_eq!((with(4).0, with(6).0), (0, 20));
        let (_, least, first) = with(6);
        assert_eq!((least, first / 1_000), (102_500, 122));
    }
}
