//! What leaves: timestamps, what a change of the codec or packet length keeps, levels, counts.

use super::*;
use crate::wire::rtcp::{Compound, RtcpPacket};

const G722: Payload = Payload { payload_type: 9, codec: CodecId::G722 };

/// Header and payload of a packet as it left.
type Left = (u32, bool, Vec<u8>);

fn poll(s: &mut MediaSession, now: Instant) -> Vec<Left> {
    let (mut left, mut buf) = (Vec::new(), [0; MAX_TRANSMIT]);
    while let Some(t) = s.poll_transmit(now, &mut buf).unwrap() {
        let rtp = RtpPacket::parse(t.packet.bytes()).unwrap();
        left.push((rtp.header.timestamp, rtp.header.marker, rtp.payload.to_vec()));
    }
    left
}

fn say(s: &mut MediaSession, ms: u64, pcm: &[i16]) -> Vec<Left> {
    let now = Instant::from_millis(ms);
    s.write_pcm(now, pcm).unwrap();
    poll(s, now)
}

/// 20 ms of a sweep, whichever.
fn voice(n: usize, rate: usize) -> Vec<i16> {
    let len = rate / 50;
    let at = |i: usize| (i as f64 * (0.02 + i as f64 * 0.000_002)).sin() * 9_000.0;
    (n * len..(n + 1) * len).map(|i| at(i) as i16).collect()
}

#[test]
fn another_packet_length_goes_on_with_the_coder() {
    let bytes = |change: bool| {
        let mut c = config();
        (c.send, c.receive, c.write_rate) = (G722, vec![G722], 16_000);
        let mut s = session(c);
        let mut left = Vec::new();
        for n in 0..30 {
            if change && n == 10 {
                s.handle_update(Instant::ZERO, MediaUpdate::new().ptime_ms(40)).unwrap();
            }
            left.extend(say(&mut s, n as u64 * 20, &voice(n, 16_000)));
        }
        let last = left.last().unwrap().2.len();
        assert_eq!(last, if change { 320 } else { 160 });
        left.into_iter().flat_map(|(.., payload)| payload).collect::<Vec<_>>()
    };
    let (one, other) = (bytes(false), bytes(true));
    assert_eq!(one.len(), 30 * 160);
    assert!(one == other, "to the bit");
}

#[test]
fn another_codec_keeps_mute_hold_what_waits_and_the_clock() {
    let mut s = session(config());
    let first = say(&mut s, 0, &voice(0, 8_000));
    s.set_muted(true);
    s.write_pcm(Instant::from_millis(20), &voice(1, 8_000)).unwrap();
    let pcma = Payload { payload_type: 8, codec: CodecId::Pcma };
    s.handle_update(Instant::from_millis(20), MediaUpdate::new().send(pcma)).unwrap();
    assert!(s.is_muted());
    let waiting = poll(&mut s, Instant::from_millis(20));
    // A mute fades within 10 ms.
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].0, waiting[0].1), (first[0].0.wrapping_add(160), false));
    assert_eq!((waiting[0].2.len(), &waiting[0].2[80..]), (160, &[0xff; 80][..]));
    // 40 to 540 ms: nothing was written.
    let next = say(&mut s, 540, &voice(2, 8_000));
    assert_eq!(next, [(first[0].0.wrapping_add(320 + 4_000), true, vec![0xd5; 160])]);
    s.set_direction(Instant::from_millis(560), Direction::RecvOnly);
    s.handle_update(Instant::from_millis(560), MediaUpdate::new().send(PCMU)).unwrap();
    assert_eq!(say(&mut s, 560, &voice(3, 8_000)), []);
}

#[test]
fn a_hold_drops_what_waits() {
    let mut s = session(config());
    s.write_pcm(Instant::ZERO, &voice(0, 8_000)).unwrap();
    assert!(s.has_output());
    s.set_direction(Instant::ZERO, Direction::Inactive);
    s.set_direction(Instant::ZERO, Direction::SendRecv);
    assert_eq!(poll(&mut s, Instant::ZERO), []);
}

#[test]
fn a_short_stall_of_the_host_is_none_of_the_stream_and_a_long_one_drops_half_a_frame() {
    let mut s = session(config());
    let first = say(&mut s, 0, &[900; 160])[0].0;
    // 149 ms late: the host writes what it has, and nobody need hear of it.
    let (at, marker, _) = say(&mut s, 169, &[900; 160])[0].clone();
    assert_eq!((at.wrapping_sub(first), marker), (160, false));
    // Half a frame, then a pause: the half is not glued to what is said later.
    assert_eq!(say(&mut s, 189, &[900; 80]), []);
    assert_eq!(say(&mut s, 399, &[-900; 80]), []);
    let (at, marker, payload) = say(&mut s, 409, &[-900; 80])[0].clone();
    assert_eq!((at.wrapping_sub(first), marker), (320 + 1_600, true));
    assert!(payload.iter().all(|byte| *byte == payload[0]));
}

