//! Nothing to generate by default; under `ffi` the C header lands in OUT_DIR (never in the tree).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "ffi")]
    write_header();
}

/// `OUT_DIR/subrosa.h`: for build scripts that want the header of exactly this library.
/// include/subrosa.h is the same; a test compares them.
#[cfg(feature = "ffi")]
fn write_header() {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    let out = std::env::var_os("OUT_DIR").map(std::path::PathBuf::from);
    let written = out.ok_or_else(|| "OUT_DIR is not set".to_owned()).and_then(|out| {
        let mut files: Vec<_> = std::fs::read_dir("src/ffi")
            .map_err(|error| error.to_string())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| !path.ends_with("mod.rs"))
            .collect();
        files.sort();
        let config = cbindgen::Config::from_file("cbindgen.toml")?;
        let builder = cbindgen::Builder::new().with_config(config);
        let builder = files.into_iter().fold(builder, cbindgen::Builder::with_src);
        let bindings = builder.generate().map_err(|error| error.to_string())?;
        bindings.write_to_file(out.join("subrosa.h"));
        Ok(())
    });
    if let Err(error) = written {
        println!("cargo:warning=the C header could not be written: {error}");
    }
}
