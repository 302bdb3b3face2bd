//! Two engines in memory, no network model: the shortest path through everything.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::*;
use crate::crypto::tls::{TlsIdentity, TrustAnchors};
use crate::time::Duration;
use crate::util::SeededRng;
use crate::wire::sip::{MessageBuilder, Uri};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

struct Certificates {
    ca: String,
    chain: String,
    key: String,
}

fn certificates() -> Certificates {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_string(), "localhost".to_string()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    Certificates { ca: ca_cert.pem(), chain: leaf.pem(), key: key.serialize_pem() }
}

struct Host {
    engine: Engine,
    ip: SocketAddr,
    sockets: Vec<(SocketId, SocketAddr)>,
    listeners: Vec<(ListenerId, SocketAddr)>,
    streams: Vec<(StreamId, usize)>,
    events: Vec<Event>,
    deadline: Option<Instant>,
    sent: Vec<Vec<u8>>,
}

/// Two hosts on one wire without delay; TCP connections are pairs of stream ids.
struct Pair {
    now: Instant,
    hosts: [Host; 2],
    connections: Vec<[Option<StreamId>; 2]>,
    next_port: u16,
    work: VecDeque<(usize, Work)>,
}

enum Work {
    Datagram(SocketId, SocketAddr, Vec<u8>),
    Data(StreamId, Vec<u8>),
    Closed(StreamId),
}

fn host(seed: u64, port: u16, transport: Transport, tls: Option<&Certificates>) -> Host {
    let mut config = Config::new(Box::new(SeededRng::new(seed)), NOW);
    let ip: SocketAddr = ([127, 0, 0, 1], port).into();
    config.local_ip = ip.ip();
    config.udp_port = Some(port);
    if transport == Transport::Tcp {
        config.listen_tcp = Some(ip);
    }
    if let Some(c) = tls {
        config.listen_tls = Some(ip);
        config.identity =
            Some(TlsIdentity::from_pem(c.chain.as_bytes(), c.key.as_bytes()).unwrap());
        config.trust = TrustAnchors::from_pem(c.ca.as_bytes()).unwrap();
    } else {
        config.trust = TrustAnchors::none();
    }
    Host {
        engine: Engine::new(config, Instant::ZERO).unwrap(),
        ip,
        sockets: vec![],
        listeners: vec![],
        streams: vec![],
        events: vec![],
        deadline: None,
        sent: vec![],
    }
}

impl Pair {
    fn new(transport: Transport) -> Self {
        let tls = (transport == Transport::Tls).then(certificates);
        let hosts =
            [host(1, 5070, transport, tls.as_ref()), host(2, 5080, transport, tls.as_ref())];
        let mut pair = Self {
            now: Instant::ZERO,
            hosts,
            connections: vec![],
            next_port: 40_000,
            work: VecDeque::new(),
        };
        pair.settle();
        pair
    }

    fn settle(&mut self) {
        loop {
            for side in 0..2 {
                self.drain(side);
            }
            let Some((side, work)) = self.work.pop_front() else { return };
            let now = self.now;
            let engine = &mut self.hosts[side].engine;
            match work {
                Work::Datagram(socket, remote, mut payload) => {
                    let _ = engine.handle_input(
                        now,
                        Input::Datagram { socket, remote, payload: &mut payload },
                    );
                }
                Work::Data(stream, data) => {
                    let _ = engine.handle_input(now, Input::StreamData { stream, data: &data });
                }
                Work::Closed(stream) => {
                    let _ = engine.handle_input(now, Input::StreamClosed { stream });
                }
            }
        }
    }

