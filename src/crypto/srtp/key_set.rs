//! Master keys with their identifiers and lifetimes, as one `a=crypto` line gives them.

use super::{KeyError, MAX_REPLAY_WINDOW, MAX_RTP_PACKETS, MasterKey, REPLAY_WINDOW, Suite};
use alloc::vec::Vec;
use core::fmt;

/// Master keys that one set may have.
pub const MAX_KEYS: usize = 8;

/// The longest master key identifier (RFC 4568 §6.1).
const MAX_MKI_LEN: usize = 128;

/// A master key identifier: the bytes that name the key in each packet (RFC 3711 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MasterKeyId {
    bytes: [u8; MAX_MKI_LEN],
    len: u8,
}

impl MasterKeyId {
    /// From the bytes that stand in a packet.
    ///
    /// # Errors
    /// [`KeyError::Mki`] unless there are 1 to 128.
    pub fn new(id: &[u8]) -> Result<Self, KeyError> {
        let len = u8::try_from(id.len()).map_err(|_| KeyError::Mki)?;
        let mut bytes = [0; MAX_MKI_LEN];
        bytes.get_mut(..id.len()).ok_or(KeyError::Mki)?.copy_from_slice(id);
        if len == 0 { Err(KeyError::Mki) } else { Ok(Self { bytes, len }) }
    }

    /// From the number and the length in bytes that `|1:4` of `a=crypto` gives: big-endian
    /// (RFC 4568 §6.1).
    ///
    /// # Errors
    /// [`KeyError::Mki`] unless the length is 1 to 128 and the number fits.
    pub fn from_number(number: u64, len: u8) -> Result<Self, KeyError> {
        let mut bytes = [0; MAX_MKI_LEN];
        let id = bytes.get_mut(..usize::from(len)).ok_or(KeyError::Mki)?;
        let mut rest = number;
        for byte in id.iter_mut().rev() {
            *byte = (rest & 0xff) as u8;
            rest >>= 8;
        }
        if len == 0 || rest != 0 { Err(KeyError::Mki) } else { Ok(Self { bytes, len }) }
    }

    /// The bytes in a packet.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for MasterKeyId {
    /// An identifier is no secret: every packet shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A master key with what its `a=crypto` line says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    master: MasterKey,
    mki: Option<MasterKeyId>,
    lifetime: u64,
}

impl KeyInfo {
    /// A key without identifier, for as many packets as RFC 3711 §9.2 allows.
    pub fn new(master: MasterKey) -> Self {
        Self { master, mki: None, lifetime: MAX_RTP_PACKETS }
    }

    /// With an identifier, which every packet then carries.
    #[must_use]
    pub fn with_mki(self, mki: MasterKeyId) -> Self {
        Self { mki: Some(mki), ..self }
    }

    /// For at most so many SRTP packets, and as many SRTCP packets (RFC 4568 §6.1); SRTCP ends at
    /// 2^31 in any case.
    ///
    /// # Errors
    /// [`KeyError::Lifetime`] unless it is 1 to 2^48.
    pub fn with_lifetime(self, packets: u64) -> Result<Self, KeyError> {
        if (1..=MAX_RTP_PACKETS).contains(&packets) {
            Ok(Self { lifetime: packets, ..self })
        } else {
            Err(KeyError::Lifetime(packets))
        }
    }

    /// The key.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Its identifier.
    pub fn mki(&self) -> Option<&MasterKeyId> {
        self.mki.as_ref()
    }

    /// Its lifetime in packets.
    pub fn lifetime(&self) -> u64 {
        self.lifetime
    }
}

impl From<MasterKey> for KeyInfo {
    fn from(master: MasterKey) -> Self {
        Self::new(master)
    }
}

/// The master keys of one direction: one, or up to [`MAX_KEYS`] told apart by their identifiers.
///
/// The first one is used by a sender until it is told to
/// [use another](super::SrtpSender::use_key).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    suite: Suite,
    keys: Vec<KeyInfo>,
    window: u64,
}

impl KeySet {
    /// A set of these keys.
    ///
    /// # Errors
    /// [`KeyError::KeyCount`] for none or too many, [`KeyError::KeySet`] unless all have one suite
    /// and different identifiers of one length (RFC 4568 §6.1; a single key needs none).
    pub fn new(keys: Vec<KeyInfo>) -> Result<Self, KeyError> {
        let first = keys.first().ok_or(KeyError::KeyCount(0))?;
        if keys.len() > MAX_KEYS {
            return Err(KeyError::KeyCount(keys.len()));
        }
        let suite = first.master.suite();
        let len = first.mki.map(|mki| mki.len);
        let one_kind =
            keys.iter().all(|k| k.master.suite() == suite && k.mki.map(|mki| mki.len) == len);
        let different = keys.iter().enumerate().all(|(at, key)| {
            keys.iter().take(at).all(|other| other.mki != key.mki && other.master != key.master)
        });
        let set = Self { suite, keys, window: REPLAY_WINDOW };
        if one_kind && different { Ok(set) } else { Err(KeyError::KeySet) }
    }

