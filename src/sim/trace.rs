//! The recorder: everything that crossed the world's wire, in order, and its running digest.

use std::net::SocketAddr;
use std::ops::Range;

use super::HostId;
use crate::time::Instant;

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fate {
    /// On its way; this many copies.
    Sent(u8),
    /// Lost on the link, or the link is cut.
    Lost,
    /// No host has the address.
    NoRoute,
}

/// One line of the record.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Record {
    /// A datagram left a host.
    Datagram {
        /// The sender's address.
        from: SocketAddr,
        /// The destination.
        to: SocketAddr,
        /// What becomes of it.
        fate: Fate,
    },
    /// A host wrote to a TCP connection.
    Segment {
        /// The connection's number.
        connection: u64,
        /// The writer's address.
        from: SocketAddr,
        /// The reader's address.
        to: SocketAddr,
    },
    /// A host began to connect.
    Connect {
        /// The connection's number.
        connection: u64,
        /// The client.
        from: SocketAddr,
        /// The server.
        to: SocketAddr,
    },
    /// Nobody listened, or the address could not be reached.
    Refused {
        /// The connection's number.
        connection: u64,
    },
    /// One side closed, or lost, a connection.
    Closed {
        /// The connection's number.
        connection: u64,
        /// The address of that side.
        by: SocketAddr,
    },
    /// A host, or the test, notes something.
    Note {
        /// The host; `None` for the world itself.
        host: Option<HostId>,
    },
}

/// One entry of the [`Trace`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// What.
    pub record: Record,
    payload: Range<usize>,
}

/// All that happened in a world.
pub struct Trace {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    digest: ring::digest::Context,
    limit: usize,
    dropped: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            bytes: Vec::new(),
            digest: ring::digest::Context::new(&ring::digest::SHA256),
            limit: 64 << 20,
            dropped: 0,
        }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trace({} entries, {} bytes)", self.entries.len(), self.bytes.len())
    }
}

impl Trace {
    /// The entries in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes of a datagram or segment, or the text of a note.
    pub fn payload(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.payload.clone()).unwrap_or_default()
    }

    /// Entries that were counted into the digest but not kept, because the record was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Keeps at most this many bytes of payload (64 MiB unless set); the digest sees all.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// SHA-256 over everything so far, in hexadecimal: two runs with the same digest were the
    /// same run, bit for bit.
    pub fn digest(&self) -> String {
        let digest = self.digest.clone().finish();
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn push(&mut self, at: Instant, record: Record, payload: &[u8]) {
        self.digest.update(&at.as_micros().to_le_bytes());
        self.digest.update(format!("{record:?}").as_bytes());
        self.digest.update(&(payload.len() as u64).to_le_bytes());
        self.digest.update(payload);
        if self.bytes.len().saturating_add(payload.len()) > self.limit {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.entries.push(Entry { at, record, payload: start..self.bytes.len() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_sees_time_kind_and_bytes_even_when_the_record_is_full() {
        let digest = |at, text: &[u8], limit| {
            let mut trace = Trace::default();
            trace.set_limit(limit);
            trace.push(Instant::from_micros(at), Record::Note { host: None }, text);
            (trace.digest(), trace.entries().len())
        };
        let (one, kept) = digest(1, b"a", 100);
        assert_eq!(kept, 1);
        assert_eq!(digest(1, b"a", 0), (one.clone(), 0));
        assert_ne!(digest(2, b"a", 100).0, one);
        assert_ne!(digest(1, b"b", 100).0, one);
    }
}
