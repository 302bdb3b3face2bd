//! Attacks on the call's set-up: keys stripped, profiles demoted, TLS blocked, re-INVITEs from
//! elsewhere, forks, keys asked for in the clear. Each test begins with what the
//! attacker does, what the engine does and what the person sees; docs/security.md is made of these
//! lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/hop.rs"]
mod hop;
#[path = "support/lab.rs"]
mod lab;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/provider.rs"]
mod provider;
#[path = "support/rewrite.rs"]
mod rewrite;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/sim_registrar.rs"]
mod sim_registrar;

use std::collections::BTreeSet;

use hop::{answer, at, description};
use lab::{Lab, SDP, their_invite};
use pair::{Setup, USUAL};
use provider::{Provider, is_invite, keyed};
use rewrite::{rewrite, without};
use scene::{Door, Fate, OnPath, Scene, sent, wire};
use sim_registrar::Registrar;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, AccountState, CallOptions, CallState, EndReason, Event, Keying, MediaOffer,
    Padlock, SecurityPolicy, StepOutcome,
};
use subrosa::sdp::SdpFault;
use subrosa::sim::World;
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::{HeaderName, Message, MessageBuilder, Method, Uri};

use SecurityPolicy::{Off, Preferred, Required};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

const ENCRYPTED: &str = "Encrypted to your provider: nobody on the way there can listen.";
const IN_THE_CLEAR: &str = "Not encrypted: others on the way can listen.";
const ONLY_SIGNALLING: &str =
    "Only the call's set-up is encrypted: others on the way can hear the voice.";

/// attacker: a server on the way, with a good certificate, takes the keys (a=crypto) out of the
///   answer
/// engine: Preferred: the call completes in the clear, and no padlock is shown. Required: the
///   call ends and no voice is sent
/// person: Preferred: reads that others can hear the voice. Required: reads that the policy does
///   not allow the call: encryption is required, and the answer has no keys
#[test]
fn a_stripped_a_crypto() {
    for policy in [Preferred, Required] {
        let mut run = Provider::new(policy, |m, ip| match is_invite(m) {
            true => {
                let offered = String::from_utf8_lossy(m.body()).into_owned();
                assert!(offered.contains("a=crypto:"));
                let profile = if offered.contains("RTP/SAVP ") { "RTP/SAVP" } else { "RTP/AVP" };
                vec![answer(m, 200, "carol", &description(ip, 4000, profile, ""))]
            }
            false => vec![],
        });
        let id = run.call(MediaOffer::Opportunistic);
        // The deed: the offer had keys, the answer came without.
        assert!(run.offer().contains("a=crypto:"), "{}", run.offer());
        let (state, screen, end) = run.state(id);
        if policy == Preferred {
            assert_eq!((state, screen.as_str()), (CallState::Established, ONLY_SIGNALLING));
            assert!(run.clear_voice() > 100, "a plain call");
        } else {
            assert_eq!(state, CallState::Ended);
            let Some(EndReason::Failed(reason)) = end else { panic!("{end:?}") };
            let sentence = "the security policy does not allow this call: encryption is required, \
                            and the answer has no keys (declined, or taken out on the way)";
            assert_eq!(reason.to_string(), sentence);
            let refused = SdpFault::ALL.iter().map(|f| run.refused_for(*f)).sum::<u64>();
            let counts = (refused, run.refused_for(SdpFault::KeysDropped), run.clear_voice());
            assert_eq!(counts, (1, 1, 0), "{reason}");
        }
        run.world.check().unwrap();
    }
}

