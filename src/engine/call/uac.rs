//! The caller's side: INVITE, provisional and final responses, forks, CANCEL.

use alloc::string::{String, ToString};

use zeroize::Zeroizing;

use super::{
    CallAction, CallMachine, CallMedia, CallState, Direction, EndReason, Event, FailureReason,
    Purpose, printable,
};
use crate::engine::config::CallOptions;
use crate::engine::policy::SecurityPolicy;
use crate::engine::{AccountId, CallId};
use crate::sip::dialog::{Dialog, ForkDecision};
use crate::time::Instant;
use crate::util::Rng;
use crate::wire::sip::{CSeq, HeaderName, Message, MessageBuilder, Method, NameAddr, Uri};

/// Early dialogs kept of one INVITE.
pub(super) const MAX_FORKS: usize = 8;

/// Who calls whom under which Call-ID.
pub(in crate::engine) struct InviteParts {
    pub(in crate::engine) from: NameAddr,
    pub(in crate::engine) call_id: String,
    pub(in crate::engine) route: Option<Uri>,
    pub(in crate::engine) user_agent: String,
}

impl CallMachine {
    /// A call that we place. Nothing is sent before [`CallMachine::invite`].
    #[allow(clippy::too_many_arguments)] // a constructor of one caller
    pub(in crate::engine) fn outgoing(
        now: Instant,
        id: CallId,
        account: AccountId,
        target: Uri,
        media: CallMedia,
        policy: SecurityPolicy,
        options: CallOptions,
        local_tag: String,
    ) -> Self {
        let ring = options.ring_timeout;
        let mut call = Self::new(
            id,
            Some(account),
            Direction::Outgoing,
            target,
            media,
            policy,
            options,
            local_tag,
        );
        call.ring_deadline = Some(now + ring);
        call
    }

