//! All questions under way: servers in turn, timeouts, and a bound on their number.

use std::collections::VecDeque;

use mio::{Registry, Token};

use super::super::clock::OsRng;
use super::super::wire::Wire;
use super::config::DnsConfig;
use super::lookup::{Lookup, Progress};
use super::message::Reply;
use crate::sip::dns::{DnsAnswer, QueryId, RecordKind};
use crate::time::Instant;

/// Questions under way at most; more fail at once.
const MAX_LOOKUPS: usize = 64;
/// Receive buffer: more than our EDNS size, and a piece of a TCP answer.
const BUFFER: usize = 4096;

/// Asks the servers.
#[derive(Debug)]
pub(in super::super) struct Resolver {
    config: DnsConfig,
    registry: Registry,
    rng: OsRng,
    /// Tokens from here on are ours: one per slot.
    first_token: usize,
    lookups: Vec<Option<Lookup>>,
    answers: VecDeque<(QueryId, DnsAnswer)>,
    buf: Vec<u8>,
}

impl Resolver {
    /// A resolver whose sockets have tokens from `first_token` on.
    pub(in super::super) fn new(config: DnsConfig, registry: Registry, first_token: usize) -> Self {
        Self {
            config,
            registry,
            rng: OsRng::new(),
            first_token,
            lookups: (0..MAX_LOOKUPS).map(|_| None).collect(),
            answers: VecDeque::new(),
            buf: vec![0; BUFFER],
        }
    }

    /// Starts answering a question; the answer comes from [`Resolver::poll_answer`].
    pub(in super::super) fn resolve(
        &mut self,
        now: Instant,
        query: QueryId,
        name: String,
        kind: RecordKind,
        wire: &mut Wire,
    ) {
        let name = name.trim_end_matches('.').to_owned();
        if let Some(answer) = self.config.hosts.answer(&name, kind) {
            self.answers.push_back((query, answer));
            return;
        }
        match self.lookups.iter().position(Option::is_none) {
            None => self.answers.push_back((query, DnsAnswer::Failed)),
            Some(slot) => self.next_attempt(now, slot, Lookup::new(query, name, kind), wire),
        }
    }

    /// True if the token is one of ours.
    pub(in super::super) fn owns(&self, token: Token) -> bool {
        self.slot(token).is_some()
    }

    fn slot(&self, token: Token) -> Option<usize> {
        token.0.checked_sub(self.first_token).filter(|slot| *slot < MAX_LOOKUPS)
    }

    fn token(&self, slot: usize) -> Token {
        Token(self.first_token.wrapping_add(slot))
    }

    fn take(&mut self, slot: usize) -> Option<Lookup> {
        self.lookups.get_mut(slot).and_then(Option::take)
    }

    fn put(&mut self, slot: usize, lookup: Lookup) {
        if let Some(place) = self.lookups.get_mut(slot) {
            *place = Some(lookup);
        }
    }

    /// Asks the next server in turn, or gives up.
    fn next_attempt(&mut self, now: Instant, slot: usize, mut lookup: Lookup, wire: &mut Wire) {
        let servers = self.config.servers.len();
        let limit = servers.saturating_mul(self.config.attempts as usize);
        while (lookup.attempts as usize) < limit {
            let turn = (lookup.attempts as usize).checked_rem(servers).unwrap_or(0);
            lookup.attempts = lookup.attempts.saturating_add(1);
            let Some(server) = self.config.servers.get(turn) else { break };
            lookup.server = *server;
            lookup.deadline = now + self.config.timeout;
            let token = self.token(slot);
            if lookup.ask_udp(&self.registry, token, &mut self.rng, wire).is_ok() {
                self.put(slot, lookup);
                return;
            }
        }
        self.finish(lookup, DnsAnswer::Failed);
    }

    fn finish(&mut self, mut lookup: Lookup, answer: DnsAnswer) {
        lookup.close(&self.registry);
        // A host that the hosts file knows need not exist in the DNS at all, so that no answer
        // about its services means that it has none.
        let host = lookup.name.rsplit("._tcp.").next().unwrap_or_default();
        let host = host.rsplit("._udp.").next().unwrap_or_default();
        let known = self.config.hosts.knows(host);
        let answer =
            if known && answer == DnsAnswer::Failed { DnsAnswer::NotFound } else { answer };
        self.answers.push_back((lookup.query, answer));
    }

    /// The socket of this token is ready.
    pub(in super::super) fn handle_ready(&mut self, now: Instant, token: Token, wire: &mut Wire) {
        let Some(slot) = self.slot(token) else { return };
        let Some(mut lookup) = self.take(slot) else { return };
        match lookup.handle_ready(&mut self.buf, wire) {
            Progress::Waiting => self.put(slot, lookup),
            Progress::Lost | Progress::Reply(Reply::ServerFailed | Reply::Mismatch) => {
                self.next_attempt(now, slot, lookup, wire);
            }
            Progress::Reply(Reply::Truncated) => {
                lookup.deadline = now + self.config.timeout;
                match lookup.ask_tcp(&self.registry, token, &mut self.rng) {
                    Ok(()) => self.put(slot, lookup),
                    Err(_) => self.next_attempt(now, slot, lookup, wire),
                }
            }
            Progress::Reply(Reply::Answer(answer)) => self.finish(lookup, answer),
        }
    }

    /// Moves on from servers that took too long.
    pub(in super::super) fn handle_timeout(&mut self, now: Instant, wire: &mut Wire) {
        for slot in 0..self.lookups.len() {
            let due = matches!(self.lookups.get(slot), Some(Some(l)) if l.deadline <= now);
            if due && let Some(lookup) = self.take(slot) {
                self.next_attempt(now, slot, lookup, wire);
            }
        }
    }

    /// When [`Resolver::handle_timeout`] is due.
    pub(in super::super) fn next_timeout(&self) -> Option<Instant> {
        self.lookups.iter().flatten().map(|lookup| lookup.deadline).min()
    }

    /// The next answer.
    pub(in super::super) fn poll_answer(&mut self) -> Option<(QueryId, DnsAnswer)> {
        self.answers.pop_front()
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
