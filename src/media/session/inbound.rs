//! From packets to the loudspeaker: jitter buffer, decoding, concealment, time scaling, resampling;
//! or to a host that decodes by itself (`frames`).

mod frames;
mod noise;
mod sound;

pub(super) use sound::Listener;

use super::config::{MediaConfigError, Payload};
use super::outbound::follow_level;
use super::redundancy::RedFault;
use super::timeline::{COMMON_CLOCK, Timeline};
use crate::media::codec::{CodecId, MAX_FRAME_MS};
use crate::media::gain::Gain;
use crate::media::jitter::{Adjust, Fill, Insert, JitterBuffer, JitterConfig, Packet, Playout};
use crate::time::{Duration, Instant};
use crate::wire::red::RedBlock;
use noise::Silence;
use sound::{Chain, Joint, chains, change_over, lasts, longest, samples_in};
use std::collections::VecDeque;

/// Room for this much decoded audio to begin with: a lengthened frame of 20 ms and what the host
/// left of the one before. A peer with longer frames makes it grow, once.
const USUAL_READY_MS: u32 = 60;
/// Before the first sample of a new Opus encoder come this many ms of nothing (RFC 6716 §2: 6.5 ms
/// of look-ahead) and of its window.
const OPUS_DELAY_MS: u32 = 8;
/// A codec with discontinuous transmission gives comfort noise for this long without a packet.
const MAX_COMFORT: u32 = 2 * COMMON_CLOCK;

/// The receiving side of a session.
#[derive(Debug)]
pub(super) struct Inbound {
    jitter: JitterBuffer,
    timeline: Timeline,
    chains: Vec<Chain>,
    current: usize,
    pcm: Vec<i16>,
    /// Samples at the host's rate that wait to be read.
    ready: VecDeque<i16>,
    joint: Joint,
    /// Comfort noise since the last frame, in ticks of the common clock.
    comfort: u32,
    listener: Listener,
    /// Pauses that the peer tells of.
    silence: Silence,
    /// For a host that decodes by itself.
    frames: Option<Box<frames::Frames>>,
    level: f32,
    gain: Gain,
    /// By how many ticks of the common clock what packets recall of others is older than they; 0: they
    /// recall nothing.
    recalled: u32,
    bad_payloads: u64,
    /// Audio left out and repeated.
    shrunk: Duration,
    stretched: Duration,
}

impl Inbound {
    pub(super) fn new(payloads: &[Payload], listener: Listener) -> Result<Self, MediaConfigError> {
        let chains = chains(payloads, listener)?;
        let encoded = listener == Listener::Encoded;
        let host_rate = listener.rate();
        let usual = (host_rate / 1_000).saturating_mul(USUAL_READY_MS) as usize;
        let jitter = JitterConfig { whole_frames: encoded, ..JitterConfig::new(COMMON_CLOCK) };
        let pcm = if encoded { vec![] } else { vec![0; longest(&chains)] };
        Ok(Self {
            jitter: JitterBuffer::new(jitter),
            timeline: Timeline::default(),
            chains,
            current: 0,
            pcm,
            ready: VecDeque::with_capacity(if encoded { 0 } else { usual }),
            joint: Joint::new(host_rate),
            comfort: MAX_COMFORT,
            listener,
            silence: Silence::new(),
            frames: encoded.then(Box::default),
            level: 0.0,
            gain: Gain::new(host_rate),
            recalled: 0,
            bad_payloads: 0,
            shrunk: Duration::ZERO,
            stretched: Duration::ZERO,
        })
    }

