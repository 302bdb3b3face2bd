use super::*;
use crate::util::{RngExt, SeededRng};
use crate::wire::comfort_noise::{ComfortNoise, MAX_LEN};

/// Noise through a resonance: neighbours alike by `a`, those two apart by `b`.
fn noise(seed: u64, a: f32, b: f32, rms: f32, n: usize) -> Vec<i16> {
    let mut rng = SeededRng::new(seed);
    let (mut x, mut y) = (0.0f32, 0.0f32);
    let mut out: Vec<f32> = (0..n + 500)
        .map(|_| {
            let white = f32::from(rng.next_u16()) / 32_768.0 - 1.0;
            let next = white + a * x + b * y;
            (y, x) = (x, next);
            next
        })
        .collect();
    out.drain(..500);
    let level = (out.iter().map(|s| s * s).sum::<f32>() / n as f32).sqrt();
    out.iter().map(|s| (s / level * rms).round() as i16).collect()
}

fn rms(pcm: &[i16]) -> f32 {
    (pcm.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>() / pcm.len() as f32).sqrt()
}

/// Power in dB of eight bands of a Fourier transform of 256 samples, in parts of the whole.
fn bands(pcm: &[i16]) -> Vec<f32> {
    let n = 256;
    let mut power = vec![0.0f32; n / 2];
    for block in pcm.chunks_exact(n) {
        for (bin, p) in power.iter_mut().enumerate() {
            let (mut re, mut im) = (0.0f32, 0.0f32);
            for (i, s) in block.iter().enumerate() {
                let window = 0.5 - 0.5 * (i as f32 / n as f32 * std::f32::consts::TAU).cos();
                let angle = (bin * i) as f32 / n as f32 * std::f32::consts::TAU;
                re += f32::from(*s) * window * angle.cos();
                im += f32::from(*s) * window * angle.sin();
            }
            *p += re * re + im * im;
        }
    }
    let whole: f32 = power.iter().sum();
    power.chunks(n / 16).map(|b| 10.0 * (b.iter().sum::<f32>() / whole).log10()).collect()
}

#[test]
fn the_noise_that_is_made_has_the_level_and_the_spectrum_of_the_background() {
    for (a, b, level) in [
        (0.0, 0.0, 100.0),
        (0.9, 0.0, 300.0),
        (-0.8, 0.0, 50.0),
        (1.2, -0.7, 1_000.0),
        (0.1, -0.85, 200.0),
    ] {
        let background = noise(3, a, b, level, 16_000);
        let mut analyser = NoiseAnalyser::new();
        background.chunks_exact(160).for_each(|frame| analyser.hear(frame));
        let mut bytes = [0; MAX_LEN];
        let len = analyser.describe().write(&mut bytes).unwrap();
        let mut generator = NoiseGenerator::new(8_000);
        generator.hear(&ComfortNoise::parse(&bytes[..len]).unwrap());
        let mut made = vec![0; 32_000];
        generator.fill(&mut made);
        let ratio = 20.0 * (rms(&made) / level).log10();
        assert!(ratio.abs() < 1.5, "{a} {b}: {ratio:.1} dB off");
        for (n, (made, was)) in bands(&made).iter().zip(bands(&background)).enumerate() {
            // What is 35 dB below the rest is not heard.
            let off = (made.max(-35.0) - was.max(-35.0)).abs();
            assert!(off < 3.0, "{a} {b}: band {n} is {off:.1} dB off");
        }
    }
}

#[test]
fn the_first_coefficient_is_negative_where_neighbours_are_alike() {
    let first = |a| {
        let mut analyser = NoiseAnalyser::new();
        noise(1, a, 0.0, 500.0, 3_200).chunks_exact(160).for_each(|frame| analyser.hear(frame));
        analyser.describe().reflection().next().unwrap()
    };
    assert!((-0.95..-0.8).contains(&first(0.9)), "{}", first(0.9));
    assert!((0.8..0.95).contains(&first(-0.9)), "{}", first(-0.9));
}

#[test]
fn one_description_goes_over_into_the_next_without_a_step() {
    let mut generator = NoiseGenerator::new(8_000);
    let mut silent = [1; 160];
    generator.fill(&mut silent);
    assert_eq!(silent, [0; 160], "nothing was told yet");
    generator.begin();
    generator.hear(&ComfortNoise::new(30, &[]));
    let mut pcm = vec![0; 400];
    generator.fill(&mut pcm);
    let loud = rms(&pcm);
    assert!((900.0..1_200.0).contains(&loud), "the first one at once: {loud}");
    generator.hear(&ComfortNoise::new(50, &[-0.5]));
    let levels: Vec<_> = (0..10)
        .map(|_| {
            generator.fill(&mut pcm);
            rms(&pcm)
        })
        .collect();
    assert!(levels[0] > loud * 0.3, "{levels:?}");
    assert!((80.0..130.0).contains(&levels[9]), "{levels:?}");
    // Another pause begins: at once again.
    generator.begin();
    generator.hear(&ComfortNoise::new(30, &[]));
    generator.fill(&mut pcm);
    assert!(rms(&pcm) > loud * 0.8);
}

#[test]
fn no_description_makes_the_filter_ring_for_ever() {
    let mut rng = SeededRng::new(9);
    let mut generator = NoiseGenerator::new(16_000);
    for _ in 0..200 {
        let mut bytes = [0; MAX_LEN];
        bytes.iter_mut().for_each(|b| *b = (rng.next_u32() % 255) as u8);
        generator.hear(&ComfortNoise::parse(&bytes).unwrap());
        let mut pcm = [0; 320];
        generator.fill(&mut pcm);
    }
    generator.hear(&ComfortNoise::new(127, &[]));
    let mut pcm = vec![0; 16_000];
    generator.fill(&mut pcm);
    assert_eq!(pcm[8_000..], [0; 8_000]);
}

#[test]
fn silence_is_the_lowest_level_and_backgrounds_differ_by_what_is_heard() {
    let mut analyser = NoiseAnalyser::new();
    assert_eq!(analyser.describe().level(), 127);
    analyser.hear(&[0; 160]);
    assert_eq!(analyser.describe().level(), 127);
    analyser.reset();
    analyser.hear(&[i16::MIN; 160]);
    assert_eq!(analyser.describe().level(), 0);
    let of = |level, k: &[f32]| ComfortNoise::new(level, k);
    let differ = analyse::differ;
    assert!(!differ(&of(60, &[0.1, 0.2]), &of(62, &[0.2, 0.1])));
    assert!(differ(&of(60, &[]), &of(63, &[])));
    assert!(differ(&of(60, &[0.5]), &of(60, &[0.2])));
}
