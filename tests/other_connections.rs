//! Requests of an encrypted call that come over another connection than the call's: who may speak
//! for the peer there. In each case the sender knows all names of the dialog.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::net::SocketAddr;

use subrosa::crypto::tls::{TlsClientSettings, TlsIdentity, TlsStream, TlsVersions, TrustAnchors};
use subrosa::engine::{CallOptions, CallState, SecurityPolicy};
use subrosa::sim::{ConnectionId, EPOCH, Handle, Host, Net, NetEvent};
use subrosa::time::Instant;
use subrosa::util::SeededRng;
use subrosa::wire::sip::{HeaderName, Message};
use tls_peer::{Lab, description, response};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/sim/", $name, ".pem"))
    };
}

/// Who opens the other connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    /// Somebody on plain TCP.
    InTheClear,
    /// Somebody under TLS without a certificate.
    Nobody,
    /// Somebody with a good certificate for another domain.
    AnotherDomain,
    /// The peer of the call, with the certificate that it has shown.
    ThePeer,
}

/// Opens one connection to the phone and says something there.
struct Caller {
    tls: Option<TlsStream>,
    rng: SeededRng,
    connection: Option<ConnectionId>,
    heard: Vec<u8>,
}

impl Caller {
    fn new(who: Who, now: Instant) -> Self {
        let mut rng = SeededRng::new(4);
        let identity = match who {
            Who::AnotherDomain => Some((&pem!("alice")[..], &pem!("alice.key")[..])),
            Who::ThePeer => Some((&pem!("bob")[..], &pem!("bob.key")[..])),
            Who::InTheClear | Who::Nobody => None,
        };
        let identity = identity.map(|(chain, key)| TlsIdentity::from_pem(chain, key).unwrap());
        let anchors = TrustAnchors::from_pem(pem!("ca")).unwrap();
        let settings = TlsClientSettings::new(anchors, identity, TlsVersions::default()).unwrap();
        let unix = EPOCH + now.duration_since(Instant::ZERO);
        let tls = (who != Who::InTheClear)
            .then(|| TlsStream::client(&settings, "alice.test", unix, &mut rng).unwrap());
        Self { tls, rng, connection: None, heard: vec![] }
    }

    fn open(&mut self, net: &mut Net<'_>, to: SocketAddr) {
        self.connection = Some(net.connect(to));
    }

    fn say(&mut self, net: &mut Net<'_>, text: &[u8]) {
        match &mut self.tls {
            Some(tls) => tls.write_plain(text).unwrap(),
            None => net.write(self.connection.unwrap(), text),
        }
        self.flush(net);
    }

    fn flush(&mut self, net: &mut Net<'_>) {
        let mut out = vec![];
        if let Some(tls) = &mut self.tls {
            tls.write_tls_to(&mut out);
            net.write(self.connection.unwrap(), &out);
        }
    }

    /// The statuses of the final answers to requests of this method.
    fn answers(&self, method: &str) -> Vec<u16> {
        let text = String::from_utf8_lossy(&self.heard).into_owned();
        let one = |part: &str| {
            let wanted = part.lines().any(|l| l.starts_with("CSeq:") && l.ends_with(method));
            wanted.then(|| part[..3].parse::<u16>().unwrap()).filter(|status| *status >= 200)
        };
        let mut statuses: Vec<_> = text.split("SIP/2.0 ").skip(1).filter_map(one).collect();
        statuses.dedup();
        statuses
    }
}

impl Host for Caller {
    fn start(&mut self, _: &mut Net<'_>) {}

    fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
        match event {
            NetEvent::Connected { .. } => self.flush(net),
            NetEvent::Data { data, .. } => {
                let unix = EPOCH + net.now().duration_since(Instant::ZERO);
                match &mut self.tls {
                    Some(tls) => {
                        tls.read_tls(unix, data, &mut self.rng).unwrap();
                        tls.read_plain(&mut self.heard);
                    }
                    None => self.heard.extend_from_slice(data),
                }
                self.flush(net);
            }
            _ => {}
        }
    }
}

/// The phone in an encrypted call, listening by TCP and TLS, and the other connection, open.
fn in_a_call(who: Who) -> (Lab, Handle<Caller>) {
    let mut lab = Lab::under(
        SecurityPolicy::Preferred,
        |config| {
            let identity = TlsIdentity::from_pem(pem!("alice"), pem!("alice.key"));
            config.identity = Some(identity.unwrap());
            config.listen_tcp = Some((config.local_ip, 5060).into());
            config.listen_tls = Some((config.local_ip, 5061).into());
        },
        |m| match m.is_request() && m.method().as_str() == "INVITE" {
            true => vec![response(m, 200, "bob", &keyed(m))],
            false => vec![],
        },
    );
    lab.run(1_000);
    assert_eq!(state(&mut lab), CallState::Established);
    let caller = connect(&mut lab, who);
    (lab, caller)
}

fn connect(lab: &mut Lab, who: Who) -> Handle<Caller> {
    let caller = lab.world.add_host("caller", Caller::new(who, lab.world.now()));
    let port = if who == Who::InTheClear { 5060 } else { 5061 };
    let to = (lab.world.ip(lab.alice), port).into();
    lab.world.act(caller, |host, net| host.open(net, to));
    lab.run(500);
    caller
}

