//! The topmost Via on receipt and for responses (RFC 3261 §18.2, RFC 3581).

use alloc::format;
use core::net::{IpAddr, SocketAddr};

use crate::wire::sip::{HeaderName, Message, ViaRef};

/// Adds `received` where the source differs from sent-by or `rport` asks for it, and fills in
/// `rport`.
pub(super) fn stamp(message: Message, source: SocketAddr) -> Message {
    let Some(via) = message.top_via() else { return message };
    let ip = source.ip().to_canonical();
    let wants_port = matches!(via.rport(), Some(None));
    let differs = via.host().ip().map(|host| host.to_canonical()) != Some(ip);
    // The far end may not say where it was received from.
    let forged = via.received().is_some();
    if !wants_port && !differs && !forged {
        return message;
    }
    let value = stamped(via, ip, source.port(), wants_port);
    message.edit().map_first(HeaderName::Via, |_| value).finish().unwrap_or(message)
}

fn stamped(via: ViaRef<'_>, ip: IpAddr, port: u16, wants_port: bool) -> alloc::string::String {
    let mut out = format!("SIP/2.0/{} {}", via.transport(), via.sent_by());
    for (name, value) in via.params().iter() {
        if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") && wants_port
        {
            continue;
        }
        out.push(';');
        out.push_str(name);
        if let Some(value) = value {
            out.push('=');
            out.push_str(value);
        }
    }
    out.push_str(&format!(";received={ip}"));
    if wants_port {
        out.push_str(&format!(";rport={port}"));
    }
    out
}

/// Where a message leaves to: requests to the flow's far end, responses as §18.2.2 and RFC 3581 §4
/// say: to the source address, and to the source port only if `rport` was asked for. `maddr` is
/// not followed: it would let a request send our responses to anybody.
pub(super) fn response_target(message: &Message, flow: SocketAddr) -> SocketAddr {
    if message.is_request() {
        return flow;
    }
    match message.top_via() {
        Some(via) if via.rport().is_none() => {
            SocketAddr::new(flow.ip(), via.port().unwrap_or(5060))
        }
        _ => flow,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn request(via: &str) -> Message {
        let text = format!(
            "OPTIONS sip:b@h SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
             Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn received_and_rport_are_filled_in_and_decide_where_responses_go() {
        let source = "192.0.2.7:9988".parse().unwrap();
        let stamped =
            stamp(request("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff"), source);
        let via = stamped.top_via().unwrap();
        assert_eq!((via.received(), via.rport()), (Some(source.ip()), Some(Some(9988))));
        assert_eq!(via.branch(), Some("z9hG4bKkjshdyff"));
        let response = stamped.response(200, "OK").to_tag("x").finish().unwrap();
        assert_eq!(response_target(&response, source), source);
        let stamped =
            stamp(request("SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKa;received=1.2.3.4"), source);
        assert_eq!(stamped.top_via().unwrap().received(), Some(source.ip()));
        let response = stamped.response(200, "OK").to_tag("x").finish().unwrap();
        assert_eq!(response_target(&response, source).to_string(), "192.0.2.7:4540");
        let bare = stamp(request("SIP/2.0/UDP phone.example;branch=z9hG4bKa"), source);
        let response = bare.response(200, "OK").to_tag("x").finish().unwrap();
        assert_eq!(response_target(&response, source).to_string(), "192.0.2.7:5060");
    }

    #[test]
    fn a_source_that_matches_sent_by_leaves_the_message_alone() {
        let message =
            request("SIP/2.0/UDP 192.0.2.7:9988;branch=z9hG4bKa, SIP/2.0/UDP x;branch=z9hG4bKb");
        let before = message.as_bytes().to_vec();
        assert_eq!(stamp(message, "192.0.2.7:9988".parse().unwrap()).as_bytes(), before);
    }

    #[test]
    fn only_the_topmost_via_is_stamped_and_a_forged_source_is_replaced() {
        let source = "[::ffff:192.0.2.7]:9988".parse().unwrap();
        let forged =
            stamp(request("SIP/2.0/UDP 192.0.2.7;received=9.9.9.9;branch=z9hG4bKa"), source);
        let value = forged.header(HeaderName::Via);
        assert_eq!(value, Some("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa;received=192.0.2.7"));
        let vias =
            "SIP/2.0/UDP 192.0.2.7;received=9.9.9.9;RPORT;branch=z9hG4bKa, SIP/2.0/TCP x;rport";
        let stamped = stamp(request(vias), source);
        let value = stamped.header(HeaderName::Via).unwrap();
        assert_eq!(
            value,
            "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa;received=192.0.2.7;rport=9988, SIP/2.0/TCP x;rport"
        );
    }
}
