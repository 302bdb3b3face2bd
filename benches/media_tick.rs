//! The media tick: what one packet costs from PCM to PCM, SRTP included. `items/s` are packets
//! carried through both ends per second on one core: each is resampled, encoded, protected,
//! unprotected, buffered, decoded and resampled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use divan::counter::ItemsCount;
use std::net::SocketAddr;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::codec::CodecId;
use subrosa::media::session::{MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, Payload};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;

fn main() {
    divan::main();
}

/// A call in memory, with 20 ms packets.
struct Call {
    now: Instant,
    ends: [MediaSession; 2],
    addresses: [SocketAddr; 2],
    pcm: Vec<i16>,
    heard: Vec<i16>,
}

impl Call {
    fn new(codec: CodecId, rate: u32, suite: Suite) -> Self {
        let mut rng = SeededRng::new(1);
        let (ka, kb) = (MasterKey::generate(suite, &mut rng), MasterKey::generate(suite, &mut rng));
        let now = Instant::from_millis(1);
        let addresses = ["192.0.2.1:4000", "192.0.2.2:4000"].map(|a| a.parse().unwrap());
        let payload =
            Payload { payload_type: codec.description().static_payload_type.unwrap(), codec };
        let mut end = |out: &MasterKey, into: &MasterKey, remote| {
            let security = MediaSecurity::Srtp {
                sender: SrtpSender::new(out).unwrap(),
                receiver: SrtpReceiver::new(into).unwrap(),
            };
            let mut config = MediaConfig::new(payload, remote, security);
            (config.write_rate, config.read_rate) = (rate, rate);
            MediaSession::new(now, config, &mut rng).unwrap()
        };
        let ends = [end(&ka, &kb, addresses[1]), end(&kb, &ka, addresses[0])];
        let samples = rate as usize / 50;
        let pcm = (0..samples).map(|i| ((i as f32 * 0.07).sin() * 9_000.0) as i16).collect();
        Self { now, ends, addresses, pcm, heard: vec![0; samples] }
    }

    fn tick(&mut self) {
        let mut buffer = [0; MAX_TRANSMIT];
        let mut packet = [0; MAX_TRANSMIT];
        for end in 0..2 {
            self.ends[end].write_pcm(self.now, &self.pcm).unwrap();
            self.ends[end].handle_timeout(self.now);
            while let Some(t) = self.ends[end].poll_transmit(self.now, &mut buffer).unwrap() {
                let bytes = &mut packet[..t.packet.bytes().len()];
                bytes.copy_from_slice(t.packet.bytes());
                let from = self.addresses[end];
                self.ends[1 - end].handle_datagram(self.now, t.channel, bytes, from);
            }
            self.ends[end].read_pcm(self.now, &mut self.heard).unwrap();
        }
        self.now += Duration::from_millis(20);
    }
}

#[derive(Clone, Copy)]
struct Case(&'static str, CodecId, u32, Suite);

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

const CASES: [Case; 5] = [
    Case("PCMU, AES-CM", CodecId::Pcmu, 8_000, Suite::AesCm128HmacSha1_80),
    Case("PCMU, AES-GCM", CodecId::Pcmu, 8_000, Suite::AeadAes128Gcm),
    Case("PCMU, AES-GCM, host 48 kHz", CodecId::Pcmu, 48_000, Suite::AeadAes128Gcm),
    Case("G722, AES-GCM", CodecId::G722, 16_000, Suite::AeadAes128Gcm),
    Case("G722, AES-GCM, host 48 kHz", CodecId::G722, 48_000, Suite::AeadAes128Gcm),
];

#[divan::bench(args = CASES)]
fn tick(bencher: divan::Bencher<'_, '_>, case: Case) {
    let Case(name, codec, rate, suite) = case;
    let mut call = Call::new(codec, rate, suite);
    (0..100).for_each(|_| call.tick());
    assert_eq!(call.ends[0].stats().lost, 0, "{name}");
    bencher.counter(ItemsCount::new(2usize)).bench_local(|| call.tick());
}
