//! A change in what is known of a call's security is told once, and before any audio goes under
//! it; what changes nothing is not told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/sim_registrar.rs"]
mod sim_registrar;

use pair::{Pair, Setup, USUAL};
use sim_registrar::Registrar;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, CallId, CallOptions, CallState, Engine, Event, Keying, Padlock, SecurityPolicy,
    SecurityReport,
};
use subrosa::sdp::Profile;
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sim::{Link, Record, Source, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;

use Padlock::{EncryptedToProvider, None as Open, SignallingOnly};

const DTLS: Setup = Setup { mutual: false, ..USUAL };
const PLAIN: Setup =
    Setup { transport: Transport::Tcp, policies: [SecurityPolicy::Off; 2], ..USUAL };
/// Signalling under TLS, voice in the clear.
const HALF: Setup = Setup { policies: [SecurityPolicy::Off, SecurityPolicy::Off], ..USUAL };

/// The padlocks that were told at one end, in order.
fn told(pair: &Pair, side: usize) -> Vec<Padlock> {
    let events = pair.world.host(pair.phones[side]).events();
    let padlock = |event: &Event| match event {
        Event::SecurityChanged { padlock, .. } => Some(*padlock),
        _ => None,
    };
    events.iter().filter_map(|(_, event)| padlock(event)).collect()
}

fn id(pair: &mut Pair, side: usize) -> CallId {
    pair.world.command(pair.phones[side], |engine, _| engine.call_ids().last().copied().unwrap())
}

fn report(pair: &mut Pair, side: usize) -> SecurityReport {
    let (state, report) = pair.report(side).unwrap();
    assert_eq!(state, CallState::Established);
    report
}

/// What one end told and sent, in the order of the wire: `T` a change was told, `P` plain RTP
/// left, `S` SRTP left; repetitions of a packet kind once.
fn order(pair: &Pair, side: usize) -> String {
    let ip = pair.world.ip(pair.phones[side]);
    let host = pair.phones[side].id();
    let trace = pair.world.trace();
    let mut order = String::new();
    for entry in trace.entries() {
        let bytes = trace.payload(entry);
        let letter = match &entry.record {
            Record::Note { host: Some(by) } if *by == host => {
                if !bytes.starts_with(b"SecurityChanged") {
                    continue;
                }
                'T'
            }
            Record::Datagram { from, .. } if from.ip() == ip => match Packet::new(bytes).kind() {
                Kind::Rtp | Kind::Rtcp => 'P',
                Kind::Srtp | Kind::Srtcp => 'S',
                _ => continue,
            },
            _ => continue,
        };
        if letter == 'T' || !order.ends_with(letter) {
            order.push(letter);
        }
    }
    order
}

#[test]
fn each_change_is_told_once_before_the_first_packet_of_either_end() {
    for (setup, ours, theirs, letter) in [
        (USUAL, vec![SignallingOnly, EncryptedToProvider], vec![EncryptedToProvider], 'S'),
        // Who is called does not know the caller: the padlock stays open.
        (DTLS, vec![SignallingOnly, EncryptedToProvider], vec![Open], 'S'),
        (PLAIN, vec![Open, Open], vec![Open], 'P'),
        (HALF, vec![SignallingOnly, SignallingOnly], vec![SignallingOnly], 'P'),
    ] {
        let mut pair = Pair::new(setup);
        pair.call(setup);
        assert!(pair.bob_hears(), "{}", pair.world.ladder());
        assert_eq!((told(&pair, 0), told(&pair, 1)), (ours.clone(), theirs));
        assert_eq!(order(&pair, 0), format!("TT{letter}"));
        assert_eq!(order(&pair, 1), format!("T{letter}"));
        assert_eq!(report(&mut pair, 0).padlock(), *ours.last().unwrap());
        // The screen is right before the call is shown as up.
        let events = pair.world.host(pair.phones[1]).events();
        let at = |wanted: fn(&Event) -> bool| events.iter().position(|(_, e)| wanted(e)).unwrap();
        let up = at(|e| matches!(e, Event::CallEstablished { .. }));
        let changed = at(|e| matches!(e, Event::SecurityChanged { .. }));
        // Keys by DTLS come after the answer.
        assert_eq!(changed < up, setup.mutual);
    }
}

#[test]
fn nothing_is_sent_or_heard_before_the_change_is_told_even_if_the_host_is_late() {
    for setup in [USUAL, PLAIN] {
        for early in [false, true] {
            let mut pair = Pair::new(setup);
            // Bob answers by hand, and writes and reads before he looks at any output.
            pair.world.act(pair.phones[1], |host, _| host.react(|_, _| ()));
            let account = pair.accounts[0];
            pair.world.command(pair.phones[0], |engine, now| {
                let to = Uri::parse("sip:bob@bob.test").unwrap();
                engine.place_call(now, account, &to, CallOptions::default()).unwrap();
            });
            pair.world.run_for(Duration::from_millis(300));
            assert_eq!(told(&pair, 1), []);
            let call = id(&mut pair, 1);
            pair.world.act(pair.phones[1], |host, net| {
                let (now, engine) = (net.now(), host.engine_mut());
                let mut incoming = engine.call(call).unwrap();
                match early {
                    true => incoming.early_media(now, 16_000).unwrap(),
                    false => incoming.accept(now, CallOptions::default()).unwrap(),
                }
                for _ in 0..4 {
                    engine.write_pcm(now, call, &[8_000; 320]).unwrap();
                }
                host.drain(net);
            });
            let letter = if setup.transport == Transport::Tls { 'S' } else { 'P' };
            assert_eq!(order(&pair, 1), format!("T{letter}"), "early: {early}");
            // The caller hears early media under what it was told.
            pair.world.run_for(Duration::from_millis(300));
            assert_eq!(told(&pair, 0).len(), 2);
            pair.world.command(pair.phones[1], |engine, now| {
                engine.write_pcm(now, call, &[8_000; 1280]).unwrap();
            });
            pair.world.run_for(Duration::from_millis(50));
            let ours = id(&mut pair, 0);
            pair.world.command(pair.phones[0], |engine, now| {
                engine.write_pcm(now, ours, &[8_000; 640]).unwrap();
            });
            assert_eq!(order(&pair, 0), format!("TT{letter}"));
            let heard = pair.world.command(pair.phones[0], |engine, now| {
                let mut pcm = [0; 3200];
                engine.read_pcm(now, ours, &mut pcm).unwrap();
                pcm.iter().any(|s| *s != 0)
            });
            assert!(heard, "early: {early}, {}", pair.world.ladder());
        }
    }
}

#[test]
fn new_keys_raise_their_generation_and_are_told_before_anything_is_heard_under_them() {
    let mut pair = Pair::new(USUAL);
    pair.world.act(pair.phones[1], |host, _| host.say(Source::Sine { hz: 700, peak: 8000 }));
    pair.call(USUAL);
    let before = [told(&pair, 0).len(), told(&pair, 1).len()];
    let generations = |report: &SecurityReport| {
        let of = |leg: &Option<_>| {
            leg.as_ref().map(|l: &subrosa::engine::MediaLeg| l.key_generation).unwrap()
        };
        (of(&report.media_out), of(&report.media_in))
    };
    assert_eq!(generations(&report(&mut pair, 0)), (0, 0));
    for round in 1..=2 {
        let call = id(&mut pair, 0);
        pair.world.command(pair.phones[0], |engine, now| {
            engine.call(call).unwrap().renew_keys(now).unwrap();
        });
        pair.world.run_for(Duration::from_secs(1));
        let (ours, theirs) = (report(&mut pair, 0), report(&mut pair, 1));
        // A renewal gives both directions a new key.
        assert_eq!((generations(&ours), generations(&theirs)), ((round, round), (round, round)));
        let count = |side| told(&pair, side).len() - before[side];
        // Who answers goes over to the new key once the other one uses its own: two changes.
        assert_eq!((count(0), count(1)), (round as usize, 2 * round as usize));
    }
}

#[test]
fn nothing_is_heard_while_a_change_waits_to_be_told() {
    let mut pair = Pair::new(DTLS);
    pair.world.act(pair.phones[1], |host, _| host.say(Source::Sine { hz: 700, peak: 8000 }));
    pair.call(DTLS);
    pair.world.act(pair.phones[0], |host, net| {
        let now = net.now();
        let call = host.engine().call_ids()[0];
        let silent = |engine: &mut Engine| {
            let mut pcm = [1; 320];
            engine.read_pcm(now, call, &mut pcm).unwrap();
            pcm.iter().all(|s| *s == 0)
        };
        assert!(!silent(host.engine_mut()), "Bob speaks");
        host.engine_mut().call(call).unwrap().confirm_safety_number(now).unwrap();
        assert!(silent(host.engine_mut()));
        host.drain(net);
        assert!(!silent(host.engine_mut()));
    });
    assert_eq!(told(&pair, 0).last(), Some(&Padlock::VerifiedEndToEnd));
}

#[test]
fn hold_and_resume_keep_the_keys_and_tell_nothing() {
    for setup in [USUAL, DTLS, PLAIN] {
        let mut pair = Pair::new(setup);
        pair.call(setup);
        let before = (told(&pair, 0), told(&pair, 1));
        for hold in [true, false] {
            let call = id(&mut pair, 0);
            pair.world.command(pair.phones[0], |engine, now| {
                let mut call = engine.call(call).unwrap();
                if hold { call.hold(now).unwrap() } else { call.resume(now).unwrap() }
            });
            pair.world.run_for(Duration::from_secs(1));
            let holds =
                pair.world.command(pair.phones[0], |engine, _| engine.call(call).unwrap().holds());
            assert_eq!(holds, (hold, false));
        }
        assert_eq!((told(&pair, 0), told(&pair, 1)), before);
        assert_eq!(report(&mut pair, 0).media_out.unwrap().key_generation, 0);
    }
}

#[test]
fn a_lost_connection_is_told_and_so_is_the_next_one() {
    for (setup, padlock) in [(USUAL, EncryptedToProvider), (PLAIN, Open)] {
        let mut pair = Pair::new(setup);
        pair.call(setup);
        let before = [told(&pair, 0).len(), told(&pair, 1).len()];
        let (alice, bob) = (pair.phones[0], pair.phones[1]);
        pair.world.break_connections(alice, bob);
        pair.world.run_for(Duration::from_secs(1));
        for side in [0, 1] {
            assert_eq!(told(&pair, side).len(), before[side] + 1);
            let report = report(&mut pair, side);
            assert!(!report.signalling.as_ref().unwrap().connected);
            assert!(format!("{report:#}").contains("; this connection is lost"), "{report:#}");
            // What was encrypted still is.
            assert_eq!(report.padlock(), padlock);
        }
        let call = id(&mut pair, 0);
        pair.world.command(alice, |engine, now| engine.call(call).unwrap().hold(now).unwrap());
        pair.world.run_for(Duration::from_secs(2));
        for side in [0, 1] {
            let report = report(&mut pair, side);
            assert!(report.signalling.unwrap().connected, "{}", pair.world.ladder());
            assert_eq!(told(&pair, side).len(), before[side] + 2);
        }
        pair.world.command(alice, |engine, now| engine.call(call).unwrap().hang_up(now).unwrap());
        pair.world.run_for(Duration::from_secs(1));
        for side in [0, 1] {
            let last = pair.world.host(pair.phones[side]).events().last().unwrap().1.clone();
            assert!(matches!(last, Event::CallEnded { .. }), "{last:?}");
        }
    }
}

#[test]
fn a_call_over_the_accounts_connection_follows_it_when_it_is_restored() {
    let mut world = World::new(3);
    world.set_default_link(Link::lan());
    let ca = include_bytes!("data/sim/ca.pem");
    let alice = world
        .add_phone("alice", |config| config.trust = TrustAnchors::from_pem(ca).unwrap())
        .unwrap();
    let (chain, key) = (include_bytes!("data/sim/bob.pem"), include_bytes!("data/sim/bob.key.pem"));
    let mut server = Registrar::new(&[Transport::Tls], chain, key);
    server.answers = true;
    let server = world.add_host("server", server);
    let ip = world.ip(server);
    world.zone().add_address("bob.test", ip);
    let account = world.command(alice, |engine, now| {
        let config = AccountConfig::new(Uri::parse("sip:alice@bob.test").unwrap());
        engine.add_account(now, config).unwrap()
    });
    world.run_for(Duration::from_secs(2));
    let call = world.command(alice, |engine, now| {
        let to = Uri::parse("sip:carol@bob.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap()
    });
    world.run_for(Duration::from_secs(1));
    let connected = |world: &mut World| {
        let (state, report) = world.command(alice, |engine, _| {
            let call = engine.call(call).unwrap();
            (call.state(), call.security())
        });
        assert_eq!(state, CallState::Established, "{}", world.ladder());
        report.signalling.unwrap().connected
    };
    let count = |world: &World| {
        let events = world.host(alice).events().iter();
        events.filter(|(_, e)| matches!(e, Event::SecurityChanged { .. })).count()
    };
    assert!(connected(&mut world));
    let before = count(&world);
    world.break_connections(alice, server);
    world.run_for(Duration::from_millis(100));
    assert!(!connected(&mut world));
    assert_eq!(count(&world), before + 1);
    world.run_for(Duration::from_secs(60));
    assert!(connected(&mut world), "{}", world.ladder());
    assert_eq!(count(&world), before + 2);
}

#[test]
fn the_report_of_a_real_call_has_every_fact() {
    let mut pair = Pair::new(USUAL);
    pair.call(USUAL);
    let sdes = report(&mut pair, 0);
    for leg in [sdes.media_out.as_ref().unwrap(), sdes.media_in.as_ref().unwrap()] {
        assert!(leg.suite.is_some() && leg.keying == Keying::Sdes);
        assert_eq!(leg.profile, Profile::Avp, "RFC 8643: SRTP in RTP/AVP");
        assert!(leg.mki.is_none() && leg.fingerprint.is_none() && leg.key_generation == 0);
    }
    let rtcp = sdes.rtcp.unwrap();
    assert!(rtcp.is_encrypted() && rtcp.mux && !sdes.debugging.is_on());
    assert!(sdes.packets_protected > 100, "{sdes:#}");

    let required = Setup { policies: [SecurityPolicy::Required; 2], ..DTLS };
    let mut pair = Pair::new(required);
    pair.call(required);
    for side in [0, 1] {
        let report = report(&mut pair, side);
        for leg in [report.media_out.as_ref().unwrap(), report.media_in.as_ref().unwrap()] {
            // The first offer has both keyings; who may not answer the keys takes the handshake.
            assert_eq!(leg.profile, Profile::Savp);
            let fingerprint = leg.fingerprint.unwrap().to_string();
            assert!(fingerprint.starts_with("sha-256 "), "{fingerprint}");
            // Alice verified whom she dialled; Bob does not know who called.
            assert_eq!(leg.is_fingerprint_verified(), side == 0);
        }
    }

    let mut pair = Pair::new(PLAIN);
    pair.call(PLAIN);
    let plain = report(&mut pair, 1);
    let leg = plain.media_in.as_ref().unwrap();
    assert_eq!((leg.suite, leg.keying, leg.profile.as_str()), (None, Keying::None, "RTP/AVP"));
    assert!(!plain.rtcp.unwrap().encrypted_out && !plain.rtcp.unwrap().encrypted_in);
}
