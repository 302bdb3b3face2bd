//! URIs: sip and sips (RFC 3261 §19.1), tel (RFC 3966), any other as it is.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use super::chars::{between, place};
use super::escape::{percent_decode, percent_encode};
use super::host::Host;
use super::params::UriParams;
use super::uri_parts::{Scheme, UriError, UriParts};

/// A URI inside another text, checked. `==` is [`UriRef::equivalent`].
#[derive(Clone, Copy)]
pub struct UriRef<'a> {
    text: &'a str,
    parts: UriParts,
}

impl<'a> UriRef<'a> {
    /// The URI that all of `text` is.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        UriParts::scan(text.as_bytes()).map(|parts| Self { text, parts })
    }

    pub(super) fn from_parts(text: &'a str, parts: UriParts) -> Self {
        Self { text, parts }
    }

    fn slice(self, start: u16, end: u16) -> &'a str {
        between(self.text, start, end)
    }

    fn end(self) -> u16 {
        place(self.text.len(), b"")
    }

    /// As written.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The scheme.
    pub fn scheme(self) -> Scheme {
        self.parts.scheme
    }

    /// The scheme as written, without its colon.
    pub fn scheme_str(self) -> &'a str {
        self.slice(0, self.parts.colon)
    }

    /// What follows the scheme and its colon.
    pub fn opaque(self) -> &'a str {
        self.slice(self.parts.colon.saturating_add(1), self.end())
    }

    /// True for sip and sips.
    pub fn is_sip(self) -> bool {
        matches!(self.parts.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part with its escapes ([`super::percent_decode`] resolves them), which may hold
    /// parameters of its own; the number of a tel URI.
    pub fn user(self) -> Option<&'a str> {
        (self.parts.user_end > 0)
            .then(|| self.slice(self.parts.colon.saturating_add(1), self.parts.user_end))
    }

    /// The user part with its escapes resolved, once. It may hold any octet, NUL too.
    pub fn user_unescaped(self) -> Option<Vec<u8>> {
        self.user().map(|user| percent_decode(user).into_owned())
    }

    /// The password, which nobody should send (RFC 3261 §19.1.1).
    pub fn password(self) -> Option<&'a str> {
        (self.parts.password_end > 0)
            .then(|| self.slice(self.parts.user_end.saturating_add(1), self.parts.password_end))
    }

    /// The host; an empty name unless it is a sip or sips URI.
    pub fn host(self) -> Host<'a> {
        self.parts.host_kind.read(self.host_str()).unwrap_or(Host::Name(""))
    }

    /// The host as written, an IPv6 address in its brackets; empty for other schemes.
    pub fn host_str(self) -> &'a str {
        self.slice(self.parts.host_start, self.parts.host_end)
    }

    /// The port, if it is written.
    pub fn port(self) -> Option<u16> {
        self.parts.port
    }

    /// The parameters of a sip, sips or tel URI.
    pub fn params(self) -> UriParams<'a> {
        UriParams::new(self.slice(self.parts.params, self.parts.headers), b';')
    }

    /// The headers after the question mark (RFC 3261 §19.1.1): never to be made header fields of
    /// a message without looking at each.
    pub fn header_fields(self) -> UriParams<'a> {
        UriParams::new(self.headers(), b'&')
    }

    /// The headers as written, with their question mark; empty without any.
    pub fn headers(self) -> &'a str {
        self.slice(self.parts.headers, self.end())
    }

    /// The `transport` parameter.
    pub fn transport(self) -> Option<&'a str> {
        self.params().get("transport")
    }

    /// The `maddr` parameter.
    pub fn maddr(self) -> Option<&'a str> {
        self.params().get("maddr")
    }

    /// Whether the `lr` parameter is there: a loose router (RFC 3261 §16.12.1).
    pub fn is_loose(self) -> bool {
        self.params().has("lr")
    }

    /// Whether both name the same resource by the rules of RFC 3261 §19.1.4; tel URIs by RFC 3966
    /// §4, all others byte for byte. Those rules are not transitive: a parameter that one URI
    /// lacks does not count. URIs of more than 32 parameters or headers are equivalent only to
    /// the very same text.
    pub fn equivalent(self, other: UriRef<'_>) -> bool {
        super::uri_compare::equivalent(self, other)
    }

    /// A copy that owns its text.
    pub fn to_uri(self) -> Uri {
        Uri { text: self.text.into(), parts: self.parts }
    }
}

impl fmt::Display for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Debug for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text, f)
    }
}

/// A URI that owns its text. `==` is [`UriRef::equivalent`].
#[derive(Clone)]
pub struct Uri {
    text: String,
    parts: UriParts,
}

