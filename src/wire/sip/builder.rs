//! Messages from values.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Display};

use zeroize::Zeroizing;

use super::chars::is_token;
use super::error::ParseError;
use super::lists::split_values;
use super::message::Message;
use super::method::Method;
use super::name::HeaderName;
use super::name_addr::NameAddrRef;
use super::parser::parse_built;
use super::uri::Uri;

/// Why a message, or a value for one, cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value holds CR, LF, NUL or the like: it would have become header fields of its own.
    #[error("{0} holds a line break or another control character; a value is one line of text")]
    ControlCharacter(String),
    /// The name of a header field is not a token.
    #[error("the name of a header field is a token (RFC 3261 §25.1); Other has none, name it")]
    BadName,
    /// The name of a parameter, or a tag, is not a token.
    #[error("{0:?} is not a token (RFC 3261 §25.1), as names of parameters and tags must be")]
    BadParameter(String),
    /// The status code is not one of 100 to 699.
    #[error("{0} is no status code; they are 100 to 699")]
    BadStatus(u16),
    /// The result would not be a well-formed message; the error says which part.
    #[error("the message would be malformed: {0}")]
    Invalid(ParseError),
}

#[derive(Clone, Debug)]
pub(super) enum BuildStart {
    Request { method: Method, uri: String },
    Response { status: u16, reason: String },
}

/// A header field: positions in the builder's text.
#[derive(Clone, Debug)]
pub(super) struct BuildField {
    pub(super) name_id: HeaderName,
    /// The name as it came; empty for the long form of `name_id`.
    pub(super) name: (usize, usize),
    pub(super) value: (usize, usize),
}

/// Builds a [`Message`]: from nothing, or from one that is there ([`Message::edit`],
/// [`Message::response`]). Errors are kept until [`finish`](Self::finish), which also checks that
/// the result is a message that [`Message::parse`] accepts. Content-Length is written by `finish`;
/// one that is set by hand is ignored.
#[derive(Clone)]
pub struct MessageBuilder {
    pub(super) start: BuildStart,
    pub(super) text: Vec<u8>,
    pub(super) fields: Vec<BuildField>,
    /// It may hold keys (RFC 4568).
    pub(super) body: Zeroizing<Vec<u8>>,
    /// It copies values of a message that may only be answered.
    pub(super) defective: bool,
    pub(super) error: Option<BuildError>,
}

/// The start line alone, as for messages.
impl fmt::Debug for MessageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBuilder").field("start", &self.start).finish_non_exhaustive()
    }
}

impl MessageBuilder {
    pub(super) fn new(start: BuildStart) -> Self {
        let (text, fields) = (Vec::with_capacity(512), Vec::with_capacity(16));
        Self { start, text, fields, body: Zeroizing::default(), defective: false, error: None }
    }

    /// A request. Via, From, To, Call-ID, CSeq and Max-Forwards are yours to add.
    pub fn request(method: &Method, uri: &Uri) -> Self {
        let uri = uri.as_str().into();
        let mut builder = Self::new(BuildStart::Request { method: method.clone(), uri });
        if !is_token(method.as_str().as_bytes()) {
            builder.fail(BuildError::BadParameter(method.as_str().into()));
        }
        builder
    }

    /// A response. [`Message::response`] is what answers a request.
    pub fn response(status: u16, reason: &str) -> Self {
        let mut builder = Self::new(BuildStart::Response { status, reason: reason.into() });
        if !(100..700).contains(&status) {
            builder.fail(BuildError::BadStatus(status));
        }
        if !is_one_line(reason.as_bytes()) {
            builder.fail(BuildError::ControlCharacter("the reason phrase".into()));
        }
        builder
    }

