//! Domains of a document: policy, and what TLS demands.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::document::Node;
use super::error::{Problems, shown};
use super::fields::{Fields, with_key};
use super::{policy, word};
use crate::crypto::tls::{
    ExpiredList, PinSet, RevocationLists, SpkiPin, TlsClientOptions, TrustAnchors, UnlistedIssuer,
};
use crate::engine::{Engine, SecurityPolicy};

const KNOWN: [&str; 9] = [
    "name",
    "policy",
    "trust_anchors",
    "trust_anchor_files",
    "pins",
    "revocation_lists",
    "revocation_list_files",
    "expired_lists",
    "unlisted_issuers",
];

/// A domain of a document.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProvisionedDomain {
    /// Its name, in lower case.
    pub name: String,
    /// Its policy, if the document has one.
    pub policy: Option<SecurityPolicy>,
    pub(super) line: usize,
    pub(super) tls: Option<DomainTls>,
}

impl ProvisionedDomain {
    /// True if the document has trust anchors, pins or revocation lists for it.
    pub const fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}

impl fmt::Debug for ProvisionedDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvisionedDomain")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("tls", &self.tls.as_ref().map(|tls| &tls.anchors))
            .finish_non_exhaustive()
    }
}

/// What differs from the engine's own TLS options.
#[derive(Clone)]
pub(super) struct DomainTls {
    anchors: Option<TrustAnchors>,
    pins: Option<PinSet>,
    revocation: RevocationLists,
    has_lists: bool,
    /// SHA-256 of all that this was made of: the same one means that nothing changed.
    pub(super) digest: [u8; 32],
}

impl DomainTls {
    /// These options with the domain's own.
    pub(super) fn over(&self, mut options: TlsClientOptions) -> TlsClientOptions {
        if let Some(anchors) = &self.anchors {
            options.anchors = anchors.clone();
        }
        if let Some(pins) = &self.pins {
            options.pins = Some(pins.clone());
        }
        if self.has_lists {
            options.revocation = self.revocation.clone();
        }
        options
    }
}

type Files<'a> = &'a mut dyn FnMut(&str) -> Option<Vec<u8>>;

impl ProvisionedDomain {
    pub(super) fn read(node: &Node, problems: &mut Problems, file: Files<'_>) -> Option<Self> {
        let fields = Fields::open(node, "a domain", &KNOWN, problems)?;
        if !fields.has("name") {
            problems.add(fields.line, "this domain has no name: add name = \"example.com\"");
        }
        let name = fields.parsed("name", problems, |name| {
            let name = name.to_ascii_lowercase();
            let checked = Engine::check_domain(&name);
            checked.map(|()| name.clone()).map_err(|_| {
                alloc::format!(
                    "{} is no domain: write a host name such as example.com",
                    shown(&name)
                )
            })
        });
        let policy = fields.parsed("policy", problems, policy);
        let tls = read_tls(&fields, problems, file);
        Some(Self { name: name?, policy, line: fields.line, tls })
    }
}

fn read_tls(fields: &Fields<'_>, problems: &mut Problems, file: Files<'_>) -> Option<DomainTls> {
    if !KNOWN.iter().skip(2).any(|key| fields.has(key)) {
        return None;
    }
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut note = |kind: &[u8], content: &[u8]| {
        digest.update(kind);
        digest.update(&content.len().to_be_bytes());
        digest.update(content);
    };
    let mut anchors = Vec::new();
    for (line, key, pem) in pems(fields, "trust_anchors", "trust_anchor_files", problems, file) {
        if problems
            .take(line, TrustAnchors::from_pem(&pem).map_err(|e| with_key(key, &e)))
            .is_some()
        {
            note(b"anchor", &pem);
            anchors.extend_from_slice(&pem);
            anchors.push(b'\n');
        }
    }
    let given = fields.has("trust_anchors") || fields.has("trust_anchor_files");
    // What does not parse was told above.
    let anchors = given.then(|| TrustAnchors::from_pem(&anchors).unwrap_or_default());
    let pins = read_pins(fields, problems);
    for pin in pins.iter().flat_map(PinSet::pins) {
        note(b"pin", pin.as_bytes());
    }
    let mut revocation = RevocationLists::new();
    for (line, key, pem) in
        pems(fields, "revocation_lists", "revocation_list_files", problems, file)
    {
        if problems.take(line, revocation.add_pem(&pem).map_err(|e| with_key(key, &e))).is_some() {
            note(b"list", &pem);
        }
    }
    let expired = [("refuse", ExpiredList::Refuse), ("use", ExpiredList::Use)];
    if let Some(expired) = fields.parsed("expired_lists", problems, |t| word(t, &expired)) {
        note(b"expired", &[u8::from(expired == ExpiredList::Use)]);
        revocation.expired = expired;
    }
    let unlisted = [("accept", UnlistedIssuer::Accept), ("refuse", UnlistedIssuer::Refuse)];
    if let Some(unlisted) = fields.parsed("unlisted_issuers", problems, |t| word(t, &unlisted)) {
        note(b"unlisted", &[u8::from(unlisted == UnlistedIssuer::Refuse)]);
        revocation.unlisted = unlisted;
    }
    let has_lists = KNOWN.iter().skip(5).any(|key| fields.has(key));
    let mut sum = [0; 32];
    sum.iter_mut().zip(digest.finish().as_ref()).for_each(|(slot, byte)| *slot = *byte);
    Some(DomainTls { anchors, pins, revocation, has_lists, digest: sum })
}

/// The PEM texts of a key, and of the files that another names, with their lines.
fn pems(
    fields: &Fields<'_>,
    inline: &'static str,
    named: &'static str,
    problems: &mut Problems,
    file: Files<'_>,
) -> Vec<(usize, &'static str, Vec<u8>)> {
    let mut found = Vec::new();
    for key in [inline, named] {
        let texts = fields.texts(key, problems);
        if fields.has(key) && texts.is_empty() {
            problems.add(fields.line_of(key), format_args!("{key} is empty: leave it out"));
        }
        for (line, text) in texts {
            if key == inline {
                found.push((line, key, text.expose().as_bytes().to_vec()));
            } else if let Some(bytes) = file(text.expose()) {
                found.push((line, key, bytes));
            } else {
                let name = shown(text.expose());
                problems.add(line, format_args!("{key}: there is no file {name}"));
            }
        }
    }
    found
}

fn read_pins(fields: &Fields<'_>, problems: &mut Problems) -> Option<PinSet> {
    if !fields.has("pins") {
        return None;
    }
    let mut pins = Vec::new();
    let mut wrong = false;
    for (line, text) in fields.texts("pins", problems) {
        match SpkiPin::parse(text.expose()) {
            Ok(pin) => pins.push(pin),
            Err(error) => {
                wrong = true;
                problems.add(line, with_key("pins", &error));
            }
        }
    }
    let line = fields.line_of("pins");
    let pins = problems.take(line, PinSet::new(pins).map_err(|e| e.to_string()))?;
    if !pins.has_backup() && !wrong {
        let what = "pins needs a second one, of a key kept offline: a lost key locks everyone out";
        problems.add(line, what);
    }
    Some(pins)
}
