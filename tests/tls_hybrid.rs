//! The second TLS provider (feature `aws-lc`): hybrid key exchange where both sides know it.
#![cfg(feature = "aws-lc")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/tls_pair.rs"]
mod tls_pair;

use subrosa::crypto::tls::{
    CertificateProblem, ClientCertificates, PinSet, RevocationLists, SpkiPin, TlsClientOptions,
    TlsClientSettings, TlsError, TlsProvider, TlsServerOptions, TlsServerSettings, TlsVersions,
};
use tls_pair::{Authority, LATER, NOW, Pair, authority, dns, params, shake, uri};

fn sides(
    ca: &Authority,
    ours: TlsProvider,
    theirs: TlsProvider,
    versions: TlsVersions,
) -> (TlsClientSettings, TlsServerSettings) {
    let mut client = TlsClientOptions::default();
    (client.anchors, client.provider, client.versions) = (ca.anchors(), ours, versions);
    client.identity = Some(ca.sign(&params(vec![uri("sip:phone.example")]), ""));
    client.revocation.add_pem(ca.revoke(&[1], 2030).as_bytes()).unwrap();
    let mut server = TlsServerOptions::new(ca.sign(&params(vec![dns("example.com")]), ""));
    server.provider = theirs;
    server.clients = ClientCertificates::Required(ca.anchors());
    (
        TlsClientSettings::with_options(client).unwrap(),
        TlsServerSettings::with_options(server).unwrap(),
    )
}

#[test]
fn the_key_exchange_is_hybrid_where_both_sides_know_it() {
    use TlsProvider::{AwsLc, Ring};
    assert_eq!(TlsProvider::default(), Ring);
    let ca = authority("Test CA");
    let both = TlsVersions::default();
    for (ours, theirs, versions, group) in [
        (AwsLc, AwsLc, both, "X25519MLKEM768"),
        (AwsLc, Ring, both, "X25519"),
        (Ring, AwsLc, both, "X25519"),
        (Ring, Ring, both, "X25519"),
        // TLS 1.2 has no hybrid groups.
        (AwsLc, AwsLc, TlsVersions::V1_2Only, "X25519"),
    ] {
        let (client, server) = sides(&ca, ours, theirs, versions);
        let (c, s) = shake(&client, &server, 1).unwrap();
        let hybrid = group == "X25519MLKEM768";
        for (facts, provider) in [(&c, ours), (&s, theirs)] {
            assert_eq!(facts.key_exchange, Some(group), "{ours:?} {theirs:?}");
            assert_eq!((facts.is_hybrid(), facts.provider), (hybrid, provider));
            assert_eq!(facts.fips, provider.is_fips());
        }
        assert_eq!(s.peer.unwrap().domains, ["phone.example"]);
    }
}

#[test]
fn a_resumed_session_exchanges_keys_anew() {
    let ca = authority("Test CA");
    let (client, server) =
        sides(&ca, TlsProvider::AwsLc, TlsProvider::AwsLc, TlsVersions::V1_3Only);
    assert!(!shake(&client, &server, 1).unwrap().0.resumed);
    let (again, _) = shake(&client, &server, 2).unwrap();
    assert!(again.resumed && again.is_hybrid());
}

#[test]
fn the_rules_and_the_clock_are_the_same() {
    let ca = authority("Test CA");
    let (client, server) =
        sides(&ca, TlsProvider::AwsLc, TlsProvider::AwsLc, TlsVersions::default());
    let refuse = |client: &TlsClientSettings, domain, now| {
        let mut pair = Pair::new(client, &server, domain, now);
        match pair.run(now, 100) {
            Err(TlsError::Certificate(problem)) => problem,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refuse(&client, "example.com", LATER), CertificateProblem::Expired);
    let wrong = refuse(&client, "other.example", NOW);
    assert!(matches!(wrong, CertificateProblem::WrongName { .. }), "{wrong:?}");
    let mut pinned = TlsClientOptions::default();
    (pinned.anchors, pinned.provider) = (ca.anchors(), TlsProvider::AwsLc);
    pinned.pins = PinSet::new([SpkiPin::new([1; 32])]).ok();
    let pinned = TlsClientSettings::with_options(pinned).unwrap();
    let wrong = refuse(&pinned, "example.com", NOW);
    assert!(matches!(wrong, CertificateProblem::PinMismatch { .. }), "{wrong:?}");
    let mut forged = TlsClientOptions::default();
    (forged.anchors, forged.provider) = (ca.anchors(), TlsProvider::AwsLc);
    forged.revocation = RevocationLists::new();
    forged.revocation.add_pem(authority("Test CA").revoke(&[], 2030).as_bytes()).unwrap();
    let forged = TlsClientSettings::with_options(forged).unwrap();
    assert_eq!(refuse(&forged, "example.com", NOW), CertificateProblem::RevocationListForged);
}
