//! An engine on its own that takes one message over TCP, and a call with it if one comes in.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::{
    AccountConfig, CallOptions, Config, Engine, Event, Input, Output, SecurityPolicy,
};
use subrosa::sip::{ListenerId, StreamId};
use subrosa::time::{Instant, UnixTime};
use subrosa::util::SeededRng;
use subrosa::wire::sip::Uri;

pub struct Victim {
    engine: Engine,
    listener: Option<ListenerId>,
    stream: Option<StreamId>,
    buf: Vec<u8>,
}

const NOW: Instant = Instant::ZERO;

impl Victim {
    /// A phone that somebody has connected to.
    pub fn new() -> Self {
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
        let mut victim = Self { engine, listener: None, stream: None, buf: vec![0; 70_000] };
        victim.drain();
        let listener = victim.listener.expect("it listens");
        let (remote, local) = (([192, 0, 2, 1], 40_000).into(), ([127, 0, 0, 1], 5060).into());
        victim.stream = victim.engine.accept_stream(NOW, listener, remote, local).ok();
        victim.drain();
        victim
    }

    /// The message comes in, in pieces as TCP brings them, and all that follows from it is done:
    /// a call that it makes is accepted, with whatever its description says.
    pub fn take(&mut self, message: &[u8]) {
        let stream = self.stream.expect("a connection");
        for data in message.chunks(16_384) {
            let _ = self.engine.handle_input(NOW, Input::StreamData { stream, data });
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut buf = core::mem::take(&mut self.buf);
        loop {
            match self.engine.poll_output(&mut buf) {
                Output::Timeout(_) => break,
                Output::Listen { listener, local } => {
                    self.listener = Some(listener);
                    let _ = self.engine.handle_input(NOW, Input::Listening { listener, local });
                }
                Output::BindUdp { socket, mut local } => {
                    local.set_port(local.port().max(4_000));
                    let _ = self.engine.handle_input(NOW, Input::UdpBound { socket, local });
                }
                Output::Event(Event::IncomingCall { call, .. }) => {
                    if let Some(mut call) = self.engine.call(call) {
                        let _ = call.accept(NOW, CallOptions::default());
                    }
                }
                _ => {}
            }
        }
        self.buf = buf;
    }
}
