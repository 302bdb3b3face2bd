//! Events on their way from the driver's thread to whoever waits for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant as StdInstant;

use crate::engine::Event;
use crate::time::Duration;
use crate::util::BoundedQueue;

/// Events kept for an application that does not poll; later ones are dropped and counted.
const MAX_EVENTS: usize = 1024;

#[derive(Debug)]
struct State {
    events: BoundedQueue<Event>,
    closed: bool,
}

/// A bounded queue that can be waited for.
#[derive(Debug)]
pub(super) struct EventQueue {
    state: Mutex<State>,
    changed: Condvar,
}

impl EventQueue {
    pub(super) fn new() -> Self {
        let state = State { events: BoundedQueue::new(MAX_EVENTS), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    pub(super) fn push(&self, event: Event) {
        self.lock().events.push(event);
        self.changed.notify_one();
    }

    /// No more events will come: nobody waits in vain.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Events that were dropped because nobody took them.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().events.dropped()
    }

    /// The oldest event, if there is one.
    pub(super) fn try_pop(&self) -> Option<Event> {
        self.lock().events.pop()
    }

    /// The oldest event, waiting for it up to `timeout`.
    pub(super) fn pop(&self, timeout: Duration) -> Option<Event> {
        let deadline = StdInstant::now().checked_add(timeout);
        let mut state = self.lock();
        loop {
            if let Some(event) = state.events.pop() {
                return Some(event);
            }
            // A timeout beyond the end of time is an hour, again and again.
            let left = deadline.map_or(Duration::from_secs(3600), |d| {
                d.saturating_duration_since(StdInstant::now())
            });
            if state.closed || left.is_zero() {
                return None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
