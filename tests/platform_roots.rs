//! The operating system's trust store as a verifier (feature `platform-roots`), on systems whose
//! store is a file that `SSL_CERT_FILE` names.
#![cfg(all(feature = "platform-roots", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/tls_pair.rs"]
mod tls_pair;

use std::process::Command;

use subrosa::crypto::tls::{
    CertificateProblem, TlsClientSettings, TlsError, TlsServerSettings, TlsVersions,
};
use subrosa::driver::platform_trust;
use tls_pair::{LATER, NOW, Pair, authority, dns, params, serve};

/// The store is read once per process from what the environment names: each case runs in a
/// process of its own.
fn run_with_store(path: &std::path::Path) -> bool {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside_a_process_with_its_own_store"])
        .env("SSL_CERT_FILE", path)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap()
        .status
        .success()
}

#[test]
fn the_systems_authorities_are_trusted_and_our_rules_hold() {
    let dir = std::env::temp_dir().join(format!("subrosa-roots-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let ca = authority("System CA");
    // The store, and beside it what the servers of the test present.
    let store = dir.join("store.pem");
    std::fs::write(&store, &ca.pem).unwrap();
    for (file, name) in [("good", "sip.example.com"), ("wildcard", "*.example.com")] {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params(vec![dns(name)]).signed_by(&key, &ca.issuer).unwrap();
        std::fs::write(dir.join(file), certificate.pem() + &key.serialize_pem()).unwrap();
    }
    assert!(run_with_store(&store));
    let empty = dir.join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    assert!(!run_with_store(&empty), "an empty store is an error");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
#[ignore = "run by the test above, with a store of its own"]
fn inside_a_process_with_its_own_store() {
    let store = std::env::var("SSL_CERT_FILE").unwrap();
    let dir = std::path::Path::new(&store).parent().unwrap();
    let server = |file: &str| -> TlsServerSettings {
        let pem = std::fs::read(dir.join(file)).unwrap();
        serve(subrosa::crypto::tls::TlsIdentity::from_pem(&pem, &pem).unwrap())
    };
    let trust = platform_trust().unwrap();
    let client = TlsClientSettings::new(trust, None, TlsVersions::default()).unwrap();
    let dial = |server: &TlsServerSettings, domain, now| {
        let mut pair = Pair::new(&client, server, domain, now);
        match pair.run(now, 4096) {
            Ok(()) => Ok(pair.client.facts().unwrap().peer.clone().unwrap().anchor),
            Err(TlsError::Certificate(problem)) => Err(problem),
            Err(other) => panic!("{other:?}"),
        }
    };
    let good = server("good");
    assert!(dial(&good, "sip.example.com", NOW).unwrap().contains("operating system"));
    assert_eq!(dial(&good, "sip.example.com", LATER), Err(CertificateProblem::Expired));
    for (server, domain) in [(&good, "b.example"), (&server("wildcard"), "sip.example.com")] {
        let found = dial(server, domain, NOW);
        assert!(matches!(found, Err(CertificateProblem::WrongName { .. })), "{found:?}");
    }
    let stranger = serve(authority("Stranger").issue(vec![dns("sip.example.com")], false));
    let found = dial(&stranger, "sip.example.com", NOW);
    assert_eq!(found, Err(CertificateProblem::UnknownIssuer));
}
