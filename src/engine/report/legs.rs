//! The legs of a call: how its signalling, its media in each direction and its RTCP travel.

use crate::crypto::dtls::Fingerprint;
use crate::crypto::srtp::{MasterKeyId, Suite};
use crate::crypto::tls::TlsFacts;
use crate::sdp::Profile;
use crate::sip::Transport;

/// How the signalling of a call travels.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SignallingLeg {
    /// The transport.
    pub transport: Transport,
    /// TLS facts, from the handshake itself.
    pub tls: Option<TlsFacts>,
    /// True if the far end of the connection proved an identity that we checked: as a client,
    /// always (a certificate that does not verify ends the flow); as a server, only with a
    /// client certificate.
    pub peer_verified: bool,
    /// False once the connection is lost, until another one is there: the rest says what it was.
    pub connected: bool,
}

impl SignallingLeg {
    pub(crate) fn new(transport: Transport, tls: Option<TlsFacts>) -> Self {
        let peer_verified = tls.as_ref().is_some_and(|facts| facts.peer.is_some());
        Self { transport, tls, peer_verified, connected: true }
    }

    /// True for TLS with a peer that proved who it is.
    pub fn is_verified(&self) -> bool {
        self.transport.is_secure() && self.tls.is_some() && self.peer_verified
    }
}

/// How the media of one direction travels.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MediaLeg {
    /// The transport profile of its `m=` line, for example `RTP/SAVP`. One that does not demand
    /// SRTP may still be keyed (RFC 8643): `suite` says what happens.
    pub profile: Profile,
    /// The SRTP suite; `None`: plain RTP.
    pub suite: Option<Suite>,
    /// How the key was agreed.
    pub keying: Keying,
    /// The identifier of the key in use, which each packet carries; of several keys of the peer's,
    /// the one of its last packet, and the first one before that. `None` without (RFC 3711 §3.1).
    pub mki: Option<MasterKeyId>,
    /// How often the keys of this direction were renewed: 0 for the first ones.
    pub key_generation: u32,
    /// The fingerprint that signalling announced and the peer's certificate has; `None` unless
    /// the keys come from DTLS, which fails without one.
    pub fingerprint: Option<Fingerprint>,
}

impl MediaLeg {
    pub(crate) fn plain(profile: Profile) -> Self {
        Self {
            profile,
            suite: None,
            keying: Keying::None,
            mki: None,
            key_generation: 0,
            fingerprint: None,
        }
    }

    /// What is sure if either of the two holds.
    pub(crate) fn weaker(self, other: Self) -> Self {
        let keying = match (self.keying, other.keying) {
            (Keying::Dtls { authenticated: a }, Keying::Dtls { authenticated: b }) => {
                Keying::Dtls { authenticated: a && b }
            }
            (Keying::None, _) | (_, Keying::None) => return Self::plain(other.profile),
            _ => Keying::Sdes,
        };
        let (Some(_), Some(_)) = (self.suite, other.suite) else {
            return Self::plain(other.profile);
        };
        let fingerprint = self.fingerprint.filter(|f| other.fingerprint == Some(*f));
        Self { keying, fingerprint, ..self }
    }

    /// True if the keys come from DTLS and the fingerprint of the peer's certificate came over
    /// signalling whose peer was verified.
    pub fn is_fingerprint_verified(&self) -> bool {
        self.fingerprint.is_some() && self.keying == Keying::Dtls { authenticated: true }
    }
}

/// How RTCP travels, both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RtcpLeg {
    /// What we send is SRTCP, encrypted and authenticated.
    pub encrypted_out: bool,
    /// Only SRTCP that is encrypted and authenticated is taken.
    pub encrypted_in: bool,
    /// It shares the port of RTP (RFC 5761).
    pub mux: bool,
}

impl RtcpLeg {
    /// True if both directions are encrypted.
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted_out && self.encrypted_in
    }
}

/// How SRTP keys were agreed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Keying {
    /// No keys: plain RTP.
    None,
    /// A DTLS handshake on the media's path (RFC 5763).
    Dtls {
        /// The fingerprint that the peer had to match came over signalling whose peer was
        /// verified. Otherwise whoever could change the signalling could be in the middle.
        authenticated: bool,
    },
    /// `a=crypto` in the session description (RFC 4568): as secret as the signalling.
    Sdes,
}

/// What is switched on for debugging and lets others read along: part of what a screen shows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Debugging {
    /// The secrets of a TLS connection that carried this call went into the key log: whoever has
    /// the log and a recording reads the signalling, and the SDES keys in it.
    pub tls_key_log: bool,
    /// The SIP messages of this call went into the trace
    /// ([`Engine::poll_sip_trace`](crate::engine::Engine::poll_sip_trace)), readable, without keys and passwords.
    pub sip_trace: bool,
}

impl Debugging {
    /// True if anything is on.
    pub const fn is_on(self) -> bool {
        self.tls_key_log || self.sip_trace
    }
}
