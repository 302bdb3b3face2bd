//! The layer over real messages, in virtual time.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::testing::at;
use super::*;
use crate::sip::FlowId;
use crate::util::SeededRng;
use crate::wire::sip::{HeaderName, Message, Method};

const FLOW: FlowId = FlowId::from_raw(1 << 32);
const OTHER: FlowId = FlowId::from_raw((1 << 32) | 1);

fn layer() -> TransactionLayer {
    TransactionLayer::new(TransactionConfig::default(), &mut SeededRng::new(1))
}

fn request(method: &str, branch: &str, to_tag: Option<&str>) -> Message {
    let tag = to_tag.map(|t| format!(";tag={t}")).unwrap_or_default();
    let text = format!(
        "{method} sip:bob@biloxi.example;x=1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP a.example:5070;branch={branch};rport\r\n\
         Via: SIP/2.0/UDP further.example;branch=z9hG4bKfar\r\n\
         Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\nRoute: <sip:p3.example;lr>\r\n\
         From: Alice <sip:alice@atlanta.example>;tag=a1\r\nTo: <sip:bob@biloxi.example>{tag}\r\n\
         Call-ID: c1\r\nCSeq: 5 {method}\r\nMax-Forwards: 70\r\nProxy-Require: foo\r\n\
         Contact: <sip:alice@pc.example>\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes()).unwrap()
}

/// A request of ours: one Via.
fn own(method: &str, branch: &str) -> Message {
    let via = format!("SIP/2.0/UDP a.example:5070;branch={branch};rport");
    request(method, branch, None).edit().replace(HeaderName::Via, via).finish().unwrap()
}

fn answer(request: &Message, status: u16, tag: &str) -> Message {
    request.response(status, "X").to_tag(tag).finish().unwrap()
}

fn sent(layer: &mut TransactionLayer) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(t) = layer.poll_transmit() {
        let line = String::from_utf8_lossy(t.message.as_bytes());
        let line = line.lines().next().unwrap_or_default().to_string();
        seen.push(line.replace(" sip:bob@biloxi.example;x=1 SIP/2.0", ""));
    }
    seen
}

fn events(layer: &mut TransactionLayer) -> Vec<TransactionEvent> {
    core::iter::from_fn(|| layer.poll_event()).collect()
}

