//! The values of a session description.

use super::{CryptoAttribute, Fingerprint, Setup};
use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

/// A session description (RFC 4566 §5), reduced to what a telephone negotiates.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionDescription {
    /// The o= line.
    pub origin: Origin,
    /// The session-level c= line.
    pub connection: Option<ConnectionAddress>,
    /// The m= lines, in order.
    pub media: Vec<MediaDescription>,
    /// How many lines or formats were ignored because they were malformed or out of range.
    pub ignored: u32,
}

impl SessionDescription {
    /// Where the media of this m= line goes: its own c= line or the session's.
    pub fn connection_of<'a>(
        &'a self,
        media: &'a MediaDescription,
    ) -> Option<&'a ConnectionAddress> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// True if both describe the same session; the version of the o= line is not looked at.
    pub fn same_but_version(&self, other: &Self) -> bool {
        let Self { origin, connection, media, ignored: _ } = self;
        origin.username == other.origin.username
            && origin.session_id == other.origin.session_id
            && origin.address == other.origin.address
            && *connection == other.connection
            && *media == other.media
    }
}

/// The o= line (RFC 4566 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user name, `-` if there is none.
    pub username: String,
    /// The session id: digits.
    pub session_id: String,
    /// The session version.
    pub version: u64,
    /// The address of the host that made the session.
    pub address: ConnectionAddress,
}

/// The address of a c= or o= line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionAddress {
    /// An IP address.
    Ip(IpAddr),
    /// Anything else: a host name, an address with a time to live, another network type.
    Name(String),
}

impl ConnectionAddress {
    /// The IP address, if it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl From<IpAddr> for ConnectionAddress {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// Any other media type, as it was written.
    Other(String),
}

impl MediaKind {
    /// The name as in the m= line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Other(name) => name,
        }
    }
}

/// The transport profile of an m= line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// `RTP/AVP` (RFC 3551)
    Avp,
    /// `RTP/AVPF` (RFC 4585)
    Avpf,
    /// `RTP/SAVP` (RFC 3711)
    Savp,
    /// `RTP/SAVPF` (RFC 5124)
    Savpf,
    /// `UDP/TLS/RTP/SAVP` (RFC 5764)
    DtlsSavp,
    /// `UDP/TLS/RTP/SAVPF` (RFC 5764)
    DtlsSavpf,
    /// Any other profile, as it was written.
    Other(String),
}

impl Profile {
    const NAMES: [(&'static str, Self); 6] = [
        ("RTP/AVP", Self::Avp),
        ("RTP/AVPF", Self::Avpf),
        ("RTP/SAVP", Self::Savp),
        ("RTP/SAVPF", Self::Savpf),
        ("UDP/TLS/RTP/SAVP", Self::DtlsSavp),
        ("UDP/TLS/RTP/SAVPF", Self::DtlsSavpf),
    ];

    /// The profile of this name (case does not matter).
    pub fn from_name(name: &str) -> Self {
        let known = Self::NAMES.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        known.map_or_else(|| Self::Other(name.into()), |(_, profile)| profile)
    }

    /// The name as in the m= line.
    pub fn as_str(&self) -> &str {
        if let Self::Other(name) = self {
            return name;
        }
        Self::NAMES.iter().find(|(_, p)| p == self).map_or("", |(name, _)| name)
    }

    /// True for a profile of which RTP packets are never in the clear.
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Savp | Self::Savpf | Self::DtlsSavp | Self::DtlsSavpf)
    }

    /// True if the keys come from a DTLS handshake.
    pub const fn is_dtls(&self) -> bool {
        matches!(self, Self::DtlsSavp | Self::DtlsSavpf)
    }

    /// True for the profiles with RTCP feedback (RFC 4585).
    pub const fn has_feedback(&self) -> bool {
        matches!(self, Self::Avpf | Self::Savpf | Self::DtlsSavpf)
    }

    /// The profile of RTP in the clear.
    pub(super) const fn plain(feedback: bool) -> Self {
        if feedback { Self::Avpf } else { Self::Avp }
    }

    /// The profile that demands SRTP, keyed by DTLS or not.
    pub(super) const fn secure(dtls: bool, feedback: bool) -> Self {
        match (dtls, feedback) {
            (false, false) => Self::Savp,
            (false, true) => Self::Savpf,
            (true, false) => Self::DtlsSavp,
            (true, true) => Self::DtlsSavpf,
        }
    }

    /// True for the six RTP profiles.
    pub const fn is_rtp(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

/// Which way media flows, seen from the describing side (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The describing side only sends.
    SendOnly,
    /// The describing side only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The direction with these two abilities.
    pub const fn new(send: bool, receive: bool) -> Self {
        match (send, receive) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// True if the describing side sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// True if the describing side receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow seen from the other side.
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both directions allow.
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// One RTP payload format: an entry of the m= line with its a=rtpmap and a=fmtp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecDescription {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding name, such as `PCMU` or `telephone-event`. Case does not matter.
    pub name: String,
    /// The RTP clock rate in Hz (8000 for G722 too, RFC 3551 §4.5.2).
    pub clock_rate: u32,
    /// The number of audio channels.
    pub channels: u8,
    /// The value of a=fmtp, without the payload type.
    pub fmtp: Option<String>,
}

impl CodecDescription {
    /// A mono codec without parameters.
    pub fn new(payload_type: u8, name: &str, clock_rate: u32) -> Self {
        Self { payload_type, name: name.into(), clock_rate, channels: 1, fmtp: None }
    }

    /// True if both are the same encoding; payload types and parameters may differ, and the
    /// channels of redundant audio, which are those of its blocks.
    pub fn same_encoding(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && (self.channels == other.channels || self.is_red())
    }

    /// True for RFC 4733's named events.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// True for redundant audio (RFC 2198).
    pub fn is_red(&self) -> bool {
        self.name.eq_ignore_ascii_case("red")
    }

    /// True for comfort noise (RFC 3389).
    pub fn is_comfort_noise(&self) -> bool {
        self.name.eq_ignore_ascii_case("CN")
    }

    /// True for formats that accompany a codec and cannot carry a conversation alone.
    pub fn is_auxiliary(&self) -> bool {
        self.is_telephone_event() || self.is_red() || self.is_comfort_noise()
    }

    /// The audio formats that RFC 3551 §6 assigns to payload types for good.
    pub(super) fn assigned(payload_type: u8) -> Option<Self> {
        let (name, clock_rate, channels) = match payload_type {
            0 => ("PCMU", 8000, 1),
            3 => ("GSM", 8000, 1),
            4 => ("G723", 8000, 1),
            5 => ("DVI4", 8000, 1),
            6 => ("DVI4", 16000, 1),
            7 => ("LPC", 8000, 1),
            8 => ("PCMA", 8000, 1),
            9 => ("G722", 8000, 1),
            10 => ("L16", 44100, 2),
            11 => ("L16", 44100, 1),
            12 => ("QCELP", 8000, 1),
            13 => ("CN", 8000, 1),
            14 => ("MPA", 90000, 1),
            15 => ("G728", 8000, 1),
            16 => ("DVI4", 11025, 1),
            17 => ("DVI4", 22050, 1),
            18 => ("G729", 8000, 1),
            _ => return None,
        };
        Some(Self { payload_type, name: name.into(), clock_rate, channels, fmtp: None })
    }
}

/// Where RTCP goes if not to the port after RTP's (RFC 3605).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtcpAddress {
    /// The port.
    pub port: u16,
    /// The address, if it is not that of the c= line.
    pub address: Option<IpAddr>,
}

