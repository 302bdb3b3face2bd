//! Properties of SIP parsing and printing over generated input.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use proptest::prelude::*;
use subrosa::wire::sip::{
    Frame, HeaderName, Host, Message, MessageBuilder, Method, NameAddr, Scheme, StreamFramer, Uri,
    parts, percent_decode, quote, unquote,
};

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9]{0,5}){0,2}",
        any::<std::net::Ipv4Addr>().prop_map(|a| a.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|a| format!("[{a}]")),
    ]
}

/// SIP URIs by the grammar of RFC 3261 §25.1.
fn uri() -> impl Strategy<Value = String> {
    let user = "([a-zA-Z0-9_.!~*'()&=+$,;?/-]|%[0-9A-Fa-f]{2}){1,12}(:[a-z0-9&=+$,]{0,6})?@";
    let params =
        "(;([a-z]{1,6}|tr%61nsport)(=[a-zA-Z0-9\\[\\]/:&+$.%]{0}[a-zA-Z0-9:/]{1,8})?){0,4}";
    let headers = "(\\?[a-z]{1,6}=[a-z0-9%]{0}[a-z0-9]{0,6}(&[A-Z]{1,4}=x){0,2})?";
    (
        prop_oneof!["sip:", "SIPS:"],
        proptest::option::of(user),
        host(),
        any::<Option<u16>>(),
        params,
        headers,
    )
        .prop_map(|(scheme, user, host, port, params, headers)| {
            let port = port.map(|p| format!(":{p}")).unwrap_or_default();
            format!("{scheme}{}{host}{port}{params}{headers}", user.unwrap_or_default())
        })
}

/// Any text without line breaks and NUL: what a caller may put into a header field.
fn one_line() -> impl Strategy<Value = String> {
    "[^\\r\\n\\x00]{0,20}"
}

fn message() -> impl Strategy<Value = Message> {
    (
        (uri(), uri(), uri(), "[A-Z]{3,9}", any::<u32>()),
        (one_line(), one_line(), proptest::collection::vec(host(), 1..5)),
        (proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()),
    )
        .prop_map(
            |((to, from, contact, method, cseq), (display, extra, hops), (body, response))| {
                let display: String = display.chars().filter(|c| !c.is_control()).collect();
                let method = Method::from(method.as_str());
                let start = if response {
                    MessageBuilder::response(200, &display)
                } else {
                    let target = Uri::parse(&to).unwrap().without_headers().unwrap();
                    MessageBuilder::request(&method, &target)
                };
                let from = NameAddr::new(Uri::parse(&from).unwrap())
                    .with_display(&display)
                    .and_then(|a| a.with_param("tag", Some("a.b")))
                    .unwrap();
                let mut builder = start
                    .header(HeaderName::From, &from)
                    .header(HeaderName::To, format_args!("<{to}>"))
                    .header(HeaderName::CallId, "a84b4c76@x")
                    .header(HeaderName::CSeq, format_args!("{cseq} {method}"))
                    .header(HeaderName::Contact, format_args!("\"a, b\" <{contact}>;q=1, <{to}>"))
                    .header_named("X-Extra", extra.trim_matches([' ', '\t']));
                for hop in hops {
                    builder = builder
                        .prepend(HeaderName::Via, format_args!("SIP/2.0/TLS {hop};branch=z9hG4bKx"))
                        .header(HeaderName::RecordRoute, format_args!("<sip:{hop};lr>"));
                }
                builder.body("application/octet-stream", &body).finish().unwrap()
            },
        )
}

