//! The flows of an engine: opened, used, closed.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::route::FlowFailure;
use super::super::{FlowId, FlowTag, SocketId, StreamId, StreamTag, Transport};
use super::connection::Connection;
use super::gone::{Gone, GoneFlow};
use super::queues::Queue;
use super::{
    CONNECT_TIMEOUT, DATAGRAM_LIMIT, FIRST_MESSAGE, FlowError, FlowEvent, FlowOutput, FlowStats,
    MAX_ERRANDS, MIN_KEEP_ALIVE, via,
};
use crate::crypto::tls::{TlsClientSettings, TlsDomains, TlsServerSettings};
use crate::time::{Duration, Instant, UnixTime};
use crate::util::{Arena, BoundedQueue, Rng, RngExt, Secret};
use crate::wire::sip::Message;

/// Key log lines that wait; what comes after them is lost.
const MAX_KEY_LOG_LINES: usize = 256;

#[derive(Debug)]
pub(super) enum Link {
    Udp(SocketId),
    Stream(Box<Connection>),
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) domain: String,
    /// What a TLS connection that we open is verified by, from its beginning to its end.
    pub(super) tls: Option<TlsClientSettings>,
    /// A connection that the far end opened.
    pub(super) accepted: bool,
    /// A UDP flow that nobody here asked for: the first to make way.
    pub(super) unsolicited: bool,
    pub(super) up: bool,
    /// To be connected, secured, or (accepted) to bring its first message.
    pub(super) due: Option<Instant>,
    pub(super) pong_due: Option<Instant>,
    /// A ping was sent and not answered yet.
    pub(super) pinged: bool,
    /// The far end answers pings: it said so, or has done it.
    pub(super) pong_expected: bool,
    pub(super) keep_alive: Duration,
    pub(super) next_ping: Option<Instant>,
    pub(super) used: Instant,
    /// Opened to deliver a response whose connection is gone; nobody else asked for it yet.
    pub(super) errand: bool,
    /// We have sent on it.
    pub(super) answered: bool,
    /// Requests of any length go by UDP: the far end takes no TCP.
    long: bool,
    pub(super) link: Link,
}

impl Flow {
    pub(super) fn new(now: Instant, transport: Transport, remote: SocketAddr, link: Link) -> Self {
        Self {
            transport,
            remote,
            local: unspecified(remote),
            domain: String::new(),
            tls: None,
            accepted: false,
            unsolicited: false,
            up: false,
            due: None,
            pong_due: None,
            pinged: false,
            pong_expected: false,
            keep_alive: Duration::ZERO,
            next_ping: None,
            used: now,
            errand: false,
            answered: false,
            long: false,
            link,
        }
    }
}

/// All flows of an engine.
#[derive(Debug)]
pub struct Flows {
    client: TlsDomains,
    server: Option<TlsServerSettings>,
    pub(super) unix: UnixTime,
    pub(super) sockets: Vec<(SocketId, SocketAddr)>,
    pub(super) flows: Arena<FlowTag, Flow>,
    pub(super) streams: Arena<StreamTag, FlowId>,
    outputs: Queue<FlowOutput>,
    events: Queue<FlowEvent>,
    pub(super) key_log: BoundedQueue<Secret<String>>,
    pub(super) stats: FlowStats,
    gone: Gone,
}

impl Flows {
    /// No flows yet. `client` is what connections are opened with: for every domain, or by
    /// domain ([`TlsDomains`]).
    pub fn new(
        client: impl Into<TlsDomains>,
        server: Option<TlsServerSettings>,
        unix: UnixTime,
    ) -> Self {
        Self {
            client: client.into(),
            server,
            unix,
            sockets: Vec::new(),
            flows: Arena::default(),
            streams: Arena::default(),
            outputs: Queue::new(),
            events: Queue::new(),
            key_log: BoundedQueue::new(MAX_KEY_LOG_LINES),
            stats: FlowStats::default(),
            gone: Gone::default(),
        }
    }

    /// The TLS settings by domain, to be changed at any time: connections that are open stay as
    /// they are, but nobody who asks for one after the change shares them.
    pub fn tls_domains(&mut self) -> &mut TlsDomains {
        &mut self.client
    }

