//! The mixer: who hears what, exactly; and what becomes of sums that are too loud.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use proptest::prelude::*;
use std::path::PathBuf;
use subrosa::media::mixer::{Mixer, MixerError, ParticipantId};
use subrosa::media::wav::Wav;

const RATE: u32 = 16_000;
const BLOCK: usize = 320;

/// What each participant hears of these inputs, which all have the same length.
fn conference(inputs: &[Vec<i16>], block: usize) -> (Mixer, Vec<ParticipantId>, Vec<Vec<i16>>) {
    let mut mixer = Mixer::new(RATE, block, inputs.len().max(2)).unwrap();
    let ids: Vec<_> = inputs.iter().map(|_| mixer.add().unwrap()).collect();
    let mut heard = vec![Vec::new(); inputs.len()];
    let mut out = vec![0; block];
    for at in (0..inputs[0].len()).step_by(block) {
        for (id, input) in ids.iter().zip(inputs) {
            mixer.write(*id, &input[at..at + block]).unwrap();
        }
        mixer.mix();
        for (id, heard) in ids.iter().zip(&mut heard) {
            mixer.read(*id, &mut out).unwrap();
            heard.extend_from_slice(&out);
        }
    }
    (mixer, ids, heard)
}

proptest! {
    #[test]
    fn each_hears_the_sum_of_the_others_exactly(
        voices in 2usize..9,
        block in prop::sample::select(vec![1usize, 7, 80, 320]),
        seed in any::<u64>(),
    ) {
        // Together below the threshold of the limiter.
        let most = 29_000 / voices as i64;
        let sample = |voice: usize, n: usize| {
            let mixed = (seed ^ (voice as u64) << 32 ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((mixed >> 33) as i64 % (2 * most + 1) - most) as i16
        };
        let length = block * (640 / block);
        let inputs: Vec<Vec<i16>> =
            (0..voices).map(|v| (0..length).map(|n| sample(v, n)).collect()).collect();
        let (mixer, _, heard) = conference(&inputs, block);
        let delay = mixer.delay();
        for own in 0..voices {
            for n in delay..length {
                let all: i32 = inputs.iter().map(|input| i32::from(input[n - delay])).sum();
                let others = all - i32::from(inputs[own][n - delay]);
                prop_assert_eq!(i32::from(heard[own][n]), others);
            }
        }
    }
}

/// The recordings of the repository, one after the other, made as loud as 16 bits can be.
fn loud_speech() -> Vec<i16> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/speech");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "wav"));
    files.sort();
    let mut samples = Vec::new();
    for file in files {
        samples.extend(Wav::parse(&std::fs::read(file).unwrap()).unwrap().samples);
    }
    let peak = samples.iter().map(|s| i32::from(s.unsigned_abs())).max().unwrap();
    samples.iter().map(|s| (i32::from(*s) * 32_767 / peak) as i16).collect()
}

#[test]
fn many_voices_at_full_scale_are_never_clipped() {
    let speech = loud_speech();
    let length = speech.len() / 2 / BLOCK * BLOCK;
    for voices in [3, 8, 32] {
        let inputs: Vec<Vec<i16>> = (0..voices)
            .map(|v| speech.iter().cycle().skip(v * 1_777).take(length).copied().collect())
            .collect();
        let (_, _, heard) = conference(&inputs, BLOCK);
        for heard in &heard {
            let peak = heard.iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!(peak <= 29_204, "{voices}: {peak}");
            assert!(peak > 20_000, "{voices}: {peak} is not loud");
        }
    }
}

/// The share of `pcm` that sines of these frequencies do not explain, as amplitude.
fn distortion(pcm: &[i16], frequencies: &[f64]) -> f64 {
    let mut rest: Vec<f64> = pcm.iter().map(|s| f64::from(*s)).collect();
    let energy = |pcm: &[f64]| pcm.iter().map(|s| s * s).sum::<f64>();
    let whole = energy(&rest);
    for _ in 0..4 {
        for hz in frequencies {
            let w = hz / f64::from(RATE) * std::f64::consts::TAU;
            let (mut re, mut im) = (0.0, 0.0);
            for (n, s) in rest.iter().enumerate() {
                re += s * (w * n as f64).cos();
                im += s * (w * n as f64).sin();
            }
            let scale = 2.0 / rest.len() as f64;
            for (n, s) in rest.iter_mut().enumerate() {
                *s -= scale * (re * (w * n as f64).cos() + im * (w * n as f64).sin());
            }
        }
    }
    (energy(&rest) / whole).sqrt()
}

