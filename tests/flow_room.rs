//! Who keeps his connection when all places are taken: nobody proves who he is before he has one,
//! so no single address may hold them all, and a call keeps its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/hostile_engine.rs"]
mod hostile_engine;
#[path = "support/pipes.rs"]
mod pipes;

use core::net::SocketAddr;
use hostile_engine::Victim;
use pipes::*;
use subrosa::engine::{CallState, Input};
use subrosa::sip::flow::MAX_ACCEPTED;
use subrosa::sip::{StreamId, Transport};
use subrosa::time::Instant;

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn from(host: u8, port: u16) -> SocketAddr {
    ([203, 0, 113, host], port).into()
}

/// All places taken, by these addresses in turn; each connection has brought a message.
fn full(w: &mut pipes::World, hosts: u8) -> Vec<StreamId> {
    let message = request("TCP", "h", 1, 0);
    (0..MAX_ACCEPTED)
        .map(|n| {
            let remote = from(n as u8 % hosts, 1000 + n as u16);
            let stream = accept(w, w.now, remote).expect("a place");
            let end = &mut w.ends[B];
            end.flows.handle_data(w.now, stream, message.as_bytes(), &mut end.rng);
            end.drain();
            end.collect();
            stream
        })
        .collect()
}

fn accept(w: &mut pipes::World, now: Instant, remote: SocketAddr) -> Option<StreamId> {
    let end = &mut w.ends[B];
    end.flows.accept(now, Transport::Tcp, remote, addr(B, TCP), &mut end.rng)
}

fn is_open(w: &mut pipes::World, now: Instant, stream: StreamId) -> bool {
    let end = &mut w.ends[B];
    let open = end.flows.handle_data(now, stream, b"\r\n\r\n", &mut end.rng);
    end.drain();
    open
}

#[test]
fn one_address_cannot_shut_the_others_out() {
    let mut w = pipes::World::new(40);
    let streams = full(&mut w, 1);
    // Not for more of its own, however often it asks.
    assert!(accept(&mut w, at(1), from(0, 9)).is_none());
    // Another has its place at once: that of the one that was idle longest.
    assert!(is_open(&mut w, at(1), streams[0]));
    assert!(accept(&mut w, at(2), from(7, 9)).is_some());
    assert!(is_open(&mut w, at(2), streams[0]), "a ping is a sign of life");
    assert!(!is_open(&mut w, at(2), streams[1]));
    let end = &w.ends[B];
    assert_eq!((end.flows.len(), end.flows.stats().turned_away), (MAX_ACCEPTED, 1));
}

#[test]
fn among_equals_the_one_that_is_silent_makes_way() {
    let mut w = pipes::World::new(41);
    let streams = full(&mut w, MAX_ACCEPTED as u8);
    assert!(accept(&mut w, at(31), from(100, 9)).is_none(), "all of them spoke lately");
    assert!(is_open(&mut w, at(31), streams[0]));
    assert!(accept(&mut w, at(32), from(100, 9)).is_some());
    assert!(!is_open(&mut w, at(32), streams[1]) && is_open(&mut w, at(32), streams[0]));
}

fn invite() -> String {
    let sdp = "v=0\r\no=p 1 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
               m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    format!(
        "INVITE sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.1;branch=z9hG4bKi\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:bob@127.0.0.1>\r\nCall-ID: i\r\n\
         CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@203.0.113.1;transport=tcp>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

fn ack(said: &str) -> String {
    let answer = said.split("SIP/2.0 200").nth(1).expect("a 200");
    let to = answer.lines().find(|line| line.starts_with("To:")).expect("a To");
    format!(
        "ACK sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.1;branch=z9hG4bKa\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\n{to}\r\nCall-ID: i\r\n\
         CSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_call_keeps_its_connection_however_long_nothing_is_said_on_it() {
    let mut phone = Victim::alone();
    phone.said = Some(String::new());
    let stream = phone.accept(from(1, 5060)).unwrap();
    phone.take_from(stream, invite().as_bytes());
    let ack = ack(phone.said.as_deref().unwrap());
    phone.take_from(stream, ack.as_bytes());
    let call = phone.call.expect("a call came in");
    // The caller's address is that of a crowd (a NAT, or a proxy gone wild), and others come.
    let message = request("TCP", "h", 1, 0);
    phone.now = at(1);
    for n in 1..MAX_ACCEPTED {
        let stream = phone.accept(from(1, 6000 + n as u16)).unwrap();
        phone.take_from(stream, message.as_bytes());
    }
    for n in 0..50 {
        phone.now = at(40 + n);
        assert!(phone.accept(from(2, 7000 + n as u16)).is_some(), "{n}");
    }
    assert!(!phone.closed.contains(&stream), "the call's connection made way");
    assert!(phone.closed.len() >= 30, "others did: {}", phone.closed.len());
    // Nor does it go for idleness while the call lasts.
    for minute in 2..40 {
        phone.now = at(60 * minute);
        phone.engine.handle_input(phone.now, Input::Timeout).unwrap();
        phone.drain();
    }
    assert!(!phone.closed.contains(&stream));
    assert!(phone.engine.call(call).is_some_and(|c| c.state() != CallState::Ended));
}
