//! Plays a tone: cadence exact to the sample, phase without a jump, edges without a click.

use super::dtmf_frequencies;
use super::plan::{Segment, Sound, Tone};
use crate::time::Duration;
use crate::wire::dtmf::Digit;

/// Rates that a player has, in Hz.
const RATES: core::ops::RangeInclusive<u32> = 8_000..=48_000;
/// How long a sound takes to begin and to end.
const RAMP_MS: u32 = 4;
/// A sine of full scale has this level in G.711 (A-law), dBm0.
#[allow(clippy::approx_constant)] // dB, not pi
const FULL_SCALE_DBM0: f64 = 3.14;
/// How deep a modulated tone is modulated.
const DEPTH: f64 = 0.9;

/// Usual levels of the two frequencies of DTMF, dBm0, low and high: the high one is 2 dB above.
pub const DTMF_LEVELS: [i8; 2] = [-9, -7];

/// Why a tone cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToneError {
    /// The rate is out of range.
    #[error("a sample rate of {0} Hz: give 8000 to 48000")]
    Rate(u32),
    /// A digit is too short or too long.
    #[error("a digit lasts 40 ms to 60 s")]
    Duration,
    /// A level above full scale.
    #[error("a level of {0} dBm0: give 0 or less for one frequency, -3 or less for both of DTMF")]
    Level(i8),
}

/// One of the two oscillators.
#[derive(Clone, Copy, Debug, Default)]
struct Oscillator {
    /// In turns, 0 to 1.
    phase: f64,
    /// Turns per sample.
    step: f64,
    /// 0: silent.
    amplitude: f64,
    /// It was silent before this segment, it is silent after it.
    begins: bool,
    ends: bool,
}

/// Plays one tone into blocks of any size.
#[derive(Clone, Debug)]
pub struct TonePlayer {
    rate: u32,
    tone: Tone,
    /// The segment of a digit: its tone has none of its own.
    digit: Option<Segment>,
    at: usize,
    /// Milliseconds and samples before this segment.
    before_ms: u64,
    /// Sample of this segment, and how many it has; `None`: without end.
    sample: u64,
    length: Option<u64>,
    oscillators: [Oscillator; 2],
    modulated: bool,
    ramp: u64,
    /// Samples that are left of the fading out.
    fading: Option<u64>,
    finished: bool,
}

impl TonePlayer {
    /// Plays `tone` at `sample_rate` (Hz, 8000 to 48000) from its beginning.
    ///
    /// # Errors
    /// [`ToneError::Rate`], [`ToneError::Level`].
    pub fn new(tone: Tone, sample_rate: u32) -> Result<Self, ToneError> {
        Self::make(tone, None, sample_rate)
    }

    /// Plays one DTMF digit once, with the levels of its low and its high frequency in dBm0, for
    /// example [`DTMF_LEVELS`].
    ///
    /// # Errors
    /// [`ToneError`] says what is out of range.
    pub fn dtmf(
        digit: Digit,
        levels: [i8; 2],
        duration: Duration,
        sample_rate: u32,
    ) -> Result<Self, ToneError> {
        let (low, high) = dtmf_frequencies(digit);
        let ms = u16::try_from(duration.as_millis()).map_err(|_| ToneError::Duration)?;
        if !(40..=60_000).contains(&ms) {
            return Err(ToneError::Duration);
        }
        let segment = Segment { sound: Sound::Two(low, high), ms };
        Self::make(Tone { segments: &[], repeats: false, levels }, Some(segment), sample_rate)
    }

    fn make(tone: Tone, digit: Option<Segment>, rate: u32) -> Result<Self, ToneError> {
        if !RATES.contains(&rate) {
            return Err(ToneError::Rate(rate));
        }
        let highest = if digit.is_some() { -3 } else { 0 };
        if let Some(level) = tone.levels.into_iter().find(|level| *level > highest) {
            return Err(ToneError::Level(level));
        }
        let mut player = Self {
            rate,
            tone,
            digit,
            at: 0,
            before_ms: 0,
            sample: 0,
            length: None,
            oscillators: [Oscillator::default(); 2],
            modulated: false,
            ramp: u64::from(rate.saturating_mul(RAMP_MS) / 1_000).max(1),
            fading: None,
            finished: false,
        };
        player.enter();
        Ok(player)
    }