/// Text that looks like SIP, for reaching deep into the parser.
fn nearly_sip() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just("\r\n".to_string()),
        2 => Just("Via: SIP/2.0/UDP h;branch=z9hG4bK1".to_string()),
        2 => Just("From: <sip:a@b>;tag=1".to_string()),
        2 => Just("To: \"x\" <sip:a@b>".to_string()),
        2 => Just("Call-ID: x".to_string()),
        2 => Just("CSeq: 1 INVITE".to_string()),
        1 => Just("INVITE sip:a@b SIP/2.0\r\n".to_string()),
        1 => Just("SIP/2.0 200 OK\r\n".to_string()),
        1 => Just("Content-Length: 3\r\n\r\nabc".to_string()),
        1 => Just("Contact: *".to_string()),
        1 => "[ -~\\t]{0,12}",
        1 => "[<>\";,=:\\\\ %\\[\\]@?&\\t\\r\\n\\x00é]{0,6}",
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Reads everything that a message has.
fn read_all(message: &Message) -> usize {
    let mut count = message.vias().map(|v| v.params().iter().count()).sum::<usize>();
    let addresses = message.contacts().chain(message.routes()).chain(message.record_routes());
    for address in addresses.chain([message.from(), message.to()]) {
        count += address.display().len() + address.params().iter().count();
        count += address.uri().params().iter().count();
        count += address.uri().header_fields().iter().count();
        assert!(address.uri().equivalent(address.uri()));
        let _ = (address.uri().host(), address.uri().user_unescaped(), address.expires());
    }
    let _ = (message.expires(), message.retry_after(), message.media_type(), message.reason());
    count += message.list(HeaderName::Accept).count() + message.all_headers().count();
    count + parts(message).len()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_uri_is_printed_as_it_was_parsed(text in uri()) {
        let uri = Uri::parse(&text).unwrap();
        prop_assert_eq!(uri.as_str(), &text);
        let again: Uri = uri.to_string().parse().unwrap();
        prop_assert_eq!(again.as_str(), &text);
        prop_assert!(uri.equivalent(&uri));
    }

    #[test]
    fn a_uri_made_of_parts_has_those_parts(
        user in any::<String>(), host in host(), port in any::<Option<u16>>(),
        name in "[^\\x00]{1,8}", value in any::<String>(),
    ) {
        let host = Host::parse(&host).unwrap();
        let some_user = (!user.is_empty()).then_some(user.as_str());
        let uri = Uri::from_parts(Scheme::Sip, some_user, host, port).unwrap();
        let uri = uri.with_param(&name, Some(&value)).unwrap();
        prop_assert_eq!(uri.host(), host);
        prop_assert_eq!(uri.port(), port);
        prop_assert_eq!(uri.as_ref().user_unescaped().unwrap_or_default(), user.as_bytes());
        let read = uri.params().get(&name).map(|v| percent_decode(v).into_owned());
        prop_assert_eq!(read.as_deref(), Some(value.as_bytes()));
        prop_assert_eq!(uri.params().iter().count(), 1);
        prop_assert_eq!(uri.without_param(&name).unwrap().params().iter().count(), 0);
    }

    #[test]
    fn equivalence_is_symmetric_and_ignores_case_of_the_host(a in uri(), b in uri()) {
        let (a, b) = (Uri::parse(&a).unwrap(), Uri::parse(&b).unwrap());
        prop_assert_eq!(a.equivalent(&b), b.equivalent(&a));
        let upper = a.as_str().replace(a.host_str(), &a.host_str().to_uppercase());
        if a.as_str().matches(a.host_str()).count() == 1 {
            prop_assert!(Uri::parse(&upper).unwrap().equivalent(&a));
        }
    }

    #[test]
    fn a_message_is_printed_as_it_was_parsed(message in message()) {
        let again = Message::parse(message.as_bytes()).unwrap();
        prop_assert_eq!(again.as_bytes(), message.as_bytes());
        prop_assert_eq!(read_all(&again), read_all(&message));
        let copy = message.edit().finish().unwrap();
        prop_assert_eq!(copy.as_bytes(), message.as_bytes());
    }

    #[test]
    fn a_stream_gives_the_messages_that_went_in(
        messages in proptest::collection::vec(message(), 1..4), step in 1..200usize,
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|m| m.as_bytes().to_vec()).collect();
        let mut framer = StreamFramer::new();
        let mut out = Vec::new();
        for chunk in stream.chunks(step) {
            framer.push(chunk);
            out.extend(framer.by_ref().map(|frame| match frame {
                Frame::Message(message) => message,
                other => panic!("{other:?}"),
            }));
        }
        prop_assert_eq!(out, messages);
        prop_assert_eq!(framer.pending(), 0);
    }

    #[test]
    fn a_value_stays_in_its_header_field(value in any::<String>(), name in any::<String>()) {
        let base = Message::parse(
            b"OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\n\
              Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        ).unwrap();
        if let Ok(built) = base.edit().header_named("X-A", &value).finish() {
            prop_assert_eq!(built.all_headers().count(), 7);
            prop_assert_eq!(built.headers_named("X-A").next(), Some(value.trim_matches([' ', '\t'])));
        } else {
            prop_assert!(value.contains(['\r', '\n', '\0']));
        }
        if let Ok(built) = base.edit().header_named(&name, "x").finish() {
            prop_assert!(built.all_headers().count() <= 7);
        }
        prop_assert_eq!(unquote(quote(&value).trim_matches('"')).contains(['\r', '\n']), false);
    }

    #[test]
    fn nothing_panics_and_a_stream_agrees_with_itself(
        bytes in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), nearly_sip()],
        step in 1..9usize,
    ) {
        match Message::parse(&bytes) {
            Ok(message) => {
                read_all(&message);
                prop_assert!(Message::parse(message.as_bytes()).is_ok());
                let copy = message.edit().finish();
                prop_assert!(copy.is_ok(), "{:?}", copy);
            }
            Err(error) => if let Some(request) = error.rejectable() {
                read_all(request);
                let answer = request.response(error.status(), "x").to_tag("t").finish();
                prop_assert!(answer.is_ok(), "{:?}", answer);
            },
        }
        let frames = |step: usize| {
            let mut framer = StreamFramer::new();
            let mut out = Vec::new();
            for chunk in bytes.chunks(step) {
                framer.push(chunk);
                for frame in framer.by_ref() {
                    match frame {
                        Frame::Message(m) => out.push(format!("{:?}", m.as_bytes())),
                        Frame::KeepAlivePing => {
                            out.pop_if(|last| last == "pong");
                            out.push("ping".into());
                        }
                        Frame::KeepAlivePong => out.push("pong".into()),
                        Frame::Malformed(e) | Frame::Broken(e) => out.push(e.to_string()),
                    }
                }
            }
            (out, framer.pending(), framer.is_broken())
        };
        prop_assert_eq!(frames(step), frames(usize::MAX));
    }
}

