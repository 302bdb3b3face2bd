//! What the sources say: every public method, field and variant of a module of the crate, and
//! every function, struct field and constant of the header.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeSet;
use std::path::Path;

pub fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The Rust sources below a folder, its tests left out.
pub fn sources(folder: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.contains("tests") {
                let text = std::fs::read_to_string(&path).unwrap();
                texts.push(text.split("\nmod tests {").next().unwrap().to_owned());
            }
        }
    }
    texts
}

pub fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// `CallEnded` as `call_ended`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The names that a module makes public.
pub fn exported(module: &str) -> BTreeSet<String> {
    let text = read(module);
    let mut names = BTreeSet::new();
    for item in text.split("\npub use ").skip(1) {
        let item = item.split(';').next().unwrap();
        let list = item.split_once('{').map_or(item, |(_, list)| list);
        names.extend(list.split([',', '}']).map(|n| n.rsplit("::").next().unwrap().trim().into()));
    }
    for start in ["\npub struct ", "\npub enum ", "\npub fn "] {
        names.extend(text.split(start).skip(1).map(word));
    }
    names.remove("");
    names
}

/// `Type::method`, `Type.field`, `Enum::Variant`, `Enum::Variant.field`, and `function`.
pub type Items = BTreeSet<String>;

fn read_items(text: &str, wanted: &BTreeSet<String>, items: &mut Items) {
    // The type of the block that the line is in, and whether that is an impl.
    let mut block: Option<(String, bool)> = None;
    let mut variant = String::new();
    for line in text.lines() {
        if line.starts_with("impl") && !line.contains(" for ") {
            let rest = line.trim_start_matches("impl");
            let rest = if rest.starts_with('<') { rest.split_once("> ").unwrap().1 } else { rest };
            block = Some((word(rest.trim_start()), true));
        } else if let Some(name) =
            line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))
        {
            block = line.ends_with('{').then(|| (word(name), false));
        } else if let Some(name) = line.strip_prefix("pub fn ") {
            let name = word(name);
            if wanted.contains(&name) {
                items.insert(name);
            }
        } else if line == "}" {
            block = None;
        }
        let Some((of, is_impl)) = block.as_ref().filter(|(of, _)| wanted.contains(of)) else {
            continue;
        };
        let body = line.strip_prefix("    ").unwrap_or("");
        if *is_impl {
            let method = ["pub fn ", "pub const fn ", "pub async fn "]
                .iter()
                .find_map(|start| body.strip_prefix(start));
            items.extend(method.map(|method| format!("{of}::{}", word(method))));
        } else if let Some(field) = body.strip_prefix("pub ") {
            items.insert(format!("{of}.{}", word(field)));
        } else if body.starts_with(|c: char| c.is_ascii_uppercase()) {
            variant = format!("{of}::{}", word(body));
            items.insert(variant.clone());
        } else if let Some(field) = body.strip_prefix("    ")
            && field.starts_with(|c: char| c.is_ascii_lowercase())
            && of == "Event"
        {
            items.insert(format!("{variant}.{}", word(field)));
        }
    }
}

/// What the Rust side can do.
pub fn rust_items(held: &[(&str, &str)], tools: &[(&str, &str)]) -> Items {
    let mut items = Items::new();
    for (folder, module) in
        [("src/engine", "src/engine/mod.rs"), ("src/driver", "src/driver/mod.rs")]
    {
        let wanted = exported(module);
        for text in sources(folder) {
            read_items(&text, &wanted, &mut items);
        }
    }
    for (folder, of) in held {
        let wanted = BTreeSet::from([(*of).to_owned()]);
        let before = items.len();
        for text in sources(folder) {
            // Facts count here, not what their own modules do with them.
            let mut found = Items::new();
            read_items(&text, &wanted, &mut found);
            let facts = |item: &String| {
                item.contains('.')
                    || item.rsplit("::").next().unwrap().starts_with(char::is_uppercase)
            };
            items.extend(found.into_iter().filter(facts));
        }
        assert!(items.len() > before, "{of} is not in {folder}");
    }
    for (folder, of) in tools {
        let before = items.len();
        for text in sources(folder) {
            read_items(&text, &BTreeSet::from([(*of).to_owned()]), &mut items);
        }
        assert!(items.len() > before, "{of} is not in {folder}");
    }
    // A mistake of the caller is a status in C and its sentence what last_error gives.
    items.retain(|item| !word(item).ends_with("Error"));
    items
}

/// What the C side can do: functions, `struct.field` and constants.
pub fn c_symbols() -> BTreeSet<String> {
    let header = read("include/subrosa.h");
    let mut symbols = BTreeSet::new();
    let mut fields: Vec<String> = Vec::new();
    for line in header.lines() {
        if let Some(constant) = line.strip_prefix("#define ") {
            symbols.insert(word(constant));
        } else if let Some(rest) = line.strip_prefix("} ") {
            symbols.extend(fields.drain(..).map(|field| format!("{}.{field}", word(rest))));
        } else if line.starts_with("    ") && line.ends_with(';') {
            let field = line.trim_end_matches(';').rsplit([' ', '*']).next().unwrap();
            fields.push(word(field));
        } else if line.contains('(') && !line.starts_with([' ', '#', '/', '*']) {
            let function = line.split('(').next().unwrap().rsplit([' ', '*']).next().unwrap();
            if function.starts_with("subrosa_") {
                symbols.insert(function.to_owned());
            }
        }
    }
    symbols
}
