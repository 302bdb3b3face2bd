//! The scoped lend: how the engine's randomness and clock reach rustls.
//!
//! rustls asks `'static` objects for random bytes and for the time, and has no argument through
//! which either could be passed. So while a call into a [`TlsStream`](super::TlsStream) runs,
//! and only then, a thread-local cell holds what that call was given: the time, and a generator
//! seeded with 32 bytes of the caller's [`Rng`]. Outside of such a call the cell is empty, and
//! whoever draws gets an error. No other state in this crate lives outside its owner; none of it
//! survives the call.
//!
//! The generator is SHA-256 over (seed, counter): as strong as the caller's generator, and the
//! same seed gives the same handshake, bit for bit.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::crypto::{GetRandomFailed, SecureRandom};
use rustls::pki_types;
use rustls::time_provider::TimeProvider;
use zeroize::{Zeroize, Zeroizing};

use super::CertificateProblem;
use super::gate::Verdict;
use crate::time::UnixTime;
use crate::util::{Rng, Secret};

/// What the callbacks of one call noted for the stream that made it.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What was found out about the peer's certificate, which passed.
    pub(super) verdict: Option<Verdict>,
    /// Why the peer's certificate was refused.
    pub(super) problem: Option<CertificateProblem>,
    /// Our own certificate was sent.
    pub(super) own_certificate_sent: bool,
    /// Lines for the key log.
    pub(super) key_log: Vec<Secret<String>>,
}

struct Lent {
    now: UnixTime,
    seed: Zeroizing<[u8; 32]>,
    counter: u64,
    notes: Notes,
}

thread_local! {
    static LENT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

/// Runs `call` with the time and a generator lent to rustls on this thread.
pub(super) fn lend<R>(now: UnixTime, rng: &mut dyn Rng, call: impl FnOnce() -> R) -> (R, Notes) {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill(&mut *seed);
    let lent = Lent { now, seed, counter: 0, notes: Notes::default() };
    let outer = LENT.replace(Some(lent));
    let result = call();
    let notes = LENT.replace(outer).map(|lent| lent.notes).unwrap_or_default();
    (result, notes)
}

/// Lets a callback leave a note for the stream whose call runs.
pub(super) fn note(write: impl FnOnce(&mut Notes)) {
    LENT.with_borrow_mut(|lent| {
        if let Some(lent) = lent {
            write(&mut lent.notes);
        }
    });
}

/// Fills `out` from the lent generator; an error if none is lent.
pub(super) fn fill(out: &mut [u8]) -> Result<(), GetRandomFailed> {
    LENT.with_borrow_mut(|lent| {
        let lent = lent.as_mut().ok_or(GetRandomFailed)?;
        for chunk in out.chunks_mut(32) {
            let mut input = Zeroizing::new([0; 40]);
            let bytes = lent.seed.iter().copied().chain(lent.counter.to_be_bytes());
            input.iter_mut().zip(bytes).for_each(|(slot, b)| *slot = b);
            lent.counter = lent.counter.wrapping_add(1);
            let digest = ring::digest::digest(&ring::digest::SHA256, &*input);
            chunk.iter_mut().zip(digest.as_ref()).for_each(|(slot, b)| *slot = *b);
            input.zeroize();
        }
        Ok(())
    })
}

/// rustls's view of the lent generator.
#[derive(Debug)]
pub(super) struct LentRandom;

impl SecureRandom for LentRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), GetRandomFailed> {
        fill(out)
    }
}

/// rustls's view of the lent time.
#[derive(Debug)]
struct LentTime;

impl TimeProvider for LentTime {
    fn current_time(&self) -> Option<pki_types::UnixTime> {
        LENT.with_borrow(|lent| lent.as_ref().map(|lent| pki_time(lent.now)))
    }
}

/// The clock to build rustls configurations with.
pub(super) fn clock() -> Arc<dyn TimeProvider> {
    Arc::new(LentTime)
}

/// The engine's wall clock in rustls's type.
pub(super) fn pki_time(now: UnixTime) -> pki_types::UnixTime {
    pki_types::UnixTime::since_unix_epoch(core::time::Duration::from_micros(now.as_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::SeededRng;

    fn drawn(seed: u64) -> [u8; 100] {
        let mut out = [0; 100];
        let (result, _) =
            lend(UnixTime::from_secs(1), &mut SeededRng::new(seed), || fill(&mut out));
        result.expect("a generator is lent");
        out
    }

    #[test]
    fn nothing_is_drawn_outside_a_call() {
        assert!(fill(&mut [0; 1]).is_err());
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        let bytes = drawn(1);
        assert_ne!(bytes[..32], bytes[32..64]);
        assert!(fill(&mut [0; 1]).is_err());
        assert!(LentTime.current_time().is_none());
    }
}
