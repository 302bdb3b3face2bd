//! The watch over media that does not come, and what it says of the packets that came instead.

use super::*;
use crate::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};

const SECOND: Duration = Duration::from_secs(1);

fn watched() -> MediaConfig {
    let mut config = config();
    config.no_media_timeout = SECOND;
    config
}

fn keys() -> [MasterKey; 2] {
    let mut rng = SeededRng::new(8);
    [0, 1].map(|_| MasterKey::generate(Suite::AeadAes128Gcm, &mut rng))
}

/// A session under keys of its own, and the sender whose packets it takes.
fn secured() -> (MediaConfig, SrtpSender) {
    let [ours, theirs] = keys();
    let (sender, receiver) = (SrtpSender::new(&ours).unwrap(), SrtpReceiver::new(&theirs).unwrap());
    let security = MediaSecurity::Srtp { sender, receiver };
    (MediaConfig { security, ..watched() }, SrtpSender::new(&theirs).unwrap())
}

fn protected(sender: &mut SrtpSender, mut packet: Vec<u8>) -> Vec<u8> {
    let len = packet.len();
    packet.resize(len + 64, 0);
    sender.protect_rtp(&mut packet, len).unwrap().bytes().to_vec()
}

fn take(s: &mut MediaSession, now: Instant, packet: &[u8], from: SocketAddr) {
    s.handle_datagram(now, Channel::Rtp, &mut packet.to_vec(), from);
}

/// The reasons that are told when the watch runs out at this time.
fn told(s: &mut MediaSession, now: Instant) -> Vec<NoMediaReason> {
    s.handle_timeout(now);
    let reason = |event| match event {
        MediaEvent::NoMedia { reason } => Some(reason),
        _ => None,
    };
    events(s).into_iter().filter_map(reason).collect()
}

#[test]
fn each_reason_is_told_by_what_came_instead_of_media() {
    let wrong_type = {
        let mut packet = rtp(1, 5);
        packet[1] = 3;
        packet
    };
    let wrong_keys = protected(&mut SrtpSender::new(&keys()[0]).unwrap(), rtp(1, 5));
    // Plain audio, a datagram of something else, a packet of another source.
    let mut noise = rtp(1, 5);
    noise[0] = 0xff;
    let (own, other) = (addr(4_000), addr(4_001));
    let cases: [(bool, &[Vec<u8>], SocketAddr, NoMediaReason); 8] = [
        (false, &[], own, NoMediaReason::Silence),
        (false, &[rtp(1, 5), rtp(1, 6)], other, NoMediaReason::WrongSource),
        (false, core::slice::from_ref(&wrong_type), own, NoMediaReason::WrongPayloadType),
        (false, &[noise], own, NoMediaReason::Malformed),
        // Never two in a row.
        (false, &[rtp(1, 5), rtp(1, 7)], own, NoMediaReason::Malformed),
        (true, &[rtp(1, 5)], own, NoMediaReason::Plain),
        (true, core::slice::from_ref(&wrong_keys), own, NoMediaReason::WrongKeys),
        (true, &[wrong_keys.clone(), rtp(1, 5)], own, NoMediaReason::Plain),
    ];
    for (srtp, packets, from, reason) in cases {
        let mut s = session(if srtp { secured().0 } else { watched() });
        packets.iter().for_each(|p| take(&mut s, Instant::ZERO, p, from));
        assert_eq!(s.stats().packets_received, 0);
        assert!(s.next_timeout().is_some_and(|at| at <= Instant::ZERO + SECOND));
        assert_eq!(told(&mut s, Instant::from_millis(999)), []);
        assert_eq!(told(&mut s, Instant::from_millis(1_000)), [reason]);
        assert_eq!(told(&mut s, Instant::from_millis(1_900)), [], "once");
    }
    let (mut s, mut wrong) = (session(watched()), wrong_type.clone());
    take(&mut s, Instant::ZERO, &wrong, addr(4_000));
    assert_eq!((s.stats().unknown_payload_type, s.stats().out_of_sequence), (1, 0));
    wrong[0] = 0;
    take(&mut s, Instant::ZERO, &wrong, addr(4_000));
    assert_eq!((s.stats().other_protocol, s.stats().malformed_rtp), (1, 0), "STUN");
}

