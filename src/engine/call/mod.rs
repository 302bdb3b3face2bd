//! One call: an INVITE dialog from its first request to its end.
//!
//! [`CallMachine`] gets responses, requests and commands, and says what to send through a queue of
//! [`CallAction`]; it knows nothing of flows and transactions. `uac` is the caller's side, `uas` the
//! callee's, `session` what happens in the established dialog, `media` the session descriptions,
//! `plan` what was agreed in them.

mod media;
mod plan;
mod refusal;
mod session;
mod uac;
mod uas;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(super) use media::{CallMedia, SrtpOptions};
pub(super) use plan::{DtlsPlan, MediaPlan, PlanKeys};
pub(super) use session::not_acceptable;
pub(super) use uac::InviteParts;

use zeroize::Zeroizing;

use super::config::CallOptions;
use super::error::CallError;
use super::event::{EndReason, Event, FailureReason};
use super::gate::{Gate, Trust};
use super::policy::SecurityPolicy;
use super::{AccountId, CallId};
use crate::sip::dialog::{AckCache, Dialog, Forks, Glare, Reliable2xx};
use crate::sip::transaction::{ServerTxId, Timers};
use crate::time::{Duration, Instant};
use crate::util::Rng;
use crate::wire::sip::{Message, MessageBuilder, Method, Uri};

/// A re-INVITE that got provisional responses and nothing else for so long is cancelled: the INVITE
/// client transaction has no timer of its own any more (RFC 3261 §17.1.1.2), and users are not
/// asked as long as for a new call.
const PATIENCE: Duration = Duration::from_secs(60);
/// ACKs kept for repetitions of their 2xx.
const MAX_ACKS: usize = 8;

/// Where a call stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallState {
    /// We call; nothing heard yet.
    Dialing,
    /// We call; the far end rings or is being looked for.
    Ringing,
    /// We are called and have not answered.
    Incoming,
    /// Talking.
    Established,
    /// Hanging up.
    Ending,
    /// Over.
    Ended,
}

impl CallState {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dialing => "dialing",
            Self::Ringing => "ringing",
            Self::Incoming => "incoming",
            Self::Established => "established",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// Who called whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// We called.
    Outgoing,
    /// We were called.
    Incoming,
}

/// What a request is for; comes back with its response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Invite,
    ReInvite,
    Bye,
    /// The BYE to an additional dialog of a forked INVITE.
    StrayBye,
}

/// What a call wants done. Via and Contact are added on the way out.
#[derive(Debug)]
pub(super) enum CallAction {
    Send {
        request: MessageBuilder,
        purpose: Purpose,
    },
    Ack {
        request: MessageBuilder,
    },
    CancelInvite,
    /// The re-INVITE under way has been provisionally answered for too long.
    CancelReInvite,
    /// The INVITE was refused for its media: another offer is to be made.
    InviteAgain,
    Respond {
        tx: ServerTxId,
        response: MessageBuilder,
    },
    Event(Event),
}

/// A 2xx of ours that waits for its ACK (RFC 3261 §13.3.1.4).
#[derive(Debug)]
struct Answering {
    clock: Reliable2xx,
    tx: ServerTxId,
    response: MessageBuilder,
    /// The offer was ours, in the 2xx: the ACK brings the answer.
    expects_answer: bool,
}

/// What a re-INVITE of ours is to bring about, while it is under way or waits after a 491.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) hold: bool,
    /// Our key is a new one.
    pub(super) fresh_keys: bool,
    /// We are elsewhere.
    pub(super) moved: bool,
}

#[derive(Debug)]
pub(super) struct CallMachine {
    pub(super) id: CallId,
    pub(super) account: Option<AccountId>,
    pub(super) direction: Direction,
    pub(super) policy: SecurityPolicy,
    pub(super) options: CallOptions,
    pub(super) target: Uri,
    pub(super) remote: String,
    pub(super) media: CallMedia,
    /// How far our signalling leg can be trusted.
    pub(super) trust: Trust,
    /// Offers of ours that were refused for their media.
    attempt: u8,
    state: CallState,
    dialog: Option<Dialog>,
    early: Vec<Dialog>,
    local_tag: String,
    /// Sequence number of the last INVITE outside the dialog.
    invite_number: u32,
    /// The INVITE of the callee's side, until answered.
    incoming: Option<(ServerTxId, Message)>,
    /// Our answer to its offer, if a 183 brought it already.
    early_answer: Option<Zeroizing<Vec<u8>>>,
    change: Option<Change>,
    /// When the re-INVITE under way is cancelled, once a provisional response came.
    change_deadline: Option<Instant>,
    offers: Glare,
    answering: Option<Answering>,
    acks: AckCache<MessageBuilder>,
    forks: Forks,
    cancelling: Option<EndReason>,
    ring_deadline: Option<Instant>,
    local_hold: bool,
    remote_hold: bool,
    /// Others than the far end know our key: a fresh one is to be agreed on.
    key_is_shared: bool,
    end: Option<EndReason>,
    actions: VecDeque<CallAction>,
}

