//! What a simulated phone says and hears.

use std::f64::consts::TAU;
use std::sync::Arc;

/// What a phone says: mono PCM, without end.
#[derive(Clone, Debug, Default)]
pub enum Source {
    /// Nothing.
    #[default]
    Silence,
    /// A tone.
    Sine {
        /// Frequency, Hz.
        hz: u32,
        /// Peak, 0 to 32767.
        peak: u16,
    },
    /// A recording at the rate of the call, again and again.
    Pcm(Arc<[i16]>),
}

impl Source {
    /// Fills `out` with what comes at sample number `at`, at this sample rate.
    pub fn fill(&self, at: u64, sample_rate: u32, out: &mut [i16]) {
        match self {
            Self::Silence => out.fill(0),
            Self::Sine { hz, peak } => {
                let step = f64::from(*hz) / f64::from(sample_rate.max(1));
                for (i, sample) in (at..).zip(out) {
                    // The phase in turns, kept small so that it stays exact.
                    let turns = (i % u64::from(sample_rate.max(1))) as f64 * step;
                    *sample = ((turns.fract() * TAU).sin() * f64::from(*peak)) as i16;
                }
            }
            Self::Pcm(samples) => {
                let start = usize::try_from(at % samples.len().max(1) as u64).unwrap_or(0);
                for (sample, out) in samples.iter().cycle().skip(start).zip(out) {
                    *out = *sample;
                }
            }
        }
    }
}

/// The share of a recording's energy that lies in a tone, 0.0 to 1.0 (Goertzel's algorithm).
pub fn tone_share(samples: &[i16], hz: u32, sample_rate: u32) -> f64 {
    let step = TAU * f64::from(hz) / f64::from(sample_rate.max(1));
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let (value, phase) = (f64::from(*sample), step * i as f64);
        sine += value * phase.sin();
        cosine += value * phase.cos();
        energy += value * value;
    }
    if energy == 0.0 {
        return 0.0;
    }
    2.0 * (sine * sine + cosine * cosine) / (samples.len() as f64 * energy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_found_and_another_is_not() {
        let mut samples = [0; 1600];
        Source::Sine { hz: 440, peak: 8000 }.fill(320, 16_000, &mut samples);
        assert!(tone_share(&samples, 440, 16_000) > 0.95);
        assert!(tone_share(&samples, 1000, 16_000) < 0.05);
        Source::Silence.fill(0, 16_000, &mut samples);
        assert_eq!(tone_share(&samples, 440, 16_000), 0.0);
    }

    #[test]
    fn a_recording_goes_round() {
        let mut out = [0; 4];
        Source::Pcm(vec![1, 2, 3].into()).fill(4, 8000, &mut out);
        assert_eq!(out, [2, 3, 1, 2]);
        Source::Pcm(vec![].into()).fill(4, 8000, &mut out);
    }
}