#[test]
fn two_sines_of_6_db_below_full_scale_each_stay_sines() {
    for (a, b) in [(440.0, 480.0), (697.0, 1_209.0), (300.0, 3_100.0)] {
        let sine = |hz: f64, level: f64| -> Vec<i16> {
            let w = hz / f64::from(RATE) * std::f64::consts::TAU;
            (0..RATE as usize * 4).map(|n| ((w * n as f64).sin() * level) as i16).collect()
        };
        let silent = vec![0; RATE as usize * 4];
        let (_, _, heard) =
            conference(&[sine(a, 16_422.0), sine(b, 16_422.0), silent.clone()], BLOCK);
        // The third one hears both, once the gain has settled.
        let steady = &heard[2][RATE as usize * 2..];
        let share = distortion(steady, &[a, b]);
        assert!(share < 0.01, "{a} and {b}: {share}");
        assert!(steady.iter().all(|s| s.unsigned_abs() <= 29_204));
        // The first one hears a single sine, untouched.
        assert_eq!(heard[0][32..], sine(b, 16_422.0)[..RATE as usize * 4 - 32]);
    }
}

#[test]
fn gain_and_mute_change_what_the_others_hear_within_10_ms_and_without_a_click() {
    let mut mixer = Mixer::new(RATE, BLOCK, 3).unwrap();
    let [a, b] = [mixer.add().unwrap(), mixer.add().unwrap()];
    let mut heard = Vec::new();
    let mut out = [0; BLOCK];
    let mut run = |mixer: &mut Mixer, blocks: usize| {
        heard.clear();
        for _ in 0..blocks {
            mixer.write(a, &[10_000; BLOCK]).unwrap();
            mixer.mix();
            mixer.read(b, &mut out).unwrap();
            heard.extend_from_slice(&out);
        }
        heard.clone()
    };
    run(&mut mixer, 2);
    mixer.set_muted(a, true).unwrap();
    let fading = run(&mut mixer, 2);
    assert!(fading.windows(2).all(|w| (0..=64).contains(&(w[0] - w[1]))), "one way, in steps");
    assert!(fading[32 + 160..].iter().all(|s| *s == 0));
    mixer.set_muted(a, false).unwrap();
    mixer.set_gain(a, -20.0).unwrap();
    let rising = run(&mut mixer, 2);
    assert_eq!(rising.last(), Some(&1_000));
    run(&mut mixer, 40);
    // Who hears nobody hears nothing, himself least of all.
    let mut own = [1; BLOCK];
    mixer.read(a, &mut own).unwrap();
    assert_eq!(own, [0; BLOCK]);
    assert!((mixer.level(a).unwrap() + 30.3).abs() < 0.3, "{}", mixer.level(a).unwrap());
}

#[test]
fn who_talks_is_chosen_and_those_who_left_are_unknown() {
    let mut mixer = Mixer::new(RATE, BLOCK, 2).unwrap();
    let [a, b] = [mixer.add().unwrap(), mixer.add().unwrap()];
    assert_eq!(mixer.add(), Err(MixerError::Full));
    let talk = |mixer: &mut Mixer, blocks, of_a: i16, of_b: i16| {
        for _ in 0..blocks {
            for (id, level) in [(a, of_a), (b, of_b)] {
                let _ = mixer.write(id, &[level; BLOCK]);
            }
            mixer.mix();
        }
        mixer.active_talker()
    };
    assert_eq!(talk(&mut mixer, 10, 3, 3), None);
    assert_eq!(talk(&mut mixer, 10, 3_000, 100), Some(a));
    assert_eq!(talk(&mut mixer, 10, 2_000, 3_000), Some(a));
    assert_eq!(talk(&mut mixer, 30, 100, 9_000), Some(b));
    mixer.remove(b).unwrap();
    assert_eq!(mixer.active_talker(), None);
    assert_eq!(mixer.remove(b), Err(MixerError::UnknownParticipant));
    assert_eq!(mixer.write(b, &[0; BLOCK]), Err(MixerError::UnknownParticipant));
    let c = mixer.add().unwrap();
    assert!(c != b && ParticipantId::from_raw(c.to_raw()) == c);
    assert_eq!(mixer.write(b, &[0; BLOCK]), Err(MixerError::UnknownParticipant));
    assert_eq!(
        mixer.write(c, &[0; 100]),
        Err(MixerError::BlockLength { given: 100, block: BLOCK })
    );
    assert_eq!(Mixer::new(7_000, 140, 2).err(), Some(MixerError::Rate(7_000)));
    assert_eq!(Mixer::new(8_000, 0, 2).err(), Some(MixerError::Block(0)));
    assert_eq!(Mixer::new(8_000, 160, 1).err(), Some(MixerError::Participants(1)));
}
