//! The media path through two whole engines allocates nothing once the call is up: write_pcm,
//! poll_output, handle_input (timeouts of media too) and read_pcm run under a counting allocator.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/counting.rs"]
mod counting;

use counting::allocations;
use std::net::SocketAddr;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, CallId, CallOptions, CallState, Codec, Config, Engine, Event, Input, Output,
    SecurityPolicy,
};
use subrosa::sip::SocketId;
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::SeededRng;

struct Host {
    engine: Engine,
    sockets: Vec<(SocketId, SocketAddr)>,
    incoming: Option<CallId>,
    deadline: Option<Instant>,
    packets: u64,
}

fn host(seed: u64, port: u16) -> Host {
    let now = UnixTime::from_secs(1_800_000_000);
    let mut config = Config::new(Box::new(SeededRng::new(seed)), now);
    config.local_ip = [127, 0, 0, 1].into();
    config.udp_port = Some(port);
    config.trust = TrustAnchors::none();
    let mut engine = Engine::new(config, Instant::ZERO).unwrap();
    engine.set_domain_policy(Instant::ZERO, "127.0.0.1", SecurityPolicy::Off).unwrap();
    Host { engine, sockets: Vec::new(), incoming: None, deadline: None, packets: 0 }
}

/// Carries out what `me` wants, datagrams straight into `peer`; true if there was any.
fn drain(now: Instant, me: &mut Host, peer: &mut Host) -> bool {
    let mut buf = [0; 2048];
    let mut any = false;
    loop {
        match me.engine.poll_output(&mut buf) {
            Output::Timeout(at) => {
                me.deadline = at;
                return any;
            }
            Output::BindUdp { socket, local } => {
                me.sockets.push((socket, local));
                me.engine.handle_input(now, Input::UdpBound { socket, local }).unwrap();
            }
            Output::Datagram { socket, remote, payload } => {
                any = true;
                me.packets += 1;
                let from = me.sockets.iter().find(|(s, _)| *s == socket).unwrap().1;
                let (to, _) = *peer.sockets.iter().find(|(_, a)| *a == remote).unwrap();
                let len = payload.len();
                let payload = &mut buf[..len];
                let input = Input::Datagram { socket: to, remote: from, payload };
                peer.engine.handle_input(now, input).unwrap();
            }
            Output::Event(Event::IncomingCall { call, .. }) => me.incoming = Some(call),
            Output::Event(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn settle(now: Instant, a: &mut Host, b: &mut Host) {
    while drain(now, a, b) | drain(now, b, a) {}
}

#[test]
fn a_call_through_two_engines_allocates_nothing_per_packet() {
    let (mut a, mut b) = (host(1, 5070), host(2, 5080));
    let mut now = Instant::ZERO;
    settle(now, &mut a, &mut b);
    let mut account = AccountConfig::new("sip:alice@127.0.0.1".parse().unwrap());
    account.register = false;
    // Opus in Rust alone takes its work space from the allocator: no_alloc_opus.rs.
    account.codecs = vec![Codec::G722];
    let alice = a.engine.add_account(now, account).unwrap();
    let to = "sip:bob@127.0.0.1:5080;transport=udp".parse().unwrap();
    let call = a.engine.place_call(now, alice, &to, CallOptions::default()).unwrap();
    settle(now, &mut a, &mut b);
    let answered = b.incoming.unwrap();
    b.engine.call(answered).unwrap().accept(now, CallOptions::default()).unwrap();
    settle(now, &mut a, &mut b);
    assert_eq!(a.engine.call(call).unwrap().state(), CallState::Established);
    let (pcm, mut heard) = ([1000; 320], [0; 320]);
    let (mut after_start, mut media_timeouts) = (0, 0);
    for tick in 0..600 {
        // Transactions of the call setup end within 64 * T1.
        if tick == 100 {
            now += Duration::from_secs(40);
        }
        now += Duration::from_millis(20);
        let before = allocations();
        for host in [&mut a, &mut b] {
            if host.deadline.is_some_and(|d| d <= now) {
                host.engine.handle_input(now, Input::Timeout).unwrap();
                media_timeouts += u64::from(tick >= 150);
            }
        }
        for (host, id) in [(&mut a, call), (&mut b, answered)] {
            host.engine.write_pcm(now, id, &pcm).unwrap();
            host.engine.read_pcm(now, id, &mut heard).unwrap();
        }
        settle(now, &mut a, &mut b);
        if tick >= 150 {
            after_start += allocations() - before;
        }
    }
    assert!(a.packets > 590 && b.packets > 590);
    // By then nothing but media has timers: RTCP, and the watch for silence.
    assert!(media_timeouts > 2, "{media_timeouts}");
    assert_eq!(after_start, 0);
}
