//! Whether what is played should be a little shorter or longer, by how far the delay is from what it
//! should be, and for how long it has been so.
#![deny(clippy::arithmetic_side_effects)]

use super::Adjust;
use crate::time::Duration;

/// The delay may exceed its target by this before it shrinks.
const HYSTERESIS: Duration = Duration::from_millis(10);
/// The same where it changes by whole blocks of the host alone.
const BLOCK_HYSTERESIS: Duration = Duration::from_millis(3);
/// The delay must exceed its target this many frames in a row before it shrinks.
const PATIENCE: u32 = 6;
/// From this excess on it shrinks at every frame that is fit.
const MUCH: Duration = Duration::from_millis(30);
/// Less than that waits for a quiet frame while so many are played: 5 s of 20 ms.
const QUIET_PATIENCE: u32 = 250;
/// Where the delay falls short of its target it grows by this at least: less is no pitch period.
const LEAST_GROWTH: Duration = Duration::from_millis(10);

/// The frame that is about to be played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Its delay.
    pub(super) delay: Duration,
    /// The delay that it should have.
    pub(super) target: Duration,
    /// The host's block that it is played in, and the place there.
    pub(super) block: Duration,
    pub(super) place: Duration,
    /// Nothing waits behind it although something should: the path has become longer.
    pub(super) last: bool,
}

/// What was seen of the frames before.
#[derive(Debug)]
pub(super) struct Pace {
    /// Frames in a row with too much delay, and the least excess among them.
    excess: (u32, Duration),
    /// Frames in a row that were not quiet enough, as far as is known: the delay did not change.
    waited: u32,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { excess: (0, Duration::MAX), waited: 0 }
    }

    /// The delay is not too long.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// What should be done to a frame.
    pub(super) fn adjust(&mut self, frame: &Frame) -> Adjust {
        if frame.delay < frame.target {
            self.reset();
            let lack = whole_blocks(frame.target.saturating_sub(frame.delay), frame.block, true);
            return Adjust::Grow(lack.saturating_sub(frame.place).max(LEAST_GROWTH));
        }
        let excess = frame.excess();
        if excess.is_zero() {
            self.reset();
            return Adjust::Keep;
        }
        let (frames, least) = self.excess;
        let least = least.min(excess);
        self.excess = (frames.saturating_add(1), least);
        if frames < PATIENCE || frame.last {
            return Adjust::Keep;
        }
        self.excess = (PATIENCE, Duration::MAX);
        if least >= MUCH {
            return Adjust::Shrink(least);
        }
        self.waited = self.waited.saturating_add(1);
        if self.waited < QUIET_PATIENCE {
            return Adjust::ShrinkInQuiet(least);
        }
        // Wait again before the next one.
        self.excess.0 = PATIENCE / 2;
        Adjust::Shrink(least)
    }
}

impl Frame {
    /// What may be left out of this much delay without asking too early for what follows: the
    /// whole blocks that the target spares, if any, and what of this one is filled already.
    fn excess(&self) -> Duration {
        let spare = self.delay.saturating_sub(self.target);
        if self.block.is_zero() {
            return if spare > HYSTERESIS { spare } else { Duration::ZERO };
        }
        let blocks = whole_blocks(spare.saturating_sub(BLOCK_HYSTERESIS), self.block, false);
        if blocks.is_zero() { Duration::ZERO } else { blocks.saturating_add(self.place) }
    }
}

/// A time in whole blocks of the host, because only they change when a packet is asked for.
fn whole_blocks(time: Duration, block: Duration, up: bool) -> Duration {
    let (time, block) = (time.as_micros(), block.as_micros());
    let blocks =
        if up { time.div_ceil(block.max(1)) } else { time.checked_div(block).unwrap_or(0) };
    let us = if block == 0 { time } else { blocks.saturating_mul(block) };
    Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
}
