//! The policy of a domain and the ladder of its accounts, in virtual time: what each policy does,
//! what a change at runtime does, what is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/sim_registrar.rs"]
mod sim_registrar;

use sim_registrar::Registrar;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, AccountId, AccountState, CallOptions, Engine, Event, FailureReason,
    PolicySource, SecurityPolicy, StepOutcome,
};
use subrosa::sim::{EngineHost, Handle, World};
use subrosa::sip::Transport;
use subrosa::time::{Duration, Instant};
use subrosa::wire::sip::Uri;

use SecurityPolicy::{Off, Preferred, Required};

fn phone(world: &mut World) -> Handle<EngineHost> {
    let ca = include_bytes!("data/sim/ca.pem");
    world.add_phone("alice", |c| c.trust = TrustAnchors::from_pem(ca).unwrap()).unwrap()
}

/// A registrar for bob.test (the name in the certificate) at one address.
fn registrar(world: &mut World, transports: &[Transport]) -> Handle<Registrar> {
    let chain = include_bytes!("data/sim/bob.pem");
    let key = include_bytes!("data/sim/bob.key.pem");
    let host = Registrar::new(transports, chain, key);
    let registrar = world.add_host("registrar", host);
    let ip = world.ip(registrar);
    world.zone().add_address("bob.test", ip);
    registrar
}

fn account(
    world: &mut World,
    phone: Handle<EngineHost>,
    change: impl FnOnce(&mut AccountConfig),
) -> AccountId {
    world.command(phone, |engine, now| {
        let mut account = AccountConfig::new(Uri::parse("sip:alice@bob.test").unwrap());
        change(&mut account);
        engine.add_account(now, account).unwrap()
    })
}

fn policy(world: &mut World, phone: Handle<EngineHost>, policy: SecurityPolicy) {
    world.command(phone, |engine, now| engine.set_domain_policy(now, "bob.test", policy).unwrap());
}

fn transport(world: &mut World, phone: Handle<EngineHost>, id: AccountId) -> Option<Transport> {
    world.command(phone, |engine, _| engine.account(id).unwrap().transport)
}

fn is_registered(world: &mut World, phone: Handle<EngineHost>, id: AccountId) -> bool {
    let registered = |engine: &mut Engine, _: Instant| engine.account(id).unwrap().state;
    matches!(world.command(phone, registered), AccountState::Registered { .. })
}

fn count(world: &World, phone: Handle<EngineHost>, wanted: impl Fn(&Event) -> bool) -> usize {
    world.host(phone).events().iter().filter(|(_, e)| wanted(e)).count()
}

const ALL: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

#[test]
fn each_policy_takes_the_transport_that_it_prefers_and_off_is_as_without_the_feature() {
    for (wanted, expected) in
        [(Off, Transport::Udp), (Preferred, Transport::Tls), (Required, Transport::Tls)]
    {
        let mut world = World::new(1);
        let alice = phone(&mut world);
        registrar(&mut world, &ALL);
        policy(&mut world, alice, wanted);
        let id = account(&mut world, alice, |_| {});
        world.run_for(Duration::from_secs(3));
        assert!(is_registered(&mut world, alice, id), "{}", world.ladder());
        assert_eq!(transport(&mut world, alice, id), Some(expected));
        let (policy, source) = world.command(alice, |engine, _| {
            let effective = engine.account_policy(id).unwrap();
            (effective.policy, effective.source)
        });
        assert_eq!((policy, source), (wanted, PolicySource::Domain));
    }
}

#[test]
fn preferred_falls_back_step_by_step_and_tells_and_required_does_not() {
    for (served, expected) in [
        (vec![Transport::Tcp, Transport::Udp], Some(Transport::Tcp)),
        (vec![Transport::Udp], Some(Transport::Udp)),
    ] {
        let mut world = World::new(2);
        let alice = phone(&mut world);
        registrar(&mut world, &served);
        let id = account(&mut world, alice, |_| {});
        world.run_for(Duration::from_secs(40));
        assert!(is_registered(&mut world, alice, id), "{}", world.ladder());
        let status = world.command(alice, |engine, _| engine.account(id).unwrap());
        assert_eq!(status.transport, expected);
        assert!(status.fallback);
        assert_eq!(status.ladder[0].transport, Transport::Tls);
        assert_eq!(status.ladder[0].outcome, StepOutcome::Refused);
        assert_eq!(status.ladder.last().unwrap().outcome, StepOutcome::Up);
        let told = |e: &Event| matches!(e, Event::TransportChanged { fallback: true, .. });
        assert_eq!(count(&world, alice, told), 1);

        let mut world = World::new(3);
        let alice = phone(&mut world);
        registrar(&mut world, &served);
        policy(&mut world, alice, Required);
        let id = account(&mut world, alice, |_| {});
        world.run_for(Duration::from_secs(40));
        assert!(!is_registered(&mut world, alice, id));
        let failed = |e: &Event| {
            matches!(e, Event::RegistrationFailed { reason: FailureReason::Unreachable, .. })
        };
        assert!(count(&world, alice, failed) >= 1);
    }
}

