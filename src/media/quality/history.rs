//! What became of the last packets of a source, in the order of their sequence numbers.

use super::gaps::{BurstMetrics, Fate, GapCounter};
use crate::time::Duration;

/// A packet that is later than this many others counts as lost.
const WINDOW: u16 = 64;
/// A jump ahead of this many packets or more is a new beginning (as in RFC 3550 A.1).
const MAX_JUMP: u16 = 3_000;
/// The longest packet whose length is believed, in ms.
const MAX_PACKET_MS: u64 = 200;

/// Sorts the fates of packets, which come in any order, and counts them.
#[derive(Clone, Copy, Debug)]
pub struct FateHistory {
    clock_rate: u32,
    /// The highest sequence number so far, and its timestamp.
    newest: Option<(u16, u32)>,
    /// Of the last packets, the newest in bit 0: which came at all, which came too late.
    came: u64,
    late: u64,
    /// How many of the bits count.
    filled: u16,
    /// Length of a packet in clock ticks.
    ticks: u32,
    counter: GapCounter,
}

impl FateHistory {
    /// The history of a source that begins, with this RTP clock in Hz.
    pub const fn new(clock_rate: u32) -> Self {
        let clock_rate = if clock_rate == 0 { 8_000 } else { clock_rate };
        Self {
            clock_rate,
            newest: None,
            came: 0,
            late: 0,
            filled: 0,
            ticks: clock_rate / 50,
            counter: GapCounter::new(),
        }
    }

    /// A packet came; `in_time` if it will be played.
    pub fn arrived(&mut self, sequence: u16, timestamp: u32, in_time: bool) {
        let Some((highest, before)) = self.newest else {
            return self.begin(sequence, timestamp, in_time);
        };
        let ahead = sequence.wrapping_sub(highest);
        if ahead == 0 {
            return;
        }
        if ahead >= 0x8000 {
            let behind = highest.wrapping_sub(sequence);
            return self.mark(behind, in_time);
        }
        if ahead >= MAX_JUMP {
            self.flush();
            return self.begin(sequence, timestamp, in_time);
        }
        if ahead == 1 {
            let step = timestamp.wrapping_sub(before);
            let longest = u64::from(self.clock_rate).saturating_mul(MAX_PACKET_MS) / 1_000;
            if (1..=longest).contains(&u64::from(step)) {
                self.ticks = step;
            }
        }
        self.advance(ahead);
        self.newest = Some((sequence, timestamp));
        self.mark(0, in_time);
    }

    fn begin(&mut self, sequence: u16, timestamp: u32, in_time: bool) {
        (self.came, self.late, self.filled) = (0, 0, 1);
        self.newest = Some((sequence, timestamp));
        self.mark(0, in_time);
    }

    /// The packet so many behind the newest came.
    fn mark(&mut self, behind: u16, in_time: bool) {
        if behind >= self.filled.min(WINDOW) {
            // Before the first one, or counted as lost already.
            return;
        }
        let bit = 1u64.checked_shl(behind.into()).unwrap_or(0);
        if self.came & bit == 0 {
            self.came |= bit;
            self.late |= if in_time { 0 } else { bit };
        }
    }

    /// The packet so many behind the newest is settled.
    fn settle(&mut self, behind: u16) {
        let bit = 1u64.checked_shl(behind.into()).unwrap_or(0);
        let fate = match (self.came & bit != 0, self.late & bit != 0) {
            (false, _) => Fate::Lost,
            (true, true) => Fate::Discarded,
            (true, false) => Fate::Received,
        };
        self.counter.count(fate, 1);
    }

    /// The newest is so many further on.
    fn advance(&mut self, by: u16) {
        let steps = by.min(WINDOW);
        for _ in 0..steps {
            if self.filled >= WINDOW {
                self.settle(WINDOW.saturating_sub(1));
            }
            self.came <<= 1;
            self.late <<= 1;
            self.filled = self.filled.saturating_add(1).min(WINDOW);
        }
        // What lies between a full window of losses and the newest was lost too.
        self.counter.count(Fate::Lost, by.saturating_sub(steps).into());
    }

    /// All that is in the window is settled.
    fn flush(&mut self) {
        for behind in (0..self.filled).rev() {
            self.settle(behind);
        }
        self.filled = 0;
    }

    /// The RTP clock and the length of a packet as time.
    pub fn packet(&self) -> Duration {
        let us = u64::from(self.ticks).saturating_mul(1_000_000);
        Duration::from_micros(us.checked_div(self.clock_rate.into()).unwrap_or(20_000))
    }

    /// The losses up to now. A packet that is missing among the last few may still come: it is
    /// not counted before one has come after it.
    pub fn metrics(&self) -> BurstMetrics {
        let mut settled = *self;
        settled.flush();
        settled.counter.metrics(self.packet())
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    #[test]
    fn packets_out_of_order_are_not_lost_and_late_ones_are_discarded() {
        let mut history = FateHistory::new(8_000);
        let first = 65_500u16;
        for n in 0..200u16 {
            // 5 comes after 9 and in time, 20 after 30 and too late, 100 never, 7 twice.
            let mut come = |n: u16, in_time| {
                history.arrived(first.wrapping_add(n), u32::from(n) * 160, in_time);
            };
            match n {
                5 | 20 | 100 => {}
                9 => [9, 5, 7, 5].into_iter().for_each(|n| come(n, true)),
                30 => [(30, true), (20, false)].into_iter().for_each(|(n, t)| come(n, t)),
                n => come(n, true),
            }
        }
        let m = history.metrics();
        assert_eq!((m.loss_rate * 200.0, m.discard_rate * 200.0), (1.0, 1.0));
        assert_eq!(history.packet(), Duration::from_millis(20));
    }

    #[test]
    fn a_long_hole_is_lost_and_a_jump_begins_anew() {
        let mut history = FateHistory::new(8_000);
        history.arrived(1, 0, true);
        history.arrived(1_002, 480_000, true);
        let m = history.metrics();
        assert!((m.loss_rate - 1_000.0 / 1_002.0).abs() < 1e-9, "{m:?}");
        history.arrived(30_000, 0, true);
        assert_eq!(history.metrics().loss_rate, 1_000.0 / 1_003.0);
        // From before everything: nothing.
        history.arrived(29_000, 0, true);
        assert_eq!(history.metrics().loss_rate, 1_000.0 / 1_003.0);
        assert_eq!(FateHistory::new(0).metrics().loss_rate, 0.0);
    }
}
