//! The bitrate follows the network: two sessions over a link that carries so many bits a second and
//! queues the rest, in virtual time.
#![cfg(any(feature = "opus", feature = "libopus"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/line.rs"]
mod line;
#[path = "support/sound.rs"]
mod sound;

use line::{Pair, address};
use sound::speech;
use subrosa::crypto::srtp::Suite;
use subrosa::media::codec::CodecId;
use subrosa::media::session::{
    Channel, MAX_TRANSMIT, MediaConfig, MediaSession, MediaUpdate, Payload,
};
use subrosa::time::{Duration, Instant};

const RATE: u32 = 16_000;
const STEP: Duration = Duration::from_millis(20);
/// One way without a queue.
const WAY: Duration = Duration::from_millis(30);
/// IP and UDP, bytes.
const HEADERS: usize = 28;

struct Scene {
    ends: [MediaSession; 2],
    now: Instant,
    wire: Vec<(Instant, usize, Vec<u8>)>,
    /// What the way from the first to the second carries, in bit/s; and when it is free again.
    capacity: u64,
    free: Instant,
    /// Longest time that a packet waited for the link since it was looked at.
    queue: Duration,
    /// One packet of so many is lost on that way; 0: none.
    lossy: usize,
    sent: usize,
    speech: Vec<i16>,
    said: usize,
}

impl Scene {
    fn new(change: fn(&mut MediaConfig)) -> Self {
        let pair = Pair { seed: 5, suite: Suite::AeadAes128Gcm, start: Instant::default() };
        let ends =
            pair.sessions(Payload { payload_type: 111, codec: CodecId::Opus }, |_, config| {
                (config.write_rate, config.read_rate) = (RATE, RATE);
                config.tuning.complexity = 0;
                change(config);
            });
        Self {
            ends,
            now: Instant::default(),
            wire: Vec::new(),
            capacity: u64::MAX,
            free: Instant::default(),
            queue: Duration::ZERO,
            lossy: 0,
            sent: 0,
            speech: speech(RATE),
            said: 0,
        }
    }

    fn run(&mut self, seconds: u32) {
        self.queue = Duration::ZERO;
        for _ in 0..seconds * 50 {
            self.now += STEP;
            let due: Vec<_> = self.wire.extract_if(.., |(at, ..)| *at <= self.now).collect();
            for (at, to, mut bytes) in due {
                self.ends[to].handle_datagram(at, Channel::Rtp, &mut bytes, address(1 - to));
            }
            for end in 0..2 {
                let from = self.said % (self.speech.len() - 320);
                self.ends[end].write_pcm(self.now, &self.speech[from..from + 320]).unwrap();
                self.ends[end].read_pcm(self.now, &mut [0; 320]).unwrap();
                self.ends[end].handle_timeout(self.now);
                self.send(end);
            }
            self.said += 320;
        }
    }

    fn send(&mut self, end: usize) {
        let mut buffer = [0; MAX_TRANSMIT];
        while let Some(t) = self.ends[end].poll_transmit(self.now, &mut buffer).unwrap() {
            let bytes = t.packet.bytes().to_vec();
            let mut leaves = self.now;
            if end == 0 {
                let bits = ((bytes.len() + HEADERS) * 8) as u64;
                leaves = self.free.max(self.now);
                self.queue = self.queue.max(leaves - self.now);
                self.free = leaves + Duration::from_micros(bits * 1_000_000 / self.capacity);
                leaves = self.free;
                self.sent += 1;
                if self.lossy > 0 && self.sent.is_multiple_of(self.lossy) {
                    continue;
                }
            }
            self.wire.push((leaves + WAY, 1 - end, bytes));
        }
    }

    fn bitrate(&self) -> u32 {
        self.ends[0].encoding().tuning.bitrate
    }
}

/// 24 kbit/s and the headers are 43: a link of 38 kbit/s fills up by a second in eight.
#[test]
fn a_link_that_fills_up_gets_less_until_its_queue_is_gone_and_then_more_again() {
    let mut scene = Scene::new(|_| {});
    scene.run(30);
    assert_eq!(scene.bitrate(), 24_000);
    scene.capacity = 38_000;
    scene.run(90);
    let narrow = scene.bitrate();
    assert!((12_000..24_000).contains(&narrow), "{narrow} bit/s");
    assert_eq!(scene.ends[0].stats().circuit_breaker, None);
    // It has found what the link carries: the queue does not grow any more.
    scene.run(60);
    assert!(scene.queue < Duration::from_millis(900), "a queue of {:?}", scene.queue);
    scene.capacity = u64::MAX;
    scene.run(60);
    assert_eq!(scene.bitrate(), 24_000, "the link is wide again");
}

/// What a radio link loses comes back by no lower bitrate.
#[test]
fn a_link_that_only_loses_packets_keeps_its_bitrate() {
    let mut scene = Scene::new(|_| {});
    scene.lossy = 7;
    scene.run(60);
    assert!(scene.ends[1].stats().lost > 300);
    assert_eq!(scene.bitrate(), 24_000);
}

#[test]
fn a_bitrate_that_is_low_already_is_left_alone() {
    let mut scene = Scene::new(|config| config.tuning.bitrate = 10_000);
    scene.run(10);
    scene.capacity = 20_000;
    scene.run(60);
    assert_eq!(scene.bitrate(), 10_000);
}

#[test]
fn what_the_reports_told_outlives_a_change_of_packet_length_and_is_forgotten_slowly() {
    let mut scene = Scene::new(|_| {});
    scene.lossy = 7;
    scene.run(30);
    let before = scene.ends[0].encoding();
    assert!(before.tuning.expected_loss_percent > 8, "{before:?}");
    scene.lossy = 0;
    let now = scene.now;
    scene.ends[0].handle_update(now, MediaUpdate::new().ptime_ms(40)).unwrap();
    let after = scene.ends[0].encoding();
    assert_eq!((after.ptime_ms, after.tuning), (40, before.tuning));
    // A quarter of it is forgotten with each report that tells of less.
    let mut last = after.tuning.expected_loss_percent;
    for _ in 0..120 {
        scene.run(1);
        let loss = scene.ends[0].encoding().tuning.expected_loss_percent;
        assert!((last - last.div_ceil(4)..=last).contains(&loss), "{loss} after {last}");
        last = loss;
    }
    assert_eq!(last, 0);
}
