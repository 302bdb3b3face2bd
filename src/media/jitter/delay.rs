//! How long packets take, relative to the fastest recent one, and the delay that this calls for.
#![deny(clippy::arithmetic_side_effects)]

use super::histogram::{Histogram, bin, end_us};
use crate::time::{Duration, Instant};

/// The fastest packet is looked for in the last one to two of these.
const WINDOW_US: i64 = 4_000_000;
/// Of the packets in order, as many may be later than the target (in 2^24): 5 %.
const LATER: u32 = (1 << 24) / 20;
/// The weight of a packet fades to a third in 300 packets, 6 s at 20 ms each.
const KEEP: u32 = 32_659;
/// A percent of packets that come too late is worth this much delay. Where the way is long, ITU-T
/// G.107 has it at 27 ms for G.711 with concealment (3.6 of its units, against 0.134 a
/// millisecond). That is so for packets that others overtake; those of a spike are late in a row,
/// and are not waited for unless spikes are frequent.
const OVERTAKEN_US: u64 = 27_000;
const PERCENT_US: u64 = 20_000;
/// The target moves if another saves a tenth of what this one costs.
const STAY: u64 = 10;
/// A transit time this far from the last means that a clock jumped, or the path is another.
const JUMP_US: i64 = 1_000_000;

/// Measures by how much packets are delayed more than the fastest ones, over a moving window,
/// so that slow drift between the two clocks does not matter.
#[derive(Debug)]
pub struct DelayEstimator {
    clock_rate: u32,
    /// The last timestamp, unwrapped.
    last: Option<(u32, i64)>,
    last_transit: i64,
    /// Least transit time of this window and of the one before, in µs.
    least: i64,
    least_before: i64,
    window_since: i64,
    /// Delays of packets that came in order.
    in_order: Histogram,
    /// Delays of packets that others have overtaken; the others count as not delayed.
    overtaken: Histogram,
    /// The bins of both that are worth waiting for.
    worth: (usize, usize),
    target_us: i64,
}

impl DelayEstimator {
    /// An estimator for this RTP clock in Hz.
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            last: None,
            last_transit: 0,
            least: i64::MAX,
            least_before: i64::MAX,
            window_since: 0,
            in_order: Histogram::new(KEEP),
            overtaken: Histogram::new(KEEP),
            worth: (0, 0),
            target_us: 0,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.last = None;
        self.forget_transit();
        self.in_order.clear();
        self.overtaken.clear();
        self.worth = (0, 0);
        self.target_us = 0;
    }

    /// The sender's clock, or the path, is another: what was measured of the delays stays.
    pub fn forget_transit(&mut self) {
        self.least = i64::MAX;
        self.least_before = i64::MAX;
    }

    /// The timestamp without wrap-around, near the last one.
    fn unwrap_timestamp(&self, timestamp: u32) -> i64 {
        match self.last {
            Some((last, unwrapped)) => {
                let step = timestamp.wrapping_sub(last).cast_signed();
                unwrapped.saturating_add(i64::from(step))
            }
            None => i64::from(timestamp),
        }
    }

    fn transit(&self, now: Instant, unwrapped: i64) -> i64 {
        let sent = unwrapped.saturating_mul(1_000_000).checked_div(self.clock_rate.into());
        now.as_micros().cast_signed().saturating_sub(sent.unwrap_or(0))
    }

    fn fastest(&self) -> i64 {
        self.least.min(self.least_before)
    }

    /// Records a packet that arrived at `now`; `overtaken` by one that was sent later.
    pub fn arrived(&mut self, now: Instant, timestamp: u32, overtaken: bool) {
        let unwrapped = self.unwrap_timestamp(timestamp);
        let transit = self.transit(now, unwrapped);
        if self.last.is_some() && transit.saturating_sub(self.last_transit).abs() > JUMP_US {
            self.forget_transit();
        }
        let now = now.as_micros().cast_signed();
        if self.last.is_none() {
            self.window_since = now;
        }
        self.last = Some((timestamp, unwrapped));
        self.last_transit = transit;
        if now.saturating_sub(self.window_since) >= WINDOW_US {
            self.least_before = self.least;
            self.least = i64::MAX;
            self.window_since = now;
        }
        self.least = self.least.min(transit);
        self.record(bin(transit.saturating_sub(self.fastest())), overtaken);
    }

    fn record(&mut self, bin: usize, overtaken: bool) {
        if overtaken {
            self.overtaken.add(bin);
        } else {
            self.in_order.add(bin);
            self.overtaken.add(0);
        }
        self.worth.0 = worth(&self.in_order, PERCENT_US, self.worth.0);
        self.worth.1 = worth(&self.overtaken, OVERTAKEN_US, self.worth.1);
        let bin = self.in_order.quantile(LATER).max(self.worth.0).max(self.worth.1);
        self.target_us = end_us(bin);
    }

    /// The delay with which playing is rarely too early, rounded up: 2.5 ms, 7.5 ms and so on
    /// in steps of 5 ms. Zero before the first packet.
    pub fn target(&self) -> Duration {
        Duration::from_micros(self.target_us.max(0).cast_unsigned())
    }

    /// How long after its earliest possible arrival the sample of `timestamp` is played, if it
    /// is played at `now`.
    pub fn playout_delay(&self, now: Instant, timestamp: u32) -> Option<Duration> {
        self.last?;
        let fastest = self.fastest();
        let late = self.transit(now, self.unwrap_timestamp(timestamp)).saturating_sub(fastest);
        Some(Duration::from_micros(u64::try_from(late).unwrap_or(0)))
    }
}

