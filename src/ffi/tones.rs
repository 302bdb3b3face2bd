//! Call-progress tones and DTMF as sound.

use super::guard::{Access, Failure, Handle, enter, free, guard, last_error, live};
use super::pointer::{Out, slice, slice_mut, subrosa_str};
use super::status::{SUBROSA_ERR_NOT_SUPPORTED, SUBROSA_ERR_PANIC, status_of, subrosa_status};
use crate::media::tones::{DtmfDetector, Tone, ToneError, ToneKind, TonePlan, TonePlayer};
use crate::time::Duration;
use crate::wire::dtmf::Digit;

/// No tone.
pub const SUBROSA_TONE_NONE: i32 = 0;
/// Dial now.
pub const SUBROSA_TONE_DIAL: i32 = 1;
/// The far end rings.
pub const SUBROSA_TONE_RINGBACK: i32 = 2;
/// The far end is busy.
pub const SUBROSA_TONE_BUSY: i32 = 3;
/// The call cannot be carried: congestion, reorder.
pub const SUBROSA_TONE_CONGESTION: i32 = 4;
/// Somebody else calls meanwhile.
pub const SUBROSA_TONE_CALL_WAITING: i32 = 5;
/// The number cannot be reached.
pub const SUBROSA_TONE_SPECIAL_INFORMATION: i32 = 6;

const NUMBERS: [(ToneKind, i32); 6] = [
    (ToneKind::Dial, SUBROSA_TONE_DIAL),
    (ToneKind::Ringback, SUBROSA_TONE_RINGBACK),
    (ToneKind::Busy, SUBROSA_TONE_BUSY),
    (ToneKind::Congestion, SUBROSA_TONE_CONGESTION),
    (ToneKind::CallWaiting, SUBROSA_TONE_CALL_WAITING),
    (ToneKind::SpecialInformation, SUBROSA_TONE_SPECIAL_INFORMATION),
];

pub(super) fn tone_number(tone: Option<ToneKind>) -> i32 {
    let found = NUMBERS.into_iter().find(|(kind, _)| Some(*kind) == tone);
    found.map_or(SUBROSA_TONE_NONE, |(_, number)| number)
}

impl From<ToneError> for Failure {
    fn from(error: ToneError) -> Self {
        Self::invalid(error)
    }
}

/// Plays one tone, a block at a time.
#[derive(Debug)]
pub struct subrosa_tone_player(Handle<TonePlayer>);

/// Finds DTMF digits in sound.
#[derive(Debug)]
pub struct subrosa_dtmf_detector(Handle<DtmfDetector>);

/// The plan of a country.
pub(super) unsafe fn plan(country: subrosa_str) -> Result<TonePlan, Failure> {
    // SAFETY: the caller's promise.
    let country = unsafe { country.text()? };
    Ok(TonePlan::of(country).copied().unwrap_or(TonePlan::DEFAULT))
}

/// A tone of a country's plan.
pub(super) unsafe fn tone_of(country: subrosa_str, tone: i32) -> Result<Tone, Failure> {
    // SAFETY: the caller's promise.
    let plan = unsafe { plan(country)? };
    let kind = NUMBERS.into_iter().find(|(_, number)| *number == tone);
    let (kind, _) = kind.ok_or_else(|| Failure::invalid("not a SUBROSA_TONE_"))?;
    let none = || Failure::new(SUBROSA_ERR_NOT_SUPPORTED, "the country has no such tone");
    plan.tone(kind).ok_or_else(none)
}

/// Plays a SUBROSA_TONE_ of a country (ISO 3166, for example "DE"; one that is not known has the
/// tones that ITU-T E.180 recommends) at a rate of 8000 to 48000 Hz. SUBROSA_ERR_NOT_SUPPORTED if
/// the country has no such tone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tone_player_new(
    country: subrosa_str,
    tone: i32,
    sample_rate: u32,
    out: *mut *mut subrosa_tone_player,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let (out, tone) = unsafe { (Out::new(out)?, tone_of(country, tone)?) };
        let player = TonePlayer::new(tone, sample_rate)?;
        out.write(Box::into_raw(Box::new(subrosa_tone_player(Handle::new(player)))));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Plays one of 0-9, *, #, A-D once, as sound, with the levels of its low and its high frequency
