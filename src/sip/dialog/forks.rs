//! Several 2xx to one INVITE: one dialog is kept, the others are ended (RFC 3261 §13.2.2.4).

use alloc::collections::BTreeSet;

use super::DialogId;
use crate::wire::sip::Message;

/// What to do with a 2xx to our INVITE. Each but [`ForkDecision::Ignore`] asks for an ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForkDecision {
    /// The first: send ACK; this dialog is the call.
    Keep,
    /// A repetition: send the same ACK again ([`AckCache`](super::AckCache)).
    AckAgain,
    /// Another branch answered too, or the call was cancelled: send ACK, then BYE in that dialog.
    AckThenBye,
    /// No dialog can be made of it (no To tag), or more forks answered than any proxy makes.
    Ignore,
}

/// Most dialogs that are acknowledged only to be ended.
const MAX_DISCARDED: usize = 32;

/// Decides over the 2xx responses to one INVITE.
#[derive(Clone, Debug, Default)]
pub struct Forks {
    kept: Option<DialogId>,
    discarded: BTreeSet<DialogId>,
    closed: bool,
}

impl Forks {
    /// Before any 2xx.
    pub fn new() -> Self {
        Self::default()
    }

    /// The call was cancelled: a 2xx that crosses the CANCEL is acknowledged and ended.
    pub fn cancel(&mut self) {
        self.closed = true;
    }

    /// A 2xx to the INVITE came, from its transaction or stray.
    pub fn handle_2xx(&mut self, response: &Message) -> ForkDecision {
        let Some(id) = DialogId::of_response(response) else { return ForkDecision::Ignore };
        if self.kept.as_ref() == Some(&id) || self.discarded.contains(&id) {
            return ForkDecision::AckAgain;
        }
        if self.kept.is_none() && !self.closed {
            self.kept = Some(id);
            return ForkDecision::Keep;
        }
        if self.discarded.len() >= MAX_DISCARDED {
            return ForkDecision::Ignore;
        }
        self.discarded.insert(id);
        ForkDecision::AckThenBye
    }

    /// The dialog that was kept.
    pub const fn kept(&self) -> Option<&DialogId> {
        self.kept.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ok, request};
    use super::*;

    #[test]
    fn the_first_2xx_is_kept_and_every_other_dialog_is_ended_once() {
        let invite = request("INVITE", 5, None);
        let mut forks = Forks::new();
        let seen = ["b1", "b1", "b2", "b1", "b2", "b3"].map(|t| forks.handle_2xx(&ok(&invite, t)));
        use ForkDecision::*;
        assert_eq!(seen, [Keep, AckAgain, AckThenBye, AckAgain, AckAgain, AckThenBye]);
        assert_eq!(forks.kept().unwrap().remote_tag, "b1");
        let untagged = invite.response(200, "OK").finish().unwrap();
        assert_eq!(forks.handle_2xx(&untagged), Ignore);
    }

    #[test]
    fn a_2xx_that_crosses_a_cancel_is_ended() {
        let invite = request("INVITE", 5, None);
        let mut forks = Forks::new();
        forks.cancel();
        assert_eq!(forks.handle_2xx(&ok(&invite, "b1")), ForkDecision::AckThenBye);
        assert_eq!(forks.handle_2xx(&ok(&invite, "b1")), ForkDecision::AckAgain);
        assert!(forks.kept().is_none());
    }

    #[test]
    fn a_flood_of_forks_is_bounded() {
        let invite = request("INVITE", 5, None);
        let mut forks = Forks::new();
        let ends = (0..100)
            .filter(|i| {
                forks.handle_2xx(&ok(&invite, &format!("b{i}"))) == ForkDecision::AckThenBye
            })
            .count();
        assert_eq!(ends, MAX_DISCARDED);
    }
}
