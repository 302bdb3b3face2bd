//! What C functions return, and which library this is.

use std::ffi::c_char;

use super::guard::{Failure, guard};
use super::pointer::{Out, subrosa_str};
use crate::engine::{AccountError, CallError, ConfigError, InputError, MediaError, PolicyError};

/// 0 on success, else one of the negative SUBROSA_ERR_ constants. Others may be added.
pub type subrosa_status = i32;

/// Success.
pub const SUBROSA_OK: i32 = 0;
/// A pointer that must not be NULL is NULL.
pub const SUBROSA_ERR_NULL: i32 = -1;
/// An argument is out of its range; subrosa_engine_last_error tells which.
pub const SUBROSA_ERR_INVALID: i32 = -2;
/// Another thread is using this handle now.
pub const SUBROSA_ERR_BUSY: i32 = -3;
/// A bug in the library; this handle cannot be used any more, only freed.
pub const SUBROSA_ERR_PANIC: i32 = -4;
/// No such call, account, stream, socket, listener or peer (any more).
pub const SUBROSA_ERR_UNKNOWN_ID: i32 = -5;
/// Not in this state.
pub const SUBROSA_ERR_WRONG_STATE: i32 = -6;
/// A string is not UTF-8.
pub const SUBROSA_ERR_UTF8: i32 = -7;
/// Not a SIP or SIPS URI, or not one that fits here.
pub const SUBROSA_ERR_URI: i32 = -8;
/// The security policy in force forbids it.
pub const SUBROSA_ERR_POLICY: i32 = -9;
/// The call has no media now.
pub const SUBROSA_ERR_NO_MEDIA: i32 = -10;
/// No room for another one.
pub const SUBROSA_ERR_LIMIT: i32 = -11;
/// The configuration cannot be used.
pub const SUBROSA_ERR_CONFIG: i32 = -12;
/// A certificate or private key cannot be used.
pub const SUBROSA_ERR_CERTIFICATE: i32 = -13;
/// The struct's size field is too small for any version of this library, or not set.
pub const SUBROSA_ERR_STRUCT_SIZE: i32 = -14;
/// The far end does not support it.
pub const SUBROSA_ERR_NOT_SUPPORTED: i32 = -15;
/// The phone was stopped: make another.
pub const SUBROSA_ERR_STOPPED: i32 = -16;
/// The operating system gave no thread or no poll, or a device cannot be used.
pub const SUBROSA_ERR_SYSTEM: i32 = -17;
/// A file cannot be read, written or played.
pub const SUBROSA_ERR_FILE: i32 = -18;
/// The safety numbers differ: somebody may be between the two phones.
pub const SUBROSA_ERR_MISMATCH: i32 = -19;
/// The call's media was taken with subrosa_engine_take_media: use its session.
pub const SUBROSA_ERR_MEDIA_TAKEN: i32 = -20;
/// The call exchanges audio in the other form: encoded frames or PCM.
pub const SUBROSA_ERR_AUDIO_MODE: i32 = -21;
/// The frame is not of the codec that was agreed on.
pub const SUBROSA_ERR_CODEC: i32 = -22;

/// Version of the binary interface; it changes when a program must be compiled anew.
pub const SUBROSA_ABI_VERSION: u32 = 1;

/// The library's SUBROSA_ABI_VERSION: compare it with the header's at start-up.
#[unsafe(no_mangle)]
pub extern "C" fn subrosa_abi_version() -> u32 {
    guard(|| SUBROSA_ABI_VERSION, 0)
}

/// The library's version, for example "0.1.0". Lives for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_version(out: *mut subrosa_str) -> subrosa_status {
    let version = || {
        // SAFETY: the caller's promise.
        unsafe { Out::new(out)? }.write(subrosa_str::borrowed(env!("CARGO_PKG_VERSION")));
        Ok(())
    };
    guard(|| status_of(version()), SUBROSA_ERR_PANIC)
}