#[test]
fn media_that_comes_again_is_told_and_the_watch_begins_anew() {
    let mut s = session(watched());
    take(&mut s, Instant::ZERO, &rtp(1, 5), addr(4_001));
    assert_eq!(told(&mut s, Instant::from_millis(1_000)), [NoMediaReason::WrongSource]);
    feed(&mut s, 1, 100..103, addr(4_000));
    let got = events(&mut s);
    let resumed = got.iter().filter(|e| **e == MediaEvent::MediaResumed).count();
    let first = got.iter().filter(|e| matches!(e, MediaEvent::FirstPacket { .. })).count();
    assert_eq!((resumed, first), (1, 1));
    // The last one came at 2 040 ms. What came before it is no reason any more.
    assert_eq!(told(&mut s, Instant::from_millis(3_039)), []);
    assert_eq!(told(&mut s, Instant::from_millis(3_040)), [NoMediaReason::Silence]);
    feed(&mut s, 1, 200..202, addr(4_000));
    assert!(events(&mut s).contains(&MediaEvent::MediaResumed));
}

#[test]
fn a_hold_is_no_loss_of_media_and_what_comes_meanwhile_is_not_heard() {
    let mut s = session(watched());
    let ms = Instant::from_millis;
    s.set_direction(ms(500), Direction::SendOnly);
    assert!(s.next_timeout().is_some_and(|at| at > ms(1_000)), "RTCP only");
    assert_eq!(told(&mut s, ms(1_500)), []);
    feed(&mut s, 1, 76..90, addr(4_000));
    let stats = s.stats();
    assert_eq!((stats.packets_received, stats.while_held), (13, 13));
    let mut pcm = [7; 800];
    s.read_pcm(ms(1_900), &mut pcm).unwrap();
    assert_eq!(pcm, [0; 800]);
    // Its time begins with the end of the hold.
    s.set_direction(ms(5_000), Direction::SendRecv);
    assert_eq!(told(&mut s, ms(5_999)), []);
    assert_eq!(told(&mut s, ms(6_000)), [NoMediaReason::Silence]);
    assert_eq!(s.stats().while_held, 13);
}

#[test]
fn audio_of_before_a_hold_is_not_heard_after_it() {
    let mut s = session(config());
    let heard = |s: &mut MediaSession, ms: u64| {
        let mut pcm = [0; 160];
        (0..8).any(|n| {
            s.read_pcm(Instant::from_millis(ms + n * 20), &mut pcm).unwrap();
            pcm.iter().any(|sample| sample.unsigned_abs() > 1_000)
        })
    };
    feed(&mut s, 1, 0..8, addr(4_000));
    assert!(heard(&mut s, 160));
    feed(&mut s, 1, 8..20, addr(4_000));
    s.set_direction(Instant::from_millis(400), Direction::Inactive);
    s.set_direction(Instant::from_millis(400), Direction::SendRecv);
    assert!(!heard(&mut s, 600));
    // Nor is that of a source which another one replaced.
    let mut s = session(config());
    feed(&mut s, 1, 0..12, addr(4_000));
    for sequence in [500, 501] {
        let fields = RtpHeaderFields { ssrc: 2, sequence_number: sequence, ..Default::default() };
        let mut out = [0; 200];
        let n = fields.write_packet(&[0xff; 160], 0, &mut out).unwrap();
        take(&mut s, Instant::from_millis(240), &out[..n], addr(4_000));
    }
    assert_eq!(s.remote_ssrc(), Some(2));
    assert!(!heard(&mut s, 240));
}

#[test]
fn an_authentic_source_is_believed_at_once_and_an_old_packet_moves_no_address() {
    let (mut config, mut peer) = secured();
    config.source_lock = SourceLock::Authenticated;
    let mut s = session(config);
    let packets: Vec<_> = (0..6).map(|n| protected(&mut peer, rtp(1, n))).collect();
    take(&mut s, Instant::ZERO, &packets[0], addr(4_000));
    assert_eq!((s.stats().packets_received, s.stats().out_of_sequence), (1, 0));
    assert_eq!(s.stats().bytes_received, 172, "its tag is none of it");
    take(&mut s, Instant::ZERO, &packets[3], addr(5_000));
    assert_eq!(s.remote_rtp(), addr(5_000));
    // On its way from before the move.
    take(&mut s, Instant::ZERO, &packets[2], addr(4_000));
    assert_eq!((s.remote_rtp(), s.stats().packets_received), (addr(5_000), 3));
    let moves = events(&mut s);
    let there = MediaEvent::SourceChanged { from: addr(4_000), to: addr(5_000) };
    assert_eq!(moves.iter().filter(|e| matches!(e, MediaEvent::SourceChanged { .. })).count(), 1);
    assert!(moves.contains(&there));
    // With rtcp-mux the reports go along.
    let due = s.control.due();
    s.handle_timeout(due);
    let mut buf = [0; MAX_TRANSMIT];
    assert_eq!(s.poll_transmit(due, &mut buf).unwrap().unwrap().remote, addr(5_000));
    // The same address as IPv6 writes it is no move.
    let mapped = SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0209], 5_000));
    take(&mut s, Instant::ZERO, &packets[4], mapped);
    assert_eq!((s.remote_rtp(), s.stats().packets_received), (addr(5_000), 4));
    // Another source is no later part of this one.
    take(&mut s, Instant::ZERO, &protected(&mut peer, rtp(2, 0)), addr(6_000));
    assert_eq!((s.remote_ssrc(), s.remote_rtp()), (Some(2), addr(6_000)));
}

