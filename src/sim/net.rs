//! The network between the hosts: addresses, ports, paths, and the queue of what is on the way.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, SocketAddr};

use super::dns::Zone;
use super::host::{ConnectionId, HostId};
use super::invariants::{Fact, Rules};
use super::link::{Link, Path};
use super::seed::split;
use super::tcp::Connection;
use super::trace::Trace;
use crate::sip::dns::DnsAnswer;
use crate::time::{Duration, Instant};
use crate::util::SeededRng;

/// What will happen.
#[derive(Debug)]
pub(crate) enum Pending {
    Timer { host: HostId, generation: u64 },
    Datagram { host: HostId, local: SocketAddr, remote: SocketAddr, payload: Vec<u8> },
    Syn { connection: u64 },
    Connected { connection: u64 },
    Refused { connection: u64 },
    Data { to: ConnectionId, data: Vec<u8> },
    Fin { to: ConnectionId },
    StuckSince { to: ConnectionId, since: Instant },
    Resolved { host: HostId, query: u64, answer: DnsAnswer },
}

/// An entry of the queue; ties are broken by the order of scheduling.
#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) at: Instant,
    order: u64,
    pub(crate) what: Pending,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The network's side of a host.
#[derive(Debug)]
pub(crate) struct HostSlot {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
    pub(crate) udp: BTreeSet<u16>,
    pub(crate) listeners: BTreeSet<u16>,
    next_port: u16,
    timer: Option<Instant>,
    timer_generation: u64,
    rng: SeededRng,
}

/// Everything but the hosts themselves.
#[derive(Debug)]
pub(crate) struct NetState {
    pub(crate) seed: u64,
    pub(crate) now: Instant,
    pub(crate) trace: Trace,
    pub(crate) rules: Rules,
    pub(crate) zone: Zone,
    pub(crate) dns_delay: Duration,
    pub(crate) queries: u64,
    pub(crate) default_link: Link,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) tcp_rng: SeededRng,
    pub(crate) connects: u64,
    slots: Vec<HostSlot>,
    paths: BTreeMap<(HostId, HostId), Path>,
    /// Between two hosts stands a third.
    detours: BTreeMap<(HostId, HostId), HostId>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
}

/// A slot that stands for "no such host", so that lookups need no unwrapping.
const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

