//! Character classes of RFC 3261 §25.1, one table look-up per byte.

/// `token`.
pub(super) const TOKEN: u32 = 1;
/// `userinfo` before the colon, with `%`. `#` is tolerated: phones dial feature codes with it.
pub(super) const USER: u32 = 1 << 1;
/// `password`, with `%`.
pub(super) const PASSWORD: u32 = 1 << 2;
/// `paramchar` of a URI, with `%`.
pub(super) const PARAM: u32 = 1 << 3;
/// `hname` and `hvalue` of a URI, with `%`.
pub(super) const HEADER: u32 = 1 << 4;
/// A host name; `_` is tolerated, private networks use it.
pub(super) const HOST: u32 = 1 << 5;
/// An unquoted value of a header parameter: a token, a host, an IPv6 address, base64.
pub(super) const VALUE: u32 = 1 << 6;
/// An unquoted display name: tokens and blanks; raw UTF-8 is tolerated.
pub(super) const DISPLAY: u32 = 1 << 7;
/// A URI without angle brackets, up to what would belong to the header field (RFC 3261 §20).
pub(super) const BARE_URI: u32 = 1 << 8;
/// `unreserved`: what never needs an escape.
pub(super) const UNRESERVED: u32 = 1 << 9;
/// Blank: SP or HT.
pub(super) const BLANK: u32 = 1 << 10;
/// The digits and visual separators of a telephone number (RFC 3966 §3).
pub(super) const PHONE: u32 = 1 << 11;
/// What an absolute URI of any scheme may hold (RFC 3986 §2).
pub(super) const URIC: u32 = 1 << 12;
/// As [`PARAM`], without `%`.
pub(super) const PLAIN_PARAM: u32 = 1 << 13;
/// As [`USER`], without what needs a second look: `%`, and what may also follow a host.
pub(super) const PLAIN_USER: u32 = 1 << 14;
/// What may stand in a quoted string as it is: all but quotes, backslashes and line ends.
pub(super) const QUOTED: u32 = 1 << 15;
/// All but blanks and line ends.
pub(super) const SOLID: u32 = 1 << 16;

/// What an IPv6 address may hold.
pub(super) const V6: u32 = 1 << 17;

static CLASS: [u32; 256] = table();

// Evaluated by the compiler alone: a bad index would not build.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn table() -> [u32; 256] {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() {
            t[i] |= TOKEN | USER | PASSWORD | PARAM | HEADER | HOST | VALUE | DISPLAY | UNRESERVED;
            t[i] |= PLAIN_PARAM | PLAIN_USER;
        }
        if b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'?' | b'<' | b'>' | b'"') {
            t[i] |= BARE_URI;
        }
        if b.is_ascii_graphic()
            && !matches!(b, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'}' | b'|')
        {
            t[i] |= URIC;
        }
        if !matches!(b, b'"' | b'\\' | b'\r' | b'\n') {
            t[i] |= QUOTED;
        }
        if !matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            t[i] |= SOLID;
        }
        if b >= 0x80 {
            t[i] |= DISPLAY;
        }
        if b.is_ascii_hexdigit() {
            t[i] |= PHONE | V6;
        }
        i += 1;
    }
    let t = add(t, b"-.!%*_+`'~", TOKEN | DISPLAY | VALUE);
    let t = add(t, b"[]:/@?&$=#|{}()", VALUE);
    let t = add(t, b"-_.!~*'()", UNRESERVED | USER | PASSWORD | PARAM | HEADER);
    let t = add(t, b"-_.!~*'()", PLAIN_PARAM | PLAIN_USER);
    let t = add(t, b"&=+$,;?/%#", USER);
    let t = add(t, b"&=+$,/#", PLAIN_USER);
    let t = add(t, b"&=+$,%", PASSWORD);
    let t = add(t, b"[]/:&+$%", PARAM);
    let t = add(t, b"[]/:&+$", PLAIN_PARAM);
    let t = add(t, b"[]/?:+$%", HEADER);
    let t = add(t, b"-._", HOST);
    let t = add(t, b"-.()+*#", PHONE);
    let t = add(t, b":.", V6);
    add(t, b" \t", DISPLAY | BLANK)
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn add(mut t: [u32; 256], bytes: &[u8], class: u32) -> [u32; 256] {
    let mut i = 0;
    while i < bytes.len() {
        t[bytes[i] as usize] |= class;
        i += 1;
    }
    t
}

