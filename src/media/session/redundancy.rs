//! Redundant audio (RFC 2198): what is taken out of it, and what is put into it.
#![deny(clippy::arithmetic_side_effects)]

use super::MediaSession;
use super::config::COMFORT_NOISE_CLOCK;
use crate::media::codec::MAX_PAYLOAD;
use crate::media::jitter::Fill;
use crate::wire::red::{
    MAX_BLOCK, PRIMARY_HEADER_LEN, REDUNDANT_HEADER_LEN, Red, RedError, redundant_header,
};
use crate::wire::rtp::RtpPacket;

/// From this reported loss on copies are sent, in percent, until it is below the second one.
const LOSS_ON: u8 = 3;
const LOSS_OFF: u8 = 1;
/// Bytes that one copy takes at most, with the headers.
const COPY_ROOM: usize = REDUNDANT_HEADER_LEN + PRIMARY_HEADER_LEN + MAX_BLOCK;

/// Why redundant audio, or one block of it, was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedFault {
    /// The payload ends within its headers, or a block is longer than what follows them.
    Truncated,
    /// More blocks than a packet may have.
    TooManyBlocks,
    /// A block is redundant audio itself.
    Nested,
    /// A block has a payload type that was not negotiated, or one with another RTP clock.
    UnknownPayloadType,
    /// A redundant block is no frame of its codec.
    BadPayload,
    /// A redundant block's timestamp is not that of a packet that is missing.
    Misplaced,
    /// A redundant block is of audio whose time is over.
    TooOld,
}

impl RedFault {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: [Self; 7] = [
        Self::Truncated,
        Self::TooManyBlocks,
        Self::Nested,
        Self::UnknownPayloadType,
        Self::BadPayload,
        Self::Misplaced,
        Self::TooOld,
    ];

    /// A small number for counting per reason: below `ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short name in snake case, for counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TooManyBlocks => "too_many_blocks",
            Self::Nested => "nested",
            Self::UnknownPayloadType => "unknown_payload_type",
            Self::BadPayload => "bad_payload",
            Self::Misplaced => "misplaced",
            Self::TooOld => "too_old",
        }
    }
}

impl From<RedError> for RedFault {
    fn from(error: RedError) -> Self {
        match error {
            RedError::Truncated => Self::Truncated,
            RedError::TooManyBlocks => Self::TooManyBlocks,
        }
    }
}

/// What an RTP packet carries, out of its envelope.
pub(super) struct Content<'a> {
    pub(super) payload_type: u8,
    pub(super) payload: &'a [u8],
    /// Of audio.
    pub(super) clock_rate: Option<u32>,
    pub(super) is_dtmf: bool,
    /// It tells of a pause (RFC 3389).
    pub(super) is_noise: bool,
    /// The envelope.
    red: Option<Red<'a>>,
}

