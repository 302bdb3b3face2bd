//! An example of this crate as a program.
#![allow(unreachable_pub)]

use std::process::Command;

/// Builds the example: `cargo test` has done that already, `cargo test --test` has not.
fn build(name: &str) {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    // What cargo tells its tests would make some build scripts run again, here and in the next
    // test run.
    let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];
    for (variable, _) in std::env::vars_os() {
        if told.iter().any(|start| variable.to_string_lossy().starts_with(start)) {
            cargo.env_remove(variable);
        }
    }
    cargo.args(["build", "--quiet", "--example", name]);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if cfg!(not(debug_assertions)) {
        cargo.arg("--release");
    }
    if cfg!(feature = "audio-device") {
        cargo.args(["--features", "audio-device"]);
    }
    if cfg!(feature = "provisioning") {
        cargo.args(["--features", "provisioning"]);
    }
    assert!(cargo.status().unwrap().success(), "the example does not build");
}

/// The example, built once in this process, without arguments.
pub fn example(name: &str) -> Command {
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| build(name));
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    Command::new(path.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}
