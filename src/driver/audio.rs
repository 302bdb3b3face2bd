//! Where a call's audio comes from and goes to: files, the application, silence. The driver's
//! thread asks each source for 20 ms at a time and hands each sink 20 ms at a time.

use crate::engine::CallOptions;
use crate::media::dsp::ProcessingConfig;
use crate::media::tones::{TonePlan, TonePlayer};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Gives audio to a call. Called on the driver's thread: never block.
pub trait AudioSource: Send {
    /// Fills `pcm`, mono at the call's sample rate, with silence where there is nothing to say.
    fn read(&mut self, pcm: &mut [i16]);
    /// What is to be done to it before it is sent, in calls that are placed or accepted with this
    /// source and whose options do not say: nothing, but everything for the microphone of an
    /// `AudioDevice`.
    fn processing(&self) -> ProcessingConfig {
        ProcessingConfig::OFF
    }
}

/// Takes audio from a call. Called on the driver's thread: never block.
pub trait AudioSink: Send {
    /// Takes `pcm`, mono at the call's sample rate. A sink is dropped when the call has ended or
    /// another replaces it, before the application hears of it: that is the time to finish a file.
    fn write(&mut self, pcm: &[i16]);
}

/// The ends of one call's audio.
pub struct CallAudio {
    /// The rate of source and sink, Hz: that of the call's options.
    pub(super) sample_rate: u32,
    pub(super) source: Box<dyn AudioSource>,
    pub(super) sink: Box<dyn AudioSink>,
    pub(super) tones: Option<Box<Ringback>>,
}

/// The tone that is heard while the far end rings.
#[derive(Debug)]
pub(super) struct Ringback {
    plan: TonePlan,
    player: Option<TonePlayer>,
    tail: Vec<i16>,
}

impl Ringback {
    /// The far end rings and sends no audio of its own.
    pub(super) fn ring(&mut self, sample_rate: u32, pcm: &mut [i16]) {
        if self.player.is_none() {
            self.player = TonePlayer::new(self.plan.ringback, sample_rate).ok();
        }
        if let Some(player) = &mut self.player {
            player.read(pcm);
        }
    }

    /// It does not ring any more: the tone ends softly, under what is heard from now on.
    pub(super) fn end(&mut self, pcm: &mut [i16]) {
        let Some(mut player) = self.player.take() else { return };
        player.stop();
        self.tail.resize(pcm.len(), 0);
        player.read(&mut self.tail);
        pcm.iter_mut().zip(&self.tail).for_each(|(s, tone)| *s = s.saturating_add(*tone));
    }
}

impl std::fmt::Debug for CallAudio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallAudio").field("sample_rate", &self.sample_rate).finish_non_exhaustive()
    }
}

impl CallAudio {
    /// Silence out, nothing kept, at the rate that the call's options name.
    pub fn new(sample_rate: u32) -> Self {
        Self { sample_rate, source: Box::new(Silence), sink: Box::new(Silence), tones: None }
    }

    /// The options with what the source asks for, where they do not say.
    pub(super) fn complete(&self, mut options: CallOptions) -> CallOptions {
        let asked = self.source.processing();
        if asked.is_on() {
            options.processing.get_or_insert(asked);
        }
        options
    }

    /// What the far end hears.
    #[must_use]
    pub fn source(mut self, source: impl AudioSource + 'static) -> Self {
        self.source = Box::new(source);
        self
    }

    /// While the far end rings and sends no audio of its own, the sink gets this plan's ringback
    /// tone. The tone after the end is the application's
    /// ([`EndReason::tone`](crate::engine::EndReason::tone)): the sink is gone by then.
    #[must_use]
    pub fn tones(mut self, plan: TonePlan) -> Self {
        self.tones = Some(Box::new(Ringback { plan, player: None, tail: Vec::new() }));
        self
    }

    /// Where the far end's voice goes.
    #[must_use]
    pub fn sink(mut self, sink: impl AudioSink + 'static) -> Self {
        self.sink = Box::new(sink);
        self
    }
}

/// Silence as a source; as a sink, it forgets what it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence;

impl AudioSource for Silence {
    fn read(&mut self, pcm: &mut [i16]) {
        pcm.fill(0);
    }
}

impl AudioSink for Silence {
    fn write(&mut self, _: &[i16]) {}
}

