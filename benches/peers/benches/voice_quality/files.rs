//! The folder that the bench works in: clips in; recordings, packets, traces and facts out.

use crate::call::Heard;
use crate::trace::Arrival;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use subrosa::media::wav::Wav;

pub struct Folder(PathBuf);

impl Folder {
    pub fn new(root: &Path) -> Self {
        Self(root.to_path_buf())
    }

    /// The clips at this rate by name, in order.
    pub fn clips(&self, rate: u32) -> Vec<(String, Wav)> {
        self.sounds(&format!("clips/{rate}"))
    }

    /// The recordings of a folder by name, in order.
    pub fn sounds(&self, folder: &str) -> Vec<(String, Wav)> {
        let mut clips: Vec<_> = fs::read_dir(self.0.join(folder))
            .expect("no clips: run benches/voice_quality/run.sh, which fetches them")
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "wav"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                (name, Wav::parse(&fs::read(&path).unwrap()).unwrap())
            })
            .collect();
        clips.sort_by(|a, b| a.0.cmp(&b.0));
        clips
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn sound(&self, path: &str, wav: &Wav) {
        self.write(&format!("{path}.wav"), &wav.to_bytes());
    }

    pub fn trace(&self, network: &str, clip: &str, arrivals: &[Arrival]) {
        let mut text = String::from("at_us,packet\n");
        for arrival in arrivals {
            writeln!(text, "{},{}", arrival.at_us, arrival.packet).unwrap();
        }
        self.write(&format!("trace/{network}/{clip}.csv"), text.as_bytes());
    }

    /// What was heard, the receiver's state over time, and the payloads, each after its length.
    pub fn heard(&self, codec: &str, network: &str, clip: &str, rate: u32, heard: &Heard) {
        let path = format!("ours/{codec}/{network}/{clip}");
        let wav = Wav { sample_rate: rate, samples: heard.pcm.clone() };
        self.sound(&path, &wav);
        let mut text = String::from("at_ms,level_ms,target_ms,concealed,lost,mos\n");
        for m in &heard.moments {
            let (at, level, target) = (m.at_ms, m.level_ms, m.target_ms);
            writeln!(
                text,
                "{at:.1},{level:.1},{target:.1},{},{},{:.3}",
                m.concealed, m.lost, m.mos
            )
            .unwrap();
        }
        self.write(&format!("{path}.csv"), text.as_bytes());
        let mut packets = Vec::new();
        for payload in &heard.payloads {
            packets.extend((payload.len() as u16).to_be_bytes());
            packets.extend(payload);
        }
        self.write(&format!("{path}.packets"), &packets);
    }

    pub fn facts(&self, facts: &[(String, f64)]) {
        let lines: Vec<_> = facts.iter().map(|(k, v)| format!("  \"{k}\": {v:.6}")).collect();
        self.write("facts.json", format!("{{\n{}\n}}\n", lines.join(",\n")).as_bytes());
    }
}
