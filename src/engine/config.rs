//! What the application gives the engine: configuration of the engine, accounts and calls.

use alloc::{boxed::Box, string::String, vec, vec::Vec};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::RangeInclusive;

use super::audio::AudioOptions;
use super::call::SrtpOptions;
use super::gate::MediaOffer;
use super::log::LogLevel;
use super::policy::SecurityPolicy;
use super::tls::TlsConfig;
use crate::crypto::dtls::{DtlsIdentity, DtlsVersions};
use crate::crypto::srtp::Suite;
use crate::crypto::tls::{TlsIdentity, TrustAnchors};
use crate::media::codec::CodecId;
use crate::media::dsp::ProcessingConfig;
use crate::sip::Transport;
use crate::time::{Duration, UnixTime};
use crate::util::{Rng, Secret};
use crate::wire::sip::Uri;

/// Configuration of an engine. Fields may be added: build it with [`Config::new`].
#[non_exhaustive]
pub struct Config {
    /// The platform's cryptographic generator (a seeded one in simulations).
    pub rng: Box<dyn Rng>,
    /// The wall clock at the start; [`Input::WallClock`](super::Input::WallClock) corrects it.
    pub unix_time: UnixTime,
    /// The local IP address that SIP and media sockets bind to.
    pub local_ip: IpAddr,
    /// The local UDP port for SIP; 0 lets the host choose, `None` means no UDP at all.
    pub udp_port: Option<u16>,
    /// Where to accept TCP connections.
    pub listen_tcp: Option<SocketAddr>,
    /// Where to accept TLS connections; needs an `identity`.
    pub listen_tls: Option<SocketAddr>,
    /// The certificate that the engine shows to TLS clients, and to servers that ask for one.
    pub identity: Option<TlsIdentity>,
    /// Who we are in DTLS handshakes, for life: keep it, so that people who compared safety
    /// numbers find the same one again. `None`: one is made for this engine alone.
    pub dtls_identity: Option<DtlsIdentity>,
    /// Versions of DTLS that are offered and accepted.
    pub dtls_versions: DtlsVersions,
    /// SRTP suites, the preferred one first: offered in this order, and no other is accepted.
    /// Empty: AES-256 before AES-128 and GCM before AES-CM are offered, and all are accepted. Offered
    /// only where they are named here: AES-192, the 32-bit tags, [`Suite::F8_128HmacSha1_80`].
    pub srtp_suites: Vec<Suite>,
    /// How many packets one SDES key of ours may protect; our a=crypto lines say so (RFC 4568
    /// §6.1), and new keys are agreed on before. `None`: as many as SRTP allows, 2^48.
    pub srtp_key_lifetime: Option<u64>,
    /// Whom to trust when verifying the far end's certificate.
    pub trust: TrustAnchors,
    /// What TLS demands beyond that.
    pub tls: TlsConfig,
    /// Ports for RTP and RTCP: even ports, RTCP on the next odd one.
    pub media_ports: RangeInclusive<u16>,
    /// Value of the User-Agent and Server header fields; empty for none.
    pub user_agent: String,
    /// The user part of our Contact for calls without an account, and the display name.
    pub local_user: String,
    /// When a domain's policy becomes stricter, its running plain calls are moved to SRTP by a
    /// re-INVITE. Off: they are kept as they are.
    pub upgrade_running_calls: bool,
    /// A call whose media is protected worse than that of earlier calls with the same peer is
    /// ended before any audio ([`Event::SecurityDowngrade`](super::Event::SecurityDowngrade)).
    /// Off: it is only told. A caller's address is what the request says: whoever can make you
    /// take a call in another's name can raise or reach this bar in that name.
    pub refuse_downgrade: bool,
    /// The sending of a call's media stops when it harms the network, or when the far end's reports
    /// fail to come (RFC 8083; [`Event::CircuitBreaker`](super::Event::CircuitBreaker)). Switch it
    /// off only where the network cannot be congested.
    pub circuit_breaker: bool,
    /// What is done to the audio of calls before it is sent, where their options do not say.
    pub processing: ProcessingConfig,
    /// Calls held at the same time at most; further ones are answered 486.
    pub max_calls: usize,
    /// The codecs that calls may use at all: what accounts and calls name beside them is left out.
    pub codecs: Vec<Codec>,
    /// How much `Engine::poll_log` has to tell.
    pub log_level: LogLevel,
    /// Give every SIP message away in the clear through
    /// [`Engine::poll_sip_trace`](super::Engine::poll_sip_trace), without credentials and keys,
    /// for debugging alone: it shows who calls whom. The report of each call says so.
    pub sip_trace: bool,
}

