//! TLS over memory: rustls behind one door.
//!
//! A [`TlsStream`] takes ciphertext and gives plaintext, and the other way round; it never sees
//! a socket, a clock or a random device. TLS 1.2 and 1.3 with AEAD suites and ephemeral
//! elliptic-curve key exchange only (RFC 9325 §3 and §4), no renegotiation, no compression, no
//! early data. What was negotiated and whose certificate it was is told by [`TlsFacts`].

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
