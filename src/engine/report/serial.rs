//! The report's serde form (feature `serde`): what `docs/report.md` shows, and stable. Fields may
//! be added, and names to the lists of values; none is renamed or changes its meaning. Nothing in
//! it is secret.

use alloc::string::{String, ToString};
use core::fmt::Write as _;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Debugging, Keying, MediaLeg, Padlock, RtcpLeg, SecurityReport, SignallingLeg};
use crate::crypto::dtls::Fingerprint;
use crate::crypto::identity::{MatchRule, NameMatch};
use crate::crypto::srtp::MasterKeyId;
use crate::crypto::tls::{
    PeerCertificate, PinMatch, PinnedKey, Revocation, TlsFacts, TlsProvider, TlsVersion,
};
use crate::engine::SecurityLevel;
use crate::engine::policy::EffectivePolicy;
use crate::sip::route::{LadderStep, StepOutcome};

/// Writes a struct: names and values, in order.
macro_rules! fields {
    ($serializer:expr, $name:literal, { $($field:ident: $value:expr),* $(,)? }) => {{
        let mut out = $serializer.serialize_struct($name, [$(stringify!($field)),*].len())?;
        $(out.serialize_field(stringify!($field), &$value)?;)*
        out.end()
    }};
}

impl Serialize for SecurityReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Taken apart by name: a fact that is added has to be given its place here.
        let Self {
            policy,
            ladder,
            signalling,
            media_out,
            media_in,
            rtcp,
            peer_identity_verified,
            debugging,
            packets_protected,
            packets_authenticated,
            auth_failures,
            replays,
            plain_dropped,
        } = self;
        fields!(serializer, "SecurityReport", {
            padlock: self.padlock(),
            level: self.level(),
            sentence: self.to_string(),
            policy: policy,
            ladder: ladder,
            signalling: signalling,
            media_out: media_out,
            media_in: media_in,
            rtcp: rtcp,
            peer_identity_verified: peer_identity_verified,
            debugging: debugging,
            packets_protected: packets_protected,
            packets_authenticated: packets_authenticated,
            auth_failures: auth_failures,
            replays: replays,
            plain_dropped: plain_dropped,
        })
    }
}

impl Serialize for Padlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::None => "none",
            Self::SignallingOnly => "signalling_only",
            Self::EncryptedToProvider => "encrypted_to_provider",
            Self::VerifiedEndToEnd => "verified_end_to_end",
        })
    }
}

impl Serialize for SecurityLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Plain => "plain",
            Self::EncryptedUnauthenticated => "encrypted_unauthenticated",
            Self::EncryptedToProvider => "encrypted_to_provider",
            Self::VerifiedEndToEnd => "verified_end_to_end",
        })
    }
}

impl Serialize for EffectivePolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { policy, source } = self;
        fields!(serializer, "EffectivePolicy", {
            policy: policy.as_str(),
            source: source.as_str(),
        })
    }
}

impl Serialize for LadderStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { transport, address, outcome } = self;
        let (outcome, reason) = match outcome {
            StepOutcome::Trying => ("trying", None),
            StepOutcome::Up => ("up", None),
            StepOutcome::Refused => ("refused", None),
            StepOutcome::TimedOut => ("timed_out", None),
            StepOutcome::Tls(why) => ("tls", Some(why)),
            StepOutcome::Certificate(why) => ("certificate", Some(why)),
            StepOutcome::Unserved => ("unserved", None),
        };
        fields!(serializer, "LadderStep", {
            transport: transport.as_str(),
            address: address.to_string(),
            outcome: outcome,
            reason: reason,
        })
    }
}

impl Serialize for SignallingLeg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { transport, tls, peer_verified, connected } = self;
        fields!(serializer, "SignallingLeg", {
            transport: transport.as_str(),
            connected: connected,
            peer_verified: peer_verified,
            tls: tls,
        })
    }
}

impl Serialize for TlsFacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            version,
            cipher_suite,
            key_exchange,
            resumed,
            peer,
            own_certificate_sent,
            provider,
            fips,
            key_logged,
        } = self;
        fields!(serializer, "TlsFacts", {
            version: match version {
                TlsVersion::V1_2 => "1.2",
                TlsVersion::V1_3 => "1.3",
            },
            cipher_suite: cipher_suite,
            key_exchange: key_exchange,
            hybrid: self.is_hybrid(),
            resumed: resumed,
            own_certificate_sent: own_certificate_sent,
            provider: match provider {
                TlsProvider::Ring => "ring",
                #[cfg(feature = "aws-lc")]
                TlsProvider::AwsLc => "aws-lc",
            },
            fips: fips,
            key_logged: key_logged,
            peer: peer,
        })
    }
}

impl Serialize for PeerCertificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { subject, names, domains, users, matched, anchor, key, pin, revocation } = self;
        fields!(serializer, "PeerCertificate", {
            subject: subject,
            names: names,
            domains: domains,
            users: users,
            matched: matched,
            anchor: anchor,
            key: key.to_string(),
            pin: pin,
            revocation: match revocation {
                Revocation::NotChecked => "not_checked",
                Revocation::Unknown => "unknown",
                Revocation::NotRevoked => "not_revoked",
            },
        })
    }
}

