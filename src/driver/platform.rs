//! The operating system's trust store, as a chain verifier (feature `platform-roots`).

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime as PkiTime};
use rustls::{CertificateError, Error};
use rustls_platform_verifier::Verifier;

use crate::crypto::identity::Dialled;
use crate::crypto::tls::{CertificateProblem, ChainVerifier, TrustAnchors};
use crate::time::UnixTime;

/// The operating system's trust store cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the operating system's trust store cannot be used: {0}")]
pub struct PlatformTrustError(String);

/// Trusts whom the operating system trusts: its authorities on Linux and BSD, its own verifier
/// (with its revocation checks and its enterprise settings) on Windows, macOS, iOS and Android.
///
/// It applies to the servers that are dialled; clients are not judged by it. The rules of
/// RFC 5922 and the pins apply on top, and the system's own rules for names below: a certificate
/// whose only name is a `sip:` URI does not pass there. A verifier of the system may ask the
/// network about revocation and block the driver's thread while it does, and it reads the
/// system's clock; on Linux and BSD it does neither. On Android,
/// `rustls_platform_verifier::android` must have been initialised by the app.
///
/// Anchors of one's own can be added ([`TrustAnchors::add_der`]): they are asked first.
///
/// # Errors
/// [`PlatformTrustError`] if there is no trust store, or it is empty.
pub fn platform_trust() -> Result<TrustAnchors, PlatformTrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(provider).map_err(|e| PlatformTrustError(e.to_string()))?;
    Ok(TrustAnchors::from_verifier(Arc::new(Platform(verifier))))
}

#[derive(Debug)]
struct Platform(Verifier);

impl ChainVerifier for Platform {
    fn verify(
        &self,
        chain: &[&[u8]],
        dialled: &Dialled,
        now: UnixTime,
    ) -> Result<String, CertificateProblem> {
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
        let (leaf, rest) = chain.split_first().ok_or(CertificateProblem::Missing)?;
        let name = match dialled {
            Dialled::Ip(ip) => ServerName::from(*ip),
            Dialled::Domain(domain) => ServerName::try_from(domain.as_str())
                .map_err(|_| CertificateProblem::Other("not a name".into()))?,
        };
        let now = PkiTime::since_unix_epoch(std::time::Duration::from_micros(now.as_micros()));
        match self.0.verify_server_cert(leaf, rest, &name, &[], now) {
            Ok(_) => Ok("the operating system's trust store".into()),
            Err(error) => Err(problem(&error, dialled)),
        }
    }
}

fn problem(error: &Error, dialled: &Dialled) -> CertificateProblem {
    use CertificateError as E;
    let Error::InvalidCertificate(error) = error else {
        return CertificateProblem::Other(shortened(error));
    };
    match error {
        E::Expired | E::ExpiredContext { .. } => CertificateProblem::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        E::UnknownIssuer => CertificateProblem::UnknownIssuer,
        E::Revoked => CertificateProblem::Revoked,
        E::BadSignature => CertificateProblem::BadSignature,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => CertificateProblem::WrongUsage,
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName { dialled: dialled.to_string(), presented: Vec::new() }
        }
        other => CertificateProblem::Other(shortened(other)),
    }
}

fn shortened(what: &impl std::fmt::Debug) -> String {
    format!("{what:?}").chars().take(120).collect()
}
