//! The server half of the layer: requests that came in.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::action::{Action, Actions};
use super::event::{ServerTxId, TransactionError, TransactionEvent};
use super::key::{MergeKey, ServerKey};
use super::layer::{Owner, TransactionLayer};
use super::{ServerInvite, ServerNonInvite};
use crate::sip::FlowId;
use crate::time::Instant;
use crate::util::count;
use crate::wire::sip::{Message, Method};

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(ServerNonInvite),
}

/// One server transaction: its machine and the response that it repeats.
#[derive(Debug)]
pub(super) struct ServerTx {
    machine: Machine,
    key: ServerKey,
    merge_key: Option<MergeKey>,
    /// For an INVITE a 100 (Trying), ready to be sent, until the TU gives a better one.
    response: Option<Arc<Message>>,
    bytes: usize,
    /// The To tag that the TU answers with.
    local_tag: Option<String>,
    pub(super) flow: FlowId,
    /// The flow failed: a retransmission on another one shows where responses can go.
    lost: bool,
    cancelled: bool,
    armed: Option<Instant>,
}

impl ServerTx {
    fn next_timeout(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(m) => m.next_timeout(),
            Machine::Other(m) => m.next_timeout(),
        }
    }

    fn is_pending(&self) -> bool {
        match &self.machine {
            Machine::Invite(m) => m.is_pending(),
            Machine::Other(m) => m.is_pending(),
        }
    }
}

/// What a kept message costs beyond its bytes: its table of header fields and our own entry.
const OVERHEAD: usize = 2048;

impl TransactionLayer {
    pub(super) fn receive_request(
        &mut self,
        now: Instant,
        request: Message,
        flow: FlowId,
        reliable: bool,
    ) {
        match request.method() {
            Method::Ack => self.receive_ack(now, request, flow),
            Method::Cancel => self.receive_cancel(request, flow),
            method => {
                let Some(key) = ServerKey::of(&request, method) else {
                    count(&mut self.stats.malformed);
                    return;
                };
                match self.by_server_key.get(&key).copied() {
                    Some(id) => self.receive_again(id, flow),
                    None => self.receive_new(now, request, key, flow, reliable),
                }
            }
        }
    }

    fn receive_again(&mut self, id: ServerTxId, flow: FlowId) {
        count(&mut self.stats.retransmissions_in);
        let Some(tx) = self.servers.get_mut(id) else { return };
        if tx.lost {
            (tx.flow, tx.lost) = (flow, false);
        }
        let actions = match &mut tx.machine {
            Machine::Invite(m) => m.handle_retransmission(),
            Machine::Other(m) => m.handle_retransmission(),
        };
        self.act_server(id, actions, None, flow);
    }

    fn receive_new(
        &mut self,
        now: Instant,
        request: Message,
        key: ServerKey,
        flow: FlowId,
        reliable: bool,
    ) {
        let merge_key = MergeKey::of(&request);
        if merge_key.as_ref().is_some_and(|k| self.by_merge_key.contains_key(k)) {
            count(&mut self.stats.merged);
            self.answer(&request, 482, "Loop Detected", None, flow);
            return;
        }
        if self.servers.len() >= self.config.max_transactions
            || self.server_bytes >= self.config.max_server_bytes
        {
            count(&mut self.stats.overloaded);
            self.answer(&request, 503, "Service Unavailable", None, flow);
            return;
        }
        let timers = self.config.timers;
        let (machine, response) = if *request.method() == Method::Invite {
            let trying = request.response(100, "Trying").finish().ok().map(Arc::new);
            (Machine::Invite(ServerInvite::new(now, timers, reliable)), trying)
        } else {
            (Machine::Other(ServerNonInvite::new(now, timers, reliable)), None)
        };
        let bytes = response.as_ref().map_or(0, |r| r.as_bytes().len()).saturating_add(OVERHEAD);
        let id = self.servers.insert(ServerTx {
            machine,
            key: key.clone(),
            merge_key: merge_key.clone(),
            response,
            bytes,
            local_tag: None,
            flow,
            lost: false,
            cancelled: false,
            armed: None,
        });
        self.by_server_key.insert(key, id);
        if let Some(key) = merge_key {
            self.by_merge_key.insert(key, id);
        }
        self.server_bytes = self.server_bytes.saturating_add(bytes);
        count(&mut self.stats.requests_in);
        self.emit(TransactionEvent::Request { tx: id, message: request, flow });
        self.rearm_server(id);
    }

    /// The INVITE that an ACK or a CANCEL belongs to.
    fn invite_of(&self, request: &Message) -> Option<ServerTxId> {
        let key = ServerKey::of(request, &Method::Invite)?;
        if let Some(id) = self.by_server_key.get(&key) {
            return Some(*id);
        }
        // RFC 2543: the To tag of the ACK is that of our response (§17.2.3).
        if !key.is_legacy() || *request.method() != Method::Ack {
            return None;
        }
        let id = *self.by_server_key.get(&key.without_to_tag())?;
        let tag = self.servers.get(id)?.local_tag.as_deref();
        (tag == request.to().tag()).then_some(id)
    }

    fn receive_ack(&mut self, now: Instant, ack: Message, flow: FlowId) {
        let Some(id) = self.invite_of(&ack) else {
            self.emit(TransactionEvent::Ack { tx: None, message: ack, flow });
            return;
        };
        let Some(tx) = self.servers.get_mut(id) else { return };
        let Machine::Invite(machine) = &mut tx.machine else { return };
        let actions = machine.handle_ack(now);
        self.act_server(id, actions, Some(ack), flow);
    }

