//! What changed in the facts about a call, told once and before any audio goes under it.
//!
//! Nobody who changes a report says so: after each delivery the facts are compared with those
//! that were told last. A change that nobody polled for yet is one with the next; until it is
//! polled, no media packet leaves and nothing is heard.

use super::calls::CallEntry;
use super::event::Event;
use super::media_slot::MediaSlot;
use super::report::SecurityReport;
use super::{AccountId, CallId, Engine};
use crate::sip::FlowId;

/// The media session begins with agreed keys when the peer has shown that it knows them: the
/// report follows. True if that changed it. Cheap enough for each packet.
pub(super) fn follow_keys(media: &MediaSlot, report: &mut SecurityReport) -> bool {
    let Some(keys) = media.keys_in_use() else { return false };
    let mut changed = false;
    for (leg, (generation, mki)) in
        [&mut report.media_out, &mut report.media_in].into_iter().zip(keys)
    {
        if let Some(leg) = leg {
            changed |= core::mem::replace(&mut leg.key_generation, generation) != generation;
            changed |= core::mem::replace(&mut leg.mki, mki) != mki;
        }
    }
    changed
}

impl CallEntry {
    /// What holds now needs no telling: it comes with the call.
    pub(super) fn facts_are_known(&mut self) {
        self.told.clone_from(&self.report);
    }

    /// True if the facts are not those that were told. Allocates only then.
    pub(super) fn note_change(&mut self) -> bool {
        follow_keys(&self.media, &mut self.report);
        if self.told != self.report {
            self.told.clone_from(&self.report);
            self.untold = true;
        }
        self.untold
    }
}

impl Engine {
    /// Compares each running call's facts with those that were told.
    pub(super) fn note_changes(&mut self) {
        for (_, entry) in self.calls.iter_mut().filter(|(_, e)| !e.machine.is_over()) {
            self.has_news |= entry.note_change();
        }
    }

    /// The same for a call that ends, before its end is told.
    pub(super) fn note_last_change(&mut self, id: CallId) {
        if let Some(entry) = self.calls.get_mut(id) {
            self.has_news |= entry.note_change();
        }
    }

    /// A media packet came in: the keys may have changed with it.
    pub(super) fn note_new_keys(&mut self, id: CallId) {
        if let Some(entry) = self.calls.get_mut(id)
            && follow_keys(&entry.media, &mut entry.report)
        {
            self.has_news |= entry.note_change();
        }
    }

    /// The next change to be told.
    pub(super) fn poll_change(&mut self) -> Option<Event> {
        if !self.has_news {
            return None;
        }
        let untold = self.calls.iter_mut().find(|(_, entry)| entry.untold);
        let Some((call, entry)) = untold else {
            self.has_news = false;
            return None;
        };
        entry.untold = false;
        let event = Event::SecurityChanged { call, padlock: entry.told.padlock() };
        self.log_event(&event);
        Some(event)
    }

    /// A connection is gone: the calls that signal over it say so.
    pub(super) fn calls_lost_flow(&mut self, flow: FlowId) {
        for (_, entry) in self.calls.iter_mut() {
            if entry.flow == Some(flow)
                && !entry.machine.is_over()
                && let Some(leg) = &mut entry.report.signalling
            {
                leg.connected = false;
            }
        }
    }

    /// An account has a connection again: its calls that lost theirs go on over it, as far as
    /// they may.
    pub(super) fn calls_follow(&mut self, account: AccountId) {
        for id in self.calls.ids() {
            let lost = self.calls.get(id).is_some_and(|entry| {
                let leg = entry.report.signalling.as_ref();
                entry.machine.account == Some(account)
                    && !entry.machine.is_over()
                    && leg.is_some_and(|leg| !leg.connected)
            });
            if lost {
                // It takes the account's if its own is down.
                let _ = self.call_flow(id);
            }
        }
    }
}
