//! Digits among the audio, as they leave (RFC 4733 §2.5).

use super::*;
use crate::wire::dtmf::TelephoneEvent;

const MS: Duration = Duration::from_millis(1);

fn talker() -> MediaSession {
    let mut config = config();
    config.dtmf_send = Some(101);
    session(config)
}

/// A packet as it left.
struct Left {
    payload_type: u8,
    timestamp: u32,
    sequence: u16,
    marker: bool,
    payload: Vec<u8>,
}

impl Left {
    fn event(&self) -> Option<TelephoneEvent> {
        (self.payload_type > 95).then(|| TelephoneEvent::parse(&self.payload).unwrap())
    }
}

/// Speaks for a while, 20 ms at a time at this rate, and gives what leaves meanwhile.
fn speak(s: &mut MediaSession, now: &mut Instant, frames: usize, rate: usize) -> Vec<Left> {
    let (mut left, mut buf) = (Vec::new(), [0; MAX_TRANSMIT]);
    for _ in 0..frames {
        s.write_pcm(*now, &vec![5_000; rate / 50]).unwrap();
        while let Some(t) = s.poll_transmit(*now, &mut buf).unwrap() {
            let rtp = RtpPacket::parse(t.packet.bytes()).unwrap();
            left.push(Left {
                payload_type: rtp.header.payload_type,
                timestamp: rtp.header.timestamp,
                sequence: rtp.header.sequence_number,
                marker: rtp.header.marker,
                payload: rtp.payload.to_vec(),
            });
        }
        *now += MS * 20;
    }
    left
}

fn press(s: &mut MediaSession, keys: &str, duration: Duration) {
    for key in keys.chars() {
        s.send_dtmf(Digit::from_char(key).unwrap(), duration).unwrap();
    }
}

#[test]
fn a_digit_takes_the_place_of_audio_and_three_packets_of_audio_part_it_from_the_next() {
    let (mut s, mut now) = (talker(), Instant::ZERO);
    let before = speak(&mut s, &mut now, 2, 8_000);
    press(&mut s, "1*", MS * 60);
    let left = speak(&mut s, &mut now, 16, 8_000);
    let kinds: String = left
        .iter()
        .map(|p| p.event().map_or('-', |e| b"0123456789*"[e.event as usize].into()))
        .collect();
    assert_eq!(kinds, "11111---*****---");
    for (n, packet) in before.iter().chain(&left).enumerate() {
        assert_eq!(packet.sequence, before[0].sequence.wrapping_add(n as u16));
        match packet.event() {
            // RFC 4733 §2.5.1.2: the timestamp of the beginning, from the first packet to the last.
            Some(_) => {
                let begin = if n < 7 { 2 } else { 10 };
                let ticks = packet.timestamp.wrapping_sub(before[0].timestamp);
                assert_eq!((ticks, packet.marker), (begin * 160, n as u32 == begin));
            }
            None => {
                let ticks = packet.timestamp.wrapping_sub(before[0].timestamp);
                assert_eq!((ticks, packet.payload.len()), (n as u32 * 160, 160));
                assert_eq!(packet.marker, n == 0, "nothing was missing before it");
                assert_eq!(packet.payload, before[0].payload);
            }
        }
    }
    let events: Vec<_> = left.iter().filter_map(Left::event).take(5).collect();
    let durations: Vec<_> = events.iter().map(|e| (e.duration, e.end)).collect();
    assert_eq!(durations, [(160, false), (320, false), (480, true), (480, true), (480, true)]);
    // A usual level (RFC 4733 §2.3.2 takes 0 to -36 dBm0 for digits); the reserved bit is 0.
    assert!(events.iter().all(|e| e.volume == 10));
    assert!(left.iter().filter(|p| p.event().is_some()).all(|p| p.payload[1] & 0x40 == 0));
}

