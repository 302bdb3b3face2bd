//! The driver: the only sockets, threads and clocks of the crate (feature `driver`).
//!
//! [`Phone`] runs one [`Engine`](crate::engine::Engine) on one thread: it carries out what the
//! engine asks for (sockets, connections, DNS questions, timers), feeds back what happens, and
//! moves the audio of each call every 20 ms between the engine and an [`AudioSource`] and an
//! [`AudioSink`]. Any thread may hold a clone of the phone and command it; events are polled
//! ([`Phone::try_event`]), waited for ([`Phone::next_event`]) or awaited ([`Phone::event`]).
//!
//! ```no_run
//! use std::time::Duration;
//! use subrosa::driver::{CallAudio, Phone, Player, WavRecorder};
//! use subrosa::engine::{AccountConfig, CallOptions, Event};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let phone = Phone::builder(Phone::config()).start()?;
//! let account = phone.add_account(AccountConfig::new("sip:alice@example.com".parse()?))?;
//! let options = CallOptions::default();
//! let audio = CallAudio::new(options.sample_rate)
//!     .source(Player::open("hello.wav", options.sample_rate)?)
//!     .sink(WavRecorder::create("answer.wav", options.sample_rate)?);
//! let call = phone.place_call(account, "sip:bob@example.com".parse()?, options, audio)?;
//! while let Some(event) = phone.next_event(Duration::from_secs(60)) {
//!     if matches!(event, Event::CallEnded { call: ended, .. } if ended == call) {
//!         break;
//!     }
//! }
//! phone.stop();
//! # Ok(())
//! # }
//! ```

mod audio;
mod clock;
// Without the feature only what needs no device is built, for its tests.
#[cfg(any(feature = "audio-device", test))]
#[cfg_attr(not(feature = "audio-device"), allow(dead_code, unreachable_pub))]
mod device;
mod dns;
mod files;
mod phone;
mod phone_audio;
#[cfg(feature = "platform-roots")]
mod platform;
mod pump;
mod queue;
mod run;
mod sockets;
mod streams;
mod tap;
mod wire;

pub use audio::{AudioRing, AudioSink, AudioSource, CallAudio, Player, Progress, Silence};
pub use clock::{Clock, OsRng, wall_clock};
#[cfg(feature = "audio-device")]
pub use device::{
    AudioDevice, DeviceDirection, DeviceError, DeviceEvent, DeviceInfo, DeviceSink, DeviceSource,
    EchoMeasurement, StreamStats,
};
pub use dns::{DnsConfig, Hosts};
pub use files::{AudioFileError, WavRecorder, read_wav};
pub use phone::{CallInfo, Phone, PhoneBuilder, PhoneError};
#[cfg(feature = "platform-roots")]
pub use platform::{PlatformTrustError, platform_trust};
pub use pump::CallLevels;
pub use queue::NextEvent;
pub use run::DriverStats;
pub use tap::{RecordedBytes, WireBytes, WireDirection, WireRecorder, WireTap, WireTransport};
