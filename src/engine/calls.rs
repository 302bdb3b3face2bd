//! Calls in the engine: placing them, tying them to flows, media ports and sessions.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::accounts::AccountEntry;
use super::call::{CallMachine, CallMedia, InviteParts};
use super::changes::follow_keys;
use super::config::{CallOptions, Codec};
use super::error::CallError;
use super::event::{EndReason, FailureReason};
use super::gate::Trust;
use super::handshake::{DtlsLeg, EarlyHellos};
use super::media_slot::MediaSlot;
use super::peers::SecurityLevel;
use super::policy::{EffectivePolicy, SecurityPolicy};
use super::ports::MediaPorts;
use super::renewal::Renewal;
use super::report::{SecurityReport, SignallingLeg};
use super::sockets::SocketUse;
use super::ways::Waiting;
use super::{AccountId, CallId, Engine, HostAction};
use crate::crypto::dtls::Fingerprint;
use crate::crypto::srtp::KeySet;
use crate::media::session::{DtmfError, MediaStats};
use crate::sip::FlowId;
use crate::sip::auth::DigestClient;
use crate::sip::resolve::ResolveError;
use crate::sip::route::Route;
use crate::sip::transaction::ClientTxId;
use crate::time::{Duration, Instant};
use crate::util::Rng;
use crate::wire::dtmf::Digit;
use crate::wire::sip::{Message, NameAddr, Scheme, Uri};

/// Ended calls whose statistics and report are kept.
const KEPT: usize = 64;

/// Keys pressed that wait for media at most.
const MAX_DIGITS: usize = 32;

/// How often the connection of a direct call is pinged.
const DIRECT_KEEP_ALIVE: Duration = Duration::from_secs(90);

/// A call with what ties it to the world.
#[derive(Debug)]
pub(super) struct CallEntry {
    pub(super) machine: CallMachine,
    pub(super) call_id: String,
    pub(super) route: Option<Route>,
    pub(super) flow: Option<FlowId>,
    /// The domain that the far end of the signalling was first verified for: a new connection of
    /// this call to an address must be verified for it, too.
    pub(super) verified_as: Option<String>,
    pub(super) ports: Option<MediaPorts>,
    pub(super) ports_ready: bool,
    pub(super) invite_tx: Option<ClientTxId>,
    pub(super) invite: Option<Message>,
    /// Answers the challenges of the account's server.
    pub(super) auth: Option<DigestClient>,
    pub(super) media: MediaSlot,
    /// The handshake that keys the media.
    pub(super) dtls: Option<DtlsLeg>,
    /// What came of it before its time.
    pub(super) early_hellos: EarlyHellos,
    /// The keys that it gave.
    pub(super) dtls_keys: Option<(KeySet, KeySet)>,
    /// The SSRC with which another fork heard us.
    pub(super) former_source: Option<u32>,
    /// What is sent is silenced.
    pub(super) muted: bool,
    /// Gain of what is sent and of what is heard, dB.
    pub(super) gains: (f32, f32),
    /// Keys pressed while the keys of the media are being agreed on.
    pub(super) waiting_digits: Vec<(Digit, Duration)>,
    pub(super) renewal: Renewal,
    /// How well the media is protected, apart from the peer's identity, and the certificate that
    /// the peer showed, when the memory of peers was last asked.
    pub(super) judged: Option<(SecurityLevel, Option<Fingerprint>)>,
    pub(super) report: SecurityReport,
    /// The facts of `report` that were told last, or are about to be.
    pub(super) told: SecurityReport,
    /// They were not told yet.
    pub(super) untold: bool,
    pub(super) invited: bool,
    /// Requests that wait for the way.
    pub(super) waiting: Vec<Waiting>,
    /// Why the first server did not take the call, while others are asked.
    pub(super) failover: Option<EndReason>,
    /// An incoming call that was accepted before its media ports were bound.
    pub(super) accept_wanted: bool,
    /// Early media was wanted before its media ports were bound.
    pub(super) early_wanted: bool,
    /// The far end does not know our new addresses yet.
    pub(super) move_wanted: bool,
}

