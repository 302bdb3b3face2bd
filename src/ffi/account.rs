//! Accounts.

use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure, Handle, Texts, enter, free, guard, live};
use super::pointer::{Out, OutStruct, Versioned, slice, subrosa_str};
use super::status::{
    SUBROSA_ERR_PANIC, SUBROSA_ERR_UNKNOWN_ID, SUBROSA_ERR_URI, status_of, subrosa_status,
};
use crate::engine::{
    AccountConfig, AccountId, AccountState, AccountStatus, Codec, PolicySource, SecurityPolicy,
};
use crate::sip::Transport;
use crate::time::{Duration, Instant};
use crate::util::Secret;
use crate::wire::sip::Uri;

/// No TLS, no SRTP.
pub const SUBROSA_POLICY_OFF: i32 = 0;
/// TLS and SRTP wherever both ends can; otherwise the call completes as usual.
pub const SUBROSA_POLICY_PREFERRED: i32 = 1;
/// TLS and SRTP, or no call.
pub const SUBROSA_POLICY_REQUIRED: i32 = 2;

/// No transport yet, or whichever policy and DNS choose.
pub const SUBROSA_TRANSPORT_ANY: i32 = 0;
/// UDP.
pub const SUBROSA_TRANSPORT_UDP: i32 = 1;
/// TCP.
pub const SUBROSA_TRANSPORT_TCP: i32 = 2;
/// TLS.
pub const SUBROSA_TRANSPORT_TLS: i32 = 3;

/// No codec (yet).
pub const SUBROSA_CODEC_NONE: i32 = 0;
/// G.722, 16 kHz.
pub const SUBROSA_CODEC_G722: i32 = 1;
/// G.711 mu-law.
pub const SUBROSA_CODEC_PCMU: i32 = 2;
/// G.711 A-law.
pub const SUBROSA_CODEC_PCMA: i32 = 3;
/// Opus, in builds with the feature `opus` or `libopus`.
pub const SUBROSA_CODEC_OPUS: i32 = 4;
/// L16 at 8 kHz: samples of 16 bits as they are. None of the three is offered unless it is named.
pub const SUBROSA_CODEC_L16_NARROWBAND: i32 = 5;
/// L16 at 16 kHz.
pub const SUBROSA_CODEC_L16_WIDEBAND: i32 = 6;
/// L16 at 48 kHz, in packets of 10 ms.
pub const SUBROSA_CODEC_L16_FULLBAND: i32 = 7;

/// Not registered, and not trying.
pub const SUBROSA_ACCOUNT_UNREGISTERED: i32 = 0;
/// Registering.
pub const SUBROSA_ACCOUNT_REGISTERING: i32 = 1;
/// Calls reach the account.
pub const SUBROSA_ACCOUNT_REGISTERED: i32 = 2;
/// The last attempt failed.
pub const SUBROSA_ACCOUNT_FAILED: i32 = 3;

pub(super) fn policy(number: i32) -> Result<SecurityPolicy, Failure> {
    match number {
        SUBROSA_POLICY_OFF => Ok(SecurityPolicy::Off),
        SUBROSA_POLICY_PREFERRED => Ok(SecurityPolicy::Preferred),
        SUBROSA_POLICY_REQUIRED => Ok(SecurityPolicy::Required),
        other => Err(Failure::invalid(format!("{other} is not a SUBROSA_POLICY_"))),
    }
}

pub(super) const fn policy_number(policy: SecurityPolicy) -> i32 {
    match policy {
        SecurityPolicy::Off => SUBROSA_POLICY_OFF,
        SecurityPolicy::Preferred => SUBROSA_POLICY_PREFERRED,
        SecurityPolicy::Required => SUBROSA_POLICY_REQUIRED,
    }
}

/// Nothing was set.
pub const SUBROSA_POLICY_SOURCE_DEFAULT: i32 = 0;
/// The domain's policy.
pub const SUBROSA_POLICY_SOURCE_DOMAIN: i32 = 1;
/// The account's own, stricter than its domain's.
pub const SUBROSA_POLICY_SOURCE_ACCOUNT: i32 = 2;
/// The call's own, stricter than its account's.
pub const SUBROSA_POLICY_SOURCE_CALL: i32 = 3;

pub(super) const fn source_number(source: PolicySource) -> i32 {
    match source {
        PolicySource::Default => SUBROSA_POLICY_SOURCE_DEFAULT,
        PolicySource::Domain => SUBROSA_POLICY_SOURCE_DOMAIN,
        PolicySource::Account => SUBROSA_POLICY_SOURCE_ACCOUNT,
        PolicySource::Call => SUBROSA_POLICY_SOURCE_CALL,
    }
}

pub(super) const fn transport_number(transport: Transport) -> i32 {
    match transport {
        Transport::Udp => SUBROSA_TRANSPORT_UDP,
        Transport::Tcp => SUBROSA_TRANSPORT_TCP,
        Transport::Tls => SUBROSA_TRANSPORT_TLS,
    }
}

