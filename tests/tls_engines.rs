//! What TLS demands, between two engines in virtual time: pins, client certificates, versions,
//! revocation lists, key purposes, the key log, two domains behind one address, and (feature
//! `aws-lc`) hybrid key exchange.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/tls_pair.rs"]
mod tls_pair;

use rcgen::{ExtendedKeyUsagePurpose, SerialNumber};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use subrosa::crypto::tls::{
    KeyPurposes, PinSet, PinnedKey, SpkiPin, TlsFacts, TlsIdentity, TlsVersion, TlsVersions,
    TrustAnchors,
};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, Config, EndReason, Event, Padlock,
    SecurityPolicy, SecurityReport,
};
use subrosa::sim::{EngineHost, Handle, World};
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

struct Run {
    world: World,
    alice: Handle<EngineHost>,
    bob: Handle<EngineHost>,
    account: AccountId,
}

/// Alice and Bob, whose phone answers; `carol.test` leads to Bob's address and port too.
fn two(alice: impl FnOnce(&mut Config), bob: impl FnOnce(&mut Config)) -> Run {
    let mut world = World::new(1);
    let ready = |config: &mut Config, chain: &[u8], key: &[u8]| {
        config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
        config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
        config.listen_tls = Some((config.local_ip, 5061).into());
    };
    let alice = world.add_phone("alice", |config| {
        ready(config, pem!("alice"), pem!("alice.key"));
        alice(config);
    });
    let bob = world.add_phone("bob", |config| {
        ready(config, pem!("bob"), pem!("bob.key"));
        bob(config);
    });
    let (alice, bob) = (alice.unwrap(), bob.unwrap());
    for (name, host) in [("alice.test", alice), ("bob.test", bob), ("carol.test", bob)] {
        let ip = world.ip(host);
        let zone = world.zone();
        zone.add_address(name, ip);
        zone.add_srv(&format!("_sips._tcp.{name}"), 1, 5061, name);
    }
    let mut account = |host, aor: &str| {
        world.command(host, |engine, now| {
            let domain = aor.rsplit('@').next().unwrap();
            engine.set_domain_policy(now, domain, SecurityPolicy::Required).unwrap();
            let mut account = AccountConfig::new(Uri::parse(aor).unwrap());
            (account.register, account.policy) = (false, SecurityPolicy::Required);
            engine.add_account(now, account).unwrap()
        })
    };
    let ours = account(alice, "sip:alice@alice.test");
    account(bob, "sip:bob@bob.test");
    world.act(bob, |host, _| {
        host.react(|turn, event| {
            if let Event::IncomingCall { call, .. } = *event {
                let mut call = turn.engine.call(call).unwrap();
                call.accept(turn.now, CallOptions::default()).unwrap();
            }
        });
    });
    Run { world, alice, bob, account: ours }
}

impl Run {
    /// Calls and lets five seconds pass.
    fn call(&mut self, to: &str) -> CallId {
        let account = self.account;
        let call = self.world.command(self.alice, |engine, now| {
            let to = Uri::parse(to).unwrap();
            engine.place_call(now, account, &to, CallOptions::default()).unwrap()
        });
        self.world.run_for(Duration::from_secs(5));
        assert_eq!(self.world.violations(), []);
        call
    }

    /// The facts of the connection that the call's signalling runs on, at both ends.
    fn facts(&mut self, call: CallId) -> (TlsFacts, TlsFacts) {
        let of = |world: &mut World, host, call| {
            world.act(host, |host: &mut EngineHost, _| {
                let report = host.engine_mut().call(call).unwrap().security();
                assert_eq!(report.padlock(), Padlock::EncryptedToProvider);
                report.signalling.unwrap().tls.unwrap()
            })
        };
        let theirs = self.incoming().pop().expect("the call arrived");
        (of(&mut self.world, self.alice, call), of(&mut self.world, self.bob, theirs))
    }

    /// The caller's report.
    fn report(&mut self, call: CallId) -> SecurityReport {
        self.world.command(self.alice, |engine, _| engine.call(call).unwrap().security())
    }

    fn incoming(&self) -> Vec<CallId> {
        let calls = self.world.host(self.bob).events().iter().filter_map(|(_, e)| match e {
            Event::IncomingCall { call, .. } => Some(*call),
            _ => None,
        });
        calls.collect()
    }

    /// What was wrong with certificates, by domain.
    fn rejected(&self) -> Vec<(String, String)> {
        let found = self.world.host(self.alice).events().iter().filter_map(|(_, e)| match e {
            Event::CertificateRejected { domain, problem } => {
                Some((domain.clone(), problem.clone()))
            }
            _ => None,
        });
        found.collect()
    }

