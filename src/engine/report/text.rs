//! The report in words: one sentence for a phone's screen, and the evidence line by line.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Keying, MediaLeg, Padlock, SecurityReport, SignallingLeg};
use crate::crypto::tls::{PeerCertificate, Revocation, TlsFacts};
use crate::sip::route::{LadderStep, StepOutcome};

/// `{}` is the sentence for the screen; `{:#}` adds the [evidence](SecurityReport::evidence), a
/// line each.
impl fmt::Display for SecurityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())?;
        if let Some(note) = self.debugging_note() {
            write!(f, " {note}")?;
        }
        if f.alternate() {
            for (what, text) in self.evidence() {
                write!(f, "\n{what}: {text}")?;
            }
        }
        Ok(())
    }
}

impl SecurityReport {
    /// The evidence in words: what a line is about, and the line. Nothing in it is secret; names
    /// in certificates are the far end's words, without control characters.
    pub fn evidence(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let mut line = |what, text: String| lines.push((what, printable(&text)));
        line("signalling", signalling(self.signalling.as_ref()));
        if let Some(tls) = self.tls() {
            line("other end", peer(tls.peer.as_ref()));
        }
        if !self.ladder.is_empty() {
            line("way", self.way());
        }
        line("voice sent", self.voice(self.media_out.as_ref()));
        line("voice heard", self.voice(self.media_in.as_ref()));
        line("control", self.control());
        line("policy", self.policy.to_string());
        line("packets", self.packets());
        let on =
            [(self.debugging.tls_key_log, "TLS key log"), (self.debugging.sip_trace, "SIP trace")];
        let on: Vec<&str> = on.into_iter().filter(|(on, _)| *on).map(|(_, what)| what).collect();
        if !on.is_empty() {
            line("debugging", on.join(", "));
        }
        lines
    }

