//! The audio of a call: codecs, jitter buffer, concealment, resampling, and tones, how good it all sounds, and the session that joins
//! them to RTP and SRTP. Pure computation.

pub mod breaker;
pub mod codec;
pub mod comfort_noise;
pub mod conceal;
pub mod dsp;
pub mod gain;
pub mod jitter;
pub mod level;
pub mod mixer;
pub mod quality;
pub mod reception;
pub mod resample;
pub mod session;
pub mod timescale;
pub mod tones;
pub mod wav;