/// attacker: reads along on a path without TLS and takes everything about keys (a=fingerprint,
///   a=setup, a=crypto) out of offer and answer
/// engine: Preferred: the call completes in the clear; if earlier calls with this person were
///   encrypted, the downgrade is told. Required: the call is refused
/// person: Preferred: reads "Not encrypted", after the earlier encrypted calls with a warning.
///   Required: there is no call
#[test]
fn keys_stripped_on_a_path_in_the_clear() {
    let strip = || rewrite(|body| without(body, &["a=crypto", "a=fingerprint", "a=setup"]));
    let setup = Setup { transport: Transport::Udp, ..USUAL };
    let mut scene = Scene::new(setup, |_, _| Fate::Pass);
    scene.call();
    assert!(matches!(scene.report(0).media_out.unwrap().keying, Keying::Dtls { .. }));
    scene.hang_up();
    scene.pair.world.act(scene.mallory, |host, _| host.turn(strip()));
    scene.call();
    assert!(scene.deeds() >= 1);
    assert_eq!(scene.state(0), CallState::Established);
    assert_eq!((scene.padlock(0), scene.screen(0).as_str()), (Padlock::None, IN_THE_CLEAR));
    assert!(scene.clear_voice() > 100);
    let warned = |e: &Event| matches!(e, Event::SecurityDowngrade { .. });
    assert_eq!(scene.events(0).iter().filter(|e| warned(e)).count(), 1, "told before audio");
    scene.check();

    let setup = Setup { policies: [Preferred, Required], ..setup };
    let mut scene = Scene::new(setup, strip());
    scene.call();
    assert!(scene.deeds() >= 1);
    assert!(matches!(scene.ended(0), Some(EndReason::Refused { .. })), "{:?}", scene.ended(0));
    let told = scene.events(1).into_iter().find_map(|event| match event {
        Event::IncomingRefused { reason, .. } => Some(format!("{reason:?}")),
        _ => None,
    });
    assert!(told.is_some_and(|why| why.contains("TLS is required")), "the callee is told why");
    assert_eq!(scene.clear_voice(), 0);
    scene.check();
}

/// attacker: rewrites the profile of the answer, or of the offer on a path in the clear, from
///   encrypted (SAVP) to plain (AVP)
/// engine: takes no answer of another profile than was offered; keys that were agreed are kept,
///   and no plain voice is sent
/// person: the call ends with the reason, or is encrypted as before
#[test]
fn savp_rewritten_to_avp() {
    for policy in [Preferred, Required] {
        let mut run = Provider::new(policy, |m, ip| match is_invite(m) {
            true => vec![answer(m, 200, "carol", &description(ip, 4000, "RTP/AVP", ""))],
            false => vec![],
        });
        let id = run.call(MediaOffer::SecureFirst);
        assert!(run.offer().contains(" RTP/SAVP "), "{}", run.offer());
        let (state, _, end) = run.state(id);
        assert_eq!((state, run.clear_voice()), (CallState::Ended, 0));
        assert!(matches!(end, Some(EndReason::Failed(_))), "{end:?}");
        let faults = [SdpFault::Profile, SdpFault::ProfileDowngraded, SdpFault::EncryptionRequired];
        assert_eq!(faults.map(|f| run.refused_for(f)).iter().sum::<u64>(), 1, "{end:?}");
        run.world.check().unwrap();
    }
    for callee in [Preferred, Required] {
        let setup = Setup {
            transport: Transport::Udp,
            offer: MediaOffer::SecureFirst,
            policies: [Preferred, callee],
            ..USUAL
        };
        let mut scene =
            Scene::new(setup, rewrite(|body| body.replace("UDP/TLS/RTP/SAVP", "RTP/AVP")));
        scene.call();
        assert!(scene.deeds() >= 1);
        assert_eq!(scene.clear_voice(), 0, "{}", scene.pair.world.ladder());
        assert_eq!(scene.padlock(0), Padlock::None);
        if scene.state(0) == CallState::Established {
            assert!(scene.report(0).media_out.unwrap().suite.is_some());
        }
        scene.check();
    }
}

