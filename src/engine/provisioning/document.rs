//! The text as a tree in which everything knows its line, the same for both formats.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_parser::lexer::TokenKind;

use super::Format;
use super::error::{Problems, shown};
use crate::util::Secret;

/// The longest document: the revocation lists of one domain may fill 4 MiB.
const MAX_TEXT: usize = 16 << 20;
/// How deep a document nests: itself, its list of accounts, an account, its list of codecs, a
/// codec. What lies deeper is no value that any key takes.
const MAX_DEPTH: usize = 5;
/// Dots in one key of TOML: each nests one table deeper, where the parser sets no limit.
const MAX_DOTS: usize = 8;

/// A value and its line.
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a value is. Texts may be passwords.
pub(super) enum Value {
    Text(Secret<String>),
    Integer(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Of a kind that no key takes.
    Other,
}

/// A key with its value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

impl Value {
    /// What it is called in messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other => "something else",
        }
    }
}

/// Where lines begin.
struct Lines<'a> {
    text: &'a str,
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at);
        Self { text, ends: ends.collect() }
    }

    fn at(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end < offset).saturating_add(1)
    }

    /// The line on which a part of the text begins.
    fn of(&self, part: &str) -> usize {
        self.at((part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize))
    }
}

/// Reads the text; what keeps it from being read is a problem.
pub(super) fn read(text: &str, format: Format, problems: &mut Problems) -> Option<Node> {
    if text.len() > MAX_TEXT {
        problems.add(1, "the document is longer than 16 MiB");
        return None;
    }
    let lines = Lines::new(text);
    match format {
        Format::Toml => {
            if let Some(deep) = deep_key(text) {
                problems.add(lines.at(deep), "this nests too deeply");
                return None;
            }
            let (table, errors) = DeTable::parse_recoverable(text);
            for error in &errors {
                let line = lines.at(error.span().map_or(0, |span| span.start));
                problems.add(line, format_args!("this is not TOML: {}", error.message()));
            }
            let whole = |t: Spanned<DeTable<'_>>| toml_table(t.into_inner(), &lines, MAX_DEPTH);
            errors.is_empty().then(|| Node { line: 1, value: whole(table) })
        }
        Format::Json => match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => Some(json(raw, &lines, MAX_DEPTH, problems)),
            Err(error) => {
                problems.add(error.line().max(1), not_json(&error));
                None
            }
        },
    }
}

/// What serde_json says, without the place, which may be relative to a part.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    // Errors of other kinds may quote the value.
    let known = error.is_syntax() || error.is_eof();
    alloc::format!("this is not JSON: {}", if known { what } else { "check its form" })
}

/// Where a key has more parts than any value could lie deep.
fn deep_key(text: &str) -> Option<usize> {
    let mut dots = 0_usize;
    toml_parser::Source::new(text).lex().find_map(|token| {
        dots = match token.kind() {
            TokenKind::Dot => dots.saturating_add(1),
            TokenKind::Atom
            | TokenKind::BasicString
            | TokenKind::LiteralString
            | TokenKind::Whitespace => dots,
            _ => 0,
        };
        (dots > MAX_DOTS).then(|| token.span().start())
    })
}

fn toml_table(table: DeTable<'_>, lines: &Lines<'_>, depth: usize) -> Value {
    let entries = table.into_iter().map(|(key, value)| {
        let line = lines.at(key.span().start);
        Entry { key: key.into_inner().into_owned(), line, node: toml(value, lines, depth) }
    });
    Value::Table(entries.collect())
}

fn toml(value: Spanned<DeValue<'_>>, lines: &Lines<'_>, depth: usize) -> Node {
    let line = lines.at(value.span().start);
    let deeper = depth.checked_sub(1);
    let value = match (value.into_inner(), deeper) {
        (DeValue::String(text), _) => Value::Text(Secret::new(text.into_owned())),
        (DeValue::Integer(n), _) => {
            i64::from_str_radix(n.as_str(), n.radix()).map_or(Value::Other, Value::Integer)
        }
        (DeValue::Boolean(on), _) => Value::Bool(on),
        (DeValue::Array(list), Some(depth)) => {
            Value::List(list.into_iter().map(|v| toml(v, lines, depth)).collect())
        }
        (DeValue::Table(table), Some(depth)) => toml_table(table, lines, depth),
        _ => Value::Other,
    };
    Node { line, value }
}

/// The members of an object, in order, repetitions included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn json(raw: &RawValue, lines: &Lines<'_>, depth: usize, problems: &mut Problems) -> Node {
    let text = raw.get();
    let line = lines.of(text);
    let value = match (text.as_bytes().first(), depth.checked_sub(1)) {
        (Some(b'"'), _) => serde_json::from_str(text).map(|t| Value::Text(Secret::new(t))),
        (Some(b't' | b'f'), _) => serde_json::from_str(text).map(Value::Bool),
        (Some(b'-' | b'0'..=b'9'), _) => Ok(text.parse().map_or(Value::Other, Value::Integer)),
        (Some(b'['), Some(depth)) => serde_json::from_str::<Vec<&RawValue>>(text).map(|list| {
            Value::List(list.into_iter().map(|v| json(v, lines, depth, problems)).collect())
        }),
        (Some(b'{'), Some(depth)) => serde_json::from_str::<Members<'_>>(text)
            .map(|members| json_table(members, lines, depth, problems)),
        _ => Ok(Value::Other),
    };
    let value = value.unwrap_or_else(|error| {
        let further = error.line().saturating_sub(1);
        problems.add(line.saturating_add(further), not_json(&error));
        Value::Other
    });
    Node { line, value }
}

fn json_table(
    members: Members<'_>,
    lines: &Lines<'_>,
    depth: usize,
    problems: &mut Problems,
) -> Value {
    let mut entries: Vec<Entry> = Vec::new();
    for (key, raw) in members.0 {
        let node = json(raw, lines, depth, problems);
        entries.push(Entry { key, line: node.line, node });
    }
    // Sorted, so that repetitions in a long object are found fast.
    let mut keys: Vec<(&str, usize)> = entries.iter().map(|e| (&*e.key, e.line)).collect();
    keys.sort_unstable();
    for pair in keys.windows(2) {
        if let [(key, _), (again, line)] = pair
            && key == again
        {
            problems.add(*line, format_args!("{} is given twice: remove one", shown(key)));
        }
    }
    Value::Table(entries)
}
