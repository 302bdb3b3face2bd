//! DTMF digits in and out of the RTP stream (RFC 4733).
#![deny(clippy::arithmetic_side_effects)]

use super::config::DtmfError;
use crate::time::Duration;
use crate::util::BoundedQueue;
use crate::wire::dtmf::{Digit, TelephoneEvent};

/// Digits that wait at most.
const QUEUE: usize = 32;
/// The last packet of a digit is sent this often (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
/// Audio between two digits, in packets.
const PAUSE_PACKETS: u8 = 3;
const VOLUME: u8 = 10;

/// One event packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventPacket {
    pub(super) payload: [u8; TelephoneEvent::LEN],
    pub(super) timestamp: u32,
    pub(super) marker: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    digit: Digit,
    /// Where the segment begins, and how much of the event came before it.
    timestamp: u32,
    before: u32,
    total: u32,
    so_far: u32,
    ends: u8,
}

/// The longest segment of an event: its duration has 16 bits (RFC 4733 §2.5.1.3). At 48 kHz that
/// is 1.365 s.
const SEGMENT: u32 = u16::MAX as u32;

/// Turns digits into event packets, one per packet time, in place of audio.
#[derive(Debug)]
pub(super) struct DtmfSender {
    queue: BoundedQueue<(Digit, u32)>,
    current: Option<Sending>,
    /// Packets of audio that must still come before the next digit.
    pause: u8,
}

impl DtmfSender {
    pub(super) fn new() -> Self {
        Self { queue: BoundedQueue::new(QUEUE), current: None, pause: 0 }
    }

    /// Queues a digit; `clock_rate` is the RTP clock in Hz.
    pub(super) fn push(
        &mut self,
        digit: Digit,
        duration: Duration,
        clock_rate: u32,
    ) -> Result<(), DtmfError> {
        if !(40..=6_000).contains(&duration.as_millis()) {
            return Err(DtmfError::Duration);
        }
        let ticks = crate::media::jitter::ticks(duration, clock_rate);
        if self.queue.push((digit, ticks)) { Ok(()) } else { Err(DtmfError::QueueFull) }
    }

    /// Forgets all digits.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The codec changed, and with it the clock (in Hz) in which durations count.
    pub(super) fn change_clock(&mut self, from: u32, to: u32) {
        let scale = |ticks: u32| {
            let scaled = u64::from(ticks).saturating_mul(to.into()).checked_div(from.into());
            u32::try_from(scaled.unwrap_or(0)).unwrap_or(u32::MAX)
        };
        if from == to {
            return;
        }
        for _ in 0..self.queue.len() {
            if let Some((digit, ticks)) = self.queue.pop() {
                self.queue.push((digit, scale(ticks)));
            }
        }
        if let Some(s) = &mut self.current {
            (s.before, s.total, s.so_far) = (scale(s.before), scale(s.total), scale(s.so_far));
        }
    }

    /// The event packet for the packet time that begins at `timestamp` and lasts `ticks`, if a
    /// digit is being sent.
    pub(super) fn next(&mut self, timestamp: u32, ticks: u32) -> Option<EventPacket> {
        let Some(sending) = &mut self.current else {
            if let Some(left) = self.pause.checked_sub(1) {
                self.pause = left;
                return None;
            }
            let (digit, total) = self.queue.pop()?;
            let so_far = ticks.min(total);
            let first = Sending { digit, timestamp, before: 0, total, so_far, ends: 0 };
            let end = first.so_far >= total;
            self.current = Some(Sending { ends: u8::from(end), ..first });
            return Some(packet(&first, end, true));
        };
        sending.so_far = sending.so_far.saturating_add(ticks).min(sending.total);
        if sending.so_far.saturating_sub(sending.before) > SEGMENT {
            // The segment is full: its last packet, without an end. The next one follows it.
            let full = Sending { so_far: sending.before.saturating_add(SEGMENT), ..*sending };
            sending.timestamp = sending.timestamp.wrapping_add(SEGMENT);
            sending.before = sending.before.saturating_add(SEGMENT);
            return Some(packet(&full, false, false));
        }
        let end = sending.so_far >= sending.total;
        sending.ends = sending.ends.saturating_add(u8::from(end));
        let out = packet(sending, end, false);
        if sending.ends >= END_PACKETS {
            self.current = None;
            self.pause = PAUSE_PACKETS;
        }
        Some(out)
    }
}

fn packet(s: &Sending, end: bool, marker: bool) -> EventPacket {
    let duration = u16::try_from(s.so_far.saturating_sub(s.before)).unwrap_or(u16::MAX);
    let event = TelephoneEvent { event: s.digit.event(), end, volume: VOLUME, duration };
    EventPacket { payload: event.to_bytes(), timestamp: s.timestamp, marker }
}

