//! The buffer itself: what is stored, and what is played next.
#![deny(clippy::arithmetic_side_effects)]

use super::copies::Copies;
use super::delay::DelayEstimator;
use super::pace::{Frame, Pace};
use super::slots::{Kind, Slots};
use super::{
    Adjust, Insert, JitterConfig, JitterStats, MAX_PACKETS, Packet, Playout, distance, duration,
    ticks,
};
use crate::time::{Duration, Instant};

/// After this much concealment without a packet, playing begins anew with gathering.
const REBUFFER: Duration = Duration::from_millis(240);
/// Timestamp gaps up to this are filled, longer ones are jumped over.
const MAX_GAP: Duration = Duration::from_millis(1_000);
/// An empty buffer is asked again after this much concealment.
const STARVED_STEP: Duration = Duration::from_millis(10);
/// The next packet may be later than its time by this, where another waits usually.
const LATE_NEXT: Duration = Duration::from_millis(10);
/// Silence is played for this long at least.
const LEAST_REST: Duration = Duration::from_millis(1);
/// More than this beyond the largest delay is not shrunk but left out.
const TOO_MUCH: Duration = Duration::from_millis(100);

/// No frame waits for so long.
const ABSURD: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing received yet.
    Idle,
    /// Gathering; the first packet came at this time.
    Gathering(Instant),
    Playing,
}

/// A jitter buffer for one SSRC.
#[derive(Debug)]
pub struct JitterBuffer {
    pub(super) config: JitterConfig,
    pub(super) slots: Slots,
    pub(super) delay: DelayEstimator,
    pub(super) copies: Copies,
    pub(super) state: State,
    /// The next packet to play, and where it begins.
    pub(super) next_sequence: u16,
    pub(super) next_timestamp: u32,
    /// The newest packet, and which of the 64 up to it have come (the newest is bit 0).
    pub(super) highest: u16,
    highest_timestamp: u32,
    seen: u64,
    /// What comes before this was played or given up when the buffer ran empty last.
    floor: Option<u16>,
    /// Concealed since the buffer ran empty, in ticks.
    pub(super) starved: u32,
    /// Of that, what is not known yet to be loss or a pause of the peer.
    doubtful: u32,
    /// What is played now stands in for audio that is missing.
    concealing: bool,
    /// The peer has said that it pauses: what does not come is no loss.
    pausing: bool,
    /// The pause before this packet has been counted.
    paused: Option<u16>,
    /// Length of the last frame played, in ticks.
    pub(super) frame_ticks: u32,
    pace: Pace,
    /// The host's block that is filled now, and the place in it that is asked for.
    block: Duration,
    place: Duration,
    pub(super) stats: JitterStats,
}

impl JitterBuffer {
    /// An empty buffer.
    pub fn new(config: JitterConfig) -> Self {
        Self {
            slots: Slots::new(MAX_PACKETS, config.max_payload),
            delay: DelayEstimator::new(config.clock_rate),
            copies: Copies::default(),
            state: State::Idle,
            next_sequence: 0,
            next_timestamp: 0,
            highest: 0,
            highest_timestamp: 0,
            seen: 0,
            floor: None,
            starved: 0,
            doubtful: 0,
            concealing: false,
            pausing: false,
            paused: None,
            frame_ticks: ticks(Duration::from_millis(20), config.clock_rate).max(1),
            pace: Pace::new(),
            block: Duration::ZERO,
            place: Duration::ZERO,
            stats: JitterStats::default(),
            config,
        }
    }

    /// Forgets all packets and measurements (the SSRC changed); the statistics go on.
    pub fn reset(&mut self) {
        self.slots.clear();
        self.delay.reset();
        self.copies = Copies::default();
        self.state = State::Idle;
        self.seen = 0;
        self.floor = None;
        self.starved = 0;
        self.doubtful = 0;
        self.concealing = false;
        self.pausing = false;
        self.paused = None;
        self.pace.reset();
    }

    /// What it did so far.
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    /// The delay that it aims at.
    pub fn target(&self) -> Duration {
        let target = self.delay.target().clamp(self.config.min_delay, self.config.max_delay);
        let copies = duration(self.copies.wait(), self.config.clock_rate);
        target.saturating_add(copies).min(self.config.max_delay)
    }

    /// How much audio waits in it.
    pub fn level(&self) -> Duration {
        duration(self.slots.ticks(), self.config.clock_rate)
    }

    /// Audio that was asked to be concealed so far.
    pub fn concealed(&self) -> Duration {
        let us = self.stats.concealed_ticks.saturating_mul(1_000_000);
        Duration::from_micros(us.checked_div(self.config.clock_rate.into()).unwrap_or(0))
    }

