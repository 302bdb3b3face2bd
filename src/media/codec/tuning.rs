//! How an encoder works: what is set once, and what follows the network during a call.

/// The highest audio frequency that is kept, by its name in RFC 6716 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum AudioBandwidth {
    /// 4 kHz: a sampling rate of 8 kHz.
    Narrowband,
    /// 6 kHz: a sampling rate of 12 kHz.
    Mediumband,
    /// 8 kHz: a sampling rate of 16 kHz.
    Wideband,
    /// 12 kHz: a sampling rate of 24 kHz.
    Superwideband,
    /// 20 kHz: a sampling rate of 48 kHz.
    #[default]
    Fullband,
}

impl AudioBandwidth {
    /// The widest one that a sampling rate of `rate` Hz holds.
    pub const fn of_rate(rate: u32) -> Self {
        match rate {
            0..12_000 => Self::Narrowband,
            12_000..16_000 => Self::Mediumband,
            16_000..24_000 => Self::Wideband,
            24_000..48_000 => Self::Superwideband,
            _ => Self::Fullband,
        }
    }
}

/// Settings of an encoder, for [`Encoder::tune`](super::Encoder::tune). Codecs without a choice
/// (G.711, G.722) ignore them. Values out of range are brought into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncoderTuning {
    /// Mean bitrate in bit/s, 6000 to 510000 (RFC 6716 §2.1.1).
    pub bitrate: u32,
    /// Each packet as long as its audio needs (VBR); otherwise all have one length (CBR). The
    /// lengths of VBR packets tell an observer something of the words, encrypted or not
    /// (RFC 6562).
    pub variable_bitrate: bool,
    /// Each packet carries a coarse copy of the one before it (in-band FEC), from an expected
    /// loss on.
    pub fec: bool,
    /// Packets that are expected to be lost, in percent: how much is spent on `fec`.
    pub expected_loss_percent: u8,
    /// Nothing is sent in silence but a packet now and then (DTX).
    pub dtx: bool,
    /// Effort, 0 to 10.
    pub complexity: u8,
    /// Nothing above this is encoded.
    pub max_bandwidth: AudioBandwidth,
}

impl EncoderTuning {
    /// The lowest bitrate in bit/s.
    pub const MIN_BITRATE: u32 = 6_000;
    /// The highest bitrate in bit/s.
    pub const MAX_BITRATE: u32 = 510_000;
    /// The highest complexity.
    pub const MAX_COMPLEXITY: u8 = 10;

    /// The same with each value in its range.
    pub fn bounded(mut self) -> Self {
        self.bitrate = self.bitrate.clamp(Self::MIN_BITRATE, Self::MAX_BITRATE);
        self.expected_loss_percent = self.expected_loss_percent.min(100);
        self.complexity = self.complexity.min(Self::MAX_COMPLEXITY);
        self
    }
}

impl Default for EncoderTuning {
    fn default() -> Self {
        Self {
            bitrate: 24_000,
            variable_bitrate: true,
            fec: true,
            expected_loss_percent: 0,
            dtx: false,
            complexity: 8,
            max_bandwidth: AudioBandwidth::Fullband,
        }
    }
}
