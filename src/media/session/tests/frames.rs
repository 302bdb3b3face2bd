//! Encoded frames where the delay changes: without time scaling.

use super::*;

const FRAME: Duration = Duration::from_millis(20);

fn encoded() -> MediaSession {
    let mut config = config();
    config.encoded = true;
    session(config)
}

/// A packet whose payload says its number.
fn packet(n: u16) -> Vec<u8> {
    let mut bytes = rtp(7, n);
    bytes[12..14].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn number(payload: &[u8]) -> u16 {
    u16::from_be_bytes([payload[0], payload[1]])
}

/// Packet `n` arrives `late(n)` ms after its time. What is read every 20 ms: numbers of packets,
/// `None` where there is none.
fn play(
    s: &mut MediaSession,
    packets: u16,
    late: impl Fn(u16) -> u64,
) -> Vec<(FrameKind, Option<u16>)> {
    let mut arrivals: Vec<_> =
        (0..packets).map(|n| (Instant::from_millis(u64::from(n) * 20 + late(n)), n)).collect();
    arrivals.sort();
    let (mut arrivals, mut items) = (arrivals.into_iter().peekable(), Vec::new());
    let mut now = Instant::ZERO;
    for _ in 0..packets {
        while let Some((at, n)) = arrivals.next_if(|(at, _)| *at <= now) {
            s.handle_datagram(at, Channel::Rtp, &mut packet(n), addr(4_000));
        }
        // What lasts no time is followed by what does.
        for _ in 0..2 {
            let Some(frame) = s.read_frame(now).unwrap() else { break };
            let audio = frame.kind == FrameKind::Audio;
            assert_eq!(frame.samples, if frame.kind == FrameKind::NewCodec { 0 } else { 160 });
            items.push((frame.kind, audio.then(|| number(frame.payload))));
            if frame.kind != FrameKind::NewCodec {
                break;
            }
        }
        now += FRAME;
    }
    items
}

fn numbers(items: &[(FrameKind, Option<u16>)]) -> Vec<u16> {
    items.iter().filter_map(|(_, n)| *n).collect()
}

#[test]
fn a_delay_that_is_too_long_costs_whole_frames_and_no_more() {
    let mut s = encoded();
    // Two seconds of packets that are up to 200 ms late teach the buffer a long delay.
    let items = play(&mut s, 1_500, |n| if n < 100 { u64::from(n % 10) * 20 } else { 0 });
    let played = numbers(&items);
    let skipped: u16 = played.windows(2).map(|w| w[1] - w[0] - 1).sum();
    let concealed = items.iter().filter(|(kind, _)| *kind == FrameKind::Missing).count();
    let stats = s.stats();
    // A packet that is not played came too late, and something was made up for it, or was left out.
    assert!(stats.shrunk >= FRAME * 4, "{stats:?}");
    assert!(stats.shrunk <= FRAME * u32::from(skipped), "{skipped} {stats:?}");
    assert!(u64::from(skipped) <= stats.late + (stats.shrunk.as_millis() / 20) as u64);
    assert!(concealed < 100, "{concealed}");
    assert!(stats.buffer_target < Duration::from_millis(60), "{stats:?}");
    assert!(played.windows(2).all(|w| w[0] < w[1]), "{played:?}");
    let later = played.iter().position(|n| *n > 100).unwrap();
    assert!(played[later..].windows(2).all(|w| w[1] - w[0] <= 2), "{played:?}");
    // At the end nothing is made up any more.
    assert!(items[1_000..].iter().all(|(kind, _)| *kind == FrameKind::Audio));
}

#[test]
fn another_source_is_told_as_a_new_codec() {
    let mut s = encoded();
    let first = play(&mut s, 20, |_| 0);
    assert_eq!(first.iter().filter(|(kind, _)| *kind == FrameKind::NewCodec).count(), 1);
    let at = Instant::from_millis(400);
    for n in 0..4 {
        let fields = RtpHeaderFields { ssrc: 8, sequence_number: 900 + n, ..Default::default() };
        let timestamp = 5_000 + u32::from(n) * 160;
        let mut out = [0; 200];
        let len =
            RtpHeaderFields { timestamp, ..fields }.write_packet(&[n as u8; 160], 0, &mut out);
        s.handle_datagram(at, Channel::Rtp, &mut out[..len.unwrap()], addr(4_000));
    }
    let later = at + Duration::from_millis(40);
    let frame = s.read_frame(later).unwrap().unwrap();
    // The first packet of a source in the clear is on probation.
    assert_eq!((frame.kind, frame.timestamp, frame.samples), (FrameKind::NewCodec, 5_160, 0));
    let frame = s.read_frame(later).unwrap().unwrap();
    assert_eq!((frame.kind, frame.timestamp, frame.payload[0]), (FrameKind::Audio, 5_160, 1));
}

#[test]
fn the_codecs_of_a_dsp_need_not_be_in_this_build() {
    let opus = Payload { payload_type: 111, codec: CodecId::Opus };
    let mut config = config();
    (config.encoded, config.send, config.receive) = (true, opus, vec![opus]);
    let mut s = session(config);
    let packet = [31 << 3, 1, 2, 3];
    let frame =
        FrameToSend { codec: CodecId::Opus, payload: &packet, samples: 960, talkspurt: false };
    s.write_frame(Instant::ZERO, &frame).unwrap();
    let mut buf = [0; MAX_TRANSMIT];
    let t = s.poll_transmit(Instant::ZERO, &mut buf).unwrap().unwrap();
    let rtp = RtpPacket::parse(t.packet.bytes()).unwrap();
    assert_eq!((rtp.header.payload_type, rtp.header.marker, rtp.payload), (111, true, &packet[..]));
}

#[test]
fn what_the_encoder_leaves_out_shows_in_timestamps_and_marker() {
    let mut s = encoded();
    let mut buf = [0; MAX_TRANSMIT];
    let mut sent = Vec::new();
    for n in 0..8_u64 {
        let now = Instant::from_millis(n * 20);
        let payload = if (2..5).contains(&n) { &[][..] } else { &[0x55; 160] };
        let talkspurt = n == 6;
        let codec = CodecId::Pcmu;
        s.write_frame(now, &FrameToSend { codec, payload, samples: 160, talkspurt }).unwrap();
        while let Some(t) = s.poll_transmit(now, &mut buf).unwrap() {
            if let Ok(rtp) = RtpPacket::parse(t.packet.bytes())
                && rtp.header.payload_type == 0
            {
                sent.push((rtp.header.sequence_number, rtp.header.timestamp, rtp.header.marker));
            }
        }
    }
    let (first, begin, _) = sent[0];
    let relative: Vec<_> = sent
        .iter()
        .map(|(n, t, marker)| (n.wrapping_sub(first), t.wrapping_sub(begin) / 160, *marker))
        .collect();
    let expected = [(0, 0, true), (1, 1, false), (2, 5, true), (3, 6, true), (4, 7, false)];
    assert_eq!(relative, expected);
}
