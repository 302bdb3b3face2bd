//! What makes sound of the frames of each payload type, and how one codec fades into the next.

use super::super::config::{MAX_RECEIVE, MediaConfigError, Payload};
use super::super::outbound::check_payload_type;
use super::super::timeline::COMMON_CLOCK;
use crate::media::codec::{CodecDescription, CodecId, Decoder, MAX_FRAME_MS, OpusBackend};
use crate::media::conceal::{Conceal, PitchRepeat};
use crate::media::resample::Resampler;
use crate::media::timescale::{OverlapAdd, TimeScale};
use crate::time::Duration;

/// At a change of codecs the old one fades into the new one for this long.
const JOINT_MS: u32 = 20;

/// All that one payload type needs to be played.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) payload: Payload,
    pub(super) description: CodecDescription,
    /// `None`: the host decodes.
    pub(super) sound: Option<Sound>,
    /// Renegotiated away: what waits or is on its way is still played.
    pub(super) retired: bool,
}

/// What makes sound of a codec's frames.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) decoder: Box<dyn Decoder>,
    pub(super) conceal: Box<dyn Conceal>,
    pub(super) scale: Box<dyn TimeScale>,
    pub(super) resampler: Resampler,
}

/// Whom the frames are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::session) enum Listener {
    /// Somebody who hears PCM at this rate, decoded by this implementation of Opus.
    Pcm(u32, Option<OpusBackend>),
    /// The host's own decoder.
    Encoded,
}

impl Listener {
    /// The rate of PCM, Hz; for frames it does not matter.
    pub(super) const fn rate(self) -> u32 {
        match self {
            Self::Pcm(rate, _) => rate,
            Self::Encoded => COMMON_CLOCK,
        }
    }
}

impl Chain {
    fn new(payload: Payload, listener: Listener) -> Result<Self, MediaConfigError> {
        check_payload_type(payload.payload_type)?;
        if payload.codec == CodecId::TelephoneEvent {
            return Err(MediaConfigError::NoAudio(payload.codec));
        }
        let (description, sound) = match listener {
            Listener::Encoded => (payload.codec.description(), None),
            Listener::Pcm(rate, backend) => (
                payload.codec.description_at(rate),
                Some(Sound::new(payload.codec, rate, backend)?),
            ),
        };
        Ok(Self { payload, description, sound, retired: false })
    }

    pub(super) fn reset(&mut self) {
        if let Some(sound) = &mut self.sound {
            sound.reset();
        }
    }
}

impl Sound {
    fn new(
        codec: CodecId,
        host_rate: u32,
        backend: Option<OpusBackend>,
    ) -> Result<Self, MediaConfigError> {
        let rate = codec.description_at(host_rate).sample_rate;
        let decoder = codec.decoder_at(host_rate, backend);
        Ok(Self {
            decoder: decoder.ok_or(MediaConfigError::NoAudio(codec))?,
            conceal: Box::new(PitchRepeat::new(rate)),
            scale: Box::new(OverlapAdd::new(rate)),
            resampler: Resampler::new(rate, host_rate)?,
        })
    }

    /// Fills a gap: by the next payload if it remembers, by the codec's own concealment, or by ours.
    pub(super) fn fill(&mut self, next: Option<&[u8]>, pcm: &mut [i16]) {
        if self.decoder.conceal(next, pcm) {
            self.conceal.other(pcm);
        } else {
            self.conceal.conceal(pcm);
        }
    }

    fn reset(&mut self) {
        self.decoder.reset();
        self.conceal.reset();
        self.resampler.reset();
    }
}

/// Samples in ticks of the common clock.
pub(super) fn samples_in(ticks: u32, description: &CodecDescription) -> usize {
    let rate = u64::from(description.sample_rate);
    // 32 bits times 32 bits.
    let samples = u64::from(ticks).saturating_mul(rate).checked_div(COMMON_CLOCK.into());
    (samples.unwrap_or(0) as usize).min(description.samples_in_ms(MAX_FRAME_MS))
}

/// How long so many samples last.
pub(super) fn lasts(samples: usize, rate: u32) -> Duration {
    let us = (samples as u64).saturating_mul(1_000_000);
    Duration::from_micros(us.checked_div(rate.into()).unwrap_or(0))
}

/// Samples of the longest frame; it may be lengthened to twice its length.
pub(super) fn longest(chains: &[Chain]) -> usize {
    let frames = chains.iter().map(|c| c.description.samples_in_ms(MAX_FRAME_MS));
    frames.max().unwrap_or(0).saturating_mul(2)
}

/// Another codec is heard from now on. The old one is continued a little further, to fade into the
/// new one; one that was renegotiated away has served.
pub(super) fn change_over(
    chains: &mut Vec<Chain>,
    from: usize,
    to: usize,
    pcm: &mut [i16],
    joint: Option<&mut Joint>,
) -> usize {
    if let Some(Chain { description, sound: Some(old), .. }) = chains.get_mut(from)
        && let Some(joint) = joint
    {
        let len = description.samples_in_ms(JOINT_MS);
        let tail = pcm.get_mut(..len).unwrap_or_default();
        old.fill(None, tail);
        joint.clear();
        old.resampler.process(tail, |block| joint.extend(block));
    }
    let to = part_with(chains, from, to);
    chains.iter_mut().for_each(Chain::reset);
    to
}

/// Nothing more comes of the chain at `from`: if it was renegotiated away it has served. Where the
/// one at `to` is then.
pub(super) fn part_with(chains: &mut Vec<Chain>, from: usize, to: usize) -> usize {
    if !chains.get(from).is_some_and(|old| old.retired) {
        return to;
    }
    chains.remove(from);
    if to > from { to.saturating_sub(1) } else { to }
}

/// What the codec before would have said, while the next one begins.
#[derive(Debug)]
pub(super) struct Joint {
    tail: Vec<i16>,
    at: usize,
}

impl Joint {
    pub(super) fn new(host_rate: u32) -> Self {
        let room = (host_rate / 1_000).saturating_mul(JOINT_MS).saturating_mul(2);
        Self { tail: Vec::with_capacity(room as usize), at: 0 }
    }

    fn clear(&mut self) {
        self.tail.clear();
        self.at = 0;
    }

    fn extend(&mut self, block: &[i16]) {
        let room = self.tail.capacity().saturating_sub(self.tail.len());
        self.tail.extend(block.iter().take(room));
    }

    /// The next sample of the new codec, whose first `delay` ones are not there yet.
    pub(super) fn blend(&mut self, new: i16, delay: usize) -> i16 {
        let Some(old) = self.tail.get(self.at) else { return new };
        let (at, len) = (self.at.saturating_sub(delay), self.tail.len().saturating_sub(delay));
        self.at = self.at.saturating_add(1);
        let share = at as f32 / len.max(1) as f32;
        (f32::from(*old) * (1.0 - share) + f32::from(new) * share) as i16
    }
}

pub(super) fn chains(
    payloads: &[Payload],
    listener: Listener,
) -> Result<Vec<Chain>, MediaConfigError> {
    if payloads.is_empty() || payloads.len() > MAX_RECEIVE {
        return Err(MediaConfigError::ReceiveCount(payloads.len()));
    }
    payloads.iter().map(|p| Chain::new(*p, listener)).collect()
}
