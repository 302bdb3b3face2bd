//! The receiving context.

use super::{
    KeyChange, KeyError, KeySet, KeyUsage, Keys, MAX_KNOWN_SSRCS, MAX_SSRCS, MasterKey,
    MasterKeyId, ProtectError, REPLAY_WINDOW, SourceCounters, Suite, UnprotectError,
    epoch::{Clear, Epoch, Opened, Stream},
    keyring::{self, Identity, Key},
};
use alloc::{vec, vec::Vec};
use core::fmt;

/// Packets that authenticate under new keys until the old ones are forgotten: the reach of the
/// replay window, for either of two protocols.
pub const OVERLAP_PACKETS: u32 = 256;

/// While keys overlap, longer packets than this are tried with the likeliest key alone.
const SCRATCH: usize = 2048;

/// Former keys of which the replay windows (not the keys) are kept.
const MAX_PAST: usize = 8;

/// Checks and decrypts the packets that come in under one master key, or one of a set.
///
/// Nothing that a peer without the key sends changes its state or makes it grow.
#[derive(Debug)]
pub struct SrtpReceiver {
    current: Epoch,
    overlap: Option<Overlap>,
    past: Vec<Past>,
    generation: u32,
    unencrypted_rtcp: bool,
}

/// The time in which packets of old and of new keys arrive.
struct Overlap {
    /// `None` if old and new keys share one context.
    old: Option<Epoch>,
    /// The last packet was of the old keys, so the next one likely is.
    old_first: bool,
    under_new: u32,
    scratch: Vec<u8>,
}

impl fmt::Debug for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlap")
            .field("old", &self.old)
            .field("old_first", &self.old_first)
            .field("under_new", &self.under_new)
            .finish_non_exhaustive()
    }
}

/// What stays of keys that were replaced, should the peer come back to them.
#[derive(Debug)]
struct Past {
    keys: Vec<Identity>,
    streams: Vec<Stream>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    New,
    /// As if the source's sequence numbers had wrapped since the change of keys.
    NewWrapped,
    Old,
}

impl SrtpReceiver {
    /// A context for the packets that this key protects.
    ///
    /// # Errors
    /// [`KeyError`] if the cipher refuses the key; no [`MasterKey`] is known to cause it.
    pub fn new(key: &MasterKey) -> Result<Self, KeyError> {
        let (keys, identity) = Keys::derive(key)?;
        Self::with_key(Key::new(keys, identity))
    }

    /// A context for a set of keys: each packet names its own.
    ///
    /// # Errors
    /// [`KeyError`] if the cipher refuses a key; no [`MasterKey`] is known to cause it.
    pub fn with_keys(keys: &KeySet) -> Result<Self, KeyError> {
        Ok(Self::with_epoch(Epoch::new(keyring::expand(keys)?, keys.window())?))
    }

    pub(super) fn with_key(key: Key) -> Result<Self, KeyError> {
        Ok(Self::with_epoch(Epoch::new(vec![key], REPLAY_WINDOW)?))
    }

    fn with_epoch(current: Epoch) -> Self {
        Self { current, overlap: None, past: Vec::new(), generation: 0, unencrypted_rtcp: false }
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.current.suite()
    }

    /// The identifier of the key that the last packet was protected with.
    pub fn mki(&self) -> Option<&MasterKeyId> {
        self.current.active().and_then(|key| key.mki.as_ref())
    }

    /// How often the keys were changed: 0 for those that the context was made with.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// How many packets the last packet's key has authenticated, what is left of the lifetime that
    /// the peer gave it, and whether new keys are [due](KeyUsage::rekey_due). Its end is the
    /// peer's to keep: what is authentic is taken beyond it, up to the 2^48 of RFC 3711 §9.2.
    pub fn usage(&self) -> Option<KeyUsage> {
        self.current.active().map(Key::usage)
    }

    /// The counters of each source under the current keys.
    pub fn counters(&self) -> impl Iterator<Item = SourceCounters> {
        self.current.streams.iter().map(Stream::counters)
    }

