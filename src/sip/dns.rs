//! DNS questions and answers as values: the host asks, the engine orders the answers
//! ([`resolve`](super::resolve), RFC 3263).

use alloc::{string::String, vec::Vec};
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::util::Id;

/// Names what a [`QueryId`] identifies.
#[derive(Debug)]
pub enum QueryTag {}
/// One DNS question of the engine's.
pub type QueryId = Id<QueryTag>;

/// The record types that locating a SIP server needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RecordKind {
    /// Naming authority pointers (RFC 3403): which transports the domain offers.
    Naptr,
    /// Service records (RFC 2782).
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// One record of an answer. Names are without a trailing dot.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DnsRecord {
    /// A NAPTR record; flags and service in lower case or as received.
    Naptr {
        /// Lower is processed first.
        order: u16,
        /// Among equal orders, lower is preferred.
        preference: u16,
        /// `s`: the replacement names SRV records.
        flags: String,
        /// For example `SIPS+D2T`.
        service: String,
        /// The name to look up next.
        replacement: String,
    },
    /// An SRV record.
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// Share among equal priorities.
        weight: u16,
        /// Port.
        port: u16,
        /// Host name.
        target: String,
    },
    /// An address record.
    A(Ipv4Addr),
    /// An address record.
    Aaaa(Ipv6Addr),
}

/// How a question ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DnsAnswer {
    /// The records of the type that was asked for; more than 64 are cut off.
    Records(Vec<DnsRecord>),
    /// The name exists without such records, or does not exist.
    NotFound,
    /// No server answered, or it answered with a failure.
    Failed,
}
