//! The engine: accounts, calls, policy and evidence on top of SIP and media.
//!
//! [`Engine`] is the post office between the machines (flows, transactions, calls, media sessions);
//! it holds no protocol logic of its own. `post` carries signalling, `calls` and `sockets` tie calls
//! to transactions and to their media sockets, `output` hands out what the host has to do.

mod accounts;
mod audio;
mod away;
mod call;
mod calls;
mod changes;
mod config;
mod error;
mod event;
mod facade;
mod gate;
mod handshake;
mod incoming;
mod io;
mod keying;
mod ladder;
mod log;
mod media_slot;
mod memory;
mod moving;
mod nat;
mod output;
mod peers;
mod policy;
mod ports;
mod post;
#[cfg(feature = "provisioning")]
pub mod provisioning;
mod registering;
mod renewal;
mod report;
mod responses;
mod sockets;
mod sound;
mod stats;
#[cfg(test)]
mod tests;
mod tls;
mod tone;
mod trace;
mod ways;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

pub use crate::sip::route::{LadderStep, StepOutcome};
pub use accounts::{AccountState, AccountStatus};
pub use audio::AudioOptions;
pub use call::{CallState, Direction};
pub use config::{AccountConfig, CallOptions, Codec, Config};
pub use error::{AccountError, CallError, ConfigError, InputError, MediaError};
pub use event::{EndReason, Event, FailureReason};
pub use facade::Call;
pub use gate::MediaOffer;
pub use io::{Input, Output};
pub use log::{LogLevel, LogRecord};
pub use peers::{PeerMemory, PeerMemoryError, SecurityLevel, Verdict};
pub use policy::{EffectivePolicy, PolicyError, PolicySource, SecurityPolicy};
pub use report::{Debugging, Keying, MediaLeg, Padlock, RtcpLeg, SecurityReport, SignallingLeg};
pub use stats::{EngineLoad, EngineStats};
pub use tls::TlsConfig;
pub use trace::{SipDirection, SipTraceRecord};

use calls::CallEntry;
use gate::Trust;

use accounts::AccountEntry;
use post::{Pending, RouteOwner};
use sockets::SocketUse;

use crate::crypto::dtls::{DtlsIdentity, FingerprintHash};
use crate::sip::dns::{QueryId, QueryTag};
use crate::sip::flow::Flows;
use crate::sip::transaction::{ClientTxId, ServerTxId, TransactionConfig, TransactionLayer};
use crate::sip::{FlowId, ListenerId, ListenerTag, SocketId, SocketTag, StreamId, Transport};
use crate::time::{Instant, UnixTime};
use crate::util::{Arena, BoundedQueue, Id, Rng, RngExt};

/// Methods that the engine takes.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE";
/// Events that wait for the application at most; further ones are counted and dropped.
const MAX_EVENTS: usize = 1024;

/// Names what an [`AccountId`] identifies.
#[derive(Debug)]
pub enum AccountTag {}
/// An account of the engine's.
pub type AccountId = Id<AccountTag>;
/// Names what a [`CallId`] identifies.
#[derive(Debug)]
pub enum CallTag {}
/// A call of the engine's.
pub type CallId = Id<CallTag>;

/// Something for the host to do that is not a packet.
#[derive(Debug)]
enum HostAction {
    Bind(SocketId, SocketAddr),
    CloseUdp(SocketId),
    Listen(ListenerId, SocketAddr),
    Resolve(QueryId, crate::sip::resolve::Question),
}

