//! What happens in the established dialog: hold, resume, their re-INVITEs, BYE.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{CallAction, CallMachine, CallState, Change, EndReason, Event, FailureReason, Purpose};
use crate::engine::config::Codec;
use crate::engine::error::CallError;
use crate::sip::dialog::{GlareOutcome, GlareRefusal};
use crate::sip::transaction::ServerTxId;
use crate::time::Instant;
use crate::util::{Rng, RngExt};
use crate::wire::sip::{HeaderName, Message, MessageBuilder, Method};

impl CallMachine {
    /// Holds or resumes by re-INVITE (RFC 3264 §8.4).
    pub(in crate::engine) fn set_hold(
        &mut self,
        hold: bool,
        rng: &mut dyn Rng,
    ) -> Result<(), CallError> {
        if self.state != CallState::Established {
            return Err(self.wrong_state(if hold { "hold" } else { "resume" }));
        }
        if self.change.is_some() || self.answering.is_some() {
            return Err(CallError::Busy);
        }
        self.send_reinvite(Change { hold, fresh_keys: false, moved: false }, rng);
        Ok(())
    }

    /// Other codecs for the rest of the call, by re-INVITE; what is held stays held.
    pub(in crate::engine) fn change_codecs(
        &mut self,
        codecs: Vec<Codec>,
        rng: &mut dyn Rng,
    ) -> Result<(), CallError> {
        if self.state != CallState::Established {
            return Err(self.wrong_state("change the codecs of"));
        }
        if self.change.is_some() || self.answering.is_some() {
            return Err(CallError::Busy);
        }
        self.media.try_codecs(codecs);
        self.send_reinvite(Change { hold: self.local_hold, fresh_keys: false, moved: false }, rng);
        Ok(())
    }

    /// Offers again what the settings say now, by re-INVITE; what is held stays held.
    pub(in crate::engine) fn renegotiate(&mut self, rng: &mut dyn Rng) -> Result<(), CallError> {
        if self.state != CallState::Established {
            return Err(self.wrong_state("renegotiate"));
        }
        if self.change.is_some() || self.answering.is_some() {
            return Err(CallError::Busy);
        }
        self.send_reinvite(Change { hold: self.local_hold, fresh_keys: false, moved: false }, rng);
        Ok(())
    }

    /// Agrees on new keys, or on first ones for a call that is plain, by re-INVITE; what is held
    /// stays held.
    pub(in crate::engine) fn renew_keys(&mut self, rng: &mut dyn Rng) -> Result<(), CallError> {
        if self.state != CallState::Established {
            return Err(self.wrong_state("renew the keys of"));
        }
        if !self.may_renew_keys() {
            return Err(CallError::Busy);
        }
        self.send_reinvite(Change { hold: self.local_hold, fresh_keys: true, moved: false }, rng);
        Ok(())
    }

    /// True if a re-INVITE may go out now.
    pub(in crate::engine) fn may_renew_keys(&self) -> bool {
        self.state == CallState::Established && self.change.is_none() && self.answering.is_none()
    }

    /// True if new keys should be agreed on now, whatever the state of those in use.
    pub(in crate::engine) fn wants_new_keys(&self) -> bool {
        self.key_is_shared && self.state == CallState::Established && self.media.is_keyed_by_sdes()
    }

    /// Our addresses changed: the far end is told by re-INVITE, keys and holds stay.
    pub(in crate::engine) fn tell_addresses(&mut self, rng: &mut dyn Rng) {
        self.send_reinvite(Change { hold: self.local_hold, fresh_keys: false, moved: true }, rng);
    }

    /// The re-INVITE under way went over a network that is gone: the session is as before it.
    pub(in crate::engine) fn forget_change(&mut self, now: Instant, rng: &mut dyn Rng) {
        self.change_deadline = None;
        if self.change.take().is_some() {
            self.offers.finish_local(now, 500, rng);
            self.media.rollback();
            self.report_holds();
        }
    }

