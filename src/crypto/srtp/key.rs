//! Master keys.

use super::Suite;
use crate::util::{Rng, Secret};
use alloc::{vec, vec::Vec};

/// Why bytes are no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Key and salt together have another length.
    #[error("{suite} needs {} bytes of key and salt, not {got}", suite.master_len())]
    Length {
        /// The suite.
        suite: Suite,
        /// Bytes that were given.
        got: usize,
    },
    /// The cryptographic library refused the key.
    #[error("the cipher of {0} refused the key")]
    Refused(Suite),
    /// A master key identifier has 1 to 128 bytes, and its number fits them.
    #[error("a master key identifier has 1 to 128 bytes and its number fits them")]
    Mki,
    /// Several keys of one set need identifiers, all different and of one length; their suite is
    /// one.
    #[error("the keys of a set need one suite and different identifiers of one length")]
    KeySet,
    /// A set has 1 to [`MAX_KEYS`](super::MAX_KEYS) keys.
    #[error("a set has 1 to {max} keys, not {0}", max = super::MAX_KEYS)]
    KeyCount(usize),
    /// A lifetime is 1 to 2^48 packets (RFC 3711 §9.2).
    #[error("a key's lifetime is 1 to 2^48 packets, not {0}")]
    Lifetime(u64),
    /// The context has no key of this identifier.
    #[error("the context has no key of this identifier")]
    UnknownMki,
    /// The key protected packets before another one took its place. To use it again would repeat
    /// its key stream: generate a fresh one.
    #[error("this key was in use before: generate a fresh one")]
    Reused,
}

/// A master key with its salt, for one direction of one session (RFC 3711 §3.2.1, §8.1).
///
/// Never printed, zeroized on drop. With its identifier and lifetime it is a
/// [`KeyInfo`](super::KeyInfo).
#[derive(Clone, Debug)]
pub struct MasterKey {
    suite: Suite,
    bytes: Secret<Vec<u8>>,
}

impl MasterKey {
    /// From key and salt, concatenated: what `inline:` of `a=crypto` carries (RFC 4568 §6.1).
    ///
    /// # Errors
    /// [`KeyError::Length`] unless there are `key_len + salt_len` bytes.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Result<Self, KeyError> {
        if key_and_salt.len() != suite.master_len() {
            return Err(KeyError::Length { suite, got: key_and_salt.len() });
        }
        Ok(Self { suite, bytes: Secret::new(key_and_salt.to_vec()) })
    }

    /// A fresh random key.
    pub fn generate(suite: Suite, rng: &mut dyn Rng) -> Self {
        let mut bytes = Secret::new(vec![0; suite.master_len()]);
        rng.fill(bytes.expose_mut());
        Self { suite, bytes }
    }

    /// The suite that this key is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, concatenated, for the `inline:` of our own offer.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose()
    }

    pub(crate) fn split(&self) -> (&[u8], &[u8]) {
        let bytes = self.bytes.expose();
        bytes.split_at_checked(self.suite.key_len()).unwrap_or((bytes, &[]))
    }
}

impl PartialEq for MasterKey {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite && self.bytes.ct_eq(other.bytes.expose())
    }
}
impl Eq for MasterKey {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::SeededRng;
    use alloc::{format, string::ToString};

    #[test]
    fn a_key_has_the_length_of_its_suite_and_is_not_printed() {
        for suite in Suite::ALL {
            let key = MasterKey::generate(suite, &mut SeededRng::new(1));
            assert_eq!(MasterKey::new(suite, key.expose()).as_ref(), Ok(&key));
            let (k, s) = key.split();
            assert_eq!((k.len(), s.len()), (suite.key_len(), suite.salt_len()));
            assert_eq!(
                format!("{key:?}"),
                format!("MasterKey {{ suite: {suite:?}, bytes: [redacted] }}")
            );
        }
        let short = MasterKey::new(Suite::AeadAes128Gcm, &[0; 30]).unwrap_err();
        assert_eq!(short.to_string(), "AEAD_AES_128_GCM needs 28 bytes of key and salt, not 30");
    }
}
