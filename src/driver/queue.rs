//! Events on their way from the driver's thread to whoever waits for them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant as StdInstant;

use crate::engine::Event;
use crate::time::Duration;
use crate::util::BoundedQueue;

/// Events kept for an application that does not poll; later ones are dropped and counted.
const MAX_EVENTS: usize = 1024;

#[derive(Debug)]
struct State<T> {
    events: BoundedQueue<T>,
    closed: bool,
    /// The tasks that await an event, by the number of their future.
    tasks: Vec<(u64, Waker)>,
    next_task: u64,
}

/// A bounded queue that can be waited for.
#[derive(Debug)]
pub(super) struct EventQueue<T = Event> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> EventQueue<T> {
    pub(super) fn new() -> Self {
        let events = BoundedQueue::new(MAX_EVENTS);
        let state = State { events, closed: false, tasks: Vec::new(), next_task: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    pub(super) fn push(&self, event: T) {
        let mut state = self.lock();
        state.events.push(event);
        // All of them: one that is woken may be dropped before it takes the event.
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        self.changed.notify_all();
        tasks.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// No more events will come: nobody waits in vain.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        self.changed.notify_all();
        tasks.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Events that were dropped because nobody took them.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().events.dropped()
    }

    /// The oldest event, if there is one.
    pub(super) fn try_pop(&self) -> Option<T> {
        self.lock().events.pop()
    }

    /// The oldest event, waiting for it up to `timeout`.
    pub(super) fn pop(&self, timeout: Duration) -> Option<T> {
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

/// The next event of a [`Phone`](super::Phone), for an asynchronous task: a plain future that any
/// executor runs. It may be dropped at any time, no event is lost by that.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct NextEvent {
    queue: Arc<EventQueue>,
    task: Option<u64>,
}

impl NextEvent {
    pub(super) fn new(queue: Arc<EventQueue>) -> Self {
        Self { queue, task: None }
    }
}

impl Future for NextEvent {
    /// `None` once the phone has stopped and all events were taken.
    type Output = Option<Event>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let queue = Arc::clone(&self.queue);
        let mut state = queue.lock();
        if let Some(event) = state.events.pop() {
            return Poll::Ready(Some(event));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        let next = state.next_task;
        let task = *self.task.get_or_insert(next);
        state.next_task = state.next_task.max(task.wrapping_add(1));
        state.tasks.retain(|(waiting, _)| *waiting != task);
        state.tasks.push((task, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for NextEvent {
    fn drop(&mut self) {
        if let Some(task) = self.task {
            self.queue.lock().tasks.retain(|(waiting, _)| *waiting != task);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::engine::AccountId;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn event() -> Event {
        Event::Unregistered { account: AccountId::from_raw(1 << 32) }
    }

    #[test]
    fn a_task_is_woken_and_a_dropped_future_takes_no_event_along() {
        let queue = Arc::new(EventQueue::new());
        let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
        let wakers = bells.clone().map(Waker::from);
        let mut futures = [NextEvent::new(queue.clone()), NextEvent::new(queue.clone())];
        for (future, waker) in futures.iter_mut().zip(&wakers) {
            let mut context = Context::from_waker(waker);
            assert_eq!(Pin::new(&mut *future).poll(&mut context), Poll::Pending);
            // Polled again without need: it still waits once.
            assert_eq!(Pin::new(future).poll(&mut context), Poll::Pending);
        }
        assert_eq!(queue.lock().tasks.len(), 2);
        queue.push(event());
        assert_eq!(bells.each_ref().map(|bell| bell.0.load(Ordering::SeqCst)), [1, 1]);
        let [first, mut second] = futures;
        drop(first);
        let mut context = Context::from_waker(&wakers[1]);
        assert_eq!(Pin::new(&mut second).poll(&mut context), Poll::Ready(Some(event())));
    }

    #[test]
    fn a_dropped_future_leaves_nothing_behind_and_the_end_wakes_all() {
        let queue = Arc::new(EventQueue::new());
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        let mut context = Context::from_waker(&waker);
        for _ in 0..10 {
            let mut future = NextEvent::new(queue.clone());
            assert!(Pin::new(&mut future).poll(&mut context).is_pending());
        }
        assert!(queue.lock().tasks.is_empty());
        let mut last = NextEvent::new(queue.clone());
        assert!(Pin::new(&mut last).poll(&mut context).is_pending());
        queue.close();
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
        assert_eq!(Pin::new(&mut last).poll(&mut context), Poll::Ready(None));
    }

    #[test]
    fn events_beyond_the_bound_are_dropped_and_counted() {
        let queue = EventQueue::new();
        (0..MAX_EVENTS + 3).for_each(|_| queue.push(event()));
        assert_eq!(queue.dropped(), 3);
    }
}
