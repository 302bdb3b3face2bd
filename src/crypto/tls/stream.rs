//! One TLS connection over memory.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, HandshakeKind, ProtocolVersion, ServerConnection};
use zeroize::Zeroize;

use super::entropy::{self, Notes};
use super::error::TlsError;
use super::facts::{TlsFacts, TlsVersion};
use super::gate::{Gate, Role, Verdict, peer_facts};
use super::keylog::MAX_LINES;
use super::settings::{TlsClientSettings, TlsServerSettings};
use crate::crypto::identity::Dialled;
use crate::time::UnixTime;
use crate::util::{Rng, Secret, reserve_wiped};

/// The most bytes that wait inside a stream in each direction.
pub const MAX_BUFFERED: usize = 256 * 1024;

/// Receives nothing, and zeroizes the room that was given for it.
struct Wiper;

impl Read for Wiper {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        room.zeroize();
        Err(std::io::ErrorKind::WouldBlock.into())
    }
}

/// What a call of [`TlsStream::read_tls`] achieved.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct TlsProgress {
    /// The handshake completed in this call: [`TlsStream::facts`] has the evidence.
    pub handshake_done: bool,
    /// How many bytes of plaintext wait in [`TlsStream::read_plain`].
    pub plain_waiting: usize,
    /// The peer has closed its side properly (close_notify); nothing more will come.
    pub peer_closed: bool,
}

/// One TLS connection over memory: ciphertext in and out on one side, plaintext on the other.
pub struct TlsStream {
    conn: Connection,
    gate: Arc<Gate>,
    dialled: Option<Dialled>,
    plain: Vec<u8>,
    verdict: Option<Verdict>,
    key_logged: bool,
    fips: bool,
    key_log: VecDeque<Secret<String>>,
    own_certificate_sent: bool,
    facts: Option<TlsFacts>,
    peer_closed: bool,
    closed: bool,
    failed: Option<TlsError>,
}

impl TlsStream {
    /// Starts the dialling side: the ClientHello waits in [`write_tls`](Self::write_tls).
    ///
    /// `domain` is the domain dialled or a literal address (never the host name that DNS gave
    /// for it): the certificate must bear it (RFC 5922 §7).
    ///
    /// # Errors
    /// [`TlsError::InvalidDomain`] if `domain` is no host name or address.
    pub fn client(
        settings: &TlsClientSettings,
        domain: &str,
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<Self, TlsError> {
        let dialled = Dialled::parse(domain)?;
        let name = match &dialled {
            Dialled::Ip(ip) => ServerName::IpAddress((*ip).into()),
            Dialled::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| crate::crypto::identity::InvalidDomain)?,
        };
        let make = || ClientConnection::new(settings.config.clone(), name);
        let (conn, notes) = entropy::lend(now, rng, make);
        let conn = conn.map_err(|e| TlsError::from_rustls(e, notes.problem))?;
        let fips = settings.config.fips();
        Ok(Self::new(conn.into(), &settings.gate, Some(dialled), settings.key_log, fips))
    }

    /// Starts the accepting side.
    ///
    /// # Errors
    /// [`TlsError::Internal`] if rustls refuses to start.
    pub fn server(
        settings: &TlsServerSettings,
        now: UnixTime,
        rng: &mut dyn Rng,
    ) -> Result<Self, TlsError> {
        let make = || ServerConnection::new(settings.config.clone());
        let (conn, notes) = entropy::lend(now, rng, make);
        let conn = conn.map_err(|e| TlsError::from_rustls(e, notes.problem))?;
        let fips = settings.config.fips();
        Ok(Self::new(conn.into(), &settings.gate, None, settings.key_log, fips))
    }

    fn new(
        mut conn: Connection,
        gate: &Arc<Gate>,
        dialled: Option<Dialled>,
        key_logged: bool,
        fips: bool,
    ) -> Self {
        conn.set_buffer_limit(Some(MAX_BUFFERED));
        Self {
            conn,
            gate: gate.clone(),
            dialled,
            plain: Vec::new(),
            verdict: None,
            key_logged,
            fips,
            key_log: VecDeque::new(),
            own_certificate_sent: false,
            facts: None,
            peer_closed: false,
            closed: false,
            failed: None,
        }
    }

    /// Takes ciphertext from the peer. Afterwards there may be plaintext to read and, during the
    /// handshake, ciphertext to send; after an error an alert waits to be sent. What follows the
    /// peer's close_notify is ignored.
    ///
    /// # Errors
    /// [`TlsError`]: the stream is dead, and each further call returns the same error.
    pub fn read_tls(
        &mut self,
        now: UnixTime,
        ciphertext: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<TlsProgress, TlsError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let was_handshaking = self.facts.is_none();
        let (result, notes) = entropy::lend(now, rng, || self.feed(ciphertext));
        let result = self.settle(result, notes, now);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result?;
        Ok(TlsProgress {
            handshake_done: was_handshaking && self.facts.is_some(),
            plain_waiting: self.plain.len(),
            peer_closed: self.peer_closed,
        })
    }

