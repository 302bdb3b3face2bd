//! What is seen of a DTLS-SRTP association from outside: its role, its state, why it failed, what
//! arrived and was not part of it.

use alloc::string::String;

use super::Fingerprint;
use super::keys::DtlsSrtpKeys;

/// Which end sends the ClientHello (RFC 5763 §5, `a=setup`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DtlsRole {
    /// `a=setup:active`: the client.
    Active,
    /// `a=setup:passive`: the server.
    Passive,
}

/// Which versions of the protocol are offered and accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum DtlsVersions {
    /// DTLS 1.3 where the peer has it, else 1.2.
    #[default]
    All,
    /// DTLS 1.2 (RFC 6347) only.
    Only12,
    /// DTLS 1.3 (RFC 9147) only.
    Only13,
}

/// The version that was negotiated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum DtlsVersion {
    /// RFC 6347.
    Dtls12,
    /// RFC 9147.
    Dtls13,
}

/// Why a session failed. None of its keys was given out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DtlsFailure {
    /// The peer's certificate is not the one that signalling announced: someone else answered.
    #[error("the certificate on the media path is not the signalled one, but has {presented}")]
    FingerprintMismatch {
        /// The fingerprint of the certificate that was presented.
        presented: Fingerprint,
    },
    /// The peer took none of our SRTP profiles.
    #[error("the peer has none of our SRTP protection profiles")]
    NoSrtpProfile,
    /// The peer's certificate or its cipher suites are none that this engine has: it takes elliptic
    /// curves only (ECDSA on P-256 or P-384), and the peer probably has an RSA certificate.
    #[error(
        "the peer's DTLS certificate or ciphers are not supported: elliptic curves only, not RSA"
    )]
    Unsupported,
    /// The peer did not answer, or not to the end.
    #[error("the DTLS handshake timed out")]
    TimedOut {
        /// The last alert that came without authentication (RFC 8446 §6.2): perhaps the peer's
        /// reason, perhaps an attacker's.
        alert: Option<u8>,
    },
    /// The handshake went wrong again and again.
    #[error("the DTLS handshake failed: {reason}")]
    Handshake {
        /// What went wrong the last time.
        reason: String,
    },
    /// The peer ended the association before it was established.
    #[error("the peer closed the DTLS association before it was established")]
    Closed,
}

/// Where a session stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DtlsState {
    /// The handshake is under way, or (passive) has not begun.
    Handshaking,
    /// The handshake is complete, but no fingerprint came from signalling yet; the keys are held.
    AwaitingFingerprint,
    /// The peer proved to have the certificate that signalling announced.
    Established {
        /// The SRTP keys of both directions, with their profile.
        keys: DtlsSrtpKeys,
        /// The fingerprint from signalling that matched.
        fingerprint: Fingerprint,
        /// The version of DTLS.
        version: DtlsVersion,
    },
    /// It will not come to keys.
    Failed(DtlsFailure),
    /// The association ended after it had been established.
    Closed,
}

/// What arrived and was not part of the handshake that led to the keys, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct DtlsCounters {
    /// Longer than [`MAX_DATAGRAM`](super::MAX_DATAGRAM).
    pub oversized: u64,
    /// Not DTLS by the first byte (RFC 7983).
    pub not_dtls: u64,
    /// Part of no handshake that is under way: no answer to our first ClientHello, or from an
    /// address with which there is none.
    pub unexpected: u64,
    /// A ClientHello after the handshake.
    pub late_hellos: u64,
    /// The first ClientHello of a client while a handshake with another one was unfinished.
    pub rival_hellos: u64,
    /// A ClientHello while too many key exchanges had been made for others.
    pub refused_hellos: u64,
    /// An answer to our ClientHello that contradicts the one that was taken.
    pub rival_answers: u64,
    /// Handshakes that were dropped to make room for newer ones.
    pub displaced: u64,
    /// Handshakes that were dropped because the peer did not go on with them.
    pub stalled: u64,
    /// Handshakes with a certificate that was not the announced one.
    pub wrong_certificates: u64,
    /// An alert that anybody could have sent.
    pub forgeable_alerts: u64,
    /// While there was no association: after the end, or in the pause after an error.
    pub ignored: u64,
    /// What made dimpl give a handshake up.
    pub errors: u64,
    /// Application data, which DTLS-SRTP has no use for.
    pub application_data: u64,
    /// Own datagrams lost: not polled in time, or into too small a buffer.
    pub unsent: u64,
}
