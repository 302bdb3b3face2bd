//! A phone that is on another network in the middle of a call whose keys are in the descriptions
//! (SDES), over TLS through a proxy: the keys stay, and with them the roll-over counters of both
//! directions (RFC 3711 §3.3.1: they are not signalled), even if a sequence number wraps around
//! while the way is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/relay.rs"]
mod relay;
#[path = "support/talk.rs"]
mod talk;

use relay::Relay;
use subrosa::crypto::srtp::UnprotectError;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{AccountConfig, CallState, Keying, SecurityPolicy};
use subrosa::sim::{Handle, Link, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;
use talk::Talk;

const MS: Duration = Duration::from_millis(1);

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

struct Lab {
    talk: Talk,
    relay: Handle<Relay>,
}

/// Two phones of one provider that talk.
fn talking(seed: u64) -> Lab {
    let mut world = World::new(seed);
    world.set_default_link(Link::lan());
    let ip = world.next_ip();
    let relay = world.add_host("relay", Relay::new("bob.test", pem!("bob"), pem!("bob.key")));
    world.zone().add_address("bob.test", ip);
    let phones = ["alice", "bob"].map(|name| {
        let trust = |config: &mut subrosa::engine::Config| {
            config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
        };
        world.add_phone(name, trust).unwrap()
    });
    let accounts = [("sip:alice@bob.test", 0), ("sip:bob@bob.test", 1)].map(|(aor, at)| {
        world.require_security(phones[at]);
        world.command(phones[at], |engine, now| {
            let mut account = AccountConfig::new(Uri::parse(aor).unwrap());
            account.policy = SecurityPolicy::Required;
            account.transport = Some(Transport::Tls);
            engine.add_account(now, account).unwrap()
        })
    });
    let talk = Talk::begin(world, phones, accounts[0], 2000);
    let mut lab = Lab { talk, relay };
    lab.assert_good();
    lab
}

impl Lab {
    fn report(&mut self, at: usize) -> (CallState, Keying) {
        let call = self.talk.calls[at];
        let found = self.talk.world.command(self.talk.phones[at], |engine, _| {
            let call = engine.call(call)?;
            Some((call.state(), call.security().media_out?.keying))
        });
        found.unwrap_or_else(|| panic!("{}", self.talk.world.ladder()))
    }

    /// Both talk under keys of the descriptions, and no packet was refused but for a reason that
    /// the network may give.
    fn assert_good(&mut self) {
        for at in [0, 1] {
            assert_eq!(self.report(at), (CallState::Established, Keying::Sdes));
            let (call, phone) = (self.talk.calls[at], self.talk.phones[at]);
            let stats =
                self.talk.world.command(phone, |e, _| e.call(call).unwrap().media_stats().unwrap());
            for reason in UnprotectError::ALL {
                assert_eq!(stats.refused_for(reason), 0, "{at}: {reason:?}");
            }
        }
    }

    /// What a phone sends under: its source, generation of keys, roll-over counter and sequence
    /// number.
    fn progress(&mut self, at: usize) -> (u32, u32, u32, u16) {
        let call = self.talk.calls[at];
        self.talk.world.command(self.talk.phones[at], |e, _| {
            let p = e.call(call).unwrap().srtp_progress().unwrap();
            let counters = p.counters;
            (counters.ssrc, p.generation, counters.roll_over, counters.sequence.unwrap_or(0))
        })
    }

    fn received(&mut self, at: usize) -> u64 {
        let call = self.talk.calls[at];
        self.talk.world.command(self.talk.phones[at], |e, _| {
            e.call(call).unwrap().media_stats().unwrap().packets_received
        })
    }
}

/// Moves a phone, and the call goes on both ways under the keys that it has.
fn assert_moves(lab: &mut Lab, mover: usize) {
    let before = [lab.progress(0), lab.progress(1)];
    let invites = lab.talk.world.host(lab.relay).passed["INVITE"];
    lab.talk.moves(mover);
    lab.talk.world.run_for(MS * 1000);
    let arrived = [lab.received(0), lab.received(1)];
    lab.talk.world.run_for(MS * 3000);
    assert_eq!(
        lab.talk.world.host(lab.relay).passed["INVITE"],
        invites + 1,
        "a re-INVITE told of it"
    );
    lab.assert_good();
    for at in [0, 1] {
        let (ssrc, generation, ..) = lab.progress(at);
        assert_eq!((ssrc, generation), (before[at].0, before[at].1), "the same keys go on");
        let more = lab.received(at) - arrived[at];
        assert!(
            more > 145,
            "{at} got {more} packets in three seconds\n{}",
            lab.talk.world.ladder()
        );
        assert!(lab.talk.hears(at), "{at}");
    }
}

#[test]
fn a_call_with_sdes_goes_on_at_another_address_of_either_end() {
    for mover in [0, 1] {
        let mut lab = talking(7);
        for _ in 0..3 {
            assert_moves(&mut lab, mover);
        }
        lab.talk.world.check().unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_sequence_number_that_wraps_around_a_move_takes_its_roll_over_counter_with_it() {
    // With this seed both begin high: Bob's wraps after 690 s, and Alice's 46 s later. She moves
    // both times: what she hears wraps around the first move, and what she says around the second.
    let mut lab = talking(7);
    for (sender, ahead) in [(1, 3), (0, 10)] {
        let sequence = lab.progress(sender).3;
        let left = u64::from(u16::MAX - sequence) - ahead;
        lab.talk.world.run_for(MS * 20 * u32::try_from(left).unwrap());
        let (_, _, roll_over, sequence) = lab.progress(sender);
        assert!(roll_over == 0 && sequence > u16::MAX - 15, "{roll_over} {sequence}");
        assert_moves(&mut lab, 0);
        let (_, _, roll_over, sequence) = lab.progress(sender);
        assert!(roll_over == 1 && sequence < 250, "{roll_over} {sequence}");
    }
    lab.talk.world.check().unwrap_or_else(|failure| panic!("{failure}"));
}
