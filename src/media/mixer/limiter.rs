//! Keeps a sum of voices within full scale: it looks 2 ms ahead and turns the gain down before a
//! peak comes, so that nothing is clipped; below its threshold samples pass untouched. All of it in
//! whole numbers, so that it is exact and the same everywhere.

/// 1: gains have 30 bits after the point.
const ONE: i64 = 1 << 30;
/// No sample is louder: 1 dB below full scale.
pub(super) const THRESHOLD: i64 = 29_204;
/// How far it looks ahead, ms.
const AHEAD_MS: u32 = 2;
/// A gain that was turned down stays for this long, ms, and then comes back within about this.
const HOLD_MS: u32 = 60;
const RELEASE_MS: u32 = 300;
/// The smallest step of the gain on its way back, so that it arrives.
const SLOWEST: i64 = 64;

#[derive(Clone, Debug)]
pub(super) struct Limiter {
    /// The last samples, and the gains that each of them may have at most.
    samples: Ring<i32>,
    /// The last smoothed gains, and their sum.
    gains: Ring<i64>,
    sum: i64,
    /// The lowest gains of the samples ahead, the lowest first: number of the sample, gain.
    lowest: Vec<(u64, i64)>,
    first: usize,
    count: usize,
    /// Samples so far.
    number: u64,
    gain: i64,
    /// Samples left of the hold.
    held: u32,
    hold: u32,
    release: i64,
}

/// The last so many values.
#[derive(Clone, Debug)]
struct Ring<T> {
    values: Vec<T>,
    at: usize,
}

impl<T: Copy> Ring<T> {
    fn new(len: usize, value: T) -> Self {
        Self { values: vec![value; len.max(1)], at: 0 }
    }

    /// Puts a value in and gives the one that has been there longest.
    fn push(&mut self, value: T) -> T {
        let Some(place) = self.values.get_mut(self.at) else { return value };
        let oldest = core::mem::replace(place, value);
        self.at = self.at.saturating_add(1);
        if self.at >= self.values.len() {
            self.at = 0;
        }
        oldest
    }
}

impl Limiter {
    pub(super) fn new(sample_rate: u32) -> Self {
        let samples = |ms: u32| sample_rate.saturating_mul(ms) / 1_000;
        let ahead = samples(AHEAD_MS).max(1) as usize;
        Self {
            samples: Ring::new(ahead, 0),
            gains: Ring::new(ahead, ONE),
            sum: ONE.saturating_mul(ahead as i64),
            lowest: vec![(0, ONE); ahead.saturating_add(2)],
            first: 0,
            count: 0,
            number: 0,
            gain: ONE,
            held: 0,
            hold: samples(HOLD_MS),
            release: i64::from(samples(RELEASE_MS)).max(1),
        }
    }

    /// As before the first sample.
    pub(super) fn reset(&mut self) {
        self.samples.values.fill(0);
        self.gains.values.fill(ONE);
        self.sum = ONE.saturating_mul(self.gains.values.len() as i64);
        (self.first, self.count, self.number) = (0, 0, 0);
        (self.gain, self.held) = (ONE, 0);
    }

    /// Samples between what goes in and what comes out.
    pub(super) fn delay(&self) -> usize {
        self.samples.values.len()
    }

    /// Takes a sample and gives the one from 2 ms before.
    pub(super) fn next(&mut self, sample: i32) -> i16 {
        let loud = i64::from(sample).abs();
        let allowed = if loud > THRESHOLD { THRESHOLD.saturating_mul(ONE) / loud } else { ONE };
        let least = self.least(allowed);
        if least <= self.gain {
            self.gain = least;
            self.held = self.hold;
        } else if self.held > 0 {
            self.held = self.held.saturating_sub(1);
        } else {
            let step = (ONE.saturating_sub(self.gain) / self.release).max(SLOWEST);
            self.gain = self.gain.saturating_add(step).min(least);
        }
        // Over the samples ahead every gain counts alike: a ramp down to each peak.
        let oldest = self.gains.push(self.gain);
        self.sum = self.sum.saturating_add(self.gain).saturating_sub(oldest);
        let gain = self.sum / (self.gains.values.len() as i64).max(1);
        let delayed = i64::from(self.samples.push(sample));
        let limited = if gain >= ONE { delayed } else { delayed.saturating_mul(gain) / ONE };
        limited.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }

    /// The least gain among the samples that are looked at, this one included.
    fn least(&mut self, allowed: i64) -> i64 {
        let room = self.lowest.len().max(1);
        let place = |first: usize, n: usize| first.saturating_add(n) % room;
        // What is louder than those before it makes them not matter.
        while self.count > 0 {
            let last = place(self.first, self.count.saturating_sub(1));
            match self.lowest.get(last) {
                Some((_, gain)) if *gain >= allowed => self.count = self.count.saturating_sub(1),
                _ => break,
            }
        }
        let next = place(self.first, self.count);
        if let Some(entry) = self.lowest.get_mut(next) {
            *entry = (self.number, allowed);
            self.count = self.count.saturating_add(1);
        }
        let ahead = self.samples.values.len() as u64;
        while let Some((number, _)) = self.lowest.get(self.first)
            && self.count > 1
            && number.saturating_add(ahead) < self.number
        {
            self.first = place(self.first, 1);
            self.count = self.count.saturating_sub(1);
        }
        self.number = self.number.saturating_add(1);
        self.lowest.get(self.first).map_or(ONE, |(_, gain)| *gain)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    #[test]
    fn below_the_threshold_nothing_changes_but_the_time() {
        let mut limiter = Limiter::new(16_000);
        let input: Vec<i32> = (0..5_000).map(|n| (n * 7_919) % 29_204 - 14_602).collect();
        let output: Vec<i32> = input.iter().map(|s| limiter.next(*s).into()).collect();
        let delay = limiter.delay();
        assert_eq!(delay, 32);
        assert_eq!(output[delay..], input[..5_000 - delay]);
    }

    #[test]
    fn no_peak_however_sudden_passes_the_threshold_and_the_gain_comes_back() {
        for rate in [8_000, 16_000, 48_000] {
            let mut limiter = Limiter::new(rate);
            let mut input = vec![0i32; rate as usize * 6];
            for (n, sample) in input.iter_mut().enumerate() {
                *sample = match n {
                    500 => 1_000_000,
                    501 => -2_000_000,
                    600..700 => {
                        if n % 2 == 0 {
                            i32::MAX
                        } else {
                            i32::MIN
                        }
                    }
                    700..900 => 40_000,
                    _ => 20_000,
                };
            }
            let output: Vec<i16> = input.iter().map(|s| limiter.next(*s)).collect();
            assert!(output.iter().all(|s| i64::from(*s).abs() <= THRESHOLD), "{rate}");
            assert_eq!(output.last(), Some(&20_000), "{rate}: the gain is 1 again");
        }
    }
}
