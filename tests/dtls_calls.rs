//! DTLS-SRTP in whole calls: what comes before its time, keys pressed meanwhile, the same run from
//! the same seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/dtls_peer.rs"]
mod dtls_peer;
#[path = "support/pair.rs"]
mod pair;

use dtls_peer::{Hasty, hasty};
use pair::{Pair, Setup, USUAL};
use subrosa::crypto::dtls::{DtlsIdentity, DtlsState, DtlsVersions, is_dtls};
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender};
use subrosa::engine::{CallError, CallState, Event, Keying};
use subrosa::sim::{EPOCH, Entry, Handle, Record, Source, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::util::SeededRng;
use subrosa::wire::rtp::RtpHeaderFields;

const UDP: Setup = Setup { transport: Transport::Udp, ..USUAL };
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_hello_that_overtakes_the_answer_is_kept_and_begins_the_handshake() {
    let (mut world, alice, bob) = hasty();
    world.act(bob, Hasty::hello);
    world.run_for(MS * 200);
    assert_eq!(world.host(bob).heard, 0, "nobody knows yet who that is");
    world.act(bob, Hasty::answer);
    world.run_for(MS * 50);
    let session = world.host(bob).session.as_ref().unwrap();
    assert!(matches!(session.state(), DtlsState::Established { .. }), "{}", world.ladder());
    let leg = world.command(alice, |engine, _| {
        let id = engine.call_ids()[0];
        engine.call(id).unwrap().security().media_in.unwrap()
    });
    assert_eq!(leg.keying, Keying::Dtls { authenticated: false });
}

#[test]
fn many_early_hellos_cost_little_and_do_not_shut_the_peer_out() {
    let (mut world, _, bob) = hasty();
    for _ in 0..50 {
        world.act(bob, |bob, net| bob.say_hello(net, 4001));
        world.run_for(MS);
    }
    // Nobody reads what is answered to those.
    world.act(bob, Hasty::hello);
    world.run_for(MS);
    world.act(bob, Hasty::answer);
    world.run_for(MS * 50);
    let to = |port| move |e: &&Entry| matches!(e.record, Record::Datagram { to, .. } if to.port() == port);
    let entries = world.trace().entries();
    assert!(entries.iter().filter(to(4001)).count() <= 3, "of 50, 3 are left beside the peer's");
    let session = world.host(bob).session.as_ref().unwrap();
    assert!(matches!(session.state(), DtlsState::Established { .. }), "{}", world.ladder());
}

/// How many of these SRTP packets open under a key.
fn opened(media: &[Vec<u8>], key: &MasterKey) -> usize {
    let mut receiver = SrtpReceiver::new(key).unwrap();
    let rtp = media.iter().filter(|packet| !(192..=223).contains(&packet[1]));
    rtp.filter(|packet| receiver.unprotect_rtp(&mut packet.to_vec()).is_ok()).count()
}

/// The peer says 20 packets under the key that it has now.
fn speak(world: &mut World, bob: Handle<Hasty>, key: &MasterKey, from: u16) {
    let mut sender = SrtpSender::new(key).unwrap();
    for sequence_number in from..from + 20 {
        let fields = RtpHeaderFields { ssrc: 9, sequence_number, ..Default::default() };
        let mut buffer = [0; 400];
        let len = fields.write_packet(&[0xff; 160], 0, &mut buffer).unwrap();
        let wire = sender.protect_rtp(&mut buffer, len).unwrap().bytes().to_vec();
        world.act(bob, |bob, net| net.send(4000, bob.to.unwrap(), &wire));
        world.run_for(MS * 20);
    }
}

#[test]
fn a_new_certificate_in_a_re_invite_brings_new_keys_and_the_old_one_none() {
    let (mut world, alice, bob) = hasty();
    world.act(alice, |host, _| host.say(Source::Sine { hz: 500, peak: 8000 }));
    world.act(bob, |bob, net| {
        bob.answer(net);
        bob.hello(net);
    });
    world.run_for(MS * 500);
    let keys = |world: &World| match world.host(bob).session.as_ref().unwrap().state() {
        DtlsState::Established { keys, .. } => keys.clone(),
        other => panic!("{other:?}\n{}", world.ladder()),
    };
    let first = keys(&world);
    let stats = |world: &mut World| {
        world.command(alice, |engine, _| {
            let id = engine.call_ids()[0];
            let call = engine.call(id).unwrap();
            let stats = call.media_stats().unwrap();
            (call.state(), stats.packets_received, stats.auth_failures(), stats.protect_failures)
        })
    };
    speak(&mut world, bob, first.send(), 0);
    assert_eq!(stats(&mut world), (CallState::Established, 20, 0, 0));
    // The same certificate: the association goes on, with its keys, and nobody shakes hands.
    let heard = world.host(bob).heard;
    world.act(bob, |bob, net| bob.reinvite(net, 10, false));
    world.run_for(MS * 20);
    world.act(bob, |bob, net| bob.request(net, "ACK", 10, ""));
    let media = world.host(bob).media.len();
    world.run_for(MS * 1000);
    assert_eq!(world.host(bob).statuses, [200]);
    assert_eq!(world.host(bob).heard, heard);
    assert!(opened(&world.host(bob).media[media..], first.receive()) > 45);
    // Another one: another handshake, and until it is done the media goes on under the old keys.
    let media = world.host(bob).media.len();
    world.act(bob, |bob, net| bob.reinvite(net, 11, true));
    world.run_for(MS * 20);
    world.act(bob, |bob, net| bob.request(net, "ACK", 11, ""));
    world.run_for(MS * 1000);
    let second = keys(&world);
    assert_ne!(second.send(), first.send());
    let packets = &world.host(bob).media[media..];
    let (before, after) = (opened(packets, first.receive()), opened(packets, second.receive()));
    let rtp = packets.iter().filter(|packet| !(192..=223).contains(&packet[1])).count();
    assert_eq!(before + after, rtp, "no packet is lost to either");
    assert!(after > 45, "{before} {after}");
    speak(&mut world, bob, second.send(), 100);
    assert_eq!(stats(&mut world), (CallState::Established, 40, 0, 0), "{}", world.ladder());
    world.check().unwrap();
}

#[test]
fn the_fork_that_lost_hears_nothing_while_the_winner_still_shakes_hands() {
    let (mut world, alice, bob) = hasty();
    world.act(bob, |bob, net| {
        bob.respond(net, 183, "first", 4000);
        bob.hello(net);
    });
    let talk = |world: &mut World, packets: usize| {
        for _ in 0..packets {
            world.command(alice, |engine, now| {
                let id = engine.call_ids()[0];
                let _ = engine.write_pcm(now, id, &[1000; 320]);
            });
            world.run_for(MS * 20);
        }
    };
    talk(&mut world, 20);
    assert!(world.host(bob).media.len() > 10, "early media: {}", world.ladder());
    // Another fork answers, with a certificate of its own, and begins its handshake late.
    world.act(bob, |bob, net| {
        bob.identity = DtlsIdentity::generate(EPOCH, &mut SeededRng::new(8)).unwrap();
        bob.session = None;
        bob.respond(net, 200, "second", 4002);
    });
    world.run_for(MS);
    let before = world.host(bob).media.len();
    talk(&mut world, 20);
    assert_eq!(world.host(bob).media.len(), before, "{}", world.ladder());
    let entries = world.trace().entries();
    let to = |entry: &&Entry| match entry.record {
        Record::Datagram { to, .. } => to.port() == 4002,
        _ => false,
    };
    assert_eq!(entries.iter().filter(to).count(), 0, "nor does the winner, in the clear");
    let state = world.command(alice, |engine, _| {
        let id = engine.call_ids()[0];
        let call = engine.call(id).unwrap();
        (call.state(), call.security().media_out)
    });
    assert_eq!(state, (CallState::Established, None));
    // Now it does.
    world.act(bob, Hasty::hello);
    talk(&mut world, 20);
    let session = world.host(bob).session.as_ref().unwrap();
    let DtlsState::Established { keys, .. } = session.state() else { panic!("{session:?}") };
    let heard = &world.host(bob).media[before..];
    assert!(opened(heard, keys.receive()) > 10, "{}", world.ladder());
    world.check().unwrap();
}

#[test]
fn hellos_that_are_late_or_forged_change_nothing_in_a_call() {
    let (mut world, alice, bob) = hasty();
    world.act(bob, |bob, net| {
        bob.answer(net);
        bob.hello(net);
    });
    world.run_for(MS * 500);
    let DtlsState::Established { keys, .. } = world.host(bob).session.as_ref().unwrap().state()
    else {
        panic!("{}", world.ladder())
    };
    let keys = keys.clone();
    let session = world.act(bob, |bob, _| bob.session.take());
    for port in [4000, 4001] {
        // Strangers, from the peer's address and from another.
        for _ in 0..5 {
            world.act(bob, |bob, net| bob.say_hello(net, port));
            world.run_for(MS * 50);
        }
    }
    world.act(bob, |bob, _| bob.session = session);
    speak(&mut world, bob, keys.send(), 0);
    let (state, received, failures) = world.command(alice, |engine, _| {
        let id = engine.call_ids()[0];
        let call = engine.call(id).unwrap();
        let stats = call.media_stats().unwrap();
        (call.state(), stats.packets_received, stats.auth_failures())
    });
    assert_eq!((state, received, failures), (CallState::Established, 20, 0));
    world.check().unwrap();
}

#[test]
fn keys_pressed_during_the_handshake_are_sent_when_media_runs() {
    let mut pair = Pair::new(UDP);
    pair.world.act(pair.phones[0], |host, _| {
        host.react(|turn, event| {
            if let Event::CallEstablished { call } = *event {
                let now = turn.now;
                let mut call = turn.engine.call(call).unwrap();
                assert_eq!(call.security().media_out, None, "the handshake has just begun");
                for digit in ['4', '2', '#'] {
                    call.send_dtmf(now, digit, MS * 100).unwrap();
                }
                let too_long = call.send_dtmf(now, '1', MS * 7000);
                assert_eq!(too_long, Err(CallError::BadDuration));
                for _ in 3..32 {
                    call.send_dtmf(now, '9', MS * 40).unwrap();
                }
                assert_eq!(call.send_dtmf(now, '1', MS * 100), Err(CallError::Busy));
            }
        });
    });
    pair.call(UDP);
    pair.world.run_for(MS * 5000);
    let events = pair.world.host(pair.phones[1]).events();
    let digits: String = events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::DtmfReceived { digit, .. } => Some(*digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, format!("42#{}", "9".repeat(29)));
}

/// What a call of these versions of DTLS leaves behind: the digest of every byte on the wire.
fn run(versions: DtlsVersions) -> (String, Vec<u8>) {
    let mut pair = Pair::with(UDP, |config| config.dtls_versions = versions);
    let id = pair.call(UDP);
    let (state, report) = pair.report(0).unwrap();
    assert_eq!(state, CallState::Established);
    assert_eq!(report.media_out.unwrap().keying, Keying::Dtls { authenticated: false });
    pair.world
        .command(pair.phones[0], |engine, now| engine.call(id).unwrap().hang_up(now).unwrap());
    pair.world.run_for(MS * 2000);
    let dtls = |payload: &&[u8]| is_dtls(payload) && payload.len() > 100;
    let trace = pair.world.trace();
    let hello = trace.entries().iter().map(|entry| trace.payload(entry)).find(dtls).unwrap();
    (pair.world.digest(), hello.to_vec())
}

#[test]
fn a_seed_gives_the_same_call_bit_for_bit_with_every_version_of_dtls() {
    for versions in [DtlsVersions::Only12, DtlsVersions::All, DtlsVersions::Only13] {
        let (first, second) = (run(versions), run(versions));
        assert_eq!(first.1, second.1, "{versions:?}");
        assert_eq!(first.0, second.0, "{versions:?}");
    }
    // Even its time: DTLS 1.2 shows one that follows from the seed, not the machine's.
    let (_, hello) = run(DtlsVersions::Only12);
    assert_eq!(hex::encode(&hello[27..31]), "bbca2a54");
}
