//! What a phone's handle can do during a call and with a registrar, over real sockets on loopback,
//! from both ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/loopback.rs"]
mod loopback;
#[path = "support/registrar.rs"]
mod registrar;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use loopback::{PATIENCE, Party, dial, ended, incoming, phone, wait};
use registrar::{Registrar, Seen};
use subrosa::driver::{AudioRing, CallAudio, DnsConfig, Phone, PhoneError, Player};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, CallState, EndReason, Event, FailureReason,
    MediaError, Padlock, SecurityPolicy,
};
use subrosa::util::Secret;

const RATE: u32 = 16_000;

/// A tone without end, and an ear.
fn talk() -> (CallAudio, AudioRing) {
    let tone = (0..16_000).map(|n| if n / 20 % 2 == 0 { 9_000 } else { -9_000 }).collect();
    let ear = AudioRing::new(RATE as usize * 60);
    (CallAudio::new(RATE).source(Player::new(tone).looping()).sink(ear.clone()), ear)
}

/// Half a second in which the tone is heard, or is not, all the time.
fn settles(ear: &AudioRing, loud: bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    let mut frame = [0; 320];
    while in_a_row < 25 {
        assert!(Instant::now() < deadline, "loud: {loud}, but not for half a second");
        if ear.len() < frame.len() {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        ear.pop(&mut frame);
        let heard = frame.iter().filter(|s| s.unsigned_abs() > 3_000).count() > 160;
        in_a_row = if heard == loud { in_a_row + 1 } else { 0 };
    }
}

/// A call between two phones that both speak.
struct Call {
    alice: Party,
    bob: Party,
    outgoing: CallId,
    incoming: CallId,
    ears: [AudioRing; 2],
}

fn call() -> Call {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    let (audio, alices_ear) = talk();
    let outgoing = dial(&alice, &bob, CallOptions::default(), audio);
    let incoming = incoming(&bob.phone);
    let (audio, bobs_ear) = talk();
    bob.phone.accept(incoming, CallOptions::default(), audio).unwrap();
    for party in [&alice, &bob] {
        wait(&party.phone, |e| matches!(e, Event::CallEstablished { .. }).then_some(()));
    }
    Call { alice, bob, outgoing, incoming, ears: [alices_ear, bobs_ear] }
}

impl Call {
    /// Both ends, the one that acts first: phone, its call, the other phone, its call.
    fn ends(&self) -> [(&Phone, CallId, &Phone, CallId); 2] {
        let (a, b) = (&self.alice.phone, &self.bob.phone);
        [(a, self.outgoing, b, self.incoming), (b, self.incoming, a, self.outgoing)]
    }
}

fn media_changed(phone: &Phone, holds: (bool, bool)) {
    wait(phone, |event| match event {
        Event::CallMediaChanged { local_hold, remote_hold, .. } => {
            ((*local_hold, *remote_hold) == holds).then_some(())
        }
        _ => None,
    });
}

#[test]
fn either_end_holds_and_resumes_and_both_hear_it() {
    let call = call();
    call.ears.iter().for_each(|ear| settles(ear, true));
    for (n, (phone, id, other, others_id)) in call.ends().into_iter().enumerate() {
        phone.hold(id).unwrap();
        media_changed(phone, (true, false));
        media_changed(other, (false, true));
        assert_eq!(phone.call(id).unwrap().unwrap().holds, (true, false));
        assert_eq!(other.call(others_id).unwrap().unwrap().holds, (false, true));
        // Whoever holds hears nothing of the other.
        settles(&call.ears[n], false);
        phone.resume(id).unwrap();
        media_changed(phone, (false, false));
        media_changed(other, (false, false));
        call.ears.iter().for_each(|ear| settles(ear, true));
    }
}

#[test]
fn either_end_presses_keys_and_mutes() {
    let call = call();
    // Keys and digits need media, and the keys of the media may still be under negotiation.
    call.ears.iter().for_each(|ear| settles(ear, true));
    for (n, (phone, id, other, _)) in call.ends().into_iter().enumerate() {
        for digit in ['7', '#', 'D'] {
            phone.send_dtmf(id, digit, Duration::from_millis(80)).unwrap();
            let heard = wait(other, |event| match event {
                Event::DtmfReceived { digit, .. } => Some(*digit),
                _ => None,
            });
            assert_eq!(heard, digit);
        }
        let wrong = phone.send_dtmf(id, 'x', Duration::from_millis(80)).unwrap_err();
        assert!(matches!(wrong, PhoneError::Call(_)), "{wrong}");
        phone.mute(id, true).unwrap();
        settles(&call.ears[1 - n], false);
        phone.mute(id, false).unwrap();
        settles(&call.ears[1 - n], true);
    }
}

#[test]
fn either_end_turns_down_what_is_heard_and_what_is_sent() {
    let call = call();
    call.ears.iter().for_each(|ear| settles(ear, true));
    for (n, (phone, id, ..)) in call.ends().into_iter().enumerate() {
        phone.set_receive_gain(id, -30.0).unwrap();
        settles(&call.ears[n], false);
        phone.set_receive_gain(id, 0.0).unwrap();
        settles(&call.ears[n], true);
        phone.set_send_gain(id, -30.0).unwrap();
        settles(&call.ears[1 - n], false);
        phone.set_send_gain(id, 0.0).unwrap();
        settles(&call.ears[1 - n], true);
    }
}

#[test]
fn a_phone_keeps_the_media_of_its_calls_and_says_so() {
    let call = call();
    call.ears.iter().for_each(|ear| settles(ear, true));
    let id = call.outgoing;
    let taken = call.alice.phone.with_engine(move |engine, _| engine.take_media(id)).unwrap();
    assert_eq!(taken.unwrap_err(), MediaError::Kept);
    call.ears.iter().for_each(|ear| settles(ear, true));
}

#[test]
fn the_report_and_the_figures_live_through_the_call_and_after_it() {
    let call = call();
    call.ears.iter().for_each(|ear| settles(ear, true));
    for (phone, id, _, _) in call.ends() {
        assert_eq!(phone.calls().unwrap(), [id]);
        let info = phone.call(id).unwrap().unwrap();
        assert_eq!((info.state, info.security.padlock()), (CallState::Established, Padlock::None));
        let media = info.media.unwrap();
        assert!(media.packets_sent > 0 && media.packets_received > 0, "{media:?}");
        assert_eq!(phone.stats().unwrap().malformed_answered, 0);
    }
    call.bob.phone.hang_up(call.incoming).unwrap();
    assert_eq!(ended(&call.bob.phone), EndReason::LocalHangUp);
    assert_eq!(ended(&call.alice.phone), EndReason::RemoteHangUp);
    let info = call.alice.phone.call(call.outgoing).unwrap().unwrap();
    assert_eq!(info.end_reason, Some(EndReason::RemoteHangUp));
    assert!(info.media.is_some() && info.codec.is_some());
    // An ended call refuses commands, by name.
    for error in [
        call.alice.phone.hold(call.outgoing).unwrap_err(),
        call.alice.phone.hang_up(call.outgoing).unwrap_err(),
        call.alice.phone.reject(call.outgoing, 486).unwrap_err(),
    ] {
        assert!(matches!(error, PhoneError::Call(_)), "{error}");
    }
}

#[test]
fn a_caller_gives_up_and_a_policy_refuses_what_is_not_secure() {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    let audio = || CallAudio::new(RATE);
    let outgoing = dial(&alice, &bob, CallOptions::default(), audio());
    let ringing = incoming(&bob.phone);
    bob.phone.ring(ringing).unwrap();
    wait(&alice.phone, |e| matches!(e, Event::CallProgress { status: 180, .. }).then_some(()));
    alice.phone.hang_up(outgoing).unwrap();
    assert_eq!(ended(&alice.phone), EndReason::Cancelled);
    assert_eq!(ended(&bob.phone), EndReason::RemoteCancelled);

    // The same call under a policy that demands what UDP and RTP cannot give.
    let mut options = CallOptions::default();
    options.policy = SecurityPolicy::Required;
    let target: subrosa::wire::sip::Uri =
        format!("sip:bob@127.0.0.1:{};transport=udp", bob.port).parse().unwrap();
    match alice.phone.place_call(alice.account, target, options, audio()) {
        Err(error) => assert!(matches!(error, PhoneError::Call(_)), "{error}"),
        Ok(_) => {
            let reason = ended(&alice.phone);
            assert!(matches!(reason, EndReason::Failed(_)), "{reason:?}");
        }
    }
    assert_eq!(bob.phone.next_event(Duration::from_millis(300)), None, "bob hears nothing of it");
    let error = alice.phone.set_domain_policy("not a domain", SecurityPolicy::Off).unwrap_err();
    assert!(matches!(error, PhoneError::Policy(_)), "{error}");
    alice.phone.set_domain_policy("example.com", SecurityPolicy::Required).unwrap();
    let policy = alice.phone.with_engine(|engine, _| engine.policy_of("example.com")).unwrap();
    assert_eq!(policy, SecurityPolicy::Required);
}

/// The smallest executor: one thread that parks.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "the future was not woken");
        thread::park_timeout(left);
    }
}

