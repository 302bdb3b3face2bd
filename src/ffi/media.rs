//! A call's media session that was taken: packets, timers and updates, on a thread of the host's
//! choice. Its audio is in `media_audio`.

use super::addr::subrosa_addr;
use super::guard::{Access, Failure, Handle, enter, free, guard, last_error, live};
use super::media_event::{SUBROSA_MEDIA_EVENT_NONE, subrosa_media_event};
use super::media_link::{feedback_handle, subrosa_media_feedback, subrosa_media_update, take};
use super::media_stats::subrosa_media_stats;
use super::pointer::{Out, OutStruct, Versioned, slice_mut, subrosa_str};
use super::status::{
    SUBROSA_ERR_CONFIG, SUBROSA_ERR_INVALID, SUBROSA_ERR_PANIC, SUBROSA_ERR_WRONG_STATE,
    subrosa_status,
};
use crate::media::session::{Channel, MAX_TRANSMIT, MediaConfigError, MediaSession};
use crate::time::Instant;

/// The socket of RTP, and of RTCP where both share it: the first of subrosa_call_media_sockets.
pub const SUBROSA_CHANNEL_RTP: i32 = 1;
/// The socket of RTCP: the second one.
pub const SUBROSA_CHANNEL_RTCP: i32 = 2;
/// No socket: there is nothing to send.
pub const SUBROSA_CHANNEL_NONE: i32 = 0;

/// The room that subrosa_media_poll_transmit needs.
pub const SUBROSA_MAX_TRANSMIT: usize = 1500;
const _: () = assert!(SUBROSA_MAX_TRANSMIT == MAX_TRANSMIT);

/// A call's media session that was taken with subrosa_engine_take_media. It is used by one thread
/// at a time, which need not be the engine's; it may outlive the call and the engine.
#[derive(Debug)]
pub struct subrosa_media(Handle<MediaSession>);

/// A packet to be sent. Set `size` to sizeof before polling.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_media_transmit {
    /// sizeof this struct.
    pub size: u32,
    /// From which socket: a SUBROSA_CHANNEL_; SUBROSA_CHANNEL_NONE if there is nothing to send.
    pub channel: i32,
    /// To where.
    pub remote: subrosa_addr,
    /// Bytes of the packet, at the start of the buffer that was given.
    pub len: usize,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_media_transmit {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl From<MediaConfigError> for Failure {
    fn from(error: MediaConfigError) -> Self {
        let status = match error {
            MediaConfigError::ForeignUpdate => SUBROSA_ERR_INVALID,
            MediaConfigError::MissedUpdate => SUBROSA_ERR_WRONG_STATE,
            _ => SUBROSA_ERR_CONFIG,
        };
        Self::new(status, error)
    }
}

fn channel_of(number: i32) -> Result<Channel, Failure> {
    match number {
        SUBROSA_CHANNEL_RTP => Ok(Channel::Rtp),
        SUBROSA_CHANNEL_RTCP => Ok(Channel::Rtcp),
        _ => Err(Failure::invalid("not a SUBROSA_CHANNEL_")),
    }
}

const fn channel_number(channel: Channel) -> i32 {
    match channel {
        Channel::Rtp => SUBROSA_CHANNEL_RTP,
        Channel::Rtcp => SUBROSA_CHANNEL_RTCP,
    }
}

/// A new handle for a session.
pub(super) fn media_handle(session: MediaSession) -> *mut subrosa_media {
    Box::into_raw(Box::new(subrosa_media(Handle::new(session))))
}

/// Enters a session.
pub(super) unsafe fn with(
    media: *const subrosa_media,
    access: Access,
    run: impl FnOnce(&mut MediaSession) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    enter(unsafe { live(media) }.map(|media| &media.0), access, |session, _| run(session))
}

/// Frees a session; NULL is fine. Free it once subrosa_media_is_drained and the last feedback was
/// given, or nobody hears its goodbye. The call of a session that is freed before its end has no
/// media any more: hang it up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_free(media: *mut subrosa_media) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(media) }, ());
}

/// What the last failing function on this session had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_last_error(
    media: *const subrosa_media,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(media).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// A datagram arrived on one of the two sockets, a SUBROSA_CHANNEL_, whose subrosa_packet_kind is
/// RTP or RTCP; others go to subrosa_engine_handle_datagram. Its bytes are changed: they are
/// decrypted in place. Whatever is wrong with it is counted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_handle_datagram(
    media: *mut subrosa_media,
    now_us: u64,
    channel: i32,
    remote: subrosa_addr,
    payload: *mut u8,
    len: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            let (payload, remote) = (slice_mut(payload, len)?, remote.address()?);
            let channel = channel_of(channel)?;
            session.handle_datagram(Instant::from_micros(now_us), channel, payload, remote);
            Ok(())
        })
    }
}

