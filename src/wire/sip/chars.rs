//! Character classes of RFC 3261 §25.1, one table look-up per byte.

/// `token`.
pub(super) const TOKEN: u16 = 1;
/// `userinfo` before the colon, with `%`. `#` is tolerated: phones dial feature codes with it.
pub(super) const USER: u16 = 1 << 1;
/// `password`, with `%`.
pub(super) const PASSWORD: u16 = 1 << 2;
/// `paramchar` of a URI, with `%`.
pub(super) const PARAM: u16 = 1 << 3;
/// `hname` and `hvalue` of a URI, with `%`.
pub(super) const HEADER: u16 = 1 << 4;
/// A host name; `_` is tolerated, private networks use it.
pub(super) const HOST: u16 = 1 << 5;
/// An unquoted value of a header parameter: a token, a host, an IPv6 address, base64.
pub(super) const VALUE: u16 = 1 << 6;
/// An unquoted display name: tokens and blanks; raw UTF-8 is tolerated.
pub(super) const DISPLAY: u16 = 1 << 7;
/// A URI without angle brackets, up to what would belong to the header field (RFC 3261 §20).
pub(super) const BARE_URI: u16 = 1 << 8;
/// `unreserved`: what never needs an escape.
pub(super) const UNRESERVED: u16 = 1 << 9;
/// Blank: SP or HT.
pub(super) const BLANK: u16 = 1 << 10;
/// The digits and visual separators of a telephone number (RFC 3966 §3).
pub(super) const PHONE: u16 = 1 << 11;
/// What an absolute URI of any scheme may hold (RFC 3986 §2).
pub(super) const URIC: u16 = 1 << 12;

static CLASS: [u16; 256] = table();

// Evaluated by the compiler alone: a bad index would not build.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn table() -> [u16; 256] {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() {
            t[i] |= TOKEN | USER | PASSWORD | PARAM | HEADER | HOST | VALUE | DISPLAY | UNRESERVED;
        }
        if b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'?' | b'<' | b'>' | b'"') {
            t[i] |= BARE_URI;
        }
        if b.is_ascii_graphic()
            && !matches!(b, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'}' | b'|')
        {
            t[i] |= URIC;
        }
        if b >= 0x80 {
            t[i] |= DISPLAY;
        }
        if b.is_ascii_hexdigit() {
            t[i] |= PHONE;
        }
        i += 1;
    }
    let t = add(t, b"-.!%*_+`'~", TOKEN | DISPLAY | VALUE);
    let t = add(t, b"[]:/@?&$=#|{}()", VALUE);
    let t = add(t, b"-_.!~*'()", UNRESERVED | USER | PASSWORD | PARAM | HEADER);
    let t = add(t, b"&=+$,;?/%#", USER);
    let t = add(t, b"&=+$,%", PASSWORD);
    let t = add(t, b"[]/:&+$%", PARAM);
    let t = add(t, b"[]/?:+$%", HEADER);
    let t = add(t, b"-._", HOST);
    let t = add(t, b"-.()+*#", PHONE);
    add(t, b" \t", DISPLAY | BLANK)
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn add(mut t: [u16; 256], bytes: &[u8], class: u16) -> [u16; 256] {
    let mut i = 0;
    while i < bytes.len() {
        t[bytes[i] as usize] |= class;
        i += 1;
    }
    t
}

/// Whether `byte` belongs to one of the classes of `class`.
#[inline]
pub(super) fn is(byte: u8, class: u16) -> bool {
    CLASS.get(usize::from(byte)).is_some_and(|c| c & class != 0)
}

/// The first position at or after `from` whose byte is not of `class`.
#[inline]
pub(super) fn span(bytes: &[u8], from: usize, class: u16) -> usize {
    let (quads, tail) = bytes.get(from..).unwrap_or_default().as_chunks::<4>();
    // Positions in a slice do not wrap.
    let mut end = from;
    for [a, b, c, d] in quads {
        let (a, b, c, d) = (mask(*a), mask(*b), mask(*c), mask(*d));
        // One branch for four bytes.
        if a & b & c & d & class == 0 {
            return match (a & class, b & class, c & class) {
                (0, _, _) => end,
                (_, 0, _) => end.wrapping_add(1),
                (_, _, 0) => end.wrapping_add(2),
                _ => end.wrapping_add(3),
            };
        }
        end = end.wrapping_add(4);
    }
    for byte in tail {
        if !is(*byte, class) {
            break;
        }
        end = end.wrapping_add(1);
    }
    end
}

#[inline]
fn mask(byte: u8) -> u16 {
    CLASS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The first position at or after `from` that is not blank.
#[inline]
pub(super) fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    match bytes.get(from) {
        Some(b' ' | b'\t') => span(bytes, from, BLANK),
        _ => from,
    }
}

/// The position after `byte`, blanks before and after it skipped; `None` if it is not there.
#[inline]
pub(super) fn separator(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    let mut at = from;
    let mut first = *bytes.get(at)?;
    if is(first, BLANK) {
        at = span(bytes, at, BLANK);
        first = *bytes.get(at)?;
    }
    (first == byte).then(|| skip_blanks(bytes, at.wrapping_add(1)))
}

/// The position after the closing quote of the quoted string whose opening quote is at `from`.
#[inline]
pub(super) fn quoted_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from.checked_add(1)?;
    loop {
        at = at.checked_add(memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?)?;
        if bytes.get(at) == Some(&b'"') {
            return at.checked_add(1);
        }
        at = at.checked_add(2)?;
    }
}

/// A position in a line; no line is longer than a message.
#[inline]
pub(super) fn at(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

/// What stands between two positions of a line.
#[inline]
pub(super) fn between(line: &str, start: u16, end: u16) -> &str {
    line.get(usize::from(start)..usize::from(end)).unwrap_or_default()
}

/// Whether `bytes` is a token (RFC 3261 §25.1).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && span(bytes, 0, TOKEN) == bytes.len()
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
