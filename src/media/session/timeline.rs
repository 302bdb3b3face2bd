//! The timestamps of one source on one clock, whatever clocks its codecs have.
//!
//! RTP timestamps count in the clock of their payload type: 8000 Hz for G.711 and G.722, 48000 Hz
//! for Opus. A peer that changes codecs in a stream changes clocks in it, and what its timestamps
//! say across the change depends on whom one asks (RFC 7160). The sequence numbers say it clearly:
//! the first packet of the new codec follows the last one of the old.
#![deny(clippy::arithmetic_side_effects)]

use crate::media::jitter::distance;

/// All RTP clocks divide this one, in Hz.
pub(super) const COMMON_CLOCK: u32 = 48_000;
/// Packets that were lost between two codecs count as this many at most.
const MAX_MISSING: u16 = 50;

/// Where a run of packets with one clock stands.
#[derive(Clone, Copy, Debug)]
struct Run {
    clock_rate: u32,
    /// The first packet of the run.
    begin: u16,
    /// The newest packet: its number, its timestamp, where it begins and how long it is.
    sequence: u16,
    timestamp: u32,
    at: u32,
    ticks: u32,
}

impl Run {
    fn place(&self, timestamp: u32) -> u32 {
        let factor = COMMON_CLOCK.checked_div(self.clock_rate).unwrap_or(1);
        self.at.wrapping_add(timestamp.wrapping_sub(self.timestamp).wrapping_mul(factor))
    }
}

/// Puts the packets of a source on a common clock of [`COMMON_CLOCK`].
#[derive(Debug, Default)]
pub(super) struct Timeline {
    now: Option<Run>,
    before: Option<Run>,
}

impl Timeline {
    /// Forgets the source.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The timestamp on the common clock of a packet that lasts `ticks` of the common clock.
    pub(super) fn place(
        &mut self,
        sequence: u16,
        timestamp: u32,
        clock_rate: u32,
        ticks: u32,
    ) -> u32 {
        let Some(now) = &mut self.now else {
            let at = timestamp;
            self.now = Some(Run { clock_rate, begin: sequence, sequence, timestamp, at, ticks });
            return at;
        };
        if now.clock_rate == clock_rate {
            let at = now.place(timestamp);
            if distance(sequence, now.sequence) > 0 {
                *now = Run { sequence, timestamp, at, ticks, ..*now };
            }
            return at;
        }
        // A straggler of the codec before.
        let before = self.before.filter(|b| b.clock_rate == clock_rate);
        if let Some(before) = before.filter(|_| distance(sequence, now.begin) < 0) {
            return before.place(timestamp);
        }
        let missing = sequence.wrapping_sub(now.sequence).wrapping_sub(1);
        let missing =
            if distance(sequence, now.sequence) > 0 { missing.min(MAX_MISSING) } else { 0 };
        let at =
            now.at.wrapping_add(now.ticks).wrapping_add(now.ticks.wrapping_mul(u32::from(missing)));
        self.before =
            self.now.replace(Run { clock_rate, begin: sequence, sequence, timestamp, at, ticks });
        at
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    #[test]
    fn a_change_of_clock_makes_no_gap_whatever_the_new_timestamps_say() {
        for jump in [0_u32, 160, 960, 4_000_000_000] {
            let mut t = Timeline::default();
            let begin = t.place(10, 5_000, 8_000, 960);
            assert_eq!(t.place(11, 5_160, 8_000, 960), begin + 960);
            // Opus from here on; 12 comes after 13 and 14.
            let first = 5_160_u32.wrapping_add(jump);
            assert_eq!(t.place(13, first, 48_000, 960), begin + 960 * 3);
            assert_eq!(t.place(14, first.wrapping_add(960), 48_000, 960), begin + 960 * 4);
            assert_eq!(t.place(12, 5_320, 8_000, 960), begin + 960 * 2);
            assert_eq!(t.place(15, first.wrapping_add(1_920), 48_000, 960), begin + 960 * 5);
            // And back.
            assert_eq!(t.place(16, 99, 8_000, 960), begin + 960 * 6);
        }
    }

    #[test]
    fn timestamps_wrap() {
        let mut t = Timeline::default();
        let begin = t.place(65_535, u32::MAX - 79, 8_000, 960);
        assert_eq!(t.place(0, 80, 8_000, 960), begin.wrapping_add(960));
        let mut t = Timeline::default();
        assert_eq!(t.place(7, u32::MAX, 48_000, 960), u32::MAX);
        assert_eq!(t.place(8, 959, 48_000, 960), 959);
    }
}
