//! Audio of a host whose DSP has the codec: frames in the order in which they are to be played, and
//! frames to be sent, in place of PCM.
//!
//! All else is the same: RTP, SRTP, RTCP, statistics, DTMF and renegotiation. What the session
//! cannot do without decoding is left to the DSP: concealment, comfort noise, gain, voice
//! processing, and time scaling, in place of which a frame is left out or made up now and then.

use super::MediaSession;
use crate::media::codec::{CodecId, EncoderTuning, MAX_PAYLOAD};
use crate::time::Instant;

/// What is to be played next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// What follows is of another codec, payload type or source than what came before, or it is
    /// the first: a new decoder. It lasts no time, ask again at once.
    NewCodec,
    /// A packet came: decode it.
    Audio,
    /// The packet is missing: conceal it. If the one after it has come, that one's payload is here,
    /// for decoders that find the missing audio in it (in-band FEC); it comes again as `Audio`.
    Missing,
    /// Nothing is missing, and nothing is said: the peer sends nothing in silence, or what it says
    /// next is gathered first. Comfort noise; where the peer says what it is like (RFC 3389), that
    /// is the payload.
    ComfortNoise,
}

/// What a DSP is to play next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodedFrame<'a> {
    /// What it is.
    pub kind: FrameKind,
    /// Of which codec.
    pub codec: CodecId,
    /// The payload type that was negotiated for it.
    pub payload_type: u8,
    /// The RTP timestamp of its beginning, in the codec's RTP clock. Of what is no packet: where
    /// the frame before it ended.
    pub timestamp: u32,
    /// How long it plays, in samples of the codec; each of the codec's frames in it is as long as
    /// all others of the packet.
    pub samples: usize,
    /// Samples a second of the codec, in Hz: 48000 for Opus, at whatever rate the DSP decodes it.
    pub sample_rate: u32,
    /// The payload; empty if there is none.
    pub payload: &'a [u8],
}

/// A packet's worth of encoded audio to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameToSend<'a> {
    /// Of which codec: the one of [`MediaSession::encoding`].
    pub codec: CodecId,
    /// The payload of one packet, at most [`MAX_PAYLOAD`] bytes. Empty: nothing is to be sent for
    /// this time (DTX).
    pub payload: &'a [u8],
    /// How long it lasts, in samples of the codec (at 48 kHz for Opus), up to 120 ms.
    pub samples: usize,
    /// It begins a talkspurt (RFC 3551 §4.1). The first one after a pause does anyway.
    pub talkspurt: bool,
}

/// What the host's encoder has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoding {
    /// The codec.
    pub codec: CodecId,
    /// The payload type that was negotiated for it.
    pub payload_type: u8,
    /// Length of a packet, in ms, as the peer asks for it.
    pub ptime_ms: u32,
    /// Settings, for codecs that have a choice, within what the peer asks for; with the loss that
    /// it reports. `dtx`: nothing need be sent in silence.
    pub tuning: EncoderTuning,
    /// The peer takes comfort noise in pauses (RFC 3389):
    /// [`MediaSession::write_comfort_noise`].
    pub comfort_noise: bool,
}

/// Why a session gives or takes no PCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PcmError {
    /// Encoded frames were asked for when it was made.
    #[error("the session exchanges encoded frames: use read_frame and write_frame")]
    Encoded,
}

