//! Audio codecs behind two traits, and the names by which SDP knows them.
//!
//! A codec works on whole frames in the caller's buffers and allocates nothing after its
//! construction. The session asks them for their rates and lengths.

mod g711;
mod g722;
mod l16;
pub mod opus;
mod tuning;

pub use g711::{G711, Law};
pub use g722::{G722Decoder, G722Encoder};
pub use l16::L16;
pub use opus::OpusBackend;
pub use tuning::{AudioBandwidth, EncoderTuning};

use core::fmt::Debug;

/// The longest frame that the session encodes or decodes at once, in milliseconds.
pub const MAX_FRAME_MS: u32 = 120;
/// The largest sample rate of a codec, in Hz.
pub const MAX_CODEC_RATE: u32 = 48_000;
/// Samples of the longest frame at the largest rate: what a decode buffer must hold.
pub const MAX_FRAME_SAMPLES: usize = (MAX_CODEC_RATE / 1_000 * MAX_FRAME_MS) as usize;
/// The largest payload that the session takes from or gives to a codec, in bytes.
pub const MAX_PAYLOAD: usize = 1_280;

/// Why a codec refused a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The output buffer is too small: give one of at least this many elements.
    #[error("the output buffer is too small: {needed} elements are needed")]
    OutputTooSmall {
        /// Elements (bytes when encoding, samples when decoding) needed.
        needed: usize,
    },
    /// The encoder was given a number of samples that is no whole frame.
    #[error("{samples} samples are no whole number of codec units: give a multiple of {unit}")]
    NotAFrame {
        /// What was given.
        samples: usize,
        /// The number of samples must be a multiple of this.
        unit: usize,
    },
    /// The payload cannot be decoded (peer garbage).
    #[error("the payload is no valid frame of this codec")]
    BadPayload,
    /// The library behind the codec failed to encode the frame.
    #[error("the codec failed: the frame is lost")]
    Failed,
}

/// Turns PCM into payloads. One encoder per stream: it keeps state between frames.
pub trait Encoder: Send + Debug {
    /// Encodes one frame of mono PCM at [`CodecDescription::sample_rate`] into `payload`;
    /// returns its length in bytes. 0 means that nothing need be sent for this frame
    /// ([`EncoderTuning::dtx`]).
    ///
    /// # Errors
    /// [`CodecError::OutputTooSmall`] or [`CodecError::NotAFrame`], the state is unchanged then;
    /// or [`CodecError::Failed`].
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError>;

    /// Other settings, from the next frame on. Codecs without a choice ignore them.
    fn tune(&mut self, tuning: &EncoderTuning) {
        let _ = tuning;
    }

    /// Forgets the past, as before the first frame.
    fn reset(&mut self);
}

/// Turns payloads into PCM. One decoder per stream: it keeps state between frames.
pub trait Decoder: Send + Debug {
    /// How many samples `payload` decodes to, without decoding it.
    ///
    /// # Errors
    /// [`CodecError::BadPayload`] if it is empty or not a frame of this codec.
    fn samples(&self, payload: &[u8]) -> Result<usize, CodecError>;

    /// Decodes one payload to mono PCM at [`CodecDescription::sample_rate`]; returns the number
    /// of samples.
    ///
    /// # Errors
    /// [`CodecError::BadPayload`] or [`CodecError::OutputTooSmall`].
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError>;

    /// The codec's own concealment of a lost frame, given the next payload if it has come
    /// already (for in-band error correction). Fills `pcm` and returns true, or returns false if
    /// the codec has none (the session's [`Conceal`](crate::media::conceal::Conceal) does it).
    fn conceal(&mut self, next: Option<&[u8]>, pcm: &mut [i16]) -> bool {
        let _ = (next, pcm);
        false
    }

    /// Forgets the past, as before the first frame.
    fn reset(&mut self);
}

