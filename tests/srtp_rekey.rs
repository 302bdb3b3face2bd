//! Keys that change within a call: identifiers, lifetimes, overlap, roll-over counters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use subrosa::crypto::srtp::{
    KeyChange, KeyError, KeyInfo, KeySet, MasterKey, MasterKeyId, OVERLAP_PACKETS, ProtectError,
    SrtpReceiver, SrtpSender, Suite, UnprotectError,
};
use subrosa::util::SeededRng;
use subrosa::wire::rtp::{RtpHeaderFields, RtpPacket};

const SSRC: u32 = 0xcafe;

fn key(suite: Suite, seed: u64) -> MasterKey {
    MasterKey::generate(suite, &mut SeededRng::new(seed))
}

fn set(suite: Suite, seed: u64) -> KeySet {
    key(suite, seed).into()
}

fn id(number: u64) -> MasterKeyId {
    MasterKeyId::from_number(number, 4).unwrap()
}

/// Keys with identifiers: the seed of each is its number.
fn named(suite: Suite, numbers: &[u64]) -> KeySet {
    let info = |n: &u64| KeyInfo::new(key(suite, *n)).with_mki(id(*n));
    KeySet::new(numbers.iter().map(info).collect()).unwrap()
}

fn pair(keys: &KeySet) -> (SrtpSender, SrtpReceiver) {
    (SrtpSender::with_keys(keys).unwrap(), SrtpReceiver::with_keys(keys).unwrap())
}

fn clear(sequence_number: u16) -> (Vec<u8>, usize) {
    let fields = RtpHeaderFields { ssrc: SSRC, sequence_number, ..Default::default() };
    let mut buffer = vec![0; 400];
    let len = fields.write_packet(b"twenty milliseconds", 0, &mut buffer).unwrap();
    (buffer, len)
}

fn send(sender: &mut SrtpSender, sequence: u16) -> Vec<u8> {
    let (mut buffer, len) = clear(sequence);
    sender.protect_rtp(&mut buffer, len).unwrap().bytes().to_vec()
}

fn report(sender: &mut SrtpSender) -> Vec<u8> {
    let mut buffer = [0; 300];
    buffer[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0xca, 0xfe]);
    sender.protect_rtcp(&mut buffer, 8).unwrap().bytes().to_vec()
}

/// The sequence number of the packet that comes out.
fn take(receiver: &mut SrtpReceiver, wire: &[u8]) -> Result<u16, UnprotectError> {
    let mut packet = wire.to_vec();
    let plain = receiver.unprotect_rtp(&mut packet)?;
    let rtp = RtpPacket::parse(plain).unwrap();
    assert_eq!(rtp.payload, b"twenty milliseconds");
    Ok(rtp.header.sequence_number)
}

#[test]
fn packets_carry_the_identifier_where_the_rfcs_put_it() {
    for suite in Suite::ALL {
        for len in [1, 4, 128] {
            let mki = MasterKeyId::from_number(0xab, len).unwrap();
            let with: KeySet = KeyInfo::new(key(suite, 1)).with_mki(mki).into();
            let (mut sender, mut receiver) = pair(&with);
            let (mut bare, _) = pair(&set(suite, 1));
            let (wire, plain) = (send(&mut sender, 1), send(&mut bare, 1));
            let (wire_rtcp, plain_rtcp) = (report(&mut sender), report(&mut bare));
            // RFC 3711 §3.1: before the tag; RFC 7714 §8.2: at the end. Neither it nor its presence
            // changes another byte.
            for (wire, plain, tag) in [
                (&wire, &plain, suite.rtp_overhead()),
                (&wire_rtcp, &plain_rtcp, suite.rtcp_overhead() - 4),
            ] {
                let at = if suite.is_aead() { plain.len() } else { plain.len() - tag };
                let end = at + usize::from(len);
                assert_eq!(&wire[at..end], mki.as_bytes(), "{suite}");
                assert_eq!([&wire[..at], &wire[end..]].concat(), *plain, "{suite}");
            }
            assert_eq!(take(&mut receiver, &wire), Ok(1));
            assert_eq!(receiver.unprotect_rtcp(&mut wire_rtcp.clone()).unwrap().len(), 8);
            assert_eq!(receiver.mki(), Some(&mki));
            for cut in 0..wire.len() {
                assert!(take(&mut receiver, &wire[..cut]).is_err());
            }
        }
    }
}

