//! TLS over memory: rustls behind one door.
//!
//! A [`TlsStream`] takes ciphertext and gives plaintext, and the other way round; it never sees
//! a socket, a clock or a random device. TLS 1.2 and 1.3 with AEAD suites and ephemeral
//! elliptic-curve key exchange only (RFC 9325 §3 and §4), no renegotiation, no compression, no
//! early data. What was negotiated and whose certificate it was is told by [`TlsFacts`].

mod certificate;
mod entropy;
mod error;
mod facts;
mod provider;
mod settings;
mod stream;
mod verify;

pub use error::{CertificateProblem, TlsError, TlsSettingsError};
pub use facts::{PeerCertificate, TlsFacts, TlsVersion};
pub use settings::{
    ClientCertificates, TlsClientSettings, TlsIdentity, TlsServerSettings, TlsVersions,
    TrustAnchors,
};
pub use stream::{MAX_BUFFERED, TlsProgress, TlsStream};