/// Whether `byte` belongs to one of the classes of `class`.
#[inline]
pub(super) fn is(byte: u8, class: u32) -> bool {
    mask(byte) & class != 0
}

#[inline]
fn mask(byte: u8) -> u32 {
    CLASS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// What is left of `text` after the bytes of `class` in front.
#[inline]
pub(super) fn after(text: &[u8], class: u32) -> &[u8] {
    let rest = skip(text, class);
    #[cfg(test)]
    crate::util::work::look_at(text.len() - rest.len() + 1);
    rest
}

#[inline]
fn skip(text: &[u8], class: u32) -> &[u8] {
    let mut rest = text;
    while let [a, b, c, d, tail @ ..] = rest {
        let (a, b, c, d) = (mask(*a), mask(*b), mask(*c), mask(*d));
        // One branch for four bytes.
        if a & b & c & d & class == 0 {
            return match (a & class, b & class, c & class) {
                (0, _, _) => rest,
                (_, 0, _) => rest.get(1..).unwrap_or_default(),
                (_, _, 0) => rest.get(2..).unwrap_or_default(),
                _ => rest.get(3..).unwrap_or_default(),
            };
        }
        rest = tail;
    }
    while let [byte, tail @ ..] = rest
        && is(*byte, class)
    {
        rest = tail;
    }
    rest
}

/// `text` without the blanks in front.
#[inline]
pub(super) fn skip_blanks(text: &[u8]) -> &[u8] {
    match text {
        [b' ' | b'\t', tail @ ..] => match tail {
            [b' ' | b'\t', ..] => after_blanks(tail),
            _ => tail,
        },
        _ => text,
    }
}

#[cold]
fn after_blanks(text: &[u8]) -> &[u8] {
    after(text, BLANK)
}

/// What follows `byte`, blanks before and after it skipped; `None` if it is not there.
#[inline(always)]
pub(super) fn separator(text: &[u8], byte: u8) -> Option<&[u8]> {
    match text {
        [first, tail @ ..] if *first == byte => Some(skip_blanks(tail)),
        [b' ' | b'\t', ..] => match after_blanks(text) {
            [first, tail @ ..] if *first == byte => Some(skip_blanks(tail)),
            _ => None,
        },
        _ => None,
    }
}

/// What follows the quoted string that `text` begins with, quotes included.
pub(super) fn after_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        match after(rest, QUOTED) {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', escaped, tail @ ..] if !matches!(escaped, b'\r' | b'\n') => rest = tail,
            _ => return None,
        }
    }
}

/// What stands in front of `tail`, the end of `text`.
#[inline]
pub(super) fn before<'a>(text: &'a [u8], tail: &[u8]) -> &'a [u8] {
    text.get(..text.len().wrapping_sub(tail.len())).unwrap_or_default()
}

/// What stands in `text` from where `start` begins, one end of it, to where `tail` begins, another.
#[inline]
pub(super) fn stretch<'a>(text: &'a str, start: &[u8], tail: &[u8]) -> Option<&'a str> {
    let length = text.len();
    text.get(length.checked_sub(start.len())?..length.checked_sub(tail.len())?)
}

/// The position of `tail` in a text of `length` bytes whose end it is. No text with positions is
/// longer than a message, and none of its values ends behind the last line end.
#[inline]
#[allow(clippy::cast_possible_truncation)]
pub(super) fn place(length: usize, tail: &[u8]) -> u16 {
    length.wrapping_sub(tail.len()) as u16
}

/// What stands between two positions of a line.
#[inline]
pub(super) fn between(line: &str, start: u16, end: u16) -> &str {
    line.get(usize::from(start)..usize::from(end)).unwrap_or_default()
}

/// Whether `bytes` is a token (RFC 3261 §25.1).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && after(bytes, TOKEN).is_empty()
}

/// The number that `text` begins with, the largest one if it does not fit, and what follows it.
pub(super) fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        number = number.saturating_mul(10).saturating_add(u64::from(digit & 0x0f));
        rest = tail;
    }
    #[cfg(test)]
    crate::util::work::look_at(text.len() - rest.len());
    (rest.len() < text.len()).then_some((number, rest))
}

/// The number that `digits` spell; `None` for anything but 1 to 20 digits that fit.
pub(super) fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// As [`number`], but digits too large to fit give the largest number.
pub(super) fn saturating_number(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}
