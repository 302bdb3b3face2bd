//! Calls and their audio.

use super::account::{codec_number, uri};
use super::call_options::{options, subrosa_call_options};
use super::end::{SUBROSA_END_NONE, end_number};
use super::engine::{EngineState, subrosa_engine, with};
use super::guard::{Access, Failure, Texts};
use super::pointer::{Out, OutStruct, Versioned, slice, slice_mut, subrosa_str};
use super::processing::bits;
use super::status::subrosa_status;
use super::tones::tone_number;
use crate::engine::{AccountId, Call, CallError, CallId, CallState, Codec, Direction, EndReason};
use crate::media::dsp::ProcessingConfig;
use crate::media::tones::ToneKind;
use crate::time::{Duration, Instant};

/// We call; nothing heard yet.
pub const SUBROSA_CALL_DIALING: i32 = 1;
/// We call; the far end rings.
pub const SUBROSA_CALL_RINGING: i32 = 2;
/// We are called and have not answered.
pub const SUBROSA_CALL_INCOMING: i32 = 3;
/// Talking.
pub const SUBROSA_CALL_ESTABLISHED: i32 = 4;
/// Hanging up.
pub const SUBROSA_CALL_ENDING: i32 = 5;
/// Over.
pub const SUBROSA_CALL_ENDED: i32 = 6;

/// Calls `to`, a SIP or SIPS URI, from an account, and gives the call's id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_place_call(
    engine: *mut subrosa_engine,
    now_us: u64,
    account: u64,
    to: subrosa_str,
    call_options: *const subrosa_call_options,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (out, to, options) = (Out::new(out)?, uri(to.text()?)?, options(call_options)?);
            let now = Instant::from_micros(now_us);
            let from = AccountId::from_raw(account);
            let call = state.engine.place_call(now, from, &to, options)?;
            out.write(call.to_raw());
            Ok(())
        })
    }
}

/// The ids of all calls, those included that ended lately: at most `room` of them are written;
/// `out_count` is how many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_call_ids(
    engine: *const subrosa_engine,
    ids: *mut u64,
    room: usize,
    out_count: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let (places, out) = (slice_mut(ids, room)?, Out::new(out_count)?);
            let calls = state.engine.call_ids();
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
pub unsafe extern "C" fn subrosa_engine_forget_call(
    engine: *mut subrosa_engine,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            Ok(state.engine.forget_call(CallId::from_raw(call))?)
        })
    }
}

/// A call of the engine's, or why there is none.
pub(super) fn find(state: &mut EngineState, call: u64) -> Result<Call<'_>, Failure> {
    let id = CallId::from_raw(call);
    Ok(state.engine.call(id).ok_or(CallError::UnknownCall(id))?)
}

/// Does something to a call.
pub(super) unsafe fn command(
    engine: *mut subrosa_engine,
    call: u64,
    run: impl FnOnce(&mut Call<'_>) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { with(engine, Access::Change, |state, _| run(&mut find(state, call)?)) }
}

/// Tells the caller that the phone rings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_ring(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.ring(Instant::from_micros(now_us))?)) }
}

/// Lets audio flow before the call is accepted: announcements, music, a private ringback.
/// subrosa_call_accept goes on with the same media, at the sample rate given here (Hz).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_early_media(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    sample_rate: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        command(engine, call, |call| {
            Ok(call.early_media(Instant::from_micros(now_us), sample_rate)?)
        })
    }
}

/// Answers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_accept(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    call_options: *const subrosa_call_options,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        command(engine, call, |call| {
            Ok(call.accept(Instant::from_micros(now_us), options(call_options)?)?)
        })
    }
}

/// Refuses with a SIP status from 400 to 699: 486 busy, 603 declined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_reject(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    sip_status: u16,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        command(engine, call, |call| Ok(call.reject(Instant::from_micros(now_us), sip_status)?))
    }
}

/// Ends the call, whatever its state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_hang_up(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.hang_up(Instant::from_micros(now_us))?)) }
}

/// Puts the far end on hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_hold(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.hold(Instant::from_micros(now_us))?)) }
}

/// Takes the far end off hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_resume(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.resume(Instant::from_micros(now_us))?)) }
}

/// Agrees on a new key for what we send, by re-INVITE; a call that is plain asks for its first
/// ones, as the policy allows. The engine does it by itself when a key nears its end. Watch for
/// SUBROSA_EVENT_SECURITY_CHANGED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_renew_keys(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.renew_keys(Instant::from_micros(now_us))?)) }
}

/// Presses a key: one of 0-9, *, #, A-D.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_send_dtmf(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    digit: u8,
    duration_ms: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        command(engine, call, |call| {
            let duration = Duration::from_millis(u64::from(duration_ms));
            Ok(call.send_dtmf(Instant::from_micros(now_us), char::from(digit), duration)?)
        })
    }
}

/// Silences what is sent (1), or ends that (0). It holds for the whole call and may be set before there is media.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_mute(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    on: i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.mute(Instant::from_micros(now_us), on != 0)?)) }
}

