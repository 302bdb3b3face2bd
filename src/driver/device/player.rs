//! Sound without a call: a thread that keeps the call's pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::EchoMeasurement;
use super::echo::EchoProbe;
use super::port::{DeviceSink, DeviceSource};
use crate::driver::audio::{AudioSink, AudioSource};
use crate::driver::clock::Clock;
use crate::media::tones::TonePlayer;
use crate::time::Duration;

const TICK: Duration = Duration::from_millis(20);
const TICKS_PER_SECOND: u32 = 50;
/// The longest delay of the loop.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Something that plays until it is over, or this is dropped.
pub(super) struct Player {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Calls `tick` every 20 ms with the samples of one tick, until it returns false.
fn pace(clock: Clock, sample_rate: u32, mut tick: impl FnMut(&mut [i16]) -> bool) {
    let mut pcm = vec![0; (sample_rate / TICKS_PER_SECOND) as usize];
    let mut due = clock.now();
    while tick(&mut pcm) {
        due += TICK;
        let now = clock.now();
        if now.duration_since(due) > TICK * 10 {
            // The process was stopped for a while: what is past is past.
            due = now;
        }
        std::thread::sleep(due.duration_since(now));
    }
}

impl Player {
    fn spawn(
        clock: Clock,
        sample_rate: u32,
        mut tick: impl FnMut(&mut [i16], bool) -> bool + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("subrosa-player".into());
        let thread = thread.spawn(move || {
            pace(clock, sample_rate, |pcm| tick(pcm, stopped.load(Ordering::Relaxed)));
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// True until it is over.
    pub(super) fn is_playing(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// A tone for so long.
    pub(super) fn tone(
        clock: Clock,
        mut sink: DeviceSink,
        sample_rate: u32,
        mut tone: TonePlayer,
        length: Duration,
    ) -> std::io::Result<Self> {
        let end = clock.now() + length;
        Self::spawn(clock, sample_rate, move |pcm, stopped| {
            let over = stopped || clock.now() >= end;
            if over {
                tone.stop();
            }
            tone.read(pcm);
            sink.write(pcm);
            !over && !tone.is_finished() && sink.is_heard()
        })
    }

    /// What the microphone heard so long ago.
    pub(super) fn microphone(
        clock: Clock,
        mut source: DeviceSource,
        mut sink: DeviceSink,
        sample_rate: u32,
        delay: Duration,
    ) -> std::io::Result<Self> {
        let delay = delay.min(MAX_DELAY).as_secs_f64() * f64::from(sample_rate);
        let mut waiting: VecDeque<i16> = std::iter::repeat_n(0, delay as usize).collect();
        Self::spawn(clock, sample_rate, move |pcm, stopped| {
            source.read(pcm);
            for sample in pcm.iter_mut() {
                waiting.push_back(*sample);
                *sample = waiting.pop_front().unwrap_or(0);
            }
            sink.write(pcm);
            !stopped && sink.is_heard()
        })
    }
}

/// Sends sounds out and looks for them; `None` if somebody else took the loudspeaker.
pub(super) fn measure(
    clock: Clock,
    mut source: DeviceSource,
    mut sink: DeviceSink,
    sample_rate: u32,
) -> Option<EchoMeasurement> {
    let mut probe = EchoProbe::new(sample_rate);
    let mut heard = true;
    pace(clock, sample_rate, |pcm| {
        source.read(pcm);
        probe.exchange(pcm);
        sink.write(pcm);
        heard &= sink.is_heard();
        heard && !probe.is_finished()
    });
    heard.then(|| probe.result())
}
