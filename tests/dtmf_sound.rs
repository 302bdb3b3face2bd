//! DTMF as sound: what a detector must hear and what it must not, by ITU-T Q.24, through G.711.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::path::PathBuf;
use subrosa::media::codec::CodecId;
#[cfg(feature = "opus")]
use subrosa::media::codec::EncoderTuning;
use subrosa::media::resample::Resampler;
use subrosa::media::tones::{DTMF_LEVELS, DtmfDetector, TonePlayer, dtmf_frequencies};
use subrosa::media::wav::Wav;
use subrosa::time::Duration;
use subrosa::util::{RngExt, SeededRng};
use subrosa::wire::dtmf::Digit;

/// A sine of full scale, dBm0.
#[allow(clippy::approx_constant)] // dB, not pi
const FULL_SCALE: f64 = 3.14;
const KEYS: &str = "0123456789*#ABCD";

/// A channel that changes sound at 8 kHz.
type Channel = fn(&[i16]) -> Vec<i16>;

fn through(codec: CodecId, pcm: &[i16]) -> Vec<i16> {
    let (mut encoder, mut decoder) = (codec.encoder().unwrap(), codec.decoder().unwrap());
    let (mut payload, mut out) = (vec![0; pcm.len()], vec![0; pcm.len()]);
    let len = encoder.encode(pcm, &mut payload).unwrap();
    let samples = decoder.decode(&payload[..len], &mut out).unwrap();
    out.truncate(samples);
    out
}

const CHANNELS: [(&str, Channel); 3] = [
    ("as it is", |pcm| pcm.to_vec()),
    ("mu-law", |pcm| through(CodecId::Pcmu, pcm)),
    ("A-law", |pcm| through(CodecId::Pcma, pcm)),
];

fn heard(rate: u32, pcm: &[i16]) -> String {
    let mut detector = DtmfDetector::new(rate).unwrap();
    let mut digits = String::new();
    // Odd blocks: no frame of the host is one of the detector.
    pcm.chunks(77).for_each(|chunk| detector.push(chunk, |digit| digits.push(digit.to_char())));
    assert_eq!(detector.current(), None, "it goes on at the end of {digits}");
    digits
}

/// Two tones of these frequencies (Hz) and levels (dBm0), `on` ms long, and a pause after them.
fn pair(rate: u32, (low, high): (f64, f64), [a, b]: [f64; 2], on: u32, off: u32) -> Vec<i16> {
    let sample = |n: u32| {
        let wave = |hz: f64, level: f64| {
            let w = hz * f64::from(n) / f64::from(rate) * std::f64::consts::TAU;
            w.sin() * 10f64.powf((level - FULL_SCALE) / 20.0)
        };
        ((wave(low, a) + wave(high, b)) * 32_767.0) as i16
    };
    let mut pcm: Vec<i16> = (0..rate * on / 1_000).map(sample).collect();
    pcm.resize(pcm.len() + (rate * off / 1_000) as usize, 0);
    pcm
}

/// All digits, their frequencies off by this factor.
fn keypad(off_by: f64, levels: [f64; 2], on: u32, off: u32) -> Vec<i16> {
    let mut pcm = vec![0; 800];
    for key in KEYS.chars() {
        let (low, high) = dtmf_frequencies(Digit::from_char(key).unwrap());
        let pair_of = (f64::from(low) * off_by, f64::from(high) * off_by);
        pcm.extend(pair(8_000, pair_of, levels, on, off));
    }
    pcm.extend([0; 800]);
    pcm
}

