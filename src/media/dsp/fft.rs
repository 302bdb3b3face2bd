//! The Fourier transform of real blocks, on rustfft's portable code alone, so that every machine
//! gives the same bits. Spectra are split into real and imaginary parts: loops over them vectorise.

use core::fmt;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// A spectrum of `len / 2 + 1` bins.
#[derive(Clone, Debug, Default)]
pub(super) struct Spectrum {
    pub(super) re: Vec<f32>,
    pub(super) im: Vec<f32>,
}

impl Spectrum {
    pub(super) fn new(bins: usize) -> Self {
        Self { re: vec![0.0; bins], im: vec![0.0; bins] }
    }

    /// Adds `factor` times the power of each bin to `factor2` times what is in `power`.
    pub(super) fn smooth_power(&self, keep: f32, add: f32, power: &mut [f32]) {
        for ((p, re), im) in power.iter_mut().zip(&self.re).zip(&self.im) {
            *p = keep * *p + add * (re * re + im * im);
        }
    }

    pub(super) fn clear(&mut self) {
        self.re.fill(0.0);
        self.im.fill(0.0);
    }
}

/// Transforms of one length.
pub(super) struct RealFft {
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// Half as many complex values as there are samples.
    packed: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// e^(-2πik/len) for each bin.
    twiddles: Vec<Complex<f32>>,
}

impl fmt::Debug for RealFft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealFft({})", self.packed.len() * 2)
    }
}

impl RealFft {
    /// Transforms of `len` samples; `len` is even.
    pub(super) fn new(len: usize) -> Self {
        let half = len / 2;
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(half), planner.plan_fft_inverse(half));
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        let twiddle = |k: usize| {
            let angle = -core::f64::consts::TAU * k as f64 / len as f64;
            Complex::new(angle.cos() as f32, angle.sin() as f32)
        };
        Self {
            forward,
            inverse,
            packed: vec![Complex::default(); half],
            scratch: vec![Complex::default(); scratch],
            twiddles: (0..=half).map(twiddle).collect(),
        }
    }

    /// The spectrum of `samples`.
    pub(super) fn forward(&mut self, samples: &[f32], out: &mut Spectrum) {
        for (z, pair) in self.packed.iter_mut().zip(samples.chunks_exact(2)) {
            if let [a, b] = pair {
                *z = Complex::new(*a, *b);
            }
        }
        self.forward.process_with_scratch(&mut self.packed, &mut self.scratch);
        let first = self.packed.first().copied().unwrap_or_default();
        let up = self.packed.iter().chain(core::iter::once(&first));
        let down = core::iter::once(&first).chain(self.packed.iter().rev());
        let bins = out.re.iter_mut().zip(out.im.iter_mut());
        for (((re, im), (a, b)), w) in bins.zip(up.zip(down)).zip(&self.twiddles) {
            // Even samples give (a + b*) / 2, odd ones (a - b*) / 2i, turned by the twiddle.
            let (er, ei) = ((a.re + b.re) * 0.5, (a.im - b.im) * 0.5);
            let (or, oi) = ((a.im + b.im) * 0.5, (b.re - a.re) * 0.5);
            *re = er + or * w.re - oi * w.im;
            *im = ei + or * w.im + oi * w.re;
        }
    }

    /// The samples of a spectrum; the inverse of [`forward`](Self::forward).
    pub(super) fn inverse(&mut self, spectrum: &Spectrum, out: &mut [f32]) {
        let scale = 0.5 / self.packed.len().max(1) as f32;
        let up = spectrum.re.iter().zip(&spectrum.im);
        let down = spectrum.re.iter().rev().zip(spectrum.im.iter().rev());
        for ((z, (a, b)), w) in self.packed.iter_mut().zip(up.zip(down)).zip(&self.twiddles) {
            let (er, ei) = (a.0 + b.0, a.1 - b.1);
            let (dr, di) = (a.0 - b.0, a.1 + b.1);
            let (or, oi) = (dr * w.re + di * w.im, di * w.re - dr * w.im);
            *z = Complex::new((er - oi) * scale, (ei + or) * scale);
        }
        self.inverse.process_with_scratch(&mut self.packed, &mut self.scratch);
        for (pair, z) in out.chunks_exact_mut(2).zip(&self.packed) {
            if let [a, b] = pair {
                (*a, *b) = (z.re, z.im);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spectrum_is_that_of_the_definition_and_the_inverse_gives_the_samples_back() {
        for len in [160, 320, 480] {
            let mut seed = 1u32;
            let mut noise = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as f32 - 32_768.0
            };
            let samples: Vec<f32> = (0..len).map(|_| noise()).collect();
            let mut fft = RealFft::new(len);
            let mut s = Spectrum::new(len / 2 + 1);
            fft.forward(&samples, &mut s);
            for k in [0, 1, 7, len / 4, len / 2] {
                let (mut re, mut im) = (0.0f64, 0.0f64);
                for (i, x) in samples.iter().enumerate() {
                    let a = -core::f64::consts::TAU * (k * i % len) as f64 / len as f64;
                    re += f64::from(*x) * a.cos();
                    im += f64::from(*x) * a.sin();
                }
                assert!((re - f64::from(s.re[k])).abs() < 5.0, "{len} {k}: {re} {}", s.re[k]);
                assert!((im - f64::from(s.im[k])).abs() < 5.0, "{len} {k}: {im} {}", s.im[k]);
            }
            let mut back = vec![0.0; len];
            fft.inverse(&s, &mut back);
            for (a, b) in samples.iter().zip(&back) {
                assert!((a - b).abs() < 0.05, "{a} {b}");
            }
        }
    }
}
