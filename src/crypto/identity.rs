//! Whose certificate is it: the rules of RFC 5922.
//!
//! The name that counts is the *domain dialled*, never a host name that DNS returned for it
//! (RFC 3263 §4, RFC 5922 §7.3): what DNS says is exactly what an attacker may have forged.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// How many presented names an error or a fact carries at most.
pub const MAX_LISTED_NAMES: usize = 16;
/// How many characters of one presented name an error or a fact carries at most.
pub const MAX_LISTED_NAME_LEN: usize = 255;

/// What was dialled: the name that the peer's certificate must bear.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Dialled {
    /// A domain, in lower case, without the root's trailing dot.
    Domain(String),
    /// A literal IP address.
    Ip(IpAddr),
}

/// What was dialled is neither a host name nor an IP address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the domain to verify is neither a host name nor an IP address: pass the domain dialled")]
pub struct InvalidDomain;

impl Dialled {
    /// Reads a host name (letters, digits, `-`, `_`, dots; an internationalized name in its
    /// A-label form), an IPv4 address or an IPv6 address with or without brackets.
    ///
    /// # Errors
    /// [`InvalidDomain`] for anything else: a wildcard, a NUL, an empty label.
    pub fn parse(text: &str) -> Result<Self, InvalidDomain> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let valid = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() <= 253 && name.split('.').all(valid) {
            Ok(Self::Domain(name.to_ascii_lowercase()))
        } else {
            Err(InvalidDomain)
        }
    }
}

impl core::fmt::Display for Dialled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Domain(name) => f.write_str(name),
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

/// One subjectAltName value of a certificate (RFC 5280 §4.2.1.6), raw as it was presented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AltName<'a> {
    /// A uniformResourceIdentifier.
    Uri(&'a [u8]),
    /// A dNSName.
    Dns(&'a [u8]),
    /// An iPAddress: 4 or 16 bytes.
    Ip(&'a [u8]),
}

impl AltName<'_> {
    /// The name in a form fit for a log: printable ASCII only, bounded.
    pub fn display(&self) -> String {
        match self {
            Self::Uri(raw) => printable(raw),
            Self::Dns(raw) => printable(raw),
            Self::Ip(raw) => ip_of(raw).map_or_else(|| printable(raw), |ip| ip.to_string()),
        }
    }
}

/// By which rule a certificate's name matched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum MatchRule {
    /// A `sip:` URI without user part (RFC 5922 §7.1).
    SipUri,
    /// A DNS name, the certificate having no `sip:` URI (RFC 5922 §7.1).
    DnsName,
    /// An iPAddress, an address having been dialled (RFC 2818 §3.1).
    IpAddress,
}

/// Which name of the certificate matched what was dialled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameMatch {
    /// The rule that accepted it.
    pub rule: MatchRule,
    /// The value as the certificate has it.
    pub presented: String,
}

/// Finds the name of a certificate that stands for what was dialled (RFC 5922 §7.1 and §7.2).
///
/// `sip:` URIs come first: if the certificate has any, DNS names do not count, and one with a
/// user part identifies that user, not the domain. Comparison is of the whole name, without
/// regard to case; a wildcard matches nothing, and neither does a name with a NUL or any other
/// byte that no host name has. Internationalized names are compared in their A-label form
/// (RFC 5280 §7.2), the only one that a SIP URI can carry.
///
/// In two places this is stricter than RFC 5922 demands: a `sip:` URI with a user part keeps DNS
/// names from counting too, and the subject's common name is never used, where §7.1 allows it
/// for a certificate without subjectAltName.
pub fn find_match<'a>(
    dialled: &Dialled,
    names: impl Iterator<Item = AltName<'a>> + Clone,
) -> Option<NameMatch> {
    let found = |rule, name: AltName<'_>| Some(NameMatch { rule, presented: name.display() });
    let domain = match dialled {
        Dialled::Ip(ip) => {
            let same = |n: &AltName<'_>| matches!(n, AltName::Ip(raw) if ip_of(raw) == Some(*ip));
            return names.clone().find(same).and_then(|n| found(MatchRule::IpAddress, n));
        }
        Dialled::Domain(domain) => domain.as_bytes(),
    };
    let mut has_sip_uri = false;
    for name in names.clone() {
        let AltName::Uri(raw) = name else { continue };
        let Some(rest) = sip_scheme(raw) else { continue };
        has_sip_uri = true;
        if sip_domain(rest).is_some_and(|host| same_host(host, domain)) {
            return found(MatchRule::SipUri, name);
        }
    }
    if has_sip_uri {
        return None;
    }
    let same = |n: &AltName<'_>| matches!(n, AltName::Dns(raw) if same_host(raw, domain));
    names.clone().find(same).and_then(|n| found(MatchRule::DnsName, n))
}

/// The SIP domains that a certificate stands for (RFC 5922 §7.1), at most
/// [`MAX_LISTED_NAMES`]: what a server may call a peer that authenticated with it (§7.4).
pub fn domain_identities<'a>(names: impl Iterator<Item = AltName<'a>> + Clone) -> Vec<String> {
    let uris = names.clone().filter_map(|n| match n {
        AltName::Uri(raw) => sip_scheme(raw),
        _ => None,
    });
    let dns = |n| match n {
        AltName::Dns(raw) => Some(raw),
        _ => None,
    };
    let hosts: Vec<&[u8]> = if uris.clone().next().is_some() {
        uris.filter_map(sip_domain).filter(|h| is_host(h)).take(MAX_LISTED_NAMES).collect()
    } else {
        names.filter_map(dns).filter(|h| is_host(h)).take(MAX_LISTED_NAMES).collect()
    };
    hosts.into_iter().map(|h| printable(h).to_ascii_lowercase()).collect()
}

