//! Flows over memory pipes and in virtual time: UDP, TCP and TLS, failures, limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/pipes.rs"]
mod pipes;

use pipes::*;
use subrosa::crypto::tls::{TlsClientOptions, TlsClientSettings};
use subrosa::sip::flow::*;
use subrosa::sip::route::FlowFailure;
use subrosa::sip::{SocketId, Transport};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;

const DOMAIN: &str = "example.com";

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

#[test]
fn udp_carries_requests_and_symmetric_responses() {
    let mut w = World::new(1);
    let flow = w.ends[A].flows.open(w.now, Transport::Udp, addr(B, UDP), DOMAIN).unwrap();
    assert!(w.ends[A].flows.is_up(flow) && w.ends[A].flows.local(flow) == Some(addr(A, UDP)));
    w.send(A, flow, &request("UDP", "private.invalid:1;rport", 1, 10));
    w.settle();
    let (back, message) = w.message(B);
    let via = message.top_via().unwrap();
    assert_eq!(via.received(), Some(addr(A, UDP).ip()));
    assert_eq!(via.rport(), Some(Some(UDP)));
    assert_eq!(w.ends[B].flows.remote(back), Some(addr(A, UDP)));
    w.send(B, back, &message.response(200, "OK").to_tag("b").finish().unwrap());
    w.settle();
    let (answered, response) = w.message(A);
    assert_eq!((answered, response.status()), (flow, Some(200)));
    // A datagram takes 1300 bytes of request, and any response.
    let long = request("UDP", "h;rport", 2, 1300);
    let flows = &mut w.ends[A].flows;
    assert_eq!(flows.send(w.now, flow, &long), Err(FlowError::TooLong));
    assert!(flows.send(w.now, flow, &long.response(200, "OK").finish().unwrap()).is_ok());
    // A ping is answered, a pong is not.
    for (data, pongs) in [(&b"\r\n\r\n"[..], 1), (b"\r\n", 0), (b"", 0), (b"\0\0\0\0", 0)] {
        let end = &mut w.ends[B];
        end.flows.handle_datagram(w.now, end.socket, addr(A, UDP), data);
        assert_eq!(end.drain().len(), pongs, "{data:?}");
    }
    assert_eq!(w.ends[B].flows.stats().malformed, 0);
}

#[test]
fn streams_carry_messages_both_ways_however_they_are_cut() {
    for (transport, port) in [(Transport::Tcp, TCP), (Transport::Tls, TLS)] {
        for seed in 1..6 {
            let mut w = World::new(seed);
            let flow = w.up(transport, port, DOMAIN);
            assert_eq!(w.ends[A].flows.facts(flow).is_some(), transport.is_secure());
            for n in 0..4 {
                w.send(A, flow, &request(transport.as_str(), "x.invalid", n, 15_000 * n as usize));
            }
            w.settle();
            let got: Vec<_> = (0..4).map(|_| w.message(B)).collect();
            for (n, (back, message)) in got.iter().enumerate() {
                assert_eq!(message.body().len(), 15_000 * n, "{transport} seed {seed}");
                assert_eq!(message.top_via().unwrap().received(), Some(addr(A, TCP).ip()));
                assert!(w.ends[B].flows.is_accepted(*back));
                w.send(B, *back, &message.response(200, "OK").to_tag("b").finish().unwrap());
            }
            w.settle();
            for _ in 0..4 {
                assert_eq!(w.message(A).1.status(), Some(200));
            }
            assert!(w.ends[A].events.is_empty() && w.ends[B].events.is_empty());
            assert_eq!(w.ends[A].flows.stats().sent, 4);
            assert_eq!(w.ends[B].flows.stats().received, 4);
            assert_eq!(w.ends[B].flows.stats().overflowed, 0);
        }
    }
}

#[test]
fn tls_hides_the_messages() {
    let mut w = World::new(3);
    let flow = w.up(Transport::Tls, TLS, DOMAIN);
    w.send(A, flow, &request("TLS", "x.invalid", 1, 100));
    w.settle();
    w.message(B);
    assert!(w.wire.len() > 1000);
    assert!(!w.wire.windows(8).any(|b| b == b"OPTIONS " || b == b"z9hG4bKx"));
}

