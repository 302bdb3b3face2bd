//! The quietest moment of the last seconds (minimum statistics, after Martin, "Noise power spectral
//! density estimation based on optimal smoothing and minimum statistics", 2001): between words a
//! microphone hears the noise alone, so the noise is about as strong as the minimum.

/// Smoothing of the power per block of 10 ms.
const KEEP: f32 = 0.7;
/// The minimum is that of so many parts of so many blocks: 3 s.
const PARTS: usize = 12;
const BLOCKS: u32 = 25;
/// Parts after which it counts: a second.
const KNOWN: usize = 4;
/// The noise is at least this part of the minimum.
const LEAST: f32 = 0.8;
/// And at most so many times the minimum: a crowd has its gaps too.
const MOST: f32 = 16.0;
/// Over the minimum: noise that is steady, and a crowd.
const STEADY: f32 = 1.7;
const RESTLESS: f32 = 3.5;
/// What the noise is taken down by within a block at most.
const STEP: f32 = 0.9;

/// Follows the minimum of a power.
#[derive(Debug, Default)]
pub(super) struct Floor {
    smooth: Option<f32>,
    /// Of the part that is being heard.
    current: Option<f32>,
    blocks: u32,
    /// Of the parts before it, and the place of the oldest.
    parts: [Option<f32>; PARTS],
    oldest: usize,
}

impl Floor {
    /// Takes the power of a block.
    pub(super) fn update(&mut self, power: f32) {
        let smooth = self.smooth.map_or(power, |s| KEEP * s + (1.0 - KEEP) * power);
        self.smooth = Some(smooth);
        if self.blocks == BLOCKS {
            if let Some(part) = self.parts.get_mut(self.oldest) {
                *part = self.current;
            }
            self.oldest = (self.oldest + 1) % PARTS;
            self.current = None;
            self.blocks = 0;
        }
        self.current = Some(self.current.map_or(smooth, |c| c.min(smooth)));
        self.blocks += 1;
    }

    fn minimum(&self) -> Option<f32> {
        self.parts.iter().chain([&self.current]).flatten().copied().reduce(f32::min)
    }

    /// What the noise has at least: 0 until a second is known.
    pub(super) fn least(&self) -> f32 {
        let known = self.parts.iter().flatten().count() >= KNOWN;
        self.minimum().filter(|_| known).map_or(0.0, |m| LEAST * m)
    }

    /// How unsteady `noise` is, 0 to 1: a fan is no stronger than its minimum, a crowd is.
    pub(super) fn unrest(&self, noise: f32) -> f32 {
        let ratio = self.minimum().map_or(1.0, |m| noise / (m + 1.0));
        ((ratio - STEADY) / (RESTLESS - STEADY)).clamp(0.0, 1.0)
    }

    /// The factor that brings `noise` towards what it has at most.
    pub(super) fn bound(&self, noise: f32) -> f32 {
        let most = self.minimum().map_or(noise, |m| MOST * m);
        if noise > most { (most / noise).max(STEP) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loud_for_three_seconds_is_noise_and_one_gap_ends_it() {
        let mut floor = Floor::default();
        for _ in 0..100 {
            floor.update(1000.0);
        }
        assert_eq!(floor.least(), 0.0, "nothing is known in the first second");
        for _ in 0..250 {
            floor.update(1000.0);
        }
        assert!((floor.least() - 800.0).abs() < 1.0, "{}", floor.least());
        assert_eq!((floor.unrest(1000.0), floor.unrest(5000.0)), (0.0, 1.0));
        assert_eq!(floor.bound(11_000.0), 1.0);
        assert_eq!(floor.bound(1.0e6), STEP);
        for _ in 0..20 {
            floor.update(10.0);
        }
        assert!(floor.least() < 10.0, "{}", floor.least());
        assert_eq!(floor.bound(11_000.0), STEP);
        // The gap is forgotten after the last part that has heard it.
        for _ in 0..300 {
            floor.update(1000.0);
        }
        assert!(floor.least() < 100.0, "{}", floor.least());
        for _ in 0..50 {
            floor.update(1000.0);
        }
        assert!((floor.least() - 800.0).abs() < 1.0, "{}", floor.least());
    }
}
