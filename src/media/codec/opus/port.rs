//! The backend in Rust alone: `ropus`.

use super::{OPUS_RATES, RawDecoder, RawEncoder};
use crate::media::codec::{AudioBandwidth, EncoderTuning};
use ropus::{
    OPUS_APPLICATION_VOIP, OPUS_BANDWIDTH_FULLBAND, OPUS_BANDWIDTH_MEDIUMBAND,
    OPUS_BANDWIDTH_NARROWBAND, OPUS_BANDWIDTH_SUPERWIDEBAND, OPUS_BANDWIDTH_WIDEBAND,
    OPUS_SIGNAL_VOICE, OpusDecoder, OpusEncoder,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the library. It was found to panic on nothing that fuzzing gave it; should a packet find
/// a way, it is a bad packet and no more.
fn guarded<T>(run: impl FnOnce() -> Option<T>) -> Result<Option<T>, ()> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| ())
}

fn hz(rate: u32) -> Option<i32> {
    OPUS_RATES.contains(&rate).then_some(rate.cast_signed())
}

pub(super) struct PortEncoder {
    inner: OpusEncoder,
    rate: i32,
    tuning: EncoderTuning,
}

impl PortEncoder {
    pub(super) fn new(rate: u32) -> Option<Self> {
        let rate = hz(rate)?;
        let inner = OpusEncoder::new(rate, 1, OPUS_APPLICATION_VOIP).ok()?;
        Some(Self { inner, rate, tuning: EncoderTuning::default() })
    }
}

impl RawEncoder for PortEncoder {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
        let samples = i32::try_from(pcm.len()).ok()?;
        let room = i32::try_from(payload.len()).ok()?;
        let inner = &mut self.inner;
        let encoded = guarded(|| inner.encode(pcm, samples, payload, room).ok());
        match encoded {
            Ok(length) => usize::try_from(length?).ok(),
            Err(()) => {
                self.inner = OpusEncoder::new(self.rate, 1, OPUS_APPLICATION_VOIP).ok()?;
                let tuning = self.tuning;
                self.tune(&tuning);
                None
            }
        }
    }

    fn tune(&mut self, tuning: &EncoderTuning) {
        self.tuning = *tuning;
        let inner = &mut self.inner;
        // Each of these is in its range, so that none is refused.
        inner.set_bitrate(tuning.bitrate.cast_signed());
        inner.set_vbr(tuning.variable_bitrate.into());
        inner.set_inband_fec(tuning.fec.into());
        inner.set_packet_loss_perc(tuning.expected_loss_percent.into());
        inner.set_dtx(tuning.dtx.into());
        inner.set_complexity(tuning.complexity.into());
        inner.set_signal(OPUS_SIGNAL_VOICE);
        inner.set_max_bandwidth(match tuning.max_bandwidth {
            AudioBandwidth::Narrowband => OPUS_BANDWIDTH_NARROWBAND,
            AudioBandwidth::Mediumband => OPUS_BANDWIDTH_MEDIUMBAND,
            AudioBandwidth::Wideband => OPUS_BANDWIDTH_WIDEBAND,
            AudioBandwidth::Superwideband => OPUS_BANDWIDTH_SUPERWIDEBAND,
            AudioBandwidth::Fullband => OPUS_BANDWIDTH_FULLBAND,
        });
    }

    fn reset(&mut self) {
        self.inner.reset();
    }
}

pub(super) struct PortDecoder {
    inner: OpusDecoder,
    rate: i32,
}

impl PortDecoder {
    pub(super) fn new(rate: u32) -> Option<Self> {
        let rate = hz(rate)?;
        Some(Self { inner: OpusDecoder::new(rate, 1).ok()?, rate })
    }
}

impl RawDecoder for PortDecoder {
    fn decode(&mut self, packet: Option<&[u8]>, pcm: &mut [i16], fec: bool) -> Option<usize> {
        let samples = i32::try_from(pcm.len()).ok()?;
        let inner = &mut self.inner;
        match guarded(|| inner.decode(packet, pcm, samples, fec).ok()) {
            Ok(decoded) => usize::try_from(decoded?).ok(),
            Err(()) => {
                self.inner = OpusDecoder::new(self.rate, 1).ok()?;
                None
            }
        }
    }

    fn reset(&mut self) {
        self.inner.reset();
    }
}
