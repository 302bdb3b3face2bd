//! The configuration of an engine.

use std::net::{IpAddr, SocketAddr};

use super::account::codec;
use super::guard::{Access, Failure, Handle, enter, free, guard, last_error, live};
use super::pointer::{Out, slice, subrosa_str};
use super::random::SharedRandom;
use super::status::{
    SUBROSA_ERR_CERTIFICATE, SUBROSA_ERR_PANIC, SUBROSA_ERR_WRONG_STATE, status_of, subrosa_status,
};
use crate::crypto::tls::{TlsIdentity, TlsSettingsError, TrustAnchors};
use crate::engine::Config;
use crate::time::UnixTime;

/// A configuration under construction. It makes one engine, and is freed by who made it.
#[derive(Debug)]
pub struct subrosa_config(pub(super) Handle<ConfigState>);

pub(super) struct ConfigState {
    /// Gone once an engine was made of it: its randomness must not be used twice.
    pub(super) config: Option<Config>,
    /// What subrosa_engine_add_entropy stirs; the platform's own generator needs no stirring.
    pub(super) random: Option<SharedRandom>,
    /// DNS servers for a phone; `None`: the platform's.
    #[cfg(feature = "driver")]
    pub(super) dns: Option<Vec<SocketAddr>>,
}

impl ConfigState {
    pub(super) fn boxed(
        config: Option<Config>,
        random: Option<SharedRandom>,
    ) -> *mut subrosa_config {
        let state = Self {
            config,
            random,
            #[cfg(feature = "driver")]
            dns: None,
        };
        Box::into_raw(Box::new(subrosa_config(Handle::new(state))))
    }
}

/// Makes a configuration with defaults: UDP on a port of the host's choice, no listener, the
/// public CAs, media ports 16384 to 32767.
///
/// `seed` is 32 bytes from the platform's cryptographic generator (getrandom, a hardware
/// generator): every key is drawn from it, so it must be secret and new for each engine. More
/// entropy can be added later with subrosa_engine_add_entropy. `unix_time_us` is the wall clock
/// in microseconds since 1970, for certificates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_new(
    seed: *const u8,
    seed_len: usize,
    unix_time_us: u64,
    out: *mut *mut subrosa_config,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let (seed, out) = unsafe { (slice(seed, seed_len)?, Out::new(out)?) };
        let seed: &[u8; 32] =
            seed.try_into().map_err(|_| Failure::invalid("the seed must have 32 bytes"))?;
        if seed.iter().all(|byte| *byte == 0) {
            return Err(Failure::invalid("the seed is all zero: fill it with random bytes"));
        }
        let random = SharedRandom::new(seed);
        let time = UnixTime::from_micros(unix_time_us);
        let config = Some(Config::new(Box::new(random.clone()), time));
        out.write(ConfigState::boxed(config, Some(random)));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees a configuration; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_free(config: *mut subrosa_config) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(config) }, ());
}

/// Changes a configuration that made no engine yet.
pub(super) unsafe fn set(
    config: *mut subrosa_config,
    change: impl FnOnce(&mut Config) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(config) }.map(|config| &config.0);
    enter(handle, Access::Change, |state, _| match &mut state.config {
        Some(config) => change(config),
        None => Err(used()),
    })
}

pub(super) fn used() -> Failure {
    Failure::new(SUBROSA_ERR_WRONG_STATE, "this configuration made an engine already: make another")
}

/// What the last failing function on this configuration had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_last_error(
    config: *const subrosa_config,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(config).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// An IP address in text.
///
/// # Safety
/// The text is readable.
pub(super) unsafe fn ip_address(text: subrosa_str) -> Result<IpAddr, Failure> {
    // SAFETY: the caller's promise.
    let ip = unsafe { text.text()? }.parse();
    ip.map_err(|_| Failure::invalid("not an IP address"))
}

