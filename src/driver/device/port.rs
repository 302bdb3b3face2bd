//! Where a call meets the devices: its source and its sink stay the same while the devices behind
//! them come, go and change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::capture::Capture;
use super::fade::{cross_fade, fade_in, fade_out};
use super::playout::Playout;
use super::{DeviceDirection, PAUSE_SECONDS, StreamStats};
use crate::driver::audio::{AudioSink, AudioSource};
use crate::driver::clock::Clock;
use crate::media::dsp::ProcessingConfig;
use crate::media::level::{Level, LevelMeter};
use crate::time::Instant;

/// One device's end for the call.
#[derive(Debug)]
pub(super) enum Bridge {
    Capture(Capture),
    Playout(Playout),
}

/// What both kinds of bridges have.
trait End {
    fn stats(&self) -> StreamStats;
}

impl End for Capture {
    fn stats(&self) -> StreamStats {
        Self::stats(self)
    }
}

impl End for Playout {
    fn stats(&self) -> StreamStats {
        Self::stats(self)
    }
}

/// Both ports. The locks are between the call's thread and the one that looks after the devices,
/// which holds them for a moment when a device changes; no callback knows them.
#[derive(Debug)]
pub(super) struct Ports {
    clock: Clock,
    microphone: Mutex<Port<Capture>>,
    loudspeaker: Mutex<Port<Playout>>,
}

#[derive(Debug)]
struct Port<B> {
    current: Option<B>,
    /// A device that takes over as soon as it can.
    next: Option<B>,
    /// The source or sink that was made last: older ones are let go.
    owner: u64,
    used_at: Option<Instant>,
    scratch: Vec<i16>,
    meter: LevelMeter,
    /// The figures of devices that were in use before.
    before: StreamStats,
}

impl<B: End> Port<B> {
    fn new(call_rate: u32) -> Self {
        Self {
            current: None,
            next: None,
            owner: 0,
            used_at: None,
            scratch: Vec::new(),
            meter: LevelMeter::new(call_rate),
            before: StreamStats::default(),
        }
    }

    /// A call reads or writes.
    fn is_used(&self, now: Instant) -> bool {
        self.used_at.is_some_and(|at| now.duration_since(at).as_secs_f64() <= PAUSE_SECONDS)
    }

    /// A device to be used from now on.
    fn install(&mut self, now: Instant, bridge: B) {
        if self.current.is_some() && self.is_used(now) {
            self.next = Some(bridge);
        } else {
            self.next = None;
            self.change(Some(bridge));
        }
    }

    /// Another device, or none; the figures of the one before are kept.
    fn change(&mut self, to: Option<B>) {
        self.before = self.stats();
        self.current = to;
    }

    /// The figures of this device and of those before; drift and delay are of this one alone.
    fn stats(&self) -> StreamStats {
        let (before, now) =
            (self.before, self.current.as_ref().map(End::stats).unwrap_or_default());
        StreamStats {
            underruns: before.underruns.saturating_add(now.underruns),
            overruns: before.overruns.saturating_add(now.overruns),
            xruns: before.xruns.saturating_add(now.xruns),
            restarts: before.restarts,
            ..now
        }
    }

