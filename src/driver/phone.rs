//! The handle that any thread may hold.

use std::fmt;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use mio::Waker;

use super::audio::CallAudio;
use super::clock::{Clock, OsRng, wall_clock};
use super::dns::DnsConfig;
use super::queue::{EventQueue, NextEvent};
use super::run::{Command, Driver, DriverStats};
use super::tap::WireTap;
use crate::crypto::tls::TrustAnchors;
use crate::engine::{
    AccountConfig, AccountError, AccountId, AccountStatus, CallError, CallId, CallOptions,
    CallState, Codec, Config, ConfigError, EndReason, Engine, EngineStats, Event, Input,
    PolicyError, SecurityPolicy, SecurityReport,
};
use crate::media::dsp::ProcessingConfig;
use crate::media::session::MediaStats;
use crate::media::tones::ToneKind;
use crate::time::{Duration, Instant};
use crate::wire::sip::Uri;

/// Commands that wait for the driver's thread at most; a further one waits for room.
const MAX_COMMANDS: usize = 256;

/// A command to a phone failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system gave no thread or no poll.
    #[error("the phone could not be started: {0}")]
    Start(io::Error),
    /// The phone was stopped.
    #[error("the phone was stopped: start another")]
    Stopped,
    /// A command that waits for the driver's thread, from that thread.
    #[error("an audio source, sink or wire tap cannot command its own phone: do it on your thread")]
    OnDriverThread,
    /// The account cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The call command cannot be carried out.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The policy cannot be set.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// What a phone is made of, before it starts.
pub struct PhoneBuilder {
    config: Config,
    dns: Option<DnsConfig>,
    tap: Option<Box<dyn WireTap>>,
    clock: Option<Clock>,
}

impl fmt::Debug for PhoneBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoneBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl PhoneBuilder {
    /// Resolves names by this configuration instead of the platform's.
    #[must_use]
    pub fn dns(mut self, dns: DnsConfig) -> Self {
        self.dns = Some(dns);
        self
    }

    /// Shows every byte that crosses a socket to `tap`.
    #[must_use]
    pub fn wire_tap(mut self, tap: impl WireTap + 'static) -> Self {
        self.tap = Some(Box::new(tap));
        self
    }

    /// Uses this clock, so that several phones, or a phone and its application, share one.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// [`PhoneError::Config`] if the engine refuses the configuration, [`PhoneError::Start`] if
    /// the operating system gives no thread.
    pub fn start(self) -> Result<Phone, PhoneError> {
        let clock = self.clock.unwrap_or_else(Clock::start);
        let mut engine = Engine::new(self.config, clock.now())?;
        // The driver runs the media of all calls.
        engine.keep_media();
        let (commands, inbox) = sync_channel(MAX_COMMANDS);
        let events = Arc::new(EventQueue::new());
        let dns = self.dns.unwrap_or_else(DnsConfig::system);
        let driver = Driver::new(engine, clock, dns, self.tap, inbox, Arc::clone(&events));
        let (driver, waker) = driver.map_err(PhoneError::Start)?;
        let thread = thread::Builder::new().name("subrosa".into());
        let thread = thread.spawn(move || driver.run()).map_err(PhoneError::Start)?;
        let driver = thread.thread().id();
        let thread = Mutex::new(Some(thread));
        Ok(Phone { shared: Arc::new(Shared { commands, waker, events, thread, driver, clock }) })
    }
}

#[derive(Debug)]
struct Shared {
    commands: SyncSender<Command>,
    waker: Waker,
    events: Arc<EventQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    driver: ThreadId,
    clock: Clock,
}

impl Shared {
    fn send(&self, command: Command) -> Result<(), PhoneError> {
        if thread::current().id() == self.driver {
            return Err(PhoneError::OnDriverThread);
        }
        self.commands.send(command).map_err(|_| PhoneError::Stopped)?;
        self.waker.wake().map_err(|_| PhoneError::Stopped)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The last handle is gone: the thread says good-bye by itself, nobody waits for it. A
        // phone that was stopped needs nothing more.
        drop(self.send(Command::Stop));
    }
}

/// A running phone: an engine, its sockets and its audio, on a thread of their own.
///
/// Clones command the same phone and share its events: each event goes to one of them. When the
/// last clone is dropped the phone hangs up and ends; [`Phone::stop`] waits for that.
#[derive(Clone, Debug)]
pub struct Phone {
    shared: Arc<Shared>,
}

