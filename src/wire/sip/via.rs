//! The Via header field (RFC 3261 §20.42).

use core::fmt;
use core::net::IpAddr;

use super::chars::{TOKEN, after, before, between, number, place, separator, skip_blanks};
use super::host::{Host, HostKind, scan_host, scan_port};
use super::params::{Params, scan_params};

/// What every branch of RFC 3261 begins with.
const COOKIE: &str = "z9hG4bK";

/// One value of a Via header field.
#[derive(Clone, Copy)]
pub struct ViaRef<'a> {
    text: &'a str,
    parts: ViaParts,
}

/// Positions of a Via value in its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct ViaParts {
    /// The header field that it stands in.
    pub(super) field: u16,
    start: u16,
    transport: (u16, u16),
    host: (u16, u16),
    host_kind: HostKind,
    port: Option<u16>,
    /// Where sent-by ends and the parameters begin.
    params: u16,
    branch: (u16, u16),
    end: u16,
}

impl ViaParts {
    /// Reads the Via value that `text`, the end of a message of `length` bytes, begins with.
    /// `None` if not even its sent-by can be read. Else what follows the value and its blanks: a
    /// comma or the end of the line; `None` if the parameters are malformed, those before the
    /// defect are kept.
    #[inline]
    pub(super) fn read(length: usize, field: u16, text: &[u8]) -> Option<(Self, Option<&[u8]>)> {
        let start = skip_blanks(text);
        let transport = match start {
            [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', rest @ ..]
                if !matches!(rest, [b' ', ..]) =>
            {
                rest
            }
            _ => scan_protocol(start)?,
        };
        let transport_tail = after(transport, TOKEN);
        let host = skip_blanks(transport_tail);
        if transport_tail.len() == transport.len() || host.len() == transport_tail.len() {
            return None;
        }
        let (host_kind, host_tail) = scan_host(host)?;
        let (port, params) = scan_port(host_tail, true)?;
        let scanned = scan_params(params, b"branch");
        let branch = scanned.wanted.unwrap_or_default();
        let parts = Self {
            field,
            start: place(length, start),
            transport: (place(length, transport), place(length, transport_tail)),
            host: (place(length, host), place(length, host_tail)),
            host_kind,
            port,
            params: place(length, params),
            branch: (place(length, branch.0), place(length, branch.1)),
            end: place(length, scanned.tail),
        };
        Some((parts, scanned.next))
    }

    /// The same value in a text that begins `by` bytes later.
    pub(super) fn moved(self, by: u16) -> Self {
        let one = |at: u16| at.saturating_sub(by);
        let both = |(start, end)| (one(start), one(end));
        Self {
            start: one(self.start),
            transport: both(self.transport),
            host: both(self.host),
            params: one(self.params),
            branch: both(self.branch),
            end: one(self.end),
            ..self
        }
    }
}

impl<'a> ViaRef<'a> {
    pub(super) fn new(text: &'a str, parts: ViaParts) -> Self {
        Self { text, parts }
    }

    /// The whole value as written.
    pub fn as_str(&self) -> &'a str {
        between(self.text, self.parts.start, self.parts.end)
    }

    /// The transport as written, such as `TLS`; compare without case.
    pub fn transport(&self) -> &'a str {
        between(self.text, self.parts.transport.0, self.parts.transport.1)
    }

    /// The host of sent-by.
    pub fn host(&self) -> Host<'a> {
        self.parts.host_kind.read(self.host_str()).unwrap_or(Host::Name(""))
    }

    /// The host of sent-by as written.
    pub fn host_str(&self) -> &'a str {
        between(self.text, self.parts.host.0, self.parts.host.1)
    }

    /// sent-by as written, host and port: the transaction's key beside the branch.
    pub fn sent_by(&self) -> &'a str {
        between(self.text, self.parts.host.0, self.parts.params)
    }

    /// The port of sent-by, if it is written.
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&'a str> {
        let (start, end) = self.parts.branch;
        Some(between(self.text, start, end)).filter(|b| !b.is_empty())
    }

    /// Whether the branch identifies a transaction by RFC 3261 §17.1.3 and §17.2.3: the cookie
    /// and something after it. Otherwise the rules of RFC 2543 apply.
    pub fn has_cookie(&self) -> bool {
        self.branch().is_some_and(|b| {
            b.get(..COOKIE.len()).is_some_and(|c| c.eq_ignore_ascii_case(COOKIE))
                && b.len() > COOKIE.len()
        })
    }

    /// The `received` parameter; brackets around an IPv6 address are tolerated (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        self.params().get("received").and_then(Host::parse).and_then(Host::ip)
    }

    /// The `rport` parameter: `Some(None)` where it asks to be filled in (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        let port = self.params().get("rport")?;
        Some(number(port).and_then(|p| u16::try_from(p).ok()))
    }

    /// All parameters.
    pub fn params(&self) -> Params<'a> {
        Params::new(between(self.text, self.parts.params, self.parts.end))
    }
}

