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

mod config;
mod control;
mod dtmf;
mod guard;
mod inbound;
mod outbound;
mod processing;
mod quality;
mod receive;
mod stats;
mod taken;
mod timeline;

pub(crate) use config::End;
pub use config::{
    BufferTooSmall, Direction, DtmfError, MAX_RECEIVE, MediaConfig, MediaConfigError,
    MediaSecurity, MediaUpdate, Payload, SourceLock,
};
pub use stats::{MediaEvent, MediaStats, NoMediaReason, SrtpProgress};
pub(crate) use taken::MediaFacts;
pub use taken::MediaFeedback;

use crate::crypto::srtp::{Egress, MasterKeyId, Suite};
use crate::media::breaker::CircuitBreaker;
use crate::media::quality::FateHistory;
use crate::media::reception::Reception;
use crate::time::{Duration, Instant};
use crate::util::{BoundedQueue, Rng, RngExt, SeededRng};
use crate::wire::dtmf::Digit;
use crate::wire::rtp::RtpHeaderFields;
use control::{Control, Sent};
use core::net::SocketAddr;
use dtmf::DtmfReceiver;
use guard::{Guard, Protocol};
use inbound::Inbound;
use outbound::{Outbound, check_payload_type};

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
        for payload_type in config.dtmf_send.iter().chain(&config.dtmf_receive) {
            check_payload_type(*payload_type)?;
        }
        let first_timestamp = rng.next_u32();
        let coding = (config.tuning, config.opus_backend);
        let (rate, ptime_ms) = (config.write_rate, config.ptime_ms);
        let mut outbound = Outbound::new(config.send, ptime_ms, rate, first_timestamp, coding)?;
        outbound.set_dtmf_payload_type(config.dtmf_send);
        outbound.set_sending(config.direction.sends());
        let mut breaker = CircuitBreaker::new(now);
        breaker.restart(now, config.direction.sends());
        outbound.voice.set_render_rate(config.read_rate);
        outbound.voice.configure(config.processing);
        let latch_until = latch_until(now, config.source_lock);
        Ok(Self {
            ssrc: config.ssrc.unwrap_or_else(|| rng.next_u32()),
            // Below 2^15, so that no receiver misses the first wrap (RFC 3711 §3.3.1).
            sequence: rng.next_u16() & 0x7fff,
            direction: config.direction,
            outbound,
            inbound: Inbound::new(&config.receive, config.read_rate, config.opus_backend)?,
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
            dtmf: DtmfReceiver::default(),
            watch: Watch {
                timeout: config.no_media_timeout,
                deadline: now + config.no_media_timeout,
                reported: false,
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
    pub fn write_pcm(&mut self, now: Instant, pcm: &[i16]) {
        if !self.closed {
            self.outbound.write(now, pcm);
        }
    }

    /// Fills `pcm` with what is to be heard now, at the host's rate. Silence if nothing is.
    pub fn read_pcm(&mut self, now: Instant, pcm: &mut [i16]) {
        if self.closed || !self.direction.receives() {
            pcm.fill(0);
        } else {
            self.inbound.read(now, pcm);
        }
        self.outbound.voice.render(pcm);
    }

    /// Silences what is sent without the peer noticing more than silence; packets go on. It fades
    /// out and in within 10 ms.
    pub fn set_muted(&mut self, muted: bool) {
        self.outbound.gain_mut().set_muted(muted);
    }

    /// How much louder what is sent is than what was written, in dB: up to +24, what is too loud
    /// saturates; -90 or less is silence. A change takes 10 ms.
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

    fn apply(&mut self, now: Instant, update: MediaUpdate) -> Result<(), MediaConfigError> {
        for payload_type in update.dtmf.iter().flat_map(|(a, b)| a.iter().chain(b.iter())) {
            check_payload_type(*payload_type)?;
        }
        let send = update.send.unwrap_or(self.outbound.payload());
        let ptime_ms = update.ptime_ms.unwrap_or(self.outbound.ptime_ms());
        self.outbound.change(send, ptime_ms, update.tuning.unwrap_or(self.outbound.tuning()))?;
        if let Some(payloads) = update.receive {
            self.inbound.change(&payloads)?;
        }
        if let Some((send, receive)) = update.dtmf {
            self.outbound.set_dtmf_payload_type(send);
            self.dtmf_receive = receive;
        }
        if let Some(security) = update.security {
            self.guard.change(security);
            self.send_blocked = false;
        }
        if let Some((local, remote, answered)) = update.keys {
            if !self.guard.rekey(now, &local, &remote, answered)? {
                return Err(MediaConfigError::NotSrtp);
            }
            self.send_blocked = false;
        }
        if let Some((rtp, rtcp, mux)) = update.remote {
            let elsewhere = self.path.signalled != rtp;
            let stopped = self.breaker.tripped().is_some();
            if stopped && (elsewhere || self.breaker.may_restart(now)) {
                self.begin_sending(now);
            }
            self.path.rtp = rtp;
            self.path.signalled = rtp;
            self.path.rtcp = if mux { rtp } else { rtcp };
            self.path.mux = mux;
            self.path.latch_until = latch_until(now, self.path.lock);
        }
        if let Some(processing) = update.processing {
            self.set_processing(processing);
        }
        if let Some(direction) = update.direction {
            self.set_direction(now, direction);
        }
        Ok(())
    }

    /// Changes which way media flows: hold, resume.
    pub fn set_direction(&mut self, now: Instant, direction: Direction) {
        if direction.receives() != self.direction.receives() {
            self.inbound.reset();
            self.rewatch(now);
        }
        let before = core::mem::replace(&mut self.direction, direction);
        if before.sends() != direction.sends() && self.breaker.may_restart(now) {
            self.begin_sending(now);
        }
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

    /// Writes the next packet to be sent into `buffer`, which has at least [`MAX_TRANSMIT`] bytes.
    /// Call it until it gives `None`.
    ///
    /// # Errors
    /// [`BufferTooSmall`]; nothing is lost.
    pub fn poll_transmit<'b>(
        &mut self,
        now: Instant,
        buffer: &'b mut [u8],
    ) -> Result<Option<Transmit<'b>>, BufferTooSmall> {
        if buffer.len() < MAX_TRANSMIT {
            return Err(BufferTooSmall { needed: MAX_TRANSMIT });
        }
        if self.outbound.queued() > 0 {
            return Ok(self.transmit_rtp(buffer));
        }
        if self.control.pending() {
            return Ok(self.transmit_rtcp(now, buffer));
        }
        Ok(None)
    }

    fn transmit_rtp<'b>(&mut self, buffer: &'b mut [u8]) -> Option<Transmit<'b>> {
        let (head, payload) = self.outbound.pop()?;
        let fields = RtpHeaderFields {
            marker: head.marker,
            payload_type: head.payload_type,
            sequence_number: self.sequence,
            timestamp: head.timestamp,
            ssrc: self.ssrc,
            ..RtpHeaderFields::default()
        };
        let octets = payload.len() as u64;
        let len = fields.write_packet(payload, 0, buffer).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        match self.guard.protect(Protocol::Rtp, buffer, len) {
            Ok(packet) => {
                self.octets = self.octets.wrapping_add(octets);
                self.breaker.sent(packet.bytes().len());
                self.counters.packets_sent = self.counters.packets_sent.saturating_add(1);
                self.counters.bytes_sent =
                    self.counters.bytes_sent.saturating_add(packet.bytes().len() as u64);
                Some(Transmit { channel: Channel::Rtp, remote: self.path.rtp, packet })
            }
            Err(_) => {
                self.counters.protect_failures = self.counters.protect_failures.saturating_add(1);
                if !self.send_blocked {
                    self.send_blocked = true;
                    self.events.push(MediaEvent::SendBlocked);
                }
                None
            }
        }
    }

    /// What was sent under the SSRC in use.
    fn sent(&self) -> Sent {
        Sent {
            ssrc: self.ssrc,
            packets: self.counters.packets_sent.saturating_sub(self.sent_before),
            octets: self.octets,
        }
    }

    fn transmit_rtcp<'b>(&mut self, now: Instant, buffer: &'b mut [u8]) -> Option<Transmit<'b>> {
        let (sent, timestamp) = (self.sent(), self.outbound.timestamp_at(now));
        let voip = if self.rtcp_xr { self.voip_metrics() } else { None };
        let received = self.remote.as_mut().map(|r| (r.ssrc, &mut r.reception));
        let len = self.control.write(now, sent, timestamp, received, voip, buffer).ok()?;
        let channel = if self.path.mux { Channel::Rtp } else { Channel::Rtcp };
        match self.guard.protect(Protocol::Rtcp, buffer, len) {
            Ok(packet) => Some(Transmit { channel, remote: self.path.rtcp, packet }),
            Err(_) => {
                self.counters.protect_failures = self.counters.protect_failures.saturating_add(1);
                None
            }
        }
    }

    /// True if [`poll_transmit`](Self::poll_transmit) has something to send.
    pub fn has_output(&self) -> bool {
        self.outbound.queued() > 0 || self.control.pending()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop()
    }

    /// Statistics so far.
    pub fn stats(&self) -> MediaStats {
        let jitter = self.inbound.jitter().stats();
        let remote = self.remote.as_ref();
        let reported = self.control.remote();
        MediaStats {
            rtcp_sent: self.control.sent,
            rtcp_received: self.control.received,
            lost: remote.map_or(0, Remote::lost),
            fraction_lost: remote
                .map_or(0.0, |r| f32::from(r.reception.last_fraction_lost()) / 256.0),
            jitter: remote.map_or(Duration::ZERO, |r| r.reception.jitter_duration()),
            rtt: self.control.rtt(),
            remote_lost: reported.map_or(0, |r| r.cumulative_lost.into()),
            remote_fraction_lost: reported.map_or(0.0, |r| f32::from(r.fraction_lost) / 256.0),
            bad_payload: self.inbound.bad_payloads(),
            late: jitter.late,
            duplicate: jitter.duplicate,
            reordered: jitter.reordered,
            concealed_frames: jitter.concealed_frames,
            concealed: self.inbound.jitter().concealed(),
            concealment_events: jitter.concealment_events,
            shrunk: self.inbound.shrunk(),
            stretched: self.inbound.stretched(),
            jitter_overflow: jitter.overflowed,
            send_overflow: self.outbound.dropped(),
            events_dropped: self.events.dropped(),
            buffer_level: self.inbound.jitter().level().saturating_add(self.inbound.ready()),
            buffer_target: self.inbound.jitter().target(),
            buffer_delay: jitter.mean_delay(),
            level_sent: stats::dbfs(self.outbound.level()),
            level_received: stats::dbfs(self.inbound.level()),
            quality: self.quality(),
            remote_quality: self.control.remote_voip(),
            circuit_breaker: self.circuit_breaker(),
            ..self.counters
        }
    }

    /// Our SSRC.
    pub fn local_ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The peer's SSRC, once heard.
    pub fn remote_ssrc(&self) -> Option<u32> {
        self.remote.as_ref().map(|r| r.ssrc)
    }

    /// Where RTP goes to now.
    pub fn remote_rtp(&self) -> SocketAddr {
        self.path.rtp
    }

    /// The SRTP suites of what we send and of what we take; `None` if the stream is plain.
    pub fn suites(&self) -> Option<(Suite, Suite)> {
        self.guard.suites()
    }

    /// Whether RTCP is encrypted and authenticated: what we send, all that we take.
    pub fn rtcp_encrypted(&self) -> (bool, bool) {
        self.guard.rtcp_encrypted()
    }

    /// How often the keys were changed: of what we send, of what we take; `None` if plain.
    pub fn key_generations(&self) -> Option<(u32, u32)> {
        self.guard.generations()
    }

    pub(crate) fn key_ids(&self) -> (Option<MasterKeyId>, Option<MasterKeyId>) {
        self.guard.key_ids()
    }

    /// How far the key that we send with has come; `None` if plain, or before the first packet.
    pub fn srtp_progress(&self) -> Option<SrtpProgress> {
        self.guard.progress(self.ssrc)
    }

    /// The lifetime of a key nears its end: agree on new ones.
    pub fn rekey_due(&self) -> bool {
        self.guard.rekey_due()
    }

    /// Which way media flows.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// What we send now.
    pub fn sending_codec(&self) -> Payload {
        self.outbound.payload()
    }
}

fn latch_until(now: Instant, lock: SourceLock) -> Option<Instant> {
    match lock {
        SourceLock::LatchPlain(window) => Some(now + window),
        SourceLock::Signalled | SourceLock::Authenticated => None,
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests;
