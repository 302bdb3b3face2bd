//! The resolver against servers on the loopback interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use domain::base::iana::Rcode;
use mio::{Events, Poll};

use super::super::message::encode;
use super::super::message::tests::{answer_a, answer_service, empty_answer};
use super::*;
use crate::driver::clock::Clock;
use crate::sip::dns::DnsRecord;

/// Runs the resolver until it answers.
fn resolve(config: DnsConfig, name: &str, kind: RecordKind) -> DnsAnswer {
    let clock = Clock::start();
    let mut wire = Wire::new(None, clock);
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(8);
    let registry = poll.registry().try_clone().unwrap();
    let mut resolver = Resolver::new(config, registry, 1000);
    let query = QueryId::from_raw(1 << 32);
    resolver.resolve(clock.now(), query, name.to_owned(), kind, &mut wire);
    loop {
        if let Some((id, answer)) = resolver.poll_answer() {
            assert_eq!(id, query);
            return answer;
        }
        let now = clock.now();
        assert!(now < Instant::from_millis(20_000), "no answer");
        let wait = resolver.next_timeout().unwrap() - now;
        poll.poll(&mut events, Some(wait + Duration::from_millis(1))).unwrap();
        for event in &events {
            assert!(resolver.owns(event.token()));
            resolver.handle_ready(clock.now(), event.token(), &mut wire);
        }
        resolver.handle_timeout(clock.now(), &mut wire);
    }
}

/// A server that answers each datagram with the messages of `answer`; ends with the test.
fn server(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buf = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            for message in answer(&buf[..n]) {
                let _ = socket.send_to(&message, from);
            }
        }
    });
    address
}

/// A server that hears one query, and a stranger who knows all of it: `act` has what to say as
/// the one or the other.
fn beside_a_stranger(
    act: impl FnOnce(&[u8], &dyn Fn(&[u8]), &dyn Fn(&[u8])) + Send + 'static,
) -> SocketAddr {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buf = [0; 1500];
        let (n, from) = socket.recv_from(&mut buf).unwrap();
        let say = |socket: &UdpSocket, message: &[u8]| {
            socket.send_to(message, from).unwrap();
        };
        act(&buf[..n], &|m| say(&socket, m), &|m| say(&elsewhere, m));
    });
    address
}

fn config(servers: Vec<SocketAddr>) -> DnsConfig {
    let mut config = DnsConfig::new(servers);
    config.timeout = Duration::from_millis(300);
    config
}

fn found(ip: [u8; 4]) -> DnsAnswer {
    DnsAnswer::Records(vec![DnsRecord::A(ip.into())])
}

#[test]
fn a_name_is_resolved_and_forged_answers_before_it_are_ignored() {
    let address = server(|query| {
        let mut forged = answer_a(query, None, [6, 6, 6, 6]);
        forged[0] ^= 1;
        vec![b"garbage".to_vec(), forged, answer_a(query, None, [192, 0, 2, 1])]
    });
    let answer = resolve(config(vec![address]), "pbx.example.com", RecordKind::A);
    assert_eq!(answer, found([192, 0, 2, 1]));
}

#[test]
fn a_silent_and_a_failing_server_are_passed_over() {
    let silent = server(|_| vec![]);
    let failing = server(|query| vec![empty_answer(query, Rcode::SERVFAIL, false)]);
    let good = server(|query| vec![answer_a(query, None, [192, 0, 2, 2])]);
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = vec![closed, silent, failing, good];
    let answer = resolve(config(servers), "pbx.example.com", RecordKind::A);
    assert_eq!(answer, found([192, 0, 2, 2]));
}

#[test]
fn no_server_means_failed_and_a_host_of_the_hosts_file_has_no_services_then() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(vec![closed]);
    config.hosts.insert("pbx.example.com", [192, 0, 2, 3].into());
    let unknown = resolve(config.clone(), "other.example.com", RecordKind::A);
    assert_eq!(unknown, DnsAnswer::Failed);
    let service = resolve(config.clone(), "_sip._udp.pbx.example.com", RecordKind::Srv);
    assert_eq!(service, DnsAnswer::NotFound);
    assert_eq!(resolve(config, "pbx.example.com", RecordKind::A), found([192, 0, 2, 3]));
}

#[test]
fn a_truncated_answer_is_fetched_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    thread::spawn(move || {
        let mut buf = [0; 1500];
        let (n, from) = udp.recv_from(&mut buf).unwrap();
        udp.send_to(&empty_answer(&buf[..n], Rcode::NOERROR, true), from).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).unwrap();
        let answer = answer_a(&query, Some("real.example.net"), [192, 0, 2, 4]);
        let length = (answer.len() as u16).to_be_bytes();
        // In two pieces, so that the length alone arrives first.
        stream.write_all(&length).unwrap();
        stream.flush().unwrap();
        stream.write_all(&answer).unwrap();
    });
    let answer = resolve(config(vec![address]), "pbx.example.com", RecordKind::A);
    assert_eq!(answer, found([192, 0, 2, 4]));
}

#[test]
fn too_many_questions_fail_at_once() {
    let clock = Clock::start();
    let mut wire = Wire::new(None, clock);
    let poll = Poll::new().unwrap();
    let silent = server(|_| vec![]);
    let registry = poll.registry().try_clone().unwrap();
    let mut resolver = Resolver::new(config(vec![silent]), registry, 0);
    for n in 0..=MAX_LOOKUPS as u64 {
        let query = QueryId::from_raw((1 << 32) | n);
        resolver.resolve(clock.now(), query, format!("h{n}.example"), RecordKind::A, &mut wire);
    }
    let last = QueryId::from_raw((1 << 32) | MAX_LOOKUPS as u64);
    assert_eq!(resolver.poll_answer(), Some((last, DnsAnswer::Failed)));
    assert_eq!(resolver.poll_answer(), None);
}

