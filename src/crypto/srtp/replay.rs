//! The sliding replay window (RFC 3711 §3.3.2).

use core::fmt;

/// Indices that the window covers, the highest included, unless the peer hints at more. RFC 3711
/// asks for at least 64.
pub const REPLAY_WINDOW: u64 = 128;

/// The widest window: a peer's hint (WSH, RFC 4568 §6.3.6) is followed up to here.
pub const MAX_REPLAY_WINDOW: u64 = 512;

const WORDS: usize = 8;

/// Why the window refuses an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// This index was accepted before.
    Replayed,
    /// The index lies below the window: it cannot be known whether it was seen.
    TooOld,
}

/// Which of the last indices were accepted.
pub(crate) struct ReplayWindow {
    highest: Option<u64>,
    size: u64,
    /// The bits in use, a power of two, less one.
    mask: u64,
    /// A ring: bit `index & mask` tells of an index in the window. The words beyond are not touched,
    /// so that a narrow window does not pay for the widest.
    seen: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new(REPLAY_WINDOW)
    }
}

impl fmt::Debug for ReplayWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ReplayWindow");
        shown.field("highest", &self.highest).field("size", &self.size).finish_non_exhaustive()
    }
}

impl ReplayWindow {
    /// A window of this many indices, within [`REPLAY_WINDOW`] and [`MAX_REPLAY_WINDOW`].
    pub(crate) fn new(size: u64) -> Self {
        let size = size.clamp(REPLAY_WINDOW, MAX_REPLAY_WINDOW);
        let mask = size.next_power_of_two().saturating_sub(1);
        Self { highest: None, size, mask, seen: [0; WORDS] }
    }

    /// The highest accepted index.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether an index is new. Changes nothing: the packet is not authenticated yet.
    #[inline]
    pub(crate) fn check(&self, index: u64) -> Result<(), Refused> {
        let Some(age) = self.highest.and_then(|highest| highest.checked_sub(index)) else {
            return Ok(());
        };
        let (word, bit) = self.place(index);
        if age >= self.size {
            Err(Refused::TooOld)
        } else if self.seen.get(word).is_some_and(|seen| seen & bit != 0) {
            Err(Refused::Replayed)
        } else {
            Ok(())
        }
    }

    /// Marks the index of an authenticated packet that `check` let pass.
    #[inline]
    pub(crate) fn accept(&mut self, index: u64) {
        let before = self.highest.unwrap_or(0);
        if self.highest.is_none() || index > before {
            if index.saturating_sub(before) > self.mask {
                let last = (self.mask >> 6) as usize;
                self.seen.iter_mut().take(last.saturating_add(1)).for_each(|word| *word = 0);
            } else {
                // The places of the indices in between told of older ones.
                (before.saturating_add(1)..index).for_each(|skipped| self.set(skipped, false));
            }
            self.highest = Some(index);
        }
        self.set(index, true);
    }

    #[inline]
    fn set(&mut self, index: u64, seen: bool) {
        let (word, bit) = self.place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word = if seen { *word | bit } else { *word & !bit };
        }
    }

    /// The word of an index in the ring, and its bit there.
    #[inline]
    fn place(&self, index: u64) -> (usize, u64) {
        let at = index & self.mask;
        ((at >> 6) as usize, 1 << (at & 63))
    }
}

#[cfg(test)]
impl ReplayWindow {
    /// All that packets may change.
    pub(super) fn state(&self) -> (Option<u64>, [u64; WORDS]) {
        (self.highest, self.seen)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn the_edge_of_the_window_is_exact() {
        let mut w = ReplayWindow::default();
        assert_eq!(w.check(0), Ok(()));
        w.accept(1000);
        assert_eq!(w.check(1000), Err(Refused::Replayed));
        assert_eq!(w.check(873), Ok(()));
        assert_eq!(w.check(872), Err(Refused::TooOld));
        w.accept(873);
        assert_eq!(w.check(873), Err(Refused::Replayed));
        w.accept(1001);
        assert_eq!(w.check(873), Err(Refused::TooOld));
        assert_eq!(w.check(1000), Err(Refused::Replayed));
        w.accept(1001 + 128);
        assert_eq!(w.check(1002), Ok(()));
        assert_eq!(w.highest(), Some(1129));
    }

    #[test]
    fn a_wider_window_is_bounded_and_a_narrower_one_not_taken() {
        for (asked, size) in [(0, 128), (64, 128), (128, 128), (300, 300), (512, 512), (9999, 512)]
        {
            let mut w = ReplayWindow::new(asked);
            w.accept(10_000);
            assert_eq!(w.check(10_001 - size), Ok(()), "{asked}");
            assert_eq!(w.check(10_000 - size), Err(Refused::TooOld), "{asked}");
        }
    }

    #[test]
    fn a_window_touches_no_more_than_its_own_words() {
        for (size, words) in [(128, 2), (200, 4), (256, 4), (257, 8), (512, 8)] {
            let mut w = ReplayWindow::new(size);
            // What is written where nothing is to be written is seen, zeros too.
            const MARK: u64 = 0x5555_5555_5555_5555;
            w.seen.iter_mut().skip(words).for_each(|word| *word = MARK);
            let mut untouched = |index: u64, seen: u32| {
                w.accept(index);
                assert_eq!(w.check(index), Err(Refused::Replayed), "{size} {index}");
                let (used, rest) = w.seen.split_at(words);
                let ones: u32 = used.iter().map(|word| word.count_ones()).sum();
                assert!(ones == seen && rest.iter().all(|word| *word == MARK), "{size} {index}");
            };
            let places = 64 * words as u64;
            (0..2000).for_each(|index| untouched(index, (index + 1).min(places) as u32));
            // Over all places at once, over some of them, and back.
            untouched(5000, 1);
            untouched(5000 + places, 1);
            untouched(5010 + places, 2);
            untouched(5005 + places, 3);
        }
    }

    proptest! {
        #[test]
        fn it_is_a_set_with_a_lower_edge(
            steps in prop::collection::vec(0..1200u64, 1..300), size in 128..513u64,
        ) {
            let mut window = ReplayWindow::new(size);
            let mut model = BTreeSet::new();
            for (at, step) in steps.into_iter().enumerate() {
                let index = at as u64 + step;
                let highest = model.last().copied().unwrap_or(0);
                let expected = if model.contains(&index) && index + size > highest {
                    Err(Refused::Replayed)
                } else if index + size <= highest {
                    Err(Refused::TooOld)
                } else {
                    Ok(())
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    window.accept(index);
                    model.insert(index);
                }
            }
        }
    }
}
