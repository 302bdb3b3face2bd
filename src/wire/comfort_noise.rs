//! Comfort noise (RFC 3389): the level and the colour of the background while nobody speaks.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

/// Reflection coefficients that are kept; more of them change what is heard little, and may be left
/// out (RFC 3389 §3).
pub const MAX_ORDER: usize = 12;
/// The longest payload that is written.
pub const MAX_LEN: usize = MAX_ORDER + 1;
/// The level is told in steps of 1 dB below overload, down to this one.
pub const LOWEST_LEVEL: u8 = 127;
/// The index of a coefficient of 0.
const ZERO: u8 = 127;
/// The one that has no meaning.
const RESERVED: u8 = 255;
/// The index of the largest coefficient.
const LAST: u8 = 254;
/// The step between two indices (RFC 3389 §3.2).
const STEP: f32 = 258.0 / 32_768.0;

/// Why a payload is no comfort noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComfortNoiseError {
    /// It has no level.
    #[error("a comfort noise payload is empty")]
    Empty,
    /// A coefficient has the reserved index 255.
    #[error("a coefficient of comfort noise has the reserved value")]
    Reserved,
}

/// The background, as a comfort noise payload tells it (RFC 3389 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComfortNoise {
    level: u8,
    order: usize,
    indices: [u8; MAX_ORDER],
}

impl ComfortNoise {
    /// Noise at `level` dB below overload (more than 127 is 127), coloured by these reflection
    /// coefficients: the first is that of a lag of one, negative where neighbouring samples are
    /// alike. Those beyond [`MAX_ORDER`] are left out; values of -1 and 1 and beyond become the
    /// nearest one that can be told.
    pub fn new(level: u8, reflection: &[f32]) -> Self {
        let mut indices = [ZERO; MAX_ORDER];
        for (index, coefficient) in indices.iter_mut().zip(reflection) {
            let half = if *coefficient < 0.0 { -0.5 } else { 0.5 };
            // `as` saturates, and makes 0 of what is no number.
            let steps = (coefficient / STEP + half) as i32;
            let n = steps.saturating_add(ZERO.into()).clamp(0, LAST.into());
            *index = u8::try_from(n).unwrap_or(ZERO);
        }
        Self { level: level.min(LOWEST_LEVEL), order: reflection.len().min(MAX_ORDER), indices }
    }

    /// Reads a payload. The unused bit of the level is ignored.
    ///
    /// # Errors
    /// [`ComfortNoiseError`].
    pub fn parse(payload: &[u8]) -> Result<Self, ComfortNoiseError> {
        let (level, coefficients) = payload.split_first().ok_or(ComfortNoiseError::Empty)?;
        let coefficients = coefficients.get(..MAX_ORDER).unwrap_or(coefficients);
        if coefficients.contains(&RESERVED) {
            return Err(ComfortNoiseError::Reserved);
        }
        let mut indices = [ZERO; MAX_ORDER];
        indices.iter_mut().zip(coefficients).for_each(|(to, from)| *to = *from);
        Ok(Self { level: level & LOWEST_LEVEL, order: coefficients.len(), indices })
    }

    /// Writes the payload; its length, or `None` if `out` is too small.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let len = self.order.saturating_add(1);
        let (level, coefficients) = out.get_mut(..len)?.split_first_mut()?;
        *level = self.level;
        coefficients.iter_mut().zip(&self.indices).for_each(|(to, from)| *to = *from);
        Some(len)
    }

    /// The level in dB below overload, 0 to 127. Overload is a square wave of full scale.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The reflection coefficients, each between -1 and 1.
    pub fn reflection(&self) -> impl Iterator<Item = f32> + use<> {
        let indices = self.indices;
        indices.into_iter().take(self.order).map(|n| (f32::from(n) - f32::from(ZERO)) * STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn the_values_of_rfc_3389() {
        let noise = ComfortNoise::parse(&[0x80 | 61, 0, 127, 254, 128]).unwrap();
        assert_eq!(noise.level(), 61);
        let k: Vec<_> = noise.reflection().collect();
        // 258 * (N - 127) / 32768, §3.2.
        assert_eq!(k, [-258.0 * 127.0 / 32_768.0, 0.0, 258.0 * 127.0 / 32_768.0, 258.0 / 32_768.0]);
        let mut out = [0; MAX_LEN];
        assert_eq!(noise.write(&mut out), Some(5));
        assert_eq!(out[..5], [61, 0, 127, 254, 128]);
        assert_eq!(noise.write(&mut out[..4]), None);
        assert_eq!(ComfortNoise::parse(&[]), Err(ComfortNoiseError::Empty));
        assert_eq!(ComfortNoise::parse(&[61, 255]), Err(ComfortNoiseError::Reserved));
        assert_eq!(ComfortNoise::parse(&[61]).unwrap().reflection().count(), 0);
        let long = ComfortNoise::parse(&[100; 40]).unwrap();
        assert_eq!(long.reflection().count(), MAX_ORDER);
        let wild = ComfortNoise::new(200, &[f32::NAN, f32::INFINITY, -7.0, 1.0]);
        assert_eq!(wild.write(&mut out), Some(5));
        assert_eq!(out[..5], [127, 127, 254, 0, 254]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(level in 0u8..=127, k in proptest::collection::vec(-1f32..1.0, 0..20)) {
            let noise = ComfortNoise::new(level, &k);
            let mut out = [0; MAX_LEN];
            let len = noise.write(&mut out).unwrap();
            let read = ComfortNoise::parse(&out[..len]).unwrap();
            prop_assert_eq!(read, noise);
            prop_assert_eq!(read.level(), level);
            for (read, k) in read.reflection().zip(&k) {
                prop_assert!((read - k).abs() <= STEP * 0.51, "{} for {}", read, k);
            }
        }

        #[test]
        fn whatever_is_read_is_stable(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(noise) = ComfortNoise::parse(&bytes) {
                prop_assert!(noise.level() <= LOWEST_LEVEL);
                prop_assert!(noise.reflection().all(|k| k.abs() < 1.0));
                let mut out = [0; MAX_LEN];
                let len = noise.write(&mut out).unwrap();
                prop_assert_eq!(&out[1..len], &bytes[1..len]);
            }
        }
    }
}
