//! Pauses that the peer tells of (RFC 3389): noise like its background, blended into what was heard
//! before and into what is heard next.

use super::super::MAX_RECEIVE;
use super::super::timeline::COMMON_CLOCK;
use super::Inbound;
use super::sound::Sound;
use crate::media::comfort_noise::NoiseGenerator;
use crate::media::jitter::{Insert, Packet};
use crate::time::Instant;
use crate::wire::comfort_noise::{ComfortNoise, MAX_LEN};

/// The voice fades into the noise for this long, and the noise into the voice for half of it.
const BLEND_MS: u32 = 10;

/// What is heard while the peer pauses.
#[derive(Debug)]
pub(super) struct Silence {
    /// The payload types that tell of pauses.
    types: [Option<u8>; MAX_RECEIVE],
    generator: NoiseGenerator,
    on: bool,
    /// Noise was heard since the pause began.
    heard: bool,
    /// Samples of a blend.
    blend: usize,
}

impl Silence {
    pub(super) fn new() -> Self {
        Self {
            types: [None; MAX_RECEIVE],
            generator: NoiseGenerator::new(COMMON_CLOCK),
            on: false,
            heard: false,
            blend: 0,
        }
    }

    pub(super) fn set_types(&mut self, types: &[u8]) {
        self.types = [None; MAX_RECEIVE];
        self.types.iter_mut().zip(types).for_each(|(to, from)| *to = Some(*from));
    }

    /// Whether packets of this type tell of a pause.
    pub(super) fn is_told_by(&self, payload_type: u8) -> bool {
        self.types.contains(&Some(payload_type))
    }

    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// The pause is over, or another source is heard.
    pub(super) fn end(&mut self) {
        (self.on, self.heard) = (false, false);
    }

    /// The peer tells of a pause, or of another background in it. For a codec at this rate in Hz.
    pub(super) fn hear(&mut self, payload: &[u8], rate: u32) {
        let Ok(noise) = ComfortNoise::parse(payload) else { return };
        if !self.on {
            self.generator.begin();
            (self.on, self.heard) = (true, false);
        }
        self.generator.set_rate(rate);
        self.generator.hear(&noise);
        self.blend = (rate / 1_000).saturating_mul(BLEND_MS) as usize;
    }

    /// Fills `pcm` with noise; the first of it begins as the voice would have gone on.
    pub(super) fn fill(&mut self, sound: &mut Sound, pcm: &mut [i16]) {
        let blend = if self.heard { 0 } else { self.blend.min(pcm.len()) };
        if blend > 0 {
            sound.fill(None, pcm.get_mut(..blend).unwrap_or_default());
        }
        for (i, s) in pcm.iter_mut().enumerate() {
            let noise = self.generator.sample();
            *s = if i < blend { cross(f32::from(*s), noise, i, blend) } else { noise as i16 };
        }
        self.heard = true;
        sound.conceal.other(pcm);
    }

    /// A frame of the voice follows: its beginning is blended with the noise.
    pub(super) fn leave(&mut self, pcm: &mut [i16]) {
        if !core::mem::take(&mut self.on) || !core::mem::take(&mut self.heard) {
            return;
        }
        let blend = (self.blend / 2).min(pcm.len());
        for (i, s) in pcm.iter_mut().take(blend).enumerate() {
            *s = cross(self.generator.sample(), f32::from(*s), i, blend);
        }
    }
}

/// `from` at position 0, `to` at position `len`; two signals that are not alike keep their power.
fn cross(from: f32, to: f32, at: usize, len: usize) -> i16 {
    let share = at as f32 / len.max(1) as f32;
    (from * (1.0 - share).sqrt() + to * share.sqrt()) as i16
}

impl Inbound {
    /// The payload types that tell of pauses.
    pub(in crate::media::session) fn set_comfort_noise(&mut self, types: &[u8]) {
        self.silence.set_types(types);
    }

    /// Whether packets of this type tell of pauses.
    pub(in crate::media::session) fn is_comfort_noise(&self, payload_type: u8) -> bool {
        self.silence.is_told_by(payload_type)
    }

    /// Takes a packet that tells of a pause; `None` if its payload is none.
    pub(in crate::media::session) fn insert_pause(
        &mut self,
        now: Instant,
        sequence: u16,
        timestamp: u32,
        (payload_type, clock_rate): (u8, u32),
        payload: &[u8],
    ) -> Option<Insert> {
        if ComfortNoise::parse(payload).is_err() {
            self.bad_payloads = self.bad_payloads.saturating_add(1);
            return None;
        }
        let payload = payload.get(..MAX_LEN).unwrap_or(payload);
        let ticks = self.jitter.pause_ticks();
        let place = self.timeline.place(sequence, timestamp, clock_rate, ticks);
        if let Some(frames) = &mut self.frames {
            frames.note(sequence, place, timestamp);
        }
        let packet = Packet { sequence, timestamp: place, payload_type, ticks, payload };
        Some(self.jitter.insert_pause(now, packet))
    }
}
