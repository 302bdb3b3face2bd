//! a=fingerprint, a=setup, a=tls-id, and associations that begin or go on.

use super::*;

/// The example of RFC 8122 §5.
const SHA_1: &str = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";

fn hex(byte: &str, count: usize) -> String {
    vec![byte; count].join(":")
}

fn only_dtls() -> LocalMedia {
    local(MediaSecurity::required().with_dtls(dtls(1)))
}

fn with(attributes: &str) -> String {
    format!("m=audio 5000 UDP/TLS/RTP/SAVP 0\r\n{attributes}")
}

#[test]
fn fingerprints_are_read_and_written() {
    let parsed = Fingerprint::parse(SHA_1).unwrap();
    assert_eq!((parsed.hash(), parsed.bytes().len()), ("sha-1", 20));
    assert_eq!(parsed.bytes()[..3], [0x4a, 0xad, 0xb9]);
    assert!(!parsed.is_strong());
    assert_eq!(format!("{parsed}"), SHA_1);
    for (name, length, strong) in
        [("sha-256", 32, true), ("sha-384", 48, true), ("sha-512", 64, true), ("md5", 16, false)]
    {
        let text = format!("{name} {}", hex("0F", length));
        let parsed = Fingerprint::parse(&text).unwrap();
        assert_eq!((format!("{parsed}"), parsed.is_strong()), (text, strong));
    }
    let sloppy = format!("SHA-256\t {} ", hex("ab", 32));
    assert_eq!(Fingerprint::parse(&sloppy).unwrap(), fingerprint(0xab));
    assert!(!Fingerprint::parse("new-hash 01:02").unwrap().is_strong());
}

#[test]
fn malformed_fingerprints_say_why() {
    use FingerprintError as E;
    let long_name = "x".repeat(33);
    for (text, error) in [
        (String::new(), E::Syntax),
        ("sha-256".into(), E::Syntax),
        (format!("sha-256 {} x", hex("00", 32)), E::Syntax),
        (format!("sha-256 {}", hex("0", 32)), E::Syntax),
        (format!("sha-256 {}", hex("+1", 32)), E::Syntax),
        (format!("sha-256 {}:", hex("00", 32)), E::Syntax),
        (format!("sha-256 {}", "00".repeat(32)), E::Syntax),
        (format!("sha\u{e9}256 {}", hex("00", 32)), E::Syntax),
        (format!("{long_name} 00"), E::Syntax),
        (format!("sha-256 {}", hex("00", 31)), E::Length),
        (format!("sha-256 {}", hex("00", 33)), E::Length),
        (format!("new-hash {}", hex("00", 65)), E::Length),
        (format!("sha-256 {}", "0".repeat(60_000)), E::Length),
    ] {
        let shown: String = text.chars().take(40).collect();
        assert_eq!(Fingerprint::parse(&text).unwrap_err(), error, "{shown}");
    }
    assert_eq!(Fingerprint::new("sha-256", Vec::new()), Err(E::Length));
    assert_eq!(Fingerprint::new("a b", vec![1]), Err(E::Syntax));
}

#[test]
fn setup_and_identity_are_read() {
    for setup in [Setup::ActPass, Setup::Active, Setup::Passive, Setup::HoldConn] {
        assert_eq!(Setup::parse(setup.as_str()), Some(setup));
    }
    assert_eq!(Setup::parse(" ACTIVE"), Some(Setup::Active));
    assert_eq!(Setup::parse("aktiv"), None);
    assert!(is_tls_id(&"aZ09+/-_".repeat(3)) && is_tls_id(&"x".repeat(255)));
    for bad in ["x".repeat(19), "x".repeat(256), format!("{} x", "x".repeat(20))] {
        assert!(!is_tls_id(&bad), "{bad}");
    }
    assert_eq!(DtlsRole::Client.setup(), Setup::Active);
    assert_eq!(DtlsRole::Client.reversed().setup(), Setup::Passive);
}