#[test]
fn each_packet_names_its_key_and_roll_over_counters_go_on() {
    for suite in Suite::ALL {
        let keys = named(suite, &[7, 8, 9]);
        let (mut sender, mut receiver) = pair(&keys);
        assert_eq!(sender.mki(), Some(&id(7)));
        let first = send(&mut sender, 65_535);
        assert_eq!(take(&mut receiver, &first), Ok(65_535));
        sender.use_key(&id(9)).unwrap();
        assert_eq!(sender.use_key(&id(1)), Err(KeyError::UnknownMki));
        let late = send(&mut sender, 0);
        sender.use_key(&id(7)).unwrap();
        assert_eq!(take(&mut receiver, &send(&mut sender, 1)), Ok(1));
        assert_eq!(receiver.mki(), Some(&id(7)));
        assert_eq!(take(&mut receiver, &late), Ok(0));
        assert_eq!(receiver.mki(), Some(&id(9)));
        assert_eq!(receiver.roll_over_counter(SSRC), Some(1));
        assert_eq!(take(&mut receiver, &first), Err(UnprotectError::Replayed));
        assert_eq!(sender.usage().rtp_packets, 2);
        // One more key than the receiver knows.
        let mut stranger = SrtpSender::with_keys(&named(suite, &[10])).unwrap();
        let wire = send(&mut stranger, 2);
        assert_eq!(take(&mut receiver, &wire), Err(UnprotectError::UnknownMki));
        // An identifier is not authenticated: with another one the tag does not fit.
        let mut forged = send(&mut sender, 2);
        let at = forged.len() - 1 - if suite.is_aead() { 0 } else { suite.rtp_overhead() };
        assert_eq!(forged[at], 7);
        forged[at] = 8;
        assert_eq!(take(&mut receiver, &forged), Err(UnprotectError::AuthFailed));
    }
}

