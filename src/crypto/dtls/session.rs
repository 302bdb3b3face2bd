//! One DTLS-SRTP association: what goes in and out, and when it ends. The handshakes that may lead
//! to it are in [`handshakes`](super::handshakes).

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use std::sync::Arc;

use dimpl::Config;

use super::candidates::Candidates;
use super::config::{self, Clock};
use super::doubt::Doubt;
use super::lend::{Ratchet, lend};
use super::vault::Vault;
use super::{
    DtlsCounters, DtlsFailure, DtlsIdentity, DtlsRole, DtlsState, DtlsVersions, Fingerprints,
    records,
};
use crate::time::Instant;
use crate::util::{BoundedQueue, Rng, RngExt, count};

/// The largest datagram that is taken in. Ours are at most 1200 bytes.
pub const MAX_DATAGRAM: usize = 2_048;
/// Datagrams that wait to be polled.
const MAX_QUEUED: usize = 64;
/// Room for any certificate that fits into dimpl's queue of received records.
const HANDSHAKE_BUFFER: usize = 64 * 1024;

/// A DTLS-SRTP association with one peer address; see the [module](super).
pub struct DtlsSession {
    pub(super) role: DtlsRole,
    versions: DtlsVersions,
    pub(super) identity: DtlsIdentity,
    pub(super) expected: Option<Fingerprints>,
    pub(super) rng: Ratchet,
    /// The secrets that dimpl works with; `None` once there are keys.
    pub(super) vault: Option<Vault>,
    pub(super) clock: Clock,
    /// `None` after the end.
    pub(super) config: Option<Arc<Config>>,
    /// None in the pause after an error, before a client says hello, and after the end.
    pub(super) candidates: Candidates,
    /// The one that has come to its end, and is the association.
    pub(super) chosen: Option<u64>,
    pub(super) buffer: Vec<u8>,
    /// Each with where to, if that was told.
    pub(super) outgoing: BoundedQueue<(Option<SocketAddr>, Vec<u8>)>,
    /// Active: when the handshake is given up.
    pub(super) deadline: Option<Instant>,
    pub(super) restart_at: Option<Instant>,
    /// Active: handshakes that were left.
    pub(super) tries: u32,
    pub(super) doubt: Doubt,
    pub(super) state: DtlsState,
    pub(super) counters: DtlsCounters,
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
            candidates: Candidates::default(),
            chosen: None,
            buffer: vec![0; HANDSHAKE_BUFFER],
            outgoing: BoundedQueue::new(MAX_QUEUED),
            deadline: (role == DtlsRole::Active).then(|| now + config::HANDSHAKE_TIMEOUT),
            restart_at: None,
            tries: 0,
            doubt: Doubt::default(),
            state: DtlsState::Handshaking,
            counters: DtlsCounters::default(),
        };
        session.configure();
        if role == DtlsRole::Active {
            session.say_hello(now);
        }
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
        self.candidates.get(self.chosen?)?.peer.as_deref()
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
        self.handle_datagram_from(now, None, datagram);
    }

    /// Takes a datagram of somebody who may be the peer: each answer goes to where it came from.
    pub(crate) fn handle_datagram_from(
        &mut self,
        now: Instant,
        from: Option<SocketAddr>,
        datagram: &[u8],
    ) {
        self.restart_if_due(now);
        let counters = &mut self.counters;
        let reason = if datagram.len() > MAX_DATAGRAM {
            Some(&mut counters.oversized)
        } else if !records::is_dtls(datagram) {
            Some(&mut counters.not_dtls)
        } else if self.config.is_none() {
            Some(&mut counters.ignored)
        } else if self.chosen.is_some() && records::has_client_hello(datagram) {
            Some(&mut counters.late_hellos)
        } else {
            None
        };
        if let Some(counter) = reason {
            return count(counter);
        }
        let (datagram, alert) = records::before_forgeable_alert(datagram);
        if let Some(alert) = alert {
            self.hear_alert(now, alert);
        }
        match (self.chosen, self.role) {
            _ if datagram.is_empty() => {}
            (Some(id), _) => self.feed(now, id, datagram),
            (None, DtlsRole::Active) => self.hear_server(now, from, datagram),
            (None, DtlsRole::Passive) => self.hear_client(now, from, datagram),
        }
    }

    /// True if [`poll_output`](Self::poll_output) has a datagram.
    pub fn has_output(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Copies the next datagram for the peer into `buf` (1200 bytes are always enough) and
    /// returns its length; `None` if there is none. To be called until `None` after each input.
    pub fn poll_output(&mut self, buf: &mut [u8]) -> Option<usize> {
        self.poll_output_to(buf).map(|(_, len)| len)
    }

    /// The same with where it goes, if that was told with what it answers.
    pub(crate) fn poll_output_to(&mut self, buf: &mut [u8]) -> Option<(Option<SocketAddr>, usize)> {
        loop {
            let (to, datagram) = self.outgoing.pop()?;
            match buf.get_mut(..datagram.len()) {
                Some(slot) => {
                    slot.copy_from_slice(&datagram);
                    return Some((to, datagram.len()));
                }
                None => count(&mut self.counters.unsent),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        let own = [self.restart_at, self.deadline, self.doubt.due()];
        let candidates = self.candidates.iter().filter_map(super::attempt::Attempt::next_timeout);
        own.into_iter().flatten().chain(candidates).min()
    }

    /// Retransmits or gives up, if it is time for either.
    pub fn handle_timeout(&mut self, now: Instant) {
        if [self.deadline, self.doubt.due()].into_iter().flatten().any(|at| at <= now) {
            let failure = self.doubt.failure();
            return self.end(DtlsState::Failed(failure));
        }
        self.restart_if_due(now);
        self.retransmit(now);
    }

    /// Ends the association: a `close_notify` goes out if it was established.
    pub fn close(&mut self, now: Instant) {
        if matches!(self.state, DtlsState::Failed(_) | DtlsState::Closed) {
            return;
        }
        if let Some(id) = self.chosen {
            self.say_goodbye(now, id);
        }
        self.end(DtlsState::Closed);
    }

    fn configure(&mut self) {
        self.reseed();
        if let Some(config) = self.config.clone() {
            self.align_clock(&config);
        }
    }

    /// Gives the instances of dimpl to come other randoms: they draw theirs from a seed, all the
    /// same.
    pub(super) fn reseed(&mut self) {
        let seed = self.rng.next_u64();
        match lend(&mut self.rng, self.identity.key(), || config::settings(seed)) {
            Ok(config) => self.config = Some(config),
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

    /// The end, of whatever kind: nothing secret is kept.
    pub(super) fn end(&mut self, state: DtlsState) {
        self.state = state;
        self.vault = None;
        self.config = None;
        self.candidates.clear();
        self.chosen = None;
        self.deadline = None;
        self.restart_at = None;
        self.doubt = Doubt::default();
        self.buffer = Vec::new();
    }

    /// Makes an instance of dimpl with its clock.
    pub(super) fn instance(&mut self, now: Instant) -> Option<dimpl::Dtls> {
        let config = self.config.as_ref()?;
        let std_now = self.clock.to_std(now);
        let (role, versions, identity) = (self.role, self.versions, &self.identity);
        Some(lend(&mut self.rng, identity.key(), || {
            config::instance(config, role, versions, identity.certificate(), std_now)
        }))
    }
}

impl core::fmt::Debug for DtlsSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DtlsSession")
            .field("role", &self.role)
            .field("identity", &self.identity)
            .field("expected", &self.expected)
            .field("state", &self.state)
            .field("doubt", &self.doubt)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
