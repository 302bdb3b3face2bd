//! The lints that the promises rest on are on, and are switched off nowhere but where it says here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

/// Denied for the whole crate.
const DENIED: [&str; 8] = [
    "unwrap_used",
    "expect_used",
    "panic",
    "todo",
    "unimplemented",
    "indexing_slicing",
    "disallowed_methods",
    "disallowed_types",
];

/// The modules that read bytes from outside, each with all that is below it: no arithmetic that
/// could overflow.
const READERS: [&str; 30] = [
    "wire/mod.rs",
    "wire/sip/mod.rs",
    "wire/rtp.rs",
    "wire/rtcp.rs",
    "wire/dtmf.rs",
    "sdp/mod.rs",
    "sip/auth.rs",
    "sip/dialog/mod.rs",
    "sip/flow/mod.rs",
    "sip/resolve.rs",
    "sip/route.rs",
    "sip/registration.rs",
    "sip/transaction/mod.rs",
    "crypto/der.rs",
    "crypto/digest.rs",
    "crypto/identity.rs",
    "crypto/safety_number.rs",
    "crypto/srtp/mod.rs",
    "crypto/tls/mod.rs",
    "crypto/dtls/der.rs",
    "crypto/dtls/fingerprint.rs",
    "crypto/dtls/identity.rs",
    "crypto/dtls/records.rs",
    "driver/dns/mod.rs",
    "driver/dns/message.rs",
    "engine/peers.rs",
    "engine/provisioning/mod.rs",
    "media/codec/g722.rs",
    "media/session/mod.rs",
    "media/wav.rs",
];

/// Where one of them is switched off, and why.
const EXCEPTIONS: [(&str, &str); 8] = [
    ("lib.rs", "unsafe_code"),               // the module `ffi`
    ("lib.rs", "disallowed_methods"),        // the module `driver`
    ("wire/sip/chars.rs", "indexing"),       // tables made by the compiler
    ("wire/sip/name.rs", "indexing"),        // a table made by the compiler
    ("wire/sip/scan.rs", "disallowed"),      // where searches are counted
    ("engine/gate.rs", "disallowed"),        // the one that permits plain media
    ("crypto/dtls/config.rs", "disallowed"), // dimpl's clock, which is given to it
    ("sim/", "expect_used"),                 // a simulation that cannot go on
];

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn what_may_panic_is_denied_for_the_whole_crate() {
    let manifest = fs::read_to_string(source().join("../Cargo.toml")).unwrap();
    for lint in DENIED {
        assert!(manifest.contains(&format!("\n{lint} = \"deny\"\n")), "{lint}");
    }
    assert!(manifest.contains("\nunsafe_code = \"deny\"\n"));
    let root = fs::read_to_string(source().join("lib.rs")).unwrap();
    assert!(root.contains("#![cfg_attr(not(feature = \"ffi\"), forbid(unsafe_code))]"));
}

#[test]
fn arithmetic_is_checked_wherever_bytes_are_read() {
    for file in READERS {
        let text = fs::read_to_string(source().join(file)).unwrap();
        let deny = "deny(clippy::arithmetic_side_effects)";
        let on = text.lines().any(|l| l.starts_with("#![") && l.contains(deny));
        assert!(on, "{file}");
    }
}

#[test]
fn no_lint_is_switched_off_but_where_it_says_here() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    assert!(all.len() > 200);
    for path in all {
        let name = path.strip_prefix(source()).unwrap().to_str().unwrap().to_string();
        if name.ends_with("tests.rs") || name.contains("tests/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Tests may panic, and those of a file stand at its end.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in switched_off(code) {
            let known = |(file, lint): &(&str, &str)| name.starts_with(file) && line.contains(lint);
            assert!(EXCEPTIONS.iter().any(known), "{name}: {line}");
        }
    }
}

/// The attributes of this code that switch off a lint that is denied, each in one line.
fn switched_off(code: &str) -> Vec<String> {
    let strict = |attribute: &String| {
        let lint = |lint: &&str| attribute.contains(&format!("clippy::{lint}"));
        // Groups switch off what is in them.
        let groups = ["clippy::all", "clippy::restriction", "clippy::style", "warnings"];
        DENIED.iter().any(lint)
            || groups.iter().any(|group| attribute.contains(group))
            || attribute.contains("unsafe_code")
            || attribute.contains("arithmetic")
    };
    let mut found = Vec::new();
    let mut lines = code.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if !line.starts_with("#[") && !line.starts_with("#![") {
            continue;
        }
        let mut attribute = line.to_string();
        while !attribute.contains(']') {
            let Some(line) = lines.next() else { break };
            attribute += line;
        }
        let off = ["allow(", "expect(", "warn("].iter().any(|word| attribute.contains(word));
        found.extend(Some(attribute).filter(|attribute| off && strict(attribute)));
    }
    found
}

#[test]
fn every_way_to_switch_a_lint_off_is_seen() {
    for off in [
        "#[allow(clippy::unwrap_used)]",
        "    #![expect(clippy::panic)] // it never does",
        "#[warn(clippy::indexing_slicing)]",
        "#[allow(\n    missing_docs,\n    clippy::expect_used\n)]",
        "#[cfg_attr(feature = \"x\", allow(unsafe_code))]",
        "#![allow(clippy::arithmetic_side_effects)]",
        "#[allow(clippy::restriction)]",
        "#![allow(warnings)]",
    ] {
        assert_eq!(switched_off(&format!("fn a() {{}}\n{off}\nfn b() {{}}\n")).len(), 1, "{off}");
    }
    for on in ["#[allow(missing_docs)]", "#![deny(clippy::panic)]", "// #[allow(clippy::panic)]"] {
        assert!(switched_off(on).is_empty(), "{on}");
    }
}

/// What clippy keeps out of everything below the driver, and uncounted searches.
const FORBIDDEN: [&str; 20] = [
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "rustls::pki_types::UnixTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "subrosa::crypto::srtp::PlainPermit::issue",
    "memchr::memchr",
    "memchr::memchr2",
    "memchr::memchr3",
    "memchr::memchr_iter",
    "memchr::memrchr",
    "memchr::memmem::find",
    "memchr::memmem::find_iter",
    "memchr::memmem::Finder::new",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::time::Instant",
    "std::time::SystemTime",
    "ring::rand::SystemRandom",
];

#[test]
fn what_must_not_be_called_or_used_is_forbidden_by_name() {
    let rules = fs::read_to_string(source().join("../clippy.toml")).unwrap();
    for path in FORBIDDEN {
        assert!(rules.contains(&format!("{{ path = \"{path}\", ")), "{path}");
    }
    // And whoever runs the checks is stopped by a warning, too.
    let ci = fs::read_to_string(source().join("../ci.sh")).unwrap();
    assert!(ci.lines().any(|l| l.contains("clippy") && l.contains("-D warnings")));
}

/// What the callback of a device runs: it may wait for nobody, or the sound has a gap.
#[test]
fn the_callback_of_a_device_knows_no_lock() {
    let waits = ["Mutex", "RwLock", "Condvar", "Once", "mpsc", "lock(", "park", "sleep"];
    for file in ["ring.rs", "capture.rs", "playout.rs", "fade.rs", "crossing.rs", "drift.rs"] {
        let code = fs::read_to_string(source().join("driver/device").join(file)).unwrap();
        let found: Vec<_> = waits.iter().filter(|word| code.contains(**word)).collect();
        assert!(found.is_empty(), "driver/device/{file} has {found:?}");
    }
}
