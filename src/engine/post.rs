//! The post office for signalling: flows, transactions, calls, in a fixed order until all is quiet.

use alloc::string::ToString;
use alloc::sync::Arc;

use super::accounts::Challenged;
use super::call::{CallAction, Purpose, printable};
use super::event::{EndReason, Event, FailureReason};
use super::{AccountId, CallId, Engine, HostAction, SipDirection};
use crate::sip::dialog::DialogId;
use crate::sip::flow::{FlowError, FlowEvent};
use crate::sip::registration::RegistrationFailure;
use crate::sip::route::{FlowFailure, Route, RouteAction, RouteFailure};
use crate::sip::transaction::{ClientTxId, Failure, TransactionEvent};
use crate::sip::{FlowId, Transport};
use crate::time::Instant;
use crate::wire::sip::{HeaderName, Message, MessageBuilder, ParseError};

/// Rounds of one delivery at most: each one moves what the one before produced.
const MAX_ROUNDS: usize = 64;

/// A request of ours that waits for its response.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) owner: Owner,
    pub(super) request: Message,
    pub(super) flow: FlowId,
}

/// Whose request it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Call(CallId, Purpose),
    Register(AccountId),
}

/// Whose way to a server it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RouteOwner {
    Call(CallId),
    Account(AccountId),
    /// An account that has a way and looks for a better one.
    Climb(AccountId),
}

/// In the application's words.
pub(super) fn route_failure(failure: RouteFailure) -> FailureReason {
    match failure {
        RouteFailure::NameNotFound => FailureReason::NameNotFound,
        RouteFailure::Unreachable => FailureReason::Unreachable,
        RouteFailure::Certificate(problem) => FailureReason::Certificate(problem),
        RouteFailure::Tls(problem) => FailureReason::Tls(problem),
    }
}

impl Engine {
    /// Moves everything that waits between the machines.
    pub(super) fn deliver(&mut self, now: Instant) {
        self.now = now;
        self.unsettled = false;
        for _ in 0..MAX_ROUNDS {
            let mut moved = false;
            while let Some(event) = self.flows.poll_event() {
                moved = true;
                self.flow_event(now, event);
            }
            while let Some(event) = self.transactions.poll_event() {
                moved = true;
                self.transaction_event(now, event);
            }
            moved |= self.routes(now);
            moved |= self.account_actions(now);
            moved |= self.call_actions(now);
            while let Some(transmit) = self.transactions.poll_transmit() {
                moved = true;
                self.transmit(now, transmit.flow, &transmit.message);
            }
            moved |= self.carry_out_plans(now);
            if !moved {
                return self.note_changes();
            }
        }
        self.note_changes();
        self.unsettled = true;
    }

    fn transmit(&mut self, now: Instant, flow: FlowId, message: &Arc<Message>) {
        match self.put(now, flow, message) {
            Ok(()) => self.trace_sip(SipDirection::Sent, flow, message),
            Err(FlowError::NotUp) => {
                if !self.answer_anew(now, flow, message) {
                    self.transactions.transport_error(now, flow);
                }
            }
            // An ACK has no transaction that could move it to TCP: long, but better than lost.
            Err(FlowError::TooLong) => {
                self.flows.allow_long(flow);
                match self.put(now, flow, message) {
                    Ok(()) => self.trace_sip(SipDirection::Sent, flow, message),
                    Err(_) => self.stats.unsendable = self.stats.unsendable.saturating_add(1),
                }
            }
            Err(_) => self.stats.unsendable = self.stats.unsendable.saturating_add(1),
        }
    }

    /// The only way out for a message: one with keys does not leave over a flow that they cannot be
    /// trusted to. Where it ought to go, nobody hears of it, and its transaction runs out.
    pub(super) fn put(
        &mut self,
        now: Instant,
        flow: FlowId,
        message: &Message,
    ) -> Result<(), FlowError> {
        if self.flows.is_up(flow) && !self.trust(flow).may_carry(message) {
            return Err(FlowError::Full);
        }
        self.flows.send(now, flow, message)
    }

