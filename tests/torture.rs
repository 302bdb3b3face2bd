//! The torture messages of RFC 4475 and RFC 5118: each verdict over datagrams, over a stream, and
//! over a stream that arrives byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use subrosa::wire::sip::{
    Frame, HeaderName, Host, Message, Method, ParseError, ParseErrorKind as Kind, Scheme,
    StreamFramer, parts,
};

fn path(name: &str) -> PathBuf {
    let corpora = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpora");
    let in_4475 = corpora.join("rfc4475").join(name);
    if in_4475.exists() { in_4475 } else { corpora.join("rfc5118").join(name) }
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(&format!("{name}.dat"))).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn message(name: &str) -> Message {
    Message::parse(&bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn error(name: &str) -> ParseError {
    Message::parse(&bytes(name)).expect_err(name)
}

/// What a datagram gives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Datagram {
    Good,
    /// Malformed, to be answered.
    Answer(Kind),
    /// Malformed, to be dropped.
    Drop(Kind),
}

/// What a stream gives first, where it is not the same as the datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stream {
    Same,
    /// More bytes are needed.
    Waits,
    /// The framing is lost.
    Broken(Kind),
}

use Datagram::{Answer, Drop, Good};

const EXPECTED: &[(&str, Datagram, Stream)] = &[
    ("wsinv", Good, Stream::Same),
    ("intmeth", Good, Stream::Same),
    ("esc01", Good, Stream::Same),
    ("escnull", Good, Stream::Same),
    ("esc02", Good, Stream::Same),
    ("lwsdisp", Good, Stream::Same),
    ("longreq", Good, Stream::Same),
    ("dblreq", Good, Stream::Same),
    ("semiuri", Good, Stream::Same),
    ("transports", Good, Stream::Same),
    ("mpart01", Good, Stream::Same),
    ("unreason", Good, Stream::Same),
    ("noreason", Good, Stream::Same),
    ("badinv01", Answer(Kind::Via), Stream::Same),
    ("clerr", Answer(Kind::BodyTooShort), Stream::Waits),
    ("ncl", Answer(Kind::ContentLength), Stream::Broken(Kind::ContentLength)),
    ("scalar02", Answer(Kind::CSeq), Stream::Same),
    ("scalarlg", Drop(Kind::CSeq), Stream::Same),
    ("quotbal", Answer(Kind::To), Stream::Same),
    ("ltgtruri", Answer(Kind::RequestUri), Stream::Same),
    ("lwsruri", Answer(Kind::StartLine), Stream::Same),
    ("lwsstart", Answer(Kind::StartLine), Stream::Same),
    ("trws", Answer(Kind::StartLine), Stream::Same),
    ("escruri", Answer(Kind::RequestUri), Stream::Same),
    ("baddate", Good, Stream::Same),
    ("regbadct", Answer(Kind::Contact), Stream::Same),
    ("badaspec", Answer(Kind::To), Stream::Same),
    ("baddn", Answer(Kind::From), Stream::Same),
    ("baddn-noblank", Answer(Kind::UnterminatedHeaders), Stream::Waits),
    ("badvers", Answer(Kind::Version), Stream::Same),
    ("mismatch01", Answer(Kind::CSeqMethodMismatch), Stream::Same),
    ("mismatch02", Answer(Kind::CSeqMethodMismatch), Stream::Same),
    ("bigcode", Drop(Kind::StatusCode), Stream::Broken(Kind::StatusCode)),
    ("badbranch", Good, Stream::Same),
    ("insuf", Answer(Kind::MissingFrom), Stream::Same),
    ("unkscm", Good, Stream::Same),
    ("novelsc", Good, Stream::Same),
    ("unksm2", Good, Stream::Same),
    ("bext01", Good, Stream::Same),
    ("invut", Good, Stream::Same),
    ("regaut01", Good, Stream::Same),
    ("multi01", Answer(Kind::DuplicateHeader), Stream::Same),
    (
        "mcl01",
        Answer(Kind::ConflictingContentLength),
        Stream::Broken(Kind::ConflictingContentLength),
    ),
    ("bcast", Good, Stream::Same),
    ("zeromf", Good, Stream::Same),
    ("cparam01", Good, Stream::Same),
    ("cparam02", Good, Stream::Same),
    ("regescrt", Good, Stream::Same),
    ("sdp01", Good, Stream::Same),
    ("inv2543", Good, Stream::Broken(Kind::MissingContentLength)),
    ("ipv6-good", Good, Stream::Same),
    ("ipv6-bad", Answer(Kind::RequestUri), Stream::Same),
    ("port-ambiguous", Good, Stream::Same),
    ("port-unambiguous", Good, Stream::Same),
    ("via-received-param-with-delim", Good, Stream::Same),
    ("via-received-param-no-delim", Good, Stream::Same),
    ("ipv6-in-sdp", Good, Stream::Same),
    ("ipv6-in-sdp-archived-cl", Good, Stream::Same),
    ("mult-ip-in-header", Good, Stream::Same),
    ("mult-ip-in-sdp", Good, Stream::Same),
    ("mult-ip-in-sdp-archived-cl", Good, Stream::Same),
    ("ipv4-mapped-ipv6", Good, Stream::Same),
    ("ipv4-mapped-ipv6-archived-cl", Good, Stream::Same),
    ("ipv6-bug-abnf-3-colons", Good, Stream::Same),
    ("ipv6-correct-abnf-2-colons", Good, Stream::Same),
];

