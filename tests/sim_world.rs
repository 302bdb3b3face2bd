//! The simulated network itself: paths, streams, cuts, rules, reproduction.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::net::SocketAddr;

use subrosa::sim::{Claim, ConnectionId, Fact, Host, Link, Loss, Net, NetEvent, Record, World};
use subrosa::time::Duration;

/// A host that keeps what it is told, and echoes on request.
#[derive(Default)]
struct Peer {
    echo: bool,
    datagrams: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    open: Vec<ConnectionId>,
    closed: usize,
}

impl Host for Peer {
    fn start(&mut self, net: &mut Net<'_>) {
        net.bind_udp(5060).unwrap();
        net.listen(5060).unwrap();
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        match event {
            NetEvent::Datagram { local, remote, payload } => {
                self.datagrams.push(payload.to_vec());
                if self.echo {
                    net.send(local.port(), remote, payload);
                }
            }
            NetEvent::Accepted { connection, .. } | NetEvent::Connected { connection, .. } => {
                self.open.push(connection);
            }
            NetEvent::Data { connection, data } => {
                self.bytes.extend_from_slice(data);
                if self.echo {
                    net.write(connection, data);
                }
            }
            NetEvent::Closed { .. } => self.closed += 1,
            _ => {}
        }
    }
}

fn pair(seed: u64, link: Link) -> (World, subrosa::sim::Handle<Peer>, subrosa::sim::Handle<Peer>) {
    let mut world = World::new(seed);
    world.set_default_link(link);
    let a = world.add_host("alice", Peer::default());
    let b = world.add_host("bob", Peer { echo: true, ..Peer::default() });
    (world, a, b)
}

