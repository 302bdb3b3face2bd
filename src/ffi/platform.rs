//! The operating system's trust store (feature `platform-roots`).

use super::config::{set, subrosa_config};
use super::guard::Failure;
use super::status::{SUBROSA_ERR_SYSTEM, subrosa_status};
use crate::driver::platform_trust;

/// Trusts whom the operating system trusts, instead of the public CAs. SUBROSA_ERR_SYSTEM if it
/// has no trust store. Only in a library built with the feature `platform-roots`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_trust_platform(
    config: *mut subrosa_config,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        set(config, |config| {
            let trust = platform_trust();
            config.trust = trust.map_err(|error| Failure::new(SUBROSA_ERR_SYSTEM, error))?;
            Ok(())
        })
    }
}
