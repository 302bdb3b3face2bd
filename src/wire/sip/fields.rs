//! Where the header fields of a message and the values in them stand.

use alloc::{string::String, vec::Vec};

use super::name::HeaderName;
use crate::util::{reserve_wiped, wipe};

/// Where a header field stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldSpan {
    pub(super) name: (u16, u16),
    pub(super) value: (u16, u16),
    pub(super) name_id: HeaderName,
}

/// The bytes of a span of positions.
#[inline]
pub(super) fn slice(buf: &[u8], span: (u16, u16)) -> &[u8] {
    buf.get(usize::from(span.0)..usize::from(span.1)).unwrap_or_default()
}

/// The bytes of a message: as text where they are UTF-8, so that no value is checked twice. Bodies
/// may hold keys (RFC 4568): zeroized when dropped, and where they move.
#[derive(Clone)]
pub(super) enum Buffer {
    Text(String),
    Bytes(Vec<u8>),
}

impl Buffer {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// All of it; `None` if it is not UTF-8.
    #[inline]
    pub(super) fn all_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(_) => None,
        }
    }

    /// The text of a span; `None` if it is not UTF-8.
    #[inline]
    pub(super) fn text(&self, span: (u16, u16)) -> Option<&str> {
        match self {
            Self::Text(text) => text.get(usize::from(span.0)..usize::from(span.1)),
            Self::Bytes(bytes) => core::str::from_utf8(slice(bytes, span)).ok(),
        }
    }

    /// Makes room for `count` more bytes.
    pub(super) fn reserve_exact(&mut self, count: usize) {
        let needed = self.as_bytes().len().saturating_add(count);
        match self {
            Self::Text(text) if needed > text.capacity() => {
                let mut moved = String::with_capacity(needed);
                moved.push_str(text);
                wipe(&mut core::mem::replace(text, moved).into_bytes());
            }
            Self::Text(_) => {}
            Self::Bytes(bytes) => reserve_wiped(bytes, count),
        }
    }

    pub(super) fn push(&mut self, more: &[u8]) {
        if self.as_bytes().len().saturating_add(more.len()) > self.capacity() {
            self.reserve_exact(more.len().max(self.capacity()));
        }
        match (&mut *self, core::str::from_utf8(more)) {
            (Self::Text(text), Ok(more)) => text.push_str(more),
            _ => {
                let mut bytes = self.take();
                bytes.extend_from_slice(more);
                *self = Self::Bytes(bytes);
            }
        }
    }

    /// Drops what is after `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        if self.as_bytes().len() > length {
            self.rewrite(|bytes| {
                bytes.truncate(length);
                // What was cut off is still there.
                wipe_spare(bytes);
            });
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Bytes(bytes) => bytes.capacity(),
        }
    }

    /// Changes the bytes; they are text afterwards if they can be.
    pub(super) fn rewrite(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.take();
        change(&mut bytes);
        *self = Self::new(bytes);
    }

    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Text(text) => core::mem::take(text).into_bytes(),
            Self::Bytes(bytes) => core::mem::take(bytes),
        }
    }
}

/// Zeroizes what lies behind the end.
fn wipe_spare(bytes: &mut Vec<u8>) {
    let length = bytes.len();
    bytes.resize(bytes.capacity(), 0);
    bytes.truncate(length);
}

impl Drop for Buffer {
    fn drop(&mut self) {
        wipe(&mut self.take());
    }
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
