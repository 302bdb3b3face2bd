//! The handshakes of a session: who is heard, who is believed, which of them becomes the
//! association.

use alloc::string::ToString;
use alloc::vec;
use core::net::SocketAddr;

use dimpl::{CryptoError, Dtls, Error, SecurityError};

use super::attempt::{Attempt, Said, Tools, lacks_certificate};
use super::session::{DtlsSession, MAX_DATAGRAM};
use super::{DtlsFailure, DtlsRole, DtlsState, Fingerprint, FingerprintHash, der, records};
use crate::crypto::srtp::wipe_stack;
use crate::time::{Duration, Instant};
use crate::util::count;

/// The pause before another handshake is begun after one that went wrong, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_DOUBLINGS: u32 = 4;
/// How long a handshake goes on, and another is begun, after two answers contradicted each other.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

impl DtlsSession {
    /// Active: begins a handshake.
    pub(super) fn say_hello(&mut self, now: Instant) {
        self.candidates.clear();
        if let Some(id) = self.add(now) {
            self.drive(now, id, |_| Ok(()));
        }
    }

    fn add(&mut self, now: Instant) -> Option<u64> {
        let dtls = self.instance(now)?;
        let (id, displaced) = self.candidates.add(Attempt::new(dtls, self.clock, now));
        if displaced {
            count(&mut self.counters.displaced);
        }
        Some(id)
    }

