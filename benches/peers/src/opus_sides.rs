//! The two copies of `opus-pure`, driven the same way.

use subrosa::media::wav::Wav;
use subrosa::util::{RngExt, SeededRng};

/// Random choices that both sides draw alike.
pub struct Draw(SeededRng);

impl Draw {
    /// From this seed.
    pub fn new(seed: u64) -> Self {
        Self(SeededRng::new(seed))
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// The samples of a recording: speech, then an octave higher, noise, silence, a chord with attacks.
pub fn sounds() -> Vec<i16> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../assets/speech/sense_and_sensibility_01_austen_64kb-0930.wav"
    );
    let speech = Wav::parse(&std::fs::read(file).expect("the recording")).expect("WAV").samples;
    let mut draw = Draw::new(5);
    let mut out = Vec::new();
    for part in speech.chunks(8_000) {
        out.extend_from_slice(part);
        out.extend(part.iter().step_by(2));
        out.extend((0..4_000).map(|_| draw.below(16_000) as i16 - 8_000));
        out.extend([0; 12_000]);
        out.extend((0..8_000).map(|i| {
            let t = i as f64 / 16_000.0;
            let tone = |hz: f64| (t * hz * std::f64::consts::TAU).sin();
            ((-9.0 * (t % 0.125)).exp() * 10_000.0 * (tone(220.0) + tone(1_109.0))) as i16
        }));
    }
    out
}

/// What a step gave: a packet, decoded samples, or what went wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A packet and the final state of its range coder.
    Packet(Vec<u8>, u32),
    /// Samples and the final state of the range coder.
    Sound(Vec<i16>, u32),
    /// Samples that were not rounded, as bits.
    Floats(Vec<u32>),
    /// An error, in words.
    Failed(String),
}

