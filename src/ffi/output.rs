//! What the engine wants done: one struct, filled by polling.

use super::account::transport_number;
use super::addr::subrosa_addr;
use super::breaker::{SUBROSA_BREAKER_NONE, breaker_number};
use super::dns::kind_number;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Texts};
use super::media_link::{subrosa_media_update, update_handle};
use super::peers::{SUBROSA_LEVEL_NONE, level_number};
use super::pointer::{OutStruct, Versioned, slice_mut, subrosa_str};
use super::report::{SUBROSA_PADLOCK_NONE, padlock_number};
use super::status::subrosa_status;
use crate::engine::{EndReason, Event, FailureReason, Output};
use crate::media::session::NoMediaReason;

/// Nothing more to do until `at_us` (if `has_at`), or until something comes in. Always the last.
pub const SUBROSA_OUTPUT_TIMEOUT: i32 = 0;
/// Send `data` from socket `id` to `addr`.
pub const SUBROSA_OUTPUT_DATAGRAM: i32 = 1;
/// Write `data` to stream `id`, all of it and in order.
pub const SUBROSA_OUTPUT_STREAM_DATA: i32 = 2;
/// Open a TCP connection to `addr`; it is stream `id`.
pub const SUBROSA_OUTPUT_CONNECT: i32 = 3;
/// Close stream `id` once what was written is sent.
pub const SUBROSA_OUTPUT_CLOSE_STREAM: i32 = 4;
/// Listen for TCP connections at `addr`; it is listener `id`.
pub const SUBROSA_OUTPUT_LISTEN: i32 = 5;
/// Bind a UDP socket to `addr`; it is socket `id`.
pub const SUBROSA_OUTPUT_BIND_UDP: i32 = 6;
/// Close UDP socket `id`.
pub const SUBROSA_OUTPUT_CLOSE_UDP: i32 = 7;
/// Ask the DNS for `name`, record kind `dns_kind`; it is query `id`.
pub const SUBROSA_OUTPUT_RESOLVE: i32 = 8;
/// `event` tells the application something.
pub const SUBROSA_OUTPUT_EVENT: i32 = 9;
/// The buffer cannot hold the next output: poll again with at least `needed` bytes.
pub const SUBROSA_OUTPUT_BUFFER_TOO_SMALL: i32 = 10;
/// Something that this version of the C interface does not know: go on polling.
pub const SUBROSA_OUTPUT_OTHER: i32 = 11;
/// Give `update` to the media session that was taken from call `id`: subrosa_media_handle_update,
/// each of them and in order. The update is the caller's from now on, to be freed with
/// subrosa_media_update_free. One that is never applied is bounded harm: the call's security is
/// shown as the weaker of before and after, its sockets stay open for two seconds after its end,
/// and if a later update is applied without it, the session is silent and the call ends.
pub const SUBROSA_OUTPUT_MEDIA: i32 = 12;

