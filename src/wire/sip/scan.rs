//! Searches for bytes: all of the grammar goes through here, so that tests can count what they look
//! at.
#![allow(clippy::disallowed_methods)] // the one place that searches

/// The bytes up to the hit, or all of them.
#[inline]
fn looked(hit: Option<usize>, _length: usize) -> Option<usize> {
    #[cfg(test)]
    crate::util::work::look_at(hit.unwrap_or(_length) + 1);
    hit
}

#[inline]
pub(super) fn memchr(byte: u8, text: &[u8]) -> Option<usize> {
    looked(memchr::memchr(byte, text), text.len())
}

#[inline]
pub(super) fn memchr2(one: u8, two: u8, text: &[u8]) -> Option<usize> {
    looked(memchr::memchr2(one, two, text), text.len())
}

#[inline]
pub(super) fn memchr3(one: u8, two: u8, three: u8, text: &[u8]) -> Option<usize> {
    looked(memchr::memchr3(one, two, three, text), text.len())
}

/// Where `word` begins.
#[inline]
pub(super) fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    looked(memchr::memmem::find(text, word), text.len())
}

/// A word that is looked for more than once.
pub(super) struct Finder<'n>(memchr::memmem::Finder<'n>);

impl<'n> Finder<'n> {
    pub(super) fn new(word: &'n [u8]) -> Self {
        Self(memchr::memmem::Finder::new(word))
    }

    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        looked(self.0.find(text), text.len())
    }
}

/// Every place of `byte`.
#[cfg(not(test))]
#[inline]
pub(super) fn memchr_iter(byte: u8, text: &[u8]) -> memchr::Memchr<'_> {
    memchr::memchr_iter(byte, text)
}

/// The same, counted as far as it is gone through.
#[cfg(test)]
pub(super) fn memchr_iter(byte: u8, text: &[u8]) -> impl Iterator<Item = usize> {
    let mut from = 0;
    core::iter::from_fn(move || {
        let hit = memchr(byte, text.get(from..)?)? + from;
        from = hit + 1;
        Some(hit)
    })
}
