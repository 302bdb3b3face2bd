//! Calls with Opus in virtual time: negotiated, with loss, changed to G.711 and back in the call.
#![cfg(any(feature = "opus", feature = "libopus"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;

use pair::{Pair, USUAL};
use subrosa::engine::{AudioOptions, CallError, CallId, Codec, Event};
use subrosa::media::session::MediaStats;
use subrosa::sim::{Link, Loss, tone_share};
use subrosa::time::Duration;

/// Two phones in a call, with Opus as the first codec.
fn talk(change: impl Fn(&mut subrosa::engine::Config)) -> (Pair, [CallId; 2]) {
    let mut pair = Pair::with(USUAL, |config| {
        config.codecs = Codec::ALL.to_vec();
        change(config);
    });
    let call = pair.call(USUAL);
    let theirs = pair.world.command(pair.phones[1], |engine, _| engine.call_ids()[0]);
    (pair, [call, theirs])
}

fn codecs(pair: &mut Pair, calls: [CallId; 2]) -> [Option<Codec>; 2] {
    [0, 1].map(|side: usize| {
        pair.world.command(pair.phones[side], |engine, _| engine.call(calls[side]).unwrap().codec())
    })
}

fn stats(pair: &mut Pair, side: usize, call: CallId) -> MediaStats {
    pair.world
        .command(pair.phones[side], |engine, _| engine.call(call).unwrap().media_stats().unwrap())
}

/// RMS of each 10 ms of the tone that the callee heard, from this sample on.
fn loudness(heard: &[i16]) -> Vec<f64> {
    let rms = |block: &[i16]| {
        let sum: f64 = block.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
        (sum / block.len() as f64).sqrt()
    };
    heard.chunks_exact(160).map(rms).collect()
}

#[test]
fn a_call_uses_opus_and_its_digits_count_in_its_clock() {
    let (mut pair, calls) = talk(|_| {});
    assert_eq!(codecs(&mut pair, calls), [Some(Codec::Opus); 2]);
    assert!(pair.bob_hears());
    pair.world.command(pair.phones[0], |engine, now| {
        let mut call = engine.call(calls[0]).unwrap();
        // Longer than one segment of an event at 48 kHz.
        call.send_dtmf(now, '5', Duration::from_millis(2_000)).unwrap();
        call.send_dtmf(now, '#', Duration::from_millis(100)).unwrap();
    });
    pair.world.run_for(Duration::from_secs(4));
    let events = pair.world.host(pair.phones[1]).events();
    let digits: String = events
        .iter()
        .filter_map(
            |(_, e)| if let Event::DtmfReceived { digit, .. } = e { Some(*digit) } else { None },
        )
        .collect();
    assert_eq!(digits, "5#");
    let stats = stats(&mut pair, 1, calls[1]);
    assert_eq!((stats.lost, stats.bad_payload, stats.unknown_payload_type), (0, 0, 0));
    assert!(stats.jitter < Duration::from_millis(20), "{:?}", stats.jitter);
    // 24 kbit/s and what RTP and SRTP put around it.
    let mean = stats.bytes_received / stats.packets_received;
    assert!((40..100).contains(&mean), "{mean} bytes a packet");
}

#[test]
fn the_voice_gets_through_a_network_that_loses_packets() {
    let (mut pair, calls) = talk(|_| {});
    let mut lossy = Link::lan();
    lossy.loss = Loss::Random(0.1);
    pair.world.set_link(pair.phones[0], pair.phones[1], lossy);
    pair.world.run_for(Duration::from_secs(20));
    assert!(pair.bob_hears());
    let stats = stats(&mut pair, 1, calls[1]);
    assert!(stats.lost > 50 && stats.concealed_frames > 40, "{stats:?}");
}

#[test]
fn codecs_change_within_a_call_and_the_stream_stays_whole() {
    let (mut pair, calls) = talk(|_| {});
    let begin = pair.world.host(pair.phones[1]).heard(calls[1]).len() - 4_000;
    for codecs_now in [Codec::Pcmu, Codec::Opus, Codec::Pcma, Codec::Opus] {
        pair.world.command(pair.phones[0], |engine, now| {
            engine.call(calls[0]).unwrap().set_codecs(now, &[codecs_now]).unwrap();
        });
        pair.world.run_for(Duration::from_secs(2));
        assert_eq!(codecs(&mut pair, calls), [Some(codecs_now); 2]);
    }
    let stats = stats(&mut pair, 1, calls[1]);
    assert_eq!((stats.lost, stats.ssrc_changes, stats.unknown_payload_type), (0, 0, 0));
    assert!(stats.concealed_frames <= 4, "{stats:?}");
    assert!(stats.jitter < Duration::from_millis(20), "{:?}", stats.jitter);
    let heard = &pair.world.host(pair.phones[1]).heard(calls[1])[begin..];
    assert!(heard.len() > 8 * 16_000);
    // A sine of peak 8000 and RMS 5657: never a silence, never a burst. Where one codec fades into
    // the other their phases differ, so that it is lower there for a frame or two.
    let loudness = loudness(heard);
    let quiet = loudness.windows(3).filter(|w| w.iter().all(|l| *l < 1_500.0)).count();
    assert_eq!(quiet, 0, "30 ms of silence");
    let least = loudness.iter().copied().fold(f64::MAX, f64::min);
    let most = loudness.iter().copied().fold(0.0, f64::max);
    assert!(least > 250.0 && most < 8_000.0, "{least:.0} to {most:.0}");
    let jump = heard.windows(2).map(|w| (i32::from(w[0]) - i32::from(w[1])).abs()).max().unwrap();
    // From sample to sample the sine moves by 1570 at most.
    assert!(jump < 4_000, "a click of {jump}");
    let shares: Vec<_> = heard.chunks_exact(3_200).map(|c| tone_share(c, 500, 16_000)).collect();
    assert!(shares.iter().filter(|share| **share > 0.9).count() >= shares.len() - 8, "{shares:?}");
}

