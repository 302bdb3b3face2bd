//! What the torture messages of RFC 4475 and RFC 5118 say, value by value.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/corpus.rs"]
mod corpus;

use corpus::{bytes, error, first_frame, message};
use subrosa::wire::sip::{Frame, HeaderName, Host, Method, Scheme, StreamFramer, parts};

#[test]
fn blanks_folds_and_case_of_wsinv() {
    let m = message("wsinv");
    assert_eq!((m.method(), m.max_forwards()), (&Method::Invite, Some(68)));
    assert_eq!(m.request_uri().unwrap().params().get("unknownparam"), Some(""));
    assert_eq!((m.cseq().number, &m.cseq().method), (9, &Method::Invite));
    assert_eq!(m.to().tag(), Some("1918181833n"));
    assert_eq!(
        (m.from().display().as_str(), m.from().tag()),
        ("J Rosenberg \\\"", Some("98asjd8"))
    );
    let vias: Vec<_> = m
        .vias()
        .map(|v| (v.transport().to_string(), v.host().to_string(), v.branch().unwrap().to_string()))
        .collect();
    let via = |t: &str, h: &str, b: &str| (t.to_string(), h.to_string(), b.to_string());
    assert_eq!(
        vias,
        [
            via("UDP", "192.0.2.2", "390skdjuw"),
            via("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
            via("UDP", "192.168.255.111", "z9hG4bK30239"),
        ]
    );
    assert_eq!(m.header(HeaderName::Subject), Some(""));
    let newfangled = m.headers_named("newfangledheader").next().unwrap();
    assert_eq!(
        newfangled.split_whitespace().collect::<Vec<_>>().join(" "),
        "newfangled value continued newfangled value"
    );
    let unusual = m.headers_named("UnknownHeaderWithUnusualValue").next();
    assert_eq!(unusual, Some(";;,,;;,;"));
    assert!(m.routes().next().unwrap().uri().is_loose());
    let contact = m.contacts().next().unwrap();
    assert_eq!(contact.display(), "Quoted string \"\"");
    assert_eq!(contact.params().get("newparam"), Some("newvalue"));
    assert_eq!(contact.params().get("secondparam"), Some(""));
    assert_eq!(contact.params().get("q"), Some("0.33"));
    assert_eq!(m.body().len(), 150);
}

#[test]
fn unusual_characters_of_intmeth() {
    let m = message("intmeth");
    assert_eq!(m.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    let uri = m.request_uri().unwrap();
    assert_eq!(uri.user(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(m.to().display(), "BEL:\x07 NUL:\0 DEL:\x7f");
    assert_eq!(m.from().display(), "token1~` token2'+_ token3*%!.-");
    assert_eq!(m.from().tag(), Some("_token~1'+`*%!-."));
    let quoted = m.from().params().get_unquoted("fromParam''~+*_!.-%").unwrap();
    assert_eq!(quoted, "работающий");
    assert_eq!(m.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(m.top_via().unwrap().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(m.max_forwards(), Some(255));
    let extension = m.headers_named("EXTENSIONHEADER-!.%*+_`'~").next();
    assert_eq!(extension, Some("\u{feff}大停電"));
}

#[test]
fn escapes_are_resolved_once_and_only_in_uris() {
    let m = message("esc01");
    assert_eq!(m.request_uri().unwrap().user_unescaped().unwrap(), b"sips:user@example.com");
    assert_eq!(m.request_uri().unwrap().host(), Host::Name("example.net"));
    assert_eq!(m.to().uri().user_unescaped().unwrap(), b"user");
    assert_eq!(m.from().uri().user_unescaped().unwrap(), b"I have spaces");
    let contact = m.contacts().next().unwrap().uri();
    assert!(contact.is_loose(), "%6C%72 is lr");
    assert_eq!(contact.params().get("name"), Some("v%61lue%25%34%31"));

    let m = message("esc02");
    assert_eq!(m.method(), &Method::Other("RE%47IST%45R".into()));
    assert_eq!(m.to().display(), "%Z%45");
    let contacts: Vec<_> = m.contacts().map(|c| c.uri().to_string()).collect();
    assert_eq!(contacts, ["sip:alias1@host1.example.com", "sip:alias3@host3.example.com"]);

    let m = message("escnull");
    assert_eq!(m.to().uri().user_unescaped().unwrap(), b"null-\0-null");
    let contacts: Vec<_> = m.contacts().map(|c| c.uri().to_uri()).collect();
    assert_eq!(contacts.len(), 2);
    assert!(!contacts[0].equivalent(&contacts[1]));

    let m = message("semiuri");
    let uri = m.request_uri().unwrap();
    assert_eq!(uri.user_unescaped().unwrap(), b"user;par=u@example.net");
    assert!(uri.params().iter().next().is_none());
    assert_eq!(m.list(HeaderName::Accept).count(), 6);

    let m = message("regescrt");
    assert!(m.routes().next().is_none(), "a header inside a URI is no header field");
    let contact = m.contacts().next().unwrap().uri();
    assert_eq!(contact.headers(), "?Route=%3Csip:sip.example.com%3E");
}

#[test]
fn parameters_belong_to_what_the_brackets_say() {
    let of = |name: &str| {
        let m = message(name);
        let contact = m.contacts().next().unwrap();
        (contact.params().has("unknownparam"), contact.uri().params().has("unknownparam"))
    };
    assert_eq!(of("cparam01"), (true, false));
    assert_eq!(of("cparam02"), (false, true));
    assert_eq!(message("lwsdisp").from().display(), "caller");
}

#[test]
fn nothing_long_is_cut() {
    let m = message("longreq");
    assert_eq!(m.vias().count(), 34);
    assert!(m.vias().all(|v| v.transport() == "TCP"));
    assert!(m.vias().last().unwrap().branch().unwrap().len() > 200);
    assert_eq!(m.vias().nth(11).unwrap().host_str(), "sip22.example.com");
    assert_eq!(m.to().uri().params().iter().count(), 3);
    assert!(m.to().display().ends_with("extreme proportion"));
    assert!(m.from().tag().unwrap().ends_with("982424"));
    assert!(m.call_id().ends_with("longcallid"));
    let raw = String::from_utf8_lossy(&bytes("longreq")).into_owned();
    assert!(raw.contains(m.from().uri().user().unwrap()));
}

#[test]
fn a_datagram_is_one_message_and_a_stream_goes_on() {
    let m = message("dblreq");
    assert_eq!((m.method(), m.body().len()), (&Method::Register, 0));
    let mut framer = StreamFramer::new();
    framer.push(&bytes("dblreq"));
    let methods: Vec<_> = framer
        .by_ref()
        .filter_map(|f| match f {
            Frame::Message(m) => Some(m.method().clone()),
            _ => None,
        })
        .collect();
    assert_eq!(methods, [Method::Register, Method::Invite]);
}

#[test]
fn transports_reasons_and_bodies() {
    let m = message("transports");
    let transports: Vec<_> = m.vias().map(|v| v.transport().to_string()).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);

    let m = message("unreason");
    assert_eq!(m.reason(), "= 2**3 * 5**2 но сто девяносто девять - простое");
    let m = message("noreason");
    assert_eq!((m.status(), m.reason()), (Some(100), ""));

    let m = message("mpart01");
    let body_parts = parts(&m);
    assert_eq!(body_parts.len(), 2);
    assert_eq!((body_parts[0].content_type, body_parts[0].body), ("text/plain", &b"Hello"[..]));
    assert_eq!(body_parts[1].content_type, "application/octet-stream");
    assert!(body_parts[1].body.contains(&0) && body_parts[1].body.starts_with(&[0x30, 0x82]));
    assert_eq!(m.body().len(), 553);
}

#[test]
fn what_the_layers_above_decide_on_is_there() {
    for name in ["unkscm", "novelsc"] {
        // 416
        assert_eq!(message(name).request_uri().unwrap().scheme(), Scheme::Other, "{name}");
    }
    let m = message("unksm2");
    assert_eq!(m.to().uri().scheme_str(), "isbn");
    assert_eq!(m.from().uri().as_str(), "http://www.example.com");
    assert_eq!(m.contacts().next().unwrap().uri().opaque(), "John_Smith");
    // 420
    let m = message("bext01");
    let required: Vec<_> = m.require().collect();
    assert_eq!(required, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    // 415
    assert_eq!(message("invut").content_type(), Some("application/unknownformat"));
    // 406
    assert!(!message("sdp01").list(HeaderName::Accept).any(|t| t == "application/sdp"));
    // 401
    let scheme = message("regaut01").header(HeaderName::Authorization).unwrap().to_string();
    assert_eq!(scheme, "NoOneKnowsThisScheme opaque-data=here");
    // No transaction of RFC 3261: matched by the rules of RFC 2543.
    assert!(!message("badbranch").top_via().unwrap().has_cookie());
    assert!(!message("inv2543").top_via().unwrap().has_cookie());
    assert_eq!(message("inv2543").from().tag(), None);
    assert_eq!(message("inv2543").max_forwards(), None);
    assert!(message("inv2543").body().ends_with(b"m=audio 49217 RTP/AVP 0\r\n"));
    assert_eq!(message("zeromf").max_forwards(), Some(0));
    // Two Via: not a response to us.
    assert_eq!(message("bcast").vias().count(), 2);
    assert!(message("baddate").header(HeaderName::Date).unwrap().ends_with("EST"));
}

#[test]
fn numbers_do_not_wrap() {
    let error = error("scalar02");
    let request = error.rejectable().unwrap();
    assert_eq!(request.cseq().number, u32::MAX);
    assert_eq!(request.expires(), Some(u32::MAX));
    assert_eq!(request.contacts().next().unwrap().expires(), Some(u32::MAX));
    assert_eq!(request.max_forwards(), None);
}

#[test]
fn addresses_of_rfc_5118() {
    let host = |name: &str| {
        let m = message(name);
        let uri = m.request_uri().unwrap();
        (uri.host().to_string(), uri.port())
    };
    assert_eq!(host("ipv6-good"), ("[2001:db8::10]".into(), None));
    assert_eq!(host("port-ambiguous"), ("[2001:db8::10:5070]".into(), None));
    assert_eq!(host("port-unambiguous"), ("[2001:db8::10]".into(), Some(5070)));
    assert_eq!(host("ipv6-bug-abnf-3-colons"), host("ipv6-correct-abnf-2-colons"));

    let received = |name: &str| message(name).top_via().unwrap().received().unwrap().to_string();
    assert_eq!(received("via-received-param-with-delim"), "2001:db8::9:255");
    assert_eq!(received("via-received-param-no-delim"), "2001:db8::9:255");

    let m = message("mult-ip-in-header");
    let vias: Vec<_> = m.vias().map(|v| (v.host().to_string(), v.port())).collect();
    assert_eq!(
        vias,
        [
            ("[2001:db8::9:1]".to_string(), Some(6050)),
            ("192.0.2.1".to_string(), None),
            ("[2001:db8::9:255]".to_string(), None)
        ]
    );
    assert_eq!(m.vias().last().unwrap().received().unwrap().to_string(), "192.0.2.200");

    let m = message("ipv4-mapped-ipv6");
    let mapped = m.contacts().next().unwrap().uri().host().ip().unwrap();
    assert_eq!(mapped.to_string(), "::ffff:192.0.2.2");
    assert_eq!(m.top_via().unwrap().port(), Some(19823));

    for (name, announced, whole) in
        [("ipv6-in-sdp", 241, 251), ("mult-ip-in-sdp", 181, 189), ("ipv4-mapped-ipv6", 236, 245)]
    {
        assert_eq!(message(name).body().len(), whole, "{name}");
        let short = format!("{name}-archived-cl");
        assert_eq!(message(&short).body().len(), announced, "{name}");
        // On a stream the rest is taken for the next message.
        let (_, framer) = first_frame(&short, 1);
        assert_eq!(framer.pending(), whole - announced, "{name}");
    }
}
