//! Opus through the codec traits: each encoder against each decoder, loss, silence, and packets
//! that are none.
#![cfg(any(feature = "opus", feature = "libopus"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/sound.rs"]
mod sound;

use proptest::prelude::*;
use sound::speech;
use subrosa::media::codec::opus::{OPUS_PTIMES, OPUS_RATES};
use subrosa::media::codec::{
    AudioBandwidth, CodecError, CodecId, Decoder, Encoder, EncoderTuning, MAX_FRAME_SAMPLES,
    MAX_PAYLOAD, OpusBackend,
};

fn tuned(change: impl FnOnce(&mut EncoderTuning)) -> EncoderTuning {
    let mut tuning = EncoderTuning::default();
    change(&mut tuning);
    tuning
}

fn encode(encoder: &mut dyn Encoder, pcm: &[i16], frame: usize) -> Vec<Vec<u8>> {
    pcm.chunks_exact(frame)
        .map(|frame| {
            let mut payload = [0; MAX_PAYLOAD];
            let n = encoder.encode(frame, &mut payload).unwrap();
            payload[..n].to_vec()
        })
        .collect()
}

fn decode(decoder: &mut dyn Decoder, packets: &[Vec<u8>]) -> Vec<i16> {
    let mut pcm = vec![0; MAX_FRAME_SAMPLES];
    let mut out = Vec::new();
    for packet in packets {
        let n = decoder.decode(packet, &mut pcm).unwrap();
        assert_eq!(Ok(n), decoder.samples(packet));
        out.extend_from_slice(&pcm[..n]);
    }
    out
}

/// Signal to noise in dB of `got` against `wanted`.
fn snr(wanted: &[i16], got: &[i16]) -> f64 {
    let (mut signal, mut noise) = (0.0, 1.0);
    for (w, g) in wanted.iter().zip(got) {
        let (w, g) = (f64::from(*w), f64::from(*g));
        signal += w * w;
        noise += (w - g) * (w - g);
    }
    10.0 * (f64::log10(signal) - f64::log10(noise))
}

/// The same at the delay of the codec, which is looked for.
fn best_snr(wanted: &[i16], got: &[i16], rate: u32) -> f64 {
    let longest = rate as usize * 15 / 1_000;
    (0..longest).map(|delay| snr(wanted, &got[delay..])).fold(f64::MIN, f64::max)
}

fn pairs() -> impl Iterator<Item = (OpusBackend, OpusBackend)> {
    let all = OpusBackend::AVAILABLE;
    all.iter().flat_map(|e| all.iter().map(|d| (*e, *d)))
}

#[test]
fn each_encoder_is_understood_by_each_decoder_at_each_rate() {
    for (by, to) in pairs() {
        for rate in OPUS_RATES.into_iter().filter(|rate| *rate != 12_000) {
            let pcm = speech(rate);
            let pcm = &pcm[..rate as usize * 2];
            let frame = rate as usize / 50;
            let packets = encode(&mut *by.encoder(rate).unwrap(), pcm, frame);
            let sent: usize = packets.iter().map(Vec::len).sum();
            let kbit = sent as f64 * 8.0 / 2_000.0;
            assert!((15.0..32.0).contains(&kbit), "{by:?} at {rate} Hz: {kbit} kbit/s");
            let out = decode(&mut *to.decoder(rate).unwrap(), &packets);
            assert_eq!(out.len(), pcm.len());
            let quality = best_snr(pcm, &out, rate);
            // The encoder shapes its noise for the ear, not for this figure.
            assert!(quality > 3.0, "{by:?} to {to:?} at {rate} Hz: {quality:.1} dB");
        }
    }
}

#[test]
fn the_decoders_agree_on_what_a_packet_sounds_like() {
    let pcm = speech(48_000);
    for by in OpusBackend::AVAILABLE {
        // SILK, hybrid and CELT.
        for bitrate in [12_000, 24_000, 96_000] {
            let mut encoder = by.encoder(48_000).unwrap();
            encoder.tune(&tuned(|t| t.bitrate = bitrate));
            let packets = encode(&mut *encoder, &pcm[..48_000], 960);
            let heard: Vec<_> = OpusBackend::AVAILABLE
                .iter()
                .map(|d| decode(&mut *d.decoder(48_000).unwrap(), &packets))
                .collect();
            for other in &heard {
                let same = snr(&heard[0], other);
                assert!(same > 40.0, "{by:?} at {bitrate} bit/s: {same:.1} dB");
            }
        }
    }
}

