//! TCP connections: opening, writing with a bounded backlog, reading, closing after the last
//! byte is out.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Token};

use super::sockets::{Owner, Tokens};
use super::tap::{WireDirection, WireTransport};
use super::wire::Wire;
use crate::sip::StreamId;
use crate::time::{Duration, Instant};

/// Bytes that may wait for a slow reader; a connection that lets more pile up is closed.
const MAX_BACKLOG: usize = 1 << 20;
/// A connection that is not open by then is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last bytes of a closed connection may take.
const LINGER: Duration = Duration::from_secs(5);

/// What became of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamRead {
    /// So many bytes.
    Data(usize),
    /// Nothing waits.
    Blocked,
    /// The connection is over.
    Closed,
}

/// What became of a connection that was ready or overdue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamChange {
    None,
    /// It is open; our end.
    Connected(SocketAddr),
    /// It broke.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Connecting {
        deadline: Instant,
    },
    Open,
    /// The engine has let go of it; what is left to write goes out.
    Closing {
        deadline: Instant,
    },
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    token: Token,
    state: State,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    /// Not yet taken by the operating system.
    backlog: Vec<u8>,
}

/// All TCP connections of one engine.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<StreamId, Stream>,
}

impl Streams {
    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Starts to connect.
    pub(super) fn connect(
        &mut self,
        tokens: &mut Tokens,
        now: Instant,
        id: StreamId,
        remote: SocketAddr,
    ) -> io::Result<()> {
        let socket = TcpStream::connect(remote)?;
        let state = State::Connecting { deadline: now + CONNECT_TIMEOUT };
        self.insert(tokens, id, socket, remote, state)
    }

    /// Takes over an accepted connection.
    pub(super) fn adopt(
        &mut self,
        tokens: &mut Tokens,
        id: StreamId,
        socket: TcpStream,
        remote: SocketAddr,
    ) -> io::Result<()> {
        self.insert(tokens, id, socket, remote, State::Open)
    }