    fn drain(&mut self, side: usize) {
        let mut buf = [0; 2048];
        loop {
            let now = self.now;
            let (left, right) = self.hosts.split_at_mut(1);
            let (me, peer) = if side == 0 {
                (&mut left[0], &mut right[0])
            } else {
                (&mut right[0], &mut left[0])
            };
            match me.engine.poll_output(&mut buf) {
                Output::Timeout(at) => {
                    me.deadline = at;
                    return;
                }
                Output::Event(event) => me.events.push(event),
                Output::BindUdp { socket, local } => {
                    me.sockets.push((socket, local));
                    me.engine.handle_input(now, Input::UdpBound { socket, local }).unwrap();
                }
                Output::CloseUdp { socket } => me.sockets.retain(|(s, _)| *s != socket),
                Output::Listen { listener, local } => {
                    me.listeners.push((listener, local));
                    me.engine.handle_input(now, Input::Listening { listener, local }).unwrap();
                }
                Output::Datagram { socket, remote, payload } => {
                    me.sent.push(payload.to_vec());
                    let local = me.sockets.iter().find(|(s, _)| *s == socket).unwrap().1;
                    if let Some((to, _)) = peer.sockets.iter().find(|(_, a)| *a == remote) {
                        self.work
                            .push_back((1 - side, Work::Datagram(*to, local, payload.to_vec())));
                    }
                }
                Output::Connect { stream, remote } => {
                    let local: SocketAddr = ([127, 0, 0, 1], self.next_port).into();
                    self.next_port += 1;
                    match peer.listeners.iter().find(|(_, a)| *a == remote).copied() {
                        None => {
                            me.engine.handle_input(now, Input::StreamClosed { stream }).unwrap()
                        }
                        Some((listener, at)) => {
                            let other =
                                peer.engine.accept_stream(now, listener, local, at).unwrap();
                            let index = self.connections.len();
                            me.streams.push((stream, index));
                            peer.streams.push((other, index));
                            let mut ends = [None, None];
                            ends[side] = Some(stream);
                            ends[1 - side] = Some(other);
                            self.connections.push(ends);
                            me.engine
                                .handle_input(now, Input::StreamConnected { stream, local })
                                .unwrap();
                        }
                    }
                }
                Output::StreamData { stream, data } => {
                    me.sent.push(data.to_vec());
                    let index = me.streams.iter().find(|(s, _)| *s == stream).unwrap().1;
                    if let Some(other) = self.connections[index][1 - side] {
                        self.work.push_back((1 - side, Work::Data(other, data.to_vec())));
                    }
                }
                Output::CloseStream { stream } => {
                    if let Some((_, index)) = me.streams.iter().find(|(s, _)| *s == stream)
                        && let Some(other) = self.connections[*index][1 - side].take()
                    {
                        self.work.push_back((1 - side, Work::Closed(other)));
                    }
                }
                Output::Resolve { .. } | Output::Media { .. } | Output::BufferTooSmall { .. } => {
                    panic!("not expected")
                }
            }
        }
    }

    /// Runs virtual time, writing a tone and reading on both sides every 20 ms of a call.
    fn run(&mut self, span: Duration, calls: [Option<CallId>; 2]) -> [Vec<i16>; 2] {
        let end = self.now + span;
        let mut heard = [vec![], vec![]];
        while self.now < end {
            self.now += Duration::from_millis(20);
            for side in 0..2 {
                let host = &mut self.hosts[side];
                if host.deadline.is_some_and(|d| d <= self.now) {
                    host.engine.handle_input(self.now, Input::Timeout).unwrap();
                }
                if let Some(id) = calls[side] {
                    let t0 = self.now.as_micros() as f32 / 1e6;
                    let tone: Vec<i16> = (0..320)
                        .map(|i| {
                            let t = t0 + i as f32 / 16_000.0;
                            ((t * 440.0 * core::f32::consts::TAU).sin() * 8000.0) as i16
                        })
                        .collect();
                    let mut out = [0; 320];
                    if host.engine.write_pcm(self.now, id, &tone).is_ok() {
                        host.engine.read_pcm(self.now, id, &mut out).unwrap();
                        heard[side].extend(out);
                    }
                }
            }
            self.settle();
        }
        heard
    }
}

fn account(engine: &mut Engine, policy: SecurityPolicy) -> AccountId {
    let mut account = AccountConfig::new(Uri::parse("sip:alice@127.0.0.1").unwrap());
    account.register = false;
    account.policy = policy;
    engine.add_account(Instant::ZERO, account).unwrap()
}