/// One m= line with its attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaDescription {
    /// What the stream carries.
    pub kind: MediaKind,
    /// The port for RTP; 0 refuses or ends the stream.
    pub port: u16,
    /// The transport profile.
    pub profile: Profile,
    /// The payload formats in order of preference.
    pub codecs: Vec<CodecDescription>,
    /// The format list as it was written, where `codecs` is empty (other media, other
    /// transports, formats without a usable a=rtpmap): a refusal repeats it.
    pub formats: String,
    /// The media's own c= line.
    pub connection: Option<ConnectionAddress>,
    /// Which way media flows.
    pub direction: Direction,
    /// The packet time in ms that the describing side likes to receive, 1 to 1000.
    pub ptime: Option<u16>,
    /// The longest packet time in ms that it can receive, 1 to 1000.
    pub maxptime: Option<u16>,
    /// a=rtcp
    pub rtcp: Option<RtcpAddress>,
    /// a=rtcp-mux (RFC 5761)
    pub rtcp_mux: bool,
    /// The usable a=crypto lines in order of preference.
    pub crypto: Vec<CryptoAttribute>,
    /// How many a=crypto lines could not be used (see [`super::CryptoError`]).
    pub refused_crypto: u32,
    /// The usable a=fingerprint lines (RFC 8122) of the media, or of the session if it has none.
    pub fingerprints: Vec<Fingerprint>,
    /// How many a=fingerprint lines could not be used (see [`super::FingerprintError`]).
    pub refused_fingerprints: u32,
    /// a=setup (RFC 4145), of the media or the session.
    pub setup: Option<Setup>,
    /// a=tls-id (RFC 8842): the identity of the DTLS association.
    pub tls_id: Option<String>,
}

impl MediaDescription {
    /// A stream without codecs or attributes.
    pub fn new(kind: MediaKind, port: u16, profile: Profile) -> Self {
        Self {
            kind,
            port,
            profile,
            codecs: Vec::new(),
            formats: String::new(),
            connection: None,
            direction: Direction::default(),
            ptime: None,
            maxptime: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
            refused_crypto: 0,
            fingerprints: Vec::new(),
            refused_fingerprints: 0,
            setup: None,
            tls_id: None,
        }
    }

    /// True for audio over one of the RTP profiles.
    pub fn is_rtp_audio(&self) -> bool {
        self.kind == MediaKind::Audio && self.profile.is_rtp()
    }

    /// True if keys can come of it: it has a usable a=crypto or a=fingerprint.
    pub const fn has_keying(&self) -> bool {
        !self.crypto.is_empty() || !self.fingerprints.is_empty()
    }

    /// True if it has an a=fingerprint, usable or not.
    pub const fn has_fingerprint(&self) -> bool {
        !self.fingerprints.is_empty() || self.refused_fingerprints > 0
    }

    /// The same m= line refused: port 0, same kind, transport and formats, nothing else
    /// (RFC 3264 §6).
    pub fn refused(&self) -> Self {
        let mut line = Self::new(self.kind.clone(), 0, self.profile.clone());
        line.codecs = self.codecs.clone();
        for codec in &mut line.codecs {
            codec.fmtp = None;
        }
        line.formats = self.formats.clone();
        line
    }
}
