//! The phone at work: one call at a time, events shown, commands carried out.

mod events;
mod keyboard;

use std::io::Stdout;
use std::time::{Duration, Instant};

use subrosa::driver::{CallAudio, Phone, PhoneError, Player, Progress, WavRecorder};
use subrosa::engine::{AccountId, CallId, CallOptions};
use subrosa::media::dsp::ProcessingConfig;
use subrosa::wire::sip::Uri;

use crate::commands;
use crate::devices::Devices;
use crate::display::Display;
use crate::failure::{Failure, Status};
use crate::options::Options;
use crate::provision::Watch;
use crate::report;

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
    devices: Option<Devices>,
    /// The document of --provision.
    watch: Option<Watch>,
    display: Display<Stdout>,
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
        devices: Option<Devices>,
        watch: Option<Watch>,
    ) -> Self {
        Self {
            phone,
            account,
            display: Display::terminal(options.quiet),
            options,
            devices,
            watch,
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
        if let Some(devices) = self.devices.as_ref().filter(|_| self.options.is_one_shot()) {
            devices.finish_tone();
        }
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
            self.show_device_news();
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

    /// What happened to microphone and loudspeaker.
    fn show_device_news(&mut self) {
        let news = self.devices.as_ref().map(Devices::news).unwrap_or_default();
        news.iter().for_each(|sentence| self.say(sentence));
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
        if self.options.no_processing {
            options.processing = Some(ProcessingConfig::OFF);
        }
        options
    }

    /// The audio that the options ask for, and how to see the end of the file.
    fn audio(&self) -> Result<(CallAudio, Option<Progress>), Failure> {
        let mut audio = CallAudio::new(self.options.rate);
        if let Some(devices) = &self.devices {
            audio = devices.attach(audio);
        }
        if let Some(plan) = self.options.tones {
            audio = audio.tones(plan);
        }
        let mut progress = None;
        if let Some(path) = &self.options.play {
            let player = Player::open(path, self.options.rate)?;
            let player = if self.options.looping { player.looping() } else { player };
            progress = (!self.options.looping).then(|| player.progress());
            audio = audio.source(player);
        }
        if let Some(path) = &self.options.record {
            let recorder = WavRecorder::create(path, self.options.rate)?;
            audio = audio.sink(recorder);
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
                    let levels = self.phone.levels(call.id)?.unwrap_or_default();
                    report::live(&info, seconds, call.muted, levels, paint)
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
}

/// The call may be over in the very moment that we command it.
fn gone_is_fine(outcome: Result<(), PhoneError>) -> Result<(), Failure> {
    match outcome {
        Ok(()) | Err(PhoneError::Call(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
