//! WAV files as bytes.