    /// Appends a header field, after all others.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Display) -> Self {
        if let Some(field) = self.make(name, name.as_str(), value) {
            self.fields.push(field);
        }
        self
    }

    /// Appends a header field that [`HeaderName`] may not know.
    #[must_use]
    pub fn header_named(mut self, name: &str, value: impl Display) -> Self {
        if let Some(field) = self.make(HeaderName::parse(name), name, value) {
            self.fields.push(field);
        }
        self
    }

    /// Puts a header field before all others: the new top Via, the first Route.
    #[must_use]
    pub fn prepend(mut self, name: HeaderName, value: impl Display) -> Self {
        if let Some(field) = self.make(name, name.as_str(), value) {
            self.fields.insert(0, field);
        }
        self
    }

    /// Sets a header field: it takes the place of the first of that name, others of that name go;
    /// if there is none it is appended.
    #[must_use]
    pub fn replace(mut self, name: HeaderName, value: impl Display) -> Self {
        let Some(mut new) = self.make(name, name.as_str(), value) else { return self };
        let mut placed = false;
        self.fields.retain_mut(|field| {
            if field.name_id != name {
                return true;
            }
            core::mem::swap(field, &mut new);
            !core::mem::replace(&mut placed, true)
        });
        if !placed {
            self.fields.push(new);
        }
        self
    }

    /// Removes the header fields of that name.
    #[must_use]
    pub fn remove(mut self, name: HeaderName) -> Self {
        self.fields.retain(|field| field.name_id != name);
        self
    }

    /// Changes the topmost value of a header field, such as the top Via; those after its comma
    /// and on other lines stay. Without effect if there is none.
    #[must_use]
    pub fn map_first(mut self, name: HeaderName, change: impl FnOnce(&str) -> String) -> Self {
        let Some(at) = self.fields.iter().position(|field| field.name_id == name) else {
            return self;
        };
        let place = self.fields.get(at).map_or((0, 0), |field| field.value);
        let line = self.text.get(place.0..place.1).unwrap_or_default();
        // What is not UTF-8 is no list either: it is replaced as a whole.
        let line = core::str::from_utf8(line).unwrap_or_default();
        let first = split_values(line).next().unwrap_or_default();
        let start = line.find(first).unwrap_or_default();
        let rest = line.get(start.saturating_add(first.len())..).unwrap_or_default();
        let value = alloc::format!("{}{rest}", change(first));
        if let Some(new) = self.make(name, name.as_str(), value)
            && let Some(field) = self.fields.get_mut(at)
        {
            *field = new;
        }
        self
    }

    /// Adds this tag to To, unless it has one.
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Self {
        if !is_token(tag.as_bytes()) {
            self.fail(BuildError::BadParameter(tag.into()));
        }
        let to = self.fields.iter_mut().find(|field| field.name_id == HeaderName::To);
        let Some(field) = to else { return self };
        let value = self.text.get(field.value.0..field.value.1).unwrap_or_default();
        let address = core::str::from_utf8(value).ok().and_then(NameAddrRef::parse);
        // A To that is no address, of a request that is only answered, stays as it is.
        if address.is_some_and(|address| address.tag().is_none()) {
            // Not by way of `make`: what came over the wire may hold quoted control characters.
            let tagged = [value, b";tag=", tag.as_bytes()].concat();
            let start = self.text.len();
            self.text.extend_from_slice(&tagged);
            field.value = (start, self.text.len());
        }
        self
    }

    /// Sets the body and its Content-Type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = Zeroizing::new(body.to_vec());
        self.replace(HeaderName::ContentType, content_type)
    }

    /// The message, or the first thing that was wrong.
    pub fn finish(self) -> Result<Message, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let names = self.fields.len().saturating_mul(24).saturating_add(256);
        let values = self.text.len().saturating_add(self.body.len());
        let mut out = Vec::with_capacity(names.saturating_add(values));
        match &self.start {
            BuildStart::Request { method, uri } => {
                push(&mut out, &[method.as_str(), " ", uri, " SIP/2.0\r\n"]);
            }
            BuildStart::Response { status, reason } => {
                push(&mut out, &["SIP/2.0 ", &status.to_string(), " ", reason, "\r\n"]);
            }
        }
        for field in self.fields.iter().filter(|f| f.name_id != HeaderName::ContentLength) {
            match self.text.get(field.name.0..field.name.1) {
                None | Some([]) => push(&mut out, &[field.name_id.as_str()]),
                Some(name) => out.extend_from_slice(name),
            }
            out.extend_from_slice(b": ");
            out.extend_from_slice(self.text.get(field.value.0..field.value.1).unwrap_or_default());
            out.extend_from_slice(b"\r\n");
        }
        push(&mut out, &["Content-Length: ", &self.body.len().to_string(), "\r\n\r\n"]);
        out.extend_from_slice(&self.body);
        parse_built(out, self.defective).map_err(BuildError::Invalid)
    }

    fn fail(&mut self, error: BuildError) {
        self.error.get_or_insert(error);
    }

    /// Writes name and value into the text; `None`, with the error kept, if they are refused.
    fn make(&mut self, name_id: HeaderName, name: &str, value: impl Display) -> Option<BuildField> {
        if !is_token(name.as_bytes()) {
            self.fail(BuildError::BadName);
            return None;
        }
        let name_start = self.text.len();
        if name_id == HeaderName::Other {
            self.text.extend_from_slice(name.as_bytes());
        }
        let start = self.text.len();
        // Writing to a Vec cannot fail, only the value's own Display can; what it wrote counts.
        let _ = fmt::Write::write_fmt(&mut Text(&mut self.text), format_args!("{value}"));
        let end = self.text.len();
        if !is_one_line(self.text.get(start..).unwrap_or_default()) {
            self.fail(BuildError::ControlCharacter(name.into()));
            return None;
        }
        Some(BuildField { name_id, name: (name_start, start), value: (start, end) })
    }
}

fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

fn is_one_line(text: &[u8]) -> bool {
    super::scan::memchr3(b'\r', b'\n', 0, text).is_none()
}

struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> MessageBuilder {
        MessageBuilder::request(&Method::Invite, &Uri::parse("sip:bob@example.com").unwrap())
            .header(HeaderName::Via, "SIP/2.0/TLS a.example;branch=z9hG4bK1, SIP/2.0/UDP b.example")
            .header(HeaderName::From, "<sip:alice@example.com>;tag=1")
            .header(HeaderName::To, "\"Bob, B.\" <sip:bob@example.com>")
            .header(HeaderName::CallId, "c@a.example")
            .header(HeaderName::CSeq, "7 INVITE")
            .header(HeaderName::RecordRoute, "<sip:p.example;lr>")
            .header(HeaderName::Timestamp, "54")
            .header_named("X-Own", "kept;;,, as it is")
    }

    #[test]
    fn line_breaks_are_refused_wherever_text_enters() {
        let control = |b: MessageBuilder| {
            assert!(matches!(b.finish(), Err(BuildError::ControlCharacter(_))));
        };
        for bad in ["a\r\nVia: x", "a\nb", "a\rb", "a\0b"] {
            control(invite().header(HeaderName::Subject, bad));
            control(invite().header_named("X-Y", bad));
            control(invite().prepend(HeaderName::Route, bad));
            control(invite().replace(HeaderName::CallId, bad));
            control(invite().body(bad, b"x"));
            control(invite().map_first(HeaderName::Via, |_| bad.into()));
            control(invite().finish().unwrap().response(200, bad));
        }
        let bad_name = invite().header_named("X: y\r\nVia", "x").finish();
        assert_eq!(bad_name.unwrap_err(), BuildError::BadName);
        let other = invite().header(HeaderName::Other, "x").finish();
        assert_eq!(other.unwrap_err(), BuildError::BadName);
        let method = Method::Other("A b".into());
        let uri = Uri::parse("sip:h").unwrap();
        let method = MessageBuilder::request(&method, &uri).finish();
        assert!(matches!(method, Err(BuildError::BadParameter(_))));
        let tag = invite().finish().unwrap().response(200, "OK").to_tag("a;b").finish();
        assert!(matches!(tag, Err(BuildError::BadParameter(_))));
        assert!(matches!(invite().remove(HeaderName::CSeq).finish(), Err(BuildError::Invalid(_))));
        let bad_status = MessageBuilder::response(99, "x").finish();
        assert_eq!(bad_status.unwrap_err(), BuildError::BadStatus(99));
    }

    #[test]
    fn a_copy_is_changed_where_it_was_asked_and_nowhere_else() {
        let message = invite().body("application/sdp", b"v=0\r\n").finish().unwrap();
        assert_eq!(message.edit().finish().unwrap(), message);
        let changed = message
            .edit()
            .map_first(HeaderName::Via, |via| alloc::format!("{via};received=192.0.2.1"))
            .prepend(HeaderName::Via, "SIP/2.0/TCP c.example")
            .replace(HeaderName::CSeq, "8 INVITE")
            .replace(HeaderName::MaxForwards, 70)
            .remove(HeaderName::Timestamp)
            .finish()
            .unwrap();
        let vias: Vec<_> = changed.vias().map(|via| via.to_string()).collect();
        assert_eq!(
            vias,
            [
                "SIP/2.0/TCP c.example",
                "SIP/2.0/TLS a.example;branch=z9hG4bK1;received=192.0.2.1",
                "SIP/2.0/UDP b.example"
            ]
        );
        assert_eq!((changed.cseq().number, changed.max_forwards()), (8, Some(70)));
        assert_eq!(changed.header(HeaderName::Timestamp), None);
        assert_eq!(changed.headers_named("x-own").collect::<Vec<_>>(), ["kept;;,, as it is"]);
        assert_eq!(changed.body(), b"v=0\r\n");
    }

    #[test]
    fn replacing_keeps_one_in_place() {
        let message = invite()
            .header(HeaderName::Route, "<sip:a>")
            .header(HeaderName::Subject, "s")
            .header(HeaderName::Route, "<sip:b>, <sip:c>")
            .replace(HeaderName::Route, "<sip:d>")
            .finish()
            .unwrap();
        let text = message.to_string();
        assert!(text.contains("Route: <sip:d>\r\nSubject: s\r\nContent-Length"), "{text}");
    }

    #[test]
    fn responses_copy_what_8_2_6_says() {
        let request = invite().finish().unwrap();
        let names = |message: &Message| -> Vec<String> {
            message.all_headers().map(|(name, _)| name.to_string()).collect()
        };
        let ok = request.response(200, "OK").to_tag("2").finish().unwrap();
        let want = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route", "Content-Length"];
        assert_eq!(names(&ok), want);
        assert_eq!((ok.status(), ok.reason(), ok.to().tag()), (Some(200), "OK", Some("2")));
        assert_eq!(ok.method(), &Method::Invite);
        let trying = request.response(100, "Trying").finish().unwrap();
        let want = ["Via", "From", "To", "Call-ID", "CSeq", "Timestamp", "Content-Length"];
        assert_eq!(names(&trying), want);
        let again = ok.edit().to_tag("3").finish().unwrap();
        assert_eq!(again.to().tag(), Some("2"));
    }
}
