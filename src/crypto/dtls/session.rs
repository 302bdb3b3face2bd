//! One DTLS-SRTP association.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::sync::Arc;

use dimpl::{Config, Dtls, Error, Output, ProtocolVersion, TimeoutError};

use super::config::{self, Clock, DimplTime};
use super::keys::{self, DtlsSrtpKeys};
use super::lend::{self, Ratchet, lend, lend_all};
use super::rivals::{Rivals, Route};
use super::vault::Vault;
use super::{DtlsIdentity, Fingerprint, FingerprintHash, Fingerprints, records};
use crate::crypto::srtp::wipe_stack;
use crate::time::{Duration, Instant};
use crate::util::{BoundedQueue, Rng, RngExt};

/// The largest datagram that is taken in. Ours are at most 1200 bytes.
pub const MAX_DATAGRAM: usize = 2_048;
/// Handshakes that are begun at most: an error may have been an attacker's doing, so a session
/// tries again, after a pause that doubles.
const MAX_ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Datagrams that wait to be polled.
const MAX_QUEUED: usize = 64;
/// Outputs of dimpl taken after one input; it has far fewer.
const MAX_OUTPUTS: usize = 256;
/// Room for any certificate that fits into dimpl's queue of received records.
const HANDSHAKE_BUFFER: usize = 64 * 1024;

/// Which end sends the ClientHello (RFC 5763 §5, `a=setup`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DtlsRole {
    /// `a=setup:active`: the client.
    Active,
    /// `a=setup:passive`: the server.
    Passive,
}

/// Which versions of the protocol are offered and accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum DtlsVersions {
    /// DTLS 1.3 where the peer has it, else 1.2.
    #[default]
    All,
    /// DTLS 1.2 (RFC 6347) only.
    Only12,
    /// DTLS 1.3 (RFC 9147) only.
    Only13,
}

/// The version that was negotiated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum DtlsVersion {
    /// RFC 6347.
    Dtls12,
    /// RFC 9147.
    Dtls13,
}

/// Why a session failed. None of its keys was given out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DtlsFailure {
    /// The peer's certificate is not the one that signalling announced: someone else answered.
    #[error("the certificate on the media path is not the signalled one, but has {presented}")]
    FingerprintMismatch {
        /// The fingerprint of the certificate that was presented.
        presented: Fingerprint,
    },
    /// The peer took none of our SRTP profiles.
    #[error("the peer has none of our SRTP protection profiles")]
    NoSrtpProfile,
    /// The peer did not answer, or not to the end.
    #[error("the DTLS handshake timed out")]
    TimedOut {
        /// The last alert that came without authentication (RFC 8446 §6.2): perhaps the peer's
        /// reason, perhaps an attacker's.
        alert: Option<u8>,
    },
    /// The handshake went wrong again and again.
    #[error("the DTLS handshake failed: {reason}")]
    Handshake {
        /// What went wrong the last time.
        reason: String,
    },
    /// The peer ended the association before it was established.
    #[error("the peer closed the DTLS association before it was established")]
    Closed,
}

/// Where a session stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DtlsState {
    /// The handshake is under way, or (passive) has not begun.
    Handshaking,
    /// The handshake is complete, but no fingerprint came from signalling yet; the keys are held.
    AwaitingFingerprint,
    /// The peer proved to have the certificate that signalling announced.
    Established {
        /// The SRTP keys of both directions, with their profile.
        keys: DtlsSrtpKeys,
        /// The fingerprint from signalling that matched.
        fingerprint: Fingerprint,
        /// The version of DTLS.
        version: DtlsVersion,
    },
    /// It will not come to keys.
    Failed(DtlsFailure),
    /// The association ended after it had been established.
    Closed,
}

