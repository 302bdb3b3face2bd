//! What the engine remembers of peers, asked whenever a call's media protection becomes known, and
//! the safety numbers that two people compare.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::event::{Event, FailureReason};
use super::peers::{PeerMemory, PeerMemoryError, peer_address};
use super::report::Keying;
use super::{CallId, Engine};
use crate::crypto::dtls::{Fingerprint, FingerprintHash};
use crate::crypto::safety_number::SafetyNumber;
use crate::time::Instant;
use crate::wire::sip::Uri;

impl Engine {
    /// What is remembered of peers across calls, for the host to keep and to give to
    /// [`import_peers`](Self::import_peers) after a restart: who was confirmed by a safety number,
    /// and how secure calls with each have been. The bytes hold no secret, but whoever can change
    /// them can make a stranger a confirmed peer: keep them where the account's password is.
    pub fn export_peers(&self) -> Vec<u8> {
        self.peers.export()
    }

    /// Remembers what [`export_peers`](Self::export_peers) gave, in place of what is remembered
    /// now. Do it before the first call.
    ///
    /// # Errors
    /// [`PeerMemoryError`]: the bytes are no export; what was remembered still is.
    pub fn import_peers(&mut self, bytes: &[u8]) -> Result<(), PeerMemoryError> {
        self.peers = PeerMemory::import(bytes)?;
        self.recheck_identities();
        Ok(())
    }

    /// Forgets a peer, also that it was confirmed: for a person who has a new phone. True if it
    /// was known.
    pub fn forget_peer(&mut self, peer: &Uri) -> bool {
        let known = self.peers.forget(peer.as_str());
        self.recheck_identities();
        known
    }

    /// A call's media protection became known, or changed: what does it mean in the light of
    /// earlier calls? Told before audio flows; a refused call is ended without any.
    pub(super) fn judge_peer(&mut self, now: Instant, id: CallId) {
        let unix = self.unix(now);
        let Some(entry) = self.calls.get_mut(id) else { return };
        let by_dtls = |keying| matches!(keying, Keying::Dtls { .. });
        let by_dtls = entry.report.media_in.as_ref().is_some_and(|leg| by_dtls(leg.keying));
        let shown = entry.dtls.as_ref().filter(|_| by_dtls).and_then(|leg| leg.peer_fingerprint());
        let was = core::mem::take(&mut entry.report.peer_identity_verified);
        let media = (entry.report.level(), shown);
        if entry.judged == Some(media) {
            entry.report.peer_identity_verified = was;
            return;
        }
        entry.judged = Some(media);
        let verdict = self.peers.note(&entry.machine.remote, media.0, shown.as_ref(), unix);
        entry.report.peer_identity_verified =
            verdict.verified && (was || entry.media.is_confirmed());
        let level = entry.report.level();
        if verdict.identity_changed {
            self.event(Event::PeerIdentityChanged { call: id });
        }
        let Some(before) = verdict.downgrade else { return };
        self.event(Event::SecurityDowngrade { call: id, before, now: level });
        if self.config.refuse_downgrade
            && let Some(entry) = self.calls.get_mut(id)
        {
            // No packet leaves or is heard while the far end is told.
            entry.media.discard();
            let why = format!("earlier calls with this peer were {before}, this one is {level}");
            entry.machine.fail(FailureReason::Policy(why));
        }
    }

    /// Who is confirmed changed: the running calls' reports follow.
    pub(super) fn recheck_identities(&mut self) {
        for id in self.calls.ids() {
            let Some(entry) = self.calls.get_mut(id).filter(|e| !e.machine.is_over()) else {
                continue;
            };
            let Some((_, Some(shown))) = &entry.judged else { continue };
            let verified = self.peers.is_confirmed(&entry.machine.remote, shown);
            let was = entry.report.peer_identity_verified;
            entry.report.peer_identity_verified = verified && (was || entry.media.is_confirmed());
        }
        self.note_changes();
    }

    /// The two ends of a call keyed by DTLS: ours and the peer's, each with its address.
    fn identities(&self, id: CallId) -> Option<[(Fingerprint, String); 2]> {
        let entry = self.calls.get(id)?;
        let (_, shown) = entry.judged?;
        let account = self.accounts.get(entry.machine.account?)?;
        let own = self.dtls_identity.as_ref()?.fingerprint(FingerprintHash::Sha256);
        let own = (own, peer_address(account.config.aor.as_str()));
        Some([own, (shown?, peer_address(&entry.machine.remote))])
    }

    pub(super) fn safety_number(&self, id: CallId) -> Option<SafetyNumber> {
        let [(own, own_id), (peer, peer_id)] = self.identities(id)?;
        SafetyNumber::new(&own, &own_id, &peer, &peer_id).ok()
    }

    /// Two people compared the call's safety number. False if it has none.
    pub(super) fn confirm_peer(&mut self, now: Instant, id: CallId) -> bool {
        let unix = self.unix(now);
        let Some([_, (shown, _)]) = self.identities(id) else { return false };
        let Some(entry) = self.calls.get(id) else { return false };
        let confirmed = self.peers.confirm(&entry.machine.remote, &shown, unix);
        self.recheck_identities();
        confirmed
    }
}
