//! What background noise is like: its level, and its colour by linear prediction.

use crate::media::level::dbfs;
use crate::wire::comfort_noise::ComfortNoise;

/// Poles of the model (about 10, as ITU-T G.711 Appendix II has it).
const ORDER: usize = 10;
/// Of a new frame so much counts, once enough are known: the last 160 ms at 20 ms each.
const NEW: f32 = 0.125;
/// A background is another one from this difference of levels on, in dB,
const LOUDER: u8 = 3;
/// or from this difference of one of the first coefficients.
const OTHER_COLOUR: f32 = 0.25;
const FIRST: usize = 4;

/// Measures the background from frames in which nobody speaks. Allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct NoiseAnalyser {
    /// Mean power of a sample.
    power: f32,
    /// Autocorrelation of a windowed frame, normalised.
    correlation: [f32; ORDER + 1],
    frames: u16,
}

impl NoiseAnalyser {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears a frame of the background.
    pub fn hear(&mut self, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        let energy: f32 = pcm.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
        let correlation = correlate(pcm);
        self.frames = self.frames.saturating_add(1);
        let new = NEW.max(1.0 / f32::from(self.frames));
        self.power += (energy / pcm.len() as f32 - self.power) * new;
        for (mean, of) in self.correlation.iter_mut().zip(correlation) {
            *mean += (of - *mean) * new;
        }
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// What the background is like; silence if nothing was heard.
    pub fn describe(&self) -> ComfortNoise {
        let level = -dbfs(self.power.sqrt()).round() as u8;
        ComfortNoise::new(level, &self.reflection())
    }

    /// The Levinson-Durbin recursion; the sign is that of ITU-T G.711 Appendix II.
    fn reflection(&self) -> [f32; ORDER] {
        let r = &self.correlation;
        let mut reflection = [0.0; ORDER];
        let mut filter = [0.0f32; ORDER];
        // A little white noise keeps it stable.
        let mut error = r.first().copied().unwrap_or(0.0) * 1.001 + 1e-9;
        for (i, out) in reflection.iter_mut().enumerate() {
            let mut sum = r.get(i + 1).copied().unwrap_or(0.0);
            for (j, a) in filter.iter().take(i).enumerate() {
                sum += a * r.get(i - j).copied().unwrap_or(0.0);
            }
            let k = -sum / error;
            if !k.is_finite() || k.abs() >= 1.0 {
                break;
            }
            *out = k;
            let before = filter;
            for (j, a) in filter.iter_mut().take(i).enumerate() {
                *a += k * before.get(i - 1 - j).copied().unwrap_or(0.0);
            }
            if let Some(last) = filter.get_mut(i) {
                *last = k;
            }
            error *= 1.0 - k * k;
        }
        reflection
    }
}

/// The autocorrelation of a frame under a window of raised cosine, in parts of its power.
fn correlate(pcm: &[i16]) -> [f32; ORDER + 1] {
    let turn = core::f32::consts::TAU / (pcm.len() as f32 + 1.0);
    let mut sums = [0.0f32; ORDER + 1];
    let mut past = [0.0f32; ORDER + 1];
    for (i, s) in pcm.iter().enumerate() {
        past.rotate_right(1);
        let window = 0.5 - 0.5 * ((i + 1) as f32 * turn).cos();
        let now = f32::from(*s) * window;
        if let Some(newest) = past.first_mut() {
            *newest = now;
        }
        sums.iter_mut().zip(past).for_each(|(sum, then)| *sum += now * then);
    }
    let whole = sums.first().copied().unwrap_or(0.0).max(1e-9);
    sums.map(|sum| sum / whole)
}

/// Whether a listener would hear that these are two backgrounds.
pub(in crate::media) fn differ(a: &ComfortNoise, b: &ComfortNoise) -> bool {
    let colours = a.reflection().zip(b.reflection()).take(FIRST);
    a.level().abs_diff(b.level()) >= LOUDER
        || colours.into_iter().any(|(a, b)| (a - b).abs() >= OTHER_COLOUR)
}
