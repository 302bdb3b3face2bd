//! Why bytes are not a SIP message, and how to answer them all the same.

use alloc::boxed::Box;
use core::fmt;

use super::message::Message;

/// The first defect of a message. [`as_str`](Self::as_str) is a key for statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Nothing but line ends.
    Empty,
    /// More than 64 KiB.
    TooLarge,
    /// More than 256 header fields, or more than 256 addresses and Via values in them.
    TooManyHeaders,
    /// A CR or LF alone where only CRLF may stand.
    BareLineBreak,
    /// The header fields end without an empty line.
    UnterminatedHeaders,
    /// The first line is neither a request line nor a status line.
    StartLine,
    /// The version is not SIP/2.0.
    Version,
    /// The Request-URI is malformed.
    RequestUri,
    /// The status code is not three digits of 100 to 699.
    StatusCode,
    /// A line is not a header field.
    HeaderSyntax,
    /// No Via.
    MissingVia,
    /// No From.
    MissingFrom,
    /// No To.
    MissingTo,
    /// No Call-ID.
    MissingCallId,
    /// No CSeq.
    MissingCSeq,
    /// A malformed Via.
    Via,
    /// A malformed From.
    From,
    /// A malformed To.
    To,
    /// A malformed Call-ID.
    CallId,
    /// A malformed CSeq, or one whose number is above 2^32-1.
    CSeq,
    /// A malformed Contact.
    Contact,
    /// A malformed Route.
    Route,
    /// A malformed Record-Route.
    RecordRoute,
    /// A Max-Forwards that is not a number of 0 to 255.
    MaxForwards,
    /// The method of the CSeq is not that of the request.
    CSeqMethodMismatch,
    /// A header field that may stand once stands twice.
    DuplicateHeader,
    /// A Content-Length that is not a number, or larger than any message.
    ContentLength,
    /// Two Content-Length header fields that differ.
    ConflictingContentLength,
    /// A message on a stream without Content-Length.
    MissingContentLength,
    /// A datagram with fewer bytes of body than its Content-Length says.
    BodyTooShort,
}

impl ParseErrorKind {
    /// Every defect, in the order of [`index`](Self::index).
    pub const ALL: [Self; 30] = [
        Self::Empty,
        Self::TooLarge,
        Self::TooManyHeaders,
        Self::BareLineBreak,
        Self::UnterminatedHeaders,
        Self::StartLine,
        Self::Version,
        Self::RequestUri,
        Self::StatusCode,
        Self::HeaderSyntax,
        Self::MissingVia,
        Self::MissingFrom,
        Self::MissingTo,
        Self::MissingCallId,
        Self::MissingCSeq,
        Self::Via,
        Self::From,
        Self::To,
        Self::CallId,
        Self::CSeq,
        Self::Contact,
        Self::Route,
        Self::RecordRoute,
        Self::MaxForwards,
        Self::CSeqMethodMismatch,
        Self::DuplicateHeader,
        Self::ContentLength,
        Self::ConflictingContentLength,
        Self::MissingContentLength,
        Self::BodyTooShort,
    ];

    /// A small number for counting per reason: below `ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short name in snake case, for counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::BareLineBreak => "bare_line_break",
            Self::UnterminatedHeaders => "unterminated_headers",
            Self::StartLine => "start_line",
            Self::Version => "version",
            Self::RequestUri => "request_uri",
            Self::StatusCode => "status_code",
            Self::HeaderSyntax => "header_syntax",
            Self::MissingVia => "missing_via",
            Self::MissingFrom => "missing_from",
            Self::MissingTo => "missing_to",
            Self::MissingCallId => "missing_call_id",
            Self::MissingCSeq => "missing_cseq",
            Self::Via => "via",
            Self::From => "from",
            Self::To => "to",
            Self::CallId => "call_id",
            Self::CSeq => "cseq",
            Self::Contact => "contact",
            Self::Route => "route",
            Self::RecordRoute => "record_route",
            Self::MaxForwards => "max_forwards",
            Self::CSeqMethodMismatch => "cseq_method_mismatch",
            Self::DuplicateHeader => "duplicate_header",
            Self::ContentLength => "content_length",
            Self::ConflictingContentLength => "conflicting_content_length",
            Self::MissingContentLength => "missing_content_length",
            Self::BodyTooShort => "body_too_short",
        }
    }

    /// The status code that answers a request of this defect (RFC 3261 §21).
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TooLarge | Self::TooManyHeaders => 513,
            _ => 400,
        }
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A malformed message. If it was a request, other than ACK, whose top Via says where the answer
/// goes, it can be answered: [`rejectable`](Self::rejectable).
#[derive(Clone, Debug, thiserror::Error)]
#[error("malformed SIP message: {kind}")]
pub struct ParseError {
    kind: ParseErrorKind,
    rejectable: Option<Box<Message>>,
}

/// Errors are equal if their defects are.
impl PartialEq for ParseError {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for ParseError {}

impl ParseError {
    pub(super) fn new(kind: ParseErrorKind) -> Self {
        Self { kind, rejectable: None }
    }

    pub(super) fn with_request(kind: ParseErrorKind, request: Message) -> Self {
        Self { kind, rejectable: Some(Box::new(request)) }
    }

    /// The first defect.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// The status code to answer with: 400, 505 or 513.
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The request as far as it could be read, for [`Message::response`] and for nothing else:
    /// its top Via can be answered, but From, To, Call-ID and CSeq may be missing and any of its
    /// values may be malformed. `None` if it must be dropped.
    pub fn rejectable(&self) -> Option<&Message> {
        self.rejectable.as_deref()
    }

    /// As [`rejectable`](Self::rejectable), taken out.
    pub fn into_rejectable(self) -> Option<Box<Message>> {
        self.rejectable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_has_its_own_index_and_name() {
        for (at, kind) in ParseErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), at);
            let same = ParseErrorKind::ALL.iter().filter(|k| k.as_str() == kind.as_str());
            assert_eq!(same.count(), 1, "{kind}");
        }
        // The last one declared is the last one listed: none is missing.
        assert_eq!(ParseErrorKind::BodyTooShort.index(), ParseErrorKind::ALL.len() - 1);
    }
}
