//! What two phones remember of each other: a safety number compared once makes later calls
//! verified end to end; another identity at the same address, and a call that is less secure than
//! earlier ones, are told before any audio, and can be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::sync::{Arc, Mutex};

use subrosa::crypto::dtls::DtlsIdentity;
use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::engine::{
    AccountConfig, AccountId, CallError, CallId, CallOptions, CallState, EndReason, Event,
    FailureReason, Keying, Padlock, PeerMemoryError, SecurityLevel, SecurityPolicy, SecurityReport,
};
use subrosa::sim::{EngineHost, Handle, Link, Source, World};
use subrosa::sip::Transport;
use subrosa::time::{Duration, UnixTime};
use subrosa::util::SeededRng;
use subrosa::wire::sip::Uri;

use SecurityLevel::{EncryptedToProvider, EncryptedUnauthenticated, Plain, VerifiedEndToEnd};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

const NAMES: [&str; 2] = ["alice", "bob"];

#[derive(Clone)]
struct Setup {
    /// Seeds of the two DTLS identities.
    identities: [u64; 2],
    /// What the phones remember from earlier.
    memories: [Vec<u8>; 2],
    transport: Transport,
    /// The caller shows a certificate too: keys go by SDES.
    mutual: bool,
    refuse: [bool; 2],
}

impl Setup {
    /// The callee does not know the caller's connection: keys by DTLS, under TLS.
    fn new() -> Self {
        Self {
            identities: [1, 2],
            memories: [Vec::new(), Vec::new()],
            transport: Transport::Tls,
            mutual: false,
            refuse: [false; 2],
        }
    }
}

/// A warning, with the media packets that the call had sent and received by then.
type Warnings = Arc<Mutex<Vec<(Event, u64)>>>;

struct Pair {
    world: World,
    phones: [Handle<EngineHost>; 2],
    account: AccountId,
    warnings: [Warnings; 2],
}

impl Pair {
    fn new(setup: &Setup) -> Self {
        let mut world = World::new(11);
        world.set_default_link(Link::lan());
        let certificates: [(&[u8], &[u8]); 2] =
            [(pem!("alice"), pem!("alice.key")), (pem!("bob"), pem!("bob.key"))];
        let phones = [0, 1].map(|side: usize| {
            let phone = world.add_phone(NAMES[side], |config| {
                let (now, seed) = (UnixTime::from_secs(1_800_000_000), setup.identities[side]);
                let identity = DtlsIdentity::generate(now, &mut SeededRng::new(seed)).unwrap();
                config.dtls_identity = Some(identity);
                config.refuse_downgrade = setup.refuse[side];
                config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
                if side == 1 || setup.mutual {
                    let (chain, key) = certificates[side];
                    config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
                    config.listen_tls = Some((config.local_ip, 5061).into());
                }
            });
            phone.unwrap()
        });
        let accounts = [0, 1].map(|side: usize| {
            let domain = format!("{}.test", NAMES[side]);
            let ip = world.ip(phones[side]);
            world.zone().add_address(&domain, ip);
            world.command(phones[side], |engine, now| {
                if !setup.memories[side].is_empty() {
                    engine.import_peers(&setup.memories[side]).unwrap();
                }
                engine.set_domain_policy(now, &domain, SecurityPolicy::Preferred).unwrap();
                let aor = format!("sip:{}@{domain}", NAMES[side]);
                let mut account = AccountConfig::new(Uri::parse(&aor).unwrap());
                account.register = false;
                account.transport = (side == 0).then_some(setup.transport);
                engine.add_account(now, account).unwrap()
            })
        });
        let warnings = [Warnings::default(), Warnings::default()];
        for side in [0, 1] {
            let warnings = warnings[side].clone();
            world.act(phones[side], |host, _| {
                host.say(Source::Sine { hz: 500, peak: 8000 });
                host.react(move |turn, event| match *event {
                    Event::IncomingCall { call, .. } => {
                        turn.after(Duration::from_millis(50), move |engine, now| {
                            if let Some(mut call) = engine.call(call) {
                                call.accept(now, CallOptions::default()).unwrap();
                            }
                        });
                    }
                    Event::SecurityDowngrade { call, .. } | Event::PeerIdentityChanged { call } => {
                        let stats = turn.engine.call(call).and_then(|call| call.media_stats());
                        let packets = stats.map_or(0, |s| s.packets_sent + s.packets_received);
                        warnings.lock().unwrap().push((event.clone(), packets));
                    }
                    _ => {}
                });
            });
        }
        world.run_for(Duration::from_millis(10));
        Self { world, phones, account: accounts[0], warnings }
    }

