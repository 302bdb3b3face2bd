//! What a loudspeaker makes of its signal before the room hears it: it saturates, and more to one
//! side than to the other. A power series without memory stands for that, in front of the linear
//! filter (Stenger and Kellermann, "Adaptation of a memoryless preprocessor for nonlinear acoustic
//! echo cancelling", 2000). Its few factors are learned by least squares from what the filter leaves
//! over; the near end's speech is not like any of the terms and hardly moves them.

use super::fft::RealFft;
use super::kalman::{Kalman, RenderHistory};
use super::split::dot;

/// Terms of the series: the square, the cube, the fifth power.
const TERMS: usize = 3;
/// With the whole echo, so that a filter that is a bit too weak or too strong is not taken for
/// distortion.
const UNKNOWNS: usize = TERMS + 1;
/// The loudest sample so far fades by 0.1 dB a second, and is at least this much.
const PEAK_KEEP: f32 = 0.9999;
const LEAST_PEAK: f32 = 300.0;
/// What was learned says nothing about a signal this much louder.
const LOUDER: f32 = 1.5;
/// What the filter leaves over must be below this part of the echo, else it is the filter's to learn.
const MOST_ERROR: f32 = 0.07;
/// How fast old blocks are forgotten: in two seconds.
const KEEP: f32 = 0.995;
/// Samples of speech are alike: so many count for one.
const ALIKE: f32 = 4.0;
/// Trust in the loudspeaker doing nothing at all.
const TRUST: f32 = 5.0;
/// Loads the equations, so that terms that are much alike share what they explain.
const LOAD: f32 = 1.0e-4;
/// Smoothing of the powers that are compared.
const FOLLOW: f32 = 0.2;

/// Distorts the reference as the loudspeaker does.
#[derive(Debug)]
pub(super) struct Distortion {
    /// The terms are those of the signal over its peak.
    peak: f32,
    factors: [f32; TERMS],
    /// Products of the unknowns' signals, over the power of the error.
    information: [[f32; UNKNOWNS]; UNKNOWNS],
    error: f32,
    echo: f32,
    /// Every second block is learned from: that is enough, and it is half the work.
    rests: bool,
    history: [RenderHistory; TERMS],
    input: [Vec<f32>; TERMS],
    /// The terms as the microphone hears them.
    heard: [Vec<f32>; TERMS],
}

impl Distortion {
    pub(super) fn new(slots: usize, block: usize) -> Self {
        Self {
            peak: LEAST_PEAK,
            factors: [0.0; TERMS],
            information: [[0.0; UNKNOWNS]; UNKNOWNS],
            error: 0.0,
            echo: 0.0,
            rests: false,
            history: core::array::from_fn(|_| RenderHistory::of_spectra(slots, block + 1)),
            input: core::array::from_fn(|_| vec![0.0; block * 2]),
            heard: core::array::from_fn(|_| vec![0.0; block]),
        }
    }

    /// Takes a block of what the loudspeaker gets; writes what it makes of it into `played`.
    pub(super) fn render(&mut self, fft: &mut RealFft, block: &[f32], played: &mut [f32]) {
        self.follow_peak(block);
        let (peak, [a, b, c]) = (self.peak, self.factors);
        let [squares, cubes, fifths] = self.input.each_mut().map(|input| {
            let (old, new) = input.split_at_mut(block.len());
            old.copy_from_slice(new);
            new
        });
        let terms = squares.iter_mut().zip(cubes).zip(fifths);
        for ((x, played), ((square, cube), fifth)) in block.iter().zip(played).zip(terms) {
            let u = x / peak;
            *square = u * x;
            *cube = u * *square;
            *fifth = u * u * *cube;
            *played = x + a * *square + b * *cube + c * *fifth;
        }
        for (history, input) in self.history.iter_mut().zip(&self.input) {
            history.push(fft, input);
        }
    }

    /// The same curve for another peak has other factors.
    fn follow_peak(&mut self, block: &[f32]) {
        let loudest = block.iter().fold(LEAST_PEAK, |most, x| most.max(x.abs()));
        let peak = loudest.max(self.peak * PEAK_KEEP);
        let r = peak / self.peak;
        self.peak = peak;
        if r > LOUDER {
            self.factors = [0.0; TERMS];
            self.information = [[0.0; UNKNOWNS]; UNKNOWNS];
            return;
        }
        let scales = [1.0, r, r * r, r * r * r * r];
        let [_, terms @ ..] = scales;
        self.factors.iter_mut().zip(terms).for_each(|(factor, scale)| *factor *= scale);
        self.limit();
        for (row, down) in self.information.iter_mut().zip(scales) {
            row.iter_mut().zip(scales).for_each(|(value, across)| *value /= down * across);
        }
    }

    /// A loudspeaker takes away from its peaks and adds nothing to them.
    fn limit(&mut self) {
        let [square, cube, fifth] = &mut self.factors;
        *square = square.clamp(-0.5, 0.5);
        *cube = cube.clamp(-1.0, 0.0);
        *fifth = fifth.clamp(-0.3, -0.7 * *cube);
    }

