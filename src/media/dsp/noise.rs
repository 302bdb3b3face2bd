//! Noise suppression. Whether a block holds the near voice is told by the power of the whole band of
//! speech: a crowd's sum moves little there, while each of its bins does what the bins of a voice do.
//! With that probability the noise's power is followed (the update of Gerkmann and Hendriks,
//! "Unbiased MMSE-based noise power estimation with low complexity and low tracking delay", 2012),
//! between bounds that the quietest moment of the last seconds sets ([`floor`](super::floor)). The
//! gain is that of the least error of the logarithmic amplitude (Ephraim and Malah, 1985) with a
//! decision-directed estimate of the speech, moved towards the least gain where no voice is likely
//! (Cohen and Berdugo, "Speech enhancement for non-stationary noise environments", 2001).

use super::floor::Floor;

/// The bins of 50 Hz that tell whether a voice is there: 300 Hz to 4 kHz. A fan's hum lies below.
const BAND: core::ops::RangeInclusive<usize> = 6..=80;
/// The speech-to-noise ratio that speech is supposed to have: 10 dB.
const SPEECH: f32 = 10.0;
/// Smoothing of the noise per block of 10 ms.
const NOISE_KEEP: f32 = 0.99;
/// Weight of the last block's speech in the estimate of this one's: steady noise, a crowd.
const SPEECH_KEEP: (f32, f32) = (0.85, 0.93);
/// No bin is taken down by more than this: -18 dB.
const FLOOR: f32 = 0.125;
/// And none by more than what brings the noise this far below the speech, as a ratio of powers:
/// 28 dB. Quieter noise disturbs less than its suppression does.
const QUIET_ENOUGH: f32 = 0.001_585;
/// How fast the level of speech is followed up, and forgotten: 0.4 dB/s.
const LEVEL_UP: f32 = 0.1;
const LEVEL_KEEP: f32 = 0.999;
/// The noise is taken for this much stronger: it fluctuates about its mean.
const OVER: f32 = 3.0;
/// And for this much where a voice is sure: steady noise, a crowd.
const SURE: (f32, f32) = (0.5, 2.5);
/// How much the band's probability of a voice counts in that of a bin, as a power: steady, a crowd.
const BAND_WEIGHT: (f32, f32) = (0.0, 0.4);
/// The least ratio that is assumed.
const LEAST_RATIO: f32 = 0.001;
/// What is left of a voice's probability after a block, for what is learnt: words end softly.
const HOLD: f32 = 0.8;
/// Where the noise is known too weak, a voice is told by its ratio to this many times the background.
const NO_VOICE: f32 = 2.0;
/// Blocks at the start of which the mean is taken for noise.
const START: u32 = 8;
/// No more than this in the band is taken for noise at the start, when somebody may be speaking:
/// about -36 dBFS.
const ROOM: f32 = 2.0e9;
/// Less than this in the band is digital silence, of which nothing is learnt: a muted microphone.
const SILENCE: f32 = 100.0;

/// Follows the noise and takes it down.
#[derive(Debug)]
pub(super) struct NoiseReducer {
    noise: Vec<f32>,
    /// The sum of it over the band of speech.
    known: f32,
    /// Power of the speech that the last block left.
    speech: Vec<f32>,
    /// Averages over neighbours.
    blurred: Vec<f32>,
    own: Vec<f32>,
    floor: Floor,
    /// Probability of a voice in the block.
    presence: f32,
    /// The same, held.
    held: f32,
    /// Power of the louder blocks.
    level: f32,
    blocks: u32,
}

/// The sum over the band of speech.
fn in_band(power: &[f32]) -> f32 {
    power.iter().skip(*BAND.start()).take(BAND.count()).sum()
}

/// The probability of speech at this ratio of powers to the noise.
fn probability(ratio: f32) -> f32 {
    1.0 / (1.0 + (1.0 + SPEECH) * (-ratio.min(100.0) * SPEECH / (1.0 + SPEECH)).exp())
}

impl NoiseReducer {
    pub(super) fn new(bins: usize) -> Self {
        let noise = vec![1.0; bins];
        Self {
            known: in_band(&noise),
            noise,
            speech: vec![0.0; bins],
            blurred: vec![0.0; bins],
            own: vec![1.0; bins],
            floor: Floor::default(),
            presence: 0.0,
            held: 0.0,
            level: 0.0,
            blocks: 0,
        }
    }

