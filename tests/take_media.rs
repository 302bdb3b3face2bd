//! Media that runs outside its engine: audio, changes, keys, the end, and hosts that do it wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;

use pair::{Pair, Setup, USUAL};
use subrosa::engine::{
    CallError, CallId, CallState, EndReason, Event, FailureReason, Input, InputError, Keying,
    MediaError, Padlock, SecurityPolicy,
};
use subrosa::media::session::{MAX_TRANSMIT, MediaSession};
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sim::{Record, Source, tone_share};
use subrosa::sip::Transport;
use subrosa::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DTLS: Setup = Setup { mutual: false, ..USUAL };

/// Both phones run their media outside their engines.
fn apart(setup: Setup, feed_back: bool) -> Pair {
    let mut pair = Pair::with(setup, |config| config.upgrade_running_calls = true);
    for phone in pair.phones {
        pair.world.act(phone, |host, _| host.take_media(feed_back));
    }
    pair.world.act(pair.phones[1], |host, _| host.say(Source::Sine { hz: 900, peak: 8000 }));
    pair
}

fn id(pair: &mut Pair, side: usize) -> CallId {
    pair.world.command(pair.phones[side], |engine, _| engine.call_ids().last().copied().unwrap())
}

fn hears(pair: &mut Pair, side: usize, hz: u32) -> bool {
    let call = id(pair, side);
    let heard = pair.world.host(pair.phones[side]).heard(call);
    tone_share(&heard[heard.len().saturating_sub(8_000)..], hz, 16_000) > 0.8
}

fn both_hear(pair: &mut Pair) -> bool {
    hears(pair, 1, 500) && hears(pair, 0, 900)
}

fn with_session<R>(pair: &mut Pair, side: usize, f: impl FnOnce(&mut MediaSession) -> R) -> R {
    let call = id(pair, side);
    pair.world.act(pair.phones[side], |host, _| f(host.taken(call).unwrap()))
}

fn sent(pair: &Pair, side: usize, wanted: &[Kind]) -> usize {
    let ip = pair.world.ip(pair.phones[side]);
    let trace = pair.world.trace();
    let is = |entry: &&subrosa::sim::Entry| match &entry.record {
        Record::Datagram { from, .. } if from.ip() == ip => {
            wanted.contains(&Packet::new(trace.payload(entry)).kind())
        }
        _ => false,
    };
    trace.entries().iter().filter(is).count()
}

#[test]
fn audio_goes_both_ways_and_the_engine_sends_no_media() {
    for setup in [USUAL, DTLS] {
        let mut pair = apart(setup, true);
        pair.call(setup);
        assert!(both_hear(&mut pair), "{}", pair.world.ladder());
        let (state, report) = pair.report(0).unwrap();
        assert_eq!(
            (state, report.padlock()),
            (CallState::Established, Padlock::EncryptedToProvider)
        );
        let dtls = matches!(report.media_out.as_ref().unwrap().keying, Keying::Dtls { .. });
        assert_eq!(dtls, !setup.mutual);
        assert!(report.packets_protected > 50, "{report:?}");
        let call = id(&mut pair, 0);
        pair.world.command(pair.phones[0], |engine, now| {
            assert_eq!(engine.take_media(call).unwrap_err(), MediaError::Taken(call));
            assert_eq!(engine.write_pcm(now, call, &[0; 160]), Err(MediaError::Taken(call)));
            let mut handle = engine.call(call).unwrap();
            assert_eq!(handle.send_dtmf(now, '1', SECOND / 5), Err(CallError::MediaTaken));
            assert_eq!(handle.mute(now, true), Err(CallError::MediaTaken));
            let (rtp, _) = handle.media_sockets().unwrap();
            let remote = "192.0.2.1:9".parse().unwrap();
            let mut packet = [0x80; 40];
            let input = Input::Datagram { socket: rtp, remote, payload: &mut packet };
            assert_eq!(engine.handle_input(now, input), Ok(()));
            assert_eq!(engine.stats().taken_media, 1);
        });
    }
}

#[test]
fn a_hold_and_its_end_reach_the_sessions() {
    let mut pair = apart(USUAL, true);
    let call = pair.call(USUAL);
    pair.world.command(pair.phones[0], |e, now| e.call(call).unwrap().hold(now).unwrap());
    pair.world.run_for(SECOND);
    assert!(!with_session(&mut pair, 1, |s| s.direction().sends()));
    pair.world.command(pair.phones[0], |e, now| e.call(call).unwrap().resume(now).unwrap());
    pair.world.run_for(SECOND * 2);
    assert!(with_session(&mut pair, 1, |s| s.direction().sends()));
    assert!(both_hear(&mut pair));
}

