//! The softphone example with a provisioning document that changes while it runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/softphone.rs"]
mod softphone;

use std::path::PathBuf;

use softphone::{Background, LOOPBACK, run};

/// A document in a file of its own.
struct Document(PathBuf);

impl Document {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("subrosa-{}-{name}", std::process::id()));
        let document = Self(path);
        document.write(text);
        document
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const ALICE: &str = "[[account]]\naor = \"sip:alice@127.0.0.1\"\nregister = false\n";
const BOB: &str = "[[account]]\naor = \"sip:bob@127.0.0.1\"\nregister = false\n";

#[test]
fn a_document_that_changes_is_applied_and_a_broken_one_is_explained() {
    let document = Document::new("live.toml", ALICE);
    let arguments = [&LOOPBACK[..], &["--provision", document.path()]].concat();
    let mut phone = Background::start(&arguments);
    phone.wait_for("type help");
    document.write(&format!("{ALICE}{BOB}"));
    phone.wait_for("provisioned: accounts: 1 added, 1 unchanged");
    document.write(&format!("{ALICE}pasword = \"hunter2\"\n"));
    let told = phone.wait_for("line 4");
    assert!(told.contains("did you mean password?"), "{told}");
    document.write(&format!("{ALICE}display_name = \"Al\"\n"));
    phone.wait_for("provisioned: accounts: 1 updated, 1 removed");
    phone.type_line("quit");
    assert_eq!(phone.end(), 0);
    assert!(!phone.seen.iter().any(|line| line.contains("hunter2")));
}

#[test]
fn a_document_that_cannot_be_used_ends_the_phone_before_it_starts() {
    let broken = Document::new("broken.json", "{\n\"acount\": []}");
    for (path, part) in [
        (broken.path(), "line 2: a document has no key acount: did you mean account?"),
        ("phone.yaml", "No such file"),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"), "must end in .toml or .json"),
    ] {
        let (status, _, error) = run(&["--provision", path]);
        assert_eq!(status, 3, "{error}");
        assert!(error.contains(part), "{error}");
    }
    let empty = Document::new("none.toml", "");
    let (status, _, error) = run(&["--provision", empty.path()]);
    assert_eq!(status, 3, "{error}");
    assert!(error.contains("there is no account in it"), "{error}");
}
