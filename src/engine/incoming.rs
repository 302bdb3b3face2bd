//! Requests that come in: in a dialog of ours, a new call, or something else.

use alloc::string::ToString;

use super::accounts::AccountEntry;
use super::call::{CallMachine, CallMedia, CallState, not_acceptable};
use super::calls::{CallEntry, check_codecs, check_rate};
use super::config::CallOptions;
use super::error::CallError;
use super::event::{Event, FailureReason};
use super::policy::{PolicySource, SecurityPolicy};
use super::{AccountId, CallId, Engine};
use crate::crypto::tls::TlsFacts;
use crate::sip::FlowId;
use crate::sip::transaction::ServerTxId;
use crate::time::Instant;
use crate::wire::sip::{HeaderName, Message, MessageBuilder, Method, Scheme, UriRef};

/// Refused calls that wait to be told at most; further ones are counted.
const MAX_REFUSED: usize = 64;

impl Engine {
    /// A request that starts a transaction.
    pub(super) fn request(&mut self, now: Instant, tx: ServerTxId, message: Message, flow: FlowId) {
        let dialog = self.call_of_request(&message);
        let requires = message.tokens(HeaderName::Require).next().is_some();
        if let Some(id) = dialog.filter(|_| !requires || *message.method() == Method::Bye) {
            return self.request_in_dialog(now, id, tx, &message, flow);
        }
        let (status, phrase) = match message.method() {
            _ if dialog.is_some() => (420, "Bad Extension"),
            _ if message.to().tag().is_some() => {
                self.stats.strays = self.stats.strays.saturating_add(1);
                (481, "Call/Transaction Does Not Exist")
            }
            _ if message.request_uri().is_some_and(|uri| uri.scheme() == Scheme::Other) => {
                (416, "Unsupported URI Scheme")
            }
            _ if requires => (420, "Bad Extension"),
            Method::Options => (200, "OK"),
            Method::Invite => match self.incoming_call(now, tx, &message, flow) {
                Ok(()) => return,
                Err(refusal) => refusal,
            },
            Method::Other(_) => (501, "Not Implemented"),
            _ => (405, "Method Not Allowed"),
        };
        self.refuse(now, tx, &message, status, phrase);
    }

    fn request_in_dialog(
        &mut self,
        now: Instant,
        id: CallId,
        tx: ServerTxId,
        message: &Message,
        flow: FlowId,
    ) {
        let Some(entry) = self.calls.get(id) else { return };
        // Who takes part in a secure call speaks over a secure connection of the same peer.
        if entry.machine.trust.is_encrypted() && !self.is_flow_of(entry, flow) {
            self.stats.foreign_requests = self.stats.foreign_requests.saturating_add(1);
            return self.refuse(now, tx, message, 403, "Not Over This Connection");
        }
        let trust = self.trust(flow);
        let Some(entry) = self.calls.get_mut(id) else { return };
        // The answer goes the way of the request: it is trusted no further than that.
        let before = entry.machine.trust;
        entry.machine.trust = before.min(trust);
        let fits = entry.machine.handle_request(now, tx, message, &mut self.rng);
        entry.machine.trust = before;
        if fits {
            self.call_moves(id, flow);
        }
    }

    /// True if a secure call's requests may come over this flow: the call's own, or another one
    /// under TLS on which the same peer proved the same key, be it the one who dials or the one who
    /// is dialled. Of a peer that has proved nothing, another one that proves nothing will do.
    fn is_flow_of(&self, entry: &CallEntry, flow: FlowId) -> bool {
        if entry.flow == Some(flow) {
            return true;
        }
        let key = |facts: &TlsFacts| facts.peer.as_ref().map(|peer| peer.key);
        let leg = entry.report.signalling.as_ref();
        let before = leg.and_then(|leg| leg.tls.as_ref()).and_then(key);
        let now = self.flows.facts(flow).and_then(key);
        self.flow_is_secure(flow) && now == before
    }

    fn refuse(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        status: u16,
        phrase: &str,
    ) {
        self.log_refusal(request.method(), status);
        let tag = self.token();
        let mut response =
            request.response(status, phrase).to_tag(&tag).header(HeaderName::Allow, super::ALLOW);
        if status == 420 {
            let unknown: alloc::vec::Vec<_> =
                request.tokens(HeaderName::Require).take(16).collect();
            response = response.header(HeaderName::Unsupported, unknown.join(", "));
        }
        if matches!(status, 200 | 406 | 415) {
            response = response.header(HeaderName::Accept, "application/sdp");
        }
        if status != 200 {
            self.stats.refused_requests = self.stats.refused_requests.saturating_add(1);
        }
        self.answer(now, tx, response);
    }

