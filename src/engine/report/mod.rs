//! The evidence: how secure a call really is, computed from what happened.
//!
//! [`SecurityReport`] is plain data and holds no secret; `legs` are its parts, `text` puts it into
//! words, `serial` is its serde form (feature `serde`).

mod legs;
#[cfg(feature = "serde")]
mod serial;
#[cfg(test)]
mod tests;
mod text;

use alloc::vec::Vec;
use core::fmt;

pub use legs::{Debugging, Keying, MediaLeg, RtcpLeg, SignallingLeg};

use super::peers::SecurityLevel;
use super::policy::EffectivePolicy;
use crate::crypto::srtp::UnprotectError;
use crate::crypto::tls::TlsFacts;
use crate::sip::route::LadderStep;

/// What the phone's screen may show. Derived from a [`SecurityReport`] and from nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Padlock {
    /// Something travels in the clear.
    #[default]
    None,
    /// Signalling is under verified TLS; the voice is not encrypted (or not yet).
    SignallingOnly,
    /// Signalling and voice are encrypted as far as the next hop, whose certificate was verified.
    /// Further hops cannot be known (RFC 3261 §26.4.4): never "end to end".
    EncryptedToProvider,
    /// The voice is encrypted to the very phone whose safety number two people compared, whatever
    /// is in between; signalling is under TLS as far as the next hop.
    VerifiedEndToEnd,
}

impl Padlock {
    /// The sentence for the screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "not encrypted",
            Self::SignallingOnly => "signalling encrypted, voice in the clear",
            Self::EncryptedToProvider => "encrypted to your provider",
            Self::VerifiedEndToEnd => "encrypted and verified end to end",
        }
    }
}

impl fmt::Display for Padlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The facts about one call.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SecurityReport {
    /// The policy that this call was made under, and where it came from.
    pub policy: EffectivePolicy,
    /// What was tried to reach the next hop, in order; empty for a call that came to us.
    pub ladder: Vec<LadderStep>,
    /// The signalling leg to the next hop.
    pub signalling: Option<SignallingLeg>,
    /// What we send; `None` before media is agreed.
    pub media_out: Option<MediaLeg>,
    /// What we receive; `None` before media is agreed.
    pub media_in: Option<MediaLeg>,
    /// RTCP of both directions; `None` before media is agreed.
    pub rtcp: Option<RtcpLeg>,
    /// The media's keys come from DTLS with the certificate that two people confirmed
    /// ([`Call::confirm_safety_number`](super::Call::confirm_safety_number)).
    pub peer_identity_verified: bool,
    /// What is on for debugging.
    pub debugging: Debugging,
    /// Packets protected by SRTP and SRTCP.
    pub packets_protected: u64,
    /// Packets whose authentication was checked and good.
    pub packets_authenticated: u64,
    /// Packets whose authentication failed.
    pub auth_failures: u64,
    /// Packets that were seen before or too old.
    pub replays: u64,
    /// Plain packets that arrived where SRTP was agreed.
    pub plain_dropped: u64,
}

impl SecurityReport {
    /// An empty report: nothing is known, so nothing is secure.
    pub(crate) fn new(policy: EffectivePolicy) -> Self {
        Self {
            policy,
            ladder: Vec::new(),
            signalling: None,
            media_out: None,
            media_in: None,
            rtcp: None,
            peer_identity_verified: false,
            debugging: Debugging::default(),
            packets_protected: 0,
            packets_authenticated: 0,
            auth_failures: 0,
            replays: 0,
            plain_dropped: 0,
        }
    }

    /// Takes the media's counters.
    pub(crate) fn count(&mut self, stats: &crate::media::session::MediaStats, protected: bool) {
        self.plain_dropped = stats.plain_dropped;
        let refused = |why: UnprotectError| stats.refused.get(why.index()).copied().unwrap_or(0);
        self.auth_failures = refused(UnprotectError::AuthFailed);
        self.replays =
            refused(UnprotectError::Replayed).saturating_add(refused(UnprotectError::TooOld));
        if protected {
            self.packets_protected = stats.packets_sent.saturating_add(stats.rtcp_sent);
            self.packets_authenticated = stats.packets_received.saturating_add(stats.rtcp_received);
        }
    }

    /// Signalling goes this way from now on.
    pub(crate) fn set_signalling(&mut self, leg: SignallingLeg) {
        // What was logged once stays readable.
        self.debugging.tls_key_log |= leg.tls.as_ref().is_some_and(|tls| tls.key_logged);
        self.signalling = Some(leg);
    }

    /// The padlock: the one place where it is decided.
    pub fn padlock(&self) -> Padlock {
        let signalling = self.signalling.as_ref();
        if signalling.is_some_and(|leg| leg.tls.is_some()) && self.is_verified_end_to_end() {
            return Padlock::VerifiedEndToEnd;
        }
        let verified = signalling.is_some_and(SignallingLeg::is_verified);
        match (verified, self.is_media_encrypted()) {
            (false, _) => Padlock::None,
            (true, false) => Padlock::SignallingOnly,
            (true, true) => Padlock::EncryptedToProvider,
        }
    }

    /// How well the media is protected, by whatever way signalling goes.
    pub fn level(&self) -> SecurityLevel {
        match self.padlock() {
            _ if !self.is_media_encrypted() => SecurityLevel::Plain,
            _ if self.is_verified_end_to_end() => SecurityLevel::VerifiedEndToEnd,
            Padlock::EncryptedToProvider => SecurityLevel::EncryptedToProvider,
            _ => SecurityLevel::EncryptedUnauthenticated,
        }
    }

    /// True if voice and RTCP are encrypted in both directions, whoever has the keys.
    pub fn is_media_encrypted(&self) -> bool {
        self.both_legs(|leg| leg.suite.is_some())
            && self.rtcp.as_ref().is_some_and(RtcpLeg::is_encrypted)
    }

    /// True if the TLS key exchange of the signalling was a hybrid of a classical and a
    /// post-quantum one ([`TlsFacts::is_hybrid`]).
    pub fn is_hybrid(&self) -> bool {
        self.tls().is_some_and(TlsFacts::is_hybrid)
    }

    fn tls(&self) -> Option<&TlsFacts> {
        self.signalling.as_ref()?.tls.as_ref()
    }

    fn both_legs(&self, holds: impl Fn(&MediaLeg) -> bool) -> bool {
        [&self.media_out, &self.media_in].into_iter().all(|leg| leg.as_ref().is_some_and(&holds))
    }

    fn is_verified_end_to_end(&self) -> bool {
        let by_dtls = |leg: &MediaLeg| matches!(leg.keying, Keying::Dtls { .. });
        self.peer_identity_verified && self.is_media_encrypted() && self.both_legs(by_dtls)
    }
}
