//! Calls in the engine: placing, receiving, tying them to flows, media ports and sessions.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::accounts::AccountEntry;
use super::call::{CallMachine, CallMedia, CallState, InviteParts};
use super::config::CallOptions;
use super::error::CallError;
use super::event::{EndReason, FailureReason};
use super::keying::DtlsLeg;
use super::peers::SecurityLevel;
use super::policy::{EffectivePolicy, PolicySource, SecurityPolicy};
use super::ports::MediaPorts;
use super::report::{SecurityReport, SignallingLeg};
use super::sockets::SocketUse;
use super::ways::Waiting;
use super::{AccountId, CallId, Engine, HostAction};
use crate::crypto::dtls::Fingerprint;
use crate::crypto::srtp::KeySet;
use crate::media::session::{MediaSession, MediaStats};
use crate::sip::FlowId;
use crate::sip::auth::DigestClient;
use crate::sip::resolve::ResolveError;
use crate::sip::route::Route;
use crate::sip::transaction::{ClientTxId, ServerTxId};
use crate::time::{Duration, Instant};
use crate::util::Rng;
use crate::wire::sip::{
    HeaderName, Message, MessageBuilder, Method, NameAddr, Scheme, Uri, UriRef,
};

/// Ended calls whose statistics and report are kept.
const KEPT: usize = 64;

/// How often the connection of a direct call is pinged.
const DIRECT_KEEP_ALIVE: Duration = Duration::from_secs(90);

/// A call with what ties it to the world.
#[derive(Debug)]
pub(super) struct CallEntry {
    pub(super) machine: CallMachine,
    pub(super) call_id: String,
    pub(super) route: Option<Route>,
    pub(super) flow: Option<FlowId>,
    pub(super) ports: Option<MediaPorts>,
    pub(super) ports_ready: bool,
    pub(super) invite_tx: Option<ClientTxId>,
    pub(super) invite: Option<Message>,
    /// Answers the challenges of the account's server.
    pub(super) auth: Option<DigestClient>,
    pub(super) session: Option<MediaSession>,
    /// The handshake that keys the media.
    pub(super) dtls: Option<DtlsLeg>,
    /// The keys that it gave.
    pub(super) dtls_keys: Option<(KeySet, KeySet)>,
    /// How well the media is protected, apart from the peer's identity, and the certificate that
    /// the peer showed, when the memory of peers was last asked.
    pub(super) judged: Option<(SecurityLevel, Option<Fingerprint>)>,
    /// The last statistics of a session that is gone.
    pub(super) stats: Option<MediaStats>,
    pub(super) report: SecurityReport,
    pub(super) invited: bool,
    /// Requests that wait for the way.
    pub(super) waiting: Vec<Waiting>,
    /// Why the first server did not take the call, while others are asked.
    pub(super) failover: Option<EndReason>,
    /// An incoming call that was accepted before its media ports were bound.
    pub(super) accept_wanted: bool,
    /// Early media was wanted before its media ports were bound.
    pub(super) early_wanted: bool,
}

