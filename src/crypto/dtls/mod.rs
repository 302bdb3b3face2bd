//! DTLS-SRTP (RFC 5763, RFC 5764): SRTP keys from a handshake on the media path itself, each end
//! proven by the fingerprint of its certificate in SDP (RFC 8122).
//!
//! A [`DtlsSession`] is sans-IO: datagrams and time in, datagrams and a state out. The protocol is
//! the crate `dimpl` (DTLS 1.2 and 1.3), run on the same cryptography as the rest of this crate:
//! ring, `p256` and `x25519-dalek`, all of it fed from the caller's [`Rng`](crate::util::Rng).
//!
//! # What is negotiated
//! ECDHE (X25519, P-256), ECDSA certificates (P-256, P-384), AES-GCM, extended master secret; the
//! SRTP profiles `SRTP_AEAD_AES_256_GCM`, `SRTP_AEAD_AES_128_GCM` and
//! `SRTP_AES128_CM_HMAC_SHA1_80`, in this order.
//!
//! # What is guaranteed
//! - Keys are given out only after the peer's certificate was compared with a fingerprint from
//!   signalling. A fingerprint may come after the handshake ([`DtlsState::AwaitingFingerprint`]).
//!   Without one, or with another one, there are no keys.
//! - What arrives after the handshake changes neither the keys nor the state, but for an
//!   authenticated `close_notify`.
//! - One session is one association with one peer address (RFC 5764 §3): the caller gives it the
//!   datagrams of that address only. Whoever answers first from elsewhere is another session.
//! - Who forges datagrams without seeing ours (a ClientHello before, during or after the
//!   handshake, alerts, garbage) gets neither keys nor an answer worth having, and does not shut
//!   the peer out; at worst, with answers to our first ClientHello that arrive before the peer's,
//!   the handshake fails.
//!
//! # Limits
//! - dimpl takes `std::time::Instant`: an origin is read from the operating system's clock once
//!   per session, and moved to where the clock that dimpl derives from it, and writes into the
//!   hello randoms of DTLS 1.2, shows a time that was drawn at random. Only differences to it are
//!   used: a seed gives the same run. Between retransmissions dimpl's time is ahead of ours,
//!   because it knows no longest pause.
//! - dimpl draws hello randoms, cookie secrets, the explicit nonces of DTLS 1.2 and the jitter of
//!   its timers from a generator of its own, which gets 64 bits of the caller's
//!   [`Rng`](crate::util::Rng) as its seed. All keys come from the [`Rng`](crate::util::Rng)
//!   itself.
//! - dimpl does not zeroize its buffers. What stays in them are the secrets of its own records;
//!   the private key never reaches it, nor do the shared secret, the master secret, the exporter's
//!   secrets and the SRTP keys: it works with handles for them.
//! - Only X25519 and P-256 for key exchange, so that OpenSSL, as the passive end of DTLS 1.2,
//!   does not use a P-384 certificate with us.

mod config;
mod der;
mod fingerprint;
mod identity;
mod keys;
mod lend;
mod provider;
mod records;
mod rivals;
mod session;
#[cfg(test)]
mod tests;
mod vault;

pub use fingerprint::{Fingerprint, FingerprintError, FingerprintHash, Fingerprints};
pub use identity::{DtlsIdentity, DtlsIdentityError};
pub use keys::DtlsSrtpKeys;
pub(crate) use records::has_client_hello;
pub use records::is_dtls;
pub use session::{
    DtlsCounters, DtlsFailure, DtlsRole, DtlsSession, DtlsState, DtlsVersion, DtlsVersions,
    MAX_DATAGRAM,
};
