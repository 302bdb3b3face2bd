//! An attacker on the path between two phones of the simulated network: it reads, drops, delays,
//! repeats and changes what they say, and adds words of its own with addresses and ids that it
//! has heard. All that it does follows from its seed.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sim::{ConnectionId, Draw, Fact, Host, Net, NetEvent, split};
use subrosa::time::{Duration, Instant};
use subrosa::util::{RngExt, SeededRng};
use subrosa::wire::sip::{HeaderName, Message};

/// What it is out for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Malice {
    /// Share of datagrams that it loses, changes, repeats, holds back.
    pub meddling: f64,
    /// Takes `a=crypto`, `a=fingerprint` and SAVP out of session descriptions in the clear.
    pub strips: bool,
    /// Says words of its own as often as this.
    pub forges: Option<Duration>,
    /// Cuts or spoils connections with this probability per piece.
    pub cuts: f64,
    /// Opens connections and leaves them half open, or fills them with garbage.
    pub squats: bool,
    /// When it grows tired.
    pub until: Duration,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deeds {
    pub meddled: usize,
    pub stripped: usize,
    pub forged: usize,
    pub media: usize,
    pub cut: usize,
}

/// The ids of a dialog, as heard or as guessed.
#[derive(Clone, Debug)]
struct Heard {
    call_id: String,
    from: String,
    to: String,
    via: String,
    number: u32,
    /// The addresses of caller and callee.
    caller: SocketAddr,
    callee: SocketAddr,
}

pub struct Mallory {
    malice: Malice,
    rng: SeededRng,
    /// SIP addresses of the two, to speak in their names.
    victims: [SocketAddr; 2],
    /// Call-IDs that somebody told it.
    pub leaked: Vec<String>,
    heard: Vec<Heard>,
    media: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pairs: BTreeMap<ConnectionId, ConnectionId>,
    waiting: BTreeMap<ConnectionId, Vec<u8>>,
    later: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    next_words: Option<Instant>,
    pub deeds: Deeds,
}

/// Packets kept for replay.
const KEPT: usize = 48;

impl Mallory {
    pub fn new(seed: u64, malice: Malice, victims: [SocketAddr; 2]) -> Self {
        Self {
            malice,
            rng: split(seed, "mallory", 0),
            victims,
            leaked: vec![],
            heard: vec![],
            media: vec![],
            pairs: BTreeMap::new(),
            waiting: BTreeMap::new(),
            later: BTreeMap::new(),
            sent: 0,
            next_words: None,
            deeds: Deeds::default(),
        }
    }

    fn is_active(&self, net: &Net<'_>) -> bool {
        net.now().duration_since(Instant::ZERO) < self.malice.until
    }

    fn arm(&self, net: &mut Net<'_>) {
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        net.set_timer([later, self.next_words].into_iter().flatten().min());
    }

    fn send_after(
        &mut self,
        net: &mut Net<'_>,
        delay: Duration,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    ) {
        self.sent += 1;
        self.later.insert((net.now() + delay, self.sent), (from, to, bytes));
    }

