//! Hosts: a name or an address (RFC 3261 §25.1, RFC 5118).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::chars::{HOST, V6, after, before, skip_blanks};

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
        if let Some((kind, tail)) = scan_host(text.as_bytes()) {
            return tail.is_empty().then(|| kind.read(text))?;
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

/// The host that `text` begins with, and what follows it.
#[inline]
pub(super) fn scan_host(text: &[u8]) -> Option<(HostKind, &[u8])> {
    scan_host_run(text, after(text, HOST))
}

/// As [`scan_host`]; `tail` is what follows the characters of a host name.
#[inline]
pub(super) fn scan_host_run<'a>(text: &'a [u8], tail: &'a [u8]) -> Option<(HostKind, &'a [u8])> {
    match text.first()? {
        b'.' => None,
        b'[' => scan_v6(text),
        b'0'..=b'9' => Some((scan_v4(before(text, tail))?, tail)),
        _ => (tail.len() < text.len()).then_some((HostKind::Domain, tail)),
    }
}

/// An address in brackets.
#[cold]
fn scan_v6(text: &[u8]) -> Option<(HostKind, &[u8])> {
    let inside = text.get(1..)?;
    let tail = after(inside, V6);
    parse_v6(core::str::from_utf8(before(inside, tail)).ok()?)?;
    Some((HostKind::V6, tail.strip_prefix(b"]")?))
}

/// A host that begins with a digit.
fn scan_v4(name: &[u8]) -> Option<HostKind> {
    if !name.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        return Some(HostKind::Domain);
    }
    core::str::from_utf8(name).ok()?.parse::<Ipv4Addr>().ok()?;
    Some(HostKind::V4)
}

/// The port after a colon that `text` begins with, if there is one, and what follows it. `None`
/// for a colon without a port of 0 to 65535. `blanks` allows blanks around the colon (Via).
#[inline(always)]
pub(super) fn scan_port(text: &[u8], blanks: bool) -> Option<(Option<u16>, &[u8])> {
    let [b':', digits @ ..] = (if blanks { skip_blanks(text) } else { text }) else {
        return Some((None, text));
    };
    let digits = if blanks { skip_blanks(digits) } else { digits };
    let mut rest = digits;
    let mut port = 0u32;
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        port = port.wrapping_mul(10).wrapping_add(u32::from(digit & 0x0f));
        // Far from wrapping.
        if port > u32::from(u16::MAX) {
            return None;
        }
        rest = tail;
    }
    let port = u16::try_from(port).ok()?;
    (rest.len() < digits.len()).then_some((Some(port), rest))
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
        assert_eq!(scan_port(b":5060;", false), Some((Some(5060), &b";"[..])));
        assert_eq!(scan_port(b" : 5060", true), Some((Some(5060), &b""[..])));
        assert_eq!(scan_port(b":65535", false), Some((Some(65535), &b""[..])));
        assert_eq!(scan_port(b":65536", false), None);
        assert_eq!(scan_port(b":4294972356", false), None);
        assert_eq!(scan_port(b":", false), None);
        assert_eq!(scan_port(b";", false), Some((None, &b";"[..])));
    }
}
