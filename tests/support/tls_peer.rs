//! A scripted SIP peer under TLS on the simulated network, with keys and media of its own: what an
//! engine does not do by itself, it does.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use subrosa::crypto::srtp::{KeySet, SrtpReceiver, SrtpSender};
use subrosa::crypto::tls::{
    ClientCertificates, TlsIdentity, TlsServerSettings, TlsStream, TlsVersions, TrustAnchors,
};
use subrosa::engine::{AccountConfig, CallId, CallOptions, Config, Event, SecurityPolicy};
use subrosa::sdp::SessionDescription;
use subrosa::sim::{
    ConnectionId, EPOCH, EngineHost, Handle, Host, Link, Net, NetEvent, Source, World,
};
use subrosa::sip::Transport;
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;
use subrosa::wire::rtp::{RtpHeader, RtpHeaderFields};
use subrosa::wire::sip::{Frame, HeaderName, Message, MessageBuilder, StreamFramer, Uri};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../data/sim/", $name, ".pem"))
    };
}

type Script = Box<dyn FnMut(&Message) -> Vec<MessageBuilder> + Send>;

pub struct TlsPeer {
    settings: TlsServerSettings,
    rng: SeededRng,
    script: Script,
    streams: BTreeMap<ConnectionId, (TlsStream, StreamFramer)>,
    last: Option<ConnectionId>,
    /// Everything heard.
    pub seen: Vec<Message>,
    /// Media heard: when, at which port, from where.
    pub media: Vec<(Instant, u16, SocketAddr, Vec<u8>)>,
}

impl TlsPeer {
    pub fn new(script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static) -> Self {
        let identity = TlsIdentity::from_pem(pem!("bob"), pem!("bob.key")).unwrap();
        let clients = ClientCertificates::NotRequested;
        Self {
            settings: TlsServerSettings::new(identity, clients, TlsVersions::default()).unwrap(),
            rng: SeededRng::new(99),
            script: Box::new(script),
            streams: BTreeMap::new(),
            last: None,
            seen: vec![],
            media: vec![],
        }
    }

    /// Says something over the connection that the phone has opened.
    pub fn say(&mut self, net: &mut Net<'_>, text: &[u8]) {
        let connection = self.last.expect("the phone has connected");
        let (tls, _) = self.streams.get_mut(&connection).unwrap();
        tls.write_plain(text).unwrap();
        let mut out = vec![];
        tls.write_tls_to(&mut out);
        net.write(connection, &out);
    }

    fn hear(&mut self, net: &mut Net<'_>, connection: ConnectionId, data: &[u8]) {
        let Some((tls, framer)) = self.streams.get_mut(&connection) else { return };
        let unix = EPOCH + net.now().duration_since(Instant::ZERO);
        if tls.read_tls(unix, data, &mut self.rng).is_err() {
            return;
        }
        let mut plain = vec![];
        tls.read_plain(&mut plain);
        framer.push(&plain);
        let frames: Vec<_> = std::iter::from_fn(|| framer.next()).collect();
        let mut out = vec![];
        tls.write_tls_to(&mut out);
        net.write(connection, &out);
        self.last = Some(connection);
        for frame in frames {
            let Frame::Message(message) = frame else { continue };
            self.seen.push(message.clone());
            for answer in (self.script)(&message) {
                let answer = answer.finish().expect("a script writes proper messages");
                self.say(net, answer.as_bytes());
            }
        }
    }

    /// The requests of a method, in order.
    pub fn requests(&self, method: &str) -> Vec<Message> {
        let wanted = |m: &&Message| m.is_request() && m.method().as_str() == method;
        self.seen.iter().filter(wanted).cloned().collect()
    }

    pub fn statuses(&self) -> Vec<u16> {
        self.seen.iter().filter_map(Message::status).collect()
    }

    /// SSRCs of the RTP packets that came to a port, in order and once each.
    pub fn ssrcs(&self, port: u16) -> Vec<u32> {
        let mut ssrcs = vec![];
        for (_, at, _, packet) in &self.media {
            if *at == port
                && packet[1] & 0x7f < 64
                && let Ok(header) = RtpHeader::parse(packet)
                && ssrcs.last() != Some(&header.ssrc)
            {
                ssrcs.push(header.ssrc);
            }
        }
        ssrcs
    }

