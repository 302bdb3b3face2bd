//! From a microphone's clock to the call's: the callback feeds a ring, the call's tick reads it
//! through a resampler that follows the device's clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::crossing::Crossing;
use super::fade::{fade_in, fade_out};
use super::ring::{Heartbeat, Reader, Stamp, Writer, ring};
use super::{CAPTURE_MARGIN, PAUSE_SECONDS, RING_SECONDS, StreamStats};
use crate::media::resample::UnsupportedRate;
use crate::time::Instant;

/// What both ends know.
#[derive(Debug, Default)]
struct Shared {
    stamp: Stamp,
    /// The most samples that one callback brought.
    burst: AtomicUsize,
}

/// The callback's end.
#[derive(Debug)]
pub(super) struct CaptureFeed {
    writer: Writer,
    shared: Arc<Shared>,
    heartbeat: Heartbeat,
}

impl CaptureFeed {
    /// The device brings samples, mono at its own rate.
    pub(super) fn feed(&mut self, now: Instant, samples: impl Iterator<Item = i16>) {
        let count = self.writer.push(samples);
        self.shared.burst.fetch_max(count, Ordering::Relaxed);
        self.shared.stamp.set(now, self.writer.position());
        self.heartbeat.beat();
    }
}

/// The call's end.
#[derive(Debug)]
pub(super) struct Capture {
    reader: Reader,
    shared: Arc<Shared>,
    crossing: Crossing,
    /// What the resampler takes at a time.
    chunk: Vec<i16>,
    /// What came out of it and was not read yet.
    ready: VecDeque<i16>,
    /// There was enough in store to begin with.
    running: bool,
    /// It begins with the next samples.
    begins: bool,
    last: i16,
}

/// Both ends for a device at `device_rate` Hz and a call at `call_rate` Hz.
pub(super) fn capture(
    device_rate: u32,
    call_rate: u32,
) -> Result<(CaptureFeed, Capture), UnsupportedRate> {
    let heartbeat = Heartbeat::default();
    let crossing = Crossing::new((device_rate, call_rate), heartbeat.clone(), CAPTURE_MARGIN)?;
    let (writer, reader) = ring(device_rate as usize * RING_SECONDS);
    let shared = Arc::new(Shared::default());
    let feed = CaptureFeed { writer, shared: Arc::clone(&shared), heartbeat };
    let capture = Capture {
        reader,
        shared,
        chunk: Vec::with_capacity(crossing.resampler.room()),
        crossing,
        ready: VecDeque::with_capacity(call_rate as usize / 10),
        running: false,
        begins: false,
        last: 0,
    };
    Ok((feed, capture))
}

impl Capture {
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.crossing.heartbeat()
    }

    /// The correction of now, in ppm of the device's clock.
    #[cfg(test)]
    pub(super) fn correction_ppm(&self) -> f32 {
        self.crossing.correction_ppm()
    }

    pub(super) fn stats(&self) -> StreamStats {
        self.crossing.stats()
    }

    fn device_rate(&self) -> f64 {
        f64::from(self.crossing.resampler.input_rate())
    }

    fn call_seconds(&self, samples: usize) -> f64 {
        samples as f64 / f64::from(self.crossing.resampler.output_rate())
    }

    /// What is to be in store after a reading, in seconds: a device that brings samples in bursts
    /// leaves us alone for the length of one.
    fn target(&self) -> f64 {
        self.crossing.margin()
            + self.shared.burst.load(Ordering::Relaxed) as f64 / self.device_rate()
    }

    /// What there must be before `wanted` samples are read for the first time, in samples of the
    /// device; `None` before its first callback.
    fn needed(&self, wanted: usize) -> Option<usize> {
        let known = self.shared.burst.load(Ordering::Relaxed) > 0;
        let seconds = self.target() + self.call_seconds(wanted);
        known.then_some((seconds * self.device_rate()) as usize)
    }

    /// True if `wanted` samples can be read, and more after that.
    pub(super) fn is_ready(&self, wanted: usize) -> bool {
        self.running || self.needed(wanted).is_some_and(|needed| self.reader.len() >= needed)
    }

    /// It takes over from another device, whose listener wants to hear what is in store.
    pub(super) fn adopt(&mut self, now: Instant) {
        self.crossing.tick(now);
    }

    /// Fills `pcm`, with silence where there is nothing.
    pub(super) fn read(&mut self, now: Instant, pcm: &mut [i16]) {
        let elapsed = self.crossing.tick(now);
        if elapsed.is_none_or(|elapsed| elapsed > PAUSE_SECONDS) {
            // Nobody listened: what is in store was not said to whoever listens now.
            self.reader.skip(usize::MAX);
            self.running = false;
        }
        if !self.running && !self.start(pcm.len()) {
            pcm.fill(0);
            return;
        }
        let there = self.take(pcm);
        if std::mem::take(&mut self.begins) {
            fade_in(pcm);
        }
        if there < pcm.len() {
            fade_out(self.last, pcm.get_mut(there..).unwrap_or_default());
            self.running = false;
            self.crossing.ran_dry();
        }
        self.last = pcm.last().copied().unwrap_or(self.last);
        if self.running {
            self.follow(now, elapsed.unwrap_or(0.0));
        }
    }

    /// Begins, if there is enough in store; what is more than that is old.
    fn start(&mut self, wanted: usize) -> bool {
        let stored = self.reader.len();
        let Some(needed) = self.needed(wanted).filter(|needed| stored >= *needed) else {
            return false;
        };
        self.reader.skip(stored.saturating_sub(needed));
        self.ready.clear();
        self.crossing.resampler.reset();
        self.crossing.restart();
        (self.running, self.begins) = (true, true);
        true
    }

    /// Fills `pcm` as far as there is something; returns how far.
    fn take(&mut self, pcm: &mut [i16]) -> usize {
        while self.ready.len() < pcm.len() {
            let wanted = self.crossing.resampler.room();
            if self.reader.len() < wanted {
                break;
            }
            self.chunk.clear();
            let (chunk, ready) = (&mut self.chunk, &mut self.ready);
            self.reader.take(wanted, |sample| chunk.push(sample));
            self.crossing.resampler.process(chunk, |block| ready.extend(block));
        }
        let there = self.ready.len().min(pcm.len());
        for (out, sample) in pcm.iter_mut().zip(self.ready.drain(..there)) {
            *out = sample;
            self.last = sample;
        }
        there
    }

    /// Keeps the store at its target.
    fn follow(&mut self, now: Instant, elapsed: f64) {
        let rate = self.device_rate();
        let stored = self.shared.stamp.ahead_of(now, self.reader.position(), rate) / rate;
        let stored = stored + self.call_seconds(self.ready.len());
        if let Some(excess) = self.crossing.follow(stored, self.target(), elapsed) {
            // Samples that came in one heap after a pause of the device: that is delay, no drift.
            self.reader.skip((excess * rate) as usize);
            self.crossing.restart();
        }
    }
}
