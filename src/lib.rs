//! subrosa: one secure-call engine that desk-phone firmware (C), mobile apps and Rust programs link.
//!
//! A phone built on it signals over TLS and talks over SRTP, and can show for each call how secure
//! it really was ([`SecurityReport`](engine::SecurityReport)). The engine is sans-IO: it opens no
//! socket, starts no thread, reads no clock and draws no randomness of its own.
//!
//! # The drain contract
//! 1. Give an input ([`Engine::handle_input`](engine::Engine::handle_input)) or a command.
//! 2. Call [`Engine::poll_output`](engine::Engine::poll_output) and do what it says, until it says
//!    [`Output::Timeout`](engine::Output::Timeout), which is always last.
//! 3. Wait for whatever comes first: bytes, or that instant.
//!
//! Inputs before the drain is complete are legal; all queues are bounded. Nothing from the network
//! is ever an error: errors are for the caller's mistakes.
//!
//! ```
//! use subrosa::engine::{Config, Engine, Input, Output};
//! use subrosa::time::{Instant, UnixTime};
//! use subrosa::util::SeededRng;
//!
//! // Outside simulations: the platform's cryptographic generator.
//! let rng = Box::new(SeededRng::new(7));
//! let mut engine = Engine::new(Config::new(rng, UnixTime::from_secs(1_800_000_000)), Instant::ZERO)?;
//! let mut buf = [0; 2048];
//! loop {
//!     match engine.poll_output(&mut buf) {
//!         Output::BindUdp { socket, local } => {
//!             // A real host binds here and tells the address that it got.
//!             let _ = engine.handle_input(Instant::ZERO, Input::UdpBound { socket, local });
//!         }
//!         Output::Event(event) => println!("{event:?}"),
//!         Output::Timeout(_) => break,
//!         other => println!("for the host: {other:?}"),
//!     }
//! }
//! # Ok::<(), subrosa::engine::ConfigError>(())
//! ```
//!
//! # Media on a thread of its own
//! A host that wants a call's audio off the signalling thread takes its session
//! ([`Engine::take_media`](engine::Engine::take_media)). From then on
//! - datagrams of the call's media sockets go to the session if
//!   [`PacketKind::is_media`](wire::rtp::PacketKind::is_media), else to the engine as before;
//! - packets, PCM, timers and events are the session's
//!   ([`MediaSession`](media::session::MediaSession));
//! - each [`Output::Media`](engine::Output::Media) goes to the session, in order, and its feedback
//!   back to the engine, once a second and when it is due, for the last time when it is drained;
//! - on another network [`Event::MediaSocketsChanged`](engine::Event::MediaSocketsChanged) names
//!   the sockets from then on.
//!
//! `tests/c/taken_media.c` does all of it in C.
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

/// The examples of the README.
#[cfg(all(doctest, feature = "driver"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