/// What there is to know about a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallInfo {
    /// Its state.
    pub state: CallState,
    /// The far end.
    pub remote: String,
    /// How secure it is, with the evidence.
    pub security: SecurityReport,
    /// We hold the far end, and the far end holds us.
    pub holds: (bool, bool),
    /// Packets, loss, jitter; `None` before there is media.
    pub media: Option<MediaStats>,
    /// The codec agreed on.
    pub codec: Option<Codec>,
    /// Why it ended, if it has.
    pub end_reason: Option<EndReason>,
    /// The tone that the person at this end should hear now; [`CallAudio::tones`] plays ringback.
    pub tone: Option<ToneKind>,
    /// What we send is silenced ([`Phone::mute`]).
    pub muted: bool,
    /// How much louder the far end hears us, in dB ([`Phone::set_send_gain`]).
    pub send_gain_db: f32,
    /// How much louder the far end is heard, in dB ([`Phone::set_receive_gain`]).
    pub receive_gain_db: f32,
    /// The parts of the processing that were asked for ([`Phone::set_processing`]).
    pub processing: ProcessingConfig,
}

impl Phone {
    /// An engine configuration with the platform's generator and clock and the public CAs.
    pub fn config() -> Config {
        Config::new(Box::new(OsRng::new()), wall_clock())
    }

    /// As [`Phone::config`], with other trust anchors.
    pub fn config_trusting(trust: TrustAnchors) -> Config {
        let mut config = Self::config();
        config.trust = trust;
        config
    }

    /// A phone that will run an engine of this configuration.
    pub fn builder(config: Config) -> PhoneBuilder {
        PhoneBuilder { config, dns: None, tap: None, clock: None }
    }

