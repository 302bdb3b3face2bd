//! No clicks: sound begins and ends within some milliseconds.

/// Samples from silence to sound and back: 2.7 ms at 48 kHz.
const STEPS: i32 = 128;

/// Rises from silence.
pub(super) fn fade_in(pcm: &mut [i16]) {
    for (step, sample) in (0..STEPS).zip(pcm) {
        *sample = part(*sample, step);
    }
}

/// Falls from the last sample to silence.
pub(super) fn fade_out(last: i16, pcm: &mut [i16]) {
    let steps = (0..STEPS).rev().chain(std::iter::repeat(0));
    for (step, sample) in steps.zip(pcm) {
        *sample = part(last, step);
    }
}

/// From one sound to another, over all of both.
pub(super) fn cross_fade(old: &[i16], new: &mut [i16]) {
    let length = i32::try_from(new.len()).unwrap_or(i32::MAX).max(1);
    for ((n, new), old) in (0..length).zip(new).zip(old) {
        let mixed = i32::from(*old) * (length - n) + i32::from(*new) * n;
        *new = i16::try_from(mixed / length).unwrap_or(0);
    }
}

fn part(sample: i16, step: i32) -> i16 {
    i16::try_from(i32::from(sample) * step / STEPS).unwrap_or(0)
}

/// Sample by sample: sound that comes and goes.
#[derive(Debug, Default)]
pub(super) struct Fade {
    step: i32,
    last: i16,
}

impl Fade {
    /// The next sample of a sound.
    pub(super) fn sound(&mut self, sample: i16) -> i16 {
        self.last = sample;
        let faded = part(sample, self.step);
        self.step = (self.step + 1).min(STEPS);
        faded
    }

    /// The next sample of silence.
    pub(super) fn silence(&mut self) -> i16 {
        self.step = (self.step - 1).max(0);
        part(self.last, self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap()
    }

    #[test]
    fn sound_comes_and_goes_without_a_step() {
        let mut pcm = vec![0; 10];
        let mut fade = Fade::default();
        pcm.extend((0..300).map(|_| fade.sound(i16::MAX)));
        pcm.extend((0..50).map(|_| fade.silence()));
        pcm.extend((0..300).map(|_| fade.sound(i16::MAX)));
        pcm.extend((0..200).map(|_| fade.silence()));
        assert!(most(&pcm) <= 257, "{}", most(&pcm));
        assert_eq!((pcm[200], pcm[649], pcm.last()), (i16::MAX, i16::MAX, Some(&0)));
        let (mut begin, mut end) = ([i16::MIN; 200], [7; 200]);
        fade_in(&mut begin);
        fade_out(i16::MIN, &mut end);
        let all = [&[0; 2][..], &begin, &end].concat();
        assert!(most(&all) <= 257, "{}", most(&all));
        assert_eq!(all.last(), Some(&0));
    }

    #[test]
    fn one_sound_becomes_another() {
        let mut new = [-3_000; 300];
        cross_fade(&[3_000; 300], &mut new);
        assert!(most(&new) <= 20 && new[0] == 3_000 && new[299] < -2_950, "{new:?}");
        cross_fade(&[], &mut []);
    }
}
