//! Opus payloads of a peer: `samples` says how long each is, `decode` gives as much or refuses, and
//! what is missing is concealed, whatever came before.
//!
//! The first byte chooses the rate; then each payload has two bytes of length, of which the upper
//! bits say what is done with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::media::codec::{CodecError, MAX_FRAME_SAMPLES, OpusBackend};

fuzz_target!(|data: &[u8]| {
    let Some((first, payloads)) = data.split_first() else { return };
    let rate = [8_000, 12_000, 16_000, 24_000, 48_000][usize::from(first % 5)];
    for backend in OpusBackend::AVAILABLE {
        let mut decoder = backend.decoder(rate).expect("the rate is one of Opus");
        let (mut pcm, mut rest) = (vec![0; MAX_FRAME_SAMPLES], payloads);
        while let [a, b, after @ ..] = rest {
            let len = (usize::from(a & 0x07) << 8 | usize::from(*b)).min(after.len());
            let (payload, after) = after.split_at(len);
            rest = after;
            let samples = decoder.samples(payload);
            if let Ok(n) = samples {
                assert!(n > 0 && n <= rate as usize * 120 / 1_000);
            }
            // A gap of some length before it, recovered from it or not.
            let gap = usize::from(a >> 3 & 0x07) * rate as usize / 150;
            let next = (a & 0x40 != 0).then_some(payload);
            assert!(decoder.conceal(next, &mut pcm[..gap]));
            if a & 0x80 == 0 {
                match decoder.decode(payload, &mut pcm) {
                    Ok(n) => assert_eq!(Ok(n), samples),
                    Err(error) => assert_eq!(error, CodecError::BadPayload),
                }
            }
        }
    }
});
