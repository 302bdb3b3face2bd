//! Attacks on the voice itself: replayed and forged SRTP and SRTCP, goodbyes in the clear, foreign
//! RTP, a stolen SSRC, a race for the DTLS handshake. Each test begins with what the attacker
//! does, what the engine does and what the person sees; docs/security.md is made of these lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/scene.rs"]
mod scene;

use pair::{Setup, USUAL};
use scene::{Fate, Piece, Scene, assert_unharmed};
use subrosa::crypto::dtls::{DtlsIdentity, DtlsRole, DtlsSession, DtlsVersions, is_dtls};
use subrosa::crypto::srtp::UnprotectError;
use subrosa::engine::{CallState, Keying, Padlock, SecurityPolicy};
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sim::{EPOCH, Net};
use subrosa::sip::Transport;
use subrosa::util::SeededRng;

use SecurityPolicy::{Off, Preferred, Required};

/// Policies of both ends under which the voice is encrypted.
const ENCRYPTED: [[SecurityPolicy; 2]; 2] = [[Preferred, Preferred], [Required, Required]];

fn pass(_: &mut Net<'_>, _: &mut Piece<'_>) -> Fate {
    Fate::Pass
}

fn only(kind: Kind, fate: Fate) -> impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send {
    move |_, piece| if piece.kind == kind { fate } else { Fate::Pass }
}

/// Sends a copy with a bit flipped before each packet of a kind.
fn spoilt(kind: Kind) -> impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send {
    move |net, piece| {
        if piece.kind != kind {
            return Fate::Pass;
        }
        let mut copy = piece.bytes.clone();
        let middle = copy.len() / 2;
        copy[middle] ^= 0x10;
        net.send_from(piece.from, piece.to, &copy);
        Fate::Changed
    }
}

/// An RTP packet of loud noise in the clear.
fn noise(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    // The loudest sample of μ-law, both signs.
    packet.extend([0x00, 0x80].repeat(80));
    packet
}

/// attacker: sends every encrypted voice packet a second time
/// engine: recognises each copy as a replay, counts it and throws it away; the call goes on
/// person: hears nothing of it; the padlock stays shut
#[test]
fn replayed_srtp() {
    for policies in ENCRYPTED {
        let mut scene = Scene::new(Setup { policies, ..USUAL }, only(Kind::Srtp, Fate::Doubled));
        scene.call();
        assert!(scene.deeds() > 100, "{}", scene.deeds());
        let replays = [0, 1].map(|side| scene.media(side).replays());
        assert!(replays.iter().sum::<u64>() + 4 >= scene.deeds() as u64, "{replays:?}");
        let media = scene.media(1);
        assert_eq!((media.duplicate, media.auth_failures()), (0, 0));
        assert!(scene.report(1).replays > 50, "the report tells of them");
        assert_unharmed(&mut scene);
    }
}

/// attacker: forges encrypted voice packets, hundreds of them, in the other phone's name
/// engine: authenticates each packet, counts each forgery and throws it away; however many
///   there are, the call goes on
/// person: hears the other person, not the forgery; the padlock stays shut and the report
///   counts the forgeries
#[test]
fn forged_srtp_and_a_hundred_bad_packets_do_not_end_the_call() {
    for policies in ENCRYPTED {
        let mut scene = Scene::new(Setup { policies, ..USUAL }, spoilt(Kind::Srtp));
        scene.call();
        scene.run(4_000);
        assert!(scene.deeds() > 500, "{}", scene.deeds());
        let failures = [0, 1].map(|side| scene.media(side).auth_failures());
        assert!(failures.iter().sum::<u64>() + 4 >= scene.deeds() as u64, "{failures:?}");
        assert!(failures[1] > 200 && scene.report(1).auth_failures == failures[1]);
        assert_eq!(scene.media(1).replays(), 0, "a forgery does not move the window");
        assert_unharmed(&mut scene);
    }
}

