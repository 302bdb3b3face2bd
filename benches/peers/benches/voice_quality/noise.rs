//! Noise behind a voice: recordings of what our noise suppression and others make of it, for PESQ.

use crate::files::Folder;
use crate::others::{Nnnoiseless, Own, Peer, Sonora, Task};
use crate::scenes::said;
use crate::voice::{BLOCK, RATE, at_level, db, fan, mix, power, to_pcm};
use subrosa::media::dsp::ProcessingConfig;
use subrosa::media::wav::Wav;

const NOISE: ProcessingConfig =
    ProcessingConfig { noise_suppression: true, ..ProcessingConfig::OFF };
/// Speech over noise.
const SNR_DB: f64 = 10.0;
/// Noise alone comes first, so that it can be learnt.
const LEAD: usize = 2 * RATE;

fn suppressors() -> [(&'static str, Box<dyn Peer>); 3] {
    [
        ("ours", Box::new(Own::new(NOISE))),
        ("sonora", Box::new(Sonora::new(Task::Noise))),
        ("rnnoise", Box::new(Nnnoiseless::new())),
    ]
}

/// The clips of the calls, each before all the others and before a fan; and those that nothing was
/// ever tuned on, before four to seven of the others and another fan.
pub fn play(folder: &Folder) {
    let clips = folder.clips(RATE as u32);
    let others = folder.sounds("other");
    for (clips, set, fan_seed) in [(&clips, "", 5), (&others, "other-", 6)] {
        let speech: Vec<_> = clips.iter().map(|(_, wav)| said(wav)).collect();
        for (number, (name, _)) in clips.iter().enumerate() {
            let voice = at_level(&speech[number], -26.0);
            let crowd = if set.is_empty() { clips.len() - 1 } else { 4 + number % 4 };
            let babble = (1..=crowd)
                .map(|n| &speech[(number + n) % clips.len()])
                .fold(vec![0.0; voice.len()], |sum, x| mix(&sum, x));
            for (kind, noise) in [("babble", babble), ("fan", fan(fan_seed, voice.len()))] {
                before(folder, &format!("noise/{set}{kind}/{name}"), &voice, &noise);
            }
        }
    }
}

/// Leaves `path`.clean.wav, .noisy.wav and what each suppressor makes of it.
fn before(folder: &Folder, path: &str, voice: &[f32], noise: &[f32]) {
    let level = db(power(voice)) - db(32_768f64.powi(2)) - SNR_DB;
    let noise = at_level(&[&noise[..LEAD], noise].concat(), level);
    let clean = [&vec![0.0; LEAD], voice].concat();
    let noisy = to_pcm(&mix(&clean, &noise));
    let leave = |part: &str, pcm: &[i16]| {
        let wav = Wav { sample_rate: RATE as u32, samples: pcm[LEAD..].to_vec() };
        folder.sound(&format!("{path}.{part}"), &wav);
    };
    leave("clean", &to_pcm(&clean));
    leave("noisy", &noisy);
    for (name, mut suppressor) in suppressors() {
        let mut out = noisy.clone();
        out.chunks_exact_mut(BLOCK).for_each(|block| suppressor.block(&[0; BLOCK], block));
        leave(name, &out);
    }
}
