//! Plain RTP (for which tests outside the crate have no permit), and what needs a look inside.

mod dtmf;
mod frames;
mod outbound;
mod playout;
mod reports;
mod watch;

use super::*;
use crate::crypto::srtp::PlainPermit;
use crate::media::codec::CodecId;
use crate::time::UnixTime;
use crate::wire::rtcp::RtcpError;
use crate::wire::rtp::{RtpError, RtpHeaderFields, RtpPacket};
use proptest::prelude::*;

const PCMU: Payload = Payload { payload_type: 0, codec: CodecId::Pcmu };

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], port))
}

fn config() -> MediaConfig {
    #[allow(clippy::disallowed_methods)] // the test is the policy here
    let permit = PlainPermit::issue();
    let mut config = MediaConfig::new(PCMU, addr(4_000), MediaSecurity::Plain(permit));
    config.source_lock = SourceLock::Signalled;
    config.wall_clock = UnixTime::from_secs(1_700_000_000);
    config.dtmf_receive = vec![101];
    config
}

fn session(config: MediaConfig) -> MediaSession {
    MediaSession::new(Instant::ZERO, config, &mut SeededRng::new(4)).unwrap()
}

fn rtp(ssrc: u32, sequence_number: u16) -> Vec<u8> {
    let timestamp = u32::from(sequence_number).wrapping_mul(160);
    let fields = RtpHeaderFields { ssrc, sequence_number, timestamp, ..Default::default() };
    let mut out = [0; 200];
    let n = fields.write_packet(&[0x11; 160], 0, &mut out).unwrap();
    out[..n].to_vec()
}

fn feed(s: &mut MediaSession, ssrc: u32, sequences: core::ops::Range<u16>, from: SocketAddr) {
    for n in sequences {
        let now = Instant::from_millis(u64::from(n) * 20);
        s.handle_datagram(now, Channel::Rtp, &mut rtp(ssrc, n), from);
    }
}

fn events(s: &mut MediaSession) -> Vec<MediaEvent> {
    core::iter::from_fn(|| s.poll_event()).collect()
}

#[test]
fn plain_media_comes_from_the_signalled_address_only() {
    let mut s = session(config());
    feed(&mut s, 1, 0..5, addr(4_001));
    assert_eq!((s.stats().wrong_source, s.stats().packets_received), (5, 0));
    feed(&mut s, 1, 5..10, addr(4_000));
    // The first packet is on probation.
    assert_eq!((s.stats().out_of_sequence, s.stats().packets_received), (1, 4));
}

#[test]
fn a_plain_latch_takes_the_first_source_and_no_other() {
    let mut c = config();
    c.source_lock = SourceLock::LatchPlain(Duration::from_secs(3));
    let mut s = session(c);
    feed(&mut s, 1, 0..3, addr(5_555));
    assert_eq!(s.remote_rtp(), addr(5_555));
    feed(&mut s, 1, 3..6, addr(6_666));
    assert_eq!((s.remote_rtp(), s.stats().wrong_source), (addr(5_555), 3));

    let mut c = config();
    c.source_lock = SourceLock::LatchPlain(Duration::from_secs(3));
    let mut s = session(c);
    feed(&mut s, 1, 150..153, addr(5_555));
    assert_eq!((s.remote_rtp(), s.stats().wrong_source), (addr(4_000), 3));
}

#[test]
fn the_signalled_address_wins_against_a_plain_latch_sooner_or_later() {
    let latching = || {
        let mut c = config();
        c.source_lock = SourceLock::LatchPlain(Duration::from_secs(3));
        session(c)
    };
    // Somebody was faster: the peer takes its place back, and nobody latches again.
    let mut s = latching();
    feed(&mut s, 1, 0..3, addr(5_555));
    assert_eq!(s.remote_rtp(), addr(5_555));
    feed(&mut s, 2, 3..6, addr(4_000));
    assert_eq!((s.remote_rtp(), s.stats().ssrc_changes), (addr(4_000), 1));
    feed(&mut s, 1, 6..9, addr(5_555));
    assert_eq!((s.remote_rtp(), s.stats().wrong_source), (addr(4_000), 3));
    let moves =
        events(&mut s).into_iter().filter(|e| matches!(e, MediaEvent::SourceChanged { .. }));
    assert_eq!(moves.count(), 2, "there and back is told");
    // Somebody else's packets between the peer's do not keep it from being believed.
    let mut s = latching();
    for n in 0..4 {
        feed(&mut s, 2, n..n + 1, addr(4_000));
        feed(&mut s, 1, n..n + 1, addr(5_555));
    }
    assert_eq!((s.remote_rtp(), s.stats().wrong_source), (addr(4_000), 4));
    assert_eq!(s.stats().packets_received, 3);
}

