//! What speaks against a handshake, before it is sure: an attacker can say much of it too, so it
//! ends nothing by itself. Something that the peer itself would say is believed after a while in
//! which nobody did better.
#![deny(clippy::arithmetic_side_effects)]

use super::DtlsFailure;
use crate::time::{Duration, Instant};

/// How long the peer that signalling announced has left to come forward, after somebody did whose
/// certificate is another one, or whose certificate or ciphers we do not have: enough for OpenSSL
/// to repeat a lost hello twice (after 1 s and 3 s).
const GRACE: Duration = Duration::from_secs(4);
/// Hellos of ours that must have been refused for that: an alert is not authenticated.
const MIN_REFUSALS: u32 = 3;
/// After fewer refusals the peer has longer, in which no hello of ours may find an answer: OpenSSL
/// refuses the first one, and is silent from then on.
const LONG_GRACE: Duration = Duration::from_secs(6);
/// Handshakes that go wrong, with whoever returned a cookie, before it counts.
const MIN_ERRORS: u32 = 8;

/// Alerts by which a server without our ciphers refuses a hello (RFC 8446 §6.2):
/// handshake_failure, unsupported_certificate, insufficient_security.
const REFUSALS: [u8; 3] = [40, 43, 71];

/// What speaks against the handshake so far.
#[derive(Default, Debug)]
pub(super) struct Doubt {
    /// What the session fails with, and when.
    verdict: Option<(Instant, DtlsFailure)>,
    /// The last alert that came without authentication.
    alert: Option<u8>,
    /// Flights of ours that were refused by an alert.
    refusals: u32,
    /// The flight that is out was refused.
    refused: bool,
    since: Option<Instant>,
    /// Handshakes that went wrong.
    errors: u32,
    /// How the last of them did.
    last: Option<DtlsFailure>,
}

impl Doubt {
    /// When the session fails, as things stand.
    pub(super) fn due(&self) -> Option<Instant> {
        self.verdict.as_ref().map(|(at, _)| *at)
    }

    /// What it fails with.
    pub(super) fn failure(&self) -> DtlsFailure {
        let verdict = self.verdict.as_ref().map(|(_, failure)| failure);
        let last = self.last.as_ref().filter(|_| self.errors >= MIN_ERRORS);
        let timed_out = DtlsFailure::TimedOut { alert: self.alert };
        verdict.or(last).cloned().unwrap_or(timed_out)
    }

    /// Somebody on the path proved to be an end with which it must fail.
    pub(super) fn met(&mut self, now: Instant, failure: DtlsFailure) {
        self.decide(now + GRACE, failure);
    }

    /// The earliest verdict holds; a later one waits for it.
    fn decide(&mut self, at: Instant, failure: DtlsFailure) {
        if self.due().is_none_or(|due| at < due) {
            self.verdict = Some((at, failure));
        }
    }

    /// An alert came that anybody could have sent. `refusable`: a hello of ours is out.
    pub(super) fn alert(&mut self, now: Instant, alert: u8, refusable: bool) {
        self.alert = Some(alert);
        if !refusable || self.refused || !REFUSALS.contains(&alert) {
            return;
        }
        self.refused = true;
        self.refusals = self.refusals.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        let grace = if self.refusals >= MIN_REFUSALS { GRACE } else { LONG_GRACE };
        let at = (since + grace).max(now);
        self.decide(at, DtlsFailure::Unsupported);
    }

    /// A flight of ours goes out.
    pub(super) fn flight(&mut self) {
        self.refused = false;
    }

    /// A server goes on with our hello: it does not refuse it.
    pub(super) fn accepted(&mut self) {
        (self.refusals, self.since) = (0, None);
        if self.verdict.as_ref().is_some_and(|(_, why)| *why == DtlsFailure::Unsupported) {
            self.verdict = None;
        }
    }

    /// A handshake went wrong.
    pub(super) fn error(&mut self, now: Instant, failure: DtlsFailure, passive: bool) {
        self.errors = self.errors.saturating_add(1);
        if passive && self.errors >= MIN_ERRORS {
            self.met(now, failure.clone());
        }
        self.last = Some(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DtlsFailure::{TimedOut, Unsupported};

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn refusals_count_once_for_each_flight_and_shorten_the_wait() {
        let mut doubt = Doubt::default();
        for now in [100, 110, 120, 130] {
            doubt.alert(at(now), 40, true);
        }
        assert_eq!((doubt.due(), doubt.failure()), (Some(at(6_100)), Unsupported));
        for now in [300, 600] {
            doubt.flight();
            doubt.alert(at(now), 40, true);
        }
        assert_eq!(doubt.due(), Some(at(4_100)));
        doubt.accepted();
        assert_eq!((doubt.due(), doubt.failure()), (None, TimedOut { alert: Some(40) }));
    }

    #[test]
    fn other_alerts_and_those_that_answer_no_hello_are_noted_only() {
        let mut doubt = Doubt::default();
        doubt.alert(at(100), 80, true);
        doubt.alert(at(100), 40, false);
        assert_eq!((doubt.due(), doubt.failure()), (None, TimedOut { alert: Some(40) }));
    }

    #[test]
    fn what_was_met_on_the_path_goes_before_an_alert_and_is_not_taken_back() {
        let mut doubt = Doubt::default();
        doubt.alert(at(100), 40, true);
        doubt.met(at(1_000), DtlsFailure::NoSrtpProfile);
        doubt.met(at(2_000), Unsupported);
        doubt.accepted();
        assert_eq!((doubt.due(), doubt.failure()), (Some(at(5_000)), DtlsFailure::NoSrtpProfile));
    }

    #[test]
    fn errors_with_strangers_count_when_there_are_many() {
        let failure = DtlsFailure::Handshake { reason: "it".into() };
        let mut doubt = Doubt::default();
        for now in 1..8 {
            doubt.error(at(now), failure.clone(), true);
            assert_eq!(doubt.due(), None);
        }
        assert_eq!(doubt.failure(), TimedOut { alert: None });
        doubt.error(at(8), failure.clone(), true);
        assert_eq!((doubt.due(), doubt.failure()), (Some(at(4_008)), failure));
    }
}
