//! Which call-progress tone a call calls for. The host plays it, or a `Phone` whose audio has a
//! tone plan.

use super::call::{CallState, Direction};
use super::event::EndReason;
use super::facade::Call;
use crate::media::tones::ToneKind;

impl EndReason {
    /// What a telephone plays when a call ends so; `None`: nothing, because we ended it, or nobody
    /// waits any more.
    pub fn tone(&self) -> Option<ToneKind> {
        match self {
            Self::LocalHangUp | Self::Cancelled | Self::RemoteCancelled | Self::Rejected(_) => None,
            Self::RemoteHangUp => Some(ToneKind::Busy),
            Self::Refused { status, .. } => Some(tone_of_status(*status)),
            Self::NoAnswer | Self::Failed(_) => Some(ToneKind::Congestion),
        }
    }
}

/// The tone for a final response, as gateways play the causes that it stands for (RFC 3398 §7.2.6).
fn tone_of_status(status: u16) -> ToneKind {
    match status {
        // Busy, declined, unwanted.
        486 | 600 | 603 | 607 => ToneKind::Busy,
        // No such number, number changed, address incomplete, does not exist anywhere.
        404 | 410 | 484 | 485 | 604 => ToneKind::SpecialInformation,
        _ => ToneKind::Congestion,
    }
}

impl Call<'_> {
    /// The tone that the person at this end should hear now: ringback while the far end rings and
    /// sends no audio of its own, and after the end what [`EndReason::tone`] says.
    pub fn tone(&self) -> Option<ToneKind> {
        match (self.state(), self.direction()) {
            (CallState::Ringing, Direction::Outgoing) if !self.has_early_media() => {
                Some(ToneKind::Ringback)
            }
            (CallState::Ended, _) => self.end_reason()?.tone(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::FailureReason;
    use super::*;

    #[test]
    fn the_end_of_a_call_has_the_tone_that_everybody_knows() {
        let refused = |status| EndReason::Refused { status, reason: String::new() }.tone();
        assert_eq!([486, 603].map(refused), [Some(ToneKind::Busy); 2]);
        assert_eq!([404, 604].map(refused), [Some(ToneKind::SpecialInformation); 2]);
        assert_eq!([408, 480, 500, 503].map(refused), [Some(ToneKind::Congestion); 4]);
        assert_eq!(EndReason::RemoteHangUp.tone(), Some(ToneKind::Busy));
        assert_eq!(EndReason::Failed(FailureReason::Timeout).tone(), Some(ToneKind::Congestion));
        for quiet in [EndReason::LocalHangUp, EndReason::Cancelled, EndReason::Rejected(486)] {
            assert_eq!(quiet.tone(), None);
        }
    }
}
