//! Registration of whole engines in virtual time, at registrars that check Digest by themselves:
//! algorithms, expiry, several accounts, wrong passwords, stale nonces, addresses behind a NAT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/digest_server.rs"]
mod digest_server;
#[path = "support/peer.rs"]
mod peer;

use digest_server::{Shared, Verdict};
use peer::Peer;
use subrosa::engine::{
    AccountConfig, AccountId, AccountState, CallOptions, Event, FailureReason, SecurityPolicy,
};
use subrosa::sim::{EngineHost, Handle, Link, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::util::Secret;
use subrosa::wire::sip::{Method, Uri};

struct Lab {
    world: World,
    phone: Handle<EngineHost>,
}

impl Lab {
    fn new() -> Self {
        let mut world = World::new(1);
        world.set_default_link(Link::perfect());
        let phone = world.add_phone("phone", |_| {}).unwrap();
        Self { world, phone }
    }

    fn serve(&mut self, domain: &str, server: &Shared) -> Handle<Peer> {
        let host = self.world.add_host(domain, server.peer(true, true));
        let ip = self.world.ip(host);
        self.world.zone().add_address(domain, ip);
        host
    }

    fn add(
        &mut self,
        aor: &str,
        password: &str,
        change: impl FnOnce(&mut AccountConfig),
    ) -> AccountId {
        let domain = aor.split('@').nth(1).unwrap().to_string();
        self.world.command(self.phone, |engine, now| {
            engine.set_domain_policy(now, &domain, SecurityPolicy::Off).unwrap();
            let mut account = AccountConfig::new(Uri::parse(aor).unwrap());
            account.password = Some(Secret::new(password.to_string()));
            account.transport = Some(Transport::Udp);
            change(&mut account);
            engine.add_account(now, account).unwrap()
        })
    }

    fn run(&mut self, seconds: u64) {
        self.world.run_for(Duration::from_secs(seconds));
    }

    fn remove(&mut self, id: AccountId) {
        self.world.command(self.phone, |engine, now| engine.remove_account(now, id).unwrap());
        self.run(5);
    }

    fn is_registered(&mut self, id: AccountId) -> bool {
        self.world.command(self.phone, |engine, _| {
            matches!(engine.account(id).unwrap().state, AccountState::Registered { .. })
        })
    }

    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.world.host(self.phone).events().iter().filter(|(_, e)| wanted(e)).count()
    }
}

const ALICE: [(&str, &str); 1] = [("alice", "open sesame")];

#[test]
fn each_algorithm_and_quality_registers_and_unregisters() {
    for algorithm in
        ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"]
    {
        for qop in ["auth", "auth-int"] {
            let server = Shared::new("one.test", &ALICE, &[(algorithm, qop)]);
            let mut lab = Lab::new();
            lab.serve("one.test", &server);
            let id = lab.add("sip:alice@one.test", "open sesame", |_| {});
            lab.run(5);
            assert!(lab.is_registered(id), "{algorithm} {qop}\n{}", lab.world.ladder());
            lab.remove(id);
            let verdicts = server.verdicts();
            assert_eq!([&verdicts[0], &verdicts[2]], [&Verdict::Challenged, &Verdict::Removed]);
            assert!(matches!(verdicts[1], Verdict::Bound(_)));
            assert_eq!(verdicts.len(), 3, "{verdicts:?}");
            let log = server.get().log.clone();
            assert_eq!((log[1].algorithm.as_str(), log[1].qop.as_str()), (algorithm, qop));
            assert_eq!([&log[1].nonce_count, &log[2].nonce_count], ["00000001", "00000002"]);
            assert!(log.iter().all(|seen| seen.call_id == log[0].call_id));
        }
    }
}

#[test]
fn of_several_challenges_the_strongest_is_answered_wherever_it_stands() {
    let all = [("MD5", "auth"), ("SHA-512-256", "auth"), ("SHA-256", "auth-int,auth")];
    for turn in 0..3 {
        let mut challenges = all.to_vec();
        challenges.rotate_left(turn);
        let server = Shared::new("one.test", &ALICE, &challenges);
        let mut lab = Lab::new();
        lab.serve("one.test", &server);
        lab.add("sip:alice@one.test", "open sesame", |_| {});
        lab.run(5);
        let log = server.get().log.clone();
        assert_eq!((log.len(), log[1].algorithm.as_str()), (2, "SHA-512-256"), "{turn}");
    }
    // Without one that is known nothing is answered.
    let server = Shared::new("one.test", &ALICE, &[("SHA3-256", "auth")]);
    let mut lab = Lab::new();
    lab.serve("one.test", &server);
    lab.add("sip:alice@one.test", "open sesame", |_| {});
    lab.run(600);
    assert_eq!(server.verdicts(), [Verdict::Challenged]);
    let failed = |e: &Event| matches!(e, Event::RegistrationFailed { retry_in: None, .. });
    assert_eq!(lab.count(failed), 1);
}

