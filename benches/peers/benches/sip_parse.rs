//! One SIP request from bytes to typed routing headers: this crate and other parsers, interleaved
//! in one run.
//!
//! The message is the INVITE of RFC 3261 §24.2 (F1) with 8 Via and 8 Record-Route header fields.
//! Each implementation gets the bytes, parses the message, and reads as typed values: the
//! Request-URI, every Via (transport, host, branch), From, To, Call-ID, CSeq, Contact, and every
//! Record-Route with the host of its URI. The figures are nanoseconds per message, the median and
//! the least of rounds that alternate between all implementations: for all of that, and for the
//! parser alone, which leaves header fields untyped in every implementation but this crate.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Instant;

/// Messages per round.
const BATCH: usize = 200;
const ROUNDS: usize = 401;

fn message() -> Vec<u8> {
    let mut text = String::from("INVITE sip:bob@biloxi.com SIP/2.0\r\n");
    for hop in (1..8).rev() {
        text += &format!(
            "Via: SIP/2.0/TLS proxy{hop}.atlanta.com:5061;branch=z9hG4bK77ef4c2312983.{hop}\
             ;received=192.0.2.{hop}\r\n"
        );
    }
    text += "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;received=192.0.2.100\r\n";
    for hop in (1..9).rev() {
        text += &format!("Record-Route: <sip:proxy{hop}.atlanta.com:5061;transport=tls;lr>\r\n");
    }
    text += "Max-Forwards: 70\r\nTo: Bob <sip:bob@biloxi.com>\r\n\
             From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
             Call-ID: a84b4c76e66710@pc33.atlanta.com\r\nCSeq: 314159 INVITE\r\n\
             Contact: <sip:alice@pc33.atlanta.com>\r\nContent-Type: application/sdp\r\n\
             Content-Length: 142\r\n\r\n\
             v=0\r\no=alice 2890844526 2890844526 IN IP4 pc33.atlanta.com\r\ns=Session SDP\r\n\
             c=IN IP4 pc33.atlanta.com\r\nt=0 0\r\nm=audio 3456 RTP/AVP 0\r\n";
    // The length of the body above, whatever it is.
    let body = text.split_once("\r\n\r\n").expect("a body").1.len();
    text.replace("Content-Length: 142", &format!("Content-Length: {body}")).into_bytes()
}

/// What was read; all implementations must agree.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    vias: usize,
    branches: usize,
    routes: usize,
    cseq: u32,
    tag: usize,
    contacts: usize,
}

fn subrosa(bytes: &[u8]) -> Seen {
    let m = subrosa::wire::sip::Message::parse(bytes).unwrap();
    let mut seen = Seen { cseq: m.cseq().number, ..Seen::default() };
    black_box((m.request_uri().unwrap().host(), m.call_id(), m.to().uri().host()));
    for via in m.vias() {
        black_box((via.transport(), via.host()));
        seen.vias += 1;
        seen.branches += via.branch().map_or(0, str::len);
    }
    for route in m.record_routes() {
        black_box(route.uri().host());
        seen.routes += 1;
    }
    seen.tag = m.from().tag().map_or(0, str::len);
    seen.contacts = m.contacts().map(|c| black_box(c.uri().host())).count();
    seen
}

fn rsip(bytes: &[u8]) -> Seen {
    use rsip::prelude::*;
    let m = rsip::Request::try_from(bytes).unwrap();
    let mut seen = Seen::default();
    black_box((&m.uri, m.call_id_header().unwrap()));
    black_box(m.to_header().unwrap().typed().unwrap());
    for header in m.headers().iter() {
        match header {
            rsip::Header::Via(via) => {
                let via = via.typed().unwrap();
                seen.vias += 1;
                seen.branches += via.branch().map_or(0, |b| b.value().len());
                black_box(via);
            }
            rsip::Header::RecordRoute(route) => {
                seen.routes += route.typed().unwrap().uris().len();
            }
            rsip::Header::Contact(contact) => {
                black_box(contact.typed().unwrap());
                seen.contacts += 1;
            }
            _ => {}
        }
    }
    let from = m.from_header().unwrap().typed().unwrap();
    seen.tag = from.tag().map_or(0, |t| t.value().len());
    seen.cseq = m.cseq_header().unwrap().typed().unwrap().seq;
    seen
}

fn sipx(bytes: &[u8]) -> Seen {
    use sipx_sip::headers::{CSeq, CallId, Contact, From, RecordRoute, To, Via};
    let buf = bytes::Bytes::copy_from_slice(bytes);
    let m = sipx_sip::parser::parse_datagram(buf, &sipx_sip::parser::Limits::datagram()).unwrap();
    let sipx_sip::message::Message::Request(m) = m else { panic!("a request") };
    let mut seen = Seen::default();
    black_box((&m.uri, m.headers.typed::<CallId>().unwrap().unwrap()));
    black_box(m.headers.typed::<To>().unwrap().unwrap());
    for via in m.headers.typed_all::<Via>() {
        let via = via.unwrap();
        seen.vias += 1;
        seen.branches += via.branch().map_or(0, <[u8]>::len);
        black_box(via);
    }
    for route in m.headers.typed_all::<RecordRoute>() {
        black_box(route.unwrap());
        seen.routes += 1;
    }
    for contact in m.headers.typed_all::<Contact>() {
        black_box(contact.unwrap());
        seen.contacts += 1;
    }
    seen.tag = m.headers.typed::<From>().unwrap().unwrap().tag().map_or(0, <[u8]>::len);
    seen.cseq = m.headers.typed::<CSeq>().unwrap().unwrap().sequence;
    seen
}

