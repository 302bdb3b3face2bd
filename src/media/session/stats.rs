//! What a media session tells of itself: events and statistics.

use super::redundancy::RedFault;
use crate::crypto::srtp::{SourceCounters, Suite, UnprotectError};
use crate::media::breaker::BreakerReason;
use crate::media::quality::Quality;
use crate::time::Duration;
use crate::wire::dtmf::Digit;
use crate::wire::rtcp::{RtcpError, VoipMetrics};
use crate::wire::rtp::RtpError;
use core::net::SocketAddr;

/// How far a key has come that we send with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SrtpProgress {
    /// The suite.
    pub suite: Suite,
    /// Bytes of the key's identifier in each packet.
    pub mki_len: usize,
    /// How often the keys were changed before.
    pub generation: u32,
    /// The last indices of our source.
    pub counters: SourceCounters,
}

/// Something happened that a person or the call may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaEvent {
    /// The first valid (and with SRTP authentic) packet came.
    FirstPacket {
        /// Its source.
        ssrc: u32,
        /// From where.
        from: SocketAddr,
    },
    /// The peer pressed a key; once per press.
    Dtmf(Digit),
    /// The peer's source changed (a transfer, a restart).
    SsrcChanged {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// The peer used our SSRC, so we took another (RFC 3550 §8.2).
    SsrcCollision {
        /// Ours from now on.
        new: u32,
    },
    /// Media now comes from, and goes to, another address.
    SourceChanged {
        /// Before.
        from: SocketAddr,
        /// Now.
        to: SocketAddr,
    },
    /// The peer's RTCP said goodbye: its media ends (the call is ended by signalling only).
    RemoteBye,
    /// Nothing usable has come for the configured time although we receive.
    NoMedia {
        /// What is likely wrong.
        reason: NoMediaReason,
    },
    /// Media comes again after [`NoMedia`](Self::NoMedia).
    MediaResumed,
    /// The SRTP key is used up or the context refuses: nothing can be sent until new keys come.
    SendBlocked,
    /// The host, which encodes by itself, is to encode otherwise from now on:
    /// [`MediaSession::encoding`](super::MediaSession::encoding).
    EncodingChanged,
    /// No media is sent any more: it harms the network, or nobody can tell whether it does
    /// (RFC 8083). [`MediaSession::restart_sending`](super::MediaSession::restart_sending) tries
    /// again; so does an agreement on media, after 15 s or with another address, and the session
    /// itself when a peer that had fallen silent is heard from again.
    CircuitBreaker {
        /// Which breaker.
        reason: BreakerReason,
    },
    /// Media is sent again after [`CircuitBreaker`](Self::CircuitBreaker): the peer, whose reports
    /// had failed to come, is back.
    SendingResumed,
}

/// Why there is no media: what the packets that did come were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoMediaReason {
    /// Not one datagram came: a firewall, a NAT, or a peer that does not send.
    Silence,
    /// Packets came that do not authenticate: the keys differ.
    WrongKeys,
    /// Packets came in clear where SRTP was agreed.
    Plain,
    /// Packets came from another address than the signalled one.
    WrongSource,
    /// Packets came with payload types that were not negotiated.
    WrongPayloadType,
    /// Packets came that are no RTP.
    Malformed,
}

