//! The client half of the layer: requests that we sent.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::action::{Action, Actions};
use super::event::{ClientTxId, TransactionError, TransactionEvent};
use super::hop;
use super::key::ClientKey;
use super::layer::{Owner, TransactionLayer};
use super::{ClientInvite, ClientNonInvite};
use crate::sip::FlowId;
use crate::time::Instant;
use crate::util::count;
use crate::wire::sip::{Message, Method};

#[derive(Debug)]
enum Machine {
    Invite(ClientInvite),
    Other(ClientNonInvite),
}

/// One client transaction: its machine, its request, where that went.
#[derive(Debug)]
pub(super) struct ClientTx {
    machine: Machine,
    key: ClientKey,
    request: Arc<Message>,
    sent_by: Box<str>,
    pub(super) flow: FlowId,
    reliable: bool,
    /// A CANCEL that the layer made: the TU hears nothing of it.
    internal: bool,
    armed: Option<Instant>,
}

impl ClientTx {
    fn next_timeout(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(m) => m.next_timeout(),
            Machine::Other(m) => m.next_timeout(),
        }
    }

    /// True if a response is an answer to this very request and came back the way it went.
    fn is_answered_by(&self, response: &Message, flow: FlowId) -> bool {
        let request = &self.request;
        response.cseq() == request.cseq()
            && response.call_id() == request.call_id()
            && response.from().tag() == request.from().tag()
            && response.vias().nth(1).is_none()
            && response.top_via().is_some_and(|v| v.sent_by().eq_ignore_ascii_case(&self.sent_by))
            // A stream carries its own responses (§18.2.2); if it broke, the transaction failed.
            && (!self.reliable || self.flow == flow)
    }
}

impl TransactionLayer {
    /// Sends a request, whose top Via the caller has given a fresh branch, and keeps it until the
    /// transaction ends. Its responses come as events.
    ///
    /// # Errors
    /// If the message is not a request, is an ACK, has no branch with the magic cookie or one that
    /// is in use, or if the layer is full.
    pub fn send_request(
        &mut self,
        now: Instant,
        request: Message,
        flow: FlowId,
        reliable: bool,
    ) -> Result<ClientTxId, TransactionError> {
        if !request.is_request() || *request.method() == Method::Ack {
            return Err(TransactionError::NotARequest);
        }
        if self.clients.len() >= self.config.max_transactions {
            return Err(TransactionError::Full);
        }
        self.start_client(now, request, flow, reliable, false)
    }

    fn start_client(
        &mut self,
        now: Instant,
        request: Message,
        flow: FlowId,
        reliable: bool,
        internal: bool,
    ) -> Result<ClientTxId, TransactionError> {
        let via = request.top_via().filter(|v| v.has_cookie()).ok_or(TransactionError::NoBranch)?;
        let sent_by = via.sent_by().into();
        let key = ClientKey::of(&request).ok_or(TransactionError::NoBranch)?;
        if self.by_client_key.contains_key(&key) {
            return Err(TransactionError::BranchInUse);
        }
        let timers = self.config.timers;
        let machine = if *request.method() == Method::Invite {
            Machine::Invite(ClientInvite::new(now, timers, reliable))
        } else {
            Machine::Other(ClientNonInvite::new(now, timers, reliable))
        };
        let request = Arc::new(request);
        let id = self.clients.insert(ClientTx {
            machine,
            key: key.clone(),
            request: request.clone(),
            sent_by,
            flow,
            reliable,
            internal,
            armed: None,
        });
        self.by_client_key.insert(key, id);
        count(&mut self.stats.requests_out);
        self.transmit(flow, request);
        self.rearm_client(id);
        Ok(id)
    }

    /// Cancels an INVITE: at once if a provisional response came, else as soon as one comes
    /// (RFC 3261 §9.1). If the final response comes first, nothing is sent. The INVITE's own
    /// transaction goes on: expect its 487, or a 2xx that crossed.
    ///
    /// # Errors
    /// If the transaction is over or its request is not an INVITE.
    pub fn cancel(&mut self, now: Instant, id: ClientTxId) -> Result<(), TransactionError> {
        let tx = self.clients.get_mut(id).ok_or(TransactionError::Unknown)?;
        let Machine::Invite(machine) = &mut tx.machine else {
            return Err(TransactionError::NotAnInvite);
        };
        let actions = machine.cancel(now);
        self.act_client(now, id, actions, None);
        Ok(())
    }

