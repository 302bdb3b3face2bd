//! The driver over real sockets on loopback: two phones in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/loopback.rs"]
mod loopback;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loopback::{PATIENCE, dial, ended, established, incoming, phone, wait};
use subrosa::driver::{
    AudioRing, CallAudio, DnsConfig, Phone, PhoneError, Player, WireRecorder, WireTransport,
};
use subrosa::engine::{AccountConfig, CallId, CallOptions, CallState, EndReason, Event};

fn silent() -> CallAudio {
    CallAudio::new(CallOptions::default().sample_rate)
}

#[test]
fn two_phones_talk_and_the_tap_sees_every_packet() {
    let wire = WireRecorder::new(16 << 20);
    let (alice, bob) = (phone("alice", Some(&wire)), phone("bob", None));
    let tone: Vec<i16> =
        (0..16_000).map(|n| if n / 20 % 2 == 0 { 9_000 } else { -9_000 }).collect();
    let player = Player::new(tone);
    let progress = player.progress();
    let outgoing = dial(&alice, &bob, CallOptions::default(), silent().source(player));
    let call = incoming(&bob.phone);
    bob.phone.ring(call).unwrap();
    wait(&alice.phone, |e| matches!(e, Event::CallProgress { status: 180, .. }).then_some(()));
    let ear = AudioRing::new(160_000);
    let audio = silent().sink(ear.clone());
    bob.phone.accept(call, CallOptions::default(), audio).unwrap();
    established(&alice.phone);
    established(&bob.phone);
    assert_eq!(bob.phone.call(call).unwrap().unwrap().state, CallState::Established);

    let mut heard = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while heard.iter().filter(|s: &&i16| s.unsigned_abs() > 4_000).count() < 8_000 {
        assert!(Instant::now() < deadline, "nothing is heard");
        std::thread::sleep(Duration::from_millis(20));
        let mut pcm = vec![0; ear.len()];
        ear.pop(&mut pcm);
        heard.extend(pcm);
    }
    assert!(progress.played() > 0);
    alice.phone.send_dtmf(outgoing, '5', Duration::from_millis(100)).unwrap();
    let digit = wait(&bob.phone, |event| match event {
        Event::DtmfReceived { digit, .. } => Some(*digit),
        _ => None,
    });
    assert_eq!(digit, '5');
    bob.phone.hang_up(call).unwrap();
    assert_eq!(ended(&bob.phone), EndReason::LocalHangUp);
    assert_eq!(ended(&alice.phone), EndReason::RemoteHangUp);

    let media = alice.phone.call(outgoing).unwrap().unwrap().media.unwrap();
    alice.phone.stop();
    let crossings = wire.crossings();
    assert!(crossings.iter().any(|c| c.bytes.starts_with(b"INVITE sip:bob@")));
    assert!(crossings.iter().all(|c| c.transport == WireTransport::Udp));
    let rtp = crossings.iter().filter(|c| c.remote.port() != bob.port && c.bytes[0] >> 6 == 2);
    assert!(rtp.count() as u64 >= media.packets_sent, "every packet crosses the tap");
    assert_eq!(wire.dropped(), 0);
}

#[test]
fn a_refused_call_ends_with_its_status() {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    dial(&alice, &bob, CallOptions::default(), silent());
    let call = incoming(&bob.phone);
    bob.phone.reject(call, 486).unwrap();
    let reason = ended(&alice.phone);
    assert!(matches!(reason, EndReason::Refused { status: 486, .. }), "{reason:?}");
    assert_eq!(ended(&bob.phone), EndReason::Rejected(486));
}

#[test]
fn stopping_a_phone_hangs_up_and_ends_the_events() {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    dial(&alice, &bob, CallOptions::default(), silent());
    let call = incoming(&bob.phone);
    bob.phone.accept(call, CallOptions::default(), silent()).unwrap();
    established(&alice.phone);
    let other_handle = alice.phone.clone();
    alice.phone.stop();
    assert_eq!(ended(&bob.phone), EndReason::RemoteHangUp);
    assert!(matches!(other_handle.call(call), Err(PhoneError::Stopped)));
    while other_handle.next_event(PATIENCE).is_some() {}
    assert_eq!(other_handle.next_event(Duration::MAX), None, "nobody waits in vain");
}

#[test]
fn any_thread_may_command_and_mistakes_are_told() {
    let alice = phone("alice", None);
    let unknown = CallId::from_raw(7 << 32);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let phone = alice.phone.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let error = phone.hang_up(unknown).unwrap_err();
                    assert!(matches!(error, PhoneError::Call(_)), "{error}");
                    assert!(phone.call(unknown).unwrap().is_none());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let stats = alice.phone.driver_stats().unwrap();
    assert_eq!(stats.datagrams_refused, 0);
}

#[test]
fn an_audio_end_cannot_wait_for_its_own_thread() {
    let alice = phone("alice", None);
    let phone = alice.phone.clone();
    let outcome = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&outcome);
    alice
        .phone
        .with_engine(move |_, _| {
            *kept.lock().unwrap() = Some(phone.network_changed());
        })
        .unwrap();
    let outcome = outcome.lock().unwrap().take().unwrap();
    assert!(matches!(outcome, Err(PhoneError::OnDriverThread)), "{outcome:?}");
}

#[test]
fn a_name_is_resolved_before_the_call() {
    let mut config = Phone::config();
    config.local_ip = [127, 0, 0, 1].into();
    let mut dns = DnsConfig::new(vec![]);
    dns.hosts.insert("bob.example", [127, 0, 0, 1].into());
    let alice = Phone::builder(config).dns(dns).start().unwrap();
    let bob = phone("bob", None);
    let mut account = AccountConfig::new("sip:alice@alice.example".parse().unwrap());
    account.register = false;
    let account = alice.add_account(account).unwrap();
    let target = format!("sip:bob@bob.example:{}", bob.port).parse().unwrap();
    alice.place_call(account, target, CallOptions::default(), silent()).unwrap();
    let call = incoming(&bob.phone);
    bob.phone.reject(call, 603).unwrap();
    ended(&alice);

    let target = "sip:bob@nowhere.example".parse().unwrap();
    alice.place_call(account, target, CallOptions::default(), silent()).unwrap();
    let reason = ended(&alice);
    assert!(matches!(reason, EndReason::Failed(_)), "{reason:?}");
}
