//! Extended reports (RFC 3611): the frame of any block, and the block on a voice call.

use super::{RtcpError, word};

/// Packet type of an extended report.
pub const XR: u8 = 207;
/// Blocks read of one extended report; further ones are skipped.
pub const MAX_XR_BLOCKS: usize = 32;
/// Type of the VoIP metrics block.
const VOIP_METRICS: u8 = 7;
/// Bytes of a VoIP metrics block without its header.
pub(super) const VOIP_LEN: usize = 32;
/// Bytes of a block's header.
pub(super) const BLOCK_HEADER: usize = 4;

/// The value of a byte that is not known (levels, R factors, MOS).
pub const UNAVAILABLE: u8 = 127;

/// How a receiver fills gaps (RFC 3611 §4.7.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Concealment {
    /// It does not say.
    #[default]
    Unspecified,
    /// Silence.
    Disabled,
    /// Better than a standard one.
    Enhanced,
    /// A standard one.
    Standard,
}

/// Whether a jitter buffer adapts (RFC 3611 §4.7.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JitterBufferKind {
    /// It does not say.
    #[default]
    Unknown,
    /// A value that is reserved.
    Reserved,
    /// Of one size.
    Fixed,
    /// It follows the jitter.
    Adaptive,
}

/// What a receiver says about the voice of one source (RFC 3611 §4.7). Levels are in dB, 127 if
/// unknown; times in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Packets lost on the way since the beginning, in 256ths.
    pub loss_rate: u8,
    /// Packets discarded by the jitter buffer since the beginning, in 256ths.
    pub discard_rate: u8,
    /// Lost or discarded within bursts, in 256ths.
    pub burst_density: u8,
    /// Lost or discarded within gaps (the times between bursts), in 256ths.
    pub gap_density: u8,
    /// Mean length of a burst.
    pub burst_duration: u16,
    /// Mean length of a gap.
    pub gap_duration: u16,
    /// The last round trip between the RTP interfaces; 0 if unknown.
    pub round_trip_delay: u16,
    /// Delay in the reporting end itself, both directions; 0 if unknown.
    pub end_system_delay: u16,
    /// Level of the voice, dBm0, negative.
    pub signal_level: i8,
    /// Level of the noise, dBm0, negative.
    pub noise_level: i8,
    /// Residual echo return loss.
    pub rerl: u8,
    /// Packets received in a row that end a burst.
    pub gmin: u8,
    /// R factor of this segment, 0 to 100.
    pub r_factor: u8,
    /// R factor of a network behind the reporting end.
    pub external_r_factor: u8,
    /// Listening quality, MOS times 10.
    pub mos_lq: u8,
    /// Conversational quality, MOS times 10.
    pub mos_cq: u8,
    /// How gaps are filled.
    pub concealment: Concealment,
    /// Whether the jitter buffer adapts.
    pub jitter_buffer: JitterBufferKind,
    /// How fast it adapts, 0 to 15.
    pub jitter_buffer_rate: u8,
    /// Delay of the jitter buffer now, for a packet that is on time.
    pub jitter_buffer_nominal: u16,
    /// Delay of the latest packet that is still played.
    pub jitter_buffer_maximum: u16,
    /// The longest delay that it could adapt to.
    pub jitter_buffer_absolute_maximum: u16,
}

impl Default for VoipMetrics {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            ssrc: 0,
            loss_rate: 0,
            discard_rate: 0,
            burst_density: 0,
            gap_density: 0,
            burst_duration: 0,
            gap_duration: 0,
            round_trip_delay: 0,
            end_system_delay: 0,
            signal_level: UNAVAILABLE.cast_signed(),
            noise_level: UNAVAILABLE.cast_signed(),
            rerl: UNAVAILABLE,
            gmin: 16,
            r_factor: UNAVAILABLE,
            external_r_factor: UNAVAILABLE,
            mos_lq: UNAVAILABLE,
            mos_cq: UNAVAILABLE,
            concealment: Concealment::Unspecified,
            jitter_buffer: JitterBufferKind::Unknown,
            jitter_buffer_rate: 0,
            jitter_buffer_nominal: 0,
            jitter_buffer_maximum: 0,
            jitter_buffer_absolute_maximum: 0,
        }
    }
}

