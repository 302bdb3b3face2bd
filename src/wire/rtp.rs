//! RTP packets (RFC 3550 §5) and the first-byte demultiplexer of a media socket (RFC 7983, 5761).
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

/// Length of the fixed RTP header, without CSRCs and extension.
pub const FIXED_HEADER_LEN: usize = 12;

/// What a datagram on a media socket is, by its first byte (RFC 7983 §7) and, for RTP and RTCP on
/// one port, by its second (RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PacketKind {
    /// STUN (first byte 0 to 3).
    Stun,
    /// ZRTP (16 to 19).
    Zrtp,
    /// DTLS (20 to 63).
    Dtls,
    /// A TURN channel (64 to 79).
    TurnChannel,
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// None of these: drop it.
    Unknown,
}

impl PacketKind {
    /// RTP or RTCP, secured or not: what a media session takes. The other kinds are for whoever
    /// keys it or finds its way.
    pub const fn is_media(self) -> bool {
        matches!(self, Self::Rtp | Self::Rtcp)
    }
}

/// Says what kind of packet a datagram claims to be. Looks at two bytes and proves nothing.
pub fn classify(datagram: &[u8]) -> PacketKind {
    match (datagram.first(), datagram.get(1)) {
        (Some(0..=3), _) => PacketKind::Stun,
        (Some(16..=19), _) => PacketKind::Zrtp,
        (Some(20..=63), _) => PacketKind::Dtls,
        (Some(64..=79), _) => PacketKind::TurnChannel,
        (Some(128..=191), Some(192..=223)) => PacketKind::Rtcp,
        (Some(128..=191), Some(_)) => PacketKind::Rtp,
        _ => PacketKind::Unknown,
    }
}

/// Why bytes are not an RTP packet (RFC 3550 A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RtpError {
    /// The packet ends inside its header.
    #[error("RTP packet ends inside its header")]
    TooShort,
    /// The version is not 2.
    #[error("RTP version is not 2")]
    Version,
    /// The payload type is one that RTCP uses (72 to 76).
    #[error("payload type belongs to RTCP")]
    PayloadType,
    /// The padding count is 0 or larger than the packet.
    #[error("RTP padding count is impossible")]
    Padding,
}

impl RtpError {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: [Self; 4] = [Self::TooShort, Self::Version, Self::PayloadType, Self::Padding];

    /// A small number for counting per reason: below `ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short name in snake case, for counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Version => "version",
            Self::PayloadType => "payload_type",
            Self::Padding => "padding",
        }
    }
}

/// A header extension (RFC 3550 §5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Defined by the profile (0xBEDE: one-byte elements of RFC 8285).
    pub profile: u16,
    /// The extension's words, a multiple of four bytes.
    pub data: &'a [u8],
}

/// The header of an RTP packet, borrowed from its bytes. Valid for SRTP packets too, whose header
/// travels in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader<'a> {
    /// Padding follows the payload.
    pub padding: bool,
    /// The marker bit.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence_number: u16,
    /// Timestamp, in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// Header extension.
    pub extension: Option<Extension<'a>>,
    csrc: &'a [u8],
    len: usize,
}

impl<'a> RtpHeader<'a> {
    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// [`RtpError`] if the bytes are no RTP header.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<FIXED_HEADER_LEN>().ok_or(RtpError::TooShort)?;
        let [b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if b0 >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let payload_type = b1 & 0x7f;
        // With rtcp-mux, 64 to 95 is never given to RTP (RFC 5761 §4); 72 to 76 would be SR to APP.
        if (72..=76).contains(&payload_type) {
            return Err(RtpError::PayloadType);
        }
        let csrc_len = usize::from(b0 & 0x0f).saturating_mul(4);
        let (csrc, rest) = rest.split_at_checked(csrc_len).ok_or(RtpError::TooShort)?;
        let (extension, rest) = if b0 & 0x10 == 0 { (None, rest) } else { extension(rest)? };
        Ok(Self {
            padding: b0 & 0x20 != 0,
            marker: b1 & 0x80 != 0,
            payload_type,
            sequence_number: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            extension,
            csrc,
            len: bytes.len().saturating_sub(rest.len()),
        })
    }

    /// Bytes that the header takes: where the payload starts.
    #[allow(clippy::len_without_is_empty)] // a header is never empty
    pub fn len(&self) -> usize {
        self.len
    }

    /// The contributing sources, at most 15.
    pub fn csrc(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.csrc.as_chunks::<4>().0.iter().map(|c| u32::from_be_bytes(*c))
    }
}

fn extension(rest: &[u8]) -> Result<(Option<Extension<'_>>, &[u8]), RtpError> {
    let ([p0, p1, l0, l1], rest) = rest.split_first_chunk::<4>().ok_or(RtpError::TooShort)?;
    let len = usize::from(u16::from_be_bytes([*l0, *l1])).saturating_mul(4);
    let (data, rest) = rest.split_at_checked(len).ok_or(RtpError::TooShort)?;
    Ok((Some(Extension { profile: u16::from_be_bytes([*p0, *p1]), data }), rest))
}