/// Plays samples once, or again and again, and then silence.
#[derive(Debug)]
pub struct Player {
    samples: Vec<i16>,
    next: usize,
    looping: bool,
    progress: Progress,
}

impl Player {
    /// Plays these samples once.
    pub fn new(samples: Vec<i16>) -> Self {
        let total = samples.len() as u64;
        let progress = Progress { played: Arc::default(), total };
        Self { samples, next: 0, looping: false, progress }
    }

    /// Starts over at the end.
    #[must_use]
    pub fn looping(mut self) -> Self {
        self.looping = true;
        self
    }

    /// A view of how far it has got, to be kept while the driver plays.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl AudioSource for Player {
    fn read(&mut self, mut pcm: &mut [i16]) {
        while !pcm.is_empty() {
            let rest = self.samples.get(self.next..).unwrap_or_default();
            let n = rest.len().min(pcm.len());
            let (now, later) = std::mem::take(&mut pcm).split_at_mut(n);
            now.iter_mut().zip(rest).for_each(|(out, sample)| *out = *sample);
            pcm = later;
            self.next = self.next.saturating_add(n);
            self.progress.played.fetch_add(n as u64, Ordering::Relaxed);
            if self.looping && !self.samples.is_empty() && self.next >= self.samples.len() {
                self.next = 0;
            } else if n == 0 {
                pcm.fill(0);
                return;
            }
        }
    }
}

/// How far a [`Player`] has got.
#[derive(Clone, Debug)]
pub struct Progress {
    played: Arc<AtomicU64>,
    total: u64,
}

impl Progress {
    /// Samples played so far.
    pub fn played(&self) -> u64 {
        self.played.load(Ordering::Relaxed)
    }

    /// Samples in all (of one round, if it plays again and again).
    pub fn total(&self) -> u64 {
        self.total
    }

    /// True once everything was played.
    pub fn is_finished(&self) -> bool {
        self.played() >= self.total
    }
}

/// Frames of drift correction work on this many samples less or more.
const STRETCH: usize = 2;
/// Beyond this many times the target it is no drift but delay, such as what a microphone heard
/// before the call: the oldest samples go.
const MAX_TARGETS: usize = 4;

#[derive(Debug)]
struct Shared {
    samples: VecDeque<i16>,
    capacity: usize,
    /// Samples wanted in store, between a producer and a consumer with clocks of their own.
    target: Option<usize>,
    /// The store ran dry, or was never full: silence until the target is in store, so that what
    /// comes late once does not make a gap in every frame that follows.
    filling: bool,
    overflowed: u64,
    underflowed: u64,
}

/// A bounded store of samples between two threads: give one clone to the call, as a source or as a
/// sink, and keep the other. What does not fit is dropped, what is missing is silence; both are
/// counted.
#[derive(Clone, Debug)]
pub struct AudioRing(Arc<Mutex<Shared>>);

impl AudioRing {
    /// A store of at most `capacity` samples, for example one second: the call's sample rate.
    pub fn new(capacity: usize) -> Self {
        let samples = VecDeque::with_capacity(capacity);
        Self(Arc::new(Mutex::new(Shared {
            samples,
            capacity,
            target: None,
            filling: false,
            overflowed: 0,
            underflowed: 0,
        })))
    }