impl CallMachine {
    #[allow(clippy::too_many_arguments)] // private, one caller per direction
    fn new(
        id: CallId,
        account: Option<AccountId>,
        direction: Direction,
        target: Uri,
        media: CallMedia,
        policy: SecurityPolicy,
        options: CallOptions,
        local_tag: String,
    ) -> Self {
        Self {
            id,
            account,
            direction,
            policy,
            options,
            remote: target.to_string(),
            target,
            media,
            trust: Trust::Clear,
            attempt: 0,
            state: match direction {
                Direction::Outgoing => CallState::Dialing,
                Direction::Incoming => CallState::Incoming,
            },
            dialog: None,
            early: Vec::new(),
            local_tag,
            invite_number: 0,
            incoming: None,
            early_answer: None,
            change: None,
            change_deadline: None,
            offers: Glare::new(direction == Direction::Outgoing),
            answering: None,
            acks: AckCache::new(Timers::default(), MAX_ACKS),
            forks: Forks::new(),
            cancelling: None,
            ring_deadline: None,
            local_hold: false,
            remote_hold: false,
            key_is_shared: false,
            end: None,
            actions: VecDeque::new(),
        }
    }

    pub(super) fn state(&self) -> CallState {
        self.state
    }
    pub(super) fn end_reason(&self) -> Option<&EndReason> {
        self.end.as_ref()
    }
    /// A request of the dialog was repeated with this sequence number.
    pub(super) fn set_local_seq(&mut self, number: u32) {
        self.invite_number = self.invite_number.max(number);
        if let Some(dialog) = &mut self.dialog {
            dialog.set_local_seq(number);
        }
    }
    /// The INVITE that waits for our answer.
    #[cfg(test)]
    pub(super) fn invite_heard(&self) -> Option<&Message> {
        self.incoming.as_ref().map(|(_, invite)| invite)
    }
    pub(super) fn local_tag(&self) -> &str {
        &self.local_tag
    }
    pub(super) fn is_over(&self) -> bool {
        self.state == CallState::Ended
    }
    /// What the gate must know of this call.
    pub(super) fn gate(&self) -> Gate {
        let (policy, trust, attempt) = (self.policy, self.trust, self.attempt);
        Gate { policy, trust, offer: self.options.media_offer, attempt }
    }
    /// We gave up and wait for the INVITE's final response.
    pub(super) fn is_cancelling(&self) -> bool {
        self.cancelling.is_some()
    }
    /// Where requests in the dialog go first; `None` before there is a dialog.
    pub(super) fn next_hop(&self) -> Option<Uri> {
        self.dialog.as_ref().map(|d| d.next_hop().clone())
    }
    pub(super) fn holds(&self) -> (bool, bool) {
        (self.local_hold, self.remote_hold)
    }

    /// The call is over: no description is kept, which may hold keys.
    pub(super) fn forget_descriptions(&mut self) {
        (self.early_answer, self.incoming, self.answering) = (None, None, None);
    }

    pub(super) fn poll_action(&mut self) -> Option<CallAction> {
        self.actions.pop_front()
    }

    fn act(&mut self, action: CallAction) {
        self.actions.push_back(action);
    }

    fn event(&mut self, event: Event) {
        self.act(CallAction::Event(event));
    }

    /// Ends the call, once.
    fn finish(&mut self, reason: EndReason) {
        if self.state == CallState::Ended {
            return;
        }
        self.state = CallState::Ended;
        self.answering = None;
        (self.change, self.change_deadline) = (None, None);
        self.ring_deadline = None;
        // An answer that comes now is acknowledged and ended.
        self.forks.cancel();
        self.end = Some(reason.clone());
        self.media.stop();
        let call = self.id;
        self.event(Event::CallEnded { call, reason });
    }

    /// Something below failed for good before the call was up.
    pub(super) fn fail(&mut self, reason: FailureReason) {
        self.fail_with(EndReason::Failed(reason));
    }

