//! What a flood of forged DTLS hellos costs a session: bounded memory, a bounded number of key
//! exchanges, and the peer comes through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/counting.rs"]
mod counting;

use subrosa::crypto::dtls::{
    DtlsIdentity, DtlsRole, DtlsSession, DtlsState, DtlsVersions, FingerprintHash,
};
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::SeededRng;

const VERSIONS: [DtlsVersions; 3] = [DtlsVersions::All, DtlsVersions::Only12, DtlsVersions::Only13];

fn identity(seed: u64) -> DtlsIdentity {
    DtlsIdentity::generate(UnixTime::from_secs(1_800_000_000), &mut SeededRng::new(seed)).unwrap()
}

fn session(role: DtlsRole, versions: DtlsVersions, own: u64, peer: u64, seed: u64) -> DtlsSession {
    let expected = identity(peer).fingerprint(FingerprintHash::Sha256).into();
    let mut rng = SeededRng::new(seed);
    DtlsSession::new(role, versions, &identity(own), Some(expected), Instant::ZERO, &mut rng)
}

fn poll(end: &mut DtlsSession) -> Vec<Vec<u8>> {
    let mut buf = [0; 1_200];
    core::iter::from_fn(|| end.poll_output(&mut buf).map(|len| buf[..len].to_vec())).collect()
}

/// Carries datagrams between two ends until both are silent.
fn meet(now: Instant, client: &mut DtlsSession, server: &mut DtlsSession) {
    for _ in 0..20 {
        poll(client).iter().for_each(|datagram| server.handle_datagram(now, datagram));
        poll(server).iter().for_each(|datagram| client.handle_datagram(now, datagram));
    }
}

fn is_established(end: &DtlsSession) -> bool {
    matches!(end.state(), DtlsState::Established { .. })
}

#[test]
fn a_flood_of_hellos_is_held_in_little_memory_and_the_peer_comes_through() {
    for versions in VERSIONS {
        let mut server = session(DtlsRole::Passive, versions, 2, 1, 1);
        let hellos: Vec<_> = (0..1_000)
            .map(|seed| poll(&mut session(DtlsRole::Active, versions, 9, 2, 1_000 + seed)))
            .collect();
        let before = counting::held();
        for hello in hellos.iter().flatten() {
            server.handle_datagram(Instant::ZERO, hello);
            while server.poll_output(&mut [0; 1_200]).is_some() {}
        }
        let held = counting::held() - before;
        println!("{versions:?}: {held} bytes after 1000 hellos");
        assert!(held < 256 * 1024, "{versions:?}: {held} bytes");
        let counters = server.counters();
        assert_eq!((counters.rival_hellos, counters.displaced), (999, 984));
        let mut client = session(DtlsRole::Active, versions, 1, 2, 5);
        meet(Instant::from_millis(10), &mut client, &mut server);
        assert!(is_established(&client) && is_established(&server), "{server:?}");
        let left = counting::held() - before;
        assert!(left < 128 * 1024, "{versions:?}: {left} bytes are kept after it");
    }
}

#[test]
fn strangers_that_return_their_cookie_cost_a_bounded_number_of_key_exchanges() {
    for versions in VERSIONS {
        let mut server = session(DtlsRole::Passive, versions, 2, 1, 1);
        let before = counting::held();
        let mut exchanges = 0;
        // Each begins a handshake to the point where the server has made its key exchange, or it
        // was refused; nobody goes on.
        for seed in 0..200 {
            let mut stranger = session(DtlsRole::Active, versions, 9, 2, 1_000 + seed);
            let mut answers = 0;
            for _ in 0..2 {
                poll(&mut stranger)
                    .iter()
                    .for_each(|hello| server.handle_datagram(Instant::ZERO, hello));
                let heard = poll(&mut server);
                answers = heard.iter().map(Vec::len).sum();
                heard.iter().for_each(|a| stranger.handle_datagram(Instant::ZERO, a));
            }
            // A request for a cookie is short, and a ServerHello comes with a certificate.
            exchanges += usize::from(answers > 400);
        }
        assert_eq!(exchanges, 16, "{versions:?}");
        assert!(server.counters().refused_hellos > 100);
        let held = counting::held() - before;
        println!("{versions:?}: {held} bytes in unfinished handshakes");
        assert!(held < 256 * 1024, "{versions:?}: {held} bytes");
        // A peer that comes while nobody else does gets its turn with one of its next hellos.
        let mut client = session(DtlsRole::Active, versions, 1, 2, 5);
        for step in 0..25 {
            let now = Instant::from_millis(step * 50);
            client.handle_timeout(now);
            meet(now, &mut client, &mut server);
        }
        assert!(is_established(&client) && is_established(&server), "{server:?}");
    }
}

#[test]
fn strangers_that_go_all_the_way_do_not_take_the_peers_place() {
    for versions in VERSIONS {
        let mut server = session(DtlsRole::Passive, versions, 2, 1, 1);
        for seed in 0..3 {
            let mut thief = session(DtlsRole::Active, versions, 9, 2, 1_000 + seed);
            meet(Instant::from_millis(seed * 100), &mut thief, &mut server);
        }
        assert_eq!(server.counters().wrong_certificates, 3, "{versions:?} {server:?}");
        assert_eq!(*server.state(), DtlsState::Handshaking);
        let mut client = session(DtlsRole::Active, versions, 1, 2, 5);
        let now = Instant::ZERO + Duration::from_millis(3_900);
        server.handle_timeout(now);
        meet(now, &mut client, &mut server);
        assert!(is_established(&client) && is_established(&server), "{server:?}");
    }
}
