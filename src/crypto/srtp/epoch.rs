//! The receiving context of one set of keys: sources, their roll-over counters and replay windows.

use super::{
    KeyChange, KeyError, MAX_KNOWN_SSRCS, MAX_PACKET_LEN, MAX_SSRCS, SourceCounters, Suite,
    UnprotectError,
    keyring::{self, Identity, Key},
    replay::{Refused, ReplayWindow},
    rtcp_ssrc,
    transform::E_BIT,
};
use crate::wire::rtp::{RtpError, RtpHeader};
use alloc::vec::Vec;

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    pub(super) live: bool,
    /// The roll-over counter of the first packet, until there is one.
    initial_roll_over: u32,
    rtp: ReplayWindow,
    rtcp: ReplayWindow,
}

impl Stream {
    pub(super) fn new(ssrc: u32, initial_roll_over: u32, window: u64) -> Self {
        Self {
            ssrc,
            live: true,
            initial_roll_over,
            rtp: ReplayWindow::new(window),
            rtcp: ReplayWindow::new(window),
        }
    }

    pub(super) fn roll_over(&self) -> u32 {
        let of = |index: u64| u32::try_from(index >> 16).unwrap_or(u32::MAX);
        self.rtp.highest().map_or(self.initial_roll_over, of)
    }

    pub(super) fn counters(&self) -> SourceCounters {
        SourceCounters {
            ssrc: self.ssrc,
            roll_over: self.roll_over(),
            sequence: self.rtp.highest().map(|index| (index & 0xffff) as u16),
            rtcp_index: self.rtcp.highest().and_then(|index| u32::try_from(index).ok()),
        }
    }

    /// The index that a sequence number most likely has (RFC 3711 §3.3.1 and appendix A): the one
    /// closest to the highest received. Where that would be below 0, roll-over counter 0 is meant.
    /// `ahead` is added to the roll-over counter of the first packet.
    #[inline]
    fn estimate(&self, sequence: u16, ahead: u32) -> Result<u64, UnprotectError> {
        let guess = match self.rtp.highest() {
            None => self.initial_roll_over.saturating_add(ahead),
            Some(highest) => {
                let roll_over = self.roll_over();
                let last = (highest & 0xffff) as u16;
                if last < 0x8000 && sequence.saturating_sub(last) > 0x8000 {
                    roll_over.saturating_sub(1)
                } else if last >= 0x8000 && last.saturating_sub(0x8000) > sequence {
                    roll_over.checked_add(1).ok_or(UnprotectError::KeyExhausted)?
                } else {
                    roll_over
                }
            }
        };
        Ok(index(guess, sequence))
    }

    #[inline]
    fn window(&mut self, protocol: Clear) -> &mut ReplayWindow {
        match protocol {
            Clear::Rtp { .. } => &mut self.rtp,
            Clear::Rtcp { .. } => &mut self.rtcp,
        }
    }
}

/// 48 bits (RFC 3711 §3.3.1).
#[inline]
fn index(roll_over: u32, sequence: u16) -> u64 {
    (u64::from(roll_over) << 16) | u64::from(sequence)
}

impl From<Refused> for UnprotectError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Replayed => Self::Replayed,
            Refused::TooOld => Self::TooOld,
        }
    }
}

/// What the clear part of a packet says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clear {
    Rtp { header_len: usize, ssrc: u32, sequence: u16 },
    Rtcp { ssrc: u32 },
}

impl Clear {
    #[inline]
    pub(super) fn of_rtp(packet: &[u8]) -> Result<Self, UnprotectError> {
        let header = RtpHeader::parse(packet).map_err(|error| match error {
            RtpError::TooShort => UnprotectError::TooShort,
            _ => UnprotectError::Malformed,
        })?;
        let (ssrc, sequence) = (header.ssrc, header.sequence_number);
        Ok(Self::Rtp { header_len: header.len(), ssrc, sequence })
    }

    #[inline]
    fn ssrc(self) -> u32 {
        match self {
            Self::Rtp { ssrc, .. } | Self::Rtcp { ssrc } => ssrc,
        }
    }

    /// Called on packets of at least eight bytes.
    pub(super) fn of_rtcp(packet: &[u8]) -> Result<Self, UnprotectError> {
        Ok(Self::Rtcp { ssrc: rtcp_ssrc(packet).ok_or(UnprotectError::Malformed)? })
    }
}

