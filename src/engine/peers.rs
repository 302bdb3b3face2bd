//! Memory across calls: what is remembered of each peer, so that a call that is less secure than
//! earlier ones, or a peer that is somebody else, is noticed.
//!
//! [`PeerMemory`] is data; the engine asks it when a call's media protection becomes known. A peer
//! is an [`address`](peer_address). Of each are kept the best security that a call with it had,
//! the DTLS certificate that it showed last, and the one that two people confirmed by comparing a
//! safety number. A call never takes a confirmation back: only [`PeerMemory::confirm`] of another
//! certificate and [`PeerMemory::forget`] do.
//!
//! # Exported bytes
//! ```text
//! "SRPM" version(1) = 1 count(2)
//! count times, in ascending order of the addresses:
//!   address length(2) address  best(1) flags(1)  last seen(8)
//!   [SHA-256 of the certificate seen last(32)]   if flags bit 0
//!   [confirmed SHA-256(32) confirmed at(8)]      if flags bit 1
//! ```
//! Numbers are big-endian, times microseconds since 1970. The bytes hold no secret, but they tell
//! who was called, and whoever can change them can make a stranger a confirmed peer: the host
//! keeps them where it keeps the account's password.
#![deny(clippy::arithmetic_side_effects)]

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::crypto::dtls::{Fingerprint, FingerprintHash};
use crate::time::UnixTime;
use crate::wire::sip::UriRef;

/// What exported bytes start with, before the version.
const MAGIC: &[u8; 4] = b"SRPM";
/// The version of the format.
const VERSION: u8 = 1;
/// A longer address is remembered by its hash.
const MAX_ADDRESS_LEN: usize = 256;
/// Flag: the certificate seen last follows.
const HAS_SEEN: u8 = 1;
/// Flag: a confirmation follows.
const HAS_CONFIRMED: u8 = 2;

/// How well the media of a call was protected, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[non_exhaustive]
pub enum SecurityLevel {
    /// RTP in the clear.
    #[default]
    Plain,
    /// SRTP with keys from DTLS with whoever answered.
    EncryptedUnauthenticated,
    /// SRTP, and signalling under TLS whose peer was verified.
    EncryptedToProvider,
    /// SRTP with keys from DTLS with a peer that two people confirmed.
    VerifiedEndToEnd,
}

impl SecurityLevel {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "not encrypted",
            Self::EncryptedUnauthenticated => "encrypted with whoever answered",
            Self::EncryptedToProvider => "encrypted to the provider",
            Self::VerifiedEndToEnd => "encrypted and verified end to end",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::EncryptedUnauthenticated => 1,
            Self::EncryptedToProvider => 2,
            Self::VerifiedEndToEnd => 3,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Plain),
            1 => Some(Self::EncryptedUnauthenticated),
            2 => Some(Self::EncryptedToProvider),
            3 => Some(Self::VerifiedEndToEnd),
            _ => None,
        }
    }
}

impl fmt::Display for SecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why exported bytes were not taken; what was remembered before still is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMemoryError {
    /// Not the bytes of an export.
    #[error("the bytes are no exported memory of peers")]
    NotPeers,
    /// Another version of the format.
    #[error("the memory of peers has version {0}; this crate reads version {VERSION}")]
    UnknownVersion(u8),
    /// More peers than are ever kept.
    #[error("the memory of peers has {0} entries, more than {max}", max = PeerMemory::MAX)]
    TooMany(u16),
    /// It ends too early, has bytes after its end, or an entry that no export has.
    #[error("the memory of peers is damaged")]
    Damaged,
}

/// What a call's protection means in the light of what is remembered of its peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Verdict {
    /// The best security of earlier calls, if this one is worse.
    pub downgrade: Option<SecurityLevel>,
    /// The peer shows another certificate than the confirmed one, or, if none was confirmed, than
    /// the last one.
    pub identity_changed: bool,
    /// The peer shows the confirmed certificate.
    pub verified: bool,
}