    fn set_policies(&mut self, policy: SecurityPolicy) {
        for (phone, name) in self.phones.into_iter().zip(NAMES) {
            self.world.command(phone, |engine, now| {
                engine.set_domain_policy(now, &format!("{name}.test"), policy).unwrap();
            });
        }
    }

    /// Alice calls Bob, and they talk for some seconds.
    fn call(&mut self) {
        let account = self.account;
        self.world.command(self.phones[0], |engine, now| {
            let to = Uri::parse("sip:bob@bob.test").unwrap();
            engine.place_call(now, account, &to, CallOptions::default()).unwrap();
        });
        self.world.run_for(Duration::from_secs(3));
    }

    fn hang_up(&mut self) {
        let id = self.ids()[0];
        self.world.command(self.phones[0], |engine, now| {
            engine.call(id).unwrap().hang_up(now).unwrap();
        });
        self.world.run_for(Duration::from_secs(1));
    }

    /// The ids of the last call at both ends.
    fn ids(&mut self) -> [CallId; 2] {
        self.phones.map(|phone| {
            self.world.command(phone, |engine, _| engine.call_ids().last().copied().unwrap())
        })
    }

    fn reports(&mut self) -> [(CallState, SecurityReport); 2] {
        let ids = self.ids();
        [0, 1].map(|side: usize| {
            self.world.command(self.phones[side], |engine, _| {
                let call = engine.call(ids[side]).unwrap();
                (call.state(), call.security())
            })
        })
    }

    fn padlocks(&mut self) -> [Padlock; 2] {
        self.reports().map(|(state, report)| {
            assert_eq!(state, CallState::Established);
            report.padlock()
        })
    }

    fn safety_numbers(&mut self) -> [Option<String>; 2] {
        let ids = self.ids();
        [0, 1].map(|side: usize| {
            self.world.command(self.phones[side], |engine, _| {
                engine.call(ids[side]).unwrap().safety_number().map(|n| n.to_string())
            })
        })
    }

    fn confirm(&mut self) -> [Result<(), CallError>; 2] {
        let ids = self.ids();
        [0, 1].map(|side: usize| {
            self.world.command(self.phones[side], |engine, now| {
                engine.call(ids[side]).unwrap().confirm_safety_number(now)
            })
        })
    }

    fn export(&self) -> [Vec<u8>; 2] {
        self.phones.map(|phone| self.world.host(phone).engine().export_peers())
    }

    /// The warnings at one end since the last time; each came before any audio.
    fn warnings(&self, side: usize) -> Vec<Event> {
        let all = std::mem::take(&mut *self.warnings[side].lock().unwrap());
        let early = |(event, packets): (Event, u64)| {
            assert_eq!(packets, 0, "{event:?} came after audio");
            event
        };
        all.into_iter().map(early).collect()
    }
}

/// Memories of two phones whose people compared the safety number.
fn confirmed() -> [Vec<u8>; 2] {
    let mut pair = Pair::new(&Setup::new());
    pair.call();
    assert_eq!(pair.confirm(), [Ok(()), Ok(())]);
    pair.export()
}

