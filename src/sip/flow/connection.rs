//! One stream: bytes to frames, with TLS in between if the flow has it.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use zeroize::Zeroize;

use super::super::StreamId;
use super::super::route::FlowFailure;
use crate::crypto::tls::{TlsClientSettings, TlsError, TlsFacts, TlsServerSettings, TlsStream};
use crate::time::UnixTime;
use crate::util::{Rng, Secret};
use crate::wire::sip::{Frame, StreamFramer};

/// What lies between the frames and the host.
enum Layer {
    /// The host is still connecting: nothing may pass, least of all in the clear.
    Connecting,
    Plain,
    Tls(Box<TlsStream>),
}

/// A TCP connection, in the clear or under TLS.
pub(super) struct Connection {
    stream: StreamId,
    layer: Layer,
    framer: StreamFramer,
    output: Vec<u8>,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Connection({}, tls: {})", self.stream, matches!(self.layer, Layer::Tls(_)))
    }
}

impl Connection {
    pub(super) fn new(stream: StreamId) -> Self {
        Self { stream, layer: Layer::Connecting, framer: StreamFramer::new(), output: Vec::new() }
    }

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.layer, Layer::Connecting)
    }

    pub(super) fn start_plain(&mut self) {
        self.layer = Layer::Plain;
    }

    pub(super) fn start_client(
        &mut self,
        settings: &TlsClientSettings,
        domain: &str,
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<(), FlowFailure> {
        let tls = TlsStream::client(settings, domain, now, rng).map_err(|e| failure(&e))?;
        self.layer = Layer::Tls(Box::new(tls));
        Ok(())
    }

    pub(super) fn start_server(
        &mut self,
        settings: &TlsServerSettings,
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<(), FlowFailure> {
        let tls = TlsStream::server(settings, now, rng).map_err(|e| failure(&e))?;
        self.layer = Layer::Tls(Box::new(tls));
        Ok(())
    }

    /// True once messages can travel: TCP when connected, TLS after its handshake.
    pub(super) fn is_ready(&self) -> bool {
        match &self.layer {
            Layer::Connecting => false,
            Layer::Plain => true,
            Layer::Tls(tls) => !tls.is_handshaking(),
        }
    }

    /// Takes bytes from the host. After an error there may still be frames that came before it.
    pub(super) fn read(
        &mut self,
        data: &[u8],
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<(), FlowFailure> {
        let tls = match &mut self.layer {
            Layer::Connecting => return Err(FlowFailure::Unreachable),
            Layer::Plain => {
                self.framer.push(data);
                return Ok(());
            }
            Layer::Tls(tls) => tls,
        };
        let progress = tls.read_tls(now, data, rng).map_err(|e| failure(&e))?;
        if progress.plain_waiting > 0 {
            let mut plain = Vec::with_capacity(progress.plain_waiting);
            tls.read_plain(&mut plain);
            self.framer.push(&plain);
            plain.zeroize();
        }
        // An orderly end: what came before it is still read.
        if progress.peer_closed { Err(FlowFailure::Unreachable) } else { Ok(()) }
    }

    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        self.framer.next()
    }

    /// The last frame, a single CRLF, answered our ping.
    pub(super) fn was_pong(&mut self) {
        self.framer.was_pong();
    }

    /// Queues bytes; false if the connection cannot take them and is of no more use.
    pub(super) fn write(&mut self, data: &[u8]) -> bool {
        match &mut self.layer {
            Layer::Connecting => false,
            Layer::Plain => {
                self.output.extend_from_slice(data);
                true
            }
            Layer::Tls(tls) => !tls.is_handshaking() && tls.write_plain(data).is_ok(),
        }
    }

    pub(super) fn take_output(&mut self) -> Vec<u8> {
        let mut out = core::mem::take(&mut self.output);
        if let Layer::Tls(tls) = &mut self.layer {
            tls.write_tls_to(&mut out);
        }
        out
    }

    pub(super) fn close(&mut self) {
        if let Layer::Tls(tls) = &mut self.layer {
            tls.close();
        }
    }

    pub(super) fn poll_key_log(&mut self) -> Option<Secret<String>> {
        match &mut self.layer {
            Layer::Tls(tls) => tls.poll_key_log(),
            _ => None,
        }
    }

    pub(super) fn facts(&self) -> Option<&TlsFacts> {
        match &self.layer {
            Layer::Tls(tls) => tls.facts(),
            _ => None,
        }
    }
}

fn failure(error: &TlsError) -> FlowFailure {
    match error {
        TlsError::Certificate(problem) => FlowFailure::Certificate(problem.to_string()),
        TlsError::Closed => FlowFailure::Unreachable,
        other => FlowFailure::Tls(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tls::{TlsVersions, TrustAnchors};
    use crate::util::SeededRng;

    #[test]
    fn nothing_is_taken_to_be_sent_before_the_connection_is_ready() {
        let mut connection = Connection::new(StreamId::from_raw(1));
        assert!(!connection.write(b"OPTIONS sip:bob@secret SIP/2.0"));
        assert!(connection.take_output().is_empty());
        let settings =
            TlsClientSettings::new(TrustAnchors::none(), None, TlsVersions::default()).unwrap();
        let rng = &mut SeededRng::new(1);
        connection.start_client(&settings, "example.com", UnixTime::from_secs(1), rng).unwrap();
        assert!(!connection.write(b"OPTIONS sip:bob@secret SIP/2.0") && !connection.is_ready());
        let hello = connection.take_output();
        assert_eq!(hello.first(), Some(&22), "the handshake alone");
        assert!(!hello.windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn what_comes_before_the_host_says_connected_ends_the_connection() {
        let mut connection = Connection::new(StreamId::from_raw(1));
        let early = b"OPTIONS sip:a@h SIP/2.0\r\n\r\n";
        let result = connection.read(early, UnixTime::from_secs(1), &mut SeededRng::new(1));
        assert_eq!(result, Err(FlowFailure::Unreachable));
        connection.start_plain();
        assert!(connection.next_frame().is_none(), "nothing of it is kept");
    }
}