#[test]
fn a_lifetime_ends_hard_and_is_announced_before() {
    let limited = KeyInfo::new(key(Suite::AesCm128HmacSha1_80, 1)).with_lifetime(8).unwrap();
    let (mut sender, mut receiver) = pair(&limited.into());
    for sequence in 0..8 {
        assert_eq!(sender.usage().rtp_left, 8 - u64::from(sequence));
        assert_eq!(sender.usage().rekey_due(), sequence >= 6, "{sequence}");
        assert_eq!(receiver.usage().unwrap().rekey_due(), sequence >= 6, "{sequence}");
        assert_eq!(take(&mut receiver, &send(&mut sender, sequence)), Ok(sequence));
    }
    let (mut buffer, len) = clear(8);
    assert_eq!(sender.protect_rtp(&mut buffer, len).unwrap_err(), ProtectError::KeyExhausted);
    assert_eq!(buffer, clear(8).0);
    // SRTCP has as many of its own.
    for _ in 0..8 {
        report(&mut sender);
    }
    let mut rtcp = [0x80, 201, 0, 1, 0, 0, 0xca, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(sender.protect_rtcp(&mut rtcp, 8).unwrap_err(), ProtectError::KeyExhausted);
    // The same key with more life is not a new key; a new key is.
    let same = KeyInfo::new(key(Suite::AesCm128HmacSha1_80, 1)).with_lifetime(9).unwrap();
    assert_eq!(sender.rekey(&same.into()), Ok(KeyChange::Continued));
    assert_eq!((sender.usage().rtp_packets, sender.usage().rtp_left), (8, 1));
    send(&mut sender, 8);
    assert_eq!(sender.rekey(&set(Suite::AesCm128HmacSha1_80, 2)), Ok(KeyChange::Fresh));
    assert_eq!(sender.usage().rtp_left, 1 << 48);
    assert!(!sender.usage().rekey_due());
    send(&mut sender, 9);
}

#[test]
fn a_change_of_keys_makes_no_gap_and_starts_at_roll_over_counter_0() {
    for from in Suite::ALL {
        for to in Suite::ALL {
            let (mut sender, mut receiver) = pair(&set(from, 1));
            for sequence in [65_000, 65_535, 0, 5] {
                assert_eq!(take(&mut receiver, &send(&mut sender, sequence)), Ok(sequence));
            }
            let old: Vec<_> = (6..10).map(|s| send(&mut sender, s)).collect();
            let old_report = report(&mut sender);
            assert_eq!(sender.rekey(&set(to, 2)), Ok(KeyChange::Fresh));
            let new: Vec<_> = (10..14).map(|s| send(&mut sender, s)).collect();
            let new_report = report(&mut sender);
            assert_eq!(sender.counters().next().unwrap().roll_over, 0);
            // Before the receiver knows, new packets are refused and harm nothing.
            assert!(take(&mut receiver, &new[0]).is_err());
            assert_eq!(take(&mut receiver, &old[0]), Ok(6));
            assert_eq!(receiver.rekey(&set(to, 2)), Ok(KeyChange::Fresh));
            assert_eq!((sender.generation(), receiver.generation()), (1, 1));
            // Interleaved, as a network may.
            for (packet, sequence) in [
                (&old[1], 7),
                (&new[0], 10),
                (&old[3], 9),
                (&new[2], 12),
                (&old[2], 8),
                (&new[1], 11),
            ] {
                let mut forged = packet.clone();
                forged[20] ^= 1;
                assert!(take(&mut receiver, &forged).is_err(), "{from} {to}");
                assert_eq!(take(&mut receiver, packet), Ok(sequence), "{from} {to}");
            }
            for rtcp in [&old_report, &new_report] {
                assert_eq!(receiver.unprotect_rtcp(&mut rtcp.clone()).unwrap().len(), 8);
                let again = receiver.unprotect_rtcp(&mut rtcp.clone()).map(|p| p.len());
                assert_eq!(again, Err(UnprotectError::Replayed), "{from} {to}");
            }
            for packet in old.iter().chain(&new[..3]) {
                assert_eq!(take(&mut receiver, packet), Err(UnprotectError::Replayed));
            }
            assert_eq!(receiver.roll_over_counter(SSRC), Some(0));
            assert!(receiver.is_overlapping());
            receiver.end_overlap();
            assert!(take(&mut receiver, &old[1]).is_err());
            assert_eq!(take(&mut receiver, &new[3]), Ok(13));
        }
    }
}

#[test]
fn old_keys_are_forgotten_after_a_bounded_number_of_packets() {
    let (mut sender, mut receiver) = pair(&set(Suite::AeadAes128Gcm, 1));
    let mut late: Vec<_> = [0, 2000].map(|s| send(&mut sender, s)).to_vec();
    sender.rekey(&set(Suite::AeadAes128Gcm, 2)).unwrap();
    receiver.rekey(&set(Suite::AeadAes128Gcm, 2)).unwrap();
    for sequence in 2..=u16::try_from(OVERLAP_PACKETS).unwrap() {
        take(&mut receiver, &send(&mut sender, sequence)).unwrap();
    }
    assert!(receiver.is_overlapping());
    take(&mut receiver, &late.remove(0)).unwrap();
    take(&mut receiver, &send(&mut sender, 1000)).unwrap();
    assert!(!receiver.is_overlapping());
    assert_eq!(take(&mut receiver, &late[0]), Err(UnprotectError::AuthFailed));
}

#[test]
fn the_same_keys_change_nothing_whatever_address_packets_come_from() {
    let keys = set(Suite::AesCm256HmacSha1_80, 1);
    let (mut sender, mut receiver) = pair(&keys);
    for sequence in [65_000, 500] {
        take(&mut receiver, &send(&mut sender, sequence)).unwrap();
    }
    // A re-INVITE from another address with the keys in use: contexts know no address.
    assert_eq!(sender.rekey(&keys), Ok(KeyChange::Unchanged));
    assert_eq!(receiver.rekey(&keys), Ok(KeyChange::Unchanged));
    assert!(!receiver.is_overlapping());
    take(&mut receiver, &send(&mut sender, 501)).unwrap();
    assert_eq!(receiver.roll_over_counter(SSRC), Some(1));
    let counters: Vec<_> = receiver.counters().collect();
    assert_eq!(counters.len(), 1);
    assert_eq!((counters[0].ssrc, counters[0].roll_over), (SSRC, 1));
    assert_eq!((counters[0].sequence, counters[0].rtcp_index), (Some(501), None));
    report(&mut sender);
    let sent = sender.counters().next().unwrap();
    assert_eq!((sent.sequence, sent.rtcp_index), (Some(501), Some(0)));
    assert_eq!((sender.generation(), receiver.generation()), (0, 0));
}

#[test]
fn a_wrap_that_is_lost_with_the_change_of_keys_is_found() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(&set(suite, 1));
        take(&mut receiver, &send(&mut sender, 65_530)).unwrap();
        sender.rekey(&set(suite, 2)).unwrap();
        receiver.rekey(&set(suite, 2)).unwrap();
        report(&mut sender); // known by its SRTCP alone, so far
        receiver.unprotect_rtcp(&mut report(&mut sender)).unwrap();
        for lost in [65_531, 65_534, 2] {
            send(&mut sender, lost);
        }
        assert_eq!(take(&mut receiver, &send(&mut sender, 3)), Ok(3), "{suite}");
        assert_eq!(receiver.roll_over_counter(SSRC), Some(1));
        // And where the sender changed keys behind the wrap, the counter is 0.
        let (mut sender, mut receiver) = pair(&set(suite, 1));
        take(&mut receiver, &send(&mut sender, 65_530)).unwrap();
        sender.rekey(&set(suite, 2)).unwrap();
        receiver.rekey(&set(suite, 2)).unwrap();
        assert_eq!(take(&mut receiver, &send(&mut sender, 3)), Ok(3), "{suite}");
        assert_eq!(receiver.roll_over_counter(SSRC), Some(0));
    }
}

