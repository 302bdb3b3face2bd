use super::*;
use crate::util::SeededRng;
use crate::wire::rtp::{Extension, RtpHeaderFields};
use alloc::{vec, vec::Vec};

pub(super) const SSRC: u32 = 0xcafe_babe;

fn pair(suite: Suite) -> (SrtpSender, SrtpReceiver) {
    let key = MasterKey::generate(suite, &mut SeededRng::new(7));
    (SrtpSender::new(&key).unwrap(), SrtpReceiver::new(&key).unwrap())
}

fn plain(ssrc: u32, sequence_number: u16) -> Vec<u8> {
    let fields = RtpHeaderFields { ssrc, sequence_number, ..Default::default() };
    let mut buf = vec![0; 100];
    let len = fields.write_packet(b"twenty milliseconds", 0, &mut buf).unwrap();
    buf.truncate(len);
    buf
}

fn sealed(sender: &mut SrtpSender, ssrc: u32, seq: u16) -> Vec<u8> {
    let mut buf = plain(ssrc, seq);
    let len = buf.len();
    buf.resize(len + 16, 0);
    sender.protect_rtp(&mut buf, len).unwrap().bytes().to_vec()
}

#[test]
fn the_roll_over_counter_survives_the_wrap_and_reordering_around_it() {
    for suite in Suite::ALL {
        let (mut tx, mut rx) = pair(suite);
        let order = [65530, 65535, 1, 65533, 0, 65534, 3, 65531, 2];
        let mut seqs: Vec<u16> = order.to_vec();
        seqs.sort_by_key(|s| s.wrapping_add(100));
        let packets: Vec<_> = seqs.iter().map(|s| (*s, sealed(&mut tx, SSRC, *s))).collect();
        assert_eq!(tx.roll_over_counter(SSRC), Some(1));
        for seq in order {
            let mut p = packets.iter().find(|p| p.0 == seq).unwrap().1.clone();
            assert_eq!(rx.unprotect_rtp(&mut p).unwrap(), plain(SSRC, seq), "{suite} {seq}");
        }
        assert_eq!(rx.roll_over_counter(SSRC), Some(1));
        for (seq, p) in packets {
            let error = rx.unprotect_rtp(&mut p.clone()).unwrap_err();
            assert_eq!(error, UnprotectError::Replayed, "{suite} {seq}");
        }
    }
}

#[test]
fn many_wraps_with_loss_stay_in_step() {
    let (mut tx, mut rx) = pair(Suite::AesCm128HmacSha1_80);
    let mut seq = 0u16;
    for _ in 0..40 {
        let mut p = sealed(&mut tx, SSRC, seq);
        assert_eq!(rx.unprotect_rtp(&mut p).unwrap(), plain(SSRC, seq));
        seq = seq.wrapping_add(30_000);
    }
    assert_eq!(rx.roll_over_counter(SSRC), Some(17));
}

#[test]
fn forged_packets_change_nothing() {
    for suite in Suite::ALL {
        let (mut tx, mut rx) = pair(suite);
        let first = sealed(&mut tx, SSRC, 10);
        rx.unprotect_rtp(&mut first.clone()).unwrap();
        let before = rx.state();
        let good = sealed(&mut tx, SSRC, 11);
        for byte in 0..good.len() {
            for bit in 0..8 {
                let mut forged = good.clone();
                forged[byte] ^= 1 << bit;
                assert!(rx.unprotect_rtp(&mut forged).is_err(), "{suite} {byte}.{bit}");
            }
        }
        for len in 0..good.len() {
            assert!(rx.unprotect_rtp(&mut good[..len].to_vec()).is_err(), "{suite} cut {len}");
        }
        assert_eq!(rx.state(), before);
        assert_eq!(rx.unprotect_rtp(&mut good.clone()).unwrap(), plain(SSRC, 11));
    }
}

/// A packet and a report of a source, by a sender of this key alone.
fn of_source(key: &MasterKey, ssrc: u32, number: u16) -> (Vec<u8>, Vec<u8>) {
    let mut tx = SrtpSender::new(key).unwrap();
    tx.start_at(ssrc, 0, number.into()).unwrap();
    let mut report = [0x80, 201, 0, 1].to_vec();
    report.extend(ssrc.to_be_bytes());
    report.extend(0..40);
    report.resize(48 + tx.suite().rtcp_overhead(), 0);
    let report = tx.protect_rtcp(&mut report, 48).unwrap().bytes().to_vec();
    (sealed(&mut tx, ssrc, number), report)
}