    pub(super) fn send_reinvite(&mut self, change: Change, rng: &mut dyn Rng) {
        let offer = self.media.offer(self.gate(), change.hold, change.fresh_keys, rng);
        let Some(dialog) = self.dialog.as_mut().filter(|_| self.state == CallState::Established)
        else {
            return;
        };
        match offer {
            Ok(offer) if self.offers.start_local().is_ok() => {
                let request = dialog
                    .request(&Method::Invite)
                    .header(HeaderName::Allow, crate::engine::ALLOW)
                    .body("application/sdp", &offer);
                self.change = Some(change);
                self.act(CallAction::Send { request, purpose: Purpose::ReInvite });
            }
            _ => self.report_holds(),
        }
    }

    fn report_holds(&mut self) {
        let event = Event::CallMediaChanged {
            call: self.id,
            local_hold: self.local_hold,
            remote_hold: self.remote_hold,
        };
        self.event(event);
    }

    pub(super) fn reinvite_response(
        &mut self,
        now: Instant,
        request: &Message,
        response: &Message,
        rng: &mut dyn Rng,
    ) {
        let status = response.status().unwrap_or(0);
        if status < 200 {
            // The wait begins with the first of them: repeating it wins nothing.
            if self.change.is_some() {
                self.change_deadline.get_or_insert(now + super::PATIENCE);
            }
            return;
        }
        self.change_deadline = None;
        if (200..300).contains(&status)
            && let Some(dialog) = &mut self.dialog
        {
            dialog.handle_success(response);
            let dialog = dialog.clone();
            self.acknowledge(now, request, response, &dialog);
        }
        let Some(change) = self.change else { return };
        match (self.offers.finish_local(now, status, rng), status) {
            (GlareOutcome::RetryLater, _) => self.media.rollback(),
            (_, 200..=299) => self.reinvite_accepted(response, change),
            // The dialog is gone at the far end (§12.2.1.2).
            (_, 408 | 481) => {
                self.change = None;
                let reason = FailureReason::Status(status, super::printable(response.reason()));
                self.bye(EndReason::Failed(reason));
            }
            _ => {
                self.media.rollback();
                self.change = None;
                self.report_holds();
            }
        }
    }

    fn reinvite_accepted(&mut self, response: &Message, change: Change) {
        self.change = None;
        let tag = response.to().tag().unwrap_or("").to_string();
        let agreed = match self.sdp(response) {
            Some(sdp) => self.media.answer(&sdp, &tag, self.gate()),
            None => Err(self.media.missing("the answer has no session description")),
        };
        match agreed {
            Ok(()) => {
                let held = self.local_hold != change.hold;
                self.local_hold = change.hold;
                self.key_is_shared &= !change.fresh_keys;
                if held || !(change.fresh_keys || change.moved) {
                    self.report_holds();
                }
            }
            // The session stays as it was (§14.1).
            Err(_) => {
                self.media.rollback();
                self.report_holds();
            }
        }
    }

    /// A request in the dialog, its sequence number not yet checked.
    /// False if it does not fit the dialog.
    pub(in crate::engine) fn handle_request(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        rng: &mut dyn Rng,
    ) -> bool {
        let over = matches!(self.state, CallState::Ending | CallState::Ended);
        if over && *request.method() != Method::Bye {
            self.respond(tx, request, 481, "Call Does Not Exist");
            return false;
        }
        let checked = self.dialog.as_mut().map_or(Err(481), |d| d.check_request(request));
        if let Err(status) = checked {
            let phrase =
                if status == 481 { "Call Does Not Exist" } else { "Server Internal Error" };
            self.respond(tx, request, status, phrase);
            return false;
        }
        match request.method() {
            Method::Bye => self.handle_bye(tx, request),
            Method::Invite => self.handle_reinvite(now, tx, request, rng),
            Method::Update => self.handle_update(tx, request, rng),
            Method::Options | Method::Info | Method::Notify | Method::Message => {
                let (status, phrase) = match request.method() {
                    Method::Options => (200, "OK"),
                    _ => (405, "Method Not Allowed"),
                };
                self.respond(tx, request, status, phrase);
            }
            _ => self.respond(tx, request, 405, "Method Not Allowed"),
        }
        true
    }

    fn respond(&mut self, tx: ServerTxId, request: &Message, status: u16, phrase: &str) {
        let response = request
            .response(status, phrase)
            .to_tag(&self.local_tag)
            .header(HeaderName::Allow, crate::engine::ALLOW);
        self.act(CallAction::Respond { tx, response });
    }

