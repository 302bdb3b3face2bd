//! The way out: RTP and RTCP packets, protected or permitted to be plain.

use super::config::BufferTooSmall;
use super::control::Sent;
use super::guard::Protocol;
use super::{Channel, MAX_TRANSMIT, MediaEvent, MediaSession, Transmit};
use crate::time::Instant;
use crate::wire::rtp::RtpHeaderFields;

impl MediaSession {
    /// Writes the next packet to be sent into `buffer`, which has at least [`MAX_TRANSMIT`] bytes.
    /// Call it until it gives `None`.
    ///
    /// # Errors
    /// [`BufferTooSmall`]; nothing is lost.
    pub fn poll_transmit<'b>(
        &mut self,
        now: Instant,
        buffer: &'b mut [u8],
    ) -> Result<Option<Transmit<'b>>, BufferTooSmall> {
        if buffer.len() < MAX_TRANSMIT {
            return Err(BufferTooSmall { needed: MAX_TRANSMIT });
        }
        if self.outbound.queued() > 0 {
            return Ok(self.transmit_rtp(buffer));
        }
        if self.control.pending() {
            return Ok(self.transmit_rtcp(now, buffer));
        }
        Ok(None)
    }

    fn transmit_rtp<'b>(&mut self, buffer: &'b mut [u8]) -> Option<Transmit<'b>> {
        let (head, payload) = self.outbound.pop()?;
        let fields = RtpHeaderFields {
            marker: head.marker,
            payload_type: head.payload_type,
            sequence_number: self.sequence,
            timestamp: head.timestamp,
            ssrc: self.ssrc,
            ..RtpHeaderFields::default()
        };
        let octets = payload.len() as u64;
        let len = fields.write_packet(payload, 0, buffer).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        match self.guard.protect(Protocol::Rtp, buffer, len) {
            Ok(packet) => {
                self.octets = self.octets.wrapping_add(octets);
                self.breaker.sent(packet.bytes().len());
                self.counters.packets_sent = self.counters.packets_sent.saturating_add(1);
                self.counters.bytes_sent =
                    self.counters.bytes_sent.saturating_add(packet.bytes().len() as u64);
                Some(Transmit { channel: Channel::Rtp, remote: self.path.rtp, packet })
            }
            Err(_) => {
                self.counters.protect_failures = self.counters.protect_failures.saturating_add(1);
                if !self.send_blocked {
                    self.send_blocked = true;
                    self.events.push(MediaEvent::SendBlocked);
                }
                None
            }
        }
    }

    /// What was sent under the SSRC in use.
    pub(super) fn sent(&self) -> Sent {
        Sent {
            ssrc: self.ssrc,
            packets: self.counters.packets_sent.saturating_sub(self.sent_before),
            octets: self.octets,
        }
    }

    fn transmit_rtcp<'b>(&mut self, now: Instant, buffer: &'b mut [u8]) -> Option<Transmit<'b>> {
        let (sent, timestamp) = (self.sent(), self.outbound.timestamp_at(now));
        let voip = if self.rtcp_xr { self.voip_metrics() } else { None };
        let received = self.remote.as_mut().map(|r| (r.ssrc, &mut r.reception));
        let len = self.control.write(now, sent, timestamp, received, voip, buffer).ok()?;
        let channel = if self.path.mux { Channel::Rtp } else { Channel::Rtcp };
        match self.guard.protect(Protocol::Rtcp, buffer, len) {
            Ok(packet) => Some(Transmit { channel, remote: self.path.rtcp, packet }),
            Err(_) => {
                self.counters.protect_failures = self.counters.protect_failures.saturating_add(1);
                None
            }
        }
    }

    /// True if [`poll_transmit`](Self::poll_transmit) has something to send.
    pub fn has_output(&self) -> bool {
        self.outbound.queued() > 0 || self.control.pending()
    }
}