    fn own(&mut self) -> u64 {
        self.owner = self.owner.saturating_add(1);
        self.owner
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ports {
    pub(super) fn new(clock: Clock, call_rate: u32) -> Self {
        let (microphone, loudspeaker) = (Port::new(call_rate), Port::new(call_rate));
        Self { clock, microphone: microphone.into(), loudspeaker: loudspeaker.into() }
    }

    /// A device to be used from now on.
    pub(super) fn install(&self, now: Instant, bridge: Bridge) {
        match bridge {
            Bridge::Capture(capture) => {
                lock(&self.microphone).install(now, capture);
            }
            Bridge::Playout(playout) => {
                lock(&self.loudspeaker).install(now, playout);
            }
        }
    }

    /// The device is gone: silence, until another is installed.
    pub(super) fn remove(&self, direction: DeviceDirection) {
        match direction {
            DeviceDirection::Input => {
                let mut port = lock(&self.microphone);
                port.next = None;
                port.change(None);
            }
            DeviceDirection::Output => {
                let mut port = lock(&self.loudspeaker);
                port.next = None;
                port.change(None);
            }
        }
    }

    /// The stream broke, and the same device was opened again.
    pub(super) fn note_restart(&self, direction: DeviceDirection) {
        let count = |stats: &mut StreamStats| stats.restarts = stats.restarts.saturating_add(1);
        match direction {
            DeviceDirection::Input => count(&mut lock(&self.microphone).before),
            DeviceDirection::Output => count(&mut lock(&self.loudspeaker).before),
        }
    }

    pub(super) fn level(&self, now: Instant, direction: DeviceDirection) -> Level {
        match direction {
            DeviceDirection::Input => lock(&self.microphone).level(now),
            DeviceDirection::Output => lock(&self.loudspeaker).level(now),
        }
    }

    pub(super) fn stats(&self, direction: DeviceDirection) -> StreamStats {
        match direction {
            DeviceDirection::Input => lock(&self.microphone).stats(),
            DeviceDirection::Output => lock(&self.loudspeaker).stats(),
        }
    }

    fn read(&self, now: Instant, owner: u64, pcm: &mut [i16]) {
        let mut port = lock(&self.microphone);
        if port.owner == owner {
            port.read(now, pcm);
        } else {
            pcm.fill(0);
        }
    }

    fn write(&self, now: Instant, owner: u64, pcm: &[i16]) {
        let mut port = lock(&self.loudspeaker);
        if port.owner == owner {
            port.write(now, pcm);
        }
    }
}

impl<B: End> Port<B> {
    /// The level of late; silence if no call is there.
    fn level(&self, now: Instant) -> Level {
        if self.is_used(now) { self.meter.level() } else { Level::SILENCE }
    }
}

impl Port<Capture> {
    fn read(&mut self, now: Instant, pcm: &mut [i16]) {
        let used = self.is_used(now);
        self.used_at = Some(now);
        if self.current.is_none() {
            let next = self.next.take();
            self.change(next);
        }
        match &mut self.current {
            Some(capture) => capture.read(now, pcm),
            None => pcm.fill(0),
        }
        // The old device is heard until the new one has something to say.
        if let Some(mut next) = self.next.take_if(|next| !used || next.is_ready(pcm.len())) {
            next.adopt(now);
            self.scratch.clear();
            self.scratch.extend_from_slice(pcm);
            next.read(now, pcm);
            cross_fade(&self.scratch, pcm);
            self.change(Some(next));
        }
        self.meter.measure(pcm);
    }
}

impl Port<Playout> {
    fn write(&mut self, now: Instant, pcm: &[i16]) {
        self.used_at = Some(now);
        self.meter.measure(pcm);
        if let Some(mut next) = self.next.take() {
            self.scratch.clear();
            self.scratch.extend_from_slice(pcm);
            fade_in(&mut self.scratch);
            next.write(now, &self.scratch);
            if let Some(old) = &mut self.current {
                let last = pcm.first().copied().unwrap_or(0);
                fade_out(last, &mut self.scratch);
                old.write(now, &self.scratch);
            }
            self.change(Some(next));
        } else if let Some(playout) = &mut self.current {
            playout.write(now, pcm);
        }
    }
}

/// What the microphone hears, as a call's source. The one that was made last hears; those made
/// before it give silence from then on.
#[derive(Debug)]
pub struct DeviceSource {
    ports: Arc<Ports>,
    owner: u64,
}

impl DeviceSource {
    pub(super) fn new(ports: &Arc<Ports>) -> Self {
        let owner = lock(&ports.microphone).own();
        Self { ports: Arc::clone(ports), owner }
    }

    /// As [`AudioSource::read`], at this time.
    pub(super) fn read_at(&mut self, now: Instant, pcm: &mut [i16]) {
        self.ports.read(now, self.owner, pcm);
    }
}

impl AudioSource for DeviceSource {
    fn read(&mut self, pcm: &mut [i16]) {
        self.read_at(self.ports.clock.now(), pcm);
    }

    /// It comes from a microphone that nobody else processes.
    fn processing(&self) -> ProcessingConfig {
        ProcessingConfig::VOICE
    }
}

/// The loudspeaker, as a call's sink. The one that was made last is heard; those made before it
/// are silent from then on.
#[derive(Debug)]
pub struct DeviceSink {
    ports: Arc<Ports>,
    owner: u64,
}

impl DeviceSink {
    pub(super) fn new(ports: &Arc<Ports>) -> Self {
        let owner = lock(&ports.loudspeaker).own();
        Self { ports: Arc::clone(ports), owner }
    }

    /// As [`AudioSink::write`], at this time.
    pub(super) fn write_at(&mut self, now: Instant, pcm: &[i16]) {
        self.ports.write(now, self.owner, pcm);
    }

    /// True if this is the one that is heard.
    pub(super) fn is_heard(&self) -> bool {
        lock(&self.ports.loudspeaker).owner == self.owner
    }
}

impl AudioSink for DeviceSink {
    fn write(&mut self, pcm: &[i16]) {
        self.write_at(self.ports.clock.now(), pcm);
    }
}