    fn ended(&self, call: CallId) -> Option<EndReason> {
        self.world.host(self.alice).events().iter().find_map(|(_, e)| match e {
            Event::CallEnded { call: id, reason } if *id == call => Some(reason.clone()),
            _ => None,
        })
    }

    fn pin(&mut self, domain: &str, pins: &[SpkiPin]) {
        let pins = PinSet::new(pins.iter().copied()).unwrap();
        self.world.command(self.alice, |engine, _| {
            let mut options = engine.tls_options();
            options.pins = Some(pins);
            engine.set_domain_tls(domain, options).unwrap();
        });
    }
}

#[test]
fn the_report_shows_the_defaults() {
    let mut run = two(|_| {}, |_| {});
    let call = run.call("sip:bob@bob.test");
    let (ours, theirs) = run.facts(call);
    assert_eq!(ours.key_exchange, Some("X25519"));
    assert!(!ours.is_hybrid() && !ours.key_logged && !ours.fips && ours.pin().is_none());
    assert_eq!(theirs.peer.unwrap().domains, ["alice.test"]);
    let line = run.world.command(run.alice, |engine, _| engine.poll_key_log());
    assert!(line.is_none());
}

#[test]
fn a_pin_of_a_domain_is_reported_and_a_wrong_one_ends_the_call() {
    let mut run = two(|_| {}, |_| {});
    let ca = SpkiPin::of_certificate(&CertificateDer::from_pem_slice(pem!("ca")).unwrap()).unwrap();
    let stranger = SpkiPin::new([1; 32]);
    run.pin("Bob.test", &[stranger, ca]);
    let call = run.call("sip:bob@bob.test");
    let pin = *run.facts(call).0.pin().unwrap();
    assert_eq!((pin.pin, pin.index, pin.at), (ca, 1, PinnedKey::Anchor));
    // The pins change: the connection and its session are there, and of no use.
    run.pin("bob.test", &[stranger]);
    let call = run.call("sip:bob@bob.test");
    assert!(run.ended(call).is_some());
    assert_eq!(run.incoming().len(), 1, "the second call must not arrive");
    let rejected = run.rejected();
    assert!(rejected.iter().all(|(domain, _)| domain == "bob.test"), "{rejected:?}");
    assert!(rejected[0].1.contains("is not pinned"), "{rejected:?}");
    // And back.
    run.world.command(run.alice, |engine, _| assert!(engine.clear_domain_tls("bob.test")));
    let call = run.call("sip:bob@bob.test");
    assert_eq!(run.facts(call).0.pin(), None);
}

#[test]
fn a_second_domain_behind_the_same_address_gets_nothing_of_the_first() {
    let mut run = two(|_| {}, |_| {});
    let first = run.call("sip:bob@bob.test");
    assert!(run.ended(first).is_none());
    // The connection to this address and port is up, verified for another domain.
    let second = run.call("sip:carol@carol.test");
    assert!(run.ended(second).is_some());
    assert_eq!(run.incoming().len(), 1, "the call must not arrive over the other's connection");
    let rejected = run.rejected();
    assert!(rejected.iter().all(|(domain, _)| domain == "carol.test"), "{rejected:?}");
    assert!(rejected[0].1.contains("not for carol.test"), "{rejected:?}");
    assert!(run.ended(first).is_none(), "the first call is not disturbed");
}

#[test]
fn a_client_without_the_certificate_that_is_required_gets_no_call_through() {
    for (identity, domains, through) in [
        (true, vec![], true),
        (true, vec!["alice.test".to_string()], true),
        (true, vec!["b.example".to_string()], false),
        (false, vec![], false),
    ] {
        let mut run = two(
            |alice| {
                if !identity {
                    (alice.identity, alice.listen_tls) = (None, None);
                }
            },
            |bob| {
                bob.tls.require_client_certificate = true;
                bob.tls.client_domains = domains.clone();
            },
        );
        let call = run.call("sip:bob@bob.test");
        assert_eq!(run.ended(call).is_none(), through, "{identity} {domains:?}");
        assert_eq!(run.incoming().len(), usize::from(through));
    }
}

#[test]
fn the_versions_of_the_configuration_hold_on_both_sides() {
    use TlsVersions::{V1_2AndV1_3 as Both, V1_2Only, V1_3Only};
    for (ours, theirs, agreed) in [
        (V1_2Only, Both, Some(TlsVersion::V1_2)),
        (Both, V1_2Only, Some(TlsVersion::V1_2)),
        (V1_2Only, V1_3Only, None),
        (V1_3Only, V1_2Only, None),
    ] {
        let mut run = two(|alice| alice.tls.versions = ours, |bob| bob.tls.versions = theirs);
        let call = run.call("sip:bob@bob.test");
        assert_eq!(run.ended(call).is_none(), agreed.is_some(), "{ours:?} {theirs:?}");
        if let Some(agreed) = agreed {
            assert_eq!(run.facts(call).0.version, agreed);
        }
    }
}

