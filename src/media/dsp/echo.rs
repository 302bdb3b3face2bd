//! Echo cancellation: the reference's history, its delay, what the loudspeaker distorts, and the
//! linear filter.

use super::delay::{DelayEstimator, MAX_DELAY};
use super::distortion::Distortion;
use super::fft::{RealFft, Spectrum};
use super::kalman::{Kalman, PARTITIONS, RenderHistory};

/// Blocks of the reference that may wait for their capture.
const MAX_WAITING: usize = 8;
/// After so many captures the reference is brought up to date.
const CATCH_UP: u32 = 50;
/// Switching on takes so many blocks, in which the filter finds its feet.
const FADE_BLOCKS: f32 = 10.0;
/// The filter begins this many blocks before the estimated delay.
const AHEAD: usize = 2;
/// Filter and estimate may differ by this many blocks.
const SLACK: usize = 3;
/// Mean power of a sample from which on the loudspeaker is heard: -60 dBFS.
const AUDIBLE: f32 = 1_000.0;
/// Smoothing of the powers that are compared.
const FOLLOW: f32 = 0.1;
/// The subtracted echo is compared with the microphone's signal from this power on.
const MATCH_POWER: f32 = 300.0;
/// An error this much stronger than the microphone's signal: the filter does harm.
const HARM: f32 = 1.3;

/// Cancels the echo of one loudspeaker in one microphone.
#[derive(Debug)]
pub(super) struct EchoCanceller {
    fft: RealFft,
    history: RenderHistory,
    kalman: Kalman,
    delay: DelayEstimator,
    distortion: Distortion,
    /// The block of the reference as the loudspeaker distorts it.
    played: Vec<f32>,
    /// Blocks of the reference pushed that no capture has met yet.
    waiting: usize,
    /// The fewest that waited lately, and since how many captures.
    least_waiting: (usize, u32),
    offset: usize,
    render: Vec<f32>,
    capture: Vec<f32>,
    heard: Spectrum,
    error: Vec<f32>,
    echo: Vec<f32>,
    fade: f32,
    power: Powers,
    render_power: Vec<f32>,
}

/// Smoothed mean powers of a sample.
#[derive(Clone, Copy, Debug, Default)]
struct Powers {
    capture: f32,
    error: f32,
    /// Slower, while the loudspeaker is heard.
    erle: (f32, f32),
    /// The subtracted echo: its product with the microphone's signal, and its power.
    likeness: (f32, f32),
}

impl Powers {
    /// The subtracted echo is in the microphone's signal at about its strength, whoever speaks
    /// besides: the filter stands where the echo is.
    fn filter_matches(&self) -> bool {
        let (product, power) = self.likeness;
        power > MATCH_POWER && product > 0.5 * power && product < 2.0 * power
    }
}

fn mean_power(block: &[f32]) -> f32 {
    block.iter().map(|s| s * s).sum::<f32>() / block.len().max(1) as f32
}

fn slide(history: &mut [f32], block: &[f32]) {
    let (old, new) = history.split_at_mut(block.len());
    old.copy_from_slice(new);
    new.copy_from_slice(block);
}

impl EchoCanceller {
    pub(super) fn new(block: usize) -> Self {
        let slots = MAX_DELAY + PARTITIONS + MAX_WAITING + 2;
        Self {
            fft: RealFft::new(block * 2),
            history: RenderHistory::new(slots, block + 1),
            kalman: Kalman::new(block),
            delay: DelayEstimator::new(),
            distortion: Distortion::new(slots, block),
            played: vec![0.0; block],
            waiting: 0,
            least_waiting: (MAX_WAITING, 0),
            offset: 0,
            render: vec![0.0; block * 2],
            capture: vec![0.0; block * 2],
            heard: Spectrum::new(block + 1),
            error: vec![0.0; block],
            echo: vec![0.0; block],
            fade: 0.0,
            power: Powers::default(),
            render_power: vec![0.0; slots],
        }
    }

    /// Takes a block of what the loudspeaker plays.
    pub(super) fn render(&mut self, block: &[f32]) {
        self.distortion.render(&mut self.fft, block, &mut self.played);
        slide(&mut self.render, &self.played);
        self.history.push(&mut self.fft, &self.render);
        self.render_power.rotate_right(1);
        if let Some(newest) = self.render_power.first_mut() {
            *newest = mean_power(block);
        }
        // A loudspeaker that runs ahead: the oldest blocks have lost their capture.
        self.waiting = if self.waiting >= MAX_WAITING { 1 } else { self.waiting + 1 };
    }

