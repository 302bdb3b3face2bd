//! Attacks with certificates: a server that is not who it says it is, and a second domain behind
//! the address of the first. Each test begins with what the attacker does, what the engine does
//! and what the person sees; docs/security.md is made of these lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/hop.rs"]
mod hop;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/tls_pair.rs"]
mod tls_pair;

use hop::Hop;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd};
use scene::{Sent, sent, wire};
use subrosa::engine::{
    AccountConfig, AccountId, AccountState, AccountStatus, CallOptions, EndReason, Event,
    FailureReason, Input, SecurityPolicy, StepOutcome,
};
use subrosa::sim::wiretap::Kind;
use subrosa::sim::{EngineHost, Handle, World};
use subrosa::sip::Transport;
use subrosa::sip::dns::{DnsAnswer, DnsRecord, QueryId};
use subrosa::time::Duration;
use subrosa::util::Secret;
use subrosa::wire::sip::{HeaderName, Message, MessageBuilder, Method, Uri};
use tls_pair::{Authority, authority, dns, params, uri};

use SecurityPolicy::{Off, Preferred, Required};

/// A phone that trusts one authority, and a server that shows a certificate.
struct Run {
    world: World,
    alice: Handle<EngineHost>,
    server: Handle<Hop>,
    sent: Sent,
}

/// A server that registers whoever comes.
fn registrar(m: &Message) -> Vec<MessageBuilder> {
    match m.method() {
        Method::Register if m.is_request() => {
            let contact = m.header(HeaderName::Contact).unwrap_or_default().to_string();
            let ok = m.response(200, "OK").to_tag("r").header(HeaderName::Contact, contact);
            vec![ok.header(HeaderName::Expires, "600")]
        }
        Method::Ack => vec![],
        _ if m.is_request() => vec![m.response(480, "Nobody").to_tag("r")],
        _ => vec![],
    }
}

/// Who signed a server's certificate.
#[derive(Clone, Copy)]
enum Signed<'a> {
    By(&'a Authority),
    ByItself,
}

fn run(trusted: &Authority, signed: Signed<'_>, certificate: &CertificateParams) -> Run {
    let mut world = World::new(31);
    let alice = world.add_phone("alice", |c| c.trust = trusted.anchors()).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let chain = match signed {
        Signed::By(authority) => certificate.signed_by(&key, &authority.issuer),
        Signed::ByItself => certificate.self_signed(&key),
    };
    let chain = chain.unwrap().pem();
    let server = Hop::new(chain.as_bytes(), key.serialize_pem().as_bytes(), registrar);
    let server = world.add_host("server", server);
    let ip = world.ip(server);
    for name in ["bob.test", "carol.test"] {
        world.zone().add_address(name, ip);
    }
    let sent = wire(&mut world);
    Run { world, alice, server, sent }
}

impl Run {
    fn account(
        &mut self,
        domain: &str,
        policy: SecurityPolicy,
        by: Option<Transport>,
    ) -> AccountId {
        let id = self.world.command(self.alice, |engine, now| {
            engine.set_domain_policy(now, domain, policy).unwrap();
            let aor = format!("sip:alice@{domain}");
            let mut account = AccountConfig::new(Uri::parse(&aor).unwrap());
            account.password = Some(Secret::new("open sesame".to_string()));
            account.transport = by;
            engine.add_account(now, account).unwrap()
        });
        self.world.run_for(Duration::from_secs(10));
        id
    }

    fn status(&mut self, id: AccountId) -> AccountStatus {
        self.world.command(self.alice, |engine, _| engine.account(id).unwrap())
    }

    fn is_registered(&mut self, id: AccountId) -> bool {
        matches!(self.status(id).state, AccountState::Registered { .. })
    }

    /// What was wrong with certificates, as the person reads it, by domain.
    fn rejected(&self) -> Vec<(String, String)> {
        let events = self.world.host(self.alice).events().iter();
        let found = events.filter_map(|(_, e)| match e {
            Event::CertificateRejected { domain, problem } => {
                Some((domain.clone(), problem.clone()))
            }
            _ => None,
        });
        found.collect()
    }

