//! The way to the tap: every read and write of the driver's passes here.

use std::net::SocketAddr;

use super::clock::Clock;
use super::tap::{WireBytes, WireDirection, WireTap, WireTransport};

/// The tap, if there is one, and the clock that stamps what it sees.
pub(super) struct Wire {
    tap: Option<Box<dyn WireTap>>,
    clock: Clock,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("tapped", &self.tap.is_some()).finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(tap: Option<Box<dyn WireTap>>, clock: Clock) -> Self {
        Self { tap, clock }
    }

    /// These bytes crossed a socket.
    pub(super) fn saw(
        &mut self,
        direction: WireDirection,
        transport: WireTransport,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        if let Some(tap) = &mut self.tap {
            let at = self.clock.now();
            tap.crossed(&WireBytes { at, direction, transport, local, remote, bytes });
        }
    }
}
