//! Whose certificate, from whom, for what: RFC 5922, RFC 5924, pins, revocation, client
//! certificates. Each certificate is made here and judged in a real handshake.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/tls_pair.rs"]
mod tls_pair;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::ExtendedKeyUsagePurpose as Purpose;
use rcgen::{KeyPair, SanType, SerialNumber};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use subrosa::crypto::identity::{Dialled, MatchRule};
use subrosa::crypto::tls::{
    CertificateProblem as Problem, ChainVerifier, ClientCertificates, ExpiredList, KeyPurposes,
    PinSet, PinnedKey, Revocation, RevocationLists, SpkiPin, TlsClientOptions, TlsClientSettings,
    TlsDomains, TlsError, TlsFacts, TlsIdentity, TlsServerOptions, TlsServerSettings,
    TlsSettingsError, TlsVersions, TrustAnchors, UnlistedIssuer,
};
use subrosa::time::UnixTime;
use tls_pair::{Authority, NOW, Pair, authority, dns, params, serve, shake, trust, uri};

fn dial(
    client: &TlsClientSettings,
    server: &TlsServerSettings,
    domain: &str,
) -> Result<TlsFacts, Problem> {
    // Session ids are drawn too: each connection needs randomness of its own.
    static SEED: AtomicU64 = AtomicU64::new(1000);
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    let mut pair = Pair::seeded(client, server, domain, NOW, seed << 8);
    match pair.run(NOW, 4096) {
        Ok(()) => Ok(pair.client.facts().unwrap().clone()),
        Err(TlsError::Certificate(problem)) => Err(problem),
        Err(other) => panic!("{other:?}"),
    }
}

/// Options that trust this authority, changed by `change`.
fn options(ca: &Authority, change: impl FnOnce(&mut TlsClientOptions)) -> TlsClientSettings {
    let mut options = TlsClientOptions::default();
    options.anchors = ca.anchors();
    change(&mut options);
    TlsClientSettings::with_options(options).unwrap()
}

#[test]
fn the_name_is_judged_by_rfc_5922() {
    let ip4 = |last| SanType::IpAddress([192, 0, 2, last].into());
    let ip6 = |text: &str| SanType::IpAddress(text.parse().unwrap());
    let (sip, by_dns, by_ip) =
        (Some(MatchRule::SipUri), Some(MatchRule::DnsName), Some(MatchRule::IpAddress));
    // The common name of every one of these certificates is "example.com".
    let table: Vec<(&str, Vec<SanType>, Option<MatchRule>)> = vec![
        // §7.1: a sip: URI is the domain's identity, whatever its case, port or parameters.
        ("example.com", vec![uri("sip:example.com")], sip),
        ("example.com", vec![uri("SIP:EXAMPLE.com")], sip),
        ("EXAMPLE.com.", vec![uri("sip:example.com:5061;transport=tls")], sip),
        ("example.com", vec![uri("sip:b.example"), uri("sip:example.com")], sip),
        // DNS names count only where there is no sip: URI.
        ("example.com", vec![dns("example.com"), uri("sip:b.example")], None),
        ("example.com", vec![dns("example.com")], by_dns),
        ("example.com", vec![dns("b.example"), dns("Example.COM")], by_dns),
        ("example.com", vec![dns("example.com"), uri("https://b.example/")], by_dns),
        ("example.com", vec![dns("example.com"), uri("sips:b.example")], by_dns),
        ("example.com", vec![uri("sips:example.com")], None),
        // A user part names a user.
        ("example.com", vec![uri("sip:alice@example.com")], None),
        ("example.com", vec![uri("sip:alice@example.com"), dns("example.com")], None),
        ("example.com", vec![uri("sip:example.com@evil.example")], None),
        ("example.com", vec![uri("sip:example.com;a@evil.example")], None),
        // The common name stands for nothing, with or without other names.
        ("example.com", vec![], None),
        ("example.com", vec![ip4(1)], None),
        // §7.2: whole names, no wildcard of any form, no suffix.
        ("sip.example.com", vec![dns("*.example.com")], None),
        ("sip.example.com", vec![dns("s*.example.com")], None),
        ("sip.example.com", vec![dns("*")], None),
        ("sip.example.com", vec![uri("sip:*.example.com")], None),
        ("sip.example.com", vec![dns("example.com")], None),
        ("sip.example.com", vec![dns(".example.com")], None),
        ("example.com", vec![dns("sip.example.com")], None),
        // NUL and other bytes that no host name has.
        ("example.com", vec![dns("example.com\0")], None),
        ("example.com", vec![dns("example.com\0.evil.example")], None),
        ("example.com", vec![uri("sip:example.com\0.evil.example")], None),
        ("example.com", vec![dns("example.com ")], None),
        ("example.com", vec![dns("example.com/evil")], None),
        // Internationalized names are compared in their A-label form (RFC 5280 §7.2).
        ("xn--bcher-kva.example", vec![dns("XN--BCHER-kva.example")], by_dns),
        ("xn--bcher-kva.example", vec![uri("sip:xn--bcher-kva.example")], sip),
        ("xn--bcher-kva.example", vec![dns("bcher.example")], None),
        // An address that was dialled matches an iPAddress and nothing else.
        ("192.0.2.7", vec![ip4(7)], by_ip),
        ("192.0.2.7", vec![ip4(8)], None),
        ("192.0.2.7", vec![dns("192.0.2.7")], None),
        ("192.0.2.7", vec![uri("sip:192.0.2.7")], None),
        ("[2001:db8::7]", vec![ip6("2001:db8::7")], by_ip),
        ("2001:db8::7", vec![ip6("2001:db8::8")], None),
        ("example.com", vec![ip4(7), dns("example.com")], by_dns),
    ];
    let ca = authority("Test CA");
    for (domain, names, expected) in table {
        let server = serve(ca.sign(&params(names.clone()), ""));
        match (dial(&trust(&ca), &server, domain), expected) {
            (Ok(facts), Some(rule)) => {
                let matched = facts.peer.unwrap().matched.unwrap();
                assert_eq!(matched.rule, rule, "{domain} {names:?}");
            }
            (Err(Problem::WrongName { .. }), None) => {}
            (other, _) => panic!("{domain} {names:?}: {other:?}"),
        }
    }
}

