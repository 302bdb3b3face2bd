//! Another codec, packet length or setting of the encoder within a call, in the middle of speech: the
//! stream stays whole, on the wire and to the ear.
#![cfg(any(feature = "opus", feature = "libopus"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/sound.rs"]
mod sound;

use std::sync::Arc;

use pair::{Pair, USUAL};
use sound::speech;
use subrosa::engine::{AudioOptions, CallId, Codec};
use subrosa::media::session::MediaStats;
use subrosa::sim::{Record, Source};
use subrosa::time::Duration;

const RATE: u32 = 16_000;

/// Alice reads to Bob; with Opus to begin with.
fn reading(taken: bool) -> (Pair, [CallId; 2]) {
    let mut pair = Pair::with(USUAL, |config| config.codecs = Codec::ALL.to_vec());
    if taken {
        for phone in pair.phones {
            pair.world.act(phone, |host, _| host.take_media(true));
        }
    }
    pair.world.act(pair.phones[0], |host, _| host.say(Source::Pcm(Arc::from(speech(RATE)))));
    let ours = pair.call(USUAL);
    let theirs = pair.world.command(pair.phones[1], |engine, _| engine.call_ids()[0]);
    (pair, [ours, theirs])
}

fn stats(pair: &mut Pair, side: usize, calls: [CallId; 2]) -> MediaStats {
    let call = calls[side];
    pair.world.act(pair.phones[side], |host, _| match host.taken(call) {
        Some(session) => session.stats(),
        None => host.engine_mut().call(call).unwrap().media_stats().unwrap(),
    })
}

/// An RTP header of Alice's, which SRTP leaves readable.
struct Head {
    payload_type: u8,
    sequence: u16,
    ssrc: u32,
}

fn heads(pair: &Pair) -> Vec<Head> {
    let alice = pair.world.ip(pair.phones[0]);
    let trace = pair.world.trace();
    let packets = trace.entries().iter().filter_map(|entry| match &entry.record {
        Record::Datagram { from, .. } if from.ip() == alice => Some(trace.payload(entry)),
        _ => None,
    });
    let rtp = packets.filter(|p| p.len() > 12 && p[0] == 0x80 && !(192..=223).contains(&p[1]));
    rtp.map(|p| Head {
        payload_type: p[1] & 0x7f,
        sequence: u16::from_be_bytes([p[2], p[3]]),
        ssrc: u32::from_be_bytes([p[8], p[9], p[10], p[11]]),
    })
    .collect()
}

/// RMS of each 10 ms.
fn loudness(pcm: &[i16]) -> Vec<f64> {
    let rms = |block: &[i16]| {
        let sum: f64 = block.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
        (sum / block.len() as f64).sqrt()
    };
    pcm.chunks_exact(RATE as usize / 100).map(rms).collect()
}

/// The longest time in which Alice speaks and nothing of it is heard, nor in the 10 ms before and
/// after: a hole of 20 ms is none, one of 40 ms has 20 ms. Bob hears what was said so long ago; a
/// codec may add a little to that.
fn longest_gap(said: &[f64], heard: &[f64]) -> Duration {
    let mut best = (f64::MIN, 0);
    for delay in 0..20 {
        let pairs =
            || (0..heard.len() - delay).map(|n| (said[n].ln_1p(), heard[n + delay].ln_1p()));
        let count = pairs().count() as f64;
        let (x, y) = pairs().fold((0.0, 0.0), |(x, y), (a, b)| (x + a / count, y + b / count));
        let (xy, xx, yy) = pairs().fold((0.0, 0.0, 0.0), |(xy, xx, yy), (a, b)| {
            (xy + (a - x) * (b - y), xx + (a - x) * (a - x), yy + (b - y) * (b - y))
        });
        best =
            if xy / f64::sqrt(xx * yy) > best.0 { (xy / f64::sqrt(xx * yy), delay) } else { best };
    }
    let (likeness, delay) = best;
    assert!(likeness > 0.8, "{likeness:.2} at {delay}0 ms: that is not what was said");
    let (mut gap, mut longest) = (0, 0);
    let around = heard[delay..].windows(3);
    for (loud, around) in said[1..].iter().zip(around) {
        let silent = around.iter().all(|there| *there < loud * 0.2);
        gap = if *loud > 400.0 && silent { gap + 1 } else { 0 };
        longest = longest.max(gap);
    }
    Duration::from_millis(longest * 10)
}

