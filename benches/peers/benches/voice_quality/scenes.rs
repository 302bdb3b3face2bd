//! Voice processing on the clips: an echo in a room, both talking at once, noise behind a voice.

#[allow(unused)]
#[path = "../../../../tests/support/voice.rs"]
mod voice;

use crate::files::Folder;
use subrosa::media::dsp::{Processing, ProcessingConfig};
use subrosa::media::wav::Wav;
use voice::{
    BLOCK, RATE, Scene, at_level, db, erle, fan, mix, power, room, si_sdr, to_float, to_pcm,
};

const ECHO: ProcessingConfig =
    ProcessingConfig { echo_cancellation: true, ..ProcessingConfig::OFF };
const NOISE: ProcessingConfig =
    ProcessingConfig { noise_suppression: true, ..ProcessingConfig::OFF };
/// Speech over noise.
const SNR_DB: f64 = 10.0;

/// The speech of a clip without the silence around it.
fn said(wav: &Wav) -> Vec<f32> {
    to_float(&wav.samples[RATE / 2..RATE / 2 + 8 * RATE])
}

/// Facts on echo, and recordings of noise before and after for PESQ.
pub fn play(folder: &Folder, facts: &mut Vec<(String, f64)>) {
    let clips = folder.clips(RATE as u32);
    let speech: Vec<_> = clips.iter().map(|(_, wav)| said(wav)).collect();
    echo(&speech, facts);
    for (number, (name, _)) in clips.iter().enumerate() {
        let voice = at_level(&speech[number], -26.0);
        let others: Vec<_> =
            (1..clips.len()).map(|n| &speech[(number + n) % clips.len()]).collect();
        let babble = others.iter().fold(vec![0.0; voice.len()], |sum, x| mix(&sum, x));
        for (kind, noise) in [("babble", babble), ("fan", fan(5, voice.len()))] {
            let level = db(power(&voice)) - db(32_768f64.powi(2)) - SNR_DB;
            // Two seconds of noise alone come first, so that it can be learnt.
            let lead: Vec<f32> = noise[..2 * RATE].to_vec();
            let noise = at_level(&[lead, noise].concat(), level);
            let clean = [vec![0.0; 2 * RATE], voice.clone()].concat();
            let noisy = mix(&clean, &noise);
            let mut out = to_pcm(&noisy);
            let mut processing = Processing::new(RATE as u32, RATE as u32, NOISE).unwrap();
            out.chunks_exact_mut(BLOCK).for_each(|block| {
                processing.process_capture(block);
            });
            for (part, pcm) in [("clean", to_pcm(&clean)), ("noisy", to_pcm(&noisy)), ("out", out)]
            {
                let wav = Wav { sample_rate: RATE as u32, samples: pcm[2 * RATE..].to_vec() };
                folder.sound(&format!("noise/{kind}/{name}.{part}"), &wav);
            }
        }
    }
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
