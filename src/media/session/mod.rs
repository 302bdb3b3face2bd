//! One audio stream of a call: PCM on one side, protected packets on the other.
//!
//! Inputs are [`handle_datagram`](MediaSession::handle_datagram),
//! [`write_pcm`](MediaSession::write_pcm) and [`handle_timeout`](MediaSession::handle_timeout);
//! outputs are [`poll_transmit`](MediaSession::poll_transmit),
//! [`read_pcm`](MediaSession::read_pcm), [`poll_event`](MediaSession::poll_event) and
//! [`stats`](MediaSession::stats). After the start nothing is allocated per packet, but for
//! frames that one backend of Opus encodes or conceals
//! ([`OpusBackend::Port`](crate::media::codec::OpusBackend::Port)).
#![deny(clippy::arithmetic_side_effects)]

mod change;
mod config;
mod control;
mod dtmf;
mod encoded;
mod facts;
mod guard;
mod inbound;
mod outbound;
mod pauses;
mod processing;
mod quality;
mod receive;
mod redundancy;
mod stats;
mod taken;
mod timeline;
mod transmit;

pub(crate) use config::End;
pub use config::{
    BufferTooSmall, Direction, DtmfError, MAX_RECEIVE, MediaConfig, MediaConfigError,
    MediaSecurity, MediaUpdate, Payload, SourceLock,
};
pub use encoded::{EncodedFrame, Encoding, FrameError, FrameKind, FrameToSend, PcmError};
pub use redundancy::RedFault;
pub use stats::{MediaEvent, MediaStats, NoMediaReason, SrtpProgress};
pub(crate) use taken::MediaFacts;
pub use taken::MediaFeedback;

use crate::crypto::srtp::Egress;
use crate::media::breaker::CircuitBreaker;
use crate::media::jitter::JitterStats;
use crate::media::quality::FateHistory;
use crate::media::reception::Reception;
use crate::time::{Duration, Instant};
use crate::util::{BoundedQueue, Rng, RngExt, SeededRng};
use crate::wire::dtmf::Digit;
use change::latch_until;
use control::Control;
use core::net::SocketAddr;
use dtmf::DtmfReceiver;
use guard::Guard;
use inbound::{Inbound, Listener};
use outbound::{Coding, Outbound, check_payload_type};

/// No packet of a session is longer: give [`MediaSession::poll_transmit`] such a buffer.
pub const MAX_TRANSMIT: usize = 1_500;
/// Events that wait at most.
const MAX_EVENTS: usize = 64;

/// One of the two sockets of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// RTP (and RTCP, with rtcp-mux).
    Rtp,
    /// RTCP on a port of its own.
    Rtcp,
}

/// A packet to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'b> {
    /// From which socket.
    pub channel: Channel,
    /// To where.
    pub remote: SocketAddr,
    /// The packet, protected or permitted to be plain.
    pub packet: Egress<'b>,
}

/// The source that we hear.
#[derive(Debug)]
struct Remote {
    ssrc: u32,
    reception: Reception,
    /// What became of its packets.
    fates: FateHistory,
    /// Loss of earlier sources.
    lost_before: i64,
    /// What was heard of them.
    heard_before: JitterStats,
}

impl Remote {
    /// Packets that were lost of this source and of those before it.
    fn lost(&self) -> i64 {
        self.lost_before.saturating_add(self.reception.lost().into())
    }
}

/// Where packets go to and come from.
#[derive(Debug)]
struct Path {
    /// What the signalling says of `rtp`.
    signalled: SocketAddr,
    rtp: SocketAddr,
    rtcp: SocketAddr,
    mux: bool,
    lock: SourceLock,
    /// Plain packets of any source may latch until then.
    latch_until: Option<Instant>,
}

/// Watches for media that does not come.
#[derive(Debug)]
struct Watch {
    timeout: Duration,
    deadline: Instant,
    reported: bool,
    /// The last packet told of a pause of the peer.
    pause_told: bool,
    /// The statistics when the watch began.
    before: MediaStats,
}

