//! What came from the network and was no good, counted; and what the engine holds.

use super::Engine;
use super::sockets::SocketUse;
use crate::sdp::SdpFault;
use crate::sip::flow::FlowStats;
use crate::sip::transaction::TransactionStats;

/// Counters of an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct EngineStats {
    /// Connections and datagrams.
    pub flows: FlowStats,
    /// Transactions.
    pub transactions: TransactionStats,
    /// Requests that were refused: a method or extension that the engine does not have.
    pub refused_requests: u64,
    /// Calls that were refused before the phone could ring
    /// ([`Event::IncomingRefused`](super::Event::IncomingRefused)).
    pub refused_calls: u64,
    /// Requests and responses that belong to no call.
    pub strays: u64,
    /// Requests within a secure call that came over a connection which is not its own.
    pub foreign_requests: u64,
    /// Session descriptions of far ends that were refused, and lines in them that were passed over,
    /// by [`SdpFault::index`].
    pub sdp_refused_by: [u64; SdpFault::ALL.len()],
    /// Malformed messages that were answered.
    pub malformed_answered: u64,
    /// Messages that could not be built or sent.
    pub unsendable: u64,
    /// Datagrams on a media socket that has no session.
    pub stray_media: u64,
    /// Datagrams given to the engine that are for a session that was taken.
    pub taken_media: u64,
    /// Events that were dropped because nobody polled for them.
    pub events_dropped: u64,
    /// Records of the log that were dropped because nobody polled for them.
    pub log_dropped: u64,
    /// Messages of the SIP trace that were dropped because nobody took them.
    pub trace_dropped: u64,
}

impl EngineStats {
    pub(super) fn with(mut self, flows: &FlowStats, transactions: &TransactionStats) -> Self {
        self.flows = *flows;
        self.transactions = *transactions;
        self
    }

    /// Session descriptions of far ends that were refused for this reason.
    pub fn sdp_refused_for(&self, fault: SdpFault) -> u64 {
        self.sdp_refused_by.get(fault.index()).copied().unwrap_or(0)
    }

    pub(super) fn count_sdp(&mut self, fault: SdpFault) {
        if let Some(count) = self.sdp_refused_by.get_mut(fault.index()) {
            *count = count.saturating_add(1);
        }
    }
}

/// What an engine holds at the moment. Everything here is bounded, and all but registered accounts
/// and kept-alive flows is gone a while after the last call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct EngineLoad {
    /// Accounts.
    pub accounts: usize,
    /// Calls that are not over.
    pub calls: usize,
    /// Ended calls that are kept for their statistics.
    pub ended: usize,
    /// Transactions, of requests sent and of requests received.
    pub transactions: usize,
    /// Connections, and UDP peers.
    pub flows: usize,
    /// UDP sockets for media.
    pub media_sockets: usize,
    /// Questions to the DNS without an answer.
    pub queries: usize,
    /// Requests sent that wait for a final response, and those that wait for a connection.
    pub requests: usize,
    /// Incoming INVITEs that belong to a call.
    pub invites: usize,
    /// Events that nobody has polled for.
    pub events: usize,
}

impl Engine {
    /// What the engine holds at the moment.
    pub fn load(&self) -> EngineLoad {
        let (clients, servers) = self.transactions.len();
        let media = self.sockets.iter().filter(|(_, used)| **used != SocketUse::Sip).count();
        EngineLoad {
            accounts: self.accounts.len(),
            calls: self.live_calls(),
            ended: self.ended.len(),
            transactions: clients.saturating_add(servers),
            flows: self.flows.len(),
            media_sockets: media,
            queries: self.queries.len(),
            requests: self.requests.len().saturating_add(self.parked.len()),
            invites: self.invites.len(),
            events: self.events.len(),
        }
    }
}
