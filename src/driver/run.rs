//! The loop on the driver's thread: wait, feed the engine what happened, carry out what it asks.

use std::collections::{HashSet, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

use mio::{Events, Poll, Token, Waker};

use super::audio::{AudioSink, AudioSource, CallAudio};
use super::clock::{Clock, wall_clock};
use super::dns::{DnsConfig, Resolver};
use super::pump::{CallLevels, Pump};
use super::queue::EventQueue;
use super::sockets::{Owner, Sockets};
use super::streams::{StreamChange, StreamRead};
use super::tap::WireTap;
use super::wire::Wire;
use crate::engine::{AccountId, CallId, CallState, Engine, Event, Input, Output};
use crate::sip::{ListenerId, SocketId, StreamId};
use crate::time::{Duration, Instant};

/// The token of the waker; the resolver's and the sockets' follow.
const WAKER: Token = Token(0);
const FIRST_DNS_TOKEN: usize = 1;
const FIRST_SOCKET_TOKEN: usize = 1024;
/// Receives and sends: the largest datagram and the largest TLS record fit.
const BUFFER: usize = 1 << 16;
/// Reads from one socket before others get their turn.
const BATCH: u32 = 32;
/// Connections at the same time; further ones are not accepted.
const MAX_STREAMS: usize = 1024;
/// How often the engine is told the wall clock.
const WALL_CLOCK_INTERVAL: Duration = Duration::from_secs(60);
/// When accepting fails for want of resources, it is tried again after this.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long saying good-bye may take.
const FAREWELL: Duration = Duration::from_secs(3);
/// What is left on the wire after the last answer.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What the handle wants to do with the engine.
pub(super) type EngineCommand = Box<dyn FnOnce(&mut Engine, Instant) + Send>;

/// What the handle asks for.
pub(super) enum Command {
    Engine(EngineCommand),
    Attach(CallId, CallAudio),
    Play(CallId, Box<dyn AudioSource>),
    Record(CallId, Box<dyn AudioSink>),
    Levels(CallId, SyncSender<Option<CallLevels>>),
    Stats(SyncSender<DriverStats>),
    Stop,
}

/// What the driver itself had to drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct DriverStats {
    /// Datagrams that the operating system did not take.
    pub datagrams_refused: u64,
    /// Connections that were not accepted because there were too many.
    pub connections_refused: u64,
    /// Audio ticks skipped because the thread woke up too late.
    pub ticks_skipped: u64,
    /// Events that nobody took.
    pub events_dropped: u64,
}

/// Something that happened while the engine was being drained, to be told afterwards.
enum Later {
    UdpBound(SocketId, std::net::SocketAddr),
    UdpBindFailed(SocketId),
    Listening(ListenerId, std::net::SocketAddr),
    ListenFailed(ListenerId),
    StreamClosed(StreamId),
}

/// The state of the thread.
pub(super) struct Driver {
    engine: Engine,
    clock: Clock,
    poll: Poll,
    sockets: Sockets,
    resolver: Resolver,
    pump: Pump,
    wire: Wire,
    inbox: Receiver<Command>,
    events: Arc<EventQueue>,
    later: VecDeque<Later>,
    /// Sockets that may have more to read.
    ready: VecDeque<Owner>,
    buf: Vec<u8>,
    input: Vec<u8>,
    engine_timeout: Option<Instant>,
    next_wall_clock: Instant,
    /// Listeners that could not accept for want of resources.
    retry_accept: Option<(Instant, ListenerId)>,
    registered: HashSet<AccountId>,
    /// When the farewell ends, once it has begun.
    farewell: Option<Instant>,
    connections_refused: u64,
}

