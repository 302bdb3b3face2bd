//! The softphone example in calls: commands on standard input, recordings compared by content.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/softphone.rs"]
mod softphone;

use std::path::{Path, PathBuf};

use softphone::{Background, LOOPBACK, answering};
use subrosa::media::wav::Wav;

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("subrosa-calls-{}-{name}", std::process::id()))
}

fn read(path: &Path) -> Vec<i16> {
    Wav::parse(&std::fs::read(path).unwrap()).unwrap().samples
}

/// Two different pieces of speech, 2 s each.
fn clips() -> [(PathBuf, Vec<i16>); 2] {
    ["0880", "0930"].map(|n| {
        let name = format!("sense_and_sensibility_01_austen_64kb-{n}.wav");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(root.join("assets/speech").join(name)).unwrap();
        let mut wav = Wav::parse(&bytes).unwrap();
        wav.samples.truncate(wav.sample_rate as usize * 2);
        assert_eq!(wav.sample_rate, 16_000);
        let path = temporary(&format!("clip-{n}-{:?}.wav", std::thread::current().id()));
        std::fs::write(&path, wav.to_bytes()).unwrap();
        (path, wav.samples)
    })
}

/// How alike they are: each half second of `sent` where it is found best, the median of all. A
/// busy machine that skips some ticks shifts pieces, it does not change them.
fn likeness(sent: &[i16], received: &[i16]) -> f64 {
    // Up to 1 kHz, which holds most of a voice and is searched quickly.
    let thin = |pcm: &[i16]| -> Vec<f64> {
        pcm.chunks_exact(8).map(|c| c.iter().map(|s| f64::from(*s)).sum()).collect()
    };
    let (sent, received) = (thin(sent), thin(received));
    // The energy of everything before a sample, so that a window's is a difference.
    let mut before = vec![0.0];
    for sample in &received {
        before.push(before[before.len() - 1] + sample * sample);
    }
    let found = |piece: &[f64]| {
        let own: f64 = piece.iter().map(|s| s * s).sum();
        let alike = received.windows(piece.len()).enumerate().map(|(at, window)| {
            let both: f64 = piece.iter().zip(window).map(|(a, b)| a * b).sum();
            both / (own * (before[at + piece.len()] - before[at])).sqrt().max(1.0)
        });
        alike.fold(0.0, f64::max)
    };
    let mut pieces: Vec<f64> = sent.chunks_exact(1_000).map(found).collect();
    pieces.sort_by(f64::total_cmp);
    pieces[pieces.len() / 2]
}

/// Both ends play and record; each recording holds what the other end said.
fn both_speak(codec: &str) {
    let [(alices, alice_says), (bobs, bob_says)] = clips();
    let at_alice = temporary(&format!("at-alice-{codec}.wav"));
    let at_bob = temporary(&format!("at-bob-{codec}.wav"));
    let play_bob = ["--play", bobs.to_str().unwrap(), "--record", at_bob.to_str().unwrap()];
    let answer = ["--auto-answer", "--policy", "off", "--duration", "60"];
    let mut bob = answering(&[&answer[..], &play_bob].concat());
    let target = format!("sip:bob@{}", bob.address);
    let mut alice = Background::start(
        &[
            &LOOPBACK[..],
            &["--call", &target, "--policy", "off", "--codec", codec, "--duration", "4"],
            &["--play", alices.to_str().unwrap(), "--record", at_alice.to_str().unwrap()],
        ]
        .concat(),
    );
    alice.wait_for("call ended: we hung up");
    bob.wait_for("call ended: the far end hung up");
    assert_eq!((alice.end(), bob.end()), (0, 0));
    for (said, heard) in [(&alice_says, &at_bob), (&bob_says, &at_alice)] {
        let alike = likeness(said, &read(heard));
        assert!(alike > 0.9, "{codec}: {alike:.3} in {}", heard.display());
    }
    let other = likeness(&alice_says, &bob_says);
    assert!(other < 0.7, "other speech is not alike: {other:.3}");
}

