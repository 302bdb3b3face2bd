//! The callee's side: ringing, answering, rejecting, being cancelled.

use alloc::string::{String, ToString};

use zeroize::Zeroizing;

use super::{
    Answering, CallAction, CallMachine, CallMedia, CallState, Direction, EndReason, Event,
    FailureReason,
};
use crate::engine::config::CallOptions;
use crate::engine::error::CallError;
use crate::engine::policy::SecurityPolicy;
use crate::engine::{AccountId, CallId};
use crate::sip::dialog::{Dialog, DialogId, Reliable2xx, Reliable2xxAction};
use crate::sip::transaction::{ServerTxId, Timers};
use crate::time::Instant;
use crate::util::Rng;
use crate::wire::sip::{HeaderName, Message, MessageBuilder};

impl CallMachine {
    /// A call that comes in. `Err` is the status to refuse it with.
    #[allow(clippy::too_many_arguments)] // a constructor of one caller
    pub(in crate::engine) fn incoming(
        now: Instant,
        id: CallId,
        account: Option<AccountId>,
        tx: ServerTxId,
        request: Message,
        media: CallMedia,
        policy: SecurityPolicy,
        local_tag: String,
    ) -> Result<Self, u16> {
        let dialog = Dialog::uas(&request, &local_tag).map_err(|_| 400_u16)?;
        let target = dialog.target().clone();
        let options = CallOptions::default();
        let ring = options.ring_timeout;
        let mut call =
            Self::new(id, account, Direction::Incoming, target, media, policy, options, local_tag);
        call.remote = request.from().uri().to_string();
        call.dialog = Some(dialog);
        call.incoming = Some((tx, request));
        call.ring_deadline = Some(now + ring);
        Ok(call)
    }

    /// Tells that somebody calls.
    pub(in crate::engine) fn announce(&mut self) {
        let Some((_, request)) = &self.incoming else { return };
        let (from, display_name) = (self.remote.clone(), request.from().display());
        let (call, account) = (self.id, self.account);
        self.event(Event::IncomingCall { call, account, from, display_name });
    }

    /// The offer of the INVITE that waits, if it has one.
    pub(in crate::engine) fn pending_offer(&self) -> Option<Zeroizing<alloc::vec::Vec<u8>>> {
        self.incoming.as_ref().and_then(|(_, request)| self.sdp(request))
    }

    /// 180 Ringing.
    pub(in crate::engine) fn ring(&mut self) -> Result<(), CallError> {
        let response = self.reply(180, "Ringing");
        match (self.state, response) {
            (CallState::Incoming, Some((tx, response))) => {
                self.act(CallAction::Respond { tx, response });
                Ok(())
            }
            _ => Err(self.wrong_state("ring")),
        }
    }

    /// 183 with our answer: audio flows before the call is accepted (early media). Unreliable, so
    /// the 200 repeats the answer.
    pub(in crate::engine) fn early_media(&mut self, rng: &mut dyn Rng) -> Result<(), CallError> {
        let response = self.reply(183, "Session Progress");
        let (Some((tx, response)), None, Some(offer)) =
            (response, &self.early_answer, self.pending_offer())
        else {
            return Err(self.wrong_state("start early media in"));
        };
        match self.media.answer_to(&offer, self.gate(), rng) {
            Ok(body) => {
                let response = response.body("application/sdp", &body);
                self.early_answer = Some(body);
                self.act(CallAction::Respond { tx, response });
            }
            Err(reason) => self.refuse_media(&reason),
        }
        Ok(())
    }

    fn reply(&self, status: u16, reason: &str) -> Option<(ServerTxId, MessageBuilder)> {
        let (tx, request) = self.incoming.as_ref()?;
        Some((*tx, request.response(status, reason).to_tag(&self.local_tag)))
    }

