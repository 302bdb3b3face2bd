//! What Opus asks of the allocator for each packet: libopus nothing; the backend in Rust alone
//! nothing for a packet that came, and a few times, counted here, for a frame that is sent and for
//! one that is lost.
#![cfg(any(feature = "opus", feature = "libopus"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/sound.rs"]
mod sound;

use counting::allocations;
use sound::speech;
use subrosa::media::codec::{EncoderTuning, MAX_PAYLOAD, OpusBackend};

/// The most allocations of one frame after the first half second: encoded, decoded, concealed,
/// recovered from the next packet.
fn most(backend: OpusBackend, rate: u32, tuning: &EncoderTuning) -> [u64; 4] {
    let mut encoder = backend.encoder(rate).unwrap();
    encoder.tune(tuning);
    let mut decoder = backend.decoder(rate).unwrap();
    let frame = rate as usize / 50;
    let said = [speech(rate), vec![0; frame * 50], speech(rate)].concat();
    let (mut payload, mut pcm) = ([0; MAX_PAYLOAD], vec![0; frame]);
    let mut most = [0; 4];
    let mut count = |kind: usize, tick: usize, run: &mut dyn FnMut()| {
        let before = allocations();
        run();
        if tick >= 25 {
            most[kind] = most[kind].max(allocations() - before);
        }
    };
    for (tick, said) in said.chunks_exact(frame).enumerate() {
        let mut len = 0;
        count(0, tick, &mut || len = encoder.encode(said, &mut payload).unwrap());
        let packet = &payload[..len];
        match tick % 10 {
            7 => count(2, tick, &mut || assert!(decoder.conceal(None, &mut pcm))),
            8 => {
                let next = Some(packet).filter(|p| !p.is_empty());
                count(3, tick, &mut || assert!(decoder.conceal(next, &mut pcm)));
            }
            _ if len > 0 => {
                count(1, tick, &mut || assert_eq!(decoder.decode(packet, &mut pcm), Ok(frame)));
            }
            _ => {}
        }
    }
    most
}

#[test]
fn each_backend_allocates_no_more_than_is_said_of_it() {
    for backend in OpusBackend::AVAILABLE {
        for rate in [8_000, 16_000, 48_000] {
            for (dtx, loss) in [(false, 0), (true, 20)] {
                let mut tuning = EncoderTuning::default();
                (tuning.dtx, tuning.expected_loss_percent) = (dtx, loss);
                // Measured: SILK alone takes 3 to encode, SILK and CELT together 8.
                let bound = match (backend, rate) {
                    (OpusBackend::Libopus, _) => [0; 4],
                    (_, 48_000) => [8, 0, 4, 4],
                    _ => [3, 0, 4, 4],
                };
                let most = most(*backend, rate, &tuning);
                let within = most.iter().zip(bound).all(|(most, bound)| *most <= bound);
                assert!(within, "{backend:?} at {rate} Hz, {tuning:?}: {most:?}, not {bound:?}");
            }
        }
    }
}