    /// A CANCEL is answered without a transaction of its own: as long as that of the INVITE
    /// lives, each copy of the CANCEL gets the same answer, and the TU hears of the first only.
    fn receive_cancel(&mut self, cancel: Message, flow: FlowId) {
        if cancel.top_via().is_none() {
            count(&mut self.stats.malformed);
            return;
        }
        let found = self.invite_of(&cancel).and_then(|id| Some((id, self.servers.get_mut(id)?)));
        let Some((tx, invite)) = found else {
            count(&mut self.stats.unmatched_cancels);
            self.answer(&cancel, 481, "Call/Transaction Does Not Exist", None, flow);
            return;
        };
        let first = invite.is_pending() && !invite.cancelled;
        invite.cancelled = true;
        let tag = invite.local_tag.clone();
        self.answer(&cancel, 200, "OK", tag.as_deref(), flow);
        if first {
            self.emit(TransactionEvent::Cancelled { tx, message: cancel });
        }
    }

    /// Answers without a transaction.
    fn answer(
        &mut self,
        request: &Message,
        status: u16,
        reason: &str,
        tag: Option<&str>,
        flow: FlowId,
    ) {
        let tag = tag.unwrap_or(&self.tag);
        if let Ok(response) = request.response(status, reason).to_tag(tag).finish() {
            self.transmit(flow, Arc::new(response));
        }
    }

    /// Gives the response of the TU to a request. The layer repeats it as long as needed, except
    /// for a 2xx to INVITE, which is the TU's to repeat until its ACK comes (RFC 3261 §13.3.1.4).
    ///
    /// # Errors
    /// If the transaction is over, the message is not a response to its request, or that has its
    /// final response already.
    pub fn respond(
        &mut self,
        now: Instant,
        id: ServerTxId,
        response: Message,
    ) -> Result<(), TransactionError> {
        let tx = self.servers.get_mut(id).ok_or(TransactionError::Unknown)?;
        let status = response.status().ok_or(TransactionError::NotTheResponse)?;
        if !tx.key.is_legacy()
            && ServerKey::of(&response, response.method()).as_ref() != Some(&tx.key)
        {
            return Err(TransactionError::NotTheResponse);
        }
        let actions = match &mut tx.machine {
            Machine::Invite(m) => m.respond(now, status),
            Machine::Other(m) => m.respond(now, status),
        };
        let actions = actions.ok_or(TransactionError::AlreadyAnswered)?;
        if let Some(tag) = response.to().tag() {
            tx.local_tag = Some(tag.to_string());
        }
        let bytes = response.as_bytes().len().saturating_add(OVERHEAD);
        self.server_bytes = self.server_bytes.saturating_sub(tx.bytes).saturating_add(bytes);
        tx.bytes = bytes;
        tx.response = Some(Arc::new(response));
        let flow = tx.flow;
        self.act_server(id, actions, None, flow);
        Ok(())
    }

    /// Ends a transaction without an answer: none can be built. The client's timer ends its side.
    pub fn abandon(&mut self, id: ServerTxId) {
        if self.servers.get(id).is_some() {
            self.forget_server(id);
            self.emit(TransactionEvent::ServerTerminated { tx: id });
        }
    }

    pub(super) fn server_timeout(&mut self, now: Instant, id: ServerTxId) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        tx.armed = None;
        let actions = match &mut tx.machine {
            Machine::Invite(m) => m.handle_timeout(now),
            Machine::Other(m) => m.handle_timeout(now),
        };
        let flow = tx.flow;
        if actions == Actions::one(Action::Transmit) {
            count(&mut self.stats.retransmissions_out);
        }
        self.act_server(id, actions, None, flow);
    }

    pub(super) fn server_transport_error(&mut self, id: ServerTxId) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        tx.lost = true;
        let flow = tx.flow;
        let actions = match &mut tx.machine {
            Machine::Invite(m) => m.handle_transport_error(),
            Machine::Other(m) => m.handle_transport_error(),
        };
        self.act_server(id, actions, None, flow);
    }

    /// Does what the machine asked for; `ack` is the message at hand.
    fn act_server(
        &mut self,
        id: ServerTxId,
        actions: Actions,
        mut ack: Option<Message>,
        flow: FlowId,
    ) {
        for action in actions {
            let Some(tx) = self.servers.get(id) else { return };
            match action {
                Action::Transmit | Action::SendTrying => {
                    if let Some(response) = tx.response.clone() {
                        self.transmit(tx.flow, response);
                    }
                }
                Action::PassUp => {
                    if let Some(message) = ack.take() {
                        self.emit(TransactionEvent::Ack { tx: Some(id), message, flow });
                    }
                }
                Action::Fail(failure) => {
                    self.count_failure(failure);
                    self.emit(TransactionEvent::ServerFailed { tx: id, failure });
                }
                Action::Terminate => {
                    self.forget_server(id);
                    self.emit(TransactionEvent::ServerTerminated { tx: id });
                }
                Action::TransmitAck | Action::SendCancel => {}
            }
        }
        self.rearm_server(id);
    }

    fn forget_server(&mut self, id: ServerTxId) {
        if let Some(tx) = self.servers.remove(id) {
            self.by_server_key.remove(&tx.key);
            if let Some(key) = tx.merge_key {
                self.by_merge_key.remove(&key);
            }
            self.server_bytes = self.server_bytes.saturating_sub(tx.bytes);
            self.rearm(Owner::Server(id), tx.armed, None);
        }
    }

    fn rearm_server(&mut self, id: ServerTxId) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        let (old, new) = (tx.armed, tx.next_timeout());
        if old != new {
            tx.armed = new;
            self.rearm(Owner::Server(id), old, new);
        }
    }
}
