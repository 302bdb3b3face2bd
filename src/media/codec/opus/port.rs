//! The backend in Rust alone: `opus-pure`.

use super::{OPUS_RATES, RawDecoder, RawEncoder};
use crate::media::codec::{AudioBandwidth, EncoderTuning};
use opus_pure::{Application, Bandwidth, OpusDecoder, OpusEncoder, RateControl, Signal};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Silence is told from speech by the library's analysis of the sound, which runs from this
/// complexity on.
const DTX_COMPLEXITY: u8 = 7;

/// Runs the library. It was found to panic on nothing that fuzzing gave it; should a packet find
/// a way, it is a bad packet and no more.
fn guarded<T>(run: impl FnOnce() -> Option<T>) -> Result<Option<T>, ()> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| ())
}

fn hz(rate: u32) -> Option<i32> {
    OPUS_RATES.contains(&rate).then_some(rate.cast_signed())
}

fn new_encoder(rate: i32, tuning: &EncoderTuning) -> Option<OpusEncoder> {
    let mut encoder = OpusEncoder::new(rate, 1, Application::Voip).ok()?;
    encoder.signal_type = Some(Signal::Voice);
    tune(&mut encoder, tuning);
    Some(encoder)
}

fn tune(encoder: &mut OpusEncoder, tuning: &EncoderTuning) {
    let complexity = if tuning.dtx { DTX_COMPLEXITY } else { 0 };
    encoder.bitrate_bps = tuning.bitrate.cast_signed();
    encoder.rate_control =
        if tuning.variable_bitrate { RateControl::ConstrainedVbr } else { RateControl::Cbr };
    encoder.use_inband_fec = tuning.fec;
    encoder.packet_loss_perc = tuning.expected_loss_percent.into();
    encoder.use_dtx = tuning.dtx;
    encoder.complexity = tuning.complexity.max(complexity).into();
    // From more than 16 kHz the library goes below wideband only where it must.
    (encoder.force_bandwidth, encoder.max_bandwidth) = match tuning.max_bandwidth {
        AudioBandwidth::Narrowband => (Some(Bandwidth::Narrowband), Bandwidth::Narrowband),
        AudioBandwidth::Mediumband => (Some(Bandwidth::Mediumband), Bandwidth::Mediumband),
        AudioBandwidth::Wideband => (None, Bandwidth::Wideband),
        AudioBandwidth::Superwideband => (None, Bandwidth::Superwideband),
        AudioBandwidth::Fullband => (None, Bandwidth::Fullband),
    };
}

pub(super) struct PortEncoder {
    inner: OpusEncoder,
    rate: i32,
    tuning: EncoderTuning,
}

impl PortEncoder {
    pub(super) fn new(rate: u32) -> Option<Self> {
        let (rate, tuning) = (hz(rate)?, EncoderTuning::default());
        Some(Self { inner: new_encoder(rate, &tuning)?, rate, tuning })
    }

    fn begin_anew(&mut self) {
        if let Some(encoder) = new_encoder(self.rate, &self.tuning) {
            self.inner = encoder;
        }
    }
}

impl RawEncoder for PortEncoder {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
        let inner = &mut self.inner;
        guarded(|| inner.encode_s16(pcm, pcm.len(), payload).ok()).unwrap_or_else(|()| {
            self.begin_anew();
            None
        })
    }

    fn tune(&mut self, tuning: &EncoderTuning) {
        self.tuning = *tuning;
        tune(&mut self.inner, tuning);
    }

    fn reset(&mut self) {
        // Keeps the settings.
        if self.inner.reset_state().is_err() {
            self.begin_anew();
        }
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

    fn begin_anew(&mut self) {
        if let Ok(decoder) = OpusDecoder::new(self.rate, 1) {
            self.inner = decoder;
        }
    }
}

impl RawDecoder for PortDecoder {
    fn decode(&mut self, packet: Option<&[u8]>, pcm: &mut [i16], fec: bool) -> Option<usize> {
        // An empty packet is a lost one.
        let (inner, packet) = (&mut self.inner, packet.unwrap_or_default());
        let decoded = guarded(|| match fec {
            true => inner.decode_fec_s16(packet, pcm.len(), pcm).ok(),
            false => inner.decode_s16(packet, pcm.len(), pcm).ok(),
        });
        decoded.unwrap_or_else(|()| {
            self.begin_anew();
            None
        })
    }

    fn reset(&mut self) {
        if self.inner.reset_state().is_err() {
            self.begin_anew();
        }
    }
}
