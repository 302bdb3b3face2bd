//! A thousand calls between two engines, each drawn from its seed: transport, policies, link,
//! codecs, answer, early media, who hangs up, holds from one end or from both at once, DTMF,
//! CANCEL, a link that is cut for a while, connections that break. The invariants watch every one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, clippy::print_stdout)]

use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, CallState, Codec, Config, EndReason, Engine,
    Event, Padlock, SecurityPolicy,
};
use subrosa::sim::{Draw, EngineHost, Handle, Link, Loss, Source, Turn, World, split, tone_share};
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

#[derive(Clone, Copy, PartialEq, Debug)]
enum Answer {
    Accept,
    Reject(u16),
    /// Rings until the caller gives up.
    Never,
}

/// What happens in a run, drawn from the seed before it begins.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    transport: Transport,
    caller_policy: SecurityPolicy,
    callee_policy: SecurityPolicy,
    link: Link,
    caller_codecs: Vec<Codec>,
    callee_codecs: Vec<Codec>,
    answer: Answer,
    answer_after: Duration,
    talk: Duration,
    caller_hangs_up: bool,
    hold: bool,
    /// Both ends hold at the same moment.
    glare: bool,
    /// The callee lets audio flow before it answers.
    early: bool,
    /// The link is cut after the first time, for the second.
    cut: Option<(Duration, Duration)>,
    /// All connections break at this time.
    breaks: Option<Duration>,
    dtmf: Option<char>,
}

fn codecs(rng: &mut impl Draw) -> Vec<Codec> {
    let mut codecs = Codec::USUAL.to_vec();
    let first = rng.below(4) as usize;
    codecs.rotate_left(first);
    codecs.truncate(1 + rng.below(3) as usize);
    // One that everybody has, so that most calls come about.
    if !codecs.contains(&Codec::Pcmu) && rng.chance(0.9) {
        codecs.push(Codec::Pcmu);
    }
    codecs
}

impl Plan {
    fn new(seed: u64) -> Self {
        let rng = &mut split(seed, "plan", 0);
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let policies = [SecurityPolicy::Off, SecurityPolicy::Preferred, SecurityPolicy::Required];
        let transport = *rng.pick(&transports).unwrap();
        let mut policy = || match transport {
            Transport::Tls => *rng.pick(&policies).unwrap(),
            _ => *rng.pick(&policies[..2]).unwrap(),
        };
        let (caller_policy, callee_policy) = (policy(), policy());
        let mut link = match rng.below(4) {
            0 => Link::lan(),
            1 => Link::wan(),
            _ => Link::impaired(rng.between(1, 8) as u8),
        };
        if rng.chance(0.1) {
            link.loss = Loss::Random(0.3);
        }
        let answer = match rng.below(10) {
            0 => Answer::Reject(*rng.pick(&[480, 486, 603]).unwrap()),
            1 | 2 => Answer::Never,
            _ => Answer::Accept,
        };
        Self {
            seed,
            transport,
            caller_policy,
            callee_policy,
            link,
            caller_codecs: codecs(rng),
            callee_codecs: codecs(rng),
            answer,
            answer_after: rng.up_to(MS * 1500),
            talk: MS * 100 + rng.up_to(MS * 900),
            caller_hangs_up: rng.chance(0.5),
            hold: rng.chance(0.25),
            glare: rng.chance(0.15),
            early: rng.chance(0.2),
            cut: rng.chance(0.1).then(|| (rng.up_to(MS * 2500), rng.up_to(MS * 6000))),
            breaks: rng.chance(0.1).then(|| rng.up_to(MS * 2500)),
            dtmf: rng.chance(0.25).then(|| *rng.pick(&['0', '5', '#', 'D']).unwrap()),
        }
    }
}

struct Run {
    world: World,
    alice: Handle<EngineHost>,
    bob: Handle<EngineHost>,
    account: AccountId,
}

fn identity(config: &mut Config, chain: &[u8], key: &[u8]) {
    config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
    config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
    config.listen_tcp = Some((config.local_ip, 5060).into());
    config.listen_tls = Some((config.local_ip, 5061).into());
}

fn account(engine: &mut Engine, now: Instant, aor: &str, plan: &Plan, caller: bool) -> AccountId {
    let domain = aor.rsplit('@').next().unwrap();
    let policy = if caller { plan.caller_policy } else { plan.callee_policy };
    engine.set_domain_policy(now, domain, policy).unwrap();
    let mut account = AccountConfig::new(Uri::parse(aor).unwrap());
    account.register = false;
    account.transport = Some(plan.transport);
    account.policy = policy;
    let codecs = if caller { &plan.caller_codecs } else { &plan.callee_codecs };
    account.codecs.clone_from(codecs);
    engine.add_account(now, account).unwrap()
}

