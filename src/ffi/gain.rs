//! How loud a call is sent and heard.

use super::call::command;
use super::engine::subrosa_engine;
use super::guard::Access;
use super::media::{subrosa_media, with};
#[cfg(feature = "driver")]
use super::phone::subrosa_phone;
use super::status::subrosa_status;
use crate::time::Instant;

/// How much louder the far end hears us, in dB: up to +24; -90 or less is silence. A change takes 10 ms. It holds
/// for the whole call and may be set before there is media.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_set_send_gain(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    db: f32,
) -> subrosa_status {
    let now = Instant::from_micros(now_us);
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.set_send_gain(now, db)?)) }
}

/// How much louder the far end is heard, in dB: up to +24; -90 or less is silence. A change takes 10 ms. It holds
/// for the whole call and may be set before there is media.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_set_receive_gain(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    db: f32,
) -> subrosa_status {
    let now = Instant::from_micros(now_us);
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.set_receive_gain(now, db)?)) }
}

/// How much louder the far end hears us, in dB: up to +24; -90 or less is silence. A change takes 10 ms.
#[cfg(feature = "driver")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_send_gain(
    phone: *mut subrosa_phone,
    call: u64,
    db: f32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { super::phone_call::command(phone, call, |phone, call| phone.set_send_gain(call, db)) }
}

/// How much louder the far end is heard, in dB: up to +24; -90 or less is silence. A change takes 10 ms.
#[cfg(feature = "driver")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_receive_gain(
    phone: *mut subrosa_phone,
    call: u64,
    db: f32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        super::phone_call::command(phone, call, |phone, call| phone.set_receive_gain(call, db))
    }
}

/// How much louder the far end hears us in a session that was taken, in dB, as subrosa_call_set_send_gain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_set_send_gain(
    media: *mut subrosa_media,
    db: f32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            session.set_send_gain(db);
            Ok(())
        })
    }
}

/// How much louder the far end is heard in a session that was taken, in dB, as subrosa_call_set_receive_gain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_set_receive_gain(
    media: *mut subrosa_media,
    db: f32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            session.set_receive_gain(db);
            Ok(())
        })
    }
}
