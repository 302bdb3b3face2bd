//! Between an engine and the media sessions that were taken from it: what goes from one to the
//! other, and which datagram is whose.

use super::call::find;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure, Handle, enter, free, guard, live};
use super::media::{media_handle, subrosa_media};
use super::media_stats::no_media;
use super::pointer::{Out, slice};
use super::status::{
    SUBROSA_ERR_PANIC, SUBROSA_ERR_WRONG_STATE, SUBROSA_OK, status_of, subrosa_status,
};
use crate::engine::{CallId, Input};
use crate::media::session::{MediaFeedback, MediaSession, MediaUpdate};
use crate::time::Instant;
use crate::wire::rtp::{PacketKind, classify};

/// None of the others: drop it.
pub const SUBROSA_PACKET_UNKNOWN: i32 = 0;
/// STUN.
pub const SUBROSA_PACKET_STUN: i32 = 1;
/// ZRTP.
pub const SUBROSA_PACKET_ZRTP: i32 = 2;
/// DTLS: for the engine.
pub const SUBROSA_PACKET_DTLS: i32 = 3;
/// A TURN channel.
pub const SUBROSA_PACKET_TURN_CHANNEL: i32 = 4;
/// RTP or SRTP: for the media session.
pub const SUBROSA_PACKET_RTP: i32 = 5;
/// RTCP or SRTCP: for the media session.
pub const SUBROSA_PACKET_RTCP: i32 = 6;

/// A change for a media session that was taken: comes with SUBROSA_OUTPUT_MEDIA, goes to
/// subrosa_media_handle_update, on any thread. It may hold keys: freeing it wipes them.
#[derive(Debug)]
pub struct subrosa_media_update(Handle<Option<MediaUpdate>>);

/// What a media session tells its engine: of subrosa_media_get_feedback, for
/// subrosa_engine_handle_media, on any thread.
#[derive(Debug)]
pub struct subrosa_media_feedback(Handle<MediaFeedback>);

/// All three may be used and freed on another thread than the one that made them.
const fn goes_to_another_thread<T: Send>() {}
const _: () = goes_to_another_thread::<MediaSession>();
const _: () = goes_to_another_thread::<MediaUpdate>();
const _: () = goes_to_another_thread::<MediaFeedback>();

/// A new handle for an update.
pub(super) fn update_handle(update: MediaUpdate) -> *mut subrosa_media_update {
    Box::into_raw(Box::new(subrosa_media_update(Handle::new(Some(update)))))
}

/// A new handle for a feedback.
pub(super) fn feedback_handle(feedback: MediaFeedback) -> *mut subrosa_media_feedback {
    Box::into_raw(Box::new(subrosa_media_feedback(Handle::new(feedback))))
}

/// Uses up an update.
///
/// # Safety
/// `update` is NULL or a live handle.
pub(super) unsafe fn take(update: *mut subrosa_media_update) -> Result<MediaUpdate, Failure> {
    let mut taken = None;
    // SAFETY: the caller's promise.
    let handle = unsafe { live(update) }.map(|update| &update.0);
    let status = enter(handle, Access::Change, |update, _| {
        taken = update.take();
        Ok(())
    });
    match (taken, status) {
        (Some(update), _) => Ok(update),
        (None, SUBROSA_OK) => {
            Err(Failure::new(SUBROSA_ERR_WRONG_STATE, "the update was used already"))
        }
        (None, status) => Err(Failure::new(status, "the update cannot be used")),
    }
}

/// Frees an update; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_update_free(update: *mut subrosa_media_update) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(update) }, ());
}

/// Frees a feedback; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_feedback_free(feedback: *mut subrosa_media_feedback) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(feedback) }, ());
}

/// Hands out the media session of a call, to be run by the caller, perhaps on a thread of its own,
/// and to be freed with subrosa_media_free. From then on the RTP and RTCP datagrams of
/// subrosa_call_media_sockets go to the session, its packets are sent from there, and its PCM is
/// written and read there; each SUBROSA_OUTPUT_MEDIA goes to it, and what it tells comes back with
/// subrosa_engine_handle_media. On another network SUBROSA_EVENT_MEDIA_SOCKETS_CHANGED names the
/// sockets that take the place of those. After the call's end the sockets stay open until that says that all
/// is sent, two seconds at most. SUBROSA_ERR_NO_MEDIA if the call has no media (yet),
/// SUBROSA_ERR_MEDIA_TAKEN if it was taken before, SUBROSA_ERR_WRONG_STATE if it is kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_take_media(
    engine: *mut subrosa_engine,
    call: u64,
    out: *mut *mut subrosa_media,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let out = Out::new(out)?;
            out.write(media_handle(state.engine.take_media(CallId::from_raw(call))?));
            Ok(())
        })
    }
}

