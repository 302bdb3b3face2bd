//! One secure call, end to end, in one process: two engines, two drivers, real sockets on
//! loopback, TLS 1.3 with certificates made on the spot, SRTP, recorded human speech.
//!
//! `cargo run --release --example secure_call` shows the call live, prints what was measured and
//! exits 0 only if every fact holds.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod call;
mod certs;
mod compare;
mod display;
mod evidence;
mod probe;
mod summary;
mod wire_check;

use std::path::PathBuf;
use std::process::ExitCode;

use call::{Fallible, Options};
use display::Display;
use evidence::judge;
use lexopt::ValueExt;
use subrosa::engine::Codec;

const HELP: &str = "\
One secure call between two engines in this process, judged by its own wire.

Usage: secure_call [--plain] [--codec NAME] [--speech FILE]... [--record FILE]

  --plain        the same call over TCP and RTP, unprotected: the examination must fail
  --codec NAME   opus (if nothing is said), G722, PCMU or PCMA
  --speech FILE  WAV file to speak (may be repeated; default: the bundled recording)
  --record FILE  where the far end records (default: target/secure_call.wav)
  -h, --help     this text

Exit status: 0 if every fact holds, 1 if one does not, 2 if the call could not be made.
";

fn options() -> Fallible<Option<Options>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (mut speech, mut plain) = (Vec::new(), false);
    let mut codec = Codec::ALL[0];
    let mut record = root.join("target").join("secure_call.wav");
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            lexopt::Arg::Long("speech") => speech.push(parser.value()?.into()),
            lexopt::Arg::Long("plain") => plain = true,
            lexopt::Arg::Long("codec") => codec = named(&parser.value()?.string()?)?,
            lexopt::Arg::Long("record") => record = parser.value()?.into(),
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if speech.is_empty() {
        let clips = root.join("assets").join("speech");
        let name = "sense_and_sensibility_01_austen_64kb";
        speech = ["0880", "0930"].map(|n| clips.join(format!("{name}-{n}.wav"))).to_vec();
    }
    Ok(Some(Options { plain, codec, speech, record }))
}

/// The codec of this name.
fn named(name: &str) -> Fallible<Codec> {
    let found = Codec::ALL.into_iter().find(|codec| codec.as_str().eq_ignore_ascii_case(name));
    let all = Codec::ALL.map(Codec::as_str).join(", ");
    found.ok_or_else(|| format!("no codec is called {name}; there are {all}").into())
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(None), |o| run(&o).map(Some))) {
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::from(1),
        Err(error) => {
            eprintln!("secure_call: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Fallible<bool> {
    let mut display = Display::new();
    let evidence = call::make(options, &mut display)?;
    let summary = judge(&evidence)?;
    println!("\nalice's security report\n{}", summary::report(&evidence.caller.security));
    println!("\n{}", summary.text(display.colors()));
    println!("  recording: {}", options.record.display());
    let verdict = if summary.holds() { "every fact holds" } else { "NOT every fact holds" };
    println!("  {verdict}");
    Ok(summary.holds())
}
