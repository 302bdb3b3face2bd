//! UDP sockets: the one for SIP, and each call's pair for media; the media sessions behind them.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::error::{InputError, MediaError};
use super::event::Event;
use super::policy::plain_permit;
use super::ports::{PortAction, PortProgress};
use super::{CallId, Engine, HostAction};
use crate::crypto::srtp::{SrtpReceiver, SrtpSender};
use crate::engine::call::MediaPlan;
use crate::media::session::{
    Channel, Direction, MAX_RECEIVE, MediaConfig, MediaEvent, MediaSecurity, MediaSession,
    MediaUpdate, Payload, SourceLock,
};
use crate::sip::{SocketId, Transport};
use crate::time::{Duration, Instant};

/// How long a plain session follows the first source that it hears.
const LATCH: Duration = Duration::from_secs(5);

/// What a UDP socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SocketUse {
    Sip,
    Rtp(CallId),
    Rtcp(CallId),
}

impl Engine {
    pub(super) fn port_action(&mut self, action: PortAction) {
        self.host.push_back(match action {
            PortAction::Bind(socket, local) => HostAction::Bind(socket, local),
            PortAction::Close(socket) => HostAction::CloseUdp(socket),
        });
    }

    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        remote: SocketAddr,
        payload: &mut [u8],
    ) -> Result<(), InputError> {
        let (call, channel) = match self.sockets.get(socket) {
            None => return Err(InputError::UnknownSocket(socket)),
            Some(SocketUse::Sip) => {
                self.flows.handle_datagram(now, socket, remote, payload);
                self.deliver(now);
                return Ok(());
            }
            Some(SocketUse::Rtp(call)) => (*call, Channel::Rtp),
            Some(SocketUse::Rtcp(call)) => (*call, Channel::Rtcp),
        };
        match self.calls.get_mut(call).and_then(|e| e.session.as_mut()) {
            Some(session) => session.handle_datagram(now, channel, payload, remote),
            None => self.stats.stray_media = self.stats.stray_media.saturating_add(1),
        }
        Ok(())
    }

    pub(super) fn handle_bound(
        &mut self,
        socket: SocketId,
        local: SocketAddr,
    ) -> Result<(), InputError> {
        match self.sockets.get(socket) {
            None => Err(InputError::UnknownSocket(socket)),
            Some(SocketUse::Sip) => {
                self.flows.add_socket(socket, local);
                self.event(Event::Listening { transport: Transport::Udp, local });
                Ok(())
            }
            Some(SocketUse::Rtp(id) | SocketUse::Rtcp(id)) => {
                let id = *id;
                let Some(entry) = self.calls.get_mut(id) else { return Ok(()) };
                let Some(ports) = &mut entry.ports else { return Ok(()) };
                if ports.bound(socket, local) == PortProgress::Ready
                    && let Some((rtp, rtcp)) = ports.locals()
                {
                    entry.machine.media.set_locals(rtp, rtcp);
                    entry.ports_ready = true;
                    self.try_invite(id);
                    self.try_accept(self.now, id);
                }
                Ok(())
            }
        }
    }

    pub(super) fn handle_bind_failed(&mut self, socket: SocketId) -> Result<(), InputError> {
        match self.sockets.remove(socket) {
            None => Err(InputError::UnknownSocket(socket)),
            Some(SocketUse::Sip) => {
                self.event(Event::ListenFailed { transport: Transport::Udp });
                Ok(())
            }
            Some(SocketUse::Rtp(id) | SocketUse::Rtcp(id)) => {
                self.retry_ports(id);
                Ok(())
            }
        }
    }

    /// One port of a pair was taken: both are given back, another pair is tried.
    fn retry_ports(&mut self, id: CallId) {
        let Some(ports) = self.calls.get(id).and_then(|e| e.ports.as_ref()) else { return };
        let (progress, close) = (ports.bind_failed(), ports.close());
        for action in close {
            if let PortAction::Close(socket) = action
                && self.sockets.remove(socket).is_some()
            {
                self.port_action(action);
            }
        }
        if progress == PortProgress::Retry { self.bind_media(id) } else { self.media_failed(id) }
    }

    /// What the negotiations agreed on is carried out by the media sessions.
    /// True if there was any.
    pub(super) fn carry_out_plans(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for id in self.calls.ids() {
            let Some(plan) = self.calls.get_mut(id).and_then(|e| e.machine.media.take_plan())
            else {
                continue;
            };
            moved = true;
            let done = self.carry_out(now, id, &plan);
            let Some(entry) = self.calls.get_mut(id) else { continue };
            entry.note_media();
            if !done {
                entry.machine.fail(super::FailureReason::Negotiation("media refused".into()));
            }
        }
        moved
    }

    fn carry_out(&mut self, now: Instant, id: CallId, plan: &MediaPlan) -> bool {
        let unix = self.unix(now);
        let cname = self.token();
        let Some(entry) = self.calls.get_mut(id) else { return false };
        let agreed = &plan.agreed;
        let codec = agreed.codecs.iter().find(|c| {
            crate::media::codec::CodecId::from_rtpmap(&c.name, c.clock_rate) == Some(plan.codec)
        });
        let Some(codec) = codec else { return false };
        let send = Payload { payload_type: codec.send_payload_type, codec: plan.codec };
        // The peer may change between all codecs that were agreed (RFC 3264 §5.1).
        let receive: Vec<_> = agreed.codecs.iter().filter_map(received).take(MAX_RECEIVE).collect();
        let dtmf_send = agreed.dtmf.as_ref().map(|d| d.send_payload_type);
        let dtmf_receive = agreed.dtmf.as_ref().map(|d| d.receive_payload_type);
        let rtcp = agreed.remote_rtcp.unwrap_or(agreed.remote_rtp);
        let direction = direction(agreed.direction);
        if let Some(session) = &mut entry.session {
            let mut update = MediaUpdate::new()
                .direction(direction)
                .remote(agreed.remote_rtp, rtcp, agreed.rtcp_mux)
                .send(send)
                .receive(receive)
                .ptime_ms(u32::from(agreed.ptime.min(60)))
                .dtmf(dtmf_send, dtmf_receive);
            // The contexts of a stream that is SRTP go on, whatever keys change in them: new ones
            // would use indices of the old ones again.
            update = match (&plan.keys, session.suites()) {
                (Some((local, remote)), Some(_)) => update.keys(local.clone(), remote.clone()),
                _ => {
                    let Some(security) = security(plan) else { return false };
                    update.security(security)
                }
            };
            return session.handle_update(now, update).is_ok();
        }
        let Some(security) = security(plan) else { return false };
        let mut config = MediaConfig::new(send, agreed.remote_rtp, security);
        config.receive = receive;
        config.ptime_ms = u32::from(agreed.ptime.min(60));
        config.cname = cname;
        config.dtmf_send = dtmf_send;
        config.dtmf_receive = dtmf_receive;
        config.direction = direction;
        config.write_rate = entry.machine.options.sample_rate;
        config.read_rate = entry.machine.options.sample_rate;
        config.remote_rtcp = rtcp;
        config.rtcp_mux = agreed.rtcp_mux;
        config.wall_clock = unix;
        config.source_lock = SourceLock::LatchPlain(LATCH);
        match MediaSession::new(now, config, &mut self.rng) {
            Ok(session) => {
                entry.session = Some(session);
                true
            }
            Err(_) => false,
        }
    }

    /// Audio to send, at the call's sample rate; any number of samples.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, or it has no media.
    pub fn write_pcm(&mut self, now: Instant, id: CallId, pcm: &[i16]) -> Result<(), MediaError> {
        self.now = now;
        self.session(id)?.write_pcm(now, pcm);
        Ok(())
    }

    /// Fills `pcm` with what is to be heard now, at the call's sample rate.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, or it has no media (`pcm` is left alone).
    pub fn read_pcm(
        &mut self,
        now: Instant,
        id: CallId,
        pcm: &mut [i16],
    ) -> Result<(), MediaError> {
        self.session(id)?.read_pcm(now, pcm);
        Ok(())
    }

    pub(super) fn session(&mut self, id: CallId) -> Result<&mut MediaSession, MediaError> {
        let entry = self.calls.get_mut(id).ok_or(MediaError::UnknownCall(id))?;
        if entry.machine.media.is_stopped() {
            return Err(MediaError::NoMedia);
        }
        entry.session.as_mut().ok_or(MediaError::NoMedia)
    }

    /// Events of the media sessions, as the application's events.
    pub(super) fn media_events(&mut self) {
        for (call, entry) in self.calls.iter_mut() {
            while let Some(event) = entry.session.as_mut().and_then(MediaSession::poll_event) {
                let event = match event {
                    MediaEvent::Dtmf(digit) => Event::DtmfReceived { call, digit: digit.to_char() },
                    MediaEvent::NoMedia { reason } => Event::NoMedia { call, reason },
                    MediaEvent::MediaResumed => Event::MediaResumed { call },
                    _ => continue,
                };
                self.events.push(event);
            }
        }
    }
}

/// The protection of a plan: contexts for its keys, or the gate's permit to go without.
fn security(plan: &MediaPlan) -> Option<MediaSecurity> {
    match &plan.keys {
        Some((local, remote)) => Some(MediaSecurity::Srtp {
            sender: SrtpSender::with_keys(local).ok()?,
            receiver: SrtpReceiver::with_keys(remote).ok()?,
        }),
        None => plain_permit(plan.rule).map(MediaSecurity::Plain),
    }
}

fn received(codec: &crate::sdp::NegotiatedCodec) -> Option<Payload> {
    let id = crate::media::codec::CodecId::from_rtpmap(&codec.name, codec.clock_rate)?;
    Some(Payload { payload_type: codec.receive_payload_type, codec: id })
}

fn direction(agreed: crate::sdp::Direction) -> Direction {
    match agreed {
        crate::sdp::Direction::SendRecv => Direction::SendRecv,
        crate::sdp::Direction::SendOnly => Direction::SendOnly,
        crate::sdp::Direction::RecvOnly => Direction::RecvOnly,
        crate::sdp::Direction::Inactive => Direction::Inactive,
    }
}
