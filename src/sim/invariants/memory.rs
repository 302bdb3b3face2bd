//! What a host holds: never more than its caps, and nothing when all is over.

use super::{Fact, Rule};
use crate::engine::EngineLoad;
use crate::sip::flow::MAX_FLOWS;
use crate::time::Instant;

/// When all is over, no port, connection or call is left open.
#[derive(Debug)]
pub struct NoLeftovers;

impl Rule for NoLeftovers {
    fn name(&self) -> &'static str {
        "memory is bounded: nothing is left open"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        match *fact {
            Fact::Leftovers { host, udp, tcp, calls } if udp > 0 || tcp > 8 || calls > 0 => Err(
                format!("{host:?} still holds {udp} media ports, {tcp} connections, {calls} calls"),
            ),
            _ => Ok(()),
        }
    }
}

/// An engine holds no more than its caps allow at any moment, and nothing but what accounts and
/// open connections need when all is over.
#[derive(Debug)]
pub struct BoundedMemory;

impl BoundedMemory {
    /// Calls that are not over, ended ones that are kept, and so questions to the DNS.
    pub const CALLS: usize = 64;
    /// Transactions.
    pub const TRANSACTIONS: usize = 2 * 4096;
    /// Requests without a final response: of calls, of accounts, and those that end forks.
    pub const REQUESTS: usize = 16 * Self::CALLS;
    /// Events that nobody has polled for.
    pub const EVENTS: usize = 1024;

    fn over(load: &EngineLoad, at_end: bool) -> Option<(&'static str, usize, usize)> {
        let limit = |at_any_time| if at_end { 0 } else { at_any_time };
        [
            ("calls", load.calls, limit(Self::CALLS)),
            ("ended calls", load.ended, Self::CALLS),
            ("transactions", load.transactions, limit(Self::TRANSACTIONS)),
            ("flows", load.flows, MAX_FLOWS),
            ("media sockets", load.media_sockets, limit(4 * Self::CALLS)),
            ("questions to the DNS", load.queries, limit(Self::CALLS + load.accounts * 2)),
            ("requests", load.requests, limit(Self::REQUESTS + load.accounts)),
            ("invitations", load.invites, limit(2 * Self::CALLS)),
            ("events", load.events, limit(Self::EVENTS)),
        ]
        .into_iter()
        .find(|(_, held, limit)| held > limit)
    }
}

impl Rule for BoundedMemory {
    fn name(&self) -> &'static str {
        "memory is bounded"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        let Fact::Load { host, load, at_end } = *fact else { return Ok(()) };
        match Self::over(&load, at_end) {
            Some((what, held, limit)) => {
                let when = if at_end { " at the end" } else { "" };
                Err(format!("{host:?} holds {held} {what}{when}, and may hold {limit}"))
            }
            None => Ok(()),
        }
    }
}
