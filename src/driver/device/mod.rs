//! Microphone and loudspeaker (feature `audio-device`), through cpal.
//!
//! The callback of a device touches a lock-free ring and nothing else ([`ring`]). At the other end
//! of the ring the call's tick converts between the device's clock and its own ([`capture`],
//! [`playout`], [`crossing`], [`drift`]). A call has ports ([`port`]) that stay while devices change; which
//! devices are used is decided in [`selection`], on a thread of its own ([`manager`]). All but the
//! last, [`streams`] and [`player`] is tested without any device.

mod capture;
mod crossing;
mod drift;
mod echo;
mod fade;
#[cfg(feature = "audio-device")]
mod manager;
#[cfg(feature = "audio-device")]
mod player;
mod playout;
mod port;
mod ring;
mod selection;
#[cfg(feature = "audio-device")]
mod streams;

#[cfg(test)]
mod bridge_tests;

#[cfg(feature = "audio-device")]
pub use echo::EchoMeasurement;
#[cfg(feature = "audio-device")]
pub use manager::AudioDevice;
#[cfg(feature = "audio-device")]
pub use port::{DeviceSink, DeviceSource};

use std::fmt;

use crate::media::resample::UnsupportedRate;
use crate::media::tones::ToneError;
use crate::time::Duration;

/// Kept in store beside a device's bursts, against jitter, in seconds: at first (sound servers bring
/// less evenly than they take), more after each time that it was not enough, and at most.
const CAPTURE_MARGIN: f64 = 0.04;
const PLAYOUT_MARGIN: f64 = 0.03;
const MARGIN_STEP: f64 = 0.01;
const MAX_MARGIN: f64 = 0.12;
/// More in store than that is no jitter: it is cut.
const EXCESS_SECONDS: f64 = 0.2;
/// After so long without reading or writing there is a new beginning.
const PAUSE_SECONDS: f64 = 0.25;
/// What a ring holds, in seconds.
const RING_SECONDS: usize = 1;

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
    /// Another program, or another of our devices, has it for itself.
    #[error("the {0} is in use by somebody else: choose another, or try again")]
    Busy(&'static str),
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
    /// The tone cannot be played.
    #[error(transparent)]
    Tone(#[from] ToneError),
    /// The thread that looks after the devices could not be started, or is gone.
    #[error("there is no thread for the devices")]
    Stopped,
}

/// Which way sound goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeviceDirection {
    /// A microphone.
    Input,
    /// A loudspeaker.
    Output,
}

impl DeviceDirection {
    /// `microphone` or `loudspeaker`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "microphone",
            Self::Output => "loudspeaker",
        }
    }
}

impl fmt::Display for DeviceDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A microphone or loudspeaker that the system offers.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// What the system calls it, to be given to [`AudioDevice::open_named`] and
    /// [`AudioDevice::choose`]. It stays the same while the device is unplugged.
    ///
    /// [`AudioDevice::open_named`]: crate::driver::AudioDevice::open_named
    /// [`AudioDevice::choose`]: crate::driver::AudioDevice::choose
    pub id: String,
    /// What people call it.
    pub name: String,
    /// It is taken if none is named.
    pub is_default: bool,
    /// Microphone or loudspeaker; a headset is in both lists.
    pub direction: DeviceDirection,
    /// The rate that it is used at, in Hz; 0 if that is unknown because somebody else uses it.
    pub sample_rate: u32,
    /// The lowest and the highest rate that it can do, in Hz; 0 if unknown.
    pub rates: (u32, u32),
}

/// What happened to the devices. The call goes on through all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// The device in use is gone: it was unplugged, broke, or stalled.
    Lost {
        /// Microphone or loudspeaker.
        direction: DeviceDirection,
        /// Its id.
        id: String,
        /// What is used instead: the default one; `None` is silence.
        replacement: Option<String>,
    },
    /// There was silence, and now there is at least the default device; or the default one is in
    /// use, and the system made another the default one.
    Replaced {
        /// Microphone or loudspeaker.
        direction: DeviceDirection,
        /// The id of the device in use now.
        id: String,
    },
    /// The chosen device is back and in use.
    Restored {
        /// Microphone or loudspeaker.
        direction: DeviceDirection,
        /// Its id.
        id: String,
    },
    /// Devices were connected or disconnected: ask for the lists again to show them.
    ListChanged,
}

/// How well a device and the call keep pace.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct StreamStats {
    /// Times that the store ran dry: a gap each.
    pub underruns: u64,
    /// Times that too much was in store, and some of it was cut.
    pub overruns: u64,
    /// Gaps that the system tells of: its own buffer ran dry, or over.
    pub xruns: u64,
    /// Times that the stream broke, and the same device was opened again.
    pub restarts: u64,
    /// By how much the device's clock is faster than ours, in parts per million, as far as the
    /// correction knows it.
    pub drift_ppm: f32,
    /// What is in store between device and call: the delay that this adds.
    pub delay: Duration,
}
