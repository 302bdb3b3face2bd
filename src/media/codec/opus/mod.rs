//! Opus (RFC 6716) behind the codec traits: mono speech at the host's own rate where Opus has it.
//!
//! Two backends can be built in, by the features `opus` (`opus-pure`, in Rust alone) and `libopus`
//! (the reference library in C). Packets of either are for any decoder. What is theirs stays in
//! `port` and `libopus`; framing, lengths, loss and the checks of what a peer sends are here, the
//! same for both.

mod fmtp;
#[cfg(feature = "libopus")]
mod libopus;
mod packet;
#[cfg(feature = "opus")]
mod port;

pub use fmtp::OpusParameters;

use super::{CodecError, Decoder, Encoder, EncoderTuning};
use core::fmt;

/// The rates at which Opus encodes and decodes, in Hz (RFC 6716 §2.1.3).
pub const OPUS_RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];
/// Lengths of a packet in ms that Opus has among the multiples of ten.
pub const OPUS_PTIMES: [u32; 7] = [10, 20, 40, 60, 80, 100, 120];

/// Which implementation of Opus encodes and decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpusBackend {
    /// `opus-pure`, in Rust alone (feature `opus`), as the patched copy in `vendor/opus-pure`.
    /// Allocates nothing after its construction (`tests/no_alloc_opus.rs`); the crate of that name
    /// as published does, three to eight times for each frame that it encodes. At 8 kHz its DTX
    /// takes nothing but digital silence for silence.
    Port,
    /// libopus, in C (feature `libopus`). Allocates nothing after its construction.
    Libopus,
}

impl OpusBackend {
    /// Those of this build, the preferred one first.
    pub const AVAILABLE: &'static [Self] = &[
        #[cfg(feature = "libopus")]
        Self::Libopus,
        #[cfg(feature = "opus")]
        Self::Port,
    ];

    /// An encoder of mono audio at `rate` Hz, one of [`OPUS_RATES`]; `None` at another rate or
    /// without this backend.
    pub fn encoder(self, rate: u32) -> Option<Box<dyn Encoder>> {
        let raw = self.raw_encoder(rate)?;
        let mut encoder = OpusEncoder { raw, rate, tuning: EncoderTuning::default() };
        encoder.tune(&EncoderTuning::default());
        Some(Box::new(encoder))
    }

    fn raw_encoder(self, rate: u32) -> Option<Box<dyn RawEncoder>> {
        match self {
            #[cfg(feature = "opus")]
            Self::Port => Some(Box::new(port::PortEncoder::new(rate)?)),
            #[cfg(feature = "libopus")]
            Self::Libopus => Some(Box::new(libopus::LibopusEncoder::new(rate)?)),
            #[allow(unreachable_patterns)] // with both backends there is no other
            _ => {
                let _ = rate;
                None
            }
        }
    }

    /// A decoder to mono audio at `rate` Hz, one of [`OPUS_RATES`]; `None` at another rate or
    /// without this backend.
    pub fn decoder(self, rate: u32) -> Option<Box<dyn Decoder>> {
        let raw = self.raw_decoder(rate)?;
        Some(Box::new(OpusDecoder { raw, rate }))
    }

    fn raw_decoder(self, rate: u32) -> Option<Box<dyn RawDecoder>> {
        match self {
            #[cfg(feature = "opus")]
            Self::Port => Some(Box::new(port::PortDecoder::new(rate)?)),
            #[cfg(feature = "libopus")]
            Self::Libopus => Some(Box::new(libopus::LibopusDecoder::new(rate)?)),
            #[allow(unreachable_patterns)] // with both backends there is no other
            _ => {
                let _ = rate;
                None
            }
        }
    }
}

/// What an implementation of the encoder has. Buffers and lengths were checked.
trait RawEncoder: Send {
    /// Encodes one frame; the length, or `None` if the library failed.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<usize>;
    /// The values are in their ranges.
    fn tune(&mut self, tuning: &EncoderTuning);
    fn reset(&mut self);
}

/// What an implementation of the decoder has. Packets and lengths were checked.
trait RawDecoder: Send {
    /// Decodes a packet, or (`None`) conceals `pcm.len()` samples. With `fec`, the audio *before*
    /// the packet as it remembers it. The number of samples, or `None` if the library failed.
    fn decode(&mut self, packet: Option<&[u8]>, pcm: &mut [i16], fec: bool) -> Option<usize>;
    fn reset(&mut self);
}

/// Whether a packet carries a coarse copy of the one before it.
pub(super) fn recalls_previous(packet: &[u8]) -> bool {
    packet::recalls_previous(packet)
}

