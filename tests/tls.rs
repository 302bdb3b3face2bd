//! TLS over memory: handshakes, identities, failures, reproducibility.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/tls_pair.rs"]
mod tls_pair;

use rcgen::{KeyPair, SanType};
use subrosa::crypto::identity::MatchRule;
use subrosa::crypto::tls::{
    CertificateProblem, ClientCertificates, MAX_BUFFERED, TlsClientOptions, TlsClientSettings,
    TlsError, TlsIdentity, TlsServerSettings, TlsSettingsError, TlsStream, TlsVersion, TlsVersions,
    TrustAnchors,
};
use subrosa::time::UnixTime;
use subrosa::util::SeededRng;
use tls_pair::{EARLIER, LATER, NOW, Pair, authority, dns, params, serve, trust, uri};

fn refusal(names: Vec<SanType>, domain: &str, now: UnixTime) -> CertificateProblem {
    let ca = authority("Test CA");
    let server = serve(ca.issue(names, false));
    match Pair::new(&trust(&ca), &server, domain, now).run(now, 4096) {
        Err(TlsError::Certificate(problem)) => problem,
        other => panic!("expected a refused certificate, got {other:?}"),
    }
}

fn is_wrong_name(problem: &CertificateProblem) -> bool {
    matches!(problem, CertificateProblem::WrongName { .. })
}

#[test]
fn both_versions_shake_hands_byte_by_byte_and_carry_data() {
    let ca = authority("Test CA");
    for (versions, version) in
        [(TlsVersions::V1_2Only, TlsVersion::V1_2), (TlsVersions::default(), TlsVersion::V1_3)]
    {
        let server = serve(ca.issue(vec![dns("Example.com"), dns("b.example")], false));
        let client = TlsClientSettings::new(ca.anchors(), None, versions).unwrap();
        let mut pair = Pair::new(&client, &server, "example.COM", NOW);
        assert!(pair.client.is_handshaking() && pair.client.facts().is_none());
        pair.client.write_plain(b"waits for the handshake").unwrap();
        pair.run(NOW, 1).unwrap();
        let facts = pair.client.facts().unwrap();
        assert_eq!(facts.version, version);
        assert!(facts.cipher_suite.contains("AES_256_GCM"), "{}", facts.cipher_suite);
        assert_eq!(facts.key_exchange, Some("X25519"));
        assert!(!facts.resumed && !facts.own_certificate_sent);
        let peer = facts.peer.as_ref().unwrap();
        assert_eq!(peer.subject, "CN=example.com");
        assert_eq!(peer.anchor, "CN=Test CA");
        assert_eq!(peer.names, ["Example.com", "b.example"]);
        assert_eq!(peer.matched.as_ref().unwrap().rule, MatchRule::DnsName);
        assert!(pair.server.facts().unwrap().peer.is_none());
        let mut got = Vec::new();
        pair.server.read_plain(&mut got);
        assert_eq!(got, b"waits for the handshake");
        pair.server.write_plain(&[7; 100_000]).unwrap();
        pair.run(NOW, 1000).unwrap();
        got.clear();
        assert_eq!(pair.client.read_plain(&mut got), 100_000);
        assert_eq!(pair.client.read_plain(&mut got), 0);
    }
}