/// What arrived and was not part of the handshake, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct DtlsCounters {
    /// Longer than [`MAX_DATAGRAM`].
    pub oversized: u64,
    /// Not DTLS by the first byte (RFC 7983).
    pub not_dtls: u64,
    /// No answer to our first ClientHello.
    pub unexpected: u64,
    /// A ClientHello after the handshake.
    pub late_hellos: u64,
    /// A ClientHello of somebody else, after a client had returned its cookie.
    pub rival_hellos: u64,
    /// An alert that anybody could have sent.
    pub forgeable_alerts: u64,
    /// While there was no association: after the end, or in the pause after an error.
    pub ignored: u64,
    /// What made dimpl give an attempt up.
    pub errors: u64,
    /// Application data, which DTLS-SRTP has no use for.
    pub application_data: u64,
    /// Own datagrams lost: not polled in time, or into too small a buffer.
    pub unsent: u64,
}

/// What dimpl said in answer to one input.
#[derive(Default)]
struct Answer {
    timer: Option<DimplTime>,
    peer: Option<Vec<u8>>,
    keys: Option<DtlsSrtpKeys>,
    connected: bool,
    closed: bool,
    /// A ServerHello went out: the client returned its cookie.
    proven: bool,
}

/// A DTLS-SRTP association with one peer address; see the [module](super).
pub struct DtlsSession {
    role: DtlsRole,
    versions: DtlsVersions,
    identity: DtlsIdentity,
    expected: Option<Fingerprints>,
    rng: Ratchet,
    /// The secrets that dimpl works with; `None` once there are keys.
    vault: Option<Vault>,
    clock: Clock,
    /// `None` after the end.
    config: Option<Arc<Config>>,
    /// `None` in the pause after an error, and after the end.
    dtls: Option<Dtls>,
    rivals: Rivals,
    buffer: Vec<u8>,
    outgoing: BoundedQueue<Vec<u8>>,
    /// When dimpl wants to be woken up, in its time and in ours.
    wanted: Option<DimplTime>,
    timer: Option<Instant>,
    /// When the handshake is given up.
    deadline: Option<Instant>,
    restart_at: Option<Instant>,
    attempts: u32,
    alert: Option<u8>,
    peer: Option<Vec<u8>>,
    /// Keys that are held until a fingerprint was checked.
    held: Option<DtlsSrtpKeys>,
    /// The version, once the handshake is complete.
    connected: Option<DtlsVersion>,
    state: DtlsState,
    counters: DtlsCounters,
}

impl DtlsSession {
    /// Begins: an active session has its ClientHello to be polled at once, a passive one waits
    /// for the peer's, for as long as it takes. `expected` is what signalling announced of the
    /// peer, if it already did. All later randomness is drawn from what `rng` gives here.
    pub fn new(
        role: DtlsRole,
        versions: DtlsVersions,
        identity: &DtlsIdentity,
        expected: Option<Fingerprints>,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Self {
        let mut session = Self {
            role,
            versions,
            identity: identity.clone(),
            expected,
            rng: Ratchet::new(rng),
            vault: Some(Vault::new()),
            clock: Clock::new(now),
            config: None,
            dtls: None,
            rivals: Rivals::default(),
            buffer: vec![0; HANDSHAKE_BUFFER],
            outgoing: BoundedQueue::new(MAX_QUEUED),
            wanted: None,
            timer: None,
            deadline: (role == DtlsRole::Active).then(|| now + config::HANDSHAKE_TIMEOUT),
            restart_at: None,
            attempts: 0,
            alert: None,
            peer: None,
            held: None,
            connected: None,
            state: DtlsState::Handshaking,
            counters: DtlsCounters::default(),
        };
        session.configure();
        session.start(now);
        session
    }

    /// Where the session stands.
    pub fn state(&self) -> &DtlsState {
        &self.state
    }

    /// Our end's role.
    pub fn role(&self) -> DtlsRole {
        self.role
    }

    /// The peer's certificate (DER), once it proved to have its key. It says who is on the
    /// media path; only [`DtlsState::Established`] says that it is whom signalling announced.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.peer.as_deref().filter(|_| self.connected.is_some())
    }

    /// True if these fingerprints, of a later offer or answer, stand for the peer that we have:
    /// the association can be kept (RFC 5763 §6.6). Otherwise a new session is needed.
    pub fn accepts(&self, fingerprints: &Fingerprints) -> bool {
        self.peer_certificate().is_some_and(|peer| fingerprints.find(peer).is_some())
    }