/// The codecs of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecId {
    /// G.711 mu-law, RFC 3551 §4.5.14.
    Pcmu,
    /// G.711 A-law, RFC 3551 §4.5.14.
    Pcma,
    /// G.722 at 64 kbit/s, RFC 3551 §4.5.2.
    G722,
    /// Opus, RFC 6716 and RFC 7587. In builds with the feature `opus` or `libopus`.
    Opus,
    /// L16 at 8 kHz: samples of 16 bits as they are, 128 kbit/s (RFC 3551 §4.5.11).
    L16Narrowband,
    /// L16 at 16 kHz, 256 kbit/s.
    L16Wideband,
    /// L16 at 48 kHz, 768 kbit/s.
    L16Fullband,
    /// DTMF events, RFC 4733. No audio codec: it has no encoder and no decoder.
    TelephoneEvent,
}

/// What SDP and RTP need to know of a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodecDescription {
    /// Which codec.
    pub id: CodecId,
    /// Encoding name in `a=rtpmap` (compared without case).
    pub name: &'static str,
    /// RTP clock in Hz, as in `a=rtpmap`. For G.722 it is 8000 although the codec samples at
    /// 16000 Hz (RFC 3551 §4.5.2).
    pub clock_rate: u32,
    /// True sampling rate in Hz of what is encoded and decoded.
    pub sample_rate: u32,
    /// Channels, as in `a=rtpmap`: always 2 for Opus (RFC 7587 §7). PCM is mono here.
    pub channels: u8,
    /// The static payload type of RFC 3551 §6, if it has one.
    pub static_payload_type: Option<u8>,
}

impl CodecDescription {
    /// RTP clock ticks of `samples` samples.
    pub const fn ticks(&self, samples: usize) -> u32 {
        (samples as u64 * self.clock_rate as u64 / self.sample_rate as u64) as u32
    }

    /// Samples in `ms` milliseconds.
    pub const fn samples_in_ms(&self, ms: u32) -> usize {
        (self.sample_rate as u64 * ms as u64 / 1_000) as usize
    }
}

impl CodecId {
    /// All codecs, the preferred ones first.
    pub const ALL: [Self; 8] = [
        Self::Opus,
        Self::G722,
        Self::Pcma,
        Self::Pcmu,
        Self::L16Wideband,
        Self::L16Fullband,
        Self::L16Narrowband,
        Self::TelephoneEvent,
    ];

    /// Its names and rates. Opus is described at 48 kHz; see [`description_at`](Self::description_at).
    pub const fn description(self) -> CodecDescription {
        let (name, clock_rate, sample_rate, payload_type) = match self {
            Self::Pcmu => ("PCMU", 8_000, 8_000, Some(0)),
            Self::Pcma => ("PCMA", 8_000, 8_000, Some(8)),
            Self::G722 => ("G722", 8_000, 16_000, Some(9)),
            Self::Opus => ("opus", 48_000, 48_000, None),
            Self::L16Narrowband => ("L16", 8_000, 8_000, None),
            Self::L16Wideband => ("L16", 16_000, 16_000, None),
            Self::L16Fullband => ("L16", 48_000, 48_000, None),
            Self::TelephoneEvent => ("telephone-event", 8_000, 8_000, None),
        };
        CodecDescription {
            id: self,
            name,
            clock_rate,
            sample_rate,
            channels: if matches!(self, Self::Opus) { 2 } else { 1 },
            static_payload_type: payload_type,
        }
    }

    /// The same beside a host that works at `host_rate` Hz: a codec that has that rate needs no
    /// resampling, so Opus is sampled at it if it is 8, 12, 16 or 24 kHz.
    pub const fn description_at(self, host_rate: u32) -> CodecDescription {
        let description = self.description();
        let sample_rate = match (self, host_rate) {
            (Self::Opus, 8_000 | 12_000 | 16_000 | 24_000) => host_rate,
            _ => description.sample_rate,
        };
        CodecDescription { sample_rate, ..description }
    }

    /// Whether this build can encode and decode it (or, for events, carry it).
    pub const fn is_available(self) -> bool {
        !matches!(self, Self::Opus) || !OpusBackend::AVAILABLE.is_empty()
    }