impl Config {
    /// Sensible defaults: UDP on a port of the host's choice, no listener, public CAs, ports 16384
    /// to 32767, at most 64 calls.
    pub fn new(rng: Box<dyn Rng>, unix_time: UnixTime) -> Self {
        Self {
            rng,
            unix_time,
            local_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            udp_port: Some(0),
            listen_tcp: None,
            listen_tls: None,
            identity: None,
            dtls_identity: None,
            dtls_versions: DtlsVersions::All,
            srtp_suites: Vec::new(),
            srtp_key_lifetime: None,
            trust: TrustAnchors::webpki_roots(),
            tls: TlsConfig::default(),
            media_ports: 16_384..=32_767,
            user_agent: String::from(concat!("subrosa/", env!("CARGO_PKG_VERSION"))),
            local_user: String::from("phone"),
            upgrade_running_calls: false,
            refuse_downgrade: false,
            circuit_breaker: true,
            processing: ProcessingConfig::OFF,
            max_calls: 64,
            codecs: Codec::ALL.to_vec(),
            log_level: LogLevel::Off,
            sip_trace: false,
        }
    }
}

/// Suites offered unless told otherwise, strongest first; the last one is what every SRTP peer has.
const SUITES: [Suite; 4] = [
    Suite::AeadAes256Gcm,
    Suite::AeadAes128Gcm,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm128HmacSha1_80,
];

impl Config {
    pub(super) fn srtp_options(&self) -> SrtpOptions {
        let (offered, accepted) = match self.srtp_suites.as_slice() {
            [] => (SUITES.to_vec(), Suite::ALL.to_vec()),
            wanted => (wanted.to_vec(), wanted.to_vec()),
        };
        SrtpOptions { offered, accepted, lifetime: self.srtp_key_lifetime }
    }
}

impl core::fmt::Debug for Config {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Config")
            .field("local_ip", &self.local_ip)
            .field("udp_port", &self.udp_port)
            .field("listen_tcp", &self.listen_tcp)
            .field("listen_tls", &self.listen_tls)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// An identity of the user's at a domain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccountConfig {
    /// The address of record, for example `sip:alice@example.com`.
    pub aor: Uri,
    /// Shown to the people that are called.
    pub display_name: String,
    /// User name for Digest; the AOR's user part if empty.
    pub auth_user: String,
    /// Password for Digest.
    pub password: Option<Secret<String>>,
    /// The only realm whose challenges are answered; `None`: the first one that the verified
    /// registrar or proxy of the account shows.
    pub realm: Option<String>,
    /// Register with the domain's registrar. Without it, calls go directly to their targets.
    pub register: bool,
    /// Registrar if it is not the AOR's domain.
    pub registrar: Option<Uri>,
    /// All requests go through this proxy (a loose route).
    pub outbound_proxy: Option<Uri>,
    /// The one transport to use; `None`: what policy and DNS say.
    pub transport: Option<Transport>,
    /// Registration lifetime asked for.
    pub expires: Duration,
    /// Keep-alive interval on the account's flow (RFC 5626 §4.4); zero for none.
    pub keep_alive: Duration,
    /// May be stricter than the domain's policy.
    pub policy: SecurityPolicy,
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// How they are used.
    pub audio: AudioOptions,
}

impl AccountConfig {
    /// An account that registers at its domain, with the usual codecs.
    pub fn new(aor: Uri) -> Self {
        Self {
            aor,
            display_name: String::new(),
            auth_user: String::new(),
            password: None,
            realm: None,
            register: true,
            registrar: None,
            outbound_proxy: None,
            transport: None,
            expires: Duration::from_secs(600),
            keep_alive: Duration::from_secs(90),
            policy: SecurityPolicy::Off,
            codecs: Codec::USUAL.to_vec(),
            audio: AudioOptions::default(),
        }
    }
}

/// Audio codecs that a call may use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Codec {
    /// Opus, up to 20 kHz of audio (RFC 7587). In builds with the feature `opus` or `libopus`.
    Opus,
    /// G.722, 16 kHz audio, 64 kbit/s.
    G722,
    /// G.711 mu-law, 8 kHz audio, 64 kbit/s.
    Pcmu,
    /// G.711 A-law, 8 kHz audio, 64 kbit/s.
    Pcma,
    /// L16 at 8 kHz: samples of 16 bits as they are, 128 kbit/s (RFC 3551 §4.5.11). None of the
    /// three is offered or taken unless it is named.
    L16Narrowband,
    /// L16 at 16 kHz, 256 kbit/s, in packets of up to 40 ms.
    L16Wideband,
    /// L16 at 48 kHz, 768 kbit/s, in packets of 10 ms: where it is named, for all codecs.
    L16Fullband,
}

