//! An engine on its own that takes messages over TCP, and a call with one if it comes in.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use core::net::SocketAddr;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, CallId, CallOptions, Config, Engine, Event, Input, Output, SecurityPolicy,
};
use subrosa::sip::{ListenerId, StreamId};
use subrosa::time::{Instant, UnixTime};
use subrosa::util::SeededRng;
use subrosa::wire::sip::Uri;

pub struct Victim {
    pub engine: Engine,
    pub now: Instant,
    /// Connections that it closed.
    pub closed: Vec<StreamId>,
    /// The last call that came in.
    pub call: Option<CallId>,
    /// What it writes to its streams, if anybody keeps it.
    pub said: Option<String>,
    listener: Option<ListenerId>,
    stream: Option<StreamId>,
    buf: Vec<u8>,
}

const NOW: Instant = Instant::ZERO;

impl Victim {
    /// A phone that somebody has connected to.
    pub fn new() -> Self {
        let mut victim = Self::alone();
        victim.stream = victim.accept(([192, 0, 2, 1], 40_000).into());
        victim
    }

    /// A phone that listens.
    pub fn alone() -> Self {
        let mut config =
            Config::new(Box::new(SeededRng::new(1)), UnixTime::from_secs(1_800_000_000));
        config.local_ip = [127, 0, 0, 1].into();
        config.listen_tcp = Some(([127, 0, 0, 1], 5060).into());
        config.trust = TrustAnchors::none();
        let mut engine = Engine::new(config, NOW).expect("a good configuration");
        engine.set_domain_policy(NOW, "127.0.0.1", SecurityPolicy::Off).expect("a domain");
        let mut account = AccountConfig::new(Uri::parse("sip:bob@127.0.0.1").expect("a URI"));
        account.register = false;
        engine.add_account(NOW, account).expect("an account");
        let mut victim = Self {
            engine,
            now: NOW,
            closed: Vec::new(),
            call: None,
            said: None,
            listener: None,
            stream: None,
            buf: vec![0; 70_000],
        };
        victim.drain();
        victim
    }

    /// Somebody connects.
    pub fn accept(&mut self, remote: SocketAddr) -> Option<StreamId> {
        let listener = self.listener.expect("it listens");
        let local = ([127, 0, 0, 1], 5060).into();
        let stream = self.engine.accept_stream(self.now, listener, remote, local).ok();
        self.drain();
        stream
    }

    /// The message comes in, in pieces as TCP brings them, and all that follows from it is done:
    /// a call that it makes is accepted, with whatever its description says.
    pub fn take(&mut self, message: &[u8]) {
        let stream = self.stream.expect("a connection");
        self.take_from(stream, message);
    }

    /// The same from this connection.
    pub fn take_from(&mut self, stream: StreamId, message: &[u8]) {
        for data in message.chunks(16_384) {
            let _ = self.engine.handle_input(self.now, Input::StreamData { stream, data });
            self.drain();
        }
    }

    /// Does what the engine asks for.
    pub fn drain(&mut self) {
        let (now, mut buf) = (self.now, core::mem::take(&mut self.buf));
        loop {
            match self.engine.poll_output(&mut buf) {
                Output::Timeout(_) => break,
                Output::Listen { listener, local } => {
                    self.listener = Some(listener);
                    let _ = self.engine.handle_input(now, Input::Listening { listener, local });
                }
                Output::BindUdp { socket, mut local } => {
                    local.set_port(local.port().max(4_000));
                    let _ = self.engine.handle_input(now, Input::UdpBound { socket, local });
                }
                Output::StreamData { data, .. } => {
                    if let Some(said) = &mut self.said {
                        said.push_str(&String::from_utf8_lossy(data));
                    }
                }
                Output::CloseStream { stream } => self.closed.push(stream),
                Output::Event(Event::IncomingCall { call, .. }) => {
                    self.call = Some(call);
                    if let Some(mut call) = self.engine.call(call) {
                        let _ = call.accept(now, CallOptions::default());
                    }
                }
                _ => {}
            }
        }
        self.buf = buf;
    }
}
