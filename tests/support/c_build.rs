//! Builds C programs over the static library, for the tests that run them.
#![allow(unreachable_pub, dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test run, below the target directory.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_abi");
        std::fs::create_dir_all(&path).unwrap();
        path
    })
}

/// The static library, built once, where this test was built.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells its tests would make some build scripts run again, here and in the
        // next test run.
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];
        for (name, _) in std::env::vars_os() {
            if told.iter().any(|start| name.to_string_lossy().starts_with(start)) {
                cargo.env_remove(name);
            }
        }
        // The features of the test build, so that the dependencies are built already.
        let built = cargo
            .args(["rustc", "--quiet", "--lib", "--features", "sim,ffi"])
            .args(["--crate-type", "staticlib", "--target-dir"])
            .arg(target)
            .current_dir(root())
            .status()
            .unwrap();
        assert!(built.success(), "the static library does not build");
        target.join("debug/libsubrosa.a")
    })
}

/// Compiles a C program.
pub fn compile(name: &str, sources: &[&str]) -> PathBuf {
    let program = folder().join(name);
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let output = Command::new(compiler)
        .args(["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"])
        .arg("-Iinclude")
        .args(sources)
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}