    /// Answers a transaction. A response that cannot be built (it repeats what the request said,
    /// which may be too long for one) ends the transaction without an answer.
    pub(super) fn answer(&mut self, now: Instant, tx: ServerTxId, response: MessageBuilder) {
        let sent = match response.finish() {
            Ok(response) => self.transactions.respond(now, tx, response).is_ok(),
            Err(_) => {
                self.transactions.abandon(tx);
                false
            }
        };
        if !sent {
            self.stats.unsendable = self.stats.unsendable.saturating_add(1);
        }
    }

    fn incoming_call(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        message: &Message,
        flow: FlowId,
    ) -> Result<(), (u16, &'static str)> {
        if self.live_calls() >= self.config.max_calls {
            return Err((486, "Busy Here"));
        }
        if is_foreign_body(message) {
            return Err((415, "Unsupported Media Type"));
        }
        if !accepts_sdp(message) {
            return Err((406, "Not Acceptable"));
        }
        let sips = message.request_uri().is_some_and(|u| u.scheme() == Scheme::Sips);
        if sips && !self.flow_is_secure(flow) {
            return Err((403, "SIPS Needs TLS"));
        }
        let account = self.account_of(message);
        let effective = self.call_policy(account, SecurityPolicy::Off);
        let policy = effective.policy;
        let codecs = match account.and_then(|a| self.accounts.get(a)) {
            Some(a) => a.config.codecs.clone(),
            None => super::Codec::USUAL.to_vec(),
        };
        let codecs = self.config.usable(codecs, false);
        let audio = account.and_then(|a| self.accounts.get(a)).map(|a| a.config.audio.clone());
        let (tag, trust, leg) = (self.token(), self.trust(flow), self.signalling_leg(flow));
        // Without any policy only a caller who asks for DTLS makes an identity needed.
        let asks = message.body_has(b"a=fingerprint");
        let encrypts = policy != SecurityPolicy::Off || asks;
        let fingerprints = if encrypts { self.dtls_fingerprints() } else { alloc::vec::Vec::new() };
        let (srtp, trace) = (self.config.srtp_options(), self.config.sip_trace);
        let (mut refusal, mut not_allowed, mut faults) = (None, None, alloc::vec::Vec::new());
        let id = self.calls.try_insert_with(|id| {
            let mut media = CallMedia::new(codecs, fingerprints, srtp);
            media.set_audio(audio.unwrap_or_default());
            match CallMachine::incoming(now, id, account, tx, message.clone(), media, policy, tag) {
                Ok(mut machine) => {
                    machine.trust = trust;
                    if let Err(reason) = machine.check_offer() {
                        not_allowed = Some(reason);
                        faults.extend(core::iter::from_fn(|| machine.media.poll_fault()));
                        return None;
                    }
                    machine.announce();
                    let call_id = message.call_id().to_string();
                    let mut entry = CallEntry::new(machine, call_id, effective);
                    entry.signal_over(flow, trust, leg);
                    entry.report.debugging.sip_trace = trace;
                    entry.facts_are_known();
                    Some(entry)
                }
                Err(status) => {
                    refusal = Some((status, "Bad Request"));
                    None
                }
            }
        });
        faults.into_iter().for_each(|fault| self.stats.count_sdp(fault));
        if let Some(reason) = not_allowed {
            self.refuse_call(now, tx, message, account, reason);
            return Ok(());
        }
        let Some(id) = id else { return Err(refusal.unwrap_or((500, "Server Internal Error"))) };
        self.note_verified(id, flow);
        self.invites.insert(tx, id);
        self.bind_media(id);
        Ok(())
    }

    /// The gate does not let a call in: nobody's phone rings, but the person is told.
    fn refuse_call(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        account: Option<AccountId>,
        reason: FailureReason,
    ) {
        self.stats.refused_calls = self.stats.refused_calls.saturating_add(1);
        self.log_refusal(request.method(), 488);
        let tag = self.token();
        self.answer(now, tx, not_acceptable(request, &tag, &reason));
        // A flood of calls must not displace what else the person is to be told.
        let refused = |e: &&Event| matches!(e, Event::IncomingRefused { .. });
        if self.events.iter().filter(refused).count() >= MAX_REFUSED {
            return self.events.drop_one();
        }
        let from = request.from().uri().to_string();
        let display_name = request.from().display();
        self.event(Event::IncomingRefused { account, from, display_name, reason });
    }

