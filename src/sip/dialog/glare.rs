//! Offers that cross: one re-INVITE (or UPDATE with an offer) at a time (RFC 3261 §14,
//! RFC 3311 §5.2).

use crate::time::{Duration, Instant};
use crate::util::{Rng, RngExt};

/// How to refuse a request that comes at the wrong time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GlareRefusal {
    /// 491 (ours is under way) or 500 (theirs is).
    pub status: u16,
    /// Retry-After, seconds; with the 500 only (§14.2).
    pub retry_after: Option<u32>,
}

/// What follows from the final response to an offer of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GlareOutcome {
    /// It is settled.
    Done,
    /// 491: it is to be sent again when [`Glare::handle_timeout`] says so.
    RetryLater,
    /// 491 once too often: give the offer up.
    GiveUp,
}

/// Why an offer of ours has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an offer is under way in this dialog: send the next one when it is settled")]
pub struct OfferPending;

/// How often an offer is sent again after 491.
const MAX_RETRIES: u32 = 10;

/// The offers of one dialog.
#[derive(Clone, Debug)]
pub struct Glare {
    /// We chose the Call-ID, so we wait longer (§14.1).
    owner: bool,
    local: bool,
    remote: bool,
    retries: u32,
    retry_at: Option<Instant>,
}

impl Glare {
    /// No offer under way. `owner` is true at the end that made the Call-ID of the dialog.
    pub const fn new(owner: bool) -> Self {
        Self { owner, local: false, remote: false, retries: 0, retry_at: None }
    }

    /// We are about to send an offer.
    ///
    /// # Errors
    /// If one is under way, in either direction (§14.1).
    pub fn start_local(&mut self) -> Result<(), OfferPending> {
        if self.local || self.remote {
            return Err(OfferPending);
        }
        (self.local, self.retry_at) = (true, None);
        Ok(())
    }

    /// Our offer got its final response, or its transaction failed (408).
    pub fn finish_local(&mut self, now: Instant, status: u16, rng: &mut dyn Rng) -> GlareOutcome {
        self.local = false;
        if status != 491 {
            self.retries = 0;
            return GlareOutcome::Done;
        }
        if self.retries >= MAX_RETRIES {
            self.retries = 0;
            return GlareOutcome::GiveUp;
        }
        self.retries = self.retries.saturating_add(1);
        let steps = if self.owner { rng.below(191).saturating_add(210) } else { rng.below(201) };
        self.retry_at = Some(now + Duration::from_millis(u64::from(steps) * 10));
        GlareOutcome::RetryLater
    }

    /// An offer came in.
    ///
    /// # Errors
    /// With the refusal to answer, if it crosses ours (491) or follows another of theirs that we
    /// have not answered yet (500, §14.2).
    pub fn handle_remote(&mut self, rng: &mut dyn Rng) -> Result<(), GlareRefusal> {
        if self.remote {
            return Err(GlareRefusal { status: 500, retry_after: Some(rng.below(11)) });
        }
        if self.local {
            return Err(GlareRefusal { status: 491, retry_after: None });
        }
        self.remote = true;
        Ok(())
    }

    /// We answered their offer finally.
    pub fn finish_remote(&mut self) {
        self.remote = false;
    }

    /// True if the refused offer is to be sent again now, if it is still wanted (then
    /// [`Self::start_local`] follows). While an offer of theirs is under way the retry waits for it.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.next_timeout().is_some_and(|at| at <= now);
        if due {
            self.retry_at = None;
        }
        due
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub const fn next_timeout(&self) -> Option<Instant> {
        if self.local || self.remote { None } else { self.retry_at }
    }

    /// True if an offer is under way in either direction.
    pub const fn is_pending(&self) -> bool {
        self.local || self.remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::SeededRng;

    #[test]
    fn crossing_offers_get_491_and_come_again_in_their_own_windows() {
        for owner in [true, false] {
            let (mut low, mut high) = (u64::MAX, 0);
            for seed in 0..4000 {
                let mut rng = SeededRng::new(seed);
                let mut glare = Glare::new(owner);
                glare.start_local().unwrap();
                let refusal = GlareRefusal { status: 491, retry_after: None };
                assert_eq!(glare.handle_remote(&mut rng), Err(refusal));
                let outcome = glare.finish_local(Instant::ZERO, 491, &mut rng);
                assert_eq!(outcome, GlareOutcome::RetryLater);
                let at = glare.next_timeout().unwrap();
                assert_eq!(at.as_micros() % 10_000, 0);
                (low, high) = (low.min(at.as_micros() / 1000), high.max(at.as_micros() / 1000));
                assert!(glare.handle_timeout(at) && !glare.handle_timeout(at));
            }
            assert_eq!((low, high), if owner { (2100, 4000) } else { (0, 2000) });
        }
    }

    #[test]
    fn a_second_offer_before_the_answer_gets_500_with_retry_after() {
        let mut rng = SeededRng::new(1);
        let mut glare = Glare::new(false);
        glare.handle_remote(&mut rng).unwrap();
        assert_eq!(glare.start_local(), Err(OfferPending));
        for _ in 0..100 {
            let refusal = glare.handle_remote(&mut rng).unwrap_err();
            assert_eq!(refusal.status, 500);
            assert!(refusal.retry_after.unwrap() <= 10);
        }
        glare.finish_remote();
        assert!(glare.handle_remote(&mut rng).is_ok());
    }

    #[test]
    fn a_retry_waits_for_their_offer_and_the_number_of_retries_is_bounded() {
        let mut rng = SeededRng::new(1);
        let mut glare = Glare::new(false);
        glare.start_local().unwrap();
        glare.finish_local(Instant::ZERO, 491, &mut rng);
        glare.handle_remote(&mut rng).unwrap();
        assert_eq!(glare.next_timeout(), None);
        assert!(!glare.handle_timeout(Instant::from_millis(5000)));
        glare.finish_remote();
        assert!(glare.handle_timeout(Instant::from_millis(5000)));
        let mut tries = 1;
        loop {
            glare.start_local().unwrap();
            tries += 1;
            if glare.finish_local(Instant::ZERO, 491, &mut rng) == GlareOutcome::GiveUp {
                break;
            }
        }
        assert_eq!(tries, MAX_RETRIES + 1);
        glare.start_local().unwrap();
        assert_eq!(glare.finish_local(Instant::ZERO, 200, &mut rng), GlareOutcome::Done);
        assert!(!glare.is_pending());
    }
}
