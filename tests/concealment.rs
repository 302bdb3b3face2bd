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
#[path = "support/spectrum.rs"]
mod spectrum;

use appendix_i::AppendixI;
use spectrum::{Distance, bands};
use subrosa::media::codec::{Decoder, Encoder, G711, Law};
use subrosa::media::conceal::{Conceal, PitchRepeat};
use subrosa::util::{RngExt, SeededRng};

/// Samples of a packet of 20 ms.
const PACKET: usize = 160;

/// Recorded speech at 8 kHz after mu-law, a whole number of packets.
fn speech(clip: &str) -> Vec<i16> {
    let mut pcm = spectrum::speech(clip, 8_000);
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

/// Adds the distances where packets were lost, and in the packet after.
fn measure(sum: &mut Distance, clean: &[i16], heard: &[i16], lost: &[bool]) {
    for at in (0..heard.len().min(clean.len()) - 128).step_by(64) {
        let packet = at / PACKET;
        if lost[packet] || packet > 0 && lost[packet - 1] {
            let window = at..at + 128;
            sum.add(&bands(&clean[window.clone()], 8_000), &bands(&heard[window], 8_000));
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
