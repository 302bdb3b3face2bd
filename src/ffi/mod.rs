//! The C functions of `include/subrosa.h`: the public Rust API, one to one, and nothing else.
//!
//! Conventions: polling, no callbacks but the logger, one per engine; opaque handles; [`subrosa_status`] is 0 for success;
//! results through pointers that come last and are written only on success; `_free` takes NULL;
//! strings are pointer and length; no C enum is ever a parameter; structs that may grow carry
//! their size. One thread at a time per handle: a second one gets `SUBROSA_ERR_BUSY`. A panic is
//! caught at the boundary, the handle is unusable from then on, and the call gives
//! `SUBROSA_ERR_PANIC` (a library built with `panic = "abort"` aborts instead).
//!
//! Beside the engine, `subrosa_phone_*` (feature `driver`) and `subrosa_audio_device_*` (feature
//! `audio-device`) run all of it for the program. The header declares them always; a library
//! without the feature does not have them, so that a program that needs them does not link.
//!
//! Every function checks its pointers for NULL and alignment; that they point to what their type
//! says, and that lengths are true, is the caller's promise, as always in C.
#![allow(non_camel_case_types)]
// The promise above is the same for every function.
#![allow(clippy::missing_safety_doc)]

mod account;
mod addr;
mod audio_options;
mod breaker;
mod call;
#[cfg(feature = "driver")]
mod call_audio;
mod call_options;
mod config;
#[cfg(feature = "audio-device")]
mod device;
#[cfg(feature = "audio-device")]
mod device_control;
mod dns;
mod encoding;
mod end;
mod engine;
mod event;
mod frames;
mod gain;
mod guard;
mod identity;
mod keying;
mod ladder;
mod load;
mod log;
mod media;
mod media_audio;
mod media_event;
mod media_link;
mod media_stats;
mod mixer;
#[cfg(test)]
mod named;
mod output;
mod peers;
#[cfg(feature = "driver")]
mod phone;
#[cfg(feature = "driver")]
mod phone_call;
#[cfg(feature = "driver")]
mod phone_levels;
#[cfg(feature = "driver")]
mod phone_peers;
#[cfg(feature = "driver")]
mod phone_stats;
#[cfg(feature = "driver")]
mod phone_tls;
#[cfg(feature = "platform-roots")]
mod platform;
mod pointer;
mod processing;
#[cfg(feature = "provisioning")]
mod provisioning;
mod random;
mod reason;
mod report;
mod stats;
mod status;
mod tls;
mod tones;
mod trace;

pub use account::*;
pub use addr::*;
pub use audio_options::*;
pub use breaker::*;
pub use call::*;
#[cfg(feature = "driver")]
pub use call_audio::*;
pub use call_options::*;
pub use config::*;
#[cfg(feature = "audio-device")]
pub use device::*;
#[cfg(feature = "audio-device")]
pub use device_control::*;
pub use dns::*;
pub use encoding::*;
pub use end::*;
pub use engine::*;
pub use event::*;
pub use frames::*;
pub use gain::*;
pub use identity::*;
pub use keying::*;
pub use ladder::*;
pub use load::*;
pub use log::*;
pub use media::*;
pub use media_audio::*;
pub use media_event::*;
pub use media_link::*;
pub use media_stats::*;
pub use mixer::*;
pub use output::*;
pub use peers::*;
#[cfg(feature = "driver")]
pub use phone::*;
#[cfg(feature = "driver")]
pub use phone_call::*;
#[cfg(feature = "driver")]
pub use phone_levels::*;
#[cfg(feature = "driver")]
pub use phone_peers::*;
#[cfg(feature = "driver")]
pub use phone_stats::*;
#[cfg(feature = "driver")]
pub use phone_tls::*;
#[cfg(feature = "platform-roots")]
pub use platform::*;
pub use pointer::subrosa_str;
pub use processing::*;
#[cfg(feature = "provisioning")]
pub use provisioning::*;
pub use reason::*;
pub use report::*;
pub use stats::*;
pub use status::*;
pub use tls::*;
pub use tones::*;
pub use trace::*;
