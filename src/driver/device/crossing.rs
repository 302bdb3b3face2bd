//! From one clock to another: what the call's ends of a [microphone's](super::capture) and a
//! [loudspeaker's](super::playout) bridge have in common.

use super::drift::DriftControl;
use super::ring::Heartbeat;
use super::{EXCESS_SECONDS, MARGIN_STEP, MAX_MARGIN, StreamStats};
use crate::media::resample::{AdaptiveResampler, UnsupportedRate};
use crate::time::{Duration, Instant};

/// A resampler that keeps the store between both clocks at its target.
#[derive(Debug)]
pub(super) struct Crossing {
    heartbeat: Heartbeat,
    pub(super) resampler: AdaptiveResampler,
    drift: DriftControl,
    /// The last tick of the call.
    ticked_at: Option<Instant>,
    /// Kept in store beside what the device takes or brings at a time, in seconds, against jitter.
    margin: f64,
    underruns: u64,
    overruns: u64,
    /// In store at the last tick, in seconds.
    delay: f64,
}

impl Crossing {
    /// From one rate to the other, both in Hz.
    pub(super) fn new(
        (from, to): (u32, u32),
        heartbeat: Heartbeat,
        margin: f64,
    ) -> Result<Self, UnsupportedRate> {
        Ok(Self {
            heartbeat,
            resampler: AdaptiveResampler::new(from, to)?,
            drift: DriftControl::default(),
            ticked_at: None,
            margin,
            underruns: 0,
            overruns: 0,
            delay: 0.0,
        })
    }

    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    pub(super) const fn margin(&self) -> f64 {
        self.margin
    }

    /// The call is there; returns the seconds since it was last.
    pub(super) fn tick(&mut self, now: Instant) -> Option<f64> {
        self.ticked_at.replace(now).map(|at| now.duration_since(at).as_secs_f64())
    }

    /// The store was filled anew.
    pub(super) fn restart(&mut self) {
        self.drift.restart();
    }

    /// The store ran dry: more is kept in it from now on.
    pub(super) fn ran_dry(&mut self) {
        self.underruns = self.underruns.saturating_add(1);
        self.margin = (self.margin + MARGIN_STEP).min(MAX_MARGIN);
    }

    /// More came than there is room for.
    pub(super) fn ran_over(&mut self) {
        self.overruns = self.overruns.saturating_add(1);
    }

    /// There are `stored` seconds in store and there should be `target`, `elapsed` seconds after
    /// the last tick. Returns how many are far too many to be jitter: they must be left out.
    pub(super) fn follow(&mut self, stored: f64, target: f64, elapsed: f64) -> Option<f64> {
        self.delay = stored;
        let error = stored - target;
        if error > EXCESS_SECONDS {
            self.ran_over();
            return Some(error);
        }
        let correction = self.drift.update(error, elapsed);
        self.resampler.set_correction(-correction);
        None
    }

    /// By how much the store must be emptied faster, in ppm.
    #[cfg(test)]
    pub(super) fn correction_ppm(&self) -> f32 {
        (self.drift.correction() * 1e6) as f32
    }

    /// The figures; the drift is that of a device that fills the store.
    pub(super) fn stats(&self) -> StreamStats {
        StreamStats {
            underruns: self.underruns,
            overruns: self.overruns,
            xruns: self.heartbeat.xruns(),
            restarts: 0,
            drift_ppm: self.drift.ppm(),
            delay: Duration::from_secs_f64(self.delay.clamp(0.0, 10.0)),
        }
    }
}
