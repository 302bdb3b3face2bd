//! Descriptions that were made to hurt.

use super::*;

fn error(text: &str) -> SdpError {
    SessionDescription::parse(text.as_bytes()).unwrap_err()
}

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";

#[test]
fn what_is_not_sdp_is_an_error() {
    for text in [
        "",
        "\r\n",
        "o=- 1 1 IN IP4 192.0.2.9\r\n",
        "v=1\r\n",
        "v=0\r\nv=0\r\no=x\r\n",
        "v=0\r\no=- 1 99999999999999999999 IN IP4 192.0.2.9\r\n",
        "v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
        "v=0\r\nm=audio -1 RTP/AVP 0\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio 5000 RTP/AVP 0\r\na=x\0y\r\n",
        "v=0\r\nc=IN IP4\r\n",
    ] {
        assert!(matches!(error(text), SdpError::Syntax(_)), "{text:?}");
    }
    assert!(SessionDescription::parse(b"v=0\r\ns=\xff\xfe\r\n").is_err());
}

#[test]
fn the_limits_hold() {
    let many = format!("{HEAD}{}", "m=audio 5000 RTP/AVP 0\r\n".repeat(MAX_MEDIA + 1));
    assert_eq!(error(&many), SdpError::TooManyMedia);
    let attributes = "a=x\r\n".repeat(MAX_ATTRIBUTES + 1);
    assert_eq!(error(&format!("{HEAD}{attributes}")), SdpError::TooManyAttributes);
    let media = format!("{HEAD}m=audio 5000 RTP/AVP 0\r\n{attributes}");
    assert_eq!(error(&media), SdpError::TooManyAttributes);
    let crypto: String = (1..=65)
        .map(|tag| format!("a=crypto:{tag} {SUITE_80} inline:{}\r\n", "A".repeat(40)))
        .collect();
    let media = format!("{HEAD}m=audio 5000 RTP/SAVP 0\r\n{crypto}");
    assert_eq!(error(&media), SdpError::TooManyCryptoLines);
    let long = format!("{HEAD}a={}\r\n", "x".repeat(MAX_BYTES));
    assert_eq!(error(&long), SdpError::TooLong(long.len()));
}

#[test]
fn impossible_numbers_are_ignored_and_counted() {
    let parsed = peer(
        "m=audio 5000 RTP/AVP 65535 128 -1 x 96 97 98 99 0 0\r\na=rtpmap:65535 PCMU/8000\r\n\
         a=rtpmap:96 PCMU/0\r\na=rtpmap:97 PCMU/4294967296\r\na=rtpmap:98 PCMU\r\n\
         a=rtpmap:99 PCMU/8000/0\r\na=rtpmap\r\na=ptime:0\r\na=ptime:4294967296\r\n\
         a=maxptime:-20\r\na=rtcp:99999\r\na=fmtp:999 x\r\na=fmtp\r\n",
    );
    let media = &parsed.media[0];
    assert_eq!(media.codecs, [codec(0, "PCMU", 8000)]);
    assert_eq!((media.ptime, media.maxptime, &media.rtcp), (None, None, &None));
    // 9 formats but PCMU, 5 mappings (one has no value at all), 4 attributes.
    assert_eq!(parsed.ignored, 9 + 5 + 4);
    assert!(answer(parsed, &plain()).is_ok());
}

#[test]
fn a_tag_names_one_line() {
    let key = "A".repeat(40);
    let parsed = peer(&format!(
        "m=audio 5000 RTP/SAVP 0\r\na=crypto:1 {SUITE_80} inline:{key}\r\n\
         a=crypto:1 {SUITE_32} inline:{key}\r\n"
    ));
    assert_eq!(parsed.media[0].crypto.len(), 1);
    assert_eq!(parsed.media[0].refused_crypto, 1);
}

#[test]
fn a_refusal_repeats_formats_that_are_not_understood() {
    for media in ["m=image 5000 udptl t38\r\n", "m=audio 5000 RTP/AVP 96 97\r\n"] {
        let offer = peer(&format!("m=audio 4000 RTP/AVP 0\r\n{media}"));
        let (answer, _) = answer(offer, &plain()).unwrap();
        let text = String::from_utf8(answer.to_bytes()).unwrap();
        assert!(text.ends_with(&media.replace(" 5000 ", " 0 ")), "{text}");
    }
}

#[test]
fn a_huge_list_of_formats_is_cheap_and_bounded() {
    let formats: String = (0..20_000).map(|n| format!(" {}", n % 128)).collect();
    let parsed = peer(&format!("m=audio 5000 RTP/AVP{formats}\r\n"));
    assert!(parsed.media[0].codecs.len() <= 128);
}

#[test]
fn nothing_of_the_peers_reaches_a_line_of_its_own() {
    let mut offer = peer("m=audio 5000 RTP/AVP 0\r\n");
    offer.media[0].codecs[0].fmtp = Some("x\r\nm=audio 1 RTP/AVP 0".into());
    offer.origin.username = "a\nb".into();
    let text = String::from_utf8(offer.to_bytes()).unwrap();
    assert_eq!(text.matches("\nm=").count(), 1, "{text}");
    assert_eq!(text.lines().nth(1), Some("o=ab 1 1 IN IP4 192.0.2.9"));
}