/// attacker: repeats and alters the encrypted control packets (SRTCP) of the call
/// engine: counts copies as replays and alterations as forgeries; neither changes anything
/// person: hears nothing of it; the padlock stays shut
#[test]
fn replayed_and_forged_srtcp() {
    for policies in ENCRYPTED {
        let setup = Setup { policies, ..USUAL };
        for forged in [false, true] {
            let mut scene = Scene::new(setup, pass);
            scene.pair.world.act(scene.mallory, |host, _| match forged {
                false => host.turn(only(Kind::Srtcp, Fate::Doubled)),
                true => host.turn(spoilt(Kind::Srtcp)),
            });
            scene.call();
            scene.run(40_000);
            assert!(scene.deeds() >= 6, "{}", scene.deeds());
            let of = |stats: subrosa::media::session::MediaStats| match forged {
                true => stats.auth_failures(),
                false => stats.replays(),
            };
            let refused: u64 = [0, 1].map(|side| of(scene.media(side))).iter().sum();
            assert_eq!(refused, scene.deeds() as u64, "forged: {forged}");
            assert_unharmed(&mut scene);
        }
    }
}

/// attacker: sends a goodbye (RTCP BYE) and reports in the clear into an encrypted call
/// engine: takes no control packet that is not authenticated, counts them as plain packets refused
/// person: stays in the call; the padlock stays shut
#[test]
fn a_clear_rtcp_bye_under_mandatory_srtp() {
    for policies in ENCRYPTED {
        let mut scene = Scene::new(Setup { policies, ..USUAL }, pass);
        scene.call();
        let alice = scene.pair.world.ip(scene.pair.phones[0]);
        let voice = scene.pair.world.host(scene.mallory).datagrams(Kind::Srtp, (alice, 0).into());
        let ssrc = Packet::new(&voice[0].1).ssrc().unwrap().to_be_bytes();
        let (from, to) = (scene.media_address(0), scene.media_address(1));
        // A sender report, so that the packet is a proper compound one, and the goodbye.
        let mut bye = vec![0x80, 200, 0, 6];
        bye.extend(ssrc);
        bye.extend([0; 20]);
        bye.extend([0x81, 203, 0, 1]);
        bye.extend(ssrc);
        for _ in 0..20 {
            scene.say(from, to, &bye);
            scene.say(from, to, &bye[28..]);
        }
        scene.run(2_000);
        assert_eq!(scene.deeds(), 40);
        let media = scene.media(1);
        let refused: u64 = media.refused.iter().sum();
        assert_eq!(refused + media.malformed_rtcp, 40, "{media:?}");
        assert!(scene.report(1).plain_dropped >= 20);
        assert_unharmed(&mut scene);
    }
}

/// attacker: sends loud RTP in the clear before the first packet of the other phone arrives
/// engine: in an encrypted call takes no packet without authentication, whoever comes first
/// person: hears only the other person
#[test]
fn injected_rtp_before_the_source_is_locked() {
    for policies in ENCRYPTED {
        let mut sequence = 0;
        // For each packet of Alice's, one that comes before it; her first hundred are held back.
        let mut scene = Scene::new(Setup { policies, ..USUAL }, move |net, piece| {
            if piece.kind != Kind::Srtp || piece.to.ip().to_string() != "10.0.0.2" {
                return Fate::Pass;
            }
            sequence += 1;
            let mine = (net.ip(), 4000).into();
            net.send_from(mine, piece.to, &noise(0x0bad_0bad, sequence));
            net.send_from(piece.from, piece.to, &noise(0x0bad_0bad, sequence));
            if sequence < 50 { Fate::Drop } else { Fate::Changed }
        });
        scene.call();
        assert!(scene.deeds() > 100);
        let media = scene.media(1);
        assert!(media.plain_dropped + 4 >= 2 * scene.deeds() as u64, "{media:?}");
        assert!(scene.report(1).plain_dropped > 100);
        assert_unharmed(&mut scene);
    }
}

