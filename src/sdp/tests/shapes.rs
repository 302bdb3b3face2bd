//! Every shape in which SRTP is offered, how it is answered, and what re-offers keep.

use super::*;
use proptest::prelude::*;

fn sdes_lines(fill: u8) -> Vec<CryptoAttribute> {
    vec![crypto(1, SUITE_80, fill), crypto(2, SUITE_32, fill + 1)]
}

fn both(security: MediaSecurity) -> MediaSecurity {
    security.with_sdes(sdes_lines(1)).with_dtls(dtls(1))
}

/// What the first line offered looks like: profile, a=crypto lines, fingerprints.
fn shape(line: &MediaDescription) -> (&str, usize, usize) {
    (line.profile.as_str(), line.crypto.len(), line.fingerprints.len())
}

fn offer(security: MediaSecurity) -> SessionDescription {
    Negotiator::new(1).create_offer(&local(security)).unwrap()
}

/// An offer with SRTP keys of these kinds under this profile.
fn offered(profile: &str, sdes: bool, fingerprint_: bool) -> String {
    let mut text = format!("m=audio 5000 {profile} 0\r\n");
    if sdes {
        text += &format!("a=crypto:{}\r\n", *crypto(1, SUITE_80, 9).to_value());
    }
    if fingerprint_ {
        text += &format!("a=fingerprint:{}\r\na=setup:actpass\r\n", fingerprint(9));
    }
    text
}

fn keying(media: &NegotiatedMedia) -> &'static str {
    match &media.keys {
        None => "plain",
        Some(NegotiatedKeying::Sdes(_)) => "sdes",
        Some(NegotiatedKeying::Dtls(_)) => "dtls",
    }
}

#[test]
fn each_shape_is_offered_as_it_is_named() {
    let plain = offer(both(MediaSecurity::plain()));
    assert_eq!(shape(&plain.media[0]), ("RTP/AVP", 0, 0));
    let opportunistic = offer(both(MediaSecurity::opportunistic()));
    assert_eq!(shape(&opportunistic.media[0]), ("RTP/AVP", 2, 1));
    let secure = offer(both(MediaSecurity::required()));
    // Who may not answer the keys finds a fingerprint in the same line.
    assert_eq!(shape(&secure.media[0]), ("RTP/SAVP", 2, 1));
    let handshake = offer(both(MediaSecurity::required()).preferring_dtls());
    assert_eq!(shape(&handshake.media[0]), ("UDP/TLS/RTP/SAVP", 0, 1));
    let only_dtls = offer(MediaSecurity::required().with_dtls(dtls(1)));
    assert_eq!(shape(&only_dtls.media[0]), ("UDP/TLS/RTP/SAVP", 0, 1));
    let dual = offer(both(MediaSecurity::opportunistic()).with_shape(OfferShape::Dual));
    assert_eq!(dual.media.len(), 2);
    assert_eq!(shape(&dual.media[0]), ("RTP/SAVP", 2, 1));
    assert_eq!(shape(&dual.media[1]), ("RTP/AVP", 0, 0));
    assert_eq!(dual.media[0].port, dual.media[1].port);
    let handshake =
        offer(both(MediaSecurity::opportunistic()).with_shape(OfferShape::Dual).preferring_dtls());
    assert_eq!(shape(&handshake.media[0]), ("UDP/TLS/RTP/SAVP", 0, 1));
    // Without keys there is nothing to ask for.
    for security in [OfferShape::Opportunistic, OfferShape::Secure, OfferShape::Dual] {
        let bare = offer(MediaSecurity::plain().with_shape(security));
        assert_eq!((bare.media.len(), shape(&bare.media[0])), (1, ("RTP/AVP", 0, 0)));
    }
    for security in [OfferShape::Plain, OfferShape::Dual] {
        let local = local(both(MediaSecurity::required()).with_shape(security));
        let result = Negotiator::new(1).create_offer(&local);
        assert_eq!(result, Err(NegotiationError::PlainNotAllowed));
    }
}