#[test]
fn what_is_not_authentic_changes_no_kind_of_source() {
    const REPORTED: u32 = 2;
    const RETIRED: u32 = 3;
    const NEW: u32 = 4;
    for suite in Suite::ALL {
        let key = MasterKey::generate(suite, &mut SeededRng::new(7));
        let mut rx = SrtpReceiver::new(&key).unwrap();
        for ssrc in [SSRC, RETIRED] {
            rx.unprotect_rtp(&mut of_source(&key, ssrc, 10).0).unwrap();
        }
        rx.unprotect_rtcp(&mut of_source(&key, REPORTED, 10).1).unwrap();
        rx.retire(RETIRED);
        let before = rx.state();
        for ssrc in [SSRC, REPORTED, RETIRED, NEW] {
            // Behind the highest, ahead of it, and more than a window ahead.
            for number in [9, 11, 400] {
                let (mut rtp, mut rtcp) = of_source(&key, ssrc, number);
                rtp[13] ^= 1;
                rtcp[9] ^= 1;
                assert_eq!(rx.unprotect_rtp(&mut rtp), Err(UnprotectError::AuthFailed));
                assert_eq!(rx.state(), before, "{suite} RTP {ssrc} {number}");
                assert_eq!(rx.unprotect_rtcp(&mut rtcp), Err(UnprotectError::AuthFailed));
                assert_eq!(rx.state(), before, "{suite} RTCP {ssrc} {number}");
            }
        }
    }
}

#[test]
fn a_source_without_a_place_changes_nothing() {
    let key = MasterKey::generate(Suite::AeadAes128Gcm, &mut SeededRng::new(7));
    let mut rx = SrtpReceiver::new(&key).unwrap();
    rx.unprotect_rtp(&mut of_source(&key, 100, 1).0).unwrap();
    rx.retire(100);
    for ssrc in 1..=4 {
        rx.unprotect_rtp(&mut of_source(&key, ssrc, 1).0).unwrap();
    }
    let before = rx.state();
    for ssrc in [5, 100] {
        let (mut rtp, mut rtcp) = of_source(&key, ssrc, 2);
        assert_eq!(rx.unprotect_rtp(&mut rtp), Err(UnprotectError::TooManySsrcs));
        assert_eq!(rx.unprotect_rtcp(&mut rtcp), Err(UnprotectError::TooManySsrcs));
        assert_eq!(rx.state(), before, "{ssrc}");
    }
}

#[test]
fn packets_below_the_window_are_too_old() {
    let (mut tx, mut rx) = pair(Suite::AeadAes256Gcm);
    let packets: Vec<_> = (0..130).map(|s| sealed(&mut tx, SSRC, s)).collect();
    rx.unprotect_rtp(&mut packets[129].clone()).unwrap();
    assert_eq!(rx.unprotect_rtp(&mut packets[1].clone()), Err(UnprotectError::TooOld));
    rx.unprotect_rtp(&mut packets[2].clone()).unwrap();
}

#[test]
fn csrcs_and_extension_stay_in_clear_and_are_authenticated() {
    let fields = RtpHeaderFields {
        ssrc: SSRC,
        csrc: &[1, 2, 3],
        extension: Some(Extension { profile: 0xbede, data: &[9; 8] }),
        ..Default::default()
    };
    for suite in Suite::ALL {
        let (mut tx, mut rx) = pair(suite);
        let mut buf = [0; 200];
        let len = fields.write_packet(&[0x55; 40], 4, &mut buf).unwrap();
        let clear = buf[..len].to_vec();
        let mut wire = tx.protect_rtp(&mut buf, len).unwrap().bytes().to_vec();
        assert_eq!(wire.len(), len + suite.rtp_overhead());
        assert_eq!(wire[..36], clear[..36]);
        assert_ne!(wire[36..len], clear[36..]);
        assert_eq!(rx.unprotect_rtp(&mut wire).unwrap(), clear);
        buf[..len].copy_from_slice(&clear);
        buf[3] = 1;
        let mut wire = tx.protect_rtp(&mut buf, len).unwrap().bytes().to_vec();
        wire[30] ^= 1;
        assert_eq!(rx.unprotect_rtp(&mut wire), Err(UnprotectError::AuthFailed));
    }
}

