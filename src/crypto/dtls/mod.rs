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
//! - Who forges datagrams in the peer's name (a ClientHello before, during or after the handshake,
//!   answers to ours, alerts, garbage) gets neither keys nor an answer worth having, and does not
//!   shut the peer out. A passive session shakes hands with each client that says hello, until one
//!   shows the announced certificate; an active one begins anew with another hello when a
//!   handshake went wrong or two answers contradict each other, until 30 s are over. An alert that
//!   is not authenticated ends nothing by itself (RFC 6347 §4.1.2.7).
//! - What ends a session before the time-out ends it only after 4 s in which nobody did better: a
//!   certificate that is not the announced one; a peer that has no elliptic curves to show
//!   ([`DtlsFailure::Unsupported`]: it returned its cookie and has no certificate or suite of ours,
//!   or it refused three hellos of ours by an alert; 6 s if it refused fewer and is silent since).
//! - What strangers may cost is bounded: 16 handshakes at a time, 4 of them with clients that
//!   returned their cookie, in less than 256 KiB; 16 key exchanges, and after those one each 500 ms.
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
//! - dimpl has no RSA, neither in its suites nor among the signatures that it asks for in a
//!   CertificateRequest.
//! - A foreign server in the middle of a handshake may take the other hello of a new try for none
//!   of its business. And an attacker who sees our datagrams can keep a handshake from its end, as
//!   it could by dropping them.
//! - Only X25519 and P-256 for key exchange, so that OpenSSL, as the passive end of DTLS 1.2,
//!   does not use a P-384 certificate with us.

mod attempt;
mod candidates;
mod config;
mod der;
mod doubt;
mod fingerprint;
mod handshakes;
mod identity;
mod keys;
mod lend;
mod provider;
mod records;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod vault;

pub use fingerprint::{Fingerprint, FingerprintError, FingerprintHash, Fingerprints};
pub use identity::{DtlsIdentity, DtlsIdentityError};
pub use keys::DtlsSrtpKeys;
pub(crate) use records::has_client_hello;
pub use records::is_dtls;
pub use session::{DtlsSession, MAX_DATAGRAM};
pub use state::{DtlsCounters, DtlsFailure, DtlsRole, DtlsState, DtlsVersion, DtlsVersions};
