//! Keys of a session: what leaves is protected or permitted, what enters is authenticated.

use super::config::MediaSecurity;
use super::stats::SrtpProgress;
use crate::crypto::srtp::{
    Egress, KeyChange, KeyError, KeySet, MasterKeyId, ProtectError, Suite, UnprotectError,
};
use crate::time::{Duration, Instant};

/// Packets of a former key are taken for this long after a change of keys.
const OVERLAP: Duration = Duration::from_secs(2);
/// New keys of ours wait this long for a sign that the peer knows them.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Rtp,
    Rtcp,
}

#[derive(Debug)]
pub(super) struct Guard {
    security: MediaSecurity,
    /// Until when the peer's former key is taken.
    overlap: Option<Instant>,
    /// New keys of ours that the peer may not know yet, and until when they wait.
    waiting: Option<(KeySet, Instant)>,
}

impl Guard {
    pub(super) fn new(security: MediaSecurity) -> Self {
        Self { security, overlap: None, waiting: None }
    }

    pub(super) fn change(&mut self, security: MediaSecurity) {
        *self = Self::new(security);
    }

    /// The keys of both directions as they stand now. Contexts go on where their keys do, so that
    /// no index is used twice under one key; old keys of the peer are taken for a while. With
    /// `answered` and new keys of the peer, ours begin when it has shown that it knows them.
    /// True if this stream has contexts to change.
    pub(super) fn rekey(
        &mut self,
        now: Instant,
        local: &KeySet,
        remote: &KeySet,
        answered: bool,
    ) -> Result<bool, KeyError> {
        let MediaSecurity::Srtp { sender, receiver } = &mut self.security else {
            return Ok(false);
        };
        let changed = receiver.rekey(remote)? == KeyChange::Fresh;
        self.waiting = (answered && changed).then(|| (local.clone(), now + PATIENCE));
        if self.waiting.is_none() {
            sender.rekey(local)?;
        }
        self.overlap = receiver.is_overlapping().then(|| now + OVERLAP);
        Ok(true)
    }

    /// When [`Guard::handle_timeout`] has work.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.overlap.into_iter().chain(self.waiting.as_ref().map(|(_, until)| *until)).min()
    }

    /// The keys that wait begin.
    fn begin_waiting(&mut self) {
        if let Some((keys, _)) = self.waiting.take()
            && let MediaSecurity::Srtp { sender, .. } = &mut self.security
        {
            // Fresh ones of our own: they were never in use.
            let _ = sender.rekey(&keys);
        }
    }

    /// The former key has had its time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.waiting.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.begin_waiting();
        }
        if self.overlap.take_if(|until| *until <= now).is_some()
            && let MediaSecurity::Srtp { receiver, .. } = &mut self.security
        {
            receiver.end_overlap();
        }
    }

    /// Generations of the keys: of what we send, of what we take.
    pub(super) fn generations(&self) -> Option<(u32, u32)> {
        match &self.security {
            MediaSecurity::Srtp { sender, receiver } => {
                Some((sender.generation(), receiver.generation()))
            }
            MediaSecurity::Plain(_) => None,
        }
    }

    /// Identifiers of the keys in use: of what we send, of what came last.
    pub(super) fn key_ids(&self) -> (Option<MasterKeyId>, Option<MasterKeyId>) {
        match &self.security {
            MediaSecurity::Srtp { sender, receiver } => {
                (sender.mki().copied(), receiver.mki().copied())
            }
            MediaSecurity::Plain(_) => (None, None),
        }
    }

    /// How far the key in use has come with this source of ours.
    pub(super) fn progress(&self, ssrc: u32) -> Option<SrtpProgress> {
        let MediaSecurity::Srtp { sender, .. } = &self.security else { return None };
        let counters = sender.counters().find(|c| c.ssrc == ssrc)?;
        let mki_len = sender.mki().map_or(0, |mki| mki.as_bytes().len());
        let (suite, generation) = (sender.suite(), sender.generation());
        Some(SrtpProgress { suite, mki_len, generation, counters })
    }

    /// The end of a key's lifetime is near: new keys should be agreed.
    pub(super) fn rekey_due(&self) -> bool {
        match &self.security {
            // Who sends asks first; who receives only if nobody has asked in the first half of the
            // time.
            MediaSecurity::Srtp { sender, receiver } => {
                self.waiting.is_none()
                    && (sender.usage().rekey_due()
                        || receiver.usage().is_some_and(|usage| usage.rekey_overdue()))
            }
            MediaSecurity::Plain(_) => false,
        }
    }

    /// The suites of what we send and of what we take; `None` for plain.
    pub(super) fn suites(&self) -> Option<(Suite, Suite)> {
        match &self.security {
            MediaSecurity::Srtp { sender, receiver } => Some((sender.suite(), receiver.suite())),
            MediaSecurity::Plain(_) => None,
        }
    }

    /// Whether RTCP is encrypted, not only authenticated: what we send, what we take.
    pub(super) fn rtcp_encrypted(&self) -> (bool, bool) {
        match &self.security {
            MediaSecurity::Srtp { receiver, .. } => (true, !receiver.accepts_unencrypted_rtcp()),
            MediaSecurity::Plain(_) => (false, false),
        }
    }

    pub(super) fn is_srtp(&self) -> bool {
        matches!(self.security, MediaSecurity::Srtp { .. })
    }

    /// A source ended: its place among the live ones is free.
    pub(super) fn retire(&mut self, ssrc: u32) {
        if let MediaSecurity::Srtp { receiver, .. } = &mut self.security {
            receiver.retire(ssrc);
        }
    }

    pub(super) fn protect<'b>(
        &mut self,
        protocol: Protocol,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        if self.waiting.is_some() && self.is_exhausted() {
            self.begin_waiting();
        }
        match (&mut self.security, protocol) {
            (MediaSecurity::Srtp { sender, .. }, Protocol::Rtp) => sender.protect_rtp(buffer, len),
            (MediaSecurity::Srtp { sender, .. }, Protocol::Rtcp) => {
                sender.protect_rtcp(buffer, len)
            }
            (MediaSecurity::Plain(permit), _) => {
                let bytes = buffer.get(..len);
                let bytes = bytes.ok_or(ProtectError::BufferTooSmall { needed: len })?;
                Ok(Egress::plain(bytes, permit))
            }
        }
    }

    /// Authenticates and decrypts in place; returns the length of the plain packet.
    pub(super) fn unprotect(
        &mut self,
        protocol: Protocol,
        packet: &mut [u8],
    ) -> Result<usize, UnprotectError> {
        let MediaSecurity::Srtp { receiver, .. } = &mut self.security else {
            return Ok(packet.len());
        };
        let opened = open(receiver, protocol, packet)?;
        if self.waiting.is_some() && receiver.hears_new_keys() {
            self.begin_waiting();
        }
        Ok(opened)
    }

    /// The key in use may protect nothing more.
    fn is_exhausted(&self) -> bool {
        let MediaSecurity::Srtp { sender, .. } = &self.security else { return false };
        let usage = sender.usage();
        usage.rtp_left == 0 || usage.rtcp_left == 0
    }
}

fn open(
    receiver: &mut crate::crypto::srtp::SrtpReceiver,
    protocol: Protocol,
    packet: &mut [u8],
) -> Result<usize, UnprotectError> {
    match protocol {
        Protocol::Rtp => receiver.unprotect_rtp(packet).map(|plain| plain.len()),
        Protocol::Rtcp => receiver.unprotect_rtcp(packet).map(|plain| plain.len()),
    }
}
