//! A SIP message, read-only.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::chars::{number, saturating_number};
use super::cseq::CSeq;
use super::error::ParseError;
use super::fields::{Buffer, FieldSpan, Lines, slice};
use super::lists::split_values;
use super::media_type::MediaType;
use super::method::Method;
use super::name::HeaderName;
use super::name_addr::{AddressParts, NameAddrRef};
use super::uri::UriRef;
use super::uri_parts::UriParts;
use super::via::{ViaParts, ViaRef};

/// A request or a response (RFC 3261 §7): immutable, owning one copy of its bytes.
///
/// What [`Message::parse`] and [`MessageBuilder::finish`](super::MessageBuilder::finish) give has
/// a start line, Via, From, To, Call-ID and CSeq, each well-formed, and well-formed Contact, Route
/// and Record-Route where they are present; a request's CSeq names its method.
#[derive(Clone)]
pub struct Message {
    pub(super) buf: Buffer,
    pub(super) head_len: usize,
    pub(super) start: StartLine,
    pub(super) fields: Vec<FieldSpan>,
    pub(super) vias: Vec<ViaParts>,
    /// The values of From, To, Contact, Route and Record-Route.
    pub(super) addresses: Vec<AddressParts>,
    pub(super) call_id: Option<u16>,
    pub(super) cseq: CSeq,
    pub(super) max_forwards: Option<u8>,
    /// Not all of it is well-formed: it may only be answered.
    pub(super) defective: bool,
}

#[derive(Clone, Debug)]
pub(super) enum StartLine {
    Request { method: Method, uri: (u16, u16), parts: Option<UriParts> },
    Response { status: u16, reason: (u16, u16) },
}

