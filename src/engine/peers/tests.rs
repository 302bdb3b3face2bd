use super::*;
use alloc::format;
use proptest::prelude::*;

use SecurityLevel::{EncryptedToProvider, EncryptedUnauthenticated, Plain, VerifiedEndToEnd};

const BOB: &str = "sip:bob@example.com";

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000_u64.saturating_add(secs))
}
fn print(certificate: u8) -> Fingerprint {
    Fingerprint::of(FingerprintHash::Sha256, &[certificate])
}

#[test]
fn a_first_call_is_no_news_and_a_worse_one_is() {
    let mut memory = PeerMemory::new();
    assert_eq!(memory.note(BOB, EncryptedToProvider, None, at(0)), Verdict::default());
    assert_eq!(memory.note(BOB, EncryptedToProvider, None, at(1)), Verdict::default());
    for _ in 0..2 {
        // The best is what counts, however often it got worse since.
        let worse = memory.note(BOB, Plain, None, at(2));
        assert_eq!(worse.downgrade, Some(EncryptedToProvider));
    }
    let verdict = memory.note("sip:carol@example.com", Plain, None, at(3));
    assert_eq!(verdict, Verdict::default());
}

#[test]
fn another_certificate_is_a_change_until_it_is_the_usual_one() {
    let mut memory = PeerMemory::new();
    let mut note = |n| memory.note(BOB, EncryptedUnauthenticated, Some(&print(n)), at(0));
    assert!(!note(1).identity_changed);
    assert!(!note(1).identity_changed);
    assert!(note(2).identity_changed);
    assert!(!note(2).identity_changed);
    // A call without DTLS shows none, and is no change.
    let sdes = memory.note(BOB, EncryptedToProvider, None, at(1));
    assert!(!sdes.identity_changed);
}

#[test]
fn a_confirmed_certificate_stays_the_only_one_whatever_is_shown() {
    let mut memory = PeerMemory::new();
    assert!(!memory.note(BOB, EncryptedUnauthenticated, Some(&print(1)), at(0)).verified);
    assert!(memory.confirm(BOB, &print(1), at(5)));
    assert_eq!(memory.verified_at(BOB), Some(at(5)));
    let good = Verdict { verified: true, ..Verdict::default() };
    assert_eq!(memory.note(BOB, EncryptedUnauthenticated, Some(&print(1)), at(6)), good);
    for _ in 0..3 {
        let verdict = memory.note(BOB, EncryptedToProvider, Some(&print(2)), at(7));
        let downgrade = Some(VerifiedEndToEnd);
        let bad = Verdict { downgrade, identity_changed: true, verified: false };
        assert_eq!(verdict, bad);
    }
    assert_eq!(memory.note(BOB, EncryptedUnauthenticated, Some(&print(1)), at(8)), good);
    let plain = memory.note(BOB, Plain, None, at(9));
    assert_eq!((plain.downgrade, plain.verified), (Some(VerifiedEndToEnd), false));
    assert!(memory.forget(BOB) && !memory.forget(BOB));
    let verdict = memory.note(BOB, Plain, Some(&print(2)), at(10));
    assert_eq!(verdict, Verdict::default());
}

#[test]
fn verified_end_to_end_is_found_out_not_claimed() {
    let mut memory = PeerMemory::new();
    assert!(!memory.note(BOB, VerifiedEndToEnd, Some(&print(1)), at(0)).verified);
    let worse = memory.note(BOB, Plain, None, at(1));
    assert_eq!(worse.downgrade, Some(EncryptedToProvider));
    let weak = Fingerprint::of(FingerprintHash::Sha512, &[1]);
    assert!(!memory.confirm(BOB, &weak, at(2)));
    assert_eq!(memory.verified_at(BOB), None);
}

#[test]
fn one_person_is_one_peer_however_the_address_is_written() {
    let same = ["sip:bob@example.com", "sips:bob@EXAMPLE.com:5061;transport=tls"];
    let other = ["sip:%62ob@Example.Com;user=phone", "sip:Bob@example.com"];
    assert!(same.iter().all(|uri| peer_address(uri) == "bob@example.com"));
    assert_eq!(peer_address(other[0]), "bob@example.com");
    assert_eq!(peer_address(other[1]), "Bob@example.com");
    assert_eq!(peer_address("sip:Example.com"), "example.com");
    assert_eq!(peer_address("tel:+4930123;phone-context=x"), "tel:+4930123");
    let long = format!("sip:{}@a.test", "x".repeat(300));
    let longer = format!("sip:{}@a.test", "x".repeat(301));
    assert!(peer_address(&long).len() <= MAX_ADDRESS_LEN);
    assert_ne!(peer_address(&long), peer_address(&longer));
}

fn full(confirmed: bool) -> PeerMemory {
    let mut memory = PeerMemory::new();
    for n in 0..PeerMemory::MAX {
        let peer = format!("sip:{n}@example.com");
        let now = at(u64::try_from(n).unwrap());
        memory.note(&peer, EncryptedToProvider, Some(&print(1)), now);
        if confirmed {
            memory.confirm(&peer, &print(1), now);
        }
    }
    memory
}

