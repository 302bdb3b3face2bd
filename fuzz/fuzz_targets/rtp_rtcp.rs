//! RTP, RTCP and telephone events: what parses is walked to its end, and RTP headers that are
//! written again read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::wire::{
    dtmf::TelephoneEvent,
    rtcp::{Compound, CompoundWriter, MAX_XR_BLOCKS, RtcpPacket, XrBlock},
    rtp::{RtpHeaderFields, RtpPacket, classify},
};

fuzz_target!(|data: &[u8]| {
    let _ = classify(data);
    if let Ok(packet) = RtpPacket::parse(data) {
        let _ = TelephoneEvent::parse(packet.payload).map(TelephoneEvent::to_bytes);
        let h = packet.header;
        let csrc: Vec<u32> = h.csrc().collect();
        let fields = RtpHeaderFields {
            marker: h.marker,
            payload_type: h.payload_type,
            sequence_number: h.sequence_number,
            timestamp: h.timestamp,
            ssrc: h.ssrc,
            csrc: &csrc,
            extension: h.extension,
        };
        let mut out = vec![0; data.len()];
        let len = fields.write_packet(packet.payload, 0, &mut out).expect("it was read");
        let again = RtpPacket::parse(&out[..len]).expect("it was written");
        assert_eq!(again.payload, packet.payload);
        assert!(again.header.csrc().eq(csrc.iter().copied()));
        assert_eq!(again.header.extension, h.extension);
    }
    if let Ok(compound) = Compound::parse(data) {
        let _ = compound.sender_ssrc();
        for packet in compound.iter() {
            match packet {
                RtcpPacket::SenderReport { reports, .. }
                | RtcpPacket::ReceiverReport { reports, .. } => {
                    assert!(reports.iter().count() < 32)
                }
                RtcpPacket::SourceDescription(sdes) => {
                    assert!(sdes.items().count() <= data.len());
                }
                RtcpPacket::Goodbye(bye) => assert!(bye.ssrcs().count() < 32),
                RtcpPacket::ExtendedReport(report) => {
                    assert!(report.blocks().count() <= MAX_XR_BLOCKS);
                    for block in report.blocks() {
                        let XrBlock::VoipMetrics(metrics) = block else { continue };
                        let mut out = [0; 64];
                        let mut writer = CompoundWriter::new(&mut out);
                        writer.receiver_report(1, &[]).expect("it fits");
                        writer.voip_metrics(1, &[metrics]).expect("it was read");
                        let len = writer.finish().expect("it has a report");
                        let again = Compound::parse(&out[..len]).expect("it was written");
                        let same = again.iter().any(|packet| {
                            matches!(packet, RtcpPacket::ExtendedReport(xr)
                                if xr.voip_metrics_on(metrics.ssrc) == Some(metrics))
                        });
                        assert!(same);
                    }
                }
                _ => {}
            }
        }
    }
});
