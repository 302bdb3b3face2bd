//! How good a call sounds, told by one end to the other (RFC 3611), and when a sender stops
//! (RFC 8083): two sessions over a link in virtual time that delays, loses and breaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/line.rs"]
mod line;

use line::{Pair, address};
use std::net::SocketAddr;
use subrosa::crypto::srtp::Suite;
use subrosa::media::breaker::BreakerReason;
use subrosa::media::codec::CodecId;
use subrosa::media::quality::{EModel, mos};
use subrosa::media::session::{
    Channel, Direction, DtmfError, MAX_TRANSMIT, MediaConfig, MediaEvent, MediaSession,
    MediaUpdate, Payload,
};
use subrosa::time::{Duration, Instant};
use subrosa::wire::dtmf::Digit;
use subrosa::wire::rtp::{PacketKind, classify};

const MS: Duration = Duration::from_millis(1);

/// What the link does to a packet: from which end, of which kind, the number of its kind from
/// there. `None` loses it.
type Link = fn(usize, PacketKind, usize) -> Option<u32>;

struct Scene {
    ends: [MediaSession; 2],
    wire: Vec<(Instant, usize, Channel, Vec<u8>)>,
    link: Link,
    /// RTP and RTCP packets sent by each end.
    sent: [[usize; 2]; 2],
    events: [Vec<MediaEvent>; 2],
    ms: u32,
}

impl Scene {
    fn new(codec: CodecId, link: Link, change: fn(&mut MediaConfig)) -> Self {
        let payload_type = if codec == CodecId::G722 { 9 } else { 0 };
        let pair = Pair { seed: 8, suite: Suite::AeadAes128Gcm, start: Instant::default() };
        let ends = pair.sessions(Payload { payload_type, codec }, |_, config| {
            (config.write_rate, config.read_rate) = (16_000, 16_000);
            config.dtmf_send = Some(101);
            change(config);
        });
        let (wire, sent, events) = (Vec::new(), [[0; 2]; 2], [vec![], vec![]]);
        Self { ends, wire, link, sent, events, ms: 0 }
    }

    fn now(&self) -> Instant {
        Instant::default() + MS * self.ms
    }

    fn run(&mut self, seconds: u32) {
        for _ in 0..seconds * 1_000 {
            self.ms += 1;
            let now = self.now();
            if self.ms.is_multiple_of(20) {
                for end in &mut self.ends {
                    end.write_pcm(now, &[400; 320]).unwrap();
                    end.read_pcm(now, &mut [0; 320]).unwrap();
                }
            }
            let due: Vec<_> = self.wire.extract_if(.., |(at, ..)| *at <= now).collect();
            for (at, to, channel, mut bytes) in due {
                self.ends[to].handle_datagram(at, channel, &mut bytes, address(1 - to));
            }
            for end in [0, 1] {
                self.drive(now, end);
            }
        }
    }

    fn drive(&mut self, now: Instant, end: usize) {
        if self.ends[end].next_timeout().is_some_and(|at| at <= now) {
            self.ends[end].handle_timeout(now);
        }
        let mut buf = [0; MAX_TRANSMIT];
        while let Some(t) = self.ends[end].poll_transmit(now, &mut buf).unwrap() {
            let (channel, bytes) = (t.channel, t.packet.bytes().to_vec());
            let kind = classify(&bytes);
            let count = &mut self.sent[end][usize::from(kind == PacketKind::Rtcp)];
            *count += 1;
            if let Some(delay) = (self.link)(end, kind, *count) {
                self.wire.push((now + MS * delay, 1 - end, channel, bytes));
            }
        }
        while let Some(event) = self.ends[end].poll_event() {
            if !matches!(event, MediaEvent::FirstPacket { .. }) {
                self.events[end].push(event);
            }
        }
    }

    fn stops(&self, end: usize) -> Vec<BreakerReason> {
        let reason = |event: &MediaEvent| match event {
            MediaEvent::CircuitBreaker { reason } => Some(*reason),
            _ => None,
        };
        self.events[end].iter().filter_map(reason).collect()
    }
}

