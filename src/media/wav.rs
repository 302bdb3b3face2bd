//! WAV files as bytes: 16-bit PCM in, mixed down to mono; 16-bit mono PCM out.
#![deny(clippy::arithmetic_side_effects)]

/// Mono audio with its rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wav {
    /// Samples per second.
    pub sample_rate: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

/// Why bytes are no WAV file that can be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// It does not begin with `RIFF....WAVE`.
    #[error("not a WAV file: the RIFF/WAVE header is missing")]
    NotRiff,
    /// A chunk is cut short or missing.
    #[error("the WAV file has no complete {0} chunk")]
    Missing(&'static str),
    /// The samples are compressed or not integers of 16 bits.
    #[error("format tag {format} with {bits} bits is not supported: convert to 16-bit PCM")]
    Unsupported {
        /// The format tag (1 is PCM).
        format: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// Number of channels or sample rate out of bounds.
    #[error("{channels} channels at {rate} Hz: 1 to 8 channels at 1000 to 192000 Hz can be read")]
    Layout {
        /// Channels.
        channels: u16,
        /// Samples per second.
        rate: u32,
    },
}

/// Length of the header that [`header`] makes.
pub const HEADER_LEN: usize = 44;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

impl Wav {
    /// Reads a file. Several channels are averaged. A data chunk that claims more than there is
    /// (a recording that was cut off) is read as far as it goes. Memory is bounded by the input.
    ///
    /// # Errors
    /// [`WavError`], which says what to do about it.
    pub fn parse(bytes: &[u8]) -> Result<Self, WavError> {
        let (Some(b"RIFF"), Some(b"WAVE")) = (bytes.get(..4), bytes.get(8..12)) else {
            return Err(WavError::NotRiff);
        };
        let mut rest = bytes.get(12..).unwrap_or_default();
        let mut format = None;
        while let (Some(id), Some(len)) = (rest.get(..4), u32_at(rest, 4)) {
            let body = rest.get(8..).unwrap_or_default();
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            if id == b"data" {
                let (channels, sample_rate) = format.ok_or(WavError::Missing("fmt"))?;
                let data = body.get(..len).unwrap_or(body);
                return Ok(Self { sample_rate, samples: mix_down(data, channels) });
            }
            let chunk = body.get(..len).ok_or(WavError::Missing("data"))?;
            if id == b"fmt " {
                format = Some(parse_format(chunk)?);
            }
            // Chunks are padded to even lengths.
            rest = body.get(len.saturating_add(len & 1)..).unwrap_or_default();
        }
        Err(WavError::Missing("data"))
    }

    /// The whole file as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(HEADER_LEN.saturating_add(self.samples.len().saturating_mul(2)));
        out.extend_from_slice(&header(self.sample_rate, self.samples.len()));
        out.extend(self.samples.iter().flat_map(|s| s.to_le_bytes()));
        out
    }
}

/// The header of a mono 16-bit file with this many samples, for writers that stream and patch it
/// at the end. Lengths beyond 4 GiB saturate.
pub fn header(sample_rate: u32, samples: usize) -> [u8; HEADER_LEN] {
    let data = u32::try_from(samples).unwrap_or(u32::MAX).saturating_mul(2).min(u32::MAX - 36);
    let mut out = [0; HEADER_LEN];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &data.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &1u16.to_le_bytes(),
        &sample_rate.to_le_bytes(),
        &sample_rate.saturating_mul(2).to_le_bytes(),
        &2u16.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    out.iter_mut().zip(fields.into_iter().flatten()).for_each(|(o, b)| *o = *b);
    out
}

fn parse_format(chunk: &[u8]) -> Result<(u16, u32), WavError> {
    let field = |at| u16_at(chunk, at).ok_or(WavError::Missing("fmt"));
    let (tag, channels, bits) = (field(0)?, field(2)?, field(14)?);
    let rate = u32_at(chunk, 4).ok_or(WavError::Missing("fmt"))?;
    // WAVE_FORMAT_EXTENSIBLE names the true format in the first bytes of its GUID.
    let tag = if tag == 0xfffe { field(24)? } else { tag };
    if tag != 1 || bits != 16 {
        return Err(WavError::Unsupported { format: tag, bits });
    }
    if !(1..=8).contains(&channels) || !(1_000..=192_000).contains(&rate) {
        return Err(WavError::Layout { channels, rate });
    }
    Ok((channels, rate))
}

