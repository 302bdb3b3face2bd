//! Crate `neteq` on the same packets and arrivals. It reads the clock of the machine by itself, so
//! it runs in real time, on a thread of its own.

use crate::trace::{Arrival, PTIME_US};
use neteq::{AudioPacket, NetEq, NetEqConfig, RtpHeader};
use std::time::{Duration, Instant};
use subrosa::media::codec::{Decoder, G711, Law};

struct MuLaw(G711);

impl neteq::codec::AudioDecoder for MuLaw {
    fn sample_rate(&self) -> u32 {
        8_000
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        let mut pcm = vec![0; encoded.len()];
        self.0.decode(encoded, &mut pcm).expect("G.711 decodes any byte");
        Ok(pcm.into_iter().map(|s| f32::from(s) / 32_768.0).collect())
    }
}

/// What it played, in 10 ms steps from the time that the first packet was sent, and how much of it
/// was made up, in ms.
pub struct Played {
    pub pcm: Vec<i16>,
    pub concealed_ms: f64,
}

/// Plays G.711 payloads as they arrive, with its default settings at 8 kHz.
pub fn play(payloads: &[Vec<u8>], arrivals: &[Arrival]) -> Played {
    let config = NetEqConfig { sample_rate: 8_000, ..NetEqConfig::default() };
    let mut neteq = NetEq::new(config).expect("a configuration at 8 kHz");
    neteq.register_decoder(0, Box::new(MuLaw(G711::new(Law::Mu))));
    let start = Instant::now();
    let mut arrivals = arrivals.iter().peekable();
    let steps = payloads.len() as u64 * PTIME_US / 10_000 + 30;
    let mut pcm = Vec::new();
    for step in 0..steps {
        let now = step * 10_000;
        while let Some(next) = arrivals.next_if(|a| a.at_us <= now) {
            sleep_until(start, next.at_us);
            let n = next.packet;
            let header = RtpHeader::new(n as u16, n * 160, 1, 0, false);
            let payload = payloads[n as usize].clone();
            // A packet that it refuses is a lost one.
            let _ = neteq.insert_packet(AudioPacket::new(header, payload, 8_000, 1, 20));
        }
        sleep_until(start, now);
        let frame = neteq.get_audio().map(|frame| frame.samples).unwrap_or_default();
        pcm.extend(frame.iter().map(|s| (s * 32_768.0).clamp(-32_768.0, 32_767.0) as i16));
    }
    let concealed = neteq.get_statistics().lifetime.concealed_samples;
    Played { pcm, concealed_ms: concealed as f64 / 8.0 }
}

fn sleep_until(start: Instant, us: u64) {
    let at = start + Duration::from_micros(us);
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}