impl fmt::Display for ViaRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value alone: the message around it may hold secrets.
impl fmt::Debug for ViaRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// `name / version /`, blanks allowed; what follows it.
#[cold]
fn scan_protocol(text: &[u8]) -> Option<&[u8]> {
    let name_tail = after(text, TOKEN);
    let version = separator(name_tail, b'/')?;
    let version_tail = after(version, TOKEN);
    let transport = separator(version_tail, b'/')?;
    let is_sip = before(text, name_tail).eq_ignore_ascii_case(b"SIP");
    (is_sip && version_tail.len() < version.len()).then_some(transport)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value at the front of `text`, and what follows it.
    fn read(text: &str) -> Option<(ViaRef<'_>, Option<&str>)> {
        let (parts, next) = ViaParts::read(text.len(), 0, text.as_bytes())?;
        let next = next.map(|next| core::str::from_utf8(next).unwrap());
        Some((ViaRef::new(text, parts), next))
    }

    #[test]
    fn blanks_and_case_are_accepted() {
        let text = "SIP  /   2.0    /UDP   \t 192.0.2.2 : 5070 ; branch = 390skdjuw , SIP/2.0/TLS [2001:db8::1]";
        let (first, next) = read(text).unwrap();
        assert_eq!(first.transport(), "UDP");
        assert_eq!(first.host(), Host::parse("192.0.2.2").unwrap());
        assert_eq!(first.port(), Some(5070));
        assert_eq!(first.branch(), Some("390skdjuw"));
        assert!(!first.has_cookie());
        assert_eq!(first.sent_by(), "192.0.2.2 : 5070");
        let second = next.unwrap().strip_prefix(',').unwrap();
        let (second, next) = read(second).unwrap();
        assert_eq!(second.host_str(), "[2001:db8::1]");
        assert_eq!(next, Some(""));
    }

    #[test]
    fn received_and_rport() {
        let read = |t| read(t).unwrap().0;
        let a = read("SIP/2.0/UDP h;received=[2001:db8::9:255];rport=9");
        let b = read("SIP/2.0/UDP h;received=2001:db8::9:255;rport");
        assert_eq!(a.received(), b.received());
        assert!(a.received().is_some());
        assert_eq!((a.rport(), b.rport()), (Some(Some(9)), Some(None)));
        assert_eq!(read("SIP/2.0/UDP h").rport(), None);
        assert!(!read("SIP/2.0/UDP h;branch=z9hG4bK").has_cookie());
        assert!(read("SIP/2.0/UDP h;branch=z9hG4bKx").has_cookie());
        // Tokens have no case (RFC 3261 §7.3.1).
        assert!(read("SIP/2.0/UDP h;branch=Z9HG4BKx").has_cookie());
    }

    #[test]
    fn malformed_values_are_refused() {
        for bad in ["", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0/ h", "HTTP/1.1/TCP h", "SIP/2.0 h"]
        {
            assert!(read(bad).is_none(), "{bad}");
        }
        let (half, next) = read("SIP/2.0/UDP 192.0.2.15;a=b;;,;,,").unwrap();
        assert_eq!((next, half.params().iter().count()), (None, 1));
    }
}
