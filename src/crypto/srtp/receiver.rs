//! The receiving context.

use super::{
    KeyError, Keys, MAX_KNOWN_SSRCS, MAX_PACKET_LEN, MAX_SSRCS, MasterKey, ProtectError, Suite,
    UnprotectError,
    replay::{Refused, ReplayWindow},
    rtcp_ssrc,
    transform::E_BIT,
};
use crate::wire::rtp::{RtpError, RtpHeader};
use alloc::vec::Vec;

/// Checks and decrypts the packets that come in under one master key.
///
/// Nothing that a peer without the key sends changes its state or makes it grow.
#[derive(Debug)]
pub struct SrtpReceiver {
    keys: Keys,
    streams: Vec<Stream>,
    unencrypted_rtcp: bool,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    live: bool,
    /// The roll-over counter of the first packet, until there is one.
    initial_roll_over: u32,
    rtp: ReplayWindow,
    rtcp: ReplayWindow,
}

impl Stream {
    fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            live: true,
            initial_roll_over: 0,
            rtp: ReplayWindow::default(),
            rtcp: ReplayWindow::default(),
        }
    }

    fn roll_over(&self) -> u32 {
        let of = |index: u64| u32::try_from(index >> 16).unwrap_or(u32::MAX);
        self.rtp.highest().map_or(self.initial_roll_over, of)
    }

    /// The index that a sequence number most likely has (RFC 3711 §3.3.1 and appendix A): the one
    /// closest to the highest received. Where that would be below 0, roll-over counter 0 is meant.
    #[inline]
    fn estimate(&self, sequence: u16) -> Result<u64, UnprotectError> {
        let roll_over = self.roll_over();
        let guess = match self.rtp.highest() {
            None => roll_over,
            Some(highest) => {
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
        Ok((u64::from(guess) << 16) | u64::from(sequence))
    }
}

impl From<Refused> for UnprotectError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Replayed => Self::Replayed,
            Refused::TooOld => Self::TooOld,
        }
    }
}

impl SrtpReceiver {
    /// A context for the packets that this key protects.
    ///
    /// # Errors
    /// [`KeyError`] if the cipher refuses the key; no [`MasterKey`] is known to cause it.
    pub fn new(key: &MasterKey) -> Result<Self, KeyError> {
        Ok(Self::with_keys(Keys::derive(key)?))
    }

    pub(super) fn with_keys(keys: Keys) -> Self {
        let streams = Vec::with_capacity(MAX_KNOWN_SSRCS);
        Self { keys, streams, unencrypted_rtcp: false }
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.keys.suite
    }

    /// Whether SRTCP that is authenticated but not encrypted is taken: only if the session
    /// parameter `UNENCRYPTED_SRTCP` was agreed on (RFC 4568 §6.3.2). It is not by default.
    pub fn accept_unencrypted_rtcp(&mut self, accept: bool) {
        self.unencrypted_rtcp = accept;
    }

    /// Sets the roll-over counter at which a source begins, for a stream that is joined late.
    ///
    /// # Errors
    /// [`ProtectError::SsrcInUse`] if the source is known, [`ProtectError::TooManySsrcs`].
    pub fn start_at(&mut self, ssrc: u32, roll_over: u32) -> Result<(), ProtectError> {
        if self.streams.iter().any(|s| s.ssrc == ssrc) {
            return Err(ProtectError::SsrcInUse(ssrc));
        }
        if self.live() >= MAX_SSRCS || self.streams.len() >= MAX_KNOWN_SSRCS {
            return Err(ProtectError::TooManySsrcs);
        }
        self.streams.push(Stream { initial_roll_over: roll_over, ..Stream::new(ssrc) });
        Ok(())
    }

    /// Frees the place of a source that ended (BYE, silence, a new SSRC in its stead). Its replay
    /// window is kept; if the source sends again, with new indices, it is live again.
    pub fn retire(&mut self, ssrc: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.ssrc == ssrc) {
            stream.live = false;
        }
    }

    /// The live sources, in the order in which they appeared.
    pub fn live_ssrcs(&self) -> impl Iterator<Item = u32> {
        self.streams.iter().filter(|s| s.live).map(|s| s.ssrc)
    }

    /// The roll-over counter of a known source.
    pub fn roll_over_counter(&self, ssrc: u32) -> Option<u32> {
        self.streams.iter().find(|s| s.ssrc == ssrc).map(Stream::roll_over)
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
        let header = RtpHeader::parse(packet).map_err(|error| match error {
            RtpError::TooShort => UnprotectError::TooShort,
            _ => UnprotectError::Malformed,
        })?;
        let (header_len, ssrc, sequence) = (header.len(), header.ssrc, header.sequence_number);
        check_len(packet, header_len.saturating_add(self.keys.suite.rtp_overhead()))?;
        let (slot, mut stream) = self.stream(ssrc);
        let index = stream.estimate(sequence)?;
        stream.rtp.check(index)?;
        let len = self
            .keys
            .rtp
            .open_rtp(ssrc, index, header_len, packet)
            .map_err(|_| UnprotectError::AuthFailed)?;
        stream.rtp.accept(index);
        self.keep(slot, stream)?;
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
        check_len(packet, self.keys.suite.rtcp_overhead().saturating_add(8))?;
        let ssrc = rtcp_ssrc(packet).ok_or(UnprotectError::Malformed)?;
        let word = self.keys.rtcp.rtcp_index_word(packet).ok_or(UnprotectError::TooShort)?;
        if word & E_BIT == 0 && !self.unencrypted_rtcp {
            return Err(UnprotectError::Unencrypted);
        }
        let index = u64::from(word & !E_BIT);
        let (slot, mut stream) = self.stream(ssrc);
        stream.rtcp.check(index)?;
        let len =
            self.keys.rtcp.open_rtcp(ssrc, word, packet).map_err(|_| UnprotectError::AuthFailed)?;
        stream.rtcp.accept(index);
        self.keep(slot, stream)?;
        packet.get_mut(..len).ok_or(UnprotectError::TooShort)
    }

    fn live(&self) -> usize {
        self.streams.iter().filter(|s| s.live).count()
    }

    /// A source's state and its place; a new state, not stored yet, if it is unknown.
    #[inline]
    fn stream(&self, ssrc: u32) -> (usize, Stream) {
        let known = self.streams.iter().enumerate().find(|(_, s)| s.ssrc == ssrc);
        known.map_or((self.streams.len(), Stream::new(ssrc)), |(slot, s)| (slot, *s))
    }

    /// Stores the state after an authenticated packet, if its source has or finds a place.
    #[inline]
    fn keep(&mut self, slot: usize, stream: Stream) -> Result<(), UnprotectError> {
        let live = self.live();
        match self.streams.get_mut(slot) {
            Some(place) if place.live || live < MAX_SSRCS => {
                *place = Stream { live: true, ..stream };
            }
            None if live < MAX_SSRCS && slot < MAX_KNOWN_SSRCS => self.streams.push(stream),
            _ => return Err(UnprotectError::TooManySsrcs),
        }
        Ok(())
    }
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
impl SrtpReceiver {
    /// All that packets may change.
    pub(super) fn streams(&self) -> impl core::fmt::Debug {
        &self.streams
    }
}