    /// Takes a packet that arrived at `now`.
    pub fn insert(&mut self, now: Instant, packet: Packet<'_>) -> Insert {
        self.insert_as(now, packet, Kind::Primary)
    }

    pub(super) fn insert_as(&mut self, now: Instant, packet: Packet<'_>, kind: Kind) -> Insert {
        if packet.ticks == 0 || packet.payload.len() > self.config.max_payload {
            self.stats.unusable = self.stats.unusable.saturating_add(1);
            return Insert::Unusable;
        }
        // Held back on the way until the stream had ended: its time is over, however empty it is
        // here, it tells nothing of the delay, and a decoder would take it for what follows.
        if self.floor.is_some_and(|floor| distance(packet.sequence, floor) < 0) {
            return self.late();
        }
        let again = self.has_come(packet.sequence);
        if !again {
            self.measure(now, &packet, kind);
            self.make_up(now, &packet);
        }
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
            return self.late();
        }
        if usize::try_from(ahead).unwrap_or(usize::MAX) >= MAX_PACKETS {
            self.make_room(&packet);
        }
        if again || !self.slots.insert(&packet, kind) {
            self.stats.duplicate = self.stats.duplicate.saturating_add(1);
            return Insert::Duplicate;
        }
        // One that overtook others says nothing yet: what is played next decides.
        if packet.sequence == self.next_sequence && self.state == State::Playing {
            self.resolve(packet.sequence, packet.timestamp);
        }
        if packet.sequence != self.highest {
            self.stats.reordered = self.stats.reordered.saturating_add(1);
        }
        self.stats.stored = self.stats.stored.saturating_add(1);
        Insert::Stored
    }

    fn late(&mut self) -> Insert {
        self.stats.late = self.stats.late.saturating_add(1);
        Insert::Late
    }

    /// Whether a packet of the last 64 has come already.
    pub(super) fn has_come(&self, sequence: u16) -> bool {
        let back = self.highest.wrapping_sub(sequence);
        back < 64 && self.seen >> back & 1 == 1
    }

    /// A new packet tells how long packets take, and whether others have overtaken it.
    fn measure(&mut self, now: Instant, packet: &Packet<'_>, kind: Kind) {
        let ahead = if self.seen == 0 { 1 } else { distance(packet.sequence, self.highest) };
        let overtaken = ahead <= 0;
        if overtaken {
            let back = ahead.unsigned_abs();
            self.seen |= 1u64.checked_shl(back.into()).unwrap_or(0);
        } else {
            self.copies.count(ahead.unsigned_abs());
            let step = packet.timestamp.wrapping_sub(self.highest_timestamp).cast_signed();
            if self.seen != 0 && step < 0 {
                // Later and yet earlier: the sender's clock was set anew.
                self.delay.forget_transit();
            }
            let moved = self.seen.checked_shl(ahead.unsigned_abs().into()).unwrap_or(0);
            self.seen = moved | 1;
            (self.highest, self.highest_timestamp) = (packet.sequence, packet.timestamp);
        }
        // When a sender tells of a pause is its own affair.
        if kind == Kind::Primary {
            self.delay.arrived(now, packet.timestamp, overtaken);
        }
    }

    fn begin(&mut self, now: Instant, packet: &Packet<'_>) {
        self.state = State::Gathering(now);
        self.next_sequence = packet.sequence;
        self.next_timestamp = packet.timestamp;
    }

    /// A packet came after the buffer ran empty: was it late, or did the peer pause?
    fn resolve(&mut self, sequence: u16, timestamp: u32) {
        let gap = timestamp.wrapping_sub(self.next_timestamp);
        if self.doubtful > 0 && !(sequence == self.next_sequence && self.is_pause(gap)) {
            self.count_concealed(self.doubtful);
        }
        self.doubtful = 0;
    }

    /// Whether a gap of the timestamps, with no packet missing, is a pause.
    fn is_pause(&self, gap: u32) -> bool {
        gap >= self.frame_ticks
    }

    fn count_concealed(&mut self, ticks: u32) {
        let frames = ticks.checked_div(self.frame_ticks).unwrap_or(0).max(u32::from(ticks > 0));
        self.stats.concealed_frames = self.stats.concealed_frames.saturating_add(frames.into());
        self.stats.concealed_ticks = self.stats.concealed_ticks.saturating_add(ticks.into());
        let began = u64::from(!self.concealing && ticks > 0);
        self.stats.concealment_events = self.stats.concealment_events.saturating_add(began);
        self.concealing = true;
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
        self.pop_within(now, Duration::ZERO, Duration::ZERO)
    }

    /// The same for a host that takes whole blocks: says what to play at this `place` of the block
    /// that is filled `now`. All of a block is asked for before it is played, so a packet must be
    /// here up to a block earlier than it is heard, and a delay that changes by less than a block
    /// may change nothing of that: it is changed so that it does, or not at all.
    pub fn pop_within(&mut self, now: Instant, block: Duration, place: Duration) -> Playout<'_> {
        // Who takes whole frames has blocks of their length.
        let whole = self.config.whole_frames;
        let block = if whole { duration(self.frame_ticks, self.config.clock_rate) } else { block };
        (self.block, self.place) = (block, place);
        if let State::Gathering(since) = self.state
            && self.has_gathered(now, since)
        {
            self.resume();
        }
        if self.state != State::Playing {
            return Playout::Waiting { ticks: self.rest_of_block() };
        }
        let Some(first) = self.slots.first(self.next_sequence) else {
            return self.starve();
        };
        self.resolve(first.sequence, first.timestamp);
        if self.level() > self.config.max_delay.saturating_add(TOO_MUCH)
            && let Some(ticks) = self.skip(now)
        {
            return Playout::Missing { ticks, next: None };
        }
        let gap = first.timestamp.wrapping_sub(self.next_timestamp);
        let max_gap = ticks(MAX_GAP, self.config.clock_rate);
        if first.sequence != self.next_sequence {
            if gap <= self.starved {
                return self.play(now, first.sequence);
            }
            if gap <= max_gap.saturating_add(self.starved) {
                let gap = gap.saturating_sub(self.starved);
                return self.fill(first.sequence, first.timestamp, gap);
            }
            // A jump, forwards or backwards: go on with what there is.
            self.stats.jumps = self.stats.jumps.saturating_add(1);
            self.next_sequence = first.sequence;
        }
        if self.is_pause(gap)
            && let Some(ticks) = self.pause(now, first.sequence, first.timestamp)
        {
            return Playout::Waiting { ticks };
        }
        self.play(now, first.sequence)
    }

    /// What of the block is not filled yet: with the next one there may be something to play.
    fn rest_of_block(&self) -> u32 {
        let rest = self.block.saturating_sub(self.place).max(LEAST_REST);
        let rest = if self.block.is_zero() { Duration::MAX } else { rest };
        ticks(rest, self.config.clock_rate).clamp(1, self.frame_ticks)
    }

    /// Whether the first packets have waited for long enough.
    fn has_gathered(&self, now: Instant, since: Instant) -> bool {
        let initial =
            if self.stats.played == 0 { self.config.initial_delay } else { Duration::ZERO };
        let enough = initial.max(self.target());
        let first = self.slots.first(self.next_sequence);
        let delay = first.and_then(|first| self.delay.playout_delay(now, first.timestamp));
        delay.is_none_or(|delay| delay >= enough) || now.duration_since(since) >= enough
    }

    /// Begins playing with the first packet that waits.
    fn resume(&mut self) {
        self.state = State::Playing;
        self.starved = 0;
        if let Some(first) = self.slots.first(self.next_sequence) {
            (self.next_sequence, self.next_timestamp) = (first.sequence, first.timestamp);
        }
        if self.floor != Some(self.next_sequence) {
            // Something was lost on the way here, so what was concealed was concealed for it.
            self.count_concealed(self.doubtful);
        }
        self.doubtful = 0;
    }

    /// The peer paused before the next packet: holds it back until the delay is what it should
    /// be. `None`: play it.
    fn pause(&mut self, now: Instant, sequence: u16, timestamp: u32) -> Option<u32> {
        if self.paused != Some(sequence) {
            self.paused = Some(sequence);
            self.stats.pauses = self.stats.pauses.saturating_add(1);
        }
        self.starved = 0;
        self.concealing = false;
        let delay = self.delay.playout_delay(now, timestamp)?;
        let lack = self.target().saturating_sub(delay);
        let lack = ticks(lack, self.config.clock_rate);
        let whole = self.config.whole_frames;
        (lack > 0).then(|| if whole { self.frame_ticks } else { lack.min(self.frame_ticks) })
    }

    /// What is concealed at once where no packet says how much is missing, in ticks.
    fn starved_step(&self) -> u32 {
        if self.config.whole_frames {
            return self.frame_ticks;
        }
        ticks(STARVED_STEP, self.config.clock_rate).clamp(1, self.frame_ticks)
    }

    /// Nothing waits: conceal without moving on, so that a packet that is only late still plays.
    fn starve(&mut self) -> Playout<'_> {
        let step = self.starved_step();
        self.starved = self.starved.saturating_add(step);
        if !self.pausing {
            self.doubtful = self.doubtful.saturating_add(step);
        }
        self.pace.reset();
        if self.starved >= ticks(REBUFFER, self.config.clock_rate) {
            self.state = State::Idle;
            self.floor = Some(self.next_sequence);
        }
        if self.pausing {
            return Playout::Waiting { ticks: step };
        }
        Playout::Missing { ticks: step, next: None }
    }

    /// Later packets wait but the one for now is missing: conceal up to them.
    fn fill(&mut self, sequence: u16, timestamp: u32, gap: u32) -> Playout<'_> {
        let step = gap.min(self.frame_ticks);
        self.next_timestamp = timestamp.wrapping_sub(gap.saturating_sub(step));
        self.starved = 0;
        self.count_concealed(step);
        let last = step == gap;
        if last {
            self.next_sequence = sequence;
        } else if distance(sequence, self.next_sequence) > 1 {
            self.next_sequence = self.next_sequence.wrapping_add(1);
        } else if self.is_pause(gap.saturating_sub(step).saturating_sub(self.frame_ticks)) {
            // As much as the packets lost is concealed: the rest of the gap is a pause.
            self.next_sequence = sequence;
        }
        let next = if last { self.slots.payload(sequence) } else { None };
        Playout::Missing { ticks: step, next }
    }

    /// Far too much waits (a link stood still and gave up all at once): leaves out what is too
    /// old, with a little concealment over the joint. `None`: nothing is too old, by what the
    /// timestamps say.
    fn skip(&mut self, now: Instant) -> Option<u32> {
        let mut next = self.slots.first(self.next_sequence)?;
        let target = self.target();
        for _ in 0..MAX_PACKETS {
            let delay = self.delay.playout_delay(now, next.timestamp);
            let after = self.slots.first(next.sequence.wrapping_add(1));
            match after.filter(|_| delay.is_some_and(|delay| delay > target)) {
                Some(after) => next = after,
                None => break,
            }
        }
        let dropped = self.slots.drop_before(next.sequence);
        if dropped == 0 {
            return None;
        }
        self.stats.overflowed = self.stats.overflowed.saturating_add(dropped);
        (self.next_sequence, self.next_timestamp) = (next.sequence, next.timestamp);
        self.starved = 0;
        let step = self.starved_step();
        self.count_concealed(step);
        Some(step)
    }

    fn play(&mut self, now: Instant, sequence: u16) -> Playout<'_> {
        let Some(slot) = self.slots.first(sequence) else {
            return Playout::Waiting { ticks: self.frame_ticks };
        };
        self.slots.take(sequence);
        if slot.kind == Kind::Copy {
            self.stats.recovered = self.stats.recovered.saturating_add(1);
        }
        self.pausing = slot.kind == Kind::Noise;
        if !self.pausing {
            self.frame_ticks = slot.ticks;
        }
        let adjust = if self.pausing { Adjust::Keep } else { self.adjustment(now, slot.timestamp) };
        self.next_sequence = sequence.wrapping_add(1);
        self.next_timestamp = slot.timestamp.wrapping_add(slot.ticks);
        self.starved = 0;
        self.concealing = false;
        match self.slots.taken(sequence) {
            Some((payload_type, payload)) => {
                Playout::Frame { payload_type, payload, timestamp: slot.timestamp, adjust }
            }
            None => Playout::Waiting { ticks: slot.ticks },
        }
    }

    /// Compares the delay of the frame that begins at `timestamp` with the target.
    fn adjustment(&mut self, now: Instant, timestamp: u32) -> Adjust {
        // A frame from before a jump of the sender's clock tells nothing.
        let delay = self.delay.playout_delay(now, timestamp).filter(|d| *d < ABSURD);
        let Some(delay) = delay else { return Adjust::Keep };
        self.stats.played = self.stats.played.saturating_add(1);
        let length = u64::from(self.frame_ticks);
        self.stats.played_ticks = self.stats.played_ticks.saturating_add(length);
        let us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.stats.delay_us = self.stats.delay_us.saturating_add(us);
        let (target, block, place) = (self.target(), self.block, self.place);
        // With so much delay another packet waits, or else the path has become longer.
        let frame = duration(self.frame_ticks, self.config.clock_rate);
        let last = delay > frame.saturating_add(LATE_NEXT) && self.slots.is_empty();
        self.pace.adjust(&Frame { delay, target, block, place, last })
    }
}