#[test]
fn every_offered_shape_is_answered_as_srtp() {
    let both = both(MediaSecurity::opportunistic());
    let sdes = MediaSecurity::opportunistic().with_sdes(sdes_lines(1));
    let dtls = MediaSecurity::opportunistic().with_dtls(dtls(1));
    let prefer_dtls = both.clone().preferring_dtls();
    for (profile, crypto, print, expected) in [
        ("RTP/AVP", true, false, ["sdes", "sdes", "plain", "sdes"]),
        ("RTP/AVPF", true, false, ["sdes", "sdes", "plain", "sdes"]),
        ("RTP/AVP", false, true, ["dtls", "plain", "dtls", "dtls"]),
        ("RTP/AVPF", false, true, ["dtls", "plain", "dtls", "dtls"]),
        ("RTP/AVP", true, true, ["sdes", "sdes", "dtls", "dtls"]),
        ("RTP/SAVP", true, false, ["sdes", "sdes", "none", "sdes"]),
        ("RTP/SAVPF", true, true, ["sdes", "sdes", "dtls", "dtls"]),
        ("RTP/SAVPF", false, true, ["dtls", "none", "dtls", "dtls"]),
        ("UDP/TLS/RTP/SAVP", false, true, ["dtls", "none", "dtls", "dtls"]),
        ("UDP/TLS/RTP/SAVPF", false, true, ["dtls", "none", "dtls", "dtls"]),
        ("UDP/TLS/RTP/SAVP", true, true, ["dtls", "none", "dtls", "dtls"]),
        ("RTP/AVP", false, false, ["plain", "plain", "plain", "plain"]),
        ("RTP/SAVP", false, false, ["none", "none", "none", "none"]),
    ] {
        let ours = [&both, &sdes, &dtls, &prefer_dtls];
        for (security, expected) in ours.into_iter().zip(expected) {
            let offer = peer(&offered(profile, crypto, print));
            let result = answer(offer, &local(security.clone()));
            let got = result.as_ref().map_or("none", |(_, media)| keying(media));
            assert_eq!(got, expected, "{profile} {crypto} {print} {security:?}");
            let Ok((answer, _)) = result else { continue };
            // The profile is the offer's, and one keying is named.
            let keys = (usize::from(got == "sdes"), usize::from(got == "dtls"));
            assert_eq!(shape(&answer.media[0]), (profile, keys.0, keys.1));
            let setup = (got == "dtls").then_some(Setup::Active);
            assert_eq!(answer.media[0].setup, setup);
        }
    }
}

#[test]
fn of_two_lines_the_encrypted_one_is_taken_wherever_it_stands() {
    let plain = "m=audio 5002 RTP/AVP 0\r\n";
    let secure = offered("RTP/SAVP", true, false);
    let handshake = offered("UDP/TLS/RTP/SAVP", false, true);
    let both = both(MediaSecurity::opportunistic());
    let run = |media: [&str; 2], security: &MediaSecurity| {
        let (answer, media) = answer(peer(&media.concat()), &local(security.clone())).unwrap();
        let ports: Vec<_> = answer.media.iter().map(|m| m.port != 0).collect();
        assert_eq!(ports, [media.index == 0, media.index == 1]);
        assert_eq!(media.new_association, keying(&media) == "dtls");
        (media.index, keying(&media))
    };
    assert_eq!(run([&secure, plain], &both), (0, "sdes"));
    assert_eq!(run([plain, &secure], &both), (1, "sdes"));
    assert_eq!(run([plain, &handshake], &both), (1, "dtls"));
    assert_eq!(run([&handshake, &secure], &both), (1, "sdes"));
    assert_eq!(run([&handshake, &secure], &both.clone().preferring_dtls()), (0, "dtls"));
    assert_eq!(run([&secure, plain], &MediaSecurity::plain()), (1, "plain"));
}

