//! Multipart bodies (RFC 5621, RFC 2046 §5.1).

use alloc::vec::Vec;

use super::Message;
use super::header::HeaderName;
use super::lex::{Params, trim};

/// Most parts taken out of one body, over all levels.
const MAX_PARTS: usize = 32;
/// Deepest nesting.
const MAX_DEPTH: usize = 8;

/// One part of a multipart body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Content-Type without parameters; `text/plain` if the part has none.
    pub content_type: &'a str,
    /// The part's own header fields, as text.
    pub header: &'a str,
    /// The part's body, byte for byte.
    pub body: &'a [u8],
}

/// The leaves of a message's body: one part if it is not multipart, else every part, nested ones
/// in place. At most 32 parts and 8 levels are looked at.
pub fn parts(message: &Message) -> Vec<Part<'_>> {
    let content_type = message.header(HeaderName::ContentType).unwrap_or("");
    let whole = Part {
        content_type: message.content_type().unwrap_or(""),
        header: "",
        body: message.body(),
    };
    let mut leaves = Vec::new();
    // A stack instead of recursion: depth is the sender's choice.
    let mut open = alloc::vec![(content_type, whole, 0_usize)];
    while let Some((full_type, part, depth)) = open.pop() {
        let children = match boundary(full_type) {
            Some(boundary) if depth < MAX_DEPTH => split(part.body, boundary),
            _ => {
                if leaves.len() < MAX_PARTS && !part.body.is_empty() {
                    leaves.push(part);
                }
                continue;
            }
        };
        for (full_type, child) in children.into_iter().rev() {
            if open.len() < MAX_PARTS {
                open.push((full_type, child, depth.saturating_add(1)));
            }
        }
    }
    leaves
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, params) = content_type.split_at_checked(content_type.find(';')?)?;
    if !trim(kind).get(..10)?.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let value = Params::new(params).get("boundary")?;
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    (!value.is_empty() && value.len() <= 70).then_some(value)
}

fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<(&'a str, Part<'a>)> {
    let mut children = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0_usize;
    for line in body.split_inclusive(|b| *b == b'\n') {
        let next = at.saturating_add(line.len());
        let text = line.trim_ascii_end();
        if let Some(rest) =
            text.strip_prefix(b"--").and_then(|l| l.strip_prefix(boundary.as_bytes()))
        {
            if let Some(start) = start.take()
                && let Some(child) = body.get(start..at).and_then(part)
                && children.len() < MAX_PARTS
            {
                children.push(child);
            }
            match rest {
                b"" => start = Some(next),
                b"--" => break,
                _ => {}
            }
        }
        at = next;
    }
    children
}

/// Splits one part into header and body; the line end before the delimiter is the delimiter's.
fn part(bytes: &[u8]) -> Option<(&str, Part<'_>)> {
    let bytes = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes);
    let (header, body) = if let Some(body) = bytes.strip_prefix(b"\r\n") {
        (&[][..], body)
    } else {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        (bytes.get(..end)?, bytes.get(end.checked_add(4)?..)?)
    };
    let header = core::str::from_utf8(header).ok()?;
    let full_type = header
        .lines()
        .filter_map(|l| l.split_once(':'))
        .find(|(name, _)| HeaderName::parse(trim(name)) == HeaderName::ContentType)
        .map_or("text/plain", |(_, value)| trim(value));
    let content_type = trim(full_type.split(';').next().unwrap_or(""));
    Some((full_type, Part { content_type, header, body }))
}
