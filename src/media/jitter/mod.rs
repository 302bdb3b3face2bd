//! The jitter buffer: reorders packets, drops duplicates and what comes too late, and keeps just
//! enough delay for the jitter that it measures.
//!
//! Storage is fixed at construction. Delay is measured, not counted: the buffer knows when the
//! fastest recent packet would have arrived for the sample that is about to be played, so the
//! time since then is the playout delay, whatever the host's block size. It is compared with the
//! delay within which nearly all recent packets arrived (`delay`). Too little delay grows at
//! once (a starved buffer waits, and asks for stretched frames); too much shrinks slowly.
#![deny(clippy::arithmetic_side_effects)]

mod delay;
mod slots;

pub use delay::DelayEstimator;

use crate::time::{Duration, Instant};
use slots::Slots;

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
    /// Audio that is gathered before playing begins or resumes after a long gap.
    pub initial_delay: Duration,
    /// Longest payload that is kept; longer ones are refused.
    pub max_payload: usize,
}

impl JitterConfig {
    /// The defaults for a stream of this RTP clock: 20 to 400 ms, 40 ms to begin with.
    pub const fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            min_delay: Duration::from_millis(20),
            max_delay: Duration::from_millis(400),
            initial_delay: Duration::from_millis(40),
            max_payload: super::codec::MAX_PAYLOAD,
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
    /// Nothing has come yet, or not enough: play silence for this many ticks.
    Waiting {
        /// RTP clock ticks to fill.
        ticks: u32,
    },
}

/// A wish to change the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjust {
    /// The delay is right.
    Keep,
    /// Play faster (leave out a pitch period, or silence), by this much in all.
    Shrink(Duration),
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
    /// Jumps of sequence number or timestamp after which playing began anew.
    pub jumps: u64,
}

/// After this much concealment without a packet, playing begins anew with gathering.
const REBUFFER: Duration = Duration::from_millis(240);
/// Timestamp gaps up to this are filled, longer ones are jumped over.
const MAX_GAP: Duration = Duration::from_millis(1_000);
/// The delay may exceed its target by this before it shrinks.
const SHRINK_HYSTERESIS: Duration = Duration::from_millis(20);
/// The delay must exceed its target this many frames in a row before it shrinks.
const SHRINK_PATIENCE: u32 = 12;
/// The delay may fall short of its target by this before it grows.
const GROW_HYSTERESIS: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing received yet.
    Idle,
    /// Gathering; the first packet came at this time.
    Gathering(Instant),
    Playing,
}

/// A jitter buffer for one SSRC.
#[derive(Debug)]
pub struct JitterBuffer {
    config: JitterConfig,
    slots: Slots,
    delay: DelayEstimator,
    state: State,
    /// The next packet to play, and where it begins.
    next_sequence: u16,
    next_timestamp: u32,
    highest: u16,
    /// What comes before this was played or given up when the buffer ran empty last.
    floor: Option<u16>,
    /// Concealed since the buffer ran empty, in ticks.
    starved: u32,
    /// Length of the last frame played, in ticks.
    frame_ticks: u32,
    /// Frames in a row with too much delay, and the least excess among them.
    excess: (u32, Duration),
    stats: JitterStats,
}

impl JitterBuffer {
    /// An empty buffer.
    pub fn new(config: JitterConfig) -> Self {
        Self {
            slots: Slots::new(MAX_PACKETS, config.max_payload),
            delay: DelayEstimator::new(config.clock_rate),
            state: State::Idle,
            next_sequence: 0,
            next_timestamp: 0,
            highest: 0,
            floor: None,
            starved: 0,
            frame_ticks: ticks(Duration::from_millis(20), config.clock_rate),
            excess: (0, Duration::MAX),
            stats: JitterStats::default(),
            config,
        }
    }

    /// Forgets all packets and measurements (the SSRC changed); the statistics go on.
    pub fn reset(&mut self) {
        self.slots.clear();
        self.delay.reset();
        self.state = State::Idle;
        self.floor = None;
        self.starved = 0;
        self.excess = (0, Duration::MAX);
    }

