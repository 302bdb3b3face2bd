//! A host that runs an [`Engine`]: a phone of this crate's in the world.

mod claims;

pub(super) use claims::report_progress;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use super::audio::Source;
use super::host::{ConnectionId, Host, Net, NetEvent};
use super::invariants::{Claim, Fact, NoSpin};
use super::taken::Taken;
use crate::engine::{
    CallId, CallState, Config, ConfigError, Engine, Event, Input, InputError, Output,
};
use crate::media::session::MediaSession;
use crate::sip::dns::QueryId;
use crate::sip::{ListenerId, SocketId, StreamId};
use crate::time::{Duration, Instant, UnixTime};

/// The wall clock of every world at its beginning: 2027-01-01T00:00:00Z.
pub const EPOCH: UnixTime = UnixTime::from_secs(1_798_761_600);
/// PCM is exchanged this often.
const TICK: Duration = Duration::from_millis(20);

/// Something to be done to an engine.
type Command = Box<dyn FnOnce(&mut Engine, Instant) + Send>;
/// What a phone does when its engine tells it something.
type Reaction = Box<dyn FnMut(&mut Turn<'_>, &Event) + Send>;

/// An engine, its sockets and connections, its agenda and its audio.
pub struct EngineHost {
    engine: Engine,
    media_ports: RangeInclusive<u16>,
    sockets: BTreeMap<SocketId, u16>,
    ports: BTreeMap<u16, SocketId>,
    streams: BTreeMap<StreamId, ConnectionId>,
    connections: BTreeMap<ConnectionId, StreamId>,
    listeners: BTreeMap<u16, ListenerId>,
    queries: BTreeMap<u64, QueryId>,
    events: Vec<(Instant, Event)>,
    reaction: Option<Reaction>,
    agenda: BTreeMap<(Instant, u64), Command>,
    promises: u64,
    claims: BTreeMap<CallId, Claim>,
    ended: BTreeSet<CallId>,
    audio: Audio,
    taken: Taken,
    timeout: Option<Instant>,
    buffer: Vec<u8>,
}

/// What a phone says and hears, call by call.
struct Audio {
    source: Source,
    sample_rate: u32,
    next: Option<Instant>,
    said: BTreeMap<CallId, u64>,
    heard: BTreeMap<CallId, Vec<i16>>,
}

/// An engine at the moment of an event.
pub struct Turn<'a> {
    /// The engine.
    pub engine: &'a mut Engine,
    /// The present.
    pub now: Instant,
    later: &'a mut Vec<(Instant, Command)>,
}

impl Turn<'_> {
    /// Does something to the engine after a while.
    pub fn after(
        &mut self,
        delay: Duration,
        f: impl FnOnce(&mut Engine, Instant) + Send + 'static,
    ) {
        self.later.push((self.now + delay, Box::new(f)));
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("now", &self.now).finish_non_exhaustive()
    }
}

