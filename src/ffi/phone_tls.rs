//! TLS and debugging of a phone that runs by itself (feature `driver`).

use std::ffi::c_char;

use super::guard::Access;
use super::phone::{on_engine, subrosa_phone, with};
use super::pointer::{Out, OutStruct, slice_mut, subrosa_str};
use super::status::subrosa_status;
use super::tls::{bad, none_of_its_own, subrosa_tls_options, write_line};
use super::trace::subrosa_sip_trace;

/// As subrosa_engine_tls_options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_tls_options(
    phone: *const subrosa_phone,
    out: *mut *mut subrosa_tls_options,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let out = Out::new(out)?;
            let options = on_engine(phone, |engine, _| Ok(engine.tls_options()))?;
            out.write(subrosa_tls_options::boxed(options));
            Ok(())
        })
    }
}

/// As subrosa_engine_set_domain_tls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_domain_tls(
    phone: *mut subrosa_phone,
    domain: subrosa_str,
    options: *const subrosa_tls_options,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let given = match unsafe { subrosa_tls_options::taken(options) } {
        Ok(given) => given,
        Err(status) => return status,
    };
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let domain = domain.text()?.to_owned();
            on_engine(phone, move |engine, _| engine.set_domain_tls(&domain, given).map_err(bad))
        })
    }
}

/// As subrosa_engine_clear_domain_tls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_clear_domain_tls(
    phone: *mut subrosa_phone,
    domain: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let domain = domain.text()?.to_owned();
            match on_engine(phone, move |engine, _| Ok(engine.clear_domain_tls(&domain)))? {
                true => Ok(()),
                false => Err(none_of_its_own()),
            }
        })
    }
}

/// As subrosa_engine_poll_key_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_poll_key_log(
    phone: *mut subrosa_phone,
    buf: *mut c_char,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let (buf, len) = (slice_mut(buf.cast::<u8>(), room)?, Out::new(len)?);
            let poll = || on_engine(phone, |engine, _| Ok(engine.poll_key_log()));
            len.write(write_line(buf, poll)?);
            Ok(())
        })
    }
}

/// As subrosa_engine_poll_sip_trace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_poll_sip_trace(
    phone: *mut subrosa_phone,
    out: *mut subrosa_sip_trace,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, texts| {
            let out = OutStruct::new(out)?;
            let record = on_engine(phone, |engine, _| Ok(engine.poll_sip_trace()))?;
            out.write(subrosa_sip_trace::of(record.as_ref(), texts));
            Ok(())
        })
    }
}
