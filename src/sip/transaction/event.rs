//! What the transaction layer takes and gives: configuration, events, errors, counters.

use alloc::sync::Arc;

use super::action::Failure;
use super::timers::Timers;
use crate::sip::FlowId;
use crate::util::Id;
use crate::wire::sip::Message;

/// Names what a [`ClientTxId`] identifies.
#[derive(Debug)]
pub enum ClientTxTag {}
/// One transaction whose request we sent.
pub type ClientTxId = Id<ClientTxTag>;

/// Names what a [`ServerTxId`] identifies.
#[derive(Debug)]
pub enum ServerTxTag {}
/// One transaction whose request came in.
pub type ServerTxId = Id<ServerTxTag>;

/// How large the layer may grow, and its timers.
#[derive(Clone, Copy, Debug)]
pub struct TransactionConfig {
    /// T1, T2, T4 and what follows from them.
    pub timers: Timers,
    /// Most client transactions at a time, and most server transactions at a time.
    pub max_transactions: usize,
    /// Most bytes of messages kept for retransmission by all server transactions together.
    pub max_server_bytes: usize,
    /// Most events or messages that wait to be polled. Beyond it what comes in is dropped, as a
    /// network would drop it.
    pub max_backlog: usize,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            timers: Timers::default(),
            max_transactions: 4096,
            max_server_bytes: 16 << 20,
            max_backlog: 1024,
        }
    }
}

/// A message to be sent on a flow.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// The flow to send it on.
    pub flow: FlowId,
    /// The message; a retransmission shares it.
    pub message: Arc<Message>,
}

/// What the transaction user (TU) learns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransactionEvent {
    /// A new request, which the TU has to answer by
    /// [`respond`](super::TransactionLayer::respond).
    Request {
        /// Its transaction.
        tx: ServerTxId,
        /// The request.
        message: Message,
        /// Where it came in.
        flow: FlowId,
    },
    /// The caller cancelled an INVITE that has no final response yet. The CANCEL has been
    /// answered; the TU answers the INVITE with 487 (RFC 3261 §9.2).
    Cancelled {
        /// The transaction of the INVITE.
        tx: ServerTxId,
        /// The CANCEL, for its Reason.
        message: Message,
    },
    /// An ACK that no transaction absorbed: it belongs to a 2xx.
    Ack {
        /// The transaction of the INVITE, if the ACK (wrongly) matched it by its branch.
        tx: Option<ServerTxId>,
        /// The ACK.
        message: Message,
        /// Where it came in.
        flow: FlowId,
    },
    /// A response. An INVITE may get several 2xx: retransmissions and other forks.
    Response {
        /// Its transaction.
        tx: ClientTxId,
        /// The response.
        message: Message,
    },
    /// A 2xx to an INVITE whose transaction is gone. The TU acknowledges it if it knows the
    /// dialog, else drops it (RFC 3261 §13.2.2.4).
    Stray2xx {
        /// The response.
        message: Message,
        /// Where it came in.
        flow: FlowId,
    },
    /// A client transaction failed; no response will come.
    ClientFailed {
        /// The transaction.
        tx: ClientTxId,
        /// Why.
        failure: Failure,
    },
    /// A response could not be delivered, no ACK came, or the TU never answered.
    ServerFailed {
        /// The transaction.
        tx: ServerTxId,
        /// Why.
        failure: Failure,
    },
    /// The client transaction is over; its id is stale. Always the last event about it.
    ClientTerminated {
        /// The transaction.
        tx: ClientTxId,
    },
    /// The server transaction is over; its id is stale. Always the last event about it.
    ServerTerminated {
        /// The transaction.
        tx: ServerTxId,
    },
}

/// A call of the layer that cannot be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The transaction is over.
    #[error("no such transaction: it is over")]
    Unknown,
    /// The message is not a request that makes a transaction.
    #[error("not a request that makes a transaction: send ACK with send_stateless")]
    NotARequest,
    /// The message is not a response to the request of the transaction.
    #[error("not a response to this request: build it from the request")]
    NotTheResponse,
    /// The top Via has no branch with the magic cookie.
    #[error("the top Via needs a branch that starts with z9hG4bK (RFC 3261 section 8.1.1.7)")]
    NoBranch,
    /// A transaction with this branch and method is under way.
    #[error("the branch is in use: draw a new one for each request")]
    BranchInUse,
    /// Too many client transactions.
    #[error("too many transactions under way: wait for one to end")]
    Full,
    /// The request has its final response already.
    #[error("the request has its final response already")]
    AlreadyAnswered,
    /// Only an INVITE can be cancelled.
    #[error("only an INVITE can be cancelled (RFC 3261 section 9.1)")]
    NotAnInvite,
}

/// Counters, each since the layer was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TransactionStats {
    /// Server transactions made.
    pub requests_in: u64,
    /// Client transactions made.
    pub requests_out: u64,
    /// Requests that came in again and were absorbed or answered again.
    pub retransmissions_in: u64,
    /// Messages sent again because a timer fired.
    pub retransmissions_out: u64,
    /// New requests refused with 503 for want of room.
    pub overloaded: u64,
    /// Requests refused with 482 because they came by another way already.
    pub merged: u64,
    /// CANCELs that matched no INVITE (answered 481).
    pub unmatched_cancels: u64,
    /// Responses without a transaction, other than 2xx to INVITE.
    pub stray_responses: u64,
    /// Responses with our branch but on another connection, or with another sent-by, Call-ID,
    /// From tag or CSeq, or with more than one Via.
    pub foreign_responses: u64,
    /// Messages without a usable Via.
    pub malformed: u64,
    /// Messages dropped because nobody polled.
    pub backlogged: u64,
    /// Transactions that failed by timeout.
    pub timeouts: u64,
    /// Transactions that failed by the transport.
    pub transport_errors: u64,
}