/// Something that this version of the C interface does not know; `text` describes it.
pub const SUBROSA_EVENT_OTHER: i32 = 0;
/// `account` is registered over `transport`, for `duration_us`.
pub const SUBROSA_EVENT_REGISTERED: i32 = 1;
/// `account` is not registered any more, as asked.
pub const SUBROSA_EVENT_UNREGISTERED: i32 = 2;
/// Registering `account` failed: `failure`, `text`; again in `duration_us`, if that is not 0.
pub const SUBROSA_EVENT_REGISTRATION_FAILED: i32 = 3;
/// `call` comes in for `account` (0 if for none), from `from` and `display_name`.
pub const SUBROSA_EVENT_INCOMING_CALL: i32 = 4;
/// The far end of `call` answered provisionally: `sip_status`; `early_media`.
pub const SUBROSA_EVENT_CALL_PROGRESS: i32 = 5;
/// `call` is answered.
pub const SUBROSA_EVENT_CALL_ESTABLISHED: i32 = 6;
/// Hold or resume took effect: `local_hold`, `remote_hold`.
pub const SUBROSA_EVENT_CALL_MEDIA_CHANGED: i32 = 7;
/// What is known of the security of `call` changed: `padlock`, and subrosa_call_security. It comes
/// before any audio is sent or heard under it.
pub const SUBROSA_EVENT_SECURITY_CHANGED: i32 = 8;
/// The far end pressed `digit`.
pub const SUBROSA_EVENT_DTMF_RECEIVED: i32 = 9;
/// `call` is over: `end_reason`, `sip_status`, `failure`, `text`.
pub const SUBROSA_EVENT_CALL_ENDED: i32 = 10;
/// A server's certificate did not verify: `from` is the domain, `text` the problem.
pub const SUBROSA_EVENT_CERTIFICATE_REJECTED: i32 = 11;
/// A listener or socket is ready: `transport`, `addr`.
pub const SUBROSA_EVENT_LISTENING: i32 = 12;
/// A listener or socket could not be opened: `transport`.
pub const SUBROSA_EVENT_LISTEN_FAILED: i32 = 13;
/// The signalling of `account` goes over `transport` from now on; `fallback`.
pub const SUBROSA_EVENT_TRANSPORT_CHANGED: i32 = 14;
/// Nothing usable has been heard on `call` for ten seconds: `no_media` is what is likely wrong.
pub const SUBROSA_EVENT_NO_MEDIA: i32 = 15;
/// Something is heard on `call` again.
pub const SUBROSA_EVENT_MEDIA_RESUMED: i32 = 16;
/// The media of `call` is protected worse than that of earlier calls with this peer:
/// `level_before`, `level_now`. Told before audio flows.
pub const SUBROSA_EVENT_SECURITY_DOWNGRADE: i32 = 17;
/// The peer of `call` shows another DTLS certificate than the one that was confirmed, or, if none
/// was, than in the last call. Told before audio flows.
pub const SUBROSA_EVENT_PEER_IDENTITY_CHANGED: i32 = 18;
/// Somebody called and was refused before the phone could ring: account, from, display_name,
/// failure, text.
pub const SUBROSA_EVENT_INCOMING_REFUSED: i32 = 19;
/// The media session that was taken from `call` has other sockets from now on, `rtp_socket` and
/// `rtcp_socket`, because the host is on another network. The old ones were closed. Until it comes
/// the session has no socket: do not poll it for packets.
pub const SUBROSA_EVENT_MEDIA_SOCKETS_CHANGED: i32 = 20;
/// The media of `call` is not sent any more, because it harms the network: `breaker`.
pub const SUBROSA_EVENT_CIRCUIT_BREAKER: i32 = 21;

/// Not about media that is missing.
pub const SUBROSA_NO_MEDIA_NONE: i32 = 0;
/// Not one datagram came: a firewall, a NAT, or a far end that does not send.
pub const SUBROSA_NO_MEDIA_SILENCE: i32 = 1;
/// Packets came that do not authenticate: the keys differ.
pub const SUBROSA_NO_MEDIA_WRONG_KEYS: i32 = 2;
/// Packets came in clear where SRTP was agreed.
pub const SUBROSA_NO_MEDIA_PLAIN: i32 = 3;
/// Packets came from another address than the signalled one.
pub const SUBROSA_NO_MEDIA_WRONG_SOURCE: i32 = 4;
/// Packets came with payload types that were not negotiated.
pub const SUBROSA_NO_MEDIA_WRONG_PAYLOAD_TYPE: i32 = 5;
/// Packets came that are no RTP.
pub const SUBROSA_NO_MEDIA_MALFORMED: i32 = 6;
/// Something that this version of the C interface does not know.
pub const SUBROSA_NO_MEDIA_OTHER: i32 = 7;

