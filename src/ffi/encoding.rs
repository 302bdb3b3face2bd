//! What a program that encodes by itself has to do.

use super::account::codec_number;
use super::engine::{subrosa_engine, with};
use super::guard::Access;
use super::media::{self, subrosa_media};
#[cfg(feature = "driver")]
use super::phone::{on_engine, subrosa_phone};
use super::pointer::{OutStruct, Versioned};
use super::status::subrosa_status;
use crate::engine::{CallId, Codec};
use crate::media::codec::{AudioBandwidth, CodecId};
use crate::media::session::Encoding;

/// What the encoder has to do. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_encoding {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_CODEC_.
    pub codec: i32,
    /// The payload type that was negotiated for it.
    pub payload_type: u32,
    /// Length of a packet, in ms, as the far end asks for it.
    pub ptime_ms: u32,
    /// Mean bitrate, in bit/s, for codecs that have a choice, as the network carries it now; so are
    /// those that follow.
    pub bitrate: u32,
    /// 1: each packet as long as its audio needs; 0: all have one length.
    pub variable_bitrate: i32,
    /// 1: each packet remembers the one before it, once packets are lost.
    pub fec: i32,
    /// 1: nothing is sent in silence but a packet now and then.
    pub dtx: i32,
    /// Packets that are expected to be lost, in percent: what the far end reports, if it is more.
    pub expected_loss_percent: u32,
    /// Effort of the encoder, 0 to 10.
    pub complexity: u32,
    /// Nothing above half of this sampling rate, in Hz, is of use to the far end.
    pub max_bandwidth: u32,
    /// 1: the far end takes comfort noise in pauses: subrosa_call_write_comfort_noise.
    pub comfort_noise: i32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_encoding {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_encoding {
    fn of(encoding: &Encoding) -> Self {
        let tuning = encoding.tuning;
        Self {
            size: 0,
            codec: codec_number(codec_of(encoding.codec)),
            payload_type: encoding.payload_type.into(),
            ptime_ms: encoding.ptime_ms,
            bitrate: tuning.bitrate,
            variable_bitrate: tuning.variable_bitrate.into(),
            fec: tuning.fec.into(),
            dtx: tuning.dtx.into(),
            expected_loss_percent: tuning.expected_loss_percent.into(),
            complexity: tuning.complexity.into(),
            max_bandwidth: match tuning.max_bandwidth {
                AudioBandwidth::Narrowband => 8_000,
                AudioBandwidth::Mediumband => 12_000,
                AudioBandwidth::Wideband => 16_000,
                AudioBandwidth::Superwideband => 24_000,
                AudioBandwidth::Fullband => 48_000,
            },
            comfort_noise: encoding.comfort_noise.into(),
        }
    }
}

/// The codec of calls that a session's codec is.
pub(super) const fn codec_of(id: CodecId) -> Option<Codec> {
    match id {
        CodecId::Opus => Some(Codec::Opus),
        CodecId::G722 => Some(Codec::G722),
        CodecId::Pcmu => Some(Codec::Pcmu),
        CodecId::Pcma => Some(Codec::Pcma),
        CodecId::L16Narrowband => Some(Codec::L16Narrowband),
        CodecId::L16Wideband => Some(Codec::L16Wideband),
        CodecId::L16Fullband => Some(Codec::L16Fullband),
        CodecId::TelephoneEvent => None,
    }
}

/// What the encoder of a call has to do, for programs that encode by themselves.
/// SUBROSA_EVENT_ENCODING_CHANGED tells when something else was agreed on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_encoding(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut subrosa_encoding,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = OutStruct::new(out)?;
            out.write(subrosa_encoding::of(&state.engine.encoding(CallId::from_raw(call))?));
            Ok(())
        })
    }
}

/// As subrosa_call_encoding, of a session that was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_encoding(
    media: *const subrosa_media,
    out: *mut subrosa_encoding,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        media::with(media, Access::Read, |session| {
            OutStruct::new(out)?.write(subrosa_encoding::of(&session.encoding()));
            Ok(())
        })
    }
}

/// How a call of a phone is encoded now: as subrosa_call_encoding, of what the phone encodes.
#[cfg(feature = "driver")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_encoding(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut subrosa_encoding,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        super::phone::with(phone, Access::Read, |phone, _| {
            let out = OutStruct::new(out)?;
            let id = CallId::from_raw(call);
            let encoding = on_engine(phone, move |engine, _| Ok(engine.encoding(id)?))?;
            out.write(subrosa_encoding::of(&encoding));
            Ok(())
        })
    }
}
