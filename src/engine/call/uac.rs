//! The caller's side: INVITE, provisional and final responses, forks, CANCEL.

use alloc::string::{String, ToString};

use super::{
    CallAction, CallMachine, CallMedia, CallState, Direction, EndReason, Event, FailureReason,
    Purpose, printable,
};
use crate::engine::config::CallOptions;
use crate::engine::policy::SecurityPolicy;
use crate::engine::{AccountId, CallId};
use crate::sip::dialog::{Dialog, DialogId};
use crate::time::Instant;
use crate::util::Rng;
use crate::wire::sip::{CSeq, HeaderName, Message, MessageBuilder, Method, NameAddr, Uri};

/// Early dialogs and acknowledged forks kept of one INVITE.
const MAX_FORKS: usize = 8;

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
        let offer = match self.media.offer(self.policy, self.signalling_secure, false, rng) {
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
            .header(HeaderName::CSeq, CSeq { number: 1, method: Method::Invite })
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

    pub(super) fn invite_response(&mut self, request: &Message, response: &Message) {
        let status = response.status().unwrap_or(0);
        match status {
            0..=100 => {}
            101..=199 => self.progress(request, response, status),
            200..=299 => self.answered(request, response),
            _ => {
                let reason = match self.cancelling.take() {
                    Some(reason) => reason,
                    None => EndReason::Refused { status, reason: printable(response.reason()) },
                };
                self.finish(reason);
            }
        }
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
            let _ = self.media.answer(&sdp, &tag, self.signalling_secure, self.policy);
        }
        let (call, early_media) = (self.id, self.media.is_running());
        self.event(Event::CallProgress { call, status, early_media });
    }

    fn answered(&mut self, request: &Message, response: &Message) {
        let Ok(mut dialog) = Dialog::uac(request, response) else {
            return self.fail(FailureReason::Negotiation("the answer has no Contact".to_string()));
        };
        dialog.handle_success(response);
        if self.dialog.is_some() || self.state == CallState::Ended {
            return self.stray_2xx(request.cseq(), response, Some(dialog));
        }
        self.ring_deadline = None;
        self.early.clear();
        let ack = dialog.ack(request.cseq());
        self.remember_ack(request.cseq().number, &dialog, ack.clone());
        let tag = dialog.id().remote_tag.clone();
        self.dialog = Some(dialog);
        self.act(CallAction::Ack { request: ack });
        // The 2xx crossed our CANCEL: the call exists, and is ended properly.
        if let Some(reason) = self.cancelling.take() {
            return self.bye(reason);
        }
        let agreed = match self.sdp(response) {
            Some(sdp) => self.media.answer(&sdp, &tag, self.signalling_secure, self.policy),
            None if self.media.is_running() => Ok(()),
            None => {
                Err(FailureReason::Negotiation("the answer has no session description".to_string()))
            }
        };
        match agreed {
            Ok(()) => {
                self.state = CallState::Established;
                let call = self.id;
                self.event(Event::SecurityChanged { call });
                self.event(Event::CallEstablished { call });
            }
            Err(reason) => self.bye(EndReason::Failed(reason)),
        }
    }

    fn remember_ack(&mut self, number: u32, dialog: &Dialog, ack: MessageBuilder) {
        let tag = dialog.id().remote_tag.clone();
        self.acks.retain(|(n, t, _)| !(*n == number && *t == tag));
        if self.acks.len() >= MAX_FORKS {
            drop(self.acks.remove(0));
        }
        self.acks.push((number, tag, ack));
    }

    /// A 2xx outside its transaction: a repetition gets its ACK again; another fork's answer gets
    /// ACK and BYE (RFC 3261 §13.2.2.4).
    pub(in crate::engine) fn stray_2xx(
        &mut self,
        cseq: &CSeq,
        response: &Message,
        dialog: Option<Dialog>,
    ) {
        let Some(id) = DialogId::of_response(response) else { return };
        let known = self.acks.iter().find(|(n, t, _)| *n == cseq.number && *t == id.remote_tag);
        if let Some((_, _, ack)) = known {
            let request = ack.clone();
            return self.act(CallAction::Ack { request });
        }
        if let Some(mut dialog) = dialog {
            let ack = dialog.ack(cseq);
            self.remember_ack(cseq.number, &dialog, ack.clone());
            self.act(CallAction::Ack { request: ack });
            let request = dialog.request(&Method::Bye);
            self.act(CallAction::Send { request, purpose: Purpose::StrayBye });
        }
    }

    /// The session description of a message, if it has one.
    pub(super) fn sdp(&self, message: &Message) -> Option<alloc::vec::Vec<u8>> {
        crate::wire::sip::parts(message)
            .into_iter()
            .find(|p| p.content_type.eq_ignore_ascii_case("application/sdp") && !p.body.is_empty())
            .map(|p| p.body.to_vec())
    }

    /// Remembers the ACK of a re-INVITE, for repetitions of its 2xx.
    pub(super) fn ack_reinvite(&mut self, request: &Message) {
        if let Some(dialog) = self.dialog.clone() {
            let ack = dialog.ack(request.cseq());
            self.remember_ack(request.cseq().number, &dialog, ack.clone());
            self.act(CallAction::Ack { request: ack });
        }
    }
}