#[test]
fn a_set_that_shares_a_key_goes_on_with_it() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm] {
        let (mut sender, mut receiver) = pair(&named(suite, &[1, 2]));
        take(&mut receiver, &send(&mut sender, 65_535)).unwrap();
        let under_way = send(&mut sender, 0);
        let next = named(suite, &[2, 3]);
        assert_eq!(sender.rekey(&next), Ok(KeyChange::Continued));
        assert_eq!(receiver.rekey(&next), Ok(KeyChange::Continued));
        assert_eq!(take(&mut receiver, &send(&mut sender, 1)), Ok(1));
        assert_eq!(receiver.mki(), Some(&id(2)));
        assert_eq!(receiver.roll_over_counter(SSRC), Some(1));
        assert_eq!(take(&mut receiver, &under_way), Ok(0));
        receiver.end_overlap();
        sender.use_key(&id(3)).unwrap();
        assert_eq!(take(&mut receiver, &send(&mut sender, 2)), Ok(2));
        let mut first = SrtpSender::with_keys(&named(suite, &[1])).unwrap();
        first.start_at(SSRC, 1, 0).unwrap();
        let wire = send(&mut first, 3);
        assert_eq!(take(&mut receiver, &wire), Err(UnprotectError::UnknownMki));
        // Key 1 was given up: nobody sends with it again.
        assert_eq!(sender.rekey(&named(suite, &[1])), Err(KeyError::Reused));
        assert_eq!(take(&mut receiver, &send(&mut sender, 4)), Ok(4));
    }
}

#[test]
fn a_peer_that_comes_back_to_a_key_finds_its_replay_window() {
    let suite = Suite::AeadAes128Gcm;
    let (mut first, mut receiver) = pair(&set(suite, 1));
    let (mut second, _) = pair(&set(suite, 2));
    let recorded = send(&mut first, 100);
    take(&mut receiver, &recorded).unwrap();
    receiver.rekey(&set(suite, 2)).unwrap();
    take(&mut receiver, &send(&mut second, 1)).unwrap();
    // At once, while both overlap.
    assert_eq!(receiver.rekey(&set(suite, 1)), Ok(KeyChange::Continued));
    assert_eq!(take(&mut receiver, &recorded), Err(UnprotectError::Replayed));
    take(&mut receiver, &send(&mut second, 2)).unwrap();
    // Much later.
    for seed in [2, 3, 4] {
        receiver.rekey(&set(suite, seed)).unwrap();
        let (mut other, _) = pair(&set(suite, seed));
        let _ = take(&mut receiver, &send(&mut other, 50));
        receiver.end_overlap();
    }
    assert_eq!(receiver.rekey(&set(suite, 1)), Ok(KeyChange::Continued));
    receiver.end_overlap();
    assert_eq!(take(&mut receiver, &recorded), Err(UnprotectError::Replayed));
    take(&mut receiver, &send(&mut first, 101)).unwrap();
}

