//! A phone in a call with everything open, for whoever sends it messages that were made to break it.
#![allow(dead_code, unreachable_pub)]

use super::lab::{Lab, SDP, in_dialog, ok, sdp, their_invite};
use super::peer::Turn;
use super::tls_pair::{authority, dns};
use subrosa::crypto::tls::{ClientCertificates, TlsIdentity, TlsServerSettings, TlsVersions};
use subrosa::engine::{CallId, CallState, Config, EngineStats, Padlock, SecurityPolicy};
use subrosa::wire::sip::{Message, Method};

use SecurityPolicy::{Off, Preferred, Required};

/// A phone in a call, with everything open: UDP, TCP and TLS.
pub fn in_a_call(policy: SecurityPolicy) -> (Lab, CallId) {
    let mut lab = lab(policy, |turn, m| match m.method() {
        Method::Invite if m.is_request() => turn.send(ok(m, "peer", &answer_to(m, 1, "peer"))),
        Method::Bye if m.is_request() => turn.reply(m, 200),
        _ => {}
    });
    let id = lab.call();
    lab.run(500);
    assert_eq!(lab.state(id), CallState::Established, "{policy} {}", lab.world.ladder());
    if policy != Off {
        let report = lab.world.command(lab.alice, |engine, _| engine.call(id).unwrap().security());
        assert_eq!(report.padlock(), Padlock::EncryptedToProvider, "{policy}");
    }
    (lab, id)
}

/// A phone with everything open, and a peer that speaks TLS unless there is no policy.
pub fn lab(
    policy: SecurityPolicy,
    script: impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static,
) -> Lab {
    let ca = authority("Lab CA");
    let (versions, nobody) = (TlsVersions::default(), ClientCertificates::NotRequested);
    let identity = ca.issue(vec![dns("peer.test")], false);
    let settings = TlsServerSettings::new(identity, nobody, versions).unwrap();
    let open = |config: &mut Config| {
        let chain = include_bytes!("../data/sim/alice.pem");
        let key = include_bytes!("../data/sim/alice.key.pem");
        config.trust = ca.anchors();
        config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
        config.listen_tcp = Some((config.local_ip, 5060).into());
        config.listen_tls = Some((config.local_ip, 5061).into());
    };
    let mut lab = Lab::under(policy, (policy != Off).then_some(settings), open, script);
    if policy == Required {
        lab.world.require_security(lab.alice);
    }
    lab
}

/// The peer's answer to an offer, with a key if one was offered: each fork has its own.
pub fn answer_to(invite: &Message, version: u32, tag: &str) -> String {
    let offer = String::from_utf8_lossy(invite.body()).into_owned();
    let Some(line) = offer.lines().find(|l| l.starts_with("a=crypto:")) else {
        return sdp(version, "");
    };
    let (head, key) = line.split_once("inline:").unwrap();
    let own: String = key[..20].chars().rev().chain(key[20..].chars()).collect();
    let own = format!("{tag:A<4}{}", &own[4..]);
    let profile = if offer.contains("RTP/SAVP ") { "RTP/SAVP" } else { "RTP/AVP" };
    sdp(version, &format!("{head}inline:{own}\r\n")).replace("RTP/AVP", profile)
}

/// An offer of the peer's as the policy wants it: with a key, unless it has its own.
pub fn under(policy: SecurityPolicy, offer: &str) -> String {
    if policy == Off || offer.contains("a=crypto") {
        return offer.to_string();
    }
    format!("{}a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n", offer.replace("RTP/AVP", "RTP/SAVP"))
}

/// An INVITE of the peer's with this body.
pub fn invite_with(body: &str) -> String {
    let length = |n: usize| format!("Content-Length: {n}");
    let head = their_invite().split("\n\n").next().unwrap().to_string();
    let head = head.replace(&length(SDP.len()), &length(body.len()));
    format!("{head}\n\n{}", body.replace("\r\n", "\n"))
}

pub const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
pub const POLICIES: [SecurityPolicy; 3] = [Off, Preferred, Required];

pub fn stats(lab: &Lab) -> EngineStats {
    lab.world.host(lab.alice).engine().stats()
}

pub fn datagram(lab: &mut Lab, bytes: &[u8]) {
    let to = (lab.world.ip(lab.alice), 5060).into();
    lab.world.act(lab.peer, |_, net| net.send(5060, to, bytes));
    lab.run(50);
}

/// On a connection of its own.
pub fn stream(lab: &mut Lab, port: u16, pieces: &[&[u8]]) {
    let to = (lab.world.ip(lab.alice), port).into();
    let connection = lab.world.act(lab.peer, |_, net| net.connect(to));
    lab.run(20);
    for piece in pieces {
        lab.world.act(lab.peer, |_, net| net.write(connection, piece));
        lab.run(20);
    }
}

/// What is too long for a datagram: on a connection of its own, or over TLS.
pub fn long(lab: &mut Lab, text: &str) {
    match lab.secure {
        true => lab.say(text.replace("SIP/2.0/TCP", "SIP/2.0/TLS").as_bytes()),
        false => stream(lab, 5060, &[text.as_bytes()]),
    }
}

/// The call goes on, the phone answers, nothing spun and nothing is left over.
pub fn assert_unharmed(lab: &mut Lab, id: CallId) {
    assert_eq!(lab.state(id), CallState::Established, "{}", lab.world.ladder());
    let n = lab.world.now().duration_since(subrosa::time::Instant::ZERO).as_micros();
    lab.send(&format!(
        "OPTIONS sip:alice@peer.test SIP/2.0\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKo{n};rport\n\
         Max-Forwards: 70\nFrom: <sip:bob@peer.test>;tag=o\nTo: <sip:alice@peer.test>\n\
         Call-ID: o{n}\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
    ));
    lab.run(200);
    let mut seen = lab.world.host(lab.peer).seen.iter();
    let answer = seen.find(|(_, _, m)| m.call_id() == format!("o{n}"));
    let status = answer.and_then(|(_, _, m)| m.status());
    assert_eq!(status, Some(200), "{}", lab.world.ladder());
    lab.world.check().unwrap_or_else(|failure| panic!("{failure}"));
}

/// A BYE that would end the call if it were taken.
pub fn smuggled(lab: &Lab) -> String {
    let invite = lab.heard("INVITE")[0].clone();
    in_dialog("BYE", 90, &invite, "peer", "").replace('\n', "\r\n")
}
