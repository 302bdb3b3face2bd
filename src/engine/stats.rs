//! What came from the network and was no good, counted.

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
    /// Requests and responses that belong to no call.
    pub strays: u64,
    /// Requests within a secure call that came over a connection which is not its own.
    pub foreign_requests: u64,
    /// Malformed messages that were answered.
    pub malformed_answered: u64,
    /// Messages that could not be built or sent.
    pub unsendable: u64,
    /// Datagrams on a media socket that has no session.
    pub stray_media: u64,
    /// Events that were dropped because nobody polled for them.
    pub events_dropped: u64,
    /// Records of the log that were dropped because nobody polled for them.
    pub log_dropped: u64,
}

impl EngineStats {
    pub(super) fn with(mut self, flows: &FlowStats, transactions: &TransactionStats) -> Self {
        self.flows = *flows;
        self.transactions = *transactions;
        self
    }
}
