//! Which keys a call's media gets, between two engines: by policy, by how far the signalling is
//! trusted, by the shape of the offer; what the report says; what a foreign hand can change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/peer.rs"]
mod peer;

use pair::{Outcome, Pair, Setup, USUAL, outcome};
use peer::{Peer, Turn};
use subrosa::engine::{
    AccountConfig, CallId, CallOptions, CallState, EndReason, Event, FailureReason, Keying,
    MediaOffer, Padlock, SecurityPolicy,
};
use subrosa::sim::{EngineHost, Handle, Link, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::{HeaderName, Message, Method, Uri};

use SecurityPolicy::{Off, Preferred, Required};

#[test]
fn policies_transports_and_shapes_lead_to_these_keys() {
    use Outcome::{Dtls, Plain, Refused, Sdes};
    use Padlock::{EncryptedToProvider, SignallingOnly};
    let shut = EncryptedToProvider;
    let open = Padlock::None;
    let tls = Transport::Tls;
    let mutual = [
        ([Off, Off], Plain, SignallingOnly),
        ([Off, Preferred], Plain, SignallingOnly),
        ([Off, Required], Refused, SignallingOnly),
        ([Preferred, Off], Sdes, shut),
        ([Preferred, Preferred], Sdes, shut),
        ([Preferred, Required], Sdes, shut),
        ([Required, Off], Sdes, shut),
        ([Required, Preferred], Sdes, shut),
        ([Required, Required], Sdes, shut),
    ];
    for (policies, keys, padlock) in mutual {
        let setup = Setup { policies, ..USUAL };
        assert_eq!(outcome(setup), (keys, padlock), "mutual TLS, {policies:?}");
    }
    // The callee does not know who called: no keys in descriptions.
    for (policies, keys) in [
        ([Preferred, Preferred], Dtls),
        ([Preferred, Required], Dtls),
        ([Required, Required], Dtls),
        ([Off, Required], Refused),
    ] {
        let setup = Setup { policies, mutual: false, ..USUAL };
        assert_eq!(outcome(setup).0, keys, "one-sided TLS, {policies:?}");
    }
    for transport in [Transport::Udp, Transport::Tcp] {
        for (policies, keys) in [
            ([Off, Off], Plain),
            ([Off, Preferred], Plain),
            ([Preferred, Off], Dtls),
            ([Preferred, Preferred], Dtls),
            ([Preferred, Required], Refused),
        ] {
            let setup = Setup { policies, transport, ..USUAL };
            assert_eq!(outcome(setup), (keys, open), "{transport}, {policies:?}");
        }
    }
    for offer in [MediaOffer::SecureFirst, MediaOffer::Dual] {
        let setup = Setup { offer, ..USUAL };
        assert_eq!(outcome(setup), (Sdes, shut), "{offer:?}");
        let setup = Setup { transport: Transport::Udp, ..setup };
        assert_eq!(outcome(setup), (Dtls, open), "{offer:?} by UDP");
        let setup = Setup { transport: tls, mutual: false, ..setup };
        // This callee may not answer SDES keys; a fingerprint stands beside them.
        assert_eq!(outcome(setup).0, Dtls, "{offer:?} without a client's certificate");
    }
}

#[test]
fn a_call_keyed_by_dtls_goes_through_hold_and_resume_with_one_handshake() {
    let setup = Setup { transport: Transport::Udp, ..USUAL };
    let mut pair = Pair::new(setup);
    let id = pair.call(setup);
    let before = pair.report(0).unwrap().1;
    assert_eq!(before.media_out.unwrap().keying, Keying::Dtls { authenticated: false });
    for hold in [true, false] {
        pair.world.command(pair.phones[0], |engine, now| {
            let mut call = engine.call(id).unwrap();
            if hold { call.hold(now).unwrap() } else { call.resume(now).unwrap() }
        });
        pair.world.run_for(Duration::from_secs(2));
    }
    assert!(pair.bob_hears(), "{}", pair.world.ladder());
    let (state, report) = pair.report(0).unwrap();
    assert_eq!(state, CallState::Established);
    assert_eq!((report.auth_failures, report.replays, report.plain_dropped), (0, 0, 0));
    assert!(report.packets_authenticated > 50);
}

/// A scripted callee that answers the first INVITE in its own way.
fn scripted(
    policy: SecurityPolicy,
    offer: MediaOffer,
    script: impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static,
) -> (World, Handle<EngineHost>, Handle<Peer>, CallId) {
    let mut world = World::new(3);
    world.set_default_link(Link::perfect());
    let alice = world.add_phone("alice", |_| {}).unwrap();
    let peer = world.add_host("peer", Peer::new(true, false, script));
    let ip = world.ip(peer);
    world.zone().add_address("peer.test", ip);
    let account = world.command(alice, |engine, now| {
        engine.set_domain_policy(now, "peer.test", policy).unwrap();
        let mut account = AccountConfig::new(Uri::parse("sip:alice@peer.test").unwrap());
        (account.register, account.transport) = (false, Some(Transport::Udp));
        engine.add_account(now, account).unwrap()
    });
    world.run_for(Duration::from_millis(20));
    let id = world.command(alice, |engine, now| {
        let to = Uri::parse("sip:bob@peer.test").unwrap();
        let mut options = CallOptions::default();
        options.media_offer = offer;
        engine.place_call(now, account, &to, options).unwrap()
    });
    world.run_for(Duration::from_secs(2));
    (world, alice, peer, id)
}

fn answer(turn: &mut Turn<'_, '_>, m: &Message, body: &str) {
    let ok = m.response(200, "OK").to_tag("peer");
    let ok = ok.header(HeaderName::Contact, "<sip:bob@peer.test>");
    turn.send(ok.body("application/sdp", body.as_bytes()));
}

const PLAIN: &str = "v=0\r\no=p 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

#[test]
fn secure_first_asks_again_in_the_clear_after_488_415_and_606_and_not_after_others() {
    for (status, again) in [(488, true), (415, true), (606, true), (486, false), (603, false)] {
        let (mut world, alice, peer, id) =
            scripted(Preferred, MediaOffer::SecureFirst, move |turn, m| {
                let secure = String::from_utf8_lossy(m.body()).contains("SAVP");
                match m.method() {
                    Method::Invite if m.is_request() && secure => turn.reply(m, status),
                    Method::Invite if m.is_request() => answer(turn, m, PLAIN),
                    _ => {}
                }
            });
        let state = world.command(alice, |engine, _| engine.call(id).unwrap().state());
        assert_eq!(state == CallState::Established, again, "{status}: {}", world.ladder());
        let invites = world.host(peer).methods().iter().filter(|m| *m == "INVITE").count();
        assert_eq!(invites, if again { 2 } else { 1 });
    }
}

#[test]
fn an_opportunistic_offer_whose_keys_are_ignored_makes_a_plain_call_that_says_so() {
    let (mut world, alice, peer, id) = scripted(Preferred, MediaOffer::Opportunistic, |turn, m| {
        if m.is_request() && *m.method() == Method::Invite {
            answer(turn, m, PLAIN);
        }
    });
    let (_, _, invite) = &world.host(peer).seen[0];
    let offer = String::from_utf8_lossy(invite.body()).into_owned();
    assert!(offer.contains("RTP/AVP ") && offer.contains("a=fingerprint:sha-256"), "{offer}");
    assert!(!offer.contains("a=crypto"), "no keys over signalling in the clear: {offer}");
    let report = world.command(alice, |engine, _| engine.call(id).unwrap().security());
    assert_eq!(report.padlock(), Padlock::None);
    assert_eq!(report.media_out.unwrap().suite, None);
}

#[test]
fn a_refused_opportunistic_offer_is_followed_by_one_that_demands_srtp_and_never_by_a_plain_one() {
    use MediaOffer::{Dual, Opportunistic};
    // Who refuses the first offers for their media may take the last one; who refuses all has the
    // last word.
    for (offer, status, relents, count) in [
        (Opportunistic, 488, false, 2),
        (Opportunistic, 415, false, 2),
        (Opportunistic, 606, false, 2),
        (Opportunistic, 486, false, 1),
        (Opportunistic, 488, true, 2),
        (Dual, 488, true, 3),
    ] {
        let (mut world, alice, peer, id) = scripted(Preferred, offer, move |turn, m| {
            let demands = !String::from_utf8_lossy(m.body()).contains("RTP/AVP ");
            if m.is_request() && *m.method() == Method::Invite {
                turn.reply(m, if relents && demands { 180 } else { status });
            }
        });
        let seen = world.host(peer).seen.iter().filter(|(_, _, m)| *m.method() == Method::Invite);
        let offers: Vec<_> =
            seen.map(|(_, _, m)| String::from_utf8_lossy(m.body()).into_owned()).collect();
        let told = format!("{offer:?} {status}\n{}", world.ladder());
        assert_eq!(offers.len(), count, "{told}");
        let keyed = |sdp: &String| sdp.contains("a=fingerprint:") && !sdp.contains("a=crypto");
        assert!(offers.iter().all(keyed), "{offers:?}");
        let demands = |sdp: &String| sdp.contains("/SAVP ") && !sdp.contains("RTP/AVP ");
        assert_eq!(demands(&offers[count - 1]), count > 1, "{offers:?}");
        let ended = world.host(alice).events().iter().any(|(_, e)| {
            matches!(e, Event::CallEnded { call, reason: EndReason::Refused { status: s, .. } }
                if *call == id && *s == status)
        });
        let state = world.command(alice, |engine, _| engine.call(id).unwrap().state());
        assert_eq!((ended, state == CallState::Ringing), (!relents, relents), "{told}");
    }
}

#[test]
fn a_handshake_with_another_certificate_ends_the_call_and_is_never_replaced_by_plain_rtp() {
    let fingerprint = ["AB"; 32].join(":");
    let body = format!("{PLAIN}a=fingerprint:sha-256 {fingerprint}\r\na=setup:passive\r\n");
    let (mut world, alice, peer, _) =
        scripted(Preferred, MediaOffer::Opportunistic, move |turn, m| {
            if m.is_request() && *m.method() == Method::Invite {
                answer(turn, m, &body);
            }
        });
    // Nobody answers the handshake: it is given up, and the call with it.
    world.run_for(Duration::from_secs(90));
    let end = world.host(alice).events().iter().find_map(|(_, e)| match e {
        Event::CallEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let keying = matches!(end, Some(EndReason::Failed(FailureReason::Keying(_))));
    assert!(keying, "{end:?}\n{}", world.ladder());
    assert!(world.host(peer).methods().contains(&"BYE".to_string()));
}

#[test]
fn media_that_is_srtp_is_not_brought_to_rtp_by_a_re_invite() {
    for policies in [[Preferred, Preferred], [Preferred, Off]] {
        let setup = Setup { policies, ..USUAL };
        let mut pair = Pair::new(setup);
        pair.call(setup);
        assert_eq!(pair.report(0).unwrap().1.padlock(), Padlock::EncryptedToProvider);
        // The callee's domain drops its policy: the call that runs is kept as it is.
        pair.world.command(pair.phones[1], |engine, now| {
            engine.set_domain_policy(now, "bob.test", Off).unwrap();
            let id = engine.call_ids()[0];
            engine.call(id).unwrap().hold(now).unwrap();
        });
        pair.world.run_for(Duration::from_secs(2));
        let (state, report) = pair.report(0).unwrap();
        assert_eq!(
            (state, report.padlock()),
            (CallState::Established, Padlock::EncryptedToProvider)
        );
        assert_eq!(pair.ended(0), None);
    }
}

#[test]
fn new_keys_by_re_invite_change_what_we_send_and_nobody_hears_it() {
    let mut pair = Pair::new(USUAL);
    let id = pair.call(USUAL);
    for _ in 0..3 {
        pair.world.command(pair.phones[0], |engine, now| {
            engine.call(id).unwrap().renew_keys(now).unwrap();
        });
        pair.world.run_for(Duration::from_secs(2));
    }
    assert!(pair.bob_hears(), "{}", pair.world.ladder());
    let (state, report) = pair.report(1).unwrap();
    assert_eq!(state, CallState::Established);
    assert_eq!((report.auth_failures, report.replays, report.plain_dropped), (0, 0, 0));
    assert_eq!(pair.report(0).unwrap().1.padlock(), Padlock::EncryptedToProvider);
    pair.world.command(pair.phones[0], |engine, now| {
        engine.call(id).unwrap().hang_up(now).unwrap();
    });
    pair.world.run_for(Duration::from_secs(1000));
    // Three times another key: the rule against reuse watched every packet.
    pair.world.finish().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_running_plain_call_is_moved_to_srtp_when_the_policy_becomes_stricter_and_that_is_wanted() {
    for wanted in [true, false] {
        let setup = Setup { policies: [Off, Preferred], ..USUAL };
        let mut pair = Pair::with(setup, |config| config.upgrade_running_calls = wanted);
        pair.call(setup);
        assert_eq!(pair.report(0).unwrap().1.media_out.unwrap().suite, None);
        pair.world.command(pair.phones[0], |engine, now| {
            engine.set_domain_policy(now, "alice.test", Required).unwrap();
        });
        pair.world.run_for(Duration::from_secs(3));
        let (state, report) = pair.report(0).unwrap();
        assert_eq!(state, CallState::Established, "running calls are kept");
        assert_eq!(report.media_out.unwrap().suite.is_some(), wanted, "{}", pair.world.ladder());
        assert!(pair.bob_hears());
    }
}