    fn flow_event(&mut self, now: Instant, event: FlowEvent) {
        self.log_flow(&event);
        match event {
            FlowEvent::Up(flow) => {
                for route in self.all_routes() {
                    route.handle_up(flow);
                }
                self.unpark(now, flow, true);
                self.late_responses(now, flow, true);
            }
            FlowEvent::Down { flow, why, domain } => {
                if let FlowFailure::Certificate(problem) = &why {
                    self.event(Event::CertificateRejected { domain, problem: problem.clone() });
                }
                self.account_flow_down(now, flow);
                self.calls_lost_flow(flow);
                for route in self.all_routes() {
                    route.handle_down(now, flow, &why);
                }
                self.unpark(now, flow, false);
                self.late_responses(now, flow, false);
                self.transactions.transport_error(now, flow);
            }
            FlowEvent::Message { flow, message } => {
                self.trace_sip(SipDirection::Received, flow, &message);
                let reliable = self.flows.transport(flow).is_some_and(Transport::is_reliable);
                self.transactions.receive(now, message, flow, reliable);
            }
            FlowEvent::Malformed { flow, error } => self.answer_malformed(flow, &error),
        }
    }

    /// A request that is broken but answerable gets its 400 (or 505, 513), without a transaction.
    fn answer_malformed(&mut self, flow: FlowId, error: &ParseError) {
        let Some(request) = error.rejectable() else { return };
        let tag = self.token();
        let text = error.kind().to_string();
        let response = request.response(error.status(), &text).to_tag(&tag).finish();
        // What is too broken to copy stays unanswered.
        if let Ok(response) = response {
            self.stats.malformed_answered = self.stats.malformed_answered.saturating_add(1);
            self.transactions.send_stateless(flow, Arc::new(response));
        }
    }

    fn transaction_event(&mut self, now: Instant, event: TransactionEvent) {
        match event {
            TransactionEvent::Request { tx, message, flow } => self.request(now, tx, message, flow),
            TransactionEvent::Cancelled { tx, .. } => {
                if let Some(call) = self.invites.get(&tx).copied()
                    && let Some(entry) = self.calls.get_mut(call)
                {
                    entry.machine.handle_cancel();
                }
            }
            TransactionEvent::Ack { message, .. } => {
                if let Some(call) = self.call_of_request(&message)
                    && let Some(entry) = self.calls.get_mut(call)
                {
                    entry.machine.handle_ack(&message);
                }
            }
            TransactionEvent::Response { tx, message } => self.response(now, tx, &message),
            TransactionEvent::Stray2xx { message, .. } => self.stray_2xx(now, &message),
            TransactionEvent::ClientFailed { tx, failure } => self.client_failed(now, tx, failure),
            TransactionEvent::ServerFailed { .. } => {}
            TransactionEvent::ClientTerminated { tx } => {
                self.requests.remove(&tx);
            }
            TransactionEvent::ServerTerminated { tx } => {
                self.invites.remove(&tx);
            }
        }
    }

    /// Every way to a server that is being looked for or used.
    fn all_routes(&mut self) -> impl Iterator<Item = &mut Route> {
        let accounts = self
            .accounts
            .iter_mut()
            .flat_map(|(_, e)| e.route.iter_mut().chain(e.ladder.climb.as_mut()));
        self.calls.iter_mut().filter_map(|(_, e)| e.route.as_mut()).chain(accounts)
    }

