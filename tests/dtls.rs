//! DTLS-SRTP over the public API: two ends, SRTP with the keys that come out, hostile datagrams.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use proptest::prelude::*;
use subrosa::crypto::dtls::{
    DtlsFailure, DtlsIdentity, DtlsRole, DtlsSession, DtlsSrtpKeys, DtlsState, DtlsVersions,
    Fingerprint, FingerprintHash, Fingerprints, MAX_DATAGRAM, is_dtls,
};
use subrosa::crypto::safety_number::SafetyNumber;
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::{Rng, RngExt, SeededRng};

fn identity(seed: u64) -> DtlsIdentity {
    DtlsIdentity::generate(UnixTime::from_secs(1_800_000_000), &mut SeededRng::new(seed)).unwrap()
}

fn fingerprints(identity: &DtlsIdentity) -> Fingerprints {
    // By way of its text, as in SDP.
    let value = identity.fingerprint(FingerprintHash::Sha256).to_string();
    Fingerprints::parse_all([value.as_str()]).unwrap()
}

fn session(role: DtlsRole, versions: DtlsVersions, own: u64, peer: u64, seed: u64) -> DtlsSession {
    let expected = Some(fingerprints(&identity(peer)));
    let mut rng = SeededRng::new(seed);
    DtlsSession::new(role, versions, &identity(own), expected, Instant::ZERO, &mut rng)
}

fn pair(versions: DtlsVersions, seed: u64) -> [DtlsSession; 2] {
    [
        session(DtlsRole::Active, versions, 1, 2, seed),
        session(DtlsRole::Passive, versions, 2, 1, seed ^ 0xffff),
    ]
}

fn poll(end: &mut DtlsSession) -> Vec<Vec<u8>> {
    let mut buf = [0; 1_200];
    core::iter::from_fn(|| end.poll_output(&mut buf).map(|len| buf[..len].to_vec())).collect()
}

fn keys(end: &DtlsSession) -> &DtlsSrtpKeys {
    match end.state() {
        DtlsState::Established { keys, .. } => keys,
        other => panic!("{other:?} {end:?}"),
    }
}

/// Runs both ends in virtual time; `path` says what comes of a datagram on its way to an end.
/// Returns what was sent.
fn run(
    ends: &mut [DtlsSession; 2],
    limit: Duration,
    mut path: impl FnMut(usize, Vec<u8>) -> Vec<Vec<u8>>,
) -> usize {
    let (mut now, mut sent, mut fired) = (Instant::ZERO, 0, 0);
    while now < Instant::ZERO + limit {
        let out = [poll(&mut ends[0]), poll(&mut ends[1])];
        if out.iter().all(Vec::is_empty) {
            let Some(next) = ends.iter().filter_map(DtlsSession::next_timeout).min() else { break };
            fired += 1;
            assert!(fired < 200, "a timer loop of zero delay");
            now = now.max(next);
            ends.iter_mut().for_each(|end| end.handle_timeout(now));
            continue;
        }
        // Half the round trip.
        now += Duration::from_millis(30);
        for (from, datagrams) in out.into_iter().enumerate() {
            sent += datagrams.len();
            for datagram in datagrams {
                for arriving in path(1 - from, datagram) {
                    ends[1 - from].handle_datagram(now, &arriving);
                }
            }
        }
    }
    sent
}

#[test]
fn the_keys_of_both_ends_are_each_others() {
    for versions in [DtlsVersions::All, DtlsVersions::Only12, DtlsVersions::Only13] {
        let mut ends = pair(versions, 1);
        run(&mut ends, Duration::from_secs(5), |_, datagram| {
            assert!(is_dtls(&datagram) && datagram.len() <= 1_200);
            vec![datagram]
        });
        let (a, b) = (keys(&ends[0]), keys(&ends[1]));
        assert_eq!((a.send(), a.receive()), (b.receive(), b.send()));
        assert_eq!(a.suite(), b.suite());
        let shown = format!("{:?} {:?}", ends[0], ends[1]);
        for key in [a.send(), a.receive()] {
            assert!(!shown.contains(&format!("{:?}", key.expose())));
        }
        assert!(shown.contains("[redacted]"));
    }
}

