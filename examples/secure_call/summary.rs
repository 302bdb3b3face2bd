//! The verdict: each fact with its evidence, and whether it holds.

use std::fmt::Write;

use subrosa::engine::SecurityReport;

/// Columns of the narrowest terminal that people have.
const WIDTH: usize = 80;

/// Breaks `text` between words so that it fits a terminal on which it begins at column `at`; what
/// follows begins there, too.
pub(crate) fn wrap(text: &str, at: usize) -> String {
    let (mut out, mut column) = (String::new(), at);
    for word in text.split(' ') {
        let len = word.chars().count();
        if column > at && column + 1 + len > WIDTH {
            out.extend(["\n", &" ".repeat(at)]);
            column = at;
        } else if column > at {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out
}

/// A call's security report: the sentence for a screen, and the evidence.
pub(crate) fn report(report: &SecurityReport) -> String {
    let evidence = report.evidence();
    let width = evidence.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    let mut text = format!("  {}\n", wrap(&report.to_string(), 2));
    for (what, line) in &evidence {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {what:width$}  {}", wrap(line, 2 + width + 2));
    }
    text
}

/// Facts, one line each, or as many as their evidence needs.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    lines: Vec<(bool, String, String)>,
}

impl Summary {
    /// A fact that must hold, and what shows it.
    pub(crate) fn fact(&mut self, holds: bool, fact: &str, evidence: impl Into<String>) {
        self.lines.push((holds, fact.to_owned(), evidence.into()));
    }

    /// The facts, and whether each holds.
    #[cfg(test)]
    pub(crate) fn facts(&self) -> Vec<(&str, bool)> {
        self.lines.iter().map(|(holds, fact, _)| (fact.as_str(), *holds)).collect()
    }

    /// True if every fact holds.
    pub(crate) fn holds(&self) -> bool {
        self.lines.iter().all(|(holds, _, _)| *holds)
    }

    /// The table, in colors or without.
    pub(crate) fn text(&self, colors: bool) -> String {
        let width = self.lines.iter().map(|(_, fact, _)| fact.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (holds, fact, evidence) in &self.lines {
            let (mark, color) = if *holds { ("ok  ", 32) } else { ("FAIL", 31) };
            let mark = if colors { format!("\x1b[{color}m{mark}\x1b[0m") } else { mark.to_owned() };
            let evidence = wrap(evidence, 2 + 4 + 1 + width + 2);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {mark} {fact:width$}  {evidence}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fact_that_does_not_hold_is_enough() {
        let mut summary = Summary::default();
        summary.fact(true, "a", "seen");
        assert!(summary.holds());
        summary.fact(false, "longer", "not seen");
        summary.fact(true, "c", "seen");
        assert!(!summary.holds());
        let expected = "  ok   a       seen\n  FAIL longer  not seen\n  ok   c       seen\n";
        assert_eq!(summary.text(false), expected);
        assert!(summary.text(true).contains("\x1b[31mFAIL\x1b[0m longer"));
    }

    #[test]
    fn long_evidence_is_broken_between_words_and_stays_in_its_column() {
        let mut summary = Summary::default();
        summary.fact(true, "a fact", "word ".repeat(30).trim_end());
        let text = summary.text(false);
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.len() <= 80), "{text}");
        let at = text.lines().next().unwrap().find("word").unwrap();
        assert!(text.lines().all(|line| line.find("word") == Some(at)), "{text}");
        assert_eq!(wrap(&"x".repeat(100), 4), "x".repeat(100));
    }
}
