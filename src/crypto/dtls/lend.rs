//! The scoped lend: how a session's randomness and private key reach dimpl.
//!
//! dimpl asks `'static` objects for ephemeral keys and for signing keys, and has no argument
//! through which either could be passed. So while a call into a session runs, and only then, a
//! thread-local cell holds that session's generator and key. Outside of such a call the cell is
//! empty, and whoever draws gets an error; nothing stays behind. It also keeps the private key, and
//! with a [`Vault`] the secrets, out of dimpl's buffers, which are not zeroized.

use core::cell::RefCell;
use std::sync::Arc;

use p256::ecdsa::SigningKey;
use ring::digest;

use super::vault::Vault;
use crate::util::{Rng, Secret};

/// A session's generator: SHA-256 over a state that is replaced at each draw, so that what was
/// drawn cannot be found from what is left. As strong as the caller's generator that seeded it.
#[derive(Clone, Debug)]
pub(super) struct Ratchet(Secret<[u8; 32]>);

impl Ratchet {
    pub(super) fn new(rng: &mut dyn Rng) -> Self {
        let mut seed = Secret::new([0; 32]);
        rng.fill(seed.expose_mut());
        Self(seed)
    }

    fn hash(&self, purpose: u8, counter: u64) -> Secret<[u8; 32]> {
        let mut input = Secret::new([0; 41]);
        let bytes = self.0.expose().iter().copied().chain([purpose]).chain(counter.to_be_bytes());
        input.expose_mut().iter_mut().zip(bytes).for_each(|(slot, b)| *slot = b);
        let digest = digest::digest(&digest::SHA256, input.expose());
        let mut out = Secret::new([0; 32]);
        out.expose_mut().iter_mut().zip(digest.as_ref()).for_each(|(slot, b)| *slot = *b);
        out
    }
}

impl Rng for Ratchet {
    fn fill(&mut self, out: &mut [u8]) {
        for (counter, chunk) in (0_u64..).zip(out.chunks_mut(32)) {
            let block = self.hash(1, counter);
            chunk.iter_mut().zip(block.expose()).for_each(|(slot, b)| *slot = *b);
        }
        self.0 = self.hash(0, 0);
    }
}

struct Lent {
    rng: Ratchet,
    key: Arc<SigningKey>,
    vault: Option<Vault>,
}

thread_local! {
    static LENT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

/// Runs `call` with the generator and the key lent to the provider on this thread.
pub(super) fn lend<R>(rng: &mut Ratchet, key: &Arc<SigningKey>, call: impl FnOnce() -> R) -> R {
    lend_all(rng, key, &mut None, call)
}

/// The same with a vault: secrets stay in it, and dimpl gets handles.
pub(super) fn lend_all<R>(
    rng: &mut Ratchet,
    key: &Arc<SigningKey>,
    vault: &mut Option<Vault>,
    call: impl FnOnce() -> R,
) -> R {
    let lent = Lent { rng: rng.clone(), key: key.clone(), vault: vault.take() };
    let outer = LENT.replace(Some(lent));
    let result = call();
    if let Some(lent) = LENT.replace(outer) {
        (*rng, *vault) = (lent.rng, lent.vault);
    }
    result
}

/// Uses the lent vault with the lent generator; `None` if none is lent.
pub(super) fn vault<R>(run: impl FnOnce(&mut Vault, &mut dyn Rng) -> R) -> Option<R> {
    LENT.with_borrow_mut(|lent| {
        let lent = lent.as_mut()?;
        Some(run(lent.vault.as_mut()?, &mut lent.rng))
    })
}

/// Fills `out` from the lent generator; `None` if none is lent.
pub(super) fn fill(out: &mut [u8]) -> Option<()> {
    LENT.with_borrow_mut(|lent| lent.as_mut().map(|lent| lent.rng.fill(out)))
}

/// The lent private key, if any.
pub(super) fn key() -> Option<Arc<SigningKey>> {
    LENT.with_borrow(|lent| lent.as_ref().map(|lent| lent.key.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::SeededRng;

    #[test]
    fn nothing_is_drawn_outside_a_call_and_nothing_twice() {
        let key = Arc::new(SigningKey::from_slice(&[7; 32]).unwrap());
        let mut rng = Ratchet::new(&mut SeededRng::new(1));
        assert!(fill(&mut [0; 1]).is_none() && super::key().is_none());
        let mut draw = || {
            let mut out = [0; 70];
            lend(&mut rng, &key, || fill(&mut out)).unwrap();
            out
        };
        let (first, second) = (draw(), draw());
        assert_ne!(first[..32], first[32..64]);
        assert_ne!(first[..32], second[..32]);
        let mut again = [0; 70];
        Ratchet::new(&mut SeededRng::new(1)).fill(&mut again);
        assert_eq!(first, again);
        assert!(fill(&mut [0; 1]).is_none() && super::key().is_none());
    }
}
