//! A domain is called: the phone's resolver asks a server on loopback, and the call goes where the
//! records lead (RFC 3263).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/loopback.rs"]
mod loopback;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread;

use domain::base::iana::{Class, Rcode};
use domain::base::{CharStr, Message, MessageBuilder, Name};
use domain::rdata::{A, Naptr, Srv};
use loopback::{ended, wait};
use subrosa::driver::{CallAudio, DnsConfig, Phone};
use subrosa::engine::{
    AccountConfig, CallOptions, EndReason, Event, FailureReason, SecurityPolicy,
};
use subrosa::sip::Transport;

enum Record {
    /// Order, service, where next.
    Naptr(u16, &'static str, &'static str),
    /// Priority, port, host.
    Srv(u16, u16, &'static str),
    A([u8; 4]),
}

type Zone = Vec<(&'static str, Record)>;

fn name(text: &str) -> Name<Vec<u8>> {
    Name::from_str(text).unwrap()
}

/// The answer of a server that knows `zone` and nothing else; and what was asked.
fn answer(zone: &Zone, query: &[u8]) -> (Vec<u8>, String) {
    let query = Message::from_octets(query).unwrap();
    let question = query.sole_question().unwrap();
    let (owner, kind) = (question.qname().to_string(), question.qtype().to_string());
    let known = zone.iter().any(|(of, _)| *of == owner);
    let rcode = if known { Rcode::NOERROR } else { Rcode::NXDOMAIN };
    let mut message = MessageBuilder::new_vec().start_answer(&query, rcode).unwrap();
    for (_, record) in zone.iter().filter(|(of, _)| *of == owner) {
        let head = (name(&owner), Class::IN, 60);
        let text = |s: &str| CharStr::<Vec<u8>>::from_str(s).unwrap();
        match (record, kind.as_str()) {
            (Record::Naptr(order, service, next), "NAPTR") => {
                let data = Naptr::new(*order, 1, text("s"), text(service), text(""), name(next));
                message.push((head.0, head.1, head.2, data)).unwrap();
            }
            (Record::Srv(priority, port, host), "SRV") => {
                let data = Srv::new(*priority, 1, *port, name(host));
                message.push((head.0, head.1, head.2, data)).unwrap();
            }
            (Record::A(ip), "A") => {
                message.push((head.0, head.1, head.2, A::new((*ip).into()))).unwrap();
            }
            _ => {}
        }
    }
    (message.finish(), format!("{kind} {owner}"))
}

/// A server of `zone`; its NAPTR answers fit TCP alone. Returns where it is and what it is asked.
fn serve(zone: Zone) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        let mut buf = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            let (mut message, question) = answer(&zone, &buf[..n]);
            let truncated = question.starts_with("NAPTR");
            log.lock().unwrap().push(question);
            if truncated {
                let query = Message::from_octets(&buf[..n]).unwrap();
                let empty = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR);
                let mut empty = empty.unwrap();
                empty.header_mut().set_tc(true);
                message = empty.finish();
            }
            let _ = socket.send_to(&message, from);
            if truncated {
                let (mut stream, _) = listener.accept().unwrap();
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut query).unwrap();
                let (message, question) = answer(&zone, &query);
                log.lock().unwrap().push(format!("{question} over TCP"));
                stream.write_all(&(message.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&message).unwrap();
            }
        }
    });
    (address, asked)
}

fn phone(dns: DnsConfig) -> (Phone, subrosa::engine::AccountId) {
    let mut config = Phone::config();
    config.local_ip = [127, 0, 0, 1].into();
    let phone = Phone::builder(config).dns(dns).start().unwrap();
    let mut account = AccountConfig::new("sip:alice@alice.example".parse().unwrap());
    account.register = false;
    account.policy = SecurityPolicy::Off;
    let account = phone.add_account(account).unwrap();
    (phone, account)
}

fn dial(phone: &Phone, account: subrosa::engine::AccountId, to: &str, policy: SecurityPolicy) {
    let mut options = CallOptions::default();
    options.policy = policy;
    let audio = CallAudio::new(options.sample_rate);
    phone.place_call(account, to.parse().unwrap(), options, audio).unwrap();
}

#[test]
fn a_domain_leads_over_naptr_and_srv_to_the_phone_and_past_what_is_dead() {
    let (bob, _) = phone(DnsConfig::new(vec![]));
    let port = wait(&bob, |event| match event {
        Event::Listening { transport: Transport::Udp, local } => Some(local.port()),
        _ => None,
    });
    // Nobody listens there.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (server, asked) = serve(vec![
        ("office.example", Record::Naptr(10, "SIP+D2T", "tcp.office.example")),
        ("office.example", Record::Naptr(20, "SIP+D2U", "udp.office.example")),
        ("tcp.office.example", Record::Srv(1, dead, "phone.office.example")),
        ("udp.office.example", Record::Srv(2, 9, "unused.office.example")),
        ("udp.office.example", Record::Srv(1, port, "phone.office.example")),
        ("phone.office.example", Record::A([127, 0, 0, 1])),
    ]);
    let (alice, account) = phone(DnsConfig::new(vec![server]));
    dial(&alice, account, "sip:bob@office.example", SecurityPolicy::Off);
    let call = wait(&bob, |event| match event {
        Event::IncomingCall { call, .. } => Some(*call),
        _ => None,
    });
    bob.reject(call, 486).unwrap();
    let reason = ended(&alice);
    assert!(matches!(reason, EndReason::Refused { status: 486, .. }), "{reason:?}");
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked[..2], ["NAPTR office.example", "NAPTR office.example over TCP"]);
    for question in ["SRV tcp.office.example", "SRV udp.office.example", "A phone.office.example"] {
        assert!(asked.iter().any(|a| a == question), "{question} is not among {asked:?}");
    }
}

#[test]
fn a_zone_cannot_lead_below_the_policy_and_an_unknown_name_is_told() {
    let (server, asked) = serve(vec![
        ("office.example", Record::Naptr(10, "SIP+D2U", "udp.office.example")),
        ("udp.office.example", Record::Srv(1, 5060, "phone.office.example")),
        ("phone.office.example", Record::A([127, 0, 0, 1])),
    ]);
    let (alice, account) = phone(DnsConfig::new(vec![server]));
    // The forger of a zone would offer UDP alone.
    dial(&alice, account, "sip:bob@office.example", SecurityPolicy::Required);
    let reason = ended(&alice);
    assert!(matches!(reason, EndReason::Failed(_)), "{reason:?}");
    let before = asked.lock().unwrap().clone();
    assert!(!before.iter().any(|a| a == "SRV udp.office.example"), "{before:?}");

    dial(&alice, account, "sip:bob@nowhere.example", SecurityPolicy::Off);
    assert_eq!(ended(&alice), EndReason::Failed(FailureReason::NameNotFound));
}