impl Message {
    /// The message that a datagram holds, or one framed message of a stream. Line ends before it
    /// are skipped; bytes after the body that Content-Length announces are left out; without
    /// Content-Length the body is all the rest (RFC 3261 §18.3).
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        super::parser::parse_datagram(bytes)
    }

    /// Forgets the body, which may hold keys; the head stays.
    #[cfg(feature = "std")]
    pub(crate) fn forget_body(&mut self) {
        self.buf.truncate(self.head_len);
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method; of a response the one that its CSeq names.
    pub fn method(&self) -> &Method {
        match &self.start {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => &self.cseq.method,
        }
    }

    /// The Request-URI; `None` for responses. A scheme other than sip, sips and tel is
    /// [`Scheme::Other`](super::Scheme::Other), to be answered with 416 (RFC 3261 §8.2.2.1).
    pub fn request_uri(&self) -> Option<UriRef<'_>> {
        match self.start {
            StartLine::Request { uri, parts: Some(parts), .. } => {
                Some(UriRef::from_parts(self.buf.text(uri)?, parts))
            }
            _ => None,
        }
    }

    /// The status code, 100 to 699; `None` for requests.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase; empty for requests, and if it is not UTF-8.
    pub fn reason(&self) -> &str {
        match self.start {
            StartLine::Response { reason, .. } => self.text(reason),
            StartLine::Request { .. } => "",
        }
    }

    /// The Via values from the top.
    pub fn vias(&self) -> impl Iterator<Item = ViaRef<'_>> {
        let all = self.buf.all_text();
        self.vias.iter().filter_map(move |parts| match all {
            Some(text) => Some(ViaRef::new(text, *parts)),
            None => {
                let (text, start) = self.line(parts.field)?;
                Some(ViaRef::new(text, parts.moved(start)))
            }
        })
    }

    /// The topmost Via, which every message has.
    pub fn top_via(&self) -> Option<ViaRef<'_>> {
        self.vias().next()
    }

    /// The From. `sip:anonymous.invalid` in place of a malformed one in a message that is only
    /// [`rejectable`](ParseError::rejectable).
    pub fn from(&self) -> NameAddrRef<'_> {
        self.read(HeaderName::From).next().unwrap_or(NameAddrRef::ANONYMOUS)
    }

    /// The To; what holds for [`from`](Self::from) holds for it.
    pub fn to(&self) -> NameAddrRef<'_> {
        self.read(HeaderName::To).next().unwrap_or(NameAddrRef::ANONYMOUS)
    }

    /// The Call-ID; compared with case.
    pub fn call_id(&self) -> &str {
        self.value_at(self.call_id)
    }

    /// The CSeq.
    pub fn cseq(&self) -> &CSeq {
        &self.cseq
    }

    /// The Contact addresses; none for `*`.
    pub fn contacts(&self) -> impl Iterator<Item = NameAddrRef<'_>> {
        self.read(HeaderName::Contact)
    }

    /// Whether the Contact is `*`: all bindings (RFC 3261 §10.2.2).
    pub fn has_wildcard_contact(&self) -> bool {
        self.lines(HeaderName::Contact).any(|value| value == b"*")
    }

    /// The Route addresses, next hop first.
    pub fn routes(&self) -> impl Iterator<Item = NameAddrRef<'_>> {
        self.read(HeaderName::Route)
    }

    /// The Record-Route addresses in the order of the message.
    pub fn record_routes(&self) -> impl Iterator<Item = NameAddrRef<'_>> {
        self.read(HeaderName::RecordRoute)
    }

    /// The addresses of any header field that holds them: Refer-To, Referred-By, Path,
    /// Service-Route, P-Asserted-Identity. Those are not checked at parsing: malformed ones are
    /// left out.
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = NameAddrRef<'_>> {
        self.list(name).filter_map(NameAddrRef::parse)
    }

    /// The addresses that were read at parsing.
    fn read(&self, name: HeaderName) -> impl Iterator<Item = NameAddrRef<'_>> {
        let all = self.buf.all_text();
        let named = self.addresses.iter().filter(move |parts| parts.name_id == name);
        named.filter_map(move |parts| match all {
            Some(text) => Some(NameAddrRef::new(text, *parts)),
            None => {
                let (text, start) = self.line(parts.field)?;
                Some(NameAddrRef::new(text, parts.moved(start)))
            }
        })
    }

    /// The value of a header field, and where it starts.
    fn line(&self, field: u16) -> Option<(&str, u16)> {
        let value = self.fields.get(usize::from(field))?.value;
        Some((self.buf.text(value)?, value.0))
    }

    /// Max-Forwards.
    pub fn max_forwards(&self) -> Option<u8> {
        self.max_forwards
    }

    /// Expires, in seconds; too large a number gives the largest, a malformed one `None`.
    pub fn expires(&self) -> Option<u32> {
        self.seconds(HeaderName::Expires)
    }

    /// Min-Expires, in seconds.
    pub fn min_expires(&self) -> Option<u32> {
        self.seconds(HeaderName::MinExpires)
    }

    /// Retry-After, in seconds; its comment and parameters are left out.
    pub fn retry_after(&self) -> Option<u32> {
        self.seconds(HeaderName::RetryAfter)
    }

    fn seconds(&self, name: HeaderName) -> Option<u32> {
        saturating_number(self.header(name)?.split([' ', '\t', ';', '(']).next()?)
    }

    /// Content-Length, if it is there.
    pub fn content_length(&self) -> Option<usize> {
        number(self.header(HeaderName::ContentLength)?).and_then(|n| usize::try_from(n).ok())
    }

    /// The Content-Type without its parameters, as written.
    pub fn content_type(&self) -> Option<&str> {
        let value = self.header(HeaderName::ContentType)?;
        Some(value.split(';').next().unwrap_or_default().trim_end())
    }

    /// Whether the Content-Type is this one, such as `application/sdp`; compared without case.
    pub fn has_content_type(&self, wanted: &str) -> bool {
        self.content_type().is_some_and(|t| t.eq_ignore_ascii_case(wanted))
    }

    /// The Content-Type with its parameters, if it is well-formed.
    pub fn media_type(&self) -> Option<MediaType<'_>> {
        MediaType::parse(self.header(HeaderName::ContentType)?)
    }

    /// The option tags of Require.
    pub fn require(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Require)
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Supported)
    }

    /// The methods of Allow.
    pub fn allow(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Allow)
    }

    /// The tokens of a list such as Require or Allow; the same as [`list`](Self::list).
    pub fn tokens(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.list(name)
    }

    /// The values of a comma-separated header field over all its lines, blanks around each
    /// removed, empty ones left out. Commas in quotes and angle brackets do not separate.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.headers(name).flat_map(split_values)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.as_bytes().get(self.head_len..).unwrap_or_default()
    }

    /// Whether the body has this word somewhere.
    #[cfg(feature = "std")] // only the engine asks
    pub(crate) fn body_has(&self, word: &[u8]) -> bool {
        super::scan::find(self.body(), word).is_some()
    }

    /// Start line and header fields.
    pub(super) fn head(&self) -> &[u8] {
        self.as_bytes().get(..self.head_len).unwrap_or_default()
    }

    /// The first line of that name; `None` also if it is not UTF-8.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        core::str::from_utf8(self.lines(name).next()?).ok()
    }

    /// The first line of that name, byte for byte.
    pub fn header_bytes(&self, name: HeaderName) -> Option<&[u8]> {
        self.lines(name).next()
    }

    /// The lines of that name; empty text for one that is not UTF-8.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.lines(name).map(|value| core::str::from_utf8(value).unwrap_or_default())
    }

    /// The lines of a name that [`HeaderName`] may not know; compared without case.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        let id = HeaderName::parse(name);
        let named = move |span: &&FieldSpan| match id {
            HeaderName::Other => {
                span.name_id == id
                    && slice(self.as_bytes(), span.name).eq_ignore_ascii_case(name.as_bytes())
            }
            id => span.name_id == id,
        };
        self.fields.iter().filter(named).map(|span| self.text(span.value))
    }

    /// All header fields in their order: name as written, value (empty if it is not UTF-8).
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|span| (self.text(span.name), self.text(span.value)))
    }

    /// The whole message as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.buf.as_bytes()
    }

    fn lines(&self, name: HeaderName) -> Lines<'_> {
        Lines::new(self.as_bytes(), &self.fields, name)
    }

    fn text(&self, span: (u16, u16)) -> &str {
        self.buf.text(span).unwrap_or_default()
    }

    fn value_at(&self, index: Option<u16>) -> &str {
        let span = index.and_then(|i| self.fields.get(usize::from(i)));
        span.map(|span| self.text(span.value)).unwrap_or_default()
    }
}

/// Messages are equal if their bytes are.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Message {}

/// The start line alone: header fields may hold credentials and numbers that were called.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Message");
        match self.status() {
            Some(status) => out.field("status", &status),
            None => out.field("method", self.method()),
        };
        out.field("cseq", &self.cseq.number).field("length", &self.as_bytes().len()).finish()
    }
}

/// The message as text, for traces that the user asked for. It may hold secrets.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}