impl Serialize for NameMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { rule, presented } = self;
        fields!(serializer, "NameMatch", {
            rule: match rule {
                MatchRule::SipUri => "sip_uri",
                MatchRule::DnsName => "dns_name",
                MatchRule::IpAddress => "ip_address",
            },
            presented: presented,
        })
    }
}

impl Serialize for PinMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { pin, index, at } = self;
        fields!(serializer, "PinMatch", {
            pin: pin.to_string(),
            index: index,
            at: match at {
                PinnedKey::EndEntity => "end_entity",
                PinnedKey::Intermediate => "intermediate",
                PinnedKey::Anchor => "anchor",
            },
        })
    }
}

impl Serialize for MediaLeg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { profile, suite, keying, mki, key_generation, fingerprint } = self;
        let shown = Shown { verified: self.is_fingerprint_verified(), fingerprint };
        fields!(serializer, "MediaLeg", {
            profile: profile.as_str(),
            suite: suite.map(|suite| suite.sdp_name()),
            keying: keying,
            mki: mki.as_ref().map(hex),
            key_generation: key_generation,
            fingerprint: fingerprint.is_some().then_some(shown),
        })
    }
}

fn hex(mki: &MasterKeyId) -> String {
    let mut text = String::new();
    for byte in mki.as_bytes() {
        let _ = write!(text, "{byte:02x}"); // writing into a String does not fail
    }
    text
}

/// A fingerprint with whether it is verified.
struct Shown<'a> {
    fingerprint: &'a Option<Fingerprint>,
    verified: bool,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.fingerprint.map(|f| f.to_string()).unwrap_or_default();
        let (hash, value) = text.split_once(' ').unwrap_or_default();
        fields!(serializer, "Fingerprint", {
            hash: hash,
            value: value,
            verified: self.verified,
        })
    }
}

impl Serialize for Keying {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::None => "none",
            Self::Dtls { .. } => "dtls",
            Self::Sdes => "sdes",
        })
    }
}

impl Serialize for RtcpLeg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { encrypted_out, encrypted_in, mux } = self;
        fields!(serializer, "RtcpLeg", {
            encrypted_out: encrypted_out,
            encrypted_in: encrypted_in,
            mux: mux,
        })
    }
}

impl Serialize for Debugging {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { tls_key_log, sip_trace } = self;
        fields!(serializer, "Debugging", {
            tls_key_log: tls_key_log,
            sip_trace: sip_trace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{plain, secure, step, tls};
    use super::*;
    use crate::crypto::identity::MatchRule;
    use crate::sip::Transport;

    fn json(report: &SecurityReport) -> String {
        serde_json::to_string_pretty(report).unwrap()
    }

    /// The JSON blocks of docs/report.md.
    fn documented() -> Vec<&'static str> {
        let page = include_str!("../../../docs/report.md");
        let blocks = page.split("```json\n").skip(1);
        blocks.map(|block| block.split("\n```").next().unwrap()).collect()
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let mut dtls = secure(Keying::Dtls { authenticated: true });
        dtls.ladder = vec![
            step(Transport::Tls, StepOutcome::TimedOut),
            step(Transport::Tls, StepOutcome::Up),
        ];
        let mut clear = plain();
        let why = "it closed the connection".into();
        clear.ladder.insert(0, step(Transport::Tls, StepOutcome::Tls(why)));
        let forms = [json(&dtls), json(&clear)];
        for (form, shown) in forms.iter().zip(documented()) {
            assert_eq!(form, shown, "docs/report.md shows another form");
        }
        assert_eq!(documented().len(), 2);
    }

    #[test]
    fn every_value_has_its_name() {
        let mut report = secure(Keying::Sdes);
        report.media_out.as_mut().unwrap().mki = MasterKeyId::from_number(1066, 4).ok();
        report.set_signalling(SignallingLeg::new(
            Transport::Tls,
            Some(TlsFacts { key_exchange: Some("X25519MLKEM768"), ..tls() }),
        ));
        let text = json(&report);
        for part in ["\"mki\": \"0000042a\"", "\"hybrid\": true", "\"keying\": \"sdes\""] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let name = |rule| NameMatch { rule, presented: "x".into() };
        for (rule, expected) in
            [(MatchRule::SipUri, "sip_uri"), (MatchRule::IpAddress, "ip_address")]
        {
            assert!(serde_json::to_string(&name(rule)).unwrap().contains(expected));
        }
        let expired = step(Transport::Tls, StepOutcome::Certificate("it has expired".into()));
        let text = serde_json::to_string(&expired).unwrap();
        assert!(
            text.contains("\"outcome\":\"certificate\",\"reason\":\"it has expired\""),
            "{text}"
        );
        let lock = |padlock: Padlock| serde_json::to_string(&padlock).unwrap();
        assert_eq!(lock(Padlock::VerifiedEndToEnd), "\"verified_end_to_end\"");
        assert_eq!(lock(Padlock::SignallingOnly), "\"signalling_only\"");
    }
}