    /// What it did so far.
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    /// The delay that it aims at.
    pub fn target(&self) -> Duration {
        self.delay.quantile().clamp(self.config.min_delay, self.config.max_delay)
    }

    /// How much audio waits in it.
    pub fn level(&self) -> Duration {
        duration(self.slots.ticks(), self.config.clock_rate)
    }

    /// Takes a packet that arrived at `now`.
    pub fn insert(&mut self, now: Instant, packet: Packet<'_>) -> Insert {
        if packet.ticks == 0 || packet.payload.len() > self.config.max_payload {
            self.stats.unusable = self.stats.unusable.saturating_add(1);
            return Insert::Unusable;
        }
        // Held back on the way until the stream had ended: its time is over, however empty it is
        // here, it tells nothing of
        // the delay, and a decoder would take it for what follows.
        if self.floor.is_some_and(|floor| distance(packet.sequence, floor) < 0) {
            self.stats.late = self.stats.late.saturating_add(1);
            return Insert::Late;
        }
        self.delay.arrived(now, packet.timestamp);
        if self.state == State::Idle {
            self.begin(now, &packet);
        }
        let mut ahead = distance(packet.sequence, self.next_sequence);
        if ahead < 0 && self.may_begin_earlier(&packet) {
            self.next_sequence = packet.sequence;
            self.next_timestamp = packet.timestamp;
            ahead = 0;
        }
        if ahead < 0 {
            self.stats.late = self.stats.late.saturating_add(1);
            return Insert::Late;
        }
        if usize::try_from(ahead).unwrap_or(usize::MAX) >= MAX_PACKETS {
            self.make_room(&packet);
        }
        if !self.slots.insert(&packet) {
            self.stats.duplicate = self.stats.duplicate.saturating_add(1);
            return Insert::Duplicate;
        }
        if distance(packet.sequence, self.highest) < 0 {
            self.stats.reordered = self.stats.reordered.saturating_add(1);
        } else {
            self.highest = packet.sequence;
        }
        self.stats.stored = self.stats.stored.saturating_add(1);
        Insert::Stored
    }

    fn begin(&mut self, now: Instant, packet: &Packet<'_>) {
        self.state = State::Gathering(now);
        self.next_sequence = packet.sequence;
        self.next_timestamp = packet.timestamp;
        self.highest = packet.sequence;
    }

    /// While gathering, a packet from before the first one may still be put in front of it.
    fn may_begin_earlier(&self, packet: &Packet<'_>) -> bool {
        let span = usize::from(self.highest.wrapping_sub(packet.sequence));
        matches!(self.state, State::Gathering(_)) && self.stats.stored > 0 && span < MAX_PACKETS / 2
    }

    /// Drops the oldest packets so that `packet` fits; if none is left, playing goes on with it.
    fn make_room(&mut self, packet: &Packet<'_>) {
        let begin = packet.sequence.wrapping_sub(MAX_PACKETS as u16).wrapping_add(1);
        let dropped = self.slots.drop_before(begin);
        self.stats.overflowed = self.stats.overflowed.saturating_add(dropped);
        self.stats.jumps = self.stats.jumps.saturating_add(1);
        self.starved = 0;
        (self.next_sequence, self.next_timestamp) = match self.slots.first(begin) {
            Some(first) => (first.sequence, first.timestamp),
            None => (packet.sequence, packet.timestamp),
        };
    }

