//! How the audio of a call is encoded: what the host wants, how session descriptions say it, and
//! what the peer makes of it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::config::Codec;
use crate::media::codec::opus::OpusParameters;
use crate::media::codec::{CodecId, EncoderTuning};
use crate::media::session::MAX_RECEIVE;
use crate::sdp::{CodecDescription, NegotiatedCodec, NegotiatedMedia};

/// How the audio of calls is encoded. The codecs that have a choice (Opus) follow it, within what
/// the peer asks for in its session description (RFC 7587 §6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioOptions {
    /// Length of the packets that the peer is asked for, and that one gets that asks for none, in
    /// ms: 10 to 60, with Opus up to 120. Other lengths become the next shorter one.
    pub ptime_ms: u16,
    /// Mean bitrate of what we send, in bit/s: 6000 to 510000. Less is sent, down to 12000, while the
    /// far end's reports show a queue on the way (a round trip that grows) or very much loss.
    pub bitrate: u32,
    /// The mean bitrate that the peer is asked not to exceed, in bit/s.
    pub max_receive_bitrate: Option<u32>,
    /// All packets have one length, both ways. The lengths of others tell an observer something of
    /// the words, encrypted or not (RFC 6562); they cost less at the same quality.
    pub constant_bitrate: bool,
    /// Pauses: the peer is asked to send nothing in silence, with Opus by a parameter, with G.711
    /// and G.722 by an offer of comfort noise (RFC 3389). We send nothing in silence with Opus if the
    /// peer asks for it, with G.711 and G.722 if this is on and the peer takes comfort noise. When
    /// packets leave then tells an observer when somebody speaks, encrypted or not.
    pub dtx: bool,
    /// Each packet remembers the one before it (in-band FEC), once packets are lost, if the peer
    /// can make use of it.
    pub fec: bool,
    /// Packets that are expected to be lost, in percent, before the peer reports any.
    pub expected_loss_percent: u8,
    /// Effort of the encoder, 0 to 10.
    pub complexity: u8,
    /// Redundant audio (RFC 2198) is offered, and sent while the peer reports losses of 3 % and
    /// more: each packet then carries the frame before it once more. The bitrate of Opus falls to
    /// two thirds meanwhile. A peer that offers it may always send it to us.
    pub redundancy: bool,
}

impl Default for AudioOptions {
    fn default() -> Self {
        let tuning = EncoderTuning::default();
        Self {
            ptime_ms: 20,
            bitrate: tuning.bitrate,
            max_receive_bitrate: None,
            constant_bitrate: false,
            dtx: false,
            fec: true,
            expected_loss_percent: 0,
            complexity: tuning.complexity,
            redundancy: false,
        }
    }
}

/// What stands beside the codecs in a session description of ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// Redundant audio.
    pub(super) red: bool,
    /// Comfort noise.
    pub(super) comfort_noise: bool,
}

impl Beside {
    /// In an answer what the peer offers is taken; an offer has what is wanted or in use.
    pub(super) fn of(
        options: &AudioOptions,
        agreed: Option<&NegotiatedMedia>,
        answer: bool,
    ) -> Self {
        let red = agreed.is_some_and(|agreed| !agreed.red.is_empty());
        let comfort_noise = agreed.is_some_and(|agreed| !agreed.comfort_noise.is_empty());
        Self {
            red: answer || red || options.redundancy,
            comfort_noise: answer || comfort_noise || options.dtx,
        }
    }
}

/// The payload types that accompany the codecs of a session, as agreed: to send, and to take.
pub(super) struct Companions {
    pub(super) red: (Option<u8>, Vec<u8>),
    pub(super) comfort_noise: (Option<u8>, Vec<u8>),
}

