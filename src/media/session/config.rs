//! What a media session is told: at its start, and when the call is renegotiated.

use crate::crypto::srtp::{KeyError, KeySet, PlainPermit, SrtpReceiver, SrtpSender};
use crate::media::codec::{CodecId, EncoderTuning, OpusBackend};
use crate::media::dsp::ProcessingConfig;
use crate::media::resample::UnsupportedRate;
use crate::time::{Duration, UnixTime};
use core::net::SocketAddr;

/// Which way media flows, from our side (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send only: the peer is on hold, or we play announcements.
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Neither. RTCP goes on.
    Inactive,
}

impl Direction {
    /// Whether we send.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether we receive.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// How packets are protected.
#[allow(clippy::large_enum_variant)] // one per session, moved twice
#[derive(Debug)]
pub enum MediaSecurity {
    /// SRTP and SRTCP both ways. Whatever does not authenticate is dropped.
    Srtp {
        /// For what goes out.
        sender: SrtpSender,
        /// For what comes in.
        receiver: SrtpReceiver,
    },
    /// RTP in clear, as the policy permits.
    Plain(PlainPermit),
}

/// From where packets are taken (symmetric RTP, RFC 4961).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceLock {
    /// From the signalled address only.
    Signalled,
    /// With SRTP: from wherever an authenticated packet comes, which moves the address that we send
    /// to as well. Plain packets are taken from the signalled address only.
    Authenticated,
    /// As `Authenticated` with SRTP. Plain: the first source within this time after the start (or
    /// after an update of the address) is taken for the peer, for phones behind NAT, unless the
    /// signalled address speaks: that one always wins, later too. An attacker who is faster than
    /// a phone behind NAT is taken for the peer.
    LatchPlain(Duration),
}

/// A payload type and its codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Payload type, 0 to 127, as negotiated.
    pub payload_type: u8,
    /// The codec.
    pub codec: CodecId,
}

/// The start of a [`MediaSession`](super::MediaSession).
#[derive(Debug)]
pub struct MediaConfig {
    /// Our SSRC; drawn at random if `None`.
    pub ssrc: Option<u32>,
    /// Canonical name for RTCP: random, never a user's address (RFC 7022). At most 255 bytes.
    pub cname: String,
    /// What we send.
    pub send: Payload,
    /// What we take; each entry has an audio codec. At most [`MAX_RECEIVE`].
    pub receive: Vec<Payload>,
    /// Payload type of the DTMF events that we send.
    pub dtmf_send: Option<u8>,
    /// Payload types of the DTMF events that we take: one for each RTP clock of the codecs.
    pub dtmf_receive: Vec<u8>,
    /// Payload type of the redundant audio (RFC 2198) that we send while packets are lost: each one
    /// carries the frame before it once more.
    pub red_send: Option<u8>,
    /// Payload types of the redundant audio that we take: one for each RTP clock of the codecs.
    pub red_receive: Vec<u8>,
    /// Payload type of the comfort noise (RFC 3389) that is sent in pauses, if
    /// [`EncoderTuning::dtx`] is on and the RTP clock of the codec is that of comfort noise, 8 kHz.
    pub comfort_noise_send: Option<u8>,
    /// Payload types of the comfort noise that we take, with an RTP clock of 8 kHz. Its spectrum is
    /// that of audio at the rate of the codec beside it: up to 8 kHz beside G.722.
    pub comfort_noise_receive: Vec<u8>,
    /// Packet length in ms: 10 to 60, a multiple of 10; with Opus 10, 20, 40, 60, 80, 100 or 120;
    /// with L16 at 16 kHz up to 40, at 48 kHz 10.
    pub ptime_ms: u32,
    /// How the encoder works. The loss that the peer reports is expected beside the one given here;
    /// the bitrate is the highest: while the round trip shows a queue less is sent.
    pub tuning: EncoderTuning,
    /// Which implementation of Opus is used; `None`: the preferred one of this build.
    pub opus_backend: Option<OpusBackend>,
    /// The host decodes and encodes, and exchanges frames
    /// ([`read_frame`](super::MediaSession::read_frame),
    /// [`write_frame`](super::MediaSession::write_frame)) in place of PCM: then the rates, the
    /// processing and the backend do not matter, and codecs that this build does not have will do.
    pub encoded: bool,
    /// Which way media flows.
    pub direction: Direction,
    /// Rate of [`write_pcm`](super::MediaSession::write_pcm), in Hz.
    pub write_rate: u32,
    /// Rate of [`read_pcm`](super::MediaSession::read_pcm), in Hz.
    pub read_rate: u32,
    /// What is done to the PCM written before it is sent. Off unless changed.
    pub processing: ProcessingConfig,
    /// Keys, or the permit to go without.
    pub security: MediaSecurity,
    /// Where the peer receives RTP, as signalled.
    pub remote_rtp: SocketAddr,
    /// Where the peer receives RTCP; ignored with `rtcp_mux`.
    pub remote_rtcp: SocketAddr,
    /// RTP and RTCP share one port (RFC 5761).
    pub rtcp_mux: bool,
    /// From where packets are taken.
    pub source_lock: SourceLock,
    /// The wall clock at the start, for RTCP's sender reports.
    pub wall_clock: UnixTime,
    /// No packet for this long while we receive is reported as an event.
    pub no_media_timeout: Duration,
    /// Sending stops when it harms the network (RFC 8083).
    pub circuit_breaker: bool,
    /// The quality of what is heard goes to the peer with each RTCP packet (RFC 3611 §4.7).
    pub rtcp_xr: bool,
}

