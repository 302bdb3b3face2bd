//! The backend in C: libopus through the crate `opus`.

use super::{OPUS_RATES, RawDecoder, RawEncoder};
use crate::media::codec::{AudioBandwidth, EncoderTuning};
use libopus::{Application, Bandwidth, Bitrate, Channels, Decoder, Encoder, Signal};

pub(super) struct LibopusEncoder(Encoder);

impl LibopusEncoder {
    pub(super) fn new(rate: u32) -> Option<Self> {
        let rate = OPUS_RATES.contains(&rate).then_some(rate)?;
        Encoder::new(rate, Channels::Mono, Application::Voip).ok().map(Self)
    }
}

impl RawEncoder for LibopusEncoder {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<usize> {
        self.0.encode(pcm, payload).ok()
    }

    fn tune(&mut self, tuning: &EncoderTuning) {
        let bandwidth = match tuning.max_bandwidth {
            AudioBandwidth::Narrowband => Bandwidth::Narrowband,
            AudioBandwidth::Mediumband => Bandwidth::Mediumband,
            AudioBandwidth::Wideband => Bandwidth::Wideband,
            AudioBandwidth::Superwideband => Bandwidth::Superwideband,
            AudioBandwidth::Fullband => Bandwidth::Fullband,
        };
        // Each of these is in its range, so that none is refused.
        let encoder = &mut self.0;
        let _ = encoder.set_bitrate(Bitrate::Bits(tuning.bitrate.cast_signed()));
        let _ = encoder.set_vbr(tuning.variable_bitrate);
        let _ = encoder.set_inband_fec(tuning.fec);
        let _ = encoder.set_packet_loss_perc(tuning.expected_loss_percent.into());
        let _ = encoder.set_dtx(tuning.dtx);
        let _ = encoder.set_complexity(tuning.complexity.into());
        let _ = encoder.set_signal(Signal::Voice);
        let _ = encoder.set_max_bandwidth(bandwidth);
    }

    fn reset(&mut self) {
        let _ = self.0.reset_state();
    }
}

pub(super) struct LibopusDecoder(Decoder);

impl LibopusDecoder {
    pub(super) fn new(rate: u32) -> Option<Self> {
        let rate = OPUS_RATES.contains(&rate).then_some(rate)?;
        Decoder::new(rate, Channels::Mono).ok().map(Self)
    }
}

impl RawDecoder for LibopusDecoder {
    fn decode(&mut self, packet: Option<&[u8]>, pcm: &mut [i16], fec: bool) -> Option<usize> {
        // An empty packet is a lost one.
        self.0.decode(packet.unwrap_or_default(), pcm, fec).ok()
    }

    fn reset(&mut self) {
        let _ = self.0.reset_state();
    }
}
