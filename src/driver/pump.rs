//! The pacing of media: every 20 ms of the monotonic clock each call's source is read and its sink
//! is written.

use super::audio::{AudioSink, AudioSource, CallAudio};
use crate::engine::{CallId, CallState, Engine};
use crate::media::level::{Level, LevelMeter};
use crate::media::tones::ToneKind;
use crate::time::{Duration, Instant};

/// The tick.
const TICK: Duration = Duration::from_millis(20);
/// Ticks per second.
const TICKS_PER_SECOND: u32 = 50;
/// Ticks made up for after a late wake-up; what is later than that is skipped, and counted.
const MAX_CATCH_UP: u32 = 10;

/// How loud a call is, at this end's source and sink.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct CallLevels {
    /// What the source gives, before it is processed, muted or made louder.
    pub sent: Level,
    /// What the sink gets.
    pub received: Level,
}

/// One call's audio, and its meters.
#[derive(Debug)]
struct Attached {
    call: CallId,
    audio: CallAudio,
    sent: LevelMeter,
    received: LevelMeter,
}

/// The audio of all calls.
#[derive(Debug, Default)]
pub(super) struct Pump {
    calls: Vec<Attached>,
    next_tick: Option<Instant>,
    pcm: Vec<i16>,
    /// Ticks that were skipped because the thread woke up too late.
    pub(super) skipped: u64,
}

impl Pump {
    /// Attaches audio to a call; it replaces what was attached.
    pub(super) fn attach(&mut self, now: Instant, call: CallId, audio: CallAudio) {
        self.detach(call);
        let meter = LevelMeter::new(audio.sample_rate);
        self.calls.push(Attached { call, audio, sent: meter.clone(), received: meter });
        self.next_tick.get_or_insert(now);
    }

    /// Lets go of a call's audio; its sink is finished by that.
    pub(super) fn detach(&mut self, call: CallId) {
        self.calls.retain(|attached| attached.call != call);
        if self.calls.is_empty() {
            self.next_tick = None;
        }
    }

    fn audio(&mut self, call: CallId) -> Option<&mut CallAudio> {
        let attached = self.calls.iter_mut().find(|attached| attached.call == call);
        attached.map(|attached| &mut attached.audio)
    }

    /// How loud a call is; `None` if no audio is attached to it.
    pub(super) fn levels(&self, call: CallId) -> Option<CallLevels> {
        let attached = self.calls.iter().find(|attached| attached.call == call)?;
        Some(CallLevels { sent: attached.sent.level(), received: attached.received.level() })
    }

    /// Replaces a call's source.
    pub(super) fn play(&mut self, call: CallId, source: Box<dyn AudioSource>) {
        if let Some(audio) = self.audio(call) {
            audio.source = source;
        }
    }

    /// Replaces a call's sink.
    pub(super) fn record(&mut self, call: CallId, sink: Box<dyn AudioSink>) {
        if let Some(audio) = self.audio(call) {
            audio.sink = sink;
        }
    }

    /// When [`Pump::tick`] is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next_tick
    }

    /// Exchanges one tick of audio if it is due; true if it was. The next tick is 20 ms after the
    /// one that was due, not after now, so that lateness never adds up.
    pub(super) fn tick(&mut self, now: Instant, engine: &mut Engine) -> bool {
        let Some(due) = self.next_tick.filter(|due| *due <= now) else { return false };
        let mut next = due + TICK;
        let behind = now.duration_since(next);
        if behind > TICK * MAX_CATCH_UP {
            let ticks = behind.as_micros() / TICK.as_micros();
            self.skipped = self.skipped.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX));
            next = now + TICK;
        }
        self.next_tick = Some(next);
        for attached in &mut self.calls {
            exchange(now, engine, attached, &mut self.pcm);
        }
        true
    }
}

/// One tick of one call.
fn exchange(now: Instant, engine: &mut Engine, attached: &mut Attached, pcm: &mut Vec<i16>) {
    let Attached { call: id, audio, sent, received } = attached;
    let id = *id;
    let call = engine.call(id);
    let ringing = call.as_ref().and_then(|call| call.tone()) == Some(ToneKind::Ringback);
    let state = call.map(|call| call.state());
    let samples = (audio.sample_rate / TICKS_PER_SECOND) as usize;
    pcm.resize(samples, 0);
    if state == Some(CallState::Established) {
        audio.source.read(pcm);
        sent.measure(pcm);
        // Without media (on hold, or just ended) there is nobody who could hear it.
        drop(engine.write_pcm(now, id, pcm));
    } else {
        sent.pass(samples);
    }
    if ringing && let Some(tones) = &mut audio.tones {
        tones.ring(audio.sample_rate, pcm);
    } else if engine.read_pcm(now, id, pcm).is_ok() {
        if let Some(tones) = &mut audio.tones {
            tones.end(pcm);
        }
    } else {
        received.pass(samples);
        return;
    }
    received.measure(pcm);
    audio.sink.write(pcm);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Phone;

    #[test]
    fn lateness_never_adds_up_and_a_long_pause_is_skipped() {
        let at = Instant::from_millis;
        let mut engine = Engine::new(Phone::config(), at(0)).unwrap();
        let mut pump = Pump::default();
        let call = CallId::from_raw(1 << 32);
        assert!(!pump.tick(at(0), &mut engine), "nothing is attached");
        pump.attach(at(1_000), call, CallAudio::new(16_000));
        // Each wake-up is 7 ms late; the ticks stay on their grid.
        for n in 0..50 {
            assert!(pump.tick(at(1_007 + n * 20), &mut engine));
            assert_eq!(pump.next_timeout(), Some(at(1_020 + n * 20)));
        }
        assert!(!pump.tick(at(1_999), &mut engine));
        // 100 ms late: all five ticks are made up for.
        let made_up = (0..10).filter(|_| pump.tick(at(2_099), &mut engine)).count();
        assert_eq!((made_up, pump.skipped), (5, 0));
        // One second late: skipped, and counted.
        assert!(pump.tick(at(3_100), &mut engine));
        assert_eq!((pump.next_timeout(), pump.skipped), (Some(at(3_120)), 49));
        assert_eq!(pump.levels(call), Some(CallLevels::default()), "silence");
        pump.detach(call);
        assert_eq!((pump.next_timeout(), pump.levels(call)), (None, None));
    }
}
