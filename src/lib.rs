//! subrosa: a secure-call engine. (The manual comes with the engine.)
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(not(feature = "ffi"), forbid(unsafe_code))]

extern crate alloc;

pub mod crypto;
#[cfg(feature = "driver")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod driver;
#[cfg(feature = "std")]
pub mod engine;
#[cfg(feature = "ffi")]
#[allow(unsafe_code)]
pub mod ffi;
#[cfg(feature = "std")]
pub mod media;
#[cfg(feature = "std")]
pub mod sdp;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "std")]
pub mod sip;
pub mod time;
pub mod util;
pub mod wire;