    /// What arrived and was not part of the handshake.
    pub fn counters(&self) -> DtlsCounters {
        let unsent = self.counters.unsent.saturating_add(self.outgoing.dropped());
        DtlsCounters { unsent, ..self.counters }
    }

    /// Tells what signalling announced of the peer. Before the session is established only:
    /// later ones are compared with [`accepts`](Self::accepts).
    pub fn set_remote_fingerprints(&mut self, expected: Fingerprints) {
        if matches!(self.state, DtlsState::Handshaking | DtlsState::AwaitingFingerprint) {
            self.expected = Some(expected);
            self.judge();
        }
    }

    /// Takes a datagram that came from the peer's address.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.restart_if_due(now);
        let mut datagram = datagram;
        let counters = &mut self.counters;
        let reason = if datagram.len() > MAX_DATAGRAM {
            Some(&mut counters.oversized)
        } else if !records::is_dtls(datagram) {
            Some(&mut counters.not_dtls)
        } else {
            match &self.dtls {
                None => Some(&mut counters.ignored),
                Some(_) if self.connected.is_some() && records::has_client_hello(datagram) => {
                    Some(&mut counters.late_hellos)
                }
                // The version is not known: dimpl gives up at anything but an answer.
                Some(dtls)
                    if self.role == DtlsRole::Active
                        && dtls.protocol_version().is_none()
                        && !records::starts_with_server_answer(datagram) =>
                {
                    Some(&mut counters.unexpected)
                }
                Some(_) => None,
            }
        };
        if let Some(count) = reason {
            *count = count.saturating_add(1);
            return;
        }
        if let (before, Some(alert)) = records::before_forgeable_alert(datagram) {
            self.counters.forgeable_alerts = self.counters.forgeable_alerts.saturating_add(1);
            self.alert = Some(alert);
            datagram = before;
        }
        if self.is_for_us(now, datagram) {
            self.drive(now, |dtls| dtls.handle_packet(datagram));
        }
    }

    /// Finds the instance of dimpl for a datagram; `false` if there is none.
    fn is_for_us(&mut self, now: Instant, datagram: &[u8]) -> bool {
        if self.role == DtlsRole::Passive
            && let Some(random) = records::client_hello_random(datagram)
        {
            match self.rivals.route(random, &mut self.dtls) {
                Route::Current => {}
                Route::New => self.renew(now),
                Route::Refused => {
                    self.counters.rival_hellos = self.counters.rival_hellos.saturating_add(1);
                    return false;
                }
            }
        }
        !datagram.is_empty()
    }

    /// True if [`poll_output`](Self::poll_output) has a datagram.
    pub fn has_output(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Copies the next datagram for the peer into `buf` (1200 bytes are always enough) and
    /// returns its length; `None` if there is none. To be called until `None` after each input.
    pub fn poll_output(&mut self, buf: &mut [u8]) -> Option<usize> {
        loop {
            let datagram = self.outgoing.pop()?;
            match buf.get_mut(..datagram.len()) {
                Some(slot) => {
                    slot.copy_from_slice(&datagram);
                    return Some(datagram.len());
                }
                None => self.counters.unsent = self.counters.unsent.saturating_add(1),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.restart_at.into_iter().chain(self.timer).chain(self.deadline).min()
    }

    /// Retransmits or gives up, if it is time for either.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            return self.give_up(now, &Error::Timeout(TimeoutError::Connect));
        }
        self.restart_if_due(now);
        if self.timer.is_some_and(|at| at <= now) {
            if let Some(wanted) = self.wanted {
                self.clock.skip_to(wanted, now);
            }
            self.drive(now, |_| Ok(()));
        }
    }

    /// Ends the association: a `close_notify` goes out if it was established.
    pub fn close(&mut self, now: Instant) {
        if matches!(self.state, DtlsState::Failed(_) | DtlsState::Closed) {
            return;
        }
        self.drive(now, Dtls::close);
        self.end(DtlsState::Closed);
    }

    fn configure(&mut self) {
        let seed = self.rng.next_u64();
        match lend(&mut self.rng, self.identity.key(), || config::settings(seed)) {
            Ok(config) => {
                self.align_clock(&config);
                self.config = Some(config);
            }
            Err(error) => {
                self.end(DtlsState::Failed(DtlsFailure::Handshake { reason: error.to_string() }));
            }
        }
    }

    /// What DTLS 1.2 tells of the time is drawn at random and not the operating system's: it is of
    /// no use to the peer, and a seed gives the same hellos again.
    fn align_clock(&mut self, config: &Arc<Config>) {
        if self.versions == DtlsVersions::Only13 {
            return;
        }
        let seconds = self.rng.next_u32();
        // What is tried out draws from a generator of its own.
        let mut rng = Ratchet::new(&mut self.rng);
        let certificate = self.identity.certificate();
        let mut buffer = vec![0; MAX_DATAGRAM];
        let key = self.identity.key();
        let clock = &mut self.clock;
        // Should it fail, the hellos show the time: the handshake works all the same.
        let _ = lend(&mut rng, key, || {
            clock.align(seconds, |at| config::written_time(config, certificate, at, &mut buffer))
        });
    }

    /// Begins another attempt.
    fn start(&mut self, now: Instant) {
        self.attempts = self.attempts.saturating_add(1);
        self.renew(now);
    }

    /// Makes a fresh instance of dimpl.
    fn renew(&mut self, now: Instant) {
        let Some(config) = &self.config else { return };
        let std_now = self.clock.to_std(now);
        let (role, versions, identity) = (self.role, self.versions, &self.identity);
        self.dtls = Some(lend(&mut self.rng, identity.key(), || {
            config::instance(config, role, versions, identity.certificate(), std_now)
        }));
        // A passive one has nothing to say yet; it gets the time with its first datagram.
        if role == DtlsRole::Active {
            self.drive(now, |_| Ok(()));
        }
    }

    fn restart_if_due(&mut self, now: Instant) {
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            self.start(now);
        }
    }

    /// Gives dimpl the time and an input, and takes what it says.
    fn drive(&mut self, now: Instant, input: impl FnOnce(&mut Dtls) -> Result<(), Error>) {
        let Some(dtls) = &mut self.dtls else { return };
        let (role, std_now) = (self.role, self.clock.to_std(now));
        let (buffer, outgoing, counters) =
            (&mut self.buffer, &mut self.outgoing, &mut self.counters);
        let result = lend_all(&mut self.rng, self.identity.key(), &mut self.vault, || {
            dtls.handle_timeout(std_now)?;
            input(dtls)?;
            Ok(drain(dtls, role, buffer, outgoing, counters))
        });
        match result {
            Ok(answer) => self.apply(now, answer),
            Err(error) => self.give_up(now, &error),
        }
    }

    fn apply(&mut self, now: Instant, answer: Answer) {
        if answer.timer != self.wanted || self.timer.is_none_or(|at| at <= now) {
            self.wanted = answer.timer;
            self.timer = answer.timer.and_then(|at| self.clock.timer(at, now));
        }
        self.peer = answer.peer.or(self.peer.take());
        self.held = answer.keys.or(self.held.take());
        if answer.connected && self.connected.is_none() {
            self.connected = match self.dtls.as_ref().and_then(Dtls::protocol_version) {
                Some(ProtocolVersion::DTLS1_3) => Some(DtlsVersion::Dtls13),
                _ => Some(DtlsVersion::Dtls12),
            };
            self.deadline = None;
            self.vault = None;
            wipe_stack();
            // No more certificates: what is read from now on is no longer than a datagram.
            self.buffer = vec![0; MAX_DATAGRAM];
        }
        if answer.proven && !self.rivals.proven() {
            self.rivals.prove();
            self.deadline = Some(now + config::HANDSHAKE_TIMEOUT);
        }
        self.judge();
        if answer.closed {
            self.end(match self.state {
                DtlsState::Established { .. } => DtlsState::Closed,
                _ => DtlsState::Failed(DtlsFailure::Closed),
            });
        }
    }

    /// Compares what the handshake gave with what signalling announced.
    fn judge(&mut self) {
        if !matches!(self.state, DtlsState::Handshaking | DtlsState::AwaitingFingerprint) {
            return;
        }
        let Some(peer) = &self.peer else { return };
        let matched = self.expected.as_ref().map(|expected| expected.find(peer));
        if matched == Some(None) {
            let presented = Fingerprint::of(FingerprintHash::Sha256, peer);
            return self.end(DtlsState::Failed(DtlsFailure::FingerprintMismatch { presented }));
        }
        let Some(version) = self.connected else { return };
        match (self.held.take(), matched.flatten()) {
            (None, _) => self.end(DtlsState::Failed(DtlsFailure::NoSrtpProfile)),
            (keys, None) => {
                self.held = keys;
                self.state = DtlsState::AwaitingFingerprint;
            }
            (Some(keys), Some(fingerprint)) => {
                self.state = DtlsState::Established { keys, fingerprint, version };
            }
        }
    }

    /// dimpl cannot go on.
    fn give_up(&mut self, now: Instant, error: &Error) {
        self.counters.errors = self.counters.errors.saturating_add(1);
        self.dtls = None;
        self.wanted = None;
        self.timer = None;
        if self.connected.is_some() {
            // Nothing is lost but the answer to a retransmission.
            return;
        }
        let timed_out = matches!(error, Error::Timeout(_));
        let proven = self.rivals.proven();
        self.rivals.forget_current();
        if self.role == DtlsRole::Passive {
            self.deadline = None;
        }
        if self.role == DtlsRole::Passive && !proven {
            // Whoever sent that hello need not be the peer.
            return self.renew(now);
        }
        if timed_out && self.role == DtlsRole::Active {
            let alert = self.alert;
            self.end(DtlsState::Failed(DtlsFailure::TimedOut { alert }));
        } else if self.attempts >= MAX_ATTEMPTS {
            self.end(DtlsState::Failed(DtlsFailure::Handshake { reason: error.to_string() }));
        } else {
            self.peer = None;
            self.held = None;
            let doublings = self.attempts.saturating_sub(1).min(5);
            let pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(1));
            self.restart_at = Some(now + pause);
        }
    }

    /// The end, of whatever kind: nothing secret is kept.
    fn end(&mut self, state: DtlsState) {
        self.state = state;
        self.held = None;
        self.vault = None;
        self.config = None;
        self.dtls = None;
        self.rivals = Rivals::default();
        self.wanted = None;
        self.timer = None;
        self.deadline = None;
        self.restart_at = None;
        self.buffer = Vec::new();
    }
}

