//! DTMF as RTP telephone events (RFC 4733).
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use core::fmt;

/// A DTMF digit: `0` to `9`, `*`, `#`, `A` to `D` (RFC 4733 §3.2, events 0 to 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digit(u8);

const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

impl Digit {
    /// The digit of a key. Letters may be in either case.
    pub fn from_char(key: char) -> Option<Self> {
        (0..).zip(DIGITS).find(|(_, d)| d.eq_ignore_ascii_case(&key)).map(|(event, _)| Self(event))
    }

    /// The digit of an event code; `None` for an event that is no digit (16: hook flash).
    pub fn from_event(event: u8) -> Option<Self> {
        (event < 16).then_some(Self(event))
    }

    /// The key.
    pub fn to_char(self) -> char {
        DIGITS.get(usize::from(self.0)).copied().unwrap_or('0')
    }

    /// The event code, 0 to 15.
    pub fn event(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_char(f, self.to_char())
    }
}

/// Why a payload is no telephone event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("a telephone event has 4 bytes")]
pub struct EventTooShort;

/// The payload of a telephone-event packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Event code; [`Digit::from_event`] tells which digit it is.
    pub event: u8,
    /// The event is over; its last packet is sent three times (RFC 4733 §2.5.1.4).
    pub end: bool,
    /// Level in dB below 0 dBm0: 0 to 63.
    pub volume: u8,
    /// Duration so far, in units of the RTP timestamp. 0xffff goes on in a new segment
    /// (RFC 4733 §2.5.1.3).
    pub duration: u16,
}

impl TelephoneEvent {
    /// Bytes of the payload.
    pub const LEN: usize = 4;

    /// Reads the (first) event of a payload.
    ///
    /// # Errors
    /// [`EventTooShort`] if the payload has fewer than 4 bytes.
    pub fn parse(payload: &[u8]) -> Result<Self, EventTooShort> {
        let [event, flags, d0, d1] = *payload.first_chunk::<4>().ok_or(EventTooShort)?;
        Ok(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// The payload. A volume above 63 is written as 63.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.event, (u8::from(self.end) << 7) | self.volume.min(63), d0, d1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn keys_and_codes_are_one_to_one() {
        for (code, key) in "0123456789*#ABCD".chars().enumerate() {
            let digit = Digit::from_char(key).unwrap();
            assert_eq!(usize::from(digit.event()), code);
            assert_eq!(Digit::from_event(digit.event()), Some(digit));
            assert_eq!(digit.to_string(), key.to_string());
            assert_eq!(Digit::from_char(key.to_ascii_lowercase()), Some(digit));
        }
        assert_eq!((Digit::from_char('E'), Digit::from_event(16)), (None, None));
    }

    #[test]
    fn an_event_reads_back_and_the_reserved_bit_is_ignored() {
        let event = TelephoneEvent { event: 11, end: true, volume: 10, duration: 0x1234 };
        assert_eq!(event.to_bytes(), [11, 0x8a, 0x12, 0x34]);
        assert_eq!(TelephoneEvent::parse(&[11, 0xca, 0x12, 0x34, 9]), Ok(event));
        assert_eq!(TelephoneEvent::parse(&[11, 0xca, 0x12]), Err(EventTooShort));
        let loud = TelephoneEvent { volume: 64, ..event };
        assert_eq!(TelephoneEvent::parse(&loud.to_bytes()).unwrap().volume, 63);
    }
}
