//! How late the echo is: the pattern of loud and quiet bands of the microphone is looked for among
//! those of the last half second of the loudspeaker.

use super::fft::Spectrum;

/// Bands of a pattern: 100 Hz each, from 300 to 3,500 Hz.
const BANDS: usize = 32;
/// Blocks of 10 ms that are searched: 0 to 520 ms.
pub(super) const MAX_DELAY: usize = 52;
/// A slow mean of each band's level is the threshold of its bit.
const MEAN_RATE: f32 = 0.02;
/// How fast the distance of each candidate follows: about half a second.
const FOLLOW: f32 = 0.025;
/// A candidate must be better than the mean of all by this many bits.
const MARGIN: f32 = 2.5;
/// And better than the delay in use by this many.
const HYSTERESIS: f32 = 0.5;
/// For so many blocks.
const PERSISTENCE: u32 = 12;
/// And for so many where a delay was known before.
const PERSISTENCE_ANEW: u32 = 25;

/// Turns spectra into patterns of bits.
#[derive(Debug)]
struct Pattern {
    mean: [f32; BANDS],
    started: bool,
}

impl Pattern {
    fn new() -> Self {
        Self { mean: [0.0; BANDS], started: false }
    }

    /// One bit a band: louder than usual.
    fn bits(&mut self, spectrum: &Spectrum) -> u32 {
        let mut bits = 0;
        // Bins are 50 Hz wide at every rate.
        let power = |(re, im): (&[f32], &[f32])| {
            re.iter().zip(im).map(|(re, im)| re * re + im * im).sum::<f32>()
        };
        let re = spectrum.re.get(6..).unwrap_or_default().chunks_exact(2);
        let im = spectrum.im.get(6..).unwrap_or_default().chunks_exact(2);
        for (i, (mean, bins)) in self.mean.iter_mut().zip(re.zip(im)).enumerate() {
            let level = (power(bins) + 1.0).ln();
            if !self.started {
                *mean = level;
            }
            bits |= u32::from(level > *mean) << i;
            *mean += MEAN_RATE * (level - *mean);
        }
        self.started = true;
        bits
    }
}

/// Finds the delay between render and capture in blocks of 10 ms.
#[derive(Debug)]
pub(super) struct DelayEstimator {
    render: Pattern,
    capture: Pattern,
    /// Newest first.
    history: [u32; MAX_DELAY],
    distance: [f32; MAX_DELAY],
    candidate: usize,
    persistence: u32,
    delay: Option<usize>,
}

impl DelayEstimator {
    pub(super) fn new() -> Self {
        Self {
            render: Pattern::new(),
            capture: Pattern::new(),
            history: [0; MAX_DELAY],
            distance: [BANDS as f32 / 2.0; MAX_DELAY],
            candidate: 0,
            persistence: 0,
            delay: None,
        }
    }

    /// The delay found last, in blocks.
    pub(super) fn delay(&self) -> Option<usize> {
        self.delay
    }

    /// Takes the spectra of one block of each side. `audible`: the loudspeaker plays something
    /// above silence, now or within the reach of the search.
    pub(super) fn update(&mut self, render: &Spectrum, capture: &Spectrum) -> Option<usize> {
        self.history.rotate_right(1);
        let bits = self.render.bits(render);
        if let Some(newest) = self.history.first_mut() {
            *newest = bits;
        }
        let heard = self.capture.bits(capture);
        let mut sum = 0.0;
        let mut best = (0, f32::MAX);
        for (i, (distance, played)) in self.distance.iter_mut().zip(&self.history).enumerate() {
            // A pattern without loud bands tells nothing.
            if played.count_ones() >= 4 && heard.count_ones() >= 4 {
                let now = (heard ^ played).count_ones() as f32;
                *distance += FOLLOW * (now - *distance);
            }
            sum += *distance;
            if *distance < best.1 {
                best = (i, *distance);
            }
        }
        self.decide(best, sum / MAX_DELAY as f32);
        self.delay
    }

    fn decide(&mut self, best: (usize, f32), mean: f32) {
        let in_use = self.delay.and_then(|d| self.distance.get(d)).copied();
        let better = in_use.is_none_or(|d| best.1 + HYSTERESIS < d);
        if best.1 + MARGIN > mean || !better || self.delay == Some(best.0) {
            self.persistence = 0;
            return;
        }
        if self.candidate.abs_diff(best.0) > 1 {
            self.persistence = 0;
        }
        self.candidate = best.0;
        self.persistence += 1;
        let needed = if self.delay.is_some() { PERSISTENCE_ANEW } else { PERSISTENCE };
        if self.persistence >= needed {
            self.delay = Some(best.0);
            self.persistence = 0;
        }
    }
}
