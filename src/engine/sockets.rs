//! UDP sockets: the one for SIP, and each call's pair for media; the media sessions behind them.

use core::net::SocketAddr;

use super::error::{InputError, MediaError};
use super::event::Event;
use super::ports::{PortAction, PortProgress};
use super::{CallId, Engine, HostAction};
use crate::crypto::dtls::is_dtls;
use crate::media::session::{
    Channel, EncodedFrame, Encoding, FrameToSend, MediaEvent, MediaSession,
};
use crate::sip::{SocketId, Transport};
use crate::time::Instant;

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
        // DTLS shares the port of RTP (RFC 7983).
        if channel == Channel::Rtp
            && is_dtls(payload)
            && let Some(entry) = self.calls.get_mut(call)
            && entry.handle_dtls(now, remote, payload)
        {
            self.deliver(now);
            return Ok(());
        }
        let entry = self.calls.get_mut(call);
        let away = entry.as_ref().is_some_and(|entry| entry.media.is_away());
        match entry.and_then(|entry| entry.media.here_mut()) {
            Some(session) => {
                session.handle_datagram(now, channel, payload, remote);
                self.note_new_keys(call);
            }
            None if away => self.stats.taken_media = self.stats.taken_media.saturating_add(1),
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
                    let moved = entry.media.is_away().then(|| Event::MediaSocketsChanged {
                        call: id,
                        rtp: ports.rtp(),
                        rtcp: ports.rtcp(),
                    });
                    entry.ports_ready = true;
                    moved.into_iter().for_each(|event| self.event(event));
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

    /// Audio to send, at the call's sample rate; any number of samples.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, it has no media, or it exchanges encoded frames.
    pub fn write_pcm(&mut self, now: Instant, id: CallId, pcm: &[i16]) -> Result<(), MediaError> {
        self.now = now;
        self.session(id)?.write_pcm(now, pcm).map_err(|_| MediaError::Encoded(id))
    }

    /// Fills `pcm` with what is to be heard now, at the call's sample rate: silence while an
    /// [`Event::SecurityChanged`] of the call waits to be polled.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, it has no media, or it exchanges encoded frames (`pcm` is left
    /// alone).
    pub fn read_pcm(
        &mut self,
        now: Instant,
        id: CallId,
        pcm: &mut [i16],
    ) -> Result<(), MediaError> {
        let untold = self.calls.get(id).is_some_and(|entry| entry.untold);
        match self.session(id)? {
            session if session.is_encoded() => return Err(MediaError::Encoded(id)),
            _ if untold => pcm.fill(0),
            session => session.read_pcm(now, pcm).map_err(|_| MediaError::Encoded(id))?,
        }
        Ok(())
    }

    /// What the host's decoder is to play next, of a call with encoded frames
    /// ([`CallOptions::encoded`](super::CallOptions::encoded)): each item once, in order. Ask when
    /// the one before has been played, by the clock of who plays it; the jitter buffer follows.
    /// `None`: nothing is to be heard now, ask again within a packet's time. So it is while an
    /// [`Event::SecurityChanged`] of the call waits to be polled. Allocates nothing.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, it has no media, or it exchanges PCM.
    pub fn read_frame(
        &mut self,
        now: Instant,
        id: CallId,
    ) -> Result<Option<EncodedFrame<'_>>, MediaError> {
        let untold = self.calls.get(id).is_some_and(|entry| entry.untold);
        let session = self.session(id)?;
        if untold && session.is_encoded() {
            return Ok(None);
        }
        Ok(session.read_frame(now)?)
    }

    /// A packet's worth of encoded audio to send, of a call with encoded frames. Write in real
    /// time, in silence too (with an empty payload): timestamps and key presses follow it.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, it has no media, or the frame is not what it takes.
    pub fn write_frame(
        &mut self,
        now: Instant,
        id: CallId,
        frame: &FrameToSend<'_>,
    ) -> Result<(), MediaError> {
        self.now = now;
        Ok(self.session(id)?.write_frame(now, frame)?)
    }

    /// In place of a frame of a call with encoded frames: nothing is said for so many samples, and
    /// the background sounds like this
    /// ([`MediaSession::write_comfort_noise`]).
    ///
    /// # Errors
    /// [`MediaError`]: no such call, it has no media, it exchanges PCM, or the far end takes no
    /// comfort noise.
    pub fn write_comfort_noise(
        &mut self,
        now: Instant,
        id: CallId,
        payload: &[u8],
        samples: usize,
    ) -> Result<(), MediaError> {
        self.now = now;
        Ok(self.session(id)?.write_comfort_noise(now, payload, samples)?)
    }

    /// What the encoder of a call has to do: for hosts that encode by themselves.
    /// [`Event::EncodingChanged`] tells when something else was agreed on.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, or it has no media.
    pub fn encoding(&mut self, id: CallId) -> Result<Encoding, MediaError> {
        Ok(self.session(id)?.encoding())
    }

    pub(super) fn session(&mut self, id: CallId) -> Result<&mut MediaSession, MediaError> {
        let entry = self.calls.get_mut(id).ok_or(MediaError::UnknownCall(id))?;
        if entry.machine.media.is_stopped() {
            return Err(MediaError::NoMedia);
        }
        if entry.media.is_away() {
            return Err(MediaError::Taken(id));
        }
        entry.media.here_mut().ok_or(MediaError::NoMedia)
    }

    /// Events of the media sessions, as the application's events.
    pub(super) fn media_events(&mut self) {
        for (call, entry) in self.calls.iter_mut() {
            while let Some(event) = entry.media.here_mut().and_then(MediaSession::poll_event) {
                let event = match event {
                    MediaEvent::Dtmf(digit) => Event::DtmfReceived { call, digit: digit.to_char() },
                    MediaEvent::NoMedia { reason } => Event::NoMedia { call, reason },
                    MediaEvent::MediaResumed => Event::MediaResumed { call },
                    MediaEvent::SendingResumed => Event::SendingResumed { call },
                    MediaEvent::EncodingChanged => Event::EncodingChanged { call },
                    MediaEvent::CircuitBreaker { reason } => Event::CircuitBreaker { call, reason },
                    _ => continue,
                };
                self.events.push(event);
            }
        }
    }
}