    fn insert(
        &mut self,
        tokens: &mut Tokens,
        id: StreamId,
        mut socket: TcpStream,
        remote: SocketAddr,
        state: State,
    ) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = tokens.register(&mut socket, Owner::Stream(id), interest)?;
        let local = socket.local_addr().ok();
        if state == State::Open {
            // Only a matter of latency: a connection without it works too.
            drop(socket.set_nodelay(true));
        }
        let stream = Stream { socket, token, state, local, remote, backlog: Vec::new() };
        self.streams.insert(id, stream);
        Ok(())
    }

    /// Writes, in order; what does not fit now follows when the connection takes it. False if
    /// the connection broke and is gone.
    pub(super) fn write(
        &mut self,
        tokens: &mut Tokens,
        id: StreamId,
        data: &[u8],
        wire: &mut Wire,
    ) -> bool {
        // An id whose connection broke before the engine was told: it is told.
        let Some(stream) = self.streams.get_mut(&id) else { return true };
        if stream.backlog.len().saturating_add(data.len()) > MAX_BACKLOG {
            self.remove(tokens, id);
            return false;
        }
        stream.backlog.extend_from_slice(data);
        let broken = stream.state == State::Open && stream.flush(wire).is_err();
        if broken {
            self.remove(tokens, id);
        }
        !broken
    }

    /// Closes after what was written is out.
    pub(super) fn close(&mut self, tokens: &mut Tokens, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.backlog.is_empty() || stream.state != State::Open {
            self.remove(tokens, id);
        } else {
            stream.state = State::Closing { deadline: now + LINGER };
        }
    }

    fn remove(&mut self, tokens: &mut Tokens, id: StreamId) {
        if let Some(mut stream) = self.streams.remove(&id) {
            tokens.deregister(&mut stream.socket, stream.token);
            // It may be closed already; either way it is gone.
            drop(stream.socket.shutdown(Shutdown::Both));
        }
    }

    /// A connection is ready to go on: finishes connecting, writes what waits.
    pub(super) fn advance(
        &mut self,
        tokens: &mut Tokens,
        id: StreamId,
        wire: &mut Wire,
    ) -> StreamChange {
        let Some(stream) = self.streams.get_mut(&id) else { return StreamChange::None };
        let state = stream.state;
        let outcome = stream.advance(wire);
        let done = matches!(state, State::Closing { .. }) && stream.backlog.is_empty();
        match outcome {
            Ok(change) if !done => change,
            _ => {
                self.remove(tokens, id);
                // The engine has let go of a closing connection: it is not told.
                let told = !matches!(state, State::Closing { .. });
                if told { StreamChange::Closed } else { StreamChange::None }
            }
        }
    }

    /// Reads what waits.
    pub(super) fn read(
        &mut self,
        tokens: &mut Tokens,
        id: StreamId,
        buf: &mut [u8],
        wire: &mut Wire,
    ) -> StreamRead {
        let Some(stream) = self.streams.get_mut(&id) else { return StreamRead::Blocked };
        if matches!(stream.state, State::Connecting { .. }) {
            return StreamRead::Blocked;
        }
        let closing = stream.state != State::Open;
        match stream.read(buf, wire) {
            // Nobody is interested any more, but what is unread would turn the close into a reset.
            StreamRead::Data(_) if closing => StreamRead::Blocked,
            StreamRead::Closed => {
                self.remove(tokens, id);
                if closing { StreamRead::Blocked } else { StreamRead::Closed }
            }
            read => read,
        }
    }

    /// Gives up connections that are overdue; true for each that the engine must be told of.
    pub(super) fn handle_timeout(&mut self, tokens: &mut Tokens, now: Instant) -> Vec<StreamId> {
        let overdue: Vec<(StreamId, bool)> = self
            .streams
            .iter()
            .filter_map(|(id, stream)| match stream.state {
                State::Connecting { deadline } if deadline <= now => Some((*id, true)),
                State::Closing { deadline } if deadline <= now => Some((*id, false)),
                _ => None,
            })
            .collect();
        overdue.iter().for_each(|(id, _)| self.remove(tokens, *id));
        overdue.into_iter().filter_map(|(id, told)| told.then_some(id)).collect()
    }

    /// When [`Streams::handle_timeout`] is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.streams
            .values()
            .filter_map(|stream| match stream.state {
                State::Connecting { deadline } | State::Closing { deadline } => Some(deadline),
                State::Open => None,
            })
            .min()
    }
}

impl Stream {
    fn advance(&mut self, wire: &mut Wire) -> io::Result<StreamChange> {
        let mut change = StreamChange::None;
        if matches!(self.state, State::Connecting { .. }) {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            match self.socket.peer_addr() {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::NotConnected => return Ok(change),
                Err(e) => return Err(e),
            }
            let local = self.socket.local_addr()?;
            // Only a matter of latency: a connection without it works too.
            drop(self.socket.set_nodelay(true));
            self.local = Some(local);
            self.state = State::Open;
            change = StreamChange::Connected(local);
        }
        self.flush(wire)?;
        Ok(change)
    }

    /// Writes as much of the backlog as the connection takes.
    fn flush(&mut self, wire: &mut Wire) -> io::Result<()> {
        let mut written = 0;
        let outcome = loop {
            let rest = self.backlog.get(written..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.socket.write(rest) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    let bytes = rest.get(..n).unwrap_or_default();
                    if let Some(local) = self.local {
                        let sent = WireDirection::Sent;
                        wire.saw(sent, WireTransport::Tcp, local, self.remote, bytes);
                    }
                    written = written.saturating_add(n);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        self.backlog.drain(..written.min(self.backlog.len()));
        outcome
    }

    fn read(&mut self, buf: &mut [u8], wire: &mut Wire) -> StreamRead {
        loop {
            match self.socket.read(buf) {
                Ok(0) => return StreamRead::Closed,
                Ok(n) => {
                    if let Some(local) = self.local {
                        let bytes = buf.get(..n).unwrap_or_default();
                        let received = WireDirection::Received;
                        wire.saw(received, WireTransport::Tcp, local, self.remote, bytes);
                    }
                    return StreamRead::Data(n);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return StreamRead::Blocked,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return StreamRead::Closed,
            }
        }
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