impl Driver {
    /// Everything but the thread.
    pub(super) fn new(
        engine: Engine,
        clock: Clock,
        dns: DnsConfig,
        tap: Option<Box<dyn WireTap>>,
        inbox: Receiver<Command>,
        events: Arc<EventQueue>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let sockets = Sockets::new(poll.registry().try_clone()?, FIRST_SOCKET_TOKEN);
        let resolver = Resolver::new(dns, poll.registry().try_clone()?, FIRST_DNS_TOKEN);
        let driver = Self {
            engine,
            clock,
            poll,
            sockets,
            resolver,
            pump: Pump::default(),
            wire: Wire::new(tap, clock),
            inbox,
            events,
            later: VecDeque::new(),
            ready: VecDeque::new(),
            buf: vec![0; BUFFER],
            input: vec![0; BUFFER],
            engine_timeout: None,
            next_wall_clock: clock.now(),
            retry_accept: None,
            registered: HashSet::new(),
            farewell: None,
            connections_refused: 0,
        };
        Ok((driver, waker))
    }

    /// The thread.
    pub(super) fn run(mut self) {
        let mut readiness = Events::with_capacity(256);
        self.drain();
        loop {
            self.handle_commands();
            self.handle_timeouts();
            if self.is_done() {
                break;
            }
            match self.poll.poll(&mut readiness, Some(self.patience())) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                // The poll itself is broken: nothing can be sent or received any more.
                Err(_) => break,
            }
            for event in &readiness {
                self.note_ready(event.token());
            }
            self.serve_ready();
        }
        self.events.close();
    }

    /// How long to wait: until the next thing that is due.
    fn patience(&self) -> Duration {
        if !self.ready.is_empty() {
            return Duration::ZERO;
        }
        let due = [
            self.engine_timeout,
            self.resolver.next_timeout(),
            self.pump.next_timeout(),
            self.sockets.streams.next_timeout(),
            self.retry_accept.map(|(at, _)| at),
            self.farewell,
            Some(self.next_wall_clock),
        ];
        let due = due.into_iter().flatten().min().unwrap_or(Instant::ZERO);
        due.duration_since(self.clock.now())
    }

    fn note_ready(&mut self, token: Token) {
        if self.resolver.owns(token) {
            self.resolver.handle_ready(self.clock.now(), token, &mut self.wire);
            self.tell_answers();
        } else if let Some(owner) = self.sockets.owner(token)
            && !self.ready.contains(&owner)
        {
            self.ready.push_back(owner);
        }
    }

    /// One turn for each socket that is ready; those that have more keep their place.
    fn serve_ready(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(owner) = self.ready.pop_front() else { return };
            let more = match owner {
                Owner::Udp(id) => self.serve_udp(id),
                Owner::Listener(id) => self.serve_listener(id),
                Owner::Stream(id) => self.serve_stream(id),
            };
            if more {
                self.ready.push_back(owner);
            }
            // Audio does not wait for a flood to end.
            self.tick();
        }
    }

    fn serve_udp(&mut self, id: SocketId) -> bool {
        for _ in 0..BATCH {
            let received = self.sockets.receive(id, &mut self.input, &mut self.wire);
            let Some((n, remote)) = received else { return false };
            let payload = self.input.get_mut(..n).unwrap_or_default();
            let input = Input::Datagram { socket: id, remote, payload };
            // An unknown socket is one that the engine closes in this very drain.
            drop(self.engine.handle_input(self.clock.now(), input));
            self.drain();
        }
        true
    }

    fn serve_listener(&mut self, id: ListenerId) -> bool {
        for _ in 0..BATCH {
            let (socket, remote) = match self.sockets.accept(id) {
                Ok(accepted) => accepted,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    self.retry_accept = Some((self.clock.now() + ACCEPT_RETRY, id));
                    return false;
                }
            };
            let now = self.clock.now();
            let accepted = match socket.local_addr() {
                Ok(local) if self.sockets.streams.len() < MAX_STREAMS => {
                    self.engine.accept_stream(now, id, remote, local).ok()
                }
                _ => None,
            };
            let Some(stream) = accepted else {
                self.connections_refused = self.connections_refused.saturating_add(1);
                continue;
            };
            let (streams, tokens) = self.sockets.streams();
            if streams.adopt(tokens, stream, socket, remote).is_err() {
                self.later.push_back(Later::StreamClosed(stream));
            }
            self.drain();
        }
        true
    }

    fn serve_stream(&mut self, id: StreamId) -> bool {
        let (streams, tokens) = self.sockets.streams();
        match streams.advance(tokens, id, &mut self.wire) {
            StreamChange::None => {}
            StreamChange::Connected(local) => {
                self.tell(Input::StreamConnected { stream: id, local });
            }
            StreamChange::Closed => {
                self.tell(Input::StreamClosed { stream: id });
                return false;
            }
        }
        for _ in 0..BATCH {
            let (streams, tokens) = self.sockets.streams();
            match streams.read(tokens, id, &mut self.input, &mut self.wire) {
                StreamRead::Data(n) => {
                    let data = self.input.get(..n).unwrap_or_default();
                    let input = Input::StreamData { stream: id, data };
                    drop(self.engine.handle_input(self.clock.now(), input));
                    self.drain();
                }
                StreamRead::Blocked => return false,
                StreamRead::Closed => {
                    self.tell(Input::StreamClosed { stream: id });
                    return false;
                }
            }
        }
        true
    }

    /// Tells the engine and carries out what follows. It refuses only ids that it has let go of,
    /// which is what is wanted then.
    fn tell(&mut self, input: Input<'_>) {
        drop(self.engine.handle_input(self.clock.now(), input));
        self.drain();
    }

    fn tell_answers(&mut self) {
        while let Some((query, answer)) = self.resolver.poll_answer() {
            self.tell(Input::Resolved { query, answer });
        }
    }

    fn handle_commands(&mut self) {
        loop {
            let now = self.clock.now();
            match self.inbox.try_recv() {
                Ok(Command::Engine(command)) => {
                    command(&mut self.engine, now);
                    self.drain();
                }
                Ok(Command::Attach(call, audio)) => self.attach(now, call, audio),
                Ok(Command::Play(call, source)) => self.pump.play(call, source),
                Ok(Command::Record(call, sink)) => self.pump.record(call, sink),
                // The asker waits for exactly this; if it is gone, so is its interest.
                Ok(Command::Levels(call, reply)) => drop(reply.send(self.pump.levels(call))),
                Ok(Command::Stats(reply)) => drop(reply.send(self.stats())),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    if self.farewell.is_none() {
                        self.farewell = Some(now + FAREWELL);
                        self.engine.shut_down(now);
                        self.drain();
                    }
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    /// A call that ended meanwhile needs no audio any more.
    fn attach(&mut self, now: Instant, call: CallId, audio: CallAudio) {
        if self.engine.call(call).is_some_and(|call| call.state() != CallState::Ended) {
            self.pump.attach(now, call, audio);
        }
    }

    fn stats(&self) -> DriverStats {
        DriverStats {
            datagrams_refused: self.sockets.datagrams_refused,
            connections_refused: self.connections_refused,
            ticks_skipped: self.pump.skipped,
            events_dropped: self.events.dropped(),
        }
    }

    fn handle_timeouts(&mut self) {
        let now = self.clock.now();
        if self.next_wall_clock <= now {
            self.next_wall_clock = now + WALL_CLOCK_INTERVAL;
            self.tell(Input::WallClock(wall_clock()));
        }
        if self.engine_timeout.is_some_and(|at| at <= now) {
            self.tell(Input::Timeout);
        }
        if self.resolver.next_timeout().is_some_and(|at| at <= now) {
            self.resolver.handle_timeout(now, &mut self.wire);
        }
        self.tell_answers();
        let (streams, tokens) = self.sockets.streams();
        for stream in streams.handle_timeout(tokens, now) {
            self.tell(Input::StreamClosed { stream });
        }
        if let Some((at, id)) = self.retry_accept
            && at <= now
        {
            self.retry_accept = None;
            self.ready.push_back(Owner::Listener(id));
        }
        self.tick();
    }

    fn tick(&mut self) {
        while self.pump.tick(self.clock.now(), &mut self.engine) {
            self.drain();
        }
    }

    /// True once everything that had to be said is said, or it took too long.
    fn is_done(&mut self) -> bool {
        let now = self.clock.now();
        let Some(end) = self.farewell else { return false };
        let ids = self.engine.call_ids();
        let live = ids
            .into_iter()
            .any(|id| self.engine.call(id).is_some_and(|call| call.state() != CallState::Ended));
        if !live && self.registered.is_empty() {
            self.farewell = Some(end.min(now + LAST_WORDS));
        }
        end <= now
    }

    /// The drain contract: all outputs until `Timeout`, and what came of them told in turn.
    fn drain(&mut self) {
        let mut buf = std::mem::take(&mut self.buf);
        loop {
            self.drain_outputs(&mut buf);
            let Some(later) = self.later.pop_front() else { break };
            let input = match later {
                Later::UdpBound(socket, local) => Input::UdpBound { socket, local },
                Later::UdpBindFailed(socket) => Input::UdpBindFailed { socket },
                Later::Listening(listener, local) => Input::Listening { listener, local },
                Later::ListenFailed(listener) => Input::ListenFailed { listener },
                Later::StreamClosed(stream) => Input::StreamClosed { stream },
            };
            // Refused only for ids that the engine has let go of meanwhile.
            drop(self.engine.handle_input(self.clock.now(), input));
        }
        self.buf = buf;
    }

    fn drain_outputs(&mut self, buf: &mut Vec<u8>) {
        loop {
            // What the output borrows from the buffer must be gone before the buffer grows.
            let needed = match self.engine.poll_output(buf) {
                Output::Timeout(at) => {
                    self.engine_timeout = at;
                    return;
                }
                Output::BufferTooSmall { needed } => needed,
                Output::Event(event) => {
                    self.publish(event);
                    0
                }
                output => {
                    self.carry_out(output);
                    0
                }
            };
            if needed > buf.len() {
                buf.resize(needed, 0);
            }
        }
    }

    fn publish(&mut self, event: Event) {
        match &event {
            Event::Registered { account, .. } => drop(self.registered.insert(*account)),
            Event::Unregistered { account } | Event::RegistrationFailed { account, .. } => {
                self.registered.remove(account);
            }
            // The sink is finished before the application hears of the end.
            Event::CallEnded { call, .. } => self.pump.detach(*call),
            _ => {}
        }
        self.events.push(event);
    }

    fn carry_out(&mut self, output: Output<'_>) {
        let now = self.clock.now();
        let later = match output {
            Output::Datagram { socket, remote, payload } => {
                self.sockets.send(socket, remote, payload, &mut self.wire);
                None
            }
            Output::StreamData { stream, data } => {
                let (streams, tokens) = self.sockets.streams();
                let written = streams.write(tokens, stream, data, &mut self.wire);
                (!written).then_some(Later::StreamClosed(stream))
            }
            Output::Connect { stream, remote } => {
                let (streams, tokens) = self.sockets.streams();
                let opened = streams.connect(tokens, now, stream, remote);
                opened.err().map(|_| Later::StreamClosed(stream))
            }
            Output::CloseStream { stream } => {
                let (streams, tokens) = self.sockets.streams();
                streams.close(tokens, now, stream);
                None
            }
            Output::Listen { listener, local } => {
                Some(match self.sockets.listen(listener, local) {
                    Ok(local) => Later::Listening(listener, local),
                    Err(_) => Later::ListenFailed(listener),
                })
            }
            Output::BindUdp { socket, local } => Some(match self.sockets.bind_udp(socket, local) {
                Ok(local) => Later::UdpBound(socket, local),
                Err(_) => Later::UdpBindFailed(socket),
            }),
            Output::CloseUdp { socket } => {
                self.sockets.close_udp(socket);
                None
            }
            Output::Resolve { query, name, kind } => {
                self.resolver.resolve(now, query, name, kind, &mut self.wire);
                None
            }
            // A phone keeps the media of all its calls: nothing was taken.
            Output::Media { .. }
            | Output::Event(_)
            | Output::BufferTooSmall { .. }
            | Output::Timeout(_) => None,
        };
        self.later.extend(later);
    }
}
