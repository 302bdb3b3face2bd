//! Concealment of lost G.711 frames beside ITU-T G.711 Appendix I, on recorded speech.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/appendix_i.rs"]
mod appendix_i;

use appendix_i::AppendixI;
use subrosa::media::codec::{Decoder, Encoder, G711, Law};
use subrosa::media::conceal::{Conceal, PitchRepeat};
use subrosa::media::resample::Resampler;
use subrosa::media::wav::Wav;
use subrosa::util::{RngExt, SeededRng};

/// Samples of a packet of 20 ms.
const PACKET: usize = 160;

/// Recorded speech at 8 kHz after mu-law, a whole number of packets.
fn speech(clip: &str) -> Vec<i16> {
    let file = format!(
        "{}/assets/speech/sense_and_sensibility_01_austen_64kb-{clip}.wav",
        env!("CARGO_MANIFEST_DIR")
    );
    let wav = Wav::parse(&std::fs::read(file).unwrap()).unwrap();
    let mut pcm = Vec::new();
    let mut resampler = Resampler::new(wav.sample_rate, 8_000).unwrap();
    resampler.process(&wav.samples, |s| pcm.extend_from_slice(s));
    pcm.truncate(pcm.len() / PACKET * PACKET);
    let mut codec = G711::new(Law::Mu);
    let mut out = vec![0; PACKET];
    for packet in pcm.chunks_mut(PACKET) {
        let mut payload = [0; PACKET];
        codec.encode(packet, &mut payload).unwrap();
        codec.decode(&payload, &mut out).unwrap();
        packet.copy_from_slice(&out);
    }
    pcm
}

/// Which packets are lost: so many per mille, in bursts of two on average.
fn losses(permille: u32, packets: usize, seed: u64) -> Vec<bool> {
    let mut rng = SeededRng::new(seed);
    let mut bad = false;
    (0..packets)
        .map(|i| {
            bad = if bad { rng.below(2) > 0 } else { rng.below(2 * (1_000 - permille)) < permille };
            bad && i > 10
        })
        .collect()
}

fn ours(clean: &[i16], lost: &[bool]) -> Vec<i16> {
    let mut conceal = PitchRepeat::new(8_000);
    let mut out = clean.to_vec();
    for (packet, lost) in out.chunks_mut(PACKET).zip(lost) {
        if *lost { conceal.conceal(packet) } else { conceal.good(packet) }
    }
    out
}

fn appendix_i(clean: &[i16], lost: &[bool]) -> Vec<i16> {
    let mut conceal = AppendixI::new();
    let mut out = Vec::new();
    for (packet, lost) in clean.chunks(PACKET).zip(lost) {
        for frame in packet.chunks(appendix_i::FRAME) {
            out.extend(if *lost { conceal.lost() } else { conceal.good(frame) });
        }
    }
    out.drain(..appendix_i::LATE);
    out
}

/// Power in dB of bands 250 Hz wide of 16 ms from `at` on, with a floor.
fn bands(pcm: &[i16], at: usize) -> Vec<f64> {
    const N: usize = 128;
    let frame = &pcm[at..at + N];
    (1..15)
        .map(|band| {
            let power: f64 = (0..4)
                .map(|k| {
                    let turn = std::f64::consts::TAU * (band * 4 + k) as f64 / N as f64;
                    let (mut re, mut im) = (0.0, 0.0);
                    for (i, s) in frame.iter().enumerate() {
                        let window = (std::f64::consts::PI * (i as f64 + 0.5) / N as f64).sin();
                        re += f64::from(*s) * window * (turn * i as f64).cos();
                        im += f64::from(*s) * window * (turn * i as f64).sin();
                    }
                    re * re + im * im
                })
                .sum();
            10.0 * (power / N as f64 + 1_000.0).log10()
        })
        .collect()
}

/// Distances of spectra: the sum of their squares in dB, and how many.
#[derive(Default)]
struct Distance(f64, u32);

impl Distance {
    fn mean(&self) -> f64 {
        (self.0 / f64::from(self.1)).sqrt()
    }
}

/// Adds the distances where packets were lost, and in the packet after.
fn measure(sum: &mut Distance, clean: &[i16], heard: &[i16], lost: &[bool]) {
    for at in (0..heard.len().min(clean.len()) - 128).step_by(64) {
        let packet = at / PACKET;
        if lost[packet] || packet > 0 && lost[packet - 1] {
            let (a, b) = (bands(clean, at), bands(heard, at));
            sum.0 += a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64;
            sum.1 += 1;
        }
    }
}

#[test]
fn losses_sound_at_least_as_good_as_with_appendix_i() {
    for permille in [10, 50, 100] {
        let [mut own, mut its, mut silent] = [(); 3].map(|()| Distance::default());
        for clip in ["0880", "0930"] {
            let clean = speech(clip);
            for seed in 0..4 {
                let lost = losses(permille, clean.len() / PACKET, seed);
                measure(&mut own, &clean, &ours(&clean, &lost), &lost);
                measure(&mut its, &clean, &appendix_i(&clean, &lost), &lost);
                let mut nothing = clean.clone();
                let packets = nothing.chunks_mut(PACKET).zip(&lost);
                packets.filter(|(_, lost)| **lost).for_each(|(packet, _)| packet.fill(0));
                measure(&mut silent, &clean, &nothing, &lost);
            }
        }
        let [own, its, silent] = [own, its, silent].map(|sum| sum.mean());
        assert!(own < its, "{permille} per mille: {own:.2} dB, Appendix I {its:.2} dB");
        assert!(own < silent * 0.75, "{own:.2} dB, silence {silent:.2} dB");
    }
}
