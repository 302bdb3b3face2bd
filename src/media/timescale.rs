//! Playing a frame a little faster or slower without a change of pitch: whole periods are left out
//! or repeated, one blended into the other over its full length (WSOLA, in step with the pitch).

use super::conceal::likeness;
use crate::time::Duration;
use core::fmt::Debug;

/// Changes the length of decoded frames. The session calls it when the jitter buffer asks.
pub trait TimeScale: Send + Debug {
    /// Shortens the `len` samples at the beginning of `pcm` by at most `excess`; returns the new
    /// length (`len` if this frame is not fit for it).
    fn shrink(&mut self, pcm: &mut [i16], len: usize, excess: Duration) -> usize;
    /// Whether these samples are so quiet that nobody hears their length change.
    fn is_quiet(&self, pcm: &[i16]) -> bool;
    /// Lengthens them by at most `lack`, in the room that `pcm` has; returns the new length.
    fn grow(&mut self, pcm: &mut [i16], len: usize, lack: Duration) -> usize;
    /// Hears what is played, in order, changed or not.
    fn heard(&mut self, pcm: &[i16]) {
        let _ = pcm;
    }
}

/// Overlap-add at the best matching lag, with what was played before at hand.
#[derive(Debug)]
pub struct OverlapAdd {
    rate: u32,
    /// The last output, as long as the longest period.
    history: Vec<i16>,
    /// RMS of the quietest frames.
    floor: f32,
}

/// Periods that are left out or repeated: 400 to 66 Hz.
const LAG_US: (u32, u32) = (2_500, 15_000);
/// The shortest blend.
const BLEND_US: u32 = 2_500;
/// Two periods are fit if they are at least this alike.
const ALIKE: f32 = 0.85;
/// The same where much delay is to go: better a trace of roughness than a late answer.
const ALIKE_IN_HASTE: f32 = 0.6;
/// From this much on it is haste.
const HASTE: Duration = Duration::from_millis(40);
/// What is as quiet as this, or not much louder than the background, is fit whatever it is.
const QUIET: f32 = 60.0;
const BACKGROUND: (f32, f32) = (2.0, 250.0);

impl OverlapAdd {
    /// For audio of this rate in Hz.
    pub fn new(rate: u32) -> Self {
        Self { rate, history: vec![0; samples(LAG_US.1, rate)], floor: QUIET }
    }

    /// Lags to try: up to `limit`, and to `most` samples.
    fn lags(&self, limit: Duration, most: usize) -> (usize, usize) {
        let limit = limit.as_micros().min(u128::from(LAG_US.1)) as u32;
        (samples(LAG_US.0, self.rate), samples(limit, self.rate).min(most))
    }

    /// The lag of the pair of periods that are most alike, if they are alike enough; in haste the
    /// longest that is nearly so.
    fn best<'a>(
        &self,
        (shortest, longest): (usize, usize),
        haste: bool,
        pair: impl Fn(usize) -> (&'a [i16], &'a [i16]),
    ) -> Option<usize> {
        // 8 kHz of samples tell how alike they are.
        let step = (self.rate as usize / 8_000).max(1);
        let enough = if haste { ALIKE_IN_HASTE } else { ALIKE };
        let mut best = (0, enough);
        for lag in (shortest..=longest).step_by(step) {
            let (a, b) = pair(lag);
            let score = likeness(a, b, step);
            let margin = if haste { 0.05 } else { 0.0 };
            if score >= best.1 - margin && score >= enough {
                best = (lag, score.max(best.1));
            }
        }
        (best.0 > 0).then_some(best.0)
    }
}

/// Samples in so many microseconds.
fn samples(us: u32, rate: u32) -> usize {
    (u64::from(rate) * u64::from(us) / 1_000_000) as usize
}

/// Root mean square of the samples.
fn rms(pcm: &[i16]) -> f32 {
    let power: f32 = pcm.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
    (power / pcm.len().max(1) as f32).sqrt()
}

/// `from` blends into `to`, in place of `to`.
fn blend(from: &[i16], to: &mut [i16]) {
    let parts = from.len().min(to.len()) as i32 + 1;
    for (i, (from, to)) in (1..).zip(from.iter().zip(to)) {
        *to = ((i32::from(*from) * (parts - i) + i32::from(*to) * i) / parts) as i16;
    }
}

impl TimeScale for OverlapAdd {
    fn is_quiet(&self, pcm: &[i16]) -> bool {
        let rms = rms(pcm);
        rms < QUIET || rms < (self.floor * BACKGROUND.0).min(BACKGROUND.1)
    }

