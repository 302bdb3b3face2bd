//! The jitter buffer under arbitrary arrivals and readings: every answer stands for some time, and
//! neither what waits nor the delay grows beyond its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::media::jitter::{JitterBuffer, JitterConfig, MAX_PACKETS, Packet, Playout};
use subrosa::time::{Duration, Instant};

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = data.split_first_chunk::<N>()?;
    *data = rest;
    Some(*first)
}

fn hundreds_of_us(n: u8) -> Duration {
    Duration::from_micros(u64::from(n) * 100)
}

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let Some([rate]) = take::<1>(&mut data) else { return };
    let clock_rate = [8_000, 16_000, 48_000, 90_000, 1, 0][usize::from(rate % 6)];
    let config = JitterConfig { max_payload: 400, ..JitterConfig::new(clock_rate) };
    let mut buffer = JitterBuffer::new(config);
    let payload = [0u8; 600];
    let (mut now, mut sequence, mut timestamp) = (0u64, 0u16, 0u32);
    let mut longest = 160u32;
    while let Some([what, a, b]) = take::<3>(&mut data) {
        now = now.wrapping_add(match what & 3 {
            0 => 0,
            1 => u64::from(a) * 100,
            2 => 20_000,
            _ => u64::from(a) << (b % 48),
        });
        let at = Instant::from_micros(now);
        match what >> 2 & 3 {
            0 | 1 => {
                let ticks = if what & 0x40 == 0 { 160 } else { u32::from(a) * u32::from(b) };
                (sequence, timestamp) = match what >> 4 & 3 {
                    0 | 1 => (sequence.wrapping_add(1), timestamp.wrapping_add(160)),
                    2 => (sequence.wrapping_add(a.into()).wrapping_sub(16), timestamp),
                    _ => (u16::from_be_bytes([a, b]), timestamp.wrapping_add(u32::from(b) << 24)),
                };
                longest = longest.max(ticks);
                let len = usize::from(a) * 2;
                let packet = Packet {
                    sequence,
                    timestamp,
                    payload_type: b & 0x7f,
                    ticks,
                    payload: &payload[..len],
                };
                buffer.insert(at, packet);
            }
            2 => match buffer.pop_within(at, hundreds_of_us(a), hundreds_of_us(b)) {
                Playout::Missing { ticks, .. } | Playout::Waiting { ticks } => assert!(ticks > 0),
                Playout::Frame { payload, .. } => assert!(payload.len() <= config.max_payload),
            },
            _ if what & 0xf0 == 0 => buffer.reset(),
            _ => {
                let target = buffer.target();
                assert!(target >= config.min_delay && target <= config.max_delay);
                let most = u64::from(longest) * MAX_PACKETS as u64 * 1_000_000;
                let most = most / u64::from(clock_rate.max(1));
                assert!(buffer.level() <= Duration::from_micros(most + 1));
            }
        }
    }
    // Whatever came before: once nothing comes any more, it plays out and then waits.
    let mut waits = false;
    for i in 0..200_000u64 {
        let at = Instant::from_micros(now.wrapping_add(i * 20_000));
        if matches!(buffer.pop(at), Playout::Waiting { .. }) {
            waits = true;
            break;
        }
    }
    assert!(waits, "it never ends: {:?}", buffer.stats());
});
