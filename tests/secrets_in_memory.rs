//! Once contexts, keys and descriptions are gone, the process's memory holds none of their master
//! keys and salts, neither raw nor as the base64 of `a=crypto`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/memory_scan.rs"]
mod memory_scan;

use memory_scan::{Needle, deep, find};
use std::collections::BTreeSet;
use subrosa::crypto::srtp::{
    KeyInfo, KeySet, MasterKey, MasterKeyId, SrtpReceiver, SrtpSender, Suite,
};
use subrosa::sdp::{
    CodecDescription, CryptoAttribute, Direction, LocalMedia, MediaSecurity, NegotiatedMedia,
    Negotiator, SdesKeys, SessionDescription,
};
use subrosa::util::{Secret, SeededRng};
use subrosa::wire::rtp::RtpHeaderFields;
use zeroize::{Zeroize, Zeroizing};

/// Needles for a line's key, salt and base64 text.
fn needles(name: &str, line: &CryptoAttribute) -> Vec<Needle> {
    let suite: Suite = line.suite.parse().unwrap();
    let (key, salt) = line.keys[0].key_and_salt.expose().split_at(suite.key_len());
    let text = line.to_value();
    let base64 = text.split("inline:").nth(1).unwrap();
    let base64 = &base64[..suite.master_len() / 3 * 4];
    vec![
        // A cipher keeps and moves a key as blocks of 16 bytes.
        Needle::new(&format!("{name} {suite} key"), &key[..16]),
        Needle::new(&format!("{name} {suite} end of key"), &key[key.len() - 16..]),
        Needle::new(&format!("{name} {suite} salt"), salt),
        Needle::new(&format!("{name} {suite} base64"), base64.as_bytes()),
        Needle::new(&format!("{name} {suite} second half of base64"), &base64.as_bytes()[20..]),
    ]
}

fn names(needles: &[Needle]) -> BTreeSet<String> {
    find(needles).into_iter().map(|hit| hit.name).collect()
}

fn local(port: u16, lines: Vec<CryptoAttribute>) -> LocalMedia {
    LocalMedia {
        rtp: ([192, 0, 2, 1], port).into(),
        rtcp: None,
        rtcp_mux: true,
        codecs: vec![CodecDescription::new(0, "PCMU", 8000)],
        direction: Direction::SendRecv,
        ptime: Some(20),
        security: MediaSecurity::sdes(lines),
    }
}

fn sdes(media: &NegotiatedMedia) -> &SdesKeys {
    media.keys.as_ref().unwrap().sdes().unwrap()
}

fn line(suite: Suite, seed: u64) -> CryptoAttribute {
    let key = MasterKey::generate(suite, &mut SeededRng::new(seed));
    CryptoAttribute::new(1, suite.sdp_name(), Secret::new(key.expose().to_vec()))
}

fn key_set(line: &CryptoAttribute) -> KeySet {
    let suite = line.suite.parse().unwrap();
    let key = MasterKey::new(suite, line.keys[0].key_and_salt.expose()).unwrap();
    KeyInfo::new(key).with_mki(MasterKeyId::from_number(1, 4).unwrap()).into()
}

/// Both ends of a session: what a call does with its keys.
struct Session {
    media: [NegotiatedMedia; 2],
    /// Offer and answer as they travel: the transport's to wipe.
    texts: [Zeroizing<Vec<u8>>; 2],
    machines: [Negotiator; 2],
    sender: SrtpSender,
    receiver: SrtpReceiver,
}

fn session(suite: Suite, seed: u64) -> Session {
    let (mut alice, mut bob) = (Negotiator::new(1), Negotiator::new(2));
    let mut lines: Vec<_> = Suite::ALL.iter().map(|other| line(*other, seed + 1)).collect();
    lines.retain(|line| line.suite != suite.sdp_name());
    lines.insert(0, line(suite, seed));
    (1..).zip(&mut lines).for_each(|(tag, line)| line.tag = tag);
    let offer = alice.create_offer(&local(4000, lines)).unwrap();
    let offer_text = Zeroizing::new(offer.to_bytes());
    bob.handle_offer(SessionDescription::parse(&offer_text).unwrap()).unwrap();
    let (answer, theirs) = bob.create_answer(&local(5000, vec![line(suite, seed + 2)])).unwrap();
    let answer_text = Zeroizing::new(answer.to_bytes());
    let ours = alice.handle_answer(SessionDescription::parse(&answer_text).unwrap()).unwrap();
    let sender = SrtpSender::with_keys(&key_set(&sdes(&ours).local)).unwrap();
    let receiver = SrtpReceiver::with_keys(&key_set(&sdes(&theirs).remote));
    Session {
        media: [ours, theirs],
        texts: [offer_text, answer_text],
        machines: [alice, bob],
        sender,
        receiver: receiver.unwrap(),
    }
}

fn talk(session: &mut Session, sequences: std::ops::Range<u16>) {
    for sequence_number in sequences {
        let mut buffer = [0; 400];
        let fields = RtpHeaderFields { ssrc: 1, sequence_number, ..Default::default() };
        let len = fields.write_packet(&[1; 160], 0, &mut buffer).unwrap();
        let len = session.sender.protect_rtp(&mut buffer, len).unwrap().bytes().len();
        session.receiver.unprotect_rtp(&mut buffer[..len]).unwrap();
    }
}

/// One session with a change of keys, and needles for all four of its keys. `while_alive` is
/// called before anything is dropped.
fn run(suite: Suite, seed: u64, while_alive: impl FnOnce(&[Needle])) -> Vec<Needle> {
    let mut first = session(suite, seed);
    talk(&mut first, 0..5);
    let mut second = session(suite, seed + 10);
    first.sender.rekey(&key_set(&sdes(&second.media[0]).local)).unwrap();
    first.receiver.rekey(&key_set(&sdes(&second.media[1]).remote)).unwrap();
    talk(&mut first, 5..10);
    talk(&mut second, 0..5);
    let mut needles_of_all = Vec::new();
    for (name, session) in [("first", &first), ("second", &second)] {
        let keys = sdes(&session.media[0]);
        needles_of_all.extend(needles(&format!("{name} offered"), &keys.local));
        needles_of_all.extend(needles(&format!("{name} answered"), &keys.remote));
        assert_eq!(format!("{:?}", session.machines).matches("inline").count(), 0);
        assert!(session.texts.iter().all(|text| text.len() > 100));
    }
    while_alive(&needles_of_all);
    needles_of_all
}

#[test]
fn no_master_key_outlives_its_session() {
    let mut all = Vec::new();
    for (suite, seed) in Suite::ALL.into_iter().zip((100..).step_by(100)) {
        all.extend(deep(|| {
            run(suite, seed, |needles| {
                // The control: alive, all of them are there.
                assert_eq!(names(needles).len(), needles.len(), "{suite}: {:?}", names(needles));
            })
        }));
    }
    assert_eq!(all.len(), Suite::ALL.len() * 20);
    let hits = find(&all);
    assert_eq!(hits, [], "{} copies left", hits.len());

    // A single copy that was forgotten is found.
    let mut forgotten = deep(|| line(Suite::ALL[0], 100).keys[0].key_and_salt.expose().clone());
    assert_eq!(names(&all).len(), 3);
    forgotten.zeroize();
    assert_eq!(find(&all), []);
}
