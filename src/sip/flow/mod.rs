//! Flows: the connections that carry SIP (RFC 3261 §18, RFC 5626).
//!
//! [`Flows`] turns messages into bytes for the host and bytes from the host into messages: UDP
//! with symmetric responses (RFC 3581), TCP and TLS with framing, keep-alive and time-outs. A
//! connection is reused for the domain that it was opened and verified for, never for its address
//! alone.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod connection;
mod flows;
mod gone;
mod input;
mod queues;
mod room;
mod via;
mod view;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

pub use flows::Flows;
pub use gone::GoneFlow;

use super::route::FlowFailure;
use super::{FlowId, SocketId, StreamId};
use crate::time::Duration;
use crate::wire::sip::{Message, ParseError, ParseErrorKind};

/// Requests beyond this size do not go by UDP (RFC 3261 §18.1.1: 1300 without a known path MTU).
pub const DATAGRAM_LIMIT: usize = 1300;
/// Flows kept at most.
pub const MAX_FLOWS: usize = 256;
/// Accepted connections at most. When all are taken, a newcomer gets the place of the one that
/// was idle longest of the address that holds the most.
pub const MAX_ACCEPTED: usize = 64;
/// UDP flows that only the far end asked for, at most: the one that was idle longest makes way,
/// silently. A UDP flow holds no state of the far end's, so [`Flows::open`] brings it back.
pub const MAX_UDP_SOURCES: usize = 128;
/// Outputs, and messages for the layers above, that may wait at most.
pub const MAX_QUEUED: usize = 4096;
/// Bytes that may wait at most, in either direction.
pub const MAX_QUEUED_BYTES: usize = 8 * 1024 * 1024;

/// For the TCP connection, and again for the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// An accepted connection that brings no message for so long is closed.
const FIRST_MESSAGE: Duration = Duration::from_secs(32);
/// RFC 5626 §4.4.1.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// An accepted connection that carried no message and no ping for so long is closed.
const IDLE_ACCEPTED: Duration = Duration::from_secs(900);
/// A connection that was opened for a response alone, and carried nothing for so long, is closed.
const IDLE_ERRAND: Duration = Duration::from_secs(32);
/// Connections that are open for responses alone, at most.
const MAX_ERRANDS: usize = 16;
/// A UDP flow that only the far end asked for is forgotten when it was idle for so long.
const IDLE_SOURCE: Duration = Duration::from_secs(30);
/// A shorter keep-alive interval is raised to this.
const MIN_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// What the host has to do.
pub enum FlowOutput {
    /// Open a TCP connection.
    Connect {
        /// Its id.
        stream: StreamId,
        /// Where to.
        remote: SocketAddr,
    },
    /// Write to a stream.
    StreamData {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Close a stream after what was written.
    CloseStream {
        /// The stream.
        stream: StreamId,
    },
    /// Send a datagram.
    Datagram {
        /// From this socket.
        socket: SocketId,
        /// To this address.
        remote: SocketAddr,
        /// The bytes.
        data: Vec<u8>,
    },
}

impl core::fmt::Debug for FlowOutput {
    /// Lengths only: the bytes may hold credentials and keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Connect { stream, remote } => write!(f, "Connect({stream}, {remote})"),
            Self::StreamData { stream, data } => {
                write!(f, "StreamData({stream}, {} bytes)", data.len())
            }
            Self::CloseStream { stream } => write!(f, "CloseStream({stream})"),
            Self::Datagram { socket, remote, data } => {
                write!(f, "Datagram({socket}, {remote}, {} bytes)", data.len())
            }
        }
    }
}

/// What the layers above want to know.
#[derive(Debug)]
pub enum FlowEvent {
    /// An opened flow can carry messages.
    Up(FlowId),
    /// A flow failed or ended. Its id is stale.
    Down {
        /// The flow.
        flow: FlowId,
        /// Why.
        why: FlowFailure,
        /// The domain that it was opened for.
        domain: String,
    },
    /// A message arrived.
    Message {
        /// The flow.
        flow: FlowId,
        /// The message, `received` and `rport` filled in.
        message: Message,
    },
    /// Something arrived that is not a SIP message.
    Malformed {
        /// The flow.
        flow: FlowId,
        /// What was wrong; may hold a request that can be answered with 400.
        error: ParseError,
    },
}

/// A flow cannot be opened or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// No such flow, or it is not up.
    #[error("the flow is not up")]
    NotUp,
    /// No UDP socket of the address family.
    #[error("no UDP socket")]
    NoSocket,
    /// The request is too long for a datagram: use a stream transport.
    #[error("too long for a datagram")]
    TooLong,
    /// [`MAX_FLOWS`] are open, or outputs wait that nobody fetches.
    #[error("too many flows")]
    Full,
}

/// Counters of a [`Flows`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct FlowStats {
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Datagrams or frames that were not SIP, by [`ParseErrorKind::index`].
    pub malformed_by: [u64; ParseErrorKind::ALL.len()],
    /// Datagrams or frames that were not SIP, of all kinds.
    pub malformed: u64,
    /// Accepted connections and new UDP sources that were turned away.
    pub turned_away: u64,
    /// TLS connections that failed: certificate refused, handshake or record broken.
    pub tls_failures: u64,
    /// Outputs and messages dropped because nobody fetched them. A stream that loses bytes this
    /// way goes down.
    pub overflowed: u64,
}

impl FlowStats {
    /// Datagrams or frames that had this defect first.
    pub fn malformed_for(&self, kind: ParseErrorKind) -> u64 {
        self.malformed_by.get(kind.index()).copied().unwrap_or(0)
    }

    fn count_malformed(&mut self, error: &ParseError) {
        self.malformed = self.malformed.saturating_add(1);
        if let Some(count) = self.malformed_by.get_mut(error.kind().index()) {
            *count = count.saturating_add(1);
        }
    }
}
