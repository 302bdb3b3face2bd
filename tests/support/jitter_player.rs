//! A receiver that plays a trace of arrivals through the jitter buffer as a session does: G.711,
//! concealment, time scaling, a host that reads 10 ms at once.
#![allow(dead_code, unreachable_pub)]

use super::jitter_trace::{Arrival, PTIME_MS, TRANSIT_US, sent_us};
use subrosa::media::codec::{Decoder, Encoder, G711, Law};
use subrosa::media::conceal::{Conceal, PitchRepeat};
use subrosa::media::jitter::{Adjust, JitterBuffer, JitterConfig, JitterStats, Packet, Playout};
use subrosa::media::timescale::{OverlapAdd, TimeScale};
use subrosa::time::{Duration, Instant};

/// Samples of a packet.
pub const FRAME: usize = 8 * PTIME_MS as usize;
/// The host reads at this distance.
const READ_US: u64 = 10_000;
const BLOCK: Duration = Duration::from_micros(READ_US);
/// The receiver's clock begins here.
const EPOCH_US: u64 = 1_000_000;

/// What was heard.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// For each packet that was played: when it was sent, and by how much its playing began
    /// later than it could have with the fastest packet, both in ms.
    pub delays: Vec<(f64, f64)>,
    /// Audio that was made up, in ms.
    pub concealed_ms: f64,
    /// Times that making up began.
    pub events: u32,
    /// Audio left out and put in by time scaling, in ms.
    pub shrunk_ms: f64,
    pub stretched_ms: f64,
    pub stats: JitterStats,
    pub heard: Vec<i16>,
}

impl Outcome {
    /// Mean of the delays of what was sent between two times in ms.
    pub fn mean_delay(&self, from_ms: f64, to_ms: f64) -> f64 {
        let of: Vec<_> = self.delays.iter().filter(|d| d.0 >= from_ms && d.0 < to_ms).collect();
        of.iter().map(|d| d.1).sum::<f64>() / of.len().max(1) as f64
    }

    pub fn mean(&self) -> f64 {
        self.mean_delay(0.0, f64::MAX)
    }
}

/// The payloads of speech, 20 ms each, over and over.
pub fn payloads(speech: &[i16], packets: u32) -> Vec<[u8; FRAME]> {
    let frames = speech.len() / FRAME;
    let mut encoder = G711::new(Law::Mu);
    let mut all = Vec::new();
    for n in 0..packets as usize {
        let mut payload = [0xff; FRAME];
        if let Some(at) = n.checked_rem(frames) {
            encoder.encode(&speech[at * FRAME..(at + 1) * FRAME], &mut payload).unwrap();
        }
        all.push(payload);
    }
    all
}

/// Plays a trace to its end.
pub fn play(arrivals: &[Arrival], payloads: &[[u8; FRAME]]) -> Outcome {
    let mut buffer = JitterBuffer::new(JitterConfig::new(8_000));
    let (mut decoder, mut conceal) = (G711::new(Law::Mu), PitchRepeat::new(8_000));
    let mut scale = OverlapAdd::new(8_000);
    let mut out = Outcome::default();
    let (mut arrivals, end) = (arrivals.iter().peekable(), arrivals.last().map_or(0, |a| a.at_us));
    let mut pcm = vec![0i16; 4_000];
    let mut ready = 0;
    let mut concealing = false;
    for tick in 0.. {
        let at = tick * READ_US;
        if at > end {
            break;
        }
        while let Some(Arrival { at_us, packet: n }) = arrivals.next_if(|a| a.at_us <= at) {
            let packet = Packet {
                sequence: (*n as u16).wrapping_add(65_000),
                timestamp: n * FRAME as u32,
                payload_type: 0,
                ticks: FRAME as u32,
                payload: &payloads[*n as usize],
            };
            buffer.insert(Instant::from_micros(EPOCH_US + at_us), packet);
        }
        let now = Instant::from_micros(EPOCH_US + at);
        let want = (READ_US / 125) as usize;
        while ready < want {
            let (len, missing) =
                match buffer.pop_within(now, BLOCK, Duration::from_micros(ready as u64 * 125)) {
                    Playout::Frame { payload, adjust, timestamp, .. } => {
                        let sent = sent_us(timestamp / FRAME as u32);
                        let plays = at + ready as u64 * 125;
                        let delay = plays as f64 - (sent + TRANSIT_US) as f64;
                        out.delays.push((sent as f64 / 1e3, delay / 1e3));
                        let len = decoder.decode(payload, &mut pcm).unwrap();
                        conceal.good(&mut pcm[..len]);
                        let scaled = match adjust {
                            Adjust::ShrinkInQuiet(_) if !scale.is_quiet(&pcm[..len]) => len,
                            Adjust::Shrink(by) | Adjust::ShrinkInQuiet(by) => {
                                scale.shrink(&mut pcm, len, by)
                            }
                            Adjust::Grow(by) => scale.grow(&mut pcm, len, by),
                            _ => len,
                        };
                        out.shrunk_ms += len.saturating_sub(scaled) as f64 / 8.0;
                        out.stretched_ms += scaled.saturating_sub(len) as f64 / 8.0;
                        (scaled, false)
                    }
                    Playout::Missing { ticks, .. } => {
                        let len = ticks as usize;
                        conceal.conceal(&mut pcm[..len]);
                        out.concealed_ms += len as f64 / 8.0;
                        out.events += u32::from(!concealing);
                        (len, true)
                    }
                    Playout::Waiting { ticks } => {
                        conceal.pause(&mut pcm[..ticks as usize]);
                        (ticks as usize, false)
                    }
                };
            scale.heard(&pcm[..len]);
            concealing = missing;
            out.heard.extend_from_slice(&pcm[..len]);
            ready += len;
        }
        ready -= want;
    }
    out.stats = buffer.stats();
    out
}