#[test]
fn names_are_judged_by_rfc_5922() {
    assert!(is_wrong_name(&refusal(vec![dns("other.example")], "example.com", NOW)));
    // The common name is "example.com" in each of these: it never counts.
    assert!(is_wrong_name(&refusal(vec![dns("*.example.com")], "sip.example.com", NOW)));
    assert!(is_wrong_name(&refusal(vec![dns("example.com\0.evil")], "example.com", NOW)));
    assert!(is_wrong_name(&refusal(vec![], "example.com", NOW)));
    let mixed = vec![uri("sip:bob@example.com"), dns("example.com")];
    assert!(is_wrong_name(&refusal(mixed, "example.com", NOW)));
    match refusal(vec![dns("a.example"), uri("sip:b.example")], "example.com", NOW) {
        CertificateProblem::WrongName { dialled, presented } => {
            assert_eq!(dialled, "example.com");
            assert_eq!(presented, ["a.example", "sip:b.example"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sip_uri_and_an_address_can_match() {
    let ca = authority("Test CA");
    for (domain, name, rule) in [
        ("example.com", uri("sip:example.com"), MatchRule::SipUri),
        ("192.0.2.7", SanType::IpAddress([192, 0, 2, 7].into()), MatchRule::IpAddress),
    ] {
        let server = serve(ca.issue(vec![name], true));
        let mut pair = Pair::new(&trust(&ca), &server, domain, NOW);
        pair.run(NOW, 4096).unwrap();
        let peer = pair.client.facts().unwrap().peer.clone().unwrap();
        assert_eq!(peer.matched.unwrap().rule, rule);
    }
}

#[test]
fn the_clock_decides_validity() {
    let good = || vec![dns("example.com")];
    assert_eq!(refusal(good(), "example.com", LATER), CertificateProblem::Expired);
    assert_eq!(refusal(good(), "example.com", EARLIER), CertificateProblem::NotYetValid);
}

#[test]
fn strangers_and_self_signed_certificates_are_told_apart() {
    let (ca, stranger) = (authority("Test CA"), authority("Stranger"));
    let server = serve(stranger.issue(vec![dns("example.com")], false));
    let result = Pair::new(&trust(&ca), &server, "example.com", NOW).run(NOW, 4096);
    assert_eq!(result, Err(TlsError::Certificate(CertificateProblem::UnknownIssuer)));

    let key = KeyPair::generate().unwrap();
    let own = params(vec![dns("example.com")]).self_signed(&key).unwrap();
    let (certificate, key) = (own.pem(), key.serialize_pem());
    let identity = TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let result = Pair::new(&trust(&ca), &serve(identity), "example.com", NOW).run(NOW, 4096);
    assert_eq!(result, Err(TlsError::Certificate(CertificateProblem::SelfSigned)));
}

#[test]
fn an_impostor_authority_of_the_same_name_fails_by_its_signature() {
    let (ca, impostor) = (authority("Test CA"), authority("Test CA"));
    let server = serve(impostor.issue(vec![dns("example.com")], false));
    let result = Pair::new(&trust(&ca), &server, "example.com", NOW).run(NOW, 4096);
    let Err(TlsError::Certificate(problem)) = result else { panic!("{result:?}") };
    let expected = [CertificateProblem::BadSignature, CertificateProblem::UnknownIssuer];
    assert!(expected.contains(&problem), "{problem:?}");
}

#[test]
fn a_server_can_require_a_certificate() {
    let ca = authority("Test CA");
    let server = TlsServerSettings::new(
        ca.issue(vec![dns("example.com")], false),
        ClientCertificates::Required(ca.anchors()),
        TlsVersions::default(),
    )
    .unwrap();
    for versions in [TlsVersions::V1_2Only, TlsVersions::V1_3Only] {
        let identity = ca.issue(vec![uri("sip:phone.example")], false);
        let client = TlsClientSettings::new(ca.anchors(), Some(identity), versions).unwrap();
        let mut pair = Pair::new(&client, &server, "example.com", NOW);
        pair.run(NOW, 4096).unwrap();
        assert!(pair.client.facts().unwrap().own_certificate_sent);
        let peer = pair.server.facts().unwrap().peer.clone().unwrap();
        assert_eq!(peer.domains, ["phone.example"]);
        assert_eq!((peer.matched, peer.anchor.as_str()), (None, "CN=Test CA"));

        let without = TlsClientSettings::new(ca.anchors(), None, versions).unwrap();
        let result = Pair::new(&without, &server, "example.com", NOW).run(NOW, 4096);
        assert_eq!(result, Err(TlsError::Certificate(CertificateProblem::Missing)));

        let forged = authority("Test CB").issue(vec![uri("sip:phone.example")], false);
        let forged = TlsClientSettings::new(ca.anchors(), Some(forged), versions).unwrap();
        let result = Pair::new(&forged, &server, "example.com", NOW).run(NOW, 4096);
        assert_eq!(result, Err(TlsError::Certificate(CertificateProblem::UnknownIssuer)));
    }
}

#[test]
fn a_session_is_resumed_for_the_same_domain_only_and_judged_again() {
    let ca = authority("Test CA");
    let server = serve(ca.issue(vec![dns("example.com"), dns("other.example")], false));
    for versions in [TlsVersions::V1_2Only, TlsVersions::V1_3Only] {
        let client = TlsClientSettings::new(ca.anchors(), None, versions).unwrap();
        // Session ids are drawn too: each connection needs randomness of its own.
        let mut seed = 0;
        let mut run = |domain: &str, now| {
            seed += 1;
            let mut pair = Pair::seeded(&client, &server, domain, now, seed);
            let result = pair.run(now, 4096);
            result.map(|()| pair.client.facts().unwrap().clone())
        };
        let first = run("example.com", NOW).unwrap();
        assert!(!first.resumed);
        assert!(!run("other.example", NOW).unwrap().resumed);
        let again = run("example.com", NOW).unwrap();
        assert!(again.resumed);
        assert_eq!(again.peer, first.peer);
        // Other settings know nothing of this session.
        let stranger = TlsClientSettings::new(ca.anchors(), None, versions).unwrap();
        assert!(!stranger.is_same(&client) && client.is_same(&client.clone()));
        let mut pair = Pair::seeded(&stranger, &server, "example.com", NOW, 50);
        pair.run(NOW, 4096).unwrap();
        assert!(!pair.client.facts().unwrap().resumed);
        let expired = Err(TlsError::Certificate(CertificateProblem::Expired));
        assert_eq!(run("example.com", LATER), expired);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let ca = authority("Test CA");
    for ed25519 in [false, true] {
        let identity = ca.issue(vec![dns("example.com")], ed25519);
        for versions in [TlsVersions::V1_2Only, TlsVersions::V1_3Only] {
            let bytes = |seed| {
                let own = Some(identity.clone());
                let client = TlsClientSettings::new(ca.anchors(), own, versions).unwrap();
                let server = TlsServerSettings::new(
                    identity.clone(),
                    ClientCertificates::Requested(ca.anchors()),
                    TlsVersions::default(),
                )
                .unwrap();
                let mut pair = Pair::seeded(&client, &server, "example.com", NOW, seed);
                pair.run(NOW, 4096).unwrap();
                pair.client.write_plain(b"hello").unwrap();
                pair.client.close();
                pair.run(NOW, 4096).unwrap();
                pair.wire
            };
            let first = bytes(1);
            assert_eq!(first, bytes(1));
            assert_ne!(first, bytes(2));
        }
    }
}

#[test]
fn an_early_close_ends_it_once() {
    let ca = authority("Test CA");
    let server = serve(ca.issue(vec![dns("example.com")], false));
    let mut pair = Pair::new(&trust(&ca), &server, "example.com", NOW);
    pair.run(NOW, 4096).unwrap();
    pair.server.close();
    pair.server.close();
    let mut bytes = Vec::new();
    pair.server.write_tls_to(&mut bytes);
    assert!(!bytes.is_empty() && !pair.server.wants_write());
    bytes.extend_from_slice(&[0x17; 5000]);
    let progress = pair.client.read_tls(NOW, &bytes, &mut pair.client_rng).unwrap();
    assert!(progress.peer_closed && pair.client.peer_closed());
    let progress = pair.client.read_tls(NOW, b"more", &mut pair.client_rng).unwrap();
    assert!(progress.peer_closed && progress.plain_waiting == 0);
    assert_eq!(pair.server.write_plain(b"late"), Err(TlsError::Closed));

    // A close_notify instead of a handshake.
    let mut pair = Pair::new(&trust(&ca), &server, "example.com", NOW);
    pair.client.close();
    let _ = pair.run(NOW, 4096);
    assert!(pair.client.facts().is_none());
}

#[test]
fn garbage_is_one_typed_error() {
    let ca = authority("Test CA");
    let server = serve(ca.issue(vec![dns("example.com")], false));
    let request = b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n\r\n";
    for garbage in [&request[..], &[0xff; 300], &[0; 300]] {
        let mut pair = Pair::new(&trust(&ca), &server, "example.com", NOW);
        let first = pair.server.read_tls(NOW, garbage, &mut pair.server_rng);
        assert!(matches!(first, Err(TlsError::Protocol(_))), "{first:?}");
        let second = pair.server.read_tls(NOW, request, &mut pair.server_rng);
        assert_eq!(first, second);
        assert_eq!(pair.server.write_plain(b"x"), Err(TlsError::Closed));
        let mut alert = Vec::new();
        assert!(pair.server.write_tls_to(&mut alert) > 0 && !pair.server.wants_write());
    }
    // A damaged record after the handshake.
    let mut pair = Pair::new(&trust(&ca), &server, "example.com", NOW);
    pair.run(NOW, 4096).unwrap();
    pair.client.write_plain(b"hello").unwrap();
    let mut record = Vec::new();
    pair.client.write_tls_to(&mut record);
    *record.last_mut().unwrap() ^= 1;
    let result = pair.server.read_tls(NOW, &record, &mut pair.server_rng);
    assert_eq!(result, Err(TlsError::Decrypt));
}

#[test]
fn buffers_are_bounded_both_ways() {
    let ca = authority("Test CA");
    let server = serve(ca.issue(vec![dns("example.com")], false));
    let mut pair = Pair::new(&trust(&ca), &server, "example.com", NOW);
    let full = pair.client.write_plain(&vec![0; MAX_BUFFERED + 1]);
    assert_eq!(full, Err(TlsError::BufferFull));

    let mut pair = Pair::new(&trust(&ca), &server, "example.com", NOW);
    pair.run(NOW, 4096).unwrap();
    let mut result = Ok(());
    for _ in 0..10 {
        pair.client.write_plain(&[0; 60_000]).unwrap();
        result = pair.run(NOW, 4096);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, Err(TlsError::BufferFull), "nobody reads the plaintext");
}

#[test]
fn write_tls_fills_small_buffers() {
    let ca = authority("Test CA");
    let mut rng = SeededRng::new(1);
    let mut a = TlsStream::client(&trust(&ca), "example.com", NOW, &mut rng).unwrap();
    let mut b = TlsStream::client(&trust(&ca), "example.com", NOW, &mut SeededRng::new(1)).unwrap();
    let (mut whole, mut pieces, mut small) = (Vec::new(), Vec::new(), [0; 7]);
    a.write_tls_to(&mut whole);
    loop {
        let n = b.write_tls(&mut small);
        pieces.extend_from_slice(&small[..n]);
        if n == 0 {
            break;
        }
    }
    assert_eq!(whole, pieces);
}

#[test]
fn mistakes_of_the_caller_are_named() {
    let ca = authority("Test CA");
    let mut rng = SeededRng::new(1);
    for bad in ["*.example.com", "", "sip:example.com"] {
        let made = TlsStream::client(&trust(&ca), bad, NOW, &mut rng);
        assert!(matches!(made, Err(TlsError::InvalidDomain(_))));
    }
    assert!(matches!(TrustAnchors::from_pem(b"no PEM"), Err(TlsSettingsError::NoPem(_))));
    assert!(TrustAnchors::none().add_der(b"no DER").is_err());
    assert!(TrustAnchors::webpki_roots().len() > 50);
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = params(vec![]).self_signed(&key).unwrap().pem();
    let mismatch = TlsIdentity::from_pem(certificate.as_bytes(), other.serialize_pem().as_bytes());
    assert_eq!(mismatch.err(), Some(TlsSettingsError::KeyMismatch));
    let good = TlsIdentity::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes());
    assert!(format!("{good:?}").contains("[redacted]"));
    let der = TlsIdentity::from_der(&[b"no DER"], &key.serialize_der());
    assert!(matches!(der, Err(TlsSettingsError::BadCertificate(_))));
}

/// A plain rustls on ring, as a foreign peer, that knows this group alone.
fn foreign_client(
    ca: &tls_pair::Authority,
    group: &'static dyn rustls::crypto::SupportedKxGroup,
) -> rustls::ClientConnection {
    use rustls::pki_types::pem::PemObject;
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups = vec![group];
    let mut roots = rustls::RootCertStore::empty();
    let root = rustls::pki_types::CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    rustls::ClientConnection::new(config.into(), "example.com".try_into().unwrap()).unwrap()
}

#[test]
fn a_foreign_peer_gets_the_group_that_it_knows() {
    use rustls::crypto::ring::kx_group::{SECP256R1, SECP384R1, X25519};
    let ca = authority("Test CA");
    let mut params = params(vec![dns("example.com")]);
    // This peer reads the real clock: the certificate must outlive the test.
    params.not_after = rcgen::date_time_ymd(2999, 1, 1);
    let server = serve(ca.sign(&params, ""));
    for (group, name) in [
        (SECP256R1, Some("secp256r1")),
        (X25519, Some("X25519")),
        (SECP384R1, None), // no common ground
    ] {
        let mut client = foreign_client(&ca, group);
        let mut rng = SeededRng::new(1);
        let mut server = TlsStream::server(&server, NOW, &mut rng).unwrap();
        let mut result = Ok(());
        for _ in 0..10 {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut up).unwrap();
            }
            result = result.and_then(|()| server.read_tls(NOW, &up, &mut rng).map(drop));
            server.write_tls_to(&mut down);
            let mut down = &down[..];
            while !down.is_empty() {
                client.read_tls(&mut down).unwrap();
                let _ = client.process_new_packets();
            }
        }
        match name {
            Some(name) => {
                assert_eq!(server.facts().unwrap().key_exchange, Some(name));
                assert!(!server.facts().unwrap().is_hybrid());
            }
            None => assert!(matches!(result, Err(TlsError::Incompatible(_))), "{result:?}"),
        }
    }
}

#[test]
fn the_key_log_is_off_until_asked_for_and_opens_the_recording() {
    let ca = authority("Test CA");
    let server = serve(ca.issue(vec![dns("example.com")], false));
    for (versions, labels) in [
        (TlsVersions::V1_2Only, &["CLIENT_RANDOM"][..]),
        (
            TlsVersions::V1_3Only,
            &[
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "SERVER_TRAFFIC_SECRET_0",
                "EXPORTER_SECRET",
            ],
        ),
    ] {
        let mut options = TlsClientOptions::default();
        (options.anchors, options.versions, options.key_log) = (ca.anchors(), versions, true);
        let client = TlsClientSettings::with_options(options).unwrap();
        let mut pair = Pair::new(&client, &server, "example.com", NOW);
        pair.run(NOW, 4096).unwrap();
        assert!(pair.client.facts().unwrap().key_logged);
        // The client random of the hello: after the record and handshake headers and the version.
        let random = hex::encode(&pair.wire[11..43]);
        let mut found = Vec::new();
        while let Some(line) = pair.client.poll_key_log() {
            assert_eq!(format!("{line:?}"), "[redacted]");
            let line = line.expose().clone();
            let [label, of, secret] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            assert_eq!(of, random);
            assert_eq!(secret.len(), 96, "48 bytes");
            found.push(label.to_string());
        }
        found.sort();
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        assert_eq!(found, labels);
        // Off at the other side, whose settings do not ask for it.
        assert!(pair.server.poll_key_log().is_none());
        assert!(!pair.server.facts().unwrap().key_logged);
        assert!(!format!("{:?}", pair.client).contains(&random));
    }
}