#[test]
fn pings_are_answered_and_jittered_and_a_dead_flow_is_found() {
    for (transport, port) in [(Transport::Tcp, TCP), (Transport::Tls, TLS)] {
        let mut w = World::new(4);
        let flow = w.up(transport, port, DOMAIN);
        let interval = Duration::from_secs(100);
        w.send(A, flow, &request("TCP", "h", 1, 0));
        w.settle();
        w.message(B);
        let end = &mut w.ends[A];
        end.flows.set_keep_alive(w.now, flow, interval, true, &mut end.rng);
        let mut waits = Vec::new();
        for _ in 0..50 {
            let next = w.ends[A].flows.next_timeout().unwrap();
            waits.push((next - w.now).as_secs());
            let before = w.wire.len();
            w.advance_to(next);
            let carried = w.wire.len() - before;
            assert!(transport.is_secure() || carried == 6, "a ping and a pong: {carried}");
            // The pong came: no deadline, only the next ping.
            assert!(w.ends[A].events.is_empty());
        }
        assert!(waits.iter().all(|s| (80..=100).contains(s)), "{waits:?}");
        assert!(waits.iter().min() != waits.iter().max());
        // The pings kept the accepting side from closing it: far more than 900 s passed.
        assert!(w.ends[B].events.is_empty() && w.ends[B].flows.len() == 1);

        w.cut = true;
        let ping = w.ends[A].flows.next_timeout().unwrap();
        w.advance_to(ping);
        // New settings do not put off the verdict.
        let end = &mut w.ends[A];
        end.flows.set_keep_alive(w.now, flow, Duration::from_secs(1), true, &mut end.rng);
        let verdict = w.ends[A].flows.next_timeout().unwrap();
        assert_eq!(verdict - ping, Duration::from_secs(10));
        w.advance_to(verdict);
        assert_eq!(w.down(A), (flow, FlowFailure::TimedOut));
        assert_eq!(w.ends[A].flows.next_timeout(), None);
        assert!(!w.ends[A].flows.is_up(flow));
    }
}

#[test]
fn keep_alives_stop_when_told_and_never_loop_without_delay() {
    let mut w = World::new(5);
    let flow = w.up(Transport::Tcp, TCP, DOMAIN);
    w.cut = true;
    let end = &mut w.ends[A];
    end.flows.set_keep_alive(w.now, flow, Duration::from_nanos(1), true, &mut end.rng);
    let ping = w.ends[A].flows.next_timeout().unwrap();
    assert!(ping - w.now >= Duration::from_millis(800));
    w.advance_to(ping);
    let end = &mut w.ends[A];
    end.flows.set_keep_alive(w.now, flow, Duration::ZERO, true, &mut end.rng);
    assert_eq!(end.flows.next_timeout(), None, "nothing is due any more");
    // UDP: pings only.
    let udp = end.flows.open(w.now, Transport::Udp, addr(B, UDP), "").unwrap();
    end.flows.set_keep_alive(w.now, udp, Duration::from_nanos(1), true, &mut end.rng);
    for _ in 0..10 {
        let next = w.ends[A].flows.next_timeout().unwrap();
        assert!(next > w.now);
        let end = &mut w.ends[A];
        (w.now, _) = (next, end.flows.handle_timeout(next, &mut end.rng));
        assert!(
            matches!(&end.drain()[..], [FlowOutput::Datagram { data, .. }] if data == b"\r\n\r\n")
        );
    }
}

#[test]
fn a_connection_that_does_not_come_about_fails_in_time() {
    for (port, seconds) in [(REFUSED, 0), (BLACK_HOLE, 8), (SILENT, 8)] {
        let mut w = World::new(6);
        let remote = addr(B, port);
        let flow = w.ends[A].flows.open(w.now, Transport::Tls, remote, DOMAIN).unwrap();
        w.settle();
        if seconds > 0 {
            let due = w.ends[A].flows.next_timeout().unwrap();
            assert_eq!(due - w.now, Duration::from_secs(seconds));
            w.advance_to(Instant::from_micros(due.as_micros() - 1));
            assert!(w.ends[A].events.is_empty());
            w.advance_to(due);
        }
        let why = if seconds == 0 { FlowFailure::Unreachable } else { FlowFailure::TimedOut };
        assert_eq!(w.down(A), (flow, why));
        assert!(w.ends[A].flows.is_empty() && w.ends[A].flows.next_timeout().is_none());
    }
}

