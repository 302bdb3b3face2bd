//! A scripted SIP peer on the simulated network: it speaks UDP and plain TCP, keeps what it
//! hears, and answers as its script says.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use subrosa::sim::{ConnectionId, Host, Net, NetEvent};
use subrosa::time::Instant;
use subrosa::wire::sip::{Frame, Message, MessageBuilder, StreamFramer};

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    Udp { local: SocketAddr, remote: SocketAddr },
    Tcp(ConnectionId),
}

/// What a script may do about a message.
pub struct Turn<'a, 'n> {
    pub net: &'a mut Net<'n>,
    pub way: Way,
}

impl Turn<'_, '_> {
    /// Sends a message back the way the other one came.
    pub fn send(&mut self, message: MessageBuilder) {
        let message = message.finish().expect("a script writes proper messages");
        send(self.net, self.way, message.as_bytes());
    }

    /// Answers a request with a status and a tag.
    pub fn reply(&mut self, request: &Message, status: u16) {
        self.send(request.response(status, "Scripted").to_tag("peer"));
    }
}

fn send(net: &mut Net<'_>, way: Way, bytes: &[u8]) {
    match way {
        Way::Udp { local, remote } => net.send(local.port(), remote, bytes),
        Way::Tcp(connection) => net.write(connection, bytes),
    }
}

type Script = Box<dyn FnMut(&mut Turn<'_, '_>, &Message) + Send>;

pub struct Peer {
    udp: bool,
    tcp: bool,
    /// Answers CRLF CRLF on streams.
    pub pongs: bool,
    script: Script,
    streams: BTreeMap<ConnectionId, StreamFramer>,
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
            streams: BTreeMap::new(),
            seen: vec![],
            pings: 0,
            closed: 0,
        }
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
        (self.script)(&mut Turn { net, way }, &message);
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
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        match event {
            NetEvent::Datagram { local, remote, payload } => {
                if let Ok(message) = Message::parse(payload) {
                    self.message(net, Way::Udp { local, remote }, message);
                }
            }
            NetEvent::Accepted { connection, .. } => {
                self.streams.insert(connection, StreamFramer::new());
            }
            NetEvent::Data { connection, data } => {
                let Some(framer) = self.streams.get_mut(&connection) else { return };
                framer.push(data);
                let frames: Vec<_> = std::iter::from_fn(|| framer.next()).collect();
                for frame in frames {
                    match frame {
                        Frame::Message(m) => self.message(net, Way::Tcp(connection), m),
                        Frame::KeepAlivePing => {
                            self.pings += 1;
                            if self.pongs {
                                net.write(connection, b"\r\n");
                            }
                        }
                        _ => {}
                    }
                }
            }
            NetEvent::Closed { connection } => {
                self.streams.remove(&connection);
                self.closed += 1;
            }
            _ => {}
        }
    }
}