/// The RTP clock of comfort noise, in Hz: no codec of another one has it here.
pub(super) const COMFORT_NOISE_CLOCK: u32 = 8_000;
/// Payload types that one session takes at most.
pub const MAX_RECEIVE: usize = 8;

impl MediaConfig {
    /// A session with one codec both ways, 20 ms packets, host rates of the codec, and rtcp-mux.
    pub fn new(payload: Payload, remote: SocketAddr, security: MediaSecurity) -> Self {
        let rate = payload.codec.description().sample_rate;
        Self {
            ssrc: None,
            cname: String::new(),
            send: payload,
            receive: vec![payload],
            dtmf_send: None,
            dtmf_receive: Vec::new(),
            red_send: None,
            red_receive: Vec::new(),
            comfort_noise_send: None,
            comfort_noise_receive: Vec::new(),
            ptime_ms: 20,
            tuning: EncoderTuning::default(),
            opus_backend: None,
            encoded: false,
            direction: Direction::SendRecv,
            write_rate: rate,
            read_rate: rate,
            processing: ProcessingConfig::OFF,
            security,
            remote_rtp: remote,
            remote_rtcp: remote,
            rtcp_mux: true,
            source_lock: SourceLock::Authenticated,
            wall_clock: UnixTime::default(),
            no_media_timeout: Duration::from_secs(10),
            circuit_breaker: true,
            rtcp_xr: true,
        }
    }
}

/// A renegotiation, made where the call is and applied where the session is (perhaps on another
/// thread). What is not set stays as it is.
#[derive(Debug, Default)]
pub struct MediaUpdate {
    pub(super) direction: Option<Direction>,
    pub(super) remote: Option<(SocketAddr, SocketAddr, bool)>,
    pub(super) security: Option<MediaSecurity>,
    /// Ours, theirs, and whether the peer must first hear of ours by our answer.
    pub(super) keys: Option<(KeySet, KeySet, bool)>,
    pub(super) send: Option<Payload>,
    pub(super) receive: Option<Vec<Payload>>,
    pub(super) dtmf: Option<(Option<u8>, Vec<u8>)>,
    pub(super) red: Option<(Option<u8>, Vec<u8>)>,
    pub(super) comfort_noise: Option<(Option<u8>, Vec<u8>)>,
    pub(super) ptime_ms: Option<u32>,
    pub(super) processing: Option<ProcessingConfig>,
    pub(super) tuning: Option<EncoderTuning>,
    pub(super) end: Option<End>,
    /// The mark of the call that it is for, and its number.
    pub(super) number: Option<(u64, u32)>,
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an RTCP BYE.
    Goodbye,
    /// Without a word.
    Silence,
}

