//! Two [`Flows`] and the hosts around them: TCP as memory pipes that cut anywhere, UDP without
//! loss, time by hand.
#![allow(dead_code, unreachable_pub)]

use core::net::SocketAddr;

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use subrosa::crypto::tls::{
    ClientCertificates, TlsClientSettings, TlsIdentity, TlsServerSettings, TlsVersions,
    TrustAnchors,
};
use subrosa::sip::flow::{FlowEvent, FlowOutput, Flows};
use subrosa::sip::route::FlowFailure;
use subrosa::sip::{FlowId, SocketId, StreamId, Transport};
use subrosa::time::{Instant, UnixTime};
use subrosa::util::{RngExt, SeededRng};
use subrosa::wire::sip::Message;

pub const A: usize = 0;
pub const B: usize = 1;
/// Ports of both ends.
pub const UDP: u16 = 5060;
pub const TCP: u16 = 5060;
pub const TLS: u16 = 5061;
/// Connects and says nothing.
pub const SILENT: u16 = 5062;
pub const REFUSED: u16 = 5063;
pub const BLACK_HOLE: u16 = 5064;
/// 2026-01-01 and, when the certificates have expired, 2040-01-01.
pub const PRESENT: UnixTime = UnixTime::from_secs(1_767_225_600);
pub const FUTURE: UnixTime = UnixTime::from_secs(2_208_988_800);

pub fn addr(end: usize, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + end as u8], port))
}

/// An authority, and a server of example.com that it vouches for.
pub fn settings() -> (TlsClientSettings, TlsServerSettings) {
    let key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(ca, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from("example.com").unwrap())];
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2035, 1, 1));
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    let identity = TlsIdentity::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let versions = TlsVersions::default();
    let anchors = TrustAnchors::from_pem(pem.as_bytes()).unwrap();
    (
        TlsClientSettings::new(anchors, None, versions).unwrap(),
        TlsServerSettings::new(identity, ClientCertificates::NotRequested, versions).unwrap(),
    )
}

pub fn request(transport: &str, sent_by: &str, n: u32, body: usize) -> Message {
    let text = format!(
        "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/{transport} {sent_by};branch=z9hG4bKx{n}\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: {n}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: {body}\r\n\r\n{}",
        "x".repeat(body)
    );
    Message::parse(text.as_bytes()).unwrap()
}

pub struct End {
    pub flows: Flows,
    pub rng: SeededRng,
    pub socket: SocketId,
    pub events: Vec<FlowEvent>,
    pub accepted: Vec<StreamId>,
}

impl End {
    pub fn collect(&mut self) {
        while let Some(event) = self.flows.poll_event() {
            self.events.push(event);
        }
    }

    /// Outputs for a host that does nothing.
    pub fn drain(&mut self) -> Vec<FlowOutput> {
        core::iter::from_fn(|| self.flows.poll_output()).collect()
    }

    pub fn take_malformed(&mut self) -> usize {
        let before = self.events.len();
        self.events.retain(|e| !matches!(e, FlowEvent::Malformed { .. }));
        before - self.events.len()
    }
}

/// One TCP connection; index 0 is the side that dialled.
pub struct Pipe {
    ends: [(usize, StreamId); 2],
    /// On the way to each side.
    bytes: [Vec<u8>; 2],
    /// The other side has closed.
    closed: [bool; 2],
    pub remote: SocketAddr,
}

