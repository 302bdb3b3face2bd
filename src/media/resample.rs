//! Streaming sample-rate conversion between the host's rate and a codec's, on rubato's windowed
//! sinc filters. Nothing is allocated after construction.

mod adaptive;

pub use adaptive::{ADAPTIVE_RATES, AdaptiveResampler, MAX_CORRECTION};

use core::fmt;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

/// The rates that can be converted between, in Hz.
pub const SUPPORTED_RATES: [u32; 6] = [8_000, 16_000, 24_000, 32_000, 44_100, 48_000];

/// The filter reaches over this many samples of the lower of the two rates.
const TAPS: u32 = 64;
/// Where the filter has fallen by 6 dB, in parts of the lower Nyquist frequency.
const CUTOFF: f32 = 0.97;

/// A rate that the resampler does not convert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sample rate {0} Hz is not supported: use one of 8000, 16000, 24000, 32000, 44100, 48000")]
pub struct UnsupportedRate(pub u32);

/// Converts one mono stream from one rate to another.
///
/// Up to 0.9 of the lower of the two Nyquist frequencies the level stays within 0.1 dB; from 1.1
/// of it on, what would be folded back is 65 dB down or more, and so are mirror images.
///
/// Samples enter in any number; what comes out is handed on in blocks of about 10 ms. The delay
/// is half the filter: 32 samples of the lower rate (4 ms at 8 kHz), plus up to 10 ms of input
/// that waits for its block to be full.
pub struct Resampler {
    filter: Option<Filter>,
    from: u32,
    to: u32,
}

struct Filter {
    inner: Async<f32>,
    input: Vec<f32>,
    filled: usize,
    output: Vec<f32>,
    pcm: Vec<i16>,
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler").field("from", &self.from).field("to", &self.to).finish()
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Resampler {
    /// A converter from `from` Hz to `to` Hz; equal rates pass samples through untouched.
    ///
    /// # Errors
    /// [`UnsupportedRate`] if either is not in [`SUPPORTED_RATES`].
    pub fn new(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        for rate in [from, to] {
            if !SUPPORTED_RATES.contains(&rate) {
                return Err(UnsupportedRate(rate));
            }
        }
        if from == to {
            return Ok(Self { filter: None, from, to });
        }
        // The ratio is an exact fraction, so a table of `to / gcd` phases holds every filter that
        // is ever needed and no interpolation between phases takes place.
        let parameters = SincInterpolationParameters::new(
            // Rubato wants a multiple of 8.
            (TAPS * from.max(to) / to).next_multiple_of(8) as usize,
            WindowFunction::Blackman,
        )
        .f_cutoff(CUTOFF)
        .oversampling_factor((to / gcd(from, to)).max(2) as usize)
        .interpolation(SincInterpolationType::Nearest);
        let chunk = (from / 100) as usize;
        let ratio = f64::from(to) / f64::from(from);
        let inner = Async::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)
            .map_err(|_| UnsupportedRate(to))?;
        Ok(Self { filter: Some(Filter::new(inner, chunk)), from, to })
    }

    /// The rate of what goes in, in Hz.
    pub const fn input_rate(&self) -> u32 {
        self.from
    }

    /// The rate of what comes out, in Hz.
    pub const fn output_rate(&self) -> u32 {
        self.to
    }

    /// The delay of the filter, in samples of the output rate, give or take one (without the
    /// block).
    pub fn delay(&self) -> usize {
        // Rubato tells half the filter; its first sample comes one or two earlier.
        self.filter.as_ref().map_or(0, |f| f.inner.output_delay().saturating_sub(1))
    }

    /// Takes `input` and gives what is complete to `sink`, in order, in blocks.
    pub fn process(&mut self, input: &[i16], mut sink: impl FnMut(&[i16])) {
        match &mut self.filter {
            Some(filter) => filter.process(input, sink),
            None if input.is_empty() => {}
            None => sink(input),
        }
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }
}

impl Filter {
    /// A filter that takes `chunk` samples at a time.
    fn new(inner: Async<f32>, chunk: usize) -> Self {
        let max = inner.output_frames_max();
        let (input, output, pcm) = (vec![0.0; chunk], vec![0.0; max], vec![0; max]);
        Self { inner, input, filled: 0, output, pcm }
    }