    /// Takes the echo out of a block of the microphone. `on` fades.
    pub(super) fn capture(&mut self, on: bool, block: &mut [f32]) {
        if self.waiting == 0 {
            let mut silence = core::mem::take(&mut self.error);
            silence.fill(0.0);
            self.render(&silence);
            self.error = silence;
        }
        self.waiting = self.waiting.saturating_sub(1);
        self.catch_up();
        if !on && self.fade == 0.0 {
            return;
        }
        slide(&mut self.capture, block);
        self.follow_delay();
        let age = self.waiting + self.offset;
        self.kalman.predict(&mut self.fft, &self.history, age, &mut self.echo);
        for ((e, d), y) in self.error.iter_mut().zip(block.iter()).zip(&self.echo) {
            *e = d - y;
        }
        self.distortion.learn(&mut self.fft, &mut self.kalman, age, &self.echo, &self.error);
        self.watch(block);
        self.kalman.update(&mut self.fft, &self.history, age, &self.error);
        let target = f32::from(u8::from(on));
        let most = 1.0 / FADE_BLOCKS;
        let to = self.fade + (target - self.fade).clamp(-most, most);
        let step = (to - self.fade) / block.len().max(1) as f32;
        for (out, y) in block.iter_mut().zip(&self.echo) {
            self.fade += step;
            *out -= self.fade * y;
        }
        self.fade = to;
    }

    /// Blocks that always wait came in one burst long ago: the reference would stay behind the echo.
    fn catch_up(&mut self) {
        let (least, captures) = &mut self.least_waiting;
        *least = (*least).min(self.waiting);
        *captures += 1;
        if *captures >= CATCH_UP {
            let behind = *least;
            self.least_waiting = (MAX_WAITING, 0);
            if behind > 0 {
                self.waiting -= behind;
                self.kalman.shift(-(behind as isize));
            }
        }
    }

    fn follow_delay(&mut self) {
        self.fft.forward(&self.capture, &mut self.heard);
        let Some((render, _)) = self.history.get(self.waiting) else { return };
        let Some(delay) = self.delay.update(render, &self.heard) else { return };
        let fits = (self.offset..=self.offset + AHEAD + SLACK).contains(&delay)
            && (self.offset == 0 || delay > self.offset);
        if !fits && !self.power.filter_matches() {
            let offset = delay.saturating_sub(AHEAD);
            self.kalman.shift(offset as isize - self.offset as isize);
            self.kalman.doubt(true);
            self.offset = offset;
        }
    }

    /// Compares the error with the microphone's signal: a path that changed makes it stronger.
    fn watch(&mut self, block: &[f32]) {
        let (capture, error) = (mean_power(block), mean_power(&self.error));
        let p = &mut self.power;
        p.capture += FOLLOW * (capture - p.capture);
        p.error += FOLLOW * (error - p.error);
        if self.is_audible() {
            let product = block.iter().zip(&self.echo).map(|(d, y)| d * y).sum::<f32>();
            let product = product / block.len().max(1) as f32;
            let echo = mean_power(&self.echo);
            let (p, e) = &mut self.power.likeness;
            *p += FOLLOW * (product - *p);
            *e += FOLLOW * (echo - *e);
            self.power.erle.0 += 0.01 * (capture - self.power.erle.0);
            self.power.erle.1 += 0.01 * (error - self.power.erle.1);
        }
        let p = &mut self.power;
        if p.error > HARM * p.capture + 100.0 {
            self.kalman.doubt(false);
            self.echo.fill(0.0);
            self.error.copy_from_slice(block);
            p.error = p.capture;
        }
    }

    /// The loudspeaker plays something, now or within the filter's length.
    pub(super) fn is_audible(&self) -> bool {
        let from = self.waiting + self.offset;
        self.render_power.iter().skip(from).take(PARTITIONS).any(|p| *p > AUDIBLE)
    }

    /// The echo is being taken out, not just faded in or out.
    pub(super) fn is_on(&self) -> bool {
        self.fade >= 0.999
    }

    /// The echo that was subtracted from the last block, and the power by which it may be wrong.
    pub(super) fn subtracted(&self) -> (&[f32], &[f32]) {
        (&self.echo, &self.kalman.uncertain)
    }

    /// Echo return loss enhancement of the linear filter in dB, over about a second.
    pub(super) fn erle_db(&self) -> f32 {
        let (capture, error) = self.power.erle;
        10.0 * ((capture + 1.0) / (error + 1.0)).log10()
    }

    /// Estimated delay in blocks.
    pub(super) fn delay(&self) -> Option<usize> {
        self.delay.delay()
    }
}