    /// Feeds rustls until it has everything, collecting plaintext between records.
    fn feed(&mut self, mut ciphertext: &[u8]) -> Result<(), FeedError> {
        while !ciphertext.is_empty() && !self.peer_closed {
            // An error here says that rustls's buffer is full, which processing would have
            // emptied, or that the peer has closed.
            match self.conn.read_tls(&mut ciphertext) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return Err(FeedError::Full),
            }
            let state = self.conn.process_new_packets().map_err(FeedError::Tls)?;
            let waiting = state.plaintext_bytes_to_read();
            self.peer_closed |= state.peer_has_closed();
            if waiting.saturating_add(self.plain.len()) > MAX_BUFFERED {
                return Err(FeedError::Full);
            }
            if waiting > 0 {
                // Ends with "would block" or "end of stream", both of which are known from
                // elsewhere.
                reserve_wiped(&mut self.plain, waiting);
                let _ = self.conn.reader().take(waiting as u64).read_to_end(&mut self.plain);
                self.wipe_received();
            }
        }
        Ok(())
    }

    /// rustls decrypts in the buffer that it received into, and leaves the plaintext there until
    /// something else is received: the free part of it is zeroized.
    fn wipe_received(&mut self) {
        // "Would block": nothing was received.
        let _ = self.conn.read_tls(&mut Wiper);
    }

    fn settle(
        &mut self,
        result: Result<(), FeedError>,
        notes: Notes,
        now: UnixTime,
    ) -> Result<(), TlsError> {
        self.own_certificate_sent |= notes.own_certificate_sent;
        if notes.verdict.is_some() {
            self.verdict = notes.verdict;
        }
        let room = MAX_LINES.saturating_sub(self.key_log.len());
        self.key_log.extend(notes.key_log.into_iter().take(room));
        result.map_err(|e| match e {
            FeedError::Full => TlsError::BufferFull,
            FeedError::Tls(e) => TlsError::from_rustls(e, notes.problem),
        })?;
        if self.facts.is_none() && !self.conn.is_handshaking() {
            self.facts = Some(self.establish(now)?);
        }
        Ok(())
    }

    /// The handshake is complete: collect the evidence. A resumed session shows the certificate
    /// of the earlier one, so it passes the same gate again (it may have expired since).
    fn establish(&self, now: UnixTime) -> Result<TlsFacts, TlsError> {
        let chain = self.conn.peer_certificates().unwrap_or_default();
        let dialled = self.dialled.as_ref();
        let peer = match (chain.first(), &self.verdict) {
            (None, _) => None,
            (Some(leaf), Some(verdict)) => peer_facts(leaf, dialled, verdict),
            (Some(leaf), None) => {
                let verdict = self.gate.check(chain, dialled, entropy::pki_time(now));
                peer_facts(leaf, dialled, &verdict.map_err(TlsError::Certificate)?)
            }
        };
        let suite = self.conn.negotiated_cipher_suite().and_then(|s| s.suite().as_str());
        let resumed = self.conn.handshake_kind() == Some(HandshakeKind::Resumed);
        let group = self.conn.negotiated_key_exchange_group().and_then(|g| g.name().as_str());
        Ok(TlsFacts {
            version: match self.conn.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
                _ => TlsVersion::V1_2,
            },
            cipher_suite: suite.unwrap_or("unknown"),
            key_exchange: group,
            resumed,
            peer,
            own_certificate_sent: self.own_certificate_sent
                || (self.gate.role == Role::Client && !resumed),
            provider: self.gate.provider,
            fips: self.fips,
            key_logged: self.key_logged,
        })
    }

    /// Appends the waiting plaintext to `out`; returns how many bytes.
    pub fn read_plain(&mut self, out: &mut Vec<u8>) -> usize {
        let len = self.plain.len();
        out.extend_from_slice(&self.plain);
        self.plain.zeroize();
        len
    }

    /// Encrypts `plain`, all of it; before the handshake is complete it waits.
    ///
    /// # Errors
    /// [`TlsError::Closed`] after [`close`](Self::close) or a failure, [`TlsError::BufferFull`]
    /// if [`MAX_BUFFERED`] bytes already wait to be sent (part of `plain` may then be queued:
    /// close the stream).
    pub fn write_plain(&mut self, plain: &[u8]) -> Result<(), TlsError> {
        if self.closed || self.failed.is_some() {
            return Err(TlsError::Closed);
        }
        self.conn.writer().write_all(plain).map_err(|_| TlsError::BufferFull)
    }

    /// Moves ciphertext for the peer into `out`; returns how many bytes, 0 if none waits.
    pub fn write_tls(&mut self, mut out: &mut [u8]) -> usize {
        let mut written = 0_usize;
        while !out.is_empty() && self.conn.wants_write() {
            match self.conn.write_tls(&mut out) {
                Ok(n @ 1..) => written = written.saturating_add(n),
                _ => break,
            }
        }
        written
    }

    /// Appends all ciphertext for the peer to `out`; returns how many bytes.
    pub fn write_tls_to(&mut self, out: &mut Vec<u8>) -> usize {
        let before = out.len();
        while self.conn.wants_write() {
            // Writing into memory does not fail.
            if !matches!(self.conn.write_tls(out), Ok(1..)) {
                break;
            }
        }
        out.len().saturating_sub(before)
    }

    /// The next line for the key log (`SSLKEYLOGFILE` format, without the line's end), if the
    /// settings ask for one. Lines come with the handshake, of a failed one too; they wait here
    /// until somebody takes them, and are wiped when dropped.
    pub fn poll_key_log(&mut self) -> Option<Secret<String>> {
        self.key_log.pop_front()
    }

    /// True if ciphertext waits to be sent.
    pub fn wants_write(&self) -> bool {
        self.conn.wants_write()
    }

    /// Closes this side: a close_notify waits to be sent.
    pub fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.conn.send_close_notify();
        }
    }

    /// True until the handshake is complete and the certificate accepted.
    pub fn is_handshaking(&self) -> bool {
        self.facts.is_none()
    }

    /// True once the peer has sent its close_notify.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// What was negotiated and with whom; `None` before the handshake is complete.
    pub fn facts(&self) -> Option<&TlsFacts> {
        self.facts.as_ref()
    }
}

enum FeedError {
    Full,
    Tls(rustls::Error),
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}

impl core::fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TlsStream")
            .field("dialled", &self.dialled)
            .field("facts", &self.facts)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
