//! A SIP proxy for one domain, by TLS: phones register, and what one of two says goes to the
//! other over the connection that it was heard on last.
#![allow(dead_code, unreachable_pub)]

#[path = "sip_end.rs"]
mod sip_end;

use std::collections::BTreeMap;

use sip_end::SipEnd;
use subrosa::sim::{Host, Net, NetEvent};
use subrosa::sip::{FlowId, Transport};
use subrosa::wire::sip::{HeaderName, Message, Method};

/// A user's connection, and the Contact that it registered.
struct Binding {
    flow: FlowId,
    contact: String,
}

pub struct Relay {
    end: SipEnd,
    domain: &'static str,
    users: BTreeMap<String, Binding>,
    /// Who sent the requests that wait for their responses, by our branch.
    waiting: BTreeMap<String, String>,
    /// Requests passed on, by method.
    pub passed: BTreeMap<String, usize>,
}

impl Relay {
    pub fn new(domain: &'static str, chain: &[u8], key: &[u8]) -> Self {
        Self {
            end: SipEnd::new(chain, key),
            domain,
            users: BTreeMap::new(),
            waiting: BTreeMap::new(),
            passed: BTreeMap::new(),
        }
    }

    fn request(&mut self, net: &Net<'_>, flow: FlowId, message: &Message) {
        // The sender of a request is whom its From names.
        let from = message.header(HeaderName::From).unwrap();
        let user = from.split("sip:").nth(1).unwrap().split('@').next().unwrap().to_string();
        if *message.method() == Method::Register {
            let contact = message.contacts().next().unwrap().uri().as_str().to_string();
            let ok = message.response(200, "OK").to_tag("relay");
            let ok = ok.header(HeaderName::Contact, format!("<{contact}>;expires=3600"));
            self.users.insert(user, Binding { flow, contact });
            self.end.send(net, flow, &ok.finish().unwrap());
            return;
        }
        if let Some(binding) = self.users.get_mut(&user) {
            binding.flow = flow;
        }
        let Some((_, other)) = self.users.iter().find(|(name, _)| **name != user) else { return };
        let branch = format!("z9hG4bKrelay{}", self.waiting.len());
        let (domain, contact) = (self.domain, &other.contact);
        let text = String::from_utf8(message.as_bytes().to_vec()).unwrap();
        let (first, rest) = text.split_once("\r\n").unwrap();
        // To the address of record, or in a dialog to what is its own target.
        let words: Vec<_> = first.split(' ').collect();
        let aor = words[1].ends_with(&format!("@{domain}"));
        let target = if aor { contact } else { words[1] };
        let mut passed = format!("{} {target} SIP/2.0\r\n", words[0]);
        passed += &format!("Via: SIP/2.0/TLS {domain};branch={branch}\r\n");
        passed += &format!("Record-Route: <sip:{domain};transport=tls;lr>\r\n");
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n").filter(|line| !line.starts_with("Route:")) {
            passed += &format!("{line}\r\n");
        }
        passed += &format!("\r\n{body}");
        let onward = other.flow;
        self.waiting.insert(branch, user);
        *self.passed.entry(words[0].to_string()).or_default() += 1;
        let message = Message::parse(passed.as_bytes()).unwrap();
        self.end.send(net, onward, &message);
    }

    fn response(&mut self, net: &Net<'_>, message: &Message) {
        let text = String::from_utf8(message.as_bytes().to_vec()).unwrap();
        let via = text.find("Via: ").unwrap();
        let end = via + text[via..].find("\r\n").unwrap() + 2;
        let branch = text[via..end].split("branch=").nth(1).unwrap();
        let branch = branch.split([';', '\r']).next().unwrap();
        // To where the sender is now: it may have moved meanwhile.
        let user = self.waiting.get(branch).and_then(|user| self.users.get(user));
        let Some(binding) = user else { return };
        let message = Message::parse(format!("{}{}", &text[..via], &text[end..]).as_bytes());
        self.end.send(net, binding.flow, &message.unwrap());
    }
}

impl Host for Relay {
    fn start(&mut self, net: &mut Net<'_>) {
        self.end.serve(net, Transport::Tls);
    }

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        self.end.handle(net, event);
        while let Some((flow, message)) = self.end.poll(net) {
            match message.is_request() {
                true => self.request(net, flow, &message),
                false => self.response(net, &message),
            }
        }
        self.end.flush(net);
    }
}
