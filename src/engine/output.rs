//! What the host has to do, one thing at a time.

use super::handshake::DtlsLeg;
use super::io::Output;
use super::{Engine, HostAction};
use crate::crypto::dtls::MAX_DATAGRAM;
use crate::media::session::{Channel, MAX_TRANSMIT};
use crate::sip::SocketId;
use crate::sip::flow::FlowOutput;
use crate::time::Instant;

impl Engine {
    /// The next thing for the host to do, until [`Output::Timeout`]. Bytes are written into `buf`.
    pub fn poll_output<'b>(&mut self, buf: &'b mut [u8]) -> Output<'b> {
        let now = self.now;
        if self.unsettled {
            self.deliver(now);
        }
        self.media_events();
        if let Some(output) = self.poll_media_update() {
            return output;
        }
        if let Some(action) = self.host.pop_front() {
            return action.into_output();
        }
        if let Some(output) = self.flow_output(buf.len()) {
            return fill(output, buf);
        }
        if let Some((id, socket)) = self.dtls_due() {
            if buf.len() < MAX_DATAGRAM {
                return Output::BufferTooSmall { needed: MAX_DATAGRAM };
            }
            let leg = self.calls.get_mut(id).and_then(|e| e.dtls.as_mut());
            if let Some((remote, len)) = leg.and_then(|leg| leg.poll_output(buf)) {
                return Output::Datagram { socket, remote, payload: buf.get(..len).unwrap_or(&[]) };
            }
        }
        // Before any audio goes under it.
        if let Some(event) = self.poll_change() {
            return Output::Event(event);
        }
        let due = self.calls.iter().find(|(_, e)| e.ports_ready && e.media.has_output());
        if let Some(id) = due.map(|(id, _)| id) {
            if buf.len() < MAX_TRANSMIT {
                return Output::BufferTooSmall { needed: MAX_TRANSMIT };
            }
            let entry = self.calls.get_mut(id);
            if let Some(entry) = entry
                && let (Some(session), Some(ports)) = (entry.media.here_mut(), &entry.ports)
                && let Ok(Some(transmit)) = session.poll_transmit(now, buf)
            {
                let socket = match transmit.channel {
                    Channel::Rtp => ports.rtp(),
                    Channel::Rtcp => ports.rtcp(),
                };
                return Output::Datagram {
                    socket,
                    remote: transmit.remote,
                    payload: transmit.packet.bytes(),
                };
            }
        }
        self.sweep_ended();
        if let Some(event) = self.events.pop() {
            return Output::Event(event);
        }
        // Ports that were just given back.
        match self.host.pop_front() {
            Some(action) => action.into_output(),
            None => Output::Timeout(self.next_timeout()),
        }
    }

    /// A call whose DTLS handshake has something to send, and its socket.
    fn dtls_due(&self) -> Option<(super::CallId, SocketId)> {
        self.calls.iter().find_map(|(id, entry)| {
            let due = entry.ports_ready && entry.dtls.as_ref().is_some_and(DtlsLeg::has_output);
            Some((id, entry.ports.as_ref().filter(|_| due)?.rtp()))
        })
    }

    /// Ended calls whose goodbye is out give their ports back.
    fn sweep_ended(&mut self) {
        let now = self.now;
        let done = |e: &super::CallEntry| e.machine.is_over() && e.media.is_drained(now);
        loop {
            let over = self.calls.iter().find(|(_, e)| done(e)).map(|(id, _)| id);
            let Some(id) = over else { return };
            self.close_media(id);
        }
    }

    fn flow_output(&mut self, room: usize) -> Option<FlowStep> {
        let output = match self.held.take() {
            Some(output) => output,
            None => self.flows.poll_output()?,
        };
        let (FlowOutput::StreamData { data, .. } | FlowOutput::Datagram { data, .. }) = &output
        else {
            return Some(FlowStep::Whole(output));
        };
        if data.len() <= room {
            return Some(FlowStep::Whole(output));
        }
        match output {
            // A stream may be cut anywhere; half a buffer of at least 512 bytes is worth it.
            FlowOutput::StreamData { stream, mut data } if room >= 512 => {
                let rest = data.split_off(room);
                self.held = Some(FlowOutput::StreamData { stream, data: rest });
                Some(FlowStep::Whole(FlowOutput::StreamData { stream, data }))
            }
            output => {
                let needed = match &output {
                    FlowOutput::Datagram { data, .. } => data.len(),
                    _ => 512,
                };
                self.held = Some(output);
                Some(FlowStep::TooSmall(needed))
            }
        }
    }

    /// When to come back, if nothing happens before.
    fn next_timeout(&self) -> Option<Instant> {
        let calls = self.calls.iter().filter_map(|(_, e)| e.next_timeout()).min();
        let accounts = self.accounts.iter().filter_map(|(_, e)| e.next_timeout()).min();
        [self.flows.next_timeout(), self.transactions.next_timeout(), calls, accounts]
            .into_iter()
            .flatten()
            .min()
    }
}

impl HostAction {
    fn into_output<'b>(self) -> Output<'b> {
        match self {
            Self::Bind(socket, local) => Output::BindUdp { socket, local },
            Self::CloseUdp(socket) => Output::CloseUdp { socket },
            Self::Listen(listener, local) => Output::Listen { listener, local },
            Self::Resolve(query, question) => {
                Output::Resolve { query, name: question.name, kind: question.kind }
            }
        }
    }
}

enum FlowStep {
    Whole(FlowOutput),
    TooSmall(usize),
}

fn fill(step: FlowStep, buf: &mut [u8]) -> Output<'_> {
    let copy = |data: &[u8], buf: &mut [u8]| {
        for (to, from) in buf.iter_mut().zip(data) {
            *to = *from;
        }
    };
    match step {
        FlowStep::TooSmall(needed) => Output::BufferTooSmall { needed },
        FlowStep::Whole(FlowOutput::Connect { stream, remote }) => {
            Output::Connect { stream, remote }
        }
        FlowStep::Whole(FlowOutput::CloseStream { stream }) => Output::CloseStream { stream },
        FlowStep::Whole(FlowOutput::StreamData { stream, data }) => {
            copy(&data, buf);
            Output::StreamData { stream, data: buf.get(..data.len()).unwrap_or(&[]) }
        }
        FlowStep::Whole(FlowOutput::Datagram { socket, remote, data }) => {
            copy(&data, buf);
            Output::Datagram { socket, remote, payload: buf.get(..data.len()).unwrap_or(&[]) }
        }
    }
}