#[test]
fn an_expiry_that_is_too_brief_is_raised_to_the_least_that_the_server_takes() {
    let server = Shared::new("one.test", &ALICE, &[("SHA-256", "auth")]);
    server.get().min_expires = 1_800;
    let mut lab = Lab::new();
    lab.serve("one.test", &server);
    let id = lab.add("sip:alice@one.test", "open sesame", |a| {
        a.expires = Duration::from_secs(60);
    });
    lab.run(5);
    assert!(lab.is_registered(id));
    let expected = [Verdict::Challenged, Verdict::TooBrief, Verdict::Bound(1_800)];
    assert_eq!(server.verdicts(), expected);
    // A server that wants more each time is given up.
    let greedy = Shared::new("two.test", &ALICE, &[]);
    greedy.get().min_expires = u32::MAX;
    lab.serve("two.test", &greedy);
    lab.add("sip:alice@two.test", "x", |_| {});
    lab.run(600);
    assert_eq!(greedy.verdicts(), [Verdict::TooBrief]);
}

#[test]
fn a_binding_is_refreshed_before_it_ends_and_is_gone_after_removal() {
    let server = Shared::new("one.test", &ALICE, &[("SHA-256", "auth")]);
    let mut lab = Lab::new();
    let host = lab.serve("one.test", &server);
    let id = lab.add("sip:alice@one.test", "open sesame", |a| {
        a.expires = Duration::from_secs(600);
    });
    lab.run(3_600);
    assert!(lab.is_registered(id));
    let seen = &lab.world.host(host).seen;
    let times: Vec<_> = seen.iter().map(|(at, ..)| at.as_micros()).collect();
    // The challenge is answered at once; after that each comes in the last part of the 600 s.
    let gaps: Vec<_> = times[1..].windows(2).map(|w| (w[1] - w[0]) / 1_000_000).collect();
    assert!(gaps.len() >= 6 && gaps.iter().all(|gap| (500..600).contains(gap)), "{gaps:?}");
    assert!(server.verdicts()[1..].iter().all(|v| *v == Verdict::Bound(600)));
    let before = server.verdicts().len();
    lab.remove(id);
    lab.run(3_600);
    assert_eq!(server.verdicts()[before..], [Verdict::Removed]);
    assert_eq!(lab.count(|e| matches!(e, Event::Unregistered { .. })), 1);
}

#[test]
fn accounts_at_two_registrars_and_two_at_one_do_not_mix() {
    let users = [("alice", "open sesame"), ("bob", "swordfish")];
    let one = Shared::new("one.test", &users, &[("SHA-256", "auth")]);
    let two = Shared::new("two.test", &[("alice", "other")], &[("MD5", "auth")]);
    let mut lab = Lab::new();
    lab.serve("one.test", &one);
    lab.serve("two.test", &two);
    let accounts = [
        lab.add("sip:alice@one.test", "open sesame", |_| {}),
        lab.add("sip:bob@one.test", "swordfish", |_| {}),
        lab.add("sip:alice@two.test", "other", |_| {}),
    ];
    lab.run(10);
    assert!(accounts.into_iter().all(|id| lab.is_registered(id)), "{}", lab.world.ladder());
    let calls: Vec<_> = ["alice", "bob"].map(|user| one.of(user)).into();
    for seen in &calls {
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].verdict, Verdict::Challenged);
        assert!(matches!(seen[1].verdict, Verdict::Bound(_)));
        assert_eq!(seen[1].nonce_count, "00000001");
    }
    assert_ne!(calls[0][0].call_id, calls[1][0].call_id);
    assert_eq!(two.verdicts().len(), 2);
    // One goes, the others stay.
    lab.remove(accounts[0]);
    assert_eq!(one.of("alice").last().unwrap().verdict, Verdict::Removed);
    assert!(lab.is_registered(accounts[1]) && lab.is_registered(accounts[2]));
    assert_eq!((one.of("bob").len(), two.verdicts().len()), (2, 2));
}

#[test]
fn a_wrong_password_is_one_clear_failure_and_no_loop() {
    for nat in [None, Some(("203.0.113.7".to_string(), 40_001))] {
        let server = Shared::new("one.test", &ALICE, &[("SHA-256", "auth")]);
        server.get().seen_as = nat;
        let mut lab = Lab::new();
        lab.serve("one.test", &server);
        let id = lab.add("sip:alice@one.test", "open barley", |_| {});
        lab.run(7_200);
        assert_eq!(server.verdicts(), [Verdict::Challenged, Verdict::Refused]);
        let credentials = |e: &Event| match e {
            Event::RegistrationFailed { account, reason, retry_in } => {
                *account == id && *reason == FailureReason::Credentials && retry_in.is_none()
            }
            _ => false,
        };
        assert_eq!(lab.count(credentials), 1);
        assert_eq!(lab.count(|e| matches!(e, Event::RegistrationFailed { .. })), 1);
        assert!(!lab.is_registered(id));
    }
}