#[test]
fn both_speak_g722_and_both_recordings_hold_what_the_other_said() {
    both_speak("g722");
}

#[test]
fn both_speak_pcmu_and_both_recordings_hold_what_the_other_said() {
    both_speak("pcmu");
}

#[test]
fn commands_work_during_a_call_at_both_ends() {
    let mut bob = answering(&["--policy", "off", "--aor", "sip:bob@localhost"]);
    let mut alice = answering(&["--policy", "off", "--name", "Alice", "--sip-trace"]);
    alice.type_line(&format!("call sip:bob@{}", bob.address));
    bob.wait_for("incoming call from Alice");
    alice.wait_for("ringing (180)");
    bob.type_line("answer");
    for phone in [&mut alice, &mut bob] {
        phone.wait_for("answered: Not encrypted: others on the way can listen.");
    }
    alice.type_line("hold");
    alice.wait_for("we hold the far end");
    bob.wait_for("the far end holds us");
    alice.type_line("status");
    alice.wait_for("on hold");
    alice.type_line("resume");
    alice.wait_for("not held by us, not held by them");
    bob.wait_for("not held by us, not held by them");
    bob.type_line("dtmf 12#");
    for digit in ["1", "2", "#"] {
        alice.wait_for(&format!("the far end pressed {digit}"));
    }
    alice.type_line("mute");
    alice.wait_for("muted");
    alice.type_line("unmute");
    alice.type_line("stats");
    for part in ["codec", "sent", "received", "lost", "jitter", "garbage", "driver"] {
        alice.wait_for(&format!("  {part} "));
    }
    bob.type_line("report");
    for part in ["padlock      not encrypted", "signalling   UDP, not encrypted", "plain RTP"] {
        bob.wait_for(part);
    }
    alice.type_line("report");
    alice.wait_for("Debugging is on: whoever has the SIP trace can see who calls whom.");
    for traced in ["  INVITE sip:bob@", "SIP received from 127.0.0.1:", "  ACK sip:"] {
        assert!(alice.seen.iter().any(|line| line.starts_with(traced)), "{:#?}", alice.seen);
        assert!(!bob.seen.iter().any(|line| line.starts_with(traced)));
    }
    bob.type_line("help");
    bob.wait_for("dtmf DIGITS");
    for (wrong, told) in [
        ("sing", "there is no command \"sing\""),
        ("dtmf", "dtmf needs digits"),
        ("dtmf x", "digits are"),
        ("play /no/such.wav", "/no/such.wav"),
        ("call sip:carol@localhost", "hang up first"),
    ] {
        bob.type_line(wrong);
        bob.wait_for(told);
    }
    bob.type_line("hangup");
    bob.wait_for("call ended: we hung up");
    alice.wait_for("call ended: the far end hung up");
    // What was is still known.
    alice.type_line("report");
    alice.wait_for("policy       encryption is switched off");
    alice.type_line("hangup");
    alice.wait_for("there is no call");
    for phone in [&mut alice, &mut bob] {
        phone.type_line("quit");
        assert_eq!(phone.end(), 0);
    }
}

#[test]
fn a_call_of_the_command_line_takes_commands_too() {
    let mut bob = answering(&["--auto-answer", "--policy", "off"]);
    let target = format!("sip:bob@{}", bob.address);
    let call = ["--call", &target, "--policy", "off", "--dtmf", "4#"];
    let mut alice = Background::start(&[&LOOPBACK[..], &call].concat());
    alice.wait_for("answered");
    // Those of the command line come first.
    for digit in ["4", "#"] {
        bob.wait_for(&format!("the far end pressed {digit}"));
    }
    alice.type_line("dtmf 5");
    bob.wait_for("the far end pressed 5");
    alice.type_line("hangup");
    alice.wait_for("call ended: we hung up");
    assert_eq!((alice.end(), bob.end()), (0, 0));
}
