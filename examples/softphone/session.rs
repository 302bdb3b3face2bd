//! The phone at work: one call at a time, events shown, commands carried out.

use std::io::Stdout;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use subrosa::driver::{CallAudio, CallInfo, Phone, PhoneError, Player, Progress, WavRecorder};
use subrosa::engine::{AccountId, CallId, CallOptions, EndReason, Event};
use subrosa::wire::sip::Uri;

use crate::commands::{self, Command};
use crate::display::Display;
use crate::failure::{Failure, Status};
use crate::meter::Meters;
use crate::options::Options;
use crate::provision::Watch;
use crate::report;
use crate::setup::Microphone;

/// How long one DTMF digit lasts, and the pause after it.
const DIGIT: Duration = Duration::from_millis(120);
const DIGIT_PAUSE: Duration = Duration::from_millis(100);
/// After the last sample of --play, so that it is heard before the call ends.
const TAIL: Duration = Duration::from_millis(500);
/// How long to wait for something to happen before looking at the clock again.
const LOOK: Duration = Duration::from_millis(50);

/// The current call.
#[derive(Debug)]
struct Current {
    id: CallId,
    muted: bool,
    answered: Option<Instant>,
    progress: Option<Progress>,
    played: Option<Instant>,
    digits: Vec<char>,
    next_digit: Instant,
}

/// The phone, its account and its call.
pub(crate) struct Session {
    phone: Phone,
    account: AccountId,
    options: Options,
    microphone: Option<Microphone>,
    /// The document of --provision.
    watch: Option<Watch>,
    display: Display<Stdout>,
    meters: Meters,
    call: Option<Current>,
    /// The last call that ended, for its report and figures.
    last: Option<CallId>,
    registered: bool,
    /// The call of --call was placed.
    dialled: bool,
    started: Instant,
    /// The last certificate that was refused, as a sentence.
    certificate: Option<String>,
    done: bool,
}

impl Session {
    pub(crate) fn new(
        phone: Phone,
        account: AccountId,
        options: Options,
        microphone: Option<Microphone>,
        watch: Option<Watch>,
    ) -> Self {
        Self {
            phone,
            account,
            display: Display::terminal(options.quiet),
            options,
            microphone,
            watch,
            meters: Meters::default(),
            call: None,
            last: None,
            registered: false,
            dialled: false,
            started: Instant::now(),
            certificate: None,
            done: false,
        }
    }

    fn say(&mut self, text: &str) {
        self.display.say(text);
    }

