//! Who talks: levels, and a choice that does not flicker.

use crate::media::level::dbfs;

/// Quieter than this, dB of full scale, is nobody.
const AUDIBLE: f32 = -50.0;
/// Who takes over must be louder by this, dB,
const LOUDER: f32 = 6.0;
/// for this long, ms; at once if nobody talked.
const PATIENCE_MS: u32 = 300;
/// Who was silent for this long, ms, does not talk any more.
const SILENCE_MS: u32 = 1_500;
/// A level falls to a tenth of the difference within about this, ms.
const FALL_MS: f32 = 150.0;

/// A level that rises at once and falls slowly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level {
    /// Mean amplitude, 0 to 32768.
    mean: f32,
}

impl Level {
    pub(super) fn follow(&mut self, pcm: impl Iterator<Item = i32>, block_ms: f32) {
        let (sum, n) = pcm.fold((0.0f32, 0.0f32), |(sum, n), s| (sum + s.abs() as f32, n + 1.0));
        let mean = if n > 0.0 { sum / n } else { 0.0 };
        let keep = 10f32.powf(-block_ms / FALL_MS);
        self.mean = if mean > self.mean { mean } else { mean + (self.mean - mean) * keep };
    }

    /// dB of full scale, -127 to 0.
    pub(super) fn db(self) -> f32 {
        dbfs(self.mean)
    }
}

/// The choice of the active talker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<K> {
    active: Option<K>,
    /// Who is about to take over, and for how long already, ms.
    rival: Option<(K, f32)>,
    /// How long the active one has been silent, ms.
    silent: f32,
}

impl<K: Copy + PartialEq> Choice<K> {
    pub(super) const fn new() -> Self {
        Self { active: None, rival: None, silent: 0.0 }
    }

    pub(super) const fn active(&self) -> Option<K> {
        self.active
    }

    /// Somebody left.
    pub(super) fn forget(&mut self, key: K) {
        self.active = self.active.filter(|active| *active != key);
        self.rival = self.rival.filter(|(rival, _)| *rival != key);
    }

    /// Looks at the levels (dB) of a block.
    pub(super) fn follow(&mut self, levels: impl Iterator<Item = (K, f32)> + Clone, ms: f32) {
        let active = self.active;
        let own = levels.clone().find(|(key, _)| Some(*key) == active).map(|(_, db)| db);
        self.silent = match own {
            Some(db) if db < AUDIBLE => self.silent + ms,
            _ => 0.0,
        };
        if self.silent >= SILENCE_MS as f32 {
            self.active = None;
        }
        let loudest = levels
            .filter(|(key, db)| *db >= AUDIBLE && Some(*key) != self.active)
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((key, db)) = loudest else {
            self.rival = None;
            return;
        };
        let Some(own) = own.filter(|_| self.active.is_some()) else {
            (self.active, self.rival, self.silent) = (Some(key), None, 0.0);
            return;
        };
        if db < own.max(AUDIBLE) + LOUDER {
            self.rival = None;
            return;
        }
        let since = self.rival.filter(|(rival, _)| *rival == key).map_or(0.0, |(_, since)| since);
        if since + ms >= PATIENCE_MS as f32 {
            (self.active, self.rival, self.silent) = (Some(key), None, 0.0);
        } else {
            self.rival = Some((key, since + ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The active talker after each of so many blocks of 20 ms at these levels.
    fn run(choice: &mut Choice<char>, blocks: u32, levels: &[(char, f32)]) -> Option<char> {
        for _ in 0..blocks {
            choice.follow(levels.iter().copied(), 20.0);
        }
        choice.active()
    }

    #[test]
    fn who_is_a_little_louder_or_loud_for_a_moment_does_not_take_over() {
        let mut choice = Choice::new();
        assert_eq!(run(&mut choice, 50, &[('a', -60.0), ('b', -70.0)]), None);
        assert_eq!(run(&mut choice, 1, &[('a', -60.0), ('b', -30.0)]), Some('b'));
        // 5 dB more, for long: no.
        assert_eq!(run(&mut choice, 500, &[('a', -25.0), ('b', -30.0)]), Some('b'));
        // 10 dB more for 280 ms: no; for 300 ms: yes.
        assert_eq!(run(&mut choice, 14, &[('a', -20.0), ('b', -30.0)]), Some('b'));
        assert_eq!(run(&mut choice, 1, &[('a', -30.0), ('b', -30.0)]), Some('b'));
        assert_eq!(run(&mut choice, 14, &[('a', -20.0), ('b', -30.0)]), Some('b'));
        assert_eq!(run(&mut choice, 1, &[('a', -20.0), ('b', -30.0)]), Some('a'));
    }

    #[test]
    fn a_pause_is_not_the_end_and_a_long_silence_is() {
        let mut choice = Choice::new();
        run(&mut choice, 10, &[('a', -20.0)]);
        assert_eq!(run(&mut choice, 70, &[('a', -90.0)]), Some('a'));
        assert_eq!(run(&mut choice, 10, &[('a', -90.0)]), None);
        run(&mut choice, 10, &[('a', -20.0)]);
        choice.forget('a');
        assert_eq!(choice.active(), None);
    }
}
