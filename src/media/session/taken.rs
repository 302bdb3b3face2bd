//! A session away from its engine: which updates it takes, and what it tells back.

use super::MediaSession;
use super::config::{End, MediaConfigError, MediaUpdate};
use super::stats::{MediaStats, SrtpProgress};
use crate::crypto::srtp::{MasterKeyId, Suite};
use crate::time::Instant;

/// What ties a session to the call that it was taken from.
#[derive(Debug)]
pub(super) struct Link {
    /// The call's mark: updates and feedback bear it.
    tag: u64,
    /// Updates that were taken.
    applied: u32,
    told: Option<Told>,
}

/// What a feedback says that matters at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Told {
    applied: u32,
    facts: MediaFacts,
    drained: bool,
    failed: Option<MediaConfigError>,
}

/// The facts about a session that its call needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MediaFacts {
    pub(crate) ssrc: u32,
    pub(crate) muted: bool,
    pub(crate) suites: Option<(Suite, Suite)>,
    pub(crate) key_generations: Option<(u32, u32)>,
    /// The identifiers of the keys in use.
    pub(crate) key_ids: (Option<MasterKeyId>, Option<MasterKeyId>),
    pub(crate) rtcp_encrypted: (bool, bool),
    pub(crate) rekey_due: bool,
}

/// What a session that was taken tells its engine: statistics, the keys in use, whether they must
/// be renewed, whether an update failed, and whether the session has ended and sent all that it had.
/// Give it to the engine as [`Input::Media`](crate::engine::Input::Media).
#[derive(Clone, Debug)]
pub struct MediaFeedback {
    pub(crate) tag: u64,
    pub(crate) applied: u32,
    pub(crate) facts: MediaFacts,
    pub(crate) progress: Option<SrtpProgress>,
    pub(crate) stats: MediaStats,
    pub(crate) drained: bool,
    pub(crate) failed: Option<MediaConfigError>,
}

impl MediaSession {
    /// From now on updates of this mark are taken, each once and in order.
    pub(crate) fn tie(&mut self, tag: u64) -> MediaFeedback {
        self.link = Some(Link { tag, applied: 0, told: Some(self.to_tell(0)) });
        self.report(tag, 0)
    }

    pub(crate) fn facts(&self) -> MediaFacts {
        MediaFacts {
            ssrc: self.ssrc(),
            muted: self.is_muted(),
            suites: self.suites(),
            key_generations: self.key_generations(),
            key_ids: self.key_ids(),
            rtcp_encrypted: self.rtcp_encrypted(),
            rekey_due: self.rekey_due(),
        }
    }

    fn to_tell(&self, applied: u32) -> Told {
        let (facts, drained) = (self.facts(), self.is_drained());
        Told { applied, facts, drained, failed: self.failed }
    }

    fn report(&self, tag: u64, applied: u32) -> MediaFeedback {
        MediaFeedback {
            tag,
            applied,
            facts: self.facts(),
            progress: self.srtp_progress(),
            stats: self.stats(),
            drained: self.is_drained(),
            failed: self.failed,
        }
    }

    /// What the engine is to be told of a session that was taken with
    /// [`Engine::take_media`](crate::engine::Engine::take_media): now and then, once a second is
    /// plenty, and whenever [`feedback_due`](Self::feedback_due). `None` for a session that no
    /// engine made. Allocates nothing.
    pub fn feedback(&mut self) -> Option<MediaFeedback> {
        let (tag, applied) = self.link.as_ref().map(|link| (link.tag, link.applied))?;
        let told = self.to_tell(applied);
        if let Some(link) = &mut self.link {
            link.told = Some(told);
        }
        Some(self.report(tag, applied))
    }

    /// True if something changed that the engine should know at once: an update was applied or
    /// failed, keys changed or must be renewed, or all is sent after the end.
    pub fn feedback_due(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.told != Some(self.to_tell(link.applied)))
    }

    /// True once the session has ended: it takes and gives nothing any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// True once it has ended and its last packet was polled.
    pub fn is_drained(&self) -> bool {
        self.closed && !self.has_output()
    }

    /// Applies a renegotiation. One that comes from an engine
    /// ([`Output::Media`](crate::engine::Output::Media)) and cannot be applied ends the session at
    /// once and without a packet: nothing leaves under keys that do not hold any more. The engine
    /// ends the call when [`feedback`](Self::feedback) tells it.
    ///
    /// # Errors
    /// [`MediaConfigError`]; with an update that no engine made, nothing but the codec to send may
    /// have been applied then.
    pub fn handle_update(
        &mut self,
        now: Instant,
        update: MediaUpdate,
    ) -> Result<(), MediaConfigError> {
        let Some((tag, number)) = update.number else { return self.apply(now, update) };
        let Some(link) = self.link.as_mut().filter(|link| link.tag == tag) else {
            return Err(MediaConfigError::ForeignUpdate);
        };
        let expected = link.applied.wrapping_add(1);
        link.applied = number;
        let result = match (self.failed, update.end) {
            (Some(error), _) => return Err(error),
            _ if number != expected => Err(MediaConfigError::MissedUpdate),
            (None, None) if self.closed => Ok(()),
            (None, end) => {
                let applied = self.apply(now, update);
                match end {
                    Some(End::Goodbye) if applied.is_ok() => self.close(),
                    Some(_) => self.fall_silent(),
                    None => {}
                }
                applied
            }
        };
        if let Err(error) = result {
            self.failed = Some(error);
            self.fall_silent();
        }
        result
    }

    /// Ends the session without a word.
    fn fall_silent(&mut self) {
        self.closed = true;
        self.outbound.set_sending(false);
        self.control.fall_silent();
    }
}
