//! Redundant audio (RFC 2198): lost packets are heard from their copies, garbage is counted, and it is
//! negotiated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/line.rs"]
mod line;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/sound.rs"]
mod sound;

use line::{Line, Listener};
use pair::{Pair, Setup, USUAL};
use proptest::prelude::*;
use sound::speech;
use subrosa::engine::{AudioOptions, Codec, SecurityPolicy};
use subrosa::media::codec::{CodecId, Encoder, G711, Law};
use subrosa::media::session::{MediaConfig, MediaStats, Payload, RedFault};
use subrosa::sim::{Link, Loss};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::util::{RngExt, SeededRng};
use subrosa::wire::red::{Red, redundant_header};

const PCMU: Payload = Payload { payload_type: 0, codec: CodecId::Pcmu };
const RED: u8 = 121;

fn with_red(side: usize, config: &mut MediaConfig) {
    config.red_send = (side == 0).then_some(RED);
    config.red_receive = vec![RED];
    config.dtmf_receive = vec![101];
}

fn payload_of(pcm: &[i16]) -> Vec<u8> {
    let mut payload = vec![0; pcm.len()];
    G711::new(Law::Mu).encode(pcm, &mut payload).unwrap();
    payload
}

/// A RED payload: copies by payload type and offset, then the primary block.
fn red(copies: &[(u8, u16, &[u8])], primary: (u8, &[u8])) -> Vec<u8> {
    let mut out = Vec::new();
    for (payload_type, offset, payload) in copies {
        out.extend(redundant_header(*payload_type, *offset, payload.len()).unwrap());
    }
    out.push(primary.0);
    copies.iter().for_each(|(.., payload)| out.extend_from_slice(payload));
    out.extend_from_slice(primary.1);
    out
}

#[test]
fn half_a_minute_of_a_network_that_loses_packets_is_heard_almost_whole() {
    let run = |redundant: bool| {
        let mut line = Line::new(PCMU, |side, config| {
            if redundant {
                with_red(side, config);
            }
        });
        let mut rng = SeededRng::new(8);
        let said: Vec<i16> = (0..10).flat_map(|_| speech(8_000)).collect();
        // The first reports of loss come within some seconds.
        line.say(&said[..said.len() / 3], |_| rng.next_u32().is_multiple_of(10));
        let before = line.heard_stats();
        let from = line.heard.len();
        line.say(&said[said.len() / 3..], |_| rng.next_u32().is_multiple_of(10));
        let after = line.heard_stats();
        (line, before, after, from)
    };
    let (line, before, after, _) = run(true);
    let (_, plain_before, plain_after, _) = run(false);
    let lost = after.lost - before.lost;
    let recovered = after.recovered - before.recovered;
    let concealed = |a: &MediaStats, b: &MediaStats| a.concealed.saturating_sub(b.concealed);
    let (with, without) = (concealed(&after, &before), concealed(&plain_after, &plain_before));
    println!("{lost} lost, {recovered} recovered; concealed {with:?}, without copies {without:?}");
    assert!(lost > 60, "{lost}");
    assert!(recovered * 100 > lost.unsigned_abs() * 80, "{recovered} of {lost}");
    assert!(with * 4 < without, "{with:?} of {without:?} concealed");
    assert_eq!(after.duplicate, 0);
    assert_eq!(after.unknown_payload_type + after.bad_payload, 0);
    // What is left of the loss is what is rated.
    let rates = [after, plain_after].map(|stats| stats.quality.unwrap().loss_rate);
    assert!(rates[0] * 3.0 < rates[1], "{rates:?}");
    // Every envelope holds the frame before it.
    let enveloped: Vec<_> = line.sent.iter().filter(|s| s.payload_type == RED).collect();
    assert!(enveloped.len() > 800 && enveloped.len() < line.sent.len());
    for two in line.sent.windows(2).filter(|two| two.iter().all(|s| s.payload_type == RED)) {
        let first = Red::parse(&two[0].payload).unwrap().primary();
        let copy = Red::parse(&two[1].payload).unwrap().redundant().next().unwrap();
        assert_eq!((copy.payload_type, copy.offset, copy.payload), (0, 160, first.payload));
    }
}

