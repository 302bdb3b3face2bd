//! How the encoder works: what the call wants, within what the peer's reports call for.
#![deny(clippy::arithmetic_side_effects)]

use super::Outbound;
use crate::media::codec::EncoderTuning;
use crate::time::Duration;

/// Less than this, in bit/s, is not asked for because the network is slow: headers then take more
/// than the audio, and speech would lose its upper band.
const LEAST_ADAPTED: u32 = 12_000;

impl Outbound {
    /// The far end reports this loss, in percent, over this round trip. Less loss is believed slowly.
    pub(in crate::media::session) fn hear_report(&mut self, loss: u8, trip: Option<Duration>) {
        let before = (self.reported_loss, self.rate.percent());
        self.rate.report(loss, trip);
        self.reported_loss = loss.min(100).max(before.0.saturating_sub(before.0.div_ceil(4)));
        if (self.reported_loss, self.rate.percent()) != before {
            self.retune();
        }
    }

    /// What is sent takes another path from now on.
    pub(in crate::media::session) fn forget_path(&mut self) {
        self.rate.forget_path();
    }

    fn expected_loss(&self) -> u8 {
        self.coding.tuning.expected_loss_percent.max(self.reported_loss)
    }

    /// The settings as the reports have them.
    pub(super) fn tuning_now(&self) -> EncoderTuning {
        let mut tuning = self.coding.tuning;
        // Our own detection of pauses stands in for the encoder's.
        tuning.dtx &= !self.framer.pauses.is_watching();
        tuning.expected_loss_percent = self.expected_loss();
        if self.framer.copies.envelope().is_some() {
            // A whole copy is better than the coarse one of FEC, and all is sent twice.
            tuning.fec = false;
            tuning.bitrate = (tuning.bitrate / 3).saturating_mul(2).max(EncoderTuning::MIN_BITRATE);
        }
        let share = (tuning.bitrate / 100).saturating_mul(self.rate.percent());
        if self.rate.percent() < 100 {
            tuning.bitrate = share.max(LEAST_ADAPTED).min(tuning.bitrate);
        }
        tuning
    }

    pub(super) fn retune(&mut self) {
        self.framer.copies.follow(self.expected_loss());
        self.watch_pauses();
        let tuning = self.tuning_now();
        if let Some(encoder) = &mut self.framer.encoder {
            encoder.tune(&tuning);
        }
    }

    pub(in crate::media::session) fn tuning(&self) -> EncoderTuning {
        self.coding.tuning
    }
}
