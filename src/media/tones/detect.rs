//! DTMF in the sound of a call (ITU-T Q.24).
//!
//! Each 5 ms the last 20 ms are looked at through a Hann window at the eight frequencies. A digit
//! is there while one row and one column hold nearly all of the energy, neither is much louder than
//! the other, and their phases turn as fast as the frequencies say, within 2.5 %. Speech seldom
//! does that for as long as a digit lasts.

use super::player::ToneError;
use super::{DTMF_HIGH, DTMF_LOW, digit_at};
use crate::wire::dtmf::Digit;

/// The window, and the time between two looks, in parts of a second.
const WINDOW: u32 = 50;
const HOP: u32 = 200;
/// Looks in a row that make a digit: 20 ms are too short for it.
const BEGIN: u32 = 4;
/// Looks in a row without it that end it.
const END: u32 = 4;
const BINS_PER_TURN: f32 = (HOP / WINDOW) as f32;
/// The two tones hold at least this share of the energy.
const PURITY: f32 = 0.80;
/// The high tone may be weaker than the low one by 9 dB, and stronger by 5 dB (Q.24 wants 8 and 4
/// from some networks, 6 and 6 from none).
const WEAKER: f32 = 7.94;
const STRONGER: f32 = 3.16;
/// The weakest tone that counts, as the power of a sine of -36 dBm0 with full scale 1.
const WEAKEST: f32 = 6e-5;
/// A tone that fell by this much (8 dB) has ended.
const FALL: f32 = 6.31;
/// How far off a frequency may be.
const OFF: f32 = 0.025;

/// A complex amplitude.
#[derive(Clone, Copy, Debug, Default)]
struct Phasor {
    re: f32,
    im: f32,
}

impl Phasor {
    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    /// This times the conjugate of `other`: how far it has turned since.
    fn turned(self, other: Self) -> Self {
        Self {
            re: self.re * other.re + self.im * other.im,
            im: self.im * other.re - self.re * other.im,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

/// One of the eight frequencies.
#[derive(Clone, Debug)]
struct Probe {
    /// The window times the wave, for each sample of it.
    wave: Vec<Phasor>,
    /// What it found at the last two looks.
    now: Phasor,
    before: Phasor,
    /// How far the nominal frequency turns between two looks.
    turn: Phasor,
    /// The greatest turn beyond that which is still within bounds, in radians.
    most: f32,
}

impl Probe {
    fn new(hz: u16, rate: u32, window: &[f32], hop: usize) -> Self {
        let w = f64::from(hz) / f64::from(rate) * core::f64::consts::TAU;
        let phasor = |angle: f64, scale: f32| {
            let (sin, cos) = angle.sin_cos();
            Phasor { re: cos as f32 * scale, im: sin as f32 * scale }
        };
        let sum: f32 = window.iter().sum();
        // Scaled so that the power is that of the sine.
        let scale = core::f32::consts::SQRT_2 / sum;
        let wave = window.iter().enumerate().map(|(n, h)| phasor(-w * n as f64, h * scale));
        let turn = w * hop as f64;
        let (wave, most) = (wave.collect(), turn as f32 * OFF);
        let (now, before) = (Phasor::default(), Phasor::default());
        Self { wave, now, before, turn: phasor(turn, 1.0), most }
    }

    /// Looks at the samples of the window, the oldest first.
    fn look(&mut self, samples: impl Iterator<Item = f32>) {
        let found = self.wave.iter().zip(samples).fold(Phasor::default(), |sum, (w, s)| Phasor {
            re: sum.re + w.re * s,
            im: sum.im + w.im * s,
        });
        self.before = core::mem::replace(&mut self.now, found);
    }

    /// How much further than the nominal frequency it has turned since the last look.
    fn excess(&self) -> Phasor {
        self.now.turned(self.before).turned(self.turn)
    }

    /// The power of the tone: what the window takes away from a frequency that is a little off is
    /// put back.
    fn power(&self) -> f32 {
        let excess = self.excess();
        // In widths of a bin, of which there is one for each window in a second.
        let bins = excess.im.atan2(excess.re).abs() / core::f32::consts::TAU * BINS_PER_TURN;
        if !(0.01..0.85).contains(&bins) {
            return self.now.power();
        }
        let x = bins * core::f32::consts::PI;
        let response = x.sin() / x / (1.0 - bins * bins);
        self.now.power() / (response * response)
    }
}

/// A digit that may be there.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    row: usize,
    column: usize,
    /// Looks that found it, and looks that did not since.
    looks: u32,
    missed: u32,
    /// The strongest power so far.
    peak: f32,
    /// The sums of what both tones turned too far.
    excess: [Phasor; 2],
    told: bool,
}

/// Finds DTMF digits in PCM of one rate.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    probes: Vec<Probe>,
    window: Vec<f32>,
    /// The sum of the squares of the window.
    weight: f32,
    ring: Vec<f32>,
    at: usize,
    hop: usize,
    /// Samples since the last look.
    since: usize,
    candidate: Option<Candidate>,
}

impl DtmfDetector {
    /// A detector for PCM at `sample_rate` (Hz, 8000 to 48000).
    ///
    /// # Errors
    /// [`ToneError::Rate`].
    pub fn new(sample_rate: u32) -> Result<Self, ToneError> {
        if !(8_000..=48_000).contains(&sample_rate) {
            return Err(ToneError::Rate(sample_rate));
        }
        let (len, hop) = ((sample_rate / WINDOW) as usize, (sample_rate / HOP) as usize);
        let hann = |n: usize| {
            let x = (n as f64 + 0.5) / len as f64 * core::f64::consts::TAU;
            (0.5 - 0.5 * x.cos()) as f32
        };
        let window: Vec<f32> = (0..len).map(hann).collect();
        let frequencies = DTMF_LOW.into_iter().chain(DTMF_HIGH);
        Ok(Self {
            probes: frequencies.map(|hz| Probe::new(hz, sample_rate, &window, hop)).collect(),
            weight: window.iter().map(|h| h * h).sum(),
            ring: vec![0.0; len],
            window,
            at: 0,
            hop,
            since: 0,
            candidate: None,
        })
    }

