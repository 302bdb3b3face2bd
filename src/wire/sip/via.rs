//! The Via header field (RFC 3261 §20.42).

use core::fmt;
use core::net::IpAddr;

use super::chars::{TOKEN, number, separator, skip_blanks, span};
use super::host::{Host, HostKind, scan_host, scan_port};
use super::params::{Params, scan_params};

/// What every branch of RFC 3261 begins with.
const COOKIE: &str = "z9hG4bK";

/// One value of a Via header field.
#[derive(Clone, Copy, Debug)]
pub struct ViaRef<'a> {
    text: &'a str,
    transport: &'a str,
    host: &'a str,
    host_kind: HostKind,
    sent_by: &'a str,
    port: Option<u16>,
    params: Params<'a>,
}

/// A Via as far as it could be read.
pub(super) struct ViaScan<'a> {
    pub(super) via: ViaRef<'a>,
    /// The position after the value, its blanks skipped: a comma or the end. `None` if the
    /// parameters are malformed; those before the defect are kept.
    pub(super) end: Option<usize>,
}

impl<'a> ViaRef<'a> {
    /// The Via that starts at `from`; `None` if not even its sent-by can be read.
    #[inline]
    pub(super) fn scan(text: &'a str, from: usize) -> Option<ViaScan<'a>> {
        let bytes = text.as_bytes();
        let start = skip_blanks(bytes, from);
        let transport_start = match bytes.get(start..) {
            Some([b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', next, ..]) if *next != b' ' => {
                start.checked_add(8)?
            }
            _ => scan_protocol(bytes, start)?,
        };
        let transport_end = span(bytes, transport_start, TOKEN);
        let host_start = skip_blanks(bytes, transport_end);
        if transport_end == transport_start || host_start == transport_end {
            return None;
        }
        let (host_kind, host_end) = scan_host(bytes, host_start)?;
        let (port, port_end) = scan_port(bytes, host_end, true)?;
        let (params_end, good) = scan_params(bytes, port_end);
        let via = ViaRef {
            text: text.get(start..params_end)?,
            transport: text.get(transport_start..transport_end)?,
            host: text.get(host_start..host_end)?,
            host_kind,
            sent_by: text.get(host_start..port_end)?,
            port,
            params: Params::new(text.get(port_end..params_end)?),
        };
        Some(ViaScan { via, end: good.then(|| skip_blanks(bytes, params_end)) })
    }

    /// The whole value as written.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The transport as written, such as `TLS`; compare without case.
    pub fn transport(&self) -> &'a str {
        self.transport
    }

    /// The host of sent-by.
    pub fn host(&self) -> Host<'a> {
        self.host_kind.read(self.host).unwrap_or(Host::Name(""))
    }

    /// The host of sent-by as written.
    pub fn host_str(&self) -> &'a str {
        self.host
    }

    /// sent-by as written, host and port: the transaction's key beside the branch.
    pub fn sent_by(&self) -> &'a str {
        self.sent_by
    }

    /// The port of sent-by, if it is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch").filter(|b| !b.is_empty())
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
        self.params.get("received").and_then(Host::parse).and_then(Host::ip)
    }

    /// The `rport` parameter: `Some(None)` where it asks to be filled in (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        let port = self.params.get("rport")?;
        Some(number(port).and_then(|p| u16::try_from(p).ok()))
    }

    /// All parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl fmt::Display for ViaRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
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

    #[test]
    fn blanks_and_case_are_accepted() {
        let text = "SIP  /   2.0    /UDP   \t 192.0.2.2 : 5070 ; branch = 390skdjuw , SIP/2.0/TLS [2001:db8::1]";
        let first = ViaRef::scan(text, 0).unwrap();
        assert_eq!(first.via.transport(), "UDP");
        assert_eq!(first.via.host(), Host::parse("192.0.2.2").unwrap());
        assert_eq!(first.via.port(), Some(5070));
        assert_eq!(first.via.branch(), Some("390skdjuw"));
        assert!(!first.via.has_cookie());
        assert_eq!(first.via.sent_by(), "192.0.2.2 : 5070");
        let comma = first.end.unwrap();
        assert_eq!(&text[comma..comma + 1], ",");
        let second = ViaRef::scan(text, comma + 1).unwrap();
        assert_eq!(second.via.host_str(), "[2001:db8::1]");
        assert_eq!(second.end, Some(text.len()));
    }

    #[test]
    fn received_and_rport() {
        let read = |t| ViaRef::scan(t, 0).unwrap().via;
        let a = read("SIP/2.0/UDP h;received=[2001:db8::9:255];rport=9");
        let b = read("SIP/2.0/UDP h;received=2001:db8::9:255;rport");
        assert_eq!(a.received(), b.received());
        assert!(a.received().is_some());
        assert_eq!((a.rport(), b.rport()), (Some(Some(9)), Some(None)));
        assert_eq!(read("SIP/2.0/UDP h").rport(), None);
        assert!(!read("SIP/2.0/UDP h;branch=z9hG4bK").has_cookie());
        assert!(read("SIP/2.0/UDP h;branch=z9hG4bKx").has_cookie());
    }

    #[test]
    fn malformed_values_are_refused() {
        for bad in ["", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0/ h", "HTTP/1.1/TCP h", "SIP/2.0 h"]
        {
            assert!(ViaRef::scan(bad, 0).is_none(), "{bad}");
        }
        let half = ViaRef::scan("SIP/2.0/UDP 192.0.2.15;a=b;;,;,,", 0).unwrap();
        assert_eq!((half.end, half.via.params().iter().count()), (None, 1));
    }
}