fn hostile_link() -> Link {
    let mut link = Link::impaired(5);
    link.loss = Loss::Random(0.1);
    link.duplicate = 0.1;
    link.reorder = 0.1;
    link.reorder_by = Duration::from_millis(60);
    link
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn streams_stay_whole_and_in_order_whatever_the_link_does() {
    let (mut world, a, b) = pair(3, hostile_link());
    let to = SocketAddr::new(world.ip(b), 5060);
    world.act(a, |_, net| net.connect(to));
    assert!(world.run_while(SECOND * 5, |world| world.host(a).open.is_empty()));
    let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
    for chunk in text.chunks(997) {
        world.act(a, |peer, net| net.write(peer.open[0], chunk));
        world.run_for(Duration::from_millis(5));
    }
    world.run_for(SECOND * 60);
    assert_eq!(world.host(b).bytes, text);
    assert_eq!(world.host(a).bytes, text, "the echo");
    world.act(a, |peer, net| net.close(peer.open[0]));
    world.run_for(SECOND * 5);
    assert_eq!(world.host(b).closed, 1);
    assert_eq!(world.act(b, |_, net| net.holdings()), (1, 0));
    world.finish().unwrap();
}

#[test]
fn nobody_listening_refuses_and_nobody_there_times_out() {
    let (mut world, a, b) = pair(3, Link::lan());
    let refused = SocketAddr::new(world.ip(b), 9);
    world.act(a, |_, net| net.connect(refused));
    world.run_for(SECOND);
    assert_eq!(world.host(a).closed, 1);
    let nobody: SocketAddr = "10.9.9.9:5060".parse().unwrap();
    world.act(a, |_, net| net.connect(nobody));
    world.run_for(SECOND);
    assert_eq!(world.host(a).closed, 1);
    world.run_for(SECOND * 30);
    assert_eq!(world.host(a).closed, 2);
}

#[test]
fn a_cut_loses_datagrams_and_stalls_streams() {
    let (mut world, a, b) = pair(3, Link::lan());
    let to = SocketAddr::new(world.ip(b), 5060);
    world.act(a, |_, net| net.connect(to));
    world.run_for(SECOND);
    world.cut(a, b);
    world.act(a, |peer, net| {
        net.send(5060, to, b"lost");
        net.write(peer.open[0], b"late");
    });
    world.run_for(SECOND * 30);
    assert!(world.host(b).datagrams.is_empty() && world.host(b).bytes.is_empty());
    world.mend(a, b);
    world.run_for(SECOND);
    assert!(world.host(b).datagrams.is_empty());
    assert_eq!(world.host(b).bytes, b"late");

    world.cut(a, b);
    world.act(a, |peer, net| net.write(peer.open[0], b"never"));
    world.run_for(SECOND * 61);
    assert_eq!(world.host(a).closed, 1, "a connection that stalls for a minute breaks");
}

#[test]
fn connections_can_be_broken_at_once() {
    let (mut world, a, b) = pair(3, Link::lan());
    let to = SocketAddr::new(world.ip(b), 5060);
    world.act(a, |_, net| net.connect(to));
    world.run_for(SECOND);
    world.break_connections(a, b);
    world.run_for(SECOND);
    assert_eq!((world.host(a).closed, world.host(b).closed), (1, 1));
}

fn traffic(seed: u64) -> World {
    let (mut world, a, b) = pair(seed, hostile_link());
    let to = SocketAddr::new(world.ip(b), 5060);
    world.act(a, |_, net| net.connect(to));
    for i in 0..100_u8 {
        world.act(a, |peer, net| {
            net.send(5060, to, &[i; 40]);
            if let Some(open) = peer.open.first() {
                net.write(*open, &[i; 2000]);
            }
        });
        world.run_for(Duration::from_millis(20));
    }
    world.run_for(SECOND * 60);
    world
}

#[test]
fn one_seed_one_run_bit_for_bit() {
    let (one, again, other) = (traffic(7), traffic(7), traffic(8));
    assert_eq!(one.digest(), again.digest());
    assert_eq!(one.ladder(), again.ladder());
    assert_ne!(one.digest(), other.digest());
    let lost = |r: &Record| matches!(r, Record::Datagram { fate: subrosa::sim::Fate::Lost, .. });
    assert!(one.trace().entries().iter().any(|entry| lost(&entry.record)));
}

/// An RTP packet with 20 ms of G.711 and, if any, a tag.
fn rtp(sequence: u16, tag: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend((0..160 + tag).map(|i| (i as u8) ^ sequence.to_be_bytes()[i % 2]));
    packet
}

/// What a rule says when a host does this.
fn broken_by(act: impl FnOnce(&mut Net<'_>, SocketAddr)) -> subrosa::sim::Failure {
    let (mut world, a, b) = pair(77, Link::lan());
    let to = SocketAddr::new(world.ip(b), 5060);
    world.act(a, |_, net| act(net, to));
    world.run_for(SECOND);
    world.finish().expect_err("no rule noticed")
}

#[test]
fn broken_rules_are_caught_and_shown_with_seed_and_ladder() {
    let failure = broken_by(|net, to| {
        let host = net.host();
        net.report(Fact::Required { host, on: true });
        net.send(5060, to, b"OPTIONS sip:bob@example.com SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n");
        net.send(5060, to, &rtp(1, 10));
        net.send(5060, to, &rtp(2, 0));
        net.send(5060, to, &[0x80, 201, 0, 1, 1, 2, 3, 4]);
    });
    let text = failure.to_string();
    assert!(text.starts_with("seed 77 breaks"), "{text}");
    for part in ["sent SIP to", "sent RTP to", "sent RTCP to", "alice", "OPTIONS (1 OPTIONS)"] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert_eq!(failure.violations.len(), 3, "{text}");
}

#[test]
fn each_invariant_catches_what_it_is_for() {
    let claim = Claim { signalling: true, voice: true };
    let rule = |f: subrosa::sim::Failure| f.violations[0].rule;

    let lie = broken_by(|net, to| {
        let host = net.host();
        net.report(Fact::CallNews { host, call: 1, claim });
        net.send(5060, to, &rtp(1, 0));
    });
    assert!(rule(lie).contains("padlock"));

    let forever = broken_by(|net, _| {
        let host = net.host();
        net.report(Fact::CallNews { host, call: 1, claim });
    });
    assert!(rule(forever).contains("exactly once"));

    let twice = broken_by(|net, _| {
        let host = net.host();
        net.report(Fact::CallEnded { host, call: 1 });
        net.report(Fact::CallEnded { host, call: 1 });
    });
    assert!(rule(twice).contains("exactly once"));

    let reuse = broken_by(|net, to| {
        net.send(5060, to, &rtp(5, 10));
        net.send(5060, to, &rtp(5, 16));
    });
    assert!(rule(reuse).contains("key"));

    let spin = broken_by(|net, _| {
        let host = net.host();
        net.report(Fact::Turn { host, outputs: 1_000_000 });
    });
    assert!(rule(spin).contains("zero delay"));

    let leak = broken_by(|net, _| {
        let host = net.host();
        net.report(Fact::Leftovers { host, udp: 2, tcp: 0, calls: 0 });
    });
    assert!(rule(leak).contains("memory"));
}

#[test]
fn sequence_numbers_may_wrap() {
    let (mut world, a, b) = pair(1, Link::lan());
    let to = SocketAddr::new(world.ip(b), 5060);
    world.act(b, |peer, _| peer.echo = false);
    world.act(a, |_, net| {
        for i in 0..40_u16 {
            net.send(5060, to, &rtp(65_520_u16.wrapping_add(i), 10));
        }
    });
    world.run_for(SECOND);
    world.finish().unwrap();
}