    /// The lengths in ms that a packet may have: multiples of ten up to 60, for Opus those of
    /// RFC 6716 up to 120; of L16 what fits [`MAX_PAYLOAD`], up to 40 ms at 16 kHz and 10 ms at
    /// 48 kHz. `wanted` or the next shorter one.
    pub fn packet_ms(self, wanted: u32) -> u32 {
        let lengths: &[u32] = match self {
            Self::Opus => &opus::OPUS_PTIMES,
            Self::L16Wideband => &[10, 20, 30, 40],
            Self::L16Fullband => &[10],
            _ => &[10, 20, 30, 40, 50, 60],
        };
        lengths.iter().copied().rfind(|ms| *ms <= wanted).unwrap_or(10)
    }

    /// How many samples `payload` holds, at the rate of [`description`](Self::description): by its
    /// length, for Opus by its first bytes. Nothing is decoded, so that this works for codecs too
    /// that this build does not have.
    ///
    /// # Errors
    /// [`CodecError::BadPayload`] if it is empty or not a frame of this codec.
    pub fn payload_samples(self, payload: &[u8]) -> Result<usize, CodecError> {
        match self {
            _ if payload.is_empty() => Err(CodecError::BadPayload),
            Self::Pcmu | Self::Pcma => Ok(payload.len()),
            Self::G722 => Ok(payload.len().saturating_mul(2)),
            Self::Opus => opus::packet_samples(payload).ok_or(CodecError::BadPayload),
            Self::L16Narrowband | Self::L16Wideband | Self::L16Fullband => L16.samples(payload),
            Self::TelephoneEvent => Err(CodecError::BadPayload),
        }
    }

    /// Whether a payload carries a coarse copy of the frame before it (Opus: RFC 6716 §2.1.7).
    pub fn recalls_previous(self, payload: &[u8]) -> bool {
        self == Self::Opus && opus::recalls_previous(payload)
    }

    /// False if bytes are left over in `payload` that belong to no sample.
    pub const fn is_whole(self, payload: &[u8]) -> bool {
        match self {
            Self::L16Narrowband | Self::L16Wideband | Self::L16Fullband => {
                payload.len().is_multiple_of(2)
            }
            _ => true,
        }
    }