impl MediaUpdate {
    /// An update that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another direction (hold, resume).
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }

    /// Other addresses of the peer, and whether RTCP shares the port.
    pub fn remote(mut self, rtp: SocketAddr, rtcp: SocketAddr, rtcp_mux: bool) -> Self {
        self.remote = Some((rtp, rtcp, rtcp_mux));
        self
    }

    /// Another protection: the first keys of a stream that was plain, or none any more.
    pub fn security(mut self, security: MediaSecurity) -> Self {
        self.security = Some(security);
        self
    }

    /// The keys of both directions, ours and theirs, for a stream that has SRTP contexts already:
    /// what is the same goes on, what is new begins at the next packet, and the peer's old key is
    /// still taken for a while. The contexts are the stream's own, so that no index is used twice.
    pub fn keys(mut self, local: KeySet, remote: KeySet) -> Self {
        self.keys = Some((local, remote, false));
        self
    }

    /// The same where we answered an offer with new keys: ours begin once a packet under the peer's
    /// new ones shows that our answer has arrived, a second later at most.
    pub fn answered_keys(mut self, local: KeySet, remote: KeySet) -> Self {
        self.keys = Some((local, remote, true));
        self
    }

    /// Another codec to send.
    pub fn send(mut self, payload: Payload) -> Self {
        self.send = Some(payload);
        self
    }

    /// Other payload types to take.
    pub fn receive(mut self, payloads: Vec<Payload>) -> Self {
        self.receive = Some(payloads);
        self
    }

    /// Other payload types for DTMF, to send and to take.
    pub fn dtmf(mut self, send: Option<u8>, receive: Vec<u8>) -> Self {
        self.dtmf = Some((send, receive));
        self
    }

    /// Other payload types for redundant audio, to send and to take.
    pub fn red(mut self, send: Option<u8>, receive: Vec<u8>) -> Self {
        self.red = Some((send, receive));
        self
    }

    /// Other payload types for comfort noise, to send and to take.
    pub fn comfort_noise(mut self, send: Option<u8>, receive: Vec<u8>) -> Self {
        self.comfort_noise = Some((send, receive));
        self
    }

    /// Other parts of the processing of what is sent.
    pub fn processing(mut self, config: ProcessingConfig) -> Self {
        self.processing = Some(config);
        self
    }

    /// The end of the session, after all else.
    pub(crate) fn end(mut self, end: End) -> Self {
        self.end = Some(end);
        self
    }

    /// For the session with this mark; numbers go up by one.
    pub(crate) fn numbered(mut self, tag: u64, number: u32) -> Self {
        self.number = Some((tag, number));
        self
    }

    /// This one and then a later one, as one.
    pub(crate) fn then(self, later: Self) -> Self {
        let anew = later.security.is_some();
        Self {
            direction: later.direction.or(self.direction),
            remote: later.remote.or(self.remote),
            security: later.security.or(self.security),
            // Keys change the contexts that they find: those of an earlier protection are gone.
            keys: later.keys.or(self.keys.filter(|_| !anew)),
            send: later.send.or(self.send),
            receive: later.receive.or(self.receive),
            dtmf: later.dtmf.or(self.dtmf),
            red: later.red.or(self.red),
            comfort_noise: later.comfort_noise.or(self.comfort_noise),
            ptime_ms: later.ptime_ms.or(self.ptime_ms),
            processing: later.processing.or(self.processing),
            tuning: later.tuning.or(self.tuning),
            end: later.end.or(self.end),
            number: None,
        }
    }

    /// Other settings of the encoder.
    pub fn tuning(mut self, tuning: EncoderTuning) -> Self {
        self.tuning = Some(tuning);
        self
    }

    /// Another packet length in ms.
    pub fn ptime_ms(mut self, ptime_ms: u32) -> Self {
        self.ptime_ms = Some(ptime_ms);
        self
    }
}

/// Why a session cannot be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaConfigError {
    /// A host rate that the resampler does not have.
    #[error(transparent)]
    Rate(#[from] UnsupportedRate),
    /// The codec has no audio (telephone-event among the audio payloads), or this build has none
    /// of it (Opus).
    #[error(
        "{0:?} carries no audio here: events belong in dtmf_send and dtmf_receive, Opus needs its feature"
    )]
    NoAudio(CodecId),
    /// A payload type above 127, or one that collides with RTCP (64 to 95).
    #[error("payload type {0} cannot be used: take 0 to 63 or 96 to 127")]
    PayloadType(u8),
    /// No payload types to receive, or too many.
    #[error("{0} payload types to receive: give 1 to 8")]
    ReceiveCount(usize),
    /// The packet length is out of range.
    #[error(
        "packets of {0} ms: give 10, 20, 30, 40, 50 or 60 (Opus: 10, 20, 40, 60, 80, 100 or 120; L16 at 16 kHz up to \
         40, at 48 kHz 10)"
    )]
    Ptime(u32),
    /// New keys that the contexts refuse: used before, or of another kind.
    #[error("the keys cannot be used: {0}")]
    Keys(#[from] KeyError),
    /// Keys for a stream that has no SRTP contexts: give its protection whole.
    #[error("the stream is plain: keys alone do not protect it")]
    NotSrtp,
    /// An update for another session.
    #[error("the update is for another session: give each to the session of its call")]
    ForeignUpdate,
    /// An update before this one was not applied.
    #[error("an update is missing: apply each of them, in order")]
    MissedUpdate,
    /// The canonical name does not fit RTCP.
    #[error("the CNAME has {0} bytes: at most 255 fit")]
    CnameTooLong(usize),
}

/// Why a DTMF digit cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DtmfError {
    /// The peer did not offer telephone-event.
    #[error("the peer takes no DTMF events (no telephone-event was negotiated)")]
    NotNegotiated,
    /// We do not send now.
    #[error("the call is on hold or receives only: resume it first")]
    NotSending,
    /// Too short or too long.
    #[error("a digit must last 40 ms to 6 s")]
    Duration,
    /// Too many digits wait.
    #[error("32 digits wait already: send more when they are out")]
    QueueFull,
}

/// The buffer given to [`poll_transmit`](super::MediaSession::poll_transmit) is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the buffer is too small: {needed} bytes are needed")]
pub struct BufferTooSmall {
    /// Bytes needed.
    pub needed: usize,
}
