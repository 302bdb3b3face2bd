//! The period at which audio repeats itself.

/// The end of the audio that is compared with what came before it.
const COMPARED_US: u64 = 20_000;

/// The lag between `shortest` and `longest` at which the end of `pcm` is most like what came
/// before it (normalised cross-correlation): first roughly, then to the sample.
pub(super) fn period(pcm: &[i16], shortest: usize, longest: usize, rate: u32) -> usize {
    // Speech up to 4 kHz tells the period.
    let coarse = (rate as usize / 4_000).max(1);
    let compared = (u64::from(rate) * COMPARED_US / 1_000_000) as usize;
    let compared = compared.min(pcm.len().saturating_sub(longest));
    let rough = best(pcm, compared, shortest..=longest, coarse, coarse);
    let near = rough.saturating_sub(coarse - 1).max(shortest)..=(rough + coarse - 1).min(longest);
    best(pcm, compared, near, 1, (coarse / 2).max(1))
}

/// The best of the lags that are `stride` apart; every `step`th sample is compared.
fn best(
    pcm: &[i16],
    compared: usize,
    lags: core::ops::RangeInclusive<usize>,
    stride: usize,
    step: usize,
) -> usize {
    let end = pcm.get(pcm.len() - compared..).unwrap_or_default();
    let mut best = (*lags.end(), f32::MIN);
    for lag in lags.step_by(stride) {
        let from = pcm.len().saturating_sub(compared + lag);
        let past = pcm.get(from..).unwrap_or_default();
        let score = score(end, past, step);
        if score > best.1 {
            best = (lag, score);
        }
    }
    best.0
}

/// Correlation by the energy of the past alone: the end is the same for all lags.
fn score(end: &[i16], past: &[i16], step: usize) -> f32 {
    let (mut cross, mut power) = (0.0f32, 0.0f32);
    for (x, y) in end.iter().zip(past).step_by(step) {
        let (x, y) = (f32::from(*x), f32::from(*y));
        cross += x * y;
        power += y * y;
    }
    // Next to silence everything is alike.
    cross / power.max(250.0).sqrt()
}
