//! What enters and leaves the engine.

use alloc::boxed::Box;
use core::net::SocketAddr;

use super::CallId;
use super::event::Event;
use crate::media::session::{MediaFeedback, MediaUpdate};
use crate::sip::dns::{DnsAnswer, QueryId, RecordKind};
use crate::sip::{ListenerId, SocketId, StreamId};
use crate::time::{Instant, UnixTime};

/// Everything that can happen to an engine from outside. None of it blocks.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The instant that [`Output::Timeout`] named has come (calling early or late is harmless).
    Timeout,
    /// A datagram arrived on a socket. It is decrypted in place, hence `&mut`.
    Datagram {
        /// The socket of [`Output::BindUdp`].
        socket: SocketId,
        /// Who sent it.
        remote: SocketAddr,
        /// Its bytes.
        payload: &'a mut [u8],
    },
    /// [`Output::BindUdp`] was carried out.
    UdpBound {
        /// The socket.
        socket: SocketId,
        /// The address that it is bound to; the IP is the one that the far end can use.
        local: SocketAddr,
    },
    /// [`Output::BindUdp`] failed, for example because the port is taken.
    UdpBindFailed {
        /// The socket.
        socket: SocketId,
    },
    /// [`Output::Listen`] was carried out.
    Listening {
        /// The listener.
        listener: ListenerId,
        /// Where it listens.
        local: SocketAddr,
    },
    /// [`Output::Listen`] failed.
    ListenFailed {
        /// The listener.
        listener: ListenerId,
    },
    /// [`Output::Connect`] was carried out.
    StreamConnected {
        /// The stream.
        stream: StreamId,
        /// Our end of it.
        local: SocketAddr,
    },
    /// Bytes arrived on a stream.
    StreamData {
        /// The stream.
        stream: StreamId,
        /// The bytes, in order, cut anywhere.
        data: &'a [u8],
    },
    /// A stream ended, broke or could not be connected.
    StreamClosed {
        /// The stream.
        stream: StreamId,
    },
    /// The answer to [`Output::Resolve`].
    Resolved {
        /// The query.
        query: QueryId,
        /// Records, or why there are none.
        answer: DnsAnswer,
    },
    /// What a session that was taken tells of itself.
    Media {
        /// The call.
        call: CallId,
        /// From [`MediaSession::feedback`](crate::media::session::MediaSession::feedback).
        feedback: &'a MediaFeedback,
    },
    /// The host's addresses changed (Wi-Fi to mobile, cable pulled): every flow is opened anew,
    /// accounts register again, and running calls tell the far end where they are now. Tell the
    /// new address first, if it is another one
    /// ([`Engine::set_local_ip`](super::Engine::set_local_ip)).
    NetworkChanged,
    /// The wall clock, for certificates and RTCP; it may be repeated or corrected at any time.
    WallClock(UnixTime),
}

/// What the host has to do. Borrowed bytes live in the buffer given to `poll_output`.
#[derive(Debug)]
#[non_exhaustive]
#[must_use]
pub enum Output<'b> {
    /// Send this datagram.
    Datagram {
        /// From this socket.
        socket: SocketId,
        /// To this address.
        remote: SocketAddr,
        /// These bytes.
        payload: &'b [u8],
    },
    /// Write these bytes to a stream, all of them and in order.
    StreamData {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        data: &'b [u8],
    },
    /// Open a TCP connection; tell the outcome by `StreamConnected` or `StreamClosed`.
    Connect {
        /// The id that the connection gets.
        stream: StreamId,
        /// Where to.
        remote: SocketAddr,
    },
    /// Close a stream once what was written is sent. The id is dead from now on.
    CloseStream {
        /// The stream.
        stream: StreamId,
    },
    /// Listen for TCP connections; each one accepted goes to `Engine::accept_stream`.
    Listen {
        /// The id that the listener gets.
        listener: ListenerId,
        /// Where; port 0 lets the host choose.
        local: SocketAddr,
    },
    /// Bind a UDP socket; tell the outcome by `UdpBound` or `UdpBindFailed`.
    BindUdp {
        /// The id that the socket gets.
        socket: SocketId,
        /// Where; port 0 lets the host choose.
        local: SocketAddr,
    },
    /// Close a UDP socket. The id is dead from now on.
    CloseUdp {
        /// The socket.
        socket: SocketId,
    },
    /// Ask the DNS; answer with `Resolved`.
    Resolve {
        /// The id of the question.
        query: QueryId,
        /// The name, without a trailing dot.
        name: alloc::string::String,
        /// The record type.
        kind: RecordKind,
    },
    /// Give this to the session that was taken from the call
    /// ([`Engine::take_media`](super::Engine::take_media)):
    /// [`MediaSession::handle_update`](crate::media::session::MediaSession::handle_update).
    Media {
        /// The call.
        call: CallId,
        /// What is to change.
        update: Box<MediaUpdate>,
    },
    /// Something that the application wants to know.
    Event(Event),
    /// The buffer cannot hold the next output: call again with at least `needed` bytes.
    BufferTooSmall {
        /// Bytes needed.
        needed: usize,
    },
    /// Nothing more to do. Call `handle_input(Timeout)` at this instant, if nothing comes before.
    Timeout(Option<Instant>),
}