#[test]
fn packets_have_all_lengths_that_opus_has_and_no_other() {
    let pcm = speech(16_000);
    for (by, to) in pairs() {
        let (mut encoder, mut decoder) = (by.encoder(16_000).unwrap(), to.decoder(16_000).unwrap());
        for ms in OPUS_PTIMES {
            let frame = 16 * ms as usize;
            let packets = encode(&mut *encoder, &pcm[..frame * 4], frame);
            assert_eq!(decode(&mut *decoder, &packets).len(), frame * 4, "{ms} ms");
        }
        for samples in [0, 1, 159, 480, 800, 16 * 121, 16 * 130] {
            let refused = encoder.encode(&pcm[..samples], &mut [0; MAX_PAYLOAD]);
            assert_eq!(refused, Err(CodecError::NotAFrame { samples, unit: 160 }));
        }
        let small = encoder.encode(&pcm[..320], &mut [0; 7]);
        assert_eq!(small, Err(CodecError::OutputTooSmall { needed: 8 }));
        let mut payload = [0; 64];
        let n = encoder.encode(&pcm[..320], &mut payload).unwrap();
        let small = decoder.decode(&payload[..n], &mut [0; 319]);
        assert_eq!(small, Err(CodecError::OutputTooSmall { needed: 320 }));
    }
}

#[test]
fn the_settings_do_what_they_say() {
    let pcm = speech(48_000);
    for by in OpusBackend::AVAILABLE {
        let run = |tuning: EncoderTuning, frame: usize| {
            let mut encoder = by.encoder(48_000).unwrap();
            encoder.tune(&tuning);
            encode(&mut *encoder, &pcm[..48_000 * 2], frame)
        };
        let bytes = |packets: &[Vec<u8>]| packets.iter().map(Vec::len).sum::<usize>();
        let (low, high) =
            (run(tuned(|t| t.bitrate = 8_000), 960), run(tuned(|t| t.bitrate = 64_000), 960));
        assert!(bytes(&high) > bytes(&low) * 4, "{by:?}");
        let constant = run(tuned(|t| t.variable_bitrate = false), 960);
        assert!(constant.iter().all(|p| p.len() == 60), "{by:?}");
        let variable = run(EncoderTuning::default(), 960);
        let lengths: std::collections::BTreeSet<_> = variable.iter().map(Vec::len).collect();
        assert!(lengths.len() > 20, "{by:?}: {lengths:?}");
        let narrow = run(tuned(|t| t.max_bandwidth = AudioBandwidth::Narrowband), 960);
        // Narrowband SILK: configurations 0 to 3 (RFC 6716 table 2); CELT's are 16 to 19.
        assert!(narrow.iter().all(|p| matches!(p[0] >> 3, 0..=3 | 16..=19)), "{by:?}");
        // More than a datagram holds is asked for: the packets stay within the room.
        let most = run(tuned(|t| t.bitrate = u32::MAX), 5_760);
        assert!(most.iter().all(|p| p.len() <= MAX_PAYLOAD));
        assert!(most.iter().any(|p| p.len() > 1_000));
        let fec = tuned(|t| t.expected_loss_percent = 20);
        assert!(bytes(&run(fec, 960)) > 0);
        let again = run(EncoderTuning::default(), 960);
        assert_eq!(again, run(EncoderTuning::default(), 960), "the same in, the same out");
    }
}