    fn process(&mut self, mut input: &[i16], mut sink: impl FnMut(&[i16])) {
        while !input.is_empty() {
            let room = self.input.get_mut(self.filled..).unwrap_or_default();
            let n = room.len().min(input.len());
            let (now, later) = input.split_at(n);
            room.iter_mut().zip(now).for_each(|(f, s)| *f = f32::from(*s));
            input = later;
            self.filled += n;
            if self.filled == self.input.len() {
                self.filled = 0;
                sink(self.block());
            }
        }
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.filled = 0;
    }

    /// Converts the full input block.
    fn block(&mut self) -> &[i16] {
        let max = self.output.len();
        let (Ok(input), Ok(mut output)) = (
            SequentialSlice::new(&self.input, 1, self.input.len()),
            SequentialSlice::new_mut(&mut self.output, 1, max),
        ) else {
            return &[];
        };
        // The buffers have the sizes that rubato asked for, so this cannot fail.
        let n = self.inner.process_into_buffer(&input, &mut output, None).map_or(0, |(_, n)| n);
        let pcm = self.pcm.get_mut(..n).unwrap_or_default();
        // `as` saturates, so a filter overshoot clips instead of wrapping.
        pcm.iter_mut().zip(&self.output).for_each(|(s, f)| *s = f.round() as i16);
        pcm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f64, ms: u32) -> Vec<i16> {
        (0..rate * ms / 1000)
            .map(|i| {
                let t = f64::from(i) / f64::from(rate);
                ((t * hz * std::f64::consts::TAU).sin() * 10_000.0) as i16
            })
            .collect()
    }

    fn run(r: &mut Resampler, input: &[i16], chunk: usize) -> Vec<i16> {
        let mut out = Vec::new();
        input.chunks(chunk).for_each(|c| r.process(c, |o| out.extend_from_slice(o)));
        out
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_level_between_all_rates() {
        for from in SUPPORTED_RATES {
            for to in SUPPORTED_RATES {
                let mut r = Resampler::new(from, to).unwrap();
                let got = run(&mut r, &tone(from, 1000.0, 400), 333);
                // What a sine of that frequency, whatever its phase, does not explain.
                let tail = &got[got.len() / 2..got.len() / 2 + to as usize / 10];
                let sum = |phase: f64| {
                    let w = |i: usize| {
                        (i as f64 / f64::from(to) * 1000.0 * std::f64::consts::TAU + phase).sin()
                    };
                    tail.iter().enumerate().map(|(i, s)| f64::from(*s) * w(i)).sum::<f64>() * 2.0
                        / tail.len() as f64
                };
                let level = sum(0.0).hypot(sum(std::f64::consts::FRAC_PI_2));
                let power = tail.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                let rest = power / tail.len() as f64 - level * level / 2.0;
                assert!((level / 10_000.0 - 1.0).abs() < 0.01, "{from} -> {to}: {level}");
                assert!(rest < 10.0, "{from} -> {to}: noise power {rest}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_removed_not_aliased() {
        let mut r = Resampler::new(48_000, 8_000).unwrap();
        let got = run(&mut r, &tone(48_000, 5_500.0, 400), 480);
        let peak = got.iter().skip(800).map(|s| s.unsigned_abs()).max().unwrap();
        assert!(peak < 12, "{peak}");
    }

    #[test]
    fn the_number_of_samples_follows_the_ratio_and_any_chunking_gives_the_same() {
        let input = tone(44_100, 440.0, 1000);
        let a = run(&mut Resampler::new(44_100, 16_000).unwrap(), &input, 441);
        let b = run(&mut Resampler::new(44_100, 16_000).unwrap(), &input, 7);
        assert_eq!(a, b);
        assert!((15_900..=16_000).contains(&a.len()), "{}", a.len());
    }

    #[test]
    fn after_a_reset_it_is_as_new() {
        let input = tone(8_000, 440.0, 200);
        let fresh = run(&mut Resampler::new(8_000, 48_000).unwrap(), &input, 80);
        let mut used = Resampler::new(8_000, 48_000).unwrap();
        run(&mut used, &tone(8_000, 1_000.0, 105), 37);
        used.reset();
        assert_eq!(run(&mut used, &input, 80), fresh);
    }

    #[test]
    fn odd_rates_are_refused() {
        assert_eq!(Resampler::new(11_025, 8_000).err(), Some(UnsupportedRate(11_025)));
    }
}
