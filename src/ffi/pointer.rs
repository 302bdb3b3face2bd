//! Pointers from C, checked, and strings to C.

use std::ffi::c_char;
use std::mem::{MaybeUninit, size_of};

use super::guard::Failure;
use super::status::{SUBROSA_ERR_NULL, SUBROSA_ERR_STRUCT_SIZE, SUBROSA_ERR_UTF8};

/// A string: UTF-8, not NUL-terminated. One that a function gives lives until the next call on
/// that handle that changes something, polling included. One that a function takes is only
/// read during the call; its pointer may be NULL if its length is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// Bytes.
    pub len: usize,
}

impl subrosa_str {
    pub(super) const fn borrowed(text: &str) -> Self {
        Self { ptr: text.as_ptr().cast(), len: text.len() }
    }

    /// The string that C gave.
    ///
    /// # Safety
    /// `ptr` points to `len` bytes that nobody changes for `'a`.
    pub(super) unsafe fn text<'a>(self) -> Result<&'a str, Failure> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { slice(self.ptr.cast::<u8>(), self.len)? };
        std::str::from_utf8(bytes)
            .map_err(|_| Failure::new(SUBROSA_ERR_UTF8, "a string is not UTF-8"))
    }
}

fn null() -> Failure {
    Failure::new(SUBROSA_ERR_NULL, "a pointer is NULL")
}

fn check<T>(pointer: *const T) -> Result<(), Failure> {
    match (pointer.is_null(), pointer.is_aligned()) {
        (true, _) => Err(null()),
        (_, false) => Err(Failure::invalid("a pointer is not aligned for its type")),
        _ => Ok(()),
    }
}

/// Elements that C gave; none at all may come with NULL.
///
/// # Safety
/// `ptr` points to `len` elements that nobody changes for `'a`.
pub(super) unsafe fn slice<'a, T>(ptr: *const T, len: usize) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    check(ptr)?;
    check_len::<T>(len)?;
    // SAFETY: not NULL, aligned, of a length that an object can have; the rest is the promise.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// The same, to be written.
///
/// # Safety
/// `ptr` points to `len` elements that nobody else uses for `'a`.
pub(super) unsafe fn slice_mut<'a, T>(ptr: *mut T, len: usize) -> Result<&'a mut [T], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(ptr)?;
    check_len::<T>(len)?;
    // SAFETY: not NULL, aligned, of a length that an object can have; the rest is the promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(ptr, len) })
}

fn check_len<T>(len: usize) -> Result<(), Failure> {
    let most = isize::MAX as usize / size_of::<T>().max(1);
    if len > most { Err(Failure::invalid("a length is impossible")) } else { Ok(()) }
}

/// A place for one result: written at the end, if all went well.
pub(super) struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    /// Checks the pointer before any work is done.
    ///
    /// # Safety
    /// `pointer` points to a place for a `T` that nobody else uses during the call.
    pub(super) unsafe fn new(pointer: *mut T) -> Result<Self, Failure> {
        check(pointer)?;
        Ok(Self(pointer))
    }

    pub(super) fn write(self, value: T) {
        // SAFETY: not NULL, aligned, and by `new`'s promise ours; `T: Copy`, nothing is dropped.
        unsafe { self.0.write(value) }
    }
}

/// A struct that may grow: its first field is its size in bytes, as its user knows it.
///
/// # Safety
/// `repr(C)`, `Copy`, and its first field is a `u32`: the size.
pub(super) unsafe trait Versioned: Copy {
    /// The size of its first version.
    const FIRST: usize;
    /// Sets the first field.
    fn set_size(&mut self, size: u32);
}

/// A place for a struct whose size the caller tells in its first field.
pub(super) struct OutStruct<T> {
    pointer: *mut T,
    room: usize,
}

/// What the first field of a versioned struct says.
///
/// # Safety
/// `pointer` is NULL or points to a struct as large as its first field says.
unsafe fn told_size<T: Versioned>(pointer: *const T) -> Result<usize, Failure> {
    check(pointer)?;
    // SAFETY: the first field of a `Versioned` is a u32; aligned, as the struct is.
    let told = unsafe { pointer.cast::<u32>().read() } as usize;
    if told < T::FIRST {
        let text = format!("size is {told}: set it to the size of the struct");
        return Err(Failure::new(SUBROSA_ERR_STRUCT_SIZE, text));
    }
    Ok(told)
}