    /// Other payload types. Those that stay keep their state, and the one that is heard is played
    /// until another one is.
    pub(super) fn change(&mut self, payloads: &[Payload]) -> Result<(), MediaConfigError> {
        let mut new = chains(payloads, self.listener)?;
        let playing = self.chains.get(self.current).map(|c| c.payload);
        for chain in &mut new {
            if let Some(old) = self.chains.iter_mut().find(|c| c.payload == chain.payload) {
                core::mem::swap(chain, old);
                chain.retired = false;
            }
        }
        let kept = new.iter().position(|c| Some(c.payload) == playing);
        let same_type = |c: &Chain| Some(c.payload.payload_type) == playing.map(|p| p.payload_type);
        self.current = match kept {
            Some(at) => at,
            // The number means another codec now: what waits under it is noise.
            None if new.iter().any(same_type) => {
                self.jitter.reset();
                0
            }
            None => {
                if self.current < self.chains.len() {
                    let old = self.chains.swap_remove(self.current);
                    new.push(Chain { retired: true, ..old });
                }
                new.len().saturating_sub(1)
            }
        };
        if self.frames.is_none() {
            self.pcm.resize(longest(&new), 0);
        }
        self.chains = new;
        Ok(())
    }

    /// RTP clock of a payload type that we take.
    pub(super) fn clock_rate(&self, payload_type: u8) -> Option<u32> {
        let chain = self.chain(payload_type)?;
        Some(chain.description.clock_rate)
    }

