//! The world: hosts, the network between them, and a clock that jumps.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};

use super::dns::Zone;
use super::host::{Host, HostId, Net, NetEvent};
use super::invariants::{Fact, Rule, Violation};
use super::ladder;
use super::link::Link;
use super::net::{HostSlot, NetState, Pending};
use super::tcp::StreamNews;
use super::trace::{Record, Trace};
use crate::time::{Duration, Instant};

/// A host of a world, with its type: what [`World::add_host`] gives, and what leads back to it.
pub struct Handle<H> {
    id: HostId,
    of: PhantomData<fn() -> H>,
}

impl<H> Handle<H> {
    /// The host's number.
    pub const fn id(self) -> HostId {
        self.id
    }
}

impl<H> Clone for Handle<H> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<H> Copy for Handle<H> {}
impl<H> fmt::Debug for Handle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
impl<H> From<Handle<H>> for HostId {
    fn from(handle: Handle<H>) -> Self {
        handle.id
    }
}

/// Hosts on a simulated network in virtual time, all from one seed.
///
/// While a test panics, a world that is dropped prints its seed and its ladder to standard
/// error: the seed alone reproduces the run.
pub struct World {
    hosts: Vec<Box<dyn Host>>,
    net: NetState,
    finished: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.net.seed)
            .field("now", &self.net.now)
            .field("hosts", &self.hosts.len())
            .finish_non_exhaustive()
    }
}

/// A run broke a rule: the seed that repeats it, what was broken, and the ladder.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was broken, in order.
    pub violations: Vec<Violation>,
    /// The SIP ladder of the run.
    pub ladder: String,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} breaks what must hold:", self.seed)?;
        for violation in &self.violations {
            writeln!(f, "  {violation}")?;
        }
        f.write_str(&self.ladder)
    }
}

