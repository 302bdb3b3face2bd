//! Two sessions against each other, in virtual time.

use super::*;
use crate::crypto::srtp::Suite;
use crate::time::{Duration, Instant, UnixTime};
use crate::util::{Rng, RngExt, SeededRng};

fn identity(seed: u64) -> DtlsIdentity {
    DtlsIdentity::generate(UnixTime::from_secs(1_800_000_000), &mut SeededRng::new(seed)).unwrap()
}

fn sha256(identity: &DtlsIdentity) -> Fingerprints {
    identity.fingerprint(FingerprintHash::Sha256).into()
}

/// Two ends and the datagrams that are under way between them.
struct Pair {
    ends: [DtlsSession; 2],
    under_way: [Vec<Vec<u8>>; 2],
    now: Instant,
}

impl Pair {
    fn new(versions: [DtlsVersions; 2], seed: u64) -> Self {
        let (a, b) = (identity(1), identity(2));
        let expected = [Some(sha256(&b)), Some(sha256(&a))];
        Self::expecting(versions, expected, seed)
    }

    fn expecting(
        versions: [DtlsVersions; 2],
        expected: [Option<Fingerprints>; 2],
        seed: u64,
    ) -> Self {
        let now = Instant::from_millis(1_000);
        let [ours, theirs] = expected;
        let mut rng = SeededRng::new(seed);
        let mut end = |role, versions, own: &DtlsIdentity, expected| {
            DtlsSession::new(role, versions, own, expected, now, &mut rng)
        };
        let ends = [
            end(DtlsRole::Active, versions[0], &identity(1), ours),
            end(DtlsRole::Passive, versions[1], &identity(2), theirs),
        ];
        Self { ends, under_way: Default::default(), now }
    }

    fn poll(&mut self) {
        let mut buf = [0; 1_200];
        for (end, out) in self.ends.iter_mut().zip(&mut self.under_way) {
            while let Some(len) = end.poll_output(&mut buf) {
                out.push(buf[..len].to_vec());
            }
        }
    }

    /// Delivers what is under way, each datagram `copies` times.
    fn deliver(&mut self, mut copies: impl FnMut(&[u8]) -> usize) {
        self.poll();
        for to in [1, 0] {
            for datagram in std::mem::take(&mut self.under_way[1 - to]) {
                for _ in 0..copies(&datagram) {
                    self.ends[to].handle_datagram(self.now, &datagram);
                }
            }
        }
        self.poll();
    }

    /// Lets time pass to the next timer; `false` if there is none.
    fn wait(&mut self) -> bool {
        let Some(next) = self.ends.iter().filter_map(DtlsSession::next_timeout).min() else {
            return false;
        };
        assert!(next > self.now || self.now == Instant::ZERO, "no timer loop of zero delay");
        self.now = next;
        self.ends.iter_mut().for_each(|end| end.handle_timeout(next));
        true
    }

    fn run(&mut self) {
        for _ in 0..20 {
            self.deliver(|_| 1);
        }
    }

    /// Runs over a link that loses datagrams, until both are done or `limit` has passed.
    fn run_lossy(&mut self, percent: u32, seed: u64, limit: Duration) {
        let mut rng = SeededRng::new(seed);
        let end = self.now + limit;
        while self.now < end {
            self.poll();
            if self.under_way.iter().all(Vec::is_empty) && !self.wait() {
                break;
            }
            self.deliver(|_| usize::from(rng.below(100) >= percent));
        }
    }

    fn keys(&self, end: usize) -> (&DtlsSrtpKeys, DtlsVersion) {
        match self.ends[end].state() {
            DtlsState::Established { keys, version, .. } => (keys, *version),
            other => panic!("{other:?} {:?}", self.ends[end].counters()),
        }
    }

    fn assert_established(&self) -> DtlsVersion {
        let ((a, version), (b, other)) = (self.keys(0), self.keys(1));
        assert_eq!((a.send(), a.receive()), (b.receive(), b.send()));
        assert_ne!(a.send(), a.receive());
        assert_eq!((a.suite(), version), (b.suite(), other));
        version
    }
}

