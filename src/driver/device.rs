//! Microphone and loudspeaker (feature `audio-device`), through cpal.

use std::collections::VecDeque;
use std::fmt;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, FromSample, Sample, SampleFormat, SizedSample, Stream, StreamConfig,
    SupportedBufferSize, SupportedStreamConfig,
};

use super::audio::AudioRing;
use crate::media::resample::{Resampler, UnsupportedRate};

/// Audio kept between the device's clock and the driver's, in ms.
const TARGET_MS: usize = 60;
/// Room for bursts of a device with large periods, in ms.
const CAPACITY_MS: usize = 500;
/// Periods of the device per second that are asked for: as often as the driver's tick.
const PERIODS_PER_SECOND: u32 = 50;

const MICROPHONE: &str = "microphone";
const LOUDSPEAKER: &str = "loudspeaker";

/// A microphone or a loudspeaker cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The system has none.
    #[error("there is no {0}: connect one, or play and record files instead")]
    Missing(&'static str),
    /// None has this name, or several have.
    #[error("there is not one {device} called {name:?}: choose one of the list")]
    Unknown {
        /// Microphone or loudspeaker.
        device: &'static str,
        /// The name that was asked for.
        name: String,
    },
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

/// A microphone or loudspeaker that the system offers.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// What the system calls it, to be given to [`AudioDevice::open_named`].
    pub id: String,
    /// What people call it.
    pub name: String,
    /// It is taken if none is named.
    pub is_default: bool,
}

/// A microphone and a loudspeaker, running at a call's sample rate as long as this value lives.
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
    /// The microphones of the system.
    ///
    /// # Errors
    /// [`DeviceError::Refused`] if the system gives no list.
    pub fn microphones() -> Result<Vec<DeviceInfo>, DeviceError> {
        let host = cpal::default_host();
        let devices = host.input_devices().map_err(refused(MICROPHONE))?;
        Ok(infos(devices, host.default_input_device()))
    }

    /// The loudspeakers of the system.
    ///
    /// # Errors
    /// [`DeviceError::Refused`] if the system gives no list.
    pub fn loudspeakers() -> Result<Vec<DeviceInfo>, DeviceError> {
        let host = cpal::default_host();
        let devices = host.output_devices().map_err(refused(LOUDSPEAKER))?;
        Ok(infos(devices, host.default_output_device()))
    }

    /// Opens the default microphone and loudspeaker and starts them.
    ///
    /// # Errors
    /// [`DeviceError`] says which is missing or refused.
    pub fn open(sample_rate: u32) -> Result<Self, DeviceError> {
        Self::open_named(sample_rate, None, None)
    }

    /// Opens the devices with these ids, or with names that contain these words, and starts them.
    /// `None` is the default one.
    ///
    /// # Errors
    /// [`DeviceError`] says which is missing, unknown or refused.
    pub fn open_named(
        sample_rate: u32,
        microphone: Option<&str>,
        loudspeaker: Option<&str>,
    ) -> Result<Self, DeviceError> {
        let host = cpal::default_host();
        let input = match microphone {
            None => host.default_input_device().ok_or(DeviceError::Missing(MICROPHONE))?,
            Some(name) => {
                choose(MICROPHONE, name, host.input_devices().map_err(refused(MICROPHONE))?)?
            }
        };
        let output = match loudspeaker {
            None => host.default_output_device().ok_or(DeviceError::Missing(LOUDSPEAKER))?,
            Some(name) => {
                choose(LOUDSPEAKER, name, host.output_devices().map_err(refused(LOUDSPEAKER))?)?
            }
        };
        let samples = |ms: usize| ms.saturating_mul(sample_rate as usize) / 1000;
        let ring = || AudioRing::new(samples(CAPACITY_MS)).correct_drift(samples(TARGET_MS));
        let (microphone, loudspeaker) = (ring().microphone(), ring());
        let config = input.default_input_config().map_err(refused(MICROPHONE))?;
        let capture = open_input(&input, &config, sample_rate, microphone.clone())?;
        let config = output.default_output_config().map_err(refused(LOUDSPEAKER))?;
        let playback = open_output(&output, &config, sample_rate, loudspeaker.clone())?;
        capture.play().map_err(refused(MICROPHONE))?;
        playback.play().map_err(refused(LOUDSPEAKER))?;
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

fn id_of(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| id.id().to_owned())
}

fn name_of(device: &cpal::Device) -> String {
    device.description().map(|d| d.name().to_owned()).unwrap_or_default()
}

fn infos(
    devices: impl Iterator<Item = cpal::Device>,
    default: Option<cpal::Device>,
) -> Vec<DeviceInfo> {
    let default = default.as_ref().and_then(id_of);
    let info = |device: cpal::Device| {
        let id = id_of(&device)?;
        let is_default = default.as_ref() == Some(&id);
        Some(DeviceInfo { id, name: name_of(&device), is_default })
    };
    devices.filter_map(info).collect()
}

/// The device with this id, or the only one whose name contains these words.
fn choose(
    device: &'static str,
    name: &str,
    devices: impl Iterator<Item = cpal::Device>,
) -> Result<cpal::Device, DeviceError> {
    let mut named = Vec::new();
    for candidate in devices {
        if id_of(&candidate).is_some_and(|id| id == name) {
            return Ok(candidate);
        }
        if name_of(&candidate).to_lowercase().contains(&name.to_lowercase()) {
            named.push(candidate);
        }
    }
    match (named.pop(), named.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(DeviceError::Unknown { device, name: name.to_owned() }),
    }
}

/// The device's own format, with short periods if it takes them: a long one is a delay.
fn stream_config(config: &SupportedStreamConfig) -> StreamConfig {
    let mut wanted = config.config();
    let period = config.sample_rate() / PERIODS_PER_SECOND;
    if let SupportedBufferSize::Range { min, max } = config.buffer_size()
        && (*min..=*max).contains(&period)
    {
        wanted.buffer_size = BufferSize::Fixed(period);
    }
    wanted
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
        other => Err(unknown_format(MICROPHONE, other)),
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
        other => Err(unknown_format(LOUDSPEAKER, other)),
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
    let stream = device.build_input_stream(stream_config(config), heard, ignore, None);
    stream.map_err(refused(MICROPHONE))
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
    let stream = device.build_output_stream(stream_config(config), spoken, ignore, None);
    stream.map_err(refused(LOUDSPEAKER))
}