#[test]
fn a_wrong_or_expired_certificate_ends_the_flow_before_any_message() {
    for (domain, unix, word) in
        [("other.example", PRESENT, "other.example"), (DOMAIN, FUTURE, "expired")]
    {
        let mut w = World::new(7);
        w.ends[A].flows.set_wall_clock(unix);
        let flow = w.ends[A].flows.open(w.now, Transport::Tls, addr(B, TLS), domain).unwrap();
        w.settle();
        match w.down(A) {
            (id, FlowFailure::Certificate(text)) if id == flow => {
                assert!(text.contains(word), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(w.ends[A].flows.stats().tls_failures, 1);
        assert!(w.ends[A].events.is_empty(), "never up");
        w.down(B);
        assert!(w.ends[A].flows.is_empty() && w.ends[B].flows.is_empty());
    }
}

#[test]
fn a_connection_is_shared_within_its_domain_only() {
    let mut w = World::new(8);
    let tls = w.up(Transport::Tls, TLS, DOMAIN);
    let now = w.now;
    let flows = &mut w.ends[A].flows;
    assert_eq!(flows.open(now, Transport::Tls, addr(B, TLS), "EXAMPLE.com"), Ok(tls));
    assert!(flows.poll_output().is_none());
    // The same address for another domain: its own connection, and its own verdict.
    let other = flows.open(now, Transport::Tls, addr(B, TLS), "other.example").unwrap();
    assert_ne!(other, tls);
    assert!(!flows.is_up(other));
    w.settle();
    assert!(matches!(w.down(A), (id, FlowFailure::Certificate(_)) if id == other));
    w.down(B);
    let flows = &mut w.ends[A].flows;
    assert!(flows.is_up(tls));
    let tcp = flows.open(now, Transport::Tcp, addr(B, TLS), DOMAIN).unwrap();
    assert_ne!(tcp, tls);
    // What the far end opened was verified for nobody.
    let accepted = *w.ends[B].accepted.first().unwrap();
    let remote = w.pipes[0].remote;
    let mine = w.ends[B].flows.open(now, Transport::Tls, remote, DOMAIN).unwrap();
    assert!(!w.ends[B].flows.is_accepted(mine));
    assert!(accepted.to_raw() != 0);
}

#[test]
fn a_connection_is_shared_under_the_same_settings_only() {
    let mut w = World::new(10);
    let first = w.up(Transport::Tls, TLS, "example.com");
    let open = |w: &mut World, domain| {
        w.ends[A].flows.open(w.now, Transport::Tls, addr(B, TLS), domain).unwrap()
    };
    assert_eq!(open(&mut w, "Example.com"), first);
    assert!(w.ends[A].flows.poll_key_log().is_none());
    // The domain gets settings of its own, which trust nobody and keep a key log.
    let mut options = TlsClientOptions::default();
    options.key_log = true;
    let settings = TlsClientSettings::with_options(options).unwrap();
    w.ends[A].flows.tls_domains().set("example.com", settings).unwrap();
    let second = open(&mut w, "example.com");
    assert_ne!(second, first);
    assert_eq!(open(&mut w, "example.com"), second);
    w.settle();
    let (flow, why) = w.down(A);
    assert_eq!(flow, second);
    assert!(matches!(why, FlowFailure::Certificate(_)), "{why:?}");
    // The running connection is kept; a refused handshake has its key log too.
    assert!(w.ends[A].flows.is_up(first));
    let line = w.ends[A].flows.poll_key_log().unwrap();
    assert!(line.expose().contains("HANDSHAKE_TRAFFIC_SECRET "), "{}", line.expose());
    // Back to what was: the connection of before fits again.
    w.ends[A].flows.tls_domains().remove("example.com");
    assert_eq!(open(&mut w, "example.com"), first);
}

#[test]
fn nothing_passes_before_the_connection_is_ready() {
    let mut w = World::new(9);
    let end = &mut w.ends[A];
    let flow = end.flows.open(w.now, Transport::Tls, addr(B, BLACK_HOLE), DOMAIN).unwrap();
    end.flows.set_keep_alive(w.now, flow, Duration::from_secs(1), true, &mut end.rng);
    let outputs = end.drain();
    let [FlowOutput::Connect { stream, .. }] = outputs[..] else { panic!("{outputs:?}") };
    end.flows.handle_timeout(at(5), &mut end.rng);
    assert!(end.drain().is_empty(), "no ping in the clear");
    let message = request("TLS", "h", 1, 0);
    assert_eq!(end.flows.send(at(5), flow, &message), Err(FlowError::NotUp));
    // Connected: a ClientHello and nothing else, also if told twice.
    for _ in 0..2 {
        assert!(end.flows.handle_connected(at(5), stream, addr(A, TCP), &mut end.rng));
    }
    end.flows.handle_timeout(at(6), &mut end.rng);
    let outputs = end.drain();
    assert!(matches!(&outputs[..], [FlowOutput::StreamData { data, .. }] if data[0] == 22));
    assert_eq!(end.flows.send(at(6), flow, &message), Err(FlowError::NotUp));
    // Bytes of a stream that is not even connected are no messages.
    let flow = end.flows.open(at(6), Transport::Tls, addr(B, 7), DOMAIN).unwrap();
    let outputs = end.drain();
    let [FlowOutput::Connect { stream, .. }] = outputs[..] else { panic!("{outputs:?}") };
    assert!(end.flows.handle_data(at(6), stream, message.as_bytes(), &mut end.rng));
    assert_eq!(w.down(A), (flow, FlowFailure::Unreachable));
    assert!(w.ends[A].events.is_empty());
}

#[test]
fn a_side_without_identity_accepts_no_tls_and_leaks_nothing() {
    let (client, _) = settings();
    let mut flows = Flows::new(client, None, PRESENT);
    let mut rng = SeededRng::new(1);
    for _ in 0..1000 {
        assert!(flows.accept(at(0), Transport::Tls, addr(A, 9), addr(B, TLS), &mut rng).is_none());
    }
    assert!(flows.is_empty());
    let stream = flows.accept(at(0), Transport::Tcp, addr(A, 9), addr(B, TCP), &mut rng).unwrap();
    assert_eq!(stream.to_raw() & 0xffff_ffff, 0, "the first slot is free again");
}

#[test]
fn a_change_of_network_ends_every_flow_once() {
    let mut w = World::new(19);
    let tls = w.up(Transport::Tls, TLS, DOMAIN);
    let tcp = w.up(Transport::Tcp, TCP, DOMAIN);
    let udp = w.ends[A].flows.open(w.now, Transport::Udp, addr(B, UDP), DOMAIN).unwrap();
    w.cut = true;
    w.ends[A].flows.close_all();
    w.ends[A].flows.close_all();
    w.settle();
    let mut gone = [w.down(A).0, w.down(A).0, w.down(A).0];
    gone.sort();
    let mut all = [tls, tcp, udp];
    all.sort();
    assert_eq!(gone, all);
    assert!(w.ends[A].events.is_empty() && w.ends[A].flows.is_empty());
    assert_eq!(w.ends[A].flows.next_timeout(), None);
    // The next one is new, over the new socket only.
    w.cut = false;
    let end = &mut w.ends[A];
    let new = (SocketId::from_raw(99), addr(A, 40_000));
    end.flows.add_socket(new.0, new.1);
    end.flows.remove_socket(end.socket);
    let again = end.flows.open(w.now, Transport::Udp, addr(B, UDP), DOMAIN).unwrap();
    assert!(again != udp && end.flows.local(again) == Some(new.1));
    end.flows.remove_socket(new.0);
    assert_eq!(w.down(A).0, again);
    let none = w.ends[A].flows.open(w.now, Transport::Udp, addr(B, UDP), DOMAIN);
    assert_eq!(none, Err(FlowError::NoSocket));
    assert_ne!(w.up(Transport::Tls, TLS, DOMAIN), tls);
}

#[test]
fn a_close_from_either_side_ends_both_once() {
    for transport in [Transport::Tcp, Transport::Tls] {
        for closer in [A, B] {
            let mut w = World::new(20);
            let port = if transport == Transport::Tls { TLS } else { TCP };
            let flow = w.up(transport, port, DOMAIN);
            // What was sent before the close still arrives.
            w.send(A, flow, &request("TCP", "h", 1, 20_000));
            w.settle();
            let (back, message) = w.message(B);
            let response = message.response(200, "OK").to_tag("b").finish().unwrap();
            let mine = if closer == A { flow } else { back };
            w.send(closer, mine, if closer == A { &message } else { &response });
            w.ends[closer].flows.close(mine);
            w.settle();
            let other = 1 - closer;
            assert!(w.message(other).1.is_request() == (closer == A));
            assert_eq!(w.down(other).1, FlowFailure::Unreachable);
            assert!(w.ends.iter().all(|e| e.events.is_empty() && e.flows.is_empty()));
        }
    }
}
