//! Somebody who writes in the peer's name while the two phones of a call shake hands by DTLS:
//! forged hellos, answers and alerts, before, during and after the peer's own. The call comes to
//! keys with the peer all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/dtls_scene.rs"]
mod dtls_scene;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/scene.rs"]
mod scene;

use std::net::SocketAddr;

use dtls_scene::{kind, record, scene};
use scene::{Fate, Scene};
use subrosa::crypto::dtls::{DtlsIdentity, DtlsRole, DtlsSession, DtlsVersions, is_dtls};
use subrosa::crypto::srtp::UnprotectError;
use subrosa::engine::{CallState, EndReason, FailureReason, Keying};
use subrosa::sim::EPOCH;
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;

const VERSIONS: [DtlsVersions; 2] = [DtlsVersions::All, DtlsVersions::Only12];

fn thief(role: DtlsRole, versions: DtlsVersions, now: Instant, seed: u64) -> DtlsSession {
    let identity = DtlsIdentity::generate(EPOCH, &mut SeededRng::new(99)).unwrap();
    DtlsSession::new(role, versions, &identity, None, now, &mut SeededRng::new(seed))
}

fn poll(session: &mut DtlsSession) -> Vec<Vec<u8>> {
    let mut buf = [0; 1_200];
    core::iter::from_fn(|| session.poll_output(&mut buf).map(|len| buf[..len].to_vec())).collect()
}

fn hello(versions: DtlsVersions, now: Instant, seed: u64) -> Vec<u8> {
    poll(&mut thief(DtlsRole::Active, versions, now, seed)).remove(0)
}

fn message(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).unwrap();
    let header = [kind, 0, 0, len, 0, number, 0, 0, 0, 0, 0, len];
    record(22, &[&header[..], body].concat())
}

