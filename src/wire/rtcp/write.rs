//! Writing compound RTCP packets.

use super::xr::{BLOCK_HEADER, MAX_XR_BLOCKS, VOIP_LEN, VoipMetrics, XR};
use super::{BLOCK_LEN, BYE, CNAME, RR, ReportBlock, SDES, SR, SenderInfo};

/// Why an RTCP packet cannot be written. What was written before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RtcpWriteError {
    /// The buffer is too small.
    #[error("the buffer is too small: {needed} bytes are needed")]
    BufferTooSmall {
        /// Bytes of the compound packet so far with this packet.
        needed: usize,
    },
    /// More than 31 report blocks or sources, or 32 extended blocks: send more packets.
    #[error("{0} entries: at most 31 (32 of an extended report) fit one packet")]
    TooMany(usize),
    /// A canonical name or reason of more than 255 bytes.
    #[error("a text of {0} bytes: at most 255 fit")]
    TextTooLong(usize),
    /// A compound packet begins with a report (RFC 3550 §6.1).
    #[error("a compound packet begins with a report: write that first")]
    ReportMissing,
}

/// Writes a compound RTCP packet into a caller's buffer: a report first, then the others.
#[derive(Debug)]
pub struct CompoundWriter<'b> {
    out: &'b mut [u8],
    len: usize,
}