/// An audio stream of a call. See the [module](self) for how it is driven.
#[derive(Debug)]
pub struct MediaSession {
    ssrc: u32,
    sequence: u16,
    direction: Direction,
    outbound: Outbound,
    inbound: Inbound,
    guard: Guard,
    path: Path,
    control: Control,
    remote: Option<Remote>,
    /// Another source that is not believed yet.
    candidate: Option<Remote>,
    dtmf_receive: Vec<u8>,
    red_receive: Vec<u8>,
    dtmf: DtmfReceiver,
    watch: Watch,
    events: BoundedQueue<MediaEvent>,
    counters: MediaStats,
    /// Payload bytes sent under this SSRC.
    octets: u64,
    /// Packets sent under former SSRCs of ours.
    sent_before: u64,
    closed: bool,
    /// The call that it was taken from.
    link: Option<taken::Link>,
    /// An update of its call that could not be applied.
    failed: Option<MediaConfigError>,
    send_blocked: bool,
    collisions: u8,
    breaker: CircuitBreaker,
    breaker_on: bool,
    rtcp_xr: bool,
}

impl MediaSession {
    /// Starts a session. `rng` gives the SSRC, the first sequence number and timestamp, and the
    /// seed of RTCP's timing.
    ///
    /// # Errors
    /// [`MediaConfigError`], which names what to change.
    pub fn new(
        now: Instant,
        config: MediaConfig,
        rng: &mut dyn Rng,
    ) -> Result<Self, MediaConfigError> {
        if config.cname.len() > 255 {
            return Err(MediaConfigError::CnameTooLong(config.cname.len()));
        }
        let events = config.dtmf_send.iter().chain(&config.dtmf_receive);
        for payload_type in events
            .chain(&config.red_send)
            .chain(&config.red_receive)
            .chain(&config.comfort_noise_send)
            .chain(&config.comfort_noise_receive)
        {
            check_payload_type(*payload_type)?;
        }
        let first_timestamp = rng.next_u32();
        let (tuning, backend, encoded) = (config.tuning, config.opus_backend, config.encoded);
        let coding = Coding { tuning, backend, encoded };
        let listener =
            if encoded { Listener::Encoded } else { Listener::Pcm(config.read_rate, backend) };
        let (rate, ptime_ms) = (config.write_rate, config.ptime_ms);
        let mut outbound = Outbound::new(config.send, ptime_ms, rate, first_timestamp, coding)?;
        outbound.set_dtmf_payload_type(config.dtmf_send);
        outbound.set_red_payload_type(config.red_send);
        outbound.set_comfort_noise(config.comfort_noise_send);
        outbound.set_sending(config.direction.sends());
        let mut breaker = CircuitBreaker::new(now);
        breaker.restart(now, config.direction.sends());
        outbound.voice.set_render_rate(config.read_rate);
        if !encoded {
            outbound.voice.configure(config.processing);
        }
        let latch_until = latch_until(now, config.source_lock);
        let mut inbound = Inbound::new(&config.receive, listener)?;
        inbound.set_comfort_noise(&config.comfort_noise_receive);
        Ok(Self {
            ssrc: config.ssrc.unwrap_or_else(|| rng.next_u32()),
            // Below 2^15, so that no receiver misses the first wrap (RFC 3711 §3.3.1).
            sequence: rng.next_u16() & 0x7fff,
            direction: config.direction,
            outbound,
            inbound,
            guard: Guard::new(config.security),
            path: Path {
                signalled: config.remote_rtp,
                rtp: config.remote_rtp,
                rtcp: if config.rtcp_mux { config.remote_rtp } else { config.remote_rtcp },
                mux: config.rtcp_mux,
                lock: config.source_lock,
                latch_until,
            },
            control: Control::new(
                now,
                config.wall_clock,
                config.cname,
                SeededRng::new(rng.next_u64()),
            ),
            remote: None,
            candidate: None,
            dtmf_receive: config.dtmf_receive,
            red_receive: config.red_receive,
            dtmf: DtmfReceiver::default(),
            watch: Watch {
                timeout: config.no_media_timeout,
                deadline: now + config.no_media_timeout,
                reported: false,
                pause_told: false,
                before: MediaStats::default(),
            },
            events: BoundedQueue::with_capacity(MAX_EVENTS),
            counters: MediaStats::default(),
            octets: 0,
            sent_before: 0,
            closed: false,
            link: None,
            failed: None,
            send_blocked: false,
            collisions: 0,
            breaker,
            breaker_on: config.circuit_breaker,
            rtcp_xr: config.rtcp_xr,
        })
    }