#[test]
fn speech_goes_on_from_opus_to_g711_to_g722_to_opus() {
    for taken in [false, true] {
        let (mut pair, calls) = reading(taken);
        let keys = |pair: &mut Pair| {
            let call = calls[0];
            pair.world.act(pair.phones[0], |host, _| match host.taken(call) {
                Some(session) => session.key_generations(),
                None => {
                    let report = host.engine_mut().call(call).unwrap().security();
                    let out = report.media_out.unwrap().key_generation;
                    Some((out, report.media_in.unwrap().key_generation))
                }
            })
        };
        let before = keys(&mut pair);
        let codecs = [Codec::Pcmu, Codec::G722, Codec::Opus];
        for codec in codecs {
            pair.world.command(pair.phones[0], |engine, now| {
                engine.call(calls[0]).unwrap().set_codecs(now, &[codec]).unwrap();
            });
            // In the middle of words: the pause of the reader is elsewhere.
            pair.world.run_for(Duration::from_millis(1_310));
            for (phone, call) in pair.phones.into_iter().zip(calls) {
                let used = pair.world.command(phone, |e, _| e.call(call).unwrap().codec());
                assert_eq!(used, Some(codec));
            }
        }
        // On the wire: one source, no number left out or used twice, the codecs in turn.
        let heads = heads(&pair);
        assert!(heads.iter().all(|head| head.ssrc == heads[0].ssrc));
        for two in heads.windows(2) {
            assert_eq!(two[1].sequence, two[0].sequence.wrapping_add(1), "taken: {taken}");
        }
        let mut types: Vec<_> = heads.iter().map(|head| head.payload_type).collect();
        types.dedup();
        assert_eq!(types, [111, 0, 9, 111]);
        // The same keys, which nothing was lost under.
        assert_eq!(keys(&mut pair), before);
        let (sent, got) = (stats(&mut pair, 0, calls), stats(&mut pair, 1, calls));
        assert_eq!(sent.packets_sent, heads.len() as u64);
        assert!(sent.packets_sent - got.packets_received <= 1, "{got:?}");
        for (what, count) in [
            ("auth", got.auth_failures()),
            ("lost", got.lost.unsigned_abs()),
            ("ssrc", got.ssrc_changes),
            ("type", got.unknown_payload_type),
            ("bad", got.bad_payload),
            ("late", got.late),
            ("sequence", got.out_of_sequence),
            ("overflow", got.jitter_overflow + sent.send_overflow),
        ] {
            assert_eq!(count, 0, "taken: {taken}, {what}: {got:?}");
        }
        assert!(got.concealed <= Duration::from_millis(60), "{got:?}");
        assert!(got.jitter < Duration::from_millis(10), "{got:?}");
        // To the ear: no gap of more than a frame.
        let heard = pair.world.host(pair.phones[1]).heard(calls[1]);
        let said = speech(RATE).repeat(4);
        let gap = longest_gap(&loudness(&said), &loudness(heard));
        assert_eq!(gap, Duration::ZERO, "taken: {taken}");
    }
}

