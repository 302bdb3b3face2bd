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
/// Of all parts this many are quieter than the background: the microphone opened among them, a word
/// had its gap.
const QUIETER: usize = 2;
/// Noise below so many times the background is known too weak, unless it is this many times the
/// minimum, as a fan's is: what the parts have beside it is the voice.
const MISSED: f32 = 1.2;
const HEARD: f32 = 1.4;
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

    /// The power that hardly any part of the last seconds is below, if `noise` is known too weak beside
    /// it: it came while a voice was there, or after the microphone opened. `None` for a second.
    pub(super) fn missed(&self, noise: f32) -> Option<f32> {
        let minimum = self.minimum()?;
        if noise >= HEARD * minimum {
            return None;
        }
        let mut parts = [f32::MAX; PARTS + 1];
        let mut known = 0;
        for (to, part) in parts.iter_mut().zip(self.parts.iter().chain([&self.current]).flatten()) {
            *to = *part;
            known += 1;
        }
        parts.sort_unstable_by(f32::total_cmp);
        let background = *parts.get(QUIETER * known / (PARTS + 1))?;
        (known > KNOWN && noise < MISSED * background).then_some(background)
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
        assert_eq!((floor.missed(1100.0), floor.missed(1300.0)), (Some(1000.0), None));
        for _ in 0..20 {
            floor.update(10.0);
        }
        assert!(floor.least() < 10.0, "{}", floor.least());
        assert_eq!(floor.bound(11_000.0), STEP);
        assert_eq!((floor.missed(5.0), floor.missed(20.0)), (Some(1000.0), None));
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
