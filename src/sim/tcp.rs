//! TCP as its users see it: reliable, ordered byte streams, cut anywhere, that may be refused,
//! stall or break.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::host::{ConnectionId, HostId};
use super::net::{NetState, Pending};
use super::seed::Draw;
use super::trace::Record;
use crate::time::{Duration, Instant};

/// How long data may remain unacknowledged before a connection breaks.
const STUCK_LIMIT: Duration = Duration::from_secs(60);
/// How long a connection attempt to nowhere takes to fail.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// The largest piece that arrives at once.
const SEGMENT: usize = 1460;

/// One connection and its two ends.
#[derive(Debug)]
pub(crate) struct Connection {
    ends: [End; 2],
    established: bool,
}

#[derive(Debug)]
struct End {
    host: HostId,
    local: SocketAddr,
    /// Neither closed here nor told that it is closed.
    open: bool,
    /// Nothing may arrive here before this instant: streams keep their order.
    not_before: Instant,
    /// Waiting for the link to come back; `None` is the end of the stream.
    stuck: VecDeque<Option<Vec<u8>>>,
    stuck_since: Instant,
}

impl Connection {
    pub(crate) fn open_ends_of(&self, host: HostId) -> usize {
        self.ends.iter().filter(|end| end.open && end.host == host).count()
    }

    fn end(&mut self, side: u8) -> &mut End {
        let [client, server] = &mut self.ends;
        if side == 0 { client } else { server }
    }
}

/// What the world tells a host about a stream.
#[derive(Debug)]
pub(crate) enum StreamNews {
    Accepted { host: HostId, connection: ConnectionId, local: SocketAddr, remote: SocketAddr },
    Connected { host: HostId, connection: ConnectionId, local: SocketAddr },
    Data { host: HostId, connection: ConnectionId, data: Vec<u8> },
    Closed { host: HostId, connection: ConnectionId },
}

impl NetState {
    pub(crate) fn connect(&mut self, host: HostId, remote: SocketAddr) -> ConnectionId {
        self.connects = self.connects.wrapping_add(1);
        let number = self.connects;
        let local = SocketAddr::new(self.ip(host), self.free_port(host));
        let record = Record::Connect { connection: number, from: local, to: remote };
        self.trace.push(self.now, record, &[]);
        let target = self.reached_from(host, remote.ip());
        let (now, end) = (self.now, |host, local| End {
            host,
            local,
            open: true,
            not_before: Instant::ZERO,
            stuck: VecDeque::new(),
            stuck_since: Instant::ZERO,
        });
        let mut server = end(target.unwrap_or(host), remote);
        server.open = false;
        let connection = Connection { ends: [end(host, local), server], established: false };
        self.connections.insert(number, connection);
        match target {
            Some(target) if !self.path(host, target).cut => {
                let at = self.path(host, target).carry_segment(now, 40);
                self.schedule(at, Pending::Syn { connection: number });
            }
            _ => self.schedule(now + CONNECT_LIMIT, Pending::Refused { connection: number }),
        }
        ConnectionId { number, side: 0 }
    }

    /// The first packet of a connection reached the server.
    pub(crate) fn syn(&mut self, number: u64) -> Option<StreamNews> {
        let (client, server, local, remote) = {
            let [client, server] = &self.connections.get(&number)?.ends;
            (client.host, server.host, server.local, client.local)
        };
        // Who stands in between listens where the host that is meant does.
        let meant = self.host_at(local.ip()).unwrap_or(server);
        let listens = self.slot(meant).is_some_and(|slot| slot.listeners.contains(&local.port()));
        let now = self.now;
        let back = self.path(server, client).carry_segment(now, 40);
        if !listens {
            self.schedule(back, Pending::Refused { connection: number });
            return None;
        }
        self.schedule(back, Pending::Connected { connection: number });
        let connection = self.connections.get_mut(&number)?;
        connection.end(0).not_before = back;
        connection.end(1).open = true;
        connection.end(1).not_before = now;
        let id = ConnectionId { number, side: 1 };
        Some(StreamNews::Accepted { host: server, connection: id, local, remote })
    }

    pub(crate) fn connected(&mut self, number: u64) -> Option<StreamNews> {
        let connection = self.connections.get_mut(&number)?;
        connection.established = true;
        let client = connection.end(0);
        let (host, local) = (client.host, client.local);
        let id = ConnectionId { number, side: 0 };
        client.open.then_some(StreamNews::Connected { host, connection: id, local })
    }

    pub(crate) fn refused(&mut self, number: u64) -> Option<StreamNews> {
        let mut connection = self.connections.remove(&number)?;
        self.trace.push(self.now, Record::Refused { connection: number }, &[]);
        let client = connection.end(0);
        let (host, connection) = (client.host, ConnectionId { number, side: 0 });
        client.open.then_some(StreamNews::Closed { host, connection })
    }

