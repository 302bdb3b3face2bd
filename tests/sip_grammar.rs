//! The grammar of RFC 3261 by example: header fields, their forms, and URIs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::net::IpAddr;

use subrosa::wire::sip::{
    HeaderName, Host, MAX_PARTS, Message, Method, NameAddrRef, ParseErrorKind, Scheme, Uri, parts,
};

/// A request with these header fields beside those that it must have.
fn bytes(fields: &[u8]) -> Vec<u8> {
    let head = "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
                From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\n\
                CSeq: 1 OPTIONS\r\n";
    [head.as_bytes(), fields, b"\r\n"].concat()
}

fn message(fields: &str) -> Message {
    Message::parse(&bytes(fields.as_bytes())).unwrap_or_else(|e| panic!("{fields}: {e}"))
}

/// Every header field of RFC 3261 §20 with its compact form, and a value.
const FIELDS: [(&str, &str, &str); 44] = [
    ("Accept", "", "application/sdp;level=1, application/x-private, text/html"),
    ("Accept-Encoding", "", "gzip"),
    ("Accept-Language", "", "da, en-gb;q=0.8, en;q=0.7"),
    ("Alert-Info", "", "<http://www.example.com/sounds/moo.wav>"),
    ("Allow", "", "INVITE, ACK, OPTIONS, CANCEL, BYE"),
    ("Authentication-Info", "", "nextnonce=\"47364c23432d2e131a5fb210812c\""),
    ("Authorization", "", "Digest username=\"Alice\", realm=\"atlanta.com\", response=\"x\""),
    ("Call-ID", "i", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@biloxi.com"),
    ("Call-Info", "", "<http://wwww.example.com/alice/photo.jpg> ;purpose=icon"),
    ("Contact", "m", "\"Mr. Watson\" <sip:watson@worcester.bell-telephone.com>;q=0.7"),
    ("Content-Disposition", "", "session"),
    ("Content-Encoding", "e", "gzip"),
    ("Content-Language", "", "fr"),
    ("Content-Length", "l", "0"),
    ("Content-Type", "c", "text/html; charset=ISO-8859-4"),
    ("CSeq", "", "4711 OPTIONS"),
    ("Date", "", "Sat, 13 Nov 2010 23:29:00 GMT"),
    ("Error-Info", "", "<sip:not-in-service-recording@atlanta.com>"),
    ("Expires", "", "5"),
    ("From", "f", "\"A. G. Bell\" <sip:agb@bell-telephone.com> ;tag=a48s"),
    ("In-Reply-To", "", "70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com"),
    ("Max-Forwards", "", "6"),
    ("Min-Expires", "", "60"),
    ("MIME-Version", "", "1.0"),
    ("Organization", "", "Boxes by Bob"),
    ("Priority", "", "emergency"),
    ("Proxy-Authenticate", "", "Digest realm=\"atlanta.com\", qop=\"auth\", nonce=\"f84f1cec\""),
    ("Proxy-Authorization", "", "Digest username=\"Alice\", realm=\"atlanta.com\""),
    ("Proxy-Require", "", "foo"),
    ("Record-Route", "", "<sip:server10.biloxi.com;lr>"),
    ("Reply-To", "", "Bob <sip:bob@biloxi.com>"),
    ("Require", "", "100rel"),
    ("Retry-After", "", "18000;duration=3600"),
    ("Route", "", "<sip:bigbox3.site3.atlanta.com;lr>"),
    ("Server", "", "HomeServer v2"),
    ("Subject", "s", "Need more boxes"),
    ("Supported", "k", "100rel"),
    ("Timestamp", "", "54"),
    ("To", "t", "The Operator <sip:operator@cs.columbia.edu>;tag=287447"),
    ("Unsupported", "", "foo"),
    ("User-Agent", "", "Softphone Beta1.5"),
    ("Via", "v", "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7"),
    ("Warning", "", "307 isi.edu \"Session parameter 'foo' not understood\""),
    ("WWW-Authenticate", "", "Digest realm=\"atlanta.com\", domain=\"sip:boxesbybob.com\""),
];

/// A message of all of them, each name as `spell` writes it.
fn all_fields(spell: impl Fn(&str, &str) -> String) -> Message {
    let mut text = String::from("OPTIONS sip:b@example.com SIP/2.0\r\n");
    for (name, compact, value) in FIELDS {
        text += &format!("{}: {value}\r\n", spell(name, compact));
    }
    Message::parse(format!("{text}\r\n").as_bytes()).unwrap()
}

fn check_typed(m: &Message) {
    let via = m.top_via().unwrap();
    assert_eq!(
        (via.transport(), via.host_str(), via.port()),
        ("UDP", "erlang.bell-telephone.com", Some(5060))
    );
    assert_eq!((via.branch(), via.has_cookie()), (Some("z9hG4bK87asdks7"), true));
    assert_eq!((m.from().display().as_str(), m.from().tag()), ("A. G. Bell", Some("a48s")));
    assert_eq!(m.from().uri(), Uri::parse("sip:agb@bell-telephone.com").unwrap().as_ref());
    assert_eq!((m.to().display().as_str(), m.to().tag()), ("The Operator", Some("287447")));
    assert_eq!(m.call_id(), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@biloxi.com");
    assert_eq!((m.cseq().number, &m.cseq().method), (4711, &Method::Options));
    let contact = m.contacts().next().unwrap();
    assert_eq!(
        (contact.display().as_str(), contact.params().get("q")),
        ("Mr. Watson", Some("0.7"))
    );
    assert_eq!(m.routes().next().unwrap().uri().host(), Host::Name("bigbox3.site3.atlanta.com"));
    assert!(m.record_routes().next().unwrap().uri().is_loose());
    assert_eq!((m.max_forwards(), m.content_length()), (Some(6), Some(0)));
    assert_eq!((m.expires(), m.min_expires(), m.retry_after()), (Some(5), Some(60), Some(18_000)));
    assert_eq!(m.allow().collect::<Vec<_>>(), ["INVITE", "ACK", "OPTIONS", "CANCEL", "BYE"]);
    assert_eq!((m.require().next(), m.supported().next()), (Some("100rel"), Some("100rel")));
    assert_eq!(m.list(HeaderName::Accept).count(), 3);
    let media_type = m.media_type().unwrap();
    assert_eq!(media_type.params().get("charset"), Some("ISO-8859-4"));
    assert!(m.has_content_type("TEXT/HTML"));
    assert_eq!(m.addresses(HeaderName::ReplyTo).next().unwrap().uri().user(), Some("bob"));
}

#[test]
fn every_header_field_of_rfc_3261_is_known_in_every_spelling() {
    let compact_or_long = |name: &str, compact: &str| {
        if compact.is_empty() { name.to_string() } else { compact.to_string() }
    };
    for m in [
        all_fields(|name, _| name.into()),
        all_fields(|name, _| name.to_uppercase()),
        all_fields(|name, _| name.to_lowercase()),
        all_fields(compact_or_long),
        all_fields(|name, compact| compact_or_long(name, compact).to_uppercase()),
    ] {
        check_typed(&m);
        for (name, _, value) in FIELDS {
            let id = HeaderName::parse(name);
            assert_ne!(id, HeaderName::Other, "{name}");
            assert_eq!((id.as_str(), m.header(id)), (name, Some(value)));
            assert_eq!(m.headers_named(name).collect::<Vec<_>>(), [value]);
        }
    }
}

#[test]
fn what_is_not_read_is_kept_byte_for_byte() {
    let odd: &[u8] = b"X-Odd:\t;;,,\"<>\xff\xfe\x01 a  b\r\nx-odd: %zz\r\nSubject: \xe9t\xe9\r\n";
    let m = Message::parse(&bytes(odd)).unwrap();
    assert_eq!(m.header_bytes(HeaderName::Subject), Some(&b"\xe9t\xe9"[..]));
    assert_eq!(m.header(HeaderName::Subject), None);
    assert_eq!(m.headers_named("X-ODD").collect::<Vec<_>>(), ["", "%zz"]);
    // The values beside it are read as ever.
    assert_eq!((m.from().tag(), m.top_via().unwrap().branch()), (Some("1"), Some("z9hG4bK1")));
    assert_eq!(m.as_bytes(), bytes(odd));
    let copy = m.edit().finish().unwrap();
    for line in
        [&b"X-Odd: ;;,,\"<>\xff\xfe\x01 a  b\r\n"[..], b"x-odd: %zz\r\n", b"Subject: \xe9t\xe9\r\n"]
    {
        assert!(copy.as_bytes().windows(line.len()).any(|w| w == line), "{line:?}");
    }
}

#[test]
fn a_body_need_not_be_text_and_may_be_cut_inside_a_character() {
    let body = "naïve ü".as_bytes();
    for length in 0..=body.len() {
        let mut datagram = bytes(format!("l: {length}\r\n").as_bytes());
        datagram.extend_from_slice(body);
        let m = Message::parse(&datagram).unwrap();
        assert_eq!(m.body(), &body[..length]);
        assert_eq!(m.from().tag(), Some("1"));
    }
}

#[test]
fn values_at_the_end_of_the_largest_head_are_read() {
    let last =
        "Route: <sip:r@h.example>;x=1\r\nContact: \"C\" <sip:c@h.example:5061;lr>;q=0.25\r\n";
    // Also of a message that is not all text.
    for body in [&b""[..], b"\xff"] {
        let room = 65_536 - bytes(last.as_bytes()).len() - "Subject: \r\n".len() - body.len();
        let fields = format!("Subject: {}\r\n{last}", "x".repeat(room));
        let datagram = [&bytes(fields.as_bytes()), body].concat();
        assert_eq!(datagram.len(), 65_536);
        let m = Message::parse(&datagram).unwrap();
        let (route, contact) = (m.routes().next().unwrap(), m.contacts().next().unwrap());
        assert_eq!((route.uri().user(), route.params().get("x")), (Some("r"), Some("1")));
        assert_eq!(contact.display(), "C");
        assert_eq!(contact.uri().as_str(), "sip:c@h.example:5061;lr");
        assert_eq!((contact.uri().port(), contact.uri().is_loose()), (Some(5061), true));
        assert_eq!(contact.params().as_str(), ";q=0.25");
        assert_eq!(m.body(), body);
    }
}

#[test]
fn what_is_printed_for_debugging_is_the_value_alone() {
    let mut datagram = bytes(b"Contact: <sip:c@h.example>\r\n");
    datagram.extend_from_slice(b"a=crypto:1 key");
    let m = Message::parse(&datagram).unwrap();
    let contact = m.contacts().next().unwrap();
    assert_eq!(format!("{contact:?}"), "<sip:c@h.example>");
    let via = m.top_via().unwrap();
    assert_eq!(format!("{via:?}"), "\"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\"");
    assert_eq!(format!("{:?}", contact.params()), "Params { text: \"\" }");
}

#[test]
fn folded_lines_are_one_value() {
    let m = message(
        "Contact:\r\n \"Folded\r\n\t Name\" \r\n   <sip:c@example.com>\r\n\t;q=\r\n 0.5\r\n\
         Subject: I know\r\n  you're there,\r\n\t \r\n pick up\r\nSupported\t :\r\n a,\r\n b\r\n",
    );
    let contact = m.contacts().next().unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&contact.display()), "Folded Name");
    assert_eq!(contact.params().get("q"), Some("0.5"));
    assert_eq!(words(m.header(HeaderName::Subject).unwrap()), "I know you're there, pick up");
    assert_eq!(m.supported().collect::<Vec<_>>(), ["a", "b"]);
    assert!(!m.as_bytes().windows(3).any(|w| w == b"\r\n "));
    // CR or LF alone neither folds nor ends a line.
    for bad in ["Subject: a\n b\r\n", "Subject: a\r b\r\n"] {
        let error = Message::parse(&bytes(bad.as_bytes())).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::BareLineBreak, "{bad:?}");
    }
}