    /// The same with the reason in full. Who has given up already hears that.
    pub(super) fn fail_with(&mut self, reason: EndReason) {
        if let Some(wanted) = self.cancelling.take() {
            return self.finish(wanted);
        }
        match self.state {
            // An INVITE that is under way is taken back.
            CallState::Dialing | CallState::Ringing => self.give_up(reason),
            CallState::Incoming => self.refuse_incoming(500, "Server Internal Error", reason),
            CallState::Established => self.bye(reason),
            CallState::Ending | CallState::Ended => self.finish(reason),
        }
    }

    /// Ends the call from our side, whatever its state.
    pub(super) fn hang_up(&mut self) -> Result<(), CallError> {
        match self.state {
            CallState::Dialing | CallState::Ringing => {
                self.give_up(EndReason::Cancelled);
                Ok(())
            }
            CallState::Incoming => self.reject(603),
            CallState::Established => {
                self.bye(EndReason::LocalHangUp);
                Ok(())
            }
            CallState::Ending | CallState::Ended => Err(self.wrong_state("hang up")),
        }
    }

    /// Sends BYE; the call is over when it is answered, or given up.
    fn bye(&mut self, reason: EndReason) {
        // A re-INVITE that times out after the BYE ends nothing a second time.
        if matches!(self.state, CallState::Ending | CallState::Ended) {
            return;
        }
        (self.change, self.change_deadline) = (None, None);
        self.media.stop();
        // The callee may not send BYE before the ACK has come, or will not come (§15).
        if self.answering.is_some() {
            self.state = CallState::Ending;
            self.cancelling = Some(reason);
            return;
        }
        self.send_bye(reason);
    }

    pub(super) fn send_bye(&mut self, reason: EndReason) {
        if let Some(dialog) = &mut self.dialog {
            let request = dialog.request(&Method::Bye);
            self.state = CallState::Ending;
            self.cancelling = Some(reason);
            self.act(CallAction::Send { request, purpose: Purpose::Bye });
        } else {
            self.finish(reason);
        }
    }

    fn wrong_state(&self, command: &'static str) -> CallError {
        CallError::WrongState { command, state: self.state.as_str() }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let answering = self.answering.as_ref().and_then(|a| a.clock.next_timeout());
        let retry = self.change.and(self.offers.next_timeout());
        let due = [self.ring_deadline, self.change_deadline, answering, retry];
        due.into_iter().chain([self.acks.next_timeout()]).flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Rng) {
        if self.ring_deadline.is_some_and(|d| d <= now) {
            self.ring_deadline = None;
            match self.state {
                CallState::Dialing | CallState::Ringing => self.give_up(EndReason::NoAnswer),
                CallState::Incoming => {
                    self.refuse_incoming(480, "Temporarily Unavailable", EndReason::NoAnswer);
                }
                _ => {}
            }
        }
        if self.change_deadline.take_if(|d| *d <= now).is_some() {
            self.act(CallAction::CancelReInvite);
        }
        self.acks.handle_timeout(now);
        self.repeat_2xx(now);
        if self.offers.handle_timeout(now)
            && let Some(change) = self.change.take()
        {
            self.send_reinvite(change, rng);
        }
    }

    /// The response to a request of ours, or why there is none.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        purpose: Purpose,
        request: &Message,
        response: &Message,
        rng: &mut dyn Rng,
    ) {
        match purpose {
            Purpose::Invite => self.invite_response(now, request, response),
            Purpose::ReInvite => self.reinvite_response(now, request, response, rng),
            Purpose::Bye => {
                if response.status().is_some_and(|s| s >= 200) {
                    let reason = self.cancelling.take().unwrap_or(EndReason::LocalHangUp);
                    self.finish(reason);
                }
            }
            Purpose::StrayBye => {}
        }
    }

    pub(super) fn handle_failure(&mut self, purpose: Purpose, reason: FailureReason) {
        match purpose {
            Purpose::Invite => self.fail(reason),
            Purpose::Bye => {
                let reason = self.cancelling.take().unwrap_or(EndReason::LocalHangUp);
                self.finish(reason);
            }
            // A re-INVITE that nobody answers ends the dialog (RFC 3261 §14.1).
            Purpose::ReInvite => self.bye(EndReason::Failed(reason)),
            Purpose::StrayBye => {}
        }
    }
}

/// A reason phrase from the network, made safe to show.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