fn mix_down(data: &[u8], channels: u16) -> Vec<i16> {
    let frame = usize::from(channels).saturating_mul(2);
    data.chunks_exact(frame)
        .map(|frame| {
            let sum: i32 =
                frame.as_chunks::<2>().0.iter().map(|b| i32::from(i16::from_le_bytes(*b))).sum();
            sum.checked_div(i32::from(channels)).unwrap_or(0) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_files_read_back() {
        let wav = Wav { sample_rate: 16_000, samples: vec![0, 1, -1, i16::MAX, i16::MIN] };
        let bytes = wav.to_bytes();
        assert_eq!(bytes.len(), 54);
        assert_eq!(Wav::parse(&bytes), Ok(wav));
    }

    #[test]
    fn stereo_is_averaged_and_unknown_chunks_are_skipped() {
        let mut bytes = header(8_000, 4).to_vec();
        bytes[22] = 2;
        bytes.splice(36..36, *b"LIST\x03\0\0\0abc\0");
        for s in [100i16, 300, -5, -7] {
            bytes.extend(s.to_le_bytes());
        }
        assert_eq!(Wav::parse(&bytes).unwrap().samples, [200, -6]);
    }

    #[test]
    fn chunks_before_the_format_are_skipped_with_their_padding() {
        let good = Wav { sample_rate: 8_000, samples: vec![7, -9, 300] }.to_bytes();
        // As broadcast recorders (`bext`) and aligned writers (`JUNK`) have them.
        for chunk in [&b"JUNK\x04\0\0\0abcd"[..], b"bext\x03\0\0\0abc\0", b"JUNK\0\0\0\0"] {
            let bytes = [&good[..12], chunk, chunk, &good[12..]].concat();
            assert_eq!(Wav::parse(&bytes).map(|wav| wav.samples), Ok(vec![7, -9, 300]));
        }
        let unformatted = [&good[..12], b"JUNK\0\0\0\0", &good[36..]].concat();
        assert_eq!(Wav::parse(&unformatted), Err(WavError::Missing("fmt")));
    }

    #[test]
    fn the_extensible_header_names_the_format_in_its_guid() {
        let good = Wav { sample_rate: 8_000, samples: vec![7, -9] }.to_bytes();
        let with = |tag: u16| {
            let rest =
                [&22u16.to_le_bytes()[..], &[16, 0, 4, 0, 0, 0], &tag.to_le_bytes(), &[0; 14]];
            let mut bytes = [&good[..36], &rest.concat(), &good[36..]].concat();
            bytes[16] = 40;
            bytes[20..22].copy_from_slice(&[0xfe, 0xff]);
            bytes
        };
        assert_eq!(Wav::parse(&with(1)).map(|wav| wav.samples), Ok(vec![7, -9]));
        let float = WavError::Unsupported { format: 3, bits: 16 };
        assert_eq!(Wav::parse(&with(3)), Err(float));
    }

    #[test]
    fn a_recording_that_was_cut_off_is_read_as_far_as_it_goes() {
        let mut bytes = Wav { sample_rate: 8_000, samples: vec![7; 10] }.to_bytes();
        bytes.truncate(44 + 7);
        assert_eq!(Wav::parse(&bytes).unwrap().samples, [7; 3]);
    }

    #[test]
    fn what_follows_the_samples_is_no_audio() {
        let good = Wav { sample_rate: 8_000, samples: vec![7, -9] }.to_bytes();
        let bytes = [&good[..], b"LIST\x04\0\0\0abcd"].concat();
        assert_eq!(Wav::parse(&bytes).map(|wav| wav.samples), Ok(vec![7, -9]));
    }

    #[test]
    fn channels_and_rates_have_bounds() {
        let with = |channels: u8, rate: u32| {
            let mut bytes = Wav { sample_rate: rate, samples: vec![0; 8] }.to_bytes();
            bytes[22] = channels;
            Wav::parse(&bytes).is_ok()
        };
        assert!(with(8, 8_000) && !with(9, 8_000));
        assert!(with(1, 1_000) && with(1, 192_000) && !with(1, 999) && !with(1, 192_001));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let good = Wav { sample_rate: 8_000, samples: vec![7; 10] }.to_bytes();
        assert_eq!(Wav::parse(b"RIFX"), Err(WavError::NotRiff));
        assert_eq!(Wav::parse(&good[..36]), Err(WavError::Missing("data")));
        let mut bad = good.clone();
        bad[34] = 24;
        assert_eq!(Wav::parse(&bad), Err(WavError::Unsupported { format: 1, bits: 24 }));
        bad = good.clone();
        bad[22] = 0;
        assert_eq!(Wav::parse(&bad), Err(WavError::Layout { channels: 0, rate: 8_000 }));
        bad = good;
        bad[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Wav::parse(&bad), Err(WavError::Missing("data")));
    }
}
