//! Pauses that the peer tells of (RFC 3389): nothing is missing in them.
#![deny(clippy::arithmetic_side_effects)]

use super::slots::Kind;
use super::{Insert, JitterBuffer, Packet};
use crate::time::Instant;

impl JitterBuffer {
    /// Takes a packet that says that the peer pauses from its timestamp on; its `ticks` do not
    /// matter. It is played as a [frame](super::Playout::Frame) of the length of the last one, and
    /// until the next frame of audio the buffer [waits](super::Playout::Waiting) where nothing has
    /// come.
    pub fn insert_pause(&mut self, now: Instant, packet: Packet<'_>) -> Insert {
        let ticks = self.frame_ticks;
        self.insert_as(now, Packet { ticks, ..packet }, Kind::Noise)
    }

    /// How long a frame plays that [tells of a pause](Self::insert_pause), in ticks.
    pub fn pause_ticks(&self) -> u32 {
        self.frame_ticks
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;
    use crate::media::jitter::{JitterConfig, Playout};

    fn packet(sequence: u16, frame: u32, payload: &[u8]) -> Packet<'_> {
        Packet { sequence, timestamp: frame * 160, payload_type: 0, ticks: 160, payload }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(1_000 + ms)
    }

    /// Plays 20 ms at `ms`: what each answer was.
    fn play(b: &mut JitterBuffer, ms: u64) -> String {
        let (mut told, mut left) = (String::new(), 160);
        while left > 0 {
            left -= match b.pop(at(ms)) {
                Playout::Frame { payload, .. } => {
                    told.push(if payload.is_empty() { 'n' } else { 'a' });
                    160
                }
                Playout::Missing { ticks, .. } => {
                    told.push('m');
                    ticks as i32
                }
                Playout::Waiting { ticks } => {
                    told.push('w');
                    ticks as i32
                }
            };
        }
        told
    }

    #[test]
    fn in_a_pause_nothing_is_missing_and_what_follows_begins_at_the_target() {
        // A long pause, and one that is over before playing would begin anew.
        for pause in [100, 8] {
            let mut b = JitterBuffer::new(JitterConfig::new(8_000));
            let mut told = String::new();
            for n in 0..50 + pause + 50u64 {
                let speaks = n < 50 || n >= 50 + pause;
                let sequence = if n < 50 { n } else { (n + 1).saturating_sub(pause) } as u16;
                if speaks {
                    b.insert(at(n * 20), packet(sequence, n as u32, &[1]));
                } else if n == 50 {
                    b.insert_pause(at(n * 20), packet(50, 50, &[]));
                }
                told.push_str(&play(&mut b, n * 20));
            }
            let stats = b.stats();
            assert!(!told.contains('m'), "{told}");
            assert_eq!((stats.concealed_frames, stats.late), (0, 0), "{told}");
            assert_eq!(told.matches('n').count(), 1);
            assert!(told.matches('a').count() >= 97, "{told}");
        }
    }

    #[test]
    fn without_a_word_the_same_silence_is_concealed_until_it_is_known_to_be_a_pause() {
        let mut b = JitterBuffer::new(JitterConfig::new(8_000));
        (0..50).for_each(|n| {
            b.insert(at(n * 20), packet(n as u16, n as u32, &[1]));
            play(&mut b, n * 20);
        });
        let told: String = (50..60).map(|n| play(&mut b, n * 20)).collect();
        assert!(told.contains('m'), "{told}");
    }

    #[test]
    fn when_a_sender_tells_of_its_pauses_says_nothing_of_the_network() {
        let mut b = JitterBuffer::new(JitterConfig::new(8_000));
        for n in 0..200u64 {
            let (sequence, frame) = (n as u16, n as u32);
            if n % 10 == 9 {
                // Told at once, not at the end of its frame.
                b.insert_pause(at(n * 20 - 19), packet(sequence, frame, &[]));
            } else {
                b.insert(at(n * 20), packet(sequence, frame, &[1]));
            }
            play(&mut b, n * 20);
        }
        assert_eq!(b.stats().concealed_frames, 0);
        assert!(b.target().as_millis() <= 15, "{:?}", b.target());
    }
}
