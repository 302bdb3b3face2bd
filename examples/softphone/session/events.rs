//! What the phone tells: registrations, calls, their security and their end.

use std::time::{Duration, Instant};

use subrosa::engine::{CallId, EndReason, Event, FailureReason};

use super::{Session, gone_is_fine};
use crate::failure::{Failure, Status};
use crate::report;

impl Session {
    pub(super) fn handle_event(&mut self, event: Event) -> Result<(), Failure> {
        if self.is_of_another_account(&event)? {
            return Ok(());
        }
        match event {
            Event::Registered { transport, expires, .. } => {
                let first = !std::mem::replace(&mut self.registered, true);
                if first {
                    self.say(&format!(
                        "registered as {} over {transport} for {} s",
                        self.options.aor,
                        expires.as_secs()
                    ));
                    self.done |= self.options.check;
                    self.start_call()?;
                }
            }
            Event::Unregistered { .. } => self.registered = false,
            Event::TransportChanged { account, .. } if account == self.account => {
                if let Some(status) = self.phone.account(account)? {
                    self.say(&report::way(&status));
                }
            }
            Event::RegistrationFailed { reason, retry_in, .. } => {
                self.registered = false;
                let failure = self.because("cannot register", &reason);
                if self.options.is_one_shot() {
                    return Err(failure);
                }
                let retry = retry_in.map_or("not trying again".to_owned(), |after| {
                    format!("trying again in {} s", after.as_secs())
                });
                self.display.answer(&format!("{}; {retry}", failure.sentence));
            }
            Event::CertificateRejected { domain, problem } => {
                let sentence = format!("the certificate of {domain} is not trusted: {problem}");
                self.say(&sentence);
                self.certificate = Some(sentence);
            }
            Event::Listening { transport, local } => {
                self.say(&format!("listening on {local} ({transport})"));
            }
            Event::ListenFailed { transport } => {
                let sentence = format!("cannot listen for {transport}: is the port taken?");
                return Err(Failure::new(Status::Start, sentence));
            }
            Event::IncomingCall { call, from, display_name, .. } => {
                self.ring(call, &from, &display_name)?;
            }
            Event::IncomingRefused { from, display_name, reason, .. } => {
                self.say(&format!("refused a call from {display_name} <{from}>: {reason}"));
            }
            other => self.handle_call_event(other)?,
        }
        Ok(())
    }

    fn ring(&mut self, call: CallId, from: &str, name: &str) -> Result<(), Failure> {
        let busy = self.call.is_some() || self.options.call.is_some();
        if busy {
            self.say(&format!("{from} calls; told that we are busy"));
            return gone_is_fine(self.phone.reject(call, 486));
        }
        self.set_call(call, None);
        let space = if name.is_empty() { "" } else { " " };
        self.say(&format!("incoming call from {name}{space}<{from}>"));
        if self.options.auto_answer {
            return self.answer(call);
        }
        self.say("type answer or reject");
        gone_is_fine(self.phone.ring(call))
    }

    fn handle_call_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::CallProgress { status, early_media, .. } => {
                let word = if status == 180 { "ringing" } else { "in progress" };
                let early = if early_media { ", audio already flows" } else { "" };
                self.say(&format!("{word} ({status}){early}"));
            }
            Event::CallEstablished { call } => {
                if let Some(current) = self.call.as_mut().filter(|current| current.id == call) {
                    current.answered = Some(Instant::now());
                    current.next_digit = Instant::now() + Duration::from_millis(300);
                }
                self.show_security("answered", call)?;
            }
            Event::SecurityChanged { call, .. } => self.show_security("security", call)?,
            Event::CallMediaChanged { local_hold, remote_hold, .. } => {
                let ours = if local_hold { "we hold the far end" } else { "not held by us" };
                let theirs = if remote_hold { "the far end holds us" } else { "not held by them" };
                self.say(&format!("hold: {ours}, {theirs}"));
            }
            Event::DtmfReceived { digit, .. } => self.say(&format!("the far end pressed {digit}")),
            Event::CircuitBreaker { reason, .. } => {
                self.say(&format!("not sending any more: {reason}; type resend to try again"));
            }
            Event::SendingResumed { .. } => self.say("the far end is back: sending again"),
            Event::CallEnded { call, reason } => return self.finish(call, &reason),
            _ => {}
        }
        Ok(())
    }

    /// An event of another account of the document's; false if it is none.
    fn is_of_another_account(&mut self, event: &Event) -> Result<bool, Failure> {
        let (account, what) = match event {
            Event::Registered { account, transport, .. } => {
                (*account, format!("registered over {transport}"))
            }
            Event::RegistrationFailed { account, reason, .. } => {
                (*account, format!("cannot register: {reason}"))
            }
            Event::Unregistered { account } => (*account, String::new()),
            _ => return Ok(false),
        };
        if account == self.account {
            return Ok(false);
        }
        // One that was removed has no name any more.
        if let Some(status) = self.phone.account(account)? {
            self.say(&format!("{}: {what}", status.aor));
        }
        Ok(true)
    }

    fn show_security(&mut self, what: &str, call: CallId) -> Result<(), Failure> {
        if let Some(info) = self.phone.call(call)? {
            self.say(&format!("{what}: {}", info.security));
        }
        Ok(())
    }

    fn finish(&mut self, id: CallId, reason: &EndReason) -> Result<(), Failure> {
        if self.call.as_ref().is_none_or(|call| call.id != id) {
            return Ok(());
        }
        self.call = None;
        self.last = Some(id);
        if let Some(devices) = &self.devices {
            devices.play_end(reason);
        }
        self.show_figures(id)?;
        let failure = match reason {
            EndReason::Failed(reason) => Some(self.because("the call failed", reason)),
            other => Failure::of_call(other),
        };
        self.say(match reason {
            EndReason::LocalHangUp => "call ended: we hung up",
            EndReason::RemoteHangUp => "call ended: the far end hung up",
            _ => "call ended",
        });
        match failure {
            Some(failure) if self.options.is_one_shot() => Err(failure),
            Some(failure) => {
                self.display.answer(&failure.sentence);
                Ok(())
            }
            None => {
                self.done |= self.options.is_one_shot();
                Ok(())
            }
        }
    }

    /// A refused certificate explains what would look like an unreachable server.
    fn because(&self, what: &str, reason: &FailureReason) -> Failure {
        let failure = Failure::because(what, reason);
        match (&self.certificate, failure.status) {
            (Some(sentence), Status::Unreachable | Status::Security) => {
                Failure::new(Status::Certificate, format!("{what}: {sentence}"))
            }
            _ => failure,
        }
    }

    fn show_figures(&mut self, id: CallId) -> Result<(), Failure> {
        if let Some(media) = self.phone.call(id)?.and_then(|info| info.media) {
            self.say(&report::figures(&media));
        }
        Ok(())
    }
}
