//! The DTLS handshake of a call's stream, and what came of it before its time.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::calls::CallEntry;
use crate::crypto::dtls::{
    DtlsSession, DtlsState, Fingerprint, FingerprintHash, MAX_DATAGRAM, has_client_hello,
};
use crate::time::Instant;

/// Datagrams of an early flight that are kept: a ClientHello is one, or two if it is long.
const MAX_EARLY: usize = 4;

/// The DTLS handshake of a call's stream.
#[derive(Debug)]
pub(super) struct DtlsLeg {
    pub(super) session: DtlsSession,
    /// Where the peer is, as signalled.
    remote: SocketAddr,
    /// Its keys are in use, or it has failed: nothing more is to be learnt.
    pub(super) settled: bool,
}

impl DtlsLeg {
    pub(super) fn new(session: DtlsSession, remote: SocketAddr) -> Self {
        Self { session, remote, settled: false }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.session.next_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.session.next_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
    }

    /// A DTLS record came. The answer goes to where it came from: an address behind a NAT is not
    /// the one that was signalled, and until one has proved itself, several may claim to be the
    /// peer.
    pub(super) fn handle_datagram(&mut self, now: Instant, remote: SocketAddr, payload: &[u8]) {
        self.session.handle_datagram_from(now, Some(remote), payload);
    }

    /// The certificate with which the peer agreed on the keys, SHA-256.
    pub(super) fn peer_fingerprint(&self) -> Option<Fingerprint> {
        let done = matches!(self.session.state(), DtlsState::Established { .. });
        let certificate = self.session.peer_certificate().filter(|_| done)?;
        Some(Fingerprint::of(FingerprintHash::Sha256, certificate))
    }

    /// The fingerprint from signalling that it has.
    pub(super) fn matched_fingerprint(&self) -> Option<Fingerprint> {
        match self.session.state() {
            DtlsState::Established { fingerprint, .. } => Some(*fingerprint),
            _ => None,
        }
    }

    pub(super) fn has_output(&self) -> bool {
        self.session.has_output()
    }

    /// The next datagram to send, written into `buf`.
    pub(super) fn poll_output(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, usize)> {
        let (to, len) = self.session.poll_output_to(buf)?;
        Some((to.unwrap_or(self.remote), len))
    }
}

/// ClientHellos that came before it was agreed who the peer is: they overtook its answer, or
/// stand before ours. One flight is kept, so that the peer need not repeat it.
#[derive(Debug, Default)]
pub(super) struct EarlyHellos(Vec<(SocketAddr, Vec<u8>)>);

impl EarlyHellos {
    /// Takes a datagram, if it is one; of too many the oldest go.
    pub(super) fn keep(&mut self, remote: SocketAddr, datagram: &[u8]) -> bool {
        if datagram.len() > MAX_DATAGRAM || !has_client_hello(datagram) {
            return false;
        }
        if self.0.len() >= MAX_EARLY {
            self.0.remove(0);
        }
        self.0.push((remote, datagram.to_vec()));
        true
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// The handshake begins: it hears what was kept.
    pub(super) fn play(&mut self, now: Instant, leg: &mut DtlsLeg) {
        for (remote, datagram) in core::mem::take(&mut self.0) {
            leg.handle_datagram(now, remote, &datagram);
        }
    }
}

impl CallEntry {
    /// A DTLS record came on the media port. False if nothing here wants it.
    pub(super) fn handle_dtls(&mut self, now: Instant, remote: SocketAddr, payload: &[u8]) -> bool {
        let begun = self.dtls.as_ref().is_some_and(|leg| !leg.settled);
        let kept = !begun
            && self.machine.media.may_become_dtls()
            && self.early_hellos.keep(remote, payload);
        match &mut self.dtls {
            Some(leg) => {
                leg.handle_datagram(now, remote, payload);
                true
            }
            None => kept,
        }
    }
}