/// Why a session gives or takes no encoded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The session exchanges PCM.
    #[error("the session exchanges PCM: use read_pcm and write_pcm, or ask for encoded frames")]
    Pcm,
    /// Another codec is agreed on.
    #[error("the frame is {given:?}, but {wanted:?} is to be sent: encode with that")]
    WrongCodec {
        /// Of the frame.
        given: CodecId,
        /// As agreed with the peer.
        wanted: CodecId,
    },
    /// The payload does not fit a packet.
    #[error("the payload has {len} bytes: give at most {most}")]
    TooBig {
        /// Of the payload, in bytes.
        len: usize,
        /// What fits, in bytes.
        most: usize,
    },
    /// The peer takes no comfort noise, or the payload is none.
    #[error("the peer takes no comfort noise (RFC 3389) now, or the payload is none")]
    ComfortNoise,
    /// The payload is no whole frames of the codec, or lasts another time than was said, or the
    /// time is out of range.
    #[error("the payload of {codec:?} does not last {samples} samples, or is longer than 120 ms")]
    Length {
        /// The codec.
        codec: CodecId,
        /// What was said.
        samples: usize,
    },
}

impl FrameToSend<'_> {
    /// Checks it against what is agreed.
    pub(super) fn check(&self, wanted: CodecId) -> Result<(), FrameError> {
        let (codec, samples) = (self.codec, self.samples);
        if codec != wanted {
            return Err(FrameError::WrongCodec { given: codec, wanted });
        }
        if self.payload.len() > MAX_PAYLOAD {
            return Err(FrameError::TooBig { len: self.payload.len(), most: MAX_PAYLOAD });
        }
        let longest = codec.description().samples_in_ms(crate::media::codec::MAX_FRAME_MS);
        let silent = self.payload.is_empty();
        let whole = silent
            || codec.is_whole(self.payload) && codec.payload_samples(self.payload) == Ok(samples);
        let fits = (1..=longest).contains(&samples) && whole;
        fits.then_some(()).ok_or(FrameError::Length { codec, samples })
    }
}

impl MediaSession {
    /// True if it exchanges encoded frames, false if PCM.
    pub fn is_encoded(&self) -> bool {
        self.outbound.is_encoded()
    }

    /// What is to be played next, in order, each item once. Ask when the one before has been
    /// played, by the clock of the DSP: as with [`read_pcm`](Self::read_pcm) the host sets the
    /// pace, and the jitter buffer follows it. `None`: nothing is to be heard now; ask again
    /// within a packet's time. The payload lives until the session is used again.
    ///
    /// # Errors
    /// [`FrameError::Pcm`].
    pub fn read_frame(&mut self, now: Instant) -> Result<Option<EncodedFrame<'_>>, FrameError> {
        if !self.is_encoded() {
            return Err(FrameError::Pcm);
        }
        if self.closed || !self.direction.receives() {
            return Ok(None);
        }
        Ok(self.inbound.frame(now))
    }

    /// Takes a packet's worth of encoded audio, to be sent. Write in real time, in silence too
    /// (with an empty payload), so that timestamps, pauses and key presses have their times. It is
    /// not sent while the session is muted, on hold, or sends a key press.
    ///
    /// # Errors
    /// [`FrameError`]; nothing is sent.
    pub fn write_frame(&mut self, now: Instant, frame: &FrameToSend<'_>) -> Result<(), FrameError> {
        if self.closed && self.is_encoded() {
            return Ok(());
        }
        self.outbound.write_frame(now, frame)
    }

    /// In place of a frame: nothing is said for so many samples of the codec, and the background
    /// sounds like this (RFC 3389 §3: a level and up to ten coefficients). Where the pause begins,
    /// and when the background changes; write empty frames in between.
    ///
    /// # Errors
    /// [`FrameError`]; nothing is sent.
    pub fn write_comfort_noise(
        &mut self,
        now: Instant,
        payload: &[u8],
        samples: usize,
    ) -> Result<(), FrameError> {
        if self.closed && self.is_encoded() {
            return Ok(());
        }
        self.outbound.write_comfort_noise(now, payload, samples)
    }

    /// What the host's encoder has to do now. In a session with encoded frames
    /// [`MediaEvent::EncodingChanged`](super::MediaEvent::EncodingChanged) tells when something
    /// else was agreed on; what follows from the peer's reports (expected loss, bitrate) changes meanwhile.
    pub fn encoding(&self) -> Encoding {
        self.outbound.encoding()
    }
}
