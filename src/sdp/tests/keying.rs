//! a=crypto: the lines of RFC 4568 and who accepts what.

use super::*;

const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn sdes() -> LocalMedia {
    local(MediaSecurity::sdes(lines()))
}

fn optional() -> LocalMedia {
    local(MediaSecurity::sdes_if_possible(lines()))
}

fn audio(profile: &str, crypto: &[String]) -> SessionDescription {
    let lines: String = crypto.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    peer(&format!("m=audio 5000 {profile} 0\r\n{lines}"))
}

fn line(tag: u32, suite: &str) -> String {
    format!("{tag} {suite} inline:{KEY}|2^20")
}

#[test]
fn the_lines_of_rfc_4568_are_read_and_written() {
    let text = format!("1 {SUITE_80} inline:{KEY}|2^20|1:4 WSH=128");
    let crypto = CryptoAttribute::parse(&text).unwrap();
    assert_eq!(crypto.keys[0].key_and_salt.expose(), b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#");
    assert_eq!(crypto.keys[0].lifetime.map(Lifetime::packets), Some(1 << 20));
    assert_eq!(crypto.keys[0].mki, Some(Mki { value: 1, length: 4 }));
    assert_eq!(crypto.to_value().as_str(), text);
    assert_eq!((crypto.mki_length(), crypto.window_size_hint), (Some(4), Some(128)));
    let shown = format!("{crypto:?}");
    assert!(shown.contains("[redacted]") && !shown.contains(KEY), "{shown}");
    for text in [
        format!("2 F8_128_HMAC_SHA1_80 inline:{KEY}|1:4;inline:{KEY}|2:4"),
        format!("1 {SUITE_80} inline:{KEY}"),
        format!("999999999 {SUITE_80} inline:{KEY}|1048576"),
    ] {
        assert_eq!(CryptoAttribute::parse(&text).unwrap().to_value().as_str(), text);
    }
    // A rate of 0 is none.
    let zero = CryptoAttribute::parse(&format!("1 {SUITE_80} inline:{KEY} KDR=0")).unwrap();
    assert_eq!(zero.to_value().as_str(), format!("1 {SUITE_80} inline:{KEY}"));
    // Optional parameters may be ignored, space may be generous, padding may be missing.
    let odd = CryptoAttribute::parse(&format!("1\t {SUITE_80}   INLINE:{KEY}  -NEW=1")).unwrap();
    assert_eq!(odd.to_value().as_str(), format!("1 {SUITE_80} inline:{KEY}"));
    let padded = CryptoAttribute::parse("1 X inline:AQ==").unwrap();
    assert_eq!(padded, CryptoAttribute::parse("1 X inline:AQ").unwrap());
    assert_eq!(padded.to_value().as_str(), "1 X inline:AQ==");
}

#[test]
fn lines_that_weaken_or_break_are_refused() {
    use CryptoError as E;
    let long_key = "A".repeat(600);
    for (text, error) in [
        (String::new(), E::Syntax),
        ("1".into(), E::Syntax),
        (format!("1 {SUITE_80}"), E::Syntax),
        (format!("x {SUITE_80} inline:{KEY}"), E::Syntax),
        (format!("1000000000 {SUITE_80} inline:{KEY}"), E::Syntax),
        (format!("1 AES-CM inline:{KEY}"), E::Syntax),
        (format!("1 {SUITE_80} {KEY}"), E::Syntax),
        (format!("1 {SUITE_80} uri:{KEY}"), E::KeyMethod),
        (format!("1 {SUITE_80} inline:"), E::Key),
        (format!("1 {SUITE_80} inline:!!!!"), E::Key),
        (format!("1 {SUITE_80} inline:{long_key}"), E::Key),
        (format!("1 {SUITE_80} inline:{KEY}|2^49"), E::Lifetime),
        (format!("1 {SUITE_80} inline:{KEY}|2^64"), E::Lifetime),
        (format!("1 {SUITE_80} inline:{KEY}|0"), E::Lifetime),
        (format!("1 {SUITE_80} inline:{KEY}|2^20|256:1"), E::Mki),
        (format!("1 {SUITE_80} inline:{KEY}|1:0"), E::Mki),
        (format!("1 {SUITE_80} inline:{KEY}|1:129"), E::Mki),
        (format!("1 {SUITE_80} inline:{KEY}|1:4|2^20"), E::Syntax),
        (format!("1 {SUITE_80} inline:{KEY};inline:{KEY}"), E::Mki),
        (format!("1 {SUITE_80} inline:{KEY}|1:4;inline:{KEY}|2:2"), E::Mki),
        (format!("1 {SUITE_80} inline:{KEY} UNENCRYPTED_SRTP"), E::Unprotected),
        (format!("1 {SUITE_80} inline:{KEY} unencrypted_srtcp"), E::Unprotected),
        (format!("1 {SUITE_80} inline:{KEY} UNAUTHENTICATED_SRTP"), E::Unprotected),
        (format!("1 {SUITE_80} inline:{KEY}|1:4;inline:{KEY}|1:4"), E::Mki),
        (format!("1 {SUITE_80} inline:{KEY}|20000000000000000000:9"), E::Mki),
        (format!("1 {SUITE_80} inline:{KEY} KDR=1"), E::KeyDerivationRate),
        (format!("1 {SUITE_80} inline:{KEY} kdr=24"), E::KeyDerivationRate),
        (format!("1 {SUITE_80} inline:{KEY} KDR=25"), E::Parameter),
        (format!("1 {SUITE_80} inline:{KEY} KDR"), E::Syntax),
        (format!("1 {SUITE_80} inline:{KEY} WSH=63"), E::Parameter),
        (format!("1 {SUITE_80} inline:{KEY} WSH=64 WSH=65"), E::Parameter),
        (format!("1 {SUITE_80} inline:{KEY} FEC_ORDER=SRTP_FEC"), E::Parameter),
        (format!("1 {SUITE_80} inline:{KEY} FEC_KEY=inline:{KEY}"), E::Parameter),
        (format!("1 {SUITE_80} inline:{KEY} NEW=1"), E::Parameter),
    ] {
        assert_eq!(CryptoAttribute::parse(&text), Err(error), "{text}");
    }
}

#[test]
fn the_first_acceptable_line_is_answered_with_its_tag() {
    let offered = [
        line(1, "SEED_CTR_128_HMAC_SHA1_80"),
        format!("{} UNENCRYPTED_SRTP", line(2, SUITE_80)),
        format!("{} KDR=4", line(3, SUITE_80)),
        format!("{} -KDR=4", line(5, SUITE_32)),
        line(6, SUITE_80),
    ];
    let (answer, media) = answer(audio("RTP/SAVP", &offered), &sdes()).unwrap();
    let keys = media.keys.as_ref().unwrap().sdes().unwrap();
    assert_eq!((keys.remote.tag, keys.local.tag), (5, 5));
    assert_eq!(keys.local, crypto(5, SUITE_32, 2));
    assert_eq!(answer.media[0].crypto, core::slice::from_ref(&keys.local));
    assert_eq!(answer.media[0].profile, Profile::Savp);
    assert!(media.profile_is_secure());
}

#[test]
fn each_policy_takes_what_it_may() {
    use NegotiationError as E;
    let good = || vec![line(1, SUITE_80)];
    let bad = || vec![line(1, "UNKNOWN_SUITE")];
    let short = || vec![format!("1 {SUITE_80} inline:AQID")];
    for (profile, crypto, plain_result, optional_result, sdes_result) in [
        ("RTP/AVP", vec![], Ok(false), Ok(false), Err(E::EncryptionRequired)),
        ("RTP/AVP", good(), Ok(false), Ok(true), Ok(true)),
        ("RTP/AVP", bad(), Ok(false), Ok(false), Err(E::NoCommonSuite)),
        ("RTP/SAVP", good(), Err(E::EncryptionNotAllowed), Ok(true), Ok(true)),
        ("RTP/SAVPF", good(), Err(E::EncryptionNotAllowed), Ok(true), Ok(true)),
        (
            "RTP/SAVP",
            bad(),
            Err(E::EncryptionNotAllowed),
            Err(E::NoCommonSuite),
            Err(E::NoCommonSuite),
        ),
        (
            "RTP/SAVP",
            short(),
            Err(E::EncryptionNotAllowed),
            Err(E::NoCommonSuite),
            Err(E::NoCommonSuite),
        ),
        (
            "RTP/SAVP",
            vec![],
            Err(E::EncryptionNotAllowed),
            Err(E::NoCommonSuite),
            Err(E::NoCommonSuite),
        ),
    ] {
        let run = |local: &LocalMedia| {
            let (answer, media) = answer(audio(profile, &crypto), local)?;
            // An answer has exactly the keys that were agreed on, and the offer's profile.
            assert_eq!(answer.media[0].crypto.len(), usize::from(media.keys.is_some()));
            assert_eq!(answer.media[0].profile.as_str(), profile);
            Ok(media.keys.is_some())
        };
        assert_eq!(run(&plain()), plain_result, "plain {profile} {crypto:?}");
        assert_eq!(run(&optional()), optional_result, "optional {profile} {crypto:?}");
        assert_eq!(run(&sdes()), sdes_result, "sdes {profile} {crypto:?}");
    }
}

#[test]
fn an_encrypted_stream_is_preferred_to_a_plain_one() {
    let both = format!(
        "m=audio 5000 RTP/AVP 0\r\nm=audio 5002 RTP/SAVP 0\r\na=crypto:{}\r\n",
        line(1, SUITE_80)
    );
    for (local, index) in [(sdes(), 1), (optional(), 1), (plain(), 0)] {
        let (answer, media) = answer(peer(&both), &local).unwrap();
        assert_eq!(media.index, index);
        assert_eq!(answer.media[1 - index].port, 0);
        assert_eq!(answer.media[index].port, 4000);
    }
    let summary = OfferSummary::of(&peer(&both));
    assert!(summary.has_audio && summary.plain_possible && summary.has_crypto());
    assert_eq!(summary.suites, [SUITE_80]);
}

#[test]
fn an_answer_must_take_one_of_our_lines() {
    use NegotiationError as E;
    let run = |local: &LocalMedia, answer: SessionDescription| {
        let mut negotiator = Negotiator::new(1);
        let offer = negotiator.create_offer(local).unwrap();
        assert_eq!(wire(&offer), offer);
        negotiator.handle_answer(answer).map(|media| media.keys)
    };
    let keys = run(&sdes(), audio("RTP/SAVP", &[line(2, SUITE_32)])).unwrap().unwrap();
    let keys = keys.sdes().unwrap();
    assert_eq!(keys.local, crypto(2, SUITE_32, 2));
    assert_eq!(keys.remote.suite, SUITE_32);
    assert_eq!(run(&sdes(), audio("RTP/SAVP", &[])), Err(E::KeysDropped));
    for crypto in [
        vec![line(3, SUITE_80)],
        vec![line(1, SUITE_32)],
        vec![line(1, SUITE_80), line(2, SUITE_32)],
        vec![format!("{} UNENCRYPTED_SRTP", line(1, SUITE_80))],
        vec![format!("1 {SUITE_80} inline:AQID")],
        vec![format!("{} KDR=4", line(1, SUITE_80))],
    ] {
        assert_eq!(run(&sdes(), audio("RTP/SAVP", &crypto)), Err(E::CryptoAnswer), "{crypto:?}");
    }
    // Demotion from SAVP to AVP, with or without keys.
    for crypto in [vec![], vec![line(1, SUITE_80)]] {
        let demoted = audio("RTP/AVP", &crypto);
        assert_eq!(run(&sdes(), demoted), Err(E::ProfileDowngraded));
    }
    let taken = run(&optional(), audio("RTP/AVP", &[line(1, SUITE_80)])).unwrap();
    assert!(taken.is_some());
    assert_eq!(run(&optional(), audio("RTP/AVP", &[])), Ok(None));
    assert!(run(&optional(), audio("RTP/SAVP", &[line(1, SUITE_80)])).unwrap().is_some());
    let plain_offer = run(&plain(), audio("RTP/SAVP", &[line(1, SUITE_80)]));
    assert_eq!(plain_offer, Err(E::Profile("RTP/SAVP".into())));
}

#[test]
fn our_own_key_is_not_taken_back() {
    let reflected = crypto(1, SUITE_80, 1).to_value().as_str().into();
    let mut negotiator = Negotiator::new(1);
    negotiator.create_offer(&sdes()).unwrap();
    let result = negotiator.handle_answer(audio("RTP/SAVP", &[reflected]));
    assert_eq!(result, Err(NegotiationError::CryptoAnswer));
    // Nor that of another line, which has the same length.
    let other = CryptoAttribute { suite: SUITE_80.into(), tag: 1, ..crypto(2, SUITE_32, 2) };
    let mut negotiator = Negotiator::new(1);
    negotiator.create_offer(&sdes()).unwrap();
    let result = negotiator.handle_answer(audio("RTP/SAVP", &[other.to_value().as_str().into()]));
    assert_eq!(result, Err(NegotiationError::CryptoAnswer));
    // An offer with a key of ours is not answered with that line.
    let offered = [other.to_value().as_str().into(), line(2, SUITE_80)];
    let (_, media) = answer(audio("RTP/SAVP", &offered), &sdes()).unwrap();
    assert_eq!(media.keys.unwrap().sdes().unwrap().remote.tag, 2);
}

#[test]
fn identifiers_are_answered_in_kind_and_several_keys_taken() {
    const OTHER: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    for (keys, mki) in [
        (format!("inline:{KEY}|2^20"), None),
        (format!("inline:{KEY}|2^20|66051:4"), Some(Mki { value: 1, length: 4 })),
        (format!("inline:{KEY}|7:1;inline:{OTHER}|8:1"), Some(Mki { value: 1, length: 1 })),
        (format!("inline:{KEY}|1:128"), Some(Mki { value: 1, length: 128 })),
    ] {
        let text = format!("4 {SUITE_80} {keys}");
        let (answer, media) =
            answer(audio("RTP/SAVP", std::slice::from_ref(&text)), &sdes()).unwrap();
        let agreed = media.keys.unwrap().sdes().unwrap().clone();
        assert_eq!(agreed.remote.to_value().as_str(), text);
        assert_eq!(agreed.local.keys[0].mki, mki, "{text}");
        assert_eq!(answer.media[0].crypto, [agreed.local]);
    }
    // Our own identifier keeps its number where that fits.
    let mut ours = crypto(1, SUITE_80, 1);
    for (value, offered, answered) in [(300, "5:2", 300), (300, "5:1", 1), (2, "5:1", 2)] {
        ours.keys[0].mki = Some(Mki { value, length: 4 });
        let local = local(MediaSecurity::sdes(vec![ours.clone()]));
        let offer = audio("RTP/SAVP", &[format!("{}|{offered}", line(1, SUITE_80))]);
        let agreed = answer(offer, &local).unwrap().1.keys.unwrap().sdes().unwrap().clone();
        assert_eq!(agreed.local.keys[0].mki.unwrap().value, answered);
    }
    // An answer declares its own, whether we have one or not.
    for identifier in ["", "|9:2"] {
        for local in [sdes(), local(MediaSecurity::sdes(vec![ours.clone()]))] {
            let mut negotiator = Negotiator::new(1);
            negotiator.create_offer(&local).unwrap();
            let line = format!("{}{identifier}", line(1, SUITE_80));
            let media = negotiator.handle_answer(audio("RTP/SAVP", &[line])).unwrap();
            let keys = media.keys.unwrap().sdes().unwrap().clone();
            assert_eq!(keys.remote.mki_length(), (!identifier.is_empty()).then_some(2));
            assert_eq!(keys.local.keys, local.security.sdes[0].keys);
        }
    }
}

#[test]
fn every_suite_of_the_rfcs_is_negotiated_in_the_offerers_order() {
    // RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2; and first one of RFC 5669, which is not taken.
    let suites = [
        ("SEED_CTR_128_HMAC_SHA1_80", 30),
        ("AEAD_AES_256_GCM", 44),
        ("AES_256_CM_HMAC_SHA1_80", 46),
        ("AES_256_CM_HMAC_SHA1_32", 46),
        ("AES_192_CM_HMAC_SHA1_80", 38),
        ("AES_192_CM_HMAC_SHA1_32", 38),
        ("AEAD_AES_128_GCM", 28),
        (SUITE_80, 30),
        (SUITE_32, 30),
        ("F8_128_HMAC_SHA1_80", 30),
    ];
    let key_line = |tag: usize, (suite, len): (&str, usize), fill: u8| {
        CryptoAttribute::new(tag as u32, suite, Secret::new(vec![fill; len]))
    };
    // We have all but the first, in the opposite order.
    let ours = (1..10).rev().map(|n| key_line(20 - n, suites[n], 1)).collect();
    let local = local(MediaSecurity::sdes(ours));
    for from in 0..10 {
        let text = |n: usize| key_line(n + 1, suites[n], 2).to_value().to_string();
        let offered: Vec<String> = (from..10).chain(0..from).map(text).collect();
        let (_, media) = answer(audio("RTP/SAVP", &offered), &local).unwrap();
        let keys = media.keys.unwrap().sdes().unwrap().clone();
        let expected = from.max(1);
        assert_eq!((keys.local.tag, keys.remote.tag), (expected as u32 + 1, expected as u32 + 1));
        assert_eq!(keys.local.suite, suites[expected].0);
        assert_eq!(keys.local.keys[0].key_and_salt.expose().len(), suites[expected].1);
    }
    let only_seed = audio("RTP/SAVP", &[key_line(1, suites[0], 2).to_value().to_string()]);
    assert_eq!(answer(only_seed, &local).unwrap_err(), NegotiationError::NoCommonSuite);
}

#[test]
fn required_encryption_needs_a_key() {
    let bare = local(MediaSecurity::sdes(Vec::new()));
    let mut negotiator = Negotiator::new(1);
    assert_eq!(negotiator.create_offer(&bare), Err(NegotiationError::NoLocalKeys));
    let offer = audio("RTP/SAVP", &[line(1, SUITE_80)]);
    assert_eq!(answer(offer, &bare).unwrap_err(), NegotiationError::NoLocalKeys);
}

#[test]
fn two_machines_agree() {
    for (ours, theirs, encrypted) in [
        (sdes(), sdes(), true),
        (optional(), sdes(), true),
        (sdes(), optional(), true),
        (optional(), plain(), false),
        (plain(), optional(), false),
    ] {
        let mut theirs = theirs;
        theirs.rtp = "192.0.2.2:6000".parse().unwrap();
        if theirs.security.has_keying() {
            theirs.security.sdes = vec![crypto(1, SUITE_32, 9), crypto(2, SUITE_80, 8)];
        }
        let (mut a, mut b) = (Negotiator::new(1), Negotiator::new(2));
        let offer = a.create_offer(&ours).unwrap();
        b.handle_offer(wire(&offer)).unwrap();
        let (answer, there) = b.create_answer(&theirs).unwrap();
        let here = a.handle_answer(wire(&answer)).unwrap();
        assert_eq!(here.keys.is_some(), encrypted);
        let sdes = |media: &NegotiatedMedia| media.keys.as_ref()?.sdes().cloned();
        if let (Some(h), Some(t)) = (sdes(&here), sdes(&there)) {
            assert_eq!((&h.local, &h.remote), (&t.remote, &t.local));
        }
        assert_eq!((here.remote_rtp, there.remote_rtp), (theirs.rtp, ours.rtp));
        assert_eq!(here.codecs, there.codecs);
        assert_eq!(here.dtmf.map(|d| d.send_payload_type), Some(101));
    }
}
