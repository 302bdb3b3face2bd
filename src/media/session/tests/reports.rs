//! What receiver reports say of sequences that wrap or are nearly all lost (RFC 3550 §6.4.1), and
//! where they go.

use super::*;
use crate::wire::rtcp::{Compound, CompoundWriter, ReportBlock, RtcpPacket, SenderInfo};

/// The report that is due next, and how it leaves.
fn report(s: &mut MediaSession) -> (Channel, SocketAddr, Option<ReportBlock>) {
    let due = s.control.due();
    s.handle_timeout(due);
    let mut buf = [0; MAX_TRANSMIT];
    let t = s.poll_transmit(due, &mut buf).unwrap().unwrap();
    let compound = Compound::parse(t.packet.bytes()).unwrap();
    let Some(RtcpPacket::ReceiverReport { reports, .. }) = compound.iter().next() else {
        panic!("{compound:?}")
    };
    (t.channel, t.remote, reports.iter().next())
}

fn hear(s: &mut MediaSession, sequence: u16) {
    s.handle_datagram(Instant::ZERO, Channel::Rtp, &mut rtp(7, sequence), addr(4_000));
}

#[test]
fn the_highest_sequence_number_goes_on_over_its_wrap() {
    let mut s = session(config());
    assert_eq!(report(&mut s).2, None, "nothing was heard");
    // The first one is on probation; 65535 is lost, and 1 comes after 2.
    [65_531, 65_532, 65_533, 65_534, 0, 2, 1, 3].into_iter().for_each(|n| hear(&mut s, n));
    let block = report(&mut s).2.unwrap();
    assert_eq!((block.ssrc, block.highest_sequence), (7, 0x1_0003));
    assert_eq!((block.cumulative_lost, block.fraction_lost), (1, (256 / 8) as u8));
    // All the way round once more, in steps that are believed.
    (3..=65_535).step_by(2_000).for_each(|n| hear(&mut s, n as u16));
    hear(&mut s, 65_535);
    (0..5).for_each(|n| hear(&mut s, n));
    assert_eq!(report(&mut s).2.unwrap().highest_sequence, 0x2_0004);
}

#[test]
fn a_fraction_of_nearly_all_is_reported_as_255_of_256() {
    let mut s = session(config());
    [0, 1, 2_999].into_iter().for_each(|n| hear(&mut s, n));
    let block = report(&mut s).2.unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (255, 2_997));
    let stats = s.stats();
    assert!((stats.fraction_lost - 255.0 / 256.0).abs() < 1e-6, "{}", stats.fraction_lost);
    assert_eq!(stats.lost, 2_997);
    // The next interval has losses of its own.
    [3_000, 3_002].into_iter().for_each(|n| hear(&mut s, n));
    let block = report(&mut s).2.unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (85, 2_998));
}

#[test]
fn reports_leave_through_the_socket_that_was_agreed() {
    let mut c = config();
    (c.rtcp_mux, c.remote_rtcp) = (false, addr(4_001));
    let mut s = session(c);
    let (channel, remote, _) = report(&mut s);
    assert_eq!((channel, remote), (Channel::Rtcp, addr(4_001)));
    let update = MediaUpdate::new().remote(addr(5_000), addr(5_001), true);
    s.handle_update(Instant::ZERO, update).unwrap();
    let (channel, remote, _) = report(&mut s);
    assert_eq!((channel, remote), (Channel::Rtp, addr(5_000)));
    let update = MediaUpdate::new().remote(addr(6_000), addr(6_001), false);
    s.handle_update(Instant::ZERO, update).unwrap();
    let (channel, remote, _) = report(&mut s);
    assert_eq!((channel, remote), (Channel::Rtcp, addr(6_001)));
}

/// A compound of the peer: a sender report about us, and perhaps a goodbye.
fn compound(ours: u32, peer: u32, left: &[u32]) -> Vec<u8> {
    let mut out = [0; 200];
    let mut writer = CompoundWriter::new(&mut out);
    let block = ReportBlock {
        ssrc: ours,
        fraction_lost: 64,
        cumulative_lost: -5,
        ..ReportBlock::default()
    };
    writer.sender_report(peer, &SenderInfo::default(), &[block]).unwrap();
    if !left.is_empty() {
        writer.goodbye(left, "").unwrap();
    }
    let n = writer.finish().unwrap();
    out[..n].to_vec()
}

#[test]
fn what_the_peer_reports_of_us_is_told_and_of_others_is_not() {
    let mut s = session(config());
    (0..3).for_each(|n| hear(&mut s, n));
    let ours = s.local_ssrc();
    let take = |s: &mut MediaSession, bytes: &[u8]| {
        s.handle_datagram(Instant::ZERO, Channel::Rtp, &mut bytes.to_vec(), addr(4_000));
    };
    take(&mut s, &compound(ours.wrapping_add(1), 7, &[]));
    assert_eq!((s.stats().remote_lost, s.stats().rtcp_received), (0, 1));
    take(&mut s, &compound(ours, 7, &[]));
    let stats = s.stats();
    assert_eq!((stats.remote_lost, stats.remote_fraction_lost), (-5, 0.25));
    assert_eq!(stats.rtt, None, "the peer has heard no report of ours");
}

#[test]
fn only_the_goodbye_of_the_source_that_is_heard_is_told() {
    let mut s = session(config());
    (0..3).for_each(|n| hear(&mut s, n));
    let ours = s.local_ssrc();
    let byes = |s: &mut MediaSession, bytes: &[u8]| {
        s.handle_datagram(Instant::ZERO, Channel::Rtp, &mut bytes.to_vec(), addr(4_000));
        events(s).into_iter().filter(|e| *e == MediaEvent::RemoteBye).count()
    };
    assert_eq!(byes(&mut s, &compound(ours, 7, &[])), 0);
    assert_eq!(byes(&mut s, &compound(ours, 7, &[8, 9])), 0);
    assert_eq!(byes(&mut s, &compound(ours, 7, &[8, 7])), 1);
}
