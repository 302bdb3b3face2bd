//! What is known of a session: statistics, sources, keys, codecs.

use super::config::{Direction, Payload};
use super::stats::{MediaStats, SrtpProgress};
use super::{MediaSession, Remote};
use crate::crypto::srtp::{MasterKeyId, Suite};
use crate::media::level::dbfs;
use crate::time::Duration;
use core::net::SocketAddr;

impl MediaSession {
    /// Statistics so far.
    pub fn stats(&self) -> MediaStats {
        let jitter = self.inbound.jitter().stats();
        let remote = self.remote.as_ref();
        let reported = self.control.remote();
        MediaStats {
            rtcp_sent: self.control.sent,
            rtcp_received: self.control.received,
            lost: remote.map_or(0, Remote::lost),
            fraction_lost: remote
                .map_or(0.0, |r| f32::from(r.reception.last_fraction_lost()) / 256.0),
            jitter: remote.map_or(Duration::ZERO, |r| r.reception.jitter_duration()),
            rtt: self.control.rtt(),
            remote_lost: reported.map_or(0, |r| r.cumulative_lost.into()),
            remote_fraction_lost: reported.map_or(0.0, |r| f32::from(r.fraction_lost) / 256.0),
            bad_payload: self.inbound.bad_payloads(),
            late: jitter.late,
            duplicate: jitter.duplicate,
            reordered: jitter.reordered,
            concealed_frames: jitter.concealed_frames,
            concealed: self.inbound.jitter().concealed(),
            concealment_events: jitter.concealment_events,
            shrunk: self.inbound.shrunk(),
            stretched: self.inbound.stretched(),
            recovered: jitter.recovered,
            comfort_noise_sent: self.outbound.pauses().told(),
            suppressed: self.outbound.pauses().suppressed(),
            jitter_overflow: jitter.overflowed,
            send_overflow: self.outbound.dropped(),
            events_dropped: self.events.dropped(),
            buffer_level: self.inbound.jitter().level().saturating_add(self.inbound.ready()),
            buffer_target: self.inbound.jitter().target(),
            buffer_delay: jitter.mean_delay(),
            level_sent: dbfs(self.outbound.level()),
            level_received: dbfs(self.inbound.level()),
            quality: self.quality(),
            remote_quality: self.control.remote_voip(),
            circuit_breaker: self.circuit_breaker(),
            ..self.counters
        }
    }

    /// Our SSRC.
    pub fn local_ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The peer's SSRC, once heard.
    pub fn remote_ssrc(&self) -> Option<u32> {
        self.remote.as_ref().map(|r| r.ssrc)
    }

    /// Where RTP goes to now.
    pub fn remote_rtp(&self) -> SocketAddr {
        self.path.rtp
    }

    /// The SRTP suites of what we send and of what we take; `None` if the stream is plain.
    pub fn suites(&self) -> Option<(Suite, Suite)> {
        self.guard.suites()
    }

    /// Whether RTCP is encrypted and authenticated: what we send, all that we take.
    pub fn rtcp_encrypted(&self) -> (bool, bool) {
        self.guard.rtcp_encrypted()
    }

    /// How often the keys were changed: of what we send, of what we take; `None` if plain.
    pub fn key_generations(&self) -> Option<(u32, u32)> {
        self.guard.generations()
    }

    pub(crate) fn key_ids(&self) -> (Option<MasterKeyId>, Option<MasterKeyId>) {
        self.guard.key_ids()
    }

    /// How far the key that we send with has come; `None` if plain, or before the first packet.
    pub fn srtp_progress(&self) -> Option<SrtpProgress> {
        self.guard.progress(self.ssrc)
    }

    /// The lifetime of a key nears its end: agree on new ones.
    pub fn rekey_due(&self) -> bool {
        self.guard.rekey_due()
    }

    /// Which way media flows.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// What we send now.
    pub fn sending_codec(&self) -> Payload {
        self.outbound.payload()
    }
}
