//! Voice processing on the clips: an echo in a room, both talking at once.

use crate::files::Folder;
use crate::voice::{RATE, Scene, at_level, erle, room, si_sdr, to_float};
use subrosa::media::dsp::{Processing, ProcessingConfig};
use subrosa::media::wav::Wav;


const ECHO: ProcessingConfig =
    ProcessingConfig { echo_cancellation: true, ..ProcessingConfig::OFF };

/// The speech of a clip without the silence around it.
pub fn said(wav: &Wav) -> Vec<f32> {
    to_float(&wav.samples[RATE / 2..RATE / 2 + 8 * RATE])
}

/// Facts on echo.
pub fn play(folder: &Folder, facts: &mut Vec<(String, f64)>) {
    let clips = folder.clips(RATE as u32);
    let speech: Vec<_> = clips.iter().map(|(_, wav)| said(wav)).collect();
    echo(&speech, facts);
}

/// The mean over all pairs of a clip and the next.
fn echo(speech: &[Vec<f32>], facts: &mut Vec<(String, f64)>) {
    let (mut sums, mut raw) = ([0.0; 4], 0.0);
    for (number, far) in speech.iter().enumerate() {
        let h = room(7 + number as u64, 4.0, 60.0);
        for (place, clip) in [(0, false), (1, true)] {
            let scene = Scene::new(far.clone(), vec![], &h, clip, -29.0);
            sums[place] += erle(&scene.mic, &through(&scene), 3.0, 8.0);
        }
        let mut near = vec![0.0; far.len()];
        let other = &speech[(number + 1) % speech.len()];
        near[3 * RATE..6 * RATE].copy_from_slice(&at_level(&other[..3 * RATE], -23.0));
        let scene = Scene::new(far.clone(), near, &h, false, -31.5);
        let out = through(&scene);
        let span = 3 * RATE..6 * RATE;
        let (sdr, gain) = si_sdr(&scene.near[span.clone()], &out[span.clone()]);
        raw += si_sdr(&scene.near[span.clone()], &scene.mic[span]).0;
        sums[2] += sdr;
        sums[3] += gain;
    }
    let names = ["erle_db", "erle_clipped_db", "double_talk_si_sdr_db", "double_talk_gain_db"];
    let n = speech.len() as f64;
    facts.extend(names.iter().zip(sums).map(|(name, sum)| ((*name).to_string(), sum / n)));
    facts.push(("double_talk_raw_si_sdr_db".into(), raw / n));
}

fn through(scene: &Scene) -> Vec<f32> {
    let mut processing = Processing::new(RATE as u32, RATE as u32, ECHO).unwrap();
    scene.run(|render, capture| {
        processing.process_render(render);
        processing.process_capture(capture);
    })
}
