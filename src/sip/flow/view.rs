//! What is known of flows.

use core::net::SocketAddr;

use super::super::{FlowId, Transport};
use super::FlowStats;
use super::flows::{Flows, Link};
use crate::crypto::tls::TlsFacts;

impl Flows {
    /// True while the flow can carry messages.
    pub fn is_up(&self, flow: FlowId) -> bool {
        self.flows.get(flow).is_some_and(|f| f.up)
    }
    /// The flow's transport.
    pub fn transport(&self, flow: FlowId) -> Option<Transport> {
        self.flows.get(flow).map(|f| f.transport)
    }
    /// Our address on the flow.
    pub fn local(&self, flow: FlowId) -> Option<SocketAddr> {
        self.flows.get(flow).map(|f| f.local)
    }
    /// Their address on the flow.
    pub fn remote(&self, flow: FlowId) -> Option<SocketAddr> {
        self.flows.get(flow).map(|f| f.remote)
    }
    /// The domain that a flow was opened for, which its certificate was verified for; empty for one
    /// that the far end opened.
    pub fn domain(&self, flow: FlowId) -> Option<&str> {
        self.flows.get(flow).map(|f| f.domain.as_str())
    }
    /// True for TCP and TLS.
    pub fn is_stream(&self, flow: FlowId) -> bool {
        self.flows.get(flow).is_some_and(|f| f.transport != Transport::Udp)
    }
    /// True for a connection that the far end opened.
    pub fn is_accepted(&self, flow: FlowId) -> bool {
        self.flows.get(flow).is_some_and(|f| f.accepted)
    }
    /// True for one flow, and for two that lead to the same address without TLS: a long request
    /// goes by TCP where others go by UDP.
    pub fn is_same_server(&self, a: FlowId, b: FlowId) -> bool {
        match (self.flows.get(a), self.flows.get(b)) {
            _ if a == b => true,
            (Some(a), Some(b)) => {
                a.remote == b.remote && !a.transport.is_secure() && !b.transport.is_secure()
            }
            _ => false,
        }
    }
    /// The evidence of the flow's TLS handshake.
    pub fn facts(&self, flow: FlowId) -> Option<&TlsFacts> {
        match &self.flows.get(flow)?.link {
            Link::Stream(connection) => connection.facts(),
            Link::Udp(_) => None,
        }
    }
    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }
    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
    /// Counters.
    pub const fn stats(&self) -> &FlowStats {
        &self.stats
    }
}
