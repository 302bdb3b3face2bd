//! `name-addr` and `addr-spec` with their parameters: From, To, Contact, Route and their like
//! (RFC 3261 §20.10, §25.1).

use alloc::{borrow::Cow, string::String};
use core::fmt::{self, Write as _};

use super::builder::BuildError;
use super::chars::{
    BARE_URI, DISPLAY, VALUE, after, after_quoted, before, between, is_token, place, skip_blanks,
};
use super::escape::{quote, unquote};
use super::name::HeaderName;
use super::params::{Params, scan_params};
use super::uri::{Uri, UriRef};
use super::uri_parts::UriParts;

/// One address of a header field: display name, URI, parameters.
#[derive(Clone, Copy)]
pub struct NameAddrRef<'a> {
    text: &'a str,
    parts: AddressParts,
}

/// Positions of an address in its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddressParts {
    /// The header field that it stands in.
    pub(super) field: u16,
    /// The name of that field.
    pub(super) name_id: HeaderName,
    /// Between the quotes of a quoted string.
    display: (u16, u16),
    quoted: bool,
    uri: (u16, u16),
    /// In the URI.
    uri_parts: UriParts,
    params: (u16, u16),
    tag: (u16, u16),
}

impl AddressParts {
    /// Reads the address that `text`, the end of a message of `length` bytes, begins with. Gives
    /// what follows it and its blanks: a comma or the end of the line.
    #[inline]
    pub(super) fn read(
        length: usize,
        (field, name_id): (u16, HeaderName),
        text: &[u8],
    ) -> Option<(Self, &[u8])> {
        let start = skip_blanks(text);
        let quoted = matches!(start, [b'"', ..]);
        let (display, open) = match start {
            [b'<', ..] => ((start, start), start),
            [b'"', inside @ ..] => {
                let tail = after_quoted(start)?;
                // Its closing quote is there.
                let close = inside.get(before(inside, tail).len().saturating_sub(1)..)?;
                ((inside, close), skip_blanks(tail))
            }
            _ => {
                let open = after(start, DISPLAY);
                ((start, trim_end(start, open)), open)
            }
        };
        let (display, uri, uri_parts, uri_tail, params) = match open {
            [b'<', uri @ ..] => {
                let (parts, tail) = match UriParts::scan_plain(uri) {
                    Some((parts, tail @ [b'>', ..])) => (parts, tail),
                    _ => scan_in_brackets(uri)?,
                };
                (display, uri, parts, tail, tail.get(1..)?)
            }
            _ if quoted => return None,
            // A question mark needs angle brackets; anything but the end, a blank, a parameter or
            // the next address is caught below.
            _ => {
                let tail = after(start, BARE_URI);
                let parts = UriParts::scan(before(start, tail)).ok()?;
                ((start, start), start, parts, tail, tail)
            }
        };
        let scanned = scan_params(params, b"tag");
        let tag = scanned.wanted.unwrap_or_default();
        let parts = Self {
            field,
            name_id,
            display: (place(length, display.0), place(length, display.1)),
            quoted,
            uri: (place(length, uri), place(length, uri_tail)),
            uri_parts,
            params: (place(length, params), place(length, scanned.tail)),
            tag: (place(length, tag.0), place(length, tag.1)),
        };
        Some((parts, scanned.next?))
    }

    /// The same address in a text that begins `by` bytes later.
    pub(super) fn moved(self, by: u16) -> Self {
        let both = |(start, end): (u16, u16)| (start.saturating_sub(by), end.saturating_sub(by));
        Self {
            display: both(self.display),
            uri: both(self.uri),
            params: both(self.params),
            tag: both(self.tag),
            ..self
        }
    }
}

/// Any URI in angle brackets, and its closing bracket with what follows.
fn scan_in_brackets(uri: &[u8]) -> Option<(UriParts, &[u8])> {
    let end = super::scan::memchr3(b'>', b'\r', b'\n', uri)?;
    let (uri, tail) = uri.split_at_checked(end)?;
    tail.starts_with(b">").then_some((UriParts::scan(uri).ok()?, tail))
}

/// What begins with the blanks before `tail`, or `tail` itself.
fn trim_end<'a>(text: &'a [u8], tail: &'a [u8]) -> &'a [u8] {
    let front = before(text, tail);
    let blanks = front.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    text.get(front.len().saturating_sub(blanks)..).unwrap_or(tail)
}

