//! Hosts: a name or an address (RFC 3261 §25.1, RFC 5118).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::chars::{HOST, skip_blanks, span};

/// The host of a URI or of a Via.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// A domain name, as written.
    Name(&'a str),
    /// An address; in text an IPv6 address stands in square brackets.
    Ip(IpAddr),
}

impl<'a> Host<'a> {
    /// The host that `text` names: a domain name, an IPv4 address, or an IPv6 address with or
    /// without brackets.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some((kind, end)) = scan_host(text.as_bytes(), 0) {
            return (end == text.len()).then(|| kind.read(text))?;
        }
        parse_v6(text).map(|a| Host::Ip(a.into()))
    }

    /// The address, unless it is a name.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::Ip(a) => Some(a),
        }
    }

    /// The name, unless it is an address.
    pub fn name(self) -> Option<&'a str> {
        match self {
            Host::Name(name) => Some(name),
            Host::Ip(_) => None,
        }
    }
}

/// Names compare without case, addresses by value.
impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Host::Ip(a), Host::Ip(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(a)) => write!(f, "{a}"),
            Host::Ip(IpAddr::V6(a)) => write!(f, "[{a}]"),
        }
    }
}

impl From<IpAddr> for Host<'_> {
    fn from(address: IpAddr) -> Self {
        Host::Ip(address)
    }
}

/// What the scanner found; the address itself is read when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostKind {
    None,
    Domain,
    V4,
    V6,
}

impl HostKind {
    /// The host that `text`, scanned as this kind, holds.
    pub(super) fn read(self, text: &str) -> Option<Host<'_>> {
        match self {
            HostKind::None => None,
            HostKind::Domain => Some(Host::Name(text)),
            HostKind::V4 => text.parse::<Ipv4Addr>().ok().map(|a| Host::Ip(a.into())),
            HostKind::V6 => {
                let address = parse_v6(text.strip_prefix('[')?.strip_suffix(']')?);
                address.map(|a| Host::Ip(a.into()))
            }
        }
    }
}

/// The host at `from` and the position after it.
#[inline]
pub(super) fn scan_host(bytes: &[u8], from: usize) -> Option<(HostKind, usize)> {
    let first = *bytes.get(from)?;
    if first == b'[' {
        let inside = from.checked_add(1)?;
        let end = inside.checked_add(memchr::memchr(b']', bytes.get(inside..)?)?)?;
        parse_v6(core::str::from_utf8(bytes.get(inside..end)?).ok()?)?;
        return Some((HostKind::V6, end.checked_add(1)?));
    }
    let end = span(bytes, from, HOST);
    let name = bytes.get(from..end)?;
    if name.is_empty() || first == b'.' {
        return None;
    }
    if !first.is_ascii_digit() || !name.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        return Some((HostKind::Domain, end));
    }
    let address = core::str::from_utf8(name).ok()?;
    address.parse::<Ipv4Addr>().ok()?;
    Some((HostKind::V4, end))
}

/// The port after `:` at `from`, if there is one, and the position after it. `None` for a colon
/// without a port of 0 to 65535. `blanks` allows blanks around the colon (Via).
#[inline]
pub(super) fn scan_port(bytes: &[u8], from: usize, blanks: bool) -> Option<(Option<u16>, usize)> {
    let colon = if blanks { skip_blanks(bytes, from) } else { from };
    if bytes.get(colon) != Some(&b':') {
        return Some((None, from));
    }
    let mut start = colon.checked_add(1)?;
    if blanks {
        start = skip_blanks(bytes, start);
    }
    let rest = bytes.get(start..)?;
    let mut port = 0u16;
    let mut end = start;
    for digit in rest.iter().take_while(|b| b.is_ascii_digit()) {
        port = port.checked_mul(10)?.checked_add(u16::from(digit & 0x0f))?;
        end = end.saturating_add(1);
    }
    (end > start).then_some((Some(port), end))
}

/// An IPv6 address without brackets. Three colons in a row, which the grammar of RFC 3261 allowed
/// by mistake, mean two (RFC 5118 §4.10).
pub(super) fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (head, tail) = text.split_once(":::")?;
    let mut fixed = [0u8; 48];
    let pieces = head.bytes().chain(*b"::").chain(tail.bytes());
    let mut length = 0usize;
    for b in pieces {
        *fixed.get_mut(length)? = b;
        length = length.checked_add(1)?;
    }
    core::str::from_utf8(fixed.get(..length)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        assert!(matches!(Host::parse("3com.example"), Some(Host::Name("3com.example"))));
        assert!(matches!(Host::parse("192.0.2.1"), Some(Host::Ip(IpAddr::V4(_)))));
        assert_eq!(Host::parse("[2001:db8::9:255]"), Host::parse("2001:db8::9:255"));
        assert_eq!(Host::parse("2001:db8:::192.0.2.1"), Host::parse("2001:db8::192.0.2.1"));
        assert_eq!(Host::parse("EXAMPLE.com"), Host::parse("example.COM"));
        for bad in ["", "256.1.1.1", "1.2.3", "2001", "[2001:db8::1", "a b", ".", "[::1%eth0]"] {
            assert!(Host::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Host::parse("[2001:DB8::1]").unwrap().to_string(), "[2001:db8::1]");
    }

    #[test]
    fn ports_do_not_wrap() {
        assert_eq!(scan_port(b":5060;", 0, false), Some((Some(5060), 5)));
        assert_eq!(scan_port(b" : 5060", 0, true), Some((Some(5060), 7)));
        assert_eq!(scan_port(b":65536", 0, false), None);
        assert_eq!(scan_port(b":", 0, false), None);
        assert_eq!(scan_port(b";", 0, false), Some((None, 0)));
    }
}
