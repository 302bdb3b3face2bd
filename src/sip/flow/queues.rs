//! What waits for the host and for the layers above, bounded by number and by bytes.

use alloc::collections::VecDeque;

use super::{FlowEvent, FlowOutput, MAX_QUEUED, MAX_QUEUED_BYTES};

/// A value that is queued.
pub(super) trait Queued {
    /// The bytes that it holds; `None` for one that must never be lost. There are at most a few
    /// of those per flow, and no flow is opened while the queue is full.
    fn weight(&self) -> Option<usize>;
}

impl Queued for FlowOutput {
    fn weight(&self) -> Option<usize> {
        match self {
            Self::Connect { .. } | Self::CloseStream { .. } => None,
            Self::StreamData { data, .. } | Self::Datagram { data, .. } => Some(data.len()),
        }
    }
}

impl Queued for FlowEvent {
    fn weight(&self) -> Option<usize> {
        match self {
            Self::Up(_) | Self::Down { .. } => None,
            Self::Message { message, .. } => Some(message.as_bytes().len()),
            Self::Malformed { error, .. } => {
                Some(error.rejectable().map_or(0, |m| m.as_bytes().len()))
            }
        }
    }
}

/// A queue of such values.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: VecDeque<T>,
    bytes: usize,
}

impl<T: Queued> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= MAX_QUEUED
    }

    /// False if the value does not fit and was dropped.
    pub(super) fn push(&mut self, value: T) -> bool {
        if let Some(weight) = value.weight() {
            let bytes = self.bytes.saturating_add(weight);
            if self.is_full() || bytes > MAX_QUEUED_BYTES {
                return false;
            }
            self.bytes = bytes;
        }
        self.items.push_back(value);
        true
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let value = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(value.weight().unwrap_or(0));
        if self.items.is_empty() {
            // What a flood needed is given back.
            self.items.shrink_to(8);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::StreamId;
    use alloc::vec::Vec;

    #[test]
    fn the_room_of_a_flood_is_given_back() {
        let mut queue = Queue::new();
        let stream = StreamId::from_raw(1);
        while queue.push(FlowOutput::StreamData { stream, data: Vec::new() }) {}
        assert_eq!(queue.items.len(), MAX_QUEUED);
        while queue.pop().is_some() {}
        assert!(queue.items.capacity() <= 16, "room for {}", queue.items.capacity());
    }
}
