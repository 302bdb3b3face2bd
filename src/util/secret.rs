//! Values that must not leak: zeroized when dropped, absent from `Debug`, compared in constant
//! time.

use alloc::vec::Vec;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A secret value. `Debug` prints `[redacted]`; the memory is zeroized on drop.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes a secret into custody.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The secret itself: the name makes each use easy to find in a review.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The secret itself, to be filled or changed in place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize + Default> Default for Secret<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Constant-time comparison (the lengths are not secret).
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl<T: Zeroize> core::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Zeroizes all that the vector holds or held, and empties it.
pub(crate) fn wipe(bytes: &mut Vec<u8>) {
    // What is behind the end is written in bulk, what is before it byte by byte.
    bytes.clear();
    bytes.zeroize();
}

/// Makes room for so many more bytes. Where the vector must move for it, what it leaves behind is
/// zeroized.
pub(crate) fn reserve_wiped(bytes: &mut Vec<u8>, more: usize) {
    let needed = bytes.len().saturating_add(more);
    if needed > bytes.capacity() {
        let mut moved = Vec::with_capacity(needed.max(bytes.capacity().saturating_mul(2)));
        moved.extend_from_slice(bytes);
        wipe(bytes);
        *bytes = moved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    #[test]
    fn debug_never_shows_the_value() {
        let s = Secret::new(String::from("hunter2"));
        assert_eq!(format!("{s:?}"), "[redacted]");
        assert!(s.ct_eq(b"hunter2") && !s.ct_eq(b"hunter3") && !s.ct_eq(b"hunter"));
    }
}