    /// Corrects the drift between a producer and a consumer whose clocks differ, such as a sound
    /// card's and the system's. Reading is silence until `target` samples are in store; then it
    /// takes a few samples more or less, stretched smoothly, so that between half and twice the
    /// target stay. Far more than that is cut at once.
    #[must_use]
    pub fn correct_drift(self, target: usize) -> Self {
        let mut shared = self.lock();
        (shared.target, shared.filling) = (Some(target), true);
        drop(shared);
        self
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores samples; returns how many fitted.
    pub fn push(&self, pcm: &[i16]) -> usize {
        let mut shared = self.lock();
        let room = shared.capacity.saturating_sub(shared.samples.len());
        let fits = pcm.len().min(room);
        shared.samples.extend(pcm.iter().take(fits));
        shared.overflowed = shared.overflowed.saturating_add((pcm.len() - fits) as u64);
        fits
    }

    /// Takes samples and fills up with silence; returns how many were there.
    pub fn pop(&self, pcm: &mut [i16]) -> usize {
        let mut shared = self.lock();
        let there = shared.take(pcm);
        shared.underflowed = shared.underflowed.saturating_add((pcm.len() - there) as u64);
        there
    }

    /// Samples in store.
    pub fn len(&self) -> usize {
        self.lock().samples.len()
    }

    /// True if nothing is in store.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Samples that did not fit, and samples that were missing.
    pub fn lost(&self) -> (u64, u64) {
        let shared = self.lock();
        (shared.overflowed, shared.underflowed)
    }
}

impl Shared {
    /// Takes `pcm.len()` samples, a few more or less where drift is corrected.
    fn take(&mut self, pcm: &mut [i16]) -> usize {
        if let Some(target) = self.target {
            let full = target.max(pcm.len()).min(self.capacity);
            if self.filling && self.samples.len() < full {
                pcm.fill(0);
                return 0;
            }
            // What gathered before the first reading would have to be worked off for seconds.
            let targets = if self.filling { 2 } else { MAX_TARGETS };
            let most = target.saturating_mul(targets).max(pcm.len());
            self.filling = self.samples.len() < pcm.len();
            if self.samples.len() > most {
                let stale = self.samples.len().saturating_sub(target.max(pcm.len()));
                self.samples.drain(..stale);
                self.overflowed = self.overflowed.saturating_add(stale as u64);
            }
        }
        let stored = self.samples.len();
        let wanted = pcm.len();
        let consumed = match self.target {
            Some(target) if stored > target.saturating_mul(2) => wanted.saturating_add(STRETCH),
            Some(target) if stored < target / 2 => wanted.saturating_sub(STRETCH),
            _ => wanted,
        };
        if consumed == wanted || stored < consumed || consumed < STRETCH {
            let there = stored.min(wanted);
            let mut taken = self.samples.drain(..there);
            pcm.iter_mut().for_each(|out| *out = taken.next().unwrap_or(0));
            return there;
        }
        for (n, out) in pcm.iter_mut().enumerate() {
            *out = self.between(n.saturating_mul(consumed - 1), wanted.saturating_sub(1));
        }
        self.samples.drain(..consumed);
        wanted
    }