    /// The phone's clock.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Runs `f` with the engine on the driver's thread and waits for what it returns: everything
    /// that the engine can do and this handle has no method for. Keep it short, audio waits.
    /// A phone runs the media of all its calls: [`Engine::take_media`] is refused here, with
    /// [`MediaError::Kept`](crate::engine::MediaError::Kept).
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn with_engine<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Engine, Instant) -> R + Send + 'static,
    ) -> Result<R, PhoneError> {
        let (reply, answer) = sync_channel(1);
        self.shared.send(Command::Engine(Box::new(move |engine, now| {
            // The asker waits for exactly this answer; if it is gone, so is its interest.
            drop(reply.send(f(engine, now)));
        })))?;
        answer.recv().map_err(|_| PhoneError::Stopped)
    }

    /// Gives the driver's thread something to do.
    pub(super) fn send(&self, command: Command) -> Result<(), PhoneError> {
        self.shared.send(command)
    }

    /// As [`with_engine`](Self::with_engine), with a call that exists.
    pub(super) fn with_call(
        &self,
        id: CallId,
        f: impl FnOnce(crate::engine::Call<'_>, Instant) -> Result<(), CallError> + Send + 'static,
    ) -> Result<(), PhoneError> {
        let outcome = self.with_engine(move |engine, now| match engine.call(id) {
            Some(call) => f(call, now),
            None => Err(CallError::UnknownCall(id)),
        })?;
        Ok(outcome?)
    }

    /// The next event, if there is one.
    pub fn try_event(&self) -> Option<Event> {
        self.shared.events.try_pop()
    }

    /// The next event, waiting for it up to `timeout`. `None` also once the phone has stopped.
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.shared.events.pop(timeout)
    }

    /// The next event as a future, for asynchronous programs; any executor will do.
    pub fn event(&self) -> NextEvent {
        NextEvent::new(Arc::clone(&self.shared.events))
    }

    /// Adds an account; it registers if its configuration says so.
    ///
    /// # Errors
    /// [`PhoneError::Account`] says what is wrong with it.
    pub fn add_account(&self, account: AccountConfig) -> Result<AccountId, PhoneError> {
        Ok(self.with_engine(move |engine, now| engine.add_account(now, account))??)
    }

    /// Removes an account, un-registering it first.
    ///
    /// # Errors
    /// [`PhoneError::Account`] if there is no such account.
    pub fn remove_account(&self, id: AccountId) -> Result<(), PhoneError> {
        Ok(self.with_engine(move |engine, now| engine.remove_account(now, id))??)
    }

    /// Where an account stands; `None` if there is no such account.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn account(&self, id: AccountId) -> Result<Option<AccountStatus>, PhoneError> {
        self.with_engine(move |engine, _| engine.account(id))
    }

    /// Sets what a domain demands.
    ///
    /// # Errors
    /// [`PhoneError::Policy`] if it is no domain.
    pub fn set_domain_policy(
        &self,
        domain: &str,
        policy: SecurityPolicy,
    ) -> Result<(), PhoneError> {
        let domain = domain.to_owned();
        let set = move |engine: &mut Engine, now| engine.set_domain_policy(now, &domain, policy);
        Ok(self.with_engine(set)??)
    }

    /// Calls somebody. `audio` must have the sample rate of `options`.
    ///
    /// # Errors
    /// [`PhoneError::Call`] says why there is no call.
    pub fn place_call(
        &self,
        from: AccountId,
        to: Uri,
        options: CallOptions,
        audio: CallAudio,
    ) -> Result<CallId, PhoneError> {
        let options = audio.complete(options);
        let place = move |engine: &mut Engine, now| engine.place_call(now, from, &to, options);
        let call = self.with_engine(place)??;
        self.attach_audio(call, audio)?;
        Ok(call)
    }

    /// Tells the caller that the phone rings (180).
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or not in this state.
    pub fn ring(&self, call: CallId) -> Result<(), PhoneError> {
        self.with_call(call, |mut call, now| call.ring(now))
    }

    /// Answers a call. `audio` must have the sample rate of `options`.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or not in this state.
    pub fn accept(
        &self,
        call: CallId,
        options: CallOptions,
        audio: CallAudio,
    ) -> Result<(), PhoneError> {
        let options = audio.complete(options);
        self.with_call(call, move |mut call, now| call.accept(now, options))?;
        self.attach_audio(call, audio)
    }

    /// Rejects a call with a SIP status from 400 to 699.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or not in this state.
    pub fn reject(&self, call: CallId, status: u16) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.reject(now, status))
    }

    /// Hangs up, or gives up.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or it is over already.
    pub fn hang_up(&self, call: CallId) -> Result<(), PhoneError> {
        self.with_call(call, |mut call, now| call.hang_up(now))
    }

    /// Puts the far end on hold.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or not in this state.
    pub fn hold(&self, call: CallId) -> Result<(), PhoneError> {
        self.with_call(call, |mut call, now| call.hold(now))
    }

    /// Takes the far end off hold.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or not in this state.
    pub fn resume(&self, call: CallId) -> Result<(), PhoneError> {
        self.with_call(call, |mut call, now| call.resume(now))
    }

    /// Other codecs for the rest of a call, the preferred one first.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or not in this state, or not such a codec.
    pub fn set_codecs(&self, call: CallId, codecs: &[Codec]) -> Result<(), PhoneError> {
        let codecs = codecs.to_vec();
        self.with_call(call, move |mut call, now| call.set_codecs(now, &codecs))
    }

    /// Offers again what the settings say now, by re-INVITE.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or not in this state.
    pub fn renegotiate(&self, call: CallId) -> Result<(), PhoneError> {
        self.with_call(call, |mut call, now| call.renegotiate(now))
    }

    /// Sends media again after [`Event::CircuitBreaker`], because a person wants to.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if nothing was stopped, or less than 15 s ago.
    pub fn restart_sending(&self, call: CallId) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.restart_sending(now))
    }

    /// What there is to know about a call; `None` if there is no such call.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn call(&self, id: CallId) -> Result<Option<CallInfo>, PhoneError> {
        self.with_engine(move |engine, _| {
            engine.call(id).map(|call| CallInfo {
                state: call.state(),
                remote: call.remote(),
                holds: call.holds(),
                security: call.security(),
                media: call.media_stats(),
                codec: call.codec(),
                end_reason: call.end_reason(),
                tone: call.tone(),
                muted: call.is_muted(),
                send_gain_db: call.send_gain(),
                receive_gain_db: call.receive_gain(),
                processing: call.processing(),
            })
        })
    }

    /// The ids of all calls, those that ended lately included.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn calls(&self) -> Result<Vec<CallId>, PhoneError> {
        self.with_engine(|engine, _| engine.call_ids())
    }

    /// What came from the network and was no good, counted by reason.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn stats(&self) -> Result<EngineStats, PhoneError> {
        self.with_engine(|engine, _| engine.stats())
    }

    /// The address of this host from now on ([`Engine::set_local_ip`]); then say
    /// [`network_changed`](Self::network_changed).
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn set_local_ip(&self, ip: std::net::IpAddr) -> Result<(), PhoneError> {
        self.with_engine(move |engine, _| engine.set_local_ip(ip))
    }

    /// The host's addresses changed: every flow is opened anew, and running calls tell the far
    /// end where they are now.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn network_changed(&self) -> Result<(), PhoneError> {
        self.with_engine(|engine, now| {
            // It names no id, so it cannot name an unknown one.
            drop(engine.handle_input(now, Input::NetworkChanged));
        })
    }

    /// What the driver itself had to drop.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn driver_stats(&self) -> Result<DriverStats, PhoneError> {
        let (reply, answer) = sync_channel(1);
        self.shared.send(Command::Stats(reply))?;
        answer.recv().map_err(|_| PhoneError::Stopped)
    }

    /// Hangs up all calls, un-registers all accounts and waits, 3 s at most, until that is said.
    /// Later commands give [`PhoneError::Stopped`].
    pub fn stop(&self) {
        if self.shared.send(Command::Stop).is_err() {
            return;
        }
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread's panic, if any, was printed by the thread.
            drop(thread.join());
        }
    }
}
