//! Calls between two engines in memory over UDP: INVITE, 180, 200, ACK, BYE, 200, with a session
//! description each way. `items/s` are whole calls per second on one core, both ends together.
//! Before that it prints what a call costs: heap per established call of each end, taken from 200
//! that are up at once, and allocations per call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

use divan::counter::ItemsCount;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, CallState, Config, Engine, Event, Input, Output,
    SecurityPolicy,
};
use subrosa::sip::SocketId;
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::SeededRng;
use subrosa::wire::sip::Uri;

/// Calls at once for the heap per call.
const AT_ONCE: usize = 200;
/// Calls one after the other before anything is measured: as many ended ones are kept.
const WARM_UP: usize = 100;

#[derive(Clone, Copy, Default)]
struct Heap {
    bytes: i64,
    allocations: u64,
}

thread_local! {
    static HEAP: Cell<Heap> = const { Cell::new(Heap { bytes: 0, allocations: 0 }) };
}

fn count(bytes: i64, allocations: u64) {
    HEAP.with(|heap| {
        let h = heap.get();
        heap.set(Heap { bytes: h.bytes + bytes, allocations: h.allocations + allocations });
    });
}

struct Counting;

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64, 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as i64), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64, 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Host {
    engine: Engine,
    sockets: Vec<(SocketId, SocketAddr)>,
    incoming: Option<CallId>,
    deadline: Option<Instant>,
    /// What its engine holds and has allocated.
    heap: Heap,
}

impl Host {
    fn new(seed: u64, port: u16) -> Self {
        let before = HEAP.get();
        let unix = UnixTime::from_secs(1_800_000_000);
        let mut config = Config::new(Box::new(SeededRng::new(seed)), unix);
        config.local_ip = [127, 0, 0, 1].into();
        config.udp_port = Some(port);
        config.trust = TrustAnchors::none();
        config.max_calls = AT_ONCE;
        let mut engine = Engine::new(config, Instant::ZERO).unwrap();
        engine.set_domain_policy(Instant::ZERO, "127.0.0.1", SecurityPolicy::Off).unwrap();
        let sockets = Vec::with_capacity(4 * AT_ONCE);
        let mut host =
            Self { engine, sockets, incoming: None, deadline: None, heap: Heap::default() };
        host.charge(before);
        host
    }

    /// What was allocated since `before` is this engine's.
    fn charge(&mut self, before: Heap) {
        let now = HEAP.get();
        self.heap.bytes += now.bytes - before.bytes;
        self.heap.allocations += now.allocations - before.allocations;
    }

    fn run<T>(&mut self, f: impl FnOnce(&mut Engine) -> T) -> T {
        let before = HEAP.get();
        let result = f(&mut self.engine);
        self.charge(before);
        result
    }
}

/// Two engines, one wire without delay.
struct Pair {
    now: Instant,
    hosts: [Host; 2],
    alice: AccountId,
    to: Uri,
}

impl Pair {
    fn new() -> Self {
        let mut hosts = [Host::new(1, 5070), Host::new(2, 5080)];
        let mut account = AccountConfig::new("sip:alice@127.0.0.1".parse().unwrap());
        account.register = false;
        let alice = hosts[0].run(|e| e.add_account(Instant::ZERO, account)).unwrap();
        let to = "sip:bob@127.0.0.1:5080;transport=udp".parse().unwrap();
        let mut pair = Self { now: Instant::ZERO, hosts, alice, to };
        pair.settle();
        pair
    }

    fn settle(&mut self) {
        while self.drain(0) | self.drain(1) {}
    }

