//! Crossings and foul play in calls, against scripted peers: forks, CANCEL, glare, BYE before the
//! ACK, requests from elsewhere, challenges from strangers, descriptions that change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/peer.rs"]
mod peer;

use lab::{Lab, SDP, in_dialog, ok, sdp, their_invite};
use subrosa::engine::{CallOptions, CallState, EndReason, Event, FailureReason, SecurityPolicy};
use subrosa::wire::sip::{HeaderName, Method};

#[test]
fn of_two_forks_that_answer_one_is_kept_and_the_other_gets_ack_and_bye() {
    let mut lab = Lab::new(|turn, m| match m.method() {
        Method::Invite if m.is_request() => {
            turn.send(ok(m, "one", SDP));
            turn.send(ok(m, "two", SDP));
            turn.send(ok(m, "one", SDP));
        }
        Method::Bye if m.is_request() => turn.reply(m, 200),
        _ => {}
    });
    let id = lab.call();
    lab.run(3000);
    assert_eq!(lab.state(id), CallState::Established);
    let tags = |method: &str| -> Vec<String> {
        lab.heard(method).iter().map(|m| m.to().tag().unwrap().to_string()).collect()
    };
    assert_eq!(tags("BYE"), ["two"]);
    let acks = tags("ACK");
    assert_eq!(acks.iter().filter(|t| *t == "one").count(), 2, "{acks:?}");
    assert!(acks.contains(&"two".to_string()));
}

#[test]
fn a_200_that_crosses_our_cancel_is_acknowledged_and_ended() {
    let mut lab = Lab::new(|turn, m| match m.method() {
        Method::Invite if m.is_request() => turn.reply(m, 180),
        // It answers the call in the moment of the CANCEL.
        Method::Cancel => turn.reply(m, 200),
        Method::Bye => turn.reply(m, 200),
        _ => {}
    });
    let id = lab.call();
    lab.run(500);
    let invite = lab.heard("INVITE")[0].clone();
    lab.hang_up(id);
    let to = (lab.world.ip(lab.alice), 5060).into();
    let answer = ok(&invite, "peer", SDP).finish().unwrap();
    lab.world.act(lab.peer, |_, net| net.send(5060, to, answer.as_bytes()));
    lab.run(3000);
    assert_eq!(lab.ended(), Some(EndReason::Cancelled));
    assert_eq!((lab.heard("ACK").len(), lab.heard("BYE").len()), (1, 1));
}

#[test]
fn who_gave_up_does_not_answer_a_challenge_with_another_invite() {
    let mut first = true;
    let mut lab = Lab::new(move |turn, m| match m.method() {
        Method::Invite if m.is_request() && std::mem::take(&mut first) => {}
        Method::Cancel => turn.reply(m, 200),
        _ => {}
    });
    let id = lab.call();
    lab.run(100);
    lab.hang_up(id);
    let invite = lab.heard("INVITE")[0].clone();
    let challenge = invite
        .response(407, "Who")
        .to_tag("peer")
        .header(HeaderName::ProxyAuthenticate, "Digest realm=\"peer.test\", nonce=\"n\"");
    let to = (lab.world.ip(lab.alice), 5060).into();
    let challenge = challenge.finish().unwrap();
    lab.world.act(lab.peer, |_, net| net.send(5060, to, challenge.as_bytes()));
    lab.run(2000);
    assert_eq!(lab.ended(), Some(EndReason::Cancelled));
    assert!(lab.heard("INVITE").iter().all(|m| m.cseq().number == 1));
}

#[test]
fn re_invites_that_cross_get_491_and_ours_comes_again() {
    let mut lab = Lab::new(|turn, m| {
        if m.is_request() && *m.method() == Method::Invite && m.to().tag().is_none() {
            turn.send(ok(m, "peer", SDP));
        } else if m.is_request() && *m.method() == Method::Invite && m.cseq().number == 2 {
            turn.reply(m, 491);
        } else if m.is_request() && *m.method() == Method::Invite {
            turn.send(ok(m, "peer", &sdp(2, "a=recvonly\r\n")));
        }
    });
    let id = lab.call();
    lab.run(500);
    let invite = lab.heard("INVITE")[0].clone();
    lab.world.command(lab.alice, |engine, now| engine.call(id).unwrap().hold(now).unwrap());
    // Before our re-INVITE arrives, theirs is on its way.
    let theirs = in_dialog("INVITE", 7, &invite, "peer", &sdp(2, ""));
    lab.send(&theirs);
    lab.run(1500);
    assert!(lab.statuses().contains(&491), "{}", lab.world.ladder());
    let numbers = |lab: &Lab| lab.heard("INVITE").last().unwrap().cseq().number;
    assert_eq!(numbers(&lab), 2, "the owner of the Call-ID waits 2.1 to 4 s");
    lab.run(3500);
    assert_eq!(numbers(&lab), 3);
    let held = |e: &Event| matches!(e, Event::CallMediaChanged { local_hold: true, .. });
    assert!(lab.world.host(lab.alice).events().iter().any(|(_, e)| held(e)));
}

