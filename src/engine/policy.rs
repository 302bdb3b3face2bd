//! The one gate: what a domain's policy allows, for signalling and media, inbound and outbound.

use alloc::string::String;
use crate::sip::Transport;

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

/// A policy could not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The domain is empty or not a host name.
    #[error("{0:?} is not a domain name: give a host name such as example.com")]
    BadDomain(String),
}
