//! include/subrosa.h is what the source says; every export is guarded; Rust and C can do the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

fn header() -> String {
    std::fs::read_to_string(root().join("include/subrosa.h")).unwrap_or_default()
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config);
    let files = sources("src/ffi").into_iter().filter(|path| !path.ends_with("mod.rs"));
    let builder = files.fold(builder, cbindgen::Builder::with_src);
    let mut generated = Vec::new();
    builder.generate().unwrap().write(&mut generated);
    let generated = String::from_utf8(generated).unwrap();
    if std::env::var_os("SUBROSA_BLESS").is_some() {
        std::fs::create_dir_all(root().join("include")).unwrap();
        std::fs::write(root().join("include/subrosa.h"), &generated).unwrap();
    }
    assert!(
        generated == header(),
        "include/subrosa.h is not what src/ffi says: SUBROSA_BLESS=1 cargo test --test c_header"
    );
}

/// Every exported function: its name and its text.
fn exports() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in sources("src/ffi") {
        let text = std::fs::read_to_string(&file).unwrap();
        for part in text.split("#[unsafe(no_mangle)]").skip(1) {
            let name = part.split("fn ").nth(1).unwrap().split('(').next().unwrap().trim();
            let body = part.split("\n}\n").next().unwrap();
            found.push((name.to_owned(), body.to_owned()));
        }
        let exported = text.matches("extern \"C\" fn ").count();
        let mangled = text.matches("#[unsafe(no_mangle)]").count();
        assert_eq!(exported, mangled, "{file:?}: an extern function without no_mangle");
    }
    found
}

#[test]
fn every_export_is_guarded_against_panics() {
    // Each of these ends in `guard` or `Handle::with`, which catch.
    let guards =
        ["guard(", "enter(", "with(", "input(", "set(", "set_text(", "command(", "with_ring("];
    let exports = exports();
    assert!(exports.len() > 60, "{}", exports.len());
    for (name, body) in exports {
        let first = body.split_once('{').unwrap().1;
        assert!(guards.iter().any(|guard| first.contains(guard)), "{name} has no panic guard");
    }
}

