//! The published vectors of RFC 3711, 6188, 7714 and of libsrtp.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, hazmat};

fn bytes(v: &Value, field: &str) -> Vec<u8> {
    hex::decode(v[field].as_str().unwrap_or_else(|| panic!("{field} in {v}"))).unwrap()
}

fn key_stream(v: &Value) {
    let expected = bytes(v, "keystream");
    let iv = u128::from_be_bytes(bytes(v, "counter0").try_into().unwrap());
    let iv = iv + u128::from(v["block"].as_u64().unwrap_or(0));
    let mut out = vec![0; expected.len()];
    hazmat::apply_key_stream(&bytes(v, "key"), iv, &mut out).unwrap();
    assert_eq!(out, expected, "{v}");
}

fn derivation(v: &Value) {
    let expected = bytes(v, "out");
    let mut out = vec![0; expected.len()];
    let label = u8::try_from(v["label"].as_u64().unwrap()).unwrap();
    hazmat::derive(&bytes(v, "master_key"), &bytes(v, "master_salt"), label, &mut out).unwrap();
    assert_eq!(out, expected, "{v}");
}

fn contexts(v: &Value) -> (SrtpSender, SrtpReceiver) {
    let suite = v["profile"].as_str().unwrap().parse().unwrap();
    if v.get("session_key").is_some() {
        let (key, salt) = (bytes(v, "session_key"), bytes(v, "session_salt"));
        return hazmat::aead_contexts(suite, &key, &salt).unwrap();
    }
    let key = [bytes(v, "master_key"), bytes(v, "master_salt")].concat();
    let key = MasterKey::new(suite, &key).unwrap();
    (SrtpSender::new(&key).unwrap(), SrtpReceiver::new(&key).unwrap())
}

fn packet(v: &Value) {
    let (plain, cipher) = (bytes(v, "plain"), bytes(v, "cipher"));
    let (mut sender, mut receiver) = contexts(v);
    let mut buffer = plain.clone();
    buffer.resize(cipher.len(), 0);
    let mut received = cipher.clone();
    if let Some(roc) = v.get("roc") {
        let ssrc = u32::from_be_bytes(plain[8..12].try_into().unwrap());
        let roc = u32::try_from(roc.as_u64().unwrap()).unwrap();
        sender.start_at(ssrc, roc, 0).unwrap();
        receiver.start_at(ssrc, roc).unwrap();
        assert_eq!(sender.protect_rtp(&mut buffer, plain.len()).unwrap().bytes(), cipher, "{v}");
        assert_eq!(receiver.unprotect_rtp(&mut received).unwrap(), plain, "{v}");
        return;
    }
    let ssrc = u32::from_be_bytes(plain[4..8].try_into().unwrap());
    if v["name"].as_str().unwrap().contains("tag-only") {
        // We never send SRTCP unencrypted, and take it only when that was agreed on.
        assert!(receiver.unprotect_rtcp(&mut received.clone()).is_err());
        receiver.accept_unencrypted_rtcp(true);
    } else {
        sender.start_at(ssrc, 0, u32::try_from(v["index"].as_u64().unwrap()).unwrap()).unwrap();
        assert_eq!(sender.protect_rtcp(&mut buffer, plain.len()).unwrap().bytes(), cipher, "{v}");
    }
    assert_eq!(receiver.unprotect_rtcp(&mut received).unwrap(), plain, "{v}");
}

#[test]
fn all_27_published_vectors_hold() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("corpora/srtp/published_vectors.json")).unwrap();
    let (mut streams, mut derivations, mut packets) = (0, 0, 0);
    for v in &vectors {
        if v.get("keystream").is_some() {
            key_stream(v);
            streams += 1;
        } else if v.get("out").is_some() {
            derivation(v);
            derivations += 1;
        } else {
            packet(v);
            packets += 1;
        }
    }
    assert_eq!((streams, derivations, packets), (7, 9, 11));
}
