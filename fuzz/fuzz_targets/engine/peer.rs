//! What the far end says: answers to what the engine sent, requests in its dialogs, raw bytes with
//! the ids of a dialog spliced in.

use subrosa::wire::sip::{HeaderName, Message};

use crate::bytes::Bytes;

const METHODS: [&str; 12] = [
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "INFO", "PRACK", "REFER", "NOTIFY",
    "MESSAGE", "REGISTER",
];
const STATUSES: [u16; 24] = [
    100, 180, 183, 200, 200, 202, 300, 302, 400, 401, 404, 407, 408, 415, 422, 423, 481, 486, 487,
    488, 491, 503, 603, 699,
];
/// Where the far end is.
pub const HOST: &str = "192.0.2.9:5060";

const PLAIN: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 0 8 9 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const CRYPTO: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 4000 RTP/SAVP 0 9 101\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

/// The ids of a dialog as the far end sees it.
struct Ids {
    call_id: String,
    from: String,
    to: String,
    cseq: u32,
    branch: String,
    target: String,
}

impl Ids {
    /// From a message that the engine sent; a fresh dialog without one.
    fn of(sent: Option<&Message>, tag: u8) -> Self {
        let Some(sent) = sent else {
            return Self {
                call_id: format!("fresh{}", tag % 8),
                from: format!("<sip:bob@{HOST}>;tag=p{}", tag % 4),
                to: "<sip:alice@192.0.2.1>".into(),
                cseq: 1,
                branch: format!("z9hG4bKf{}", tag % 8),
                target: "sip:alice@192.0.2.1".into(),
            };
        };
        let header = |name| sent.header(name).unwrap_or_default().to_string();
        let (mut from, to) = match sent.is_request() {
            true => (header(HeaderName::To), header(HeaderName::From)),
            false => (header(HeaderName::From), header(HeaderName::To)),
        };
        if !from.contains(";tag=") {
            from = format!("{from};tag=t{}", tag % 3);
        }
        let contact = sent.contacts().next().map(|c| c.uri().as_str().to_string());
        Self {
            call_id: sent.call_id().to_string(),
            from,
            to,
            cseq: sent.cseq().number,
            branch: sent.top_via().and_then(|v| v.branch().map(str::to_string)).unwrap_or_default(),
            target: contact.unwrap_or_else(|| "sip:alice@192.0.2.1".into()),
        }
    }
}

/// `tag` names the line that is answered.
fn body(bytes: &mut Bytes<'_>, tag: &str) -> (String, Vec<u8>) {
    let crypto = CRYPTO.replace("crypto:1", &format!("crypto:{tag}"));
    let sdp = || "application/sdp".to_string();
    match bytes.u8() % 10 {
        0 => (String::new(), Vec::new()),
        1 => (sdp(), PLAIN.into()),
        2 => (sdp(), crypto.into()),
        3 => (sdp(), format!("{PLAIN}a=sendonly\r\n").into()),
        4 => (sdp(), format!("{crypto}a=inactive\r\n").into()),
        5 => (sdp(), PLAIN.replace("4000", "0").into()),
        6 => (sdp(), crypto.replace("SAVP", "AVP").replace("_80", "_32").into()),
        7 => (sdp(), [PLAIN.as_bytes(), bytes.block()].concat()),
        8 => (sdp(), bytes.block().to_vec()),
        _ => {
            let part = ["--b\r\nContent-Type: application/sdp\r\n\r\n", PLAIN, "\r\n--b"].concat();
            ("multipart/mixed;boundary=b".into(), [part.as_bytes(), bytes.block()].concat())
        }
    }
}

