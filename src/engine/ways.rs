//! Requests on their way: sent on a flow, moved to TCP when too long for a datagram, repeated at
//! the next server when one fails, held back while a broken way is found anew.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::accounts::AccountEntry;
use super::call::{CallState, Purpose};
use super::event::{EndReason, FailureReason};
use super::post::{Owner, Pending, route_failure};
use super::{CallId, Engine};
use crate::sip::route::{Route, RouteFailure};
use crate::sip::{FlowId, Transport};
use crate::time::Instant;
use crate::wire::sip::{HeaderName, Host, MessageBuilder, Scheme, Uri};

/// Requests that wait for one call's way at most.
const MAX_WAITING: usize = 8;
/// Long requests that wait for TCP connections at most.
const MAX_PARKED: usize = 64;

/// A request of a call that waits for the call's way.
#[derive(Debug)]
pub(super) enum Waiting {
    Request(MessageBuilder, Purpose),
    Ack(MessageBuilder),
}

/// A request that is too long for a datagram and waits for a TCP connection (RFC 3261 §18.1.1).
#[derive(Debug)]
pub(super) struct Parked {
    owner: Owner,
    request: MessageBuilder,
    tcp: FlowId,
    udp: FlowId,
}

impl Engine {
    /// Starts a request's transaction, by TCP if it is too long for its flow. False if it cannot
    /// be sent.
    pub(super) fn start_request(
        &mut self,
        now: Instant,
        owner: Owner,
        flow: FlowId,
        request: MessageBuilder,
    ) -> bool {
        let keep = matches!(owner, Owner::Register(_));
        let sized = self.with_via(flow, request.clone(), keep).and_then(|r| r.finish().ok());
        let Some(sized) = sized else { return false };
        if !self.flows.fits(flow, &sized) {
            return self.start_by_tcp(now, owner, flow, request);
        }
        // Written for the flow that was there before, which could be trusted with them.
        if !self.trust(flow).may_carry(&sized) {
            return false;
        }
        let Some(transport) = self.flows.transport(flow) else { return false };
        let reliable = transport.is_reliable();
        let Ok(tx) = self.transactions.send_request(now, sized.clone(), flow, reliable) else {
            return false;
        };
        if let Owner::Call(id, Purpose::Invite) = owner
            && let Some(entry) = self.calls.get_mut(id)
        {
            entry.invite_tx = Some(tx);
            entry.invite = Some(sized.clone());
        }
        self.requests.insert(tx, Pending { owner, request: sized, flow });
        true
    }

    fn start_by_tcp(
        &mut self,
        now: Instant,
        owner: Owner,
        udp: FlowId,
        request: MessageBuilder,
    ) -> bool {
        let Some(remote) = self.flows.remote(udp) else { return false };
        match self.flows.open(now, Transport::Tcp, remote, "") {
            Ok(tcp) if self.flows.is_up(tcp) => self.start_request(now, owner, tcp, request),
            Ok(tcp) if self.parked.len() < MAX_PARKED => {
                self.parked.push(Parked { owner, request, tcp, udp });
                true
            }
            _ => self.start_long(now, owner, udp, request),
        }
    }

    /// The far end takes no TCP: as a datagram after all, which IP will cut into fragments.
    fn start_long(
        &mut self,
        now: Instant,
        owner: Owner,
        udp: FlowId,
        request: MessageBuilder,
    ) -> bool {
        self.flows.allow_long(udp);
        self.flows.is_up(udp) && self.start_request(now, owner, udp, request)
    }

    /// A TCP connection that long requests wait for is up, or cannot be had.
    pub(super) fn unpark(&mut self, now: Instant, flow: FlowId, up: bool) {
        let (ready, rest): (Vec<_>, _) = self.parked.drain(..).partition(|p| p.tcp == flow);
        self.parked = rest;
        for Parked { owner, request, tcp, udp } in ready {
            let sent = match up {
                true => self.start_request(now, owner, tcp, request),
                false => self.start_long(now, owner, udp, request),
            };
            if !sent {
                self.owner_failed(now, owner, FailureReason::ConnectionLost);
            }
        }
    }

