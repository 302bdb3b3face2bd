//! Keys of a session: what leaves is protected or permitted, what enters is authenticated.

use super::config::MediaSecurity;
use crate::crypto::srtp::{Egress, ProtectError, SrtpReceiver, Suite, UnprotectError};
use crate::time::{Duration, Instant};

/// Packets of the old key are taken for this long after a change of keys.
const OLD_KEY: Duration = Duration::from_secs(2);
/// Packets longer than this are not tried with the old key.
const SCRATCH: usize = 2_048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Rtp,
    Rtcp,
}

#[derive(Debug)]
struct OldKey {
    receiver: SrtpReceiver,
    until: Instant,
    scratch: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Guard {
    security: MediaSecurity,
    old: Option<OldKey>,
}

impl Guard {
    pub(super) fn new(security: MediaSecurity) -> Self {
        Self { security, old: None }
    }

    pub(super) fn change(&mut self, now: Instant, security: MediaSecurity) {
        let before = core::mem::replace(&mut self.security, security);
        // From plain to plain or to SRTP there is no old key, and from SRTP to plain none is kept.
        self.old = match (before, &self.security) {
            (MediaSecurity::Srtp { receiver, .. }, MediaSecurity::Srtp { .. }) => {
                Some(OldKey { receiver, until: now + OLD_KEY, scratch: vec![0; SCRATCH] })
            }
            _ => None,
        };
    }

    /// The suites of what we send and of what we take; `None` for plain.
    pub(super) fn suites(&self) -> Option<(Suite, Suite)> {
        match &self.security {
            MediaSecurity::Srtp { sender, receiver } => Some((sender.suite(), receiver.suite())),
            MediaSecurity::Plain(_) => None,
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
        now: Instant,
        protocol: Protocol,
        packet: &mut [u8],
    ) -> Result<usize, UnprotectError> {
        let MediaSecurity::Srtp { receiver, .. } = &mut self.security else {
            return Ok(packet.len());
        };
        self.old.take_if(|old| now >= old.until);
        let Some(old) = &mut self.old else { return open(receiver, protocol, packet) };
        // A failed attempt may spoil the packet, so the second one works on a copy.
        let copy = old.scratch.get_mut(..packet.len());
        let Some(copy) = copy else { return open(receiver, protocol, packet) };
        copy.copy_from_slice(packet);
        let new = open(receiver, protocol, packet);
        if new.is_ok() {
            return new;
        }
        let len = open(&mut old.receiver, protocol, copy).map_err(|e| new.err().unwrap_or(e))?;
        packet.iter_mut().zip(copy.iter()).take(len).for_each(|(p, c)| *p = *c);
        Ok(len)
    }
}

fn open(
    receiver: &mut SrtpReceiver,
    protocol: Protocol,
    packet: &mut [u8],
) -> Result<usize, UnprotectError> {
    match protocol {
        Protocol::Rtp => receiver.unprotect_rtp(packet).map(|plain| plain.len()),
        Protocol::Rtcp => receiver.unprotect_rtcp(packet).map(|plain| plain.len()),
    }
}