impl<'a> NameAddrRef<'a> {
    /// What stands for an address that could not be read.
    pub(super) const ANONYMOUS: NameAddrRef<'static> = NameAddrRef {
        text: "sip:anonymous.invalid",
        parts: AddressParts {
            field: 0,
            name_id: HeaderName::Other,
            display: (0, 0),
            quoted: false,
            uri: (0, 21),
            uri_parts: UriParts::ANONYMOUS,
            params: (21, 21),
            tag: (21, 21),
        },
    };

    pub(super) fn new(text: &'a str, parts: AddressParts) -> Self {
        Self { text, parts }
    }

    /// The address that all of `text` is; `None` also for more than 64 KiB.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > usize::from(u16::MAX) {
            return None;
        }
        let place = (0, HeaderName::Other);
        let (parts, tail) = AddressParts::read(text.len(), place, text.as_bytes())?;
        tail.is_empty().then(|| Self::new(text, parts))
    }

    /// The display name, its quotes and escapes resolved; empty without one.
    pub fn display(&self) -> String {
        self.display_name().into_owned()
    }

    fn display_name(&self) -> Cow<'a, str> {
        let text = between(self.text, self.parts.display.0, self.parts.display.1);
        if self.parts.quoted { unquote(text) } else { Cow::Borrowed(text) }
    }

    /// The URI.
    pub fn uri(&self) -> UriRef<'a> {
        let (start, end) = self.parts.uri;
        UriRef::from_parts(between(self.text, start, end), self.parts.uri_parts)
    }

    /// The `tag` parameter; `None` without one or with an empty one.
    pub fn tag(&self) -> Option<&'a str> {
        let (start, end) = self.parts.tag;
        Some(between(self.text, start, end)).filter(|t| !t.is_empty())
    }

    /// The parameters of the header field, not those of the URI.
    pub fn params(&self) -> Params<'a> {
        Params::new(between(self.text, self.parts.params.0, self.parts.params.1))
    }

    /// The `expires` parameter of a Contact, in seconds; too large a number gives the largest.
    pub fn expires(&self) -> Option<u32> {
        self.params().get("expires").and_then(super::chars::saturating_number)
    }

    /// A copy that owns its text.
    pub fn to_name_addr(&self) -> NameAddr {
        NameAddr {
            display: self.display(),
            uri: self.uri().to_uri(),
            params: self.params().as_str().into(),
        }
    }
}

/// The address alone: the message around it may hold secrets.
impl fmt::Debug for NameAddrRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The canonical form: display name quoted, URI in angle brackets.
impl fmt::Display for NameAddrRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, &self.display_name(), self.uri().as_str(), self.params().as_str())
    }
}

fn write_address(
    f: &mut fmt::Formatter<'_>,
    display: &str,
    uri: &str,
    params: &str,
) -> fmt::Result {
    if !display.is_empty() {
        write!(f, "{} ", quote(display))?;
    }
    write!(f, "<{uri}>{params}")
}

/// An address that owns its text, for building messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    display: String,
    uri: Uri,
    params: String,
}

impl NameAddr {
    /// `<uri>`.
    pub fn new(uri: Uri) -> Self {
        Self { display: String::new(), uri, params: String::new() }
    }

    /// The address that all of `text` is.
    pub fn parse(text: &str) -> Option<Self> {
        NameAddrRef::parse(text).map(|a| a.to_name_addr())
    }

    /// With this display name, which is quoted; control characters in it are refused.
    pub fn with_display(mut self, display: &str) -> Result<Self, BuildError> {
        if display.chars().any(char::is_control) {
            return Err(BuildError::ControlCharacter("the display name".into()));
        }
        self.display = display.into();
        Ok(self)
    }

    /// With this parameter of the header field, in place of one of the same name. A value that
    /// needs quotes gets them, unless it comes as a quoted string already.
    pub fn with_param(self, name: &str, value: Option<&str>) -> Result<Self, BuildError> {
        let value = value.unwrap_or_default();
        if !is_token(name.as_bytes()) {
            return Err(BuildError::BadParameter(name.into()));
        }
        if value.chars().any(char::is_control) {
            return Err(BuildError::ControlCharacter(name.into()));
        }
        let mut bare = self.without_param(name);
        let bytes = value.as_bytes();
        let is_quoted = after_quoted(bytes).is_some_and(<[u8]>::is_empty);
        // Writing to a String cannot fail.
        let _ = if value.is_empty() {
            write!(bare.params, ";{name}")
        } else if is_quoted || after(bytes, VALUE).is_empty() {
            write!(bare.params, ";{name}={value}")
        } else {
            write!(bare.params, ";{name}={}", quote(value))
        };
        Ok(bare)
    }

