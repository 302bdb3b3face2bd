//! L16 (RFC 3551 §4.5.11) in calls in virtual time: nothing of the sound is lost, packets fit, and it
//! is used only where it was named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/sound.rs"]
mod sound;

use std::sync::Arc;

use pair::{Pair, USUAL};
use sound::speech;
use subrosa::engine::{AudioOptions, CallId, CallOptions, CallState, Codec, Event};
use subrosa::media::session::MediaStats;
use subrosa::sim::{Link, Loss, Record, Source};
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;

/// Alice reads to Bob at this rate; he takes these codecs.
fn call(rate: u32, offered: &[Codec], taken: &[Codec], ptime: u16) -> (Pair, [CallId; 2]) {
    let mut pair = Pair::with(USUAL, |config| config.codecs = Codec::ALL.to_vec());
    let options = |codecs: &[Codec]| {
        let mut options = CallOptions::default();
        (options.codecs, options.sample_rate) = (codecs.to_vec(), rate);
        let mut audio = AudioOptions::default();
        audio.ptime_ms = ptime;
        options.audio = Some(audio);
        options
    };
    let accept = options(taken);
    // Two packets of 10 ms leave at once: they shall not overtake each other.
    pair.world.set_link(pair.phones[0], pair.phones[1], Link::perfect());
    for phone in pair.phones {
        pair.world.act(phone, |host, _| host.set_sample_rate(rate));
    }
    pair.world.act(pair.phones[0], |host, _| host.say(Source::Pcm(Arc::from(speech(rate)))));
    pair.world.act(pair.phones[1], |host, _| {
        host.react(move |turn, event| {
            if let Event::IncomingCall { call, .. } = *event {
                turn.engine.call(call).unwrap().accept(turn.now, accept.clone()).unwrap();
            }
        });
    });
    let (account, options) = (pair.accounts[0], options(offered));
    let ours = pair.world.command(pair.phones[0], |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, account, &to, options).unwrap()
    });
    pair.world.run_for(Duration::from_secs(4));
    let theirs = pair.world.command(pair.phones[1], |engine, _| engine.call_ids()[0]);
    (pair, [ours, theirs])
}

fn stats(pair: &mut Pair, calls: [CallId; 2]) -> MediaStats {
    pair.world
        .command(pair.phones[1], |engine, _| engine.call(calls[1]).unwrap().media_stats().unwrap())
}

const RATES: [(Codec, u32, u32); 3] = [
    (Codec::L16Narrowband, 8_000, 20),
    (Codec::L16Wideband, 16_000, 20),
    (Codec::L16Fullband, 48_000, 10),
];

#[test]
fn each_sample_arrives_as_it_was_said() {
    for (codec, rate, ptime) in RATES {
        let (mut pair, calls) = call(rate, &[codec], &[codec, Codec::Pcmu], 20);
        for (phone, call) in pair.phones.into_iter().zip(calls) {
            let used = pair.world.command(phone, |engine, _| engine.call(call).unwrap().codec());
            assert_eq!(used, Some(codec));
        }
        let said = speech(rate);
        let heard = pair.world.host(pair.phones[1]).heard(calls[1]);
        let second = &said[rate as usize..rate as usize * 2];
        assert!(heard.windows(second.len()).any(|part| part == second), "{codec:?}");
        let stats = stats(&mut pair, calls);
        assert_eq!((stats.lost, stats.bad_payload, stats.concealed_frames), (0, 0, 0), "{stats:?}");
        let packets = u64::from(4_000 / ptime);
        assert!(stats.packets_received.abs_diff(packets) < 8, "{stats:?}");
        assert!(stats.quality.unwrap().mos_lq > 4.3, "{stats:?}");
    }
}

#[test]
fn no_packet_is_longer_than_the_path_takes_whatever_length_is_asked_for() {
    for (codec, rate, longest) in [
        (Codec::L16Narrowband, 8_000, 60),
        (Codec::L16Wideband, 16_000, 40),
        (Codec::L16Fullband, 48_000, 10),
    ] {
        let (mut pair, calls) = call(rate, &[codec], &[codec], 120);
        let stats = stats(&mut pair, calls);
        let mean = stats.bytes_received / stats.packets_received;
        assert_eq!(mean, u64::from(rate / 1_000 * 2 * longest + 12), "{codec:?}");
        let trace = pair.world.trace();
        let longest = trace.entries().iter().filter_map(|entry| match entry.record {
            Record::Datagram { .. } => Some(trace.payload(entry).len()),
            _ => None,
        });
        assert!(longest.max().unwrap() <= 1_400);
    }
}

#[test]
fn keys_are_pressed_in_the_clock_of_each_rate() {
    for (codec, rate, _) in RATES {
        let (mut pair, calls) = call(rate, &[codec], &[codec], 20);
        pair.world.command(pair.phones[0], |engine, now| {
            let mut call = engine.call(calls[0]).unwrap();
            call.send_dtmf(now, '7', Duration::from_millis(100)).unwrap();
        });
        pair.world.run_for(Duration::from_secs(1));
        let events = pair.world.host(pair.phones[1]).events();
        let pressed = |e: &Event| matches!(e, Event::DtmfReceived { digit, .. } if *digit == '7');
        assert_eq!(events.iter().filter(|(_, e)| pressed(e)).count(), 1, "{codec:?}");
    }
}

#[test]
fn what_is_lost_is_concealed() {
    for (codec, rate, _) in RATES {
        let (mut pair, calls) = call(rate, &[codec], &[codec], 20);
        let mut lossy = Link::lan();
        lossy.loss = Loss::Random(0.05);
        pair.world.set_link(pair.phones[0], pair.phones[1], lossy);
        let begin = pair.world.host(pair.phones[1]).heard(calls[1]).len();
        pair.world.run_for(Duration::from_secs(6));
        let stats = stats(&mut pair, calls);
        assert!(stats.lost > 5 && stats.concealed_frames > 5, "{stats:?}");
        // Speech has no 10 ms of nothing but where it pauses; a hole in it would have.
        let level = |pcm: &[i16]| {
            let blocks = pcm.chunks_exact(rate as usize / 100);
            blocks.filter(|block| block.iter().all(|s| *s == 0)).count()
        };
        let heard = &pair.world.host(pair.phones[1]).heard(calls[1])[begin..];
        assert!(level(heard) <= level(&speech(rate)) * 2 + 2, "{codec:?}");
    }
}

#[test]
fn it_is_neither_offered_nor_taken_unless_it_is_named() {
    // Offered, but the callee names none.
    let (mut pair, calls) = call(16_000, &[Codec::L16Wideband, Codec::G722], &[], 20);
    let used =
        pair.world.command(pair.phones[0], |engine, _| engine.call(calls[0]).unwrap().codec());
    assert_eq!(used, Some(Codec::G722));
    // Taken, but not offered.
    let (mut pair, calls) = call(16_000, &[], &[Codec::L16Wideband], 20);
    let state =
        pair.world.command(pair.phones[0], |engine, _| engine.call(calls[0]).unwrap().state());
    assert_eq!(state, CallState::Ended);
}