#[test]
fn a_second_change_before_the_first_was_heard_keeps_the_key_that_is_spoken() {
    let suite = Suite::AesCm128HmacSha1_32;
    let (mut sender, mut receiver) = pair(&set(suite, 1));
    take(&mut receiver, &send(&mut sender, 1)).unwrap();
    receiver.rekey(&set(suite, 2)).unwrap();
    receiver.rekey(&set(suite, 3)).unwrap();
    take(&mut receiver, &send(&mut sender, 2)).unwrap();
    sender.rekey(&set(suite, 3)).unwrap();
    take(&mut receiver, &send(&mut sender, 3)).unwrap();
}

#[test]
fn packets_longer_than_the_copy_are_still_taken_in_turn() {
    let suite = Suite::AeadAes256Gcm;
    let (mut sender, mut receiver) = pair(&set(suite, 1));
    sender.rekey(&set(suite, 2)).unwrap();
    receiver.rekey(&set(suite, 2)).unwrap();
    take(&mut receiver, &send(&mut sender, 1)).unwrap();
    let fields = RtpHeaderFields { ssrc: SSRC, sequence_number: 2, ..Default::default() };
    let mut buffer = vec![0; 9000];
    let len = fields.write_packet(&[7; 8000], 0, &mut buffer).unwrap();
    let mut wire = sender.protect_rtp(&mut buffer, len).unwrap().bytes().to_vec();
    assert_eq!(receiver.unprotect_rtp(&mut wire).unwrap().len(), len);
}

#[test]
fn a_wrap_that_is_lost_with_the_change_of_keys_is_found_by_rtp_alone() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(&set(suite, 1));
        take(&mut receiver, &send(&mut sender, 65_530)).unwrap();
        sender.rekey(&set(suite, 2)).unwrap();
        receiver.rekey(&set(suite, 2)).unwrap();
        send(&mut sender, 65_535);
        let (first, second) = (send(&mut sender, 3), send(&mut sender, 4));
        let mut forged = first.clone();
        forged[20] ^= 1;
        assert_eq!(take(&mut receiver, &forged), Err(UnprotectError::AuthFailed), "{suite}");
        assert_eq!(receiver.roll_over_counter(SSRC), None);
        assert_eq!(take(&mut receiver, &first), Ok(3), "{suite}");
        assert_eq!(receiver.roll_over_counter(SSRC), Some(1));
        assert_eq!(take(&mut receiver, &first), Err(UnprotectError::Replayed));
        assert_eq!(take(&mut receiver, &second), Ok(4));
        receiver.end_overlap();
        assert_eq!(take(&mut receiver, &send(&mut sender, 5)), Ok(5));
    }
}

#[test]
fn no_wrap_is_looked_for_where_none_can_have_been_lost() {
    let suite = Suite::AesCm128HmacSha1_80;
    // The last one under the old keys is far from the wrap, or there was none.
    for last in [Some(20_000), None] {
        let (mut sender, mut receiver) = pair(&set(suite, 1));
        if let Some(last) = last {
            take(&mut receiver, &send(&mut sender, last)).unwrap();
        }
        receiver.rekey(&set(suite, 2)).unwrap();
        let mut ahead = SrtpSender::with_keys(&set(suite, 2)).unwrap();
        ahead.start_at(SSRC, 1, 0).unwrap();
        assert!(take(&mut receiver, &send(&mut ahead, 3)).is_err());
        assert_eq!(receiver.roll_over_counter(SSRC), None);
        sender.rekey(&set(suite, 2)).unwrap();
        assert_eq!(take(&mut receiver, &send(&mut sender, 3)), Ok(3));
        assert_eq!(receiver.roll_over_counter(SSRC), Some(0));
    }
}

