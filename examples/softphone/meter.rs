//! How loud it is: levels of what is spoken and heard, for the live line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use subrosa::driver::{AudioSink, AudioSource};

/// Levels from quiet to loud, and the peak sample from which each is shown.
const STEPS: [(u32, char); 8] = [
    (0, '▁'),
    (100, '▂'),
    (400, '▃'),
    (1_200, '▄'),
    (3_000, '▅'),
    (6_000, '▆'),
    (12_000, '▇'),
    (20_000, '█'),
];

/// The two directions.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) spoken: Meter,
    pub(crate) heard: Meter,
}

/// The peak of late, shared with the driver's thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<AtomicU32>);

impl Meter {
    fn note(&self, pcm: &[i16]) {
        let peak = pcm.iter().map(|s| u32::from(s.unsigned_abs())).max().unwrap_or(0);
        // Falls slowly, so that the eye can follow.
        let faded = self.0.load(Ordering::Relaxed).saturating_mul(7) / 8;
        self.0.store(peak.max(faded), Ordering::Relaxed);
    }

    /// The level as one character.
    pub(crate) fn level(&self) -> char {
        let peak = self.0.load(Ordering::Relaxed);
        STEPS.iter().rev().find(|(from, _)| peak >= *from).map_or(' ', |(_, step)| *step)
    }

    /// `source`, measured.
    pub(crate) fn source<S: AudioSource>(&self, source: S) -> Metered<S> {
        Metered { inner: source, meter: self.clone() }
    }

    /// `sink`, measured.
    pub(crate) fn sink<S: AudioSink>(&self, sink: S) -> Metered<S> {
        Metered { inner: sink, meter: self.clone() }
    }
}

/// A source or sink with its meter.
#[derive(Debug)]
pub(crate) struct Metered<T> {
    inner: T,
    meter: Meter,
}

impl<T: AudioSource> AudioSource for Metered<T> {
    fn read(&mut self, pcm: &mut [i16]) {
        self.inner.read(pcm);
        self.meter.note(pcm);
    }
}

impl<T: AudioSink> AudioSink for Metered<T> {
    fn write(&mut self, pcm: &[i16]) {
        self.meter.note(pcm);
        self.inner.write(pcm);
    }
}
