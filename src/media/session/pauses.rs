//! Pauses of who speaks here: what is not sent (discontinuous transmission), and what is told of the
//! background in its place (RFC 3389).
//!
//! A voice, or a sound that is much louder than the background, is sent from a little before it is
//! noticed: what was not sent lately is kept, and goes out first.
#![deny(clippy::arithmetic_side_effects)]

use crate::media::comfort_noise::{NoiseAnalyser, differ};
use crate::media::dsp::VoiceActivity;
use crate::wire::comfort_noise::ComfortNoise;

/// Audio from before a voice is noticed that is sent too, in ms.
const ONSET_MS: usize = 60;
/// After a voice was there last, sending goes on for this long, in ms.
const HANGOVER_MS: u32 = 100;
/// The background is told again after this long, and earlier if it is another one, in ms.
const AGAIN_MS: u32 = 1_000;
const SOONEST_MS: u32 = 100;
/// A codec that conceals pauses by itself gets a frame so often, in ms (RFC 7587 §3.1.3).
const REFRESH_MS: u32 = 400;
/// What is this much louder than the background is sent, whatever it is: 9 dB.
const LOUD: f32 = 2.8;
/// Nobody hears what is quieter than this (-66 dBFS).
const INAUDIBLE: f32 = 16.0;
/// By this much the background is believed to have risen, a second: 6 dB.
const RISE: f32 = 2.0;
/// No background is believed to be quieter (-75 dBFS).
const QUIETEST: f32 = 6.0;
/// A block of the voice detection, in ms.
const BLOCK_MS: u32 = 10;

/// What a receiver does in pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PauseKind {
    /// It is told of the background.
    Told,
    /// Its decoder makes noise of frames that come now and then.
    Refreshed,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Frame {
    /// It is sent, after so many before it that were held.
    Spoken { held: usize },
    /// It is sent although nobody speaks.
    Refresh,
    /// This is sent in its place, under this payload type.
    Noise(ComfortNoise, u8),
    /// Nothing is sent.
    Silent,
}

/// Frames that were not sent, for when a voice is noticed.
#[derive(Debug, Default)]
struct Held {
    pcm: Vec<i16>,
    len: usize,
    /// Of the newest.
    at: usize,
    count: usize,
}

impl Held {
    fn resize(&mut self, len: usize, count: usize) {
        *self = Self { pcm: vec![0; len.saturating_mul(count)], len, at: 0, count: 0 };
    }

    fn room(&self) -> usize {
        self.pcm.len().checked_div(self.len).unwrap_or(0)
    }

    fn push(&mut self, frame: &[i16]) {
        let room = self.room();
        self.at = self.at.saturating_add(1).checked_rem(room).unwrap_or(0);
        self.count = self.count.saturating_add(1).min(room);
        let slot = self.pcm.chunks_exact_mut(self.len.max(1)).nth(self.at);
        slot.into_iter().flatten().zip(frame).for_each(|(to, from)| *to = *from);
    }

    /// The frame so many before the one that comes now.
    fn get(&mut self, back: usize) -> &mut [i16] {
        let room = self.room();
        let at = self.at.saturating_add(room).saturating_sub(back.saturating_sub(1));
        let at = at.checked_rem(room).unwrap_or(0);
        self.pcm.chunks_exact_mut(self.len.max(1)).nth(at).unwrap_or_default()
    }
}

/// Decides what is sent.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    kind: Option<PauseKind>,
    payload_type: Option<u8>,
    detector: Option<VoiceActivity>,
    block: Vec<f32>,
    rate: u32,
    frame_ms: u32,
    held: Held,
    analyser: NoiseAnalyser,
    /// Mean amplitude (RMS) of the background.
    floor: f32,
    /// How long sending goes on, in ms.
    hangover: u32,
    /// Since the receiver heard of the background last, in ms; `None`: not in this pause.
    since: Option<u32>,
    last: Option<ComfortNoise>,
    told: u64,
    suppressed: u64,
}

impl Pauses {
    /// The payload type of comfort noise, if the peer takes any.
    pub(super) fn set_payload_type(&mut self, payload_type: Option<u8>) {
        self.payload_type = payload_type;
    }

    pub(super) fn payload_type(&self) -> Option<u8> {
        self.payload_type
    }

    /// Looks for pauses in frames of this length at this rate in Hz, or no more.
    pub(super) fn watch(&mut self, kind: Option<PauseKind>, rate: u32, frame: usize) {
        if kind == self.kind && (kind.is_none() || (rate, frame) == (self.rate, self.held.len)) {
            return;
        }
        let block = (rate / 1_000).saturating_mul(BLOCK_MS) as usize;
        // Every rate of a codec is one of the detector's.
        self.detector = kind.and_then(|_| VoiceActivity::new(rate, block).ok());
        self.kind = kind.filter(|_| self.detector.is_some());
        let ms = frame.saturating_mul(1_000).checked_div(rate as usize).unwrap_or(0);
        let frames = if self.kind.is_some() { ONSET_MS.div_ceil(ms.max(1)) } else { 0 };
        self.block = vec![0.0; if frames > 0 { block } else { 0 }];
        self.held.resize(frame, frames);
        (self.rate, self.frame_ms) = (rate, ms as u32);
        self.analyser.reset();
        self.begin();
    }

