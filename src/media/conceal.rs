//! Concealment of lost frames, waveform based: pitch periods of the past are repeated, more of
//! them as the loss goes on, with a fade; comfort noise in the colour of the background takes over.
//! The frame after the loss is blended in where it fits best.
//!
//! ITU-T G.711 Appendix I works in this way too, but delays all audio by 3.75 ms to smooth the
//! last samples before a loss. Here the step at the joint is taken out of what follows instead,
//! so that nothing is delayed.

mod background;
mod pitch;

use background::Background;
use core::fmt::Debug;

/// Conceals lost audio. One per stream; the session asks the decoder's own concealment first.
pub trait Conceal: Send + Debug {
    /// Sees each frame that was decoded, in order, and may smooth its beginning after a loss.
    fn good(&mut self, pcm: &mut [i16]);
    /// Fills `pcm` in place of audio that is missing.
    fn conceal(&mut self, pcm: &mut [i16]);
    /// Fills `pcm` where the peer pauses: the noise of the background, silence if none was heard.
    fn pause(&mut self, pcm: &mut [i16]) {
        pcm.fill(0);
    }
    /// Sees audio that something else made up (the decoder, for the same purpose).
    fn other(&mut self, pcm: &[i16]) {
        let _ = pcm;
    }
    /// Forgets the past.
    fn reset(&mut self);
}

/// Full level for this long, then the fade.
const HOLD_US: u32 = 10_000;
/// After this long only comfort noise is left.
const FADE_END_US: u32 = 100_000;
/// One more pitch period is repeated after each of these, up to `PERIODS`.
const MORE_US: u32 = 40_000;
const PERIODS: usize = 3;
/// Pitch is looked for between these periods: 200 to 66 Hz. Higher voices repeat two or more.
const PERIOD_US: (u32, u32) = (5_000, 15_000);
/// The wave is shifted towards a frame that it is at least this much like.
const FITS: f32 = 0.7;

/// The concealment of this crate. Costs next to nothing without loss.
#[derive(Debug)]
pub struct PitchRepeat {
    rate: u32,
    /// The last output, long enough for the pitch search and all periods.
    history: Vec<i16>,
    /// Of before the loss.
    past: Vec<i16>,
    /// What is repeated: the last `periods` pitch periods, the end blended into what came before.
    cycle: Vec<i16>,
    cycle_len: usize,
    /// Where the next sample is read in `cycle`.
    at: usize,
    period: usize,
    periods: usize,
    /// What was repeated before, and how much of it is still to be faded out.
    old: Vec<i16>,
    old_left: usize,
    /// The step at the joint, taken out of the first quarter of a period.
    step: f32,
    /// Samples concealed since the last good frame.
    concealed: usize,
    background: Background,
    /// Something was heard.
    heard: bool,
}

fn samples(us: u32, rate: u32) -> usize {
    (u64::from(rate) * u64::from(us) / 1_000_000) as usize
}

impl PitchRepeat {
    /// Concealment for audio of this rate in Hz.
    pub fn new(rate: u32) -> Self {
        let longest = samples(PERIOD_US.1, rate);
        Self {
            rate,
            history: vec![0; longest * PERIODS + longest / 4],
            past: vec![0; longest * PERIODS + longest / 4],
            cycle: vec![0; longest * PERIODS],
            old: vec![0; longest / 4],
            old_left: 0,
            cycle_len: 0,
            at: 0,
            period: longest,
            periods: 0,
            step: 0.0,
            concealed: 0,
            background: Background::new(),
            heard: false,
        }
    }

    fn remember(&mut self, pcm: &[i16]) {
        let keep = pcm.len().min(self.history.len());
        self.history.rotate_left(keep);
        let at = self.history.len() - keep;
        let tail = pcm.get(pcm.len() - keep..).unwrap_or_default();
        self.history.iter_mut().skip(at).zip(tail).for_each(|(h, s)| *h = *s);
    }

    /// A loss begins.
    fn begin(&mut self) {
        self.past.copy_from_slice(&self.history);
        let bound = |us| samples(us, self.rate);
        let (shortest, longest) = (bound(PERIOD_US.0), bound(PERIOD_US.1));
        self.period = pitch::period(&self.past, shortest, longest, self.rate);
        self.take(1);
        (self.at, self.old_left) = (0, 0);
        let last = |back: usize| self.past.iter().rev().nth(back).map_or(0.0, |s| f32::from(*s));
        // As far as the wave is from where it was one period ago.
        self.step = last(0) - last(self.period);
    }

    /// Takes the last periods of the past, the end blended into what came before the beginning, so
    /// that repeating them has no step.
    fn take(&mut self, periods: usize) {
        self.periods = periods;
        self.cycle_len = (self.period * periods).min(self.cycle.len());
        let begin = self.past.len() - self.cycle_len;
        let last = self.past.get(begin..).unwrap_or_default();
        self.cycle.iter_mut().zip(last).for_each(|(c, h)| *c = *h);
        let overlap = self.overlap().min(begin);
        let before = self.past.get(begin - overlap..begin).unwrap_or_default();
        let joined = self.cycle.iter_mut().take(self.cycle_len).rev().zip(before.iter().rev());
        let joined = joined.take(overlap).enumerate();
        joined.for_each(|(i, (c, b))| *c = mix(*b, *c, i, overlap));
    }

