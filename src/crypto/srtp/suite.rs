//! The crypto suites of SRTP and their sizes.

use core::{fmt, str::FromStr};

/// A crypto suite: cipher, authentication and tag length (RFC 3711, 4568, 6188, 7714).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Suite {
    /// AES-128 in counter mode, 80-bit HMAC-SHA1 tag: mandatory to implement (RFC 3711).
    AesCm128HmacSha1_80,
    /// AES-128 in counter mode, 32-bit tag on RTP, 80-bit tag on RTCP (RFC 3711, 4568 §6.2).
    AesCm128HmacSha1_32,
    /// AES-192 in counter mode, 80-bit tag (RFC 6188).
    AesCm192HmacSha1_80,
    /// AES-192 in counter mode, 32-bit tag on RTP, 80-bit tag on RTCP (RFC 6188).
    AesCm192HmacSha1_32,
    /// AES-256 in counter mode, 80-bit tag (RFC 6188).
    AesCm256HmacSha1_80,
    /// AES-256 in counter mode, 32-bit tag on RTP, 80-bit tag on RTCP (RFC 6188).
    AesCm256HmacSha1_32,
    /// AES-128 in Galois/counter mode, 128-bit tag (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode, 128-bit tag (RFC 7714).
    AeadAes256Gcm,
    /// AES-128 in f8-mode, 80-bit HMAC-SHA1 tag (RFC 3711 §4.1.2, RFC 4568 §6.2.3): for old
    /// equipment. DTLS-SRTP has no profile for it.
    F8_128HmacSha1_80,
}

impl Suite {
    /// Every suite, strongest first, and at the end the one for old equipment.
    pub const ALL: [Self; 9] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm192HmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AesCm192HmacSha1_32,
        Self::AesCm128HmacSha1_32,
        Self::F8_128HmacSha1_80,
    ];

    /// The name in `a=crypto` (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2).
    pub const fn sdp_name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm192HmacSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Self::AesCm192HmacSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::F8_128HmacSha1_80 => "F8_128_HMAC_SHA1_80",
        }
    }

    /// The suite of this `a=crypto` name. The names compare without regard to case, as the ABNF
    /// strings of RFC 4568 §9.1 do.
    pub fn from_sdp_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.sdp_name().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key (and of the session encryption keys).
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::AeadAes128Gcm
            | Self::F8_128HmacSha1_80 => 16,
            Self::AesCm192HmacSha1_80 | Self::AesCm192HmacSha1_32 => 24,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of master key and master salt together: what `inline:` carries (RFC 4568 §6.1).
    pub const fn master_len(self) -> usize {
        self.key_len().saturating_add(self.salt_len())
    }

    /// Bytes that protection adds to an RTP packet: the tag.
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_32 | Self::AesCm192HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            _ => self.rtcp_tag_len(),
        }
    }

    /// Bytes that protection adds to an RTCP packet: the tag and the E bit with the index.
    pub const fn rtcp_overhead(self) -> usize {
        if self.is_aead() { 16 + 4 } else { 10 + 4 }
    }

    /// True for AES-GCM.
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// RTCP is authenticated with 80 bits even where RTP has 32 (RFC 3711 §5.2, RFC 4568 §6.2.2).
    pub(crate) const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sdp_name())
    }
}

/// The name is not that of a suite that this crate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a known SRTP crypto suite")]
pub struct UnknownSuite;

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(name: &str) -> Result<Self, UnknownSuite> {
        Self::from_sdp_name(name).ok_or(UnknownSuite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_and_suites_are_one_to_one() {
        for suite in Suite::ALL {
            assert_eq!(suite.to_string().parse(), Ok(suite));
            assert_eq!(suite.sdp_name().to_lowercase().parse(), Ok(suite));
        }
        // In the ABNF of RFC 4568 §9.2, but defined nowhere.
        assert_eq!("F8_128_HMAC_SHA1_32".parse::<Suite>(), Err(UnknownSuite));
        assert_eq!("".parse::<Suite>(), Err(UnknownSuite));
    }

    #[test]
    fn sizes_are_those_of_the_rfcs() {
        let sizes = |s: Suite| (s.key_len(), s.salt_len(), s.rtp_overhead(), s.rtcp_overhead());
        assert_eq!(sizes(Suite::AesCm128HmacSha1_80), (16, 14, 10, 14));
        assert_eq!(sizes(Suite::AesCm128HmacSha1_32), (16, 14, 4, 14));
        assert_eq!(sizes(Suite::AesCm192HmacSha1_80), (24, 14, 10, 14));
        assert_eq!(sizes(Suite::AesCm256HmacSha1_32), (32, 14, 4, 14));
        assert_eq!(sizes(Suite::F8_128HmacSha1_80), (16, 14, 10, 14));
        assert_eq!(sizes(Suite::AeadAes128Gcm), (16, 12, 16, 20));
        assert_eq!(sizes(Suite::AeadAes256Gcm), (32, 12, 16, 20));
    }
}
