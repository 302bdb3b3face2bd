//! include/subrosa.h is what the source says, and declares every export.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "rs"))
        .collect();
    files.sort();
    files
}

/// The header that the sources make.
fn generated() -> &'static str {
    static HEADER: OnceLock<String> = OnceLock::new();
    HEADER.get_or_init(generate)
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config);
    let files = sources("src/ffi").into_iter().filter(|path| !path.ends_with("mod.rs"));
    let builder = files.fold(builder, cbindgen::Builder::with_src);
    let mut generated = Vec::new();
    builder.generate().unwrap().write(&mut generated);
    String::from_utf8(generated).unwrap()
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let generated = generated();
    if std::env::var_os("SUBROSA_BLESS").is_some() {
        std::fs::create_dir_all(root().join("include")).unwrap();
        std::fs::write(root().join("include/subrosa.h"), generated).unwrap();
    }
    let committed = std::fs::read_to_string(root().join("include/subrosa.h")).unwrap_or_default();
    assert!(
        generated == committed,
        "include/subrosa.h is not what src/ffi says: SUBROSA_BLESS=1 cargo test --test c_header"
    );
}

/// The name of every exported function.
fn exports() -> Vec<String> {
    let mut found = Vec::new();
    for file in sources("src/ffi") {
        let text = std::fs::read_to_string(&file).unwrap();
        for part in text.split("#[unsafe(no_mangle)]").skip(1) {
            let name = part.split("fn ").nth(1).unwrap().split('(').next().unwrap().trim();
            found.push(name.to_owned());
        }
        let exported = text.matches("extern \"C\" fn ").count();
        let mangled = text.matches("#[unsafe(no_mangle)]").count();
        assert_eq!(exported, mangled, "{file:?}: an extern function without no_mangle");
    }
    found
}

fn declared() -> BTreeSet<&'static str> {
    let words = generated().split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(');
    words
        .filter_map(|word| word.strip_suffix('(').or_else(|| word.split_once('(').map(|w| w.0)))
        .filter(|word| word.starts_with("subrosa_"))
        .collect()
}

#[test]
fn the_header_declares_every_export() {
    // The generated one, not the committed one, which the other test may be writing.
    let declared = declared();
    for name in exports() {
        assert!(declared.contains(name.as_str()), "{name} is not in the header");
        assert_eq!(generated().matches(&format!("{name}(")).count(), 1, "{name} is there twice");
    }
}
