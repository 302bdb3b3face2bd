//! Responses whose connection is gone (RFC 3261 §18.2.2), and the Contact that names a port where
//! we listen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/hop.rs"]
mod hop;
#[path = "support/lab.rs"]
mod lab;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/tls_pair.rs"]
mod tls_pair;

use std::net::SocketAddr;

use hop::Hop;
use lab::{SDP, their_invite};
use peer::{Peer, Way};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use subrosa::crypto::tls::{TlsClientSettings, TlsIdentity, TlsVersions, TrustAnchors};
use subrosa::engine::{AccountConfig, CallOptions, Event, SecurityPolicy};
use subrosa::sim::{EngineHost, Handle, Link, World};
use subrosa::time::Duration;
use subrosa::wire::sip::{Message, Method, Uri};
use tls_pair::{authority, dns, params};

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

/// Who answers at the address of a caller whose connection is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum There {
    /// The caller, with the certificate that it has shown.
    Caller,
    /// The caller, who has shown none when it called.
    Anonymous,
    /// Somebody with a good certificate for another domain.
    OtherDomain,
    /// Somebody with another key and a good certificate for the caller's domain.
    OtherKey,
}

#[test]
fn a_response_to_a_request_by_tls_goes_by_tls_to_the_same_peer_or_not_at_all() {
    let ca = authority("Lab CA");
    let signed = |name: &str| {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let chain = params(vec![dns(name)]).signed_by(&key, &ca.issuer).unwrap().pem();
        (chain, key.serialize_pem())
    };
    let own = signed("peer.test");
    for (there, arrives) in [
        (There::Caller, true),
        (There::Anonymous, true),
        (There::OtherDomain, false),
        (There::OtherKey, false),
    ] {
        let mut world = World::new(1);
        world.set_default_link(Link::lan());
        let alice = world.add_phone("alice", |config| {
            let (chain, key) =
                (include_bytes!("data/sim/alice.pem"), include_bytes!("data/sim/alice.key.pem"));
            config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
            config.trust = ca.anchors();
            config.listen_tls = Some((config.local_ip, 5061).into());
        });
        let alice = alice.unwrap();
        world.act(alice, |host, _| {
            host.react(|turn, event| {
                if let Event::IncomingCall { call, .. } = *event {
                    turn.after(MS * 1000, move |engine, now| {
                        let _ = engine.call(call).unwrap().accept(now, CallOptions::default());
                    });
                }
            });
        });
        let shown = TlsIdentity::from_pem(own.0.as_bytes(), own.1.as_bytes()).unwrap();
        let shown = (there != There::Anonymous).then_some(shown);
        let trust = TrustAnchors::from_pem(include_bytes!("data/sim/ca.pem")).unwrap();
        let client = TlsClientSettings::new(trust, shown, TlsVersions::default()).unwrap();
        let (chain, key) = match there {
            There::Caller | There::Anonymous => own.clone(),
            There::OtherDomain => signed("evil.test"),
            There::OtherKey => signed("peer.test"),
        };
        let peer = Hop::dialling(client, chain.as_bytes(), key.as_bytes(), |_| vec![]);
        let peer = world.add_host("peer", peer);
        world.run_for(MS * 50);
        let via = "SIP/2.0/TLS peer.test:5061;branch=z9hG4bKi1";
        let invite = their_invite()
            .replace("SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKi1;rport", via)
            .replace('\n', "\r\n");
        let invite = Message::parse(invite.as_bytes()).unwrap();
        let to = (world.ip(alice), 5061).into();
        world.act(peer, |host, net| host.dial(net, to, "alice.test", invite));
        world.run_for(MS * 500);
        let rang = |e: &Event| matches!(e, Event::IncomingCall { .. });
        assert!(world.host(alice).events().iter().any(|(_, e)| rang(e)), "{}", world.ladder());
        let heard = world.host(peer).seen.len();
        world.act(peer, |host, net| host.hang_up(net));
        world.run_for(MS * 3000);
        let host = world.host(peer);
        assert!(host.accepted >= 1, "it was tried: {}", world.ladder());
        let mut late = host.seen.iter().skip(heard).map(|(_, m)| m.status());
        assert_eq!(late.any(|s| s == Some(200)), arrives, "{there:?} {}", world.ladder());
        assert_eq!(host.seen.len() > heard, arrives, "{there:?}: nothing else came either");
        assert_eq!((host.accepted_clear, host.media.len()), (0, 0), "{there:?}");
        let unsendable = world.host(alice).engine().stats().unsendable;
        assert_eq!(unsendable == 0, arrives, "{there:?}: {unsendable}");
        let told = |e: &Event| matches!(e, Event::CertificateRejected { .. });
        let told = world.host(alice).events().iter().any(|(_, e)| told(e));
        assert_eq!(told, there == There::OtherDomain);
    }
}