/// Writes the next packet to be sent into `buffer`, of SUBROSA_MAX_TRANSMIT bytes at least. After
/// whatever is done to the session, poll until `channel` is SUBROSA_CHANNEL_NONE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_poll_transmit(
    media: *mut subrosa_media,
    now_us: u64,
    buffer: *mut u8,
    room: usize,
    out: *mut subrosa_media_transmit,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            let (buffer, out) = (slice_mut(buffer, room)?, OutStruct::new(out)?);
            let polled = session.poll_transmit(Instant::from_micros(now_us), buffer);
            let (channel, remote, len) = match polled.map_err(Failure::invalid)? {
                Some(transmit) => {
                    let channel = channel_number(transmit.channel);
                    (channel, transmit.remote.into(), transmit.packet.bytes().len())
                }
                None => (SUBROSA_CHANNEL_NONE, subrosa_addr::default(), 0),
            };
            out.write(subrosa_media_transmit { size: 0, channel, remote, len });
            Ok(())
        })
    }
}

/// When to call subrosa_media_handle_timeout; UINT64_MAX for never.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_next_timeout(
    media: *const subrosa_media,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Read, |session| {
            let at = session.next_timeout().map_or(u64::MAX, |at| at.as_micros());
            Out::new(out)?.write(at);
            Ok(())
        })
    }
}

/// The instant of subrosa_media_next_timeout has come; early or late is harmless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_handle_timeout(
    media: *mut subrosa_media,
    now_us: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            session.handle_timeout(Instant::from_micros(now_us));
            Ok(())
        })
    }
}

/// What happened; SUBROSA_MEDIA_EVENT_NONE if nothing did. Of a call whose media was taken, the
/// engine does not tell these. At most 64 wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_poll_event(
    media: *mut subrosa_media,
    out: *mut subrosa_media_event,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            let out = OutStruct::new(out)?;
            let event = session.poll_event().map(subrosa_media_event::of);
            let none = || subrosa_media_event::new(SUBROSA_MEDIA_EVENT_NONE);
            out.write(event.unwrap_or_else(none));
            Ok(())
        })
    }
}

/// Applies an update of SUBROSA_OUTPUT_MEDIA: each of them, in order. It is used up then, whether
/// or not this succeeds, and still has to be freed; only with SUBROSA_ERR_BUSY it is not. An update
/// of another call gives SUBROSA_ERR_INVALID and changes nothing. After one that was left out
/// (SUBROSA_ERR_WRONG_STATE), or that cannot be applied (SUBROSA_ERR_CONFIG), the session is silent
/// at once, and the engine ends the call when the feedback tells it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_handle_update(
    media: *mut subrosa_media,
    now_us: u64,
    update: *mut subrosa_media_update,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            Ok(session.handle_update(Instant::from_micros(now_us), take(update)?)?)
        })
    }
}

/// What the engine is to be told, for subrosa_engine_handle_media; free it afterwards with
/// subrosa_media_feedback_free. Once a second is plenty, and whenever subrosa_media_feedback_due.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_get_feedback(
    media: *mut subrosa_media,
    out: *mut *mut subrosa_media_feedback,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Change, |session| {
            let out = Out::new(out)?;
            let feedback = session.feedback();
            let feedback =
                feedback.ok_or_else(|| Failure::invalid("no engine made this session"))?;
            out.write(feedback_handle(feedback));
            Ok(())
        })
    }
}

/// 1 if something changed that the engine should know at once, else 0: an update was applied or
/// failed, keys changed or must be renewed, or all is sent after the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_feedback_due(
    media: *const subrosa_media,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Read, |session| {
            Out::new(out)?.write(i32::from(session.feedback_due()));
            Ok(())
        })
    }
}

/// 1 once the session has ended: it takes and gives no media any more; else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_is_closed(
    media: *const subrosa_media,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Read, |session| {
            Out::new(out)?.write(i32::from(session.is_closed()));
            Ok(())
        })
    }
}

/// 1 once it has ended and its last packet was polled, else 0. Give the engine one more feedback,
/// and it closes the sockets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_is_drained(
    media: *const subrosa_media,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Read, |session| {
            Out::new(out)?.write(i32::from(session.is_drained()));
            Ok(())
        })
    }
}

