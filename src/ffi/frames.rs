//! Encoded audio, for phones whose DSP has the codec: frames in place of PCM.

use super::account::{codec, codec_number};
use super::call::command;
use super::encoding::codec_of;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
use super::media::{self, subrosa_media};
use super::pointer::{OutStruct, Versioned, read_struct, slice, slice_mut};
use super::status::{
    SUBROSA_ERR_AUDIO_MODE, SUBROSA_ERR_CODEC, SUBROSA_ERR_INVALID, SUBROSA_ERR_NOT_SUPPORTED,
    subrosa_status,
};
use crate::engine::CallId;
use crate::media::codec::{CodecId, MAX_PAYLOAD};
use crate::media::session::{EncodedFrame, FrameError, FrameKind, FrameToSend, PcmError};
use crate::time::Instant;

/// No payload of a frame is longer, in bytes.
pub const SUBROSA_MAX_PAYLOAD: usize = 1280;
const _: () = assert!(SUBROSA_MAX_PAYLOAD == MAX_PAYLOAD);

/// Nothing is to be heard now: ask again within a packet's time.
pub const SUBROSA_FRAME_NONE: i32 = 0;
/// What follows is of another codec, payload type or source than before, or it is the first: a new
/// decoder. It lasts no time, ask again at once.
pub const SUBROSA_FRAME_NEW_CODEC: i32 = 1;
/// A packet came: decode it.
pub const SUBROSA_FRAME_AUDIO: i32 = 2;
/// The packet is missing: conceal it. If the one after it has come, that one's payload is here, for
/// decoders that find the missing audio in it; it comes again as SUBROSA_FRAME_AUDIO.
pub const SUBROSA_FRAME_MISSING: i32 = 3;
/// Nothing is missing, and nothing is said: comfort noise. Where the far end says what it is like, that
/// is the payload (RFC 3389).
pub const SUBROSA_FRAME_COMFORT_NOISE: i32 = 4;

pub(super) const fn kind_number(kind: FrameKind) -> i32 {
    match kind {
        FrameKind::NewCodec => SUBROSA_FRAME_NEW_CODEC,
        FrameKind::Audio => SUBROSA_FRAME_AUDIO,
        FrameKind::Missing => SUBROSA_FRAME_MISSING,
        FrameKind::ComfortNoise => SUBROSA_FRAME_COMFORT_NOISE,
    }
}

impl From<PcmError> for Failure {
    fn from(error: PcmError) -> Self {
        Self::new(SUBROSA_ERR_AUDIO_MODE, error)
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        let status = match error {
            FrameError::Pcm => SUBROSA_ERR_AUDIO_MODE,
            FrameError::WrongCodec { .. } => SUBROSA_ERR_CODEC,
            FrameError::ComfortNoise => SUBROSA_ERR_NOT_SUPPORTED,
            FrameError::TooBig { .. } | FrameError::Length { .. } => SUBROSA_ERR_INVALID,
        };
        Self::new(status, error)
    }
}