impl MediaSession {
    /// What is in a packet; `None` if it is nothing that was negotiated, which is counted.
    pub(super) fn unpack<'a>(&mut self, rtp: &RtpPacket<'a>) -> Option<Content<'a>> {
        let (mut payload_type, mut payload, mut red) = (rtp.header.payload_type, rtp.payload, None);
        if self.red_receive.contains(&payload_type) {
            let read = match Red::parse(payload) {
                Ok(read) => read,
                Err(error) => return self.counters.count_red(error.into()),
            };
            (payload_type, payload) = (read.primary().payload_type, read.primary().payload);
            if self.red_receive.contains(&payload_type) {
                return self.counters.count_red(RedFault::Nested);
            }
            red = Some(read);
        }
        let is_dtmf = self.dtmf_receive.contains(&payload_type);
        let is_noise = self.inbound.is_comfort_noise(payload_type);
        let clock_rate = self.inbound.clock_rate(payload_type);
        let clock_rate = clock_rate.or(is_noise.then_some(COMFORT_NOISE_CLOCK));
        if is_dtmf || clock_rate.is_some() {
            return Some(Content { payload_type, payload, clock_rate, is_dtmf, is_noise, red });
        }
        if red.is_some() {
            return self.counters.count_red(RedFault::UnknownPayloadType);
        }
        self.counters.unknown_payload_type = self.counters.unknown_payload_type.saturating_add(1);
        None
    }

    /// After the audio of a packet itself was taken: its copies fill holes.
    pub(super) fn recover(&mut self, sequence: u16, timestamp: u32, content: &Content<'_>) {
        let nearest = content.red.iter().flat_map(Red::redundant).map(|block| block.offset);
        let nearest = nearest.filter(|offset| *offset > 0).min().unwrap_or(0);
        self.inbound.expect_copies(nearest, content.clock_rate);
        for block in content.red.iter().flat_map(Red::redundant) {
            // An empty block says that there is none; events and pauses are told again.
            let is_told_again = self.dtmf_receive.contains(&block.payload_type)
                || self.inbound.is_comfort_noise(block.payload_type);
            if block.payload.is_empty() || is_told_again {
                continue;
            }
            let clock_rate = self.inbound.clock_rate(block.payload_type);
            let fault = if self.red_receive.contains(&block.payload_type) {
                Some(RedFault::Nested)
            } else if clock_rate.is_none() || clock_rate != content.clock_rate {
                Some(RedFault::UnknownPayloadType)
            } else {
                match self.inbound.fill(sequence, timestamp, &block) {
                    Ok((lost, at, Fill::Stored)) => {
                        if let Some(remote) = &mut self.remote {
                            remote.fates.arrived(lost, at, true);
                        }
                        None
                    }
                    Ok((.., Fill::Held)) => None,
                    Ok((.., Fill::TooOld)) => Some(RedFault::TooOld),
                    Ok((.., Fill::Misplaced)) => Some(RedFault::Misplaced),
                    Err(fault) => Some(fault),
                }
            };
            if let Some(fault) = fault {
                let _: Option<()> = self.counters.count_red(fault);
            }
        }
    }
}

/// The last frame that was sent, to be sent once more with the next one.
#[derive(Debug, Default)]
pub(super) struct CopySender {
    /// The payload type of the envelope, if the peer takes it and we may.
    payload_type: Option<u8>,
    /// Enough is lost for it.
    on: bool,
    last: Vec<u8>,
    last_len: usize,
    last_type: u8,
    /// Where the frame after the last one begins.
    next_timestamp: u32,
}

impl CopySender {
    /// Room that a packet needs beyond its frame.
    pub(super) const ROOM: usize = COPY_ROOM;

    /// With this payload type from now on; `None`: no copies.
    pub(super) fn set_payload_type(&mut self, payload_type: Option<u8>) {
        self.payload_type = payload_type;
        if payload_type.is_some() {
            self.last.resize(MAX_BLOCK, 0);
        }
    }

    /// The payload type, if one was set.
    pub(super) fn payload_type(&self) -> Option<u8> {
        self.payload_type
    }

    /// The far end reports this loss in percent. True if copies are sent from now on.
    pub(super) fn follow(&mut self, loss: u8) -> bool {
        self.on = loss >= if self.on { LOSS_OFF } else { LOSS_ON };
        if !self.on {
            self.last_len = 0;
        }
        self.envelope().is_some()
    }

    /// The payload type to send with, if copies are sent.
    pub(super) fn envelope(&self) -> Option<u8> {
        self.payload_type.filter(|_| self.on)
    }

