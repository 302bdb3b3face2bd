//! Who has a place among the flows, and who makes way.

use core::net::SocketAddr;

use super::super::{FlowId, SocketId, Transport};
use super::flows::{Flow, Flows, Link};
use super::{MAX_FLOWS, MAX_UDP_SOURCES};
use crate::time::Instant;

impl Flows {
    pub(super) fn find_udp(&self, socket: SocketId, remote: SocketAddr) -> Option<FlowId> {
        self.flows
            .iter()
            .find(|(_, f)| f.remote == remote && matches!(f.link, Link::Udp(s) if s == socket))
            .map(|(id, _)| id)
    }

    /// The flow of a datagram's source. Made-up sources must not grow memory, nor push out what
    /// was opened from here.
    pub(super) fn heard_udp(
        &mut self,
        now: Instant,
        socket: SocketId,
        remote: SocketAddr,
    ) -> Option<FlowId> {
        if let Some(id) = self.find_udp(socket, remote) {
            if let Some(flow) = self.flows.get_mut(id) {
                flow.used = now;
            }
            return Some(id);
        }
        let (_, local) = self.sockets.iter().copied().find(|(s, _)| *s == socket)?;
        let sources = self.flows.iter().filter(|(_, f)| f.unsolicited).count();
        let full = sources >= MAX_UDP_SOURCES || self.flows.len() >= MAX_FLOWS;
        if full && !self.evict(|f| f.unsolicited) {
            self.stats.turned_away = self.stats.turned_away.saturating_add(1);
            return None;
        }
        let mut flow = Flow::new(now, Transport::Udp, remote, Link::Udp(socket));
        (flow.local, flow.up, flow.unsolicited) = (local, true, true);
        Some(self.flows.insert(flow))
    }

    /// A UDP flow that the far end asked for is still needed here: it is not idle.
    pub fn keep(&mut self, now: Instant, flow: FlowId) {
        let idle_matters = |flow: &&mut Flow| flow.unsolicited || flow.errand;
        if let Some(flow) = self.flows.get_mut(flow).filter(idle_matters) {
            flow.used = now;
        }
    }

    /// Room for one more flow that is wanted here: idle UDP flows make way, strangers first.
    pub(super) fn make_room(&mut self) -> bool {
        self.flows.len() < MAX_FLOWS
            || self.evict(|f| f.unsolicited)
            || self.evict(|f| f.transport == Transport::Udp && f.keep_alive.is_zero())
    }

    /// Removes the UDP flow among these that was idle longest, one that we never answered first.
    fn evict(&mut self, among: impl Fn(&Flow) -> bool) -> bool {
        let idle = self
            .flows
            .iter()
            .filter(|(_, f)| among(f))
            .min_by_key(|(_, f)| (f.answered, f.used))
            .map(|(id, _)| id);
        idle.and_then(|id| self.flows.remove(id)).is_some()
    }
}
