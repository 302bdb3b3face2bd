//! Two media sessions on a seeded virtual link, with recorded speech, SRTP both ways.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/line.rs"]
mod line;

use line::{Pair, address, keys, srtp};
use std::net::SocketAddr;
use subrosa::crypto::srtp::{KeySet, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::codec::CodecId;
use subrosa::media::resample::Resampler;
use subrosa::media::session::{
    Channel, Direction, MAX_TRANSMIT, MediaConfig, MediaEvent, MediaSession, MediaUpdate,
    NoMediaReason, Payload,
};
use subrosa::media::wav::Wav;
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::{RngExt, SeededRng};
use subrosa::wire::dtmf::Digit;
use subrosa::wire::rtcp::{Compound, RtcpPacket};
use subrosa::wire::rtp::{PacketKind, RtpHeaderFields, RtpPacket, classify};

fn addr(s: &str) -> SocketAddr {
    s.parse().unwrap()
}

fn speech(rate: u32) -> Vec<i16> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/speech/sense_and_sensibility_01_austen_64kb-0880.wav"
    );
    let wav = Wav::parse(&std::fs::read(file).unwrap()).unwrap();
    let mut out = Vec::new();
    let mut r = Resampler::new(wav.sample_rate, rate).unwrap();
    r.process(&wav.samples, |s| out.extend_from_slice(s));
    out
}

fn payload(codec: CodecId) -> Payload {
    let payload_type = codec.description().static_payload_type.unwrap_or(101);
    Payload { payload_type, codec }
}

/// What the link does to packets.
#[derive(Clone, Copy, Default)]
struct Link {
    loss: u32,
    duplicate: u32,
    reorder: u32,
    jitter_ms: u32,
}

struct World {
    now: Instant,
    rng: SeededRng,
    link: Link,
    ends: [MediaSession; 2],
    addresses: [SocketAddr; 2],
    wire: Vec<(Instant, usize, Channel, Vec<u8>)>,
    heard: [Vec<i16>; 2],
    events: [Vec<MediaEvent>; 2],
}

impl World {
    fn new(codec: CodecId, rate: u32, link: Link, seed: u64) -> Self {
        let now = Instant::from_millis(5_000);
        let pair = Pair { seed, suite: Suite::AesCm128HmacSha1_80, start: now };
        let ends = pair.sessions(payload(codec), |_, config| {
            config.cname = "x7Yd".into();
            config.write_rate = rate;
            config.read_rate = rate;
            config.dtmf_send = Some(101);
            config.dtmf_receive = vec![101];
            config.wall_clock = UnixTime::from_secs(1_800_000_000);
        });
        Self {
            now,
            rng: SeededRng::new(seed),
            link,
            ends,
            addresses: [address(0), address(1)],
            wire: Vec::new(),
            heard: Default::default(),
            events: Default::default(),
        }
    }

    /// 10 ms of life: `pcm` is what each end says.
    fn step(&mut self, pcm: [&[i16]; 2]) {
        let now = self.now;
        for (end, pcm) in pcm.into_iter().enumerate() {
            self.ends[end].write_pcm(now, pcm).unwrap();
            if self.ends[end].next_timeout().is_some_and(|at| at <= now) {
                self.ends[end].handle_timeout(now);
            }
            let mut buf = [0; MAX_TRANSMIT];
            while let Some(t) = self.ends[end].poll_transmit(now, &mut buf).unwrap() {
                assert!(t.packet.suite().is_some());
                assert_eq!(t.remote, self.addresses[1 - end]);
                let bytes = t.packet.bytes().to_vec();
                self.send(1 - end, t.channel, bytes);
            }
        }
        // By time of arrival; equal times in the order of sending.
        self.wire.sort_by_key(|(at, ..)| *at);
        let due = self.wire.partition_point(|(at, ..)| *at <= now);
        for (at, to, channel, mut bytes) in self.wire.drain(..due).collect::<Vec<_>>() {
            let from = self.addresses[1 - to];
            self.ends[to].handle_datagram(at, channel, &mut bytes, from);
        }
        for (end, said) in pcm.iter().enumerate() {
            let mut out = vec![0; said.len()];
            self.ends[end].read_pcm(now, &mut out).unwrap();
            self.heard[end].extend(out);
            while let Some(event) = self.ends[end].poll_event() {
                self.events[end].push(event);
            }
        }
        self.now += Duration::from_millis(10);
    }

