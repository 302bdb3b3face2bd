//! Media that the host runs: the session is handed out, updates go to it, feedback comes back.

use alloc::boxed::Box;
use alloc::string::ToString;

use super::calls::CallEntry;
use super::error::{InputError, MediaError};
use super::event::FailureReason;
use super::io::Output;
use super::report::{MediaLeg, RtcpLeg, SecurityReport};
use super::{CallId, Engine};
use crate::media::session::{MediaFacts, MediaFeedback, MediaSession};
use crate::sip::SocketId;
use crate::time::Instant;
use crate::util::RngExt;

/// What was agreed about the media's protection.
#[derive(Clone, Debug)]
pub(super) struct MediaLegs {
    pub(super) out: MediaLeg,
    pub(super) into: MediaLeg,
    pub(super) rtcp: RtcpLeg,
}

impl MediaLegs {
    /// With the facts of the session that carries it out.
    fn confirmed(mut self, facts: &MediaFacts) -> Self {
        (self.out.suite, self.into.suite) = facts.suites.unzip();
        if let Some((ours, theirs)) = facts.key_generations {
            (self.out.key_generation, self.into.key_generation) = (ours, theirs);
            (self.out.mki, self.into.mki) = facts.key_ids;
        }
        (self.rtcp.encrypted_out, self.rtcp.encrypted_in) = facts.rtcp_encrypted;
        self
    }

    pub(super) fn into_report(self, report: &mut SecurityReport) {
        (report.media_out, report.media_in) = (Some(self.out), Some(self.into));
        report.rtcp = Some(self.rtcp);
    }

    /// Until the session confirms what was agreed, both it and what was before may hold: the
    /// report takes the weaker of the two.
    pub(super) fn into_report_unconfirmed(self, report: &mut SecurityReport) {
        let weaker = |before: Option<MediaLeg>, now: MediaLeg| before.map(|b| b.weaker(now));
        report.media_out = weaker(report.media_out.take(), self.out);
        report.media_in = weaker(report.media_in.take(), self.into);
        if let Some(rtcp) = &mut report.rtcp {
            rtcp.encrypted_out &= self.rtcp.encrypted_out;
            rtcp.encrypted_in &= self.rtcp.encrypted_in;
        }
    }
}

impl Engine {
    /// Hands out the media session of a call that has one, to be run by the host, perhaps on a
    /// thread of its own. From then on the host gives the RTP and RTCP datagrams of the call's two
    /// sockets ([`Call::media_sockets`](super::Call::media_sockets)) to the session; others, such
    /// as DTLS, still come to the engine: [`PacketKind::is_media`] tells them apart. It sends what
    /// the session's `poll_transmit` gives from those sockets, runs its timers, and reads and
    /// writes its PCM. Each [`Output::Media`] goes to
    /// [`MediaSession::handle_update`], in order, and [`MediaSession::feedback`] comes back as
    /// [`Input::Media`](super::Input::Media).
    ///
    /// On another network ([`Input::NetworkChanged`](super::Input::NetworkChanged)) the sockets are
    /// closed and others bound; [`Event::MediaSocketsChanged`](super::Event::MediaSocketsChanged)
    /// names them. Until it comes the session has no socket: leave what it has to send where it is.
    ///
    /// The sockets stay open after the call's end until the feedback says that the session has sent
    /// its goodbye, two seconds at most. If the call goes on with another far end (a fork), the
    /// session that was taken is closed by an update, and the new one can be taken again.
    ///
    /// # Errors
    /// [`MediaError`]: no such call, no media (yet, or any more), taken already, or kept.
    ///
    /// [`PacketKind::is_media`]: crate::wire::rtp::PacketKind::is_media
    pub fn take_media(&mut self, id: CallId) -> Result<MediaSession, MediaError> {
        let entry = self.calls.get_mut(id).ok_or(MediaError::UnknownCall(id))?;
        if self.media_kept {
            return Err(MediaError::Kept);
        }
        if entry.media.is_away() {
            return Err(MediaError::Taken(id));
        }
        if entry.machine.media.is_stopped() || entry.media.here().is_none() {
            return Err(MediaError::NoMedia);
        }
        let tag = self.rng.next_u64();
        entry.media.take(tag).ok_or(MediaError::NoMedia)
    }

    /// From now on [`take_media`](Self::take_media) gives [`MediaError::Kept`]: for a host that
    /// runs the media of all its calls in the engine and gives others the use of it, as the
    /// driver's `Phone` does. There is no way back.
    pub fn keep_media(&mut self) {
        self.media_kept = true;
    }

    /// The next change for a session that was taken.
    pub(super) fn poll_media_update<'b>(&mut self) -> Option<Output<'b>> {
        self.calls
            .iter_mut()
            .find_map(|(call, entry)| Some((call, entry.media.poll_update()?)))
            .map(|(call, update)| Output::Media { call, update: Box::new(update) })
    }

    /// A session that was taken tells how it stands.
    pub(super) fn handle_feedback(
        &mut self,
        now: Instant,
        id: CallId,
        feedback: &MediaFeedback,
    ) -> Result<(), InputError> {
        let entry = self.calls.get_mut(id).ok_or(InputError::UnknownCall(id))?;
        let confirmed =
            entry.media.handle_feedback(feedback).ok_or(InputError::ForeignFeedback(id))?;
        // A call that ends does so for its own reason.
        if entry.machine.media.is_stopped() {
            return Ok(());
        }
        if let Some(error) = feedback.failed {
            entry.machine.fail(FailureReason::MediaUpdate(error.to_string()));
            return Ok(());
        }
        if confirmed {
            if feedback.facts.suites != entry.media.suites() {
                let why = "the session does not protect what was agreed".into();
                entry.machine.fail(FailureReason::MediaUpdate(why));
                return Ok(());
            }
            if let Some(legs) = entry.media.take_agreed() {
                legs.confirmed(&feedback.facts).into_report(&mut entry.report);
                self.judge_peer(now, id);
                self.recheck_identities();
            }
        }
        if let Some(entry) = self.calls.get_mut(id) {
            entry.renew_keys_if_due(now, &mut self.rng);
        }
        Ok(())
    }
}

impl CallEntry {
    /// The two sockets of the call's media, once they are bound: of RTP, of RTCP.
    pub(super) fn media_sockets(&self) -> Option<(SocketId, SocketId)> {
        let ports = self.ports.as_ref().filter(|_| self.ports_ready)?;
        Some((ports.rtp(), ports.rtcp()))
    }
}
