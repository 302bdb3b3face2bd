//! Voice activity: earshot's small network on 16 ms at 16 kHz, with a hangover.

use crate::media::resample::{Resampler, UnsupportedRate};
use core::fmt;
use earshot::Detector;

/// Samples that the detector takes at once.
const FRAME: usize = 256;
const RATE: u32 = 16_000;
/// From this probability on a voice is there.
const ON: f32 = 0.5;
/// It is held for so many blocks of 10 ms after its end.
const HANGOVER: u32 = 20;

/// Detects voices.
pub(in crate::media) struct VoiceActivity {
    detector: Box<Detector>,
    resampler: Resampler,
    pcm: Vec<i16>,
    frame: [i16; FRAME],
    filled: usize,
    probability: f32,
    held: u32,
}

impl fmt::Debug for VoiceActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoiceActivity({})", self.probability)
    }
}

impl VoiceActivity {
    pub(in crate::media) fn new(rate: u32, block: usize) -> Result<Self, UnsupportedRate> {
        Ok(Self {
            detector: Detector::default_boxed(),
            resampler: Resampler::new(rate, RATE)?,
            pcm: vec![0; block],
            frame: [0; FRAME],
            filled: 0,
            probability: 0.0,
            held: 0,
        })
    }

    /// Takes a block.
    pub(in crate::media) fn process(&mut self, block: &[f32]) {
        self.pcm.iter_mut().zip(block).for_each(|(p, s)| *p = s.round() as i16);
        let Self { detector, resampler, pcm, frame, filled, probability, .. } = self;
        resampler.process(pcm, |mut samples| {
            while !samples.is_empty() {
                let room = frame.get_mut(*filled..).unwrap_or_default();
                let n = room.len().min(samples.len());
                let (now, later) = samples.split_at(n);
                room.iter_mut().zip(now).for_each(|(r, s)| *r = *s);
                samples = later;
                *filled += n;
                if *filled == FRAME {
                    *filled = 0;
                    *probability = detector.predict_i16(frame);
                }
            }
        });
        self.held = if self.probability >= ON { HANGOVER } else { self.held.saturating_sub(1) };
    }

    /// Forgets what was heard.
    pub(in crate::media) fn rest(&mut self) {
        self.probability = 0.0;
        self.held = 0;
    }

    /// Of the last frame, 0 to 1.
    pub(super) fn probability(&self) -> f32 {
        self.probability
    }

    /// A voice is there, or was a moment ago.
    pub(in crate::media) fn active(&self) -> bool {
        self.held > 0
    }
}
