//! What RFC 3550 says about a source that is received: is its sequence valid (A.1), how much of it
//! is lost (A.3), how much does its transit time vary (A.8).
#![deny(clippy::arithmetic_side_effects)]

use crate::time::{Duration, Instant};

/// A jump ahead of this many packets or more is not believed at once.
const MAX_DROPOUT: u16 = 3_000;
/// A packet that is behind by less than this is merely late.
const MAX_MISORDER: u16 = 100;
const SEQ_MOD: u32 = 1 << 16;

/// What a packet's sequence number says about its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// The source has not sent enough packets in a row yet.
    Probation,
    /// In sequence, or a little off.
    Valid,
    /// The source began anew: the second packet in a row after a jump.
    Restarted,
    /// A jump that the next packet may confirm.
    Invalid,
}

/// Reception statistics of one source.
#[derive(Clone, Debug)]
pub struct Reception {
    clock_rate: u32,
    max_sequence: u16,
    cycles: u32,
    base_sequence: u32,
    /// The sequence number that would confirm a jump.
    bad_sequence: Option<u16>,
    /// Packets in a row that are still wanted, and how many there must be.
    probation: u8,
    min_sequential: u8,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    transit: Option<u32>,
    /// Jitter in timestamp units times 16.
    jitter: u32,
    last_fraction: u8,
}

impl Reception {
    /// A source whose first packet has this sequence number. It is on probation until
    /// `min_sequential` packets in a row have come (RFC 3550 A.1 says 2; 1 trusts the first, as is
    /// right for authenticated ones).
    pub const fn new(clock_rate: u32, first_sequence: u16, min_sequential: u8) -> Self {
        Self {
            clock_rate: if clock_rate == 0 { 8_000 } else { clock_rate },
            max_sequence: first_sequence.wrapping_sub(1),
            cycles: 0,
            base_sequence: first_sequence as u32,
            bad_sequence: None,
            probation: min_sequential,
            min_sequential,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0,
            last_fraction: 0,
        }
    }

    fn restart(&mut self, sequence: u16) {
        self.base_sequence = sequence.into();
        self.max_sequence = sequence;
        self.bad_sequence = None;
        self.cycles = 0;
        self.received = 0;
        self.received_prior = 0;
        self.expected_prior = 0;
    }

    /// Takes note of a packet (RFC 3550 A.1).
    pub fn update(&mut self, sequence: u16) -> Sequence {
        if self.probation > 0 {
            if sequence == self.max_sequence.wrapping_add(1) {
                self.probation = self.probation.saturating_sub(1);
                self.max_sequence = sequence;
                if self.probation == 0 {
                    self.restart(sequence);
                    self.received = 1;
                    return Sequence::Valid;
                }
            } else {
                // This packet is the first of a row.
                self.probation = self.min_sequential.saturating_sub(1).max(1);
                self.max_sequence = sequence;
            }
            return Sequence::Probation;
        }
        let ahead = sequence.wrapping_sub(self.max_sequence);
        let mut verdict = Sequence::Valid;
        if ahead < MAX_DROPOUT {
            if sequence < self.max_sequence {
                self.cycles = self.cycles.wrapping_add(SEQ_MOD);
            }
            self.max_sequence = sequence;
            self.bad_sequence = None;
        } else if ahead <= u16::MAX.wrapping_sub(MAX_MISORDER).wrapping_add(1) {
            if self.bad_sequence != Some(sequence) {
                self.bad_sequence = Some(sequence.wrapping_add(1));
                return Sequence::Invalid;
            }
            self.restart(sequence);
            verdict = Sequence::Restarted;
        }
        self.received = self.received.wrapping_add(1);
        verdict
    }

