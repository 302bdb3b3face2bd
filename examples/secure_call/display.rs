//! What the person at the terminal sees while the call runs.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal to redraw.
const PLAIN_INTERVAL: Duration = Duration::from_secs(1);
/// Width of the progress bar, characters.
const BAR: usize = 6;
/// The quietest level that the meter shows, dB relative to full scale.
const FLOOR: f32 = -60.0;
/// Width of the level meter, characters.
const METER: usize = 5;

/// One look at the call.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) padlock: String,
    pub(crate) encrypted: bool,
    /// Played so far, and in all, seconds.
    pub(crate) played: (f64, f64),
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) jitter_ms: f64,
    /// How good it sounds (MOS, E-model), once it is known.
    pub(crate) mos: Option<f64>,
    /// dB relative to full scale.
    pub(crate) level: Option<f32>,
}

/// Redraws one line on a terminal; prints a plain line each second elsewhere.
pub(crate) struct Display {
    terminal: bool,
    colors: bool,
    last: Option<Instant>,
}

impl Display {
    pub(crate) fn new() -> Self {
        let terminal = stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { terminal, colors: terminal && wanted, last: None }
    }

    /// Colors are wanted: on a terminal, unless NO_COLOR is set.
    pub(crate) fn colors(&self) -> bool {
        self.colors
    }

    /// Shows how the call stands.
    pub(crate) fn show(&mut self, look: &Look) {
        let due = self.last.is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL);
        if self.terminal {
            print!("\r\x1b[2K{}", look.line(true, self.colors));
            flush();
        } else if due {
            println!("{}", look.line(false, false));
        }
        if due {
            self.last = Some(Instant::now());
        }
    }

    /// Says something that stays on the screen.
    pub(crate) fn say(&mut self, text: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        println!("{clear}{text}");
        flush();
    }
}

fn flush() {
    // A terminal that is gone shows nothing either way.
    drop(stdout().flush());
}

impl Look {
    /// Fits 80 columns in calls of up to 100 s: block characters on a terminal, plain ones elsewhere.
    fn line(&self, blocks: bool, colors: bool) -> String {
        let (at, total) = self.played;
        let share = if total > 0.0 { (at / total).clamp(0.0, 1.0) } else { 0.0 };
        let loudness = self.level.map_or(0.0, |level| 1.0 - level.max(FLOOR) / FLOOR);
        let (full, empty, lock) = if blocks { ('█', '░', "● ") } else { ('#', '.', "") };
        let bar = gauge(share, BAR, full, empty);
        let meter = gauge(loudness.into(), METER, full, empty);
        let padlock = format!("{lock}{}", self.padlock);
        let padlock = paint(colors, if self.encrypted { 32 } else { 31 }, &padlock);
        let mos = self.mos.map_or(String::from("-"), |mos| format!("{mos:.1}"));
        format!(
            "{padlock} {bar} {at:.0}/{total:.0} s {meter} lost {}/{} {:.1} ms MOS {mos}",
            self.lost,
            self.sent.max(self.received),
            self.jitter_ms,
        )
    }
}

/// `text` in the color of this SGR number, if colors are wanted.
pub(crate) fn paint(colors: bool, sgr: u8, text: &str) -> String {
    if colors { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
}

fn gauge(share: f64, width: usize, full: char, empty: char) -> String {
    let filled = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    (0..width).map(|n| if n < filled { full } else { empty }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_a_terminal_and_has_colors_only_if_wanted() {
        let look = Look {
            padlock: "encrypted to your provider".into(),
            encrypted: true,
            played: (49.96, 99.9),
            sent: 9_999,
            received: 9_990,
            lost: 99,
            jitter_ms: 99.94,
            mos: Some(4.42),
            level: Some(-30.0),
        };
        let line = look.line(true, false);
        let expected =
            "● encrypted to your provider ███░░░ 50/100 s ███░░ lost 99/9999 99.9 ms MOS 4.4";
        assert_eq!(line, expected);
        assert!(line.chars().count() < 80);
        assert!(look.line(true, true).starts_with("\x1b[32m● encrypted to your provider\x1b[0m "));
        let plain = look.line(false, false);
        assert!(plain.is_ascii() && plain.len() < 80 && plain.contains(" ###... "), "{plain}");
    }
}
