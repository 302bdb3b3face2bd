//! The calls of a phone (feature `driver`).

use super::account::codec;
use super::audio_options::{given_options, subrosa_audio_options};
use super::call::{CallFacts, subrosa_call_info};
use super::call_audio::{path, subrosa_audio_ring, subrosa_call_audio, take};
use super::call_options::{options, subrosa_call_options};
use super::guard::{Access, Failure};
use super::ladder::{subrosa_ladder_step, write_steps};
use super::load::{no_srtp, subrosa_srtp_progress};
use super::media_stats::{no_media, subrosa_media_stats};
use super::phone::{on_engine, subrosa_phone, with};
use super::pointer::{Out, OutStruct, slice, slice_mut, subrosa_str};
use super::processing::{nothing_processed, processing, subrosa_processing_stats};
use super::report::subrosa_security_report;
use super::status::subrosa_status;
use crate::driver::{Phone, PhoneError, Player, WavRecorder};
use crate::engine::{Call, CallError, CallId};
use crate::time::Duration;

/// Commands a call.
pub(super) unsafe fn command(
    phone: *mut subrosa_phone,
    call: u64,
    run: impl FnOnce(&Phone, CallId) -> Result<(), PhoneError>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { with(phone, Access::Change, |phone, _| Ok(run(phone, CallId::from_raw(call))?)) }
}

/// Asks something about a call.
fn ask<R: Send + 'static>(
    phone: &Phone,
    call: u64,
    read: impl FnOnce(&Call<'_>) -> R + Send + 'static,
) -> Result<R, Failure> {
    let id = CallId::from_raw(call);
    on_engine(phone, move |engine, _| Ok(read(&engine.call(id).ok_or(CallError::UnknownCall(id))?)))
}

/// The ids of all calls, those included that ended lately: at most `room` of them are written;
/// `out_count` is how many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_call_ids(
    phone: *const subrosa_phone,
    ids: *mut u64,
    room: usize,
    out_count: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let (places, out) = (slice_mut(ids, room)?, Out::new(out_count)?);
            let calls = phone.calls()?;
            for (place, call) in places.iter_mut().zip(&calls) {
                *place = call.to_raw();
            }
            out.write(calls.len());
            Ok(())
        })
    }
}

/// Forgets a call that is over: its id is unknown from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_forget_call(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    let id = CallId::from_raw(call);
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            on_engine(phone, move |engine, _| Ok(engine.forget_call(id)?))
        })
    }
}

/// Tells the caller that the phone rings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_ring(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, Phone::ring) }
}

/// Lets audio flow before the call is accepted: announcements, music, a private ringback.
/// `audio` is used up; NULL is silence; its sample rate must be that given here (Hz).
/// subrosa_phone_accept goes on at the same rate, with the audio that is given there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_early_media(
    phone: *mut subrosa_phone,
    call: u64,
    sample_rate: u32,
    audio: *mut subrosa_call_audio,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let (id, audio) = (CallId::from_raw(call), take(audio, sample_rate)?);
            on_engine(phone, move |engine, now| {
                let mut call = engine.call(id).ok_or(CallError::UnknownCall(id))?;
                Ok(call.early_media(now, sample_rate)?)
            })?;
            Ok(phone.attach_audio(id, audio)?)
        })
    }
}

/// Answers. `audio` is used up; NULL is silence. Its sample rate must be that of the options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_accept(
    phone: *mut subrosa_phone,
    call: u64,
    call_options: *const subrosa_call_options,
    audio: *mut subrosa_call_audio,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let options = options(call_options)?;
            let audio = take(audio, options.sample_rate)?;
            Ok(phone.accept(CallId::from_raw(call), options, audio)?)
        })
    }
}

/// Refuses with a SIP status from 400 to 699: 486 busy, 603 declined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_reject(
    phone: *mut subrosa_phone,
    call: u64,
    sip_status: u16,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, |phone, call| phone.reject(call, sip_status)) }
}

/// Ends the call, whatever its state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_hang_up(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, Phone::hang_up) }
}

/// Puts the far end on hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_hold(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, Phone::hold) }
}

/// As subrosa_call_set_codecs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_codecs(
    phone: *mut subrosa_phone,
    call: u64,
    codecs: *const i32,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let numbers = slice(codecs, count)?;
            let codecs: Vec<_> =
                numbers.iter().map(|number| codec(*number)).collect::<Result<_, _>>()?;
            Ok(phone.set_codecs(CallId::from_raw(call), &codecs)?)
        })
    }
}

/// As subrosa_call_renegotiate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_renegotiate(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, Phone::renegotiate) }
}

/// As subrosa_call_set_audio.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_audio(
    phone: *mut subrosa_phone,
    call: u64,
    audio: *const subrosa_audio_options,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let audio = given_options(audio)?;
            Ok(phone.set_audio(CallId::from_raw(call), audio)?)
        })
    }
}

/// Takes the far end off hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_resume(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, Phone::resume) }
}

