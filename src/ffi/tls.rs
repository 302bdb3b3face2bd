//! What TLS demands: for all domains in the configuration, for one in options of its own, and the
//! key log.

use std::ffi::c_char;

use super::config::{bad_certificate, set, subrosa_config};
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure, Handle, enter, free, guard, last_error, live};
use super::pointer::{Out, slice_mut, subrosa_str};
use super::status::{
    SUBROSA_ERR_INVALID, SUBROSA_ERR_PANIC, SUBROSA_ERR_WRONG_STATE, subrosa_status,
};
use crate::crypto::tls::{
    ExpiredList, KeyPurposes, PinSet, RevocationLists, SpkiPin, TlsClientOptions, TlsIdentity,
    TlsProvider, TlsSettingsError, TlsVersions, TrustAnchors, UnlistedIssuer,
};
use crate::engine::Config;
use crate::util::Secret;

/// TLS runs on ring, with the engine's randomness.
pub const SUBROSA_TLS_PROVIDER_RING: i32 = 0;
/// TLS runs on AWS-LC, with its own randomness: hybrid post-quantum key exchange. A library
/// without the feature `aws-lc` does not have it.
pub const SUBROSA_TLS_PROVIDER_AWS_LC: i32 = 1;

/// Room that subrosa_engine_poll_key_log needs.
pub const SUBROSA_KEY_LOG_LINE: usize = 512;

/// TLS options of a domain, under construction; freed by who made them.
#[derive(Debug)]
pub struct subrosa_tls_options(Handle<OptionsState>);

struct OptionsState {
    options: TlsClientOptions,
    pins: Vec<SpkiPin>,
}

impl subrosa_tls_options {
    pub(super) fn boxed(options: TlsClientOptions) -> *mut Self {
        let state = OptionsState { options, pins: Vec::new() };
        Box::into_raw(Box::new(Self(Handle::new(state))))
    }

    /// What the options are now.
    ///
    /// # Safety
    /// `options` is NULL or a live handle.
    pub(super) unsafe fn taken(options: *const Self) -> Result<TlsClientOptions, subrosa_status> {
        let mut given = None;
        let take = |state: &mut OptionsState| {
            given = Some(state.options.clone());
            Ok(())
        };
        // SAFETY: the caller's promise.
        let status = unsafe { set_option(options, take) };
        given.ok_or(status)
    }
}

/// A line of the key log into C's buffer; returns its length.
pub(super) fn write_line(
    buf: &mut [u8],
    poll: impl FnOnce() -> Result<Option<Secret<String>>, Failure>,
) -> Result<usize, Failure> {
    if buf.len() < SUBROSA_KEY_LOG_LINE {
        return Err(Failure::invalid("the buffer is shorter than SUBROSA_KEY_LOG_LINE"));
    }
    let line = poll()?;
    let bytes = line.as_ref().map_or(&[][..], |line| line.expose().as_bytes());
    buf.iter_mut().zip(bytes).for_each(|(slot, b)| *slot = *b);
    Ok(bytes.len().min(buf.len()))
}

pub(super) fn none_of_its_own() -> Failure {
    Failure::new(SUBROSA_ERR_WRONG_STATE, "the domain has no TLS options of its own")
}

pub(super) fn bad(error: TlsSettingsError) -> Failure {
    match error {
        TlsSettingsError::InvalidDomain(_)
        | TlsSettingsError::BadPin
        | TlsSettingsError::PinCount => Failure::new(SUBROSA_ERR_INVALID, error),
        other => bad_certificate(other),
    }
}

fn provider(number: i32) -> Result<TlsProvider, Failure> {
    match number {
        SUBROSA_TLS_PROVIDER_RING => Ok(TlsProvider::Ring),
        #[cfg(feature = "aws-lc")]
        SUBROSA_TLS_PROVIDER_AWS_LC => Ok(TlsProvider::AwsLc),
        _ => Err(Failure::invalid("not a SUBROSA_TLS_PROVIDER_ that this library has")),
    }
}

pub(super) fn provider_number(provider: TlsProvider) -> i32 {
    match provider {
        TlsProvider::Ring => SUBROSA_TLS_PROVIDER_RING,
        #[cfg(feature = "aws-lc")]
        TlsProvider::AwsLc => SUBROSA_TLS_PROVIDER_AWS_LC,
    }
}

