//! What can go wrong when a packet is protected (the caller's doing) or unprotected (the peer's).

/// Why a packet could not be protected. Nothing was sent and no index was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// The buffer has no room for the tag.
    #[error("the buffer is too small: {needed} bytes are needed")]
    BufferTooSmall {
        /// Bytes that the protected packet takes.
        needed: usize,
    },
    /// The bytes are no RTP packet, or no RTCP packet.
    #[error("these bytes are no packet of that protocol")]
    Malformed,
    /// The packet is longer than a UDP datagram can be.
    #[error("the packet is longer than a datagram")]
    TooLong,
    /// This sequence number was used before under this key, or lies before one that was. To
    /// protect it again would encrypt two packets with one key stream: send the bytes that were
    /// protected the first time, or number anew.
    #[error("sequence number {sequence} of SSRC {ssrc:08x} is not ahead of the last one sent")]
    IndexReused {
        /// The source.
        ssrc: u32,
        /// The sequence number.
        sequence: u16,
    },
    /// The key has protected all the packets it may: its lifetime, at most 2^48 SRTP and 2^31
    /// SRTCP (RFC 3711 §9.2). Negotiate a new one and [rekey](super::SrtpSender::rekey).
    #[error("the master key is used up: negotiate a new one")]
    KeyExhausted,
    /// The context already has its maximum of sources.
    #[error("the context has no room for one more SSRC: make a new one, with a new key")]
    TooManySsrcs,
    /// The source has sent or received already, so its counters cannot be set.
    #[error("SSRC {0:08x} is in use: its counters can only be set before its first packet")]
    SsrcInUse(u32),
}

/// Why a packet from the network was refused. Count it and drop the packet: nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum UnprotectError {
    /// The tag does not match: forged, corrupted, or made with another key or roll-over counter.
    #[error("authentication failed")]
    AuthFailed,
    /// This index was received before.
    #[error("replayed")]
    Replayed,
    /// The index lies below the replay window of 128.
    #[error("older than the replay window")]
    TooOld,
    /// Shorter than its header and tag.
    #[error("too short")]
    TooShort,
    /// Not RTP, not RTCP, or longer than a datagram can be.
    #[error("malformed")]
    Malformed,
    /// The packet is authentic, but would be one source too many.
    #[error("too many sources")]
    TooManySsrcs,
    /// SRTCP without encryption, which was not agreed on.
    #[error("SRTCP is not encrypted")]
    Unencrypted,
    /// The roll-over counter is at its end: the peer must change keys.
    #[error("the key is used up")]
    KeyExhausted,
    /// No key in use has the packet's master key identifier.
    #[error("unknown master key identifier")]
    UnknownMki,
}

impl UnprotectError {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: [Self; 9] = [
        Self::AuthFailed,
        Self::Replayed,
        Self::TooOld,
        Self::TooShort,
        Self::Malformed,
        Self::TooManySsrcs,
        Self::Unencrypted,
        Self::KeyExhausted,
        Self::UnknownMki,
    ];

    /// A small number for counting per reason: below `ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short name in snake case, for counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthFailed => "auth_failed",
            Self::Replayed => "replayed",
            Self::TooOld => "too_old",
            Self::TooShort => "too_short",
            Self::Malformed => "malformed",
            Self::TooManySsrcs => "too_many_ssrcs",
            Self::Unencrypted => "unencrypted",
            Self::KeyExhausted => "key_exhausted",
            Self::UnknownMki => "unknown_mki",
        }
    }
}