#[test]
fn the_measure_of_gaps_sees_two_frames_of_nothing() {
    let said = loudness(&speech(RATE));
    let mut heard = [vec![0.0; 5], said.clone()].concat();
    assert_eq!(longest_gap(&said.repeat(2), &heard), Duration::ZERO);
    let loud = (20..200).find(|n| said[*n..*n + 12].iter().all(|l| *l > 400.0)).unwrap();
    heard[loud + 5..loud + 7].fill(0.0);
    assert_eq!(longest_gap(&said.repeat(2), &heard), Duration::ZERO);
    heard[loud + 5..loud + 9].fill(0.0);
    assert_eq!(longest_gap(&said.repeat(2), &heard), Duration::from_millis(20));
}

#[test]
fn bitrate_effort_and_packet_length_change_within_a_call() {
    let (mut pair, calls) = reading(false);
    let rate = |pair: &mut Pair| {
        let before = stats(pair, 1, calls);
        pair.world.run_for(Duration::from_secs(3));
        let after = stats(pair, 1, calls);
        assert_eq!((after.lost, after.bad_payload), (0, 0), "{after:?}");
        let packets = after.packets_received - before.packets_received;
        (packets, (after.bytes_received - before.bytes_received) / packets)
    };
    let set = |pair: &mut Pair, side: usize, change: &dyn Fn(&mut AudioOptions)| {
        let mut audio = AudioOptions::default();
        change(&mut audio);
        pair.world.command(pair.phones[side], |engine, now| {
            engine.call(calls[side]).unwrap().set_audio(now, audio).unwrap();
        });
    };
    let encoding = |pair: &mut Pair, side: usize| {
        let call = calls[side];
        pair.world.command(pair.phones[side], |engine, _| engine.encoding(call).unwrap())
    };
    let (packets, usual) = rate(&mut pair);
    assert!((148..=152).contains(&packets));
    // At once, without a word to the far end.
    set(&mut pair, 0, &|audio| {
        (audio.bitrate, audio.complexity, audio.fec) = (64_000, 9, false);
        audio.expected_loss_percent = 7;
    });
    let (_, more) = rate(&mut pair);
    assert!(more > usual * 2, "{usual}, then {more} bytes a packet");
    let tuning = encoding(&mut pair, 0).tuning;
    assert_eq!((tuning.bitrate, tuning.complexity, tuning.fec), (64_000, 9, false));
    assert_eq!(tuning.expected_loss_percent, 7);
    // What the far end is asked for it hears by another offer: Alice sends as Bob wishes.
    set(&mut pair, 1, &|audio| {
        (audio.ptime_ms, audio.max_receive_bitrate, audio.dtx) = (40, Some(16_000), true);
    });
    let (packets, _) = rate(&mut pair);
    assert!((148..=152).contains(&packets));
    pair.world.command(pair.phones[1], |engine, now| {
        engine.call(calls[1]).unwrap().renegotiate(now).unwrap();
    });
    pair.world.run_for(Duration::from_millis(200));
    let (packets, less) = rate(&mut pair);
    assert!((60..=76).contains(&packets), "{packets}");
    assert!(less < 130, "40 ms at 16 kbit/s are 80 bytes: {less}");
    let now = encoding(&mut pair, 0);
    assert_eq!((now.ptime_ms, now.tuning.bitrate, now.tuning.dtx), (40, 16_000, true));
    assert_eq!(encoding(&mut pair, 1).ptime_ms, 20, "Alice asked for nothing else");
}

#[test]
fn the_order_of_the_codecs_is_the_callers() {
    for first in [Codec::Pcma, Codec::G722, Codec::Pcmu, Codec::Opus] {
        let (mut pair, calls) = reading(false);
        let mut order = vec![first];
        order.extend(Codec::USUAL.into_iter().filter(|codec| *codec != first));
        pair.world.command(pair.phones[1], |engine, now| {
            engine.call(calls[1]).unwrap().set_codecs(now, &order).unwrap();
        });
        pair.world.run_for(Duration::from_secs(1));
        for (phone, call) in pair.phones.into_iter().zip(calls) {
            let used = pair.world.command(phone, |e, _| e.call(call).unwrap().codec());
            assert_eq!(used, Some(first));
        }
    }
}
