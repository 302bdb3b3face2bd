//! Fixed storage for packets, by sequence number modulo its size.
#![deny(clippy::arithmetic_side_effects)]

use super::{Packet, distance};

/// Where the audio of a slot came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A packet of its own.
    #[default]
    Primary,
    /// A copy in a later packet.
    Copy,
    /// No audio: the peer says that it pauses.
    Noise,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ticks: u32,
    pub(super) kind: Kind,
    payload_type: u8,
    len: usize,
    used: bool,
}

/// Room for each payload to begin with: 40 ms at 64 kbit/s.
const USUAL_PAYLOAD: usize = 320;

#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    payloads: Vec<u8>,
    payload_size: usize,
    max_payload: usize,
}

impl Slots {
    pub(super) fn new(count: usize, max_payload: usize) -> Self {
        let payload_size = max_payload.min(USUAL_PAYLOAD);
        Self {
            slots: vec![Slot::default(); count],
            payloads: vec![0; count.saturating_mul(payload_size)],
            payload_size,
            max_payload,
        }
    }

    /// A peer with long packets: room for the longest, once. What waits stays.
    fn widen(&mut self) {
        let mut payloads = vec![0; self.slots.len().saturating_mul(self.max_payload)];
        let rooms = payloads.chunks_mut(self.max_payload.max(1));
        for (to, from) in rooms.zip(self.payloads.chunks(self.payload_size.max(1))) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        (self.payloads, self.payload_size) = (payloads, self.max_payload);
    }

    pub(super) fn clear(&mut self) {
        self.slots.iter_mut().for_each(|s| s.used = false);
    }

    fn index(&self, sequence: u16) -> usize {
        usize::from(sequence).checked_rem(self.slots.len()).unwrap_or(0)
    }

    /// Stores a packet whose sequence number is less than the size away from all others; false
    /// if it is there already. A packet of its own takes the place of a copy.
    pub(super) fn insert(&mut self, packet: &Packet<'_>, kind: Kind) -> bool {
        if packet.payload.len() > self.payload_size {
            if packet.payload.len() > self.max_payload {
                return false;
            }
            self.widen();
        }
        let index = self.index(packet.sequence);
        let begin = index.saturating_mul(self.payload_size);
        let (Some(slot), Some(bytes)) = (self.slots.get_mut(index), self.payloads.get_mut(begin..))
        else {
            return false;
        };
        let worse = slot.kind == Kind::Copy && kind != Kind::Copy;
        if slot.used && slot.sequence == packet.sequence && !worse {
            return false;
        }
        *slot = Slot {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ticks: packet.ticks,
            kind,
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

    /// Whether a packet waits under this number.
    pub(super) fn holds(&self, sequence: u16) -> bool {
        self.slots.get(self.index(sequence)).is_some_and(|s| s.used && s.sequence == sequence)
    }

    /// Whether a packet would overlap none of those that wait before and after it.
    pub(super) fn fits(&self, packet: &Packet<'_>) -> bool {
        let end = packet.timestamp.wrapping_add(packet.ticks);
        self.slots.iter().filter(|s| s.used).all(|s| {
            let (first, second) = if distance(s.sequence, packet.sequence) < 0 {
                (s.timestamp.wrapping_add(s.ticks), packet.timestamp)
            } else {
                (end, s.timestamp)
            };
            second.wrapping_sub(first).cast_signed() >= 0
        })
    }

    /// Ticks that wait in all.
    pub(super) fn ticks(&self) -> u32 {
        self.slots.iter().filter(|s| s.used).fold(0, |sum, s| sum.saturating_add(s.ticks))
    }

    /// True if none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(|s| !s.used)
    }

    /// Packets that wait.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.slots.iter().filter(|s| s.used).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_makes_room_and_what_waits_stays() {
        let mut slots = Slots::new(4, 1_000);
        let packet = |sequence, payload| Packet {
            sequence,
            timestamp: 0,
            payload_type: 0,
            ticks: 160,
            payload,
        };
        assert!(slots.insert(&packet(3, &[3; 160]), Kind::Primary));
        assert!(slots.insert(&packet(1, &[1; 1_000]), Kind::Primary));
        assert!(slots.insert(&packet(2, &[2; 320]), Kind::Primary));
        assert!(!slots.insert(&packet(4, &[4; 1_001]), Kind::Primary));
        assert_eq!(slots.payload(3), Some((0, &[3; 160][..])));
        assert_eq!(slots.payload(1), Some((0, &[1; 1_000][..])));
        assert_eq!(slots.payload(2), Some((0, &[2; 320][..])));
    }
}
