//! Voice processing on recorded speech, beside other implementations: what it removes, what it
//! leaves of the near end, what it costs. Prints one table.
//!
//! `SPEECH_DIR` names a folder with more clips of the same reading (0870, 0890, 0920); without it
//! the two of the project's assets are used. `speexdsp` runs if libspeexdsp.so.1 is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

#[path = "voice_processing/others.rs"]
mod others;
#[path = "../../../tests/support/voice.rs"]
mod voice;

use others::{Aec3, Nnnoiseless, Own, Peer, Sonora, Speex, Task};
use std::time::Instant;
use subrosa::media::dsp::{Processing, ProcessingConfig};
use voice::*;

fn peer(name: &str, task: Task) -> Option<Box<dyn Peer>> {
    let config = match task {
        Task::Echo => ProcessingConfig { echo_cancellation: true, ..ProcessingConfig::OFF },
        Task::Noise => ProcessingConfig { noise_suppression: true, ..ProcessingConfig::OFF },
    };
    Some(match (name, task) {
        ("subrosa", _) => Box::new(Own::new(config)),
        ("sonora", _) => Box::new(Sonora::new(task)),
        ("aec3", _) => Box::new(Aec3::new(task)?),
        ("nnnoiseless", Task::Noise) => Box::new(Nnnoiseless::new()),
        ("speexdsp", _) => Box::new(Speex::new(task)?),
        _ => return None,
    })
}

const PEERS: [&str; 5] = ["subrosa", "aec3", "sonora", "speexdsp", "nnnoiseless"];

fn run(scene: &Scene, peer: &mut dyn Peer) -> (Vec<f32>, f64) {
    let start = Instant::now();
    let out = scene.run(|r, c| peer.block(r, c));
    (out, start.elapsed().as_secs_f64() * 1e6 / (scene.mic.len() / BLOCK) as f64)
}

fn far_clips() -> Vec<u32> {
    if std::env::var_os("SPEECH_DIR").is_some() { vec![870, 920, 890] } else { vec![880] }
}

fn echo_table() {
    let far = speech(&far_clips(), 18.0);
    let h = room(7, 4.0, 60.0);
    let mut near = vec![0.0; far.len()];
    let said = at_level(&speech(&[930, 880], 12.0), -23.0);
    near[5 * RATE..17 * RATE].copy_from_slice(&said);
    let single = Scene::new(far.clone(), vec![], &h, false, -29.0);
    let clipped = Scene::new(far.clone(), vec![], &h, true, -29.0);
    let double = Scene::new(far.clone(), near, &h, false, -31.5);
    let late = Scene::new(far.clone(), vec![], &room(7, 340.0, 60.0), false, -29.0);
    let span = 5 * RATE..17 * RATE;
    let raw = si_sdr(&double.near[span.clone()], &double.mic[span.clone()]);
    println!("echo, 16 kHz, 60 ms room; double talk: microphone {:.1} dB SI-SDR", raw.0);
    println!("| | ERLE 1-3 s | after 3 s | soft clipping | 340 ms late | double talk SI-SDR | near gain | us/10 ms |");
    println!("|---|---|---|---|---|---|---|---|");
    for name in PEERS {
        let make = || peer(name, Task::Echo);
        let Some(mut first) = make() else { continue };
        let (out, us) = run(&single, &mut *first);
        let of = |scene: &Scene| run(scene, &mut *make().unwrap()).0;
        let (c, d, l) = (of(&clipped), of(&double), of(&late));
        let (sdr, gain) = si_sdr(&double.near[span.clone()], &d[span.clone()]);
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} | {:.1} | {sdr:.1} | {gain:.1} | {us:.0} |",
            erle(&single.mic, &out, 1.0, 3.0),
            erle(&single.mic, &out, 3.0, 18.0),
            erle(&clipped.mic, &c, 3.0, 18.0),
            erle(&late.mic, &l, 3.0, 18.0),
        );
    }
}

fn noise_table() {
    let clean = at_level(&speech(&[930, 880], 12.0), -26.0);
    let noises = [
        ("babble", babble(&far_clips(), 8, clean.len())),
        ("fan", fan(3, clean.len())),
    ];
    let pesq = |x: &[f32]| pesq::pesq_wb(&to_pcm(&clean), &to_pcm(x)).unwrap();
    for (kind, noise) in noises {
        let mic = mix(&clean, &at_level(&noise, -36.0));
        let silence = vec![0.0; clean.len()];
        let scene = Scene { render: silence.clone(), near: clean.clone(), echo: silence, mic };
        let raw = pesq(&scene.mic);
        println!("\nnoise: {kind} at 10 dB; PESQ-WB of the microphone {raw:.2}");
        println!("| | PESQ-WB | gained | us/10 ms |");
        println!("|---|---|---|---|");
        for name in PEERS {
            let Some(mut peer) = peer(name, Task::Noise) else { continue };
            let (out, us) = run(&scene, &mut *peer);
            let score = pesq(&out);
            println!("| {name} | {score:.2} | {:+.2} | {us:.0} |", score - raw);
        }
    }
}

fn cost_table() {
    println!("\neverything on, us per 10 ms");
    println!("| rate | us |");
    println!("|---|---|");
    for rate in [8_000usize, 16_000, 24_000, 32_000, 48_000] {
        let far = white(1, RATE * 10, -26.0);
        let near = speech(&[930, 880], 10.0);
        let stretch = |x: &[f32]| -> Vec<i16> {
            (0..rate * 10).map(|i| x[i * RATE / rate].round() as i16).collect()
        };
        let (far, mut near) = (stretch(&far), stretch(&near));
        let mut p = Processing::new(rate as u32, rate as u32, ProcessingConfig::VOICE).unwrap();
        let start = Instant::now();
        for (r, c) in far.chunks_exact(rate / 100).zip(near.chunks_exact_mut(rate / 100)) {
            p.process_render(r);
            p.process_capture(c);
        }
        println!("| {rate} | {:.1} |", start.elapsed().as_secs_f64() * 1e6 / 1000.0);
    }
}

fn main() {
    echo_table();
    noise_table();
    cost_table();
}
