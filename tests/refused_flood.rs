//! Ten thousand calls that the policy refuses: each is counted, what waits to be told is bounded,
//! and nothing else is displaced by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::net::SocketAddr;

use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{AccountConfig, Config, Engine, Event, Input, Output, SecurityPolicy};
use subrosa::sip::SocketId;
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::SeededRng;
use subrosa::wire::sip::Uri;

const CALLS: u64 = 10_000;
const MS: Duration = Duration::from_millis(1);

struct Phone {
    engine: Engine,
    socket: SocketId,
    now: Instant,
    events: Vec<Event>,
}

/// A phone with an account that demands encryption, `alice`, and one without any policy, `bob`.
fn phone() -> Phone {
    let mut config = Config::new(Box::new(SeededRng::new(1)), UnixTime::from_secs(1_800_000_000));
    config.local_ip = [127, 0, 0, 1].into();
    config.udp_port = Some(5060);
    config.trust = TrustAnchors::none();
    let mut engine = Engine::new(config, Instant::ZERO).unwrap();
    for (user, policy) in [("alice", SecurityPolicy::Required), ("bob", SecurityPolicy::Off)] {
        let domain = format!("{user}.test");
        engine.set_domain_policy(Instant::ZERO, &domain, policy).unwrap();
        let mut account = AccountConfig::new(Uri::parse(&format!("sip:{user}@{domain}")).unwrap());
        account.register = false;
        engine.add_account(Instant::ZERO, account).unwrap();
    }
    let socket = SocketId::from_raw(0);
    let mut phone = Phone { engine, socket, now: Instant::ZERO, events: vec![] };
    phone.drain();
    phone
}

impl Phone {
    fn drain(&mut self) {
        let mut buf = [0; 4096];
        loop {
            match self.engine.poll_output(&mut buf) {
                Output::Timeout(_) => return,
                Output::Event(event) => self.events.push(event),
                Output::BindUdp { socket, local } => {
                    let local = SocketAddr::new(local.ip(), local.port().max(5060));
                    if local.port() == 5060 {
                        self.socket = socket;
                    }
                    self.engine.handle_input(self.now, Input::UdpBound { socket, local }).unwrap();
                }
                _ => {}
            }
        }
    }

    fn invite(&mut self, user: &str, n: u64) {
        let body = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                    m=audio 4000 RTP/AVP 0\r\n";
        let text = format!(
            "INVITE sip:{user}@{user}.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}\r\n\
             Max-Forwards: 70\r\nFrom: \"Mallory\" <sip:mallory@evil.test>;tag=m{n}\r\n\
             To: <sip:{user}@{user}.test>\r\nCall-ID: c{n}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:m@192.0.2.1>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.now += MS;
        let remote = ([192, 0, 2, 1], 5060).into();
        let mut payload = text.into_bytes();
        let input = Input::Datagram { socket: self.socket, remote, payload: &mut payload };
        self.engine.handle_input(self.now, input).unwrap();
    }

    fn told(&self) -> u64 {
        let refused = |e: &&Event| matches!(e, Event::IncomingRefused { from, .. } if from == "sip:mallory@evil.test");
        self.events.iter().filter(refused).count() as u64
    }

    fn rest(&mut self) {
        for _ in 0..100 {
            self.now += Duration::from_secs(1);
            self.engine.handle_input(self.now, Input::Timeout).unwrap();
            self.drain();
        }
    }
}

#[test]
fn a_host_that_polls_is_told_of_each_call_that_is_counted() {
    let mut phone = phone();
    let idle = phone.engine.load();
    for n in 0..CALLS {
        phone.invite("alice", n);
        phone.drain();
    }
    let stats = phone.engine.stats();
    assert!(stats.refused_calls >= 500, "{stats:?}");
    assert_eq!((phone.told(), stats.events_dropped), (stats.refused_calls, 0));
    // Those above the bound on transactions are turned away before anybody looks at them.
    let turned_away = stats.transactions.overloaded;
    assert_eq!(stats.refused_calls + turned_away, CALLS, "{stats:?}");
    assert!(!phone.events.iter().any(|e| matches!(e, Event::IncomingCall { .. })));
    phone.rest();
    assert_eq!(phone.engine.load().transactions, idle.transactions);
    assert_eq!(phone.engine.load().calls, 0);
}

#[test]
fn a_host_that_does_not_poll_keeps_a_bounded_number_of_them_and_all_else() {
    let mut phone = phone();
    for n in 0..CALLS {
        phone.invite("alice", n);
        assert!(phone.engine.load().events <= 64);
    }
    phone.rest();
    assert_eq!(phone.told(), 64);
    let stats = phone.engine.stats();
    assert_eq!(stats.events_dropped + 64, stats.refused_calls, "{stats:?}");
    // A call that may come in is told though nobody has polled through another flood.
    for n in 0..2_000 {
        phone.invite("alice", CALLS + n);
    }
    phone.now += Duration::from_secs(40);
    phone.engine.handle_input(phone.now, Input::Timeout).unwrap();
    phone.invite("bob", 2 * CALLS);
    phone.drain();
    assert!(phone.events.iter().any(|e| matches!(e, Event::IncomingCall { .. })));
}