pub(super) fn codec(number: i32) -> Result<Codec, Failure> {
    match number {
        SUBROSA_CODEC_G722 => Ok(Codec::G722),
        SUBROSA_CODEC_PCMU => Ok(Codec::Pcmu),
        SUBROSA_CODEC_PCMA => Ok(Codec::Pcma),
        SUBROSA_CODEC_OPUS => Ok(Codec::Opus),
        SUBROSA_CODEC_L16_NARROWBAND => Ok(Codec::L16Narrowband),
        SUBROSA_CODEC_L16_WIDEBAND => Ok(Codec::L16Wideband),
        SUBROSA_CODEC_L16_FULLBAND => Ok(Codec::L16Fullband),
        other => Err(Failure::invalid(format!("{other} is not a SUBROSA_CODEC_"))),
    }
}

pub(super) const fn codec_number(codec: Option<Codec>) -> i32 {
    match codec {
        None => SUBROSA_CODEC_NONE,
        Some(Codec::G722) => SUBROSA_CODEC_G722,
        Some(Codec::Pcmu) => SUBROSA_CODEC_PCMU,
        Some(Codec::Pcma) => SUBROSA_CODEC_PCMA,
        Some(Codec::Opus) => SUBROSA_CODEC_OPUS,
        Some(Codec::L16Narrowband) => SUBROSA_CODEC_L16_NARROWBAND,
        Some(Codec::L16Wideband) => SUBROSA_CODEC_L16_WIDEBAND,
        Some(Codec::L16Fullband) => SUBROSA_CODEC_L16_FULLBAND,
    }
}

pub(super) fn uri(text: &str) -> Result<Uri, Failure> {
    Uri::parse(text).map_err(|error| Failure::new(SUBROSA_ERR_URI, error))
}

/// An account under construction, freed by who made it.
#[derive(Debug)]
pub struct subrosa_account_config(pub(super) Handle<AccountConfig>);

/// Makes an account for an address of record such as "sip:alice@example.com". It registers at
/// its domain, with all codecs, unless set otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_new(
    aor: subrosa_str,
    out: *mut *mut subrosa_account_config,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let (aor, out) = unsafe { (aor.text()?, Out::new(out)?) };
        let handle = Handle::new(AccountConfig::new(uri(aor)?));
        out.write(Box::into_raw(Box::new(subrosa_account_config(handle))));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees an account configuration; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_free(account: *mut subrosa_account_config) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(account) }, ());
}

pub(super) unsafe fn set(
    account: *mut subrosa_account_config,
    change: impl FnOnce(&mut AccountConfig) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(account) }.map(|account| &account.0);
    enter(handle, Access::Change, |account, _| change(account))
}

unsafe fn set_text(
    account: *mut subrosa_account_config,
    text: subrosa_str,
    change: impl FnOnce(&mut AccountConfig, &str) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { set(account, |account| change(account, text.text()?)) }
}

/// The name shown to the people that are called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_display_name(
    account: *mut subrosa_account_config,
    name: subrosa_str,
) -> subrosa_status {
    let change = |account: &mut AccountConfig, name: &str| {
        name.clone_into(&mut account.display_name);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_text(account, name, change) }
}

/// User name and password for Digest; an empty user is the AOR's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_credentials(
    account: *mut subrosa_account_config,
    user: subrosa_str,
    password: subrosa_str,
) -> subrosa_status {
    let change = |account: &mut AccountConfig, user: &str| {
        // SAFETY: the caller's promise.
        let password = unsafe { password.text()? };
        user.clone_into(&mut account.auth_user);
        account.password = Some(Secret::new(password.to_owned()));
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_text(account, user, change) }
}

/// The only realm whose challenges are answered; empty for the first that the server shows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_realm(
    account: *mut subrosa_account_config,
    realm: subrosa_str,
) -> subrosa_status {
    let change = |account: &mut AccountConfig, realm: &str| {
        account.realm = (!realm.is_empty()).then(|| realm.to_owned());
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_text(account, realm, change) }
}

/// Whether to register (1) or not (0): without, calls go directly to their targets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_register(
    account: *mut subrosa_account_config,
    on: i32,
) -> subrosa_status {
    let change = |account: &mut AccountConfig| {
        account.register = on != 0;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(account, change) }
}

fn server(text: &str) -> Result<Option<Uri>, Failure> {
    if text.is_empty() { Ok(None) } else { uri(text).map(Some) }
}

/// The registrar, if it is not the AOR's domain, as a URI; empty for that domain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_registrar(
    account: *mut subrosa_account_config,
    registrar: subrosa_str,
) -> subrosa_status {
    let change = |account: &mut AccountConfig, text: &str| {
        account.registrar = server(text)?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_text(account, registrar, change) }
}

/// The proxy that all requests go through, as a URI; empty for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_outbound_proxy(
    account: *mut subrosa_account_config,
    proxy: subrosa_str,
) -> subrosa_status {
    let change = |account: &mut AccountConfig, text: &str| {
        account.outbound_proxy = server(text)?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_text(account, proxy, change) }
}

