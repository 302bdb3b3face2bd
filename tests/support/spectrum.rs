//! Recorded speech, and how far spectra are apart.
#![allow(dead_code, unreachable_pub)]

use subrosa::media::resample::Resampler;
use subrosa::media::wav::Wav;

/// One of the recorded clips at this rate.
pub fn speech(clip: &str, rate: u32) -> Vec<i16> {
    let file = format!(
        "{}/assets/speech/sense_and_sensibility_01_austen_64kb-{clip}.wav",
        env!("CARGO_MANIFEST_DIR")
    );
    let wav = Wav::parse(&std::fs::read(file).unwrap()).unwrap();
    let mut pcm = Vec::new();
    let mut resampler = Resampler::new(wav.sample_rate, rate).unwrap();
    resampler.process(&wav.samples, |s| pcm.extend_from_slice(s));
    pcm
}

/// Power in dB of 14 bands 250 Hz wide from 250 Hz on, with a floor.
pub fn bands(pcm: &[i16], rate: u32) -> Vec<f64> {
    let n = pcm.len();
    (1..15)
        .map(|band| {
            let power: f64 = (0..4)
                .map(|k| {
                    let hz = f64::from(band) * 250.0 + f64::from(k) * 62.5;
                    let turn = std::f64::consts::TAU * hz / f64::from(rate);
                    let (mut re, mut im) = (0.0, 0.0);
                    for (i, s) in pcm.iter().enumerate() {
                        let window = (std::f64::consts::PI * (i as f64 + 0.5) / n as f64).sin();
                        re += f64::from(*s) * window * (turn * i as f64).cos();
                        im += f64::from(*s) * window * (turn * i as f64).sin();
                    }
                    re * re + im * im
                })
                .sum();
            10.0 * (power / n as f64 * 8_000.0 / f64::from(rate) + 1_000.0).log10()
        })
        .collect()
}

/// Distances of spectra: the sum of their squares in dB, and how many.
#[derive(Default)]
pub struct Distance(f64, u32);

impl Distance {
    pub fn add(&mut self, a: &[f64], b: &[f64]) {
        self.0 += a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64;
        self.1 += 1;
    }

    /// In dB.
    pub fn mean(&self) -> f64 {
        (self.0 / f64::from(self.1)).sqrt()
    }
}
