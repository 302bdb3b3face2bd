//! What is done to the microphone's signal before it is sent: echo cancellation, noise suppression,
//! automatic gain, a high-pass filter and voice activity detection.
//!
//! [`Processing`] works on blocks of 10 ms: what the loudspeaker plays goes into
//! [`process_render`](Processing::process_render), what the microphone hears through
//! [`process_capture`](Processing::process_capture). Each part is switched at any time. The delay
//! between both, 0 to 500 ms, is found out, and what goes in at once after a pause is sorted out; a
//! loudspeaker that gives nothing is silent. Two clocks may drift apart: by 20 ppm 25 dB of the echo
//! go, by 100 ppm about 14. A loudspeaker that saturates, or more to one side than to the other, is
//! learned with its echo; one whose distortion has a memory (a membrane at
//! the end of its way) only has its residue taken down. Pure computation: nothing is allocated after
//! construction, and the same input gives the same output, bit for bit.
//!
//! The output is late by [`Processing::delay_samples`], whatever is switched on. Rates above 16 kHz
//! are processed at 16 kHz; what lies above 8 kHz gets the gain of the bins below it.

mod delay;
mod distortion;
mod echo;
mod fft;
mod floor;
mod high_pass;
mod kalman;
mod level;
mod noise;
mod reference;
mod residual;
mod split;
mod suppress;
mod vad;

use super::resample::UnsupportedRate;
use core::fmt::Debug;
use echo::EchoCanceller;
use fft::RealFft;
use high_pass::HighPass;
use level::GainControl;
use reference::Reference;
use split::{SPLIT_DELAY, Split};
use suppress::{Stage, Suppressor};
pub(in crate::media) use vad::VoiceActivity;

/// Which parts work. The default is none: PCM goes out as it was written, which suits a phone whose
/// hardware has processed it. One whose hardware does a part switches on the others; one with a bare
/// microphone and loudspeaker takes [`VOICE`](Self::VOICE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessingConfig {
    /// Echo cancellation, with suppression of what it leaves.
    pub echo_cancellation: bool,
    /// Noise suppression by at most 18 dB; noise 28 dB below the speech stays as it is.
    pub noise_suppression: bool,
    /// Automatic gain towards -20 dBFS of active speech, with a limiter.
    pub gain_control: bool,
    /// A high-pass filter at 90 Hz.
    pub high_pass: bool,
    /// Voice activity detection, for [`ProcessingStats`]. Gain control needs it and runs it too.
    pub voice_activity: bool,
}

impl ProcessingConfig {
    /// Everything off.
    pub const OFF: Self = Self {
        echo_cancellation: false,
        noise_suppression: false,
        gain_control: false,
        high_pass: false,
        voice_activity: false,
    };
    /// Everything on: a microphone and a loudspeaker without processing of their own.
    pub const VOICE: Self = Self {
        echo_cancellation: true,
        noise_suppression: true,
        gain_control: true,
        high_pass: true,
        voice_activity: true,
    };

    /// Whether any part works.
    pub const fn is_on(&self) -> bool {
        self.echo_cancellation
            || self.noise_suppression
            || self.gain_control
            || self.high_pass
            || self.voice_activity
    }
}

/// What the processing knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProcessingStats {
    /// Echo return loss enhancement of the linear filter in dB, over the last seconds in which the
    /// loudspeaker played.
    pub erle_db: f32,
    /// Estimated delay from render to capture in ms, if found.
    pub delay_ms: Option<u32>,
    /// Probability that the last block holds speech, 0 to 1. 0 without voice activity detection.
    pub speech_probability: f32,
    /// Speech, with a hangover of 200 ms. Without voice activity detection always true.
    pub voice_active: bool,
    /// Gain of the gain control in dB.
    pub gain_db: f32,
}

/// Processing of the microphone's signal: this crate's own, or that of a phone's hardware. All of
/// it works on blocks of 10 ms and allocates nothing.
pub trait Processor: Send + Debug {
    /// Takes what the loudspeaker plays.
    fn process_render(&mut self, pcm: &[i16]);
    /// Processes what the microphone hears, in place.
    fn process_capture(&mut self, pcm: &mut [i16]);
    /// Switches parts on and off.
    fn configure(&mut self, config: ProcessingConfig);
    /// What is known.
    fn stats(&self) -> ProcessingStats;
    /// Begins anew with these rates in Hz: the microphone's, which is that of the codec, and the
    /// loudspeaker's.
    ///
    /// # Errors
    /// [`UnsupportedRate`] if it does not have one of them.
    fn set_rates(&mut self, capture_rate: u32, render_rate: u32) -> Result<(), UnsupportedRate>;
}

/// The processing of this crate. See the [module](self).
#[derive(Debug)]
pub struct Processing {
    config: ProcessingConfig,
    /// Samples of 10 ms of the full rate.
    full_block: usize,
    reference: Reference,
    split: Option<Split>,
    low: Vec<f32>,
    full: Vec<f32>,
    fft: RealFft,
    high_pass: HighPass,
    echo: EchoCanceller,
    suppressor: Suppressor,
    vad: VoiceActivity,
    gain: GainControl,
}

