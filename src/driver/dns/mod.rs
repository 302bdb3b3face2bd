//! The resolver: NAPTR, SRV, A and AAAA questions over UDP, and over TCP where the answer is
//! truncated, to the servers of resolv.conf; the hosts file and `localhost` (RFC 6761 §6.3) come
//! first. It answers questions, the engine orders the answers (RFC 3263).
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod config;
mod lookup;
mod message;
mod resolver;

pub use config::{DnsConfig, Hosts};
pub(super) use resolver::Resolver;
