//! A queue that cannot grow without bound: what does not fit is counted and dropped.

use alloc::collections::VecDeque;

/// FIFO with a fixed limit. `push` reports a refused value and counts it.
#[derive(Debug)]
pub struct BoundedQueue<T> {
    items: VecDeque<T>,
    limit: usize,
    /// Room that is kept when the queue is empty.
    keep: usize,
    dropped: u64,
}

/// So many places are kept of what a flood needed.
const KEEP: usize = 8;

impl<T> BoundedQueue<T> {
    /// An empty queue that holds at most `limit` values.
    pub fn new(limit: usize) -> Self {
        Self { items: VecDeque::new(), limit, keep: KEEP, dropped: 0 }
    }

    /// An empty queue with room for all `limit` values from the start: `push` never allocates.
    pub fn with_capacity(limit: usize) -> Self {
        Self { items: VecDeque::with_capacity(limit), limit, keep: limit, dropped: 0 }
    }

    /// Appends a value; `false` if the queue was full and the value was dropped.
    pub fn push(&mut self, value: T) -> bool {
        if self.items.len() >= self.limit {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        self.items.push_back(value);
        true
    }

    /// Counts a value that is dropped for another reason than a full queue.
    pub fn drop_one(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    /// The values, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// Puts a value back at the front (it was just popped, so it fits).
    pub fn push_front(&mut self, value: T) {
        self.items.push_front(value);
    }

    /// Takes the oldest value.
    pub fn pop(&mut self) -> Option<T> {
        let value = self.items.pop_front();
        if self.items.is_empty() {
            self.items.shrink_to(self.keep);
        }
        value
    }

    /// Looks at the oldest value.
    pub fn front(&self) -> Option<&T> {
        self.items.front()
    }

    /// Looks at the oldest value.
    pub fn front_mut(&mut self) -> Option<&mut T> {
        self.items.front_mut()
    }

    /// How many values wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many values were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let mut q = BoundedQueue::new(2);
        assert!(q.push(1) && q.push(2) && !q.push(3));
        assert_eq!((q.len(), q.dropped(), q.pop()), (2, 1, Some(1)));
    }
}
