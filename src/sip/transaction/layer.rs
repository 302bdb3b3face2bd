//! The transaction layer: the machines by key, their messages, their timers.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;

use super::action::Failure;
use super::client::ClientTx;
use super::event::{
    ClientTxId, ClientTxTag, ServerTxId, ServerTxTag, TransactionConfig, TransactionEvent,
    TransactionStats, Transmit,
};
use super::key::{ClientKey, MergeKey, ServerKey};
use super::server::ServerTx;
use crate::sip::FlowId;
use crate::time::Instant;
use crate::util::{Arena, Rng, RngExt, count};
use crate::wire::sip::Message;

/// Whose timer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Owner {
    Client(ClientTxId),
    Server(ServerTxId),
}

/// All transactions of one engine (RFC 3261 §17, RFC 6026).
///
/// Messages go in by [`receive`](Self::receive), requests and responses of the TU by
/// [`send_request`](Self::send_request) and [`respond`](Self::respond). After each call drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event).
#[derive(Debug)]
pub struct TransactionLayer {
    pub(super) config: TransactionConfig,
    pub(super) clients: Arena<ClientTxTag, ClientTx>,
    pub(super) servers: Arena<ServerTxTag, ServerTx>,
    pub(super) by_client_key: BTreeMap<ClientKey, ClientTxId>,
    pub(super) by_server_key: BTreeMap<ServerKey, ServerTxId>,
    pub(super) by_merge_key: BTreeMap<MergeKey, ServerTxId>,
    /// The next timeout of each transaction that has one.
    timers: BTreeSet<(Instant, Owner)>,
    pub(super) server_bytes: usize,
    /// The To tag of responses that the layer gives without a transaction: the same for each, as
    /// for a stateless server (RFC 3261 §8.2.7).
    pub(super) tag: String,
    transmits: VecDeque<Transmit>,
    events: VecDeque<TransactionEvent>,
    pub(super) stats: TransactionStats,
}

/// The oldest item; what a flood needed is given back.
fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let item = queue.pop_front();
    if queue.is_empty() {
        queue.shrink_to(8);
    }
    item
}

impl TransactionLayer {
    /// An empty layer. Randomness is for the To tag of responses that it gives by itself.
    pub fn new(config: TransactionConfig, rng: &mut dyn Rng) -> Self {
        Self {
            config,
            clients: Arena::default(),
            servers: Arena::default(),
            by_client_key: BTreeMap::new(),
            by_server_key: BTreeMap::new(),
            by_merge_key: BTreeMap::new(),
            timers: BTreeSet::new(),
            server_bytes: 0,
            tag: alloc::format!("{:016x}", rng.next_u64()),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: TransactionStats::default(),
        }
    }

    /// A message came in. `reliable` tells whether its transport retransmits by itself.
    pub fn receive(&mut self, now: Instant, message: Message, flow: FlowId, reliable: bool) {
        let backlog = self.transmits.len().max(self.events.len());
        if backlog >= self.config.max_backlog {
            count(&mut self.stats.backlogged);
        } else if let Some(status) = message.status() {
            self.receive_response(now, message, status, flow);
        } else {
            self.receive_request(now, message, flow, reliable);
        }
    }

    /// Sends a message that no transaction keeps: the ACK to a 2xx, or that 2xx again.
    pub fn send_stateless(&mut self, flow: FlowId, message: Arc<Message>) {
        self.transmit(flow, message);
    }

    /// A flow is gone or did not deliver: every transaction on it is told (RFC 3261 §17.1.4,
    /// §17.2.4).
    pub fn transport_error(&mut self, now: Instant, flow: FlowId) {
        for id in self.clients.ids() {
            if self.clients.get(id).is_some_and(|t| t.flow == flow) {
                self.client_transport_error(now, id);
            }
        }
        for id in self.servers.ids() {
            if self.servers.get(id).is_some_and(|t| t.flow == flow) {
                self.server_transport_error(id);
            }
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does everything that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Each entry is taken out and fires once, and a machine's next timer is later than `now`.
        while let Some((at, owner)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, owner));
            match owner {
                Owner::Client(id) => self.client_timeout(now, id),
                Owner::Server(id) => self.server_timeout(now, id),
            }
        }
    }

    /// The next message to be sent, in the order in which they were caused.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        pop(&mut self.transmits)
    }

    /// The next event for the TU.
    pub fn poll_event(&mut self) -> Option<TransactionEvent> {
        pop(&mut self.events)
    }

    /// The counters.
    pub const fn stats(&self) -> &TransactionStats {
        &self.stats
    }

    /// How many transactions are under way: as client, as server.
    pub fn len(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// True if no transaction is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    pub(super) fn transmit(&mut self, flow: FlowId, message: Arc<Message>) {
        self.transmits.push_back(Transmit { flow, message });
    }

    pub(super) fn emit(&mut self, event: TransactionEvent) {
        self.events.push_back(event);
    }

    pub(super) fn count_failure(&mut self, failure: Failure) {
        match failure {
            Failure::Timeout => count(&mut self.stats.timeouts),
            Failure::TransportError => count(&mut self.stats.transport_errors),
        }
    }

    /// Moves a transaction's entry in the timer index from `old` to `new`.
    pub(super) fn rearm(&mut self, owner: Owner, old: Option<Instant>, new: Option<Instant>) {
        if let Some(at) = old {
            self.timers.remove(&(at, owner));
        }
        if let Some(at) = new {
            self.timers.insert((at, owner));
        }
    }
}