#[test]
fn another_source_must_prove_itself_before_it_replaces_the_one_heard() {
    let mut s = session(config());
    feed(&mut s, 1, 0..5, addr(4_000));
    for n in 5..9 {
        feed(&mut s, 1, n..n + 1, addr(4_000));
        feed(&mut s, 0xbad, 900 * n..900 * n + 1, addr(4_000));
    }
    assert_eq!((s.remote_ssrc(), s.stats().out_of_sequence), (Some(1), 5));
    feed(&mut s, 2, 20..23, addr(4_000));
    assert_eq!(s.remote_ssrc(), Some(2));
    assert!(events(&mut s).contains(&MediaEvent::SsrcChanged { old: 1, new: 2 }));
    assert_eq!(s.stats().ssrc_changes, 1);
}

#[test]
fn a_collision_makes_us_take_another_ssrc_but_not_forever() {
    let mut s = session(config());
    let mut seen = vec![s.local_ssrc()];
    for round in 0..6u16 {
        let ssrc = s.local_ssrc();
        feed(&mut s, ssrc, round * 10..round * 10 + 2, addr(4_000));
        seen.push(s.local_ssrc());
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
    let mut buf = [0; MAX_TRANSMIT];
    let t = s.poll_transmit(Instant::ZERO, &mut buf).unwrap().unwrap();
    assert_eq!(t.packet.bytes().get(1), Some(&201), "a goodbye for the old SSRC");
}

#[test]
fn mute_sends_silence_and_a_pause_of_the_host_shows_in_the_timestamps() {
    let mut s = session(config());
    let mut buf = [0; MAX_TRANSMIT];
    let mut send = |s: &mut MediaSession, ms: u64| {
        let now = Instant::from_millis(ms);
        s.write_pcm(now, &[9_000; 160]).unwrap();
        let t = s.poll_transmit(now, &mut buf).unwrap().unwrap();
        let rtp = RtpPacket::parse(t.packet.bytes()).unwrap();
        // Mute takes 10 ms: the end of the packet counts.
        (rtp.header.timestamp, rtp.header.marker, rtp.payload[159])
    };
    let (first, marker, loud) = send(&mut s, 0);
    assert!(marker && loud != 0xff);
    s.set_muted(true);
    assert_eq!(send(&mut s, 20), (first.wrapping_add(160), false, 0xff));
    s.set_muted(false);
    // Written up to 40 ms; 1 s is missing.
    assert_eq!(send(&mut s, 1_040), (first.wrapping_add(320 + 8_000), true, loud));
}

#[test]
fn what_cannot_be_configured_is_named() {
    let with = |change: fn(&mut MediaConfig)| {
        let mut c = config();
        change(&mut c);
        MediaSession::new(Instant::ZERO, c, &mut SeededRng::new(4)).err()
    };
    assert_eq!(with(|c| c.ptime_ms = 25), Some(MediaConfigError::Ptime(25)));
    assert_eq!(with(|c| c.ptime_ms = 0), Some(MediaConfigError::Ptime(0)));
    assert_eq!(with(|c| c.receive.clear()), Some(MediaConfigError::ReceiveCount(0)));
    assert_eq!(with(|c| c.dtmf_send = Some(72)), Some(MediaConfigError::PayloadType(72)));
    assert_eq!(with(|c| c.cname = "x".repeat(256)), Some(MediaConfigError::CnameTooLong(256)));
    assert!(matches!(with(|c| c.read_rate = 1), Some(MediaConfigError::Rate(_))));
    assert_eq!(
        with(|c| c.send.codec = CodecId::TelephoneEvent),
        Some(MediaConfigError::NoAudio(CodecId::TelephoneEvent))
    );
    let mut s = session(config());
    let small = s.poll_transmit(Instant::ZERO, &mut [0; 100]).err();
    assert_eq!(small, Some(BufferTooSmall { needed: MAX_TRANSMIT }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_datagram_breaks_a_plain_session(
        datagrams in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..300), 0u8..4, any::<u16>()), 0..200),
    ) {
        let mut s = session(config());
        let mut now = Instant::ZERO;
        let mut pcm = [0; 160];
        for (mut bytes, kind, sequence) in datagrams {
            if let Some([b0, b1, s0, s1, ..]) = bytes.first_chunk_mut::<12>() {
                *b0 = 0x80 | (*b0 & 0x3f);
                *b1 = [0, 101, 200, 201][usize::from(kind)];
                [*s0, *s1] = (sequence % 200).to_be_bytes();
            }
            if bytes.len() >= 12 && kind < 3 {
                bytes[8..12].copy_from_slice(&[0, 0, 0, 7]);
            }
            s.handle_datagram(now, Channel::Rtp, &mut bytes, addr(4_000));
            s.read_pcm(now, &mut pcm).unwrap();
            s.handle_timeout(now);
            while s.poll_event().is_some() {}
            now += Duration::from_millis(20);
        }
        prop_assert!(s.stats().buffer_level < Duration::from_secs(10));
    }
}