    /// Without the parameters of that name.
    #[must_use]
    pub fn without_param(mut self, name: &str) -> Self {
        let params = Params::new(&self.params);
        if params.has(name) {
            let mut kept = String::with_capacity(self.params.len());
            for (other, value) in params.iter() {
                if other.eq_ignore_ascii_case(name) {
                    continue;
                }
                kept.push(';');
                kept.push_str(other);
                if let Some(value) = value {
                    kept.push('=');
                    kept.push_str(value);
                }
            }
            self.params = kept;
        }
        self
    }

    /// The display name; empty without one.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params().get("tag").filter(|t| !t.is_empty())
    }

    /// The parameters of the header field.
    pub fn params(&self) -> Params<'_> {
        Params::new(&self.params)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, &self.display, self.uri.as_str(), &self.params)
    }
}

impl From<NameAddrRef<'_>> for NameAddr {
    fn from(address: NameAddrRef<'_>) -> Self {
        address.to_name_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NameAddrRef<'_> {
        NameAddrRef::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn every_form_is_read() {
        let a = read(r#""J Rosenberg \\\""       <sip:jdrosen@example.com>  ;  tag = 98asjd8"#);
        assert_eq!(a.display(), r#"J Rosenberg \""#);
        assert_eq!(a.tag(), Some("98asjd8"));
        let a = read("caller<sip:caller@example.com;lr>;tag=323");
        assert_eq!(a.display(), "caller");
        assert_eq!(a.uri().as_str(), "sip:caller@example.com;lr");
        let a = read("  sip:vivekg@example.com ;   tag    = 19");
        assert_eq!((a.uri().as_str(), a.tag()), ("sip:vivekg@example.com", Some("19")));
        let a = read("token1~` token2'+_ <sip:mundane@example.com>");
        assert_eq!(a.display(), "token1~` token2'+_");
        let a = read("<name:John_Smith>;expires=99999999999");
        assert_eq!((a.display().as_str(), a.expires()), ("", Some(u32::MAX)));
        assert_eq!(read("sip:+1@gw1.example.net;unknownparam").uri().params().as_str(), "");
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for bad in [
            "",
            "\"Mr. J. User <sip:j.user@example.com>",
            "Bell, Alexander <sip:a.g.bell@example.com>",
            "\"Watson\" < sip:t.watson@example.org >",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<sip:a@example.com",
            "<sip:a@example.com>>",
            "<sip:a@example.com> x",
            "\"quoted\" sip:a@example.com",
            "<sip:a@example.com>;;",
        ] {
            assert!(NameAddrRef::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn owned_addresses_cannot_be_broken_out_of() {
        let uri = Uri::parse("sip:a@example.com").unwrap();
        let name = "\"x\" <sip:b@example.com>";
        let made = NameAddr::new(uri).with_display(name).unwrap();
        let made = made.with_param("+sip.instance", Some("<urn:uuid:1>")).unwrap();
        let made = made.with_param("tag", Some("1")).and_then(|a| a.with_param("Tag", Some("2")));
        let made = made.and_then(|a| a.with_param("x", Some("\"y\""))).unwrap();
        let text = made.to_string();
        assert_eq!(
            text,
            "\"\\\"x\\\" <sip:b@example.com>\" <sip:a@example.com>\
             ;+sip.instance=\"<urn:uuid:1>\";Tag=2;x=\"y\""
        );
        assert!(made.clone().with_display("a\r\nVia: x").is_err());
        assert!(made.clone().with_param("a;b", None).is_err());
        assert!(made.clone().with_param("a", Some("1\r\nVia: x")).is_err());
        assert_eq!(made.with_param("a", Some("1;b")).unwrap().params().get("a"), Some("\"1;b\""));
        let again = NameAddr::parse(&text).unwrap();
        assert_eq!(again.display(), name);
        assert_eq!(again.to_string(), text);
        assert_eq!(again.params().get_unquoted("+sip.instance").unwrap(), "<urn:uuid:1>");
    }
}