/// The bin that is worth waiting for; the one from `before` unless another is clearly better.
fn worth(delays: &Histogram, percent_us: u64, before: usize) -> usize {
    let (best, least, cost) = delays.costs(percent_us, before);
    let better = cost > least.saturating_add(least.checked_div(STAY).unwrap_or(0));
    if better { best } else { before }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    /// Packets of 20 ms, of which some are late.
    struct Feed(DelayEstimator, u32);

    impl Feed {
        fn new() -> Self {
            Self(DelayEstimator::new(8_000), 0)
        }

        fn packets(&mut self, n: u32, late_every: u32, late_ms: u64, overtaken: bool) -> u128 {
            for i in self.1..self.1 + n {
                let is_late = i % late_every == late_every - 1;
                let late = if is_late { late_ms } else { 0 };
                let now = Instant::from_millis(1_000 + u64::from(i) * 20 + late);
                let timestamp = u32::MAX.wrapping_sub(5_000).wrapping_add(i * 160);
                self.0.arrived(now, timestamp, is_late && overtaken);
            }
            self.1 += n;
            self.0.target().as_micros()
        }
    }

    #[test]
    fn the_target_follows_the_jitter_and_forgets_it() {
        let mut feed = Feed::new();
        assert_eq!(feed.packets(300, 1_000, 0, false), 2_500);
        // One in six comes 62 ms late: within two seconds the target covers it.
        assert_eq!(feed.packets(90, 6, 62, false), 62_500);
        assert_eq!(feed.packets(250, 6, 62, false), 62_500);
        assert_eq!(feed.packets(100, 10_000, 0, false), 62_500);
        assert_eq!(feed.packets(1_100, 10_000, 0, false), 2_500);
    }

    #[test]
    fn rare_spikes_are_not_waited_for() {
        let mut feed = Feed::new();
        feed.packets(999, 2_000, 0, false);
        assert_eq!(feed.packets(2_000, 250, 150, false), 2_500);
    }

    #[test]
    fn jitter_counts_from_the_first_packets_on() {
        assert_eq!(Feed::new().packets(6, 4, 38, false), 42_500);
    }

    #[test]
    fn a_few_reordered_packets_are_given_up_and_many_are_waited_for() {
        assert_eq!(Feed::new().packets(2_000, 40, 100, true), 2_500);
        assert_eq!(Feed::new().packets(2_000, 10, 100, true), 102_500);
    }

    #[test]
    fn drift_between_the_clocks_is_no_delay() {
        for step in [19_994u64, 20_006] {
            let mut d = DelayEstimator::new(8_000);
            for i in 0..50_000u64 {
                d.arrived(Instant::from_micros(i * step), (i * 160) as u32, false);
            }
            assert_eq!(d.target(), Duration::from_micros(2_500));
        }
    }
}
