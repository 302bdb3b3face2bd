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

#[cfg(test)]
mod tests {
    use super::*;

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
