//! The stage in short spectra: what the echo filter left over and the background noise are taken
//! down, each by a gain per bin. Windows of 20 ms every 10 ms; the output is one block late.

use super::fft::{RealFft, Spectrum};
use super::noise::NoiseReducer;
use super::residual::ResidualEcho;

/// What this stage does to a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage<'a> {
    /// The echo that was subtracted, and the power by which that may be wrong.
    pub(super) echo: Option<(&'a [f32], &'a [f32])>,
    /// Take down the noise.
    pub(super) noise: bool,
}

/// Analysis, gains, synthesis.
#[derive(Debug)]
pub(super) struct Suppressor {
    block: usize,
    window: Vec<f32>,
    input: Vec<f32>,
    echo_input: Vec<f32>,
    windowed: Vec<f32>,
    overlap: Vec<f32>,
    signal: Spectrum,
    echo: Spectrum,
    power: Vec<f32>,
    gains: Vec<f32>,
    pub(super) residual: ResidualEcho,
    pub(super) noise: NoiseReducer,
    top_gain: f32,
}

/// Shifts the older half out and `block` in, and multiplies with the window.
fn slide(history: &mut [f32], block: &[f32], window: &[f32], out: &mut [f32]) {
    let (old, new) = history.split_at_mut(block.len());
    old.copy_from_slice(new);
    new.copy_from_slice(block);
    out.iter_mut().zip(history).zip(window).for_each(|((o, h), w)| *o = *h * w);
}

impl Suppressor {
    pub(super) fn new(block: usize) -> Self {
        let (len, bins) = (block * 2, block + 1);
        let window =
            |i: usize| ((i as f64 + 0.5) / len as f64 * core::f64::consts::PI).sin() as f32;
        Self {
            block,
            window: (0..len).map(window).collect(),
            input: vec![0.0; len],
            echo_input: vec![0.0; len],
            windowed: vec![0.0; len],
            overlap: vec![0.0; block],
            signal: Spectrum::new(bins),
            echo: Spectrum::new(bins),
            power: vec![0.0; bins],
            gains: vec![1.0; bins],
            residual: ResidualEcho::new(bins),
            noise: NoiseReducer::new(bins),
            top_gain: 1.0,
        }
    }

    /// The gain of the highest bins, for what lies above them.
    pub(super) fn top_gain(&self) -> f32 {
        self.top_gain
    }

    /// What becomes of the highest quarter of the bins, from the microphone's signal to the output.
    fn follow_top(&mut self, echo: bool) {
        let part = if echo { 1.0 } else { 0.0 };
        let from = self.gains.len() * 3 / 4;
        let signal = self.signal.re.iter().zip(&self.signal.im);
        let echo = self.echo.re.iter().zip(&self.echo.im);
        let bins = signal.zip(echo).zip(&self.gains).zip(&self.power).skip(from);
        let (mut heard, mut left) = (1.0, 1.0);
        for (((e, y), gain), power) in bins {
            let (re, im) = (e.0 + part * y.0, e.1 + part * y.1);
            heard += re * re + im * im;
            left += gain * gain * power;
        }
        let now = (left / heard).sqrt().min(1.0);
        self.top_gain += 0.5 * (now - self.top_gain);
    }

    /// Processes a block in place.
    pub(super) fn process(&mut self, fft: &mut RealFft, stage: Stage<'_>, block: &mut [f32]) {
        slide(&mut self.input, block, &self.window, &mut self.windowed);
        fft.forward(&self.windowed, &mut self.signal);
        self.signal.smooth_power(0.0, 1.0, &mut self.power);
        self.gains.fill(1.0);
        self.noise.learn(&self.power);
        if let Some((echo, uncertain)) = stage.echo {
            slide(&mut self.echo_input, echo, &self.window, &mut self.windowed);
            fft.forward(&self.windowed, &mut self.echo);
            let noise = self.noise.level();
            self.residual.gains(&self.power, &self.echo, uncertain, noise, &mut self.gains);
        }
        if stage.noise {
            self.noise.gains(&self.power, &mut self.gains);
        }
        self.follow_top(stage.echo.is_some());
        for ((re, im), g) in self.signal.re.iter_mut().zip(&mut self.signal.im).zip(&self.gains) {
            *re *= g;
            *im *= g;
        }
        fft.inverse(&self.signal, &mut self.windowed);
        self.windowed.iter_mut().zip(&self.window).for_each(|(s, w)| *s *= w);
        let (now, next) = self.windowed.split_at(self.block);
        for ((out, over), s) in block.iter_mut().zip(&self.overlap).zip(now) {
            *out = over + s;
        }
        self.overlap.copy_from_slice(next);
    }
}