impl NetState {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::ZERO,
            trace: Trace::default(),
            rules: Rules::default(),
            zone: Zone::default(),
            dns_delay: Duration::from_millis(5),
            queries: 0,
            default_link: Link::lan(),
            connections: BTreeMap::new(),
            tcp_rng: split(seed, "tcp", 0),
            connects: 0,
            slots: Vec::new(),
            paths: BTreeMap::new(),
            detours: BTreeMap::new(),
            queue: BinaryHeap::new(),
            order: 0,
        }
    }

    pub(crate) fn add_slot(&mut self, name: &str, ip: IpAddr) -> HostId {
        let id = HostId(self.slots.len());
        self.slots.push(HostSlot {
            name: name.to_owned(),
            ip,
            udp: BTreeSet::new(),
            listeners: BTreeSet::new(),
            next_port: 40_000,
            timer: None,
            timer_generation: 0,
            rng: split(self.seed, "host", id.0 as u64),
        });
        id
    }

    pub(crate) fn slots(&self) -> &[HostSlot] {
        &self.slots
    }

    pub(crate) fn slot(&mut self, id: HostId) -> Option<&mut HostSlot> {
        self.slots.get_mut(id.0)
    }

    pub(crate) fn ip(&self, id: HostId) -> IpAddr {
        self.slots.get(id.0).map_or(NOWHERE, |slot| slot.ip)
    }

    #[allow(clippy::expect_used)]
    pub(crate) fn rng(&mut self, id: HostId) -> &mut SeededRng {
        // A HostId is only made by `add_slot`, and hosts are never removed.
        &mut self.slots.get_mut(id.0).expect("the host is of another world").rng
    }

    pub(crate) fn host_at(&self, ip: IpAddr) -> Option<HostId> {
        self.slots.iter().position(|slot| slot.ip == ip).map(HostId)
    }

    /// Whom a host reaches at an address: its owner, or who stands in between.
    pub(crate) fn reached_from(&self, from: HostId, ip: IpAddr) -> Option<HostId> {
        let owner = self.host_at(ip)?;
        Some(self.detours.get(&(from, owner)).copied().unwrap_or(owner))
    }

    pub(crate) fn set_detour(&mut self, from: HostId, to: HostId, through: HostId) {
        self.detours.insert((from, to), through);
    }

    pub(crate) fn bind_udp(&mut self, id: HostId, port: u16) -> Option<SocketAddr> {
        let slot = self.slots.get_mut(id.0)?;
        let port = if port == 0 { slot.free_port() } else { port };
        slot.udp.insert(port).then(|| SocketAddr::new(slot.ip, port))
    }

    pub(crate) fn listen(&mut self, id: HostId, port: u16) -> Option<SocketAddr> {
        let slot = self.slots.get_mut(id.0)?;
        let port = if port == 0 { slot.free_port() } else { port };
        slot.listeners.insert(port).then(|| SocketAddr::new(slot.ip, port))
    }

    pub(crate) fn free_port(&mut self, id: HostId) -> u16 {
        self.slots.get_mut(id.0).map_or(0, HostSlot::free_port)
    }

    pub(crate) fn path(&mut self, from: HostId, to: HostId) -> &mut Path {
        let (seed, link) = (self.seed, &self.default_link);
        self.paths.entry((from, to)).or_insert_with(|| {
            let index = ((from.0 as u64) << 32) | to.0 as u64;
            Path::new(link.clone(), seed, index)
        })
    }

    pub(crate) fn schedule(&mut self, at: Instant, what: Pending) {
        self.order = self.order.wrapping_add(1);
        self.queue.push(Reverse(Scheduled { at, order: self.order, what }));
    }

    pub(crate) fn set_timer(&mut self, id: HostId, at: Option<Instant>) {
        let now = self.now;
        let Some(slot) = self.slots.get_mut(id.0) else { return };
        let at = at.map(|at| at.max(now));
        if slot.timer == at {
            return;
        }
        slot.timer = at;
        slot.timer_generation = slot.timer_generation.wrapping_add(1);
        let generation = slot.timer_generation;
        if let Some(at) = at
            && at < Instant::MAX
        {
            self.schedule(at, Pending::Timer { host: id, generation });
        }
    }

    /// True if this timer is the one that the host last asked for.
    pub(crate) fn timer_fires(&mut self, id: HostId, generation: u64) -> bool {
        let Some(slot) = self.slots.get_mut(id.0) else { return false };
        let current = slot.timer_generation == generation;
        if current {
            slot.timer = None;
        }
        current
    }

    /// The next thing to happen, if it happens by `limit`; the clock jumps there.
    pub(crate) fn next(&mut self, limit: Instant) -> Option<Pending> {
        if self.queue.peek()?.0.at > limit {
            return None;
        }
        let Reverse(next) = self.queue.pop()?;
        self.now = self.now.max(next.at);
        Some(next.what)
    }

    pub(crate) fn report(&mut self, fact: Fact<'_>) {
        self.rules.observe(self.now, &fact);
    }

    pub(crate) fn holdings(&self, id: HostId) -> (usize, usize) {
        let udp = self.slots.get(id.0).map_or(0, |slot| slot.udp.len());
        let tcp = self.connections.values().map(|c| c.open_ends_of(id)).sum();
        (udp, tcp)
    }
}

impl HostSlot {
    fn free_port(&mut self) -> u16 {
        while self.udp.contains(&self.next_port) || self.listeners.contains(&self.next_port) {
            self.next_port = self.next_port.checked_add(1).unwrap_or(40_000);
        }
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(40_000);
        port
    }
}
