//! Flows under garbage, floods and hosts that do not fetch: everything is bounded.
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
fn accepted_connections_are_limited_in_number_and_patience() {
    let mut w = World::new(10);
    let end = &mut w.ends[B];
    let (mut rng, local) = (SeededRng::new(1), addr(B, TCP));
    let far = |n: usize| addr(A, 20_000 + n as u16);
    assert!(end.flows.accept(w.now, Transport::Udp, far(0), local, &mut rng).is_none());
    let mut streams = Vec::new();
    for n in 0..MAX_ACCEPTED {
        let transport = if n % 2 == 0 { Transport::Tcp } else { Transport::Tls };
        streams.push(end.flows.accept(w.now, transport, far(n), local, &mut rng).unwrap());
    }
    assert!(end.flows.accept(w.now, Transport::Tcp, far(999), local, &mut rng).is_none());
    assert_eq!(end.flows.stats().turned_away, 2);
    // One speaks; the silent ones go: TLS without a handshake after 8 s, TCP after 32 s.
    let message = request("TCP", "h", 1, 0);
    end.flows.handle_data(w.now, streams[0], message.as_bytes(), &mut rng);
    end.flows.handle_timeout(at(8), &mut rng);
    assert_eq!(end.flows.len(), MAX_ACCEPTED / 2);
    // Bytes that never become a message buy no time.
    end.flows.handle_data(at(20), streams[2], b"OPTIONS", &mut rng);
    end.flows.handle_timeout(at(32), &mut rng);
    assert_eq!(end.flows.len(), 1);
    // 900 s after its last message, the one that spoke goes too.
    assert_eq!(end.flows.next_timeout(), Some(at(900)));
    end.flows.handle_data(at(800), streams[0], message.as_bytes(), &mut rng);
    assert_eq!(end.flows.next_timeout(), Some(at(1700)));
    end.flows.handle_timeout(at(1700), &mut rng);
    assert!(end.flows.is_empty() && end.flows.next_timeout().is_none());
    let closes = end.drain();
    assert_eq!(
        closes.iter().filter(|o| matches!(o, FlowOutput::CloseStream { .. })).count(),
        MAX_ACCEPTED
    );
}

#[test]
fn a_connection_that_is_secured_and_says_nothing_goes_too() {
    let mut w = World::new(24);
    w.up(Transport::Tls, TLS, DOMAIN);
    assert_eq!(w.ends[B].flows.len(), 1);
    w.advance_to(at(31));
    assert_eq!(w.ends[B].flows.len(), 1);
    w.advance_to(at(32));
    assert!(w.ends[B].flows.is_empty(), "no first message");
}

#[test]
fn a_source_that_nobody_here_asked_for_is_forgotten_without_a_word() {
    let mut w = World::new(25);
    let message = request("UDP", "h", 1, 0);
    let end = &mut w.ends[B];
    end.flows.handle_datagram(w.now, end.socket, addr(A, 9), message.as_bytes());
    let own = end.flows.open(w.now, Transport::Udp, addr(A, UDP), DOMAIN).unwrap();
    end.collect();
    end.events.clear();
    assert_eq!((end.flows.len(), end.flows.next_timeout()), (2, Some(at(30))));
    w.advance_to(at(30));
    let end = &mut w.ends[B];
    assert_eq!((end.flows.len(), end.flows.next_timeout()), (1, None));
    assert!(end.flows.is_up(own) && end.events.is_empty());
}

#[test]
fn strangers_make_way_before_what_was_opened_here() {
    let mut w = World::new(27);
    let message = request("UDP", "h", 1, 0);
    let mut own = Vec::new();
    for n in 0..(MAX_FLOWS - MAX_UDP_SOURCES) as u16 {
        let end = &mut w.ends[A];
        own.push(end.flows.open(w.now, Transport::Udp, addr(B, 1000 + n), "").unwrap());
    }
    // Strangers who were heard later, and answered.
    w.now += Duration::from_secs(1);
    for n in 0..MAX_UDP_SOURCES as u16 {
        let end = &mut w.ends[A];
        end.flows.handle_datagram(w.now, end.socket, addr(B, 10_000 + n), message.as_bytes());
        end.collect();
        let (flow, request) = w.message(A);
        w.send(A, flow, &request.response(200, "OK").to_tag("x").finish().unwrap());
        w.ends[A].drain();
    }
    let end = &mut w.ends[A];
    assert_eq!(end.flows.len(), MAX_FLOWS);
    end.flows.open(w.now, Transport::Udp, addr(B, 9), "").unwrap();
    assert_eq!(end.flows.len(), MAX_FLOWS);
    assert!(own.iter().all(|flow| end.flows.is_up(*flow)));
}