    fn send(&mut self, to: usize, channel: Channel, bytes: Vec<u8>) {
        let Link { loss, duplicate, reorder, jitter_ms } = self.link;
        if self.rng.below(1000) < loss {
            return;
        }
        let mut copies = 1 + u32::from(self.rng.below(1000) < duplicate);
        while copies > 0 {
            let late = if self.rng.below(1000) < reorder { 45 } else { 0 };
            let ms = 30 + self.rng.below(jitter_ms + 1) + late;
            let at = self.now + Duration::from_millis(ms.into());
            self.wire.push((at, to, channel, bytes.clone()));
            copies -= 1;
        }
    }

    /// Both ends say `pcm` (the second one later), then 400 ms of silence.
    fn talk(&mut self, pcm: &[i16], rate: u32) {
        let n = rate as usize / 100;
        let quiet = vec![0; n];
        let both = [pcm.to_vec(), vec![0; n * 40]].concat();
        for chunk in both.chunks_exact(n) {
            self.step([chunk, chunk]);
        }
        (0..30).for_each(|_| self.step([&quiet, &quiet]));
    }
}

/// Best normalised correlation over all delays up to `max`, with the delay.
fn align(sent: &[i16], heard: &[i16], max: usize) -> (f64, usize) {
    let score = |delay: usize, step: usize| {
        let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
        let later = heard.get(delay..).unwrap_or_default();
        for (x, y) in sent.iter().zip(later).step_by(step) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            xy += x * y;
            xx += x * x;
            yy += y * y;
        }
        xy / f64::sqrt(xx * yy)
    };
    // Every 13th sample finds the delay, all of them tell the likeness.
    let rough = (0..max).map(|d| (score(d, 13), d)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1;
    (rough.saturating_sub(3)..rough + 4)
        .map(|d| (score(d, 1), d))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap()
}

#[test]
fn speech_arrives_as_it_was_said_both_ways_with_each_codec() {
    for (codec, rate) in [(CodecId::G722, 16_000), (CodecId::Pcmu, 8_000), (CodecId::Pcma, 8_000)] {
        let said = speech(rate);
        let mut world = World::new(codec, rate, Link::default(), 1);
        world.talk(&said, rate);
        for end in 0..2 {
            let (likeness, delay) = align(&said, &world.heard[end], rate as usize / 5);
            let ms = delay * 1000 / rate as usize;
            assert!(likeness > 0.99, "{codec:?}: {likeness} at {ms} ms");
            assert!(ms < 75, "{codec:?}: {ms} ms, of which the link takes 30");
            let stats = world.ends[end].stats();
            assert_eq!((stats.lost, stats.concealed_frames, stats.auth_failures()), (0, 0, 0));
        }
    }
}

#[test]
fn host_rates_other_than_the_codecs_are_converted_both_ways() {
    let rate = 48_000;
    // The codec carries up to 7 kHz, so the reference has no more either.
    let said = {
        let narrow = speech(16_000);
        let mut out = Vec::new();
        Resampler::new(16_000, rate).unwrap().process(&narrow, |s| out.extend_from_slice(s));
        out
    };
    let mut world = World::new(CodecId::G722, rate, Link::default(), 2);
    world.talk(&said, rate);
    let every = |x: &[i16]| x.iter().step_by(3).copied().collect::<Vec<_>>();
    let best = (0..3)
        .map(|shift| align(&every(&said), &every(&world.heard[1][shift..]), 4_000).0)
        .fold(0.0, f64::max);
    assert!(best > 0.99, "{best}");
}