    /// 200 with our answer (or with our offer, if the INVITE had none).
    pub(in crate::engine) fn accept(
        &mut self,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Result<(), CallError> {
        let Some((tx, response)) =
            self.reply(200, "OK").filter(|_| self.state == CallState::Incoming)
        else {
            return Err(self.wrong_state("accept"));
        };
        let offer = self.pending_offer();
        let expects_answer = offer.is_none();
        let body = match offer {
            Some(_) if self.early_answer.is_some() => {
                Ok(self.early_answer.take().unwrap_or_default())
            }
            Some(sdp) => self.media.answer_to(&sdp, self.gate(), rng),
            None => self.media.offer(self.gate(), false, false, rng),
        };
        let body = match body {
            Ok(body) => body,
            Err(reason) => {
                self.refuse_media(&reason);
                return Ok(());
            }
        };
        let response =
            response.header(HeaderName::Allow, crate::engine::ALLOW).body("application/sdp", &body);
        let number = self.incoming.take().map_or(0, |(_, request)| request.cseq().number);
        self.ring_deadline = None;
        self.send_2xx(now, number, tx, response, expects_answer);
        if let Some(dialog) = &mut self.dialog {
            dialog.confirm();
        }
        self.state = CallState::Established;
        self.event(Event::CallEstablished { call: self.id });
        Ok(())
    }

    fn refuse_media(&mut self, reason: &FailureReason) {
        if let Some((tx, request)) = self.incoming.take() {
            self.refuse_offer(tx, &request, reason);
        }
        self.finish(EndReason::Failed(reason.clone()));
    }

    /// Checks the offer against the policy before anybody's phone rings. `Err` is why the call
    /// could not be answered.
    pub(in crate::engine) fn check_offer(&mut self) -> Result<(), FailureReason> {
        let gate = self.gate();
        match self.pending_offer() {
            // Without an offer only the signalling can be checked.
            None => self.media.check_signalling(gate),
            Some(sdp) => self.media.check_offer(&sdp, gate),
        }
    }

    /// Sends the 2xx to the INVITE with this sequence number, until its ACK comes.
    pub(super) fn send_2xx(
        &mut self,
        now: Instant,
        number: u32,
        tx: ServerTxId,
        response: MessageBuilder,
        expects_answer: bool,
    ) {
        let clock = Reliable2xx::new(now, Timers::default(), number);
        self.answering = Some(Answering { clock, tx, response: response.clone(), expects_answer });
        self.act(CallAction::Respond { tx, response });
    }

    pub(super) fn repeat_2xx(&mut self, now: Instant) {
        let Some(answering) = &mut self.answering else { return };
        match answering.clock.handle_timeout(now) {
            None => {}
            Some(Reliable2xxAction::Repeat) => {
                let (tx, response) = (answering.tx, answering.response.clone());
                self.act(CallAction::Respond { tx, response });
            }
            Some(Reliable2xxAction::GiveUp) => {
                self.answering = None;
                let wanted = self.cancelling.take();
                self.send_bye(wanted.unwrap_or(EndReason::Failed(FailureReason::Timeout)));
            }
        }
    }

    /// The ACK to our 2xx; with an answer, if the offer was ours.
    pub(in crate::engine) fn handle_ack(&mut self, ack: &Message) {
        let number = ack.cseq().number;
        let Some(answering) = self.answering.take_if(|a| a.clock.handle_ack(number)) else {
            return;
        };
        // We hung up while it was on its way.
        if self.state == CallState::Ending {
            let wanted = self.cancelling.take().unwrap_or(EndReason::LocalHangUp);
            return self.send_bye(wanted);
        }
        if !answering.expects_answer {
            return;
        }
        let tag = ack.from().tag().unwrap_or("").to_string();
        let agreed = match self.sdp(ack) {
            Some(sdp) => self.media.answer(&sdp, &tag, self.gate()),
            None => Err(self.media.missing("the ACK has no session description")),
        };
        if let Err(reason) = agreed {
            self.bye(EndReason::Failed(reason));
        }
    }

    /// Refuses the call with a status from 400 to 699.
    pub(in crate::engine) fn reject(&mut self, status: u16) -> Result<(), CallError> {
        if !(400..700).contains(&status) {
            return Err(CallError::BadStatus(status));
        }
        if self.state != CallState::Incoming {
            return Err(self.wrong_state("reject"));
        }
        let reason = match status {
            480 => "Temporarily Unavailable",
            486 => "Busy Here",
            600 => "Busy Everywhere",
            603 => "Decline",
            _ => "Rejected",
        };
        self.refuse_incoming(status, reason, EndReason::Rejected(status));
        Ok(())
    }

    pub(super) fn refuse_incoming(&mut self, status: u16, phrase: &str, reason: EndReason) {
        if let Some((tx, response)) = self.reply(status, phrase) {
            self.act(CallAction::Respond { tx, response });
        }
        self.incoming = None;
        self.finish(reason);
    }

    /// The caller cancelled before we answered; a CANCEL that comes later changes nothing.
    pub(in crate::engine) fn handle_cancel(&mut self) {
        if self.state == CallState::Incoming {
            self.refuse_incoming(487, "Request Terminated", EndReason::RemoteCancelled);
        }
    }

    /// True if this call's dialog is the one that a message belongs to.
    pub(in crate::engine) fn is_dialog(&self, id: &DialogId) -> bool {
        self.dialog.as_ref().is_some_and(|d| d.id() == id)
    }
}
