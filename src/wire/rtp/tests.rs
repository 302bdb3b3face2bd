use super::*;

fn fields() -> RtpHeaderFields<'static> {
    RtpHeaderFields {
        marker: true,
        payload_type: 96,
        sequence_number: 0xfffe,
        timestamp: 0x1234_5678,
        ssrc: 0xcafe_babe,
        csrc: &[1, 0xffff_ffff],
        extension: Some(Extension { profile: 0xbede, data: &[0x10, 7, 0, 0, 1, 2, 3, 4] }),
    }
}

#[test]
fn a_written_packet_reads_back() {
    let mut buf = [0xaa; 100];
    let len = fields().write_packet(b"speech", 5, &mut buf).unwrap();
    assert_eq!(len, 12 + 8 + 12 + 6 + 5);
    let packet = RtpPacket::parse(&buf[..len]).unwrap();
    let h = packet.header;
    assert!(h.marker && h.padding);
    assert_eq!((h.payload_type, h.sequence_number, h.timestamp), (96, 0xfffe, 0x1234_5678));
    assert_eq!((h.ssrc, h.len(), h.extension), (0xcafe_babe, 32, fields().extension));
    assert!(h.csrc().eq([1, 0xffff_ffff]));
    assert_eq!(packet.payload, b"speech");
    assert!(buf[len..].iter().all(|b| *b == 0xaa));
}

#[test]
fn every_cut_of_the_header_is_too_short() {
    let mut buf = [0; 100];
    let len = fields().write(&mut buf).unwrap();
    for cut in 0..len {
        assert_eq!(RtpHeader::parse(&buf[..cut]), Err(RtpError::TooShort), "{cut}");
        assert_eq!(
            fields().write(&mut [0; 100][..cut]),
            Err(RtpWriteError::BufferTooSmall { needed: len })
        );
    }
    assert!(RtpPacket::parse(&buf[..len]).unwrap().payload.is_empty());
}

#[test]
fn impossible_headers_are_refused() {
    let mut buf = [0; 20];
    RtpHeaderFields::default().write(&mut buf).unwrap();
    for version in [0, 1, 3] {
        buf[0] = version << 6;
        assert_eq!(RtpPacket::parse(&buf), Err(RtpError::Version));
    }
    buf[0] = 0x80;
    buf[1] = 0x80 | 72;
    assert_eq!(RtpPacket::parse(&buf), Err(RtpError::PayloadType));
    buf[1] = 0;
    buf[0] = 0xa0;
    for (count, expected) in [(0, None), (9, None), (8, Some(0)), (1, Some(7))] {
        buf[19] = count;
        assert_eq!(RtpPacket::parse(&buf).ok().map(|p| p.payload.len()), expected);
    }
    assert_eq!(RtpPacket::parse(&buf[..12]), Err(RtpError::Padding));
}

#[test]
fn the_writer_says_what_it_cannot_write() {
    let mut buf = [0; 100];
    let write = |fields: RtpHeaderFields<'_>, buf: &mut [u8]| fields.write(buf).unwrap_err();
    let f = RtpHeaderFields { payload_type: 128, ..fields() };
    assert_eq!(write(f, &mut buf), RtpWriteError::PayloadType(128));
    let f = RtpHeaderFields { csrc: &[0; 16], ..fields() };
    assert_eq!(write(f, &mut buf), RtpWriteError::TooManyCsrcs(16));
    let f =
        RtpHeaderFields { extension: Some(Extension { profile: 0, data: &[0; 3] }), ..fields() };
    assert_eq!(write(f, &mut buf), RtpWriteError::Extension(3));
}

#[test]
fn the_types_of_rtcp_are_none_of_rtp_both_ways() {
    for payload_type in 0..=127 {
        let rtcp = (72..=76).contains(&payload_type);
        let fields = RtpHeaderFields { payload_type, ..RtpHeaderFields::default() };
        assert_eq!(fields.write(&mut [0; 12]).is_ok(), !rtcp, "{payload_type}");
        let mut bytes = [0; 12];
        RtpHeaderFields::default().write(&mut bytes).unwrap();
        bytes[1] = 0x80 | payload_type;
        let expected = if rtcp { Err(RtpError::PayloadType) } else { Ok(payload_type) };
        assert_eq!(RtpHeader::parse(&bytes).map(|h| h.payload_type), expected);
    }
}

#[test]
fn the_first_byte_separates_the_protocols() {
    for first in 0..=255u8 {
        let expected = match first {
            0..=3 => PacketKind::Stun,
            16..=19 => PacketKind::Zrtp,
            20..=63 => PacketKind::Dtls,
            64..=79 => PacketKind::TurnChannel,
            128..=191 => PacketKind::Rtp,
            _ => PacketKind::Unknown,
        };
        assert_eq!(classify(&[first, 0]), expected, "{first}");
    }
    for second in 0..=255u8 {
        let rtcp = (192..=223).contains(&second);
        let expected = if rtcp { PacketKind::Rtcp } else { PacketKind::Rtp };
        assert_eq!(classify(&[0x80, second]), expected, "{second}");
    }
    assert_eq!(classify(&[]), PacketKind::Unknown);
    assert_eq!(classify(&[0x80]), PacketKind::Unknown);
}
