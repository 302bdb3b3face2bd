//! How calls begin and end, against a scripted peer: early media as the caller hears it, each
//! reason why a call is over, and what the far end is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/peer.rs"]
mod peer;

use lab::{Lab, SDP, in_dialog, ok, sdp, their_invite};
use subrosa::engine::{CallError, CallOptions, CallState, EndReason, Event, FailureReason};
use subrosa::wire::sip::{HeaderName, Message, MessageBuilder, Method};

fn is_new_call(m: &Message) -> bool {
    m.is_request() && *m.method() == Method::Invite && m.to().tag().is_none()
}

fn progress(m: &Message, body: &str) -> MessageBuilder {
    m.response(183, "Session Progress")
        .to_tag("peer")
        .header(HeaderName::Contact, "<sip:peer@peer.test>")
        .body("application/sdp", body.as_bytes())
}

fn bare_ok(m: &Message) -> MessageBuilder {
    m.response(200, "OK").to_tag("peer").header(HeaderName::Contact, "<sip:peer@peer.test>")
}

#[test]
fn a_caller_hears_early_media_and_a_200_of_the_same_fork_need_not_repeat_it() {
    let mut lab = Lab::new(|turn, m| {
        if is_new_call(m) {
            turn.send(progress(m, SDP));
            turn.send(bare_ok(m));
        }
    });
    let id = lab.call();
    lab.run(500);
    let early = |(_, e): &(_, Event)| {
        matches!(e, Event::CallProgress { status: 183, early_media: true, .. })
    };
    assert!(lab.world.host(lab.alice).events().iter().any(early));
    assert_eq!((lab.state(id), lab.heard("ACK").len()), (CallState::Established, 1));
}

#[test]
fn a_200_without_any_description_is_acknowledged_and_ended() {
    let mut lab = Lab::new(|turn, m| {
        if is_new_call(m) {
            turn.send(bare_ok(m));
        } else if m.is_request() && *m.method() == Method::Bye {
            turn.reply(m, 200);
        }
    });
    lab.call();
    lab.run(500);
    let ended = lab.ended();
    assert!(matches!(ended, Some(EndReason::Failed(FailureReason::Negotiation(_)))), "{ended:?}");
    assert_eq!((lab.heard("ACK").len(), lab.heard("BYE").len()), (1, 1));
}

#[test]
fn a_refusal_is_told_with_its_status_and_its_words() {
    for status in [302, 404, 486, 503, 603] {
        let mut lab = Lab::new(move |turn, m| {
            if is_new_call(m) {
                turn.reply(m, 180);
                turn.reply(m, status);
            }
        });
        lab.call();
        lab.run(500);
        let reason = "Scripted".to_string();
        assert_eq!(lab.ended(), Some(EndReason::Refused { status, reason }));
        assert_eq!(lab.heard("ACK").len(), 1);
    }
}

#[test]
fn a_call_is_rejected_with_a_status_that_rejects() {
    let mut lab = Lab::new(|_, _| {});
    lab.send(&their_invite());
    lab.run(100);
    let id = lab.incoming();
    lab.world.command(lab.alice, |engine, now| {
        for status in [0, 180, 200, 302, 399, 700] {
            let rejected = engine.call(id).unwrap().reject(now, status);
            assert_eq!(rejected, Err(CallError::BadStatus(status)));
        }
        engine.call(id).unwrap().reject(now, 486).unwrap();
        let again = engine.call(id).unwrap().reject(now, 486);
        assert!(matches!(again, Err(CallError::WrongState { .. })), "{again:?}");
    });
    lab.run(100);
    assert_eq!(lab.ended(), Some(EndReason::Rejected(486)));
    assert!(lab.statuses().contains(&486) && !lab.statuses().contains(&200));
}

/// A request that belongs to the call of `their_invite`, before its answer.
fn of_their_call(method: &str, number: u32, branch: &str, tag: &str) -> String {
    format!(
        "{method} sip:alice@peer.test SIP/2.0\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch={branch};rport\n\
         Max-Forwards: 70\nFrom: <sip:bob@peer.test>;tag=b\nTo: <sip:alice@peer.test>{tag}\n\
         Call-ID: theirs\nCSeq: {number} {method}\nContent-Length: 0\n\n"
    )
}

