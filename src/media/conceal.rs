//! Concealment of lost frames: the last pitch period is repeated with a fade, then comfort noise
//! at the level of the background takes over.

use core::fmt::Debug;

/// Conceals lost audio. One per stream; the session asks the decoder's own concealment first.
pub trait Conceal: Send + Debug {
    /// Sees each frame that was decoded, in order, and may smooth its beginning after a loss.
    fn good(&mut self, pcm: &mut [i16]);
    /// Fills `pcm` in place of audio that is missing.
    fn conceal(&mut self, pcm: &mut [i16]);
    /// Forgets the past.
    fn reset(&mut self);
}

/// Full level for this long, then the fade.
const HOLD_MS: u32 = 10;
/// After this long only comfort noise is left.
const FADE_END_MS: u32 = 80;
/// Cross-fade at joints.
const JOINT_MS: u32 = 4;
/// Pitch is looked for between these periods: 400 to 66 Hz.
const PERIOD_MS: (f32, f32) = (2.5, 15.0);
/// Comfort noise is never louder than this (about -50 dBFS).
const MAX_NOISE: f32 = 100.0;

/// The concealment of this crate: pitch repetition with a fade. Costs nothing without loss.
#[derive(Debug)]
pub struct PitchRepeat {
    rate: u32,
    /// The last two longest periods of output.
    history: Vec<i16>,
    /// The period that is repeated, its joint already smoothed.
    period: Vec<i16>,
    period_len: usize,
    /// Samples concealed since the last good frame.
    concealed: usize,
    /// RMS of the background.
    noise: f32,
    seed: u32,
    lowpass: f32,
}

fn samples(ms: u32, rate: u32) -> usize {
    (rate as usize * ms as usize) / 1_000
}

impl PitchRepeat {
    /// Concealment for audio of this rate in Hz.
    pub fn new(rate: u32) -> Self {
        let longest = (rate as f32 * PERIOD_MS.1 / 1_000.0) as usize;
        Self {
            rate,
            history: vec![0; longest * 2 + samples(JOINT_MS, rate)],
            period: vec![0; longest],
            period_len: 0,
            concealed: 0,
            noise: 8.0,
            seed: 1,
            lowpass: 0.0,
        }
    }

    fn remember(&mut self, pcm: &[i16]) {
        let keep = pcm.len().min(self.history.len());
        self.history.rotate_left(keep);
        let at = self.history.len() - keep;
        let tail = pcm.get(pcm.len() - keep..).unwrap_or_default();
        self.history.iter_mut().skip(at).zip(tail).for_each(|(h, s)| *h = *s);
    }

    /// Follows the quietest frames: down at once, up slowly.
    fn track_noise(&mut self, pcm: &[i16]) {
        let power: f32 = pcm.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
        let rms = (power / pcm.len().max(1) as f32).sqrt();
        self.noise = if rms < self.noise { rms } else { (self.noise * 1.01 + 0.02).min(rms) };
    }

    /// Takes the last pitch period from the history and smooths its end into its beginning.
    fn find_period(&mut self) {
        let bound = |ms: f32| (self.rate as f32 * ms / 1_000.0) as usize;
        self.period_len = best_lag(&self.history, bound(PERIOD_MS.0), bound(PERIOD_MS.1));
        let begin = self.history.len() - self.period_len;
        let last = self.history.get(begin..).unwrap_or_default();
        self.period.iter_mut().zip(last).for_each(|(p, h)| *p = *h);
        // The end of the period runs into what came before its beginning, so that repeating it
        // has no step.
        let joint = samples(JOINT_MS, self.rate).min(self.period_len / 2);
        let before = self.history.get(begin - joint..begin).unwrap_or_default();
        let end = self.period_len - joint;
        let joined = self.period.iter_mut().skip(end).take(joint);
        joined.zip(before).enumerate().for_each(|(i, (p, b))| *p = mix(*p, *b, i + 1, joint));
    }

    fn gain(&self, at: usize) -> f32 {
        let hold = samples(HOLD_MS, self.rate);
        let end = samples(FADE_END_MS, self.rate);
        if at <= hold {
            1.0
        } else if at >= end {
            0.0
        } else {
            (end - at) as f32 / (end - hold) as f32
        }
    }

    /// The next sample of concealment.
    fn next(&mut self) -> i16 {
        let gain = self.gain(self.concealed);
        let at = self.concealed % self.period_len.max(1);
        let voice = self.period.get(at).copied().map_or(0.0, f32::from) * gain;
        self.concealed = self.concealed.saturating_add(1);
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let white = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
        self.lowpass += 0.4 * (white - self.lowpass);
        // The filtered noise has an RMS of 0.29.
        let noise = self.lowpass * 3.4 * self.noise.min(MAX_NOISE) * (1.0 - gain);
        (voice + noise) as i16
    }
}