#[test]
fn a_lost_frame_is_recovered_from_the_next_one_better_than_concealed() {
    let pcm = speech(16_000);
    for (by, to) in pairs() {
        let run = |fec: bool| {
            let mut encoder = by.encoder(16_000).unwrap();
            encoder.tune(&tuned(|t| (t.fec, t.expected_loss_percent) = (fec, 20)));
            let packets = encode(&mut *encoder, &pcm, 320);
            let whole = decode(&mut *to.decoder(16_000).unwrap(), &packets);
            let mut decoder = to.decoder(16_000).unwrap();
            let (mut wanted, mut got, mut frame) = (Vec::new(), Vec::new(), vec![0; 320]);
            for (n, packet) in packets.iter().enumerate() {
                if n % 10 == 5 {
                    let next = packets.get(n + 1).filter(|_| fec).map(Vec::as_slice);
                    assert!(decoder.conceal(next, &mut frame));
                    wanted.extend_from_slice(&whole[n * 320..][..320]);
                    got.extend_from_slice(&frame);
                } else {
                    decoder.decode(packet, &mut frame).unwrap();
                }
            }
            snr(&wanted, &got)
        };
        let (recovered, concealed) = (run(true), run(false));
        assert!(recovered > concealed + 3.0, "{by:?} {to:?}: {recovered:.1}, {concealed:.1} dB");
    }
}

#[test]
fn it_is_seen_which_packets_recall_the_one_before() {
    let said = speech(16_000);
    for backend in OpusBackend::AVAILABLE {
        let share = |fec: bool, ms: usize| {
            let mut encoder = backend.encoder(16_000).unwrap();
            encoder
                .tune(&tuned(|t| (t.fec, t.expected_loss_percent, t.bitrate) = (fec, 20, 32_000)));
            let packets = encode(&mut *encoder, &said, 16 * ms);
            let recalls = |packet: &&Vec<u8>| CodecId::Opus.recalls_previous(packet);
            packets.iter().filter(recalls).count() * 100 / packets.len()
        };
        for ms in [10, 20, 40, 60] {
            assert!(share(true, ms) > 50, "{backend:?}, {ms} ms: {} %", share(true, ms));
            assert_eq!(share(false, ms), 0, "{backend:?}, {ms} ms");
        }
    }
    assert!(!CodecId::Pcmu.recalls_previous(&[0x48, 0xff]) && !CodecId::Opus.recalls_previous(&[]));
}

#[test]
fn gaps_of_any_length_are_filled() {
    let pcm = speech(16_000);
    for (by, to) in pairs() {
        for rate in [8_000, 16_000, 48_000] {
            let packets = encode(&mut *by.encoder(16_000).unwrap(), &pcm[..320 * 60], 320);
            let mut decoder = to.decoder(rate).unwrap();
            let mut out = vec![0; MAX_FRAME_SAMPLES];
            // Nothing was heard yet: silence, not garbage.
            assert!(decoder.conceal(None, &mut out[..960]));
            assert!(out[..960].iter().all(|s| *s == 0));
            for (n, packet) in packets.iter().enumerate() {
                decoder.decode(packet, &mut out).unwrap();
                let len = [1, 19, 20, 50, 777, 2_000, 5_760][n % 7];
                let next = packets.get(n + 1).filter(|_| n % 2 == 0).map(Vec::as_slice);
                assert!(decoder.conceal(next, &mut out[..len]), "{len} at {rate} Hz");
            }
        }
    }
}

#[test]
fn in_silence_almost_nothing_is_sent_and_the_background_goes_on() {
    let rate = 16_000;
    let mut pcm = speech(rate)[..rate as usize].to_vec();
    // A quiet room: noise of some units, three seconds of it.
    let mut seed = 1_u32;
    pcm.extend((0..rate * 3).map(|_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 28) as i16 - 8
    }));
    for (by, to) in pairs() {
        let run = |dtx: bool| {
            let mut encoder = by.encoder(rate).unwrap();
            encoder.tune(&tuned(|t| t.dtx = dtx));
            let mut payload = [0; MAX_PAYLOAD];
            let frames = pcm.chunks_exact(320);
            frames
                .map(|f| {
                    let n = encoder.encode(f, &mut payload).unwrap();
                    payload[..n].to_vec()
                })
                .collect::<Vec<_>>()
        };
        assert!(run(false).iter().all(|p| !p.is_empty()), "{by:?}");
        let packets = run(true);
        let silent = &packets[100..];
        let sent = silent.iter().filter(|p| !p.is_empty()).count();
        assert!((1..20).contains(&sent), "{by:?} sends {sent} of {} in silence", silent.len());
        let mut decoder = to.decoder(rate).unwrap();
        let (mut frame, mut loudest) = (vec![0; 320], 0);
        for (n, packet) in packets.iter().enumerate() {
            if packet.is_empty() {
                assert!(decoder.conceal(None, &mut frame));
            } else {
                decoder.decode(packet, &mut frame).unwrap();
            }
            if n > 100 {
                loudest = frame.iter().map(|s: &i16| s.unsigned_abs()).fold(loudest, u16::max);
            }
        }
        assert!((1..200).contains(&loudest), "{by:?} to {to:?}: {loudest}");
    }
}

