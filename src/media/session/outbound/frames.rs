//! Frames to be sent of a host that encodes by itself.

use super::super::encoded::{Encoding, FrameError, FrameToSend};
use super::{COMFORT_NOISE_CLOCK, Framer, Outbound, Queued, queue};
use crate::media::codec::EncoderTuning;
use crate::time::{Duration, Instant};
use crate::wire::comfort_noise::{ComfortNoise, MAX_LEN};

impl Outbound {
    /// The host encodes.
    pub(in crate::media::session) fn is_encoded(&self) -> bool {
        self.coding.encoded
    }

    /// What encodes has to do this.
    pub(in crate::media::session) fn encoding(&self) -> Encoding {
        Encoding {
            codec: self.payload.codec,
            payload_type: self.payload.payload_type,
            ptime_ms: self.ptime_ms,
            tuning: EncoderTuning { dtx: self.coding.tuning.dtx, ..self.tuning_now() },
            comfort_noise: self.comfort_noise_type().is_some(),
        }
    }

    /// The payload type of comfort noise, if the peer takes it with this codec.
    fn comfort_noise_type(&self) -> Option<u8> {
        let same_clock = self.payload.codec.description().clock_rate == COMFORT_NOISE_CLOCK;
        self.framer.pauses.payload_type().filter(|_| same_clock)
    }

    /// Takes a frame that is encoded already.
    pub(in crate::media::session) fn write_frame(
        &mut self,
        now: Instant,
        frame: &FrameToSend<'_>,
    ) -> Result<(), FrameError> {
        if !self.is_encoded() {
            return Err(FrameError::Pcm);
        }
        frame.check(self.payload.codec)?;
        let ticks = self.time_goes_on(now, frame.samples);
        self.framer.push_frame(frame, ticks);
        Ok(())
    }

    /// Takes the background of a pause.
    pub(in crate::media::session) fn write_comfort_noise(
        &mut self,
        now: Instant,
        payload: &[u8],
        samples: usize,
    ) -> Result<(), FrameError> {
        if !self.is_encoded() {
            return Err(FrameError::Pcm);
        }
        let codec = self.payload.codec;
        let silence = FrameToSend { codec, payload: &[], samples, talkspurt: false };
        silence.check(codec)?;
        let is_noise = payload.len() <= MAX_LEN && ComfortNoise::parse(payload).is_ok();
        let payload_type = self.comfort_noise_type().filter(|_| is_noise);
        let payload_type = payload_type.ok_or(FrameError::ComfortNoise)?;
        let ticks = self.time_goes_on(now, samples);
        self.framer.push_noise(payload_type, payload, ticks);
        Ok(())
    }

    /// The host writes so many samples; in ticks of the codec's RTP clock.
    fn time_goes_on(&mut self, now: Instant, samples: usize) -> u32 {
        let codec = self.payload.codec.description();
        let us = (samples as u64).saturating_mul(1_000_000);
        let us = us.checked_div(codec.sample_rate.into()).unwrap_or(0);
        self.note_written(now, Duration::from_micros(us));
        codec.ticks(samples)
    }
}

impl Framer {
    fn push_noise(&mut self, payload_type: u8, payload: &[u8], ticks: u32) {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(ticks);
        if !self.sending || self.emit_event(timestamp, ticks) {
            return;
        }
        self.marker = true;
        if self.gain.is_muted() {
            return;
        }
        // RFC 3389 §4: without the marker, which the next talkspurt has.
        let head = Queued { payload_type, marker: false, timestamp, len: 0 };
        let sent = self.ring.push(head, |out| {
            out.get_mut(..payload.len())?.copy_from_slice(payload);
            Some(payload.len())
        });
        self.pauses.note_told(sent);
    }

    fn push_frame(&mut self, frame: &FrameToSend<'_>, ticks: u32) {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(ticks);
        if !self.sending || self.emit_event(timestamp, ticks) {
            return;
        }
        if frame.payload.is_empty() || self.gain.is_muted() {
            self.marker = true;
            return;
        }
        let head = Queued {
            payload_type: self.payload_type,
            marker: self.marker || frame.talkspurt,
            timestamp,
            len: 0,
        };
        self.marker = !queue(&mut self.ring, &mut self.copies, head, ticks, |out| {
            out.get_mut(..frame.payload.len())?.copy_from_slice(frame.payload);
            Some(frame.payload.len())
        });
    }
}
