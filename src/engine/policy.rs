//! The one gate: what a domain's policy allows, for signalling and media, inbound and outbound.

use crate::sip::Transport;
use alloc::string::String;

/// What a domain, an account or a call demands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum SecurityPolicy {
    /// TCP or UDP and RTP, as without the feature.
    Off,
    /// TLS and SRTP wherever both ends can; otherwise the call completes as usual.
    #[default]
    Preferred,
    /// TLS and SRTP, or no call.
    Required,
}

impl SecurityPolicy {
    /// The stricter of two policies: an account or a call never loosens its domain's.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        self.max(other)
    }

    /// The transports that signalling may use, best first.
    pub const fn transports(self) -> &'static [Transport] {
        match self {
            Self::Required => &[Transport::Tls],
            Self::Preferred => &[Transport::Tls, Transport::Tcp, Transport::Udp],
            Self::Off => &[Transport::Udp, Transport::Tcp, Transport::Tls],
        }
    }

    /// Lower-case name: `off`, `preferred`, `required`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Preferred => "preferred",
            Self::Required => "required",
        }
    }
}

impl core::fmt::Display for SecurityPolicy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which part of the configuration a policy comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PolicySource {
    /// Nothing was set.
    Default,
    /// The domain's.
    Domain,
    /// The account's own, stricter than its domain's.
    Account,
    /// The call's own, stricter than its account's.
    Call,
}

impl PolicySource {
    /// Lower-case name: `default`, `domain`, `account`, `call`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Domain => "domain",
            Self::Account => "account",
            Self::Call => "call",
        }
    }
}

/// The policy in force, with the part that decided it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EffectivePolicy {
    /// The policy.
    pub policy: SecurityPolicy,
    /// The part that it comes from: the strictest one, the more general of equals.
    pub source: PolicySource,
}

impl EffectivePolicy {
    pub(crate) fn of_domain(set: Option<SecurityPolicy>) -> Self {
        match set {
            Some(policy) => Self { policy, source: PolicySource::Domain },
            None => Self { policy: SecurityPolicy::default(), source: PolicySource::Default },
        }
    }

    /// The same made stricter by another part; looser ones change nothing.
    pub(crate) fn tightened(self, own: SecurityPolicy, source: PolicySource) -> Self {
        if own > self.policy { Self { policy: own, source } } else { self }
    }
}

impl core::fmt::Display for EffectivePolicy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (from the {})", self.policy, self.source.as_str())
    }
}

/// A policy could not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The domain is empty or not a host name.
    #[error("{0:?} is not a domain name: give a host name such as example.com")]
    BadDomain(String),
}

/// What the gate decided about the media of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MediaRule {
    /// SRTP or nothing.
    Encrypted,
    /// SRTP if the far end can, else plain RTP.
    EncryptedIfPossible,
    /// Plain RTP.
    Plain,
}

/// The gate for what we offer. SDES keys never go over signalling that is not under verified TLS
/// (RFC 4568 §8.3), so without it there is no SRTP to offer; `Err` is the reason in words.
pub(crate) fn rule_for_offer(
    policy: SecurityPolicy,
    signalling_secure: bool,
) -> Result<MediaRule, &'static str> {
    match (policy, signalling_secure) {
        (SecurityPolicy::Required, true) => Ok(MediaRule::Encrypted),
        (SecurityPolicy::Required, false) => Err("TLS is required, and the connection has none"),
        (SecurityPolicy::Preferred, true) => Ok(MediaRule::EncryptedIfPossible),
        (SecurityPolicy::Preferred, false) | (SecurityPolicy::Off, _) => Ok(MediaRule::Plain),
    }
}

/// The gate for what we are offered. `protected` tells whether this call's media was SRTP before:
/// it never goes back to plain (a sticky floor).
pub(crate) fn rule_for_answer(
    policy: SecurityPolicy,
    signalling_secure: bool,
    offers_srtp: bool,
    protected: bool,
) -> Result<MediaRule, &'static str> {
    let rule = rule_for_offer(policy, signalling_secure)?;
    match rule {
        MediaRule::Encrypted if !offers_srtp => Err("SRTP is required, and no keys were offered"),
        MediaRule::Encrypted => Ok(MediaRule::Encrypted),
        _ if protected && !offers_srtp => Err("the call is encrypted and stays so"),
        _ if protected => Ok(MediaRule::Encrypted),
        // An offer of SRTP alone (RTP/SAVP) is taken even where the policy would not ask for it.
        _ if offers_srtp && signalling_secure => Ok(MediaRule::EncryptedIfPossible),
        rule => Ok(rule),
    }
}

/// The only place that permits plain packets.
#[allow(clippy::disallowed_methods)]
pub(crate) fn plain_permit(rule: MediaRule) -> Option<crate::crypto::srtp::PlainPermit> {
    match rule {
        MediaRule::Encrypted => None,
        MediaRule::EncryptedIfPossible | MediaRule::Plain => {
            Some(crate::crypto::srtp::PlainPermit::issue())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_means_tls_and_srtp_both_ways() {
        use SecurityPolicy::{Off, Preferred, Required};
        assert_eq!(rule_for_offer(Required, true), Ok(MediaRule::Encrypted));
        assert!(rule_for_offer(Required, false).is_err());
        assert!(rule_for_answer(Required, true, false, false).is_err());
        assert!(rule_for_answer(Required, false, true, false).is_err());
        assert!(plain_permit(MediaRule::Encrypted).is_none());
        assert_eq!(rule_for_offer(Preferred, false), Ok(MediaRule::Plain));
        assert_eq!(rule_for_answer(Off, false, false, false), Ok(MediaRule::Plain));
        assert!(rule_for_answer(Off, true, false, true).is_err());
        assert_eq!(Required.transports(), [Transport::Tls]);
        assert_eq!(Off.stricter(Required), Required);
    }
}