    /// Why registering failed, each time.
    fn failures(&self) -> Vec<FailureReason> {
        let events = self.world.host(self.alice).events().iter();
        let found = events.filter_map(|(_, e)| match e {
            Event::RegistrationFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty());
        found
    }

    fn clear_sip(&self) -> usize {
        sent(&self.sent, self.alice, &[Kind::Sip])
    }
}

/// Whose word a certificate has.
#[derive(Clone, Copy)]
enum By {
    Trusted,
    Stranger,
    Nobody,
}

/// Whoever shows this certificate gets nothing: neither a registration nor a call, under TLS or
/// without, though the server would take both; and the problem is told in words that have `words`
/// in them.
fn gets_nothing(by: By, certificate: &CertificateParams, words: &str) {
    let trusted = authority("Trusted CA");
    let stranger = authority("Stranger CA");
    let signed = match by {
        By::Trusted => Signed::By(&trusted),
        By::Stranger => Signed::By(&stranger),
        By::Nobody => Signed::ByItself,
    };
    for policy in [Off, Preferred, Required] {
        let mut run = run(&trusted, signed, certificate);
        // Off uses TLS only where the account is told to.
        let transport = (policy == Off).then_some(Transport::Tls);
        let id = run.account("bob.test", policy, transport);
        assert!(!run.is_registered(id), "{policy}: {words}");
        let call = run.world.command(run.alice, |engine, now| {
            let to = Uri::parse("sip:bob@bob.test").unwrap();
            engine.place_call(now, id, &to, CallOptions::default()).unwrap()
        });
        run.world.run_for(Duration::from_secs(10));
        // The deed: somebody listened there and began the handshake.
        assert!(run.world.host(run.server).accepted >= 1);
        let stats = run.world.host(run.alice).engine().stats();
        assert!(stats.flows.tls_failures >= 1);
        // The engine: nothing was said, by TLS or otherwise, and no other way was tried.
        assert_eq!(run.world.host(run.server).seen.len(), 0, "{policy}: {words}");
        assert_eq!(run.clear_sip(), 0, "{policy}: {words}");
        assert_eq!(run.world.host(run.server).accepted_clear, 0, "{policy}: {words}");
        let ladder = run.status(id).ladder;
        let [step] = ladder.as_slice() else { panic!("{policy}: one step: {ladder:?}") };
        assert_eq!(step.transport, Transport::Tls);
        let StepOutcome::Certificate(why) = &step.outcome else { panic!("{step:?}") };
        assert!(why.contains(words), "{why}");
        // The person.
        let rejected = run.rejected();
        assert!(!rejected.is_empty());
        for (domain, problem) in rejected {
            assert!(domain == "bob.test" && problem.contains(words), "{domain}: {problem}");
        }
        for reason in run.failures() {
            let FailureReason::Certificate(problem) = reason else { panic!("{reason:?}") };
            assert!(problem.contains(words), "{problem}");
        }
        let end = run
            .world
            .command(run.alice, |engine, _| engine.call(call).unwrap().end_reason())
            .expect("the call is over");
        match end {
            EndReason::Failed(FailureReason::Certificate(problem)) => {
                assert!(problem.contains(words), "{problem}");
            }
            other => panic!("{policy}: {other:?}"),
        }
        run.world.check().unwrap();
    }
}

fn named(names: Vec<SanType>) -> CertificateParams {
    params(names)
}

/// attacker: stands in for the server with a certificate that names another domain, or that no
///   trusted authority signed
/// engine: ends the connection before a single SIP message is sent, and does not try a less
///   secure way instead
/// person: reads that the server's certificate was not accepted, and why; no registration, no call
#[test]
fn a_wrong_certificate() {
    gets_nothing(By::Trusted, &named(vec![dns("evil.test")]), "not for bob.test");
    gets_nothing(By::Trusted, &named(vec![uri("sip:bob@bob.test")]), "not for bob.test");
    gets_nothing(By::Stranger, &named(vec![dns("bob.test")]), "certificate");
}

/// attacker: stands in for the server with a certificate of the right name that it signed itself
/// engine: takes the word of trusted authorities alone, and ends the connection before a single SIP
///   message is sent
/// person: reads that the server's certificate was not accepted, and why; no registration, no call
#[test]
fn a_self_signed_certificate() {
    gets_nothing(By::Nobody, &named(vec![dns("bob.test")]), "certificate");
}

/// attacker: uses a certificate of the right name that has expired (a stolen old key)
/// engine: checks the dates by the wall clock and ends the connection before a single SIP
///   message is sent
/// person: reads that the certificate has expired
#[test]
fn an_expired_certificate() {
    let mut old = named(vec![dns("bob.test")]);
    old.not_after = date_time_ymd(2026, 6, 1);
    gets_nothing(By::Trusted, &old, "expired");
}

/// attacker: has a wildcard certificate (*.test, *) from a trusted authority
/// engine: takes no wildcard for a SIP domain (RFC 5922 §7.2)
/// person: reads that the certificate is for another name
#[test]
fn a_wildcard_certificate() {
    for name in ["*.test", "*", "b*.test"] {
        gets_nothing(By::Trusted, &named(vec![dns(name)]), "not for bob.test");
    }
}

/// attacker: got a certificate whose name has a NUL in it (bob.test\0.evil.test), which others
///   read only up to there
/// engine: compares whole names, byte by byte: this one is no host name and matches nothing
/// person: reads that the certificate is for another name
#[test]
fn a_nul_in_the_subject_alternative_name() {
    for name in [dns("bob.test\0.evil.test"), dns("bob.test\0"), uri("sip:bob.test\0.evil.test")] {
        gets_nothing(By::Trusted, &named(vec![name]), "not for bob.test");
    }
}

/// attacker: brings the phone to look for a second domain at the address and port of the first
///   one's server (forged DNS), where a connection is open already
/// engine: uses a connection only for the domain whose name was verified on it; the second
///   domain gets a handshake and a check of its own, and fails it
/// person: stays registered at the first domain; reads that the certificate of the second was
///   not accepted
#[test]
fn a_second_domain_behind_the_same_address_and_port() {
    for policy in [Preferred, Required] {
        let ca = authority("Trusted CA");
        let mut run = run(&ca, Signed::By(&ca), &named(vec![dns("bob.test")]));
        let first = run.account("bob.test", policy, None);
        assert!(run.is_registered(first), "{}", run.world.ladder());
        assert_eq!(run.world.host(run.server).accepted, 1);
        let heard = run.world.host(run.server).seen.len();
        let second = run.account("carol.test", policy, None);
        // The deed: DNS led there, and a second connection came.
        assert!(run.world.host(run.server).accepted >= 2);
        assert!(!run.is_registered(second));
        let server = run.world.host(run.server);
        let of_carol = |m: &Message| String::from_utf8_lossy(m.as_bytes()).contains("carol.test");
        assert!(server.seen.iter().skip(heard).all(|(_, m)| !of_carol(m)));
        assert_eq!(run.clear_sip(), 0);
        assert!(run.is_registered(first));
        let rejected = run.rejected();
        assert!(!rejected.is_empty() && rejected.iter().all(|(domain, _)| domain == "carol.test"));
        run.world.check().unwrap();
    }
}

/// attacker: forges DNS answers: the domain leads to a server of its own, or the domain's
///   records name a less secure way
/// engine: believes no DNS answer about who somebody is: the name that was dialled must be in
///   the certificate; NAPTR and SRV cannot lead below the policy
/// person: reads that the server's certificate was not accepted; nothing was sent to it
#[test]
fn forged_dns_replies() {
    // The attacker's server has a good certificate, for its own name, which SRV brings up.
    let ca = authority("Trusted CA");
    for policy in [Preferred, Required] {
        let mut run = run(&ca, Signed::By(&ca), &named(vec![dns("evil.test")]));
        let ip = run.world.ip(run.server);
        run.world.zone().add_address("evil.test", ip);
        run.world.zone().add_srv("_sips._tcp.bob.test", 1, 5061, "evil.test");
        run.world.zone().add_srv("_sip._udp.bob.test", 1, 5060, "evil.test");
        let id = run.account("bob.test", policy, None);
        assert!(run.world.host(run.server).accepted >= 1);
        assert!(!run.is_registered(id));
        assert_eq!((run.world.host(run.server).seen.len(), run.clear_sip()), (0, 0));
        let told = ("bob.test".to_string(), "the certificate is not for bob.test".to_string());
        assert!(run.rejected().contains(&told), "{:?}", run.rejected());
        run.world.check().unwrap();
    }
}

fn naptr(service: &str, replacement: &str) -> DnsRecord {
    DnsRecord::Naptr {
        order: 1,
        preference: 1,
        flags: "s".to_string(),
        service: service.to_string(),
        replacement: replacement.to_string(),
    }
}

/// attacker: forges DNS answers that say that the domain has UDP alone (NAPTR, SRV)
/// engine: Required: looks for TLS all the same and never leaves it. Preferred: that is like TLS
///   blocked on the path: goes on over UDP and tells of the fallback
/// person: Required: is registered over TLS. Preferred: sees that the connection is a fallback, no
///   padlock
#[test]
fn forged_naptr_replies_that_leave_tls_out() {
    let ca = authority("Trusted CA");
    for policy in [Off, Preferred, Required] {
        let mut run = run(&ca, Signed::By(&ca), &named(vec![dns("bob.test")]));
        if policy == Required {
            run.world.require_security(run.alice);
        }
        run.world.zone().add("bob.test", naptr("SIP+D2U", "_sip._udp.bob.test"));
        run.world.zone().add("bob.test", naptr("SIP+D2T", "_sip._tcp.bob.test"));
        for name in ["_sip._udp.bob.test", "_sip._tcp.bob.test"] {
            run.world.zone().add_srv(name, 1, 5060, "bob.test");
        }
        let id = run.account("bob.test", policy, None);
        assert!(run.is_registered(id), "{policy}");
        let status = run.status(id);
        let secure = policy == Required;
        assert_eq!(status.transport == Some(Transport::Tls), secure, "{policy}");
        assert_eq!((run.clear_sip() == 0, status.fallback), (secure, policy == Preferred));
        assert_eq!(run.world.host(run.server).accepted, usize::from(secure));
        let told = |e: &Event| matches!(e, Event::TransportChanged { fallback: true, .. });
        let events = run.world.host(run.alice).events();
        assert_eq!(events.iter().filter(|(_, e)| told(e)).count(), usize::from(status.fallback));
        run.world.check().unwrap();
    }
}

/// attacker: forges DNS answers that lead to another domain's server (NAPTR, SRV), or answers
///   questions that were not asked
/// engine: whatever names stand in between, the certificate must be for the domain that was
///   dialled; an answer to no question of the phone's is not read
/// person: reads that the server's certificate was not accepted; a server elsewhere that has the
///   domain's certificate serves as usual
#[test]
fn forged_naptr_and_srv_replies_that_lead_to_another_domain() {
    let ca = authority("Trusted CA");
    for policy in [Off, Preferred, Required] {
        for (shown, serves) in [("evil.test", false), ("bob.test", true)] {
            let mut run = run(&ca, Signed::By(&ca), &named(vec![dns(shown)]));
            let ip = run.world.ip(run.server);
            let zone = run.world.zone();
            zone.remove("bob.test");
            zone.add_address("evil.test", ip);
            zone.add("bob.test", naptr("SIPS+D2T", "_sips._tcp.evil.test"));
            zone.add_srv("_sips._tcp.evil.test", 1, 5061, "evil.test");
            run.world.set_dns_delay(Duration::from_millis(100));
            let transport = (policy == Off).then_some(Transport::Tls);
            let id = run.world.command(run.alice, |engine, now| {
                engine.set_domain_policy(now, "bob.test", policy).unwrap();
                let mut account = AccountConfig::new(Uri::parse("sip:alice@bob.test").unwrap());
                account.transport = transport;
                engine.add_account(now, account).unwrap()
            });
            // While a question is open, answers to others.
            run.world.command(run.alice, |engine, now| {
                let records =
                    vec![DnsRecord::A([10, 66, 66, 66].into()), naptr("SIP+D2U", "x.test")];
                for number in [0, 1, (1 << 32) | 1, 2 << 32, 1 << 40, u64::MAX] {
                    let (query, answer) =
                        (QueryId::from_raw(number), DnsAnswer::Records(records.clone()));
                    let _ = engine.handle_input(now, Input::Resolved { query, answer });
                }
            });
            run.world.run_for(Duration::from_secs(10));
            assert_eq!(run.is_registered(id), serves, "{policy} {shown}");
            assert!(run.world.host(run.server).accepted >= 1);
            assert_eq!(run.clear_sip(), 0, "{policy} {shown}");
            let told = ("bob.test".to_string(), "the certificate is not for bob.test".to_string());
            if serves {
                assert_eq!((run.rejected().len(), run.status(id).ladder.len()), (0, 1));
            } else {
                assert_eq!(run.world.host(run.server).seen.len(), 0);
                assert!(run.rejected().iter().all(|rejected| *rejected == told));
                assert!(!run.rejected().is_empty());
                for reason in run.failures() {
                    assert!(matches!(reason, FailureReason::Certificate(_)), "{reason:?}");
                }
            }
            run.world.check().unwrap();
        }
    }
}