/// One peer.
#[derive(Clone, PartialEq, Eq)]
struct Peer {
    best: SecurityLevel,
    last_seen: UnixTime,
    /// SHA-256 of the certificate that it showed last.
    seen: Option<[u8; 32]>,
    confirmed: Option<([u8; 32], UnixTime)>,
}

/// What is remembered of the peers, at most [`MAX`](Self::MAX) of them. When it is full, the
/// unconfirmed peer that was not seen for the longest time makes room. A full memory of confirmed
/// peers takes no unconfirmed one any more: strangers who call displace nobody who was confirmed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PeerMemory {
    peers: BTreeMap<String, Peer>,
}

impl fmt::Debug for PeerMemory {
    /// Who was called is nobody's business: the number of peers only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerMemory").field("peers", &self.peers.len()).finish_non_exhaustive()
    }
}

impl PeerMemory {
    /// Peers that are remembered at most.
    pub const MAX: usize = 1_024;

    /// Nothing is remembered.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many peers are remembered.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// True if no peer is remembered.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The media of a call with `peer` is protected this well; `fingerprint` is that of the
    /// certificate with which its keys were agreed by DTLS, SHA-256. Says what that means, by what
    /// was remembered before, and remembers it.
    ///
    /// [`SecurityLevel::VerifiedEndToEnd`] is what the memory finds out: a level given is counted
    /// as [`SecurityLevel::EncryptedToProvider`] at most, unless the fingerprint is the confirmed
    /// one.
    pub fn note(
        &mut self,
        peer: &str,
        level: SecurityLevel,
        fingerprint: Option<&Fingerprint>,
        now: UnixTime,
    ) -> Verdict {
        let address = peer_address(peer);
        let shown = fingerprint.and_then(sha256);
        let before = self.peers.get(&address);
        let verified = shown.is_some() && shown == before.and_then(Peer::confirmed);
        let level = match verified {
            true => SecurityLevel::VerifiedEndToEnd,
            false => level.min(SecurityLevel::EncryptedToProvider),
        };
        let known = before.and_then(|peer| peer.confirmed().or(peer.seen));
        let verdict = Verdict {
            downgrade: before.map(|peer| peer.best).filter(|best| *best > level),
            identity_changed: shown.is_some() && known.is_some() && shown != known,
            verified,
        };
        if before.is_none() && !self.make_room(false) {
            return verdict;
        }
        let peer = self.peers.entry(address).or_insert_with(|| Peer::new(now));
        peer.best = peer.best.max(level);
        peer.last_seen = now;
        peer.seen = shown.or(peer.seen);
        verdict
    }

    /// Two people compared the safety number that is made of this fingerprint (SHA-256; another
    /// one confirms nothing). It replaces an earlier one of the same peer. True if it was
    /// remembered.
    pub fn confirm(&mut self, peer: &str, fingerprint: &Fingerprint, now: UnixTime) -> bool {
        let Some(fingerprint) = sha256(fingerprint) else { return false };
        let address = peer_address(peer);
        if !self.peers.contains_key(&address) {
            self.make_room(true);
        }
        let peer = self.peers.entry(address).or_insert_with(|| Peer::new(now));
        peer.best = SecurityLevel::VerifiedEndToEnd;
        peer.last_seen = now;
        peer.seen = Some(fingerprint);
        peer.confirmed = Some((fingerprint, now));
        true
    }

    /// Whether this is the confirmed fingerprint of the peer.
    pub fn is_confirmed(&self, peer: &str, fingerprint: &Fingerprint) -> bool {
        let shown = sha256(fingerprint);
        let known = self.peers.get(&peer_address(peer)).and_then(Peer::confirmed);
        shown.is_some() && shown == known
    }

    /// When two people confirmed the peer's fingerprint.
    pub fn verified_at(&self, peer: &str) -> Option<UnixTime> {
        let peer = self.peers.get(&peer_address(peer))?;
        peer.confirmed.map(|(_, at)| at)
    }

