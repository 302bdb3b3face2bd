//! A conference at this end.

use super::guard::{Access, Failure, Handle, enter, free, guard, last_error, live};
use super::pointer::{Out, slice, slice_mut, subrosa_str};
use super::status::{
    SUBROSA_ERR_INVALID, SUBROSA_ERR_PANIC, SUBROSA_ERR_WRONG_STATE, status_of, subrosa_status,
};
use crate::media::mixer::{Mixer, MixerError, ParticipantId};

/// Mixes voices: each participant hears all the others.
#[derive(Debug)]
pub struct subrosa_mixer(Handle<Mixer>);

impl From<MixerError> for Failure {
    fn from(error: MixerError) -> Self {
        let full = error == MixerError::Full;
        Self::new(if full { SUBROSA_ERR_WRONG_STATE } else { SUBROSA_ERR_INVALID }, error)
    }
}

/// Makes a mixer with room for 2 to 64 participants, for blocks of `block` samples (60 ms at most)
/// at a rate of 8000 to 48000 Hz. For each block: subrosa_mixer_write for each participant,
/// subrosa_mixer_mix once, subrosa_mixer_read for each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_new(
    sample_rate: u32,
    block: usize,
    participants: usize,
    out: *mut *mut subrosa_mixer,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        let mixer = Mixer::new(sample_rate, block, participants)?;
        out.write(Box::into_raw(Box::new(subrosa_mixer(Handle::new(mixer)))));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees a mixer; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_free(mixer: *mut subrosa_mixer) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(mixer) }, ());
}

/// What the last failing function on this mixer had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_last_error(
    mixer: *const subrosa_mixer,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(mixer).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

unsafe fn with_mixer(
    mixer: *const subrosa_mixer,
    run: impl FnOnce(&mut Mixer) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(mixer) }.map(|mixer| &mixer.0);
    enter(handle, Access::Change, |mixer, _| run(mixer))
}

/// Somebody joins; `out` is a number for him alone. SUBROSA_ERR_WRONG_STATE if all places are
/// taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_add(
    mixer: *mut subrosa_mixer,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_mixer(mixer, |mixer| {
            let out = Out::new(out)?;
            out.write(mixer.add()?.to_raw());
            Ok(())
        })
    }
}

/// Somebody leaves. Mute him a block before, so that the others hear no click.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_remove(
    mixer: *mut subrosa_mixer,
    participant: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { with_mixer(mixer, |mixer| Ok(mixer.remove(ParticipantId::from_raw(participant))?)) }
}

/// How loud the others hear somebody, in dB: up to +24; -90 or less is silence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_set_gain(
    mixer: *mut subrosa_mixer,
    participant: u64,
    db: f32,
) -> subrosa_status {
    let id = ParticipantId::from_raw(participant);
    // SAFETY: the caller's promise.
    unsafe { with_mixer(mixer, |mixer| Ok(mixer.set_gain(id, db)?)) }
}

/// Silences somebody for the others (1), or ends that (0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_set_muted(
    mixer: *mut subrosa_mixer,
    participant: u64,
    on: i32,
) -> subrosa_status {
    let id = ParticipantId::from_raw(participant);
    // SAFETY: the caller's promise.
    unsafe { with_mixer(mixer, |mixer| Ok(mixer.set_muted(id, on != 0)?)) }
}

/// What came from somebody for this block. Who is not written is silent in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_write(
    mixer: *mut subrosa_mixer,
    participant: u64,
    samples: *const i16,
    count: usize,
) -> subrosa_status {
    let id = ParticipantId::from_raw(participant);
    // SAFETY: the caller's promise.
    unsafe { with_mixer(mixer, |mixer| Ok(mixer.write(id, slice(samples, count)?)?)) }
}

/// Mixes the block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_mix(mixer: *mut subrosa_mixer) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_mixer(mixer, |mixer| {
            mixer.mix();
            Ok(())
        })
    }
}

/// What somebody is to hear of this block: all the others, subrosa_mixer_delay samples later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_read(
    mixer: *mut subrosa_mixer,
    participant: u64,
    samples: *mut i16,
    count: usize,
) -> subrosa_status {
    let id = ParticipantId::from_raw(participant);
    // SAFETY: the caller's promise.
    unsafe { with_mixer(mixer, |mixer| Ok(mixer.read(id, slice_mut(samples, count)?)?)) }
}

/// The delay of the limiter, in samples.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_delay(
    mixer: *const subrosa_mixer,
    out: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_mixer(mixer, |mixer| {
            Out::new(out)?.write(mixer.delay());
            Ok(())
        })
    }
}

/// How loud somebody is, in dB of full scale (-127 to 0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_level(
    mixer: *const subrosa_mixer,
    participant: u64,
    out: *mut f32,
) -> subrosa_status {
    let id = ParticipantId::from_raw(participant);
    // SAFETY: the caller's promise.
    unsafe {
        with_mixer(mixer, |mixer| {
            let out = Out::new(out)?;
            out.write(mixer.level(id)?);
            Ok(())
        })
    }
}

/// Who talks; 0 for nobody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_mixer_active_talker(
    mixer: *const subrosa_mixer,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_mixer(mixer, |mixer| {
            Out::new(out)?.write(mixer.active_talker().map_or(0, ParticipantId::to_raw));
            Ok(())
        })
    }
}
