//! Safety numbers: how two people make sure that nobody sits between their phones.
//!
//! Both ends of a call keep a long-lived DTLS identity. Each of its SHA-256 fingerprints gives 30
//! digits, and both halves together, 60 digits, are the same on both screens. Two people compare
//! them once, by voice or by scanning a code; from then on the engine recognizes the peer's
//! fingerprint.
//!
//! # Construction
//! For each side, with a stable id that both ends know it by (its address of record):
//! ```text
//! version = 00 01
//! h(0)    = SHA-512( version || fingerprint || id || fingerprint )
//! h(n)    = SHA-512( h(n-1) || fingerprint )            n = 1 .. 5199
//! digits  = for each of the six 5-byte pieces of h(5199)[0..30], in order:
//!           the piece as a big-endian number, modulo 100000, as 5 decimal digits
//! ```
//! The fingerprint is the 32 bytes of the SHA-256 of the certificate; the id its UTF-8 bytes.
//! The safety number is the smaller half followed by the larger one, compared as text, and is
//! shown as twelve groups of five digits.
//!
//! A half has 10^30 values, about 2^99.7: to imitate one, an attacker has to search 2^99.7
//! certificates (for one of many victims accordingly less), each at the cost of 5200 hashes. He
//! cannot search both halves at once, as each depends on one certificate only; and what is
//! compared is a second preimage, not a collision, because each side's half is fixed by its own
//! certificate before the attacker begins. A short string made of the two fingerprints would
//! not have this property and is not offered.
//!
//! # Code to scan
//! ```text
//! version 01 || own h(5199)[0..32] || peer h(5199)[0..32]                      65 bytes
//! ```
//! The reader compares the first hash with that of its peer and the second with its own.
#![deny(clippy::arithmetic_side_effects)]

use core::fmt;

use ring::digest::{Context, SHA512};
use subtle::ConstantTimeEq;

use super::dtls::{Fingerprint, FingerprintHash};

/// The version of the construction; another one gives other numbers.
const VERSION: [u8; 2] = [0, 1];
/// Hashes for one half.
const ITERATIONS: u32 = 5_200;
/// Digits of one half.
const HALF_LEN: usize = 30;
/// Digits of a group on the screen.
const GROUP_LEN: usize = 5;
/// Bytes of hash that make one group.
const PIECE_LEN: usize = 5;
/// Bytes of a half's hash in the code to scan.
const SCAN_HASH_LEN: usize = 32;
/// The version of the code to scan.
const SCAN_VERSION: u8 = 1;
/// The longest id: longer than any address of record that the engine takes.
const MAX_ID_LEN: usize = 1_024;

/// Why there is no safety number, or a scanned code does not prove anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetyNumberError {
    /// A fingerprint of another hash than SHA-256.
    #[error("a safety number is made of SHA-256 fingerprints: compute that of the certificate")]
    NotSha256,
    /// An id that is empty or longer than 1024 bytes.
    #[error("the stable id must have 1 to 1024 bytes")]
    BadId,
    /// The code is of another version: one of the two phones needs an update.
    #[error("the scanned code is of another version: update the older of the two phones")]
    OtherVersion,
    /// The code is no safety number at all.
    #[error("the scanned code is not a safety number")]
    Malformed,
    /// The code is of another pair of identities: somebody may be in between.
    #[error("the safety numbers differ: somebody may be between the two phones")]
    Mismatch,
}

/// One side's half.
#[derive(Clone, PartialEq, Eq)]
struct Half {
    hash: [u8; SCAN_HASH_LEN],
    digits: [u8; HALF_LEN],
}

impl Half {
    fn new(fingerprint: &Fingerprint, id: &str) -> Result<Self, SafetyNumberError> {
        if fingerprint.hash() != FingerprintHash::Sha256 {
            return Err(SafetyNumberError::NotSha256);
        }
        if id.is_empty() || id.len() > MAX_ID_LEN {
            return Err(SafetyNumberError::BadId);
        }
        let fingerprint = fingerprint.as_bytes();
        let sha512 = |parts: &[&[u8]]| {
            let mut context = Context::new(&SHA512);
            parts.iter().for_each(|part| context.update(part));
            context.finish()
        };
        let first = sha512(&[&VERSION, fingerprint, id.as_bytes(), fingerprint]);
        let last = (1..ITERATIONS).fold(first, |hash, _| sha512(&[hash.as_ref(), fingerprint]));
        let mut half = Self { hash: [0; SCAN_HASH_LEN], digits: [0; HALF_LEN] };
        half.hash.iter_mut().zip(last.as_ref()).for_each(|(slot, b)| *slot = *b);
        let pieces = half.hash.chunks_exact(PIECE_LEN);
        for (group, piece) in half.digits.chunks_exact_mut(GROUP_LEN).zip(pieces) {
            let number = piece.iter().fold(0_u64, |n, b| (n << 8) | u64::from(*b));
            let mut rest = number.checked_rem(100_000).unwrap_or(0);
            for digit in group.iter_mut().rev() {
                let last = rest.checked_rem(10).unwrap_or(0);
                *digit = b'0'.saturating_add(u8::try_from(last).unwrap_or(0));
                rest = rest.checked_div(10).unwrap_or(0);
            }
        }
        Ok(half)
    }
}

