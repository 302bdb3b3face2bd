//! The engine: its life and its inputs.

use super::account::policy;
use super::addr::subrosa_addr;
use super::config::{ip_address, subrosa_config, used};
use super::guard::{Access, Failure, Handle, Texts, enter, free, guard, last_error, live};
use super::log::Logger;
use super::pointer::{Out, slice, slice_mut, subrosa_str};
use super::random::SharedRandom;
use super::status::{SUBROSA_ERR_PANIC, subrosa_status};
use crate::engine::{Engine, Input};
use crate::sip::{ListenerId, SocketId, StreamId};
use crate::time::{Instant, UnixTime};

/// A secure-call engine. All times given to it are microseconds on one monotonic clock of the
/// host's choice.
#[derive(Debug)]
pub struct subrosa_engine(pub(super) Handle<EngineState>);

pub(super) struct EngineState {
    pub(super) engine: Engine,
    random: Option<SharedRandom>,
    pub(super) logger: Option<Logger>,
}

/// Enters an engine.
///
/// # Safety
/// `engine` is NULL or a live handle.
pub(super) unsafe fn with(
    engine: *const subrosa_engine,
    access: Access,
    run: impl FnOnce(&mut EngineState, &mut Texts) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    enter(unsafe { live(engine) }.map(|engine| &engine.0), access, |state, texts| {
        let result = run(state, texts);
        if let Some(logger) = state.logger {
            while let Some(record) = state.engine.poll_log() {
                logger.log(&record);
            }
        }
        result
    })
}

/// Gives the engine an input.
unsafe fn input(engine: *mut subrosa_engine, now_us: u64, input: Input<'_>) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            Ok(state.engine.handle_input(Instant::from_micros(now_us), input)?)
        })
    }
}

/// Makes an engine. The configuration is used up, whether or not this succeeds, and still has to
/// be freed; subrosa_config_last_error tells what is wrong with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_new(
    config: *mut subrosa_config,
    now_us: u64,
    out: *mut *mut subrosa_engine,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(config) }.map(|config| &config.0);
    enter(handle, Access::Change, |state, _| {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        let config = state.config.take().ok_or_else(used)?;
        let engine = Engine::new(config, Instant::from_micros(now_us))?;
        let state = EngineState { engine, random: state.random.clone(), logger: None };
        out.write(Box::into_raw(Box::new(subrosa_engine(Handle::new(state)))));
        Ok(())
    })
}

/// Frees an engine; NULL is fine. Calls are not hung up: see subrosa_engine_shut_down.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_free(engine: *mut subrosa_engine) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(engine) }, ());
}

/// What the last failing function on this engine had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_last_error(
    engine: *const subrosa_engine,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(engine).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// Adds entropy to the engine's generator: any number of bytes, any time. An engine of
/// subrosa_phone_config_new draws from the platform's generator, which needs none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_add_entropy(
    engine: *mut subrosa_engine,
    bytes: *const u8,
    len: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let bytes = slice(bytes, len)?;
            if let Some(random) = &state.random {
                random.stir(bytes);
            }
            Ok(())
        })
    }
}

/// Sets a domain's policy, a SUBROSA_POLICY_; new calls follow it at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_set_domain_policy(
    engine: *mut subrosa_engine,
    now_us: u64,
    domain: subrosa_str,
    number: i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (domain, policy) = (domain.text()?, policy(number)?);
            let now = Instant::from_micros(now_us);
            Ok(state.engine.set_domain_policy(now, domain, policy)?)
        })
    }
}

/// The policy of a domain, a SUBROSA_POLICY_.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_policy_of(
    engine: *const subrosa_engine,
    domain: subrosa_str,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = Out::new(out)?;
            let policy = state.engine.policy_of(domain.text()?);
            out.write(super::account::policy_number(policy));
            Ok(())
        })
    }
}