#[test]
fn a_safety_number_compared_once_makes_this_call_and_later_ones_verified_end_to_end() {
    let mut pair = Pair::new(&Setup::new());
    pair.call();
    let padlocks = pair.padlocks();
    assert_eq!(padlocks, [Padlock::EncryptedToProvider, Padlock::None], "{}", pair.world.ladder());
    let [ours, theirs] = pair.safety_numbers();
    assert_eq!(ours.as_ref().unwrap().len(), 71);
    assert_eq!(ours, theirs);

    assert_eq!(pair.confirm(), [Ok(()), Ok(())]);
    assert_eq!(pair.padlocks(), [Padlock::VerifiedEndToEnd; 2]);
    for side in [0, 1] {
        let events = pair.world.host(pair.phones[side]).events();
        let last = events.last().map(|(_, event)| event);
        assert!(matches!(last, Some(Event::SecurityChanged { .. })), "{last:?}");
    }
    let (_, report) = pair.reports()[0].clone();
    assert!(report.to_string().contains("verified end to end"), "{report}");
    let evidence = format!("{report:#}");
    assert!(evidence.contains(" of the phone that you confirmed"), "{evidence}");

    pair.hang_up();
    pair.call();
    assert_eq!(pair.padlocks(), [Padlock::VerifiedEndToEnd; 2]);
    assert_eq!(pair.safety_numbers(), [ours, theirs]);
    assert_eq!((pair.warnings(0), pair.warnings(1)), (vec![], vec![]));

    // A person with a new phone is forgotten, at once.
    let forgotten = pair.world.command(pair.phones[0], |engine, _| {
        engine.forget_peer(&Uri::parse("sips:bob@BOB.test").unwrap())
    });
    assert!(forgotten);
    assert_eq!(pair.padlocks(), [Padlock::EncryptedToProvider, Padlock::VerifiedEndToEnd]);
}

#[test]
fn what_was_confirmed_outlives_the_engine() {
    let memories = confirmed();
    let mut pair = Pair::new(&Setup { memories: memories.clone(), ..Setup::new() });
    pair.call();
    assert_eq!(pair.padlocks(), [Padlock::VerifiedEndToEnd; 2]);
    let engine_refuses = |pair: &mut Pair, bytes: &[u8]| {
        pair.world.command(pair.phones[0], |engine, _| engine.import_peers(bytes).unwrap_err())
    };
    let [ours, _] = memories;
    let damaged = engine_refuses(&mut pair, &ours[..ours.len() - 1]);
    assert_eq!(damaged, PeerMemoryError::Damaged);
    let newer = engine_refuses(&mut pair, b"SRPM\x07\0\0");
    assert_eq!(newer, PeerMemoryError::UnknownVersion(7));
    // What was remembered still is.
    assert_eq!(pair.padlocks(), [Padlock::VerifiedEndToEnd; 2]);
}

#[test]
fn another_identity_at_the_same_address_is_told_before_audio_and_opens_the_padlock() {
    let mut pair = Pair::new(&Setup { memories: confirmed(), identities: [1, 3], ..Setup::new() });
    for _ in 0..2 {
        // It does not become the usual one by calling again.
        pair.call();
        assert_eq!(pair.padlocks(), [Padlock::EncryptedToProvider, Padlock::VerifiedEndToEnd]);
        let call = pair.ids()[0];
        let told = [
            Event::PeerIdentityChanged { call },
            Event::SecurityDowngrade { call, before: VerifiedEndToEnd, now: EncryptedToProvider },
        ];
        assert_eq!(pair.warnings(0), told);
        assert_eq!(pair.warnings(1), vec![]);
        pair.hang_up();
    }
}

#[test]
fn an_identity_that_nobody_confirmed_is_told_too_when_it_changes() {
    let mut first = Pair::new(&Setup::new());
    first.call();
    let memories = first.export();
    let mut pair = Pair::new(&Setup { memories, identities: [1, 3], ..Setup::new() });
    pair.call();
    let call = pair.ids()[0];
    assert_eq!(pair.warnings(0), [Event::PeerIdentityChanged { call }]);
    pair.hang_up();
    pair.call();
    assert_eq!(pair.warnings(0), vec![]);
}

