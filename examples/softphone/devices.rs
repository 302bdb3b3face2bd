//! Microphone and loudspeaker: choosing them, what happens to them, tones, the echo test.

use std::time::{Duration, Instant};

use subrosa::driver::{AudioDevice, CallAudio, DeviceDirection, DeviceError, DeviceEvent};
use subrosa::engine::EndReason;
use subrosa::media::tones::TonePlan;

use crate::failure::{Failure, Status};
use crate::meter;
use crate::options::Options;

/// How long the tone after a call that failed lasts.
const END_TONE: Duration = Duration::from_secs(4);
/// How long --echo lasts, if --duration does not say.
const ECHO: Duration = Duration::from_secs(10);

/// Microphone and loudspeaker.
#[derive(Debug)]
pub(crate) struct Devices {
    device: AudioDevice,
    plan: Option<TonePlan>,
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::new(Status::Start, error.to_string())
    }
}

impl Devices {
    /// Opens them, if the options ask for it.
    pub(crate) fn open(options: &Options) -> Result<Option<Self>, Failure> {
        if !options.device {
            return Ok(None);
        }
        let (input, output) = (options.input.as_deref(), options.output.as_deref());
        let device = AudioDevice::open_named(options.rate, input, output)?;
        Ok(Some(Self { device, plan: options.tones }))
    }

    /// Speaks and listens through them.
    pub(crate) fn attach(&self, audio: CallAudio) -> CallAudio {
        // A tone of the last call ends where the next one begins.
        self.device.stop_playing();
        audio.source(self.device.source()).sink(self.device.sink())
    }

    /// Uses another one from now on; returns its id.
    pub(crate) fn choose(&self, output: bool, name: Option<&str>) -> Result<String, Failure> {
        let direction = if output { DeviceDirection::Output } else { DeviceDirection::Input };
        self.device.choose(direction, name)?;
        Ok(self.device.in_use(direction).unwrap_or_default())
    }

    /// What happened to them since the last look.
    pub(crate) fn news(&self) -> Vec<String> {
        let news = std::iter::from_fn(|| self.device.try_event());
        news.map(|event| match event {
            DeviceEvent::Lost { direction, id, replacement: Some(other) } => {
                format!("the {direction} {id} is gone; using {other}")
            }
            DeviceEvent::Lost { direction, id, replacement: None } => {
                format!("the {direction} {id} is gone; there is no other: silence")
            }
            DeviceEvent::Replaced { direction, id } => format!("using the {direction} {id}"),
            DeviceEvent::Restored { direction, id } => format!("the {direction} {id} is back"),
            _ => "microphones or loudspeakers came or went; devices lists them".to_owned(),
        })
        .collect()
    }

    /// What a telephone plays when a call could not be: busy, congestion.
    pub(crate) fn play_end(&self, reason: &EndReason) {
        let failed = !matches!(reason, EndReason::RemoteHangUp);
        let kind = reason.tone().filter(|_| failed);
        let tone = kind.and_then(|kind| self.plan.as_ref()?.tone(kind));
        if let Some(tone) = tone {
            // A tone that cannot be played is no reason to end differently.
            drop(self.device.play_tone(tone, END_TONE));
        }
    }

    /// Until the tone is over.
    pub(crate) fn finish_tone(&self) {
        let started = Instant::now();
        while self.device.is_playing() && started.elapsed() < END_TONE * 2 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How well they keep pace with the call: a line each.
    pub(crate) fn stats(&self) -> String {
        let line = |direction: DeviceDirection| {
            let stats = self.device.stats(direction);
            let id = self.device.in_use(direction).unwrap_or_else(|| "none".to_owned());
            format!(
                "  {direction} {id}: {} gaps, {} cuts, {} xruns, {} restarts, clock {:+.0} ppm, \
                 {} ms in store",
                stats.underruns,
                stats.overruns,
                stats.xruns,
                stats.restarts,
                stats.drift_ppm,
                stats.delay.as_millis()
            )
        };
        [DeviceDirection::Input, DeviceDirection::Output].map(line).join("\n")
    }
}

/// The microphones and loudspeakers of the system.
pub(crate) fn list() -> Result<String, Failure> {
    let mut lines = Vec::new();
    for (title, devices) in [
        ("microphones (--input)", AudioDevice::microphones()?),
        ("loudspeakers (--output)", AudioDevice::loudspeakers()?),
    ] {
        lines.push(title.to_owned());
        let width = devices.iter().map(|device| device.id.chars().count()).max().unwrap_or(0);
        lines.extend(devices.iter().map(|device| {
            let mark = if device.is_default { '*' } else { ' ' };
            let rate = match device.sample_rate {
                0 => "in use".to_owned(),
                rate => format!("{rate} Hz"),
            };
            format!("{mark} {:width$}  {rate:>8}  {}", device.id, device.name)
        }));
        if devices.is_empty() {
            lines.push("  none".to_owned());
        }
    }
    Ok(lines.join("\n"))
}

/// --echo-test, --echo: without any call.
pub(crate) fn echo(options: &Options) -> Result<(), Failure> {
    let Some(devices) = Devices::open(options)? else { return Ok(()) };
    let device = devices.device;
    for direction in [DeviceDirection::Input, DeviceDirection::Output] {
        println!("{direction}: {}", device.in_use(direction).unwrap_or_default());
    }
    match options.echo {
        Some(delay) => play_echo(&device, delay, options.duration.unwrap_or(ECHO)),
        None => measure_echo(&device),
    }
}

fn play_echo(device: &AudioDevice, delay: Duration, length: Duration) -> Result<(), Failure> {
    device.play_microphone(delay)?;
    println!("speak: you are heard {:.1} s later", delay.as_secs_f64());
    let end = Instant::now() + length;
    while Instant::now() < end {
        std::thread::sleep(
            Duration::from_secs(1).min(end.saturating_duration_since(Instant::now())),
        );
        println!("microphone {}", meter::figures(device.level(DeviceDirection::Input)));
    }
    device.stop_playing();
    Ok(())
}

fn measure_echo(device: &AudioDevice) -> Result<(), Failure> {
    println!("three short sweeps of sound; please be quiet");
    let found = device.measure_echo()?;
    let Some(delay) = found.delay else {
        let sentence = match found.peak_dbfs {
            peak if peak <= -96.0 => "nothing came back: the microphone hears nothing".to_owned(),
            peak => {
                format!("nothing came back; the microphone heard other sound, up to {peak:.0} dBFS")
            }
        };
        return Err(Failure::new(Status::Failed, sentence));
    };
    println!(
        "came back after {:.1} ms, {:+.1} dB, likeness {:.2}",
        delay.as_secs_f64() * 1_000.0,
        found.level_db,
        found.likeness
    );
    Ok(())
}