/// The local IP address that sockets bind to, for example "192.0.2.7"; "0.0.0.0" unless set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_local_ip(
    config: *mut subrosa_config,
    ip: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        config.local_ip = unsafe { ip_address(ip)? };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The local UDP port for SIP: 0 lets the host choose, -1 means no UDP at all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_udp_port(
    config: *mut subrosa_config,
    port: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.udp_port = match port {
            -1 => None,
            port => Some(u16::try_from(port).map_err(|_| Failure::invalid("not a port"))?),
        };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| Failure::invalid("not an address with a port"))
}

unsafe fn listen_address(text: subrosa_str) -> Result<Option<SocketAddr>, Failure> {
    // SAFETY: the caller's promise.
    match unsafe { text.text()? } {
        "" => Ok(None),
        text => address(text).map(Some),
    }
}

/// Where to accept TCP connections, for example "0.0.0.0:5060"; empty for nowhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_listen_tcp(
    config: *mut subrosa_config,
    addr: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        config.listen_tcp = unsafe { listen_address(addr)? };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// Where to accept TLS connections, for example "0.0.0.0:5061"; needs an identity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_listen_tls(
    config: *mut subrosa_config,
    addr: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        config.listen_tls = unsafe { listen_address(addr)? };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

pub(super) fn bad_certificate(error: TlsSettingsError) -> Failure {
    Failure::new(SUBROSA_ERR_CERTIFICATE, error)
}

/// The certificate chain (own certificate first) and its private key, both as PEM text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_identity_pem(
    config: *mut subrosa_config,
    chain: subrosa_str,
    key: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        let (chain, key) = unsafe { (chain.text()?, key.text()?) };
        let identity = TlsIdentity::from_pem(chain.as_bytes(), key.as_bytes());
        config.identity = Some(identity.map_err(bad_certificate)?);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The CAs to trust instead of the public ones, as PEM text; empty trusts nobody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_trust_pem(
    config: *mut subrosa_config,
    cas: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        config.trust = match unsafe { cas.text()? } {
            "" => TrustAnchors::none(),
            cas => TrustAnchors::from_pem(cas.as_bytes()).map_err(bad_certificate)?,
        };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The ports for RTP and RTCP, both ends included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_media_ports(
    config: *mut subrosa_config,
    first: u16,
    last: u16,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.media_ports = first..=last;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The value of User-Agent and Server; empty for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_user_agent(
    config: *mut subrosa_config,
    text: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        config.user_agent = unsafe { text.text()? }.to_owned();
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The user part of our Contact where no account applies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_local_user(
    config: *mut subrosa_config,
    user: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        config.local_user = unsafe { user.text()? }.to_owned();
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The codecs that calls may use at all, each a SUBROSA_CODEC_: what accounts and calls name beside
/// them is left out. All of the library unless set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_codecs(
    config: *mut subrosa_config,
    codecs: *const i32,
    count: usize,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        let numbers = unsafe { slice(codecs, count)? };
        config.codecs = numbers.iter().map(|n| codec(*n)).collect::<Result<_, _>>()?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// How many calls there may be at the same time (64 unless set).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_max_calls(
    config: *mut subrosa_config,
    calls: u32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.max_calls = calls as usize;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// A call whose media is protected worse than that of earlier calls with the same peer is ended
/// before any audio (1), or only told of: SUBROSA_EVENT_SECURITY_DOWNGRADE (0, unless set).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_refuse_downgrade(
    config: *mut subrosa_config,
    on: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.refuse_downgrade = on != 0;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The sending of a call's media stops when it harms the network, or when the far end's reports
/// fail to come: SUBROSA_EVENT_CIRCUIT_BREAKER (1, unless set). Switch it off (0) only where the
/// network cannot be congested.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_circuit_breaker(
    config: *mut subrosa_config,
    on: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.circuit_breaker = on != 0;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// When a domain's policy becomes stricter, moves its running plain calls to SRTP (1), or keeps
/// them as they are (0, unless set).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_upgrade_running_calls(
    config: *mut subrosa_config,
    on: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.upgrade_running_calls = on != 0;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}
