//! The evidence: how secure a call really is, computed from what happened.

use alloc::vec::Vec;
use core::fmt;

use super::peers::SecurityLevel;
use super::policy::EffectivePolicy;
use crate::crypto::srtp::{Suite, UnprotectError};
use crate::crypto::tls::TlsFacts;
use crate::sip::Transport;
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

/// How the signalling of a call travels.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SignallingLeg {
    /// The transport.
    pub transport: Transport,
    /// TLS facts, from the handshake itself.
    pub tls: Option<TlsFacts>,
    /// True if the far end of the connection proved an identity that we checked: as a client,
    /// always (a certificate that does not verify ends the flow); as a server, only with a
    /// client certificate.
    pub peer_verified: bool,
}

/// How the media of one direction travels.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MediaLeg {
    /// The SRTP suite; `None`: plain RTP.
    pub suite: Option<Suite>,
    /// How the key was agreed.
    pub keying: Keying,
}

/// How SRTP keys were agreed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Keying {
    /// No keys: plain RTP.
    None,
    /// A DTLS handshake on the media's path (RFC 5763).
    Dtls {
        /// The fingerprint that the peer had to match came over signalling whose peer was
        /// verified. Otherwise whoever could change the signalling could be in the middle.
        authenticated: bool,
    },
    /// `a=crypto` in the session description (RFC 4568): as secret as the signalling.
    Sdes,
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
    /// The media's keys come from DTLS with the certificate that two people confirmed
    /// ([`Call::confirm_safety_number`](super::Call::confirm_safety_number)).
    pub peer_identity_verified: bool,
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
            peer_identity_verified: false,
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

    /// The padlock: the one place where it is decided.
    pub fn padlock(&self) -> Padlock {
        let signalling = self
            .signalling
            .as_ref()
            .is_some_and(|leg| leg.transport.is_secure() && leg.tls.is_some() && leg.peer_verified);
        let tls = self.signalling.as_ref().is_some_and(|leg| leg.tls.is_some());
        if tls && self.is_verified_end_to_end() {
            return Padlock::VerifiedEndToEnd;
        }
        match (signalling, self.both_legs(|leg| leg.suite.is_some())) {
            (false, _) => Padlock::None,
            (true, false) => Padlock::SignallingOnly,
            (true, true) => Padlock::EncryptedToProvider,
        }
    }

    /// How well the media is protected, by whatever way signalling goes.
    pub fn level(&self) -> SecurityLevel {
        match self.padlock() {
            _ if !self.both_legs(|leg| leg.suite.is_some()) => SecurityLevel::Plain,
            _ if self.is_verified_end_to_end() => SecurityLevel::VerifiedEndToEnd,
            Padlock::EncryptedToProvider => SecurityLevel::EncryptedToProvider,
            _ => SecurityLevel::EncryptedUnauthenticated,
        }
    }

    fn both_legs(&self, holds: impl Fn(&MediaLeg) -> bool) -> bool {
        [&self.media_out, &self.media_in].into_iter().all(|leg| leg.as_ref().is_some_and(&holds))
    }

    fn is_verified_end_to_end(&self) -> bool {
        let by_dtls = |leg: &MediaLeg| matches!(leg.keying, Keying::Dtls { .. });
        self.peer_identity_verified && self.both_legs(|leg| leg.suite.is_some() && by_dtls(leg))
    }
}

impl fmt::Display for SecurityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.padlock())?;
        match &self.signalling {
            None => {}
            Some(SignallingLeg { tls: Some(tls), .. }) => {
                write!(f, "; signalling: {}, {}", tls.version, tls.cipher_suite)?;
            }
            Some(leg) => write!(f, "; signalling: {} in the clear", leg.transport)?,
        }
        let Some(leg) = &self.media_out else { return Ok(()) };
        let Some(suite) = leg.suite else { return f.write_str("; voice: plain RTP") };
        let keys = match leg.keying {
            Keying::Dtls { .. } if self.peer_identity_verified => {
                "keys by DTLS with a confirmed peer"
            }
            Keying::Dtls { authenticated: true } => "keys by DTLS",
            Keying::Dtls { authenticated: false } => "keys by DTLS with whoever answered",
            Keying::Sdes | Keying::None => "keys by SDES",
        };
        write!(f, "; voice: SRTP {}, {keys}", suite.sdp_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_by_dtls_in_both_directions_with_a_confirmed_peer_are_verified_end_to_end() {
        let dtls = Keying::Dtls { authenticated: false };
        for (out, into, confirmed, level) in [
            (dtls, dtls, true, SecurityLevel::VerifiedEndToEnd),
            (dtls, dtls, false, SecurityLevel::EncryptedUnauthenticated),
            (Keying::Sdes, Keying::Sdes, true, SecurityLevel::EncryptedUnauthenticated),
            (dtls, Keying::Sdes, true, SecurityLevel::EncryptedUnauthenticated),
            (Keying::Sdes, dtls, true, SecurityLevel::EncryptedUnauthenticated),
        ] {
            let mut report = SecurityReport::new(EffectivePolicy::of_domain(None));
            let leg = |keying| Some(MediaLeg { suite: Some(Suite::AeadAes128Gcm), keying });
            (report.media_out, report.media_in) = (leg(out), leg(into));
            report.peer_identity_verified = confirmed;
            assert_eq!(report.level(), level, "{out:?} {into:?}");
            assert_eq!(report.padlock(), Padlock::None, "nothing is known of signalling");
            report.media_out = Some(MediaLeg { suite: None, keying: Keying::None });
            assert_eq!(report.level(), SecurityLevel::Plain);
        }
    }
}
