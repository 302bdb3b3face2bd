//! Messages for the tests of the dialog machines.

use crate::wire::sip::{HeaderName, Message};

/// A request of Alice to Bob in call c1.
pub(crate) fn request(method: &str, cseq: u32, to_tag: Option<&str>) -> Message {
    let tag = to_tag.map(|t| format!(";tag={t}")).unwrap_or_default();
    let text = format!(
        "{method} sip:bob@biloxi.example SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK{method}{cseq}\r\n\
         From: Alice <sip:alice@atlanta.example>;tag=a1\r\nTo: <sip:bob@biloxi.example>{tag}\r\n\
         Call-ID: c1\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:alice@pc.example>\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes()).unwrap()
}

/// Bob's 200 with this tag.
pub(crate) fn ok(request: &Message, tag: &str) -> Message {
    let ok = request.response(200, "OK").to_tag(tag);
    ok.header(HeaderName::Contact, "<sip:bob@phone.example>").finish().unwrap()
}
