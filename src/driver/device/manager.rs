//! The handle to both devices, and the thread that looks after them: it opens and closes them,
//! never in a callback, never on the call's thread.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::player::Player;
use super::port::{DeviceSink, DeviceSource, Ports};
use super::selection::Selection;
use super::streams::{System, list};
use super::{DeviceDirection, DeviceError, DeviceEvent, DeviceInfo, EchoMeasurement, StreamStats};
use crate::driver::clock::Clock;
use crate::driver::queue::EventQueue;
use crate::media::level::Level;
use crate::media::resample::{SUPPORTED_RATES, UnsupportedRate};
use crate::media::tones::{Tone, TonePlayer};
use crate::time::{Duration, Instant};

/// Messages that wait for the thread at most.
const MAX_MESSAGES: usize = 64;

/// What the thread is asked, or told.
pub(super) enum Message {
    Choose(DeviceDirection, Option<String>, SyncSender<Result<(), DeviceError>>),
    InUse(DeviceDirection, SyncSender<Option<String>>),
    /// The stream of this generation cannot go on.
    Broken(DeviceDirection, u64),
    Stop,
}

/// A microphone and a loudspeaker, running as long as this value lives.
///
/// Either can be changed while calls use it, and a call goes on whatever happens to them: a device
/// that disappears gives way to the default one or to silence, and is used again when it is back.
/// [`AudioDevice::next_event`] tells of it.
pub struct AudioDevice {
    ports: Arc<Ports>,
    events: Arc<EventQueue<DeviceEvent>>,
    inbox: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
    clock: Clock,
    sample_rate: u32,
    /// What is played without a call.
    player: Mutex<Option<Player>>,
}

impl fmt::Debug for AudioDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AudioDevice");
        debug.field("sample_rate", &self.sample_rate).finish_non_exhaustive()
    }
}

impl AudioDevice {
    /// The microphones of the system.
    ///
    /// # Errors
    /// [`DeviceError::Refused`] if the system gives no list.
    pub fn microphones() -> Result<Vec<DeviceInfo>, DeviceError> {
        list(DeviceDirection::Input)
    }

    /// The loudspeakers of the system.
    ///
    /// # Errors
    /// [`DeviceError::Refused`] if the system gives no list.
    pub fn loudspeakers() -> Result<Vec<DeviceInfo>, DeviceError> {
        list(DeviceDirection::Output)
    }

    /// Opens the default microphone and loudspeaker and starts them, for calls of this sample rate
    /// (Hz); whatever the devices' own rates are, they are converted.
    ///
    /// # Errors
    /// [`DeviceError`] says which is missing or refused.
    pub fn open(sample_rate: u32) -> Result<Self, DeviceError> {
        Self::open_named(sample_rate, None, None)
    }

    /// Opens the devices with these ids, or with names that contain these words, and starts them.
    /// `None` is the default one.
    ///
    /// # Errors
    /// [`DeviceError`] says which is missing, unknown or refused.
    pub fn open_named(
        sample_rate: u32,
        microphone: Option<&str>,
        loudspeaker: Option<&str>,
    ) -> Result<Self, DeviceError> {
        if !SUPPORTED_RATES.contains(&sample_rate) {
            return Err(UnsupportedRate(sample_rate).into());
        }
        let clock = Clock::start();
        let ports = Arc::new(Ports::new(clock, sample_rate));
        let events = Arc::new(EventQueue::new());
        let (inbox, messages) = sync_channel(MAX_MESSAGES);
        let keeper = Keeper {
            clock,
            sample_rate,
            messages,
            notices: inbox.clone(),
            ports: Arc::clone(&ports),
            events: Arc::clone(&events),
        };
        let thread = std::thread::Builder::new().name("subrosa-audio".into());
        let thread = thread.spawn(move || keeper.run()).map_err(|_| DeviceError::Stopped)?;
        let thread = Some(thread);
        let player = Mutex::new(None);
        let device = Self { ports, events, inbox, thread, clock, sample_rate, player };
        device.choose(DeviceDirection::Input, microphone)?;
        device.choose(DeviceDirection::Output, loudspeaker)?;
        Ok(device)
    }

    fn ask<T>(&self, question: impl FnOnce(SyncSender<T>) -> Message) -> Result<T, DeviceError> {
        let (reply, answer) = sync_channel(1);
        self.inbox.send(question(reply)).map_err(|_| DeviceError::Stopped)?;
        answer.recv().map_err(|_| DeviceError::Stopped)
    }

    /// Uses the device with this id, or with a name that contains these words, from now on, also in
    /// the calls that run; `None` is the default one. The old device is used until the new one is
    /// ready. It stays chosen while it is away.
    ///
    /// # Errors
    /// [`DeviceError`] says why it cannot be used; the one before is used then.
    pub fn choose(
        &self,
        direction: DeviceDirection,
        name: Option<&str>,
    ) -> Result<(), DeviceError> {
        let name = name.map(str::to_owned);
        self.ask(|reply| Message::Choose(direction, name, reply))?
    }

