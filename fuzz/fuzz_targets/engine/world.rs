//! An engine, its sockets and streams, and what must hold after every input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, AccountId, CallError, CallId, CallState, Config, Engine, Event, Input,
    MediaError, Output, SecurityPolicy,
};
use subrosa::sip::dns::{DnsAnswer, DnsRecord, QueryId};
use subrosa::sip::{ListenerId, SocketId, StreamId};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;
use subrosa::wire::sip::Message;

use crate::secure::{self, Far, Sender};

/// Outputs that one input may bring.
const MAX_OUTPUTS: usize = 2_000;
/// Heap that one engine may hold.
const MAX_HEAP: usize = 64 << 20;
/// Calls at the same time, as configured; ended ones that are kept beside them.
const MAX_CALLS: usize = 4;
const KEPT: usize = 64;
/// Messages of the engine's that can be answered.
const REMEMBERED: usize = 12;

static HEAP: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The host binds, connects and resolves by itself; it has a small buffer; the policy of the far
/// end's domain stays at its default; TLS is there; no call goes without it.
const BINDS: u8 = 1;
const CONNECTS: u8 = 2;
const RESOLVES: u8 = 4;
const SMALL: u8 = 8;
const DEFAULT_POLICY: u8 = 16;
const TLS: u8 = 32;
const REQUIRED: u8 = 64;

pub struct World {
    pub engine: Engine,
    pub now: Instant,
    mode: u8,
    pub sip: Option<SocketId>,
    pub listeners: Vec<ListenerId>,
    /// Far ends that speak TLS.
    pub far: BTreeMap<StreamId, Far>,
    pub srtp: Sender,
    pub sockets: Vec<SocketId>,
    pub binds: VecDeque<(SocketId, SocketAddr)>,
    pub streams: Vec<StreamId>,
    pub queries: Vec<QueryId>,
    pub accounts: Vec<AccountId>,
    pub calls: Vec<CallId>,
    /// Calls and how often each ended.
    ends: BTreeMap<u64, u8>,
    forgotten: BTreeSet<u64>,
    pub sent: VecDeque<Message>,
    pub deadline: Option<Instant>,
    heap: usize,
    wide: Vec<u8>,
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

impl World {
    pub fn new(mode: u8) -> Self {
        let heap = HEAP.load(Relaxed);
        let mut config = Config::new(Box::new(SeededRng::new(7)), secure::UNIX);
        config.local_ip = [192, 0, 2, 1].into();
        config.udp_port = Some(5060);
        config.listen_tcp = Some(address("192.0.2.1:5060"));
        config.trust = TrustAnchors::none();
        config.max_calls = MAX_CALLS;
        if mode & TLS != 0 {
            config.listen_tls = Some(address("192.0.2.1:5061"));
            config.identity = Some(secure::identity());
            config.trust = secure::trust();
        }
        let now = Instant::from_millis(1);
        let mut engine = Engine::new(config, now).expect("a configuration");
        if mode & REQUIRED != 0 {
            for domain in ["192.0.2.9", "example.com", "bob.test"] {
                engine.set_domain_policy(now, domain, SecurityPolicy::Required).expect("a domain");
            }
            // It is never removed, so calls that nobody is named in have its policy.
            let mut account = AccountConfig::new("sip:alice@bob.test".parse().expect("a URI"));
            account.register = false;
            engine.add_account(now, account).expect("an account");
        } else if mode & DEFAULT_POLICY == 0 {
            engine.set_domain_policy(now, "192.0.2.9", SecurityPolicy::Off).expect("a domain");
        }
        let mut world = Self {
            engine,
            now,
            mode,
            sip: None,
            listeners: Vec::new(),
            far: BTreeMap::new(),
            srtp: Sender::new(),
            sockets: Vec::new(),
            binds: VecDeque::new(),
            streams: Vec::new(),
            queries: Vec::new(),
            accounts: Vec::new(),
            calls: Vec::new(),
            ends: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            sent: VecDeque::new(),
            deadline: None,
            heap,
            wide: vec![0; 65_536],
        };
        world.drain();
        world
    }

    pub fn input(&mut self, input: Input<'_>) {
        // An id may be stale: that is an error of its own, and ignored.
        let _ = self.engine.handle_input(self.now, input);
        self.drain();
    }

    /// The user changes a domain's policy while everything runs; a mandatory one stays.
    pub fn set_policy(&mut self, domain: &str, choice: u8) {
        let policy = match choice % 3 {
            _ if self.mode & REQUIRED != 0 => SecurityPolicy::Required,
            0 => SecurityPolicy::Off,
            1 => SecurityPolicy::Preferred,
            _ => SecurityPolicy::Required,
        };
        self.engine.set_domain_policy(self.now, domain, policy).expect("a domain");
        self.drain();
    }

