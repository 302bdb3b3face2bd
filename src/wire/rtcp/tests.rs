use super::*;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

fn report(ssrc: u32, lost: i32) -> ReportBlock {
    ReportBlock {
        ssrc,
        fraction_lost: 12,
        cumulative_lost: lost,
        highest_sequence: 0x1_fffe,
        jitter: 33,
        last_sr: 0xdead_beef,
        delay_since_last_sr: 65536,
    }
}

fn written(write: impl FnOnce(&mut CompoundWriter<'_>)) -> Vec<u8> {
    let mut buf = [0xaa; 2000];
    let mut writer = CompoundWriter::new(&mut buf);
    write(&mut writer);
    let len = writer.finish().unwrap();
    buf[..len].to_vec()
}

#[test]
fn a_full_compound_reads_back() {
    let info = SenderInfo { ntp: 0x1234_5678_9abc_def0, rtp_timestamp: 4, packets: 5, octets: 6 };
    let blocks = [report(1, -3), report(2, 0x7f_ffff)];
    for name in ["", "a", "ab", "abc", "abcd", "abcde"] {
        let bytes = written(|w| {
            w.sender_report(7, &info, &blocks).unwrap();
            w.cname(7, name).unwrap();
            w.goodbye(&[7, 8], name).unwrap();
        });
        let compound = Compound::parse(&bytes).unwrap();
        assert_eq!(compound.sender_ssrc(), 7);
        let packets: Vec<_> = compound.iter().collect();
        let [
            RtcpPacket::SenderReport { ssrc: 7, info: read, reports },
            RtcpPacket::SourceDescription(sdes),
            RtcpPacket::Goodbye(bye),
        ] = packets[..]
        else {
            panic!("{packets:?}")
        };
        assert_eq!(read, info);
        assert!(reports.iter().eq(blocks));
        assert_eq!(reports.on(2), Some(blocks[1]));
        assert_eq!(sdes.cname(7), Some(name.as_bytes()));
        assert_eq!(sdes.items().count(), 1);
        assert!(bye.ssrcs().eq([7, 8]));
        assert_eq!(bye.reason(), (!name.is_empty()).then_some(name.as_bytes()));
    }
}

#[test]
fn a_name_ends_with_a_zero_and_zeros_up_to_the_word() {
    // RFC 3550 §6.5: at least one, even where the name itself ends at a boundary.
    let ends = ["", "a", "ab", "abc"].map(|name| {
        let bytes = written(|w| {
            w.receiver_report(7, &[]).unwrap();
            w.cname(7, name).unwrap();
        });
        bytes[8 + 8 + 2 + name.len()..].to_vec()
    });
    assert_eq!(ends, [vec![0; 2], vec![0; 1], vec![0; 4], vec![0; 3]]);
}

#[test]
fn the_loss_is_clamped_to_24_bits() {
    for (lost, read) in [(i32::MIN, -0x80_0000), (i32::MAX, 0x7f_ffff), (-1, -1)] {
        let bytes = written(|w| w.receiver_report(7, &[report(1, lost)]).unwrap());
        let Some(RtcpPacket::ReceiverReport { reports, .. }) =
            Compound::parse(&bytes).unwrap().iter().next()
        else {
            panic!()
        };
        assert_eq!(reports.on(1).unwrap().cumulative_lost, read);
    }
}

#[test]
fn chunks_of_several_sources_are_walked() {
    let sdes = [
        0x82, SDES, 0, 6, // two chunks
        0, 0, 0, 1, CNAME, 2, b'a', b'b', 0, 0, 0, 0, // ends on the boundary: four zero bytes
        0, 0, 0, 2, 7, 0, CNAME, 1, b'c', 0, 0, 0,
    ];
    let mut bytes = written(|w| w.receiver_report(7, &[]).unwrap());
    bytes.extend_from_slice(&sdes);
    let Some(RtcpPacket::SourceDescription(sdes)) = Compound::parse(&bytes).unwrap().iter().nth(1)
    else {
        panic!()
    };
    let items: Vec<_> = sdes.items().collect();
    assert_eq!(items, [(1, 1, &b"ab"[..]), (2, 7, &b""[..]), (2, 1, &b"c"[..])]);
    assert_eq!((sdes.cname(2), sdes.cname(3)), (Some(&b"c"[..]), None));
}

#[test]
fn unknown_packets_are_skipped_over() {
    let mut bytes = written(|w| w.receiver_report(7, &[]).unwrap());
    let feedback = [0x81, 206, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9];
    bytes.extend_from_slice(&feedback);
    bytes.extend_from_slice(&[0x80, BYE, 0, 0]);
    let packets: Vec<_> = Compound::parse(&bytes).unwrap().iter().collect();
    assert_eq!(packets[1], RtcpPacket::Other { packet_type: 206, count: 1, body: &feedback[4..] });
    assert!(matches!(packets[2], RtcpPacket::Goodbye(_)));
}

#[test]
fn broken_compounds_are_refused_with_a_reason() {
    let rr = [0x80, RR, 0, 1, 0, 0, 0, 7];
    let with = |tail: &[u8]| [&rr[..], tail].concat();
    let cases = [
        (vec![], RtcpError::TooShort),
        (vec![0x80, SDES, 0, 0], RtcpError::FirstPacket),
        (vec![0x40, RR, 0, 1, 0, 0, 0, 7], RtcpError::Version),
        (vec![0x80, RR, 0, 0], RtcpError::TooShort),
        (vec![0x81, RR, 0, 1, 0, 0, 0, 7], RtcpError::TooShort),
        (vec![0x80, SR, 0, 1, 0, 0, 0, 7], RtcpError::TooShort),
        (vec![0xa0, RR, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4], RtcpError::FirstPacket),
        (with(&[0x80, BYE, 0, 1]), RtcpError::Length),
        (with(&[0x80, BYE]), RtcpError::TooShort),
        (with(&[0x81, BYE, 0, 0]), RtcpError::TooShort),
        (with(&[0x80, BYE, 0, 1, 4, 0, 0, 0]), RtcpError::TooShort),
        (with(&[0xa0, BYE, 0, 0]), RtcpError::Padding),
        (with(&[0xa0, BYE, 0, 1, 0, 0, 0, 0]), RtcpError::Padding),
        (with(&[0xa0, BYE, 0, 1, 0, 0, 0, 8]), RtcpError::Padding),
        (with(&[0xa0, BYE, 0, 1, 0, 0, 0, 4, 0x80, BYE, 0, 0]), RtcpError::Padding),
        (with(&rr.repeat(MAX_PACKETS)), RtcpError::TooMany),
    ];
    for (bytes, error) in cases {
        assert_eq!(Compound::parse(&bytes), Err(error), "{bytes:?}");
    }
    assert!(Compound::parse(&with(&[0xa0, BYE, 0, 1, 0, 0, 0, 4])).is_ok());
}

#[test]
fn the_writer_refuses_what_does_not_fit_and_keeps_the_rest() {
    let mut buf = [0; 20];
    let mut w = CompoundWriter::new(&mut buf);
    assert_eq!(w.cname(1, "x"), Err(RtcpWriteError::ReportMissing));
    w.receiver_report(1, &[]).unwrap();
    let small = w.receiver_report(1, &[report(2, 0)]);
    assert_eq!(small, Err(RtcpWriteError::BufferTooSmall { needed: 40 }));
    assert_eq!(w.goodbye(&[0; 32], ""), Err(RtcpWriteError::TooMany(32)));
    let long = "x".repeat(256);
    assert_eq!(w.cname(1, &long), Err(RtcpWriteError::TextTooLong(256)));
    w.cname(1, "x").unwrap();
    assert_eq!(w.finish(), Ok(20));
    assert_eq!(Compound::parse(&buf).unwrap().iter().count(), 2);
    assert_eq!(CompoundWriter::new(&mut buf).finish(), Err(RtcpWriteError::ReportMissing));
}

proptest! {
    #[test]
    fn hostile_bytes_are_walked_to_their_end(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        types in prop::collection::vec(200u8..=207, 8),
    ) {
        // Headers at word boundaries make the bytes reach the inner parsers.
        for (at, kind) in types.into_iter().enumerate() {
            if let Some([b0, pt, l0, l1]) = bytes.get_mut(at * 20..at * 20 + 4) {
                (*b0, *pt, *l0, *l1) = (0x80 | (*b0 & 0x1f), kind, 0, 4);
            }
        }
        bytes.truncate(bytes.len() / 20 * 20);
        for start in (0..bytes.len()).step_by(20) {
            if let Ok(compound) = Compound::parse(&bytes[start..]) {
                for packet in compound.iter() {
                    if let RtcpPacket::SourceDescription(sdes) = packet {
                        prop_assert!(sdes.items().count() <= bytes.len());
                    }
                }
            }
        }
    }
}
