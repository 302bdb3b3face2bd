//! Which devices are used: those that were chosen, while they are there; else the system's
//! default; else none. What changes is told. Nothing here knows what a device is.

use std::sync::Arc;

use super::port::{Bridge, Ports};
use super::ring::Heartbeat;
use super::{DeviceDirection, DeviceError, DeviceEvent};
use crate::driver::queue::EventQueue;
use crate::time::{Duration, Instant};

/// The first attempt to open a device that is gone comes after this; the next ones take twice as
/// long each, up to the second.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(4);
/// How often the system is asked which devices there are.
const LIST_INTERVAL: Duration = Duration::from_secs(2);
/// A device whose callback does not come for so long is gone, whatever it says.
const STALL: Duration = Duration::from_secs(5);
/// A stream that breaks may do so for reasons of its own: its device is opened again at once, so
/// often within this time.
const MAX_RESTARTS: u32 = 3;
const RESTART_WINDOW: Duration = Duration::from_secs(10);
/// How long a device that was replaced runs on, until the new one is heard.
const HANDOVER: Duration = Duration::from_millis(400);

/// A device that runs.
#[derive(Debug)]
pub(super) struct Opened<S> {
    /// What the system calls it.
    pub(super) id: String,
    /// Dropped to stop it.
    pub(super) stream: S,
    pub(super) bridge: Bridge,
    pub(super) heartbeat: Heartbeat,
}

/// The system's devices.
pub(super) trait Backend {
    /// A device that runs until this is dropped.
    type Stream;

    /// The ids of all devices that are there.
    fn ids(&mut self) -> Vec<String>;

    /// The id of the system's default device.
    fn default_id(&mut self, direction: DeviceDirection) -> Option<String>;

    /// The id of the one device with this id, or whose name has these words.
    fn resolve(&mut self, direction: DeviceDirection, name: &str) -> Result<String, DeviceError>;

    /// Opens the device of this id, `None` is the default one, and starts it. If it breaks, that is
    /// told with `generation`.
    fn open(
        &mut self,
        direction: DeviceDirection,
        id: Option<&str>,
        generation: u64,
    ) -> Result<Opened<Self::Stream>, DeviceError>;
}

#[derive(Debug)]
struct InUse<S> {
    id: String,
    generation: u64,
    /// It is not the chosen one.
    is_replacement: bool,
    heartbeat: Heartbeat,
    beats: u64,
    beat_at: Instant,
    stream: S,
}

#[derive(Debug)]
struct Slot<S> {
    /// The chosen device; `None`: the system's default.
    chosen: Option<String>,
    in_use: Option<InUse<S>>,
    retry_at: Option<Instant>,
    retry_after: Duration,
    /// Restarts of late, and since when they are counted.
    restarts: u32,
    restarts_since: Instant,
}

impl<S> Slot<S> {
    const fn new() -> Self {
        Self {
            chosen: None,
            in_use: None,
            retry_at: None,
            retry_after: FIRST_RETRY,
            restarts: 0,
            restarts_since: Instant::ZERO,
        }
    }

    /// True if a broken stream may be opened again at once.
    fn may_restart(&mut self, now: Instant) -> bool {
        if now.duration_since(self.restarts_since) > RESTART_WINDOW {
            (self.restarts, self.restarts_since) = (0, now);
        }
        self.restarts = self.restarts.saturating_add(1);
        self.restarts <= MAX_RESTARTS
    }

    fn retry_later(&mut self, now: Instant) {
        self.retry_at = Some(now + self.retry_after);
        self.retry_after = (self.retry_after * 2).min(LAST_RETRY);
    }

    fn found(&mut self) {
        (self.retry_at, self.retry_after) = (None, FIRST_RETRY);
    }
}

/// Both devices.
#[derive(Debug)]
pub(super) struct Selection<B: Backend> {
    backend: B,
    ports: Arc<Ports>,
    events: Arc<EventQueue<DeviceEvent>>,
    slots: [Slot<B::Stream>; 2],
    /// Devices that were replaced, and until when they run.
    retiring: Vec<(Instant, B::Stream)>,
    known: Vec<String>,
    list_at: Instant,
    generation: u64,
}

