//! A server with a good certificate for `bob.test` that is not honest: by TLS and UDP it answers
//! requests as its script says, and keeps all that it hears, media too.
#![allow(dead_code, unreachable_pub)]

#[allow(clippy::duplicate_mod)] // a test may have both kinds of server
#[path = "sip_end.rs"]
mod sip_end;

use std::net::SocketAddr;

use subrosa::crypto::tls::TlsClientSettings;
use subrosa::sim::{Host, Net, NetEvent};
use subrosa::sip::{FlowId, Transport};
use subrosa::wire::sip::{HeaderName, Message, MessageBuilder};

use sip_end::SipEnd;

type Script = Box<dyn FnMut(&Message) -> Vec<MessageBuilder> + Send>;

pub struct Hop {
    sip: SipEnd,
    script: Script,
    /// Messages heard, with the flow that they came by.
    pub seen: Vec<(FlowId, Message)>,
    /// Datagrams that are not SIP, and the port that they came to.
    pub media: Vec<(u16, Vec<u8>)>,
    /// Connections accepted for TLS.
    pub accepted: usize,
    /// Connections accepted for TCP without TLS.
    pub accepted_clear: usize,
}

impl Hop {
    pub fn new(
        chain: &[u8],
        key: &[u8],
        script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        Self::of(SipEnd::new(chain, key), script)
    }

    /// One that opens connections, too.
    pub fn dialling(
        client: TlsClientSettings,
        chain: &[u8],
        key: &[u8],
        script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        Self::of(SipEnd::dialling(client, chain, key), script)
    }

    fn of(
        sip: SipEnd,
        script: impl FnMut(&Message) -> Vec<MessageBuilder> + Send + 'static,
    ) -> Self {
        Self {
            sip,
            script: Box::new(script),
            seen: vec![],
            media: vec![],
            accepted: 0,
            accepted_clear: 0,
        }
    }

    /// The requests of a method that it heard.
    pub fn heard(&self, method: &str) -> Vec<Message> {
        let wanted = |m: &&Message| m.is_request() && m.method().as_str() == method;
        self.seen.iter().map(|(_, m)| m).filter(wanted).cloned().collect()
    }

    /// Says something on the flow of the first message.
    pub fn say(&mut self, net: &mut Net<'_>, message: &Message) {
        let flow = self.seen.first().expect("somebody spoke").0;
        assert!(self.sip.send(net, flow, message));
        self.sip.flush(net);
    }

    /// Opens a TLS connection for a domain, and says something there once it is up.
    pub fn dial(&mut self, net: &mut Net<'_>, to: SocketAddr, domain: &str, words: Message) {
        self.sip.dial(net, to, domain, words);
    }

    /// Closes the connection that it has opened.
    pub fn hang_up(&mut self, net: &mut Net<'_>) {
        self.sip.hang_up(net);
    }
}

impl Host for Hop {
    fn start(&mut self, net: &mut Net<'_>) {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            self.sip.serve(net, transport);
        }
        for port in 4000..4010 {
            net.bind_udp(port).unwrap();
        }
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        if let NetEvent::Datagram { local, payload, .. } = &event
            && local.port() != 5060
        {
            self.media.push((local.port(), payload.to_vec()));
        }
        self.sip.handle(net, event);
        (self.accepted, self.accepted_clear) = (self.sip.accepted, self.sip.accepted_clear);
        while let Some((flow, message)) = self.sip.poll(net) {
            self.seen.push((flow, message.clone()));
            for answer in (self.script)(&message) {
                let answer = answer.finish().expect("a script writes proper messages");
                self.sip.send(net, flow, &answer);
            }
        }
        self.sip.flush(net);
    }
}

/// A description from the hop's address with these lines.
pub fn description(ip: std::net::IpAddr, port: u16, profile: &str, lines: &str) -> String {
    format!(
        "v=0\r\no=h 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} {profile} 0\r\na=rtpmap:0 PCMU/8000\r\n{lines}"
    )
}

/// A final or provisional answer with a description.
pub fn answer(request: &Message, status: u16, tag: &str, body: &str) -> MessageBuilder {
    request
        .response(status, "Scripted")
        .to_tag(tag)
        .header(HeaderName::Contact, format!("<sip:{tag}@bob.test;transport=tls>"))
        .body("application/sdp", body.as_bytes())
}

/// Where something may be reached.
pub fn at(ip: std::net::IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}
