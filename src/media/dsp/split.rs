//! Rates above 16 kHz: the band below 8 kHz goes through the chain at 16 kHz, what lies above it is
//! what the lower band does not explain, so that both together are the signal again.

/// Length of the filters, in samples of the full rate.
const TAPS: usize = 96;
/// Samples that the lower band of the full rate is late.
pub(super) const SPLIT_DELAY: usize = TAPS - 1;

/// Gives the lower band.
#[derive(Debug)]
pub(super) struct Decimator {
    factor: usize,
    /// Symmetric.
    filter: Vec<f32>,
    full: Vec<f32>,
}

/// Splits into bands and joins them.
#[derive(Debug)]
pub(super) struct Split {
    decimator: Decimator,
    /// The phases of the filter for interpolation, each reversed in time.
    phases: Vec<Vec<f32>>,
    low: Vec<f32>,
    processed: Vec<f32>,
    /// The upper band, late by the split and by the stages of the lower one.
    high: Vec<f32>,
    gain: f32,
}

/// The sum of products, eight at a time: of whole eights.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (a, b))| *s += a * b);
    }
    sums.iter().sum()
}

/// Moves the last `keep` samples to the front and puts `new` after them.
fn append(buffer: &mut [f32], new: impl Iterator<Item = f32>, len: usize) {
    buffer.copy_within(len.., 0);
    let at = buffer.len() - len;
    buffer.iter_mut().skip(at).zip(new).for_each(|(b, n)| *b = n);
}

impl Decimator {
    /// For a full rate of `factor` times 16 kHz and blocks of `block` samples at 16 kHz.
    pub(super) fn new(factor: usize, block: usize) -> Self {
        // A windowed sinc that cuts at 0.94 of the lower band.
        let tap = |i: usize| {
            let t = i as f64 - (TAPS - 1) as f64 / 2.0;
            let x = core::f64::consts::PI * t * 0.94 / factor as f64;
            let w = core::f64::consts::PI * (i as f64 + 0.5) / TAPS as f64;
            let blackman = 0.42 - 0.5 * (2.0 * w).cos() + 0.08 * (4.0 * w).cos();
            x.sin() / x * blackman
        };
        let raw: Vec<f64> = (0..TAPS).map(tap).collect();
        let sum: f64 = raw.iter().sum();
        let filter = raw.iter().map(|h| (h / sum) as f32).collect();
        Self { factor, filter, full: vec![0.0; TAPS - 1 + block * factor] }
    }

    /// Samples of a block at the full rate.
    pub(super) fn block(&self) -> usize {
        self.full.len() - (TAPS - 1)
    }

    /// The lower band of a block.
    pub(super) fn process(&mut self, pcm: &[i16], low: &mut [f32]) {
        append(&mut self.full, pcm.iter().map(|s| f32::from(*s)), pcm.len());
        for (l, window) in low.iter_mut().zip(self.full.windows(TAPS).step_by(self.factor)) {
            *l = dot(window, &self.filter);
        }
    }
}

impl Split {
    /// For a full rate of `factor` times 16 kHz, blocks of `block` samples at 16 kHz and stages
    /// that are `late` samples of 16 kHz late.
    pub(super) fn new(factor: usize, block: usize, late: usize) -> Self {
        let decimator = Decimator::new(factor, block);
        let filter = &decimator.filter;
        let phase = |p: usize| {
            let mut taps: Vec<f32> =
                filter.iter().skip(p).step_by(factor).map(|h| h * factor as f32).collect();
            taps.reverse();
            taps
        };
        Self {
            phases: (0..factor).map(phase).collect(),
            low: vec![0.0; TAPS / factor - 1 + block],
            processed: vec![0.0; TAPS / factor - 1 + block],
            high: vec![0.0; (block + late) * factor],
            gain: 1.0,
            decimator,
        }
    }

    /// Takes a block of the full rate; gives the lower band.
    pub(super) fn split(&mut self, pcm: &[i16], low: &mut [f32]) {
        self.decimator.process(pcm, low);
        append(&mut self.low, low.iter().copied(), low.len());
        let len = pcm.len();
        self.high.copy_within(len.., 0);
        let at = self.high.len() - len;
        let high = self.high.get_mut(at..).unwrap_or_default();
        interpolate(&self.phases, &self.low, high);
        high.iter_mut().zip(&self.decimator.full).for_each(|(h, x)| *h = x - *h);
    }

    /// Joins the processed lower band with the upper one, which gets `gain`.
    pub(super) fn join(&mut self, low: &[f32], gain: f32, out: &mut [f32]) {
        append(&mut self.processed, low.iter().copied(), low.len());
        interpolate(&self.phases, &self.processed, out);
        let step = (gain - self.gain) / out.len().max(1) as f32;
        for (o, h) in out.iter_mut().zip(&self.high) {
            self.gain += step;
            *o += self.gain * h;
        }
        self.gain = gain;
    }
}

fn interpolate(phases: &[Vec<f32>], low: &[f32], out: &mut [f32]) {
    let taps = phases.first().map_or(1, Vec::len);
    for (frame, window) in out.chunks_exact_mut(phases.len()).zip(low.windows(taps)) {
        frame.iter_mut().zip(phases).for_each(|(o, phase)| *o = dot(window, phase));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bands_together_are_the_signal_late_and_the_lower_one_is_below_8_khz() {
        for factor in [2usize, 3] {
            let (block, late) = (160, 160);
            let mut split = Split::new(factor, block, late);
            let mut seed = 1u32;
            let input: Vec<i16> = (0..block * factor * 8)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 18) as i16 - 8_192
                })
                .collect();
            let (mut low, mut before) = (vec![0.0; block], vec![0.0; block]);
            let mut out = vec![0.0; block * factor];
            let mut all = Vec::new();
            for pcm in input.chunks_exact(block * factor) {
                split.split(pcm, &mut low);
                split.join(&before, 1.0, &mut out);
                before.copy_from_slice(&low);
                all.extend_from_slice(&out);
            }
            let delay = late * factor + SPLIT_DELAY;
            for (a, b) in input.iter().zip(&all[delay..]) {
                assert!((f32::from(*a) - b).abs() < 0.1, "{factor}: {a} {b}");
            }
            // 11 kHz is not in the lower band.
            let tone = |i: usize| {
                let t = i as f32 / (16_000.0 * factor as f32);
                ((t * 11_000.0 * core::f32::consts::TAU).sin() * 8_000.0) as i16
            };
            let pcm: Vec<i16> = (0..block * factor * 2).map(tone).collect();
            pcm.chunks_exact(block * factor).for_each(|p| split.split(p, &mut low));
            assert!(low.iter().all(|s| s.abs() < 12.0), "{low:?}");
        }
    }
}
