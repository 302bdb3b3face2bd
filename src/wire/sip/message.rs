//! A SIP message: one buffer, spans into it, typed views.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::error::ParseError;
use super::header::HeaderName;
use super::lex::list;
use super::uri::UriRef;
use super::values::{CSeq, NameAddrRef, ViaRef};
use super::{MessageBuilder, Method};

type Span = (u32, u32);

/// The start line.
#[derive(Clone, Debug)]
pub(super) enum Start {
    Request { method: Method, uri: Span },
    Response { status: u16, reason: Span },
}

/// One header field line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: HeaderName,
    pub(super) name_span: Span,
    pub(super) value: Span,
}

/// A SIP request or response, immutable. The header fields that routing needs (Via, From, To,
/// Call-ID, CSeq, Max-Forwards, Contact, Route, Record-Route, Content-Length) were validated.
#[derive(Clone)]
pub struct Message {
    buf: Vec<u8>,
    start: Start,
    entries: Vec<Entry>,
    body_at: usize,
    cseq: CSeq,
}

impl Message {
    /// Parses one datagram, or one message cut out of a stream by a
    /// [`StreamFramer`](super::StreamFramer). Bytes beyond Content-Length are cut off.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        super::parser::parse(bytes)
    }

    pub(super) fn assemble(
        buf: Vec<u8>,
        start: Start,
        entries: Vec<Entry>,
        body_at: usize,
    ) -> Self {
        let method = match &start {
            Start::Request { method, .. } => method.clone(),
            Start::Response { .. } => Method::Other("".into()),
        };
        let mut message = Self { buf, start, entries, body_at, cseq: CSeq { number: 0, method } };
        let cseq = message.header(HeaderName::CSeq).and_then(CSeq::parse);
        if let Some(cseq) = cseq {
            let method = match &message.start {
                Start::Request { method, .. } => method.clone(),
                Start::Response { .. } => cseq.method,
            };
            message.cseq = CSeq { number: cseq.number, method };
        }
        message
    }

    /// Cuts the body to Content-Length. `Err` if there is less, or the values contradict.
    pub(super) fn trim_body(&mut self) -> Result<(), ()> {
        let mut wanted: Option<usize> = None;
        for value in self.headers(HeaderName::ContentLength) {
            let n: usize = value.parse().map_err(|_| ())?;
            if wanted.is_some_and(|w| w != n) {
                return Err(());
            }
            wanted = Some(n);
        }
        let available = self.buf.len().saturating_sub(self.body_at);
        match wanted {
            Some(n) if n > available => Err(()),
            Some(n) => {
                self.buf.truncate(self.body_at.saturating_add(n));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn text(&self, (start, end): Span) -> &str {
        self.buf
            .get(start as usize..end as usize)
            .and_then(|b| core::str::from_utf8(b).ok())
            .unwrap_or("")
    }

    /// True for a request.
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }
    /// The request's method; for a response, the method of its CSeq.
    pub const fn method(&self) -> &Method {
        &self.cseq.method
    }
    /// The Request-URI.
    pub fn request_uri(&self) -> Option<UriRef<'_>> {
        match self.start {
            Start::Request { uri, .. } => UriRef::parse(self.text(uri)),
            Start::Response { .. } => None,
        }
    }
    /// The status of a response, 100 to 699.
    pub const fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }
    /// The reason phrase of a response, as received.
    pub fn reason(&self) -> &str {
        match self.start {
            Start::Response { reason, .. } => self.text(reason),
            Start::Request { .. } => "",
        }
    }
    /// All Via values, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = ViaRef<'_>> {
        self.list(HeaderName::Via).filter_map(ViaRef::parse)
    }
    /// The topmost Via. `None` only in a [`ParseError::rejectable`] message.
    pub fn top_via(&self) -> Option<ViaRef<'_>> {
        self.vias().next()
    }
    /// From. A placeholder `sip:anonymous.invalid` in a [`ParseError::rejectable`] message whose From
    /// is broken.
    pub fn from(&self) -> NameAddrRef<'_> {
        self.address(HeaderName::From)
    }
    /// To, with the same placeholder.
    pub fn to(&self) -> NameAddrRef<'_> {
        self.address(HeaderName::To)
    }
    fn address(&self, name: HeaderName) -> NameAddrRef<'_> {
        self.header(name).and_then(NameAddrRef::parse).unwrap_or_else(NameAddrRef::placeholder)
    }
    /// Call-ID.
    pub fn call_id(&self) -> &str {
        self.header(HeaderName::CallId).unwrap_or("")
    }
    /// CSeq.
    pub const fn cseq(&self) -> &CSeq {
        &self.cseq
    }
    /// Contact addresses; none for `*`.
    pub fn contacts(&self) -> impl Iterator<Item = NameAddrRef<'_>> {
        self.list(HeaderName::Contact).filter_map(NameAddrRef::parse)
    }
    /// Route, topmost first.
    pub fn routes(&self) -> impl Iterator<Item = NameAddrRef<'_>> {
        self.list(HeaderName::Route).filter_map(NameAddrRef::parse)
    }
    /// Record-Route, topmost first.
    pub fn record_routes(&self) -> impl Iterator<Item = NameAddrRef<'_>> {
        self.list(HeaderName::RecordRoute).filter_map(NameAddrRef::parse)
    }
    /// Max-Forwards.
    pub fn max_forwards(&self) -> Option<u8> {
        self.header(HeaderName::MaxForwards)?.parse().ok()
    }
    /// Expires, seconds; values beyond 2^32-1 are read as that.
    pub fn expires(&self) -> Option<u32> {
        self.seconds(HeaderName::Expires)
    }
    /// Min-Expires, seconds.
    pub fn min_expires(&self) -> Option<u32> {
        self.seconds(HeaderName::MinExpires)
    }
    /// Retry-After, seconds (comments and parameters left out).
    pub fn retry_after(&self) -> Option<u32> {
        self.seconds(HeaderName::RetryAfter)
    }
    fn seconds(&self, name: HeaderName) -> Option<u32> {
        let value = self.header(name)?;
        let digits = value.split(|c: char| !c.is_ascii_digit()).next().filter(|d| !d.is_empty())?;
        Some(digits.parse().unwrap_or(u32::MAX))
    }
    /// Content-Type without parameters, as written.
    pub fn content_type(&self) -> Option<&str> {
        self.header(HeaderName::ContentType)
            .map(|v| super::lex::trim(v.split(';').next().unwrap_or("")))
    }
    /// True if the Content-Type is this one (any case).
    pub fn has_content_type(&self, wanted: &str) -> bool {
        self.content_type().is_some_and(|t| t.eq_ignore_ascii_case(wanted))
    }
    /// The tokens of a list header such as Require, Supported or Allow.
    pub fn tokens(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.list(name)
    }
    /// The body, byte for byte.
    pub fn body(&self) -> &[u8] {
        self.buf.get(self.body_at..).unwrap_or(&[])
    }
    /// The first value of a header field, as one line.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers(name).next()
    }
    /// All values of a header field, one per line of the message.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(move |e| e.name == name).map(|e| self.text(e.value))
    }
    /// All values of a header field by its text, for names that [`HeaderName`] does not know.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all_headers().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
    /// Every header field in order, names as written.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|e| (self.text(e.name_span), self.text(e.value)))
    }
    /// The elements of a comma-separated header field over all its lines.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.headers(name).flat_map(list)
    }
    pub(super) fn known(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        self.entries
            .iter()
            .filter(|e| e.name != HeaderName::Other)
            .map(|e| (e.name, self.text(e.value)))
    }
    pub(super) fn entries(&self) -> impl Iterator<Item = (HeaderName, &str, &str)> {
        self.entries.iter().map(|e| (e.name, self.text(e.name_span), self.text(e.value)))
    }
    /// The message as bytes (folded lines unfolded; otherwise as received).
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf
    }
    /// Starts a response to this request: Via, From, To, Call-ID and CSeq are copied, Timestamp
    /// for a 100, Record-Route for 101 to 299 (RFC 3261 §8.2.6, §12.1.1). The To tag is the
    /// caller's to add ([`MessageBuilder::to_tag`]).
    pub fn response(&self, status: u16, reason: &str) -> MessageBuilder {
        MessageBuilder::response_to(self, status, reason)
    }
    /// A builder that holds a copy of this message.
    pub fn edit(&self) -> MessageBuilder {
        MessageBuilder::copy_of(self)
    }
}

impl fmt::Debug for Message {
    /// The start line only: header fields may hold credentials, bodies keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Start::Request { method, uri } => write!(f, "Message({method} {})", self.text(*uri)),
            Start::Response { status, .. } => {
                write!(f, "Message({status} {})", self.cseq)
            }
        }
    }
}

impl fmt::Display for Message {
    /// The message as text, for traces that the user asked for. It may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.buf))
    }
}