fn set_up(plan: &Plan) -> Run {
    let mut world = World::new(plan.seed);
    world.set_default_link(plan.link.clone());
    let alice = world.add_phone("alice", |config| {
        config.codecs = Codec::ALL.to_vec();
        identity(config, pem!("alice"), pem!("alice.key"));
    });
    let bob = world.add_phone("bob", |config| {
        config.codecs = Codec::ALL.to_vec();
        identity(config, pem!("bob"), pem!("bob.key"));
    });
    let (alice, bob) = (alice.unwrap(), bob.unwrap());
    for (name, host) in [("alice.test", alice), ("bob.test", bob)] {
        let ip = world.ip(host);
        let zone = world.zone();
        zone.add_address(name, ip);
        zone.add_srv(&format!("_sips._tcp.{name}"), 1, 5061, name);
        zone.add_srv(&format!("_sip._tcp.{name}"), 1, 5060, name);
        zone.add_srv(&format!("_sip._udp.{name}"), 1, 5060, name);
    }
    let account_of = |world: &mut World, host, aor: &str, caller| {
        world.command(host, |engine, now| account(engine, now, aor, plan, caller))
    };
    let account = account_of(&mut world, alice, "sip:alice@alice.test", true);
    account_of(&mut world, bob, "sip:bob@bob.test", false);
    if plan.caller_policy == SecurityPolicy::Required {
        world.require_security(alice);
    }
    if plan.callee_policy == SecurityPolicy::Required {
        world.require_security(bob);
    }
    let tone = Source::Sine { hz: 500, peak: 8000 };
    world.act(alice, |host, _| host.say(tone));
    let callee = plan.clone();
    world.act(bob, |host, _| host.react(move |turn, event| bob_reacts(&callee, turn, event)));
    let caller = plan.clone();
    world.act(alice, |host, _| host.react(move |turn, event| alice_reacts(&caller, turn, event)));
    Run { world, alice, bob, account }
}

/// A command that comes too late because the call is over meanwhile changes nothing.
fn hang_up(engine: &mut Engine, now: Instant, id: CallId) {
    if let Some(mut call) = engine.call(id) {
        let _ = call.hang_up(now);
    }
}

/// Holds at a moment that both ends know, and resumes later.
fn hold_for_a_while(plan: &Plan, turn: &mut Turn<'_>, call: CallId) {
    // A moment of the world's clock, so that requests cross.
    let slot = MS * 250;
    let past = turn.now.duration_since(Instant::ZERO).as_micros() % slot.as_micros();
    let wait = slot + slot - Duration::from_micros(past as u64);
    turn.after(wait, move |engine, now| {
        let _ = engine.call(call).map(|mut c| c.hold(now));
    });
    turn.after(wait + plan.talk / 2, move |engine, now| {
        let _ = engine.call(call).map(|mut c| c.resume(now));
    });
}

fn alice_reacts(plan: &Plan, turn: &mut Turn<'_>, event: &Event) {
    if let Event::CallEstablished { call } = *event {
        if plan.caller_hangs_up {
            turn.after(plan.talk, move |engine, now| hang_up(engine, now, call));
        }
        if plan.glare {
            hold_for_a_while(plan, turn, call);
        }
        if let Some(digit) = plan.dtmf {
            turn.after(MS * 40, move |engine, now| {
                let _ = engine.call(call).map(|mut c| c.send_dtmf(now, digit, MS * 100));
            });
        }
    }
}

