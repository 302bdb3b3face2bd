//! A phone for the terminal: `cargo run --release --example softphone -- --help`.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod commands;
mod display;
mod failure;
mod meter;
mod options;
mod provision;
mod report;
mod session;
mod setup;

use std::process::ExitCode;

use failure::Failure;
use options::{HELP, Options, Request};
use session::Session;
use setup::Microphone;

fn main() -> ExitCode {
    let outcome = match options::parse() {
        Ok(Request::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Request::Version) => {
            println!("softphone {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Ok(Request::ListDevices) => setup::list_devices(),
        Ok(Request::Run(options)) => run(*options),
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("softphone: {}", failure.sentence);
            ExitCode::from(failure.status as u8)
        }
    }
}

fn run(options: Options) -> Result<(), Failure> {
    let microphone = Microphone::open(&options)?;
    let mut options = options;
    let (phone, account, watch) = setup::start(&mut options)?;
    let outcome = Session::new(phone.clone(), account, options, microphone, watch).run();
    phone.stop();
    outcome
}
