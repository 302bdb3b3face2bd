//! Session descriptions: what parses prints into something that reads the same, and is answered
//! or refused under every policy, as an offer and as an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::sdp::{
    CodecDescription, CryptoAttribute, Direction, LocalMedia, MediaSecurity, Negotiator,
    OfferSummary, SessionDescription,
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
    for security in [
        MediaSecurity::Plain,
        MediaSecurity::Sdes(lines.clone()),
        MediaSecurity::SdesIfPossible(lines),
    ] {
        let required = matches!(security, MediaSecurity::Sdes(_));
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