#[test]
fn a_clean_call_has_the_rating_of_its_codec_and_the_far_end_is_told() {
    for (codec, r, lq) in [(CodecId::Pcmu, 93.2, 4.41), (CodecId::G722, 116.0, 4.34)] {
        let mut scene = Scene::new(codec, |_, _, _| Some(30), |_| {});
        assert_eq!(scene.ends[0].stats().quality, None);
        scene.run(20);
        let [ours, theirs] = [0, 1].map(|end: usize| scene.ends[end].stats());
        let quality = ours.quality.unwrap();
        assert!((quality.mos_lq - lq).abs() < 0.01, "{quality:?}");
        assert!(quality.r_factor <= r && quality.r_factor > r - 4.0, "{quality:?}");
        assert_eq!((quality.loss_rate, quality.discard_rate), (0.0, 0.0));
        assert_eq!(quality.wideband, codec == CodecId::G722);
        // 30 ms on the way, 20 ms in a packet, and what the jitter buffer aims at.
        let expected = 50.0 + ours.buffer_target.as_secs_f64() * 1_000.0;
        let delay = quality.delay.as_secs_f64() * 1_000.0;
        assert!((delay - expected).abs() < 3.0, "{delay} is not {expected}");
        let told = theirs.remote_quality.unwrap();
        assert_eq!(told.ssrc, scene.ends[1].local_ssrc());
        assert_eq!(told.mos_lq, (quality.mos_lq * 10.0).round() as u8);
        assert_eq!(told.mos_cq, (quality.mos_cq * 10.0).round() as u8);
        assert_eq!((told.loss_rate, told.gmin), (0, 16));
        let target = ours.buffer_target.as_millis();
        assert!((1..=10).contains(&target), "{target} ms");
        assert_eq!(u128::from(told.jitter_buffer_nominal), target);
        assert_eq!(u128::from(told.end_system_delay), 20 + target);
        assert_eq!(u32::from(told.round_trip_delay), 60);
        assert!(scene.stops(0).is_empty() && scene.stops(1).is_empty());
    }
}

#[test]
fn random_loss_bursts_and_late_packets_are_told_apart() {
    // One in twenty, far apart.
    let single: Link = |end, kind, n| {
        let lost = end == 1 && kind == PacketKind::Rtp && n.is_multiple_of(20);
        (!lost).then_some(30)
    };
    // As many, four in a row.
    let rows: Link = |end, kind, n| {
        let lost = end == 1 && kind == PacketKind::Rtp && n % 80 >= 76;
        (!lost).then_some(30)
    };
    // As many, half a second late.
    let late: Link = |end, kind, n| {
        let held = end == 1 && kind == PacketKind::Rtp && n.is_multiple_of(20);
        Some(if held { 530 } else { 30 })
    };
    let rated = [single, rows, late].map(|link| {
        let mut scene = Scene::new(CodecId::Pcmu, link, |_| {});
        scene.run(60);
        let told = scene.ends[1].stats().remote_quality.unwrap();
        (scene.ends[0].stats().quality.unwrap(), told)
    });
    let [(single, alone), (rows, in_rows), (late, too_late)] = rated;
    // The same as RFC 3611 has it, in 256ths and in ms.
    assert_eq!((alone.loss_rate, alone.burst_density, alone.burst_duration), (12, 0, 0));
    assert!((11..=13).contains(&alone.gap_density), "{alone:?}");
    assert!(in_rows.burst_density > 250 && in_rows.gap_density == 0, "{in_rows:?}");
    assert_eq!(in_rows.burst_duration, 80);
    assert!(in_rows.gap_duration > 1_000, "{in_rows:?}");
    assert!(too_late.discard_rate >= 10 && too_late.loss_rate == 0, "{too_late:?}");
    assert!((single.loss_rate - 0.05).abs() < 0.002 && single.discard_rate == 0.0, "{single:?}");
    // The E-model of 5 % of G.711 with our concealment.
    let model = EModel { equipment_impairment: 95.0 * 5.0 / (5.0 + 10.0), ..EModel::default() };
    assert!((f64::from(single.mos_lq) - mos(model.r_factor())).abs() < 0.03, "{single:?}");
    assert_eq!((single.burst_ratio, single.burst_density), (1.0, 0.0));
    assert!((rows.loss_rate - 0.05).abs() < 0.002, "{rows:?}");
    assert!((rows.burst_ratio - 3.8).abs() < 0.1 && rows.burst_density > 0.99, "{rows:?}");
    assert_eq!(rows.burst_duration, MS * 80);
    assert!(rows.mos_lq < single.mos_lq - 0.05, "{rows:?}");
    assert!((late.discard_rate - 0.05).abs() < 0.01 && late.loss_rate < 0.003, "{late:?}");
}

