//! A server with a good certificate for `bob.test` that is not honest: by TLS and UDP it answers
//! requests as its script says, and keeps all that it hears, media too.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use subrosa::crypto::tls::{
    ClientCertificates, TlsClientSettings, TlsIdentity, TlsServerSettings, TlsVersions,
    TrustAnchors,
};
use subrosa::sim::{ConnectionId, EPOCH, Host, Net, NetEvent};
use subrosa::sip::flow::{FlowEvent, FlowOutput, Flows};
use subrosa::sip::{FlowId, SocketId, StreamId, Transport};
use subrosa::wire::sip::{HeaderName, Message, MessageBuilder};

type Script = Box<dyn FnMut(&Message) -> Vec<MessageBuilder> + Send>;

pub struct Hop {
    flows: Flows,
    script: Script,
    dialled: Option<(FlowId, Message)>,
    streams: BTreeMap<ConnectionId, StreamId>,
    connections: BTreeMap<StreamId, ConnectionId>,
    /// Messages heard, with the flow that they came by.
    pub seen: Vec<(FlowId, Message)>,
    /// Datagrams that are not SIP, and the port that they came to.
    pub media: Vec<(u16, Vec<u8>)>,
    /// Connections accepted for TLS.
    pub accepted: usize,
    /// Connections accepted for TCP without TLS.
    pub accepted_clear: usize,
}

const SOCKET: SocketId = SocketId::from_raw(1 << 32);

impl Hop {
    pub fn new(
        chain: &[u8],
        key: &[u8],
        script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        let versions = TlsVersions::default();
        let client = TlsClientSettings::new(TrustAnchors::none(), None, versions).unwrap();
        Self::dialling(client, chain, key, script)
    }

    /// One that opens connections, too.
    pub fn dialling(
        client: TlsClientSettings,
        chain: &[u8],
        key: &[u8],
        script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        let identity = TlsIdentity::from_pem(chain, key).unwrap();
        let versions = TlsVersions::default();
        let server =
            TlsServerSettings::new(identity, ClientCertificates::NotRequested, versions).unwrap();
        Self {
            flows: Flows::new(client, Some(server), EPOCH),
            script: Box::new(script),
            dialled: None,
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            seen: vec![],
            media: vec![],
            accepted: 0,
            accepted_clear: 0,
        }
    }

    /// The requests of a method that it heard.
    pub fn heard(&self, method: &str) -> Vec<Message> {
        let wanted = |m: &&Message| m.is_request() && m.method().as_str() == method;
        self.seen.iter().map(|(_, m)| m).filter(wanted).cloned().collect()
    }

    /// Says something on the flow of the first message.
    pub fn say(&mut self, net: &mut Net<'_>, message: &Message) {
        let flow = self.seen.first().expect("somebody spoke").0;
        self.flows.send(net.now(), flow, message).unwrap();
        self.drain(net);
    }

    /// Opens a TLS connection for a domain, and says something there once it is up.
    pub fn dial(&mut self, net: &mut Net<'_>, to: SocketAddr, domain: &str, words: Message) {
        let flow = self.flows.open(net.now(), Transport::Tls, to, domain).unwrap();
        self.dialled = Some((flow, words));
        self.drain(net);
    }

    /// Closes the connection that it has opened.
    pub fn hang_up(&mut self, net: &mut Net<'_>) {
        if let Some((flow, _)) = self.dialled.take() {
            self.flows.close(flow);
            self.drain(net);
        }
    }

    fn drain(&mut self, net: &mut Net<'_>) {
        while let Some(event) = self.flows.poll_event() {
            if let FlowEvent::Up(up) = event
                && let Some((flow, words)) = &self.dialled
                && *flow == up
            {
                let _ = self.flows.send(net.now(), up, words);
            }
            if let FlowEvent::Message { flow, message } = event {
                self.seen.push((flow, message.clone()));
                for answer in (self.script)(&message) {
                    let answer = answer.finish().expect("a script writes proper messages");
                    let _ = self.flows.send(net.now(), flow, &answer);
                }
            }
        }
        while let Some(output) = self.flows.poll_output() {
            match output {
                FlowOutput::Datagram { remote, data, .. } => net.send(5060, remote, &data),
                FlowOutput::StreamData { stream, data } => {
                    if let Some(connection) = self.connections.get(&stream) {
                        net.write(*connection, &data);
                    }
                }
                FlowOutput::CloseStream { stream } => {
                    if let Some(connection) = self.connections.remove(&stream) {
                        self.streams.remove(&connection);
                        net.close(connection);
                    }
                }
                FlowOutput::Connect { stream, remote } => {
                    let connection = net.connect(remote);
                    self.streams.insert(connection, stream);
                    self.connections.insert(stream, connection);
                }
            }
        }
        net.set_timer(self.flows.next_timeout());
    }
}

impl Host for Hop {
    fn start(&mut self, net: &mut Net<'_>) {
        let local = net.bind_udp(5060).unwrap();
        self.flows.add_socket(SOCKET, local);
        net.listen(5061).unwrap();
        net.listen(5060).unwrap();
        for port in 4000..4010 {
            net.bind_udp(port).unwrap();
        }
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        let now = net.now();
        match event {
            NetEvent::Timer => self.flows.handle_timeout(now, net.rng()),
            NetEvent::Datagram { local, remote, payload } if local.port() == 5060 => {
                self.flows.handle_datagram(now, SOCKET, remote, payload);
            }
            NetEvent::Datagram { local, payload, .. } => {
                self.media.push((local.port(), payload.to_vec()));
            }
            NetEvent::Accepted { connection, local, remote } => {
                let secure = local.port() == 5061;
                let count = if secure { &mut self.accepted } else { &mut self.accepted_clear };
                *count += 1;
                let transport = if secure { Transport::Tls } else { Transport::Tcp };
                match self.flows.accept(now, transport, remote, local, net.rng()) {
                    Some(stream) => {
                        self.streams.insert(connection, stream);
                        self.connections.insert(stream, connection);
                    }
                    None => net.close(connection),
                }
            }
            NetEvent::Connected { connection, local } => {
                if let Some(stream) = self.streams.get(&connection) {
                    self.flows.handle_connected(now, *stream, local, net.rng());
                }
            }
            NetEvent::Data { connection, data } => {
                if let Some(stream) = self.streams.get(&connection) {
                    self.flows.handle_data(now, *stream, data, net.rng());
                }
            }
            NetEvent::Closed { connection } => {
                if let Some(stream) = self.streams.remove(&connection) {
                    self.connections.remove(&stream);
                    self.flows.handle_closed(stream);
                }
            }
            _ => {}
        }
        self.drain(net);
    }
}

/// A description from the hop's address with these lines.
pub fn description(ip: std::net::IpAddr, port: u16, profile: &str, lines: &str) -> String {
    format!(
        "v=0\r\no=h 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} {profile} 0\r\na=rtpmap:0 PCMU/8000\r\n{lines}"
    )
}

/// A final or provisional answer with a description.
pub fn answer(request: &Message, status: u16, tag: &str, body: &str) -> MessageBuilder {
    request
        .response(status, "Scripted")
        .to_tag(tag)
        .header(HeaderName::Contact, format!("<sip:{tag}@bob.test;transport=tls>"))
        .body("application/sdp", body.as_bytes())
}

/// Where something may be reached.
pub fn at(ip: std::net::IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}