#[test]
fn both_people_read_the_same_safety_number() {
    let mut ends = pair(DtlsVersions::All, 1);
    run(&mut ends, Duration::from_secs(5), |_, datagram| vec![datagram]);
    let number = |own: u64, own_id: &str, end: &DtlsSession, peer_id: &str| {
        let own = identity(own).fingerprint(FingerprintHash::Sha256);
        let peer = Fingerprint::of(FingerprintHash::Sha256, end.peer_certificate().unwrap());
        SafetyNumber::new(&own, own_id, &peer, peer_id).unwrap()
    };
    let alice = number(1, "sip:alice@example.com", &ends[0], "sip:bob@example.com");
    let bob = number(2, "sip:bob@example.com", &ends[1], "sip:alice@example.com");
    assert_eq!(alice.to_string(), bob.to_string());
    assert_eq!(alice.verify_scanned(&bob.scan_payload()), Ok(()));
}

#[test]
fn somebody_in_the_middle_gets_no_keys_from_either() {
    // Mallory ends both associations with a certificate of her own.
    let mut left = [
        session(DtlsRole::Active, DtlsVersions::All, 1, 2, 1),
        session(DtlsRole::Passive, DtlsVersions::All, 3, 1, 2),
    ];
    let mut right = [
        session(DtlsRole::Active, DtlsVersions::All, 3, 2, 3),
        session(DtlsRole::Passive, DtlsVersions::All, 2, 1, 4),
    ];
    run(&mut left, Duration::from_secs(60), |_, datagram| vec![datagram]);
    run(&mut right, Duration::from_secs(60), |_, datagram| vec![datagram]);
    for victim in [&left[0], &right[1]] {
        let DtlsState::Failed(failure) = victim.state() else { panic!("{victim:?}") };
        let presented = identity(3).fingerprint(FingerprintHash::Sha256);
        assert_eq!(*failure, DtlsFailure::FingerprintMismatch { presented });
    }
}

#[test]
fn sixty_handshakes_over_a_bad_link_complete() {
    for seed in 0..60 {
        let versions =
            [DtlsVersions::All, DtlsVersions::Only12, DtlsVersions::Only13][seed as usize % 3];
        let mut ends = pair(versions, seed);
        let mut rng = SeededRng::new(seed);
        let mut held: Option<(usize, Vec<u8>)> = None;
        run(&mut ends, Duration::from_secs(60), |to, datagram| {
            // 30 % lost, 10 % twice, 10 % overtaken by the next one in their direction.
            let mut out = match rng.below(10) {
                0..=2 => vec![],
                3 => vec![datagram.clone(), datagram],
                4 if held.is_none() => {
                    held = Some((to, datagram));
                    vec![]
                }
                _ => vec![datagram],
            };
            if let Some((_, late)) =
                held.take_if(|(direction, _)| *direction == to && !out.is_empty())
            {
                out.push(late);
            }
            out
        });
        assert_eq!(keys(&ends[0]).send(), keys(&ends[1]).receive(), "{seed}");
    }
}

#[test]
fn a_flood_does_not_grow_the_queue_nor_stop_the_call() {
    let mut ends = pair(DtlsVersions::All, 7);
    let mut rng = SeededRng::new(7);
    let mut flood = |end: &mut DtlsSession| {
        for _ in 0..2_000 {
            let mut garbage = vec![0; 1 + rng.below(1_400) as usize];
            rng.fill(&mut garbage);
            // A plausible record of a plausible handshake message, full of garbage.
            for (slot, b) in garbage.iter_mut().zip([22, 0xfe, 0xfd, 0, 0]) {
                *slot = b;
            }
            end.handle_datagram(Instant::ZERO, &garbage);
        }
    };
    ends.iter_mut().for_each(&mut flood);
    let mut more = 0;
    let sent = run(&mut ends, Duration::from_secs(30), |_, datagram| {
        more += 1;
        vec![datagram]
    });
    assert!(sent < 100 && more < 100, "{sent}");
    assert_eq!(keys(&ends[0]).send(), keys(&ends[1]).receive());
    ends.iter_mut().for_each(&mut flood);
    assert!(ends.iter_mut().all(|end| poll(end).len() < 65));
    assert_eq!(keys(&ends[0]).send(), keys(&ends[1]).receive());
}