impl Conceal for PitchRepeat {
    fn good(&mut self, pcm: &mut [i16]) {
        if self.concealed > 0 {
            let joint = samples(JOINT_MS, self.rate).min(pcm.len());
            for (i, s) in pcm.iter_mut().take(joint).enumerate() {
                *s = mix(self.next(), *s, i + 1, joint);
            }
            self.concealed = 0;
        }
        self.track_noise(pcm);
        self.remember(pcm);
    }

    fn conceal(&mut self, pcm: &mut [i16]) {
        if self.concealed == 0 {
            self.find_period();
        }
        for s in pcm.iter_mut() {
            *s = self.next();
        }
        self.remember(pcm);
    }

    fn reset(&mut self) {
        self.history.fill(0);
        self.concealed = 0;
        self.noise = 8.0;
    }
}

/// `from` at position 0, `to` at position `len`.
pub(super) fn mix(from: i16, to: i16, at: usize, len: usize) -> i16 {
    let (at, len) = (at as i32, len.max(1) as i32);
    ((i32::from(from) * (len - at) + i32::from(to) * at) / len) as i16
}

/// The lag between `shortest` and `longest` at which the end of `pcm` is most like what came
/// before it (normalised cross-correlation over one longest period).
fn best_lag(pcm: &[i16], shortest: usize, longest: usize) -> usize {
    let end = pcm.get(pcm.len().saturating_sub(longest)..).unwrap_or_default();
    // Every second sample is enough above 8 kHz, every fourth above 24 kHz.
    let step = (longest / 120).max(1);
    let mut best = (longest, 0.0f32);
    for lag in (shortest..=longest).step_by(step.div_ceil(2)) {
        let from = pcm.len().saturating_sub(longest + lag);
        let past = pcm.get(from..).unwrap_or_default();
        let score = likeness(end, past, step);
        if score > best.1 {
            best = (lag, score);
        }
    }
    best.0
}

/// Normalised correlation of two stretches of audio, every `step`th sample; 0 if either is silent.
pub(super) fn likeness(a: &[i16], b: &[i16], step: usize) -> f32 {
    let (mut cross, mut pa, mut pb) = (0.0f32, 0.0f32, 0.0f32);
    for (x, y) in a.iter().zip(b).step_by(step) {
        let (x, y) = (f32::from(*x), f32::from(*y));
        cross += x * y;
        pa += x * x;
        pb += y * y;
    }
    if pa <= 0.0 || pb <= 0.0 { 0.0 } else { cross / (pa * pb).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f32, from: usize, n: usize) -> Vec<i16> {
        (from..from + n)
            .map(|i| ((i as f32 / rate as f32 * hz * std::f32::consts::TAU).sin() * 8_000.0) as i16)
            .collect()
    }

    fn power(pcm: &[i16]) -> f32 {
        (pcm.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>() / pcm.len() as f32).sqrt()
    }

    #[test]
    fn a_lost_frame_of_a_steady_tone_is_hardly_audible() {
        for (rate, hz) in [(8_000, 200.0), (16_000, 125.0), (48_000, 160.0)] {
            let frame = rate as usize / 50;
            let mut c = PitchRepeat::new(rate);
            for i in 0..10 {
                c.good(&mut tone(rate, hz, i * frame, frame));
            }
            let mut got = vec![0; frame / 2];
            c.conceal(&mut got);
            let want = tone(rate, hz, 10 * frame, frame / 2);
            assert!(likeness(&got, &want, 1) > 0.97, "{rate}: {}", likeness(&got, &want, 1));
        }
    }

    #[test]
    fn a_long_gap_fades_to_the_background_and_speech_returns_without_a_step() {
        let mut c = PitchRepeat::new(8_000);
        for i in 0..10 {
            c.good(&mut tone(8_000, 200.0, i * 160, 160));
        }
        let mut out = vec![0; 800];
        c.conceal(&mut out);
        assert!(power(&out[..80]) > 5_000.0);
        assert!(power(&out[640..]) <= MAX_NOISE * 1.5, "{}", power(&out[640..]));
        let mut back = tone(8_000, 200.0, 20, 160);
        c.good(&mut back);
        assert!(back[0].unsigned_abs() < 1_000, "{}", back[0]);
        assert_eq!(back[40..], tone(8_000, 200.0, 20, 160)[40..]);
    }

    #[test]
    fn without_loss_nothing_is_touched() {
        let mut c = PitchRepeat::new(16_000);
        let frame = tone(16_000, 440.0, 0, 320);
        let mut again = frame.clone();
        c.good(&mut again);
        assert_eq!(again, frame);
    }
}
