//! Once calls are over, the process's memory holds none of their keys: between two engines, with
//! SDES and with DTLS, the engines still there.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/dtls_peer.rs"]
mod dtls_peer;
#[path = "support/memory_scan.rs"]
mod memory_scan;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dtls_peer::{Hasty, hasty};
use memory_scan::{Needle, deep, find};
use pair::{Pair, USUAL};
use peer::Peer;
use subrosa::crypto::dtls::{DtlsRole, DtlsState, DtlsVersions};
use subrosa::crypto::srtp::MasterKey;
use subrosa::engine::{
    AccountConfig, CallOptions, CallState, Config, EndReason, Keying, SecurityPolicy,
};
use subrosa::sim::{Link, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::util::{Rng, Secret};
use subrosa::wire::sip::{HeaderName, Method, Uri};

/// A generator that takes note of what it gives for master keys: by their lengths, key and salt.
struct Noting {
    inner: Box<dyn Rng>,
    notes: Arc<Mutex<Vec<Needle>>>,
}

/// Master keys of the suites that are offered, and of AES-CM 192: no other draw is as long.
const LENGTHS: [(usize, usize); 5] = [(44, 32), (28, 16), (46, 32), (38, 24), (30, 16)];

impl Rng for Noting {
    fn fill(&mut self, out: &mut [u8]) {
        self.inner.fill(out);
        let Some((_, key)) = LENGTHS.iter().find(|(len, _)| *len == out.len()) else { return };
        let mut notes = self.notes.lock().unwrap();
        notes.push(Needle::new("key", &out[..16]));
        notes.push(Needle::new("end of key", &out[key - 16..*key]));
        notes.push(Needle::new("salt", &out[*key..]));
        let mut base64 = [0; 64];
        let text = encode(out, &mut base64);
        notes.push(Needle::new("base64", &text[..20]));
        notes.push(Needle::new("more base64", &text[20..36]));
        base64.fill(0);
        std::hint::black_box(&mut base64);
    }
}

fn encode<'b>(bytes: &[u8], out: &'b mut [u8; 64]) -> &'b [u8] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut len = 0;
    for group in bytes.chunks_exact(3) {
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for shift in [18, 12, 6, 0] {
            out[len] = DIGITS[(bits >> shift & 63) as usize];
            len += 1;
        }
    }
    &out[..len]
}

fn noting(config: &mut Config, notes: &Arc<Mutex<Vec<Needle>>>) {
    struct Nothing;
    impl Rng for Nothing {
        fn fill(&mut self, _: &mut [u8]) {}
    }
    let inner = std::mem::replace(&mut config.rng, Box::new(Nothing));
    config.rng = Box::new(Noting { inner, notes: notes.clone() });
}

/// How often each needle is found, and where.
fn found(needles: &[Needle]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for hit in find(needles) {
        *counts.entry(format!("{} in {}", hit.name, hit.mapping)).or_insert(0) += 1;
    }
    counts
}

#[test]
fn no_sdes_key_outlives_its_call() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut pair = deep(|| {
        let mut pair = Pair::with(USUAL, |config| noting(config, &notes));
        let id = pair.call(USUAL);
        let (state, report) = pair.report(0).unwrap();
        assert_eq!(
            (state, report.media_out.unwrap().keying),
            (CallState::Established, Keying::Sdes)
        );
        pair.world.command(pair.phones[0], |engine, now| {
            engine.call(id).unwrap().renew_keys(now).unwrap();
        });
        pair.world.run_for(Duration::from_secs(1));
        let needles = notes.lock().unwrap().clone();
        assert!(needles.len() >= 5 * 12, "{}", needles.len());
        assert!(!found(&needles).is_empty(), "the control: alive, they are there");
        pair.world.command(pair.phones[0], |engine, now| {
            engine.call(id).unwrap().hang_up(now).unwrap();
        });
        // Transactions and their messages are kept for 32 s.
        pair.world.run_for(Duration::from_secs(40));
        pair
    });
    let needles = notes.lock().unwrap().clone();
    let left = found(&needles);
    assert_eq!(left, BTreeMap::new());
    pair.world.command(pair.phones[0], |engine, _| assert_eq!(engine.load().calls, 0));
}

/// Needles for key and salt, raw.
fn needles_of(name: &str, master: &MasterKey) -> Vec<Needle> {
    let (key, salt) = master.expose().split_at(master.suite().key_len());
    vec![
        Needle::new(&format!("{name} key"), &key[..16]),
        Needle::new(&format!("{name} end of key"), &key[key.len() - 16..]),
        Needle::new(&format!("{name} salt"), salt),
    ]
}