#[test]
fn the_summary_tells_the_shapes_apart() {
    let summary = |media: &str| OfferSummary::of(&peer(media));
    let plain = summary("m=audio 5000 RTP/AVP 0\r\n");
    assert!(plain.has_audio && plain.plain_possible && !plain.has_crypto());
    assert!(!plain.dtls && !plain.secure_profile && !plain.dual);
    let opportunistic = summary(&offered("RTP/AVP", true, true));
    assert!(opportunistic.plain_possible && opportunistic.dtls && opportunistic.has_crypto());
    assert!(!opportunistic.secure_profile && !opportunistic.dual);
    let handshake = summary(&offered("UDP/TLS/RTP/SAVPF", true, true));
    assert!(handshake.dtls && handshake.secure_profile && !handshake.plain_possible);
    assert!(!handshake.has_crypto() && !handshake.dual);
    let secure = offered("RTP/SAVP", true, false);
    let dual = summary(&format!("{secure}m=audio 5002 RTP/AVP 0\r\n"));
    assert!(dual.dual && dual.secure_profile && dual.plain_possible && !dual.dtls);
    assert!(!summary(&format!("{secure}m=audio 0 RTP/AVP 0\r\n")).dual);
    assert!(!summary(&format!("{secure}m=video 6000 RTP/AVP 31\r\n")).dual);
    let weak = "m=audio 5 RTP/AVP 0\r\na=fingerprint:new-hash 01\r\n";
    assert!(!summary(weak).dtls);
}

/// Our offer of this shape and a foreign answer.
fn answered(security: MediaSecurity, answer: &str) -> Result<NegotiatedMedia, NegotiationError> {
    let mut negotiator = Negotiator::new(1);
    negotiator.create_offer(&local(security)).unwrap();
    negotiator.handle_answer(peer(answer))
}

#[test]
fn stripped_keys_and_rewritten_profiles_are_seen() {
    use NegotiationError as E;
    let opportunistic = both(MediaSecurity::opportunistic());
    let strict = MediaSecurity { plain: false, ..opportunistic.clone() };
    let bare = "m=audio 5000 RTP/AVP 0\r\n";
    let media = answered(opportunistic.clone(), bare).unwrap();
    assert!(media.keys_dropped && media.keys.is_none());
    assert_eq!(answered(strict, bare), Err(E::KeysDropped));
    assert!(!answered(MediaSecurity::plain(), bare).unwrap().keys_dropped);
    for demoted in [bare.into(), offered("RTP/AVP", true, false), offered("RTP/AVPF", true, true)] {
        let secure = both(MediaSecurity::required());
        assert_eq!(answered(secure, &demoted), Err(E::ProfileDowngraded), "{demoted}");
        let lenient = both(MediaSecurity::opportunistic()).with_shape(OfferShape::Secure);
        assert_eq!(answered(lenient, &demoted), Err(E::ProfileDowngraded), "{demoted}");
    }
    // Broken keys are no refusal of keys: media never falls to plain for them.
    for (attribute, error) in [
        (format!("a=crypto:1 {SUITE_80} inline:AQID"), E::CryptoAnswer),
        (format!("a=crypto:1 {SUITE_80} inline:!"), E::CryptoAnswer),
        (format!("a=crypto:{}", *crypto(7, SUITE_80, 9).to_value()), E::CryptoAnswer),
        ("a=fingerprint:sha-256 00".into(), E::NoUsableFingerprint),
        ("a=fingerprint:new-hash 00".into(), E::NoUsableFingerprint),
        (format!("a=setup:actpass\r\na=fingerprint:{}", fingerprint(9)), E::Setup),
    ] {
        let answer = format!("{bare}{attribute}\r\n");
        assert_eq!(answered(opportunistic.clone(), &answer), Err(error), "{answer}");
    }
    for error in [E::KeysDropped, E::ProfileDowngraded, E::NoUsableFingerprint, E::Setup] {
        assert_eq!(error.warning().0, 399);
    }
}