    /// Learns from what the filter left over of the newest block: `echo` was subtracted, `error`
    /// is left.
    pub(super) fn learn(
        &mut self,
        fft: &mut RealFft,
        kalman: &mut Kalman,
        age: usize,
        echo: &[f32],
        error: &[f32],
    ) {
        let samples = error.len().max(1) as f32;
        let now = dot(error, error) / samples;
        self.error += FOLLOW * (now - self.error);
        self.echo += FOLLOW * (dot(echo, echo) / samples - self.echo);
        let sure = 1.0 - self.error / (MOST_ERROR * (self.echo + 1.0));
        self.rests = !self.rests;
        if sure <= 0.0 || self.rests {
            return;
        }
        for (heard, history) in self.heard.iter_mut().zip(&self.history) {
            kalman.predict(fft, history, age, heard);
        }
        let weight = sure / (ALIKE * (self.error.max(now) + 30.0));
        let [squares, cubes, fifths] = &self.heard;
        let unknowns: [&[f32]; UNKNOWNS] = [echo, squares, cubes, fifths];
        for (row, a) in self.information.iter_mut().zip(unknowns) {
            for (value, b) in row.iter_mut().zip(unknowns) {
                *value = KEEP * *value + weight * dot(a, b);
            }
        }
        let [_, change @ ..] = self.solve(unknowns.map(|a| weight * dot(a, error)));
        if change.iter().all(|c| c.is_finite()) {
            self.factors.iter_mut().zip(change).for_each(|(factor, c)| *factor += c);
            self.limit();
        }
    }

    /// The change of the unknowns that explains `products` best.
    fn solve(&self, products: [f32; UNKNOWNS]) -> [f32; UNKNOWNS] {
        let [square, cube, fifth] = self.factors;
        let known = [0.0, square, cube, fifth];
        let trust = [0.0, TRUST, TRUST, TRUST];
        let mut rows = self.information;
        let mut right = products;
        let each = rows.iter_mut().zip(&mut right).zip(known.into_iter().zip(trust));
        for (i, ((row, right), (known, trust))) in each.enumerate() {
            if let Some(own) = row.get_mut(i) {
                *own += LOAD * *own + trust + 10.0;
            }
            *right -= trust * known;
        }
        for i in 0..UNKNOWNS {
            let (Some(pivot), Some(b)) = (rows.get(i).copied(), right.get(i).copied()) else {
                continue;
            };
            let own = pivot.get(i).copied().unwrap_or(1.0);
            for (j, (row, right)) in rows.iter_mut().zip(&mut right).enumerate() {
                if i != j {
                    let part = row.get(i).copied().unwrap_or_default() / own;
                    row.iter_mut().zip(pivot).for_each(|(value, p)| *value -= part * p);
                    *right -= part * b;
                }
            }
        }
        let own = |(i, row): (usize, &[f32; UNKNOWNS])| row.get(i).copied().unwrap_or(1.0);
        let mut owns = rows.iter().enumerate().map(own);
        right.map(|b| b / owns.next().unwrap_or(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(peak: f32) -> Vec<f32> {
        (0..80).map(|i| (i as f32 / 40.0 - 1.0) * peak).collect()
    }

    #[test]
    fn the_curve_stays_when_the_peak_rises_and_is_forgotten_when_the_signal_is_far_louder() {
        let mut fft = RealFft::new(160);
        let mut distortion = Distortion::new(4, 80);
        let mut played = vec![0.0; 80];
        distortion.render(&mut fft, &block(8_000.0), &mut played);
        assert_eq!(played, block(8_000.0));
        distortion.factors = [0.1, -0.3, 0.05];
        distortion.render(&mut fft, &block(8_000.0), &mut played);
        let before = played.clone();
        assert!((before[0] - -8_000.0 * (1.0 - 0.1 - 0.3 + 0.05)).abs() < 5.0, "{}", before[0]);
        let mut louder = block(8_000.0);
        louder[79] = 11_000.0;
        distortion.render(&mut fft, &louder, &mut played);
        for (a, b) in before.iter().zip(&played).take(79) {
            assert!((a - b).abs() < 2.0, "{a} {b}");
        }
        distortion.render(&mut fft, &block(30_000.0), &mut played);
        assert_eq!(played, block(30_000.0));
    }

    #[test]
    fn no_factor_makes_a_loudspeaker_that_adds_to_its_peaks() {
        let mut distortion = Distortion::new(4, 80);
        distortion.factors = [3.0, 0.4, 0.4];
        distortion.limit();
        assert_eq!(distortion.factors, [0.5, 0.0, 0.0]);
        distortion.factors = [-3.0, -2.0, 2.0];
        distortion.limit();
        assert_eq!(distortion.factors, [-0.5, -1.0, 0.7]);
    }

    #[test]
    fn the_equations_are_solved() {
        let mut distortion = Distortion::new(4, 80);
        distortion.information = [
            [4.0e6, 1.0e6, 2.0e6, 0.0],
            [1.0e6, 5.0e6, 1.0e6, 1.0e6],
            [2.0e6, 1.0e6, 6.0e6, 3.0e6],
            [0.0, 1.0e6, 3.0e6, 7.0e6],
        ];
        // What 0.1, -0.2, 0.3, -0.4 give.
        let got = distortion.solve([0.8e6, -1.0e6, 0.6e6, -2.1e6]);
        for (got, wanted) in got.iter().zip([0.1, -0.2, 0.3, -0.4]) {
            assert!((got - wanted).abs() < 1.0e-3, "{got} {wanted}");
        }
    }
}
