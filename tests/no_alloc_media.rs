//! After its start the media path allocates nothing: the whole tick of two sessions, with SRTP,
//! runs under a counting allocator.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/pair.rs"]
mod pair;

use counting::allocations;
use pair::{Pair, USUAL};
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::engine::Input;
use subrosa::media::codec::CodecId;
use subrosa::media::dsp::{Processing, ProcessingConfig};
use subrosa::media::session::{
    FrameToSend, MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, MediaUpdate, Payload,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;

#[test]
fn a_tick_allocates_nothing() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        for (codec, rate) in
            [(CodecId::Pcmu, 8_000), (CodecId::G722, 16_000), (CodecId::G722, 48_000)]
        {
            let allocations = run(codec, rate, suite, ProcessingConfig::OFF);
            assert_eq!(allocations, 0, "{codec:?} at {rate} Hz, {suite:?}");
        }
    }
}

#[test]
fn a_tick_with_all_of_the_voice_processing_allocates_nothing() {
    for (codec, rate) in [(CodecId::Pcmu, 48_000), (CodecId::G722, 16_000)] {
        let suite = Suite::AeadAes128Gcm;
        let allocations = run(codec, rate, suite, ProcessingConfig::VOICE);
        assert_eq!(allocations, 0, "{codec:?} at {rate} Hz");
    }
}

#[test]
fn copies_of_lost_packets_are_sent_and_taken_without_allocating() {
    let allocations = run_with(CodecId::Pcmu, 8_000, Suite::AeadAes128Gcm, |config| {
        (config.red_send, config.red_receive) = (Some(121), vec![121]);
    });
    assert_eq!(allocations, 0);
}

#[test]
fn pauses_are_found_told_and_heard_without_allocating() {
    for (codec, rate) in [(CodecId::Pcmu, 8_000), (CodecId::G722, 48_000)] {
        let pausing = |config: &mut MediaConfig| {
            config.tuning.dtx = true;
            (config.comfort_noise_send, config.comfort_noise_receive) = (Some(13), vec![13]);
        };
        let allocations = run_with(codec, rate, Suite::AeadAes128Gcm, pausing);
        assert_eq!(allocations, 0, "{codec:?} at {rate} Hz");
    }
}

/// What no session does so far: rates of the codec above 16 kHz.
#[test]
fn processing_at_every_rate_allocates_nothing() {
    for rate in [8_000, 24_000, 32_000, 48_000] {
        let mut p = Processing::new(rate, 44_100, ProcessingConfig::VOICE).unwrap();
        let (mut capture, render) = (vec![1_000; rate as usize / 100], vec![-500; 441]);
        p.process_render(&render);
        p.process_capture(&mut capture);
        let before = allocations();
        for _ in 0..100 {
            p.process_render(&render);
            p.process_capture(&mut capture);
        }
        assert_eq!(allocations() - before, 0, "{rate} Hz");
    }
}

/// Opus at the rates of hosts, and with each of what the sessions above had.
#[cfg(any(feature = "opus", feature = "libopus"))]
#[test]
fn a_tick_with_opus_allocates_nothing() {
    type Case<'a> = (&'a str, &'a [u32], &'a dyn Fn(&mut MediaConfig));
    let cases: [Case<'_>; 5] = [
        ("plain", &[8_000, 16_000, 44_100, 48_000], &|_| {}),
        ("processing", &[16_000], &|config| config.processing = ProcessingConfig::VOICE),
        ("copies", &[8_000, 16_000, 24_000, 48_000], &|config| {
            (config.red_send, config.red_receive) = (Some(121), vec![121]);
        }),
        ("pauses", &[8_000, 48_000], &|config| config.tuning.dtx = true),
        ("60 ms at 128 kbit/s", &[48_000], &|config| {
            (config.ptime_ms, config.tuning.bitrate) = (60, 128_000);
        }),
    ];
    for backend in subrosa::media::codec::OpusBackend::AVAILABLE {
        for (name, rates, change) in cases {
            for rate in rates {
                let with = |config: &mut MediaConfig| {
                    config.opus_backend = Some(*backend);
                    change(config);
                };
                let counted = run_with(CodecId::Opus, *rate, Suite::AeadAes128Gcm, with);
                assert_eq!(counted, 0, "{backend:?} at {rate} Hz, {name}");
            }
        }
    }
}

