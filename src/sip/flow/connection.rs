//! One stream: bytes to frames, with TLS in between if the flow has it.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::super::StreamId;
use super::super::route::FlowFailure;
use crate::crypto::tls::{TlsClientSettings, TlsError, TlsFacts, TlsServerSettings, TlsStream};
use crate::time::UnixTime;
use crate::util::Rng;
use crate::wire::sip::StreamFramer;

/// A TCP connection, in the clear or under TLS.
pub(super) struct Connection {
    stream: StreamId,
    tls: Option<TlsStream>,
    pub(super) framer: StreamFramer,
    output: Vec<u8>,
    plain: Vec<u8>,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Connection({}, tls: {})", self.stream, self.tls.is_some())
    }
}

impl Connection {
    pub(super) fn new(stream: StreamId) -> Self {
        Self {
            stream,
            tls: None,
            framer: StreamFramer::new(),
            output: Vec::new(),
            plain: Vec::new(),
        }
    }

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    pub(super) fn start_client(
        &mut self,
        settings: &TlsClientSettings,
        domain: &str,
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<(), FlowFailure> {
        self.tls = Some(TlsStream::client(settings, domain, now, rng).map_err(|e| failure(&e))?);
        Ok(())
    }

    pub(super) fn start_server(
        &mut self,
        settings: &TlsServerSettings,
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<(), FlowFailure> {
        self.tls = Some(TlsStream::server(settings, now, rng).map_err(|e| failure(&e))?);
        Ok(())
    }

    /// True once messages can travel: TCP at once, TLS after its handshake.
    pub(super) fn is_ready(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// Takes bytes from the host.
    pub(super) fn read(
        &mut self,
        data: &[u8],
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<(), FlowFailure> {
        let Some(tls) = &mut self.tls else {
            self.framer.push(data);
            return Ok(());
        };
        let progress = tls.read_tls(now, data, rng).map_err(|e| failure(&e))?;
        self.plain.clear();
        tls.read_plain(&mut self.plain);
        self.framer.push(&self.plain);
        // An orderly end: what came before it is still read.
        if progress.peer_closed { Err(FlowFailure::Unreachable) } else { Ok(()) }
    }

    /// Queues bytes; false if the connection cannot take them.
    pub(super) fn write(&mut self, data: &[u8]) -> bool {
        match &mut self.tls {
            Some(tls) => tls.write_plain(data).is_ok(),
            None => {
                self.output.extend_from_slice(data);
                true
            }
        }
    }

    pub(super) fn take_output(&mut self) -> Vec<u8> {
        let mut out = core::mem::take(&mut self.output);
        if let Some(tls) = &mut self.tls {
            tls.write_tls_to(&mut out);
        }
        out
    }

    pub(super) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
    }

    pub(super) fn facts(&self) -> Option<&TlsFacts> {
        self.tls.as_ref().and_then(TlsStream::facts)
    }
}

fn failure(error: &TlsError) -> FlowFailure {
    match error {
        TlsError::Certificate(problem) => FlowFailure::Certificate(problem.to_string()),
        TlsError::Closed => FlowFailure::Unreachable,
        other => FlowFailure::Tls(other.to_string()),
    }
}
