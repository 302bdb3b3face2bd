//! Parameters of header fields (`generic-param`) and of URIs (`uri-parameter`).

use alloc::borrow::Cow;

use super::chars::{TOKEN, VALUE, after, after_quoted, before, separator, skip_blanks, stretch};
use super::escape::{percent_decode, unquote};

/// The parameters of a header field value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'a> {
    /// From the first semicolon (or blanks before it) on; validated.
    text: &'a str,
}

impl<'a> Params<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Names and values in their order, as written: a quoted string keeps its quotes. The value
    /// is `None` without `=`.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.text;
        core::iter::from_fn(move || {
            let text = separator(rest.as_bytes(), b';')?;
            let param = scan_param(text)?;
            let name = stretch(rest, text, param.name_tail)?;
            let value = match param.value {
                Some(value) => Some(stretch(rest, value, param.tail)?),
                None => None,
            };
            rest = stretch(rest, param.tail, b"")?;
            Some((name, value))
        })
    }

    /// The value of the first parameter of that name (compared without case), as written; empty
    /// for a parameter without a value.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.unwrap_or_default())
    }

    /// As [`get`](Self::get), a quoted string without its quotes and escapes.
    pub fn get_unquoted(self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.get(name)?;
        Some(match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
            Some(inside) => unquote(inside),
            None => Cow::Borrowed(value),
        })
    }

    /// Whether there is a parameter of that name.
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them as written, each after its semicolon.
    pub fn as_str(self) -> &'a str {
        self.text.trim_matches([' ', '\t'])
    }
}

/// A parameter at the front of a text.
struct RawParam<'a> {
    /// What follows the name.
    name_tail: &'a [u8],
    /// What begins with the value, the quotes of a quoted string included.
    value: Option<&'a [u8]>,
    /// What follows all of it.
    tail: &'a [u8],
}

/// The parameter that `text` begins with.
#[inline(always)]
fn scan_param(text: &[u8]) -> Option<RawParam<'_>> {
    let name_tail = after(text, TOKEN);
    if name_tail.len() == text.len() {
        return None;
    }
    let Some(value) = separator(name_tail, b'=') else {
        return Some(RawParam { name_tail, value: None, tail: name_tail });
    };
    let tail = match value {
        [b'"', ..] => after_quoted(value)?,
        _ => after(value, VALUE),
    };
    if tail.len() == value.len() {
        // The blanks belong to no value: they may end the line.
        let tail = skip_blanks(name_tail).get(1..)?;
        return Some(RawParam { name_tail, value: Some(tail), tail });
    }
    Some(RawParam { name_tail, value: Some(value), tail })
}

/// What [`scan_params`] found.
pub(super) struct ScannedParams<'a> {
    /// What follows the last good parameter.
    pub(super) tail: &'a [u8],
    /// What follows all of them and the blanks after them: a comma, the end of the line or of the
    /// text; `None` if something else does.
    pub(super) next: Option<&'a [u8]>,
    /// What begins with the value of the first parameter of the wanted name, and what follows
    /// that value.
    pub(super) wanted: Option<(&'a [u8], &'a [u8])>,
}

/// Checks the parameters that `text` begins with, and finds the value of one.
#[inline]
pub(super) fn scan_params<'a, const N: usize>(
    text: &'a [u8],
    wanted: &[u8; N],
) -> ScannedParams<'a> {
    let mut tail = text;
    let mut found = None;
    let mut good = true;
    while let Some(text) = separator(tail, b';') {
        let Some(param) = scan_param(text) else {
            good = false;
            break;
        };
        tail = param.tail;
        if found.is_none() {
            let name = before(text, param.name_tail);
            if name == wanted || name.eq_ignore_ascii_case(wanted) {
                found = Some((param.value.unwrap_or(tail), tail));
            }
        }
    }
    let next = skip_blanks(tail);
    good &= matches!(next, [] | [b',' | b'\r', ..]);
    ScannedParams { tail, next: good.then_some(next), wanted: found }
}

