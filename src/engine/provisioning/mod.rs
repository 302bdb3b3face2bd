//! Provisioning: one document, in TOML or JSON, that says what a phone is to be.
//!
//! [`Provisioning::parse`] reads and checks it as a whole, text in, values out;
//! [`Engine::provision`](super::Engine::provision) applies it, everything or nothing, and when it
//! is applied again changes only what changed. The format is described in
//! `docs/provisioning.md`:
//!
//! ```
//! use subrosa::engine::provisioning::{Format, Provisioning};
//!
//! let text = r#"
//!     [[domain]]
//!     name = "example.com"
//!     policy = "required"
//!
//!     [[account]]
//!     aor = "sip:alice@example.com"
//!     pasword = "rose"
//! "#;
//! let error = Provisioning::parse(text, Format::Toml).unwrap_err();
//! assert_eq!(error.to_string(), "line 8: an account has no key pasword: did you mean password?");
//! ```
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod account;
mod apply;
mod document;
mod domain;
mod error;
mod fields;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{AccountConfig, SecurityPolicy};
pub(super) use apply::Provisioned;
pub use apply::ProvisioningOutcome;
pub use domain::ProvisionedDomain;
pub use error::{Problem, ProvisioningError};

use error::{Problems, shown};
use fields::Fields;

/// Accounts and domains in one document at most, of each.
const MAX_ITEMS: usize = 1000;

/// How a document is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// JSON (RFC 8259), with the same keys.
    Json,
}

impl Format {
    /// The format that a file's name tells: `.toml` or `.json`.
    pub fn of_file_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            end if end.eq_ignore_ascii_case("toml") => Some(Self::Toml),
            end if end.eq_ignore_ascii_case("json") => Some(Self::Json),
            _ => None,
        }
    }
}

/// A document that was read and is right in itself. Whether an engine can take it shows
/// [`Engine::provision`](super::Engine::provision).
#[derive(Clone, Debug)]
pub struct Provisioning {
    options: EngineOptions,
    domains: Vec<ProvisionedDomain>,
    /// Each with its line.
    accounts: Vec<(usize, AccountConfig)>,
}

/// Options of the whole engine; `None` leaves what its configuration says.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct EngineOptions {
    max_calls: Option<usize>,
    upgrade_running_calls: Option<bool>,
    user_agent: Option<String>,
}

impl Provisioning {
    /// Reads a document that names no files.
    ///
    /// # Errors
    /// [`ProvisioningError`] has every mistake with its line.
    pub fn parse(text: &str, format: Format) -> Result<Self, ProvisioningError> {
        Self::parse_with_files(text, format, |_| None)
    }

    /// Reads a document. Trust anchors and revocation lists may stand in files: `file` gives the
    /// bytes of the one with this name, `None` if there is none. It is called for names that the
    /// document has, and should not look beyond the places that the document may know of.
    ///
    /// # Errors
    /// [`ProvisioningError`] has every mistake with its line.
    pub fn parse_with_files(
        text: &str,
        format: Format,
        mut file: impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, ProvisioningError> {
        let mut problems = Problems::default();
        let mut read =
            Self { options: EngineOptions::default(), domains: Vec::new(), accounts: Vec::new() };
        if let Some(root) = document::read(text, format, &mut problems) {
            let known = ["engine", "domain", "account"];
            if let Some(fields) = Fields::open(&root, "a document", &known, &mut problems) {
                read.fill(&fields, &mut problems, &mut file);
            }
        }
        problems.or(read)
    }

    fn fill(
        &mut self,
        fields: &Fields<'_>,
        problems: &mut Problems,
        file: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
    ) {
        if let Some(node) = fields.table("engine") {
            self.options = EngineOptions::read(node, problems);
        }
        let mut lines = BTreeMap::new();
        for node in items("domain", fields, problems) {
            let Some(domain) = ProvisionedDomain::read(node, problems, file) else { continue };
            if let Some(line) = lines.insert(domain.name.clone(), node.line) {
                let name = shown(&domain.name);
                let what = "has a domain of its own already, on line";
                problems.add(node.line, format_args!("{name} {what} {line}: join them"));
            }
            self.domains.push(domain);
        }
        let mut lines = BTreeMap::new();
        for node in items("account", fields, problems) {
            let Some(account) = account::read(node, problems) else { continue };
            if let Some(line) = lines.insert(account::key(&account), node.line) {
                let what = "this aor has an account already, on line";
                problems.add(node.line, format_args!("{what} {line}: remove one"));
            }
            self.accounts.push((node.line, account));
        }
    }

    /// The domains, in the order of the document.
    pub fn domains(&self) -> &[ProvisionedDomain] {
        &self.domains
    }

    /// The accounts, in the order of the document.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &AccountConfig> {
        self.accounts.iter().map(|(_, account)| account)
    }
}

fn items<'a>(
    key: &str,
    fields: &Fields<'a>,
    problems: &mut Problems,
) -> impl Iterator<Item = &'a document::Node> + use<'a> {
    let list = fields.list(key, problems);
    if let Some(further) = list.get(MAX_ITEMS) {
        problems.add(further.line, format_args!("more than {MAX_ITEMS} of {key}: remove some"));
    }
    list.iter().take(MAX_ITEMS)
}

impl EngineOptions {
    fn read(node: &document::Node, problems: &mut Problems) -> Self {
        let known = ["max_calls", "upgrade_running_calls", "user_agent"];
        let Some(fields) = Fields::open(node, "engine", &known, problems) else {
            return Self::default();
        };
        Self {
            max_calls: fields
                .integer("max_calls", 1..=10_000, problems)
                .and_then(|n| usize::try_from(n).ok()),
            upgrade_running_calls: fields.flag("upgrade_running_calls", problems),
            user_agent: fields.parsed("user_agent", problems, plain),
        }
    }
}

/// A text that a header field can carry.
fn plain(text: &str) -> Result<String, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("there are control characters in it: remove them");
    }
    Ok(text.to_string())
}

/// One of several words.
fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        alloc::format!("give one of {}", all.join(", "))
    })
}

fn policy(text: &str) -> Result<SecurityPolicy, String> {
    let all = [SecurityPolicy::Off, SecurityPolicy::Preferred, SecurityPolicy::Required];
    word(text, &all.map(|policy| (policy.as_str(), policy)))
}
