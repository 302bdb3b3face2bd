//! Fixed storage for packets, by sequence number modulo its size.
#![deny(clippy::arithmetic_side_effects)]

use super::{Packet, distance};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ticks: u32,
    payload_type: u8,
    len: usize,
    used: bool,
}

#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    payloads: Vec<u8>,
    payload_size: usize,
}

impl Slots {
    pub(super) fn new(count: usize, payload_size: usize) -> Self {
        Self {
            slots: vec![Slot::default(); count],
            payloads: vec![0; count.saturating_mul(payload_size)],
            payload_size,
        }
    }

    pub(super) fn clear(&mut self) {
        self.slots.iter_mut().for_each(|s| s.used = false);
    }

    fn index(&self, sequence: u16) -> usize {
        usize::from(sequence).checked_rem(self.slots.len()).unwrap_or(0)
    }

    /// Stores a packet whose sequence number is less than the size away from all others; false
    /// if it is there already.
    pub(super) fn insert(&mut self, packet: &Packet<'_>) -> bool {
        let index = self.index(packet.sequence);
        let begin = index.saturating_mul(self.payload_size);
        let (Some(slot), Some(bytes)) = (self.slots.get_mut(index), self.payloads.get_mut(begin..))
        else {
            return false;
        };
        if slot.used && slot.sequence == packet.sequence {
            return false;
        }
        *slot = Slot {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ticks: packet.ticks,
            payload_type: packet.payload_type,
            len: packet.payload.len(),
            used: true,
        };
        bytes.iter_mut().zip(packet.payload).for_each(|(to, from)| *to = *from);
        true
    }

    /// The first packet at or after `sequence`.
    pub(super) fn first(&self, sequence: u16) -> Option<Slot> {
        // The common case is the very next one.
        let next = self.slots.get(self.index(sequence))?;
        if next.used && next.sequence == sequence {
            return Some(*next);
        }
        let live = self.slots.iter().filter(|s| s.used && distance(s.sequence, sequence) >= 0);
        live.min_by_key(|s| distance(s.sequence, sequence)).copied()
    }

    /// Frees a packet; its payload stays readable until the next insert.
    pub(super) fn take(&mut self, sequence: u16) {
        let index = self.index(sequence);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.used = false;
        }
    }

    /// Frees all packets before `sequence`; returns how many.
    pub(super) fn drop_before(&mut self, sequence: u16) -> u64 {
        let mut dropped = 0u64;
        for slot in self.slots.iter_mut() {
            if slot.used && distance(slot.sequence, sequence) < 0 {
                slot.used = false;
                dropped = dropped.saturating_add(1);
            }
        }
        dropped
    }

    fn payload_of(&self, sequence: u16) -> Option<(u8, &[u8])> {
        let index = self.index(sequence);
        let slot = self.slots.get(index).filter(|s| s.sequence == sequence)?;
        let begin = index.checked_mul(self.payload_size)?;
        let bytes = self.payloads.get(begin..begin.checked_add(slot.len)?)?;
        Some((slot.payload_type, bytes))
    }

    /// The payload of a packet that waits.
    pub(super) fn payload(&self, sequence: u16) -> Option<(u8, &[u8])> {
        self.slots.get(self.index(sequence)).filter(|s| s.used)?;
        self.payload_of(sequence)
    }

    /// The payload of a packet that was just taken.
    pub(super) fn taken(&self, sequence: u16) -> Option<(u8, &[u8])> {
        self.payload_of(sequence)
    }

    /// Ticks that wait in all.
    pub(super) fn ticks(&self) -> u32 {
        self.slots.iter().filter(|s| s.used).fold(0, |sum, s| sum.saturating_add(s.ticks))
    }

    /// Packets that wait.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.slots.iter().filter(|s| s.used).count()
    }
}