#[test]
fn lists_on_one_line_and_on_many_are_the_same() {
    let one = message(
        "Route: <sip:a.example;lr>, \"x, <y>\" <sip:u,v@b.example>;p=\"q,r\" ,<sip:c.example>\r\n\
         Record-Route: <sip:1.example>,<sip:2.example>\r\nVia: SIP/2.0/TCP p.example, SIP/2.0/TLS q.example\r\n\
         Contact: sip:a@example.com;q=1, sip:b@example.com\r\nRequire: x, y\r\n",
    );
    let many = message(
        "Route: <sip:a.example;lr>\r\nRecord-Route: <sip:1.example>\r\n\
         Route: \"x, <y>\" <sip:u,v@b.example>;p=\"q,r\"\r\nVia: SIP/2.0/TCP p.example\r\n\
         Route: <sip:c.example>\r\nRecord-Route: <sip:2.example>\r\nVia: SIP/2.0/TLS q.example\r\n\
         Contact: sip:a@example.com;q=1\r\nm: sip:b@example.com\r\nRequire: x\r\nRequire: y\r\n",
    );
    for m in [&one, &many] {
        let hosts = |addresses: &mut dyn Iterator<Item = NameAddrRef<'_>>| -> Vec<String> {
            addresses.map(|a| a.uri().host_str().to_string()).collect()
        };
        assert_eq!(hosts(&mut m.routes()), ["a.example", "b.example", "c.example"]);
        assert_eq!(hosts(&mut m.record_routes()), ["1.example", "2.example"]);
        let second = m.routes().nth(1).unwrap();
        assert_eq!(
            (second.display().as_str(), second.params().get("p")),
            ("x, <y>", Some("\"q,r\""))
        );
        let vias: Vec<_> = m.vias().map(|v| (v.transport(), v.host_str())).collect();
        assert_eq!(vias, [("UDP", "192.0.2.1"), ("TCP", "p.example"), ("TLS", "q.example")]);
        // Without angle brackets a parameter belongs to the header field (§20).
        let contact = m.contacts().next().unwrap();
        assert_eq!(
            (contact.params().get("q"), contact.uri().params().has("q")),
            (Some("1"), false)
        );
        assert_eq!(m.contacts().count(), 2);
        assert_eq!(m.require().collect::<Vec<_>>(), ["x", "y"]);
    }
}