    /// The account that an INVITE is for: the one whose address it names in Request-URI or To,
    /// else one whose user the Request-URI names at our own address; of several the strictest.
    fn account_of(&self, message: &Message) -> Option<AccountId> {
        let named = [message.request_uri(), Some(message.to().uri())];
        let same_user = |a: &AccountEntry, uri: UriRef<'_>| {
            let user = uri.user_unescaped();
            user.is_some() && a.config.aor.as_ref().user_unescaped() == user
        };
        let wanted = || self.accounts.iter().filter(|(_, a)| !a.is_being_removed());
        let exact = wanted().find(|(_, a)| {
            let host = a.config.aor.as_ref().host();
            named.iter().flatten().any(|uri| same_user(a, *uri) && uri.host() == host)
        });
        let by_user = wanted()
            .filter(|(_, a)| named.iter().flatten().any(|uri| same_user(a, *uri)))
            .max_by_key(|(_, a)| self.policy_of_account(&a.config).policy);
        exact.or(by_user).map(|(id, _)| id)
    }

    /// Accepts an incoming call, as soon as its media ports are bound.
    pub(super) fn accept_call(
        &mut self,
        now: Instant,
        id: CallId,
        options: CallOptions,
    ) -> Result<(), CallError> {
        check_rate(options.sample_rate)?;
        check_codecs(&options.codecs, options.encoded)?;
        self.check_mode(options.encoded)?;
        let entry = self.calls.get_mut(id).ok_or(CallError::UnknownCall(id))?;
        if entry.machine.state() != CallState::Incoming || entry.accept_wanted {
            return Err(CallError::WrongState {
                command: "accept",
                state: entry.machine.state().as_str(),
            });
        }
        if !options.codecs.is_empty() {
            let usable = self.config.usable(options.codecs.clone(), options.encoded);
            entry.machine.media.set_codecs(usable);
        }
        if let Some(audio) = &options.audio {
            entry.machine.media.set_audio(audio.clone());
        }
        entry.machine.media.set_sample_rate(options.sample_rate);
        let policy = entry.report.policy.tightened(options.policy, PolicySource::Call);
        entry.report.policy = policy;
        entry.machine.policy = policy.policy;
        // Early media goes on as it began.
        let began = entry.early_wanted || entry.machine.media.is_running();
        let encoded = if began { entry.machine.options.encoded } else { options.encoded };
        entry.machine.options = CallOptions { encoded, ..options };
        entry.accept_wanted = true;
        self.try_accept(now, id);
        Ok(())
    }

    /// Starts early media, as soon as the media ports are bound.
    pub(super) fn early_media(
        &mut self,
        id: CallId,
        sample_rate: u32,
        encoded: bool,
    ) -> Result<(), CallError> {
        check_rate(sample_rate)?;
        self.check_mode(encoded)?;
        let entry = self.calls.get_mut(id).ok_or(CallError::UnknownCall(id))?;
        let state = entry.machine.state();
        if state != CallState::Incoming || entry.machine.pending_offer().is_none() {
            let command = "start early media in";
            return Err(CallError::WrongState { command, state: state.as_str() });
        }
        entry.machine.options.sample_rate = sample_rate;
        entry.machine.options.encoded = encoded;
        entry.machine.media.set_sample_rate(sample_rate);
        entry.early_wanted = true;
        self.try_early(id);
        Ok(())
    }

    fn try_early(&mut self, id: CallId) {
        if let Some(entry) = self.calls.get_mut(id)
            && entry.early_wanted
            && entry.ports_ready
        {
            entry.early_wanted = false;
            // The state was checked when the wish was taken; the caller may have gone since.
            let _ = entry.machine.early_media(&mut self.rng);
        }
    }

    pub(super) fn try_accept(&mut self, now: Instant, id: CallId) {
        self.try_early(id);
        if let Some(entry) = self.calls.get_mut(id)
            && entry.accept_wanted
            && entry.ports_ready
        {
            entry.accept_wanted = false;
            // The state was checked when the wish was taken; the caller may have gone since.
            let _ = entry.machine.accept(now, &mut self.rng);
        }
    }
}

/// A body of one part that is no session description.
fn is_foreign_body(message: &Message) -> bool {
    let parts = crate::wire::sip::parts(message);
    matches!(parts.as_slice(), [one] if !one.content_type.eq_ignore_ascii_case("application/sdp"))
}

/// Whether the caller takes SDP back: it need not say so, but may rule it out (RFC 3261 §20.1).
fn accepts_sdp(request: &Message) -> bool {
    let mut types = request.list(HeaderName::Accept).filter_map(|value| value.split(';').next());
    request.header(HeaderName::Accept).is_none()
        || types.any(|t| {
            ["application/sdp", "application/*", "*/*"]
                .iter()
                .any(|known| t.trim_end().eq_ignore_ascii_case(known))
        })
}