/// A ServerHello of DTLS 1.2 with a suite that was offered.
fn server_hello(number: u8) -> Vec<u8> {
    let extensions = [0, 23, 0, 0, 0, 14, 0, 5, 0, 2, 0, 8, 0];
    let mut body = vec![0xfe, 0xfd];
    body.extend([0x5a; 32]);
    body.extend([0, 0xc0, 0x2c, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    message(2, number, &body)
}

fn verify_request() -> Vec<u8> {
    message(3, 0, &[&[0xfe, 0xff, 20][..], &[0x77; 20]].concat())
}

fn assert_comes_up(scene: &mut Scene) {
    scene.run(10_000);
    scene.check();
    assert!(scene.deeds() > 0);
    assert_eq!(scene.clear_voice(), 0);
    let ladder = scene.pair.world.ladder();
    let reports = [0, 1].map(|side| {
        assert_eq!(scene.state(side), CallState::Established, "{:?}\n{ladder}", scene.ended(side));
        scene.report(side)
    });
    for (own, other) in [(0, 1), (1, 0)] {
        let (out, into) = (&reports[own].media_out, &reports[other].media_in);
        let (out, into) = (out.as_ref().expect(&ladder), into.as_ref().expect(&ladder));
        assert_eq!(out.keying, Keying::Dtls { authenticated: false });
        assert_eq!(out.suite, into.suite);
        assert_eq!(scene.media(own).refused_for(UnprotectError::AuthFailed), 0);
    }
    assert!(scene.pair.bob_hears(), "{ladder}");
}

#[test]
fn a_forged_hello_before_the_peers_does_not_take_its_place() {
    for versions in VERSIONS {
        let mut done = false;
        let mut scene = scene(versions, move |net, piece| {
            if done || !is_dtls(piece.bytes) {
                return Fate::Pass;
            }
            done = true;
            net.send_from(piece.from, piece.to, &hello(versions, net.now(), 5));
            Fate::Changed
        });
        assert_comes_up(&mut scene);
    }
}

#[test]
fn a_forged_hello_after_the_peers_does_not_take_its_place() {
    for versions in VERSIONS {
        // Behind the n-th datagram of the client's: its first hello, its second one, its last flight.
        for nth in 1..=3 {
            let (mut seen, mut client) = (0, None);
            let mut scene = scene(versions, move |net, piece| {
                if !is_dtls(piece.bytes) || *client.get_or_insert(piece.from) != piece.from {
                    return Fate::Pass;
                }
                seen += 1;
                if seen != nth {
                    return Fate::Pass;
                }
                net.send_from(piece.from, piece.to, &piece.bytes.clone());
                net.send_from(piece.from, piece.to, &hello(versions, net.now(), 5));
                Fate::Drop
            });
            assert_comes_up(&mut scene);
        }
    }
}

#[test]
fn a_forged_hello_in_a_call_that_has_its_keys_changes_nothing() {
    for versions in VERSIONS {
        let mut scene = scene(versions, |_, _| Fate::Pass);
        let media = [0, 1].map(|side| scene.media_address(side));
        for seed in 0..50 {
            let forged = hello(versions, scene.pair.world.now(), seed);
            scene.say(media[1], media[0], &forged);
            scene.say(media[0], media[1], &forged);
            scene.run(20);
        }
        assert_comes_up(&mut scene);
    }
}

#[test]
fn a_thousand_forged_hellos_do_not_keep_the_peer_out() {
    for versions in VERSIONS {
        let mut done = false;
        let mut scene = scene(versions, move |net, piece| {
            if done || !is_dtls(piece.bytes) {
                return Fate::Pass;
            }
            done = true;
            for seed in 0..1_000 {
                net.send_from(piece.from, piece.to, &hello(versions, net.now(), seed));
            }
            Fate::Changed
        });
        assert_comes_up(&mut scene);
    }
}

#[test]
fn forged_answers_before_the_servers_do_not_end_the_call() {
    let forgeries: [fn() -> Vec<Vec<u8>>; 5] = [
        || vec![server_hello(0)],
        || vec![verify_request()],
        || vec![verify_request(), server_hello(1)],
        || vec![server_hello(0), record(22, &[0xff; 60]), record(20, &[1])],
        || vec![record(21, &[2, 40]), server_hello(0), record(21, &[2, 80]), verify_request()],
    ];
    for versions in VERSIONS {
        for (which, forged) in forgeries.into_iter().enumerate() {
            let mut times = 0;
            let mut scene = scene(versions, move |net, piece| {
                // Three times: the next tries of the client's are met too.
                if kind(piece.bytes) != Some(1) || times >= 3 {
                    return Fate::Pass;
                }
                times += 1;
                for forged in forged() {
                    net.send_from(piece.to, piece.from, &forged);
                }
                Fate::Changed
            });
            println!("{versions:?} {which}");
            assert_comes_up(&mut scene);
        }
    }
}

#[test]
fn forged_alerts_do_not_end_the_call() {
    for versions in VERSIONS {
        for description in [0, 40, 43, 71, 80] {
            // One beside each datagram of the handshake, in both directions, and it is slow: for
            // three seconds the server is not heard.
            let (mut first, mut client) = (None, None);
            let mut scene = scene(versions, move |net, piece| {
                if !is_dtls(piece.bytes) {
                    return Fate::Pass;
                }
                let client = *client.get_or_insert(piece.from);
                let since = *first.get_or_insert(net.now());
                let alert = record(21, &[2, description]);
                net.send_from(piece.from, piece.to, &alert);
                net.send_from(piece.to, piece.from, &alert);
                let silent = net.now() < since + Duration::from_secs(3);
                if silent && piece.from != client { Fate::Drop } else { Fate::Changed }
            });
            assert_comes_up(&mut scene);
        }
    }
}

/// A thief on the path who answers in place of the server, and of whom the phones are rid after a
/// while (or never).
fn in_the_middle(versions: DtlsVersions, role: DtlsRole, until: Option<Duration>) -> Scene {
    let mut session: Option<(DtlsSession, SocketAddr)> = None;
    let mut first = None;
    scene(versions, move |net, piece| {
        if !is_dtls(piece.bytes) {
            return Fate::Pass;
        }
        let now = net.now();
        let since = *first.get_or_insert(now);
        if until.is_some_and(|until| since + until <= now) {
            return Fate::Pass;
        }
        let from_client = session.as_ref().is_none_or(|(_, client)| *client == piece.from);
        let (session, _) =
            session.get_or_insert_with(|| (thief(role, versions, now, 5), piece.from));
        let (client, server) =
            if from_client { (piece.from, piece.to) } else { (piece.to, piece.from) };
        // The client is spoken to by the thief as a server, or the server as by a client.
        let to_client = role == DtlsRole::Passive;
        let (victim, other) = if to_client { (client, server) } else { (server, client) };
        if from_client == to_client {
            session.handle_datagram(now, piece.bytes);
        }
        for datagram in poll(session) {
            net.send_from(other, victim, &datagram);
        }
        Fate::Drop
    })
}

#[test]
fn a_thief_who_goes_all_the_way_for_a_while_is_left_for_the_peer() {
    for versions in VERSIONS {
        for role in [DtlsRole::Active, DtlsRole::Passive] {
            let mut scene = in_the_middle(versions, role, Some(Duration::from_secs(2)));
            assert_comes_up(&mut scene);
        }
    }
}

#[test]
fn a_thief_alone_ends_the_call_within_seconds_and_with_the_reason() {
    for versions in VERSIONS {
        for (role, victim) in [(DtlsRole::Active, 0), (DtlsRole::Passive, 1)] {
            let mut scene = in_the_middle(versions, role, None);
            scene.run(3_000);
            scene.check();
            let end = scene.ended(victim);
            let Some(EndReason::Failed(FailureReason::Keying(why))) = end else {
                panic!("{role:?} {end:?}\n{}", scene.pair.world.ladder())
            };
            assert!(why.contains("is not the signalled one"), "{why}");
            assert_eq!(scene.clear_voice(), 0);
        }
    }
}