#[test]
fn losses_of_all_sources_add_up() {
    let mut s = session(config());
    for range in [0..3, 5..8] {
        feed(&mut s, 1, range, addr(4_000));
    }
    assert_eq!(s.stats().lost, 2);
    for range in [100..103, 104..106, 109..110] {
        feed(&mut s, 2, range, addr(4_000));
    }
    assert_eq!((s.stats().lost, s.stats().ssrc_changes), (6, 1));
}

#[test]
fn who_closed_hears_nothing_more_and_counts_nothing() {
    let mut s = session(config());
    feed(&mut s, 1, 0..5, addr(4_000));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    take(&mut s, Instant::ZERO, &report, addr(4_001));
    assert_eq!((s.stats().wrong_source, s.stats().rtcp_received), (1, 0));
    take(&mut s, Instant::ZERO, &report, addr(4_000));
    assert_eq!((s.stats().wrong_source, s.stats().rtcp_received), (1, 1));
    s.close();
    let before = s.stats();
    feed(&mut s, 1, 5..10, addr(4_000));
    feed(&mut s, 1, 5..10, addr(4_001));
    take(&mut s, Instant::ZERO, &report, addr(4_000));
    take(&mut s, Instant::ZERO, &report, addr(4_001));
    assert_eq!(s.stats(), before);
}

#[test]
fn a_new_address_in_the_signalling_may_be_latched_anew() {
    let mut c = config();
    c.source_lock = SourceLock::LatchPlain(Duration::from_secs(3));
    let mut s = session(c);
    feed(&mut s, 1, 0..3, addr(5_555));
    let update = MediaUpdate::new().remote(addr(7_000), addr(7_000), true);
    s.handle_update(Instant::from_millis(60), update).unwrap();
    assert_eq!(s.remote_rtp(), addr(7_000));
    feed(&mut s, 1, 3..6, addr(7_777));
    assert_eq!(s.remote_rtp(), addr(7_777));
    // The new one is where the peer is at home, the old one no more.
    feed(&mut s, 1, 6..9, addr(4_000));
    assert_eq!(s.remote_rtp(), addr(7_777));
    feed(&mut s, 1, 9..12, addr(7_000));
    assert_eq!(s.remote_rtp(), addr(7_000));
}

#[test]
fn what_is_no_frame_and_events_that_nobody_takes_are_counted() {
    let mut s = session(config());
    feed(&mut s, 1, 0..2, addr(4_000));
    take(&mut s, Instant::ZERO, &rtp(1, 2)[..12], addr(4_000));
    let stats = s.stats();
    assert_eq!((stats.bad_payload, stats.packets_received), (1, 2));
    for n in 1..100u16 {
        feed(&mut s, 100 + u32::from(n), 0..2, addr(4_000));
    }
    // One first packet, 99 changes; 64 wait.
    assert_eq!((s.stats().ssrc_changes, s.stats().events_dropped), (99, 36));
    assert_eq!(events(&mut s).len(), 64);
}

#[test]
fn a_peer_that_has_told_of_a_pause_is_there_as_long_as_its_reports_come() {
    let noise = |sequence_number: u16| {
        let timestamp = u32::from(sequence_number) * 160;
        let fields = RtpHeaderFields {
            ssrc: 1,
            sequence_number,
            timestamp,
            payload_type: 13,
            ..Default::default()
        };
        let mut out = [0; 20];
        let n = fields.write_packet(&[60], 0, &mut out).unwrap();
        out[..n].to_vec()
    };
    // With reports or without, after a pause that was told or none.
    for (reports, tells, missing) in [(true, true, 0), (false, true, 1), (true, false, 1)] {
        let mut config = watched();
        config.comfort_noise_receive = vec![13];
        let mut s = session(config);
        feed(&mut s, 1, 0..10, addr(4_000));
        if tells {
            take(&mut s, Instant::from_millis(200), &noise(10), addr(4_000));
        }
        let mut reasons = Vec::new();
        for n in 1..10 {
            let now = Instant::from_millis(200 + n * 500);
            if reports {
                let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
                s.handle_datagram(now, Channel::Rtp, &mut report.to_vec(), addr(4_000));
            }
            reasons.extend(told(&mut s, now));
        }
        assert_eq!(reasons.len(), missing, "{reports} {tells}: {reasons:?}");
    }
}
