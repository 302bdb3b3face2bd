//! The header fields that every message must have right: read once, kept as positions.

use alloc::vec::Vec;

use super::chars::number;
use super::cseq::CSeq;
use super::error::ParseErrorKind as Kind;
use super::fields::{FieldSpan, Value, ValueParts, slice};
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

/// Reads the header fields that every message must have right.
pub(super) struct Check<'a> {
    head: &'a [u8],
    text: Option<&'a str>,
    pub(super) defect: Option<Kind>,
    pub(super) seen: Seen,
    pub(super) values: Vec<Value>,
    top_via: bool,
    pub(super) cseq: Option<CSeq>,
    pub(super) length: BodyLength,
    pub(super) max_forwards: Option<u8>,
    max_forwards_seen: bool,
}

impl<'a> Check<'a> {
    pub(super) fn new(head: &'a [u8], text: Option<&'a str>, defect: Option<Kind>) -> Self {
        Self {
            head,
            text,
            defect,
            seen: Seen::default(),
            values: Vec::with_capacity(24),
            top_via: false,
            cseq: None,
            length: BodyLength::Absent,
            max_forwards: None,
            max_forwards_seen: false,
        }
    }

    fn note(&mut self, kind: Kind) {
        self.defect.get_or_insert(kind);
    }

    /// The value of a field; `None` unless it is UTF-8.
    #[inline]
    fn value(&self, field: &FieldSpan) -> Option<&'a str> {
        match self.text {
            Some(text) => {
                let start = usize::try_from(field.value.0).ok()?;
                text.get(start..usize::try_from(field.value.1).ok()?)
            }
            None => core::str::from_utf8(slice(self.head, field.value)).ok(),
        }
    }

    #[inline]
    pub(super) fn field(&mut self, at: u16, field: &FieldSpan) {
        let kind = match field.name_id {
            HeaderName::Via => Kind::Via,
            HeaderName::From => Kind::From,
            HeaderName::To => Kind::To,
            HeaderName::CallId => Kind::CallId,
            HeaderName::CSeq => Kind::CSeq,
            HeaderName::Contact => Kind::Contact,
            HeaderName::Route => Kind::Route,
            HeaderName::RecordRoute => Kind::RecordRoute,
            HeaderName::MaxForwards => Kind::MaxForwards,
            HeaderName::ContentLength => Kind::ContentLength,
            _ => return,
        };
        let value = self.value(field);
        let good = match field.name_id {
            HeaderName::Via => self.via(at, value),
            HeaderName::From => {
                first(&mut self.seen.from, at, &mut self.defect)
                    && value.is_some_and(|text| self.address(at, text))
            }
            HeaderName::To => {
                first(&mut self.seen.to, at, &mut self.defect)
                    && value.is_some_and(|text| self.address(at, text))
            }
            HeaderName::CallId => {
                first(&mut self.seen.call_id, at, &mut self.defect)
                    && value.is_some_and(|v| !v.is_empty() && !v.contains([' ', '\t']))
            }
            HeaderName::CSeq => self.cseq(at, value),
            HeaderName::MaxForwards => self.max_forwards(value),
            HeaderName::ContentLength => self.content_length(value),
            HeaderName::Contact if value == Some("*") => true,
            _ => value.is_some_and(|text| self.addresses(at, text)),
        };
        if !good {
            self.note(kind);
        }
    }

    #[inline]
    fn via(&mut self, at: u16, value: Option<&str>) -> bool {
        let is_top = self.seen.via.is_none();
        if is_top {
            self.seen.via = Some(at);
        }
        let Some(text) = value else { return false };
        let mut from = 0;
        loop {
            let Some((parts, end)) = ViaParts::scan(text, from) else { return false };
            self.top_via |= is_top;
            self.push(at, ValueParts::Via(parts));
            match end {
                Some(end) if end >= text.len() => return true,
                Some(comma) => from = comma.saturating_add(1),
                None => return false,
            }
        }
    }

    /// One address that is the whole line.
    #[inline]
    fn address(&mut self, at: u16, text: &str) -> bool {
        match AddressParts::scan(text, 0) {
            Some((parts, end)) if end == text.len() => {
                self.push(at, ValueParts::Address(parts));
                true
            }
            _ => false,
        }
    }

    /// A list of addresses.
    #[inline]
    fn addresses(&mut self, at: u16, text: &str) -> bool {
        let mut from = 0;
        loop {
            let Some((parts, end)) = AddressParts::scan(text, from) else { return false };
            self.push(at, ValueParts::Address(parts));
            if end >= text.len() {
                return true;
            }
            from = end.saturating_add(1);
        }
    }

    /// Keeps a value; lists share the bound of the header fields.
    #[inline]
    fn push(&mut self, field: u16, parts: ValueParts) {
        if self.values.len() < MAX_HEADERS {
            self.values.push(Value { field, parts });
        } else {
            self.note(Kind::TooManyHeaders);
        }
    }

    fn cseq(&mut self, at: u16, value: Option<&str>) -> bool {
        if !first(&mut self.seen.cseq, at, &mut self.defect) {
            return false;
        }
        match value.and_then(CSeq::scan) {
            Some((cseq, fits)) => {
                self.cseq = Some(cseq);
                fits
            }
            None => false,
        }
    }

    fn max_forwards(&mut self, value: Option<&str>) -> bool {
        if core::mem::replace(&mut self.max_forwards_seen, true) {
            self.note(Kind::DuplicateHeader);
            return false;
        }
        self.max_forwards = value.and_then(number).and_then(|n| u8::try_from(n).ok());
        self.max_forwards.is_some()
    }

    fn content_length(&mut self, value: Option<&str>) -> bool {
        let length = value.and_then(number).and_then(|n| usize::try_from(n).ok());
        let Some(length) = length.filter(|n| *n <= MAX_MESSAGE) else {
            self.length = BodyLength::Unknown;
            return false;
        };
        match self.length {
            BodyLength::Known(other) if other != length => {
                self.note(Kind::ConflictingContentLength);
                self.length = BodyLength::Unknown;
            }
            BodyLength::Absent => self.length = BodyLength::Known(length),
            _ => {}
        }
        true
    }

    /// Whether a response can be made: a Via to send it by, and what it copies.
    pub(super) fn is_answerable(&self) -> bool {
        let copied = self.seen.from.and(self.seen.to).and(self.seen.call_id);
        self.top_via && self.cseq.is_some() && copied.is_some()
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
fn first(slot: &mut Option<u16>, at: u16, defect: &mut Option<Kind>) -> bool {
    if slot.is_some() {
        defect.get_or_insert(Kind::DuplicateHeader);
        return false;
    }
    *slot = Some(at);
    true
}