/// A session outside its engine: its packets and its feedback. The engine hears it once a second.
#[test]
fn a_session_that_was_taken_and_its_feedback_allocate_nothing() {
    let mut pair = Pair::new(USUAL);
    let call = pair.call(USUAL);
    let mut counted = None;
    // With a codec that allocates nothing itself: the simulation's phones have no Opus.
    pair.world.command(pair.phones[0], |engine, mut now| {
        let mut session = engine.take_media(call).unwrap();
        let mut buffer = [0; MAX_TRANSMIT];
        let (mut allocated, mut packets) = (0, 0);
        for tick in 0..550 {
            let before = allocations();
            session.write_pcm(now, &[1_000; 320]).unwrap();
            session.handle_timeout(now);
            while let Ok(Some(transmit)) = session.poll_transmit(now, &mut buffer) {
                packets += usize::from(!transmit.packet.bytes().is_empty());
            }
            let feedback = session.feedback().unwrap();
            if tick >= 50 {
                allocated += allocations() - before;
            }
            if tick % 50 == 0 {
                engine.handle_input(now, Input::Media { call, feedback: &feedback }).unwrap();
            }
            now += Duration::from_millis(20);
        }
        counted = Some((allocated, packets));
    });
    let (allocated, packets) = counted.unwrap();
    assert!(packets >= 550, "{packets}");
    assert_eq!(allocated, 0);
}

/// Frames of a host that encodes and decodes by itself, with loss and a change of codecs.
#[test]
fn encoded_frames_allocate_nothing() {
    let mut rng = SeededRng::new(3);
    let suite = Suite::AeadAes128Gcm;
    let keys = [0, 1].map(|_| MasterKey::generate(suite, &mut rng));
    let address = |end: usize| std::net::SocketAddr::from(([192, 0, 2, end as u8 + 1], 4_000));
    let payloads = [(0, CodecId::Pcmu), (9, CodecId::G722)]
        .map(|(payload_type, codec)| Payload { payload_type, codec });
    let mut ends = [0, 1].map(|end: usize| {
        let security = MediaSecurity::Srtp {
            sender: SrtpSender::new(&keys[end]).unwrap(),
            receiver: SrtpReceiver::new(&keys[1 - end]).unwrap(),
        };
        let mut config = MediaConfig::new(payloads[0], address(1 - end), security);
        (config.encoded, config.receive) = (true, payloads.to_vec());
        MediaSession::new(Instant::from_millis(1), config, &mut rng).unwrap()
    });
    let mut now = Instant::from_millis(1);
    let (mut buf, mut packet) = ([0; MAX_TRANSMIT], [0; MAX_TRANSMIT]);
    let (mut counted, mut kinds) = (0, [0; 4]);
    for tick in 0..550 {
        if tick == 300 {
            let update = MediaUpdate::new().send(payloads[1]);
            ends[0].handle_update(now, update).unwrap();
        }
        let before = allocations();
        for end in 0..2 {
            let codec = ends[end].encoding().codec;
            let samples = codec.description().samples_in_ms(20);
            let frame =
                FrameToSend { codec, payload: &[tick as u8; 160], samples, talkspurt: false };
            ends[end].write_frame(now, &frame).unwrap();
            ends[end].handle_timeout(now);
            while let Some(t) = ends[end].poll_transmit(now, &mut buf).unwrap() {
                let n = t.packet.bytes().len();
                packet[..n].copy_from_slice(t.packet.bytes());
                if tick % 17 != 16 {
                    ends[1 - end].handle_datagram(now, t.channel, &mut packet[..n], address(end));
                }
            }
            // An item that lasts no time is followed by one that does.
            for _ in 0..2 {
                let Some(item) = ends[end].read_frame(now).unwrap() else { break };
                kinds[item.kind as usize] += 1;
                if item.samples > 0 {
                    break;
                }
            }
            while ends[end].poll_event().is_some() {}
        }
        if tick >= 50 {
            counted += allocations() - before;
        }
        now += Duration::from_millis(20);
    }
    let [new, audio, missing, _] = kinds;
    assert!(new == 3 && audio > 1_000 && missing > 50, "{kinds:?}");
    assert_eq!(counted, 0);
}

