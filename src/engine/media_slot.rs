//! The place of a call's media session: nobody else asks where the session is.

use alloc::boxed::Box;

use crate::crypto::srtp::Suite;
use crate::media::session::{MediaSession, MediaStats, MediaUpdate};
use crate::time::Instant;

/// A call's media session, or what is left of it.
#[derive(Debug, Default)]
pub(super) struct MediaSlot {
    /// On the heap, so that an ended call costs little while it is kept.
    here: Option<Box<MediaSession>>,
    /// The last statistics of a session that is gone.
    last: Option<MediaStats>,
}

impl MediaSlot {
    /// The call's media begins.
    pub(super) fn start(&mut self, session: MediaSession) -> &mut MediaSession {
        self.here.insert(Box::new(session))
    }

    /// There is a session.
    pub(super) fn is_there(&self) -> bool {
        self.here.is_some()
    }

    /// The session, if the engine runs it.
    pub(super) fn here(&self) -> Option<&MediaSession> {
        self.here.as_deref()
    }

    /// The session, if the engine runs it.
    pub(super) fn here_mut(&mut self) -> Option<&mut MediaSession> {
        self.here.as_deref_mut()
    }

    /// Changes the session; false if it refuses.
    pub(super) fn update(&mut self, now: Instant, update: MediaUpdate) -> bool {
        self.here_mut().is_some_and(|session| session.handle_update(now, update).is_ok())
    }

    /// The SRTP suites that were agreed, of what we send and of what we take.
    pub(super) fn suites(&self) -> Option<(Suite, Suite)> {
        self.here()?.suites()
    }

    /// How often the keys were changed, of what we send and of what we take.
    pub(super) fn key_generations(&self) -> Option<(u32, u32)> {
        self.here()?.key_generations()
    }

    /// A key nears the end of its lifetime.
    pub(super) fn rekey_due(&self) -> bool {
        self.here().is_some_and(MediaSession::rekey_due)
    }

    /// The statistics, the last ones of a session that is gone.
    pub(super) fn stats(&self) -> Option<MediaStats> {
        self.here().map(MediaSession::stats).or(self.last)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.here()?.next_timeout()
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

    /// The call is over: the session says goodbye.
    pub(super) fn close(&mut self) {
        if let Some(session) = self.here_mut() {
            session.close();
        }
    }

    /// A closed session that has nothing more to send.
    pub(super) fn is_drained(&self) -> bool {
        self.here().is_some_and(|session| !session.has_output())
    }

    /// The session ends at once, without a word; its SSRC, and whether it was muted.
    pub(super) fn discard(&mut self) -> Option<(u32, bool)> {
        let session = self.here.take()?;
        self.last = Some(session.stats());
        Some((session.ssrc(), session.is_muted()))
    }
}