#[test]
fn a_call_that_is_worse_than_earlier_ones_is_told_before_audio() {
    let mut pair = Pair::new(&Setup::new());
    pair.call();
    pair.hang_up();
    pair.set_policies(SecurityPolicy::Off);
    pair.call();
    assert_eq!(pair.padlocks(), [Padlock::SignallingOnly, Padlock::None]);
    let [ours, theirs] = pair.ids();
    let told = |call, before| vec![Event::SecurityDowngrade { call, before, now: Plain }];
    assert_eq!(pair.warnings(0), told(ours, EncryptedToProvider));
    assert_eq!(pair.warnings(1), told(theirs, EncryptedUnauthenticated));
    // Hold and resume are no news.
    for hold in [true, false] {
        pair.world.command(pair.phones[0], |engine, now| {
            let mut call = engine.call(ours).unwrap();
            if hold { call.hold(now).unwrap() } else { call.resume(now).unwrap() }
        });
        pair.world.run_for(Duration::from_secs(1));
    }
    assert_eq!((pair.warnings(0), pair.warnings(1)), (vec![], vec![]));
}

#[test]
fn the_configuration_refuses_a_call_that_is_worse_before_any_packet() {
    for side in [0, 1] {
        let mut setup = Setup::new();
        setup.refuse[side] = true;
        let mut pair = Pair::new(&setup);
        pair.call();
        pair.hang_up();
        pair.set_policies(SecurityPolicy::Off);
        pair.call();
        let warned = pair.warnings(side);
        assert!(matches!(warned[..], [Event::SecurityDowngrade { now: Plain, .. }]), "{warned:?}");
        let id = pair.ids()[side];
        let (end, sent) = pair.world.command(pair.phones[side], |engine, _| {
            let call = engine.call(id).unwrap();
            (call.end_reason(), call.media_stats().unwrap().packets_sent)
        });
        let Some(EndReason::Failed(FailureReason::Policy(why))) = end else { panic!("{end:?}") };
        assert!(why.contains("earlier calls with this peer"), "{why}");
        assert_eq!(sent, 0);
        assert!(pair.world.host(pair.phones[side]).heard(id).is_empty());
        let other = pair.ids()[1 - side];
        let state = pair
            .world
            .command(pair.phones[1 - side], |engine, _| engine.call(other).unwrap().state());
        assert_eq!(state, CallState::Ended);
    }
}

#[test]
fn keys_by_sdes_are_never_verified_end_to_end() {
    let mut pair = Pair::new(&Setup { memories: confirmed(), mutual: true, ..Setup::new() });
    pair.call();
    assert_eq!(pair.padlocks(), [Padlock::EncryptedToProvider; 2]);
    assert_eq!(pair.reports()[0].1.media_out.as_ref().unwrap().keying, Keying::Sdes);
    assert_eq!(pair.safety_numbers(), [None, None]);
    let none = Err(CallError::NoSafetyNumber);
    assert_eq!(pair.confirm(), [none.clone(), none]);
    let call = pair.ids()[0];
    let told =
        Event::SecurityDowngrade { call, before: VerifiedEndToEnd, now: EncryptedToProvider };
    assert_eq!(pair.warnings(0), [told]);
}

#[test]
fn a_confirmed_peer_over_signalling_in_the_clear_shuts_no_padlock() {
    let setup = Setup { memories: confirmed(), transport: Transport::Udp, ..Setup::new() };
    let mut pair = Pair::new(&setup);
    pair.call();
    assert_eq!(pair.padlocks(), [Padlock::None; 2]);
    for (_, report) in pair.reports() {
        assert!(report.peer_identity_verified);
        assert_eq!(report.level(), VerifiedEndToEnd);
    }
    assert_eq!((pair.warnings(0), pair.warnings(1)), (vec![], vec![]));
}