#[test]
fn a_host_that_writes_in_bursts_is_ahead_for_a_while_and_no_longer() {
    let mut s = session(config());
    // 100 ms at once, every 100 ms, the last burst late by 140 ms: no pause.
    let first = say(&mut s, 0, &[900; 800])[0].0;
    let left = say(&mut s, 240, &[900; 800]);
    assert_eq!((left[0].0.wrapping_sub(first), left[0].1), (800, false));
    // A second at once counts for 150 ms more than itself at most, however often.
    let mut s = session(config());
    let first = say(&mut s, 0, &[900; 800])[0].0;
    (0..20).for_each(|_| drop(say(&mut s, 0, &[900; 800])));
    let (at, marker, _) = say(&mut s, 500, &[900; 800])[0].clone();
    assert_eq!((at.wrapping_sub(first), marker), (21 * 800 + 2_000, true));
}

#[test]
fn who_does_not_poll_loses_the_oldest_and_it_is_counted() {
    let mut s = session(config());
    let mut all = Vec::new();
    for n in 0..20 {
        s.write_pcm(Instant::from_millis(n as u64 * 20), &voice(n, 8_000)).unwrap();
    }
    all.extend(poll(&mut s, Instant::from_millis(400)));
    assert_eq!((all.len(), s.stats().send_overflow), (16, 4));
    let steps = all.windows(2).map(|two| two[1].0.wrapping_sub(two[0].0));
    assert!(steps.into_iter().all(|step| step == 160), "in order, the newest ones");
    let (ts, ..) = say(&mut s, 400, &voice(20, 8_000))[0];
    assert_eq!(ts.wrapping_sub(all[15].0), 160);
    let stats = s.stats();
    assert_eq!((stats.packets_sent, stats.bytes_sent), (17, 17 * 172));
}

#[test]
fn levels_are_in_db_of_full_scale_rise_at_once_and_fall_slowly() {
    let mut s = session(config());
    assert_eq!((s.stats().level_sent, s.stats().level_received), (-127.0, -127.0));
    say(&mut s, 0, &[3_277; 160]);
    assert!((s.stats().level_sent + 20.0).abs() < 0.1, "{}", s.stats().level_sent);
    assert_eq!(s.stats().level_received, -127.0);
    say(&mut s, 20, &[0; 160]);
    let after = s.stats().level_sent;
    assert!((-21.5..-20.5).contains(&after), "a tenth less: {after}");
    feed(&mut s, 1, 0..8, addr(4_000));
    let mut pcm = [0; 160];
    (0..4).for_each(|n| s.read_pcm(Instant::from_millis(160 + n * 20), &mut pcm).unwrap());
    // 0x11 is -16 764 in mu-law.
    assert!((s.stats().level_received + 6.0).abs() < 1.0, "{}", s.stats().level_received);
}

#[test]
fn a_sender_report_names_the_sample_of_its_moment() {
    let mut s = session(config());
    let first = say(&mut s, 0, &[900; 160])[0].0;
    let due = s.control.due();
    s.handle_timeout(due);
    let mut buf = [0; MAX_TRANSMIT];
    let t = s.poll_transmit(due, &mut buf).unwrap().unwrap();
    let compound = Compound::parse(t.packet.bytes()).unwrap();
    let Some(RtcpPacket::SenderReport { info, .. }) = compound.iter().next() else {
        panic!("{compound:?}")
    };
    let ticks = (due - Instant::ZERO).as_micros() / 125;
    assert!(info.rtp_timestamp.wrapping_sub(first).abs_diff(ticks as u32) <= 1, "{info:?}");
    assert_eq!(s.stats().rtcp_sent, 1);
}

#[test]
fn packets_of_more_than_60_ms_are_refused_and_sequences_begin_low() {
    let mut c = config();
    c.ptime_ms = 70;
    let refused = MediaSession::new(Instant::ZERO, c, &mut SeededRng::new(4)).err();
    assert_eq!(refused, Some(MediaConfigError::Ptime(70)));
    // RFC 3711 §3.3.1: a first wrap that is missed would lose the stream.
    for seed in 0..20 {
        let mut s = MediaSession::new(Instant::ZERO, config(), &mut SeededRng::new(seed)).unwrap();
        s.write_pcm(Instant::ZERO, &[900; 160]).unwrap();
        let mut buf = [0; MAX_TRANSMIT];
        let t = s.poll_transmit(Instant::ZERO, &mut buf).unwrap().unwrap();
        assert!(RtpPacket::parse(t.packet.bytes()).unwrap().header.sequence_number < 0x8000);
    }
}
