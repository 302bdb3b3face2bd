//! The SIP side of a simulated server: the crate's own flows by UDP, TCP and TLS at the usual
//! ports, tied to the simulated network.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use subrosa::crypto::tls::{
    ClientCertificates, TlsClientSettings, TlsIdentity, TlsServerSettings, TlsVersions,
    TrustAnchors,
};
use subrosa::sim::{ConnectionId, EPOCH, Net, NetEvent};
use subrosa::sip::flow::{FlowEvent, FlowOutput, Flows};
use subrosa::sip::{FlowId, SocketId, StreamId, Transport};
use subrosa::wire::sip::Message;

const UDP_AND_TCP: u16 = 5060;
const TLS: u16 = 5061;
const SOCKET: SocketId = SocketId::from_raw(1 << 32);

pub struct SipEnd {
    flows: Flows,
    streams: BTreeMap<ConnectionId, StreamId>,
    connections: BTreeMap<StreamId, ConnectionId>,
    /// The connection that was opened here, and what is said there once it is up.
    dialled: Option<(FlowId, Message)>,
    /// Connections that clients opened for TLS.
    pub accepted: usize,
    /// Connections that clients opened for TCP without TLS.
    pub accepted_clear: usize,
}

impl SipEnd {
    /// One that presents this certificate, and trusts nobody.
    pub fn new(chain: &[u8], key: &[u8]) -> Self {
        let versions = TlsVersions::default();
        let client = TlsClientSettings::new(TrustAnchors::none(), None, versions).unwrap();
        Self::dialling(client, chain, key)
    }

    /// One that opens connections, too, with these settings.
    pub fn dialling(client: TlsClientSettings, chain: &[u8], key: &[u8]) -> Self {
        let versions = TlsVersions::default();
        let identity = TlsIdentity::from_pem(chain, key).unwrap();
        let server =
            TlsServerSettings::new(identity, ClientCertificates::NotRequested, versions).unwrap();
        Self {
            flows: Flows::new(client, Some(server), EPOCH),
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            dialled: None,
            accepted: 0,
            accepted_clear: 0,
        }
    }

    /// Serves one more transport from now on.
    pub fn serve(&mut self, net: &mut Net<'_>, transport: Transport) {
        match transport {
            Transport::Udp => {
                let local = net.bind_udp(UDP_AND_TCP).unwrap();
                self.flows.add_socket(SOCKET, local);
            }
            Transport::Tcp => drop(net.listen(UDP_AND_TCP)),
            Transport::Tls => drop(net.listen(TLS)),
        }
    }

    /// Takes what the network brings; datagrams at other ports than SIP's are not for it.
    pub fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        let now = net.now();
        match event {
            NetEvent::Timer => self.flows.handle_timeout(now, net.rng()),
            NetEvent::Datagram { local, remote, payload } if local.port() == UDP_AND_TCP => {
                self.flows.handle_datagram(now, SOCKET, remote, payload);
            }
            NetEvent::Accepted { connection, local, remote } => {
                let secure = local.port() == TLS;
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
    }

    /// The next message that was heard, with its flow.
    pub fn poll(&mut self, net: &Net<'_>) -> Option<(FlowId, Message)> {
        loop {
            match self.flows.poll_event()? {
                FlowEvent::Message { flow, message } => return Some((flow, message)),
                FlowEvent::Up(up) => {
                    if let Some((_, words)) = self.dialled.as_ref().filter(|(flow, _)| *flow == up)
                    {
                        let _ = self.flows.send(net.now(), up, words);
                    }
                }
                _ => {}
            }
        }
    }

    /// Opens a TLS connection for a domain, and says something there once it is up.
    pub fn dial(&mut self, net: &mut Net<'_>, to: SocketAddr, domain: &str, words: Message) {
        let flow = self.flows.open(net.now(), Transport::Tls, to, domain).unwrap();
        self.dialled = Some((flow, words));
        self.flush(net);
    }

    /// Closes the connection that it has opened.
    pub fn hang_up(&mut self, net: &mut Net<'_>) {
        if let Some((flow, _)) = self.dialled.take() {
            self.flows.close(flow);
            self.flush(net);
        }
    }

    /// The flow's transport.
    pub fn transport(&self, flow: FlowId) -> Transport {
        self.flows.transport(flow).unwrap()
    }

    /// Says something; false if the flow is gone.
    pub fn send(&mut self, net: &Net<'_>, flow: FlowId, message: &Message) -> bool {
        self.flows.send(net.now(), flow, message).is_ok()
    }

    /// Gives the network what is to be sent, and the time of the next timer.
    pub fn flush(&mut self, net: &mut Net<'_>) {
        while let Some(output) = self.flows.poll_output() {
            match output {
                FlowOutput::Datagram { remote, data, .. } => net.send(UDP_AND_TCP, remote, &data),
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
