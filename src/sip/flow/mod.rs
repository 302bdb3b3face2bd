//! Flows: the connections that carry SIP (RFC 3261 §18, RFC 5626).
//!
//! [`Flows`] turns messages into bytes for the host and bytes from the host into messages: UDP
//! with symmetric responses (RFC 3581), TCP and TLS with framing, keep-alive and time-outs. A
//! connection is reused for the domain that it was opened and verified for, never for its address
//! alone.

mod connection;
mod via;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use connection::Connection;

use super::route::FlowFailure;
use super::{FlowId, FlowTag, SocketId, StreamId, StreamTag, Transport};
use crate::crypto::tls::{TlsClientSettings, TlsFacts, TlsServerSettings};
use crate::time::{Duration, Instant, UnixTime};
use crate::util::{Arena, Rng};
use crate::wire::sip::{Frame, Message, ParseError, StreamFramer};

/// Requests beyond this size do not go by UDP (RFC 3261 §18.1.1: 1300 without a known path MTU).
pub const DATAGRAM_LIMIT: usize = 1300;
/// Flows kept at most; the oldest idle UDP flow makes way.
pub const MAX_FLOWS: usize = 256;
/// Accepted connections at most.
pub const MAX_ACCEPTED: usize = 64;
/// Outputs that may wait for the host at most.
const MAX_OUTPUTS: usize = 4096;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_ACCEPTED: Duration = Duration::from_secs(900);

/// What the host has to do.
#[derive(Debug)]
pub enum FlowOutput {
    /// Open a TCP connection.
    Connect {
        /// Its id.
        stream: StreamId,
        /// Where to.
        remote: SocketAddr,
    },
    /// Write to a stream.
    StreamData {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Close a stream after what was written.
    CloseStream {
        /// The stream.
        stream: StreamId,
    },
    /// Send a datagram.
    Datagram {
        /// From this socket.
        socket: SocketId,
        /// To this address.
        remote: SocketAddr,
        /// The bytes.
        data: Vec<u8>,
    },
}

/// What the layers above want to know.
#[derive(Debug)]
pub enum FlowEvent {
    /// An opened flow can carry messages.
    Up(FlowId),
    /// A flow failed or ended. Its id is stale.
    Down {
        /// The flow.
        flow: FlowId,
        /// Why.
        why: FlowFailure,
        /// The domain that it was opened for.
        domain: String,
    },
    /// A message arrived.
    Message {
        /// The flow.
        flow: FlowId,
        /// The message, `received` and `rport` filled in.
        message: Message,
    },
    /// Something arrived that is not a SIP message.
    Malformed {
        /// The flow.
        flow: FlowId,
        /// What was wrong; may hold a request that can be answered with 400.
        error: ParseError,
    },
}

/// A flow cannot be opened or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// No such flow, or it is not up.
    #[error("the flow is not up")]
    NotUp,
    /// No UDP socket of the address family.
    #[error("no UDP socket")]
    NoSocket,
    /// The request is too long for a datagram: use a stream transport.
    #[error("too long for a datagram")]
    TooLong,
    /// Too many flows.
    #[error("too many flows")]
    Full,
}

/// Counters of a [`Flows`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct FlowStats {
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Datagrams or frames that were not SIP.
    pub malformed: u64,
    /// Accepted connections that were turned away.
    pub turned_away: u64,
    /// TLS handshakes that failed.
    pub tls_failures: u64,
    /// Outputs dropped because the host did not fetch them.
    pub overflowed: u64,
}

#[derive(Debug)]
enum Link {
    Udp(SocketId),
    Stream(Box<Connection>),
}

#[derive(Debug)]
struct Flow {
    transport: Transport,
    remote: SocketAddr,
    local: SocketAddr,
    domain: String,
    accepted: bool,
    up: bool,
    deadline: Option<Instant>,
    keep_alive: Duration,
    next_ping: Option<Instant>,
    used: Instant,
    link: Link,
}

