//! The sending context.

use super::{
    Egress, KeyChange, KeyError, KeySet, KeyUsage, Keys, MAX_PACKET_LEN, MAX_RTCP_PACKETS,
    MAX_SSRCS, MasterKey, MasterKeyId, ProtectError, SourceCounters, Suite,
    keyring::{self, Identity, Key},
    rtcp_ssrc,
};
use crate::wire::rtp::RtpHeader;
use alloc::vec::Vec;

/// The replaced keys that a sender remembers, so that none is used again.
const MAX_PAST_KEYS: usize = 64;

/// Protects the packets that go out under one master key, or one of a set.
///
/// It refuses to use an index twice: within a source, sequence numbers must rise (they wrap as RTP's
/// do). Begin at a sequence number below 2^15, so that a receiver that loses the first packets
/// cannot miss the first wrap (RFC 3711 §3.3.1).
#[derive(Debug)]
pub struct SrtpSender {
    key: Key,
    /// The other keys of the set.
    spare: Vec<Key>,
    streams: Vec<Stream>,
    generation: u32,
    past: Vec<Identity>,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    roll_over: u32,
    /// The last sequence number sent.
    last: Option<u16>,
    /// The next SRTCP index.
    rtcp_index: u32,
}

impl Stream {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, roll_over: 0, last: None, rtcp_index: 0 }
    }

    /// The roll-over counter of a packet that is ahead of the last one.
    fn next_roll_over(&self, sequence: u16) -> Result<u32, ProtectError> {
        match self.last {
            None => Ok(self.roll_over),
            // Ahead by less than half the number space (RFC 1982): 0 or more than half is behind.
            Some(last) if !(1..0x8000).contains(&sequence.wrapping_sub(last)) => {
                Err(ProtectError::IndexReused { ssrc: self.ssrc, sequence })
            }
            Some(last) if sequence > last => Ok(self.roll_over),
            Some(_) => self.roll_over.checked_add(1).ok_or(ProtectError::KeyExhausted),
        }
    }
}

impl SrtpSender {
    /// A context for the packets that this key protects.
    ///
    /// # Errors
    /// [`KeyError`] if the cipher refuses the key; no [`MasterKey`] is known to cause it.
    pub fn new(key: &MasterKey) -> Result<Self, KeyError> {
        let (keys, identity) = Keys::derive(key)?;
        Ok(Self::with_key(Key::new(keys, identity), Vec::new()))
    }

    /// A context for a set of keys; it begins with the first one.
    ///
    /// # Errors
    /// [`KeyError`] if the cipher refuses a key; no [`MasterKey`] is known to cause it.
    pub fn with_keys(keys: &KeySet) -> Result<Self, KeyError> {
        let (key, spare) = split_first(keyring::expand(keys)?)?;
        Ok(Self::with_key(key, spare))
    }

    pub(super) fn with_key(key: Key, spare: Vec<Key>) -> Self {
        let streams = Vec::with_capacity(MAX_SSRCS);
        Self { key, spare, streams, generation: 0, past: Vec::new() }
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.key.suite()
    }

    /// The identifier of the key in use, which every packet carries.
    pub fn mki(&self) -> Option<&MasterKeyId> {
        self.key.mki.as_ref()
    }

    /// How often the keys were changed: 0 for those that the context was made with.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What the key in use has done, what is left of its lifetime, and whether new keys are
    /// [due](KeyUsage::rekey_due). At its end packets are refused.
    pub fn usage(&self) -> KeyUsage {
        self.key.usage()
    }

    /// The counters of each source.
    pub fn counters(&self) -> impl Iterator<Item = SourceCounters> {
        self.streams.iter().map(|s| SourceCounters {
            ssrc: s.ssrc,
            roll_over: s.roll_over,
            sequence: s.last,
            rtcp_index: s.rtcp_index.checked_sub(1),
        })
    }