impl<B: Backend> Selection<B> {
    pub(super) fn new(
        now: Instant,
        mut backend: B,
        ports: Arc<Ports>,
        events: Arc<EventQueue<DeviceEvent>>,
    ) -> Self {
        let known = backend.ids();
        let slots = [Slot::new(), Slot::new()];
        let (retiring, list_at) = (Vec::new(), now + LIST_INTERVAL);
        Self { backend, ports, events, slots, retiring, known, list_at, generation: 0 }
    }

    fn slot(&mut self, direction: DeviceDirection) -> &mut Slot<B::Stream> {
        let [input, output] = &mut self.slots;
        match direction {
            DeviceDirection::Input => input,
            DeviceDirection::Output => output,
        }
    }

    /// The id of the device in use; `None` is silence.
    pub(super) fn in_use(&mut self, direction: DeviceDirection) -> Option<String> {
        self.slot(direction).in_use.as_ref().map(|in_use| in_use.id.clone())
    }

    /// Uses the device of this id or with these words in its name from now on; `None` is the
    /// default one. If it cannot be used, all stays as it is.
    pub(super) fn choose(
        &mut self,
        now: Instant,
        direction: DeviceDirection,
        name: Option<&str>,
    ) -> Result<(), DeviceError> {
        let id = name.map(|name| self.backend.resolve(direction, name)).transpose()?;
        match self.take_into_use(now, direction, id.as_deref(), false) {
            // It may be that the device in use is the same by another name.
            Err(DeviceError::Busy(_)) if self.slot(direction).in_use.is_some() => {
                self.exchange(now, direction, id.as_deref())?;
            }
            outcome => outcome?,
        }
        let slot = self.slot(direction);
        slot.chosen = id;
        slot.found();
        Ok(())
    }

    /// Lets go of the device in use before another is opened, and takes it back if that fails.
    fn exchange(
        &mut self,
        now: Instant,
        direction: DeviceDirection,
        id: Option<&str>,
    ) -> Result<(), DeviceError> {
        let Some(old) = self.slot(direction).in_use.take() else { return Ok(()) };
        let (old_id, was_replacement) = (old.id, old.is_replacement);
        self.ports.remove(direction);
        drop(old.stream);
        let outcome = self.take_into_use(now, direction, id, false);
        if outcome.is_err()
            && self.take_into_use(now, direction, Some(&old_id), was_replacement).is_err()
        {
            self.lost(now, direction, old_id);
        }
        outcome
    }

    fn take_into_use(
        &mut self,
        now: Instant,
        direction: DeviceDirection,
        id: Option<&str>,
        is_replacement: bool,
    ) -> Result<(), DeviceError> {
        self.generation = self.generation.saturating_add(1);
        let generation = self.generation;
        let Opened { id, stream, bridge, heartbeat } =
            self.backend.open(direction, id, generation)?;
        self.ports.install(now, bridge);
        let (beats, beat_at) = (heartbeat.count(), now);
        let in_use = InUse { id, generation, is_replacement, heartbeat, beats, beat_at, stream };
        if let Some(old) = self.slot(direction).in_use.replace(in_use) {
            self.retiring.push((now + HANDOVER, old.stream));
        }
        Ok(())
    }

    /// A stream says that it cannot go on. Its device may still be there.
    pub(super) fn broken(&mut self, now: Instant, direction: DeviceDirection, generation: u64) {
        let slot = self.slot(direction);
        let gone = slot.in_use.take_if(|in_use| in_use.generation == generation);
        let Some(InUse { id, is_replacement, stream, .. }) = gone else { return };
        let may_restart = slot.may_restart(now);
        // The default one may be another by now: that is told.
        let default = slot.chosen.is_none() || is_replacement;
        self.ports.remove(direction);
        drop(stream);
        let again = (!default).then_some(id.as_str());
        if may_restart
            && self.take_into_use(now, direction, again, is_replacement).is_ok()
            && self.in_use(direction).as_ref() == Some(&id)
        {
            self.ports.note_restart(direction);
        } else {
            self.lost(now, direction, id);
        }
    }

