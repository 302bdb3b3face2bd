//! The evidence: what a handshake negotiated and with whom.

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

/// What a completed handshake negotiated.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version.
    pub version: TlsVersion,
    /// The suite's IANA name, for example `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: &'static str,
    /// The key exchange group, for example `X25519`; `None` in a resumed TLS 1.2 session, which
    /// has no key exchange.
    pub key_exchange: Option<&'static str>,
    /// True if an earlier session was resumed. Its certificate was checked again.
    pub resumed: bool,
    /// The peer's certificate; `None` for a client that presented none.
    pub peer: Option<PeerCertificate>,
    /// True if this handshake sent our own certificate.
    pub own_certificate_sent: bool,
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
    /// The name that matched what was dialled, and by which rule; `None` on the server's side,
    /// where nothing was dialled.
    pub matched: Option<NameMatch>,
    /// The subject of the trust anchor behind it.
    pub anchor: String,
}
