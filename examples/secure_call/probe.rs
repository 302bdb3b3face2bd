//! The ends of the call's audio, watched: what went in and came out, and exactly when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use subrosa::driver::{AudioSink, AudioSource, Player, WavRecorder};

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
