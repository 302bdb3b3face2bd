//! The echo test: sweeps of sound that go out, and the search for them in what comes back.

use crate::media::level::{Level, LevelMeter};
use crate::time::Duration;

/// Sweeps that are sent.
const SWEEPS: usize = 3;
/// Silence before the first, so that the devices are up, in ms.
const LEAD_MS: usize = 500;
/// A sweep, and from one to the next: later echoes than that are not found.
const SWEEP_MS: usize = 120;
const INTERVAL_MS: usize = 1_000;
/// The sweep's band, in Hz: what every telephone and every small loudspeaker passes.
const BAND: (f64, f64) = (400.0, 3_200.0);
/// Its amplitude: -12 dBFS.
const AMPLITUDE: f64 = 8_231.0;
/// As alike as noise is to a sweep by chance, at most.
const MIN_LIKENESS: f32 = 0.25;
/// Sweeps that must agree about the delay, to within this, in ms.
const AGREE: usize = 2;
const AGREE_MS: usize = 5;

/// What an echo test has found.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct EchoMeasurement {
    /// From the loudspeaker's sink to the microphone's source: the way through both devices and
    /// the air. `None`: nothing came back.
    pub delay: Option<Duration>,
    /// How much louder it came back than it was sent, in dB; 0 if nothing came back.
    pub level_db: f32,
    /// How alike what came back is to what was sent, from 0 to 1.
    pub likeness: f32,
    /// The loudest sample that the microphone heard, in dBFS: at -96 it heard nothing at all.
    pub peak_dbfs: f32,
}

/// Sends and listens, a block at a time.
#[derive(Debug)]
pub(super) struct EchoProbe {
    sample_rate: u32,
    sweep: Vec<i16>,
    heard: Vec<i16>,
    length: usize,
    meter: LevelMeter,
    peak_dbfs: f32,
}

impl EchoProbe {
    pub(super) fn new(sample_rate: u32) -> Self {
        let samples = |ms: usize| ms * sample_rate as usize / 1_000;
        let length = samples(LEAD_MS + SWEEPS * INTERVAL_MS);
        Self {
            sample_rate,
            sweep: sweep(sample_rate, samples(SWEEP_MS)),
            heard: Vec::with_capacity(length),
            length,
            meter: LevelMeter::new(sample_rate),
            peak_dbfs: Level::SILENCE.peak_dbfs,
        }
    }

    fn samples(&self, ms: usize) -> usize {
        ms * self.sample_rate as usize / 1_000
    }

    /// Where a sweep begins.
    fn start(&self, index: usize) -> usize {
        self.samples(LEAD_MS + index * INTERVAL_MS)
    }

    /// Takes what was heard, and puts in its place what is to be played at the same time.
    pub(super) fn exchange(&mut self, pcm: &mut [i16]) {
        let begin = self.heard.len();
        self.meter.measure(pcm);
        self.peak_dbfs = self.peak_dbfs.max(self.meter.level().peak_dbfs);
        let room = self.length.saturating_sub(begin);
        self.heard.extend(pcm.iter().take(room));
        let (lead, interval) = (self.start(0), self.samples(INTERVAL_MS).max(1));
        for (n, out) in pcm.iter_mut().enumerate() {
            let at = (begin + n).checked_sub(lead).filter(|at| at / interval < SWEEPS);
            let sample = at.and_then(|at| self.sweep.get(at % interval));
            *out = sample.copied().unwrap_or(0);
        }
    }

    /// All was sent, and time enough was left to come back.
    pub(super) fn is_finished(&self) -> bool {
        self.heard.len() >= self.length
    }

    /// What came of it.
    pub(super) fn result(&self) -> EchoMeasurement {
        let found: Vec<Match> = (0..SWEEPS).filter_map(|index| self.find(index)).collect();
        let near = self.samples(AGREE_MS);
        let agree = |a: &&Match| found.iter().filter(|b| a.lag.abs_diff(b.lag) <= near).count();
        let alike = |a: &&Match, b: &&Match| a.likeness.total_cmp(&b.likeness);
        let candidates = found.iter().filter(|m| m.likeness >= MIN_LIKENESS);
        let best = candidates.filter(|m| agree(m) >= AGREE).max_by(alike);
        let likeness = found.iter().map(|m| m.likeness).fold(0.0, f32::max);
        EchoMeasurement {
            delay: best.map(|m| {
                Duration::from_secs_f64(m.lag as f64 / f64::from(self.sample_rate.max(1)))
            }),
            level_db: best.map_or(0.0, |m| 20.0 * m.gain.log10()),
            likeness: best.map_or(likeness, |m| m.likeness),
            peak_dbfs: self.peak_dbfs,
        }
    }

