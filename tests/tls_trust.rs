//! Whom an engine trusts: the public authorities unless it is told otherwise, then nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/tls_pair.rs"]
mod tls_pair;

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use subrosa::crypto::tls::{
    CertificateProblem, TlsClientSettings, TlsError, TlsStream, TrustAnchors,
};
use subrosa::engine::{Config, Engine};
use subrosa::time::{Instant, UnixTime};
use subrosa::util::SeededRng;
use tls_pair::{authority, dns, serve};

/// 2026-08-01, when the public chain is valid.
const SUMMER: UnixTime = UnixTime::from_secs(1_785_542_400);

/// What an engine opens connections with.
fn settings(change: impl FnOnce(&mut Config)) -> TlsClientSettings {
    let mut config = Config::new(Box::new(SeededRng::new(1)), SUMMER);
    change(&mut config);
    let engine = Engine::new(config, Instant::ZERO).unwrap();
    TlsClientSettings::with_options(engine.tls_options()).unwrap()
}

/// Somebody who presents a chain of letsencrypt.org's and does not have its key.
#[derive(Debug)]
struct Borrowed(Arc<CertifiedKey>);

impl ResolvesServerCert for Borrowed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn borrowed() -> rustls::ServerConnection {
    let pem = include_bytes!("data/tls/public_chain.pem");
    let chain = CertificateDer::pem_slice_iter(pem).map(Result::unwrap).collect();
    let key = rcgen::KeyPair::generate().unwrap().serialize_der();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Borrowed(Arc::new(CertifiedKey::new(chain, key)))));
    rustls::ServerConnection::new(config.into()).unwrap()
}

/// What the dialling side makes of the public chain. The handshake cannot succeed: a chain that
/// was accepted fails at the signature, which its key alone could make.
fn public(client: &TlsClientSettings, domain: &str) -> CertificateProblem {
    let mut rng = SeededRng::new(1);
    let mut client = TlsStream::client(client, domain, SUMMER, &mut rng).unwrap();
    let mut server = borrowed();
    for _ in 0..4 {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.write_tls_to(&mut up);
        server.read_tls(&mut &up[..]).unwrap();
        let _ = server.process_new_packets();
        while server.wants_write() {
            server.write_tls(&mut down).unwrap();
        }
        match client.read_tls(SUMMER, &down, &mut rng) {
            Ok(_) => {}
            Err(TlsError::Certificate(problem)) => return problem,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("no verdict")
}

/// The same of a server with a certificate of a company's own authority.
fn private(client: &TlsClientSettings, ca: &tls_pair::Authority) -> Result<(), TlsError> {
    let server = serve(ca.issue(vec![dns("example.com")], false));
    tls_pair::Pair::new(client, &server, "example.com", SUMMER).run(SUMMER, 4096)
}

#[test]
fn without_being_told_an_engine_trusts_the_public_authorities_alone() {
    let client = settings(|_| {});
    assert_eq!(public(&client, "letsencrypt.org"), CertificateProblem::BadSignature);
    let other = public(&client, "example.com");
    assert!(matches!(other, CertificateProblem::WrongName { .. }), "{other:?}");
    let unknown = TlsError::Certificate(CertificateProblem::UnknownIssuer);
    assert_eq!(private(&client, &authority("Company CA")), Err(unknown));
}

#[test]
fn an_own_authority_takes_the_place_of_the_public_ones() {
    let ca = authority("Company CA");
    let client = settings(|config| config.trust = ca.anchors());
    assert_eq!(private(&client, &ca), Ok(()));
    assert_eq!(public(&client, "letsencrypt.org"), CertificateProblem::UnknownIssuer);
    let nobody = settings(|config| config.trust = TrustAnchors::none());
    assert_eq!(public(&nobody, "letsencrypt.org"), CertificateProblem::UnknownIssuer);
    assert!(private(&nobody, &ca).is_err());
}