/// The call goes on.
pub const SUBROSA_END_NONE: i32 = 0;
/// We hung up.
pub const SUBROSA_END_LOCAL_HANG_UP: i32 = 1;
/// The far end hung up.
pub const SUBROSA_END_REMOTE_HANG_UP: i32 = 2;
/// We gave up before it was answered.
pub const SUBROSA_END_CANCELLED: i32 = 3;
/// The caller gave up before we answered.
pub const SUBROSA_END_REMOTE_CANCELLED: i32 = 4;
/// We rejected it, with `sip_status`.
pub const SUBROSA_END_REJECTED: i32 = 5;
/// The far end refused, with `sip_status`.
pub const SUBROSA_END_REFUSED: i32 = 6;
/// Nobody answered in time.
pub const SUBROSA_END_NO_ANSWER: i32 = 7;
/// It failed: see `failure`.
pub const SUBROSA_END_FAILED: i32 = 8;

/// Nothing failed.
pub const SUBROSA_FAILURE_NONE: i32 = 0;
/// The server's name could not be resolved.
pub const SUBROSA_FAILURE_NAME_NOT_FOUND: i32 = 1;
/// The server could not be reached.
pub const SUBROSA_FAILURE_UNREACHABLE: i32 = 2;
/// No answer in time.
pub const SUBROSA_FAILURE_TIMEOUT: i32 = 3;
/// The certificate did not verify.
pub const SUBROSA_FAILURE_CERTIFICATE: i32 = 4;
/// The TLS handshake failed for another reason.
pub const SUBROSA_FAILURE_TLS: i32 = 5;
/// User name or password refused.
pub const SUBROSA_FAILURE_CREDENTIALS: i32 = 6;
/// Credentials were asked for that the account does not have.
pub const SUBROSA_FAILURE_NO_CREDENTIALS: i32 = 7;
/// A final response: `sip_status`.
pub const SUBROSA_FAILURE_STATUS: i32 = 8;
/// No common media.
pub const SUBROSA_FAILURE_NEGOTIATION: i32 = 9;
/// The security policy forbids it.
pub const SUBROSA_FAILURE_POLICY: i32 = 10;
/// No media port could be opened.
pub const SUBROSA_FAILURE_NO_MEDIA_PORT: i32 = 11;
/// The connection was lost.
pub const SUBROSA_FAILURE_CONNECTION_LOST: i32 = 12;
/// Something that this version of the C interface does not know.
pub const SUBROSA_FAILURE_OTHER: i32 = 13;
/// A media session that was taken could not be changed.
pub const SUBROSA_FAILURE_MEDIA_UPDATE: i32 = 15;
/// The keys of the media could not be agreed by DTLS.
pub const SUBROSA_FAILURE_KEYING: i32 = 14;
/// A challenge came from a realm that the account does not belong to.
pub const SUBROSA_FAILURE_FOREIGN_REALM: i32 = 16;
/// The far end's DTLS certificate or ciphers are not supported: elliptic curves only, not RSA.
pub const SUBROSA_FAILURE_KEYING_UNSUPPORTED: i32 = 17;

const EMPTY: subrosa_str = subrosa_str::borrowed("");

/// An event; which fields count depends on its kind, the others are 0 or empty.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_event {
    /// A SUBROSA_EVENT_.
    pub kind: i32,
    /// A SUBROSA_TRANSPORT_.
    pub transport: i32,
    /// The call; 0 for none.
    pub call: u64,
    /// The account; 0 for none.
    pub account: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// SIP status; 0 for none.
    pub sip_status: i32,
    /// A SUBROSA_END_.
    pub end_reason: i32,
    /// A SUBROSA_FAILURE_.
    pub failure: i32,
    /// An ASCII character; 0 for none.
    pub digit: i32,
    /// 1 or 0.
    pub early_media: i32,
    /// 1 or 0.
    pub local_hold: i32,
    /// 1 or 0.
    pub remote_hold: i32,
    /// 1 or 0.
    pub fallback: i32,
    /// A SUBROSA_NO_MEDIA_.
    pub no_media: i32,
    /// A SUBROSA_LEVEL_.
    pub level_before: i32,
    /// A SUBROSA_LEVEL_.
    pub level_now: i32,
    /// A SUBROSA_PADLOCK_: what the screen may show from now on.
    pub padlock: i32,
    /// A SUBROSA_BREAKER_.
    pub breaker: i32,
    /// The socket of RTP; 0 for none.
    pub rtp_socket: u64,
    /// The socket of RTCP that does not share it; 0 for none.
    pub rtcp_socket: u64,
    /// An address.
    pub addr: subrosa_addr,
    /// A URI or a domain.
    pub from: subrosa_str,
    /// A name to show.
    pub display_name: subrosa_str,
    /// A sentence.
    pub text: subrosa_str,
}

