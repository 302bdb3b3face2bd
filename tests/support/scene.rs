//! Two phones and somebody on the path between them whose deeds a test chooses, one at a time:
//! each is counted, and all that the phones themselves put on the wire is counted too.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use subrosa::engine::{
    CallId, CallState, Config, EndReason, EngineStats, Event, Padlock, SecurityPolicy,
    SecurityReport,
};
use subrosa::media::session::MediaStats;
use subrosa::sim::wiretap::{Kind, Packet};
use subrosa::sim::{ConnectionId, Fact, Handle, Host, HostId, Link, Net, NetEvent, Rule, World};
use subrosa::time::{Duration, Instant};

use crate::pair::{Pair, Setup};

/// Something on its way.
pub struct Piece<'a> {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: &'a mut Vec<u8>,
    pub kind: Kind,
}

/// What the attacker does about it. All but `Pass` is a deed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Pass,
    Changed,
    /// Passed on and sent once more at once.
    Doubled,
    Drop,
}

type Hand = Box<dyn FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send>;

/// What the attacker does with new connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Door {
    #[default]
    Open,
    /// Accepted and closed at once.
    Reset,
    /// Accepted, and nothing more.
    Silent,
    /// Accepted and answered with no TLS.
    Garbage,
}

/// A host on the path: it reads, keeps and passes on what others say, as its hand sees fit.
pub struct OnPath {
    hand: Hand,
    pub door: Door,
    /// The port that the door is about.
    pub door_port: u16,
    /// Datagrams and pieces of streams heard, in order, as they came.
    pub heard: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub deeds: usize,
    pairs: BTreeMap<ConnectionId, ConnectionId>,
    ends: BTreeMap<ConnectionId, (SocketAddr, SocketAddr)>,
    waiting: BTreeMap<ConnectionId, Vec<u8>>,
    own: BTreeMap<ConnectionId, Vec<u8>>,
    /// What came on connections of its own.
    pub answers: Vec<u8>,
}

impl OnPath {
    pub fn new(hand: impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send + 'static) -> Self {
        Self {
            hand: Box::new(hand),
            door: Door::Open,
            door_port: 5061,
            heard: vec![],
            deeds: 0,
            pairs: BTreeMap::new(),
            ends: BTreeMap::new(),
            waiting: BTreeMap::new(),
            own: BTreeMap::new(),
            answers: vec![],
        }
    }

    /// Changes its mind.
    pub fn turn(
        &mut self,
        hand: impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send + 'static,
    ) {
        self.hand = Box::new(hand);
    }

    /// Says something in anybody's name.
    pub fn say(&mut self, net: &mut Net<'_>, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.deeds += 1;
        net.send_from(from, to, bytes);
    }

    /// Opens a connection of its own and says something there.
    pub fn say_by_tcp(&mut self, net: &mut Net<'_>, to: SocketAddr, bytes: &[u8]) {
        self.deeds += 1;
        let connection = net.connect(to);
        self.own.insert(connection, bytes.to_vec());
    }

    /// The datagrams of a kind that came from this address.
    pub fn datagrams(&self, kind: Kind, from: SocketAddr) -> Vec<(SocketAddr, Vec<u8>)> {
        let wanted = |(f, _, b): &&(SocketAddr, SocketAddr, Vec<u8>)| {
            f.ip() == from.ip() && Packet::new(b).kind() == kind
        };
        self.heard.iter().filter(wanted).map(|(_, to, b)| (*to, b.clone())).collect()
    }

    fn treat(&mut self, net: &mut Net<'_>, piece: &mut Piece<'_>) -> Fate {
        self.heard.push((piece.from, piece.to, piece.bytes.clone()));
        let fate = (self.hand)(net, piece);
        self.deeds += usize::from(fate != Fate::Pass);
        fate
    }

    fn datagram(&mut self, net: &mut Net<'_>, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let (kind, mut bytes) = (Packet::new(bytes).kind(), bytes.to_vec());
        let fate = self.treat(net, &mut Piece { from, to, bytes: &mut bytes, kind });
        let copies = match fate {
            Fate::Pass | Fate::Changed => 1,
            Fate::Doubled => 2,
            Fate::Drop => 0,
        };
        for _ in 0..copies {
            net.send_from(from, to, &bytes);
        }
    }

