//! One pass over the bytes: start line, header fields as spans, body; then the header fields that
//! routing needs are validated.

use alloc::vec::Vec;
use core::ops::Range;

use super::error::{ParseError, ParseErrorKind as Kind};
use super::header::HeaderName;
use super::lex::{is_token, is_token_char, list, trim};
use super::message::{Entry, Message, Start};
use super::uri::UriRef;
use super::values::{CSeq, NameAddrRef, ViaRef};
use super::{MAX_HEADERS, MAX_MESSAGE, Method};

/// Parses one message; what follows the body of a datagram is cut off.
pub(super) fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(ParseError::new(Kind::TooLong));
    }
    let (head, body_at) = split_head(bytes).ok_or(ParseError::new(Kind::Incomplete))?;
    let mut buf = bytes.to_vec();
    unfold(&mut buf, head);
    // Header text must be UTF-8 (RFC 3261 §7.3.1 allows TEXT-UTF8 only); bytes that are not are
    // replaced one for one, so that spans stay and nothing else of the message is lost.
    sanitize_utf8(&mut buf, head);
    let (start, entries, fault) = scan(&buf, head)?;
    let message = Message::assemble(buf, start, entries, body_at);
    validate(message, fault)
}

/// End of the header's last line (without the empty line) and start of the body.
fn split_head(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let at = memchr::memchr(b'\n', bytes.get(from..)?)?.checked_add(from)?;
        let next = at.checked_add(1)?;
        match bytes.get(next..)? {
            [b'\r', b'\n', ..] => return Some((next, next.checked_add(2)?)),
            [b'\n', ..] => return Some((next, next.checked_add(1)?)),
            _ => from = next,
        }
    }
}

/// A line that starts with white space continues the one before: its line end becomes blanks.
fn unfold(buf: &mut [u8], head: usize) {
    let Some(head) = buf.get_mut(..head) else { return };
    let mut from = 0;
    while let Some(at) = head.get(from..).and_then(|h| memchr::memchr(b'\n', h)) {
        let at = from.saturating_add(at);
        let next = at.saturating_add(1);
        if matches!(head.get(next), Some(b' ' | b'\t')) {
            if let Some(b) = head.get_mut(at) {
                *b = b' ';
            }
            if let Some(b) =
                at.checked_sub(1).and_then(|i| head.get_mut(i)).filter(|b| **b == b'\r')
            {
                *b = b' ';
            }
        }
        from = next;
    }
}

fn sanitize_utf8(buf: &mut [u8], head: usize) {
    let Some(head) = buf.get_mut(..head) else { return };
    if head.is_ascii() {
        return;
    }
    let mut from = 0;
    while let Some(rest) = head.get(from..) {
        match core::str::from_utf8(rest) {
            Ok(_) => return,
            Err(e) => {
                let bad = from.saturating_add(e.valid_up_to());
                let len = e.error_len().unwrap_or(1).max(1);
                let end = bad.saturating_add(len).min(head.len());
                head.get_mut(bad..end).into_iter().flatten().for_each(|b| *b = b'?');
                from = end;
            }
        }
    }
}

fn span(range: Range<usize>) -> (u32, u32) {
    // Both fit: a message is at most 64 KiB.
    (range.start as u32, range.end as u32)
}

type Scan = (Start, Vec<Entry>, Option<Kind>);

fn scan(buf: &[u8], head: usize) -> Result<Scan, ParseError> {
    let text = buf.get(..head).and_then(|h| core::str::from_utf8(h).ok()).unwrap_or("");
    let line_end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    let first = text.get(..line_end).unwrap_or("").trim_end_matches('\r');
    let (start, mut fault) = start_line(first).map_err(ParseError::new)?;
    let mut entries = Vec::with_capacity(32);
    let mut from = line_end.saturating_add(1);
    while from < head {
        let rest = text.get(from..).unwrap_or("");
        let len = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        let line = rest.get(..len).unwrap_or("").trim_end_matches('\r');
        match field(line, from) {
            Some(entry) if entries.len() < MAX_HEADERS => entries.push(entry),
            Some(_) => return Err(ParseError::new(Kind::TooManyHeaders)),
            None => fault = fault.or(Some(Kind::HeaderLine)),
        }
        from = from.saturating_add(len).saturating_add(1);
    }
    Ok((start, entries, fault))
}

fn start_line(line: &str) -> Result<(Start, Option<Kind>), Kind> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ").or_else(|| status_prefix(line)) {
        let (code, reason) = rest.split_at_checked(3).ok_or(Kind::StartLine)?;
        let status: u16 = code.parse().map_err(|_| Kind::StartLine)?;
        let digits = code.bytes().all(|b| b.is_ascii_digit());
        // The space before an empty reason phrase may be missing in the wild; a fourth digit not.
        let spaced = reason.is_empty() || reason.starts_with(' ');
        if !digits || !(100..700).contains(&status) || !spaced {
            return Err(Kind::StartLine);
        }
        let at = line.len().saturating_sub(reason.trim_start_matches(' ').len());
        return Ok((Start::Response { status, reason: span(at..line.len()) }, None));
    }
    let (method, rest) = line.split_once(' ').ok_or(Kind::StartLine)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(Kind::StartLine)?;
    if !is_token(method) {
        return Err(Kind::StartLine);
    }
    let at = method.len().saturating_add(1);
    let start = Start::Request {
        method: Method::from_token(method),
        uri: span(at..at.saturating_add(uri.len())),
    };
    let fault = match version {
        v if v.eq_ignore_ascii_case("SIP/2.0") => {
            UriRef::parse(uri).is_none().then_some(Kind::RequestUri)
        }
        v if v.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("SIP/")) => Some(Kind::Version),
        _ => Some(Kind::StartLine),
    };
    Ok((start, fault))
}

