//! The sockets behind the engine's ids: UDP sockets and listeners. Streams are in `streams`.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};

use super::streams::Streams;
use super::tap::{WireDirection, WireTransport};
use super::wire::Wire;
use crate::sip::{ListenerId, SocketId, StreamId};

/// Errors of earlier datagrams that one read passes over.
const MAX_ICMP_ERRORS: usize = 64;

/// What a token of the poll stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Udp(SocketId),
    Listener(ListenerId),
    Stream(StreamId),
}

/// Gives out tokens and remembers whose they are.
#[derive(Debug)]
pub(super) struct Tokens {
    registry: Registry,
    next: usize,
    owners: HashMap<Token, Owner>,
}

impl Tokens {
    /// Registers a socket for its owner.
    pub(super) fn register(
        &mut self,
        source: &mut impl mio::event::Source,
        owner: Owner,
        interest: Interest,
    ) -> io::Result<Token> {
        let token = Token(self.next);
        self.registry.register(source, token, interest)?;
        self.next = self.next.wrapping_add(1);
        self.owners.insert(token, owner);
        Ok(token)
    }

    /// Forgets a socket that is about to be closed.
    pub(super) fn deregister(&mut self, source: &mut impl mio::event::Source, token: Token) {
        // Fails only if the socket is not registered, which is what is wanted.
        drop(self.registry.deregister(source));
        self.owners.remove(&token);
    }
}

#[derive(Debug)]
struct Bound<S> {
    socket: S,
    token: Token,
    local: SocketAddr,
}

/// All sockets of one engine.
#[derive(Debug)]
pub(super) struct Sockets {
    tokens: Tokens,
    udp: HashMap<SocketId, Bound<UdpSocket>>,
    listeners: HashMap<ListenerId, Bound<TcpListener>>,
    pub(super) streams: Streams,
    /// Datagrams that the operating system did not take.
    pub(super) datagrams_refused: u64,
}

impl Sockets {
    /// No sockets yet; tokens are given from `first_token` on.
    pub(super) fn new(registry: Registry, first_token: usize) -> Self {
        Self {
            tokens: Tokens { registry, next: first_token, owners: HashMap::new() },
            udp: HashMap::new(),
            listeners: HashMap::new(),
            streams: Streams::default(),
            datagrams_refused: 0,
        }
    }

    /// Whose token this is, unless it was closed meanwhile.
    pub(super) fn owner(&self, token: Token) -> Option<Owner> {
        self.tokens.owners.get(&token).copied()
    }

    /// The streams together with what they register at.
    pub(super) fn streams(&mut self) -> (&mut Streams, &mut Tokens) {
        (&mut self.streams, &mut self.tokens)
    }

    /// Binds a UDP socket and tells the address that the far end can use.
    pub(super) fn bind_udp(&mut self, id: SocketId, local: SocketAddr) -> io::Result<SocketAddr> {
        let mut socket = UdpSocket::bind(local)?;
        let local = socket.local_addr()?;
        let token = self.tokens.register(&mut socket, Owner::Udp(id), Interest::READABLE)?;
        self.udp.insert(id, Bound { socket, token, local });
        Ok(usable(local))
    }

    /// Closes a UDP socket.
    pub(super) fn close_udp(&mut self, id: SocketId) {
        if let Some(mut bound) = self.udp.remove(&id) {
            self.tokens.deregister(&mut bound.socket, bound.token);
        }
    }

    /// Sends a datagram. What the operating system does not take is lost, as on the way.
    pub(super) fn send(&mut self, id: SocketId, to: SocketAddr, bytes: &[u8], wire: &mut Wire) {
        let Some(bound) = self.udp.get(&id) else { return };
        match bound.socket.send_to(bytes, to) {
            Ok(_) => wire.saw(WireDirection::Sent, WireTransport::Udp, bound.local, to, bytes),
            Err(_) => self.datagrams_refused = self.datagrams_refused.saturating_add(1),
        }
    }

    /// Takes one datagram; `None` if none waits.
    pub(super) fn receive(
        &mut self,
        id: SocketId,
        buf: &mut [u8],
        wire: &mut Wire,
    ) -> Option<(usize, SocketAddr)> {
        let bound = self.udp.get(&id)?;
        for _ in 0..MAX_ICMP_ERRORS {
            match bound.socket.recv_from(buf) {
                Ok((n, remote)) => {
                    let bytes = buf.get(..n).unwrap_or_default();
                    let received = WireDirection::Received;
                    wire.saw(received, WireTransport::Udp, bound.local, remote, bytes);
                    return Some((n, remote));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                // An ICMP error of an earlier datagram: this read took it, go on.
                Err(_) => {}
            }
        }
        None
    }

    /// Listens for TCP connections and tells the address that the far end can use.
    pub(super) fn listen(&mut self, id: ListenerId, local: SocketAddr) -> io::Result<SocketAddr> {
        let mut socket = TcpListener::bind(local)?;
        let local = socket.local_addr()?;
        let token = self.tokens.register(&mut socket, Owner::Listener(id), Interest::READABLE)?;
        self.listeners.insert(id, Bound { socket, token, local });
        Ok(usable(local))
    }

    /// Accepts one connection: `WouldBlock` if none waits.
    pub(super) fn accept(&mut self, id: ListenerId) -> io::Result<(TcpStream, SocketAddr)> {
        match self.listeners.get(&id) {
            Some(bound) => bound.socket.accept(),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

/// The address that others can reach: where a socket is bound to all addresses, the one that
/// the system would send from.
fn usable(local: SocketAddr) -> SocketAddr {
    if !local.ip().is_unspecified() {
        return local;
    }
    // Connecting a UDP socket sends nothing; it only picks a route. The targets are the
    // documentation networks, which every default route covers.
    let (any, target, loopback): (SocketAddr, SocketAddr, IpAddr) = match local {
        SocketAddr::V4(_) => (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
            Ipv4Addr::LOCALHOST.into(),
        ),
        SocketAddr::V6(_) => (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
            Ipv6Addr::LOCALHOST.into(),
        ),
    };
    let routed = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(target)?;
        socket.local_addr()
    });
    let ip = routed.map_or(loopback, |address| address.ip());
    SocketAddr::new(if ip.is_unspecified() { loopback } else { ip }, local.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_becomes_one_that_others_can_use() {
        let bound: SocketAddr = "192.0.2.5:5060".parse().unwrap();
        assert_eq!(usable(bound), bound);
        for wildcard in ["0.0.0.0:5060", "[::]:5060"] {
            let address = usable(wildcard.parse().unwrap());
            assert!(!address.ip().is_unspecified());
            assert_eq!(address.port(), 5060);
        }
    }
}
