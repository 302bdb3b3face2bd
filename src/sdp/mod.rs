//! SDP and the offer/answer model (RFC 4566, 3264), with SRTP keyed by SDES or DTLS (RFC 4568,
//! 5763, 8643).
//!
//! [`SessionDescription`] is what was read or will be written, [`Negotiator`] the offer/answer
//! machine of one dialog. Parsing and printing stand on the crate `sdp-types`, which no public
//! item shows.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod crypto_attribute;
mod description;
mod dtls_attribute;
mod error;
mod fault;
mod keying;
mod negotiate;
mod negotiator;
mod offer;
mod parse;
mod print;
mod redundancy;
mod security;
#[cfg(test)]
mod tests;

pub use crypto_attribute::{CryptoAttribute, InlineKey, Lifetime, Mki};
pub use description::{
    CodecDescription, ConnectionAddress, Direction, MediaDescription, MediaKind, Origin, Profile,
    RtcpAddress, SessionDescription,
};
pub use dtls_attribute::{DtlsRole, Fingerprint, Setup, is_tls_id};
pub use error::{CryptoError, FingerprintError, NegotiationError, SdpError};
pub use fault::SdpFault;
pub use keying::{DtlsKeying, NegotiatedKeying, SdesKeys};
pub use negotiate::{NegotiatedCodec, NegotiatedMedia};
pub use negotiator::{NegotiationState, Negotiator};
pub use offer::{LocalMedia, OfferSummary};
pub use security::{LocalDtls, MediaSecurity, OfferShape};

/// The most bytes that a session description may have.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most m= lines that a session description may have.
pub const MAX_MEDIA: usize = 32;
/// The most attributes that one m= line, or the session level, may have.
pub const MAX_ATTRIBUTES: usize = 256;
/// The most a=crypto lines that one m= line may have.
pub const MAX_CRYPTO_LINES: usize = 16;
/// The most a=fingerprint lines of one m= line, or of the session, that are looked at.
pub const MAX_FINGERPRINTS: usize = 8;
