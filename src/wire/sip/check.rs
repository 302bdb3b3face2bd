//! The header fields that every message must have right: read once, kept as positions.

use alloc::vec::Vec;

use super::chars::{SOLID, after, digits, skip_blanks};
use super::cseq::CSeq;
use super::error::ParseErrorKind as Kind;
use super::message::StartLine;
use super::name::HeaderName;
use super::name_addr::AddressParts;
use super::via::ViaParts;
use super::{MAX_HEADERS, MAX_MESSAGE};

/// What Content-Length says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    Absent,
    Known(usize),
    /// Malformed or contradictory.
    Unknown,
}

/// Which fields are the first of their name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    via: Option<u16>,
    from: Option<u16>,
    to: Option<u16>,
    pub(super) call_id: Option<u16>,
    cseq: Option<u16>,
}

/// What became of a value.
pub(super) enum Value<'a> {
    /// It is not read here.
    Unread,
    /// It is well-formed: what begins with the end of its line.
    Read(&'a [u8]),
    Malformed(Kind),
}

/// Reads the header fields that every message must have right.
pub(super) struct Check {
    /// The length of the message.
    bytes: usize,
    pub(super) defect: Option<Kind>,
    pub(super) seen: Seen,
    pub(super) vias: Vec<ViaParts>,
    pub(super) addresses: Vec<AddressParts>,
    top_via: bool,
    pub(super) cseq: Option<CSeq>,
    pub(super) length: BodyLength,
    pub(super) max_forwards: Option<u8>,
    max_forwards_seen: bool,
}

