//! Frames to be sent of a host that encodes by itself.

use super::super::encoded::{Encoding, FrameError, FrameToSend};
use super::{Framer, Outbound, Queued, queue};
use crate::time::{Duration, Instant};

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
            tuning: self.tuning_now(),
        }
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
        let codec = self.payload.codec.description();
        let us = (frame.samples as u64).saturating_mul(1_000_000);
        let us = us.checked_div(codec.sample_rate.into()).unwrap_or(0);
        self.note_written(now, Duration::from_micros(us));
        self.framer.push_frame(frame, codec.ticks(frame.samples));
        Ok(())
    }
}

impl Framer {
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