impl Uri {
    /// The URI that all of `text` is.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        UriRef::parse(text).map(UriRef::to_uri)
    }

    /// `scheme:user@host:port`, for sip and sips; the user part is escaped where it must be.
    pub fn from_parts(
        scheme: Scheme,
        user: Option<&str>,
        host: Host<'_>,
        port: Option<u16>,
    ) -> Result<Self, UriError> {
        let scheme = match scheme {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            _ => return Err(UriError::NotSip),
        };
        let uri = Self::own(alloc::format!("{scheme}:{host}"))?;
        // A name with a port, parameter or user inside is not a host.
        if uri.host_str().len() != uri.as_ref().opaque().len() {
            return Err(UriError::Host);
        }
        uri.with_user(user.unwrap_or_default())?.with_port(port)
    }

    /// `tel:number`.
    pub fn tel(number: &str) -> Result<Self, UriError> {
        let uri = Self::own(alloc::format!("tel:{number}"))?;
        if uri.user().map(str::len) == Some(number.len()) { Ok(uri) } else { Err(UriError::Number) }
    }

    fn own(text: String) -> Result<Self, UriError> {
        let parts = UriParts::scan(text.as_bytes())?;
        Ok(Self { text, parts })
    }

    /// As a borrowed view, which has the same getters and more.
    #[allow(clippy::should_implement_trait)]
    pub fn as_ref(&self) -> UriRef<'_> {
        UriRef { text: &self.text, parts: self.parts }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// See [`UriRef::scheme`].
    pub fn scheme(&self) -> Scheme {
        self.parts.scheme
    }

    /// See [`UriRef::is_sip`].
    pub fn is_sip(&self) -> bool {
        self.as_ref().is_sip()
    }

    /// See [`UriRef::user`].
    pub fn user(&self) -> Option<&str> {
        self.as_ref().user()
    }

    /// See [`UriRef::password`].
    pub fn password(&self) -> Option<&str> {
        self.as_ref().password()
    }

    /// See [`UriRef::host`].
    pub fn host(&self) -> Host<'_> {
        self.as_ref().host()
    }

    /// See [`UriRef::host_str`].
    pub fn host_str(&self) -> &str {
        self.as_ref().host_str()
    }

    /// See [`UriRef::port`].
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// See [`UriRef::params`].
    pub fn params(&self) -> UriParams<'_> {
        self.as_ref().params()
    }

    /// See [`UriRef::transport`].
    pub fn transport(&self) -> Option<&str> {
        self.as_ref().transport()
    }

    /// See [`UriRef::equivalent`].
    pub fn equivalent(&self, other: &Uri) -> bool {
        self.as_ref().equivalent(other.as_ref())
    }

    /// With this user part, escaped where it must be; the empty text removes it. A password goes.
    pub fn with_user(&self, user: &str) -> Result<Self, UriError> {
        let mut text = self.head()?;
        if !user.is_empty() {
            percent_encode(&mut text, user.as_bytes(), b"&=+$,;?/");
            text.push('@');
        }
        let uri = self.as_ref();
        text.push_str(uri.slice(self.parts.host_start, uri.end()));
        Self::own(text)
    }

    /// With this port, or without one.
    pub fn with_port(&self, port: Option<u16>) -> Result<Self, UriError> {
        self.head()?;
        let uri = self.as_ref();
        let mut text = String::from(uri.slice(0, self.parts.host_end));
        if let Some(port) = port {
            text.push_str(&alloc::format!(":{port}"));
        }
        text.push_str(uri.slice(self.parts.params, uri.end()));
        Self::own(text)
    }

    /// With this parameter, name and value escaped where they must be; one of the same name goes.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Result<Self, UriError> {
        const KEEP: &[u8] = b"[]/:&+$";
        if name.is_empty() {
            return Err(UriError::Param);
        }
        let bare = self.without_param(name)?;
        let uri = bare.as_ref();
        let mut text = String::from(uri.slice(0, bare.parts.headers));
        text.push(';');
        percent_encode(&mut text, name.as_bytes(), KEEP);
        if let Some(value) = value {
            text.push('=');
            percent_encode(&mut text, value.as_bytes(), KEEP);
        }
        text.push_str(uri.slice(bare.parts.headers, uri.end()));
        Self::own(text)
    }

    /// Without the parameters of that name.
    pub fn without_param(&self, name: &str) -> Result<Self, UriError> {
        self.head()?;
        let uri = self.as_ref();
        if !uri.params().has(name) {
            return Ok(self.clone());
        }
        let mut text = String::from(uri.slice(0, self.parts.params));
        for (other, value) in uri.params().iter() {
            if percent_decode(other).eq_ignore_ascii_case(name.as_bytes()) {
                continue;
            }
            text.push(';');
            text.push_str(other);
            if let Some(value) = value {
                text.push('=');
                text.push_str(value);
            }
        }
        text.push_str(uri.slice(self.parts.headers, uri.end()));
        Self::own(text)
    }

    /// Without the headers after the question mark, as a Request-URI must be (RFC 3261 §19.1.5).
    pub fn without_headers(&self) -> Result<Self, UriError> {
        self.head()?;
        Self::own(self.as_ref().slice(0, self.parts.headers).into())
    }

    /// The scheme and its colon; an error unless it is sip or sips.
    fn head(&self) -> Result<String, UriError> {
        if !self.is_sip() {
            return Err(UriError::NotSip);
        }
        Ok(self.as_ref().slice(0, self.parts.colon.saturating_add(1)).into())
    }
}

