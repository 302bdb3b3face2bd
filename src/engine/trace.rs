//! The trace of SIP messages in the clear, for debugging: off unless asked for, bounded, polled.

use alloc::string::String;
use core::net::SocketAddr;

use super::Engine;
use crate::sip::{FlowId, Transport};
use crate::time::Instant;
use crate::util::BoundedQueue;
use crate::wire::sip::{Message, redacted};

/// Messages that wait at most; further ones are dropped and counted.
const MAX_MESSAGES: usize = 256;
/// Bytes of their text at most.
const MAX_BYTES: usize = 1 << 20;

/// Which way a traced message went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SipDirection {
    /// We sent it.
    Sent,
    /// It came to us.
    Received,
}

/// One SIP message of the trace.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SipTraceRecord {
    /// When it was handed to its connection, or taken from it.
    pub at: Instant,
    /// Which way it went.
    pub direction: SipDirection,
    /// How it travelled: under [`Transport::Tls`] nobody else can read it.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The address of the next hop, or of the one before.
    pub remote: SocketAddr,
    /// The whole message, without credentials and keys
    /// ([`redacted`]); lines end with CRLF.
    pub text: String,
}

#[derive(Debug)]
pub(super) struct SipTrace {
    on: bool,
    records: BoundedQueue<SipTraceRecord>,
    bytes: usize,
    dropped: u64,
}

impl SipTrace {
    pub(super) fn new(on: bool) -> Self {
        Self { on, records: BoundedQueue::new(MAX_MESSAGES), bytes: 0, dropped: 0 }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn push(&mut self, record: SipTraceRecord) {
        let bytes = self.bytes.saturating_add(record.text.len());
        if bytes <= MAX_BYTES && self.records.push(record) {
            self.bytes = bytes;
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    fn pop(&mut self) -> Option<SipTraceRecord> {
        let record = self.records.pop()?;
        self.bytes = self.bytes.saturating_sub(record.text.len());
        Some(record)
    }
}

impl Engine {
    /// The oldest message of the trace that was not taken yet, if
    /// [`Config::sip_trace`](super::Config::sip_trace) asks for one. Repetitions are in it;
    /// bytes that are no SIP message are not. At most 256 messages of 1 MiB in all wait; further
    /// ones are counted in [`EngineStats::trace_dropped`](super::EngineStats::trace_dropped).
    pub fn poll_sip_trace(&mut self) -> Option<SipTraceRecord> {
        self.sip_trace.pop()
    }

    /// A message was sent or came in.
    pub(super) fn trace_sip(&mut self, direction: SipDirection, flow: FlowId, message: &Message) {
        if !self.sip_trace.on {
            return;
        }
        let flows = &self.flows;
        if let (Some(transport), Some(local), Some(remote)) =
            (flows.transport(flow), flows.local(flow), flows.remote(flow))
        {
            let (at, text) = (self.now, redacted(message.as_bytes()));
            self.sip_trace.push(SipTraceRecord { at, direction, transport, local, remote, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_takes_is_bounded_in_number_and_bytes_and_counted() {
        let record = |len: usize| SipTraceRecord {
            at: Instant::ZERO,
            direction: SipDirection::Sent,
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 1).into(),
            remote: ([127, 0, 0, 1], 2).into(),
            text: "x".repeat(len),
        };
        let mut trace = SipTrace::new(true);
        (0..MAX_MESSAGES + 3).for_each(|_| trace.push(record(10)));
        assert_eq!((trace.records.len(), trace.dropped()), (MAX_MESSAGES, 3));
        while trace.pop().is_some() {}
        assert_eq!(trace.bytes, 0);
        (0..20).for_each(|_| trace.push(record(60_000)));
        assert_eq!((trace.records.len(), trace.dropped()), (17, 6));
        trace.pop();
        trace.push(record(60_000));
        assert_eq!(trace.records.len(), 17);
    }
}