#[test]
fn events_are_awaited_without_a_runtime() {
    let (alice, bob) = (phone("alice", None), phone("bob", None));
    let answering = {
        let phone = bob.phone.clone();
        thread::spawn(move || {
            block_on(async {
                while let Some(event) = phone.event().await {
                    match event {
                        Event::IncomingCall { call, .. } => phone.reject(call, 486).unwrap(),
                        Event::CallEnded { reason, .. } => return reason,
                        _ => {}
                    }
                }
                panic!("the phone stopped");
            })
        })
    };
    dial(&alice, &bob, CallOptions::default(), CallAudio::new(RATE));
    let reason = block_on(async {
        while let Some(event) = alice.phone.event().await {
            if let Event::CallEnded { reason, .. } = event {
                return reason;
            }
        }
        panic!("the phone stopped");
    });
    assert!(matches!(reason, EndReason::Refused { status: 486, .. }), "{reason:?}");
    assert_eq!(answering.join().unwrap(), EndReason::Rejected(486));
    alice.phone.stop();
    assert_eq!(block_on(alice.phone.event()), None, "nobody waits in vain");
}

fn register(port: u16, password: &str) -> (Phone, AccountId) {
    let mut config = Phone::config();
    config.local_ip = [127, 0, 0, 1].into();
    let phone = Phone::builder(config).dns(DnsConfig::new(vec![])).start().unwrap();
    let mut account = AccountConfig::new("sip:alice@example.com".parse().unwrap());
    account.registrar = Some(format!("sip:127.0.0.1:{port};transport=udp").parse().unwrap());
    account.password = Some(Secret::new(password.to_owned()));
    account.policy = SecurityPolicy::Off;
    let account = phone.add_account(account).unwrap();
    (phone, account)
}

