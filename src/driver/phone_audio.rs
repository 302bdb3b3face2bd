//! What a phone's handle can do with the audio of its calls.

use std::sync::mpsc::sync_channel;

use super::audio::{AudioSink, AudioSource, CallAudio};
use super::phone::{Phone, PhoneError};
use super::pump::CallLevels;
use super::run::Command;
use crate::engine::{AudioOptions, CallError, CallId, Engine};
use crate::media::dsp::{ProcessingConfig, ProcessingStats};
use crate::time::Duration;

impl Phone {
    /// Other settings of a call's encoder.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call.
    pub fn set_audio(&self, call: CallId, audio: AudioOptions) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.set_audio(now, audio))
    }

    /// Sends a DTMF digit of this duration (RFC 4733).
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, no such digit, or the far end takes none.
    pub fn send_dtmf(&self, call: CallId, digit: char, length: Duration) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.send_dtmf(now, digit, length))
    }

    /// How much louder the far end hears us, in dB ([`Call::set_send_gain`](crate::engine::Call::set_send_gain)).
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call.
    pub fn set_send_gain(&self, call: CallId, db: f32) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.set_send_gain(now, db))
    }

    /// How much louder the far end is heard, in dB.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call.
    pub fn set_receive_gain(&self, call: CallId, db: f32) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.set_receive_gain(now, db))
    }

    /// Mutes our end, so that the far end hears silence, or unmutes it; for the whole call, from
    /// before the answer on.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or it is over already.
    pub fn mute(&self, call: CallId, muted: bool) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.mute(now, muted))
    }

    /// Switches parts of the processing of what is sent on and off.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call, or it is over already.
    pub fn set_processing(&self, call: CallId, config: ProcessingConfig) -> Result<(), PhoneError> {
        self.with_call(call, move |mut call, now| call.set_processing(now, config))
    }

    /// What the processing of a call's audio knows; `None` if there is none.
    ///
    /// # Errors
    /// [`PhoneError::Call`] if there is no such call.
    pub fn processing_stats(&self, call: CallId) -> Result<Option<ProcessingStats>, PhoneError> {
        let stats = move |engine: &mut Engine, _| match engine.call(call) {
            Some(call) => Ok(call.processing_stats()),
            None => Err(CallError::UnknownCall(call)),
        };
        Ok(self.with_engine(stats)??)
    }

    /// Attaches audio to a call, in place of what was attached.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn attach_audio(&self, call: CallId, audio: CallAudio) -> Result<(), PhoneError> {
        self.send(Command::Attach(call, audio))
    }

    /// Replaces what the far end hears, at the sample rate of the audio that is attached.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn play(&self, call: CallId, source: impl AudioSource + 'static) -> Result<(), PhoneError> {
        self.send(Command::Play(call, Box::new(source)))
    }

    /// Replaces where the far end's voice goes, at the sample rate of the audio that is attached.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn record(&self, call: CallId, sink: impl AudioSink + 'static) -> Result<(), PhoneError> {
        self.send(Command::Record(call, Box::new(sink)))
    }

    /// How loud a call is at this end; `None` if no audio is attached to it.
    ///
    /// # Errors
    /// [`PhoneError::Stopped`], [`PhoneError::OnDriverThread`].
    pub fn levels(&self, call: CallId) -> Result<Option<CallLevels>, PhoneError> {
        let (reply, answer) = sync_channel(1);
        self.send(Command::Levels(call, reply))?;
        answer.recv().map_err(|_| PhoneError::Stopped)
    }
}