/// A status in words, NUL-terminated, for ever; "unknown status" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn subrosa_status_text(status: subrosa_status) -> *const c_char {
    let text = || match status {
        SUBROSA_OK => c"success",
        SUBROSA_ERR_NULL => c"a pointer is NULL",
        SUBROSA_ERR_INVALID => c"an argument is out of its range",
        SUBROSA_ERR_BUSY => c"another thread is using this handle",
        SUBROSA_ERR_PANIC => c"a bug in the library; free this handle",
        SUBROSA_ERR_UNKNOWN_ID => c"unknown or stale id",
        SUBROSA_ERR_WRONG_STATE => c"not in this state",
        SUBROSA_ERR_UTF8 => c"a string is not UTF-8",
        SUBROSA_ERR_URI => c"not a usable SIP URI",
        SUBROSA_ERR_POLICY => c"forbidden by the security policy",
        SUBROSA_ERR_NO_MEDIA => c"the call has no media now",
        SUBROSA_ERR_LIMIT => c"no room for another one",
        SUBROSA_ERR_CONFIG => c"the configuration cannot be used",
        SUBROSA_ERR_CERTIFICATE => c"a certificate or key cannot be used",
        SUBROSA_ERR_STRUCT_SIZE => c"the struct's size is not set or too small",
        SUBROSA_ERR_NOT_SUPPORTED => c"the far end does not support it",
        SUBROSA_ERR_STOPPED => c"the phone was stopped",
        SUBROSA_ERR_SYSTEM => c"the system gave no thread or device",
        SUBROSA_ERR_FILE => c"a file cannot be read, written or played",
        SUBROSA_ERR_MISMATCH => c"the safety numbers differ",
        SUBROSA_ERR_MEDIA_TAKEN => c"the call's media was taken",
        SUBROSA_ERR_AUDIO_MODE => c"the call exchanges encoded frames, or PCM",
        SUBROSA_ERR_CODEC => c"the frame is not of the codec agreed on",
        _ => c"unknown status",
    };
    guard(|| text().as_ptr(), c"unknown status".as_ptr())
}

