//! The engine's randomness under C: 32 bytes of the platform's entropy, expanded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aes::Aes256;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::util::{Rng, Secret};

/// A generator with fast key erasure: AES-256 in counter mode under a key that is replaced with
/// each draw, so that what is learned of its state later tells nothing of earlier draws.
#[derive(Debug)]
struct Generator {
    key: Secret<[u8; 32]>,
}

impl Generator {
    fn fill(&mut self, out: &mut [u8]) {
        let iv = [0_u8; 16];
        let mut stream = ctr::Ctr128BE::<Aes256>::new(self.key.expose().into(), (&iv).into());
        let next = self.key.expose_mut();
        next.zeroize();
        stream.apply_keystream(next);
        out.fill(0);
        stream.apply_keystream(out);
    }

    fn stir(&mut self, entropy: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(self.key.expose());
        hash.update(entropy);
        self.key = Secret::new(hash.finalize().into());
    }
}

/// The generator, held by the engine and by the handle that stirs it.
#[derive(Clone, Debug)]
pub(super) struct SharedRandom(Arc<Mutex<Generator>>);

impl SharedRandom {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let mut generator = Generator { key: Secret::new([0; 32]) };
        generator.stir(seed);
        Self(Arc::new(Mutex::new(generator)))
    }

    pub(super) fn stir(&self, entropy: &[u8]) {
        self.lock().stir(entropy);
    }

    fn lock(&self) -> MutexGuard<'_, Generator> {
        // A generator has no state in between: it can go on after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rng for SharedRandom {
    fn fill(&mut self, out: &mut [u8]) {
        self.lock().fill(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_and_stirring_changes_what_comes() {
        let draw = |rng: &mut SharedRandom| {
            let mut out = [0; 40];
            rng.fill(&mut out);
            out
        };
        let (mut a, mut b) = (SharedRandom::new(&[7; 32]), SharedRandom::new(&[7; 32]));
        let first = draw(&mut a);
        assert_eq!(first, draw(&mut b));
        assert_ne!(first, draw(&mut a));
        b.stir(b"more");
        draw(&mut a);
        assert_ne!(draw(&mut a), draw(&mut b));
        assert_ne!(first, draw(&mut SharedRandom::new(&[8; 32])));
        assert!(!format!("{a:?}").contains("[7"));
    }
}