    /// The next line for the TLS key log, if settings ask for one
    /// ([`TlsStream::poll_key_log`](crate::crypto::tls::TlsStream::poll_key_log)).
    pub fn poll_key_log(&mut self) -> Option<Secret<String>> {
        self.key_log.pop()
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

    /// A UDP socket is no longer bound: its flows go down.
    pub fn remove_socket(&mut self, socket: SocketId) {
        self.sockets.retain(|(s, _)| *s != socket);
        for id in self.flows.ids() {
            if self.flows.get(id).is_some_and(|f| matches!(f.link, Link::Udp(s) if s == socket)) {
                self.drop_flow(id, Some(FlowFailure::Unreachable));
            }
        }
    }

    /// Where a UDP socket for SIP is bound.
    pub fn socket_ip(&self, socket: SocketId) -> Option<core::net::IpAddr> {
        self.sockets.iter().find(|(s, _)| *s == socket).map(|(_, local)| local.ip())
    }

    /// True for a UDP socket that carries SIP.
    pub fn has_socket(&self, socket: SocketId) -> bool {
        self.sockets.iter().any(|(s, _)| *s == socket)
    }

    /// A flow to this address for this domain: one that exists, or a new one. Watch for
    /// [`FlowEvent::Up`] unless [`Flows::is_up`] says that it already is.
    ///
    /// A connection is shared only by those who dialled the same domain, which its certificate
    /// was verified for, under the same TLS settings, and never with one that the far end opened.
    ///
    /// # Errors
    /// [`FlowError::NoSocket`] if there is no UDP socket of the address's family,
    /// [`FlowError::Full`] if there are too many flows or the outputs are not fetched.
    pub fn open(
        &mut self,
        now: Instant,
        transport: Transport,
        remote: SocketAddr,
        domain: &str,
    ) -> Result<FlowId, FlowError> {
        if transport == Transport::Udp {
            return self.open_udp(now, remote);
        }
        let tls = (transport == Transport::Tls).then(|| self.client.get(domain));
        let found = self.flows.iter_mut().find(|(_, f)| {
            f.transport == transport
                && f.remote == remote
                && !f.accepted
                && f.domain.eq_ignore_ascii_case(domain)
                && f.tls.as_ref().zip(tls).is_none_or(|(ours, wanted)| ours.is_same(wanted))
        });
        if let Some((id, flow)) = found {
            flow.errand = false;
            return Ok(id);
        }
        let tls = tls.cloned();
        if self.outputs.is_full() || self.events.is_full() || !self.make_room() {
            return Err(FlowError::Full);
        }
        let stream = self.streams.insert(FlowId::from_raw(0));
        let mut flow =
            Flow::new(now, transport, remote, Link::Stream(Box::new(Connection::new(stream))));
        flow.domain = domain.to_string();
        flow.tls = tls;
        flow.due = Some(now + CONNECT_TIMEOUT);
        let flow = self.insert_stream(stream, flow);
        self.output(FlowOutput::Connect { stream, remote });
        Ok(flow)
    }

    /// A connection for a response whose own is gone; one that nobody asks for otherwise is closed
    /// when it was idle for a while.
    ///
    /// # Errors
    /// As [`Flows::open`]; [`FlowError::Full`] too if many such connections are open.
    pub fn open_for_response(
        &mut self,
        now: Instant,
        transport: Transport,
        remote: SocketAddr,
        domain: &str,
    ) -> Result<FlowId, FlowError> {
        let errands: Vec<_> =
            self.flows.iter().filter(|(_, f)| f.errand).map(|(id, _)| id).collect();
        let before = self.flows.len();
        let flow = self.open(now, transport, remote, domain)?;
        if self.flows.len() > before && errands.len() >= MAX_ERRANDS {
            self.close(flow);
            return Err(FlowError::Full);
        }
        let errand = self.flows.len() > before || errands.contains(&flow);
        if let Some(state) = self.flows.get_mut(flow) {
            state.errand = errand;
        }
        Ok(flow)
    }

    /// What a connection was that broke lately.
    pub fn gone(&self, flow: FlowId) -> Option<&GoneFlow> {
        self.gone.find(flow)
    }

    fn insert_stream(&mut self, stream: StreamId, flow: Flow) -> FlowId {
        let flow = self.flows.insert(flow);
        if let Some(slot) = self.streams.get_mut(stream) {
            *slot = flow;
        }
        flow
    }

    fn open_udp(&mut self, now: Instant, remote: SocketAddr) -> Result<FlowId, FlowError> {
        let found = self
            .flows
            .iter_mut()
            .find(|(_, f)| f.remote == remote && f.transport == Transport::Udp);
        if let Some((id, flow)) = found {
            flow.used = now;
            flow.unsolicited = false;
            return Ok(id);
        }
        let family = |a: &SocketAddr| a.is_ipv4() == remote.is_ipv4();
        let (socket, local) =
            self.sockets.iter().copied().find(|(_, a)| family(a)).ok_or(FlowError::NoSocket)?;
        if !self.make_room() {
            return Err(FlowError::Full);
        }
        let mut flow = Flow::new(now, Transport::Udp, remote, Link::Udp(socket));
        (flow.local, flow.up) = (local, true);
        Ok(self.flows.insert(flow))
    }

    /// The host accepted a TCP connection; `None`: close it (too many, or no identity for TLS).
    pub fn accept(
        &mut self,
        now: Instant,
        transport: Transport,
        remote: SocketAddr,
        local: SocketAddr,
        rng: &mut dyn Rng,
    ) -> Option<StreamId> {
        let stuck = self.outputs.is_full() || self.events.is_full();
        if stuck || !self.make_room_for(now, remote.ip()) || !self.make_room() {
            self.stats.turned_away = self.stats.turned_away.saturating_add(1);
            return None;
        }
        let stream = self.streams.insert(FlowId::from_raw(0));
        let mut connection = Connection::new(stream);
        let started = match (transport, &self.server) {
            (Transport::Tcp, _) => {
                connection.start_plain();
                true
            }
            (Transport::Tls, Some(settings)) => {
                connection.start_server(settings, self.unix, rng).is_ok()
            }
            _ => false,
        };
        if !started {
            self.streams.remove(stream);
            self.stats.turned_away = self.stats.turned_away.saturating_add(1);
            return None;
        }
        let up = connection.is_ready();
        let mut flow = Flow::new(now, transport, remote, Link::Stream(Box::new(connection)));
        (flow.local, flow.accepted, flow.up) = (local, true, up);
        flow.due = Some(now + if up { FIRST_MESSAGE } else { CONNECT_TIMEOUT });
        self.insert_stream(stream, flow);
        Some(stream)
    }

    /// Sends a message on a flow that is up. A response by UDP goes where RFC 3581 §4 or RFC 3261
    /// §18.2.2 says.
    ///
    /// # Errors
    /// [`FlowError::TooLong`]: a request for UDP exceeds [`DATAGRAM_LIMIT`]; use a stream
    /// transport. [`FlowError::NotUp`]: the flow is not up, or has just failed.
    pub fn send(&mut self, now: Instant, flow: FlowId, message: &Message) -> Result<(), FlowError> {
        let state = self.flows.get_mut(flow).filter(|f| f.up).ok_or(FlowError::NotUp)?;
        let bytes = message.as_bytes();
        match &mut state.link {
            Link::Udp(socket) => {
                if message.is_request() && bytes.len() > DATAGRAM_LIMIT && !state.long {
                    return Err(FlowError::TooLong);
                }
                (state.used, state.answered) = (now, true);
                let remote = via::response_target(message, state.remote);
                let socket = *socket;
                self.output(FlowOutput::Datagram { socket, remote, data: bytes.to_vec() });
            }
            Link::Stream(connection) => {
                (state.used, state.answered) = (now, true);
                let written = connection.write(bytes);
                if !self.flush_or_drop(flow, written) {
                    return Err(FlowError::NotUp);
                }
            }
        }
        self.stats.sent = self.stats.sent.saturating_add(1);
        Ok(())
    }

    /// False if the message is a request too long for this flow, a UDP one (RFC 3261 §18.1.1).
    pub fn fits(&self, flow: FlowId, message: &Message) -> bool {
        self.flows.get(flow).is_none_or(|f| {
            f.long
                || f.transport != Transport::Udp
                || !message.is_request()
                || message.as_bytes().len() <= DATAGRAM_LIMIT
        })
    }

    /// The far end takes no TCP: requests of any length go by this UDP flow (§18.1.1).
    pub fn allow_long(&mut self, flow: FlowId) {
        if let Some(flow) = self.flows.get_mut(flow) {
            flow.long = true;
        }
    }

    pub(super) fn output(&mut self, output: FlowOutput) -> bool {
        let fits = self.outputs.push(output);
        if !fits {
            self.stats.overflowed = self.stats.overflowed.saturating_add(1);
        }
        fits
    }

    pub(super) fn event(&mut self, event: FlowEvent) -> bool {
        let fits = self.events.push(event);
        if !fits {
            self.stats.overflowed = self.stats.overflowed.saturating_add(1);
        }
        fits
    }

    /// Moves what a connection wants to send into the outputs; false if bytes were lost.
    fn flush(&mut self, flow: FlowId) -> bool {
        let Some(Flow { link: Link::Stream(connection), .. }) = self.flows.get_mut(flow) else {
            return true;
        };
        let (stream, data) = (connection.stream(), connection.take_output());
        data.is_empty() || self.output(FlowOutput::StreamData { stream, data })
    }

    /// Flushes; a stream that cannot carry all of its bytes goes down. False if it did.
    pub(super) fn flush_or_drop(&mut self, flow: FlowId, written: bool) -> bool {
        let alive = written && self.flush(flow);
        if !alive {
            self.drop_flow(flow, Some(FlowFailure::Unreachable));
        }
        alive
    }

    /// Closes a flow; nobody is told.
    pub fn close(&mut self, flow: FlowId) {
        self.drop_flow(flow, None);
    }

    /// The host's addresses changed: every flow is dead.
    pub fn close_all(&mut self) {
        for id in self.flows.ids() {
            self.drop_flow(id, Some(FlowFailure::Unreachable));
        }
    }

    /// Ends a flow. The host is told unless it closed the stream itself.
    pub(super) fn drop_flow(&mut self, id: FlowId, why: Option<FlowFailure>) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        if let Link::Stream(connection) = &mut flow.link {
            if flow.up {
                let peer = connection.facts().and_then(|facts| facts.peer.clone());
                self.gone.add(id, flow.transport, flow.remote, peer);
            }
            connection.close();
            let stream = connection.stream();
            if self.streams.remove(stream).is_some() {
                // What does not fit now is lost, which the end of the stream tells.
                self.flush(id);
                self.output(FlowOutput::CloseStream { stream });
            }
        }
        if matches!(why, Some(FlowFailure::Certificate(_) | FlowFailure::Tls(_))) {
            self.stats.tls_failures = self.stats.tls_failures.saturating_add(1);
        }
        if let (Some(flow), Some(why)) = (self.flows.remove(id), why) {
            self.event(FlowEvent::Down { flow: id, why, domain: flow.domain });
        }
    }

