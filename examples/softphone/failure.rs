//! Every way to fail: one clear sentence and an exit status of its own.

use std::fmt;

use subrosa::driver::{AudioFileError, PhoneError};
use subrosa::engine::{EndReason, FailureReason};

/// Exit statuses, as --help lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Usage = 2,
    File = 3,
    Start = 4,
    Unreachable = 10,
    Credentials = 11,
    Certificate = 12,
    Refused = 13,
    NoAnswer = 14,
    Security = 15,
    Failed = 16,
    Busy = 17,
    Declined = 18,
}

/// Why the phone gives up.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) sentence: String,
}

impl Failure {
    pub(crate) fn new(status: Status, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into() }
    }

    /// A wrong option.
    pub(crate) fn usage(sentence: impl fmt::Display) -> Self {
        Self::new(Status::Usage, format!("{sentence}; softphone --help lists the options"))
    }

    /// A failure while doing `what`, for example "cannot register at example.com".
    pub(crate) fn because(what: &str, reason: &FailureReason) -> Self {
        Self::new(status_of(reason), format!("{what}: {reason}"))
    }

    /// How a call ended, if that is a failure.
    pub(crate) fn of_call(reason: &EndReason) -> Option<Self> {
        Some(match reason {
            EndReason::LocalHangUp | EndReason::RemoteHangUp => return None,
            EndReason::Refused { status, reason } => {
                let (kind, what) = match status {
                    401 | 407 => (Status::Credentials, "the call was refused"),
                    408 | 480 => (Status::NoAnswer, "nobody answered the call"),
                    486 | 600 => (Status::Busy, "the far end is busy"),
                    603 | 607 => (Status::Declined, "the call was declined"),
                    _ => (Status::Refused, "the call was refused"),
                };
                Self::new(kind, format!("{what}: {status} {reason}"))
            }
            EndReason::NoAnswer | EndReason::Cancelled => {
                Self::new(Status::NoAnswer, "nobody answered the call")
            }
            EndReason::RemoteCancelled => {
                Self::new(Status::NoAnswer, "the caller gave up before the call was answered")
            }
            EndReason::Rejected(status) => {
                Self::new(Status::Refused, format!("we rejected the call with status {status}"))
            }
            EndReason::Failed(reason) => Self::because("the call failed", reason),
            other => Self::new(Status::Failed, format!("the call ended: {other:?}")),
        })
    }
}

fn status_of(reason: &FailureReason) -> Status {
    match reason {
        FailureReason::NameNotFound
        | FailureReason::Unreachable
        | FailureReason::Timeout
        | FailureReason::ConnectionLost => Status::Unreachable,
        FailureReason::Credentials | FailureReason::NoCredentials | FailureReason::ForeignRealm => {
            Status::Credentials
        }
        FailureReason::Certificate(_) => Status::Certificate,
        FailureReason::Status(..) => Status::Refused,
        FailureReason::Policy(_)
        | FailureReason::Negotiation(_)
        | FailureReason::Tls(_)
        | FailureReason::Keying(_)
        | FailureReason::KeyingUnsupported => Status::Security,
        _ => Status::Failed,
    }
}

impl From<PhoneError> for Failure {
    fn from(error: PhoneError) -> Self {
        let status = match error {
            PhoneError::Start(_) => Status::Start,
            PhoneError::Config(_) | PhoneError::Account(_) | PhoneError::Call(_) => Status::Usage,
            _ => Status::Failed,
        };
        Self::new(status, error.to_string())
    }
}

impl From<AudioFileError> for Failure {
    fn from(error: AudioFileError) -> Self {
        Self::new(Status::File, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status of a call that ended so.
    fn status(reason: &EndReason) -> Option<i32> {
        Failure::of_call(reason).map(|failure| failure.status as i32)
    }

    #[test]
    fn each_end_of_a_call_has_its_status() {
        let text = String::new;
        let failed = |reason| EndReason::Failed(reason);
        let refused = |status| EndReason::Refused { status, reason: text() };
        for (end, wanted) in [
            (EndReason::LocalHangUp, None),
            (EndReason::RemoteHangUp, None),
            (failed(FailureReason::NameNotFound), Some(10)),
            (failed(FailureReason::ConnectionLost), Some(10)),
            (failed(FailureReason::ForeignRealm), Some(11)),
            (refused(407), Some(11)),
            (failed(FailureReason::Certificate(text())), Some(12)),
            (failed(FailureReason::Status(500, text())), Some(13)),
            (refused(404), Some(13)),
            (EndReason::Rejected(480), Some(13)),
            (EndReason::NoAnswer, Some(14)),
            (EndReason::RemoteCancelled, Some(14)),
            (refused(480), Some(14)),
            (failed(FailureReason::Policy(text())), Some(15)),
            (failed(FailureReason::Negotiation(text())), Some(15)),
            (failed(FailureReason::Tls(text())), Some(15)),
            (failed(FailureReason::Keying(text())), Some(15)),
            (failed(FailureReason::KeyingUnsupported), Some(15)),
            (failed(FailureReason::NoMediaPort), Some(16)),
            (failed(FailureReason::MediaUpdate(text())), Some(16)),
            (refused(600), Some(17)),
            (refused(603), Some(18)),
        ] {
            assert_eq!(status(&end), wanted, "{end:?}");
        }
    }

    #[test]
    fn each_failure_of_the_phone_has_its_status() {
        let start = PhoneError::Start(std::io::ErrorKind::AddrInUse.into());
        assert_eq!(Failure::from(start).status as i32, 4);
        assert_eq!(Failure::from(PhoneError::Stopped).status as i32, 16);
        assert_eq!(Failure::usage("no such option").status as i32, 2);
    }
}