#[test]
fn ids_and_source_ports_cannot_be_predicted() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (asked, seen) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut buf = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            let _ = asked.send((u16::from_be_bytes([buf[0], buf[1]]), from.port()));
            let _ = socket.send_to(&answer_a(&buf[..n], None, [192, 0, 2, 1]), from);
        }
    });
    for _ in 0..64 {
        resolve(config(vec![address]), "pbx.example.com", RecordKind::A);
    }
    let (ids, ports): (Vec<u16>, Vec<u16>) = seen.try_iter().unzip();
    for drawn in [ids, ports] {
        assert_eq!(drawn.len(), 64);
        let different: std::collections::HashSet<_> = drawn.iter().collect();
        assert!(different.len() >= 60, "{drawn:?}");
        for bit in 0..16 {
            let ones = drawn.iter().filter(|n| *n >> bit & 1 == 1).count();
            assert!((8..=56).contains(&ones), "bit {bit} is set in {ones} of 64: {drawn:?}");
        }
        let rising = drawn.windows(2).filter(|w| w[1] > w[0]).count();
        assert!((12..=51).contains(&rising), "{drawn:?}");
    }
}

#[test]
fn an_answer_from_another_port_is_not_taken() {
    let address = beside_a_stranger(|query, say, stranger_says| {
        // Everything is right but where it comes from.
        stranger_says(&answer_a(query, None, [6, 6, 6, 6]));
        thread::sleep(Duration::from_millis(50));
        say(&answer_a(query, None, [192, 0, 2, 1]));
    });
    let answer = resolve(config(vec![address]), "pbx.example.com", RecordKind::A);
    assert_eq!(answer, found([192, 0, 2, 1]));
}

#[test]
fn forged_service_records_are_not_taken() {
    for kind in [RecordKind::Naptr, RecordKind::Srv] {
        let other = if kind == RecordKind::Srv { RecordKind::Naptr } else { RecordKind::Srv };
        let address = beside_a_stranger(move |query, say, stranger_says| {
            let id = u16::from_be_bytes([query[0], query[1]]);
            let forged = |id, name: &str, kind| {
                answer_service(&encode(id, name, kind).unwrap(), "evil.example")
            };
            // From elsewhere; with a wrong id; to a question that was not asked.
            stranger_says(&answer_service(query, "evil.example"));
            for message in [
                forged(id ^ 1, "example.com", kind),
                forged(id, "example.net", kind),
                forged(id, "example.com", other),
                answer_service(query, "good.example"),
            ] {
                say(&message);
            }
        });
        let answer = resolve(config(vec![address]), "example.com", kind);
        let DnsAnswer::Records(records) = answer else { panic!("{answer:?}") };
        let targets: Vec<_> = records.iter().map(|record| format!("{record:?}")).collect();
        assert_eq!(targets.len(), 1, "{targets:?}");
        assert!(targets[0].contains("good.example"), "{targets:?}");
    }
}

/// A server whose answers over UDP are truncated and whose bytes over TCP are those of `answer`;
/// it then closes the connection, or keeps it open.
fn tcp_server(keep_open: bool, answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        let mut buf = [0; 1500];
        while let Ok((n, from)) = udp.recv_from(&mut buf) {
            udp.send_to(&empty_answer(&buf[..n], Rcode::NOERROR, true), from).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            // The resolver may have had enough before everything is written.
            let _ = stream.write_all(&answer(&query));
            if keep_open {
                open.push(stream);
            }
        }
    });
    address
}

#[test]
fn a_malformed_answer_over_tcp_leads_to_the_next_server() {
    type Answer = fn(&[u8]) -> Vec<u8>;
    fn framed(message: Vec<u8>) -> Vec<u8> {
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    }
    fn changed(query: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut message = answer_a(query, None, [6, 6, 6, 6]);
        change(&mut message);
        framed(message)
    }
    // What is incomplete ends with the connection, or with its time if that stays open.
    let incomplete: [Answer; 3] = [
        |_| vec![],
        |_| vec![0],
        |query| changed(query, |message| message.extend([0; 8]))[..40].to_vec(),
    ];
    // What is wrong is wrong at once.
    let wrong: [Answer; 9] = [
        |_| vec![0, 0],
        |_| framed(vec![0xc0; 300]),
        |_| framed(vec![0; 65_535]),
        |query| changed(query, |message| message.truncate(12)),
        |query| changed(query, |message| message[0] ^= 0x80),
        |query| changed(query, |message| message[13] ^= 1),
        |query| changed(query, |message| message.truncate(message.len() - 2)),
        |query| framed(empty_answer(query, Rcode::NOERROR, true)),
        |query| framed(empty_answer(query, Rcode::SERVFAIL, false)),
    ];
    let cases = incomplete.iter().flat_map(|answer| [(false, *answer), (true, *answer)]);
    let next = server(|query| vec![answer_a(query, None, [192, 0, 2, 5])]);
    for (n, (keep_open, answer)) in cases.chain(wrong.map(|answer| (true, answer))).enumerate() {
        let bad = tcp_server(keep_open, answer);
        let answer = resolve(config(vec![bad, next]), "pbx.example.com", RecordKind::A);
        assert_eq!(answer, found([192, 0, 2, 5]), "case {n}");
    }
}