/// Samples at 48 kHz of a packet; `None` if it is none (RFC 6716 §3.4).
pub(super) fn packet_samples(packet: &[u8]) -> Option<usize> {
    packet::samples(packet).and_then(|samples| usize::try_from(samples).ok())
}

/// A packet of up to this many bytes says only that nothing is sent (DTX).
const DTX_BYTES: usize = 2;

struct OpusEncoder {
    raw: Box<dyn RawEncoder>,
    rate: u32,
    tuning: EncoderTuning,
}

impl fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusEncoder").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Encoder for OpusEncoder {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let unit = (self.rate / 100) as usize;
        let whole = OPUS_PTIMES.iter().any(|ms| pcm.len() * 10 == unit * *ms as usize);
        if !whole {
            return Err(CodecError::NotAFrame { samples: pcm.len(), unit });
        }
        // The least that the encoder can say anything in.
        let needed = 8;
        if payload.len() < needed {
            return Err(CodecError::OutputTooSmall { needed });
        }
        let room = payload.len().min(super::MAX_PAYLOAD);
        let payload = payload.get_mut(..room).unwrap_or_default();
        let len = self.raw.encode(pcm, payload).ok_or(CodecError::Failed)?;
        Ok(if self.tuning.dtx && len <= DTX_BYTES { 0 } else { len })
    }

    fn tune(&mut self, tuning: &EncoderTuning) {
        self.tuning = tuning.bounded();
        self.raw.tune(&self.tuning);
    }

    fn reset(&mut self) {
        self.raw.reset();
    }
}

struct OpusDecoder {
    raw: Box<dyn RawDecoder>,
    rate: u32,
}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl OpusDecoder {
    /// Samples of 2.5 ms, the grain of concealment.
    fn unit(&self) -> usize {
        (self.rate / 400) as usize
    }

    /// Conceals in pieces that the library takes: multiples of 2.5 ms, at most 120 ms.
    fn fill(&mut self, pcm: &mut [i16]) -> bool {
        let (tens, longest) = (self.unit() * 4, self.unit() * 48);
        for piece in pcm.chunks_mut(longest) {
            let whole = piece.len() - piece.len() % self.unit();
            let (pieces, rest) = piece.split_at_mut(whole);
            let mut done = 0;
            while done < whole {
                // Whole 10 ms first: not every library conceals 12.5 ms at once.
                let left = whole - done;
                let now = if left > tens { left - left % tens } else { left };
                let room = pieces.get_mut(done..done + now).unwrap_or_default();
                // The library conceals no more at once than its last frame was long.
                match self.raw.decode(None, room, false) {
                    Some(n) if n > 0 => done += n,
                    _ => return false,
                }
            }
            if !rest.is_empty() {
                let mut grain = [0; 120];
                let grain = grain.get_mut(..self.unit()).unwrap_or_default();
                if self.raw.decode(None, grain, false).is_none() {
                    return false;
                }
                rest.iter_mut().zip(grain.iter()).for_each(|(to, from)| *to = *from);
            }
        }
        true
    }
}

impl Decoder for OpusDecoder {
    fn samples(&self, payload: &[u8]) -> Result<usize, CodecError> {
        let samples = packet::samples(payload).ok_or(CodecError::BadPayload)?;
        Ok((samples / (48_000 / self.rate)) as usize)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples(payload)?;
        let room = pcm.get_mut(..needed).ok_or(CodecError::OutputTooSmall { needed })?;
        match self.raw.decode(Some(payload), room, false) {
            Some(n) if n == needed => Ok(needed),
            _ => Err(CodecError::BadPayload),
        }
    }

    fn conceal(&mut self, next: Option<&[u8]>, pcm: &mut [i16]) -> bool {
        let next = next.filter(|packet| self.samples(packet).is_ok());
        let Some(next) = next else { return self.fill(pcm) };
        // The next packet remembers as much as its first frame is long: what comes before that
        // is concealed.
        let toc = next.first().copied().unwrap_or_default();
        let known = (packet::frame_samples(toc) / (48_000 / self.rate)) as usize;
        let Some(begin) = pcm.len().checked_sub(known) else { return self.fill(pcm) };
        let (before, remembered) = pcm.split_at_mut(begin);
        if !self.fill(before) {
            return false;
        }
        match self.raw.decode(Some(next), remembered, true) {
            Some(n) if n == remembered.len() => true,
            _ => self.fill(remembered),
        }
    }

    fn reset(&mut self) {
        self.raw.reset();
    }
}
