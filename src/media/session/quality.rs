//! How good the stream sounds, and when it must not be sent any longer.

use super::{MediaEvent, MediaSession};
use crate::media::breaker::BreakerReason;
use crate::media::jitter::JitterConfig;
use crate::media::quality::{Concealed, GMIN, Quality};
use crate::time::{Duration, Instant};
use crate::wire::rtcp::{Concealment, JitterBufferKind, VoipMetrics};

impl MediaSession {
    /// What both directions of this end take: a packet's worth of speech is gathered before it is
    /// sent, and what comes waits for its turn.
    fn end_system_delay(&self) -> Duration {
        let gathered = Duration::from_millis(self.outbound.ptime_ms().into());
        gathered.saturating_add(self.inbound.jitter().target())
    }

    /// From mouth to ear, one way, if both are alike (RFC 3611 §4.7.3).
    fn one_way_delay(&self) -> Duration {
        let ours = self.end_system_delay();
        let theirs = self.control.remote_voip().map(|m| m.end_system_delay).filter(|ms| *ms > 0);
        let theirs = theirs.map_or(ours, |ms| Duration::from_millis(ms.into()));
        let trip = self.control.rtt().unwrap_or(Duration::ZERO);
        trip.saturating_add(ours).saturating_add(theirs).checked_div(2).unwrap_or(Duration::MAX)
    }

    /// How good the peer's source sounds; `None` before it was heard.
    pub(super) fn quality(&self) -> Option<Quality> {
        let remote = self.remote.as_ref()?;
        let losses = remote.fates.metrics();
        let concealed = Concealed::between(&remote.heard_before, &self.inbound.jitter().stats());
        Some(Quality::rate(self.inbound.codec()?, &losses, concealed, self.one_way_delay()))
    }

    /// The same as RFC 3611 has it, for the peer.
    pub(super) fn voip_metrics(&self) -> Option<VoipMetrics> {
        let (remote, quality) = (self.remote.as_ref()?, self.quality()?);
        let most = millis(JitterConfig::new(8_000).max_delay);
        Some(VoipMetrics {
            ssrc: remote.ssrc,
            loss_rate: of_256(quality.loss_rate),
            discard_rate: of_256(quality.discard_rate),
            burst_density: of_256(quality.burst_density),
            gap_density: of_256(quality.gap_density),
            burst_duration: millis(quality.burst_duration),
            gap_duration: millis(quality.gap_duration),
            round_trip_delay: self.control.rtt().map_or(0, millis),
            end_system_delay: millis(self.end_system_delay()),
            gmin: GMIN,
            r_factor: quality.r_of_100().round() as u8,
            mos_lq: (quality.mos_lq * 10.0).round() as u8,
            mos_cq: (quality.mos_cq * 10.0).round() as u8,
            concealment: Concealment::Standard,
            jitter_buffer: JitterBufferKind::Adaptive,
            jitter_buffer_nominal: millis(self.inbound.jitter().target()),
            jitter_buffer_maximum: most,
            jitter_buffer_absolute_maximum: most,
            ..VoipMetrics::default()
        })
    }

    /// Sending begins or ends as the direction says, and is watched anew.
    pub(super) fn begin_sending(&mut self, now: Instant) {
        let on = self.direction.sends() && !self.closed;
        self.breaker.restart(now, on);
        self.outbound.set_sending(on);
    }

    /// The breaker tells to stop: no RTP leaves any more, RTCP goes on.
    pub(super) fn break_circuit(&mut self, reason: Option<BreakerReason>) {
        let Some(reason) = reason else { return };
        self.outbound.set_sending(false);
        self.events.push(MediaEvent::CircuitBreaker { reason });
    }

    /// Why the circuit breaker stopped sending; `None` while it did not.
    pub fn circuit_breaker(&self) -> Option<BreakerReason> {
        self.breaker.tripped()
    }

    /// Tries to send again after [`MediaEvent::CircuitBreaker`], because a person wants to; false,
    /// and nothing changes, less than 15 s after it (RFC 8083 §4.5), or if nothing was stopped.
    pub fn restart_sending(&mut self, now: Instant) -> bool {
        let stopped = self.breaker.tripped().is_some() && !self.closed;
        let restart = stopped && self.breaker.may_restart(now);
        if restart {
            self.begin_sending(now);
        }
        restart
    }

    /// Switches the circuit breaker on or off (RFC 8083 §4: off only where the network cannot be
    /// congested). One that has stopped sending goes on as if nothing had been.
    pub fn set_circuit_breaker(&mut self, now: Instant, on: bool) {
        if core::mem::replace(&mut self.breaker_on, on) != on {
            self.begin_sending(now);
        }
    }
}

fn of_256(share: f32) -> u8 {
    // `as` saturates: all is 255.
    (share * 256.0) as u8
}

fn millis(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}