#[test]
fn hostile_sizes_are_refused_or_read_in_linear_time() {
    let head = "OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\n\
                Call-ID: c\r\nCSeq: 1 OPTIONS\r\n";
    let message = |extra: &str| format!("{head}{extra}\r\n");
    let kind = |text: &str| Message::parse(text.as_bytes()).err().map(|e| e.kind().as_str());
    assert_eq!(kind(&message(&"X: y\r\n".repeat(251))), None);
    assert_eq!(kind(&message(&"X: y\r\n".repeat(252))), Some("too_many_headers"));
    assert_eq!(kind(&message(&format!("X: {}\r\n", "y".repeat(65_500)))), Some("too_large"));
    // Each was quadratic or deep in some parser.
    let filler = 60_000;
    for text in [
        format!("Contact: {}\r\n", "<sip:a>,".repeat(filler / 8)),
        format!("Contact: \"{}\r\n", "\\\"".repeat(filler / 2)),
        format!("Contact: {}<sip:a>\r\n", "a ".repeat(filler / 2)),
        format!("Route: <sip:a{}>\r\n", ";a".repeat(filler / 2)),
        format!("Route: <sip:a>{}\r\n", ";a=\"\"".repeat(filler / 5)),
        format!("Accept: {}\r\n", "\"".repeat(filler)),
        format!("Subject: x{}\r\n", "\r\n ".repeat(filler / 3)),
        format!("Via: {}\r\n", "SIP/2.0/UDP a,".repeat(filler / 14)),
        format!("c: multipart/mixed;boundary=a\r\n\r\n{}", "--a\r\n".repeat(filler / 5)),
    ] {
        if let Ok(message) = Message::parse(message(&text).as_bytes()) {
            read_all(&message);
        }
    }
}