    /// The keys, the preferred one first.
    pub fn keys(&self) -> &[KeyInfo] {
        &self.keys
    }

    /// With the peer's hint for the replay window of who receives under these keys (WSH, RFC 4568
    /// §6.3.6): the larger of [`REPLAY_WINDOW`] and the hint is taken, [`MAX_REPLAY_WINDOW`] at
    /// most.
    #[must_use]
    pub fn with_window(self, hint: u64) -> Self {
        Self { window: hint.clamp(REPLAY_WINDOW, MAX_REPLAY_WINDOW), ..self }
    }

    /// The replay window of who receives under these keys.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// The suite of all of them.
    pub fn suite(&self) -> Suite {
        self.suite
    }
}

impl From<KeyInfo> for KeySet {
    fn from(key: KeyInfo) -> Self {
        let (suite, window) = (key.master.suite(), REPLAY_WINDOW);
        Self { suite, keys: alloc::vec![key], window }
    }
}

impl From<MasterKey> for KeySet {
    fn from(master: MasterKey) -> Self {
        KeyInfo::new(master).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::SeededRng;
    use alloc::{format, vec};

    #[test]
    fn identifiers_are_big_endian_and_bounded() {
        let id = MasterKeyId::from_number(1066, 4).unwrap();
        assert_eq!(id.as_bytes(), [0, 0, 4, 42]);
        assert_eq!(format!("{id:?}"), "0x0000042a");
        assert_eq!(MasterKeyId::new(&[0, 0, 4, 42]), Ok(id));
        assert_eq!(MasterKeyId::from_number(255, 1).unwrap().as_bytes(), [255]);
        assert_eq!(MasterKeyId::from_number(1, 128).unwrap().as_bytes().len(), 128);
        for (number, len) in [(256, 1), (1, 0), (0, 0), (1, 129)] {
            assert_eq!(MasterKeyId::from_number(number, len), Err(KeyError::Mki), "{number}:{len}");
        }
        assert_eq!(MasterKeyId::new(&[]), Err(KeyError::Mki));
        assert_eq!(MasterKeyId::new(&[1; 129]), Err(KeyError::Mki));
        assert!(MasterKeyId::new(&[1; 128]).is_ok());
    }

    #[test]
    fn a_set_can_tell_its_keys_apart() {
        let rng = &mut SeededRng::new(1);
        let mut key = |suite| KeyInfo::new(MasterKey::generate(suite, rng));
        let (a, b) = (key(Suite::AeadAes128Gcm), key(Suite::AeadAes128Gcm));
        let other = key(Suite::AesCm128HmacSha1_80);
        let mki = |n, len| MasterKeyId::from_number(n, len).unwrap();
        let named = |k: &KeyInfo, n, len| k.clone().with_mki(mki(n, len));
        assert!(KeySet::new(vec![a.clone()]).is_ok());
        assert!(KeySet::new(vec![named(&a, 1, 4), named(&b, 2, 4)]).is_ok());
        assert_eq!(KeySet::new(vec![]), Err(KeyError::KeyCount(0)));
        assert_eq!(KeySet::new(vec![a.clone(); 9]), Err(KeyError::KeyCount(9)));
        for bad in [
            vec![a.clone(), b.clone()],
            vec![named(&a, 1, 4), b.clone()],
            vec![named(&a, 1, 4), named(&b, 1, 4)],
            vec![named(&a, 1, 4), named(&b, 2, 5)],
            vec![named(&a, 1, 4), named(&a, 2, 4)],
            vec![named(&a, 1, 4), named(&other, 2, 4)],
        ] {
            assert_eq!(KeySet::new(bad), Err(KeyError::KeySet));
        }
        assert_eq!(a.clone().with_lifetime(0), Err(KeyError::Lifetime(0)));
        assert_eq!(a.clone().with_lifetime((1 << 48) + 1), Err(KeyError::Lifetime((1 << 48) + 1)));
        assert_eq!(a.with_lifetime(1 << 48).unwrap().lifetime(), 1 << 48);
    }
}
