//! Recorded speech for tests.
#![allow(unreachable_pub)]

use subrosa::media::resample::Resampler;
use subrosa::media::wav::Wav;

/// Three seconds of a reader's voice at this rate.
pub fn speech(rate: u32) -> Vec<i16> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/speech/sense_and_sensibility_01_austen_64kb-0880.wav"
    );
    let wav = Wav::parse(&std::fs::read(file).unwrap()).unwrap();
    let mut out = Vec::new();
    let mut resampler = Resampler::new(wav.sample_rate, rate).unwrap();
    resampler.process(&wav.samples, |samples| out.extend_from_slice(samples));
    out
}