    /// Takes PCM, any number of samples; each digit is told once, about 40 ms after it began.
    pub fn push(&mut self, pcm: &[i16], mut found: impl FnMut(Digit)) {
        for sample in pcm {
            if let Some(place) = self.ring.get_mut(self.at) {
                *place = f32::from(*sample) / 32_768.0;
            }
            self.at = self.at.saturating_add(1);
            if self.at >= self.ring.len() {
                self.at = 0;
            }
            self.since = self.since.saturating_add(1);
            if self.since >= self.hop {
                self.since = 0;
                if let Some(digit) = self.look() {
                    found(digit);
                }
            }
        }
    }

    /// The digit that is being heard.
    pub fn current(&self) -> Option<Digit> {
        let candidate = self.candidate.filter(|candidate| candidate.told)?;
        digit_at(candidate.row, candidate.column)
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        self.ring.fill(0.0);
        (self.at, self.since, self.candidate) = (0, 0, None);
        for probe in &mut self.probes {
            (probe.now, probe.before) = (Phasor::default(), Phasor::default());
        }
    }

    /// Looks at the last 20 ms.
    fn look(&mut self) -> Option<Digit> {
        let Self { ring, probes, window, weight, at, .. } = self;
        let (newer, older) = ring.split_at_checked(*at).unwrap_or((&[], &[]));
        let samples = || older.iter().chain(newer).copied();
        let energy: f32 = samples().zip(window.iter()).map(|(s, h)| (s * h) * (s * h)).sum();
        let energy = energy / *weight;
        probes.iter_mut().for_each(|probe| probe.look(samples()));
        let seen = self.tones(energy);
        match (seen, &mut self.candidate) {
            (Some(seen), Some(known)) if known.same(&seen) && known.lasts(&seen) => {
                known.missed = 0;
                known.looks = known.looks.saturating_add(1);
                known.peak = known.peak.max(seen.peak);
                let [a, b] = known.excess;
                let [c, d] = seen.excess;
                known.excess = [a.plus(c), b.plus(d)];
            }
            (seen, Some(known)) => {
                known.missed = known.missed.saturating_add(1);
                // One that was told ends after a pause, any other at once.
                if !known.told || known.missed >= END {
                    self.candidate = seen;
                }
            }
            (seen, None) => self.candidate = seen,
        }
        self.judge()
    }

    /// The strongest row and column, if they are like a digit.
    fn tones(&self, energy: f32) -> Option<Candidate> {
        let (rows, columns) = self.probes.split_at_checked(4)?;
        let strongest = |probes: &[Probe]| {
            let powers = probes.iter().map(|p| p.now.power()).enumerate();
            powers.max_by(|(_, a), (_, b)| a.total_cmp(b))
        };
        let ((row, _), (column, _)) = (strongest(rows)?, strongest(columns)?);
        let (low, high) = (rows.get(row)?.power(), columns.get(column)?.power());
        let like = low >= WEAKEST
            && high >= WEAKEST
            && low <= high * WEAKER
            && high <= low * STRONGER
            && low + high >= energy * PURITY;
        let excess = [rows.get(row)?.excess(), columns.get(column)?.excess()];
        let peak = low + high;
        let (looks, missed, told) = (1, 0, false);
        like.then_some(Candidate { row, column, looks, missed, peak, excess, told })
    }

    /// Tells the candidate once it has lasted and its frequencies are right.
    fn judge(&mut self) -> Option<Digit> {
        let candidate = self.candidate.as_mut()?;
        let right = |index: usize, probe: usize| {
            let excess = candidate.excess.get(index)?;
            let most = self.probes.get(probe)?.most;
            Some(excess.im.atan2(excess.re).abs() <= most)
        };
        let (row, column) = (candidate.row, candidate.column);
        let right = right(0, row)? && right(1, column.saturating_add(4))?;
        if candidate.told || candidate.looks < BEGIN || !right {
            return None;
        }
        candidate.told = true;
        digit_at(row, column)
    }
}

impl Candidate {
    fn same(&self, other: &Self) -> bool {
        (self.row, self.column) == (other.row, other.column)
    }

    /// The other one is not just the end of it in the window.
    fn lasts(&self, other: &Self) -> bool {
        other.peak * FALL >= self.peak
    }
}
