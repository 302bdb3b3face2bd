//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use super::lex::{Params, is_token};

/// The scheme of a URI.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`: every hop under TLS.
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Any other scheme; kept as it is.
    Other,
}

/// The host of a URI or a Via.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host<'a> {
    /// A domain name.
    Name(&'a str),
    /// An address.
    Ip(IpAddr),
}

impl<'a> Host<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            return Ipv6Addr::from_str(inner.strip_suffix(']')?).ok().map(|ip| Self::Ip(ip.into()));
        }
        if let Ok(ip) = Ipv4Addr::from_str(text) {
            return Some(Self::Ip(ip.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let valid = !name.is_empty()
            && name.len() <= 253
            && name.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        valid.then_some(Self::Name(text))
    }

    /// The address, if the host is one.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Name(_) => None,
        }
    }

    fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => {
                let cut = |s: &'a str| s.len().checked_sub(1).filter(|_| s.ends_with('.'));
                let a = cut(a).and_then(|n| a.get(..n)).unwrap_or(a);
                b.strip_suffix('.').unwrap_or(b).eq_ignore_ascii_case(a)
            }
            (Self::Ip(a), Self::Ip(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Splits `host[:port]`; the port must be a number up to 65535 if the colon is there.
pub(super) fn host_port(text: &str) -> Option<(Host<'_>, Option<u16>)> {
    let colon = match text.rfind(']') {
        Some(end) if text.starts_with('[') => {
            text.get(end..)?.find(':').map(|i| end.saturating_add(i))
        }
        _ => text.find(':'),
    };
    let (host, port) = match colon {
        Some(at) => (text.get(..at)?, Some(text.get(at.saturating_add(1)..)?)),
        None => (text, None),
    };
    let port = match port {
        Some(p) if !p.is_empty() && p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()) => {
            Some(p.parse().ok()?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((Host::parse(super::lex::trim(host))?, port))
}

/// A URI is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a URI that SIP can use: write sip:user@host or sips:user@host")]
pub struct UriError(String);

/// A borrowed URI, validated.
#[derive(Clone, Copy, Debug)]
pub struct UriRef<'a> {
    text: &'a str,
    scheme: Scheme,
    userinfo: Option<&'a str>,
    host: Host<'a>,
    port: Option<u16>,
    params: &'a str,
    headers: &'a str,
}

impl<'a> UriRef<'a> {
    /// Validates a URI. Schemes other than sip, sips and tel are taken as opaque text.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.bytes().any(|b| b <= b' ' || b == 0x7f || matches!(b, b'<' | b'>' | b'"')) {
            return None;
        }
        let (scheme_text, rest) = text.split_once(':')?;
        let scheme = scheme_of(scheme_text)?;
        let opaque = Self {
            text,
            scheme,
            userinfo: None,
            host: Host::Name(""),
            port: None,
            params: "",
            headers: "",
        };
        match scheme {
            Scheme::Other => (!rest.is_empty()).then_some(opaque),
            Scheme::Tel => {
                let (number, params) = cut_at(rest, ';');
                let valid = !number.is_empty()
                    && number.bytes().all(|b| {
                        b.is_ascii_hexdigit()
                            || matches!(b, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#')
                    })
                    && params_valid(params);
                valid.then_some(Self { userinfo: Some(number), params, ..opaque })
            }
            Scheme::Sip | Scheme::Sips => Self::parse_sip(opaque, rest),
        }
    }

    fn parse_sip(opaque: Self, rest: &'a str) -> Option<Self> {
        // The userinfo ends at the last @ before a host; ";", "?" and "/" may stand in it.
        let (userinfo, rest) = match rest.find('@') {
            Some(at) => (Some(rest.get(..at)?), rest.get(at.saturating_add(1)..)?),
            None => (None, rest),
        };
        if let Some(user) = userinfo {
            let (user, password) = cut_at(user, ':');
            if user.is_empty()
                || !escaped_valid(user, b"-_.!~*'()&=+$,;?/")
                || !escaped_valid(password.strip_prefix(':').unwrap_or(""), b"-_.!~*'()&=+$,")
            {
                return None;
            }
        }
        let (rest, headers) = cut_at(rest, '?');
        let (hostport, params) = cut_at(rest, ';');
        let (host, port) = host_port(hostport)?;
        let valid = params_valid(params) && headers_valid(headers);
        valid.then_some(Self { userinfo, host, port, params, headers, ..opaque })
    }

    /// `sip:anonymous.invalid`.
    pub(super) const fn anonymous() -> Self {
        Self {
            text: "sip:anonymous.invalid",
            scheme: Scheme::Sip,
            userinfo: None,
            host: Host::Name("anonymous.invalid"),
            port: None,
            params: "",
            headers: "",
        }
    }

    /// The URI as it stands in the message.
    pub const fn as_str(self) -> &'a str {
        self.text
    }
    /// The scheme.
    pub const fn scheme(self) -> Scheme {
        self.scheme
    }
    /// The user part as it stands (escapes kept); the number of a tel URI.
    pub fn user(self) -> Option<&'a str> {
        self.userinfo.map(|u| u.split_once(':').map_or(u, |(user, _)| user))
    }
    /// The user part with escapes resolved, once. May contain any byte, NUL too.
    pub fn user_unescaped(self) -> Option<Vec<u8>> {
        self.user().map(unescape)
    }
    /// The password (deprecated by RFC 3261, kept for comparison).
    pub fn password(self) -> Option<&'a str> {
        self.userinfo.and_then(|u| u.split_once(':')).map(|(_, p)| p)
    }
    /// The host; an empty name for tel and other schemes.
    pub const fn host(self) -> Host<'a> {
        self.host
    }
    /// The port, if one is written.
    pub const fn port(self) -> Option<u16> {
        self.port
    }
    /// URI parameters.
    pub const fn params(self) -> Params<'a> {
        Params::new(self.params)
    }
    /// The `transport` parameter.
    pub fn transport(self) -> Option<&'a str> {
        self.params().get("transport")
    }
    /// True for a loose router (`lr`).
    pub fn is_loose(self) -> bool {
        self.params().has("lr")
    }
    /// The header part, with its `?`, or empty.
    pub const fn headers(self) -> &'a str {
        self.headers
    }
    /// An owned copy.
    pub fn to_uri(self) -> Uri {
        Uri { text: self.text.to_string() }
    }

    /// Comparison by the rules of RFC 3261 §19.1.4 (tel: RFC 3966 §4).
    pub fn equivalent(self, other: UriRef<'_>) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Other => self.text == other.text,
            Scheme::Tel => {
                let digits = |u: UriRef<'_>| -> String {
                    u.user()
                        .unwrap_or("")
                        .chars()
                        .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
                        .map(|c| c.to_ascii_lowercase())
                        .collect()
                };
                digits(self) == digits(other) && same_params(self, other, true)
            }
            Scheme::Sip | Scheme::Sips => {
                let decoded = |t: Option<&str>| t.map(unescape);
                decoded(self.user()) == decoded(other.user())
                    && decoded(self.password()) == decoded(other.password())
                    && self.host.same(other.host)
                    && self.port == other.port
                    && same_params(self, other, false)
                    && same_headers(self.headers, other.headers)
            }
        }
    }
}

