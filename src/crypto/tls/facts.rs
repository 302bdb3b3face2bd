//! The evidence: what a handshake negotiated and with whom.

use core::fmt;

use super::pins::{PinMatch, SpkiPin};
use super::provider::TlsProvider;
use super::revocation::Revocation;
use crate::crypto::identity::NameMatch;

/// The version that was negotiated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_2 => "TLS 1.2",
            Self::V1_3 => "TLS 1.3",
        })
    }
}

/// What a completed handshake negotiated.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version.
    pub version: TlsVersion,
    /// The suite's IANA name, for example `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: &'static str,
    /// The key exchange group, for example `X25519` or `X25519MLKEM768`; `None` in a resumed TLS 1.2 session, which
    /// has no key exchange.
    pub key_exchange: Option<&'static str>,
    /// True if an earlier session was resumed. Its certificate was checked again.
    pub resumed: bool,
    /// The peer's certificate; `None` for a client that presented none.
    pub peer: Option<PeerCertificate>,
    /// True if this handshake sent our own certificate.
    pub own_certificate_sent: bool,
    /// Whose cryptography it ran on.
    pub provider: TlsProvider,
    /// True if that was a FIPS-validated module, used by its rules.
    pub fips: bool,
    /// True if the secrets of this connection went into the key log: whoever has the log can
    /// read the connection.
    pub key_logged: bool,
}

impl TlsFacts {
    /// True if the key exchange was a hybrid of a classical and a post-quantum one, so that a
    /// recording cannot be read later with a quantum computer. False for a resumed TLS 1.2
    /// session, which has no key exchange.
    pub fn is_hybrid(&self) -> bool {
        self.key_exchange.and_then(|group| group.find("MLKEM")).is_some_and(|at| at > 0)
    }

    /// The pin that the peer's certificate matched; `None` if nothing was pinned (with pins, a
    /// peer that matches none is refused).
    pub fn pin(&self) -> Option<&PinMatch> {
        self.peer.as_ref()?.pin.as_ref()
    }
}

/// A peer's certificate, verified.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PeerCertificate {
    /// The subject, for example `CN=sip.example.com, O=Example`.
    pub subject: String,
    /// Its alternative names, at most
    /// [`MAX_LISTED_NAMES`](crate::crypto::identity::MAX_LISTED_NAMES).
    pub names: Vec<String>,
    /// The SIP domains it stands for (RFC 5922 §7.1).
    pub domains: Vec<String>,
    /// The SIP users that it stands for, as `alice@example.com`: its `sip:` URIs with a user
    /// part, which name no domain (RFC 5922 §7.1).
    pub users: Vec<String>,
    /// The name that matched what was dialled, and by which rule; `None` on the server's side,
    /// where nothing was dialled.
    pub matched: Option<NameMatch>,
    /// The subject of the trust anchor behind it.
    pub anchor: String,
    /// Its public key, in the form in which it could be pinned.
    pub key: SpkiPin,
    /// The pin that held; `None` if there are no pins.
    pub pin: Option<PinMatch>,
    /// What is known of its revocation.
    pub revocation: Revocation,
}
