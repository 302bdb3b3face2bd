//! One seed, many independent streams of randomness: what one part draws never shifts another.

use crate::util::{RngExt, SeededRng};

/// The generator for one purpose of a world, for example `("link", 3)`.
///
/// Adding a draw in one place leaves all others as they were, so a run stays comparable with
/// the same seed's earlier runs.
pub fn split(seed: u64, purpose: &str, index: u64) -> SeededRng {
    // FNV-1a over the purpose and the index; the generator itself does the mixing.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    for byte in purpose.bytes().chain(index.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let mut rng = SeededRng::new(hash);
    SeededRng::new(rng.next_u64() ^ seed.rotate_left(32))
}

/// Draws that scenarios are made of.
pub trait Draw: RngExt {
    /// True with this probability (0.0 to 1.0).
    fn chance(&mut self, share: f64) -> bool {
        // One draw in any case: the stream does not depend on the setting.
        f64::from(self.next_u32()) < share * 4_294_967_296.0
    }

    /// A whole number from `low` to `high`, both included.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// A duration from zero to `limit`, in steps of a microsecond.
    fn up_to(&mut self, limit: core::time::Duration) -> core::time::Duration {
        let micros = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        core::time::Duration::from_micros(u64::from(self.between(0, micros)))
    }

    /// One of the choices; `None` only if there are none.
    fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let n = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        choices.get(self.below(n) as usize)
    }
}

impl<R: RngExt + ?Sized> Draw for R {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_independent_and_repeatable() {
        let draw = |seed, purpose, index| split(seed, purpose, index).next_u64();
        assert_eq!(draw(1, "link", 0), draw(1, "link", 0));
        assert_ne!(draw(1, "link", 0), draw(1, "link", 1));
        assert_ne!(draw(1, "link", 0), draw(1, "host", 0));
        assert_ne!(draw(1, "link", 0), draw(2, "link", 0));
    }

    #[test]
    fn draws_stay_in_range() {
        let mut rng = split(9, "test", 0);
        for _ in 0..500 {
            assert!((3..=5).contains(&rng.between(3, 5)));
            assert!(!rng.chance(0.0) && rng.chance(1.0));
            assert!(rng.pick(&[1, 2]).is_some());
        }
        assert_eq!(rng.pick::<u8>(&[]), None);
    }
}
