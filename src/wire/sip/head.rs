//! The lines of a head, told apart in one pass.

use alloc::vec::Vec;

use super::MAX_HEADERS;
use super::chars::{before, place};
use super::check::{Check, Value};
use super::error::ParseErrorKind as Kind;
use super::fields::{Buffer, FieldSpan};
use super::message::StartLine;
use super::name::{NameLine, read_name};
use super::start_line::read_start_line;

/// Why a head was not read to its end.
pub(super) enum Stop {
    /// Its lines cannot be told apart.
    Broken(Kind),
    /// A line is folded: to be read again when it is [unfolded](unfold).
    Folded,
}

impl From<Kind> for Stop {
    fn from(kind: Kind) -> Self {
        Stop::Broken(kind)
    }
}

/// A head that was read.
pub(super) struct Head {
    pub(super) start: StartLine,
    /// With the empty line.
    pub(super) length: usize,
    pub(super) fields: Vec<FieldSpan>,
    pub(super) check: Check,
    /// A defect of the lines as such, which counts before those of their values.
    pub(super) defect: Option<Kind>,
}

impl Head {
    pub(super) fn read(buf: &Buffer) -> Result<Self, Stop> {
        let bytes = buf.as_bytes();
        let end = line_end(bytes)?;
        // A line that cannot be told from the next counts before anything in the first.
        let start = read_start_line(before(bytes, end));
        let mut lines = Lines {
            length: bytes.len(),
            is_text: buf.all_text().is_some(),
            fields: Vec::with_capacity(24),
            check: Check::new(bytes.len()),
            defect: None,
        };
        let mut rest = end.get(2..).unwrap_or_default();
        let body = loop {
            match rest {
                [b'\r', b'\n', body @ ..] => break body,
                [] => {
                    lines.defect = Some(Kind::UnterminatedHeaders);
                    break rest;
                }
                _ => rest = lines.field(rest)?,
            }
        };
        let length = bytes.len().saturating_sub(body.len());
        let (start, defect) = start?;
        let Lines { fields, mut check, defect: later, .. } = lines;
        check.complete(&start);
        // The first defect of a message is the one of its first line.
        Ok(Self { start, length, fields, check, defect: defect.or(later) })
    }
}

/// The lines that were read.
struct Lines {
    /// Of the message.
    length: usize,
    is_text: bool,
    fields: Vec<FieldSpan>,
    check: Check,
    defect: Option<Kind>,
}

impl Lines {
    /// Reads the header field that `line` begins with; what follows it.
    #[inline]
    fn field<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8], Stop> {
        let Some(NameLine { name_id, name_tail, value }) = read_name(line) else {
            self.defect.get_or_insert(Kind::HeaderSyntax);
            return skip_lines(line);
        };
        if self.fields.len() >= MAX_HEADERS {
            field_end(value)?;
            return Err(Kind::TooManyHeaders.into());
        }
        let text = if self.is_text || is_text(value) { value } else { b"" };
        // Below MAX_HEADERS.
        let at = u16::try_from(self.fields.len()).unwrap_or(u16::MAX);
        let read = self.check.field(at, name_id, text);
        let (end, next) = match read {
            Value::Read(end @ [b'\r', b'\n', next @ ..]) if !is_blank(next) => (end, next),
            _ => field_end(value)?,
        };
        if let Value::Malformed(kind) = read {
            self.check.note(kind);
        }
        let length = self.length;
        self.fields.push(FieldSpan {
            name: (place(length, line), place(length, name_tail)),
            value: (place(length, value), place(length, value_end(value, end))),
            name_id,
        });
        Ok(next)
    }
}

/// Whether `text` begins with a blank.
fn is_blank(text: &[u8]) -> bool {
    matches!(text, [b' ' | b'\t', ..])
}

/// What begins with the line end that ends the line at the front of `text`.
#[inline]
fn line_end(text: &[u8]) -> Result<&[u8], Kind> {
    let end = super::scan::memchr2(b'\r', b'\n', text).ok_or(Kind::UnterminatedHeaders)?;
    match text.get(end..) {
        Some(end @ [b'\r', b'\n', ..]) => Ok(end),
        Some([b'\r']) => Err(Kind::UnterminatedHeaders),
        _ => Err(Kind::BareLineBreak),
    }
}

/// What begins with the line end that ends the header field at the front of `text`, and what
/// follows it.
#[inline]
fn field_end(text: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    let end = line_end(text)?;
    let next = end.get(2..).unwrap_or_default();
    if is_blank(next) { Err(Stop::Folded) } else { Ok((end, next)) }
}

/// What begins where a value ends whose line ends with `end`: its blanks are left out.
#[inline]
fn value_end<'a>(value: &'a [u8], end: &'a [u8]) -> &'a [u8] {
    let mut text = before(value, end);
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    value.get(text.len()..).unwrap_or(end)
}

/// What follows a line that is no header field, and the lines that continue it.
#[cold]
fn skip_lines(text: &[u8]) -> Result<&[u8], Stop> {
    let mut rest = text;
    loop {
        rest = line_end(rest)?.get(2..).unwrap_or_default();
        if !is_blank(rest) {
            return Ok(rest);
        }
    }
}

/// Whether the line at the front of `text` is UTF-8.
#[cold]
fn is_text(text: &[u8]) -> bool {
    let line = super::scan::memchr2(b'\r', b'\n', text).and_then(|end| text.get(..end));
    core::str::from_utf8(line.unwrap_or(text)).is_ok()
}

/// Makes each folded header field one line: a line end before a blank becomes two spaces (RFC 3261
/// §7.3.1). What is no header field stays as it is.
#[cold]
pub(super) fn unfold(bytes: &mut [u8]) {
    let length = bytes.len();
    let next_line = |line: &[u8]| {
        let end = line_end(line).ok().filter(|end| end.len() < line.len())?;
        Some(length.saturating_sub(end.len()).saturating_add(2))
    };
    let mut next = next_line(bytes);
    // Whether the line before is one; the start line is not.
    let mut is_field = false;
    while let Some(at) = next {
        let line = bytes.get(at..).unwrap_or_default();
        next = next_line(line);
        if !is_blank(line) {
            is_field = read_name(line).is_some();
        } else if is_field && let Some(fold) = bytes.get_mut(at.saturating_sub(2)..at) {
            fold.fill(b' ');
        }
    }
}
