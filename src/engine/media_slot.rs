//! The place of a call's media session: nobody else asks where the session is.
//!
//! The engine runs it, or it was taken: then changes wait here as updates, and what it told last
//! stands for it.

use alloc::boxed::Box;

use super::away::MediaLegs;
use crate::crypto::srtp::{MasterKeyId, Suite};
use crate::media::session::{
    End, MediaFacts, MediaFeedback, MediaSession, MediaStats, MediaUpdate, SrtpProgress,
};
use crate::time::{Duration, Instant};

/// How long the sockets of an ended call wait for a session that was taken.
const PATIENCE: Duration = Duration::from_secs(2);

/// A call's media session, or what is left of it.
#[derive(Debug, Default)]
pub(super) struct MediaSlot {
    place: Place,
    /// The last statistics of a session that is gone.
    last: Option<MediaStats>,
    /// The last update of a session that was taken and is not this call's any more.
    farewell: Option<MediaUpdate>,
    /// Its mark.
    former: Option<u64>,
}

/// Where the session is; on the heap, so that an ended call costs little while it is kept.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Nowhere,
    Here(Box<MediaSession>),
    Away(Box<Away>),
}

/// A session that was taken.
#[derive(Debug)]
struct Away {
    /// What it told last.
    heard: MediaFeedback,
    /// Updates that were handed out.
    sent: u32,
    /// Changes that were not.
    waiting: Option<MediaUpdate>,
    /// The SRTP suites that were agreed last.
    suites: Option<(Suite, Suite)>,
    /// What the report will say once the session confirms it.
    agreed: Option<MediaLegs>,
    ending: bool,
    /// It is not waited for any longer.
    deadline: Option<Instant>,
}

impl Away {
    /// The session has applied all changes.
    fn is_confirmed(&self) -> bool {
        self.waiting.is_none() && self.heard.applied == self.sent
    }

    fn order(&mut self, update: MediaUpdate) {
        self.waiting = Some(match self.waiting.take() {
            Some(before) => before.then(update),
            None => update,
        });
    }

    fn hand_out(&mut self) -> Option<MediaUpdate> {
        let update = self.waiting.take()?;
        self.sent = self.sent.wrapping_add(1);
        Some(update.numbered(self.heard.tag, self.sent))
    }
}

impl MediaSlot {
    /// The call's media begins.
    pub(super) fn start(&mut self, session: MediaSession) {
        self.place = Place::Here(Box::new(session));
    }

