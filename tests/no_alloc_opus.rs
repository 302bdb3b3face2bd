//! Opus asks nothing of the allocator after its construction, by either backend: whatever it
//! encodes, however it is tuned meanwhile, whatever a peer sends and whatever is lost of it. (What
//! libopus might ask of C's allocator is not seen here.)
#![cfg(any(feature = "opus", feature = "libopus"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/sound.rs"]
mod sound;

use core::fmt::Debug;
use counting::allocations;
use opus_pure::{Application, Bandwidth, OpusEncoder, RateControl, Signal};
use sound::speech;
use std::collections::BTreeSet;
use subrosa::media::codec::opus::{OPUS_PTIMES, OPUS_RATES};
use subrosa::media::codec::{
    AudioBandwidth, Decoder, Encoder, EncoderTuning, MAX_FRAME_SAMPLES, MAX_PAYLOAD, OpusBackend,
};
use subrosa::util::{RngExt, SeededRng};

/// Asserts that `run` allocates nothing.
fn without<T>(what: &str, context: &impl Debug, run: impl FnOnce() -> T) -> T {
    let before = allocations();
    let result = run();
    let counted = allocations() - before;
    assert_eq!(counted, 0, "{what}: {context:?}");
    result
}

/// Half a second each of speech, music with attacks, noise and silence, five times over.
fn sounds(rate: u32, rng: &mut SeededRng) -> Vec<i16> {
    let half = rate as usize / 2;
    // The resampler has no 12 kHz.
    let of_24: Vec<_> = speech(24_000).into_iter().step_by(2).collect();
    let speech = if rate == 12_000 { of_24 } else { speech(rate) };
    let mut out = Vec::new();
    for speech in speech.chunks_exact(half).take(5) {
        out.extend_from_slice(speech);
        out.extend((0..half).map(|i| {
            let t = i as f32 / rate as f32;
            let tone = |hz: f32| (t * hz * std::f32::consts::TAU).sin();
            let chord = tone(262.0) + tone(1_318.5) + 0.3 * tone(5_274.0);
            ((-8.0 * (t % 0.125)).exp() * 9_000.0 * chord) as i16
        }));
        out.extend((0..half).map(|_| (rng.next_u16() / 4) as i16 - 8_192));
        out.extend((0..half).map(|_| 0));
    }
    out
}

/// In bit/s, so that each mode comes after each other one.
const BITRATES: [u32; 8] = [6_000, 32_000, 128_000, 24_000, 64_000, 12_000, 128_000, 16_000];

/// Takes frames from `sounds`, from the start again after the end.
struct Tape(Vec<i16>, usize);

impl Tape {
    fn next(&mut self, samples: usize) -> &[i16] {
        if self.1 + samples > self.0.len() {
            self.1 = 0;
        }
        self.1 += samples;
        &self.0[self.1 - samples..self.1]
    }
}

fn any<T: Copy>(of: &[T], rng: &mut SeededRng) -> T {
    of[usize::from(rng.next_u16()) % of.len()]
}

/// S, H or C: the mode of a packet (RFC 6716 table 2).
fn mode(packet: &[u8]) -> char {
    match packet[0] >> 3 {
        0..12 => 'S',
        12..16 => 'H',
        _ => 'C',
    }
}

/// A decoder whose line loses packets: in bursts, and with the next packet at hand or not.
struct Heard {
    decoder: Box<dyn Decoder>,
    rate: u32,
    packets: usize,
    pcm: Vec<i16>,
}

impl Heard {
    fn new(backend: OpusBackend, rate: u32) -> Self {
        let decoder = backend.decoder(rate).unwrap();
        Self { decoder, rate, packets: 0, pcm: vec![0; MAX_FRAME_SAMPLES] }
    }

    fn packet(&mut self, packet: &[u8], context: &impl Debug) {
        let Self { decoder, pcm, .. } = self;
        let samples = decoder.samples(packet).unwrap();
        // Also of lengths that the packet has not: 20 ms, and what is no multiple of 2.5 ms.
        let gap = [samples, self.rate as usize / 50, samples + 7][self.packets % 3];
        let gap = &mut pcm[..gap.min(MAX_FRAME_SAMPLES)];
        match self.packets % 11 {
            3 | 6 | 7 | 8 => {
                without("conceal", context, || assert!(decoder.conceal(None, gap)));
            }
            4 | 9 => {
                without("recover", context, || assert!(decoder.conceal(Some(packet), gap)));
            }
            _ => {
                let n = without("decode", context, || decoder.decode(packet, pcm));
                assert_eq!(n, Ok(samples));
            }
        }
        self.packets += 1;
    }
}