#[test]
fn new_keys_make_no_gap_and_the_report_follows_the_session() {
    let mut pair = apart(USUAL, true);
    let call = pair.call(USUAL);
    let before = with_session(&mut pair, 0, |s| s.key_generations().unwrap());
    pair.world.command(pair.phones[0], |e, now| e.call(call).unwrap().renew_keys(now).unwrap());
    pair.world.run_for(SECOND * 3);
    let after = with_session(&mut pair, 0, |s| s.key_generations().unwrap());
    assert!(after.0 > before.0, "{before:?} {after:?}");
    assert_eq!(pair.report(0).unwrap().1.media_out.unwrap().key_generation, after.0);
    for side in [0, 1] {
        let stats = with_session(&mut pair, side, |s| s.stats());
        assert_eq!((stats.auth_failures(), stats.lost), (0, 0), "side {side}");
    }
    assert!(both_hear(&mut pair));
}

const PLAIN: Setup = Setup { policies: [SecurityPolicy::Off, SecurityPolicy::Preferred], ..USUAL };

fn upgrade(pair: &mut Pair) {
    pair.world.command(pair.phones[0], |engine, now| {
        engine.set_domain_policy(now, "alice.test", SecurityPolicy::Preferred).unwrap();
    });
    pair.world.run_for(SECOND * 3);
}

#[test]
fn a_plain_call_is_upgraded_and_the_report_waits_for_the_session() {
    for feed_back in [true, false] {
        let mut pair = apart(PLAIN, feed_back);
        pair.call(PLAIN);
        assert_eq!(pair.report(0).unwrap().1.padlock(), Padlock::SignallingOnly);
        upgrade(&mut pair);
        assert!(with_session(&mut pair, 0, |s| s.suites()).is_some(), "{}", pair.world.ladder());
        assert!(both_hear(&mut pair));
        let shown = pair.report(0).unwrap().1.padlock();
        // What nobody confirms is not claimed.
        let expected =
            if feed_back { Padlock::EncryptedToProvider } else { Padlock::SignallingOnly };
        assert_eq!(shown, expected);
    }
}

#[test]
fn the_end_is_said_on_the_wire_and_gives_the_sockets_back() {
    let mut pair = apart(USUAL, true);
    let call = pair.call(USUAL);
    let before = sent(&pair, 0, &[Kind::Srtcp]);
    pair.world.command(pair.phones[0], |e, now| e.call(call).unwrap().hang_up(now).unwrap());
    pair.world.run_for(SECOND / 2);
    assert!(sent(&pair, 0, &[Kind::Srtcp]) > before, "no goodbye");
    assert!(with_session(&mut pair, 0, |s| s.is_drained()));
    for phone in pair.phones {
        assert_eq!(pair.world.host(phone).engine().load().media_sockets, 0);
    }
    let rtp = sent(&pair, 0, &[Kind::Srtp]);
    pair.world.run_for(SECOND);
    assert_eq!(sent(&pair, 0, &[Kind::Srtp]), rtp, "media after the end");
}

#[test]
fn a_host_that_never_feeds_back_keeps_the_sockets_for_a_while_only() {
    let mut pair = apart(USUAL, false);
    let call = pair.call(USUAL);
    pair.world.command(pair.phones[0], |e, now| e.call(call).unwrap().hang_up(now).unwrap());
    pair.world.run_for(SECOND);
    assert_eq!(pair.world.host(pair.phones[0]).engine().load().media_sockets, 2);
    pair.world.run_for(SECOND * 2);
    assert_eq!(pair.world.host(pair.phones[0]).engine().load().media_sockets, 0);
}

/// Without a proxy, over UDP: no certificate is for the bare address in a Contact.
const MOVING: Setup = Setup { transport: Transport::Udp, ..DTLS };