    /// Goes on with another key of the set, from the next packet. Roll-over counters go on, as
    /// RFC 3711 §3.3.1 asks for a change of keys within a context.
    ///
    /// # Errors
    /// [`KeyError::UnknownMki`] if no key of the set has this identifier.
    pub fn use_key(&mut self, mki: &MasterKeyId) -> Result<(), KeyError> {
        if self.key.mki.as_ref() == Some(mki) {
            return Ok(());
        }
        let other = self.spare.iter_mut().find(|key| key.mki.as_ref() == Some(mki));
        core::mem::swap(other.ok_or(KeyError::UnknownMki)?, &mut self.key);
        self.generation = self.generation.saturating_add(1);
        Ok(())
    }

    /// Takes the keys of a new offer or answer, from the next packet on.
    ///
    /// The keys in use change nothing, so that each description can be passed on as it comes. If
    /// a key in use is among others, counters go on. All keys new: a new context, each source with
    /// roll-over counter 0 and any sequence number (RFC 4568 §6.4). Where there is a choice, do
    /// not change keys just before sequence numbers wrap: not every receiver copes with the loss of
    /// all packets in between.
    ///
    /// # Errors
    /// [`KeyError::Reused`] for a key that was given up before; the context is unchanged.
    pub fn rekey(&mut self, keys: &KeySet) -> Result<KeyChange, KeyError> {
        let mut new = keyring::expand(keys)?;
        if new.iter().any(|key| self.past.contains(key.identity())) {
            return Err(KeyError::Reused);
        }
        let change = keyring::compare(self.keys(), &mut new);
        if change == KeyChange::Unchanged {
            return Ok(change);
        }
        let given_up = |key: &&Key| !new.iter().any(|k| k.is_same_key(key));
        let given_up: Vec<_> = self.keys().filter(given_up).map(|key| *key.identity()).collect();
        self.past.extend(given_up);
        let surplus = self.past.len().saturating_sub(MAX_PAST_KEYS);
        self.past.drain(..surplus);
        (self.key, self.spare) = split_first(new)?;
        if change == KeyChange::Fresh {
            self.streams.clear();
        }
        self.generation = self.generation.saturating_add(1);
        Ok(change)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> + Clone {
        core::iter::once(&self.key).chain(&self.spare)
    }

    /// Sets where a source begins: its roll-over counter and the index of its first SRTCP packet
    /// (both 0 unless this is called). For a source that continues elsewhere under the same key.
    ///
    /// # Errors
    /// [`ProtectError::SsrcInUse`] after the source's first packet, [`ProtectError::TooManySsrcs`],
    /// [`ProtectError::KeyExhausted`] for an SRTCP index of 2^31 or more.
    pub fn start_at(
        &mut self,
        ssrc: u32,
        roll_over: u32,
        rtcp_index: u32,
    ) -> Result<(), ProtectError> {
        if self.streams.iter().any(|s| s.ssrc == ssrc) {
            return Err(ProtectError::SsrcInUse(ssrc));
        }
        if rtcp_index >= MAX_RTCP_PACKETS {
            return Err(ProtectError::KeyExhausted);
        }
        let (slot, stream) = self.stream(ssrc)?;
        self.keep(slot, Stream { roll_over, rtcp_index, ..stream });
        Ok(())
    }

    /// The roll-over counter of a source, if it has sent.
    pub fn roll_over_counter(&self, ssrc: u32) -> Option<u32> {
        self.streams.iter().find(|s| s.ssrc == ssrc && s.last.is_some()).map(|s| s.roll_over)
    }

    /// Protects the RTP packet in `buffer[..len]` in place. The tag needs
    /// [`rtp_overhead`](Suite::rtp_overhead) bytes of room behind it, and the identifier its own.
    ///
    /// # Errors
    /// [`ProtectError`]; the buffer and the context are then unchanged.
    pub fn protect_rtp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        let suite = self.key.suite();
        let plain = buffer.get(..len).ok_or(ProtectError::BufferTooSmall { needed: len })?;
        let header = RtpHeader::parse(plain).map_err(|_| ProtectError::Malformed)?;
        let (header_len, ssrc, sequence) = (header.len(), header.ssrc, header.sequence_number);
        let overhead = suite.rtp_overhead().saturating_add(self.key.mki().len());
        let packet = room(buffer, len, overhead)?;
        if !self.key.may_protect_rtp() {
            return Err(ProtectError::KeyExhausted);
        }
        let (slot, mut stream) = self.stream(ssrc)?;
        stream.roll_over = stream.next_roll_over(sequence)?;
        stream.last = Some(sequence);
        let index = (u64::from(stream.roll_over) << 16) | u64::from(sequence);
        // The index is spent whatever happens now.
        self.key.rtp_packets = self.key.rtp_packets.saturating_add(1);
        self.keep(slot, stream);
        self.key
            .keys
            .rtp
            .seal_rtp(ssrc, index, header_len, self.key.mki(), packet)
            .map_err(|_| ProtectError::TooLong)?;
        Ok(Egress::protected(packet, suite))
    }

