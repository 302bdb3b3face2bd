//! The caps on memory and work: garbage and half-open traffic leave the heap as it was, and one
//! hostile message costs bounded work. Bytes and allocations are counted, never time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unsafe_code, missing_docs, clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;

use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::engine::{CallId, Config, Engine, Event, Input, Output};
use subrosa::sip::{ListenerId, SocketId, StreamId};
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::{Rng, RngExt, SeededRng};

thread_local! {
    /// Bytes held now, the most that were held, bytes and pieces ever taken: by this thread.
    static HEAP: Cell<[i64; 4]> = const { Cell::new([0; 4]) };
}

struct Counting;

fn count(taken: i64, given: i64) {
    let _ = HEAP.try_with(|heap| {
        let [held, most, bytes, pieces] = heap.get();
        let held = held + taken - given;
        heap.set([held, most.max(held), bytes + taken, pieces + i64::from(taken > 0)]);
    });
}

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64, 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64, layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> i64 {
    HEAP.with(Cell::get)[0]
}

struct Phone {
    engine: Engine,
    now: Instant,
    socket: Option<SocketId>,
    tcp: Option<ListenerId>,
    tls: Option<ListenerId>,
    open: Vec<StreamId>,
    /// Calls that will be refused, and when.
    calls: VecDeque<(Instant, CallId)>,
    deadline: Option<Instant>,
    sent: u64,
    buffer: Vec<u8>,
}

const HERE: [u8; 4] = [192, 0, 2, 50];

impl Phone {
    fn new() -> Self {
        let mut config =
            Config::new(Box::new(SeededRng::new(1)), UnixTime::from_secs(1_800_000_000));
        config.local_ip = HERE.into();
        config.udp_port = Some(5060);
        config.listen_tcp = Some((HERE, 5060).into());
        config.listen_tls = Some((HERE, 5061).into());
        let chain = include_bytes!("data/sim/alice.pem");
        let key = include_bytes!("data/sim/alice.key.pem");
        config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
        config.trust = TrustAnchors::from_pem(include_bytes!("data/sim/ca.pem")).unwrap();
        let mut phone = Self {
            engine: Engine::new(config, Instant::ZERO).unwrap(),
            now: Instant::ZERO,
            socket: None,
            tcp: None,
            tls: None,
            open: Vec::with_capacity(1024),
            calls: VecDeque::with_capacity(256),
            deadline: None,
            sent: 0,
            buffer: vec![0; 70_000],
        };
        phone.drain();
        phone
    }

    fn drain(&mut self) {
        let now = self.now;
        loop {
            let input = match self.engine.poll_output(&mut self.buffer) {
                Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
                Output::BindUdp { socket, local } => {
                    self.socket.get_or_insert(socket);
                    Input::UdpBound { socket, local }
                }
                Output::Listen { listener, local } => {
                    let of = if local.port() == 5061 { &mut self.tls } else { &mut self.tcp };
                    *of = Some(listener);
                    Input::Listening { listener, local }
                }
                Output::CloseStream { stream } => {
                    self.open.retain(|open| *open != stream);
                    continue;
                }
                Output::Datagram { .. } | Output::StreamData { .. } => {
                    self.sent += 1;
                    continue;
                }
                Output::Connect { stream, .. } => Input::StreamClosed { stream },
                // An application that is busy: it refuses calls after a while, and keeps none.
                Output::Event(Event::IncomingCall { call, .. }) => {
                    self.calls.push_back((now + Duration::from_secs(2), call));
                    continue;
                }
                Output::Event(Event::CallEnded { call, .. }) => {
                    self.calls.retain(|(_, id)| *id != call);
                    self.engine.forget_call(call).unwrap();
                    continue;
                }
                Output::Event(_) | Output::CloseUdp { .. } => continue,
                Output::BufferTooSmall { needed } => {
                    self.buffer.resize(needed, 0);
                    continue;
                }
                other => panic!("{other:?}"),
            };
            self.engine.handle_input(now, input).unwrap();
        }
    }