/// All flows of an engine.
#[derive(Debug)]
pub struct Flows {
    client: TlsClientSettings,
    server: Option<TlsServerSettings>,
    unix: UnixTime,
    sockets: Vec<(SocketId, SocketAddr)>,
    flows: Arena<FlowTag, Flow>,
    streams: Arena<StreamTag, FlowId>,
    outputs: VecDeque<FlowOutput>,
    events: VecDeque<FlowEvent>,
    stats: FlowStats,
}

impl Flows {
    /// No flows yet.
    pub fn new(
        client: TlsClientSettings,
        server: Option<TlsServerSettings>,
        unix: UnixTime,
    ) -> Self {
        Self {
            client,
            server,
            unix,
            sockets: Vec::new(),
            flows: Arena::default(),
            streams: Arena::default(),
            outputs: VecDeque::new(),
            events: VecDeque::new(),
            stats: FlowStats::default(),
        }
    }

    /// The wall clock, for certificates.
    pub fn set_wall_clock(&mut self, unix: UnixTime) {
        self.unix = unix;
    }

    /// The host bound a UDP socket for SIP.
    pub fn add_socket(&mut self, socket: SocketId, local: SocketAddr) {
        self.sockets.retain(|(s, _)| *s != socket);
        self.sockets.push((socket, local));
    }

    /// True for a UDP socket that carries SIP.
    pub fn has_socket(&self, socket: SocketId) -> bool {
        self.sockets.iter().any(|(s, _)| *s == socket)
    }

    /// A flow to this address for this domain: one that exists, or a new one. Watch for
    /// [`FlowEvent::Up`] unless [`Flows::is_up`] says that it already is.
    pub fn open(
        &mut self,
        now: Instant,
        transport: Transport,
        remote: SocketAddr,
        domain: &str,
    ) -> Result<FlowId, FlowError> {
        let found = self.flows.iter().find(|(_, f)| {
            f.transport == transport
                && f.remote == remote
                && !f.accepted
                && (transport == Transport::Udp || f.domain.eq_ignore_ascii_case(domain))
        });
        if let Some((id, _)) = found {
            return Ok(id);
        }
        if transport == Transport::Udp {
            return self.udp_flow(now, None, remote).ok_or(FlowError::NoSocket);
        }
        if self.flows.len() >= MAX_FLOWS {
            return Err(FlowError::Full);
        }
        let placeholder = FlowId::from_raw(0);
        let stream = self.streams.insert(placeholder);
        let flow = self.flows.insert(Flow {
            transport,
            remote,
            local: unspecified(remote),
            domain: domain.to_string(),
            accepted: false,
            up: false,
            deadline: Some(now + CONNECT_TIMEOUT),
            keep_alive: Duration::ZERO,
            next_ping: None,
            used: now,
            link: Link::Stream(Box::new(Connection::new(stream))),
        });
        if let Some(slot) = self.streams.get_mut(stream) {
            *slot = flow;
        }
        self.output(FlowOutput::Connect { stream, remote });
        Ok(flow)
    }

    fn udp_flow(
        &mut self,
        now: Instant,
        socket: Option<SocketId>,
        remote: SocketAddr,
    ) -> Option<FlowId> {
        let (socket, local) =
            self.sockets.iter().copied().find(|(s, a)| {
                socket.map_or(a.is_ipv4() == remote.is_ipv4(), |wanted| *s == wanted)
            })?;
        let found = self
            .flows
            .iter_mut()
            .find(|(_, f)| f.remote == remote && matches!(f.link, Link::Udp(s) if s == socket));
        if let Some((id, flow)) = found {
            flow.used = now;
            return Some(id);
        }
        self.make_room();
        Some(self.flows.insert(Flow {
            transport: Transport::Udp,
            remote,
            local,
            domain: String::new(),
            accepted: false,
            up: true,
            deadline: None,
            keep_alive: Duration::ZERO,
            next_ping: None,
            used: now,
            link: Link::Udp(socket),
        }))
    }

    /// The UDP flow that was idle longest makes way; datagrams from made-up sources must not
    /// grow memory.
    fn make_room(&mut self) {
        if self.flows.len() < MAX_FLOWS {
            return;
        }
        let idle = self
            .flows
            .iter()
            .filter(|(_, f)| f.transport == Transport::Udp && f.keep_alive.is_zero())
            .min_by_key(|(_, f)| f.used)
            .map(|(id, _)| id);
        if let Some(id) = idle {
            self.flows.remove(id);
        }
    }

