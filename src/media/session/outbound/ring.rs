//! Packets that wait to be sent.

/// Packets that wait for `poll_transmit` at most; older ones are dropped for newer ones.
const MAX_QUEUED: usize = 16;

/// A packet that waits, without its sequence number, which it gets when it leaves.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::media::session) struct Queued {
    pub(in crate::media::session) payload_type: u8,
    pub(in crate::media::session) marker: bool,
    pub(in crate::media::session) timestamp: u32,
    pub(in crate::media::session) len: usize,
}

/// The place so many packets after this one.
const fn ring(at: usize, after: usize) -> usize {
    at.saturating_add(after) % MAX_QUEUED
}

/// Fixed ring of packets with their payloads.
#[derive(Debug)]
pub(super) struct PacketRing {
    heads: [Queued; MAX_QUEUED],
    payloads: Vec<u8>,
    /// Room for each payload.
    pub(super) room: usize,
    first: usize,
    pub(super) len: usize,
    pub(super) dropped: u64,
}

impl PacketRing {
    pub(super) fn new(room: usize) -> Self {
        Self {
            heads: [Queued::default(); MAX_QUEUED],
            payloads: vec![0; MAX_QUEUED.saturating_mul(room)],
            room,
            first: 0,
            len: 0,
            dropped: 0,
        }
    }

    /// Longer payloads come: at least this much room for each. What waits stays.
    pub(super) fn widen(&mut self, room: usize) {
        if room <= self.room {
            return;
        }
        let mut payloads = vec![0; MAX_QUEUED.saturating_mul(room)];
        for (to, from) in payloads.chunks_mut(room).zip(self.payloads.chunks(self.room)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        (self.payloads, self.room) = (payloads, room);
    }

    /// Adds a packet whose payload `fill` writes, if it writes any; drops the oldest if the ring is
    /// full. True if it was added.
    pub(super) fn push(
        &mut self,
        head: Queued,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        if self.len == MAX_QUEUED {
            self.first = ring(self.first, 1);
            self.len = self.len.saturating_sub(1);
            self.dropped = self.dropped.saturating_add(1);
        }
        let at = ring(self.first, self.len);
        let room = self.room.max(1);
        let Some(room) = self.payloads.chunks_exact_mut(room).nth(at) else { return false };
        match (fill(room), self.heads.get_mut(at)) {
            (Some(len), Some(slot)) if len > 0 => {
                *slot = Queued { len, ..head };
                self.len = self.len.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Queued, &[u8])> {
        if self.len == 0 {
            return None;
        }
        let at = self.first;
        let head = *self.heads.get(at)?;
        self.first = ring(at, 1);
        self.len = self.len.saturating_sub(1);
        let room = self.payloads.chunks_exact(self.room.max(1)).nth(at)?;
        room.get(..head.len).map(|p| (head, p))
    }
}
