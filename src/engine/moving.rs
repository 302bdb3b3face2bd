//! The host is on another network: sockets are bound anew, and running calls follow with their keys.

use core::net::{IpAddr, SocketAddr};

use super::call::{CallState, Purpose};
use super::post::Owner;
use super::sockets::SocketUse;
use super::{CallId, Engine, HostAction};
use crate::time::Instant;

impl Engine {
    /// The address of this host from now on, as [`Config::local_ip`](super::Config::local_ip) was
    /// at the beginning: sockets of UDP and of calls that are made are bound to it. Those that
    /// exist follow with [`Input::NetworkChanged`](super::Input::NetworkChanged), which comes
    /// next. A listener stays where it is: one on the unspecified address hears on all.
    pub fn set_local_ip(&mut self, ip: IpAddr) {
        self.config.local_ip = ip;
    }

    /// Every connection is of no more use. Accounts find a way again by themselves.
    pub(super) fn network_changed(&mut self, now: Instant) {
        self.flows.close_all();
        self.rebind_sip();
        // No answer to these will come: they are asked again with the new addresses.
        self.requests.retain(|_, p| !matches!(p.owner, Owner::Call(_, Purpose::ReInvite)));
        for id in self.calls.ids() {
            let Some(entry) = self.calls.get_mut(id) else { continue };
            if entry.machine.is_over() {
                continue;
            }
            entry.machine.forget_change(now, &mut self.rng);
            // An INVITE that is on its way to its first answer is sent anew or fails.
            entry.move_wanted = entry.machine.next_hop().is_some();
            self.rebind_media(id);
        }
    }

    /// The UDP socket of SIP, if it is bound to an address that is gone.
    fn rebind_sip(&mut self) {
        let Some(port) = self.config.udp_port else { return };
        let local = SocketAddr::new(self.config.local_ip, port);
        let old = self.sockets.iter().find(|(_, used)| **used == SocketUse::Sip).map(|(id, _)| id);
        if old.is_some_and(|id| self.flows.socket_ip(id) == Some(local.ip())) {
            return;
        }
        if let Some(old) = old {
            self.sockets.remove(old);
            self.flows.remove_socket(old);
            self.host.push_back(HostAction::CloseUdp(old));
        }
        let socket = self.sockets.insert(SocketUse::Sip);
        self.host.push_back(HostAction::Bind(socket, local));
    }

    /// The media sockets of a call, if they are bound to an address that is gone. Until the new
    /// ones are there no packet leaves; the session, its keys and its counters go on. Who has taken
    /// the session is told the new ones by an event.
    fn rebind_media(&mut self, id: CallId) {
        let ip = self.config.local_ip;
        let Some(entry) = self.calls.get_mut(id) else { return };
        let bound = entry.ports.as_ref().and_then(super::ports::MediaPorts::locals);
        if bound.is_none_or(|(rtp, _)| rtp.ip() == ip) {
            return;
        }
        entry.ports_ready = false;
        let Some(ports) = entry.ports.take() else { return };
        for socket in [ports.rtp(), ports.rtcp()] {
            if self.sockets.remove(socket).is_some() {
                self.host.push_back(HostAction::CloseUdp(socket));
            }
        }
        self.bind_media(id);
    }

    /// A call whose far end does not know our addresses yet tells them, as soon as its sockets are
    /// bound and nothing else is being agreed on. True if it did.
    pub(super) fn tell_addresses(&mut self, id: CallId) -> bool {
        let Some(entry) = self.calls.get_mut(id) else { return false };
        let ready = entry.move_wanted
            && entry.ports_ready
            && entry.machine.state() == CallState::Established
            && entry.machine.may_renew_keys();
        if ready {
            entry.move_wanted = false;
            entry.machine.tell_addresses(&mut self.rng);
        }
        ready
    }
}