#[test]
fn connections_for_responses_alone_are_few() {
    let mut w = World::new(28);
    let end = &mut w.ends[A];
    let mut opened = Vec::new();
    let full = loop {
        let port = 1000 + opened.len() as u16;
        match end.flows.open_for_response(w.now, Transport::Tcp, addr(B, port), "") {
            Ok(flow) => opened.push(flow),
            Err(error) => break error,
        }
    };
    assert_eq!((full, opened.len(), end.flows.len()), (FlowError::Full, 16, 16));
    // One of them serves another response, and who wants a connection for itself gets it.
    let again = end.flows.open_for_response(w.now, Transport::Tcp, addr(B, 1000), "");
    assert_eq!(again, Ok(opened[0]));
    end.flows.open(w.now, Transport::Tcp, addr(B, 9), "").unwrap();
    // One that is wanted for itself is no longer one of the few.
    assert_eq!(end.flows.open(w.now, Transport::Tcp, addr(B, 1000), ""), Ok(opened[0]));
    end.flows.open_for_response(w.now, Transport::Tcp, addr(B, 8), "").unwrap();
    assert_eq!(end.flows.len(), 18);
}

#[test]
fn a_connection_of_theirs_is_never_taken_for_one_of_ours() {
    let mut w = World::new(26);
    let end = &mut w.ends[B];
    let (far, near) = (addr(A, 9), addr(B, TCP));
    end.flows.accept(w.now, Transport::Tcp, far, near, &mut end.rng).unwrap();
    end.drain();
    end.flows.open(w.now, Transport::Tcp, far, "").unwrap();
    assert!(matches!(end.drain()[..], [FlowOutput::Connect { remote, .. }] if remote == far));
}

#[test]
fn garbage_ends_a_stream_and_only_counts_by_udp() {
    for garbage in [&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], &[0xff; 70_000], &[0x16; 70_000]] {
        for transport in [Transport::Tcp, Transport::Tls] {
            let mut w = World::new(11);
            let end = &mut w.ends[B];
            let stream =
                end.flows.accept(w.now, transport, addr(A, 9), addr(B, TCP), &mut end.rng).unwrap();
            for piece in garbage.chunks(1000) {
                end.flows.handle_data(w.now, stream, piece, &mut end.rng);
            }
            // After the answers to what came before, should there be any.
            end.flows.handle_timeout(w.now, &mut end.rng);
            end.collect();
            let malformed = end.take_malformed();
            // Time for the answer that says what was wrong, if there is one.
            w.advance_to(w.now + Duration::from_millis(500));
            let (_, why) = w.down(B);
            assert_eq!(matches!(why, FlowFailure::Tls(_)), transport == Transport::Tls, "{why:?}");
            assert_eq!(malformed == 1, transport == Transport::Tcp);
            let end = &mut w.ends[B];
            assert!(end.flows.is_empty() && end.events.is_empty());
            assert!(!end.flows.handle_data(w.now, stream, garbage, &mut end.rng));
        }
        let mut w = World::new(12);
        let end = &mut w.ends[B];
        end.flows.handle_datagram(w.now, end.socket, addr(A, 9), garbage);
        end.collect();
        assert_eq!(end.flows.stats().malformed, 1);
        assert!(end.events.is_empty() && end.flows.is_empty() && end.drain().is_empty());
        // A socket that is not ours says nothing.
        let message = request("UDP", "h", 1, 0);
        let stranger = SocketId::from_raw(77);
        end.flows.handle_datagram(w.now, stranger, addr(A, 9), message.as_bytes());
        end.flows.handle_datagram(w.now, stranger, addr(A, 9), b"\r\n\r\n");
        end.collect();
        assert!(end.events.is_empty() && end.drain().is_empty());
    }
}