#[test]
fn the_sessions_fingerprints_serve_streams_without_their_own() {
    let (one, two) = (fingerprint(1), fingerprint(2));
    let parsed = parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         a=fingerprint:{one}\r\na=fingerprint:{SHA_1}\r\na=setup:passive\r\n\
         m=audio 5000 RTP/SAVP 0\r\n\
         m=audio 5002 RTP/SAVP 0\r\na=setup:active\r\na=fingerprint:{two}\r\n\
         m=audio 5004 RTP/SAVP 0\r\na=fingerprint:sha-256 00\r\na=setup:x\r\na=tls-id:short\r\n"
    ));
    let [inherits, own, broken] = &parsed.media[..] else { panic!("three lines") };
    assert_eq!(inherits.fingerprints, [one, Fingerprint::parse(SHA_1).unwrap()]);
    assert_eq!((inherits.setup, own.setup), (Some(Setup::Passive), Some(Setup::Active)));
    assert_eq!(own.fingerprints, [two]);
    // A stream whose own is broken does not fall back on another.
    assert_eq!((broken.fingerprints.len(), broken.refused_fingerprints), (0, 1));
    assert!(broken.has_fingerprint() && !broken.has_keying());
    assert_eq!((broken.setup, &broken.tls_id, parsed.ignored), (Some(Setup::Passive), &None, 3));
    assert_eq!(wire(&parsed).media[..2], parsed.media[..2]);
}

#[test]
fn a_broken_fingerprint_of_the_session_is_no_plain_answer() {
    let local = local(MediaSecurity::opportunistic().with_dtls(dtls(1)));
    let mut negotiator = Negotiator::new(1);
    negotiator.create_offer(&local).unwrap();
    let answer = parse(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         a=fingerprint:sha-256 00\r\nm=audio 5000 RTP/AVP 0\r\n",
    );
    assert_eq!((answer.media[0].refused_fingerprints, answer.ignored), (1, 1));
    let result = negotiator.handle_answer(answer);
    assert_eq!(result, Err(NegotiationError::NoUsableFingerprint));
}

#[test]
fn more_fingerprints_than_the_limit_are_counted() {
    let lines: String = (0..100).map(|n| format!("a=fingerprint:{}\r\n", fingerprint(n))).collect();
    let parsed = peer(&with(&lines));
    assert_eq!(parsed.media[0].fingerprints.len(), MAX_FINGERPRINTS);
    assert_eq!(parsed.media[0].refused_fingerprints, 100 - MAX_FINGERPRINTS as u32);
}

#[test]
fn the_offers_setup_gives_the_roles() {
    let theirs = fingerprint(2);
    for (setup, ours, role) in [
        ("a=setup:actpass\r\n", DtlsRole::Client, DtlsRole::Client),
        ("a=setup:actpass\r\n", DtlsRole::Server, DtlsRole::Server),
        ("a=setup:active\r\n", DtlsRole::Client, DtlsRole::Server),
        ("a=setup:passive\r\n", DtlsRole::Server, DtlsRole::Client),
        // RFC 4145 §4: the default of an offer is active.
        ("", DtlsRole::Client, DtlsRole::Server),
        ("a=setup:nonsense\r\n", DtlsRole::Client, DtlsRole::Server),
    ] {
        let mut side = dtls(1);
        side.role = ours;
        let local = local(MediaSecurity::required().with_dtls(side));
        let offer = peer(&with(&format!("a=fingerprint:{theirs}\r\n{setup}")));
        let (answer, media) = answer(offer, &local).unwrap();
        let keys = media.keys.unwrap().dtls().unwrap().clone();
        assert_eq!((keys.role, &keys.fingerprints), (role, &vec![theirs.clone()]), "{setup}");
        assert_eq!(answer.media[0].setup, Some(role.setup()));
        assert_eq!(answer.media[0].fingerprints, [fingerprint(1)]);
        assert_eq!(answer.media[0].profile, Profile::DtlsSavp);
        assert!(media.new_association);
    }
}