    /// Takes the peer's keys of a new offer or answer.
    ///
    /// The keys in use change nothing, so that each description can be passed on as it comes. If
    /// a key in use is among others, counters go on. All keys new: a new context, each source with
    /// roll-over counter 0 (RFC 4568 §6.4), beside which the old one takes the packets that are
    /// still on their way, until [`OVERLAP_PACKETS`] of the new keys have come or
    /// [`end_overlap`](Self::end_overlap) is called. If the peer comes back to a former key, the
    /// replay windows of that key are still there. The set's [window](KeySet::window) is that of the
    /// sources which appear from now on.
    ///
    /// # Errors
    /// [`KeyError`] if the cipher refuses a key; no [`MasterKey`] is known to cause it.
    pub fn rekey(&mut self, keys: &KeySet) -> Result<KeyChange, KeyError> {
        let mut new = keyring::expand(keys)?;
        let mut change = self.current.compare(&mut new);
        if change == KeyChange::Unchanged {
            self.current.window = keys.window();
            return Ok(change);
        }
        let mut older = self.overlap.take().and_then(|overlap| overlap.old);
        if change == KeyChange::Continued {
            self.current.replace_keys(new);
        } else {
            let next = match older.take() {
                Some(mut old) if old.compare(&mut new) != KeyChange::Fresh => {
                    change = KeyChange::Continued;
                    old.replace_keys(new);
                    old
                }
                other => {
                    older = other;
                    let mut next = Epoch::new(new, keys.window())?;
                    if let Some(streams) = self.recall(next.identities()) {
                        change = KeyChange::Continued;
                        next.streams.extend(streams);
                    }
                    next
                }
            };
            let before = core::mem::replace(&mut self.current, next);
            // Keys that were never used give way to those before them.
            let unused = before.streams.is_empty() && older.is_some();
            if !unused && let Some(epoch) = older.replace(before) {
                self.remember(epoch);
            }
        }
        self.current.window = keys.window();
        self.past.reserve(1); // the end of the overlap must not allocate
        self.overlap = (older.is_some() || self.current.has_retiring()).then(|| Overlap {
            old: older,
            old_first: true,
            under_new: 0,
            scratch: vec![0; SCRATCH],
        });
        self.generation = self.generation.saturating_add(1);
        Ok(change)
    }

    /// True while packets of the old keys are still taken.
    pub fn is_overlapping(&self) -> bool {
        self.overlap.is_some()
    }

    /// True once a packet came under the newest keys.
    pub fn hears_new_keys(&self) -> bool {
        self.overlap.as_ref().is_none_or(|overlap| overlap.under_new > 0)
    }

    /// Forgets the old keys now. The host calls this some seconds after a change of keys.
    pub fn end_overlap(&mut self) {
        self.current.drop_retiring();
        if let Some(old) = self.overlap.take().and_then(|overlap| overlap.old) {
            self.remember(old);
        }
    }

    fn remember(&mut self, epoch: Epoch) {
        if epoch.streams.is_empty() {
            return;
        }
        if self.past.len() >= MAX_PAST {
            self.past.remove(0);
        }
        let (keys, streams) = epoch.into_past();
        self.past.push(Past { keys, streams });
    }

    /// The sources of a former set that has one of these keys; none of them is live.
    fn recall(&mut self, keys: &[Identity]) -> Option<Vec<Stream>> {
        let at = self.past.iter().position(|p| p.keys.iter().any(|key| keys.contains(key)))?;
        let mut streams = self.past.remove(at).streams;
        streams.iter_mut().for_each(|s| s.live = false);
        Some(streams)
    }

    /// Whether SRTCP that is authenticated but not encrypted is taken: only if the session
    /// parameter `UNENCRYPTED_SRTCP` was agreed on (RFC 4568 §6.3.2). It is not by default.
    pub fn accept_unencrypted_rtcp(&mut self, accept: bool) {
        self.unencrypted_rtcp = accept;
    }

    /// Whether it is ([`accept_unencrypted_rtcp`](Self::accept_unencrypted_rtcp)).
    pub fn accepts_unencrypted_rtcp(&self) -> bool {
        self.unencrypted_rtcp
    }

    /// Sets the roll-over counter at which a source begins, for a stream that is joined late.
    ///
    /// # Errors
    /// [`ProtectError::SsrcInUse`] if the source is known, [`ProtectError::TooManySsrcs`].
    pub fn start_at(&mut self, ssrc: u32, roll_over: u32) -> Result<(), ProtectError> {
        if self.current.known(ssrc).is_some() {
            return Err(ProtectError::SsrcInUse(ssrc));
        }
        if self.current.live() >= MAX_SSRCS || self.current.streams.len() >= MAX_KNOWN_SSRCS {
            return Err(ProtectError::TooManySsrcs);
        }
        let window = self.current.window;
        self.current.streams.push(Stream::new(ssrc, roll_over, window));
        Ok(())
    }

    /// Frees the place of a source that ended (BYE, silence, a new SSRC in its stead). Its replay
    /// window is kept; if the source sends again, with new indices, it is live again.
    pub fn retire(&mut self, ssrc: u32) {
        let old = self.overlap.iter_mut().filter_map(|overlap| overlap.old.as_mut());
        for epoch in old.chain([&mut self.current]) {
            if let Some(stream) = epoch.streams.iter_mut().find(|s| s.ssrc == ssrc) {
                stream.live = false;
            }
        }
    }

    /// The live sources under the current keys, in the order in which they appeared.
    pub fn live_ssrcs(&self) -> impl Iterator<Item = u32> {
        self.current.streams.iter().filter(|s| s.live).map(|s| s.ssrc)
    }

    /// The roll-over counter of a known source.
    pub fn roll_over_counter(&self, ssrc: u32) -> Option<u32> {
        self.current.known(ssrc).map(Stream::roll_over)
    }

