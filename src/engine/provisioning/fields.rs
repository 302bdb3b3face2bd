//! Reading the keys of one table.

use alloc::string::String;
use alloc::vec::Vec;

use super::document::{Entry, Node, Value};
use super::error::{Problems, shown};
use crate::util::Secret;

/// A table of the document.
pub(super) struct Fields<'a> {
    /// Where it begins.
    pub(super) line: usize,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// The keys of a table; those that are not known are problems.
    pub(super) fn open(
        node: &'a Node,
        place: &str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            problems.add(node.line, format_args!("{place} is a table, not {}", node.value.kind()));
            return None;
        };
        for entry in entries {
            if !known.contains(&&*entry.key) {
                problems.add(entry.line, unknown(&entry.key, place, known));
            }
        }
        Some(Self { line: node.line, entries })
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.node)
    }

    /// The line of a key, or of the table.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.entries.iter().find(|e| e.key == key).map_or(self.line, |e| e.line)
    }

    pub(super) fn text(&self, key: &str, problems: &mut Problems) -> Option<&'a Secret<String>> {
        let node = self.get(key)?;
        text_of(node, key, problems)
    }

    /// A text that is read into a value.
    pub(super) fn parsed<T, E: core::fmt::Display>(
        &self,
        key: &str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        problems.take(self.line_of(key), parse(text.expose()).map_err(|e| with_key(key, &e)))
    }

    pub(super) fn flag(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        let node = self.get(key)?;
        let Value::Bool(on) = node.value else {
            problems.add(
                node.line,
                format_args!("{key} is true or false, without quotes, not {}", node.value.kind()),
            );
            return None;
        };
        Some(on)
    }

    pub(super) fn integer(
        &self,
        key: &str,
        range: core::ops::RangeInclusive<u32>,
        problems: &mut Problems,
    ) -> Option<u32> {
        let node = self.get(key)?;
        let number = match node.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            problems.add(
                node.line,
                format_args!("{key} is a whole number from {least} to {most}, without quotes"),
            );
        }
        number
    }

    /// A list, or nothing.
    pub(super) fn list(&self, key: &str, problems: &mut Problems) -> &'a [Node] {
        match self.get(key) {
            None => &[],
            Some(Node { value: Value::List(list), .. }) => list,
            Some(other) => {
                let kind = other.value.kind();
                problems.add(other.line, format_args!("{key} is a list, not {kind}"));
                &[]
            }
        }
    }

    /// A list of texts, each with its line.
    pub(super) fn texts(
        &self,
        key: &str,
        problems: &mut Problems,
    ) -> Vec<(usize, &'a Secret<String>)> {
        let list = self.list(key, problems);
        list.iter().filter_map(|n| Some((n.line, text_of(n, key, problems)?))).collect()
    }

    /// A table within, if it is there.
    pub(super) fn table(&self, key: &str) -> Option<&'a Node> {
        self.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

fn text_of<'a>(node: &'a Node, key: &str, problems: &mut Problems) -> Option<&'a Secret<String>> {
    let Value::Text(text) = &node.value else {
        let kind = node.value.kind();
        problems.add(node.line, format_args!("{key} takes text in quotes, not {kind}"));
        return None;
    };
    Some(text)
}

/// What is wrong with the value of a key.
pub(super) fn with_key(key: &str, what: &dyn core::fmt::Display) -> String {
    alloc::format!("{key}: {what}")
}

fn unknown(key: &str, place: &str, known: &[&str]) -> String {
    let lower = key.to_ascii_lowercase().replace('-', "_");
    let near = known
        .iter()
        .map(|k| (distance(&lower, k), k))
        .filter(|(distance, k)| *distance <= 2.max(k.len() / 3))
        .min();
    match near {
        Some((_, near)) => {
            alloc::format!("{place} has no key {}: did you mean {near}?", shown(key))
        }
        None => {
            let all = known.join(", ");
            alloc::format!("{place} has no key {}: it takes {all}", shown(key))
        }
    }
}

/// How many letters have to be put in, taken out or changed, for short words.
fn distance(a: &str, b: &str) -> usize {
    let (short, other) = (40, b.chars().count());
    if a.len() > short {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal.saturating_add(usize::from(from != to));
            diagonal = *cell;
            *cell = changed.min(left.saturating_add(1)).min(cell.saturating_add(1));
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, expected) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("pasword", "password", 1),
            ("policy", "policy", 0),
            ("polciy", "policy", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
