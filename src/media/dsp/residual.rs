//! The echo that the filter leaves: distortion of the loudspeaker that has a memory, a path that is
//! not learned yet. Its power is estimated from the echo that was subtracted and taken down by a gain
//! that gives way as soon as the near end speaks.

use super::fft::Spectrum;

/// Bands in which the leak is followed.
const BANDS: usize = 20;
/// Steps of the leak in dB per block: three up for one down make it the lower quartile.
const UP: f32 = 0.15;
const DOWN: f32 = 0.45;
/// While the near end speaks the leak hardly rises.
const UP_IN_DOUBLE_TALK: f32 = 0.01;
/// How much more echo than estimated is taken out: residual echo fluctuates.
const OVER: f32 = 8.0;
/// Of that, this part goes while the near end speaks.
const GIVES_WAY: f32 = 0.9;
/// The filter expects more error than it makes: the parts of it that are taken for residual echo,
/// and that must be exceeded for the near end to be there.
const EXPECTED: f32 = 0.5;
const EXCEEDED: f32 = 0.25;
/// What is heard over what is expected: from here on the near end may be there, and by so much more it
/// is sure to be.
const NEAR_FROM: f32 = 3.0;
const NEAR_SPAN: f32 = 8.0;
/// Weight of the last block's near end in the estimate of this one's.
const KEEP: f32 = 0.8;
/// No bin is taken down by more than this: -46 dB.
const FLOOR: f32 = 0.005;

/// Estimates and suppresses residual echo.
#[derive(Debug)]
pub(super) struct ResidualEcho {
    /// Last bin of each band, exclusive.
    edges: [usize; BANDS],
    /// Error over echo in dB.
    leak: [f32; BANDS],
    smooth_error: [f32; BANDS],
    smooth_echo: [f32; BANDS],
    echo: Vec<f32>,
    near: Vec<f32>,
    near_presence: f32,
}

impl ResidualEcho {
    pub(super) fn new(bins: usize) -> Self {
        // About constant widths on the Bark scale.
        let edge = |i: usize| {
            let part = (i + 1) as f32 / BANDS as f32;
            ((bins as f32) * (0.35 * part + 0.65 * part * part * part)).round().max(1.0) as usize
        };
        let mut edges = core::array::from_fn(edge);
        if let Some(last) = edges.last_mut() {
            *last = bins;
        }
        Self {
            edges,
            leak: [-6.0; BANDS],
            smooth_error: [0.0; BANDS],
            smooth_echo: [0.0; BANDS],
            echo: vec![0.0; bins],
            near: vec![0.0; bins],
            near_presence: 0.0,
        }
    }

    /// 0: echo alone; 1: the near end speaks.
    pub(super) fn near_presence(&self) -> f32 {
        self.near_presence
    }

    /// Multiplies the gains against residual echo into `gains`. `power`: of the error; `echo`: what
    /// was subtracted; `uncertain`: the filter's own expectation of its error.
    pub(super) fn gains(
        &mut self,
        power: &[f32],
        echo: &Spectrum,
        uncertain: &[f32],
        noise: &[f32],
        gains: &mut [f32],
    ) {
        // Echo rings on after the filter's end.
        echo.smooth_power(0.3, 0.7, &mut self.echo);
        self.follow(power, uncertain);
        let over = OVER * (1.0 - GIVES_WAY * self.near_presence);
        let mut begin = 0;
        for (edge, leak) in self.edges.iter().zip(&self.leak) {
            let factor = 10f32.powf(leak * 0.1);
            let span = begin..*edge;
            begin = *edge;
            let slices = (
                power.get(span.clone()),
                self.echo.get(span.clone()),
                uncertain.get(span.clone()),
                noise.get(span.clone()),
                self.near.get_mut(span.clone()),
                gains.get_mut(span),
            );
            let (Some(power), Some(echo), Some(uncertain), Some(noise), Some(near), Some(gains)) =
                slices
            else {
                continue;
            };
            let inputs = power.iter().zip(echo).zip(uncertain).zip(noise);
            let outputs = near.iter_mut().zip(gains);
            for ((((power, echo), uncertain), noise), (near, gain)) in inputs.zip(outputs) {
                let residual = over * (factor * echo + (EXPECTED * uncertain).min(*echo)) + 1.0;
                let posterior = power / residual;
                let prior = KEEP * *near / residual + (1.0 - KEEP) * (posterior - 1.0).max(0.0);
                let g = prior / (1.0 + prior);
                // What is quieter than the background noise is not heard.
                let floor = (noise / (power + 1.0)).sqrt().clamp(FLOOR, 1.0);
                let g = g.max(floor);
                *near = g * g * power;
                *gain *= g;
            }
        }
    }

    /// Follows the leak of each band, and whether the near end speaks.
    fn follow(&mut self, power: &[f32], uncertain: &[f32]) {
        let (mut heard, mut expected) = (0.0, 1.0);
        let mut begin = 0;
        for (i, edge) in self.edges.iter().enumerate() {
            let sum = |x: &[f32]| x.get(begin..*edge).unwrap_or_default().iter().sum::<f32>();
            let (e, y, u) = (sum(power), sum(&self.echo), sum(uncertain));
            begin = *edge;
            let slots =
                (self.smooth_error.get_mut(i), self.smooth_echo.get_mut(i), self.leak.get_mut(i));
            let (Some(error), Some(echo), Some(leak)) = slots else { continue };
            *error += 0.4 * (e - *error);
            *echo += 0.4 * (y - *echo);
            let floor = 2.0e3 * 160.0;
            if *echo > floor {
                let ratio = 10.0 * ((*error + 1.0) / *echo).log10();
                let up = if self.near_presence > 0.5 { UP_IN_DOUBLE_TALK } else { UP };
                *leak =
                    if ratio > *leak { (*leak + up).min(ratio) } else { (*leak - DOWN).max(ratio) };
                *leak = leak.clamp(-50.0, 0.0);
            }
            heard += *error;
            expected += 10f32.powf(*leak * 0.1) * *echo + (EXCEEDED * u).min(*echo);
        }
        let near = heard / expected;
        let presence = ((near - NEAR_FROM) / NEAR_SPAN).clamp(0.0, 1.0);
        let rate = if presence > self.near_presence { 0.6 } else { 0.1 };
        self.near_presence += rate * (presence - self.near_presence);
    }
}