/// Each length of packet with each complexity and bitrate, the rest drawn, in one stream.
fn walk(backend: OpusBackend, rate: u32, rng: &mut SeededRng) -> BTreeSet<(char, char)> {
    use AudioBandwidth::{Fullband, Mediumband, Narrowband, Superwideband, Wideband};
    let mut encoder = backend.encoder(rate).unwrap();
    let others = OPUS_RATES.into_iter().filter(|other| *other != rate);
    let mut heard: Vec<_> =
        [rate].into_iter().chain(others).map(|rate| Heard::new(backend, rate)).collect();
    let mut tape = Tape(sounds(rate, rng), 0);
    let mut payload = [0; MAX_PAYLOAD];
    let (mut switches, mut before) = (BTreeSet::new(), None);
    for ptime in OPUS_PTIMES {
        for complexity in 0..=EncoderTuning::MAX_COMPLEXITY {
            for bitrate in BITRATES {
                let mut tuning = EncoderTuning::default();
                (tuning.complexity, tuning.bitrate) = (complexity, bitrate);
                tuning.variable_bitrate = any(&[true, true, false], rng);
                (tuning.fec, tuning.dtx) = (any(&[true, false], rng), any(&[true, false], rng));
                tuning.expected_loss_percent = any(&[0, 5, 20, 100], rng);
                let widths = [Narrowband, Mediumband, Wideband, Superwideband, Fullband, Fullband];
                tuning.max_bandwidth = any(&widths, rng);
                let context = (backend, rate, ptime, tuning);
                without("tune", &context, || encoder.tune(&tuning));
                for _ in 0..2 {
                    let said = tape.next((rate * ptime / 1_000) as usize);
                    let room = any(&[MAX_PAYLOAD, MAX_PAYLOAD, 200, 40, 8], rng);
                    let payload = &mut payload[..room];
                    let len = without("encode", &context, || encoder.encode(said, payload));
                    let packet = &payload[..len.unwrap()];
                    if packet.is_empty() {
                        continue;
                    }
                    let now = mode(packet);
                    switches.extend(before.replace(now).map(|before| (before, now)));
                    heard[0].packet(packet, &context);
                    heard[any(&[1, 2, 3, 4], rng)].packet(packet, &context);
                }
            }
        }
    }
    switches
}

#[test]
fn our_own_packets_in_every_tuning() {
    for backend in OpusBackend::AVAILABLE {
        for rate in OPUS_RATES {
            let switches = walk(*backend, rate, &mut SeededRng::new(1));
            let modes = if rate > 16_000 { "SHC" } else { "SC" };
            let pairs = modes.chars().flat_map(|from| modes.chars().map(move |to| (from, to)));
            for pair in pairs {
                // libopus goes from one mode to another in its own time.
                let other = matches!(backend, OpusBackend::Libopus) && pair.0 != pair.1;
                assert!(other || switches.contains(&pair), "{rate} Hz: no {pair:?}");
            }
        }
    }
}

/// Applications, channels, lengths from 2.5 ms, bitrates and bandwidths that we never send.
#[test]
fn packets_of_every_kind_of_peer() {
    use Bandwidth::{Fullband, Mediumband, Narrowband, Superwideband, Wideband};
    let mut rng = SeededRng::new(2);
    let applications = [Application::Voip, Application::Audio, Application::RestrictedLowDelay];
    let mut peers: Vec<_> =
        (0..6).map(|i| OpusEncoder::new(48_000, i % 2 + 1, applications[i / 2]).unwrap()).collect();
    let mut heard: Vec<_> = OpusBackend::AVAILABLE
        .iter()
        .flat_map(|backend| OPUS_RATES.map(|rate| Heard::new(*backend, rate)))
        .collect();
    let mut tape = Tape(sounds(48_000, &mut rng), 0);
    let (mut payload, mut pcm) = ([0; MAX_PAYLOAD], Vec::new());
    let mut kinds = BTreeSet::new();
    for step in 0..1_500 {
        // One peer for some packets, then another one, to the same decoders.
        let peer = &mut peers[step / 10 % 6];
        peer.bitrate_bps =
            any(&[8_000, 16_000, 24_000, 40_000, 64_000, 128_000, 256_000], &mut rng);
        peer.rate_control =
            any(&[RateControl::Vbr, RateControl::ConstrainedVbr, RateControl::Cbr], &mut rng);
        peer.complexity = i32::from(rng.next_u16() % 11);
        (peer.use_inband_fec, peer.packet_loss_perc) = (any(&[true, false], &mut rng), 20);
        peer.signal_type = any(&[None, Some(Signal::Voice), Some(Signal::Music)], &mut rng);
        let widths = [Narrowband, Mediumband, Wideband, Superwideband, Fullband];
        peer.force_bandwidth = any(&[None, Some(any(&widths, &mut rng))], &mut rng);
        let frame = any(&[120, 240, 480, 960, 1_920, 2_880, 3_840, 4_800, 5_760], &mut rng);
        let context = format!("{frame} samples by {peer:?}");
        let said = tape.next(frame);
        pcm.clear();
        match peer.channels() {
            1 => pcm.extend_from_slice(said),
            _ => {
                pcm.extend(said.iter().enumerate().flat_map(|(i, s)| [*s, said[frame - 1 - i] / 2]))
            }
        }
        let len =
            without("encode", &context, || peer.encode_s16(&pcm, frame, &mut payload)).unwrap();
        let packet = &payload[..len];
        kinds.insert((mode(packet), peer.channels()));
        for heard in &mut heard {
            heard.packet(packet, &(heard.rate, packet[0]));
        }
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[test]
fn a_new_beginning() {
    for backend in OpusBackend::AVAILABLE {
        for rate in OPUS_RATES {
            let (mut used, mut heard) =
                (backend.encoder(rate).unwrap(), Heard::new(*backend, rate));
            let mut tape = Tape(sounds(rate, &mut SeededRng::new(3)), 0);
            let mut tuning = EncoderTuning::default();
            tuning.bitrate = 40_000;
            used.tune(&tuning);
            let mut packets = |encoder: &mut dyn Encoder, tape: &mut Tape| -> Vec<_> {
                let mut payload = [0; MAX_PAYLOAD];
                (0..50)
                    .map(|_| {
                        let said = tape.next(rate as usize / 50);
                        let len = encoder.encode(said, &mut payload).unwrap();
                        heard.packet(&payload[..len], &rate);
                        payload[..len].to_vec()
                    })
                    .collect()
            };
            let first = packets(&mut *used, &mut tape);
            packets(&mut *used, &mut tape);
            without("reset", &(backend, rate), || used.reset());
            tape.1 = 0;
            assert_eq!(packets(&mut *used, &mut tape), first, "{backend:?} at {rate} Hz");
            without("reset", &(backend, rate), || heard.decoder.reset());
        }
    }
}