impl VoipMetrics {
    /// The receiver configuration byte.
    const fn config(&self) -> u8 {
        let concealment = match self.concealment {
            Concealment::Unspecified => 0,
            Concealment::Disabled => 0x40,
            Concealment::Enhanced => 0x80,
            Concealment::Standard => 0xc0,
        };
        let buffer = match self.jitter_buffer {
            JitterBufferKind::Unknown => 0,
            JitterBufferKind::Reserved => 0x10,
            JitterBufferKind::Fixed => 0x20,
            JitterBufferKind::Adaptive => 0x30,
        };
        let rate = if self.jitter_buffer_rate > 15 { 15 } else { self.jitter_buffer_rate };
        concealment | buffer | rate
    }

    /// The block on the wire, header included.
    pub(super) fn to_bytes(self) -> [u8; BLOCK_HEADER + VOIP_LEN] {
        let [s0, s1, s2, s3] = self.ssrc.to_be_bytes();
        let [bd0, bd1] = self.burst_duration.to_be_bytes();
        let [gd0, gd1] = self.gap_duration.to_be_bytes();
        let [rt0, rt1] = self.round_trip_delay.to_be_bytes();
        let [es0, es1] = self.end_system_delay.to_be_bytes();
        let [jn0, jn1] = self.jitter_buffer_nominal.to_be_bytes();
        let [jm0, jm1] = self.jitter_buffer_maximum.to_be_bytes();
        let [ja0, ja1] = self.jitter_buffer_absolute_maximum.to_be_bytes();
        let (signal, noise) = (self.signal_level.cast_unsigned(), self.noise_level.cast_unsigned());
        #[rustfmt::skip]
        let bytes = [
            VOIP_METRICS, 0, 0, (VOIP_LEN / 4) as u8,
            s0, s1, s2, s3,
            self.loss_rate, self.discard_rate, self.burst_density, self.gap_density,
            bd0, bd1, gd0, gd1,
            rt0, rt1, es0, es1,
            signal, noise, self.rerl, self.gmin,
            self.r_factor, self.external_r_factor, self.mos_lq, self.mos_cq,
            self.config(), 0, jn0, jn1,
            jm0, jm1, ja0, ja1,
        ];
        bytes
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (words, rest) = body.first_chunk::<VOIP_LEN>()?.as_chunks::<4>();
        let ([ssrc, rates, durations, delays, levels, scores, config, limits], []) = (words, rest)
        else {
            return None;
        };
        let [loss_rate, discard_rate, burst_density, gap_density] = *rates;
        let [bd0, bd1, gd0, gd1] = *durations;
        let [rt0, rt1, es0, es1] = *delays;
        let [signal, noise, rerl, gmin] = *levels;
        let [r_factor, external_r_factor, mos_lq, mos_cq] = *scores;
        let [config, _, jn0, jn1] = *config;
        let [jm0, jm1, ja0, ja1] = *limits;
        Some(Self {
            ssrc: u32::from_be_bytes(*ssrc),
            loss_rate,
            discard_rate,
            burst_density,
            gap_density,
            burst_duration: u16::from_be_bytes([bd0, bd1]),
            gap_duration: u16::from_be_bytes([gd0, gd1]),
            round_trip_delay: u16::from_be_bytes([rt0, rt1]),
            end_system_delay: u16::from_be_bytes([es0, es1]),
            signal_level: signal.cast_signed(),
            noise_level: noise.cast_signed(),
            rerl,
            gmin,
            r_factor,
            external_r_factor,
            mos_lq,
            mos_cq,
            concealment: match config >> 6 {
                0 => Concealment::Unspecified,
                1 => Concealment::Disabled,
                2 => Concealment::Enhanced,
                _ => Concealment::Standard,
            },
            jitter_buffer: match (config >> 4) & 3 {
                0 => JitterBufferKind::Unknown,
                1 => JitterBufferKind::Reserved,
                2 => JitterBufferKind::Fixed,
                _ => JitterBufferKind::Adaptive,
            },
            jitter_buffer_rate: config & 15,
            jitter_buffer_nominal: u16::from_be_bytes([jn0, jn1]),
            jitter_buffer_maximum: u16::from_be_bytes([jm0, jm1]),
            jitter_buffer_absolute_maximum: u16::from_be_bytes([ja0, ja1]),
        })
    }
}