#[test]
fn an_account_registers_and_un_registers_through_the_handle() {
    let registrar = Registrar::start("udp", None, "alice", "secret");
    let (phone, account) = register(registrar.port, "secret");
    let expires = wait(&phone, |event| match event {
        Event::Registered { expires, .. } => Some(*expires),
        _ => None,
    });
    assert_eq!(expires, Duration::from_secs(300));
    assert!(phone.account(account).unwrap().is_some());
    phone.remove_account(account).unwrap();
    wait(&phone, |event| matches!(event, Event::Unregistered { .. }).then_some(()));
    let seen = registrar.seen();
    assert!(matches!(seen[..2], [Seen::Challenged, Seen::Registered { .. }]), "{seen:?}");
    assert_eq!(seen.last(), Some(&Seen::Unregistered), "{seen:?}");
    let error = phone.remove_account(account).unwrap_err();
    assert!(matches!(error, PhoneError::Account(_)), "{error}");
}

#[test]
fn a_stopped_phone_un_registers_and_a_wrong_password_is_told() {
    let registrar = Registrar::start("udp", None, "alice", "secret");
    let (phone, _) = register(registrar.port, "secret");
    wait(&phone, |event| matches!(event, Event::Registered { .. }).then_some(()));
    phone.stop();
    assert_eq!(registrar.seen().last(), Some(&Seen::Unregistered));

    let (phone, _) = register(registrar.port, "wrong");
    let reason = wait(&phone, |event| match event {
        Event::RegistrationFailed { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, FailureReason::Credentials);
    assert!(registrar.seen().contains(&Seen::Refused));
}