    /// Takes an audio packet; `None` if its payload is no audio of its codec.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        sequence: u16,
        timestamp: u32,
        payload_type: u8,
        payload: &[u8],
    ) -> Option<Insert> {
        let Some((clock_rate, ticks)) = self.measure(payload_type, payload) else {
            self.bad_payloads = self.bad_payloads.saturating_add(1);
            return None;
        };
        if !self.is_whole(payload_type, payload) {
            // What there is of it is played.
            self.bad_payloads = self.bad_payloads.saturating_add(1);
        }
        let place = self.timeline.place(sequence, timestamp, clock_rate, ticks);
        if let Some(frames) = &mut self.frames {
            frames.note(sequence, place, timestamp);
        }
        self.recalled = match self.chain(payload_type).map(|chain| chain.payload.codec) {
            Some(codec) if codec.recalls_previous(payload) => ticks,
            Some(CodecId::Opus) => self.recalled,
            _ => 0,
        };
        let packet = Packet { sequence, timestamp: place, payload_type, ticks, payload };
        Some(self.jitter.insert(now, packet))
    }

    /// What plays a payload type.
    fn chain(&self, payload_type: u8) -> Option<&Chain> {
        self.chains.iter().find(|c| c.payload.payload_type == payload_type)
    }

    /// The audio packets carry copies of those that begin so many ticks of their clock earlier; 0:
    /// none but what the codec itself may carry, and has carried so far.
    pub(super) fn expect_copies(&mut self, offset: u16, clock_rate: Option<u32>) {
        let factor = clock_rate.and_then(|rate| COMMON_CLOCK.checked_div(rate)).unwrap_or(0);
        let after = u32::from(offset).saturating_mul(factor);
        self.jitter.expect_copies(if after > 0 { after } else { self.recalled });
    }

    /// Takes a copy that came within the packet of this number and timestamp, which was inserted:
    /// of which packet it is, its timestamp, and what became of it.
    pub(super) fn fill(
        &mut self,
        sequence: u16,
        timestamp: u32,
        block: &RedBlock<'_>,
    ) -> Result<(u16, u32, Fill), RedFault> {
        let (payload_type, payload) = (block.payload_type, block.payload);
        let (clock_rate, ticks) =
            self.measure(payload_type, payload).ok_or(RedFault::BadPayload)?;
        // All frames between are as long as this one, or else nobody knows which packet it is of.
        let factor = COMMON_CLOCK.checked_div(clock_rate).unwrap_or(0);
        let offset = u32::from(block.offset).saturating_mul(factor);
        let back = offset.checked_div(ticks).filter(|n| n.saturating_mul(ticks) == offset);
        let back = back.and_then(|n| u16::try_from(n).ok()).filter(|n| (1..64).contains(n));
        let sequence = sequence.wrapping_sub(back.ok_or(RedFault::Misplaced)?);
        let timestamp = timestamp.wrapping_sub(block.offset.into());
        let at = self.timeline.place(sequence, timestamp, clock_rate, ticks);
        if let Some(frames) = &mut self.frames {
            frames.note(sequence, at, timestamp);
        }
        let packet = Packet { sequence, timestamp: at, payload_type, ticks, payload };
        Ok((sequence, timestamp, self.jitter.insert_copy(packet)))
    }

    fn is_whole(&self, payload_type: u8, payload: &[u8]) -> bool {
        self.chain(payload_type).is_none_or(|chain| chain.payload.codec.is_whole(payload))
    }

    /// The RTP clock of a payload, in Hz, and how many ticks of the common clock it plays; `None` if
    /// it is no audio of its codec.
    fn measure(&self, payload_type: u8, payload: &[u8]) -> Option<(u32, u32)> {
        let chain = self.chain(payload_type)?;
        let codec = chain.payload.codec.description();
        let samples = codec.id.payload_samples(payload).ok();
        let samples = samples.filter(|n| *n <= codec.samples_in_ms(MAX_FRAME_MS))?;
        let factor = COMMON_CLOCK.checked_div(codec.sample_rate).unwrap_or(1);
        Some((codec.clock_rate, (samples as u32).saturating_mul(factor)))
    }

    /// Another source: nothing of the old one is played any more.
    pub(super) fn reset(&mut self) {
        self.jitter.reset();
        self.recalled = 0;
        self.timeline.reset();
        self.comfort = MAX_COMFORT;
        self.silence.end();
        self.chains.iter_mut().for_each(Chain::reset);
        if let Some(frames) = &mut self.frames {
            frames.reset();
        }
    }

    /// Fills `out` with what is to be heard at `now`.
    pub(super) fn read(&mut self, now: Instant, out: &mut [i16]) {
        // Each step gives at least the shortest frame sooner or later; the bound only makes sure
        // that no garbage could ever make this loop long.
        let mut steps = (out.len() / 8).saturating_add(16);
        let rate = self.listener.rate();
        let block = lasts(out.len(), rate);
        for (at, sample) in out.iter_mut().enumerate() {
            while self.ready.is_empty() && steps > 0 {
                self.step(now, block, lasts(at, rate));
                steps = steps.saturating_sub(1);
            }
            *sample = self.ready.pop_front().unwrap_or(0);
        }
        self.gain.apply(out);
        self.level = follow_level(self.level, out);
    }

    /// Gain of what is heard.
    pub(super) fn gain(&self) -> &Gain {
        &self.gain
    }

    /// Gain of what is heard.
    pub(super) fn gain_mut(&mut self) -> &mut Gain {
        &mut self.gain
    }

    /// Plays the next frame, gap or silence.
    fn step(&mut self, now: Instant, block: Duration, place: Duration) {
        let Self { jitter, chains, current, pcm, ready, joint, comfort, bad_payloads, .. } = self;
        let (silence, pause_ticks) = (&mut self.silence, jitter.pause_ticks());
        let (shrunk, stretched) = (&mut self.shrunk, &mut self.stretched);
        let host_rate = self.listener.rate();
        let playout = jitter.pop_within(now, block, place);
        if let Playout::Frame { payload_type, .. } = playout
            && let Some(at) = chains.iter().position(|c| c.payload.payload_type == payload_type)
            && at != *current
        {
            // One that nothing was heard of yet has nothing to fade from.
            let heard = *comfort < MAX_COMFORT;
            *current = change_over(chains, *current, at, pcm, heard.then_some(&mut *joint));
        }
        let Some(Chain { payload: playing, description, sound: Some(sound), .. }) =
            chains.get_mut(*current)
        else {
            return;
        };
        let own = playing.payload_type;
        let len = match playout {
            Playout::Frame { payload_type, payload, .. } if silence.is_told_by(payload_type) => {
                silence.hear(payload, description.sample_rate);
                let len = samples_in(pause_ticks, description);
                silence.fill(sound, pcm.get_mut(..len).unwrap_or_default());
                len
            }
            Playout::Missing { ticks, .. } | Playout::Waiting { ticks } if silence.is_on() => {
                let len = samples_in(ticks, description);
                silence.fill(sound, pcm.get_mut(..len).unwrap_or_default());
                len
            }
            Playout::Frame { payload_type, payload, adjust, .. } => {
                *comfort = 0;
                // A type that was renegotiated away meanwhile is no payload of this decoder.
                let payload = if payload_type == own { payload } else { &[] };
                match sound.decoder.decode(payload, pcm) {
                    Ok(len) => {
                        sound.conceal.good(pcm.get_mut(..len).unwrap_or_default());
                        silence.leave(pcm.get_mut(..len).unwrap_or_default());
                        let quiet = || sound.scale.is_quiet(pcm.get(..len).unwrap_or_default());
                        let scaled = match adjust {
                            Adjust::Keep => len,
                            Adjust::ShrinkInQuiet(_) if !quiet() => len,
                            Adjust::Shrink(by) | Adjust::ShrinkInQuiet(by) => {
                                sound.scale.shrink(pcm, len, by)
                            }
                            Adjust::Grow(by) => sound.scale.grow(pcm, len, by),
                        };
                        let rate = description.sample_rate;
                        let less = lasts(len.saturating_sub(scaled), rate);
                        let more = lasts(scaled.saturating_sub(len), rate);
                        *shrunk = shrunk.saturating_add(less);
                        *stretched = stretched.saturating_add(more);
                        scaled
                    }
                    Err(_) => {
                        *bad_payloads = bad_payloads.saturating_add(1);
                        let len = description.samples_in_ms(20);
                        sound.fill(None, pcm.get_mut(..len).unwrap_or_default());
                        len
                    }
                }
            }
            Playout::Missing { ticks, next } => {
                let len = samples_in(ticks, description);
                let next = next.filter(|(pt, _)| *pt == own).map(|(_, payload)| payload);
                sound.fill(next, pcm.get_mut(..len).unwrap_or_default());
                len
            }
            Playout::Waiting { ticks } => {
                let len = samples_in(ticks, description);
                let pcm = pcm.get_mut(..len).unwrap_or_default();
                if playing.codec == CodecId::Opus && *comfort < MAX_COMFORT {
                    *comfort = comfort.saturating_add(ticks);
                    sound.fill(None, pcm);
                } else {
                    sound.conceal.pause(pcm);
                }
                len
            }
        };
        sound.scale.heard(pcm.get(..len).unwrap_or_default());
        let own = if playing.codec == CodecId::Opus { OPUS_DELAY_MS } else { 0 };
        let own = (host_rate / 1_000).saturating_mul(own) as usize;
        let delay = sound.resampler.delay().saturating_add(own);
        sound.resampler.process(pcm.get(..len).unwrap_or_default(), |block| {
            ready.extend(block.iter().map(|s| joint.blend(*s, delay)));
        });
    }

    /// The codec that is played.
    pub(super) fn codec(&self) -> Option<CodecId> {
        self.chains.get(self.current).map(|chain| chain.payload.codec)
    }

    pub(super) fn jitter(&self) -> &JitterBuffer {
        &self.jitter
    }

    /// Audio decoded and not read yet.
    pub(super) fn ready(&self) -> Duration {
        lasts(self.ready.len(), self.listener.rate())
    }

    /// Audio that was left out so far.
    pub(super) fn shrunk(&self) -> Duration {
        self.shrunk
    }

    /// Audio that was repeated so far.
    pub(super) fn stretched(&self) -> Duration {
        self.stretched
    }

    /// Mean amplitude of what is heard, decaying.
    pub(super) fn level(&self) -> f32 {
        self.level
    }

    /// Payloads that were no frames of their codec.
    pub(super) fn bad_payloads(&self) -> u64 {
        self.bad_payloads
    }
}
