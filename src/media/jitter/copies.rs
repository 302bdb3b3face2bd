//! Copies of lost packets, which later packets carry (RFC 2198): they fill holes, and where packets
//! are lost the delay is long enough for them.
#![deny(clippy::arithmetic_side_effects)]

use super::buffer::State;
use super::slots::Kind;
use super::{JitterBuffer, MAX_PACKETS, Packet, distance};
use crate::time::Instant;

/// After a loss copies are waited for during so many packets: 10 s at 20 ms each.
const LOSSY: u32 = 500;

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fill {
    /// It fills a hole.
    Stored,
    /// The packet itself has come, or another copy of it.
    Held,
    /// Its place in the audio has been played or concealed already.
    TooOld,
    /// Its timestamp does not lie between those of its neighbours, or its number is none of a
    /// packet that is missing.
    Misplaced,
}

/// Whether copies are worth waiting for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copies {
    /// A copy comes by so many ticks later than the packet itself; 0: there are none.
    after: u32,
    /// Packets for which a loss is remembered.
    lossy: u32,
    /// The last loss was not the first that is remembered: the delay had time to grow.
    again: bool,
}

impl Copies {
    /// A packet came so many further than the one before.
    pub(super) fn count(&mut self, ahead: u16) {
        if ahead > 1 && self.after > 0 {
            self.again = self.lossy > 0;
            self.lossy = LOSSY;
        } else {
            self.lossy = self.lossy.saturating_sub(1);
        }
    }

    /// By how many ticks the delay is longer for them.
    pub(super) fn wait(&self) -> u32 {
        if self.lossy > 0 { self.after } else { 0 }
    }
}

impl JitterBuffer {
    /// The packets of the source carry copies of those that are so many RTP clock ticks older; 0:
    /// they carry none (any more). Where packets are lost, the delay grows by as much.
    pub fn expect_copies(&mut self, after: u32) {
        self.copies.after = after;
    }

    /// A packet came, maybe with what was lost before it, and while that was concealed. If it came
    /// within the delay that is aimed at, the delay is not there yet: what is played cannot be
    /// stretched, as music or loud noise. Then what it brings is played after all, and the delay is
    /// there from then on.
    pub(super) fn make_up(&mut self, now: Instant, packet: &Packet<'_>) {
        let after = self.copies.wait();
        let gap = packet.timestamp.wrapping_sub(self.next_timestamp);
        let is_next = packet.sequence == self.next_sequence;
        if !self.copies.again || after == 0 || is_next || gap > i32::MAX.cast_unsigned() {
            return;
        }
        let lost = packet.timestamp.wrapping_sub(after);
        if self.delay.playout_delay(now, lost).is_some_and(|delay| delay <= self.target()) {
            self.starved = self.starved.min(gap.saturating_sub(after));
        }
    }

    /// Takes a copy of a packet that came within a later one, which was
    /// [inserted](Self::insert) before. It fills a hole; a packet that came itself stays.
    pub fn insert_copy(&mut self, packet: Packet<'_>) -> Fill {
        if packet.ticks == 0 || packet.payload.len() > self.config.max_payload {
            return Fill::Misplaced;
        }
        if self.has_come(packet.sequence) || self.slots.holds(packet.sequence) {
            return Fill::Held;
        }
        if distance(packet.sequence, self.highest) >= 0 {
            return Fill::Misplaced;
        }
        let ahead = distance(packet.sequence, self.next_sequence);
        if ahead < 0 || self.state == State::Idle {
            return Fill::TooOld;
        }
        let begin = packet.timestamp.wrapping_sub(self.next_timestamp).cast_signed();
        let end = begin.saturating_add_unsigned(packet.ticks);
        if usize::try_from(ahead).unwrap_or(usize::MAX) >= MAX_PACKETS || !self.slots.fits(&packet)
        {
            return Fill::Misplaced;
        }
        // What was concealed in its place is over; what is left of it would only add delay.
        if begin < 0 || i64::from(end) <= i64::from(self.starved) {
            return Fill::TooOld;
        }
        if self.slots.insert(&packet, Kind::Copy) { Fill::Stored } else { Fill::Held }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;
    use crate::media::jitter::{Insert, JitterConfig, Playout};
    use crate::time::Duration;

    fn packet(n: u16, payload: &[u8]) -> Packet<'_> {
        let timestamp = u32::from(n) * 160;
        Packet { sequence: n, timestamp, payload_type: 0, ticks: 160, payload }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(1_000 + ms)
    }

    /// A buffer that plays: packets from 10 on, a pop each 20 ms, those of `lost` missing and each
    /// packet with a copy of the one before it. What was played.
    fn play(lost: &[u16], packets: u16) -> (Vec<Option<u8>>, JitterBuffer) {
        let mut b = JitterBuffer::new(JitterConfig::new(8_000));
        let mut played = Vec::new();
        for n in 0..packets {
            let now = at(u64::from(n) * 20);
            if !lost.contains(&n) {
                b.expect_copies(160);
                b.insert(now, packet(10 + n, &[n as u8]));
                if n > 0 {
                    b.insert_copy(packet(9 + n, &[n as u8 - 1 + 100]));
                }
            }
            played.push(match b.pop(now) {
                Playout::Frame { payload, .. } => Some(payload[0]),
                _ => None,
            });
        }
        (played, b)
    }