/// What is known of a call. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_call_info {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_CALL_.
    pub state: i32,
    /// 1 if we called, 0 if we were called.
    pub outgoing: i32,
    /// A SUBROSA_CODEC_.
    pub codec: i32,
    /// A SUBROSA_END_; SUBROSA_END_NONE while it lives.
    pub end_reason: i32,
    /// We hold the far end: 1 or 0.
    pub local_hold: i32,
    /// The far end holds us: 1 or 0.
    pub remote_hold: i32,
    /// A SUBROSA_TONE_: what the person at this end should hear now.
    pub tone: i32,
    /// The far end's URI.
    pub remote: subrosa_str,
    /// The Call-ID of its dialog, to find the call in the logs of servers.
    pub sip_call_id: subrosa_str,
    /// What we send is silenced: 1 or 0.
    pub muted: i32,
    /// SUBROSA_PROCESSING_ bits: the parts that were asked for.
    pub processing: u32,
    /// How much louder the far end hears us, in dB.
    pub send_gain_db: f32,
    /// How much louder the far end is heard, in dB.
    pub receive_gain_db: f32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_call_info {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

/// What is known of a call, in Rust's words.
pub(super) struct CallFacts {
    state: CallState,
    direction: Direction,
    codec: Option<Codec>,
    end_reason: Option<EndReason>,
    holds: (bool, bool),
    tone: Option<ToneKind>,
    remote: String,
    sip_call_id: String,
    muted: bool,
    processing: ProcessingConfig,
    /// Of what is sent, of what is heard.
    gains: (f32, f32),
}

impl CallFacts {
    pub(super) fn of(call: &Call<'_>) -> Self {
        Self {
            state: call.state(),
            direction: call.direction(),
            codec: call.codec(),
            end_reason: call.end_reason(),
            holds: call.holds(),
            tone: call.tone(),
            remote: call.remote(),
            sip_call_id: call.sip_call_id().to_owned(),
            muted: call.is_muted(),
            processing: call.processing(),
            gains: (call.send_gain(), call.receive_gain()),
        }
    }
}

impl subrosa_call_info {
    pub(super) fn of(facts: &CallFacts, texts: &mut Texts) -> Self {
        Self {
            size: 0,
            state: state_number(facts.state),
            outgoing: i32::from(facts.direction == Direction::Outgoing),
            codec: codec_number(facts.codec),
            end_reason: facts.end_reason.as_ref().map_or(SUBROSA_END_NONE, end_number),
            local_hold: i32::from(facts.holds.0),
            remote_hold: i32::from(facts.holds.1),
            tone: tone_number(facts.tone),
            remote: texts.lend(&facts.remote),
            sip_call_id: texts.lend(&facts.sip_call_id),
            muted: facts.muted.into(),
            processing: bits(facts.processing),
            send_gain_db: facts.gains.0,
            receive_gain_db: facts.gains.1,
        }
    }
}

/// What is known of a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_get_info(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut subrosa_call_info,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, texts| {
            let out = OutStruct::new(out)?;
            let facts = CallFacts::of(&find(state, call)?);
            out.write(subrosa_call_info::of(&facts, texts));
            Ok(())
        })
    }
}

pub(super) fn state_number(state: CallState) -> i32 {
    match state {
        CallState::Dialing => SUBROSA_CALL_DIALING,
        CallState::Ringing => SUBROSA_CALL_RINGING,
        CallState::Incoming => SUBROSA_CALL_INCOMING,
        CallState::Established => SUBROSA_CALL_ESTABLISHED,
        CallState::Ending => SUBROSA_CALL_ENDING,
        CallState::Ended => SUBROSA_CALL_ENDED,
    }
}

/// Audio to send: mono, at the call's sample rate, any number of samples.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_write_pcm(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    samples: *const i16,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (now, id) = (Instant::from_micros(now_us), CallId::from_raw(call));
            Ok(state.engine.write_pcm(now, id, slice(samples, count)?)?)
        })
    }
}

/// Fills `samples` with what is to be heard now, silence if there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_read_pcm(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    samples: *mut i16,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (now, id) = (Instant::from_micros(now_us), CallId::from_raw(call));
            Ok(state.engine.read_pcm(now, id, slice_mut(samples, count)?)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::SUBROSA_CODEC_PCMU;
    use super::super::end::SUBROSA_END_NO_ANSWER;
    use super::super::named::number;
    use super::super::processing::SUBROSA_PROCESSING_HIGH_PASS;
    use super::*;

    #[test]
    fn what_is_known_of_a_call_is_the_same_in_c() {
        let facts = |direction, holds, end_reason| CallFacts {
            state: CallState::Established,
            direction,
            codec: Some(Codec::Pcmu),
            end_reason,
            holds,
            tone: Some(ToneKind::Busy),
            remote: "sip:bob@example.com".to_owned(),
            sip_call_id: "3f1a".to_owned(),
            muted: holds.0,
            processing: ProcessingConfig { high_pass: true, ..ProcessingConfig::OFF },
            gains: (6.0, -3.0),
        };
        let mut texts = Texts::default();
        let told = [
            (Direction::Outgoing, (true, false), None),
            (Direction::Incoming, (false, true), Some(EndReason::NoAnswer)),
            (Direction::Incoming, (false, false), None),
        ]
        .map(|(direction, holds, end)| {
            let info = subrosa_call_info::of(&facts(direction, holds, end), &mut texts);
            assert_eq!((info.state, info.codec), (SUBROSA_CALL_ESTABLISHED, SUBROSA_CODEC_PCMU));
            assert_eq!(info.tone, number("SUBROSA_TONE_", &ToneKind::Busy));
            // SAFETY: `texts` keeps what it lent.
            let words = unsafe { (info.remote.text().unwrap(), info.sip_call_id.text().unwrap()) };
            assert_eq!(words, ("sip:bob@example.com", "3f1a"));
            assert_eq!(info.muted, i32::from(holds.0));
            assert_eq!(info.processing, SUBROSA_PROCESSING_HIGH_PASS);
            assert_eq!((info.send_gain_db, info.receive_gain_db), (6.0, -3.0));
            (info.outgoing, info.local_hold, info.remote_hold, info.end_reason)
        });
        assert_eq!(told[0], (1, 1, 0, SUBROSA_END_NONE));
        assert_eq!(told[1], (0, 0, 1, SUBROSA_END_NO_ANSWER));
        assert_eq!(told[2], (0, 0, 0, SUBROSA_END_NONE));
    }
}