/// Header fields that a message may have or lack.
fn extras(bytes: &mut Bytes<'_>, out: &mut String) {
    let bits = bytes.u8();
    let lines = [
        format!("Contact: <sip:bob@{HOST};transport=udp>"),
        "Record-Route: <sip:192.0.2.8;lr>, <sip:192.0.2.7>".into(),
        "Contact: <sip:bob@192.0.2.9;transport=tcp>".into(),
        "Require: 100rel, timer".into(),
        "Supported: timer, replaces, 100rel\r\nSession-Expires: 90;refresher=uas\r\nMin-SE: 90"
            .into(),
        "RSeq: 1\r\nRAck: 1 1 INVITE".into(),
        "Retry-After: 3\r\nMin-Expires: 3600\r\nExpires: 120".into(),
    ];
    for (at, line) in lines.iter().enumerate() {
        if bits & (1 << at) != 0 {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    if bits & 0x80 != 0 {
        let stale = if bits & 1 != 0 { ", stale=true" } else { "" };
        let algorithm = bytes.of(&["MD5", "SHA-256", "SHA-512-256", "MD5-sess"]).unwrap_or("MD5");
        for name in ["WWW-Authenticate", "Proxy-Authenticate"] {
            out.push_str(&format!(
                "{name}: Digest realm=\"r\", nonce=\"n{bits}\", algorithm={algorithm}, \
                 qop=\"auth\"{stale}\r\n"
            ));
        }
    }
}

fn finish(mut head: String, bytes: &mut Bytes<'_>, tag: &str) -> Vec<u8> {
    extras(bytes, &mut head);
    let (kind, body) = body(bytes, tag);
    if !kind.is_empty() {
        head.push_str(&format!("Content-Type: {kind}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.into_bytes(), body].concat()
}

/// A request: in the dialog of a message that the engine sent, or outside of any.
pub fn request(sent: Option<&Message>, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let method = bytes.of(&METHODS).unwrap_or("INVITE");
    let choice = bytes.u8();
    let ids = Ids::of(sent, choice);
    let cseq = match bytes.u8() {
        0 => ids.cseq,
        255 => u32::MAX >> 1,
        n => u32::from(n),
    };
    // What acknowledges or cancels has the branch of its INVITE.
    let branch = match choice >> 4 {
        0 => ids.branch,
        n => format!("z9hG4bKq{n}"),
    };
    finish(
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST};branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n",
            ids.target, ids.from, ids.to, ids.call_id
        ),
        bytes,
        "1",
    )
}

/// The tag of the suite that the far end has, in the engine's offer.
fn crypto_tag(offer: &Message) -> String {
    let body = String::from_utf8_lossy(offer.body());
    let line = body.lines().find(|l| l.contains("AES_CM_128_HMAC_SHA1_80"));
    let tag = line.and_then(|l| l.strip_prefix("a=crypto:")?.split(' ').next());
    tag.unwrap_or("1").to_string()
}

/// A response to a request that the engine sent.
pub fn response(sent: &Message, bytes: &mut Bytes<'_>) -> Option<Vec<u8>> {
    let status = bytes.of(&STATUSES).unwrap_or(200);
    let tag = bytes.u8();
    let mut answer = sent.response(status, "Said so");
    if tag != 255 {
        answer = answer.to_tag(&format!("t{}", tag % 3));
    }
    if sent.cseq().method.as_str() == "REGISTER"
        && let Some(contact) = sent.header(HeaderName::Contact)
    {
        answer = answer.header(HeaderName::Contact, format!("{contact};expires={}", tag));
    }
    let answer = answer.remove(HeaderName::ContentLength).finish().ok()?;
    let text = String::from_utf8_lossy(answer.as_bytes()).into_owned();
    let head = text.split("\r\n\r\n").next()?;
    // The length is written anew with the body.
    let head: Vec<&str> = head.lines().filter(|l| !l.starts_with("Content-Length")).collect();
    Some(finish(format!("{}\r\n", head.join("\r\n")), bytes, &crypto_tag(sent)))
}

/// Raw bytes, control characters of which stand for the ids of a dialog.
pub fn spliced(sent: Option<&Message>, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let ids = Ids::of(sent, bytes.u8());
    let cseq = ids.cseq.to_string();
    let mut out = Vec::new();
    for byte in bytes.block() {
        match byte {
            1 => out.extend(ids.call_id.as_bytes()),
            2 => out.extend(ids.from.as_bytes()),
            3 => out.extend(ids.to.as_bytes()),
            4 => out.extend(ids.branch.as_bytes()),
            5 => out.extend(cseq.as_bytes()),
            6 => out.extend(ids.target.as_bytes()),
            7 => out.extend(PLAIN.as_bytes()),
            8 => out.extend(CRYPTO.as_bytes()),
            other => out.push(*other),
        }
    }
    out
}