    /// The source has another codec with another clock, in Hz. Transit times of the two cannot be
    /// compared; the jitter is kept as a time.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        if clock_rate == self.clock_rate || clock_rate == 0 {
            return;
        }
        let jitter = u64::from(self.jitter).saturating_mul(clock_rate.into());
        let jitter = jitter.checked_div(self.clock_rate.into()).unwrap_or(0);
        self.jitter = u32::try_from(jitter).unwrap_or(u32::MAX);
        self.transit = None;
        self.clock_rate = clock_rate;
    }

    /// Takes note of when a packet arrived (RFC 3550 A.8).
    pub fn arrived(&mut self, now: Instant, timestamp: u32) {
        let us = u128::from(now.as_micros());
        // Truncated on purpose: only differences modulo 2^32 matter.
        let arrival = (us.saturating_mul(u128::from(self.clock_rate)) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let d = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A jump of more than a minute is a new clock, not jitter.
            if d < self.clock_rate.saturating_mul(60) {
                let decayed = self.jitter.saturating_sub(self.jitter.saturating_add(8) >> 4);
                self.jitter = decayed.saturating_add(d);
            }
        }
        self.transit = Some(transit);
    }

    /// Highest sequence number received, with its cycles in the upper half.
    pub const fn highest(&self) -> u32 {
        self.cycles.wrapping_add(self.max_sequence as u32)
    }

    /// Packets received, late and duplicate ones included.
    pub const fn received(&self) -> u32 {
        self.received
    }

    fn expected(&self) -> u32 {
        self.highest().wrapping_sub(self.base_sequence).wrapping_add(1)
    }

    /// Packets lost so far; negative if duplicates outnumber the lost (RFC 3550 A.3).
    pub fn lost(&self) -> i32 {
        if self.probation > 0 {
            return 0;
        }
        self.expected().wrapping_sub(self.received).cast_signed().clamp(-0x80_0000, 0x7f_ffff)
    }

    /// The share of packets lost since the last call, in 256ths (RFC 3550 A.3): once per report.
    pub fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected().wrapping_sub(self.expected_prior);
        let received = self.received.wrapping_sub(self.received_prior);
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let lost = expected.wrapping_sub(received).cast_signed();
        let share = if lost <= 0 {
            0
        } else {
            u64::from(lost.unsigned_abs())
                .saturating_mul(256)
                .checked_div(expected.into())
                .unwrap_or(0)
        };
        self.last_fraction = u8::try_from(share).unwrap_or(u8::MAX);
        self.last_fraction
    }

    /// What [`take_fraction_lost`](Self::take_fraction_lost) gave last.
    pub const fn last_fraction_lost(&self) -> u8 {
        self.last_fraction
    }

    /// Interarrival jitter in units of the RTP timestamp.
    pub const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// Interarrival jitter as time.
    pub fn jitter_duration(&self) -> Duration {
        super::jitter::duration(self.jitter(), self.clock_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_in_a_row_end_the_probation() {
        let mut r = Reception::new(8_000, 10, 2);
        assert_eq!(r.update(10), Sequence::Probation);
        assert_eq!(r.update(12), Sequence::Probation);
        assert_eq!(r.update(13), Sequence::Valid);
        assert_eq!((r.received(), r.lost()), (1, 0));
        assert_eq!(Reception::new(8_000, 10, 1).update(10), Sequence::Valid);
    }

    #[test]
    fn a_gap_begins_the_row_of_the_probation_anew() {
        let mut r = Reception::new(8_000, 10, 3);
        let got = [10, 11, 13, 14, 15, 16].map(|n| r.update(n));
        use Sequence::{Probation, Valid};
        assert_eq!(got, [Probation, Probation, Probation, Probation, Valid, Valid]);
        // What came before it was believed does not count.
        assert_eq!((r.received(), r.lost(), r.highest()), (2, 0, 16));
        // The wrap is no gap, and begins no cycle before the first packet that counts.
        let mut r = Reception::new(8_000, 65_535, 2);
        assert_eq!([65_535, 0].map(|n| r.update(n)), [Probation, Valid]);
        assert_eq!((r.received(), r.lost(), r.highest()), (1, 0, 0));
    }

    #[test]
    fn nothing_is_lost_of_a_source_that_is_not_believed() {
        let mut r = Reception::new(8_000, 10, 2);
        (10..100).step_by(5).for_each(|n| assert_eq!(r.update(n), Sequence::Probation));
        assert_eq!((r.received(), r.lost()), (0, 0));
    }

    #[test]
    fn the_fraction_lost_is_of_the_interval_and_never_more_than_255() {
        let mut r = Reception::new(8_000, 0, 1);
        r.update(0);
        assert_eq!(r.take_fraction_lost(), 0);
        // 2 998 of 2 999: 255.9 of 256.
        assert_eq!(r.update(2_999), Sequence::Valid);
        assert_eq!((r.take_fraction_lost(), r.last_fraction_lost()), (255, 255));
        // One of two, whatever was lost before.
        r.update(3_001);
        assert_eq!(r.take_fraction_lost(), 128);
        // More duplicates than losses are no negative loss.
        (0..3).for_each(|_| assert_eq!(r.update(3_003), Sequence::Valid));
        assert_eq!((r.take_fraction_lost(), r.last_fraction_lost()), (0, 0));
    }

    #[test]
    fn late_packets_neither_begin_a_cycle_nor_lower_the_highest() {
        let mut r = Reception::new(8_000, 65_534, 1);
        for n in [65_534, 0, 65_535, 1, 65_533] {
            assert_eq!(r.update(n), Sequence::Valid);
        }
        assert_eq!((r.highest(), r.received()), (65_537, 5));
        // 99 behind is late, 101 behind is a jump.
        let mut r = Reception::new(8_000, 1_000, 1);
        r.update(1_000);
        let got = [901, 900, 899, 3_999, 4_000].map(|n| r.update(n));
        use Sequence::{Invalid, Valid};
        assert_eq!(got, [Valid, Invalid, Invalid, Valid, Valid]);
        assert_eq!(r.update(7_000), Invalid, "3000 ahead");
    }

    #[test]
    fn loss_is_counted_across_the_wrap() {
        let mut r = Reception::new(8_000, 65_530, 1);
        for n in 0..20u16 {
            if n != 3 && n != 9 {
                assert_eq!(r.update(65_530u16.wrapping_add(n)), Sequence::Valid);
            }
        }
        assert_eq!((r.received(), r.lost(), r.highest()), (18, 2, 65_549));
        assert_eq!(r.take_fraction_lost(), 25);
        assert_eq!(r.take_fraction_lost(), 0);
        // Duplicates count against loss, as the RFC says.
        (0..3).for_each(|_| assert_eq!(r.update(12), Sequence::Valid));
        assert_eq!(r.lost(), -1);
    }

    #[test]
    fn a_jump_is_believed_when_the_next_packet_confirms_it() {
        let mut r = Reception::new(8_000, 100, 1);
        r.update(100);
        assert_eq!(r.update(30_000), Sequence::Invalid);
        assert_eq!(r.update(101), Sequence::Valid);
        assert_eq!(r.update(40_000), Sequence::Invalid);
        assert_eq!(r.update(40_001), Sequence::Restarted);
        assert_eq!((r.lost(), r.highest()), (0, 40_001));
    }

    #[test]
    fn jitter_converges_to_the_mean_deviation() {
        let mut r = Reception::new(8_000, 0, 1);
        for n in 0..500u32 {
            let late = if n % 2 == 0 { 0 } else { 10 };
            r.arrived(Instant::from_millis(u64::from(n) * 20 + late), n * 160);
        }
        // Every transit differs by 10 ms = 80 ticks from the one before.
        assert!((78..=80).contains(&r.jitter()), "{}", r.jitter());
    }

    #[test]
    fn what_began_anew_is_counted_anew() {
        let mut r = Reception::new(8_000, 65_000, 1);
        (0..1_000u16)
            .step_by(2)
            .for_each(|n| assert_eq!(r.update(65_000u16.wrapping_add(n)), Sequence::Valid));
        assert!(r.highest() > 65_536 && r.lost() > 400 && r.take_fraction_lost() > 100);
        assert_eq!([40_000, 40_001].map(|n| r.update(n)), [Sequence::Invalid, Sequence::Restarted]);
        assert_eq!(r.update(40_003), Sequence::Valid);
        assert_eq!((r.highest(), r.received(), r.lost()), (40_003, 2, 1));
        assert_eq!(r.take_fraction_lost(), 85);
        // A jump that a packet in sequence followed is not confirmed any more.
        assert_eq!([50_000, 40_004, 50_001].map(|n| r.update(n)), {
            use Sequence::{Invalid, Valid};
            [Invalid, Valid, Invalid]
        });
    }

    #[test]
    fn jitter_knows_early_from_late_and_no_jump_of_the_clock() {
        let mut r = Reception::new(8_000, 0, 1);
        r.arrived(Instant::from_millis(1_000), 0);
        // 10 ms early: 80 ticks, a sixteenth of them.
        r.arrived(Instant::from_millis(1_010), 160);
        assert_eq!(r.jitter(), 5);
        r.arrived(Instant::from_millis(1_030), 0x4000_0000);
        assert!(r.jitter() <= 5, "{}", r.jitter());
        assert_eq!(r.jitter_duration(), Duration::from_micros(625));
    }

    #[test]
    fn the_loss_keeps_to_24_bits() {
        let mut r = Reception::new(8_000, 0, 1);
        r.update(0);
        (1..=3_000u32).for_each(|n| {
            let _ = r.update((n * 2_999) as u16);
        });
        assert_eq!(r.lost(), 0x7f_ffff);
    }
}
