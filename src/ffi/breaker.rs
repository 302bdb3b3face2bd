//! The circuit breakers of RFC 8083: what stopped the sending, and how it goes on.

use super::call::command;
use super::engine::subrosa_engine;
use super::guard::{Access, Failure};
use super::media::{subrosa_media, with};
#[cfg(feature = "driver")]
use super::phone::subrosa_phone;
use super::status::{SUBROSA_ERR_WRONG_STATE, subrosa_status};
use crate::media::breaker::BreakerReason;
use crate::time::Instant;

/// Nothing was stopped.
pub const SUBROSA_BREAKER_NONE: i32 = 0;
/// The far end reported before, and has not reported on what is sent for 15 s.
pub const SUBROSA_BREAKER_RTCP_TIMEOUT: i32 = 1;
/// The far end reports again and again that nothing of what is sent arrives.
pub const SUBROSA_BREAKER_MEDIA_TIMEOUT: i32 = 2;
/// More is sent than ten times what TCP would send over this path.
pub const SUBROSA_BREAKER_CONGESTION: i32 = 3;
/// Something that this version of the C interface does not know.
pub const SUBROSA_BREAKER_OTHER: i32 = 4;

pub(super) const fn breaker_number(reason: Option<BreakerReason>) -> i32 {
    match reason {
        None => SUBROSA_BREAKER_NONE,
        Some(BreakerReason::RtcpTimeout) => SUBROSA_BREAKER_RTCP_TIMEOUT,
        Some(BreakerReason::MediaTimeout) => SUBROSA_BREAKER_MEDIA_TIMEOUT,
        Some(BreakerReason::Congestion) => SUBROSA_BREAKER_CONGESTION,
        #[allow(unreachable_patterns)]
        Some(_) => SUBROSA_BREAKER_OTHER,
    }
}

/// Sends media again after SUBROSA_EVENT_CIRCUIT_BREAKER, because a person wants to;
/// SUBROSA_ERR_WRONG_STATE if nothing was stopped, or less than 15 s ago.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_restart_sending(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.restart_sending(Instant::from_micros(now_us))?)) }
}

/// Sends media again after SUBROSA_EVENT_CIRCUIT_BREAKER, because a person wants to;
/// SUBROSA_ERR_WRONG_STATE if nothing was stopped, or less than 15 s ago.
#[cfg(feature = "driver")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_restart_sending(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { super::phone_call::command(phone, call, |phone, call| phone.restart_sending(call)) }
}

/// Sends media again after SUBROSA_MEDIA_EVENT_CIRCUIT_BREAKER, because a person wants to;
/// SUBROSA_ERR_WRONG_STATE if nothing was stopped, or less than 15 s ago.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_restart_sending(
    media: *mut subrosa_media,
    now_us: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            let restarted = session.restart_sending(Instant::from_micros(now_us));
            let wrong = "nothing was stopped, or less than 15 s ago";
            restarted.then_some(()).ok_or_else(|| Failure::new(SUBROSA_ERR_WRONG_STATE, wrong))
        })
    }
}

/// Switches the circuit breaker of a session that was taken on (1) or off (0); see
/// subrosa_config_set_circuit_breaker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_set_circuit_breaker(
    media: *mut subrosa_media,
    now_us: u64,
    on: i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            session.set_circuit_breaker(Instant::from_micros(now_us), on != 0);
            Ok(())
        })
    }
}
