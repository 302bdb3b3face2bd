//! What a machine on the simulated network is, and what it can do there.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};

use super::invariants::Fact;
use super::net::{NetState, Pending};
use super::trace::{Fate, Record};
use crate::sip::dns::{DnsAnswer, RecordKind};
use crate::time::{Duration, Instant};
use crate::util::SeededRng;

/// One host of a [`World`](super::World), by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(pub(crate) usize);

/// A TCP connection as one of its two ends sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId {
    pub(crate) number: u64,
    /// 0: the end that connected, 1: the end that accepted.
    pub(crate) side: u8,
}

/// A machine on the simulated network: an engine, a scripted peer, somebody's phone.
///
/// It never blocks and never reads a clock: it is told what happened and acts through [`Net`].
pub trait Host: Any + Send {
    /// Called once, when the host joins the world.
    fn start(&mut self, net: &mut Net<'_>) {
        let _ = net;
    }

    /// Something happened.
    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>);

    /// The run is over: report what must have become of everything.
    fn finish(&mut self, net: &mut Net<'_>) {
        let _ = net;
    }
}

/// What the network tells a host.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetEvent<'a> {
    /// The instant given to [`Net::set_timer`] has come.
    Timer,
    /// A datagram arrived.
    Datagram {
        /// Our address that it came to.
        local: SocketAddr,
        /// Who sent it.
        remote: SocketAddr,
        /// Its bytes; they may be changed in place.
        payload: &'a mut [u8],
    },
    /// A listener got a connection.
    Accepted {
        /// The connection.
        connection: ConnectionId,
        /// Our address.
        local: SocketAddr,
        /// The client's.
        remote: SocketAddr,
    },
    /// [`Net::connect`] succeeded.
    Connected {
        /// The connection.
        connection: ConnectionId,
        /// Our address.
        local: SocketAddr,
    },
    /// Bytes arrived, in order, cut anywhere.
    Data {
        /// The connection.
        connection: ConnectionId,
        /// The bytes.
        data: &'a [u8],
    },
    /// The connection was refused, was closed by the far end, or broke.
    Closed {
        /// The connection: dead from now on.
        connection: ConnectionId,
    },
    /// The answer to [`Net::resolve`].
    Resolved {
        /// What `resolve` returned.
        query: u64,
        /// The answer.
        answer: DnsAnswer,
    },
}

/// A host's hands: everything that it can do, at the present instant.
#[derive(Debug)]
pub struct Net<'w> {
    pub(crate) state: &'w mut NetState,
    pub(crate) host: HostId,
}

impl Net<'_> {
    /// The present.
    pub fn now(&self) -> Instant {
        self.state.now
    }

    /// This host.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// This host's address.
    pub fn ip(&self) -> IpAddr {
        self.state.ip(self.host)
    }

    /// Randomness of this host's own.
    pub fn rng(&mut self) -> &mut SeededRng {
        self.state.rng(self.host)
    }

    /// Opens a UDP port; 0 chooses one. `None` if it is taken.
    pub fn bind_udp(&mut self, port: u16) -> Option<SocketAddr> {
        self.state.bind_udp(self.host, port)
    }

    /// Closes a UDP port.
    pub fn close_udp(&mut self, port: u16) {
        if let Some(slot) = self.state.slot(self.host) {
            slot.udp.remove(&port);
        }
    }

    /// Sends a datagram from a port, whether or not it is open (spoofing is a peer's right).
    pub fn send(&mut self, port: u16, to: SocketAddr, payload: &[u8]) {
        let from = SocketAddr::new(self.ip(), port);
        self.send_from(from, to, payload);
    }

    /// Sends a datagram with any source address at all, as an attacker can.
    pub fn send_from(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.state.report(Fact::Datagram { host: self.host, from, to, payload });
        let now = self.state.now;
        let Some(target) = self.state.reached_from(self.host, to.ip()) else {
            let record = Record::Datagram { from, to, fate: Fate::NoRoute };
            self.state.trace.push(now, record, payload);
            return;
        };
        let arrivals = self.state.path(self.host, target).carry(now, payload.len());
        let copies = u8::from(arrivals.first.is_some()) + u8::from(arrivals.second.is_some());
        let fate = if copies == 0 { Fate::Lost } else { Fate::Sent(copies) };
        self.state.trace.push(now, Record::Datagram { from, to, fate }, payload);
        for at in [arrivals.first, arrivals.second].into_iter().flatten() {
            let payload = payload.to_vec();
            let arrival = Pending::Datagram { host: target, local: to, remote: from, payload };
            self.state.schedule(at, arrival);
        }
    }

    /// Listens for TCP connections; 0 chooses a port. `None` if it is taken.
    pub fn listen(&mut self, port: u16) -> Option<SocketAddr> {
        self.state.listen(self.host, port)
    }

    /// Stops listening.
    pub fn stop_listening(&mut self, port: u16) {
        if let Some(slot) = self.state.slot(self.host) {
            slot.listeners.remove(&port);
        }
    }

    /// Opens a TCP connection; `Connected` or `Closed` follows.
    pub fn connect(&mut self, remote: SocketAddr) -> ConnectionId {
        self.state.connect(self.host, remote)
    }

    /// Writes to a connection. Nothing happens if it is closed already, as with a real socket
    /// whose error has not been read yet.
    pub fn write(&mut self, connection: ConnectionId, data: &[u8]) {
        self.state.write(self.host, connection, data);
    }

    /// Closes a connection, after what was written.
    pub fn close(&mut self, connection: ConnectionId) {
        self.state.close(connection);
    }

    /// Asks the DNS; `Resolved` with the returned number follows.
    pub fn resolve(&mut self, name: &str, kind: RecordKind) -> u64 {
        let answer = self.state.zone.answer(name, kind);
        self.state.queries = self.state.queries.wrapping_add(1);
        let query = self.state.queries;
        let at = self.state.now + self.state.dns_delay;
        self.state.schedule(at, Pending::Resolved { host: self.host, query, answer });
        query
    }

    /// Asks for `NetEvent::Timer` at an instant; replaces the earlier wish.
    pub fn set_timer(&mut self, at: Option<Instant>) {
        self.state.set_timer(self.host, at);
    }

    /// Asks for `NetEvent::Timer` after a while; replaces the earlier wish.
    pub fn set_timer_in(&mut self, delay: Duration) {
        self.set_timer(Some(self.now() + delay));
    }

    /// Writes a line into the record (and so into ladder and digest).
    pub fn note(&mut self, text: &str) {
        let now = self.state.now;
        self.state.trace.push(now, Record::Note { host: Some(self.host) }, text.as_bytes());
    }

    /// Tells the invariants a fact that the wire does not show.
    pub fn report(&mut self, fact: Fact<'_>) {
        self.state.report(fact);
    }

    /// UDP ports and TCP connections that this host holds open now.
    pub fn holdings(&self) -> (usize, usize) {
        self.state.holdings(self.host)
    }
}
