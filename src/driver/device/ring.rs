//! What a device's callback touches, and nothing else: a ring of samples between one writer and
//! one reader, without lock and without allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI16, AtomicU64, AtomicUsize, Ordering};

use crate::time::Instant;

#[derive(Debug)]
struct Ring {
    slots: Box<[AtomicI16]>,
    /// Samples ever written and ever read, wrapping around.
    written: AtomicUsize,
    read: AtomicUsize,
}

impl Ring {
    fn slot(&self, position: usize) -> Option<&AtomicI16> {
        // The number of slots is a power of two, so positions may wrap around.
        self.slots.get(position & self.slots.len().wrapping_sub(1))
    }
}

/// A ring with room for at least `capacity` samples.
pub(super) fn ring(capacity: usize) -> (Writer, Reader) {
    let slots = (0..capacity.next_power_of_two()).map(|_| AtomicI16::new(0)).collect();
    let ring = Ring { slots, written: AtomicUsize::new(0), read: AtomicUsize::new(0) };
    let ring = Arc::new(ring);
    (Writer(Arc::clone(&ring)), Reader(ring))
}

/// The only one that writes.
#[derive(Debug)]
pub(super) struct Writer(Arc<Ring>);

impl Writer {
    /// Stores what there is room for; returns how many that were.
    pub(super) fn push(&mut self, samples: impl Iterator<Item = i16>) -> usize {
        let start = self.0.written.load(Ordering::Relaxed);
        // What the reader has read may be overwritten: its loads come before this.
        let stored = start.wrapping_sub(self.0.read.load(Ordering::Acquire));
        let mut position = start;
        for sample in samples.take(self.0.slots.len().saturating_sub(stored)) {
            if let Some(slot) = self.0.slot(position) {
                slot.store(sample, Ordering::Relaxed);
            }
            position = position.wrapping_add(1);
        }
        self.0.written.store(position, Ordering::Release);
        position.wrapping_sub(start)
    }

    /// Samples ever written, wrapping around.
    pub(super) fn position(&self) -> usize {
        self.0.written.load(Ordering::Relaxed)
    }
}

/// The only one that reads.
#[derive(Debug)]
pub(super) struct Reader(Arc<Ring>);

impl Reader {
    /// Samples in store.
    pub(super) fn len(&self) -> usize {
        let read = self.0.read.load(Ordering::Relaxed);
        self.0.written.load(Ordering::Acquire).wrapping_sub(read)
    }

    /// Takes up to `count` samples, each handed to `put`; returns how many were there.
    pub(super) fn take(&mut self, count: usize, mut put: impl FnMut(i16)) -> usize {
        let start = self.0.read.load(Ordering::Relaxed);
        let there = self.len().min(count);
        for n in 0..there {
            let slot = self.0.slot(start.wrapping_add(n));
            put(slot.map_or(0, |slot| slot.load(Ordering::Relaxed)));
        }
        self.0.read.store(start.wrapping_add(there), Ordering::Release);
        there
    }

    /// Drops up to `count` of the oldest samples; returns how many were there.
    pub(super) fn skip(&mut self, count: usize) -> usize {
        self.take(count, |_| ())
    }

    /// Samples ever read, wrapping around.
    pub(super) fn position(&self) -> usize {
        self.0.read.load(Ordering::Relaxed)
    }
}

/// Where the device was and when: so that the other end knows where it must be by now, between two
/// callbacks. One word, so that both belong together.
#[derive(Debug, Default)]
pub(super) struct Stamp(AtomicU64);

/// A device that was not heard of for longer is not extrapolated any further.
const MAX_AGE_US: u32 = 200_000;

impl Stamp {
    /// The device is at this position now.
    pub(super) fn set(&self, now: Instant, position: usize) {
        let micros = now.as_micros() & u64::from(u32::MAX);
        let position = (position as u64) & u64::from(u32::MAX);
        self.0.store(position << 32 | micros, Ordering::Release);
    }