    /// Lets time pass, with all that is due.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let refusal = self.calls.front().map(|(at, _)| *at);
            let next = [self.deadline, refusal].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            if let Some((_, call)) = self.calls.pop_front_if(|(due, _)| *due <= at) {
                let _ = self.engine.call(call).map(|mut call| call.reject(at, 486));
            } else {
                self.engine.handle_input(self.now, Input::Timeout).unwrap();
            }
            self.drain();
        }
        self.now = until;
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &mut [u8]) {
        let socket = self.socket.unwrap();
        let input = Input::Datagram { socket, remote: from, payload: bytes };
        self.engine.handle_input(self.now, input).unwrap();
        self.drain();
    }

    fn accept(&mut self, secure: bool, from: SocketAddr) -> Option<StreamId> {
        let listener = if secure { self.tls } else { self.tcp }.unwrap();
        let local = (HERE, if secure { 5061 } else { 5060 }).into();
        let stream = self.engine.accept_stream(self.now, listener, from, local).ok();
        self.open.extend(stream);
        self.drain();
        stream
    }

    fn data(&mut self, stream: StreamId, data: &[u8]) {
        if self.open.contains(&stream) {
            self.engine.handle_input(self.now, Input::StreamData { stream, data }).unwrap();
            self.drain();
        }
    }

    /// The connections break.
    fn hang_up(&mut self) {
        for stream in std::mem::take(&mut self.open) {
            let _ = self.engine.handle_input(self.now, Input::StreamClosed { stream });
            self.drain();
        }
        self.open = Vec::with_capacity(1024);
    }
}

/// A source of the flood's.
fn source(rng: &mut SeededRng) -> SocketAddr {
    ([198, 51, 100, rng.below(250) as u8], 1024 + rng.below(60_000) as u16).into()
}

