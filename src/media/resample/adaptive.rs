//! Conversion at a ratio that is adjusted all the time, between two clocks that differ a little.

use core::fmt;
use core::ops::RangeInclusive;

use rubato::{
    Adjustable as _, Async, FixedAsync, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

use super::{CUTOFF, Filter, TAPS, UnsupportedRate};

/// The rates that [`AdaptiveResampler`] converts between, in Hz: those of sound cards.
pub const ADAPTIVE_RATES: RangeInclusive<u32> = 8_000..=192_000;

/// How far the ratio can be from its nominal value, in parts of it.
pub const MAX_CORRECTION: f64 = 0.01;

/// Filters in the table for each sample; between them the result is interpolated. The error of
/// that is 94 dB down at the highest frequency, less elsewhere.
const PHASES: usize = 256;
/// Blocks a second: 5 ms each.
const BLOCKS_PER_SECOND: u32 = 200;

/// Converts one mono stream from one rate to another whose clocks are not the same: the ratio can
/// be corrected while it runs, and each correction is ramped over a block, so that it is no step
/// in the pitch.
///
/// Quality and delay are those of [`Resampler`](super::Resampler), with blocks of 5 ms. Equal rates
/// go through the filter, too.
pub struct AdaptiveResampler {
    filter: Filter,
    from: u32,
    to: u32,
}

impl fmt::Debug for AdaptiveResampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AdaptiveResampler");
        debug.field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

impl AdaptiveResampler {
    /// A converter from `from` Hz to `to` Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] if either is not in [`ADAPTIVE_RATES`].
    pub fn new(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        if let Some(wrong) = [from, to].into_iter().find(|rate| !ADAPTIVE_RATES.contains(rate)) {
            return Err(UnsupportedRate(wrong));
        }
        let parameters = SincInterpolationParameters::new(
            // Rubato wants a multiple of 8.
            (TAPS * from.max(to) / to).next_multiple_of(8) as usize,
            WindowFunction::Blackman,
        )
        .f_cutoff(CUTOFF)
        .oversampling_factor(PHASES)
        .interpolation(SincInterpolationType::Linear);
        let chunk = (from / BLOCKS_PER_SECOND) as usize;
        let (ratio, range) = (f64::from(to) / f64::from(from), 1.0 + MAX_CORRECTION);
        let inner = Async::new_sinc(ratio, range, &parameters, chunk, 1, FixedAsync::Input)
            .map_err(|_| UnsupportedRate(to))?;
        Ok(Self { filter: Filter::new(inner, chunk), from, to })
    }

    /// The rate of what goes in, in Hz.
    pub const fn input_rate(&self) -> u32 {
        self.from
    }

    /// The rate of what comes out, in Hz.
    pub const fn output_rate(&self) -> u32 {
        self.to
    }

    /// From the next block on there is this much more output for the same input, in parts of it:
    /// 0.001 is 1000 ppm. More than [`MAX_CORRECTION`] is taken as that.
    pub fn set_correction(&mut self, correction: f64) {
        // Rubato's lower bound is 1 / (1 + MAX_CORRECTION).
        let lowest = 1.0 / (1.0 + MAX_CORRECTION) - 1.0;
        let ratio = 1.0 + correction.clamp(lowest, MAX_CORRECTION);
        // It is in bounds; what is no number changes nothing.
        let _ = self.filter.inner.set_resample_ratio_relative(ratio, true);
    }

    /// Samples that it takes before the next block comes out.
    pub fn room(&self) -> usize {
        self.filter.input.len().saturating_sub(self.filter.filled)
    }

    /// Samples that wait for their block to be full.
    pub const fn waiting(&self) -> usize {
        self.filter.filled
    }

    /// Takes `input` and gives what is complete to `sink`, in order, in blocks.
    pub fn process(&mut self, input: &[i16], sink: impl FnMut(&[i16])) {
        self.filter.process(input, sink);
    }

    /// Forgets the past; the correction is 0 again.
    pub fn reset(&mut self) {
        self.filter.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn tone(rate: u32, hz: f64, samples: usize) -> Vec<i16> {
        let at = |i: usize| (i as f64 / f64::from(rate) * hz * TAU).sin();
        (0..samples).map(|i| (at(i) * 10_000.0).round() as i16).collect()
    }

    /// Frequency (Hz) of the best sine in `pcm`, and what it does not explain, in dB of it.
    fn sine(pcm: &[i16], rate: f64, about: f64) -> (f64, f64) {
        let half = pcm.len() / 2;
        let turn = |part: &[i16], hz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, s) in part.iter().enumerate() {
                let angle = i as f64 / rate * hz * TAU;
                re += f64::from(*s) * angle.cos();
                im -= f64::from(*s) * angle.sin();
            }
            (re, im)
        };
        let mut hz = about;
        for _ in 0..4 {
            let (a, b) = (turn(&pcm[..half], hz), turn(&pcm[half..], hz));
            let moved = b.1.atan2(b.0) - a.1.atan2(a.0) - half as f64 / rate * hz * TAU;
            let moved = (moved + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
            hz += moved / TAU / (half as f64 / rate);
        }
        // Least squares of sine and cosine.
        let (mut ss, mut cc, mut sc, mut sy, mut cy, mut yy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (i, y) in pcm.iter().enumerate() {
            let (y, angle) = (f64::from(*y), i as f64 / rate * hz * TAU);
            let (s, c) = angle.sin_cos();
            (ss, cc, sc) = (ss + s * s, cc + c * c, sc + s * c);
            (sy, cy, yy) = (sy + s * y, cy + c * y, yy + y * y);
        }
        let det = ss * cc - sc * sc;
        let (a, b) = ((sy * cc - cy * sc) / det, (cy * ss - sy * sc) / det);
        let rest = (yy - a * sy - b * cy).max(1e-9);
        (hz, 10.0 * (rest / yy).log10())
    }

    #[test]
    fn every_rate_of_a_sound_card_becomes_every_rate_of_a_call() {
        for from in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000] {
            for to in [8_000, 16_000, 44_100, 48_000] {
                let mut resampler = AdaptiveResampler::new(from, to).unwrap();
                let mut got = Vec::new();
                let input = tone(from, 1_000.0, from as usize / 2);
                input.chunks(77).for_each(|c| resampler.process(c, |o| got.extend_from_slice(o)));
                let expected = to as usize / 2;
                assert!((expected - to as usize / 50..=expected).contains(&got.len()));
                let tail = &got[got.len() - to as usize / 5..];
                let (hz, rest) = sine(tail, f64::from(to), 1_000.0);
                assert!((hz - 1_000.0).abs() < 0.01, "{from} -> {to}: {hz} Hz");
                assert!(rest < -70.0, "{from} -> {to}: {rest} dB of noise");
            }
        }
        assert_eq!(AdaptiveResampler::new(4_000, 8_000).err(), Some(UnsupportedRate(4_000)));
        assert_eq!(AdaptiveResampler::new(8_000, 384_000).err(), Some(UnsupportedRate(384_000)));
    }

    #[test]
    fn a_correction_changes_the_amount_exactly_and_the_pitch_without_a_step() {
        for correction in [-0.003, 0.0003, 0.005] {
            let mut resampler = AdaptiveResampler::new(48_000, 16_000).unwrap();
            let input = tone(48_000, 1_000.0, 48_000 * 4);
            let mut got = Vec::new();
            resampler.process(&input[..48_000], |o| got.extend_from_slice(o));
            resampler.set_correction(correction);
            let before = got.len();
            resampler.process(&input[48_000..], |o| got.extend_from_slice(o));
            let more = (got.len() - before) as f64 - 48_000.0 * (1.0 + correction);
            assert!(more.abs() < 3.0, "{correction}: {more} samples too many");
            let expected = 1_000.0 / (1.0 + correction);
            let (hz, rest) = sine(&got[got.len() - 16_000..], 16_000.0, expected + 0.3);
            assert!((hz - expected).abs() < 0.01, "{correction}: {hz}");
            assert!(rest < -70.0, "{correction}: {rest} dB of noise");
            // Where the ratio changes, neighbours differ no more than in a tone.
            let most = got.windows(2).map(|w| (w[1] - w[0]).abs()).max().unwrap();
            assert!(most < 4_000, "{most}");
        }
    }

    #[test]
    fn a_correction_that_is_none_or_too_much_is_bounded() {
        for (correction, samples) in [(f64::NAN, 16_000.0), (1.0, 16_160.0), (-1.0, 15_841.0)] {
            let mut resampler = AdaptiveResampler::new(16_000, 16_000).unwrap();
            resampler.set_correction(correction);
            let mut got = 0;
            resampler.process(&[0; 16_000], |o| got += o.len());
            assert!((got as f64 - samples).abs() < 40.0, "{correction}: {got}");
            assert_eq!((resampler.waiting(), resampler.room()), (0, 80));
        }
    }
}
