//! Two transaction layers joined by a link that loses, delays, doubles and reorders, in virtual
//! time and from a seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/requests.rs"]
mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;

use requests::{answer, request};
use subrosa::sip::FlowId;
use subrosa::sip::dialog::{AckCache, ForkDecision, Forks, Reliable2xx, Reliable2xxAction};
use subrosa::sip::transaction::{
    ClientTxId, Failure, ServerTxId, Timers, TransactionConfig, TransactionEvent, TransactionLayer,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::{RngExt, SeededRng};
use subrosa::wire::sip::{Message, Method};

const FLOW: FlowId = FlowId::from_raw(1 << 32);
/// Long after the last timer of any call in these tests.
const END: Instant = Instant::from_millis(600_000);

/// A direction of the link: what is on its way, by arrival time.
#[derive(Default)]
struct Wire {
    moving: BTreeMap<(Instant, u64), Message>,
    sent: u64,
}

/// How bad the link is.
#[derive(Clone, Copy)]
struct Link {
    loss_percent: u32,
    double_percent: u32,
    delay_ms: u32,
    jitter_ms: u32,
}

impl Wire {
    fn send(&mut self, now: Instant, message: &Message, link: Link, rng: &mut SeededRng) {
        let copies = 1 + u32::from(rng.below(100) < link.double_percent);
        for _ in 0..copies {
            if rng.below(100) >= link.loss_percent {
                let delay = link.delay_ms + rng.below(link.jitter_ms + 1);
                self.sent += 1;
                let at = now + Duration::from_millis(delay.into());
                self.moving.insert((at, self.sent), message.clone());
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        self.moving.keys().next().map(|(at, _)| *at)
    }

    fn take(&mut self, now: Instant) -> Option<Message> {
        if self.next()? > now {
            return None;
        }
        self.moving.pop_first().map(|(_, m)| m)
    }
}

/// What the callee's user does with an INVITE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plan {
    Accept,
    Refuse,
    Ring,
}

/// A caller and a callee: the part of a user agent that the transaction layer leaves to it.
struct World {
    now: Instant,
    rng: SeededRng,
    link: Link,
    reliable: bool,
    alice: TransactionLayer,
    bob: TransactionLayer,
    to_bob: Wire,
    to_alice: Wire,
    plan: Plan,
    acks: AckCache<Arc<Message>>,
    forks: Forks,
    pending: Option<(ServerTxId, Message)>,
    answering: Option<(Reliable2xx, Arc<Message>)>,
    requests: u32,
    cancels: u32,
    acknowledged: u32,
    gave_up: u32,
    finals: Vec<u16>,
    failures: Vec<Failure>,
    ended: u32,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64, link: Link, reliable: bool, plan: Plan) -> Self {
        let mut rng = SeededRng::new(seed);
        let config = TransactionConfig::default();
        Self {
            now: Instant::ZERO,
            link,
            reliable,
            alice: TransactionLayer::new(config, &mut rng),
            bob: TransactionLayer::new(config, &mut rng),
            rng,
            to_bob: Wire::default(),
            to_alice: Wire::default(),
            plan,
            acks: AckCache::new(Timers::default(), 8),
            forks: Forks::new(),
            pending: None,
            answering: None,
            requests: 0,
            cancels: 0,
            acknowledged: 0,
            gave_up: 0,
            finals: Vec::new(),
            failures: Vec::new(),
            ended: 0,
            log: Vec::new(),
        }
    }

    fn send(&mut self, method: &str) -> ClientTxId {
        let message = request(method, 1, "z9hG4bK1", None);
        let tx = self.alice.send_request(self.now, message, FLOW, self.reliable).unwrap();
        self.drain();
        tx
    }

    /// Runs until nothing is left to happen or `until` has come.
    fn run(&mut self, until: Instant) {
        for _ in 0..10_000 {
            let next = [
                self.to_bob.next(),
                self.to_alice.next(),
                self.alice.next_timeout(),
                self.bob.next_timeout(),
                self.acks.next_timeout(),
                self.answering.as_ref().and_then(|(clock, _)| clock.next_timeout()),
            ];
            match next.into_iter().flatten().min() {
                Some(at) if at <= until => self.now = at.max(self.now),
                _ => {
                    self.now = until;
                    return;
                }
            }
            self.step();
        }
        panic!("the world does not come to rest");
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(m) = self.to_bob.take(now) {
            self.bob.receive(now, m, FLOW, self.reliable);
        }
        while let Some(m) = self.to_alice.take(now) {
            self.alice.receive(now, m, FLOW, self.reliable);
        }
        self.alice.handle_timeout(now);
        self.bob.handle_timeout(now);
        self.acks.handle_timeout(now);
        if let Some((clock, ok)) = &mut self.answering {
            match clock.handle_timeout(now) {
                Some(Reliable2xxAction::Repeat) => self.bob.send_stateless(FLOW, ok.clone()),
                Some(Reliable2xxAction::GiveUp) => self.gave_up += 1,
                None => {}
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.alice.poll_event() {
            self.log.push(format!("{:?} alice {event:?}", self.now));
            self.at_alice(event);
        }
        while let Some(event) = self.bob.poll_event() {
            self.log.push(format!("{:?} bob {event:?}", self.now));
            self.at_bob(event);
        }
        while let Some(t) = self.alice.poll_transmit() {
            self.to_bob.send(self.now, &t.message, self.link, &mut self.rng);
        }
        while let Some(t) = self.bob.poll_transmit() {
            self.to_alice.send(self.now, &t.message, self.link, &mut self.rng);
        }
    }

    fn at_alice(&mut self, event: TransactionEvent) {
        match event {
            TransactionEvent::Response { message, .. }
            | TransactionEvent::Stray2xx { message, .. } => self.answered(&message),
            TransactionEvent::ClientFailed { failure, .. } => self.failures.push(failure),
            TransactionEvent::ClientTerminated { .. } => self.ended += 1,
            _ => panic!("not for a caller: {event:?}"),
        }
    }

    fn answered(&mut self, response: &Message) {
        let status = response.status().unwrap();
        if response.cseq().method != Method::Invite || !(200..300).contains(&status) {
            if status >= 200 {
                self.finals.push(status);
            }
            return;
        }
        if self.forks.handle_2xx(response) == ForkDecision::AckAgain {
            if let Some(ack) = self.acks.again(response) {
                self.alice.send_stateless(FLOW, ack.clone());
            }
            return;
        }
        self.finals.push(status);
        let ack = Arc::new(request("ACK", 1, "z9hG4bKack", Some("b")));
        self.acks.insert(self.now, response, ack.clone());
        self.alice.send_stateless(FLOW, ack);
    }

    fn at_bob(&mut self, event: TransactionEvent) {
        match event {
            TransactionEvent::Request { tx, message, .. } => {
                self.requests += 1;
                self.asked(tx, message);
            }
            TransactionEvent::Cancelled { .. } => {
                self.cancels += 1;
                if let Some((tx, invite)) = self.pending.take() {
                    self.bob.respond(self.now, tx, answer(&invite, 487)).unwrap();
                }
            }
            TransactionEvent::Ack { message, .. } => {
                if self.answering.as_mut().is_some_and(|(a, _)| a.handle_ack(message.cseq().number))
                {
                    self.acknowledged += 1;
                }
            }
            TransactionEvent::ServerFailed { failure, .. } => self.failures.push(failure),
            TransactionEvent::ServerTerminated { .. } => self.ended += 1,
            _ => panic!("not for a callee: {event:?}"),
        }
    }

    fn answer(&mut self, ok: Message) {
        let clock = Reliable2xx::new(self.now, Timers::default(), ok.cseq().number);
        self.answering = Some((clock, Arc::new(ok)));
    }

    fn asked(&mut self, tx: ServerTxId, message: Message) {
        if *message.method() != Method::Invite {
            self.bob.respond(self.now, tx, answer(&message, 200)).unwrap();
            return;
        }
        match self.plan {
            Plan::Accept => {
                let ok = answer(&message, 200);
                self.bob.respond(self.now, tx, ok.clone()).unwrap();
                self.answer(ok);
            }
            Plan::Refuse => self.bob.respond(self.now, tx, answer(&message, 486)).unwrap(),
            Plan::Ring => {
                self.bob.respond(self.now, tx, answer(&message, 180)).unwrap();
                self.pending = Some((tx, message));
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        self.alice.is_empty() && self.bob.is_empty()
    }
}

const PERFECT: Link = Link { loss_percent: 0, double_percent: 0, delay_ms: 20, jitter_ms: 0 };
/// 20 % loss, every tenth message twice, enough jitter to reorder retransmissions.
const BAD: Link = Link { loss_percent: 20, double_percent: 10, delay_ms: 50, jitter_ms: 700 };
const DEAD: Link = Link { loss_percent: 100, double_percent: 0, delay_ms: 1, jitter_ms: 0 };

#[test]
fn over_a_bad_link_each_request_is_taken_once_and_answered_once() {
    for seed in 0..60 {
        for (method, plan, status) in [
            ("INVITE", Plan::Accept, 200),
            ("INVITE", Plan::Refuse, 486),
            ("OPTIONS", Plan::Ring, 200),
        ] {
            let mut w = World::new(seed, BAD, false, plan);
            w.send(method);
            w.run(END);
            assert_eq!(w.requests, 1, "seed {seed} {method} {plan:?}");
            assert_eq!(w.finals, [status], "seed {seed} {method} {plan:?}");
            assert_eq!(w.acknowledged + w.gave_up, u32::from(plan == Plan::Accept));
            assert_eq!(w.gave_up, 0, "seed {seed}");
            assert_eq!((w.failures.len(), w.ended), (0, 2), "seed {seed} {method} {plan:?}");
            assert!(w.is_at_rest());
        }
    }
}

#[test]
fn cancel_reaches_a_ringing_phone_over_a_bad_link_and_is_told_once() {
    let mut reached = 0;
    for seed in 0..60 {
        let mut w = World::new(seed, BAD, false, Plan::Ring);
        let tx = w.send("INVITE");
        // At a random moment: before, while or after the 180 comes.
        let moment = Instant::from_millis(w.rng.below(4000).into());
        w.run(moment);
        w.alice.cancel(w.now, tx).unwrap();
        w.drain();
        w.run(END);
        assert!(w.is_at_rest(), "seed {seed}");
        if w.requests == 0 {
            // All seven INVITEs were lost (one run in 80,000): a timeout, and nothing to cancel.
            assert_eq!((w.failures.as_slice(), w.cancels), ([Failure::Timeout].as_slice(), 0));
            continue;
        }
        reached += 1;
        assert_eq!((w.requests, w.cancels), (1, 1), "seed {seed}");
        assert_eq!(w.finals, [487], "seed {seed}");
    }
    assert!(reached >= 59, "{reached} of 60");
}

#[test]
fn a_2xx_that_crosses_the_cancel_wins() {
    let mut w = World::new(1, PERFECT, false, Plan::Ring);
    let tx = w.send("INVITE");
    w.run(Instant::from_millis(100));
    // Both users act at the same moment.
    w.alice.cancel(w.now, tx).unwrap();
    w.forks.cancel();
    let (server, invite) = w.pending.take().unwrap();
    w.bob.respond(w.now, server, answer(&invite, 200)).unwrap();
    w.answer(answer(&invite, 200));
    w.drain();
    w.run(END);
    assert_eq!((w.finals.as_slice(), w.acknowledged), ([200].as_slice(), 1));
    assert!(w.forks.kept().is_none(), "the caller no longer wants it: ACK, then BYE");
    assert_eq!(w.cancels, 0, "the INVITE had its final response");
    assert!(w.is_at_rest());
}

#[test]
fn over_a_reliable_link_nothing_is_sent_twice() {
    for (method, plan, to_bob, to_alice) in [
        ("INVITE", Plan::Accept, 2, 1),
        ("INVITE", Plan::Refuse, 2, 1),
        ("OPTIONS", Plan::Ring, 1, 1),
    ] {
        let mut w = World::new(1, PERFECT, true, plan);
        w.send(method);
        w.run(END);
        assert_eq!((w.to_bob.sent, w.to_alice.sent), (to_bob, to_alice), "{method} {plan:?}");
        assert!(w.is_at_rest());
    }
}

#[test]
fn over_a_dead_link_the_caller_learns_it_after_64_t1() {
    for method in ["INVITE", "OPTIONS"] {
        let mut w = World::new(1, DEAD, false, Plan::Accept);
        w.send(method);
        w.run(Instant::from_millis(31_999));
        assert!(w.failures.is_empty() && !w.is_at_rest());
        w.run(Instant::from_millis(32_000));
        assert_eq!(w.failures, [Failure::Timeout]);
        assert!(w.is_at_rest());
    }
}

#[test]
fn a_seed_gives_the_same_run() {
    let run = |seed| {
        let mut w = World::new(seed, BAD, false, Plan::Accept);
        w.send("INVITE");
        w.run(END);
        w.log
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
