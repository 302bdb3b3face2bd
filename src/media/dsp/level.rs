//! Automatic gain: speech is brought to a level of -20 dBFS, slowly, measured while the near end
//! speaks only; a limiter with 1 ms of grain keeps peaks off full scale.

use crate::media::level::dbfs;

/// Level of the louder parts of speech, in dBFS: active speech is then at about -20.
const TARGET: f32 = -18.0;
/// Bounds of the gain in dB.
const GAIN: (f32, f32) = (-12.0, 24.0);
/// The gain moves by this much in 10 ms at most: 6 dB/s up, 12 dB/s down.
const UP: f32 = 0.06;
const DOWN: f32 = 0.12;
/// Noise is not raised above this level, in dBFS.
const NOISE: f32 = -45.0;
/// The background is the quietest block of the last one to two times so many.
const NOISE_BLOCKS: u32 = 400;
/// Blocks quieter than this are no speech, in dBFS.
const QUIET: f32 = -60.0;
/// How fast the measured level follows louder and quieter blocks.
const LOUDER: f32 = 0.06;
const QUIETER: f32 = 0.006;
/// A gain within this of the wanted one stays, so that it does not breathe with the words.
const DEAD: f32 = 1.5;
/// Peaks are kept below this.
const PEAK: f32 = 29_000.0;
/// The limiter lets go by this factor per ms: 20 dB/s.
const RELEASE: f32 = 1.0023;

/// The gain and its limiter.
#[derive(Debug)]
pub(super) struct GainControl {
    level: Option<f32>,
    gain_db: f32,
    wanted: f32,
    /// The background's power: that of the quietest block lately.
    noise: f32,
    /// The quietest of those that are being collected, and how many they are.
    quietest: (f32, u32),
    /// Factor at the end of the last block.
    factor: f32,
    limit: f32,
    grain: usize,
}

impl GainControl {
    /// For blocks at this rate.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            level: None,
            gain_db: 0.0,
            wanted: 0.0,
            noise: f32::MAX,
            quietest: (f32::MAX, 0),
            factor: 1.0,
            limit: 1.0,
            grain: (rate / 1_000) as usize,
        }
    }

    /// In dB, without the limiter.
    pub(super) fn gain_db(&self) -> f32 {
        self.gain_db
    }

    /// Follows the background. Digital silence is none: it comes from a gate or a late start.
    fn follow_noise(&mut self, power: f32) {
        if power < 1.0 {
            return;
        }
        let (quietest, blocks) = &mut self.quietest;
        *quietest = quietest.min(power);
        *blocks += 1;
        self.noise = self.noise.min(power);
        if *blocks >= NOISE_BLOCKS {
            self.noise = *quietest;
            self.quietest = (f32::MAX, 0);
        }
    }

    /// Measures a block of the lower band. `speech`: the near end speaks.
    pub(super) fn measure(&mut self, on: bool, block: &[f32], speech: bool) {
        let power = block.iter().map(|s| s * s).sum::<f32>() / block.len().max(1) as f32;
        self.follow_noise(power);
        if !on {
            self.level = None;
            self.wanted = 0.0;
        } else if speech {
            let now = dbfs(power.sqrt());
            if now > QUIET {
                let level = self.level.get_or_insert(now);
                *level += if now > *level { LOUDER } else { QUIETER } * (now - *level);
                let most = (NOISE - dbfs(self.noise.sqrt())).max(0.0);
                let wanted = (TARGET - *level).min(most).clamp(GAIN.0, GAIN.1);
                if (wanted - self.wanted).abs() > DEAD {
                    self.wanted = wanted;
                }
            }
        }
        self.gain_db += (self.wanted - self.gain_db).clamp(-DOWN, UP);
    }

    /// Applies the gain to a block of the full rate.
    pub(super) fn apply(&mut self, block: &[f32], pcm: &mut [i16]) {
        let gain = 10f32.powf(self.gain_db * 0.05);
        let peak = |s: &[f32]| s.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let mut grains = block.chunks(self.grain).zip(pcm.chunks_mut(self.grain)).peekable();
        let idle = self.gain_db == 0.0 && self.factor == 1.0;
        while let Some((samples, out)) = grains.next() {
            let next = grains.peek().map_or(0.0, |(s, _)| peak(s));
            let allowed = |p: f32| PEAK / (p * gain).max(PEAK);
            self.limit = if idle { 1.0 } else { (self.limit * RELEASE).min(1.0) };
            let mut now = self.limit;
            if !idle {
                // The end of this grain suits the next one, its beginning at least this one.
                now = self.limit.min(allowed(peak(samples)));
                self.limit = now.min(allowed(next));
            }
            let (from, to) = (self.factor.min(now * gain), self.limit * gain);
            let step = (to - from) / samples.len().max(1) as f32;
            let mut factor = from;
            for (o, s) in out.iter_mut().zip(samples) {
                factor += step;
                // Saturates.
                *o = (s * factor).round() as i16;
            }
            self.factor = to;
        }
    }
}