    /// A call is over: what it parked is not sent.
    pub(super) fn unpark_none(&mut self, id: CallId) {
        self.parked.retain(|p| !matches!(p.owner, Owner::Call(owner, _) if owner == id));
    }

    /// INVITEs of a call that wait for an answer, or those for one purpose, are cancelled: their
    /// transactions end within 64*T1 (RFC 3261 §9.1), whatever the far end does.
    pub(super) fn cancel_invites(&mut self, now: Instant, id: CallId, only: Option<Purpose>) {
        let wanted = |owner: Owner| {
            matches!(owner, Owner::Call(call, purpose)
                if call == id && only.is_none_or(|only| only == purpose))
        };
        let txs: Vec<_> =
            self.requests.iter().filter(|(_, p)| wanted(p.owner)).map(|(tx, _)| *tx).collect();
        for tx in txs {
            // Other requests than INVITE end by themselves.
            let _ = self.transactions.cancel(now, tx);
        }
    }

    /// A request of a call; without a way, it waits until one is found.
    pub(super) fn send_request(
        &mut self,
        now: Instant,
        id: CallId,
        request: MessageBuilder,
        purpose: Purpose,
    ) {
        let Some(flow) = self.call_flow(id) else {
            return self.wait_for_way(now, id, Waiting::Request(request, purpose));
        };
        let request = match (&purpose, self.contact(id, flow)) {
            (Purpose::Invite | Purpose::ReInvite, Some(contact)) => {
                request.replace(HeaderName::Contact, contact)
            }
            _ => request,
        };
        if !self.start_request(now, Owner::Call(id, purpose), flow, request) {
            self.stats.unsendable = self.stats.unsendable.saturating_add(1);
            self.owner_failed(now, Owner::Call(id, purpose), FailureReason::ConnectionLost);
        }
    }

    /// The ACK to a 2xx.
    pub(super) fn send_ack(&mut self, now: Instant, id: CallId, request: MessageBuilder) {
        let Some(flow) = self.call_flow(id) else {
            return self.wait_for_way(now, id, Waiting::Ack(request));
        };
        match self.with_via(flow, request, false).and_then(|builder| builder.finish().ok()) {
            Some(ack) => self.transactions.send_stateless(flow, alloc::sync::Arc::new(ack)),
            None => self.stats.unsendable = self.stats.unsendable.saturating_add(1),
        }
    }

    /// The flow that a call's requests go on now: its own, or the one that its account has found
    /// since. A call whose signalling was secure stays on secure flows.
    pub(super) fn call_flow(&mut self, id: CallId) -> Option<FlowId> {
        let entry = self.calls.get(id)?;
        let own = entry.flow.filter(|f| self.flows.is_up(*f));
        let account = entry.machine.account.and_then(|a| self.accounts.get(a));
        let other = account.filter(|a| a.config.register).and_then(|a| a.flow).filter(|f| {
            let secure = self.flow_is_secure(*f);
            self.flows.is_up(*f) && (secure || !entry.machine.trust.is_encrypted())
        });
        let flow = own.or(other)?;
        if own.is_none() {
            self.call_moves(id, flow);
        }
        Some(flow)
    }

    /// A call's signalling is on this flow from now on.
    pub(super) fn call_moves(&mut self, id: CallId, flow: FlowId) {
        let (trust, leg) = (self.trust(flow), self.signalling_leg(flow));
        if let Some(entry) = self.calls.get_mut(id) {
            entry.signal_over(flow, trust, leg);
        }
        self.note_verified(id, flow);
    }