#[test]
fn a_hold_that_is_refused_leaves_no_trace_in_later_answers() {
    let mut lab = Lab::new(|turn, m| {
        if m.is_request() && *m.method() == Method::Invite && m.to().tag().is_none() {
            turn.send(ok(m, "peer", SDP));
        } else if m.is_request() && *m.method() == Method::Invite {
            turn.reply(m, 488);
        }
    });
    let id = lab.call();
    lab.run(500);
    lab.world.command(lab.alice, |engine, now| engine.call(id).unwrap().hold(now).unwrap());
    lab.run(500);
    let invite = lab.heard("INVITE")[0].clone();
    lab.send(&in_dialog("INVITE", 7, &invite, "peer", &sdp(2, "")));
    lab.run(500);
    let seen = &lab.world.host(lab.peer).seen;
    let answer = seen.iter().rev().find(|(_, _, m)| m.status() == Some(200)).unwrap();
    let body = String::from_utf8_lossy(answer.2.body()).into_owned();
    assert!(!body.contains("sendonly") && !body.contains("inactive"), "{body}");
}

#[test]
fn the_callee_keeps_its_bye_until_the_ack_has_come() {
    let mut lab = Lab::new(|turn, m| {
        if m.is_request() && *m.method() == Method::Bye {
            turn.reply(m, 200);
        }
    });
    lab.send(&their_invite());
    lab.run(100);
    let id = lab.incoming();
    lab.accept(id);
    lab.run(100);
    lab.hang_up(id);
    lab.run(3000);
    assert!(lab.heard("BYE").is_empty(), "not before the ACK (RFC 3261 §15)");
    assert!(lab.statuses().iter().filter(|s| **s == 200).count() >= 3, "the 200 is repeated");
    lab.acknowledge();
    lab.run(1000);
    assert_eq!(lab.heard("BYE").len(), 1);
    assert_eq!(lab.ended(), Some(EndReason::LocalHangUp));
}

#[test]
fn early_media_answers_in_a_183_and_the_200_repeats_it() {
    let mut lab = Lab::new(|_, _| {});
    lab.send(&their_invite());
    lab.run(100);
    let id = lab.incoming();
    lab.world.command(lab.alice, |engine, now| {
        engine.call(id).unwrap().early_media(now, 16_000).unwrap();
    });
    lab.run(100);
    lab.world.command(lab.alice, |engine, now| {
        let mut pcm = [0; 320];
        assert!(engine.read_pcm(now, id, &mut pcm).is_ok(), "audio flows");
        assert!(engine.call(id).unwrap().early_media(now, 16_000).is_ok());
        engine.call(id).unwrap().accept(now, CallOptions::default()).unwrap();
    });
    lab.run(100);
    let seen = &lab.world.host(lab.peer).seen;
    let body = |status| {
        let (_, _, m) = seen.iter().find(|(_, _, m)| m.status() == Some(status)).unwrap();
        m.body().to_vec()
    };
    assert!(!body(183).is_empty());
    assert_eq!(body(183), body(200));
}

#[test]
fn a_stranger_who_calls_gets_no_digest_for_our_bye() {
    let mut lab = Lab::new(|turn, m| {
        if m.is_request() && *m.method() == Method::Bye {
            let challenge = "Digest realm=\"peer.test\", nonce=\"n\"";
            let no = m.response(401, "Who").header(HeaderName::WwwAuthenticate, challenge);
            turn.send(no);
        }
    });
    lab.send(&their_invite());
    lab.run(100);
    let id = lab.incoming();
    lab.accept(id);
    lab.run(40_000);
    assert!(lab.ended().is_some() || lab.heard("BYE").len() == 1);
    for message in lab.heard("BYE") {
        assert!(message.header(HeaderName::Authorization).is_none(), "{}", lab.world.ladder());
    }
}

#[test]
fn requests_after_the_end_unknown_extensions_and_options_get_their_answers() {
    let mut lab = Lab::new(|turn, m| match m.method() {
        Method::Invite if m.is_request() => turn.send(ok(m, "peer", SDP)),
        _ => {}
    });
    let id = lab.call();
    lab.run(500);
    let invite = lab.heard("INVITE")[0].clone();
    let options = in_dialog("OPTIONS", 3, &invite, "peer", "");
    lab.send(&options);
    lab.run(200);
    assert_eq!(lab.statuses().last(), Some(&200));
    lab.send(&in_dialog("OPTIONS", 4, &invite, "peer", "").replace("Max-F", "Require: foo\nMax-F"));
    lab.run(200);
    assert_eq!(lab.statuses().last(), Some(&420));
    let unsupported = |lab: &Lab| {
        let (_, _, last) = lab.world.host(lab.peer).seen.last().unwrap();
        last.header(HeaderName::Unsupported).map(str::to_string)
    };
    assert_eq!(unsupported(&lab).as_deref(), Some("foo"));
    lab.hang_up(id);
    lab.send(&in_dialog("INVITE", 5, &invite, "peer", &sdp(3, "")));
    lab.run(200);
    assert_eq!(lab.statuses().last(), Some(&481), "{}", lab.world.ladder());
    lab.send(
        "OPTIONS sip:alice@peer.test SIP/2.0\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKo;rport\n\
         Max-Forwards: 70\nFrom: <sip:bob@peer.test>;tag=o\nTo: <sip:alice@peer.test>\n\
         Call-ID: o\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n",
    );
    lab.run(200);
    let (_, _, last) = lab.world.host(lab.peer).seen.last().unwrap();
    assert_eq!(last.status(), Some(200));
    assert!(last.header(HeaderName::Allow).unwrap().contains("INVITE"));
    assert_eq!(last.header(HeaderName::Accept), Some("application/sdp"));
}