/// Whether Alice's call gets through if each has a certificate that this makes of the parameters
/// for its domain, and each judges the other by this.
fn certified(
    issue: impl Fn(&str, &mut rcgen::CertificateParams),
    judge: impl Fn(&str, &mut Config, &tls_pair::Authority),
) -> bool {
    let ca = tls_pair::authority("Test CA");
    let ready = |name: &str, config: &mut Config| {
        let mut params = tls_pair::params(vec![tls_pair::dns(name)]);
        issue(name, &mut params);
        config.identity = Some(ca.sign(&params, ""));
        config.trust = ca.anchors();
        config.tls.require_client_certificate = true;
        judge(name, config, &ca);
    };
    let mut run = two(|alice| ready("alice.test", alice), |bob| ready("bob.test", bob));
    let call = run.call("sip:bob@bob.test");
    assert_eq!(run.ended(call).is_none(), run.incoming().len() == 1);
    run.ended(call).is_none()
}

#[test]
fn a_revoked_certificate_of_either_side_gets_no_call_through() {
    let through = |judging: &str, revoked: u64| {
        let issue = |name: &str, params: &mut rcgen::CertificateParams| {
            let serial = if name == "alice.test" { 1 } else { 2 };
            params.serial_number = Some(SerialNumber::from(serial));
        };
        certified(issue, |name, config, ca| {
            if name == judging {
                let list = ca.revoke(&[revoked], 2030);
                config.tls.revocation.add_pem(list.as_bytes()).unwrap();
            }
        })
    };
    assert!(!through("alice.test", 2), "the caller knows that the server's is revoked");
    assert!(!through("bob.test", 1), "the server knows that the caller's is revoked");
    assert!(through("alice.test", 1) && through("bob.test", 2), "and one's own does not matter");
}

#[test]
fn a_certificate_for_another_purpose_gets_no_call_through() {
    let through = |named: &str, purpose: ExtendedKeyUsagePurpose, judging: &str| {
        let issue = |name: &str, params: &mut rcgen::CertificateParams| {
            if name == named {
                params.extended_key_usages = vec![purpose.clone()];
            }
        };
        certified(issue, |name, config, _| {
            if name == judging {
                config.tls.purposes = KeyPurposes::SipOnly;
            }
        })
    };
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let (alice, bob) = ("alice.test", "bob.test");
    assert!(through(bob, ServerAuth, "") && through(alice, ClientAuth, ""));
    assert!(!through(bob, ServerAuth, alice), "the caller wants one for SIP");
    assert!(!through(alice, ClientAuth, bob), "the server wants one for SIP");
    assert!(through(bob, ServerAuth, bob) && through(alice, ClientAuth, alice));
}

#[test]
fn the_key_log_comes_out_and_the_report_says_that_it_is_on() {
    let mut run = two(|alice| alice.tls.key_log = true, |_| {});
    let call = run.call("sip:bob@bob.test");
    let (ours, theirs) = run.facts(call);
    assert!(ours.key_logged && !theirs.key_logged);
    let report = run.report(call);
    assert!(report.debugging.tls_key_log && !report.debugging.sip_trace);
    assert!(
        report.to_string().contains("Debugging is on: whoever has the TLS key log"),
        "{report}"
    );
    let line = run.world.command(run.alice, |engine, _| engine.poll_key_log()).unwrap();
    assert_eq!(line.expose().split(' ').count(), 3);
    assert!(run.world.command(run.bob, |engine, _| engine.poll_key_log()).is_none());
}

#[cfg(feature = "aws-lc")]
#[test]
fn the_report_says_whether_the_key_exchange_was_hybrid() {
    use subrosa::crypto::tls::TlsProvider::{AwsLc, Ring};
    for (ours, theirs, group) in
        [(AwsLc, AwsLc, "X25519MLKEM768"), (AwsLc, Ring, "X25519"), (Ring, AwsLc, "X25519")]
    {
        let mut run = two(|alice| alice.tls.provider = ours, |bob| bob.tls.provider = theirs);
        let call = run.call("sip:bob@bob.test");
        let (a, b) = run.facts(call);
        for facts in [a, b] {
            assert_eq!(facts.key_exchange, Some(group));
            assert_eq!(facts.is_hybrid(), ours == theirs);
        }
        let report = run.report(call);
        assert_eq!(report.is_hybrid(), ours == theirs);
        let said =
            format!("{report:#}").contains(", hybrid post-quantum key exchange X25519MLKEM768");
        assert_eq!(said, ours == theirs, "{report:#}");
    }
}
