//! A callee under DTLS-SRTP that begins the handshake before it says so, over SIP in the clear.
#![allow(dead_code, unreachable_pub)]

use std::net::SocketAddr;

use subrosa::crypto::dtls::{
    DtlsIdentity, DtlsRole, DtlsSession, DtlsVersions, FingerprintHash, Fingerprints, is_dtls,
};
use subrosa::engine::{AccountConfig, CallOptions, SecurityPolicy};
use subrosa::sdp::SessionDescription;
use subrosa::sim::{EPOCH, EngineHost, Handle, Host, Link, Net, NetEvent, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::util::SeededRng;
use subrosa::wire::sip::{HeaderName, Message, Method, Uri};

const MS: Duration = Duration::from_millis(1);

/// A callee that begins the handshake before it says so.
pub struct Hasty {
    pub identity: DtlsIdentity,
    pub session: Option<DtlsSession>,
    invite: Option<(SocketAddr, Message)>,
    pub to: Option<SocketAddr>,
    /// DTLS datagrams that came.
    pub heard: usize,
    /// Which end of the handshake it is, and with which versions.
    pub role: DtlsRole,
    pub versions: DtlsVersions,
    /// What came beside DTLS.
    pub media: Vec<Vec<u8>>,
    /// Final responses to requests of its own.
    pub statuses: Vec<u16>,
}

impl Hasty {
    fn flush(&mut self, net: &mut Net<'_>, port: u16) {
        let (Some(session), Some(to)) = (&mut self.session, self.to) else { return };
        let mut buf = [0; 1200];
        while let Some(len) = session.poll_output(&mut buf) {
            net.send(port, to, &buf[..len]);
        }
    }

    /// Sends the ClientHello, once: nothing is retransmitted here.
    pub fn hello(&mut self, net: &mut Net<'_>) {
        self.say_hello(net, 4000);
    }

    pub fn say_hello(&mut self, net: &mut Net<'_>, port: u16) {
        let (_, invite) = self.invite.as_ref().unwrap();
        let offer = SessionDescription::parse(invite.body()).unwrap();
        let print = offer.media[0].fingerprints[0].to_string();
        let expected = Fingerprints::parse_all([print.as_str()]).unwrap();
        self.to = Some((offer.connection.unwrap().ip().unwrap(), offer.media[0].port).into());
        let session = DtlsSession::new(
            self.role,
            self.versions,
            &self.identity,
            Some(expected),
            net.now(),
            net.rng(),
        );
        self.session = Some(session);
        self.flush(net, port);
    }

    /// The phone's fingerprint, from its offer.
    fn expected(&self) -> Fingerprints {
        let (_, invite) = self.invite.as_ref().unwrap();
        let offer = SessionDescription::parse(invite.body()).unwrap();
        let print = offer.media[0].fingerprints[0].to_string();
        Fingerprints::parse_all([print.as_str()]).unwrap()
    }

    /// A re-INVITE of the peer's with the certificate that it has now, and its ACK to come; with a
    /// new one it waits for a handshake.
    pub fn reinvite(&mut self, net: &mut Net<'_>, number: u32, fresh: bool) {
        if fresh {
            self.identity =
                DtlsIdentity::generate(EPOCH, &mut SeededRng::new(number.into())).unwrap();
            self.session = Some(DtlsSession::new(
                DtlsRole::Passive,
                self.versions,
                &self.identity,
                Some(self.expected()),
                net.now(),
                net.rng(),
            ));
        }
        let print = self.identity.fingerprint(FingerprintHash::Sha256);
        let body = format!(
            "v=0\r\no=p 1 {number} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\na=fingerprint:{print}\r\na=setup:actpass\r\n",
            ip = net.ip(),
        );
        self.request(net, "INVITE", number, &body);
    }

    /// A request of the peer's in the dialog.
    pub fn request(&mut self, net: &mut Net<'_>, method: &str, number: u32, body: &str) {
        let (remote, invite) = self.invite.clone().unwrap();
        let field = |name| invite.header(name).unwrap().to_string();
        let target = field(HeaderName::Contact);
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {}:5060;branch=z9hG4bKr{method}{number}\r\n\
             Max-Forwards: 70\r\nFrom: {};tag=hasty\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:bob@bob.test>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            target.trim_start_matches('<').split('>').next().unwrap(),
            net.ip(),
            field(HeaderName::To),
            field(HeaderName::From),
            invite.call_id(),
            body.len(),
        );
        net.send(5060, remote, text.as_bytes());
    }

    pub fn answer(&mut self, net: &mut Net<'_>) {
        self.respond(net, 200, "hasty", 4000);
    }

    /// A response of the fork with this tag, which hears media at this port.
    pub fn respond(&mut self, net: &mut Net<'_>, status: u16, tag: &str, port: u16) {
        let (remote, invite) = self.invite.clone().unwrap();
        let print = self.identity.fingerprint(FingerprintHash::Sha256);
        let body = format!(
            "v=0\r\no=p 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtcp-mux\r\na=fingerprint:{print}\r\na=setup:{setup}\r\n",
            setup = if self.role == DtlsRole::Active { "active" } else { "passive" },
            ip = net.ip(),
        );
        let ok = invite.response(status, "Scripted").to_tag(tag);
        let ok = ok.header(HeaderName::Contact, "<sip:bob@bob.test>");
        let ok = ok.body("application/sdp", body.as_bytes()).finish().unwrap();
        net.send(5060, remote, ok.as_bytes());
    }
}

impl Host for Hasty {
    fn start(&mut self, net: &mut Net<'_>) {
        net.bind_udp(5060).unwrap();
        net.bind_udp(4000).unwrap();
        net.bind_udp(4002).unwrap();
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        let NetEvent::Datagram { local, remote, payload } = event else { return };
        if local.port() == 5060 {
            let Ok(message) = Message::parse(payload) else { return };
            if let Some(status) = message.status() {
                self.statuses.push(status);
            } else if *message.method() == Method::Invite {
                self.invite = Some((remote, message));
            }
        } else if is_dtls(payload) {
            self.heard += 1;
            if let Some(session) = &mut self.session {
                session.handle_datagram(net.now(), payload);
            }
            self.flush(net, 4000);
        } else {
            self.media.push(payload.to_vec());
        }
    }
}

/// A phone that has called such a peer.
pub fn hasty() -> (World, Handle<EngineHost>, Handle<Hasty>) {
    let mut world = World::new(11);
    world.set_default_link(Link::perfect());
    let alice = world.add_phone("alice", |_| {}).unwrap();
    let identity = DtlsIdentity::generate(EPOCH, &mut SeededRng::new(3)).unwrap();
    let bob = Hasty {
        identity,
        session: None,
        invite: None,
        to: None,
        heard: 0,
        role: DtlsRole::Active,
        versions: DtlsVersions::All,
        media: vec![],
        statuses: vec![],
    };
    let bob = world.add_host("bob", bob);
    let ip = world.ip(bob);
    world.zone().add_address("bob.test", ip);
    let account = world.command(alice, |engine, now| {
        engine.set_domain_policy(now, "bob.test", SecurityPolicy::Preferred).unwrap();
        let mut account = AccountConfig::new(Uri::parse("sip:alice@bob.test").unwrap());
        (account.register, account.transport) = (false, Some(Transport::Udp));
        engine.add_account(now, account).unwrap()
    });
    world.run_for(MS * 20);
    world.command(alice, |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap();
    });
    world.run_for(MS * 100);
    (world, alice, bob)
}