#[test]
fn quoted_strings_hold_anything_and_end_at_their_quote() {
    let m = message(
        "Contact: \"a \\\"b\\\\ <sip:not@this>, \\<\" <sip:c@example.com>;x=\"\\\";y=1\";z\r\n",
    );
    let contact = m.contacts().next().unwrap();
    assert_eq!(contact.display(), "a \"b\\ <sip:not@this>, <");
    assert_eq!(contact.uri().as_str(), "sip:c@example.com");
    assert_eq!(contact.params().get_unquoted("x").unwrap(), "\";y=1");
    assert!(contact.params().has("z") && !contact.params().has("y"));
    for (name, value) in [
        ("Contact: \"never closed <sip:c@example.com>\r\n", ParseErrorKind::Contact),
        ("Contact: <sip:c@example.com>;x=\"open\r\n", ParseErrorKind::Contact),
        ("Route: \"a\" b <sip:c@example.com>\r\n", ParseErrorKind::Route),
    ] {
        let error = Message::parse(&bytes(name.as_bytes())).unwrap_err();
        assert_eq!(error.kind(), value, "{name}");
    }
}

#[test]
fn ipv6_stands_wherever_a_host_does() {
    let m = message(
        "Via: SIP/2.0/TLS [2001:DB8::9:1]:5061;received=[2001:db8::9:255];branch=z9hG4bK2\r\n\
         Contact: <sips:a@[2001:db8::1]:5061;maddr=[2001:db8::2]>\r\nRoute: <sip:[::1];lr>\r\n",
    );
    let ip = |text: &str| Host::Ip(text.parse::<IpAddr>().unwrap());
    let via = m.vias().nth(1).unwrap();
    assert_eq!((via.host(), via.port()), (ip("2001:db8::9:1"), Some(5061)));
    assert_eq!(via.received(), ip("2001:db8::9:255").ip());
    let uri = m.contacts().next().unwrap().uri();
    assert_eq!(
        (uri.host(), uri.port(), uri.scheme()),
        (ip("2001:db8::1"), Some(5061), Scheme::Sips)
    );
    assert_eq!(uri.maddr(), Some("[2001:db8::2]"));
    assert_eq!(m.routes().next().unwrap().uri().host(), ip("::1"));
    for bad in ["sip:2001:db8::1", "sip:a@[2001:db8::1", "sip:a@[1.2.3.4]", "sip:a@[::1]x"] {
        assert!(Uri::parse(bad).is_err(), "{bad}");
    }
}