/// The safety number of two identities. `Display` shows it as two people compare it: twelve
/// groups of five digits.
#[derive(Clone)]
pub struct SafetyNumber {
    own: Half,
    peer: Half,
}

impl SafetyNumber {
    /// Bytes of [`scan_payload`](Self::scan_payload).
    pub const SCAN_LEN: usize = 1 + 2 * SCAN_HASH_LEN;

    /// The safety number of our identity and the peer's. The ids are what both ends call each
    /// of them by and that does not change, such as the address of record in its canonical form.
    /// Takes 10,400 hashes: some milliseconds on a phone.
    ///
    /// # Errors
    /// [`SafetyNumberError::NotSha256`] or [`SafetyNumberError::BadId`].
    pub fn new(
        own: &Fingerprint,
        own_id: &str,
        peer: &Fingerprint,
        peer_id: &str,
    ) -> Result<Self, SafetyNumberError> {
        Ok(Self { own: Half::new(own, own_id)?, peer: Half::new(peer, peer_id)? })
    }

    /// All 60 digits, ASCII: the same on both ends.
    pub fn digits(&self) -> [u8; 2 * HALF_LEN] {
        let (low, high) = if self.own.digits <= self.peer.digits {
            (&self.own, &self.peer)
        } else {
            (&self.peer, &self.own)
        };
        let mut out = [0; 2 * HALF_LEN];
        let both = low.digits.iter().chain(&high.digits);
        out.iter_mut().zip(both).for_each(|(slot, digit)| *slot = *digit);
        out
    }

    /// Compares with digits that somebody typed or read aloud; blanks do not count. In constant
    /// time.
    pub fn verify_digits(&self, digits: &str) -> bool {
        let mut typed = [0; 2 * HALF_LEN];
        let mut slots = typed.iter_mut();
        for byte in digits.bytes().filter(|b| !b.is_ascii_whitespace()) {
            match slots.next() {
                Some(slot) => *slot = byte,
                None => return false,
            }
        }
        slots.next().is_none() && bool::from(typed.ct_eq(&self.digits()))
    }

    /// The bytes of the code that the peer scans, in a QR code's binary mode.
    pub fn scan_payload(&self) -> [u8; Self::SCAN_LEN] {
        Self::payload(&self.own, &self.peer)
    }

    fn payload(first: &Half, second: &Half) -> [u8; Self::SCAN_LEN] {
        let mut out = [0; Self::SCAN_LEN];
        let bytes = [SCAN_VERSION].into_iter().chain(first.hash).chain(second.hash);
        out.iter_mut().zip(bytes).for_each(|(slot, b)| *slot = b);
        out
    }

    /// Compares with the bytes of the code on the peer's screen, in constant time.
    ///
    /// # Errors
    /// [`SafetyNumberError::Mismatch`] if it is of other identities: this must be shown;
    /// [`SafetyNumberError::OtherVersion`] and [`SafetyNumberError::Malformed`] prove nothing
    /// either way.
    pub fn verify_scanned(&self, payload: &[u8]) -> Result<(), SafetyNumberError> {
        match payload.first() {
            Some(&SCAN_VERSION) => {}
            Some(_) => return Err(SafetyNumberError::OtherVersion),
            None => return Err(SafetyNumberError::Malformed),
        }
        if payload.len() != Self::SCAN_LEN {
            return Err(SafetyNumberError::Malformed);
        }
        let expected = Self::payload(&self.peer, &self.own);
        if bool::from(expected.ct_eq(payload)) { Ok(()) } else { Err(SafetyNumberError::Mismatch) }
    }
}