    fn response(&mut self, now: Instant, tx: ClientTxId, response: &Message) {
        let is_final = response.status().is_some_and(|s| s >= 200);
        let (call, purpose) = match self.requests.get(&tx).map(|p| p.owner) {
            Some(Owner::Call(call, purpose)) => (call, purpose),
            Some(Owner::Register(account)) => {
                if response.status() == Some(503) && self.register_elsewhere(now, account) {
                    return;
                }
                return self.register_response(now, account, response);
            }
            None => return,
        };
        if purpose == Purpose::Invite
            && response.status() == Some(503)
            && let Some(flow) = self.requests.get(&tx).map(|p| p.flow)
        {
            let reason = printable(response.reason());
            let reason = EndReason::Refused { status: 503, reason };
            if self.try_next_server(now, call, flow, reason) {
                return;
            }
        }
        if is_final && let Some(pending) = self.requests.remove(&tx) {
            match self.retry_with_digest(now, call, purpose, &pending, response) {
                Challenged::Answered => return,
                Challenged::ByStranger if purpose == Purpose::Invite => {
                    let Some(entry) = self.calls.get_mut(call) else { return };
                    entry.invite_tx = None;
                    return entry.machine.fail(FailureReason::ForeignRealm);
                }
                _ => self.requests.insert(tx, pending),
            };
        }
        let Some(pending) = self.requests.get(&tx) else { return };
        let Some(entry) = self.calls.get_mut(call) else { return };
        entry.machine.handle_response(now, purpose, &pending.request, response, &mut self.rng);
        if purpose == Purpose::Invite && is_final {
            entry.invite_tx = None;
        }
    }

    fn stray_2xx(&mut self, now: Instant, response: &Message) {
        let found = self.calls.iter_mut().find(|(_, e)| {
            e.call_id == response.call_id() && Some(e.machine.local_tag()) == response.from().tag()
        });
        let Some((_, entry)) = found else {
            self.stats.strays = self.stats.strays.saturating_add(1);
            return;
        };
        if entry.machine.acknowledge_again(response) {
            return;
        }
        if let Some(invite) = entry.invite.take() {
            entry.machine.handle_2xx(now, &invite, response);
            entry.invite = Some(invite);
        }
    }

    fn client_failed(&mut self, now: Instant, tx: ClientTxId, failure: Failure) {
        let Some(pending) = self.requests.remove(&tx) else { return };
        self.log_transaction_failure(pending.request.method(), failure);
        match pending.owner {
            Owner::Register(account) => {
                if self.register_elsewhere(now, account) {
                    return;
                }
                let reason = match failure {
                    Failure::Timeout => RegistrationFailure::Timeout,
                    Failure::TransportError => RegistrationFailure::Transport,
                };
                self.register_failed(now, account, reason);
            }
            Owner::Call(call, purpose) => {
                let reason = match failure {
                    Failure::Timeout => FailureReason::Timeout,
                    Failure::TransportError => FailureReason::ConnectionLost,
                };
                let ended = EndReason::Failed(reason.clone());
                if purpose == Purpose::Invite
                    && self.try_next_server(now, call, pending.flow, ended)
                {
                    return;
                }
                let Some(entry) = self.calls.get_mut(call) else { return };
                if purpose == Purpose::Invite {
                    entry.invite_tx = None;
                }
                entry.machine.handle_failure(purpose, reason);
            }
        }
    }

    /// The call whose dialog a request belongs to.
    pub(super) fn call_of_request(&self, request: &Message) -> Option<CallId> {
        let dialog = DialogId::of_request(request)?;
        self.calls.iter().find(|(_, e)| e.machine.is_dialog(&dialog)).map(|(id, _)| id)
    }

    fn route_of(&mut self, owner: RouteOwner) -> Option<&mut Route> {
        match owner {
            RouteOwner::Call(id) => self.calls.get_mut(id)?.route.as_mut(),
            RouteOwner::Account(id) => self.accounts.get_mut(id)?.route.as_mut(),
            RouteOwner::Climb(id) => self.accounts.get_mut(id)?.ladder.climb.as_mut(),
        }
    }

    fn routes(&mut self, now: Instant) -> bool {
        let mut moved = false;
        let ids = self.accounts.ids();
        let climbs = ids.clone().into_iter().map(RouteOwner::Climb);
        let accounts = ids.into_iter().map(RouteOwner::Account).chain(climbs);
        let owners: alloc::vec::Vec<_> =
            accounts.chain(self.calls.ids().into_iter().map(RouteOwner::Call)).collect();
        for owner in owners {
            while let Some(action) = self.route_of(owner).and_then(|r| r.poll(now)) {
                moved = true;
                self.route_action(now, owner, action);
            }
        }
        moved
    }