fn equivalent(a: &str, b: &str) -> bool {
    let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
    assert_eq!(a.equivalent(&b), b.equivalent(&a), "{a} {b}");
    a.equivalent(&b)
}

/// The rules of §19.1.4 one by one; the examples of that section are tested beside the code.
#[test]
fn uris_are_compared_by_the_rules() {
    for parameter in ["user=phone", "ttl=1", "method=INVITE", "maddr=192.0.2.1", "transport=tcp"] {
        // Those count even if only one URI has them.
        let with = format!("sip:a@example.com;{parameter}");
        assert!(!equivalent("sip:a@example.com", &with), "{parameter}");
        assert!(equivalent(&with, &with.to_uppercase().replace("SIP:A@", "sip:a@")), "{parameter}");
    }
    // Others do only if both have them, in any order; this is not transitive.
    assert!(equivalent("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
    assert!(!equivalent("sip:carol@chicago.com;x=5;y", "sip:carol@chicago.com;y;x=6"));
    assert!(equivalent("sip:a@example.com;x;y=1", "sip:a@example.com;Y=1;lr;x"));
    // The user part has case, nothing else has; no component has a default.
    assert!(!equivalent("sip:a@example.com", "sip:A@example.com"));
    assert!(!equivalent("sip:a:x@example.com", "sip:a:X@example.com"));
    assert!(!equivalent("sip:example.com", "sip:a@example.com"));
    assert!(!equivalent("sip:a@example.com", "sips:a@example.com"));
    assert!(!equivalent("sip:a@example.com:5060", "sip:a@example.com:5061"));
    // Header fields never are left out.
    assert!(!equivalent("sip:a@example.com?x=1", "sip:a@example.com"));
    assert!(equivalent("sip:a@example.com?X=1&y=2", "sip:a@example.com?y=2&x=1"));
    assert!(!equivalent("sip:a@example.com?x=1", "sip:a@example.com?x=2"));
}

#[test]
fn tel_uris_hold_numbers_and_parameters() {
    let m = message("Contact: <tel:+358-555-1234567;postd=pp22>;q=0.1\r\n");
    let uri = m.contacts().next().unwrap().uri();
    assert_eq!((uri.scheme(), uri.user()), (Scheme::Tel, Some("+358-555-1234567")));
    assert_eq!((uri.params().get("postd"), uri.is_sip()), (Some("pp22"), false));
    assert!(equivalent("tel:+358-555-1234567", "tel:+358(555)1234.567"));
    assert!(!equivalent("tel:+3585551234567", "tel:3585551234567"));
    assert!(!equivalent("tel:7042;phone-context=example.com", "tel:7042;phone-context=b.example"));
    assert!(!equivalent("tel:7042;ext=1", "tel:7042"));
    for bad in ["tel:", "tel:+", "tel:alice", "tel:+1 2", "tel:1+2", "tel:-", "tel:1;", "tel:1?x=y"]
    {
        assert!(Uri::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_parts_of_a_multipart_body_are_found() {
    let body = "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--x\r\n\
                Content-Type: multipart/alternative;boundary=\"y z\"\r\n\r\n--y z\r\n\r\ninner\r\n--y z--\r\n--x--\r\n";
    let fields = format!("Content-Type: multipart/mixed; boundary=x\r\nl: {}\r\n", body.len());
    let m = Message::parse(&[bytes(fields.as_bytes()), body.into()].concat()).unwrap();
    let found: Vec<_> = parts(&m).iter().map(|p| (p.content_type, p.body)).collect();
    assert_eq!(found, [("application/sdp", &b"v=0\r\n"[..]), ("text/plain", &b"inner"[..])]);
}

#[test]
fn uris_of_other_schemes_are_compared_byte_for_byte_but_for_the_scheme() {
    assert!(equivalent("HTTP://example.com/a", "http://example.com/a"));
    assert!(!equivalent("http://example.com/a", "http://example.com/A"));
    assert!(!equivalent("urn:uuid:1", "urn:uuid:2"));
    assert!(!equivalent("http://example.com/a", "ftp://example.com/a"));
}

#[test]
fn a_datagram_may_begin_with_line_ends() {
    let padded = [b"\r\n\r\n\r\n", &bytes(b"")[..]].concat();
    assert_eq!(Message::parse(&padded).unwrap().as_bytes(), bytes(b""));
    assert_eq!(Message::parse(b"\r\n\r\n").unwrap_err().kind(), ParseErrorKind::Empty);
}

#[test]
fn what_may_stand_once_is_refused_twice_and_each_defect_has_its_name() {
    let kind = |fields: &str| Message::parse(&bytes(fields.as_bytes())).unwrap_err().kind();
    for field in [
        "From: <sip:a@example.com>;tag=1",
        "t: <sip:b@example.com>",
        "i: c",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70\r\nMax-Forwards: 70",
    ] {
        assert_eq!(kind(&format!("{field}\r\n")), ParseErrorKind::DuplicateHeader, "{field}");
    }
    assert_eq!(kind("Max-Forwards: 256\r\n"), ParseErrorKind::MaxForwards);
    for call_id in ["", "a b", "a\tb"] {
        let text = String::from_utf8(bytes(b"")).unwrap();
        let text = text.replace("Call-ID: c", &format!("Call-ID: {call_id}"));
        let error = Message::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::CallId, "{call_id:?}");
    }
}

#[test]
fn a_wildcard_contact_is_no_address() {
    let m = message("Contact: *\r\nExpires: 0\r\n");
    assert!(m.has_wildcard_contact() && m.contacts().next().is_none());
    assert!(!message("Contact: <sip:a@example.com>\r\n").has_wildcard_contact());
    let error = Message::parse(&bytes(b"Contact: *, <sip:a@example.com>\r\n")).unwrap_err();
    assert_eq!(error.kind(), ParseErrorKind::Contact);
}

#[test]
fn an_ack_is_never_answered_however_malformed() {
    let bad = |method: &str| {
        let text = String::from_utf8(bytes(b"Contact: <\r\n")).unwrap();
        Message::parse(text.replace("OPTIONS", method).as_bytes()).unwrap_err()
    };
    assert!(bad("OPTIONS").rejectable().is_some());
    assert!(bad("ACK").rejectable().is_none());
}

#[test]
fn the_values_of_lists_are_bounded_like_header_fields() {
    let routes = |n: usize| bytes(format!("Route: {}<sip:z>\r\n", "<sip:a>,".repeat(n)).as_bytes());
    let hops =
        |n: usize| bytes(format!("v: SIP/2.0/TCP z{}\r\n", ", SIP/2.0/TCP a".repeat(n)).as_bytes());
    // One Via, From and To are there already.
    for (list, name) in [(&routes as &dyn Fn(usize) -> Vec<u8>, "Route"), (&hops, "Via")] {
        assert!(Message::parse(&list(252)).is_ok(), "{name}");
        let error = Message::parse(&list(253)).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::TooManyHeaders, "{name}");
    }
}

#[test]
fn a_body_of_thousands_of_parts_is_read_up_to_a_bound() {
    for boundary in ["x", "-"] {
        let body = format!("--{boundary}\r\n\r\n\r\n").repeat(5000);
        let fields =
            format!("c: multipart/mixed; boundary=\"{boundary}\"\r\nl: {}\r\n", body.len());
        let m = Message::parse(&[bytes(fields.as_bytes()), body.into()].concat()).unwrap();
        assert_eq!(parts(&m).len(), MAX_PARTS);
    }
}
