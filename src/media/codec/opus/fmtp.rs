//! The parameters of Opus in SDP (RFC 7587 §6.1): what a receiver likes to get.

use crate::media::codec::{AudioBandwidth, EncoderTuning};
use core::fmt;

/// The `a=fmtp` parameters of Opus. What is absent has the default of RFC 7587 §6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpusParameters {
    /// `maxplaybackrate`: the receiver renders no more than this sampling rate, in Hz.
    pub max_playback_rate: u32,
    /// `sprop-maxcapturerate`: the sender captures no more than this sampling rate, in Hz.
    pub max_capture_rate: u32,
    /// `maxaveragebitrate`: the receiver wants no more than this in the mean, in bit/s.
    pub max_average_bitrate: Option<u32>,
    /// `stereo`: the receiver prefers stereo.
    pub stereo: bool,
    /// `sprop-stereo`: the sender is likely to send stereo.
    pub sends_stereo: bool,
    /// `cbr`: the receiver prefers a constant bitrate.
    pub constant_bitrate: bool,
    /// `useinbandfec`: the receiver can make use of in-band error correction.
    pub inband_fec: bool,
    /// `usedtx`: the receiver prefers that nothing is sent in silence.
    pub dtx: bool,
}

impl Default for OpusParameters {
    fn default() -> Self {
        Self {
            max_playback_rate: 48_000,
            max_capture_rate: 48_000,
            max_average_bitrate: None,
            stereo: false,
            sends_stereo: false,
            constant_bitrate: false,
            inband_fec: false,
            dtx: false,
        }
    }
}

/// The most parameters that are looked at.
const MAX_PARAMETERS: usize = 32;

impl OpusParameters {
    /// Reads the value of `a=fmtp` after its payload type. Unknown parameters and unreadable
    /// values count as absent, values out of range are brought into it.
    pub fn parse(text: &str) -> Self {
        let mut out = Self::default();
        for parameter in text.split(';').take(MAX_PARAMETERS) {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let value = value.trim();
            let is = |known: &str| name.trim().eq_ignore_ascii_case(known);
            let flag = || value == "1";
            if is("maxplaybackrate") {
                out.max_playback_rate = rate(value).unwrap_or(48_000);
            } else if is("sprop-maxcapturerate") {
                out.max_capture_rate = rate(value).unwrap_or(48_000);
            } else if is("maxaveragebitrate") {
                out.max_average_bitrate = number(value)
                    .map(|b| b.clamp(EncoderTuning::MIN_BITRATE, EncoderTuning::MAX_BITRATE));
            } else if is("stereo") {
                out.stereo = flag();
            } else if is("sprop-stereo") {
                out.sends_stereo = flag();
            } else if is("cbr") {
                out.constant_bitrate = flag();
            } else if is("useinbandfec") {
                out.inband_fec = flag();
            } else if is("usedtx") {
                out.dtx = flag();
            }
        }
        out
    }

    /// What a peer with these parameters is sent, by an encoder that is set up as `wanted`.
    pub fn govern(&self, wanted: EncoderTuning) -> EncoderTuning {
        EncoderTuning {
            bitrate: wanted.bitrate.min(self.max_average_bitrate.unwrap_or(u32::MAX)),
            variable_bitrate: wanted.variable_bitrate && !self.constant_bitrate,
            fec: wanted.fec && self.inband_fec,
            dtx: self.dtx,
            max_bandwidth: wanted
                .max_bandwidth
                .min(AudioBandwidth::of_rate(self.max_playback_rate)),
            ..wanted
        }
        .bounded()
    }
}

/// A number of at most nine digits; more of them are as good as infinite.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

fn rate(text: &str) -> Option<u32> {
    number(text).map(|rate| rate.clamp(8_000, 48_000))
}

impl fmt::Display for OpusParameters {
    /// The value of `a=fmtp`: what differs from the defaults. Empty if nothing does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = [
            (
                "maxplaybackrate",
                (self.max_playback_rate < 48_000).then_some(self.max_playback_rate),
            ),
            (
                "sprop-maxcapturerate",
                (self.max_capture_rate < 48_000).then_some(self.max_capture_rate),
            ),
            ("maxaveragebitrate", self.max_average_bitrate),
            ("stereo", self.stereo.then_some(1)),
            ("sprop-stereo", self.sends_stereo.then_some(1)),
            ("cbr", self.constant_bitrate.then_some(1)),
            ("useinbandfec", self.inband_fec.then_some(1)),
            ("usedtx", self.dtx.then_some(1)),
        ];
        let given = numbers.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        for (n, (name, value)) in given.enumerate() {
            write!(f, "{}{name}={value}", if n == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_read_and_printed() {
        let text = "maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate=20000;\
                    stereo=1;useinbandfec=1;usedtx=0";
        let p = OpusParameters::parse(text);
        assert_eq!((p.max_playback_rate, p.max_capture_rate), (16_000, 16_000));
        assert_eq!(p.max_average_bitrate, Some(20_000));
        assert!(p.stereo && p.inband_fec && !p.dtx && !p.constant_bitrate && !p.sends_stereo);
        assert_eq!(p.to_string(), text.trim_end_matches(";usedtx=0"));
        assert_eq!(OpusParameters::parse(&p.to_string()), p);
    }

    #[test]
    fn spaces_and_case_do_not_matter_and_the_unknown_is_passed_over() {
        let p =
            OpusParameters::parse(" UseInbandFEC=1; x-google-min=3 ;; usedtx = 1;cbr;=;stereo=2");
        let expected = OpusParameters { inband_fec: true, dtx: true, ..OpusParameters::default() };
        assert_eq!(p, expected);
        assert_eq!(OpusParameters::parse(""), OpusParameters::default());
        assert_eq!(OpusParameters::default().to_string(), "");
    }

    #[test]
    fn hostile_values_are_bounded() {
        let p = OpusParameters::parse(
            "maxplaybackrate=0;maxaveragebitrate=1;sprop-maxcapturerate=99999999999999999999",
        );
        assert_eq!((p.max_playback_rate, p.max_capture_rate), (8_000, 48_000));
        assert_eq!(p.max_average_bitrate, Some(6_000));
        let p = OpusParameters::parse("maxaveragebitrate=4294967296;maxplaybackrate=-1");
        assert_eq!(p.max_average_bitrate, Some(510_000));
        assert_eq!(p.max_playback_rate, 48_000);
        let many = "a=1;".repeat(10_000) + "usedtx=1";
        assert!(!OpusParameters::parse(&many).dtx);
    }

    #[test]
    fn the_peer_governs_our_encoder() {
        let wanted = EncoderTuning { bitrate: 64_000, ..EncoderTuning::default() };
        let plain = OpusParameters::default().govern(wanted);
        assert!(!plain.fec && !plain.dtx && plain.variable_bitrate);
        assert_eq!((plain.bitrate, plain.max_bandwidth), (64_000, AudioBandwidth::Fullband));
        let peer = "maxplaybackrate=16000;maxaveragebitrate=20000;cbr=1;useinbandfec=1;usedtx=1";
        let t = OpusParameters::parse(peer).govern(wanted);
        assert!(t.fec && t.dtx && !t.variable_bitrate);
        assert_eq!((t.bitrate, t.max_bandwidth), (20_000, AudioBandwidth::Wideband));
        // What we do not want is not done because the peer could take it.
        let without = EncoderTuning { fec: false, ..wanted };
        assert!(!OpusParameters::parse(peer).govern(without).fec);
    }
}
