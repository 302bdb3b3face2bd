//! Connections that broke lately: a response whose connection is gone needs to know what it was
//! (RFC 3261 §18.2.2).

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use super::super::{FlowId, Transport};
use crate::crypto::tls::PeerCertificate;

/// Connections remembered at most.
const MAX_GONE: usize = 64;

/// A connection that broke.
#[derive(Clone, Debug)]
pub struct GoneFlow {
    flow: FlowId,
    /// Its transport.
    pub transport: Transport,
    /// The address of the far end.
    pub remote: SocketAddr,
    /// The certificate that the far end proved to hold.
    pub peer: Option<PeerCertificate>,
}

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Gone(VecDeque<GoneFlow>);

impl Gone {
    pub(super) fn add(
        &mut self,
        flow: FlowId,
        transport: Transport,
        remote: SocketAddr,
        peer: Option<PeerCertificate>,
    ) {
        if self.0.len() >= MAX_GONE {
            self.0.pop_front();
        }
        self.0.push_back(GoneFlow { flow, transport, remote, peer });
    }

    pub(super) fn find(&self, flow: FlowId) -> Option<&GoneFlow> {
        self.0.iter().find(|gone| gone.flow == flow)
    }
}