/// The secure-call engine. One per phone; `&mut self` everywhere, no locks, no globals.
pub struct Engine {
    config: Config,
    rng: Box<dyn Rng>,
    /// A delivery stopped at its limit of rounds: the next output goes on with it.
    unsettled: bool,
    /// The instant of the last input or command.
    now: Instant,
    /// The wall clock when it was last told, and the instant of that.
    wall: (Instant, UnixTime),
    flows: Flows,
    transactions: TransactionLayer,
    accounts: Arena<AccountTag, AccountEntry>,
    calls: Arena<CallTag, CallEntry>,
    /// Calls that ended, oldest first.
    ended: VecDeque<CallId>,
    sockets: Arena<SocketTag, SocketUse>,
    listeners: Arena<ListenerTag, Transport>,
    /// The ports that are listened on.
    listening: Vec<(ListenerId, Transport, SocketAddr)>,
    queries: Arena<QueryTag, RouteOwner>,
    requests: BTreeMap<ClientTxId, Pending>,
    /// Requests too long for a datagram, on their way to a TCP connection.
    parked: Vec<ways::Parked>,
    /// Responses that wait for a new connection, their own being gone.
    late: Vec<responses::Late>,
    invites: BTreeMap<ServerTxId, CallId>,
    policies: BTreeMap<String, SecurityPolicy>,
    /// What is remembered of peers across calls.
    peers: PeerMemory,
    /// Our end of DTLS handshakes; made when it is first needed, unless the host gave one.
    dtls_identity: Option<DtlsIdentity>,
    host: VecDeque<HostAction>,
    /// The rest of an output that did not fit the host's buffer.
    held: Option<crate::sip::flow::FlowOutput>,
    events: BoundedQueue<Event>,
    /// Some call's facts changed and were not told yet.
    has_news: bool,
    /// No session is handed out.
    media_kept: bool,
    stats: EngineStats,
    log: log::Log,
    sip_trace: trace::SipTrace,
    /// What the provisioning document that holds now has set.
    #[cfg(feature = "provisioning")]
    provisioned: provisioning::Provisioned,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.config)
            .field("accounts", &self.accounts.len())
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine. The first outputs bind and listen as the configuration says.
    ///
    /// # Errors
    /// [`ConfigError`] says what to change.
    pub fn new(mut config: Config, now: Instant) -> Result<Self, ConfigError> {
        if config.listen_tls.is_some() && config.identity.is_none() {
            return Err(ConfigError::ListenTlsWithoutIdentity);
        }
        if let Some(packets) = config.srtp_key_lifetime.filter(|n| !(1..=1 << 48).contains(n)) {
            return Err(ConfigError::BadKeyLifetime(packets));
        }
        if ports::pair_count(&config.media_ports) == 0 {
            return Err(ConfigError::NoMediaPorts);
        }
        for (field, text) in
            [("user_agent", &config.user_agent), ("local_user", &config.local_user)]
        {
            if text.chars().any(char::is_control) {
                return Err(ConfigError::BadText { field });
            }
        }
        let (client, server) = config.tls_settings()?;
        let mut rng = core::mem::replace(&mut config.rng, Box::new(NoRng));
        let unix = config.unix_time;
        let mut engine = Self {
            flows: Flows::new(client, server, unix),
            transactions: TransactionLayer::new(TransactionConfig::default(), &mut rng),
            unsettled: false,
            now,
            wall: (now, unix),
            rng,
            accounts: Arena::default(),
            calls: Arena::default(),
            ended: VecDeque::new(),
            sockets: Arena::default(),
            listeners: Arena::default(),
            listening: Vec::new(),
            queries: Arena::default(),
            requests: BTreeMap::new(),
            parked: Vec::new(),
            late: Vec::new(),
            invites: BTreeMap::new(),
            policies: BTreeMap::new(),
            peers: PeerMemory::new(),
            dtls_identity: config.dtls_identity.clone(),
            host: VecDeque::new(),
            held: None,
            events: BoundedQueue::new(MAX_EVENTS),
            has_news: false,
            media_kept: false,
            stats: EngineStats::default(),
            log: log::Log::new(config.log_level),
            sip_trace: trace::SipTrace::new(config.sip_trace),
            #[cfg(feature = "provisioning")]
            provisioned: provisioning::Provisioned::default(),
            config,
        };
        engine.open_listeners();
        Ok(engine)
    }

    fn open_listeners(&mut self) {
        if let Some(port) = self.config.udp_port {
            let socket = self.sockets.insert(SocketUse::Sip);
            let local = SocketAddr::new(self.config.local_ip, port);
            self.host.push_back(HostAction::Bind(socket, local));
        }
        let wanted =
            [(self.config.listen_tcp, Transport::Tcp), (self.config.listen_tls, Transport::Tls)];
        for (address, transport) in wanted {
            if let Some(local) = address {
                let listener = self.listeners.insert(transport);
                self.host.push_back(HostAction::Listen(listener, local));
            }
        }
    }

    /// The wall clock now, as far as the host told it.
    fn unix(&self, now: Instant) -> UnixTime {
        self.wall.1 + now.duration_since(self.wall.0)
    }

    /// Takes one input. Call [`Engine::poll_output`] until [`Output::Timeout`] afterwards.
    ///
    /// # Errors
    /// [`InputError`] if the input names something that does not exist (any more); it was ignored.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        self.now = now;
        // Media has nothing for the machines of signalling: no delivery for each packet.
        if let Input::Datagram { socket, remote, payload } = input {
            return self.handle_datagram(now, socket, remote, payload);
        }
        if matches!(input, Input::Timeout) && self.handle_media_timeout(now) {
            return Ok(());
        }
        let result = self.dispatch(now, input);
        self.deliver(now);
        result
    }

    fn dispatch(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        match input {
            Input::Timeout => {
                self.handle_timeout(now);
                Ok(())
            }
            Input::Media { call, feedback } => self.handle_feedback(now, call, feedback),
            // Taken by `handle_input`.
            Input::Datagram { .. } => Ok(()),
            Input::UdpBound { socket, local } => self.handle_bound(socket, local),
            Input::UdpBindFailed { socket } => self.handle_bind_failed(socket),
            Input::Listening { listener, local } => {
                let transport =
                    *self.listeners.get(listener).ok_or(InputError::UnknownListener(listener))?;
                self.listening.retain(|(known, ..)| *known != listener);
                self.listening.push((listener, transport, local));
                self.event(Event::Listening { transport, local });
                Ok(())
            }
            Input::ListenFailed { listener } => {
                self.listening.retain(|(known, ..)| *known != listener);
                let transport =
                    self.listeners.remove(listener).ok_or(InputError::UnknownListener(listener))?;
                self.event(Event::ListenFailed { transport });
                Ok(())
            }
            Input::StreamConnected { stream, local } => {
                let known = self.flows.handle_connected(now, stream, local, &mut self.rng);
                known.then_some(()).ok_or(InputError::UnknownStream(stream))
            }
            Input::StreamData { stream, data } => {
                let known = self.flows.handle_data(now, stream, data, &mut self.rng);
                known.then_some(()).ok_or(InputError::UnknownStream(stream))
            }
            Input::StreamClosed { stream } => {
                let known = self.flows.handle_closed(stream);
                known.then_some(()).ok_or(InputError::UnknownStream(stream))
            }
            Input::Resolved { query, answer } => {
                let route = match self.queries.remove(query) {
                    Some(RouteOwner::Call(id)) => {
                        self.calls.get_mut(id).and_then(|e| e.route.as_mut())
                    }
                    Some(RouteOwner::Account(id)) => {
                        self.accounts.get_mut(id).and_then(|e| e.route.as_mut())
                    }
                    Some(RouteOwner::Climb(id)) => {
                        self.accounts.get_mut(id).and_then(|e| e.ladder.climb.as_mut())
                    }
                    None => None,
                };
                if let Some(route) = route {
                    route.handle_answer(&answer, &mut self.rng);
                }
                Ok(())
            }
            Input::NetworkChanged => {
                self.network_changed(now);
                Ok(())
            }
            Input::WallClock(unix) => {
                self.wall = (now, unix);
                self.flows.set_wall_clock(unix);
                Ok(())
            }
        }
    }

    /// Does what is due of media, if nothing else is, without an allocation. False if there is
    /// more to be done.
    fn handle_media_timeout(&mut self, now: Instant) -> bool {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let signalling = due(self.flows.next_timeout())
            || due(self.transactions.next_timeout())
            || self.accounts.iter().any(|(_, e)| due(e.next_timeout()))
            || self.calls.iter().any(|(_, e)| due(e.next_signalling_timeout()));
        if signalling || self.unsettled {
            return false;
        }
        self.flows.set_wall_clock(self.unix(now));
        let all = self.calls.iter_mut().all(|(_, e)| e.handle_media_timeout(now));
        self.note_changes();
        all
    }

    fn handle_timeout(&mut self, now: Instant) {
        let unix = self.unix(now);
        self.flows.set_wall_clock(unix);
        self.keep_flows_of_calls(now);
        self.flows.handle_timeout(now, &mut self.rng);
        self.transactions.handle_timeout(now);
        self.account_timeouts(now);
        for (_, entry) in self.calls.iter_mut() {
            entry.handle_timeout(now, &mut self.rng);
        }
    }

    /// What a live call is signalled over is not idle.
    fn keep_flows_of_calls(&mut self, now: Instant) {
        let live = self.calls.iter().filter(|(_, e)| !e.machine.is_over());
        for flow in live.filter_map(|(_, e)| e.flow) {
            self.flows.keep(now, flow);
        }
    }

    /// The host accepted a TCP connection on a listener; the id that the engine gives it.
    ///
    /// # Errors
    /// [`InputError::TooManyStreams`]: close the connection.
    pub fn accept_stream(
        &mut self,
        now: Instant,
        listener: ListenerId,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> Result<StreamId, InputError> {
        let transport =
            *self.listeners.get(listener).ok_or(InputError::UnknownListener(listener))?;
        self.keep_flows_of_calls(now);
        self.flows
            .accept(now, transport, remote, local, &mut self.rng)
            .ok_or(InputError::TooManyStreams)
    }

    /// The ids of all calls, ended ones included until they are forgotten.
    pub fn call_ids(&self) -> Vec<CallId> {
        self.calls.ids()
    }

    /// Counters of what came from the network and was no good.
    pub fn stats(&self) -> EngineStats {
        let mut stats = self.stats.with(self.flows.stats(), self.transactions.stats());
        stats.log_dropped = self.log.dropped();
        stats.trace_dropped = self.sip_trace.dropped();
        stats.events_dropped = self.events.dropped();
        stats
    }

    /// Hangs up every call and un-registers every account.
    pub fn shut_down(&mut self, now: Instant) {
        for id in self.calls.ids() {
            if let Some(entry) = self.calls.get_mut(id) {
                // A call that is over already needs nothing.
                let _ = entry.machine.hang_up();
            }
        }
        for id in self.accounts.ids() {
            // The id was just listed.
            let _ = self.remove_account(now, id);
        }
        self.deliver(now);
    }

    fn event(&mut self, event: Event) {
        self.log_event(&event);
        self.events.push(event);
    }

    /// A random token for tags, branches and Call-IDs.
    fn token(&mut self) -> String {
        alloc::format!("{:016x}", self.rng.next_u64())
    }

    /// Our end of DTLS handshakes; `None` if none can be made.
    fn dtls_identity(&mut self) -> Option<DtlsIdentity> {
        if self.dtls_identity.is_none() {
            let unix = self.unix(self.now);
            self.dtls_identity = DtlsIdentity::generate(unix, &mut self.rng).ok();
        }
        self.dtls_identity.clone()
    }

    /// What descriptions say of it.
    fn dtls_fingerprints(&mut self) -> Vec<crate::sdp::Fingerprint> {
        let identity = self.dtls_identity();
        let value = identity.map(|i| alloc::format!("{}", i.fingerprint(FingerprintHash::Sha256)));
        let value = value.and_then(|v| crate::sdp::Fingerprint::parse(&v).ok());
        value.into_iter().collect()
    }

    /// How far a flow can be trusted with keys.
    fn trust(&self, flow: FlowId) -> Trust {
        let proven = self.flows.facts(flow).is_some_and(|facts| facts.peer.is_some());
        match self.flow_is_secure(flow) {
            false => Trust::Clear,
            true if proven => Trust::Verified,
            true => Trust::Unverified,
        }
    }

    fn flow_is_secure(&self, flow: FlowId) -> bool {
        self.flows.transport(flow).is_some_and(Transport::is_secure)
    }
}

/// Stands in `Config` after its generator moved into the engine.
struct NoRng;
impl Rng for NoRng {
    fn fill(&mut self, _: &mut [u8]) {}
}