impl Check {
    /// For a message of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            defect: None,
            seen: Seen::default(),
            vias: Vec::with_capacity(8),
            addresses: Vec::with_capacity(16),
            top_via: false,
            cseq: None,
            length: BodyLength::Absent,
            max_forwards: None,
            max_forwards_seen: false,
        }
    }

    pub(super) fn note(&mut self, kind: Kind) {
        self.defect.get_or_insert(kind);
    }

    /// Reads the value that `text`, the end of the message, begins with: that of the header field
    /// at this place. `text` is empty for a value that is not UTF-8.
    #[inline]
    pub(super) fn field<'a>(&mut self, at: u16, name: HeaderName, text: &'a [u8]) -> Value<'a> {
        let (end, kind) = match name {
            HeaderName::Via => (self.via(at, text), Kind::Via),
            HeaderName::RecordRoute => (self.addresses((at, name), text), Kind::RecordRoute),
            HeaderName::Route => (self.addresses((at, name), text), Kind::Route),
            HeaderName::Contact => (self.contact(at, text), Kind::Contact),
            HeaderName::From => {
                let first = first(&mut self.seen.from, at, &mut self.defect);
                (first.and_then(|()| self.address((at, name), text)), Kind::From)
            }
            HeaderName::To => {
                let first = first(&mut self.seen.to, at, &mut self.defect);
                (first.and_then(|()| self.address((at, name), text)), Kind::To)
            }
            HeaderName::CallId => {
                let first = first(&mut self.seen.call_id, at, &mut self.defect);
                (first.and_then(|()| call_id(text)), Kind::CallId)
            }
            HeaderName::CSeq => (self.cseq(at, text), Kind::CSeq),
            HeaderName::MaxForwards => (self.max_forwards(text), Kind::MaxForwards),
            HeaderName::ContentLength => (self.content_length(text), Kind::ContentLength),
            _ => return Value::Unread,
        };
        end.map_or(Value::Malformed(kind), Value::Read)
    }

    #[inline]
    fn via<'a>(&mut self, at: u16, text: &'a [u8]) -> Option<&'a [u8]> {
        let is_top = self.seen.via.is_none();
        if is_top {
            self.seen.via = Some(at);
        }
        let mut rest = text;
        loop {
            if !self.has_room() {
                return None;
            }
            let (parts, next) = ViaParts::read(self.bytes, at, rest)?;
            self.vias.push(parts);
            self.top_via |= is_top;
            match next? {
                [b',', value @ ..] => rest = value,
                end => return Some(end),
            }
        }
    }

    /// One address that is the whole line.
    #[inline]
    fn address<'a>(&mut self, at: (u16, HeaderName), text: &'a [u8]) -> Option<&'a [u8]> {
        if !self.has_room() {
            return None;
        }
        let (parts, next) = AddressParts::read(self.bytes, at, text)?;
        let end = line_end(next)?;
        self.addresses.push(parts);
        Some(end)
    }

    /// A list of addresses.
    #[inline]
    fn addresses<'a>(&mut self, at: (u16, HeaderName), text: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = text;
        loop {
            if !self.has_room() {
                return None;
            }
            let (parts, next) = AddressParts::read(self.bytes, at, rest)?;
            self.addresses.push(parts);
            match next {
                [b',', value @ ..] => rest = value,
                end => return Some(end),
            }
        }
    }

    fn contact<'a>(&mut self, at: u16, text: &'a [u8]) -> Option<&'a [u8]> {
        if let [b'*', rest @ ..] = text
            && let Some(end) = line_end(rest)
        {
            return Some(end);
        }
        self.addresses((at, HeaderName::Contact), text)
    }

    /// Whether one more value may be kept; lists share the bound of the header fields.
    #[inline]
    fn has_room(&mut self) -> bool {
        let room = self.vias.len().saturating_add(self.addresses.len()) < MAX_HEADERS;
        if !room {
            self.note(Kind::TooManyHeaders);
        }
        room
    }

    fn cseq<'a>(&mut self, at: u16, text: &'a [u8]) -> Option<&'a [u8]> {
        first(&mut self.seen.cseq, at, &mut self.defect)?;
        let (cseq, fits, tail) = CSeq::read(text)?;
        let end = line_end(tail)?;
        self.cseq = Some(cseq);
        fits.then_some(end)
    }

    fn max_forwards<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        if core::mem::replace(&mut self.max_forwards_seen, true) {
            self.note(Kind::DuplicateHeader);
            return None;
        }
        let (number, end) = number(text)?;
        self.max_forwards = Some(u8::try_from(number).ok()?);
        Some(end)
    }

    fn content_length<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let read = number(text).and_then(|(n, end)| Some((usize::try_from(n).ok()?, end)));
        let Some((length, end)) = read.filter(|(length, _)| *length <= MAX_MESSAGE) else {
            self.length = BodyLength::Unknown;
            return None;
        };
        match self.length {
            BodyLength::Known(other) if other != length => {
                self.note(Kind::ConflictingContentLength);
                self.length = BodyLength::Unknown;
            }
            BodyLength::Absent => self.length = BodyLength::Known(length),
            _ => {}
        }
        Some(end)
    }

    /// Whether a response can be sent: by the top Via. What else it copies may be missing, as RFC
    /// 4475 §3.3.1 has it.
    pub(super) fn is_answerable(&self) -> bool {
        self.top_via
    }

    /// What only the whole message shows.
    pub(super) fn complete(&mut self, start: &StartLine) {
        let seen = self.seen;
        for (there, kind) in [
            (seen.via.is_some(), Kind::MissingVia),
            (seen.from.is_some(), Kind::MissingFrom),
            (seen.to.is_some(), Kind::MissingTo),
            (seen.call_id.is_some(), Kind::MissingCallId),
            (seen.cseq.is_some(), Kind::MissingCSeq),
        ] {
            if !there {
                self.note(kind);
            }
        }
        if let (StartLine::Request { method, .. }, Some(cseq)) = (start, &self.cseq)
            && *method != cseq.method
        {
            self.note(Kind::CSeqMethodMismatch);
        }
    }
}

/// Keeps the first field of a name; a second one is a defect.
fn first(slot: &mut Option<u16>, at: u16, defect: &mut Option<Kind>) -> Option<()> {
    if slot.is_some() {
        defect.get_or_insert(Kind::DuplicateHeader);
        return None;
    }
    *slot = Some(at);
    Some(())
}

/// What begins with the end of the line, if nothing but blanks stands before it.
#[inline]
fn line_end(text: &[u8]) -> Option<&[u8]> {
    let end = skip_blanks(text);
    matches!(end, [] | [b'\r', ..]).then_some(end)
}

/// A number alone on its line.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (number, tail) = digits(text)?;
    Some((number, line_end(tail)?))
}

/// A Call-ID: no blank in it.
fn call_id(text: &[u8]) -> Option<&[u8]> {
    let tail = after(text, SOLID);
    if tail.len() == text.len() { None } else { line_end(tail) }
}