    /// Forgets a peer: its next call is like a first one. True if it was known.
    pub fn forget(&mut self, peer: &str) -> bool {
        self.peers.remove(&peer_address(peer)).is_some()
    }

    /// Makes room for one more peer. False if only confirmed ones could make it.
    fn make_room(&mut self, for_confirmed: bool) -> bool {
        if self.peers.len() < Self::MAX {
            return true;
        }
        let oldest = |confirmed: bool| {
            let all = self.peers.iter().filter(|(_, p)| p.confirmed.is_some() == confirmed);
            all.min_by_key(|(_, p)| p.last_seen).map(|(address, _)| address.clone())
        };
        let goes = oldest(false).or_else(|| oldest(true).filter(|_| for_confirmed));
        goes.is_some_and(|address| self.peers.remove(&address).is_some())
    }

    /// Everything as bytes, for the host to keep.
    pub fn export(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        out.extend(u16::try_from(self.peers.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (address, peer) in &self.peers {
            out.extend(u16::try_from(address.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend(address.as_bytes());
            out.push(peer.best.number());
            let seen = if peer.seen.is_some() { HAS_SEEN } else { 0 };
            let confirmed = if peer.confirmed.is_some() { HAS_CONFIRMED } else { 0 };
            out.push(seen | confirmed);
            out.extend(peer.last_seen.as_micros().to_be_bytes());
            out.extend(peer.seen.iter().flatten());
            if let Some((fingerprint, at)) = &peer.confirmed {
                out.extend(fingerprint);
                out.extend(at.as_micros().to_be_bytes());
            }
        }
        out
    }

    /// What [`export`](Self::export) gave. That nobody changed the bytes meanwhile is for the host
    /// to see to.
    ///
    /// # Errors
    /// [`PeerMemoryError`] says what is wrong with them.
    pub fn import(bytes: &[u8]) -> Result<Self, PeerMemoryError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(PeerMemoryError::NotPeers)?;
        let (&version, rest) = rest.split_first().ok_or(PeerMemoryError::Damaged)?;
        if version != VERSION {
            return Err(PeerMemoryError::UnknownVersion(version));
        }
        let mut reader = Reader(rest);
        let count = reader.number().ok_or(PeerMemoryError::Damaged)?;
        if usize::from(count) > Self::MAX {
            return Err(PeerMemoryError::TooMany(count));
        }
        let mut peers = BTreeMap::new();
        for _ in 0..count {
            let (address, peer) = reader.peer().ok_or(PeerMemoryError::Damaged)?;
            let ascending = peers.last_key_value().is_none_or(|(last, _)| *last < address);
            match peers.entry(address) {
                Entry::Vacant(slot) if ascending => slot.insert(peer),
                _ => return Err(PeerMemoryError::Damaged),
            };
        }
        if !reader.0.is_empty() {
            return Err(PeerMemoryError::Damaged);
        }
        Ok(Self { peers })
    }
}

impl Peer {
    fn new(now: UnixTime) -> Self {
        Self { best: SecurityLevel::Plain, last_seen: now, seen: None, confirmed: None }
    }

    fn confirmed(&self) -> Option<[u8; 32]> {
        self.confirmed.map(|(fingerprint, _)| fingerprint)
    }
}

/// Takes exported bytes apart.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn time(&mut self) -> Option<UnixTime> {
        self.array().map(|bytes| UnixTime::from_micros(u64::from_be_bytes(bytes)))
    }

    fn peer(&mut self) -> Option<(String, Peer)> {
        let len = usize::from(self.number()?);
        if len > MAX_ADDRESS_LEN {
            return None;
        }
        let (address, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        let address = core::str::from_utf8(address).ok()?.to_owned();
        let [best, flags] = self.array()?;
        let best = SecurityLevel::from_number(best)?;
        let last_seen = self.time()?;
        let seen = if flags & HAS_SEEN != 0 { Some(self.array()?) } else { None };
        let has_confirmed = flags & HAS_CONFIRMED != 0;
        let confirmed = if has_confirmed { Some((self.array()?, self.time()?)) } else { None };
        // Who was confirmed was once verified end to end, and nobody else was.
        let consistent = has_confirmed == (best == SecurityLevel::VerifiedEndToEnd);
        let known = flags & !(HAS_SEEN | HAS_CONFIRMED) == 0;
        (consistent && known).then_some((address, Peer { best, last_seen, seen, confirmed }))
    }
}

fn sha256(fingerprint: &Fingerprint) -> Option<[u8; 32]> {
    if fingerprint.hash() != FingerprintHash::Sha256 {
        return None;
    }
    fingerprint.as_bytes().try_into().ok()
}

/// What a peer is remembered by: `user@host` of a SIP or SIPS URI, the user unescaped, the host in
/// lower case; of another URI what stands before its parameters. A very long one is replaced by
/// its hash. Neither the scheme nor the port counts: the same person by TLS and by UDP is one peer.
pub(super) fn peer_address(uri: &str) -> String {
    let address = match UriRef::parse(uri) {
        Ok(uri) if uri.is_sip() => {
            let host = uri.host().to_string().to_ascii_lowercase();
            let unescaped = uri.user_unescaped().and_then(|user| String::from_utf8(user).ok());
            match unescaped.or_else(|| uri.user().map(ToOwned::to_owned)) {
                Some(user) => alloc::format!("{user}@{host}"),
                None => host,
            }
        }
        _ => uri.split(';').next().unwrap_or_default().to_owned(),
    };
    if address.len() <= MAX_ADDRESS_LEN {
        return address;
    }
    Fingerprint::of(FingerprintHash::Sha256, address.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    use SecurityLevel::{EncryptedToProvider, EncryptedUnauthenticated, Plain, VerifiedEndToEnd};

    const BOB: &str = "sip:bob@example.com";

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000_u64.saturating_add(secs))
    }
    fn print(certificate: u8) -> Fingerprint {
        Fingerprint::of(FingerprintHash::Sha256, &[certificate])
    }

    #[test]
    fn a_first_call_is_no_news_and_a_worse_one_is() {
        let mut memory = PeerMemory::new();
        assert_eq!(memory.note(BOB, EncryptedToProvider, None, at(0)), Verdict::default());
        assert_eq!(memory.note(BOB, EncryptedToProvider, None, at(1)), Verdict::default());
        for _ in 0..2 {
            // The best is what counts, however often it got worse since.
            let worse = memory.note(BOB, Plain, None, at(2));
            assert_eq!(worse.downgrade, Some(EncryptedToProvider));
        }
        let verdict = memory.note("sip:carol@example.com", Plain, None, at(3));
        assert_eq!(verdict, Verdict::default());
    }

    #[test]
    fn another_certificate_is_a_change_until_it_is_the_usual_one() {
        let mut memory = PeerMemory::new();
        let mut note = |n| memory.note(BOB, EncryptedUnauthenticated, Some(&print(n)), at(0));
        assert!(!note(1).identity_changed);
        assert!(!note(1).identity_changed);
        assert!(note(2).identity_changed);
        assert!(!note(2).identity_changed);
        // A call without DTLS shows none, and is no change.
        let sdes = memory.note(BOB, EncryptedToProvider, None, at(1));
        assert!(!sdes.identity_changed);
    }

    #[test]
    fn a_confirmed_certificate_stays_the_only_one_whatever_is_shown() {
        let mut memory = PeerMemory::new();
        assert!(!memory.note(BOB, EncryptedUnauthenticated, Some(&print(1)), at(0)).verified);
        assert!(memory.confirm(BOB, &print(1), at(5)));
        assert_eq!(memory.verified_at(BOB), Some(at(5)));
        let good = Verdict { verified: true, ..Verdict::default() };
        assert_eq!(memory.note(BOB, EncryptedUnauthenticated, Some(&print(1)), at(6)), good);
        for _ in 0..3 {
            let verdict = memory.note(BOB, EncryptedToProvider, Some(&print(2)), at(7));
            let downgrade = Some(VerifiedEndToEnd);
            let bad = Verdict { downgrade, identity_changed: true, verified: false };
            assert_eq!(verdict, bad);
        }
        assert_eq!(memory.note(BOB, EncryptedUnauthenticated, Some(&print(1)), at(8)), good);
        let plain = memory.note(BOB, Plain, None, at(9));
        assert_eq!((plain.downgrade, plain.verified), (Some(VerifiedEndToEnd), false));
        assert!(memory.forget(BOB) && !memory.forget(BOB));
        let verdict = memory.note(BOB, Plain, Some(&print(2)), at(10));
        assert_eq!(verdict, Verdict::default());
    }

    #[test]
    fn verified_end_to_end_is_found_out_not_claimed() {
        let mut memory = PeerMemory::new();
        assert!(!memory.note(BOB, VerifiedEndToEnd, Some(&print(1)), at(0)).verified);
        let worse = memory.note(BOB, Plain, None, at(1));
        assert_eq!(worse.downgrade, Some(EncryptedToProvider));
        let weak = Fingerprint::of(FingerprintHash::Sha512, &[1]);
        assert!(!memory.confirm(BOB, &weak, at(2)));
        assert_eq!(memory.verified_at(BOB), None);
    }

    #[test]
    fn one_person_is_one_peer_however_the_address_is_written() {
        let same = ["sip:bob@example.com", "sips:bob@EXAMPLE.com:5061;transport=tls"];
        let other = ["sip:%62ob@Example.Com;user=phone", "sip:Bob@example.com"];
        assert!(same.iter().all(|uri| peer_address(uri) == "bob@example.com"));
        assert_eq!(peer_address(other[0]), "bob@example.com");
        assert_eq!(peer_address(other[1]), "Bob@example.com");
        assert_eq!(peer_address("sip:Example.com"), "example.com");
        assert_eq!(peer_address("tel:+4930123;phone-context=x"), "tel:+4930123");
        let long = format!("sip:{}@a.test", "x".repeat(300));
        let longer = format!("sip:{}@a.test", "x".repeat(301));
        assert!(peer_address(&long).len() <= MAX_ADDRESS_LEN);
        assert_ne!(peer_address(&long), peer_address(&longer));
    }

    fn full(confirmed: bool) -> PeerMemory {
        let mut memory = PeerMemory::new();
        for n in 0..PeerMemory::MAX {
            let peer = format!("sip:{n}@example.com");
            let now = at(u64::try_from(n).unwrap());
            memory.note(&peer, EncryptedToProvider, Some(&print(1)), now);
            if confirmed {
                memory.confirm(&peer, &print(1), now);
            }
        }
        memory
    }

    #[test]
    fn strangers_displace_the_longest_unseen_and_never_who_was_confirmed() {
        let mut memory = full(false);
        memory.confirm("sip:0@example.com", &print(1), at(0));
        memory.note("sip:1@example.com", Plain, None, at(9_999));
        memory.note("sip:new@example.com", Plain, None, at(9_999));
        assert_eq!(memory.len(), PeerMemory::MAX);
        assert!(memory.is_confirmed("sip:0@example.com", &print(1)));
        assert!(memory.forget("sip:1@example.com") && !memory.forget("sip:2@example.com"));

        let mut memory = full(true);
        memory.note("sip:new@example.com", EncryptedToProvider, None, at(9_999));
        assert!(!memory.forget("sip:new@example.com"));
        assert!(memory.confirm("sip:new@example.com", &print(2), at(9_999)));
        assert_eq!(memory.len(), PeerMemory::MAX);
        assert_eq!(memory.verified_at("sip:0@example.com"), None);
        assert!(memory.verified_at("sip:1@example.com").is_some());
        assert_eq!(PeerMemory::import(&memory.export()), Ok(memory));
    }

    #[test]
    fn bytes_that_are_no_export_are_refused_with_the_reason() {
        let mut memory = PeerMemory::new();
        memory.confirm(BOB, &print(1), at(5));
        let good = memory.export();
        let import = |bytes: &[u8]| PeerMemory::import(bytes).unwrap_err();
        assert_eq!(import(b""), PeerMemoryError::NotPeers);
        assert_eq!(import(b"SRDI\x01"), PeerMemoryError::NotPeers);
        assert_eq!(import(b"SRPM"), PeerMemoryError::Damaged);
        let newer = import(b"SRPM\x02\0\0");
        assert_eq!(newer, PeerMemoryError::UnknownVersion(2));
        assert!(newer.to_string().contains("version 2"), "{newer}");
        assert_eq!(import(b"SRPM\x01\xff\xff"), PeerMemoryError::TooMany(0xffff));
        for len in 5..good.len() {
            assert_eq!(import(&good[..len]), PeerMemoryError::Damaged, "{len}");
        }
        assert_eq!(import(&[&good[..], b"x"].concat()), PeerMemoryError::Damaged);
        // Twice the same peer.
        let mut twice = good.clone();
        twice[6] = 2;
        twice.extend(&good[7..]);
        assert_eq!(import(&twice), PeerMemoryError::Damaged);
        // A level that does not go with its confirmation, and one that does not exist.
        let best = 9 + "bob@example.com".len();
        for number in [0, 2, 4] {
            let mut changed = good.clone();
            changed[best] = number;
            assert_eq!(import(&changed), PeerMemoryError::Damaged, "{number}");
        }
        let mut flags = good.clone();
        flags[best + 1] |= 4;
        assert_eq!(import(&flags), PeerMemoryError::Damaged);
    }

    #[test]
    fn debug_does_not_tell_who_was_called() {
        let mut memory = PeerMemory::new();
        memory.note(BOB, Plain, None, at(0));
        assert_eq!(format!("{memory:?}"), "PeerMemory { peers: 1, .. }");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_exported_comes_back(
            steps in prop::collection::vec((0_u8..8, 0_u8..4, 0_u8..3, 0_u64..99, any::<bool>()), 0..40)
        ) {
            let mut memory = PeerMemory::new();
            for (peer, level, certificate, now, confirm) in steps {
                let uri = format!("sip:{peer}@example.com");
                let shown = print(certificate);
                let level = SecurityLevel::from_number(level).unwrap();
                let was = memory.is_confirmed(&uri, &shown);
                let verdict = memory.note(&uri, level, Some(&shown), at(now));
                prop_assert_eq!(verdict.verified, was);
                prop_assert!(!(verdict.verified && (verdict.identity_changed || verdict.downgrade.is_some())));
                if confirm {
                    memory.confirm(&uri, &shown, at(now));
                    prop_assert!(memory.note(&uri, level, Some(&shown), at(now)).verified);
                }
            }
            prop_assert_eq!(PeerMemory::import(&memory.export()), Ok(memory));
        }

        #[test]
        fn any_bytes_are_refused_or_are_an_export(
            tail in prop::collection::vec(any::<u8>(), 0..200), count in 0_u8..4, whole in any::<bool>(),
        ) {
            let bytes = match whole {
                true => tail,
                false => [b"SRPM\x01\0", &[count][..], &tail].concat(),
            };
            if let Ok(memory) = PeerMemory::import(&bytes) {
                prop_assert_eq!(memory.export(), bytes);
            }
        }

        #[test]
        fn a_changed_byte_is_refused_or_makes_another_memory(at_byte in any::<prop::sample::Index>(), with in 1_u8..) {
            let mut memory = PeerMemory::new();
            memory.confirm(BOB, &print(1), at(5));
            memory.note("sip:carol@example.com", Plain, Some(&print(3)), at(6));
            let mut bytes = memory.export();
            let index = at_byte.index(bytes.len());
            bytes[index] ^= with;
            prop_assert_ne!(PeerMemory::import(&bytes), Ok(memory));
        }
    }
}
