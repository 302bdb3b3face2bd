//! One question on its way: the attempt that is under way, over UDP or TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};

use super::super::tap::{WireDirection, WireTransport};
use super::super::wire::Wire;
use super::message::{self, Reply};
use crate::sip::dns::{QueryId, RecordKind};
use crate::time::Instant;
use crate::util::{Rng, RngExt};

/// Ports below are not drawn.
const FIRST_PORT: u16 = 1024;
/// How often another port is drawn if one is taken; then the system chooses.
const PORT_DRAWS: u32 = 8;
/// Wrong messages that one attempt puts up with: each may be a guess at the id.
const MAX_MISMATCHES: u32 = 16;

/// One question and the attempt that is under way.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) query: QueryId,
    pub(super) name: String,
    pub(super) kind: RecordKind,
    /// Attempts made so far.
    pub(super) attempts: u32,
    pub(super) deadline: Instant,
    pub(super) server: SocketAddr,
    id: u16,
    mismatches: u32,
    link: Option<Link>,
}

#[derive(Debug)]
enum Link {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, out: Vec<u8>, written: usize, input: Vec<u8> },
}

/// What an attempt came to.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing yet.
    Waiting,
    /// This attempt is lost; try the next server.
    Lost,
    /// A reply that fits the question.
    Reply(Reply),
}

impl Lookup {
    pub(super) fn new(query: QueryId, name: String, kind: RecordKind) -> Self {
        Self {
            query,
            name,
            kind,
            attempts: 0,
            deadline: Instant::ZERO,
            server: (Ipv4Addr::UNSPECIFIED, 0).into(),
            id: 0,
            mismatches: 0,
            link: None,
        }
    }

    /// Asks over UDP: a fresh socket on a random port, connected so that only this server's
    /// datagrams arrive, and a random id (RFC 5452).
    pub(super) fn ask_udp(
        &mut self,
        registry: &Registry,
        token: Token,
        rng: &mut dyn Rng,
        wire: &mut Wire,
    ) -> io::Result<()> {
        self.close(registry);
        self.id = rng.next_u16();
        self.mismatches = 0;
        let question = self.question()?;
        let mut socket = bind_random(self.server, rng)?;
        socket.connect(self.server)?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        let sent = socket.send(&question);
        let local = socket.local_addr()?;
        self.link = Some(Link::Udp(socket));
        sent?;
        wire.saw(WireDirection::Sent, WireTransport::Udp, local, self.server, &question);
        Ok(())
    }

    /// Asks the same server over TCP, because its answer was truncated.
    pub(super) fn ask_tcp(
        &mut self,
        registry: &Registry,
        token: Token,
        rng: &mut dyn Rng,
    ) -> io::Result<()> {
        self.close(registry);
        self.id = rng.next_u16();
        let question = self.question()?;
        let length = u16::try_from(question.len()).map_err(|_| ErrorKind::InvalidInput)?;
        let mut out = length.to_be_bytes().to_vec();
        out.extend_from_slice(&question);
        let mut stream = TcpStream::connect(self.server)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.link = Some(Link::Tcp { stream, out, written: 0, input: Vec::new() });
        Ok(())
    }

    fn question(&self) -> io::Result<Vec<u8>> {
        message::encode(self.id, &self.name, self.kind).ok_or(ErrorKind::InvalidInput.into())
    }

    /// Closes the socket of the attempt that is under way.
    pub(super) fn close(&mut self, registry: &Registry) {
        // A socket that was never registered cannot be deregistered: nothing is lost.
        match self.link.take() {
            Some(Link::Udp(mut socket)) => drop(registry.deregister(&mut socket)),
            Some(Link::Tcp { mut stream, .. }) => drop(registry.deregister(&mut stream)),
            None => {}
        }
    }

    /// The socket of this attempt is ready.
    pub(super) fn handle_ready(&mut self, buf: &mut [u8], wire: &mut Wire) -> Progress {
        match &mut self.link {
            None => Progress::Waiting,
            Some(Link::Udp(_)) => self.read_udp(buf, wire),
            Some(Link::Tcp { .. }) => self.advance_tcp(buf, wire).unwrap_or(Progress::Lost),
        }
    }

    fn read_udp(&mut self, buf: &mut [u8], wire: &mut Wire) -> Progress {
        let Some(Link::Udp(socket)) = &self.link else { return Progress::Waiting };
        loop {
            let received = match socket.recv(buf) {
                Ok(received) => received,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Progress::Lost,
            };
            let bytes = buf.get(..received).unwrap_or_default();
            if let Ok(local) = socket.local_addr() {
                wire.saw(WireDirection::Received, WireTransport::Udp, local, self.server, bytes);
            }
            match message::decode(bytes, self.id, &self.name, self.kind) {
                Reply::Mismatch if self.mismatches >= MAX_MISMATCHES => return Progress::Lost,
                Reply::Mismatch => self.mismatches = self.mismatches.saturating_add(1),
                reply => return Progress::Reply(reply),
            }
        }
    }

    fn advance_tcp(&mut self, buf: &mut [u8], wire: &mut Wire) -> io::Result<Progress> {
        let Some(Link::Tcp { stream, out, written, input }) = &mut self.link else {
            return Ok(Progress::Waiting);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        let Ok(local) = stream.local_addr() else { return Ok(Progress::Waiting) };
        while let Some(rest) = out.get(*written..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(n) => {
                    let sent = rest.get(..n).unwrap_or_default();
                    wire.saw(WireDirection::Sent, WireTransport::Tcp, local, self.server, sent);
                    *written = written.saturating_add(n);
                }
                // Not connected yet, or the buffer is full: the next event tells.
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(Progress::Waiting);
                }
                Err(e) => return Err(e),
            }
        }
        loop {
            let n = match stream.read(buf) {
                Ok(0) => return Ok(Progress::Lost),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Progress::Waiting),
                Err(e) => return Err(e),
            };
            let bytes = buf.get(..n).unwrap_or_default();
            wire.saw(WireDirection::Received, WireTransport::Tcp, local, self.server, bytes);
            input.extend_from_slice(bytes);
            if let Some(message) = framed(input) {
                return Ok(match message::decode(message, self.id, &self.name, self.kind) {
                    // The stream is the server's alone: a wrong message is a broken server.
                    Reply::Mismatch | Reply::Truncated => Progress::Lost,
                    reply => Progress::Reply(reply),
                });
            }
        }
    }
}

/// The first message of a stream (RFC 1035 §4.2.2), once it is complete.
fn framed(input: &[u8]) -> Option<&[u8]> {
    let (length, rest) = input.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// A socket of the server's family on a random port.
fn bind_random(server: SocketAddr, rng: &mut dyn Rng) -> io::Result<UdpSocket> {
    let ip: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let span = u32::from(u16::MAX.saturating_sub(FIRST_PORT));
    for _ in 0..PORT_DRAWS {
        let port = u16::try_from(rng.below(span)).unwrap_or(0).saturating_add(FIRST_PORT);
        if let Ok(socket) = UdpSocket::bind(SocketAddr::new(ip, port)) {
            return Ok(socket);
        }
    }
    UdpSocket::bind(SocketAddr::new(ip, 0))
}