    /// A device is gone: another is taken, and it is told.
    fn lost(&mut self, now: Instant, direction: DeviceDirection, id: String) {
        // The system may have another default by now, also if the default one is gone.
        let is_replacement = self.slot(direction).chosen.is_some();
        if self.slot(direction).in_use.is_none() {
            // Whatever the reason is, there is silence then.
            drop(self.take_into_use(now, direction, None, is_replacement));
        }
        let replacement = self.in_use(direction);
        let slot = self.slot(direction);
        if is_replacement || replacement.is_none() {
            slot.retry_later(now);
        }
        self.events.push(DeviceEvent::Lost { direction, id, replacement });
    }

    /// What the clock brings: retries, the list, stalls. Call it at [`next_timeout`].
    ///
    /// [`next_timeout`]: Self::next_timeout
    pub(super) fn poll(&mut self, now: Instant) {
        self.retiring.retain(|(until, _)| *until > now);
        if self.list_at <= now {
            self.list_at = now + LIST_INTERVAL;
            self.look_at_list(now);
            self.follow_default(now, DeviceDirection::Input);
            self.follow_default(now, DeviceDirection::Output);
        }
        for direction in [DeviceDirection::Input, DeviceDirection::Output] {
            self.notice_stall(now, direction);
            if self.slot(direction).retry_at.is_some_and(|at| at <= now) {
                self.retry(now, direction);
            }
        }
    }

    /// When [`poll`](Self::poll) is due.
    pub(super) fn next_timeout(&self) -> Instant {
        let retries = self.slots.iter().filter_map(|slot| slot.retry_at);
        let retiring = self.retiring.iter().map(|(until, _)| *until);
        retries.chain(retiring).min().unwrap_or(Instant::MAX).min(self.list_at)
    }

    /// Devices were connected or disconnected: it is told, and what is missing may be there.
    fn look_at_list(&mut self, now: Instant) {
        let known = self.backend.ids();
        if known != self.known {
            self.known = known;
            for slot in &mut self.slots {
                if slot.retry_at.is_some() {
                    (slot.retry_at, slot.retry_after) = (Some(now), FIRST_RETRY);
                }
            }
            self.events.push(DeviceEvent::ListChanged);
        }
    }

    /// Who uses the default device uses what the system makes the default one.
    fn follow_default(&mut self, now: Instant, direction: DeviceDirection) {
        let default = self.backend.default_id(direction);
        let slot = self.slot(direction);
        let Some(in_use) = &slot.in_use else { return };
        let (chosen, is_replacement) = (slot.chosen.is_some(), in_use.is_replacement);
        let is_default = default.is_none() || default.as_ref() == Some(&in_use.id);
        if (!chosen || is_replacement)
            && !is_default
            && self.take_into_use(now, direction, None, is_replacement).is_ok()
            && let Some(id) = self.in_use(direction)
        {
            self.events.push(DeviceEvent::Replaced { direction, id });
        }
    }

    fn notice_stall(&mut self, now: Instant, direction: DeviceDirection) {
        let Some(in_use) = &mut self.slot(direction).in_use else { return };
        let beats = in_use.heartbeat.count();
        if beats != in_use.beats {
            (in_use.beats, in_use.beat_at) = (beats, now);
        } else if now.duration_since(in_use.beat_at) > STALL {
            let generation = in_use.generation;
            self.broken(now, direction, generation);
        }
    }

    /// Looks for the chosen device again, and for any if there is none.
    fn retry(&mut self, now: Instant, direction: DeviceDirection) {
        let chosen = self.slot(direction).chosen.clone();
        if self.take_into_use(now, direction, chosen.as_deref(), false).is_ok() {
            self.slot(direction).found();
            if let Some(id) = self.in_use(direction) {
                self.events.push(DeviceEvent::Restored { direction, id });
            }
            return;
        }
        self.slot(direction).retry_later(now);
        let silent = self.slot(direction).in_use.is_none();
        if silent
            && chosen.is_some()
            && self.take_into_use(now, direction, None, true).is_ok()
            && let Some(id) = self.in_use(direction)
        {
            self.events.push(DeviceEvent::Replaced { direction, id });
        }
    }
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
