//! Two phones that call each other directly in virtual time, set up by policy, transport,
//! certificates and the shape of the offer; and what their media is keyed by then.
#![allow(dead_code, unreachable_pub)]

use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, CallState, Config, EndReason, Event, Keying,
    MediaOffer, Padlock, SecurityPolicy, SecurityReport,
};
use subrosa::sim::{EngineHost, Handle, Link, Source, World, tone_share};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;

use SecurityPolicy::Preferred;

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../data/sim/", $name, ".pem"))
    };
}

/// Two phones that call each other directly.
pub struct Pair {
    pub world: World,
    pub phones: [Handle<EngineHost>; 2],
    pub accounts: [AccountId; 2],
}

/// How the two ends are set up.
#[derive(Clone, Copy)]
pub struct Setup {
    pub transport: Transport,
    pub policies: [SecurityPolicy; 2],
    /// The caller has a certificate to show to the callee.
    pub mutual: bool,
    pub offer: MediaOffer,
}

pub const USUAL: Setup = Setup {
    transport: Transport::Tls,
    policies: [Preferred, Preferred],
    mutual: true,
    offer: MediaOffer::Opportunistic,
};

impl Pair {
    pub fn new(setup: Setup) -> Self {
        Self::with(setup, |_| {})
    }

    pub fn with(setup: Setup, change: impl Fn(&mut Config)) -> Self {
        let mut world = World::new(7);
        world.set_default_link(Link::lan());
        let names = ["alice", "bob"];
        let certificates: [(&[u8], &[u8]); 2] =
            [(pem!("alice"), pem!("alice.key")), (pem!("bob"), pem!("bob.key"))];
        let phones = [0, 1].map(|side: usize| {
            let phone = world.add_phone(names[side], |config| {
                config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
                if side == 1 || setup.mutual {
                    let (chain, key) = certificates[side];
                    config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
                    config.listen_tls = Some((config.local_ip, 5061).into());
                }
                config.listen_tcp = Some((config.local_ip, 5060).into());
                change(config);
            });
            phone.unwrap()
        });
        let accounts = [0, 1].map(|side: usize| {
            let domain = format!("{}.test", names[side]);
            let ip = world.ip(phones[side]);
            world.zone().add_address(&domain, ip);
            world.command(phones[side], |engine, now| {
                engine.set_domain_policy(now, &domain, setup.policies[side]).unwrap();
                let aor = format!("sip:{}@{domain}", names[side]);
                let mut account = AccountConfig::new(Uri::parse(&aor).unwrap());
                account.register = false;
                account.transport = (side == 0).then_some(setup.transport);
                engine.add_account(now, account).unwrap()
            })
        });
        world.act(phones[0], |host, _| host.say(Source::Sine { hz: 500, peak: 8000 }));
        world.act(phones[1], |host, _| {
            host.react(|turn, event| {
                if let Event::IncomingCall { call, .. } = *event {
                    turn.after(Duration::from_millis(50), move |engine, now| {
                        if let Some(mut call) = engine.call(call) {
                            let _ = call.accept(now, CallOptions::default());
                        }
                    });
                }
            });
        });
        world.run_for(Duration::from_millis(10));
        Self { world, phones, accounts }
    }

    pub fn call(&mut self, setup: Setup) -> CallId {
        let id = self.dial(setup);
        self.world.run_for(Duration::from_secs(3));
        id
    }

    /// Alice calls; Bob's phone rings for 50 ms and is answered then.
    pub fn dial(&mut self, setup: Setup) -> CallId {
        let account = self.accounts[0];
        self.world.command(self.phones[0], |engine, now| {
            let to = Uri::parse("sip:bob@bob.test").unwrap();
            let mut options = CallOptions::default();
            options.media_offer = setup.offer;
            engine.place_call(now, account, &to, options).unwrap()
        })
    }

    pub fn report(&mut self, side: usize) -> Option<(CallState, SecurityReport)> {
        self.world.command(self.phones[side], |engine, _| {
            let id = engine.call_ids().last().copied()?;
            let call = engine.call(id)?;
            Some((call.state(), call.security()))
        })
    }

    pub fn bob_hears(&mut self) -> bool {
        let host = self.world.host(self.phones[1]);
        let call = host.events().iter().rev().find_map(|(_, e)| match e {
            Event::IncomingCall { call, .. } => Some(*call),
            _ => None,
        });
        call.is_some_and(|call| {
            let heard = host.heard(call);
            let last = &heard[heard.len().saturating_sub(8000)..];
            !last.is_empty() && tone_share(last, 500, 16_000) > 0.8
        })
    }

    pub fn ended(&self, side: usize) -> Option<EndReason> {
        self.world.host(self.phones[side]).events().iter().find_map(|(_, e)| match e {
            Event::CallEnded { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Outcome {
    Sdes,
    Dtls,
    Plain,
    Refused,
}

pub fn outcome(setup: Setup) -> (Outcome, Padlock) {
    let mut pair = Pair::new(setup);
    pair.call(setup);
    let (state, report) = pair.report(0).unwrap();
    if state != CallState::Established {
        return (Outcome::Refused, report.padlock());
    }
    assert!(pair.bob_hears(), "{}", pair.world.ladder());
    let (_, theirs) = pair.report(1).unwrap();
    let leg = report.media_out.clone().unwrap();
    assert_eq!(leg.suite, theirs.media_in.as_ref().unwrap().suite);
    assert_eq!(leg.suite.is_some(), leg.keying != Keying::None);
    let keys = match leg.keying {
        Keying::Sdes => Outcome::Sdes,
        Keying::Dtls { .. } => Outcome::Dtls,
        _ => Outcome::Plain,
    };
    (keys, report.padlock())
}
