//! The loudspeaker's signal on its way to the echo canceller: to the rate of the lower band, in
//! blocks. At the microphone's rate it takes the same filter as the microphone's signal, so that it
//! is never later than its echo.

use super::split::Decimator;
use crate::media::resample::{Resampler, UnsupportedRate};

#[derive(Debug)]
enum Rate {
    Resampled(Resampler),
    Divided { decimator: Decimator, pcm: Vec<i16>, filled: usize },
}

/// Makes blocks of the reference.
#[derive(Debug)]
pub(super) struct Reference {
    rate: Rate,
    block: Vec<f32>,
    filled: usize,
}

impl Reference {
    /// From `render_rate` to blocks of 10 ms at `low_rate`, which is the capture rate divided by
    /// `factor`.
    pub(super) fn new(
        render_rate: u32,
        low_rate: u32,
        factor: usize,
    ) -> Result<Self, UnsupportedRate> {
        let len = (low_rate / 100) as usize;
        let rate = if factor > 1 && render_rate as usize == low_rate as usize * factor {
            let decimator = Decimator::new(factor, len);
            Rate::Divided { pcm: vec![0; decimator.block()], decimator, filled: 0 }
        } else {
            Rate::Resampled(Resampler::new(render_rate, low_rate)?)
        };
        Ok(Self { rate, block: vec![0.0; len], filled: 0 })
    }

    /// Takes any number of samples; whole blocks go to `sink`.
    pub(super) fn process(&mut self, mut pcm: &[i16], mut sink: impl FnMut(&[f32])) {
        let Self { rate, block, filled } = self;
        match rate {
            Rate::Resampled(resampler) => resampler.process(pcm, |mut samples| {
                while !samples.is_empty() {
                    let room = block.get_mut(*filled..).unwrap_or_default();
                    let n = room.len().min(samples.len());
                    let (now, later) = samples.split_at(n);
                    room.iter_mut().zip(now).for_each(|(r, s)| *r = f32::from(*s));
                    samples = later;
                    *filled += n;
                    if *filled == block.len() {
                        *filled = 0;
                        sink(block);
                    }
                }
            }),
            Rate::Divided { decimator, pcm: full, filled } => {
                while !pcm.is_empty() {
                    let room = full.get_mut(*filled..).unwrap_or_default();
                    let n = room.len().min(pcm.len());
                    let (now, later) = pcm.split_at(n);
                    room.iter_mut().zip(now).for_each(|(r, s)| *r = *s);
                    pcm = later;
                    *filled += n;
                    if *filled == full.len() {
                        *filled = 0;
                        decimator.process(full, block);
                        sink(block);
                    }
                }
            }
        }
    }
}