/// attacker: sends loud RTP of its own, from its own address, into a call in the clear before the
///   first packet of the other phone arrives
/// engine: takes the first source for the other phone (it may be behind a NAT) for five seconds at
///   most; as soon as the address that the call's set-up named speaks, that one has the call again,
///   nobody else can have it, and the rest is counted
/// person: hears the attacker until the other phone's voice comes; the screen says "Not encrypted:
///   others on the way can listen."
#[test]
fn injected_rtp_before_the_source_is_locked_in_the_clear() {
    for policies in [[Off, Off], [Off, Preferred]] {
        let mut sequence = 0;
        // Before each packet of Alice's one of its own; Alice's first second is held back.
        let setup = Setup { policies, transport: Transport::Udp, ..USUAL };
        let mut scene = Scene::new(setup, move |net, piece| {
            if piece.kind != Kind::Rtp || piece.to.ip().to_string() != "10.0.0.2" {
                return Fate::Pass;
            }
            sequence += 1;
            net.send_from((net.ip(), 4000).into(), piece.to, &noise(0x0bad_0bad, sequence));
            if sequence < 50 { Fate::Drop } else { Fate::Changed }
        });
        scene.call();
        let (deeds, media) = (scene.deeds(), scene.media(1));
        assert!(deeds > 100);
        assert!(scene.loudest(1) > 16_000, "the first one is heard");
        // All of it until Alice's second packet, and nothing after that.
        let refused = deeds as u64 - media.wrong_source;
        assert!((49..=51).contains(&refused), "{refused} of {deeds}: {media:?}");
        assert_eq!(media.ssrc_changes, 1);
        // Bob's voice goes where the signalling says, again.
        let stolen = scene.pair.world.host(scene.mallory).answers.len();
        assert!(stolen > 0);
        scene.run(1_000);
        assert_eq!(scene.pair.world.host(scene.mallory).answers.len(), stolen);
        assert!(scene.pair.bob_hears(), "{}", scene.pair.world.ladder());
        assert_eq!(scene.screen(1), "Not encrypted: others on the way can listen.");
        assert_eq!((scene.padlock(1), scene.state(1)), (Padlock::None, CallState::Established));
        scene.check();
    }
}

/// attacker: sends RTP of its own into a running call, from its own address and from the other
///   phone's
/// engine: encrypted: refuses every packet that is not authentic. In the clear: refuses other
///   addresses; whoever stands on the path and sends in the other phone's name cannot be told
///   from it
/// person: encrypted: hears only the other person. In the clear: the screen says "Not
///   encrypted: others on the way can listen."
#[test]
fn injected_rtp_after_the_source_is_locked() {
    for policies in [[Off, Off], ENCRYPTED[0], ENCRYPTED[1]] {
        let transport = if policies[0] == Off { Transport::Udp } else { Transport::Tls };
        let mut scene = Scene::new(Setup { policies, transport, ..USUAL }, pass);
        scene.call();
        let (from, to) = (scene.media_address(0), scene.media_address(1));
        let mine = (scene.pair.world.ip(scene.mallory), 4000).into();
        for sequence in 0..200 {
            scene.say(mine, to, &noise(0x0bad_0bad, sequence));
            if policies[0] != Off {
                scene.say(from, to, &noise(0x0bad_0bad, sequence));
            }
            scene.run(10);
        }
        let media = scene.media(1);
        if policies[0] == Off {
            assert_eq!((media.wrong_source, scene.deeds()), (200, 200));
            assert_eq!(scene.screen(1), "Not encrypted: others on the way can listen.");
            assert_eq!((scene.padlock(1), scene.state(1)), (Padlock::None, CallState::Established));
            assert!(scene.pair.bob_hears() && scene.loudest(1) < 16_000, "{}", scene.loudest(1));
        } else {
            assert_eq!((media.plain_dropped, scene.deeds()), (400, 400));
            assert_unharmed(&mut scene);
        }
    }
}

/// attacker: sends packets under this phone's own source number (SSRC), to make it collide
/// engine: encrypted: does not believe it, and keeps its number. In the clear: takes another
///   number, at most twice, and goes on
/// person: hears nothing of it
#[test]
fn an_ssrc_collision() {
    for policies in [[Off, Off], ENCRYPTED[0], ENCRYPTED[1]] {
        let transport = if policies[0] == Off { Transport::Udp } else { Transport::Tls };
        let mut scene = Scene::new(Setup { policies, transport, ..USUAL }, pass);
        scene.call();
        let kind = if policies[0] == Off { Kind::Rtp } else { Kind::Srtp };
        let of_alice = |scene: &Scene| -> Vec<u32> {
            let from = (scene.ip(0), 0).into();
            let heard = scene.pair.world.host(scene.mallory).datagrams(kind, from);
            let mut found: Vec<_> =
                heard.iter().filter_map(|(_, b)| Packet::new(b).ssrc()).collect();
            found.dedup();
            found
        };
        let (from, to) = (scene.media_address(1), scene.media_address(0));
        for round in 0..10 {
            let ssrc = *of_alice(&scene).last().unwrap();
            for sequence in 0..10 {
                scene.say(from, to, &noise(ssrc, 1000 * round + sequence));
            }
            scene.run(300);
        }
        assert_eq!(scene.deeds(), 100);
        let numbers = of_alice(&scene);
        if policies[0] == Off {
            assert_eq!(numbers.len(), 3, "it gives way twice: {numbers:x?}");
            assert_eq!(scene.state(0), CallState::Established);
            assert_eq!(scene.screen(0), "Not encrypted: others on the way can listen.");
            scene.run(2_000);
            assert!(scene.pair.bob_hears());
        } else {
            assert_eq!(numbers.len(), 1, "{numbers:x?}");
            assert_eq!(scene.media(0).plain_dropped, 100);
            assert_unharmed(&mut scene);
        }
        scene.check();
    }
}