#[test]
fn an_offer_that_cannot_be_keyed_says_why() {
    use NegotiationError as E;
    let fails = |media: &str| answer(peer(media), &only_dtls()).unwrap_err();
    assert_eq!(fails(&with("")), E::NoUsableFingerprint);
    assert_eq!(fails(&with(&format!("a=fingerprint:{SHA_1}\r\n"))), E::NoUsableFingerprint);
    assert_eq!(fails(&with("a=fingerprint:sha-256 00\r\n")), E::NoUsableFingerprint);
    let held = format!("a=fingerprint:{}\r\na=setup:holdconn\r\n", fingerprint(2));
    assert_eq!(fails(&with(&held)), E::Setup);
    assert_eq!(fails("m=audio 5000 RTP/AVP 0\r\n"), E::EncryptionRequired);
    assert_eq!(fails("m=audio 5000 RTP/SAVP 0\r\n"), E::NoCommonSuite);
    // a=crypto is no key for a profile that promises DTLS.
    let crypto = format!("a=crypto:{}\r\n", *crypto(1, SUITE_80, 9).to_value());
    let sdes_only = local(MediaSecurity::sdes(lines()));
    let profile = E::Profile("UDP/TLS/RTP/SAVP".into());
    assert_eq!(answer(peer(&with(&crypto)), &sdes_only).unwrap_err(), profile);
    let weak = dtls(1);
    let weak = LocalDtls { fingerprints: vec![Fingerprint::parse(SHA_1).unwrap()], ..weak };
    let long = LocalDtls { tls_id: Some("short".into()), ..dtls(1) };
    for side in [weak, long] {
        let local = local(MediaSecurity::opportunistic().with_dtls(side));
        assert_eq!(Negotiator::new(1).create_offer(&local), Err(E::BadLocalDtls));
        assert_eq!(answer(peer("m=audio 5 RTP/AVP 0\r\n"), &local).unwrap_err(), E::BadLocalDtls);
    }
}

#[test]
fn the_answer_gives_the_roles_or_is_refused() {
    use NegotiationError as E;
    let run = |attributes: &str| {
        let mut negotiator = Negotiator::new(1);
        let offer = negotiator.create_offer(&only_dtls()).unwrap();
        assert_eq!(offer.media[0].setup, Some(Setup::ActPass));
        assert_eq!(wire(&offer), offer);
        let media = negotiator.handle_answer(peer(&with(attributes)))?;
        Ok(media.keys.unwrap().dtls().unwrap().role)
    };
    let line = format!("a=fingerprint:{}\r\n", fingerprint(2));
    for (setup, expected) in [
        ("a=setup:active\r\n", Ok(DtlsRole::Server)),
        ("a=setup:passive\r\n", Ok(DtlsRole::Client)),
        ("", Ok(DtlsRole::Client)),
        ("a=setup:actpass\r\n", Err(E::Setup)),
        ("a=setup:holdconn\r\n", Err(E::Setup)),
    ] {
        assert_eq!(run(&format!("{line}{setup}")), expected, "{setup}");
    }
    assert_eq!(run("a=setup:active\r\n"), Err(E::NoUsableFingerprint));
    let weak = format!("a=setup:active\r\na=fingerprint:{SHA_1}\r\n");
    assert_eq!(run(&weak), Err(E::NoUsableFingerprint));
    // Of several, the strong ones are relied on.
    assert_eq!(run(&format!("{weak}{line}")), Ok(DtlsRole::Server));
}

/// Two sides after a first exchange, in which the answerer became the client.
fn associated(ours: &LocalMedia, theirs: &LocalMedia) -> (Negotiator, Negotiator) {
    let (mut a, mut b) = (Negotiator::new(1), Negotiator::new(2));
    let (here, there) = exchange(&mut a, ours, &mut b, theirs);
    assert!(here.new_association && there.new_association);
    (a, b)
}

