//! What becomes of requests whose way is blocked: the next server, TCP instead of UDP, a new
//! connection, and keep-alives that find out (RFC 3263 §4.3, RFC 3261 §18.1.1, RFC 5626).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/peer.rs"]
mod peer;

use peer::{Peer, Turn, Way};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, Codec, EndReason, Event, FailureReason,
    SecurityPolicy,
};
use subrosa::sim::{EngineHost, Handle, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::{HeaderName, Message, Method, Uri};

const SDP: &str = "v=0\r\no=p 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// Answers calls, registrations and everything else.
fn willing(turn: &mut Turn<'_, '_>, message: &Message) {
    if !message.is_request() {
        return;
    }
    let ok = message.response(200, "OK").to_tag("peer");
    match message.method() {
        Method::Ack => {}
        Method::Invite => turn.send(
            ok.header(HeaderName::Contact, "<sip:peer@10.9.9.9>")
                .header(HeaderName::RecordRoute, "<sip:peer.test;lr>")
                .body("application/sdp", SDP.as_bytes()),
        ),
        Method::Register => {
            let contact = message.headers(HeaderName::Contact).next().unwrap_or("").to_string();
            turn.send(ok.header(HeaderName::Contact, contact).header(HeaderName::Expires, 600));
        }
        _ => turn.send(ok),
    }
}

fn refusing(status: u16) -> impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static {
    move |turn, message| {
        if message.is_request() && *message.method() != Method::Ack {
            turn.reply(message, status);
        }
    }
}

fn phone(world: &mut World) -> Handle<EngineHost> {
    world.add_phone("alice", |_| {}).unwrap()
}

fn account(
    world: &mut World,
    phone: Handle<EngineHost>,
    change: impl FnOnce(&mut AccountConfig),
) -> AccountId {
    let id = world.command(phone, |engine, now| {
        engine.set_domain_policy(now, "peer.test", SecurityPolicy::Off).unwrap();
        let mut account = AccountConfig::new(Uri::parse("sip:alice@peer.test").unwrap());
        account.register = false;
        change(&mut account);
        engine.add_account(now, account).unwrap()
    });
    world.run_for(Duration::from_millis(100));
    id
}

fn call(world: &mut World, phone: Handle<EngineHost>, account: AccountId) -> CallId {
    world.command(phone, |engine, now| {
        let to = Uri::parse("sip:bob@peer.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap()
    })
}

fn events(world: &World, phone: Handle<EngineHost>) -> Vec<Event> {
    world.host(phone).events().iter().map(|(_, e)| e.clone()).collect()
}

fn established(world: &World, phone: Handle<EngineHost>) -> bool {
    events(world, phone).iter().any(|e| matches!(e, Event::CallEstablished { .. }))
}

fn ended(world: &World, phone: Handle<EngineHost>) -> Option<EndReason> {
    events(world, phone).into_iter().find_map(|e| match e {
        Event::CallEnded { reason, .. } => Some(reason),
        _ => None,
    })
}

/// Servers of peer.test by UDP, the first one preferred.
fn servers(world: &mut World, peers: &[Handle<Peer>], service: &str) {
    for (priority, peer) in (1_u16..).zip(peers) {
        let name = format!("s{priority}.peer.test");
        let ip = world.ip(*peer);
        world.zone().add_address(&name, ip);
        world.zone().add_srv(&format!("{service}.peer.test"), priority, 5060, &name);
    }
}

#[test]
fn a_server_that_answers_503_or_nothing_makes_way_for_the_next() {
    for silent in [false, true] {
        let mut world = World::new(1);
        let alice = phone(&mut world);
        let first = match silent {
            false => Peer::new(true, false, refusing(503)),
            true => Peer::new(true, false, |_, _| {}),
        };
        let first = world.add_host("first", first);
        let second = world.add_host("second", Peer::new(true, false, willing));
        servers(&mut world, &[first, second], "_sip._udp");
        let account = account(&mut world, alice, |_| {});
        call(&mut world, alice, account);
        world.run_for(Duration::from_secs(40));
        assert!(established(&world, alice), "{}", world.ladder());
        let invite = |peer: Handle<Peer>| {
            let seen = &world.host(peer).seen;
            seen.iter().find(|(_, _, m)| *m.method() == Method::Invite).unwrap().2.clone()
        };
        let (a, b) = (invite(first), invite(second));
        assert_eq!((a.call_id(), a.from().tag()), (b.call_id(), b.from().tag()));
        assert_eq!(b.cseq().number, a.cseq().number + 1);
        let branch = |m: &Message| m.vias().next().unwrap().branch().unwrap().to_string();
        assert_ne!(branch(&a), branch(&b));
    }
}

#[test]
fn when_every_server_refuses_the_call_ends_with_the_last_refusal_and_a_busy_phone_ends_it_at_once()
{
    let mut world = World::new(2);
    let alice = phone(&mut world);
    let peers = [503, 503].map(|s| world.add_host("peer", Peer::new(true, false, refusing(s))));
    servers(&mut world, &peers, "_sip._udp");
    let account = account(&mut world, alice, |_| {});
    call(&mut world, alice, account);
    world.run_for(Duration::from_secs(5));
    assert!(matches!(ended(&world, alice), Some(EndReason::Refused { status: 503, .. })));
    assert!(peers.iter().all(|p| world.host(*p).methods().contains(&"INVITE".to_string())));

    let mut world = World::new(3);
    let alice = phone(&mut world);
    let busy = world.add_host("busy", Peer::new(true, false, refusing(486)));
    let other = world.add_host("other", Peer::new(true, false, willing));
    servers(&mut world, &[busy, other], "_sip._udp");
    let account = self::account(&mut world, alice, |_| {});
    call(&mut world, alice, account);
    world.run_for(Duration::from_secs(5));
    assert!(matches!(ended(&world, alice), Some(EndReason::Refused { status: 486, .. })));
    assert!(world.host(other).seen.is_empty());
}

#[test]
fn a_registrar_that_fails_makes_way_for_the_next() {
    for status in [Some(503), None] {
        let mut world = World::new(4);
        let alice = phone(&mut world);
        let first = match status {
            Some(status) => Peer::new(true, false, refusing(status)),
            None => Peer::new(true, false, |_, _| {}),
        };
        let first = world.add_host("first", first);
        let second = world.add_host("second", Peer::new(true, false, willing));
        servers(&mut world, &[first, second], "_sip._udp");
        account(&mut world, alice, |a| a.register = true);
        world.run_for(Duration::from_secs(40));
        let registered = |e: &Event| matches!(e, Event::Registered { .. });
        assert!(events(&world, alice).iter().any(registered), "{}", world.ladder());
        let failed = |e: &Event| matches!(e, Event::RegistrationFailed { .. });
        assert!(!events(&world, alice).iter().any(failed));
        assert!(!world.host(first).seen.is_empty());
    }
}

/// An account whose INVITE is longer than a datagram may be.
fn long_winded(account: &mut AccountConfig) {
    account.transport = Some(Transport::Udp);
    account.display_name = "A. ".repeat(400);
    account.codecs = Codec::ALL.to_vec();
}

#[test]
fn a_request_beyond_1300_bytes_goes_by_tcp_and_by_udp_only_where_there_is_no_tcp() {
    for tcp in [true, false] {
        let mut world = World::new(5);
        let alice = phone(&mut world);
        let peer = world.add_host("peer", Peer::new(true, tcp, willing));
        servers(&mut world, &[peer], "_sip._udp");
        let account = account(&mut world, alice, long_winded);
        let id = call(&mut world, alice, account);
        world.run_for(Duration::from_secs(12));
        assert!(established(&world, alice), "{}", world.ladder());
        let seen = &world.host(peer).seen;
        let (_, way, invite) = seen.iter().find(|(_, _, m)| m.is_request()).unwrap();
        assert!(invite.as_bytes().len() > 1300);
        assert_eq!(matches!(way, Way::Tcp(_)), tcp);
        let via = invite.vias().next().unwrap();
        assert_eq!(via.transport().eq_ignore_ascii_case("TCP"), tcp);
        world.command(alice, |engine, now| engine.call(id).unwrap().hang_up(now).unwrap());
        world.run_for(Duration::from_secs(5));
        assert_eq!(ended(&world, alice), Some(EndReason::LocalHangUp));
    }
}

#[test]
fn a_connection_that_breaks_during_a_call_is_replaced_when_there_is_something_to_say() {
    let mut world = World::new(6);
    let alice = phone(&mut world);
    let peer = world.add_host("peer", Peer::new(false, true, willing));
    servers(&mut world, &[peer], "_sip._tcp");
    let account = account(&mut world, alice, |_| {});
    let id = call(&mut world, alice, account);
    world.run_for(Duration::from_secs(2));
    assert!(established(&world, alice), "{}", world.ladder());
    world.break_connections(alice, peer);
    world.run_for(Duration::from_secs(2));
    assert_eq!(ended(&world, alice), None, "a call outlives its connection");
    world.command(alice, |engine, now| engine.call(id).unwrap().hang_up(now).unwrap());
    world.run_for(Duration::from_secs(5));
    assert_eq!(ended(&world, alice), Some(EndReason::LocalHangUp));
    let host = world.host(peer);
    let (_, way, _) = host.seen.iter().find(|(_, _, m)| *m.method() == Method::Bye).unwrap();
    let (_, before, _) = host.seen.iter().find(|(_, _, m)| *m.method() == Method::Invite).unwrap();
    assert_ne!(way, before, "{}", world.ladder());
}

#[test]
fn a_call_whose_way_is_gone_for_good_ends_all_the_same() {
    let mut world = World::new(7);
    let alice = phone(&mut world);
    let peer = world.add_host("peer", Peer::new(false, true, willing));
    servers(&mut world, &[peer], "_sip._tcp");
    let account = account(&mut world, alice, |_| {});
    let id = call(&mut world, alice, account);
    world.run_for(Duration::from_secs(2));
    world.break_connections(alice, peer);
    world.cut(alice, peer);
    world.command(alice, |engine, now| engine.call(id).unwrap().hang_up(now).unwrap());
    world.run_for(Duration::from_secs(60));
    assert_eq!(ended(&world, alice), Some(EndReason::LocalHangUp));
}

#[test]
fn a_server_that_never_answers_pings_keeps_its_flow_and_one_that_stops_answering_loses_it() {
    let keep_alive = |a: &mut AccountConfig| {
        (a.register, a.keep_alive) = (true, Duration::from_secs(20));
    };
    let mut world = World::new(8);
    let alice = phone(&mut world);
    let mute = world.add_host("mute", Peer::new(false, true, willing).without_pongs());
    servers(&mut world, &[mute], "_sip._tcp");
    account(&mut world, alice, keep_alive);
    world.run_for(Duration::from_secs(300));
    let host = world.host(mute);
    assert!(host.pings >= 10 && host.closed == 0, "{} pings", host.pings);

    world.act(mute, |peer, _| peer.pongs = true);
    world.run_for(Duration::from_secs(40));
    world.act(mute, |peer, _| peer.pongs = false);
    let before = world.host(mute).seen.len();
    world.run_for(Duration::from_secs(60));
    let host = world.host(mute);
    assert!(host.closed >= 1, "a server that answered before and stops is dead");
    assert!(host.seen.len() > before, "and the account registers over a new flow");
}

#[test]
fn a_server_that_agreed_to_answer_pings_and_does_not_is_dead() {
    for by_header in [true, false] {
        let mut world = World::new(9);
        let alice = phone(&mut world);
        let script = move |turn: &mut Turn<'_, '_>, message: &Message| {
            let contact = message.headers(HeaderName::Contact).next().unwrap_or("").to_string();
            let via = message.headers(HeaderName::Via).next().unwrap().to_string();
            assert!(via.contains(";keep"), "{via}");
            let ok = message.response(200, "OK").to_tag("peer");
            let ok = ok.header(HeaderName::Contact, contact).header(HeaderName::Expires, 600);
            turn.send(match by_header {
                true => ok.header_named("Flow-Timer", "20"),
                false => ok.replace(HeaderName::Via, via.replace(";keep", ";keep=20")),
            });
        };
        let deaf = world.add_host("deaf", Peer::new(false, true, script).without_pongs());
        servers(&mut world, &[deaf], "_sip._tcp");
        account(&mut world, alice, |a| a.register = true);
        world.run_for(Duration::from_secs(40));
        let host = world.host(deaf);
        assert!(host.pings >= 1 && host.closed >= 1, "{} pings", host.pings);
    }
}

#[test]
fn a_server_that_takes_connections_and_drops_them_is_asked_ever_more_rarely() {
    let mut world = World::new(10);
    let alice = phone(&mut world);
    let rude = world.add_host(
        "rude",
        Peer::new(false, true, |turn, _| {
            if let Way::Tcp(connection) = turn.way {
                turn.net.close(connection);
            }
        }),
    );
    servers(&mut world, &[rude], "_sip._tcp");
    account(&mut world, alice, |a| a.register = true);
    world.run_for(Duration::from_secs(600));
    let tries = world.host(rude).seen.len();
    assert!((8..=40).contains(&tries), "{tries} tries in ten minutes");
    let failures = events(&world, alice);
    let told = |e: &&Event| {
        matches!(
            e,
            Event::RegistrationFailed {
                reason: FailureReason::Unreachable | FailureReason::ConnectionLost,
                ..
            }
        )
    };
    assert!(failures.iter().filter(told).count() >= 1, "{failures:?}");
}

/// How long the phone waits after each attempt to reach a registrar that is not there, for an
/// hour, and after the one that follows a success.
fn waits(seed: u64) -> (Vec<u64>, u64) {
    let mut world = World::new(seed);
    let alice = phone(&mut world);
    let away = world.add_host("away", Peer::new(false, false, willing));
    servers(&mut world, &[away], "_sip._tcp");
    account(&mut world, alice, |a| a.register = true);
    let told = |world: &World| -> Vec<u64> {
        let waits = events(world, alice).into_iter().filter_map(|e| match e {
            Event::RegistrationFailed { retry_in, .. } => {
                Some(retry_in.unwrap().as_millis() as u64)
            }
            _ => None,
        });
        waits.collect()
    };
    world.run_for(Duration::from_secs(3_600));
    let before = told(&world);
    world.act(away, |_, net| net.listen(5060).unwrap());
    world.run_for(Duration::from_secs(90));
    assert!(events(&world, alice).iter().any(|e| matches!(e, Event::Registered { .. })));
    let registers = world.host(away).seen.len();
    world.break_connections(alice, away);
    let broken = world.now();
    world.run_for(Duration::from_secs(90));
    let (again, ..) = world.host(away).seen[registers];
    (before, again.duration_since(broken).as_millis() as u64)
}

#[test]
fn a_registrar_that_is_away_is_asked_ever_more_rarely_and_once_a_minute_at_least() {
    let (waits, after_success) = self::waits(11);
    // Of 1, 2, 4 .. 60 seconds, half to all by chance.
    for (wait, longest) in waits.iter().zip([1, 2, 4, 8, 16, 32].into_iter().chain([60; 200])) {
        assert!((longest * 500..=longest * 1000).contains(wait), "{waits:?}");
    }
    assert!((60..=130).contains(&waits.len()), "{waits:?}");
    let late = &waits[7..];
    assert!(late.iter().any(|w| *w != late[0]), "phones would come all at once: {waits:?}");
    assert!(after_success < 2_000, "after a success it begins anew: {after_success} ms");
    assert_eq!(self::waits(11), (waits.clone(), after_success), "the same seed, the same waits");
    assert_ne!(self::waits(12).0, waits, "another phone, other waits");
}