pub(super) fn status_of(result: Result<(), Failure>) -> subrosa_status {
    result.map_or_else(|failure| failure.status, |()| SUBROSA_OK)
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let status = match error {
            ConfigError::BadIdentity(_) => SUBROSA_ERR_CERTIFICATE,
            _ => SUBROSA_ERR_CONFIG,
        };
        Self::new(status, error)
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let status = match error {
            InputError::TooManyStreams => SUBROSA_ERR_LIMIT,
            InputError::ForeignFeedback(_) => SUBROSA_ERR_INVALID,
            _ => SUBROSA_ERR_UNKNOWN_ID,
        };
        Self::new(status, error)
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let status = match error {
            AccountError::BadAor(_) | AccountError::BadServer(_) => SUBROSA_ERR_URI,
            AccountError::TransportForbidden => SUBROSA_ERR_POLICY,
            AccountError::Unknown(_) => SUBROSA_ERR_UNKNOWN_ID,
            AccountError::CodecNotBuilt(_) => SUBROSA_ERR_NOT_SUPPORTED,
            _ => SUBROSA_ERR_INVALID,
        };
        Self::new(status, error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let status = match error {
            CallError::UnknownAccount(_) | CallError::UnknownCall(_) => SUBROSA_ERR_UNKNOWN_ID,
            CallError::BadTarget(_) => SUBROSA_ERR_URI,
            CallError::WrongState { .. } | CallError::Busy | CallError::NoSafetyNumber => {
                SUBROSA_ERR_WRONG_STATE
            }
            CallError::TransportForbidden => SUBROSA_ERR_POLICY,
            CallError::NoDtmf | CallError::CodecNotBuilt(_) => SUBROSA_ERR_NOT_SUPPORTED,
            CallError::TooManyCalls => SUBROSA_ERR_LIMIT,
            CallError::MediaTaken => SUBROSA_ERR_MEDIA_TAKEN,
            CallError::Encoded | CallError::PcmOnly => SUBROSA_ERR_AUDIO_MODE,
            _ => SUBROSA_ERR_INVALID,
        };
        Self::new(status, error)
    }
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        let status = match error {
            MediaError::Frame(error) => return error.into(),
            MediaError::Encoded(_) => SUBROSA_ERR_AUDIO_MODE,
            MediaError::UnknownCall(_) => SUBROSA_ERR_UNKNOWN_ID,
            MediaError::Taken(_) => SUBROSA_ERR_MEDIA_TAKEN,
            MediaError::Kept => SUBROSA_ERR_WRONG_STATE,
            _ => SUBROSA_ERR_NO_MEDIA,
        };
        Self::new(status, error)
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::new(SUBROSA_ERR_INVALID, error)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::super::named::constants;
    use super::*;
    use crate::engine::{AccountId, CallId};
    use crate::media::session::FrameError;
    use crate::sip::{ListenerId, SocketId, StreamId};

    fn check<E: std::fmt::Debug + Clone>(cases: &[(E, subrosa_status)])
    where
        Failure: From<E>,
    {
        for (error, status) in cases {
            let failure = Failure::from(error.clone());
            assert_eq!(failure.status, *status, "{error:?}");
            assert!(!failure.text.is_empty(), "{error:?}");
        }
    }

    #[test]
    fn each_error_of_calls_and_accounts_has_a_status_that_says_what_kind_it_is() {
        let (account, call) = (AccountId::from_raw(1), CallId::from_raw(1));
        let text = String::new;
        check(&[
            (CallError::UnknownAccount(account), SUBROSA_ERR_UNKNOWN_ID),
            (CallError::UnknownCall(call), SUBROSA_ERR_UNKNOWN_ID),
            (CallError::BadTarget(text()), SUBROSA_ERR_URI),
            (CallError::WrongState { command: "", state: "" }, SUBROSA_ERR_WRONG_STATE),
            (CallError::BadStatus(200), SUBROSA_ERR_INVALID),
            (CallError::BadDigit('x'), SUBROSA_ERR_INVALID),
            (CallError::BadDuration, SUBROSA_ERR_INVALID),
            (CallError::TransportForbidden, SUBROSA_ERR_POLICY),
            (CallError::NoDtmf, SUBROSA_ERR_NOT_SUPPORTED),
            (CallError::TooManyCalls, SUBROSA_ERR_LIMIT),
            (CallError::BadSampleRate(1), SUBROSA_ERR_INVALID),
            (CallError::NoSafetyNumber, SUBROSA_ERR_WRONG_STATE),
            (CallError::MediaTaken, SUBROSA_ERR_MEDIA_TAKEN),
            (CallError::Encoded, SUBROSA_ERR_AUDIO_MODE),
            (CallError::PcmOnly, SUBROSA_ERR_AUDIO_MODE),
            (CallError::Busy, SUBROSA_ERR_WRONG_STATE),
        ]);
        check(&[
            (AccountError::BadAor(text()), SUBROSA_ERR_URI),
            (AccountError::BadServer(text()), SUBROSA_ERR_URI),
            (AccountError::TransportForbidden, SUBROSA_ERR_POLICY),
            (AccountError::Unknown(account), SUBROSA_ERR_UNKNOWN_ID),
            (AccountError::NoCodecs, SUBROSA_ERR_INVALID),
            (AccountError::BadDisplayName, SUBROSA_ERR_INVALID),
        ]);
    }

    #[test]
    fn each_error_of_inputs_media_and_settings_has_a_status_that_says_what_kind_it_is() {
        let call = CallId::from_raw(1);
        let text = String::new;
        check(&[
            (InputError::UnknownStream(StreamId::from_raw(1)), SUBROSA_ERR_UNKNOWN_ID),
            (InputError::UnknownSocket(SocketId::from_raw(1)), SUBROSA_ERR_UNKNOWN_ID),
            (InputError::UnknownListener(ListenerId::from_raw(1)), SUBROSA_ERR_UNKNOWN_ID),
            (InputError::UnknownCall(call), SUBROSA_ERR_UNKNOWN_ID),
            (InputError::ForeignFeedback(call), SUBROSA_ERR_INVALID),
            (InputError::TooManyStreams, SUBROSA_ERR_LIMIT),
        ]);
        check(&[
            (MediaError::UnknownCall(call), SUBROSA_ERR_UNKNOWN_ID),
            (MediaError::Taken(call), SUBROSA_ERR_MEDIA_TAKEN),
            (MediaError::Kept, SUBROSA_ERR_WRONG_STATE),
            (MediaError::NoMedia, SUBROSA_ERR_NO_MEDIA),
            (MediaError::Encoded(call), SUBROSA_ERR_AUDIO_MODE),
            (MediaError::Frame(FrameError::Pcm), SUBROSA_ERR_AUDIO_MODE),
        ]);
        check(&[
            (ConfigError::BadIdentity(text()), SUBROSA_ERR_CERTIFICATE),
            (ConfigError::ListenTlsWithoutIdentity, SUBROSA_ERR_CONFIG),
            (ConfigError::NoMediaPorts, SUBROSA_ERR_CONFIG),
        ]);
        check(&[(PolicyError::BadDomain(text()), SUBROSA_ERR_INVALID)]);
    }

    #[test]
    fn each_status_has_words_of_its_own() {
        let words = |status| {
            // SAFETY: NUL-terminated and for ever.
            unsafe { CStr::from_ptr(subrosa_status_text(status)) }.to_str().unwrap()
        };
        let mut seen = vec![words(SUBROSA_OK), words(1)];
        for (name, status) in constants("SUBROSA_ERR_") {
            assert!(status < 0 && !seen.contains(&words(status)), "{name}: {}", words(status));
            seen.push(words(status));
        }
        assert_eq!(words(SUBROSA_ERR_BUSY), "another thread is using this handle");
        assert!(seen.len() > 20);
    }
}