    /// The engine accepts a connection; the far end speaks TLS where that is expected.
    pub fn accept(&mut self, listener: ListenerId, remote: SocketAddr) {
        let secure = self.listeners.first() != Some(&listener);
        let local = address(if secure { "192.0.2.1:5061" } else { "192.0.2.1:5060" });
        let accepted = self.engine.accept_stream(self.now, listener, remote, local);
        if let Ok(stream) = accepted {
            self.streams.push(stream);
            if secure {
                self.far.insert(stream, Far::client());
            }
        }
        self.drain();
    }

    /// What the far ends of TLS have to say.
    fn pump(&mut self) -> bool {
        let mut any = false;
        for (stream, far) in &mut self.far {
            let data = far.take();
            if !data.is_empty() {
                any = true;
                let input = Input::StreamData { stream: *stream, data: &data };
                let _ = self.engine.handle_input(self.now, input);
            }
        }
        any
    }

    /// A call that the engine knows or knew.
    pub fn announce(&mut self, call: CallId) {
        assert!(self.ends.insert(call.to_raw(), 0).is_none(), "an id was given twice");
        self.calls.push(call);
    }

    /// Does what the engine wants, and checks what must hold.
    pub fn drain(&mut self) {
        self.outputs();
        for _ in 0..16 {
            if !self.pump() {
                break;
            }
            self.outputs();
        }
        self.check();
    }

    fn outputs(&mut self) {
        let mut small = self.mode & SMALL != 0;
        let mut narrow = [0; 600];
        let mut wide = std::mem::take(&mut self.wide);
        let mut outputs = 0;
        self.deadline = loop {
            outputs += 1;
            assert!(outputs < MAX_OUTPUTS, "one input brings outputs without end");
            let buf = if small { &mut narrow[..] } else { &mut wide[..] };
            let next = match self.engine.poll_output(buf) {
                Output::Timeout(at) => break at,
                Output::BufferTooSmall { needed } => {
                    assert!(small && needed > 600 && needed <= 65_536, "{needed}");
                    small = false;
                    continue;
                }
                Output::Datagram { socket, payload, .. } => {
                    assert!(self.sockets.contains(&socket), "a datagram on a closed socket");
                    let sip = self.sip == Some(socket);
                    assert!(sip || self.mode & REQUIRED == 0 || self.protects(), "plain media");
                    if sip { payload.to_vec() } else { Vec::new() }
                }
                Output::StreamData { stream, data } => {
                    assert!(self.streams.contains(&stream), "data on a closed stream");
                    match self.far.get_mut(&stream) {
                        Some(far) => far.read(data),
                        None => data.to_vec(),
                    }
                }
                output => {
                    let output = Step::of(output);
                    self.carry_out(output);
                    continue;
                }
            };
            small = self.mode & SMALL != 0;
            if let Ok(message) = Message::parse(&next) {
                self.sent.truncate(REMEMBERED - 1);
                self.sent.push_front(message);
            }
        };
        self.wide = wide;
    }

    /// Some call has keys: one must be the one whose media leaves.
    fn protects(&mut self) -> bool {
        self.engine.call_ids().into_iter().any(|id| {
            let report = self.engine.call(id).map(|c| c.security());
            report.and_then(|r| r.media_out).is_some_and(|leg| leg.suite.is_some())
        })
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Bind(socket, local) => {
                self.sip.get_or_insert(socket);
                self.sockets.push(socket);
                self.binds.push_back((socket, local));
                if self.mode & BINDS != 0 || self.sip == Some(socket) {
                    self.bound(true);
                }
            }
            Step::CloseUdp(socket) => {
                assert!(self.sockets.contains(&socket), "a socket is closed twice");
                self.sockets.retain(|s| *s != socket);
                self.binds.retain(|(s, _)| *s != socket);
            }
            Step::Connect(stream, remote) => {
                self.streams.push(stream);
                if self.mode & TLS != 0 && remote.port() == 5061 {
                    self.far.insert(stream, Far::server());
                }
                if self.mode & CONNECTS != 0 {
                    let local = address("192.0.2.1:40000");
                    let input = Input::StreamConnected { stream, local };
                    self.engine.handle_input(self.now, input).expect("it was asked for");
                }
            }
            Step::CloseStream(stream) => {
                assert!(self.streams.contains(&stream), "a stream is closed twice");
                self.streams.retain(|s| *s != stream);
                self.far.remove(&stream);
            }
            Step::Listen(listener, local) => {
                self.listeners.push(listener);
                let input = Input::Listening { listener, local };
                self.engine.handle_input(self.now, input).expect("it was asked for");
            }
            Step::Resolve(query) => {
                self.queries.push(query);
                if self.mode & RESOLVES != 0 {
                    let record = DnsRecord::A([192, 0, 2, 9].into());
                    let answer = DnsAnswer::Records(vec![record]);
                    let _ = self.engine.handle_input(self.now, Input::Resolved { query, answer });
                }
            }
            Step::Event(event) => self.event(event),
        }
    }