    /// Carries out what one end wants, datagrams straight into the other; true if there was any.
    fn drain(&mut self, side: usize) -> bool {
        let mut buf = [0; 2048];
        let now = self.now;
        let [left, right] = &mut self.hosts;
        let (me, peer) = if side == 0 { (left, right) } else { (right, left) };
        let mut any = false;
        loop {
            let before = HEAP.get();
            let output = me.engine.poll_output(&mut buf);
            let after = HEAP.get();
            me.heap.bytes += after.bytes - before.bytes;
            me.heap.allocations += after.allocations - before.allocations;
            match output {
                Output::Timeout(at) => {
                    me.deadline = at;
                    return any;
                }
                Output::BindUdp { socket, local } => {
                    me.sockets.push((socket, local));
                    me.run(|e| e.handle_input(now, Input::UdpBound { socket, local })).unwrap();
                }
                Output::CloseUdp { socket } => me.sockets.retain(|(s, _)| *s != socket),
                Output::Datagram { socket, remote, payload } => {
                    any = true;
                    let from = me.sockets.iter().find(|(s, _)| *s == socket).unwrap().1;
                    let to = peer.sockets.iter().find(|(_, a)| *a == remote);
                    // The last report of a call that the other end has already forgotten.
                    let Some((to, _)) = to.copied() else { continue };
                    let len = payload.len();
                    let payload = &mut buf[..len];
                    let input = Input::Datagram { socket: to, remote: from, payload };
                    peer.run(|e| e.handle_input(now, input)).unwrap();
                }
                Output::Event(event) => {
                    if let Event::IncomingCall { call, .. } = event {
                        me.incoming = Some(call);
                    }
                    // It was the engine's.
                    let before = HEAP.get();
                    drop(event);
                    me.charge(before);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// INVITE, 180, 200, ACK.
    fn call(&mut self) -> [CallId; 2] {
        let (now, alice, to) = (self.now, self.alice, self.to.clone());
        let options = CallOptions::default();
        let placed = self.hosts[0].run(|e| e.place_call(now, alice, &to, options)).unwrap();
        self.settle();
        let answered = self.hosts[1].incoming.take().unwrap();
        self.hosts[1].run(|e| e.call(answered).unwrap().ring(now)).unwrap();
        self.settle();
        let options = CallOptions::default();
        self.hosts[1].run(|e| e.call(answered).unwrap().accept(now, options)).unwrap();
        self.settle();
        [placed, answered]
    }

    /// BYE, 200; the ended call is forgotten.
    fn end(&mut self, calls: [CallId; 2]) {
        let now = self.now;
        self.hosts[0].run(|e| e.call(calls[0]).unwrap().hang_up(now)).unwrap();
        self.settle();
        for (host, id) in self.hosts.iter_mut().zip(calls) {
            host.run(|e| e.forget_call(id)).unwrap();
        }
        self.settle();
    }

    /// Time passes, without audio.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(500);
            let now = self.now;
            for host in &mut self.hosts {
                if host.deadline.is_some_and(|d| d <= now) {
                    host.run(|e| e.handle_input(now, Input::Timeout)).unwrap();
                }
            }
            self.settle();
        }
    }

    fn one_call(&mut self) {
        let calls = self.call();
        self.end(calls);
        // The transactions of ended calls stay for 32 s: let that be a steady number of them.
        self.pass(Duration::from_millis(500));
    }

    fn heap(&self) -> [Heap; 2] {
        [self.hosts[0].heap, self.hosts[1].heap]
    }
}

/// Prints what a call costs.
fn costs() {
    let mut pair = Pair::new();
    (0..WARM_UP).for_each(|_| pair.one_call());
    let before = pair.heap();
    (0..WARM_UP).for_each(|_| pair.one_call());
    let after = pair.heap();
    let allocations = |i: usize| (after[i].allocations - before[i].allocations) / WARM_UP as u64;
    println!("allocations per call: caller {}, called {}", allocations(0), allocations(1));

    let mut pair = Pair::new();
    pair.pass(Duration::from_secs(40));
    let idle = pair.heap();
    let mut calls = Vec::with_capacity(AT_ONCE);
    (0..AT_ONCE).for_each(|_| calls.push(pair.call()));
    let fresh = pair.heap();
    pair.pass(Duration::from_secs(40));
    let settled = pair.heap();
    for (end, name) in ["caller", "called"].iter().enumerate() {
        for ids in &calls {
            let state = pair.hosts[end].engine.call(ids[end]).unwrap().state();
            assert_eq!(state, CallState::Established);
        }
        let each = |heap: [Heap; 2]| (heap[end].bytes - idle[end].bytes) / AT_ONCE as i64;
        println!(
            "heap per established call: {name} {} bytes at once, {} once the INVITE's transactions are over",
            each(fresh),
            each(settled)
        );
    }
    calls.drain(..).for_each(|ids| pair.end(ids));
    pair.pass(Duration::from_secs(40));
    let left = pair.heap();
    for (end, name) in ["caller", "called"].iter().enumerate() {
        println!(
            "heap after all calls: {name} {} bytes more than before",
            left[end].bytes - idle[end].bytes
        );
    }
}

fn main() {
    costs();
    divan::main();
}

#[divan::bench]
fn invite_to_bye(bencher: divan::Bencher<'_, '_>) {
    let mut pair = Pair::new();
    (0..WARM_UP).for_each(|_| pair.one_call());
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| pair.one_call());
}