impl fmt::Debug for EngineHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineHost").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl EngineHost {
    /// A phone with this engine configuration.
    /// [`World::add_phone`](super::World::add_phone) fills in most of it.
    ///
    /// # Errors
    /// [`ConfigError`] if the engine does not take the configuration.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let media_ports = config.media_ports.clone();
        Ok(Self {
            engine: Engine::new(config, now)?,
            media_ports,
            sockets: BTreeMap::new(),
            ports: BTreeMap::new(),
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            listeners: BTreeMap::new(),
            queries: BTreeMap::new(),
            events: Vec::new(),
            reaction: None,
            agenda: BTreeMap::new(),
            promises: 0,
            claims: BTreeMap::new(),
            ended: BTreeSet::new(),
            audio: Audio {
                source: Source::Silence,
                sample_rate: 16_000,
                next: None,
                said: BTreeMap::new(),
                heard: BTreeMap::new(),
            },
            taken: Taken::default(),
            timeout: None,
            buffer: vec![0; 2048],
        })
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to ask what needs `&mut`. Commands go through
    /// [`World::command`](super::World::command), which lets their consequences out.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// All events so far.
    pub fn events(&self) -> &[(Instant, Event)] {
        &self.events
    }

    /// What this phone does at events, such as answering.
    pub fn react(&mut self, f: impl FnMut(&mut Turn<'_>, &Event) + Send + 'static) {
        self.reaction = Some(Box::new(f));
    }

    /// From now on the media of calls runs outside the engine once they are established; see
    /// [`Engine::take_media`]. With `feed_back` the engine hears from it.
    pub fn take_media(&mut self, feed_back: bool) {
        self.taken.begin(feed_back);
    }

    /// The next update for a session outside the engine gets lost: what a bad host does.
    pub fn lose_media_update(&mut self) {
        self.taken.lose_update();
    }

    /// A session that runs outside the engine.
    pub fn taken(&mut self, call: CallId) -> Option<&mut MediaSession> {
        self.taken.session(call)
    }

    /// What this phone says in its calls.
    pub fn say(&mut self, source: Source) {
        self.audio.source = source;
    }

    /// The rate at which PCM is written and read; as `CallOptions::sample_rate` (16000).
    pub fn set_sample_rate(&mut self, hz: u32) {
        self.audio.sample_rate = hz;
    }

    /// What this phone heard in a call.
    pub fn heard(&self, call: CallId) -> &[i16] {
        self.audio.heard.get(&call).map_or(&[], Vec::as_slice)
    }

    /// Does something to the engine at an instant.
    pub fn at(&mut self, at: Instant, f: impl FnOnce(&mut Engine, Instant) + Send + 'static) {
        self.promise(at, Box::new(f));
    }

    fn promise(&mut self, at: Instant, command: Command) {
        self.promises = self.promises.wrapping_add(1);
        self.agenda.insert((at, self.promises), command);
    }

    /// Carries out all that the engine wants, until it wants to wait.
    pub fn drain(&mut self, net: &mut Net<'_>) {
        self.refresh_claims(net);
        let now = net.now();
        self.taken.run(net, &mut self.engine, &self.sockets);
        let mut outputs = 0_usize;
        while outputs < NoSpin::OUTPUTS {
            outputs = outputs.saturating_add(1);
            let result = match self.engine.poll_output(&mut self.buffer) {
                Output::Datagram { socket, remote, payload } => {
                    if let Some(port) = self.sockets.get(&socket).copied() {
                        let len = payload.len();
                        self.report_srtp(net, len);
                        net.send(port, remote, self.buffer.get(..len).unwrap_or_default());
                    }
                    Ok(())
                }
                Output::StreamData { stream, data } => {
                    if let Some(connection) = self.streams.get(&stream) {
                        net.write(*connection, data);
                    }
                    Ok(())
                }
                Output::Connect { stream, remote } => {
                    let connection = net.connect(remote);
                    self.streams.insert(stream, connection);
                    self.connections.insert(connection, stream);
                    Ok(())
                }
                Output::CloseStream { stream } => {
                    if let Some(connection) = self.streams.remove(&stream) {
                        self.connections.remove(&connection);
                        net.close(connection);
                    }
                    Ok(())
                }
                Output::Listen { listener, local } => match net.listen(local.port()) {
                    Some(local) => {
                        self.listeners.insert(local.port(), listener);
                        self.engine.handle_input(now, Input::Listening { listener, local })
                    }
                    None => self.engine.handle_input(now, Input::ListenFailed { listener }),
                },
                Output::BindUdp { socket, local } => match net.bind_udp(local.port()) {
                    Some(local) => {
                        self.sockets.insert(socket, local.port());
                        self.ports.insert(local.port(), socket);
                        self.engine.handle_input(now, Input::UdpBound { socket, local })
                    }
                    None => self.engine.handle_input(now, Input::UdpBindFailed { socket }),
                },
                Output::CloseUdp { socket } => {
                    if let Some(port) = self.sockets.remove(&socket) {
                        self.ports.remove(&port);
                        net.close_udp(port);
                    }
                    Ok(())
                }
                Output::Media { call, update } => {
                    self.taken.update(net, call, *update);
                    self.taken.run(net, &mut self.engine, &self.sockets);
                    Ok(())
                }
                Output::Resolve { query, name, kind } => {
                    self.queries.insert(net.resolve(&name, kind), query);
                    Ok(())
                }
                Output::Event(event) => {
                    self.happened(net, event);
                    Ok(())
                }
                Output::BufferTooSmall { needed } => {
                    self.buffer.resize(needed, 0);
                    Ok(())
                }
                Output::Timeout(at) => {
                    self.timeout = at;
                    break;
                }
            };
            note_error(net, result);
        }
        self.refresh_claims(net);
        net.report(Fact::Turn { host: net.host(), outputs });
        net.report(Fact::Load { host: net.host(), load: self.engine.load(), at_end: false });
        let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let media = self.taken.next_timeout();
        net.set_timer([self.timeout, self.audio.next, agenda, media].into_iter().flatten().min());
    }

    fn happened(&mut self, net: &mut Net<'_>, event: Event) {
        net.note(&format!("{event:?}"));
        match &event {
            Event::CallEstablished { call } => {
                self.taken.expect(*call);
                self.audio.said.entry(*call).or_insert(0);
                self.audio.next.get_or_insert(net.now());
            }
            Event::MediaSocketsChanged { call, rtp, rtcp } => {
                self.taken.rebind(*call, *rtp, *rtcp);
            }
            Event::CallEnded { call, .. } => {
                self.audio.said.remove(call);
                self.ended.insert(*call);
                net.report(Fact::CallEnded { host: net.host(), call: call.to_raw() });
            }
            _ => {
                if let Some(call) = call_of(&event) {
                    self.refresh_claims(net);
                    let claim = self.claim(call);
                    let news = Fact::CallNews { host: net.host(), call: call.to_raw(), claim };
                    net.report(news);
                }
            }
        }
        if let Some(mut reaction) = self.reaction.take() {
            let mut later = Vec::new();
            let mut turn = Turn { engine: &mut self.engine, now: net.now(), later: &mut later };
            reaction(&mut turn, &event);
            self.reaction = Some(reaction);
            for (at, command) in later {
                self.promise(at, command);
            }
        }
        self.events.push((net.now(), event));
    }

    /// What the screen shows for a call.
    fn due(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= now
        {
            entry.remove()(&mut self.engine, now);
        }
        if self.audio.next.is_some_and(|at| at <= now) {
            self.tick(now);
        }
        if self.timeout.is_some_and(|at| at <= now) {
            note_error(net, self.engine.handle_input(now, Input::Timeout));
        }
    }

    /// 20 ms of audio for each call.
    fn tick(&mut self, now: Instant) {
        let audio = &mut self.audio;
        let samples = audio.sample_rate / 50;
        let mut pcm = vec![0; samples as usize];
        for (call, said) in &mut audio.said {
            audio.source.fill(*said, audio.sample_rate, &mut pcm);
            *said = said.saturating_add(u64::from(samples));
            // Between two session descriptions a call may be without media.
            if let Some(session) = self.taken.session(*call) {
                let _ = session.write_pcm(now, &pcm);
                if session.read_pcm(now, &mut pcm).is_ok() {
                    audio.heard.entry(*call).or_default().extend_from_slice(&pcm);
                }
                continue;
            }
            let _ = self.engine.write_pcm(now, *call, &pcm);
            if self.engine.read_pcm(now, *call, &mut pcm).is_ok() {
                audio.heard.entry(*call).or_default().extend_from_slice(&pcm);
            }
        }
        audio.next = (!audio.said.is_empty()).then(|| now + TICK);
    }

    fn accepted(&mut self, net: &mut Net<'_>, connection: ConnectionId, event: &NetEvent<'_>) {
        let NetEvent::Accepted { local, remote, .. } = *event else { return };
        let listener = self.listeners.get(&local.port()).copied();
        let stream =
            listener.and_then(|l| self.engine.accept_stream(net.now(), l, remote, local).ok());
        match stream {
            Some(stream) => {
                self.streams.insert(stream, connection);
                self.connections.insert(connection, stream);
            }
            None => net.close(connection),
        }
    }
}