    /// The host accepted a TCP connection; `None`: too many, close it.
    pub fn accept(
        &mut self,
        now: Instant,
        transport: Transport,
        remote: SocketAddr,
        local: SocketAddr,
        rng: &mut dyn Rng,
    ) -> Option<StreamId> {
        let accepted = self.flows.iter().filter(|(_, f)| f.accepted).count();
        if accepted >= MAX_ACCEPTED || self.flows.len() >= MAX_FLOWS {
            self.stats.turned_away = self.stats.turned_away.saturating_add(1);
            return None;
        }
        let stream = self.streams.insert(FlowId::from_raw(0));
        let mut connection = Connection::new(stream);
        if transport == Transport::Tls {
            let settings = self.server.as_ref()?;
            connection.start_server(settings, self.unix, rng).ok()?;
        }
        let flow = self.flows.insert(Flow {
            transport,
            remote,
            local,
            domain: String::new(),
            accepted: true,
            up: transport == Transport::Tcp,
            deadline: Some(now + CONNECT_TIMEOUT),
            keep_alive: Duration::ZERO,
            next_ping: None,
            used: now,
            link: Link::Stream(Box::new(connection)),
        });
        *self.streams.get_mut(stream)? = flow;
        Some(stream)
    }

    /// Sends a message on a flow that is up. A request that is too long for a datagram is refused
    /// ([`FlowError::TooLong`]); a response goes where RFC 3581 §4 or RFC 3261 §18.2.2 says.
    pub fn send(&mut self, now: Instant, flow: FlowId, message: &Message) -> Result<(), FlowError> {
        let state = self.flows.get_mut(flow).filter(|f| f.up).ok_or(FlowError::NotUp)?;
        state.used = now;
        match &mut state.link {
            Link::Udp(socket) => {
                if message.is_request() && message.as_bytes().len() > DATAGRAM_LIMIT {
                    return Err(FlowError::TooLong);
                }
                let remote = via::response_target(message, state.remote);
                let output = FlowOutput::Datagram {
                    socket: *socket,
                    remote,
                    data: message.as_bytes().to_vec(),
                };
                self.output(output);
            }
            Link::Stream(connection) => {
                if !connection.write(message.as_bytes()) {
                    let why = FlowFailure::Unreachable;
                    self.drop_flow(flow, Some(why));
                    return Err(FlowError::NotUp);
                }
                self.flush(flow);
            }
        }
        self.stats.sent = self.stats.sent.saturating_add(1);
        Ok(())
    }

    fn output(&mut self, output: FlowOutput) {
        if self.outputs.len() >= MAX_OUTPUTS {
            self.stats.overflowed = self.stats.overflowed.saturating_add(1);
            return;
        }
        self.outputs.push_back(output);
    }

    /// Moves what a connection wants to send into the outputs.
    fn flush(&mut self, flow: FlowId) {
        let Some(Flow { link: Link::Stream(connection), .. }) = self.flows.get_mut(flow) else {
            return;
        };
        let (stream, data) = (connection.stream(), connection.take_output());
        if !data.is_empty() {
            self.output(FlowOutput::StreamData { stream, data });
        }
    }

    /// The host connected a stream.
    pub fn handle_connected(
        &mut self,
        now: Instant,
        stream: StreamId,
        local: SocketAddr,
        rng: &mut dyn Rng,
    ) -> bool {
        let Some(id) = self.streams.get(stream).copied() else { return false };
        let Some(flow) = self.flows.get_mut(id) else { return false };
        flow.local = local;
        flow.used = now;
        let Link::Stream(connection) = &mut flow.link else { return false };
        if flow.transport == Transport::Tls {
            flow.deadline = Some(now + CONNECT_TIMEOUT);
            match connection.start_client(&self.client, &flow.domain, self.unix, rng) {
                Ok(()) => self.flush(id),
                Err(why) => self.drop_flow(id, Some(why)),
            }
        } else {
            flow.up = true;
            flow.deadline = None;
            self.events.push_back(FlowEvent::Up(id));
        }
        true
    }