#[test]
fn nothing_is_sent_twice_while_little_is_lost_or_the_peer_does_not_take_it() {
    for (loss, red_send) in [(100, Some(RED)), (8, None)] {
        let mut line = Line::new(PCMU, |side, config| {
            config.red_send = red_send.filter(|_| side == 0);
            config.red_receive = vec![RED];
        });
        let said: Vec<i16> = (0..5).flat_map(|_| speech(8_000)).collect();
        line.say(&said, |n| n % loss == 0);
        assert!(line.ends[0].stats().remote_lost > 5);
        assert!(line.sent.iter().all(|s| s.payload_type == 0), "{loss}");
    }
}

#[test]
fn the_copies_of_opus_replace_its_own_error_correction_and_its_bitrate_falls() {
    if !CodecId::Opus.is_available() {
        return;
    }
    let opus = Payload { payload_type: 111, codec: CodecId::Opus };
    let run = |redundant: bool| {
        let mut line = Line::new(opus, |side, config| {
            (config.write_rate, config.read_rate) = (16_000, 16_000);
            if redundant {
                with_red(side, config);
            }
        });
        let said: Vec<i16> = (0..6).flat_map(|_| speech(16_000)).collect();
        line.say(&said, |n| n % 9 == 3);
        line
    };
    let (line, plain) = (run(true), run(false));
    let bytes = |line: &Line| -> usize {
        let last = line.sent.iter().rev().take(300);
        last.map(|s| s.payload.len()).sum::<usize>() / 300
    };
    let (with, without) = (bytes(&line), bytes(&plain));
    println!("{with} bytes a packet with copies, {without} without");
    assert!(with < without * 7 / 4, "{with} bytes a packet, {without} without copies");
    let stats = line.heard_stats();
    assert!(stats.recovered > 50, "{stats:?}");
    assert_eq!((stats.bad_payload, stats.red_refused_for(RedFault::BadPayload)), (0, 0));
}

#[test]
fn each_fault_of_an_envelope_has_a_counter_of_its_own() {
    let frame = payload_of(&[1_000; 160]);
    let other = [7u8; 160];
    for (bytes, fault) in [
        (vec![0x80, 0], RedFault::Truncated),
        (red(&[(0, 160, &frame)], (0, &frame))[..150].to_vec(), RedFault::Truncated),
        ([0x80, 0, 0, 0].repeat(9), RedFault::TooManyBlocks),
        (red(&[], (RED, &frame)), RedFault::Nested),
        (red(&[(RED, 160, &frame)], (0, &frame)), RedFault::Nested),
        (red(&[], (77, &frame)), RedFault::UnknownPayloadType),
        (red(&[(77, 160, &frame)], (0, &frame)), RedFault::UnknownPayloadType),
        (red(&[(111, 160, &frame)], (0, &frame)), RedFault::UnknownPayloadType),
        (red(&[(0, 160, &frame[..1])], (0, &frame)), RedFault::Misplaced),
        (red(&[(0, 0, &other)], (0, &frame)), RedFault::Misplaced),
        (red(&[(0, 161, &other)], (0, &frame)), RedFault::Misplaced),
        (red(&[(0, 16_000, &other)], (0, &frame)), RedFault::Misplaced),
        (red(&[(0, 160 * 14, &other)], (0, &frame)), RedFault::TooOld),
    ] {
        let mut l = Listener::new(PCMU, |side, config| {
            with_red(side, config);
            if CodecId::Opus.is_available() {
                config.receive.push(Payload { payload_type: 111, codec: CodecId::Opus });
            }
        });
        // 17 is missing; up to then all is played.
        for n in 10..17u16 {
            l.take(u64::from(n) * 20, n, u32::from(n) * 160, 0, &frame);
            l.hear(u64::from(n) * 20, 160);
        }
        l.take(360, 18, 18 * 160, RED, &bytes);
        let stats = l.session.stats();
        let counted: Vec<_> =
            RedFault::ALL.into_iter().filter(|f| stats.red_refused_for(*f) > 0).collect();
        assert_eq!(counted, [fault], "{:x?}", &bytes[..bytes.len().min(12)]);
        assert_eq!((stats.red_refused, stats.recovered), (1, 0));
    }
}