    /// The id of the device in use; `None` is silence, because there is none.
    pub fn in_use(&self, direction: DeviceDirection) -> Option<String> {
        self.ask(|reply| Message::InUse(direction, reply)).unwrap_or(None)
    }

    /// What happened to the devices, if anything did.
    pub fn try_event(&self) -> Option<DeviceEvent> {
        self.events.try_pop()
    }

    /// What happened to the devices, waiting for it up to `timeout`.
    pub fn next_event(&self, timeout: Duration) -> Option<DeviceEvent> {
        self.events.pop(timeout)
    }

    /// How loud it is: what a call hears from the microphone, before any processing, or plays on
    /// the loudspeaker. Silence if no call uses it.
    pub fn level(&self, direction: DeviceDirection) -> Level {
        self.ports.level(self.clock.now(), direction)
    }

    /// How well the device and the call keep pace, since this value was made.
    pub fn stats(&self, direction: DeviceDirection) -> StreamStats {
        self.ports.stats(direction)
    }

    /// What the microphone hears: a call's source. One call has it at a time: the source that was
    /// made last.
    pub fn source(&self) -> DeviceSource {
        DeviceSource::new(&self.ports)
    }

    /// What the loudspeaker plays: a call's sink. One call has it at a time: the sink that was made
    /// last.
    pub fn sink(&self) -> DeviceSink {
        DeviceSink::new(&self.ports)
    }

    /// Plays a tone without a call, for so long, in place of what was played before. A call that
    /// begins meanwhile silences it.
    ///
    /// # Errors
    /// [`DeviceError::Tone`] if it is too loud, [`DeviceError::Stopped`] if there is no thread for
    /// it.
    pub fn play_tone(&self, tone: Tone, length: Duration) -> Result<(), DeviceError> {
        let tone = TonePlayer::new(tone, self.sample_rate)?;
        self.set_player(|clock, sink, rate| Player::tone(clock, sink, rate, tone, length))
    }

    /// An echo test without a call: the loudspeaker plays what the microphone heard so long ago (at
    /// most 10 s), until [`stop_playing`](Self::stop_playing). Use a headset, or it howls.
    ///
    /// # Errors
    /// [`DeviceError::Stopped`] if there is no thread for it.
    pub fn play_microphone(&self, delay: Duration) -> Result<(), DeviceError> {
        let source = self.source();
        self.set_player(|clock, sink, rate| Player::microphone(clock, source, sink, rate, delay))
    }

    fn set_player(
        &self,
        make: impl FnOnce(Clock, DeviceSink, u32) -> std::io::Result<Player>,
    ) -> Result<(), DeviceError> {
        self.stop_playing();
        let player = make(self.clock, self.sink(), self.sample_rate);
        let player = player.map_err(|_| DeviceError::Stopped)?;
        *self.player.lock().unwrap_or_else(PoisonError::into_inner) = Some(player);
        Ok(())
    }

    /// Ends what is played without a call.
    pub fn stop_playing(&self) {
        drop(self.player.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// True while something is played without a call.
    pub fn is_playing(&self) -> bool {
        let player = self.player.lock().unwrap_or_else(PoisonError::into_inner);
        player.as_ref().is_some_and(Player::is_playing)
    }

    /// An echo test without a call: sends short sweeps of sound out of the loudspeaker and looks
    /// for them in what the microphone hears. It takes some seconds and returns then.
    ///
    /// # Errors
    /// [`DeviceError::Stopped`] if a call took the loudspeaker meanwhile.
    pub fn measure_echo(&self) -> Result<EchoMeasurement, DeviceError> {
        self.stop_playing();
        super::player::measure(self.clock, self.source(), self.sink(), self.sample_rate)
            .ok_or(DeviceError::Stopped)
    }
}

impl Drop for AudioDevice {
    fn drop(&mut self) {
        self.stop_playing();
        // A thread that is gone needs no word.
        drop(self.inbox.send(Message::Stop));
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was printed by the thread.
            drop(thread.join());
        }
    }
}

/// What the thread has.
struct Keeper {
    clock: Clock,
    sample_rate: u32,
    messages: Receiver<Message>,
    notices: SyncSender<Message>,
    ports: Arc<Ports>,
    events: Arc<EventQueue<DeviceEvent>>,
}

impl Keeper {
    fn run(self) {
        let Self { clock, sample_rate, messages, notices, ports, events } = self;
        let system = System::new(clock, sample_rate, notices);
        let mut selection = Selection::new(clock.now(), system, ports, Arc::clone(&events));
        loop {
            let patience = selection.next_timeout().duration_since(clock.now());
            let message = messages.recv_timeout(patience);
            let now: Instant = clock.now();
            match message {
                Ok(Message::Choose(direction, name, reply)) => {
                    // The asker waits for exactly this; if it is gone, so is its interest.
                    drop(reply.send(selection.choose(now, direction, name.as_deref())));
                }
                Ok(Message::InUse(direction, reply)) => {
                    drop(reply.send(selection.in_use(direction)));
                }
                Ok(Message::Broken(direction, generation)) => {
                    selection.broken(now, direction, generation);
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if selection.next_timeout() <= now {
                selection.poll(now);
            }
        }
        events.close();
    }
}
