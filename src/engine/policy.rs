//! The policies of domains, accounts and calls, and which of them holds. What they allow is
//! decided in [`gate`](super::gate).

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

/// A sentence for people, without its full stop.
impl core::fmt::Display for EffectivePolicy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.policy {
            SecurityPolicy::Off => "encryption is switched off",
            SecurityPolicy::Preferred => "encryption is preferred",
            SecurityPolicy::Required => "encryption is required",
        })?;
        f.write_str(match self.source {
            PolicySource::Default => ", as nothing else was set",
            PolicySource::Domain => ", as the domain wants it",
            PolicySource::Account => ", as the account wants it",
            PolicySource::Call => ", as was asked for this call",
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_in_force_is_told_in_a_sentence() {
        use alloc::string::ToString;
        let default = EffectivePolicy::of_domain(None);
        assert_eq!(default.to_string(), "encryption is preferred, as nothing else was set");
        let domain = EffectivePolicy::of_domain(Some(SecurityPolicy::Off));
        assert_eq!(domain.to_string(), "encryption is switched off, as the domain wants it");
        let own = domain.tightened(SecurityPolicy::Required, PolicySource::Account);
        assert_eq!(own.to_string(), "encryption is required, as the account wants it");
        let call = domain.tightened(SecurityPolicy::Preferred, PolicySource::Call);
        assert_eq!(call.to_string(), "encryption is preferred, as was asked for this call");
    }

    #[test]
    fn a_part_makes_stricter_and_never_looser() {
        use SecurityPolicy::{Off, Preferred, Required};
        let domain = EffectivePolicy::of_domain(Some(Preferred));
        assert_eq!(domain.tightened(Off, PolicySource::Account), domain);
        assert_eq!(domain.tightened(Preferred, PolicySource::Account), domain);
        let tight = domain.tightened(Required, PolicySource::Call);
        assert_eq!((tight.policy, tight.source), (Required, PolicySource::Call));
        assert_eq!(EffectivePolicy::of_domain(None).source, PolicySource::Default);
        assert_eq!(Off.stricter(Required), Required);
    }
}