    /// Samples that the device is ahead of `position` by now, if it runs at `rate` Hz: negative
    /// if it is behind.
    pub(super) fn ahead_of(&self, now: Instant, position: usize, rate: f64) -> f64 {
        let stamp = self.0.load(Ordering::Acquire);
        // The upper and the lower half: both wrap around, and so do the differences.
        let (device, micros) = ((stamp >> 32) as u32, stamp as u32);
        let ahead = device.wrapping_sub(position as u32) as i32;
        let age = (now.as_micros() as u32).wrapping_sub(micros);
        // A callback that came between the two readings is of the future: no age at all.
        let age = if age > u32::MAX / 2 { 0 } else { age.min(MAX_AGE_US) };
        f64::from(ahead) + f64::from(age) * rate / 1e6
    }
}

/// Counts callbacks, so that a device that stalls without a word is noticed, and what the system
/// says that it lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Heartbeat(Arc<[AtomicU64; 2]>);

impl Heartbeat {
    /// One more callback.
    pub(super) fn beat(&self) {
        let [beats, _] = &*self.0;
        beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        let [beats, _] = &*self.0;
        beats.load(Ordering::Relaxed)
    }

    /// The system came too late, or we did.
    pub(super) fn note_xrun(&self) {
        let [_, xruns] = &*self.0;
        xruns.fetch_add(1, Ordering::Relaxed);
    }

    /// How often.
    pub(super) fn xruns(&self) -> u64 {
        let [_, xruns] = &*self.0;
        xruns.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(reader: &mut Reader, count: usize) -> Vec<i16> {
        let mut got = Vec::new();
        reader.take(count, |sample| got.push(sample));
        got
    }

    #[test]
    fn samples_come_out_in_order_and_what_does_not_fit_stays_out() {
        let (mut writer, mut reader) = ring(5);
        assert_eq!(writer.push(1..=20), 8, "the next power of two");
        assert_eq!((reader.len(), pop(&mut reader, 3)), (8, vec![1, 2, 3]));
        assert_eq!(writer.push(30..40), 3);
        assert_eq!(reader.skip(4), 4);
        assert_eq!(pop(&mut reader, 99), [8, 30, 31, 32]);
        assert_eq!((reader.len(), reader.skip(1)), (0, 0));
        assert_eq!((writer.position(), reader.position()), (11, 11));
    }

    #[test]
    fn positions_wrap_around() {
        let (mut writer, mut reader) = ring(4);
        for counter in [&writer.0.written, &writer.0.read] {
            counter.store(usize::MAX - 1, Ordering::Relaxed);
        }
        assert_eq!(writer.push(1..=9), 4);
        assert_eq!(reader.len(), 4);
        assert_eq!(pop(&mut reader, 9), [1, 2, 3, 4]);
    }

    #[test]
    fn two_threads_lose_and_invent_nothing() {
        let (mut writer, mut reader) = ring(64);
        let count = 30_000_u32;
        let producer = std::thread::spawn(move || {
            let mut next = 0;
            while next < count {
                let samples = (next..count.min(next + 37)).map(|n| (n % 30_011) as i16);
                next += u32::try_from(writer.push(samples)).unwrap();
                std::thread::yield_now();
            }
        });
        let mut next = 0;
        while next < count {
            reader.take(29, |sample| {
                assert_eq!(i32::from(sample), (next % 30_011) as i32);
                next += 1;
            });
            std::thread::yield_now();
        }
        producer.join().unwrap();
        assert_eq!(reader.len(), 0);
    }

    #[test]
    fn between_callbacks_the_device_runs_on_but_not_for_ever() {
        let stamp = Stamp::default();
        let at = |ms| Instant::from_millis(ms);
        stamp.set(at(5_000), 10);
        assert!((stamp.ahead_of(at(5_010), 0, 48_000.0) - 490.0).abs() < 1e-6);
        assert!((stamp.ahead_of(at(5_010), 500, 48_000.0) + 10.0).abs() < 1e-6);
        assert!((stamp.ahead_of(at(9_000), 0, 1_000.0) - 210.0).abs() < 1e-6, "200 ms at most");
        assert!((stamp.ahead_of(at(4_990), 0, 48_000.0) - 10.0).abs() < 1e-6, "of the future");
        // Both halves wrap around.
        let late = Instant::from_micros((1 << 32) - 1_000);
        stamp.set(late, usize::MAX);
        let now = Instant::from_micros((1 << 32) + 1_000);
        assert!((stamp.ahead_of(now, 3, 1_000.0) + 2.0).abs() < 1e-6);
    }
}
