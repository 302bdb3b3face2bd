//! Re-INVITEs that are never answered for good: they end in bounded time, and with their call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/peer.rs"]
mod peer;

use lab::{Lab, SDP, in_dialog, ok};
use subrosa::engine::{CallState, EndReason, FailureReason};
use subrosa::wire::sip::{Message, Method};

fn is_reinvite(m: &Message) -> bool {
    m.is_request() && *m.method() == Method::Invite && m.to().tag().is_some()
}

/// A peer that takes the call, answers each re-INVITE with 183, and each CANCEL as `cancelled` does.
fn lab(mut cancelled: impl FnMut(&mut peer::Turn<'_, '_>, &Message) + Send + 'static) -> Lab {
    Lab::new(move |turn, m| match m.method() {
        Method::Invite if is_reinvite(m) => turn.reply(m, 183),
        Method::Invite if m.is_request() => turn.send(ok(m, "peer", SDP)),
        Method::Bye if m.is_request() => turn.reply(m, 200),
        Method::Cancel => cancelled(turn, m),
        _ => {}
    })
}

/// A call whose hold is answered with 183 again and again, for so many seconds.
fn drag(lab: &mut Lab, seconds: usize) -> subrosa::engine::CallId {
    let id = lab.call();
    lab.run(500);
    lab.world.command(lab.alice, |engine, now| engine.call(id).unwrap().hold(now).unwrap());
    lab.run(100);
    drag_on(lab, seconds);
    id
}

#[test]
fn a_re_invite_that_gets_only_provisional_responses_is_cancelled_and_ends_the_call_in_time() {
    let mut lab = lab(|turn, m| turn.reply(m, 200));
    let id = drag(&mut lab, 59);
    assert!(lab.heard("CANCEL").is_empty());
    drag_on(&mut lab, 3);
    assert_eq!(lab.heard("CANCEL").len(), 1);
    assert_eq!(lab.state(id), CallState::Established);
    drag_on(&mut lab, 33);
    assert_eq!(lab.ended(), Some(EndReason::Failed(FailureReason::Timeout)));
    assert_eq!(lab.heard("BYE").len(), 1);
    lab.run(40_000);
    let load = lab.world.host(lab.alice).engine().load();
    assert_eq!((load.transactions, load.requests), (0, 0));
}

/// The peer goes on with its provisional responses.
fn drag_on(lab: &mut Lab, seconds: usize) {
    let reinvite = lab.heard("INVITE").into_iter().find(is_reinvite).unwrap();
    let to = (lab.world.ip(lab.alice), 5060).into();
    let progress = reinvite.response(183, "Still Thinking").to_tag("peer").finish().unwrap();
    for _ in 0..seconds {
        lab.world.act(lab.peer, |_, net| net.send(5060, to, progress.as_bytes()));
        lab.run(1000);
    }
}

#[test]
fn a_cancelled_re_invite_leaves_the_call_as_it_was() {
    let mut lab = lab(|turn, m| {
        turn.reply(m, 200);
        // The 487 to the INVITE has the same Via and From as the CANCEL.
        let text = String::from_utf8_lossy(m.as_bytes()).replace("CANCEL", "INVITE");
        turn.reply(&Message::parse(text.as_bytes()).unwrap(), 487);
    });
    let id = drag(&mut lab, 70);
    assert_eq!(lab.state(id), CallState::Established);
    let holds = lab.world.command(lab.alice, |engine, now| {
        let mut call = engine.call(id).unwrap();
        (call.hold(now).is_ok(), call.end_reason())
    });
    assert_eq!(holds, (true, None), "another change is possible");
}

#[test]
fn a_re_invite_does_not_outlive_its_call() {
    for ours in [true, false] {
        let mut lab = lab(|turn, m| turn.reply(m, 200));
        let id = drag(&mut lab, 5);
        if ours {
            lab.hang_up(id);
        } else {
            let invite = lab.heard("INVITE")[0].clone();
            lab.send(&in_dialog("BYE", 9, &invite, "peer", ""));
        }
        lab.run(200);
        assert!(lab.ended().is_some());
        lab.run(70_000);
        let load = lab.world.host(lab.alice).engine().load();
        assert_eq!((load.transactions, load.requests), (0, 0), "hung up by us: {ours}");
    }
}