/// The users that a certificate stands for, as `alice@example.com`: its `sip:` URIs with a user
/// part, at most [`MAX_LISTED_NAMES`]. They identify a user, never the domain (RFC 5922 §7.1).
pub fn user_identities<'a>(names: impl Iterator<Item = AltName<'a>>) -> Vec<String> {
    let user = |name| {
        let AltName::Uri(raw) = name else { return None };
        let address = sip_scheme(raw)?.split(|b| matches!(b, b';' | b'?')).next()?;
        let at = address.iter().position(|b| *b == b'@')?;
        let (user, host) = (address.get(..at)?, address.get(at.checked_add(1)?..)?);
        let user_ok = !user.is_empty() && user.iter().all(u8::is_ascii_graphic);
        let host = host.split(|b| *b == b':').next().filter(|h| is_host(h))?;
        user_ok
            .then(|| alloc::format!("{}@{}", printable(user), printable(host).to_ascii_lowercase()))
    };
    names.filter_map(user).take(MAX_LISTED_NAMES).collect()
}

/// What follows `sip:`, in any case; `None` for another scheme (`sips:` is no SIP identity).
fn sip_scheme(uri: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = uri.split_at_checked(4)?;
    scheme.eq_ignore_ascii_case(b"sip:").then_some(rest)
}

/// The host of a `sip:` URI, unless the URI names a user.
fn sip_domain(rest: &[u8]) -> Option<&[u8]> {
    if rest.contains(&b'@') {
        return None;
    }
    rest.split(|b| matches!(b, b':' | b';' | b'?')).next()
}

fn is_host(name: &[u8]) -> bool {
    core::str::from_utf8(name)
        .is_ok_and(|text| matches!(Dialled::parse(text), Ok(Dialled::Domain(_))))
}

/// `domain` is a checked host name, so a NUL, a wildcard or an odd byte in `presented` differs.
fn same_host(presented: &[u8], domain: &[u8]) -> bool {
    presented.strip_suffix(b".").unwrap_or(presented).eq_ignore_ascii_case(domain)
}

fn ip_of(raw: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(raw)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(raw).map(IpAddr::from))
        .ok()
}

/// Printable ASCII, everything else as `?`, bounded.
pub(crate) fn printable(raw: &[u8]) -> String {
    let shown = raw.iter().take(MAX_LISTED_NAME_LEN);
    shown.map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(dialled: &str, names: &[AltName<'_>]) -> Option<MatchRule> {
        let dialled = Dialled::parse(dialled).expect("a valid domain");
        find_match(&dialled, names.iter().copied()).map(|m| m.rule)
    }

    #[test]
    fn a_sip_uri_comes_before_dns_names() {
        let names = [AltName::Dns(b"example.com"), AltName::Uri(b"SIP:Example.COM")];
        assert_eq!(rule("example.com", &names), Some(MatchRule::SipUri));
        let names = [AltName::Dns(b"example.com"), AltName::Uri(b"sip:other.example")];
        assert_eq!(rule("example.com", &names), None);
        let names = [AltName::Dns(b"example.com"), AltName::Uri(b"https://other.example/")];
        assert_eq!(rule("example.com", &names), Some(MatchRule::DnsName));
    }

    #[test]
    fn a_user_part_disqualifies() {
        let names = [AltName::Uri(b"sip:alice@example.com"), AltName::Dns(b"example.com")];
        assert_eq!(rule("example.com", &names), None);
        assert!(domain_identities(names.iter().copied()).is_empty());
        // Neither does a user part hide behind what looks like a host.
        assert_eq!(rule("example.com", &[AltName::Uri(b"sip:example.com;x@evil.example")]), None);
        assert_eq!(rule("example.com", &[AltName::Uri(b"sips:example.com")]), None);
    }

    #[test]
    fn names_match_whole_and_without_regard_to_case() {
        assert_eq!(rule("eXample.com.", &[AltName::Dns(b"EXAMPLE.com")]), Some(MatchRule::DnsName));
        for odd in [
            &b"*.example.com"[..],
            b"example.com\0.evil.example",
            b"\0sip.example.com",
            b".example.com",
            b"",
            b"com",
        ] {
            assert_eq!(rule("sip.example.com", &[AltName::Dns(odd)]), None);
            assert_eq!(rule("example.com", &[AltName::Dns(odd)]), None, "{odd:?}");
        }
    }

    #[test]
    fn an_address_matches_an_address_only() {
        let names = [AltName::Dns(b"192.0.2.1"), AltName::Uri(b"sip:192.0.2.1")];
        assert_eq!(rule("192.0.2.1", &names), None);
        let names = [AltName::Ip(&[192, 0, 2, 1])];
        assert_eq!(rule("192.0.2.1", &names), Some(MatchRule::IpAddress));
        assert_eq!(rule("192.0.2.2", &names), None);
        let six = "2001:db8::1".parse::<core::net::Ipv6Addr>().expect("an address").octets();
        assert_eq!(rule("[2001:db8::1]", &[AltName::Ip(&six)]), Some(MatchRule::IpAddress));
    }

    #[test]
    fn only_a_host_can_be_dialled() {
        for bad in ["", ".", "*.example.com", "a..b", "exa mple.com", "a\0b", "sip:example.com"] {
            assert_eq!(Dialled::parse(bad), Err(InvalidDomain), "{bad:?}");
        }
    }

    #[test]
    fn what_is_listed_is_printable_and_bounded() {
        let long = [b'\n'; 5000];
        assert_eq!(AltName::Dns(&long).display(), "?".repeat(MAX_LISTED_NAME_LEN));
        assert_eq!(AltName::Ip(&[127, 0, 0, 1]).display(), "127.0.0.1");
    }
}