/// One block of an extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XrBlock<'a> {
    /// The quality of a voice stream (RFC 3611 §4.7).
    VoipMetrics(VoipMetrics),
    /// Any other block. Known to have its length.
    Other {
        /// The block type.
        block_type: u8,
        /// The byte that each type gives a meaning of its own.
        specific: u8,
        /// What follows the header.
        body: &'a [u8],
    },
}

/// An extended report (RFC 3611 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedReport<'a> {
    ssrc: u32,
    blocks: &'a [u8],
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, RtcpError> {
        let ssrc = word(body).ok_or(RtcpError::TooShort)?;
        Ok(Self { ssrc, blocks: body.get(4..).unwrap_or_default() })
    }

    /// The source that reports.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The blocks, at most [`MAX_XR_BLOCKS`]. Ends at the first one that does not hold together;
    /// a VoIP metrics block of another length than the RFC's is an [`XrBlock::Other`].
    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'a>> + use<'a> {
        let mut rest = self.blocks;
        core::iter::from_fn(move || {
            let ([block_type, specific, l0, l1], after) =
                rest.split_first_chunk::<BLOCK_HEADER>()?;
            let len = usize::from(u16::from_be_bytes([*l0, *l1])).saturating_mul(4);
            let (body, next) = after.split_at_checked(len)?;
            rest = next;
            let voip = *block_type == VOIP_METRICS && len == VOIP_LEN;
            Some(match VoipMetrics::read(body).filter(|_| voip) {
                Some(metrics) => XrBlock::VoipMetrics(metrics),
                None => XrBlock::Other { block_type: *block_type, specific: *specific, body },
            })
        })
        .take(MAX_XR_BLOCKS)
    }

    /// The VoIP metrics on one source.
    pub fn voip_metrics_on(&self, ssrc: u32) -> Option<VoipMetrics> {
        self.blocks().find_map(|block| match block {
            XrBlock::VoipMetrics(metrics) if metrics.ssrc == ssrc => Some(metrics),
            _ => None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::super::{Compound, CompoundWriter, RtcpPacket, RtcpWriteError};
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    fn metrics() -> VoipMetrics {
        VoipMetrics {
            ssrc: 0x0102_0304,
            loss_rate: 5,
            discard_rate: 6,
            burst_density: 7,
            gap_density: 8,
            burst_duration: 0x090a,
            gap_duration: 0x0b0c,
            round_trip_delay: 0x0d0e,
            end_system_delay: 0x0f10,
            signal_level: -20,
            noise_level: -70,
            rerl: 19,
            gmin: 16,
            r_factor: 93,
            external_r_factor: 127,
            mos_lq: 44,
            mos_cq: 43,
            concealment: Concealment::Standard,
            jitter_buffer: JitterBufferKind::Adaptive,
            jitter_buffer_rate: 9,
            jitter_buffer_nominal: 0x1c1d,
            jitter_buffer_maximum: 0x1e1f,
            jitter_buffer_absolute_maximum: 0x2021,
        }
    }

    fn written(blocks: &[VoipMetrics]) -> Vec<u8> {
        let mut buf = [0xaa; 2_000];
        let mut writer = CompoundWriter::new(&mut buf);
        writer.receiver_report(7, &[]).unwrap();
        writer.voip_metrics(7, blocks).unwrap();
        let len = writer.finish().unwrap();
        buf[..len].to_vec()
    }

    fn report(bytes: &[u8]) -> ExtendedReport<'_> {
        let found = Compound::parse(bytes).unwrap().iter().find_map(|packet| match packet {
            RtcpPacket::ExtendedReport(report) => Some(report),
            _ => None,
        });
        found.unwrap()
    }

    #[test]
    fn the_voip_block_lies_on_the_wire_as_the_rfc_draws_it() {
        let bytes = written(&[metrics()]);
        #[rustfmt::skip]
        let expected = [
            0x80, XR, 0, 10, 0, 0, 0, 7,
            7, 0, 0, 8, 1, 2, 3, 4,
            5, 6, 7, 8, 9, 10, 11, 12,
            13, 14, 15, 16, 0xec, 0xba, 19, 16,
            93, 127, 44, 43, 0xf9, 0, 0x1c, 0x1d,
            0x1e, 0x1f, 0x20, 0x21,
        ];
        assert_eq!(bytes[8..], expected);
        let read = report(&bytes);
        assert_eq!(read.ssrc(), 7);
        assert_eq!(read.voip_metrics_on(0x0102_0304), Some(metrics()));
        assert_eq!(read.voip_metrics_on(9), None);
    }

    #[test]
    fn blocks_of_other_types_and_lengths_are_skipped_over_and_bounded() {
        let mut bytes = written(&[]);
        // A receiver reference time, a VoIP block that is too short, one that is good.
        bytes.extend([4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9, 0, 1, 1, 1, 1, 1]);
        bytes.extend(metrics().to_bytes());
        bytes[11] = ((bytes.len() - 8) / 4 - 1) as u8;
        let blocks: Vec<_> = report(&bytes).blocks().collect();
        let expected = [
            XrBlock::Other { block_type: 4, specific: 0, body: &[0, 0, 0, 1, 0, 0, 0, 2] },
            XrBlock::Other { block_type: 7, specific: 9, body: &[1, 1, 1, 1] },
            XrBlock::VoipMetrics(metrics()),
        ];
        assert_eq!(blocks, expected);
        // Empty blocks without end: read up to the limit.
        let mut bytes = written(&[]);
        bytes.extend([9, 0, 0, 0].repeat(200));
        bytes[11] = 201;
        assert_eq!(report(&bytes).blocks().count(), MAX_XR_BLOCKS);
        // One that points behind the end.
        let mut bytes = written(&[]);
        bytes.extend([9, 0, 0, 1]);
        bytes[11] = 2;
        assert_eq!(report(&bytes).blocks().count(), 0);
        // One without even a source.
        let bare = [&written(&[])[..8], &[0x80, XR, 0, 0]].concat();
        assert_eq!(Compound::parse(&bare), Err(RtcpError::TooShort));
    }

    #[test]
    fn too_many_blocks_and_too_small_a_buffer_are_refused() {
        let mut buf = [0; 40];
        let mut writer = CompoundWriter::new(&mut buf);
        assert_eq!(writer.voip_metrics(7, &[]), Err(RtcpWriteError::ReportMissing));
        writer.receiver_report(7, &[]).unwrap();
        let small = writer.voip_metrics(7, &[metrics()]);
        assert_eq!(small, Err(RtcpWriteError::BufferTooSmall { needed: 52 }));
        let many = vec![metrics(); MAX_XR_BLOCKS + 1];
        assert_eq!(writer.voip_metrics(7, &many), Err(RtcpWriteError::TooMany(33)));
        assert_eq!(writer.finish(), Ok(8));
    }

    proptest! {
        #[test]
        fn any_voip_block_reads_back_and_any_bytes_are_walked(
            bytes in prop::array::uniform32(any::<u8>()),
            noise in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut metrics = VoipMetrics::read(&bytes).unwrap();
            metrics.ssrc = 5;
            prop_assert_eq!(report(&written(&[metrics])).voip_metrics_on(5), Some(metrics));
            if let Ok(read) = ExtendedReport::read(&noise) {
                prop_assert!(read.blocks().count() <= noise.len() / 4);
            }
        }
    }
}