#[test]
fn the_key_purpose_is_judged_by_rfc_5924() {
    let sip = || Purpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 20]);
    // Purposes; accepted of a server, of a client; of a server when SIP alone counts.
    let table = [
        (vec![], true, true, true),
        (vec![sip()], true, true, true),
        (vec![Purpose::Any], true, true, true),
        (vec![Purpose::ServerAuth], true, false, false),
        (vec![Purpose::ClientAuth], false, true, false),
        (vec![Purpose::ServerAuth, sip()], true, true, true),
        (vec![Purpose::CodeSigning, sip()], true, true, true),
        (vec![Purpose::CodeSigning], false, false, false),
        (vec![Purpose::EmailProtection, Purpose::TimeStamping], false, false, false),
    ];
    let ca = authority("Test CA");
    let strict = options(&ca, |o| o.purposes = KeyPurposes::SipOnly);
    for (purposes, as_server, as_client, sip_only) in table {
        let mut asked = params(vec![dns("example.com")]);
        asked.extended_key_usages = purposes.clone();
        let identity = ca.sign(&asked, "");
        let verdict = |ok| if ok { Ok(()) } else { Err(Problem::WrongUsage) };
        let server = serve(identity.clone());
        let found = dial(&trust(&ca), &server, "example.com").map(drop);
        assert_eq!(found, verdict(as_server), "server {purposes:?}");
        let found = dial(&strict, &server, "example.com").map(drop);
        assert_eq!(found, verdict(sip_only), "SIP only {purposes:?}");
        let asking = asking(&ca, |_| {});
        let client = options(&ca, |o| o.identity = Some(identity));
        let found = refused(shake(&client, &asking, 1));
        assert_eq!(found.map_or(Ok(()), Err), verdict(as_client), "client {purposes:?}");
    }
}

/// A server that requires client certificates of this authority.
fn asking(ca: &Authority, change: impl FnOnce(&mut TlsServerOptions)) -> TlsServerSettings {
    let mut options = TlsServerOptions::new(ca.sign(&params(vec![dns("example.com")]), ""));
    options.clients = ClientCertificates::Required(ca.anchors());
    change(&mut options);
    TlsServerSettings::with_options(options).unwrap()
}