/// From now on subrosa_engine_take_media gives SUBROSA_ERR_WRONG_STATE: for a host that runs the
/// media of all its calls in the engine, and lets others use that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_keep_media(engine: *mut subrosa_engine) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            state.engine.keep_media();
            Ok(())
        })
    }
}

/// The sockets of a call's media: of RTP, and of RTCP that does not share it. SUBROSA_ERR_NO_MEDIA
/// until they are bound.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_media_sockets(
    engine: *mut subrosa_engine,
    call: u64,
    out_rtp: *mut u64,
    out_rtcp: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let (out_rtp, out_rtcp) = (Out::new(out_rtp)?, Out::new(out_rtcp)?);
            let (rtp, rtcp) = find(state, call)?.media_sockets().ok_or_else(no_media)?;
            out_rtp.write(rtp.to_raw());
            out_rtcp.write(rtcp.to_raw());
            Ok(())
        })
    }
}

/// What a media session that was taken from this call tells of itself. The feedback still has to
/// be freed. One of another call's session gives SUBROSA_ERR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_media(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    feedback: *const subrosa_media_feedback,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(feedback) }.map(|feedback| &feedback.0);
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let mut given = Ok(());
            let status = enter(handle, Access::Read, |feedback, _| {
                let input = Input::Media { call: CallId::from_raw(call), feedback };
                given = state.engine.handle_input(Instant::from_micros(now_us), input);
                Ok(())
            });
            given?;
            if status == SUBROSA_OK { Ok(()) } else { Err(Failure::new(status, "no feedback")) }
        })
    }
}

const fn kind_number(kind: PacketKind) -> i32 {
    match kind {
        PacketKind::Stun => SUBROSA_PACKET_STUN,
        PacketKind::Zrtp => SUBROSA_PACKET_ZRTP,
        PacketKind::Dtls => SUBROSA_PACKET_DTLS,
        PacketKind::TurnChannel => SUBROSA_PACKET_TURN_CHANNEL,
        PacketKind::Rtp => SUBROSA_PACKET_RTP,
        PacketKind::Rtcp => SUBROSA_PACKET_RTCP,
        PacketKind::Unknown => SUBROSA_PACKET_UNKNOWN,
    }
}

/// What a datagram on a media socket claims to be, a SUBROSA_PACKET_ (RFC 7983). Looks at two
/// bytes and proves nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_packet_kind(
    payload: *const u8,
    len: usize,
    out: *mut i32,
) -> subrosa_status {
    let kind = || {
        // SAFETY: the caller's promise.
        let (payload, out) = unsafe { (slice(payload, len)?, Out::new(out)?) };
        out.write(kind_number(classify(payload)));
        Ok(())
    };
    guard(|| status_of(kind()), SUBROSA_ERR_PANIC)
}

#[cfg(test)]
mod tests {
    use super::super::named::{count, number};
    use super::super::status::SUBROSA_OK;
    use super::*;

    #[test]
    fn each_kind_of_packet_is_told_by_its_first_bytes() {
        let kinds = [
            (&[0, 1][..], PacketKind::Stun),
            (&[16, 0], PacketKind::Zrtp),
            (&[22, 254], PacketKind::Dtls),
            (&[64, 0], PacketKind::TurnChannel),
            (&[128, 8], PacketKind::Rtp),
            (&[128, 200], PacketKind::Rtcp),
            (&[255, 255], PacketKind::Unknown),
            (&[], PacketKind::Unknown),
        ];
        for (payload, kind) in kinds {
            let mut told = -1;
            // SAFETY: a slice and a local.
            let status = unsafe { subrosa_packet_kind(payload.as_ptr(), payload.len(), &mut told) };
            let expected = (SUBROSA_OK, number("SUBROSA_PACKET_", &kind));
            assert_eq!((status, told), expected, "{payload:?}");
        }
        assert_eq!(count("SUBROSA_PACKET_"), 7);
    }
}