/// An output; which fields count depends on its kind, the others are 0 or empty.
/// Set `size` to sizeof before polling.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_output {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_OUTPUT_.
    pub kind: i32,
    /// Which socket, stream, listener, query or call.
    pub id: u64,
    /// Which address.
    pub addr: subrosa_addr,
    /// A SUBROSA_DNS_ record kind.
    pub dns_kind: i32,
    /// 1 if `at_us` counts.
    pub has_at: i32,
    /// The host's clock, microseconds.
    pub at_us: u64,
    /// Bytes to send: they lie in the buffer that was given.
    pub data: *const u8,
    /// How many.
    pub data_len: usize,
    /// Bytes that the buffer needs.
    pub needed: usize,
    /// A name to look up.
    pub name: subrosa_str,
    /// What happened.
    pub event: subrosa_event,
    /// A change of media: the caller frees it. NULL with every other kind.
    pub update: *mut subrosa_media_update,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_output {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_event {
    fn new(kind: i32) -> Self {
        Self {
            kind,
            transport: 0,
            call: 0,
            account: 0,
            duration_us: 0,
            sip_status: 0,
            end_reason: SUBROSA_END_NONE,
            failure: SUBROSA_FAILURE_NONE,
            digit: 0,
            early_media: 0,
            local_hold: 0,
            remote_hold: 0,
            fallback: 0,
            no_media: SUBROSA_NO_MEDIA_NONE,
            breaker: SUBROSA_BREAKER_NONE,
            level_before: SUBROSA_LEVEL_NONE,
            level_now: SUBROSA_LEVEL_NONE,
            padlock: SUBROSA_PADLOCK_NONE,
            rtp_socket: 0,
            rtcp_socket: 0,
            addr: subrosa_addr::default(),
            from: EMPTY,
            display_name: EMPTY,
            text: EMPTY,
        }
    }

    fn of_call(kind: i32, call: crate::engine::CallId) -> Self {
        Self { call: call.to_raw(), ..Self::new(kind) }
    }

    fn set_failure(&mut self, reason: &FailureReason, texts: &mut Texts) {
        self.failure = failure_number(reason);
        if let FailureReason::Status(status, _) = reason {
            self.sip_status = i32::from(*status);
        }
        self.text = texts.lend(&reason.to_string());
    }

    pub(super) fn from_event(event: &Event, texts: &mut Texts) -> Self {
        match event {
            Event::Registered { account, transport, expires } => Self {
                account: account.to_raw(),
                transport: transport_number(*transport),
                duration_us: micros(*expires),
                ..Self::new(SUBROSA_EVENT_REGISTERED)
            },
            Event::Unregistered { account } => {
                Self { account: account.to_raw(), ..Self::new(SUBROSA_EVENT_UNREGISTERED) }
            }
            Event::RegistrationFailed { account, reason, retry_in } => {
                let mut out = Self::new(SUBROSA_EVENT_REGISTRATION_FAILED);
                out.account = account.to_raw();
                out.duration_us = retry_in.map_or(0, micros);
                out.set_failure(reason, texts);
                out
            }
            Event::CertificateRejected { domain, problem } => Self {
                from: texts.lend(domain),
                text: texts.lend(problem),
                ..Self::new(SUBROSA_EVENT_CERTIFICATE_REJECTED)
            },
            Event::Listening { transport, local } => Self {
                transport: transport_number(*transport),
                addr: (*local).into(),
                ..Self::new(SUBROSA_EVENT_LISTENING)
            },
            Event::TransportChanged { account, transport, fallback } => Self {
                account: account.to_raw(),
                transport: transport_number(*transport),
                fallback: i32::from(*fallback),
                ..Self::new(SUBROSA_EVENT_TRANSPORT_CHANGED)
            },
            Event::ListenFailed { transport } => Self {
                transport: transport_number(*transport),
                ..Self::new(SUBROSA_EVENT_LISTEN_FAILED)
            },
            event => Self::from_call_event(event, texts),
        }
    }

    fn from_call_event(event: &Event, texts: &mut Texts) -> Self {
        match event {
            Event::IncomingCall { call, account, from, display_name } => Self {
                account: account.map_or(0, |account| account.to_raw()),
                from: texts.lend(from),
                display_name: texts.lend(display_name),
                ..Self::of_call(SUBROSA_EVENT_INCOMING_CALL, *call)
            },
            Event::IncomingRefused { account, from, display_name, reason } => {
                let mut out = Self::new(SUBROSA_EVENT_INCOMING_REFUSED);
                out.account = account.map_or(0, |account| account.to_raw());
                out.from = texts.lend(from);
                out.display_name = texts.lend(display_name);
                out.set_failure(reason, texts);
                out
            }
            Event::CallProgress { call, status, early_media } => Self {
                sip_status: i32::from(*status),
                early_media: i32::from(*early_media),
                ..Self::of_call(SUBROSA_EVENT_CALL_PROGRESS, *call)
            },
            Event::CallEstablished { call } => Self::of_call(SUBROSA_EVENT_CALL_ESTABLISHED, *call),
            Event::CallMediaChanged { call, local_hold, remote_hold } => Self {
                local_hold: i32::from(*local_hold),
                remote_hold: i32::from(*remote_hold),
                ..Self::of_call(SUBROSA_EVENT_CALL_MEDIA_CHANGED, *call)
            },
            Event::MediaSocketsChanged { call, rtp, rtcp } => Self {
                rtp_socket: rtp.to_raw(),
                rtcp_socket: rtcp.to_raw(),
                ..Self::of_call(SUBROSA_EVENT_MEDIA_SOCKETS_CHANGED, *call)
            },
            Event::SecurityChanged { call, padlock } => Self {
                padlock: padlock_number(*padlock),
                ..Self::of_call(SUBROSA_EVENT_SECURITY_CHANGED, *call)
            },
            Event::DtmfReceived { call, digit } => Self {
                digit: i32::try_from(u32::from(*digit)).unwrap_or(0),
                ..Self::of_call(SUBROSA_EVENT_DTMF_RECEIVED, *call)
            },
            Event::NoMedia { call, reason } => Self {
                no_media: no_media_number(*reason),
                ..Self::of_call(SUBROSA_EVENT_NO_MEDIA, *call)
            },
            Event::SecurityDowngrade { call, before, now } => Self {
                level_before: level_number(Some(*before)),
                level_now: level_number(Some(*now)),
                ..Self::of_call(SUBROSA_EVENT_SECURITY_DOWNGRADE, *call)
            },
            Event::PeerIdentityChanged { call } => {
                Self::of_call(SUBROSA_EVENT_PEER_IDENTITY_CHANGED, *call)
            }
            Event::CircuitBreaker { call, reason } => Self {
                breaker: breaker_number(Some(*reason)),
                ..Self::of_call(SUBROSA_EVENT_CIRCUIT_BREAKER, *call)
            },
            Event::MediaResumed { call } => Self::of_call(SUBROSA_EVENT_MEDIA_RESUMED, *call),
            Event::CallEnded { call, reason } => {
                let mut out = Self::of_call(SUBROSA_EVENT_CALL_ENDED, *call);
                out.end_reason = end_number(reason);
                match reason {
                    EndReason::Rejected(status) => out.sip_status = i32::from(*status),
                    EndReason::Refused { status, reason } => {
                        out.sip_status = i32::from(*status);
                        out.text = texts.lend(reason);
                    }
                    EndReason::Failed(reason) => out.set_failure(reason, texts),
                    _ => {}
                }
                out
            }
            other => {
                Self { text: texts.lend(&format!("{other:?}")), ..Self::new(SUBROSA_EVENT_OTHER) }
            }
        }
    }
}

fn micros(duration: crate::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn end_number(reason: &EndReason) -> i32 {
    match reason {
        EndReason::LocalHangUp => SUBROSA_END_LOCAL_HANG_UP,
        EndReason::RemoteHangUp => SUBROSA_END_REMOTE_HANG_UP,
        EndReason::Cancelled => SUBROSA_END_CANCELLED,
        EndReason::RemoteCancelled => SUBROSA_END_REMOTE_CANCELLED,
        EndReason::Rejected(_) => SUBROSA_END_REJECTED,
        EndReason::Refused { .. } => SUBROSA_END_REFUSED,
        EndReason::NoAnswer => SUBROSA_END_NO_ANSWER,
        EndReason::Failed(_) => SUBROSA_END_FAILED,
    }
}

pub(super) const fn no_media_number(reason: NoMediaReason) -> i32 {
    match reason {
        NoMediaReason::Silence => SUBROSA_NO_MEDIA_SILENCE,
        NoMediaReason::WrongKeys => SUBROSA_NO_MEDIA_WRONG_KEYS,
        NoMediaReason::Plain => SUBROSA_NO_MEDIA_PLAIN,
        NoMediaReason::WrongSource => SUBROSA_NO_MEDIA_WRONG_SOURCE,
        NoMediaReason::WrongPayloadType => SUBROSA_NO_MEDIA_WRONG_PAYLOAD_TYPE,
        NoMediaReason::Malformed => SUBROSA_NO_MEDIA_MALFORMED,
        #[allow(unreachable_patterns)]
        _ => SUBROSA_NO_MEDIA_OTHER,
    }
}

fn failure_number(reason: &FailureReason) -> i32 {
    match reason {
        FailureReason::NameNotFound => SUBROSA_FAILURE_NAME_NOT_FOUND,
        FailureReason::Unreachable => SUBROSA_FAILURE_UNREACHABLE,
        FailureReason::Timeout => SUBROSA_FAILURE_TIMEOUT,
        FailureReason::Certificate(_) => SUBROSA_FAILURE_CERTIFICATE,
        FailureReason::Tls(_) => SUBROSA_FAILURE_TLS,
        FailureReason::Credentials => SUBROSA_FAILURE_CREDENTIALS,
        FailureReason::NoCredentials => SUBROSA_FAILURE_NO_CREDENTIALS,
        FailureReason::ForeignRealm => SUBROSA_FAILURE_FOREIGN_REALM,
        FailureReason::Status(..) => SUBROSA_FAILURE_STATUS,
        FailureReason::Negotiation(_) => SUBROSA_FAILURE_NEGOTIATION,
        FailureReason::MediaUpdate(_) => SUBROSA_FAILURE_MEDIA_UPDATE,
        FailureReason::Policy(_) => SUBROSA_FAILURE_POLICY,
        FailureReason::Keying(_) => SUBROSA_FAILURE_KEYING,
        FailureReason::KeyingUnsupported => SUBROSA_FAILURE_KEYING_UNSUPPORTED,
        FailureReason::NoMediaPort => SUBROSA_FAILURE_NO_MEDIA_PORT,
        FailureReason::ConnectionLost => SUBROSA_FAILURE_CONNECTION_LOST,
        #[allow(unreachable_patterns)]
        _ => SUBROSA_FAILURE_OTHER,
    }
}

impl subrosa_output {
    pub(super) fn new(kind: i32, id: u64) -> Self {
        Self {
            size: 0,
            kind,
            id,
            addr: subrosa_addr::default(),
            dns_kind: 0,
            has_at: 0,
            at_us: 0,
            data: std::ptr::null(),
            data_len: 0,
            needed: 0,
            name: EMPTY,
            event: subrosa_event::new(SUBROSA_EVENT_OTHER),
            update: std::ptr::null_mut(),
        }
    }

    fn with_data(self, data: &[u8]) -> Self {
        Self { data: data.as_ptr(), data_len: data.len(), ..self }
    }

    fn from_output(output: &Output<'_>, texts: &mut Texts) -> Self {
        match output {
            Output::Datagram { socket, remote, payload } => Self {
                addr: (*remote).into(),
                ..Self::new(SUBROSA_OUTPUT_DATAGRAM, socket.to_raw()).with_data(payload)
            },
            Output::StreamData { stream, data } => {
                Self::new(SUBROSA_OUTPUT_STREAM_DATA, stream.to_raw()).with_data(data)
            }
            Output::Connect { stream, remote } => Self {
                addr: (*remote).into(),
                ..Self::new(SUBROSA_OUTPUT_CONNECT, stream.to_raw())
            },
            Output::CloseStream { stream } => {
                Self::new(SUBROSA_OUTPUT_CLOSE_STREAM, stream.to_raw())
            }
            Output::Listen { listener, local } => Self {
                addr: (*local).into(),
                ..Self::new(SUBROSA_OUTPUT_LISTEN, listener.to_raw())
            },
            Output::BindUdp { socket, local } => Self {
                addr: (*local).into(),
                ..Self::new(SUBROSA_OUTPUT_BIND_UDP, socket.to_raw())
            },
            Output::CloseUdp { socket } => Self::new(SUBROSA_OUTPUT_CLOSE_UDP, socket.to_raw()),
            Output::Resolve { query, name, kind } => Self {
                dns_kind: kind_number(*kind),
                name: texts.lend(name),
                ..Self::new(SUBROSA_OUTPUT_RESOLVE, query.to_raw())
            },
            Output::Event(event) => Self {
                event: subrosa_event::from_event(event, texts),
                ..Self::new(SUBROSA_OUTPUT_EVENT, 0)
            },
            Output::BufferTooSmall { needed } => {
                Self { needed: *needed, ..Self::new(SUBROSA_OUTPUT_BUFFER_TOO_SMALL, 0) }
            }
            Output::Timeout(at) => Self {
                has_at: i32::from(at.is_some()),
                at_us: at.map_or(0, |at| at.as_micros()),
                ..Self::new(SUBROSA_OUTPUT_TIMEOUT, 0)
            },
            #[allow(unreachable_patterns)]
            _ => Self::new(SUBROSA_OUTPUT_OTHER, 0),
        }
    }
}

/// The next thing to do. After every input and every command, poll and do what it says until
/// SUBROSA_OUTPUT_TIMEOUT. Bytes to send are written into `buffer`: 2048 bytes are a good size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_poll_output(
    engine: *mut subrosa_engine,
    buffer: *mut u8,
    room: usize,
    out: *mut subrosa_output,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, texts| {
            let (buffer, out) = (slice_mut(buffer, room)?, OutStruct::new(out)?);
            out.write(match state.engine.poll_output(buffer) {
                Output::Media { call, update } => subrosa_output {
                    update: update_handle(*update),
                    ..subrosa_output::new(SUBROSA_OUTPUT_MEDIA, call.to_raw())
                },
                output => subrosa_output::from_output(&output, texts),
            });
            Ok(())
        })
    }
}