/// attacker: lets no TLS connection through to the server: resets it, swallows it, or answers
///   with rubbish
/// engine: Preferred: goes on over TCP, keeps the reason of the step and tries TLS again later.
///   Required: does not register and sends nothing in the clear. Off: had no TLS to lose
/// person: Preferred: sees that the connection is a fallback, no padlock. Required: sees that
///   the server cannot be reached
#[test]
fn tls_blocked_on_the_path() {
    for door in [Door::Reset, Door::Silent, Door::Garbage] {
        for policy in [Off, Preferred, Required] {
            let mut world = World::new(21);
            let trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
            let alice = world.add_phone("alice", |c| c.trust = trust).unwrap();
            let all = [Transport::Tls, Transport::Tcp, Transport::Udp];
            let registrar = Registrar::new(&all, pem!("bob"), pem!("bob.key"));
            let registrar = world.add_host("registrar", registrar);
            let ip = world.ip(registrar);
            world.zone().add_address("bob.test", ip);
            let mut mallory = OnPath::new(|_, _| Fate::Pass);
            mallory.door = door;
            let mallory = world.add_host("mallory", mallory);
            world.divert(alice, registrar, mallory);
            let wire = wire(&mut world);
            if policy == Required {
                world.require_security(alice);
            }
            let id = world.command(alice, |engine, now| {
                engine.set_domain_policy(now, "bob.test", policy).unwrap();
                let account = AccountConfig::new(Uri::parse("sip:alice@bob.test").unwrap());
                engine.add_account(now, account).unwrap()
            });
            world.run_for(Duration::from_secs(45));
            let status = world.command(alice, |engine, _| engine.account(id).unwrap());
            let registered = matches!(status.state, AccountState::Registered { .. });
            let heard = world.host(registrar).seen.iter().filter(|(t, _)| t.is_secure()).count();
            assert_eq!(heard, 0, "nothing came through by TLS");
            let told = |wanted: fn(&Event) -> bool| {
                world.host(alice).events().iter().filter(|(_, e)| wanted(e)).count()
            };
            let fell = told(|e| matches!(e, Event::TransportChanged { fallback: true, .. }));
            let failed = told(|e| matches!(e, Event::RegistrationFailed { .. }));
            let clear = sent(&wire, alice, &[Kind::Sip]);
            let deeds = world.host(mallory).deeds;
            match policy {
                Off => assert_eq!((deeds, registered, fell), (0, true, 0)),
                Preferred => {
                    assert!(deeds >= 1 && registered && fell == 1, "{door:?} {deeds} {fell}");
                    assert_eq!(status.transport, Some(Transport::Tcp));
                    let first = &status.ladder[0];
                    assert_eq!(first.transport, Transport::Tls);
                    assert!(!matches!(first.outcome, StepOutcome::Up | StepOutcome::Trying));
                }
                _ => {
                    assert!(deeds >= 1 && !registered && failed >= 1, "{door:?}");
                    assert_eq!((clear, fell), (0, 0));
                }
            }
            world.check().unwrap();
        }
    }
}

/// attacker: calls over a connection without TLS and offers keys (a=crypto), so that the answer
///   brings the phone's keys where it can read them
/// engine: puts keys of its own into no message, request or response, over signalling that is not
///   verified; Preferred, Off: a call with a choice completes in the clear, or with keys by DTLS
/// person: Preferred, Off: reads "Not encrypted". Required: is told of a call that was refused
#[test]
fn keys_asked_for_in_the_clear() {
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    for policy in [Off, Preferred, Required] {
        for (profile, answered) in [("RTP/SAVP", 488), ("RTP/AVP", 200)] {
            let mut lab = Lab::new(|_, _| {});
            lab.world.command(lab.alice, |engine, now| {
                engine.set_domain_policy(now, "peer.test", policy).unwrap();
            });
            let body = SDP.replace("RTP/AVP", profile) + key + "\r\n";
            let head = their_invite().split("\n\n").next().unwrap().to_string();
            let length = |n: usize| format!("Content-Length: {n}");
            let head = head.replace(&length(SDP.len()), &length(body.len()));
            lab.send(&format!("{head}\n\n{}", body.replace("\r\n", "\n")));
            lab.run(200);
            let ids = lab.world.host(lab.alice).engine().call_ids();
            for early in [true, false] {
                lab.world.command(lab.alice, |engine, now| {
                    for id in &ids {
                        let Some(mut call) = engine.call(*id) else { continue };
                        let _ = match early {
                            true => call.early_media(now, 16_000),
                            false => call.accept(now, CallOptions::default()),
                        };
                    }
                });
                lab.run(200);
            }
            let heard = |m: &Message| String::from_utf8_lossy(m.as_bytes()).contains("a=crypto");
            let seen = &lab.world.host(lab.peer).seen;
            assert!(!seen.iter().any(|(_, _, m)| heard(m)), "{policy} {profile}");
            let last = lab.statuses().into_iter().rfind(|s| *s >= 200);
            let expected = if policy == Required { 488 } else { answered };
            assert_eq!(last, Some(expected), "{policy} {profile}");
            let refused = |e: &Event| matches!(e, Event::IncomingRefused { .. });
            let told = lab.world.host(lab.alice).events().iter().any(|(_, e)| refused(e));
            assert!(told || policy != Required);
            if expected == 200 {
                let screen = lab.world.command(lab.alice, |engine, _| {
                    engine.call(ids[0]).unwrap().security().to_string()
                });
                assert_eq!(screen, IN_THE_CLEAR);
            }
            lab.world.check().unwrap();
        }
    }
}