/// What the decoder is to play next. Set `size` to sizeof before reading.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_encoded_frame {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_FRAME_.
    pub kind: i32,
    /// A SUBROSA_CODEC_.
    pub codec: i32,
    /// The payload type that was negotiated for it.
    pub payload_type: u32,
    /// The RTP timestamp of its beginning, in the codec's RTP clock; of what is no packet: where
    /// the frame before it ended.
    pub timestamp: u32,
    /// How long it plays, in samples of the codec.
    pub samples: u32,
    /// Samples a second of the codec, in Hz: 48000 for Opus, at whatever rate it is decoded.
    pub sample_rate: u32,
    /// Bytes of the payload, at the start of the buffer that was given; 0 for none.
    pub payload: usize,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_encoded_frame {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_encoded_frame {
    fn of(frame: Option<EncodedFrame<'_>>) -> Self {
        let Some(frame) = frame else {
            let (kind, codec) = (SUBROSA_FRAME_NONE, codec_number(None));
            let (timestamp, samples, sample_rate) = (0, 0, 0);
            let (size, payload_type, payload) = (0, 0, 0);
            return Self {
                size,
                kind,
                codec,
                payload_type,
                timestamp,
                samples,
                sample_rate,
                payload,
            };
        };
        Self {
            size: 0,
            kind: kind_number(frame.kind),
            codec: codec_number(codec_of(frame.codec)),
            payload_type: frame.payload_type.into(),
            timestamp: frame.timestamp,
            samples: u32::try_from(frame.samples).unwrap_or(u32::MAX),
            sample_rate: frame.sample_rate,
            payload: frame.payload.len(),
        }
    }
}

/// A packet's worth of encoded audio to be sent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_frame_to_send {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_CODEC_: that of subrosa_call_encoding.
    pub codec: i32,
    /// How long it lasts, in samples of the codec (at 48 kHz for Opus), up to 120 ms.
    pub samples: u32,
    /// 1: it begins a talkspurt. The first one after a pause does anyway.
    pub talkspurt: i32,
    /// The payload of one packet; may be NULL if `payload_len` is 0.
    pub payload: *const u8,
    /// Bytes of it, at most SUBROSA_MAX_PAYLOAD. 0: nothing is to be sent for this time.
    pub payload_len: usize,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_frame_to_send {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

/// Puts the payload where C wants it, which has room for each.
fn hand_out(
    frame: Option<EncodedFrame<'_>>,
    room: &mut [u8],
    out: OutStruct<subrosa_encoded_frame>,
) {
    let payload = frame.map_or(&[][..], |frame| frame.payload);
    room.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
    out.write(subrosa_encoded_frame::of(frame));
}

/// The buffer for a payload.
unsafe fn room<'a>(buffer: *mut u8, room: usize) -> Result<&'a mut [u8], Failure> {
    if room < SUBROSA_MAX_PAYLOAD {
        return Err(Failure::invalid("the buffer must have SUBROSA_MAX_PAYLOAD bytes"));
    }
    // SAFETY: the caller's promise.
    unsafe { slice_mut(buffer, room) }
}

/// The frame that C gave.
unsafe fn given<'a>(frame: *const subrosa_frame_to_send) -> Result<FrameToSend<'a>, Failure> {
    let (payload, codec_none) = (core::ptr::null(), codec_number(None));
    let default = subrosa_frame_to_send {
        size: 0,
        codec: codec_none,
        samples: 0,
        talkspurt: 0,
        payload,
        payload_len: 0,
    };
    // SAFETY: the caller's promise.
    let (frame, payload) = unsafe {
        let frame = read_struct(frame, default)?;
        (frame, slice(frame.payload, frame.payload_len)?)
    };
    let codec = CodecId::from(codec(frame.codec)?);
    let samples = usize::try_from(frame.samples).unwrap_or(usize::MAX);
    Ok(FrameToSend { codec, payload, samples, talkspurt: frame.talkspurt != 0 })
}

/// As subrosa_call_early_media, with encoded frames in place of PCM; the sample rate tells the far
/// end how much of Opus is of use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_early_media_encoded(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    sample_rate: u32,
) -> subrosa_status {
    let now = Instant::from_micros(now_us);
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.early_media_encoded(now, sample_rate)?)) }
}

/// What the decoder is to play next, of a call with encoded frames (`encoded` in
/// subrosa_call_options): each item once, in order. Ask when the one before has been played, by the
/// clock of who plays it. The payload is written into `buffer`, of SUBROSA_MAX_PAYLOAD bytes at
/// least. SUBROSA_ERR_AUDIO_MODE if the call exchanges PCM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_read_frame(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    buffer: *mut u8,
    buffer_room: usize,
    out: *mut subrosa_encoded_frame,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (room, out) = (room(buffer, buffer_room)?, OutStruct::new(out)?);
            let (now, id) = (Instant::from_micros(now_us), CallId::from_raw(call));
            hand_out(state.engine.read_frame(now, id)?, room, out);
            Ok(())
        })
    }
}

