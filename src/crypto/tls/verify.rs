//! The certificate checks: the chain by webpki (RFC 5280), the name by RFC 5922.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};

use super::certificate::{Names, distinguished_name};
use super::entropy;
use super::error::{CertificateProblem, bounded};
use super::facts::PeerCertificate;
use super::provider::provider;
use crate::crypto::identity::{Dialled, MAX_LISTED_NAMES, domain_identities, find_match};

/// id-kp-sipDomain, 1.3.6.1.5.5.7.3.20 (RFC 5924 §4).
const SIP_DOMAIN: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 20];

/// Which side the certificate is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Server,
    Client,
}

/// Verifies a chain: returns who anchored it.
fn verify_chain(
    chain: &[CertificateDer<'_>],
    roots: &[TrustAnchor<'_>],
    role: Role,
    now: UnixTime,
) -> Result<String, CertificateProblem> {
    let (leaf, intermediates) = chain.split_first().ok_or(CertificateProblem::Missing)?;
    let cert = EndEntityCert::try_from(leaf).map_err(|e| CertificateProblem::Other(bounded(&e)))?;
    let algorithms = provider().signature_verification_algorithms.all;
    let tls_usage = match role {
        Role::Server => KeyUsage::server_auth(),
        Role::Client => KeyUsage::client_auth(),
    };
    let verify = |usage: KeyUsage| {
        cert.verify_for_usage(algorithms, roots, intermediates, now, usage, None, None)
            .map(|path| distinguished_name(path.anchor().subject.as_ref()))
    };
    verify(tls_usage)
        .or_else(|e| match e {
            // RFC 5924 §3: a certificate made for SIP alone names that usage instead.
            webpki::Error::RequiredEkuNotFoundContext(_) => {
                verify(KeyUsage::required_if_present(SIP_DOMAIN))
            }
            other => Err(other),
        })
        .map_err(|e| problem(&e, leaf))
}

fn problem(error: &webpki::Error, leaf: &CertificateDer<'_>) -> CertificateProblem {
    let self_issued = || Names::parse(leaf).is_some_and(|n| n.is_self_issued());
    match error {
        webpki::Error::CertExpired { .. } => CertificateProblem::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateProblem::NotYetValid,
        webpki::Error::CertRevoked => CertificateProblem::Revoked,
        webpki::Error::UnknownIssuer | webpki::Error::CaUsedAsEndEntity if self_issued() => {
            CertificateProblem::SelfSigned
        }
        webpki::Error::UnknownIssuer => CertificateProblem::UnknownIssuer,
        webpki::Error::InvalidSignatureForPublicKey => CertificateProblem::BadSignature,
        other => CertificateProblem::Other(bounded(other)),
    }
}

/// Checks a peer's chain and, if something was dialled, its name. The one gate for full and for
/// resumed handshakes.
pub(super) fn check_peer(
    chain: &[CertificateDer<'_>],
    roots: &[TrustAnchor<'_>],
    role: Role,
    dialled: Option<&Dialled>,
    now: UnixTime,
) -> Result<String, CertificateProblem> {
    let anchor = verify_chain(chain, roots, role, now)?;
    let leaf = chain.first().ok_or(CertificateProblem::Missing)?;
    if let Some(dialled) = dialled {
        let names = Names::parse(leaf).ok_or(CertificateProblem::Other("names".into()))?;
        if find_match(dialled, names.alt_names()).is_none() {
            let listed = names.alt_names().take(MAX_LISTED_NAMES).map(|n| n.display());
            return Err(CertificateProblem::WrongName {
                dialled: dialled.to_string(),
                presented: listed.collect(),
            });
        }
    }
    Ok(anchor)
}

/// The facts of a certificate that passed [`check_peer`].
pub(super) fn peer_facts(
    leaf: &CertificateDer<'_>,
    dialled: Option<&Dialled>,
    anchor: String,
) -> Option<PeerCertificate> {
    let names = Names::parse(leaf)?;
    Some(PeerCertificate {
        subject: names.subject(),
        names: names.alt_names().take(MAX_LISTED_NAMES).map(|n| n.display()).collect(),
        domains: domain_identities(names.alt_names()),
        matched: dialled.and_then(|d| find_match(d, names.alt_names())),
        anchor,
    })
}

/// Gives the verdict to rustls, and the details to the stream whose call runs.
fn conclude(verdict: Result<String, CertificateProblem>) -> Result<(), Error> {
    match verdict {
        Ok(anchor) => {
            entropy::note(|notes| notes.anchor = Some(anchor));
            Ok(())
        }
        Err(problem) => {
            let alert = match problem {
                CertificateProblem::Expired => CertificateError::Expired,
                CertificateProblem::NotYetValid => CertificateError::NotValidYet,
                CertificateProblem::UnknownIssuer | CertificateProblem::SelfSigned => {
                    CertificateError::UnknownIssuer
                }
                CertificateProblem::WrongName { .. } => CertificateError::NotValidForName,
                CertificateProblem::BadSignature => CertificateError::BadSignature,
                CertificateProblem::Revoked => CertificateError::Revoked,
                _ => CertificateError::BadEncoding,
            };
            entropy::note(|notes| notes.problem = Some(problem));
            Err(alert.into())
        }
    }
}

/// The verifier of both sides: the anchors decide.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) roots: Arc<[TrustAnchor<'static>]>,
    /// Whether a client must present a certificate.
    pub(super) required: bool,
}

impl Verifier {
    fn chain<'a>(
        leaf: &CertificateDer<'a>,
        rest: &[CertificateDer<'a>],
    ) -> Vec<CertificateDer<'a>> {
        core::iter::once(leaf).chain(rest).cloned().collect()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let dialled = match server_name {
            ServerName::IpAddress(ip) => Dialled::Ip((*ip).into()),
            name => Dialled::parse(&name.to_str()).map_err(|_| Error::UnsupportedNameType)?,
        };
        let chain = Self::chain(end_entity, intermediates);
        conclude(check_peer(&chain, &self.roots, Role::Server, Some(&dialled), now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = Self::chain(end_entity, intermediates);
        conclude(check_peer(&chain, &self.roots, Role::Client, None, now))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Sends the client's own certificate whenever it is asked for, and notes it.
#[derive(Debug)]
pub(super) struct OwnCertificate(pub(super) Arc<CertifiedKey>);

impl ResolvesClientCert for OwnCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(sigschemes)?;
        entropy::note(|notes| notes.own_certificate_sent = true);
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
