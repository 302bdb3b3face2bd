//! Noise of a level and a colour that change smoothly.

use crate::wire::comfort_noise::{ComfortNoise, MAX_ORDER};

/// Steps of the way from one description of the noise to the next, a second.
const STEPS: u32 = 200;
/// Of what is left of that way, this part is gone in each step: most of it within 50 ms.
const PACE: f32 = 0.1;

#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    rms: f32,
    reflection: [f32; MAX_ORDER],
}

impl Shape {
    fn of(noise: &ComfortNoise) -> Self {
        let mut reflection = [0.0; MAX_ORDER];
        reflection.iter_mut().zip(noise.reflection()).for_each(|(to, from)| *to = from);
        let rms = 32_768.0 * 10f32.powf(-f32::from(noise.level()) / 20.0);
        Self { rms, reflection }
    }

    /// The level of white noise that the filter makes as loud as it should be.
    fn excitation(&self) -> f32 {
        let gain: f32 = self.reflection.iter().map(|k| 1.0 - k * k).product();
        // White noise between -1 and 1 has a power of a third.
        self.rms * (3.0 * gain).sqrt()
    }
}

/// Makes the noise that comfort noise packets describe. Allocates nothing.
#[derive(Debug)]
pub struct NoiseGenerator {
    target: Shape,
    now: Shape,
    excitation: f32,
    /// What runs backwards in the lattice filter.
    backward: [f32; MAX_ORDER],
    /// Samples of a step, and how many are left of this one.
    step: usize,
    left: usize,
    /// Nothing was made since the last beginning: the first description holds at once.
    fresh: bool,
    seed: u32,
}

impl NoiseGenerator {
    /// For audio of this rate in Hz; silent until it is told of a background.
    pub fn new(rate: u32) -> Self {
        Self {
            target: Shape::default(),
            now: Shape::default(),
            excitation: 0.0,
            backward: [0.0; MAX_ORDER],
            step: (rate / STEPS).max(1) as usize,
            left: 0,
            fresh: true,
            seed: 1,
        }
    }

    /// A pause begins: what is told next holds at once.
    pub fn begin(&mut self) {
        self.fresh = true;
    }

    /// The rate in Hz changes.
    pub fn set_rate(&mut self, rate: u32) {
        self.step = (rate / STEPS).max(1) as usize;
    }

    /// The background is like this from now on.
    pub fn hear(&mut self, noise: &ComfortNoise) {
        self.target = Shape::of(noise);
        if self.fresh {
            (self.now, self.fresh, self.left) = (self.target, false, 0);
        }
    }

    /// The next sample.
    pub fn sample(&mut self) -> f32 {
        if self.left == 0 {
            self.left = self.step;
            self.approach();
        }
        self.left -= 1;
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let white = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
        self.filter(white * self.excitation)
    }

    /// Fills `pcm` with noise.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        pcm.iter_mut().for_each(|s| *s = self.sample() as i16);
    }

    /// A step on the way. Between two stable filters all that lie between their reflection
    /// coefficients are stable.
    fn approach(&mut self) {
        let Self { now, target, .. } = self;
        now.rms += (target.rms - now.rms) * PACE;
        for (now, target) in now.reflection.iter_mut().zip(target.reflection) {
            *now += (target - *now) * PACE;
        }
        self.excitation = self.now.excitation();
    }

    /// The lattice of 1 / A(z).
    fn filter(&mut self, input: f32) -> f32 {
        let mut forward = input;
        // From the highest order down: backward[i] is the backward error of order i, one sample ago.
        let mut above: Option<&mut f32> = None;
        for (k, backward) in self.now.reflection.iter().zip(&mut self.backward).rev() {
            forward -= k * *backward;
            if let Some(above) = above {
                *above = *backward + k * forward;
            }
            above = Some(backward);
        }
        if let Some(lowest) = above {
            *lowest = forward;
        }
        forward
    }
}
