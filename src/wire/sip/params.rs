//! Parameters of header fields (`generic-param`) and of URIs (`uri-parameter`).

use alloc::borrow::Cow;

use super::chars::{TOKEN, VALUE, at, quoted_end, separator, skip_blanks, span};
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
            let bytes = rest.as_bytes();
            let raw = scan_param(bytes, separator(bytes, 0, b';')?)?;
            let name = rest.get(raw.name.0..raw.name.1)?;
            let value = match raw.value {
                Some((start, end)) => Some(rest.get(start..end)?),
                None => None,
            };
            rest = rest.get(raw.end..)?;
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

struct RawParam {
    name: (usize, usize),
    /// With the quotes of a quoted string.
    value: Option<(usize, usize)>,
    end: usize,
}

/// The parameter whose name starts at `from`.
#[inline]
fn scan_param(bytes: &[u8], from: usize) -> Option<RawParam> {
    let name_end = span(bytes, from, TOKEN);
    if name_end == from {
        return None;
    }
    let name = (from, name_end);
    let Some(start) = separator(bytes, name_end, b'=') else {
        return Some(RawParam { name, value: None, end: name_end });
    };
    let end = match bytes.get(start) {
        Some(b'"') => quoted_end(bytes, start)?,
        _ => span(bytes, start, VALUE),
    };
    Some(RawParam { name, value: Some((start, end)), end })
}

/// What [`scan_params`] found.
pub(super) struct ScannedParams {
    /// The position after the last good parameter.
    pub(super) end: usize,
    /// The position of the comma, or of the end of the text, that follows; `None` if something
    /// else does.
    pub(super) next: Option<usize>,
    /// The value of the first parameter of the wanted name; empty without one.
    pub(super) wanted: (u16, u16),
}

/// Checks the parameters at `from`, and finds the value of one.
#[inline]
pub(super) fn scan_params<const N: usize>(
    bytes: &[u8],
    from: usize,
    wanted: &[u8; N],
) -> ScannedParams {
    let mut end = from;
    let mut found = None;
    let mut good = true;
    while let Some(start) = separator(bytes, end, b';') {
        let Some(raw) = scan_param(bytes, start) else {
            good = false;
            break;
        };
        end = raw.end;
        if found.is_none() {
            let name = bytes.get(raw.name.0..raw.name.1).unwrap_or_default();
            if name == wanted || name.eq_ignore_ascii_case(wanted) {
                let (start, end) = raw.value.unwrap_or_default();
                found = Some((at(start), at(end)));
            }
        }
    }
    let next = skip_blanks(bytes, end);
    good &= matches!(bytes.get(next), None | Some(b','));
    ScannedParams { end, next: good.then_some(next), wanted: found.unwrap_or_default() }
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
            let (one, tail) = match memchr::memchr(self.separator, text.as_bytes()) {
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
        let scanned = scan_params(text.as_bytes(), 0, b"q");
        assert_eq!((scanned.end, scanned.next), (text.len(), Some(text.len())));
        assert_eq!(&text[usize::from(scanned.wanted.0)..usize::from(scanned.wanted.1)], "0.33");
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
        let scan = |text: &str| {
            let scanned = scan_params(text.as_bytes(), 0, b"a");
            (scanned.end, scanned.next, scanned.wanted)
        };
        assert_eq!(scan(";a=1;;,"), (4, None, (3, 4)));
        assert_eq!(scan(";a=1;b=\"x"), (4, None, (3, 4)));
        assert_eq!(scan(";a=1 , next"), (4, Some(5), (3, 4)));
        assert_eq!(scan(";a=1 next"), (4, None, (3, 4)));
        // The first of a name counts, also without a value.
        assert_eq!(scan(";x=2;A;a=1"), (10, Some(10), (0, 0)));
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
