//! Provisioning documents.

use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
use super::pointer::{Out, slice_mut, subrosa_str};
use super::status::{SUBROSA_ERR_INVALID, subrosa_status};
use crate::engine::provisioning::{Format, Provisioning};
use crate::time::Instant;

/// A document is TOML.
pub const SUBROSA_FORMAT_TOML: i32 = 0;
/// A document is JSON.
pub const SUBROSA_FORMAT_JSON: i32 = 1;

/// Makes the engine what a provisioning document says, everything or nothing, and if it is applied
/// again changes only what changed. The format is a SUBROSA_FORMAT_. The ids of its accounts, in
/// its order, go to `accounts` as far as there is room; `out` is how many there are. The document
/// names no files. subrosa_engine_last_error has each mistake, with its line, on a line. A library
/// without the feature `provisioning` does not have this function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_provision(
    engine: *mut subrosa_engine,
    now_us: u64,
    text: subrosa_str,
    format: i32,
    accounts: *mut u64,
    accounts_len: usize,
    out: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let out = Out::new(out)?;
            let room = slice_mut(accounts, accounts_len)?;
            let format = match format {
                SUBROSA_FORMAT_TOML => Format::Toml,
                SUBROSA_FORMAT_JSON => Format::Json,
                _ => return Err(Failure::invalid("not a SUBROSA_FORMAT_")),
            };
            let bad = |error| Failure::new(SUBROSA_ERR_INVALID, error);
            let document = Provisioning::parse(text.text()?, format).map_err(bad)?;
            let now = Instant::from_micros(now_us);
            let outcome = state.engine.provision(now, &document).map_err(bad)?;
            room.iter_mut().zip(&outcome.accounts).for_each(|(slot, id)| *slot = id.to_raw());
            out.write(outcome.accounts.len());
            Ok(())
        })
    }
}