/// Packets of an earlier press come at most this much later, in ticks: 10 s at 8 kHz, 1.7 s at
/// 48 kHz.
const LATE: i32 = 80_000;

/// Finds each press once in the event packets that come.
#[derive(Debug, Default)]
pub(super) struct DtmfReceiver {
    /// Event code, timestamp and highest duration of the last press.
    last: Option<(u8, u32, u16)>,
}

impl DtmfReceiver {
    /// The digit, if this packet begins a press that was not reported yet.
    pub(super) fn receive(&mut self, timestamp: u32, event: TelephoneEvent) -> Option<Digit> {
        let digit = Digit::from_event(event.event)?;
        if let Some((code, began, duration)) = &mut self.last {
            let ahead = timestamp.wrapping_sub(*began).cast_signed();
            if ahead == 0 && *code == event.event {
                *duration = (*duration).max(event.duration);
                return None;
            }
            if ahead < 0 && ahead > -LATE {
                // A late packet of an earlier press.
                return None;
            }
            // A press of more than 0xffff ticks goes on in a new segment (RFC 4733 §2.5.1.3), also
            // where the last packets of the one before it were lost.
            let was_long = *duration > u16::MAX / 2;
            if *code == event.event && was_long && ahead == i32::from(u16::MAX) {
                (*began, *duration) = (timestamp, event.duration);
                return None;
            }
        }
        self.last = Some((event.event, timestamp, event.duration));
        Some(digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(c: char) -> Digit {
        Digit::from_char(c).unwrap()
    }

    #[test]
    fn a_digit_has_one_marker_a_growing_duration_and_three_ends() {
        let mut s = DtmfSender::new();
        s.push(digit('5'), Duration::from_millis(100), 8_000).unwrap();
        let packets: Vec<_> =
            (0..20).map_while(|n| s.next(1_000u32.wrapping_add(n * 160), 160)).collect();
        let events: Vec<_> =
            packets.iter().map(|p| TelephoneEvent::parse(&p.payload).unwrap()).collect();
        assert!(packets.iter().all(|p| p.timestamp == 1_000));
        assert_eq!(packets.iter().map(|p| p.marker).filter(|m| *m).count(), 1);
        assert!(packets[0].marker);
        let durations: Vec<_> = events.iter().map(|e| (e.duration, e.end)).collect();
        assert_eq!(
            durations,
            [
                (160, false),
                (320, false),
                (480, false),
                (640, false),
                (800, true),
                (800, true),
                (800, true)
            ]
        );
    }

    #[test]
    fn a_long_press_at_48_khz_has_segments_and_is_one_press() {
        for lost in [0, 2, 3, 5] {
            let mut s = DtmfSender::new();
            let mut r = DtmfReceiver::default();
            s.push(digit('7'), Duration::from_millis(3_000), 48_000).unwrap();
            s.push(digit('7'), Duration::from_millis(100), 48_000).unwrap();
            let (mut got, mut marks, mut last, mut durations) = (0, 0, None, Vec::new());
            for n in 0..200_u32 {
                let Some(p) = s.next(5_000 + n * 960, 960) else { continue };
                let event = TelephoneEvent::parse(&p.payload).unwrap();
                marks += u32::from(p.marker);
                if last.is_some_and(|t| t != p.timestamp) {
                    durations.push(p.timestamp);
                }
                last = Some(p.timestamp);
                if lost == 0 || n % lost > 0 {
                    got += u32::from(r.receive(p.timestamp, event).is_some());
                }
            }
            assert_eq!((got, marks), (2, 2), "{lost}");
            // Two more segments of the first press, then the second press.
            assert_eq!(durations[..2], [5_000 + 65_535, 5_000 + 65_535 * 2]);
            assert_eq!(durations.len(), 3);
        }
    }

    #[test]
    fn a_change_of_clock_keeps_the_lengths_of_the_presses() {
        let mut s = DtmfSender::new();
        for c in "12".chars() {
            s.push(digit(c), Duration::from_millis(100), 8_000).unwrap();
        }
        s.next(0, 160).unwrap();
        s.change_clock(8_000, 48_000);
        let packets: Vec<_> = (1..40).filter_map(|n| s.next(n * 960, 960)).collect();
        let ends: Vec<_> = packets
            .iter()
            .map(|p| TelephoneEvent::parse(&p.payload).unwrap())
            .filter(|e| e.end)
            .map(|e| e.duration)
            .collect();
        assert_eq!(ends, [4_800; 6]);
    }

    #[test]
    fn each_press_is_reported_once_whatever_is_lost_or_repeated() {
        let mut s = DtmfSender::new();
        let mut r = DtmfReceiver::default();
        for c in "1122".chars() {
            s.push(digit(c), Duration::from_millis(60), 8_000).unwrap();
        }
        let mut got = String::new();
        let mut late = None;
        for n in 0..60u32 {
            let Some(p) = s.next(n * 160, 160) else { continue };
            let event = TelephoneEvent::parse(&p.payload).unwrap();
            if n % 3 == 1 {
                continue; // lost
            }
            got.extend(r.receive(p.timestamp, event).map(Digit::to_char));
            got.extend(r.receive(p.timestamp, event).map(Digit::to_char));
            if let Some((t, e)) = late.replace((p.timestamp, event)) {
                got.extend(r.receive(t, e).map(Digit::to_char));
            }
        }
        assert_eq!(got, "1122");
    }

    #[test]
    fn a_digit_as_short_as_a_packet_has_three_packets() {
        let mut s = DtmfSender::new();
        s.push(digit('5'), Duration::from_millis(40), 8_000).unwrap();
        let sent: Vec<_> = (0..9).map_while(|n| s.next(n * 480, 480)).collect();
        let durations = sent.iter().map(|p| TelephoneEvent::parse(&p.payload).unwrap());
        assert!(durations.map(|e| (e.duration, e.end)).eq([(320, true); 3]));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let mut s = DtmfSender::new();
        let ms = Duration::from_millis;
        assert_eq!(s.push(digit('1'), ms(39), 8_000), Err(DtmfError::Duration));
        assert_eq!(s.push(digit('1'), ms(6_001), 8_000), Err(DtmfError::Duration));
        (0..32).for_each(|_| s.push(digit('1'), ms(40), 8_000).unwrap());
        assert_eq!(s.push(digit('1'), ms(40), 8_000), Err(DtmfError::QueueFull));
    }

    #[test]
    fn a_press_longer_than_its_field_goes_on_in_segments_and_stays_one_press() {
        let mut r = DtmfReceiver::default();
        let mut hear = |timestamp: u32, c: char, duration: u16, end: bool| {
            let event = TelephoneEvent { event: digit(c).event(), end, volume: 10, duration };
            r.receive(timestamp, event).map(Digit::to_char)
        };
        // RFC 4733 §2.5.1.3: 0xffff ticks in the first segment, a new timestamp for the next one;
        // here across the wrap of the timestamp.
        let (first, segment) = (0xffff_f000_u32, u32::from(u16::MAX));
        assert_eq!(hear(first, '5', 160, false), Some('5'));
        assert_eq!(hear(first, '5', u16::MAX, false), None);
        assert_eq!(hear(first, '5', 65_440, false), None, "reordered");
        let second = first.wrapping_add(segment);
        assert_eq!(hear(second, '5', 160, false), None);
        assert_eq!(hear(second, '5', u16::MAX, false), None);
        let third = second.wrapping_add(segment);
        assert_eq!(hear(third, '5', 320, true), None);
        // A late packet of a former segment, and a key pressed so long after that it looks late.
        assert_eq!(hear(second, '5', 800, false), None);
        assert_eq!(hear(third.wrapping_sub(80_000), '5', 160, false), Some('5'));
    }

    #[test]
    fn the_same_key_again_or_another_key_at_once_is_another_press() {
        let mut r = DtmfReceiver::default();
        let mut hear = |timestamp: u32, event: u8, duration: u16| {
            let event = TelephoneEvent { event, end: false, volume: 10, duration };
            r.receive(timestamp, event).map(Digit::to_char)
        };
        assert_eq!(hear(1_000, 5, 800), Some('5'));
        assert_eq!(hear(3_000, 5, 160), Some('5'));
        assert_eq!(hear(3_000, 6, 160), Some('6'));
        // 0xffff ticks after a press that was short, or of another key: no segment of it.
        assert_eq!(hear(3_000 + 65_535, 6, 160), Some('6'));
        assert_eq!(hear(3_000 + 65_535, 6, u16::MAX), None);
        assert_eq!(hear(3_000 + 2 * 65_535, 7, 160), Some('7'));
        // Events that are no keys (flash) are none.
        assert_eq!(hear(900_000, 16, 160), None);
    }

    #[test]
    fn the_pause_between_two_digits_is_three_packets() {
        let mut s = DtmfSender::new();
        (0..3).for_each(|_| s.push(digit('5'), Duration::from_millis(40), 8_000).unwrap());
        let sent: Vec<_> = (0..20).map(|n| u8::from(s.next(n * 160, 160).is_some())).collect();
        assert_eq!(sent, [1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]);
        // After a long silence a digit begins at once, and so after a hold.
        (0..2).for_each(|_| assert_eq!(s.next(0, 160), None));
        s.push(digit('5'), Duration::from_millis(40), 8_000).unwrap();
        assert!(s.next(0, 160).is_some_and(|packet| packet.marker));
        s.clear();
        s.push(digit('5'), Duration::from_millis(40), 8_000).unwrap();
        assert!(s.next(0, 160).is_some_and(|packet| packet.marker));
    }
}