fn names(layer: &mut TransactionLayer) -> Vec<String> {
    let name = |e: TransactionEvent| {
        let text = format!("{e:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_string()
    };
    events(layer).into_iter().map(name).collect()
}

fn arrive(layer: &mut TransactionLayer, ms: u64, message: &Message) {
    layer.receive(at(ms), message.clone(), FLOW, false);
}

/// The server transaction of a request that just arrived.
fn accept(layer: &mut TransactionLayer, message: &Message) -> ServerTxId {
    arrive(layer, 0, message);
    match events(layer).as_slice() {
        [TransactionEvent::Request { tx, .. }] => *tx,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_ack_of_a_refusal_goes_the_way_of_the_invite() {
    let mut l = layer();
    let invite = own("INVITE", "z9hG4bK1");
    l.send_request(at(0), invite.clone(), FLOW, false).unwrap();
    arrive(&mut l, 10, &answer(&invite, 486, "b1"));
    l.poll_transmit().unwrap();
    let ack = l.poll_transmit().unwrap().message;
    assert_eq!(ack.method(), &Method::Ack);
    assert_eq!(ack.request_uri().unwrap().as_str(), "sip:bob@biloxi.example;x=1");
    let vias: Vec<_> = ack.headers(HeaderName::Via).collect();
    assert_eq!(vias, ["SIP/2.0/UDP a.example:5070;branch=z9hG4bK1;rport"]);
    let routes: Vec<_> = ack.routes().map(|r| r.uri().as_str().to_string()).collect();
    assert_eq!(routes, ["sip:p1.example;lr", "sip:p2.example;lr", "sip:p3.example;lr"]);
    assert_eq!((ack.to().tag(), ack.from().tag()), (Some("b1"), Some("a1")));
    assert_eq!((ack.call_id(), ack.cseq().number), ("c1", 5));
    assert!(ack.header(HeaderName::ProxyRequire).is_none());
    arrive(&mut l, 500, &answer(&invite, 486, "b1"));
    assert_eq!(sent(&mut l), ["ACK"]);
    assert_eq!(names(&mut l), ["Response"]);
    l.handle_timeout(at(32010));
    assert_eq!(names(&mut l), ["ClientTerminated"]);
    assert!(l.is_empty());
}

#[test]
fn cancel_waits_for_a_provisional_and_is_a_transaction_of_its_own() {
    let mut l = layer();
    let invite = own("INVITE", "z9hG4bK1");
    let tx = l.send_request(at(0), invite.clone(), FLOW, false).unwrap();
    l.cancel(at(5), tx).unwrap();
    assert_eq!(sent(&mut l), ["INVITE"]);
    arrive(&mut l, 10, &answer(&invite, 100, "b1"));
    let cancel = l.poll_transmit().unwrap().message;
    assert_eq!(cancel.method(), &Method::Cancel);
    assert_eq!(cancel.request_uri().unwrap().as_str(), "sip:bob@biloxi.example;x=1");
    assert_eq!(cancel.header(HeaderName::Via), invite.header(HeaderName::Via));
    assert_eq!((cancel.to().tag(), cancel.cseq().number), (None, 5));
    assert_eq!(cancel.routes().count(), 3);
    assert!(cancel.header(HeaderName::ProxyRequire).is_none());
    l.handle_timeout(at(510));
    assert_eq!(sent(&mut l), ["CANCEL"]);
    // The CANCEL's own response stays inside; the INVITE gets its 487.
    arrive(&mut l, 520, &answer(&cancel, 200, "b1"));
    assert_eq!(names(&mut l), ["Response"]);
    arrive(&mut l, 530, &answer(&invite, 487, "b1"));
    assert_eq!(
        (names(&mut l), sent(&mut l)),
        (["Response".to_string()].into(), ["ACK".to_string()].into())
    );
}

#[test]
fn a_final_response_before_any_provisional_leaves_the_cancel_unsent() {
    for status in [200, 486] {
        let mut l = layer();
        let invite = own("INVITE", "z9hG4bK1");
        let tx = l.send_request(at(0), invite.clone(), FLOW, false).unwrap();
        l.cancel(at(5), tx).unwrap();
        arrive(&mut l, 10, &answer(&invite, status, "b1"));
        assert!(!sent(&mut l).contains(&"CANCEL".to_string()));
        assert_eq!(l.cancel(at(11), tx), Ok(()));
        assert!(sent(&mut l).is_empty());
    }
    let mut l = layer();
    let tx = l.send_request(at(0), own("OPTIONS", "z9hG4bK1"), FLOW, false).unwrap();
    assert_eq!(l.cancel(at(1), tx), Err(TransactionError::NotAnInvite));
}

#[test]
fn every_2xx_of_a_fork_reaches_the_tu_and_a_late_one_is_stray() {
    let mut l = layer();
    let invite = own("INVITE", "z9hG4bK1");
    l.send_request(at(0), invite.clone(), FLOW, false).unwrap();
    for (ms, tag) in [(10, "b1"), (20, "b2"), (510, "b1")] {
        arrive(&mut l, ms, &answer(&invite, 200, tag));
    }
    assert_eq!(names(&mut l), ["Response", "Response", "Response"]);
    assert_eq!(sent(&mut l), ["INVITE"]);
    l.handle_timeout(at(32010));
    assert_eq!(names(&mut l), ["ClientTerminated"]);
    arrive(&mut l, 32020, &answer(&invite, 200, "b3"));
    assert_eq!(names(&mut l), ["Stray2xx"]);
    arrive(&mut l, 32020, &answer(&invite, 486, "b3"));
    arrive(&mut l, 32020, &answer(&own("OPTIONS", "z9hG4bK2"), 200, "b3"));
    assert_eq!((names(&mut l).len(), l.stats().stray_responses), (0, 2));
}

#[test]
fn a_response_that_is_not_quite_ours_is_counted_and_dropped() {
    let mut l = layer();
    let options = own("OPTIONS", "z9hG4bK1");
    l.send_request(at(0), options.clone(), FLOW, true).unwrap();
    let good = answer(&options, 200, "b1");
    let with = |name, value: &str| good.edit().replace(name, value).finish().unwrap();
    let two =
        good.edit().header(HeaderName::Via, "SIP/2.0/UDP x;branch=z9hG4bKx").finish().unwrap();
    let forged = [
        with(HeaderName::CallId, "c2"),
        with(HeaderName::CSeq, "6 OPTIONS"),
        with(HeaderName::From, "<sip:alice@atlanta.example>;tag=zz"),
        with(HeaderName::Via, "SIP/2.0/UDP evil.example;branch=z9hG4bK1"),
        two,
    ];
    for message in &forged {
        l.receive(at(1), message.clone(), FLOW, true);
    }
    l.receive(at(1), good.clone(), OTHER, true);
    assert_eq!((names(&mut l).len(), l.stats().foreign_responses), (0, 6));
    l.receive(at(1), good, FLOW, true);
    assert_eq!(names(&mut l), ["Response", "ClientTerminated"]);
}

#[test]
fn an_invite_gets_100_and_its_retransmissions_the_latest_response() {
    let mut l = layer();
    let invite = request("INVITE", "z9hG4bK1", None);
    let tx = accept(&mut l, &invite);
    assert_eq!(l.next_timeout(), Some(at(200)));
    l.handle_timeout(at(200));
    assert_eq!(sent(&mut l), ["SIP/2.0 100 Trying"]);
    arrive(&mut l, 500, &invite);
    assert_eq!(sent(&mut l), ["SIP/2.0 100 Trying"]);
    l.respond(at(600), tx, answer(&invite, 180, "b1")).unwrap();
    arrive(&mut l, 700, &invite);
    assert_eq!(sent(&mut l), ["SIP/2.0 180 X", "SIP/2.0 180 X"]);
    l.respond(at(800), tx, answer(&invite, 200, "b1")).unwrap();
    arrive(&mut l, 900, &invite);
    assert_eq!(sent(&mut l), ["SIP/2.0 200 X"]);
    assert!(names(&mut l).is_empty());
    let late = l.respond(at(901), tx, answer(&invite, 486, "b1"));
    assert_eq!(late, Err(TransactionError::AlreadyAnswered));
    // The ACK of a 2xx has a branch of its own.
    arrive(&mut l, 1000, &request("ACK", "z9hG4bK2", Some("b1")));
    assert!(matches!(events(&mut l).as_slice(), [TransactionEvent::Ack { tx: None, .. }]));
    l.handle_timeout(at(32800));
    assert_eq!(names(&mut l), ["ServerTerminated"]);
    assert_eq!((l.is_empty(), l.server_bytes), (true, 0));
    let gone = l.respond(at(32801), tx, answer(&invite, 200, "b1"));
    assert_eq!(gone, Err(TransactionError::Unknown));
}

#[test]
fn the_ack_of_a_refusal_is_absorbed_and_a_missing_one_is_told() {
    let mut l = layer();
    let invite = request("INVITE", "z9hG4bK1", None);
    let tx = accept(&mut l, &invite);
    l.respond(at(0), tx, answer(&invite, 486, "b1")).unwrap();
    arrive(&mut l, 10, &request("ACK", "z9hG4bK1", Some("b1")));
    assert_eq!((names(&mut l).len(), l.next_timeout()), (0, Some(at(5010))));
    l.handle_timeout(at(5010));
    assert_eq!(names(&mut l), ["ServerTerminated"]);
    let tx = accept(&mut l, &invite);
    l.respond(at(0), tx, answer(&invite, 486, "b1")).unwrap();
    while let Some(now) = l.next_timeout() {
        l.handle_timeout(now);
    }
    assert_eq!(names(&mut l), ["ServerFailed", "ServerTerminated"]);
    assert_eq!((l.stats().retransmissions_out, l.stats().timeouts), (10, 1));
}

#[test]
fn cancel_is_answered_here_and_told_once_while_the_invite_is_pending() {
    let mut l = layer();
    let invite = request("INVITE", "z9hG4bK1", None);
    let cancel = request("CANCEL", "z9hG4bK1", None);
    arrive(&mut l, 0, &cancel);
    assert_eq!(sent(&mut l), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    let tx = accept(&mut l, &invite);
    l.respond(at(1), tx, answer(&invite, 180, "b1")).unwrap();
    sent(&mut l);
    arrive(&mut l, 2, &cancel);
    let ok = l.poll_transmit().unwrap().message;
    assert_eq!((ok.status(), ok.to().tag(), ok.method()), (Some(200), Some("b1"), &Method::Cancel));
    arrive(&mut l, 3, &cancel);
    assert_eq!(sent(&mut l), ["SIP/2.0 200 OK"]);
    match events(&mut l).as_slice() {
        [TransactionEvent::Cancelled { tx: cancelled, .. }] => assert_eq!(*cancelled, tx),
        other => panic!("{other:?}"),
    }
    l.respond(at(4), tx, answer(&invite, 487, "b1")).unwrap();
    assert_eq!(sent(&mut l), ["SIP/2.0 487 X"]);
    // Another hop's branch or sent-by is another transaction.
    let foreign = cancel.edit().replace(HeaderName::Via, "SIP/2.0/UDP b.example;branch=z9hG4bK1");
    arrive(&mut l, 5, &foreign.finish().unwrap());
    assert_eq!(sent(&mut l), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    assert_eq!(l.stats().unmatched_cancels, 2);
}

#[test]
fn a_cancel_that_crosses_the_final_response_changes_nothing() {
    for status in [200, 486] {
        let mut l = layer();
        let invite = request("INVITE", "z9hG4bK1", None);
        let tx = accept(&mut l, &invite);
        l.respond(at(1), tx, answer(&invite, status, "b1")).unwrap();
        sent(&mut l);
        arrive(&mut l, 2, &request("CANCEL", "z9hG4bK1", None));
        assert_eq!(sent(&mut l), ["SIP/2.0 200 OK"]);
        assert!(names(&mut l).is_empty());
    }
}

#[test]
fn a_request_that_came_by_two_ways_is_taken_once() {
    let mut l = layer();
    let tx = accept(&mut l, &request("INVITE", "z9hG4bK1", None));
    let other = request("INVITE", "z9hG4bK2", None);
    arrive(&mut l, 1, &other);
    arrive(&mut l, 2, &other);
    assert_eq!(sent(&mut l), ["SIP/2.0 482 Loop Detected", "SIP/2.0 482 Loop Detected"]);
    assert_eq!((names(&mut l).len(), l.stats().merged), (0, 2));
    // In a dialog the tags tell; another CSeq is another request.
    arrive(&mut l, 3, &request("INVITE", "z9hG4bK3", Some("b1")));
    let next = request("INVITE", "z9hG4bK4", None).edit().replace(HeaderName::CSeq, "6 INVITE");
    arrive(&mut l, 4, &next.finish().unwrap());
    assert_eq!(names(&mut l), ["Request", "Request"]);
    l.respond(at(5), tx, answer(&request("INVITE", "z9hG4bK1", None), 200, "b1")).unwrap();
    l.handle_timeout(at(32005));
    names(&mut l);
    arrive(&mut l, 32006, &other);
    assert_eq!(names(&mut l), ["Request"]);
}

#[test]
fn old_branches_are_matched_by_the_rules_of_rfc_2543() {
    let mut l = layer();
    let invite = request("INVITE", "1", None);
    let tx = accept(&mut l, &invite);
    arrive(&mut l, 1, &invite);
    assert!(names(&mut l).is_empty());
    l.respond(at(2), tx, answer(&invite, 486, "b1")).unwrap();
    // The ACK of the refusal bears the tag of our response; another tag is another call.
    arrive(&mut l, 3, &request("ACK", "1", Some("zz")));
    assert_eq!(names(&mut l), ["Ack"]);
    arrive(&mut l, 4, &request("ACK", "1", Some("b1")));
    assert!(names(&mut l).is_empty());
    l.handle_timeout(at(5004));
    assert_eq!(names(&mut l), ["ServerTerminated"]);
    let tx = accept(&mut l, &invite);
    arrive(&mut l, 1, &request("CANCEL", "1", None));
    match events(&mut l).as_slice() {
        [TransactionEvent::Cancelled { tx: cancelled, .. }] => assert_eq!(*cancelled, tx),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_layer_answers_503_and_recovers() {
    let config = TransactionConfig { max_transactions: 2, ..TransactionConfig::default() };
    let small = TransactionConfig { max_server_bytes: 4096, ..TransactionConfig::default() };
    for config in [config, small] {
        let mut l = TransactionLayer::new(config, &mut SeededRng::new(1));
        let nth = |i: usize| {
            let m = request("OPTIONS", &format!("z9hG4bK{i}"), None);
            m.edit().replace(HeaderName::CallId, format!("c{i}")).finish().unwrap()
        };
        for i in 0..5 {
            arrive(&mut l, 0, &nth(i));
        }
        assert_eq!(sent(&mut l), ["SIP/2.0 503 Service Unavailable"; 3]);
        assert_eq!((names(&mut l).len(), l.stats().overloaded), (2, 3));
        l.handle_timeout(at(32000));
        assert_eq!(names(&mut l).len(), 4);
        arrive(&mut l, 32001, &nth(9));
        assert_eq!(names(&mut l), ["Request"]);
    }
    let config = TransactionConfig { max_transactions: 1, ..TransactionConfig::default() };
    let mut l = TransactionLayer::new(config, &mut SeededRng::new(1));
    l.send_request(at(0), own("OPTIONS", "z9hG4bK1"), FLOW, false).unwrap();
    let full = l.send_request(at(0), own("OPTIONS", "z9hG4bK2"), FLOW, false);
    assert_eq!(full, Err(TransactionError::Full));
}

#[test]
fn nobody_polling_costs_no_memory() {
    let config = TransactionConfig { max_backlog: 3, ..TransactionConfig::default() };
    let mut l = TransactionLayer::new(config, &mut SeededRng::new(1));
    for _ in 0..10 {
        arrive(&mut l, 0, &request("ACK", "z9hG4bK1", Some("b1")));
    }
    assert_eq!((names(&mut l).len(), l.stats().backlogged), (3, 7));
}

#[test]
fn misuse_is_refused_with_a_reason() {
    let mut l = layer();
    let invite = own("INVITE", "z9hG4bK1");
    let mut send = |m: Message| l.send_request(at(0), m, FLOW, false).err();
    assert_eq!(send(own("ACK", "z9hG4bK1")), Some(TransactionError::NotARequest));
    assert_eq!(send(answer(&invite, 200, "b1")), Some(TransactionError::NotARequest));
    assert_eq!(send(own("INVITE", "1")), Some(TransactionError::NoBranch));
    assert_eq!(send(invite.clone()), None);
    assert_eq!(send(invite.clone()), Some(TransactionError::BranchInUse));
    let message = request("MESSAGE", "z9hG4bK1", None);
    let tx = accept(&mut l, &message);
    let wrong = answer(&request("MESSAGE", "z9hG4bK2", None), 200, "b1");
    assert_eq!(l.respond(at(0), tx, wrong), Err(TransactionError::NotTheResponse));
    assert_eq!(l.respond(at(0), tx, message), Err(TransactionError::NotTheResponse));
}

#[test]
fn a_lost_flow_fails_what_it_carried_and_nothing_else() {
    let mut l = layer();
    l.send_request(at(0), own("INVITE", "z9hG4bK1"), FLOW, true).unwrap();
    l.send_request(at(0), own("OPTIONS", "z9hG4bK2"), OTHER, true).unwrap();
    let invite = request("INVITE", "z9hG4bK3", None);
    l.receive(at(0), invite.clone(), FLOW, true);
    names(&mut l);
    l.transport_error(at(1), FLOW);
    assert_eq!(names(&mut l), ["ClientFailed", "ClientTerminated", "ServerFailed"]);
    assert_eq!((l.len(), l.stats().transport_errors), ((1, 1), 2));
    // The caller connects anew and repeats its INVITE: the answer takes the new way.
    sent(&mut l);
    l.receive(at(2), invite, OTHER, true);
    assert_eq!(l.poll_transmit().unwrap().flow, OTHER);
}

#[test]
fn a_timeout_tells_the_tu_once() {
    for method in ["INVITE", "REGISTER"] {
        let mut l = layer();
        l.send_request(at(0), own(method, "z9hG4bK1"), FLOW, false).unwrap();
        while let Some(now) = l.next_timeout() {
            l.handle_timeout(now);
        }
        assert_eq!(names(&mut l), ["ClientFailed", "ClientTerminated"]);
        assert_eq!(sent(&mut l).len(), if method == "INVITE" { 7 } else { 11 });
        assert!(l.is_empty());
    }
}
