//! The packet transforms: AES-CM or AES-f8 with HMAC-SHA1 (RFC 3711 §4) and AES-GCM (RFC 7714), in
//! place.
//!
//! Each knows only bytes: the contexts say which index a packet has and whether it may pass.
//!
//! ```text
//! SRTP, HMAC-SHA1   header | encrypted payload | MKI | tag
//! SRTP, GCM         header | encrypted payload | tag | MKI
//! SRTCP, HMAC-SHA1  8 bytes | encrypted rest | E and index | MKI | tag
//! SRTCP, GCM        8 bytes | encrypted rest | tag | E and index | MKI
//! ```
//! The MKI has no bytes unless one was agreed on; it is not authenticated (RFC 3711 §3.1).

use super::{
    KeyError, Suite,
    f8::{self, F8},
    kdf::{AesCtr, SessionKeys, salt_block},
};
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// In clear at the start of every SRTCP packet: header and sender SSRC.
pub(crate) const RTCP_CLEAR_LEN: usize = 8;
const GCM_TAG_LEN: usize = 16;
/// The E bit of SRTCP: the packet is encrypted.
pub(crate) const E_BIT: u32 = 1 << 31;

/// The tag does not fit the packet, or the packet is shorter than its fixed parts.
#[derive(Debug)]
pub(crate) struct Failed;

/// One protocol's session keys, expanded once.
#[allow(clippy::large_enum_variant)] // one per context: a Box would only add a cache miss
pub(crate) enum Transform {
    HmacSha1(HmacSha1),
    Gcm(Gcm),
}

impl Transform {
    /// `tag_len` is the length of an HMAC-SHA1 tag; GCM has 16 bytes always.
    pub(crate) fn new(suite: Suite, keys: &SessionKeys, tag_len: usize) -> Result<Self, KeyError> {
        let refused = KeyError::Refused(suite);
        if suite.is_aead() {
            let algorithm = match suite {
                Suite::AeadAes128Gcm => &ring::aead::AES_128_GCM,
                _ => &ring::aead::AES_256_GCM,
            };
            let key = UnboundKey::new(algorithm, keys.key()).map_err(|_| refused)?;
            let salt = Zeroizing::new(salt_block(keys.salt.as_ref()) >> 32);
            return Ok(Self::Gcm(Gcm { key: LessSafeKey::new(key), salt }));
        }
        let salt = keys.salt.as_ref();
        let cipher = match suite {
            Suite::F8_128HmacSha1_80 => F8::new(keys.key(), salt).map(KeyStream::F8),
            _ => AesCtr::new(keys.key()).map(|aes| {
                let salt = Zeroizing::new(salt_block(salt));
                KeyStream::Counter(Counter { aes, salt })
            }),
        };
        let cipher = cipher.ok_or(refused)?;
        let mac = Hmac::new_from_slice(keys.auth.as_ref()).map_err(|_| refused)?;
        Ok(Self::HmacSha1(HmacSha1 { cipher, mac, tag_len }))
    }

    /// True if a packet that fails to open is left as it was.
    pub(crate) fn failure_is_harmless(&self) -> bool {
        matches!(self, Self::HmacSha1(_)) // checked first, decrypted then; ring does both at once
    }