    /// Runs until the task is done, or the user quits.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        let outcome = self.work();
        self.display.close();
        outcome
    }

    fn work(&mut self) -> Result<(), Failure> {
        let typed = commands::read_stdin(!self.options.is_one_shot());
        if !self.options.is_one_shot() {
            self.say("type help for the commands");
        }
        if !self.options.register {
            self.start_call()?;
        }
        while !self.done {
            if let Some(event) = self.phone.next_event(LOOK) {
                self.handle_event(event)?;
            }
            self.show_trace()?;
            self.obey(&typed)?;
            self.provision();
            self.pass_time()?;
            self.show_state()?;
        }
        Ok(())
    }

    /// The SIP messages since the last look.
    fn show_trace(&mut self) -> Result<(), Failure> {
        if self.options.sip_trace {
            let traced = self.phone.with_engine(|engine, _| {
                std::iter::from_fn(|| engine.poll_sip_trace()).collect::<Vec<_>>()
            })?;
            traced.iter().for_each(|record| self.display.answer(&report::traced(record)));
        }
        Ok(())
    }

    /// A document that changed is applied; a mistake in it changes nothing.
    fn provision(&mut self) {
        match self.watch.as_mut().and_then(|watch| watch.poll(&self.phone)) {
            None => {}
            Some(Err(failure)) => self.display.answer(&failure.sentence),
            Some(Ok(applied)) => {
                self.say(&applied.sentence);
                if let Some((account, config)) = applied.account {
                    self.options.adopt(&config);
                    self.registered &= self.account == account;
                    self.account = account;
                }
            }
        }
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

    /// The call of --call, once the way is free.
    fn start_call(&mut self) -> Result<(), Failure> {
        match self.options.call.clone() {
            Some(target) if !std::mem::replace(&mut self.dialled, true) => self.dial(target),
            _ => Ok(()),
        }
    }

    fn call_options(&self) -> CallOptions {
        let mut options = CallOptions::default();
        options.policy = self.options.policy;
        options.codecs = self.options.codecs.clone();
        options.sample_rate = self.options.rate;
        options.ring_timeout = self.options.timeout;
        options
    }

    /// The audio that the options ask for, and how to see the end of the file.
    fn audio(&self) -> Result<(CallAudio, Option<Progress>), Failure> {
        let mut audio = CallAudio::new(self.options.rate);
        if let Some(microphone) = &self.microphone {
            audio = microphone.attach(audio, &self.meters);
        }
        let mut progress = None;
        if let Some(path) = &self.options.play {
            let player = Player::open(path, self.options.rate)?;
            let player = if self.options.looping { player.looping() } else { player };
            progress = (!self.options.looping).then(|| player.progress());
            audio = audio.source(self.meters.spoken.source(player));
        }
        if let Some(path) = &self.options.record {
            let recorder = WavRecorder::create(path, self.options.rate)?;
            audio = audio.sink(self.meters.heard.sink(recorder));
        }
        Ok((audio, progress))
    }

    fn set_call(&mut self, id: CallId, progress: Option<Progress>) {
        self.call = Some(Current {
            id,
            muted: false,
            answered: None,
            progress,
            played: None,
            digits: self.options.dtmf.chars().rev().collect(),
            next_digit: Instant::now(),
        });
    }

    fn dial(&mut self, target: Uri) -> Result<(), Failure> {
        let (audio, progress) = self.audio()?;
        self.say(&format!("calling {target}"));
        let id = self.phone.place_call(self.account, target, self.call_options(), audio)?;
        self.set_call(id, progress);
        Ok(())
    }

    fn answer(&mut self, id: CallId) -> Result<(), Failure> {
        let (audio, progress) = self.audio()?;
        self.phone.accept(id, self.call_options(), audio)?;
        if let Some(call) = &mut self.call {
            call.progress = progress;
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> Result<(), Failure> {
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
            Event::CallEnded { call, reason } => return self.finish(call, &reason),
            _ => {}
        }
        Ok(())
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
        self.meters = Meters::default();
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
    fn because(&self, what: &str, reason: &subrosa::engine::FailureReason) -> Failure {
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

    /// The live line.
    fn show_state(&mut self) -> Result<(), Failure> {
        if !self.display.is_due() {
            return Ok(());
        }
        let line = match &self.call {
            None if self.registered => format!("registered as {}", self.options.aor),
            None => "no call".to_owned(),
            Some(call) => match self.phone.call(call.id)? {
                None => return Ok(()),
                Some(info) => {
                    let seconds = call.answered.map(|at| at.elapsed().as_secs());
                    let paint = self.display.paint();
                    report::live(&info, seconds, call.muted, &self.meters, paint)
                }
            },
        };
        self.display.state(&line);
        Ok(())
    }

    /// What the clock brings: digits, the end of the file, of the duration, of our patience.
    fn pass_time(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let Some(call) = &mut self.call else {
            let waiting = self.options.is_one_shot() && !self.done;
            if waiting && now.duration_since(self.started) > self.options.timeout {
                return Err(if self.options.register && !self.registered {
                    let sentence = "cannot register: the server did not answer in time";
                    Failure::new(Status::Unreachable, sentence)
                } else {
                    Failure::new(Status::NoAnswer, "nobody called in time")
                });
            }
            return Ok(());
        };
        let Some(answered) = call.answered else { return Ok(()) };
        if now >= call.next_digit
            && let Some(digit) = call.digits.pop()
        {
            call.next_digit = now + DIGIT + DIGIT_PAUSE;
            self.phone.send_dtmf(call.id, digit, DIGIT)?;
        }
        if call.progress.as_ref().is_some_and(Progress::is_finished) {
            call.played.get_or_insert(now);
        }
        let over = match self.options.duration {
            Some(duration) => now.duration_since(answered) >= duration,
            None => call.played.is_some_and(|at| now.duration_since(at) >= TAIL),
        };
        if over && self.options.is_one_shot() {
            call.progress = None;
            return gone_is_fine(self.phone.hang_up(call.id));
        }
        Ok(())
    }

    fn obey(&mut self, typed: &Receiver<(String, Command)>) -> Result<(), Failure> {
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
            Command::Dtmf(digits) => {
                if let Some(call) = &mut self.call {
                    call.digits.splice(..0, digits.chars().rev());
                }
                self.current()?;
            }
            Command::Play(path) => {
                let player = Player::open(path, self.options.rate)?;
                self.phone.play(self.current()?, self.meters.spoken.source(player))?;
            }
            Command::Record(path) => {
                let recorder = WavRecorder::create(path, self.options.rate)?;
                self.phone.record(self.current()?, self.meters.heard.sink(recorder))?;
            }
            Command::Status => self.show_status()?,
            Command::Stats => {
                let (info, driver) = (self.latest()?, self.phone.driver_stats()?);
                self.display.answer(&report::stats(&info, &driver));
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

/// The call may be over in the very moment that we command it.
fn gone_is_fine(outcome: Result<(), PhoneError>) -> Result<(), Failure> {
    match outcome {
        Ok(()) | Err(PhoneError::Call(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