/// `SIP/2.0` in any case before a status.
fn status_prefix(line: &str) -> Option<&str> {
    let (version, rest) = line.split_once(' ')?;
    version.eq_ignore_ascii_case("SIP/2.0").then_some(rest)
}

fn field(line: &str, at: usize) -> Option<Entry> {
    let bytes = line.as_bytes();
    let name_len = bytes.iter().position(|b| !is_token_char(*b))?;
    let name = line.get(..name_len)?;
    let after = line.get(name_len..)?;
    let value = after.trim_start_matches([' ', '\t']).strip_prefix(':')?;
    if name.is_empty() {
        return None;
    }
    let value_text = trim(value);
    let value_at =
        at.checked_add(line.len())?.checked_sub(value.trim_start_matches([' ', '\t']).len())?;
    Some(Entry {
        name: HeaderName::parse(name),
        name_span: span(at..at.checked_add(name_len)?),
        value: span(value_at..value_at.checked_add(value_text.len())?),
    })
}

/// Checks what routing needs. A request that has enough to be answered comes with the error.
fn validate(message: Message, fault: Option<Kind>) -> Result<Message, ParseError> {
    let kind = match fault {
        Some(kind) => kind,
        None => match check(&message) {
            Ok(()) => return finish(message),
            Err(kind) => kind,
        },
    };
    reject(message, kind)
}

fn finish(mut message: Message) -> Result<Message, ParseError> {
    match message.trim_body() {
        Ok(()) => Ok(message),
        Err(()) => reject(message, Kind::ContentLength),
    }
}

fn reject(message: Message, kind: Kind) -> Result<Message, ParseError> {
    if message.is_request() && answerable(&message) {
        return Err(ParseError::with_message(kind, message));
    }
    Err(ParseError::new(kind))
}

/// Enough for a response: a Via to send it by and the fields that it copies.
fn answerable(message: &Message) -> bool {
    let one = |name| message.headers(name).next();
    message.method() != &Method::Ack
        && one(HeaderName::Via).and_then(|v| ViaRef::parse(super::values::first_of(v))).is_some()
        && one(HeaderName::From).is_some()
        && one(HeaderName::To).is_some()
        && one(HeaderName::CallId).is_some()
        && one(HeaderName::CSeq).is_some()
}

fn check(message: &Message) -> Result<(), Kind> {
    use HeaderName as H;
    let mut seen = [0_u8; 8];
    let mut count = |slot: usize| -> Result<(), Kind> {
        let n = seen.get_mut(slot).ok_or(Kind::RepeatedHeader)?;
        if *n > 0 {
            return Err(Kind::RepeatedHeader);
        }
        *n = 1;
        Ok(())
    };
    let mut vias = 0_u32;
    for (name, value) in message.known() {
        match name {
            H::Via => {
                for via in list(value) {
                    ViaRef::parse(via).ok_or(Kind::Via)?;
                    vias = vias.saturating_add(1);
                }
            }
            H::From => {
                count(0)?;
                NameAddrRef::parse(value).ok_or(Kind::From)?;
            }
            H::To => {
                count(1)?;
                NameAddrRef::parse(value).ok_or(Kind::To)?;
            }
            H::CallId => {
                count(2)?;
                if value.is_empty() || value.contains([' ', '\t']) {
                    return Err(Kind::CallId);
                }
            }
            H::CSeq => {
                count(3)?;
                let cseq = CSeq::parse(value).ok_or(Kind::CSeq)?;
                if message.is_request() && &cseq.method != message.method() {
                    return Err(Kind::CSeq);
                }
            }
            H::MaxForwards => {
                count(4)?;
                number(value, 255)?;
            }
            H::ContentLength if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(Kind::ContentLength);
            }
            H::Expires => {
                count(5)?;
                // Larger values are read as 2^32-1 (RFC 3261 §20.19); text is not a number.
                number(value, u64::MAX)?;
            }
            H::MinExpires => {
                count(6)?;
                number(value, u64::MAX)?;
            }
            H::Contact if value == "*" => {}
            H::Contact | H::Route | H::RecordRoute => {
                for address in list(value) {
                    NameAddrRef::parse(address).ok_or(Kind::Address)?;
                }
            }
            _ => {}
        }
    }
    let complete = vias > 0 && seen.iter().take(4).all(|n| *n > 0);
    if complete { Ok(()) } else { Err(Kind::MissingHeader) }
}

fn number(value: &str, max: u64) -> Result<(), Kind> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let fits = value.parse::<u64>().map_or(max == u64::MAX, |n| n <= max);
    if digits && fits { Ok(()) } else { Err(Kind::Number) }
}
