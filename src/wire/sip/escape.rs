//! Percent escapes of URIs (RFC 3261 §19.1.2) and quoted strings (§25.1).

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt::Write as _;

use super::chars::{UNRESERVED, is};

/// The value of the two hex digits at the start of `bytes`.
pub(super) fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |b: Option<&u8>| (*b? as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(bytes.first())? << 4 | digit(bytes.get(1))?)
}

/// Whether each `%` of `bytes` is followed by two hex digits.
pub(super) fn escapes_are_valid(bytes: &[u8]) -> bool {
    super::scan::memchr_iter(b'%', bytes)
        .all(|at| bytes.get(at.saturating_add(1)..).and_then(hex_pair).is_some())
}

/// The octets that `text` stands for: each `%HH` once, everything else as it is. The result may
/// hold any octet, NUL included, and need not be UTF-8.
pub fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    let mut rest = text.as_bytes();
    if super::scan::memchr(b'%', rest).is_none() {
        return Cow::Borrowed(rest);
    }
    let mut out = Vec::with_capacity(rest.len());
    while let Some((&b, tail)) = rest.split_first() {
        match (b, hex_pair(tail)) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(b);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

/// Appends `text` to `out`, every byte escaped that is neither unreserved nor of `keep`.
pub(super) fn percent_encode(out: &mut String, text: &[u8], keep: &[u8]) {
    for &b in text {
        if is(b, UNRESERVED) || keep.contains(&b) {
            out.push(b as char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
    }
}

/// `text` as a quoted string: in quotes, quotes and backslashes of its own escaped.
/// Control characters, which no quoted string may hold unescaped, are left out.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// What a quoted string says: `text` is what stands between its quotes, with its escapes.
pub fn unquote(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once() {
        assert_eq!(&*percent_decode("v%61lue%25%34%31"), b"value%41");
        assert_eq!(&*percent_decode("null-%00-null"), b"null-\0-null");
        assert_eq!(&*percent_decode("%4"), b"%4");
        assert!(!escapes_are_valid(b"%4"));
        assert!(!escapes_are_valid(b"a%+1b"));
        assert!(escapes_are_valid(b"%fF%00"));
    }

    #[test]
    fn quoting_and_unquoting_are_inverse() {
        for text in ["", "plain", "a \"b\" \\c", "\\", "ü\\\""] {
            let quoted = quote(text);
            assert_eq!(unquote(&quoted[1..quoted.len() - 1]), text);
        }
        assert_eq!(quote("a\r\nVia: x\0"), "\"aVia: x\"");
    }
}