/// One piece of a flood; every kind of message that makes an engine remember something.
fn piece(rng: &mut SeededRng, n: u64) -> Vec<u8> {
    let pad = "x".repeat(rng.below(3000) as usize);
    let request = |method: &str, uri: &str, more: &str, body: &str| {
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{n};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@y.test>;tag={n}\r\nTo: <sip:alice@192.0.2.50>\r\n\
             Call-ID: {n}\r\nCSeq: 1 {method}\r\nContact: <sip:x@198.51.100.1>\r\nX-Pad: {pad}\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let sdp = "v=0\r\no=x 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
               m=audio 4000 RTP/AVP 0\r\n";
    let kind = "Content-Type: application/sdp\r\n";
    let alice = "sip:alice@192.0.2.50";
    match rng.below(8) {
        0 => request("INVITE", alice, kind, sdp),
        1 => request("INVITE", alice, "", ""),
        2 => request("OPTIONS", alice, "", ""),
        3 => request("MESSAGE", alice, kind, "hello"),
        4 => request("INVITE", alice, "Require: everything\r\n", ""),
        5 => {
            let mut bytes = vec![0; 1 + rng.below(3000) as usize];
            rng.fill(&mut bytes);
            bytes
        }
        6 => {
            // Truncated in the middle.
            let mut bytes = request("INVITE", alice, kind, sdp);
            bytes.truncate(rng.below(bytes.len() as u32) as usize);
            bytes
        }
        _ => format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.50\r\nX: {pad}\r\n\r\n").into(),
    }
}

/// So many bytes of garbage and half-open traffic, by every way in.
fn flood(phone: &mut Phone, bytes: usize, seed: u64) {
    let rng = &mut SeededRng::new(seed);
    let mut total = 0;
    let mut n = seed << 32;
    while total < bytes {
        n += 1;
        let mut piece = piece(rng, n);
        total += piece.len();
        let from = source(rng);
        match rng.below(4) {
            0 | 1 => phone.datagram(from, &mut piece),
            way => {
                // A connection that says something, or half of it, and nothing more.
                if let Some(stream) = phone.accept(way == 3, from) {
                    phone.data(stream, &piece);
                } else if let Some(stream) = phone.open.get(rng.below(64) as usize).copied() {
                    phone.data(stream, &piece);
                }
            }
        }
        if n.is_multiple_of(8) {
            phone.pass(Duration::from_millis(1));
        }
        if n.is_multiple_of(512) && rng.below(2) == 0 {
            phone.hang_up();
        }
    }
    // Whoever is behind it goes away.
    phone.hang_up();
}

#[test]
fn a_flood_of_64_mib_leaves_the_heap_as_it_was_within_32_seconds() {
    let mut phone = Phone::new();
    // An engine that has lived: it has refused a call and answered a question, by each way in.
    let rng = &mut SeededRng::new(9);
    for n in 0..64 {
        let mut piece = piece(rng, n);
        phone.datagram(source(rng), &mut piece);
        if let Some(stream) = phone.accept(n % 2 == 0, source(rng)) {
            phone.data(stream, &piece);
        }
        phone.hang_up();
    }
    phone.pass(Duration::from_secs(60));
    let idle = held();
    HEAP.with(|heap| heap.set([idle, idle, 0, 0]));
    flood(&mut phone, 64 << 20, 1);
    let most = HEAP.with(Cell::get)[1];
    let before = phone.engine.load();
    phone.pass(Duration::from_secs(32));
    let after = held();
    println!("idle {idle}, most {most}, after {after}; {before:?}\n{:?}", phone.engine.load());
    assert!(phone.sent > 1000, "the flood was answered");
    assert!(most - idle < 64 << 20, "at most 64 MiB more: {most} after {idle}");
    assert!(after as f64 <= idle as f64 * 1.05, "{idle} bytes before, {after} after");
}

/// What one message costs: bytes and pieces taken from the heap, and bytes held at most.
fn cost(message: &[u8], stream: bool) -> [i64; 3] {
    let mut phone = Phone::new();
    let from: SocketAddr = ([198, 51, 100, 7], 40_000).into();
    let mut message = message.to_vec();
    let stream = stream.then(|| phone.accept(false, from).unwrap());
    let start = held();
    HEAP.with(|heap| heap.set([start, start, 0, 0]));
    match stream {
        Some(stream) => phone.data(stream, &message),
        None => phone.datagram(from, &mut message),
    }
    let [_, most, bytes, pieces] = HEAP.with(Cell::get);
    [bytes, pieces, most - start]
}

/// Messages that are as expensive as their length allows, each made of `n` like parts.
fn hostile(shape: usize, n: usize) -> Option<(&'static str, Vec<u8>)> {
    let many = |part: &str| part.repeat(n);
    let numbered = |part: &dyn Fn(usize) -> String| (0..n).map(part).collect::<String>();
    let sdp = |lines: &str| {
        format!(
            "v=0\r\no=x 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{lines}"
        )
    };
    let (name, fields, kind, body) = match shape {
        0 => ("header fields", numbered(&|i| format!("X-{i}: y\r\n")), "", String::new()),
        1 => ("commas", format!("Require: {}\r\n", many("a,")), "", String::new()),
        2 => ("quotes", format!("Subject: {}\r\n", many("\"a\" ")), "", String::new()),
        3 => (
            "quotes in a name",
            format!("Contact: {}<sip:a@b>\r\n", many("\"\\\"\" ")),
            "",
            String::new(),
        ),
        4 => ("parameters", format!("Contact: <sip:a@b>{}\r\n", many(";a=b")), "", String::new()),
        5 => (
            "routes",
            format!("Record-Route: {}<sip:z@z;lr>\r\n", many("<sip:a@b;lr>,")),
            "",
            String::new(),
        ),
        6 => ("vias", many("Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\n"), "", String::new()),
        7 => ("folded lines", format!("Subject: a{}\r\n", many("\r\n b")), "", String::new()),
        8 => ("nested comments", format!("User-Agent: {}\r\n", many("(")), "", String::new()),
        9 => (
            "media lines",
            String::new(),
            "application/sdp",
            sdp(&many("m=audio 4000 RTP/AVP 0\r\n")),
        ),
        10 => (
            "attributes",
            String::new(),
            "application/sdp",
            sdp(&format!("m=audio 4000 RTP/AVP 0\r\n{}", many("a=x:y\r\n"))),
        ),
        11 => (
            "keys",
            String::new(),
            "application/sdp",
            sdp(&format!(
                "m=audio 4000 RTP/SAVP 0\r\n{}",
                numbered(&|i| format!(
                    "a=crypto:{i} AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
                ))
            )),
        ),
        12 => (
            "payload types",
            String::new(),
            "application/sdp",
            sdp(&format!("m=audio 4000 RTP/AVP{}\r\n", many(" 0"))),
        ),
        13 => (
            "payload maps",
            String::new(),
            "application/sdp",
            sdp(&format!(
                "m=audio 4000 RTP/AVP 0\r\n{}",
                numbered(&|i| format!("a=rtpmap:{} X/8000\r\n", i % 128))
            )),
        ),
        14 => (
            "multipart parts",
            String::new(),
            "multipart/mixed;boundary=b",
            format!("{}--b--\r\n", many("--b\r\n\r\nx\r\n")),
        ),
        15 => (
            "nested multipart",
            String::new(),
            "multipart/mixed;boundary=b0",
            numbered(&|i| {
                format!("--b{i}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n", i + 1)
            }),
        ),
        16 => ("blank lines", String::new(), "text/plain", many("\r\n")),
        17 => {
            ("escapes in a URI", format!("Contact: <sip:{}@b>\r\n", many("%41")), "", String::new())
        }
        18 => (
            "challenges",
            format!("Authorization: Digest {}\r\n", many("a=\"b\",")),
            "",
            String::new(),
        ),
        19 => (
            "candidates",
            String::new(),
            "application/sdp",
            sdp(&format!(
                "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n{}",
                many("a=fingerprint:sha-256 AA:BB\r\n")
            )),
        ),
        _ => return None,
    };
    let mut text = String::new();
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    write!(
        text,
        "INVITE sip:alice@192.0.2.50 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKi\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@y.test>;tag=1\r\nTo: <sip:alice@192.0.2.50>\r\n\
         Call-ID: one\r\nCSeq: 1 INVITE\r\nContact: <sip:x@198.51.100.1>\r\n{fields}{kind}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    Some((name, text.into_bytes()))
}

/// As many parts as fit in so many bytes.
fn filled(shape: usize, limit: usize) -> Option<(&'static str, Vec<u8>)> {
    let one = hostile(shape, 1)?.1.len();
    let step = (hostile(shape, 101)?.1.len() - one) / 100;
    let mut n = (limit - one) / step.max(1);
    while n > 0 && hostile(shape, n)?.1.len() > limit {
        n -= n.div_ceil(50);
    }
    hostile(shape, n)
}

#[test]
fn one_hostile_message_costs_bounded_work() {
    for stream in [false, true] {
        for shape in 0.. {
            let Some((name, full)) = filled(shape, 65_000) else { break };
            let (_, half) = filled(shape, 32_500).unwrap();
            let ([bytes, pieces, most], [half_bytes, ..]) =
                (cost(&full, stream), cost(&half, stream));
            println!("{name} (stream {stream}): {bytes} bytes, {pieces} pieces, {most} held");
            // A fixed part for a call that begins, and a few copies of the message.
            let limit = 256 * 1024 + 48 * full.len() as i64;
            assert!(bytes <= limit, "{name}: {bytes} bytes for {}", full.len());
            assert!(pieces <= 2000 + full.len() as i64 / 2, "{name}: {pieces} pieces");
            assert!(most <= limit / 2, "{name}: {most} bytes held at once");
            // Twice the length is not four times the work.
            let grown = bytes - 3 * half_bytes;
            assert!(grown < 128 * 1024, "{name}: {half_bytes}, then {bytes} bytes");
        }
    }
}
