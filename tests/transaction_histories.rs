//! Random histories against one transaction layer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/requests.rs"]
mod requests;

use proptest::prelude::*;
use requests::{answer, request};
use subrosa::sip::FlowId;
use subrosa::sip::transaction::{
    ClientTxId, ServerTxId, TransactionConfig, TransactionEvent, TransactionLayer,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;
use subrosa::wire::sip::{Message, Method};

/// One thing that happens to a layer.
#[derive(Clone, Debug)]
enum Step {
    Request { method: usize, branch: u8, tagged: bool, reliable: bool, flow: u8 },
    Response { status: u16, method: usize, branch: u8, tag: u8, flow: u8 },
    Send { method: usize, branch: u8, reliable: bool },
    Respond { nth: u8, status: u16 },
    Cancel { nth: u8 },
    Lose { flow: u8 },
    Wait { ms: u16 },
    Jump,
}

const METHODS: [&str; 6] = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER"];

fn step() -> impl Strategy<Value = Step> {
    let status = || prop_oneof![100u16..110, 180u16..184, 200u16..203, 300u16..700];
    prop_oneof![
        (0..6usize, 0..4u8, any::<bool>(), any::<bool>(), 0..2u8).prop_map(
            |(method, branch, tagged, reliable, flow)| Step::Request {
                method,
                branch,
                tagged,
                reliable,
                flow
            }
        ),
        (status(), 0..6usize, 0..4u8, 0..3u8, 0..2u8).prop_map(
            |(status, method, branch, tag, flow)| Step::Response {
                status,
                method,
                branch,
                tag,
                flow
            }
        ),
        (0..6usize, 0..4u8, any::<bool>()).prop_map(|(method, branch, reliable)| Step::Send {
            method,
            branch,
            reliable
        }),
        (0..8u8, status()).prop_map(|(nth, status)| Step::Respond { nth, status }),
        (0..8u8).prop_map(|nth| Step::Cancel { nth }),
        (0..2u8).prop_map(|flow| Step::Lose { flow }),
        any::<u16>().prop_map(|ms| Step::Wait { ms }),
        Just(Step::Jump),
    ]
}

fn flow(n: u8) -> FlowId {
    FlowId::from_raw((1 << 32) | u64::from(n))
}

/// Branch 3 is one of RFC 2543.
fn branch(n: u8) -> String {
    if n == 3 { "old".into() } else { format!("z9hG4bK{n}") }
}

/// A layer under a random history, with what its user knows.
struct Subject {
    layer: TransactionLayer,
    now: Instant,
    clients: Vec<(ClientTxId, Method)>,
    servers: Vec<(ServerTxId, Message)>,
    live: i64,
}

impl Subject {
    fn apply(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Request { method, branch: b, tagged, reliable, flow: f } => {
                let tag = tagged.then_some("b");
                let message = request(METHODS[method], b.into(), &branch(b), tag);
                self.layer.receive(now, message, flow(f), reliable);
            }
            Step::Response { status, method, branch: b, tag, flow: f } => {
                let message = request(METHODS[method], b.into(), &branch(b), None);
                let message = message.response(status, "X").to_tag(&format!("b{tag}"));
                self.layer.receive(now, message.finish().unwrap(), flow(f), false);
            }
            Step::Send { method, branch: b, reliable } => {
                let message = request(METHODS[method], b.into(), &branch(b), None);
                let method = message.method().clone();
                if let Ok(tx) = self.layer.send_request(now, message, flow(0), reliable) {
                    self.clients.push((tx, method));
                    self.live += 1;
                }
            }
            Step::Respond { nth, status } => {
                if let Some((tx, message)) = self.servers.get(usize::from(nth)) {
                    let _ = self.layer.respond(now, *tx, answer(message, status));
                }
            }
            Step::Cancel { nth } => {
                if let Some((tx, _)) = self.clients.get(usize::from(nth)) {
                    let _ = self.layer.cancel(now, *tx);
                }
            }
            Step::Lose { flow: f } => self.layer.transport_error(now, flow(f)),
            Step::Wait { ms } => self.wait(Duration::from_millis(ms.into())),
            Step::Jump => {
                if let Some(at) = self.layer.next_timeout() {
                    self.now = self.now.max(at);
                    self.layer.handle_timeout(self.now);
                }
            }
        }
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.layer.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.layer.poll_event() {
            match event {
                TransactionEvent::Request { tx, message, .. } => {
                    assert!(!matches!(message.method(), Method::Ack | Method::Cancel));
                    self.servers.push((tx, message));
                    self.live += 1;
                }
                TransactionEvent::ClientTerminated { .. }
                | TransactionEvent::ServerTerminated { .. } => self.live -= 1,
                _ => {}
            }
        }
        while let Some(t) = self.layer.poll_transmit() {
            Message::parse(t.message.as_bytes()).unwrap();
        }
        // Whatever is due has been done: no timer of zero delay.
        if let Some(at) = self.layer.next_timeout() {
            assert!(at > self.now, "due at {at:?}, now {:?}", self.now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_history_ends(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..80)) {
        let layer =
            TransactionLayer::new(TransactionConfig::default(), &mut SeededRng::new(seed));
        let mut s =
            Subject { layer, now: Instant::ZERO, clients: vec![], servers: vec![], live: 0 };
        for step in steps {
            s.apply(step);
        }
        // The user does its part: it answers what it was asked and cancels what still rings.
        for (tx, message) in std::mem::take(&mut s.servers) {
            let _ = s.layer.respond(s.now, tx, answer(&message, 500));
        }
        for (tx, method) in std::mem::take(&mut s.clients) {
            if method == Method::Invite {
                let _ = s.layer.cancel(s.now, tx);
            }
        }
        s.drain();
        // Timer by timer, each later than the one before, for 2 * 64*T1 at most.
        let (start, mut fired) = (s.now, 0);
        while let Some(at) = s.layer.next_timeout() {
            prop_assert!(at > s.now);
            s.now = at;
            s.layer.handle_timeout(at);
            s.drain();
            fired += 1;
            prop_assert!(fired < 4000);
        }
        prop_assert!(s.now - start <= Duration::from_secs(64), "{:?}", s.now - start);
        prop_assert!(s.layer.is_empty());
        prop_assert_eq!(s.live, 0, "each transaction ended once");
    }
}
