//! The boundary that every exported function goes through: one thread at a time, no panic out.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use super::pointer::{Out, subrosa_str};
use super::status::{
    SUBROSA_ERR_BUSY, SUBROSA_ERR_INVALID, SUBROSA_ERR_NULL, SUBROSA_ERR_PANIC, SUBROSA_OK,
    subrosa_status,
};

/// Why a function did not succeed: the status, and a sentence for `subrosa_engine_last_error`.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: subrosa_status,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(status: subrosa_status, text: impl ToString) -> Self {
        Self { status, text: text.to_string() }
    }

    pub(super) fn invalid(text: impl ToString) -> Self {
        Self::new(SUBROSA_ERR_INVALID, text)
    }
}

/// Runs what cannot be expected to panic, and gives `otherwise` if it does.
pub(super) fn guard<R>(run: impl FnOnce() -> R, otherwise: R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(otherwise)
}

/// What stands behind an opaque handle.
pub(super) struct Handle<T> {
    busy: AtomicBool,
    poisoned: AtomicBool,
    inner: UnsafeCell<Inner<T>>,
}

/// The value and the strings that C may still look at.
struct Inner<T> {
    value: T,
    texts: Texts,
    error: String,
}

/// Strings lent to C: each lives until the next call that changes something.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<Box<str>>);

impl Texts {
    /// Keeps a string and lends it. Equal strings are kept once, so asking again and again
    /// costs no memory.
    pub(super) fn lend(&mut self, text: &str) -> subrosa_str {
        if text.is_empty() {
            return subrosa_str::borrowed("");
        }
        if let Some(kept) = self.0.iter().find(|kept| &***kept == text) {
            return subrosa_str::borrowed(kept);
        }
        let kept: Box<str> = text.into();
        let lent = subrosa_str::borrowed(&kept);
        self.0.push(kept);
        lent
    }
}

/// What stands behind a handle may be secret, and may be in use.
impl<T> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// Whether a call ends the life of the strings lent before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Read,
    Change,
}

impl<T> Handle<T> {
    pub(super) fn new(value: T) -> Self {
        let inner = Inner { value, texts: Texts::default(), error: String::new() };
        Self {
            busy: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            inner: UnsafeCell::new(inner),
        }
    }

    /// Takes the lock that is none: a second thread is turned away.
    fn claim(&self) -> Result<(), subrosa_status> {
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(SUBROSA_ERR_BUSY);
        }
        if self.poisoned.load(Ordering::Relaxed) {
            self.busy.store(false, Ordering::Release);
            return Err(SUBROSA_ERR_PANIC);
        }
        Ok(())
    }

    fn with(&self, run: impl FnOnce(&mut Inner<T>) -> Result<(), Failure>) -> subrosa_status {
        if let Err(status) = self.claim() {
            return status;
        }
        // SAFETY: `busy` was false and is now ours, so nobody else has a reference to the inside.
        let inner = unsafe { &mut *self.inner.get() };
        let result = catch_unwind(AssertUnwindSafe(|| match run(inner) {
            Ok(()) => SUBROSA_OK,
            Err(failure) => {
                inner.error = failure.text;
                failure.status
            }
        }));
        if result.is_err() {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        self.busy.store(false, Ordering::Release);
        result.unwrap_or(SUBROSA_ERR_PANIC)
    }

    /// Gives the last failure's sentence; it stays until the next failure.
    fn last_error(&self, give: impl FnOnce(subrosa_str) -> Result<(), Failure>) -> subrosa_status {
        self.with(|inner| give(subrosa_str::borrowed(&inner.error)))
    }
}

/// Enters a handle: the way of every exported function that has one.
pub(super) fn enter<T>(
    handle: Option<&Handle<T>>,
    access: Access,
    run: impl FnOnce(&mut T, &mut Texts) -> Result<(), Failure>,
) -> subrosa_status {
    let Some(handle) = handle else { return SUBROSA_ERR_NULL };
    handle.with(|inner| {
        if access == Access::Change {
            inner.texts.0.clear();
        }
        run(&mut inner.value, &mut inner.texts)
    })
}

/// Writes the last failure's sentence of a handle: the one body of all `_last_error` functions.
///
/// # Safety
/// `out` as for [`Out::new`].
pub(super) unsafe fn last_error<T>(
    handle: Option<&Handle<T>>,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = |error| unsafe { Out::new(out) }.map(|out| out.write(error));
    handle.map_or(SUBROSA_ERR_NULL, |handle| handle.last_error(give))
}

/// The handle that C gave; none if it is NULL, or cannot be one because it is not aligned.
///
/// # Safety
/// `handle` is NULL or came from `Box::into_raw` and was not freed before.
pub(super) unsafe fn live<'a, H>(handle: *const H) -> Option<&'a H> {
    // SAFETY: aligned; the rest is the caller's promise.
    if handle.is_aligned() { unsafe { handle.as_ref() } } else { None }
}

