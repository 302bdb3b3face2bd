//! From the call's clock to a loudspeaker's: the call's tick writes through a resampler that
//! follows the device's clock into a ring, the callback empties it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::crossing::Crossing;
use super::fade::Fade;
use super::ring::{Heartbeat, Reader, Stamp, Writer, ring};
use super::{PAUSE_SECONDS, PLAYOUT_MARGIN, RING_SECONDS, StreamStats};
use crate::media::resample::UnsupportedRate;
use crate::time::Instant;

/// What a tick brings, in parts of a second.
const TICKS_PER_SECOND: usize = 50;

/// What both ends know.
#[derive(Debug, Default)]
struct Shared {
    stamp: Stamp,
    /// Samples kept in store beside what the device takes at a time, against jitter.
    margin: AtomicUsize,
    /// The device plays what is in store.
    playing: AtomicBool,
    /// The store ran dry.
    dry: AtomicBool,
}

/// The callback's end.
#[derive(Debug)]
pub(super) struct PlayoutFeed {
    reader: Reader,
    shared: Arc<Shared>,
    heartbeat: Heartbeat,
    /// Samples of one tick of the call.
    tick: usize,
    playing: bool,
    fade: Fade,
}

impl PlayoutFeed {
    /// The device wants `count` samples, mono at its own rate: each goes to `put`.
    pub(super) fn pull(&mut self, now: Instant, count: usize, mut put: impl FnMut(i16)) {
        self.heartbeat.beat();
        let there = if self.playing || self.start(count) {
            let fade = &mut self.fade;
            let there = self.reader.take(count, |sample| put(fade.sound(sample)));
            self.shared.stamp.set(now, self.reader.position());
            self.shared.playing.store(true, Ordering::Release);
            there
        } else {
            0
        };
        if there < count {
            (there..count).for_each(|_| put(self.fade.silence()));
            if std::mem::take(&mut self.playing) {
                self.shared.playing.store(false, Ordering::Release);
                self.shared.dry.store(true, Ordering::Release);
            }
        }
    }

    /// Begins, if enough is in store; what is more than that is old.
    fn start(&mut self, count: usize) -> bool {
        let margin = self.shared.margin.load(Ordering::Relaxed);
        let needed = margin.saturating_add(self.tick).saturating_add(count);
        let stored = self.reader.len();
        self.playing = stored >= needed;
        if self.playing {
            self.reader.skip(stored.saturating_sub(needed));
        }
        self.playing
    }
}

/// The call's end.
#[derive(Debug)]
pub(super) struct Playout {
    writer: Writer,
    shared: Arc<Shared>,
    crossing: Crossing,
    /// It did play at the last writing.
    played: bool,
}

/// Both ends for a device at `device_rate` Hz and a call at `call_rate` Hz.
pub(super) fn playout(
    device_rate: u32,
    call_rate: u32,
) -> Result<(PlayoutFeed, Playout), UnsupportedRate> {
    let heartbeat = Heartbeat::default();
    let crossing = Crossing::new((call_rate, device_rate), heartbeat.clone(), PLAYOUT_MARGIN)?;
    let (writer, reader) = ring(device_rate as usize * RING_SECONDS);
    let shared = Arc::new(Shared::default());
    let feed = PlayoutFeed {
        reader,
        shared: Arc::clone(&shared),
        heartbeat,
        tick: device_rate as usize / TICKS_PER_SECOND,
        playing: false,
        fade: Fade::default(),
    };
    let playout = Playout { writer, shared, crossing, played: false };
    playout.tell_margin();
    Ok((feed, playout))
}

impl Playout {
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.crossing.heartbeat()
    }

    /// The correction of now, in ppm of the device's clock.
    #[cfg(test)]
    pub(super) fn correction_ppm(&self) -> f32 {
        -self.crossing.correction_ppm()
    }

    pub(super) fn stats(&self) -> StreamStats {
        let stats = self.crossing.stats();
        // A device that is faster empties the store.
        StreamStats { drift_ppm: -stats.drift_ppm, ..stats }
    }

    fn device_rate(&self) -> f64 {
        f64::from(self.crossing.resampler.output_rate())
    }

    /// Tells the callback's end how much is to be in store.
    fn tell_margin(&self) {
        let samples = (self.crossing.margin() * self.device_rate()) as usize;
        self.shared.margin.store(samples, Ordering::Relaxed);
    }

    /// Takes `pcm` to be played.
    pub(super) fn write(&mut self, now: Instant, pcm: &[i16]) {
        let elapsed = self.crossing.tick(now);
        let dry = self.shared.dry.swap(false, Ordering::Acquire);
        // After a pause nobody wonders that it ran dry.
        if dry && elapsed.is_some_and(|elapsed| elapsed <= PAUSE_SECONDS) {
            self.crossing.ran_dry();
            self.tell_margin();
        }
        let playing = self.shared.playing.load(Ordering::Acquire);
        if playing && !std::mem::replace(&mut self.played, playing) {
            self.crossing.restart();
        }
        self.played = playing;
        if playing && !self.follow(now, elapsed.unwrap_or(0.0)) {
            return;
        }
        let (writer, mut missing) = (&mut self.writer, 0);
        self.crossing.resampler.process(pcm, |block| {
            missing += block.len().saturating_sub(writer.push(block.iter().copied()));
        });
        if playing && missing > 0 {
            self.crossing.ran_over();
        }
    }

    /// Keeps the store at its margin; false if there is far too much in it.
    fn follow(&mut self, now: Instant, elapsed: f64) -> bool {
        let rate = self.device_rate();
        let stored = -self.shared.stamp.ahead_of(now, self.writer.position(), rate) / rate;
        let resampler = &self.crossing.resampler;
        let waiting = resampler.waiting() as f64 / f64::from(resampler.input_rate());
        // Until the next writing the device takes what a tick brings; half of that is the middle.
        let target = self.crossing.margin() + 0.5 / TICKS_PER_SECOND as f64;
        self.crossing.follow(stored + waiting, target, elapsed).is_none()
    }
}
