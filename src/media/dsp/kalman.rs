//! The linear part of echo cancellation: a partitioned-block frequency-domain Kalman filter
//! (Enzner and Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in
//! hands-free telephones", 2006; Kuech, Mabande and Enzner, "State-space architecture of the
//! partitioned-block-based acoustic echo controller", 2014). The uncertainty of each coefficient
//! sets its step, so that the near end's speech hardly moves the filter.

use super::fft::{RealFft, Spectrum};

/// Blocks of 10 ms that the filter is long: the delay's uncertainty and a tail of 60 ms fit well.
pub(super) const PARTITIONS: usize = 12;
/// How fast coefficients drift, as a part of their power per block.
const DRIFT: f32 = 4.0e-4;
/// Uncertainty of a coefficient's power at the start.
const UNKNOWN: f32 = 0.3;
/// Smoothing of the error's power.
const ERROR_KEEP: f32 = 0.8;

/// The last spectra of the loudspeaker's signal.
#[derive(Debug)]
pub(super) struct RenderHistory {
    spectra: Vec<Spectrum>,
    power: Vec<Vec<f32>>,
    newest: usize,
}

impl RenderHistory {
    pub(super) fn new(blocks: usize, bins: usize) -> Self {
        Self {
            spectra: vec![Spectrum::new(bins); blocks],
            power: vec![vec![0.0; bins]; blocks],
            newest: 0,
        }
    }

    /// Without powers, for a signal whose path is not learned.
    pub(super) fn of_spectra(blocks: usize, bins: usize) -> Self {
        Self { power: vec![Vec::new(); blocks], ..Self::new(blocks, bins) }
    }

    /// Room for the next block's spectrum.
    pub(super) fn push(&mut self, fft: &mut RealFft, samples: &[f32]) {
        self.newest = (self.newest + 1) % self.spectra.len().max(1);
        let slot = (self.spectra.get_mut(self.newest), self.power.get_mut(self.newest));
        if let (Some(spectrum), Some(power)) = slot {
            fft.forward(samples, spectrum);
            spectrum.smooth_power(0.0, 1.0, power);
        }
    }

    /// The spectrum of `age` blocks ago, and its power.
    pub(super) fn get(&self, age: usize) -> Option<(&Spectrum, &[f32])> {
        let n = self.spectra.len();
        let at = (self.newest + n).checked_sub(age)? % n;
        Some((self.spectra.get(at)?, self.power.get(at)?))
    }

    /// Blocks from `age` on, going back in time.
    fn from(&self, age: usize) -> impl Iterator<Item = (&Spectrum, &[f32])> {
        (age..).map_while(|age| self.get(age))
    }
}

/// One partition: its coefficients and their uncertainty.
#[derive(Clone, Debug)]
struct Partition {
    w: Spectrum,
    p: Vec<f32>,
}

/// The filter.
#[derive(Debug)]
pub(super) struct Kalman {
    block: usize,
    partitions: Vec<Partition>,
    /// Power of what the filter cannot explain.
    noise: Vec<f32>,
    /// Power of the echo that the uncertainty lets expect in the error.
    pub(super) uncertain: Vec<f32>,
    denominator: Vec<f32>,
    error: Spectrum,
    sum: Spectrum,
    samples: Vec<f32>,
}

impl Kalman {
    pub(super) fn new(block: usize) -> Self {
        let bins = block + 1;
        Self {
            block,
            partitions: vec![
                Partition { w: Spectrum::new(bins), p: vec![UNKNOWN; bins] };
                PARTITIONS
            ],
            noise: vec![0.0; bins],
            uncertain: vec![0.0; bins],
            denominator: vec![0.0; bins],
            error: Spectrum::new(bins),
            sum: Spectrum::new(bins),
            samples: vec![0.0; block * 2],
        }
    }

    /// Nothing is known any more of the echo's path.
    pub(super) fn doubt(&mut self, keep: bool) {
        for partition in &mut self.partitions {
            partition.p.fill(UNKNOWN);
            if !keep {
                partition.w.clear();
            }
        }
    }

    /// Moves the coefficients by whole blocks: the reference is read `blocks` earlier (or later).
    pub(super) fn shift(&mut self, blocks: isize) {
        let n = blocks.unsigned_abs().min(PARTITIONS);
        let fresh = if blocks > 0 {
            self.partitions.rotate_left(n);
            PARTITIONS - n..PARTITIONS
        } else {
            self.partitions.rotate_right(n);
            0..n
        };
        for partition in self.partitions.get_mut(fresh).unwrap_or_default() {
            partition.w.clear();
            partition.p.fill(UNKNOWN);
        }
    }