    /// The oldest bind that waits succeeds or fails.
    pub fn bound(&mut self, well: bool) {
        let Some((socket, local)) = self.binds.pop_front() else { return };
        let input = match well {
            true => Input::UdpBound { socket, local },
            false => {
                self.sockets.retain(|s| *s != socket);
                Input::UdpBindFailed { socket }
            }
        };
        // A call that failed meanwhile has given it back; the order to close it is on its way.
        let _ = self.engine.handle_input(self.now, input);
    }

    fn event(&mut self, event: Event) {
        let call = match event {
            Event::IncomingCall { call, .. } => return self.announce(call),
            Event::CallEnded { call, .. } => {
                // One that was refused at once was never announced.
                let ends = self.ends.entry(call.to_raw()).or_default();
                *ends += 1;
                assert_eq!(*ends, 1, "a call ended twice");
                return;
            }
            Event::CallProgress { call, .. }
            | Event::CallEstablished { call }
            | Event::CallMediaChanged { call, .. }
            | Event::SecurityChanged { call, .. }
            | Event::MediaSocketsChanged { call, .. }
            | Event::DtmfReceived { call, .. } => call,
            _ => return,
        };
        let ends = self.ends.get(&call.to_raw());
        assert_eq!(ends, Some(&0), "an event of no live call: {event:?}");
    }

    fn check(&mut self) {
        assert!(self.engine.call_ids().len() <= MAX_CALLS + KEPT, "too many calls");
        assert!(self.sockets.len() <= 1 + 2 * (MAX_CALLS + KEPT), "too many sockets");
        assert!(self.streams.len() <= 256, "too many streams");
        let heap = HEAP.load(Relaxed).saturating_sub(self.heap);
        assert!(heap < MAX_HEAP, "the engine holds {heap} bytes");
        let mut buf = [0; 512];
        assert!(matches!(self.engine.poll_output(&mut buf), Output::Timeout(_)), "not the end");
        for raw in &self.forgotten {
            assert!(self.engine.call(CallId::from_raw(*raw)).is_none(), "a stale id lives");
        }
    }

    /// To the deadline, and the time-out: it must lie in the future then.
    pub fn elapse(&mut self) {
        let Some(deadline) = self.deadline else { return };
        self.now = self.now.max(deadline);
        for _ in 0..4 {
            self.input(Input::Timeout);
            if self.deadline.is_none_or(|d| d > self.now) {
                return;
            }
        }
        panic!("a timer spins");
    }

    pub fn forget(&mut self, call: CallId) {
        let known = self.engine.call(call).map(|c| c.state());
        let result = self.engine.forget_call(call);
        assert_eq!(result.is_ok(), known == Some(CallState::Ended));
        if result.is_ok() {
            self.forgotten.insert(call.to_raw());
            let stale = self.engine.write_pcm(self.now, call, &[0]);
            assert_eq!(stale, Err(MediaError::UnknownCall(call)));
            assert_eq!(self.engine.forget_call(call), Err(CallError::UnknownCall(call)));
            self.calls.retain(|c| *c != call);
        }
        self.drain();
    }

    /// Everything is hung up: each call ends within the time that its transactions have.
    pub fn finish(&mut self) {
        while !self.binds.is_empty() {
            self.bound(true);
            self.drain();
        }
        self.engine.shut_down(self.now);
        self.drain();
        let end = self.now + Duration::from_secs(300);
        while self
            .engine
            .call_ids()
            .iter()
            .any(|id| self.engine.call(*id).is_some_and(|c| c.state() != CallState::Ended))
        {
            assert!(self.deadline.is_some() && self.now < end, "a call does not end");
            self.now += Duration::from_millis(500);
            self.elapse();
        }
        for call in self.engine.call_ids() {
            self.forget(call);
        }
        assert!(self.engine.call_ids().is_empty());
        assert!(self.ends.values().all(|ends| *ends == 1), "a call ended without a word");
        assert_eq!(self.sockets.len(), 1, "a media socket stays open");
        assert!(!format!("{:?} {:?}", self.engine, self.engine.stats()).contains("sEcReT"));
    }
}

/// An output that borrows nothing.
enum Step {
    Bind(SocketId, SocketAddr),
    CloseUdp(SocketId),
    Connect(StreamId, SocketAddr),
    CloseStream(StreamId),
    Listen(ListenerId, SocketAddr),
    Resolve(QueryId),
    Event(Event),
}

impl Step {
    fn of(output: Output<'_>) -> Self {
        match output {
            Output::BindUdp { socket, local } => Self::Bind(socket, local),
            Output::CloseUdp { socket } => Self::CloseUdp(socket),
            Output::Connect { stream, remote } => Self::Connect(stream, remote),
            Output::CloseStream { stream } => Self::CloseStream(stream),
            Output::Listen { listener, local } => Self::Listen(listener, local),
            Output::Resolve { query, .. } => Self::Resolve(query),
            Output::Event(event) => Self::Event(event),
            other => panic!("{other:?} is new"),
        }
    }
}
