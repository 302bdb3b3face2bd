//! How loud it is, for the eye.

use subrosa::media::level::Level;

/// Levels from quiet to loud, and the peak in dBFS from which each is shown.
const STEPS: [(f32, char); 8] = [
    (-96.0, '▁'),
    (-50.0, '▂'),
    (-38.0, '▃'),
    (-28.0, '▄'),
    (-20.0, '▅'),
    (-14.0, '▆'),
    (-8.0, '▇'),
    (-4.0, '█'),
];

/// The level as one character.
pub(crate) fn bar(level: Level) -> char {
    STEPS.iter().rev().find(|(from, _)| level.peak_dbfs >= *from).map_or(' ', |(_, step)| *step)
}

/// The level in figures.
pub(crate) fn figures(level: Level) -> String {
    format!("{} {:.1} dBFS, peak {:.1}", bar(level), level.rms_dbfs, level.peak_dbfs)
}