    /// The place where one sweep fits best.
    fn find(&self, index: usize) -> Option<Match> {
        let start = self.start(index);
        let heard = self.heard.get(start..start + self.samples(INTERVAL_MS))?;
        let energy: f64 = self.sweep.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
        let mut best: Option<Match> = None;
        for (lag, window) in heard.windows(self.sweep.len()).enumerate() {
            let (mut product, mut power) = (0_i64, 0_i64);
            for (sent, heard) in self.sweep.iter().zip(window) {
                let heard = i64::from(*heard);
                product += i64::from(*sent) * heard;
                power += heard * heard;
            }
            let likeness = (product as f64 / (energy * power.max(1) as f64).sqrt()).abs() as f32;
            if best.as_ref().is_none_or(|best| likeness > best.likeness) {
                let gain = (product as f64 / energy).abs().max(1e-6) as f32;
                best = Some(Match { lag, likeness, gain });
            }
        }
        best
    }
}

#[derive(Debug)]
struct Match {
    lag: usize,
    likeness: f32,
    gain: f32,
}

/// A sine whose frequency rises evenly through the band, swelling and fading.
fn sweep(sample_rate: u32, length: usize) -> Vec<i16> {
    use std::f64::consts::TAU;
    let seconds = length as f64 / f64::from(sample_rate);
    let at = |n: usize| {
        let (t, part) = (n as f64 / f64::from(sample_rate), n as f64 / length as f64);
        let phase = TAU * (BAND.0 * t + (BAND.1 - BAND.0) * t * t / (2.0 * seconds));
        let swell = 0.5 - 0.5 * (TAU * part).cos();
        (phase.sin() * swell * AMPLITUDE).round() as i16
    };
    (0..length).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: &mut u32, amplitude: f64) -> f64 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(*seed >> 16) / 32_768.0 - 1.0) * amplitude
    }

    /// A room that gives back what it hears after `delay` samples, times `gain`, with noise.
    fn test(rate: u32, delay: usize, gain: f64, amplitude: f64) -> EchoMeasurement {
        let mut probe = EchoProbe::new(rate);
        let (mut air, mut seed) = (std::collections::VecDeque::from(vec![0_i16; delay]), 7);
        let block = rate as usize / 50;
        while !probe.is_finished() {
            let mut pcm: Vec<i16> = air.drain(..block).collect();
            for sample in &mut pcm {
                *sample = (f64::from(*sample) * gain + noise(&mut seed, amplitude)).round() as i16;
            }
            probe.exchange(&mut pcm);
            air.extend(pcm);
        }
        probe.result()
    }

    #[test]
    fn delay_and_level_are_what_they_are() {
        for (rate, delay, gain) in [(8_000, 1_000, 0.5), (16_000, 2_345, 0.1), (8_000, 4_321, 1.0)]
        {
            let found = test(rate, delay, gain, 20.0);
            let expected = delay as f64 / f64::from(rate);
            let seconds = found.delay.unwrap().as_secs_f64();
            assert!((seconds - expected).abs() < 0.001, "{rate}, {delay}: {seconds}");
            assert!((f64::from(found.level_db) - 20.0 * gain.log10()).abs() < 0.5, "{found:?}");
            assert!(found.likeness > 0.9, "{found:?}");
        }
    }

    #[test]
    fn an_echo_at_the_level_of_the_noise_is_found() {
        // Sweep and noise of the same power.
        let found = test(8_000, 777, 0.1, 0.1 * AMPLITUDE);
        let seconds = found.delay.unwrap().as_secs_f64();
        assert!((seconds - 777.0 / 8_000.0).abs() < 0.001, "{found:?}");
    }

    #[test]
    fn where_nothing_comes_back_nothing_is_found() {
        let silent = test(8_000, 500, 0.0, 0.0);
        assert_eq!((silent.delay, silent.level_db), (None, 0.0));
        assert!(silent.peak_dbfs <= -95.9, "{silent:?}");
        for amplitude in [3.0, 3_000.0] {
            let noisy = test(8_000, 500, 0.0, amplitude);
            assert_eq!(noisy.delay, None, "{noisy:?}");
            assert!(noisy.peak_dbfs > -90.0);
        }
    }
}
