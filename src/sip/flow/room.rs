//! Who has a place among the flows, and who makes way.

use core::net::{IpAddr, SocketAddr};

use super::super::route::FlowFailure;
use super::super::{FlowId, SocketId, Transport};
use super::flows::{Flow, Flows, Link};
use super::{FIRST_MESSAGE, MAX_ACCEPTED, MAX_FLOWS, MAX_UDP_SOURCES};
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

    /// A flow that the far end asked for is still needed here: it is not idle.
    pub fn keep(&mut self, now: Instant, flow: FlowId) {
        let idle_matters = |flow: &&mut Flow| flow.unsolicited || flow.errand || flow.accepted;
        if let Some(flow) = self.flows.get_mut(flow).filter(idle_matters) {
            flow.used = now;
        }
    }

    /// Room for one more connection of the far end's. Nobody proves who he is before he has a
    /// connection, so no single address may hold all of them: where there is no place left, the
    /// address with the most connections loses the one that was idle longest, but never for one
    /// more of its own. Among addresses with as many as the newcomer, and for the newcomer's own
    /// address, idle means that nothing came for as long as a first message may take.
    pub(super) fn make_room_for(&mut self, now: Instant, newcomer: IpAddr) -> bool {
        let accepted = || self.flows.iter().filter(|(_, f)| f.accepted);
        if accepted().count() < MAX_ACCEPTED {
            return true;
        }
        let of = |ip: IpAddr| accepted().filter(|(_, f)| f.remote.ip() == ip).count();
        let own = of(newcomer).saturating_add(1);
        let idlest = accepted()
            .map(|(id, f)| (of(f.remote.ip()), f, id))
            .filter(
                |(held, f, _)| {
                    if *held > own { f.used < now } else { f.used + FIRST_MESSAGE <= now }
                },
            )
            .min_by_key(|(held, f, _)| (core::cmp::Reverse(*held), f.answered, f.used));
        let Some((_, _, id)) = idlest else { return false };
        self.drop_flow(id, Some(FlowFailure::TimedOut));
        true
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
