//! Pairs of media sessions in memory, with SRTP; and one way of a call: a session that speaks and one
//! that hears, or a peer made by hand that sends whatever it likes to the one that hears.
#![allow(dead_code, unreachable_pub)]

use std::net::SocketAddr;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::session::{
    Channel, MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, MediaStats, Payload,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;
use subrosa::wire::rtp::{PacketKind, RtpHeaderFields, RtpPacket, classify};

/// The SSRC of the peer that is made by hand.
pub const SSRC: u32 = 0x1234;

pub fn address(side: usize) -> SocketAddr {
    format!("192.0.2.{}:4000", side + 1).parse().unwrap()
}

/// The keys of both ways: what each side sends under.
pub fn keys(seed: u64, suite: Suite) -> [MasterKey; 2] {
    let mut rng = SeededRng::new(seed);
    [0, 1].map(|_| MasterKey::generate(suite, &mut rng))
}

pub fn srtp(out: &MasterKey, into: &MasterKey) -> MediaSecurity {
    MediaSecurity::Srtp {
        sender: SrtpSender::new(out).unwrap(),
        receiver: SrtpReceiver::new(into).unwrap(),
    }
}

/// Two sessions that speak with each other.
#[derive(Clone, Copy)]
pub struct Pair {
    pub seed: u64,
    pub suite: Suite,
    pub start: Instant,
}

impl Pair {
    /// The keys of both ways.
    pub fn keys(&self) -> [MasterKey; 2] {
        keys(self.seed, self.suite)
    }

    fn session(
        &self,
        side: usize,
        payload: Payload,
        change: &dyn Fn(usize, &mut MediaConfig),
    ) -> (MediaSession, u32) {
        let keys = self.keys();
        let security = srtp(&keys[side], &keys[1 - side]);
        let mut config = MediaConfig::new(payload, address(1 - side), security);
        change(side, &mut config);
        let (mut rng, rate) = (SeededRng::new(self.seed + side as u64), config.write_rate);
        (MediaSession::new(self.start, config, &mut rng).unwrap(), rate)
    }

    /// Both; `change` tells how each is to be.
    pub fn sessions(
        &self,
        payload: Payload,
        change: impl Fn(usize, &mut MediaConfig),
    ) -> [MediaSession; 2] {
        [0, 1].map(|side| self.session(side, payload, &change).0)
    }
}

/// The pair of a [`Line`].
const PAIR: Pair =
    Pair { seed: 1, suite: Suite::AesCm128HmacSha1_80, start: Instant::from_millis(1) };

/// An RTP packet that left the first session, opened.
#[derive(Clone, Debug)]
pub struct Sent {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

/// Two sessions: the first one speaks, both send RTCP.
pub struct Line {
    pub now: Instant,
    /// Of what is said and heard, in Hz.
    pub rate: u32,
    pub ends: [MediaSession; 2],
    pub sent: Vec<Sent>,
    pub heard: Vec<i16>,
    tap: SrtpReceiver,
}

impl Line {
    pub fn new(payload: Payload, change: impl Fn(usize, &mut MediaConfig)) -> Self {
        let [(speaker, rate), (hearer, _)] =
            [0, 1].map(|side| PAIR.session(side, payload, &change));
        Self {
            now: Instant::from_millis(20),
            rate,
            ends: [speaker, hearer],
            sent: Vec::new(),
            heard: Vec::new(),
            tap: SrtpReceiver::new(&PAIR.keys()[0]).unwrap(),
        }
    }

    /// Says `pcm` in steps of 20 ms; RTP packets for whose count `lost` is true never arrive.
    pub fn say(&mut self, pcm: &[i16], mut lost: impl FnMut(usize) -> bool) {
        let step = self.rate as usize / 50;
        for said in pcm.chunks_exact(step) {
            self.ends[0].write_pcm(self.now, said).unwrap();
            for side in 0..2 {
                self.ends[side].handle_timeout(self.now);
                let mut buffer = [0; MAX_TRANSMIT];
                while let Some(t) = self.ends[side].poll_transmit(self.now, &mut buffer).unwrap() {
                    let mut bytes = t.packet.bytes().to_vec();
                    let rtp = side == 0 && matches!(classify(&bytes), PacketKind::Rtp);
                    if rtp {
                        self.sent.push(open(&mut self.tap, &bytes));
                    }
                    if !rtp || !lost(self.sent.len()) {
                        let (to, from) = (&mut self.ends[1 - side], address(side));
                        to.handle_datagram(self.now, Channel::Rtp, &mut bytes, from);
                    }
                }
            }
            let mut out = vec![0; step];
            self.ends[1].read_pcm(self.now, &mut out).unwrap();
            self.heard.extend(out);
            self.now += Duration::from_millis(20);
        }
    }

    pub fn heard_stats(&self) -> MediaStats {
        self.ends[1].stats()
    }
}

fn open(tap: &mut SrtpReceiver, packet: &[u8]) -> Sent {
    let mut bytes = packet.to_vec();
    let plain = tap.unprotect_rtp(&mut bytes).unwrap();
    let rtp = RtpPacket::parse(plain).unwrap();
    Sent {
        payload_type: rtp.header.payload_type,
        marker: rtp.header.marker,
        sequence: rtp.header.sequence_number,
        timestamp: rtp.header.timestamp,
        payload: rtp.payload.to_vec(),
    }
}

/// A session that hears what a peer made by hand sends.
pub struct Listener {
    pub session: MediaSession,
    peer: SrtpSender,
}

impl Listener {
    pub fn new(payload: Payload, change: impl Fn(usize, &mut MediaConfig)) -> Self {
        Self {
            session: PAIR.session(1, payload, &change).0,
            peer: SrtpSender::new(&PAIR.keys()[0]).unwrap(),
        }
    }

    /// A packet of the peer arrives.
    pub fn take(&mut self, ms: u64, sequence: u16, timestamp: u32, payload_type: u8, bytes: &[u8]) {
        let fields = RtpHeaderFields {
            payload_type,
            sequence_number: sequence,
            timestamp,
            ssrc: SSRC,
            ..RtpHeaderFields::default()
        };
        let mut packet = [0; MAX_TRANSMIT];
        let len = fields.write_packet(bytes, 0, &mut packet).unwrap();
        let len = self.peer.protect_rtp(&mut packet, len).unwrap().bytes().len();
        let now = Instant::from_millis(1_000 + ms);
        self.session.handle_datagram(now, Channel::Rtp, &mut packet[..len], address(0));
    }

    /// What is to be heard then.
    pub fn hear(&mut self, ms: u64, samples: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        self.session.read_pcm(Instant::from_millis(1_000 + ms), &mut pcm).unwrap();
        pcm
    }
}
