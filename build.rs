//! Nothing to generate by default; under `ffi` the C header lands in OUT_DIR (never in the tree).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}
