//! Writing messages. A value with a line break never gets into one.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::header::HeaderName;
use super::lex::is_token;
use super::{MAX_MESSAGE, Message, Method, ParseError, Uri};

/// A message cannot be built as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value holds CR, LF or NUL.
    #[error("a header value holds a control character")]
    ControlCharacter,
    /// A header field name is not a token.
    #[error("a header field name must be a token")]
    BadName,
    /// A parameter is not of the grammar.
    #[error("a parameter must be a token, with a token, host or quoted string as value")]
    BadParameter,
    /// A status outside 100 to 699.
    #[error("a status is 100 to 699")]
    BadStatus,
    /// The message would exceed 64 KiB.
    #[error("the message would exceed 64 KiB")]
    TooLong,
    /// The result is not a valid message: a mandatory header field is missing or malformed.
    #[error("not a valid message: {0}")]
    Invalid(ParseError),
}

/// Builds a message, or changes a copy of one. Errors are kept until [`MessageBuilder::finish`].
#[derive(Clone)]
pub struct MessageBuilder {
    start: String,
    headers: Vec<(HeaderName, String, String)>,
    body: Vec<u8>,
    error: Option<BuildError>,
}

impl fmt::Debug for MessageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBuilder").field("start", &self.start).finish_non_exhaustive()
    }
}

impl MessageBuilder {
    fn new(start: String) -> Self {
        let error = start.chars().any(char::is_control).then_some(BuildError::ControlCharacter);
        Self { start, headers: Vec::with_capacity(16), body: Vec::new(), error }
    }

    /// A request.
    pub fn request(method: &Method, uri: &Uri) -> Self {
        Self::new(alloc::format!("{method} {uri} SIP/2.0"))
    }

    /// A response without any header field; see [`Message::response`] for one to a request.
    pub fn response(status: u16, reason: &str) -> Self {
        let mut builder = Self::new(alloc::format!("SIP/2.0 {status} {reason}"));
        if !(100..700).contains(&status) {
            builder.error.get_or_insert(BuildError::BadStatus);
        }
        builder
    }

    pub(super) fn response_to(request: &Message, status: u16, reason: &str) -> Self {
        use HeaderName as H;
        let mut builder = Self::response(status, reason);
        for (name, text, value) in request.entries() {
            let copied = match name {
                H::Via | H::From | H::To | H::CallId | H::CSeq => true,
                H::Timestamp => status == 100,
                H::RecordRoute => (101..300).contains(&status),
                _ => false,
            };
            if copied {
                builder.push(name, text, value.to_string());
            }
        }
        builder
    }

    pub(super) fn copy_of(message: &Message) -> Self {
        let head = message.as_bytes();
        let line = head.split(|b| *b == b'\n').next().unwrap_or(&[]);
        let start = String::from_utf8_lossy(line).trim_end_matches('\r').to_string();
        let mut builder = Self::new(start);
        for (name, text, value) in message.entries() {
            if name != HeaderName::ContentLength {
                builder.push(name, text, value.to_string());
            }
        }
        builder.body = message.body().to_vec();
        builder
    }

    fn push(&mut self, name: HeaderName, text: &str, value: String) {
        if value.chars().any(|c| c.is_control() && c != '\t') {
            self.error.get_or_insert(BuildError::ControlCharacter);
        }
        let text = if name == HeaderName::Other { text } else { name.as_str() };
        self.headers.push((name, text.to_string(), value));
    }

    /// Appends a header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl fmt::Display) -> Self {
        if name == HeaderName::Other {
            self.error.get_or_insert(BuildError::BadName);
        }
        self.push(name, "", value.to_string());
        self
    }

    /// Appends a header field that [`HeaderName`] does not know.
    #[must_use]
    pub fn header_named(mut self, name: &str, value: impl fmt::Display) -> Self {
        if !is_token(name) {
            self.error.get_or_insert(BuildError::BadName);
        }
        self.push(HeaderName::parse(name), name, value.to_string());
        self
    }

    /// Puts a header field before all others: the new top Via, the first Route.
    #[must_use]
    pub fn prepend(mut self, name: HeaderName, value: impl fmt::Display) -> Self {
        self = self.header(name, value);
        if let Some(entry) = self.headers.pop() {
            self.headers.insert(0, entry);
        }
        self
    }

    /// Removes every header field of this name.
    #[must_use]
    pub fn remove(mut self, name: HeaderName) -> Self {
        self.headers.retain(|(n, _, _)| *n != name);
        self
    }

    /// Replaces every header field of this name by one.
    #[must_use]
    pub fn replace(self, name: HeaderName, value: impl fmt::Display) -> Self {
        self.remove(name).header(name, value)
    }

    /// Changes the topmost value of a header field in place; the other values stay.
    #[must_use]
    pub fn map_first(mut self, name: HeaderName, change: impl FnOnce(&str) -> String) -> Self {
        if let Some(entry) = self.headers.iter_mut().find(|(n, _, _)| *n == name) {
            let first = super::values::first_of(&entry.2);
            let at = entry.2.find(first).unwrap_or(0).saturating_add(first.len());
            let rest = entry.2.get(at..).unwrap_or("");
            let value = alloc::format!("{}{rest}", change(first));
            if value.chars().any(|c| c.is_control() && c != '\t') {
                self.error.get_or_insert(BuildError::ControlCharacter);
            }
            entry.2 = value;
        }
        self
    }

    /// Adds a tag to To, unless it has one.
    #[must_use]
    pub fn to_tag(self, tag: &str) -> Self {
        let mut bad = !is_token(tag);
        let mut builder =
            self.map_first(HeaderName::To, |to| match super::NameAddrRef::parse(to) {
                Some(address) if address.tag().is_some() => to.to_string(),
                Some(_) => alloc::format!("{to};tag={tag}"),
                None => {
                    bad = false;
                    to.to_string()
                }
            });
        if bad {
            builder.error.get_or_insert(BuildError::BadParameter);
        }
        builder
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self = self.replace(HeaderName::ContentType, content_type);
        self.body = body.to_vec();
        self
    }

    /// Writes the message, Content-Length included, and checks it as a received one is checked.
    pub fn finish(self) -> Result<Message, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut out = String::with_capacity(self.body.len().saturating_add(1024));
        out.push_str(&self.start);
        out.push_str("\r\n");
        for (name, text, value) in &self.headers {
            if *name != HeaderName::ContentLength {
                let _ = write!(out, "{text}: {value}\r\n");
            }
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n", self.body.len());
        let mut bytes = out.into_bytes();
        bytes.extend_from_slice(&self.body);
        if bytes.len() > MAX_MESSAGE {
            return Err(BuildError::TooLong);
        }
        Message::parse(&bytes).map_err(BuildError::Invalid)
    }
}