    /// The echo that is expected in the newest block.
    pub(super) fn predict(
        &mut self,
        fft: &mut RealFft,
        render: &RenderHistory,
        offset: usize,
        echo: &mut [f32],
    ) {
        self.sum.clear();
        let Spectrum { re: sum_re, im: sum_im } = &mut self.sum;
        for (partition, (x, _)) in self.partitions.iter().zip(render.from(offset)) {
            let w = partition.w.re.iter().zip(&partition.w.im);
            let x = x.re.iter().zip(&x.im);
            let sums = sum_re.iter_mut().zip(sum_im.iter_mut());
            for ((sum, w), x) in sums.zip(w).zip(x) {
                *sum.0 += w.0 * x.0 - w.1 * x.1;
                *sum.1 += w.0 * x.1 + w.1 * x.0;
            }
        }
        fft.inverse(&self.sum, &mut self.samples);
        let valid = self.samples.get(self.block..).unwrap_or_default();
        echo.iter_mut().zip(valid).for_each(|(e, s)| *e = *s);
    }

    /// Learns from the error of the newest block.
    pub(super) fn update(
        &mut self,
        fft: &mut RealFft,
        render: &RenderHistory,
        offset: usize,
        error: &[f32],
    ) {
        let (zeros, tail) = self.samples.split_at_mut(self.block);
        zeros.fill(0.0);
        tail.iter_mut().zip(error).for_each(|(t, e)| *t = *e);
        fft.forward(&self.samples, &mut self.error);
        self.error.smooth_power(ERROR_KEEP, 1.0 - ERROR_KEEP, &mut self.noise);
        self.weigh(render, offset);
        for (partition, (x, power)) in self.partitions.iter_mut().zip(render.from(offset)) {
            self.sum.clear();
            partition.step(x, power, &self.error, &self.denominator, &mut self.sum);
            // What lies beyond the block is an artefact of circular convolution.
            fft.inverse(&self.sum, &mut self.samples);
            self.samples.get_mut(self.block..).unwrap_or_default().fill(0.0);
            fft.forward(&self.samples, &mut self.sum);
            partition.add(&self.sum);
        }
    }

    /// The denominator of the gains, and the echo still to be expected.
    fn weigh(&mut self, render: &RenderHistory, offset: usize) {
        self.uncertain.fill(0.0);
        for (partition, (_, power)) in self.partitions.iter().zip(render.from(offset)) {
            for ((u, p), x) in self.uncertain.iter_mut().zip(&partition.p).zip(power) {
                *u += p * x;
            }
        }
        let bins = self.denominator.iter_mut().zip(&self.uncertain).zip(&self.noise);
        bins.for_each(|((d, u), n)| *d = 1.0 / (u + 2.0 * n + 1.0e3));
        self.uncertain.iter_mut().for_each(|u| *u *= 0.5);
    }
}

impl Partition {
    /// The correction of the coefficients into `out`; the uncertainty shrinks and drifts.
    fn step(
        &mut self,
        x: &Spectrum,
        power: &[f32],
        error: &Spectrum,
        denominator: &[f32],
        out: &mut Spectrum,
    ) {
        let w = self.w.re.iter().zip(&self.w.im);
        let out = out.re.iter_mut().zip(out.im.iter_mut());
        let x = x.re.iter().zip(&x.im);
        let error = error.re.iter().zip(&error.im);
        let known = power.iter().zip(denominator);
        for (((((p, w), out), x), e), (power, d)) in
            self.p.iter_mut().zip(w).zip(out).zip(x).zip(error).zip(known)
        {
            let step = *p * d;
            *out.0 = step * (x.0 * e.0 + x.1 * e.1);
            *out.1 = step * (x.0 * e.1 - x.1 * e.0);
            let kept = (1.0 - 0.5 * step * power).max(0.0);
            *p = kept * *p * (1.0 - DRIFT) + DRIFT * (w.0 * w.0 + w.1 * w.1) + 1.0e-12;
        }
    }

    fn add(&mut self, change: &Spectrum) {
        self.w.re.iter_mut().zip(&change.re).for_each(|(w, c)| *w += c);
        self.w.im.iter_mut().zip(&change.im).for_each(|(w, c)| *w += c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_that_move_with_the_reference_expect_the_same_echo() {
        let block = 80;
        let mut fft = RealFft::new(block * 2);
        let mut history = RenderHistory::new(40, block + 1);
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as f32 - 32_768.0
        };
        for _ in 0..40 {
            let samples: Vec<f32> = (0..block * 2).map(|_| noise()).collect();
            history.push(&mut fft, &samples);
        }
        let mut kalman = Kalman::new(block);
        for partition in kalman.partitions.get_mut(4..7).unwrap() {
            partition.w.re.iter_mut().for_each(|w| *w = noise() / 1.0e5);
        }
        let mut expected = |kalman: &mut Kalman, offset| {
            let mut echo = vec![0.0; block];
            kalman.predict(&mut fft, &history, offset, &mut echo);
            echo
        };
        let first = expected(&mut kalman, 3);
        assert!(first.iter().any(|s| s.abs() > 1_000.0), "{first:?}");
        kalman.shift(3);
        assert_eq!(expected(&mut kalman, 6), first);
        kalman.shift(-5);
        assert_eq!(expected(&mut kalman, 1), first);
        // What leaves the filter does not come back at its other end.
        kalman.shift(PARTITIONS as isize);
        assert!(expected(&mut kalman, 1).iter().all(|s| *s == 0.0));
    }
}