impl CallEntry {
    pub(super) fn new(machine: CallMachine, call_id: String, policy: EffectivePolicy) -> Self {
        Self {
            machine,
            call_id,
            route: None,
            flow: None,
            verified_as: None,
            ports: None,
            ports_ready: false,
            invite_tx: None,
            invite: None,
            auth: None,
            media: MediaSlot::default(),
            dtls: None,
            early_hellos: EarlyHellos::default(),
            dtls_keys: None,
            former_source: None,
            muted: false,
            gains: (0.0, 0.0),
            waiting_digits: Vec::new(),
            renewal: Renewal::default(),
            judged: None,
            report: SecurityReport::new(policy),
            told: SecurityReport::new(policy),
            untold: false,
            invited: false,
            waiting: Vec::new(),
            failover: None,
            accept_wanted: false,
            early_wanted: false,
            move_wanted: false,
        }
    }

    /// Signalling goes over this flow from now on: the one place where a call's flow, how far it
    /// is trusted with keys, and what the report says of it change together.
    pub(super) fn signal_over(&mut self, flow: FlowId, trust: Trust, leg: Option<SignallingLeg>) {
        self.flow = Some(flow);
        self.machine.trust = trust;
        if let Some(leg) = leg {
            self.report.set_signalling(leg);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Rng) {
        self.machine.handle_timeout(now, rng);
        self.handle_media_timeout(now);
        if let Some(leg) = &mut self.dtls {
            leg.handle_timeout(now);
        }
        self.renew_keys_if_due(now, rng);
    }

    /// What is due of the media session alone. False if new keys are due with it.
    pub(super) fn handle_media_timeout(&mut self, now: Instant) -> bool {
        self.media.handle_timeout(now);
        self.next_renewal().is_none_or(|at| at > now)
    }

    /// When something else than the media session has work.
    pub(super) fn next_signalling_timeout(&self) -> Option<Instant> {
        let dtls = self.dtls.as_ref().and_then(DtlsLeg::next_timeout);
        [self.machine.next_timeout(), dtls, self.next_renewal()].into_iter().flatten().min()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let media = self.media.next_timeout();
        [self.next_signalling_timeout(), media].into_iter().flatten().min()
    }

    /// A key pressed before there is media waits for it.
    pub(super) fn queue_digit(
        &mut self,
        digit: Digit,
        duration: Duration,
    ) -> Result<(), DtmfError> {
        let agreed = self.machine.media.plan().map(|plan| &plan.agreed);
        if agreed.is_some_and(|agreed| agreed.dtmf.is_none()) {
            return Err(DtmfError::NotNegotiated);
        }
        if agreed.is_some_and(|agreed| !agreed.direction.sends()) {
            return Err(DtmfError::NotSending);
        }
        if !(40..=6_000).contains(&duration.as_millis()) {
            return Err(DtmfError::Duration);
        }
        if self.waiting_digits.len() >= MAX_DIGITS {
            return Err(DtmfError::QueueFull);
        }
        self.waiting_digits.push((digit, duration));
        Ok(())
    }

    pub(super) fn media_stats(&self) -> Option<MediaStats> {
        self.media.stats()
    }

    /// The report with the media's counters as they are now.
    pub(super) fn current_report(&self) -> SecurityReport {
        let mut report = self.report.clone();
        if let Some(stats) = self.media_stats() {
            let protected = self.machine.media.is_protected() && self.media.is_confirmed();
            report.count(&stats, protected);
        }
        follow_keys(&self.media, &mut report);
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
        check_codecs(&options.codecs, options.encoded)?;
        self.check_mode(options.encoded)?;
        if self.live_calls() >= self.config.max_calls {
            return Err(CallError::TooManyCalls);
        }
        let config = &account.config;
        let effective = self.call_policy(Some(from), options.policy);
        let policy = effective.policy;
        let codecs =
            if options.codecs.is_empty() { config.codecs.clone() } else { options.codecs.clone() };
        let codecs = self.config.usable(codecs, options.encoded);
        if codecs.is_empty() {
            return Err(CallError::NoCodecs);
        }
        let audio = options.audio.clone().unwrap_or_else(|| config.audio.clone());
        let rate = options.sample_rate;
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
        let allowed = policy.transports_for(config.transport, secure);
        let route = Self::route_under(&next_hop, &allowed, policy).map_err(|e| match e {
            ResolveError::Scheme => CallError::BadTarget(to.to_string()),
            ResolveError::TransportForbidden => CallError::TransportForbidden,
        })?;
        let (tag, call_id) = (self.token(), self.token());
        // Without any policy nothing is encrypted: no identity needs to be made.
        let encrypts = policy != SecurityPolicy::Off;
        let fingerprints = if encrypts { self.dtls_fingerprints() } else { Vec::new() };
        let (target, trace) = (to.clone(), self.config.sip_trace);
        let srtp = self.config.srtp_options();
        let entry_of = |id| {
            let mut media = CallMedia::new(codecs, fingerprints, srtp);
            media.set_audio(audio);
            media.set_sample_rate(rate);
            let machine = CallMachine::outgoing(now, id, from, target, media, policy, options, tag);
            let mut entry = CallEntry::new(machine, call_id, effective);
            entry.route = flow.is_none().then_some(route);
            entry.report.ladder = steps;
            entry.report.debugging.sip_trace = trace;
            entry.facts_are_known();
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
            let Some(entry) = self.calls.get(id) else { continue };
            let stricter = effective.policy > entry.machine.policy;
            let plain = !entry.machine.media.is_protected();
            if entry.machine.account != Some(account) || !stricter || !plain {
                continue;
            }
            let fingerprints = self.dtls_fingerprints();
            let Some(entry) = self.calls.get_mut(id) else { continue };
            entry.machine.policy = effective.policy;
            entry.machine.media.set_fingerprints(fingerprints);
            entry.report.policy = effective;
            // A call that is not up yet follows with its answer.
            let _ = entry.machine.renew_keys(&mut self.rng);
        }
    }

    /// Who keeps the media of calls in the engine exchanges PCM.
    pub(super) fn check_mode(&self, encoded: bool) -> Result<(), CallError> {
        if encoded && self.media_kept { Err(CallError::PcmOnly) } else { Ok(()) }
    }

    pub(super) fn live_calls(&self) -> usize {
        self.calls.iter().filter(|(_, e)| !e.machine.is_over()).count()
    }

    /// The flow to the next hop is up.
    pub(super) fn call_way_ready(&mut self, now: Instant, id: CallId, flow: FlowId) {
        self.call_moves(id, flow);
        let account = self.calls.get(id).and_then(|e| e.machine.account);
        let account_flow = account.and_then(|a| self.accounts.get(a)).and_then(|a| a.flow);
        let Some(entry) = self.calls.get_mut(id) else { return };
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
        Some(SignallingLeg::new(transport, self.flows.facts(flow).cloned()))
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
        self.cancel_invites(self.now, id, None);
        if let Some(entry) = self.calls.get_mut(id) {
            entry.route = None;
            entry.forget_keys(self.now);
            entry.media.close(self.now);
            if !entry.media.is_there() {
                self.close_media(id);
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
        entry.media.discard();
        if let Some(ports) = entry.ports.take() {
            for socket in [ports.rtp(), ports.rtcp()] {
                if self.sockets.remove(socket).is_some() {
                    self.host.push_back(HostAction::CloseUdp(socket));
                }
            }
        }
    }
}

pub(super) fn check_codecs(codecs: &[Codec], encoded: bool) -> Result<(), CallError> {
    let absent = codecs.iter().find(|codec| !codec.will_do(encoded));
    absent.map_or(Ok(()), |codec| Err(CallError::CodecNotBuilt(*codec)))
}

pub(super) fn check_rate(rate: u32) -> Result<(), CallError> {
    match rate {
        8_000 | 16_000 | 24_000 | 32_000 | 44_100 | 48_000 => Ok(()),
        other => Err(CallError::BadSampleRate(other)),
    }
}