/// Every four seconds nothing comes for 160 ms, then all at once: no packet is lost, and yet a gap
/// was heard.
#[test]
fn a_link_that_stands_still_is_heard_although_nothing_is_lost() {
    let stalls: Link = |end, kind, n| {
        let behind = n % 200;
        let held = end == 1 && kind == PacketKind::Rtp && behind < 8;
        Some(if held { 30 + (8 - behind as u32) * 20 } else { 30 })
    };
    let mut scene = Scene::new(CodecId::Pcmu, stalls, |_| {});
    scene.run(60);
    let quality = scene.ends[0].stats().quality.unwrap();
    assert!(quality.loss_rate < 0.001 && quality.discard_rate < 0.01, "{quality:?}");
    // PESQ finds 2.5 where 3 % are lost in such rows.
    assert!((2.0..3.0).contains(&quality.mos_lq), "{quality:?}");
}

#[test]
fn a_session_may_keep_its_quality_to_itself() {
    let mut scene = Scene::new(CodecId::Pcmu, |_, _, _| Some(10), |c| c.rtcp_xr = false);
    scene.run(20);
    let stats = scene.ends[0].stats();
    assert!(stats.quality.is_some() && stats.remote_quality.is_none() && stats.rtcp_received > 2);
}

/// After 20 s nothing of end 1 arrives any more.
const SILENT_PEER: Link = |end, kind, n| {
    let gone = end == 1 && n > if kind == PacketKind::Rtcp { 4 } else { 1_000 };
    (!gone).then_some(30)
};

#[test]
fn without_the_peers_reports_sending_stops_and_goes_on_when_a_person_wants_it() {
    let mut scene = Scene::new(CodecId::Pcmu, SILENT_PEER, |_| {});
    scene.run(60);
    assert_eq!(scene.stops(0), [BreakerReason::RtcpTimeout]);
    assert_eq!(scene.ends[0].stats().circuit_breaker, Some(BreakerReason::RtcpTimeout));
    let [rtp, rtcp] = scene.sent[0];
    assert!((1_100..2_500).contains(&rtp), "{rtp}");
    scene.run(10);
    // RTCP goes on alone, and no key press leaves.
    assert_eq!(scene.sent[0][0], rtp);
    assert!(scene.sent[0][1] > rtcp);
    let digit = Digit::from_char('5').unwrap();
    assert_eq!(scene.ends[0].send_dtmf(digit, MS * 100), Err(DtmfError::NotSending));
    // The path is good again.
    scene.link = |_, _, _| Some(30);
    let now = scene.now();
    assert!(scene.ends[0].restart_sending(now));
    assert!(!scene.ends[0].restart_sending(now), "it is not stopped any more");
    scene.run(30);
    assert_eq!(scene.stops(0).len(), 1);
    assert!(scene.sent[0][0] >= rtp + 1_400, "{} after {rtp}", scene.sent[0][0]);
}

/// Nothing gets through for a minute (P9): both ends stop sending, and both speak and hear again soon
/// after, with nobody's help.
#[test]
fn after_a_minute_without_a_network_both_ends_speak_and_hear_again() {
    let mut scene = Scene::new(CodecId::Pcmu, |_, _, _| Some(30), |_| {});
    scene.run(20);
    scene.link = |_, _, _| None;
    scene.run(60);
    for end in [0, 1] {
        assert_eq!(scene.stops(end), [BreakerReason::RtcpTimeout]);
        assert_eq!(scene.ends[end].circuit_breaker(), Some(BreakerReason::RtcpTimeout));
    }
    scene.link = |_, _, _| Some(30);
    // The next report of the peer, and the one after it for who was told of nothing yet.
    scene.run(15);
    let before = [0, 1].map(|end: usize| scene.ends[end].stats());
    scene.run(10);
    for (end, before) in before.iter().enumerate() {
        let stats = scene.ends[end].stats();
        assert_eq!(stats.circuit_breaker, None);
        assert!(scene.events[end].contains(&MediaEvent::SendingResumed), "{end}");
        assert!(scene.events[end].contains(&MediaEvent::MediaResumed), "{end}");
        assert_eq!(stats.packets_received - before.packets_received, 500, "{end}");
        assert_eq!(stats.concealed_frames, before.concealed_frames, "{end}");
        assert_eq!(stats.auth_failures(), 0);
        assert!(stats.buffer_target <= MS * 5, "{:?}", stats.buffer_target);
    }
}