    /// Remembers for which domain the far end of a call's signalling was verified, the first time:
    /// the one that was dialled; of a peer that dialled us, the one of its address if its
    /// certificate stands for that, else its first one.
    pub(super) fn note_verified(&mut self, id: CallId, flow: FlowId) {
        let Some(entry) = self.calls.get(id).filter(|e| e.verified_as.is_none()) else { return };
        let Some(peer) = self.flows.facts(flow).and_then(|facts| facts.peer.as_ref()) else {
            return;
        };
        let dialled = self.flows.domain(flow).filter(|domain| !domain.is_empty());
        let domain = dialled.map(ToString::to_string).or_else(|| {
            let remote = Uri::parse(&entry.machine.remote).ok();
            let host = remote.map(|uri| uri.as_ref().host().to_string()).unwrap_or_default();
            let own = peer.domains.iter().find(|domain| domain.eq_ignore_ascii_case(&host));
            own.or(peer.domains.first()).cloned()
        });
        if let Some(entry) = self.calls.get_mut(id) {
            entry.verified_as = domain;
        }
    }

    fn wait_for_way(&mut self, now: Instant, id: CallId, waiting: Waiting) {
        let found = self.find_way_again(id);
        let Some(entry) = self.calls.get_mut(id) else { return };
        if found && entry.waiting.len() < MAX_WAITING {
            entry.waiting.push(waiting);
            return;
        }
        self.stats.unsendable = self.stats.unsendable.saturating_add(1);
        if let Waiting::Request(_, purpose) = waiting {
            self.owner_failed(now, Owner::Call(id, purpose), FailureReason::ConnectionLost);
        }
    }

    /// Looks for the dialog's next hop once more. False if there is none.
    fn find_way_again(&mut self, id: CallId) -> bool {
        let Some(entry) = self.calls.get(id) else { return false };
        if entry.route.as_ref().is_some_and(Route::is_looking) {
            return true;
        }
        let Some(hop) = entry.machine.next_hop() else { return false };
        let verified_as = entry.verified_as.clone();
        let mut route = self.route_for_call(id, &hop);
        // Certificates name domains, and the far end's Contact may be an address: who is there must
        // be whoever was verified before (RFC 5922 §7.1; RFC 5923 §9).
        if let (Some(route), Some(domain), Host::Ip(_)) =
            (&mut route, &verified_as, hop.as_ref().host())
        {
            route.verify_as(domain);
        }
        let Some(entry) = self.calls.get_mut(id) else { return false };
        entry.route = route;
        entry.route.is_some()
    }

    /// A route for a call that exists, as its policy and its signalling so far allow.
    fn route_for_call(&self, id: CallId, hop: &Uri) -> Option<Route> {
        let entry = self.calls.get(id)?;
        let account = entry.machine.account.and_then(|a| self.accounts.get(a));
        let bound = account.and_then(|a| a.config.transport);
        let policy = entry.machine.policy;
        let allowed = policy.transports_for(bound, entry.machine.trust.is_encrypted());
        Self::route_under(hop, &allowed, policy).ok()
    }