    /// Bytes arrived on a stream. False if the stream is not ours.
    pub fn handle_data(
        &mut self,
        now: Instant,
        stream: StreamId,
        data: &[u8],
        rng: &mut dyn Rng,
    ) -> bool {
        let Some(id) = self.streams.get(stream).copied() else { return false };
        let Some(flow) = self.flows.get_mut(id) else { return false };
        flow.used = now;
        let Link::Stream(connection) = &mut flow.link else { return false };
        let result = connection.read(data, self.unix, rng);
        let came_up = !flow.up && connection.is_ready();
        if came_up {
            flow.up = true;
            flow.deadline = None;
            if !flow.accepted {
                self.events.push_back(FlowEvent::Up(id));
            }
        }
        self.flush(id);
        self.frames(now, id);
        if let Err(why) = result {
            if !matches!(why, FlowFailure::Unreachable) {
                self.stats.tls_failures = self.stats.tls_failures.saturating_add(1);
            }
            self.drop_flow(id, Some(why));
        }
        true
    }

    /// Takes the complete frames out of a connection.
    fn frames(&mut self, now: Instant, id: FlowId) {
        loop {
            let Some(Flow {
                link: Link::Stream(connection),
                next_ping,
                keep_alive,
                deadline,
                up: true,
                ..
            }) = self.flows.get_mut(id)
            else {
                return;
            };
            let Some(frame) = connection.framer().next() else { return };
            match frame {
                Frame::Message(message) => self.message(id, message),
                Frame::KeepAlivePing => {
                    connection.write(b"\r\n");
                    self.flush(id);
                }
                Frame::KeepAlivePong => {
                    *deadline = None;
                    *next_ping = (!keep_alive.is_zero()).then(|| now + *keep_alive);
                }
                Frame::Malformed(error) => {
                    self.stats.malformed = self.stats.malformed.saturating_add(1);
                    self.events.push_back(FlowEvent::Malformed { flow: id, error });
                }
                Frame::Broken(error) => {
                    self.stats.malformed = self.stats.malformed.saturating_add(1);
                    self.events.push_back(FlowEvent::Malformed { flow: id, error });
                    self.drop_flow(id, Some(FlowFailure::Unreachable));
                    return;
                }
            }
        }
    }

    fn message(&mut self, flow: FlowId, message: Message) {
        self.stats.received = self.stats.received.saturating_add(1);
        let source = self.flows.get(flow).map(|f| f.remote);
        let message = match source {
            Some(source) if message.is_request() => via::stamp(message, source),
            _ => message,
        };
        self.events.push_back(FlowEvent::Message { flow, message });
    }