impl<T: Versioned> OutStruct<T> {
    /// Checks the pointer and the size before any work is done.
    ///
    /// # Safety
    /// `pointer` points to a struct as large as its first field says.
    pub(super) unsafe fn new(pointer: *mut T) -> Result<Self, Failure> {
        // SAFETY: the caller's promise.
        let room = unsafe { told_size(pointer)? }.min(size_of::<T>());
        Ok(Self { pointer, room })
    }

    /// Writes as much as the caller has room for, and says so in the first field.
    pub(super) fn write(self, mut value: T) {
        value.set_size(u32::try_from(self.room).unwrap_or(u32::MAX));
        let from = (&raw const value).cast::<MaybeUninit<u8>>();
        let to = self.pointer.cast::<MaybeUninit<u8>>();
        // SAFETY: `room` bytes are within both; a local and a foreign struct do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, to, self.room) }
    }
}

/// A struct that C gave: what its version does not have keeps its default.
///
/// # Safety
/// `pointer` points to a struct as large as its first field says.
pub(super) unsafe fn read_struct<T: Versioned>(
    pointer: *const T,
    mut default: T,
) -> Result<T, Failure> {
    // SAFETY: the caller's promise.
    let given = unsafe { told_size(pointer)? }.min(size_of::<T>());
    let from = pointer.cast::<MaybeUninit<u8>>();
    let to = (&raw mut default).cast::<MaybeUninit<u8>>();
    // SAFETY: `given` bytes are within both; a local and a foreign struct do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(from, to, given) }
    Ok(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct that has grown: its first version ended with `first`, its second with `second`.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Grown {
        size: u32,
        first: u32,
        second: u32,
        third: u32,
    }

    // SAFETY: repr(C), Copy, the first field is the size.
    unsafe impl Versioned for Grown {
        const FIRST: usize = 8;
        fn set_size(&mut self, size: u32) {
            self.size = size;
        }
    }

    const WHOLE: u32 = size_of::<Grown>() as u32;
    const OURS: Grown = Grown { size: 0, first: 1, second: 2, third: 3 };

    /// A caller's struct of this size, with memory of the caller's own behind it.
    fn theirs(size: u32) -> [Grown; 2] {
        [Grown { size, first: 77, second: 77, third: 77 }; 2]
    }

    #[test]
    fn a_caller_with_an_older_header_gets_what_it_has_room_for() {
        for (size, expected) in [
            (8, Grown { size: 8, first: 1, second: 77, third: 77 }),
            (12, Grown { size: 12, first: 1, second: 2, third: 77 }),
            (WHOLE, Grown { size: WHOLE, ..OURS }),
            // A later header's: the size tells how much of it counts.
            (2 * WHOLE, Grown { size: WHOLE, ..OURS }),
        ] {
            let mut place = theirs(size);
            // SAFETY: as large as it says.
            unsafe { OutStruct::new(&raw mut place[0]) }.unwrap().write(OURS);
            assert_eq!(place, [expected, theirs(size)[1]], "{size}");
        }
    }

    #[test]
    fn what_an_older_header_does_not_have_keeps_its_default() {
        for (size, expected) in [
            (8, Grown { size: 8, first: 77, second: 2, third: 3 }),
            (12, Grown { size: 12, first: 77, second: 77, third: 3 }),
            (WHOLE, theirs(WHOLE)[0]),
        ] {
            let given = theirs(size);
            // SAFETY: as large as it says.
            assert_eq!(unsafe { read_struct(&raw const given[0], OURS) }.unwrap(), expected);
        }
    }

    /// If all of it were copied, it would overwrite the stack.
    #[test]
    fn of_a_later_header_only_what_is_known_is_read() {
        let given = [Grown { size: 4096 * WHOLE, first: 5, second: 6, third: 7 }; 4096];
        // SAFETY: as large as it says.
        assert_eq!(unsafe { read_struct(given.as_ptr(), OURS) }.unwrap(), given[0]);
    }

    #[test]
    fn a_size_below_the_first_version_is_refused_both_ways() {
        for size in [0, 1, 7] {
            let mut place = theirs(size);
            let pointer = &raw mut place[0];
            // SAFETY: larger than it says.
            let (out, read) =
                unsafe { (OutStruct::new(pointer).err(), read_struct(pointer, OURS).err()) };
            for failure in [out, read] {
                assert_eq!(failure.unwrap().status, SUBROSA_ERR_STRUCT_SIZE, "{size}");
            }
            assert_eq!(place, theirs(size), "nothing is written");
        }
    }
}
