//! Parts of the voice processing on their own, and how they are run on a scene.
#![allow(dead_code, unreachable_pub)]

use super::voice::{Scene, to_float, to_pcm};
use subrosa::media::dsp::{Processing, ProcessingConfig};

pub const ECHO: ProcessingConfig =
    ProcessingConfig { echo_cancellation: true, ..ProcessingConfig::OFF };
pub const NOISE: ProcessingConfig =
    ProcessingConfig { noise_suppression: true, ..ProcessingConfig::OFF };
pub const GAIN: ProcessingConfig = ProcessingConfig { gain_control: true, ..ProcessingConfig::OFF };
pub const HIGH_PASS: ProcessingConfig =
    ProcessingConfig { high_pass: true, ..ProcessingConfig::OFF };
pub const VOICE_ACTIVITY: ProcessingConfig =
    ProcessingConfig { voice_activity: true, ..ProcessingConfig::OFF };

pub fn processing(config: ProcessingConfig) -> Processing {
    Processing::new(16_000, 16_000, config).unwrap()
}

pub fn run(p: &mut Processing, scene: &Scene) -> Vec<f32> {
    scene.run(|render, capture| {
        p.process_render(render);
        p.process_capture(capture);
    })
}

/// Runs what no loudspeaker disturbs.
pub fn run_alone(p: &mut Processing, mic: &[f32]) -> Vec<f32> {
    let mut pcm = to_pcm(mic);
    p.process_capture(&mut pcm);
    to_float(&pcm)
}
