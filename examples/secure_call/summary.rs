//! The verdict: each fact with its evidence, and whether it holds.

use std::fmt::Write;

/// Facts, one line each.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    lines: Vec<(bool, String, String)>,
}

impl Summary {
    /// A fact that must hold, and what shows it.
    pub(crate) fn fact(&mut self, holds: bool, fact: &str, evidence: impl Into<String>) {
        self.lines.push((holds, fact.to_owned(), evidence.into()));
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
}
