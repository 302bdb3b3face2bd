//! What the person at the terminal sees while the call runs.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal to redraw.
const PLAIN_INTERVAL: Duration = Duration::from_secs(1);
/// Width of the progress bar, characters.
const BAR: usize = 24;
/// The quietest level that the meter shows, dB relative to full scale.
const FLOOR: f64 = -60.0;
/// Width of the level meter, characters.
const METER: usize = 10;

/// One look at the call.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) padlock: String,
    /// Played so far, and in all, seconds.
    pub(crate) played: (f64, f64),
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) jitter_ms: f64,
    /// dB relative to full scale.
    pub(crate) level: Option<f64>,
}

/// Redraws one line on a terminal; prints a plain line each second elsewhere.
pub(crate) struct Display {
    terminal: bool,
    last: Option<Instant>,
}

impl Display {
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal(), last: None }
    }

    /// Shows how the call stands.
    pub(crate) fn show(&mut self, look: &Look) {
        let due = self.last.is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL);
        if self.terminal {
            print!("\r\x1b[2K{}", look.line());
            flush();
        } else if due {
            println!("{}", look.line());
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
    fn line(&self) -> String {
        let (at, total) = self.played;
        let share = if total > 0.0 { (at / total).clamp(0.0, 1.0) } else { 0.0 };
        let bar = gauge(share, BAR, '#', '.');
        let loudness = self.level.map_or(0.0, |level| 1.0 - (level.max(FLOOR) / FLOOR));
        let meter = gauge(loudness, METER, '|', ' ');
        let level = self.level.map_or("silence".to_owned(), |level| format!("{level:.0} dBFS"));
        format!(
            "alice {}, bob {} [{}] [{bar}] {at:.1}/{total:.1} s  sent {} received {} lost {} \
             jitter {:.1} ms  [{meter}] {level}",
            self.caller,
            self.callee,
            self.padlock,
            self.sent,
            self.received,
            self.lost,
            self.jitter_ms,
        )
    }
}

fn gauge(share: f64, width: usize, full: char, empty: char) -> String {
    let filled = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    (0..width).map(|n| if n < filled { full } else { empty }).collect()
}
