//! Responses whose connection is gone go over a new one (RFC 3261 §18.2.2).

use alloc::sync::Arc;
use core::net::SocketAddr;

use super::Engine;
use crate::crypto::tls::PeerCertificate;
use crate::sip::{FlowId, Transport};
use crate::time::Instant;
use crate::wire::sip::Message;

/// Responses that wait for a connection at most.
const MAX_LATE: usize = 64;

/// A response that waits for a connection.
#[derive(Debug)]
pub(super) struct Late {
    flow: FlowId,
    response: Arc<Message>,
    /// Who must be at the far end: the one who asked, if that was proven.
    peer: Option<PeerCertificate>,
}

impl Engine {
    /// A response cannot leave over its own connection any more: to the address that the request
    /// came from, at the port of its sent-by. Over the same transport, never a weaker one; under
    /// TLS the far end must have a certificate for the name in sent-by, and be who asked if that
    /// was proven. `maddr` is not followed, as everywhere. False if it cannot be sent.
    pub(super) fn answer_anew(
        &mut self,
        now: Instant,
        gone: FlowId,
        response: &Arc<Message>,
    ) -> bool {
        if response.is_request() {
            return false;
        }
        let (Some(gone), Some(via)) = (self.flows.gone(gone), response.top_via()) else {
            return false;
        };
        let secure = gone.transport == Transport::Tls;
        let port = via.port().unwrap_or(if secure { 5061 } else { 5060 });
        let (remote, transport) = (SocketAddr::new(gone.remote.ip(), port), gone.transport);
        let domain = if secure { via.host_str() } else { "" };
        let peer = gone.peer.clone();
        let Ok(flow) = self.flows.open_for_response(now, transport, remote, domain) else {
            return false;
        };
        let late = Late { flow, response: response.clone(), peer };
        if self.flows.is_up(flow) {
            return self.send_late(now, &late);
        }
        let room = self.late.len() < MAX_LATE;
        if room {
            self.late.push(late);
        }
        room
    }

    fn send_late(&mut self, now: Instant, late: &Late) -> bool {
        // The same key: what else is known of a certificate depends on who dialled whom.
        let found = self.flows.facts(late.flow).and_then(|facts| facts.peer.as_ref());
        let right = late.peer.as_ref().is_none_or(|peer| found.is_some_and(|f| f.key == peer.key));
        right && self.put(now, late.flow, &late.response).is_ok()
    }

    /// A connection that responses may wait for is up, or cannot be had.
    pub(super) fn late_responses(&mut self, now: Instant, flow: FlowId, up: bool) {
        let (ready, rest) = self.late.drain(..).partition(|late| late.flow == flow);
        self.late = rest;
        let ready: alloc::vec::Vec<Late> = ready;
        for late in ready {
            if !(up && self.send_late(now, &late)) {
                self.stats.unsendable = self.stats.unsendable.saturating_add(1);
            }
        }
    }
}
