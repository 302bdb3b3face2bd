//! One handshake of a session: an instance of dimpl with its time, and what it said so far.

use alloc::vec::Vec;
use core::net::SocketAddr;
use std::sync::Arc;

use dimpl::{CertificateError, Dtls, Error, Output, ProtocolVersion};
use p256::ecdsa::SigningKey;

use super::config::{self, Clock, DimplTime};
use super::keys::{self, DtlsSrtpKeys};
use super::lend::{self, Ratchet, lend_all};
use super::records::{self, Answers, HelloRandom};
use super::vault::Vault;
use super::{DtlsRole, DtlsVersion};
use crate::time::Instant;

/// Outputs of dimpl taken after one input; it has far fewer.
const MAX_OUTPUTS: usize = 256;

/// What a session lends to one of its handshakes while it runs.
pub(super) struct Tools<'a> {
    pub(super) role: DtlsRole,
    pub(super) rng: &'a mut Ratchet,
    pub(super) key: &'a Arc<SigningKey>,
    pub(super) vault: &'a mut Option<Vault>,
    pub(super) buffer: &'a mut [u8],
}

/// What dimpl said in answer to one input.
#[derive(Default)]
pub(super) struct Said {
    /// Datagrams for the peer.
    pub(super) packets: Vec<Vec<u8>>,
    /// The peer ended the association.
    pub(super) closed: bool,
    /// The client returned its cookie just now.
    pub(super) proven: bool,
    /// The peer's certificate came just now.
    pub(super) certificate: bool,
    /// Pieces of application data.
    pub(super) application_data: u64,
    timer: Option<DimplTime>,
    connected: bool,
}

/// A handshake; `client` and `path` say with whom.
pub(super) struct Attempt {
    /// `None` once it cannot go on.
    dtls: Option<Dtls>,
    clock: Clock,
    /// When dimpl wants to be woken up, in its time and in ours.
    wanted: Option<DimplTime>,
    timer: Option<Instant>,
    /// When it is given up, unless it is complete.
    deadline: Instant,
    /// Passive: the random of the client's hello.
    pub(super) client: Option<HelloRandom>,
    /// Where the other end was heard; `None` if that was not told, or it was not heard yet.
    pub(super) path: Option<SocketAddr>,
    /// Active: what answered our hellos.
    pub(super) answers: Answers,
    /// Passive: the client returned its cookie.
    pub(super) proven: bool,
    /// The certificate that was presented.
    pub(super) peer: Option<Vec<u8>>,
    /// Keys that are held until a fingerprint was checked.
    pub(super) keys: Option<DtlsSrtpKeys>,
    /// The version, once the handshake is complete.
    pub(super) version: Option<DtlsVersion>,
}

impl Attempt {
    pub(super) fn new(dtls: Dtls, clock: Clock, now: Instant) -> Self {
        Self {
            dtls: Some(dtls),
            clock,
            wanted: None,
            timer: None,
            deadline: now + config::HANDSHAKE_TIMEOUT,
            client: None,
            path: None,
            answers: Answers::default(),
            proven: false,
            peer: None,
            keys: None,
            version: None,
        }
    }

    /// True until it is known which version of DTLS the server has.
    pub(super) fn is_unanswered(&self) -> bool {
        self.protocol_version().is_none()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.as_ref().and_then(Dtls::protocol_version)
    }

    /// It is complete and cannot go on: it stays as it is, and answers no more.
    pub(super) fn retire(&mut self) {
        (self.dtls, self.wanted, self.timer) = (None, None, None);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let deadline = self.version.is_none().then_some(self.deadline);
        self.timer.into_iter().chain(deadline).min()
    }

    /// True if it lasted too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.version.is_none() && self.deadline <= now
    }

    /// Retransmits, if it is time; `None` if it is not.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        tools: &mut Tools<'_>,
    ) -> Option<Result<Said, (Said, Error)>> {
        self.timer.filter(|at| *at <= now)?;
        if let Some(wanted) = self.wanted {
            self.clock.skip_to(wanted, now);
        }
        Some(self.drive(now, tools, |_| Ok(())))
    }

    /// Gives dimpl the time and an input, and takes what it says. After an error it is of no more
    /// use.
    pub(super) fn drive(
        &mut self,
        now: Instant,
        tools: &mut Tools<'_>,
        input: impl FnOnce(&mut Dtls) -> Result<(), Error>,
    ) -> Result<Said, (Said, Error)> {
        let std_now = self.clock.to_std(now);
        let Tools { role, rng, key, vault, buffer } = tools;
        let Some(mut dtls) = self.dtls.take() else { return Ok(Said::default()) };
        let result = lend_all(rng, key, vault, || {
            match dtls.handle_timeout(std_now).and_then(|()| input(&mut dtls)) {
                Ok(()) => Ok(self.drain(&mut dtls, *role, buffer)),
                // The alert tells the peer what it lacks.
                Err(error) if lacks_certificate(&error) => {
                    Err((self.drain(&mut dtls, *role, buffer), error))
                }
                Err(error) => Err((Said::default(), error)),
            }
        });
        self.dtls = Some(dtls);
        let said = result?;
        if said.timer != self.wanted || self.timer.is_none_or(|at| at <= now) {
            self.wanted = said.timer;
            self.timer = said.timer.and_then(|at| self.clock.timer(at, now));
        }
        if said.connected && self.version.is_none() {
            self.version = match self.protocol_version() {
                Some(ProtocolVersion::DTLS1_3) => Some(DtlsVersion::Dtls13),
                _ => Some(DtlsVersion::Dtls12),
            };
        }
        if said.proven {
            self.deadline = now + config::HANDSHAKE_TIMEOUT;
        }
        Ok(said)
    }

    /// Takes all that dimpl has to say.
    fn drain(&mut self, dtls: &mut Dtls, role: DtlsRole, buffer: &mut [u8]) -> Said {
        let mut said = Said::default();
        for _ in 0..MAX_OUTPUTS {
            match dtls.poll_output(buffer) {
                Output::Packet(datagram) => {
                    if role == DtlsRole::Passive
                        && !self.proven
                        && records::is_server_hello(datagram)
                    {
                        (self.proven, said.proven) = (true, true);
                    }
                    said.packets.push(datagram.to_vec());
                }
                Output::PeerCert(certificate) => {
                    self.peer = Some(certificate.to_vec());
                    said.certificate = true;
                }
                Output::Connected => said.connected = true,
                Output::KeyingMaterial(material, profile) => {
                    let suite = keys::suite_of(profile);
                    let len = material.len();
                    let material = lend::vault(|vault, _| vault.exported(len)).unwrap_or_default();
                    let split = |suite| DtlsSrtpKeys::split(role, suite, material.expose()).ok();
                    self.keys = suite.and_then(split).or(self.keys.take());
                }
                Output::ApplicationData(_) => {
                    said.application_data = said.application_data.saturating_add(1);
                }
                Output::CloseNotify => said.closed = true,
                Output::Timeout(at) => {
                    said.timer = Some(at);
                    break;
                }
                // No output is longer than the buffer.
                _ => break,
            }
        }
        said
    }
}

/// True if the client had no certificate to show.
pub(super) fn lacks_certificate(error: &Error) -> bool {
    matches!(error, Error::CertificateError(CertificateError::NoClientCertificateReceived))
}