    /// Flips, cuts or doubles some of it.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.rng.between(1, 4) {
            let at = self.rng.below(bytes.len().max(1) as u32) as usize;
            match self.rng.below(4) {
                0 if bytes.len() > 20 => bytes.truncate(at.max(12)),
                1 => bytes.insert(at.min(bytes.len()), self.rng.next_u32() as u8),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.rng.below(8);
                    }
                }
            }
        }
    }

    fn datagram(&mut self, net: &mut Net<'_>, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let kind = Packet::new(bytes).kind();
        if kind == Kind::Sip {
            self.listen(from, to, bytes);
        } else if kind != Kind::KeepAlive {
            if self.media.len() >= KEPT {
                self.media.remove(0);
            }
            self.media.push((from, to, bytes.to_vec()));
        }
        let mut bytes = bytes.to_vec();
        if self.is_active(net) {
            if kind == Kind::Sip && self.malice.strips {
                self.strip(&mut bytes);
            }
            if self.rng.chance(self.malice.meddling) {
                self.deeds.meddled += 1;
                match self.rng.below(5) {
                    0 => return,
                    1 => self.spoil(&mut bytes),
                    2 => {
                        let delay = self.rng.up_to(Duration::from_millis(400));
                        self.send_after(net, delay, from, to, bytes);
                        return;
                    }
                    3 => {
                        for _ in 0..self.rng.between(1, 3) {
                            let delay = self.rng.up_to(Duration::from_millis(3000));
                            self.send_after(net, delay, from, to, bytes.clone());
                        }
                    }
                    // Back to who said it.
                    _ => self.send_after(net, Duration::ZERO, to, from, bytes.clone()),
                }
            }
        }
        net.send_from(from, to, &bytes);
    }

    /// Remembers the ids of a dialog.
    fn listen(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let field = |name| message.header(name).unwrap_or_default().to_string();
        let (caller, callee) = if message.is_request() { (from, to) } else { (to, from) };
        let heard = Heard {
            call_id: message.call_id().to_string(),
            from: field(HeaderName::From),
            to: field(HeaderName::To),
            via: field(HeaderName::Via),
            number: message.cseq().number,
            caller,
            callee,
        };
        if self.heard.len() >= KEPT {
            self.heard.remove(0);
        }
        self.heard.push(heard);
    }

    /// Takes keys out of what travels in the clear, length by length.
    fn strip(&mut self, bytes: &mut [u8]) {
        for (what, by) in [
            (&b"a=crypto"[..], &b"a=xrypto"[..]),
            (b"a=fingerprint", b"a=xingerprint"),
            (b"RTP/SAVP ", b"RTP/AVP  "),
        ] {
            let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(what));
            let places: Vec<usize> = places.collect();
            for at in places {
                bytes[at..at + by.len()].copy_from_slice(by);
                self.deeds.stripped += 1;
            }
        }
    }

    /// Speaks for itself: SIP in somebody's name, and voice.
    fn speak(&mut self, net: &mut Net<'_>) {
        for _ in 0..self.rng.between(1, 3) {
            let heard = self.rng.pick(&self.heard).cloned();
            let heard = if self.rng.chance(0.2) { None } else { heard };
            let heard = heard.unwrap_or_else(|| self.guess());
            let (from, to, text) = self.forge(&heard);
            self.deeds.forged += 1;
            let mut bytes = text.into_bytes();
            if self.rng.chance(0.1) {
                self.spoil(&mut bytes);
            }
            net.send_from(from, to, &bytes);
        }
        for _ in 0..self.rng.between(0, 6) {
            let Some((from, to, bytes)) = self.rng.pick(&self.media).cloned() else { break };
            let bytes = self.voice(bytes);
            self.deeds.media += 1;
            let stranger = self.rng.chance(0.2);
            let from = if stranger { SocketAddr::new(net.ip(), 4000) } else { from };
            net.send_from(from, to, &bytes);
        }
    }

    /// Words about a call of which nothing, or only the Call-ID, is known.
    fn guess(&mut self) -> Heard {
        let [a, b] = self.victims;
        let (caller, callee) = if self.rng.chance(0.5) { (a, b) } else { (b, a) };
        let leaked = self.rng.pick(&self.leaked).cloned();
        Heard {
            call_id: leaked.unwrap_or_else(|| format!("guess{}", self.rng.next_u32())),
            from: "<sip:alice@alice.test>;tag=1".to_string(),
            to: "<sip:bob@bob.test>;tag=2".to_string(),
            via: "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1".to_string(),
            number: 1,
            caller,
            callee,
        }
    }

    /// A packet that was heard, as new: replayed, spoiled, in the clear, a goodbye, noise.
    fn voice(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self.rng.below(6) {
            0 => {}
            1 => self.spoil(&mut bytes),
            2 | 3 => {
                // Loud and in the clear, with the source's own numbers.
                bytes.truncate(12);
                if let Some(low) = bytes.get_mut(3) {
                    *low = low.wrapping_add(self.rng.below(20) as u8);
                }
                bytes.resize(12 + 160, if self.rng.chance(0.5) { 0x00 } else { 0x80 });
            }
            4 => {
                let at = if matches!(bytes.get(1), Some(192..=223)) { 4 } else { 8 };
                let ssrc = bytes.get(at..at + 4).map_or(vec![0; 4], <[u8]>::to_vec);
                bytes = vec![0x81, 203, 0, 1];
                bytes.extend(ssrc);
            }
            _ => {
                for byte in bytes.iter_mut().skip(self.rng.below(13) as usize) {
                    *byte = self.rng.next_u32() as u8;
                }
            }
        }
        bytes
    }

    fn sdp(&mut self) -> String {
        let (profile, keys) = match self.rng.below(4) {
            0 => (
                "RTP/SAVP",
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 \
                 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n",
            ),
            1 => ("RTP/SAVP", ""),
            2 => ("RTP/AVP", "a=inactive\r\n"),
            _ => ("RTP/AVP", ""),
        };
        format!(
            "v=0\r\no=m {} {} IN IP4 10.0.0.3\r\ns=-\r\nc=IN IP4 10.0.0.3\r\nt=0 0\r\n\
             m=audio 4000 {profile} 0\r\n{keys}",
            self.rng.below(9),
            self.rng.below(99)
        )
    }

    /// A message about a dialog that is not its own: from whom, to whom, what.
    fn forge(&mut self, heard: &Heard) -> (SocketAddr, SocketAddr, String) {
        let Heard { call_id, from, to, via, number, caller, callee } = heard;
        let bare = to.split(";tag=").next().unwrap_or_default().to_string();
        let next = number + self.rng.between(0, 3);
        let new_via = format!("SIP/2.0/UDP {caller};branch=z9hG4bK{};rport", self.rng.next_u32());
        let body = self.sdp();
        let target = format!("sip:bob@{callee}");
        // To the callee in the caller's name, or the other way round.
        let request = |method: &str, via: &str, from: &str, to: &str, number: u32, body: &str| {
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "{method} {target} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
                 To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
                 Contact: <sip:m@10.0.0.3>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let response = |status: &str, to: &str, more: &str, body: &str| {
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\n\
                 Call-ID: {call_id}\r\nCSeq: {number} INVITE\r\nContact: <sip:m@10.0.0.3>\r\n\
                 {more}{kind}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let forked = format!("{bare};tag=m{}", self.rng.below(4));
        let forward = |text: String| (*caller, *callee, text);
        let backward = |text: String| (*callee, *caller, text);
        match self.rng.below(14) {
            0 => forward(request("CANCEL", via, from, &bare, *number, "")),
            1 => forward(request("BYE", &new_via, from, to, next, "")),
            2 => backward(request("BYE", &new_via, to, from, next, "")),
            3 => forward(request("INVITE", &new_via, from, to, next, &body)),
            4 => backward(request("INVITE", &new_via, to, from, next, &body)),
            5 => forward(request("ACK", &new_via, from, to, *number, &body)),
            6 => backward(response("200 OK", &forked, "", &body)),
            7 => backward(response("200 OK", to, "", &body)),
            8 => backward(response("183 Session Progress", &forked, "", &body)),
            9 => forward(request("UPDATE", &new_via, from, to, next, &body)),
            10 => {
                let stranger = format!("<sip:m@10.0.0.3>;tag={}", self.rng.below(9));
                forward(request("INVITE", &new_via, &stranger, &bare, 1, &body))
            }
            11 => forward(request("OPTIONS", &new_via, from, &bare, next, "")),
            12 => {
                let realm = "Proxy-Authenticate: Digest realm=\"bob.test\", nonce=\"m\"\r\n";
                backward(response("407 Who", &forked, realm, ""))
            }
            _ => backward(response("603 Decline", &forked, "", "")),
        }
    }

    /// Opens a connection to one of the two.
    fn squat(&mut self, net: &mut Net<'_>) {
        let victim = *self.rng.pick(&self.victims).expect("there are two");
        let port = *self.rng.pick(&[5060, 5061]).expect("there are two");
        net.connect(SocketAddr::new(victim.ip(), port));
    }

    fn garbage(&mut self) -> Vec<u8> {
        let length = self.rng.between(1, 4000) as usize;
        let mut bytes = vec![0; length];
        match self.rng.below(4) {
            0 => bytes.iter_mut().for_each(|b| *b = self.rng.next_u32() as u8),
            1 => bytes[..5.min(length)].copy_from_slice(&[22, 3, 1, 0x0f, 0][..5.min(length)]),
            2 => bytes = b"OPTIONS sip:bob@bob.test SIP/2.0\r\nContent-Length: 900000\r\n".to_vec(),
            _ => {
                let heard = self.guess();
                bytes = self.forge(&heard).2.into_bytes();
            }
        }
        bytes
    }

    fn stream(&mut self, net: &mut Net<'_>, connection: ConnectionId, data: &[u8]) {
        let Some(other) = self.pairs.get(&connection).copied() else { return };
        let mut data = data.to_vec();
        if self.is_active(net) {
            if Kind::of_stream(&data) == Kind::Sip && self.malice.strips {
                self.strip(&mut data);
            }
            if self.rng.chance(self.malice.cuts) {
                self.deeds.cut += 1;
                match self.rng.below(4) {
                    0 => self.spoil(&mut data),
                    1 => data.extend(self.garbage()),
                    2 => data = [data.clone(), data].concat(),
                    _ => {
                        net.close(connection);
                        net.close(other);
                        self.pairs.remove(&connection);
                        self.pairs.remove(&other);
                        return;
                    }
                }
            }
        }
        match self.waiting.get_mut(&other) {
            Some(waiting) => waiting.extend(data),
            None => net.write(other, &data),
        }
    }
}

impl Host for Mallory {
    fn start(&mut self, net: &mut Net<'_>) {
        net.report(Fact::Hostile { host: net.host() });
        self.next_words = self.malice.forges.map(|every| net.now() + every);
        self.arm(net);
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        match event {
            NetEvent::Timer => {
                let now = net.now();
                while let Some(entry) = self.later.first_entry()
                    && entry.key().0 <= now
                {
                    let (from, to, bytes) = entry.remove();
                    net.send_from(from, to, &bytes);
                }
                if self.next_words.is_some_and(|at| at <= now) {
                    self.speak(net);
                    if self.malice.squats && self.rng.chance(0.2) {
                        self.squat(net);
                    }
                    let active = self.is_active(net);
                    let again = self.malice.forges.filter(|_| active);
                    self.next_words = again.map(|every| now + every);
                }
            }
            NetEvent::Datagram { local, remote, payload } if local.ip() != net.ip() => {
                self.datagram(net, remote, local, payload);
            }
            NetEvent::Accepted { connection, local, .. } => {
                let onward = net.connect(local);
                self.pairs.insert(connection, onward);
                self.pairs.insert(onward, connection);
                self.waiting.insert(onward, vec![]);
            }
            NetEvent::Connected { connection, .. } => match self.waiting.remove(&connection) {
                Some(bytes) => net.write(connection, &bytes),
                None if self.rng.chance(0.7) => {
                    let bytes = self.garbage();
                    net.write(connection, &bytes);
                }
                None => {}
            },
            NetEvent::Data { connection, data } => self.stream(net, connection, data),
            NetEvent::Closed { connection } => {
                self.waiting.remove(&connection);
                if let Some(other) = self.pairs.remove(&connection) {
                    self.pairs.remove(&other);
                    net.close(other);
                }
            }
            _ => {}
        }
        self.arm(net);
    }
}
