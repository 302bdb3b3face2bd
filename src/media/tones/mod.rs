//! Call-progress tones and DTMF: what a telephone lets its user hear, and the digits in what it
//! hears itself.
//!
//! A [`TonePlan`] has the tones of a country; a [`TonePlayer`] plays one at any rate, a block at a
//! time. [`DtmfDetector`] finds digits that come as sound, from gateways and far ends without
//! telephone events (RFC 4733). Nothing is allocated after construction.

mod detect;
mod plan;
mod player;

pub use detect::DtmfDetector;
pub use plan::{Segment, Sound, Tone, ToneKind, TonePlan};
pub use player::{DTMF_LEVELS, ToneError, TonePlayer};

use crate::wire::dtmf::Digit;

/// The rows of the keypad, Hz (ITU-T Q.23).
pub const DTMF_LOW: [u16; 4] = [697, 770, 852, 941];
/// The columns of the keypad, Hz (ITU-T Q.23).
pub const DTMF_HIGH: [u16; 4] = [1_209, 1_336, 1_477, 1_633];

/// The keys as they lie on the keypad.
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The two frequencies of a digit, Hz: row, column.
pub fn dtmf_frequencies(digit: Digit) -> (u16, u16) {
    let rows = DTMF_LOW.into_iter().zip(KEYS);
    let mut keys = rows.flat_map(|(low, row)| {
        DTMF_HIGH.into_iter().zip(row).map(move |(high, key)| (key, (low, high)))
    });
    keys.find(|(key, _)| *key == digit.to_char()).map_or((697, 1_209), |(_, pair)| pair)
}

/// The digit of a row and a column of the keypad, 0 to 3.
fn digit_at(row: usize, column: usize) -> Option<Digit> {
    KEYS.get(row)?.get(column).and_then(|key| Digit::from_char(*key))
}