/// A packet that was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) len: usize,
    /// By a key that is on its way out.
    pub(super) retiring: bool,
}

/// One set of keys and the state of the sources under it.
#[derive(Debug)]
pub(super) struct Epoch {
    /// One key, or several with identifiers of `mki_len` bytes.
    keys: Vec<Key>,
    /// The key of the last packet.
    active: usize,
    suite: Suite,
    mki_len: usize,
    /// The replay window of sources that appear.
    pub(super) window: u64,
    identities: Vec<Identity>,
    pub(super) streams: Vec<Stream>,
}

impl Epoch {
    pub(super) fn new(keys: Vec<Key>, window: u64) -> Result<Self, KeyError> {
        let first = keys.first().ok_or(KeyError::KeyCount(0))?;
        let (suite, mki_len) = (first.suite(), first.mki().len());
        let streams = Vec::with_capacity(MAX_KNOWN_SSRCS);
        let identities = identities(&keys);
        Ok(Self { keys, active: 0, suite, mki_len, window, identities, streams })
    }

    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    /// The key of the last packet.
    pub(super) fn active(&self) -> Option<&Key> {
        self.keys.get(self.active)
    }

    /// The source's state here, to be seen without change.
    pub(super) fn known(&self, ssrc: u32) -> Option<&Stream> {
        self.streams.iter().find(|s| s.ssrc == ssrc)
    }

    pub(super) fn live(&self) -> usize {
        self.streams.iter().filter(|s| s.live).count()
    }

    /// What the change to these keys is; see [`keyring::compare`].
    pub(super) fn compare(&self, new: &mut [Key]) -> KeyChange {
        keyring::compare(self.keys.iter(), new)
    }

    /// Takes another set of which some keys are in use: the state of the sources stays. Keys that
    /// are in it no more retire, where packets can still name them.
    pub(super) fn replace_keys(&mut self, new: Vec<Key>) {
        let Some(first) = new.first() else { return };
        let (suite, mki_len) = (first.suite(), first.mki().len());
        let same_layout = suite == self.suite && mki_len == self.mki_len && mki_len > 0;
        (self.suite, self.mki_len, self.active) = (suite, mki_len, 0);
        let old = core::mem::replace(&mut self.keys, new);
        for mut key in old.into_iter().filter(|key| same_layout && !key.retiring) {
            if self.keys.iter().all(|k| k.mki != key.mki && !k.is_same_key(&key)) {
                key.retiring = true;
                self.keys.push(key);
            }
        }
        self.identities = identities(&self.keys);
    }

    /// Forgets the keys that were taken out of the set.
    pub(super) fn drop_retiring(&mut self) {
        // They stand behind the others, so that no other key moves.
        self.keys.retain(|key| !key.retiring);
        if self.active >= self.keys.len() {
            self.active = 0;
        }
    }

    /// True if there are keys that were taken out of the set.
    pub(super) fn has_retiring(&self) -> bool {
        self.keys.iter().any(|key| key.retiring)
    }

    /// What tells this set of keys from another.
    pub(super) fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// What stays when the keys go.
    pub(super) fn into_past(self) -> (Vec<Identity>, Vec<Stream>) {
        (self.identities, self.streams)
    }

    /// True if a packet that fails to open here is left as it was.
    pub(super) fn failure_is_harmless(&self) -> bool {
        self.keys.iter().all(|key| key.keys.rtp.failure_is_harmless())
    }

    /// The key that a packet names, or the only one.
    #[inline]
    fn key_at(&self, clear: Clear, packet: &[u8]) -> Result<usize, UnprotectError> {
        let first = self.keys.first().ok_or(UnprotectError::UnknownMki)?;
        let (fixed, transform) = match clear {
            Clear::Rtp { header_len, .. } => {
                (header_len.saturating_add(self.suite.rtp_overhead()), &first.keys.rtp)
            }
            Clear::Rtcp { .. } => (self.suite.rtcp_overhead().saturating_add(8), &first.keys.rtcp),
        };
        check_len(packet, fixed.saturating_add(self.mki_len))?;
        if self.mki_len == 0 {
            return Ok(0);
        }
        let mki = transform.mki(packet, self.mki_len).ok_or(UnprotectError::TooShort)?;
        let found = self.keys.iter().position(|key| key.mki() == mki);
        found.ok_or(UnprotectError::UnknownMki)
    }