    pub(super) fn restart_if_due(&mut self, now: Instant) {
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            // Another random: who took the last hello for good must not take this for the same.
            self.reseed();
            self.say_hello(now);
        }
    }

    /// An alert that anybody could have sent.
    pub(super) fn hear_alert(&mut self, now: Instant, alert: u8) {
        count(&mut self.counters.forgeable_alerts);
        if self.chosen.is_none() {
            let refusable = self.role == DtlsRole::Active && !self.candidates.is_empty();
            self.doubt.alert(now, alert, refusable);
        }
    }

    /// A datagram for an active session whose handshake is under way.
    pub(super) fn hear_server(&mut self, now: Instant, from: Option<SocketAddr>, datagram: &[u8]) {
        let id = self.candidates.ids().pop();
        let Some((id, attempt)) = id.and_then(|id| Some((id, self.candidates.get_mut(id)?))) else {
            return count(&mut self.counters.ignored);
        };
        if let Some(answer) = records::server_answer(datagram) {
            if !attempt.answers.take(answer) {
                // Which is the peer's? A forged one cannot come to an end: if this does not, another
                // hello asks again.
                self.restart_at.get_or_insert(now + CONFLICT_PAUSE);
                return count(&mut self.counters.rival_answers);
            }
            attempt.path = attempt.path.or(from);
            if answer.goes_on() {
                self.doubt.accepted();
            }
        } else if attempt.is_unanswered() {
            // dimpl gives up at anything but an answer.
            return count(&mut self.counters.unexpected);
        }
        if attempt.path != from {
            return count(&mut self.counters.unexpected);
        }
        self.feed(now, id, datagram);
    }

    /// A datagram for a passive session that has no association yet.
    pub(super) fn hear_client(&mut self, now: Instant, from: Option<SocketAddr>, datagram: &[u8]) {
        if let Some(random) = records::client_hello_random(datagram) {
            let known = self.candidates.of_client(random);
            let proven = known.and_then(|id| self.candidates.get(id)).is_some_and(|a| a.proven);
            if !proven && self.candidates.is_exhausted(now) {
                return count(&mut self.counters.refused_hellos);
            }
            if known.is_none() && !self.candidates.is_empty() {
                count(&mut self.counters.rival_hellos);
            }
            let Some(id) = known.or_else(|| self.add(now)) else { return };
            if let Some(attempt) = self.candidates.get_mut(id).filter(|_| !proven) {
                (attempt.client, attempt.path) = (Some(random), from);
            }
            return self.feed(now, id, datagram);
        }
        let ids = self.candidates.on_path(from, records::has_client_hello(datagram));
        if ids.is_empty() {
            count(&mut self.counters.unexpected);
        }
        for id in ids {
            if self.chosen.is_none() {
                self.feed(now, id, datagram);
            }
        }
    }

    pub(super) fn feed(&mut self, now: Instant, id: u64, datagram: &[u8]) {
        self.drive(now, id, |dtls| dtls.handle_packet(datagram));
    }

    pub(super) fn say_goodbye(&mut self, now: Instant, id: u64) {
        self.drive(now, id, Dtls::close);
    }

    pub(super) fn retransmit(&mut self, now: Instant) {
        for id in self.candidates.ids() {
            if self.candidates.get(id).is_some_and(|attempt| attempt.is_stalled(now)) {
                self.candidates.remove(id);
                count(&mut self.counters.stalled);
            }
            self.run(now, id, |attempt, tools| attempt.handle_timeout(now, tools));
        }
    }

    fn drive(&mut self, now: Instant, id: u64, input: impl FnOnce(&mut Dtls) -> Result<(), Error>) {
        self.run(now, id, |attempt, tools| Some(attempt.drive(now, tools, input)));
    }

    fn run(
        &mut self,
        now: Instant,
        id: u64,
        act: impl FnOnce(&mut Attempt, &mut Tools<'_>) -> Option<Result<Said, (Said, Error)>>,
    ) {
        let Some(attempt) = self.candidates.get_mut(id) else { return };
        let mut tools = Tools {
            role: self.role,
            rng: &mut self.rng,
            key: self.identity.key(),
            vault: &mut self.vault,
            buffer: &mut self.buffer,
        };
        match act(attempt, &mut tools) {
            Some(Ok(said)) => self.apply(now, id, said),
            Some(Err((said, error))) => {
                self.send(id, said);
                self.give_up(now, id, &error);
            }
            None => {}
        }
    }

    fn send(&mut self, id: u64, said: Said) {
        let path = self.candidates.get(id).and_then(|attempt| attempt.path);
        if !said.packets.is_empty() {
            self.doubt.flight();
        }
        for packet in said.packets {
            self.outgoing.push((path, packet));
        }
    }

    fn apply(&mut self, now: Instant, id: u64, said: Said) {
        let more = &mut self.counters.application_data;
        *more = more.saturating_add(said.application_data);
        if said.proven && self.candidates.prove(now, id) {
            count(&mut self.counters.displaced);
        }
        if said.certificate && self.chosen.is_none() && !self.is_announced(now, id) {
            // It gets no answer.
            return;
        }
        let closed = said.closed;
        self.send(id, said);
        if self.chosen.is_none() && self.candidates.get(id).is_some_and(|a| a.version.is_some()) {
            self.choose(id);
        }
        match closed {
            true if self.chosen == Some(id) => self.end(match self.state {
                DtlsState::Established { .. } => DtlsState::Closed,
                _ => DtlsState::Failed(DtlsFailure::Closed),
            }),
            true => self.give_up(now, id, &Error::ConnectionClosed),
            false => {}
        }
    }

    /// A certificate came. False if it is not the one that signalling announced: whoever has it is
    /// not the peer, and is left.
    fn is_announced(&mut self, now: Instant, id: u64) -> bool {
        let attempt = self.candidates.get(id);
        let Some(peer) = attempt.and_then(|attempt| attempt.peer.as_deref()) else { return true };
        let Some(expected) = &self.expected else { return true };
        if expected.find(peer).is_some() {
            // Should it have been forged, the handshake goes wrong now, and is begun anew for that.
            self.restart_at = None;
            if der::public_key(peer).is_none() {
                self.doubt.met(now, DtlsFailure::Unsupported);
            }
            return true;
        }
        let presented = Fingerprint::of(FingerprintHash::Sha256, peer);
        self.doubt.met(now, DtlsFailure::FingerprintMismatch { presented });
        count(&mut self.counters.wrong_certificates);
        self.drop_attempt(now, id);
        false
    }

    /// A handshake is complete: it is the association, and the others are forgotten.
    fn choose(&mut self, id: u64) {
        self.chosen = Some(id);
        self.candidates.keep_only(id);
        (self.deadline, self.restart_at) = (None, None);
        self.doubt = Default::default();
        self.vault = None;
        wipe_stack();
        // No more certificates: what is read from now on is no longer than a datagram.
        self.buffer = vec![0; MAX_DATAGRAM];
        self.judge();
    }

    /// Compares what the handshake gave with what signalling announced.
    pub(super) fn judge(&mut self) {
        if !matches!(self.state, DtlsState::Handshaking | DtlsState::AwaitingFingerprint) {
            return;
        }
        let chosen = self.chosen.and_then(|id| self.candidates.get_mut(id));
        let Some(Attempt { peer: Some(peer), keys, version: Some(version), .. }) = chosen else {
            return;
        };
        match (keys.take(), self.expected.as_ref().map(|expected| expected.find(peer))) {
            (_, Some(None)) => {
                let presented = Fingerprint::of(FingerprintHash::Sha256, peer);
                self.end(DtlsState::Failed(DtlsFailure::FingerprintMismatch { presented }));
            }
            (None, _) => self.end(DtlsState::Failed(DtlsFailure::NoSrtpProfile)),
            (held, None) => {
                *keys = held;
                self.state = DtlsState::AwaitingFingerprint;
            }
            (Some(keys), Some(Some(fingerprint))) => {
                self.state = DtlsState::Established { keys, fingerprint, version: *version };
            }
        }
    }

    /// dimpl cannot go on with a handshake.
    fn give_up(&mut self, now: Instant, id: u64, error: &Error) {
        count(&mut self.counters.errors);
        if self.chosen == Some(id) {
            // Nothing is lost but the answer to a retransmission. The certificate is kept.
            if let Some(attempt) = self.candidates.get_mut(id) {
                attempt.retire();
            }
            return;
        }
        let proven = self.candidates.get(id).is_some_and(|attempt| attempt.proven);
        if lacks_our_curves(error) {
            self.doubt.met(now, DtlsFailure::Unsupported);
        } else if proven || self.role == DtlsRole::Active {
            let failure = DtlsFailure::Handshake { reason: error.to_string() };
            self.doubt.error(now, failure, self.role == DtlsRole::Passive);
        }
        self.drop_attempt(now, id);
    }

    /// Leaves a handshake; an active session begins another one soon.
    fn drop_attempt(&mut self, now: Instant, id: u64) {
        self.candidates.remove(id);
        if self.role == DtlsRole::Active {
            let doublings = self.tries.min(MAX_DOUBLINGS);
            self.tries = self.tries.saturating_add(1);
            let pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(1));
            self.restart_at = Some(now + pause);
        }
    }
}

/// True if a client had no certificate that we asked for, or no cipher suite of ours; both only
/// after it returned its cookie.
fn lacks_our_curves(error: &Error) -> bool {
    lacks_certificate(error)
        || matches!(
            error,
            Error::SecurityError(SecurityError::NoMutuallyAcceptableCipherSuite)
                | Error::CryptoError(CryptoError::CertificateParseFailed)
        )
}