/// Allocations of ten seconds after the first second, RTCP, loss and drift of delay included.
fn run(codec: CodecId, rate: u32, suite: Suite, processing: ProcessingConfig) -> u64 {
    run_with(codec, rate, suite, |config| config.processing = processing)
}

fn run_with(codec: CodecId, rate: u32, suite: Suite, change: impl Fn(&mut MediaConfig)) -> u64 {
    let mut rng = SeededRng::new(3);
    let (ka, kb) = (MasterKey::generate(suite, &mut rng), MasterKey::generate(suite, &mut rng));
    let (a, b) = ("192.0.2.1:4000".parse().unwrap(), "192.0.2.2:4000".parse().unwrap());
    let mut now = Instant::from_millis(1);
    let payload_type = codec.description().static_payload_type.unwrap_or(111);
    let (mut redundant, mut pausing, mut telling, mut ptime) = (false, false, false, 20);
    let mut end = |out: &MasterKey, into: &MasterKey, remote| {
        let security = MediaSecurity::Srtp {
            sender: SrtpSender::new(out).unwrap(),
            receiver: SrtpReceiver::new(into).unwrap(),
        };
        let mut config = MediaConfig::new(Payload { payload_type, codec }, remote, security);
        (config.write_rate, config.read_rate) = (rate, rate);
        change(&mut config);
        (redundant, pausing) = (config.red_send.is_some(), config.tuning.dtx);
        (telling, ptime) = (config.comfort_noise_send.is_some(), u64::from(config.ptime_ms));
        MediaSession::new(now, config, &mut rng).unwrap()
    };
    let mut ends = [end(&ka, &kb, b), end(&kb, &ka, a)];
    let mut pcm = vec![0i16; rate as usize / 50];
    let mut buf = [0; MAX_TRANSMIT];
    let mut packet = [0; MAX_TRANSMIT];
    let mut before = 0;
    let mut received = 0;
    for tick in 0..550u32 {
        if tick == 50 {
            before = allocations();
            assert!(before > 0, "the start allocates, so the counter counts");
        }
        for end in 0..2 {
            pcm.iter_mut().enumerate().for_each(|(i, s)| {
                let level = if pausing && tick % 100 >= 50 { 0.0 } else { 9_000.0 };
                *s = ((i as f32 * 0.05).sin() * level) as i16;
            });
            ends[end].write_pcm(now, &pcm).unwrap();
            ends[end].handle_timeout(now);
            while let Some(t) = ends[end].poll_transmit(now, &mut buf).unwrap() {
                let n = t.packet.bytes().len();
                packet[..n].copy_from_slice(t.packet.bytes());
                if tick % 17 != 16 {
                    let from = if end == 0 { a } else { b };
                    ends[1 - end].handle_datagram(now, t.channel, &mut packet[..n], from);
                }
            }
            ends[end].read_pcm(now, &mut pcm).unwrap();
            while ends[end].poll_event().is_some() {}
            received = ends[end].stats().packets_received;
        }
        now += Duration::from_millis(20);
    }
    let counted = allocations() - before;
    let least = if pausing { 50 } else { 500 * 20 / ptime };
    assert!(received > least && ends[0].stats().rtcp_sent > 0, "{received}");
    let mut concealed = ends.iter().map(|end| end.stats().concealed_frames);
    // With copies, what was lost before the first reports of it.
    let least = if redundant || pausing || ptime > 20 { 3 } else { 10 };
    assert!(concealed.all(|frames| frames > least));
    let told = ends.iter().map(|end| end.stats().comfort_noise_received);
    assert_eq!(told.min() > Some(5), telling);
    let mut recovered = ends.iter().map(|end| end.stats().recovered > 10);
    match codec {
        // Its own error correction recovers as well, and not every loss is reported in time.
        CodecId::Opus => assert!(recovered.all(|much| much) || !redundant),
        _ => assert_eq!(recovered.all(|much| much), redundant),
    }
    counted
}