    /// Checks and decrypts an SRTP packet in place; returns the RTP packet.
    ///
    /// # Errors
    /// [`UnprotectError`], to be counted; the context is unchanged and the packet is to be dropped
    /// (its payload may be garbage).
    pub fn unprotect_rtp<'p>(
        &mut self,
        packet: &'p mut [u8],
    ) -> Result<&'p mut [u8], UnprotectError> {
        let len = self.open(Clear::of_rtp(packet)?, packet)?;
        packet.get_mut(..len).ok_or(UnprotectError::TooShort)
    }

    /// Checks and decrypts an SRTCP packet in place; returns the compound RTCP packet.
    ///
    /// # Errors
    /// [`UnprotectError`], to be counted; the context is unchanged and the packet is to be dropped
    /// (its payload may be garbage).
    pub fn unprotect_rtcp<'p>(
        &mut self,
        packet: &'p mut [u8],
    ) -> Result<&'p mut [u8], UnprotectError> {
        let len = self.open(Clear::of_rtcp(packet)?, packet)?;
        packet.get_mut(..len).ok_or(UnprotectError::TooShort)
    }

    #[inline]
    fn open(&mut self, clear: Clear, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let plain_rtcp = self.unencrypted_rtcp;
        let Some(overlap) = &mut self.overlap else {
            return self.current.open(clear, packet, 0, plain_rtcp).map(|opened| opened.len);
        };
        let len = overlap.open(&mut self.current, clear, packet, plain_rtcp)?;
        if overlap.under_new >= OVERLAP_PACKETS {
            self.end_overlap();
        }
        Ok(len)
    }
}

impl Overlap {
    /// Tries the likeliest keys first, and each at most once.
    fn open(
        &mut self,
        current: &mut Epoch,
        clear: Clear,
        packet: &mut [u8],
        plain_rtcp: bool,
    ) -> Result<usize, UnprotectError> {
        use Attempt::{New, NewWrapped, Old};
        let order = if self.old_first { [Old, New, NewWrapped] } else { [New, NewWrapped, Old] };
        let wrapped = self.may_have_wrapped(current, clear);
        let kept = self.keep_copy(current, packet);
        let (mut new_error, mut old_error, mut tried) = (None, None, false);
        for attempt in order {
            if (attempt == NewWrapped && !wrapped) || (attempt == Old && self.old.is_none()) {
                continue;
            }
            if tried {
                match kept {
                    Kept::Copy => packet.iter_mut().zip(&self.scratch).for_each(|(p, c)| *p = *c),
                    Kept::NotNeeded => {}
                    Kept::TooLong => break,
                }
            }
            tried = true;
            let opened = match (attempt, &mut self.old) {
                (Old, Some(old)) => old.open(clear, packet, 0, plain_rtcp),
                _ => current.open(clear, packet, u32::from(attempt == NewWrapped), plain_rtcp),
            };
            match opened {
                Ok(opened) => {
                    self.count(attempt, opened);
                    return Ok(opened.len);
                }
                Err(error) if attempt == Old => old_error = Some(error),
                Err(error) => new_error = new_error.or(Some(error)),
            }
        }
        Err(most_telling(new_error, old_error))
    }

    fn count(&mut self, attempt: Attempt, opened: Opened) {
        self.old_first = attempt == Attempt::Old;
        if !self.old_first && !opened.retiring {
            self.under_new = self.under_new.saturating_add(1);
        }
    }

    /// Whether the first packet of a source under the new keys may be on the other side of a wrap:
    /// the peer changed keys before it and the packets in between were lost.
    fn may_have_wrapped(&self, current: &Epoch, clear: Clear) -> bool {
        let Clear::Rtp { ssrc, sequence, .. } = clear else { return false };
        let last = |epoch: &Epoch| epoch.known(ssrc).and_then(|s| s.counters().sequence);
        sequence < 0x8000
            && last(current).is_none()
            && self.old.as_ref().and_then(last).is_some_and(|last| last >= 0x8000)
    }

    fn keep_copy(&mut self, current: &Epoch, packet: &[u8]) -> Kept {
        let old = self.old.as_ref().is_none_or(Epoch::failure_is_harmless);
        if old && current.failure_is_harmless() {
            return Kept::NotNeeded;
        }
        match self.scratch.get_mut(..packet.len()) {
            Some(copy) => {
                copy.copy_from_slice(packet);
                Kept::Copy
            }
            None => Kept::TooLong,
        }
    }
}

/// Whether a packet can be tried a second time.
#[derive(Clone, Copy)]
enum Kept {
    Copy,
    NotNeeded,
    TooLong,
}

/// The new keys' reason, unless it only says that the packet is not of these keys.
fn most_telling(new: Option<UnprotectError>, old: Option<UnprotectError>) -> UnprotectError {
    use UnprotectError::{AuthFailed, TooShort, Unencrypted, UnknownMki};
    match new {
        None | Some(AuthFailed | UnknownMki | Unencrypted | TooShort) => {
            old.or(new).unwrap_or(AuthFailed)
        }
        Some(error) => error,
    }
}

#[cfg(test)]
impl SrtpReceiver {
    /// All that packets may change.
    pub(super) fn state(&self) -> alloc::string::String {
        self.current.state()
    }
}
