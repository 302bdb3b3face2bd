//! What is wrong with a document: every mistake with its line, no secret among them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Mistakes that are told at most; further ones are counted.
const MAX_PROBLEMS: usize = 32;
/// Characters of a name out of the document that are shown at most.
const MAX_SHOWN: usize = 40;

/// One mistake in a document.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong and what to do. Values of the document that could be secret are never in it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// A document cannot be used, and nothing of it was. `Display` has a line for each mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvisioningError {
    problems: Vec<Problem>,
    omitted: usize,
}

impl ProvisioningError {
    /// The mistakes, by line; 32 at most.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many further ones there are.
    pub const fn omitted(&self) -> usize {
        self.omitted
    }
}

impl fmt::Display for ProvisioningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\nand {omitted} more"),
        }
    }
}

impl core::error::Error for ProvisioningError {}

/// The mistakes found so far.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    omitted: usize,
}

impl Problems {
    pub(super) fn add(&mut self, line: usize, what: impl fmt::Display) {
        if self.found.len() < MAX_PROBLEMS {
            self.found.push(Problem { line, what: alloc::format!("{what}") });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    /// Keeps the value of a success; a failure is added.
    pub(super) fn take<T, E: fmt::Display>(
        &mut self,
        line: usize,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(line, error)).ok()
    }

    /// This value, if there was no mistake at all.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, ProvisioningError> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|p| p.line);
        Err(ProvisioningError { problems: self.found, omitted: self.omitted })
    }
}

/// A name out of the document, fit to be shown.
pub(super) fn shown(name: &str) -> String {
    let mut text: String =
        name.chars().take(MAX_SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect();
    if name.chars().nth(MAX_SHOWN).is_some() {
        text.push_str("...");
    }
    text
}
