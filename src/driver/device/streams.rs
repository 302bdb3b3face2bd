//! The system's devices through cpal: lists, and streams whose callbacks touch a ring alone.

use std::sync::mpsc::SyncSender;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, Sample, SampleFormat, SizedSample, Stream, StreamConfig,
    SupportedBufferSize, SupportedStreamConfig,
};

use super::capture::{CaptureFeed, capture};
use super::manager::Message;
use super::playout::{PlayoutFeed, playout};
use super::port::Bridge;
use super::ring::Heartbeat;
use super::selection::{Backend, Opened};
use super::{DeviceDirection, DeviceError, DeviceInfo};
use crate::driver::clock::Clock;
use crate::time::{Duration, Instant};

/// Periods of the device per second that are asked for: as often as the driver's tick.
const PERIODS_PER_SECOND: u32 = 50;
/// A stream that gives errors for so long, and nothing else, is broken.
const MAX_ERRORS: Duration = Duration::from_millis(150);

/// The devices of the platform's sound system.
pub(super) struct System {
    host: cpal::Host,
    clock: Clock,
    call_rate: u32,
    notices: SyncSender<Message>,
}

impl System {
    pub(super) fn new(clock: Clock, call_rate: u32, notices: SyncSender<Message>) -> Self {
        Self { host: cpal::default_host(), clock, call_rate, notices }
    }

    fn default_device(&self, direction: DeviceDirection) -> Result<cpal::Device, DeviceError> {
        default_of(&self.host, direction).ok_or(DeviceError::Missing(direction.as_str()))
    }

    /// The device of this id, whether it can be opened or not.
    fn device(&self, direction: DeviceDirection, id: &str) -> Result<cpal::Device, DeviceError> {
        let mut devices = self.host.devices().map_err(refused(direction))?;
        let unknown = DeviceError::Unknown { device: direction.as_str(), name: id.to_owned() };
        devices.find(|device| id_of(device).is_some_and(|of| of == id)).ok_or(unknown)
    }
}

impl Backend for System {
    type Stream = Stream;

    fn ids(&mut self) -> Vec<String> {
        self.host.devices().map(|all| all.filter_map(|d| id_of(&d)).collect()).unwrap_or_default()
    }

    fn default_id(&mut self, direction: DeviceDirection) -> Option<String> {
        default_of(&self.host, direction).as_ref().and_then(id_of)
    }

    fn resolve(&mut self, direction: DeviceDirection, name: &str) -> Result<String, DeviceError> {
        resolve(direction, name, list(direction)?)
    }

    fn open(
        &mut self,
        direction: DeviceDirection,
        id: Option<&str>,
        generation: u64,
    ) -> Result<Opened<Stream>, DeviceError> {
        let device = match id {
            Some(id) => self.device(direction, id)?,
            None => self.default_device(direction)?,
        };
        let id = id_of(&device).unwrap_or_default();
        let broken = |heartbeat: &Heartbeat| Broken {
            direction,
            generation,
            heartbeat: heartbeat.clone(),
            clock: self.clock,
            notices: self.notices.clone(),
            errors_since: None,
            told: false,
        };
        match direction {
            DeviceDirection::Input => {
                let config = device.default_input_config().map_err(refused(direction))?;
                let (feed, capture) = capture(config.sample_rate(), self.call_rate)?;
                let heartbeat = capture.heartbeat();
                let broken = broken(&heartbeat);
                let stream = open_input(&device, &config, self.clock, feed, broken)?;
                stream.play().map_err(refused(direction))?;
                Ok(Opened { id, stream, bridge: Bridge::Capture(capture), heartbeat })
            }
            DeviceDirection::Output => {
                let config = device.default_output_config().map_err(refused(direction))?;
                let (feed, playout) = playout(config.sample_rate(), self.call_rate)?;
                let heartbeat = playout.heartbeat();
                let broken = broken(&heartbeat);
                let stream = open_output(&device, &config, self.clock, feed, broken)?;
                stream.play().map_err(refused(direction))?;
                Ok(Opened { id, stream, bridge: Bridge::Playout(playout), heartbeat })
            }
        }
    }
}