    /// Writes an envelope with the frame that `encode` makes and a copy of the one before it, if
    /// that directly precedes it and both fit. The length; 0 or `None` if there is no frame.
    pub(super) fn write(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        ticks: u32,
        out: &mut [u8],
        encode: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        let follows = self.last_len > 0 && self.next_timestamp == timestamp;
        let copy = if follows { self.last.get(..self.last_len) } else { None };
        let offset = u16::try_from(ticks).unwrap_or(u16::MAX);
        let header = copy.and_then(|copy| redundant_header(self.last_type, offset, copy.len()));
        let copy = copy.filter(|_| header.is_some()).unwrap_or_default();
        let before = PRIMARY_HEADER_LEN
            .saturating_add(header.map_or(0, |header| header.len()))
            .saturating_add(copy.len());
        let len = encode(out.get_mut(before..)?)?;
        if len == 0 {
            return Some(0);
        }
        let end = before.saturating_add(len);
        let total = match header.filter(|_| end <= MAX_PAYLOAD) {
            Some(header) => {
                let (head, rest) = out.split_at_mut_checked(REDUNDANT_HEADER_LEN)?;
                head.copy_from_slice(&header);
                *rest.first_mut()? = payload_type;
                rest.get_mut(PRIMARY_HEADER_LEN..)?.get_mut(..copy.len())?.copy_from_slice(copy);
                end
            }
            None => {
                out.get(before..end)?;
                out.copy_within(before..end, PRIMARY_HEADER_LEN);
                *out.first_mut()? = payload_type;
                len.saturating_add(PRIMARY_HEADER_LEN)
            }
        };
        self.remember(payload_type, timestamp.wrapping_add(ticks), out.get(..total)?, len);
        Some(total)
    }

    /// Keeps the last `len` bytes of a packet, if they are short enough for a copy.
    fn remember(&mut self, payload_type: u8, next_timestamp: u32, packet: &[u8], len: usize) {
        let frame = packet.get(packet.len().saturating_sub(len)..).unwrap_or_default();
        self.last_len = 0;
        if let Some(last) = self.last.get_mut(..frame.len()) {
            last.copy_from_slice(frame);
            self.last_len = frame.len();
        }
        (self.last_type, self.next_timestamp) = (payload_type, next_timestamp);
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    fn sender() -> CopySender {
        let mut sender = CopySender::default();
        sender.set_payload_type(Some(121));
        sender
    }

    /// The blocks that a frame is sent with: of earlier ones, and its own.
    fn send(s: &mut CopySender, timestamp: u32, frame: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut out = [0; MAX_PAYLOAD + CopySender::ROOM];
        let len = s.write(8, timestamp, 160, &mut out, |out| {
            out[..frame.len()].copy_from_slice(frame);
            Some(frame.len())
        });
        let red = Red::parse(&out[..len.unwrap()]).unwrap();
        let blocks = red.redundant().chain([red.primary()]);
        blocks
            .inspect(|b| assert_eq!(b.payload_type, 8))
            .map(|b| (b.offset, b.payload.to_vec()))
            .collect()
    }

    #[test]
    fn each_frame_carries_the_one_before_it_unless_there_was_a_pause() {
        let mut s = sender();
        assert!(!s.follow(2) && s.follow(3) && s.follow(1));
        assert_eq!(send(&mut s, 0, &[1; 160]), [(0, vec![1; 160])]);
        assert_eq!(send(&mut s, 160, &[2; 160]), [(160, vec![1; 160]), (0, vec![2; 160])]);
        assert_eq!(send(&mut s, 480, &[3; 160]), [(0, vec![3; 160])]);
        assert_eq!(s.write(8, 640, 160, &mut [0; 2_000], |_| Some(0)), Some(0));
        assert_eq!(s.write(8, 640, 160, &mut [0; 2_000], |_| None), None);
        assert!(!s.follow(0));
        assert_eq!(s.envelope(), None);
    }

    #[test]
    fn what_is_too_long_goes_without_a_copy() {
        let mut s = sender();
        s.follow(10);
        send(&mut s, 0, &[1; 1_000]);
        assert_eq!(send(&mut s, 160, &[2; 1_000]), [(0, vec![2; 1_000])]);
        assert_eq!(send(&mut s, 320, &[3; 200]).len(), 2);
        send(&mut s, 480, &[4; MAX_BLOCK + 1]);
        assert_eq!(send(&mut s, 640, &[5; 10]), [(0, vec![5; 10])]);
    }

    #[test]
    fn each_fault_has_its_place_and_its_name() {
        for (n, fault) in RedFault::ALL.into_iter().enumerate() {
            assert_eq!(fault.index(), n);
        }
        let mut names = RedFault::ALL.map(RedFault::as_str).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RedFault::ALL.len());
    }
}
