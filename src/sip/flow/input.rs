//! What the host reports: connections, bytes, datagrams, time.

use core::net::SocketAddr;

use super::super::route::FlowFailure;
use super::super::{FlowId, SocketId, StreamId};
use super::flows::{Flow, Flows, Link, jittered};
use super::{
    CONNECT_TIMEOUT, FIRST_MESSAGE, FlowEvent, FlowOutput, IDLE_ACCEPTED, IDLE_ERRAND, IDLE_SOURCE,
    PONG_TIMEOUT, via,
};
use crate::time::Instant;
use crate::util::Rng;
use crate::wire::sip::{Frame, Message};

const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

impl Flow {
    /// When it is forgotten silently.
    fn forgotten_at(&self) -> Option<Instant> {
        self.unsolicited.then(|| self.used + IDLE_SOURCE)
    }

    /// When an accepted connection has been silent for too long.
    fn idle_at(&self) -> Option<Instant> {
        if self.errand {
            return self.up.then(|| self.used + IDLE_ERRAND);
        }
        (self.accepted && self.up).then(|| self.used + IDLE_ACCEPTED)
    }

    fn ping_at(&self) -> Option<Instant> {
        self.next_ping.filter(|_| self.up)
    }

    /// The far end is alive. True if that was being asked.
    fn ponged(&mut self, now: Instant, rng: &mut dyn Rng) -> bool {
        let asked = core::mem::take(&mut self.pinged);
        if asked {
            self.pong_due = None;
            self.pong_expected = true;
            self.next_ping =
                (!self.keep_alive.is_zero()).then(|| now + jittered(self.keep_alive, rng));
        }
        asked
    }
}