#[test]
fn an_answer_with_both_keyings_means_the_one_that_names_our_tag() {
    let opportunistic = both(MediaSecurity::opportunistic());
    let decorated = offered("RTP/AVP", true, true).replace("actpass", "active");
    assert_eq!(keying(&answered(opportunistic.clone(), &decorated).unwrap()), "sdes");
    let upgraded = offered("UDP/TLS/RTP/SAVP", true, true).replace("actpass", "active");
    assert_eq!(keying(&answered(opportunistic, &upgraded).unwrap()), "dtls");
    // A fingerprint that answers no offer of DTLS means nothing.
    let sdes = MediaSecurity::sdes_if_possible(sdes_lines(1));
    let stray = offered("RTP/AVP", false, true);
    assert!(answered(sdes.clone(), &stray).unwrap().keys_dropped);
    let foreign = offered("UDP/TLS/RTP/SAVP", false, true);
    let error = NegotiationError::Profile("UDP/TLS/RTP/SAVP".into());
    assert_eq!(answered(sdes, &foreign), Err(error));
    // Nor do keys that answer none of ours.
    let handshake = MediaSecurity::opportunistic().with_dtls(dtls(1));
    let stray = answered(handshake.clone(), &offered("RTP/AVP", true, false)).unwrap();
    assert_eq!(keying(&stray), "plain");
    let both = offered("RTP/AVP", true, true).replace("actpass", "active");
    assert_eq!(keying(&answered(handshake, &both).unwrap()), "dtls");
}

#[test]
fn of_our_two_lines_the_encrypted_one_counts() {
    use NegotiationError as E;
    let dual = || both(MediaSecurity::opportunistic()).with_shape(OfferShape::Dual);
    let secure = offered("RTP/SAVP", true, false);
    let (plain, no_plain) = ("m=audio 5002 RTP/AVP 0\r\n", "m=audio 0 RTP/AVP 0\r\n");
    let no_secure = "m=audio 0 RTP/SAVP 0\r\n";
    let one = answered(dual(), &format!("{secure}{no_plain}")).unwrap();
    assert_eq!((one.index, keying(&one), one.both_accepted), (0, "sdes", false));
    let print = offered("RTP/SAVP", false, true).replace("actpass", "active");
    let handshake = answered(dual(), &format!("{print}{no_plain}")).unwrap();
    assert_eq!((handshake.index, keying(&handshake)), (0, "dtls"));
    let two = answered(dual(), &format!("{secure}{plain}")).unwrap();
    assert_eq!((two.index, keying(&two), two.both_accepted), (0, "sdes", true));
    let other = answered(dual(), &format!("{no_secure}{plain}")).unwrap();
    assert_eq!((other.index, keying(&other), other.keys_dropped), (1, "plain", true));
    assert_eq!(answered(dual(), &format!("{no_secure}{no_plain}")), Err(E::Refused));
    // An encrypted line that was tampered with is not replaced by the plain one.
    let broken = format!("m=audio 5000 RTP/SAVP 0\r\n{plain}");
    assert_eq!(answered(dual(), &broken), Err(E::KeysDropped));
    assert_eq!(answered(dual(), &secure), Err(E::MediaMismatch));
}

#[test]
fn two_lines_become_one_stream() {
    let dual = local(both(MediaSecurity::opportunistic()).with_shape(OfferShape::Dual));
    let theirs = security(plain(), MediaSecurity::sdes_if_possible(sdes_lines(5)));
    for (theirs, index) in [(theirs, 0), (plain(), 1)] {
        let (mut a, mut b) = (Negotiator::new(1), Negotiator::new(2));
        let (here, there) = exchange(&mut a, &dual, &mut b, &theirs);
        assert_eq!((here.index, there.index), (index, index));
        // The peer's re-offer and ours keep the stream where it is; the other line stays ended.
        let (there, here) = exchange(&mut b, &theirs, &mut a, &dual);
        assert_eq!((here.index, there.index), (index, index));
        let (here, _) = exchange(&mut a, &dual, &mut b, &theirs);
        let (offer, keyed) = (a.local().unwrap(), index == 0);
        assert_eq!(offer.media.len(), 2);
        assert_eq!((here.index, here.keys.is_some()), (index, keyed));
        // Media that is SRTP is offered alone; plain media asks for SRTP in the ended line again.
        assert_eq!(offer.media[1 - index].port == 0, keyed);
        assert_eq!(offer.media[0].profile, Profile::Savp);
    }
}

