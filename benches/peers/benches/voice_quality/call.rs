//! Two media sessions in virtual time, SRTP both ways, with a traced network on the way from the
//! first to the second.

use crate::trace::{Arrival, PTIME_US, TRANSIT_US};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::codec::{CodecId, OpusBackend};
use subrosa::media::dsp::ProcessingConfig;
use subrosa::media::session::{
    Channel, MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, Payload,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;
use subrosa::wire::rtp::{PacketKind, RtpPacket, classify};

/// How both ends are set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub codec: CodecId,
    /// Rate of the hosts' PCM, in Hz.
    pub rate: u32,
    /// The loss that the encoder is told to expect, in percent: as the peer's reports would say.
    pub expected_loss: u8,
    pub processing: ProcessingConfig,
    /// Opus in Rust alone, as in the default features; or the reference library.
    pub backend: OpusBackend,
}

impl Setup {
    /// Of a codec by its SDP name, if this build has it, at the rate at which its audio is measured.
    pub fn named(name: &str) -> Option<Self> {
        let codec = CodecId::ALL
            .into_iter()
            .find(|id| id.description().name.eq_ignore_ascii_case(name))
            .filter(|id| id.encoder().is_some())?;
        Some(Self {
            codec,
            rate: codec.description().sample_rate.min(16_000),
            expected_loss: 0,
            processing: ProcessingConfig::OFF,
            backend: OpusBackend::Port,
        })
    }

    fn payload(self) -> Payload {
        let payload_type = self.codec.description().static_payload_type.unwrap_or(111);
        Payload { payload_type, codec: self.codec }
    }
}

/// The two ends.
pub struct Pair {
    pub ends: [MediaSession; 2],
    pub addresses: [SocketAddr; 2],
    ear: SrtpReceiver,
}

impl Pair {
    pub fn new(setup: Setup, now: Instant, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let suite = Suite::AesCm128HmacSha1_80;
        let keys = [MasterKey::generate(suite, &mut rng), MasterKey::generate(suite, &mut rng)];
        let addresses = ["192.0.2.1:4000", "192.0.2.2:4000"].map(|a| a.parse().unwrap());
        let ends = [0, 1].map(|end: usize| {
            let security = MediaSecurity::Srtp {
                sender: SrtpSender::new(&keys[end]).unwrap(),
                receiver: SrtpReceiver::new(&keys[1 - end]).unwrap(),
            };
            let mut config = MediaConfig::new(setup.payload(), addresses[1 - end], security);
            (config.write_rate, config.read_rate) = (setup.rate, setup.rate);
            config.processing = setup.processing;
            config.tuning.expected_loss_percent = setup.expected_loss;
            config.opus_backend = Some(setup.backend);
            MediaSession::new(now, config, &mut rng).unwrap()
        });
        Self { ends, addresses, ear: SrtpReceiver::new(&keys[0]).unwrap() }
    }

    /// What an end has to send now, as (channel, datagram).
    pub fn transmit(&mut self, end: usize, now: Instant, mut each: impl FnMut(Channel, &[u8])) {
        if self.ends[end].next_timeout().is_some_and(|at| at <= now) {
            self.ends[end].handle_timeout(now);
        }
        let mut buffer = [0; MAX_TRANSMIT];
        while let Some(t) = self.ends[end].poll_transmit(now, &mut buffer).unwrap() {
            each(t.channel, t.packet.bytes());
        }
    }

    pub fn deliver(&mut self, to: usize, now: Instant, channel: Channel, datagram: &mut [u8]) {
        self.ends[to].handle_datagram(now, channel, datagram, self.addresses[1 - to]);
    }
}

/// The state of the receiver at a time of the call.
pub struct Moment {
    pub at_ms: f64,
    pub level_ms: f64,
    pub target_ms: f64,
    pub concealed: u64,
    pub lost: i64,
    /// Listening quality by the engine's own estimate; 0 before there is one.
    pub mos: f32,
}

/// What the second end heard of the first.
#[derive(Default)]
pub struct Heard {
    pub pcm: Vec<i16>,
    pub moments: Vec<Moment>,
    /// The payloads that the first end sent, in clear, in order.
    pub payloads: Vec<Vec<u8>>,
}

const START: Instant = Instant::from_millis(1_000);

/// The first end says `pcm`; each of its audio packets arrives as `arrivals` say. Hosts write and
/// read 10 ms at once. Time 0 of `arrivals` and of what is returned is when the first packet leaves.
pub fn talk(setup: Setup, pcm: &[i16], arrivals: &[Arrival], seed: u64) -> Heard {
    let mut pair = Pair::new(setup, START, seed);
    let mut heard = Heard::default();
    let mut sent: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut control: Vec<(Instant, usize, Channel, Vec<u8>)> = Vec::new();
    let mut arrivals = arrivals.iter().peekable();
    let step = setup.rate as usize / 100;
    let quiet = vec![0; step];
    // The first packet is full, and leaves, with the second 10 ms.
    let zero = START.as_micros() + PTIME_US / 2;
    for (tick, said) in pcm.chunks_exact(step).enumerate() {
        let now = Instant::from_micros(START.as_micros() + tick as u64 * 10_000);
        while let Some(next) = arrivals.next_if(|a| zero + a.at_us <= now.as_micros()) {
            if let Some(packet) = sent.get(&next.packet) {
                let at = Instant::from_micros(zero + next.at_us);
                pair.deliver(1, at, Channel::Rtp, &mut packet.clone());
            }
        }
        for (at, to, channel, mut bytes) in control.extract_if(.., |c| c.0 <= now) {
            pair.deliver(to, at, channel, &mut bytes);
        }
        pair.ends[0].write_pcm(now, said).unwrap();
        pair.ends[1].write_pcm(now, &quiet).unwrap();
        let mut out: Vec<(usize, Channel, Vec<u8>)> = Vec::new();
        for end in 0..2 {
            pair.transmit(end, now, |channel, bytes| out.push((end, channel, bytes.to_vec())));
        }
        for (end, channel, bytes) in out {
            if end == 0 && matches!(classify(&bytes), PacketKind::Rtp) {
                let plain = pair.ear.unprotect_rtp(&mut bytes.clone()).unwrap().to_vec();
                heard.payloads.push(RtpPacket::parse(&plain).unwrap().payload.to_vec());
                sent.insert(sent.len() as u32, bytes);
            } else {
                let at = now + Duration::from_micros(TRANSIT_US);
                control.push((at, 1 - end, channel, bytes));
            }
        }
        let from = heard.pcm.len();
        heard.pcm.resize(from + step, 0);
        pair.ends[1].read_pcm(now, &mut heard.pcm[from..]).unwrap();
        let stats = pair.ends[1].stats();
        heard.moments.push(Moment {
            at_ms: (now.as_micros() as f64 - zero as f64) / 1e3,
            level_ms: stats.buffer_level.as_micros() as f64 / 1e3,
            target_ms: stats.buffer_target.as_micros() as f64 / 1e3,
            concealed: stats.concealed_frames,
            lost: stats.lost,
            mos: stats.quality.map_or(0.0, |q| q.mos_lq),
        });
    }
    heard
}