    pub(super) fn receive_response(
        &mut self,
        now: Instant,
        response: Message,
        status: u16,
        flow: FlowId,
    ) {
        let Some(key) = ClientKey::of(&response) else {
            count(&mut self.stats.malformed);
            return;
        };
        let Some(id) = self.by_client_key.get(&key).copied() else {
            if (200..300).contains(&status) && response.cseq().method == Method::Invite {
                self.emit(TransactionEvent::Stray2xx { message: response, flow });
            } else {
                count(&mut self.stats.stray_responses);
            }
            return;
        };
        let Some(tx) = self.clients.get_mut(id) else { return };
        if !tx.is_answered_by(&response, flow) {
            count(&mut self.stats.foreign_responses);
            return;
        }
        let actions = match &mut tx.machine {
            Machine::Invite(m) => m.handle_response(now, status),
            Machine::Other(m) => m.handle_response(now, status),
        };
        self.act_client(now, id, actions, Some(response));
    }

    pub(super) fn client_timeout(&mut self, now: Instant, id: ClientTxId) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        tx.armed = None;
        let actions = match &mut tx.machine {
            Machine::Invite(m) => m.handle_timeout(now),
            Machine::Other(m) => m.handle_timeout(now),
        };
        if actions == Actions::one(Action::Transmit) {
            count(&mut self.stats.retransmissions_out);
        }
        self.act_client(now, id, actions, None);
    }

    pub(super) fn client_transport_error(&mut self, now: Instant, id: ClientTxId) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        let actions = match &mut tx.machine {
            Machine::Invite(m) => m.handle_transport_error(),
            Machine::Other(m) => m.handle_transport_error(),
        };
        self.act_client(now, id, actions, None);
    }

    /// Does what the machine asked for; `response` is the message at hand.
    fn act_client(
        &mut self,
        now: Instant,
        id: ClientTxId,
        actions: Actions,
        mut response: Option<Message>,
    ) {
        for action in actions {
            let Some(tx) = self.clients.get(id) else { return };
            let (flow, internal) = (tx.flow, tx.internal);
            match action {
                Action::Transmit => self.transmit(flow, tx.request.clone()),
                Action::TransmitAck => {
                    let ack = response.as_ref().map(|r| hop::ack(&tx.request, r));
                    if let Some(Ok(ack)) = ack {
                        self.transmit(flow, Arc::new(ack));
                    }
                }
                Action::SendCancel => {
                    if let Ok(cancel) = hop::cancel(&tx.request) {
                        let reliable = tx.reliable;
                        // Not counted against the limit: one per INVITE at most. It fails only
                        // if a CANCEL of this branch is under way, which is as good.
                        let _ = self.start_client(now, cancel, flow, reliable, true);
                    }
                }
                Action::PassUp => {
                    if let Some(message) = response.take().filter(|_| !internal) {
                        self.emit(TransactionEvent::Response { tx: id, message });
                    }
                }
                Action::Fail(failure) => {
                    self.count_failure(failure);
                    if !internal {
                        self.emit(TransactionEvent::ClientFailed { tx: id, failure });
                    }
                }
                Action::Terminate => {
                    self.forget_client(id);
                    if !internal {
                        self.emit(TransactionEvent::ClientTerminated { tx: id });
                    }
                }
                Action::SendTrying => {}
            }
        }
        self.rearm_client(id);
    }

    fn forget_client(&mut self, id: ClientTxId) {
        if let Some(tx) = self.clients.remove(id) {
            self.by_client_key.remove(&tx.key);
            self.rearm(Owner::Client(id), tx.armed, None);
        }
    }

    fn rearm_client(&mut self, id: ClientTxId) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        let (old, new) = (tx.armed, tx.next_timeout());
        if old != new {
            tx.armed = new;
            self.rearm(Owner::Client(id), old, new);
        }
    }
}