/// Takes all that dimpl has to say.
fn drain(
    dtls: &mut Dtls,
    role: DtlsRole,
    buffer: &mut [u8],
    outgoing: &mut BoundedQueue<Vec<u8>>,
    counters: &mut DtlsCounters,
) -> Answer {
    let mut answer = Answer::default();
    for _ in 0..MAX_OUTPUTS {
        match dtls.poll_output(buffer) {
            Output::Packet(datagram) => {
                answer.proven |= records::is_server_hello(datagram);
                outgoing.push(datagram.to_vec());
            }
            Output::PeerCert(certificate) => answer.peer = Some(certificate.to_vec()),
            Output::Connected => answer.connected = true,
            Output::KeyingMaterial(material, profile) => {
                let suite = keys::suite_of(profile);
                let len = material.len();
                let material = lend::vault(|vault, _| vault.exported(len)).unwrap_or_default();
                answer.keys = suite
                    .and_then(|suite| DtlsSrtpKeys::split(role, suite, material.expose()).ok());
            }
            Output::ApplicationData(_) => {
                counters.application_data = counters.application_data.saturating_add(1);
            }
            Output::CloseNotify => answer.closed = true,
            Output::Timeout(at) => {
                answer.timer = Some(at);
                break;
            }
            // No output is longer than the buffer.
            _ => break,
        }
    }
    answer
}

impl core::fmt::Debug for DtlsSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DtlsSession")
            .field("role", &self.role)
            .field("identity", &self.identity)
            .field("expected", &self.expected)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