    /// The rate of what [`read`](Self::read) gives, in Hz.
    pub const fn sample_rate(&self) -> u32 {
        self.rate
    }

    /// Ends the tone: it fades out within 4 ms.
    pub const fn stop(&mut self) {
        if self.fading.is_none() {
            self.fading = Some(self.ramp);
        }
    }

    /// True once all was played, or [`stop`](Self::stop) has faded out: only silence comes.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Fills `pcm` with what comes next.
    pub fn read(&mut self, pcm: &mut [i16]) {
        for out in pcm {
            *out = self.next_sample();
        }
    }

    fn segment(&self, at: usize) -> Option<Segment> {
        match self.digit {
            Some(segment) => (at == 0).then_some(segment),
            None => self.tone.segments.get(at).copied(),
        }
    }

    fn after(&self, at: usize) -> Option<Segment> {
        let next = self.segment(at.saturating_add(1));
        next.or_else(|| if self.tone.repeats { self.segment(0) } else { None })
    }

    /// Begins the segment that the player is at.
    fn enter(&mut self) {
        let Some(segment) = self.segment(self.at) else {
            self.finished = true;
            return;
        };
        self.sample = 0;
        let sample_at = |ms: u64| ms.saturating_mul(self.rate.into()) / 1_000;
        let end = self.before_ms.saturating_add(segment.ms.into());
        // Counted from the beginning, so that no rounding adds up.
        self.length =
            (segment.ms > 0).then(|| sample_at(end).saturating_sub(sample_at(self.before_ms)));
        let next = self.after(self.at).map_or([0; 2], |s| s.sound.frequencies());
        self.modulated = matches!(segment.sound, Sound::Modulated(..));
        let frequencies = segment.sound.frequencies();
        let levels = self.tone.levels;
        for (index, oscillator) in self.oscillators.iter_mut().enumerate() {
            let [now, then] = [frequencies, next].map(|f| f.get(index).copied().unwrap_or(0));
            oscillator.begins = oscillator.amplitude == 0.0;
            oscillator.ends = then == 0;
            if now == 0 {
                oscillator.amplitude = 0.0;
                continue;
            }
            if oscillator.begins {
                oscillator.phase = 0.0;
            }
            let level = levels.get(index).copied().unwrap_or(-10);
            oscillator.step = f64::from(now) / f64::from(self.rate);
            oscillator.amplitude = amplitude(level);
        }
    }

    /// Goes on to the next segment.
    fn advance(&mut self) {
        if let Some(segment) = self.segment(self.at) {
            self.before_ms = self.before_ms.saturating_add(segment.ms.into());
        }
        self.at = self.at.saturating_add(1);
        if self.segment(self.at).is_none() && self.tone.repeats && self.before_ms > 0 {
            self.at = 0;
        }
        self.enter();
    }

    fn next_sample(&mut self) -> i16 {
        if self.finished {
            return 0;
        }
        let value = self.sound();
        self.sample = self.sample.saturating_add(1);
        let faded = match &mut self.fading {
            None => value,
            Some(left) => {
                *left = left.saturating_sub(1);
                self.finished = *left == 0;
                value * rise(*left, self.ramp)
            }
        };
        if self.length.is_some_and(|length| self.sample >= length) {
            self.advance();
        }
        (faded * 32_767.0).round() as i16
    }