/// File name (without `.dat`) to verdict, of both manifests.
fn manifest() -> BTreeMap<String, String> {
    let mut verdicts = BTreeMap::new();
    for (rfc, column) in [("rfc4475", 4), ("rfc5118", 2)] {
        let file = format!("{}/tests/corpora/{rfc}/MANIFEST.tsv", env!("CARGO_MANIFEST_DIR"));
        for line in fs::read_to_string(file).unwrap().lines().skip(1) {
            let columns: Vec<_> = line.split('\t').collect();
            let name = columns[0].strip_suffix(".dat").unwrap();
            verdicts.insert(name.to_string(), columns[column].to_string());
        }
    }
    verdicts
}

#[test]
fn the_expectations_agree_with_the_manifests() {
    let verdicts = manifest();
    let expected: BTreeMap<_, _> = EXPECTED.iter().map(|(n, d, _)| (n.to_string(), *d)).collect();
    assert!(verdicts.keys().eq(expected.keys()), "a file without its expectation");
    for (name, verdict) in verdicts {
        match verdict.as_str() {
            "VALID"
            | "LEGACY VALID"
            | "ACCEPT (grammar bug)"
            | "ACCEPT (robustness)"
            | "ACCEPT (must tolerate)"
            | "ROBUST" => assert_eq!(expected[&name], Good, "{name}"),
            "INVALID" => assert_ne!(expected[&name], Good, "{name}"),
            "INVALID/MAY" | "SEMANTIC" => {}
            other => panic!("{name}: unknown verdict {other}"),
        }
    }
}

#[test]
fn datagrams() {
    for (name, want, _) in EXPECTED {
        let got = match Message::parse(&bytes(name)) {
            Ok(_) => Good,
            Err(e) if e.rejectable().is_some() => Answer(e.kind()),
            Err(e) => Drop(e.kind()),
        };
        assert_eq!(got, *want, "{name}");
    }
}

/// The first frame that is no keep-alive, and the framer after all bytes.
fn first_frame(name: &str, step: usize) -> (Option<Frame>, StreamFramer) {
    let mut framer = StreamFramer::new();
    let mut first = None;
    for chunk in bytes(name).chunks(step) {
        framer.push(chunk);
        for frame in framer.by_ref() {
            if !matches!(frame, Frame::KeepAlivePing | Frame::KeepAlivePong) {
                first.get_or_insert(frame);
            }
        }
    }
    (first, framer)
}

#[test]
fn streams_whole_and_byte_by_byte() {
    for (name, datagram, stream) in EXPECTED {
        for step in [usize::MAX, 1] {
            let (frame, framer) = first_frame(name, step);
            match (stream, datagram, frame) {
                (Stream::Same, Good, Some(Frame::Message(m))) => {
                    assert_eq!(m, message(name), "{name}");
                }
                (Stream::Same, Answer(kind), Some(Frame::Malformed(e))) => {
                    assert_eq!(e.kind(), *kind, "{name}");
                    assert!(e.rejectable().is_some(), "{name}");
                    assert!(!framer.is_broken(), "{name}");
                }
                (Stream::Same, Drop(kind), Some(Frame::Malformed(e))) => {
                    assert_eq!(e.kind(), *kind, "{name}");
                    assert!(e.rejectable().is_none(), "{name}");
                }
                (Stream::Broken(kind), _, Some(Frame::Broken(e))) => {
                    assert_eq!(e.kind(), *kind, "{name}");
                    assert!(framer.is_broken(), "{name}");
                }
                (Stream::Waits, _, None) => assert!(framer.pending() > 0, "{name}"),
                (want, _, got) => panic!("{name}: {got:?} instead of {want:?}"),
            }
        }
    }
}

#[test]
fn what_was_parsed_is_printed_as_it_came() {
    for (name, want, _) in EXPECTED.iter().filter(|(_, want, _)| *want == Good) {
        let parsed = message(name);
        let again = Message::parse(parsed.as_bytes()).unwrap();
        assert_eq!(again, parsed, "{name} {want:?}");
        let rebuilt = parsed.edit().finish().unwrap_or_else(|e| panic!("{name}: {e}"));
        let fields = |m: &Message| -> Vec<(String, String)> {
            m.all_headers()
                .filter(|(n, _)| HeaderName::parse(n) != HeaderName::ContentLength)
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect()
        };
        assert_eq!(fields(&rebuilt), fields(&parsed), "{name}");
        assert_eq!(rebuilt.body(), parsed.body(), "{name}");
    }
}

#[test]
fn every_malformed_request_gets_an_answer_that_names_its_transaction() {
    for (name, want, _) in EXPECTED {
        let Answer(kind) = want else { continue };
        let error = error(name);
        let request = error.rejectable().unwrap();
        assert_eq!(error.status(), if *kind == Kind::Version { 505 } else { 400 }, "{name}");
        let answer = request.response(error.status(), kind.as_str()).to_tag("t").finish();
        let answer = answer.unwrap_or_else(|e| panic!("{name}: {e}"));
        for field in [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            let (got, sent) = (answer.header(field), request.header(field));
            assert_eq!(got, sent, "{name}");
        }
        assert!(answer.top_via().is_some(), "{name}");
    }
}

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