    /// Says what to play at `now`. Each answer stands for the ticks that it names (a frame: the
    /// ticks it was inserted with); call it when all before has been played.
    pub fn pop(&mut self, now: Instant) -> Playout<'_> {
        if let State::Gathering(since) = self.state {
            let enough = self.level() >= self.config.initial_delay.max(self.target());
            if enough || now.duration_since(since) >= self.config.initial_delay.max(self.target()) {
                self.resume();
            }
        }
        if self.state != State::Playing {
            return Playout::Waiting { ticks: self.frame_ticks };
        }
        let Some(first) = self.slots.first(self.next_sequence) else {
            return self.starve();
        };
        let gap = first.timestamp.wrapping_sub(self.next_timestamp);
        let max_gap = ticks(MAX_GAP, self.config.clock_rate);
        if gap > max_gap.saturating_add(self.starved) {
            // A jump, forwards or backwards: go on with what there is.
            self.stats.jumps = self.stats.jumps.saturating_add(1);
        } else if gap > self.starved {
            return self.fill(first.sequence, first.timestamp, gap.saturating_sub(self.starved));
        }
        self.play(now, first.sequence)
    }

    /// Begins playing with the first packet that waits.
    fn resume(&mut self) {
        self.state = State::Playing;
        self.starved = 0;
        if let Some(first) = self.slots.first(self.next_sequence) {
            (self.next_sequence, self.next_timestamp) = (first.sequence, first.timestamp);
        }
    }

    /// Nothing waits: conceal without moving on, so that a packet that is only late still plays.
    fn starve(&mut self) -> Playout<'_> {
        self.starved = self.starved.saturating_add(self.frame_ticks);
        self.stats.concealed_frames = self.stats.concealed_frames.saturating_add(1);
        if self.starved >= ticks(REBUFFER, self.config.clock_rate) {
            self.state = State::Idle;
            self.floor = Some(self.next_sequence);
        }
        Playout::Missing { ticks: self.frame_ticks, next: None }
    }

    /// Later packets wait but the one for now is missing: conceal up to them.
    fn fill(&mut self, sequence: u16, timestamp: u32, gap: u32) -> Playout<'_> {
        let step = gap.min(self.frame_ticks);
        self.next_timestamp = timestamp.wrapping_sub(gap.saturating_sub(step));
        self.starved = 0;
        self.stats.concealed_frames = self.stats.concealed_frames.saturating_add(1);
        let last = step == gap;
        if last {
            self.next_sequence = sequence;
        } else if distance(sequence, self.next_sequence) > 1 {
            self.next_sequence = self.next_sequence.wrapping_add(1);
        }
        let next = if last { self.slots.payload(sequence) } else { None };
        Playout::Missing { ticks: step, next }
    }

    fn play(&mut self, now: Instant, sequence: u16) -> Playout<'_> {
        let Some(slot) = self.slots.first(sequence) else {
            return Playout::Waiting { ticks: self.frame_ticks };
        };
        self.slots.take(sequence);
        let adjust = self.adjustment(now, slot.timestamp);
        self.next_sequence = sequence.wrapping_add(1);
        self.next_timestamp = slot.timestamp.wrapping_add(slot.ticks);
        self.frame_ticks = slot.ticks;
        self.starved = 0;
        match self.slots.taken(sequence) {
            Some((payload_type, payload)) => Playout::Frame { payload_type, payload, adjust },
            None => Playout::Waiting { ticks: slot.ticks },
        }
    }

    /// Compares the delay of the frame that begins at `timestamp` with the target.
    fn adjustment(&mut self, now: Instant, timestamp: u32) -> Adjust {
        let Some(delay) = self.delay.playout_delay(now, timestamp) else {
            return Adjust::Keep;
        };
        let target = self.target();
        if delay.saturating_add(GROW_HYSTERESIS) < target {
            self.excess = (0, Duration::MAX);
            return Adjust::Grow(target.saturating_sub(delay));
        }
        if delay <= target.saturating_add(SHRINK_HYSTERESIS) {
            self.excess = (0, Duration::MAX);
            return Adjust::Keep;
        }
        let (frames, least) = self.excess;
        let least = least.min(delay.saturating_sub(target));
        self.excess = (frames.saturating_add(1), least);
        if frames < SHRINK_PATIENCE {
            return Adjust::Keep;
        }
        // Wait again before the next one: shrinking is slow.
        self.excess = (SHRINK_PATIENCE / 2, Duration::MAX);
        Adjust::Shrink(least)
    }
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests;
