//! A renegotiation, carried out.

use super::config::{Direction, MediaConfigError, MediaUpdate, SourceLock};
use super::outbound::check_payload_type;
use super::{MediaEvent, MediaSession};
use crate::time::Instant;

impl MediaSession {
    pub(super) fn apply(
        &mut self,
        now: Instant,
        update: MediaUpdate,
    ) -> Result<(), MediaConfigError> {
        let others = update.dtmf.iter().chain(&update.red).chain(&update.comfort_noise);
        for payload_type in others.flat_map(|(a, b)| a.iter().chain(b.iter())) {
            check_payload_type(*payload_type)?;
        }
        let send = update.send.unwrap_or(self.outbound.payload());
        let ptime_ms = update.ptime_ms.unwrap_or(self.outbound.ptime_ms());
        let before = self.encoding();
        self.outbound.change(send, ptime_ms, update.tuning.unwrap_or(self.outbound.tuning()))?;
        if self.is_encoded() && self.encoding() != before {
            self.events.push(MediaEvent::EncodingChanged);
        }
        if let Some(payloads) = update.receive {
            self.inbound.change(&payloads)?;
        }
        if let Some((send, receive)) = update.dtmf {
            self.outbound.set_dtmf_payload_type(send);
            self.dtmf_receive = receive;
        }
        if let Some((send, receive)) = update.red {
            self.outbound.set_red_payload_type(send);
            self.red_receive = receive;
        }
        if let Some((send, receive)) = update.comfort_noise {
            self.outbound.set_comfort_noise(send);
            self.inbound.set_comfort_noise(&receive);
        }
        if let Some(security) = update.security {
            self.guard.change(security);
            self.send_blocked = false;
        }
        if let Some((local, remote, answered)) = update.keys {
            if !self.guard.rekey(now, &local, &remote, answered)? {
                return Err(MediaConfigError::NotSrtp);
            }
            self.send_blocked = false;
        }
        if let Some((rtp, rtcp, mux)) = update.remote {
            let elsewhere = self.path.signalled != rtp;
            if elsewhere {
                self.outbound.forget_path();
            }
            let stopped = self.breaker.tripped().is_some();
            if stopped && (elsewhere || self.breaker.may_restart(now)) {
                self.begin_sending(now);
            }
            self.path.rtp = rtp;
            self.path.signalled = rtp;
            self.path.rtcp = if mux { rtp } else { rtcp };
            self.path.mux = mux;
            self.path.latch_until = latch_until(now, self.path.lock);
        }
        if let Some(processing) = update.processing {
            self.set_processing(processing);
        }
        if let Some(direction) = update.direction {
            self.set_direction(now, direction);
        }
        Ok(())
    }

    /// Changes which way media flows: hold, resume.
    pub fn set_direction(&mut self, now: Instant, direction: Direction) {
        if direction.receives() != self.direction.receives() {
            self.inbound.reset();
            self.rewatch(now);
        }
        let before = core::mem::replace(&mut self.direction, direction);
        if before.sends() != direction.sends() && self.breaker.may_restart(now) {
            self.begin_sending(now);
        }
    }
}

/// Until when a plain session takes any source for the peer.
pub(super) fn latch_until(now: Instant, lock: SourceLock) -> Option<Instant> {
    match lock {
        SourceLock::LatchPlain(window) => Some(now + window),
        SourceLock::Signalled | SourceLock::Authenticated => None,
    }
}