    #[test]
    fn a_copy_fills_a_hole_and_nothing_else() {
        // The first loss makes the delay long enough for the second.
        let (played, b) = play(&[20, 60], 100);
        assert!(played.contains(&Some(160)), "{played:?}");
        assert_eq!(b.stats().recovered, 2, "{played:?}");
        let copies = played.iter().flatten().filter(|byte| **byte >= 100);
        assert_eq!(copies.count(), 2);
        assert_eq!(b.stats().concealed_frames, 0, "{:?}", b.stats());
    }

    /// A host reads 20 ms at a time, just before the next packet comes, of a sound that cannot be
    /// stretched; every tenth packet is lost. Packets heard from a copy, and those of which the
    /// next one was at hand when they were concealed.
    fn without_stretching(copies: bool) -> (u64, u32) {
        let mut b = JitterBuffer::new(JitterConfig::new(8_000));
        let block = Duration::from_millis(20);
        let (mut recalled, mut filled) = (0, 0);
        for n in 0..100u16 {
            let now = at(u64::from(n) * 20);
            while filled < 160 {
                let place = Duration::from_micros(filled * 125);
                filled += match b.pop_within(now, block, place) {
                    Playout::Frame { .. } => 160,
                    Playout::Missing { ticks, next } => {
                        recalled += u32::from(next.is_some() && ticks == 160);
                        ticks.into()
                    }
                    Playout::Waiting { ticks } => ticks.into(),
                };
            }
            filled -= 160;
            if n % 10 != 9 {
                b.expect_copies(160);
                b.insert(now, packet(10 + n, &[1]));
                if copies && n > 0 {
                    b.insert_copy(packet(9 + n, &[2]));
                }
            }
        }
        (b.stats().recovered, recalled)
    }

    #[test]
    fn where_nothing_can_be_stretched_the_delay_grows_by_what_came_too_late_once() {
        // Ten losses: the first is waited for by stretching, the second makes the delay.
        assert_eq!(without_stretching(true), (8, 0));
        assert_eq!(without_stretching(false), (0, 8));
    }

    #[test]
    fn copies_are_waited_for_while_packets_are_lost_and_come_with_copies() {
        let target = |b: &JitterBuffer| b.target().as_millis();
        let (_, mut b) = play(&[], 40);
        let usual = target(&b);
        b.insert(at(820), packet(51, &[0]));
        assert_eq!(target(&b), usual + 20);
        b.expect_copies(0);
        assert_eq!(target(&b), usual);
        b.expect_copies(320);
        assert_eq!(target(&b), usual + 40);
        for n in 52..52 + LOSSY as u16 {
            b.insert(at(u64::from(n - 10) * 20), packet(n, &[0]));
            b.pop(at(u64::from(n - 10) * 20));
        }
        assert!(target(&b) <= usual, "{} after {usual} ms", target(&b));
    }

    #[test]
    fn the_packet_itself_takes_the_place_of_its_copy() {
        let mut b = JitterBuffer::new(JitterConfig::new(8_000));
        (0..3).for_each(|n| assert_eq!(b.insert(at(0), packet(n, &[1])), Insert::Stored));
        b.insert(at(0), packet(4, &[1]));
        assert_eq!(b.insert_copy(packet(3, &[2])), Fill::Stored);
        assert_eq!(b.insert_copy(packet(3, &[3])), Fill::Held);
        assert_eq!(b.insert(at(0), packet(3, &[4])), Insert::Stored);
        assert_eq!(b.insert_copy(packet(3, &[5])), Fill::Held);
        let mut heard = Vec::new();
        for n in 0..20 {
            if let Playout::Frame { payload, .. } = b.pop(at(200 + n * 20)) {
                heard.push(payload[0]);
            }
        }
        assert_eq!(heard, [1, 1, 1, 4, 1]);
        assert_eq!((b.stats().recovered, b.stats().duplicate), (0, 0));
    }

    #[test]
    fn what_is_out_of_place_or_too_old_is_refused() {
        let (_, mut b) = play(&[], 20);
        b.insert(at(400), packet(33, &[0]));
        // Holes: 30, 31 and 32.
        let moved = |n, by: i32| {
            let p = packet(n, &[7]);
            Packet { timestamp: p.timestamp.wrapping_add_signed(by), ..p }
        };
        assert_eq!(b.insert_copy(moved(31, -400)), Fill::Misplaced, "into the one before");
        assert_eq!(b.insert_copy(moved(31, 400)), Fill::Misplaced, "into its neighbour");
        assert_eq!(b.insert_copy(moved(31, i32::MAX)), Fill::Misplaced);
        assert_eq!(b.insert_copy(packet(33, &[7])), Fill::Held);
        assert_eq!(b.insert_copy(packet(34, &[7])), Fill::Misplaced, "not older than the newest");
        assert_eq!(b.insert_copy(packet(12, &[7])), Fill::Held);
        assert_eq!(b.insert_copy(packet(5, &[7])), Fill::TooOld);
        assert_eq!(b.insert_copy(Packet { ticks: 0, ..packet(31, &[]) }), Fill::Misplaced);
        assert_eq!(b.insert_copy(packet(31, &[0; 2_000])), Fill::Misplaced);
        assert_eq!(b.insert_copy(packet(31, &[7])), Fill::Stored);
        // A copy whose time was concealed meanwhile.
        let mut b = JitterBuffer::new(JitterConfig::new(8_000));
        (0..5).for_each(|n| {
            b.insert(at(0), packet(n, &[0]));
        });
        (0..14).for_each(|n| {
            b.pop(at(100 + n * 10));
        });
        b.insert(at(240), packet(6, &[0]));
        assert_eq!(b.insert_copy(packet(5, &[0])), Fill::TooOld);
    }
}