/// The devices of one direction.
pub(super) fn list(direction: DeviceDirection) -> Result<Vec<DeviceInfo>, DeviceError> {
    let host = cpal::default_host();
    let default = default_of(&host, direction).as_ref().and_then(id_of);
    let devices = host.devices().map_err(refused(direction))?;
    Ok(devices.filter_map(|device| info(&device, direction, default.as_deref())).collect())
}

fn default_of(host: &cpal::Host, direction: DeviceDirection) -> Option<cpal::Device> {
    match direction {
        DeviceDirection::Input => host.default_input_device(),
        DeviceDirection::Output => host.default_output_device(),
    }
}

fn id_of(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| id.id().to_owned())
}

/// `None` if it is no device of this direction.
fn info(
    device: &cpal::Device,
    direction: DeviceDirection,
    default: Option<&str>,
) -> Option<DeviceInfo> {
    let ranges: Result<Vec<_>, cpal::Error> = match direction {
        DeviceDirection::Input => device.supported_input_configs().map(Iterator::collect),
        DeviceDirection::Output => device.supported_output_configs().map(Iterator::collect),
    };
    let ranges = match ranges {
        Ok(ranges) if ranges.is_empty() => return None,
        Ok(ranges) => ranges,
        // It is there, only not for us at the moment.
        Err(error) if error.kind() == ErrorKind::DeviceBusy => Vec::new(),
        Err(_) => return None,
    };
    let id = id_of(device)?;
    let lowest = ranges.iter().map(|range| range.min_sample_rate()).min().unwrap_or(0);
    let highest = ranges.iter().map(|range| range.max_sample_rate()).max().unwrap_or(0);
    let used = match direction {
        DeviceDirection::Input => device.default_input_config(),
        DeviceDirection::Output => device.default_output_config(),
    };
    Some(DeviceInfo {
        is_default: default == Some(&id),
        name: device.description().map(|d| d.name().to_owned()).unwrap_or_default(),
        id,
        direction,
        sample_rate: used.map(|config| config.sample_rate()).unwrap_or(0),
        rates: (lowest, highest),
    })
}

/// The id of the device with this id, or of the only one whose name has these words.
fn resolve(
    direction: DeviceDirection,
    name: &str,
    devices: Vec<DeviceInfo>,
) -> Result<String, DeviceError> {
    let words = name.to_lowercase();
    let exact = devices.iter().find(|device| device.id == name);
    let mut named = devices.iter().filter(|device| device.name.to_lowercase().contains(&words));
    match (exact, named.next(), named.next()) {
        (Some(device), ..) | (None, Some(device), None) => Ok(device.id.clone()),
        _ => Err(DeviceError::Unknown { device: direction.as_str(), name: name.to_owned() }),
    }
}

/// Tells that a stream cannot go on: once.
struct Broken {
    direction: DeviceDirection,
    generation: u64,
    heartbeat: Heartbeat,
    clock: Clock,
    notices: SyncSender<Message>,
    /// When errors began without a callback between them, and the callbacks before.
    errors_since: Option<(Instant, u64)>,
    told: bool,
}

impl Broken {
    fn handle(&mut self, error: &cpal::Error) {
        match error.kind() {
            // It goes on by itself.
            ErrorKind::Xrun => self.heartbeat.note_xrun(),
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated => self.tell(),
            // Some are gone in a moment: a stream to a sound server has no delay when it begins.
            _ => {
                let (now, beats) = (self.clock.now(), self.heartbeat.count());
                match self.errors_since.filter(|(_, before)| *before == beats) {
                    None => self.errors_since = Some((now, beats)),
                    Some((since, _)) if now.duration_since(since) > MAX_ERRORS => self.tell(),
                    Some(_) => {}
                }
            }
        }
    }

