//! Why calls end, and what else goes wrong: numbers for C.

use crate::engine::{EndReason, FailureReason};
use crate::media::session::NoMediaReason;

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

pub(super) fn failure_number(reason: &FailureReason) -> i32 {
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

#[cfg(test)]
mod tests {
    use super::super::named::{count, number};
    use super::*;

    #[test]
    fn each_end_and_failure_has_its_own_number() {
        let text = String::new;
        let failures = [
            FailureReason::NameNotFound,
            FailureReason::Unreachable,
            FailureReason::Timeout,
            FailureReason::Certificate(text()),
            FailureReason::Tls(text()),
            FailureReason::Credentials,
            FailureReason::NoCredentials,
            FailureReason::ForeignRealm,
            FailureReason::Status(503, text()),
            FailureReason::Negotiation(text()),
            FailureReason::Keying(text()),
            FailureReason::KeyingUnsupported,
            FailureReason::MediaUpdate(text()),
            FailureReason::Policy(text()),
            FailureReason::NoMediaPort,
            FailureReason::ConnectionLost,
        ];
        assert_eq!(failures.len(), count("SUBROSA_FAILURE_"));
        for failure in &failures {
            assert_eq!(failure_number(failure), number("SUBROSA_FAILURE_", failure), "{failure:?}");
        }
        let ends = [
            EndReason::LocalHangUp,
            EndReason::RemoteHangUp,
            EndReason::Cancelled,
            EndReason::RemoteCancelled,
            EndReason::Rejected(486),
            EndReason::Refused { status: 486, reason: text() },
            EndReason::NoAnswer,
            EndReason::Failed(FailureReason::Timeout),
        ];
        assert_eq!(ends.len(), count("SUBROSA_END_"));
        for end in &ends {
            assert_eq!(end_number(end), number("SUBROSA_END_", end), "{end:?}");
        }
    }

    #[test]
    fn each_reason_for_silence_has_its_own_number() {
        let reasons = [
            NoMediaReason::Silence,
            NoMediaReason::WrongKeys,
            NoMediaReason::Plain,
            NoMediaReason::WrongSource,
            NoMediaReason::WrongPayloadType,
            NoMediaReason::Malformed,
        ];
        assert_eq!(reasons.len(), count("SUBROSA_NO_MEDIA_"));
        for reason in reasons {
            assert_eq!(no_media_number(reason), number("SUBROSA_NO_MEDIA_", &reason), "{reason:?}");
        }
    }
}