fn rms(pcm: &[i16]) -> f64 {
    let sum: f64 = pcm.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    (sum / pcm.len().max(1) as f64).sqrt()
}

/// Places and answers a call; returns both ids.
fn talk(pair: &mut Pair, transport: Transport, policy: SecurityPolicy) -> [CallId; 2] {
    if policy == SecurityPolicy::Off {
        for host in &mut pair.hosts {
            host.engine.set_domain_policy(pair.now, "127.0.0.1", policy).unwrap();
        }
    }
    let alice = account(&mut pair.hosts[0].engine, policy);
    account(&mut pair.hosts[1].engine, policy);
    let to = alloc::format!(
        "sip:bob@{};transport={}",
        pair.hosts[1].ip,
        transport.as_str().to_lowercase()
    );
    let now = pair.now;
    let call = pair.hosts[0]
        .engine
        .place_call(now, alice, &Uri::parse(&to).unwrap(), CallOptions::default())
        .unwrap();
    pair.settle();
    let incoming = pair.hosts[1].events.iter().find_map(|e| match e {
        Event::IncomingCall { call, .. } => Some(*call),
        _ => None,
    });
    let incoming = incoming.unwrap_or_else(|| {
        panic!("no call came in: {:?} {:?}", pair.hosts[0].events, pair.hosts[1].events)
    });
    pair.hosts[1].engine.call(incoming).unwrap().ring(now).unwrap();
    pair.settle();
    pair.hosts[1].engine.call(incoming).unwrap().accept(now, CallOptions::default()).unwrap();
    pair.settle();
    [call, incoming]
}

#[test]
fn a_call_over_each_transport_carries_sound_both_ways_and_ends_once() {
    let cases = [
        (Transport::Udp, SecurityPolicy::Off, Padlock::None),
        (Transport::Tcp, SecurityPolicy::Off, Padlock::None),
        (Transport::Tls, SecurityPolicy::Required, Padlock::EncryptedToProvider),
    ];
    for (transport, policy, padlock) in cases {
        let mut pair = Pair::new(transport);
        let calls = talk(&mut pair, transport, policy);
        for (host, call) in pair.hosts.iter_mut().zip(calls) {
            let call = host.engine.call(call).unwrap();
            assert_eq!(call.state(), CallState::Established, "{transport} {:?}", call.end_reason());
            assert_eq!(call.codec(), Some(Codec::ALL[0]));
            assert_eq!(call.security().padlock(), padlock, "{}", call.security());
        }
        let heard = pair.run(Duration::from_secs(2), calls.map(Some));
        for pcm in &heard {
            assert!(rms(&pcm[16_000..]) > 4000.0, "{transport}: {}", rms(&pcm[16_000..]));
        }
        let now = pair.now;
        pair.hosts[0].engine.call(calls[0]).unwrap().hang_up(now).unwrap();
        pair.settle();
        let ends = |host: &Host| -> Vec<EndReason> {
            host.events
                .iter()
                .filter_map(|e| match e {
                    Event::CallEnded { reason, .. } => Some(reason.clone()),
                    _ => None,
                })
                .collect()
        };
        assert_eq!(ends(&pair.hosts[0]), [EndReason::LocalHangUp]);
        assert_eq!(ends(&pair.hosts[1]), [EndReason::RemoteHangUp]);
        if policy == SecurityPolicy::Required {
            for packet in pair.hosts.iter().flat_map(|h| &h.sent) {
                for text in [&b"SIP/2.0"[..], b"alice", b"INVITE", b"a=crypto"] {
                    assert!(!packet.windows(text.len()).any(|w| w == text), "in the clear");
                }
            }
        }
    }
}

