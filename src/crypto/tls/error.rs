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
    /// A certificate in the chain is on no list, and every one has to be.
    #[error("no revocation list covers the certificate")]
    RevocationUnknown,
    /// The revocation list that covers the certificate is out of date.
    #[error("the revocation list has expired: bring a new one")]
    RevocationListExpired,
    /// The revocation list was not signed by the issuer of the certificate, or by one who may
    /// not sign lists.
    #[error("the revocation list was not signed by the certificate's issuer")]
    RevocationListForged,
    /// The chain verifies, but none of its keys is pinned: somebody obtained a certificate for
    /// the domain from another authority, or the keys changed without the pins.
    #[error("the certificate verifies, but its key ({presented}) is not pinned")]
    PinMismatch {
        /// The pin of the key that the peer presented.
        presented: String,
    },
    /// The certificate is for neither SIP nor TLS in this role (RFC 5924 §4.1).
    #[error("the certificate is not meant for this use (extended key usage)")]
    WrongUsage,
    /// A client's certificate is genuine, but of somebody who is not expected.
    #[error("the client's certificate is of somebody else")]
    WrongClient {
        /// What the certificate presents, bounded in number and length.
        presented: Vec<String>,
    },
    /// The peer had to present a certificate and did not.
    #[error("the peer presented no certificate")]
    Missing,
    /// Anything else: malformed, constraints violated.
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
    /// A pin does not parse.
    #[error("a pin is the base64 of a SHA-256 digest, 32 bytes: sha256/...=")]
    BadPin,
    /// A set of pins is empty or too large.
    #[error("a set of pins has 1 to 16 different pins")]
    PinCount,
    /// A certificate revocation list does not parse or is of a kind that is not supported.
    #[error("a revocation list is not usable (version 2, complete, with nextUpdate): {0}")]
    BadRevocationList(String),
    /// Too many certificate revocation lists, or too long ones.
    #[error("too many revocation lists: at most 64, of 4 MiB together")]
    TooManyRevocationLists,
    /// An expected client is no host name or address.
    #[error(transparent)]
    InvalidDomain(#[from] InvalidDomain),
    /// A verifier of the host's own stands beside rules that it cannot keep.
    #[error("a chain verifier of the host's cannot be combined with {0}")]
    VerifierCannot(&'static str),
    /// rustls refuses the combination.
    #[error("TLS settings refused: {0}")]
    Refused(String),
}
