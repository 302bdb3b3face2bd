//! The rules of the simulated network: each is broken once, and must notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use subrosa::crypto::srtp::Suite;
use subrosa::engine::EngineLoad;
use subrosa::sim::{Claim, Fact, Host, HostId, Link, Net, NetEvent, World};
use subrosa::time::Duration;

/// Accepts whatever comes.
struct Sink;

impl Host for Sink {
    fn start(&mut self, net: &mut Net<'_>) {
        net.bind_udp(5060).unwrap();
        net.listen(5060).unwrap();
    }
    fn handle(&mut self, _: &mut Net<'_>, _: NetEvent<'_>) {}
}

/// What the rules say when one host does this: the rules that were broken.
fn broken_by(act: impl FnOnce(&mut Net<'_>, std::net::SocketAddr)) -> Vec<String> {
    let mut world = World::new(5);
    world.set_default_link(Link::perfect());
    let (a, b) = (world.add_host("alice", Sink), world.add_host("bob", Sink));
    let to = (world.ip(b), 5060).into();
    world.act(a, |_, net| act(net, to));
    world.run_for(Duration::from_secs(1));
    let violations = world.finish().err().map(|failure| failure.violations).unwrap_or_default();
    violations.iter().map(|v| format!("{}: {}", v.rule, v.problem)).collect()
}

#[track_caller]
fn assert_one(broken: &[String], part: &str) {
    assert!(broken.len() == 1 && broken[0].contains(part), "{broken:?}");
}

const SSRC: u32 = 0x0102_0304;

/// What a host tells about its key before a packet.
fn told(host: HostId, generation: u32, index: u64) -> Fact<'static> {
    Fact::SrtpProgress {
        host,
        ssrc: SSRC,
        suite: Suite::AesCm128HmacSha1_80,
        mki_len: 0,
        generation,
        roll_over: (index >> 16) as u32,
        sequence: Some(index as u16),
        rtcp_index: None,
    }
}

/// An SRTP packet whose ciphertext is new each time.
fn srtp(index: u64, salt: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0];
    packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    packet.extend(SSRC.to_be_bytes());
    packet.extend((0..170_u8).map(|i| i ^ salt ^ (index as u8)));
    packet
}

/// Packets with these indices, each under the key of that generation.
fn stream(indices: &[(u32, u64)]) -> Vec<String> {
    broken_by(|net, to| {
        let host = net.host();
        for (salt, (generation, index)) in indices.iter().enumerate() {
            net.report(told(host, *generation, *index));
            net.send(4000, to, &srtp(*index, salt as u8 * 16));
        }
    })
}

#[test]
fn a_roll_over_counter_that_is_reset_is_seen() {
    // The sequence number wraps and the counter rises: as it must be.
    assert!(stream(&[(0, 0xfffe), (0, 0xffff), (0, 0x1_0000), (0, 0x1_0001)]).is_empty());
    // The wire looks the same, and the counter stands still: indices 0 and 1 might come again.
    let reset = stream(&[(0, 0xfffe), (0, 0xffff), (0, 0x0000)]);
    assert_one(&reset, "from index 0xffff of SSRC 01020304 back to 0x0");
    // A new key begins anew.
    assert!(stream(&[(0, 0xfffe), (0, 0xffff), (1, 0x0000)]).is_empty());
    // The counter fell, far away from the wrap.
    assert_one(&stream(&[(3, 0x1_0005), (3, 0x0006)]), "key number 3");
    assert_one(&stream(&[(0, 0x5), (0, 0x5)]), "from index 0x5");
}

#[test]
fn what_a_host_tells_must_be_what_the_wire_shows() {
    let broken = broken_by(|net, to| {
        net.report(told(net.host(), 0, 7));
        net.send(4000, to, &srtp(8, 0));
    });
    assert_one(&broken, "tells index 0x7");
}

/// SRTCP packets with these index words, where their suite puts them.
fn srtcp(suite: Suite, words: &[u32]) -> Vec<String> {
    broken_by(|net, to| {
        let host = net.host();
        for (salt, word) in words.iter().enumerate() {
            let mut fact = told(host, 0, 0);
            if let Fact::SrtpProgress { suite: s, .. } = &mut fact {
                *s = suite;
            }
            net.report(fact);
            let mut packet = vec![0x80, 201, 0, 1];
            packet.extend(SSRC.to_be_bytes());
            packet.extend([salt as u8; 20]);
            packet.extend(word.to_be_bytes());
            packet.extend(if suite.is_aead() { vec![] } else { vec![salt as u8; 10] });
            net.send(4001, to, &packet);
        }
    })
}

#[test]
fn an_srtcp_index_under_one_key_is_used_once() {
    const E: u32 = 1 << 31;
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32, Suite::AeadAes128Gcm] {
        assert!(srtcp(suite, &[E, E | 1, E | 5]).is_empty(), "{suite:?}");
        assert_one(&srtcp(suite, &[E | 3, E | 3]), "from SRTCP index 3");
        assert_one(&srtcp(suite, &[E | 3, E | 2]), "to 2 under");
        assert_one(&srtcp(suite, &[4]), "not encrypted");
    }
}

#[test]
fn the_same_ciphertext_twice_is_seen_unless_an_attacker_replays_it() {
    let twice = |hostile: bool| {
        broken_by(|net, to| {
            if hostile {
                net.report(Fact::Hostile { host: net.host() });
            }
            for sequence in [1, 2] {
                let mut packet = srtp(1, 0);
                packet[3] = sequence;
                net.send(4000, to, &packet);
            }
        })
    };
    assert_one(&twice(false), "same ciphertext");
    assert!(twice(true).is_empty());
}

