//! AES in f8-mode (RFC 3711 §4.1.2): output feedback with a counter, for the suite
//! F8_128_HMAC_SHA1_80 (RFC 4568 §6.2.3).

use aes::{
    Aes128Enc,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use zeroize::Zeroizing;

/// The session key of f8-mode, expanded, and the same key under its mask. Both zeroize their round
/// keys on drop.
#[derive(Debug)]
pub(crate) struct F8 {
    cipher: Aes128Enc,
    masked: Aes128Enc,
}

impl F8 {
    /// `None` unless the key has 16 bytes and the salt no more than that.
    pub(crate) fn new(key: &[u8], salt: &[u8]) -> Option<Self> {
        // m = k_s || 0x555..5, and IV' comes from the key XOR m (§4.1.2.1).
        let mut other = Zeroizing::new([0x55; 16]);
        other.get_mut(..salt.len())?.copy_from_slice(salt);
        other.iter_mut().zip(key).for_each(|(mask, key)| *mask ^= key);
        Some(Self {
            cipher: Aes128Enc::new_from_slice(key).ok()?,
            masked: Aes128Enc::new_from_slice(other.as_ref()).ok()?,
        })
    }

    /// XORs the key stream of this IV over `data`: S(j) = E(k_e, IV' XOR j XOR S(j-1)), and S(-1)
    /// is 0.
    #[inline]
    pub(crate) fn apply(&self, iv: u128, data: &mut [u8]) {
        let start = encrypt(&self.masked, iv);
        let mut stream = 0;
        for (j, block) in (0_u128..).zip(data.chunks_mut(16)) {
            stream = encrypt(&self.cipher, start ^ j ^ stream);
            block.iter_mut().zip(stream.to_be_bytes()).for_each(|(byte, key)| *byte ^= key);
        }
    }
}

#[inline]
fn encrypt(aes: &Aes128Enc, block: u128) -> u128 {
    let mut block = block.to_be_bytes().into();
    aes.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

/// The IV of an RTP packet: a zero byte, then marker, payload type, sequence number, timestamp and
/// SSRC of its header, then the roll-over counter (§4.1.2.2). `None` below 12 bytes of header.
#[inline]
pub(crate) fn rtp_iv(header: &[u8], roll_over: [u8; 4]) -> Option<u128> {
    let [_, a, b, c, d, e, f, g, h, i, j, k] = *header.first_chunk::<12>()?;
    let [w, x, y, z] = roll_over;
    Some(u128::from_be_bytes([0, a, b, c, d, e, f, g, h, i, j, k, w, x, y, z]))
}

/// The IV of an RTCP packet: 32 zero bits, the word with E bit and index, then the first eight bytes
/// of the compound packet (§4.1.2.3). `None` if there are fewer.
#[inline]
pub(crate) fn rtcp_iv(clear: &[u8], word: u32) -> Option<u128> {
    let header = u64::from_be_bytes(*clear.first_chunk::<8>()?);
    Some((u128::from(word) << 64) | u128::from(header))
}
