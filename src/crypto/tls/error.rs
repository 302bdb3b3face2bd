//! Why a TLS stream, a certificate or a setting was refused.

use rustls::{CertificateError, Error};

use crate::crypto::identity::InvalidDomain;

/// Why a peer's certificate was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// The validity of a certificate in the chain has ended.
    #[error("a certificate in the chain has expired")]
    Expired,
    /// The validity of a certificate in the chain has not begun: or our clock is wrong.
    #[error("a certificate in the chain is not valid yet (is the clock right?)")]
    NotYetValid,
    /// No trust anchor stands behind the chain.
    #[error("the certificate was issued by nobody we trust")]
    UnknownIssuer,
    /// The certificate vouches for itself and is no trust anchor.
    #[error("the certificate is self-signed")]
    SelfSigned,
    /// The certificate belongs to somebody else (RFC 5922 §7).
    #[error("the certificate is not for {dialled}")]
    WrongName {
        /// What was dialled.
        dialled: String,
        /// What the certificate presents, bounded in number and length.
        presented: Vec<String>,
    },
    /// A signature in the chain or in the handshake does not verify.
    #[error("a signature does not verify")]
    BadSignature,
    /// A certificate in the chain has been revoked.
    #[error("the certificate was revoked")]
    Revoked,
    /// The peer had to present a certificate and did not.
    #[error("the peer presented no certificate")]
    Missing,
    /// Anything else: malformed, not for this usage, constraints violated.
    #[error("the certificate is unacceptable: {0}")]
    Other(String),
}

/// Why a TLS stream failed. Each is fatal for the stream.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate was refused.
    #[error("certificate refused: {0}")]
    Certificate(CertificateProblem),
    /// The peer gave up with this alert.
    #[error("the peer sent the alert {0}")]
    Alert(String),
    /// The peer supports no version, suite or group that we accept.
    #[error("no common ground with the peer: {0}")]
    Incompatible(String),
    /// The peer broke the protocol, or what arrives is not TLS.
    #[error("not TLS, or broken: {0}")]
    Protocol(String),
    /// A record could not be decrypted.
    #[error("a record does not decrypt")]
    Decrypt,
    /// More than [`MAX_BUFFERED`](super::MAX_BUFFERED) bytes wait to be read or sent.
    #[error("a TLS buffer is full: drain the stream before feeding it")]
    BufferFull,
    /// The domain to verify is not one.
    #[error(transparent)]
    InvalidDomain(#[from] InvalidDomain),
    /// The stream has been closed by this side, or has failed before.
    #[error("the stream is closed")]
    Closed,
    /// rustls failed for a reason of its own.
    #[error("TLS failed: {0}")]
    Internal(String),
}

impl TlsError {
    pub(super) fn from_rustls(error: Error, noted: Option<CertificateProblem>) -> Self {
        if let Some(problem) = noted {
            return Self::Certificate(problem);
        }
        match error {
            Error::InvalidCertificate(CertificateError::BadSignature) => {
                Self::Certificate(CertificateProblem::BadSignature)
            }
            Error::InvalidCertificate(other) => {
                Self::Certificate(CertificateProblem::Other(bounded(&other)))
            }
            Error::NoCertificatesPresented => Self::Certificate(CertificateProblem::Missing),
            Error::AlertReceived(alert) => Self::Alert(bounded(&alert)),
            Error::PeerIncompatible(why) => Self::Incompatible(bounded(&why)),
            Error::DecryptError => Self::Decrypt,
            e @ (Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InvalidMessage(_)
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord) => Self::Protocol(bounded(&e)),
            other => Self::Internal(bounded(&other)),
        }
    }
}

/// What rustls says, in at most 120 characters.
pub(super) fn bounded(what: &impl core::fmt::Debug) -> String {
    format!("{what:?}").chars().take(120).collect()
}

/// Why trust anchors, an identity or settings could not be made: the caller's mistake.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// The text has no PEM section of the kind that is needed.
    #[error("no {0} found: pass PEM with BEGIN and END lines")]
    NoPem(&'static str),
    /// A certificate does not parse.
    #[error("a certificate does not parse: {0}")]
    BadCertificate(String),
    /// The private key does not parse, or its kind is not supported.
    #[error(
        "the private key is not usable (RSA, P-256, P-384 or Ed25519 in PKCS#8, or SEC1, PKCS#1)"
    )]
    BadKey,
    /// The private key is not the one of the certificate.
    #[error("the private key does not belong to the first certificate of the chain")]
    KeyMismatch,
    /// rustls refuses the combination.
    #[error("TLS settings refused: {0}")]
    Refused(String),
}