    /// How many of the packets (RTP, RTCP) that came to a port from an index of `media` on open
    /// under these keys.
    pub fn opened(&self, port: u16, from: usize, keys: &KeySet) -> (usize, usize) {
        let mut receiver = SrtpReceiver::with_keys(keys).unwrap();
        let (mut rtp, mut rtcp) = (0, 0);
        for (_, at, _, packet) in self.media.iter().skip(from) {
            let mut packet = packet.clone();
            match (*at == port, packet[1]) {
                (true, 192..=223) => {
                    rtcp += usize::from(receiver.unprotect_rtcp(&mut packet).is_ok())
                }
                (true, _) => rtp += usize::from(receiver.unprotect_rtp(&mut packet).is_ok()),
                _ => {}
            }
        }
        (rtp, rtcp)
    }
}

impl Host for TlsPeer {
    fn start(&mut self, net: &mut Net<'_>) {
        net.listen(5061).unwrap();
        for port in 4000..4010 {
            net.bind_udp(port).unwrap();
        }
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        match event {
            NetEvent::Datagram { local, remote, payload } if payload.len() >= 12 => {
                self.media.push((net.now(), local.port(), remote, payload.to_vec()));
            }
            NetEvent::Accepted { connection, .. } => {
                let unix = EPOCH + net.now().duration_since(Instant::ZERO);
                let tls = TlsStream::server(&self.settings, unix, &mut self.rng).unwrap();
                self.streams.insert(connection, (tls, StreamFramer::new()));
            }
            NetEvent::Data { connection, data } => self.hear(net, connection, data),
            NetEvent::Closed { connection } => _ = self.streams.remove(&connection),
            _ => {}
        }
    }
}

/// A phone of ours that calls such a peer.
pub struct Lab {
    pub world: World,
    pub alice: Handle<EngineHost>,
    pub peer: Handle<TlsPeer>,
    pub call: CallId,
}

impl Lab {
    pub fn new(
        change: impl FnOnce(&mut Config),
        script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        Self::under(SecurityPolicy::Required, change, script)
    }

    /// With this policy for the domain.
    pub fn under(
        policy: SecurityPolicy,
        change: impl FnOnce(&mut Config),
        script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        let mut world = World::new(5);
        world.set_default_link(Link::perfect());
        let alice = world.add_phone("alice", |config| {
            config.trust = TrustAnchors::from_pem(pem!("ca")).unwrap();
            change(config);
        });
        let alice = alice.unwrap();
        world.act(alice, |host, _| host.say(Source::Sine { hz: 500, peak: 8000 }));
        let peer = world.add_host("bob", TlsPeer::new(script));
        let ip = world.ip(peer);
        world.zone().add_address("bob.test", ip);
        let call = world.command(alice, |engine, now| {
            engine.set_domain_policy(now, "bob.test", policy).unwrap();
            let mut account = AccountConfig::new(Uri::parse("sip:alice@bob.test").unwrap());
            (account.register, account.transport) = (false, Some(Transport::Tls));
            let account = engine.add_account(now, account).unwrap();
            let to = Uri::parse("sip:bob@bob.test").unwrap();
            engine.place_call(now, account, &to, CallOptions::default()).unwrap()
        });
        Self { world, alice, peer, call }
    }

    pub fn run(&mut self, ms: u64) {
        self.world.run_for(Duration::from_millis(ms));
    }

    pub fn peer(&self) -> &TlsPeer {
        self.world.host(self.peer)
    }

    pub fn say(&mut self, message: MessageBuilder) {
        let message = message.finish().unwrap();
        self.world.act(self.peer, |peer, net| peer.say(net, message.as_bytes()));
    }

    /// A request of the peer's in the dialog of the first INVITE.
    pub fn request(&mut self, method: &str, number: u32, body: &str) {
        let invite = self.peer().requests("INVITE")[0].clone();
        let from = |name| invite.header(name).unwrap().to_string();
        let tag = if from(HeaderName::To).contains("tag=") { "" } else { ";tag=bob" };
        let contact = from(HeaderName::Contact);
        let target = contact.trim_start_matches('<').split('>').next().unwrap().to_string();
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/TLS bob.test;branch=z9hG4bKb{number}\r\n\
             Max-Forwards: 70\r\nFrom: {}{tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:bob@bob.test;transport=tls>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            from(HeaderName::To),
            from(HeaderName::From),
            invite.call_id(),
            body.len(),
        );
        self.world.act(self.peer, |peer, net| peer.say(net, text.as_bytes()));
    }