    fn shrink(&mut self, pcm: &mut [i16], len: usize, excess: Duration) -> usize {
        let Some(frame) = pcm.get_mut(..len) else { return len };
        let shortest_blend = samples(BLEND_US, self.rate);
        let lags = self.lags(excess, len.saturating_sub(shortest_blend));
        if lags.0 > lags.1 {
            return len;
        }
        let over = |lag: usize| lag.min(len - lag);
        let lag = if self.is_quiet(frame) {
            lags.1
        } else {
            let of = &*frame;
            let pair = |lag: usize| {
                let later = of.get(lag..).unwrap_or_default();
                (of.get(..over(lag)).unwrap_or_default(), later)
            };
            match self.best(lags, excess >= HASTE, pair) {
                Some(lag) => lag,
                None => return len,
            }
        };
        // The first period blends into the one that follows it, and all after it moves up.
        let (first, later) = frame.split_at_mut(lag);
        let over = over(lag);
        if let (Some(first), Some(later)) = (first.get(..over), later.get_mut(..over)) {
            blend(first, later);
        }
        frame.copy_within(lag.., 0);
        len - lag
    }

    fn grow(&mut self, pcm: &mut [i16], len: usize, lack: Duration) -> usize {
        let room = pcm.len().saturating_sub(len);
        let lags = self.lags(lack, len.min(room).min(self.history.len()));
        let Some(frame) = pcm.get(..len) else { return len };
        if lags.0 > lags.1 {
            return len;
        }
        let lag = if self.is_quiet(frame) {
            lags.1
        } else {
            let pair = |lag: usize| {
                let before = self.history.get(self.history.len() - lag..).unwrap_or_default();
                (frame.get(..lag).unwrap_or_default(), before)
            };
            match self.best(lags, false, pair) {
                Some(lag) => lag,
                None => return len,
            }
        };
        // What follows naturally blends into the period that was just played, which runs into the
        // frame: it plays one period later.
        let Some(all) = pcm.get_mut(..len + lag) else { return len };
        all.copy_within(..len, lag);
        let (repeated, frame) = all.split_at_mut(lag);
        let before = self.history.get(self.history.len() - lag..).unwrap_or_default();
        repeated.copy_from_slice(before);
        blend(frame.get(..lag).unwrap_or_default(), repeated);
        len + lag
    }

    fn heard(&mut self, pcm: &[i16]) {
        let rms = rms(pcm);
        self.floor = if rms < self.floor { rms } else { (self.floor * 1.01 + 0.02).min(rms) };
        let keep = pcm.len().min(self.history.len());
        self.history.rotate_left(keep);
        let at = self.history.len() - keep;
        let tail = pcm.get(pcm.len() - keep..).unwrap_or_default();
        self.history.iter_mut().skip(at).zip(tail).for_each(|(h, s)| *h = *s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(n: usize) -> Vec<i16> {
        (0..n).map(|i| ((i as f32 * 0.157).sin() * 8_000.0) as i16).collect()
    }

    /// The largest step between neighbours: a click shows here.
    fn roughness(pcm: &[i16]) -> u16 {
        pcm.windows(2).map(|w| w[0].abs_diff(w[1])).max().unwrap()
    }

    #[test]
    fn a_period_leaves_or_is_repeated_without_a_click() {
        let mut t = OverlapAdd::new(8_000);
        t.heard(&tone(160));
        let smooth = roughness(&tone(160));
        let mut pcm = [tone(160), vec![0; 160]].concat();
        let n = t.shrink(&mut pcm, 160, Duration::from_millis(20));
        assert!(n < 160 && (160 - n).is_multiple_of(40), "{n}");
        assert!(roughness(&pcm[..n]) <= smooth + 200, "{}", roughness(&pcm[..n]));
        let mut pcm = [tone(160), vec![0; 160]].concat();
        let n = t.grow(&mut pcm, 160, Duration::from_millis(20));
        assert!(n > 160 && (n - 160).is_multiple_of(40), "{n}");
        assert!(roughness(&pcm[..n]) <= smooth + 200, "{}", roughness(&pcm[..n]));
        assert_eq!(pcm[n - 20..n], tone(160)[140..]);
    }

    #[test]
    fn what_does_not_repeat_is_left_alone_and_silence_is_cut_freely() {
        let mut t = OverlapAdd::new(8_000);
        let mut noise = vec![0i16; 320];
        let mut rng = crate::util::SeededRng::new(3);
        noise.iter_mut().take(160).for_each(|s| {
            *s = crate::util::RngExt::next_u16(&mut rng).cast_signed() / 4;
        });
        assert_eq!(t.shrink(&mut noise, 160, Duration::from_millis(20)), 160);
        let mut quiet = vec![0i16; 320];
        assert_eq!(t.shrink(&mut quiet, 160, Duration::from_millis(10)), 80);
        assert_eq!(t.grow(&mut quiet, 160, Duration::from_millis(1)), 160);
    }
}
