//! What a host works with beside a session allocates nothing after its construction either: mixer,
//! tones, digits, meters, gain, resamplers, concealment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/counting.rs"]
mod counting;

use counting::allocations;
use subrosa::media::conceal::{Conceal, PitchRepeat};
use subrosa::media::gain::Gain;
use subrosa::media::level::LevelMeter;
use subrosa::media::mixer::Mixer;
use subrosa::media::resample::{ADAPTIVE_RATES, AdaptiveResampler, Resampler, SUPPORTED_RATES};
use subrosa::media::timescale::{OverlapAdd, TimeScale};
use subrosa::media::tones::{DTMF_LEVELS, DtmfDetector, TonePlan, TonePlayer};
use subrosa::time::Duration;
use subrosa::wire::dtmf::Digit;

/// Allocations of a hundred blocks, after ten.
fn counted(mut block: impl FnMut()) -> u64 {
    (0..10).for_each(|_| block());
    let before = allocations();
    (0..100).for_each(|_| block());
    allocations() - before
}

/// A loud wave of 10 ms.
fn wave(rate: u32) -> Vec<i16> {
    (0..rate as usize / 100).map(|n| if n / 20 % 2 == 0 { 20_000 } else { -20_000 }).collect()
}

#[test]
fn a_mixer_joins_loud_voices_without_allocating() {
    let mut mixer = Mixer::new(16_000, 160, 4).unwrap();
    let people = [0; 4].map(|_| mixer.add().unwrap());
    let (said, mut heard) = (wave(16_000), [0; 160]);
    let mut muted = false;
    let count = counted(|| {
        people.iter().for_each(|id| mixer.write(*id, &said).unwrap());
        mixer.mix();
        people.iter().for_each(|id| mixer.read(*id, &mut heard).unwrap());
        muted = !muted;
        mixer.set_muted(people[0], muted).unwrap();
        mixer.set_gain(people[1], -3.0).unwrap();
        assert!(mixer.level(people[1]).is_ok());
    });
    assert_eq!(count, 0);
}

#[test]
fn tones_are_played_and_digits_found_without_allocating() {
    for rate in SUPPORTED_RATES {
        let mut busy = TonePlayer::new(TonePlan::DEFAULT.busy, rate).unwrap();
        let digit = Digit::from_char('5').unwrap();
        let long = Duration::from_secs(60);
        let mut key = TonePlayer::dtmf(digit, DTMF_LEVELS, long, rate).unwrap();
        let mut detector = DtmfDetector::new(rate).unwrap();
        let (mut pcm, mut found) = (wave(rate), 0);
        let count = counted(|| {
            busy.read(&mut pcm);
            detector.push(&pcm, |_| {});
            key.read(&mut pcm);
            detector.push(&pcm, |_| found += 1);
        });
        assert_eq!(count, 0, "{rate} Hz");
    }
}

#[test]
fn gain_meters_and_resamplers_allocate_nothing() {
    for from in SUPPORTED_RATES {
        let (pcm, mut changed) = (wave(from), wave(from));
        let (mut gain, mut meter) = (Gain::new(from), LevelMeter::new(from));
        let mut resamplers = SUPPORTED_RATES.map(|to| Resampler::new(from, to).unwrap());
        let mut db = 0.0;
        let count = counted(|| {
            db = -6.0 - db;
            gain.set_db(db);
            gain.apply(&mut changed);
            meter.measure(&changed);
            resamplers.iter_mut().for_each(|r| r.process(&pcm, |block| meter.measure(block)));
        });
        assert_eq!(count, 0, "{from} Hz");
    }
    let (from, to) = (*ADAPTIVE_RATES.start(), *ADAPTIVE_RATES.end());
    for (from, to) in [(from, to), (to, from), (44_100, 48_000)] {
        let mut resampler = AdaptiveResampler::new(from, to).unwrap();
        let (pcm, mut correction) = (wave(from), 0.0);
        let count = counted(|| {
            correction = 0.001 - correction;
            resampler.set_correction(correction);
            resampler.process(&pcm, |_| {});
        });
        assert_eq!(count, 0, "{from} to {to} Hz, drifting");
    }
}

#[test]
fn what_is_lost_stretched_and_left_out_allocates_nothing() {
    for rate in [8_000, 16_000, 48_000] {
        let (mut conceal, mut scale) = (PitchRepeat::new(rate), OverlapAdd::new(rate));
        let frame = [wave(rate), wave(rate)].concat();
        let mut pcm = frame.repeat(2);
        let count = counted(|| {
            pcm[..frame.len()].copy_from_slice(&frame);
            conceal.good(&mut pcm[..frame.len()]);
            let len = scale.grow(&mut pcm, frame.len(), Duration::from_millis(10));
            scale.heard(&pcm[..len]);
            let len = scale.shrink(&mut pcm, len, Duration::from_millis(10));
            scale.heard(&pcm[..len]);
            conceal.conceal(&mut pcm);
            conceal.pause(&mut pcm);
        });
        assert_eq!(count, 0, "{rate} Hz");
    }
}