    /// Pings at this interval: on a stream CRLF CRLF; without an answer within 10 s the flow is
    /// down (RFC 5626 §4.4.1), if the far end has `agreed` to answer (RFC 5626, RFC 6223) or has
    /// answered before. By UDP it only keeps bindings alive. Each time the interval is cut to
    /// 80–100 % at random. Zero stops it.
    pub fn set_keep_alive(
        &mut self,
        now: Instant,
        flow: FlowId,
        interval: Duration,
        agreed: bool,
        rng: &mut dyn Rng,
    ) {
        let Some(flow) = self.flows.get_mut(flow) else { return };
        flow.pong_expected |= agreed;
        if interval.is_zero() {
            (flow.keep_alive, flow.next_ping, flow.pong_due) = (interval, None, None);
            return;
        }
        flow.keep_alive = interval.max(MIN_KEEP_ALIVE);
        if flow.pong_due.is_none() {
            flow.next_ping = Some(now + jittered(flow.keep_alive, rng));
        }
    }

    /// The next thing for the host to do.
    pub fn poll_output(&mut self) -> Option<FlowOutput> {
        self.outputs.pop()
    }

    /// The next thing for the layers above.
    pub fn poll_event(&mut self) -> Option<FlowEvent> {
        self.events.pop()
    }
}

fn unspecified(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    }
}

pub(super) fn jittered(interval: Duration, rng: &mut dyn Rng) -> Duration {
    let percent = rng.below(21).saturating_add(80);
    interval.saturating_mul(percent).checked_div(100).unwrap_or(interval)
}
