//! Mistakes of the caller, typed. Nothing that a peer does ends up here.

use alloc::string::String;

use super::{AccountId, CallId, Codec};
use crate::media::session::FrameError;
use crate::sip::{ListenerId, SocketId, StreamId};

/// The configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A TLS listener without a certificate.
    #[error("listen_tls needs an identity: give Config::identity a certificate and its key")]
    ListenTlsWithoutIdentity,
    /// The certificate and key cannot be used.
    #[error("the identity cannot be used: {0}")]
    BadIdentity(String),
    /// No media port pair fits into the range.
    #[error("media_ports holds no even port with its odd successor: widen the range")]
    NoMediaPorts,
    /// A key lifetime that SRTP does not have (RFC 3711 §9.2).
    #[error("srtp_key_lifetime is 1 to 2^48 packets, not {0}")]
    BadKeyLifetime(u64),
    /// User-Agent or user with characters that SIP cannot carry.
    #[error("{field} has characters that SIP cannot carry")]
    BadText {
        /// The field's name.
        field: &'static str,
    },
}

/// An input names something that the engine does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// No such stream: it was closed, or never existed. Forget the id.
    #[error("stream {0} is not open: forget it")]
    UnknownStream(StreamId),
    /// No such socket: it was closed, or never existed. Forget the id.
    #[error("socket {0} is not open: forget it")]
    UnknownSocket(SocketId),
    /// No such listener.
    #[error("listener {0} does not exist")]
    UnknownListener(ListenerId),
    /// No such call: forget its session.
    #[error("call {0} does not exist: drop its session")]
    UnknownCall(CallId),
    /// The feedback is not of a session that was taken from this call.
    #[error("the feedback is not of the session that was taken from call {0}")]
    ForeignFeedback(CallId),
    /// The engine holds as many streams as it may: close the connection.
    #[error("no room for another accepted connection: close it")]
    TooManyStreams,
}

/// An account cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The address of record is not a SIP or SIPS URI with a user and a host.
    #[error("the address of record must be a sip or sips URI with a user, not {0}")]
    BadAor(String),
    /// Registrar or proxy is not a SIP or SIPS URI.
    #[error("registrar and proxy must be sip or sips URIs, not {0}")]
    BadServer(String),
    /// The one transport asked for is forbidden by the policy in force.
    #[error("the policy in force does not allow this transport: choose TLS or change the policy")]
    TransportForbidden,
    /// No such account.
    #[error("account {0} does not exist")]
    Unknown(AccountId),
    /// No codec at all.
    #[error("an account needs at least one codec")]
    NoCodecs,
    /// A codec that this build does not have.
    #[error("{0:?} is not in this build: enable its feature or leave it out")]
    CodecNotBuilt(Codec),
    /// The display name has characters that SIP cannot carry.
    #[error("the display name has control characters")]
    BadDisplayName,
}

/// A call command cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No such account.
    #[error("account {0} does not exist")]
    UnknownAccount(AccountId),
    /// No such call.
    #[error("call {0} does not exist")]
    UnknownCall(CallId),
    /// The target is not a SIP or SIPS URI.
    #[error("{0} cannot be called: give a sip or sips URI")]
    BadTarget(String),
    /// Not in this state.
    #[error("cannot {command} a call that is {state}")]
    WrongState {
        /// What was asked for.
        command: &'static str,
        /// The state that the call is in.
        state: &'static str,
    },
    /// A status that does not reject a call.
    #[error("{0} does not reject a call: give a status from 400 to 699")]
    BadStatus(u16),
    /// A digit that a telephone does not have.
    #[error("{0:?} is not a DTMF digit: give 0-9, *, #, A-D")]
    BadDigit(char),
    /// A key press too short or too long.
    #[error("a key press lasts 40 ms to 6 s")]
    BadDuration,
    /// The policy in force does not allow the transport that the target or the account demands.
    #[error("the policy in force does not allow this transport: use TLS or change the policy")]
    TransportForbidden,
    /// The far end did not agree to telephone events.
    #[error("the far end takes no telephone events")]
    NoDtmf,
    /// The engine holds as many calls as it may.
    #[error("too many calls: hang one up, or raise Config::max_calls")]
    TooManyCalls,
    /// A sample rate that the media path does not have.
    #[error("{0} Hz is not offered: 8000, 16000, 24000, 32000, 44100 or 48000")]
    BadSampleRate(u32),
    /// No codec at all.
    #[error("a call needs at least one codec")]
    NoCodecs,
    /// A codec that this build does not have.
    #[error("{0:?} is not in this build: enable its feature or leave it out")]
    CodecNotBuilt(Codec),
    /// The call has no safety number.
    #[error("the call has no safety number: its keys must come from DTLS, and it needs an account")]
    NoSafetyNumber,
    /// The session was taken.
    #[error("the media of this call was taken: use its session")]
    MediaTaken,
    /// The call exchanges encoded frames.
    #[error("the call exchanges encoded frames: gain and processing are left to who decodes them")]
    Encoded,
    /// Encoded frames where only PCM is exchanged ([`Engine::keep_media`](super::Engine::keep_media)).
    #[error("whoever runs this engine exchanges PCM for its calls: leave CallOptions::encoded off")]
    PcmOnly,
    /// An earlier hold or resume is still under way.
    #[error("an earlier change of the call is still under way: wait for CallMediaChanged")]
    Busy,
}

/// Audio cannot be exchanged, or a session not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// No such call.
    #[error("call {0} does not exist")]
    UnknownCall(CallId),
    /// The session was taken.
    #[error("the media of call {0} was taken: use its session")]
    Taken(CallId),
    /// The host runs the media of all calls in the engine
    /// ([`Engine::keep_media`](super::Engine::keep_media)).
    #[error("whoever runs this engine keeps the media of its calls there: use its ways of audio")]
    Kept,
    /// The call has no media (yet, or any more).
    #[error("the call has no media now")]
    NoMedia,
    /// PCM for a call with encoded frames.
    #[error("call {0} exchanges encoded frames: use read_frame and write_frame")]
    Encoded(CallId),
    /// An encoded frame that the call does not take, or a call that exchanges PCM.
    #[error(transparent)]
    Frame(#[from] FrameError),
}