#[test]
fn a_refused_change_of_codecs_leaves_the_call_as_it_was() {
    let mut pair = Pair::with(USUAL, |_| {});
    let call = pair.call(USUAL);
    let theirs = pair.world.command(pair.phones[1], |engine, _| engine.call_ids()[0]);
    // The callee of the simulation has no Opus; the caller cannot even name it here.
    pair.world.command(pair.phones[0], |engine, now| {
        let mut call = engine.call(call).unwrap();
        assert!(matches!(call.set_codecs(now, &[Codec::Opus]), Err(CallError::NoCodecs)));
        assert!(matches!(call.set_codecs(now, &[]), Err(CallError::NoCodecs)));
    });
    assert_eq!(codecs(&mut pair, [call, theirs]), [Some(Codec::G722); 2]);
}

#[test]
fn the_encoder_follows_what_is_asked_for() {
    let (mut pair, calls) = talk(|_| {});
    let rate = |pair: &mut Pair| {
        let before = stats(pair, 1, calls[1]);
        pair.world.run_for(Duration::from_secs(4));
        let after = stats(pair, 1, calls[1]);
        let packets = after.packets_received - before.packets_received;
        (packets, (after.bytes_received - before.bytes_received) / packets)
    };
    let (packets, usual) = rate(&mut pair);
    assert!((195..=205).contains(&packets));
    let mut audio = AudioOptions::default();
    (audio.bitrate, audio.constant_bitrate) = (64_000, true);
    pair.world.command(pair.phones[0], |engine, now| {
        engine.call(calls[0]).unwrap().set_audio(now, audio.clone()).unwrap();
    });
    pair.world.run_for(Duration::from_millis(200));
    let (_, most) = rate(&mut pair);
    assert!(most >= 160 && most > usual * 2, "{usual} and {most} bytes a packet");
    // Longer packets, fewer bits: as the next description asks.
    (audio.ptime_ms, audio.max_receive_bitrate) = (60, Some(12_000));
    pair.world.command(pair.phones[1], |engine, now| {
        let mut call = engine.call(calls[1]).unwrap();
        call.set_audio(now, audio.clone()).unwrap();
        call.set_codecs(now, &[Codec::Opus]).unwrap();
    });
    pair.world.run_for(Duration::from_secs(1));
    let (packets, length) = rate(&mut pair);
    assert!((64..=69).contains(&packets), "{packets}");
    assert!((90..=130).contains(&length), "60 ms at 12 kbit/s are 90 bytes: {length}");
}

/// P9: nothing gets through for a minute. The call goes on, both ends hear each other again with
/// nobody's help, and under the same keys.
#[test]
fn a_minute_without_a_network_is_survived_by_the_call_and_its_voice() {
    let (mut pair, calls) = talk(|_| {});
    pair.world.run_for(Duration::from_secs(10));
    pair.world.cut(pair.phones[0], pair.phones[1]);
    pair.world.run_for(Duration::from_secs(60));
    pair.world.mend(pair.phones[0], pair.phones[1]);
    pair.world.run_for(Duration::from_secs(20));
    let before = [0, 1].map(|side: usize| stats(&mut pair, side, calls[side]));
    pair.world.run_for(Duration::from_secs(10));
    for side in [0, 1] {
        let now = stats(&mut pair, side, calls[side]);
        let came = now.packets_received - before[side].packets_received;
        assert!((499..=501).contains(&came), "{side}: {came}");
        assert_eq!((now.auth_failures(), now.circuit_breaker), (0, None), "{side}");
        let events = pair.world.host(pair.phones[side]).events();
        let count = |wanted: fn(&Event) -> bool| events.iter().filter(|(_, e)| wanted(e)).count();
        assert_eq!(count(|e| matches!(e, Event::NoMedia { .. })), 1, "{side}");
        assert_eq!(count(|e| matches!(e, Event::MediaResumed { .. })), 1, "{side}");
        assert_eq!(count(|e| matches!(e, Event::SendingResumed { .. })), 1, "{side}");
        assert_eq!(count(|e| matches!(e, Event::CallEnded { .. })), 0, "{side}");
    }
    assert!(pair.bob_hears());
}
