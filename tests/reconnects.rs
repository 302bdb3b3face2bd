//! A direct call over TLS whose connection is lost: the far end's Contact is an address, which no
//! certificate names, so the new connection is verified for the domain that the first one was
//! verified for (RFC 5922 §7.1, RFC 5923 §9).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/hop.rs"]
mod hop;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/provider.rs"]
mod provider;
#[path = "support/scene.rs"]
mod scene;

use hop::Hop;
use pair::{Pair, Setup, USUAL};
use provider::{Provider, is_invite, keyed};
use scene::sent;
use subrosa::engine::{
    CallId, CallState, EndReason, Event, FailureReason, MediaOffer, Padlock, SecurityPolicy,
};
use subrosa::sim::wiretap::Kind;
use subrosa::sim::{Handle, Host, NetEvent};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::HeaderName;

use SecurityPolicy::{Preferred, Required};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

/// A call whose connection was just cut.
fn cut(setup: Setup) -> Pair {
    let mut pair = Pair::new(setup);
    pair.call(setup);
    assert!(pair.bob_hears(), "{}", pair.world.ladder());
    let [alice, bob] = pair.phones;
    pair.world.break_connections(alice, bob);
    pair.world.run_for(Duration::from_secs(1));
    for side in [0, 1] {
        let (state, report) = pair.report(side).unwrap();
        assert_eq!(state, CallState::Established);
        assert!(!report.signalling.unwrap().connected);
    }
    pair
}

fn id(pair: &mut Pair, side: usize) -> CallId {
    pair.world.command(pair.phones[side], |engine, _| engine.call_ids().last().copied().unwrap())
}

fn hold(pair: &mut Pair, side: usize, hold: bool) {
    let call = id(pair, side);
    pair.world.command(pair.phones[side], |engine, now| {
        let mut call = engine.call(call).unwrap();
        if hold { call.hold(now).unwrap() } else { call.resume(now).unwrap() }
    });
    pair.world.run_for(Duration::from_secs(2));
}

fn holds(pair: &mut Pair, side: usize) -> (bool, bool) {
    let call = id(pair, side);
    pair.world.command(pair.phones[side], |engine, _| engine.call(call).unwrap().holds())
}

fn rejected(pair: &Pair, side: usize) -> Vec<(String, String)> {
    let events = pair.world.host(pair.phones[side]).events().iter();
    let found = events.filter_map(|(_, e)| match e {
        Event::CertificateRejected { domain, problem } => Some((domain.clone(), problem.clone())),
        _ => None,
    });
    found.collect()
}

#[test]
fn either_end_holds_and_resumes_a_call_whose_connection_was_cut() {
    for policy in [Preferred, Required] {
        let setup = Setup { policies: [policy; 2], ..USUAL };
        for side in [0, 1] {
            let mut pair = cut(setup);
            for phone in pair.phones {
                if policy == Required {
                    pair.world.require_security(phone);
                }
            }
            for on in [true, false] {
                hold(&mut pair, side, on);
                assert_eq!(holds(&mut pair, side), (on, false), "{}", pair.world.ladder());
                assert_eq!(holds(&mut pair, 1 - side), (false, on));
            }
            for end in [0, 1] {
                let (state, report) = pair.report(end).unwrap();
                assert_eq!(state, CallState::Established);
                let leg = report.signalling.clone().unwrap();
                assert!(leg.connected && leg.is_verified() && leg.transport == Transport::Tls);
                assert_eq!(report.padlock(), Padlock::EncryptedToProvider);
                assert!(rejected(&pair, end).is_empty());
            }
            // The one who opened it has seen the domain in the certificate, not the address.
            let (_, report) = pair.report(side).unwrap();
            let peer = report.signalling.unwrap().tls.unwrap().peer.unwrap();
            let domain = ["sip:bob.test", "sip:alice.test"][side];
            assert_eq!(peer.matched.map(|m| m.presented), Some(domain.to_string()));
            assert!(pair.bob_hears());
            pair.world.check().unwrap_or_else(|failure| panic!("{failure}"));
        }
    }
}

