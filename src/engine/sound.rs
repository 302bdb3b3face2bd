//! How loud a call is sent and heard, and what is done to it before: gain, mute, processing.

use super::error::CallError;
use super::facade::Call;
use crate::media::dsp::ProcessingConfig;
use crate::media::session::MediaUpdate;
use crate::time::Instant;

impl Call<'_> {
    /// Switches parts of the processing of what is sent on and off, now or once there is media. A
    /// session that was taken hears of it by an update.
    ///
    /// # Errors
    /// [`CallError::WrongState`] if the call is over; [`CallError::Encoded`].
    pub fn set_processing(
        &mut self,
        now: Instant,
        config: ProcessingConfig,
    ) -> Result<(), CallError> {
        self.command(now, |e, _| {
            if e.machine.is_over() {
                let state = e.machine.state().as_str();
                return Err(CallError::WrongState { command: "switch processing in", state });
            }
            if e.machine.options.encoded {
                return Err(CallError::Encoded);
            }
            e.machine.options.processing = Some(config);
            let suites = e.media.suites();
            e.media.update(now, MediaUpdate::new().processing(config), suites);
            Ok(())
        })
    }

    /// Silences what is sent, or ends that. It holds for the whole call and may be set before there
    /// is media: nobody hears a word of who muted his end while it rang. With encoded frames nothing
    /// is sent meanwhile.
    ///
    /// # Errors
    /// [`CallError::WrongState`] if the call is over; [`CallError::MediaTaken`]: set it at the
    /// session.
    pub fn mute(&mut self, now: Instant, muted: bool) -> Result<(), CallError> {
        self.command(now, |e, _| {
            if e.media.is_away() {
                return Err(CallError::MediaTaken);
            }
            if e.machine.is_over() {
                let state = e.machine.state().as_str();
                return Err(CallError::WrongState { command: "mute", state });
            }
            e.muted = muted;
            if let Some(session) = e.media.here_mut() {
                session.set_muted(muted);
            }
            Ok(())
        })
    }

    /// True if what is sent is silenced.
    pub fn is_muted(&self) -> bool {
        self.entry().is_some_and(|e| e.media.facts().map_or(e.muted, |facts| facts.muted))
    }

    /// How much louder the far end hears us than what is written, in dB: up to +24, what is too
    /// loud saturates; -90 or less is silence. A change takes 10 ms. It holds for the whole call
    /// and may be set before there is media.
    ///
    /// # Errors
    /// [`CallError::MediaTaken`]: set it at the session; [`CallError::Encoded`].
    pub fn set_send_gain(&mut self, now: Instant, db: f32) -> Result<(), CallError> {
        self.set_gains(now, Some(db), None)
    }

    /// How much louder the far end is heard, in dB, as [`set_send_gain`](Self::set_send_gain).
    ///
    /// # Errors
    /// [`CallError::MediaTaken`]: set it at the session; [`CallError::Encoded`].
    pub fn set_receive_gain(&mut self, now: Instant, db: f32) -> Result<(), CallError> {
        self.set_gains(now, None, Some(db))
    }

    /// The gain of what is sent, in dB: what was set here.
    pub fn send_gain(&self) -> f32 {
        self.entry().map_or(0.0, |e| e.gains.0)
    }

    /// The gain of what is heard, in dB: what was set here.
    pub fn receive_gain(&self) -> f32 {
        self.entry().map_or(0.0, |e| e.gains.1)
    }

    /// The parts of the processing that were asked for: for this call, or by the configuration.
    pub fn processing(&self) -> ProcessingConfig {
        let own = self.entry().and_then(|e| e.machine.options.processing);
        own.unwrap_or(self.engine.config.processing)
    }

    fn set_gains(
        &mut self,
        now: Instant,
        send: Option<f32>,
        receive: Option<f32>,
    ) -> Result<(), CallError> {
        self.command(now, |e, _| {
            if e.media.is_away() {
                return Err(CallError::MediaTaken);
            }
            if e.machine.options.encoded {
                return Err(CallError::Encoded);
            }
            let (former_send, former_receive) = e.gains;
            e.gains = (send.unwrap_or(former_send), receive.unwrap_or(former_receive));
            let gains = e.gains;
            if let Some(session) = e.media.here_mut() {
                session.set_send_gain(gains.0);
                session.set_receive_gain(gains.1);
            }
            Ok(())
        })
    }
}