impl PartialEq for SafetyNumber {
    /// True if both show the same digits; in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.digits().ct_eq(&other.digits()).into()
    }
}
impl Eq for SafetyNumber {}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.digits().chunks(GROUP_LEN).enumerate() {
            let separator = if at == 0 { "" } else { " " };
            write!(f, "{separator}{}", core::str::from_utf8(group).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn fingerprint(text: &str) -> Fingerprint {
        Fingerprint::parse(text).unwrap()
    }

    fn of(own: &[u8], own_id: &str, peer: &[u8], peer_id: &str) -> SafetyNumber {
        let sha256 = |certificate| Fingerprint::of(FingerprintHash::Sha256, certificate);
        SafetyNumber::new(&sha256(own), own_id, &sha256(peer), peer_id).unwrap()
    }

    /// Against the independent computation of tests/data/safety_number/vectors.py.
    #[test]
    fn vectors_of_an_independent_computation_hold() {
        let text = include_str!("../../tests/data/safety_number/vectors.json");
        let vectors: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        assert!(vectors.len() >= 4);
        for vector in &vectors {
            let text = |key: &str| vector[key].as_str().unwrap();
            let number = SafetyNumber::new(
                &fingerprint(text("own_fingerprint")),
                text("own_id"),
                &fingerprint(text("peer_fingerprint")),
                text("peer_id"),
            )
            .unwrap();
            assert_eq!(number.to_string(), text("number"));
            assert_eq!(hex::encode(number.scan_payload()), text("scan"));
        }
    }

    #[test]
    fn both_ends_show_the_same_and_scan_each_other() {
        let alice = of(b"a", "sip:alice@example.com", b"b", "sip:bob@example.com");
        let bob = of(b"b", "sip:bob@example.com", b"a", "sip:alice@example.com");
        assert_eq!(alice.to_string(), bob.to_string());
        assert_eq!(alice, bob);
        assert!(alice.verify_digits(&bob.to_string()));
        assert_eq!(alice.verify_scanned(&bob.scan_payload()), Ok(()));
        assert_eq!(bob.verify_scanned(&alice.scan_payload()), Ok(()));
        // One's own code proves nothing.
        assert_eq!(alice.verify_scanned(&alice.scan_payload()), Err(SafetyNumberError::Mismatch));
    }

    #[test]
    fn somebody_in_between_is_noticed() {
        let alice = of(b"a", "alice", b"mallory", "bob");
        let bob = of(b"b", "bob", b"mallory", "alice");
        assert_ne!(alice.to_string(), bob.to_string());
        assert_ne!(alice, bob);
        assert_eq!(alice.verify_scanned(&bob.scan_payload()), Err(SafetyNumberError::Mismatch));
        assert!(!alice.verify_digits(&bob.to_string()));
        // The same key under another name is another number.
        assert_ne!(of(b"a", "alice", b"b", "bob"), of(b"a", "alice", b"b", "carol"));
    }

    #[test]
    fn what_is_no_code_is_told_apart() {
        let number = of(b"a", "a", b"b", "b");
        let mut payload = of(b"b", "b", b"a", "a").scan_payload().to_vec();
        assert_eq!(number.verify_scanned(&payload), Ok(()));
        assert_eq!(number.verify_scanned(&payload[..64]), Err(SafetyNumberError::Malformed));
        assert_eq!(number.verify_scanned(&[]), Err(SafetyNumberError::Malformed));
        payload[0] = 2;
        assert_eq!(number.verify_scanned(&payload), Err(SafetyNumberError::OtherVersion));
        let digits = number.to_string();
        assert!(!number.verify_digits(&digits[..70]) && !number.verify_digits(""));
        assert!(!number.verify_digits(&(digits.clone() + "0")));
        assert!(number.verify_digits(&digits.replace(' ', "\n ")));
    }

    #[test]
    fn only_sha_256_and_a_name_will_do() {
        let sha256 = Fingerprint::of(FingerprintHash::Sha256, b"a");
        let sha512 = Fingerprint::of(FingerprintHash::Sha512, b"a");
        let error =
            |own: &Fingerprint, id: &str| SafetyNumber::new(own, id, &sha256, "b").unwrap_err();
        assert_eq!(error(&sha512, "a"), SafetyNumberError::NotSha256);
        assert_eq!(error(&sha256, ""), SafetyNumberError::BadId);
        assert_eq!(error(&sha256, &"a".repeat(1_025)), SafetyNumberError::BadId);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn a_number_is_sixty_digits_and_any_damage_is_noticed(
            own in any::<[u8; 4]>(), peer in any::<[u8; 4]>(), at in 0_usize..65, bit in 0_u8..8,
        ) {
            let (a, b) = (of(&own, "a", &peer, "b"), of(&peer, "b", &own, "a"));
            let shown: String = a.to_string();
            prop_assert_eq!(shown.len(), 71);
            prop_assert_eq!(shown.bytes().filter(u8::is_ascii_digit).count(), 60);
            let mut payload = b.scan_payload();
            payload[at] ^= 1 << bit;
            prop_assert!(a.verify_scanned(&payload).is_err());
        }
    }
}