    /// Never waits: if the inbox is full, the next error or the missing callbacks tell it.
    fn tell(&mut self) {
        if !self.told {
            let message = Message::Broken(self.direction, self.generation);
            self.told = self.notices.try_send(message).is_ok();
        }
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

fn refused(direction: DeviceDirection) -> impl Fn(cpal::Error) -> DeviceError {
    move |error| match error.kind() {
        ErrorKind::DeviceBusy => DeviceError::Busy(direction.as_str()),
        _ => DeviceError::Refused { device: direction.as_str(), error: error.to_string() },
    }
}

fn unknown_format(direction: DeviceDirection, format: SampleFormat) -> DeviceError {
    let error = format!("samples of format {format} are not supported");
    DeviceError::Refused { device: direction.as_str(), error }
}

fn open_input(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    clock: Clock,
    feed: CaptureFeed,
    broken: Broken,
) -> Result<Stream, DeviceError> {
    match config.sample_format() {
        SampleFormat::I16 => input::<i16>(device, config, clock, feed, broken),
        SampleFormat::I32 => input::<i32>(device, config, clock, feed, broken),
        SampleFormat::U8 => input::<u8>(device, config, clock, feed, broken),
        SampleFormat::U16 => input::<u16>(device, config, clock, feed, broken),
        SampleFormat::F32 => input::<f32>(device, config, clock, feed, broken),
        other => Err(unknown_format(DeviceDirection::Input, other)),
    }
}

fn open_output(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    clock: Clock,
    feed: PlayoutFeed,
    broken: Broken,
) -> Result<Stream, DeviceError> {
    match config.sample_format() {
        SampleFormat::I16 => output::<i16>(device, config, clock, feed, broken),
        SampleFormat::I32 => output::<i32>(device, config, clock, feed, broken),
        SampleFormat::U8 => output::<u8>(device, config, clock, feed, broken),
        SampleFormat::U16 => output::<u16>(device, config, clock, feed, broken),
        SampleFormat::F32 => output::<f32>(device, config, clock, feed, broken),
        other => Err(unknown_format(DeviceDirection::Output, other)),
    }
}

fn input<T>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    clock: Clock,
    mut feed: CaptureFeed,
    mut broken: Broken,
) -> Result<Stream, DeviceError>
where
    T: SizedSample,
    i16: FromSample<T>,
{
    let channels = usize::from(config.channels()).max(1);
    let heard = move |frames: &[T], _: &cpal::InputCallbackInfo| {
        let mono = frames.chunks_exact(channels).map(|frame| {
            let sum: i32 = frame.iter().map(|s| i32::from(i16::from_sample(*s))).sum();
            let mean = sum.checked_div(i32::try_from(channels).unwrap_or(1)).unwrap_or(0);
            i16::try_from(mean).unwrap_or(0)
        });
        feed.feed(clock.now(), mono);
    };
    let failed = move |error| broken.handle(&error);
    let stream = device.build_input_stream(stream_config(config), heard, failed, None);
    stream.map_err(refused(DeviceDirection::Input))
}

fn output<T>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    clock: Clock,
    mut feed: PlayoutFeed,
    mut broken: Broken,
) -> Result<Stream, DeviceError>
where
    T: SizedSample + FromSample<i16>,
{
    let channels = usize::from(config.channels()).max(1);
    let spoken = move |frames: &mut [T], _: &cpal::OutputCallbackInfo| {
        let count = frames.len() / channels;
        let mut frames = frames.chunks_exact_mut(channels);
        feed.pull(clock.now(), count, |sample| {
            if let Some(frame) = frames.next() {
                frame.fill(T::from_sample(sample));
            }
        });
    };
    let failed = move |error| broken.handle(&error);
    let stream = device.build_output_stream(stream_config(config), spoken, failed, None);
    stream.map_err(refused(DeviceDirection::Output))
}
