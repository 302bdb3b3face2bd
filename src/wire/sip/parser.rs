//! Bytes to messages: lines first, then the header fields that routing and matching need.

use alloc::vec::Vec;

use super::chars::{TOKEN, number, skip_blanks, span};
pub(super) use super::check::BodyLength;
use super::check::Check;
use super::cseq::CSeq;
use super::error::{ParseError, ParseErrorKind as Kind};
use super::fields::{Buffer, FieldSpan};
use super::message::{Message, StartLine};
use super::method::Method;
use super::name::lookup;
use super::uri_parts::UriParts;
use super::{MAX_HEADERS, MAX_MESSAGE};

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
pub(super) fn parse_head(mut buf: Vec<u8>) -> Result<Parsed, Kind> {
    if buf.is_empty() {
        return Err(Kind::Empty);
    }
    if buf.len() > MAX_MESSAGE {
        return Err(Kind::TooLarge);
    }
    let mut lines = Lines::read(&mut buf)?;
    let start = read_start_line(&buf, lines.start_end, &mut lines.defect)?;
    let buf = Buffer::new(buf);
    let mut check = Check::new(&buf, lines.defect);
    for (at, field) in (0u16..).zip(&lines.fields) {
        check.field(at, field);
    }
    check.complete(&start);
    let is_request = matches!(start, StartLine::Request { .. });
    let is_ack = matches!(&start, StartLine::Request { method: Method::Ack, .. });
    let answerable = is_request && !is_ack && check.is_answerable();
    let (defect, length) = (check.defect, check.length);
    let message = Message {
        head_len: lines.head_len,
        start,
        fields: lines.fields,
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

/// A position below [`MAX_MESSAGE`].
fn pos(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The lines of a head, told apart and unfolded.
struct Lines {
    start_end: usize,
    head_len: usize,
    fields: Vec<FieldSpan>,
    defect: Option<Kind>,
}

impl Lines {
    fn read(buf: &mut [u8]) -> Result<Self, Kind> {
        let start_end = line_end(buf, 0)?;
        let mut lines =
            Self { start_end, head_len: 0, fields: Vec::with_capacity(24), defect: None };
        let mut at = start_end.saturating_add(2);
        loop {
            match buf.get(at..) {
                Some([b'\r', b'\n', ..]) => {
                    lines.head_len = at.saturating_add(2);
                    return Ok(lines);
                }
                None | Some([]) => {
                    lines.defect = Some(Kind::UnterminatedHeaders);
                    lines.head_len = buf.len();
                    return Ok(lines);
                }
                Some(_) => at = lines.field(buf, at)?,
            }
        }
    }

    /// Reads the header field at `at`; the position after it.
    #[inline]
    fn field(&mut self, buf: &mut [u8], at: usize) -> Result<usize, Kind> {
        let name_end = span(buf, at, TOKEN);
        let colon = skip_blanks(buf, name_end);
        let good = name_end > at && buf.get(colon) == Some(&b':');
        let start = if good { skip_blanks(buf, colon.saturating_add(1)) } else { at };
        let mut end = line_end(buf, start)?;
        let mut next = end.saturating_add(2);
        let mut start = start;
        while matches!(buf.get(next), Some(b' ' | b'\t')) {
            if let Some(fold) = buf.get_mut(end..next) {
                fold.fill(b' ');
            }
            start = skip_blanks(buf, start);
            end = line_end(buf, next)?;
            next = end.saturating_add(2);
        }
        if !good {
            self.defect.get_or_insert(Kind::HeaderSyntax);
            return Ok(next);
        }
        if self.fields.len() >= MAX_HEADERS {
            return Err(Kind::TooManyHeaders);
        }
        let value = buf.get(start..end).unwrap_or_default();
        let blanks = value.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        self.fields.push(FieldSpan {
            name: (pos(at), pos(name_end)),
            value: (pos(start), pos(end.saturating_sub(blanks))),
            name_id: lookup(buf.get(at..name_end).unwrap_or_default()),
        });
        Ok(next)
    }
}

/// The position of the CRLF that ends the line at `from`.
#[inline]
fn line_end(buf: &[u8], from: usize) -> Result<usize, Kind> {
    let rest = buf.get(from..).unwrap_or_default();
    let offset = memchr::memchr2(b'\r', b'\n', rest).ok_or(Kind::UnterminatedHeaders)?;
    match rest.get(offset..) {
        Some([b'\r', b'\n', ..]) => Ok(from.saturating_add(offset)),
        Some([b'\r']) => Err(Kind::UnterminatedHeaders),
        _ => Err(Kind::BareLineBreak),
    }
}

fn read_start_line(head: &[u8], end: usize, defect: &mut Option<Kind>) -> Result<StartLine, Kind> {
    let line = head.get(..end).unwrap_or_default();
    if let Some((version, rest)) = line.split_at_checked(8)
        && version.eq_ignore_ascii_case(b"SIP/2.0 ")
    {
        return read_status_line(rest, end);
    }
    if line.get(..4).is_some_and(|l| l.eq_ignore_ascii_case(b"SIP/")) {
        return Err(Kind::Version);
    }
    let method_end = span(line, 0, TOKEN);
    if method_end == 0 || line.get(method_end) != Some(&b' ') {
        return Err(Kind::StartLine);
    }
    let method = core::str::from_utf8(line.get(..method_end).unwrap_or_default());
    let method = Method::from(method.unwrap_or_default());
    let uri_start = method_end.saturating_add(1);
    let rest = line.get(uri_start..).unwrap_or_default();
    let uri_len = memchr::memchr(b' ', rest).ok_or(Kind::StartLine)?;
    let version = rest.get(uri_len.saturating_add(1)..).unwrap_or_default();
    let uri = (pos(uri_start), pos(uri_start.saturating_add(uri_len)));
    let mut parts = None;
    // The first defect of a message is the one of its first line.
    let mut note = |kind| *defect = Some(kind);
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        if memchr::memmem::find(rest, b"SIP/").is_none() {
            return Err(Kind::StartLine);
        }
        note(if is_version(version) { Kind::Version } else { Kind::StartLine });
    } else {
        let text = core::str::from_utf8(rest.get(..uri_len).unwrap_or_default()).ok();
        parts = text.and_then(|text| UriParts::scan(text).ok());
        // A Request-URI has no headers (RFC 3261 §19.1.1).
        parts = parts.filter(|p| usize::from(p.headers) == uri_len);
        if parts.is_none() {
            note(Kind::RequestUri);
        }
    }
    Ok(StartLine::Request { method, uri, parts })
}

/// `SIP/` and two numbers.
fn is_version(text: &[u8]) -> bool {
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    text.get(..4).is_some_and(|l| l.eq_ignore_ascii_case(b"SIP/"))
        && memchr::memchr(b'.', text).is_some_and(|dot| {
            text.get(4..dot).is_some_and(digits)
                && text.get(dot.saturating_add(1)..).is_some_and(digits)
        })
}

/// What follows the version; a missing space before an empty reason phrase is tolerated.
fn read_status_line(rest: &[u8], end: usize) -> Result<StartLine, Kind> {
    let code = rest.get(..rest.len().min(3)).unwrap_or_default();
    let status = core::str::from_utf8(code).ok().and_then(number);
    let status = status.filter(|s| (100..700).contains(s)).and_then(|s| u16::try_from(s).ok());
    let status = status.ok_or(Kind::StatusCode)?;
    let reason = match rest.get(3..) {
        None | Some([]) => end,
        Some([b' ', ..]) => end.saturating_sub(rest.len()).saturating_add(4),
        Some(_) => return Err(Kind::StatusCode),
    };
    Ok(StartLine::Response { status, reason: (pos(reason), pos(end)) })
}
