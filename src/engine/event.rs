//! What the application is told.

use alloc::string::String;

use super::{AccountId, CallId, Padlock, SecurityLevel};
use crate::media::breaker::BreakerReason;
use crate::media::session::NoMediaReason;
use crate::sip::{SocketId, Transport};
use crate::time::Duration;

/// Something happened. Ids lead to the details (`Engine::call`, `Engine::account`).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The account is registered; calls reach it.
    Registered {
        /// The account.
        account: AccountId,
        /// How the registrar is reached.
        transport: Transport,
        /// Lifetime granted; the engine refreshes before it ends.
        expires: Duration,
    },
    /// The account's signalling goes over this transport from now on.
    TransportChanged {
        /// The account.
        account: AccountId,
        /// The transport.
        transport: Transport,
        /// The policy prefers TLS and it could not be had; the account's ladder says why. It is
        /// tried again with later refreshes.
        fallback: bool,
    },
    /// The account's registration was removed, as asked.
    Unregistered {
        /// The account.
        account: AccountId,
    },
    /// Registering failed.
    RegistrationFailed {
        /// The account.
        account: AccountId,
        /// Why.
        reason: FailureReason,
        /// When the engine tries again by itself; `None`: not before something changes.
        retry_in: Option<Duration>,
    },
    /// Somebody calls. Answer with `call(id).accept(..)`, or `ring`, `reject`.
    IncomingCall {
        /// The call.
        call: CallId,
        /// The account that was called; `None` if the request named none of ours.
        account: Option<AccountId>,
        /// Who calls, as the request says it (not verified), for example `sip:bob@example.com`.
        from: String,
        /// The caller's display name, possibly empty.
        display_name: String,
    },
    /// Somebody called and was refused (488) before the phone could ring: the policy does not
    /// allow the call as it was offered, or it has nothing that both sides know. At most 64 of
    /// these wait to be polled; more are counted
    /// ([`EngineStats::refused_calls`](super::EngineStats::refused_calls)).
    IncomingRefused {
        /// The account that was called; `None` if the request named none of ours.
        account: Option<AccountId>,
        /// Who called, as the request says it (not verified).
        from: String,
        /// The caller's display name, possibly empty.
        display_name: String,
        /// Why.
        reason: FailureReason,
    },
    /// The far end rings (180), or a provisional response says something else.
    CallProgress {
        /// The call.
        call: CallId,
        /// The SIP status, 101 to 199.
        status: u16,
        /// Audio flows already.
        early_media: bool,
    },
    /// The call is answered; audio flows.
    CallEstablished {
        /// The call.
        call: CallId,
    },
    /// Hold or resume took effect, at either end.
    CallMediaChanged {
        /// The call.
        call: CallId,
        /// We hold the far end.
        local_hold: bool,
        /// The far end holds us.
        remote_hold: bool,
    },
    /// What is known of the call's security changed; `call(id).security()` tells all of it.
    ///
    /// It comes once for each change of the report's facts (counters are none), before any audio
    /// is sent or heard under it, and before any other event that waits; changes that happen
    /// before it is polled are told as one.
    SecurityChanged {
        /// The call.
        call: CallId,
        /// What the screen may show from now on.
        padlock: Padlock,
    },
    /// The call's media is protected worse than that of earlier calls with this peer. Told before
    /// audio flows; [`Config::refuse_downgrade`](super::Config::refuse_downgrade) ends the call.
    SecurityDowngrade {
        /// The call.
        call: CallId,
        /// The best of the earlier calls.
        before: SecurityLevel,
        /// What this one has.
        now: SecurityLevel,
    },
    /// The peer shows another DTLS certificate than the one that was confirmed, or, if none was,
    /// than in the last call: a new phone, or somebody else. Told before audio flows.
    PeerIdentityChanged {
        /// The call.
        call: CallId,
    },
    /// The media of the call, which the host runs itself
    /// ([`Engine::take_media`](super::Engine::take_media)), has other sockets from now on: the host
    /// is on another network. The old ones were closed
    /// ([`Output::CloseUdp`](super::Output::CloseUdp)), these are bound, and the far end is being
    /// told. The session itself goes on, with its keys and counters.
    MediaSocketsChanged {
        /// The call.
        call: CallId,
        /// Of RTP, and of RTCP where both share it.
        rtp: SocketId,
        /// Of RTCP.
        rtcp: SocketId,
    },
    /// The far end pressed a key (RFC 4733).
    DtmfReceived {
        /// The call.
        call: CallId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
    },
    /// Nothing usable has been heard for ten seconds although the call receives.
    NoMedia {
        /// The call.
        call: CallId,
        /// What is likely wrong.
        reason: NoMediaReason,
    },
    /// Media is heard again.
    MediaResumed {
        /// The call.
        call: CallId,
    },
    /// The host, which encodes the call's audio by itself
    /// ([`CallOptions::encoded`](super::CallOptions::encoded)), is to encode otherwise from now on:
    /// [`Engine::encoding`](super::Engine::encoding).
    EncodingChanged {
        /// The call.
        call: CallId,
    },
    /// The call's media is not sent any more, because it harms the network, or nobody can tell
    /// whether it does (RFC 8083); the far end is still heard.
    /// [`Call::restart_sending`](super::Call::restart_sending) tries again when a person wants to; a
    /// far end that only had fallen silent ends it by itself
    /// ([`SendingResumed`](Self::SendingResumed)).
    CircuitBreaker {
        /// The call.
        call: CallId,
        /// What was found.
        reason: BreakerReason,
    },
    /// The call's media is sent again after [`CircuitBreaker`](Self::CircuitBreaker): the far end,
    /// whose reports had failed to come, is back.
    SendingResumed {
        /// The call.
        call: CallId,
    },
    /// The call is over: the last event of this call. Its id lives on, for the statistics and the
    /// report, until `forget_call` or until newer ended calls displace it.
    CallEnded {
        /// The call.
        call: CallId,
        /// Why.
        reason: EndReason,
    },
    /// A server's certificate did not verify; nothing was sent to it.
    CertificateRejected {
        /// The domain that was dialled.
        domain: String,
        /// What is wrong with the certificate, as a sentence.
        problem: String,
    },
    /// A listener or SIP socket is ready.
    Listening {
        /// The transport.
        transport: Transport,
        /// Where.
        local: core::net::SocketAddr,
    },
    /// A listener or socket could not be opened.
    ListenFailed {
        /// The transport.
        transport: Transport,
    },
}

