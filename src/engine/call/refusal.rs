//! Why a session description was refused: in words for the end of the call, and by number for the
//! statistics if it was the far end's.

use alloc::string::ToString;

use crate::engine::event::FailureReason;
use crate::sdp::{NegotiationError, SdpError, SdpFault};

/// Why a session description was refused.
pub(super) struct Refusal {
    pub(super) reason: FailureReason,
    pub(super) fault: Option<SdpFault>,
}

impl Refusal {
    pub(super) fn new(reason: FailureReason, fault: SdpFault) -> Self {
        Self { reason, fault: Some(fault) }
    }

    /// The gate does not take what the far end offers or answers.
    pub(super) fn gate(reason: &'static str) -> Self {
        Self::new(FailureReason::Policy(reason.to_string()), SdpFault::EncryptionRequired)
    }
}

/// A reason on our own side.
impl From<FailureReason> for Refusal {
    fn from(reason: FailureReason) -> Self {
        Self { reason, fault: None }
    }
}

impl From<SdpError> for Refusal {
    fn from(error: SdpError) -> Self {
        Self::new(FailureReason::Negotiation(error.to_string()), SdpFault::from(&error))
    }
}

impl From<NegotiationError> for Refusal {
    fn from(error: NegotiationError) -> Self {
        let reason = FailureReason::Negotiation(error.to_string());
        Self { reason, fault: SdpFault::try_from(&error).ok() }
    }
}
