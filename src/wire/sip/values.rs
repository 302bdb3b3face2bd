//! Typed views of header field values: name-addr, Via, CSeq.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use super::lex::{Params, find_outside, is_balanced, is_token, split_outside, trim};
use super::uri::{Host, Uri, UriRef, host_port};
use super::{BuildError, Method};

/// An address with parameters: From, To, Contact, Route, Record-Route (RFC 3261 §20.10).
#[derive(Clone, Copy, Debug)]
pub struct NameAddrRef<'a> {
    display: &'a str,
    uri: UriRef<'a>,
    params: Params<'a>,
}

impl<'a> NameAddrRef<'a> {
    /// Parses one element. Parameters after an addr-spec without brackets belong to the header.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = trim(text);
        if !is_balanced(text) {
            return None;
        }
        let open = angle(text);
        let (display, uri, params) = match open {
            Some(open) => {
                let (display, rest) = text.split_at_checked(open)?;
                let (uri, params) = rest.get(1..)?.split_once('>')?;
                let display = trim(display);
                let quoted =
                    display.starts_with('"') && display.ends_with('"') && display.len() > 1;
                if !quoted
                    && !display.split([' ', '\t', '\r', '\n']).all(|w| w.is_empty() || is_token(w))
                {
                    return None;
                }
                (display, uri, params)
            }
            None => {
                let (uri, params) = match text.find(';') {
                    Some(i) => text.split_at_checked(i)?,
                    None => (text, ""),
                };
                // RFC 3261 §20: a URI with a comma, question mark or semicolon needs brackets.
                if uri.contains(['?', ',']) {
                    return None;
                }
                ("", trim(uri), params)
            }
        };
        let params = Params::new(trim(params));
        let uri = UriRef::parse(uri)?;
        params.is_valid().then_some(Self { display, uri, params })
    }

    /// What stands for an address that could not be read.
    pub(super) fn placeholder() -> Self {
        Self { display: "", uri: UriRef::anonymous(), params: Params::new("") }
    }

    /// The display name with quotes and escapes resolved.
    pub fn display(self) -> String {
        match self.display.strip_prefix('"').and_then(|d| d.strip_suffix('"')) {
            None => self.display.to_string(),
            Some(inner) => {
                let mut out = String::with_capacity(inner.len());
                let mut chars = inner.chars();
                while let Some(c) = chars.next() {
                    out.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                out
            }
        }
    }
    /// The URI.
    pub const fn uri(self) -> UriRef<'a> {
        self.uri
    }
    /// Header parameters.
    pub const fn params(self) -> Params<'a> {
        self.params
    }
    /// The `tag` parameter.
    pub fn tag(self) -> Option<&'a str> {
        self.params.get("tag")
    }
    /// An owned copy.
    pub fn to_name_addr(self) -> NameAddr {
        NameAddr {
            display: self.display(),
            uri: self.uri.to_uri(),
            params: self.params.as_str().to_string(),
        }
    }
}

/// The `<` that opens the URI, outside a quoted display name.
fn angle(text: &str) -> Option<usize> {
    if text.starts_with('"') {
        return find_outside(text, |b| b == b'<');
    }
    text.find('<')
}

impl fmt::Display for NameAddrRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(f, "{} ", self.display)?;
        }
        write!(f, "<{}>{}", self.uri, self.params.as_str())
    }
}

/// An owned address with parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameAddr {
    display: String,
    uri: Uri,
    params: String,
}

impl NameAddr {
    /// An address without display name and parameters.
    pub fn new(uri: Uri) -> Self {
        Self { display: String::new(), uri, params: String::new() }
    }

    /// With a display name; control characters are refused.
    pub fn with_display(mut self, display: &str) -> Result<Self, BuildError> {
        if display.chars().any(char::is_control) {
            return Err(BuildError::ControlCharacter);
        }
        self.display = display.to_string();
        Ok(self)
    }

    /// With one more parameter.
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Result<Self, BuildError> {
        self.params.push(';');
        self.params.push_str(name);
        if let Some(value) = value {
            self.params.push('=');
            self.params.push_str(value);
        }
        let safe =
            !self.params.chars().any(char::is_control) && Params::new(&self.params).is_valid();
        if safe { Ok(self) } else { Err(BuildError::BadParameter) }
    }