/// Adds lists, and says what to do where they are old (`use_expired`) or missing
/// (`need_listed`).
fn add_lists(
    lists: &mut RevocationLists,
    pem: &str,
    use_expired: i32,
    need_listed: i32,
) -> Result<(), Failure> {
    if !pem.is_empty() {
        lists.add_pem(pem.as_bytes()).map_err(bad)?;
    }
    lists.expired = if use_expired == 0 { ExpiredList::Refuse } else { ExpiredList::Use };
    lists.unlisted = if need_listed == 0 { UnlistedIssuer::Accept } else { UnlistedIssuer::Refuse };
    Ok(())
}

/// Whose cryptography TLS runs on, a SUBROSA_TLS_PROVIDER_; ring unless set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_tls_provider(
    config: *mut subrosa_config,
    number: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.tls.provider = provider(number)?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// Adds certificate revocation lists (PEM), for servers and for clients. An expired list refuses
/// the connection unless `use_expired` is 1; with `need_listed` 1 a certificate that no list
/// covers is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_add_revocation_pem(
    config: *mut subrosa_config,
    lists: subrosa_str,
    use_expired: i32,
    need_listed: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        let pem = unsafe { lists.text()? };
        add_lists(&mut config.tls.revocation, pem, use_expired, need_listed)
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// With `required` 1, connections that are accepted must bring a certificate that the CAs vouch
/// for. A `domain` that is not empty is added to those of which it must stand for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_client_certificates(
    config: *mut subrosa_config,
    required: i32,
    domain: subrosa_str,
) -> subrosa_status {
    let change = |config: &mut Config| {
        // SAFETY: the caller's promise.
        let domain = unsafe { domain.text()? };
        config.tls.require_client_certificate = required != 0;
        if !domain.is_empty() {
            config.tls.client_domains.push(domain.to_owned());
        }
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// With 1, the secrets of every connection are given away by subrosa_engine_poll_key_log: for
/// debugging alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_key_log(
    config: *mut subrosa_config,
    on: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.tls.key_log = on != 0;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The versions of TLS, both ways: 0x0304 for TLS 1.3 alone, 0x0303 for TLS 1.2 alone, 0 for both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_tls_versions(
    config: *mut subrosa_config,
    version: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.tls.versions = match version {
            0 => TlsVersions::V1_2AndV1_3,
            0x0303 => TlsVersions::V1_2Only,
            0x0304 => TlsVersions::V1_3Only,
            _ => return Err(Failure::invalid("not 0, 0x0303 or 0x0304")),
        };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// With 1, a certificate whose key purposes name TLS alone is refused (RFC 5924 to the letter;
/// public authorities issue nothing else).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_sip_purpose_only(
    config: *mut subrosa_config,
    on: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.tls.purposes = if on == 0 { KeyPurposes::TlsOrSip } else { KeyPurposes::SipOnly };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// Makes options as they are for domains that have none of their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_tls_options(
    engine: *const subrosa_engine,
    out: *mut *mut subrosa_tls_options,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = Out::new(out)?;
            out.write(subrosa_tls_options::boxed(state.engine.tls_options()));
            Ok(())
        })
    }
}

/// Frees options; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tls_options_free(options: *mut subrosa_tls_options) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(options) }, ());
}

/// What the last failing function on these options had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tls_options_last_error(
    options: *const subrosa_tls_options,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(options).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// Enters options.
unsafe fn set_option(
    options: *const subrosa_tls_options,
    run: impl FnOnce(&mut OptionsState) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(options) }.map(|options| &options.0);
    enter(handle, Access::Change, |state, _| run(state))
}

/// The CAs to trust for the domain, as PEM text; empty trusts nobody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tls_options_set_trust_pem(
    options: *mut subrosa_tls_options,
    cas: subrosa_str,
) -> subrosa_status {
    let run = |state: &mut OptionsState| {
        // SAFETY: the caller's promise.
        state.options.anchors = match unsafe { cas.text()? } {
            "" => TrustAnchors::none(),
            cas => TrustAnchors::from_pem(cas.as_bytes()).map_err(bad)?,
        };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_option(options, run) }
}

