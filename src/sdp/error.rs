//! What can be wrong with a description, a key line or a negotiation.

use super::NegotiationState;
use alloc::string::String;

/// A session description that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// Longer than [`super::MAX_BYTES`].
    #[error("the session description has {0} bytes, more than the limit")]
    TooLong(usize),
    /// Not SDP (RFC 4566 §9). The text names the line and the field.
    #[error("the session description is malformed: {0}")]
    Syntax(String),
    /// More m= lines than [`super::MAX_MEDIA`].
    #[error("the session description has too many m= lines")]
    TooManyMedia,
    /// More attributes than [`super::MAX_ATTRIBUTES`] at one level.
    #[error("the session description has too many attributes")]
    TooManyAttributes,
    /// More a=crypto lines than [`super::MAX_CRYPTO_LINES`] for one m= line.
    #[error("the session description has too many a=crypto lines")]
    TooManyCryptoLines,
}

/// An a=crypto line that cannot be used (RFC 4568 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// Not of the grammar of RFC 4568 §9.
    #[error("the crypto line is malformed")]
    Syntax,
    /// A key method other than `inline`.
    #[error("the crypto line's key method is not \"inline\"")]
    KeyMethod,
    /// The key is not base64, or it is empty or absurdly long.
    #[error("the crypto line's key is not usable base64")]
    Key,
    /// A lifetime of 0 or beyond 2^48 packets (RFC 3711 §9.2).
    #[error("the crypto line's key lifetime is out of range")]
    Lifetime,
    /// A master key identifier that does not fit its length, or no identifiers for several keys.
    #[error("the crypto line's master key identifier is not usable")]
    Mki,
    /// UNENCRYPTED_SRTP, UNENCRYPTED_SRTCP or UNAUTHENTICATED_SRTP: never accepted.
    #[error("the crypto line switches protection off")]
    Unprotected,
    /// KDR: keys that are derived anew every so many packets. No peer in the field does it.
    #[error("the crypto line asks for a key derivation rate, which is not supported")]
    KeyDerivationRate,
    /// A mandatory session parameter that is not supported.
    #[error("the crypto line needs a session parameter that is not supported")]
    Parameter,
}

/// An a=fingerprint that cannot be used (RFC 8122 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// Not a hash function's name and pairs of hexadecimal digits with colons between them.
    #[error("the fingerprint is malformed")]
    Syntax,
    /// Not as long as the hash function's values are.
    #[error("the fingerprint has the wrong length for its hash function")]
    Length,
}

/// Why an offer/answer exchange failed. [`warning`](Self::warning) gives what a 488 response
/// says about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The caller asked for a step that the state does not allow.
    #[error("the negotiation is in state {state:?}, which does not allow to {attempted}")]
    WrongState {
        /// The state the machine is in.
        state: NegotiationState,
        /// What was attempted.
        attempted: &'static str,
    },
    /// The caller gave no codec, or none with a free payload type.
    #[error("the local media has no codec to offer")]
    NoLocalCodec,
    /// The caller requires SRTP but gave neither a key line nor a fingerprint.
    #[error("SRTP was asked for without any a=crypto line or DTLS fingerprint")]
    NoLocalKeys,
    /// The caller's DTLS side has no fingerprint of SHA-256 or stronger, or a malformed tls-id.
    #[error("the local DTLS side has no strong fingerprint, or its tls-id is malformed")]
    BadLocalDtls,
    /// The caller asked for an offer with a plain stream and allows no plain RTP.
    #[error("a plain stream cannot be offered, as plain RTP is not allowed: offer another shape")]
    PlainNotAllowed,
    /// The peer's description has no audio stream (or has disabled it with port 0).
    #[error("the peer offers no audio stream")]
    NoAudio,
    /// The peer's answer refused the audio stream.
    #[error("the peer refused the audio stream")]
    Refused,
    /// The answer's m= lines are not those of the offer (RFC 3264 §6).
    #[error("the answer's m= lines do not match the offer's")]
    MediaMismatch,
    /// A transport profile that cannot be spoken, or another one than was offered.
    #[error("the transport profile \"{0}\" is not acceptable")]
    Profile(String),
    /// Policy requires SRTP and the peer does not offer or take it.
    #[error("media encryption is required, and the peer does not offer it")]
    EncryptionRequired,
    /// The answer has none of the keys that were offered, and plain RTP is not allowed: the peer
    /// cannot SRTP, or somebody on the way took the keys out.
    #[error("the answer left out the offered keys (declined, or stripped on the way)")]
    KeysDropped,
    /// The offer demanded SRTP, and the answer is for plain RTP: nobody may do that (RFC 3264 §6).
    #[error("the answer turned the encrypted stream that was offered into a plain one")]
    ProfileDowngraded,
    /// DTLS is asked for and no fingerprint is there of SHA-256 or stronger.
    #[error("the peer's DTLS fingerprint is missing, malformed or too weak")]
    NoUsableFingerprint,
    /// a=setup leaves nobody to start the DTLS handshake, or is no answer to ours (RFC 4145 §4.1).
    #[error("the peer's a=setup leaves no role for the DTLS handshake")]
    Setup,
    /// Policy forbids SRTP (plain media only) and the peer requires it.
    #[error("the peer requires media encryption, which this account does not use")]
    EncryptionNotAllowed,
    /// No common crypto suite, or no usable key line.
    #[error("no offered crypto suite is acceptable")]
    NoCommonSuite,
    /// The answer's key line is not the only one, or does not match an offered tag
    /// and suite (RFC 4568 §5.1.3).
    #[error("the answer's a=crypto line does not match the offer")]
    CryptoAnswer,
    /// No codec in common.
    #[error("no codec in common")]
    NoCommonCodec,
    /// No c= line, or an address that media cannot be sent to (a name, a multicast address).
    #[error("the media address is missing or cannot be used")]
    Address,
}

impl NegotiationError {
    /// The Warning code and text for a 488 response (RFC 3261 §20.43). The text is fixed: nothing
    /// that the peer sent is echoed.
    pub const fn warning(&self) -> (u16, &'static str) {
        match self {
            Self::NoAudio | Self::Refused => (304, "Media type not available"),
            Self::NoCommonCodec | Self::NoLocalCodec => (305, "Incompatible media format"),
            Self::Profile(_) => (302, "Incompatible transport protocol"),
            Self::Address => (301, "Incompatible network address format"),
            Self::EncryptionRequired | Self::KeysDropped | Self::ProfileDowngraded => {
                (399, "Media encryption required")
            }
            Self::EncryptionNotAllowed => (399, "Media encryption not supported"),
            Self::NoCommonSuite | Self::CryptoAnswer => (399, "No acceptable crypto suite"),
            Self::NoUsableFingerprint | Self::Setup => (399, "No acceptable DTLS parameters"),
            Self::MediaMismatch => (399, "Answer does not match the offer"),
            Self::WrongState { .. }
            | Self::NoLocalKeys
            | Self::BadLocalDtls
            | Self::PlainNotAllowed => (399, "Negotiation not possible"),
        }
    }
}