    fn accepted(
        &mut self,
        net: &mut Net<'_>,
        connection: ConnectionId,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let door = if local.port() == self.door_port { self.door } else { Door::Open };
        self.deeds += usize::from(door != Door::Open);
        match door {
            Door::Open => {
                let onward = net.connect(local);
                self.pairs.extend([(connection, onward), (onward, connection)]);
                self.ends.extend([(connection, (remote, local)), (onward, (local, remote))]);
                self.waiting.insert(onward, vec![]);
            }
            Door::Reset => net.close(connection),
            Door::Silent => {}
            Door::Garbage => net.write(connection, b"SIP/2.0 400 No TLS here\r\n\r\n"),
        }
    }

    fn stream(&mut self, net: &mut Net<'_>, connection: ConnectionId, data: &[u8]) {
        let Some(other) = self.pairs.get(&connection).copied() else {
            return self.answers.extend_from_slice(data);
        };
        let (from, to) = self.ends[&connection];
        let (kind, mut bytes) = (Kind::of_stream(data), data.to_vec());
        if self.treat(net, &mut Piece { from, to, bytes: &mut bytes, kind }) == Fate::Drop {
            return;
        }
        match self.waiting.get_mut(&other) {
            Some(waiting) => waiting.extend(bytes),
            None => net.write(other, &bytes),
        }
    }
}

impl Host for OnPath {
    fn start(&mut self, net: &mut Net<'_>) {
        net.report(Fact::Hostile { host: net.host() });
        for port in [4000, 5060] {
            net.bind_udp(port).expect("a free port");
        }
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        match event {
            NetEvent::Datagram { local, remote, payload } if local.ip() != net.ip() => {
                self.datagram(net, remote, local, payload);
            }
            NetEvent::Datagram { payload, .. } => self.answers.extend_from_slice(payload),
            NetEvent::Accepted { connection, local, remote } => {
                self.accepted(net, connection, local, remote);
            }
            NetEvent::Connected { connection, .. } => {
                let words = self.waiting.remove(&connection);
                if let Some(bytes) = words.or_else(|| self.own.remove(&connection)) {
                    net.write(connection, &bytes);
                }
            }
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
    }
}

/// What a host itself put on the wire, by kind.
pub type Sent = Arc<Mutex<BTreeMap<(HostId, Kind), usize>>>;

struct Wire(Sent);

impl Rule for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        let (host, kind) = match fact {
            Fact::Datagram { host, payload, .. } => (*host, Packet::new(payload).kind()),
            Fact::Segment { host, payload, .. } => (*host, Kind::of_stream(payload)),
            _ => return Ok(()),
        };
        *self.0.lock().unwrap().entry((host, kind)).or_default() += 1;
        Ok(())
    }
}

/// Counts from now on what the hosts of a world say.
pub fn wire(world: &mut World) -> Sent {
    let sent = Sent::default();
    world.add_rule(Wire(Arc::clone(&sent)));
    sent
}

/// How many pieces of these kinds a host sent.
pub fn sent(wire: &Sent, host: impl Into<HostId>, kinds: &[Kind]) -> usize {
    let (host, wire) = (host.into(), wire.lock().unwrap());
    kinds.iter().filter_map(|kind| wire.get(&(host, *kind))).sum()
}

/// Alice calls Bob, and Mallory is on the path.
pub struct Scene {
    pub pair: Pair,
    pub setup: Setup,
    pub mallory: Handle<OnPath>,
    pub sent: Sent,
}

impl Scene {
    pub fn new(
        setup: Setup,
        hand: impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send + 'static,
    ) -> Self {
        Self::configured(setup, |_| {}, hand)
    }

    /// The same with phones that are configured otherwise.
    pub fn configured(
        setup: Setup,
        change: impl Fn(&mut Config),
        hand: impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send + 'static,
    ) -> Self {
        let mut pair = Pair::with(setup, change);
        // In order, so that what comes before something is there before it.
        pair.world.set_default_link(Link::perfect());
        let mallory = pair.world.add_host("mallory", OnPath::new(hand));
        pair.world.divert(pair.phones[0], pair.phones[1], mallory);
        let sent = wire(&mut pair.world);
        for (phone, policy) in pair.phones.into_iter().zip(setup.policies) {
            if policy == SecurityPolicy::Required {
                pair.world.require_security(phone);
            }
        }
        Self { pair, setup, mallory, sent }
    }

    /// A call that lasts three seconds so far.
    pub fn call(&mut self) -> CallId {
        self.pair.call(self.setup)
    }