/// A packet's worth of encoded audio to send, of a call with encoded frames. Write in real time, in
/// silence too, with an empty payload: timestamps and key presses follow it. SUBROSA_ERR_CODEC if
/// another codec is agreed on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_write_frame(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    frame: *const subrosa_frame_to_send,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let (now, id) = (Instant::from_micros(now_us), CallId::from_raw(call));
            Ok(state.engine.write_frame(now, id, &given(frame)?)?)
        })
    }
}

/// In place of a frame of a call with encoded frames: nothing is said for so many samples of the
/// codec, and the background sounds like this (RFC 3389: a level and up to ten coefficients). Where
/// the pause begins, and when the background changes; write empty frames in between.
/// SUBROSA_ERR_NOT_SUPPORTED if the far end takes no comfort noise, or the payload is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_write_comfort_noise(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    payload: *const u8,
    payload_len: usize,
    samples: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let samples = usize::try_from(samples).unwrap_or(usize::MAX);
            let (now, id) = (Instant::from_micros(now_us), CallId::from_raw(call));
            let payload = slice(payload, payload_len)?;
            Ok(state.engine.write_comfort_noise(now, id, payload, samples)?)
        })
    }
}

/// As subrosa_call_read_frame, of a session that was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_read_frame(
    media: *mut subrosa_media,
    now_us: u64,
    buffer: *mut u8,
    buffer_room: usize,
    out: *mut subrosa_encoded_frame,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        media::with(media, Access::Change, |session| {
            let (room, out) = (room(buffer, buffer_room)?, OutStruct::new(out)?);
            hand_out(session.read_frame(Instant::from_micros(now_us))?, room, out);
            Ok(())
        })
    }
}

/// As subrosa_call_write_frame, of a session that was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_write_frame(
    media: *mut subrosa_media,
    now_us: u64,
    frame: *const subrosa_frame_to_send,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        media::with(media, Access::Change, |session| {
            Ok(session.write_frame(Instant::from_micros(now_us), &given(frame)?)?)
        })
    }
}

/// As subrosa_call_write_comfort_noise, of a session that was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_write_comfort_noise(
    media: *mut subrosa_media,
    now_us: u64,
    payload: *const u8,
    payload_len: usize,
    samples: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        media::with(media, Access::Change, |session| {
            let samples = usize::try_from(samples).unwrap_or(usize::MAX);
            let payload = slice(payload, payload_len)?;
            Ok(session.write_comfort_noise(Instant::from_micros(now_us), payload, samples)?)
        })
    }
}

