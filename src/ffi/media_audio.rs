//! The audio of a media session that was taken: PCM, keys that are pressed, silence.

use super::guard::{Access, Failure};
use super::media::{subrosa_media, with};
use super::pointer::{slice, slice_mut};
use super::status::{
    SUBROSA_ERR_INVALID, SUBROSA_ERR_NOT_SUPPORTED, SUBROSA_ERR_WRONG_STATE, subrosa_status,
};
use crate::media::session::DtmfError;
use crate::time::{Duration, Instant};
use crate::wire::dtmf::Digit;

impl From<DtmfError> for Failure {
    fn from(error: DtmfError) -> Self {
        let status = match error {
            DtmfError::NotNegotiated => SUBROSA_ERR_NOT_SUPPORTED,
            DtmfError::NotSending | DtmfError::QueueFull => SUBROSA_ERR_WRONG_STATE,
            _ => SUBROSA_ERR_INVALID,
        };
        Self::new(status, error)
    }
}

/// Audio to send: mono, at the call's sample rate, any number of samples, in real time. Poll for
/// packets afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_write_pcm(
    media: *mut subrosa_media,
    now_us: u64,
    samples: *const i16,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            Ok(session.write_pcm(Instant::from_micros(now_us), slice(samples, count)?)?)
        })
    }
}

/// Fills `samples` with what is to be heard now, silence if there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_read_pcm(
    media: *mut subrosa_media,
    now_us: u64,
    samples: *mut i16,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            Ok(session.read_pcm(Instant::from_micros(now_us), slice_mut(samples, count)?)?)
        })
    }
}

/// Presses a key: one of 0-9, *, #, A-D.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_send_dtmf(
    media: *mut subrosa_media,
    digit: u8,
    duration_ms: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            let digit = Digit::from_char(char::from(digit));
            let digit = digit.ok_or_else(|| Failure::invalid("not one of 0-9, *, #, A-D"))?;
            Ok(session.send_dtmf(digit, Duration::from_millis(u64::from(duration_ms)))?)
        })
    }
}

/// Silences what is sent (1), or ends that (0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_set_muted(
    media: *mut subrosa_media,
    on: i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            session.set_muted(on != 0);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_refused_has_a_status_that_says_why() {
        for (error, status) in [
            (DtmfError::NotNegotiated, SUBROSA_ERR_NOT_SUPPORTED),
            (DtmfError::NotSending, SUBROSA_ERR_WRONG_STATE),
            (DtmfError::QueueFull, SUBROSA_ERR_WRONG_STATE),
            (DtmfError::Duration, SUBROSA_ERR_INVALID),
        ] {
            assert_eq!(Failure::from(error).status, status, "{error:?}");
        }
    }
}