/// The policy of a domain, a SUBROSA_POLICY_, and whether it was set: a SUBROSA_POLICY_SOURCE_.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_domain_policy(
    engine: *const subrosa_engine,
    domain: subrosa_str,
    out_policy: *mut i32,
    out_source: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let (policy, source) = (Out::new(out_policy)?, Out::new(out_source)?);
            let effective = state.engine.domain_policy(domain.text()?);
            policy.write(super::account::policy_number(effective.policy));
            source.write(super::account::source_number(effective.source));
            Ok(())
        })
    }
}

/// Hangs up all calls and un-registers all accounts. Go on polling until nothing comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_shut_down(
    engine: *mut subrosa_engine,
    now_us: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            state.engine.shut_down(Instant::from_micros(now_us));
            Ok(())
        })
    }
}

/// The instant of SUBROSA_OUTPUT_TIMEOUT has come; early or late is harmless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_timeout(
    engine: *mut subrosa_engine,
    now_us: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { input(engine, now_us, Input::Timeout) }
}

/// A datagram arrived on a socket. Its bytes are changed: they are decrypted in place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_datagram(
    engine: *mut subrosa_engine,
    now_us: u64,
    socket: u64,
    remote: subrosa_addr,
    payload: *mut u8,
    len: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (payload, remote) = (slice_mut(payload, len)?, remote.address()?);
            let socket = SocketId::from_raw(socket);
            let input = Input::Datagram { socket, remote, payload };
            Ok(state.engine.handle_input(Instant::from_micros(now_us), input)?)
        })
    }
}

/// SUBROSA_OUTPUT_BIND_UDP was carried out; `local` is the address that the far end can use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_udp_bound(
    engine: *mut subrosa_engine,
    now_us: u64,
    socket: u64,
    local: subrosa_addr,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let input =
                Input::UdpBound { socket: SocketId::from_raw(socket), local: local.address()? };
            Ok(state.engine.handle_input(Instant::from_micros(now_us), input)?)
        })
    }
}

/// SUBROSA_OUTPUT_BIND_UDP failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_udp_bind_failed(
    engine: *mut subrosa_engine,
    now_us: u64,
    socket: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { input(engine, now_us, Input::UdpBindFailed { socket: SocketId::from_raw(socket) }) }
}

/// SUBROSA_OUTPUT_LISTEN was carried out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_listening(
    engine: *mut subrosa_engine,
    now_us: u64,
    listener: u64,
    local: subrosa_addr,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let listener = ListenerId::from_raw(listener);
            let input = Input::Listening { listener, local: local.address()? };
            Ok(state.engine.handle_input(Instant::from_micros(now_us), input)?)
        })
    }
}

/// SUBROSA_OUTPUT_LISTEN failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_listen_failed(
    engine: *mut subrosa_engine,
    now_us: u64,
    listener: u64,
) -> subrosa_status {
    let failed = Input::ListenFailed { listener: ListenerId::from_raw(listener) };
    // SAFETY: the caller's promise.
    unsafe { input(engine, now_us, failed) }
}

/// A connection was accepted on a listener; gives the id of the stream. On failure: close it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_accept_stream(
    engine: *mut subrosa_engine,
    now_us: u64,
    listener: u64,
    remote: subrosa_addr,
    local: subrosa_addr,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let out = Out::new(out)?;
            let (remote, local) = (remote.address()?, local.address()?);
            let (now, listener) = (Instant::from_micros(now_us), ListenerId::from_raw(listener));
            let stream = state.engine.accept_stream(now, listener, remote, local)?;
            out.write(stream.to_raw());
            Ok(())
        })
    }
}

/// SUBROSA_OUTPUT_CONNECT was carried out; `local` is our end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_stream_connected(
    engine: *mut subrosa_engine,
    now_us: u64,
    stream: u64,
    local: subrosa_addr,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let stream = StreamId::from_raw(stream);
            let input = Input::StreamConnected { stream, local: local.address()? };
            Ok(state.engine.handle_input(Instant::from_micros(now_us), input)?)
        })
    }
}