/// The statuses that a method got, 100 left out.
fn answers(lab: &Lab, method: &Method) -> Vec<u16> {
    let seen = &lab.world.host(lab.peer).seen;
    let of = seen.iter().filter(|(_, _, m)| m.method() == method);
    of.filter_map(|(_, _, m)| m.status()).filter(|s| *s > 100).collect()
}

#[test]
fn a_caller_who_cancels_gets_200_and_487() {
    let mut lab = Lab::new(|_, _| {});
    lab.send(&their_invite());
    lab.run(100);
    lab.send(&of_their_call("CANCEL", 1, "z9hG4bKi1", ""));
    lab.run(100);
    assert_eq!(lab.ended(), Some(EndReason::RemoteCancelled));
    assert_eq!(answers(&lab, &Method::Cancel), [200]);
    assert_eq!(answers(&lab, &Method::Invite)[0], 487);
}

#[test]
fn a_bye_before_the_answer_ends_the_invite_too() {
    let mut lab = Lab::new(|_, _| {});
    lab.send(&their_invite());
    lab.run(100);
    let id = lab.incoming();
    lab.world.command(lab.alice, |engine, now| engine.call(id).unwrap().ring(now).unwrap());
    lab.run(100);
    let seen = &lab.world.host(lab.peer).seen;
    let tag = seen.iter().find_map(|(_, _, m)| m.to().tag().map(str::to_string)).unwrap();
    lab.send(&of_their_call("BYE", 2, "z9hG4bKb2", &format!(";tag={tag}")));
    lab.run(100);
    assert_eq!(lab.ended(), Some(EndReason::RemoteHangUp));
    assert_eq!(answers(&lab, &Method::Bye), [200]);
    assert_eq!(answers(&lab, &Method::Invite)[..2], [180, 487]);
}

#[test]
fn a_re_invite_that_gets_408_or_481_ends_the_call() {
    for status in [408, 481] {
        let mut lab = Lab::new(move |turn, m| match m.method() {
            Method::Invite if is_new_call(m) => turn.send(ok(m, "peer", SDP)),
            Method::Invite if m.is_request() => turn.reply(m, status),
            Method::Bye if m.is_request() => turn.reply(m, 200),
            _ => {}
        });
        let id = lab.call();
        lab.run(500);
        lab.world.command(lab.alice, |engine, now| engine.call(id).unwrap().hold(now).unwrap());
        lab.run(500);
        let reason = FailureReason::Status(status, "Scripted".to_string());
        assert_eq!(lab.ended(), Some(EndReason::Failed(reason)));
        assert_eq!(lab.heard("BYE").len(), 1);
    }
}

#[test]
fn after_491_their_offer_is_answered_as_if_ours_had_never_been() {
    let mut lab = Lab::new(|turn, m| match m.method() {
        Method::Invite if is_new_call(m) => turn.send(ok(m, "peer", SDP)),
        Method::Invite if m.is_request() => turn.reply(m, 491),
        _ => {}
    });
    let id = lab.call();
    lab.run(500);
    let invite = lab.heard("INVITE")[0].clone();
    lab.world.command(lab.alice, |engine, now| engine.call(id).unwrap().hold(now).unwrap());
    lab.run(500);
    lab.send(&in_dialog("INVITE", 7, &invite, "peer", &sdp(2, "")));
    lab.run(500);
    let seen = &lab.world.host(lab.peer).seen;
    let answer = seen.iter().rev().find(|(_, _, m)| m.status().is_some()).unwrap();
    assert_eq!(answer.2.status(), Some(200), "{}", lab.world.ladder());
    let body = String::from_utf8_lossy(answer.2.body()).into_owned();
    assert!(!body.contains("sendonly") && !body.contains("inactive"), "{body}");
}

#[test]
fn more_calls_than_are_allowed_are_busy() {
    let mut lab = Lab::with(|config| config.max_calls = 1, |_, _| {});
    lab.send(&their_invite());
    lab.run(100);
    let second = their_invite().replace("Call-ID: theirs", "Call-ID: second");
    lab.send(&second.replace("z9hG4bKi1", "z9hG4bKi2"));
    lab.run(100);
    assert_eq!(answers(&lab, &Method::Invite), [486]);
    let id = lab.incoming();
    assert_eq!(lab.state(id), CallState::Incoming);
    let accepted = lab.world.command(lab.alice, |engine, now| {
        engine.call(id).unwrap().accept(now, CallOptions::default())
    });
    assert_eq!(accepted, Ok(()));
}