#[test]
fn a_plain_stream_becomes_srtp_in_a_line_of_its_own() {
    let (mut a, mut b) = (Negotiator::new(1), Negotiator::new(2));
    exchange(&mut a, &plain(), &mut b, &plain());
    let dual = local(both(MediaSecurity::opportunistic()).with_shape(OfferShape::Dual));
    let theirs = local(MediaSecurity::sdes_if_possible(sdes_lines(5)));
    let (here, there) = exchange(&mut a, &dual, &mut b, &theirs);
    assert_eq!((here.index, there.index, keying(&here)), (1, 1, "sdes"));
    assert_eq!(a.local().unwrap().media[0].profile, Profile::Avp);
    assert_eq!(b.local().unwrap().media[0].port, 0);
    // There is room for it even if all lines are in use.
    let refused = "m=video 6000 RTP/AVP 31\r\n".repeat(MAX_MEDIA - 1);
    let mut full = Negotiator::new(3);
    full.handle_offer(peer(&format!("{refused}m=audio 5000 RTP/AVP 0\r\n"))).unwrap();
    full.create_answer(&plain()).unwrap();
    let offer = full.create_offer(&dual).unwrap();
    assert_eq!(offer.media.len(), MAX_MEDIA);
    assert_eq!(offer.media.iter().filter(|m| m.port != 0).count(), 2);
}

#[test]
fn srtp_keeps_its_profile_in_reoffers() {
    let (key, print) = (Some(sdes_lines(1)), Some(dtls(1)));
    for (profile, sdes, fingerprint_, kept) in [
        ("RTP/AVP", &key, &None, ("RTP/AVP", 2, 0)),
        ("RTP/AVPF", &key, &None, ("RTP/AVPF", 2, 0)),
        ("RTP/AVPF", &None, &print, ("RTP/AVPF", 0, 1)),
        ("RTP/SAVPF", &key, &print, ("RTP/SAVPF", 2, 0)),
        ("RTP/SAVPF", &None, &print, ("RTP/SAVPF", 0, 1)),
        ("UDP/TLS/RTP/SAVP", &key, &print, ("UDP/TLS/RTP/SAVP", 0, 1)),
    ] {
        for policy in [MediaSecurity::required(), MediaSecurity::opportunistic()] {
            let with = MediaSecurity {
                sdes: sdes.clone().unwrap_or_default(),
                dtls: fingerprint_.clone(),
                ..policy
            };
            let mut negotiator = Negotiator::new(1);
            negotiator.handle_offer(peer(&offered(profile, true, true))).unwrap();
            negotiator.create_answer(&local(with.clone())).unwrap();
            let again = negotiator.create_offer(&local(with)).unwrap();
            assert_eq!(shape(&again.media[0]), kept, "{profile}");
        }
    }
    // A keying that is not possible any more gives way to the other, under its own profile.
    for (profile, security, expected) in [
        ("RTP/SAVP", MediaSecurity::required().with_dtls(dtls(1)), ("UDP/TLS/RTP/SAVP", 0, 1)),
        ("UDP/TLS/RTP/SAVPF", MediaSecurity::sdes(sdes_lines(1)), ("RTP/SAVPF", 2, 0)),
    ] {
        let mut negotiator = Negotiator::new(1);
        negotiator.handle_offer(peer(&offered(profile, true, true))).unwrap();
        negotiator.create_answer(&local(both(MediaSecurity::required()))).unwrap();
        let again = negotiator.create_offer(&local(security)).unwrap();
        assert_eq!(shape(&again.media[0]), expected);
    }
}

