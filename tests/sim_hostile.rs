//! Calls with an attacker on the path, drawn from the seed: under `Required` nothing leaves in the
//! clear and a call is encrypted or does not exist; under `Preferred` the padlock tells the truth.
//! `SUBROSA_SEEDS` sets how many seeds are run, `SUBROSA_SEED` names one to look at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, clippy::print_stdout)]

#[path = "support/mallory.rs"]
mod mallory;

use std::sync::{Arc, Mutex};

use mallory::{Deeds, Malice, Mallory};
use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, CallState, Config, EndReason, Engine, Event,
    Padlock, SecurityPolicy,
};
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sim::{
    Draw, EngineHost, Fact, Handle, HostId, Link, Rule, Source, Turn, World, split,
};
use subrosa::sip::Transport;
use subrosa::time::{Duration, Instant};
use subrosa::util::RngExt;
use subrosa::wire::sip::Uri;

const MS: Duration = Duration::from_millis(1);

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    policy: SecurityPolicy,
    transport: Transport,
    malice: Malice,
    /// Call-IDs are known to the attacker although they were never in the clear.
    leaks: bool,
    talk: Duration,
    hold: bool,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let rng = &mut split(seed, "hostile plan", 0);
        let policies = [SecurityPolicy::Required, SecurityPolicy::Preferred];
        let policy = *rng.pick(&policies).unwrap();
        let transport = match policy {
            SecurityPolicy::Required => Transport::Tls,
            _ => *rng.pick(&[Transport::Udp, Transport::Tcp, Transport::Tls]).unwrap(),
        };
        let malice = Malice {
            meddling: [0.0, 0.02, 0.1, 0.3][rng.below(4) as usize],
            strips: rng.chance(0.5),
            forges: rng.chance(0.8).then(|| MS * rng.between(20, 300)),
            cuts: [0.0, 0.0, 0.01, 0.1][rng.below(4) as usize],
            squats: rng.chance(0.3),
            until: MS * rng.between(1000, 8000),
        };
        Self {
            seed,
            policy,
            transport,
            malice,
            leaks: rng.chance(0.5),
            talk: MS * rng.between(200, 2500),
            hold: rng.chance(0.3),
        }
    }
}

/// What the screen showed at each call that was established, and later whenever it changed.
type Screens = Arc<Mutex<Vec<(CallId, Padlock)>>>;

struct Run {
    world: World,
    phones: [Handle<EngineHost>; 2],
    mallory: Handle<Mallory>,
    account: AccountId,
    screens: [Screens; 2],
    packets: Arc<Mutex<(usize, usize)>>,
}

fn identity(config: &mut Config, chain: &[u8], key: &[u8]) {
    config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
    config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
    config.listen_tcp = Some((config.local_ip, 5060).into());
    config.listen_tls = Some((config.local_ip, 5061).into());
}

fn account(engine: &mut Engine, now: Instant, aor: &str, plan: &Plan) -> AccountId {
    for domain in ["alice.test", "bob.test"] {
        engine.set_domain_policy(now, domain, plan.policy).unwrap();
    }
    let mut account = AccountConfig::new(Uri::parse(aor).unwrap());
    account.register = false;
    account.transport = Some(plan.transport);
    account.policy = plan.policy;
    account.password = Some(subrosa::util::Secret::new("open sesame".to_string()));
    engine.add_account(now, account).unwrap()
}

/// Notes what the screen shows; hangs up and holds; bob answers whoever calls him.
fn react(plan: &Plan, answers: bool, screens: &Screens, turn: &mut Turn<'_>, event: &Event) {
    let note = |turn: &mut Turn<'_>, call| {
        let padlock = turn.engine.call(call).map(|call| call.security().padlock());
        screens.lock().unwrap().push((call, padlock.unwrap_or_default()));
    };
    match *event {
        Event::IncomingCall { call, .. } => {
            let _ = turn.engine.call(call).unwrap().ring(turn.now);
            turn.after(MS * 300, move |engine, now| {
                let Some(mut call) = engine.call(call) else { return };
                let _ = match answers {
                    true => call.accept(now, CallOptions::default()),
                    false => call.reject(now, 486),
                };
            });
        }
        Event::CallEstablished { call } => {
            note(turn, call);
            let talk = if answers { MS * 20_000 } else { plan.talk };
            turn.after(talk, move |engine, now| {
                let _ = engine.call(call).map(|mut call| call.hang_up(now));
            });
            if plan.hold {
                for (at, hold) in [(MS * 100, true), (plan.talk / 2, false)] {
                    turn.after(at, move |engine, now| {
                        let Some(mut call) = engine.call(call) else { return };
                        let _ = if hold { call.hold(now) } else { call.resume(now) };
                    });
                }
            }
        }
        Event::CallMediaChanged { call, .. } => note(turn, call),
        _ => {}
    }
}