pub struct World {
    pub ends: [End; 2],
    pub pipes: Vec<Pipe>,
    pub now: Instant,
    /// Everything is lost on the way, without a word.
    pub cut: bool,
    /// All bytes of all streams.
    pub wire: Vec<u8>,
    rng: SeededRng,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let (client, server) = settings();
        let end = |n: usize| {
            let mut flows = Flows::new(client.clone(), Some(server.clone()), PRESENT);
            let socket = SocketId::from_raw(50 + n as u64);
            flows.add_socket(socket, addr(n, UDP));
            let rng = SeededRng::new(seed * 10 + n as u64);
            End { flows, rng, socket, events: Vec::new(), accepted: Vec::new() }
        };
        Self {
            ends: [end(A), end(B)],
            pipes: Vec::new(),
            now: Instant::ZERO,
            cut: false,
            wire: Vec::new(),
            rng: SeededRng::new(seed + 1000),
        }
    }

    pub fn send(&mut self, from: usize, flow: FlowId, message: &Message) {
        self.ends[from].flows.send(self.now, flow, message).unwrap();
    }

    /// A connection from A to B that is up.
    pub fn up(&mut self, transport: Transport, port: u16, domain: &str) -> FlowId {
        let flow = self.ends[A].flows.open(self.now, transport, addr(B, port), domain).unwrap();
        self.settle();
        let up = self.ends[A].events.pop();
        assert!(matches!(up, Some(FlowEvent::Up(id)) if id == flow), "{up:?}");
        flow
    }

    /// The oldest event of this end, which is a message.
    pub fn message(&mut self, end: usize) -> (FlowId, Message) {
        self.ends[end].collect();
        match self.ends[end].events.remove(0) {
            FlowEvent::Message { flow, message } => (flow, message),
            other => panic!("{other:?}"),
        }
    }

    /// The oldest event of this end, which is the end of a flow.
    pub fn down(&mut self, end: usize) -> (FlowId, FlowFailure) {
        self.ends[end].collect();
        match self.ends[end].events.remove(0) {
            FlowEvent::Down { flow, why, .. } => (flow, why),
            other => panic!("{other:?}"),
        }
    }

    pub fn advance_to(&mut self, now: Instant) {
        self.now = now;
        for end in &mut self.ends {
            end.flows.handle_timeout(now, &mut end.rng);
        }
        self.settle();
    }

    /// Carries everything until all is silent.
    pub fn settle(&mut self) {
        for _ in 0..20_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the two never fall silent");
    }

    /// Carries what waits, one piece per stream; false if nothing waited.
    pub fn step(&mut self) -> bool {
        let mut moved = false;
        for end in [A, B] {
            self.ends[end].collect();
            while let Some(output) = self.ends[end].flows.poll_output() {
                moved = true;
                self.carry(end, output);
            }
        }
        for n in 0..self.pipes.len() {
            moved |= self.deliver(n, 0) | self.deliver(n, 1);
        }
        moved
    }

    fn carry(&mut self, from: usize, output: FlowOutput) {
        match output {
            FlowOutput::Connect { stream, remote } => self.connect(from, stream, remote),
            FlowOutput::Datagram { remote, data, .. } => {
                let to = usize::from(remote.ip() == addr(B, 0).ip());
                let source = addr(from, UDP);
                let end = &mut self.ends[to];
                if !self.cut && remote.port() == UDP {
                    end.flows.handle_datagram(self.now, end.socket, source, &data);
                }
            }
            FlowOutput::StreamData { stream, data } => {
                self.wire.extend_from_slice(&data);
                if let Some((pipe, side)) = self.side(from, stream) {
                    assert!(!pipe.closed[1 - side], "data after the end");
                    pipe.bytes[1 - side].extend_from_slice(&data);
                }
            }
            FlowOutput::CloseStream { stream } => {
                if let Some((pipe, side)) = self.side(from, stream) {
                    assert!(!pipe.closed[1 - side], "closed twice");
                    pipe.closed[1 - side] = true;
                }
            }
        }
    }

    fn side(&mut self, end: usize, stream: StreamId) -> Option<(&mut Pipe, usize)> {
        if self.cut {
            return None;
        }
        self.pipes.iter_mut().find_map(|pipe| {
            let side = pipe.ends.iter().position(|e| *e == (end, stream))?;
            Some((pipe, side))
        })
    }

    fn connect(&mut self, from: usize, stream: StreamId, remote: SocketAddr) {
        let local = addr(from, 30_000 + self.pipes.len() as u16);
        let transport = match remote.port() {
            TCP => Transport::Tcp,
            TLS => Transport::Tls,
            REFUSED => {
                assert!(self.ends[from].flows.handle_closed(stream));
                return;
            }
            SILENT => {
                let end = &mut self.ends[from];
                assert!(end.flows.handle_connected(self.now, stream, local, &mut end.rng));
                return;
            }
            _ => return,
        };
        let to = 1 - from;
        let end = &mut self.ends[to];
        let theirs = end.flows.accept(self.now, transport, local, remote, &mut end.rng).unwrap();
        end.accepted.push(theirs);
        self.pipes.push(Pipe {
            ends: [(from, stream), (to, theirs)],
            bytes: [Vec::new(), Vec::new()],
            closed: [false; 2],
            remote: local,
        });
        let end = &mut self.ends[from];
        assert!(end.flows.handle_connected(self.now, stream, local, &mut end.rng));
    }

    fn deliver(&mut self, pipe: usize, side: usize) -> bool {
        let pipe = &mut self.pipes[pipe];
        let (end, stream) = pipe.ends[side];
        let end = &mut self.ends[end];
        let waiting = pipe.bytes[side].len() as u32;
        if waiting > 0 {
            // Mostly small pieces, some large.
            let most = [3, 16, 5000][self.rng.below(3) as usize];
            let n = 1 + self.rng.below(most.min(waiting));
            let piece: Vec<u8> = pipe.bytes[side].drain(..n as usize).collect();
            end.flows.handle_data(self.now, stream, &piece, &mut end.rng);
            return true;
        }
        if core::mem::take(&mut pipe.closed[side]) {
            end.flows.handle_closed(stream);
            return true;
        }
        false
    }
}
