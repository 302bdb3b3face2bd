//! Session descriptions: what parses prints into something that reads the same, and is answered
//! or refused under every policy, as an offer and as an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::sdp::{
    CodecDescription, CryptoAttribute, Direction, Fingerprint, LocalDtls, LocalMedia,
    MediaSecurity, Negotiator, OfferShape, OfferSummary, SessionDescription,
};
use subrosa::util::Secret;

fn local(security: MediaSecurity) -> LocalMedia {
    LocalMedia {
        rtp: "192.0.2.1:4000".parse().expect("an address"),
        rtcp: None,
        rtcp_mux: true,
        codecs: vec![
            CodecDescription::new(9, "G722", 8000),
            CodecDescription::new(0, "PCMU", 8000),
            CodecDescription::new(101, "telephone-event", 8000),
        ],
        direction: Direction::SendRecv,
        ptime: None,
        security,
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(description) = SessionDescription::parse(data) else { return };
    // Names may hold characters that are no part of a line; printing drops them once.
    let once = SessionDescription::parse(&description.to_bytes());
    if let Ok(once) = once {
        let mut twice = SessionDescription::parse(&once.to_bytes()).expect("it was written");
        twice.ignored = once.ignored;
        assert_eq!(once, twice);
    }
    let _ = OfferSummary::of(&description);
    let key = Secret::new(vec![1; 30]);
    let lines = vec![CryptoAttribute::new(1, "AES_CM_128_HMAC_SHA1_80", key)];
    let fingerprint = Fingerprint::new("sha-256", vec![7; 32]).expect("of the right length");
    let dtls = LocalDtls::new(vec![fingerprint]);
    let both = MediaSecurity::sdes_if_possible(lines.clone()).with_dtls(dtls.clone());
    for security in [
        MediaSecurity::plain(),
        MediaSecurity::sdes(lines.clone()),
        MediaSecurity::sdes_if_possible(lines),
        MediaSecurity::required().with_dtls(dtls),
        both.clone().with_shape(OfferShape::Dual),
        both.preferring_dtls(),
    ] {
        let required = !security.plain;
        let local = local(security);
        let mut negotiator = Negotiator::new(1);
        negotiator.handle_offer(description.clone()).expect("no offer is open");
        if let Ok((answer, media)) = negotiator.create_answer(&local) {
            assert_eq!(answer.media.len(), description.media.len());
            assert!(!required || media.keys.is_some());
            negotiator.create_offer(&local).expect("a re-offer is always possible");
            negotiator.rollback();
        }
        let mut negotiator = Negotiator::new(1);
        negotiator.create_offer(&local).expect("an offer is always possible");
        if let Ok(media) = negotiator.handle_answer(description.clone()) {
            assert!(!required || media.keys.is_some());
            assert!((10..=120).contains(&media.ptime));
        }
    }
});