/// How far behind the highest a packet of a new source is still taken, RTP and RTCP.
fn reach(receiver: &mut SrtpReceiver, keys: &KeySet, ssrc: u32) -> [u32; 2] {
    let mut sender = SrtpSender::with_keys(keys).unwrap();
    let wires: Vec<_> = (0..600).map(|s| from(&mut sender, ssrc, s)).collect();
    receiver.unprotect_rtp(&mut wires[599].0.clone()).unwrap();
    receiver.unprotect_rtcp(&mut wires[599].1.clone()).unwrap();
    let mut reach = [0, 0];
    for (behind, (rtp, rtcp)) in (1..).zip(wires.iter().rev().skip(1)) {
        match receiver.unprotect_rtp(&mut rtp.clone()) {
            Ok(_) => reach[0] = behind,
            Err(error) => assert_eq!(error, UnprotectError::TooOld),
        }
        match receiver.unprotect_rtcp(&mut rtcp.clone()) {
            Ok(_) => reach[1] = behind,
            Err(error) => assert_eq!(error, UnprotectError::TooOld),
        }
    }
    reach
}

/// An RTP and an SRTCP packet of a source, with the next index.
fn from(sender: &mut SrtpSender, ssrc: u32, sequence_number: u16) -> (Vec<u8>, Vec<u8>) {
    let fields = RtpHeaderFields { ssrc, sequence_number, ..Default::default() };
    let mut rtp = [0; 200];
    let len = fields.write_packet(b"twenty milliseconds", 0, &mut rtp).unwrap();
    let mut rtcp = [0; 200];
    rtcp[..4].copy_from_slice(&[0x80, 201, 0, 1]);
    rtcp[4..8].copy_from_slice(&ssrc.to_be_bytes());
    let rtp = sender.protect_rtp(&mut rtp, len).unwrap().bytes().to_vec();
    (rtp, sender.protect_rtcp(&mut rtcp, 8).unwrap().bytes().to_vec())
}

#[test]
fn a_new_source_has_the_replay_window_of_the_last_description() {
    let suite = Suite::AeadAes128Gcm;
    let (one, both) = (named(suite, &[1]), named(suite, &[1, 2]));
    let with = |keys: &KeySet, hint| keys.clone().with_window(hint);
    let mut receiver = SrtpReceiver::with_keys(&one).unwrap();
    assert_eq!(reach(&mut receiver, &one, 1), [127; 2]);
    let mut receiver = SrtpReceiver::with_keys(&with(&one, 400)).unwrap();
    assert_eq!(reach(&mut receiver, &one, 1), [399; 2]);
    // The same keys with another hint, more keys with another one, other keys.
    assert_eq!(receiver.rekey(&with(&one, 200)), Ok(KeyChange::Unchanged));
    assert_eq!(reach(&mut receiver, &one, 2), [199; 2]);
    assert_eq!(receiver.rekey(&with(&both, 300)), Ok(KeyChange::Continued));
    assert_eq!(reach(&mut receiver, &one, 3), [299; 2]);
    let other = named(suite, &[3]);
    assert_eq!(receiver.rekey(&with(&other, 9999)), Ok(KeyChange::Fresh));
    assert_eq!(reach(&mut receiver, &other, 4), [511; 2]);
    // Back to the keys before, while they are still there; and once they are not.
    assert_eq!(receiver.rekey(&with(&both, 250)), Ok(KeyChange::Continued));
    assert_eq!(reach(&mut receiver, &both, 4), [249; 2]);
    receiver.end_overlap();
    assert_eq!(receiver.rekey(&with(&other, 450)), Ok(KeyChange::Continued));
    assert_eq!(reach(&mut receiver, &other, 5), [449; 2]);
    // A source joined late, and one that is not hinted at.
    assert_eq!(receiver.rekey(&other), Ok(KeyChange::Unchanged));
    receiver.start_at(6, 0).unwrap();
    assert_eq!(reach(&mut receiver, &other, 6), [127; 2]);
}