#[test]
fn media_goes_on_after_a_move_from_the_sockets_that_the_event_names() {
    for mover in [0, 1] {
        let mut pair = apart(MOVING, true);
        pair.call(MOVING);
        let before =
            [0, 1].map(|side| with_session(&mut pair, side, |s| (s.ssrc(), s.key_generations())));
        for round in 1..=2_u8 {
            let (call, phone) = (id(&mut pair, mover), pair.phones[mover]);
            let sockets = |pair: &mut Pair| {
                pair.world.command(phone, |e, _| e.call(call).unwrap().media_sockets())
            };
            let old = sockets(&mut pair).unwrap();
            let ip = [10, 7, 0, round].into();
            pair.world.move_host(phone, ip);
            pair.world.command(phone, |engine, now| {
                engine.set_local_ip(ip);
                engine.handle_input(now, Input::NetworkChanged).unwrap();
            });
            pair.world.run_for(SECOND * 4);
            let named: Vec<_> = pair
                .world
                .host(phone)
                .events()
                .iter()
                .filter_map(|(_, event)| match event {
                    Event::MediaSocketsChanged { call: of, rtp, rtcp } if *of == call => {
                        Some((*rtp, *rtcp))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(named.len(), usize::from(round), "{}", pair.world.ladder());
            assert_eq!(named.last().copied(), sockets(&mut pair));
            assert_ne!(named.last().copied(), Some(old));
            assert!(both_hear(&mut pair), "{mover} {round}\n{}", pair.world.ladder());
            // From the new address, and never in the clear.
            assert!(sent(&pair, mover, &[Kind::Srtp]) > 150);
            assert_eq!(sent(&pair, mover, &[Kind::Rtp, Kind::Rtcp]), 0);
        }
        // The same sessions under the same keys; who stayed has heard of no sockets.
        for side in [0, 1] {
            let after = with_session(&mut pair, side, |s| (s.ssrc(), s.key_generations()));
            assert_eq!(after, before[side]);
            assert_eq!(with_session(&mut pair, side, |s| s.stats().auth_failures()), 0);
        }
        let stayed = pair.world.host(pair.phones[1 - mover]).events();
        let moved = |event: &Event| matches!(event, Event::MediaSocketsChanged { .. });
        assert!(!stayed.iter().any(|(_, event)| moved(event)));
    }
}

#[test]
fn media_that_the_engine_runs_moves_without_that_event() {
    let mut pair = Pair::new(MOVING);
    pair.call(MOVING);
    let ip = [10, 7, 0, 1].into();
    pair.world.move_host(pair.phones[0], ip);
    pair.world.command(pair.phones[0], |engine, now| {
        engine.set_local_ip(ip);
        engine.handle_input(now, Input::NetworkChanged).unwrap();
    });
    pair.world.run_for(SECOND * 4);
    assert!(hears(&mut pair, 1, 500));
    let told = pair.world.host(pair.phones[0]).events();
    assert!(!told.iter().any(|(_, event)| matches!(event, Event::MediaSocketsChanged { .. })));
}

#[test]
fn an_update_that_fails_silences_the_session_and_ends_the_call() {
    let mut pair = apart(USUAL, true);
    let call = pair.call(USUAL);
    // What the session of another call tells is refused.
    let feedback = with_session(&mut pair, 1, |s| s.feedback().unwrap());
    pair.world.command(pair.phones[0], |engine, now| {
        let input = Input::Media { call, feedback: &feedback };
        assert_eq!(engine.handle_input(now, input), Err(InputError::ForeignFeedback(call)));
    });
    // The engine's next update is number 1; this host loses it.
    pair.world.act(pair.phones[0], |host, _| host.lose_media_update());
    pair.world.command(pair.phones[0], |e, now| e.call(call).unwrap().hold(now).unwrap());
    pair.world.run_for(SECOND / 2);
    pair.world.command(pair.phones[0], |e, now| {
        let _ = e.call(call).unwrap().resume(now);
    });
    pair.world.run_for(SECOND);
    assert!(with_session(&mut pair, 0, |s| s.is_closed() && !s.has_output()));
    let ended = pair.ended(0).unwrap();
    assert!(
        matches!(ended, EndReason::Failed(FailureReason::MediaUpdate(_))),
        "{ended:?} {}",
        pair.world.ladder()
    );
    let media = [Kind::Srtp, Kind::Srtcp, Kind::Rtp, Kind::Rtcp];
    let before = sent(&pair, 0, &media);
    pair.world.run_for(SECOND);
    assert_eq!(sent(&pair, 0, &media), before);
    assert_eq!(sent(&pair, 0, &[Kind::Rtp, Kind::Rtcp]), 0);
}

#[test]
fn the_session_of_a_call_runs_on_a_thread_of_its_own() {
    let mut pair = Pair::new(USUAL);
    let call = pair.call(USUAL);
    let (mut session, now) =
        pair.world.command(pair.phones[0], |engine, now| (engine.take_media(call).unwrap(), now));
    #[allow(clippy::disallowed_methods)] // the host has threads
    let thread = std::thread::spawn(move || {
        let (mut buffer, mut now, mut packets) = ([0; MAX_TRANSMIT], now, 0);
        for _ in 0..50 {
            session.write_pcm(now, &[1_000; 320]).unwrap();
            while let Ok(Some(transmit)) = session.poll_transmit(now, &mut buffer) {
                assert!(!transmit.packet.bytes().is_empty());
                packets += 1;
            }
            now += Duration::from_millis(20);
        }
        (session.feedback().unwrap(), packets)
    });
    let (feedback, packets) = thread.join().unwrap();
    assert!(packets >= 50);
    pair.world.command(pair.phones[0], |engine, now| {
        let before = engine.call(call).unwrap().media_stats().unwrap().packets_sent;
        engine.handle_input(now, Input::Media { call, feedback: &feedback }).unwrap();
        let after = engine.call(call).unwrap().media_stats().unwrap().packets_sent;
        assert!(after >= before + 50);
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut pair = apart(USUAL, true);
        let call = pair.call(USUAL);
        pair.world.command(pair.phones[0], |e, now| e.call(call).unwrap().renew_keys(now).unwrap());
        pair.world.run_for(SECOND);
        pair.world.trace().digest()
    };
    assert_eq!(run(), run());
}
