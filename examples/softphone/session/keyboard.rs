//! What is typed: the commands of a session.

use std::sync::mpsc::Receiver;

use subrosa::driver::{CallInfo, Player, WavRecorder};
use subrosa::engine::CallId;

use super::Session;
use crate::commands::{self, Command};
use crate::devices;
use crate::failure::{Failure, Status};
use crate::report;

impl Session {
    pub(super) fn obey(&mut self, typed: &Receiver<(String, Command)>) -> Result<(), Failure> {
        while let Ok((line, command)) = typed.try_recv() {
            self.display.typed(&line);
            if let Err(failure) = self.carry_out(command) {
                // A mistake at the keyboard does not end the phone.
                self.display.answer(&failure.sentence);
            }
        }
        Ok(())
    }

    fn current(&self) -> Result<CallId, Failure> {
        let call = self.call.as_ref().map(|call| call.id);
        call.ok_or_else(|| Failure::new(Status::Failed, "there is no call"))
    }

    /// The current call, or the one that ended last.
    fn latest(&self) -> Result<CallInfo, Failure> {
        let id = self.current().or_else(|none| self.last.ok_or(none))?;
        let info = self.phone.call(id)?;
        info.ok_or_else(|| Failure::new(Status::Failed, "the call is forgotten"))
    }

    fn carry_out(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Nothing => {}
            Command::Wrong(sentence) => self.display.answer(&sentence),
            Command::Help => self.display.answer(commands::HELP),
            Command::Quit => self.done = true,
            Command::Call(_) if self.call.is_some() => self.display.answer("hang up first"),
            Command::Call(target) => self.dial(target)?,
            Command::Answer => self.answer(self.current()?)?,
            Command::Reject => self.phone.reject(self.current()?, 603)?,
            Command::HangUp => self.phone.hang_up(self.current()?)?,
            Command::Hold => self.phone.hold(self.current()?)?,
            Command::Resume => self.phone.resume(self.current()?)?,
            Command::Mute(muted) => {
                self.phone.mute(self.current()?, muted)?;
                self.call.iter_mut().for_each(|call| call.muted = muted);
                self.say(if muted { "muted" } else { "not muted any more" });
            }
            Command::Resend => {
                self.phone.restart_sending(self.current()?)?;
                self.say("sending again");
            }
            Command::Dtmf(digits) => {
                if let Some(call) = &mut self.call {
                    call.digits.splice(..0, digits.chars().rev());
                }
                self.current()?;
            }
            Command::Play(path) => {
                let player = Player::open(path, self.options.rate)?;
                self.phone.play(self.current()?, player)?;
            }
            Command::Record(path) => {
                let recorder = WavRecorder::create(path, self.options.rate)?;
                self.phone.record(self.current()?, recorder)?;
            }
            Command::Devices => self.display.answer(&devices::list()?),
            Command::Device { output, name } => {
                let what = if output { "loudspeaker" } else { "microphone" };
                let none = || Failure::new(Status::Failed, "start with --device to use devices");
                let devices = self.devices.as_ref().ok_or_else(none)?;
                let id = devices.choose(output, name.as_deref())?;
                self.say(&format!("the {what} is {id} now"));
            }
            Command::Levels => {
                let levels = self.phone.levels(self.current()?)?.unwrap_or_default();
                self.display.answer(&report::levels(levels));
            }
            Command::Status => self.show_status()?,
            Command::Stats => {
                let (info, driver) = (self.latest()?, self.phone.driver_stats()?);
                self.display.answer(&report::stats(&info, &driver));
                if let Some(devices) = &self.devices {
                    self.display.answer(&devices.stats());
                }
            }
            Command::Report => {
                let info = self.latest()?;
                self.display.answer(&report::security(&info));
            }
        }
        Ok(())
    }

    fn show_status(&mut self) -> Result<(), Failure> {
        if let Some(account) = self.phone.account(self.account)? {
            self.display.answer(&report::account(&account));
        }
        let Some(call) = &self.call else {
            self.display.answer("no call");
            return Ok(());
        };
        if let Some(info) = self.phone.call(call.id)? {
            self.display.answer(&report::call(&info));
        }
        Ok(())
    }
}
