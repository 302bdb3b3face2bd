//! A registrar on the simulated network, by UDP, TCP and TLS, made of the crate's own flows.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;

use subrosa::crypto::tls::{
    ClientCertificates, TlsClientSettings, TlsIdentity, TlsServerSettings, TlsVersions,
    TrustAnchors,
};
use subrosa::sim::{ConnectionId, Host, Net, NetEvent};
use subrosa::sip::flow::{FlowEvent, FlowOutput, Flows};
use subrosa::sip::{FlowId, SocketId, StreamId, Transport};
use subrosa::time::UnixTime;
use subrosa::wire::sip::{HeaderName, Message, Method};

pub struct Registrar {
    flows: Flows,
    serves: Vec<Transport>,
    streams: BTreeMap<ConnectionId, StreamId>,
    connections: BTreeMap<StreamId, ConnectionId>,
    /// Contact URIs that are registered.
    pub bindings: Vec<String>,
    /// Requests heard, with their transport.
    pub seen: Vec<(Transport, Message)>,
    /// Calls are answered, with plain media that nobody sends.
    pub answers: bool,
}

const SDP: &str = "v=0\r\no=r 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

const SOCKET: SocketId = SocketId::from_raw(1 << 32);

impl Registrar {
    pub fn new(serves: &[Transport], chain: &[u8], key: &[u8]) -> Self {
        let versions = TlsVersions::default();
        let client = TlsClientSettings::new(TrustAnchors::none(), None, versions).unwrap();
        let identity = TlsIdentity::from_pem(chain, key).unwrap();
        let server =
            TlsServerSettings::new(identity, ClientCertificates::NotRequested, versions).unwrap();
        Self {
            flows: Flows::new(client, Some(server), UnixTime::from_secs(1_800_000_000)),
            serves: serves.to_vec(),
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            bindings: vec![],
            seen: vec![],
            answers: false,
        }
    }

    /// Serves one more transport from now on.
    pub fn serve(&mut self, net: &mut Net<'_>, transport: Transport) {
        match transport {
            Transport::Udp => {
                let local = net.bind_udp(5060).unwrap();
                self.flows.add_socket(SOCKET, local);
            }
            Transport::Tcp => drop(net.listen(5060)),
            Transport::Tls => drop(net.listen(5061)),
        }
    }

    fn drain(&mut self, net: &mut Net<'_>) {
        while let Some(event) = self.flows.poll_event() {
            if let FlowEvent::Message { flow, message } = event
                && message.is_request()
            {
                self.request(net, flow, message);
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
                FlowOutput::Connect { .. } => {}
            }
        }
        net.set_timer(self.flows.next_timeout());
    }

    fn request(&mut self, net: &mut Net<'_>, flow: FlowId, message: Message) {
        self.seen.push((self.flows.transport(flow).unwrap(), message.clone()));
        let ok = message.response(200, "OK").to_tag("registrar");
        let response = match message.method() {
            Method::Ack => return,
            Method::Register => {
                for contact in message.contacts() {
                    let uri = contact.uri().as_str().to_string();
                    self.bindings.retain(|b| *b != uri);
                    if contact.params().get("expires") != Some("0") {
                        self.bindings.push(uri);
                    }
                }
                let expires = message.header(HeaderName::Expires).unwrap_or("60").to_string();
                let mut ok = ok;
                for binding in &self.bindings {
                    ok = ok.header(HeaderName::Contact, format!("<{binding}>;expires={expires}"));
                }
                ok
            }
            Method::Invite if self.answers => ok
                .header(HeaderName::Contact, "<sip:answers@bob.test>")
                .body("application/sdp", SDP.as_bytes()),
            _ => message.response(480, "Nobody").to_tag("registrar"),
        };
        let _ = self.flows.send(net.now(), flow, &response.finish().unwrap());
    }
}

impl Host for Registrar {
    fn start(&mut self, net: &mut Net<'_>) {
        for transport in self.serves.clone() {
            self.serve(net, transport);
        }
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        let now = net.now();
        match event {
            NetEvent::Timer => self.flows.handle_timeout(now, net.rng()),
            NetEvent::Datagram { remote, payload, .. } => {
                self.flows.handle_datagram(now, SOCKET, remote, payload);
            }
            NetEvent::Accepted { connection, local, remote } => {
                let transport = if local.port() == 5061 { Transport::Tls } else { Transport::Tcp };
                match self.flows.accept(now, transport, remote, local, net.rng()) {
                    Some(stream) => {
                        self.streams.insert(connection, stream);
                        self.connections.insert(stream, connection);
                    }
                    None => net.close(connection),
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