#[test]
fn the_keying_in_use_goes_on_where_both_are_offered() {
    let ours = both(MediaSecurity::opportunistic());
    let mut negotiator = Negotiator::new(1);
    negotiator.handle_offer(peer(&offered("RTP/AVP", false, true))).unwrap();
    negotiator.create_answer(&local(ours.clone())).unwrap();
    negotiator.handle_offer(peer(&offered("RTP/AVP", true, true))).unwrap();
    let (_, media) = negotiator.create_answer(&local(ours)).unwrap();
    assert_eq!((keying(&media), media.new_association), ("dtls", false));
}

#[test]
fn the_line_in_use_goes_on_where_another_is_offered_too() {
    let ours = local(both(MediaSecurity::opportunistic()));
    let handshake = offered("UDP/TLS/RTP/SAVP", false, true);
    let secure = offered("RTP/SAVP", true, false);
    let mut negotiator = Negotiator::new(1);
    let ended = secure.replace("5000", "0");
    negotiator.handle_offer(peer(&format!("{handshake}{ended}"))).unwrap();
    negotiator.create_answer(&ours).unwrap();
    negotiator.handle_offer(peer(&format!("{handshake}{secure}"))).unwrap();
    let (_, media) = negotiator.create_answer(&ours).unwrap();
    assert_eq!((media.index, keying(&media), media.new_association), (0, "dtls", false));
}

fn any_security(number: u8) -> impl Strategy<Value = MediaSecurity> {
    let shapes =
        vec![OfferShape::Plain, OfferShape::Opportunistic, OfferShape::Secure, OfferShape::Dual];
    let role = prop_oneof![Just(DtlsRole::Client), Just(DtlsRole::Server)];
    let tls_id = proptest::option::of(Just("identity-of-twenty-or-more".into()));
    let side =
        (role, tls_id).prop_map(move |(role, tls_id)| LocalDtls { role, tls_id, ..dtls(number) });
    let which = (any::<[bool; 2]>(), any::<[bool; 2]>());
    (proptest::sample::select(shapes), proptest::option::of(side), which).prop_map(
        move |(shape, dtls, ([plain, prefer_dtls], [sdes, one]))| {
            let mut lines = if sdes { sdes_lines(number * 2 + 1) } else { Vec::new() };
            lines.truncate(if one { 1 } else { 2 });
            MediaSecurity { shape, sdes: lines, dtls, plain, prefer_dtls }
        },
    )
}

