//! Why a peer's session description was refused, without its texts: what statistics count by.

use super::error::{NegotiationError, SdpError};

/// Why a peer's session description was refused. [`as_str`](Self::as_str) is a key for statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SdpFault {
    /// The description is longer than [`super::MAX_BYTES`].
    TooLong,
    /// Not SDP.
    Syntax,
    /// Too many m= lines.
    TooManyMedia,
    /// Too many attributes.
    TooManyAttributes,
    /// Too many a=crypto lines.
    TooManyCryptoLines,
    /// No audio stream is offered.
    NoAudio,
    /// The answer refuses the audio stream.
    Refused,
    /// The answer's m= lines are not those of the offer.
    MediaMismatch,
    /// A transport profile that cannot be spoken, or another one than was offered.
    Profile,
    /// Policy requires SRTP, and the peer does not have it.
    EncryptionRequired,
    /// The answer left out the keys that were offered.
    KeysDropped,
    /// The answer turned an encrypted stream into a plain one.
    ProfileDowngraded,
    /// DTLS without a strong fingerprint.
    NoUsableFingerprint,
    /// a=setup leaves no role for the DTLS handshake.
    Setup,
    /// The peer requires SRTP, which policy forbids.
    EncryptionNotAllowed,
    /// No common crypto suite, or no usable key.
    NoCommonSuite,
    /// The answer's a=crypto line does not match the offer.
    CryptoAnswer,
    /// No codec in common.
    NoCommonCodec,
    /// The media address is missing or cannot be used.
    Address,
    /// There is no description where one must be.
    Missing,
    /// One a=crypto line cannot be used (see [`super::CryptoError`]); the description may be good.
    CryptoLine,
}

impl SdpFault {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: [Self; 21] = [
        Self::TooLong,
        Self::Syntax,
        Self::TooManyMedia,
        Self::TooManyAttributes,
        Self::TooManyCryptoLines,
        Self::NoAudio,
        Self::Refused,
        Self::MediaMismatch,
        Self::Profile,
        Self::EncryptionRequired,
        Self::KeysDropped,
        Self::ProfileDowngraded,
        Self::NoUsableFingerprint,
        Self::Setup,
        Self::EncryptionNotAllowed,
        Self::NoCommonSuite,
        Self::CryptoAnswer,
        Self::NoCommonCodec,
        Self::Address,
        Self::Missing,
        Self::CryptoLine,
    ];

    /// A small number for counting per reason: below `ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short name in snake case, for counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Syntax => "syntax",
            Self::TooManyMedia => "too_many_media",
            Self::TooManyAttributes => "too_many_attributes",
            Self::TooManyCryptoLines => "too_many_crypto_lines",
            Self::NoAudio => "no_audio",
            Self::Refused => "refused",
            Self::MediaMismatch => "media_mismatch",
            Self::Profile => "profile",
            Self::EncryptionRequired => "encryption_required",
            Self::KeysDropped => "keys_dropped",
            Self::ProfileDowngraded => "profile_downgraded",
            Self::NoUsableFingerprint => "no_usable_fingerprint",
            Self::Setup => "setup",
            Self::EncryptionNotAllowed => "encryption_not_allowed",
            Self::NoCommonSuite => "no_common_suite",
            Self::CryptoAnswer => "crypto_answer",
            Self::NoCommonCodec => "no_common_codec",
            Self::Address => "address",
            Self::Missing => "missing",
            Self::CryptoLine => "crypto_line",
        }
    }
}

impl From<&SdpError> for SdpFault {
    fn from(error: &SdpError) -> Self {
        match error {
            SdpError::TooLong(_) => Self::TooLong,
            SdpError::Syntax(_) => Self::Syntax,
            SdpError::TooManyMedia => Self::TooManyMedia,
            SdpError::TooManyAttributes => Self::TooManyAttributes,
            SdpError::TooManyCryptoLines => Self::TooManyCryptoLines,
        }
    }
}

/// `Err` for a mistake on our own side.
impl TryFrom<&NegotiationError> for SdpFault {
    type Error = ();
    fn try_from(error: &NegotiationError) -> Result<Self, ()> {
        Ok(match error {
            NegotiationError::WrongState { .. }
            | NegotiationError::NoLocalCodec
            | NegotiationError::NoLocalKeys
            | NegotiationError::BadLocalDtls
            | NegotiationError::PlainNotAllowed => return Err(()),
            NegotiationError::NoAudio => Self::NoAudio,
            NegotiationError::Refused => Self::Refused,
            NegotiationError::MediaMismatch => Self::MediaMismatch,
            NegotiationError::Profile(_) => Self::Profile,
            NegotiationError::EncryptionRequired => Self::EncryptionRequired,
            NegotiationError::KeysDropped => Self::KeysDropped,
            NegotiationError::ProfileDowngraded => Self::ProfileDowngraded,
            NegotiationError::NoUsableFingerprint => Self::NoUsableFingerprint,
            NegotiationError::Setup => Self::Setup,
            NegotiationError::EncryptionNotAllowed => Self::EncryptionNotAllowed,
            NegotiationError::NoCommonSuite => Self::NoCommonSuite,
            NegotiationError::CryptoAnswer => Self::CryptoAnswer,
            NegotiationError::NoCommonCodec => Self::NoCommonCodec,
            NegotiationError::Address => Self::Address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_index_and_name() {
        for (at, fault) in SdpFault::ALL.into_iter().enumerate() {
            assert_eq!(fault.index(), at);
            let same = SdpFault::ALL.iter().filter(|f| f.as_str() == fault.as_str());
            assert_eq!(same.count(), 1, "{}", fault.as_str());
        }
        assert_eq!(SdpFault::CryptoLine.index(), SdpFault::ALL.len() - 1);
    }
}
