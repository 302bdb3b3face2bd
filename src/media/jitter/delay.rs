//! How long packets take, relative to the fastest recent one.
#![deny(clippy::arithmetic_side_effects)]

use crate::time::{Duration, Instant};

/// Packets remembered: about 10 s at 20 ms each.
const MEMORY: usize = 512;
/// Width of a histogram bin.
const BIN_US: i64 = 5_000;
const BINS: usize = 128;
/// The fastest packet is looked for in this many packets, twice.
const WINDOW: u32 = 256;
/// One in this many packets may come later than the quantile.
const MISSES: usize = 33;
/// A transit time this far from the last means that a clock jumped.
const JUMP_US: i64 = 5_000_000;

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
    in_window: u32,
    /// The delays of the last packets as bins, and how many are in each.
    ring: Vec<u8>,
    ring_at: usize,
    filled: usize,
    histogram: [u16; BINS],
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
            in_window: 0,
            ring: vec![0; MEMORY],
            ring_at: 0,
            filled: 0,
            histogram: [0; BINS],
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.last = None;
        self.forget_transit();
        self.filled = 0;
        self.ring_at = 0;
        self.histogram = [0; BINS];
    }

    fn forget_transit(&mut self) {
        self.least = i64::MAX;
        self.least_before = i64::MAX;
        self.in_window = 0;
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

    /// Records a packet that arrived at `now`.
    pub fn arrived(&mut self, now: Instant, timestamp: u32) {
        let unwrapped = self.unwrap_timestamp(timestamp);
        let transit = self.transit(now, unwrapped);
        if self.last.is_some() && transit.saturating_sub(self.last_transit).abs() > JUMP_US {
            self.forget_transit();
        }
        self.last = Some((timestamp, unwrapped));
        self.last_transit = transit;
        if self.in_window >= WINDOW {
            self.least_before = self.least;
            self.least = i64::MAX;
            self.in_window = 0;
        }
        self.in_window = self.in_window.saturating_add(1);
        self.least = self.least.min(transit);
        let delay = transit.saturating_sub(self.least.min(self.least_before));
        self.record(delay);
    }

    fn record(&mut self, delay_us: i64) {
        let bin = usize::try_from(delay_us / BIN_US).unwrap_or(0).min(BINS.saturating_sub(1));
        let Some(place) = self.ring.get_mut(self.ring_at) else { return };
        if self.filled >= MEMORY {
            if let Some(old) = self.histogram.get_mut(usize::from(*place)) {
                *old = old.saturating_sub(1);
            }
        } else {
            self.filled = self.filled.saturating_add(1);
        }
        *place = bin as u8;
        if let Some(count) = self.histogram.get_mut(bin) {
            *count = count.saturating_add(1);
        }
        self.ring_at = self.ring_at.saturating_add(1) % MEMORY;
    }

    /// The delay within which all but 3 % of the recent packets came, rounded up to 5 ms.
    pub fn quantile(&self) -> Duration {
        let allowed = self.filled / MISSES;
        let mut later = 0usize;
        for (bin, count) in self.histogram.iter().enumerate().rev() {
            later = later.saturating_add(usize::from(*count));
            if later > allowed {
                let us = u64::try_from(bin).unwrap_or(0).saturating_add(1);
                return Duration::from_micros(us.saturating_mul(BIN_US.cast_unsigned()));
            }
        }
        Duration::ZERO
    }

    /// How long after its earliest possible arrival the sample of `timestamp` is played, if it
    /// is played at `now`.
    pub fn playout_delay(&self, now: Instant, timestamp: u32) -> Option<Duration> {
        self.last?;
        let least = self.least.min(self.least_before);
        let late = self.transit(now, self.unwrap_timestamp(timestamp)).saturating_sub(least);
        Some(Duration::from_micros(u64::try_from(late).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_follows_the_jitter_and_forgets_it_slowly() {
        let mut d = DelayEstimator::new(8_000);
        let mut feed = |n: u32, from: u32, late_every: u32, late_ms: u64| {
            for i in from..from + n {
                let late = if i % late_every == 0 { late_ms } else { 0 };
                let now = Instant::from_millis(1_000 + u64::from(i) * 20 + late);
                d.arrived(now, u32::MAX.wrapping_sub(5_000).wrapping_add(i * 160));
            }
            d.quantile()
        };
        assert_eq!(feed(300, 0, 1, 0), Duration::from_millis(5));
        // One in six comes 62 ms late: after a hundred packets the target covers it.
        assert_eq!(feed(150, 300, 6, 62), Duration::from_millis(65));
        assert_eq!(feed(300, 450, 1, 0), Duration::from_millis(65));
        assert_eq!(feed(400, 750, 1, 0), Duration::from_millis(5));
    }

    #[test]
    fn drift_between_the_clocks_is_no_delay() {
        let mut d = DelayEstimator::new(8_000);
        for i in 0..50_000u64 {
            // The sender's clock is 300 ppm slow.
            d.arrived(Instant::from_micros(i * 20_006), (i * 160) as u32);
        }
        assert!(d.quantile() <= Duration::from_millis(5), "{:?}", d.quantile());
    }
}