fn scheme_of(text: &str) -> Option<Scheme> {
    Some(match text {
        t if t.eq_ignore_ascii_case("sip") => Scheme::Sip,
        t if t.eq_ignore_ascii_case("sips") => Scheme::Sips,
        t if t.eq_ignore_ascii_case("tel") => Scheme::Tel,
        t => {
            let valid = t.starts_with(|c: char| c.is_ascii_alphabetic())
                && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
            return valid.then_some(Scheme::Other);
        }
    })
}

/// Splits before the first `at`; the second part keeps it.
fn cut_at(text: &str, at: char) -> (&str, &str) {
    text.find(at).and_then(|i| text.split_at_checked(i)).unwrap_or((text, ""))
}

fn escaped_valid(text: &str, marks: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let ok = match b {
            b'%' => {
                bytes.next().is_some_and(|h| h.is_ascii_hexdigit())
                    && bytes.next().is_some_and(|h| h.is_ascii_hexdigit())
            }
            _ => b.is_ascii_alphanumeric() || marks.contains(&b),
        };
        if !ok {
            return false;
        }
    }
    true
}

const PARAM_MARKS: &[u8] = b"-_.!~*'()[]/:&+$";

fn params_valid(params: &str) -> bool {
    params.split(';').skip(1).all(|p| {
        let (name, value) = p.split_once('=').map_or((p, None), |(n, v)| (n, Some(v)));
        !name.is_empty()
            && escaped_valid(name, PARAM_MARKS)
            && value.is_none_or(|v| !v.is_empty() && escaped_valid(v, PARAM_MARKS))
    })
}

fn headers_valid(headers: &str) -> bool {
    let Some(list) = headers.strip_prefix('?') else { return headers.is_empty() };
    list.split('&').all(|h| {
        h.split_once('=').is_some_and(|(name, value)| {
            !name.is_empty()
                && escaped_valid(name, b"-_.!~*'()[]/?:+$")
                && escaped_valid(value, b"-_.!~*'()[]/?:+$")
        })
    })
}

/// Resolves %-escapes, once.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let hex = |b: u8| char::from(b).to_digit(16);
    while let Some(b) = bytes.next() {
        let mut ahead = bytes.clone();
        match (b, ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or(b'%'));
                bytes = ahead;
            }
            _ => out.push(b),
        }
    }
    out
}

fn same_text(a: &str, b: &str) -> bool {
    unescape(a).eq_ignore_ascii_case(&unescape(b))
}

