//! One call, borrowed from its engine.

use alloc::string::String;

use super::call::{CallState, Direction};
use super::config::CallOptions;
use super::error::CallError;
use super::event::EndReason;
use super::policy::EffectivePolicy;
use super::report::SecurityReport;
use super::{AudioOptions, CallId, Codec, Engine};
use crate::crypto::safety_number::SafetyNumber;
use crate::media::dsp::ProcessingStats;
use crate::media::session::{DtmfError, MediaStats, SrtpProgress};
use crate::sip::SocketId;
use crate::time::{Duration, Instant};
use crate::wire::dtmf::Digit;

/// A call: its facts, and what can be done with it.
#[derive(Debug)]
pub struct Call<'e> {
    pub(super) engine: &'e mut Engine,
    id: CallId,
}

impl Engine {
    /// A call; `None` if the id is stale.
    pub fn call(&mut self, id: CallId) -> Option<Call<'_>> {
        self.calls.get(id)?;
        Some(Call { engine: self, id })
    }
}

impl Call<'_> {
    pub(super) fn entry(&self) -> Option<&super::CallEntry> {
        self.engine.calls.get(self.id)
    }

    /// Audio flows before the call is answered.
    pub(super) fn has_early_media(&self) -> bool {
        self.entry().is_some_and(|e| e.machine.media.is_running())
    }

    /// The call's id.
    pub fn id(&self) -> CallId {
        self.id
    }
    /// Where it stands.
    pub fn state(&self) -> CallState {
        self.entry().map_or(CallState::Ended, |e| e.machine.state())
    }
    /// Who called whom.
    pub fn direction(&self) -> Direction {
        self.entry().map_or(Direction::Outgoing, |e| e.machine.direction)
    }
    /// The far end's URI, as dialled or as the caller said it.
    pub fn remote(&self) -> String {
        self.entry().map(|e| e.machine.remote.clone()).unwrap_or_default()
    }
    /// The policy in force for this call, and where it comes from.
    pub fn policy(&self) -> EffectivePolicy {
        self.security().policy
    }
    /// How secure the call is, with the evidence.
    pub fn security(&self) -> SecurityReport {
        self.entry()
            .map_or(SecurityReport::new(EffectivePolicy::of_domain(None)), |e| e.current_report())
    }
    /// Statistics of the media, the last ones after the end.
    pub fn media_stats(&self) -> Option<MediaStats> {
        self.entry().and_then(super::CallEntry::media_stats)
    }
    /// What the processing of its audio knows; `None` without processing, or if its media was
    /// taken.
    pub fn processing_stats(&self) -> Option<ProcessingStats> {
        self.entry()?.media.here()?.processing_stats()
    }
    /// The Call-ID of its dialog, to find the call in the logs of servers.
    pub fn sip_call_id(&self) -> &str {
        self.entry().map_or("", |e| e.call_id.as_str())
    }
    /// What our SRTP has used of its key; `None` without SRTP or without media.
    pub fn srtp_progress(&self) -> Option<SrtpProgress> {
        self.entry()?.media.srtp_progress()
    }
    /// The sockets of its media, once they are bound: of RTP, and of RTCP that does not share it.
    pub fn media_sockets(&self) -> Option<(SocketId, SocketId)> {
        self.entry()?.media_sockets()
    }
    /// Why it ended; `None` while it lives.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.entry().and_then(|e| e.machine.end_reason().cloned())
    }
    /// The codec in use.
    pub fn codec(&self) -> Option<Codec> {
        Codec::of_id(self.entry()?.machine.media.plan()?.codec)
    }
    /// Whether we hold the far end, and whether it holds us.
    pub fn holds(&self) -> (bool, bool) {
        self.entry().map_or((false, false), |e| e.machine.holds())
    }

    /// What the two people of this call compare, by voice or by scanning, to be sure that nobody
    /// is in between: the same on both phones, if each calls the other by the address of its
    /// account. `None` unless the media's keys come from DTLS and the call has an account. Takes
    /// some milliseconds.
    pub fn safety_number(&self) -> Option<SafetyNumber> {
        self.engine.safety_number(self.id)
    }
    /// The two people compared the [`safety_number`](Self::safety_number), and it is the same:
    /// from now on the peer is known by its certificate, in this call and in later ones, until
    /// another one is confirmed or [`Engine::forget_peer`].
    ///
    /// # Errors
    /// [`CallError::NoSafetyNumber`].
    pub fn confirm_safety_number(&mut self, now: Instant) -> Result<(), CallError> {
        let confirmed = self.engine.confirm_peer(now, self.id);
        confirmed.then_some(()).ok_or(CallError::NoSafetyNumber)
    }

    pub(super) fn command(
        &mut self,
        now: Instant,
        run: impl FnOnce(&mut super::CallEntry, &mut dyn crate::util::Rng) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let entry = self.engine.calls.get_mut(self.id).ok_or(CallError::UnknownCall(self.id))?;
        let result = run(entry, &mut self.engine.rng);
        self.engine.deliver(now);
        result
    }

    /// Tells the caller that the phone rings (180).
    ///
    /// # Errors
    /// [`CallError::WrongState`] unless the call is incoming and not answered.
    pub fn ring(&mut self, now: Instant) -> Result<(), CallError> {
        self.command(now, |e, _| e.machine.ring())
    }
    /// Lets audio flow before the call is accepted: announcements, music, a private ringback
    /// (183 with our answer). [`accept`](Self::accept) goes on with the same media; its sample
    /// rate is the one given here.
    ///
    /// # Errors
    /// [`CallError::WrongState`] unless the call is incoming, not answered, and came with an
    /// offer; [`CallError::BadSampleRate`].
    pub fn early_media(&mut self, now: Instant, sample_rate: u32) -> Result<(), CallError> {
        let result = self.engine.early_media(self.id, sample_rate, false);
        self.engine.deliver(now);
        result
    }
    /// The same with encoded frames in place of PCM ([`CallOptions::encoded`]); `sample_rate` tells
    /// the far end how much of Opus is of use.
    ///
    /// # Errors
    /// As [`early_media`](Self::early_media); [`CallError::PcmOnly`].
    pub fn early_media_encoded(&mut self, now: Instant, sample_rate: u32) -> Result<(), CallError> {
        let result = self.engine.early_media(self.id, sample_rate, true);
        self.engine.deliver(now);
        result
    }
    /// Answers.
    ///
    /// # Errors
    /// [`CallError::WrongState`] unless the call is incoming and not answered.
    pub fn accept(&mut self, now: Instant, options: CallOptions) -> Result<(), CallError> {
        let result = self.engine.accept_call(now, self.id, options);
        self.engine.deliver(now);
        result
    }
    /// Refuses with a status from 400 to 699: 486 busy, 603 declined.
    ///
    /// # Errors
    /// [`CallError::BadStatus`], [`CallError::WrongState`].
    pub fn reject(&mut self, now: Instant, status: u16) -> Result<(), CallError> {
        self.command(now, |e, _| e.machine.reject(status))
    }
    /// Ends the call: CANCEL, BYE or a refusal, as its state demands.
    ///
    /// # Errors
    /// [`CallError::WrongState`] if it is over already.
    pub fn hang_up(&mut self, now: Instant) -> Result<(), CallError> {
        self.command(now, |e, _| e.machine.hang_up())
    }
    /// Puts the far end on hold.
    ///
    /// # Errors
    /// [`CallError::WrongState`], [`CallError::Busy`].
    pub fn hold(&mut self, now: Instant) -> Result<(), CallError> {
        self.command(now, |e, rng| e.machine.set_hold(true, rng))
    }
    /// Takes the far end off hold.
    ///
    /// # Errors
    /// [`CallError::WrongState`], [`CallError::Busy`].
    pub fn resume(&mut self, now: Instant) -> Result<(), CallError> {
        self.command(now, |e, rng| e.machine.set_hold(false, rng))
    }
    /// Other codecs for the rest of the call, the preferred one first, by re-INVITE. If the far end
    /// takes none of them, all stays as it is.
    ///
    /// # Errors
    /// [`CallError::NoCodecs`], [`CallError::CodecNotBuilt`], [`CallError::WrongState`],
    /// [`CallError::Busy`].
    pub fn set_codecs(&mut self, now: Instant, codecs: &[Codec]) -> Result<(), CallError> {
        let encoded = self.entry().is_some_and(|e| e.machine.options.encoded);
        super::calls::check_codecs(codecs, encoded)?;
        let codecs = self.engine.config.usable(codecs.to_vec(), encoded);
        if codecs.is_empty() {
            return Err(CallError::NoCodecs);
        }
        self.command(now, |e, rng| e.machine.change_codecs(codecs, rng))
    }
    /// Other settings of the encoder, at once: a bitrate that follows the network. What the far end
    /// asked for still comes first. What it is asked for itself (packet length, bitrate, silence)
    /// stands in the next offer or answer: [`renegotiate`](Self::renegotiate) makes one.
    ///
    /// # Errors
    /// [`CallError::UnknownCall`].
    pub fn set_audio(&mut self, now: Instant, audio: AudioOptions) -> Result<(), CallError> {
        self.command(now, |e, _| {
            e.set_audio(now, audio);
            Ok(())
        })
    }
    /// Offers again what the settings say now, by re-INVITE: after [`set_audio`](Self::set_audio)
    /// the far end hears of another packet length, bitrate or silence that it is asked for.
    ///
    /// # Errors
    /// [`CallError::WrongState`], [`CallError::Busy`].
    pub fn renegotiate(&mut self, now: Instant) -> Result<(), CallError> {
        self.command(now, |e, rng| e.machine.renegotiate(rng))
    }
    /// Agrees on a new key for what we send, by re-INVITE; a call that is plain asks for its
    /// first ones, as the policy allows. The engine does it by itself when a key nears the end of
    /// its lifetime. Watch for [`Event::SecurityChanged`](super::Event::SecurityChanged).
    ///
    /// # Errors
    /// [`CallError::WrongState`], [`CallError::Busy`].
    pub fn renew_keys(&mut self, now: Instant) -> Result<(), CallError> {
        self.command(now, |e, rng| e.machine.renew_keys(rng))
    }
    /// Presses a key (RFC 4733). While the keys of an established call's media are still being
    /// agreed on, it waits, and 31 others with it.
    ///
    /// # Errors
    /// [`CallError`]: not a digit, no telephone events agreed, or no media.
    pub fn send_dtmf(
        &mut self,
        now: Instant,
        digit: char,
        duration: Duration,
    ) -> Result<(), CallError> {
        let key = Digit::from_char(digit).ok_or(CallError::BadDigit(digit))?;
        self.command(now, |e, _| {
            let state = e.machine.state();
            let wrong = CallError::WrongState { command: "send DTMF in", state: state.as_str() };
            if e.media.is_away() {
                return Err(CallError::MediaTaken);
            }
            let sent = match e.media.here_mut() {
                Some(session) => session.send_dtmf(key, duration),
                // The keys of its media are being agreed on.
                None if state == CallState::Established => e.queue_digit(key, duration),
                None => return Err(wrong),
            };
            sent.map_err(|error| match error {
                DtmfError::NotNegotiated => CallError::NoDtmf,
                DtmfError::NotSending => wrong,
                DtmfError::Duration => CallError::BadDuration,
                DtmfError::QueueFull => CallError::Busy,
            })
        })
    }
    /// Sends media again after [`Event::CircuitBreaker`](super::Event::CircuitBreaker), because a
    /// person wants to.
    ///
    /// # Errors
    /// [`CallError::WrongState`] if nothing was stopped, or less than 15 s ago (RFC 8083 §4.5).
    pub fn restart_sending(&mut self, now: Instant) -> Result<(), CallError> {
        self.command(now, |e, _| {
            let state = e.machine.state().as_str();
            if e.media.is_away() {
                return Err(CallError::MediaTaken);
            }
            let restarted = e.media.here_mut().is_some_and(|s| s.restart_sending(now));
            let wrong = CallError::WrongState { command: "restart the sending of", state };
            restarted.then_some(()).ok_or(wrong)
        })
    }
}