impl<'b> CompoundWriter<'b> {
    /// Begins an empty compound packet.
    pub fn new(out: &'b mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Adds a sender report with up to 31 report blocks.
    ///
    /// # Errors
    /// [`RtcpWriteError`]
    pub fn sender_report(
        &mut self,
        ssrc: u32,
        info: &SenderInfo,
        reports: &[ReportBlock],
    ) -> Result<(), RtcpWriteError> {
        let len = reports.len().saturating_mul(BLOCK_LEN).saturating_add(24);
        let mut packet = self.packet(SR, reports.len(), len)?;
        packet.put(&ssrc.to_be_bytes());
        packet.put(&info.ntp.to_be_bytes());
        for word in [info.rtp_timestamp, info.packets, info.octets] {
            packet.put(&word.to_be_bytes());
        }
        packet.reports(reports);
        Ok(())
    }

    /// Adds a receiver report with up to 31 report blocks.
    ///
    /// # Errors
    /// [`RtcpWriteError`]
    pub fn receiver_report(
        &mut self,
        ssrc: u32,
        reports: &[ReportBlock],
    ) -> Result<(), RtcpWriteError> {
        let len = reports.len().saturating_mul(BLOCK_LEN).saturating_add(4);
        let mut packet = self.packet(RR, reports.len(), len)?;
        packet.put(&ssrc.to_be_bytes());
        packet.reports(reports);
        Ok(())
    }

    /// Adds a source description with the canonical name of one source, which every compound
    /// packet carries (RFC 3550 §6.1). Use random names (RFC 7022), never a user's address.
    ///
    /// # Errors
    /// [`RtcpWriteError`]
    pub fn cname(&mut self, ssrc: u32, name: &str) -> Result<(), RtcpWriteError> {
        let len = text_len(name)?;
        // SSRC, type, length, text, and at least one zero byte up to the word boundary.
        let body = 4usize.saturating_add(2).saturating_add(name.len()).saturating_add(1);
        let mut packet = self.packet(SDES, 1, body.next_multiple_of(4))?;
        packet.put(&ssrc.to_be_bytes());
        packet.put(&[CNAME, len]);
        packet.put(name.as_bytes());
        Ok(())
    }

    /// Adds a goodbye of up to 31 sources; an empty reason is left out.
    ///
    /// # Errors
    /// [`RtcpWriteError`]
    pub fn goodbye(&mut self, ssrcs: &[u32], reason: &str) -> Result<(), RtcpWriteError> {
        let len = text_len(reason)?;
        let text = if reason.is_empty() { 0 } else { reason.len().saturating_add(1) };
        let body = ssrcs.len().saturating_mul(4).saturating_add(text.next_multiple_of(4));
        let mut packet = self.packet(BYE, ssrcs.len(), body)?;
        for ssrc in ssrcs {
            packet.put(&ssrc.to_be_bytes());
        }
        if !reason.is_empty() {
            packet.put(&[len]);
            packet.put(reason.as_bytes());
        }
        Ok(())
    }

    /// Adds an extended report of up to [`MAX_XR_BLOCKS`] VoIP metrics (RFC 3611 §4.7).
    ///
    /// # Errors
    /// [`RtcpWriteError`]
    pub fn voip_metrics(
        &mut self,
        ssrc: u32,
        metrics: &[VoipMetrics],
    ) -> Result<(), RtcpWriteError> {
        if metrics.len() > MAX_XR_BLOCKS {
            return Err(RtcpWriteError::TooMany(metrics.len()));
        }
        let block = BLOCK_HEADER.saturating_add(VOIP_LEN);
        // The five bits of the header that count in other packets are reserved here.
        let mut packet =
            self.packet(XR, 0, metrics.len().saturating_mul(block).saturating_add(4))?;
        packet.put(&ssrc.to_be_bytes());
        for one in metrics {
            packet.put(&one.to_bytes());
        }
        Ok(())
    }

    /// The length of the compound packet at the start of the buffer.
    ///
    /// # Errors
    /// [`RtcpWriteError::ReportMissing`] if nothing was written.
    pub fn finish(self) -> Result<usize, RtcpWriteError> {
        if self.len == 0 { Err(RtcpWriteError::ReportMissing) } else { Ok(self.len) }
    }

    /// Writes a header and returns the zeroed body. Every size is checked here, so that a packet
    /// is written whole or not at all.
    fn packet(
        &mut self,
        packet_type: u8,
        count: usize,
        body_len: usize,
    ) -> Result<Body<'_>, RtcpWriteError> {
        if self.len == 0 && !matches!(packet_type, SR | RR) {
            return Err(RtcpWriteError::ReportMissing);
        }
        let too_many = RtcpWriteError::TooMany(count);
        let flags = u8::try_from(count).ok().filter(|n| *n <= 31).ok_or(too_many)? | 0x80;
        let words = u16::try_from(body_len >> 2).map_err(|_| too_many)?;
        let needed = self.len.saturating_add(4).saturating_add(body_len);
        let too_small = RtcpWriteError::BufferTooSmall { needed };
        let packet = self.out.get_mut(self.len..needed).ok_or(too_small)?;
        let (header, body) = packet.split_first_chunk_mut::<4>().ok_or(too_small)?;
        let [l0, l1] = words.to_be_bytes();
        *header = [flags, packet_type, l0, l1];
        body.fill(0);
        self.len = needed;
        Ok(Body(body))
    }
}

fn text_len(text: &str) -> Result<u8, RtcpWriteError> {
    u8::try_from(text.len()).map_err(|_| RtcpWriteError::TextTooLong(text.len()))
}

/// The unwritten rest of a packet's body, which was sized for what is put into it.
struct Body<'b>(&'b mut [u8]);

impl Body<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let rest = core::mem::take(&mut self.0);
        if let Some((place, rest)) = rest.split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
            self.0 = rest;
        }
    }

    fn reports(&mut self, reports: &[ReportBlock]) {
        for block in reports {
            // RFC 3550 A.3: the cumulative loss is clamped to 24 bits with sign.
            let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
            let [_, l0, l1, l2] = lost.to_be_bytes();
            self.put(&block.ssrc.to_be_bytes());
            self.put(&[block.fraction_lost, l0, l1, l2]);
            let words =
                [block.highest_sequence, block.jitter, block.last_sr, block.delay_since_last_sr];
            for word in words {
                self.put(&word.to_be_bytes());
            }
        }
    }
}
