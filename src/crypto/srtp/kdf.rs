//! AES counter mode and the key derivation of RFC 3711 §4.3 (RFC 6188 §3, RFC 7714 §11), with a
//! key derivation rate of 0: one derivation for the life of the master key.

use super::{KeyError, MasterKey, Suite};
use aes::{
    Aes128Enc, Aes192Enc, Aes256Enc,
    cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, consts::U16},
};
use zeroize::{Zeroize, Zeroizing};

/// An expanded AES key for counter mode. The `aes` crate picks the CPU's instructions at run time
/// and zeroizes the round keys on drop.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one per context: a Box would only add a cache miss
pub(crate) enum AesCtr {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl AesCtr {
    /// `None` unless the key has 16, 24 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128Enc::new_from_slice(key).ok().map(Self::Aes128),
            24 => Aes192Enc::new_from_slice(key).ok().map(Self::Aes192),
            32 => Aes256Enc::new_from_slice(key).ok().map(Self::Aes256),
            _ => None,
        }
    }

    /// XORs the key stream that starts at counter block `iv` over `data`.
    #[inline]
    pub(crate) fn apply(&self, iv: u128, data: &mut [u8]) {
        match self {
            Self::Aes128(aes) => apply_ctr(aes, iv, data),
            Self::Aes192(aes) => apply_ctr(aes, iv, data),
            Self::Aes256(aes) => apply_ctr(aes, iv, data),
        }
    }
}

/// The counter is 16 bits in SRTP, 128 bits in `Ctr128BE`: the same as long as no packet has 2^16
/// blocks, and none does ([`super::MAX_PACKET_LEN`]).
#[inline]
fn apply_ctr<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    aes: &C,
    iv: u128,
    data: &mut [u8],
) {
    let core =
        ctr::CtrCore::<&C, ctr::flavors::Ctr128BE>::inner_iv_init(aes, &iv.to_be_bytes().into());
    aes::cipher::StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
}

/// Derives `out.len()` bytes for a label (RFC 3711 §4.3.1: 0 to 2 for SRTP, 3 to 5 for SRTCP).
/// A salt of 12 bytes is treated as if two zero bytes followed it (RFC 7714 §11).
pub(crate) fn derive(key: &AesCtr, salt: &[u8], label: u8, out: &mut [u8]) {
    let x = salt_block(salt) ^ (u128::from(label) << 64);
    out.fill(0);
    key.apply(x, out);
}

/// 16 bytes that only this master key and salt derive: a label that nothing else uses (RFC 3711
/// has 0 to 5, RFC 6904 6 and 7). As one-way as the session keys are.
pub(crate) fn identity(master: &MasterKey) -> Result<[u8; 16], KeyError> {
    let (key, salt) = master.split();
    let prf = AesCtr::new(key).ok_or(KeyError::Refused(master.suite()))?;
    let mut out = [0; 16];
    derive(&prf, salt, 0xfe, &mut out);
    Ok(out)
}

/// The stack that a key derivation may have written to. Without optimization every move of a round
/// key leaves a copy.
const STACK_TRACES: usize = if cfg!(debug_assertions) { 64 << 10 } else { 8 << 10 };

/// Writes zeros over what the last calls left on the stack: the expanded master key among it, of
/// which the `aes` crate wipes the last place alone.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut traces = [0_u8; STACK_TRACES];
    traces.zeroize();
    core::hint::black_box(&traces);
}

/// The salt as the 112 upper bits of a counter block.
pub(crate) fn salt_block(salt: &[u8]) -> u128 {
    let mut block = [0; 16];
    for (b, s) in block.iter_mut().zip(salt.iter().take(14)) {
        *b = *s;
    }
    u128::from_be_bytes(block)
}

/// Session keys of one protocol (SRTP or SRTCP) in one direction.
pub(crate) struct SessionKeys {
    key: Zeroizing<[u8; 32]>,
    key_len: usize,
    pub(crate) auth: Zeroizing<[u8; 20]>,
    pub(crate) salt: Zeroizing<[u8; 14]>,
}

impl SessionKeys {
    /// Labels `first`, `first + 1` and `first + 2` are encryption, authentication and salt.
    pub(crate) fn derive(master: &MasterKey, first: u8) -> Result<Self, KeyError> {
        let suite = master.suite();
        let (key, salt) = master.split();
        let prf = AesCtr::new(key).ok_or(KeyError::Refused(suite))?;
        let mut keys = Self::blank(suite);
        if let Some(out) = keys.key.get_mut(..suite.key_len()) {
            derive(&prf, salt, first, out);
        }
        derive(&prf, salt, first.saturating_add(1), keys.auth.as_mut());
        if let Some(out) = keys.salt.get_mut(..suite.salt_len()) {
            derive(&prf, salt, first.saturating_add(2), out);
        }
        Ok(keys)
    }

    fn blank(suite: Suite) -> Self {
        Self {
            key: Zeroizing::new([0; 32]),
            key_len: suite.key_len(),
            auth: Zeroizing::new([0; 20]),
            salt: Zeroizing::new([0; 14]),
        }
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.key.get(..self.key_len).unwrap_or_default()
    }

    /// Session keys as they are, without derivation: RFC 7714's packets start from these.
    pub(crate) fn from_raw(suite: Suite, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if key.len() != suite.key_len() || salt.len() != suite.salt_len() {
            return Err(KeyError::Length { suite, got: key.len().saturating_add(salt.len()) });
        }
        let mut keys = Self::blank(suite);
        for (to, from) in keys.key.iter_mut().zip(key) {
            *to = *from;
        }
        for (to, from) in keys.salt.iter_mut().zip(salt) {
            *to = *from;
        }
        Ok(keys)
    }
}
