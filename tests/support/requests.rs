//! Requests and answers of two users.
#![allow(dead_code, unreachable_pub)]

use subrosa::wire::sip::{HeaderName, Message};

pub fn request(method: &str, call: u32, branch: &str, to_tag: Option<&str>) -> Message {
    let tag = to_tag.map(|t| format!(";tag={t}")).unwrap_or_default();
    let text = format!(
        "{method} sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch={branch}\r\n\
         From: <sip:alice@a.example>;tag=a{call}\r\nTo: <sip:bob@b.example>{tag}\r\n\
         Call-ID: c{call}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:alice@a.example>\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes()).unwrap()
}

pub fn answer(request: &Message, status: u16) -> Message {
    let answer = request.response(status, "X").to_tag("b");
    answer.header(HeaderName::Contact, "<sip:bob@b.example>").finish().unwrap()
}
