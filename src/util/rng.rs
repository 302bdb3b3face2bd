//! Randomness enters as an input: the host gives the engine a generator.

/// A source of random bytes. Keys, tags and branches are drawn from it, so outside simulations
/// it must be the platform's cryptographic generator.
pub trait Rng: Send {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);
}

impl<R: Rng + ?Sized> Rng for &mut R {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

impl<R: Rng + ?Sized> Rng for alloc::boxed::Box<R> {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// What is commonly drawn from an [`Rng`].
pub trait RngExt: Rng {
    /// A uniform 16-bit number.
    fn next_u16(&mut self) -> u16 {
        let mut b = [0; 2];
        self.fill(&mut b);
        u16::from_le_bytes(b)
    }

    /// A uniform 32-bit number.
    fn next_u32(&mut self) -> u32 {
        let mut b = [0; 4];
        self.fill(&mut b);
        u32::from_le_bytes(b)
    }

    /// A uniform 64-bit number.
    fn next_u64(&mut self) -> u64 {
        let mut b = [0; 8];
        self.fill(&mut b);
        u64::from_le_bytes(b)
    }

    /// A number below `limit` (0 if `limit` is 0). The bias is below 2^-32 for the small limits
    /// that this crate uses (ports, back-offs), none of which is a secret.
    fn below(&mut self, limit: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(limit)) >> 32) as u32
    }
}

impl<R: Rng + ?Sized> RngExt for R {}

/// A small, fast, seeded generator (SplitMix64) for simulations and tests. Not for keys that
/// anyone depends on.
#[derive(Clone, Debug)]
pub struct SeededRng(u64);

impl SeededRng {
    /// The generator of this seed; the same seed gives the same bytes.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            for (o, b) in chunk.iter_mut().zip(z.to_le_bytes()) {
                *o = b;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_reproduces_its_bytes_and_below_stays_below() {
        let (mut a, mut b) = (SeededRng::new(7), SeededRng::new(7));
        for limit in [1, 2, 10, 1000] {
            let x = a.below(limit);
            assert_eq!(x, b.below(limit));
            assert!(x < limit);
        }
        assert_eq!(a.below(0), 0);
    }
}
