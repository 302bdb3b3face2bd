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
        FailureReason::Policy(_) | FailureReason::Negotiation(_) | FailureReason::Tls(_) => {
            Status::Security
        }
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