#[test]
fn too_small_a_buffer_costs_a_datagram_and_no_more() {
    let mut ends = pair(DtlsVersions::Only13, 1);
    assert_eq!(ends[0].poll_output(&mut [0; 10]), None);
    assert_eq!(ends[0].counters().unsent, 1);
    run(&mut ends, Duration::from_secs(30), |_, datagram| vec![datagram]);
    assert_eq!(keys(&ends[0]).send(), keys(&ends[1]).receive());
}

fn damage(datagram: &mut Vec<u8>, rng: &mut SeededRng) {
    match rng.below(6) {
        0 => datagram.truncate(rng.below(datagram.len() as u32) as usize),
        1 => datagram.extend_from_slice(&[0xfe; 40]),
        2 => datagram.resize(MAX_DATAGRAM + 1, 0),
        _ => {
            for _ in 0..=rng.below(4) {
                let at = rng.below(datagram.len() as u32) as usize;
                datagram[at] ^= 1 << rng.below(8);
            }
        }
    }
}

/// Runs over a path where a share of the datagrams comes damaged too, before or after the whole.
fn run_damaged(versions: DtlsVersions, seed: u64, percent: u32) -> [DtlsSession; 2] {
    let mut ends = pair(versions, seed);
    let mut rng = SeededRng::new(seed);
    run(&mut ends, Duration::from_secs(60), |_, datagram| {
        let mut copies = vec![datagram.clone()];
        if rng.below(100) < percent {
            let mut copy = datagram;
            damage(&mut copy, &mut rng);
            copies.insert(rng.below(2) as usize, copy);
        }
        copies
    });
    ends
}

/// Damage that dimpl answers with a timer that is due and stays due: a handshake that went wrong
/// like that is begun anew.
#[test]
fn a_handshake_that_is_stuck_does_not_spin_and_another_comes_to_its_end() {
    let ends = run_damaged(DtlsVersions::Only13, 5_457_740_265_760_009_236, 39);
    assert_eq!(keys(&ends[0]).send(), keys(&ends[1]).receive());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every datagram arrives damaged as well as whole, before or after: never a panic, never
    /// different keys, never keys for the wrong certificate.
    #[test]
    fn damaged_copies_never_harm(seed in any::<u64>(), damaged in 0_u32..60, version in 0_usize..3) {
        let versions = [DtlsVersions::All, DtlsVersions::Only12, DtlsVersions::Only13][version];
        let ends = run_damaged(versions, seed, damaged);
        if let [DtlsState::Established { keys: a, .. }, DtlsState::Established { keys: b, .. }] =
            [ends[0].state(), ends[1].state()]
        {
            prop_assert_eq!(a.send(), b.receive());
            prop_assert_eq!(a.receive(), b.send());
        }
    }

    /// After the handshake nothing that is not authenticated changes anything.
    #[test]
    fn nothing_forged_changes_an_established_session(
        seed in any::<u64>(), kinds in proptest::collection::vec(0_u8..7, 1..40),
    ) {
        let mut ends = pair(DtlsVersions::All, seed);
        let mut seen = Vec::new();
        run(&mut ends, Duration::from_secs(5), |_, datagram| {
            seen.push(datagram.clone());
            vec![datagram]
        });
        let before = [ends[0].state().clone(), ends[1].state().clone()];
        let mut rng = SeededRng::new(seed);
        for kind in kinds {
            let mut datagram = seen[rng.below(seen.len() as u32) as usize].clone();
            match kind {
                0..=2 => damage(&mut datagram, &mut rng),
                3 => datagram = poll(&mut pair(DtlsVersions::Only12, seed ^ 1)[0]).remove(0),
                4 => datagram = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0],
                5 => rng.fill(&mut datagram),
                _ => {}
            }
            for end in &mut ends {
                end.handle_datagram(Instant::from_millis(9_000), &datagram);
            }
        }
        prop_assert_eq!([ends[0].state().clone(), ends[1].state().clone()], before);
        prop_assert!(ends.iter_mut().all(|end| poll(end).len() <= 40));
    }
}