#[test]
fn no_key_of_a_handshake_outlives_its_call() {
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        for versions in [DtlsVersions::Only12, DtlsVersions::Only13] {
            let (world, needles) = deep(|| {
                let (mut world, alice, bob) = hasty();
                world.act(bob, |bob, net| {
                    (bob.role, bob.versions) = (role, versions);
                    bob.answer(net);
                    bob.hello(net);
                });
                world.run_for(Duration::from_secs(2));
                let mut needles = vec![];
                let session = world.host(bob).session.as_ref().unwrap();
                let DtlsState::Established { keys, .. } = session.state() else {
                    panic!("{role:?} {versions:?} {session:?}")
                };
                needles.extend(needles_of("theirs", keys.send()));
                needles.extend(needles_of("ours", keys.receive()));
                assert!(!found(&needles).is_empty(), "the control: alive, they are there");
                world.command(alice, |engine, now| {
                    let id = engine.call_ids()[0];
                    engine.call(id).unwrap().hang_up(now).unwrap();
                });
                world.act(bob, |bob: &mut Hasty, _| bob.session = None);
                world.run_for(Duration::from_secs(40));
                (world, needles)
            });
            let left = found(&needles);
            assert_eq!(left, BTreeMap::new(), "{role:?} {versions:?}");
            drop(world);
        }
    }
}

/// A server that asks for credentials, and takes any.
fn asking(algorithm: &'static str) -> Peer {
    Peer::new(true, false, move |turn, m| {
        if !m.is_request() || *m.method() == Method::Ack {
            return;
        }
        let challenge = format!(
            "Digest realm=\"peer.test\", nonce=\"n1\", qop=\"auth\", algorithm={algorithm}"
        );
        let answered = m.header(HeaderName::Authorization).is_some();
        match m.method() {
            _ if !answered => {
                let no = m.response(401, "Who").to_tag("peer");
                turn.send(no.header(HeaderName::WwwAuthenticate, challenge));
            }
            Method::Register => {
                let contact = m.header(HeaderName::Contact).unwrap().to_string();
                turn.send(
                    m.response(200, "OK").to_tag("peer").header(HeaderName::Contact, contact),
                );
            }
            _ => turn.reply(m, 486),
        }
    })
}

#[test]
fn no_password_and_no_hash_of_it_outlives_its_account() {
    const PASSWORD: &str = "the seventh rose of may";
    for (algorithm, ha1) in [
        ("MD5", "d4b7888cbcb35535d2544158130a643e"),
        ("SHA-256", "c5da8e1e20f7e84207659f3a6feb2a7889467ded62005986d6dba78594f80bca"),
    ] {
        let needles =
            [Needle::new("password", PASSWORD.as_bytes()), Needle::new("HA1", ha1.as_bytes())];
        let world = deep(|| {
            let mut world = World::new(1);
            world.set_default_link(Link::perfect());
            let alice = world.add_phone("alice", |_| {}).unwrap();
            let peer = world.add_host("peer", asking(algorithm));
            let ip = world.ip(peer);
            world.zone().add_address("peer.test", ip);
            let account = world.command(alice, |engine, now| {
                engine.set_domain_policy(now, "peer.test", SecurityPolicy::Off).unwrap();
                let mut account = AccountConfig::new(Uri::parse("sip:alice@peer.test").unwrap());
                account.transport = Some(Transport::Udp);
                account.password = Some(Secret::new(PASSWORD.to_string()));
                engine.add_account(now, account).unwrap()
            });
            world.run_for(Duration::from_secs(1));
            let call = world.command(alice, |engine, now| {
                let to = Uri::parse("sip:bob@peer.test").unwrap();
                engine.place_call(now, account, &to, CallOptions::default()).unwrap()
            });
            world.run_for(Duration::from_secs(1));
            let ended = world.command(alice, |engine, _| engine.call(call).unwrap().end_reason());
            assert!(matches!(ended, Some(EndReason::Refused { status: 486, .. })), "{ended:?}");
            assert!(world.host(peer).methods().len() > 4, "{}", world.ladder());
            let alive = found(&needles);
            assert!(alive.len() >= 2, "the control: alive, both are there: {alive:?}");
            world.command(alice, |engine, now| engine.remove_account(now, account).unwrap());
            world.run_for(Duration::from_secs(40));
            world
        });
        let left = found(&needles);
        assert_eq!(left, BTreeMap::new(), "{algorithm}");
        drop(world);
    }
}