/// The parameters, or the headers, of a URI. Escapes are as written; [`percent_decode`] resolves
/// them.
#[derive(Clone, Copy, Debug, Default)]
pub struct UriParams<'a> {
    /// From the first semicolon or question mark on, or empty.
    text: &'a str,
    separator: u8,
}

impl<'a> UriParams<'a> {
    pub(super) fn new(text: &'a str, separator: u8) -> Self {
        Self { text, separator }
    }

    /// Names and values in their order. The value is `None` without `=`.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.text.get(1..);
        core::iter::from_fn(move || {
            let text = rest?;
            let (one, tail) = match super::scan::memchr(self.separator, text.as_bytes()) {
                Some(at) => (text.get(..at)?, text.get(at.checked_add(1)?..)),
                None => (text, None),
            };
            rest = tail;
            Some(match one.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (one, None),
            })
        })
    }

    /// The value of the first parameter of that name (compared without case, its escapes
    /// resolved), as written; empty for a parameter without a value.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(n, _)| percent_decode(n).eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// Whether there is a parameter of that name.
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them as written, the first separator included.
    pub fn as_str(self) -> &'a str {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_parameters_are_read_with_blanks_and_quotes() {
        let text = " ; newparam =\t newvalue ;secondparam ; q = 0.33;x=\"a;b,\\\"c\"";
        let scanned = scan_params(text.as_bytes(), b"q");
        assert_eq!((scanned.tail, scanned.next), (&b""[..], Some(&b""[..])));
        let (value, tail) = scanned.wanted.unwrap();
        assert_eq!(before(value, tail), b"0.33");
        let params = Params::new(text);
        assert_eq!(params.get("NEWPARAM"), Some("newvalue"));
        assert_eq!(params.get("secondparam"), Some(""));
        assert_eq!(params.get("q"), Some("0.33"));
        assert_eq!(params.get("x"), Some("\"a;b,\\\"c\""));
        assert_eq!(params.get_unquoted("x").unwrap(), "a;b,\"c");
        assert_eq!(params.iter().count(), 4);
        assert!(!params.has("tag"));
    }

    #[test]
    fn broken_parameters_end_the_good_ones() {
        let scan = |text: &'static str| {
            let scanned = scan_params(text.as_bytes(), b"a");
            let text = |bytes| core::str::from_utf8(bytes).unwrap();
            let wanted = scanned.wanted.map(|(value, tail)| text(before(value, tail)));
            (text(scanned.tail), scanned.next.map(text), wanted)
        };
        assert_eq!(scan(";a=1;;,"), (";;,", None, Some("1")));
        assert_eq!(scan(";a=1;b=\"x"), (";b=\"x", None, Some("1")));
        assert_eq!(scan(";a=1;b=\"\r\n\""), (";b=\"\r\n\"", None, Some("1")));
        assert_eq!(scan(";a=1 , next"), (" , next", Some(", next"), Some("1")));
        assert_eq!(scan(";a=1 \r\n"), (" \r\n", Some("\r\n"), Some("1")));
        assert_eq!(scan(";a=1 next"), (" next", None, Some("1")));
        assert_eq!(scan(";a = \r\n"), (" \r\n", Some("\r\n"), Some("")));
        // The first of a name counts, also without a value.
        assert_eq!(scan(";x=2;A;a=1"), ("", Some(""), Some("")));
    }

    #[test]
    fn uri_parameters_are_read() {
        let params = UriParams::new(";lr;%74ransport=tcp;x=", b';');
        assert_eq!(params.get("lr"), Some(""));
        assert_eq!(params.get("Transport"), Some("tcp"));
        assert_eq!(params.get("x"), Some(""));
        assert_eq!(params.iter().count(), 3);
        assert_eq!(UriParams::new("", b';').iter().count(), 0);
    }
}
