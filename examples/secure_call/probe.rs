//! The ends of the call's audio, watched: what went in and came out, and exactly when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use subrosa::driver::{AudioSink, AudioSource, Player, WavRecorder};

/// Samples that the level is computed over at least (100 ms).
const LEVEL_WINDOW: usize = 1_600;

/// What a probe has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// When the first sample passed.
    pub(crate) started: Option<Instant>,
    /// All samples.
    pub(crate) pcm: Vec<i16>,
}

/// Shared with the driver's thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(Arc<Mutex<Seen>>);

impl Probe {
    fn note(&self, pcm: &[i16]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.started.get_or_insert_with(Instant::now);
        seen.pcm.extend_from_slice(pcm);
    }

    /// Takes what was seen.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The level of the latest 100 ms, dB relative to full scale; `None` for digital silence.
    pub(crate) fn level(&self) -> Option<f64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = seen.pcm.get(seen.pcm.len().saturating_sub(LEVEL_WINDOW)..)?;
        let power: f64 = latest.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum();
        (power > 0.0).then(|| 10.0 * (power / latest.len() as f64).log10())
    }
}

/// A player under observation.
pub(crate) struct Spoken {
    pub(crate) player: Player,
    pub(crate) probe: Probe,
}

impl AudioSource for Spoken {
    fn read(&mut self, pcm: &mut [i16]) {
        self.player.read(pcm);
        self.probe.note(pcm);
    }
}

/// A recorder under observation.
pub(crate) struct Heard {
    pub(crate) recorder: WavRecorder,
    pub(crate) probe: Probe,
}

impl AudioSink for Heard {
    fn write(&mut self, pcm: &[i16]) {
        self.probe.note(pcm);
        self.recorder.write(pcm);
    }
}
