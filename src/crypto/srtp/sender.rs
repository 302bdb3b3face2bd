//! The sending context.

use super::{
    Egress, KeyError, Keys, MAX_PACKET_LEN, MAX_RTCP_PACKETS, MAX_RTP_PACKETS, MAX_SSRCS,
    MasterKey, ProtectError, Suite, rtcp_ssrc,
};
use crate::wire::rtp::RtpHeader;
use alloc::vec::Vec;

/// Protects the packets that go out under one master key.
///
/// It refuses to use an index twice: within a source, sequence numbers must rise (they wrap as RTP's
/// do). Begin at a sequence number below 2^15, so that a receiver that loses the first packets
/// cannot miss the first wrap (RFC 3711 §3.3.1).
#[derive(Debug)]
pub struct SrtpSender {
    keys: Keys,
    streams: Vec<Stream>,
    rtp_packets: u64,
    rtcp_packets: u32,
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
        Ok(Self::with_keys(Keys::derive(key)?))
    }

    pub(super) fn with_keys(keys: Keys) -> Self {
        Self { keys, streams: Vec::with_capacity(MAX_SSRCS), rtp_packets: 0, rtcp_packets: 0 }
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.keys.suite
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
    /// [`rtp_overhead`](Suite::rtp_overhead) bytes of room behind it.
    ///
    /// # Errors
    /// [`ProtectError`]; the buffer and the context are then unchanged.
    pub fn protect_rtp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        let suite = self.keys.suite;
        let plain = buffer.get(..len).ok_or(ProtectError::BufferTooSmall { needed: len })?;
        let header = RtpHeader::parse(plain).map_err(|_| ProtectError::Malformed)?;
        let (header_len, ssrc, sequence) = (header.len(), header.ssrc, header.sequence_number);
        let packet = room(buffer, len, suite.rtp_overhead())?;
        if self.rtp_packets >= MAX_RTP_PACKETS {
            return Err(ProtectError::KeyExhausted);
        }
        let (slot, mut stream) = self.stream(ssrc)?;
        stream.roll_over = stream.next_roll_over(sequence)?;
        stream.last = Some(sequence);
        let index = (u64::from(stream.roll_over) << 16) | u64::from(sequence);
        // The index is spent whatever happens now.
        self.rtp_packets = self.rtp_packets.saturating_add(1);
        self.keep(slot, stream);
        self.keys
            .rtp
            .seal_rtp(ssrc, index, header_len, packet)
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
        let suite = self.keys.suite;
        let plain = buffer.get(..len).ok_or(ProtectError::BufferTooSmall { needed: len })?;
        let ssrc = rtcp_ssrc(plain).ok_or(ProtectError::Malformed)?;
        let packet = room(buffer, len, suite.rtcp_overhead())?;
        let (slot, mut stream) = self.stream(ssrc)?;
        let index = stream.rtcp_index;
        if self.rtcp_packets >= MAX_RTCP_PACKETS || index >= MAX_RTCP_PACKETS {
            return Err(ProtectError::KeyExhausted);
        }
        self.rtcp_packets = self.rtcp_packets.saturating_add(1);
        stream.rtcp_index = index.saturating_add(1);
        self.keep(slot, stream);
        self.keys.rtcp.seal_rtcp(ssrc, index, packet).map_err(|_| ProtectError::TooLong)?;
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
        (self.rtp_packets, self.rtcp_packets) = (rtp_packets, rtcp_packets);
    }
}
