//! Calls that ended are kept for their reports, and only so many: memory is bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;

use pair::{Pair, USUAL};
use subrosa::engine::{CallId, CallOptions, CallState};
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;

/// Kept at both ends, as the documentation of [`Event::CallEnded`](subrosa::engine::Event) says.
const KEPT: usize = 64;

#[test]
fn newer_calls_displace_the_oldest_that_ended_at_both_ends() {
    let mut pair = Pair::new(USUAL);
    let (alice, account) = (pair.phones[0], pair.accounts[0]);
    let mut calls: Vec<CallId> = Vec::new();
    for _ in 0..KEPT + 16 {
        let call = pair.world.command(alice, |engine, now| {
            let to = Uri::parse("sip:bob@bob.test").unwrap();
            engine.place_call(now, account, &to, CallOptions::default()).unwrap()
        });
        pair.world.run_for(Duration::from_millis(250));
        pair.world.command(alice, |engine, now| {
            let mut call = engine.call(call).unwrap();
            assert_eq!(call.state(), CallState::Established);
            call.hang_up(now).unwrap();
        });
        pair.world.run_for(Duration::from_millis(250));
        calls.push(call);
    }
    let (gone, kept) = calls.split_at(calls.len() - KEPT);
    pair.world.command(alice, |engine, _| {
        assert!(gone.iter().all(|call| engine.call(*call).is_none()));
        assert_eq!(engine.call_ids().len(), KEPT);
        assert!(kept.iter().all(|call| engine.call(*call).unwrap().state() == CallState::Ended));
    });
    for phone in pair.phones {
        let load = pair.world.command(phone, |engine, _| engine.load());
        assert_eq!((load.calls, load.ended, load.media_sockets), (0, KEPT, 0), "{load:?}");
    }
    // Transactions and lingering connections end, and the rules have nothing to say.
    pair.world.run_for(Duration::from_secs(200));
    pair.world.finish().unwrap_or_else(|failure| panic!("{failure}"));
}
