//! Bytes to values and back, without state: SIP messages, RTP, RTCP, DTMF events, redundant audio.
//!
//! Everything here parses hostile input: no panic, no unbounded work, arithmetic checked.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod comfort_noise;
pub mod dtmf;
pub mod red;
pub mod rtcp;
pub mod rtp;
pub mod sip;