fn bob_reacts(plan: &Plan, turn: &mut Turn<'_>, event: &Event) {
    match *event {
        Event::IncomingCall { call, .. } => {
            let id = call;
            // It may be over already: cancelled, or without common media.
            let mut incoming = turn.engine.call(call).unwrap();
            let _ = match plan.early {
                true => incoming.early_media(turn.now, 16_000),
                false => incoming.ring(turn.now),
            };
            let (answer, codecs) = (plan.answer, plan.callee_codecs.clone());
            turn.after(plan.answer_after, move |engine, now| {
                let Some(mut call) = engine.call(call) else { return };
                let mut options = CallOptions::default();
                options.codecs = codecs;
                // It may be over already: cancelled, or lost.
                let _ = match answer {
                    Answer::Accept => call.accept(now, options),
                    Answer::Reject(status) => call.reject(now, status),
                    Answer::Never => Ok(()),
                };
            });
            // Nobody is at home: the phone stops ringing, should the caller have vanished.
            turn.after(MS * 60_000, move |engine, now| hang_up(engine, now, id));
        }
        Event::CallEstablished { call } => {
            if !plan.caller_hangs_up {
                turn.after(plan.talk, move |engine, now| hang_up(engine, now, call));
            }
            if plan.glare {
                hold_for_a_while(plan, turn, call);
            }
            if plan.hold {
                turn.after(MS * 50, move |engine, now| {
                    let _ = engine.call(call).map(|mut c| c.hold(now));
                });
                turn.after(plan.talk / 2, move |engine, now| {
                    let _ = engine.call(call).map(|mut c| c.resume(now));
                });
            }
        }
        _ => {}
    }
}

/// What happens to the network meanwhile.
enum Trouble {
    Break,
    Cut,
    Mend,
}

/// One run, to its end. The caller gives up after 40 s at the latest.
fn run(plan: &Plan) -> (Run, CallId) {
    let mut run = set_up(plan);
    let account = run.account;
    run.world.run_for(MS * 10);
    let call = run.world.command(run.alice, |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap()
    });
    let patience = if plan.answer == Answer::Never { plan.answer_after } else { MS * 40_000 };
    run.world.act(run.alice, |host, net| {
        let at = net.now() + patience;
        host.at(at, move |engine, now| hang_up(engine, now, call));
        host.drain(net);
    });
    let start = run.world.now();
    let mut troubles: Vec<(Duration, Trouble)> = vec![];
    troubles.extend(plan.breaks.map(|at| (at, Trouble::Break)));
    if let Some((at, time)) = plan.cut {
        troubles.extend([(at, Trouble::Cut), (at + time, Trouble::Mend)]);
    }
    troubles.sort_by_key(|(at, _)| *at);
    for (at, trouble) in troubles {
        run.world.run_until(start + at);
        match trouble {
            Trouble::Break => run.world.break_connections(run.alice, run.bob),
            Trouble::Cut => run.world.cut(run.alice, run.bob),
            Trouble::Mend => run.world.mend(run.alice, run.bob),
        }
    }
    // Long enough for every transaction, retransmission and lingering connection to end.
    run.world.run_until(start + MS * 160_000);
    (run, call)
}

/// How one run went, after the invariants were satisfied.
#[derive(Default, Debug)]
struct Tally {
    established: usize,
    refused: usize,
    cancelled: usize,
    failed: usize,
    padlocks: usize,
    held: usize,
    digits: usize,
    /// Both ends held at once, and re-INVITEs crossed.
    glares: usize,
    early: usize,
    troubled: usize,
}

fn check(plan: &Plan, tally: &mut Tally) {
    let (mut run, call) = run(plan);
    run.world.finish().unwrap_or_else(|failure| panic!("{plan:?}\n{failure}"));
    let events =
        |host: Handle<EngineHost>| run.world.host(host).events().iter().map(|(_, event)| event);
    let established = events(run.alice).any(|e| matches!(e, Event::CallEstablished { .. }));
    let ended = events(run.alice).find_map(|event| match event {
        Event::CallEnded { call: id, reason } if *id == call => Some(reason.clone()),
        _ => None,
    });
    let ended = ended.unwrap_or_else(|| panic!("{plan:?}: the call never ended"));
    tally.established += usize::from(established);
    match ended {
        EndReason::Cancelled => tally.cancelled += 1,
        EndReason::Refused { .. } => tally.refused += 1,
        EndReason::Failed(_) | EndReason::NoAnswer => tally.failed += 1,
        _ => {}
    }
    let holds = |e: &Event| matches!(e, Event::CallMediaChanged { remote_hold: true, .. });
    tally.held += usize::from(events(run.alice).any(holds));
    tally.digits += events(run.bob).filter(|e| matches!(e, Event::DtmfReceived { .. })).count();
    tally.glares += usize::from(plan.glare && run.world.ladder().contains("491 "));
    let early = |e: &Event| matches!(e, Event::CallProgress { early_media: true, .. });
    tally.early += usize::from(events(run.alice).any(early));
    let untroubled = plan.cut.is_none() && plan.breaks.is_none();
    tally.troubled += usize::from(established && !untroubled);
    let calm = plan.link.loss == Loss::None && untroubled;
    let secure = plan.transport == Transport::Tls
        && plan.caller_policy != SecurityPolicy::Off
        && plan.callee_policy != SecurityPolicy::Off;
    let shut = run.world.act(run.alice, |host, _| {
        let call = host.engine_mut().call(call).unwrap();
        assert_eq!(call.state(), CallState::Ended);
        call.security().padlock() == Padlock::EncryptedToProvider
    });
    if established && secure && untroubled {
        assert!(shut, "{plan:?}: both ends can, and the call is not encrypted");
        tally.padlocks += 1;
    }
    let common = plan.caller_codecs.iter().any(|codec| plan.callee_codecs.contains(codec));
    let compatible = plan.transport != Transport::Tls
        || secure
        || (plan.caller_policy != SecurityPolicy::Required
            && plan.callee_policy != SecurityPolicy::Required);
    if calm && common && compatible {
        let expected = plan.answer == Answer::Accept;
        assert_eq!(established, expected, "{plan:?}: {ended:?}\n{}", run.world.ladder());
    }
}

