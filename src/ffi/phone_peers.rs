//! What a phone remembers of peers (feature `driver`).

use super::account::uri;
use super::guard::Access;
use super::identity::{subrosa_safety_number, write_bytes};
use super::peers::not_remembered;
use super::phone::{on_engine, subrosa_phone, with};
use super::pointer::{Out, slice, slice_mut, subrosa_str};
use super::status::subrosa_status;
use crate::engine::{CallError, CallId};

/// As subrosa_engine_export_peers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_export_peers(
    phone: *const subrosa_phone,
    buf: *mut u8,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let (buf, len) = (slice_mut(buf, room)?, Out::new(len)?);
            let bytes = on_engine(phone, |engine, _| Ok(engine.export_peers()))?;
            len.write(write_bytes(buf, &bytes)?);
            Ok(())
        })
    }
}

/// As subrosa_engine_import_peers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_import_peers(
    phone: *mut subrosa_phone,
    bytes: *const u8,
    len: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let bytes = slice(bytes, len)?.to_vec();
            on_engine(phone, move |engine, _| Ok(engine.import_peers(&bytes)?))
        })
    }
}

/// As subrosa_engine_forget_peer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_forget_peer(
    phone: *mut subrosa_phone,
    peer: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let peer = uri(peer.text()?)?;
            match on_engine(phone, move |engine, _| Ok(engine.forget_peer(&peer)))? {
                true => Ok(()),
                false => Err(not_remembered()),
            }
        })
    }
}

/// As subrosa_call_safety_number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_safety_number(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut *mut subrosa_safety_number,
) -> subrosa_status {
    let id = CallId::from_raw(call);
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let out = Out::new(out)?;
            let number = on_engine(phone, move |engine, _| {
                Ok(engine.call(id).ok_or(CallError::UnknownCall(id))?.safety_number())
            })?;
            out.write(subrosa_safety_number::boxed(number)?);
            Ok(())
        })
    }
}

/// As subrosa_call_confirm_safety_number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_confirm_safety_number(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    let id = CallId::from_raw(call);
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            on_engine(phone, move |engine, now| {
                Ok(engine.call(id).ok_or(CallError::UnknownCall(id))?.confirm_safety_number(now)?)
            })
        })
    }
}