#[test]
fn an_account_without_a_password_answers_no_challenge_and_says_so() {
    let server = Shared::new("one.test", &[("alice", "")], &[("SHA-256", "auth")]);
    let mut lab = Lab::new();
    lab.serve("one.test", &server);
    lab.add("sip:alice@one.test", "", |a| a.password = None);
    lab.run(7_200);
    assert_eq!(server.verdicts(), [Verdict::Challenged]);
    let told = |e: &Event| {
        matches!(
            e,
            Event::RegistrationFailed { reason: FailureReason::NoCredentials, retry_in: None, .. }
        )
    };
    assert_eq!(lab.count(told), 1);
}

#[test]
fn a_stale_nonce_is_replaced_without_a_word_to_the_user() {
    let server = Shared::new("one.test", &ALICE, &[("SHA-512-256", "auth")]);
    server.get().uses = 2;
    let mut lab = Lab::new();
    lab.serve("one.test", &server);
    let id = lab.add("sip:alice@one.test", "open sesame", |a| {
        a.expires = Duration::from_secs(600);
    });
    lab.run(3_600);
    assert!(lab.is_registered(id));
    let verdicts = server.verdicts();
    let stale = verdicts.iter().filter(|v| **v == Verdict::Stale).count();
    assert!(stale >= 2 && !verdicts.contains(&Verdict::Refused), "{verdicts:?}");
    assert!(verdicts.windows(2).all(|w| w != [Verdict::Stale, Verdict::Stale]));
    assert_eq!(lab.count(|e| matches!(e, Event::RegistrationFailed { .. })), 0);
}

#[test]
fn behind_a_nat_the_address_that_the_server_sees_is_registered_and_offered() {
    for challenges in [vec![], vec![("SHA-256", "auth")]] {
        let server = Shared::new("one.test", &ALICE, &challenges);
        server.get().seen_as = Some(("203.0.113.7".to_string(), 40_001));
        let mut lab = Lab::new();
        let host = lab.serve("one.test", &server);
        let account = lab.add("sip:alice@one.test", "open sesame", |a| {
            a.expires = Duration::from_secs(600);
        });
        lab.run(60);
        assert!(lab.is_registered(account));
        let log = server.get().log.clone();
        let public = "sip:alice@203.0.113.7:40001";
        assert!(log[0].contacts[0].contains(&lab.world.ip(lab.phone).to_string()));
        assert_eq!(log.len(), 2, "{log:?}");
        assert!(log[1].contacts[0].contains(public), "{log:?}");
        // A binding of the private address, if there is one, is taken back in the same request.
        let removed = log[1].contacts.get(1).is_some_and(|c| c.ends_with(";expires=0"));
        assert_eq!(removed, challenges.is_empty());
        lab.world.command(lab.phone, |engine, now| {
            let to = Uri::parse("sip:bob@one.test").unwrap();
            engine.place_call(now, account, &to, CallOptions::default()).unwrap()
        });
        lab.run(5);
        let seen = &lab.world.host(host).seen;
        let invite = seen.iter().find(|(_, _, m)| *m.method() == Method::Invite).unwrap();
        assert!(invite.2.contacts().next().unwrap().uri().as_str().starts_with(public));
        // The NAT forgets and gives another port: the next refresh follows.
        server.get().seen_as = Some(("203.0.113.7".to_string(), 40_002));
        lab.run(1_200);
        let last = server.get().log.last().unwrap().clone();
        assert!(last.contacts[0].contains("203.0.113.7:40002"), "{last:?}");
    }
}

#[test]
fn a_nat_with_a_new_port_for_each_packet_makes_no_storm() {
    let server = Shared::new("one.test", &ALICE, &[]);
    let mut lab = Lab::new();
    lab.serve("one.test", &server);
    let id = lab.add("sip:alice@one.test", "x", |a| a.expires = Duration::from_secs(600));
    for port in 40_000..40_600 {
        server.get().seen_as = Some(("203.0.113.7".to_string(), port));
        lab.world.run_for(Duration::from_secs(2));
    }
    assert!(lab.is_registered(id));
    let sent = server.verdicts().len();
    assert!((3..=8).contains(&sent), "{sent} in 20 minutes");
}

#[test]
fn over_tcp_the_port_that_the_server_sees_is_not_offered() {
    let server = Shared::new("one.test", &ALICE, &[]);
    server.get().seen_as = Some(("203.0.113.7".to_string(), 40_001));
    let mut lab = Lab::new();
    lab.serve("one.test", &server);
    lab.add("sip:alice@one.test", "x", |a| a.transport = Some(Transport::Tcp));
    lab.run(60);
    let log = server.get().log.clone();
    assert_eq!(log.len(), 1);
    assert!(!log[0].contacts[0].contains("203.0.113.7"));
}
