//! A scripted SIP peer on the simulated network: it speaks UDP and plain TCP, and TLS if it is
//! given a certificate, keeps what it hears, and answers as its script says.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use subrosa::crypto::tls::{TlsServerSettings, TlsStream};
use subrosa::sim::{ConnectionId, EPOCH, Host, Net, NetEvent};
use subrosa::time::Instant;
use subrosa::wire::sip::{Frame, Message, MessageBuilder, StreamFramer};

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    Udp { local: SocketAddr, remote: SocketAddr },
    Tcp(ConnectionId),
    Tls(ConnectionId),
}

/// What a script may do about a message.
pub struct Turn<'a, 'n> {
    pub net: &'a mut Net<'n>,
    pub way: Way,
    tls: Option<&'a mut TlsStream>,
}

impl Turn<'_, '_> {
    /// Sends a message back the way the other one came.
    pub fn send(&mut self, message: MessageBuilder) {
        let message = message.finish().expect("a script writes proper messages");
        send(self.net, self.way, self.tls.as_deref_mut(), message.as_bytes());
    }

    /// Answers a request with a status and a tag.
    pub fn reply(&mut self, request: &Message, status: u16) {
        self.send(request.response(status, "Scripted").to_tag("peer"));
    }
}

fn send(net: &mut Net<'_>, way: Way, tls: Option<&mut TlsStream>, bytes: &[u8]) {
    match (way, tls) {
        (Way::Udp { local, remote }, _) => net.send(local.port(), remote, bytes),
        (Way::Tcp(connection) | Way::Tls(connection), None) => net.write(connection, bytes),
        (Way::Tcp(connection) | Way::Tls(connection), Some(tls)) => {
            for piece in bytes.chunks(16_000) {
                let _ = tls.write_plain(piece);
                flush(net, connection, tls);
            }
        }
    }
}

fn flush(net: &mut Net<'_>, connection: ConnectionId, tls: &mut TlsStream) {
    let mut out = vec![];
    tls.write_tls_to(&mut out);
    if !out.is_empty() {
        net.write(connection, &out);
    }
}

type Script = Box<dyn FnMut(&mut Turn<'_, '_>, &Message) + Send>;

pub struct Peer {
    udp: bool,
    tcp: bool,
    /// Answers CRLF CRLF on streams.
    pub pongs: bool,
    script: Script,
    settings: Option<TlsServerSettings>,
    streams: BTreeMap<ConnectionId, (StreamFramer, Option<TlsStream>)>,
    /// Everything heard, with the way that it came.
    pub seen: Vec<(Instant, Way, Message)>,
    pub pings: usize,
    pub closed: usize,
}

impl Peer {
    pub fn new(
        udp: bool,
        tcp: bool,
        script: impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static,
    ) -> Self {
        Self {
            udp,
            tcp,
            pongs: true,
            script: Box::new(script),
            settings: None,
            streams: BTreeMap::new(),
            seen: vec![],
            pings: 0,
            closed: 0,
        }
    }

    /// One that listens for TLS at 5061, too.
    pub fn with_tls(mut self, settings: TlsServerSettings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Says something on the newest TLS connection; false if there is none.
    pub fn say(&mut self, net: &mut Net<'_>, bytes: &[u8]) -> bool {
        let mut streams = self.streams.iter_mut().rev();
        let newest = streams.find_map(|(connection, (_, tls))| Some((*connection, tls.as_mut()?)));
        let Some((connection, tls)) = newest else { return false };
        send(net, Way::Tls(connection), Some(tls), bytes);
        true
    }

    /// One that answers no pings.
    pub fn without_pongs(mut self) -> Self {
        self.pongs = false;
        self
    }

    /// The methods heard, in order.
    pub fn methods(&self) -> Vec<String> {
        self.seen
            .iter()
            .filter(|(_, _, m)| m.is_request())
            .map(|(_, _, m)| m.method().as_str().to_string())
            .collect()
    }

    fn message(&mut self, net: &mut Net<'_>, way: Way, message: Message) {
        self.seen.push((net.now(), way, message.clone()));
        let tls = match way {
            Way::Tls(c) => self.streams.get_mut(&c).and_then(|(_, tls)| tls.as_mut()),
            _ => None,
        };
        (self.script)(&mut Turn { net, way, tls }, &message);
    }

    fn data(&mut self, net: &mut Net<'_>, connection: ConnectionId, data: &[u8]) {
        let Some((framer, tls)) = self.streams.get_mut(&connection) else { return };
        let way = match tls {
            None => {
                framer.push(data);
                Way::Tcp(connection)
            }
            Some(tls) => {
                let unix = EPOCH + net.now().duration_since(Instant::ZERO);
                if tls.read_tls(unix, data, net.rng()).is_err() {
                    return;
                }
                let mut plain = vec![];
                tls.read_plain(&mut plain);
                framer.push(&plain);
                flush(net, connection, tls);
                Way::Tls(connection)
            }
        };
        let frames: Vec<_> = std::iter::from_fn(|| framer.next()).collect();
        for frame in frames {
            match frame {
                Frame::Message(m) => self.message(net, way, m),
                Frame::KeepAlivePing => {
                    self.pings += 1;
                    if self.pongs {
                        let found = self.streams.get_mut(&connection);
                        send(net, way, found.and_then(|(_, tls)| tls.as_mut()), b"\r\n");
                    }
                }
                _ => {}
            }
        }
    }
}

impl Host for Peer {
    fn start(&mut self, net: &mut Net<'_>) {
        if self.udp {
            net.bind_udp(5060).unwrap();
        }
        if self.tcp {
            net.listen(5060).unwrap();
        }
        if self.settings.is_some() {
            net.listen(5061).unwrap();
        }
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        match event {
            NetEvent::Datagram { local, remote, payload } => {
                if let Ok(message) = Message::parse(payload) {
                    self.message(net, Way::Udp { local, remote }, message);
                }
            }
            NetEvent::Accepted { connection, local, .. } => {
                let settings = self.settings.as_ref().filter(|_| local.port() == 5061);
                let unix = EPOCH + net.now().duration_since(Instant::ZERO);
                let tls = settings.map(|s| TlsStream::server(s, unix, net.rng()).unwrap());
                self.streams.insert(connection, (StreamFramer::new(), tls));
            }
            NetEvent::Data { connection, data } => self.data(net, connection, data),
            NetEvent::Closed { connection } => {
                self.streams.remove(&connection);
                self.closed += 1;
            }
            _ => {}
        }
    }
}
