//! What a phone's calls hear and say: files, and rings that the program fills and empties.

use std::path::Path;

use super::guard::{Access, Failure, Handle, enter, free, guard, last_error, live};
use super::pointer::{Out, slice, slice_mut, subrosa_str};
use super::status::{
    SUBROSA_ERR_FILE, SUBROSA_ERR_PANIC, SUBROSA_ERR_WRONG_STATE, status_of, subrosa_status,
};
use super::tones::plan;
use crate::driver::{AudioFileError, AudioRing, CallAudio, Player, WavRecorder};

/// Samples that a ring holds at most: a minute at 48 kHz.
const MAX_RING: usize = 48_000 * 60;

impl From<AudioFileError> for Failure {
    fn from(error: AudioFileError) -> Self {
        Self::new(SUBROSA_ERR_FILE, error)
    }
}

/// A file's name as C gave it: UTF-8.
pub(super) unsafe fn path<'a>(file: subrosa_str) -> Result<&'a Path, Failure> {
    // SAFETY: the caller's promise.
    unsafe { file.text() }.map(Path::new)
}

/// A bounded store of samples between a call and a thread of the program. What does not fit is
/// dropped, what is missing is silence; both are counted.
#[derive(Debug)]
pub struct subrosa_audio_ring(Handle<AudioRing>);

/// The ends of a call's audio, before it is given to a call.
#[derive(Debug)]
pub struct subrosa_call_audio(Handle<AudioState>);

struct AudioState {
    sample_rate: u32,
    /// Gone once it was given to a call.
    audio: Option<CallAudio>,
}

/// Makes a ring of at most `capacity` samples, for example one second: the call's sample rate.
/// If `drift_target` is not 0, the drift between a producer and a consumer whose clocks differ
/// is corrected, so that about that many samples stay in store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_ring_new(
    capacity: usize,
    drift_target: usize,
    out: *mut *mut subrosa_audio_ring,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        if capacity == 0 || capacity > MAX_RING || drift_target > capacity {
            return Err(Failure::invalid("a ring holds 1 to 2880000 samples, its target fewer"));
        }
        let ring = AudioRing::new(capacity);
        let ring = if drift_target > 0 { ring.correct_drift(drift_target) } else { ring };
        out.write(Box::into_raw(Box::new(subrosa_audio_ring(Handle::new(ring)))));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees the program's handle; NULL is fine. A call that has the ring keeps it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_ring_free(ring: *mut subrosa_audio_ring) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(ring) }, ());
}

unsafe fn with_ring(
    ring: *const subrosa_audio_ring,
    run: impl FnOnce(&AudioRing) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(ring) }.map(|ring| &ring.0);
    enter(handle, Access::Change, |ring, _| run(ring))
}

/// The call's end of a ring.
pub(super) unsafe fn shared(ring: *const subrosa_audio_ring) -> Result<AudioRing, Failure> {
    let mut copy = None;
    // SAFETY: the caller's promise.
    let status = unsafe {
        with_ring(ring, |ring| {
            copy = Some(ring.clone());
            Ok(())
        })
    };
    copy.ok_or_else(|| Failure::new(status, "the ring is NULL or in use"))
}

/// Stores samples; `out_stored` is how many fitted. Never waits for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_ring_push(
    ring: *mut subrosa_audio_ring,
    samples: *const i16,
    count: usize,
    out_stored: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_ring(ring, |ring| {
            let (out, pcm) = (Out::new(out_stored)?, slice(samples, count)?);
            out.write(ring.push(pcm));
            Ok(())
        })
    }
}

/// Fills `samples`, with silence where there is nothing; `out_there` is how many were there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_ring_pop(
    ring: *mut subrosa_audio_ring,
    samples: *mut i16,
    count: usize,
    out_there: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_ring(ring, |ring| {
            let (out, pcm) = (Out::new(out_there)?, slice_mut(samples, count)?);
            out.write(ring.pop(pcm));
            Ok(())
        })
    }
}

/// How many samples are in store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_ring_len(
    ring: *const subrosa_audio_ring,
    out: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_ring(ring, |ring| {
            Out::new(out)?.write(ring.len());
            Ok(())
        })
    }
}

/// How many samples did not fit, and how many were missing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_ring_lost(
    ring: *const subrosa_audio_ring,
    out_overflowed: *mut u64,
    out_missing: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_ring(ring, |ring| {
            let (overflowed, missing) = (Out::new(out_overflowed)?, Out::new(out_missing)?);
            let lost = ring.lost();
            overflowed.write(lost.0);
            missing.write(lost.1);
            Ok(())
        })
    }
}

