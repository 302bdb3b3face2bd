//! The parts of the examples that are worth a test of their own: what is on the screen, and what
//! the verdict of the secure call rests on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs, dead_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../examples/softphone/display.rs"]
mod display;
#[path = "../examples/secure_call/display.rs"]
mod live_line;
#[path = "../examples/secure_call/summary.rs"]
mod summary;
#[path = "../examples/secure_call/wire_check.rs"]
mod wire_check;