/// Statistics of the session. Set `size` to sizeof before asking.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_get_stats(
    media: *const subrosa_media,
    out: *mut subrosa_media_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(media, Access::Read, |session| {
            OutStruct::new(out)?.write(subrosa_media_stats::of(&session.stats()));
            Ok(())
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::named::number;
    use super::super::processing::{
        SUBROSA_PROCESSING_OFF, SUBROSA_PROCESSING_VOICE, bits, subrosa_media_processing_stats,
        subrosa_media_set_processing, subrosa_processing_stats,
    };
    use super::super::status::{SUBROSA_ERR_INVALID, SUBROSA_ERR_NO_MEDIA, SUBROSA_OK};
    use super::*;
    use crate::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
    use crate::media::codec::CodecId;
    use crate::media::dsp::ProcessingStats;
    use crate::media::session::{MediaConfig, MediaSecurity, Payload};
    use crate::util::SeededRng;

    #[test]
    fn a_channel_keeps_its_number_both_ways() {
        for channel in [Channel::Rtp, Channel::Rtcp] {
            assert_eq!(channel_number(channel), number("SUBROSA_CHANNEL_", &channel));
            assert_eq!(channel_of(channel_number(channel)).unwrap(), channel);
        }
        assert_eq!(channel_of(SUBROSA_CHANNEL_NONE).unwrap_err().status, SUBROSA_ERR_INVALID);
    }

    #[test]
    fn what_a_session_refuses_has_a_status_that_says_why() {
        for (error, status) in [
            (MediaConfigError::ForeignUpdate, SUBROSA_ERR_INVALID),
            (MediaConfigError::MissedUpdate, SUBROSA_ERR_WRONG_STATE),
            (MediaConfigError::NotSrtp, SUBROSA_ERR_CONFIG),
        ] {
            assert_eq!(Failure::from(error).status, status, "{error:?}");
        }
    }

    /// A session that no engine made.
    pub(in crate::ffi) fn session(encoded: bool) -> MediaSession {
        let mut rng = SeededRng::new(5);
        let key = MasterKey::generate(Suite::AesCm128HmacSha1_80, &mut rng);
        let security = MediaSecurity::Srtp {
            sender: SrtpSender::new(&key).unwrap(),
            receiver: SrtpReceiver::new(&key).unwrap(),
        };
        let payload = Payload { payload_type: 0, codec: CodecId::Pcmu };
        let remote = "192.0.2.1:4000".parse().unwrap();
        let mut config = MediaConfig::new(payload, remote, security);
        config.encoded = encoded;
        MediaSession::new(Instant::from_millis(1), config, &mut rng).unwrap()
    }

    #[test]
    fn a_session_that_ends_has_no_timer_and_is_drained_once_its_goodbye_was_polled() {
        let mut session = session(false);
        // RTCP may say goodbye alone only after a packet was sent.
        session.write_pcm(Instant::from_millis(1), &[0; 320]).unwrap();
        let handle = media_handle(session);
        let told = || {
            let (mut at, mut closed, mut drained) = (0, -1, -1);
            // SAFETY: the handle lives, and so do the locals.
            let statuses = unsafe {
                [
                    subrosa_media_next_timeout(handle, &mut at),
                    subrosa_media_is_closed(handle, &mut closed),
                    subrosa_media_is_drained(handle, &mut drained),
                ]
            };
            assert_eq!(statuses, [SUBROSA_OK; 3]);
            (at, closed, drained)
        };
        let poll = || {
            let mut packet = [0; SUBROSA_MAX_TRANSMIT];
            let mut out = subrosa_media_transmit {
                size: size_of::<subrosa_media_transmit>() as u32,
                channel: -1,
                remote: subrosa_addr::default(),
                len: 0,
            };
            // SAFETY: the handle lives, and so do the locals.
            let status = unsafe {
                subrosa_media_poll_transmit(
                    handle,
                    1_000,
                    packet.as_mut_ptr(),
                    packet.len(),
                    &mut out,
                )
            };
            assert_eq!(status, SUBROSA_OK);
            (out.channel, out.len)
        };
        while poll().0 != SUBROSA_CHANNEL_NONE {}
        let (at, closed, drained) = told();
        assert!(at > 1_000 && at < u64::MAX, "{at}");
        assert_eq!((closed, drained), (0, 0));
        let close = |session: &mut MediaSession| {
            session.close();
            Ok(())
        };
        // SAFETY: the handle lives.
        assert_eq!(unsafe { with(handle, Access::Change, close) }, SUBROSA_OK);
        assert_eq!(told(), (u64::MAX, 1, 0));
        assert!(poll().1 > 0);
        assert_eq!(told(), (u64::MAX, 1, 1));
        assert_eq!(poll(), (SUBROSA_CHANNEL_NONE, 0));
        // SAFETY: freed once.
        unsafe { subrosa_media_free(handle) };
    }

    #[test]
    fn a_sessions_processing_is_switched_and_asked_for() {
        let handle = media_handle(session(false));
        let stats = || {
            let mut out = subrosa_processing_stats::of(&ProcessingStats::default());
            out.size = size_of::<subrosa_processing_stats>() as u32;
            // SAFETY: the handle and the local live.
            unsafe { subrosa_media_processing_stats(handle, &mut out) }
        };
        let set = |parts| {
            let mut now = 0;
            let look = |session: &mut MediaSession| {
                now = bits(session.processing());
                Ok(())
            };
            // SAFETY: the handle lives.
            let status = unsafe {
                let status = subrosa_media_set_processing(handle, parts);
                assert_eq!(with(handle, Access::Read, look), SUBROSA_OK);
                status
            };
            (status, now)
        };
        assert_eq!(stats(), SUBROSA_ERR_NO_MEDIA);
        assert_eq!(set(SUBROSA_PROCESSING_VOICE), (SUBROSA_OK, SUBROSA_PROCESSING_VOICE));
        assert_eq!(stats(), SUBROSA_OK);
        assert_eq!(set(1 << 5), (SUBROSA_ERR_INVALID, SUBROSA_PROCESSING_VOICE));
        assert_eq!(set(SUBROSA_PROCESSING_OFF), (SUBROSA_OK, SUBROSA_PROCESSING_OFF));
        // SAFETY: freed once.
        unsafe { subrosa_media_free(handle) };
    }
}
