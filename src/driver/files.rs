//! WAV files as ends of a call's audio.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::audio::{AudioSink, Player};
use crate::media::resample::{Resampler, UnsupportedRate};
use crate::media::wav::{self, Wav, WavError};

/// Files larger than this are not read: 100 minutes at 16 kHz.
const MAX_FILE: u64 = 192_000_000;

/// A WAV file cannot be played or recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioFileError {
    /// It cannot be opened, read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// It is no WAV file that can be played.
    #[error("{path}: {error}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: WavError,
    },
    /// Its sample rate, or the one that was asked for, cannot be converted.
    #[error("{path}: {error}")]
    Rate {
        /// The file.
        path: PathBuf,
        /// The rate.
        error: UnsupportedRate,
    },
    /// It is larger than anything that a call plays.
    #[error("{path} is larger than 192 MB: play a shorter recording")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a WAV file and converts it to `sample_rate`.
///
/// # Errors
/// [`AudioFileError`], which names the file.
pub fn read_wav(path: &Path, sample_rate: u32) -> Result<Vec<i16>, AudioFileError> {
    let io = |error| AudioFileError::Io { path: path.to_owned(), error };
    if std::fs::metadata(path).map_err(io)?.len() > MAX_FILE {
        return Err(AudioFileError::TooLarge { path: path.to_owned() });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let wav = Wav::parse(&bytes)
        .map_err(|error| AudioFileError::Format { path: path.to_owned(), error })?;
    convert(wav, sample_rate).map_err(|error| AudioFileError::Rate { path: path.to_owned(), error })
}

impl Player {
    /// Plays a WAV file once, converted to the call's sample rate.
    ///
    /// # Errors
    /// [`AudioFileError`], which names the file.
    pub fn open(path: impl AsRef<Path>, sample_rate: u32) -> Result<Self, AudioFileError> {
        read_wav(path.as_ref(), sample_rate).map(Self::new)
    }
}

fn convert(wav: Wav, sample_rate: u32) -> Result<Vec<i16>, UnsupportedRate> {
    if wav.sample_rate == sample_rate {
        return Ok(wav.samples);
    }
    let mut resampler = Resampler::new(wav.sample_rate, sample_rate)?;
    let mut out = Vec::new();
    resampler.process(&wav.samples, |pcm| out.extend_from_slice(pcm));
    // The last block and the filter's delay are still inside: push them out.
    let tail = vec![0; usize::try_from(wav.sample_rate / 25).unwrap_or(0)];
    resampler.process(&tail, |pcm| out.extend_from_slice(pcm));
    Ok(out)
}

/// Records what the far end says into a WAV file. The file is complete once the recorder is
/// dropped, which the driver does before it reports the end of the call.
#[derive(Debug)]
pub struct WavRecorder {
    file: Option<BufWriter<File>>,
    sample_rate: u32,
    samples: usize,
}

impl WavRecorder {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// [`AudioFileError::Io`] if it cannot be written.
    pub fn create(path: impl AsRef<Path>, sample_rate: u32) -> Result<Self, AudioFileError> {
        let path = path.as_ref();
        let create = || {
            let mut file = BufWriter::new(File::create(path)?);
            file.write_all(&wav::header(sample_rate, 0))?;
            Ok(file)
        };
        let file = create().map_err(|error| AudioFileError::Io { path: path.to_owned(), error })?;
        Ok(Self { file: Some(file), sample_rate, samples: 0 })
    }

    fn append(&mut self, pcm: &[i16]) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        for sample in pcm {
            file.write_all(&sample.to_le_bytes())?;
        }
        self.samples = self.samples.saturating_add(pcm.len());
        Ok(())
    }

    fn finish(&mut self) -> std::io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&wav::header(self.sample_rate, self.samples))?;
        file.flush()
    }
}

impl AudioSink for WavRecorder {
    fn write(&mut self, pcm: &[i16]) {
        if self.append(pcm).is_err() {
            // The disk is full or gone: what is written stays readable, the call goes on.
            self.file = None;
        }
    }
}

impl Drop for WavRecorder {
    fn drop(&mut self) {
        // Nobody is left to be told; a header without a length is still readable to the end.
        drop(self.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_can_be_played() {
        let path = std::env::temp_dir().join(format!("subrosa-files-{}.wav", std::process::id()));
        let mut recorder = WavRecorder::create(&path, 16_000).unwrap();
        recorder.write(&[1, -2]);
        recorder.write(&[300]);
        drop(recorder);
        assert_eq!(read_wav(&path, 16_000).unwrap(), [1, -2, 300]);
        std::fs::remove_file(&path).unwrap();
        let missing = read_wav(&path, 16_000).unwrap_err();
        assert!(missing.to_string().contains("subrosa-files-"), "{missing}");
    }

    #[test]
    fn other_rates_are_converted_to_the_same_duration() {
        let wav = Wav { sample_rate: 8_000, samples: vec![1_000; 8_000] };
        let converted = convert(wav, 16_000).unwrap();
        assert!((16_000..17_000).contains(&converted.len()), "{}", converted.len());
        assert!((900..1_100).contains(&converted[8_000]));
        let odd = Wav { sample_rate: 12_345, samples: vec![0; 10] };
        assert_eq!(convert(odd, 16_000), Err(UnsupportedRate(12_345)));
    }
}