    /// The URI.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }
    /// The display name.
    pub fn display(&self) -> &str {
        &self.display
    }
    /// Header parameters.
    pub fn params(&self) -> Params<'_> {
        Params::new(&self.params)
    }
    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params().get("tag")
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            f.write_str("\"")?;
            for c in self.display.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// One Via value (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug)]
pub struct ViaRef<'a> {
    transport: &'a str,
    host: Host<'a>,
    sent_by: &'a str,
    port: Option<u16>,
    params: Params<'a>,
}

impl<'a> ViaRef<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !trim(name).eq_ignore_ascii_case("SIP") || trim(version) != "2.0" {
            return None;
        }
        let rest = trim(rest);
        let end = rest.find([' ', '\t', '\r', '\n'])?;
        let (transport, rest) = rest.split_at_checked(end)?;
        let rest = trim(rest);
        let (sent_by, params) = match rest.find(';') {
            Some(i) => rest.split_at_checked(i)?,
            None => (rest, ""),
        };
        let sent_by = trim(sent_by);
        let (host, port) = match sent_by.rsplit_once(':') {
            // White space may stand around the colon.
            Some((h, p)) if !h.starts_with('[') || h.ends_with(']') || trim(h).ends_with(']') => {
                let (host, none) = host_port(trim(h))?;
                if none.is_some() {
                    return None;
                }
                (host, Some(u16::from_str(trim(p)).ok()?))
            }
            _ => host_port(sent_by)?,
        };
        let params = Params::new(trim(params));
        (is_token(transport) && via_params_valid(params)).then_some(Self {
            transport,
            host,
            sent_by,
            port,
            params,
        })
    }

    /// The transport token as written.
    pub const fn transport(self) -> &'a str {
        self.transport
    }
    /// The host of sent-by.
    pub const fn host(self) -> Host<'a> {
        self.host
    }
    /// The port of sent-by.
    pub const fn port(self) -> Option<u16> {
        self.port
    }
    /// sent-by as written, the transaction's key beside the branch.
    pub const fn sent_by(self) -> &'a str {
        self.sent_by
    }
    /// Parameters.
    pub const fn params(self) -> Params<'a> {
        self.params
    }
    /// The branch.
    pub fn branch(self) -> Option<&'a str> {
        self.params.get("branch").filter(|b| !b.is_empty())
    }
    /// True if the branch carries RFC 3261's magic cookie and something after it.
    pub fn has_cookie(self) -> bool {
        self.branch().is_some_and(|b| {
            b.get(..7).is_some_and(|c| c.eq_ignore_ascii_case("z9hG4bK")) && b.len() > 7
        })
    }
    /// The `received` parameter; brackets around IPv6 are optional (RFC 5118 §4.5).
    pub fn received(self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        IpAddr::from_str(text.trim_start_matches('[').trim_end_matches(']')).ok()
    }
    /// The `rport` parameter: `Some(None)` where it asks to be filled in (RFC 3581).
    pub fn rport(self) -> Option<Option<u16>> {
        self.params.get("rport").map(|p| u16::from_str(p).ok())
    }
}

/// Like header parameters, but `received` may carry a bare IPv6 address and flags may be empty.
fn via_params_valid(params: Params<'_>) -> bool {
    params.is_valid() && params.get("ttl").is_none_or(|t| u8::from_str(t).is_ok())
}

impl fmt::Display for ViaRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}{}", self.transport, self.sent_by, self.params.as_str())
    }
}

/// CSeq (RFC 3261 §20.16): sequence number and method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSeq {
    /// The number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = trim(text);
        let end = text.find([' ', '\t', '\r', '\n'])?;
        let (number, method) = text.split_at_checked(end)?;
        let method = trim(method);
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        let number: u32 = number.parse().ok()?;
        (digits && number < 1 << 31 && is_token(method))
            .then(|| Self { number, method: Method::from_token(method) })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// One element of a list, with what follows its comma.
pub(super) fn first_of(text: &str) -> &str {
    trim(split_outside(text, b',').map_or(text, |(head, _)| head))
}