    /// The sample of this segment, -1 to 1.
    fn sound(&mut self) -> f64 {
        let (sample, length, ramp) = (self.sample, self.length, self.ramp);
        let left = length.map_or(u64::MAX, |length| length.saturating_sub(sample));
        let [carrier, other] = self.oscillators.each_mut().map(|oscillator| {
            if oscillator.amplitude == 0.0 {
                return (0.0, 0.0);
            }
            let wave = (oscillator.phase * core::f64::consts::TAU).sin();
            oscillator.phase = (oscillator.phase + oscillator.step).fract();
            let begin = if oscillator.begins { rise(sample, ramp) } else { 1.0 };
            let end = if oscillator.ends { rise(left, ramp) } else { 1.0 };
            (wave, oscillator.amplitude * begin * end)
        });
        if self.modulated {
            return carrier.0 * carrier.1 * (1.0 + DEPTH * other.0) / (1.0 + DEPTH);
        }
        carrier.0 * carrier.1 + other.0 * other.1
    }
}

/// From 0 to 1 along half a cosine.
fn rise(at: u64, ramp: u64) -> f64 {
    if at >= ramp {
        return 1.0;
    }
    let share = at as f64 / ramp as f64;
    0.5 - 0.5 * (share * core::f64::consts::PI).cos()
}

