//! ITU-T G.711 Appendix I, packet loss concealment for G.711, from its description: the yardstick
//! of our own. Frames of 10 ms at 8 kHz; its output is 30 samples (3.75 ms) late.
#![allow(dead_code, unreachable_pub)]

/// Samples of a frame.
pub const FRAME: usize = 80;
/// By so much the output is late.
pub const LATE: usize = 30;
const SHORTEST: usize = 40;
const LONGEST: usize = 120;
const COMPARED: usize = 160;
const HISTORY: usize = LONGEST * 3 + LATE;
/// Level lost per frame from the second on.
const FADE: f32 = 0.2;

pub struct AppendixI {
    /// The last output, the newest at the end; the last 30 samples are not out yet.
    history: Vec<f32>,
    /// The history when the loss began, its end changed as more periods are used.
    pitch: Vec<f32>,
    /// The last quarter of a period before the loss, unchanged.
    last: Vec<f32>,
    period: usize,
    periods: usize,
    at: usize,
    erased: usize,
}

impl AppendixI {
    pub fn new() -> Self {
        Self {
            history: vec![0.0; HISTORY],
            pitch: vec![0.0; HISTORY],
            last: Vec::new(),
            period: LONGEST,
            periods: 0,
            at: 0,
            erased: 0,
        }
    }

    /// A frame came.
    pub fn good(&mut self, frame: &[i16]) -> Vec<i16> {
        let mut frame: Vec<f32> = frame.iter().map(|s| f32::from(*s)).collect();
        if self.erased > 0 {
            let overlap = (self.period / 4 + (self.erased - 1) * 32).min(FRAME);
            let made = self.speech(overlap);
            let gain = (1.0 - (self.erased - 1) as f32 * FADE).max(0.0);
            for (i, made) in made.iter().enumerate() {
                let part = (i + 1) as f32 / overlap as f32;
                frame[i] = made * gain * (1.0 - part) + frame[i] * part;
            }
            self.erased = 0;
        }
        self.save(&frame)
    }

    /// A frame is missing.
    pub fn lost(&mut self) -> Vec<i16> {
        let frame = match self.erased {
            0 => {
                self.pitch.copy_from_slice(&self.history);
                self.period = self.find_period();
                let overlap = self.period / 4;
                self.last = self.pitch[HISTORY - overlap..].to_vec();
                self.at = 0;
                self.use_periods(1);
                // The last quarter of a period in the history changes as well: it is not out yet.
                let changed = self.pitch[HISTORY - overlap..].to_vec();
                self.history[HISTORY - overlap..].copy_from_slice(&changed);
                self.speech(FRAME)
            }
            1 | 2 => {
                let (overlap, at) = (self.period / 4, self.at);
                let before = self.speech(overlap);
                self.at = at % self.period;
                self.use_periods(self.erased + 1);
                let mut frame = self.speech(FRAME);
                for (i, before) in before.iter().enumerate() {
                    let part = (i + 1) as f32 / overlap as f32;
                    frame[i] = before * (1.0 - part) + frame[i] * part;
                }
                self.fade(frame)
            }
            3..=5 => {
                let frame = self.speech(FRAME);
                self.fade(frame)
            }
            _ => vec![0.0; FRAME],
        };
        self.erased += 1;
        self.save(&frame)
    }

    fn fade(&self, mut frame: Vec<f32>) -> Vec<f32> {
        let gain = 1.0 - (self.erased - 1) as f32 * FADE;
        for (i, s) in frame.iter_mut().enumerate() {
            *s *= (gain - FADE * i as f32 / FRAME as f32).max(0.0);
        }
        frame
    }

    /// Repeats so many periods, the last quarter blended into what came before them.
    fn use_periods(&mut self, periods: usize) {
        self.periods = periods;
        let (overlap, start) = (self.period / 4, HISTORY - self.period * periods);
        for i in 0..overlap {
            let part = (i + 1) as f32 / overlap as f32;
            let before = self.pitch[start - overlap + i];
            self.pitch[HISTORY - overlap + i] = self.last[i] * (1.0 - part) + before * part;
        }
    }

    fn speech(&mut self, n: usize) -> Vec<f32> {
        let len = self.period * self.periods;
        let out = (0..n).map(|i| self.pitch[HISTORY - len + (self.at + i) % len]).collect();
        self.at = (self.at + n) % len;
        out
    }

    fn save(&mut self, frame: &[f32]) -> Vec<i16> {
        self.history.drain(..FRAME);
        self.history.extend_from_slice(frame);
        let end = HISTORY - LATE;
        self.history[end - FRAME..end].iter().map(|s| s.clamp(-32_768.0, 32_767.0) as i16).collect()
    }

    fn find_period(&self) -> usize {
        let score = |lag: usize, step: usize| {
            let end = &self.pitch[HISTORY - COMPARED..];
            let past = &self.pitch[HISTORY - COMPARED - lag..];
            let (mut cross, mut power) = (0.0f32, 0.0f32);
            for (x, y) in end.iter().zip(past).step_by(step) {
                cross += x * y;
                power += y * y;
            }
            cross / power.max(250.0).sqrt()
        };
        let best = |lags: &mut dyn Iterator<Item = usize>, step| {
            lags.map(|lag| (lag, score(lag, step)))
                .fold((LONGEST, f32::MIN), |a, b| if b.1 > a.1 { b } else { a })
        };
        let rough = best(&mut (SHORTEST..=LONGEST).rev().step_by(2), 2).0;
        best(&mut ((rough - 1).max(SHORTEST)..=(rough + 1).min(LONGEST)).rev(), 1).0
    }
}