fn rsiprtp(bytes: &[u8]) -> Seen {
    use rsiprtp::sip::parser::{Header, Message};
    let Message::Request(m) = Message::parse(bytes).unwrap() else { panic!("a request") };
    let mut seen = Seen::default();
    black_box(rsiprtp::sip::SipUri::parse(&m.uri).unwrap());
    for header in m.headers.iter() {
        match header {
            Header::Via(_) => {
                let via = header.typed_via().unwrap().unwrap();
                seen.vias += 1;
                seen.branches += via.branch().map_or(0, str::len);
                black_box(via);
            }
            Header::RecordRoute(value) => {
                black_box(rsiprtp::sip::RecordRoute::parse(value).unwrap());
                seen.routes += 1;
            }
            Header::Contact(_) => {
                black_box(header.typed_contact().unwrap().unwrap());
                seen.contacts += 1;
            }
            Header::To(_) => {
                black_box(header.typed_to().unwrap().unwrap());
            }
            Header::From(_) => {
                let from = header.typed_from().unwrap().unwrap();
                seen.tag = from.tag().map_or(0, str::len);
            }
            Header::CSeq(_) => seen.cseq = header.typed_cseq().unwrap().unwrap().seq,
            Header::CallId(value) => {
                black_box(value);
            }
            _ => {}
        }
    }
    seen
}

fn rsipstack(bytes: &[u8]) -> Seen {
    use rsipstack::sip::{Header, HeadersExt, SipMessage, headers::untyped::ToTypedHeader, typed};
    let SipMessage::Request(m) = rsipstack::sip::parser::parse_message(bytes).unwrap() else {
        panic!("a request")
    };
    let mut seen = Seen::default();
    black_box((m.uri(), m.call_id_header().unwrap()));
    black_box(m.to_header().unwrap().typed().unwrap());
    for header in m.headers.iter() {
        if let Header::Via(via) = header {
            let via = typed::Via::parse(via.value()).unwrap();
            seen.vias += 1;
            seen.branches += via.branch().map_or(0, |b| b.value().len());
            black_box(via);
        }
    }
    seen.routes = black_box(m.typed_record_route_headers().unwrap()).len();
    seen.contacts = black_box(m.typed_contact_headers().unwrap()).len();
    let from = m.from_header().unwrap().typed().unwrap();
    seen.tag = from.tag().map_or(0, |t| t.value().len());
    seen.cseq = m.cseq_header().unwrap().typed().unwrap().seq;
    seen
}

/// Name, parser, parser and typed headers.
type Parser = (&'static str, fn(&[u8]), fn(&[u8]) -> Seen);

const PARSERS: [Parser; 5] = [
    ("subrosa", |b| drop(black_box(subrosa::wire::sip::Message::parse(b).unwrap())), subrosa),
    ("rsip 0.4", |b| drop(black_box(rsip::Request::try_from(b).unwrap())), rsip),
    (
        "sipx-sip 1.0",
        |b| {
            let limits = sipx_sip::parser::Limits::datagram();
            let bytes = bytes::Bytes::copy_from_slice(b);
            drop(black_box(sipx_sip::parser::parse_datagram(bytes, &limits).unwrap()));
        },
        sipx,
    ),
    ("rsiprtp 0.4", |b| drop(black_box(rsiprtp::sip::parser::Message::parse(b).unwrap())), rsiprtp),
    (
        "rsipstack 0.7",
        |b| drop(black_box(rsipstack::sip::parser::parse_message(b).unwrap())),
        rsipstack,
    ),
];

/// Nanoseconds per message of one round.
fn round<T>(bytes: &[u8], parse: fn(&[u8]) -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        black_box(parse(black_box(bytes)));
    }
    start.elapsed().as_nanos() as f64 / BATCH as f64
}

fn main() {
    let bytes = message();
    let want = subrosa(&bytes);
    assert_eq!((want.vias, want.routes, want.cseq, want.contacts), (8, 8, 314_159, 1));
    for (name, _, typed) in PARSERS {
        assert_eq!(typed(&bytes), want, "{name}");
    }
    // Of each parser: as it parses, and with its headers typed.
    let mut times = PARSERS.map(|_| [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)]);
    for _ in 0..ROUNDS {
        for ((_, parse, typed), [alone, all]) in PARSERS.iter().zip(&mut times) {
            alone.push(round(&bytes, *parse));
            all.push(round(&bytes, *typed));
        }
    }
    println!(
        "INVITE of {} bytes, {ROUNDS} rounds of {BATCH} messages, ns per message",
        bytes.len()
    );
    println!("{:<16} {:>20} {:>27}", "", "as it parses", "with typed headers");
    println!("{:<16} {:>9} {:>9} {:>17} {:>9}", "", "median", "least", "median", "least");
    for ((name, ..), times) in PARSERS.iter().zip(&mut times) {
        let [alone, all] = times.each_mut().map(|t| {
            t.sort_by(f64::total_cmp);
            (t[t.len() / 2], t[0])
        });
        println!("{name:<16} {:>9.0} {:>9.0} {:>17.0} {:>9.0}", alone.0, alone.1, all.0, all.1);
    }
}