/// Frees a handle. A panic while dropping is swallowed: there is nobody left to tell.
///
/// # Safety
/// `handle` is NULL or came from `Box::into_raw` and was not freed before.
pub(super) unsafe fn free<H>(handle: *mut H) {
    if !handle.is_null() && handle.is_aligned() {
        // SAFETY: the caller's promise.
        guard(|| drop(unsafe { Box::from_raw(handle) }), ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::status::SUBROSA_ERR_WRONG_STATE;

    #[test]
    fn a_panic_poisons_the_handle_and_stays_inside() {
        let handle = Handle::new(0);
        let bug = enter(Some(&handle), Access::Change, |_, _| panic!("a bug"));
        assert_eq!(bug, SUBROSA_ERR_PANIC);
        assert_eq!(enter(Some(&handle), Access::Read, |_, _| Ok(())), SUBROSA_ERR_PANIC);
    }

    #[test]
    fn a_panic_without_a_handle_stays_inside_even_one_while_freeing() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("a bug in drop");
            }
        }
        assert_eq!(guard(|| panic!("a bug"), 7), 7);
        // SAFETY: it comes from `Box::into_raw`, and is freed once.
        unsafe { free(Box::into_raw(Box::new(Bomb))) };
    }

    #[test]
    fn what_is_freed_is_dropped_once_and_what_cannot_be_a_handle_is_left_alone() {
        let shared = std::rc::Rc::new(());
        let handle = Box::into_raw(Box::new(shared.clone()));
        // SAFETY: NULL, one that is not aligned, and then what comes from `Box::into_raw`.
        unsafe {
            free(std::ptr::null_mut::<std::rc::Rc<()>>());
            free(handle.byte_add(1));
            assert_eq!(std::rc::Rc::strong_count(&shared), 2);
            free(handle);
        }
        assert_eq!(std::rc::Rc::strong_count(&shared), 1);
    }

    #[test]
    fn a_second_entry_is_turned_away_and_the_first_goes_on() {
        let handle = Handle::new(1);
        let status = enter(Some(&handle), Access::Change, |value, _| {
            let second = enter(Some(&handle), Access::Read, |_, _| Ok(()));
            assert_eq!(second, SUBROSA_ERR_BUSY);
            *value = 2;
            Ok(())
        });
        assert_eq!(status, SUBROSA_OK);
        let check = |value: &mut i32, _: &mut Texts| {
            assert_eq!(*value, 2);
            Err(Failure::new(SUBROSA_ERR_WRONG_STATE, "because"))
        };
        assert_eq!(enter(Some(&handle), Access::Read, check), SUBROSA_ERR_WRONG_STATE);
        let mut text = None;
        handle.last_error(|error| {
            text = Some(error.len);
            Ok(())
        });
        assert_eq!(text, Some(7));
        assert_eq!(enter::<()>(None, Access::Read, |_, _| Ok(())), SUBROSA_ERR_NULL);
    }

    #[test]
    fn a_failures_sentence_stays_until_the_next_failure() {
        let handle = Handle::new(());
        let fail =
            |text: &str| enter(Some(&handle), Access::Change, |_, _| Err(Failure::invalid(text)));
        let error = || {
            let mut text = String::new();
            handle.last_error(|error| {
                // SAFETY: lent by the handle, which is not entered meanwhile.
                text = unsafe { error.text() }?.to_owned();
                Ok(())
            });
            text
        };
        fail("first");
        assert_eq!(enter(Some(&handle), Access::Change, |(), _| Ok(())), SUBROSA_OK);
        assert_eq!((error(), error()), ("first".into(), "first".into()));
        fail("second");
        assert_eq!(error(), "second");
    }

    #[test]
    fn lent_strings_live_until_something_changes() {
        let handle = Handle::new(());
        let lend = |access, text: &str, kept: usize| {
            enter(Some(&handle), access, |(), texts| {
                texts.lend(text);
                assert_eq!(texts.0.len(), kept);
                Ok(())
            })
        };
        for (access, text, kept) in [
            (Access::Change, "a", 1),
            (Access::Read, "b", 2),
            (Access::Read, "c", 3),
            (Access::Change, "d", 1),
        ] {
            assert_eq!(lend(access, text, kept), SUBROSA_OK);
        }
    }

    #[test]
    fn lent_strings_are_kept_once() {
        let mut texts = Texts::default();
        let (a, b) = (texts.lend("x"), texts.lend("x"));
        assert_eq!(a.ptr, b.ptr);
        assert_eq!(texts.0.len(), 1);
    }
}