/// A whole RTP packet in clear, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// The header.
    pub header: RtpHeader<'a>,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// Reads a packet and checks it as RFC 3550 A.1 says.
    ///
    /// # Errors
    /// [`RtpError`] if the bytes are no RTP packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let header = RtpHeader::parse(bytes)?;
        let mut payload = bytes.get(header.len()..).ok_or(RtpError::TooShort)?;
        if header.padding {
            let count = usize::from(*payload.last().ok_or(RtpError::Padding)?);
            let end = payload.len().checked_sub(count).ok_or(RtpError::Padding)?;
            payload = payload.get(..end).filter(|_| count > 0).ok_or(RtpError::Padding)?;
        }
        Ok(Self { header, payload })
    }
}

/// Why an RTP packet cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RtpWriteError {
    /// The buffer is too small.
    #[error("the buffer is too small: {needed} bytes are needed")]
    BufferTooSmall {
        /// Bytes that the packet takes.
        needed: usize,
    },
    /// The payload type is above 127 or one that RTCP uses (72 to 76).
    #[error("payload type {0} is not one of RTP: use 0 to 127 without 64 to 95")]
    PayloadType(u8),
    /// More than 15 contributing sources.
    #[error("{0} contributing sources: at most 15 fit")]
    TooManyCsrcs(usize),
    /// The extension is not a multiple of four bytes or longer than 65535 words.
    #[error("a header extension of {0} bytes: it must be a multiple of 4, at most 262140")]
    Extension(usize),
}

/// The fields of a header to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpHeaderFields<'a> {
    /// The marker bit.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence_number: u16,
    /// Timestamp, in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// Contributing sources, at most 15.
    pub csrc: &'a [u32],
    /// Header extension; its data is a multiple of four bytes.
    pub extension: Option<Extension<'a>>,
}

impl RtpHeaderFields<'_> {
    /// Bytes that this header takes.
    #[allow(clippy::len_without_is_empty)] // a header is never empty
    pub fn len(&self) -> usize {
        let extension = self.extension.map_or(0, |e| e.data.len().saturating_add(4));
        FIXED_HEADER_LEN.saturating_add(self.csrc.len().saturating_mul(4)).saturating_add(extension)
    }

    /// Writes the header at the start of `out` and returns its length: the payload is then encoded
    /// in place behind it.
    ///
    /// # Errors
    /// [`RtpWriteError`] if a field has no place in RTP or the buffer is too small.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, RtpWriteError> {
        self.put(false, out)
    }

    /// Writes a whole packet: header, `payload` and `padding` bytes of padding (0: none), and
    /// returns its length.
    ///
    /// # Errors
    /// [`RtpWriteError`] if a field has no place in RTP or the buffer is too small.
    pub fn write_packet(
        &self,
        payload: &[u8],
        padding: u8,
        out: &mut [u8],
    ) -> Result<usize, RtpWriteError> {
        let needed = self.len().saturating_add(payload.len()).saturating_add(usize::from(padding));
        let too_small = RtpWriteError::BufferTooSmall { needed };
        let out = out.get_mut(..needed).ok_or(too_small)?;
        let header_len = self.put(padding > 0, out)?;
        let body = out.get_mut(header_len..).ok_or(too_small)?;
        let (room, pad) = body.split_at_mut_checked(payload.len()).ok_or(too_small)?;
        room.copy_from_slice(payload);
        pad.fill(0);
        if let Some(count) = pad.last_mut() {
            *count = padding;
        }
        Ok(needed)
    }

    fn put(&self, padding: bool, out: &mut [u8]) -> Result<usize, RtpWriteError> {
        if self.payload_type > 127 || (72..=76).contains(&self.payload_type) {
            return Err(RtpWriteError::PayloadType(self.payload_type));
        }
        let csrcs = u8::try_from(self.csrc.len())
            .ok()
            .filter(|n| *n <= 15)
            .ok_or(RtpWriteError::TooManyCsrcs(self.csrc.len()))?;
        let needed = self.len();
        let too_small = RtpWriteError::BufferTooSmall { needed };
        let (fixed, mut rest) = out
            .get_mut(..needed)
            .and_then(|out| out.split_first_chunk_mut::<FIXED_HEADER_LEN>())
            .ok_or(too_small)?;
        let [s0, s1] = self.sequence_number.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let flags = (u8::from(padding) << 5) | (u8::from(self.extension.is_some()) << 4);
        let b1 = (u8::from(self.marker) << 7) | self.payload_type;
        *fixed = [0x80 | flags | csrcs, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        for source in self.csrc {
            let (place, left) = rest.split_first_chunk_mut::<4>().ok_or(too_small)?;
            *place = source.to_be_bytes();
            rest = left;
        }
        if let Some(Extension { profile, data }) = self.extension {
            let words = u16::try_from(data.len() >> 2)
                .ok()
                .filter(|_| data.len().is_multiple_of(4))
                .ok_or(RtpWriteError::Extension(data.len()))?;
            let (place, left) = rest.split_first_chunk_mut::<4>().ok_or(too_small)?;
            let ([p0, p1], [l0, l1]) = (profile.to_be_bytes(), words.to_be_bytes());
            *place = [p0, p1, l0, l1];
            left.get_mut(..data.len()).ok_or(too_small)?.copy_from_slice(data);
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests;
