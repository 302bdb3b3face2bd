//! The Via header field (RFC 3261 §20.42).

use core::fmt;
use core::net::IpAddr;

use super::chars::{TOKEN, at, between, number, separator, skip_blanks, span};
use super::host::{Host, HostKind, scan_host, scan_port};
use super::params::{Params, scan_params};

/// What every branch of RFC 3261 begins with.
const COOKIE: &str = "z9hG4bK";

/// One value of a Via header field.
#[derive(Clone, Copy, Debug)]
pub struct ViaRef<'a> {
    line: &'a str,
    parts: ViaParts,
}

/// Positions in a line of Via values.
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
    pub(super) const fn empty(field: u16) -> Self {
        Self {
            field,
            start: 0,
            transport: (0, 0),
            host: (0, 0),
            host_kind: HostKind::None,
            port: None,
            params: 0,
            branch: (0, 0),
            end: 0,
        }
    }

    /// Reads the Via that starts at `from`, into parts that are empty: where they are to stay.
    /// `None` if not even its sent-by can be read. Else the position after the value, its blanks
    /// skipped: a comma or the end; `None` if the parameters are malformed, those before the
    /// defect are kept.
    #[inline]
    pub(super) fn read(&mut self, line: &str, from: usize) -> Option<Option<usize>> {
        let bytes = line.as_bytes();
        let start = skip_blanks(bytes, from);
        let transport = match bytes.get(start..) {
            Some([b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', next, ..]) if *next != b' ' => {
                start.checked_add(8)?
            }
            _ => scan_protocol(bytes, start)?,
        };
        let transport_end = span(bytes, transport, TOKEN);
        let host = skip_blanks(bytes, transport_end);
        if transport_end == transport || host == transport_end {
            return None;
        }
        let (host_kind, host_end) = scan_host(bytes, host)?;
        let (port, port_end) = scan_port(bytes, host_end, true)?;
        let params = scan_params(bytes, port_end, b"branch");
        self.start = at(start);
        self.transport = (at(transport), at(transport_end));
        self.host = (at(host), at(host_end));
        self.host_kind = host_kind;
        self.port = port;
        self.params = at(port_end);
        self.branch = params.wanted;
        self.end = at(params.end);
        Some(params.next)
    }
}

impl<'a> ViaRef<'a> {
    pub(super) fn new(line: &'a str, parts: ViaParts) -> Self {
        Self { line, parts }
    }

    /// The whole value as written.
    pub fn as_str(&self) -> &'a str {
        between(self.line, self.parts.start, self.parts.end)
    }

    /// The transport as written, such as `TLS`; compare without case.
    pub fn transport(&self) -> &'a str {
        between(self.line, self.parts.transport.0, self.parts.transport.1)
    }

    /// The host of sent-by.
    pub fn host(&self) -> Host<'a> {
        self.parts.host_kind.read(self.host_str()).unwrap_or(Host::Name(""))
    }

    /// The host of sent-by as written.
    pub fn host_str(&self) -> &'a str {
        between(self.line, self.parts.host.0, self.parts.host.1)
    }

    /// sent-by as written, host and port: the transaction's key beside the branch.
    pub fn sent_by(&self) -> &'a str {
        between(self.line, self.parts.host.0, self.parts.params)
    }

    /// The port of sent-by, if it is written.
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&'a str> {
        let (start, end) = self.parts.branch;
        Some(between(self.line, start, end)).filter(|b| !b.is_empty())
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
        Params::new(between(self.line, self.parts.params, self.parts.end))
    }
}

impl fmt::Display for ViaRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `name / version /`, blanks allowed; the position of the transport.
#[cold]
fn scan_protocol(bytes: &[u8], start: usize) -> Option<usize> {
    let name_end = span(bytes, start, TOKEN);
    let version = separator(bytes, name_end, b'/')?;
    let version_end = span(bytes, version, TOKEN);
    let transport = separator(bytes, version_end, b'/')?;
    let is_sip = bytes.get(start..name_end)?.eq_ignore_ascii_case(b"SIP");
    (is_sip && version_end > version).then_some(transport)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, from: usize) -> Option<(ViaRef<'_>, Option<usize>)> {
        let mut parts = ViaParts::empty(0);
        parts.read(line, from).map(|end| (ViaRef::new(line, parts), end))
    }

    #[test]
    fn blanks_and_case_are_accepted() {
        let text = "SIP  /   2.0    /UDP   \t 192.0.2.2 : 5070 ; branch = 390skdjuw , SIP/2.0/TLS [2001:db8::1]";
        let (first, end) = read(text, 0).unwrap();
        assert_eq!(first.transport(), "UDP");
        assert_eq!(first.host(), Host::parse("192.0.2.2").unwrap());
        assert_eq!(first.port(), Some(5070));
        assert_eq!(first.branch(), Some("390skdjuw"));
        assert!(!first.has_cookie());
        assert_eq!(first.sent_by(), "192.0.2.2 : 5070");
        let comma = end.unwrap();
        assert_eq!(&text[comma..comma + 1], ",");
        let (second, end) = read(text, comma + 1).unwrap();
        assert_eq!(second.host_str(), "[2001:db8::1]");
        assert_eq!(end, Some(text.len()));
    }

    #[test]
    fn received_and_rport() {
        let read = |t| read(t, 0).unwrap().0;
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
            assert!(read(bad, 0).is_none(), "{bad}");
        }
        let (half, end) = read("SIP/2.0/UDP 192.0.2.15;a=b;;,;,,", 0).unwrap();
        assert_eq!((end, half.params().iter().count()), (None, 1));
    }
}
