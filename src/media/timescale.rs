//! Playing a frame a little faster or slower without a change of pitch: one period is left out or
//! repeated, with a cross-fade where the two ends meet.

use super::conceal::{likeness, mix};
use crate::time::Duration;
use core::fmt::Debug;

/// Changes the length of decoded frames. The session calls it when the jitter buffer asks.
pub trait TimeScale: Send + Debug {
    /// Shortens the `len` samples at the beginning of `pcm` by at most `excess`; returns the new
    /// length (`len` if this frame is not fit for it).
    fn shrink(&mut self, pcm: &mut [i16], len: usize, excess: Duration) -> usize;
    /// Lengthens them by at most `lack`, in the room that `pcm` has; returns the new length.
    fn grow(&mut self, pcm: &mut [i16], len: usize, lack: Duration) -> usize;
}

/// Overlap-add at the best matching lag within one frame.
#[derive(Debug)]
pub struct OverlapAdd {
    rate: u32,
}

/// Frames are fit if the two ends are at least this alike, or nearly silent.
const ALIKE: f32 = 0.6;
const QUIET: f32 = 60.0;

impl OverlapAdd {
    /// For audio of this rate in Hz.
    pub const fn new(rate: u32) -> Self {
        Self { rate }
    }

    const fn fade(&self) -> usize {
        self.rate as usize * 4 / 1_000
    }

    /// The best lag of at most `limit` in the frame, if it is fit.
    fn lag(&self, pcm: &[i16], limit: Duration) -> Option<usize> {
        let limit = (limit.as_micros().min(1_000_000) as u64 * u64::from(self.rate)) / 1_000_000;
        let shortest = self.rate as usize * 25 / 10_000;
        let longest = pcm.len().checked_sub(self.fade())?.min(limit as usize);
        if longest < shortest {
            return None;
        }
        let power: f32 = pcm.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
        if power < QUIET * QUIET * pcm.len() as f32 {
            return Some(longest);
        }
        let head = pcm.get(..self.fade())?;
        let step = (self.rate as usize / 12_000).max(1);
        let mut best = (0, ALIKE);
        for lag in shortest..=longest {
            let score = likeness(head, pcm.get(lag..).unwrap_or_default(), step);
            if score > best.1 {
                best = (lag, score);
            }
        }
        (best.0 > 0).then_some(best.0)
    }
}

impl TimeScale for OverlapAdd {
    fn shrink(&mut self, pcm: &mut [i16], len: usize, excess: Duration) -> usize {
        let Some(frame) = pcm.get_mut(..len) else { return len };
        let Some(lag) = self.lag(frame, excess) else { return len };
        // The beginning fades into what comes one lag later; the rest moves up.
        for i in 0..self.fade() {
            let later = frame.get(i + lag).copied().unwrap_or(0);
            if let Some(s) = frame.get_mut(i) {
                *s = mix(*s, later, i + 1, self.fade());
            }
        }
        frame.copy_within(lag + self.fade().., self.fade());
        len - lag
    }

    fn grow(&mut self, pcm: &mut [i16], len: usize, lack: Duration) -> usize {
        let Some(lag) = pcm.get(..len).and_then(|frame| self.lag(frame, lack)) else { return len };
        let Some(room) = pcm.get_mut(..len + lag) else { return len };
        // All up to one lag plays, then fades back into the beginning, which plays again.
        room.copy_within(..len, lag);
        for i in 0..self.fade() {
            // After the move, the original sample at `lag + i` is at `2 * lag + i`.
            let onward = room.get(2 * lag + i).copied();
            if let (Some(onward), Some(s)) = (onward, room.get_mut(lag + i)) {
                *s = mix(onward, *s, i + 1, self.fade());
            }
        }
        len + lag
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
