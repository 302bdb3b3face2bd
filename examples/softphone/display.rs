//! The screen: lines that stay, and below them, on a terminal, one live line and the prompt.

use std::io::{IsTerminal, Stdout, Write, stdin, stdout};
use std::time::{Duration, Instant};

/// How often the live line may change.
const REDRAW: Duration = Duration::from_millis(200);
/// Long lines are cut, not wrapped: the live line must stay one line.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Whether colors are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    /// `text` in this color (an SGR number), if colors are wanted.
    pub(crate) fn color(self, sgr: u8, text: &str) -> String {
        if self.0 { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What is on the screen.
#[derive(Debug)]
pub(crate) struct Display<W: Write> {
    out: W,
    quiet: bool,
    /// A live line is shown.
    live: bool,
    /// A prompt is shown below it: somebody types there.
    prompt: bool,
    paint: Paint,
    state: String,
    drawn: bool,
    last: Option<Instant>,
}

impl Display<Stdout> {
    /// Standard output, as far as it is a terminal.
    pub(crate) fn terminal(quiet: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = stdout().is_terminal() && !dumb && !quiet;
        let prompt = live && stdin().is_terminal();
        Self::new(stdout(), quiet, live, prompt, Paint(live && !set("NO_COLOR")))
    }
}

impl<W: Write> Display<W> {
    fn new(out: W, quiet: bool, live: bool, prompt: bool, paint: Paint) -> Self {
        let state = String::new();
        Self { out, quiet, live, prompt, paint, state, drawn: false, last: None }
    }

    /// Whether colors are wanted.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// True if the live line may be drawn again.
    pub(crate) fn is_due(&self) -> bool {
        self.live && self.last.is_none_or(|last| last.elapsed() >= REDRAW)
    }

    /// Something happened.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.quiet {
            self.answer(text);
        }
    }

    /// What the user asked for: said even if quiet.
    pub(crate) fn answer(&mut self, text: &str) {
        let erase = self.erased();
        self.put(&format!("{erase}{text}\n"));
        self.draw();
    }

    /// The user typed a line, which the terminal has shown.
    pub(crate) fn typed(&mut self, line: &str) {
        if self.prompt && self.drawn {
            // The cursor is below the prompt now.
            self.drawn = false;
            self.put(&format!("\x1b[2A\r\x1b[J> {line}\n"));
            self.draw();
        }
    }

    /// The live line.
    pub(crate) fn state(&mut self, line: &str) {
        self.last = Some(Instant::now());
        if !self.live || (self.drawn && self.state == line) {
            return;
        }
        self.state = line.to_owned();
        if self.drawn && self.prompt {
            // What is being typed below stays.
            self.put(&format!("\x1b7\x1b[1A\r\x1b[2K{NO_WRAP}{line}{WRAP}\x1b8"));
        } else {
            let erase = self.erased();
            self.put(&erase);
            self.draw();
        }
    }

    /// Leaves the screen tidy.
    pub(crate) fn close(&mut self) {
        let erase = self.erased();
        self.put(&erase);
        self.live = false;
    }

    fn draw(&mut self) {
        if self.live && !self.state.is_empty() {
            self.drawn = true;
            let prompt = if self.prompt { "\n> " } else { "" };
            self.put(&format!("{NO_WRAP}{}{WRAP}{prompt}", self.state));
        }
    }

    /// What takes the live line and the prompt away.
    fn erased(&mut self) -> String {
        match (std::mem::take(&mut self.drawn), self.prompt) {
            (false, _) => String::new(),
            (true, false) => "\r\x1b[J".to_owned(),
            (true, true) => "\x1b[1A\r\x1b[J".to_owned(),
        }
    }

    fn put(&mut self, text: &str) {
        // A terminal or a pipe that is gone shows nothing either way.
        drop(self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(display: &Display<Vec<u8>>) -> String {
        String::from_utf8(display.out.clone()).unwrap()
    }

    #[test]
    fn without_a_terminal_there_are_plain_lines_and_nothing_else() {
        let mut display = Display::new(Vec::new(), false, false, false, Paint(false));
        display.state("live");
        display.say("ringing");
        display.typed("hold");
        display.answer("held");
        display.close();
        assert!(!display.is_due());
        assert_eq!(text(&display), "ringing\nheld\n");
        assert_eq!(Paint(false).color(32, "x"), "x");
    }

    #[test]
    fn quiet_keeps_the_answers() {
        let mut display = Display::new(Vec::new(), true, false, false, Paint(false));
        display.say("ringing");
        display.answer("no call");
        assert_eq!(text(&display), "no call\n");
    }

    /// What a terminal would show: enough of one to follow this display.
    fn screen(bytes: &str) -> Vec<String> {
        let (mut rows, mut row, mut column, mut saved) = (vec![Vec::new()], 0, 0, (0, 0));
        let mut chars = bytes.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' => (row, column) = (row + 1, 0),
                '\r' => column = 0,
                '\x1b' => match chars.next().unwrap() {
                    '7' => saved = (row, column),
                    '8' => (row, column) = saved,
                    _ => {
                        let mut code = String::new();
                        while let Some(c) = chars.next_if(|c| !c.is_ascii_alphabetic()) {
                            code.push(c);
                        }
                        match chars.next().unwrap() {
                            'A' => row -= code.parse::<usize>().unwrap(),
                            'K' => rows[row].clear(),
                            'J' => {
                                rows[row].truncate(column);
                                rows.truncate(row + 1);
                            }
                            _ => {}
                        }
                    }
                },
                c => {
                    let width = rows[row].len();
                    rows[row].resize(width.max(column + 1), ' ');
                    rows[row][column] = c;
                    column += 1;
                }
            }
            rows.resize(rows.len().max(row + 1), Vec::new());
        }
        rows.into_iter().map(String::from_iter).collect()
    }

    #[test]
    fn the_live_line_stays_below_what_is_said_and_above_what_is_typed() {
        let mut display = Display::new(Vec::new(), false, true, true, Paint(false));
        display.say("calling");
        display.state("one");
        display.say("ringing");
        assert_eq!(screen(&text(&display)), ["calling", "ringing", "one", "> "]);
        // The terminal echoes what is typed, and the state changes meanwhile.
        display.out.extend(b"ho");
        display.state("two");
        display.out.extend(b"ld\n");
        assert_eq!(screen(&text(&display)), ["calling", "ringing", "two", "> hold", ""]);
        display.typed("hold");
        display.answer("held");
        let expected = ["calling", "ringing", "> hold", "held", "two", "> "];
        assert_eq!(screen(&text(&display)), expected);
        display.close();
        assert_eq!(screen(&text(&display)), ["calling", "ringing", "> hold", "held", ""]);
    }

    #[test]
    fn without_a_keyboard_the_live_line_is_the_last() {
        let mut display = Display::new(Vec::new(), false, true, false, Paint(true));
        display.state("one");
        display.say("ringing");
        display.state("two");
        assert_eq!(screen(&text(&display)), ["ringing", "two"]);
        assert_eq!(Paint(true).color(32, "x"), "\x1b[32mx\x1b[0m");
    }
}