/// attacker: is first with the hello of the key exchange (DTLS), with a certificate of its own
/// engine: shakes hands with each that says hello, and lets nobody have keys whose certificate is
///   not the one that the call announced; the other person's phone gets them, first or not
/// person: notices nothing
#[test]
fn a_dtls_hello_race() {
    for spoofed in [false, true] {
        let setup = Setup { transport: Transport::Udp, ..USUAL };
        let thief = DtlsIdentity::generate(EPOCH, &mut SeededRng::new(99)).unwrap();
        let mut raced = false;
        // It hears the first datagram of the handshake, and its own is there before.
        let mut scene = Scene::new(setup, move |net, piece| {
            if raced || !is_dtls(piece.bytes) {
                return Fate::Pass;
            }
            raced = true;
            let mut session = DtlsSession::new(
                DtlsRole::Active,
                DtlsVersions::All,
                &thief,
                None,
                net.now(),
                &mut SeededRng::new(5),
            );
            let mut buf = [0; 1200];
            let from = if spoofed { piece.from } else { (net.ip(), 4000).into() };
            while let Some(len) = session.poll_output(&mut buf) {
                net.send_from(from, piece.to, &buf[..len]);
            }
            Fate::Changed
        });
        scene.call();
        scene.run(60_000);
        assert_eq!(scene.deeds(), 1, "spoofed: {spoofed}");
        scene.check();
        assert_eq!(scene.clear_voice(), 0);
        assert_eq!(scene.padlock(0), Padlock::None, "signalling in the clear");
        for side in [0, 1] {
            assert_eq!(scene.state(side), CallState::Established, "spoofed: {spoofed}");
            let leg = scene.report(side).media_out.unwrap();
            assert!(matches!(leg.keying, Keying::Dtls { .. }) && leg.suite.is_some());
            assert_eq!(scene.media(side).refused_for(UnprotectError::AuthFailed), 0);
        }
        assert!(scene.pair.bob_hears());
        let screen = "The voice is encrypted, but the other end did not prove who it is.";
        assert_eq!(scene.screen(0), screen);
    }
}

/// attacker: sends forged STUN answers to the ports of the voice, to move it to an address of
///   its own
/// engine: did not ask, so it takes no answer: counts them; the voice stays where it is
/// person: notices nothing
#[test]
fn forged_stun_replies() {
    for policies in [[Off, Off], ENCRYPTED[0], ENCRYPTED[1]] {
        let transport = if policies[0] == Off { Transport::Udp } else { Transport::Tls };
        let mut scene = Scene::new(Setup { policies, transport, ..USUAL }, pass);
        scene.call();
        let (alice, bob) = (scene.media_address(0), scene.media_address(1));
        // A success response to a binding request, with an address of the attacker's in it.
        let mut stun = vec![0x01, 0x01, 0, 12, 0x21, 0x12, 0xa4, 0x42];
        stun.extend([7; 12]);
        stun.extend([0, 0x20, 0, 8, 0, 1, 0x2e, 0xb2, 0x2b, 0x12, 0xa4, 0x41]);
        let mine = (scene.pair.world.ip(scene.mallory), 4000).into();
        for from in [mine, alice] {
            for _ in 0..50 {
                scene.say(from, bob, &stun);
            }
        }
        scene.run(2_000);
        assert_eq!((scene.deeds(), scene.media(1).other_protocol), (100, 100));
        assert_eq!((scene.media_address(0), scene.media_address(1)), (alice, bob));
        if policies[0] == Off {
            assert_eq!(scene.state(1), CallState::Established);
            assert!(scene.pair.bob_hears());
        } else {
            assert_unharmed(&mut scene);
        }
    }
}
