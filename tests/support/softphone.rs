//! The softphone example as a process.
#![allow(unreachable_pub, dead_code)]

#[path = "example.rs"]
mod example;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub const LOOPBACK: [&str; 4] = ["--bind", "127.0.0.1", "--timeout", "20"];
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

pub fn softphone() -> Command {
    let mut command = example::example("softphone");
    command.env_remove("SUBROSA_PASSWORD");
    command
}

/// Runs the phone; returns its status, what it printed, and its one sentence of failure.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = softphone().args(arguments).stdin(Stdio::null()).output().unwrap();
    outcome(&output)
}

pub fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A phone that runs in the background and is ended with the test.
pub struct Background {
    child: Child,
    lines: Receiver<String>,
    /// What it printed so far.
    pub seen: Vec<String>,
    /// Where it listens.
    pub address: String,
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Background {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = softphone();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Nobody listens any more: go on, so that the pipe does not fill.
                drop(sender.send(line));
            }
        });
        Self { child, lines, seen: Vec::new(), address: String::new() }
    }

    /// The next line that contains `part`.
    pub fn wait_for(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {part:?}; instead: {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    pub fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for its end; returns its status.
    pub fn end(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

/// Starts a phone on loopback and waits until it listens.
pub fn answering(arguments: &[&str]) -> Background {
    let mut phone = Background::start(&[&LOOPBACK[..], arguments].concat());
    let wanted = if arguments.contains(&"--listen-tls") { "(TLS)" } else { "(UDP)" };
    let line = phone.wait_for(wanted);
    phone.address = line.split_whitespace().nth(2).unwrap().to_owned();
    phone
}