    pub(crate) fn write(&mut self, host: HostId, id: ConnectionId, data: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id.number) else { return };
        let (from, open) = {
            let end = connection.end(id.side);
            (end.local, end.open)
        };
        let to = connection.end(1 - id.side).local;
        if !open || (id.side == 0 && !connection.established) || data.is_empty() {
            return;
        }
        self.report(super::Fact::Segment { host, connection: id, from, to, payload: data });
        let record = Record::Segment { connection: id.number, from, to };
        self.trace.push(self.now, record, data);
        let peer = ConnectionId { number: id.number, side: 1 - id.side };
        self.send_stream(peer, Some(data.to_vec()));
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id.number) else { return };
        let end = connection.end(id.side);
        let by = end.local;
        if !std::mem::replace(&mut end.open, false) {
            return;
        }
        self.trace.push(self.now, Record::Closed { connection: id.number, by }, &[]);
        self.send_stream(ConnectionId { number: id.number, side: 1 - id.side }, None);
    }

    /// Sends data, or the end of the stream, to one end; holds it back while the link is cut.
    fn send_stream(&mut self, to: ConnectionId, item: Option<Vec<u8>>) {
        let Some(connection) = self.connections.get_mut(&to.number) else { return };
        let (host, from) = (connection.end(to.side).host, connection.end(1 - to.side).host);
        let end = connection.end(to.side);
        let now = self.now;
        let waits = !end.stuck.is_empty();
        if waits || self.path(from, host).cut {
            if let Some(connection) = self.connections.get_mut(&to.number) {
                let end = connection.end(to.side);
                end.stuck.push_back(item);
                end.stuck_since = if waits { end.stuck_since } else { now };
            }
            if !waits {
                self.schedule(now + STUCK_LIMIT, Pending::StuckSince { to, since: now });
            }
            return;
        }
        self.launch(to, from, host, item);
    }

    /// Puts data on the way, cut into segments as a network might.
    fn launch(&mut self, to: ConnectionId, from: HostId, host: HostId, item: Option<Vec<u8>>) {
        let now = self.now;
        let mut rest = item.as_deref().unwrap_or_default();
        let dribble = self.tcp_rng.chance(1.0 / 32.0);
        let split = self.tcp_rng.chance(0.25);
        let mut pieces = 0_u32;
        loop {
            let limit = match (dribble && pieces < 8, split && pieces == 0) {
                (true, _) => 1,
                (false, true) => self.tcp_rng.between(1, SEGMENT as u32) as usize,
                (false, false) => SEGMENT,
            };
            let (piece, tail) = rest.split_at(limit.min(rest.len()));
            rest = tail;
            pieces = pieces.saturating_add(1);
            let arrival = self.path(from, host).carry_segment(now, piece.len().saturating_add(40));
            let Some(connection) = self.connections.get_mut(&to.number) else { return };
            let end = connection.end(to.side);
            let at = arrival.max(end.not_before);
            end.not_before = at;
            if item.is_none() {
                self.schedule(at, Pending::Fin { to });
                return;
            }
            self.schedule(at, Pending::Data { to, data: piece.to_vec() });
            if rest.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn data_arrives(&mut self, to: ConnectionId, data: Vec<u8>) -> Option<StreamNews> {
        let end = self.connections.get_mut(&to.number)?.end(to.side);
        let host = end.host;
        end.open.then_some(StreamNews::Data { host, connection: to, data })
    }

    pub(crate) fn end_arrives(&mut self, to: ConnectionId) -> Option<StreamNews> {
        let connection = self.connections.get_mut(&to.number)?;
        let end = connection.end(to.side);
        let (host, by, was_open) = (end.host, end.local, std::mem::replace(&mut end.open, false));
        if connection.ends.iter().all(|end| !end.open) {
            self.connections.remove(&to.number);
        }
        if was_open {
            self.trace.push(self.now, Record::Closed { connection: to.number, by }, &[]);
        }
        was_open.then_some(StreamNews::Closed { host, connection: to })
    }

    /// Data waited for a minute: the sender gives the connection up.
    pub(crate) fn stuck(&mut self, to: ConnectionId, since: Instant) -> Option<StreamNews> {
        let connection = self.connections.get_mut(&to.number)?;
        let end = connection.end(to.side);
        if end.stuck.is_empty() || end.stuck_since != since {
            return None;
        }
        end.stuck.clear();
        self.end_arrives(ConnectionId { number: to.number, side: 1 - to.side })
    }

    /// The link between two hosts is back: what waited goes on its way.
    pub(crate) fn flush_stuck(&mut self, a: HostId, b: HostId) {
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        for (number, side) in numbers.into_iter().flat_map(|n| [(n, 0), (n, 1)]) {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            let (host, from) = (connection.end(side).host, connection.end(1 - side).host);
            if (host, from) != (a, b) && (host, from) != (b, a) {
                continue;
            }
            for item in std::mem::take(&mut connection.end(side).stuck) {
                self.launch(ConnectionId { number, side }, from, host, item);
            }
        }
    }

    /// Breaks all connections between two hosts, as a firewall that lost its state does.
    pub(crate) fn break_connections(&mut self, a: HostId, b: HostId) {
        let now = self.now;
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        for number in numbers {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            let pair = (connection.end(0).host, connection.end(1).host);
            if pair == (a, b) || pair == (b, a) {
                for side in [0, 1] {
                    self.schedule(now, Pending::Fin { to: ConnectionId { number, side } });
                }
            }
        }
    }
}
