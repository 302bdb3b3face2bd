//! How loud both ends of a call are, over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/loopback.rs"]
mod loopback;

use std::time::{Duration, Instant};

use loopback::{PATIENCE, dial, established, incoming, phone};
use subrosa::driver::{CallAudio, CallLevels, Phone, Player};
use subrosa::engine::{CallId, CallOptions};

const RATE: u32 = 16_000;

/// Waits until the levels of a call are as wanted.
fn until(phone: &Phone, call: CallId, what: &str, wanted: impl Fn(&CallLevels) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let levels = phone.levels(call).unwrap().unwrap();
        if wanted(&levels) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {levels:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn near(level: f32, wanted: f32) -> bool {
    (level - wanted).abs() < 2.0
}

#[test]
fn a_call_tells_how_loud_both_ends_are_until_it_is_over() {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    // A square wave of 400 Hz at -12 dBFS: its peak is its RMS.
    let hum = (0..16_000).map(|n| if n / 20 % 2 == 0 { 8_192 } else { -8_192 }).collect();
    let audio = CallAudio::new(RATE).source(Player::new(hum).looping());
    let outgoing = dial(&alice, &bob, CallOptions::default(), audio);
    let call = incoming(&bob.phone);
    assert_eq!(bob.phone.levels(call).unwrap(), None, "no audio is attached yet");
    bob.phone.accept(call, CallOptions::default(), CallAudio::new(RATE)).unwrap();
    established(&alice.phone);
    until(&alice.phone, outgoing, "what alice sends", |levels| {
        near(levels.sent.rms_dbfs, -12.0) && near(levels.sent.peak_dbfs, -12.0)
    });
    // The codec rounds the edges off, which makes the peak larger.
    until(&bob.phone, call, "what bob hears", |levels| near(levels.received.rms_dbfs, -12.0));
    until(&bob.phone, call, "what bob says", |levels| levels.sent.peak_dbfs == -96.0);
    // A mute is for the far end: the meter shows what the source gives.
    alice.phone.mute(outgoing, true).unwrap();
    until(&bob.phone, call, "what bob hears of a mute", |levels| levels.received.rms_dbfs < -60.0);
    until(&alice.phone, outgoing, "a mute", |levels| near(levels.sent.rms_dbfs, -12.0));
    alice.phone.hang_up(outgoing).unwrap();
    loopback::ended(&alice.phone);
    assert_eq!(alice.phone.levels(outgoing).unwrap(), None, "it is over");
    alice.phone.stop();
    bob.phone.stop();
}