#[test]
fn hold_resume_and_dtmf_reach_the_far_end() {
    let mut pair = Pair::new(Transport::Tls);
    let calls = talk(&mut pair, Transport::Tls, SecurityPolicy::Required);
    pair.run(Duration::from_millis(200), calls.map(Some));
    let now = pair.now;
    pair.hosts[0].engine.call(calls[0]).unwrap().hold(now).unwrap();
    pair.settle();
    assert_eq!(pair.hosts[0].engine.call(calls[0]).unwrap().holds(), (true, false));
    assert_eq!(pair.hosts[1].engine.call(calls[1]).unwrap().holds(), (false, true));
    pair.run(Duration::from_millis(200), calls.map(Some));
    let now = pair.now;
    pair.hosts[0].engine.call(calls[0]).unwrap().resume(now).unwrap();
    pair.settle();
    assert_eq!(pair.hosts[1].engine.call(calls[1]).unwrap().holds(), (false, false));
    let now = pair.now;
    let mut call = pair.hosts[0].engine.call(calls[0]).unwrap();
    call.send_dtmf(now, '7', Duration::from_millis(120)).unwrap();
    let heard = pair.run(Duration::from_secs(2), calls.map(Some));
    assert!(rms(&heard[1][16_000..]) > 4000.0);
    let digits = pair.hosts[1]
        .events
        .iter()
        .filter(|e| matches!(e, Event::DtmfReceived { digit: '7', .. }))
        .count();
    assert_eq!(digits, 1);
    let report = pair.hosts[0].engine.call(calls[0]).unwrap().security();
    assert_eq!((report.auth_failures, report.padlock()), (0, Padlock::EncryptedToProvider));
}

#[test]
fn cancel_reject_and_a_policy_that_forbids_each_end_the_call_with_their_reason() {
    let mut pair = Pair::new(Transport::Udp);
    for host in &mut pair.hosts {
        host.engine.set_domain_policy(pair.now, "127.0.0.1", SecurityPolicy::Off).unwrap();
    }
    let alice = account(&mut pair.hosts[0].engine, SecurityPolicy::Off);
    let to = Uri::parse(&alloc::format!("sip:bob@{};transport=udp", pair.hosts[1].ip)).unwrap();
    let now = pair.now;
    let place = |pair: &mut Pair| {
        let call = pair.hosts[0].engine.place_call(now, alice, &to, CallOptions::default());
        pair.settle();
        call.unwrap()
    };
    let last = |pair: &Pair, side: usize| match pair.hosts[side].events.last() {
        Some(Event::CallEnded { reason, .. }) => reason.clone(),
        other => panic!("{other:?}"),
    };
    let incoming = |pair: &Pair| {
        let newest = pair.hosts[1].events.iter().rev().find_map(|e| match e {
            Event::IncomingCall { call, .. } => Some(*call),
            _ => None,
        });
        newest.unwrap()
    };
    // Without an account the callee has the default policy of a new domain, which takes UDP.
    let call = place(&mut pair);
    let id = incoming(&pair);
    pair.hosts[1].engine.call(id).unwrap().ring(now).unwrap();
    pair.settle();
    pair.hosts[0].engine.call(call).unwrap().hang_up(now).unwrap();
    pair.settle();
    assert_eq!(last(&pair, 0), EndReason::Cancelled);
    assert_eq!(last(&pair, 1), EndReason::RemoteCancelled);
    place(&mut pair);
    let id = incoming(&pair);
    pair.hosts[1].engine.call(id).unwrap().reject(now, 486).unwrap();
    pair.settle();
    assert!(matches!(last(&pair, 0), EndReason::Refused { status: 486, .. }));
    // A callee that requires security refuses a plain call before anybody's phone rings.
    let bob = account(&mut pair.hosts[1].engine, SecurityPolicy::Required);
    place(&mut pair);
    assert!(matches!(last(&pair, 0), EndReason::Refused { status: 488, .. }));
    pair.hosts[1].engine.remove_account(now, bob).unwrap();
    assert_eq!(pair.hosts[0].engine.call(call).unwrap().state(), CallState::Ended);
}

/// The texts that a host has put on the wire since.
fn in_the_clear(host: &Host, since: usize) -> String {
    host.sent[since..].iter().map(|bytes| String::from_utf8_lossy(bytes)).collect()
}

