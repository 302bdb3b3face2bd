//! The post office for signalling: flows, transactions, calls, in a fixed order until all is quiet.

use alloc::string::ToString;
use alloc::sync::Arc;
use core::net::SocketAddr;

use super::call::{CallAction, Purpose};
use super::event::{Event, FailureReason};
use super::{CallId, Engine, HostAction};
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::flow::{FlowError, FlowEvent};
use crate::sip::route::{FlowFailure, RouteAction, RouteFailure};
use crate::sip::transaction::{Failure, TransactionEvent};
use crate::sip::{FlowId, Transport};
use crate::time::Instant;
use crate::wire::sip::{HeaderName, Message, MessageBuilder, Method, ParseError};

/// Rounds of one delivery at most: each one moves what the one before produced.
const MAX_ROUNDS: usize = 64;

/// A request of ours that waits for its response.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) call: CallId,
    pub(super) purpose: Purpose,
    pub(super) request: Message,
}

impl Engine {
    /// Moves everything that waits between the machines.
    pub(super) fn deliver(&mut self, now: Instant) {
        self.now = now;
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
            moved |= self.call_routes(now);
            moved |= self.call_actions(now);
            while let Some(transmit) = self.transactions.poll_transmit() {
                moved = true;
                self.transmit(now, transmit.flow, &transmit.message);
            }
            self.carry_out_plans(now);
            if !moved {
                return;
            }
        }
    }

    fn transmit(&mut self, now: Instant, flow: FlowId, message: &Arc<Message>) {
        match self.flows.send(now, flow, message) {
            Ok(()) => {}
            Err(FlowError::NotUp) => self.transactions.transport_error(now, flow),
            Err(_) => {
                self.stats.unsendable = self.stats.unsendable.saturating_add(1);
                self.transactions.transport_error(now, flow);
            }
        }
    }

    fn flow_event(&mut self, now: Instant, event: FlowEvent) {
        match event {
            FlowEvent::Up(flow) => {
                for (_, entry) in self.calls.iter_mut() {
                    entry.route.iter_mut().for_each(|r| r.handle_up(flow));
                }
            }
            FlowEvent::Down { flow, why, domain } => {
                if let FlowFailure::Certificate(problem) = &why {
                    self.event(Event::CertificateRejected { domain, problem: problem.clone() });
                }
                for (_, entry) in self.calls.iter_mut() {
                    entry.route.iter_mut().for_each(|r| r.handle_down(flow, &why));
                }
                self.transactions.transport_error(now, flow);
            }
            FlowEvent::Message { flow, message } => {
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
                    entry.machine.handle_ack(now, &message);
                }
            }
            TransactionEvent::Response { tx, message } => self.response(now, tx, &message),
            TransactionEvent::Stray2xx { message, .. } => self.stray_2xx(&message),
            TransactionEvent::ClientFailed { tx, failure } => self.client_failed(tx, failure),
            TransactionEvent::ServerFailed { .. } => {}
            TransactionEvent::ClientTerminated { tx } => {
                self.requests.remove(&tx);
            }
            TransactionEvent::ServerTerminated { tx } => {
                self.invites.remove(&tx);
            }
        }
    }

    fn response(
        &mut self,
        now: Instant,
        tx: crate::sip::transaction::ClientTxId,
        response: &Message,
    ) {
        let Some(pending) = self.requests.get(&tx) else { return };
        let Some(entry) = self.calls.get_mut(pending.call) else { return };
        let (purpose, request) = (pending.purpose, &pending.request);
        entry.machine.handle_response(now, purpose, request, response, &mut self.rng);
        if purpose == Purpose::Invite && response.status().is_some_and(|s| s >= 200) {
            entry.invite_tx = None;
        }
    }

    fn stray_2xx(&mut self, response: &Message) {
        let found = self.calls.iter_mut().find(|(_, e)| {
            e.call_id == response.call_id() && Some(e.machine.local_tag()) == response.from().tag()
        });
        let Some((_, entry)) = found else {
            self.stats.strays = self.stats.strays.saturating_add(1);
            return;
        };
        let dialog = entry.invite.as_ref().and_then(|invite| Dialog::uac(invite, response).ok());
        entry.machine.stray_2xx(response.cseq(), response, dialog);
    }

    fn client_failed(&mut self, tx: crate::sip::transaction::ClientTxId, failure: Failure) {
        let Some(pending) = self.requests.remove(&tx) else { return };
        let Some(entry) = self.calls.get_mut(pending.call) else { return };
        if pending.purpose == Purpose::Invite {
            entry.invite_tx = None;
        }
        let reason = match failure {
            Failure::Timeout => FailureReason::Timeout,
            Failure::TransportError => FailureReason::ConnectionLost,
        };
        entry.machine.handle_failure(pending.purpose, reason);
    }

    /// The call whose dialog a request belongs to.
    pub(super) fn call_of_request(&self, request: &Message) -> Option<CallId> {
        let dialog = DialogId::of_request(request)?;
        self.calls.iter().find(|(_, e)| e.machine.is_dialog(&dialog)).map(|(id, _)| id)
    }

    fn call_routes(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for id in self.calls.ids() {
            while let Some(action) =
                self.calls.get_mut(id).and_then(|e| e.route.as_mut()).and_then(|r| r.poll())
            {
                moved = true;
                self.route_action(now, id, action);
            }
        }
        moved
    }

    fn route_action(&mut self, now: Instant, id: CallId, action: RouteAction) {
        match action {
            RouteAction::Ask(question) => {
                let query = self.queries.insert(id);
                self.host.push_back(HostAction::Resolve(query, question));
            }
            RouteAction::Open(candidate) => {
                let Some(route) = self.calls.get(id).and_then(|e| e.route.as_ref()) else { return };
                let domain = route.domain().to_string();
                let opened = self.flows.open(now, candidate.transport, candidate.address, &domain);
                let up = opened.is_ok_and(|flow| self.flows.is_up(flow));
                let Some(route) = self.calls.get_mut(id).and_then(|e| e.route.as_mut()) else {
                    return;
                };
                match opened {
                    Ok(flow) => route.handle_opening(flow, up),
                    Err(_) => route.advance(),
                }
            }
            RouteAction::Ready(flow) => self.call_way_ready(id, flow),
            RouteAction::Failed(failure) => {
                let reason = match failure {
                    RouteFailure::NameNotFound => FailureReason::NameNotFound,
                    RouteFailure::Unreachable => FailureReason::Unreachable,
                    RouteFailure::Certificate(problem) => FailureReason::Certificate(problem),
                    RouteFailure::Tls(problem) => FailureReason::Tls(problem),
                };
                if let Some(entry) = self.calls.get_mut(id) {
                    entry.machine.fail(reason);
                }
            }
        }
    }

    fn call_actions(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for id in self.calls.ids() {
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
                    self.retire(id);
                }
                self.event(event);
            }
            CallAction::Send { request, purpose } => self.send_request(now, id, request, purpose),
            CallAction::Ack { request } => self.send_ack(id, request),
            CallAction::CancelInvite => {
                let tx = self.calls.get(id).and_then(|e| e.invite_tx);
                let cancelled = tx.is_some_and(|tx| self.transactions.cancel(now, tx).is_ok());
                if !cancelled && let Some(entry) = self.calls.get_mut(id) {
                    entry.machine.nothing_to_cancel();
                }
            }
            CallAction::Respond { tx, response } => self.respond(now, id, tx, response),
        }
    }

    /// The Via and Contact of a flow (RFC 3261 §8.1.1.7, §8.1.1.8).
    fn addressed(
        &mut self,
        id: CallId,
        flow: FlowId,
        builder: MessageBuilder,
        method: &Method,
    ) -> Option<MessageBuilder> {
        let transport = self.flows.transport(flow)?;
        let branch = self.token();
        let via = alloc::format!(
            "SIP/2.0/{transport} {};branch=z9hG4bK{branch};rport",
            self.sent_by(flow)?
        );
        let builder = builder.prepend(HeaderName::Via, via);
        Some(match method {
            Method::Invite | Method::Update => {
                builder.header(HeaderName::Contact, self.contact(id, flow)?)
            }
            _ => builder,
        })
    }

    fn sent_by(&self, flow: FlowId) -> Option<SocketAddr> {
        self.flows.local(flow)
    }

    /// Where the far end reaches us in this dialog: the flow's own address.
    fn contact(&self, id: CallId, flow: FlowId) -> Option<alloc::string::String> {
        let account = self.calls.get(id).and_then(|e| e.machine.account);
        let user = account
            .and_then(|a| self.accounts.get(a))
            .and_then(|a| a.aor.as_ref().user().map(ToString::to_string))
            .unwrap_or_else(|| self.config.local_user.clone());
        let transport = match self.flows.transport(flow)? {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
        };
        let secure = self
            .calls
            .get(id)
            .is_some_and(|e| e.machine.target.as_ref().scheme() == crate::wire::sip::Scheme::Sips);
        let scheme = if secure { "sips" } else { "sip" };
        Some(alloc::format!("<{scheme}:{user}@{}{transport}>", self.sent_by(flow)?))
    }

    fn send_request(
        &mut self,
        now: Instant,
        id: CallId,
        request: MessageBuilder,
        purpose: Purpose,
    ) {
        let method = match purpose {
            Purpose::Invite | Purpose::ReInvite => Method::Invite,
            Purpose::Bye | Purpose::StrayBye => Method::Bye,
        };
        let flow = self.calls.get(id).and_then(|e| e.flow);
        let built = flow.and_then(|flow| {
            let request = self.addressed(id, flow, request, &method)?.finish().ok()?;
            Some((flow, request))
        });
        let sent = built.and_then(|(flow, request)| {
            let reliable = self.flows.transport(flow)?.is_reliable();
            let tx = self.transactions.send_request(now, request.clone(), flow, reliable).ok()?;
            Some((tx, request))
        });
        match sent {
            Some((tx, request)) => {
                if purpose == Purpose::Invite
                    && let Some(entry) = self.calls.get_mut(id)
                {
                    entry.invite_tx = Some(tx);
                    entry.invite = Some(request.clone());
                }
                self.requests.insert(tx, Pending { call: id, purpose, request });
            }
            None => {
                self.stats.unsendable = self.stats.unsendable.saturating_add(1);
                if let Some(entry) = self.calls.get_mut(id) {
                    entry.machine.handle_failure(purpose, FailureReason::ConnectionLost);
                }
            }
        }
    }

    fn send_ack(&mut self, id: CallId, request: MessageBuilder) {
        let Some(flow) = self.calls.get(id).and_then(|e| e.flow) else { return };
        let ack = self
            .addressed(id, flow, request, &Method::Ack)
            .and_then(|builder| builder.finish().ok());
        match ack {
            Some(ack) => self.transactions.send_stateless(flow, Arc::new(ack)),
            None => self.stats.unsendable = self.stats.unsendable.saturating_add(1),
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
        let sent =
            response.finish().ok().is_some_and(|r| self.transactions.respond(now, tx, r).is_ok());
        if !sent {
            self.stats.unsendable = self.stats.unsendable.saturating_add(1);
        }
    }
}
