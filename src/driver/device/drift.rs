//! The drift between a device's clock and the system's: how much faster or slower to convert, so
//! that what is in store stays what it should be.

/// The store's level is averaged over about this time, in seconds: callbacks and ticks jitter.
const AVERAGE_SECONDS: f64 = 2.0;
/// The natural frequency of the loop, in radians per second: it settles within a minute or two, and
/// what jitter gets through moves the pitch by some 0.01 %.
const FREQUENCY: f64 = 0.05;
/// Gains of a loop without overshoot.
const PROPORTIONAL: f64 = 2.0 * FREQUENCY;
const INTEGRAL: f64 = FREQUENCY * FREQUENCY;
/// The largest correction, in parts: 3000 ppm are a twentieth of a semitone. Sound cards are
/// within 100 ppm, bad ones within 500.
pub(super) const MAX_CORRECTION: f64 = 0.003;
/// What is kept as the clocks' own difference.
const MAX_DRIFT: f64 = 0.002;
/// The fastest change of the correction, in parts per second: the pitch glides.
pub(super) const MAX_SLEW: f64 = 0.0005;
/// Longer pauses between two readings say nothing about the time between.
const MAX_STEP_SECONDS: f64 = 0.1;

/// A proportional and integral loop with bounds.
#[derive(Clone, Debug, Default)]
pub(super) struct DriftControl {
    /// The averaged error, in seconds; `None` before the first.
    error: Option<f64>,
    /// What it has learned of the clocks, in parts.
    drift: f64,
    correction: f64,
}

impl DriftControl {
    /// There are `error` seconds too much in store (negative: too little), `elapsed` seconds after
    /// the last time. Returns by how much the store must be emptied faster, in parts.
    pub(super) fn update(&mut self, error: f64, elapsed: f64) -> f64 {
        let elapsed = elapsed.clamp(0.0, MAX_STEP_SECONDS);
        let weight = elapsed / (AVERAGE_SECONDS + elapsed);
        let averaged = self.error.map_or(error, |old| old + (error - old) * weight);
        self.error = Some(averaged);
        let wanted = self.drift + PROPORTIONAL * averaged;
        let bounded = wanted.clamp(-MAX_CORRECTION, MAX_CORRECTION);
        // While the bound holds it back, the error says nothing about the clocks.
        if (wanted - bounded).abs() < f64::EPSILON {
            self.drift += INTEGRAL * averaged * elapsed;
            self.drift = self.drift.clamp(-MAX_DRIFT, MAX_DRIFT);
        }
        let slew = MAX_SLEW * elapsed;
        self.correction += (bounded - self.correction).clamp(-slew, slew);
        self.correction
    }

    /// The store was filled anew. What was learned of the clocks stays.
    pub(super) fn restart(&mut self) {
        self.error = None;
        self.correction = self.drift;
    }

    /// What it has learned of the clocks, in parts per million.
    pub(super) fn ppm(&self) -> f32 {
        (self.drift * 1e6) as f32
    }

    /// The correction of now, in parts.
    #[cfg(test)]
    pub(super) const fn correction(&self) -> f64 {
        self.correction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error and the correction after each tick of 20 ms, of a store that drifts by `ppm` and
    /// is `start` seconds too full, read with some jitter.
    fn run(ppm: f64, start: f64, seconds: usize) -> Vec<(f64, f64)> {
        let (mut control, mut error, mut random) = (DriftControl::default(), start, 1_u32);
        let tick = |_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let jitter = (f64::from(random >> 16) / 65_536.0 - 0.5) * 0.020;
            let correction = control.update(error + jitter, 0.020);
            error += (ppm / 1e6 - correction) * 0.020;
            (error, correction)
        };
        (0..seconds * 50).map(tick).collect()
    }

    #[test]
    fn it_finds_the_drift_and_keeps_the_level() {
        for ppm in [-1_500.0, -300.0, -20.0, 0.0, 100.0, 300.0, 1_000.0] {
            let course = run(ppm, 0.0, 300);
            let worst = course.iter().map(|(error, _)| error.abs()).fold(0.0, f64::max);
            assert!(worst < 0.020, "{ppm}: {worst} s away from the level");
            for (error, correction) in &course[200 * 50..] {
                assert!(error.abs() < 0.002, "{ppm}: {error} s");
                assert!((correction * 1e6 - ppm).abs() < 250.0, "{ppm}: {correction}");
            }
        }
    }

    #[test]
    fn the_pitch_glides_and_is_bounded_whatever_comes() {
        for (ppm, start) in [(300.0, 0.200), (-300.0, -0.200), (5_000.0, 0.0), (0.0, 10.0)] {
            let course = run(ppm, start, 120);
            let corrections: Vec<f64> = course.iter().map(|(_, correction)| *correction).collect();
            assert!(corrections.iter().all(|c| c.abs() <= MAX_CORRECTION), "{ppm}");
            let steps = corrections.windows(2).map(|w| (w[1] - w[0]).abs());
            assert!(steps.fold(0.0, f64::max) <= MAX_SLEW * 0.020 * 1.001, "{ppm}");
        }
        // Far too much is worked off without falling below: 200 ms at 3 ms a second.
        let course = run(300.0, 0.200, 300);
        let lowest = course.iter().map(|(error, _)| *error).fold(1.0, f64::min);
        assert!(lowest > -0.015, "{lowest}");
        assert!(course.last().unwrap().0.abs() < 0.002);
    }

    #[test]
    fn after_a_restart_the_clocks_are_known() {
        let mut control = DriftControl::default();
        let mut error = 0.0;
        for _ in 0..20_000 {
            error += (0.0005 - control.update(error, 0.020)) * 0.020;
        }
        control.restart();
        assert!((control.update(0.0, 0.020) - 0.0005).abs() < 0.00005);
        assert!((control.ppm() - 500.0).abs() < 50.0);
    }
}
