//! Header fields of a message: lines, and lists of typed views over them.

use super::name::HeaderName;
use super::name_addr::NameAddrRef;
use super::via::ViaRef;

/// Where a header field stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldSpan {
    pub(super) name: (u32, u32),
    pub(super) value: (u32, u32),
    pub(super) name_id: HeaderName,
}

/// The bytes of a span of positions.
#[inline]
pub(super) fn slice(buf: &[u8], span: (u32, u32)) -> &[u8] {
    let range = usize::try_from(span.0).ok().zip(usize::try_from(span.1).ok());
    range.and_then(|(start, end)| buf.get(start..end)).unwrap_or_default()
}

/// The values of the header fields of one name.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    buf: &'a [u8],
    spans: core::slice::Iter<'a, FieldSpan>,
    name: HeaderName,
}

impl<'a> Lines<'a> {
    pub(super) fn new(buf: &'a [u8], spans: &'a [FieldSpan], name: HeaderName) -> Self {
        Self { buf, spans: spans.iter(), name }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let name = self.name;
        self.spans.find(|span| span.name_id == name).map(|span| slice(self.buf, span.value))
    }
}

/// The Via values of a message from the top.
pub(super) struct Vias<'a> {
    lines: Lines<'a>,
    text: &'a str,
    at: usize,
}

impl<'a> Vias<'a> {
    pub(super) fn new(lines: Lines<'a>) -> Self {
        Self { lines, text: "", at: 0 }
    }
}

impl<'a> Iterator for Vias<'a> {
    type Item = ViaRef<'a>;

    fn next(&mut self) -> Option<ViaRef<'a>> {
        loop {
            if self.at < self.text.len()
                && let Some(scan) = ViaRef::scan(self.text, self.at)
            {
                self.at = scan.end.map_or(self.text.len(), |end| end.saturating_add(1));
                return Some(scan.via);
            }
            self.text = core::str::from_utf8(self.lines.next()?).unwrap_or_default();
            self.at = 0;
        }
    }
}

/// The addresses of the header fields of one name; a malformed one ends its field.
pub(super) struct NameAddrs<'a> {
    lines: Lines<'a>,
    text: &'a str,
    at: usize,
}

impl<'a> NameAddrs<'a> {
    pub(super) fn new(lines: Lines<'a>) -> Self {
        Self { lines, text: "", at: 0 }
    }
}

impl<'a> Iterator for NameAddrs<'a> {
    type Item = NameAddrRef<'a>;

    fn next(&mut self) -> Option<NameAddrRef<'a>> {
        loop {
            if self.at < self.text.len()
                && let Some((address, end)) = NameAddrRef::scan(self.text, self.at)
            {
                self.at = end.saturating_add(1);
                return Some(address);
            }
            self.text = core::str::from_utf8(self.lines.next()?).unwrap_or_default();
            self.at = 0;
        }
    }
}
