//! A gain that changes without a click.
#![deny(clippy::arithmetic_side_effects)]

/// Unity: gains have 16 bits after the point.
const ONE: i64 = 1 << 16;
/// How long a change takes.
const RAMP_MS: u32 = 10;
/// The greatest gain, dB.
pub const MAX_GAIN_DB: f32 = 24.0;
/// A gain of this or less is silence, dB.
pub const SILENT_DB: f32 = -90.0;

/// A gain for one stream. Each change takes 10 ms, along a straight line; at 0 dB samples pass
/// untouched.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    ramp_samples: i64,
    now: i64,
    target: i64,
    step: i64,
    /// What was asked for, without the mute.
    wanted: i64,
    db: f32,
    muted: bool,
}

impl Gain {
    /// A gain of 0 dB for a stream of this rate, Hz.
    pub fn new(sample_rate: u32) -> Self {
        let ramp_samples = i64::from(sample_rate).saturating_mul(RAMP_MS.into()) / 1_000;
        let ramp_samples = ramp_samples.max(1);
        Self { ramp_samples, now: ONE, target: ONE, step: 0, wanted: ONE, db: 0.0, muted: false }
    }

    /// The same gain for a stream of another rate; a change that was under way is complete.
    pub fn at_rate(self, sample_rate: u32) -> Self {
        Self {
            ramp_samples: Self::new(sample_rate).ramp_samples,
            now: self.target,
            step: 0,
            ..self
        }
    }

    /// Sets the gain in dB: at most [`MAX_GAIN_DB`]; [`SILENT_DB`] or less (or no number) is
    /// silence.
    pub fn set_db(&mut self, db: f32) {
        self.db = if db.is_nan() { SILENT_DB } else { db.clamp(SILENT_DB, MAX_GAIN_DB) };
        let factor = if self.db <= SILENT_DB { 0.0 } else { 10f64.powf(f64::from(self.db) / 20.0) };
        self.wanted = (factor * ONE as f64).round() as i64;
        self.aim();
    }

    /// The gain that was set, dB.
    pub const fn db(&self) -> f32 {
        self.db
    }

    /// Silences the stream, or ends that.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
        self.aim();
    }

    /// True if the stream is silenced.
    pub const fn is_muted(&self) -> bool {
        self.muted
    }

    /// Makes a change that was under way complete.
    pub const fn settle(&mut self) {
        self.now = self.target;
    }

    fn aim(&mut self) {
        self.target = if self.muted { 0 } else { self.wanted };
        let distance = self.target.saturating_sub(self.now);
        // Rounded away from 0, so that the ramp is no longer than it should be.
        let whole = distance.unsigned_abs().div_ceil(self.ramp_samples.unsigned_abs());
        self.step = i64::try_from(whole).unwrap_or(ONE).saturating_mul(distance.signum());
    }

    /// The next sample with its gain, which may be louder than full scale.
    pub fn next(&mut self, sample: i16) -> i32 {
        if self.now != self.target {
            let left = self.target.saturating_sub(self.now);
            let step = if left.abs() < self.step.abs() { left } else { self.step };
            self.now = self.now.saturating_add(step);
        }
        if self.now == ONE {
            return sample.into();
        }
        let scaled = i64::from(sample).saturating_mul(self.now).saturating_add(ONE / 2) >> 16;
        i32::try_from(scaled).unwrap_or(if scaled > 0 { i32::MAX } else { i32::MIN })
    }

    /// Applies the gain to a block; what is too loud saturates.
    pub fn apply(&mut self, pcm: &mut [i16]) {
        if self.now == ONE && self.target == ONE {
            return;
        }
        for sample in pcm {
            let scaled = self.next(*sample).clamp(i16::MIN.into(), i16::MAX.into());
            *sample = scaled as i16;
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    #[test]
    fn a_change_takes_10_ms_and_no_step_is_a_click() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let mut gain = Gain::new(rate);
            let ramp = rate as usize / 100;
            for (change, end) in [
                (Box::new(|g: &mut Gain| g.set_muted(true)) as Box<dyn Fn(&mut Gain)>, 0),
                (Box::new(|g: &mut Gain| g.set_muted(false)), 10_000),
                (Box::new(|g: &mut Gain| g.set_db(-6.0206)), 5_000),
                (Box::new(|g: &mut Gain| g.set_db(6.0206)), 20_000),
            ] {
                change(&mut gain);
                let mut pcm = vec![10_000; ramp * 2];
                gain.apply(&mut pcm);
                assert!((i32::from(pcm[ramp - 1]) - end).abs() <= 1, "{} {end}", pcm[ramp - 1]);
                assert!(pcm[ramp..].iter().all(|s| *s == pcm[ramp]), "it is complete");
                // At most the whole way in 10 ms, evenly.
                let most = 15_000 / ramp as i32 + 2;
                let steps = pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs());
                assert!(steps.max().unwrap() <= most);
            }
        }
    }

    #[test]
    fn unity_is_exact_and_too_loud_saturates() {
        let mut gain = Gain::new(8_000);
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut pcm = all.clone();
        gain.set_db(12.0);
        gain.apply(&mut pcm.clone());
        gain.set_db(0.0);
        gain.settle();
        gain.apply(&mut pcm);
        assert_eq!(pcm, all);
        gain.set_db(f32::INFINITY);
        assert_eq!(gain.db(), MAX_GAIN_DB);
        gain.settle();
        let mut pcm = [i16::MIN, -20_000, 1, 20_000, i16::MAX];
        gain.apply(&mut pcm);
        assert_eq!(pcm, [i16::MIN, i16::MIN, 16, i16::MAX, i16::MAX]);
        for silent in [f32::NAN, f32::NEG_INFINITY, -90.0] {
            gain.set_db(silent);
            gain.settle();
            assert_eq!(gain.next(i16::MIN), 0);
        }
    }
}
