//! The resolver against servers on the loopback interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use domain::base::iana::Rcode;
use mio::{Events, Poll};

use super::super::message::tests::{answer_a, empty_answer};
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