/// An answer with a key of its own to the first key of the offer.
fn keyed(invite: &Message) -> String {
    let offer = String::from_utf8_lossy(invite.body()).into_owned();
    let line = offer.lines().find(|l| l.starts_with("a=crypto:")).unwrap();
    let mut words = line.trim_start_matches("a=crypto:").split(' ');
    let (tag, suite, key) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let theirs = key.trim_start_matches("inline:").split('|').next().unwrap();
    let own = theirs[..20].chars().rev().collect::<String>() + &theirs[20..];
    let profile = if offer.contains("RTP/SAVP ") { "RTP/SAVP" } else { "RTP/AVP" };
    description(4000, profile, &[format!("{tag} {suite} inline:{own}")])
}

fn state(lab: &mut Lab) -> CallState {
    let id = lab.call;
    lab.world.command(lab.alice, |engine, _| engine.call(id).unwrap().state())
}

fn foreign(lab: &Lab) -> u64 {
    lab.world.host(lab.alice).engine().stats().foreign_requests
}

/// A request in the dialog of the call, as the peer would write it.
fn request(lab: &mut Lab, caller: Handle<Caller>, method: &str, number: u32) {
    let invite = lab.peer().requests("INVITE")[0].clone();
    let of = |name| invite.header(name).unwrap().to_string();
    let contact = of(HeaderName::Contact);
    let target = contact.trim_start_matches('<').split('>').next().unwrap().to_string();
    let body = if method == "BYE" { String::new() } else { keyed(&invite) };
    let body = body.replace("o=p 1 4000", &format!("o=p 1 {}", 4000 + number));
    let transport = if lab.world.host(caller).tls.is_some() { "TLS" } else { "TCP" };
    let text = format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{transport} bob.test;branch=z9hG4bKo{number}\r\n\
         Max-Forwards: 70\r\nFrom: {};tag=bob\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:bob@bob.test;transport=tls>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        of(HeaderName::To),
        of(HeaderName::From),
        invite.call_id(),
        body.len(),
    );
    lab.world.act(caller, |host, net| host.say(net, text.as_bytes()));
    lab.run(500);
}

#[test]
fn nobody_else_speaks_for_the_peer_of_an_encrypted_call() {
    for who in [Who::InTheClear, Who::Nobody, Who::AnotherDomain] {
        let (mut lab, caller) = in_a_call(who);
        for (number, method) in [(500, "INVITE"), (501, "UPDATE"), (502, "BYE")] {
            request(&mut lab, caller, method, number);
            let answers = lab.world.host(caller).answers(method);
            assert_eq!(answers, [403], "{who:?} {method}\n{}", lab.world.ladder());
        }
        assert_eq!(foreign(&lab), 3, "{who:?}");
        assert_eq!(state(&mut lab), CallState::Established, "{who:?}");
        lab.world.check().unwrap();
    }
}

#[test]
fn the_peer_may_come_back_over_a_new_connection_on_which_it_proves_itself() {
    let (mut lab, caller) = in_a_call(Who::ThePeer);
    request(&mut lab, caller, "UPDATE", 500);
    request(&mut lab, caller, "BYE", 501);
    let answers = ["UPDATE", "BYE"].map(|method| lab.world.host(caller).answers(method));
    assert_eq!(answers, [[200], [200]], "{}", lab.world.ladder());
    assert_eq!((foreign(&lab), state(&mut lab)), (0, CallState::Ended));
    lab.world.check().unwrap();
}

/// A phone without a certificate calls, hangs up by another connection, and somebody tries that in
/// the clear before.
#[test]
fn a_caller_who_proved_nothing_may_come_back_but_not_in_the_clear() {
    let (mut lab, caller) = in_a_call(Who::Nobody);
    let say = |lab: &mut Lab, by: Handle<Caller>, method: &str, number: u32, to_tag: &str| {
        let via = if lab.world.host(by).tls.is_some() { "TLS" } else { "TCP" };
        let body =
            if method == "INVITE" { description(4004, "RTP/AVP", &[]) } else { String::new() };
        let text = format!(
            "{method} sip:alice@bob.test SIP/2.0\r\nVia: SIP/2.0/{via} c.test;branch=z9hG4bKt{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:carol@c.test>;tag=c\r\nTo: <sip:alice@bob.test>{to_tag}\r\n\
             Call-ID: theirs\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:carol@c.test;transport=tls>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        lab.world.act(by, |host, net| host.say(net, text.as_bytes()));
        lab.run(500);
    };
    say(&mut lab, caller, "INVITE", 1, "");
    let id = lab.world.command(lab.alice, |engine, now| {
        let id = *engine.call_ids().last().unwrap();
        engine.call(id).unwrap().accept(now, CallOptions::default()).unwrap();
        id
    });
    assert_ne!(id, lab.call);
    lab.run(500);
    let heard = String::from_utf8_lossy(&lab.world.host(caller).heard).into_owned();
    let tag = heard.rsplit_once("To: ").unwrap().1.lines().next().unwrap();
    let tag = format!(";{}", tag.split_once(';').unwrap().1);
    say(&mut lab, caller, "ACK", 1, &tag);
    let state =
        |lab: &mut Lab| lab.world.command(lab.alice, |engine, _| engine.call(id).unwrap().state());
    assert_eq!(state(&mut lab), CallState::Established);
    for (number, who, status) in [(2, Who::InTheClear, 403), (3, Who::Nobody, 200)] {
        let other = connect(&mut lab, who);
        say(&mut lab, other, "BYE", number, &tag);
        assert_eq!(lab.world.host(other).answers("BYE"), [status], "{}", lab.world.ladder());
        let expected = if status == 200 { CallState::Ended } else { CallState::Established };
        assert_eq!((foreign(&lab), state(&mut lab)), (1, expected));
    }
}