#[test]
fn whoever_has_another_domains_certificate_at_that_address_gets_nothing() {
    for policy in [Preferred, Required] {
        let mut pair = cut(Setup { policies: [policy; 2], ..USUAL });
        let ip = pair.world.ip(pair.phones[1]);
        let elsewhere = "10.0.0.99".parse().unwrap();
        pair.world.move_host(pair.phones[1], elsewhere);
        let thief = Hop::new(pem!("alice"), pem!("alice.key"), |_| vec![]);
        let thief: Handle<Hop> = pair.world.add_host_at("thief", ip, thief);
        hold(&mut pair, 0, true);
        let host = pair.world.host(thief);
        assert!(host.accepted >= 1, "{}", pair.world.ladder());
        assert_eq!((host.seen.len(), host.accepted_clear), (0, 0));
        let told = ("bob.test".to_string(), "the certificate is not for bob.test".to_string());
        // The re-INVITE, and the BYE after it.
        assert_eq!(rejected(&pair, 0), [told.clone(), told]);
        pair.world.run_for(Duration::from_secs(60));
        let call = id(&mut pair, 0);
        let end =
            pair.world.command(pair.phones[0], |engine, _| engine.call(call).unwrap().end_reason());
        let why = EndReason::Failed(FailureReason::Certificate(
            "the certificate is not for bob.test".to_string(),
        ));
        assert_eq!(end, Some(why), "{}", pair.world.ladder());
        let host = pair.world.host(thief);
        assert_eq!((host.seen.len(), host.accepted_clear), (0, 0), "not even the BYE");
    }
}

/// Nobody is there any more.
#[derive(Debug)]
struct Nobody;

impl Host for Nobody {
    fn handle(&mut self, _: &mut subrosa::sim::Net<'_>, _: NetEvent<'_>) {}
}

#[test]
fn a_call_that_finds_nobody_ends_and_never_in_the_clear() {
    let mut pair = cut(USUAL);
    let ip = pair.world.ip(pair.phones[1]);
    pair.world.move_host(pair.phones[1], "10.0.0.99".parse().unwrap());
    pair.world.add_host_at("nobody", ip, Nobody);
    hold(&mut pair, 0, true);
    pair.world.run_for(Duration::from_secs(60));
    let call = id(&mut pair, 0);
    let end =
        pair.world.command(pair.phones[0], |engine, _| engine.call(call).unwrap().end_reason());
    assert_eq!(end, Some(EndReason::Failed(FailureReason::Unreachable)));
}

#[test]
fn a_contact_that_names_no_transport_leads_to_tls_again_and_to_nothing_else() {
    for policy in [Preferred, Required] {
        let change = |account: &mut subrosa::engine::AccountConfig| account.transport = None;
        let mut run = Provider::with(policy, change, |m, ip| match is_invite(m) {
            true => {
                let tag = m.to().tag().unwrap_or("carol");
                let answer = m.response(200, "OK").to_tag(tag);
                let answer = answer.header(HeaderName::Contact, format!("<sip:carol@{ip}>"));
                vec![answer.body("application/sdp", keyed(m, ip, 4000).as_bytes())]
            }
            false => vec![],
        });
        let id = run.call(MediaOffer::Opportunistic);
        run.world.break_connections(run.alice, run.hop);
        run.world.run_for(Duration::from_secs(1));
        let hold = |run: &mut Provider| {
            run.world.command(run.alice, |engine, now| {
                engine.call(id).unwrap().hold(now).unwrap();
            });
            run.world.run_for(Duration::from_secs(2));
        };
        hold(&mut run);
        assert_eq!(run.world.host(run.hop).heard("INVITE").len(), 2, "{}", run.world.ladder());
        assert_eq!(run.world.host(run.hop).accepted, 2);
        assert_eq!(run.state(id).0, CallState::Established);
        // TLS is not to be had any more: the call ends, and nothing is said in the clear.
        run.world.break_connections(run.alice, run.hop);
        run.world.act(run.hop, |_, net| net.stop_listening(5061));
        run.world.run_for(Duration::from_secs(1));
        run.world.command(run.alice, |engine, now| {
            engine.call(id).unwrap().resume(now).unwrap();
        });
        run.world.run_for(Duration::from_secs(40));
        assert_eq!(run.state(id).0, CallState::Ended);
        assert_eq!(sent(&run.sent, run.alice, &[Kind::Sip]), 0);
        assert_eq!(run.world.host(run.hop).accepted_clear, 0);
    }
}
