//! New keys for a call in good time: before a lifetime ends, and where others know the key in use.

use super::calls::CallEntry;
use crate::time::{Duration, Instant};
use crate::util::Rng;

/// The pause after an attempt that changed nothing, doubled from one to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(32);

/// When new keys are asked for next, should they still be due.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    not_before: Option<Instant>,
    pause: Option<Duration>,
}

impl CallEntry {
    /// New keys are due: a lifetime nears its end, or others know our key.
    fn new_keys_are_due(&self) -> bool {
        let media = &self.machine.media;
        let ends = || self.media.rekey_due();
        self.machine.wants_new_keys() || (media.is_keyed_by_sdes() && ends())
    }

    /// When [`renew_keys_if_due`](Self::renew_keys_if_due) has work.
    pub(super) fn next_renewal(&self) -> Option<Instant> {
        let due = self.machine.may_renew_keys() && self.new_keys_are_due();
        due.then(|| self.renewal.not_before.unwrap_or(Instant::ZERO))
    }

    /// Asks for new keys by re-INVITE if they are due.
    pub(super) fn renew_keys_if_due(&mut self, now: Instant, rng: &mut dyn Rng) {
        if !self.new_keys_are_due() {
            self.renewal = Renewal::default();
            return;
        }
        if self.renewal.not_before.is_some_and(|at| at > now) {
            return;
        }
        // If something else is being agreed on, its end is waited for.
        if self.machine.renew_keys(rng).is_ok() {
            let pause = self.renewal.pause.unwrap_or(FIRST_PAUSE);
            self.renewal.not_before = Some(now + pause);
            self.renewal.pause = Some(pause.saturating_mul(2).min(LONGEST_PAUSE));
        }
    }

    /// The call is over: none of its keys and credentials is kept, though it is, for its
    /// statistics.
    pub(super) fn forget_keys(&mut self, now: Instant) {
        self.machine.media.forget_keys();
        self.dtls_keys = None;
        self.early_hellos.clear();
        self.machine.forget_descriptions();
        self.auth = None;
        if let Some(invite) = &mut self.invite {
            invite.forget_body();
        }
        if let Some(leg) = &mut self.dtls {
            leg.session.close(now);
        }
    }
}
