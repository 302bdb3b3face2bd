//! The engine's log: what it tells of registrations, flows and calls, and what it must not tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/registrar.rs"]
mod registrar;

use std::time::{Duration, Instant};

use registrar::{Registrar, Seen};
use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::driver::{DnsConfig, Phone};
use subrosa::engine::{
    AccountConfig, CallOptions, Config, Event, LogLevel, LogRecord, SecurityPolicy,
};
use subrosa::sim::{Source, World};
use subrosa::sip::Transport;
use subrosa::util::Secret;
use subrosa::wire::sip::Uri;

const MS: Duration = Duration::from_millis(1);
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct-horse-battery";

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

/// Nothing that is secret, nor a message, nor who is called.
fn assert_clean(records: &[LogRecord], secrets: &[&str]) {
    let never = ["SIP/2.0", "CSeq", "a=", "inline:", "nonce", "Digest", "BEGIN", "PRIVATE"];
    for record in records {
        for secret in never.iter().chain(secrets) {
            assert!(!record.text.contains(secret), "{secret:?} in {record:?}");
        }
        assert!(record.text.chars().count() <= 240 && !record.text.is_empty());
        assert!(!record.text.chars().any(char::is_control), "{record:?}");
    }
}

/// There is a record of this level and part whose text contains `text`.
#[track_caller]
fn assert_told(records: &[LogRecord], level: LogLevel, target: &str, text: &str) {
    let found =
        records.iter().any(|r| r.level == level && r.target == target && r.text.contains(text));
    assert!(found, "{level:?} {target} {text:?} is not in {records:#?}");
}

/// Registers with this password and gives what was logged.
fn registration(level: LogLevel, password: &str) -> (Vec<LogRecord>, Vec<Seen>) {
    let registrar = Registrar::start("udp", None, "alice", PASSWORD);
    let mut config = Phone::config();
    config.local_ip = [127, 0, 0, 1].into();
    config.log_level = level;
    let phone = Phone::builder(config).dns(DnsConfig::new(vec![])).start().unwrap();
    let mut account = AccountConfig::new("sip:alice@example.com".parse().unwrap());
    let server = format!("sip:127.0.0.1:{};transport=udp", registrar.port);
    account.registrar = Some(server.parse().unwrap());
    account.transport = Some(Transport::Udp);
    account.policy = SecurityPolicy::Off;
    account.password = Some(Secret::new(password.to_owned()));
    phone.add_account(account).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match phone.next_event(left).expect("the registration did not come to an end") {
            Event::Registered { .. } | Event::RegistrationFailed { .. } => break,
            _ => {}
        }
    }
    let records = phone.with_engine(|engine, _| {
        let mut records = Vec::new();
        while let Some(record) = engine.poll_log() {
            records.push(record);
        }
        records
    });
    phone.stop();
    (records.unwrap(), registrar.seen())
}

#[test]
fn registrations_are_told_without_the_password() {
    let (records, seen) = registration(LogLevel::Debug, PASSWORD);
    assert!(seen.iter().any(|seen| matches!(seen, Seen::Registered { .. })), "{seen:?}");
    assert_told(&records, LogLevel::Info, "flow", "ready for UDP at 127.0.0.1");
    assert_told(&records, LogLevel::Info, "registration", "is registered over UDP for 300 s");
    assert_clean(&records, &[PASSWORD, "alice"]);
    let (records, seen) = registration(LogLevel::Warn, "wrong-password");
    assert!(seen.contains(&Seen::Refused), "{seen:?}");
    assert_told(&records, LogLevel::Warn, "registration", "refused the user name or password");
    assert!(records.iter().all(|r| r.level <= LogLevel::Warn), "{records:#?}");
    assert_clean(&records, &["wrong-password", "alice"]);
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for() {
    let (records, _) = registration(LogLevel::Off, PASSWORD);
    assert_eq!(records, []);
}

fn secure(config: &mut Config, chain: &[u8], key: &[u8], trust: TrustAnchors) {
    config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
    config.trust = trust;
    config.listen_tls = Some((config.local_ip, 5061).into());
    config.log_level = LogLevel::Debug;
}

/// A secure call from Alice to Bob, who is trusted or not; what both logged.
fn secure_call(trusted: bool) -> [Vec<LogRecord>; 2] {
    let mut world = World::new(7);
    let anchors = || TrustAnchors::from_pem(pem!("ca")).unwrap();
    let alice = world.add_phone("alice", |config| {
        let trust = if trusted { anchors() } else { TrustAnchors::none() };
        secure(config, pem!("alice"), pem!("alice.key"), trust);
    });
    let bob = world
        .add_phone("bob", |config| secure(config, pem!("bob"), pem!("bob.key"), anchors()))
        .unwrap();
    let alice = alice.unwrap();
    let ip = world.ip(bob);
    world.zone().add_address("bob.test", ip);
    world.zone().add_srv("_sips._tcp.bob.test", 1, 5061, "bob.test");
    let account = |aor: &str| {
        let mut account = AccountConfig::new(Uri::parse(aor).unwrap());
        account.register = false;
        account.policy = SecurityPolicy::Required;
        account
    };
    let from = world.command(alice, |engine, now| {
        engine.set_domain_policy(now, "bob.test", SecurityPolicy::Required).unwrap();
        engine.add_account(now, account("sip:alice@alice.test")).unwrap()
    });
    world.command(bob, |engine, now| engine.add_account(now, account("sip:bob@bob.test")).unwrap());
    world.act(alice, |host, _| host.say(Source::Sine { hz: 500, peak: 8000 }));
    world.act(bob, |host, _| {
        host.react(|turn, event| {
            if let Event::IncomingCall { call, .. } = *event {
                let mut call = turn.engine.call(call).unwrap();
                call.accept(turn.now, CallOptions::default()).unwrap();
            }
        });
    });
    world.run_for(MS * 10);
    let call = world.command(alice, |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, from, &to, CallOptions::default()).unwrap()
    });
    world.run_for(MS * 2_000);
    world.command(alice, |engine, now| {
        // Over already if Bob is not trusted.
        let _ = engine.call(call).unwrap().hang_up(now);
    });
    world.run_for(MS * 1_000);
    [alice, bob].map(|host| {
        world.command(host, |engine, _| std::iter::from_fn(|| engine.poll_log()).collect())
    })
}

#[test]
fn a_secure_call_is_told_without_its_keys() {
    let [alice, bob] = secure_call(true);
    assert_told(&alice, LogLevel::Info, "policy", "bob.test: required");
    assert_told(&alice, LogLevel::Debug, "flow", "is up over TLS");
    assert_told(&alice, LogLevel::Info, "call", "is established");
    assert_told(&alice, LogLevel::Info, "call", "we hung up; it was encrypted to your provider");
    assert_told(&bob, LogLevel::Debug, "call", "comes in");
    assert_told(&bob, LogLevel::Info, "call", "ended: the far end hung up");
    for records in [&alice, &bob] {
        assert!(records.windows(2).all(|pair| pair[0].at <= pair[1].at), "in order");
        assert_clean(records, &["alice@", "bob@", "sip:"]);
    }
}

#[test]
fn a_certificate_that_is_not_accepted_is_an_error() {
    let [alice, _] = secure_call(false);
    assert_told(&alice, LogLevel::Error, "flow", "certificate of bob.test: ");
    assert_told(&alice, LogLevel::Warn, "flow", "to bob.test is down");
    assert_told(&alice, LogLevel::Warn, "call", "certificate was not accepted");
    assert_clean(&alice, &["alice@", "bob@", "sip:"]);
}