const ALL: DtlsVersions = DtlsVersions::All;
const V12: DtlsVersions = DtlsVersions::Only12;
const V13: DtlsVersions = DtlsVersions::Only13;

#[test]
fn every_pair_of_versions_meets_at_the_best() {
    use DtlsVersion::{Dtls12, Dtls13};
    for (active, passive, version) in [
        (ALL, ALL, Dtls13),
        (ALL, V12, Dtls12),
        (V12, ALL, Dtls12),
        (ALL, V13, Dtls13),
        (V13, ALL, Dtls13),
        (V12, V12, Dtls12),
        (V13, V13, Dtls13),
    ] {
        let mut pair = Pair::new([active, passive], 1);
        pair.run();
        assert_eq!(pair.assert_established(), version, "{active:?} {passive:?}");
        assert_eq!(pair.keys(0).0.suite(), Suite::AeadAes256Gcm);
        assert_eq!(pair.ends[0].peer_certificate(), Some(identity(2).certificate()));
        assert_eq!(pair.ends[1].peer_certificate(), Some(identity(1).certificate()));
        assert_eq!(pair.ends.iter().filter_map(DtlsSession::next_timeout).min(), None);
    }
}

#[test]
fn another_seed_gives_other_keys_and_the_same_seed_the_same() {
    let run = |seed| {
        let mut pair = Pair::new([ALL, ALL], seed);
        pair.run();
        pair.assert_established();
        pair.keys(0).0.clone()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_wrong_fingerprint_gives_no_keys() {
    for versions in [V12, V13] {
        for end in [0, 1] {
            let mut expected = [Some(sha256(&identity(2))), Some(sha256(&identity(1)))];
            expected[end] = Some(sha256(&identity(3)));
            let mut pair = Pair::expecting([versions; 2], expected, 1);
            pair.run_lossy(0, 1, Duration::from_secs(5));
            let presented = identity(if end == 0 { 2 } else { 1 });
            let presented = presented.fingerprint(FingerprintHash::Sha256);
            let failure = DtlsFailure::FingerprintMismatch { presented };
            assert_eq!(*pair.ends[end].state(), DtlsState::Failed(failure));
            assert_eq!(pair.ends[end].next_timeout(), None);
        }
    }
}

#[test]
fn a_late_fingerprint_releases_the_keys_or_fails() {
    for versions in [V12, V13] {
        for end in [0, 1] {
            let mut expected = [Some(sha256(&identity(2))), Some(sha256(&identity(1)))];
            let right = expected[end].take().unwrap();
            for (late, good) in [(right, true), (sha256(&identity(3)), false)] {
                let mut pair = Pair::expecting([versions; 2], expected.clone(), 1);
                pair.run();
                assert_eq!(*pair.ends[end].state(), DtlsState::AwaitingFingerprint);
                pair.ends[end].set_remote_fingerprints(late.clone());
                assert_eq!(pair.ends[end].accepts(&late), good);
                if good {
                    pair.assert_established();
                } else {
                    assert!(matches!(
                        pair.ends[end].state(),
                        DtlsState::Failed(DtlsFailure::FingerprintMismatch { .. })
                    ));
                }
            }
        }
    }
}

#[test]
fn the_strongest_hash_decides() {
    let (good, bad) = (identity(1), identity(3));
    let values = [
        good.fingerprint(FingerprintHash::Sha256).to_string(),
        bad.fingerprint(FingerprintHash::Sha512).to_string(),
    ];
    let expected = Fingerprints::parse_all(values.iter().map(String::as_str)).unwrap();
    let mut pair = Pair::expecting([ALL; 2], [None, Some(expected)], 1);
    pair.run_lossy(0, 1, Duration::from_secs(5));
    assert!(matches!(pair.ends[1].state(), DtlsState::Failed(_)));
}

#[test]
fn a_third_of_the_datagrams_may_be_lost() {
    for versions in [V12, V13, ALL] {
        for seed in 0..20 {
            let mut pair = Pair::new([versions; 2], seed);
            pair.run_lossy(30, seed, Duration::from_secs(40));
            pair.assert_established();
        }
    }
}

#[test]
fn a_silent_peer_is_given_up() {
    for versions in [V12, V13, ALL] {
        let mut pair = Pair::new([versions; 2], 1);
        pair.run_lossy(100, 1, Duration::from_secs(600));
        let timed_out = DtlsFailure::TimedOut { alert: None };
        assert_eq!(*pair.ends[0].state(), DtlsState::Failed(timed_out));
        assert!(pair.now < Instant::from_millis(41_000));
        // The passive end heard nothing and still waits, without a timer.
        assert_eq!(*pair.ends[1].state(), DtlsState::Handshaking);
        assert_eq!(pair.ends[1].next_timeout(), None);
    }
}

#[test]
fn duplicates_and_replays_change_nothing() {
    for versions in [V12, V13] {
        let mut pair = Pair::new([versions; 2], 1);
        let mut seen = Vec::new();
        for _ in 0..20 {
            pair.deliver(|datagram| {
                seen.push(datagram.to_vec());
                3
            });
        }
        pair.assert_established();
        let before = pair.keys(0).0.clone();
        for datagram in &seen {
            for end in &mut pair.ends {
                end.handle_datagram(pair.now, datagram);
            }
        }
        pair.run();
        pair.assert_established();
        assert_eq!(*pair.keys(0).0, before);
    }
}

#[test]
fn close_notify_ends_the_association() {
    for versions in [V12, V13] {
        let mut pair = Pair::new([versions; 2], 1);
        pair.run();
        let now = pair.now;
        pair.ends[0].close(now);
        assert_eq!(*pair.ends[0].state(), DtlsState::Closed);
        pair.run();
        assert_eq!(*pair.ends[1].state(), DtlsState::Closed, "{versions:?}");
    }
}

#[test]
fn a_forged_hello_after_the_handshake_harms_nothing() {
    for versions in [V12, V13, ALL] {
        let mut pair = Pair::new([versions; 2], 1);
        pair.run();
        let keys = pair.keys(1).0.clone();
        let mut attacker = Pair::new([versions; 2], 99);
        attacker.poll();
        for hello in &attacker.under_way[0] {
            for end in &mut pair.ends {
                end.handle_datagram(pair.now, hello);
                assert_eq!(end.counters().late_hellos, 1);
            }
        }
        pair.poll();
        assert!(pair.under_way.iter().all(Vec::is_empty), "and is not answered");
        assert_eq!(*pair.keys(1).0, keys);
    }
}

#[test]
fn a_forged_hello_before_the_real_one_harms_nothing() {
    for versions in [V12, V13, ALL] {
        let mut pair = Pair::new([versions; 2], 1);
        for seed in 90..99 {
            let mut attacker = Pair::new([versions; 2], seed);
            attacker.poll();
            for hello in &attacker.under_way[0] {
                pair.ends[1].handle_datagram(pair.now, hello);
            }
        }
        // The attacker, off the path, does not see what the server answers.
        let mut lost = [0; 1_200];
        while pair.ends[1].poll_output(&mut lost).is_some() {}
        pair.run_lossy(0, 1, Duration::from_secs(30));
        pair.assert_established();
    }
}

#[test]
fn forged_hellos_between_the_real_ones_harm_nothing() {
    for versions in [V12, V13, ALL] {
        let mut pair = Pair::new([versions; 2], 1);
        pair.deliver(|_| 1);
        for seed in 90..93 {
            let mut attacker = Pair::new([versions; 2], seed);
            attacker.poll();
            for hello in &attacker.under_way[0] {
                pair.ends[1].handle_datagram(pair.now, hello);
                // One that dimpl cannot take.
                let mut broken = hello.clone();
                broken[25] = 0;
                broken[40] ^= 1;
                pair.ends[1].handle_datagram(pair.now, &broken);
            }
            // The answers go to the attacker's address.
            while pair.ends[1].poll_output(&mut [0; 1_200]).is_some() {}
            pair.deliver(|_| 1);
        }
        pair.run_lossy(0, 1, Duration::from_secs(30));
        pair.assert_established();
        assert!(pair.ends[1].counters().rival_hellos + pair.ends[1].counters().late_hellos > 0);
    }
}

#[test]
fn forged_alerts_and_garbage_during_the_handshake_harm_nothing() {
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    for versions in [V12, V13, ALL] {
        let mut pair = Pair::new([versions; 2], 1);
        let mut rng = SeededRng::new(5);
        for _ in 0..20 {
            pair.poll();
            for end in &mut pair.ends {
                end.handle_datagram(pair.now, &alert);
                for len in [1, 13, 14, 60, 1_400] {
                    let mut garbage = vec![0; len];
                    rng.fill(&mut garbage);
                    garbage[0] = 20 + garbage[0] % 44;
                    end.handle_datagram(pair.now, &garbage);
                }
                end.handle_datagram(pair.now, &[22; MAX_DATAGRAM + 1]);
                end.handle_datagram(pair.now, &[0x80, 0]);
                end.handle_datagram(pair.now, &[]);
            }
            pair.deliver(|_| 1);
        }
        pair.assert_established();
        let counters = pair.ends[1].counters();
        assert!(counters.forgeable_alerts >= 1 && counters.oversized >= 20);
        assert_eq!(counters.not_dtls, 40);
    }
}

#[test]
fn a_session_can_move_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Pair::new([ALL; 2], 1).ends[0]);
}