    /// The way of a call is there: what waited for it goes out.
    pub(super) fn waiting_requests(&mut self, now: Instant, id: CallId) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        for waiting in core::mem::take(&mut entry.waiting) {
            match waiting {
                Waiting::Request(request, purpose) => self.send_request(now, id, request, purpose),
                Waiting::Ack(request) => self.send_ack(now, id, request),
            }
        }
    }

    /// There is no way to the call's next hop.
    pub(super) fn call_way_failed(&mut self, now: Instant, id: CallId, failure: RouteFailure) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        let waiting = core::mem::take(&mut entry.waiting);
        let first = entry.failover.take();
        if entry.machine.next_hop().is_none() {
            // What the server said before the others were tried is worth more than that the
            // others were silent.
            let reason = first.unwrap_or(EndReason::Failed(route_failure(failure)));
            if let Some(route) = &entry.route {
                entry.report.ladder = route.steps().to_vec();
            }
            return entry.machine.fail_with(reason);
        }
        for waiting in waiting {
            if let Waiting::Request(_, purpose) = waiting {
                let reason = route_failure(failure.clone());
                self.owner_failed(now, Owner::Call(id, purpose), reason);
            }
        }
    }

    fn owner_failed(&mut self, now: Instant, owner: Owner, reason: FailureReason) {
        match owner {
            Owner::Call(id, purpose) => {
                if let Some(entry) = self.calls.get_mut(id) {
                    entry.machine.handle_failure(purpose, reason);
                }
            }
            Owner::Register(account) => {
                let reason = crate::sip::registration::RegistrationFailure::Transport;
                self.register_failed(now, account, reason);
            }
        }
    }

    /// A server failed on a new INVITE (503, time-out, broken connection): the next one of
    /// RFC 3263 §4.3 is asked. False if there is none, or the call has gone further than that.
    pub(super) fn try_next_server(
        &mut self,
        now: Instant,
        id: CallId,
        failed: FlowId,
        reason: EndReason,
    ) -> bool {
        let Some(entry) = self.calls.get(id) else { return false };
        if entry.machine.state() != CallState::Dialing || entry.machine.is_cancelling() {
            return false;
        }
        if entry.route.is_none() {
            // The account's flow was used: its server may have other addresses.
            let account = entry.machine.account.and_then(|a| self.accounts.get(a));
            let Some(server) = account.map(AccountEntry::server) else { return false };
            let Some(mut route) = self.route_for_call(id, &server) else { return false };
            if let (Some(transport), Some(remote)) =
                (self.flows.transport(failed), self.flows.remote(failed))
            {
                route.avoid(transport, remote);
            }
            let Some(entry) = self.calls.get_mut(id) else { return false };
            entry.route = Some(route);
        } else if let Some(route) = self.calls.get_mut(id).and_then(|e| e.route.as_mut()) {
            if !route.has_next() {
                return false;
            }
            route.advance(now);
        }
        let Some(entry) = self.calls.get_mut(id) else { return false };
        entry.failover.get_or_insert(reason);
        (entry.flow, entry.invite_tx, entry.invited) = (None, None, false);
        true
    }

    /// The same for an account's REGISTER.
    pub(super) fn register_elsewhere(&mut self, now: Instant, id: super::AccountId) -> bool {
        let Some(entry) = self.accounts.get_mut(id) else { return false };
        let Some(route) = entry.route.as_mut().filter(|r| r.has_next()) else { return false };
        route.advance(now);
        entry.flow = None;
        if let Some(registration) = &mut entry.registration {
            registration.withdraw();
        }
        true
    }

    /// Where the far end reaches us in this dialog: the flow's own address, or how its server sees it.
    pub(super) fn contact(&self, id: CallId, flow: FlowId) -> Option<alloc::string::String> {
        let account = self.calls.get(id).and_then(|e| e.machine.account);
        let user = account
            .and_then(|a| self.accounts.get(a))
            .and_then(|a| a.config.aor.as_ref().user().map(ToString::to_string))
            .unwrap_or_else(|| self.config.local_user.clone());
        let transport = match self.flows.transport(flow)? {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
        };
        let secure =
            self.calls.get(id).is_some_and(|e| e.machine.target.as_ref().scheme() == Scheme::Sips);
        let scheme = if secure { "sips" } else { "sip" };
        let address = self.reachable_at(account, flow)?;
        Some(alloc::format!("<{scheme}:{user}@{address}{transport}>"))
    }

    /// Puts a fresh Via on top (RFC 3261 §8.1.1.7); with `keep` it asks the server whether it
    /// answers keep-alives (RFC 6223 §4).
    fn with_via(
        &mut self,
        flow: FlowId,
        builder: MessageBuilder,
        keep: bool,
    ) -> Option<MessageBuilder> {
        let transport = self.flows.transport(flow)?;
        let branch = self.token();
        let sent_by = self.flows.local(flow)?;
        let keep = if keep { ";keep" } else { "" };
        let via =
            alloc::format!("SIP/2.0/{transport} {sent_by};branch=z9hG4bK{branch};rport{keep}");
        Some(builder.prepend(HeaderName::Via, via))
    }
}