/// Bytes arrived on a stream: in order, cut anywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_stream_data(
    engine: *mut subrosa_engine,
    now_us: u64,
    stream: u64,
    data: *const u8,
    len: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let data = slice(data, len)?;
            let input = Input::StreamData { stream: StreamId::from_raw(stream), data };
            Ok(state.engine.handle_input(Instant::from_micros(now_us), input)?)
        })
    }
}

/// A stream ended, broke or could not be connected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_stream_closed(
    engine: *mut subrosa_engine,
    now_us: u64,
    stream: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { input(engine, now_us, Input::StreamClosed { stream: StreamId::from_raw(stream) }) }
}

/// The address of this host from now on, for example "192.0.2.7". Sockets that exist follow with
/// subrosa_engine_handle_network_changed, which comes next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_set_local_ip(
    engine: *mut subrosa_engine,
    ip: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            state.engine.set_local_ip(ip_address(ip)?);
            Ok(())
        })
    }
}

/// The host's addresses changed: every flow is opened anew, and running calls tell the far end
/// where they are now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_network_changed(
    engine: *mut subrosa_engine,
    now_us: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { input(engine, now_us, Input::NetworkChanged) }
}

/// Corrects the wall clock: microseconds since 1970.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_wall_clock(
    engine: *mut subrosa_engine,
    now_us: u64,
    unix_time_us: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { input(engine, now_us, Input::WallClock(UnixTime::from_micros(unix_time_us))) }
}

#[cfg(test)]
mod tests {
    use super::super::config::{subrosa_config_free, subrosa_config_new};
    use super::super::status::SUBROSA_OK;
    use super::*;
    use crate::engine::{AccountConfig, CallOptions};

    /// The Call-ID of the first call of an engine of this seed, into which this was stirred.
    fn first_call_id(seed: u8, entropy: &[&[u8]]) -> String {
        let seed = [seed; 32];
        let (mut config, mut engine) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: what is pointed to lives as long as it is used.
        unsafe {
            assert_eq!(subrosa_config_new(seed.as_ptr(), 32, 1, &mut config), SUBROSA_OK);
            assert_eq!(subrosa_engine_new(config, 0, &mut engine), SUBROSA_OK);
            for bytes in entropy {
                let status = subrosa_engine_add_entropy(engine, bytes.as_ptr(), bytes.len());
                assert_eq!(status, SUBROSA_OK);
            }
        }
        let mut id = String::new();
        let call = |state: &mut EngineState, _: &mut Texts| {
            let mut account = AccountConfig::new("sip:me@example.com".parse().unwrap());
            account.register = false;
            let account = state.engine.add_account(Instant::ZERO, account).unwrap();
            let to = "sip:you@example.com".parse().unwrap();
            let options = CallOptions::default();
            let call = state.engine.place_call(Instant::ZERO, account, &to, options).unwrap();
            id = state.engine.call(call).unwrap().sip_call_id().to_owned();
            Ok(())
        };
        // SAFETY: both live, and are freed once.
        unsafe {
            assert_eq!(with(engine, Access::Change, call), SUBROSA_OK);
            subrosa_engine_free(engine);
            subrosa_config_free(config);
        }
        assert!(!id.is_empty());
        id
    }

    #[test]
    fn what_an_engine_draws_follows_its_seed_and_all_that_was_stirred_into_it() {
        assert_eq!(first_call_id(1, &[]), first_call_id(1, &[]));
        let all = [
            first_call_id(1, &[]),
            first_call_id(2, &[]),
            first_call_id(1, &[b"a"]),
            first_call_id(1, &[b"b"]),
            first_call_id(1, &[b"a", b"b"]),
            first_call_id(1, &[b"b", b"a"]),
        ];
        for (at, id) in all.iter().enumerate() {
            assert!(!all.iter().skip(at + 1).any(|other| other == id), "{at}: {all:?}");
        }
    }
}