/// user, ttl, method and maddr never match a default; other parameters only count if both have
/// them (all count in a tel URI).
fn same_params(a: UriRef<'_>, b: UriRef<'_>, strict: bool) -> bool {
    let special = ["user", "ttl", "method", "maddr", "transport"];
    let one_way = |x: UriRef<'_>, y: UriRef<'_>| {
        x.params().iter().all(|(name, value)| match y.params().get(name) {
            Some(other) => same_text(value.unwrap_or(""), other),
            None => !strict && !special.iter().any(|s| s.eq_ignore_ascii_case(name)),
        })
    };
    one_way(a, b) && one_way(b, a)
}

fn same_headers(a: &str, b: &str) -> bool {
    let split = |h: &str| -> Vec<(String, Vec<u8>)> {
        let mut list: Vec<_> = h
            .strip_prefix('?')
            .into_iter()
            .flat_map(|l| l.split('&'))
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.to_ascii_lowercase(), unescape(v)))
            .collect();
        list.sort();
        list
    };
    split(a) == split(b)
}

/// An owned URI, always valid. `==` is RFC 3261 §19.1.4 equivalence.
#[derive(Clone)]
pub struct Uri {
    text: String,
}

impl Uri {
    /// Validates a URI. Text without a scheme is not one.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        match UriRef::parse(text) {
            Some(uri) => Ok(uri.to_uri()),
            None => Err(UriError(text.chars().take(80).collect())),
        }
    }

    /// `sip:user@host:port` (or sips, without user, without port).
    pub fn from_parts(
        scheme: Scheme,
        user: Option<&str>,
        host: Host<'_>,
        port: Option<u16>,
    ) -> Result<Self, UriError> {
        let mut text = String::from(if scheme == Scheme::Sips { "sips:" } else { "sip:" });
        if let Some(user) = user {
            escape_user(user, &mut text);
            text.push('@');
        }
        text.push_str(&host.to_string());
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Self::parse(&text)
    }

    /// A copy with one more parameter; `None` value for a flag.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Result<Self, UriError> {
        let uri = self.as_ref();
        if !is_token(name) {
            return Err(UriError(name.chars().take(80).collect()));
        }
        let mut text = self.text.clone();
        text.truncate(text.len().saturating_sub(uri.headers.len()));
        text.push(';');
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
        text.push_str(uri.headers);
        Self::parse(&text)
    }

    /// A borrowed view.
    pub fn as_ref(&self) -> UriRef<'_> {
        // The text was validated when the value was made.
        UriRef::parse(&self.text).unwrap_or(UriRef {
            text: &self.text,
            scheme: Scheme::Other,
            userinfo: None,
            host: Host::Name(""),
            port: None,
            params: "",
            headers: "",
        })
    }

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn escape_user(user: &str, out: &mut String) {
    for b in user.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&alloc::format!("%{b:02X}"));
        }
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref().equivalent(other.as_ref())
    }
}
impl Eq for Uri {}
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Display for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}
impl FromStr for Uri {
    type Err = UriError;
    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Uri::parse(a).unwrap() == Uri::parse(b).unwrap()
    }

    #[test]
    fn comparison_follows_the_examples_of_19_1_4() {
        assert!(same(
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp"
        ));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
        assert!(same(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ));
        assert!(same(
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x"
        ));
        assert!(!same(
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP"
        ));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
        assert!(!same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
        assert!(!same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
        assert!(!same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
        assert!(same("tel:+1-201-555-0123", "tel:+12015550123"));
    }

    #[test]
    fn parts_are_read_and_bad_uris_refused() {
        let uri = Uri::parse("sips:j%00oe;x:pw@[2001:db8::10]:5070;lr;transport=tls?a=b").unwrap();
        let u = uri.as_ref();
        assert_eq!(
            (u.scheme(), u.user(), u.password()),
            (Scheme::Sips, Some("j%00oe;x"), Some("pw"))
        );
        assert_eq!(u.user_unescaped().unwrap(), b"j\0oe;x");
        assert_eq!((u.port(), u.is_loose(), u.transport()), (Some(5070), true, Some("tls")));
        assert_eq!(u.host().to_string(), "[2001:db8::10]");
        for bad in [
            "",
            "sip:",
            "sip:@h",
            "bob",
            "sip:a b@h",
            "sip:h:99999",
            "sip:h:",
            "sip:[::1",
            "sip:%4@h",
            "sip:<a>@h",
            "sip:a@h;",
            "sip:a@h;=1",
            "sip:a@h?x",
            "1x:y",
            "tel:",
            "sip:a@h_-.",
            "sip:a@h\r\nX: y",
        ] {
            assert!(Uri::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Uri::parse("sip:a@h").unwrap().with_param("x", Some("a\r\nb")).is_err());
        assert_eq!(
            Uri::from_parts(Scheme::Sip, Some("a b"), Host::Name("h"), Some(5)).unwrap().as_str(),
            "sip:a%20b@h:5"
        );
    }
}