    fn route_action(&mut self, now: Instant, owner: RouteOwner, action: RouteAction) {
        match (action, owner) {
            (RouteAction::Ask(question), _) => {
                // A route asks one question at a time: older ones are of a route that was given up,
                // and their answers would be taken for this one's.
                let stale = self.queries.iter().find(|(_, of)| **of == owner);
                if let Some(stale) = stale.map(|(query, _)| query) {
                    self.queries.remove(stale);
                }
                let query = self.queries.insert(owner);
                self.host.push_back(HostAction::Resolve(query, question));
            }
            (RouteAction::Open(candidate), _) => {
                let Some(route) = self.route_of(owner) else { return };
                let domain = route.domain().to_string();
                let opened = self.flows.open(now, candidate.transport, candidate.address, &domain);
                let up = opened.is_ok_and(|flow| self.flows.is_up(flow));
                let Some(route) = self.route_of(owner) else { return };
                match opened {
                    Ok(flow) => route.handle_opening(flow, up),
                    Err(_) => route.advance(now),
                }
            }
            (RouteAction::Ready(flow), RouteOwner::Call(id)) => self.call_way_ready(now, id, flow),
            (RouteAction::Ready(flow), RouteOwner::Account(id)) => {
                self.account_way_ready(now, id, flow);
            }
            (RouteAction::Failed(failure), RouteOwner::Call(id)) => {
                self.call_way_failed(now, id, failure);
            }
            (RouteAction::Ready(flow), RouteOwner::Climb(id)) => self.climb_ready(now, id, flow),
            (RouteAction::Failed(failure), RouteOwner::Account(id)) => {
                self.account_way_failed(now, id, &failure);
            }
            (RouteAction::Failed(_), RouteOwner::Climb(id)) => self.climb_failed(now, id),
        }
    }

    fn call_actions(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for id in self.calls.ids() {
            moved |= self.tell_addresses(id);
            while let Some(fault) =
                self.calls.get_mut(id).and_then(|e| e.machine.media.poll_fault())
            {
                self.stats.count_sdp(fault);
            }
            while let Some(action) = self.calls.get_mut(id).and_then(|e| e.machine.poll_action()) {
                moved = true;
                self.call_action(now, id, action);
            }
        }
        moved
    }

    fn call_action(&mut self, now: Instant, id: CallId, action: CallAction) {
        match action {
            CallAction::Event(event) => {
                if let Event::CallEnded { .. } = event {
                    self.note_last_change(id);
                    self.retire(id);
                }
                self.event(event);
            }
            CallAction::Send { request, purpose } => self.send_request(now, id, request, purpose),
            CallAction::Ack { request } => self.send_ack(now, id, request),
            CallAction::CancelInvite => {
                let tx = self.calls.get(id).and_then(|e| e.invite_tx);
                let cancelled = tx.is_some_and(|tx| self.transactions.cancel(now, tx).is_ok());
                if !cancelled && let Some(entry) = self.calls.get_mut(id) {
                    entry.machine.nothing_to_cancel();
                }
            }
            CallAction::CancelReInvite => self.cancel_invites(now, id, Some(Purpose::ReInvite)),
            CallAction::InviteAgain => {
                if let Some(entry) = self.calls.get_mut(id) {
                    (entry.invited, entry.invite_tx) = (false, None);
                }
                self.try_invite(id);
            }
            CallAction::Respond { tx, response } => self.respond(now, id, tx, response),
        }
    }

    fn respond(
        &mut self,
        now: Instant,
        id: CallId,
        tx: crate::sip::transaction::ServerTxId,
        response: MessageBuilder,
    ) {
        let flow = self.calls.get(id).and_then(|e| e.flow);
        let contact = flow.and_then(|flow| self.contact(id, flow));
        let response = match contact {
            Some(contact) => response.replace(HeaderName::Contact, contact),
            None => response,
        };
        self.answer(now, tx, response);
    }
}
