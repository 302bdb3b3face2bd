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
mod tests;
