//! The header fields that every message must have right: read once, kept as positions.

use alloc::vec::Vec;

use super::chars::number;
use super::cseq::CSeq;
use super::error::ParseErrorKind as Kind;
use super::fields::{Buffer, FieldSpan};
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
    buf: &'a Buffer,
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

impl<'a> Check<'a> {
    pub(super) fn new(buf: &'a Buffer, defect: Option<Kind>) -> Self {
        Self {
            buf,
            defect,
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

    fn note(&mut self, kind: Kind) {
        self.defect.get_or_insert(kind);
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
        let value = self.buf.text(field.value);
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
            if !self.has_room() {
                return false;
            }
            self.vias.push(ViaParts::empty(at));
            match self.vias.last_mut().and_then(|parts| parts.read(text, from)) {
                Some(Some(end)) => {
                    self.top_via |= is_top;
                    if end >= text.len() {
                        return true;
                    }
                    from = end.saturating_add(1);
                }
                Some(None) => {
                    self.top_via |= is_top;
                    return false;
                }
                None => {
                    self.vias.pop();
                    return false;
                }
            }
        }
    }

    /// One address that is the whole line.
    #[inline]
    fn address(&mut self, at: u16, text: &str) -> bool {
        match self.push_address(at, text, 0) {
            Some(end) if end == text.len() => true,
            Some(_) => {
                self.addresses.pop();
                false
            }
            None => false,
        }
    }

    /// A list of addresses.
    #[inline]
    fn addresses(&mut self, at: u16, text: &str) -> bool {
        let mut from = 0;
        loop {
            match self.push_address(at, text, from) {
                Some(end) if end >= text.len() => return true,
                Some(comma) => from = comma.saturating_add(1),
                None => return false,
            }
        }
    }

    /// Reads the address at `from`, where it is to stay; the position after it.
    fn push_address(&mut self, at: u16, text: &str, from: usize) -> Option<usize> {
        if !self.has_room() {
            return None;
        }
        self.addresses.push(AddressParts::empty(at));
        let end = self.addresses.last_mut()?.read(text, from);
        if end.is_none() {
            self.addresses.pop();
        }
        end
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
fn first(slot: &mut Option<u16>, at: u16, defect: &mut Option<Kind>) -> bool {
    if slot.is_some() {
        defect.get_or_insert(Kind::DuplicateHeader);
        return false;
    }
    *slot = Some(at);
    true
}