impl Config {
    /// Those of `codecs` that calls may use, where the host encodes or this build does.
    pub(super) fn usable(&self, mut codecs: Vec<Codec>, encoded: bool) -> Vec<Codec> {
        codecs.retain(|codec| self.codecs.contains(codec) && codec.will_do(encoded));
        codecs
    }
}

impl Codec {
    /// All codecs of this build: the [`USUAL`](Self::USUAL) ones, then those that take so much that
    /// they must be named.
    #[cfg(any(feature = "opus", feature = "libopus"))]
    pub const ALL: [Self; 7] = [
        Self::Opus,
        Self::G722,
        Self::Pcma,
        Self::Pcmu,
        Self::L16Wideband,
        Self::L16Fullband,
        Self::L16Narrowband,
    ];
    /// All codecs of this build: the [`USUAL`](Self::USUAL) ones, then those that take so much that
    /// they must be named.
    #[cfg(not(any(feature = "opus", feature = "libopus")))]
    pub const ALL: [Self; 6] = [
        Self::G722,
        Self::Pcma,
        Self::Pcmu,
        Self::L16Wideband,
        Self::L16Fullband,
        Self::L16Narrowband,
    ];
    /// The codecs of an account that names none, best first.
    #[cfg(any(feature = "opus", feature = "libopus"))]
    pub const USUAL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];
    /// The codecs of an account that names none, best first.
    #[cfg(not(any(feature = "opus", feature = "libopus")))]
    pub const USUAL: [Self; 3] = [Self::G722, Self::Pcma, Self::Pcmu];

    /// The encoding name in SDP (RFC 3551 §6, RFC 7587 §7); for L16 with the rate.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::L16Narrowband => "L16/8000",
            Self::L16Wideband => "L16/16000",
            Self::L16Fullband => "L16/48000",
        }
    }

    /// Whether this build, or (with `encoded`) the host, has it.
    pub(super) fn will_do(self, encoded: bool) -> bool {
        encoded || self.id().is_available()
    }

    /// The codec of the media layer.
    pub(super) const fn id(self) -> CodecId {
        match self {
            Self::Opus => CodecId::Opus,
            Self::G722 => CodecId::G722,
            Self::Pcmu => CodecId::Pcmu,
            Self::Pcma => CodecId::Pcma,
            Self::L16Narrowband => CodecId::L16Narrowband,
            Self::L16Wideband => CodecId::L16Wideband,
            Self::L16Fullband => CodecId::L16Fullband,
        }
    }

    /// The codec of this kind in the media layer.
    pub(super) const fn of_id(id: CodecId) -> Option<Self> {
        match id {
            CodecId::Opus => Some(Self::Opus),
            CodecId::G722 => Some(Self::G722),
            CodecId::Pcmu => Some(Self::Pcmu),
            CodecId::Pcma => Some(Self::Pcma),
            CodecId::L16Narrowband => Some(Self::L16Narrowband),
            CodecId::L16Wideband => Some(Self::L16Wideband),
            CodecId::L16Fullband => Some(Self::L16Fullband),
            CodecId::TelephoneEvent => None,
        }
    }
}

impl From<Codec> for CodecId {
    fn from(codec: Codec) -> Self {
        codec.id()
    }
}

/// Options of one call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallOptions {
    /// May be stricter than the account's policy.
    pub policy: SecurityPolicy,
    /// How our offer asks for SRTP under [`SecurityPolicy::Preferred`].
    pub media_offer: MediaOffer,
    /// Codecs for this call; empty: the account's.
    pub codecs: Vec<Codec>,
    /// How they are used; `None`: as the account says.
    pub audio: Option<AudioOptions>,
    /// Sample rate of the PCM that the host writes and reads, Hz: 8000, 16000, 24000, 32000,
    /// 44100 or 48000. With `encoded` it only tells the far end how much of Opus is of use.
    pub sample_rate: u32,
    /// The host has the codecs (in a DSP, say) and exchanges encoded frames in place of PCM:
    /// [`Engine::read_frame`](super::Engine::read_frame),
    /// [`Engine::write_frame`](super::Engine::write_frame). `codecs` and [`Config::codecs`] may
    /// then name those too that this build does not have.
    pub encoded: bool,
    /// Give up if nobody answers within this time.
    pub ring_timeout: Duration,
    /// What is done to the audio before it is sent. `None`: what [`Config`] says, which is nothing
    /// unless changed; a phone of the driver processes what its own microphone hears.
    pub processing: Option<ProcessingConfig>,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            policy: SecurityPolicy::Off,
            media_offer: MediaOffer::default(),
            codecs: vec![],
            audio: None,
            sample_rate: 16_000,
            encoded: false,
            ring_timeout: Duration::from_secs(180),
            processing: None,
        }
    }
}