    fn sentence(&self) -> &'static str {
        let agreed = self.media_out.is_some();
        let under_tls = self.tls().is_some();
        match self.padlock() {
            Padlock::VerifiedEndToEnd => {
                "Encrypted and verified end to end: nobody between the two phones can listen."
            }
            Padlock::EncryptedToProvider => {
                "Encrypted to your provider: nobody on the way there can listen."
            }
            Padlock::SignallingOnly if agreed => {
                "Only the call's set-up is encrypted: others on the way can hear the voice."
            }
            Padlock::SignallingOnly => "The call's set-up is encrypted; there is no voice yet.",
            Padlock::None if self.is_verified_end_to_end() => {
                "The voice is encrypted to the phone that you confirmed, but others on the way \
                 can see who calls whom."
            }
            Padlock::None if self.is_media_encrypted() => {
                "The voice is encrypted, but the other end did not prove who it is."
            }
            Padlock::None if agreed => "Not encrypted: others on the way can listen.",
            Padlock::None if under_tls => "Not secure yet: the other end did not prove who it is.",
            Padlock::None if self.signalling.is_some() => {
                "Not encrypted: others on the way can see who calls whom."
            }
            Padlock::None => "Nothing is known yet.",
        }
    }

    fn debugging_note(&self) -> Option<&'static str> {
        match (self.debugging.tls_key_log, self.debugging.sip_trace) {
            (false, false) => None,
            (true, false) => Some(
                "Debugging is on: whoever has the TLS key log can read the signalling, and the \
                 keys in it.",
            ),
            (false, true) => {
                Some("Debugging is on: whoever has the SIP trace can see who calls whom.")
            }
            (true, true) => Some(
                "Debugging is on: whoever has the TLS key log or the SIP trace can read the \
                 signalling.",
            ),
        }
    }

    /// What was tried, and why it did not serve.
    fn way(&self) -> String {
        let step = |s: &LadderStep| format!("{} to {}: {}", s.transport, s.address, s.outcome);
        let steps: Vec<String> = self.ladder.iter().map(step).collect();
        let failed = |s: &LadderStep| !matches!(s.outcome, StepOutcome::Up | StepOutcome::Trying);
        let missed = self.ladder.iter().any(|s| s.transport.is_secure() && failed(s));
        let clear = self.signalling.as_ref().is_some_and(|leg| !leg.transport.is_secure());
        let why = if missed && clear { "TLS could not be had. " } else { "" };
        format!("{why}{}", steps.join("; "))
    }

    fn voice(&self, leg: Option<&MediaLeg>) -> String {
        let Some(leg) = leg else { return "not agreed yet".to_string() };
        let profile = leg.profile.as_str();
        let Some(suite) = leg.suite else { return format!("plain RTP ({profile}), not encrypted") };
        let mut text = format!("SRTP {} ({profile}), ", suite.sdp_name());
        text += &match (leg.keying, &leg.fingerprint) {
            (Keying::Dtls { .. }, Some(value)) => {
                let verified = match leg.keying {
                    _ if self.peer_identity_verified => "of the phone that you confirmed",
                    Keying::Dtls { authenticated: true } => "verified by the signalling",
                    _ => "not verified",
                };
                format!("keys by DTLS, fingerprint {value} {verified}")
            }
            (Keying::Dtls { .. }, None) => "keys by DTLS, no fingerprint".to_string(),
            (Keying::Sdes | Keying::None, _) => "keys by SDES, in the signalling".to_string(),
        };
        if let Some(mki) = leg.mki {
            text += &format!(", key identifier {mki:?}");
        }
        match leg.key_generation {
            0 => {}
            1 => text += ", renewed once",
            n => text += &format!(", renewed {n} times"),
        }
        text
    }

    fn control(&self) -> String {
        let Some(rtcp) = self.rtcp else { return "not agreed yet".to_string() };
        let how = match (rtcp.encrypted_out, rtcp.encrypted_in) {
            (true, true) => "SRTCP, encrypted both ways",
            (false, false) => "plain RTCP, not encrypted",
            (true, false) => "RTCP encrypted as sent, not as received",
            (false, true) => "RTCP encrypted as received, not as sent",
        };
        let port = if rtcp.mux { "on the voice's port" } else { "on a port of its own" };
        format!("{how}, {port}")
    }

    fn packets(&self) -> String {
        format!(
            "{} protected, {} authenticated, {} not authentic, {} replayed, {} plain ones refused",
            self.packets_protected,
            self.packets_authenticated,
            self.auth_failures,
            self.replays,
            self.plain_dropped
        )
    }
}

fn signalling(leg: Option<&SignallingLeg>) -> String {
    let Some(leg) = leg else { return "no connection yet".to_string() };
    let mut text = match &leg.tls {
        None => format!("{}, not encrypted", leg.transport),
        Some(tls) => format!("{}, {}, {}", tls.version, tls.cipher_suite, key_exchange(tls)),
    };
    if leg.tls.as_ref().is_some_and(|tls| tls.resumed) {
        text += ", session resumed";
    }
    if !leg.connected {
        text += "; this connection is lost";
    }
    text
}

fn key_exchange(tls: &TlsFacts) -> String {
    match tls.key_exchange {
        None => "no new key exchange".to_string(),
        Some(group) if tls.is_hybrid() => {
            format!("hybrid post-quantum key exchange {group}")
        }
        Some(group) => format!("key exchange {group}"),
    }
}

fn peer(peer: Option<&PeerCertificate>) -> String {
    let Some(peer) = peer else { return "did not prove who it is".to_string() };
    let names = [&peer.domains, &peer.users].into_iter().find(|names| !names.is_empty());
    let names = names.map_or_else(|| peer.subject.clone(), |names| names.join(", "));
    let mut text = format!("{names}, by a certificate from {}", peer.anchor);
    if let Some(name) = &peer.matched {
        text += &format!(" for {} as dialled", name.presented);
    }
    if peer.pin.is_some() {
        text += ", its key is pinned";
    }
    text += match peer.revocation {
        Revocation::NotChecked => "",
        Revocation::Unknown => ", revocation unknown",
        Revocation::NotRevoked => ", not revoked",
    };
    text
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