fn refused(result: Result<(TlsFacts, TlsFacts), TlsError>) -> Option<Problem> {
    match result {
        Ok(_) => None,
        Err(TlsError::Certificate(problem)) => Some(problem),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_pin_must_hold_beside_the_chain() {
    let root = authority("Test CA");
    let middle = root.below("Middle CA");
    let key = KeyPair::generate().unwrap();
    let named = params(vec![dns("example.com")]);
    let (identity, own) = middle.sign_with(&named, &key, &middle.pem);
    let server = serve(identity);
    let leaf = SpkiPin::of_certificate(&own).unwrap();
    let of_pem = |pem: &str| SpkiPin::of_certificate(&der(pem)).unwrap();
    let stranger = SpkiPin::new([9; 32]);
    let pinned = |pins: &[SpkiPin]| {
        options(&root, |o| o.pins = Some(PinSet::new(pins.iter().copied()).unwrap()))
    };
    // Each key of the verified path can be pinned, as primary pin or as backup.
    for (pins, index, at) in [
        (vec![leaf], 0, PinnedKey::EndEntity),
        (vec![stranger, leaf], 1, PinnedKey::EndEntity),
        (vec![of_pem(&middle.pem), stranger], 0, PinnedKey::Intermediate),
        (vec![stranger, of_pem(&root.pem)], 1, PinnedKey::Anchor),
    ] {
        let facts = dial(&pinned(&pins), &server, "example.com").unwrap();
        let found = facts.pin().unwrap();
        assert_eq!((found.index, found.at, found.pin), (index, at, pins[index]));
        assert_eq!(facts.peer.as_ref().unwrap().key, leaf);
    }
    assert_eq!(dial(&trust(&root), &server, "example.com").unwrap().pin(), None);
    // A chain that verifies without the pin.
    let presented = leaf.to_string();
    let found = dial(&pinned(&[stranger]), &server, "example.com");
    assert_eq!(found.err(), Some(Problem::PinMismatch { presented }));
    // The pin without a chain that verifies: same key, another authority.
    let (other, _) = authority("Stranger").sign_with(&named, &key, "");
    let found = dial(&pinned(&[leaf]), &serve(other), "example.com");
    assert_eq!(found.err(), Some(Problem::UnknownIssuer));
    // A pinned certificate that is sent along without being part of the path is worth nothing.
    let (rogue, _) = root.sign_with(&named, &KeyPair::generate().unwrap(), &middle.pem);
    let found = dial(&pinned(&[of_pem(&middle.pem)]), &serve(rogue), "example.com");
    assert!(matches!(found, Err(Problem::PinMismatch { .. })), "{found:?}");
    // Renewed with the same key, the certificate still fits.
    let (renewed, _) = middle.sign_with(&named, &key, &middle.pem);
    assert!(dial(&pinned(&[leaf]), &serve(renewed), "example.com").is_ok());
}

#[test]
fn a_pin_may_stand_in_another_path_of_a_cross_signed_authority() {
    let (old, new) = (authority("Old CA"), authority("New CA"));
    let (middle, second) = old.crossed("Middle CA", &new);
    let both = middle.pem.clone() + &second;
    let server = serve(middle.sign(&params(vec![dns("example.com")]), &both));
    let mut trust = old.anchors();
    trust.add_der(&der(&new.pem)).unwrap();
    for root in [&old, &new] {
        let pins = PinSet::new([SpkiPin::of_certificate(&der(&root.pem)).unwrap()]).ok();
        let client = options(&old, |o| (o.anchors, o.pins) = (trust.clone(), pins));
        let facts = dial(&client, &server, "example.com").unwrap();
        assert_eq!(facts.pin().unwrap().at, PinnedKey::Anchor);
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn lists(pems: &[String]) -> RevocationLists {
    let mut lists = RevocationLists::new();
    pems.iter().for_each(|pem| lists.add_pem(pem.as_bytes()).unwrap());
    lists
}

#[test]
fn what_was_revoked_is_refused() {
    let root = authority("Test CA");
    let middle = root.below("Middle CA"); // serial number 77
    let mut named = params(vec![dns("example.com")]);
    named.serial_number = Some(SerialNumber::from(5));
    let server = serve(middle.sign(&named, &middle.pem));
    let judge = |lists: RevocationLists| {
        let client = options(&root, |o| o.revocation = lists);
        dial(&client, &server, "example.com").map(|facts| facts.peer.unwrap().revocation)
    };
    assert_eq!(judge(RevocationLists::new()), Ok(Revocation::NotChecked));
    assert_eq!(judge(lists(&[middle.revoke(&[4, 6], 2030)])), Ok(Revocation::NotRevoked));
    assert_eq!(judge(lists(&[middle.revoke(&[4, 5], 2030)])), Err(Problem::Revoked));
    // The authority between was revoked, while its own list says that all is well.
    let both = [middle.revoke(&[], 2030), root.revoke(&[77], 2030)];
    assert_eq!(judge(lists(&both)), Err(Problem::Revoked));
    // A list of somebody else says nothing, unless everything must be covered.
    let foreign = [authority("Stranger").revoke(&[5], 2030)];
    assert_eq!(judge(lists(&foreign)), Ok(Revocation::Unknown));
    for pems in [&foreign[..], &[middle.revoke(&[], 2030)], &[]] {
        let mut strict = lists(pems);
        strict.unlisted = UnlistedIssuer::Refuse;
        assert_eq!(judge(strict), Err(Problem::RevocationUnknown));
    }
    let mut strict = lists(&[middle.revoke(&[], 2030), root.revoke(&[], 2030)]);
    strict.unlisted = UnlistedIssuer::Refuse;
    assert_eq!(judge(strict), Ok(Revocation::NotRevoked));
    // An expired list: refused, or used for what it says.
    assert_eq!(judge(lists(&[middle.revoke(&[], 2025)])), Err(Problem::RevocationListExpired));
    let mut old = lists(&[middle.revoke(&[], 2025)]);
    old.expired = ExpiredList::Use;
    assert_eq!(judge(old), Ok(Revocation::NotRevoked));
    let mut old = lists(&[middle.revoke(&[5], 2025)]);
    old.expired = ExpiredList::Use;
    assert_eq!(judge(old), Err(Problem::Revoked));
    // A list in the issuer's name with another's signature.
    let forged = authority("Middle CA").revoke(&[], 2030);
    assert_eq!(judge(lists(&[forged])), Err(Problem::RevocationListForged));
}

#[test]
fn revocation_is_judged_again_when_a_session_is_resumed() {
    let ca = authority("Test CA");
    let server = serve(ca.sign(&params(vec![dns("example.com")]), ""));
    // The list is good until midnight. A session lives longer: one resumed an hour later must
    // not slip past.
    let client = options(&ca, |o| o.revocation = lists(&[ca.revoke(&[], 2026)]));
    let dial = |seed, seconds: i64| {
        let now = UnixTime::from_micros(NOW.as_micros().wrapping_add_signed(seconds * 1_000_000));
        let mut pair = Pair::seeded(&client, &server, "example.com", now, seed);
        pair.run(now, 4096).map(|()| pair.client.facts().unwrap().resumed)
    };
    assert_eq!((dial(1, -3600), dial(2, -1800)), (Ok(false), Ok(true)));
    let refused = Err(TlsError::Certificate(Problem::RevocationListExpired));
    assert_eq!(dial(3, 3600), refused);
}

#[test]
fn lists_are_bounded_and_must_parse() {
    let mut lists = RevocationLists::new();
    assert!(matches!(lists.add_der(b"no list"), Err(TlsSettingsError::BadRevocationList(_))));
    assert!(matches!(lists.add_pem(b"no list"), Err(TlsSettingsError::NoPem(_))));
    let large = vec![0; 4 * 1024 * 1024 + 1];
    assert_eq!(lists.add_der(&large), Err(TlsSettingsError::TooManyRevocationLists));
    let pem = authority("Test CA").revoke(&[1], 2030);
    for _ in 0..64 {
        lists.add_pem(pem.as_bytes()).unwrap();
    }
    assert_eq!(lists.add_pem(pem.as_bytes()), Err(TlsSettingsError::TooManyRevocationLists));
    assert_eq!(lists.len(), 64);
}

#[test]
fn a_server_says_whose_client_certificate_it_was() {
    let ca = authority("Test CA");
    for versions in [TlsVersions::V1_2Only, TlsVersions::V1_3Only] {
        let client = |identity: Option<TlsIdentity>| {
            options(&ca, |o| (o.identity, o.versions) = (identity, versions))
        };
        let issue = |names| Some(ca.sign(&params(names), ""));
        let names = vec![uri("sip:phones.example"), uri("sip:Alice@Example.com;x=1")];
        let (ours, theirs) = shake(&client(issue(names)), &asking(&ca, |_| {}), 1).unwrap();
        assert!(ours.own_certificate_sent && ours.peer.is_some());
        let peer = theirs.peer.unwrap();
        assert_eq!(peer.domains, ["phones.example"]);
        assert_eq!(peer.users, ["Alice@example.com"]);
        // Optional: without one it is served, with a wrong one it is not.
        let optional = asking(&ca, |o| o.clients = ClientCertificates::Requested(ca.anchors()));
        assert_eq!(shake(&client(None), &optional, 2).unwrap().1.peer, None);
        let forged = authority("Stranger").sign(&params(vec![uri("sip:phones.example")]), "");
        let result = refused(shake(&client(Some(forged)), &optional, 3));
        assert_eq!(result, Some(Problem::UnknownIssuer));
        let result = refused(shake(&client(None), &asking(&ca, |_| {}), 4));
        assert_eq!(result, Some(Problem::Missing));
        // Genuine, but of somebody else.
        let ours = asking(&ca, |o| o.client_domains = vec!["phones.example".into()]);
        let good = issue(vec![uri("sip:phones.example")]);
        assert_eq!(refused(shake(&client(good), &ours, 5)), None);
        let wrong = refused(shake(&client(issue(vec![dns("b.example")])), &ours, 6));
        assert_eq!(wrong, Some(Problem::WrongClient { presented: vec!["b.example".into()] }));
        // Revoked, and not pinned.
        let mut named = params(vec![dns("phones.example")]);
        named.serial_number = Some(SerialNumber::from(5));
        let phone = Some(ca.sign(&named, ""));
        let server = asking(&ca, |o| o.revocation = lists(&[ca.revoke(&[5], 2030)]));
        assert_eq!(refused(shake(&client(phone.clone()), &server, 7)), Some(Problem::Revoked));
        let pins = PinSet::new([SpkiPin::new([1; 32])]).ok();
        let server = asking(&ca, |o| o.client_pins = pins);
        let result = refused(shake(&client(phone), &server, 8));
        assert!(matches!(result, Some(Problem::PinMismatch { .. })), "{result:?}");
    }
    let mut bad = TlsServerOptions::new(ca.sign(&params(vec![]), ""));
    bad.client_domains = vec!["*.example.com".into()];
    let made = TlsServerSettings::with_options(bad);
    assert!(matches!(made, Err(TlsSettingsError::InvalidDomain(_))));
}

#[test]
fn a_resumed_client_is_the_one_of_the_certificate() {
    let ca = authority("Test CA");
    let server = asking(&ca, |_| {});
    let client =
        options(&ca, |o| o.identity = Some(ca.sign(&params(vec![uri("sip:phone.example")]), "")));
    let (_, first) = shake(&client, &server, 1).unwrap();
    let (_, again) = shake(&client, &server, 2).unwrap();
    assert!(!first.resumed && again.resumed);
    assert_eq!(again.peer, first.peer);
    assert_eq!(again.peer.unwrap().domains, ["phone.example"]);
}

#[test]
fn a_domain_has_settings_of_its_own_and_sessions_do_not_outlive_a_change() {
    let (ca, other) = (authority("Test CA"), authority("Other CA"));
    let server = serve(ca.sign(&params(vec![dns("example.com")]), ""));
    let mut domains = TlsDomains::from(trust(&other));
    domains.set("Example.com", trust(&ca)).unwrap();
    assert!(domains.set("*.example.com", trust(&ca)).is_err());
    let dial = |domains: &TlsDomains, seed| {
        shake(domains.get("example.com."), &server, seed).map(|(facts, _)| facts.resumed)
    };
    assert_eq!((dial(&domains, 1), dial(&domains, 2)), (Ok(false), Ok(true)));
    // The same trust again, but set anew: nothing is carried over.
    domains.set("example.com", trust(&ca)).unwrap();
    assert_eq!(dial(&domains, 3), Ok(false));
    // Pins arrive: a session from before must not slip past them.
    let pins = PinSet::new([SpkiPin::new([1; 32])]).unwrap();
    domains.set("example.com", options(&ca, |o| o.pins = Some(pins))).unwrap();
    let result = dial(&domains, 4);
    assert!(matches!(result, Err(TlsError::Certificate(Problem::PinMismatch { .. }))));
    assert!(domains.remove("EXAMPLE.com") && !domains.remove("example.com"));
    assert!(domains.get("example.com").is_same(domains.common()));
    assert_eq!(dial(&domains, 5), Err(TlsError::Certificate(Problem::UnknownIssuer)));
    assert!(domains.get("sip.example.com").is_same(domains.common()));
}

/// A verifier of the host's that accepts what it is told to, and says what it was asked.
#[derive(Debug)]
struct Oracle {
    verdict: Result<String, Problem>,
    asked: Mutex<Vec<(usize, Dialled, UnixTime)>>,
}

impl ChainVerifier for Oracle {
    fn verify(&self, chain: &[&[u8]], who: &Dialled, now: UnixTime) -> Result<String, Problem> {
        self.asked.lock().unwrap().push((chain.len(), who.clone(), now));
        self.verdict.clone()
    }
}

#[test]
fn a_verifier_of_the_hosts_decides_over_chains_but_not_over_names_and_pins() {
    let ca = authority("Unknown to us");
    let key = KeyPair::generate().unwrap();
    let (identity, der) = ca.sign_with(&params(vec![dns("example.com")]), &key, &ca.pem);
    let server = serve(identity);
    let with = |verdict: Result<String, Problem>, change: &dyn Fn(&mut TlsClientOptions)| {
        let oracle = Arc::new(Oracle { verdict, asked: Mutex::default() });
        let mut options = TlsClientOptions::default();
        options.anchors = TrustAnchors::from_verifier(oracle.clone());
        change(&mut options);
        (TlsClientSettings::with_options(options), oracle)
    };
    let yes = || Ok("the platform".to_string());
    let (client, oracle) = with(yes(), &|_| {});
    let facts = dial(client.as_ref().unwrap(), &server, "example.com").unwrap();
    assert_eq!(facts.peer.unwrap().anchor, "the platform");
    let asked = (2, Dialled::Domain("example.com".into()), NOW);
    assert_eq!(*oracle.asked.lock().unwrap(), [asked]);
    // The oracle has nothing against the wildcard; RFC 5922 has.
    let wildcard = serve(ca.sign(&params(vec![dns("*.example.com")]), ""));
    let found = dial(client.as_ref().unwrap(), &wildcard, "sip.example.com");
    assert!(matches!(found, Err(Problem::WrongName { .. })), "{found:?}");
    let (client, _) = with(Err(Problem::Revoked), &|_| {});
    assert_eq!(dial(&client.unwrap(), &server, "example.com").err(), Some(Problem::Revoked));
    // Pins hold for the peer's own key only.
    let leaf = SpkiPin::of_certificate(&der).unwrap();
    let (client, _) = with(yes(), &|o| o.pins = PinSet::new([leaf]).ok());
    assert_eq!(dial(&client.unwrap(), &server, "example.com").unwrap().pin().unwrap().pin, leaf);
    let (client, _) = with(yes(), &|o| o.pins = PinSet::new([SpkiPin::new([1; 32])]).ok());
    let found = dial(&client.unwrap(), &server, "example.com");
    assert!(matches!(found, Err(Problem::PinMismatch { .. })), "{found:?}");
    // What it cannot keep is not pretended.
    let crl = ca.revoke(&[], 2030);
    let (client, _) = with(yes(), &|o| o.revocation.add_pem(crl.as_bytes()).unwrap());
    assert!(matches!(client, Err(TlsSettingsError::VerifierCannot(_))));
    let (client, _) = with(yes(), &|o| o.purposes = KeyPurposes::SipOnly);
    assert!(matches!(client, Err(TlsSettingsError::VerifierCannot(_))));
}
