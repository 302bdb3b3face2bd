//! The noise behind the speech: its level and colour, and noise like it.

/// Poles of the filter that gives noise its colour.
const ORDER: usize = 8;
/// Comfort noise is never louder than this (about -50 dBFS).
const MAX_RMS: f32 = 100.0;
/// Frames up to this much louder than the quietest tell the colour.
const ALIKE: f32 = 1.6;

/// Follows the quietest frames of what is heard.
#[derive(Debug)]
pub(super) struct Background {
    rms: f32,
    /// Autocorrelation of the quiet frames, normalised.
    correlation: [f32; ORDER + 1],
    filter: [f32; ORDER],
    past: [f32; ORDER],
    gain: f32,
    seed: u32,
    stale: bool,
}

impl Background {
    pub(super) fn new() -> Self {
        let mut correlation = [0.0; ORDER + 1];
        correlation[0] = 1.0;
        Self {
            rms: 8.0,
            correlation,
            filter: [0.0; ORDER],
            past: [0.0; ORDER],
            gain: 8.0,
            seed: 1,
            stale: true,
        }
    }

    /// Hears a frame. Follows the quietest frames: down at once, up slowly.
    pub(super) fn hear(&mut self, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        let power: f32 = pcm.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
        let rms = (power / pcm.len() as f32).sqrt();
        if rms <= self.rms * ALIKE && power > 0.0 {
            for (lag, of) in self.correlation.iter_mut().enumerate() {
                let later = pcm.get(lag..).unwrap_or_default();
                let r: f32 =
                    pcm.iter().zip(later).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
                *of += 0.1 * (r / power - *of);
            }
            self.stale = true;
        }
        self.rms = if rms < self.rms { rms } else { (self.rms * 1.01 + 0.02).min(rms) };
    }

    /// The filter from the autocorrelation (Levinson-Durbin), once per loss.
    fn tune(&mut self) {
        self.stale = false;
        let r = &self.correlation;
        let mut filter = [0.0f32; ORDER];
        // A little white noise keeps it stable.
        let mut error = r.first().copied().unwrap_or(1.0) * 1.01 + 1e-6;
        let whole = error;
        for i in 0..ORDER {
            let mut sum = r.get(i + 1).copied().unwrap_or(0.0);
            for j in 0..i {
                sum -= filter.get(j).copied().unwrap_or(0.0) * r.get(i - j).copied().unwrap_or(0.0);
            }
            let k = sum / error;
            let before = filter;
            if let Some(f) = filter.get_mut(i) {
                *f = k;
            }
            for j in 0..i {
                let mirrored = before.get(i - 1 - j).copied().unwrap_or(0.0);
                if let Some(f) = filter.get_mut(j) {
                    *f -= k * mirrored;
                }
            }
            error *= 1.0 - k * k;
            if error <= whole * 1e-4 {
                break;
            }
        }
        self.filter = filter;
        // White noise between -1 and 1 has a power of a third.
        self.gain = (3.0 * error / whole).sqrt();
        self.past = [0.0; ORDER];
    }

    /// A sample of noise like the background, at its level.
    pub(super) fn next(&mut self) -> f32 {
        if self.stale {
            self.tune();
        }
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let white = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
        let coloured: f32 = self.filter.iter().zip(&self.past).map(|(f, p)| f * p).sum();
        let sample = (white * self.gain + coloured).clamp(-8.0, 8.0);
        self.past.rotate_right(1);
        if let Some(newest) = self.past.first_mut() {
            *newest = sample;
        }
        sample * self.rms.min(MAX_RMS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::{RngExt, SeededRng};

    /// Noise of which neighbours are alike (`like` > 0) or opposite.
    fn noise(rng: &mut SeededRng, like: f32, rms: f32, n: usize) -> Vec<i16> {
        let mut last = 0.0;
        let scale = rms * (3.0 * (1.0 - like * like)).sqrt();
        (0..n)
            .map(|_| {
                let white = f32::from(rng.next_u16()) / 32_768.0 - 1.0;
                last = last * like + white * scale;
                last as i16
            })
            .collect()
    }

    fn of(pcm: &[f32]) -> (f32, f32) {
        let power: f32 = pcm.iter().map(|s| s * s).sum();
        let next: f32 = pcm.windows(2).map(|w| w[0] * w[1]).sum();
        ((power / pcm.len() as f32).sqrt(), next / power)
    }

    #[test]
    fn the_noise_has_the_level_and_the_colour_of_the_background() {
        for (like, rms) in [(0.8, 60.0), (-0.7, 40.0), (0.0, 90.0), (0.5, 3_000.0)] {
            let mut rng = SeededRng::new(1);
            let mut background = Background::new();
            // Speech comes and goes; the background stays.
            for i in 0..700 {
                let loud = if i % 50 > 25 { 20.0 } else { 1.0 };
                let frame = noise(&mut rng, if loud > 1.0 { 0.9 } else { like }, rms * loud, 160);
                background.hear(&frame);
            }
            let made: Vec<f32> = (0..8_000).map(|_| background.next()).collect();
            let (level, colour) = of(&made);
            assert!((colour - like).abs() < 0.15, "{colour} for {like}");
            let want = rms.min(MAX_RMS);
            assert!((0.7..1.2).contains(&(level / want)), "{level} for {want}");
        }
    }
}
