//! Bytes to messages.

use alloc::vec::Vec;

use super::MAX_MESSAGE;
pub(super) use super::check::BodyLength;
use super::cseq::CSeq;
use super::error::{ParseError, ParseErrorKind as Kind};
use super::fields::Buffer;
use super::head::{Head, Stop, unfold};
use super::message::{Message, StartLine};
use super::method::Method;

/// A message whose head was read.
pub(super) struct Parsed {
    pub(super) message: Message,
    /// The first defect.
    pub(super) defect: Option<Kind>,
    /// Whether it is a request that can be answered.
    pub(super) answerable: bool,
    pub(super) length: BodyLength,
}

impl Parsed {
    pub(super) fn note(&mut self, defect: Kind) {
        self.defect.get_or_insert(defect);
    }

    /// The message, or why it is none.
    pub(super) fn finish(mut self) -> Result<Message, ParseError> {
        match self.defect {
            None => Ok(self.message),
            Some(kind) if self.answerable => {
                self.message.defective = true;
                Err(ParseError::with_request(kind, self.message))
            }
            Some(kind) => Err(ParseError::new(kind)),
        }
    }
}

/// See [`Message::parse`].
pub(super) fn parse_datagram(mut bytes: &[u8]) -> Result<Message, ParseError> {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    parse_whole(bytes.to_vec())
}

/// Parses a buffer that holds one message.
fn parse_whole(buf: Vec<u8>) -> Result<Message, ParseError> {
    let mut parsed = parse_head(buf).map_err(ParseError::new)?;
    if let BodyLength::Known(length) = parsed.length {
        let end = parsed.message.head_len.saturating_add(length);
        if end > parsed.message.as_bytes().len() {
            parsed.note(Kind::BodyTooShort);
        }
        parsed.message.buf.truncate(end);
    }
    parsed.finish()
}

/// The message that a builder wrote. A `defective` one answers a defective request whose values
/// it copies, so its own may be malformed too.
pub(super) fn parse_built(buf: Vec<u8>, defective: bool) -> Result<Message, ParseError> {
    let mut parsed = parse_head(buf).map_err(ParseError::new)?;
    match parsed.defect {
        Some(kind) if !defective => Err(ParseError::new(kind)),
        _ => {
            parsed.message.defective = defective;
            Ok(parsed.message)
        }
    }
}

/// Reads the head of `buf`; an error means that not even its lines could be told apart.
pub(super) fn parse_head(buf: Vec<u8>) -> Result<Parsed, Kind> {
    if buf.is_empty() {
        return Err(Kind::Empty);
    }
    if buf.len() > MAX_MESSAGE {
        return Err(Kind::TooLarge);
    }
    let mut buf = Buffer::new(buf);
    let head = match Head::read(&buf) {
        Err(Stop::Folded) => {
            buf.rewrite(|bytes| unfold(bytes));
            Head::read(&buf)
        }
        read => read,
    };
    let Head { start, length: head_len, fields, check, defect } =
        head.map_err(|stop| match stop {
            Stop::Broken(kind) => kind,
            // It was unfolded.
            Stop::Folded => Kind::HeaderSyntax,
        })?;
    let is_request = matches!(start, StartLine::Request { .. });
    let is_ack = matches!(&start, StartLine::Request { method: Method::Ack, .. });
    let answerable = is_request && !is_ack && check.is_answerable();
    let (defect, length) = (defect.or(check.defect), check.length);
    let message = Message {
        head_len,
        start,
        fields,
        call_id: check.seen.call_id,
        cseq: check.cseq.unwrap_or(CSeq { number: 0, method: Method::Other("".into()) }),
        max_forwards: check.max_forwards,
        vias: check.vias,
        addresses: check.addresses,
        defective: false,
        buf,
    };
    Ok(Parsed { message, defect, answerable, length })
}
