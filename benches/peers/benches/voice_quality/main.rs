//! The voice path on real speech: recordings, packet traces and facts for
//! `benches/voice_quality/run.sh`, which has peers play the same traces, measures and tells.
//! Argument: the folder with `clips/`.
#![allow(missing_docs)]

mod call;
mod cost;
mod files;
mod netq;
mod noise;
#[path = "../voice_processing/others.rs"]
mod others;
mod scenes;
#[path = "../../../../tests/support/jitter_trace.rs"]
mod trace;
#[allow(unused)]
#[path = "../../../../tests/support/voice.rs"]
mod voice;

use call::Setup;
use files::Folder;
use std::path::PathBuf;
use subrosa::media::codec::OpusBackend;
use subrosa::media::dsp::ProcessingConfig;
use subrosa::media::wav::Wav;
use trace::{PROFILES, Profile};

#[global_allocator]
static ALLOCATOR: cost::Counting = cost::Counting;

const CODECS: [&str; 3] = ["PCMU", "G722", "opus"];

/// The codec, by its name in SDP, of the comparison of jitter buffers.
const JITTER_CODEC: &str = "PCMU";
/// Its networks, and the longer recording that is played over them.
const JITTER_NETWORKS: [&str; 2] = ["P5", "P6"];
const LONG: &str = "long";
/// Printed when all but this comparison, which takes its real time, is written.
const RECORDED: &str = "recorded";

fn main() {
    let root = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let root = PathBuf::from(root.expect("give the folder that has clips/"));
    let folder = Folder::new(&root);
    let mut facts = Vec::new();
    for name in CODECS {
        match Setup::named(name) {
            Some(setup) => measure(&folder, name, setup, &mut facts),
            None => println!("{name}: not in this build"),
        }
    }
    scenes::play(&folder, &mut facts);
    noise::play(&folder);
    println!("{RECORDED}");
    jitter(&folder, &mut facts);
    folder.facts(&facts);
}

/// The networks that are measured, by name. What a codec does alone is heard over one that does
/// nothing at all; clips of some seconds meet a spike after three of them.
fn networks() -> impl Iterator<Item = (&'static str, Profile)> {
    PROFILES.into_iter().map(|(name, profile)| match profile {
        Profile::Clean => (name, Profile::Still),
        Profile::Spikes(_) => (name, Profile::Spikes(Some(150))),
        other => (name, other),
    })
}

/// All clips over all networks, then the cost and the delay of the engine alone.
fn measure(folder: &Folder, name: &str, setup: Setup, facts: &mut Vec<(String, f64)>) {
    let clips = folder.clips(setup.rate);
    for (network, profile) in networks() {
        let setup = Setup { expected_loss: profile.loss_percent(), ..setup };
        for (number, (clip, wav)) in clips.iter().enumerate() {
            let arrivals = trace::trace(profile, packets(wav), 100 + number as u64);
            let heard = call::talk(setup, &wav.samples, &arrivals, number as u64);
            folder.trace(network, clip, &arrivals);
            folder.heard(name, network, clip, setup.rate, &heard);
        }
    }
    let (share, allocations) = cost::share_of_core(setup, &clips[0].1.samples);
    let processed = Setup { processing: ProcessingConfig::VOICE, ..setup };
    let (with_processing, _) = cost::share_of_core(processed, &clips[0].1.samples);
    let reference = Setup { backend: OpusBackend::Libopus, ..setup };
    let (of_reference, _) = cost::share_of_core(reference, &clips[0].1.samples);
    let delay = cost::delay_ms(setup);
    println!("{name}: {share:.3} % of a core, {allocations} allocations, {delay:.1} ms");
    facts.push((format!("cpu_percent_{name}"), share));
    facts.push((format!("cpu_percent_libopus_{name}"), of_reference));
    facts.push((format!("cpu_percent_processed_{name}"), with_processing));
    facts.push((format!("allocations_per_1000_{name}"), allocations));
    facts.push((format!("delay_ms_{name}"), delay));
}

fn packets(wav: &Wav) -> u32 {
    (wav.samples.len() / (wav.sample_rate as usize / 50)) as u32
}

/// All clips in a row with our jitter buffer, and with that of crate `neteq` on the same traces.
fn jitter(folder: &Folder, facts: &mut Vec<(String, f64)>) {
    let setup = Setup::named(JITTER_CODEC).expect("G.711 is always there");
    let all = folder.clips(setup.rate).into_iter().flat_map(|(_, wav)| wav.samples).collect();
    let wav = Wav { sample_rate: setup.rate, samples: all };
    folder.sound(&format!("long/{}", setup.rate), &wav);
    std::thread::scope(|threads| {
        let mut peers = Vec::new();
        for (network, profile) in networks() {
            if !JITTER_NETWORKS.contains(&network) {
                continue;
            }
            let arrivals = trace::trace(profile, packets(&wav), 99);
            let heard = call::talk(setup, &wav.samples, &arrivals, 99);
            folder.trace(network, LONG, &arrivals);
            folder.heard(JITTER_CODEC, network, LONG, setup.rate, &heard);
            let concealed = heard.moments.last().map_or(0, |m| m.concealed) as f64;
            facts.push((format!("concealed_ms_{network}_ours"), concealed * 20.0));
            let payloads = heard.payloads;
            peers.push((network, threads.spawn(move || netq::play(&payloads, &arrivals))));
        }
        for (network, peer) in peers {
            let played = peer.join().expect("neteq plays to its end");
            let wav = Wav { sample_rate: setup.rate, samples: played.pcm };
            folder.sound(&format!("neteq/{JITTER_CODEC}/{network}/{LONG}"), &wav);
            facts.push((format!("concealed_ms_{network}_neteq"), played.concealed_ms));
        }
    });
}