/// in dBm0 (-9 and -7 are usual).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tone_player_dtmf(
    digit: u8,
    low_level: i8,
    high_level: i8,
    duration_ms: u32,
    sample_rate: u32,
    out: *mut *mut subrosa_tone_player,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        let digit = Digit::from_char(char::from(digit));
        let digit = digit.ok_or_else(|| Failure::invalid("not one of 0-9, *, #, A-D"))?;
        let duration = Duration::from_millis(duration_ms.into());
        let player = TonePlayer::dtmf(digit, [low_level, high_level], duration, sample_rate)?;
        out.write(Box::into_raw(Box::new(subrosa_tone_player(Handle::new(player)))));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees a player; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tone_player_free(player: *mut subrosa_tone_player) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(player) }, ());
}

/// What the last failing function on this player had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tone_player_last_error(
    player: *const subrosa_tone_player,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(player).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

unsafe fn with_player(
    player: *const subrosa_tone_player,
    run: impl FnOnce(&mut TonePlayer) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(player) }.map(|player| &player.0);
    enter(handle, Access::Change, |player, _| run(player))
}

/// Fills `samples` with what comes next; silence once the tone is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tone_player_read(
    player: *mut subrosa_tone_player,
    samples: *mut i16,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_player(player, |player| {
            player.read(slice_mut(samples, count)?);
            Ok(())
        })
    }
}

/// Ends the tone: it fades out within 4 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tone_player_stop(
    player: *mut subrosa_tone_player,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_player(player, |player| {
            player.stop();
            Ok(())
        })
    }
}

/// 1 once all was played, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_tone_player_is_finished(
    player: *const subrosa_tone_player,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_player(player, |player| {
            Out::new(out)?.write(i32::from(player.is_finished()));
            Ok(())
        })
    }
}

/// Makes a detector for sound of a rate of 8000 to 48000 Hz.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtmf_detector_new(
    sample_rate: u32,
    out: *mut *mut subrosa_dtmf_detector,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        let detector = DtmfDetector::new(sample_rate)?;
        out.write(Box::into_raw(Box::new(subrosa_dtmf_detector(Handle::new(detector)))));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees a detector; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtmf_detector_free(detector: *mut subrosa_dtmf_detector) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(detector) }, ());
}

/// What the last failing function on this detector had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtmf_detector_last_error(
    detector: *const subrosa_dtmf_detector,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(detector).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

unsafe fn with_detector(
    detector: *const subrosa_dtmf_detector,
    run: impl FnOnce(&mut DtmfDetector) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(detector) }.map(|detector| &detector.0);
    enter(handle, Access::Change, |detector, _| run(detector))
}

/// Takes samples; the digits found in them, each told once, are written to `out_digits` as ASCII
/// characters, `room` of them at most, and their number to `out_count`. A digit lasts 40 ms or
/// more: 100 ms of sound have two at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtmf_detector_push(
    detector: *mut subrosa_dtmf_detector,
    samples: *const i16,
    count: usize,
    out_digits: *mut u8,
    room: usize,
    out_count: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_detector(detector, |detector| {
            let (out, pcm) = (Out::new(out_count)?, slice(samples, count)?);
            let mut places = slice_mut(out_digits, room)?.iter_mut();
            let mut found = 0usize;
            detector.push(pcm, |digit| {
                if let Some(place) = places.next() {
                    *place = u8::try_from(digit.to_char()).unwrap_or(b'?');
                    found = found.saturating_add(1);
                }
            });
            out.write(found);
            Ok(())
        })
    }
}

/// The digit that is being heard, as an ASCII character; 0 for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtmf_detector_current(
    detector: *const subrosa_dtmf_detector,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_detector(detector, |detector| {
            let digit = detector.current().map_or(0, |digit| u32::from(digit.to_char()));
            Out::new(out)?.write(i32::try_from(digit).unwrap_or(0));
            Ok(())
        })
    }
}

/// Forgets the past: another stream begins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtmf_detector_reset(
    detector: *mut subrosa_dtmf_detector,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_detector(detector, |detector| {
            detector.reset();
            Ok(())
        })
    }
}
