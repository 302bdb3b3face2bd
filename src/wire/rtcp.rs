//! RTCP packets (RFC 3550 §6) and their extended reports (RFC 3611).
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod write;
mod xr;

pub use write::{CompoundWriter, RtcpWriteError};
pub use xr::{
    Concealment, ExtendedReport, JitterBufferKind, MAX_XR_BLOCKS, UNAVAILABLE, VoipMetrics, XR,
    XrBlock,
};

/// Packet type of a sender report.
pub const SR: u8 = 200;
/// Packet type of a receiver report.
pub const RR: u8 = 201;
/// Packet type of a source description.
pub const SDES: u8 = 202;
/// Packet type of a goodbye.
pub const BYE: u8 = 203;

/// Packets in one compound packet: more are refused.
pub const MAX_PACKETS: usize = 32;

/// SDES item: the canonical name.
const CNAME: u8 = 1;

/// Why bytes are no compound RTCP packet (RFC 3550 A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// A packet is shorter than its header or its type needs.
    #[error("RTCP packet is too short")]
    TooShort,
    /// A length field points behind the end, or bytes are left over.
    #[error("RTCP lengths do not add up")]
    Length,
    /// The version is not 2.
    #[error("RTCP version is not 2")]
    Version,
    /// The first packet is neither a sender nor a receiver report.
    #[error("the first RTCP packet is no report")]
    FirstPacket,
    /// A packet before the last is padded, or the padding count is impossible.
    #[error("RTCP padding is misplaced or impossible")]
    Padding,
    /// More than [`MAX_PACKETS`] packets.
    #[error("too many RTCP packets in one datagram")]
    TooMany,
}

impl RtcpError {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: [Self; 6] = [
        Self::TooShort,
        Self::Length,
        Self::Version,
        Self::FirstPacket,
        Self::Padding,
        Self::TooMany,
    ];

    /// A small number for counting per reason: below `ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short name in snake case, for counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Length => "length",
            Self::Version => "version",
            Self::FirstPacket => "first_packet",
            Self::Padding => "padding",
            Self::TooMany => "too_many",
        }
    }
}

/// A compound RTCP packet whose structure was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a>(&'a [u8]);

impl<'a> Compound<'a> {
    /// Checks a datagram as RFC 3550 A.2 says: version, lengths that add up, a report first,
    /// padding only at the end.
    ///
    /// # Errors
    /// [`RtcpError`] if the bytes are no compound packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        let mut count = 0usize;
        while !rest.is_empty() {
            let (raw, next) = split_packet(rest)?;
            if count == 0 && (!matches!(raw.packet_type, SR | RR) || raw.padded) {
                return Err(RtcpError::FirstPacket);
            }
            if raw.padded && !next.is_empty() {
                return Err(RtcpError::Padding);
            }
            read(raw)?;
            count = count.saturating_add(1);
            if count > MAX_PACKETS {
                return Err(RtcpError::TooMany);
            }
            rest = next;
        }
        if count == 0 { Err(RtcpError::TooShort) } else { Ok(Self(bytes)) }
    }

    /// The packets, in order.
    pub fn iter(&self) -> impl Iterator<Item = RtcpPacket<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (raw, next) = split_packet(rest).ok()?;
            rest = next;
            read(raw).ok()
        })
    }

    /// The source that sent the compound packet.
    pub fn sender_ssrc(&self) -> u32 {
        self.0.get(4..).map_or(0, |rest| word(rest).unwrap_or(0))
    }
}