#[test]
fn trust_is_that_of_the_flow_that_carries_the_signalling_now() {
    let mut pair = Pair::new(Transport::Tls);
    let [call, _] = talk(&mut pair, Transport::Tls, SecurityPolicy::Preferred);
    let now = pair.now;
    let (ip, since) = (pair.hosts[1].ip, pair.hosts[0].sent.len());
    let engine = &mut pair.hosts[0].engine;
    let entry = engine.calls.get(call).unwrap();
    let (secure, sdes) = (entry.flow.unwrap(), entry.machine.gate());
    assert!(entry.machine.trust == Trust::Verified && sdes.for_offer(true).unwrap().sdes);
    assert_eq!(engine.call(call).unwrap().security().padlock(), Padlock::EncryptedToProvider);
    // An offer with keys is written, and then there is only another way.
    engine.calls.get_mut(call).unwrap().machine.renew_keys(&mut engine.rng).unwrap();
    let clear = engine.flows.open(now, Transport::Udp, ip, "").unwrap();
    engine.call_moves(call, clear);
    engine.deliver(now);
    let entry = engine.calls.get(call).unwrap();
    assert_eq!((entry.machine.trust, entry.flow), (Trust::Clear, Some(clear)));
    assert!(!entry.machine.gate().for_offer(true).unwrap().sdes);
    let events = core::iter::from_fn(|| engine.poll_change()).collect::<Vec<_>>();
    assert!(
        events.contains(&Event::SecurityChanged { call, padlock: Padlock::None }),
        "{events:?}"
    );
    assert_eq!(engine.call(call).unwrap().security().padlock(), Padlock::None);
    pair.settle();
    assert!(!in_the_clear(&pair.hosts[0], since).contains("a=crypto"), "keys in the clear");
    // Back under TLS it may have keys again.
    let engine = &mut pair.hosts[0].engine;
    engine.call_moves(call, secure);
    let entry = engine.calls.get(call).unwrap();
    assert!(entry.machine.gate().for_offer(true).unwrap().sdes);
}

#[test]
fn no_message_of_any_kind_takes_keys_over_signalling_that_is_not_verified() {
    let body = b"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NQ\r\n";
    let with = |message: MessageBuilder| message.body("application/sdp", body);
    for (transport, leave) in
        [(Transport::Udp, false), (Transport::Tcp, false), (Transport::Tls, true)]
    {
        let mut pair = Pair::new(transport);
        let [call, _] = talk(&mut pair, transport, SecurityPolicy::Off);
        let now = pair.now;
        let engine = &mut pair.hosts[0].engine;
        let entry = engine.calls.get(call).unwrap();
        let (flow, invite) = (entry.flow.unwrap(), entry.invite.clone().unwrap());
        let answer = |status| invite.response(status, "Written above").to_tag("x");
        let messages = [invite.edit(), answer(183), answer(200), answer(488)];
        // Whatever goes out without a transaction, such as an ACK, and answers of one.
        for message in messages {
            let before = (engine.flows.stats().sent, engine.stats.unsendable);
            let message = with(message).finish().unwrap();
            engine.transactions.send_stateless(flow, alloc::sync::Arc::new(message));
            engine.deliver(now);
            let after = (engine.flows.stats().sent, engine.stats.unsendable);
            let (sent, held) = (u64::from(leave), u64::from(!leave));
            assert_eq!(after, (before.0 + sent, before.1 + held), "{transport}");
        }
        let to = invite.request_uri().unwrap().to_string();
        let account = engine.accounts.ids()[0];
        let to = Uri::parse(&to).unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap();
        pair.settle();
        let engine = &mut pair.hosts[1].engine;
        let mut waiting = engine.invites.iter().map(|(tx, call)| (*tx, *call));
        let (tx, second) = waiting
            .find(|(_, id)| {
                engine.calls.get(*id).is_some_and(|e| e.machine.state() == CallState::Incoming)
            })
            .unwrap();
        let invite = engine.calls.get(second).unwrap().machine.invite_heard().unwrap().clone();
        let sent = engine.flows.stats().sent;
        engine.answer(now, tx, with(invite.response(200, "Written above").to_tag("y")));
        engine.deliver(now);
        assert_eq!(engine.flows.stats().sent, sent + u64::from(leave), "{transport}");
    }
}