#[test]
fn digits_come_out_of_an_envelope_once() {
    let mut l = Listener::new(PCMU, with_red);
    let frame = payload_of(&[1_000; 160]);
    l.take(0, 1, 160, 0, &frame);
    let event = [5, 10, 0, 160];
    l.take(20, 2, 320, RED, &red(&[(0, 160, &frame)], (101, &event)));
    l.take(40, 3, 320, RED, &red(&[(101, 0, &event)], (101, &[5, 0x8a, 1, 0x40])));
    l.take(60, 4, 640, RED, &red(&[(101, 320, &event)], (0, &frame)));
    let digits = std::iter::from_fn(|| l.session.poll_event())
        .filter(|e| matches!(e, subrosa::media::session::MediaEvent::Dtmf(_)));
    assert_eq!(digits.count(), 1);
    assert_eq!(l.session.stats().red_refused, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_envelope_breaks_a_session(
        packets in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..300), 1u16..6, any::<bool>()), 1..60),
    ) {
        let mut l = Listener::new(PCMU, with_red);
        let mut sequence = 0u16;
        for (n, (mut bytes, ahead, likely)) in packets.into_iter().enumerate() {
            sequence = sequence.wrapping_add(ahead);
            if likely && bytes.len() > 6 {
                // Nearly right: a copy and a frame of PCMU.
                let len = bytes.len() as u16 / 2;
                bytes[..4].copy_from_slice(&redundant_header(0, 160 * (ahead % 4), len.into()).unwrap());
                bytes[4] = 0;
            }
            let ms = n as u64 * 20;
            l.take(ms, sequence, u32::from(sequence) * 160, RED, &bytes);
            l.hear(ms, 160);
        }
        let stats = l.session.stats();
        prop_assert_eq!(stats.red_refused_by.iter().sum::<u64>(), stats.red_refused);
        prop_assert!(stats.buffer_level < Duration::from_secs(10));
    }
}

/// A call through a network that loses packets: what the callee's media counts.
fn call(redundancy: bool, codec: Codec, setup: Setup) -> MediaStats {
    let mut pair = Pair::with(setup, |config| config.codecs = vec![codec]);
    let call = pair.call(setup);
    let mut audio = AudioOptions::default();
    audio.redundancy = redundancy;
    pair.world.command(pair.phones[0], |engine, now| {
        let mut call = engine.call(call).unwrap();
        call.set_audio(now, audio).unwrap();
        // The next offer says so.
        call.set_codecs(now, &[codec]).unwrap();
    });
    pair.world.run_for(Duration::from_secs(1));
    let mut lossy = Link::lan();
    lossy.loss = Loss::Random(0.1);
    pair.world.set_link(pair.phones[0], pair.phones[1], lossy);
    pair.world.run_for(Duration::from_secs(20));
    assert!(pair.bob_hears());
    pair.world.command(pair.phones[1], |engine, _| {
        let id = engine.call_ids()[0];
        engine.call(id).unwrap().media_stats().unwrap()
    })
}

#[test]
fn a_caller_that_wants_it_is_answered_and_one_that_does_not_sends_none() {
    let codecs = [Some(Codec::Pcmu), CodecId::Opus.is_available().then_some(Codec::Opus)];
    for codec in codecs.into_iter().flatten() {
        let with = call(true, codec, USUAL);
        assert!(with.lost > 50 && with.recovered > 20, "{codec:?}: {with:?}");
        assert_eq!((with.unknown_payload_type, with.red_refused_for(RedFault::Nested)), (0, 0));
    }
    // In the clear too, where the rules of the simulation look at what leaves.
    let clear = Setup { policies: [SecurityPolicy::Off; 2], transport: Transport::Udp, ..USUAL };
    let with = call(true, Codec::Pcmu, clear);
    assert!(with.lost > 50 && with.recovered > 20, "{with:?}");
    let without = call(false, Codec::Pcmu, USUAL);
    assert!(without.lost > 50, "{without:?}");
    assert_eq!((without.recovered, without.red_refused), (0, 0));
}