#[test]
fn an_index_is_never_used_twice() {
    let (mut tx, _) = pair(Suite::AesCm128HmacSha1_80);
    sealed(&mut tx, SSRC, 100);
    for seq in [100, 99, 0, 100 + 0x8000] {
        let mut buf = plain(SSRC, seq);
        let (len, clear) = (buf.len(), buf.clone());
        buf.resize(len + 10, 0);
        let error = tx.protect_rtp(&mut buf, len).unwrap_err();
        assert_eq!(error, ProtectError::IndexReused { ssrc: SSRC, sequence: seq });
        assert_eq!(buf[..len], clear);
    }
    sealed(&mut tx, SSRC, 101);
}

#[test]
fn a_key_ends() {
    let (mut tx, _) = pair(Suite::AesCm128HmacSha1_80);
    let mut buf = plain(SSRC, 5);
    let len = buf.len();
    buf.resize(len + 10, 0);
    tx.age((1 << 48) - 1, (1 << 31) - 1);
    assert!(tx.protect_rtp(&mut buf, len).is_ok());
    let mut next = plain(SSRC, 6);
    next.resize(len + 10, 0);
    assert_eq!(tx.protect_rtp(&mut next, len).unwrap_err(), ProtectError::KeyExhausted);
    let mut rr = [0x80, 201, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(tx.protect_rtcp(&mut rr, 8).is_ok());
    let mut rr = [0x80, 201, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(tx.protect_rtcp(&mut rr, 8).unwrap_err(), ProtectError::KeyExhausted);

    let (mut tx, mut rx) = pair(Suite::AesCm128HmacSha1_80);
    tx.start_at(SSRC, u32::MAX, 0).unwrap();
    rx.start_at(SSRC, u32::MAX).unwrap();
    rx.unprotect_rtp(&mut sealed(&mut tx, SSRC, 65535)).unwrap();
    let mut wrapped = plain(SSRC, 0);
    wrapped.resize(len + 10, 0);
    assert_eq!(tx.protect_rtp(&mut wrapped, len).unwrap_err(), ProtectError::KeyExhausted);
    assert_eq!(rx.unprotect_rtp(&mut wrapped), Err(UnprotectError::KeyExhausted));
    assert_eq!(tx.start_at(SSRC, 0, 0), Err(ProtectError::SsrcInUse(SSRC)));
}

#[test]
fn only_authentic_sources_take_places_and_none_is_pushed_out() {
    let key = MasterKey::generate(Suite::AeadAes128Gcm, &mut SeededRng::new(7));
    let mut rx = SrtpReceiver::new(&key).unwrap();
    let send = |ssrc, seq| sealed(&mut SrtpSender::new(&key).unwrap(), ssrc, seq);
    for ssrc in 100..1000 {
        let mut forged = send(ssrc, 1);
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(rx.unprotect_rtp(&mut forged), Err(UnprotectError::AuthFailed));
    }
    assert_eq!(rx.live_ssrcs().count(), 0);
    for ssrc in 1..=4 {
        rx.unprotect_rtp(&mut send(ssrc, 1)).unwrap();
    }
    assert_eq!(rx.unprotect_rtp(&mut send(5, 1)), Err(UnprotectError::TooManySsrcs));
    assert!(rx.live_ssrcs().eq(1..=4));
    rx.retire(2);
    assert_eq!(rx.unprotect_rtp(&mut send(2, 1)), Err(UnprotectError::Replayed));
    rx.unprotect_rtp(&mut send(5, 1)).unwrap();
    assert!(rx.live_ssrcs().eq([1, 3, 4, 5]));
    assert_eq!(rx.unprotect_rtp(&mut send(2, 2)), Err(UnprotectError::TooManySsrcs));
    rx.retire(5);
    rx.unprotect_rtp(&mut send(2, 2)).unwrap();
    assert!(rx.live_ssrcs().eq(1..=4));
    for ssrc in 6..1000 {
        rx.retire(ssrc - 1);
        rx.retire(2);
        let known = rx.unprotect_rtp(&mut send(ssrc, 1)).is_ok();
        assert_eq!(known, ssrc <= 16, "{ssrc}");
    }
}

#[test]
fn rtcp_is_indexed_encrypted_and_checked() {
    let report: Vec<u8> =
        [0x80, 201, 0, 1, 0xca, 0xfe, 0xba, 0xbe].into_iter().chain(0..40).collect();
    for suite in Suite::ALL {
        let (mut tx, mut rx) = pair(suite);
        let mut wires = Vec::new();
        for _ in 0..3 {
            let mut buf = report.clone();
            buf.resize(report.len() + suite.rtcp_overhead(), 0);
            wires.push(tx.protect_rtcp(&mut buf, report.len()).unwrap().bytes().to_vec());
        }
        assert_eq!(wires[0].len(), report.len() + suite.rtcp_overhead());
        assert_ne!(wires[0][8..48], report[8..]);
        assert_ne!(wires[0][8..48], wires[1][8..48]);
        for byte in 0..wires[2].len() {
            let mut forged = wires[2].clone();
            forged[byte] ^= 0x40;
            assert!(rx.unprotect_rtcp(&mut forged).is_err(), "{suite} {byte}");
        }
        assert_eq!(rx.live_ssrcs().count(), 0);
        for at in [2, 0, 1] {
            assert_eq!(rx.unprotect_rtcp(&mut wires[at].clone()).unwrap(), report);
        }
        for wire in &wires {
            let error = rx.unprotect_rtcp(&mut wire.clone()).unwrap_err();
            assert_eq!(error, UnprotectError::Replayed);
        }
        for len in 0..wires[0].len() {
            assert!(rx.unprotect_rtcp(&mut wires[0][..len].to_vec()).is_err());
        }
    }
}

#[test]
fn the_caller_is_told_what_is_missing() {
    let (mut tx, _) = pair(Suite::AeadAes128Gcm);
    let mut buf = plain(SSRC, 1);
    let len = buf.len();
    let small = ProtectError::BufferTooSmall { needed: len + 16 };
    assert_eq!(tx.protect_rtp(&mut buf, len).unwrap_err(), small);
    assert!(matches!(tx.protect_rtp(&mut buf, 999), Err(ProtectError::BufferTooSmall { .. })));
    assert_eq!(tx.protect_rtp(&mut [0; 60], 20).unwrap_err(), ProtectError::Malformed);
    assert_eq!(tx.protect_rtcp(&mut buf, len).unwrap_err(), ProtectError::Malformed);
    let mut huge = vec![0; 70_000];
    huge[0] = 0x80;
    assert_eq!(tx.protect_rtp(&mut huge, 65_500).unwrap_err(), ProtectError::TooLong);
    for ssrc in 1..=4 {
        sealed(&mut tx, ssrc, 1);
    }
    assert_eq!(tx.start_at(5, 0, 0), Err(ProtectError::TooManySsrcs));
}

#[test]
fn plain_media_needs_a_permit() {
    #[allow(clippy::disallowed_methods)] // a test may issue one
    let egress = Egress::plain(b"clear", &PlainPermit::issue());
    assert_eq!((egress.bytes(), egress.suite()), (&b"clear"[..], None));
}

#[test]
fn each_source_has_a_roll_over_counter_of_its_own() {
    for suite in Suite::ALL {
        let (mut tx, mut rx) = pair(suite);
        for (at, seq) in (0_u16..).zip(65_533..=65_538_u32) {
            let seq = (seq & 0xffff) as u16;
            let mut wrapping = sealed(&mut tx, SSRC, seq);
            assert_eq!(rx.unprotect_rtp(&mut wrapping).unwrap(), plain(SSRC, seq), "{suite}");
            let mut other = sealed(&mut tx, 1, at);
            assert_eq!(rx.unprotect_rtp(&mut other).unwrap(), plain(1, at), "{suite}");
        }
        for (ssrc, roll_over) in [(SSRC, 1), (1, 0)] {
            assert_eq!(tx.roll_over_counter(ssrc), Some(roll_over), "{suite}");
            assert_eq!(rx.roll_over_counter(ssrc), Some(roll_over), "{suite}");
        }
        // A source that begins when another one has wrapped begins at 0, and says so on the wire.
        let mut late = sealed(&mut tx, 2, 9);
        let (mut alone, _) = pair(suite);
        assert_eq!(late, sealed(&mut alone, 2, 9), "{suite}");
        assert_eq!(rx.unprotect_rtp(&mut late).unwrap(), plain(2, 9), "{suite}");
    }
}