    /// A quarter of a period.
    fn overlap(&self) -> usize {
        self.period / 4
    }

    /// More periods as the loss goes on; the fewer ones fade out.
    fn take_more(&mut self) {
        let wanted = (1 + self.concealed / samples(MORE_US, self.rate).max(1)).min(PERIODS);
        if wanted <= self.periods {
            return;
        }
        let overlap = self.overlap();
        for i in 0..overlap {
            let sample = self.wave(i as f32) as i16;
            if let Some(old) = self.old.get_mut(i) {
                *old = sample;
            }
        }
        self.old_left = overlap;
        self.at %= self.period.max(1);
        self.take(wanted);
    }

    fn gain(&self) -> f32 {
        let (hold, end) = (samples(HOLD_US, self.rate), samples(FADE_END_US, self.rate));
        let left = end.saturating_sub(self.concealed.max(hold));
        left as f32 / (end - hold) as f32
    }

    /// The repeated wave, so many samples beyond the next one.
    fn wave(&self, ahead: f32) -> f32 {
        let whole = ahead.floor();
        let cycle = self.cycle_len.max(1);
        let at = (self.at as i64 + whole as i64).rem_euclid(cycle as i64) as usize;
        let of = |at: usize| self.cycle.get(at % cycle).copied().map_or(0.0, f32::from);
        let part = ahead - whole;
        if part > 0.0 { of(at) * (1.0 - part) + of(at + 1) * part } else { of(at) }
    }

    /// The next sample of concealment, read `shift` samples away from its place.
    fn next(&mut self, shift: f32) -> f32 {
        self.take_more();
        let mut wave = self.wave(shift);
        let overlap = self.overlap().max(1);
        if self.old_left > 0 {
            let old = self.old.get(overlap.saturating_sub(self.old_left)).copied();
            let part = self.old_left as f32 / (overlap + 1) as f32;
            wave += (old.map_or(0.0, f32::from) - wave) * part;
            self.old_left -= 1;
        }
        wave += self.step * (1.0 - self.concealed as f32 / overlap as f32).max(0.0);
        self.at = (self.at + 1) % self.cycle_len.max(1);
        let gain = self.gain();
        self.concealed = self.concealed.saturating_add(1);
        let noise = if gain < 1.0 { self.background.next() * (1.0 - gain) } else { 0.0 };
        wave * gain + noise
    }

    /// By how many samples the repeated wave is ahead of, or behind, the frame that follows.
    fn misfit(&self, pcm: &[i16]) -> f32 {
        let reach = (self.period / 2) as i32;
        let frame = pcm.get(..self.period.min(pcm.len())).unwrap_or_default();
        let step = (self.rate as usize / 8_000).max(1);
        let mut best = (0, FITS);
        for shift in (-reach..=reach).step_by(step) {
            let (mut cross, mut ours, mut theirs) = (0.0f32, 0.0f32, 0.0f32);
            for (i, s) in frame.iter().enumerate().step_by(step) {
                let (a, b) = (self.wave((i as i32 + shift) as f32), f32::from(*s));
                cross += a * b;
                ours += a * a;
                theirs += b * b;
            }
            // The nearer of two that fit equally well.
            let far = shift.unsigned_abs() as f32 / (reach.max(1) as f32);
            let score = cross / (ours * theirs).max(1.0).sqrt() - 0.1 * far;
            if score > best.1 {
                best = (shift, score);
            }
        }
        best.0 as f32
    }

    /// Blends the concealment into the beginning of the frame that follows it.
    fn merge(&mut self, pcm: &mut [i16]) {
        let blend = self.overlap().min(pcm.len());
        let misfit = if self.gain() > 0.0 { self.misfit(pcm) } else { 0.0 };
        for (i, s) in pcm.iter_mut().take(blend).enumerate() {
            let part = (i + 1) as f32 / (blend + 1) as f32;
            let ours = self.next(misfit * part);
            *s = (ours * (1.0 - part) + f32::from(*s) * part) as i16;
        }
    }
}

impl Conceal for PitchRepeat {
    fn good(&mut self, pcm: &mut [i16]) {
        self.background.hear(pcm);
        if self.concealed > 0 {
            self.merge(pcm);
            self.concealed = 0;
        }
        self.heard = true;
        self.remember(pcm);
    }

    fn conceal(&mut self, pcm: &mut [i16]) {
        if self.concealed == 0 {
            self.begin();
        }
        for s in pcm.iter_mut() {
            *s = self.next(0.0) as i16;
        }
        self.remember(pcm);
    }

    fn pause(&mut self, pcm: &mut [i16]) {
        if self.heard {
            self.conceal(pcm);
        } else {
            pcm.fill(0);
        }
    }