/// The one transport to use, a SUBROSA_TRANSPORT_.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_transport(
    account: *mut subrosa_account_config,
    transport: i32,
) -> subrosa_status {
    let change = |account: &mut AccountConfig| {
        account.transport = match transport {
            SUBROSA_TRANSPORT_ANY => None,
            SUBROSA_TRANSPORT_UDP => Some(Transport::Udp),
            SUBROSA_TRANSPORT_TCP => Some(Transport::Tcp),
            SUBROSA_TRANSPORT_TLS => Some(Transport::Tls),
            other => {
                return Err(Failure::invalid(format!("{other} is not a SUBROSA_TRANSPORT_")));
            }
        };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(account, change) }
}

/// The registration's lifetime to ask for, and the keep-alive interval (0 for none), seconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_times(
    account: *mut subrosa_account_config,
    expires_s: u32,
    keep_alive_s: u32,
) -> subrosa_status {
    let change = |account: &mut AccountConfig| {
        account.expires = Duration::from_secs(u64::from(expires_s));
        account.keep_alive = Duration::from_secs(u64::from(keep_alive_s));
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(account, change) }
}

/// The account's policy, a SUBROSA_POLICY_; the domain's may be stricter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_policy(
    account: *mut subrosa_account_config,
    number: i32,
) -> subrosa_status {
    let change = |account: &mut AccountConfig| {
        account.policy = policy(number)?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(account, change) }
}

/// The codecs in order of preference, each a SUBROSA_CODEC_.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_codecs(
    account: *mut subrosa_account_config,
    codecs: *const i32,
    count: usize,
) -> subrosa_status {
    let change = |account: &mut AccountConfig| {
        // SAFETY: the caller's promise.
        let numbers = unsafe { slice(codecs, count)? };
        account.codecs = numbers.iter().map(|number| codec(*number)).collect::<Result<_, _>>()?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(account, change) }
}

/// What is known of an account. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_account_info {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_ACCOUNT_.
    pub state: i32,
    /// The SUBROSA_TRANSPORT_ of its flow to the server.
    pub transport: i32,
    /// The SUBROSA_POLICY_ in force.
    pub policy: i32,
    /// Where that policy comes from: a SUBROSA_POLICY_SOURCE_.
    pub policy_source: i32,
    /// The policy prefers TLS, and the account's signalling is in the clear: 1 or 0.
    pub fallback: i32,
    /// When the registration ends unless refreshed; the engine's clock, microseconds; else 0.
    pub registered_until_us: u64,
    /// The address of record.
    pub aor: subrosa_str,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_account_info {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_account_info {
    pub(super) fn of(status: &AccountStatus, texts: &mut Texts) -> Self {
        let (state, until) = match status.state {
            AccountState::Unregistered => (SUBROSA_ACCOUNT_UNREGISTERED, 0),
            AccountState::Registering => (SUBROSA_ACCOUNT_REGISTERING, 0),
            AccountState::Registered { until } => (SUBROSA_ACCOUNT_REGISTERED, until.as_micros()),
            AccountState::Failed => (SUBROSA_ACCOUNT_FAILED, 0),
        };
        Self {
            size: 0,
            state,
            transport: status.transport.map_or(SUBROSA_TRANSPORT_ANY, transport_number),
            policy: policy_number(status.policy.policy),
            policy_source: source_number(status.policy.source),
            fallback: i32::from(status.fallback),
            registered_until_us: until,
            aor: texts.lend(&status.aor),
        }
    }
}

/// There is no such account.
pub(super) fn unknown_account(id: AccountId) -> Failure {
    Failure::new(SUBROSA_ERR_UNKNOWN_ID, format!("no account {id}"))
}

/// A copy of the configuration that C gave.
pub(super) unsafe fn copied(
    account: *const subrosa_account_config,
) -> Result<AccountConfig, subrosa_status> {
    // SAFETY: the caller's promise.
    let account = unsafe { live(account) }.map(|account| &account.0);
    let mut copy = None;
    let status = enter(account, Access::Read, |account, _| {
        copy = Some(account.clone());
        Ok(())
    });
    copy.ok_or(status)
}

/// Adds an account to an engine and gives its id. The configuration is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_add_account(
    engine: *mut subrosa_engine,
    now_us: u64,
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
        with(engine, Access::Change, |state, _| {
            let out = Out::new(out)?;
            let id = state.engine.add_account(Instant::from_micros(now_us), account)?;
            out.write(id.to_raw());
            Ok(())
        })
    }
}

/// Removes an account, un-registering first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_remove_account(
    engine: *mut subrosa_engine,
    now_us: u64,
    account: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let now = Instant::from_micros(now_us);
            Ok(state.engine.remove_account(now, AccountId::from_raw(account))?)
        })
    }
}

/// What is known of an account.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_account(
    engine: *const subrosa_engine,
    account: u64,
    out: *mut subrosa_account_info,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, texts| {
            let out = OutStruct::new(out)?;
            let id = AccountId::from_raw(account);
            let info = state.engine.account(id).ok_or_else(|| unknown_account(id))?;
            out.write(subrosa_account_info::of(&info, texts));
            Ok(())
        })
    }
}