/// dimpl as the peer, with no vault: it computes everything itself.
struct Bare {
    dtls: dimpl::Dtls,
    rng: lend::Ratchet,
    identity: DtlsIdentity,
    clock: config::Clock,
    material: Vec<u8>,
}

impl Bare {
    fn new(role: DtlsRole, versions: DtlsVersions, now: Instant) -> Self {
        let mut rng = lend::Ratchet::new(&mut SeededRng::new(77));
        let (identity, clock) = (identity(2), config::Clock::new(now));
        let certificate = identity.certificate();
        let dtls = lend::lend(&mut rng, identity.key(), || {
            let settings = config::settings(1).unwrap();
            config::instance(&settings, role, versions, certificate, clock.to_std(now))
        });
        Self { dtls, rng, identity, clock, material: vec![] }
    }

    /// What it answers to these datagrams.
    fn drive(&mut self, now: Instant, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let Self { dtls, rng, identity, clock, material } = self;
        let mut out = vec![];
        lend::lend(rng, identity.key(), || {
            dtls.handle_timeout(clock.to_std(now)).unwrap();
            for datagram in datagrams {
                dtls.handle_packet(datagram).unwrap();
            }
            let mut buffer = vec![0; 4096];
            loop {
                match dtls.poll_output(&mut buffer) {
                    dimpl::Output::Packet(packet) => out.push(packet.to_vec()),
                    dimpl::Output::KeyingMaterial(keys, _) => *material = keys.to_vec(),
                    dimpl::Output::Timeout(_) => return,
                    _ => {}
                }
            }
        });
        out
    }
}

