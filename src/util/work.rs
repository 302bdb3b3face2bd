//! Work, counted in tests alone: bytes that a parser looked at, on this thread.

use core::cell::Cell;

std::thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// These were looked at.
pub(crate) fn look_at(bytes: usize) {
    SEEN.set(SEEN.get() + bytes as u64);
}

/// How many were looked at while `run` ran.
pub(crate) fn during(run: impl FnOnce()) -> u64 {
    let before = SEEN.get();
    run();
    SEEN.get() - before
}
