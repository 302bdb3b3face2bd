//! The jitter buffer: reorders packets, drops duplicates and what comes too late, and keeps just
//! enough delay for the jitter that it measures.
//!
//! Storage is fixed at construction. Delay is measured, not counted: the buffer knows when the
//! fastest recent packet would have arrived for the sample that is about to be played, so the
//! time since then is the playout delay, whatever the host's block size. It is compared with the
//! delay that the recent arrivals call for (`delay`). Too little delay grows at once (a starved
//! buffer waits, and asks for stretched frames); too much shrinks as far as the audio lets it.
//! Where a talkspurt begins, the delay is set to what it should be.
#![deny(clippy::arithmetic_side_effects)]

mod buffer;
mod copies;
mod delay;
mod histogram;
mod pace;
mod pauses;
mod slots;

pub use buffer::JitterBuffer;
pub use copies::Fill;
pub use delay::DelayEstimator;

use crate::time::Duration;

/// Packets that can wait. At 20 ms a packet this is 1.28 s.
pub const MAX_PACKETS: usize = 64;

/// Limits of the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// The target never falls below this.
    pub min_delay: Duration,
    /// The target never rises above this.
    pub max_delay: Duration,
    /// The delay with which playing begins, before the jitter is known: at least this much, and less
    /// than a block of the host more.
    pub initial_delay: Duration,
    /// Longest payload that is kept; longer ones are refused.
    pub max_payload: usize,
    /// What is concealed or waited for while nothing is there has the length of a frame, for hosts
    /// that play nothing shorter. Otherwise an empty buffer is asked again after 10 ms.
    pub whole_frames: bool,
}

impl JitterConfig {
    /// The defaults for a stream of this RTP clock: 2.5 to 400 ms, 2.5 ms to begin with.
    pub const fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            min_delay: Duration::from_micros(2_500),
            max_delay: Duration::from_millis(400),
            initial_delay: Duration::from_micros(2_500),
            max_payload: super::codec::MAX_PAYLOAD,
            whole_frames: false,
        }
    }
}

/// One received packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Payload type.
    pub payload_type: u8,
    /// How long the payload plays, in RTP clock ticks.
    pub ticks: u32,
    /// The encoded audio.
    pub payload: &'a [u8],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Insert {
    /// It waits to be played.
    Stored,
    /// Its place in the audio has been played already.
    Late,
    /// It waits already.
    Duplicate,
    /// The payload is longer than the buffer takes, or plays no time at all.
    Unusable,
}

/// What to play next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playout<'a> {
    /// Decode and play this payload.
    Frame {
        /// Payload type.
        payload_type: u8,
        /// The encoded audio.
        payload: &'a [u8],
        /// RTP timestamp of its beginning.
        timestamp: u32,
        /// Whether playing it a little faster or slower would bring the delay to its target.
        adjust: Adjust,
    },
    /// The packet for this time is missing: conceal this many ticks. `next` is the payload after
    /// the gap if it has come (for codecs that carry redundancy).
    Missing {
        /// RTP clock ticks to fill.
        ticks: u32,
        /// Payload type and payload of the next packet, if it directly follows.
        next: Option<(u8, &'a [u8])>,
    },
    /// Nothing is missing, but nothing is to be played either: nothing has come yet, or the peer
    /// paused and its next talkspurt gathers. Play background noise for this many ticks.
    Waiting {
        /// RTP clock ticks to fill.
        ticks: u32,
    },
}

/// A wish to change the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adjust {
    /// The delay is right.
    Keep,
    /// Play faster (leave out a pitch period, or silence), by this much in all.
    Shrink(Duration),
    /// The same, but only if the frame is quiet: it is not urgent, and heard the less there.
    ShrinkInQuiet(Duration),
    /// Play slower (repeat a pitch period, or lengthen silence), by this much in all.
    Grow(Duration),
}

/// What the buffer did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets stored.
    pub stored: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that came after one with a higher sequence number, yet in time.
    pub reordered: u64,
    /// Packets dropped because too many waited.
    pub overflowed: u64,
    /// Packets with unusable payloads.
    pub unusable: u64,
    /// Frames asked to be concealed.
    pub concealed_frames: u64,
    /// RTP clock ticks asked to be concealed.
    pub concealed_ticks: u64,
    /// Times that audio began to be missing.
    pub concealment_events: u64,
    /// Pauses of the peer that were recognised: no packet was lost and the timestamp jumped.
    pub pauses: u64,
    /// Frames played.
    pub played: u64,
    /// RTP clock ticks of the frames played.
    pub played_ticks: u64,
    /// Of those, frames whose packet was lost and of which a later one carried a copy.
    pub recovered: u64,
    /// Sum of the delays of the frames played, each since its earliest possible arrival, in µs.
    pub delay_us: u64,
    /// Jumps of sequence number or timestamp after which playing began anew.
    pub jumps: u64,
}

/// How far `a` is ahead of `b`, modulo 2^16.
pub(crate) fn distance(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b).cast_signed()
}

/// RTP clock ticks in a duration, saturating.
pub(crate) fn ticks(d: Duration, clock_rate: u32) -> u32 {
    let t = d.as_micros().saturating_mul(u128::from(clock_rate)) / 1_000_000;
    u32::try_from(t).unwrap_or(u32::MAX)
}

/// Duration of RTP clock ticks.
pub(crate) fn duration(ticks: u32, clock_rate: u32) -> Duration {
    let us = u64::from(ticks).saturating_mul(1_000_000).checked_div(u64::from(clock_rate));
    Duration::from_micros(us.unwrap_or(0))
}

impl JitterStats {
    /// Mean delay that the buffer added, since the earliest possible arrival of each frame.
    pub fn mean_delay(&self) -> Duration {
        Duration::from_micros(self.delay_us.checked_div(self.played).unwrap_or(0))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests;
