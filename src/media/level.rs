//! How loud it is: peak and RMS of a stream of samples, in dB of full scale.

/// What silence is shown as, in dBFS. The smallest sample that is none is at -90.3.
pub const SILENCE_DBFS: f32 = -96.0;

/// A peak falls by 20 dB in 1.7 s, as a programme meter's does (IEC 60268-10, type I).
const FALL_DB_PER_SECOND: f32 = 20.0 / 1.7;
/// The power is averaged over about this time, in seconds: that of a volume meter (IEC 60268-17).
const AVERAGE_SECONDS: f32 = 0.3;
/// The largest sample, downwards.
const FULL_SCALE: f32 = 32_768.0;

/// dB of full scale of an amplitude in samples (of a mean square the root): -127 to 0, the range of
/// a level in RTP (RFC 3389 §3).
pub(super) fn dbfs(amplitude: f32) -> f32 {
    (20.0 * (amplitude / FULL_SCALE).log10()).clamp(-127.0, 0.0)
}

/// How loud it is: from [`SILENCE_DBFS`] to 0 dBFS.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Level {
    /// The largest sample of late, in dBFS; it falls by 11.8 dB a second.
    pub peak_dbfs: f32,
    /// The power of about the last 0.3 s, in dBFS: a full-scale square wave has 0, a sine -3.
    pub rms_dbfs: f32,
}

impl Level {
    /// Nothing at all.
    pub const SILENCE: Self = Self { peak_dbfs: SILENCE_DBFS, rms_dbfs: SILENCE_DBFS };
}

impl Default for Level {
    fn default() -> Self {
        Self::SILENCE
    }
}

/// Measures one stream. It counts time by the samples that pass.
#[derive(Clone, Debug)]
pub struct LevelMeter {
    /// Samples per second.
    rate: f32,
    peak: f32,
    /// Mean square.
    power: f32,
}

impl LevelMeter {
    /// A meter for samples at this rate, in Hz.
    pub fn new(sample_rate: u32) -> Self {
        Self { rate: sample_rate.max(1) as f32, peak: 0.0, power: 0.0 }
    }

    /// These samples pass.
    pub fn measure(&mut self, pcm: &[i16]) {
        self.pass(pcm.len());
        let (mut peak, mut sum) = (0_u16, 0_u64);
        for sample in pcm {
            let magnitude = sample.unsigned_abs();
            peak = peak.max(magnitude);
            sum = sum.saturating_add(u64::from(magnitude) * u64::from(magnitude));
        }
        self.peak = self.peak.max(f32::from(peak));
        if !pcm.is_empty() {
            let power = sum as f32 / pcm.len() as f32;
            self.power += power * (1.0 - self.kept(pcm.len()));
        }
    }

    /// So many samples of silence pass.
    pub fn pass(&mut self, samples: usize) {
        let seconds = samples as f32 / self.rate;
        self.peak *= 10_f32.powf(-FALL_DB_PER_SECOND * seconds / 20.0);
        self.power *= self.kept(samples);
    }

    /// How much of the average is left after so many samples.
    fn kept(&self, samples: usize) -> f32 {
        (-(samples as f32) / self.rate / AVERAGE_SECONDS).exp()
    }

    /// How loud it is now.
    pub fn level(&self) -> Level {
        Level {
            peak_dbfs: dbfs(self.peak).max(SILENCE_DBFS),
            rms_dbfs: dbfs(self.power.sqrt()).max(SILENCE_DBFS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() < 0.1
    }

    fn sine(amplitude: f32, samples: usize) -> Vec<i16> {
        let at = |i: usize| (i as f32 / 16.0 * std::f32::consts::TAU).sin() * amplitude;
        (0..samples).map(|i| at(i).round() as i16).collect()
    }

    #[test]
    fn an_amplitude_in_db_never_leaves_the_range_of_a_level_in_rtp() {
        for (amplitude, db) in [(0.0, -127.0), (-0.0, -127.0), (1e-9, -127.0), (1.0, -90.31)] {
            assert!(near(dbfs(amplitude), db), "{amplitude}: {}", dbfs(amplitude));
        }
        for (amplitude, db) in [(3_276.8, -20.0), (32_768.0, 0.0), (f32::MAX, 0.0)] {
            assert!(near(dbfs(amplitude), db), "{amplitude}: {}", dbfs(amplitude));
        }
    }

    #[test]
    fn full_scale_is_zero_and_silence_the_floor() {
        let mut meter = LevelMeter::new(16_000);
        assert_eq!(meter.level(), Level::SILENCE);
        for _ in 0..200 {
            meter.measure(&[i16::MIN; 320]);
        }
        let level = meter.level();
        assert!(near(level.peak_dbfs, 0.0) && near(level.rms_dbfs, 0.0), "{level:?}");
        meter.pass(16_000 * 60);
        assert_eq!(meter.level(), Level::SILENCE);
        meter.measure(&[]);
        assert_eq!(meter.level(), Level::SILENCE);
    }

    #[test]
    fn a_sine_is_3_db_below_its_peak_whatever_the_size_of_the_blocks() {
        for block in [80, 320, 960] {
            let mut meter = LevelMeter::new(16_000);
            sine(3_276.8, 48_000).chunks(block).for_each(|pcm| meter.measure(pcm));
            let level = meter.level();
            assert!(near(level.peak_dbfs, -20.0), "{block}: {level:?}");
            assert!(near(level.rms_dbfs, -23.0), "{block}: {level:?}");
        }
    }

    #[test]
    fn a_peak_falls_as_fast_as_it_should_and_the_power_is_averaged() {
        let mut meter = LevelMeter::new(8_000);
        for _ in 0..100 {
            meter.measure(&[16_384; 160]);
        }
        let loud = meter.level();
        assert!(near(loud.peak_dbfs, -6.0) && near(loud.rms_dbfs, -6.0), "{loud:?}");
        // 1.7 s later the peak is 20 dB lower; the average has lost 4.34 dB each 0.3 s.
        for _ in 0..85 {
            meter.measure(&[0; 160]);
        }
        let later = meter.level();
        assert!(near(later.peak_dbfs, -26.0), "{later:?}");
        assert!(near(later.rms_dbfs, -6.0 - 1.7 / 0.3 * 4.343), "{later:?}");
        // A new peak counts at once.
        meter.measure(&[-30_000]);
        assert!(near(meter.level().peak_dbfs, -0.77), "{:?}", meter.level());
    }
}
