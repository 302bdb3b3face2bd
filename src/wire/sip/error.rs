//! Why bytes are not a SIP message.

use alloc::boxed::Box;

use super::Message;

/// What was wrong: the key under which the engine counts bad input.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Longer than 64 KiB.
    #[error("message too long")]
    TooLong,
    /// No empty line ends the header.
    #[error("header not complete")]
    Incomplete,
    /// Neither a request line nor a status line.
    #[error("bad start line")]
    StartLine,
    /// Not SIP/2.0.
    #[error("SIP version not supported")]
    Version,
    /// The Request-URI is not a URI.
    #[error("bad Request-URI")]
    RequestUri,
    /// A line of the header is not a header field.
    #[error("bad header field")]
    HeaderLine,
    /// More than 256 header fields.
    #[error("too many header fields")]
    TooManyHeaders,
    /// Via, From, To, Call-ID or CSeq is missing.
    #[error("mandatory header field missing")]
    MissingHeader,
    /// A header field that must be single is there twice.
    #[error("header field repeated")]
    RepeatedHeader,
    /// Bad Via.
    #[error("bad Via")]
    Via,
    /// Bad From.
    #[error("bad From")]
    From,
    /// Bad To.
    #[error("bad To")]
    To,
    /// Bad Call-ID.
    #[error("bad Call-ID")]
    CallId,
    /// Bad CSeq, or its method is not the request's.
    #[error("bad CSeq")]
    CSeq,
    /// Bad Contact, Route or Record-Route.
    #[error("bad Contact, Route or Record-Route")]
    Address,
    /// Bad Max-Forwards, Expires or Min-Expires.
    #[error("bad number in a header field")]
    Number,
    /// Bad or contradictory Content-Length, or less body than it says.
    #[error("bad Content-Length")]
    ContentLength,
}

/// Bytes that are not a SIP message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError {
    kind: ParseErrorKind,
    rejectable: Option<Box<Message>>,
}

impl ParseError {
    pub(super) fn new(kind: ParseErrorKind) -> Self {
        Self { kind, rejectable: None }
    }

    pub(super) fn with_message(kind: ParseErrorKind, message: Message) -> Self {
        Self { kind, rejectable: Some(Box::new(message)) }
    }

    /// What was wrong.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// The request, if enough of it is usable to answer it: answer with [`Self::status`].
    pub fn rejectable(&self) -> Option<&Message> {
        self.rejectable.as_deref()
    }

    /// The status to answer with (RFC 3261 §21.4, §21.5).
    pub fn status(&self) -> u16 {
        match self.kind {
            ParseErrorKind::Version => 505,
            ParseErrorKind::TooLong => 513,
            _ => 400,
        }
    }
}

impl PartialEq for ParseError {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}
impl Eq for ParseError {}