fn note_error(net: &mut Net<'_>, result: Result<(), InputError>) {
    if let Err(error) = result {
        net.note(&format!("input refused: {error}"));
    }
}

/// The call that an event is about.
fn call_of(event: &Event) -> Option<CallId> {
    match event {
        Event::IncomingCall { call, .. }
        | Event::CallProgress { call, .. }
        | Event::CallEstablished { call }
        | Event::CallMediaChanged { call, .. }
        | Event::SecurityChanged { call, .. }
        | Event::DtmfReceived { call, .. }
        | Event::CallEnded { call, .. } => Some(*call),
        _ => None,
    }
}

impl Host for EngineHost {
    fn start(&mut self, net: &mut Net<'_>) {
        self.drain(net);
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        let now = net.now();
        let result = match event {
            NetEvent::Timer => {
                self.due(net);
                Ok(())
            }
            NetEvent::Datagram { local, remote, payload } => match self.ports.get(&local.port()) {
                Some(socket) if self.taken.handle(now, *socket, remote, payload) => Ok(()),
                Some(socket) => {
                    let input = Input::Datagram { socket: *socket, remote, payload };
                    self.engine.handle_input(now, input)
                }
                None => Ok(()),
            },
            NetEvent::Accepted { connection, .. } => {
                self.accepted(net, connection, &event);
                Ok(())
            }
            NetEvent::Connected { connection, local } => match self.connections.get(&connection) {
                Some(stream) => {
                    let input = Input::StreamConnected { stream: *stream, local };
                    self.engine.handle_input(now, input)
                }
                None => Ok(()),
            },
            NetEvent::Data { connection, data } => match self.connections.get(&connection) {
                Some(stream) => {
                    self.engine.handle_input(now, Input::StreamData { stream: *stream, data })
                }
                None => Ok(()),
            },
            NetEvent::Closed { connection } => match self.connections.remove(&connection) {
                Some(stream) => {
                    self.streams.remove(&stream);
                    self.engine.handle_input(now, Input::StreamClosed { stream })
                }
                None => Ok(()),
            },
            NetEvent::Resolved { query, answer } => match self.queries.remove(&query) {
                Some(query) => self.engine.handle_input(now, Input::Resolved { query, answer }),
                None => Ok(()),
            },
        };
        note_error(net, result);
        self.drain(net);
    }

    fn finish(&mut self, net: &mut Net<'_>) {
        let ids = self.engine.call_ids();
        let mut open =
            |id| self.engine.call(id).is_some_and(|call| call.state() != CallState::Ended);
        let calls = ids.into_iter().filter(|id| open(*id)).count();
        let udp = self.ports.keys().filter(|port| self.media_ports.contains(port)).count();
        let (_, tcp) = net.holdings();
        net.report(Fact::Leftovers { host: net.host(), udp, tcp, calls });
        net.report(Fact::Load { host: net.host(), load: self.engine.load(), at_end: true });
    }
}
