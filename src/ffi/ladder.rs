//! What was tried to reach a server: the steps of a ladder.

use super::account::{transport_number, unknown_account};
use super::addr::subrosa_addr;
use super::call::find;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure, Texts};
use super::pointer::{Out, slice_mut, subrosa_str};
use super::status::subrosa_status;
use crate::engine::{AccountId, LadderStep, StepOutcome};

/// How many steps a ladder has at most.
pub const SUBROSA_MAX_LADDER_STEPS: usize = 16;

/// It is being tried.
pub const SUBROSA_STEP_TRYING: i32 = 0;
/// It is used.
pub const SUBROSA_STEP_UP: i32 = 1;
/// The connection was refused or broken off.
pub const SUBROSA_STEP_REFUSED: i32 = 2;
/// No connection in time.
pub const SUBROSA_STEP_TIMED_OUT: i32 = 3;
/// No TLS there, or none that we speak.
pub const SUBROSA_STEP_TLS: i32 = 4;
/// A certificate that does not verify.
pub const SUBROSA_STEP_CERTIFICATE: i32 = 5;
/// It took requests and did not serve them: no answer in time, or 503.
pub const SUBROSA_STEP_UNSERVED: i32 = 6;
/// Something that this version of the C interface does not know.
pub const SUBROSA_STEP_OTHER: i32 = 7;

/// One candidate that was tried. It stays as it is as long as SUBROSA_ABI_VERSION does.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_ladder_step {
    /// How: a SUBROSA_TRANSPORT_.
    pub transport: i32,
    /// What came of it: a SUBROSA_STEP_.
    pub outcome: i32,
    /// Where.
    pub address: subrosa_addr,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
    /// What came of it, in words.
    pub text: subrosa_str,
}

const fn outcome_number(outcome: &StepOutcome) -> i32 {
    match outcome {
        StepOutcome::Trying => SUBROSA_STEP_TRYING,
        StepOutcome::Up => SUBROSA_STEP_UP,
        StepOutcome::Refused => SUBROSA_STEP_REFUSED,
        StepOutcome::TimedOut => SUBROSA_STEP_TIMED_OUT,
        StepOutcome::Tls(_) => SUBROSA_STEP_TLS,
        StepOutcome::Certificate(_) => SUBROSA_STEP_CERTIFICATE,
        StepOutcome::Unserved => SUBROSA_STEP_UNSERVED,
        #[allow(unreachable_patterns)]
        _ => SUBROSA_STEP_OTHER,
    }
}

/// Steps into C's array, as many as there is room for; how many there are.
pub(super) fn write_steps(
    places: &mut [subrosa_ladder_step],
    steps: &[LadderStep],
    texts: &mut Texts,
) -> usize {
    for (place, step) in places.iter_mut().zip(steps) {
        *place = subrosa_ladder_step {
            transport: transport_number(step.transport),
            outcome: outcome_number(&step.outcome),
            address: step.address.into(),
            reserved: 0,
            text: texts.lend(&step.outcome.to_string()),
        };
    }
    steps.len()
}

/// Writes the steps that something of an engine's has.
unsafe fn give(
    engine: *const subrosa_engine,
    steps: *mut subrosa_ladder_step,
    room: usize,
    out_count: *mut usize,
    read: impl FnOnce(&mut super::engine::EngineState) -> Result<Vec<LadderStep>, Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, texts| {
            let (places, out) = (slice_mut(steps, room)?, Out::new(out_count)?);
            out.write(write_steps(places, &read(state)?, texts));
            Ok(())
        })
    }
}

/// What was tried when the way to an account's server was looked for last, in order: at most
/// `room` steps are written; `out_count` is how many there are, SUBROSA_MAX_LADDER_STEPS at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_account_ladder(
    engine: *const subrosa_engine,
    account: u64,
    steps: *mut subrosa_ladder_step,
    room: usize,
    out_count: *mut usize,
) -> subrosa_status {
    let id = AccountId::from_raw(account);
    // SAFETY: the caller's promise.
    unsafe {
        give(engine, steps, room, out_count, |state| {
            Ok(state.engine.account(id).ok_or_else(|| unknown_account(id))?.ladder)
        })
    }
}

/// What was tried to reach the next hop of a call, in order, and none for a call that came to us;
/// else as subrosa_engine_account_ladder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_ladder(
    engine: *const subrosa_engine,
    call: u64,
    steps: *mut subrosa_ladder_step,
    room: usize,
    out_count: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(engine, steps, room, out_count, |state| Ok(find(state, call)?.security().ladder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;

    #[test]
    fn steps_are_told_as_far_as_there_is_room() {
        let step = |transport, outcome| LadderStep {
            transport,
            address: ([192, 0, 2, 1], 5061).into(),
            outcome,
        };
        let steps = [
            step(Transport::Tls, StepOutcome::Certificate("expired".into())),
            step(Transport::Udp, StepOutcome::Up),
        ];
        let empty = subrosa_ladder_step {
            transport: 0,
            outcome: -1,
            address: subrosa_addr::default(),
            reserved: 0,
            text: subrosa_str::borrowed(""),
        };
        let mut places = [empty; 3];
        let mut texts = Texts::default();
        assert_eq!(write_steps(&mut places[..1], &steps, &mut texts), 2);
        assert_eq!(places.map(|p| p.outcome), [SUBROSA_STEP_CERTIFICATE, -1, -1]);
        assert_eq!(write_steps(&mut places, &steps, &mut texts), 2);
        assert_eq!(places.map(|p| p.outcome), [SUBROSA_STEP_CERTIFICATE, SUBROSA_STEP_UP, -1]);
        assert_eq!(places[0].address.port, 5061);
        // SAFETY: lent by `texts`, which lives.
        let text = unsafe { places[0].text.text() };
        assert_eq!(text.unwrap(), "certificate not accepted: expired");
        assert_eq!(SUBROSA_MAX_LADDER_STEPS, crate::sip::route::MAX_STEPS);
    }
}
