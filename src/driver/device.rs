//! Microphone and loudspeaker (feature `audio-device`), through cpal.

use std::collections::VecDeque;
use std::fmt;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, Sample, SampleFormat, SizedSample, Stream, SupportedStreamConfig};

use super::audio::AudioRing;
use crate::media::resample::{Resampler, UnsupportedRate};

/// Audio kept between the device's clock and the driver's, in ms.
const TARGET_MS: usize = 60;
/// Room for bursts of a device with large periods, in ms.
const CAPACITY_MS: usize = 500;

/// A microphone or a loudspeaker cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The system has none.
    #[error("there is no {0}: connect one, or play and record files instead")]
    Missing(&'static str),
    /// The system refuses it.
    #[error("the {device} cannot be used: {error}")]
    Refused {
        /// Which.
        device: &'static str,
        /// What the system says.
        error: String,
    },
    /// Its sample rate cannot be converted.
    #[error(transparent)]
    Rate(#[from] UnsupportedRate),
}

/// The default microphone and loudspeaker, running at a call's sample rate as long as this value
/// lives.
pub struct AudioDevice {
    microphone: AudioRing,
    loudspeaker: AudioRing,
    /// Kept for their drop, which stops the devices.
    _streams: [Stream; 2],
}

impl fmt::Debug for AudioDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioDevice").finish_non_exhaustive()
    }
}

impl AudioDevice {
    /// Opens both and starts them.
    ///
    /// # Errors
    /// [`DeviceError`] says which is missing or refused.
    pub fn open(sample_rate: u32) -> Result<Self, DeviceError> {
        let samples = |ms: usize| ms.saturating_mul(sample_rate as usize) / 1000;
        let ring = || AudioRing::new(samples(CAPACITY_MS)).correct_drift(samples(TARGET_MS));
        let (microphone, loudspeaker) = (ring(), ring());
        let host = cpal::default_host();
        let input = host.default_input_device().ok_or(DeviceError::Missing("microphone"))?;
        let config = input.default_input_config().map_err(refused("microphone"))?;
        let capture = open_input(&input, &config, sample_rate, microphone.clone())?;
        let output = host.default_output_device().ok_or(DeviceError::Missing("loudspeaker"))?;
        let config = output.default_output_config().map_err(refused("loudspeaker"))?;
        let playback = open_output(&output, &config, sample_rate, loudspeaker.clone())?;
        capture.play().map_err(refused("microphone"))?;
        playback.play().map_err(refused("loudspeaker"))?;
        Ok(Self { microphone, loudspeaker, _streams: [capture, playback] })
    }

    /// What the microphone hears: a call's source.
    pub fn source(&self) -> AudioRing {
        self.microphone.clone()
    }

    /// What the loudspeaker plays: a call's sink.
    pub fn sink(&self) -> AudioRing {
        self.loudspeaker.clone()
    }
}

fn refused(device: &'static str) -> impl Fn(cpal::Error) -> DeviceError {
    move |error| DeviceError::Refused { device, error: error.to_string() }
}

fn open_input(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    rate: u32,
    ring: AudioRing,
) -> Result<Stream, DeviceError> {
    match config.sample_format() {
        SampleFormat::I16 => capture::<i16>(device, config, rate, ring),
        SampleFormat::I32 => capture::<i32>(device, config, rate, ring),
        SampleFormat::U8 => capture::<u8>(device, config, rate, ring),
        SampleFormat::U16 => capture::<u16>(device, config, rate, ring),
        SampleFormat::F32 => capture::<f32>(device, config, rate, ring),
        other => Err(unknown_format("microphone", other)),
    }
}

fn open_output(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    rate: u32,
    ring: AudioRing,
) -> Result<Stream, DeviceError> {
    match config.sample_format() {
        SampleFormat::I16 => playback::<i16>(device, config, rate, ring),
        SampleFormat::I32 => playback::<i32>(device, config, rate, ring),
        SampleFormat::U8 => playback::<u8>(device, config, rate, ring),
        SampleFormat::U16 => playback::<u16>(device, config, rate, ring),
        SampleFormat::F32 => playback::<f32>(device, config, rate, ring),
        other => Err(unknown_format("loudspeaker", other)),
    }
}

fn unknown_format(device: &'static str, format: SampleFormat) -> DeviceError {
    DeviceError::Refused { device, error: format!("samples of format {format} are not supported") }
}

/// Errors of a running device show as silence and are counted by the ring; the call goes on.
fn ignore(_: cpal::Error) {}

fn capture<T>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    rate: u32,
    ring: AudioRing,
) -> Result<Stream, DeviceError>
where
    T: SizedSample,
    i16: FromSample<T>,
{
    let channels = usize::from(config.channels()).max(1);
    let mut resampler = Resampler::new(config.sample_rate(), rate)?;
    let mut mono: Vec<i16> = Vec::new();
    let heard = move |frames: &[T], _: &cpal::InputCallbackInfo| {
        mono.clear();
        mono.extend(frames.chunks_exact(channels).map(|frame| {
            let sum: i32 = frame.iter().map(|s| i32::from(i16::from_sample(*s))).sum();
            let mean = sum.checked_div(i32::try_from(channels).unwrap_or(1)).unwrap_or(0);
            i16::try_from(mean).unwrap_or(0)
        }));
        resampler.process(&mono, |pcm| {
            ring.push(pcm);
        });
    };
    let stream = device.build_input_stream(config.config(), heard, ignore, None);
    stream.map_err(refused("microphone"))
}

fn playback<T>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    rate: u32,
    ring: AudioRing,
) -> Result<Stream, DeviceError>
where
    T: SizedSample + FromSample<i16>,
{
    let channels = usize::from(config.channels()).max(1);
    let mut resampler = Resampler::new(rate, config.sample_rate())?;
    let mut block = vec![0; rate as usize / 100];
    let mut waiting: VecDeque<i16> = VecDeque::new();
    let spoken = move |frames: &mut [T], _: &cpal::OutputCallbackInfo| {
        for frame in frames.chunks_mut(channels) {
            while waiting.is_empty() {
                ring.pop(&mut block);
                resampler.process(&block, |pcm| waiting.extend(pcm));
            }
            let sample = T::from_sample(waiting.pop_front().unwrap_or(0));
            frame.fill(sample);
        }
    };
    let stream = device.build_output_stream(config.config(), spoken, ignore, None);
    stream.map_err(refused("loudspeaker"))
}
