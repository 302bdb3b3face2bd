//! SIP behaviour over `wire::sip` values: transactions, dialogs, flows, registration.

use crate::util::Id;

pub mod auth;
pub mod backoff;
pub mod dialog;
pub mod dns;
pub mod flow;
pub mod registration;
pub mod resolve;
pub mod route;
pub mod transaction;

/// Names what a [`FlowId`] identifies.
#[derive(Debug)]
pub enum FlowTag {}
/// One SIP flow: a TCP or TLS connection, or a UDP socket paired with a remote address.
pub type FlowId = Id<FlowTag>;

/// Names what a [`StreamId`] identifies.
#[derive(Debug)]
pub enum StreamTag {}
/// One TCP connection of the host's. The engine chooses the id, also for accepted connections.
pub type StreamId = Id<StreamTag>;

/// Names what a [`SocketId`] identifies.
#[derive(Debug)]
pub enum SocketTag {}
/// One UDP socket of the host's, for SIP or for media. The engine chooses the id.
pub type SocketId = Id<SocketTag>;

/// Names what a [`ListenerId`] identifies.
#[derive(Debug)]
pub enum ListenerTag {}
/// One listening TCP socket of the host's. The engine chooses the id.
pub type ListenerId = Id<ListenerTag>;

/// How SIP travels (RFC 3261 §18).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams in the clear.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// The token in a Via header field and, in lower case, in a `transport` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// True where the transport itself retransmits (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// True where the transport encrypts and authenticates.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls)
    }
}

impl core::fmt::Display for Transport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}
