//! Time scaling keeps the pitch: tones and recorded speech, 10 % faster and slower.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/spectrum.rs"]
mod spectrum;

use spectrum::{Distance, bands, speech};
use subrosa::media::timescale::{OverlapAdd, TimeScale};
use subrosa::time::Duration;

/// What was heard, and for each frame: where it begins, and where it was in the original.
struct Scaled {
    heard: Vec<i16>,
    places: Vec<(usize, usize)>,
}

/// Plays `percent` of a hundred faster (negative) or slower, as far as the audio lets it.
fn scale(pcm: &[i16], rate: u32, percent: i64) -> Scaled {
    let frame = rate as usize / 50;
    let mut scale = OverlapAdd::new(rate);
    let mut out = Scaled { heard: Vec::new(), places: Vec::new() };
    let mut room = vec![0; frame * 2];
    // In samples.
    let mut owed = 0i64;
    for (n, of) in pcm.chunks_exact(frame).enumerate() {
        owed += frame as i64 * percent.abs() / 100;
        let by = Duration::from_micros(owed.cast_unsigned() * 1_000_000 / u64::from(rate));
        room[..frame].copy_from_slice(of);
        let len = if percent > 0 {
            scale.grow(&mut room, frame, by)
        } else {
            scale.shrink(&mut room, frame, by)
        };
        owed -= len.abs_diff(frame) as i64;
        scale.heard(&room[..len]);
        out.places.push((out.heard.len() + len, (n + 1) * frame));
        out.heard.extend_from_slice(&room[..len]);
    }
    out
}

/// The share of a tone's power that is at its frequency still, over windows of 100 ms.
fn purity(pcm: &[i16], rate: u32, hz: f64) -> f64 {
    let (mut at, mut all) = (0.0, 0.0);
    for window in pcm.chunks_exact(rate as usize / 10) {
        let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
        for (i, s) in window.iter().enumerate() {
            let (sin, cos) = (std::f64::consts::TAU * hz * i as f64 / f64::from(rate)).sin_cos();
            re += f64::from(*s) * cos;
            im += f64::from(*s) * sin;
            power += f64::from(*s).powi(2);
        }
        at += 2.0 * (re * re + im * im) / window.len() as f64;
        all += power;
    }
    at / all
}

#[test]
fn a_tone_keeps_its_frequency_at_each_rate() {
    for rate in [8_000u32, 16_000, 48_000] {
        for hz in [100.0, 173.0, 250.0, 440.0, 1_000.0, 2_500.0] {
            let tone: Vec<i16> = (0..rate * 3)
                .map(|i| f64::from(i) / f64::from(rate))
                .map(|t| ((t * hz * std::f64::consts::TAU).sin() * 9_000.0) as i16)
                .collect();
            let largest = |pcm: &[i16]| pcm.windows(2).map(|w| w[0].abs_diff(w[1])).max().unwrap();
            for percent in [-10, 10] {
                let scaled = scale(&tone, rate, percent).heard;
                let length = scaled.len() as f64 / tone.len() as f64;
                let want = 1.0 + percent as f64 / 100.0;
                assert!((length - want).abs() < 0.01, "{rate} {hz} {percent}: {length}");
                let rises = scaled.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count() as f64;
                let heard = rises / scaled.len() as f64 * f64::from(rate);
                assert!((heard / hz - 1.0).abs() < 0.005, "{rate} {hz} {percent}: {heard} Hz");
                let pure = purity(&scaled, rate, hz);
                assert!(pure > 0.95, "{rate} {hz} {percent}: {pure}");
                assert!(largest(&scaled) <= largest(&tone) + 200, "a click");
            }
        }
    }
}

#[test]
fn speech_faster_and_slower_is_the_same_speech() {
    for (clip, rate) in [("0880", 8_000), ("0930", 8_000), ("0880", 16_000)] {
        let pcm = speech(clip, rate);
        for percent in [-10, 10] {
            let scaled = scale(&pcm, rate, percent);
            let length = scaled.heard.len() as f64 / pcm.len() as f64;
            assert!((length * 100.0 - 100.0 - percent as f64).abs() < 2.5, "{length}");
            let mut own = Distance::default();
            let mut played = Distance::default();
            let window = rate as usize / 50;
            for (heard, said) in &scaled.places {
                let half = window / 2;
                let (Some(heard), Some(said)) = (heard.checked_sub(half), said.checked_sub(half))
                else {
                    continue;
                };
                if heard + window > scaled.heard.len() || said + window > pcm.len() {
                    continue;
                }
                let original = bands(&pcm[said..said + window], rate);
                own.add(&original, &bands(&scaled.heard[heard..heard + window], rate));
                // The same by playing faster or slower, with the pitch that this gives.
                let turned: Vec<i16> = (0..window)
                    .map(|i| pcm[(said + i * 100 / (100 + percent) as usize).min(pcm.len() - 1)])
                    .collect();
                played.add(&original, &bands(&turned, rate));
            }
            let (own, played) = (own.mean(), played.mean());
            assert!(
                own < 2.5 && own < played * 0.6,
                "{own:.2} dB, with another pitch {played:.2} dB"
            );
        }
    }
}
