//! The sliding replay window (RFC 3711 §3.3.2).

/// Indices that the window covers, the highest included. RFC 3711 asks for at least 64.
pub const REPLAY_WINDOW: u64 = 128;

/// Why the window refuses an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// This index was accepted before.
    Replayed,
    /// The index lies below the window: it cannot be known whether it was seen.
    TooOld,
}

/// Which of the last 128 indices were accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReplayWindow {
    highest: Option<u64>,
    /// Bit n: index `highest - n` was accepted.
    seen: u128,
}

impl ReplayWindow {
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
        if age >= REPLAY_WINDOW {
            Err(Refused::TooOld)
        } else if (self.seen >> age) & 1 == 1 {
            Err(Refused::Replayed)
        } else {
            Ok(())
        }
    }

    /// Marks the index of an authenticated packet that `check` let pass.
    #[inline]
    pub(crate) fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {
                let age = u32::try_from(highest.saturating_sub(index)).unwrap_or(u32::MAX);
                self.seen |= 1u128.checked_shl(age).unwrap_or(0);
            }
            highest => {
                let ahead = index.saturating_sub(highest.unwrap_or(0));
                let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.highest = Some(index);
            }
        }
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

    proptest! {
        #[test]
        fn it_is_a_set_with_a_lower_edge(steps in prop::collection::vec(0..400u64, 1..200)) {
            let mut window = ReplayWindow::default();
            let mut model = BTreeSet::new();
            for (at, step) in steps.into_iter().enumerate() {
                let index = at as u64 + step;
                let highest = model.last().copied().unwrap_or(0);
                let expected = if model.contains(&index) && index + 128 > highest {
                    Err(Refused::Replayed)
                } else if index + 128 <= highest {
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
