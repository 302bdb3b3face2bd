//! Watching the wire: every byte that crosses a socket of the driver's, for tests, captures and
//! evidence.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::time::Instant;

/// Which way bytes crossed a socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WireDirection {
    /// We handed them to the operating system.
    Sent,
    /// The operating system handed them to us.
    Received,
}

/// The kind of socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WireTransport {
    /// One datagram.
    Udp,
    /// A piece of a TCP stream, cut anywhere.
    Tcp,
}

/// Bytes that crossed a socket.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WireBytes<'a> {
    /// When, on the phone's clock.
    pub at: Instant,
    /// Which way.
    pub direction: WireDirection,
    /// Over what.
    pub transport: WireTransport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The bytes as they were on the wire.
    pub bytes: &'a [u8],
}

/// Sees what crosses the sockets. It is called on the driver's thread: be quick.
pub trait WireTap: Send {
    /// These bytes were sent or received.
    fn crossed(&mut self, wire: &WireBytes<'_>);
}

impl<F: FnMut(&WireBytes<'_>) + Send> WireTap for F {
    fn crossed(&mut self, wire: &WireBytes<'_>) {
        self(wire);
    }
}

/// One crossing, kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedBytes {
    /// When, on the phone's clock.
    pub at: Instant,
    /// Which way.
    pub direction: WireDirection,
    /// Over what.
    pub transport: WireTransport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Recording {
    crossings: Vec<RecordedBytes>,
    kept: usize,
    dropped: u64,
}

/// A tap that keeps everything up to a limit. Clones share one recording.
#[derive(Clone, Debug)]
pub struct WireRecorder {
    recording: Arc<Mutex<Recording>>,
    limit: usize,
}

impl WireRecorder {
    /// Keeps at most `limit` bytes; what comes later is only counted.
    pub fn new(limit: usize) -> Self {
        Self { recording: Arc::default(), limit }
    }

    /// A copy of what was kept, in the order in which it crossed.
    pub fn crossings(&self) -> Vec<RecordedBytes> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner).crossings.clone()
    }

    /// Bytes that no longer fitted. A search of the recording proves something only if this is 0.
    pub fn dropped(&self) -> u64 {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

impl WireTap for WireRecorder {
    fn crossed(&mut self, wire: &WireBytes<'_>) {
        let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let size = recording.kept.saturating_add(wire.bytes.len());
        if size > self.limit {
            recording.dropped = recording.dropped.saturating_add(wire.bytes.len() as u64);
            return;
        }
        recording.kept = size;
        recording.crossings.push(RecordedBytes {
            at: wire.at,
            direction: wire.direction,
            transport: wire.transport,
            local: wire.local,
            remote: wire.remote,
            bytes: wire.bytes.to_vec(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_keeps_up_to_its_limit_and_counts_the_rest() {
        let mut recorder = WireRecorder::new(5);
        for bytes in [b"abc".as_slice(), b"defg", b"hi"] {
            recorder.crossed(&WireBytes {
                at: Instant::ZERO,
                direction: WireDirection::Sent,
                transport: WireTransport::Udp,
                local: ([127, 0, 0, 1], 1).into(),
                remote: ([127, 0, 0, 1], 2).into(),
                bytes,
            });
        }
        let kept: Vec<Vec<u8>> = recorder.crossings().into_iter().map(|c| c.bytes).collect();
        assert_eq!(kept, [b"abc".to_vec(), b"hi".to_vec()]);
        assert_eq!(recorder.dropped(), 4);
    }
}