#[test]
fn loss_reordering_duplicates_and_jitter_are_borne() {
    let link = Link { loss: 50, duplicate: 100, reorder: 50, jitter_ms: 20 };
    for seed in 0..8 {
        let rate = 16_000;
        let said = [speech(rate), speech(rate)].concat();
        let mut world = World::new(CodecId::G722, rate, link, seed);
        world.talk(&said, rate);
        let stats = world.ends[1].stats();
        let sent = world.ends[0].stats().packets_sent;
        assert!(stats.lost > 0 && stats.lost < sent as i64 / 8, "{stats:?}");
        assert!(stats.replays() > 0 && stats.auth_failures() == 0, "{stats:?}");
        // Concealed is what was lost or came late, and little more.
        let missing = stats.lost as u64 + stats.late;
        assert!(stats.concealed_frames <= missing + sent / 12, "seed {seed}: {stats:?}");
        assert!(stats.buffer_level < Duration::from_millis(250), "{stats:?}");
        assert!(stats.jitter > Duration::ZERO, "{stats:?}");
        // What was made up is told in time and in times, and so is the delay that was added.
        let frames = stats.concealed.as_millis() / 20;
        assert!(frames > 0 && frames <= stats.concealed_frames.into(), "{stats:?}");
        assert!(stats.concealment_events > 0, "{stats:?}");
        assert!(stats.concealment_events <= stats.concealed_frames, "{stats:?}");
        assert!((10..100).contains(&stats.buffer_delay.as_millis()), "{stats:?}");
        assert!(stats.stretched + stats.shrunk > Duration::ZERO, "{stats:?}");
        let rms = |x: &[i16]| {
            (x.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
        };
        let ratio = rms(&world.heard[1]) / rms(&said);
        assert!((0.6..1.1).contains(&ratio), "{ratio}");
    }
}

#[test]
fn the_same_seed_gives_the_same_call() {
    let link = Link { loss: 80, duplicate: 50, reorder: 80, jitter_ms: 40 };
    let run = || {
        let mut world = World::new(CodecId::Pcma, 8_000, link, 77);
        world.talk(&speech(8_000), 8_000);
        (world.heard, world.events, world.ends[0].stats())
    };
    assert_eq!(run(), run());
}

#[test]
fn each_digit_arrives_once_and_hold_silences() {
    let link = Link { loss: 50, duplicate: 50, reorder: 0, jitter_ms: 5 };
    let mut world = World::new(CodecId::Pcmu, 8_000, link, 5);
    let quiet = [0i16; 80];
    for c in "4711#".chars() {
        let digit = Digit::from_char(c).unwrap();
        world.ends[0].send_dtmf(digit, Duration::from_millis(100)).unwrap();
    }
    (0..200).for_each(|_| world.step([&quiet, &quiet]));
    let digits: String = world.events[1]
        .iter()
        .filter_map(|e| match e {
            MediaEvent::Dtmf(d) => Some(d.to_char()),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "4711#");

    // RTCP has told the round trip by now, or will: the link takes 30 to 35 ms each way.
    (0..1_500).for_each(|_| world.step([&quiet, &quiet]));
    let rtt = world.ends[0].stats().rtt.unwrap().as_millis();
    assert!((60..=100).contains(&rtt), "{rtt}");

    let update = MediaUpdate::new().direction(Direction::Inactive);
    world.ends[0].handle_update(world.now, update).unwrap();
    let sent = world.ends[0].stats().packets_sent;
    (0..50).for_each(|_| world.step([&quiet, &quiet]));
    assert_eq!(world.ends[0].stats().packets_sent, sent);
    assert!(world.ends[0].stats().while_held > 20);
    let digit = Digit::from_char('1').unwrap();
    assert!(world.ends[0].send_dtmf(digit, Duration::from_millis(100)).is_err());
    let update = MediaUpdate::new().direction(Direction::SendRecv);
    world.ends[0].handle_update(world.now, update).unwrap();
    (0..50).for_each(|_| world.step([&quiet, &quiet]));
    assert!(world.ends[0].stats().packets_sent > sent + 20);
}

#[test]
fn new_keys_and_another_codec_take_over_without_a_gap() {
    let mut world = World::new(CodecId::Pcmu, 8_000, Link::default(), 6);
    let said = speech(8_000);
    let mut chunks = said.chunks_exact(80);
    for chunk in chunks.by_ref().take(100) {
        world.step([chunk, chunk]);
    }
    let [ka, kb] = keys(99, Suite::AeadAes256Gcm);
    let (ka, kb) = (KeySet::from(ka), KeySet::from(kb));
    for (end, (out, into)) in [(&ka, &kb), (&kb, &ka)].into_iter().enumerate() {
        let both = vec![payload(CodecId::Pcmu), payload(CodecId::G722)];
        let update = MediaUpdate::new().keys(out.clone(), into.clone());
        let update = update.receive(both).send(payload(CodecId::G722));
        world.ends[end].handle_update(world.now, update).unwrap();
    }
    for chunk in chunks {
        world.step([chunk, chunk]);
    }
    for end in 0..2 {
        let stats = world.ends[end].stats();
        assert_eq!(stats.refused.iter().sum::<u64>(), 0, "{stats:?}");
        assert!(stats.packets_received > 130 && stats.lost == 0, "{stats:?}");
        assert!(stats.concealed_frames <= 2, "{stats:?}");
        assert!(stats.level_received > -60.0, "{stats:?}");
    }
}

#[test]
fn only_an_authentic_packet_moves_the_address_and_forgeries_are_counted() {
    let mut world = World::new(CodecId::Pcmu, 8_000, Link::default(), 8);
    let quiet = [0i16; 80];
    (0..20).for_each(|_| world.step([&quiet, &quiet]));
    let attacker = addr("203.0.113.66:666");
    // Plain RTP of the right shape, an old packet again, and noise.
    let mut plain = vec![0x80, 0, 0, 9, 0, 0, 0, 9, 1, 2, 3, 4];
    plain.extend([0xd5; 160]);
    let now = world.now;
    world.ends[1].handle_datagram(now, Channel::Rtp, &mut plain.clone(), attacker);
    plain.truncate(100);
    world.ends[1].handle_datagram(now, Channel::Rtp, &mut plain, attacker);
    world.ends[1].handle_datagram(now, Channel::Rtp, &mut [0xff; 40], attacker);
    let bye = [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0, 0, 1];
    world.ends[1].handle_datagram(now, Channel::Rtp, &mut bye.clone(), attacker);
    let stats = world.ends[1].stats();
    assert_eq!((stats.auth_failures(), stats.plain_dropped, stats.malformed_rtp), (2, 2, 1));
    assert!(!world.events[1].contains(&MediaEvent::RemoteBye));
    assert_eq!(world.ends[1].remote_rtp(), address(0));

    // The true peer moves (its NAT gave it another port).
    world.addresses[0] = addr("192.0.2.1:4444");
    (0..20).for_each(|_| {
        let now = world.now;
        world.ends[0].write_pcm(now, &[0; 80]).unwrap();
        let mut buf = [0; MAX_TRANSMIT];
        while let Some(t) = world.ends[0].poll_transmit(now, &mut buf).unwrap() {
            let mut bytes = t.packet.bytes().to_vec();
            world.ends[1].handle_datagram(now, Channel::Rtp, &mut bytes, addr("192.0.2.1:4444"));
        }
        world.now += Duration::from_millis(10);
    });
    assert_eq!(world.ends[1].remote_rtp(), addr("192.0.2.1:4444"));
    let moved = std::iter::from_fn(|| world.ends[1].poll_event())
        .filter(|e| matches!(e, MediaEvent::SourceChanged { .. }))
        .count();
    assert_eq!(moved, 1);
}

#[test]
fn missing_media_is_diagnosed() {
    let quiet = [0i16; 80];
    let mut world = World::new(CodecId::Pcmu, 8_000, Link { loss: 1000, ..Link::default() }, 9);
    (0..1_100).for_each(|_| world.step([&quiet, &quiet]));
    let silence = MediaEvent::NoMedia { reason: NoMediaReason::Silence };
    assert_eq!(world.events[0], [silence]);

    let mut world = World::new(CodecId::Pcmu, 8_000, Link::default(), 9);
    let [wrong, other] = keys(1234, Suite::AesCm128HmacSha1_80);
    let update = MediaUpdate::new().security(srtp(&wrong, &other));
    world.ends[0].handle_update(world.now, update).unwrap();
    (0..1_100).for_each(|_| world.step([&quiet, &quiet]));
    let reason = NoMediaReason::WrongKeys;
    assert!(world.events[1].contains(&MediaEvent::NoMedia { reason }), "{:?}", world.events[1]);
}

#[test]
fn closing_says_goodbye_once_and_nothing_more() {
    let mut world = World::new(CodecId::Pcmu, 8_000, Link::default(), 10);
    let quiet = [0i16; 80];
    (0..20).for_each(|_| world.step([&quiet, &quiet]));
    world.ends[0].close();
    world.ends[0].close();
    let sent = world.ends[0].stats().packets_sent;
    (0..20).for_each(|_| world.step([&quiet, &quiet]));
    let byes = world.events[1].iter().filter(|e| **e == MediaEvent::RemoteBye).count();
    assert_eq!((byes, world.ends[0].stats().packets_sent), (1, sent));
    assert_eq!(world.ends[0].next_timeout(), None);
}

/// Counts of the sender reports that a session sent, by SSRC, and the SSRCs it left.
#[derive(Default)]
struct Reported {
    packets: Vec<(u32, u32, u32)>,
    left: Vec<u32>,
}

#[test]
fn under_srtp_a_collision_changes_our_ssrc_and_sender_reports_count_from_0() {
    let [ours, theirs] = keys(11, Suite::AeadAes128Gcm);
    let mut config = MediaConfig::new(payload(CodecId::Pcmu), address(1), srtp(&ours, &theirs));
    config.wall_clock = UnixTime::from_secs(1_800_000_000);
    let start = Instant::from_millis(5_000);
    let mut session = MediaSession::new(start, config, &mut SeededRng::new(3)).unwrap();
    let mut peer = SrtpSender::new(&theirs).unwrap();
    let mut ear = SrtpReceiver::new(&ours).unwrap();
    let (first, mut own) = (session.local_ssrc(), Vec::new());
    let mut reported = Reported::default();
    let mut heard = std::collections::BTreeMap::<u32, u32>::new();
    for tick in 0..1_500_u64 {
        let now = start + Duration::from_millis(tick * 20);
        session.write_pcm(now, &[0; 160]).unwrap();
        if session.next_timeout().is_some_and(|at| at <= now) {
            session.handle_timeout(now);
        }
        if tick == 750 {
            // Our own packet comes back: its key is not the peer's, so it is no collision.
            session.handle_datagram(now, Channel::Rtp, &mut own, address(1));
            assert_eq!((session.local_ssrc(), session.stats().auth_failures()), (first, 1));
            let fields = RtpHeaderFields { ssrc: first, ..Default::default() };
            let mut buf = [0; MAX_TRANSMIT];
            let len = fields.write_packet(&[0xff; 160], 0, &mut buf).unwrap();
            let mut packet = peer.protect_rtp(&mut buf, len).unwrap().bytes().to_vec();
            session.handle_datagram(now, Channel::Rtp, &mut packet, address(1));
            assert_ne!(session.local_ssrc(), first);
        }
        let mut buf = [0; MAX_TRANSMIT];
        while let Some(t) = session.poll_transmit(now, &mut buf).unwrap() {
            let mut bytes = t.packet.bytes().to_vec();
            own.clone_from(&bytes);
            if matches!(classify(&bytes), PacketKind::Rtp) {
                let plain = ear.unprotect_rtp(&mut bytes).unwrap();
                *heard.entry(RtpPacket::parse(plain).unwrap().header.ssrc).or_default() += 1;
                continue;
            }
            let plain = ear.unprotect_rtcp(&mut bytes).unwrap();
            for packet in Compound::parse(plain).unwrap().iter() {
                match packet {
                    RtcpPacket::SenderReport { ssrc, info, .. } => {
                        let sent = heard.get(&ssrc).copied().unwrap_or(0);
                        assert!(info.packets.abs_diff(sent) <= 1, "{} of {sent}", info.packets);
                        assert_eq!(info.octets, info.packets * 160);
                        reported.packets.push((ssrc, info.packets, info.octets));
                    }
                    RtcpPacket::Goodbye(goodbye) => reported.left.extend(goodbye.ssrcs()),
                    _ => {}
                }
            }
        }
    }
    let second = session.local_ssrc();
    assert_eq!(reported.left, [first]);
    assert_eq!(
        heard.keys().copied().collect::<std::collections::BTreeSet<_>>(),
        [first, second].into()
    );
    let of = |ssrc| reported.packets.iter().filter(move |(s, ..)| *s == ssrc);
    assert!(of(first).count() >= 2 && of(second).count() >= 2, "{:?}", reported.packets);
    let news = MediaEvent::SsrcCollision { new: second };
    let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    assert_eq!(events.iter().filter(|e| **e == news).count(), 1, "{events:?}");
    assert_eq!(session.stats().packets_sent, heard.values().map(|n| u64::from(*n)).sum::<u64>());
}
