//! How close the received speech is to the sent, in the telephone's band. Opus takes away what is
//! below speech, and that shifts phases beside it: the ear does not mind, a correlation would.

/// The band that is compared, Hz.
const BAND: (f64, f64) = (300.0, 3_400.0);
/// The sample rate, Hz.
const RATE: f64 = 16_000.0;

/// How far the received speech may lag behind the sent, samples (1 s at 16 kHz).
const MAX_LAG: usize = 16_000;
/// The coarse search works on every fourth sample.
const COARSE: usize = 4;
/// Pieces that are aligned one by one, samples (500 ms): a jitter buffer may shift the time axis.
const PIECE: usize = 8_000;
/// How far a piece may be shifted against the whole, samples (60 ms).
const PIECE_SHIFT: usize = 960;

/// The outcome of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Likeness {
    /// Samples by which the received speech lags.
    pub(crate) lag: usize,
    /// Correlation of the whole at that lag, 1 for identical shapes.
    pub(crate) whole: f64,
    /// Correlation with each half second aligned by itself, weighted by its energy.
    pub(crate) pieces: f64,
}

/// Aligns `received` with `sent` and correlates them.
pub(crate) fn compare(sent: &[i16], received: &[i16]) -> Likeness {
    let (sent, received) = (&in_band(sent), &in_band(received));
    let coarse_sent = decimate(sent);
    let coarse_received = decimate(received);
    let coarse = best_lag(&coarse_sent, &coarse_received, 0, MAX_LAG / COARSE) * COARSE;
    let lag = best_lag(sent, received, coarse.saturating_sub(2 * COARSE), coarse + 2 * COARSE);
    let whole = correlation(sent, received.get(lag..).unwrap_or_default());
    Likeness { lag, whole, pieces: piecewise(sent, received, lag) }
}

fn piecewise(sent: &[i16], received: &[i16], lag: usize) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for (n, piece) in sent.chunks(PIECE).enumerate() {
        let energy: f64 = piece.iter().map(|s| f64::from(*s).powi(2)).sum();
        let expected = n * PIECE + lag;
        let from = expected.saturating_sub(PIECE_SHIFT);
        let best = best_lag(piece, received, from, expected + PIECE_SHIFT);
        sum += energy * correlation(piece, received.get(best..).unwrap_or_default());
        weight += energy;
    }
    if weight > 0.0 { sum / weight } else { 0.0 }
}

/// Only what is in the telephone's band: filters of fourth order, the same for both.
fn in_band(pcm: &[i16]) -> Vec<i16> {
    let mut samples: Vec<f64> = pcm.iter().map(|s| f64::from(*s)).collect();
    for (high_pass, frequency) in [(true, BAND.0), (true, BAND.0), (false, BAND.1), (false, BAND.1)]
    {
        biquad(&mut samples, high_pass, frequency);
    }
    samples.iter().map(|s| s.round() as i16).collect()
}

/// A filter of second order (Butterworth by the bilinear transform), in place.
fn biquad(samples: &mut [f64], high_pass: bool, frequency: f64) {
    let omega = std::f64::consts::TAU * frequency / RATE;
    let (sin, cos) = omega.sin_cos();
    let alpha = sin * std::f64::consts::FRAC_1_SQRT_2;
    let edge = if high_pass { (1.0 + cos) / 2.0 } else { (1.0 - cos) / 2.0 };
    let middle = if high_pass { -2.0 } else { 2.0 } * edge;
    let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
    for sample in samples {
        let x = *sample;
        let fed_back = -2.0 * cos * y1 + (1.0 - alpha) * y2;
        let y = (edge * (x + x2) + middle * x1 - fed_back) / (1.0 + alpha);
        (x2, x1, y2, y1) = (x1, x, y1, y);
        *sample = y;
    }
}

/// Averages groups of four samples.
fn decimate(pcm: &[i16]) -> Vec<i16> {
    pcm.chunks_exact(COARSE)
        .map(|group| {
            let sum: i32 = group.iter().map(|s| i32::from(*s)).sum();
            i16::try_from(sum / 4).unwrap_or(0)
        })
        .collect()
}

/// The lag from `from` to `to` at which the two are most alike.
fn best_lag(sent: &[i16], received: &[i16], from: usize, to: usize) -> usize {
    let score = |lag: usize| correlation(sent, received.get(lag..).unwrap_or_default());
    let mut best = (from, f64::MIN);
    for lag in from..=to {
        let score = score(lag);
        if score > best.1 {
            best = (lag, score);
        }
    }
    best.0
}

/// Normalized correlation; what `received` lacks counts as silence.
fn correlation(sent: &[i16], received: &[i16]) -> f64 {
    let (mut both, mut left, mut right) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (n, s) in sent.iter().enumerate() {
        let (s, r) = (f64::from(*s), received.get(n).map_or(0.0, |r| f64::from(*r)));
        both += s * r;
        left += s * s;
        right += r * r;
    }
    if left > 0.0 && right > 0.0 { both / (left * right).sqrt() } else { 0.0 }
}