#[test]
fn what_the_vault_exports_is_what_dimpl_computes_by_itself() {
    let now = Instant::from_millis(1_000);
    for versions in [DtlsVersions::Only12, DtlsVersions::Only13] {
        for (role, theirs) in
            [(DtlsRole::Active, DtlsRole::Passive), (DtlsRole::Passive, DtlsRole::Active)]
        {
            let mut bare = Bare::new(theirs, versions, now);
            let expected = Some(sha256(&identity(2)));
            let mut rng = SeededRng::new(5);
            let mut ours = DtlsSession::new(role, versions, &identity(1), expected, now, &mut rng);
            let mut buf = [0; 1_200];
            let mut to_us = bare.drive(now, &[]);
            for _ in 0..20 {
                to_us.iter().for_each(|datagram| ours.handle_datagram(now, datagram));
                let mut to_them = vec![];
                while let Some(len) = ours.poll_output(&mut buf) {
                    to_them.push(buf[..len].to_vec());
                }
                to_us = bare.drive(now, &to_them);
            }
            let DtlsState::Established { keys, .. } = ours.state() else {
                panic!("{role:?} {versions:?} {ours:?}")
            };
            let suite = keys.suite();
            let theirs = DtlsSrtpKeys::split(theirs, suite, &bare.material).unwrap();
            assert_eq!((keys.send(), keys.receive()), (theirs.receive(), theirs.send()));
        }
    }
}
