//! Why a session description was refused: in words for the end of the call, and by number for the
//! statistics if it was the far end's.

use alloc::string::ToString;

use crate::engine::event::FailureReason;
use crate::engine::gate::Gate;
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

    /// The answer to our offer cannot be used. One without protection is refused in the words of
    /// the policy: what is wrong is not that the two ends have nothing in common.
    pub(super) fn answer(error: NegotiationError, gate: Gate, protected: bool) -> Self {
        use NegotiationError::{EncryptionRequired, KeysDropped, ProfileDowngraded};
        let fault = SdpFault::try_from(&error).ok();
        match error {
            EncryptionRequired | KeysDropped | ProfileDowngraded => {
                let reason = FailureReason::Policy(gate.without_keys(protected).to_string());
                Self { reason, fault }
            }
            error => error.into(),
        }
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