impl AudioOptions {
    /// Those for a session that sends `codec`.
    pub(super) fn companions(
        &self,
        agreed: &NegotiatedMedia,
        codec: &NegotiatedCodec,
    ) -> Companions {
        let same_clock = |c: &&NegotiatedCodec| c.clock_rate == codec.clock_rate;
        let red = agreed.red.iter().filter(|_| self.redundancy).find(|red| {
            let list = red.send_fmtp.as_deref().unwrap_or_default();
            let mut types = list.split('/').map(|text| text.trim().parse().ok());
            same_clock(red)
                && (list.is_empty() || types.any(|pt| pt == Some(codec.send_payload_type)))
        });
        let noise = agreed.comfort_noise.iter().find(same_clock);
        Companions {
            red: (red.and_then(usable_to_send), received(&agreed.red)),
            comfort_noise: (noise.and_then(usable_to_send), received(&agreed.comfort_noise)),
        }
    }
}

/// Payload types that a session can have (RFC 5761 §4).
fn usable(payload_type: &u8) -> bool {
    matches!(payload_type, 0..=63 | 96..=127)
}

fn usable_to_send(codec: &NegotiatedCodec) -> Option<u8> {
    Some(codec.send_payload_type).filter(usable)
}

fn received(codecs: &[NegotiatedCodec]) -> Vec<u8> {
    codecs.iter().map(|c| c.receive_payload_type).filter(usable).take(MAX_RECEIVE).collect()
}

impl AudioOptions {
    fn wanted(&self) -> EncoderTuning {
        EncoderTuning {
            bitrate: self.bitrate,
            variable_bitrate: !self.constant_bitrate,
            fec: self.fec,
            expected_loss_percent: self.expected_loss_percent,
            complexity: self.complexity,
            ..EncoderTuning::default()
        }
        .bounded()
    }

    /// What our encoder does for a peer with these parameters.
    pub(super) fn tuning(&self, codec: CodecId, peer: Option<&str>) -> EncoderTuning {
        match codec {
            CodecId::Opus => OpusParameters::parse(peer.unwrap_or_default()).govern(self.wanted()),
            _ => EncoderTuning { dtx: self.dtx, ..self.wanted() },
        }
    }

    /// The packet length for a session description with these codecs: L16 leaves less of a choice.
    pub(super) fn ptime(&self, codecs: &[Codec]) -> u16 {
        let ms = self.ptime_ms.clamp(10, 120);
        let ms = ms - ms % 10;
        let fits = |codec: &Codec| match codec {
            Codec::L16Narrowband | Codec::L16Wideband | Codec::L16Fullband => {
                u16::try_from(codec.id().packet_ms(ms.into())).ok()
            }
            _ => None,
        };
        codecs.iter().filter_map(fits).min().unwrap_or(ms)
    }

    /// Our own parameters of Opus, beside a host that works at `rate` Hz.
    fn parameters(&self, rate: u32) -> OpusParameters {
        let mut own = OpusParameters::default();
        if matches!(rate, 8_000 | 16_000 | 24_000) {
            (own.max_playback_rate, own.max_capture_rate) = (rate, rate);
        }
        own.max_average_bitrate = self
            .max_receive_bitrate
            .map(|rate| rate.clamp(EncoderTuning::MIN_BITRATE, EncoderTuning::MAX_BITRATE));
        own.constant_bitrate = self.constant_bitrate;
        own.inband_fec = true;
        own.dtx = self.dtx;
        own
    }

