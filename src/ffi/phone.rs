//! A phone that runs by itself: its life, its events, its accounts (feature `driver`).

use std::ffi::c_void;
use std::net::SocketAddr;

use super::account::{copied, policy, policy_number, subrosa_account_config, subrosa_account_info};
use super::account::{source_number, unknown_account, uri};
use super::config::{ConfigState, address, ip_address, subrosa_config, used};
use super::event::subrosa_event;
use super::guard::{Access, Failure, Handle, Texts, enter, free, guard, last_error, live};
use super::ladder::{subrosa_ladder_step, write_steps};
use super::log::{Logger, level, subrosa_logger};
use super::output::{SUBROSA_OUTPUT_EVENT, SUBROSA_OUTPUT_TIMEOUT, subrosa_output};
use super::pointer::{Out, OutStruct, slice_mut, subrosa_str};
use super::status::{
    SUBROSA_ERR_PANIC, SUBROSA_ERR_STOPPED, SUBROSA_ERR_SYSTEM, SUBROSA_ERR_WRONG_STATE, status_of,
    subrosa_status,
};
use crate::driver::{DnsConfig, Phone, PhoneError};
use crate::engine::{AccountId, Engine, LogLevel};
use crate::time::{Duration, Instant};

/// A running phone: an engine, its sockets and its audio on a thread of their own. Each thread of
/// the program that commands it has a handle of its own, by subrosa_phone_clone.
#[derive(Debug)]
pub struct subrosa_phone(Handle<PhoneState>);

struct PhoneState {
    phone: Phone,
    logger: Option<Logger>,
}

impl From<PhoneError> for Failure {
    fn from(error: PhoneError) -> Self {
        match error {
            PhoneError::Config(error) => error.into(),
            PhoneError::Account(error) => error.into(),
            PhoneError::Call(error) => error.into(),
            PhoneError::Policy(error) => error.into(),
            PhoneError::Stopped => Self::new(SUBROSA_ERR_STOPPED, error),
            PhoneError::OnDriverThread => Self::new(SUBROSA_ERR_WRONG_STATE, error),
            error => Self::new(SUBROSA_ERR_SYSTEM, error),
        }
    }
}

/// Enters a phone.
///
/// # Safety
/// `phone` is NULL or a live handle.
pub(super) unsafe fn with(
    phone: *const subrosa_phone,
    access: Access,
    run: impl FnOnce(&Phone, &mut Texts) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(phone) }.map(|phone| &phone.0);
    enter(handle, access, |state, texts| run(&state.phone, texts))
}

/// Does with the engine, on the phone's thread, what the phone has no function for.
pub(super) fn on_engine<R: Send + 'static>(
    phone: &Phone,
    run: impl FnOnce(&mut Engine, Instant) -> Result<R, Failure> + Send + 'static,
) -> Result<R, Failure> {
    phone.with_engine(run)?
}

fn boxed(phone: Phone) -> *mut subrosa_phone {
    Box::into_raw(Box::new(subrosa_phone(Handle::new(PhoneState { phone, logger: None }))))
}

/// Makes a configuration with the platform's generator and clock; else as subrosa_config_new.
/// Only in a library built with the feature `driver`, as all subrosa_phone_ functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_config_new(out: *mut *mut subrosa_config) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        out.write(ConfigState::boxed(Some(Phone::config()), None));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// The DNS servers that a phone asks, for example "192.0.2.53:53", separated by commas, instead
/// of the platform's; empty for none at all. An engine alone has no use for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_dns_servers(
    config: *mut subrosa_config,
    servers: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(config) }.map(|config| &config.0);
    enter(handle, Access::Change, |state, _| {
        // SAFETY: the caller's promise.
        let text = unsafe { servers.text()? };
        let each = text.split(',').map(str::trim).filter(|server| !server.is_empty());
        state.dns = Some(each.map(address).collect::<Result<Vec<SocketAddr>, _>>()?);
        Ok(())
    })
}

