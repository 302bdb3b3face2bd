//! The time that the copy of `opus-pure` in `vendor/` takes beside the published crate. Both do each
//! frame one after the other, in many turns; of each frame the shortest time counts, so that what
//! else the machine does falls out.

use std::time::Instant;
use subrosa_peers::opus::{patched, published, sounds};

/// Turns of the whole recording; `OPUS_COPY_TURNS` says another number.
const TURNS: usize = 30;

/// Runs it; what it gave, and the shorter of `best` and its time.
fn timed<T>(best: &mut f64, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    *best = best.min(start.elapsed().as_secs_f64());
    result
}

fn main() {
    let turns = std::env::var("OPUS_COPY_TURNS").ok().and_then(|n| n.parse().ok()).unwrap_or(TURNS);
    let sounds = &sounds()[..160_000];
    println!(
        "{:36}{:>18}{:>18}{:>18}",
        "µs a frame, published; ratio to it", "encode", "decode", "half lost"
    );
    for (name, rate, bitrate, complexity, voice) in [
        ("SILK 8 kHz, 12 kbit/s, complexity 8", 8_000, 12_000, 8, true),
        ("SILK 16 kHz, 24 kbit/s, 8", 16_000, 24_000, 8, true),
        ("SILK 16 kHz, 24 kbit/s, 0", 16_000, 24_000, 0, true),
        ("hybrid 48 kHz, 32 kbit/s, 8", 48_000, 32_000, 8, true),
        ("CELT 48 kHz, 64 kbit/s, 8", 48_000, 64_000, 8, false),
        ("CELT 48 kHz, 128 kbit/s, 10", 48_000, 128_000, 10, false),
    ] {
        let frame = rate as usize / 50;
        // Of each frame and side: encode, decode, decode or conceal.
        let mut best = vec![[[f64::MAX; 3]; 2]; sounds.len() / frame];
        for turn in 0..turns {
            let new = || {
                (
                    published::Stream::new(rate, bitrate, complexity, voice),
                    patched::Stream::new(rate, bitrate, complexity, voice),
                )
            };
            let ((mut was, mut now), (mut was_lossy, mut now_lossy)) = (new(), new());
            for (i, (said, best)) in sounds.chunks_exact(frame).zip(&mut best).enumerate() {
                let lost = i % 10 < 5;
                // Each goes first in every other turn.
                for side in [turn % 2, 1 - turn % 2] {
                    let [encode, decode, lossy] = &mut best[side];
                    let packet = match side {
                        0 => timed(encode, || was.encode(said)).to_vec(),
                        _ => timed(encode, || now.encode(said)).to_vec(),
                    };
                    let heard = if lost { &[][..] } else { &packet };
                    match side {
                        0 => {
                            timed(decode, || was.decode(&packet).len());
                            timed(lossy, || was_lossy.decode(heard).len());
                        }
                        _ => {
                            timed(decode, || now.decode(&packet).len());
                            timed(lossy, || now_lossy.decode(heard).len());
                        }
                    }
                }
            }
        }
        let sum = |side: usize, kind: usize| best.iter().map(|b| b[side][kind]).sum::<f64>();
        let cells = (0..3).map(|kind| {
            let micros = sum(0, kind) * 1e6 / best.len() as f64;
            format!("{micros:10.1} {:7.3}", sum(1, kind) / sum(0, kind))
        });
        println!("{name:36}{}", cells.collect::<String>());
    }
}