    /// The codec of an `a=rtpmap` entry, by name (without case) and RTP clock.
    pub fn from_rtpmap(name: &str, clock_rate: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|id| {
            let d = id.description();
            d.name.eq_ignore_ascii_case(name) && d.clock_rate == clock_rate
        })
    }

    /// The codec of a static payload type (RFC 3551 §6) that came without `a=rtpmap`.
    pub fn from_static_payload_type(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.description().static_payload_type == Some(payload_type))
    }

    /// A new encoder; none for [`CodecId::TelephoneEvent`], nor for Opus in a build without it.
    pub fn encoder(self) -> Option<Box<dyn Encoder>> {
        self.encoder_at(0, None)
    }

    /// A new encoder at the rate of [`description_at`](Self::description_at), for Opus of a
    /// certain backend (`None`: the preferred one).
    pub fn encoder_at(
        self,
        host_rate: u32,
        backend: Option<OpusBackend>,
    ) -> Option<Box<dyn Encoder>> {
        match self {
            Self::Opus => backend
                .or(OpusBackend::AVAILABLE.first().copied())?
                .encoder(self.description_at(host_rate).sample_rate),
            Self::Pcmu => Some(Box::new(G711::new(Law::Mu))),
            Self::Pcma => Some(Box::new(G711::new(Law::A))),
            Self::G722 => Some(Box::new(G722Encoder::new())),
            Self::L16Narrowband | Self::L16Wideband | Self::L16Fullband => Some(Box::new(L16)),
            Self::TelephoneEvent => None,
        }
    }

    /// A new decoder; none for [`CodecId::TelephoneEvent`], nor for Opus in a build without it.
    pub fn decoder(self) -> Option<Box<dyn Decoder>> {
        self.decoder_at(0, None)
    }

    /// A new decoder at the rate of [`description_at`](Self::description_at), for Opus of a
    /// certain backend (`None`: the preferred one).
    pub fn decoder_at(
        self,
        host_rate: u32,
        backend: Option<OpusBackend>,
    ) -> Option<Box<dyn Decoder>> {
        match self {
            Self::Opus => backend
                .or(OpusBackend::AVAILABLE.first().copied())?
                .decoder(self.description_at(host_rate).sample_rate),
            Self::Pcmu => Some(Box::new(G711::new(Law::Mu))),
            Self::Pcma => Some(Box::new(G711::new(Law::A))),
            Self::G722 => Some(Box::new(G722Decoder::new())),
            Self::L16Narrowband | Self::L16Wideband | Self::L16Fullband => Some(Box::new(L16)),
            Self::TelephoneEvent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdp_names_find_their_codec() {
        assert_eq!(CodecId::from_rtpmap("pcmu", 8_000), Some(CodecId::Pcmu));
        assert_eq!(CodecId::from_rtpmap("G722", 8_000), Some(CodecId::G722));
        assert_eq!(CodecId::from_rtpmap("G722", 16_000), None);
        assert_eq!(CodecId::from_rtpmap("l16", 16_000), Some(CodecId::L16Wideband));
        assert_eq!(CodecId::from_rtpmap("L16", 44_100), None);
        assert_eq!(CodecId::from_rtpmap("telephone-event", 8_000), Some(CodecId::TelephoneEvent));
        assert_eq!(CodecId::from_static_payload_type(8), Some(CodecId::Pcma));
        assert_eq!(CodecId::from_static_payload_type(101), None);
    }

    #[test]
    fn each_name_stands_for_its_own_coding() {
        let coded = |id: CodecId| {
            let mut out = [0; 2];
            let n = id.encoder().unwrap().encode(&[0x0102, 0x0102], &mut out[..]);
            n.map(|n| out[..n].to_vec()).unwrap_or_default()
        };
        // ITU-T G.711 tables 1 and 2.
        assert_eq!((coded(CodecId::Pcmu), coded(CodecId::Pcma)), (vec![0xe7; 2], vec![0xc5; 2]));
        let heard = |id: CodecId, byte: u8| {
            let mut pcm = [0; 2];
            id.decoder().unwrap().decode(&[byte, byte], &mut pcm).map(|_| pcm[0])
        };
        assert_eq!(
            (heard(CodecId::Pcmu, 0x80), heard(CodecId::Pcma, 0xaa)),
            (Ok(32_124), Ok(32_256))
        );
    }

    #[test]
    fn the_longest_packet_of_each_codec_fits() {
        for id in CodecId::ALL.into_iter().filter(|id| *id != CodecId::Opus) {
            let Some(mut encoder) = id.encoder() else { continue };
            let d = id.description();
            let pcm = vec![0; d.samples_in_ms(id.packet_ms(1_000))];
            assert!(encoder.encode(&pcm, &mut [0; MAX_PAYLOAD]).is_ok(), "{id:?}");
        }
    }

    #[test]
    fn the_length_of_a_payload_is_known_without_a_decoder() {
        assert_eq!(CodecId::Pcma.payload_samples(&[0; 160]), Ok(160));
        assert_eq!(CodecId::G722.payload_samples(&[0; 160]), Ok(320));
        assert_eq!(CodecId::L16Fullband.payload_samples(&[0; 961]), Ok(480));
        assert!(!CodecId::L16Fullband.is_whole(&[0; 961]) && CodecId::G722.is_whole(&[0; 161]));
        // One CELT frame of 20 ms, one of SILK of 60 ms.
        assert_eq!(CodecId::Opus.payload_samples(&[31 << 3, 1, 2]), Ok(960));
        assert_eq!(CodecId::Opus.payload_samples(&[3 << 3, 1, 2]), Ok(2_880));
        for id in CodecId::ALL {
            assert_eq!(id.payload_samples(&[]), Err(CodecError::BadPayload));
        }
        assert_eq!(CodecId::TelephoneEvent.payload_samples(&[0; 4]), Err(CodecError::BadPayload));
        assert_eq!(CodecId::Opus.payload_samples(&[3, 0]), Err(CodecError::BadPayload));
    }

    #[test]
    fn a_g722_frame_counts_half_as_many_ticks_as_samples() {
        let d = CodecId::G722.description();
        assert_eq!(d.samples_in_ms(20), 320);
        assert_eq!(d.ticks(320), 160);
    }
}