/// Adds noise this much below the mean power of two tones at these levels (dBm0).
fn add_noise(pcm: &mut [i16], levels: [f64; 2], snr_db: f64, seed: u64) {
    let power: f64 = levels.map(|l| 10f64.powf((l - FULL_SCALE) / 10.0) / 2.0).iter().sum();
    let sigma = (power / 10f64.powf(snr_db / 10.0)).sqrt() * 32_767.0;
    let mut rng = SeededRng::new(seed);
    for sample in pcm {
        // Twelve uniform values make a normal one.
        let sum: f64 = (0..12).map(|_| f64::from(rng.below(1 << 20)) / f64::from(1 << 20)).sum();
        let noisy = f64::from(*sample) + (sum - 6.0) * sigma;
        *sample = noisy.clamp(-32_768.0, 32_767.0) as i16;
    }
}

#[test]
fn all_digits_of_40_ms_with_pauses_of_40_ms_are_heard_once() {
    for (name, channel) in CHANNELS {
        for levels in [[-9.0, -7.0], [-3.0, -3.0], [-27.0, -25.0], [-30.0, -30.0]] {
            for (on, off) in [(40, 40), (50, 45), (100, 100), (700, 60)] {
                let pcm = channel(&keypad(1.0, levels, on, off));
                assert_eq!(heard(8_000, &pcm), KEYS, "{name} {levels:?} {on} {off}");
            }
        }
    }
}

#[test]
fn the_players_digits_are_heard_at_every_rate() {
    for rate in [8_000, 11_025, 16_000, 24_000, 32_000, 44_100, 48_000] {
        let mut pcm = vec![0; rate as usize / 10];
        for key in KEYS.chars() {
            let (digit, length) = (Digit::from_char(key).unwrap(), Duration::from_millis(45));
            let mut player = TonePlayer::dtmf(digit, DTMF_LEVELS, length, rate).unwrap();
            let at = pcm.len();
            pcm.resize(at + rate as usize * 9 / 100, 0);
            player.read(&mut pcm[at..]);
        }
        assert_eq!(heard(rate, &pcm), KEYS, "{rate}");
    }
}

#[test]
fn noise_of_15_db_hides_no_digit_and_makes_none() {
    for (name, channel) in CHANNELS {
        for seed in 0..6 {
            let levels = [-9.0, -7.0];
            let mut pcm = keypad(1.0, levels, 50, 50);
            add_noise(&mut pcm, levels, 15.0, seed);
            assert_eq!(heard(8_000, &channel(&pcm)), KEYS, "{name} {seed}");
        }
    }
    let mut noise = vec![0; 8_000 * 60];
    add_noise(&mut noise, [-9.0, -9.0], 3.0, 9);
    assert_eq!(heard(8_000, &noise), "");
}

#[test]
fn frequencies_off_by_1_5_percent_are_digits_and_by_3_5_percent_none() {
    for (name, channel) in CHANNELS {
        for off in [0.985, 1.015] {
            let pcm = channel(&keypad(off, [-9.0, -7.0], 40, 40));
            assert_eq!(heard(8_000, &pcm), KEYS, "{name} {off}");
            let mut pcm = keypad(off, [-9.0, -7.0], 50, 50);
            add_noise(&mut pcm, [-9.0, -7.0], 15.0, 3);
            assert_eq!(heard(8_000, &channel(&pcm)), KEYS, "{name} {off} with noise");
        }
        for off in [0.965, 1.035] {
            let pcm = channel(&keypad(off, [-9.0, -7.0], 100, 50));
            assert_eq!(heard(8_000, &pcm), "", "{name} {off}");
            // One of the two is enough.
            let (low, high) = (770.0, 1_336.0);
            for wrong in [(low * off, high), (low, high * off)] {
                let pcm = channel(&pair(8_000, wrong, [-9.0, -7.0], 200, 50));
                assert_eq!(heard(8_000, &pcm), "", "{name} {wrong:?}");
            }
        }
    }
}