impl Processing {
    /// For a microphone at `capture_rate` (8, 16, 24, 32 or 48 kHz) and a loudspeaker at
    /// `render_rate` (those and 44.1 kHz).
    ///
    /// # Errors
    /// [`UnsupportedRate`] for any other rate.
    pub fn new(
        capture_rate: u32,
        render_rate: u32,
        config: ProcessingConfig,
    ) -> Result<Self, UnsupportedRate> {
        let (low_rate, factor) = match capture_rate {
            8_000 | 16_000 | 24_000 => (capture_rate, 1),
            32_000 => (16_000, 2),
            48_000 => (16_000, 3),
            other => return Err(UnsupportedRate(other)),
        };
        let block = (low_rate / 100) as usize;
        Ok(Self {
            config,
            full_block: block * factor,
            reference: Reference::new(render_rate, low_rate, factor)?,
            split: (factor > 1).then(|| Split::new(factor, block, block)),
            low: vec![0.0; block],
            full: vec![0.0; block * factor],
            fft: RealFft::new(block * 2),
            high_pass: HighPass::new(low_rate, block),
            echo: EchoCanceller::new(block),
            suppressor: Suppressor::new(block),
            vad: VoiceActivity::new(low_rate, block)?,
            gain: GainControl::new(capture_rate),
        })
    }

    /// Samples of a capture block of 10 ms.
    pub fn block(&self) -> usize {
        self.full_block
    }

    /// Samples of the capture rate that the output is late: 10 ms, and 95 samples above 16 kHz.
    pub fn delay_samples(&self) -> usize {
        self.full_block + self.split.as_ref().map_or(0, |_| SPLIT_DELAY)
    }

    /// Switches parts on and off, softly.
    pub fn configure(&mut self, config: ProcessingConfig) {
        self.config = config;
    }

    /// What is switched on.
    pub fn config(&self) -> ProcessingConfig {
        self.config
    }

    /// What is known.
    pub fn stats(&self) -> ProcessingStats {
        let listening = self.config.voice_activity || self.config.gain_control;
        ProcessingStats {
            erle_db: if self.config.echo_cancellation { self.echo.erle_db() } else { 0.0 },
            delay_ms: self.echo.delay().map(|blocks| blocks as u32 * 10),
            speech_probability: self.vad.probability(),
            voice_active: !listening || self.vad.active(),
            gain_db: self.gain.gain_db(),
        }
    }

    /// Takes what the loudspeaker plays, at the render rate, any number of samples.
    pub fn process_render(&mut self, pcm: &[i16]) {
        let Self { reference, echo, .. } = self;
        reference.process(pcm, |block| echo.render(block));
    }

    /// Processes what the microphone hears, in place: whole blocks of 10 ms at the capture rate.
    /// What is left over at the end of `pcm` is not touched.
    pub fn process_capture(&mut self, pcm: &mut [i16]) {
        for block in pcm.chunks_exact_mut(self.full_block) {
            self.capture_block(block);
        }
    }

    fn capture_block(&mut self, pcm: &mut [i16]) {
        match &mut self.split {
            Some(split) => split.split(pcm, &mut self.low),
            None => self.low.iter_mut().zip(pcm.iter()).for_each(|(l, s)| *l = f32::from(*s)),
        }
        let config = self.config;
        self.high_pass.process(config.high_pass, &mut self.low);
        self.echo.capture(config.echo_cancellation, &mut self.low);
        let stage = Stage {
            echo: self.echo.is_on().then(|| self.echo.subtracted()),
            noise: config.noise_suppression,
        };
        self.suppressor.process(&mut self.fft, stage, &mut self.low);
        if config.voice_activity || config.gain_control {
            self.vad.process(&self.low);
        } else {
            self.vad.rest();
        }
        let near = !config.echo_cancellation
            || !self.echo.is_audible()
            || self.suppressor.residual.near_presence() > 0.5;
        let speech = near && self.vad.probability() > 0.5;
        self.gain.measure(config.gain_control, &self.low, speech);
        match &mut self.split {
            Some(split) => {
                split.join(&self.low, self.suppressor.top_gain(), &mut self.full);
                self.gain.apply(&self.full, pcm);
            }
            None => self.gain.apply(&self.low, pcm),
        }
    }
}

impl Processor for Processing {
    fn process_render(&mut self, pcm: &[i16]) {
        Self::process_render(self, pcm);
    }

    fn process_capture(&mut self, pcm: &mut [i16]) {
        Self::process_capture(self, pcm);
    }

    fn configure(&mut self, config: ProcessingConfig) {
        Self::configure(self, config);
    }

    fn stats(&self) -> ProcessingStats {
        Self::stats(self)
    }

    fn set_rates(&mut self, capture_rate: u32, render_rate: u32) -> Result<(), UnsupportedRate> {
        *self = Self::new(capture_rate, render_rate, self.config)?;
        Ok(())
    }
}