    /// An INVITE of the peer's in that dialog, with its ACK.
    pub fn reinvite(&mut self, number: u32, body: &str) {
        self.request("INVITE", number, body);
        self.run(50);
        self.request("ACK", number, "");
        self.run(50);
    }

    /// The phone speaks, although its call is not answered yet: early media.
    pub fn talk(&mut self, packets: usize) {
        let id = self.call;
        for _ in 0..packets {
            self.world.command(self.alice, |engine, now| {
                let _ = engine.write_pcm(now, id, &[1000; 320]);
            });
            self.run(20);
        }
    }

    /// The offer of an INVITE of the phone's.
    pub fn offer(&self, index: usize) -> SessionDescription {
        SessionDescription::parse(self.peer().requests("INVITE")[index].body()).unwrap()
    }

    /// Where the phone receives RTP.
    pub fn phone_rtp(&self) -> SocketAddr {
        (self.world.ip(self.alice), self.offer(0).media[0].port).into()
    }

    pub fn ended(&self) -> Option<String> {
        self.world.host(self.alice).events().iter().find_map(|(_, e)| match e {
            Event::CallEnded { reason, .. } => Some(format!("{reason:?}")),
            _ => None,
        })
    }
}

/// A description of the peer's with this address, profile and key line.
pub fn description(port: u16, profile: &str, crypto: &[String]) -> String {
    let lines: String = crypto.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    format!(
        "v=0\r\no=p 1 {port} IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n\
         m=audio {port} {profile} 0\r\na=rtpmap:0 PCMU/8000\r\na=rtcp-mux\r\n{lines}"
    )
}

/// A response with this tag and, if there is one, this description.
pub fn response(request: &Message, status: u16, tag: &str, body: &str) -> MessageBuilder {
    let response = request
        .response(status, "Scripted")
        .to_tag(tag)
        .header(HeaderName::Contact, format!("<sip:{tag}@bob.test;transport=tls>"));
    if body.is_empty() { response } else { response.body("application/sdp", body.as_bytes()) }
}

/// The peer's voice: SRTP packets of silence.
pub struct Voice {
    pub sender: SrtpSender,
    pub ssrc: u32,
    pub sequence: u16,
    pub port: u16,
    timestamp: u32,
}

impl Voice {
    pub fn new(keys: &KeySet, ssrc: u32, sequence: u16, port: u16) -> Self {
        let sender = SrtpSender::with_keys(keys).unwrap();
        Self { sender, ssrc, sequence, port, timestamp: 0 }
    }

    pub fn packet(&mut self) -> Vec<u8> {
        let fields = RtpHeaderFields {
            ssrc: self.ssrc,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ..Default::default()
        };
        let mut buffer = [0; 700];
        let len = fields.write_packet(&[0xff; 160], 0, &mut buffer).unwrap();
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        self.sender.protect_rtp(&mut buffer, len).unwrap().bytes().to_vec()
    }

    /// A receiver report without blocks, with a canonical name.
    pub fn report(&mut self) -> Vec<u8> {
        let mut buffer = [0; 300];
        buffer[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 0]);
        buffer[4..8].copy_from_slice(&self.ssrc.to_be_bytes());
        buffer[8..20].copy_from_slice(&[0x81, 202, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0]);
        buffer[12..16].copy_from_slice(&self.ssrc.to_be_bytes());
        self.sender.protect_rtcp(&mut buffer, 20).unwrap().bytes().to_vec()
    }

    /// Speaks for so many packets of 20 ms.
    pub fn speak(&mut self, lab: &mut Lab, packets: usize) {
        let to = lab.phone_rtp();
        for _ in 0..packets {
            let packet = self.packet();
            lab.world.act(lab.peer, |_, net| net.send(self.port, to, &packet));
            lab.run(20);
        }
    }
}
