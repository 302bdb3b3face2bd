//! Who is the client? A ClientHello proves nothing until its cookie comes back (RFC 6347 §4.2.1,
//! RFC 9147 §5.1), and a cookie proves an address and no more. So a passive session has a handshake
//! of its own with each client that says hello, told apart by the random of the hello, until one of
//! them has proven to have the certificate that signalling announced. What they may cost is bounded
//! here: so many handshakes are kept, and so many key exchanges are made.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::attempt::Attempt;
use super::records::HelloRandom;
use crate::time::{Duration, Instant};

/// Handshakes of a session at most, of which all but [`MAX_PROVEN`] are with clients that did not
/// return a cookie yet. Of too many the oldest goes.
pub(super) const MAX_CANDIDATES: usize = 16;
/// Unfinished handshakes with clients that returned their cookie.
pub(super) const MAX_PROVEN: usize = 4;
/// Key exchanges that a session makes in one go for whoever returns a cookie.
const MAX_EXCHANGES: u64 = 16;
/// And after those one in this time.
const EXCHANGE_PAUSE: Duration = Duration::from_millis(500);

/// The handshakes of a session; an active one has at most one.
#[derive(Default)]
pub(super) struct Candidates {
    /// With their numbers, oldest first.
    all: Vec<(u64, Attempt)>,
    next: u64,
    /// Key exchanges since `since`.
    exchanges: u64,
    since: Instant,
}

impl Candidates {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.all = Vec::new();
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.all.iter().map(|(id, _)| *id).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.all.iter().map(|(_, attempt)| attempt)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Attempt> {
        self.all.iter().find(|(known, _)| *known == id).map(|(_, attempt)| attempt)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Attempt> {
        self.all.iter_mut().find(|(known, _)| *known == id).map(|(_, attempt)| attempt)
    }

    /// The handshake with the client of this hello.
    pub(super) fn of_client(&self, random: HelloRandom) -> Option<u64> {
        let found = self.all.iter().find(|(_, attempt)| attempt.client == Some(random));
        found.map(|(id, _)| *id)
    }

    /// The handshakes for which a datagram from there may be that is no first hello: with clients
    /// that returned their cookie, or for another piece of a hello with all.
    pub(super) fn on_path(&self, path: Option<SocketAddr>, hello: bool) -> Vec<u64> {
        let fits = |attempt: &Attempt| attempt.path == path && (attempt.proven || hello);
        self.all.iter().filter(|(_, attempt)| fits(attempt)).map(|(id, _)| *id).collect()
    }

    /// Takes another handshake; its number, and if the oldest had to go for it.
    pub(super) fn add(&mut self, attempt: Attempt) -> (u64, bool) {
        let full = self.all.len() >= MAX_CANDIDATES;
        if full {
            let unproven = self.all.iter().position(|(_, attempt)| !attempt.proven);
            self.all.remove(unproven.unwrap_or(0));
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.all.push((id, attempt));
        (id, full)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Attempt> {
        let at = self.all.iter().position(|(known, _)| *known == id)?;
        Some(self.all.remove(at).1)
    }

    /// One has proven to be the peer: the others go.
    pub(super) fn keep_only(&mut self, id: u64) {
        self.all.retain(|(known, _)| *known == id);
        self.all.shrink_to_fit();
    }

    /// A client returned its cookie; true if an older one had to go for it.
    pub(super) fn prove(&mut self, now: Instant, id: u64) -> bool {
        self.refill(now);
        self.exchanges = self.exchanges.saturating_add(1);
        let proven = |(known, attempt): &(u64, Attempt)| attempt.proven && *known != id;
        if self.all.iter().filter(|entry| proven(entry)).count() < MAX_PROVEN {
            return false;
        }
        let oldest = self.all.iter().position(proven);
        oldest.map(|at| self.all.remove(at)).is_some()
    }

    /// True if no more key exchanges are to be made for now.
    pub(super) fn is_exhausted(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.exchanges >= MAX_EXCHANGES
    }

    fn refill(&mut self, now: Instant) {
        while self.exchanges > 0 && self.since + EXCHANGE_PAUSE <= now {
            self.exchanges = self.exchanges.saturating_sub(1);
            self.since += EXCHANGE_PAUSE;
        }
        if self.exchanges == 0 {
            self.since = now;
        }
    }
}