/// Makes a phone and starts its thread. The configuration is used up, whether or not this
/// succeeds, and still has to be freed; subrosa_config_last_error tells what is wrong with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_new(
    config: *mut subrosa_config,
    out: *mut *mut subrosa_phone,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(config) }.map(|config| &config.0);
    enter(handle, Access::Change, |state, _| {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        let builder = Phone::builder(state.config.take().ok_or_else(used)?);
        let builder = match state.dns.take() {
            Some(servers) => builder.dns(DnsConfig::new(servers)),
            None => builder,
        };
        out.write(boxed(builder.start()?));
        Ok(())
    })
}

/// Another handle to the same phone, for another thread. Each event goes to one of the handles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_clone(
    phone: *const subrosa_phone,
    out: *mut *mut subrosa_phone,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            Out::new(out)?.write(boxed(phone.clone()));
            Ok(())
        })
    }
}

/// Frees a handle; NULL is fine. With the last one the phone hangs up and ends by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_free(phone: *mut subrosa_phone) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(phone) }, ());
}

/// Hangs up all calls, un-registers all accounts and waits, 3 s at most, until that is said.
/// Whatever is asked of the phone later gives SUBROSA_ERR_STOPPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_stop(phone: *mut subrosa_phone) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            phone.stop();
            Ok(())
        })
    }
}

/// What the last failing function on this handle had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_last_error(
    phone: *const subrosa_phone,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(phone).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// The phone's clock now, microseconds: that of registered_until_us.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_now(
    phone: *const subrosa_phone,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            Out::new(out)?.write(phone.clock().now().as_micros());
            Ok(())
        })
    }
}

/// Waits for the next event, `timeout_ms` at most (0: does not wait). `out` is of kind
/// SUBROSA_OUTPUT_EVENT, or SUBROSA_OUTPUT_TIMEOUT if nothing came; set its `size` before.
/// The handle is busy while this waits: other threads have handles of their own.
/// SUBROSA_ERR_STOPPED once the phone was stopped and its last event was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_next_event(
    phone: *mut subrosa_phone,
    timeout_ms: u32,
    out: *mut subrosa_output,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(phone) }.map(|phone| &phone.0);
    enter(handle, Access::Change, |state, texts| {
        // SAFETY: the caller's promise.
        let out = unsafe { OutStruct::new(out)? };
        state.log();
        let phone = &state.phone;
        let output = match phone.next_event(Duration::from_millis(u64::from(timeout_ms))) {
            Some(event) => subrosa_output {
                event: subrosa_event::from_event(&event, texts),
                ..subrosa_output::new(SUBROSA_OUTPUT_EVENT, 0)
            },
            // A phone that was stopped must not look like one that has nothing to say.
            None => phone.driver_stats().map(|_| subrosa_output::new(SUBROSA_OUTPUT_TIMEOUT, 0))?,
        };
        state.log();
        out.write(output);
        Ok(())
    })
}

impl PhoneState {
    /// Hands out what the engine logged. A phone that was stopped has nothing more to log.
    fn log(&self) {
        let Some(logger) = self.logger else { return };
        let take = |engine: &mut Engine, _| std::iter::from_fn(|| engine.poll_log()).collect();
        let records: Vec<_> = self.phone.with_engine(take).unwrap_or_default();
        records.iter().for_each(|record| logger.log(record));
    }
}

/// Gives this handle a logger, in place of the one before; NULL for none. It is called with
/// `user` by subrosa_phone_next_event on this handle, on the thread that waits there: before it
/// waits, and before it returns. Of several handles to a phone one should log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_logger(
    phone: *mut subrosa_phone,
    number: i32,
    logger: subrosa_logger,
    user: *mut c_void,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(phone) }.map(|phone| &phone.0);
    enter(handle, Access::Change, |state, _| {
        let level = level(number)?;
        let logger = Logger::new(logger, user, level);
        let wanted = if logger.is_some() { level } else { LogLevel::Off };
        state.phone.with_engine(move |engine, _| engine.set_log_level(wanted))?;
        state.logger = logger;
        Ok(())
    })
}

