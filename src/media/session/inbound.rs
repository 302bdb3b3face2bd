//! From packets to the loudspeaker: jitter buffer, decoding, concealment, time scaling, resampling.

use super::config::{MAX_RECEIVE, MediaConfigError, Payload};
use super::outbound::{check_payload_type, follow_level};
use crate::media::codec::{CodecDescription, CodecId, Decoder, MAX_FRAME_MS};
use crate::media::conceal::{Conceal, PitchRepeat};
use crate::media::jitter::{Adjust, Insert, JitterBuffer, JitterConfig, Packet, Playout};
use crate::media::resample::Resampler;
use crate::media::timescale::{OverlapAdd, TimeScale};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// Room for this much decoded audio to begin with: a lengthened frame of 20 ms and what the host
/// left of the one before. A peer with longer frames makes it grow, once.
const USUAL_READY_MS: u32 = 60;

/// All that one payload type needs to be played.
#[derive(Debug)]
struct Chain {
    payload: Payload,
    description: CodecDescription,
    decoder: Box<dyn Decoder>,
    conceal: Box<dyn Conceal>,
    scale: Box<dyn TimeScale>,
    resampler: Resampler,
}

impl Chain {
    fn new(payload: Payload, host_rate: u32) -> Result<Self, MediaConfigError> {
        check_payload_type(payload.payload_type)?;
        let description = payload.codec.description();
        let rate = description.sample_rate;
        Ok(Self {
            payload,
            description,
            decoder: payload.codec.decoder().ok_or(MediaConfigError::NoAudio(payload.codec))?,
            conceal: Box::new(PitchRepeat::new(rate)),
            scale: Box::new(OverlapAdd::new(rate)),
            resampler: Resampler::new(rate, host_rate)?,
        })
    }

    fn samples(&self, ticks: u32) -> usize {
        let (rate, clock_rate) = (self.description.sample_rate, self.description.clock_rate);
        // 32 bits times 32 bits.
        let samples = u64::from(ticks).saturating_mul(rate.into()).checked_div(clock_rate.into());
        (samples.unwrap_or(0) as usize).min(self.description.samples_in_ms(MAX_FRAME_MS))
    }

    fn reset(&mut self) {
        self.decoder.reset();
        self.conceal.reset();
        self.resampler.reset();
    }
}

/// The receiving side of a session.
#[derive(Debug)]
pub(super) struct Inbound {
    jitter: JitterBuffer,
    chains: Vec<Chain>,
    current: usize,
    pcm: Vec<i16>,
    /// Samples at the host's rate that wait to be read.
    ready: VecDeque<i16>,
    host_rate: u32,
    level: f32,
    bad_payloads: u64,
}

impl Inbound {
    pub(super) fn new(payloads: &[Payload], host_rate: u32) -> Result<Self, MediaConfigError> {
        let chains = chains(payloads, host_rate)?;
        let clock_rate = chains.first().map_or(8_000, |c| c.description.clock_rate);
        let pcm = vec![0; longest(&chains)];
        Ok(Self {
            jitter: JitterBuffer::new(JitterConfig::new(clock_rate)),
            chains,
            current: 0,
            pcm,
            ready: VecDeque::with_capacity(
                (host_rate / 1_000).saturating_mul(USUAL_READY_MS) as usize
            ),
            host_rate,
            level: 0.0,
            bad_payloads: 0,
        })
    }

    /// Other payload types. Those that stay keep their state.
    pub(super) fn change(&mut self, payloads: &[Payload]) -> Result<(), MediaConfigError> {
        let mut new = chains(payloads, self.host_rate)?;
        let playing = self.chains.get(self.current).map(|c| c.payload);
        for chain in &mut new {
            if let Some(old) = self.chains.iter_mut().find(|c| c.payload == chain.payload) {
                core::mem::swap(chain, old);
            }
        }
        self.current = new.iter().position(|c| Some(c.payload) == playing).unwrap_or(0);
        self.pcm.resize(longest(&new), 0);
        self.chains = new;
        Ok(())
    }