    /// The same counts and the same payload type for another codec.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        (self.told, self.suppressed) = (before.told, before.suppressed);
        self.payload_type = before.payload_type;
    }

    pub(super) fn is_watching(&self) -> bool {
        self.kind.is_some()
    }

    /// Packets of comfort noise so far.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// The host told of one by itself.
    pub(super) fn note_told(&mut self, sent: bool) {
        self.told = self.told.saturating_add(sent.into());
    }

    /// Frames that were not sent so far.
    pub(super) fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Sending begins anew: as if a voice were there.
    pub(super) fn begin(&mut self) {
        self.hangover = HANGOVER_MS;
        self.interrupt();
    }

    /// Something else was sent: the background is told again, and what was held is too old.
    pub(super) fn interrupt(&mut self) {
        self.give_up();
        self.since = None;
    }

    /// What is held will not be sent.
    fn give_up(&mut self) {
        let held = core::mem::take(&mut self.held.count);
        self.suppressed = self.suppressed.saturating_add(held as u64);
    }

    /// The held frame so many before the one that was judged last.
    pub(super) fn held(&mut self, back: usize) -> &mut [i16] {
        self.held.get(back)
    }

    /// What becomes of a frame. `voiced`: whether somebody speaks in it, if that is known.
    pub(super) fn judge(&mut self, frame: &[i16], voiced: Option<bool>) -> Frame {
        let Some(kind) = self.kind else { return Frame::Spoken { held: 0 } };
        let voice = voiced.unwrap_or_else(|| self.detect(frame));
        let loud = self.is_loud(frame);
        if voice || loud {
            self.hangover = HANGOVER_MS;
        } else {
            self.analyser.hear(frame);
            self.hangover = self.hangover.saturating_sub(self.frame_ms);
        }
        if self.hangover > 0 {
            let held = core::mem::take(&mut self.held.count);
            self.since = None;
            return Frame::Spoken { held };
        }
        // The first frame of a pause, or after one that was sent in it, is never made up for: even the
        // shortest pause is one in the timestamps, and no packet is merely late.
        let first = matches!(self.since, None | Some(0));
        let given = match kind {
            PauseKind::Told => self.background(),
            PauseKind::Refreshed => self.refresh(),
        };
        if first && given == Frame::Silent {
            self.suppressed = self.suppressed.saturating_add(1);
        } else if given == Frame::Silent {
            let full = self.held.count == self.held.room();
            self.suppressed = self.suppressed.saturating_add(full.into());
            self.held.push(frame);
        } else {
            self.give_up();
        }
        given
    }

    fn detect(&mut self, frame: &[i16]) -> bool {
        let Some(detector) = &mut self.detector else { return true };
        for pcm in frame.chunks_exact(self.block.len().max(1)) {
            self.block.iter_mut().zip(pcm).for_each(|(to, from)| *to = f32::from(*from));
            detector.process(&self.block);
        }
        detector.active()
    }

    /// Whether a frame is much louder than the background, which is the quietest of late.
    fn is_loud(&mut self, frame: &[i16]) -> bool {
        let energy: f32 = frame.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
        let rms = (energy / frame.len().max(1) as f32).sqrt();
        let risen = self.floor * RISE.powf(self.frame_ms as f32 / 1_000.0);
        let floor = if self.floor > 0.0 { rms.min(risen) } else { rms };
        self.floor = floor.max(QUIETEST);
        rms > (self.floor * LOUD).max(INAUDIBLE)
    }

    /// Tells of the background, if it is time for that.
    fn background(&mut self) -> Frame {
        let noise = self.analyser.describe();
        let Some(payload_type) = self.payload_type else { return Frame::Silent };
        let due = match (self.since, self.last) {
            (Some(since), Some(last)) => {
                since >= AGAIN_MS || (since >= SOONEST_MS && differ(&noise, &last))
            }
            _ => true,
        };
        if !due {
            self.since = self.since.map(|ms| ms.saturating_add(self.frame_ms));
            return Frame::Silent;
        }
        (self.since, self.last) = (Some(self.frame_ms), Some(noise));
        self.told = self.told.saturating_add(1);
        self.suppressed = self.suppressed.saturating_add(1);
        Frame::Noise(noise, payload_type)
    }

    /// A frame for the decoder's own noise, if it is time for that.
    fn refresh(&mut self) -> Frame {
        let since = self.since.unwrap_or(0).saturating_add(self.frame_ms);
        if since >= REFRESH_MS {
            self.since = Some(0);
            return Frame::Refresh;
        }
        self.since = Some(since);
        Frame::Silent
    }
}