/// Adds an account and gives its id. The configuration is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_add_account(
    phone: *mut subrosa_phone,
    account: *const subrosa_account_config,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let account = match unsafe { copied(account) } {
        Ok(account) => account,
        Err(status) => return status,
    };
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let out = Out::new(out)?;
            out.write(phone.add_account(account)?.to_raw());
            Ok(())
        })
    }
}

/// Removes an account, un-registering first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_remove_account(
    phone: *mut subrosa_phone,
    account: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            Ok(phone.remove_account(AccountId::from_raw(account))?)
        })
    }
}

/// What is known of an account.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_account(
    phone: *const subrosa_phone,
    account: u64,
    out: *mut subrosa_account_info,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, texts| {
            let (out, id) = (OutStruct::new(out)?, AccountId::from_raw(account));
            let status = phone.account(id)?.ok_or_else(|| unknown_account(id))?;
            out.write(subrosa_account_info::of(&status, texts));
            Ok(())
        })
    }
}

/// Sets a domain's policy, a SUBROSA_POLICY_; new calls follow it at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_domain_policy(
    phone: *mut subrosa_phone,
    domain: subrosa_str,
    number: i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            Ok(phone.set_domain_policy(domain.text()?, policy(number)?)?)
        })
    }
}

/// The policy of a domain, a SUBROSA_POLICY_.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_policy_of(
    phone: *const subrosa_phone,
    domain: subrosa_str,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let (out, domain) = (Out::new(out)?, domain.text()?.to_owned());
            let policy = on_engine(phone, move |engine, _| Ok(engine.policy_of(&domain)))?;
            out.write(policy_number(policy));
            Ok(())
        })
    }
}

/// As subrosa_engine_domain_policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_domain_policy(
    phone: *const subrosa_phone,
    domain: subrosa_str,
    out_policy: *mut i32,
    out_source: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let (policy, source) = (Out::new(out_policy)?, Out::new(out_source)?);
            let domain = domain.text()?.to_owned();
            let effective = on_engine(phone, move |engine, _| Ok(engine.domain_policy(&domain)))?;
            policy.write(policy_number(effective.policy));
            source.write(source_number(effective.source));
            Ok(())
        })
    }
}

/// As subrosa_engine_account_ladder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_account_ladder(
    phone: *const subrosa_phone,
    account: u64,
    steps: *mut subrosa_ladder_step,
    room: usize,
    out_count: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, texts| {
            let (places, out) = (slice_mut(steps, room)?, Out::new(out_count)?);
            let id = AccountId::from_raw(account);
            let status = phone.account(id)?.ok_or_else(|| unknown_account(id))?;
            out.write(write_steps(places, &status.ladder, texts));
            Ok(())
        })
    }
}

/// The address of this host from now on, for example "192.0.2.7". Sockets that exist follow with
/// subrosa_phone_network_changed, which comes next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_local_ip(
    phone: *mut subrosa_phone,
    ip: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { with(phone, Access::Change, |phone, _| Ok(phone.set_local_ip(ip_address(ip)?)?)) }
}

/// The host's addresses changed: every flow is opened anew, and running calls tell the far end
/// where they are now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_network_changed(
    phone: *mut subrosa_phone,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { with(phone, Access::Change, |phone, _| Ok(phone.network_changed()?)) }
}

/// Calls `to`, a SIP or SIPS URI, from an account, and gives the call's id. `audio` is used up;
/// NULL is silence. Its sample rate must be that of the options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_place_call(
    phone: *mut subrosa_phone,
    account: u64,
    to: subrosa_str,
    call_options: *const super::call_options::subrosa_call_options,
    audio: *mut super::call_audio::subrosa_call_audio,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let (out, to) = (Out::new(out)?, uri(to.text()?)?);
            let options = super::call_options::options(call_options)?;
            let audio = super::call_audio::take(audio, options.sample_rate)?;
            let call = phone.place_call(AccountId::from_raw(account), to, options, audio)?;
            out.write(call.to_raw());
            Ok(())
        })
    }
}