fn set_up(plan: &Plan) -> Run {
    let mut world = World::new(plan.seed);
    world.set_default_link(Link::lan());
    let alice = world.add_phone("alice", |config| {
        identity(config, pem!("alice"), pem!("alice.key"));
    });
    let bob = world.add_phone("bob", |config| identity(config, pem!("bob"), pem!("bob.key")));
    let phones = [alice.unwrap(), bob.unwrap()];
    for (name, host) in [("alice.test", phones[0]), ("bob.test", phones[1])] {
        let ip = world.ip(host);
        world.zone().add_address(name, ip);
    }
    let victims = phones.map(|phone| (world.ip(phone), 5060).into());
    let mallory = world.add_host("mallory", Mallory::new(plan.seed, plan.malice, victims));
    world.divert(phones[0], phones[1], mallory);
    let packets = Arc::default();
    world.add_rule(Egress { phones: phones.map(Handle::id), packets: Arc::clone(&packets) });
    let account =
        world.command(phones[0], |engine, now| account(engine, now, "sip:alice@alice.test", plan));
    world.command(phones[1], |engine, now| self::account(engine, now, "sip:bob@bob.test", plan));
    let screens = [Screens::default(), Screens::default()];
    for (index, phone) in phones.into_iter().enumerate() {
        if plan.policy == SecurityPolicy::Required {
            world.require_security(phone);
        }
        let (plan, screens) = (plan.clone(), screens[index].clone());
        world.act(phone, |host, _| {
            host.say(Source::Sine { hz: 500, peak: 4000 });
            host.react(move |turn, event| react(&plan, index == 1, &screens, turn, event));
        });
    }
    Run { world, phones, mallory, account, screens, packets }
}

/// One run, to its end.
fn run(plan: &Plan) -> (Run, CallId) {
    let mut run = set_up(plan);
    run.world.run_for(MS * 20);
    let account = run.account;
    let call = run.world.command(run.phones[0], |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap()
    });
    if plan.leaks {
        let leak = run.world.command(run.phones[0], |engine, _| {
            engine.call(call).unwrap().sip_call_id().to_string()
        });
        run.world.act(run.mallory, |mallory, _| mallory.leaked.push(leak));
    }
    run.world.act(run.phones[0], |host, net| {
        host.at(net.now() + MS * 40_000, move |engine, now| {
            let _ = engine.call(call).map(|mut call| call.hang_up(now));
        });
        host.drain(net);
    });
    run.world.run_for(MS * 180_000);
    (run, call)
}

#[derive(Default, Debug)]
struct Tally {
    required: usize,
    established: usize,
    encrypted: usize,
    /// Packets of voice that the two sent, encrypted and in the clear.
    srtp: usize,
    rtp: usize,
    meddled: usize,
    stripped: usize,
    forged: usize,
    media: usize,
    cut: usize,
}

impl Tally {
    fn add(&mut self, deeds: Deeds) {
        self.meddled += deeds.meddled;
        self.stripped += deeds.stripped;
        self.forged += deeds.forged;
        self.media += deeds.media;
        self.cut += deeds.cut;
    }
}

/// Counts the packets of voice that the two phones put on the wire: encrypted, in the clear.
struct Egress {
    phones: [HostId; 2],
    packets: Arc<Mutex<(usize, usize)>>,
}

impl Rule for Egress {
    fn name(&self) -> &'static str {
        "egress"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        if let Fact::Datagram { host, payload, .. } = fact
            && self.phones.contains(host)
        {
            let mut packets = self.packets.lock().unwrap();
            match Packet::new(payload).kind() {
                Kind::Srtp | Kind::Srtcp => packets.0 += 1,
                Kind::Rtp | Kind::Rtcp => packets.1 += 1,
                _ => {}
            }
        }
        Ok(())
    }
}

