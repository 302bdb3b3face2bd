//! Media that runs outside its engine: what a host with a media thread does, in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::engine_host::report_progress;
use super::host::Net;
use crate::engine::{CallId, Engine, Input};
use crate::media::session::{Channel, MAX_TRANSMIT, MediaSession, MediaUpdate};
use crate::sip::SocketId;
use crate::time::{Duration, Instant};
use crate::wire::rtp::classify;

/// Feedback is given this often at least.
const FEEDBACK: Duration = Duration::from_secs(1);

/// The sessions of one phone that were taken.
#[derive(Default)]
pub(super) struct Taken {
    wanted: bool,
    feed_back: bool,
    expected: Vec<CallId>,
    losing: bool,
    sessions: BTreeMap<CallId, Running>,
}

struct Running {
    session: MediaSession,
    /// Of RTP, of RTCP.
    sockets: (SocketId, SocketId),
    feedback: Instant,
}

impl Taken {
    pub(super) fn begin(&mut self, feed_back: bool) {
        (self.wanted, self.feed_back) = (true, feed_back);
    }

    pub(super) fn lose_update(&mut self) {
        self.losing = true;
    }

    pub(super) fn session(&mut self, call: CallId) -> Option<&mut MediaSession> {
        self.sessions.get_mut(&call).map(|running| &mut running.session)
    }

    /// The call is up: its media moves here, as soon as it has its keys.
    pub(super) fn expect(&mut self, call: CallId) {
        if self.wanted {
            self.expected.push(call);
        }
    }

    fn take(&mut self, engine: &mut Engine, sockets: &BTreeMap<SocketId, u16>) {
        for call in std::mem::take(&mut self.expected) {
            let Some(pair) = engine.call(call).and_then(|call| call.media_sockets()) else {
                continue;
            };
            let bound = sockets.contains_key(&pair.0) && sockets.contains_key(&pair.1);
            match engine.take_media(call) {
                Ok(session) if bound => {
                    let feedback = Instant::ZERO;
                    let running = Running { session, sockets: pair, feedback };
                    self.sessions.insert(call, running);
                }
                _ => self.expected.push(call),
            }
        }
    }

    pub(super) fn update(&mut self, net: &mut Net<'_>, call: CallId, update: MediaUpdate) {
        if std::mem::take(&mut self.losing) {
            return;
        }
        if let Some(running) = self.sessions.get_mut(&call)
            && let Err(error) = running.session.handle_update(net.now(), update)
        {
            net.note(&format!("media update refused: {error}"));
        }
    }

    /// A call's media has other sockets.
    pub(super) fn rebind(&mut self, call: CallId, rtp: SocketId, rtcp: SocketId) {
        if let Some(running) = self.sessions.get_mut(&call) {
            running.sockets = (rtp, rtcp);
        }
    }

    /// A datagram came: true if it was media of a session here.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        socket: SocketId,
        remote: SocketAddr,
        payload: &mut [u8],
    ) -> bool {
        if !classify(payload).is_media() {
            return false;
        }
        for running in self.sessions.values_mut() {
            let channel = match socket {
                socket if socket == running.sockets.0 => Channel::Rtp,
                socket if socket == running.sockets.1 => Channel::Rtcp,
                _ => continue,
            };
            running.session.handle_datagram(now, channel, payload, remote);
            return true;
        }
        false
    }

    /// Timers, packets and feedback.
    pub(super) fn run(
        &mut self,
        net: &mut Net<'_>,
        engine: &mut Engine,
        sockets: &BTreeMap<SocketId, u16>,
    ) {
        self.take(engine, sockets);
        let now = net.now();
        let mut buffer = [0; MAX_TRANSMIT];
        for (call, running) in &mut self.sessions {
            let session = &mut running.session;
            if session.next_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
            }
            // Without sockets nothing is sent, and what waits stays with the session.
            let (rtp, rtcp) = (sockets.get(&running.sockets.0), sockets.get(&running.sockets.1));
            while let (Some(rtp), Some(rtcp)) = (rtp, rtcp)
                && let Ok(Some(transmit)) = session.poll_transmit(now, &mut buffer)
            {
                let port = match transmit.channel {
                    Channel::Rtp => *rtp,
                    Channel::Rtcp => *rtcp,
                };
                let (remote, len) = (transmit.remote, transmit.packet.bytes().len());
                if let Some(progress) = session.srtp_progress() {
                    report_progress(net, &progress);
                }
                net.send(port, remote, buffer.get(..len).unwrap_or_default());
            }
            let due = session.feedback_due() || (!session.is_closed() && now >= running.feedback);
            if self.feed_back && due {
                running.feedback = now + FEEDBACK;
                if let Some(feedback) = session.feedback() {
                    let input = Input::Media { call: *call, feedback: &feedback };
                    if let Err(error) = engine.handle_input(now, input) {
                        net.note(&format!("feedback refused: {error}"));
                    }
                }
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let open = self.sessions.values().filter(|running| !running.session.is_closed());
        let next = |running: &Running| {
            let feedback = self.feed_back.then_some(running.feedback);
            running.session.next_timeout().into_iter().chain(feedback).min()
        };
        open.filter_map(next).min()
    }
}