macro_rules! side {
    ($name:ident, $krate:ident) => {
        /// One of the two copies.
        pub mod $name {
            use super::{Draw, Step};
            use $krate::{Application, Bandwidth, OpusDecoder, OpusEncoder, RateControl, Signal};

            /// Encodes `steps` frames in ever other settings and plays them to decoders of other
            /// rates and channels, with packets lost and damaged. Everything follows from `seed`.
            pub fn walk(seed: u64, steps: usize, sounds: &[i16], mut each: impl FnMut(Step)) {
                use Bandwidth::{Fullband, Mediumband, Narrowband, Superwideband, Wideband};
                let mut draw = Draw::new(seed);
                let rate = draw.of(&[8_000, 12_000, 16_000, 24_000, 48_000]);
                let channels = draw.of(&[1, 1, 2]);
                let application = draw.of(&[
                    Application::Voip,
                    Application::Voip,
                    Application::Audio,
                    Application::RestrictedLowDelay,
                ]);
                let mut encoder = OpusEncoder::new(rate, channels, application).unwrap();
                let mut decoders: Vec<_> = [1, 2]
                    .into_iter()
                    .flat_map(|channels| {
                        [8_000, 12_000, 16_000, 24_000, 48_000].map(|rate| (rate, channels))
                    })
                    .map(|(rate, channels)| OpusDecoder::new(rate, channels).unwrap())
                    .collect();
                let mut at = 0;
                let (mut payload, mut pcm, mut floats) =
                    (vec![0; 8_000], vec![0; 11_520], vec![0.0; 11_520]);
                for _ in 0..steps {
                    if draw.once_in(3) {
                        encoder.bitrate_bps = draw.of(&[
                            500, 6_000, 9_000, 12_000, 16_000, 24_000, 32_000, 64_000, 128_000,
                            510_000,
                        ]);
                        encoder.complexity = draw.of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
                        encoder.rate_control = draw.of(&[
                            RateControl::Vbr,
                            RateControl::ConstrainedVbr,
                            RateControl::Cbr,
                        ]);
                        encoder.use_inband_fec = draw.of(&[true, false]);
                        encoder.use_dtx = draw.of(&[true, false]);
                        encoder.packet_loss_perc = draw.of(&[0, 5, 20, 100]);
                        encoder.signal_type =
                            draw.of(&[None, Some(Signal::Voice), Some(Signal::Music)]);
                        encoder.force_bandwidth = draw.of(&[
                            None,
                            None,
                            Some(Narrowband),
                            Some(Mediumband),
                            Some(Wideband),
                            Some(Superwideband),
                            Some(Fullband),
                        ]);
                        encoder.max_bandwidth =
                            draw.of(&[Fullband, Fullband, Wideband, Narrowband]);
                    }
                    if draw.once_in(100) {
                        encoder.reset_state().unwrap();
                    }
                    // In 2.5 ms.
                    let grains = draw.of(&[1, 2, 4, 8, 8, 8, 16, 24, 32, 40, 48]);
                    let frame = rate as usize / 400 * grains;
                    if at + frame * channels > sounds.len() {
                        at = 0;
                    }
                    let said = &sounds[at..at + frame * channels];
                    at += frame * channels;
                    let room = draw.of(&[8_000, 1_280, 1_280, 400, 60, 12, 2]);
                    let encoded = if draw.once_in(8) {
                        let said: Vec<_> = said.iter().map(|s| f32::from(*s) / 20_000.0).collect();
                        encoder.encode(&said, frame, &mut payload[..room])
                    } else {
                        encoder.encode_s16(said, frame, &mut payload[..room])
                    };
                    let len = match encoded {
                        Ok(len) => len,
                        Err(error) => {
                            each(Step::Failed(error.to_string()));
                            continue;
                        }
                    };
                    each(Step::Packet(payload[..len].to_vec(), encoder.final_range()));
                    if draw.once_in(20) {
                        let hit = draw.below(len);
                        payload[hit] ^= 1 << draw.below(8);
                    }
                    for decoder in &mut decoders {
                        let rate = decoder.sample_rate() as usize;
                        let channels = decoder.channels();
                        let (packet, pieces) = (&payload[..len], draw.of(&[1, 4, 8, 24, 48]));
                        let gap = rate / 400 * pieces;
                        let done = match draw.below(12) {
                            0 | 1 => decoder.decode_s16(&[], gap, &mut pcm),
                            2 => decoder.decode_fec_s16(packet, gap, &mut pcm),
                            3 => {
                                let done = decoder.decode(packet, rate * 120 / 1_000, &mut floats);
                                if let Ok(n) = done {
                                    let bits = floats[..n * channels].iter().map(|f| f.to_bits());
                                    each(Step::Floats(bits.collect()));
                                }
                                continue;
                            }
                            4 if draw.once_in(30) => {
                                decoder.reset_state().unwrap();
                                continue;
                            }
                            _ => decoder.decode_s16(packet, rate * 120 / 1_000, &mut pcm),
                        };
                        each(match done {
                            Ok(n) => {
                                Step::Sound(pcm[..n * channels].to_vec(), decoder.final_range())
                            }
                            Err(error) => Step::Failed(error.to_string()),
                        });
                    }
                }
            }

            /// A stream of one kind, to be measured.
            pub struct Stream {
                encoder: OpusEncoder,
                decoder: OpusDecoder,
                pcm: Vec<i16>,
                payload: Vec<u8>,
            }

            impl Stream {
                /// Mono, 20 ms, as subrosa tunes it.
                pub fn new(rate: i32, bitrate: i32, complexity: i32, voice: bool) -> Self {
                    let mut encoder = OpusEncoder::new(rate, 1, Application::Voip).unwrap();
                    (encoder.bitrate_bps, encoder.complexity) = (bitrate, complexity);
                    (encoder.use_inband_fec, encoder.packet_loss_perc) = (true, 10);
                    encoder.signal_type = Some(if voice { Signal::Voice } else { Signal::Music });
                    let decoder = OpusDecoder::new(rate, 1).unwrap();
                    Self { encoder, decoder, pcm: vec![0; 5_760], payload: vec![0; 1_280] }
                }

                /// Encodes one frame; its packet.
                pub fn encode(&mut self, said: &[i16]) -> &[u8] {
                    let len = self.encoder.encode_s16(said, said.len(), &mut self.payload).unwrap();
                    &self.payload[..len]
                }

                /// Decodes a packet, or conceals one (that is empty).
                pub fn decode(&mut self, packet: &[u8]) -> &[i16] {
                    let frame = self.decoder.sample_rate() as usize / 50;
                    let n = self.decoder.decode_s16(packet, frame, &mut self.pcm).unwrap();
                    &self.pcm[..n]
                }
            }
        }
    };
}

side!(published, opus_published);
side!(patched, opus_patched);