/// Both sides see one stream with one keying, each from its end.
fn mirror(here: &NegotiatedMedia, there: &NegotiatedMedia) {
    assert_eq!((here.index, &here.profile), (there.index, &there.profile));
    assert_eq!(here.new_association, there.new_association);
    match (&here.keys, &there.keys) {
        (Some(NegotiatedKeying::Sdes(h)), Some(NegotiatedKeying::Sdes(t))) => {
            assert_eq!((&h.local, &h.remote), (&t.remote, &t.local));
        }
        (Some(NegotiatedKeying::Dtls(h)), Some(NegotiatedKeying::Dtls(t))) => {
            assert_eq!(h.role, t.role.reversed());
            assert_eq!(h.fingerprints, t.local_fingerprints);
            assert_eq!(t.fingerprints, h.local_fingerprints);
            assert_eq!((&h.tls_id, &h.local_tls_id), (&t.local_tls_id, &t.tls_id));
        }
        (None, None) => {}
        other => panic!("one side is encrypted otherwise: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn two_sides_agree_or_both_fail(ours in any_security(1), theirs in any_security(2)) {
        let (ours, theirs) = (local(ours), local(theirs));
        let (mut a, mut b) = (Negotiator::new(1), Negotiator::new(2));
        let Ok(offer) = a.create_offer(&ours) else { return Ok(()) };
        prop_assert_eq!(&wire(&offer), &offer);
        b.handle_offer(wire(&offer)).unwrap();
        let Ok((answer, there)) = b.create_answer(&theirs) else {
            // It fails for lack of a common keying alone.
            let possible = (!ours.security.sdes.is_empty() && !theirs.security.sdes.is_empty())
                || (ours.security.dtls.is_some() && theirs.security.dtls.is_some());
            prop_assert!(!possible || ours.security.shape != OfferShape::Opportunistic);
            prop_assert!(!(ours.security.plain && theirs.security.plain)
                || ours.security.shape == OfferShape::Secure);
            return Ok(());
        };
        prop_assert!(there.keys.is_some() || theirs.security.plain);
        match a.handle_answer(wire(&answer)) {
            Ok(here) => {
                mirror(&here, &there);
                prop_assert!(here.keys.is_some() || ours.security.plain);
                let keys_offered = offer.media.iter().any(MediaDescription::has_keying);
                prop_assert_eq!(here.keys_dropped, keys_offered && here.keys.is_none());
            }
            // The answerer cannot know that the offerer will not have plain RTP.
            Err(error) => {
                prop_assert!(!ours.security.plain && there.keys.is_none());
                prop_assert_eq!(error, NegotiationError::KeysDropped);
                return Ok(());
            }
        }
        // Media that is SRTP goes on as it is, whoever offers again.
        let Some(keys) = a.agreed().unwrap().keys.clone() else { return Ok(()) };
        for from_a in [true, false, true] {
            let (here, there) = if from_a {
                exchange(&mut a, &ours, &mut b, &theirs)
            } else {
                let (there, here) = exchange(&mut b, &theirs, &mut a, &ours);
                (here, there)
            };
            mirror(&here, &there);
            prop_assert!(!here.new_association);
            prop_assert_eq!(&here.profile, &there.profile);
            if keys.dtls().is_some() {
                prop_assert_eq!(here.keys.as_ref().unwrap().dtls().unwrap().role,
                    keys.dtls().unwrap().role);
            } else {
                prop_assert!(here.keys.as_ref().unwrap().sdes().is_some());
            }
        }
    }

    /// Any mixture of lines is answered by a description that a peer can read, or refused.
    #[test]
    fn any_lines_are_answered_or_refused(
        lines in proptest::collection::vec(
            prop_oneof![
                "m=audio [1-9] (RTP/S?AVPF?|UDP/TLS/RTP/SAVPF?) 0",
                "a=fingerprint:(sha-256|sha-1|x) ([0-9A-Fa-f]{2}:){31}[0-9a-f]{1,2}",
                "a=setup:(active|passive|actpass|holdconn|x)",
                "a=tls-id:[a-z]{18,22}",
                "a=crypto:[1-2] AES_CM_128_HMAC_SHA1_80 inline:[a-zA-Z0-9+/]{40}",
            ],
            0..12,
        ),
        local_security in any_security(1),
    ) {
        let offer = peer(&(lines.join("\r\n") + "\r\n"));
        let mut negotiator = Negotiator::new(1);
        negotiator.handle_offer(offer.clone()).unwrap();
        let local = local(local_security);
        if let Ok((answer, media)) = negotiator.create_answer(&local) {
            prop_assert_eq!(&wire(&answer), &answer);
            prop_assert!(media.keys.is_some() || local.security.plain);
            prop_assert!(media.keys.is_some() || !media.profile_is_secure());
            prop_assert_eq!(answer.media.iter().filter(|m| m.port != 0).count(), 1);
        }
        let mut negotiator = Negotiator::new(1);
        if negotiator.create_offer(&local).is_ok()
            && let Ok(media) = negotiator.handle_answer(offer)
        {
            prop_assert!(media.keys.is_some() || local.security.plain);
            prop_assert!(media.keys.is_some() || !media.profile_is_secure());
        }
    }
}