#[test]
fn strangers_displace_the_longest_unseen_and_never_who_was_confirmed() {
    let mut memory = full(false);
    memory.confirm("sip:0@example.com", &print(1), at(0));
    memory.note("sip:1@example.com", Plain, None, at(9_999));
    memory.note("sip:new@example.com", Plain, None, at(9_999));
    assert_eq!(memory.len(), PeerMemory::MAX);
    assert!(memory.is_confirmed("sip:0@example.com", &print(1)));
    assert!(memory.forget("sip:1@example.com") && !memory.forget("sip:2@example.com"));

    let mut memory = full(true);
    memory.note("sip:new@example.com", EncryptedToProvider, None, at(9_999));
    assert!(!memory.forget("sip:new@example.com"));
    assert!(memory.confirm("sip:new@example.com", &print(2), at(9_999)));
    assert_eq!(memory.len(), PeerMemory::MAX);
    assert_eq!(memory.verified_at("sip:0@example.com"), None);
    assert!(memory.verified_at("sip:1@example.com").is_some());
    assert_eq!(PeerMemory::import(&memory.export()), Ok(memory));
}

#[test]
fn bytes_that_are_no_export_are_refused_with_the_reason() {
    let mut memory = PeerMemory::new();
    memory.confirm(BOB, &print(1), at(5));
    let good = memory.export();
    let import = |bytes: &[u8]| PeerMemory::import(bytes).unwrap_err();
    assert_eq!(import(b""), PeerMemoryError::NotPeers);
    assert_eq!(import(b"SRDI\x01"), PeerMemoryError::NotPeers);
    assert_eq!(import(b"SRPM"), PeerMemoryError::Damaged);
    let newer = import(b"SRPM\x02\0\0");
    assert_eq!(newer, PeerMemoryError::UnknownVersion(2));
    assert!(newer.to_string().contains("version 2"), "{newer}");
    assert_eq!(import(b"SRPM\x01\xff\xff"), PeerMemoryError::TooMany(0xffff));
    for len in 5..good.len() {
        assert_eq!(import(&good[..len]), PeerMemoryError::Damaged, "{len}");
    }
    assert_eq!(import(&[&good[..], b"x"].concat()), PeerMemoryError::Damaged);
    // Twice the same peer.
    let mut twice = good.clone();
    twice[6] = 2;
    twice.extend(&good[7..]);
    assert_eq!(import(&twice), PeerMemoryError::Damaged);
    // A level that does not go with its confirmation, and one that does not exist.
    let best = 9 + "bob@example.com".len();
    for number in [0, 2, 4] {
        let mut changed = good.clone();
        changed[best] = number;
        assert_eq!(import(&changed), PeerMemoryError::Damaged, "{number}");
    }
    let mut flags = good.clone();
    flags[best + 1] |= 4;
    assert_eq!(import(&flags), PeerMemoryError::Damaged);
}

#[test]
fn debug_does_not_tell_who_was_called() {
    let mut memory = PeerMemory::new();
    memory.note(BOB, Plain, None, at(0));
    assert_eq!(format!("{memory:?}"), "PeerMemory { peers: 1, .. }");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_exported_comes_back(
        steps in prop::collection::vec((0_u8..8, 0_u8..4, 0_u8..3, 0_u64..99, any::<bool>()), 0..40)
    ) {
        let mut memory = PeerMemory::new();
        for (peer, level, certificate, now, confirm) in steps {
            let uri = format!("sip:{peer}@example.com");
            let shown = print(certificate);
            let level = SecurityLevel::from_number(level).unwrap();
            let was = memory.is_confirmed(&uri, &shown);
            let verdict = memory.note(&uri, level, Some(&shown), at(now));
            prop_assert_eq!(verdict.verified, was);
            prop_assert!(!(verdict.verified && (verdict.identity_changed || verdict.downgrade.is_some())));
            if confirm {
                memory.confirm(&uri, &shown, at(now));
                prop_assert!(memory.note(&uri, level, Some(&shown), at(now)).verified);
            }
        }
        prop_assert_eq!(PeerMemory::import(&memory.export()), Ok(memory));
    }

    #[test]
    fn any_bytes_are_refused_or_are_an_export(
        tail in prop::collection::vec(any::<u8>(), 0..200), count in 0_u8..4, whole in any::<bool>(),
    ) {
        let bytes = match whole {
            true => tail,
            false => [b"SRPM\x01\0", &[count][..], &tail].concat(),
        };
        if let Ok(memory) = PeerMemory::import(&bytes) {
            prop_assert_eq!(memory.export(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_makes_another_memory(at_byte in any::<prop::sample::Index>(), with in 1_u8..) {
        let mut memory = PeerMemory::new();
        memory.confirm(BOB, &print(1), at(5));
        memory.note("sip:carol@example.com", Plain, Some(&print(3)), at(6));
        let mut bytes = memory.export();
        let index = at_byte.index(bytes.len());
        bytes[index] ^= with;
        prop_assert_ne!(PeerMemory::import(&bytes), Ok(memory));
    }
}