    /// Protects the compound RTCP packet in `buffer[..len]` in place: encrypted, with the next
    /// index of its sender's SSRC. Needs [`rtcp_overhead`](Suite::rtcp_overhead) bytes of room.
    ///
    /// # Errors
    /// [`ProtectError`]; the buffer and the context are then unchanged.
    pub fn protect_rtcp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        let suite = self.key.suite();
        let plain = buffer.get(..len).ok_or(ProtectError::BufferTooSmall { needed: len })?;
        let ssrc = rtcp_ssrc(plain).ok_or(ProtectError::Malformed)?;
        let overhead = suite.rtcp_overhead().saturating_add(self.key.mki().len());
        let packet = room(buffer, len, overhead)?;
        let (slot, mut stream) = self.stream(ssrc)?;
        let index = stream.rtcp_index;
        if !self.key.may_protect_rtcp() || index >= MAX_RTCP_PACKETS {
            return Err(ProtectError::KeyExhausted);
        }
        self.key.rtcp_packets = self.key.rtcp_packets.saturating_add(1);
        stream.rtcp_index = index.saturating_add(1);
        self.keep(slot, stream);
        self.key
            .keys
            .rtcp
            .seal_rtcp(ssrc, index, self.key.mki(), packet)
            .map_err(|_| ProtectError::TooLong)?;
        Ok(Egress::protected(packet, suite))
    }

    /// A source's counters and their place, which may be the next free one.
    #[inline]
    fn stream(&self, ssrc: u32) -> Result<(usize, Stream), ProtectError> {
        let known = self.streams.iter().enumerate().find(|(_, s)| s.ssrc == ssrc);
        match known {
            Some((slot, stream)) => Ok((slot, *stream)),
            None if self.streams.len() < MAX_SSRCS => Ok((self.streams.len(), Stream::new(ssrc))),
            None => Err(ProtectError::TooManySsrcs),
        }
    }

    #[inline]
    fn keep(&mut self, slot: usize, stream: Stream) {
        match self.streams.get_mut(slot) {
            Some(place) => *place = stream,
            None => self.streams.push(stream),
        }
    }
}

/// The key to begin with, and the rest.
fn split_first(mut keys: Vec<Key>) -> Result<(Key, Vec<Key>), KeyError> {
    if keys.is_empty() {
        return Err(KeyError::KeyCount(0));
    }
    let first = keys.remove(0);
    Ok((first, keys))
}

/// The packet with its overhead, cut from the buffer.
fn room(buffer: &mut [u8], len: usize, overhead: usize) -> Result<&mut [u8], ProtectError> {
    let needed = len.saturating_add(overhead);
    if needed > MAX_PACKET_LEN {
        return Err(ProtectError::TooLong);
    }
    buffer.get_mut(..needed).ok_or(ProtectError::BufferTooSmall { needed })
}

#[cfg(test)]
impl SrtpSender {
    /// As if so many packets had been protected.
    pub(super) fn age(&mut self, rtp_packets: u64, rtcp_packets: u32) {
        (self.key.rtp_packets, self.key.rtcp_packets) = (rtp_packets, rtcp_packets.into());
    }
}