#[test]
fn twist_is_bounded_and_short_sounds_and_single_tones_are_no_digits() {
    let five = (770.0, 1_336.0);
    let one = |levels, on| heard(8_000, &pair(8_000, five, levels, on, 100));
    // The high one 8 dB weaker or 4 dB stronger: a digit; 12 dB weaker, 8 dB stronger: none.
    for (twist, digit) in [(-8.0, "5"), (4.0, "5"), (0.0, "5"), (-12.0, ""), (8.0, "")] {
        assert_eq!(one([-12.0, -12.0 + twist], 60), digit, "{twist}");
    }
    for (on, digit) in [(15, ""), (20, ""), (40, "5")] {
        assert_eq!(one([-9.0, -7.0], on), digit, "{on} ms");
    }
    assert_eq!(one([-45.0, -45.0], 100), "", "too weak");
    for single in [[-9.0, -90.0], [-90.0, -9.0]] {
        assert_eq!(one(single, 200), "");
    }
    // An interruption of 10 ms does not make it two.
    let mut broken = pair(8_000, five, [-9.0, -7.0], 60, 10);
    broken.extend(pair(8_000, five, [-9.0, -7.0], 60, 100));
    assert_eq!(heard(8_000, &broken), "5");
}

/// At 24 kbit/s in packets of 20 ms.
#[cfg(feature = "opus")]
fn through_opus(rate: u32, pcm: &[i16]) -> Vec<i16> {
    let codec = CodecId::Opus;
    let mut encoder = codec.encoder_at(rate, None).unwrap();
    let mut tuning = EncoderTuning::default();
    tuning.bitrate = 24_000;
    encoder.tune(&tuning);
    let mut decoder = codec.decoder_at(rate, None).unwrap();
    let (mut payload, mut out) = ([0; 1_280], Vec::new());
    for frame in pcm.chunks_exact(rate as usize / 50) {
        let len = encoder.encode(frame, &mut payload).unwrap();
        let mut room = vec![0; frame.len() * 6];
        let samples = decoder.decode(&payload[..len], &mut room).unwrap();
        out.extend_from_slice(&room[..samples]);
    }
    out
}

#[cfg(feature = "opus")]
#[test]
fn digits_pass_through_opus_at_24_kbit_s() {
    let plain = keypad(1.0, [-9.0, -7.0], 60, 60);
    assert_eq!(heard(8_000, &through_opus(8_000, &plain)), KEYS);
    for rate in [16_000, 48_000] {
        let mut pcm = Vec::new();
        Resampler::new(8_000, rate).unwrap().process(&plain, |b| pcm.extend_from_slice(b));
        pcm.extend(vec![0; rate as usize / 5]);
        assert_eq!(heard(rate, &through_opus(rate, &pcm)), KEYS, "{rate}");
    }
}

/// The recordings of the repository.
fn speech() -> Vec<(PathBuf, Wav)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/speech");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wavs = files.filter(|path| path.extension().is_some_and(|e| e == "wav"));
    let found: Vec<_> = wavs
        .map(|path| (path.clone(), Wav::parse(&std::fs::read(path).unwrap()).unwrap()))
        .collect();
    assert!(found.len() >= 2);
    found
}

#[test]
fn speech_is_no_digit_at_any_speed_or_loudness() {
    for (path, wav) in speech() {
        for rate in [8_000, 16_000, 48_000] {
            // As it is, and as if it were spoken faster or slower: other pitches.
            for pretended in [rate, rate * 5 / 6, rate * 7 / 6] {
                let mut pcm = Vec::new();
                let mut resampler = Resampler::new(wav.sample_rate, rate).unwrap();
                resampler.process(&wav.samples, |block| pcm.extend_from_slice(block));
                pcm.extend(vec![0; rate as usize / 10]);
                let loud: Vec<i16> = pcm.iter().map(|s| s.saturating_mul(4)).collect();
                for pcm in [&pcm, &loud] {
                    let digits = heard(pretended.clamp(8_000, 48_000), pcm);
                    assert_eq!(digits, "", "{path:?} at {rate} as {pretended}");
                }
                if rate == 8_000 {
                    assert_eq!(heard(8_000, &through(CodecId::Pcmu, &pcm)), "");
                }
            }
        }
    }
}