    /// Checks and decrypts an SRTP or SRTCP packet. `ahead` is added to the roll-over counter of a
    /// source's first packet. Nothing changes before the packet is authentic (RFC 3711 §3.3).
    pub(super) fn open(
        &mut self,
        clear: Clear,
        packet: &mut [u8],
        ahead: u32,
        unencrypted_rtcp: bool,
    ) -> Result<Opened, UnprotectError> {
        let at = self.key_at(clear, packet)?;
        let keys = &self.keys.get(at).ok_or(UnprotectError::UnknownMki)?.keys;
        let slot = self.streams.iter().position(|s| s.ssrc == clear.ssrc());
        let known = slot.and_then(|slot| self.streams.get(slot));
        let (index, opened) = match clear {
            Clear::Rtp { header_len, ssrc, sequence } => {
                let index = match known {
                    Some(stream) => stream.estimate(sequence, ahead)?,
                    None => index(ahead, sequence),
                };
                known.map_or(Ok(()), |stream| stream.rtp.check(index))?;
                (index, keys.rtp.open_rtp(ssrc, index, header_len, self.mki_len, packet))
            }
            Clear::Rtcp { ssrc } => {
                let word = keys.rtcp.rtcp_index_word(packet, self.mki_len);
                let word = word.ok_or(UnprotectError::TooShort)?;
                if word & E_BIT == 0 && !unencrypted_rtcp {
                    return Err(UnprotectError::Unencrypted);
                }
                let index = u64::from(word & !E_BIT);
                known.map_or(Ok(()), |stream| stream.rtcp.check(index))?;
                (index, keys.rtcp.open_rtcp(ssrc, word, self.mki_len, packet))
            }
        };
        let len = opened.map_err(|_| UnprotectError::AuthFailed)?;
        self.admit(slot, clear.ssrc(), ahead)?.window(clear).accept(index);
        let key = self.keys.get_mut(at).ok_or(UnprotectError::UnknownMki)?;
        let count = match clear {
            Clear::Rtp { .. } => &mut key.rtp_packets,
            Clear::Rtcp { .. } => &mut key.rtcp_packets,
        };
        *count = count.saturating_add(1);
        self.active = at;
        Ok(Opened { len, retiring: key.retiring })
    }

    /// The source of an authenticated packet, live from now on, if it has or finds a place.
    #[inline]
    fn admit(
        &mut self,
        slot: Option<usize>,
        ssrc: u32,
        initial_roll_over: u32,
    ) -> Result<&mut Stream, UnprotectError> {
        let live = slot.and_then(|slot| self.streams.get(slot)).is_some_and(|s| s.live);
        if !live && self.live() >= MAX_SSRCS {
            return Err(UnprotectError::TooManySsrcs);
        }
        let slot = match slot {
            Some(slot) => slot,
            None if self.streams.len() < MAX_KNOWN_SSRCS => {
                self.streams.push(Stream::new(ssrc, initial_roll_over, self.window));
                self.streams.len().saturating_sub(1)
            }
            None => return Err(UnprotectError::TooManySsrcs),
        };
        let stream = self.streams.get_mut(slot).ok_or(UnprotectError::TooManySsrcs)?;
        stream.live = true;
        Ok(stream)
    }
}

fn identities(keys: &[Key]) -> Vec<Identity> {
    keys.iter().map(|key| *key.identity()).collect()
}

fn check_len(packet: &[u8], at_least: usize) -> Result<(), UnprotectError> {
    if packet.len() > MAX_PACKET_LEN {
        Err(UnprotectError::Malformed)
    } else if packet.len() < at_least {
        Err(UnprotectError::TooShort)
    } else {
        Ok(())
    }
}

#[cfg(test)]
impl Epoch {
    /// All that packets may change: the sources with their windows and the counts of the keys.
    pub(super) fn state(&self) -> alloc::string::String {
        let windows = self.streams.iter().map(|s| (s.rtp.state(), s.rtcp.state()));
        alloc::format!("{self:?} {:?}", windows.collect::<Vec<_>>())
    }
}