    /// The master key identifier of an SRTP or SRTCP packet. Not authenticated.
    #[inline]
    pub(crate) fn mki<'p>(&self, packet: &'p [u8], mki_len: usize) -> Option<&'p [u8]> {
        let behind = match self {
            Self::HmacSha1(sha1) => sha1.tag_len,
            Self::Gcm(_) => 0,
        };
        let end = packet.len().checked_sub(behind)?;
        packet.get(end.checked_sub(mki_len)?..end)
    }

    /// Encrypts and authenticates an RTP packet: `packet` ends where its tag and MKI will end.
    #[inline]
    pub(crate) fn seal_rtp(
        &self,
        ssrc: u32,
        index: u64,
        header_len: usize,
        mki: &[u8],
        packet: &mut [u8],
    ) -> Result<(), Failed> {
        match self {
            Self::HmacSha1(sha1) => {
                let (rest, tag) = split_tail(packet, sha1.tag_len)?;
                let (body, place) = split_tail(rest, mki.len())?;
                sha1.apply_rtp(ssrc, index, header_len, body)?;
                copy(place, mki)?;
                copy(tag, &sha1.tag(body, &roc(index)))
            }
            Self::Gcm(gcm) => {
                let (packet, place) = split_tail(packet, mki.len())?;
                copy(place, mki)?;
                let (body, tag) = split_tail(packet, GCM_TAG_LEN)?;
                let (header, payload) = body.split_at_mut_checked(header_len).ok_or(Failed)?;
                copy(tag, gcm.seal(ssrc, index, header, payload)?.as_ref())
            }
        }
    }

    /// Checks and decrypts an SRTP packet; returns its length without tag and MKI. If it fails, the
    /// payload may be garbage.
    #[inline]
    pub(crate) fn open_rtp(
        &self,
        ssrc: u32,
        index: u64,
        header_len: usize,
        mki_len: usize,
        packet: &mut [u8],
    ) -> Result<usize, Failed> {
        match self {
            Self::HmacSha1(sha1) => {
                let (rest, tag) = split_tail(packet, sha1.tag_len)?;
                let (body, _) = split_tail(rest, mki_len)?;
                sha1.verify(body, &roc(index), tag)?;
                sha1.apply_rtp(ssrc, index, header_len, body)?;
                Ok(body.len())
            }
            Self::Gcm(gcm) => {
                let (packet, _) = split_tail(packet, mki_len)?;
                let (header, payload) = packet.split_at_mut_checked(header_len).ok_or(Failed)?;
                let len = gcm.open(ssrc, index, header, payload)?;
                header_len.checked_add(len).ok_or(Failed)
            }
        }
    }

    /// Encrypts and authenticates a compound RTCP packet: `packet` ends where the protected one
    /// will end.
    pub(crate) fn seal_rtcp(
        &self,
        ssrc: u32,
        index: u32,
        mki: &[u8],
        packet: &mut [u8],
    ) -> Result<(), Failed> {
        let word = index | E_BIT;
        let word_bytes = word.to_be_bytes();
        match self {
            Self::HmacSha1(sha1) => {
                let (rest, tag) = split_tail(packet, sha1.tag_len)?;
                let (signed, place) = split_tail(rest, mki.len())?;
                copy(place, mki)?;
                let (body, place) = split_tail(signed, 4)?;
                sha1.apply_rtcp(ssrc, word, body)?;
                copy(place, &word_bytes)?;
                copy(tag, &sha1.tag(signed, &[]))
            }
            Self::Gcm(gcm) => {
                let (packet, place) = split_tail(packet, mki.len())?;
                copy(place, mki)?;
                let (body, place) = split_tail(packet, 4)?;
                copy(place, &word_bytes)?;
                let (body, tag) = split_tail(body, GCM_TAG_LEN)?;
                let (clear, payload) = body.split_at_mut_checked(RTCP_CLEAR_LEN).ok_or(Failed)?;
                let aad = rtcp_aad(clear, word_bytes)?;
                copy(tag, gcm.seal(ssrc, index.into(), &aad, payload)?.as_ref())
            }
        }
    }

    /// The word with E bit and index. Not authenticated yet.
    pub(crate) fn rtcp_index_word(&self, packet: &[u8], mki_len: usize) -> Option<u32> {
        let behind = match self {
            Self::HmacSha1(sha1) => sha1.tag_len.checked_add(mki_len)?,
            Self::Gcm(_) => mki_len,
        };
        let body = packet.get(..packet.len().checked_sub(behind)?)?;
        body.last_chunk::<4>().map(|word| u32::from_be_bytes(*word))
    }

    /// Checks and (if its E bit is set) decrypts an SRTCP packet; returns the length of the
    /// compound packet.
    pub(crate) fn open_rtcp(
        &self,
        ssrc: u32,
        word: u32,
        mki_len: usize,
        packet: &mut [u8],
    ) -> Result<usize, Failed> {
        let encrypted = word & E_BIT != 0;
        let index = u64::from(word & !E_BIT);
        match self {
            Self::HmacSha1(sha1) => {
                let (rest, tag) = split_tail(packet, sha1.tag_len)?;
                let (signed, _) = split_tail(rest, mki_len)?;
                sha1.verify(signed, &[], tag)?;
                let (body, _) = split_tail(signed, 4)?;
                if encrypted {
                    sha1.apply_rtcp(ssrc, word, body)?;
                }
                Ok(body.len())
            }
            Self::Gcm(gcm) => {
                let (packet, _) = split_tail(packet, mki_len)?;
                let (sealed, _) = split_tail(packet, 4)?;
                if encrypted {
                    let (clear, payload) =
                        sealed.split_at_mut_checked(RTCP_CLEAR_LEN).ok_or(Failed)?;
                    let aad = rtcp_aad(clear, word.to_be_bytes())?;
                    let len = gcm.open(ssrc, index, &aad, payload)?;
                    return RTCP_CLEAR_LEN.checked_add(len).ok_or(Failed);
                }
                // Authenticated only (RFC 7714 §9.2): the associated data is the packet followed
                // by the index word, so the word moves over the start of the tag.
                let (body, tag) = split_tail(sealed, GCM_TAG_LEN)?;
                let len = body.len();
                let mut saved = [0; GCM_TAG_LEN];
                copy(&mut saved, tag)?;
                copy(tag.get_mut(..4).ok_or(Failed)?, &word.to_be_bytes())?;
                let aad = packet.get(..len.checked_add(4).ok_or(Failed)?).ok_or(Failed)?;
                gcm.open(ssrc, index, aad, &mut saved)?;
                Ok(len)
            }
        }
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The salt and the key of AES counter mode.
struct Counter {
    aes: AesCtr,
    salt: Zeroizing<u128>,
}

impl Counter {
    /// RFC 3711 §4.1.1: the salt, the SSRC at bit 64 and the index at bit 16.
    #[inline]
    fn apply(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let iv = *self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        self.aes.apply(iv, data);
    }
}

/// The cipher of a suite with HMAC-SHA1.
#[allow(clippy::large_enum_variant)] // one per context: a Box would only add a cache miss
enum KeyStream {
    Counter(Counter),
    F8(F8),
}

/// A key stream and HMAC-SHA1; the HMAC is kept with its key already absorbed.
pub(crate) struct HmacSha1 {
    cipher: KeyStream,
    mac: Hmac<Sha1>,
    tag_len: usize,
}

impl HmacSha1 {
    /// Encrypts or decrypts what follows the header of an RTP packet.
    #[inline]
    fn apply_rtp(
        &self,
        ssrc: u32,
        index: u64,
        header_len: usize,
        body: &mut [u8],
    ) -> Result<(), Failed> {
        let (header, payload) = body.split_at_mut_checked(header_len).ok_or(Failed)?;
        match &self.cipher {
            KeyStream::Counter(counter) => counter.apply(ssrc, index, payload),
            KeyStream::F8(f8) => f8.apply(f8::rtp_iv(header, roc(index)).ok_or(Failed)?, payload),
        }
        Ok(())
    }

    /// Encrypts or decrypts what follows the first eight bytes of a compound RTCP packet; `word` is
    /// its E bit and index.
    fn apply_rtcp(&self, ssrc: u32, word: u32, body: &mut [u8]) -> Result<(), Failed> {
        let (clear, payload) = body.split_at_mut_checked(RTCP_CLEAR_LEN).ok_or(Failed)?;
        match &self.cipher {
            KeyStream::Counter(counter) => counter.apply(ssrc, (word & !E_BIT).into(), payload),
            KeyStream::F8(f8) => f8.apply(f8::rtcp_iv(clear, word).ok_or(Failed)?, payload),
        }
        Ok(())
    }

    #[inline]
    fn tag(&self, body: &[u8], suffix: &[u8]) -> [u8; 20] {
        let mut mac = self.mac.clone();
        mac.update(body);
        mac.update(suffix);
        mac.finalize().into_bytes().into()
    }

    #[inline]
    fn verify(&self, body: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), Failed> {
        let expected = self.tag(body, suffix);
        let expected = expected.get(..self.tag_len).ok_or(Failed)?;
        if bool::from(expected.ct_eq(tag)) { Ok(()) } else { Err(Failed) }
    }
}

/// AES-GCM. ring offers no way to zeroize its expanded key.
pub(crate) struct Gcm {
    key: LessSafeKey,
    /// 96 bits.
    salt: Zeroizing<u128>,
}

impl Gcm {
    /// RFC 7714 §8.1, §9.1: two zero bytes, SSRC and 48 bits of index, under the salt.
    #[inline]
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let nonce = *self.salt ^ (u128::from(ssrc) << 48) ^ u128::from(index);
        let [_, _, _, _, nonce @ ..] = nonce.to_be_bytes();
        Nonce::assume_unique_for_key(nonce)
    }

    #[inline]
    fn seal(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        payload: &mut [u8],
    ) -> Result<ring::aead::Tag, Failed> {
        let nonce = self.nonce(ssrc, index);
        self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload).map_err(|_| Failed)
    }

    /// `payload` ends with the tag; returns the length of the plain text.
    #[inline]
    fn open(&self, ssrc: u32, index: u64, aad: &[u8], payload: &mut [u8]) -> Result<usize, Failed> {
        let nonce = self.nonce(ssrc, index);
        let plain = self.key.open_in_place(nonce, Aad::from(aad), payload).map_err(|_| Failed)?;
        Ok(plain.len())
    }
}

/// RFC 7714 §9.2: what travels in clear, the index word included.
fn rtcp_aad(clear: &[u8], word: [u8; 4]) -> Result<[u8; 12], Failed> {
    let [a, b, c, d, e, f, g, h] = *clear.first_chunk::<RTCP_CLEAR_LEN>().ok_or(Failed)?;
    let [w, x, y, z] = word;
    Ok([a, b, c, d, e, f, g, h, w, x, y, z])
}

/// The roll-over counter, which HMAC-SHA1 covers though it does not travel.
fn roc(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

fn split_tail(bytes: &mut [u8], tail: usize) -> Result<(&mut [u8], &mut [u8]), Failed> {
    let at = bytes.len().checked_sub(tail).ok_or(Failed)?;
    bytes.split_at_mut_checked(at).ok_or(Failed)
}

/// Copies as many bytes as `to` has: tags are truncated on their right.
fn copy(to: &mut [u8], from: &[u8]) -> Result<(), Failed> {
    to.copy_from_slice(from.get(..to.len()).ok_or(Failed)?);
    Ok(())
}