    /// The codecs of a session description, with telephone-event and what else accompanies them at
    /// each of their clock rates.
    pub(super) fn codec_lines(
        &self,
        codecs: &[Codec],
        rate: u32,
        beside: Beside,
    ) -> Vec<CodecDescription> {
        let line = |codec: &Codec| {
            let d = codec.id().description();
            let wished = DYNAMIC.iter().find(|(of, _)| of == codec).map(|(_, wished)| *wished);
            let payload_type = d.static_payload_type.or(wished).unwrap_or(OPUS_PAYLOAD_TYPE);
            let mut line = CodecDescription::new(payload_type, d.name, d.clock_rate);
            line.channels = d.channels;
            if *codec == Codec::Opus {
                line.fmtp = Some(self.parameters(rate).to_string()).filter(|p| !p.is_empty());
            }
            line
        };
        let mut lines: Vec<_> = codecs.iter().map(line).collect();
        let clocks: Vec<u32> = lines.iter().map(|line| line.clock_rate).collect();
        for (payload_type, clock_rate, channels) in RED {
            if beside.red && clocks.contains(&clock_rate) {
                let red = CodecDescription::new(payload_type, "red", clock_rate);
                lines.push(CodecDescription { channels, ..red });
            }
        }
        if beside.comfort_noise && clocks.contains(&8_000) {
            lines.push(CodecDescription::new(COMFORT_NOISE, "CN", 8_000));
        }
        for (payload_type, clock_rate) in EVENTS {
            if clocks.contains(&clock_rate) {
                let mut events = CodecDescription::new(payload_type, "telephone-event", clock_rate);
                events.fmtp = Some(String::from("0-16"));
                lines.push(events);
            }
        }
        lines
    }
}

/// The payload type that we wish for Opus: the one that most phones use.
const OPUS_PAYLOAD_TYPE: u8 = 111;
/// Those that we wish for other codecs without one of their own.
const DYNAMIC: [(Codec, u8); 3] =
    [(Codec::L16Narrowband, 112), (Codec::L16Wideband, 113), (Codec::L16Fullband, 114)];
/// Payload types that we wish for telephone-event, and their clock rates.
const EVENTS: [(u8, u32); 3] = [(101, 8_000), (109, 16_000), (110, 48_000)];
/// The payload type of comfort noise with a clock of 8 kHz (RFC 3551 §6).
const COMFORT_NOISE: u8 = 13;
/// Payload types that we wish for redundant audio, their clock rates and channels.
const RED: [(u8, u32, u8); 3] = [(121, 8_000, 1), (122, 16_000, 1), (63, 48_000, 2)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_say_what_is_wanted() {
        let audio = AudioOptions {
            constant_bitrate: true,
            dtx: true,
            max_receive_bitrate: Some(1),
            ..AudioOptions::default()
        };
        let lines = audio.codec_lines(&[Codec::Opus, Codec::Pcmu], 16_000, Beside::default());
        let names: Vec<_> = lines
            .iter()
            .map(|l| (l.payload_type, l.name.as_str(), l.clock_rate, l.channels))
            .collect();
        assert_eq!(
            names,
            [
                (111, "opus", 48_000, 2),
                (0, "PCMU", 8_000, 1),
                (101, "telephone-event", 8_000, 1),
                (110, "telephone-event", 48_000, 1),
            ]
        );
        let expected = "maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate=6000;\
                        cbr=1;useinbandfec=1;usedtx=1";
        assert_eq!(lines[0].fmtp.as_deref(), Some(expected));
        let lines = AudioOptions::default().codec_lines(&[Codec::Opus], 48_000, Beside::default());
        assert_eq!(lines[0].fmtp.as_deref(), Some("useinbandfec=1"));
        assert_eq!(lines.len(), 2, "no events at a clock rate that no codec has");
        let lines = AudioOptions::default().codec_lines(&[Codec::G722], 48_000, Beside::default());
        assert_eq!((lines.len(), lines[1].clock_rate), (2, 8_000));
        let all = Beside { red: true, comfort_noise: true };
        let lines = AudioOptions::default().codec_lines(&[Codec::Opus], 48_000, all);
        assert_eq!((lines.len(), lines[1].name.as_str(), lines[1].channels), (3, "red", 2));
        let lines = AudioOptions::default().codec_lines(&[Codec::G722], 48_000, all);
        let names: Vec<_> = lines.iter().map(|l| (l.payload_type, l.name.as_str())).collect();
        assert_eq!(names, [(9, "G722"), (121, "red"), (13, "CN"), (101, "telephone-event")]);
    }
}
