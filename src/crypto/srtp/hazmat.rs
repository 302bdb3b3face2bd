//! Inner steps of SRTP, exposed for published test vectors and for comparison with other
//! implementations. Calls need none of this.

use alloc::vec::Vec;

use super::{
    KeyError, Keys, SrtpReceiver, SrtpSender, Suite,
    f8::F8,
    kdf::{self, AesCtr, SessionKeys},
    keyring::{Identity, Key},
};

/// XORs `data` with the AES-CM key stream that starts at counter block `iv` (RFC 3711 §4.1.1).
/// `None` unless the key has 16, 24 or 32 bytes.
pub fn apply_key_stream(key: &[u8], iv: u128, data: &mut [u8]) -> Option<()> {
    AesCtr::new(key)?.apply(iv, data);
    Some(())
}

/// XORs `data` with the key stream of AES in f8-mode for this IV (RFC 3711 §4.1.2). `None` unless the
/// key has 16 bytes and the salt no more than that.
pub fn apply_f8_key_stream(key: &[u8], salt: &[u8], iv: u128, data: &mut [u8]) -> Option<()> {
    F8::new(key, salt)?.apply(iv, data);
    Some(())
}

/// The key derivation of RFC 3711 §4.3 at a key derivation rate of 0: fills `out` for a label.
/// `None` unless the key has 16, 24 or 32 bytes.
pub fn derive(master_key: &[u8], master_salt: &[u8], label: u8, out: &mut [u8]) -> Option<()> {
    kdf::derive(&AesCtr::new(master_key)?, master_salt, label, out);
    Some(())
}

/// A pair of contexts whose session keys, for RTP and RTCP alike, are given and not derived. For
/// AES-GCM: the authentication key of AES-CM would be zero.
///
/// # Errors
/// [`KeyError::Length`] if key or salt have another length; [`KeyError::Refused`] for a suite that
/// is not AES-GCM.
pub fn aead_contexts(
    suite: Suite,
    session_key: &[u8],
    session_salt: &[u8],
) -> Result<(SrtpSender, SrtpReceiver), KeyError> {
    if !suite.is_aead() {
        return Err(KeyError::Refused(suite));
    }
    let keys = SessionKeys::from_raw(suite, session_key, session_salt)?;
    let key =
        || Keys::expand(suite, &keys, &keys).map(|keys| Key::new(keys, Identity::new([0; 16])));
    Ok((SrtpSender::with_key(key()?, Vec::new()), SrtpReceiver::with_key(key()?)?))
}