    /// A datagram arrived on a SIP socket.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        remote: SocketAddr,
        data: &[u8],
    ) {
        // Keep-alives: a pong, or a ping that wants one (answered with the same two bytes).
        if data.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            if data == b"\r\n\r\n" {
                let data = b"\r\n".to_vec();
                self.output(FlowOutput::Datagram { socket, remote, data });
            }
            return;
        }
        let Some(flow) = self.udp_flow(now, Some(socket), remote) else { return };
        match Message::parse(data) {
            Ok(message) => self.message(flow, message),
            Err(error) => {
                self.stats.malformed = self.stats.malformed.saturating_add(1);
                self.events.push_back(FlowEvent::Malformed { flow, error });
            }
        }
    }

    /// The host says that a stream ended or could not be connected. False if it is not ours.
    pub fn handle_closed(&mut self, stream: StreamId) -> bool {
        let Some(id) = self.streams.remove(stream) else { return false };
        self.drop_flow(id, Some(FlowFailure::Unreachable));
        true
    }

    /// Closes a flow; nobody is told.
    pub fn close(&mut self, flow: FlowId) {
        self.drop_flow(flow, None);
    }

    /// The host's addresses changed: every connection is dead.
    pub fn close_all(&mut self) {
        for id in self.flows.ids() {
            self.drop_flow(id, Some(FlowFailure::Unreachable));
        }
    }

    fn drop_flow(&mut self, id: FlowId, why: Option<FlowFailure>) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        if let Link::Stream(connection) = &mut flow.link {
            connection.close();
            let stream = connection.stream();
            self.flush(id);
            if self.streams.remove(stream).is_some() {
                self.output(FlowOutput::CloseStream { stream });
            }
        }
        if let (Some(flow), Some(why)) = (self.flows.remove(id), why) {
            self.events.push_back(FlowEvent::Down { flow: id, why, domain: flow.domain });
        }
    }

    /// Pings every `interval` on this flow (RFC 5626 §4.4.1); zero stops it. The interval is cut
    /// to 80–100 % at random each time.
    pub fn set_keep_alive(
        &mut self,
        now: Instant,
        flow: FlowId,
        interval: Duration,
        rng: &mut dyn Rng,
    ) {
        if let Some(flow) = self.flows.get_mut(flow) {
            flow.keep_alive = interval;
            flow.next_ping = (!interval.is_zero()).then(|| now + jittered(interval, rng));
        }
    }

    /// The earliest instant at which [`Flows::handle_timeout`] has work.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.flows
            .iter()
            .flat_map(|(_, f)| {
                let idle = (f.accepted && f.up).then(|| f.used + IDLE_ACCEPTED);
                [f.deadline, f.next_ping, idle]
            })
            .flatten()
            .min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Rng) {
        for id in self.flows.ids() {
            let Some(flow) = self.flows.get_mut(id) else { continue };
            let idle = flow.accepted && flow.up && flow.used + IDLE_ACCEPTED <= now;
            if idle || flow.deadline.is_some_and(|d| d <= now) {
                self.drop_flow(id, Some(FlowFailure::Unreachable));
                continue;
            }
            if flow.next_ping.is_some_and(|p| p <= now) {
                self.ping(now, id, rng);
            }
        }
    }

    fn ping(&mut self, now: Instant, id: FlowId, rng: &mut dyn Rng) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.next_ping = Some(now + jittered(flow.keep_alive, rng));
        match &mut flow.link {
            Link::Udp(socket) => {
                let (socket, remote) = (*socket, flow.remote);
                let data = b"\r\n\r\n".to_vec();
                self.output(FlowOutput::Datagram { socket, remote, data });
            }
            Link::Stream(connection) => {
                flow.next_ping = None;
                flow.deadline = Some(now + PONG_TIMEOUT);
                connection.write(b"\r\n\r\n");
                self.flush(id);
            }
        }
    }

    /// The next thing for the host to do.
    pub fn poll_output(&mut self) -> Option<FlowOutput> {
        self.outputs.pop_front()
    }

    /// The next thing for the layers above.
    pub fn poll_event(&mut self) -> Option<FlowEvent> {
        self.events.pop_front()
    }

    /// True while the flow can carry messages.
    pub fn is_up(&self, flow: FlowId) -> bool {
        self.flows.get(flow).is_some_and(|f| f.up)
    }
    /// The flow's transport.
    pub fn transport(&self, flow: FlowId) -> Option<Transport> {
        self.flows.get(flow).map(|f| f.transport)
    }
    /// Our address on the flow.
    pub fn local(&self, flow: FlowId) -> Option<SocketAddr> {
        self.flows.get(flow).map(|f| f.local)
    }
    /// Their address on the flow.
    pub fn remote(&self, flow: FlowId) -> Option<SocketAddr> {
        self.flows.get(flow).map(|f| f.remote)
    }
    /// True if the far end opened it.
    pub fn is_accepted(&self, flow: FlowId) -> bool {
        self.flows.get(flow).is_some_and(|f| f.accepted)
    }
    /// The evidence of the flow's TLS handshake.
    pub fn facts(&self, flow: FlowId) -> Option<&TlsFacts> {
        match &self.flows.get(flow)?.link {
            Link::Stream(connection) => connection.facts(),
            Link::Udp(_) => None,
        }
    }
    /// Counters.
    pub const fn stats(&self) -> &FlowStats {
        &self.stats
    }
}

fn unspecified(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    }
}

fn jittered(interval: Duration, rng: &mut dyn Rng) -> Duration {
    use crate::util::RngExt;
    interval.saturating_mul(80 + rng.below(21)) / 100
}

impl Connection {
    fn framer(&mut self) -> &mut StreamFramer {
        &mut self.framer
    }
}
