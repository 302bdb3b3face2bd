//! How long the engine alone keeps a sound: no network, no device, packets of 20 ms, in virtual
//! time. By impulse: from a click's place in what is written to its place in what is read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/line.rs"]
mod line;

use line::{Line, address};
use subrosa::media::codec::CodecId;
use subrosa::media::session::{Channel, MAX_TRANSMIT, MediaSession, Payload};
use subrosa::time::{Duration, Instant};

/// One packet after the other.
const FRAME_MS: f64 = 20.0;
/// A click comes every two seconds; these are measured, when the call has settled.
const CLICKS: std::ops::Range<usize> = 4..7;

fn pair(codec: CodecId, rate: u32) -> [MediaSession; 2] {
    let payload_type = codec.description().static_payload_type.unwrap_or(111);
    let payload = Payload { payload_type, codec };
    Line::new(payload, |_, config| (config.write_rate, config.read_rate) = (rate, rate)).ends
}

/// The longest delay of either way in ms, from the last sample that fills a packet: the host writes
/// and reads `block_us` at once, and reads `phase_us` after it wrote.
fn delay_ms(codec: CodecId, block_us: u64, phase_us: u64) -> f64 {
    let rate = codec.description().sample_rate.min(16_000);
    let mut ends = pair(codec, rate);
    let block = (u64::from(rate) * block_us / 1_000_000) as usize;
    let every = rate as usize * 2;
    let burst: Vec<i16> = (0..rate as usize / 250)
        .map(|n| {
            ((n as f64 * 1_000.0 / f64::from(rate) * std::f64::consts::TAU).sin() * 16e3) as i16
        })
        .collect();
    let (mut said, mut heard) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut now = Instant::from_millis(1_000);
    let mut buffer = [0; MAX_TRANSMIT];
    while said.len() < CLICKS.end * every + rate as usize {
        let from = said.len();
        said.extend((from..from + block).map(|n| {
            let at = n % every;
            burst.get(at).copied().unwrap_or((n * 7_919 % 13) as i16 - 6)
        }));
        for side in 0..2 {
            ends[side].write_pcm(now, &said[from..]).unwrap();
            ends[side].handle_timeout(now);
            while let Some(t) = ends[side].poll_transmit(now, &mut buffer).unwrap() {
                let (channel, mut bytes): (Channel, _) = (t.channel, t.packet.bytes().to_vec());
                ends[1 - side].handle_datagram(now, channel, &mut bytes, address(side));
            }
        }
        for (end, heard) in ends.iter_mut().zip(&mut heard) {
            let mut pcm = vec![0; block];
            end.read_pcm(now + Duration::from_micros(phase_us), &mut pcm).unwrap();
            heard.extend(pcm);
        }
        now += Duration::from_micros(block_us);
    }
    let worst = heard.iter().flat_map(|heard| {
        let (burst, rate) = (&burst, rate as usize);
        CLICKS.map(move |n| {
            let likeness = |at: &usize| -> i64 {
                let there = heard[*at..].iter();
                burst.iter().zip(there).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum()
            };
            let place = (n * every..n * every + rate / 2).max_by_key(likeness).unwrap();
            place - n * every
        })
    });
    // A block that is written at a time has been spoken until then; one that is read is heard from
    // then on.
    let between = (block_us + phase_us) as f64 / 1e3;
    worst.max().unwrap() as f64 * 1e3 / f64::from(rate) + between
}

#[test]
fn the_engine_alone_adds_little_to_a_packet_and_what_the_codec_looks_ahead() {
    // G.722's filters: 22 samples. Opus: 6.5 ms (RFC 6716 §2).
    for (codec, own_ms) in [(CodecId::Pcmu, 0.0), (CodecId::G722, 1.4), (CodecId::Opus, 6.5)] {
        if codec.encoder().is_none() {
            continue;
        }
        // 2.5 ms, in whole blocks of the host.
        for (block_us, added_ms) in [(1_000, 3.0), (2_500, 2.5), (5_000, 5.0)] {
            let ms = delay_ms(codec, block_us, 0);
            println!("{codec:?}, blocks of {block_us} us: {ms:.1} ms");
            assert!(ms <= FRAME_MS + added_ms + own_ms + 0.2, "{codec:?} {block_us}: {ms}");
        }
        // A host with longer blocks waits for one of them at most beside that.
        for (block_us, phase_us) in [(10_000, 0), (10_000, 6_000), (20_000, 0), (20_000, 7_000)] {
            let ms = delay_ms(codec, block_us, phase_us);
            println!("{codec:?}, blocks of {block_us} us, read after {phase_us}: {ms:.1} ms");
            let most = FRAME_MS + 2.5 + own_ms + block_us as f64 / 1e3 + 0.2;
            assert!(ms <= most, "{codec:?} {block_us} {phase_us}: {ms}");
        }
    }
}
