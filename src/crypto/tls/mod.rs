//! TLS over memory: rustls behind one door.
//!
//! A [`TlsStream`] takes ciphertext and gives plaintext, and the other way round; it never sees
//! a socket, a clock or a random device. TLS 1.2 and 1.3 with AEAD suites and ephemeral
//! elliptic-curve key exchange only (RFC 9325 §3 and §4), no renegotiation, no compression, no
//! early data. What was negotiated and whose certificate it was is told by [`TlsFacts`].
//!
//! # What a certificate must satisfy
//!
//! All of it, in a full handshake and again when a session is resumed:
//!
//! 1. The chain leads to a trust anchor (RFC 5280), or a [`ChainVerifier`] of the host's vouches
//!    for it.
//! 2. Its purpose is SIP or TLS ([`KeyPurposes`], RFC 5924).
//! 3. No revocation list of the host's names it ([`RevocationLists`]). A list that has expired
//!    refuses the connection unless the host says otherwise ([`ExpiredList`]).
//! 4. One of its keys is pinned, if there are pins ([`PinSet`]).
//! 5. Its name is the domain dialled (RFC 5922, [`identity`](crate::crypto::identity)). A
//!    client's is one of the expected domains, if there are any.
//!
//! A refusal says which of these failed: [`CertificateProblem`].
//!
//! # Randomness and time
//!
//! Both are lent to rustls for the length of a call, and come from the caller. Exceptions:
//! RSA-PSS and P-384 signatures of ring's, and everything in
//! [`TlsProvider`]'s second variant, use generators of their own; no handshake with those is
//! reproducible from a seed. Certificates are always judged by the caller's clock, except inside
//! a [`ChainVerifier`] that reads another.
//!
//! # Resumption
//!
//! Sessions are kept in memory, at most 64 names and 64 sessions on each side, and belong to the
//! settings that they were made under: [`TlsClientSettings`] for the dialling side, where they
//! are kept by the domain dialled, [`TlsServerSettings`] for the accepting side. New settings
//! know none of them. A resumed TLS 1.3 session exchanges keys anew; one of TLS 1.2 does not.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod certificate;
mod domains;
mod entropy;
mod error;
mod facts;
mod gate;
mod keylog;
mod material;
mod pins;
mod provider;
mod revocation;
mod settings;
mod stream;
mod usage;
mod verify;

pub use domains::TlsDomains;
pub use error::{CertificateProblem, TlsError, TlsSettingsError};
pub use facts::{PeerCertificate, TlsFacts, TlsVersion};
pub use material::{ChainVerifier, TlsIdentity, TrustAnchors};
pub use pins::{MAX_PINS, PinMatch, PinSet, PinnedKey, SpkiPin};
pub use provider::TlsProvider;
pub use revocation::{
    ExpiredList, MAX_REVOCATION_BYTES, MAX_REVOCATION_LISTS, Revocation, RevocationLists,
    UnlistedIssuer,
};
pub use settings::{
    ClientCertificates, TlsClientOptions, TlsClientSettings, TlsServerOptions, TlsServerSettings,
    TlsVersions,
};
pub use stream::{MAX_BUFFERED, TlsProgress, TlsStream};
pub use usage::KeyPurposes;