/// The amplitude of a sine of this level, full scale being 1.
fn amplitude(dbm0: i8) -> f64 {
    10f64.powf((f64::from(dbm0) - FULL_SCALE_DBM0) / 20.0)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::super::{ToneKind, TonePlan};
    use super::*;

    const RATES_TRIED: [u32; 7] = [8_000, 11_025, 16_000, 24_000, 32_000, 44_100, 48_000];

    fn play(player: &mut TonePlayer, samples: usize, block: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        pcm.chunks_mut(block).for_each(|chunk| player.read(chunk));
        pcm
    }

    /// Amplitude of a frequency in `pcm`.
    fn level(pcm: &[i16], rate: u32, hz: f64) -> f64 {
        let w = hz / f64::from(rate) * core::f64::consts::TAU;
        let (mut re, mut im) = (0.0, 0.0);
        for (n, s) in pcm.iter().enumerate() {
            let (sin, cos) = (w * n as f64).sin_cos();
            re += f64::from(*s) * cos;
            im += f64::from(*s) * sin;
        }
        2.0 * re.hypot(im) / pcm.len() as f64
    }

    #[test]
    fn the_cadence_is_exact_to_the_sample_for_hours() {
        for rate in RATES_TRIED {
            let plan = TonePlan::of("GB").unwrap();
            let mut player = TonePlayer::new(plan.ringback, rate).unwrap();
            let pcm = play(&mut player, rate as usize * 31, 333);
            // 400 on, 200 off, 400 on, 2000 off; silent samples within a sound are single.
            for cycle in 0..10u64 {
                for (from_ms, to_ms, sounds) in
                    [(0, 400, true), (400, 600, false), (600, 1_000, true), (1_000, 3_000, false)]
                {
                    let at = |ms: u64| ((cycle * 3_000 + ms) * u64::from(rate) / 1_000) as usize;
                    let part = &pcm[at(from_ms)..at(to_ms)];
                    if sounds {
                        assert!(part[2..].windows(6).all(|w| w.iter().any(|s| *s != 0)), "{rate}");
                    } else {
                        assert!(part.iter().all(|s| *s == 0), "{rate}: {cycle} {from_ms}");
                    }
                }
            }
        }
    }

    #[test]
    fn each_tone_has_its_frequencies_at_its_levels() {
        for rate in RATES_TRIED {
            let mut player = TonePlayer::new(TonePlan::of("US").unwrap().dial, rate).unwrap();
            let pcm = play(&mut player, rate as usize, 160);
            let steady = &pcm[rate as usize / 10..rate as usize / 10 + rate as usize / 2];
            for hz in [350.0, 440.0] {
                // -13 dBm0: 16.14 dB below full scale.
                let db = 20.0 * (level(steady, rate, hz) / 32_767.0).log10();
                assert!((db + 16.14).abs() < 0.1, "{rate}: {hz} Hz at {db}");
            }
            assert!(level(steady, rate, 395.0) < 40.0);
        }
    }

    /// The greatest second difference is that of a sine where nothing clicks.
    fn roughness(pcm: &[i16]) -> i32 {
        pcm.windows(3)
            .map(|w| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs())
            .max()
            .unwrap()
    }

    #[test]
    fn nothing_clicks_where_a_sound_begins_changes_or_ends() {
        for plan in TonePlan::ALL {
            for kind in ToneKind::ALL {
                let Some(tone) = plan.tone(kind) else { continue };
                let mut player = TonePlayer::new(tone, 16_000).unwrap();
                let mut pcm = vec![0; 3];
                pcm.extend(play(&mut player, 16_000 * 20 + 123, 160));
                player.stop();
                pcm.extend(play(&mut player, 200, 7));
                assert!(player.is_finished() && pcm.ends_with(&[0; 64]));
                // The sum of what the frequencies alone can do, and the ramps.
                let highest = |sound: Sound, [a, b]: [i8; 2]| {
                    let [f, g] = sound.frequencies();
                    let curve = |hz: u16, level| {
                        let w = f64::from(hz) / 16_000.0 * core::f64::consts::TAU;
                        amplitude(level) * 32_767.0 * w * w
                    };
                    let other =
                        if matches!(sound, Sound::Modulated(..)) { 0.0 } else { curve(g, b) };
                    curve(f, a) + other
                };
                let most = tone.segments.iter().map(|s| highest(s.sound, tone.levels));
                let most = most.fold(0.0, f64::max);
                let found = f64::from(roughness(&pcm));
                assert!(found < most * 1.25 + 40.0, "{} {kind:?}: {found} > {most}", plan.country);
            }
        }
    }

    #[test]
    fn any_block_size_gives_the_same_and_a_tone_that_ends_is_finished() {
        let tone = TonePlan::of("US").unwrap().special_information.unwrap();
        let [a, b] = [1, 480].map(|block| {
            let mut player = TonePlayer::new(tone, 48_000).unwrap();
            let pcm = play(&mut player, 48_000 * 2, block);
            assert!(player.is_finished());
            pcm
        });
        assert_eq!(a, b);
        let sounds = a.iter().rposition(|s| *s != 0).unwrap();
        // Three times 330 ms.
        assert!((47_510..47_520).contains(&sounds), "{sounds}");
        for (part, hz) in [(0, 950.0), (1, 1_400.0), (2, 1_800.0)] {
            let at = 15_840 * part + 2_000;
            assert!(level(&a[at..at + 12_000], 48_000, hz) > 3_000.0);
        }
    }

    #[test]
    fn digits_have_their_two_frequencies_length_and_twist() {
        for event in 0..16 {
            let digit = Digit::from_event(event).unwrap();
            let length = Duration::from_millis(100);
            let mut player = TonePlayer::dtmf(digit, [-12, -6], length, 8_000).unwrap();
            let pcm = play(&mut player, 1_000, 160);
            assert!(player.is_finished() && pcm[800..].iter().all(|s| *s == 0));
            let (low, high) = dtmf_frequencies(digit);
            let db = |hz: u16| 20.0 * (level(&pcm[80..720], 8_000, hz.into()) / 32_767.0).log10();
            assert!((db(low) + 15.14).abs() < 0.3, "{digit}: {}", db(low));
            assert!((db(high) + 9.14).abs() < 0.3, "{digit}: {}", db(high));
        }
        let five = Digit::from_char('5').unwrap();
        let make = |levels, ms, rate| {
            TonePlayer::dtmf(five, levels, Duration::from_millis(ms), rate).err()
        };
        assert_eq!(make(DTMF_LEVELS, 39, 8_000), Some(ToneError::Duration));
        assert_eq!(make(DTMF_LEVELS, 70_000, 8_000), Some(ToneError::Duration));
        assert_eq!(make([-9, 0], 100, 8_000), Some(ToneError::Level(0)));
        assert_eq!(make(DTMF_LEVELS, 100, 7_999), Some(ToneError::Rate(7_999)));
    }
}