    /// Takes PCM at the host's rate, any number of samples, to be encoded and sent. Write in real
    /// time (10 or 20 ms at once are usual): each full packet waits for
    /// [`poll_transmit`](Self::poll_transmit), and only sixteen packets wait.
    ///
    /// # Errors
    /// [`PcmError::Encoded`]; nothing is sent.
    pub fn write_pcm(&mut self, now: Instant, pcm: &[i16]) -> Result<(), PcmError> {
        if self.is_encoded() {
            return Err(PcmError::Encoded);
        }
        if !self.closed {
            self.outbound.write(now, pcm);
        }
        Ok(())
    }

    /// Fills `pcm` with what is to be heard now, at the host's rate. Silence if nothing is.
    ///
    /// # Errors
    /// [`PcmError::Encoded`]; `pcm` is left alone.
    pub fn read_pcm(&mut self, now: Instant, pcm: &mut [i16]) -> Result<(), PcmError> {
        if self.is_encoded() {
            return Err(PcmError::Encoded);
        }
        if self.closed || !self.direction.receives() {
            pcm.fill(0);
        } else {
            self.inbound.read(now, pcm);
        }
        self.outbound.voice.render(pcm);
        Ok(())
    }

    /// Silences what is sent without the peer noticing more than silence; packets go on. It fades
    /// out and in within 10 ms. With encoded frames nothing is sent meanwhile.
    pub fn set_muted(&mut self, muted: bool) {
        self.outbound.gain_mut().set_muted(muted);
    }

    /// How much louder what is sent is than what was written, in dB: up to +24, what is too loud
    /// saturates; -90 or less is silence. A change takes 10 ms. Encoded frames are not changed.
    pub fn set_send_gain(&mut self, db: f32) {
        self.outbound.gain_mut().set_db(db);
    }

    /// The gain of what is sent, dB.
    pub fn send_gain(&self) -> f32 {
        self.outbound.gain().db()
    }

    /// How much louder what is heard is than what came, in dB, as
    /// [`set_send_gain`](Self::set_send_gain).
    pub fn set_receive_gain(&mut self, db: f32) {
        self.inbound.gain_mut().set_db(db);
    }

    /// The gain of what is heard, dB.
    pub fn receive_gain(&self) -> f32 {
        self.inbound.gain().db()
    }

    /// The SSRC of what we send.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// True if what is sent is silenced.
    pub fn is_muted(&self) -> bool {
        self.outbound.gain().is_muted()
    }

    /// Sends a key press as RTP events in place of audio (RFC 4733), after those that wait.
    ///
    /// # Errors
    /// [`DtmfError`] says why it cannot be sent.
    pub fn send_dtmf(&mut self, digit: Digit, duration: Duration) -> Result<(), DtmfError> {
        let clock_rate = self.outbound.payload().codec.description().clock_rate;
        let stopped = self.closed || self.breaker.tripped().is_some();
        let sending = self.direction.sends() && !stopped;
        let dtmf = self.outbound.dtmf().ok_or(DtmfError::NotNegotiated)?;
        if !sending {
            return Err(DtmfError::NotSending);
        }
        dtmf.push(digit, duration, clock_rate)
    }

    /// Ends the session: an RTCP BYE leaves with the next polls, nothing else any more.
    pub fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.outbound.set_sending(false);
            self.control.leave(self.sent());
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` once closed.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let watch =
            (self.direction.receives() && !self.watch.reported).then_some(self.watch.deadline);
        let breaker = self.breaker.next_timeout().filter(|_| self.breaker_on);
        let timers = [watch, breaker, self.guard.next_timeout(), Some(self.control.due())];
        timers.into_iter().flatten().min()
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.control.handle_timeout(now);
        self.guard.handle_timeout(now);
        if self.breaker_on {
            let reason = self.breaker.handle_timeout(now);
            self.break_circuit(reason);
        }
        if self.direction.receives() && !self.watch.reported && now >= self.watch.deadline {
            self.watch.reported = true;
            let reason = self.diagnose();
            self.events.push(MediaEvent::NoMedia { reason });
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests;
