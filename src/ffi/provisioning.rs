//! Provisioning documents.

use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
#[cfg(feature = "driver")]
use super::phone::subrosa_phone;
use super::pointer::{Out, slice_mut, subrosa_str};
use super::status::{SUBROSA_ERR_INVALID, subrosa_status};
use crate::engine::provisioning::{Format, Provisioning, ProvisioningError, ProvisioningOutcome};
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
            let document = document(text.text()?, format)?;
            let now = Instant::from_micros(now_us);
            let outcome = state.engine.provision(now, &document).map_err(bad)?;
            tell(&outcome, room, out);
            Ok(())
        })
    }
}

/// The same for a phone. A library without the feature `provisioning` does not have this function.
#[cfg(feature = "driver")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_provision(
    phone: *mut subrosa_phone,
    text: subrosa_str,
    format: i32,
    accounts: *mut u64,
    accounts_len: usize,
    out: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        super::phone::with(phone, Access::Change, |phone, _| {
            let out = Out::new(out)?;
            let room = slice_mut(accounts, accounts_len)?;
            let document = document(text.text()?, format)?;
            let outcome = phone.with_engine(move |engine, now| engine.provision(now, &document))?;
            tell(&outcome.map_err(bad)?, room, out);
            Ok(())
        })
    }
}

fn bad(error: ProvisioningError) -> Failure {
    Failure::new(SUBROSA_ERR_INVALID, error)
}

fn document(text: &str, format: i32) -> Result<Provisioning, Failure> {
    let format = match format {
        SUBROSA_FORMAT_TOML => Format::Toml,
        SUBROSA_FORMAT_JSON => Format::Json,
        _ => return Err(Failure::invalid("not a SUBROSA_FORMAT_")),
    };
    Provisioning::parse(text, format).map_err(bad)
}

fn tell(outcome: &ProvisioningOutcome, room: &mut [u64], out: Out<usize>) {
    room.iter_mut().zip(&outcome.accounts).for_each(|(slot, id)| *slot = id.to_raw());
    out.write(outcome.accounts.len());
}