#[test]
fn a_call_that_needs_prack_and_a_dialog_that_nobody_has_are_refused() {
    let mut lab = Lab::new(|turn, m| match m.method() {
        Method::Invite if m.is_request() => turn.send(ok(m, "peer", SDP)),
        _ => {}
    });
    lab.call();
    lab.run(500);
    let invite = lab.heard("INVITE")[0].clone();
    let answer = |lab: &Lab, method: &str, number: u32| {
        let seen = lab.world.host(lab.peer).seen.iter().map(|(_, _, m)| m);
        let mut answers = seen.filter(|m| {
            !m.is_request() && m.method().as_str() == method && m.cseq().number == number
        });
        answers.next().cloned().unwrap_or_else(|| panic!("{method}\n{}", lab.world.ladder()))
    };
    // Reliable provisional responses (RFC 3262 §3): no PRACK here.
    lab.send(&their_invite().replace("Max-F", "Require: 100rel\nMax-F"));
    lab.run(200);
    let refusal = answer(&lab, "INVITE", 1);
    assert_eq!(refusal.status(), Some(420));
    assert_eq!(refusal.header(HeaderName::Unsupported), Some("100rel"));
    let rang = |e: &Event| matches!(e, Event::IncomingCall { .. });
    assert!(!lab.world.host(lab.alice).events().iter().any(|(_, e)| rang(e)));
    for (number, method) in (40..).zip(["BYE", "INVITE", "UPDATE", "OPTIONS", "INFO"]) {
        lab.send(&in_dialog(method, number, &invite, "nobody", ""));
        lab.run(200);
        assert_eq!(answer(&lab, method, number).status(), Some(481), "{method}");
    }
}

#[test]
fn a_sips_call_is_not_taken_in_the_clear() {
    let mut lab = Lab::new(|_, _| {});
    lab.send(&their_invite().replace("INVITE sip:", "INVITE sips:"));
    lab.run(200);
    assert_eq!(lab.statuses().last(), Some(&403));
}

#[test]
fn a_request_that_cannot_be_answered_leaves_nothing_behind() {
    let mut lab = Lab::new(|_, _| {});
    let via = "Via: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKx\n".repeat(1260);
    for n in 0..300 {
        let huge = their_invite()
            .replace(
                "Via: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKi1;rport\n",
                &format!("Via: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKh{n};rport\n{via}"),
            )
            .replace("Call-ID: theirs", &format!("Call-ID: h{n}"));
        lab.send(&huge);
        lab.run(20);
    }
    lab.run(40_000);
    lab.send(&their_invite());
    lab.run(300);
    assert!(
        lab.statuses().contains(&100) || !lab.statuses().contains(&503),
        "{:?}",
        lab.statuses().last()
    );
    lab.incoming();
}

#[test]
fn a_call_that_the_policy_refuses_rings_no_phone_and_the_person_is_told_who_and_why() {
    let mut lab = Lab::new(|_, _| {});
    lab.world.command(lab.alice, |engine, now| {
        engine.set_domain_policy(now, "peer.test", SecurityPolicy::Required).unwrap();
    });
    lab.send(&their_invite());
    lab.run(500);
    let seen = &lab.world.host(lab.peer).seen;
    let (_, _, answer) = seen.iter().find(|(_, _, m)| m.status() == Some(488)).unwrap();
    assert!(answer.header(HeaderName::Warning).unwrap().contains("TLS is required"), "{answer:?}");
    let events = lab.world.host(lab.alice).events();
    let calls = |e: &Event| matches!(e, Event::IncomingCall { .. } | Event::CallEnded { .. });
    assert!(!events.iter().any(|(_, e)| calls(e)), "{events:?}");
    let told = events.iter().find_map(|(_, e)| match e {
        Event::IncomingRefused { from, reason, account, .. } => Some((from, reason, account)),
        _ => None,
    });
    let (from, reason, account) = told.expect("the person is told");
    assert_eq!(from, "sip:bob@peer.test");
    assert!(matches!(reason, FailureReason::Policy(_)), "{reason}");
    assert_eq!(*account, Some(lab.account));
    let engine = lab.world.host(lab.alice).engine();
    assert_eq!(engine.stats().refused_calls, 1);
    assert_eq!((engine.load().calls, engine.load().ended, engine.load().media_sockets), (0, 0, 0));
}
