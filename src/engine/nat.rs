//! Our address as the server sees it (RFC 3581): behind a NAT the Contact has to name that one, or
//! no call comes in.

use core::net::{IpAddr, SocketAddr};

use super::{AccountId, Engine};
use crate::sip::registration::{Registration, RegistrationState};
use crate::sip::{FlowId, Transport};
use crate::time::{Duration, Instant};
use crate::wire::sip::{Message, NameAddr, Uri};

/// A NAT that gives another port to each packet is followed this often at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server told about our address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PublicAddress {
    flow: FlowId,
    address: SocketAddr,
    learnt: Instant,
}

/// Where our request came from, as its response says.
fn seen_as(response: &Message, local: SocketAddr) -> Option<SocketAddr> {
    let via = response.top_via()?;
    let (ip, port) = (via.received(), via.rport().flatten());
    if ip.is_none() && port.is_none() {
        return None;
    }
    let ip = ip.map_or(local.ip(), |ip| ip.to_canonical());
    let multicast = match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    };
    let address = SocketAddr::new(ip, port.unwrap_or(local.port()));
    (!ip.is_unspecified() && !multicast && address.port() != 0).then_some(address)
}

impl Engine {
    /// Where the far end of a flow reaches us: our own address, or the one that the account's
    /// server sees.
    pub(super) fn reachable_at(
        &self,
        account: Option<AccountId>,
        flow: FlowId,
    ) -> Option<SocketAddr> {
        let public = account.and_then(|id| self.accounts.get(id)).and_then(|entry| entry.public);
        if let Some(public) = public.filter(|p| p.flow == flow) {
            return Some(public.address);
        }
        let local = self.flows.local(flow)?;
        Some(self.listening_beside(account, flow, local).unwrap_or(local))
    }

    /// A connection of ours has a port that nobody can connect to: where we listen for its
    /// transport, that is the port to name, so that requests come in when the connection is gone.
    /// A server that an account is registered with under TLS has the connection itself, which
    /// also reaches who is behind a NAT.
    fn listening_beside(
        &self,
        account: Option<AccountId>,
        flow: FlowId,
        local: SocketAddr,
    ) -> Option<SocketAddr> {
        let transport = self.flows.transport(flow)?;
        let account = account.and_then(|id| self.accounts.get(id));
        let registered = account.is_some_and(|a| a.config.register);
        if transport == Transport::Udp || (transport.is_secure() && registered) {
            return None;
        }
        let fits = |at: &SocketAddr| at.ip().is_unspecified() || at.ip() == local.ip();
        let mut found = self.listening.iter().filter(|(_, t, at)| *t == transport && fits(at));
        found.next().map(|(_, _, at)| SocketAddr::new(local.ip(), at.port()))
    }

    /// The Contact that an account registers over a flow.
    pub(super) fn account_contact(&self, id: AccountId, flow: FlowId) -> Option<NameAddr> {
        let address = self.reachable_at(Some(id), flow)?;
        let aor = self.accounts.get(id)?.config.aor.as_ref();
        let uri =
            Uri::from_parts(aor.scheme(), aor.user(), address.ip().into(), Some(address.port()));
        let uri = uri.ok()?;
        let uri = match self.flows.transport(flow)? {
            Transport::Udp => uri,
            Transport::Tcp => uri.with_param("transport", Some("tcp")).ok()?,
            Transport::Tls => uri.with_param("transport", Some("tls")).ok()?,
        };
        Some(NameAddr::new(uri))
    }

    /// The response to a REGISTER says where the server saw us: if that is not what is registered,
    /// the new Contact is, and the former one removed. Over UDP only: nobody can connect to the
    /// port that a stream of ours has behind its NAT.
    pub(super) fn learn_address(&mut self, now: Instant, id: AccountId, response: &Message) {
        let Some(entry) = self.accounts.get(id) else { return };
        let state = entry.registration.as_ref().map(Registration::state);
        let wanted = matches!(
            state,
            Some(RegistrationState::Registering | RegistrationState::Registered { .. })
        );
        let Some(flow) = entry.flow.filter(|_| wanted) else { return };
        let known = entry.public.filter(|p| p.flow == flow);
        if self.flows.transport(flow) != Some(Transport::Udp)
            || response.status().is_none_or(|status| status < 200)
            || known.is_some_and(|p| now - p.learnt < PATIENCE)
        {
            return;
        }
        let Some(local) = self.flows.local(flow) else { return };
        let Some(address) = seen_as(response, local) else { return };
        if known.map_or(local, |p| p.address) == address {
            return;
        }
        if let Some(entry) = self.accounts.get_mut(id) {
            entry.public = Some(PublicAddress { flow, address, learnt: now });
        }
        self.note(super::log::LogLevel::Info, "account", || {
            alloc::format!("the server sees {local} as {address}")
        });
        let contact = self.account_contact(id, flow);
        if let Some(entry) = self.accounts.get_mut(id)
            && let (Some(registration), Some(contact)) = (&mut entry.registration, contact)
        {
            registration.update_contact(contact);
        }
    }
}
