//! What Debug and Display of everything that holds a secret show: nothing of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use insta::assert_snapshot;
use subrosa::crypto::srtp::{
    KeyError, KeyInfo, KeySet, MasterKey, MasterKeyId, SrtpReceiver, SrtpSender, Suite,
};
use subrosa::sdp::{CryptoAttribute, CryptoError, SessionDescription};
use subrosa::util::{Secret, SeededRng};
use subrosa::wire::rtp::RtpHeaderFields;

const KEY: [u8; 30] = *b"0123456789abcdefSALTsaltSALTsa";
const BASE64: &str = "MDEyMzQ1Njc4OWFiY2RlZlNBTFRzYWx0U0FMVHNh";

fn key() -> MasterKey {
    MasterKey::new(Suite::AesCm128HmacSha1_80, &KEY).unwrap()
}

fn info() -> KeyInfo {
    KeyInfo::new(key()).with_mki(MasterKeyId::from_number(1, 4).unwrap())
}

fn other() -> KeyInfo {
    let key = MasterKey::generate(Suite::AesCm128HmacSha1_80, &mut SeededRng::new(1));
    KeyInfo::new(key).with_mki(MasterKeyId::from_number(1, 4).unwrap())
}

/// No run of key bytes, in any notation that Debug has.
fn check(shown: &str) {
    let hex: String = KEY.iter().map(|b| format!("{b:02x}")).collect();
    let decimal = KEY.map(|b| b.to_string()).join(", ");
    for form in [std::str::from_utf8(&KEY).unwrap(), BASE64, &hex, &decimal] {
        for at in 0..form.len() - 10 {
            assert!(!shown.contains(&form[at..at + 10]), "{shown}");
        }
    }
}

fn shown(value: &dyn std::fmt::Debug) -> String {
    check(&format!("{value:#?}"));
    let text = format!("{value:?}");
    check(&text);
    text
}

#[test]
fn the_check_sees_a_secret_in_each_notation() {
    for leak in [
        format!("{:?}", KEY),
        String::from_utf8(KEY.to_vec()).unwrap(),
        hex::encode(KEY),
        format!("inline:{BASE64}"),
    ] {
        assert!(std::panic::catch_unwind(|| check(&leak)).is_err(), "{leak}");
    }
}

#[test]
fn keys_and_contexts() {
    assert_snapshot!(shown(&Secret::new(KEY)), @"[redacted]");
    assert_snapshot!(shown(&key()), @"MasterKey { suite: AesCm128HmacSha1_80, bytes: [redacted] }");
    assert_snapshot!(shown(&info()), @"KeyInfo { master: MasterKey { suite: AesCm128HmacSha1_80, bytes: [redacted] }, mki: Some(0x00000001), lifetime: 281474976710656 }");
    assert_snapshot!(shown(&KeySet::from(info())), @"KeySet { suite: AesCm128HmacSha1_80, keys: [KeyInfo { master: MasterKey { suite: AesCm128HmacSha1_80, bytes: [redacted] }, mki: Some(0x00000001), lifetime: 281474976710656 }], window: 128 }");
    let mut sender = SrtpSender::new(&key()).unwrap();
    let mut receiver = SrtpReceiver::with_keys(&key().into()).unwrap();
    let mut buffer = [0; 100];
    let fields = RtpHeaderFields { ssrc: 1, ..Default::default() };
    let len = fields.write_packet(&[0; 20], 0, &mut buffer).unwrap();
    let egress = sender.protect_rtp(&mut buffer, len).unwrap();
    let len = egress.bytes().len();
    receiver.unprotect_rtp(&mut buffer[..len]).unwrap();
    assert_snapshot!(shown(&sender), @"SrtpSender { key: Key { mki: None, keys: Keys { suite: AesCm128HmacSha1_80, rtp: [redacted], rtcp: [redacted] }, rtp_packets: 1, rtcp_packets: 0, retiring: false, lifetime: 281474976710656, identity: [redacted] }, spare: [], streams: [Stream { ssrc: 1, roll_over: 0, last: Some(0), rtcp_index: 0 }], generation: 0, past: [] }");
    receiver.rekey(&other().into()).unwrap();
    assert_snapshot!(shown(&receiver), @"SrtpReceiver { current: Epoch { keys: [Key { mki: Some(0x00000001), keys: Keys { suite: AesCm128HmacSha1_80, rtp: [redacted], rtcp: [redacted] }, rtp_packets: 0, rtcp_packets: 0, retiring: false, lifetime: 281474976710656, identity: [redacted] }], active: 0, suite: AesCm128HmacSha1_80, mki_len: 4, window: 128, identities: [[redacted]], streams: [] }, overlap: Some(Overlap { old: Some(Epoch { keys: [Key { mki: None, keys: Keys { suite: AesCm128HmacSha1_80, rtp: [redacted], rtcp: [redacted] }, rtp_packets: 1, rtcp_packets: 0, retiring: false, lifetime: 281474976710656, identity: [redacted] }], active: 0, suite: AesCm128HmacSha1_80, mki_len: 0, window: 128, identities: [[redacted]], streams: [Stream { ssrc: 1, live: true, initial_roll_over: 0, rtp: ReplayWindow { highest: Some(0), size: 128, .. }, rtcp: ReplayWindow { highest: None, size: 128, .. } }] }), old_first: true, under_new: 0, .. }), past: [], generation: 1, unencrypted_rtcp: false }");
    assert_snapshot!(MasterKey::new(Suite::AeadAes128Gcm, &KEY).unwrap_err(), @"AEAD_AES_128_GCM needs 28 bytes of key and salt, not 30");
    assert_snapshot!(KeyError::Reused, @"this key was in use before: generate a fresh one");
}

#[test]
fn descriptions() {
    let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{BASE64}|2^20|1:4 WSH=64");
    let line = CryptoAttribute::parse(&text).unwrap();
    assert_eq!(line.to_value().as_str(), text);
    assert_snapshot!(shown(&line), @r#"CryptoAttribute { tag: 1, suite: "AES_CM_128_HMAC_SHA1_80", keys: [InlineKey { key_and_salt: [redacted], lifetime: Some(PowerOfTwo(20)), mki: Some(Mki { value: 1, length: 4 }) }], window_size_hint: Some(64) }"#);
    assert_snapshot!(shown(&line.keys[0]), @"InlineKey { key_and_salt: [redacted], lifetime: Some(PowerOfTwo(20)), mki: Some(Mki { value: 1, length: 4 }) }");
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 5000 RTP/SAVP 0\r\na=crypto:{text}\r\n"
    );
    let description = SessionDescription::parse(sdp.as_bytes()).unwrap();
    assert_eq!(description.media[0].crypto, [line]);
    shown(&description);
    for bad in [
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{BASE64}|2^99"),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{BASE64} UNENCRYPTED_SRTP"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {BASE64}"),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{BASE64}|{BASE64}"),
    ] {
        let error: CryptoError = CryptoAttribute::parse(&bad).unwrap_err();
        check(&error.to_string());
        shown(&error);
    }
    let broken = sdp.replace("v=0", "w=0");
    let error = SessionDescription::parse(broken.as_bytes()).unwrap_err();
    check(&error.to_string());
    shown(&error);
}