impl PartialEq for UriRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.equivalent(*other)
    }
}

impl Eq for UriRef<'_> {}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.equivalent(other)
    }
}

impl Eq for Uri {}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl From<UriRef<'_>> for Uri {
    fn from(uri: UriRef<'_>) -> Self {
        uri.to_uri()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let text = "sips:a;x=1?:p,w@[2001:db8::10]:5070;lr;transport=tcp?Subject=a%20b&To=c";
        let uri = Uri::parse(text).unwrap();
        assert_eq!(uri.scheme(), Scheme::Sips);
        assert_eq!(uri.user(), Some("a;x=1?"));
        assert_eq!(uri.password(), Some("p,w"));
        assert_eq!(uri.host_str(), "[2001:db8::10]");
        assert_eq!(uri.port(), Some(5070));
        assert!(uri.as_ref().is_loose());
        assert_eq!(uri.transport(), Some("tcp"));
        assert_eq!(uri.as_ref().header_fields().get("subject"), Some("a%20b"));
        assert_eq!(uri.as_ref().header_fields().iter().count(), 2);
        assert_eq!(uri.to_string(), text);
    }

    #[test]
    fn malformed_uris_are_refused_with_a_reason() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("alice@example.com", UriError::Scheme),
            ("sip:", UriError::Host),
            ("sip:@example.com", UriError::User),
            ("sip:a b@example.com", UriError::User),
            ("sip:a:b c@example.com", UriError::User),
            ("sip:a@b@example.com", UriError::Host),
            ("sip:2001:db8::10", UriError::Host),
            ("sip:a@[2001:db8::10", UriError::Host),
            ("sip:a@example.com:70000", UriError::Port),
            ("sip:a@example.com:", UriError::Port),
            ("sip:a@example.com;", UriError::Param),
            ("sip:a@example.com;;lr", UriError::Param),
            ("sip:a@example.com;lr ", UriError::Param),
            ("sip:a@example.com?Subject", UriError::Header),
            ("sip:a%4@example.com", UriError::Escape),
            ("sip:a@example.com\r\nVia: x", UriError::Host),
            ("tel:", UriError::Number),
            ("tel:+1 201", UriError::Number),
            ("x:", UriError::Character),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn tel_uris_and_others_are_kept() {
        let tel = Uri::parse("tel:+1-201-555-0123;phone-context=example.com").unwrap();
        assert_eq!((tel.scheme(), tel.user()), (Scheme::Tel, Some("+1-201-555-0123")));
        assert_eq!(tel.params().get("phone-context"), Some("example.com"));
        assert_eq!(tel.host(), Host::Name(""));
        assert_eq!(Uri::tel("7042").unwrap().as_str(), "tel:7042");
        assert_eq!(Uri::tel("7042;x=y"), Err(UriError::Number));
        let beep = Uri::parse("soap.beep://192.0.2.103:3002").unwrap();
        assert_eq!(beep.scheme(), Scheme::Other);
        assert_eq!(beep.as_ref().opaque(), "//192.0.2.103:3002");
        assert_eq!((beep.host(), beep.user(), beep.params().as_str()), (Host::Name(""), None, ""));
    }

    #[test]
    fn made_uris_cannot_be_broken_out_of() {
        let user = "a b@c\r\nVia: x>;%";
        let host = Host::Name("example.com");
        let uri = Uri::from_parts(Scheme::Sip, Some(user), host, Some(5070))
            .and_then(|u| u.with_param("x", Some("1;lr>\"")))
            .and_then(|u| u.with_param("lr", None))
            .unwrap();
        let text = "sip:a%20b%40c%0D%0AVia%3A%20x%3E;%25@example.com:5070;x=1%3Blr%3E%22;lr";
        assert_eq!(uri.as_str(), text);
        assert_eq!(uri.as_ref().user_unescaped().unwrap(), user.as_bytes());
        let uri = uri.with_param("X", None).unwrap().with_user("").unwrap();
        assert_eq!(uri.with_port(None).unwrap().as_str(), "sip:example.com;lr;X");
        for host in ["a@b", "b;lr", "b:1", ""] {
            let made = Uri::from_parts(Scheme::Sip, None, Host::Name(host), None);
            assert!(made.is_err(), "{host}");
        }
        assert!(Uri::tel("1").unwrap().with_user("x").is_err());
    }
}
