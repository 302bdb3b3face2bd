//! What the network sends and is no good is counted by its reason, once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/peer.rs"]
mod peer;

use peer::{Peer, Turn};
use subrosa::engine::{AccountConfig, AccountId, CallOptions, EngineStats, SecurityPolicy};
use subrosa::sdp::SdpFault;
use subrosa::sim::{EngineHost, Handle, Link, World};
use subrosa::time::Duration;
use subrosa::wire::sip::{HeaderName, Message, Method, ParseErrorKind, Uri};

struct Lab {
    world: World,
    alice: Handle<EngineHost>,
    peer: Handle<Peer>,
    account: AccountId,
    calls: usize,
}

impl Lab {
    /// `policy`: what alice asks of the peer's domain.
    fn new(
        policy: SecurityPolicy,
        script: impl FnMut(&mut Turn<'_, '_>, &Message) + Send + 'static,
    ) -> Self {
        let mut world = World::new(1);
        world.set_default_link(Link::perfect());
        let alice = world
            .add_phone("alice", |config| {
                config.listen_tcp = Some((config.local_ip, 5060).into());
            })
            .unwrap();
        let peer = world.add_host("peer", Peer::new(true, true, script));
        let ip = world.ip(peer);
        world.zone().add_address("peer.test", ip);
        let account = world.command(alice, |engine, now| {
            engine.set_domain_policy(now, "peer.test", policy).unwrap();
            let mut account = AccountConfig::new(Uri::parse("sip:alice@peer.test").unwrap());
            account.register = false;
            engine.add_account(now, account).unwrap()
        });
        world.run_for(Duration::from_millis(50));
        Self { world, alice, peer, account, calls: 0 }
    }

    fn stats(&mut self) -> EngineStats {
        self.world.command(self.alice, |engine, _| engine.stats())
    }

    fn datagram(&mut self, bytes: &[u8]) {
        let to = (self.world.ip(self.alice), 5060).into();
        self.world.act(self.peer, |_, net| net.send(5060, to, bytes));
        self.world.run_for(Duration::from_millis(50));
    }

    /// On a connection of its own.
    fn stream(&mut self, bytes: &[u8]) {
        let to = (self.world.ip(self.alice), 5060).into();
        let connection = self.world.act(self.peer, |_, net| net.connect(to));
        self.world.run_for(Duration::from_millis(200));
        self.world.act(self.peer, |_, net| net.write(connection, bytes));
        self.world.run_for(Duration::from_millis(200));
    }

    /// The peer calls with this offer.
    fn invite(&mut self, body: &str) {
        self.calls += 1;
        let n = self.calls;
        self.datagram(
            format!(
                "INVITE sip:alice@peer.test SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKi{n};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:bob@peer.test>;tag={n}\r\nTo: <sip:alice@peer.test>\r\n\
                 Call-ID: i{n}\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@peer.test>\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
    }
}

const GOOD: &str = "OPTIONS sip:alice@peer.test SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
    From: <sip:bob@peer.test>;tag=1\r\nTo: <sip:alice@peer.test>\r\nCall-ID: 1\r\n\
    CSeq: 1 OPTIONS\r\nContact: <sip:bob@peer.test>\r\nContent-Length: 0\r\n\r\n";

/// A message whose first defect is of this kind, and whether it takes a stream to see it.
fn defect(kind: ParseErrorKind) -> (Vec<u8>, bool) {
    use ParseErrorKind as K;
    let swap = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        (GOOD.replacen(from, to, 1).into_bytes(), false)
    };
    let with = |line: &str| swap("Content-Length: 0\r\n", &format!("{line}Content-Length: 0\r\n"));
    match kind {
        // A lone CRLF is a keep-alive; spaces are neither that nor a message.
        K::Empty => (b"\r\n\r\n\r\n\r".to_vec(), false),
        K::TooLarge => (format!("{GOOD}{}", "x".repeat(70_000)).into_bytes(), false),
        K::TooManyHeaders => with(&"X: y\r\n".repeat(300)),
        K::BareLineBreak => swap("Call-ID: 1\r\n", "Call-ID: 1\n"),
        K::UnterminatedHeaders => swap("Content-Length: 0\r\n\r\n", "Content-Length: 0\r\n"),
        K::StartLine => swap("OPTIONS sip:alice@peer.test SIP/2.0", "hello"),
        K::Version => swap("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
        K::RequestUri => swap("OPTIONS sip:alice@peer.test", "OPTIONS <sip:alice@peer.test>"),
        K::StatusCode => swap("OPTIONS sip:alice@peer.test SIP/2.0", "SIP/2.0 1000 What"),
        K::HeaderSyntax => with("no colon here\r\n"),
        K::MissingVia => swap("Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK1\r\n", ""),
        K::MissingFrom => swap("From: <sip:bob@peer.test>;tag=1\r\n", ""),
        K::MissingTo => swap("To: <sip:alice@peer.test>\r\n", ""),
        K::MissingCallId => swap("Call-ID: 1\r\n", ""),
        K::MissingCSeq => swap("CSeq: 1 OPTIONS\r\n", ""),
        K::Via => swap("SIP/2.0/UDP 10.9.9.9", "nonsense"),
        K::From => swap("From: <sip:bob@peer.test>", "From: <sip:bob@peer.test"),
        K::To => swap("To: <sip:alice@peer.test>", "To: <sip:alice@peer.test"),
        K::CallId => swap("Call-ID: 1", "Call-ID: 1 2"),
        K::CSeq => swap("CSeq: 1 OPTIONS", "CSeq: 99999999999 OPTIONS"),
        K::Contact => swap("Contact: <sip:bob@peer.test>", "Contact: <sip:bob@peer.test"),
        K::Route => with("Route: <sip:\r\n"),
        K::RecordRoute => with("Record-Route: <sip:\r\n"),
        K::MaxForwards => swap("Max-Forwards: 70", "Max-Forwards: 999"),
        K::CSeqMethodMismatch => swap("1 OPTIONS", "1 INVITE"),
        K::DuplicateHeader => with("Call-ID: 2\r\n"),
        K::ContentLength => swap("Content-Length: 0", "Content-Length: none"),
        K::ConflictingContentLength => with("Content-Length: 5\r\n"),
        K::MissingContentLength => (swap("Content-Length: 0\r\n", "").0, true),
        K::BodyTooShort => swap("Content-Length: 0", "Content-Length: 9"),
        other => panic!("no example of {other}"),
    }
}

#[test]
fn each_defect_of_a_message_is_counted_under_its_name() {
    for kind in ParseErrorKind::ALL {
        let mut lab = Lab::new(SecurityPolicy::Off, |_, _| {});
        let (bytes, stream) = defect(kind);
        // Line ends alone are a keep-alive for the flows.
        let expected: &[_] = if kind == ParseErrorKind::Empty { &[] } else { &[&kind] };
        if stream {
            lab.stream(&bytes)
        } else {
            lab.datagram(&bytes)
        }
        let flows = lab.stats().flows;
        let counted: Vec<_> =
            ParseErrorKind::ALL.iter().filter(|k| flows.malformed_for(**k) > 0).collect();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(900)]);
        assert_eq!(counted, expected, "{text}");
        assert_eq!(flows.malformed, expected.len() as u64, "{text}");
    }
}