/// One RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtcpPacket<'a> {
    /// A sender report (RFC 3550 §6.4.1).
    SenderReport {
        /// The reporting source.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        reports: Reports<'a>,
    },
    /// A receiver report (RFC 3550 §6.4.2).
    ReceiverReport {
        /// The reporting source.
        ssrc: u32,
        /// What it received.
        reports: Reports<'a>,
    },
    /// A source description (RFC 3550 §6.5).
    SourceDescription(SourceDescription<'a>),
    /// Sources that leave (RFC 3550 §6.6).
    Goodbye(Goodbye<'a>),
    /// An extended report (RFC 3611).
    ExtendedReport(ExtendedReport<'a>),
    /// Any other packet: APP, feedback (RFC 4585). Known to have its length.
    Other {
        /// The packet type.
        packet_type: u8,
        /// The five bits of count, subtype or feedback format.
        count: u8,
        /// What follows the first four bytes.
        body: &'a [u8],
    },
}

/// What a sender says it sent (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock, 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    /// The same moment as an RTP timestamp.
    pub rtp_timestamp: u32,
    /// Packets sent since the beginning (wraps).
    pub packets: u32,
    /// Payload bytes sent since the beginning (wraps).
    pub octets: u32,
}

/// What a receiver says about one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Loss since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative with duplicates. 24 bits on the wire.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with its cycles in the upper half.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of the RTP timestamp.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report, 0 if none came.
    pub last_sr: u32,
    /// Time since that report came, in 65536ths of a second.
    pub delay_since_last_sr: u32,
}

/// Bytes of a report block.
const BLOCK_LEN: usize = 24;

/// Up to 31 report blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reports<'a>(&'a [[u8; BLOCK_LEN]]);

impl<'a> Reports<'a> {
    /// The blocks.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.0.iter().filter_map(block)
    }

    /// The block on one source.
    pub fn on(&self, ssrc: u32) -> Option<ReportBlock> {
        self.iter().find(|block| block.ssrc == ssrc)
    }
}

fn block(bytes: &[u8; BLOCK_LEN]) -> Option<ReportBlock> {
    let (words, _) = bytes.as_chunks::<4>();
    let [ssrc, loss, highest, jitter, last_sr, delay] = words else {
        return None;
    };
    let [fraction_lost, l0, l1, l2] = *loss;
    Some(ReportBlock {
        ssrc: u32::from_be_bytes(*ssrc),
        fraction_lost,
        // 24 bits with sign: shifted up, then down.
        cumulative_lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
        highest_sequence: u32::from_be_bytes(*highest),
        jitter: u32::from_be_bytes(*jitter),
        last_sr: u32::from_be_bytes(*last_sr),
        delay_since_last_sr: u32::from_be_bytes(*delay),
    })
}

/// Descriptions of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    count: u8,
    chunks: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    /// Every item as source, type and text (RFC 3550 §6.5: CNAME is type 1). Ends at the first
    /// chunk that does not hold together.
    pub fn items(&self) -> impl Iterator<Item = (u32, u8, &'a [u8])> + use<'a> {
        let (mut left, mut rest) = (self.count, self.chunks);
        let mut current = None;
        core::iter::from_fn(move || {
            loop {
                let Some(ssrc) = current else {
                    left = left.checked_sub(1)?;
                    current = Some(word(rest)?);
                    rest = rest.get(4..)?;
                    continue;
                };
                match *rest {
                    [0, ..] => {
                        // One to four zero bytes end a chunk at a word boundary. What is left is a
                        // multiple of four at each boundary, since the whole is.
                        let pad = match rest.len() % 4 {
                            0 => 4,
                            n => n,
                        };
                        rest = rest.get(pad..)?;
                        current = None;
                    }
                    [kind, len, ..] => {
                        let (text, after) = rest.get(2..)?.split_at_checked(usize::from(len))?;
                        rest = after;
                        return Some((ssrc, kind, text));
                    }
                    _ => return None,
                }
            }
        })
    }

    /// The canonical name of a source, as bytes: it need not be UTF-8.
    pub fn cname(&self, ssrc: u32) -> Option<&'a [u8]> {
        self.items().find(|(of, kind, _)| *of == ssrc && *kind == CNAME).map(|(_, _, text)| text)
    }
}

/// Sources that leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goodbye<'a> {
    sources: &'a [u8],
    reason: Option<&'a [u8]>,
}

