//! What a caller hears while the far end rings and when it refuses, over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/loopback.rs"]
mod loopback;

use std::time::{Duration, Instant};

use loopback::{PATIENCE, dial, incoming, phone, wait};
use subrosa::driver::{AudioRing, CallAudio, Player};
use subrosa::engine::{CallOptions, EndReason, Event};
use subrosa::media::tones::{ToneKind, TonePlan};

const RATE: u32 = 16_000;

/// The share of a frequency in the energy of `pcm`.
fn share(pcm: &[i16], hz: f64) -> f64 {
    let w = hz / f64::from(RATE) * std::f64::consts::TAU;
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (n, s) in pcm.iter().enumerate() {
        let (sin, cos) = (w * n as f64).sin_cos();
        re += f64::from(*s) * cos;
        im += f64::from(*s) * sin;
        energy += f64::from(*s).powi(2);
    }
    2.0 * (re * re + im * im) / (pcm.len() as f64 * energy.max(1.0))
}

fn next(ear: &AudioRing, samples: usize) -> Vec<i16> {
    let deadline = Instant::now() + PATIENCE;
    while ear.len() < samples {
        assert!(Instant::now() < deadline, "nothing is heard");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut pcm = vec![0; samples];
    ear.pop(&mut pcm);
    pcm
}

#[test]
fn the_caller_hears_ringback_until_the_answer_and_then_the_other_end() {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    let ear = AudioRing::new(RATE as usize * 60);
    let plan = *TonePlan::of("DE").unwrap();
    let audio = CallAudio::new(RATE).sink(ear.clone()).tones(plan);
    let outgoing = dial(&alice, &bob, CallOptions::default(), audio);
    let call = incoming(&bob.phone);
    bob.phone.ring(call).unwrap();
    wait(&alice.phone, |e| matches!(e, Event::CallProgress { .. }).then_some(()));
    assert_eq!(alice.phone.call(outgoing).unwrap().unwrap().tone, Some(ToneKind::Ringback));
    // The first second of the cadence sounds.
    let pcm = next(&ear, 12_000);
    assert!(share(&pcm[2_000..], 425.0) > 0.98, "{}", share(&pcm[2_000..], 425.0));
    let hum = (0..16_000).map(|n| if n / 20 % 2 == 0 { 9_000 } else { -9_000 }).collect();
    let audio = CallAudio::new(RATE).source(Player::new(hum).looping());
    bob.phone.accept(call, CallOptions::default(), audio).unwrap();
    wait(&alice.phone, |e| matches!(e, Event::CallEstablished { .. }).then_some(()));
    let deadline = Instant::now() + PATIENCE;
    // A square wave of 400 Hz: 81 % of it is its first harmonic.
    while share(&next(&ear, 3_200), 400.0) < 0.7 {
        assert!(Instant::now() < deadline, "the far end is not heard");
    }
    assert_eq!(alice.phone.call(outgoing).unwrap().unwrap().tone, None);
    alice.phone.stop();
    bob.phone.stop();
}

#[test]
fn who_refuses_as_busy_has_the_busy_tone() {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    let outgoing = dial(&alice, &bob, CallOptions::default(), CallAudio::new(RATE));
    bob.phone.reject(incoming(&bob.phone), 486).unwrap();
    let reason: EndReason = wait(&alice.phone, |event| match event {
        Event::CallEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.tone(), Some(ToneKind::Busy));
    assert_eq!(alice.phone.call(outgoing).unwrap().unwrap().tone, Some(ToneKind::Busy));
    alice.phone.stop();
    bob.phone.stop();
}
