//! A phone that calls through a provider whose server has a good certificate and is not honest.
#![allow(dead_code, unreachable_pub)]

use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, CallState, EndReason, MediaOffer, SecurityPolicy,
};
use subrosa::sdp::SdpFault;
use subrosa::sim::wiretap::Kind;
use subrosa::sim::{EngineHost, Handle, Link, Source, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::util::Secret;
use subrosa::wire::sip::{Message, MessageBuilder, Method, Uri};

use crate::hop::{Hop, description};
use crate::scene::{Sent, sent, wire};
use SecurityPolicy::Required;

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../data/sim/", $name, ".pem"))
    };
}

/// Alice calls through a provider whose server is not honest.
pub struct Provider {
    pub world: World,
    pub alice: Handle<EngineHost>,
    pub hop: Handle<Hop>,
    pub account: AccountId,
    pub sent: Sent,
}

impl Provider {
    pub fn new(
        policy: SecurityPolicy,
        script: impl FnMut(&Message, std::net::IpAddr) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        Self::with(policy, |_| {}, script)
    }

    pub fn with(
        policy: SecurityPolicy,
        change: impl FnOnce(&mut AccountConfig),
        mut script: impl FnMut(&Message, std::net::IpAddr) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        let mut world = World::new(11);
        world.set_default_link(Link::perfect());
        let alice = world
            .add_phone("alice", |config| {
                config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
                let identity = TlsIdentity::from_pem(pem!("alice"), pem!("alice.key"));
                config.identity = Some(identity.unwrap());
            })
            .unwrap();
        let ip = world.next_ip();
        let hop = Hop::new(pem!("bob"), pem!("bob.key"), move |m| match m.method() {
            Method::Bye if m.is_request() => vec![m.response(200, "OK")],
            _ => script(m, ip),
        });
        let hop = world.add_host("hop", hop);
        world.zone().add_address("bob.test", ip);
        world.act(alice, |host, _| host.say(Source::Sine { hz: 500, peak: 8000 }));
        let sent = wire(&mut world);
        if policy == Required {
            world.require_security(alice);
        }
        let account = world.command(alice, |engine, now| {
            engine.set_domain_policy(now, "bob.test", policy).unwrap();
            let mut account = AccountConfig::new(Uri::parse("sip:alice@bob.test").unwrap());
            account.register = false;
            account.transport = Some(Transport::Tls);
            account.password = Some(Secret::new("open sesame".to_string()));
            change(&mut account);
            engine.add_account(now, account).unwrap()
        });
        world.run_for(Duration::from_millis(20));
        Self { world, alice, hop, account, sent }
    }

    pub fn call(&mut self, offer: MediaOffer) -> CallId {
        let account = self.account;
        let id = self.world.command(self.alice, |engine, now| {
            let to = Uri::parse("sip:carol@bob.test").unwrap();
            let mut options = CallOptions::default();
            options.media_offer = offer;
            engine.place_call(now, account, &to, options).unwrap()
        });
        self.world.run_for(Duration::from_secs(3));
        id
    }

    pub fn state(&mut self, id: CallId) -> (CallState, String, Option<EndReason>) {
        self.world.command(self.alice, |engine, _| {
            let call = engine.call(id).unwrap();
            (call.state(), call.security().to_string(), call.end_reason())
        })
    }

    pub fn clear_voice(&self) -> usize {
        sent(&self.sent, self.alice, &[Kind::Rtp, Kind::Rtcp])
    }

    pub fn refused_for(&self, fault: SdpFault) -> u64 {
        self.world.host(self.alice).engine().stats().sdp_refused_for(fault)
    }

    pub fn offer(&self) -> String {
        let invite = self.world.host(self.hop).heard("INVITE").remove(0);
        String::from_utf8_lossy(invite.body()).into_owned()
    }
}

pub fn is_invite(m: &Message) -> bool {
    m.is_request() && *m.method() == Method::Invite
}

/// An answer with a key of its own to the offer of an INVITE.
pub fn keyed(invite: &Message, ip: std::net::IpAddr, port: u16) -> String {
    let offer = String::from_utf8_lossy(invite.body()).into_owned();
    let line = offer.lines().find(|l| l.starts_with("a=crypto:")).unwrap();
    let mut words = line.split(' ');
    let (tag, suite, key) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let theirs = key.strip_prefix("inline:").unwrap().split('|').next().unwrap();
    let own = theirs[..20].chars().rev().collect::<String>() + &theirs[20..];
    let profile = if offer.contains("RTP/SAVP ") { "RTP/SAVP" } else { "RTP/AVP" };
    description(ip, port, profile, &format!("{tag} {suite} inline:{own}\r\n"))
}
