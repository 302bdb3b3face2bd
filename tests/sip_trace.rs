//! The trace of SIP messages in the clear: off unless asked for, complete, without credentials and
//! keys, and never a secret of the report's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/registrar.rs"]
mod registrar;

use std::time::{Duration, Instant};

use pair::{Pair, USUAL};
use registrar::Registrar;
use subrosa::driver::{DnsConfig, Phone, WireRecorder};
use subrosa::engine::{
    AccountConfig, CallOptions, Engine, Event, Keying, Padlock, SecurityPolicy, SipDirection,
    SipTraceRecord,
};
use subrosa::sip::Transport;
use subrosa::util::Secret;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct-horse-battery";

fn drain(engine: &mut Engine) -> Vec<SipTraceRecord> {
    std::iter::from_fn(|| engine.poll_sip_trace()).collect()
}

#[test]
fn a_secure_calls_messages_come_out_readable_without_its_keys_and_the_report_says_so() {
    let setup = USUAL;
    let mut pair = Pair::with(setup, |config| config.sip_trace = true);
    let call = pair.call(setup);
    pair.world.command(pair.phones[0], |engine, now| {
        engine.call(call).unwrap().hang_up(now).unwrap();
    });
    let (_, report) = pair.report(0).unwrap();
    pair.world.run_for(Duration::from_secs(1));
    let traces =
        [0, 1].map(|side: usize| pair.world.command(pair.phones[side], |engine, _| drain(engine)));
    let [ours, theirs] = &traces;
    // Complete messages, in order, each as one end sent it and the other one got it.
    let what = |records: &[SipTraceRecord], direction| {
        let of = records.iter().filter(move |r| r.direction == direction);
        of.map(|r| r.text.lines().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (sent, received) in [(ours, theirs), (theirs, ours)] {
        let sent = what(sent, SipDirection::Sent);
        assert_eq!(sent, what(received, SipDirection::Received));
        assert!(sent.len() >= 2, "{sent:?}");
    }
    let invite = &ours[0];
    assert!(invite.text.starts_with("INVITE sip:bob@bob.test SIP/2.0\r\n"), "{}", invite.text);
    assert_eq!((invite.transport, invite.remote.port()), (Transport::Tls, 5061));
    assert!(invite.text.contains("\r\n\r\nv=0\r\n") && invite.text.contains("\r\nm=audio "));
    assert!(what(ours, SipDirection::Sent).last().unwrap().starts_with("BYE "));
    // The keys went along, and are not there.
    assert_eq!(report.media_out.as_ref().unwrap().keying, Keying::Sdes);
    let all: String = ours.iter().chain(theirs).map(|r| r.text.as_str()).collect();
    assert!(all.matches("a=crypto:").count() >= 4, "{all}");
    assert_eq!(all.matches("inline:").count(), all.matches("inline:[redacted]").count());
    // The report says that the trace is on, and the screen does.
    assert!(report.debugging.sip_trace && !report.debugging.tls_key_log);
    assert!(pair.report(1).unwrap().1.debugging.sip_trace, "who is called says it too");
    assert_eq!(report.padlock(), Padlock::EncryptedToProvider);
    let text = report.to_string();
    assert!(text.contains("Debugging is on: whoever has the SIP trace"), "{text}");
    assert!(format!("{report:#}").contains("\ndebugging: SIP trace"));
}

#[test]
fn without_being_asked_for_there_is_no_trace() {
    let mut pair = Pair::new(USUAL);
    pair.call(USUAL);
    for side in [0, 1] {
        let trace = pair.world.command(pair.phones[side], |engine, _| drain(engine));
        assert_eq!(trace, []);
        let (_, report) = pair.report(side).unwrap();
        assert!(!report.debugging.is_on() && !report.to_string().contains("Debugging"));
    }
}

#[test]
fn what_nobody_takes_is_dropped_and_counted() {
    let mut pair = Pair::with(USUAL, |config| config.sip_trace = true);
    for _ in 0..60 {
        let account = pair.accounts[0];
        let call = pair.world.command(pair.phones[0], |engine, now| {
            let to = "sip:bob@bob.test".parse().unwrap();
            engine.place_call(now, account, &to, CallOptions::default()).unwrap()
        });
        pair.world.run_for(Duration::from_millis(200));
        pair.world.command(pair.phones[0], |engine, now| {
            engine.call(call).unwrap().hang_up(now).unwrap();
        });
        pair.world.run_for(Duration::from_millis(100));
    }
    let dropped = pair.world.command(pair.phones[0], |engine, _| engine.stats().trace_dropped);
    let kept = pair.world.command(pair.phones[0], |engine, _| drain(engine));
    assert!(dropped > 0 && (200..=256).contains(&kept.len()), "{dropped} {}", kept.len());
    assert!(kept.iter().map(|r| r.text.len()).sum::<usize>() <= 1 << 20);
}

#[test]
fn a_registration_is_traced_without_the_answer_to_the_challenge() {
    let registrar = Registrar::start("udp", None, "alice", PASSWORD);
    let wire = WireRecorder::new(1 << 20);
    let mut config = Phone::config();
    config.local_ip = [127, 0, 0, 1].into();
    config.sip_trace = true;
    let phone = Phone::builder(config).dns(DnsConfig::new(vec![])).wire_tap(wire.clone());
    let phone = phone.start().unwrap();
    let mut account = AccountConfig::new("sip:alice@example.com".parse().unwrap());
    let server = format!("sip:127.0.0.1:{};transport=udp", registrar.port);
    account.registrar = Some(server.parse().unwrap());
    account.transport = Some(Transport::Udp);
    account.policy = SecurityPolicy::Off;
    account.password = Some(Secret::new(PASSWORD.to_owned()));
    phone.add_account(account).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match phone.next_event(left).expect("the registration did not come to an end") {
            Event::Registered { .. } => break,
            Event::RegistrationFailed { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
    let trace = phone.with_engine(|engine, _| drain(engine)).unwrap();
    phone.stop();
    let answered = trace.iter().find(|r| r.text.contains("\r\nAuthorization: Digest ")).unwrap();
    assert!(answered.text.contains("username=\"alice\""), "{}", answered.text);
    assert!(answered.text.contains("response=[redacted]"), "{}", answered.text);
    // What was on the wire is not in the trace.
    let crossed: Vec<u8> = wire.crossings().iter().flat_map(|c| c.bytes.clone()).collect();
    let crossed = String::from_utf8_lossy(&crossed).into_owned();
    let response = crossed.split("response=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(response.len() >= 32, "{response}");
    let all: String = trace.iter().map(|r| r.text.as_str()).collect();
    assert!(!all.contains(response) && !all.contains(PASSWORD), "{all}");
    assert!(all.contains("SIP/2.0 401 ") && all.contains("SIP/2.0 200 "), "{all}");
}
