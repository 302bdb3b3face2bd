//! Where the header fields of a message and the values in them stand.

use super::name::HeaderName;
use super::name_addr::AddressParts;
use super::via::ViaParts;

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

/// A value that was read at parsing: which field it stands in, and where its parts are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) field: u16,
    pub(super) parts: ValueParts,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ValueParts {
    Via(ViaParts),
    Address(AddressParts),
}
