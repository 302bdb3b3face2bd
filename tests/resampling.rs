//! The resampler between all pairs of rates: passband, what is folded back, delay, streaming.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::f64::consts::TAU;
use subrosa::media::resample::{Resampler, SUPPORTED_RATES};

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    SUPPORTED_RATES.into_iter().flat_map(|from| SUPPORTED_RATES.map(|to| (from, to)))
}

fn run(from: u32, to: u32, input: &[i16], chunk: usize) -> Vec<i16> {
    let (mut resampler, mut out) = (Resampler::new(from, to).unwrap(), Vec::new());
    input.chunks(chunk).for_each(|c| resampler.process(c, |o| out.extend_from_slice(o)));
    out
}

fn tone(rate: u32, hz: f64, seconds: f64) -> Vec<i16> {
    let n = (f64::from(rate) * seconds) as usize;
    (0..n)
        .map(|i| ((i as f64 * hz / f64::from(rate) * TAU).sin() * 20_000.0).round() as i16)
        .collect()
}

/// Amplitude of a frequency, through a Hann window, so that others far away do not count.
fn amplitude(pcm: &[i16], rate: u32, hz: f64) -> f64 {
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (n, s) in pcm.iter().enumerate() {
        let h = 0.5 - 0.5 * ((n as f64 + 0.5) / pcm.len() as f64 * TAU).cos();
        let (sin, cos) = (n as f64 * hz / f64::from(rate) * TAU).sin_cos();
        re += f64::from(*s) * h * cos;
        im += f64::from(*s) * h * sin;
        weight += h;
    }
    2.0 * re.hypot(im) / weight
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-9).log10()
}

/// The middle of what came out.
fn steady(pcm: &[i16]) -> &[i16] {
    &pcm[pcm.len() / 4..pcm.len() * 3 / 4]
}

#[test]
fn the_passband_is_flat() {
    for (from, to) in pairs() {
        let nyquist = f64::from(from.min(to)) / 2.0;
        for part in [0.05, 0.25, 0.5, 0.7, 0.8, 0.85, 0.9] {
            let out = run(from, to, &tone(from, nyquist * part, 0.4), 441);
            let gain = db(amplitude(steady(&out), to, nyquist * part) / 20_000.0);
            assert!(gain.abs() < 0.1, "{from} -> {to}: {gain:.2} dB at {part}");
        }
    }
}

#[test]
fn nothing_is_folded_back_or_mirrored() {
    for (from, to) in pairs() {
        if from == to {
            continue;
        }
        let (low, high) = (f64::from(from.min(to)) / 2.0, f64::from(from.max(to)) / 2.0);
        // What goes in, in parts of the lower Nyquist; and whether it may come out at all.
        let probes: &[f64] = if from > to { &[1.1, 1.25, 1.5, 1.9] } else { &[0.2, 0.5, 0.8] };
        for part in probes.iter().filter(|part| low * **part < f64::from(from) / 2.0) {
            let hz = low * part;
            let out = run(from, to, &tone(from, hz, 0.5), 160);
            let middle = steady(&out);
            let energy = middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
            let whole = (2.0 * energy / middle.len() as f64).sqrt();
            let rest = if from > to {
                // All of it is alias.
                whole
            } else {
                // The mirror images around the lower rate.
                let images = [2.0 * low - hz, 2.0 * low + hz, 4.0 * low - hz, 4.0 * low + hz];
                let heard = images.into_iter().filter(|image| *image < high);
                heard.map(|image| amplitude(middle, to, image)).fold(0.0, f64::max)
            };
            let level = db(rest / 20_000.0);
            assert!(level < -65.0, "{from} -> {to}: {level:.1} dB from {hz} Hz");
        }
    }
}

#[test]
fn the_delay_is_what_it_says() {
    for (from, to) in pairs() {
        // A pulse that both rates can carry: its centre of gravity is where it is.
        let centre = |pcm: &[i16]| {
            let weight = |s: &i16| f64::from(*s);
            let sum: f64 = pcm.iter().map(weight).sum();
            pcm.iter().enumerate().map(|(n, s)| n as f64 * weight(s)).sum::<f64>() / sum
        };
        let pulse: Vec<i16> = (0..from / 5)
            .map(|n| {
                let t = f64::from(n) / f64::from(from) - 0.05;
                ((-(t / 0.002).powi(2)).exp() * 20_000.0) as i16
            })
            .collect();
        let resampler = Resampler::new(from, to).unwrap();
        let out = run(from, to, &pulse, 97);
        let moved = centre(&out) - centre(&pulse) * f64::from(to) / f64::from(from);
        let says = resampler.delay() as f64;
        assert!((moved - says).abs() <= 1.05, "{from} -> {to}: {moved:.2}, not {says}");
    }
}

#[test]
fn any_block_size_gives_the_same_as_the_whole() {
    for (from, to) in pairs() {
        let input = tone(from, 777.0, 0.3);
        let whole = run(from, to, &input, input.len());
        for chunk in [1, 7, 80, 333, 4_801] {
            assert_eq!(run(from, to, &input, chunk), whole, "{from} -> {to} by {chunk}");
        }
        let expected = input.len() as f64 * f64::from(to) / f64::from(from);
        let missing = expected - whole.len() as f64;
        // At most the block that is not full yet.
        assert!(
            missing >= -1.0 && missing <= f64::from(to) / 100.0 + 1.0,
            "{from} -> {to}: {missing}"
        );
    }
}
