//! How media is keyed: SRTP suites, lifetimes, versions of DTLS.

use super::config::{set, subrosa_config};
use super::guard::Failure;
use super::pointer::subrosa_str;
use super::status::subrosa_status;
use crate::crypto::dtls::DtlsVersions;
use crate::crypto::srtp::Suite;
use crate::engine::Config;

/// DTLS 1.3 where the peer has it, else 1.2.
pub const SUBROSA_DTLS_ALL: i32 = 0;
/// DTLS 1.2 only.
pub const SUBROSA_DTLS_ONLY_12: i32 = 1;
/// DTLS 1.3 only.
pub const SUBROSA_DTLS_ONLY_13: i32 = 2;

/// The SRTP suites by their names in SDP, with commas between them, the preferred one first, for
/// example "AEAD_AES_256_GCM,AES_CM_128_HMAC_SHA1_80": offered in this order, and no other is
/// accepted. Empty: the engine's own list, and all are accepted.
///
/// The engine's own list is AEAD_AES_256_GCM, AEAD_AES_128_GCM, AES_256_CM_HMAC_SHA1_80,
/// AES_CM_128_HMAC_SHA1_80. Offered only where they are named: AES_192_CM_HMAC_SHA1_80,
/// AES_256_CM_HMAC_SHA1_32, AES_192_CM_HMAC_SHA1_32, AES_CM_128_HMAC_SHA1_32 and, for old
/// equipment, F8_128_HMAC_SHA1_80.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_srtp_suites(
    config: *mut subrosa_config,
    names: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        let names = unsafe { names.text()? };
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let suites: Option<Vec<Suite>> = names.map(Suite::from_sdp_name).collect();
        config.srtp_suites =
            suites.ok_or_else(|| Failure::invalid("a name is that of no SRTP suite"))?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// How many packets one SDES key of ours may protect, 1 to 2^48: our descriptions say so, and new
/// keys are agreed on before. 0: as many as SRTP allows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_srtp_key_lifetime(
    config: *mut subrosa_config,
    packets: u64,
) -> subrosa_status {
    let change = |config: &mut Config| {
        if packets > 1 << 48 {
            return Err(Failure::invalid("a key lasts for 2^48 packets at most"));
        }
        config.srtp_key_lifetime = (packets > 0).then_some(packets);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The versions of DTLS that are offered and accepted: one of SUBROSA_DTLS_, SUBROSA_DTLS_ALL
/// unless set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_dtls_versions(
    config: *mut subrosa_config,
    versions: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.dtls_versions = match versions {
            SUBROSA_DTLS_ALL => DtlsVersions::All,
            SUBROSA_DTLS_ONLY_12 => DtlsVersions::Only12,
            SUBROSA_DTLS_ONLY_13 => DtlsVersions::Only13,
            other => return Err(Failure::invalid(format!("{other} is no SUBROSA_DTLS_"))),
        };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}
