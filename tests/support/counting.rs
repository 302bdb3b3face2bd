//! An allocator that counts what the present thread asks for. The binary that includes this runs
//! under it.
#![allow(unsafe_code, unreachable_pub)] // a global allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn hold(more: usize, less: usize) {
    HELD.set(HELD.get() + more as i64 - less as i64);
    ASKED.set(ASKED.get() + more as u64);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        hold(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        hold(size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that this thread asked for and did not give back yet.
#[allow(dead_code)]
pub fn held() -> i64 {
    HELD.get()
}

/// Allocations of this thread so far.
#[allow(dead_code)]
pub fn allocations() -> u64 {
    COUNT.get()
}

/// Bytes that this thread has asked for so far; what grows counts anew.
#[allow(dead_code)]
pub fn allocated() -> u64 {
    ASKED.get()
}