    /// RTP clock of a payload type that we take.
    pub(super) fn clock_rate(&self, payload_type: u8) -> Option<u32> {
        let chain = self.chains.iter().find(|c| c.payload.payload_type == payload_type)?;
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
        let chain = self.chains.iter().find(|c| c.payload.payload_type == payload_type)?;
        let samples = chain.decoder.samples(payload).ok();
        let Some(samples) = samples.filter(|n| *n <= chain.description.samples_in_ms(MAX_FRAME_MS))
        else {
            self.bad_payloads = self.bad_payloads.saturating_add(1);
            return None;
        };
        let ticks = chain.description.ticks(samples);
        Some(self.jitter.insert(now, Packet { sequence, timestamp, payload_type, ticks, payload }))
    }

    /// Another source: nothing of the old one is played any more.
    pub(super) fn reset(&mut self) {
        self.jitter.reset();
        self.chains.iter_mut().for_each(Chain::reset);
    }

    /// Fills `out` with what is to be heard at `now`.
    pub(super) fn read(&mut self, now: Instant, out: &mut [i16]) {
        // Each step gives at least the shortest frame sooner or later; the bound only makes sure
        // that no garbage could ever make this loop long.
        let mut steps = (out.len() / 8).saturating_add(16);
        for sample in out.iter_mut() {
            while self.ready.is_empty() && steps > 0 {
                self.step(now);
                steps = steps.saturating_sub(1);
            }
            *sample = self.ready.pop_front().unwrap_or(0);
        }
        self.level = follow_level(self.level, out);
    }

    /// Plays the next frame, gap or silence.
    fn step(&mut self, now: Instant) {
        let Self { jitter, chains, current, pcm, ready, bad_payloads, .. } = self;
        let playout = jitter.pop(now);
        if let Playout::Frame { payload_type, .. } = playout
            && let Some(at) = chains.iter().position(|c| c.payload.payload_type == payload_type)
            && at != *current
        {
            *current = at;
            chains.iter_mut().for_each(Chain::reset);
        }
        let Some(chain) = chains.get_mut(*current) else { return };
        let len = match playout {
            Playout::Frame { payload, adjust, .. } => match chain.decoder.decode(payload, pcm) {
                Ok(len) => {
                    chain.conceal.good(pcm.get_mut(..len).unwrap_or_default());
                    match adjust {
                        Adjust::Keep => len,
                        Adjust::Shrink(by) => chain.scale.shrink(pcm, len, by),
                        Adjust::Grow(by) => chain.scale.grow(pcm, len, by),
                    }
                }
                Err(_) => {
                    *bad_payloads = bad_payloads.saturating_add(1);
                    let len = chain.description.samples_in_ms(20);
                    chain.conceal.conceal(pcm.get_mut(..len).unwrap_or_default());
                    len
                }
            },
            Playout::Missing { ticks, next } => {
                let len = chain.samples(ticks);
                let room = pcm.get_mut(..len).unwrap_or_default();
                let own = chain.payload.payload_type;
                let next = next.filter(|(pt, _)| *pt == own).map(|(_, payload)| payload);
                if !chain.decoder.conceal(next, room) {
                    chain.conceal.conceal(room);
                }
                len
            }
            Playout::Waiting { ticks } => {
                let len = chain.samples(ticks);
                pcm.get_mut(..len).unwrap_or_default().fill(0);
                len
            }
        };
        chain.resampler.process(pcm.get(..len).unwrap_or_default(), |block| ready.extend(block));
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
        let us = (self.ready.len() as u64).saturating_mul(1_000_000);
        Duration::from_micros(us.checked_div(self.host_rate.into()).unwrap_or(0))
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

/// Samples of the longest frame; it may be lengthened to twice its length.
fn longest(chains: &[Chain]) -> usize {
    let frames = chains.iter().map(|c| c.description.samples_in_ms(MAX_FRAME_MS));
    frames.max().unwrap_or(0).saturating_mul(2)
}

fn chains(payloads: &[Payload], host_rate: u32) -> Result<Vec<Chain>, MediaConfigError> {
    if payloads.is_empty() || payloads.len() > MAX_RECEIVE {
        return Err(MediaConfigError::ReceiveCount(payloads.len()));
    }
    payloads.iter().map(|p| Chain::new(*p, host_rate)).collect()
}