/// As `Display`: `unwrap` in a test shows seed, violations and ladder, readable.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl World {
    /// An empty world. The same seed and the same hosts give the same run, bit for bit.
    pub fn new(seed: u64) -> Self {
        Self { hosts: Vec::new(), net: NetState::new(seed), finished: false }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.net.seed
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.net.now
    }

    /// The address that the next host added without one gets: 10.0.0.1 and so on.
    pub fn next_ip(&self) -> IpAddr {
        let n = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let base = u32::from(Ipv4Addr::new(10, 0, 0, 1));
        IpAddr::V4(Ipv4Addr::from(base.saturating_add(n)))
    }

    /// Adds a host at [`next_ip`](Self::next_ip) and starts it.
    pub fn add_host<H: Host>(&mut self, name: &str, host: H) -> Handle<H> {
        let ip = self.next_ip();
        self.add_host_at(name, ip, host)
    }

    /// Adds a host at an address of its own and starts it.
    pub fn add_host_at<H: Host>(&mut self, name: &str, ip: IpAddr, host: H) -> Handle<H> {
        let id = self.net.add_slot(name, ip);
        self.hosts.push(Box::new(host));
        let mut net = Net { state: &mut self.net, host: id };
        if let Some(host) = self.hosts.last_mut() {
            host.start(&mut net);
        }
        Handle { id, of: PhantomData }
    }

    /// A host's address.
    pub fn ip(&self, host: impl Into<HostId>) -> IpAddr {
        self.net.ip(host.into())
    }

    /// Looks at a host.
    ///
    /// # Panics
    /// If the handle is of another world: a mistake in the test itself.
    #[allow(clippy::expect_used)]
    pub fn host<H: Host>(&self, handle: Handle<H>) -> &H {
        let host: Option<&dyn Any> = self.hosts.get(handle.id.0).map(|host| &**host as &dyn Any);
        host.and_then(<dyn Any>::downcast_ref).expect("the handle is of another world")
    }

    /// Acts on a host, which may use the network meanwhile.
    ///
    /// # Panics
    /// If the handle is of another world: a mistake in the test itself.
    #[allow(clippy::expect_used)]
    pub fn act<H: Host, R>(
        &mut self,
        handle: Handle<H>,
        act: impl FnOnce(&mut H, &mut Net<'_>) -> R,
    ) -> R {
        let mut net = Net { state: &mut self.net, host: handle.id };
        let host: Option<&mut dyn Any> =
            self.hosts.get_mut(handle.id.0).map(|host| &mut **host as &mut dyn Any);
        let host = host.and_then(<dyn Any>::downcast_mut).expect("the handle is of another world");
        act(host, &mut net)
    }

    /// The quality of all paths that have none of their own yet. Hosts that have talked keep
    /// the path that they have.
    pub fn set_default_link(&mut self, link: Link) {
        self.net.default_link = link;
    }

    /// Sets the quality of the path between two hosts, in both directions, from now on.
    pub fn set_link(&mut self, a: impl Into<HostId>, b: impl Into<HostId>, link: Link) {
        let (a, b) = (a.into(), b.into());
        self.net.path(a, b).link = link.clone();
        self.net.path(b, a).link = link;
    }

    /// Sets the quality of one direction only.
    pub fn set_one_way(&mut self, from: impl Into<HostId>, to: impl Into<HostId>, link: Link) {
        self.net.path(from.into(), to.into()).link = link;
    }

    /// Cuts the path between two hosts: datagrams are lost, streams stall (and break after a
    /// minute).
    pub fn cut(&mut self, a: impl Into<HostId>, b: impl Into<HostId>) {
        self.set_cut(a.into(), b.into(), true);
    }

    /// Mends the path between two hosts; streams that did not break go on.
    pub fn mend(&mut self, a: impl Into<HostId>, b: impl Into<HostId>) {
        let (a, b) = (a.into(), b.into());
        self.set_cut(a, b, false);
        self.net.flush_stuck(a, b);
    }

    fn set_cut(&mut self, a: HostId, b: HostId, cut: bool) {
        self.net.path(a, b).cut = cut;
        self.net.path(b, a).cut = cut;
        let text = if cut { "cut" } else { "mended" };
        let text = format!("{text}: {} - {}", self.name(a), self.name(b));
        self.note(&text);
    }

    /// Puts a host on the path between two others: datagrams and new connections from one to the
    /// other reach it instead, with the addresses that they were meant for, and it may pass on
    /// what it likes ([`Net::send_from`]; for a connection, one of its own).
    pub fn divert(
        &mut self,
        a: impl Into<HostId>,
        b: impl Into<HostId>,
        through: impl Into<HostId>,
    ) {
        let (a, b, through) = (a.into(), b.into(), through.into());
        self.net.set_detour(a, b, through);
        self.net.set_detour(b, a, through);
    }

    /// A host is on another network: it has this address from now on. What is on the way to the
    /// old one, and what goes there later, is lost; a phone is told by its owner
    /// ([`Engine::set_local_ip`](crate::engine::Engine::set_local_ip)).
    pub fn move_host(&mut self, host: impl Into<HostId>, ip: IpAddr) {
        let host = host.into();
        self.note(&format!("{} moves to {ip}", self.name(host)));
        if let Some(slot) = self.net.slot(host) {
            slot.ip = ip;
        }
    }

    /// Breaks all TCP connections between two hosts at once, as a firewall that restarts does.
    pub fn break_connections(&mut self, a: impl Into<HostId>, b: impl Into<HostId>) {
        self.net.break_connections(a.into(), b.into());
    }

    /// The DNS that all hosts see.
    pub fn zone(&mut self) -> &mut Zone {
        &mut self.net.zone
    }

    /// How long the DNS takes to answer (5 ms unless set).
    pub fn set_dns_delay(&mut self, delay: Duration) {
        self.net.dns_delay = delay;
    }

    /// Writes a line into the record.
    pub fn note(&mut self, text: &str) {
        let now = self.net.now;
        self.net.trace.push(now, Record::Note { host: None }, text.as_bytes());
    }

    /// What crossed the wire.
    pub fn trace(&self) -> &Trace {
        &self.net.trace
    }

    /// What crossed the wire, to set its limits.
    pub fn trace_mut(&mut self) -> &mut Trace {
        &mut self.net.trace
    }

    /// The digest of all that happened: equal for equal runs.
    pub fn digest(&self) -> String {
        self.net.trace.digest()
    }

    /// Adds a rule of one's own to those of [`invariants`](super::invariants).
    pub fn add_rule(&mut self, rule: impl Rule + 'static) {
        self.net.rules.add(Box::new(rule));
    }

    /// Takes a rule away, by its name: for hosts that cannot keep it.
    pub fn remove_rule(&mut self, name: &str) {
        self.net.rules.remove(name);
    }

    /// Tells the rules a fact.
    pub fn report(&mut self, fact: Fact<'_>) {
        self.net.report(fact);
    }

    /// What was broken so far.
    pub fn violations(&self) -> &[Violation] {
        &self.net.rules.violations
    }

    /// The SIP ladder of the run so far.
    pub fn ladder(&self) -> String {
        ladder::draw(&self.net.trace, self.net.slots(), self.net.seed)
    }

    /// Lets the next thing happen, if it happens by `limit`. The clock jumps to it. False if
    /// nothing happens by then; the clock then stands where it stood.
    pub fn step(&mut self, limit: Instant) -> bool {
        let Some(what) = self.net.next(limit) else { return false };
        self.happen(what);
        true
    }

    /// Runs until an instant. A run that breaks a rule stops there: the clock does not advance.
    pub fn run_until(&mut self, until: Instant) {
        while self.violations().is_empty() && self.step(until) {}
        self.net.now = self.net.now.max(until);
    }

    /// Runs for a while.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.net.now + time);
    }

    /// Runs until a condition holds, at most for a while. True if it holds.
    pub fn run_while(&mut self, limit: Duration, mut go_on: impl FnMut(&Self) -> bool) -> bool {
        let until = self.net.now + limit;
        while go_on(self) {
            if !self.violations().is_empty() || !self.step(until) {
                return !go_on(self);
            }
        }
        true
    }

    /// The run is over: asks every host what is left, and every rule for its verdict.
    ///
    /// # Errors
    /// What was broken, with the seed and the ladder.
    pub fn finish(&mut self) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.finished, true) && self.violations().is_empty() {
            for (index, host) in self.hosts.iter_mut().enumerate() {
                host.finish(&mut Net { state: &mut self.net, host: HostId(index) });
            }
            self.net.rules.finish(self.net.now);
        }
        self.check()
    }

    /// Whether all rules held so far.
    ///
    /// # Errors
    /// What was broken, with the seed and the ladder.
    pub fn check(&self) -> Result<(), Failure> {
        if self.violations().is_empty() {
            return Ok(());
        }
        let violations = self.violations().to_vec();
        Err(Failure { seed: self.net.seed, violations, ladder: self.ladder() })
    }

    fn name(&self, host: HostId) -> &str {
        self.net.slots().get(host.0).map_or("?", |slot| slot.name.as_str())
    }

    fn happen(&mut self, what: Pending) {
        match what {
            Pending::Timer { host, generation } => {
                if self.net.timer_fires(host, generation) {
                    self.tell(host, NetEvent::Timer);
                }
            }
            Pending::Datagram { host, local, remote, mut payload } => {
                // Who stands in between hears what is for others, whatever their ports.
                let owner = self.net.host_at(local.ip());
                let open = |s: &mut HostSlot| owner != Some(host) || s.udp.contains(&local.port());
                let open = owner.is_some() && self.net.slot(host).is_some_and(open);
                if open {
                    self.tell(host, NetEvent::Datagram { local, remote, payload: &mut payload });
                }
            }
            Pending::Resolved { host, query, answer } => {
                self.tell(host, NetEvent::Resolved { query, answer });
            }
            Pending::Syn { connection } => self.tell_news(|net| net.syn(connection)),
            Pending::Connected { connection } => self.tell_news(|net| net.connected(connection)),
            Pending::Refused { connection } => self.tell_news(|net| net.refused(connection)),
            Pending::Data { to, data } => self.tell_news(|net| net.data_arrives(to, data)),
            Pending::Fin { to } => self.tell_news(|net| net.end_arrives(to)),
            Pending::StuckSince { to, since } => self.tell_news(|net| net.stuck(to, since)),
        }
    }

    fn tell(&mut self, id: HostId, event: NetEvent<'_>) {
        let mut net = Net { state: &mut self.net, host: id };
        if let Some(host) = self.hosts.get_mut(id.0) {
            host.handle(&mut net, event);
        }
    }

    fn tell_news(&mut self, news: impl FnOnce(&mut NetState) -> Option<StreamNews>) {
        match news(&mut self.net) {
            None => {}
            Some(StreamNews::Accepted { host, connection, local, remote }) => {
                self.tell(host, NetEvent::Accepted { connection, local, remote });
            }
            Some(StreamNews::Connected { host, connection, local }) => {
                self.tell(host, NetEvent::Connected { connection, local });
            }
            Some(StreamNews::Data { host, connection, data }) => {
                self.tell(host, NetEvent::Data { connection, data: &data });
            }
            Some(StreamNews::Closed { host, connection }) => {
                self.tell(host, NetEvent::Closed { connection });
            }
        }
    }
}

impl Drop for World {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.ladder());
        }
    }
}