/// Why a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EndReason {
    /// We hung up.
    LocalHangUp,
    /// The far end hung up.
    RemoteHangUp,
    /// We gave up before it was answered.
    Cancelled,
    /// The caller gave up before we answered.
    RemoteCancelled,
    /// We rejected it, with this status.
    Rejected(u16),
    /// The far end refused, with this status and reason phrase (bounded, printable).
    Refused {
        /// SIP status, 300 to 699.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// Nobody answered in time.
    NoAnswer,
    /// Something failed.
    Failed(FailureReason),
}

/// Why something failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FailureReason {
    /// The server's name could not be resolved.
    #[error("the server's name could not be resolved")]
    NameNotFound,
    /// No connection to any of the server's addresses.
    #[error("the server could not be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The certificate did not verify.
    #[error("the server's certificate was not accepted: {0}")]
    Certificate(String),
    /// The TLS handshake failed for another reason.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// User name or password refused.
    #[error("the server refused the user name or password")]
    Credentials,
    /// The server demands a password and the account has none, or asks in a way that cannot be
    /// answered.
    #[error("the server asks for credentials that the account does not have")]
    NoCredentials,
    /// Somebody asks for a password in a realm that is not the account's, or that asks without
    /// being the account's server. It gets no answer.
    #[error("a challenge from a realm that the account does not belong to")]
    ForeignRealm,
    /// A final response.
    #[error("the far end answered {0} {1}")]
    Status(u16, String),
    /// The far end's session description cannot be used.
    #[error("no common media: {0}")]
    Negotiation(String),
    /// The keys of the media could not be agreed by DTLS.
    #[error("the media could not be encrypted: {0}")]
    Keying(String),
    /// The far end's DTLS certificate or ciphers are none that this engine has: it takes elliptic
    /// curves only, and the far end probably has an RSA certificate.
    #[error(
        "the media could not be encrypted: the far end's DTLS certificate or ciphers are not \
         supported (elliptic curves only, not RSA)"
    )]
    KeyingUnsupported,
    /// A media session that was taken could not be changed to what was agreed.
    #[error("the media could not be changed: {0}")]
    MediaUpdate(String),
    /// The policy forbids what the far end offers.
    #[error("the security policy does not allow this call: {0}")]
    Policy(String),
    /// Media sockets could not be opened.
    #[error("no media port could be opened")]
    NoMediaPort,
    /// The connection broke and could not be restored.
    #[error("the connection was lost")]
    ConnectionLost,
}