/// Statistics of a session. Counters never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MediaStats {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP bytes sent, headers and tags included.
    pub bytes_sent: u64,
    /// RTP packets accepted.
    pub packets_received: u64,
    /// RTP bytes accepted, headers included, tags excluded.
    pub bytes_received: u64,
    /// RTCP compound packets sent.
    pub rtcp_sent: u64,
    /// RTCP compound packets accepted.
    pub rtcp_received: u64,
    /// Packets of the peer that were lost on the way; negative with duplicates.
    pub lost: i64,
    /// Share lost between our last two reports, 0 to 1.
    pub fraction_lost: f32,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter: Duration,
    /// Round-trip time by RTCP, once known.
    pub rtt: Option<Duration>,
    /// Of what we sent, lost as the peer reports.
    pub remote_lost: i64,
    /// Share of what we sent that the peer lost lately, 0 to 1.
    pub remote_fraction_lost: f32,
    /// Packets that SRTP refused, by [`UnprotectError::index`].
    pub refused: [u64; UnprotectError::ALL.len()],
    /// Of those, packets that look like plain RTP or RTCP.
    pub plain_dropped: u64,
    /// Datagrams that are no RTP, for all reasons.
    pub malformed_rtp: u64,
    /// Datagrams that are no RTP, by [`RtpError::index`].
    pub malformed_rtp_by: [u64; RtpError::ALL.len()],
    /// Datagrams that are no RTCP, for all reasons.
    pub malformed_rtcp: u64,
    /// Datagrams that are no RTCP, by [`RtcpError::index`].
    pub malformed_rtcp_by: [u64; RtcpError::ALL.len()],
    /// Datagrams of other protocols (STUN, DTLS).
    pub other_protocol: u64,
    /// Packets from an address that is not the peer's.
    pub wrong_source: u64,
    /// Packets with a payload type that was not negotiated.
    pub unknown_payload_type: u64,
    /// Payloads that are no frame of their codec.
    pub bad_payload: u64,
    /// Packets whose sequence number is not believed (probation, jumps).
    pub out_of_sequence: u64,
    /// Packets that came while we do not receive.
    pub while_held: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that came out of order, yet in time.
    pub reordered: u64,
    /// Frames that were concealed.
    pub concealed_frames: u64,
    /// Audio that was made up in place of frames that were missing.
    pub concealed: Duration,
    /// Times that audio began to be missing.
    pub concealment_events: u64,
    /// Audio that was left out to shorten the delay.
    pub shrunk: Duration,
    /// Audio that was repeated to lengthen the delay.
    pub stretched: Duration,
    /// Frames that were heard although their packet was lost: a later one carried a copy (RFC 2198).
    pub recovered: u64,
    /// Packets of redundant audio, and blocks in them, that were not taken, for all reasons.
    pub red_refused: u64,
    /// The same by [`RedFault::index`].
    pub red_refused_by: [u64; RedFault::ALL.len()],
    /// Packets of comfort noise that came (RFC 3389).
    pub comfort_noise_received: u64,
    /// Packets of comfort noise that were sent, or wait to be.
    pub comfort_noise_sent: u64,
    /// Frames that were not sent because nobody spoke.
    pub suppressed: u64,
    /// Packets dropped because too many waited in the jitter buffer.
    pub jitter_overflow: u64,
    /// Packets dropped because nobody polled for them.
    pub send_overflow: u64,
    /// Packets that SRTP would not protect.
    pub protect_failures: u64,
    /// Changes of the peer's SSRC.
    pub ssrc_changes: u64,
    /// Events dropped because nobody polled for them.
    pub events_dropped: u64,
    /// Audio in the jitter buffer and behind it.
    pub buffer_level: Duration,
    /// The delay that the jitter buffer aims at.
    pub buffer_target: Duration,
    /// Mean delay that the jitter buffer added, since each packet's earliest possible arrival.
    pub buffer_delay: Duration,
    /// Level of what is sent, after processing, gain and mute: the mean amplitude (a sine of full
    /// scale has -4) in dB of full scale, -127 to 0; it rises at once and falls slowly. -127 with
    /// encoded frames.
    pub level_sent: f32,
    /// Level of what is heard, after the gain, likewise.
    pub level_received: f32,
    /// How good the peer sounds; `None` before it was heard.
    pub quality: Option<Quality>,
    /// How good we sound, as the peer last reported (RFC 3611 §4.7); `None` if it never did.
    pub remote_quality: Option<VoipMetrics>,
    /// Why the circuit breaker stopped sending; `None` while it did not (RFC 8083).
    pub circuit_breaker: Option<BreakerReason>,
}

impl MediaStats {
    /// Packets that SRTP refused for this reason.
    pub fn refused_for(&self, reason: UnprotectError) -> u64 {
        self.refused.get(reason.index()).copied().unwrap_or(0)
    }

    /// Datagrams that are no RTP for this reason.
    pub fn malformed_rtp_for(&self, reason: RtpError) -> u64 {
        self.malformed_rtp_by.get(reason.index()).copied().unwrap_or(0)
    }

    /// Datagrams that are no RTCP for this reason.
    pub fn malformed_rtcp_for(&self, reason: RtcpError) -> u64 {
        self.malformed_rtcp_by.get(reason.index()).copied().unwrap_or(0)
    }

    pub(super) fn count_bad_rtp(&mut self, reason: RtpError) {
        self.malformed_rtp = self.malformed_rtp.saturating_add(1);
        if let Some(count) = self.malformed_rtp_by.get_mut(reason.index()) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn count_bad_rtcp(&mut self, reason: RtcpError) {
        self.malformed_rtcp = self.malformed_rtcp.saturating_add(1);
        if let Some(count) = self.malformed_rtcp_by.get_mut(reason.index()) {
            *count = count.saturating_add(1);
        }
    }

    /// Redundant audio that was not taken for this reason.
    pub fn red_refused_for(&self, fault: RedFault) -> u64 {
        self.red_refused_by.get(fault.index()).copied().unwrap_or(0)
    }

    /// Always gives `None`, so that who counts is done.
    pub(super) fn count_red<T>(&mut self, fault: RedFault) -> Option<T> {
        self.red_refused = self.red_refused.saturating_add(1);
        if let Some(count) = self.red_refused_by.get_mut(fault.index()) {
            *count = count.saturating_add(1);
        }
        None
    }

    /// Packets that did not authenticate.
    pub fn auth_failures(&self) -> u64 {
        self.refused_for(UnprotectError::AuthFailed)
    }

    /// Packets that were replayed or older than the replay window.
    pub fn replays(&self) -> u64 {
        self.refused_for(UnprotectError::Replayed)
            .saturating_add(self.refused_for(UnprotectError::TooOld))
    }
}
