//! Bytes to values and back, without state: SIP messages, RTP, RTCP, DTMF events.
//!
//! Everything here parses hostile input: no panic, no unbounded work, arithmetic checked.

pub mod dtmf;
pub mod rtcp;
pub mod rtp;
pub mod sip;