/// The certificate chain to present to the domain and its private key, both as PEM text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tls_options_set_identity_pem(
    options: *mut subrosa_tls_options,
    chain: subrosa_str,
    key: subrosa_str,
) -> subrosa_status {
    let run = |state: &mut OptionsState| {
        // SAFETY: the caller's promise.
        let (chain, key) = unsafe { (chain.text()?, key.text()?) };
        let identity = TlsIdentity::from_pem(chain.as_bytes(), key.as_bytes());
        state.options.identity = Some(identity.map_err(bad)?);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_option(options, run) }
}

/// Adds a pin, "sha256/" and the base64 of a public key's SHA-256: one of the pins must stand in
/// the domain's chain. Add a second one of a key kept offline; at most 16.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tls_options_add_pin(
    options: *mut subrosa_tls_options,
    pin: subrosa_str,
) -> subrosa_status {
    let run = |state: &mut OptionsState| {
        // SAFETY: the caller's promise.
        let pin = SpkiPin::parse(unsafe { pin.text()? }).map_err(bad)?;
        let pins = state.pins.iter().copied().chain([pin]);
        let set = PinSet::new(pins).map_err(bad)?;
        state.pins = set.pins().to_vec();
        state.options.pins = Some(set);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set_option(options, run) }
}

/// As subrosa_config_add_revocation_pem, for the domain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tls_options_add_revocation_pem(
    options: *mut subrosa_tls_options,
    lists: subrosa_str,
    use_expired: i32,
    need_listed: i32,
) -> subrosa_status {
    let run = |state: &mut OptionsState| {
        // SAFETY: the caller's promise.
        let pem = unsafe { lists.text()? };
        add_lists(&mut state.options.revocation, pem, use_expired, need_listed)
    };
    // SAFETY: the caller's promise.
    unsafe { set_option(options, run) }
}

/// Gives a domain TLS options of its own: connections opened from now on have them. The options
/// can be changed and given again; they still have to be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_set_domain_tls(
    engine: *mut subrosa_engine,
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
        with(engine, Access::Change, |state, _| {
            state.engine.set_domain_tls(domain.text()?, given).map_err(bad)
        })
    }
}

/// Takes a domain's own TLS options away; SUBROSA_ERR_WRONG_STATE if it had none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_clear_domain_tls(
    engine: *mut subrosa_engine,
    domain: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            match state.engine.clear_domain_tls(domain.text()?) {
                true => Ok(()),
                false => Err(none_of_its_own()),
            }
        })
    }
}

/// The next line of the TLS key log (SSLKEYLOGFILE format, without the line's end), into at least
/// SUBROSA_KEY_LOG_LINE bytes; `len` is 0 if there is none. Write it to a file of its own, and
/// wipe the buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_poll_key_log(
    engine: *mut subrosa_engine,
    buf: *mut c_char,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (buf, len) = (slice_mut(buf.cast::<u8>(), room)?, Out::new(len)?);
            len.write(write_line(buf, || Ok(state.engine.poll_key_log()))?);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::SUBROSA_OK;
    use super::*;

    #[test]
    fn pins_add_up_once_each_and_a_broken_one_changes_nothing() {
        let handle = subrosa_tls_options::boxed(TlsClientOptions::default());
        let pin = |letter: &str| SpkiPin::parse(&format!("sha256/{}=", letter.repeat(43))).unwrap();
        let add = |text: &str| {
            // SAFETY: the handle and the text live.
            unsafe { subrosa_tls_options_add_pin(handle, subrosa_str::borrowed(text)) }
        };
        let pins = || {
            // SAFETY: the handle lives.
            let options = unsafe { subrosa_tls_options::taken(handle) }.unwrap();
            options.pins.map(|set| set.pins().to_vec()).unwrap_or_default()
        };
        let (a, b) = (pin("A"), pin("Q"));
        assert!(pins().is_empty());
        assert_eq!(add(&a.to_string()), SUBROSA_OK);
        assert_eq!(pins(), [a]);
        assert_eq!(add(&b.to_string()), SUBROSA_OK);
        assert_eq!(pins(), [a, b]);
        assert_eq!(add(&a.to_string()), SUBROSA_OK);
        assert_eq!(add("sha256/AAAA"), SUBROSA_ERR_INVALID);
        assert_eq!(pins(), [a, b]);
        // SAFETY: freed once.
        unsafe { subrosa_tls_options_free(handle) };
    }
}
