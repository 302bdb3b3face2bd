//! What stands for a DSP with the codec: encodes what is said, takes frames at its own pace.
#![allow(dead_code, unreachable_pub)]

use subrosa::engine::{CallId, Engine, MediaError};
use subrosa::media::codec::{CodecId, Encoder, MAX_PAYLOAD};
use subrosa::media::session::{
    EncodedFrame, Encoding, FrameError, FrameKind, FrameToSend, MediaSession,
};
use subrosa::time::Instant;

/// A frame that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub kind: FrameKind,
    pub codec: CodecId,
    pub payload_type: u8,
    pub timestamp: u32,
    pub samples: usize,
    pub sample_rate: u32,
    pub payload: Vec<u8>,
}

impl From<EncodedFrame<'_>> for Item {
    fn from(frame: EncodedFrame<'_>) -> Self {
        Self {
            kind: frame.kind,
            codec: frame.codec,
            payload_type: frame.payload_type,
            timestamp: frame.timestamp,
            samples: frame.samples,
            sample_rate: frame.sample_rate,
            payload: frame.payload.to_vec(),
        }
    }
}

/// Where frames are exchanged.
pub trait Frames {
    fn write(&mut self, now: Instant, frame: &FrameToSend<'_>) -> Result<(), FrameError>;
    fn read(&mut self, now: Instant) -> Option<Item>;
}

impl Frames for MediaSession {
    fn write(&mut self, now: Instant, frame: &FrameToSend<'_>) -> Result<(), FrameError> {
        self.write_frame(now, frame)
    }
    fn read(&mut self, now: Instant) -> Option<Item> {
        self.read_frame(now).unwrap().map(Item::from)
    }
}

impl Frames for (&mut Engine, CallId) {
    fn write(&mut self, now: Instant, frame: &FrameToSend<'_>) -> Result<(), FrameError> {
        match self.0.write_frame(now, self.1, frame) {
            Err(MediaError::Frame(error)) => Err(error),
            other => {
                other.unwrap();
                Ok(())
            }
        }
    }
    fn read(&mut self, now: Instant) -> Option<Item> {
        self.0.read_frame(now, self.1).unwrap().map(Item::from)
    }
}

pub struct Dsp {
    pub call: CallId,
    pub encoding: Encoding,
    rate: u32,
    encoder: Box<dyn Encoder>,
    says: Vec<i16>,
    at: usize,
    /// Nothing is said, and nothing is to be sent.
    pub silent: bool,
    /// What was encoded and taken.
    pub sent: Vec<Vec<u8>>,
    pub items: Vec<Item>,
    /// The codec that is wanted in place of ours, if the last frame was refused.
    pub refused: Option<CodecId>,
    /// Played so far, and to be played, in 1/48000 s.
    played: u64,
    time: u64,
}

fn encoder(encoding: Encoding, rate: u32) -> Box<dyn Encoder> {
    let mut encoder = encoding.codec.encoder_at(rate, None).unwrap();
    encoder.tune(&encoding.tuning);
    encoder
}

fn payload(encoder: &mut dyn Encoder, pcm: &[i16]) -> Vec<u8> {
    let mut payload = [0; MAX_PAYLOAD];
    let n = encoder.encode(pcm, &mut payload).unwrap();
    payload[..n].to_vec()
}

/// All of these samples in frames of 20 ms, at the rate of the codec beside a host at `rate`.
pub fn encode(encoding: Encoding, rate: u32, pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = encoder(encoding, rate);
    let rate = encoding.codec.description_at(rate).sample_rate;
    pcm.chunks_exact(rate as usize / 50).map(|pcm| payload(&mut *encoder, pcm)).collect()
}

/// The same with the usual settings.
pub fn encode_with(codec: CodecId, rate: u32, pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = codec.encoder_at(rate, None).unwrap();
    pcm.chunks_exact(rate as usize / 50).map(|pcm| payload(&mut *encoder, pcm)).collect()
}

impl Dsp {
    /// Says this, again and again, at `rate`.
    pub fn new(call: CallId, encoding: Encoding, rate: u32, says: Vec<i16>) -> Self {
        Self {
            call,
            encoding,
            rate,
            encoder: encoder(encoding, rate),
            says,
            at: 0,
            silent: false,
            sent: Vec::new(),
            items: Vec::new(),
            refused: None,
            played: 0,
            time: 0,
        }
    }

    /// Encodes so from now on. The speech goes on at the rate of the codec; where that is another
    /// one it sounds wrong, which nobody minds here.
    pub fn follow(&mut self, encoding: Encoding) {
        self.encoder = encoder(encoding, self.rate);
        (self.encoding, self.refused) = (encoding, None);
    }

    /// How many frames were to be concealed.
    pub fn missing(&self) -> usize {
        self.items.iter().filter(|item| item.kind == FrameKind::Missing).count()
    }

    /// 20 ms go by.
    pub fn turn(&mut self, now: Instant, frames: &mut impl Frames) {
        let codec = self.encoding.codec;
        let length = codec.description_at(self.rate).sample_rate as usize / 50;
        let samples = codec.description().samples_in_ms(20);
        if self.at + length > self.says.len() {
            self.at = 0;
        }
        let pcm = &self.says[self.at..self.at + length];
        self.at += length;
        let bytes = if self.silent { vec![] } else { payload(&mut *self.encoder, pcm) };
        let frame = FrameToSend { codec, payload: &bytes, samples, talkspurt: false };
        match frames.write(now, &frame) {
            Ok(()) => self.sent.push(bytes),
            Err(FrameError::WrongCodec { wanted, .. }) => self.refused = Some(wanted),
            Err(other) => panic!("{other}"),
        }
        self.time += 960;
        while self.played < self.time {
            let Some(item) = frames.read(now) else {
                self.played = self.time;
                break;
            };
            self.played += item.samples as u64 * 48_000 / u64::from(item.sample_rate);
            self.items.push(item);
        }
    }
}