const SECURE: Claim = Claim { signalling: true, voice: true };
const BYE: &[u8] = b"BYE sip:b@c SIP/2.0\r\nCall-ID: one\r\nCSeq: 2 BYE\r\n\r\n";

/// A host with one call whose padlock is shut, which writes this to a TCP connection.
fn written(named: Option<&str>, bytes: &'static [u8]) -> Vec<String> {
    struct Client {
        bytes: &'static [u8],
    }
    impl Host for Client {
        fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
            if let NetEvent::Connected { connection, .. } = event {
                net.write(connection, self.bytes);
            }
        }
    }
    let mut world = World::new(5);
    world.set_default_link(Link::perfect());
    let (a, b) = (world.add_host("alice", Client { bytes }), world.add_host("bob", Sink));
    let to = (world.ip(b), 5060).into();
    let host = a.id();
    world.report(Fact::CallNews { host, call: 1, claim: SECURE });
    if let Some(call_id) = named {
        world.report(Fact::CallNamed { host, call: 1, call_id });
    }
    world.act(a, |_, net| net.connect(to));
    world.run_for(Duration::from_secs(1));
    world.violations().iter().map(|v| format!("{}: {}", v.rule, v.problem)).collect()
}

#[test]
fn sip_in_the_clear_on_a_stream_belies_the_padlock() {
    assert_one(&written(None, BYE), "sent SIP to 10.0.0.2:5060 with the padlock shut");
    assert_one(&written(Some("one"), BYE), "padlock shut");
    // Another call's message, a refusal, and TLS.
    assert!(written(Some("two"), BYE).is_empty());
    assert!(written(Some("one"), b"SIP/2.0 481 No\r\nCall-ID: one\r\n\r\n").is_empty());
    assert!(written(Some("one"), &[23, 3, 3, 0, 1, 7]).is_empty());
}

#[test]
fn under_a_mandatory_policy_a_stranger_is_refused_in_the_clear_and_nothing_else() {
    let sent = |bytes: &'static [u8]| {
        broken_by(|net, to| {
            net.report(Fact::Required { host: net.host(), on: true });
            net.send(5060, to, bytes);
        })
    };
    assert!(sent(b"SIP/2.0 488 No\r\n\r\n").is_empty());
    assert!(sent(b"SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n\r\n").is_empty());
    assert_one(&sent(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n"), "sent SIP to");
    assert_one(&sent(b"SIP/2.0 183 Listen\r\n\r\n"), "sent SIP to");
    assert_one(&sent(BYE), "sent SIP to");
}

/// What the rules say to this load.
fn held(at_end: bool, fill: impl Fn(&mut EngineLoad)) -> Vec<String> {
    let mut load = EngineLoad::default();
    fill(&mut load);
    broken_by(|net, _| net.report(Fact::Load { host: net.host(), load, at_end }))
}

type Fill = fn(&mut EngineLoad, usize);

#[test]
fn an_engine_that_holds_too_much_or_keeps_something_is_seen() {
    assert!(held(true, |load| (load.ended, load.flows, load.accounts) = (64, 3, 1)).is_empty());
    assert!(held(false, |load| (load.calls, load.transactions) = (64, 100)).is_empty());
    let cases: [(&str, Fill); 7] = [
        ("calls", |load, n| load.calls = n),
        ("transactions", |load, n| load.transactions = n),
        ("media sockets", |load, n| load.media_sockets = n),
        ("questions to the DNS", |load, n| load.queries = n),
        ("requests", |load, n| load.requests = n),
        ("invitations", |load, n| load.invites = n),
        ("events", |load, n| load.events = n),
    ];
    for (what, set) in cases {
        assert_one(&held(false, |load| set(load, 10_000)), what);
        assert_one(&held(true, |load| set(load, 1)), &format!("1 {what} at the end"));
    }
    assert_one(&held(false, |load| load.flows = 257), "flows");
    assert_one(&held(false, |load| load.ended = 65), "ended calls");
}

/// What the rules say under a mandatory policy to 40 packets of Opus, of all lengths: told of as
/// protected or not, and with a payload that is encrypted or the plain one.
fn opus(protected: bool, encrypted: bool) -> Vec<String> {
    broken_by(|net, to| {
        let host = net.host();
        net.report(Fact::Required { host, on: true });
        net.report(told(host, 1, 999));
        for index in 1_000..1_040_u64 {
            if protected {
                net.report(told(host, 1, index));
            }
            let mut packet = srtp(index, 0);
            packet[1] = 111;
            packet.truncate(12 + 40 + (index as usize * 7) % 100);
            // Wideband SILK of 20 ms, then what differs from packet to packet.
            packet[12] = if encrypted { index.wrapping_mul(167) as u8 } else { 9 << 3 };
            net.send(4000, to, &packet);
        }
    })
}

#[test]
fn opus_in_the_clear_is_seen_whatever_its_length_and_whatever_is_said_of_it() {
    assert!(opus(true, true).is_empty());
    // Nobody says that it is encrypted.
    for encrypted in [false, true] {
        let broken = opus(false, encrypted);
        assert!(!broken.is_empty());
        assert!(broken.iter().all(|problem| problem.contains("sent RTP to")), "{broken:?}");
    }
    // It is said to be, and is not.
    let broken = opus(true, false);
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken.iter().all(|problem| problem.contains("that reads as plain: 1 first bytes")));
}
