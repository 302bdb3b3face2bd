//! Recorded calls, played back an hour later. Each test begins with what the attacker does, what the
//! engine does and what the person sees; docs/security.md is made of these lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/scene.rs"]
mod scene;

use std::net::SocketAddr;

use pair::{Setup, USUAL};
use scene::{Fate, Scene, assert_unharmed};
use subrosa::engine::{CallState, EndReason, Event, FailureReason, Padlock, SecurityPolicy};
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sip::Transport;

use SecurityPolicy::{Preferred, Required};

/// attacker: records a whole call, TLS and voice, and plays it back an hour later
/// engine: TLS connections of an hour ago lead to no handshake; packets of an hour ago belong
///   to no session
/// person: notices nothing: no phone rings and nothing is heard
#[test]
fn recorded_calls_replayed_an_hour_later() {
    for policies in [[Preferred, Preferred], [Required, Required]] {
        let mut scene = Scene::new(Setup { policies, ..USUAL }, |_, _| Fate::Pass);
        scene.call();
        scene.hang_up();
        let record = scene.pair.world.host(scene.mallory).heard.clone();
        scene.run(3_600_000);
        let before = [0, 1].map(|side| scene.events(side).len());
        replay(&mut scene, &record);
        scene.run(60_000);
        assert!(scene.deeds() > 200);
        assert!(scene.stats(1).flows.tls_failures > 0, "the recorded TLS was refused");
        for side in [0, 1] {
            let new = scene.events(side).split_off(before[side]);
            assert_eq!(new, [], "nobody is told anything");
        }
        assert_eq!(scene.pair.world.host(scene.pair.phones[1]).engine().load().calls, 0);
        scene.check();
        // During another call, too.
        scene.call();
        replay(&mut scene, &record);
        scene.run(3_000);
        assert_unharmed(&mut scene);
        // The old voice, played to where the new one is received.
        let (bob, to) = (scene.ip(1), scene.media_address(1));
        let old = |(_, to, b): &&(_, SocketAddr, Vec<u8>)| {
            to.ip() == bob && Packet::new(b).kind() == Kind::Srtp
        };
        let voice: Vec<_> = record.iter().filter(old).cloned().collect();
        let before = scene.media(1).auth_failures();
        for (from, _, bytes) in &voice {
            scene.say(*from, to, bytes);
            scene.run(20);
        }
        let failures = scene.media(1).auth_failures() - before;
        assert!(voice.len() > 100 && failures == voice.len() as u64, "{failures}");
        assert_unharmed(&mut scene);
    }
}

/// attacker: records a call whose set-up was in the clear, and plays it back an hour later
/// engine: a request in the clear cannot be told from a new one, so the phone rings; no keys
///   come of it, and no old voice is heard
/// person: Preferred: an unprotected call rings and brings no voice; Required: the phone tells
///   of a call that its policy refused
#[test]
fn recorded_calls_in_the_clear_replayed_an_hour_later() {
    let setup = Setup { transport: Transport::Udp, ..USUAL };
    let mut scene = Scene::new(setup, |_, _| Fate::Pass);
    scene.call();
    scene.hang_up();
    let record = scene.pair.world.host(scene.mallory).heard.clone();
    scene.run(3_600_000);
    let before = scene.events(1).len();
    replay(&mut scene, &record);
    scene.run(90_000);
    assert!(scene.deeds() > 200);
    let new = scene.events(1).split_off(before);
    let rang = new.iter().filter(|e| matches!(e, Event::IncomingCall { .. })).count();
    assert_eq!(rang, 1, "{new:?}");
    assert_eq!(scene.padlock(1), Padlock::None);
    assert_eq!((scene.clear_voice(), scene.loudest(1)), (0, 0), "no word of the old call is heard");
    assert_eq!(scene.state(1), CallState::Ended);
    // A phone whose domain demands security refuses it before anybody can answer.
    scene.pair.world.command(scene.pair.phones[1], |engine, now| {
        engine.set_domain_policy(now, "bob.test", Required).unwrap();
    });
    let before = scene.events(1).len();
    replay(&mut scene, &record);
    scene.run(10_000);
    let new = scene.events(1).split_off(before);
    let policy = |e: &Event| match e {
        Event::CallEnded { reason: EndReason::Failed(FailureReason::Policy(_)), .. } => true,
        other => !matches!(other, Event::CallEstablished { .. }),
    };
    assert!(!new.is_empty() && new.iter().all(policy), "{new:?}");
    assert_eq!(scene.clear_voice(), 0);
    scene.check();
}

/// Says again what was said, each datagram from where it came, each stream on a new connection.
fn replay(scene: &mut Scene, record: &[(std::net::SocketAddr, std::net::SocketAddr, Vec<u8>)]) {
    let mut streams = std::collections::BTreeMap::<_, Vec<u8>>::new();
    for (from, to, bytes) in record {
        match to.port() == 5061 {
            true => streams.entry((*from, *to)).or_default().extend(bytes),
            false if from.port() == 5061 => {}
            false => scene.say(*from, *to, bytes),
        }
    }
    for ((_, to), bytes) in streams {
        scene.pair.world.act(scene.mallory, |host, net| host.say_by_tcp(net, to, &bytes));
    }
}