#[test]
fn a_bad_message_does_not_end_a_stream_whose_framing_holds() {
    let mut w = World::new(13);
    let end = &mut w.ends[B];
    let accept = (addr(A, 9), addr(B, TCP));
    let stream = end.flows.accept(w.now, Transport::Tcp, accept.0, accept.1, &mut end.rng).unwrap();
    let good = String::from_utf8(request("TCP", "h", 1, 5).as_bytes().to_vec()).unwrap();
    let bad = good.replace("CSeq: 1 OPTIONS", "CSeq: x");
    end.flows.handle_data(w.now, stream, format!("{bad}{good}").as_bytes(), &mut end.rng);
    end.collect();
    assert_eq!(end.take_malformed(), 1);
    assert_eq!(w.message(B).1.body().len(), 5);
}

#[test]
fn a_flood_of_udp_sources_is_bounded_and_pushes_out_nothing_of_ours() {
    let mut w = World::new(14);
    let tls = w.up(Transport::Tls, TLS, DOMAIN);
    let end = &mut w.ends[A];
    let own = end.flows.open(w.now, Transport::Udp, addr(B, UDP), DOMAIN).unwrap();
    let message = request("UDP", "h", 1, 0);
    let mut answered = None;
    for n in 0..5000_u16 {
        let end = &mut w.ends[A];
        let now = w.now + Duration::from_millis(u64::from(n));
        end.flows.handle_datagram(now, end.socket, addr(B, 10_000 + n), message.as_bytes());
        assert!(end.flows.len() <= MAX_UDP_SOURCES + 2);
        end.collect();
        // Answered ones stay longest.
        if n == 0 {
            let (flow, request) = w.message(A);
            w.send(A, flow, &request.response(200, "OK").to_tag("x").finish().unwrap());
            answered = Some(flow);
        } else {
            w.ends[A].events.clear();
        }
        w.ends[A].drain();
    }
    let end = &mut w.ends[A];
    assert_eq!(end.flows.len(), MAX_UDP_SOURCES + 2);
    assert!(end.flows.is_up(own) && end.flows.is_up(tls));
    assert!(end.flows.is_up(answered.unwrap()), "the one that was answered, idle longest");
    assert_eq!(end.flows.stats().received, 5000);
    // Strangers make way where a connection is wanted; then it is full, and said so.
    let mut opened = 2;
    let full = loop {
        match end.flows.open(w.now, Transport::Tcp, addr(B, 1 + opened), DOMAIN) {
            Ok(_) => opened += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((full, end.flows.len()), (FlowError::Full, MAX_FLOWS));
    // `own` was idle UDP and made way last.
    assert!(usize::from(opened) == MAX_FLOWS + 1 && !end.flows.is_up(own));
    end.flows.handle_datagram(w.now, end.socket, addr(B, 9), message.as_bytes());
    assert_eq!((end.flows.len(), end.flows.stats().turned_away), (MAX_FLOWS, 1));
}

#[test]
fn a_flood_of_pings_costs_one_write() {
    let mut w = World::new(15);
    let end = &mut w.ends[B];
    let stream =
        end.flows.accept(w.now, Transport::Tcp, addr(A, 9), addr(B, TCP), &mut end.rng).unwrap();
    end.flows.handle_data(w.now, stream, &b"\r\n".repeat(40_000), &mut end.rng);
    let outputs = end.drain();
    assert!(
        matches!(&outputs[..], [FlowOutput::StreamData { data, .. }] if data.len() == 40_000),
        "{outputs:?}"
    );
}

#[test]
fn a_ping_cut_in_two_is_still_a_ping() {
    let mut w = World::new(23);
    let end = &mut w.ends[B];
    let (far, near) = (addr(A, 9), addr(B, TCP));
    let stream = end.flows.accept(w.now, Transport::Tcp, far, near, &mut end.rng).unwrap();
    let message = request("TCP", "h", 1, 0);
    for (pieces, pongs) in [
        (vec![&b"\r\n"[..], b"\r\n"], 1),
        (vec![b"\r", b"\n", b"\r", b"\n"], 1),
        (vec![b"\r\n\r", b"\n\r\n", b"\r\n"], 2),
        (vec![b"\r\n", message.as_bytes(), b"\r\n"], 0),
    ] {
        for piece in &pieces {
            end.flows.handle_data(w.now, stream, piece, &mut end.rng);
        }
        assert_eq!(end.drain().len(), pongs, "{pieces:?}");
    }
}

#[test]
fn what_nobody_fetches_is_bounded() {
    // Datagrams are dropped and counted.
    let mut w = World::new(16);
    let flow = w.ends[A].flows.open(w.now, Transport::Udp, addr(B, UDP), DOMAIN).unwrap();
    let message = request("UDP", "h", 1, 0);
    for _ in 0..MAX_QUEUED + 10 {
        w.ends[A].flows.send(w.now, flow, &message).unwrap();
    }
    assert_eq!(w.ends[A].flows.stats().overflowed, 10);
    let tcp = w.ends[A].flows.open(w.now, Transport::Tcp, addr(B, TCP), DOMAIN);
    assert_eq!(tcp, Err(FlowError::Full));
    assert_eq!(w.ends[A].drain().len(), MAX_QUEUED);
    // A stream goes down rather than lose bytes in the middle.
    for (transport, port) in [(Transport::Tcp, TCP), (Transport::Tls, TLS)] {
        let mut w = World::new(17);
        let flow = w.up(transport, port, DOMAIN);
        let message = request("TCP", "h", 1, 60_000);
        let end = &mut w.ends[A];
        let sent = (0..1000).take_while(|_| end.flows.send(w.now, flow, &message).is_ok()).count();
        assert!((100..=MAX_QUEUED_BYTES / 60_000).contains(&sent), "{sent}");
        let outputs = end.drain();
        assert!(matches!(outputs.last(), Some(FlowOutput::CloseStream { .. })));
        assert_eq!(w.down(A), (flow, FlowFailure::Unreachable));
    }
    // Messages that nobody reads.
    let mut w = World::new(18);
    let end = &mut w.ends[B];
    for _ in 0..MAX_QUEUED + 10 {
        end.flows.handle_datagram(w.now, end.socket, addr(A, 9), message.as_bytes());
    }
    assert_eq!(end.flows.stats().overflowed, 10);
    assert!(
        end.flows.accept(w.now, Transport::Tcp, addr(A, 9), addr(B, 9), &mut end.rng).is_none()
    );
    // A stream that lost one of them is of no more use.
    let mut w = World::new(19);
    w.up(Transport::Tcp, TCP, DOMAIN);
    let end = &mut w.ends[B];
    let stream = end.accepted[0];
    for _ in 0..=MAX_QUEUED {
        assert_eq!(end.flows.len(), 1);
        end.flows.handle_data(w.now, stream, message.as_bytes(), &mut end.rng);
    }
    assert!(end.flows.is_empty());
}

#[test]
fn a_close_notify_instead_of_anything_does_not_spin() {
    let mut w = World::new(21);
    let flow = w.ends[A].flows.open(w.now, Transport::Tls, addr(B, TLS), DOMAIN).unwrap();
    w.step();
    w.ends[A].flows.close(flow);
    w.settle(); // panics if it never falls silent
    assert!(w.ends.iter().all(|e| e.flows.is_empty()));
    assert!(!w.ends[B].events.iter().any(|e| matches!(e, FlowEvent::Up(_))));
}

#[test]
fn outputs_and_failures_show_no_contents() {
    let mut w = World::new(22);
    let flow = w.ends[A].flows.open(w.now, Transport::Udp, addr(B, UDP), DOMAIN).unwrap();
    w.send(A, flow, &request("UDP", "h", 1, 10));
    let flows = format!("{:?}", w.ends[A].flows);
    let shown = format!("{flows} {:?}", w.ends[A].drain());
    assert!(shown.contains("bytes)") && !shown.contains("z9hG4bK") && !shown.contains("79, 80"));
}