    /// There is a session, wherever it is.
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.place, Place::Nowhere)
    }

    /// It was taken.
    pub(super) fn is_away(&self) -> bool {
        matches!(self.place, Place::Away(_))
    }

    /// The session, if the engine runs it.
    pub(super) fn here(&self) -> Option<&MediaSession> {
        if let Place::Here(session) = &self.place { Some(session) } else { None }
    }

    /// The session, if the engine runs it.
    pub(super) fn here_mut(&mut self) -> Option<&mut MediaSession> {
        if let Place::Here(session) = &mut self.place { Some(session) } else { None }
    }

    fn away(&self) -> Option<&Away> {
        if let Place::Away(away) = &self.place { Some(away) } else { None }
    }

    fn away_mut(&mut self) -> Option<&mut Away> {
        if let Place::Away(away) = &mut self.place { Some(away) } else { None }
    }

    /// Hands the session out, marked.
    pub(super) fn take(&mut self, tag: u64) -> Option<MediaSession> {
        let place = core::mem::take(&mut self.place);
        let Place::Here(mut session) = place else {
            self.place = place;
            return None;
        };
        let (suites, heard) = (session.suites(), session.tie(tag));
        self.place = Place::Away(Box::new(Away {
            heard,
            sent: 0,
            waiting: None,
            suites,
            agreed: None,
            ending: false,
            deadline: None,
        }));
        Some(*session)
    }

    /// Changes the session to what was agreed, with these suites; false if it refuses at once.
    pub(super) fn update(
        &mut self,
        now: Instant,
        update: MediaUpdate,
        suites: Option<(Suite, Suite)>,
    ) -> bool {
        match &mut self.place {
            Place::Nowhere => false,
            Place::Here(session) => session.handle_update(now, update).is_ok(),
            Place::Away(away) => {
                away.order(update);
                away.suites = suites;
                true
            }
        }
    }

    /// The next update for a session that was taken.
    pub(super) fn poll_update(&mut self) -> Option<MediaUpdate> {
        self.farewell.take().or_else(|| self.away_mut()?.hand_out())
    }

    /// What was agreed, until the session confirms it.
    pub(super) fn set_agreed(&mut self, legs: MediaLegs) {
        if let Some(away) = self.away_mut() {
            away.agreed = Some(legs);
        }
    }

    /// What the session has just confirmed.
    pub(super) fn take_agreed(&mut self) -> Option<MediaLegs> {
        self.away_mut().filter(|away| away.is_confirmed())?.agreed.take()
    }

    /// The session carries out what was agreed.
    pub(super) fn is_confirmed(&self) -> bool {
        self.away().is_none_or(Away::is_confirmed)
    }

    /// A session that was taken told this: true if it carries out what was agreed, `None` if it is
    /// not this call's.
    pub(super) fn handle_feedback(&mut self, feedback: &MediaFeedback) -> Option<bool> {
        if let Some(away) = self.away_mut().filter(|away| away.heard.tag == feedback.tag) {
            // Older news than the last.
            if feedback.applied >= away.heard.applied {
                away.heard = feedback.clone();
            }
            return Some(away.is_confirmed());
        }
        if self.former != Some(feedback.tag) {
            return None;
        }
        if !self.is_there() {
            self.last = Some(feedback.stats);
        }
        Some(false)
    }

    /// The SRTP suites that were agreed, of what we send and of what we take.
    pub(super) fn suites(&self) -> Option<(Suite, Suite)> {
        match &self.place {
            Place::Nowhere => None,
            Place::Here(session) => session.suites(),
            Place::Away(away) => away.suites,
        }
    }

    /// The facts about the session, as it told them last.
    pub(super) fn facts(&self) -> Option<MediaFacts> {
        match &self.place {
            Place::Nowhere => None,
            Place::Here(session) => Some(session.facts()),
            Place::Away(away) => Some(away.heard.facts),
        }
    }

    /// Generations and identifiers of the keys in use: of what we send, of what we take.
    pub(super) fn keys_in_use(&self) -> Option<[(u32, Option<MasterKeyId>); 2]> {
        let facts = self.facts()?;
        let (ours, theirs) = facts.key_generations?;
        Some([(ours, facts.key_ids.0), (theirs, facts.key_ids.1)])
    }

    /// How far the key has come that we send with.
    pub(super) fn srtp_progress(&self) -> Option<SrtpProgress> {
        match &self.place {
            Place::Nowhere => None,
            Place::Here(session) => session.srtp_progress(),
            Place::Away(away) => away.heard.progress,
        }
    }

    /// A key nears the end of its lifetime.
    pub(super) fn rekey_due(&self) -> bool {
        self.is_confirmed() && self.facts().is_some_and(|facts| facts.rekey_due)
    }

    /// The statistics, the last ones of a session that is gone.
    pub(super) fn stats(&self) -> Option<MediaStats> {
        match &self.place {
            Place::Nowhere => self.last,
            Place::Here(session) => Some(session.stats()),
            Place::Away(away) => Some(away.heard.stats),
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match &self.place {
            Place::Nowhere => None,
            Place::Here(session) => session.next_timeout(),
            Place::Away(away) => away.deadline,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(session) = self.here_mut()
            && session.next_timeout().is_some_and(|at| at <= now)
        {
            session.handle_timeout(now);
        }
    }

    pub(super) fn has_output(&self) -> bool {
        self.here().is_some_and(MediaSession::has_output)
    }

    /// A session that was taken hears at once that no more media is wanted.
    pub(super) fn stop_away(&mut self) {
        if let Some(away) = self.away_mut()
            && !core::mem::replace(&mut away.ending, true)
        {
            away.order(MediaUpdate::new().end(End::Goodbye));
        }
    }

    /// The call is over: the session says goodbye.
    pub(super) fn close(&mut self, now: Instant) {
        self.stop_away();
        match &mut self.place {
            Place::Nowhere => {}
            Place::Here(session) => session.close(),
            Place::Away(away) => away.deadline = Some(now + PATIENCE),
        }
    }

    /// A closed session that has nothing more to send, or was waited for long enough.
    pub(super) fn is_drained(&self, now: Instant) -> bool {
        match &self.place {
            Place::Nowhere => false,
            Place::Here(session) => !session.has_output(),
            Place::Away(away) => {
                (away.is_confirmed() && away.heard.drained)
                    || away.deadline.is_some_and(|at| at <= now)
            }
        }
    }

    /// The session ends at once, without a word; its SSRC, and whether it was muted.
    pub(super) fn discard(&mut self) -> Option<(u32, bool)> {
        let facts = self.facts()?;
        self.last = self.stats();
        if let Place::Away(mut away) = core::mem::take(&mut self.place) {
            if !away.ending {
                away.order(MediaUpdate::new().end(End::Silence));
            }
            self.former = Some(away.heard.tag);
            self.farewell = away.hand_out();
        }
        Some((facts.ssrc, facts.muted))
    }
}