const OFFER: &str = "v=0\r\no=p 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

/// The reasons counted so far, with their numbers.
fn refused(stats: &EngineStats) -> Vec<(SdpFault, u64)> {
    let all = SdpFault::ALL.into_iter().map(|fault| (fault, stats.sdp_refused_for(fault)));
    all.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn each_offer_that_is_refused_is_counted_under_its_reason() {
    use SdpFault as F;
    let crypto = |n: usize| {
        (1..=n)
            .map(|t| format!("a=crypto:{t} AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"))
            .collect::<String>()
    };
    let savp = OFFER.replace("RTP/AVP", "RTP/SAVP");
    let offers: [(F, SecurityPolicy, String); 7] = [
        (F::Syntax, SecurityPolicy::Off, OFFER.replace("v=0", "w=0")),
        (
            F::TooManyMedia,
            SecurityPolicy::Off,
            format!("{OFFER}{}", "m=video 0 RTP/AVP 31\r\n".repeat(200)),
        ),
        (F::TooManyAttributes, SecurityPolicy::Off, format!("{OFFER}{}", "a=x\r\n".repeat(2_000))),
        (F::TooManyCryptoLines, SecurityPolicy::Off, savp.clone() + &crypto(200)),
        (F::NoAudio, SecurityPolicy::Off, OFFER.replace("audio 4000", "video 4000")),
        (F::EncryptionRequired, SecurityPolicy::Required, OFFER.to_string()),
        (F::Syntax, SecurityPolicy::Off, "hello".to_string()),
    ];
    for (fault, policy, offer) in offers {
        let mut lab = Lab::new(policy, |_, _| {});
        lab.invite(&offer);
        let stats = lab.stats();
        assert_eq!(refused(&stats), [(fault, 1)], "{}", &offer[..offer.len().min(300)]);
    }
}

/// Alice calls; the peer answers with this description, or with none.
fn answered(body: &'static str) -> Vec<(SdpFault, u64)> {
    let mut lab = Lab::new(SecurityPolicy::Off, move |turn, m| match m.method() {
        Method::Invite if m.is_request() => {
            let ok = m.response(200, "OK").to_tag("peer");
            let ok = ok.header(HeaderName::Contact, "<sip:bob@peer.test>");
            turn.send(match body {
                "" => ok,
                _ => ok.body("application/sdp", body.as_bytes()),
            });
        }
        Method::Bye if m.is_request() => turn.reply(m, 200),
        _ => {}
    });
    let account = lab.account;
    lab.world.command(lab.alice, |engine, now| {
        let to = Uri::parse("sip:bob@peer.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap()
    });
    lab.world.run_for(Duration::from_secs(2));
    refused(&lab.stats())
}

#[test]
fn each_answer_that_is_refused_is_counted_under_its_reason() {
    use SdpFault as F;
    const HEAD: &str = "v=0\r\no=p 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n";
    assert_eq!(answered(OFFER), []);
    assert_eq!(answered(""), [(F::Missing, 1)]);
    assert_eq!(answered("hello"), [(F::Syntax, 1)]);
    for (fault, media) in [
        (F::Refused, "m=audio 0 RTP/AVP 0\r\n"),
        (F::MediaMismatch, ""),
        (F::NoCommonCodec, "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 speex/8000\r\n"),
        (F::Address, "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 224.1.1.1\r\n"),
        (F::Profile, "m=audio 4000 RTP/SAVPF 0\r\n"),
    ] {
        let body: &'static str = Box::leak(format!("{HEAD}{media}").into_boxed_str());
        assert_eq!(answered(body), [(fault, 1)], "{media}");
    }
}