#[test]
fn a_certificate_that_does_not_verify_ends_the_walk_except_without_any_policy() {
    for (wanted, registers) in [(Off, true), (Preferred, false), (Required, false)] {
        let mut world = World::new(4);
        // This phone does not know the domain's CA.
        let alice = world.add_phone("alice", |_| {}).unwrap();
        registrar(&mut world, &ALL);
        policy(&mut world, alice, wanted);
        let id = account(&mut world, alice, |_| {});
        world.run_for(Duration::from_secs(20));
        assert_eq!(is_registered(&mut world, alice, id), registers, "{wanted}");
        let told = |e: &Event| matches!(e, Event::CertificateRejected { .. });
        assert_eq!(count(&world, alice, told) >= 1, !registers);
        let status = world.command(alice, |engine, _| engine.account(id).unwrap());
        let certificate =
            status.ladder.iter().any(|s| matches!(s.outcome, StepOutcome::Certificate(_)));
        assert_eq!(certificate, !registers);
        assert_eq!(status.ladder.len(), 1, "nothing is tried after it: {:?}", status.ladder);
    }
}

#[test]
fn a_policy_set_at_runtime_moves_the_account_without_a_log_out() {
    let mut world = World::new(5);
    let alice = phone(&mut world);
    let registrar = registrar(&mut world, &ALL);
    policy(&mut world, alice, Off);
    let id = account(&mut world, alice, |_| {});
    world.run_for(Duration::from_secs(3));
    assert_eq!(transport(&mut world, alice, id), Some(Transport::Udp));
    for (wanted, expected) in [
        (Required, Transport::Tls),
        (Off, Transport::Udp),
        (Preferred, Transport::Tls),
        (Required, Transport::Tls),
    ] {
        policy(&mut world, alice, wanted);
        world.run_for(Duration::from_secs(3));
        assert!(is_registered(&mut world, alice, id), "{wanted}\n{}", world.ladder());
        assert_eq!(transport(&mut world, alice, id), Some(expected), "{wanted}");
        let binding = world.host(registrar).bindings.clone();
        assert_eq!(binding.len(), 1, "the former contact is removed: {binding:?}");
    }
    let out =
        |e: &Event| matches!(e, Event::Unregistered { .. } | Event::RegistrationFailed { .. });
    assert_eq!(count(&world, alice, out), 0, "no log-out");
}

#[test]
fn required_leaves_the_plain_way_at_once_even_if_there_is_no_other() {
    let mut world = World::new(6);
    let alice = phone(&mut world);
    registrar(&mut world, &[Transport::Udp]);
    policy(&mut world, alice, Off);
    let id = account(&mut world, alice, |_| {});
    world.run_for(Duration::from_secs(3));
    policy(&mut world, alice, Required);
    world.require_security(alice);
    assert_eq!(transport(&mut world, alice, id), None);
    world.run_for(Duration::from_secs(5));
    world.command(alice, |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, id, &to, CallOptions::default()).unwrap();
    });
    world.run_for(Duration::from_secs(60));
    let ended = |e: &Event| matches!(e, Event::CallEnded { .. });
    assert_eq!(count(&world, alice, ended), 1);
    // Nothing left this phone in the clear.
    world.finish().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_fallen_back_account_climbs_to_tls_at_a_refresh_and_says_so() {
    let mut world = World::new(7);
    let alice = phone(&mut world);
    let registrar = registrar(&mut world, &[Transport::Udp]);
    let id = account(&mut world, alice, |a| a.expires = Duration::from_secs(120));
    world.run_for(Duration::from_secs(300));
    assert!(is_registered(&mut world, alice, id), "{}", world.ladder());
    assert_eq!(transport(&mut world, alice, id), Some(Transport::Udp));
    world.act(registrar, |host, net| host.serve(net, Transport::Tls));
    world.run_for(Duration::from_secs(1200));
    assert_eq!(transport(&mut world, alice, id), Some(Transport::Tls), "{}", world.ladder());
    assert!(is_registered(&mut world, alice, id));
    let up = |e: &Event| {
        matches!(e, Event::TransportChanged { transport: Transport::Tls, fallback: false, .. })
    };
    assert_eq!(count(&world, alice, up), 1);
    let out =
        |e: &Event| matches!(e, Event::Unregistered { .. } | Event::RegistrationFailed { .. });
    assert_eq!(count(&world, alice, out), 0);
}