impl<'a> Goodbye<'a> {
    /// The sources, up to 31.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.sources.as_chunks::<4>().0.iter().map(|c| u32::from_be_bytes(*c))
    }

    /// Why they leave, as bytes: it need not be UTF-8.
    pub fn reason(&self) -> Option<&'a [u8]> {
        self.reason
    }
}

/// One packet as its common header describes it, padding cut off.
struct Raw<'a> {
    count: u8,
    packet_type: u8,
    padded: bool,
    body: &'a [u8],
}

fn split_packet(bytes: &[u8]) -> Result<(Raw<'_>, &[u8]), RtcpError> {
    let [b0, packet_type, l0, l1] = *bytes.first_chunk::<4>().ok_or(RtcpError::TooShort)?;
    if b0 >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    let len = usize::from(u16::from_be_bytes([l0, l1])).saturating_add(1).saturating_mul(4);
    let (packet, next) = bytes.split_at_checked(len).ok_or(RtcpError::Length)?;
    let mut body = packet.get(4..).unwrap_or_default();
    let padded = b0 & 0x20 != 0;
    if padded {
        let pad = body.last().map_or(0, |n| usize::from(*n));
        let end = body.len().checked_sub(pad).filter(|_| pad > 0 && pad.is_multiple_of(4));
        body = body.get(..end.ok_or(RtcpError::Padding)?).ok_or(RtcpError::Padding)?;
    }
    Ok((Raw { count: b0 & 0x1f, packet_type, padded, body }, next))
}

fn read(raw: Raw<'_>) -> Result<RtcpPacket<'_>, RtcpError> {
    let Raw { count, packet_type, body, .. } = raw;
    match packet_type {
        SR => {
            let (head, rest) = body.split_first_chunk::<24>().ok_or(RtcpError::TooShort)?;
            let (ssrc, info) = sender_info(head).ok_or(RtcpError::TooShort)?;
            Ok(RtcpPacket::SenderReport { ssrc, info, reports: reports(count, rest)? })
        }
        RR => {
            let ssrc = word(body).ok_or(RtcpError::TooShort)?;
            let rest = body.get(4..).unwrap_or_default();
            Ok(RtcpPacket::ReceiverReport { ssrc, reports: reports(count, rest)? })
        }
        SDES => Ok(RtcpPacket::SourceDescription(SourceDescription { count, chunks: body })),
        BYE => {
            let len = usize::from(count).saturating_mul(4);
            let (sources, rest) = body.split_at_checked(len).ok_or(RtcpError::TooShort)?;
            let reason = match rest.split_first() {
                Some((len, text)) => {
                    Some(text.get(..usize::from(*len)).ok_or(RtcpError::TooShort)?)
                }
                None => None,
            };
            Ok(RtcpPacket::Goodbye(Goodbye { sources, reason }))
        }
        XR => Ok(RtcpPacket::ExtendedReport(ExtendedReport::read(body)?)),
        _ => Ok(RtcpPacket::Other { packet_type, count, body }),
    }
}

fn sender_info(head: &[u8; 24]) -> Option<(u32, SenderInfo)> {
    let (words, _) = head.as_chunks::<4>();
    let [ssrc, n0, n1, timestamp, packets, octets] = words else {
        return None;
    };
    let ntp = (u64::from(u32::from_be_bytes(*n0)) << 32) | u64::from(u32::from_be_bytes(*n1));
    Some((
        u32::from_be_bytes(*ssrc),
        SenderInfo {
            ntp,
            rtp_timestamp: u32::from_be_bytes(*timestamp),
            packets: u32::from_be_bytes(*packets),
            octets: u32::from_be_bytes(*octets),
        },
    ))
}

/// What follows the blocks is a profile's extension: skipped.
fn reports(count: u8, bytes: &[u8]) -> Result<Reports<'_>, RtcpError> {
    let (blocks, _) = bytes.as_chunks::<BLOCK_LEN>();
    blocks.get(..usize::from(count)).map(Reports).ok_or(RtcpError::TooShort)
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|w| u32::from_be_bytes(*w))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests;