/// attacker: knows the names of an encrypted call's dialog and sends a re-INVITE, UPDATE or BYE
///   for it from elsewhere
/// engine: refuses requests of such a call over any other connection and counts them; the voice
///   stays where it is
/// person: notices nothing; the padlock stays shut
#[test]
fn a_re_invite_from_elsewhere() {
    for policy in [Preferred, Required] {
        let mut run = Provider::new(policy, |m, ip| match is_invite(m) {
            true => vec![answer(m, 200, "carol", &keyed(m, ip, 4000))],
            false => vec![],
        });
        let id = run.call(MediaOffer::Opportunistic);
        let mallory = run.world.add_host("mallory", OnPath::new(|_, _| Fate::Pass));
        let mine = run.world.ip(mallory);
        let invite = run.world.host(run.hop).heard("INVITE").remove(0);
        let to = at(run.world.ip(run.alice), 5060);
        for (number, method) in [(500, "INVITE"), (501, "UPDATE"), (502, "BYE")] {
            let text = foreign(&invite, method, number, mine);
            run.world.act(mallory, |host, net| {
                host.say(net, at(mine, 5060), to, text.as_bytes());
            });
            run.world.run_for(Duration::from_secs(1));
        }
        let before = run.world.host(run.hop).media.len();
        run.world.run_for(Duration::from_secs(1));
        let stats = run.world.host(run.alice).engine().stats();
        assert_eq!((run.world.host(mallory).deeds, stats.foreign_requests), (3, 3));
        let answers = run.world.host(mallory).answers.clone();
        let refused = String::from_utf8_lossy(&answers).matches("SIP/2.0 403").count();
        assert!(refused >= 3, "{}", String::from_utf8_lossy(&answers));
        assert!(run.world.host(run.hop).media.len() > before + 40, "the voice stays");
        let (state, screen, _) = run.state(id);
        assert_eq!(state, CallState::Established);
        assert_eq!(screen, ENCRYPTED);
        assert_eq!(run.clear_voice(), 0);
        run.world.check().unwrap();
    }
}

/// attacker: reads a call's set-up in the clear and sends a re-INVITE from elsewhere that wants
///   the voice in the clear at another address
/// engine: a call whose voice is encrypted is never moved to plain voice; the re-INVITE is
///   refused. Off: in the clear such a request cannot be told from a true one
/// person: Preferred: goes on talking, encrypted. Off: the screen says "Not encrypted: others
///   on the way can listen."
#[test]
fn a_re_invite_from_elsewhere_in_the_clear() {
    for policies in [[Off, Off], [Preferred, Preferred]] {
        let setup = Setup { policies, transport: Transport::Udp, ..USUAL };
        let mut scene = Scene::new(setup, |_, _| Fate::Pass);
        scene.call();
        let heard = scene.pair.world.host(scene.mallory).heard.clone();
        let mut messages = heard.iter().filter_map(|(_, _, b)| Message::parse(b).ok());
        let ack = messages.find(|m| m.is_request() && *m.method() == Method::Ack).unwrap();
        // In Alice's name, to Bob.
        let mine = scene.pair.world.ip(scene.mallory);
        let text = |number: u32| {
            let body = description(mine, 4000, "RTP/AVP", "");
            format!(
                "INVITE sip:bob@{bob} SIP/2.0\r\nVia: SIP/2.0/UDP {mine};branch=z9hG4bK{number};\
                 rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} \
                 INVITE\r\nContact: <sip:m@{mine}>\r\nContent-Type: application/sdp\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                ack.header(HeaderName::From).unwrap(),
                ack.header(HeaderName::To).unwrap(),
                ack.call_id(),
                body.len(),
                bob = scene.ip(1),
            )
        };
        let (words, bob) = (text(500), at(scene.ip(1), 5060));
        scene.say(at(mine, 5060), bob, words.as_bytes());
        scene.run(3_000);
        assert_eq!(scene.deeds(), 1);
        let answers = scene.pair.world.host(scene.mallory).answers.clone();
        let answers = String::from_utf8_lossy(&answers).into_owned();
        if policies[0] == Off {
            assert!(answers.contains("SIP/2.0 200"), "{answers}");
            assert_eq!(scene.screen(1), IN_THE_CLEAR);
            assert_eq!(scene.padlock(1), Padlock::None);
        } else {
            assert!(answers.contains("SIP/2.0 488"), "{answers}");
            assert_eq!(scene.state(1), CallState::Established);
            assert!(scene.report(1).media_out.unwrap().suite.is_some());
            let screen = "The voice is encrypted, but the other end did not prove who it is.";
            assert_eq!((scene.screen(1).as_str(), scene.clear_voice()), (screen, 0));
            assert!(scene.pair.bob_hears());
        }
        scene.check();
    }
}

