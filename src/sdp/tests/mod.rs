//! The rules of RFC 3264 and RFC 4568 on whole descriptions.

mod cost;
mod dtls;
mod exchange;
mod hostile;
mod keying;
mod print;
mod shapes;

use super::*;
use crate::util::Secret;
use alloc::{format, string::String, vec, vec::Vec};

pub(super) const SUITE_80: &str = "AES_CM_128_HMAC_SHA1_80";
pub(super) const SUITE_32: &str = "AES_CM_128_HMAC_SHA1_32";

pub(super) fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

/// A session of 192.0.2.9 with these m= lines and attributes.
pub(super) fn peer(media: &str) -> SessionDescription {
    parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{media}"
    ))
}

pub(super) fn codec(payload_type: u8, name: &str, clock_rate: u32) -> CodecDescription {
    CodecDescription::new(payload_type, name, clock_rate)
}

pub(super) fn crypto(tag: u32, suite: &str, key: u8) -> CryptoAttribute {
    CryptoAttribute::new(tag, suite, Secret::new(vec![key; 30]))
}

pub(super) fn lines() -> Vec<CryptoAttribute> {
    vec![crypto(1, SUITE_80, 1), crypto(2, SUITE_32, 2)]
}

pub(super) fn local(security: MediaSecurity) -> LocalMedia {
    LocalMedia {
        rtp: "192.0.2.1:4000".parse().unwrap(),
        rtcp: None,
        rtcp_mux: false,
        codecs: vec![
            codec(9, "G722", 8000),
            codec(0, "PCMU", 8000),
            codec(8, "PCMA", 8000),
            CodecDescription { fmtp: Some("0-16".into()), ..codec(101, "telephone-event", 8000) },
        ],
        direction: Direction::SendRecv,
        ptime: Some(20),
        security,
    }
}

pub(super) fn plain() -> LocalMedia {
    local(MediaSecurity::plain())
}

/// Answers an offer with a fresh machine.
pub(super) fn answer(
    offer: SessionDescription,
    local: &LocalMedia,
) -> Result<(SessionDescription, NegotiatedMedia), NegotiationError> {
    let mut negotiator = Negotiator::new(7);
    negotiator.handle_offer(offer)?;
    negotiator.create_answer(local)
}

/// What goes over the wire and back.
pub(super) fn wire(description: &SessionDescription) -> SessionDescription {
    SessionDescription::parse(&description.to_bytes()).unwrap()
}

pub(super) fn names(media: &NegotiatedMedia) -> Vec<String> {
    media.codecs.iter().map(|c| format!("{}/{}", c.name, c.send_payload_type)).collect()
}

pub(super) fn fingerprint(value: u8) -> Fingerprint {
    Fingerprint::new("sha-256", vec![value; 32]).unwrap()
}

/// A DTLS side with the certificate of this number.
pub(super) fn dtls(value: u8) -> LocalDtls {
    LocalDtls::new(vec![fingerprint(value)])
}

pub(super) fn security(local: LocalMedia, security: MediaSecurity) -> LocalMedia {
    LocalMedia { security, ..local }
}

/// A whole exchange over the wire: what the offerer and what the answerer agreed on.
pub(super) fn exchange(
    offerer: &mut Negotiator,
    ours: &LocalMedia,
    answerer: &mut Negotiator,
    theirs: &LocalMedia,
) -> (NegotiatedMedia, NegotiatedMedia) {
    let offer = offerer.create_offer(ours).unwrap();
    answerer.handle_offer(wire(&offer)).unwrap();
    let (answer, there) = answerer.create_answer(theirs).unwrap();
    let here = offerer.handle_answer(wire(&answer)).unwrap();
    (here, there)
}