/// 1 if the session exchanges encoded frames, 0 if PCM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_is_encoded(
    media: *const subrosa_media,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        media::with(media, Access::Read, |session| {
            super::pointer::Out::new(out)?.write(i32::from(session.is_encoded()));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoding::{subrosa_encoding, subrosa_media_encoding};
    use super::super::named::{count, number};
    use super::super::status::SUBROSA_OK;
    use super::*;
    use crate::engine::Codec;

    #[test]
    fn each_kind_of_frame_is_told_by_its_own_number() {
        let kinds =
            [FrameKind::NewCodec, FrameKind::Audio, FrameKind::Missing, FrameKind::ComfortNoise];
        for kind in kinds {
            assert_eq!(kind_number(kind), number("SUBROSA_FRAME_", &kind));
        }
        assert_eq!(kinds.len(), count("SUBROSA_FRAME_"));
    }

    #[test]
    fn what_is_refused_has_a_status_that_says_why() {
        let codec = CodecId::Pcmu;
        for (error, status) in [
            (FrameError::Pcm, SUBROSA_ERR_AUDIO_MODE),
            (FrameError::WrongCodec { given: codec, wanted: codec }, SUBROSA_ERR_CODEC),
            (FrameError::ComfortNoise, SUBROSA_ERR_NOT_SUPPORTED),
            (FrameError::TooBig { len: 2, most: 1 }, SUBROSA_ERR_INVALID),
            (FrameError::Length { codec, samples: 1 }, SUBROSA_ERR_INVALID),
        ] {
            assert_eq!(Failure::from(error).status, status, "{error:?}");
        }
        assert_eq!(Failure::from(PcmError::Encoded).status, SUBROSA_ERR_AUDIO_MODE);
    }

    fn session(encoded: bool) -> *mut subrosa_media {
        media::media_handle(media::tests::session(encoded))
    }

    /// Gives a frame of mu-law.
    fn write(session: *mut subrosa_media, codec: i32, payload: &[u8], samples: u32) -> i32 {
        let frame = subrosa_frame_to_send {
            size: size_of::<subrosa_frame_to_send>() as u32,
            codec,
            samples,
            talkspurt: 0,
            payload: payload.as_ptr(),
            payload_len: payload.len(),
        };
        // SAFETY: the handle and the locals live.
        unsafe { subrosa_media_write_frame(session, 1_000, &frame) }
    }

    fn read(session: *mut subrosa_media, room: usize) -> (i32, subrosa_encoded_frame) {
        let mut buffer = [0; SUBROSA_MAX_PAYLOAD];
        let mut out = subrosa_encoded_frame::of(None);
        out.size = size_of::<subrosa_encoded_frame>() as u32;
        // SAFETY: the handle and the locals live.
        let status = unsafe {
            subrosa_media_read_frame(session, 1_000, buffer.as_mut_ptr(), room, &mut out)
        };
        (status, out)
    }

    #[test]
    fn a_session_exchanges_one_kind_of_audio_and_refuses_the_other() {
        let mu = codec_number(Some(Codec::Pcmu));
        for encoded in [true, false] {
            let session = session(encoded);
            let mut pcm = [0; 160];
            // SAFETY: the handle and the locals live.
            let (said, heard, told, encoding) = unsafe {
                let mut told = -1;
                let mut out: subrosa_encoding = std::mem::zeroed();
                out.size = size_of::<subrosa_encoding>() as u32;
                assert_eq!(subrosa_media_is_encoded(session, &mut told), SUBROSA_OK);
                assert_eq!(subrosa_media_encoding(session, &mut out), SUBROSA_OK);
                (
                    super::super::subrosa_media_write_pcm(session, 1_000, pcm.as_ptr(), 160),
                    super::super::subrosa_media_read_pcm(session, 1_000, pcm.as_mut_ptr(), 160),
                    told,
                    out,
                )
            };
            assert_eq!((encoding.codec, encoding.ptime_ms, encoding.bitrate), (mu, 20, 24_000));
            let frames = (write(session, mu, &[0xff; 160], 160), read(session, 1_280).0);
            let (yes, no) = ((SUBROSA_OK, SUBROSA_OK), SUBROSA_ERR_AUDIO_MODE);
            let expected = if encoded { (yes, (no, no)) } else { ((no, no), yes) };
            assert_eq!((frames, (said, heard)), expected);
            assert_eq!(told, i32::from(encoded));
            // SAFETY: freed once.
            unsafe { super::super::subrosa_media_free(session) };
        }
    }

    #[test]
    fn mistakes_of_the_caller_are_refused_and_change_nothing() {
        let session = session(true);
        let (mu, a) = (codec_number(Some(Codec::Pcmu)), codec_number(Some(Codec::Pcma)));
        assert_eq!(write(session, a, &[0; 160], 160), SUBROSA_ERR_CODEC);
        assert_eq!(write(session, 77, &[0; 160], 160), SUBROSA_ERR_INVALID);
        assert_eq!(write(session, mu, &[0; 160], 161), SUBROSA_ERR_INVALID);
        assert_eq!(write(session, mu, &[0; 1_281], 1_281), SUBROSA_ERR_INVALID);
        assert_eq!(write(session, mu, &[], 0), SUBROSA_ERR_INVALID);
        assert_eq!(write(session, mu, &[], 160), SUBROSA_OK);
        assert_eq!(read(session, 1_279).0, SUBROSA_ERR_INVALID);
        assert_eq!(read(session, 1_280).1.kind, SUBROSA_FRAME_NONE);
        // SAFETY: freed once.
        unsafe { super::super::subrosa_media_free(session) };
    }
}