/// Counters by reason, as pairs of name and number.
fn counted<const N: usize>(names: [&'static str; N], counts: [u64; N]) -> Vec<(&'static str, u64)> {
    names.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn what_is_no_rtp_is_counted_under_its_reason() {
    let short = rtp(1, 1)[..7].to_vec();
    let mut padding = rtp(1, 1);
    padding[0] |= 0x20;
    *padding.last_mut().unwrap() = 200;
    let mut reserved = rtp(1, 1);
    reserved[1] = 73;
    // Of RTCP, on the socket of RTP, without rtcp-mux.
    let report = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
    for (bytes, reason) in [
        (vec![], RtpError::TooShort),
        (short, RtpError::TooShort),
        (vec![0xff; 40], RtpError::Version),
        (reserved, RtpError::PayloadType),
        (report, RtpError::TooShort),
        (padding, RtpError::Padding),
    ] {
        let mut config = config();
        config.rtcp_mux = false;
        let mut s = session(config);
        s.handle_datagram(Instant::ZERO, Channel::Rtp, &mut bytes.clone(), addr(4_000));
        let stats = s.stats();
        let names = RtpError::ALL.map(RtpError::as_str);
        let expected = [(reason.as_str(), 1)];
        assert_eq!(counted(names, stats.malformed_rtp_by), expected, "{bytes:x?}");
        assert_eq!((stats.malformed_rtp, stats.malformed_rtp_for(reason)), (1, 1));
    }
}

#[test]
fn what_is_no_rtcp_is_counted_under_its_reason() {
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let with = |at: usize, byte: u8| {
        let mut bytes = report;
        bytes[at] = byte;
        bytes.to_vec()
    };
    let app = [0x80, 204, 0, 1, 0, 0, 0, 1];
    let padded = [0xa0, 204, 0, 1, 0, 0, 0, 3];
    for (bytes, reason) in [
        (with(0, 0x81), RtcpError::TooShort),
        (with(3, 7), RtcpError::Length),
        (vec![0xff; 40], RtcpError::Version),
        (app.to_vec(), RtcpError::FirstPacket),
        ([report, padded].concat(), RtcpError::Padding),
        (report.repeat(40), RtcpError::TooMany),
    ] {
        let mut s = session(config());
        s.handle_datagram(Instant::ZERO, Channel::Rtcp, &mut bytes.clone(), addr(4_000));
        let stats = s.stats();
        let names = RtcpError::ALL.map(RtcpError::as_str);
        assert_eq!(counted(names, stats.malformed_rtcp_by), [(reason.as_str(), 1)], "{bytes:x?}");
        assert_eq!((stats.malformed_rtcp, stats.malformed_rtcp_for(reason)), (1, 1));
    }
}
