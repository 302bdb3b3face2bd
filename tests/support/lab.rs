//! A phone on the simulated network and a scripted peer that calls it or is called.
#![allow(dead_code, unreachable_pub)]

use subrosa::crypto::tls::TlsServerSettings;
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, CallState, Config, EndReason, Event,
    SecurityPolicy,
};
use subrosa::sim::{EngineHost, Handle, Link, World};
use subrosa::time::Duration;
use subrosa::util::Secret;
use subrosa::wire::sip::{HeaderName, Message, MessageBuilder, Uri};

use crate::peer::{Peer, Turn};

pub const SDP: &str = "v=0\r\no=p 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

pub fn sdp(version: u32, more: &str) -> String {
    SDP.replace("o=p 1 1", &format!("o=p 1 {version}")) + more
}

pub fn ok(request: &Message, tag: &str, body: &str) -> MessageBuilder {
    request
        .response(200, "OK")
        .to_tag(tag)
        .header(HeaderName::Contact, format!("<sip:{tag}@peer.test>"))
        .body("application/sdp", body.as_bytes())
}

pub struct Lab {
    pub world: World,
    pub alice: Handle<EngineHost>,
    pub peer: Handle<Peer>,
    pub account: AccountId,
    /// The peer speaks TLS.
    pub secure: bool,
}

impl Lab {
    pub fn new(script: impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static) -> Self {
        Self::with(|_| {}, script)
    }

    pub fn with(
        change: impl FnOnce(&mut Config),
        script: impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static,
    ) -> Self {
        Self::under(SecurityPolicy::Off, None, change, script)
    }

    /// With a policy; with TLS settings the peer listens for TLS too, and its requests come over
    /// the newest TLS connection.
    pub fn under(
        policy: SecurityPolicy,
        tls: Option<TlsServerSettings>,
        change: impl FnOnce(&mut Config),
        script: impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static,
    ) -> Self {
        let mut world = World::new(1);
        world.set_default_link(Link::perfect());
        let alice = world.add_phone("alice", change).unwrap();
        let secure = tls.is_some();
        let peer = Peer::new(true, true, script);
        let peer = match tls {
            Some(settings) => peer.with_tls(settings),
            None => peer,
        };
        let peer = world.add_host("peer", peer);
        let ip = world.ip(peer);
        world.zone().add_address("peer.test", ip);
        let account = world.command(alice, |engine, now| {
            engine.set_domain_policy(now, "peer.test", policy).unwrap();
            let mut account = AccountConfig::new(Uri::parse("sip:alice@peer.test").unwrap());
            account.register = false;
            account.password = Some(Secret::new("open sesame".to_string()));
            engine.add_account(now, account).unwrap()
        });
        world.run_for(Duration::from_millis(50));
        Self { world, alice, peer, account, secure }
    }

    pub fn call(&mut self) -> CallId {
        let account = self.account;
        self.world.command(self.alice, |engine, now| {
            let to = Uri::parse("sip:bob@peer.test").unwrap();
            engine.place_call(now, account, &to, CallOptions::default()).unwrap()
        })
    }

    pub fn run(&mut self, ms: u64) {
        self.world.run_for(Duration::from_millis(ms));
    }

    pub fn hang_up(&mut self, id: CallId) {
        self.world
            .command(self.alice, |engine, now| engine.call(id).unwrap().hang_up(now).unwrap());
    }

    pub fn accept(&mut self, id: CallId) {
        self.world.command(self.alice, |engine, now| {
            engine.call(id).unwrap().accept(now, CallOptions::default()).unwrap();
        });
    }

    /// The peer's ACK of the 200 to its call, with the tag that the phone gave.
    pub fn acknowledge(&mut self) {
        let seen = &self.world.host(self.peer).seen;
        let tag = seen.iter().find_map(|(_, _, m)| m.to().tag().map(str::to_string)).unwrap();
        self.send(&format!(
            "ACK sip:alice@peer.test SIP/2.0\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKa1\n\
             Max-Forwards: 70\nFrom: <sip:bob@peer.test>;tag=b\nTo: <sip:alice@peer.test>;tag={tag}\n\
             Call-ID: theirs\nCSeq: 1 ACK\nContent-Length: 0\n\n"
        ));
    }

    pub fn state(&mut self, id: CallId) -> CallState {
        self.world.command(self.alice, |engine, _| engine.call(id).unwrap().state())
    }

    pub fn ended(&self) -> Option<EndReason> {
        self.world.host(self.alice).events().iter().find_map(|(_, e)| match e {
            Event::CallEnded { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    }

    pub fn heard(&self, method: &str) -> Vec<Message> {
        let seen = &self.world.host(self.peer).seen;
        let wanted = |m: &Message| m.is_request() && m.method().as_str() == method;
        seen.iter().map(|(_, _, m)| m.clone()).filter(wanted).collect()
    }

    pub fn statuses(&self) -> Vec<u16> {
        let seen = &self.world.host(self.peer).seen;
        seen.iter().filter_map(|(_, _, m)| m.status()).collect()
    }

    /// The peer sends a request of its own to the phone.
    pub fn send(&mut self, request: &str) {
        let request = request.replace('\n', "\r\n");
        match self.secure {
            true => self.say(request.replace("SIP/2.0/UDP", "SIP/2.0/TLS").as_bytes()),
            false => self.say(request.as_bytes()),
        }
    }

    /// The peer says something, over its newest TLS connection or else by UDP.
    pub fn say(&mut self, bytes: &[u8]) {
        let to = (self.world.ip(self.alice), 5060).into();
        self.world.act(self.peer, |peer, net| {
            if !peer.say(net, bytes) {
                net.send(5060, to, bytes);
            }
        });
    }

    /// The incoming call of this phone.
    pub fn incoming(&self) -> CallId {
        let events = self.world.host(self.alice).events();
        let call = events.iter().find_map(|(_, e)| match e {
            Event::IncomingCall { call, .. } => Some(*call),
            _ => None,
        });
        call.expect("a call comes in")
    }
}

/// A request from the peer in the dialog of `invite`, which the phone sent.
pub fn in_dialog(method: &str, number: u32, invite: &Message, tag: &str, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    let local = invite.from().tag().unwrap();
    let body = body.replace("\r\n", "\n");
    let target = invite.contacts().next().unwrap().uri().as_str().to_string();
    format!(
        "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bK{method}{number};rport\n\
         Max-Forwards: 70\nFrom: <sip:bob@peer.test>;tag={tag}\n\
         To: <sip:alice@peer.test>;tag={local}\nCall-ID: {}\nCSeq: {number} {method}\n\
         Contact: <sip:{tag}@peer.test>\n{content}Content-Length: {}\n\n{body}",
        invite.call_id(),
        body.len() + body.matches('\n').count(),
    )
}

pub fn their_invite() -> String {
    let body = SDP.replace("\r\n", "\n");
    format!(
        "INVITE sip:alice@peer.test SIP/2.0\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKi1;rport\n\
         Max-Forwards: 70\nFrom: <sip:bob@peer.test>;tag=b\nTo: <sip:alice@peer.test>\n\
         Call-ID: theirs\nCSeq: 1 INVITE\nContact: <sip:bob@peer.test>\n\
         Content-Type: application/sdp\nContent-Length: {}\n\n{body}",
        SDP.len()
    )
}
