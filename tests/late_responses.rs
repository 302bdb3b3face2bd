//! Responses whose connection is gone (RFC 3261 §18.2.2), and the Contact that names a port where
//! we listen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/peer.rs"]
mod peer;

use std::net::SocketAddr;

use lab::{SDP, their_invite};
use peer::{Peer, Way};
use subrosa::engine::{AccountConfig, CallOptions, Event, SecurityPolicy};
use subrosa::sim::{EngineHost, Handle, Link, World};
use subrosa::time::Duration;
use subrosa::wire::sip::{Method, Uri};

const MS: Duration = Duration::from_millis(1);

/// A phone that listens on TCP at 5070 and answers after a second; a peer that takes calls by TCP.
fn world() -> (World, Handle<EngineHost>, Handle<Peer>) {
    let mut world = World::new(1);
    world.set_default_link(Link::lan());
    let alice = world.add_phone("alice", |config| {
        config.listen_tcp = Some((config.local_ip, 5070).into());
    });
    let alice = alice.unwrap();
    let peer = world.add_host(
        "peer",
        Peer::new(true, true, |turn, m| {
            if m.is_request() && *m.method() == Method::Invite {
                turn.send(lab::ok(m, "peer", SDP));
            }
        }),
    );
    let ip = world.ip(peer);
    world.zone().add_address("peer.test", ip);
    world.act(alice, |host, _| {
        host.react(|turn, event| {
            if let Event::IncomingCall { call, .. } = *event {
                turn.after(MS * 1000, move |engine, now| {
                    let _ = engine.call(call).unwrap().accept(now, CallOptions::default());
                });
            }
        });
    });
    world.command(alice, |engine, now| {
        engine.set_domain_policy(now, "peer.test", SecurityPolicy::Off).unwrap();
    });
    world.run_for(MS * 50);
    (world, alice, peer)
}

#[test]
fn a_response_whose_connection_is_gone_comes_over_a_new_one_to_the_port_of_sent_by() {
    let (mut world, alice, peer) = world();
    let to: SocketAddr = (world.ip(alice), 5070).into();
    let sent_by = SocketAddr::new(world.ip(peer), 5060);
    let via = format!("SIP/2.0/TCP {sent_by};branch=z9hG4bKi1");
    let invite = their_invite()
        .replace("SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKi1;rport", &via)
        .replace('\n', "\r\n");
    let connection = world.act(peer, |_, net| net.connect(to));
    world.run_for(MS * 50);
    world.act(peer, |_, net| net.write(connection, invite.as_bytes()));
    world.run_for(MS * 500);
    world.act(peer, |_, net| net.close(connection));
    world.run_for(MS * 2000);
    let seen = &world.host(peer).seen;
    let answer = seen.iter().find(|(_, _, m)| m.status() == Some(200));
    let (_, way, answer) = answer.unwrap_or_else(|| panic!("{}", world.ladder()));
    assert!(matches!(way, Way::Tcp(other) if *other != connection), "{way:?}");
    assert_eq!(answer.top_via().unwrap().sent_by(), sent_by.to_string());
    // A connection for a response alone does not stay for ever.
    let before = world.host(peer).closed;
    world.run_for(MS * 120_000);
    assert_eq!(world.host(peer).closed, before + 1, "{}", world.ladder());
}

#[test]
fn the_contact_of_a_connection_names_the_port_where_we_listen() {
    let (mut world, alice, peer) = world();
    world.command(alice, |engine, now| {
        let mut account = AccountConfig::new(Uri::parse("sip:alice@peer.test").unwrap());
        account.register = false;
        let account = engine.add_account(now, account).unwrap();
        let to = Uri::parse("sip:bob@peer.test;transport=tcp").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap();
    });
    world.run_for(MS * 1000);
    let (_, _, invite) = world.host(peer).seen.iter().find(|(_, _, m)| m.is_request()).unwrap();
    let contact = invite.contacts().next().unwrap();
    assert_eq!(contact.uri().port(), Some(5070), "{}", contact.uri().as_str());
}