#[test]
fn reports_of_nothing_received_stop_it_after_five_of_them() {
    // From 10 s on, no RTP of end 0 arrives.
    let link: Link = |end, kind, n| {
        let lost = end == 0 && kind == PacketKind::Rtp && n > 500;
        (!lost).then_some(30)
    };
    let mut scene = Scene::new(CodecId::Pcmu, link, |_| {});
    scene.run(60);
    assert_eq!(scene.stops(0), [BreakerReason::MediaTimeout]);
    // Five reports of about 5 s later.
    let [rtp, _] = scene.sent[0];
    assert!((1_300..2_300).contains(&rtp), "{rtp}");
    assert!(scene.stops(1).is_empty(), "the other one arrives");
    // A stop lasts 15 s, whatever is agreed over the same path.
    let mut soon = Scene::new(CodecId::Pcmu, link, |_| {});
    while soon.stops(0).is_empty() {
        soon.run(1);
    }
    let now = soon.now();
    assert!(!soon.ends[0].restart_sending(now));
    let update = |to: SocketAddr| MediaUpdate::new().remote(to, to, true);
    soon.ends[0].handle_update(now, update(address(1))).unwrap();
    assert_eq!(soon.ends[0].circuit_breaker(), Some(BreakerReason::MediaTimeout));
    // Another address is another path.
    let other = "192.0.2.3:5000".parse().unwrap();
    soon.ends[0].handle_update(now, update(other)).unwrap();
    assert_eq!(soon.ends[0].circuit_breaker(), None);
}

#[test]
fn a_congested_path_stops_it() {
    // Half of it is lost, over a round trip of 800 ms: TCP would send two packets a second.
    let link: Link = |end, kind, n| {
        let lost = end == 0 && kind == PacketKind::Rtp && n.is_multiple_of(2);
        (!lost).then_some(400)
    };
    let mut scene = Scene::new(CodecId::Pcmu, link, |_| {});
    scene.run(60);
    assert_eq!(scene.stops(0), [BreakerReason::Congestion]);
    assert!(scene.stops(1).is_empty());
    // As much loss on a short path is none of TCP's business.
    scene = Scene::new(
        CodecId::Pcmu,
        |end, kind, n| {
            let lost = end == 0 && kind == PacketKind::Rtp && n.is_multiple_of(2);
            (!lost).then_some(40)
        },
        |_| {},
    );
    scene.run(60);
    assert!(scene.stops(0).is_empty());
}

#[test]
fn the_breaker_can_be_off_and_leaves_holds_and_silent_peers_alone() {
    let mut off = Scene::new(CodecId::Pcmu, SILENT_PEER, |c| c.circuit_breaker = false);
    off.run(60);
    assert!(off.stops(0).is_empty());
    let now = off.now();
    off.ends[0].set_circuit_breaker(now, true);
    off.run(20);
    assert_eq!(off.stops(0), [BreakerReason::RtcpTimeout]);
    let now = off.now();
    off.ends[0].set_circuit_breaker(now, false);
    let [rtp, _] = off.sent[0];
    off.run(2);
    assert!(off.sent[0][0] > rtp + 90);
    // Who never reported need not begin to.
    let mute: Link = |end, kind, _| (end == 0 || kind == PacketKind::Rtp).then_some(30);
    let mut scene = Scene::new(CodecId::Pcmu, mute, |_| {});
    scene.run(60);
    assert!(scene.stops(0).is_empty());
    // Who holds does not send, whatever comes.
    let mut held = Scene::new(CodecId::Pcmu, SILENT_PEER, |_| {});
    held.run(18);
    let now = held.now();
    held.ends[0].set_direction(now, Direction::RecvOnly);
    held.run(60);
    assert!(held.stops(0).is_empty());
    let now = held.now();
    held.ends[0].set_direction(now, Direction::SendRecv);
    held.run(14);
    assert!(held.stops(0).is_empty());
    held.run(2);
    assert_eq!(held.stops(0), [BreakerReason::RtcpTimeout]);
}