impl CallEntry {
    fn new(machine: CallMachine, call_id: String, policy: EffectivePolicy) -> Self {
        Self {
            machine,
            call_id,
            route: None,
            flow: None,
            ports: None,
            ports_ready: false,
            invite_tx: None,
            invite: None,
            auth: None,
            session: None,
            dtls: None,
            dtls_keys: None,
            judged: None,
            stats: None,
            report: SecurityReport::new(policy),
            invited: false,
            waiting: Vec::new(),
            failover: None,
            accept_wanted: false,
            early_wanted: false,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Rng) {
        self.machine.handle_timeout(now, rng);
        if let Some(session) = &mut self.session
            && session.next_timeout().is_some_and(|t| t <= now)
        {
            session.handle_timeout(now);
        }
        if let Some(leg) = &mut self.dtls {
            leg.handle_timeout(now);
        }
        if self.session.as_ref().is_some_and(MediaSession::rekey_due) {
            // If something else is being agreed on, the next timer asks again.
            let _ = self.machine.renew_keys(rng);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let media = self.session.as_ref().and_then(MediaSession::next_timeout);
        let dtls = self.dtls.as_ref().and_then(DtlsLeg::next_timeout);
        [self.machine.next_timeout(), media, dtls].into_iter().flatten().min()
    }

    pub(super) fn media_stats(&self) -> Option<MediaStats> {
        self.session.as_ref().map(MediaSession::stats).or(self.stats)
    }

    /// The report with the media's counters as they are now.
    pub(super) fn current_report(&self) -> SecurityReport {
        let mut report = self.report.clone();
        if let Some(stats) = self.media_stats() {
            report.count(&stats, self.machine.media.is_protected());
        }
        report
    }
}

impl Engine {
    /// Places a call. Watch for [`Event::CallProgress`](super::Event::CallProgress),
    /// [`Event::CallEstablished`](super::Event::CallEstablished) and
    /// [`Event::CallEnded`](super::Event::CallEnded).
    ///
    /// # Errors
    /// [`CallError`] says what to change; nothing was sent.
    pub fn place_call(
        &mut self,
        now: Instant,
        from: AccountId,
        to: &Uri,
        options: CallOptions,
    ) -> Result<CallId, CallError> {
        let account = self.accounts.get(from).ok_or(CallError::UnknownAccount(from))?;
        if !matches!(to.as_ref().scheme(), Scheme::Sip | Scheme::Sips) {
            return Err(CallError::BadTarget(to.to_string()));
        }
        check_rate(options.sample_rate)?;
        if self.live_calls() >= self.config.max_calls {
            return Err(CallError::TooManyCalls);
        }
        let config = &account.config;
        let effective = self.call_policy(Some(from), options.policy);
        let policy = effective.policy;
        let codecs =
            if options.codecs.is_empty() { config.codecs.clone() } else { options.codecs.clone() };
        // An account that registers sends everything through its server.
        let next_hop = match (config.register, &config.outbound_proxy) {
            (true, _) => account.server(),
            (false, Some(proxy)) => proxy.clone(),
            (false, None) => to.clone(),
        };
        // sips and `Required` never leave TLS (RFC 5630 §3.1.3).
        let secure = policy == SecurityPolicy::Required || to.as_ref().scheme() == Scheme::Sips;
        let flow =
            account.flow.filter(|f| self.flows.is_up(*f) && (!secure || self.flow_is_secure(*f)));
        let steps = if flow.is_some() { account.ladder.steps.clone() } else { Vec::new() };
        let wanted = config.transport;
        let allowed: alloc::vec::Vec<_> = policy
            .transports()
            .iter()
            .copied()
            .filter(|t| wanted.is_none_or(|w| w == *t) && (!secure || t.is_secure()))
            .collect();
        let route = Self::route_under(&next_hop, &allowed, policy).map_err(|e| match e {
            ResolveError::Scheme => CallError::BadTarget(to.to_string()),
            ResolveError::TransportForbidden => CallError::TransportForbidden,
        })?;
        let (tag, call_id) = (self.token(), self.token());
        let fingerprints = self.dtls_fingerprints();
        let target = to.clone();
        let entry_of = |id| {
            let media = CallMedia::new(codecs, fingerprints);
            let machine = CallMachine::outgoing(now, id, from, target, media, policy, options, tag);
            let mut entry = CallEntry::new(machine, call_id, effective);
            entry.route = flow.is_none().then_some(route);
            entry.report.ladder = steps;
            entry
        };
        // The machine carries its own id, which the arena gives.
        let id = self.calls.insert_with(entry_of);
        if let Some(flow) = flow {
            self.call_way_ready(now, id, flow);
        }
        self.bind_media(id);
        self.deliver(now);
        Ok(id)
    }

    /// A domain's policy became stricter: its running plain calls are moved to SRTP, if the
    /// application wants that. What cannot be moved is kept.
    pub(super) fn upgrade_calls(&mut self, account: AccountId) {
        if !self.config.upgrade_running_calls {
            return;
        }
        for id in self.calls.ids() {
            let own = self.calls.get(id).map_or(SecurityPolicy::Off, |e| e.machine.options.policy);
            let effective = self.call_policy(Some(account), own);
            let Some(entry) = self.calls.get_mut(id) else { continue };
            let stricter = effective.policy > entry.machine.policy;
            let plain = !entry.machine.media.is_protected();
            if entry.machine.account != Some(account) || !stricter || !plain {
                continue;
            }
            entry.machine.policy = effective.policy;
            entry.report.policy = effective;
            // A call that is not up yet follows with its answer.
            let _ = entry.machine.renew_keys(&mut self.rng);
        }
    }

    pub(super) fn live_calls(&self) -> usize {
        self.calls.iter().filter(|(_, e)| !e.machine.is_over()).count()
    }

    /// The flow to the next hop is up.
    pub(super) fn call_way_ready(&mut self, now: Instant, id: CallId, flow: FlowId) {
        let trust = self.trust(flow);
        let leg = self.signalling_leg(flow);
        let account = self.calls.get(id).and_then(|e| e.machine.account);
        let account_flow = account.and_then(|a| self.accounts.get(a)).and_then(|a| a.flow);
        let Some(entry) = self.calls.get_mut(id) else { return };
        entry.flow = Some(flow);
        entry.machine.trust = trust;
        entry.report.signalling = leg;
        if let Some(route) = &entry.route {
            entry.report.ladder = route.steps().to_vec();
        }
        // A connection of this call's own is kept open, also through the far end's patience.
        if account_flow != Some(flow) && self.flows.is_stream(flow) {
            self.flows.set_keep_alive(now, flow, DIRECT_KEEP_ALIVE, false, &mut self.rng);
        }
        self.try_invite(id);
        self.waiting_requests(now, id);
    }

    /// The evidence of a flow.
    pub(super) fn signalling_leg(&self, flow: FlowId) -> Option<SignallingLeg> {
        let transport = self.flows.transport(flow)?;
        let tls = self.flows.facts(flow).cloned();
        let peer_verified = tls.as_ref().is_some_and(|facts| facts.peer.is_some());
        Some(SignallingLeg { transport, tls, peer_verified })
    }

    /// Sends the INVITE once both the way and the media ports are there.
    pub(super) fn try_invite(&mut self, id: CallId) {
        let Some(entry) = self.calls.get(id) else { return };
        if entry.invited || entry.flow.is_none() || !entry.ports_ready {
            return;
        }
        let account = entry.machine.account.and_then(|a| self.accounts.get(a));
        let Some(AccountEntry { config, .. }) = account else { return };
        let from = NameAddr::new(config.aor.clone())
            .with_display(&config.display_name)
            .unwrap_or(NameAddr::new(config.aor.clone()));
        let parts = InviteParts {
            from,
            call_id: entry.call_id.clone(),
            route: config.outbound_proxy.clone(),
            user_agent: self.config.user_agent.clone(),
        };
        if let Some(entry) = self.calls.get_mut(id) {
            entry.invited = true;
            entry.machine.invite(&parts, &mut self.rng);
        }
    }

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
        let leg = self.signalling_leg(flow);
        let Some(entry) = self.calls.get_mut(id) else { return };
        if entry.machine.handle_request(now, tx, message, &mut self.rng) {
            entry.flow = Some(flow);
            if leg.is_some() {
                entry.report.signalling = leg;
            }
        }
    }

    /// True if a secure call's requests may come over this flow: the call's own, or another one
    /// under TLS on which the same peer proved the same identity.
    fn is_flow_of(&self, entry: &CallEntry, flow: FlowId) -> bool {
        if entry.flow == Some(flow) {
            return true;
        }
        let before = entry.report.signalling.as_ref().and_then(|leg| leg.tls.as_ref());
        let before = before.and_then(|facts| facts.peer.as_ref());
        let now = self.flows.facts(flow).and_then(|facts| facts.peer.as_ref());
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
        if message.has_content_type("application/sdp") == message.body().is_empty()
            && !message.body().is_empty()
            && crate::wire::sip::parts(message).len() < 2
        {
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
            None => super::Codec::ALL.to_vec(),
        };
        let (tag, trust, leg) = (self.token(), self.trust(flow), self.signalling_leg(flow));
        let fingerprints = self.dtls_fingerprints();
        let mut refusal = None;
        let id = self.calls.try_insert_with(|id| {
            let media = CallMedia::new(codecs, fingerprints);
            match CallMachine::incoming(now, id, account, tx, message.clone(), media, policy, tag) {
                Ok(machine) => {
                    let call_id = message.call_id().to_string();
                    let mut entry = CallEntry::new(machine, call_id, effective);
                    entry.flow = Some(flow);
                    entry.machine.trust = trust;
                    entry.report.signalling = leg;
                    Some(entry)
                }
                Err(status) => {
                    refusal = Some((status, "Bad Request"));
                    None
                }
            }
        });
        let Some(id) = id else { return Err(refusal.unwrap_or((500, "Server Internal Error"))) };
        self.invites.insert(tx, id);
        let allowed = self.calls.get_mut(id).is_some_and(|e| e.machine.check_offer());
        if allowed {
            self.bind_media(id);
        }
        Ok(())
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
        let entry = self.calls.get_mut(id).ok_or(CallError::UnknownCall(id))?;
        if entry.machine.state() != CallState::Incoming || entry.accept_wanted {
            return Err(CallError::WrongState {
                command: "accept",
                state: entry.machine.state().as_str(),
            });
        }
        if !options.codecs.is_empty() {
            entry.machine.media.set_codecs(options.codecs.clone());
        }
        let policy = entry.report.policy.tightened(options.policy, PolicySource::Call);
        entry.report.policy = policy;
        entry.machine.policy = policy.policy;
        entry.machine.options = options;
        entry.accept_wanted = true;
        self.try_accept(now, id);
        Ok(())
    }

    /// Starts early media, as soon as the media ports are bound.
    pub(super) fn early_media(&mut self, id: CallId, sample_rate: u32) -> Result<(), CallError> {
        check_rate(sample_rate)?;
        let entry = self.calls.get_mut(id).ok_or(CallError::UnknownCall(id))?;
        let state = entry.machine.state();
        if state != CallState::Incoming || entry.machine.pending_offer().is_none() {
            let command = "start early media in";
            return Err(CallError::WrongState { command, state: state.as_str() });
        }
        entry.machine.options.sample_rate = sample_rate;
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

    /// Gives a call its media ports.
    pub(super) fn bind_media(&mut self, id: CallId) {
        let rtp = self.sockets.insert(SocketUse::Rtp(id));
        let rtcp = self.sockets.insert(SocketUse::Rtcp(id));
        let Some(entry) = self.calls.get_mut(id) else { return };
        let ports = match entry.ports.take() {
            Some(mut ports) => {
                ports.again(rtp, rtcp);
                ports
            }
            None => MediaPorts::new(rtp, rtcp),
        };
        let actions = ports.bind(self.config.local_ip, &self.config.media_ports, &mut self.rng);
        entry.ports = Some(ports);
        for action in actions {
            self.port_action(action);
        }
    }

    /// A call is over: its ports close once its last packets are out.
    pub(super) fn retire(&mut self, id: CallId) {
        self.ended.push_back(id);
        self.unpark_none(id);
        if let Some(entry) = self.calls.get_mut(id) {
            entry.route = None;
            match &mut entry.session {
                Some(session) => session.close(),
                None => self.close_media(id),
            }
        }
        while self.ended.len() > KEPT {
            if let Some(oldest) = self.ended.pop_front() {
                self.close_media(oldest);
                self.calls.remove(oldest);
            }
        }
    }

    /// Forgets an ended call at once: its id is stale from now on.
    pub fn forget_call(&mut self, id: CallId) -> Result<(), CallError> {
        let entry = self.calls.get(id).ok_or(CallError::UnknownCall(id))?;
        if !entry.machine.is_over() {
            let state = entry.machine.state().as_str();
            return Err(CallError::WrongState { command: "forget", state });
        }
        self.close_media(id);
        self.calls.remove(id);
        self.ended.retain(|e| *e != id);
        Ok(())
    }

    /// No port for a call's media: it is refused, taken back or ended, as its state demands.
    pub(super) fn media_failed(&mut self, id: CallId) {
        if let Some(entry) = self.calls.get_mut(id) {
            entry.machine.fail(FailureReason::NoMediaPort);
        }
    }

    pub(super) fn close_media(&mut self, id: CallId) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        if let Some(session) = entry.session.take() {
            entry.stats = Some(session.stats());
        }
        if let Some(ports) = entry.ports.take() {
            for socket in [ports.rtp(), ports.rtcp()] {
                if self.sockets.remove(socket).is_some() {
                    self.host.push_back(HostAction::CloseUdp(socket));
                }
            }
        }
    }
}

fn check_rate(rate: u32) -> Result<(), CallError> {
    match rate {
        8_000 | 16_000 | 24_000 | 32_000 | 44_100 | 48_000 => Ok(()),
        other => Err(CallError::BadSampleRate(other)),
    }
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
