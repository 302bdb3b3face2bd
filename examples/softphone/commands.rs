//! Commands typed on standard input.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, sync_channel};

use crate::options::{digits, uri};
use subrosa::wire::sip::Uri;

/// What the commands are.
pub(crate) const HELP: &str = "\
  call URI        call somebody             status       what is going on
  answer, reject  an incoming call          stats        packets, loss, jitter, drops
  hangup          end the call              report       how secure the call is, and why
  hold, resume    the far end               play FILE    play a WAV file to the far end
  mute, unmute    our microphone            record FILE  record the far end, as WAV
  dtmf DIGITS     press keys                levels       how loud both ends are
  devices         list them                 input NAME   another microphone, also in a call
  resend          send again after a stop   output NAME  another loudspeaker (or: default)
  help            this                      quit         hang up, un-register and end";

/// A command.
#[derive(Debug)]
pub(crate) enum Command {
    Call(Uri),
    Answer,
    Reject,
    HangUp,
    Hold,
    Resume,
    Mute(bool),
    Resend,
    Dtmf(String),
    Play(String),
    Record(String),
    Devices,
    /// `None`: the system's default.
    Device {
        output: bool,
        name: Option<String>,
    },
    Levels,
    Status,
    Stats,
    Report,
    Help,
    Quit,
    Nothing,
    Wrong(String),
}

/// Reads one line.
pub(crate) fn parse(line: &str) -> Command {
    let (word, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let rest = rest.trim();
    let needs = |what: &str| Command::Wrong(format!("{word} needs {what}"));
    match word {
        "" => Command::Nothing,
        "call" if rest.is_empty() => needs("an address, for example call sip:bob@example.com"),
        "call" => match uri(rest) {
            Ok(uri) => Command::Call(uri),
            Err(_) => Command::Wrong(format!("{rest:?} is no SIP address")),
        },
        "answer" => Command::Answer,
        "reject" => Command::Reject,
        "hangup" => Command::HangUp,
        "hold" => Command::Hold,
        "resume" => Command::Resume,
        "mute" => Command::Mute(true),
        "unmute" => Command::Mute(false),
        "resend" => Command::Resend,
        "dtmf" if rest.is_empty() => needs("digits"),
        "dtmf" => digits(rest).map_or_else(Command::Wrong, Command::Dtmf),
        "play" if rest.is_empty() => needs("a WAV file"),
        "play" => Command::Play(rest.to_owned()),
        "record" if rest.is_empty() => needs("a file name"),
        "record" => Command::Record(rest.to_owned()),
        "devices" => Command::Devices,
        "input" | "output" if rest.is_empty() => needs("the name of a device, or default"),
        "input" | "output" => {
            let name = (rest != "default").then(|| rest.to_owned());
            Command::Device { output: word == "output", name }
        }
        "levels" => Command::Levels,
        "status" => Command::Status,
        "stats" => Command::Stats,
        "report" => Command::Report,
        "help" | "?" => Command::Help,
        "quit" | "exit" => Command::Quit,
        other => Command::Wrong(format!("there is no command {other:?}; type help")),
    }
}

/// Reads standard input on a thread of its own: each line, and the command that it is. If
/// `end_quits`, the end of the input is `quit`.
pub(crate) fn read_stdin(end_quits: bool) -> Receiver<(String, Command)> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        let end = end_quits.then(|| (String::new(), Command::Quit));
        for command in lines.map(|line| (line.clone(), parse(&line))).chain(end) {
            if sender.send(command).is_err() {
                return;
            }
        }
    });
    receiver
}