impl Flows {
    /// The host connected a stream. False if the stream is not ours.
    pub fn handle_connected(
        &mut self,
        now: Instant,
        stream: StreamId,
        local: SocketAddr,
        rng: &mut dyn Rng,
    ) -> bool {
        let Some(id) = self.streams.get(stream).copied() else { return false };
        let Some(flow) = self.flows.get_mut(id) else { return false };
        let Link::Stream(connection) = &mut flow.link else { return false };
        if !connection.is_connecting() {
            return true; // told twice
        }
        (flow.local, flow.used) = (local, now);
        if let Some(settings) = &flow.tls {
            flow.due = Some(now + CONNECT_TIMEOUT);
            match connection.start_client(settings, &flow.domain, self.unix, rng) {
                Ok(()) => {
                    self.flush_or_drop(id, true);
                }
                Err(why) => self.drop_flow(id, Some(why)),
            }
        } else {
            connection.start_plain();
            (flow.up, flow.due) = (true, None);
            self.event(FlowEvent::Up(id));
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
        let Link::Stream(connection) = &mut flow.link else { return false };
        let result = connection.read(data, self.unix, rng);
        while let Some(line) = connection.poll_key_log() {
            self.key_log.push(line);
        }
        if !flow.up && connection.is_ready() {
            flow.up = true;
            flow.used = now;
            flow.due = flow.accepted.then(|| now + FIRST_MESSAGE);
            if !flow.accepted {
                self.event(FlowEvent::Up(id));
            }
        }
        let pinged = self.frames(now, id, rng);
        if let Err(why) = result {
            self.drop_flow(id, Some(why));
        } else {
            let written = self.pong(id, pinged);
            self.flush_or_drop(id, written);
        }
        true
    }

    /// Takes the complete frames out of a connection; returns how many of them were pings.
    fn frames(&mut self, now: Instant, id: FlowId, rng: &mut dyn Rng) -> usize {
        let mut pings = 0_usize;
        loop {
            let Some(flow) = self.flows.get_mut(id).filter(|f| f.up) else { return pings };
            let Link::Stream(connection) = &mut flow.link else { return pings };
            let Some(frame) = connection.next_frame() else { return pings };
            let delivered = match frame {
                Frame::Message(message) => {
                    (flow.used, flow.due) = (now, None);
                    self.message(id, message)
                }
                Frame::KeepAlivePing => {
                    // Two single CRLFs look like a ping that was cut in two: the second may be
                    // our pong, so it counts as one too.
                    flow.ponged(now, rng);
                    flow.used = now;
                    pings = pings.saturating_add(1);
                    true
                }
                Frame::KeepAlivePong => {
                    if flow.ponged(now, rng)
                        && let Link::Stream(connection) = &mut flow.link
                    {
                        connection.was_pong();
                    }
                    true
                }
                Frame::Malformed(error) => {
                    self.stats.count_malformed(&error);
                    self.event(FlowEvent::Malformed { flow: id, error })
                }
                Frame::Broken(error) => {
                    self.stats.count_malformed(&error);
                    // Closed at once, but after the answers to what came before.
                    flow.due = Some(now);
                    self.event(FlowEvent::Malformed { flow: id, error });
                    return pings;
                }
            };
            if !delivered {
                // A stream has no retransmission: with a message lost it is of no more use.
                self.drop_flow(id, Some(FlowFailure::Unreachable));
                return pings;
            }
        }
    }

    /// Answers pings, all in one write.
    fn pong(&mut self, id: FlowId, pings: usize) -> bool {
        match self.flows.get_mut(id).map(|f| &mut f.link) {
            Some(Link::Stream(connection)) if pings > 0 => connection.write(&PONG.repeat(pings)),
            _ => true,
        }
    }

    fn message(&mut self, flow: FlowId, message: Message) -> bool {
        self.stats.received = self.stats.received.saturating_add(1);
        let source = self.flows.get(flow).map(|f| f.remote);
        let message = match source {
            Some(source) if message.is_request() => via::stamp(message, source),
            _ => message,
        };
        self.event(FlowEvent::Message { flow, message })
    }

    /// A datagram arrived on a SIP socket.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        remote: SocketAddr,
        data: &[u8],
    ) {
        if !self.has_socket(socket) {
            return;
        }
        // Keep-alives: a pong, or a ping that wants one (which is shorter than itself).
        if data.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            if data == PING {
                self.output(FlowOutput::Datagram { socket, remote, data: PONG.to_vec() });
            }
            return;
        }
        match Message::parse(data) {
            Ok(message) => {
                if let Some(flow) = self.heard_udp(now, socket, remote) {
                    self.message(flow, message);
                }
            }
            Err(error) => {
                self.stats.count_malformed(&error);
                // Noise from strangers is counted and makes no flow.
                let flow = match error.rejectable() {
                    Some(_) => self.heard_udp(now, socket, remote),
                    None => self.find_udp(socket, remote),
                };
                if let Some(flow) = flow {
                    self.event(FlowEvent::Malformed { flow, error });
                }
            }
        }
    }

    /// The host says that a stream ended or could not be connected. False if it is not ours.
    pub fn handle_closed(&mut self, stream: StreamId) -> bool {
        let Some(id) = self.streams.remove(stream) else { return false };
        self.drop_flow(id, Some(FlowFailure::Unreachable));
        true
    }

    /// The earliest instant at which [`Flows::handle_timeout`] has work.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.flows
            .iter()
            .flat_map(|(_, f)| [f.due, f.pong_due, f.ping_at(), f.idle_at(), f.forgotten_at()])
            .flatten()
            .min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Rng) {
        for id in self.flows.ids() {
            let Some(flow) = self.flows.get(id) else { continue };
            let dead = [flow.due, flow.pong_due, flow.idle_at()];
            if dead.into_iter().flatten().any(|at| at <= now) {
                self.drop_flow(id, Some(FlowFailure::TimedOut));
            } else if flow.forgotten_at().is_some_and(|at| at <= now) {
                self.flows.remove(id);
            } else if flow.ping_at().is_some_and(|at| at <= now) {
                self.ping(now, id, rng);
            }
        }
    }

    fn ping(&mut self, now: Instant, id: FlowId, rng: &mut dyn Rng) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        match &mut flow.link {
            Link::Udp(socket) => {
                flow.next_ping = Some(now + jittered(flow.keep_alive, rng));
                let (socket, remote) = (*socket, flow.remote);
                self.output(FlowOutput::Datagram { socket, remote, data: PING.to_vec() });
            }
            Link::Stream(connection) => {
                flow.pinged = true;
                if flow.pong_expected {
                    (flow.next_ping, flow.pong_due) = (None, Some(now + PONG_TIMEOUT));
                } else {
                    flow.next_ping = Some(now + jittered(flow.keep_alive, rng));
                }
                let written = connection.write(PING);
                self.flush_or_drop(id, written);
            }
        }
    }
}