/// As subrosa_call_renew_keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_renew_keys(
    phone: *mut subrosa_phone,
    call: u64,
) -> subrosa_status {
    let id = CallId::from_raw(call);
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            on_engine(phone, move |engine, now| {
                Ok(engine.call(id).ok_or(CallError::UnknownCall(id))?.renew_keys(now)?)
            })
        })
    }
}

/// Presses a key: one of 0-9, *, #, A-D.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_send_dtmf(
    phone: *mut subrosa_phone,
    call: u64,
    digit: u8,
    duration_ms: u32,
) -> subrosa_status {
    let press = |phone: &Phone, call| {
        phone.send_dtmf(call, char::from(digit), Duration::from_millis(u64::from(duration_ms)))
    };
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, press) }
}

/// Silences what is sent (1), or ends that (0). It holds for the whole call and may be set before there is media.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_mute(
    phone: *mut subrosa_phone,
    call: u64,
    on: i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(phone, call, |phone, call| phone.mute(call, on != 0)) }
}

/// Switches the processing of what a call sends: SUBROSA_PROCESSING_ bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_set_processing(
    phone: *mut subrosa_phone,
    call: u64,
    parts: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            Ok(phone.set_processing(CallId::from_raw(call), processing(parts)?)?)
        })
    }
}

/// What the processing of a call's audio knows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_processing_stats(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut subrosa_processing_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let out = OutStruct::new(out)?;
            let stats = phone.processing_stats(CallId::from_raw(call))?;
            out.write(subrosa_processing_stats::of(&stats.ok_or_else(nothing_processed)?));
            Ok(())
        })
    }
}

/// What is known of a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_call(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut subrosa_call_info,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, texts| {
            let out = OutStruct::new(out)?;
            let facts = ask(phone, call, CallFacts::of)?;
            out.write(subrosa_call_info::of(&facts, texts));
            Ok(())
        })
    }
}

/// How secure a call is, or was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_call_security(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut subrosa_security_report,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, texts| {
            let out = OutStruct::new(out)?;
            let report = ask(phone, call, |call| call.security())?;
            out.write(subrosa_security_report::of(&report, texts));
            Ok(())
        })
    }
}

/// As subrosa_call_srtp_progress.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_srtp_progress(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut subrosa_srtp_progress,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, texts| {
            let out = OutStruct::new(out)?;
            let progress = ask(phone, call, |call| call.srtp_progress())?.ok_or_else(no_srtp)?;
            out.write(subrosa_srtp_progress::of(&progress, texts));
            Ok(())
        })
    }
}

/// As subrosa_call_ladder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_call_ladder(
    phone: *const subrosa_phone,
    call: u64,
    steps: *mut subrosa_ladder_step,
    room: usize,
    out_count: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, texts| {
            let (places, out) = (slice_mut(steps, room)?, Out::new(out_count)?);
            let ladder = ask(phone, call, |call| call.security().ladder)?;
            out.write(write_steps(places, &ladder, texts));
            Ok(())
        })
    }
}

/// Statistics of a call's media, the last ones after its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_call_media_stats(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut subrosa_media_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let out = OutStruct::new(out)?;
            let stats = ask(phone, call, |call| call.media_stats())?.ok_or_else(no_media)?;
            out.write(subrosa_media_stats::of(&stats));
            Ok(())
        })
    }
}

/// Attaches audio to a call, in place of what was attached. `audio` is used up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_attach_audio(
    phone: *mut subrosa_phone,
    call: u64,
    audio: *mut subrosa_call_audio,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let audio = super::call_audio::take_any(audio)?;
            Ok(phone.attach_audio(CallId::from_raw(call), audio)?)
        })
    }
}

/// Replaces what the far end hears by a WAV file, once, or again and again if `looping` is 1.
/// `sample_rate` is that of the call's options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_play_wav(
    phone: *mut subrosa_phone,
    call: u64,
    file: subrosa_str,
    sample_rate: u32,
    looping: i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let player = Player::open(path(file)?, sample_rate)?;
            let player = if looping != 0 { player.looping() } else { player };
            Ok(phone.play(CallId::from_raw(call), player)?)
        })
    }
}

/// Replaces where the far end's voice goes by a WAV file. It is complete once the call has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_record_wav(
    phone: *mut subrosa_phone,
    call: u64,
    file: subrosa_str,
    sample_rate: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            let recorder = WavRecorder::create(path(file)?, sample_rate)?;
            Ok(phone.record(CallId::from_raw(call), recorder)?)
        })
    }
}

/// Replaces what the far end hears by what is pushed into a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_play_ring(
    phone: *mut subrosa_phone,
    call: u64,
    ring: *const subrosa_audio_ring,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            Ok(phone.play(CallId::from_raw(call), super::call_audio::shared(ring)?)?)
        })
    }
}

/// Replaces where the far end's voice goes by a ring, to be popped from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_record_ring(
    phone: *mut subrosa_phone,
    call: u64,
    ring: *const subrosa_audio_ring,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Change, |phone, _| {
            Ok(phone.record(CallId::from_raw(call), super::call_audio::shared(ring)?)?)
        })
    }
}
