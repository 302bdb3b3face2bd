//! Cryptography: the SRTP context, TLS over memory, DTLS-SRTP, peer identity, Digest.

#[cfg(feature = "std")]
pub(crate) mod der;
#[cfg(feature = "std")]
pub mod digest;
#[cfg(feature = "std")]
pub mod dtls;
#[cfg(feature = "std")]
pub mod identity;
#[cfg(feature = "std")]
pub mod safety_number;
pub mod srtp;
#[cfg(feature = "std")]
pub mod tls;