    fn handle_bye(&mut self, tx: ServerTxId, request: &Message) {
        self.respond(tx, request, 200, "OK");
        // A BYE before our answer: the INVITE is answered too (RFC 3261 §15.1.2).
        if self.state == CallState::Incoming {
            return self.refuse_incoming(487, "Request Terminated", EndReason::RemoteHangUp);
        }
        let reason = self.cancelling.take().unwrap_or(EndReason::RemoteHangUp);
        self.finish(reason);
    }

    fn handle_reinvite(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        rng: &mut dyn Rng,
    ) {
        let glare = match self.state == CallState::Established && self.answering.is_none() {
            true => self.offers.handle_remote(rng),
            // Our earlier answer is not acknowledged yet (§14.2).
            false => Err(GlareRefusal { status: 500, retry_after: Some(rng.below(11)) }),
        };
        if let Err(refusal) = glare {
            return self.refuse_glare(tx, request, refusal);
        }
        // Offers are answered at once.
        self.offers.finish_remote();
        let (body, expects_answer) = match self.sdp(request) {
            Some(sdp) => (self.media.answer_to(&sdp, self.gate(), rng), false),
            None => {
                let hold = self.local_hold;
                (self.media.offer(self.gate(), hold, false, rng), true)
            }
        };
        match body {
            Err(reason) => self.refuse_offer(tx, request, &reason),
            Ok(body) => {
                let response =
                    self.take_offer(request, &body).header(HeaderName::Allow, crate::engine::ALLOW);
                self.send_2xx(now, request.cseq().number, tx, response, expects_answer);
                self.note_remote_hold();
            }
        }
    }

    fn refuse_glare(&mut self, tx: ServerTxId, request: &Message, refusal: GlareRefusal) {
        let phrase =
            if refusal.status == 491 { "Request Pending" } else { "Server Internal Error" };
        let response = request.response(refusal.status, phrase).to_tag(&self.local_tag);
        let response = match refusal.retry_after {
            Some(seconds) => response.header(HeaderName::RetryAfter, seconds),
            None => response,
        };
        self.act(CallAction::Respond { tx, response });
    }

    fn handle_update(&mut self, tx: ServerTxId, request: &Message, rng: &mut dyn Rng) {
        let Some(sdp) = self.sdp(request) else {
            // A target refresh alone (RFC 3311 §5.2).
            if let Some(dialog) = &mut self.dialog {
                dialog.refresh_target(request);
            }
            return self.respond(tx, request, 200, "OK");
        };
        if self.state != CallState::Established {
            return self.respond(tx, request, 500, "Server Internal Error");
        }
        if let Err(refusal) = self.offers.handle_remote(rng) {
            return self.refuse_glare(tx, request, refusal);
        }
        self.offers.finish_remote();
        match self.media.answer_to(&sdp, self.gate(), rng) {
            Err(reason) => self.refuse_offer(tx, request, &reason),
            Ok(body) => {
                let response = self.take_offer(request, &body);
                self.act(CallAction::Respond { tx, response });
                self.note_remote_hold();
            }
        }
    }

    /// A 200 with our description; the request may have moved the far end.
    fn take_offer(&mut self, request: &Message, body: &[u8]) -> MessageBuilder {
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(request);
        }
        request.response(200, "OK").to_tag(&self.local_tag).body("application/sdp", body)
    }

    /// 488 with the reason in words.
    pub(super) fn refuse_offer(
        &mut self,
        tx: ServerTxId,
        request: &Message,
        reason: &FailureReason,
    ) {
        let response = not_acceptable(request, &self.local_tag, reason);
        self.act(CallAction::Respond { tx, response });
    }

    fn note_remote_hold(&mut self) {
        let held = self.media.remote_holds();
        if held != self.remote_hold {
            self.remote_hold = held;
            self.report_holds();
        }
    }
}

/// 488 with the reason in words (RFC 3261 §20.43).
pub(in crate::engine) fn not_acceptable(
    request: &Message,
    tag: &str,
    reason: &FailureReason,
) -> MessageBuilder {
    let text = reason.to_string().replace('"', "'");
    request
        .response(488, "Not Acceptable Here")
        .to_tag(tag)
        .header(HeaderName::Warning, alloc::format!("399 subrosa \"{text}\""))
}
