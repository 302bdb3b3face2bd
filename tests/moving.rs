//! A phone that is on another network in the middle of a call: the call goes on with its keys, or
//! ends clearly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/talk.rs"]
mod talk;

use subrosa::engine::{AccountConfig, CallState, EndReason, Event, SecurityPolicy};
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sim::{Fact, Link, Rule, World};
use subrosa::time::{Duration, Instant};
use subrosa::wire::sip::Uri;
use talk::Talk;

const SECOND: Duration = Duration::from_secs(1);

/// No plain packet, not even one, on the way from one network to the other.
struct NoClearVoice;

impl Rule for NoClearVoice {
    fn name(&self) -> &'static str {
        "no voice in the clear"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        match fact {
            Fact::Datagram { payload, .. } => match Packet::new(payload).kind() {
                kind @ (Kind::Rtp | Kind::Rtcp) => Err(format!("{kind}")),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Two phones that talk, their voices encrypted by keys of a DTLS handshake.
fn talking() -> Talk {
    let mut world = World::new(7);
    world.set_default_link(Link::lan());
    let phones = ["alice", "bob"].map(|name| world.add_phone(name, |_| {}).unwrap());
    let ip = world.ip(phones[1]);
    world.zone().add_address("bob.test", ip);
    let accounts = [("sip:alice@alice.test", 0), ("sip:bob@bob.test", 1)].map(|(aor, at)| {
        world.command(phones[at], |engine, now| {
            let mut account = AccountConfig::new(Uri::parse(aor).unwrap());
            account.register = false;
            account.policy = SecurityPolicy::Preferred;
            account.transport = Some(subrosa::sip::Transport::Udp);
            engine.add_account(now, account).unwrap()
        })
    });
    let mut lab = Talk::begin(world, phones, accounts[0], 3000);
    assert_eq!(lab.states(), [CallState::Established; 2], "{}", lab.world.ladder());
    assert!(lab.suites().iter().all(Option::is_some), "the voice is encrypted");
    lab
}

impl Talk {
    fn states(&mut self) -> [CallState; 2] {
        [0, 1].map(|at| {
            let call = self.calls[at];
            self.world.command(self.phones[at], |e, _| e.call(call).unwrap().state())
        })
    }

    fn suites(&mut self) -> [Option<String>; 2] {
        [0, 1].map(|at| {
            let call = self.calls[at];
            self.world.command(self.phones[at], |e, _| {
                let report = e.call(call).unwrap().security();
                report.media_out.and_then(|leg| leg.suite).map(|suite| format!("{suite:?}"))
            })
        })
    }

    /// What a phone sends under: its source, generation of keys, and where its counters are.
    fn progress(&mut self, at: usize) -> (u32, u32, u64) {
        let call = self.calls[at];
        self.world.command(self.phones[at], |e, _| {
            let p = e.call(call).unwrap().srtp_progress().unwrap();
            let index =
                u64::from(p.counters.roll_over) << 16 | u64::from(p.counters.sequence.unwrap_or(0));
            (p.counters.ssrc, p.generation, index)
        })
    }

    fn heard(&self, at: usize) -> usize {
        self.world.host(self.phones[at]).heard(self.calls[at]).len()
    }
}

#[test]
fn a_call_survives_another_address_of_either_end_with_its_keys_and_counters() {
    for mover in [0, 1] {
        let mut lab = talking();
        lab.world.add_rule(NoClearVoice);
        let before = [lab.progress(0), lab.progress(1)];
        for _ in 0..2 {
            lab.moves(mover);
            lab.world.run_for(SECOND * 4);
            assert_eq!(lab.states(), [CallState::Established; 2], "{}", lab.world.ladder());
            assert!(lab.heard(0) > 0 && lab.hears(0), "{mover}: alice\n{}", lab.world.ladder());
            assert!(lab.hears(1), "{mover}: bob\n{}", lab.world.ladder());
        }
        for at in [0, 1] {
            let (ssrc, generation, index) = lab.progress(at);
            assert_eq!((ssrc, generation), (before[at].0, before[at].1), "the same keys go on");
            assert!(index > before[at].2 + 300, "{index} after {}", before[at].2);
        }
        // Who stayed knows where the other one is: its BYE arrives there.
        lab.world.command(lab.phones[1 - mover], |engine, now| {
            let call = engine.call_ids()[0];
            engine.call(call).unwrap().hang_up(now).unwrap();
        });
        lab.world.run_for(SECOND * 40);
        assert_eq!(lab.states(), [CallState::Ended; 2]);
        lab.world.finish().unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_call_whose_peer_is_gone_when_the_address_changes_ends_clearly() {
    let mut lab = talking();
    lab.world.cut(lab.phones[0], lab.phones[1]);
    lab.moves(0);
    lab.world.run_for(SECOND * 100);
    let ends: Vec<_> =
        lab.world.host(lab.phones[0]).events().iter().map(|(_, e)| e.clone()).collect();
    let ends = ends.into_iter().filter_map(|e| match e {
        Event::CallEnded { reason, .. } => Some(reason),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert!(matches!(ends[0], EndReason::Failed(_)), "{ends:?}");
    let load = lab.world.host(lab.phones[0]).engine().load();
    assert_eq!((load.calls, load.transactions, load.media_sockets), (0, 0, 0));
}