#[test]
fn an_account_and_a_call_may_be_stricter_than_their_domain_and_never_looser() {
    let mut world = World::new(8);
    let alice = phone(&mut world);
    registrar(&mut world, &ALL);
    let parts = |world: &mut World, id| {
        world.command(alice, |engine, _| {
            let p = engine.account_policy(id).unwrap();
            (p.policy, p.source)
        })
    };
    let loose = account(&mut world, alice, |a| a.policy = Off);
    let strict = account(&mut world, alice, |a| a.policy = Required);
    assert_eq!(parts(&mut world, loose), (Preferred, PolicySource::Default));
    assert_eq!(parts(&mut world, strict), (Required, PolicySource::Account));
    policy(&mut world, alice, Required);
    assert_eq!(parts(&mut world, loose), (Required, PolicySource::Domain));
    policy(&mut world, alice, Off);
    world.run_for(Duration::from_secs(3));
    let call = world.command(alice, |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        let mut options = CallOptions::default();
        options.policy = Required;
        let id = engine.place_call(now, loose, &to, options).unwrap();
        engine.call(id).unwrap().policy()
    });
    assert_eq!((call.policy, call.source), (Required, PolicySource::Call));
}

#[test]
fn a_policy_changed_to_and_fro_ends_where_it_was_set_last_and_nothing_is_lost() {
    let expected = |p| if p == Off { Transport::Udp } else { Transport::Tls };
    let all = [Off, Preferred, Required];
    let pairs = all.iter().flat_map(|a| all.iter().filter(move |b| *b != a).map(move |b| (*a, *b)));
    for (a, b) in pairs {
        // At once; amid the look-up, the connection, the handshake, the REGISTER; after all that.
        for gap in [0, 1, 3, 6, 8, 10, 13, 20, 700] {
            let case = format!("{a} {b} {gap} ms");
            let mut world = World::new(9);
            let alice = phone(&mut world);
            let registrar = registrar(&mut world, &ALL);
            policy(&mut world, alice, a);
            let id = account(&mut world, alice, |account| {
                account.expires = Duration::from_secs(120);
            });
            world.run_for(Duration::from_secs(3));
            assert!(is_registered(&mut world, alice, id), "{case}");
            for wanted in [b, a, b, a] {
                policy(&mut world, alice, wanted);
                world.run_for(Duration::from_millis(gap));
            }
            let effective = world.command(alice, |engine, _| engine.account_policy(id).unwrap());
            assert_eq!(effective.policy, a);
            for seconds in [5, 600] {
                world.run_for(Duration::from_secs(seconds));
                assert!(is_registered(&mut world, alice, id), "{case}: {}", world.ladder());
                assert_eq!(transport(&mut world, alice, id), Some(expected(a)), "{case}");
                let bindings = world.host(registrar).bindings.clone();
                assert_eq!(bindings.len(), 1, "{case}: {bindings:?}");
            }
            let events = world.host(alice).events().iter().map(|(_, e)| e);
            let moves: Vec<_> = events
                .clone()
                .filter_map(|e| match e {
                    Event::TransportChanged { transport, fallback, .. } => {
                        assert!(!fallback, "{case}");
                        Some(*transport)
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(moves.last(), Some(&expected(a)), "{case}: {moves:?}");
            assert!(moves.windows(2).all(|pair| pair[0] != pair[1]), "{case}: {moves:?}");
            let out = |e: &&Event| {
                matches!(e, Event::Unregistered { .. } | Event::RegistrationFailed { .. })
            };
            assert_eq!(events.clone().filter(out).count(), 0, "{case}: no log-out");
        }
    }
}
