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

    /// The table.
    pub(crate) fn text(&self) -> String {
        let width = self.lines.iter().map(|(_, fact, _)| fact.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (holds, fact, evidence) in &self.lines {
            let mark = if *holds { "ok  " } else { "FAIL" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {mark} {fact:width$}  {evidence}");
        }
        text
    }
}
