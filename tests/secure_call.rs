//! examples/secure_call as a process: its verdict is its exit status, and the same call without
//! protection does not pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/example.rs"]
mod example;

use std::path::PathBuf;

/// Half a clip: what is judged is the same, and the test is shorter.
fn short_speech() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let clip = root.join("assets/speech/sense_and_sensibility_01_austen_64kb-0880.wav");
    let rate = 16_000;
    let mut speech = subrosa::driver::read_wav(&clip, rate).unwrap();
    speech.truncate(rate as usize * 2);
    let short = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("secure_call_speech.wav");
    let wav = subrosa::media::wav::Wav { sample_rate: rate, samples: speech };
    std::fs::write(&short, wav.to_bytes()).unwrap();
    short
}

/// Runs it; its status and what it printed.
fn call(arguments: &[&str], record: &str) -> (i32, String) {
    let record = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(record);
    let mut command = example::example("secure_call");
    command.args(["--speech", short_speech().to_str().unwrap()]);
    command.args(["--record", record.to_str().unwrap()]).args(arguments);
    let output = command.output().unwrap();
    // Evidence that is broken between words goes on below.
    let lines = String::from_utf8(output.stdout).unwrap();
    let text = lines.lines().fold(String::new(), |text, line| match line.strip_prefix("      ") {
        Some(more) => format!("{text} {}", more.trim_start()),
        None => format!("{text}\n{line}"),
    });
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

/// The facts of the summary: whether each holds, and what it is.
fn facts(text: &str) -> Vec<(bool, &str)> {
    let marked = |mark| text.lines().filter_map(move |line| line.strip_prefix(mark));
    let holds = marked("  ok   ").map(|fact| (true, fact));
    holds.chain(marked("  FAIL ").map(|fact| (false, fact))).collect()
}

/// What a machine that is too busy for 50 packets a second may spoil.
const OF_TIME: [&str; 4] = [
    "packets arrive",
    "it sounds good",
    "the speech is what was spoken",
    "one-way delay through the engine",
];

fn is_of_time(fact: &str) -> bool {
    OF_TIME.iter().any(|start| fact.starts_with(start))
}

#[test]
fn the_exit_status_is_the_verdict_and_each_security_fact_holds() {
    let (status, text) = call(&[], "secure_call_secure.wav");
    let facts = facts(&text);
    assert_eq!(facts.len(), 17, "{text}");
    for (holds, fact) in &facts {
        assert!(*holds || is_of_time(fact), "{fact}\n{text}");
    }
    let all = facts.iter().all(|(holds, _)| *holds);
    assert_eq!((status, text.contains("NOT every fact")), (i32::from(!all), !all), "{text}");
    // It is seen live: padlock, progress, packets.
    assert!(text.contains("encrypted to your provider #") && text.contains(" lost "), "{text}");
    assert!(text.contains(" MOS 4."), "{text}");
    // The README shows such a report: every line of it but ports and counts.
    let readme = include_str!("../README.md").split("alice's security report\n").nth(1).unwrap();
    for line in readme.split("\n```").next().unwrap().lines() {
        let keeps = line.contains("SRTP");
        let fixed = line.split(|c: char| c.is_ascii_digit() && !keeps).next().unwrap();
        assert!(text.contains(fixed.trim()), "{line}\n{text}");
    }
    let report =
        ["alice's security report", "  Encrypted to your provider", "SRTCP, encrypted both ways"];
    let shown = ["TLS13_", "AEAD_AES_256_GCM", "certificate for bob.example", "bits per byte"];
    for wanted in report.into_iter().chain(shown) {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

/// A call without protection, in this codec, is seen through.
fn seen_through(codec: &str) {
    let (status, text) = call(&["--plain", "--codec", codec], &format!("plain_{codec}.wav"));
    assert_eq!(status, 1, "{text}");
    let facts = facts(&text);
    let holds = |start: &str| {
        let found: Vec<_> = facts.iter().filter(|(_, fact)| fact.starts_with(start)).collect();
        assert_eq!(found.len(), 1, "{start}: {text}");
        found[0].0
    };
    for fact in [
        "signalling under TLS 1.3",
        "the domain dialled is verified",
        "alice's padlock",
        "bob's padlock",
        "voice under SRTP",
        "alice's wire tells nothing",
        "bob's wire tells nothing",
    ] {
        assert!(!holds(fact), "{fact}: {text}");
    }
    // For the reason that it should: the names, the signalling and the speech were found.
    assert!(holds("the wire search can find"), "{text}");
    assert!(
        text.contains(&format!("FOUND speech as {codec}")) && text.contains("\"liddell\""),
        "{text}"
    );
    assert!(text.contains("NOT every fact holds"), "{text}");
}

#[test]
fn the_same_call_without_protection_does_not_pass() {
    ["opus", "G722"].iter().for_each(|codec| seen_through(codec));
}

#[test]
fn a_wrong_option_or_file_is_told_in_one_sentence() {
    for (arguments, part) in [
        (&["--colour"][..], "--colour"),
        (&["--speech", "/no/such.wav"], "/no/such.wav"),
        (&["--codec", "mp3"], "opus, G722"),
    ] {
        let output = example::example("secure_call").args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(text.starts_with("secure_call: ") && text.contains(part), "{text}");
    }
}
