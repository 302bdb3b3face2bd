//! Virtual time for the tests of the machines.

use super::action::{Action, Actions};
use crate::time::Instant;
use std::vec::Vec;

/// The instant `ms` milliseconds after the start.
pub(crate) const fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Lets a machine run from timeout to timeout until it has none left.
pub(crate) fn run<M>(
    machine: &mut M,
    next: impl Fn(&M) -> Option<Instant>,
    mut fire: impl FnMut(&mut M, Instant) -> Actions,
) -> Vec<(Instant, Action)> {
    let (mut seen, mut last) = (Vec::new(), None);
    while let Some(now) = next(machine) {
        assert!(Some(now) > last, "a timer of zero delay at {now:?}");
        last = Some(now);
        seen.extend(fire(machine, now).into_iter().map(|a| (now, a)));
        assert!(seen.len() < 1000, "a machine that never ends");
    }
    seen
}