    pub fn run(&mut self, ms: u64) {
        self.pair.world.run_for(Duration::from_millis(ms));
    }

    pub fn hang_up(&mut self) {
        self.pair.world.command(self.pair.phones[0], |engine, now| {
            for id in engine.call_ids() {
                let _ = engine.call(id).map(|mut call| call.hang_up(now));
            }
        });
        self.run(2_000);
    }

    pub fn deeds(&self) -> usize {
        self.pair.world.host(self.mallory).deeds
    }

    pub fn ip(&self, side: usize) -> std::net::IpAddr {
        self.pair.world.ip(self.pair.phones[side])
    }

    pub fn call_ids(&self, side: usize) -> Vec<CallId> {
        self.pair.world.host(self.pair.phones[side]).engine().call_ids()
    }

    pub fn report(&mut self, side: usize) -> SecurityReport {
        self.pair.report(side).expect("there is a call").1
    }

    pub fn state(&mut self, side: usize) -> CallState {
        self.pair.report(side).expect("there is a call").0
    }

    pub fn padlock(&mut self, side: usize) -> Padlock {
        self.report(side).padlock()
    }

    /// What is written on the screen of the call.
    pub fn screen(&mut self, side: usize) -> String {
        self.report(side).to_string()
    }

    pub fn media(&mut self, side: usize) -> MediaStats {
        self.pair.world.command(self.pair.phones[side], |engine, _| {
            let id = engine.call_ids().last().copied().expect("there is a call");
            engine.call(id).unwrap().media_stats().expect("the call has media")
        })
    }

    pub fn stats(&self, side: usize) -> EngineStats {
        self.pair.world.host(self.pair.phones[side]).engine().stats()
    }

    pub fn events(&self, side: usize) -> Vec<Event> {
        let events = self.pair.world.host(self.pair.phones[side]).events();
        events.iter().map(|(_, event)| event.clone()).collect()
    }

    /// Why the last call ended.
    pub fn ended(&mut self, side: usize) -> Option<EndReason> {
        let id = self.call_ids(side).last().copied().expect("there is a call");
        let phone = self.pair.phones[side];
        self.pair.world.command(phone, |engine, _| engine.call(id).unwrap().end_reason())
    }

    /// Packets of voice in the clear that the two phones themselves sent.
    pub fn clear_voice(&self) -> usize {
        let clear = |phone| sent(&self.sent, phone, &[Kind::Rtp, Kind::Rtcp]);
        self.pair.phones.into_iter().map(clear).sum()
    }

    /// The loudest that a side heard in its last call.
    pub fn loudest(&self, side: usize) -> u16 {
        let host = self.pair.world.host(self.pair.phones[side]);
        let heard = self.call_ids(side).last().map_or(&[][..], |call| host.heard(*call));
        heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
    }

    /// Where the media of a side is received, as the other side's packets show.
    pub fn media_address(&self, side: usize) -> SocketAddr {
        let heard = &self.pair.world.host(self.mallory).heard;
        let ip = self.ip(side);
        let media = |b: &[u8]| matches!(Packet::new(b).kind(), Kind::Srtp | Kind::Rtp);
        heard.iter().rev().find(|(_, to, b)| to.ip() == ip && media(b)).expect("media flows").1
    }

    /// The attacker says something in anybody's name.
    pub fn say(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.pair.world.act(self.mallory, |host, net| host.say(net, from, to, bytes));
    }

    /// All rules of the simulation held: no key used twice, nothing in the clear where that is
    /// forbidden, no padlock that lies.
    pub fn check(&self) {
        self.pair.world.check().unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// A call that goes on undisturbed with its padlock shut, without a word in the clear.
pub fn assert_unharmed(scene: &mut Scene) {
    scene.check();
    for side in [0, 1] {
        assert_eq!(scene.state(side), CallState::Established);
        assert_eq!(scene.padlock(side), Padlock::EncryptedToProvider);
        let screen = scene.screen(side);
        assert_eq!(screen, "Encrypted to your provider: nobody on the way there can listen.");
        assert_eq!(scene.ended(side), None);
    }
    assert_eq!(scene.clear_voice(), 0);
    assert!(scene.pair.bob_hears(), "{}", scene.pair.world.ladder());
    // The tone has a peak of 8000; what attackers add is louder.
    assert!(scene.loudest(1) < 16_000, "{}", scene.loudest(1));
}