fn check_range(from: u64, to: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in from..to {
        check(&Plan::new(seed), &mut tally);
    }
    println!("{from}..{to}: {tally:?}");
    // Every way through a call was taken often enough to mean something.
    assert!(tally.established > 100 && tally.cancelled > 20 && tally.refused > 10, "{tally:?}");
    assert!(tally.padlocks > 12 && tally.held > 10 && tally.digits > 10, "{tally:?}");
    assert!(tally.early > 10 && tally.troubled > 10, "{tally:?}");
    tally
}

#[test]
fn a_thousand_calls_first_quarter() {
    check_range(0, 250);
}

#[test]
fn a_thousand_calls_second_quarter() {
    check_range(250, 500);
}

#[test]
fn a_thousand_calls_third_quarter() {
    check_range(500, 750);
}

#[test]
fn a_thousand_calls_fourth_quarter() {
    check_range(750, 1000);
}

#[test]
fn one_seed_gives_one_run_bit_for_bit() {
    for seed in 0..12 {
        let plan = Plan::new(seed);
        let (first, again) = (run(&plan).0, run(&plan).0);
        assert_eq!(first.world.digest(), again.world.digest(), "{plan:?}");
    }
    assert_ne!(run(&Plan::new(0)).0.world.digest(), run(&Plan::new(1)).0.world.digest());
}

/// A plan for a quiet call that is answered.
fn quiet(transport: Transport, policy: SecurityPolicy) -> Plan {
    Plan {
        transport,
        caller_policy: policy,
        callee_policy: policy,
        link: Link::lan(),
        caller_codecs: Codec::ALL.to_vec(),
        callee_codecs: Codec::ALL.to_vec(),
        answer: Answer::Accept,
        answer_after: MS * 500,
        talk: MS * 3000,
        caller_hangs_up: true,
        hold: false,
        glare: false,
        early: false,
        cut: None,
        breaks: None,
        dtmf: None,
        ..Plan::new(4711)
    }
}

#[test]
fn the_tone_that_one_side_says_is_heard_at_the_other() {
    for codec in Codec::ALL {
        let mut plan = quiet(Transport::Tls, SecurityPolicy::Required);
        plan.caller_codecs = vec![codec];
        let (run, _) = run(&plan);
        run.world.check().unwrap();
        let host = run.world.host(run.bob);
        let call = host.engine().call_ids()[0];
        let heard = host.heard(call);
        assert!(heard.len() > 32_000, "{} samples", heard.len());
        let share = tone_share(&heard[16_000..32_000], 500, 16_000);
        assert!(share > 0.9, "{codec:?}: {share}");
    }
}

#[test]
fn a_broken_rule_is_caught_and_shown() {
    // The calls are plain, and the rule says that nothing may be: a policy that does not hold.
    let plan = quiet(Transport::Udp, SecurityPolicy::Off);
    let mut run = set_up(&plan);
    run.world.require_security(run.alice);
    let account = run.account;
    run.world.command(run.alice, |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap()
    });
    run.world.run_for(MS * 5000);
    let failure = run.world.finish().expect_err("the rule must notice");
    let text = failure.to_string();
    assert!(text.contains("seed 4711"), "{text}");
    assert!(text.contains("sent SIP to 10.0.0.2:5060"), "{text}");
    assert!(text.contains("INVITE (1 INVITE) +SDP"), "{text}");
}