#[test]
fn stereo_is_heard_as_mono_and_after_a_reset_nothing_is_left() {
    // 20 ms of CELT, fullband, stereo: the coder's own bytes do not matter.
    let packet = [31 << 3 | 4, 200, 17, 99, 3, 250, 41, 7, 7, 7];
    for to in OpusBackend::AVAILABLE {
        let mut decoder = to.decoder(48_000).unwrap();
        let mut pcm = vec![0; 960];
        assert_eq!(decoder.decode(&packet, &mut pcm), Ok(960));
        let first = pcm.clone();
        decoder.decode(&packet, &mut pcm).unwrap();
        assert_ne!(pcm, first, "the decoder remembers");
        decoder.reset();
        decoder.decode(&packet, &mut pcm).unwrap();
        assert_eq!(pcm, first);
    }
}

#[test]
fn opus_is_sampled_at_the_rate_of_the_host_where_it_can_be() {
    for (host, rate) in
        [(8_000, 8_000), (16_000, 16_000), (24_000, 24_000), (32_000, 48_000), (44_100, 48_000)]
    {
        let d = CodecId::Opus.description_at(host);
        assert_eq!((d.sample_rate, d.clock_rate, d.channels), (rate, 48_000, 2));
        assert_eq!(d.ticks(d.samples_in_ms(20)), 960);
        let mut encoder = CodecId::Opus.encoder_at(host, None).unwrap();
        let pcm = vec![0; d.samples_in_ms(20)];
        assert!(encoder.encode(&pcm, &mut [0; MAX_PAYLOAD]).is_ok());
    }
    assert_eq!(CodecId::G722.description_at(48_000).sample_rate, 16_000);
    assert_eq!([30, 50, 110, 9, 200].map(|ms| CodecId::Opus.packet_ms(ms)), [20, 40, 100, 10, 120]);
    assert_eq!([30, 120, 9].map(|ms| CodecId::Pcmu.packet_ms(ms)), [30, 60, 10]);
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    let real = (0..40_usize, 0..4_usize).prop_map(|(at, kind)| {
        let mut encoder = OpusBackend::AVAILABLE[0].encoder(16_000).unwrap();
        encoder.tune(&tuned(|t| {
            (t.bitrate, t.expected_loss_percent) = ([8_000, 24_000, 64_000, 128_000][kind], 20);
        }));
        let frame = [160, 320, 960, 1_920][kind];
        let tone: Vec<i16> =
            (0..frame).map(|i| ((i * (at + 3)) as i16).wrapping_mul(97) / 2).collect();
        encode(&mut *encoder, &tone, frame).pop().unwrap()
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..80);
    let mutated = (real, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6))
        .prop_map(|(mut packet, changes)| {
            changes.iter().for_each(|(at, to)| *at.get_mut(&mut packet) = *to);
            packet
        });
    prop_oneof![bytes, mutated]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever comes: `samples` says how long it is, `decode` gives just as much or refuses, and
    /// concealment works after it.
    #[test]
    fn hostile_packets_are_refused_or_decoded(
        packets in prop::collection::vec(packets(), 1..8),
        rate in prop::sample::select(vec![8_000_u32, 16_000, 48_000]),
    ) {
        for backend in OpusBackend::AVAILABLE {
            let mut decoder = backend.decoder(rate).unwrap();
            let mut pcm = vec![0; MAX_FRAME_SAMPLES];
            for packet in &packets {
                let samples = decoder.samples(packet);
                if let Ok(n) = samples {
                    prop_assert!(n > 0 && n <= rate as usize * 120 / 1_000);
                }
                match decoder.decode(packet, &mut pcm) {
                    Ok(n) => prop_assert_eq!(Ok(n), samples),
                    Err(error) => prop_assert_eq!(error, CodecError::BadPayload),
                }
                prop_assert!(decoder.conceal(Some(packet), &mut pcm[..rate as usize / 50]));
            }
        }
    }
}