fn side(number: u8, role: DtlsRole, tls_id: Option<char>) -> LocalMedia {
    let tls_id = tls_id.map(|c| String::from(c).repeat(20));
    let side = LocalDtls { role, tls_id, ..dtls(number) };
    local(MediaSecurity::opportunistic().with_dtls(side))
}

#[test]
fn an_association_goes_on_with_its_roles() {
    use DtlsRole::{Client, Server};
    for (wish_a, wish_b) in [(Client, Client), (Client, Server), (Server, Client), (Server, Server)]
    {
        let (ours, theirs) = (side(1, wish_a, None), side(2, wish_b, None));
        let (mut a, mut b) = associated(&ours, &theirs);
        for from_a in [true, false, false, true] {
            let (here, there) = if from_a {
                exchange(&mut a, &ours, &mut b, &theirs)
            } else {
                let (there, here) = exchange(&mut b, &theirs, &mut a, &ours);
                (here, there)
            };
            assert!(!here.new_association && !there.new_association);
            let role = |media: &NegotiatedMedia| media.keys.as_ref().unwrap().dtls().unwrap().role;
            assert_eq!((role(&here), role(&there)), (wish_b.reversed(), wish_b));
            assert_eq!(here.profile, Profile::Avp);
        }
    }
}

#[test]
fn what_changes_an_association_makes_a_new_one() {
    use DtlsRole::{Client, Server};
    let id = Some('i');
    // Who the answerer becomes in the re-offer, on both sides the same verdict.
    for (ours, theirs, new) in [
        (side(1, Client, id), side(2, Client, Some('p')), false),
        (side(1, Client, None), side(2, Client, Some('p')), false),
        (side(3, Client, id), side(2, Client, Some('p')), true),
        (side(1, Client, id), side(3, Client, Some('p')), true),
        (side(1, Client, Some('j')), side(2, Client, Some('p')), true),
        (side(1, Client, id), side(2, Server, Some('q')), true),
    ] {
        let (first_a, first_b) = (side(1, Client, id), side(2, Client, Some('p')));
        let (mut a, mut b) = associated(&first_a, &first_b);
        let (here, there) = exchange(&mut a, &ours, &mut b, &theirs);
        assert_eq!((here.new_association, there.new_association), (new, new), "{ours:?}");
        let (mut a, mut b) = associated(&first_a, &first_b);
        let (there, here) = exchange(&mut b, &theirs, &mut a, &ours);
        assert_eq!((here.new_association, there.new_association), (new, new), "{theirs:?}");
    }
    // A foreign answerer that swaps the roles ends the association.
    let (mut a, _) = associated(&side(1, Client, None), &side(2, Client, None));
    a.create_offer(&side(1, Client, None)).unwrap();
    let line = format!("a=fingerprint:{}\r\na=setup:passive\r\n", fingerprint(2));
    let media = a.handle_answer(peer(&format!("m=audio 5 RTP/AVP 0\r\n{line}"))).unwrap();
    assert!(media.new_association);
}

#[test]
fn an_identity_is_answered_only_if_offered_and_remembered() {
    use DtlsRole::Client;
    let (with_id, without) = (side(1, Client, Some('i')), side(2, Client, None));
    let (mut a, mut b) = associated(&with_id, &without);
    // b offers without an identity: a's answer has none, and nothing began anew.
    let (there, here) = exchange(&mut b, &without, &mut a, &with_id);
    assert!(!here.new_association && !there.new_association);
    assert_eq!(a.local().unwrap().media[0].tls_id, None);
    // A changed identity after that is still seen as one.
    let changed = side(1, Client, Some('j'));
    let (here, there) = exchange(&mut a, &changed, &mut b, &without);
    assert!(here.new_association && there.new_association);
    let offered = b.remote().unwrap().media[0].tls_id.as_deref();
    assert_eq!(offered, Some("jjjjjjjjjjjjjjjjjjjj"));
}
