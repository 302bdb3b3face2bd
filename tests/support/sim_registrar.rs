//! A registrar on the simulated network, by UDP, TCP and TLS, made of the crate's own flows.
#![allow(dead_code, unreachable_pub)]

#[allow(clippy::duplicate_mod)] // a test may have both kinds of server
#[path = "sip_end.rs"]
mod sip_end;

use subrosa::sim::{Host, Net, NetEvent};
use subrosa::sip::{FlowId, Transport};
use subrosa::wire::sip::{HeaderName, Message, Method};

use sip_end::SipEnd;

pub struct Registrar {
    sip: SipEnd,
    serves: Vec<Transport>,
    /// Contact URIs that are registered.
    pub bindings: Vec<String>,
    /// Requests heard, with their transport.
    pub seen: Vec<(Transport, Message)>,
    /// Calls are answered, with plain media that nobody sends.
    pub answers: bool,
}

const SDP: &str = "v=0\r\no=r 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

impl Registrar {
    pub fn new(serves: &[Transport], chain: &[u8], key: &[u8]) -> Self {
        let (sip, serves) = (SipEnd::new(chain, key), serves.to_vec());
        Self { sip, serves, bindings: vec![], seen: vec![], answers: false }
    }

    /// Serves one more transport from now on.
    pub fn serve(&mut self, net: &mut Net<'_>, transport: Transport) {
        self.sip.serve(net, transport);
    }

    fn request(&mut self, net: &mut Net<'_>, flow: FlowId, message: Message) {
        self.seen.push((self.sip.transport(flow), message.clone()));
        let ok = message.response(200, "OK").to_tag("registrar");
        let response = match message.method() {
            Method::Ack => return,
            Method::Register => {
                for contact in message.contacts() {
                    let uri = contact.uri().as_str().to_string();
                    self.bindings.retain(|b| *b != uri);
                    if contact.params().get("expires") != Some("0") {
                        self.bindings.push(uri);
                    }
                }
                let expires = message.header(HeaderName::Expires).unwrap_or("60").to_string();
                let mut ok = ok;
                for binding in &self.bindings {
                    ok = ok.header(HeaderName::Contact, format!("<{binding}>;expires={expires}"));
                }
                ok
            }
            Method::Invite if self.answers => ok
                .header(HeaderName::Contact, "<sip:answers@bob.test>")
                .body("application/sdp", SDP.as_bytes()),
            _ => message.response(480, "Nobody").to_tag("registrar"),
        };
        self.sip.send(net, flow, &response.finish().unwrap());
    }
}

impl Host for Registrar {
    fn start(&mut self, net: &mut Net<'_>) {
        for transport in self.serves.clone() {
            self.serve(net, transport);
        }
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        self.sip.handle(net, event);
        while let Some((flow, message)) = self.sip.poll(net) {
            if message.is_request() {
                self.request(net, flow, message);
            }
        }
        self.sip.flush(net);
    }
}
