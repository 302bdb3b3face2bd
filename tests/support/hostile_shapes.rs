//! Messages that were made to cost much: each shape by its name, with a size in bytes of what is
//! repeated in it.
#![allow(dead_code, unreachable_pub)]

/// A shape of a message: it takes about as many bytes as it is told, and some hundred more.
pub type Shape = (&'static str, fn(usize) -> String);

/// An INVITE with these header lines and this body.
fn invite(headers: &str, kind: &str, body: &str) -> String {
    format!(
        "INVITE sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKc\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@h.test>;tag=a\r\nTo: <sip:bob@127.0.0.1>\r\n\
         Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.1>\r\n{headers}\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn with(headers: &str) -> String {
    invite(headers, "application/sdp", &sdp("RTP/AVP 0", ""))
}

fn sdp(media: &str, more: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 {media}\r\n{more}"
    )
}

fn described(media: &str, more: &str) -> String {
    invite("", "application/sdp", &sdp(media, more))
}

fn of(piece: &str, size: usize) -> String {
    piece.repeat(size / piece.len())
}

/// Pieces that differ by their number.
fn numbered(size: usize, piece: impl Fn(usize) -> String) -> String {
    let mut all = String::new();
    for n in 1.. {
        let next = piece(n);
        if all.len() + next.len() > size {
            break;
        }
        all += &next;
    }
    all
}

fn key(n: usize) -> String {
    format!(
        "a=crypto:{n} AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
    )
}

fn nested(size: usize) -> String {
    let mut body = format!("Content-Type: application/sdp\r\n\r\n{}", sdp("RTP/AVP 0", ""));
    let mut level = 0;
    while body.len() < size {
        level += 1;
        body = format!(
            "Content-Type: multipart/mixed;boundary=b{level}\r\n\r\n--b{level}\r\n{body}\r\n--b{level}--\r\n"
        );
    }
    let kind = format!("multipart/mixed;boundary=b{level}");
    invite("", &kind, body.split_once("\r\n\r\n").unwrap_or_default().1)
}

/// All shapes.
pub const SHAPES: &[Shape] = &[
    ("many headers", |n| with(&numbered(n, |i| format!("X-{i}: y\r\n")))),
    ("few headers, long", |n| with(&of(&format!("X: {}\r\n", "y".repeat(n / 200)), n))),
    ("one long header", |n| with(&format!("X: {}\r\n", "y".repeat(n)))),
    ("many Vias in a list", |n| {
        with(&format!("Via: {}SIP/2.0/TCP z\r\n", of("SIP/2.0/TCP h,", n)))
    }),
    ("many Via lines", |n| with(&of("Via: SIP/2.0/TCP host.example;branch=z9hG4bKx\r\n", n))),
    ("Via parameters", |n| with(&format!("Via: SIP/2.0/TCP h{}\r\n", of(";a=b", n)))),
    ("Contact list", |n| with(&format!("Contact: {}<sip:z>\r\n", of("<sip:a>,", n)))),
    ("Route list", |n| with(&format!("Route: {}<sip:z;lr>\r\n", of("<sip:a;lr>,", n)))),
    ("Record-Route list", |n| {
        with(&format!("Record-Route: {}<sip:z;lr>\r\n", of("<sip:a;lr>,", n)))
    }),
    ("Record-Route lines", |n| with(&of("Record-Route: <sip:proxy.example.com;lr>\r\n", n))),
    ("quotes without end", |n| with(&format!("Contact: \"{}\r\n", "a".repeat(n)))),
    ("escaped quotes", |n| with(&format!("Contact: \"{}\" <sip:a>\r\n", of("\\\"", n)))),
    ("escaped quotes without end", |n| with(&format!("Supported: \"{}\r\n", of("\\\"", n)))),
    ("many quotes", |n| with(&format!("Contact: {}\r\n", "\"".repeat(n)))),
    ("quotes in a list", |n| with(&format!("Accept: {}\r\n", of("\"a\",", n)))),
    ("open quotes in a list", |n| with(&format!("Supported: {}\r\n", of("\",", n)))),
    ("quoted parameters", |n| with(&format!("Route: <sip:a>{}\r\n", of(";a=\"\"", n)))),
    ("display of many words", |n| with(&format!("Contact: {}<sip:a>\r\n", of("a ", n)))),
    ("URI parameters", |n| with(&format!("Contact: <sip:a{}>\r\n", of(";a=b", n)))),
    ("different URI parameters", |n| {
        with(&format!("Contact: <sip:a{}>\r\n", numbered(n, |i| format!(";p{i}"))))
    }),
    ("URI headers", |n| with(&format!("Contact: <sip:a?x=y{}>\r\n", of("&a=b", n)))),
    ("escapes in a user", |n| with(&format!("Contact: <sip:{}@h>\r\n", of("%41", n)))),
    ("a long Request-URI", |n| {
        with("").replacen("sip:bob@127.0.0.1", &format!("sip:bob@127.0.0.1{}", of(";a=b", n)), 1)
    }),
    ("escapes in the Request-URI", |n| {
        with("").replacen("sip:bob@127.0.0.1", &format!("sip:{}@127.0.0.1", of("%62", n)), 1)
    }),
    ("escaped names of URI parameters", |n| {
        with("").replacen("sip:bob@127.0.0.1", &format!("sip:bob@127.0.0.1{}", of(";%61=b", n)), 1)
    }),
    ("escapes in From and To", |n| {
        let user = of("%62", n / 2);
        let from = with("").replacen("<sip:a@h.test>", &format!("<sip:{user}@h.test>"), 1);
        from.replacen("<sip:bob@127.0.0.1>", &format!("<sip:{user}@127.0.0.1>"), 1)
    }),
    ("parameters of one Record-Route", |n| {
        with(&format!("Record-Route: <sip:proxy.example.com{}>\r\n", of(";a=b", n)))
    }),
    ("escaped parameters of one Record-Route", |n| {
        with(&format!("Record-Route: <sip:proxy.example.com{}>\r\n", of(";%61=b", n)))
    }),
    ("a long Call-ID", |n| {
        with("").replacen("Call-ID: c", &format!("Call-ID: {}", "c".repeat(n)), 1)
    }),
    ("a long tag", |n| with("").replacen("tag=a", &format!("tag={}", "a".repeat(n)), 1)),
    ("a long display name", |n| {
        with("").replacen("From: ", &format!("From: \"{}\" ", "é".repeat(n / 2)), 1)
    }),
    ("a number of many digits", |n| {
        with("").replacen("Max-Forwards: ", &format!("Max-Forwards: {}", "0".repeat(n)), 1)
    }),
    ("folded lines", |n| with(&format!("Subject: x{}\r\n", of("\r\n y", n)))),
    ("folded Contact", |n| with(&format!("Contact: {}<sip:z>\r\n", of("<sip:a>,\r\n ", n)))),
    ("Require list", |n| with(&format!("Require: {}z\r\n", of("abc,", n)))),
    ("Accept list", |n| with(&format!("Accept: {}application/sdp\r\n", of("a/b,", n)))),
    ("Accept parameters", |n| with(&format!("Accept: application/sdp{}\r\n", of(";q=1", n)))),
    ("nested multipart", nested),
    ("many parts", |n| {
        invite("", "multipart/mixed;boundary=b", &format!("{}--b--\r\n", of("--b\r\n\r\nx\r\n", n)))
    }),
    ("nearly boundaries", |n| {
        invite("", "multipart/mixed;boundary=aaaaaaaab", &of("\r\n--aaaaaaaa", n))
    }),
    ("headers of a part", |n| {
        let part = format!("--b\r\n{}\r\nx\r\n--b--\r\n", of("X: y\r\n", n));
        invite("", "multipart/mixed;boundary=b", &part)
    }),
    ("crypto lines", |n| described("RTP/SAVP 0", &numbered(n, key))),
    ("keys in one crypto line", |n| {
        let keys = of("inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|1:4;", n);
        described("RTP/SAVP 0", &format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {keys}\r\n"))
    }),
    ("m-lines", |n| described("RTP/AVP 0", &of("m=audio 4000 RTP/AVP 0\r\n", n))),
    ("attributes", |n| described("RTP/AVP 0", &of("a=x:y\r\n", n))),
    ("attributes in m-lines", |n| {
        let media = format!("m=audio 4000 RTP/AVP 0\r\n{}", of("a=x:y\r\n", 1_750));
        described("RTP/AVP 0", &of(&media, n))
    }),
    ("formats", |n| {
        described(&format!("RTP/AVP 0{}", numbered(n, |i| format!(" {}", i % 128))), "")
    }),
    ("rtpmaps", |n| {
        described("RTP/AVP 0", &numbered(n, |i| format!("a=rtpmap:{} X{i}/8000\r\n", i % 128)))
    }),
    ("formats with rtpmaps", |n| {
        let formats = numbered(n / 2, |i| format!(" {}", i % 128));
        let maps = numbered(n / 2, |i| format!("a=rtpmap:{} X{i}/8000\r\n", i % 128));
        described(&format!("RTP/AVP 0{formats}"), &maps)
    }),
    ("a long fmtp", |n| described("RTP/AVP 0", &format!("a=fmtp:0 {}\r\n", of("a=b;", n)))),
    ("fingerprints", |n| {
        let value = format!("a=fingerprint:sha-256 {}00\r\n", "00:".repeat(31));
        described("UDP/TLS/RTP/SAVP 0", &of(&value, n))
    }),
    ("candidates", |n| {
        described("RTP/AVP 0", &of("a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\n", n))
    }),
    ("times", |n| described("RTP/AVP 0", "").replacen("t=0 0\r\n", &of("t=0 0\r\n", n), 1)),
    ("no line end", |n| "a".repeat(n)),
    ("line ends alone", |n| "\r\n".repeat(n / 2)),
    ("pings", |n| "\r\n\r\n".repeat(n / 4)),
];