#[test]
fn a_digit_runs_on_across_a_change_of_the_codec_and_of_its_payload_type() {
    let (mut s, mut now) = (talker(), Instant::ZERO);
    press(&mut s, "7#", MS * 120);
    let mut left = speak(&mut s, &mut now, 3, 8_000);
    let g722 = Payload { payload_type: 9, codec: CodecId::G722 };
    let update = MediaUpdate::new().send(g722).ptime_ms(30).dtmf(Some(97), vec![101]);
    s.handle_update(now, update).unwrap();
    left.extend(speak(&mut s, &mut now, 30, 8_000));
    let seven: Vec<_> =
        left.iter().take_while(|p| p.event().is_some_and(|e| e.event == 7)).collect();
    let events: Vec<_> = seven.iter().map(|p| (p.payload_type, p.event().unwrap())).collect();
    let durations: Vec<_> = events.iter().map(|(pt, e)| (*pt, e.duration, e.end)).collect();
    let expected = [
        (101, 160, false),
        (101, 320, false),
        (101, 480, false),
        (97, 720, false),
        (97, 960, true),
        (97, 960, true),
        (97, 960, true),
    ];
    assert_eq!(durations, expected);
    assert!(seven.iter().all(|p| p.timestamp == left[0].timestamp));
    let markers: Vec<_> = seven.iter().map(|p| p.marker).collect();
    assert_eq!(markers, [true, false, false, false, false, false, false]);
    // Then audio of the new codec and length, and the digit that waited.
    let rest = &left[seven.len()..];
    assert!(rest[..3].iter().all(|p| (p.payload_type, p.payload.len()) == (9, 240)));
    let begin = 3 * 160 + (7 - 3 + 3) * 240;
    let hash = &rest[3];
    assert_eq!((hash.event().unwrap().event, hash.marker), (11, true));
    assert_eq!(hash.timestamp.wrapping_sub(left[0].timestamp), begin);
}

#[test]
fn durations_go_on_in_the_clock_of_the_codec_that_follows() {
    let (mut s, mut now) = (talker(), Instant::ZERO);
    press(&mut s, "7#", MS * 100);
    let mut left = speak(&mut s, &mut now, 2, 8_000);
    let l16 = Payload { payload_type: 113, codec: CodecId::L16Wideband };
    let update = MediaUpdate::new().send(l16).dtmf(Some(109), vec![101]);
    s.handle_update(now, update).unwrap();
    left.extend(speak(&mut s, &mut now, 30, 8_000));
    let of = |digit: u8| {
        let events = left.iter().filter_map(|p| p.event().filter(|e| e.event == digit));
        events.map(|e| e.duration).collect::<Vec<_>>()
    };
    // 20 ms are 160 at 8 kHz and 320 at 16 kHz; the end is told three times.
    assert_eq!(of(7), [160, 320, 960, 1_280, 1_600, 1_600, 1_600]);
    assert_eq!(of(11), [320, 640, 960, 1_280, 1_600, 1_600, 1_600]);
}

#[test]
fn what_cannot_send_refuses_digits_and_a_hold_forgets_those_that_wait() {
    let mut s = session(config());
    let one = Digit::from_char('1').unwrap();
    assert_eq!(s.send_dtmf(one, MS * 60), Err(DtmfError::NotNegotiated));
    let (mut s, mut now) = (talker(), Instant::ZERO);
    press(&mut s, "123", MS * 60);
    assert_eq!(speak(&mut s, &mut now, 2, 8_000).len(), 2);
    s.set_direction(now, Direction::RecvOnly);
    assert_eq!(s.send_dtmf(one, MS * 60), Err(DtmfError::NotSending));
    assert_eq!(speak(&mut s, &mut now, 5, 8_000).len(), 0);
    s.set_direction(now, Direction::SendRecv);
    let left = speak(&mut s, &mut now, 5, 8_000);
    assert!(left.iter().all(|p| p.event().is_none()), "a press of before the hold is out of date");
    assert!(left[0].marker && !left[1].marker, "audio begins anew (RFC 3551 §4.1)");
    s.close();
    assert_eq!(s.send_dtmf(one, MS * 60), Err(DtmfError::NotSending));
}

#[test]
fn a_press_is_told_while_we_do_not_receive_and_no_event_is_played() {
    let mut s = session(config());
    feed(&mut s, 1, 0..3, addr(4_000));
    let event = TelephoneEvent { event: 5, end: false, volume: 10, duration: 160 };
    let fields = RtpHeaderFields {
        ssrc: 1,
        sequence_number: 3,
        timestamp: 480,
        payload_type: 101,
        ..Default::default()
    };
    let mut out = [0; 100];
    let n = fields.write_packet(&event.to_bytes(), 0, &mut out).unwrap();
    s.set_direction(Instant::ZERO, Direction::SendOnly);
    s.handle_datagram(Instant::from_millis(60), Channel::Rtp, &mut out[..n], addr(4_000));
    assert!(events(&mut s).contains(&MediaEvent::Dtmf(Digit::from_char('5').unwrap())));
    let stats = s.stats();
    assert_eq!((stats.packets_received, stats.while_held, stats.bad_payload), (3, 0, 0));
}