/// Makes audio for one call: silence out, nothing kept, unless set otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_new(
    sample_rate: u32,
    out: *mut *mut subrosa_call_audio,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        if !(8_000..=48_000).contains(&sample_rate) {
            return Err(Failure::invalid("the sample rate must be that of the call's options"));
        }
        let state = AudioState { sample_rate, audio: Some(CallAudio::new(sample_rate)) };
        out.write(Box::into_raw(Box::new(subrosa_call_audio(Handle::new(state)))));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees it; NULL is fine. Audio that a call has stays with the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_free(audio: *mut subrosa_call_audio) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(audio) }, ());
}

/// What the last failing function on this audio had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_last_error(
    audio: *const subrosa_call_audio,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(audio).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// Changes audio that no call has yet.
pub(super) unsafe fn set(
    audio: *mut subrosa_call_audio,
    change: impl FnOnce(CallAudio, u32) -> Result<CallAudio, Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(audio) }.map(|audio| &audio.0);
    enter(handle, Access::Change, |state, _| {
        let audio = state.audio.take().ok_or_else(given)?;
        // What fails leaves silence.
        state.audio = Some(CallAudio::new(state.sample_rate));
        state.audio = Some(change(audio, state.sample_rate)?);
        Ok(())
    })
}

fn given() -> Failure {
    Failure::new(SUBROSA_ERR_WRONG_STATE, "this audio was given to a call already: make another")
}

/// Takes the audio for a call of this sample rate; NULL is silence.
pub(super) unsafe fn take(
    audio: *mut subrosa_call_audio,
    sample_rate: u32,
) -> Result<CallAudio, Failure> {
    if audio.is_null() {
        return Ok(CallAudio::new(sample_rate));
    }
    // SAFETY: the caller's promise.
    unsafe { taken(audio, Some(sample_rate)) }
}

/// Takes the audio, whatever its sample rate.
pub(super) unsafe fn take_any(audio: *mut subrosa_call_audio) -> Result<CallAudio, Failure> {
    // SAFETY: the caller's promise.
    unsafe { taken(audio, None) }
}

unsafe fn taken(audio: *mut subrosa_call_audio, rate: Option<u32>) -> Result<CallAudio, Failure> {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(audio) }.map(|audio| &audio.0);
    let mut outcome = Err(Failure::invalid("the audio is in use"));
    let status = enter(handle, Access::Change, |state, _| {
        outcome = match rate {
            Some(rate) if rate != state.sample_rate => {
                Err(Failure::invalid("the audio has another sample rate than the options"))
            }
            _ => state.audio.take().ok_or_else(given),
        };
        Ok(())
    });
    if status == super::SUBROSA_OK { outcome } else { Err(Failure::new(status, "no audio")) }
}

/// The far end hears a WAV file, converted to the sample rate, once, or again and again if
/// `looping` is 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_set_source_wav(
    audio: *mut subrosa_call_audio,
    file: subrosa_str,
    looping: i32,
) -> subrosa_status {
    let change = |audio: CallAudio, rate| {
        // SAFETY: the caller's promise.
        let player = Player::open(unsafe { path(file)? }, rate)?;
        Ok(audio.source(if looping != 0 { player.looping() } else { player }))
    };
    // SAFETY: the caller's promise.
    unsafe { set(audio, change) }
}

/// The far end's voice goes into a WAV file. It is complete once the call has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_set_sink_wav(
    audio: *mut subrosa_call_audio,
    file: subrosa_str,
) -> subrosa_status {
    let change = |audio: CallAudio, rate| {
        // SAFETY: the caller's promise.
        Ok(audio.sink(WavRecorder::create(unsafe { path(file)? }, rate)?))
    };
    // SAFETY: the caller's promise.
    unsafe { set(audio, change) }
}

/// While the far end rings and sends no audio of its own, the sink gets the ringback tone of a
/// country (ISO 3166; one that is not known has the tones that ITU-T E.180 recommends). For the
/// tone after the end see `tone` in subrosa_call_info: the sink is gone by then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_set_tones(
    audio: *mut subrosa_call_audio,
    country: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { set(audio, |audio, _| Ok(audio.tones(plan(country)?))) }
}

/// The far end hears what is pushed into a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_set_source_ring(
    audio: *mut subrosa_call_audio,
    ring: *const subrosa_audio_ring,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { set(audio, |audio, _| Ok(audio.source(shared(ring)?))) }
}

/// The far end's voice goes into a ring, to be popped from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_set_sink_ring(
    audio: *mut subrosa_call_audio,
    ring: *const subrosa_audio_ring,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { set(audio, |audio, _| Ok(audio.sink(shared(ring)?))) }
}
