//! What the engine tells: one struct, whatever happened.

use super::account::transport_number;
use super::addr::subrosa_addr;
use super::breaker::{SUBROSA_BREAKER_NONE, breaker_number};
use super::end::{
    SUBROSA_END_NONE, SUBROSA_FAILURE_NONE, SUBROSA_NO_MEDIA_NONE, end_number, failure_number,
    no_media_number,
};
use super::guard::Texts;
use super::peers::{SUBROSA_LEVEL_NONE, level_number};
use super::pointer::subrosa_str;
use super::report::{SUBROSA_PADLOCK_NONE, padlock_number};
use crate::engine::{EndReason, Event, FailureReason};

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
/// The program, which encodes the audio of `call` by itself, is to encode otherwise:
/// subrosa_call_encoding.
pub const SUBROSA_EVENT_ENCODING_CHANGED: i32 = 22;
/// The call's media is sent again after SUBROSA_EVENT_CIRCUIT_BREAKER: the far end is back.
pub const SUBROSA_EVENT_SENDING_RESUMED: i32 = 23;

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

impl subrosa_event {
    pub(super) fn new(kind: i32) -> Self {
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
            Event::EncodingChanged { call } => Self::of_call(SUBROSA_EVENT_ENCODING_CHANGED, *call),
            Event::SendingResumed { call } => Self::of_call(SUBROSA_EVENT_SENDING_RESUMED, *call),
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

#[cfg(test)]
mod tests {
    use super::super::named::{count, number};
    use super::*;
    use crate::engine::{AccountId, CallId, Padlock, SecurityLevel};
    use crate::media::breaker::BreakerReason;
    use crate::media::session::NoMediaReason;
    use crate::sip::{SocketId, Transport};
    use crate::time::Duration;

    /// What an event tells beside its kind: the fields that are not 0 or empty.
    fn told(event: &subrosa_event) -> String {
        let numbers = [
            ("transport", i64::from(event.transport)),
            ("call", event.call as i64),
            ("account", event.account as i64),
            ("duration", event.duration_us as i64),
            ("status", i64::from(event.sip_status)),
            ("end", i64::from(event.end_reason)),
            ("failure", i64::from(event.failure)),
            ("digit", i64::from(event.digit)),
            ("early", i64::from(event.early_media)),
            ("local", i64::from(event.local_hold)),
            ("remote", i64::from(event.remote_hold)),
            ("fallback", i64::from(event.fallback)),
            ("no_media", i64::from(event.no_media)),
            ("breaker", i64::from(event.breaker)),
            ("before", i64::from(event.level_before) - i64::from(SUBROSA_LEVEL_NONE)),
            ("now", i64::from(event.level_now) - i64::from(SUBROSA_LEVEL_NONE)),
            ("padlock", i64::from(event.padlock) - i64::from(SUBROSA_PADLOCK_NONE)),
            ("rtp", event.rtp_socket as i64),
            ("rtcp", event.rtcp_socket as i64),
            ("port", i64::from(event.addr.port)),
        ];
        let texts = [("from", event.from), ("name", event.display_name), ("text", event.text)];
        let numbers =
            numbers.iter().filter(|(_, n)| *n != 0).map(|(what, n)| format!("{what} {n}"));
        let texts = texts.iter().filter(|(_, text)| text.len > 0).map(|(what, text)| {
            // SAFETY: lent by texts that live as long as the test looks at them.
            format!("{what} {}", unsafe { text.text() }.unwrap())
        });
        numbers.chain(texts).collect::<Vec<_>>().join(", ")
    }

    /// Every event with what C is told of it.
    fn cases() -> Vec<(Event, String)> {
        let (call, account) = (CallId::from_raw(1), AccountId::from_raw(2));
        let (from, display_name) = ("sip:a@b".to_owned(), "Ann".to_owned());
        let transport = Transport::Tls;
        let failed = FailureReason::Status(503, "Later".into());
        let level = |level| level_number(Some(level)) - SUBROSA_LEVEL_NONE;
        let padlock = |lock| padlock_number(lock) - SUBROSA_PADLOCK_NONE;
        let downgrade = format!(
            "call 1, before {}, now {}",
            level(SecurityLevel::VerifiedEndToEnd),
            level(SecurityLevel::EncryptedToProvider)
        );
        let locked = format!("call 1, padlock {}", padlock(Padlock::EncryptedToProvider));
        let told = |event, told: &str| (event, told.to_owned());
        vec![
            told(
                Event::Registered { account, transport, expires: Duration::from_micros(9) },
                "transport 3, account 2, duration 9",
            ),
            told(
                Event::TransportChanged { account, transport, fallback: true },
                "transport 3, account 2, fallback 1",
            ),
            told(Event::Unregistered { account }, "account 2"),
            told(
                Event::RegistrationFailed {
                    account,
                    reason: failed.clone(),
                    retry_in: Some(Duration::from_micros(8)),
                },
                "account 2, duration 8, status 503, failure 8, text the far end answered 503 Later",
            ),
            told(
                Event::IncomingCall {
                    call,
                    account: Some(account),
                    from: from.clone(),
                    display_name: display_name.clone(),
                },
                "call 1, account 2, from sip:a@b, name Ann",
            ),
            told(
                Event::IncomingRefused {
                    account: Some(account),
                    from,
                    display_name,
                    reason: FailureReason::Policy("plain".into()),
                },
                "account 2, failure 10, from sip:a@b, name Ann, \
                 text the security policy does not allow this call: plain",
            ),
            told(
                Event::CallProgress { call, status: 183, early_media: true },
                "call 1, status 183, early 1",
            ),
            told(Event::CallEstablished { call }, "call 1"),
            told(
                Event::CallMediaChanged { call, local_hold: true, remote_hold: false },
                "call 1, local 1",
            ),
            told(
                Event::CallMediaChanged { call, local_hold: false, remote_hold: true },
                "call 1, remote 1",
            ),
            (Event::SecurityChanged { call, padlock: Padlock::EncryptedToProvider }, locked),
            (
                Event::SecurityDowngrade {
                    call,
                    before: SecurityLevel::VerifiedEndToEnd,
                    now: SecurityLevel::EncryptedToProvider,
                },
                downgrade,
            ),
            told(Event::PeerIdentityChanged { call }, "call 1"),
            told(
                Event::MediaSocketsChanged {
                    call,
                    rtp: SocketId::from_raw(5),
                    rtcp: SocketId::from_raw(6),
                },
                "call 1, rtp 5, rtcp 6",
            ),
            told(Event::DtmfReceived { call, digit: '#' }, "call 1, digit 35"),
            told(Event::NoMedia { call, reason: NoMediaReason::Plain }, "call 1, no_media 3"),
            told(
                Event::CircuitBreaker { call, reason: BreakerReason::MediaTimeout },
                "call 1, breaker 2",
            ),
            told(Event::MediaResumed { call }, "call 1"),
            told(Event::EncodingChanged { call }, "call 1"),
            told(Event::SendingResumed { call }, "call 1"),
            told(
                Event::CertificateRejected { domain: "b".into(), problem: "expired".into() },
                "from b, text expired",
            ),
            told(
                Event::Listening { transport, local: ([192, 0, 2, 1], 5061).into() },
                "transport 3, port 5061",
            ),
            told(Event::ListenFailed { transport: Transport::Tcp }, "transport 2"),
            told(Event::CallEnded { call, reason: EndReason::NoAnswer }, "call 1, end 7"),
            told(
                Event::CallEnded { call, reason: EndReason::Rejected(603) },
                "call 1, status 603, end 5",
            ),
            told(
                Event::CallEnded {
                    call,
                    reason: EndReason::Refused { status: 486, reason: "Busy".into() },
                },
                "call 1, status 486, end 6, text Busy",
            ),
            told(
                Event::CallEnded { call, reason: EndReason::Failed(failed) },
                "call 1, status 503, end 8, failure 8, text the far end answered 503 Later",
            ),
        ]
    }

    #[test]
    fn each_event_is_told_with_its_kind_and_all_that_it_says() {
        let mut kinds = std::collections::BTreeSet::new();
        for (event, expected) in cases() {
            let mut texts = Texts::default();
            let out = subrosa_event::from_event(&event, &mut texts);
            assert_eq!(out.kind, number("SUBROSA_EVENT_", &event), "{event:?}");
            assert_eq!(told(&out), expected, "{event:?}");
            kinds.insert(out.kind);
        }
        assert_eq!(kinds.len(), count("SUBROSA_EVENT_"), "an event without a case here");
    }
}