fn declared() -> BTreeSet<String> {
    let header = header();
    let words = header.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(');
    words
        .filter_map(|word| word.strip_suffix('(').or_else(|| word.split_once('(').map(|w| w.0)))
        .filter(|word| word.starts_with("subrosa_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_header_declares_every_export() {
    let declared = declared();
    for (name, _) in exports() {
        assert!(declared.contains(&name), "{name} is not in the header");
        assert_eq!(header().matches(&format!("{name}(")).count(), 1, "{name} is there twice");
    }
}

/// The Rust functions and their C functions. `new` of builders are their own setters in C.
const SAME: &[(&str, &[&str])] = &[
    ("Engine::new", &["subrosa_engine_new"]),
    (
        "Engine::handle_input",
        &[
            "subrosa_engine_handle_timeout",
            "subrosa_engine_handle_datagram",
            "subrosa_engine_handle_udp_bound",
            "subrosa_engine_handle_udp_bind_failed",
            "subrosa_engine_handle_listening",
            "subrosa_engine_handle_listen_failed",
            "subrosa_engine_handle_stream_connected",
            "subrosa_engine_handle_stream_data",
            "subrosa_engine_handle_stream_closed",
            "subrosa_engine_handle_resolved",
            "subrosa_engine_handle_network_changed",
            "subrosa_engine_handle_wall_clock",
        ],
    ),
    ("Engine::accept_stream", &["subrosa_engine_accept_stream"]),
    ("Engine::poll_output", &["subrosa_engine_poll_output"]),
    ("Engine::add_account", &["subrosa_engine_add_account"]),
    ("Engine::remove_account", &["subrosa_engine_remove_account"]),
    ("Engine::account", &["subrosa_engine_account"]),
    ("Engine::place_call", &["subrosa_engine_place_call"]),
    ("Engine::call", &["subrosa_call_get_info"]),
    ("Engine::call_ids", &["subrosa_engine_call_ids"]),
    ("Engine::forget_call", &["subrosa_engine_forget_call"]),
    ("Engine::set_domain_policy", &["subrosa_engine_set_domain_policy"]),
    ("Engine::policy_of", &["subrosa_engine_policy_of"]),
    ("Engine::write_pcm", &["subrosa_call_write_pcm"]),
    ("Engine::read_pcm", &["subrosa_call_read_pcm"]),
    ("Engine::stats", &["subrosa_engine_get_stats"]),
    ("Engine::shut_down", &["subrosa_engine_shut_down"]),
    ("Engine::poll_log", &["subrosa_engine_set_logger"]),
    ("Engine::set_log_level", &["subrosa_engine_set_logger"]),
    ("Call::id", &[]),
    ("Call::state", &["subrosa_call_get_info"]),
    ("Call::direction", &["subrosa_call_get_info"]),
    ("Call::remote", &["subrosa_call_get_info"]),
    ("Call::end_reason", &["subrosa_call_get_info"]),
    ("Call::codec", &["subrosa_call_get_info"]),
    ("Call::holds", &["subrosa_call_get_info"]),
    ("Call::security", &["subrosa_call_security"]),
    ("Call::media_stats", &["subrosa_call_media_stats"]),
    ("Call::ring", &["subrosa_call_ring"]),
    ("Call::accept", &["subrosa_call_accept"]),
    ("Call::reject", &["subrosa_call_reject"]),
    ("Call::hang_up", &["subrosa_call_hang_up"]),
    ("Call::hold", &["subrosa_call_hold"]),
    ("Call::resume", &["subrosa_call_resume"]),
    ("Call::send_dtmf", &["subrosa_call_send_dtmf"]),
    ("Call::mute", &["subrosa_call_mute"]),
];

/// The public methods of `Engine` and `Call`, from the source.
fn rust_methods() -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for file in sources("src/engine") {
        let text = std::fs::read_to_string(&file).unwrap();
        for (start, of) in [("impl Engine {", "Engine"), ("impl Call<'_> {", "Call")] {
            for block in text.split(start).skip(1) {
                let block = block.split("\n}\n").next().unwrap();
                for method in block.split("\n    pub fn ").skip(1) {
                    let name: String =
                        method.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    methods.insert(format!("{of}::{name}"));
                }
            }
        }
    }
    methods
}

#[test]
fn rust_and_c_can_do_the_same() {
    let (rust, declared) = (rust_methods(), declared());
    let listed: BTreeSet<String> = SAME.iter().map(|(rust, _)| (*rust).to_owned()).collect();
    let missing: Vec<_> = rust.difference(&listed).collect();
    assert!(missing.is_empty(), "no C function for {missing:?}");
    let gone: Vec<_> = listed.difference(&rust).collect();
    assert!(gone.is_empty(), "listed, but not in src/engine: {gone:?}");
    for (rust, c) in SAME {
        for function in *c {
            assert!(declared.contains(*function), "{rust}: {function} is not in the header");
        }
    }
}

#[test]
fn inputs_and_outputs_are_all_there() {
    // One C function per Input, one constant per Output and per Event.
    let io = std::fs::read_to_string(root().join("src/engine/io.rs")).unwrap();
    let event = std::fs::read_to_string(root().join("src/engine/event.rs")).unwrap();
    let header = header();
    let variants = |text: &str, of: &str| -> Vec<String> {
        let block = text.split(of).nth(1).unwrap().split("\n}\n").next().unwrap().to_owned();
        let lines = block.lines().filter_map(|line| line.strip_prefix("    "));
        lines
            .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
            .map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect())
            .collect()
    };
    let snake = |name: &str| {
        let mut out = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !out.is_empty() {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        }
        out
    };
    let inputs = variants(&io, "pub enum Input<'a> {");
    assert!(inputs.len() >= 12);
    for input in inputs {
        let name = format!("subrosa_engine_handle_{}(", snake(&input));
        assert!(header.contains(&name), "{name}");
    }
    for (text, of, prefix) in [
        (&io, "pub enum Output<'b> {", "SUBROSA_OUTPUT_"),
        (&event, "pub enum Event {", "SUBROSA_EVENT_"),
        (&event, "pub enum FailureReason {", "SUBROSA_FAILURE_"),
        (&event, "pub enum EndReason {", "SUBROSA_END_"),
    ] {
        for variant in variants(text, of) {
            let name = format!("#define {prefix}{} ", snake(&variant).to_ascii_uppercase());
            assert!(header.contains(&name), "{name}");
        }
    }
}
