//! A phone for the terminal: `cargo run --release --example softphone -- --help`.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod commands;
#[cfg_attr(not(feature = "audio-device"), path = "no_devices.rs")]
mod devices;
mod display;
mod failure;
mod meter;
mod options;
mod provision;
mod report;
mod session;
mod setup;

use std::process::ExitCode;

use devices::Devices;
use failure::Failure;
use options::{HELP, Options, Request};
use session::Session;

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
        Ok(Request::ListDevices) => devices::list().map(|list| println!("{list}")),
        Ok(Request::Echo(options)) => devices::echo(&options),
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
    let devices = Devices::open(&options)?;
    let mut options = options;
    let (phone, account, watch) = setup::start(&mut options)?;
    let outcome = Session::new(phone.clone(), account, options, devices, watch).run();
    phone.stop();
    outcome
}