/// A request in the dialog of an INVITE that `carol` answered, from somebody else.
fn foreign(invite: &Message, method: &str, number: u32, mine: std::net::IpAddr) -> String {
    let body = description(mine, 4000, "RTP/AVP", "");
    let body = if method == "BYE" { "" } else { body.as_str() };
    format!(
        "{method} sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {mine};branch=z9hG4bK{number};\
         rport\r\nMax-Forwards: 70\r\nFrom: <sip:carol@bob.test>;tag=carol\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: {number} {method}\r\nContact: <sip:m@{mine}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        invite.header(HeaderName::From).unwrap(),
        invite.call_id(),
        body.len()
    )
}

/// attacker: a server on the way answers one call twice (a fork), both with the same key, or
///   with the very key that this phone offered
/// engine: refuses an answer whose key is used already, and ends that call; of two forks with
///   keys of their own it keeps one and renews its key; never sends two packets under one key
///   with the same number
/// person: sees the call end with the reason, or talks to one person; the padlock tells the
///   truth about that call
#[test]
fn a_forked_answer_with_a_reused_key() {
    for policy in [Preferred, Required] {
        for forks in [Forks::OneKey, Forks::OurKey, Forks::TwoKeys] {
            let mut run = Provider::new(policy, move |m, ip| match is_invite(m) {
                true => forked(m, ip, forks),
                false => vec![],
            });
            let id = run.call(MediaOffer::Opportunistic);
            assert!(run.offer().contains("a=crypto:"));
            let (state, screen, end) = run.state(id);
            let media = &run.world.host(run.hop).media;
            let voice: Vec<_> = media
                .iter()
                .filter(|(_, b)| Packet::new(b).kind() == Kind::Srtp)
                .map(|(_, b)| (Packet::new(b).ssrc(), Packet::new(b).sequence()))
                .collect();
            let unique: BTreeSet<_> = voice.iter().copied().collect();
            assert_eq!(unique.len(), voice.len(), "a packet number was used twice under one key");
            assert_eq!(run.clear_voice(), 0, "{end:?}");
            let heard = |method: &str| run.world.host(run.hop).heard(method).len();
            let refused = run.refused_for(SdpFault::CryptoAnswer);
            if forks == Forks::TwoKeys {
                assert_eq!(state, CallState::Established, "{end:?}\n{}", run.world.ladder());
                assert_eq!(screen, ENCRYPTED);
                assert_eq!((heard("BYE"), heard("INVITE")), (1, 2), "{}", run.world.ladder());
                assert!(voice.len() > 50);
            } else {
                assert!(refused >= 1, "{forks:?}: {refused}");
                assert_eq!((state, heard("BYE")), (CallState::Ended, 2), "{}", run.world.ladder());
                assert!(matches!(end, Some(EndReason::Failed(_))), "{end:?}");
            }
            run.world.check().unwrap();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Forks {
    OneKey,
    OurKey,
    TwoKeys,
}

/// Early media of one fork, and two that answer.
fn forked(invite: &Message, ip: std::net::IpAddr, forks: Forks) -> Vec<MessageBuilder> {
    if let Some(tag) = invite.to().tag() {
        return vec![answer(invite, 200, tag, &keyed(invite, ip, 4002))];
    }
    let (mut one, mut two) = (keyed(invite, ip, 4000), keyed(invite, ip, 4002));
    match forks {
        Forks::OneKey => {}
        // The first four characters of its key are others.
        Forks::TwoKeys => {
            let start = one.find("inline:").unwrap() + 7;
            one.replace_range(start..start + 4, "AAAA");
        }
        Forks::OurKey => {
            let offer = String::from_utf8_lossy(invite.body()).into_owned();
            let line = offer.lines().find(|l| l.starts_with("a=crypto:")).unwrap();
            for body in [&mut one, &mut two] {
                let start = body.find("a=crypto").unwrap();
                *body = format!("{}{line}\r\n", &body[..start]);
            }
        }
    }
    vec![
        answer(invite, 183, "one", &one),
        answer(invite, 200, "two", &two),
        answer(invite, 200, "one", &one),
    ]
}