    /// The way and the media ports are there: sends the INVITE with an offer.
    pub(in crate::engine) fn invite(&mut self, parts: &InviteParts, rng: &mut dyn Rng) {
        if self.state != CallState::Dialing || self.cancelling.is_some() {
            return;
        }
        self.invite_number = self.invite_number.saturating_add(1);
        let offer = match self.media.offer(self.gate(), false, false, rng) {
            Ok(offer) => offer,
            Err(reason) => return self.fail(reason),
        };
        let from = parts.from.clone().with_param("tag", Some(&self.local_tag));
        let Ok(from) = from else {
            return self.fail(FailureReason::Negotiation("bad tag".to_string()));
        };
        let mut request = MessageBuilder::request(&Method::Invite, &self.target)
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, from)
            .header(HeaderName::To, NameAddr::new(self.target.clone()))
            .header(HeaderName::CallId, &parts.call_id)
            .header(HeaderName::CSeq, CSeq { number: self.invite_number, method: Method::Invite })
            .header(HeaderName::Allow, crate::engine::ALLOW);
        if let Some(route) = &parts.route {
            request = request.header(HeaderName::Route, alloc::format!("<{route}>"));
        }
        if !parts.user_agent.is_empty() {
            request = request.header(HeaderName::UserAgent, &parts.user_agent);
        }
        let request = request.body("application/sdp", &offer);
        self.act(CallAction::Send { request, purpose: Purpose::Invite });
    }

    /// Stops calling: CANCEL, then whatever final response comes ends the call.
    pub(super) fn give_up(&mut self, reason: EndReason) {
        if self.cancelling.is_some() {
            return;
        }
        self.ring_deadline = None;
        self.cancelling = Some(reason);
        self.act(CallAction::CancelInvite);
    }

    /// There was no INVITE under way to cancel.
    pub(in crate::engine) fn nothing_to_cancel(&mut self) {
        if matches!(self.state, CallState::Dialing | CallState::Ringing) {
            let reason = self.cancelling.take().unwrap_or(EndReason::Cancelled);
            self.finish(reason);
        }
    }

    pub(super) fn invite_response(&mut self, now: Instant, request: &Message, response: &Message) {
        let status = response.status().unwrap_or(0);
        match status {
            0..=100 => {}
            101..=199 => self.progress(request, response, status),
            200..=299 => self.handle_2xx(now, request, response),
            415 | 488 | 606 if self.asks_again() => {}
            _ => {
                let reason = match self.cancelling.take() {
                    Some(reason) => reason,
                    None => EndReason::Refused { status, reason: printable(response.reason()) },
                };
                self.finish(reason);
            }
        }
    }

    /// The far end refused our offer's media: if the gate knows another one, it goes out.
    fn asks_again(&mut self) -> bool {
        if self.cancelling.is_some() || self.dialog.is_some() || !self.gate().has_another_attempt()
        {
            return false;
        }
        self.attempt = self.attempt.saturating_add(1);
        self.state = CallState::Dialing;
        self.early.clear();
        self.media.start_over();
        self.act(CallAction::InviteAgain);
        true
    }

    fn progress(&mut self, request: &Message, response: &Message, status: u16) {
        if !matches!(self.state, CallState::Dialing | CallState::Ringing) {
            return;
        }
        self.state = CallState::Ringing;
        if self.cancelling.is_some() {
            return;
        }
        if let Ok(dialog) = Dialog::uac(request, response)
            && self.early.iter().all(|d| d.id() != dialog.id())
            && self.early.len() < MAX_FORKS
        {
            self.early.push(dialog);
        }
        // An answer in an unreliable 1xx is only a preview; what cannot be used is left alone.
        let tag = response.to().tag().unwrap_or("").to_string();
        let preview = self.sdp(response).filter(|_| !tag.is_empty());
        if let Some(sdp) = preview {
            let _ = self.media.answer(&sdp, &tag, self.gate());
        }
        let (call, early_media) = (self.id, self.media.is_running());
        self.event(Event::CallProgress { call, status, early_media });
    }

    /// A 2xx to the INVITE, in its transaction or outside (RFC 3261 §13.2.2.4): the first makes
    /// the call, a repetition gets its ACK again, another fork's answer gets ACK and BYE.
    pub(in crate::engine) fn handle_2xx(
        &mut self,
        now: Instant,
        request: &Message,
        response: &Message,
    ) {
        if self.acknowledge_again(response) {
            return;
        }
        let Ok(mut dialog) = Dialog::uac(request, response) else {
            if self.dialog.is_none() {
                self.fail(FailureReason::Negotiation("the answer has no Contact".to_string()));
            }
            return;
        };
        dialog.handle_success(response);
        match self.forks.handle_2xx(response) {
            ForkDecision::Keep => self.answered(now, request, response, dialog),
            ForkDecision::AckThenBye => {
                self.key_is_shared = true;
                self.acknowledge(now, request, response, &dialog);
                let request = dialog.request(&Method::Bye);
                self.act(CallAction::Send { request, purpose: Purpose::StrayBye });
            }
            ForkDecision::AckAgain | ForkDecision::Ignore => {}
        }
    }

    /// Repeats the ACK to a repeated 2xx; false if the 2xx is new.
    pub(in crate::engine) fn acknowledge_again(&mut self, response: &Message) -> bool {
        let Some(request) = self.acks.again(response).cloned() else { return false };
        self.act(CallAction::Ack { request });
        true
    }

    /// Sends the ACK to a 2xx and keeps it for the repetitions.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        request: &Message,
        response: &Message,
        dialog: &Dialog,
    ) {
        let ack = dialog.ack(request.cseq());
        self.acks.insert(now, response, ack.clone());
        self.act(CallAction::Ack { request: ack });
    }

    fn answered(&mut self, now: Instant, request: &Message, response: &Message, dialog: Dialog) {
        self.ring_deadline = None;
        // All forks read the keys of our offer (RFC 4568 §7.3).
        self.key_is_shared |= self.early.iter().any(|early| early.id() != dialog.id());
        self.early.clear();
        self.acknowledge(now, request, response, &dialog);
        let tag = dialog.id().remote_tag.clone();
        self.dialog = Some(dialog);
        // The 2xx crossed our CANCEL: the call exists, and is ended properly.
        if let Some(reason) = self.cancelling.take() {
            return self.bye(reason);
        }
        let agreed = match self.sdp(response) {
            Some(sdp) => self.media.answer(&sdp, &tag, self.gate()),
            // The description came with a provisional response of the same fork.
            None if self.media.is_answered_by(&tag) => Ok(()),
            None => Err(self.media.missing("the answer has no session description")),
        };
        match agreed {
            Ok(()) => {
                self.state = CallState::Established;
                self.event(Event::CallEstablished { call: self.id });
            }
            Err(reason) => self.bye(EndReason::Failed(reason)),
        }
    }

    /// The session description of a message, if it has one.
    pub(super) fn sdp(&self, message: &Message) -> Option<Zeroizing<alloc::vec::Vec<u8>>> {
        crate::wire::sip::parts(message)
            .into_iter()
            .find(|p| p.content_type.eq_ignore_ascii_case("application/sdp") && !p.body.is_empty())
            .map(|p| Zeroizing::new(p.body.to_vec()))
    }
}
