//! The gate as rustls asks for it, on both sides, and our own certificate.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::entropy;
use super::error::CertificateProblem;
use super::gate::{Gate, Verdict};
use crate::crypto::identity::Dialled;

/// Gives the verdict to rustls, and the details to the stream whose call runs.
fn conclude(verdict: Result<Verdict, CertificateProblem>) -> Result<(), Error> {
    match verdict {
        Ok(verdict) => {
            entropy::note(|notes| notes.verdict = Some(verdict));
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
                CertificateProblem::WrongUsage => CertificateError::InvalidPurpose,
                CertificateProblem::RevocationUnknown
                | CertificateProblem::RevocationListExpired
                | CertificateProblem::RevocationListForged => {
                    CertificateError::UnknownRevocationStatus
                }
                CertificateProblem::PinMismatch { .. } | CertificateProblem::WrongClient { .. } => {
                    CertificateError::ApplicationVerificationFailure
                }
                CertificateProblem::BadSignature => CertificateError::BadSignature,
                CertificateProblem::Revoked => CertificateError::Revoked,
                _ => CertificateError::BadEncoding,
            };
            entropy::note(|notes| notes.problem = Some(problem));
            Err(alert.into())
        }
    }
}

/// The verifier of both sides: the gate decides.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) gate: Arc<Gate>,
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

    fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.gate.provider.rustls().signature_verification_algorithms
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
        conclude(self.gate.check(&chain, Some(&dialled), now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
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
        conclude(self.gate.check(&chain, None, now))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
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