    /// Power of the noise in each bin.
    pub(super) fn level(&self) -> &[f32] {
        &self.noise
    }

    /// Takes the power of one block.
    pub(super) fn learn(&mut self, power: &[f32]) {
        let now = power.iter().sum::<f32>();
        self.level = (self.level + LEVEL_UP * (now - self.level)).max(self.level * LEVEL_KEEP);
        let heard = in_band(power);
        if heard < SILENCE {
            self.presence = 0.0;
            return;
        }
        self.floor.update(heard);
        let rate = if self.blocks < START {
            self.blocks += 1;
            1.0 / self.blocks as f32
        } else {
            let least = self.known.max(self.floor.least());
            let missed = self.floor.missed(self.known);
            let known = missed.map_or(least, |background| least.max(NO_VOICE * background));
            self.presence = probability(heard / (known + 1.0));
            self.held = self.presence.max(HOLD * self.held);
            (1.0 - NOISE_KEEP) * (1.0 - self.held)
        };
        self.noise.iter_mut().zip(power).for_each(|(n, p)| *n += rate * (p - *n));
        let known = in_band(&self.noise);
        let start = if self.blocks < START { (ROOM / (known + 1.0)).min(1.0) } else { 1.0 };
        let down = self.floor.bound(known).min(start);
        self.noise.iter_mut().for_each(|n| *n *= down);
        self.known = down * known;
    }

    /// Multiplies the gains against the noise into `gains`.
    pub(super) fn gains(&mut self, power: &[f32], gains: &mut [f32]) {
        let noise = self.noise.iter().sum::<f32>() + 1.0;
        let floor = (QUIET_ENOUGH * self.level / noise).sqrt().clamp(FLOOR, 1.0);
        blur(power, &mut self.blurred);
        // A fan needs less than a crowd, whose power moves about its mean as a voice does.
        let unrest = self.floor.unrest(self.known);
        let between = |steady: f32, crowd: f32| steady + (crowd - steady) * unrest;
        let sure = between(SURE.0, SURE.1);
        let keep = between(SPEECH_KEEP.0, SPEECH_KEEP.1);
        let presence = self.presence.powf(between(BAND_WEIGHT.0, BAND_WEIGHT.1));
        let bins = self.own.iter_mut().zip(power).zip(&self.noise).zip(&mut self.speech);
        for ((((gain, power), noise), speech), around) in bins.zip(&self.blurred) {
            let p = probability(around / (noise + 1.0));
            let noise = (OVER + (sure - OVER) * p) * noise + 1.0;
            let posterior = (power / noise).clamp(0.001, 1000.0);
            let prior = keep * *speech / noise + (1.0 - keep) * (posterior - 1.0).max(0.0);
            let prior = prior.max(LEAST_RATIO);
            let wiener = prior / (1.0 + prior);
            let g = (wiener * (0.5 * exp_integral(wiener * posterior)).exp()).clamp(floor, 1.0);
            *speech = g * g * power;
            *gain = floor * (g / floor).powf(presence * p.sqrt().sqrt());
        }
        blur(&self.own, &mut self.blurred);
        gains.iter_mut().zip(&self.blurred).for_each(|(gain, own)| *gain *= own);
    }
}

/// The weighted mean of each bin and its neighbours.
fn blur(bins: &[f32], out: &mut [f32]) {
    let first = bins.first().copied().unwrap_or_default();
    let last = bins.last().copied().unwrap_or_default();
    let before = core::iter::once(&first).chain(bins);
    let after = bins.iter().skip(1).chain(core::iter::once(&last));
    for (((out, bin), before), after) in out.iter_mut().zip(bins).zip(before).zip(after) {
        *out = 0.5 * bin + 0.25 * (before + after);
    }
}

/// The exponential integral E1 (Abramowitz and Stegun 5.1.53 and 5.1.54).
fn exp_integral(x: f32) -> f32 {
    if x < 1.0 {
        let x = x.max(1.0e-6);
        let series = -0.577_215_7
            + x * (0.999_991_93
                + x * (-0.249_910_55
                    + x * (0.055_199_68 + x * (-0.009_760_04 + x * 0.001_078_57))));
        series - x.ln()
    } else {
        let x = x.min(80.0);
        (-x).exp() / x * (x * x + 2.334_733 * x + 0.250_621) / (x * x + 3.330_657 * x + 1.681_534)
    }
}