    /// The value at position `at / unit`, linear between its neighbours.
    fn between(&self, at: usize, unit: usize) -> i16 {
        let unit = unit.max(1);
        let (index, part) = (at / unit, at % unit);
        let sample = |i| i64::from(self.samples.get(i).copied().unwrap_or(0));
        let (left, right) = (sample(index), sample(index.saturating_add(1)));
        let step = (right - left) * i64::try_from(part).unwrap_or(0);
        let value = left + step / i64::try_from(unit).unwrap_or(1);
        i16::try_from(value).unwrap_or(0)
    }
}

impl AudioSource for AudioRing {
    fn read(&mut self, pcm: &mut [i16]) {
        self.pop(pcm);
    }
}

impl AudioSink for AudioRing {
    fn write(&mut self, pcm: &[i16]) {
        self.push(pcm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_microphone_asks_for_all_processing_and_other_sources_for_none_unless_the_call_says() {
        struct Microphone;
        impl AudioSource for Microphone {
            fn read(&mut self, _: &mut [i16]) {}
            fn processing(&self) -> ProcessingConfig {
                ProcessingConfig::VOICE
            }
        }
        let microphone = CallAudio::new(16_000).source(Microphone);
        let asked = |options| microphone.complete(options).processing;
        assert_eq!(asked(CallOptions::default()), Some(ProcessingConfig::VOICE));
        let off = Some(ProcessingConfig::OFF);
        assert_eq!(asked(CallOptions { processing: off, ..CallOptions::default() }), off);
        let ring = CallAudio::new(16_000).source(AudioRing::new(3));
        assert_eq!(ring.complete(CallOptions::default()).processing, None);
    }

    #[test]
    fn a_player_plays_once_and_then_is_silent() {
        let mut player = Player::new(vec![1, 2, 3]);
        let progress = player.progress();
        let mut pcm = [9; 2];
        player.read(&mut pcm);
        assert_eq!((pcm, progress.played(), progress.is_finished()), ([1, 2], 2, false));
        player.read(&mut pcm);
        assert_eq!((pcm, progress.is_finished()), ([3, 0], true));
        let mut empty = Player::new(vec![]).looping();
        empty.read(&mut pcm);
        assert_eq!(pcm, [0, 0]);
    }

    #[test]
    fn a_looping_player_starts_over() {
        let mut player = Player::new(vec![1, 2, 3]).looping();
        let mut pcm = [0; 7];
        player.read(&mut pcm);
        assert_eq!(pcm, [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn a_ring_is_bounded_and_counts_what_it_loses() {
        let ring = AudioRing::new(3);
        assert_eq!(ring.push(&[1, 2, 3, 4]), 3);
        let mut pcm = [0; 4];
        assert_eq!(ring.pop(&mut pcm), 3);
        assert_eq!((pcm, ring.lost()), ([1, 2, 3, 0], (1, 1)));
    }

    #[test]
    fn drift_is_corrected_towards_the_target_in_both_directions() {
        // The producer is 0.5 % fast, then 0.5 % slow: without correction the store would run
        // over, or dry, by 2400 samples.
        for produced in [322, 318] {
            let ring = AudioRing::new(4_000).correct_drift(960);
            ring.push(&[100; 960]);
            for _ in 0..1_200 {
                ring.push(&vec![100; produced]);
                let mut pcm = [0; 320];
                assert_eq!(ring.pop(&mut pcm), 320);
                assert!(pcm.iter().all(|s| *s == 100), "a stretched constant is the constant");
            }
            assert_eq!(ring.lost(), (0, 0));
            assert!((100..=2_300).contains(&ring.len()), "{}", ring.len());
        }
    }

    #[test]
    fn what_is_stale_is_left_out_at_once() {
        let ring = AudioRing::new(8_000).correct_drift(960);
        let mut pcm = [0; 320];
        // Before the first reading: twice the target is too much already.
        ring.push(&[1; 1_000]);
        ring.push(&[2; 1_000]);
        ring.pop(&mut pcm);
        assert_eq!((pcm, ring.len(), ring.lost()), ([2; 320], 640, (1_040, 0)));
        // Later: more than four times the target.
        ring.push(&[3; 6_400]);
        ring.push(&[4; 960]);
        ring.pop(&mut pcm);
        assert_eq!((pcm, ring.len(), ring.lost()), ([4; 320], 640, (1_040 + 7_040, 0)));
    }

    #[test]
    fn a_store_that_ran_dry_fills_up_before_it_is_read_again() {
        let ring = AudioRing::new(4_000).correct_drift(960);
        let mut pcm = [7; 320];
        for _ in 0..2 {
            ring.push(&[5; 640]);
            assert_eq!(ring.pop(&mut pcm), 0, "not full yet");
            assert_eq!(pcm, [0; 320]);
            ring.push(&[5; 320]);
            for _ in 0..3 {
                assert_eq!((ring.pop(&mut pcm), pcm), (320, [5; 320]));
            }
            assert!(ring.pop(&mut pcm) < 320, "dry");
        }
        assert_eq!(ring.lost().0, 0);
    }

    #[test]
    fn a_steady_stream_is_not_stretched() {
        // 20 ms at a time from a device, 10 ms at a time to a call: every sample arrives as it was.
        let ring = AudioRing::new(4_000).correct_drift(960);
        let sent: Vec<i16> = (0..9_600).map(|n| n % 317).collect();
        let mut received = Vec::new();
        for piece in sent.chunks_exact(320) {
            ring.push(piece);
            for _ in 0..2 {
                let mut pcm = [0; 160];
                if ring.pop(&mut pcm) > 0 {
                    received.extend(pcm);
                }
            }
        }
        assert!(received.len() >= 8_000, "{}", received.len());
        assert!(sent.starts_with(&received));
    }

    #[test]
    fn stretching_keeps_the_ends() {
        let ring = AudioRing::new(100).correct_drift(6);
        let mut pcm = [0; 8];
        ring.push(&[0; 8]);
        ring.pop(&mut pcm);
        ring.push(&(0..20).map(|n| n * 100).collect::<Vec<i16>>());
        ring.pop(&mut pcm);
        // Ten samples in eight: 0 to 900 in even steps.
        assert_eq!((pcm[0], pcm[7], ring.len()), (0, 900, 10));
        assert!(pcm.windows(2).all(|w| (w[1] - w[0] - 128).abs() <= 1));
    }
}