fn check(plan: &Plan, tally: &mut Tally) {
    let (mut run, call) = run(plan);
    run.world.finish().unwrap_or_else(|failure| panic!("{plan:?}\n{failure}"));
    let required = plan.policy == SecurityPolicy::Required;
    let (srtp, clear) = *run.packets.lock().unwrap();
    assert!(!required || clear == 0, "{plan:?}: {clear} packets of voice in the clear");
    for (phone, screens) in run.phones.into_iter().zip(&run.screens) {
        for (id, shown) in screens.lock().unwrap().iter() {
            // It is encrypted, or it does not exist.
            if required {
                assert_eq!(*shown, Padlock::EncryptedToProvider, "{plan:?}");
            }
            if plan.transport != Transport::Tls {
                assert_eq!(*shown, Padlock::None, "{plan:?}: {id}");
            }
        }
        for id in run.world.host(phone).engine().call_ids() {
            let shut = run.world.act(phone, |host, _| {
                let call = host.engine_mut().call(id).unwrap();
                assert_eq!(call.state(), CallState::Ended, "{plan:?}");
                call.security().padlock() == Padlock::EncryptedToProvider
            });
            // No foreign voice: the tone is quiet, and what the attacker adds is loud.
            let loudest = run.world.host(phone).heard(id).iter().map(|s| s.unsigned_abs()).max();
            assert!(!shut || loudest.unwrap_or(0) < 16_000, "{plan:?}: {loudest:?}");
        }
    }
    // Words beside the TLS connection do nothing to a call within.
    if plan.transport == Transport::Tls && plan.malice.cuts == 0.0 {
        let reason = run
            .world
            .act(run.phones[0], |host, _| host.engine_mut().call(call).unwrap().end_reason());
        assert_eq!(reason, Some(EndReason::LocalHangUp), "{plan:?}\n{}", run.world.ladder());
        let shown = run.screens[0].lock().unwrap().clone();
        assert!(shown.contains(&(call, Padlock::EncryptedToProvider)), "{plan:?}");
    }
    let established = run.screens[0].lock().unwrap().iter().any(|(id, _)| *id == call);
    let shut = run.screens[0].lock().unwrap().iter().any(|(_, p)| *p != Padlock::None);
    tally.required += usize::from(required);
    tally.established += usize::from(established);
    tally.encrypted += usize::from(established && shut);
    tally.srtp += srtp;
    tally.rtp += clear;
    tally.add(run.world.host(run.mallory).deeds);
}

/// How many seeds; each half of the test takes one half.
fn seeds() -> u64 {
    std::env::var("SUBROSA_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

fn check_range(from: u64, to: u64) {
    let mut tally = Tally::default();
    for seed in from..to {
        check(&Plan::new(seed), &mut tally);
    }
    println!("{from}..{to}: {tally:?}");
    // The attacker was at work, and did not simply prevent everything.
    let runs = (to - from) as usize;
    assert!(tally.required > runs / 4 && tally.established > runs / 4, "{tally:?}");
    assert!(tally.encrypted > runs / 8 && tally.forged > runs && tally.media > runs, "{tally:?}");
    assert!(tally.meddled > runs && tally.cut > runs / 20 && tally.stripped < runs, "{tally:?}");
}

#[test]
fn the_seed_that_is_asked_for() {
    let Ok(seed) = std::env::var("SUBROSA_SEED") else { return };
    check(&Plan::new(seed.parse().unwrap()), &mut Tally::default());
}

/// 1711: a forged call with the Call-ID of a secure one says its last words. 7988: the first packet
/// of a stream comes when the stream is over. 8968: an answer repeats a `CSeQ:`.
#[test]
fn seeds_that_broke_something_once() {
    for seed in [1711, 7988, 8968] {
        check(&Plan::new(seed), &mut Tally::default());
    }
}

#[test]
fn hostile_worlds_first_half() {
    check_range(0, seeds() / 2);
}

#[test]
fn hostile_worlds_second_half() {
    check_range(seeds() / 2, seeds());
}

#[test]
fn a_silent_listener_on_the_path_changes_nothing() {
    let malice = Malice { until: MS * 5000, ..Malice::default() };
    for transport in [Transport::Tls, Transport::Udp, Transport::Tcp] {
        let policy = match transport {
            Transport::Tls => SecurityPolicy::Required,
            _ => SecurityPolicy::Preferred,
        };
        let plan = Plan { policy, transport, malice, ..Plan::new(1) };
        let mut tally = Tally::default();
        check(&plan, &mut tally);
        assert_eq!(tally.established, 1, "{plan:?}");
        assert_eq!(tally.encrypted, usize::from(transport == Transport::Tls), "{plan:?}");
    }
}

#[test]
fn one_seed_gives_one_run_bit_for_bit() {
    for seed in 0..4 {
        let plan = Plan::new(seed);
        let (first, again) = (run(&plan).0, run(&plan).0);
        assert_eq!(first.world.digest(), again.world.digest(), "{plan:?}");
    }
}