    fn other(&mut self, pcm: &[i16]) {
        self.concealed = 0;
        self.remember(pcm);
    }

    fn reset(&mut self) {
        self.history.fill(0);
        self.background = Background::new();
        self.concealed = 0;
        self.heard = false;
    }
}

/// `from` at position 0, `to` at position `len`.
fn mix(from: i16, to: i16, at: usize, len: usize) -> i16 {
    let (at, len) = (at as i32, len.max(1) as i32);
    ((i32::from(from) * (len - at) + i32::from(to) * at) / len) as i16
}

/// Normalised correlation of two stretches of audio, every `step`th sample; 0 if either is silent.
pub(super) fn likeness(a: &[i16], b: &[i16], step: usize) -> f32 {
    let (mut cross, mut pa, mut pb) = (0.0f32, 0.0f32, 0.0f32);
    for (x, y) in a.iter().zip(b).step_by(step) {
        let (x, y) = (f32::from(*x), f32::from(*y));
        cross += x * y;
        pa += x * x;
        pb += y * y;
    }
    if pa <= 0.0 || pb <= 0.0 { 0.0 } else { cross / (pa * pb).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f32, from: usize, n: usize) -> Vec<i16> {
        (from..from + n)
            .map(|i| ((i as f32 / rate as f32 * hz * std::f32::consts::TAU).sin() * 8_000.0) as i16)
            .collect()
    }

    fn power(pcm: &[i16]) -> f32 {
        (pcm.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>() / pcm.len() as f32).sqrt()
    }

    #[test]
    fn a_lost_frame_of_a_steady_tone_is_hardly_audible() {
        for (rate, hz) in [(8_000, 200.0), (16_000, 125.0), (48_000, 160.0)] {
            let frame = rate as usize / 50;
            let mut c = PitchRepeat::new(rate);
            for i in 0..10 {
                c.good(&mut tone(rate, hz, i * frame, frame));
            }
            let mut got = vec![0; frame / 2];
            c.conceal(&mut got);
            let want = tone(rate, hz, 10 * frame, frame / 2);
            assert!(likeness(&got, &want, 1) > 0.97, "{rate}: {}", likeness(&got, &want, 1));
        }
    }

    #[test]
    fn a_long_gap_fades_to_the_background_and_speech_returns_without_a_step() {
        let mut c = PitchRepeat::new(8_000);
        for i in 0..10 {
            c.good(&mut tone(8_000, 200.0, i * 160, 160));
        }
        let mut out = vec![0; 960];
        c.conceal(&mut out);
        assert!(power(&out[..80]) > 5_000.0);
        assert!(power(&out[800..]) <= 150.0, "{}", power(&out[800..]));
        let mut back = tone(8_000, 200.0, 20, 160);
        c.good(&mut back);
        assert!(back[0].unsigned_abs() < 1_000, "{}", back[0]);
        assert_eq!(back[40..], tone(8_000, 200.0, 20, 160)[40..]);
    }

    #[test]
    fn without_loss_nothing_is_touched() {
        let mut c = PitchRepeat::new(16_000);
        let frame = tone(16_000, 440.0, 0, 320);
        let mut again = frame.clone();
        c.good(&mut again);
        assert_eq!(again, frame);
    }

    #[test]
    fn the_wave_goes_on_without_a_step_and_meets_the_next_frame_in_phase() {
        // The tone is where it would have been anyway, or a fifth of its 6.25 ms further.
        for skipped in [0, 10] {
            let mut c = PitchRepeat::new(8_000);
            (0..10).for_each(|i| c.good(&mut tone(8_000, 160.0, i * 160, 160)));
            let mut gap = vec![0; 80];
            c.conceal(&mut gap);
            let mut back = tone(8_000, 160.0, 1_680 + skipped, 160);
            let clean = back.clone();
            c.good(&mut back);
            let all = [tone(8_000, 160.0, 1_590, 10), gap, back].concat();
            let step = all.windows(2).map(|w| w[0].abs_diff(w[1])).max().unwrap();
            let smooth = clean.windows(2).map(|w| w[0].abs_diff(w[1])).max().unwrap();
            assert!(step < smooth * 2, "{step} after {skipped}: the tone alone has {smooth}");
            let (level, whole) = (power(&all[90..110]), power(&clean[..20]));
            assert!(level > whole * 0.5, "{level} of {whole} after {skipped}");
        }
    }

    #[test]
    fn a_pause_is_the_background_and_silence_before_anything_was_heard() {
        let mut c = PitchRepeat::new(8_000);
        let mut out = vec![1; 160];
        c.pause(&mut out);
        assert_eq!(out, [0; 160]);
        let mut noise = 1u32;
        for _ in 0..300 {
            let mut frame: Vec<i16> = (0..160)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((noise >> 16) as i16) / 400
                })
                .collect();
            c.good(&mut frame);
        }
        let mut out = vec![0; 4_000];
        c.pause(&mut out);
        let level = power(&out[2_000..]);
        assert!((35.0..60.0).contains(&level), "{level}");
    }
}
